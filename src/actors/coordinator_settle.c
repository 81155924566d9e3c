/*
 * Pending heads: whoever meets one that is chosen reads the record of its batch, which says whether
 * it counts. docs/protocol.md, "Several secrets at once".
 */
#include <assert.h>
#include <string.h>

#include "actors/authority.h"
#include "actors/coordinator_internal.h"
#include "base/planted.h"

/* ---- the record ---- */

/* A job on the record's path: reads it, or creates it with `decision` unless one stands. */
static struct job *
record_job(struct work *w, const uint8_t id[static BATCH_ID_BYTES], enum batch_decision decision)
{
    uint8_t name[BATCH_RECORD_NAME_BYTES];
    const struct job *job = w->job;
    struct path path = batch_record_path(job->path.tenant, id, name);
    struct request asked = {.kind = decision == BATCH_UNDECIDED ? REQUEST_READ : REQUEST_CREATE,
                            .routed = true,
                            .id = job->request_id,
                            .tenant = path.tenant,
                            .name = path.name,
                            .credential = job->credential};
    struct job *child = job_new(w->c, w->st, &asked);
    struct request *request = child ? arena_alloc(&child->arena, sizeof(*request)) : NULL;
    if (!request) {
        struct work unused = {w->c, w->st, child, w->out};
        if (child)
            job_end(&unused);
        return NULL;
    }
    *request = asked;
    request->name = child->path.name;
    child->request = request;
    child->role = ROLE_RECORD;
    child->head_only = true;
    child->batch_decision = decision;
    memcpy(child->batch_id, id, BATCH_ID_BYTES);
    return child;
}

bool
settle_record(struct work *w, const uint8_t id[static BATCH_ID_BYTES], enum batch_decision decision,
              struct bytes members)
{
    struct job *child = record_job(w, id, decision);
    if (!child)
        return false;
    assert(!w->job->child);
    child->parent = w->job;
    child->members = members;
    w->job->child = child;
    struct work part = {w->c, w->st, child, w->out};
    if (decision == BATCH_UNDECIDED)
        job_resume(&part);
    else
        job_enter_line(&part);
    return true;
}

void
settle_record_found(struct work *w)
{
    struct job *job = w->job;
    struct reply reply = {.err = OK};
    if (!job->head || job->head->kind != HEAD_RECORD) {
        reply.err = job->head ? ERR_INTERNAL : ERR_NOT_FOUND;
    } else {
        job->batch_decision = job->head->decision;
        if (job->head->decision == BATCH_COMMITTED && job->parent && !job->parent->create &&
            !batch_record_has(job->head, job->parent->path)) {
            job_log(w, LOG_ERROR, "batch_record_without_member", ERR_CORRUPT);
            reply.err = ERR_INTERNAL;
        }
    }
    job_reply(w, &reply);
    job_end(w);
}

/* ---- finding out ---- */

static void
send_off(struct work *w, const uint8_t id[static BATCH_ID_BYTES], enum batch_decision decision)
{
    struct job *job = w->job;
    job->settle_from = job->phase;
    job->settled = false;
    memcpy(job->batch_id, id, BATCH_ID_BYTES);
    job->phase = JOB_SETTLING;
    job->timer = 0; /* the phase's own timers wait, too */
    if (!settle_record(w, id, decision, (struct bytes){0}))
        job_wait(w, duration_ms(SETTLE_AGAIN_MS));
}

bool
settle_decision(struct work *w, const struct head *head, enum batch_decision *out)
{
    struct job *job = w->job;
    *out = BATCH_COMMITTED;
    if (!head_is_pending(head) || PLANTED(read_pending_without_record))
        return true;
    if (job->settled && memcmp(job->batch_id, head->batch, BATCH_ID_BYTES) == 0) {
        *out = job->batch_decision;
        job->settled = job->batch_decision != BATCH_UNDECIDED; /* that may change */
        return true;
    }
    send_off(w, head->batch, BATCH_UNDECIDED);
    return false;
}

void
settle_answered(struct work *w, const struct reply *reply)
{
    struct job *child = w->job;
    struct job *job = child->parent;
    struct work parent = {w->c, w->st, job, w->out};
    job->child = NULL;
    child->parent = NULL;
    if (job->create) {
        create_decided(&parent, reply->err, child->batch_decision);
        return;
    }
    if (reply->err != OK && reply->err != ERR_NOT_FOUND) {
        job_wait(&parent, duration_ms(SETTLE_AGAIN_MS));
        return;
    }
    job->batch_decision = reply->err == OK ? child->batch_decision : BATCH_UNDECIDED;
    job->settled = true;
    job_timer(&parent, duration_ms(0));
}

/*
 * What was read may have come to exist only now, by its batch, and the caller's rights have been
 * taken away before. A change is asked about when it is proposed; how far a deletion is, is no
 * secret.
 */
static enum vault_err
reader_may_still(const struct work *w)
{
    const struct job *job = w->job;
    const struct membership *ms = w->c->membership;
    bool reads = job->settle_from == JOB_READING;
    if ((!reads && job->settle_from != JOB_LISTING) || PLANTED(share_without_check))
        return OK;
    bool value = reads && !job->head_only;
    return value ? authority_of_value(ms, w->st, job->path, job->credential)
                 : authority_of_head(ms, w->st, job->path, job->credential);
}

void
settle_continue(struct work *w)
{
    struct job *job = w->job;
    enum vault_err err = reader_may_still(w);
    if (err != OK) {
        job_fail(w, err);
        return;
    }
    job->phase = job->settle_from;
    job_timer(w, duration_ms(READ_TIMEOUT_MS)); /* what has come meanwhile is asked for again */
    switch ((int)job->phase) {
    case JOB_VOTING: change_with_head(w); break;
    case JOB_READING: read_evaluate(w); break;
    case JOB_LISTING: list_evaluate(w); break;
    case JOB_ASKING: deletion_evaluate(w); break;
    default: assert(false); break; /* no other phase meets pending heads */
    }
}

/*
 * Undecided: its coordinator is probably at work. Who has seen it so for the whole lease takes the
 * decision from it.
 */
void
settle_wait(struct work *w, const struct head *head)
{
    struct job *job = w->job;
    bool first = memcmp(job->undecided_id, head->batch, BATCH_ID_BYTES) != 0;
    if (first) {
        memcpy(job->undecided_id, head->batch, BATCH_ID_BYTES);
        job->undecided_since = w->st->now;
    }
    if (!first &&
        instant_since(w->st->now, job->undecided_since).ns >= duration_ms(BATCH_LEASE_MS).ns)
        send_off(w, head->batch, BATCH_ABORTED);
    else
        job_wait(w, duration_ms(SETTLE_AGAIN_MS));
}

/* ---- overwriting ---- */

static void
propose_head(struct work *w, const struct head *next)
{
    struct job *job = w->job;
    struct buf encoded = {0};
    enum vault_err err = head_encode(next, &encoded);
    if (err == OK)
        err = arena_copy(&job->proposal_memory, buf_bytes(&encoded), &job->proposal.head);
    buf_close(&encoded);
    if (err != OK) {
        job_fail(w, ERR_INTERNAL);
        return;
    }
    record_id(job->proposal.head, job->proposal.head_id);
    job->finishing = true;
    job->settling = true;
    change_write(w);
}

/* What the head had before the batch, of which nothing is kept. */
static void
void_head(struct work *w, struct head *next)
{
    const struct head *pending = w->job->head;
    change_next_head(w, next);
    next->kind = HEAD_VOID;
    next->deleted_before = pending->deleted_before;
    memset(next->op_id, 0, OP_ID_BYTES);
    for (size_t i = 0; i < pending->op_count; i++) {
        if (i > 0 || PLANTED(batch_op_kept_in_void))
            next->ops[next->op_count++] = pending->ops[i];
    }
}

/* A head for a proposal of this round's votes. NULL: no memory, and the job has failed. */
static struct head *
new_head(struct work *w)
{
    struct job *job = w->job;
    struct head *next = arena_alloc(&job->round, sizeof(*next));
    if (!next) {
        job_fail(w, ERR_NOMEM);
        return NULL;
    }
    arena_reset(&job->proposal_memory);
    job->proposal = (struct proposal){.ballot = job->ballot};
    return next;
}

static void
propose_void(struct work *w)
{
    struct head *next = new_head(w);
    if (!next)
        return;
    void_head(w, next);
    propose_head(w, next);
}

void
settle_offer(struct work *w)
{
    struct head *next = new_head(w);
    if (!next)
        return;
    change_next_head(w, next);
    next->kind = HEAD_VOID;
    next->version = next->oldest_version = 1;
    memset(next->op_id, 0, OP_ID_BYTES);
    propose_head(w, next);
}

/*
 * What has expired is deleted by whoever meets it: a change before it goes on, or the repairers.
 * Nobody's operation: no vote of a client's allows it, but what the head says, and each replica's
 * own clock.
 */
static void
propose_expiry(struct work *w)
{
    struct job *job = w->job;
    struct op_result result = {.kind = CHANGE_DELETE};
    struct head *next = new_head(w);
    if (!next)
        return;
    change_next_head(w, next);
    next->kind = HEAD_TOMBSTONE;
    expiry_op_id(job->head_id, next->op_id);
    memcpy(result.op_id, next->op_id, OP_ID_BYTES);
    result.version = next->version;
    result.at_ms = next->changed_at_ms;
    change_remember_op(next, job->head, &result, w->st->wall_ms);
    job_log(w, LOG_INFO, "expired", OK);
    propose_head(w, next);
}

/* The whole of the pending head has come: it is written again without its mark. */
void
settle_with_copy(struct work *w, const struct msg_fetched *copy)
{
    struct job *job = w->job;
    struct proposal *p = &job->proposal;
    struct head *next = arena_alloc(&job->round, sizeof(*next));
    arena_reset(&job->proposal_memory);
    *p = (struct proposal){.ballot = job->ballot};
    if (!next || arena_copy(&job->proposal_memory, copy->version, &p->version) != OK ||
        arena_copy(&job->proposal_memory, copy->dealing, &p->dealing) != OK ||
        arena_copy(&job->proposal_memory, copy->boxes, &p->boxes) != OK) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    *next = *job->head;
    next->generation++;
    memcpy(next->prev, job->head_id, ID_BYTES);
    memset(next->batch, 0, BATCH_ID_BYTES);
    next->deleted_before = false;
    next->changed_at_ms = job->head->changed_at_ms + 1;
    if (next->changed_at_ms < w->st->wall_ms)
        next->changed_at_ms = w->st->wall_ms;
    change_take_limits(w, next);
    propose_head(w, next);
}

/* A background job takes the mark off; a change is itself what comes next. */
static void
take_mark_off(struct work *w)
{
    w->job->unmarking = true;
    job_next_fetch(w);
}

bool
settle_for_change(struct work *w)
{
    struct job *job = w->job;
    enum batch_decision decision;
    if (!head_is_pending(job->head) && read_is_expired(w, job->head) && !job->resume_read) {
        propose_expiry(w);
        return false;
    }
    if (!head_is_pending(job->head))
        return true;
    if (job->resume_read && job->kind != REQUEST_DELETION)
        return true; /* the reader finds out by itself */
    if (member_found_own(w))
        return false;
    if (!settle_decision(w, job->head, &decision))
        return false;
    if (decision == BATCH_UNDECIDED && PLANTED(overwrite_pending_before_decided))
        decision = BATCH_COMMITTED;
    switch (decision) {
    case BATCH_COMMITTED:
        if (!job->background)
            return true;
        take_mark_off(w);
        break;
    case BATCH_ABORTED: propose_void(w); break;
    case BATCH_UNDECIDED:
        job->contended = true;
        if (!member_gives_way(w))
            settle_wait(w, job->head);
        break;
    }
    return false;
}
