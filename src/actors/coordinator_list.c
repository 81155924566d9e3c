/*
 * Histories, older versions and points in time (LIST), and the progress of deletions (ASK_ERASED):
 * docs/protocol.md, "Reading" and "Deleting".
 */
#include <assert.h>
#include <string.h>

#include "actors/coordinator_internal.h"

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
        ask_list(w, (unsigned)read_nearest_unasked(w));
    job_timer(w, to_ask < job->replicas.count ? read_hedge_delay(w) : duration_ms(READ_TIMEOUT_MS));
}

/* A record of an answer, among those of the same version. */
struct listed {
    const struct listed *next;
    struct version_record record;
    struct bytes encoded;
};

/* Records of all answers by their version, from the head's down. */
struct listing {
    const struct listed **of_version;
    size_t versions;
};

/* Errors: ERR_NOMEM, ERR_CORRUPT: it is no list. */
static enum vault_err
list_answer(struct work *w, const struct answer *a, struct listing *listing)
{
    const struct head *head = w->job->head;
    struct bytes *records = arena_alloc(w->st->arena, PAGE_MAX * sizeof(*records));
    size_t count = 0;
    enum vault_err err = records ? OK : ERR_NOMEM;

    if (err == OK)
        err = bytes_list_decode(a->records, VERSION_BYTES_MAX, records, PAGE_MAX, &count);
    for (size_t i = 0; err == OK && i < count; i++) {
        struct version_record record;

        if (version_decode(records[i], &record) != OK || record.version > head->version ||
            head->version - record.version >= listing->versions)
            continue;
        const struct listed **of = &listing->of_version[head->version - record.version];
        struct listed *entry = arena_alloc(w->st->arena, sizeof(*entry));
        if (!entry)
            return ERR_NOMEM;
        *entry = (struct listed){.next = *of, .record = record, .encoded = records[i]};
        *of = entry;
    }
    return err;
}

static enum vault_err
list_answers(struct work *w, size_t versions, struct listing *out)
{
    struct job *job = w->job;
    enum vault_err err = OK;

    *out = (struct listing){.of_version = arena_alloc(w->st->arena, versions * sizeof(void *)),
                            .versions = versions};
    if (!out->of_version)
        return ERR_NOMEM;
    for (size_t i = 0; i < versions; i++)
        out->of_version[i] = NULL;
    for (unsigned i = 0; err != ERR_NOMEM && i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];

        if (a->answered && a->refusal == REFUSED_NONE)
            err = list_answer(w, a, out); /* one that is no list is as good as none */
    }
    return err == ERR_NOMEM ? err : OK;
}

/* Each record is hashed at most once: there can be hundreds. NULL: nobody who answered has it. */
static const struct version_record *
find_record(const struct listed *of_version, const uint8_t id[static ID_BYTES])
{
    for (const struct listed *entry = of_version; entry; entry = entry->next) {
        uint8_t found[ID_BYTES];

        record_id(entry->encoded, found);
        if (memcmp(found, id, ID_BYTES) == 0)
            return &entry->record;
    }
    return NULL;
}

struct chain_entry {
    struct version_record record;
    uint8_t id[ID_BYTES];
};

/*
 * Follows the hash chain from the head down to the oldest kept version. False: a record is missing.
 */
static bool
follow_chain(struct work *w, struct chain_entry **out, size_t *count)
{
    const struct head *head = w->job->head;
    size_t most = (size_t)(head->version - head->oldest_version + 1);
    struct listing listing;
    uint8_t id[ID_BYTES];

    *count = 0;
    *out = most <= PAGE_MAX ? arena_alloc(w->st->arena, most * sizeof(**out)) : NULL;
    if (!*out || list_answers(w, most, &listing) != OK)
        return false;
    memcpy(id, head->version_id, ID_BYTES);
    while (*count < most) {
        const struct version_record *record = find_record(listing.of_version[*count], id);
        struct chain_entry *entry = &(*out)[*count];

        if (!record)
            return false;
        entry->record = *record;
        memcpy(entry->id, id, ID_BYTES);
        memcpy(id, record->prev, ID_BYTES);
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
        enum version_state state = head_version_state(job->head, r->version);
        rows[reply.row_count++] = (struct history_row){.version = r->version,
                                                       .valid_from_ms = r->valid_from_ms,
                                                       .valid_to_ms = valid_to(chain, i),
                                                       .author = r->author,
                                                       .deleted = state == VERSION_DELETED,
                                                       .destroyed = state == VERSION_DESTROYED};
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
        bool wanted = request->has_at ? r->valid_from_ms <= request->at_ms
                                      : r->version == job->listed_version;
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
    read_absent(w);
}

/*
 * A pending head that does not count. About a point in time the answer must stay true, so it waits
 * for the decision.
 */
static bool
is_nothing_yet(struct work *w)
{
    struct job *job = w->job;
    enum batch_decision decision;
    if (!settle_decision(w, job->head, &decision))
        return true;
    if (decision == BATCH_COMMITTED)
        return false;
    if (decision == BATCH_UNDECIDED && job->request->has_at &&
        job->request->at_ms >= job->head->changed_at_ms)
        settle_wait(w, job->head);
    else
        read_absent(w);
    return true;
}

void
list_evaluate(struct work *w)
{
    struct job *job = w->job;
    struct chain_entry *chain;
    size_t count;
    enum vault_err err = read_settled_head(w);
    if (err == ERR_BUSY)
        return;
    if (err != OK) {
        job_fail(w, ERR_INTERNAL);
        return;
    }
    if (!job->head || job->head->kind != HEAD_LIVE || read_is_expired(w, job->head)) {
        read_absent(w);
        return;
    }
    if (is_nothing_yet(w))
        return;
    if (!follow_chain(w, &chain, &count)) {
        if (!read_all_asked(job))
            ask_list_rest(w); /* the gap is filled from those not asked yet */
        else if (read_all_answered(job))
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
    if (job_keep_accepted(w, a, &versions->accepted, NULL) != OK ||
        arena_copy(&job->round, versions->records, &a->records) != OK) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    if (membership_learn(w->c->membership, &job->replicas, &versions->incarnations) ||
        job_answers_outdated(w)) {
        list_start(w);
        return;
    }
    if (read_cannot_succeed(w))
        return;
    if (job_good(job) >= job_majority(w))
        list_evaluate(w);
    else if (job_refused(job) > 0 && !read_all_asked(job))
        ask_list_rest(w);
}

void
list_timeout(struct work *w)
{
    if (!read_all_asked(w->job))
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

/*
 * Pending: decided, it counts or is made void, and a void says whether a deletion lies below it.
 * True: the job is busy with that.
 */
static bool
deletion_settles(struct work *w)
{
    struct job *job = w->job;
    enum batch_decision decision;
    if (!settle_decision(w, job->head, &decision))
        return true;
    if (decision == BATCH_COMMITTED)
        return false;
    if (decision == BATCH_UNDECIDED) {
        settle_wait(w, job->head);
    } else {
        job->resume_read = true;
        job->attempts = 0;
        job_enter_line(w);
    }
    return true;
}

void
deletion_evaluate(struct work *w)
{
    struct job *job = w->job;
    struct reply reply = {.required = cluster_erase_quorum(w->c->membership->cluster),
                          .replicas = job->replicas.count};
    unsigned shredded = 0;
    enum vault_err err = read_settled_head(w);
    if (err == ERR_BUSY)
        return;
    if (err == OK && job->head && deletion_settles(w))
        return;
    bool deleted = job->head && (job->head->kind == HEAD_TOMBSTONE ||
                                 (job->head->kind == HEAD_VOID && job->head->deleted_before));
    if (err != OK || !deleted) {
        job_fail(w, err != OK ? ERR_INTERNAL : ERR_NOT_FOUND);
        return;
    }
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!a->answered || !a->erased || memcmp(a->head_id, job->head_id, ID_BYTES) != 0)
            continue;
        reply.erased_on++;
        shredded += a->shredded;
    }
    reply.version = job->head->version;
    reply.valid_from_ms = job->head->changed_at_ms;
    reply.shredded = job_is_shredded(w, shredded);
    job_reply(w, &reply);
    job_end(w);
}

void
deletion_on_erased(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    const struct msg_erased *erased = &in->u.erased;
    struct accepted accepted = {
        .ballot = erased->ballot, .state = erased->state, .head = erased->head};
    int replica;
    struct answer *a = job_answer(w, in, &replica);
    if (!a)
        return;
    a->erased = erased->erased;
    a->shredded = erased->shredded;
    if (job_keep_accepted(w, a, &accepted, NULL) != OK)
        job_fail(w, ERR_NOMEM);
    else if (read_all_answered(job))
        deletion_evaluate(w);
}

void
deletion_timeout(struct work *w)
{
    if (job_good(w->job) >= job_majority(w))
        deletion_evaluate(w); /* those that are away have not erased, as far as anybody knows */
    else
        deletion_start(w);
}
