/*
 * Several secrets created together, all or none: docs/protocol.md, "Several secrets at once".
 *
 *   HOLDING   every member stands in its line, votes, and is held with its votes when its name is
 *             free. Nothing is written.
 *   WRITING   all are held: each writes its pending head.
 *   DECIDING  all are chosen, or something failed: the record is created, as committed or as
 *             aborted, or is found as somebody else has created it.
 *   SETTLING  the client is answered. The mark is taken off the members, or they are made void.
 *   CLOSING   what is left of the members ends, a few in each step.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/coordinator_internal.h"
#include "base/planted.h"

enum {
    STARTED_PER_STEP = 8, /* messages to all replicas for each */
    ENDED_PER_STEP = 4,   /* ending one may start another's change, and then its settling */
    SETTLING_MAX = 8,     /* under way */
    DETAILS_MS = 200,     /* once one has failed, how long the others may take to say so, too */
    ABORT_MS = 1000,      /* of the request's time are kept for creating the record */
    SLOTS_SPARE = 8,
};

static_assert(STARTED_PER_STEP * (REPLICAS_MAX + 2) + 8 < EFFECTS_MAX, "starting them");
static_assert(ENDED_PER_STEP * 2 * (REPLICAS_MAX + 2) + 8 < EFFECTS_MAX, "ending them");

/* Many members may ask for it in one step, which is to have one timer. */
static void
wake(struct work *w)
{
    if (!w->job->create->waking)
        job_timer(w, duration_ms(0));
    w->job->create->waking = true;
}

static void
wake_after(struct work *w, struct duration after)
{
    if (!w->job->create->waking)
        job_timer(w, after);
}

/* ---- making ---- */

static int
by_hash(const void *a, const void *b)
{
    return memcmp(a, b, BATCH_MEMBER_BYTES);
}

/* The sorted hashes for the record. False: some name comes twice, and results tell which. */
static bool
list_members(struct job *job, struct batch_create *b)
{
    uint8_t(*hashes)[BATCH_MEMBER_BYTES] = (void *)b->hashes;
    bool repeated = false;
    for (size_t i = 0; i < b->count; i++)
        batch_member_hash((struct path){job->path.tenant, b->members[i].request.name}, hashes[i]);
    qsort(hashes, b->count, BATCH_MEMBER_BYTES, by_hash);
    for (size_t i = 0; i < b->count; i++) {
        uint8_t hash[BATCH_MEMBER_BYTES];
        batch_member_hash((struct path){job->path.tenant, b->members[i].request.name}, hash);
        uint8_t(*at)[BATCH_MEMBER_BYTES] =
            bsearch(hash, hashes, b->count, BATCH_MEMBER_BYTES, by_hash);
        assert(at);
        bool below = at > hashes && by_hash(at[-1], hash) == 0;
        bool above = at + 1 < hashes + b->count && by_hash(at[1], hash) == 0;
        if (below || above)
            b->results[i].err = ERR_REPEATED;
        repeated = repeated || below || above;
    }
    return !repeated;
}

static struct batch_create *
create_new(struct work *w)
{
    struct job *job = w->job;
    const struct request *request = job->request;
    size_t count = request->item_count;
    struct batch_create *b = arena_alloc(&job->arena, sizeof(*b));
    if (!b || count == 0 || count > BATCH_ITEMS_MAX)
        return NULL;
    b->members = arena_alloc(&job->arena, count * sizeof(*b->members));
    b->results = arena_alloc(&job->arena, count * sizeof(*b->results));
    b->hashes = arena_alloc(&job->arena, count * BATCH_MEMBER_BYTES);
    if (!b->members || !b->results || !b->hashes ||
        rng_fill(w->st->rng, b->id, BATCH_ID_BYTES) != OK)
        return NULL;
    b->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct batch_item *item = &request->items[i];
        b->members[i].request = (struct request){.kind = REQUEST_CREATE,
                                                 .routed = true,
                                                 .id = request->id,
                                                 .tenant = request->tenant,
                                                 .name = item->name,
                                                 .credential = request->credential,
                                                 .idempotency_key = request->idempotency_key,
                                                 .value = item->value,
                                                 .encoding = item->encoding};
    }
    return b;
}

/*
 * All of them enter their lines in this step, so that two batches at this node have the same order
 * in all lines. Nothing is sent yet.
 */
static bool
members_enter(struct work *w)
{
    struct batch_create *b = w->job->create;
    for (size_t i = 0; i < b->count; i++) {
        struct job *job = job_new(w->c, w->st, &b->members[i].request);
        if (!job)
            return false;
        struct work member = {w->c, w->st, job, w->out};
        b->members[i].job = job;
        job->role = ROLE_MEMBER;
        job->parent = w->job;
        job->part = i;
        job->request = &b->members[i].request;
        memcpy(job->op_id, w->job->op_id, OP_ID_BYTES);
        job_enter_line(&member);
        if (b->members[i].state == MEMBER_FAILED)
            return false;
    }
    return true;
}

void
create_start(struct work *w)
{
    struct job *job = w->job;
    job->phase = JOB_GATHERING;
    struct batch_create *b = create_new(w);
    if (!b) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    if (!list_members(job, b)) {
        struct reply reply = {.err = ERR_REPEATED, .items = b->results, .item_count = b->count};
        job_reply(w, &reply);
        job_end(w);
        return;
    }
    if (w->c->free_slot_count < b->count + SLOTS_SPARE) {
        job_fail(w, ERR_BUSY);
        return;
    }
    job->create = b;
    if (!members_enter(w))
        create_fail(w, ERR_NOMEM);
    else
        wake(w);
}

/* ---- ending ---- */

static void
end_member(struct work *w, size_t i)
{
    struct batch_create *b = w->job->create;
    struct work member = {w->c, w->st, b->members[i].job, w->out};
    if (!member.job)
        return;
    b->members[i].job = NULL;
    member.job->parent = NULL;
    member.job->request = NULL;
    job_end(&member);
}

static void
close_some(struct work *w)
{
    struct batch_create *b = w->job->create;
    size_t until = b->next + ENDED_PER_STEP;
    for (; b->next < b->count && b->next < until; b->next++)
        end_member(w, b->next);
    if (b->next < b->count)
        wake(w);
    else
        job_end(w);
}

static void
begin_stage(struct work *w, enum create_stage stage)
{
    w->job->create->stage = stage;
    w->job->create->next = 0;
    wake(w);
}

/* The values go with the answer: see member_may_go_on(). */
static void
answer(struct work *w, enum vault_err err, enum failed_phase phase)
{
    struct batch_create *b = w->job->create;
    struct reply reply = {.err = err,
                          .phase = phase,
                          .items = b->results,
                          .item_count = b->count,
                          .retry_after_ms = err == ERR_BUSY ? 1000 : 0};
    for (size_t i = 0; i < b->count; i++)
        b->members[i].request.value = (struct bytes){0};
    job_reply(w, &reply);
}

/* Nothing of it has been written. */
void
create_fail(struct work *w, enum vault_err err)
{
    struct batch_create *b = w->job->create;
    if (w->job->request)
        answer(w, err, b->unknown ? PHASE_WRITING : PHASE_VOTING);
    begin_stage(w, STAGE_CLOSING);
}

/* ---- holding ---- */

static void
hold_some(struct work *w)
{
    struct batch_create *b = w->job->create;
    unsigned started = 0;
    for (size_t i = 0; i < b->count; i++) {
        struct create_member *m = &b->members[i];
        if (m->state != MEMBER_TURN)
            continue;
        if (started++ == STARTED_PER_STEP) {
            wake(w);
            return;
        }
        struct work member = {w->c, w->st, m->job, w->out};
        m->state = MEMBER_VOTING;
        change_start_round(&member);
    }
}

/*
 * The earliest of the members' errors. `happened`: it is the same for all, so if one has happened
 * and another has not, that one has been forgotten, or the key belongs to another request; and if
 * the other could not be asked, nobody can say.
 */
static enum vault_err
judge_reports(struct batch_create *b, bool *happened)
{
    size_t count = 0;
    enum vault_err err = OK;
    *happened = false;
    for (size_t i = 0; i < b->count; i++) {
        if (b->members[i].state == MEMBER_FAILED && err == OK)
            err = b->results[i].err;
        count += b->members[i].state == MEMBER_HAPPENED;
    }
    *happened = count > 0;
    if (count == 0 || count == b->count || err == ERR_KEY_REUSED || err == ERR_RESULT_GONE)
        return err;
    if (err != OK && err != ERR_ALREADY_EXISTS)
        return ERR_NO_QUORUM;
    err = ERR_RESULT_GONE;
    for (size_t i = 0; i < b->count; i++) {
        const struct create_member *m = &b->members[i];
        if (m->state == MEMBER_READY && !m->known_before)
            err = ERR_KEY_REUSED;
        if (m->state == MEMBER_FAILED)
            b->results[i].err = ERR_RESULT_GONE;
    }
    return err;
}

/*
 * Another attempt under the same key may have written between the votes of one member and those of
 * another: what was seen before it is asked for once more. True: the answers are waited for.
 */
static bool
ask_ready_again(struct work *w)
{
    struct batch_create *b = w->job->create;
    size_t ready = 0, happened = 0;
    for (size_t i = 0; i < b->count; i++) {
        ready += b->members[i].state == MEMBER_READY;
        happened += b->members[i].state == MEMBER_HAPPENED;
    }
    if (ready == 0 || happened == 0 || b->asked_again)
        return false;
    for (size_t i = 0; i < b->count; i++) {
        if (b->members[i].state == MEMBER_READY)
            b->members[i].state = MEMBER_TURN;
    }
    b->asked_again = true;
    b->reported -= ready;
    wake(w);
    return true;
}

static void
all_reported(struct work *w)
{
    struct batch_create *b = w->job->create;
    bool happened;
    if (ask_ready_again(w))
        return;
    enum vault_err err = judge_reports(b, &happened);
    if (err != OK) {
        create_fail(w, err);
    } else if (happened) {
        answer(w, OK, PHASE_NONE);
        begin_stage(w, STAGE_CLOSING);
    } else {
        begin_stage(w, STAGE_WRITING);
    }
}

/*
 * Under a key all are waited for: whether the batch has happened is seen at those that have made
 * it.
 */
static void
look_at_reports(struct work *w)
{
    struct batch_create *b = w->job->create;
    if (b->reported == b->count ||
        (b->failed > 0 && !w->job->keyed &&
         instant_since(w->st->now, b->failed_at).ns >= duration_ms(DETAILS_MS).ns))
        all_reported(w);
    else if (b->failed > 0)
        wake_after(w, duration_ms(DETAILS_MS));
}

/* ---- writing ---- */

static struct duration
until_abort(const struct work *w)
{
    uint64_t end = w->job->deadline.ns - duration_ms(ABORT_MS).ns;
    return (struct duration){end > w->st->now.ns ? end - w->st->now.ns : 0};
}

static void
decide_as(struct work *w, enum batch_decision decision)
{
    w->job->create->wanted = decision;
    begin_stage(w, STAGE_DECIDING);
}

static void
write_some(struct work *w)
{
    struct batch_create *b = w->job->create;
    unsigned started = 0;
    for (; b->next < b->count && started < STARTED_PER_STEP; b->next++, started++) {
        struct create_member *m = &b->members[b->next];
        struct work member = {w->c, w->st, m->job, w->out};
        m->state = MEMBER_WRITING;
        change_propose_new(&member);
        if (b->stage != STAGE_WRITING)
            return;
    }
    if (b->next < b->count)
        wake(w);
    else if (until_abort(w).ns > 0)
        wake_after(w, until_abort(w));
    else
        decide_as(w, BATCH_ABORTED);
}

/* ---- deciding ---- */

static void
decide_now(struct work *w)
{
    struct batch_create *b = w->job->create;
    struct bytes members = {0};
    if (b->wanted == BATCH_COMMITTED)
        members = bytes_of(b->hashes, b->count * BATCH_MEMBER_BYTES);
    if (!w->job->child && !settle_record(w, b->id, b->wanted, members))
        wake_after(w, duration_ms(SETTLE_AGAIN_MS));
}

static enum vault_err
reason_of_abort(const struct batch_create *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->members[i].state == MEMBER_FAILED)
            return b->results[i].err;
    }
    return b->wanted == BATCH_ABORTED ? ERR_NO_QUORUM : ERR_CONTENDED;
}

void
create_decided(struct work *w, enum vault_err err, enum batch_decision decision)
{
    struct batch_create *b = w->job->create;
    if (b->stage != STAGE_DECIDING)
        return;
    if (err != OK) {
        wake_after(w, duration_ms(SETTLE_AGAIN_MS));
        return;
    }
    b->decision = decision;
    if (decision == BATCH_COMMITTED)
        answer(w, OK, PHASE_NONE);
    else if (w->job->keyed && b->unknown) /* another attempt under the key, not this one */
        answer(w, ERR_NO_QUORUM, PHASE_WRITING);
    else
        answer(w, reason_of_abort(b), PHASE_VOTING);
    begin_stage(w, STAGE_SETTLING);
}

/* ---- settling ---- */

/* Another change stands in the line: it meets the head, or the walk over table 'u' does. */
static void
settle_one(struct work *w, size_t i)
{
    struct batch_create *b = w->job->create;
    const struct job *member = b->members[i].job;
    struct request finish = {.kind = REQUEST_READ, .id = w->job->request_id};
    struct job *job = NULL;
    if (member && b->members[i].state >= MEMBER_WRITING) {
        finish.tenant = member->path.tenant;
        finish.name = member->path.name;
        job = job_new(w->c, w->st, &finish);
    }
    end_member(w, i);
    if (!job)
        return;
    struct work settler = {w->c, w->st, job, w->out};
    job->background = true;
    if (path_map_find(&w->c->lines, job->path)) {
        job_end(&settler);
        return;
    }
    job->role = ROLE_SETTLER;
    job->parent = w->job;
    job->part = i;
    job->settled = true;
    job->batch_decision = b->decision;
    memcpy(job->batch_id, b->id, BATCH_ID_BYTES);
    b->members[i].job = job;
    b->settling++;
    job_enter_line(&settler);
}

static void
settle_some(struct work *w)
{
    struct batch_create *b = w->job->create;
    unsigned started = 0;
    while (b->next < b->count && started < ENDED_PER_STEP && b->settling < SETTLING_MAX) {
        settle_one(w, b->next++);
        started++;
    }
    if (b->next == b->count && b->settling == 0)
        job_end(w);
    else if (b->next < b->count && b->settling < SETTLING_MAX)
        wake(w);
}

void
settler_done(struct work *w)
{
    struct job *job = w->job;
    struct work batch = {w->c, w->st, job->parent, w->out};
    if (job->role != ROLE_SETTLER || !batch.job)
        return;
    struct batch_create *b = batch.job->create;
    job->parent = NULL;
    b->members[job->part].job = NULL;
    b->settling--;
    if (b->stage == STAGE_SETTLING)
        wake(&batch);
}

/* ---- the batch's own events ---- */

void
create_continue(struct work *w)
{
    w->job->create->waking = false;
    switch (w->job->create->stage) {
    case STAGE_HOLDING:
        hold_some(w);
        look_at_reports(w);
        break;
    case STAGE_WRITING: write_some(w); break;
    case STAGE_DECIDING: decide_now(w); break;
    case STAGE_SETTLING: settle_some(w); break;
    case STAGE_CLOSING: close_some(w); break;
    }
}

/*
 * Held up before anything was written: nothing happened. Later, with no record known: nobody can
 * say yet.
 */
void
create_deadline(struct work *w)
{
    struct batch_create *b = w->job->create;
    bool contended = false;
    for (size_t i = 0; i < b->count; i++) {
        const struct job *member = b->members[i].job;
        b->unknown = b->unknown || (member && member->role == ROLE_MEMBER && member->comparing);
        contended =
            contended || (member && member->contended) || b->members[i].state == MEMBER_QUEUED;
    }
    b->unknown = b->unknown || b->stage != STAGE_HOLDING;
    create_fail(w, contended && !b->unknown ? ERR_CONTENDED : ERR_NO_QUORUM);
}

/* ---- what members tell ---- */

static struct create_member *
member_of(const struct work *w, struct work *batch)
{
    const struct job *job = w->job;
    *batch = (struct work){w->c, w->st, job->parent, w->out};
    return job->role == ROLE_MEMBER && job->parent ? &job->parent->create->members[job->part]
                                                   : NULL;
}

void
member_turn(struct work *w)
{
    struct work batch;
    struct create_member *m = member_of(w, &batch);
    assert(m);
    w->job->phase = JOB_HELD;
    m->state = MEMBER_TURN;
    wake(&batch);
}

static void
reported(struct work *batch)
{
    struct batch_create *b = batch->job->create;
    if (++b->reported == b->count && b->stage == STAGE_HOLDING)
        wake(batch);
}

/*
 * The client's request is borrowed until its batch is answered. A member that is still on its way
 * then, with votes for another try, say, or with what it wrote before to compare, has neither a
 * value any more nor anybody who asks for it: it waits until the batch ends it.
 */
bool
member_may_go_on(struct work *w)
{
    struct work batch;
    const struct create_member *m = member_of(w, &batch);
    if (!m || batch.job->request)
        return true;
    w->job->phase = JOB_HELD;
    return false;
}

/* The precondition holds, with votes of a majority. True: it may be written now. */
bool
member_may_write(struct work *w)
{
    struct work batch;
    struct create_member *m = member_of(w, &batch);
    if (!member_may_go_on(w))
        return false;
    if (!m || m->state >= MEMBER_WRITING)
        return true;
    w->job->phase = JOB_HELD;
    m->state = MEMBER_READY;
    m->known_before = w->job->head != NULL;
    reported(&batch);
    return false;
}

void
member_answered(struct work *w, const struct reply *reply)
{
    struct work batch;
    struct create_member *m = member_of(w, &batch);
    struct batch_create *b = batch.job ? batch.job->create : NULL;
    if (!m)
        return;
    b->members[w->job->part].job = NULL; /* it ends by itself */
    w->job->parent = NULL;
    b->results[w->job->part].err = reply->err;
    b->results[w->job->part].version = reply->version;
    b->results[w->job->part].valid_from_ms = reply->valid_from_ms;
    m->state = reply->err == OK ? MEMBER_HAPPENED : MEMBER_FAILED;
    b->unknown = b->unknown || reply->phase == PHASE_WRITING || reply->err == OK;
    if (reply->err != OK && b->failed++ == 0)
        b->failed_at = w->st->now;
    if (b->stage == STAGE_HOLDING) {
        reported(&batch);
        if (b->failed == 1 && b->reported < b->count)
            wake_after(&batch, duration_ms(DETAILS_MS));
    } else if (b->stage == STAGE_WRITING) {
        decide_as(&batch, BATCH_ABORTED);
    }
}

void
member_written(struct work *w)
{
    struct work batch;
    struct create_member *m = member_of(w, &batch);
    struct batch_create *b = batch.job ? batch.job->create : NULL;
    w->job->phase = JOB_HELD;
    if (!m || m->state == MEMBER_WRITTEN)
        return;
    m->state = MEMBER_WRITTEN;
    b->results[w->job->part].version = w->job->result_version;
    b->results[w->job->part].valid_from_ms = w->job->result_at_ms;
    b->written++;
    if (b->stage == STAGE_WRITING && b->written + PLANTED(commit_before_all_chosen) >= b->count)
        decide_as(&batch, BATCH_COMMITTED);
}

bool
member_found_own(struct work *w)
{
    struct work batch;
    struct create_member *m = member_of(w, &batch);
    const struct job *job = w->job;
    if (!m || memcmp(job->head->batch, batch.job->create->id, BATCH_ID_BYTES) != 0)
        return false;
    w->job->result_version = job->head->version;
    w->job->result_at_ms = job->head->ops[0].at_ms;
    member_written(w);
    return true;
}

/* Of two batches that have begun to write and meet, the one with the larger id gives up. */
bool
member_gives_way(struct work *w)
{
    struct work batch;
    struct create_member *m = member_of(w, &batch);
    if (!m || m->state < MEMBER_WRITING ||
        memcmp(batch.job->create->id, w->job->head->batch, BATCH_ID_BYTES) < 0)
        return false;
    job_fail(w, ERR_CONTENDED);
    return true;
}
