/* Reading a value: docs/protocol.md, "Reading". */
#include <assert.h>
#include <string.h>

#include "actors/alarms.h"
#include "actors/coordinator_internal.h"
#include "actors/shard_store.h"
#include "base/planted.h"

/* ---- READ ---- */

static void
ask_read(struct work *w, unsigned replica)
{
    struct job *job = w->job;
    struct msg *m = job_send(w, MSG_READ, replica);
    m->u.read.version = job->want_version;
    memcpy(m->u.read.version_id, job->want_version_id, ID_BYTES);
    m->u.read.credential = job->credential;
    m->u.read.head_only = job->head_only;
    if (job->knows)
        m->u.read.known_id = bytes_of(job->known_id, ID_BYTES);
    job->answers[replica].asked = true;
    metrics_count(w->st->metrics, METRIC_reads_sent);
}

/*
 * Whoever has not answered, in the same round: what was sent before may be on its way still, behind
 * much else, and counts when it comes. Longer each time, so that asking again does not make the way
 * the longer.
 */
static void
ask_read_silent(struct work *w)
{
    struct job *job = w->job;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        if (!job->answers[i].answered)
            ask_read(w, i);
    }
    if (job->silences < READ_DOUBLINGS_MAX)
        job->silences++;
    job_timer(w, duration_ms((uint64_t)READ_TIMEOUT_MS << job->silences));
}

static void
ask_read_rest(struct work *w)
{
    for (unsigned i = 0; i < w->job->replicas.count; i++) {
        if (!w->job->answers[i].asked)
            ask_read(w, i);
    }
    job_timer(w, duration_ms(READ_TIMEOUT_MS));
}

void
read_start(struct work *w)
{
    struct job *job = w->job;
    job_new_round(w);
    job->phase = JOB_READING;
    job->knows = job->attempts == 0 && w->c->options.shard_store &&
                 shard_store_keeps(w->c->options.shard_store, job->path, job->known_id);
    /* The first try costs a majority; later ones ask everybody, for everything. */
    unsigned to_ask = job->attempts++ == 0 ? job_majority(w) : job->replicas.count;
    for (unsigned i = 0; i < to_ask; i++)
        ask_read(w, (unsigned)read_nearest_unasked(w));
    job_timer(w, to_ask < job->replicas.count ? read_hedge_delay(w) : duration_ms(READ_TIMEOUT_MS));
}

/* The version that is to be answered, named by its id. */
static const uint8_t *
wanted_id(const struct job *job)
{
    return job->listed || job->pinned ? job->want_version_id : job->head->version_id;
}

struct gathered {
    const struct answer *sample; /* an answer with the version's record and dealing */
    struct version_record record;
    struct dealing dealing;
    struct share shares[REPLICAS_MAX];
    unsigned count;
    uint64_t missing; /* bit per replica that answered without a good share */
    bool trusted;     /* the shares are as they came */
};

/* The answer holds record and dealing of the wanted version, and they belong together. */
static bool
holds_wanted(const struct job *job, const struct answer *a)
{
    uint8_t id[ID_BYTES], hash[HASH_BYTES];
    struct version_record record;
    if (a->version.size == 0)
        return false;
    if (PLANTED(mix_dealings))
        return true;
    if (a->checked && memcmp(a->checked_id, wanted_id(job), ID_BYTES) == 0)
        return true;
    record_id(a->version, id);
    record_id(a->dealing, hash);
    return memcmp(id, wanted_id(job), ID_BYTES) == 0 && version_decode(a->version, &record) == OK &&
           memcmp(hash, record.dealing_hash, HASH_BYTES) == 0;
}

static bool
is_good(const struct answer *a)
{
    return a->answered && a->refusal == REFUSED_NONE;
}

/* Takes record and dealing from an answer that has them: `checked`, where that is known already. */
static bool
take_sample(const struct job *job, bool checked, struct gathered *g)
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (is_good(a) && a->checked == checked && holds_wanted(job, a) &&
            version_decode(a->version, &g->record) == OK &&
            dealing_decode(a->dealing, (struct bytes){0}, &g->dealing) == OK) {
            g->sample = a;
            return true;
        }
    }
    return false;
}

/* Its share is one of the sample's dealing, as far as its record and dealing tell. */
static bool
is_alike(const struct job *job, const struct answer *a, const struct answer *sample)
{
    if (a->as_known && job->knows && memcmp(job->known_id, wanted_id(job), ID_BYTES) == 0)
        return true;
    if (PLANTED(mix_dealings) && a->version.size > 0)
        return true;
    return bytes_equal(a->version, sample->version) && bytes_equal(a->dealing, sample->dealing);
}

/* As many say that they hold a share as are needed: that all are good shows when they are used. */
static bool
may_trust(const struct job *job, const struct dealing *dealing)
{
    unsigned held = 0;
    for (unsigned i = 0; i < job->replicas.count; i++)
        held += is_good(&job->answers[i]) && job->answers[i].share_state == SHARE_HELD;
    return held == dealing->threshold;
}

static bool
is_share(struct gathered *g, struct share *share)
{
    if (!g->trusted)
        return PLANTED(mix_dealings) || dealing_share_check(&g->dealing, share);
    dealing_share_trust(&g->dealing, share);
    return true;
}

/* `trust`: where that will do, shares are not checked one by one. */
static bool
gather(struct work *w, bool trust, struct gathered *g)
{
    struct job *job = w->job;
    *g = (struct gathered){0};
    if (!take_sample(job, true, g))
        (void)take_sample(job, false, g);
    g->trusted = trust && g->sample && may_trust(job, &g->dealing);
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!is_good(a))
            continue;
        if (!g->sample || !is_alike(job, a, g->sample)) {
            g->missing |= UINT64_C(1) << i;
            continue;
        }
        struct share share = {.x = (uint8_t)(i + 1), .data = secret_bytes(&a->share)};
        if (a->share_state == SHARE_HELD && is_share(g, &share)) {
            g->shares[g->count++] = share;
        } else {
            g->missing |= UINT64_C(1) << i;
            if (a->share_state != SHARE_NONE) {
                alarms_share_bad(w->c->membership, w->st, job->replicas.nodes[i]);
                job_log(w, LOG_WARN, "bad_share", ERR_CORRUPT);
            }
        }
    }
    return g->sample && g->count >= g->dealing.threshold;
}

/* ---- read repair ---- */

/* h* as somebody told it who has it, if possible one that knows it chosen and can prove it. */
static struct accepted
accepted_head(const struct job *job)
{
    struct accepted found = {.state = STATE_CHOSEN, .head = job->head_encoded};
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!a->answered || a->refusal != REFUSED_NONE || a->accepted.state == STATE_ABSENT ||
            memcmp(a->head_id, job->head_id, ID_BYTES) != 0)
            continue;
        bool knows = a->accepted.state == STATE_CHOSEN;
        if (ballot_is_none(found.ballot) || (knows && found.proof.size == 0)) {
            found.ballot = a->accepted.ballot;
            found.proof = knows ? a->accepted.proof : (struct bytes){0};
        }
    }
    return found;
}

static void
repair_one(struct work *w, const struct gathered *g, const struct dealing_place *place,
           unsigned replica)
{
    struct job *job = w->job;
    uint8_t node = job->replicas.nodes[replica];
    struct share share = {.x = (uint8_t)(replica + 1)};
    uint8_t *plain = arena_alloc(w->st->arena, SECRET_BYTES_MAX);
    uint8_t *box = arena_alloc(w->st->arena, BOX_BYTES_MAX);
    size_t plain_size = 0, box_size = 0;
    if (!plain || !box ||
        dealing_recover_share(&g->dealing, g->shares, g->count, share.x, plain, &plain_size) != OK)
        return;
    share.data = bytes_of(plain, plain_size);
    const struct share_key_public *to = &w->c->membership->members[node].share_key;
    if (dealing_box_share(&g->dealing, place, &share, node, to, w->c->options.sender, box,
                          &box_size) == OK) {
        struct msg *m = job_send(w, MSG_SHARE, replica);
        m->op = 0;
        m->u.share.accepted = accepted_head(job);
        m->u.share.version = g->sample->version;
        m->u.share.dealing = g->sample->dealing;
        m->u.share.box = bytes_of(box, box_size);
        m->u.share.repair = true;
        metrics_count(w->st->metrics, METRIC_repairs_staged);
    }
    bytes_wipe(plain, SECRET_BYTES_MAX);
}

static void
send_repair(struct work *w, const struct gathered *g, const struct dealing_place *place)
{
    for (unsigned i = 0; i < w->job->replicas.count; i++) {
        if (g->missing >> i & 1)
            repair_one(w, g, place, i);
    }
}

/*
 * A read of the latest version that knows of few shares more than it needs, at least one missing,
 * sends the missing ones to their owners. Historical reads never repair.
 */
static void
stage_repair(struct work *w, const struct gathered *g, const struct dealing_place *place)
{
    const struct job *job = w->job;
    bool latest = !job->listed && !job->pinned && !job->request->stale;
    if (latest && g->missing != 0 &&
        g->count <= g->dealing.threshold + (unsigned)REPAIR_TRIGGER_BUFFER)
        send_repair(w, g, place);
}

/* ---- the answer ---- */

/*
 * Whoever asks for the head alone: a batch takes its id from the job, others what it says. NULL: it
 * is known to be there, and that is all that is asked.
 */
static void
answer_head(struct work *w, const struct head *head)
{
    struct reply reply = {0};
    if (head) {
        reply.version = head->version;
        reply.metadata = (struct secret_metadata){.oldest_version = head->oldest_version,
                                                  .max_versions = head->max_versions,
                                                  .expires_at_ms = head->expires_at_ms,
                                                  .changed_at_ms = head->changed_at_ms,
                                                  .custom = head->metadata};
    }
    job_reply(w, &reply);
    job_end(w);
}

/*
 * Everybody has been asked and k shares are not there: whoever keeps one in escrow is asked to
 * deliver it.
 */
static void
ask_delivery(struct work *w, uint64_t missing)
{
    struct job *job = w->job;
    for (unsigned owner = 0; owner < job->replicas.count; owner++) {
        for (unsigned i = 0; i < job->replicas.count && (missing >> owner & 1); i++) {
            if (i == owner || (missing >> i & 1))
                continue;
            struct msg *m = job_send(w, MSG_DELIVER, i);
            m->op = 0;
            m->u.deliver.owner = owner;
        }
    }
    job->delivery_asked = true;
    job_wait(w, duration_ms(10));
}

static void
forget_pinned(struct work *w)
{
    struct job *job = w->job;
    job->pinned = false;
    job->seen = false;
    job->want_version = 0;
    memset(job->want_version_id, 0, ID_BYTES);
    job_wait(w, duration_ms(READ_AGAIN_MS));
}

static bool
was_something_left_out(const struct job *job)
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        if (job->answers[i].as_known)
            return true;
    }
    return false;
}

static void
too_few_shares(struct work *w, const struct gathered *g)
{
    struct job *job = w->job;
    if (!g->sample && was_something_left_out(job))
        read_start(w); /* this node has lost what it had */
    else if (!read_all_asked(job))
        ask_read_rest(w);
    else if (!read_all_answered(job))
        return; /* the timer asks again */
    else if (job->pinned)
        forget_pinned(w); /* it has been superseded, and may have gone: what is there now is an
                             answer as well */
    else if (!job->delivery_asked)
        ask_delivery(w, g->missing);
    else
        job_wait(w, duration_ms(50));
}

/* False, and nothing was done: what was gathered on trust is not what it should be. */
static bool
answer_value(struct work *w, const struct gathered *g)
{
    struct job *job = w->job;
    struct dealing_value value;
    struct dealing_place place = {.cluster_id = w->c->membership->cluster->id,
                                  .tenant = job->path.tenant,
                                  .name = job->path.name,
                                  .incarnation = g->record.incarnation,
                                  .version = g->record.version};
    if (w->c->options.master_incorrect) {
        job_fail(w, ERR_MASTER_KEY_INCORRECT);
        return true;
    }
    enum vault_err err = dealing_open(&g->dealing, &place, g->shares, g->count,
                                      w->c->options.master, w->st->arena, &value);
    if (err != OK && g->trusted)
        return false;
    if (err != OK) {
        job_log(w, LOG_ERROR, "value_not_opened", err);
        job_fail(w, err);
        return true;
    }
    enum value_encoding encoding = value.content_type.size > 0 && value.content_type.data[0] == 'a'
                                       ? VALUE_BASE64
                                       : VALUE_TEXT;
    if (job->comparing) {
        again_compare(w, &g->record, value.value, encoding);
        return true;
    }
    stage_repair(w, g, &place);
    struct reply reply = {.version = g->record.version,
                          .valid_from_ms = g->record.valid_from_ms,
                          .valid_to_ms = job->want_valid_to_ms,
                          .value = value.value,
                          .stale = job->request->stale,
                          .encoding = encoding};
    memcpy(reply.incarnation, g->record.incarnation, INCARNATION_BYTES);
    job_reply(w, &reply);
    job_end(w);
    return true;
}

static void
gather_and_answer(struct work *w)
{
    struct gathered g;
    bool answered = gather(w, true, &g) && answer_value(w, &g);
    if (answered)
        return;
    if (g.trusted && gather(w, false, &g))
        answered = answer_value(w, &g);
    if (!answered)
        too_few_shares(w, &g);
}

/* What a chosen head says of the version asked for. */
static bool
exists(const struct work *w, const struct head *head)
{
    const struct job *job = w->job;
    uint64_t version = job->listed ? job->want_version : 0;
    if (!head || head->kind != HEAD_LIVE ||
        (read_is_expired(w, head) && !PLANTED(expired_read_served)))
        return false;
    if (version == 0)
        version = head->version;
    if (version < head->oldest_version || version > head->version)
        return false;
    return job->head_only || head_version_state(head, version) == VERSION_AVAILABLE;
}

/* A head seen at an earlier try, and a later one built on it: it was chosen, and is the answer. */
static bool
pin_seen_head(struct work *w)
{
    struct job *job = w->job;
    if (!job->seen || job->listed || !head_precedes(job, job->seen_head_id))
        return false;
    struct head *head = arena_alloc(&job->round, sizeof(*head));
    if (!head || head_decode(job->pinned_head, head) != OK)
        return false;
    if (head->kind == HEAD_INLINE) {
        identity_answer(w, head);
        return true;
    }
    enum batch_decision decision = BATCH_COMMITTED;
    if (head->kind == HEAD_LIVE && !settle_decision(w, head, &decision))
        return true;
    if (!exists(w, head) || decision != BATCH_COMMITTED) {
        read_absent(w);
        return true;
    }
    if (job->kind == REQUEST_METADATA) {
        answer_head(w, head);
        return true;
    }
    job->pinned = true;
    job->want_version = head->version;
    memcpy(job->want_version_id, head->version_id, ID_BYTES);
    read_start(w);
    return true;
}

/* h* is pending, and does not count or is not known to. True: the job is done with, or sent off. */
static bool
is_nothing_yet(struct work *w)
{
    enum batch_decision decision;
    if (!settle_decision(w, w->job->head, &decision))
        return true;
    if (decision == BATCH_COMMITTED)
        return false;
    read_absent(w);
    return true;
}

void
read_evaluate(struct work *w)
{
    struct job *job = w->job;
    if (!job->pinned && pin_seen_head(w))
        return;
    if (!job->pinned) {
        enum vault_err err = read_settled_head(w);
        if (err == ERR_BUSY) {
            arena_reset(&job->arena_pinned);
            if (arena_copy(&job->arena_pinned, job->head_encoded, &job->pinned_head) != OK)
                job->seen = false;
            return;
        }
        if (err == OK && job->role == ROLE_RECORD) {
            settle_record_found(w);
            return;
        }
        if (err == OK && job->kind == REQUEST_RECORD_GET) {
            identity_answer(w, job->head);
            return;
        }
        if (err != OK || !exists(w, job->head)) {
            if (err != OK)
                job_fail(w, ERR_INTERNAL);
            else
                read_absent(w);
            return;
        }
        if (is_nothing_yet(w))
            return;
    }
    if (job->head_only)
        answer_head(w, job->head);
    else
        gather_and_answer(w);
}

static enum vault_err
keep_state(struct work *w, struct answer *a, const struct msg_state *state)
{
    struct job *job = w->job;
    enum vault_err err = arena_copy(&job->round, state->version, &a->version);
    if (err == OK)
        err = arena_copy(&job->round, state->dealing, &a->dealing);
    a->as_known = state->as_known;
    a->checked = state->own.checked;
    memcpy(a->checked_id, state->own.version_id, ID_BYTES);
    a->share_state = state->share_state;
    if (a->share_state == SHARE_HELD && state->share.size == 0)
        a->share_state = SHARE_BAD;
    if (err == OK && a->share_state == SHARE_HELD)
        err = secret_copy(w->c->options.secrets, state->share, &a->share);
    return err;
}

static unsigned
good_answers_needed(const struct work *w)
{
    return w->job->request->stale || PLANTED(read_below_majority)
               ? w->c->membership->cluster->threshold
               : job_majority(w);
}

void
read_on_state(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    const struct msg_state *state = &in->u.state;
    int replica;
    if (job->phase != JOB_READING)
        return;
    struct answer *a = job_answer(w, in, &replica);
    if (!a)
        return;
    a->refusal = state->refusal;
    const uint8_t *named = state->own.named ? state->own.head_id : NULL;
    if (job_keep_accepted(w, a, &state->accepted, named) != OK || keep_state(w, a, state) != OK ||
        sim_maybe(w->st, read_no_memory)) {
        job_fail(w, ERR_BUSY);
        return;
    }
    if (membership_learn(w->c->membership, &job->replicas, &state->incarnations) ||
        job_answers_outdated(w)) {
        read_start(w); /* what an older incarnation said does not count */
        return;
    }
    if (read_cannot_succeed(w))
        return;
    if (job_good(job) >= good_answers_needed(w))
        read_evaluate(w);
    else if (job_refused(job) > 0 && !read_all_asked(job))
        ask_read_rest(w);
}

void
read_timeout(struct work *w)
{
    struct job *job = w->job;
    struct gathered g;
    if (!read_all_asked(job) && sim_maybe(w->st, hedge_dropped)) {
        job_timer(w, duration_ms(READ_TIMEOUT_MS));
    } else if (!read_all_asked(job)) {
        metrics_count(w->st->metrics, METRIC_reads_hedged);
        ask_read_rest(w);
    } else if (!job->head_only && job_good(job) >= job_majority(w) && !job->delivery_asked &&
               job->head && !gather(w, false, &g)) {
        ask_delivery(w, g.missing);
    } else if (job_refused(job) == 0 && job_good(job) < good_answers_needed(w)) {
        ask_read_silent(w);
    } else {
        read_start(w); /* what was said is not enough, and may have changed */
    }
}

/*
 * A majority answered, but the value could not be put together: that is another fault than too few
 * nodes.
 */
void
read_deadline(struct work *w)
{
    struct job *job = w->job;
    bool settled = job_good(job) >= job_majority(w) && job->head && job->kind == REQUEST_READ &&
                   job->phase != JOB_SETTLING;
    job_fail(w, settled || job->delivery_asked ? ERR_VALUE_UNAVAILABLE : ERR_NO_QUORUM);
}
