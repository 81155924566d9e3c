/* The voting phase: docs/protocol.md, "Voting phase" and "What is there". */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/coordinator_internal.h"
#include "base/planted.h"
#include "proto/alteration.h"

static enum change_kind
purpose_of(const struct job *job)
{
    bool abort_only = job->role == ROLE_RECORD && job->batch_decision == BATCH_ABORTED;
    if (job->background || job->resume_read || abort_only)
        return CHANGE_FINISH;
    switch (job->kind) {
    case REQUEST_CREATE: return CHANGE_CREATE;
    case REQUEST_UPDATE: return CHANGE_UPDATE;
    case REQUEST_DELETE: return CHANGE_DELETE;
    case REQUEST_ALTER:
        return alteration_erases(job->request->alteration) ? CHANGE_ERASE : CHANGE_ALTER;
    case REQUEST_RECORD_PUT: return CHANGE_UPDATE;
    case REQUEST_RECORD_DELETE: return CHANGE_DELETE;
    case REQUEST_RECORD_GET:
    case REQUEST_RECORD_LIST:
    case REQUEST_AUTH:
    case REQUEST_AUDIT:
    case REQUEST_AUDIT_EXPORT:
    case REQUEST_READ:
    case REQUEST_HISTORY:
    case REQUEST_DELETION:
    case REQUEST_BATCH:
    case REQUEST_BATCH_CREATE:
    case REQUEST_ENV:
    case REQUEST_NAMES:
    case REQUEST_COPY:
    case REQUEST_HEALTH:
    case REQUEST_STATUS:
    case REQUEST_METRICS:
    case REQUEST_METADATA: break;
    }
    return CHANGE_FINISH;
}

/*
 * The hybrid logical clock: ahead of the wall clock only as far as others would follow. After a
 * clock that had run away was set back, what it had issued is no reason to go on ahead of
 * everybody.
 */
static uint64_t
clock_time(const struct coordinator *c, const struct step *st)
{
    uint64_t time = st->wall_ms << 16;
    bool usable = c->last_time >> 16 <= st->wall_ms + CLOCK_DRIFT_MS_MAX;
    return usable && time <= c->last_time ? c->last_time + 1 : time;
}

/*
 * Whoever is ahead in time has gone on since its ballot was named, while this node waited: just above
 * that ballot it would be refused again, and again, for as long as the other has something to change.
 * Never later than the clock that the ballot came from; and what comes from one that had run away is
 * followed no farther than it must be.
 */
static uint64_t
time_to_beat(const struct work *w)
{
    const struct job *job = w->job;
    uint64_t ms = instant_since(w->st->now, job->beat_at).ns / 1000000;
    bool near = ballot_ms(job->beat) + ms <= w->st->wall_ms + CLOCK_DRIFT_MS_MAX;
    if (job->beat.time == UINT64_MAX || ballot_is_none(job->beat))
        return 0;
    return job->beat.time + (near ? ms << 16 : 0) + 1;
}

/*
 * A ballot above everything seen, within this node's own durable horizon. A path may need one that
 * is far ahead (clocks have been set back since it was changed); that is no reason to take other
 * paths there.
 */
bool
change_pick_ballot(struct work *w)
{
    struct coordinator *c = w->c;
    struct job *job = w->job;
    uint64_t time = clock_time(c, w->st);
    if (time < time_to_beat(w))
        time = time_to_beat(w);
    if (time <= job->ballot.time && job->ballot.time < UINT64_MAX)
        time = job->ballot.time + 1;
    if (time >> 16 > c->membership->horizon_ms || sim_maybe(w->st, horizon_behind)) {
        if (c->membership->horizon_wanted_ms < (time >> 16) + 1000)
            c->membership->horizon_wanted_ms = (time >> 16) + 1000;
        return false;
    }
    if (time >> 16 <= w->st->wall_ms + CLOCK_DRIFT_MS_MAX)
        c->last_time = time;
    job->ballot =
        (struct ballot){.time = time,
                        .node = c->membership->self,
                        .incarnation = c->membership->members[c->membership->self].incarnation};
    return true;
}

void
job_must_beat(struct work *w, struct ballot beat)
{
    struct job *job = w->job;
    if (ballot_compare(beat, job->beat) <= 0)
        return;
    job->beat = beat;
    job->beat_at = w->st->now;
}

static uint64_t
vote_timeout_ms(const struct job *job)
{
    uint64_t ms = VOTE_TIMEOUT_MS;
    for (unsigned i = 1; i < job->attempts && ms < VOTE_TIMEOUT_MS_MAX; i++)
        ms *= 2;
    return ms;
}

void
change_start_round(struct work *w)
{
    struct job *job = w->job;
    job_new_round(w);
    job->finishing = false;
    job->settling = false;
    job->unmarking = false;
    job->fetch_tried = 0;
    job->passing = job->pass_next;
    job->pass_next = job->passed = false;
    if (!change_pick_ballot(w)) {
        job->disk_full = w->c->membership->disk_full;
        if (job->disk_full && !job->write_left && job->request && !job->resume_read)
            job_fail(w, ERR_DISK_FULL);
        else
            job_wait(w, duration_ms(50)); /* the horizon is being moved */
        return;
    }
    job->attempts++;
    job->phase = JOB_VOTING;
    job->purpose = purpose_of(job);
    for (unsigned i = 0; i < job->replicas.count; i++) {
        struct msg *m = job_send(w, MSG_VOTE, i);
        m->u.vote.ballot = job->ballot;
        m->u.vote.purpose = job->purpose;
        memcpy(m->u.vote.op_id, job->op_id, OP_ID_BYTES);
        if (m->u.vote.purpose != CHANGE_FINISH) {
            m->u.vote.credential = job->credential;
            m->u.vote.change = job_record_value(job);
        }
        metrics_count(w->st->metrics, METRIC_votes_sent);
    }
    job_timer(w, duration_ms(sim_maybe(w->st, vote_timer_early) ? 1 : vote_timeout_ms(job)));
}

/* Random up to 5 ms, doubling to 150, so that two coordinators do not meet again and again. */
void
change_back_off(struct work *w)
{
    struct job *job = w->job;
    uint64_t ms_max = job->background ? BACKOFF_MS_MAX_BACKGROUND : BACKOFF_MS_MAX;
    uint64_t ms = BACKOFF_MS_FIRST;
    uint64_t us = 0;
    for (unsigned i = 1; i < job->attempts && ms < ms_max; i++)
        ms *= 2;
    if (ms > ms_max)
        ms = ms_max;
    if (rng_below(w->st->rng, ms * 1000 + 1, &us) != OK) {
        job_fail(w, ERR_ENTROPY);
        return;
    }
    job_wait(w, duration_us(us));
}

/*
 * So many refuse for the limit of the tenant that no majority can be had; or fewer do, and after a
 * while it still hangs on them, since others are away. Once a WRITE has left, nobody can say that
 * nothing happened.
 */
static bool
tenant_is_full(const struct work *w)
{
    enum { ATTEMPTS = 8 };
    const struct job *job = w->job;
    unsigned full = job_refused_with(job, REFUSED_LIMIT);
    bool enough = full + job_majority(w) > job->replicas.count;
    bool in_the_end = job->attempts >= ATTEMPTS && full + job_good(job) >= job_majority(w);
    return full > 0 && (enough || in_the_end) && !job->write_left && job->request &&
           !job->resume_read;
}

/* What has left in an earlier round, when the caller was still let in, may yet be finished. */
void
change_fail_denied(struct work *w, enum vault_err err)
{
    struct reply unknown = {.err = ERR_NO_QUORUM, .phase = PHASE_WRITING};
    if (!w->job->write_left) {
        job_fail(w, err);
        return;
    }
    job_reply(w, &unknown);
    job_end(w);
}

static void
lost_round(struct work *w)
{
    struct job *job = w->job;
    unsigned n = job->replicas.count;
    if (job_refused_with(job, REFUSED_DENIED) >= job_majority(w)) {
        change_fail_denied(w, job_denied(w));
        return;
    }
    if (job_refused_with(job, REFUSED_DISK_FULL) >= job_majority(w) && !job->write_left &&
        job->request && !job->resume_read) {
        job_fail(w, ERR_DISK_FULL);
        return;
    }
    if (tenant_is_full(w)) {
        job_fail(w, ERR_TENANT_FULL);
        return;
    }
    metrics_count(w->st->metrics, METRIC_rounds_contended);
    unsigned floors = job_refused_with(job, REFUSED_FLOOR);
    job->contended = job->contended || job_refused_with(job, REFUSED_BALLOT) > 0 ||
                     job_refused_with(job, REFUSED_BUSY) > 0;
    if (floors > 0 && floors == job_refused(job) && job->attempts <= n + 1u)
        change_start_round(
            w); /* the refusal named the ballot to beat: jump over the floor at once */
    else
        change_back_off(w);
}

/* ---- finishing what another began ---- */

static void
finish_with(struct work *w, const struct msg_fetched *copy)
{
    struct job *job = w->job;
    struct proposal *p = &job->proposal;
    arena_reset(&job->proposal_memory);
    *p = (struct proposal){.ballot = job->ballot};
    if (arena_copy(&job->proposal_memory, copy->head, &p->head) != OK ||
        arena_copy(&job->proposal_memory, copy->version, &p->version) != OK ||
        arena_copy(&job->proposal_memory, copy->dealing, &p->dealing) != OK ||
        arena_copy(&job->proposal_memory, copy->boxes, &p->boxes) != OK ||
        arena_copy(&job->proposal_memory, copy->group, &p->group) != OK ||
        sim_maybe(w->st, finish_no_memory)) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    record_id(p->head, p->head_id);
    job->finishing = true;
    change_write(w);
}

/*
 * Asks one voter after the other that has accepted h* for the whole of it; this node itself first.
 */
void
job_next_fetch(struct work *w)
{
    struct job *job = w->job;
    int own = replicas_index(&job->replicas, w->c->membership->self);
    int best = -1;
    for (int i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!a->answered || a->refusal != REFUSED_NONE || a->accepted.state == STATE_ABSENT ||
            memcmp(a->head_id, job->head_id, ID_BYTES) != 0 || (job->fetch_tried >> i & 1))
            continue;
        if (best < 0 || i == own)
            best = i;
    }
    if (best < 0) {
        /* A round without those, then one with them again: it may be readable by then. */
        job->pass_next = !job->unmarking && !job->passing;
        memcpy(job->passed_id, job->head_id, ID_BYTES);
        change_back_off(w);
        return;
    }
    job->fetch_tried |= 1u << best;
    job->phase = JOB_FETCHING;
    struct msg *m = job_send(w, MSG_FETCH, (unsigned)best);
    memcpy(m->u.fetch.head_id, job->head_id, ID_BYTES);
    job_timer(w, duration_ms(VOTE_TIMEOUT_MS));
}

static void
finish_unfinished(struct work *w)
{
    struct job *job = w->job;
    metrics_count(w->st->metrics, METRIC_changes_finished);
    struct msg_fetched alone = {.head = job->head_encoded};
    if (head_brings_version(job->head))
        job_next_fetch(w);
    else
        finish_with(w, &alone);
}

/* What has rotted without its keeper's knowing would be refused by everybody. */
static bool
copy_is_whole(struct work *w, const struct msg_fetched *copy)
{
    struct version_record version;
    struct group group;
    struct dealing *dealing = arena_alloc(w->st->arena, sizeof(*dealing));
    uint8_t id[ID_BYTES], hash[HASH_BYTES];
    record_id(copy->version, id);
    record_id(copy->dealing, hash);
    return !head_brings_version(w->job->head) ||
           (dealing && memcmp(id, w->job->head->version_id, ID_BYTES) == 0 &&
            version_decode(copy->version, &version) == OK &&
            memcmp(hash, version.dealing_hash, HASH_BYTES) == 0 &&
            dealing_decode(copy->dealing, copy->boxes, dealing) == OK &&
            group_decode(w->job->head, &version, copy->group, w->st->arena, &group) == OK);
}

void
change_on_fetched(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    const struct msg_fetched *fetched = &in->u.fetched;
    uint8_t id[ID_BYTES];
    if (job->phase != JOB_FETCHING || in->op != job->op ||
        memcmp(fetched->head_id, job->head_id, ID_BYTES) != 0)
        return;
    record_id(fetched->head, id);
    if (fetched->refusal != REFUSED_NONE || memcmp(id, job->head_id, ID_BYTES) != 0 ||
        !copy_is_whole(w, fetched))
        job_next_fetch(w);
    else if (job->unmarking)
        settle_with_copy(w, fetched);
    else
        finish_with(w, fetched);
}

/* ---- with a majority of votes ---- */

/* h* is known chosen; whoever may not know it learns so. */
static void
tell_chosen(struct work *w)
{
    struct job *job = w->job;
    struct bytes head; /* outlives this round */
    struct ballot ballot = job->head_ballot;
    if (!job->head || arena_copy(w->st->arena, job->head_encoded, &head) != OK)
        return;
    struct bytes proof = proof_of_head(w, &ballot);
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (a->answered && a->accepted.state == STATE_CHOSEN &&
            memcmp(a->head_id, job->head_id, ID_BYTES) == 0)
            continue;
        struct msg *m = job_send(w, MSG_CHOSEN, i);
        m->op = 0; /* whoever erases tells the shard store of this node */
        m->u.chosen.ballot = ballot;
        memcpy(m->u.chosen.head_id, job->head_id, ID_BYTES);
        m->u.chosen.head = head;
        m->u.chosen.proof = proof;
        membership_incarnations(w->c->membership, &job->replicas, &m->u.chosen.incarnations);
    }
}

/* A bug to be found: as if only those mattered whose votes this round has. */
static void
list_voters_only(struct job *job)
{
    for (unsigned i = 0; PLANTED(list_voters_incarnations_only) && i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!a->answered || a->refusal != REFUSED_NONE)
            job->incarnations.of[i] = UINT64_MAX;
    }
}

void
change_with_head(struct work *w)
{
    struct job *job = w->job;
    if (job->head && !settle_for_change(w))
        return;
    if (job->background || job->resume_read)
        tell_chosen(w);
    if (job->background) {
        job_end(w);
    } else if (job->resume_read) {
        job->resume_read = false;
        job->unfinished_tries = 0;
        job->seen = false;
        job_leave_line(w);
        job_resume(w);
    } else {
        change_propose(w);
    }
}

/*
 * With a majority of votes. `final`: whoever has not answered yet has had its time. Under load the
 * votes come while the change before is still being written, and one more vote often shows that it
 * has been chosen: to finish it takes two rounds.
 */
static void
decide(struct work *w, bool final)
{
    struct job *job = w->job;
    enum head_knowledge knowledge;
    membership_incarnations(w->c->membership, &job->replicas, &job->incarnations);
    list_voters_only(job);
    if (job_judge_head(w, &knowledge) != OK) {
        job_fail(w, ERR_INTERNAL);
        return;
    }
    if (knowledge == HEAD_IS_UNFINISHED && !final && job_others_may_answer(w)) {
        if (!job->waited)
            job_timer(w, duration_ms(JUDGE_MS));
        job->waited = true;
        return;
    }
    /* Written once more, what is chosen takes the place of what could not be finished. */
    bool again =
        job->passed && knowledge == HEAD_IS_CHOSEN && (job->background || job->resume_read);
    if (knowledge == HEAD_IS_UNFINISHED && offer_vote_on(w))
        return;
    if (knowledge == HEAD_IS_UNFINISHED || again)
        finish_unfinished(w);
    else if (knowledge == HEAD_IS_ABSENT && (job->background || job->resume_read) &&
             job_saw_offer(job))
        settle_offer(w);
    else
        change_with_head(w);
}

static int
by_ballot(const void *a, const void *b)
{
    return ballot_compare(*(const struct ballot *)a, *(const struct ballot *)b);
}

/*
 * A ballot from a clock that had run away: nobody else would follow one above it, so the nodes that
 * name one must not draw the others' votes away as long as these are a majority by themselves. When
 * they are not, no more of them are followed than a majority needs, the least far ahead: above the
 * farthest, this node's own horizon, and after a restart its votes, would go as far.
 */
static void
learn_beats(struct work *w)
{
    struct job *job = w->job;
    uint64_t near_ms = w->st->wall_ms + CLOCK_DRIFT_MS_MAX;
    struct ballot far[REPLICAS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        struct ballot beat = job->answers[i].beat;
        if (ballot_ms(beat) > near_ms)
            far[count++] = beat;
        else
            job_must_beat(w, beat);
    }
    unsigned near = job->replicas.count - count, majority = job_majority(w);
    if (near >= majority)
        return;
    qsort(far, count, sizeof(far[0]), by_ballot);
    job_must_beat(w, far[majority - near - 1]);
}

void
change_on_voted(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    const struct msg_voted *voted = &in->u.voted;
    int replica;
    if (job->phase != JOB_VOTING)
        return;
    struct answer *a = job_answer(w, in, &replica);
    if (!a)
        return;
    a->refusal = voted->refusal;
    a->beat = voted->beat;
    learn_beats(w);
    if (job_keep_accepted(w, a, &voted->accepted, NULL) != OK ||
        job_keep_macs(w, a, voted->macs, voted->written_macs) != OK ||
        sim_maybe(w->st, vote_no_memory)) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    if (membership_learn(w->c->membership, &job->replicas, &voted->incarnations) ||
        job_answers_outdated(w))
        change_start_round(w); /* what an older incarnation said does not count */
    else if (job_good(job) >= job_majority(w))
        decide(w, false);
    else if (job_is_lost(w))
        lost_round(w);
    else if (voted->refusal != REFUSED_NONE && !job->impatient) {
        job->impatient = true;
        job_timer(w, job_patience(w));
    }
}

/* What the votes come from may have become another incarnation while one more was waited for. */
void
change_timeout(struct work *w)
{
    if (w->job->phase == JOB_FETCHING)
        job_next_fetch(w);
    else if (w->job->waited && !job_answers_outdated(w))
        decide(w, true);
    else if (w->job->impatient)
        lost_round(w);
    else
        change_start_round(w);
}

/*
 * Nothing of this change has left in a WRITE: it did not happen. Otherwise the outcome is unknown,
 * and never reported as failed.
 */
void
change_deadline(struct work *w)
{
    struct job *job = w->job;
    struct reply reply = {.err = ERR_NO_QUORUM, .phase = PHASE_VOTING};
    if (job->comparing || (job->write_left && !PLANTED(timeout_as_failure))) {
        reply.phase = PHASE_WRITING;
    } else if (job->disk_full) {
        reply.err = ERR_DISK_FULL;
    } else if (job->contended && job_good(job) + job_refused_with(job, REFUSED_BALLOT) +
                                         job_refused_with(job, REFUSED_BUSY) >=
                                     job_majority(w)) {
        reply.err = ERR_CONTENDED;
    }
    job_reply(w, &reply);
    job_end(w);
}
