/*
 * Preconditions, the new head, and the writing phase: docs/protocol.md, "Precondition", "Writing
 * phase" and "Deleting".
 */
#include <assert.h>
#include <string.h>

#include "actors/authority.h"
#include "actors/coordinator_internal.h"
#include "base/planted.h"
#include "proto/alteration.h"

/* ---- what the change makes ---- */

/* The head that follows h*, but for the version it names. */
void
change_next_head(struct work *w, struct head *next)
{
    struct job *job = w->job;
    const struct cluster *cluster = w->c->membership->cluster;
    const struct head *before = job->head;
    *next = (struct head){.path = job->path, .generation = 1, .changed_at_ms = w->st->wall_ms};
    if (before) {
        next->generation = before->generation + 1;
        next->version = before->version;
        next->oldest_version = before->oldest_version;
        memcpy(next->incarnation, before->incarnation, INCARNATION_BYTES);
        memcpy(next->version_id, before->version_id, ID_BYTES);
        memcpy(next->prev, job->head_id, ID_BYTES);
        if (next->changed_at_ms <= before->changed_at_ms && !PLANTED(valid_from_goes_back))
            next->changed_at_ms = before->changed_at_ms + 1;
    }
    memcpy(next->op_id, job->op_id, OP_ID_BYTES);
    memcpy(next->cluster_id, cluster->id, CLUSTER_ID_BYTES);
    memcpy(next->config_hash, cluster->config_hash, HASH_BYTES);
}

static enum vault_err
keep(struct job *job, struct buf *encoded, struct bytes *out)
{
    enum vault_err err = arena_copy(&job->proposal_memory, buf_bytes(encoded), out);
    buf_close(encoded);
    return err;
}

static void
recipients_of(const struct work *w, struct dealing_recipients *out)
{
    const struct job *job = w->job;
    *out = (struct dealing_recipients){.threshold = (uint8_t)w->c->membership->cluster->threshold,
                                       .count = job->replicas.count};
    for (unsigned i = 0; i < job->replicas.count; i++) {
        out->nodes[i] = job->replicas.nodes[i];
        out->keys[i] = &w->c->membership->members[job->replicas.nodes[i]].share_key;
    }
}

static enum vault_err
deal(struct work *w, const struct head *next, const struct version_plan *plan, struct dealing *out)
{
    struct job *job = w->job;
    struct dealing_recipients recipients;
    recipients_of(w, &recipients);
    uint8_t encoding = (uint8_t)plan->request->encoding;
    struct dealing_value value = {
        .value = plan->request->value,
        .content_type = encoding == VALUE_BASE64 ? bytes_of_text("application/octet-stream")
                                                 : bytes_of_text("text/plain"),
    };
    struct dealing_place place = {.cluster_id = w->c->membership->cluster->id,
                                  .tenant = job->path.tenant,
                                  .name = job->path.name,
                                  .incarnation = next->incarnation,
                                  .version = plan->version};
    return dealing_make(&place, &value, w->c->options.master, &recipients, w->c->options.sender,
                        w->st->rng, &job->round, out);
}

enum vault_err
version_make(struct work *w, const struct head *next, const struct version_plan *plan,
             struct group_part *out, uint8_t id[static ID_BYTES])
{
    struct job *job = w->job;
    struct dealing *dealing = arena_alloc(&job->round, sizeof(*dealing));
    struct buf encoded = {0};
    if (!dealing)
        return ERR_NOMEM;
    enum vault_err err = deal(w, next, plan, dealing);
    if (err == OK)
        err = dealing_encode_public(dealing, &encoded);
    if (err == OK)
        err = keep(job, &encoded, &out->dealing);
    if (err == OK)
        err = dealing_encode_boxes(dealing, &encoded);
    if (err == OK)
        err = keep(job, &encoded, &out->boxes);
    if (err != OK)
        goto out;

    struct version_record record = {
        .version = plan->version, .valid_from_ms = plan->valid_from_ms, .author = job->caller};
    memcpy(record.incarnation, next->incarnation, INCARNATION_BYTES);
    if (plan->prev)
        memcpy(record.prev, plan->prev, ID_BYTES);
    memcpy(record.dealing_id, dealing->id, DEALING_ID_BYTES);
    record_id(out->dealing, record.dealing_hash);
    memcpy(record.op_id, job->op_id, OP_ID_BYTES);
    err = version_encode(&record, &encoded);
    if (err == OK)
        err = keep(job, &encoded, &out->version);
    if (err == OK)
        record_id(out->version, id);
out:
    buf_close(&encoded);
    return err;
}

/* The request that makes the latest of the versions: of a group, the one that came last. */
static const struct request *
latest_request(const struct job *job)
{
    return job->group_count > 0 ? job->group[job->group_count - 1]->request : job->request;
}

/* Version records and dealings of the values in the requests. */
static enum vault_err
make_versions(struct work *w, struct head *next, struct proposal *p)
{
    struct job *job = w->job;
    struct version_plan plan = {.request = latest_request(job),
                                .version = next->version,
                                .valid_from_ms = next->changed_at_ms};
    struct group_part part;
    if (next->version > 1)
        plan.prev = job->head->version_id;
    enum vault_err err = job->group_count > 0 ? group_make(w, next, p, &plan.prev) : OK;
    if (err == OK)
        err = version_make(w, next, &plan, &part, next->version_id);
    if (err != OK)
        return err;
    p->version = part.version;
    p->dealing = part.dealing;
    p->boxes = part.boxes;
    return OK;
}

static void
fill_record(const struct job *job, struct head *next)
{
    next->kind = HEAD_RECORD;
    next->version = 1;
    next->oldest_version = 1;
    memcpy(next->incarnation, job->batch_id, BATCH_ID_BYTES);
    next->decision = job->batch_decision;
    next->members = job->members;
}

/* A member of a batch counts only when its record says so. */
static void
mark_pending(const struct job *job, struct head *next)
{
    const struct head *before = job->head;
    memcpy(next->batch, job->parent->create->id, BATCH_ID_BYTES);
    next->deleted_before = before && (before->kind == HEAD_TOMBSTONE || before->deleted_before);
}

/* What a change leaves as it is. */
static void
carry_over(const struct head *before, struct head *next)
{
    next->kind = HEAD_LIVE;
    next->soft_deleted = before->soft_deleted;
    next->destroyed = before->destroyed;
    next->max_versions = before->max_versions;
    next->expires_at_ms = before->expires_at_ms;
    next->metadata = before->metadata;
}

/*
 * What a tenant says of its new secrets; of a member of a batch when its mark goes, since a head
 * has either.
 */
void
change_take_limits(const struct work *w, struct head *next)
{
    struct tenant limits;
    if (head_is_pending(next))
        return;
    authority_tenant_limits(w->c->membership, next->path.tenant, &limits);
    next->max_versions = PLANTED(versions_limit_ignored) ? 0 : limits.versions_max;
    if (limits.expires_after_s > 0 && !PLANTED(expires_after_ignored))
        next->expires_at_ms = next->changed_at_ms + limits.expires_after_s * 1000;
}

static enum vault_err
alter(struct work *w, struct head *next, struct op_result *result)
{
    struct job *job = w->job;
    struct buf memory = {0};
    carry_over(job->head, next);
    if (head_is_pending(job->head))
        change_take_limits(w, next);
    result->kind = CHANGE_ALTER;
    alteration_fingerprint(job->request->alteration, result->fingerprint);
    enum vault_err err =
        alteration_apply(job->request->alteration,
                         membership_clock_ms(w->c->membership, w->st->wall_ms), next, &memory);
    if (err == OK && memory.size > 0)
        err = arena_copy(&job->round, buf_bytes(&memory), &next->metadata);
    buf_close(&memory);
    return err;
}

static enum vault_err
fill_head(struct work *w, struct head *next, struct proposal *p)
{
    const struct job *job = w->job;
    next->changed_at_ms += job->group_count; /* each of the versions has a millisecond of its own */
    struct op_result result = {.at_ms = next->changed_at_ms};
    enum vault_err err = OK;
    if (job->role == ROLE_RECORD) {
        fill_record(job, next);
        return OK;
    }
    if (job->role == ROLE_MEMBER)
        mark_pending(job, next);
    if (request_is_of_record(job->kind)) {
        err = identity_fill_head(w, next, &result);
    } else if (job->kind == REQUEST_DELETE) {
        next->kind = HEAD_TOMBSTONE;
        result.kind = CHANGE_DELETE;
    } else if (job->kind == REQUEST_UPDATE) {
        carry_over(job->head, next);
        next->version += 1 + job->group_count;
        if (head_is_pending(job->head))
            change_take_limits(w, next);
        head_keep_versions(next);
        result.kind = CHANGE_UPDATE;
    } else if (job->kind == REQUEST_ALTER) {
        err = alter(w, next, &result);
    } else {
        next->kind = HEAD_LIVE;
        next->version = 1;
        next->oldest_version = 1;
        result.kind = CHANGE_CREATE;
        change_take_limits(w, next);
        err = rng_fill(w->st->rng, next->incarnation, INCARNATION_BYTES);
    }
    if (err == OK && next->kind == HEAD_LIVE && job->kind != REQUEST_ALTER)
        err = make_versions(w, next, p);
    memcpy(result.op_id, job->op_id, OP_ID_BYTES);
    result.version = next->version;
    change_remember_op(next, job->head, &result, w->st->wall_ms);
    return err;
}

static void
propose(struct work *w)
{
    struct job *job = w->job;
    struct head *next = arena_alloc(&job->round, sizeof(*next));
    struct buf encoded = {0};
    arena_reset(&job->proposal_memory);
    job->proposal = (struct proposal){.ballot = job->ballot};
    if (!next) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    group_gather(w);
    change_next_head(w, next);
    enum vault_err err = fill_head(w, next, &job->proposal);
    if (err == OK)
        err = head_encode(next, &encoded);
    if (err == OK)
        err = keep(job, &encoded, &job->proposal.head);
    buf_close(&encoded);
    if (err != OK) {
        job_fail(w, err);
        return;
    }
    record_id(job->proposal.head, job->proposal.head_id);
    job->result_version = next->version - job->group_count;
    job->result_at_ms = next->changed_at_ms - job->group_count;
    job->write_left_before = job->write_left;
    job->write_left = true;
    change_write(w);
}

/*
 * The votes said that the caller may. Since then a batch has waited for its other members, or its
 * node for one vote more, and a revocation may have returned. An offer is not voted on; who may
 * decide a batch is asked by the votes on its record, and the sweep is nobody's.
 */
static enum vault_err
caller_may_still(const struct work *w)
{
    const struct job *job = w->job;
    if (job->ballot.offer || job->role == ROLE_RECORD || job->role == ROLE_SWEEP ||
        PLANTED(vote_without_check) || PLANTED(vote_of_login_unchecked))
        return OK;
    return authority_of_vote(w->c->membership, w->st, job->path, job->purpose,
                             job_record_value(job), job->credential);
}

void
change_propose_new(struct work *w)
{
    enum vault_err err = caller_may_still(w);
    if (err == OK)
        propose(w);
    else
        change_fail_denied(w, err);
}

/* A mistake on purpose: the first version once more, with other shares, under the same ballot. */
static void
deal_again(struct work *w)
{
    struct job *job = w->job;
    struct head *next = arena_alloc(&job->round, sizeof(*next));
    struct buf encoded = {0};
    if (job->finishing || !job->request || !next || head_decode(job->proposal.head, next) != OK ||
        next->kind != HEAD_LIVE || next->version != 1)
        return;
    if (make_versions(w, next, &job->proposal) == OK && head_encode(next, &encoded) == OK &&
        keep(job, &encoded, &job->proposal.head) == OK)
        record_id(job->proposal.head, job->proposal.head_id);
    buf_close(&encoded);
}

/* ---- preconditions ---- */

void
change_answer(struct work *w)
{
    struct job *job = w->job;
    if (job->erases)
        return; /* answered when enough have erased */
    struct reply reply = {.version = job->result_version, .valid_from_ms = job->result_at_ms};
    job_reply(w, &reply);
}

void
change_start_erasing(struct work *w)
{
    struct job *job = w->job;
    job_leave_line(w);
    job_new_round(w);
    membership_incarnations(w->c->membership, &job->replicas, &job->incarnations);
    job->phase = JOB_ERASING;
    change_send_chosen(w, 0);
    job_timer(w, duration_ms(WRITE_AGAIN_MS));
}

static enum vault_err
precondition(const struct job *job)
{
    bool live = job->head && job->head->kind == HEAD_LIVE;
    if (job->kind == REQUEST_CREATE)
        return live ? ERR_ALREADY_EXISTS : OK;
    if (!live)
        return ERR_NOT_FOUND;
    if (job->request->has_expected_version && job->request->expected_version != job->head->version)
        return ERR_VERSION_MISMATCH;
    if (job->request->has_expected_incarnation &&
        memcmp(job->request->expected_incarnation, job->head->incarnation, INCARNATION_BYTES) != 0)
        return ERR_VERSION_MISMATCH;
    return OK;
}

void
change_propose(struct work *w)
{
    struct job *job = w->job;
    if (job->role == ROLE_RECORD) {
        if (job->head)
            settle_record_found(w);
        else
            change_propose_new(w);
        return;
    }
    const struct op_result *result =
        job->head && !PLANTED(operation_outside_head) ? head_find_op(job->head, job->op_id) : NULL;
    if (result) {
        again_start(w, result);
        return;
    }
    /*
     * Since this job first looked so many changes have passed that another attempt under its key may
     * have been one of them and have been forgotten. What this job itself has written without a key
     * is remembered for as long as it lasts.
     */
    uint64_t generation = job->head ? job->head->generation : 0;
    if (!job->looked)
        job->first_generation = generation;
    job->looked = true;
    if (job->keyed && generation >= job->first_generation + KEYED_OPS_MAX) {
        struct reply unknown = {.err = ERR_NO_QUORUM, .phase = PHASE_WRITING};
        job_reply(w, &unknown);
        job_end(w);
        return;
    }
    enum vault_err err =
        request_is_of_record(job->kind) ? identity_precondition(w) : precondition(job);
    if (err == ERR_NOT_FOUND && job->head && job->kind == REQUEST_RECORD_DELETE)
        identity_spread_again(w, err);
    else if (err != OK)
        job_fail(w, err);
    else if (member_may_write(w) && (job->head || !offer_vote_on(w)))
        change_propose_new(w);
}

/* ---- writing ---- */

static void
send_write(struct work *w, unsigned replica)
{
    struct job *job = w->job;
    const struct proposal *p = &job->proposal;
    struct msg *m = job_send(w, MSG_WRITE, replica);
    m->u.write.ballot = p->ballot;
    m->u.write.head = p->head;
    m->u.write.version = p->version;
    m->u.write.dealing = p->dealing;
    m->u.write.boxes = p->boxes;
    m->u.write.group = p->group;
    memcpy(m->u.write.config_hash, w->c->membership->cluster->config_hash, HASH_BYTES);
    m->u.write.incarnations = job->incarnations;
    m->u.write.proof = p->proof;
    m->u.write.origin = p->origin;
    if (p->ballot.offer)
        m->u.write.credential = job->credential;
    metrics_count(w->st->metrics, METRIC_writes_sent);
}

static void
write_to_silent(struct work *w)
{
    for (unsigned i = 0; i < w->job->replicas.count; i++) {
        if (!w->job->answers[i].answered)
            send_write(w, i);
    }
    uint64_t ms = w->job->proposal.ballot.offer ? OFFER_WAIT_MS : WRITE_AGAIN_MS;
    job_timer(w, duration_ms(sim_maybe(w->st, write_timer_early) ? 1 : ms));
}

void
change_write(struct work *w)
{
    struct job *job = w->job;
    proof_of_votes(w);
    job_new_round(w);
    job->phase = JOB_WRITING;
    write_to_silent(w);
}

/* An offer is chosen by all replicas or not at all. */
static unsigned
writes_needed(const struct work *w)
{
    if (w->job->proposal.ballot.offer)
        return w->job->replicas.count - PLANTED(offer_chosen_by_fewer);
    return job_majority(w) - PLANTED(acknowledge_one_early);
}

static uint64_t
written_mask(const struct job *job)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        if (job->answers[i].written)
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

/* Those that have not written get the head with it. */
void
change_send_chosen(struct work *w, uint64_t written)
{
    struct job *job = w->job;
    bool collecting = job->phase == JOB_WRITING || job->phase == JOB_COLLECTING;
    struct bytes proof = collecting ? proof_of_writes(w) : job->proposal.chosen;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        struct msg *m = job_send(w, MSG_CHOSEN, i);
        m->u.chosen.proof = proof;
        m->u.chosen.ballot = job->proposal.ballot;
        memcpy(m->u.chosen.head_id, job->proposal.head_id, ID_BYTES);
        if (!(written >> i & 1))
            m->u.chosen.head = job->proposal.head;
        m->u.chosen.written = written;
        m->u.chosen.incarnations = job->incarnations;
    }
}

bool
job_others_may_answer(const struct work *w)
{
    const struct job *job = w->job;
    const struct membership *ms = w->c->membership;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        uint8_t node = job->replicas.nodes[i];
        if (!job->answers[i].answered && (node == ms->self || ms->members[node].connected))
            return true;
    }
    return false;
}

/* Tells of those that have written. The rest may yet do so: then all hear of it once more. */
static void
tell_so_far(struct work *w)
{
    w->job->chosen_sent = true;
    change_send_chosen(w, written_mask(w->job));
    job_timer(w, duration_ms(COLLECT_MS));
}

/*
 * A notice that some have not written costs each replica the reading and rewriting of its boxes, and
 * is followed by another: so it waits for those who may be a little slower.
 */
static void
collect(struct work *w)
{
    struct job *job = w->job;
    job->phase = JOB_COLLECTING;
    if (sim_maybe(w->st, chosen_late))
        job_timer(w, duration_ms(1000));
    else if (job_others_may_answer(w))
        job_timer(w, duration_ms(CHOSEN_DELAY_MS));
    else
        tell_so_far(w);
}

static void
collected_all(struct work *w)
{
    change_send_chosen(w, written_mask(w->job));
    job_end(w);
}

/* So many have it durable that the head is chosen. */
static void
chosen(struct work *w)
{
    struct job *job = w->job;
    bool all = written_mask(job) == (UINT64_C(1) << job->replicas.count) - 1;
    metrics_count(w->st->metrics, METRIC_changes_chosen);
    job_log(w, LOG_DEBUG, "chosen", OK);
    if (job->finishing && job->settling && job->background) {
        settler_done(w);
        job_leave_line(w);
        if (all)
            collected_all(w);
        else
            collect(w);
    } else if (job->finishing) {
        change_send_chosen(w, written_mask(job));
        change_start_round(w);
    } else if (job->role == ROLE_MEMBER) {
        member_written(w);
    } else if (job->erases) {
        if (arena_copy(&job->proposal_memory, proof_of_writes(w), &job->proposal.chosen) != OK)
            job->proposal.chosen = (struct bytes){0};
        change_start_erasing(w);
    } else if (request_is_of_record(job->kind)) {
        if (arena_copy(&job->proposal_memory, proof_of_writes(w), &job->proposal.chosen) != OK)
            job->proposal.chosen = (struct bytes){0};
        identity_start_spreading(w);
    } else {
        change_answer(w);
        job_leave_line(w);
        if (sim_maybe(w->st, chosen_dropped))
            job_end(w);
        else if (all)
            collected_all(w);
        else
            collect(w);
    }
}

/*
 * No room at any replica is certain: it did not happen, and will not. Anything else may yet be
 * finished by somebody.
 */
static void
refused_write(struct work *w)
{
    struct job *job = w->job;
    job->disk_full = job_refused_with(job, REFUSED_DISK_FULL) > 0;
    if (job_refused_with(job, REFUSED_DISK_FULL) == job->replicas.count && !job->finishing)
        job->write_left = job->write_left_before;
    if (job->disk_full && !job->write_left && job->request && !job->resume_read) {
        job_fail(w, ERR_DISK_FULL);
        return;
    }
    job->contended = true;
    metrics_count(w->st->metrics, METRIC_rounds_contended);
    change_back_off(w);
}

/* With a full disk what the others say decides how it ends. */
static bool
write_is_lost(const struct work *w)
{
    const struct job *job = w->job;
    return job_is_lost(w) && (job_good(job) + job_refused(job) == job->replicas.count ||
                              job_refused_with(job, REFUSED_DISK_FULL) == 0);
}

void
change_on_written(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    const struct msg_written *written = &in->u.written;
    int replica;
    if (job->phase != JOB_WRITING && job->phase != JOB_COLLECTING)
        return;
    if (memcmp(written->head_id, job->proposal.head_id, ID_BYTES) != 0 ||
        ballot_compare(written->ballot, job->proposal.ballot) != 0)
        return;
    struct answer *a = job_answer(w, in, &replica);
    if (!a)
        return;
    a->refusal = written->refusal;
    a->written = written->refusal == REFUSED_NONE &&
                 job_keep_macs(w, a, (struct bytes){0}, written->macs) == OK;
    if (ballot_ms(written->beat) <= w->st->wall_ms + CLOCK_DRIFT_MS_MAX)
        job_must_beat(w, written->beat);
    (void)membership_learn(w->c->membership, &job->replicas, &written->incarnations);
    bool newer = membership_is_outdated(w->c->membership, &job->replicas, &job->incarnations) &&
                 !PLANTED(count_lost_stores_votes);
    if (job->phase == JOB_COLLECTING) {
        if (job_good(job) == job->replicas.count)
            collected_all(w);
    } else if (newer) {
        change_back_off(w);
    } else if (job_good(job) >= writes_needed(w)) {
        chosen(w);
    } else if (offer_is_lost(w)) {
        offer_failed(w);
    } else if (write_is_lost(w)) {
        refused_write(w);
    } else if (written->refusal != REFUSED_NONE && !job->impatient) {
        job->impatient = true;
        job_timer(w, job_patience(w));
    }
}

/* ---- erasing ---- */

/* What an older incarnation said of its store does not count. */
static bool
has_erased(const struct work *w, unsigned replica)
{
    const struct answer *a = &w->job->answers[replica];
    const struct member *member = &w->c->membership->members[w->job->replicas.nodes[replica]];
    return a->erased && a->incarnation >= member->incarnation;
}

static unsigned
erased_count(const struct work *w)
{
    unsigned count = 0;
    for (unsigned i = 0; i < w->job->replicas.count; i++)
        count += has_erased(w, i);
    return count;
}

/*
 * Of so many replicas nothing is left that any key opens, neither shares nor boxes: what the others
 * may have is below the threshold.
 */
bool
job_is_shredded(const struct work *w, unsigned replicas)
{
    return replicas >= cluster_erase_quorum(w->c->membership->cluster);
}

static void
answer_erased(struct work *w)
{
    struct job *job = w->job;
    unsigned shredded = 0;
    for (unsigned i = 0; i < job->replicas.count; i++)
        shredded += has_erased(w, i) && job->answers[i].shredded;
    struct reply reply = {.version = job->result_version,
                          .valid_from_ms = job->result_at_ms,
                          .erased_on = erased_count(w),
                          .required = cluster_erase_quorum(w->c->membership->cluster),
                          .replicas = job->replicas.count,
                          .shredded = job_is_shredded(w, shredded)};
    job_reply(w, &reply);
}

/* Tells everybody that all have erased, so that nobody goes on asking; then the job is done. */
static void
erased_everywhere(struct work *w)
{
    change_send_chosen(w, (UINT64_C(1) << w->job->replicas.count) - 1);
    job_end(w);
}

void
change_on_erased(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    int replica;
    if (memcmp(in->u.erased.head_id, job->proposal.head_id, ID_BYTES) != 0)
        return;
    struct answer *a = job_answer(w, in, &replica);
    if (!a)
        return;
    a->erased = in->u.erased.erased;
    a->shredded = in->u.erased.shredded;
    if (erased_count(w) == job->replicas.count) {
        answer_erased(w);
        erased_everywhere(w);
    } else if (erased_count(w) >= cluster_erase_quorum(w->c->membership->cluster) &&
               !job->past_threshold) {
        job->past_threshold = true;
        job_timer(w, duration_ms(sim_maybe(w->st, erased_early) ? 0 : ERASE_EXTRA_MS));
    }
}

/* ---- timers of the writing side ---- */

void
change_write_timeout(struct work *w)
{
    struct job *job = w->job;
    if (job->phase == JOB_WRITING && job->proposal.ballot.offer) {
        offer_failed(w);
    } else if (job->phase == JOB_WRITING && job->impatient && !write_is_lost(w)) {
        job->impatient = false; /* their disks may be slow */
        job_timer(w, duration_ms(WRITE_AGAIN_MS));
    } else if (job->phase == JOB_WRITING && job_refused(job) > 0) {
        refused_write(w); /* the others are silent: a new round may do without them */
    } else if (job->phase == JOB_WRITING) {
        if (PLANTED(reuse_a_ballot))
            deal_again(w);
        write_to_silent(w);
    } else if (job->phase == JOB_COLLECTING && !job->chosen_sent) {
        tell_so_far(w);
    } else if (job->phase == JOB_COLLECTING) {
        job_end(w);
    } else if (job->phase == JOB_ERASING && job->past_threshold) {
        answer_erased(w);
        job_end(w); /* the repairers go on until all have erased */
    } else if (job->phase == JOB_ERASING) {
        change_send_chosen(w, 0);
        job_timer(w, duration_ms(WRITE_AGAIN_MS));
    }
}

/* Decided, but fewer than required have erased by the deadline: the answer says how many. */
void
change_erase_deadline(struct work *w)
{
    answer_erased(w);
    job_end(w);
}
