/* Reading, histories, and the progress of deletions: docs/protocol.md, "Reading". */
#include <assert.h>
#include <string.h>

#include "actors/coordinator_internal.h"
#include "base/planted.h"

/* ---- what reads, histories and deletions share ---- */

static bool
all_answered(const struct job *job)
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        if (!job->answers[i].answered)
            return false;
    }
    return true;
}

static bool
all_asked(const struct job *job)
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        if (!job->answers[i].asked)
            return false;
    }
    return true;
}

/*
 * Asks again after a short wait: a coordinator that is still active is probably finishing the head.
 * Not chosen after three tries: finishes it, as a change would, and reads on.
 */
void
read_unfinished(struct work *w)
{
    struct job *job = w->job;
    job->seen = true;
    memcpy(job->seen_head_id, job->head_id, ID_BYTES);
    if (job->unfinished_tries < READ_TRIES) {
        job_wait(w, duration_ms((uint64_t)READ_AGAIN_MS << job->unfinished_tries++));
        return;
    }
    job->resume_read = true;
    job->attempts = 0;
    job_enter_line(w);
}

/*
 * The head that this answer is about. ERR_BUSY: not known yet, and the job has been sent to wait.
 * Otherwise job->head is chosen, or NULL when the path is absent.
 */
static enum vault_err
settled_head(struct work *w)
{
    enum head_knowledge knowledge;
    enum vault_err err = job_judge_head(w, &knowledge);
    if (err != OK)
        return err;
    if (knowledge != HEAD_IS_UNFINISHED || PLANTED(answer_unfinished))
        return OK;
    if (w->job->request->stale)
        return OK;
    read_unfinished(w);
    return ERR_BUSY;
}

/* Too many refused for a majority: fails, or asks again after a while. */
static bool
cannot_succeed(struct work *w)
{
    struct job *job = w->job;
    if (job->replicas.count - job_refused(job) >= job_majority(w))
        return false;
    if (job_refused_with(job, REFUSED_DENIED) >= job_majority(w))
        job_fail(w, ERR_NOT_FOUND);
    else
        job_wait(w, duration_ms(50));
    return true;
}

/* ---- READ ---- */

static void
ask_read(struct work *w, unsigned replica)
{
    struct job *job = w->job;
    struct msg *m = job_send(w, MSG_READ, replica);
    m->u.read.version = job->want_version;
    memcpy(m->u.read.version_id, job->want_version_id, ID_BYTES);
    m->u.read.credential = job->credential;
    job->answers[replica].asked = true;
    metrics_count(w->st->metrics, METRIC_reads_sent);
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

/* This node first, then those that are connected, the nearest first. */
static int
nearest_unasked(const struct work *w)
{
    const struct job *job = w->job;
    const struct membership *ms = w->c->membership;
    int best = -1;
    uint64_t best_cost = 0;
    for (int i = 0; i < job->replicas.count; i++) {
        const struct member *member = &ms->members[job->replicas.nodes[i]];
        uint64_t cost = job->replicas.nodes[i] == ms->self ? 0
                        : member->connected                ? 1 + member->round_trip_ns
                                                           : UINT64_MAX;
        if (job->answers[i].asked || (best >= 0 && cost >= best_cost))
            continue;
        best = i;
        best_cost = cost;
    }
    return best;
}

/* Twice the round trip of the slowest that was asked, 2 to 20 ms. */
static struct duration
hedge_delay(const struct work *w)
{
    uint64_t ns = duration_ms(HEDGE_MS_MIN).ns;
    for (unsigned i = 0; i < w->job->replicas.count; i++) {
        const struct member *member = &w->c->membership->members[w->job->replicas.nodes[i]];
        if (w->job->answers[i].asked && 2 * member->round_trip_ns > ns)
            ns = 2 * member->round_trip_ns;
    }
    uint64_t most = duration_ms(HEDGE_MS_MAX).ns;
    return (struct duration){ns < most ? ns : most};
}

void
read_start(struct work *w)
{
    struct job *job = w->job;
    job_new_round(w);
    job->phase = JOB_READING;
    /* The first try costs a majority; later ones ask everybody. */
    unsigned to_ask = job->attempts++ == 0 ? job_majority(w) : job->replicas.count;
    for (unsigned i = 0; i < to_ask; i++)
        ask_read(w, (unsigned)nearest_unasked(w));
    job_timer(w, to_ask < job->replicas.count ? hedge_delay(w) : duration_ms(READ_TIMEOUT_MS));
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
};

/* The answer holds record and dealing of the wanted version, and they belong together. */
static bool
holds_wanted(const struct job *job, const struct answer *a)
{
    uint8_t id[ID_BYTES], hash[HASH_BYTES];
    struct version_record record;
    if (a->version.size == 0)
        return false;
    record_id(a->version, id);
    record_id(a->dealing, hash);
    return memcmp(id, wanted_id(job), ID_BYTES) == 0 && version_decode(a->version, &record) == OK &&
           memcmp(hash, record.dealing_hash, HASH_BYTES) == 0;
}

static bool
gather(struct work *w, struct gathered *g)
{
    struct job *job = w->job;
    *g = (struct gathered){0};
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!a->answered || a->refusal != REFUSED_NONE)
            continue;
        if (!holds_wanted(job, a)) {
            g->missing |= UINT64_C(1) << i;
            continue;
        }
        if (!g->sample) {
            if (version_decode(a->version, &g->record) != OK ||
                dealing_decode(a->dealing, (struct bytes){0}, &g->dealing) != OK)
                continue;
            g->sample = a;
        }
        struct share share = {.x = (uint8_t)(i + 1), .data = secret_bytes(&a->share)};
        if (a->share_state == SHARE_HELD && dealing_share_matches(&g->dealing, &share)) {
            g->shares[g->count++] = share;
        } else {
            g->missing |= UINT64_C(1) << i;
            if (a->share_state != SHARE_NONE) {
                metrics_count(w->st->metrics, METRIC_shares_bad);
                job_log(w, LOG_WARN, "bad_share", ERR_CORRUPT);
            }
        }
    }
    return g->sample && g->count >= g->dealing.threshold;
}

/* ---- read repair ---- */

/* Ballot of the answer that h* was taken from. */
static struct ballot
ballot_of_head(const struct job *job)
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (a->answered && a->refusal == REFUSED_NONE && a->accepted.state != STATE_ABSENT &&
            memcmp(a->head_id, job->head_id, ID_BYTES) == 0)
            return a->accepted.ballot;
    }
    return (struct ballot){0};
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
        m->u.share.accepted = (struct accepted){
            .ballot = ballot_of_head(job), .state = STATE_CHOSEN, .head = job->head_encoded};
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

static void
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
        return;
    }
    enum vault_err err = dealing_open(&g->dealing, &place, g->shares, g->count,
                                      w->c->options.master, w->st->arena, &value);
    if (err != OK) {
        job_log(w, LOG_ERROR, "value_not_opened", err);
        job_fail(w, err);
        return;
    }
    stage_repair(w, g, &place);
    struct reply reply = {
        .version = g->record.version,
        .valid_from_ms = g->record.valid_from_ms,
        .valid_to_ms = job->want_valid_to_ms,
        .value = value.value,
        .stale = job->request->stale,
        .encoding = value.content_type.size > 0 && value.content_type.data[0] == 'a' ? VALUE_BASE64
                                                                                     : VALUE_TEXT};
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

static void
too_few_shares(struct work *w, const struct gathered *g)
{
    struct job *job = w->job;
    if (!all_asked(job))
        ask_read_rest(w);
    else if (!all_answered(job))
        return; /* the timer asks again */
    else if (job->pinned)
        forget_pinned(w); /* it has been superseded, and may have gone: what is there now is an
                             answer as well */
    else if (!job->delivery_asked)
        ask_delivery(w, g->missing);
    else
        job_wait(w, duration_ms(50));
}

/* What the chosen head says of the version asked for. */
static bool
exists(const struct job *job)
{
    if (!job->head || job->head->kind != HEAD_LIVE)
        return false;
    return !job->listed || (job->want_version >= job->head->oldest_version &&
                            job->want_version <= job->head->version);
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
    if (head->kind != HEAD_LIVE) {
        job_fail(w, ERR_NOT_FOUND);
        return true;
    }
    job->pinned = true;
    job->want_version = head->version;
    memcpy(job->want_version_id, head->version_id, ID_BYTES);
    read_start(w);
    return true;
}

static void
evaluate_read(struct work *w)
{
    struct job *job = w->job;
    struct gathered g;
    if (!job->pinned && pin_seen_head(w))
        return;
    if (!job->pinned) {
        enum vault_err err = settled_head(w);
        if (err == ERR_BUSY) {
            arena_reset(&job->arena_pinned);
            if (arena_copy(&job->arena_pinned, job->head_encoded, &job->pinned_head) != OK)
                job->seen = false;
            return;
        }
        if (err != OK || !exists(job)) {
            job_fail(w, err != OK ? ERR_INTERNAL : ERR_NOT_FOUND);
            return;
        }
    }
    if (gather(w, &g))
        answer_value(w, &g);
    else
        too_few_shares(w, &g);
}

static enum vault_err
keep_state(struct work *w, struct answer *a, const struct msg_state *state)
{
    struct job *job = w->job;
    enum vault_err err = arena_copy(&job->round, state->version, &a->version);
    if (err == OK)
        err = arena_copy(&job->round, state->dealing, &a->dealing);
    a->share_state = state->share_state;
    if (a->share_state == SHARE_HELD && state->share.size == 0)
        a->share_state = SHARE_BAD;
    if (err == OK && a->share_state == SHARE_HELD)
        err = secret_copy(w->c->options.secrets, state->share, &a->share);
    return err;
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
    if (job_keep_accepted(w, a, &state->accepted) != OK || keep_state(w, a, state) != OK) {
        job_fail(w, ERR_BUSY);
        return;
    }
    if (membership_learn(w->c->membership, &job->replicas, &state->incarnations)) {
        read_start(w); /* what an older incarnation said does not count */
        return;
    }
    unsigned majority = job_majority(w);
    unsigned enough = job->request->stale ? w->c->membership->cluster->threshold : majority;
    if (cannot_succeed(w))
        return;
    if (job_good(job) >= enough)
        evaluate_read(w);
    else if (job_refused(job) > 0 && !all_asked(job))
        ask_read_rest(w);
}

void
read_timeout(struct work *w)
{
    struct job *job = w->job;
    struct gathered g;
    if (!all_asked(job)) {
        metrics_count(w->st->metrics, METRIC_reads_hedged);
        ask_read_rest(w);
    } else if (job_good(job) >= job_majority(w) && !job->delivery_asked && job->head &&
               !gather(w, &g)) {
        ask_delivery(w, g.missing);
    } else {
        read_start(w);
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
    bool settled = job_good(job) >= job_majority(w) && job->head && job->kind == REQUEST_READ;
    job_fail(w, settled || job->delivery_asked ? ERR_VALUE_UNAVAILABLE : ERR_NO_QUORUM);
}

/* ---- LIST: histories, older versions, points in time ---- */

static void
ask_list(struct work *w, unsigned replica)
{
    struct msg *m = job_send(w, MSG_LIST, replica);
    m->u.list.limit = PAGE_MAX;
    m->u.list.credential = w->job->credential;
    w->job->answers[replica].asked = true;
}

static void
ask_list_rest(struct work *w)
{
    for (unsigned i = 0; i < w->job->replicas.count; i++) {
        if (!w->job->answers[i].asked)
            ask_list(w, i);
    }
    job_timer(w, duration_ms(READ_TIMEOUT_MS));
}

void
list_start(struct work *w)
{
    struct job *job = w->job;
    job_new_round(w);
    job->phase = JOB_LISTING;
    unsigned to_ask = job->attempts++ == 0 ? job_majority(w) : job->replicas.count;
    for (unsigned i = 0; i < to_ask; i++)
        ask_list(w, (unsigned)nearest_unasked(w));
    job_timer(w, to_ask < job->replicas.count ? hedge_delay(w) : duration_ms(READ_TIMEOUT_MS));
}

/* The record of that id among all answers; false: nobody who has answered has it. */
static bool
find_record(struct work *w, const uint8_t id[static ID_BYTES], struct version_record *out)
{
    struct job *job = w->job;
    struct bytes *records = arena_alloc(w->st->arena, PAGE_MAX * sizeof(*records));
    for (unsigned i = 0; records && i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        size_t count = 0;
        if (!a->answered || a->refusal != REFUSED_NONE ||
            bytes_list_decode(a->records, VERSION_BYTES_MAX, records, PAGE_MAX, &count) != OK)
            continue;
        for (size_t r = 0; r < count; r++) {
            uint8_t found[ID_BYTES];
            record_id(records[r], found);
            if (memcmp(found, id, ID_BYTES) == 0)
                return version_decode(records[r], out) == OK;
        }
    }
    return false;
}

struct chain_entry {
    struct version_record record;
    uint8_t id[ID_BYTES];
};

/*
 * Follows the hash chain from the head down to the oldest kept version. False: a record is missing.
 *
 */
static bool
follow_chain(struct work *w, struct chain_entry **out, size_t *count)
{
    const struct head *head = w->job->head;
    size_t most = (size_t)(head->version - head->oldest_version + 1);
    uint8_t id[ID_BYTES];
    *count = 0;
    *out = most <= PAGE_MAX ? arena_alloc(w->st->arena, most * sizeof(**out)) : NULL;
    if (!*out)
        return false;
    memcpy(id, head->version_id, ID_BYTES);
    while (*count < most) {
        struct chain_entry *entry = &(*out)[*count];
        if (!find_record(w, id, &entry->record) || entry->record.version != head->version - *count)
            return false;
        memcpy(entry->id, id, ID_BYTES);
        memcpy(id, entry->record.prev, ID_BYTES);
        (*count)++;
    }
    return true;
}

static uint64_t
valid_to(const struct chain_entry *chain, size_t i)
{
    return i == 0 ? 0 : chain[i - 1].record.valid_from_ms;
}

static void
answer_history(struct work *w, const struct chain_entry *chain, size_t count)
{
    struct job *job = w->job;
    const struct request *request = job->request;
    struct history_row *rows = arena_alloc(w->st->arena, (count + 1) * sizeof(*rows));
    struct reply reply = {.rows = rows};
    if (!rows) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct version_record *r = &chain[i].record;
        if (request->before_version != 0 && r->version >= request->before_version)
            continue;
        if (reply.row_count == request->limit) {
            reply.has_next = true;
            break;
        }
        rows[reply.row_count++] = (struct history_row){.version = r->version,
                                                       .valid_from_ms = r->valid_from_ms,
                                                       .valid_to_ms = valid_to(chain, i),
                                                       .author = r->author};
    }
    job_reply(w, &reply);
    job_end(w);
}

/* An older version, by number or by time: named by its place in the chain, then read by its id. */
static void
read_listed(struct work *w, const struct chain_entry *chain, size_t count)
{
    struct job *job = w->job;
    const struct request *request = job->request;
    for (size_t i = 0; i < count; i++) {
        const struct version_record *r = &chain[i].record;
        bool wanted =
            request->has_at ? r->valid_from_ms <= request->at_ms : r->version == request->version;
        if (!wanted)
            continue;
        job->listed = true;
        job->want_version = r->version;
        memcpy(job->want_version_id, chain[i].id, ID_BYTES);
        job->want_valid_to_ms = valid_to(chain, i);
        job->attempts = 0;
        job->seen = false;
        read_start(w);
        return;
    }
    job_fail(w, ERR_NOT_FOUND);
}

static void
evaluate_list(struct work *w)
{
    struct job *job = w->job;
    struct chain_entry *chain;
    size_t count;
    enum vault_err err = settled_head(w);
    if (err == ERR_BUSY)
        return;
    if (err != OK || !job->head || job->head->kind != HEAD_LIVE) {
        job_fail(w, err != OK ? ERR_INTERNAL : ERR_NOT_FOUND);
        return;
    }
    if (!follow_chain(w, &chain, &count)) {
        if (!all_asked(job))
            ask_list_rest(w); /* the gap is filled from those not asked yet */
        else if (all_answered(job))
            job_wait(w, duration_ms(50));
        return;
    }
    if (job->kind == REQUEST_HISTORY)
        answer_history(w, chain, count);
    else
        read_listed(w, chain, count);
}

void
list_on_versions(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    const struct msg_versions *versions = &in->u.versions;
    int replica;
    if (job->phase != JOB_LISTING)
        return;
    struct answer *a = job_answer(w, in, &replica);
    if (!a)
        return;
    a->refusal = versions->refusal;
    if (job_keep_accepted(w, a, &versions->accepted) != OK ||
        arena_copy(&job->round, versions->records, &a->records) != OK) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    if (membership_learn(w->c->membership, &job->replicas, &versions->incarnations)) {
        list_start(w);
        return;
    }
    if (cannot_succeed(w))
        return;
    if (job_good(job) >= job_majority(w))
        evaluate_list(w);
    else if (job_refused(job) > 0 && !all_asked(job))
        ask_list_rest(w);
}

void
list_timeout(struct work *w)
{
    if (!all_asked(w->job))
        ask_list_rest(w);
    else
        list_start(w);
}

/* ---- ASK_ERASED: progress of a deletion ---- */

void
deletion_start(struct work *w)
{
    struct job *job = w->job;
    job_new_round(w);
    job->phase = JOB_ASKING;
    for (unsigned i = 0; i < job->replicas.count; i++)
        job_send(w, MSG_ASK_ERASED, i);
    job_timer(w, duration_ms(READ_TIMEOUT_MS));
}

static void
answer_deletion(struct work *w)
{
    struct job *job = w->job;
    struct reply reply = {.required = cluster_erase_quorum(w->c->membership->cluster),
                          .replicas = job->replicas.count};
    enum vault_err err = settled_head(w);
    if (err == ERR_BUSY)
        return;
    if (err != OK || !job->head || job->head->kind != HEAD_TOMBSTONE) {
        job_fail(w, err != OK ? ERR_INTERNAL : ERR_NOT_FOUND);
        return;
    }
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (a->answered && a->erased && memcmp(a->head_id, job->head_id, ID_BYTES) == 0)
            reply.erased_on++;
    }
    job_reply(w, &reply);
    job_end(w);
}

void
deletion_on_erased(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    const struct msg_erased *erased = &in->u.erased;
    struct accepted accepted = {erased->ballot, erased->state, erased->head};
    int replica;
    struct answer *a = job_answer(w, in, &replica);
    if (!a)
        return;
    a->erased = erased->erased;
    if (job_keep_accepted(w, a, &accepted) != OK)
        job_fail(w, ERR_NOMEM);
    else if (all_answered(job))
        answer_deletion(w);
}

void
deletion_timeout(struct work *w)
{
    if (job_good(w->job) >= job_majority(w))
        answer_deletion(w); /* those that are away have not erased, as far as anybody knows */
    else
        deletion_start(w);
}
