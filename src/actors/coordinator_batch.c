/*
 * Several secrets in one request: docs/protocol.md, "Several secrets at once". A batch is a job that
 * has no path of its own; each of its secrets is a job like any other, whose answer comes here.
 */
#include <assert.h>
#include <string.h>

#include "actors/coordinator_internal.h"
#include "base/planted.h"

enum {
    PARTS_PER_STEP = 8,      /* started in one step, so that its effects stay bounded */
    PARTS_UNDER_WAY_MAX = 8, /* ending them all may start as many changes that waited behind them */
    COMPARISONS_MAX = 5,     /* of all heads; then somebody is writing faster than can be read */
};

static_assert((PARTS_PER_STEP + 1) * REPLICAS_MAX < EFFECTS_MAX, "starting them");
static_assert((PARTS_UNDER_WAY_MAX + 1) * REPLICAS_MAX < EFFECTS_MAX, "ending them");

/* ---- making ---- */

static void
part_init(struct batch_part *part, const struct request *request, const struct batch_item *item)
{
    part->request = (struct request){.kind = REQUEST_READ,
                                     .routed = true,
                                     .id = request->id,
                                     .tenant = request->tenant,
                                     .name = item->name,
                                     .credential = request->credential,
                                     .version = item->version,
                                     .has_at = request->has_at && item->version == 0,
                                     .at_ms = request->at_ms};
    part->wanted = true;
}

static struct batch *
batch_new(struct job *job)
{
    const struct request *request = job->request;
    size_t count = request->item_count;
    struct batch *b = arena_alloc(&job->arena, sizeof(*b));
    if (!b || count > BATCH_ITEMS_MAX)
        return NULL;
    b->parts = arena_alloc(&job->arena, count * sizeof(*b->parts) + 1);
    b->results = arena_alloc(&job->arena, count * sizeof(*b->results) + 1);
    if (!b->parts || !b->results)
        return NULL;
    b->count = count;
    for (size_t i = 0; i < count; i++)
        part_init(&b->parts[i], request, &request->items[i]);
    return b;
}

void
batch_start(struct work *w)
{
    struct job *job = w->job;
    job->phase = JOB_GATHERING;
    job->batch = batch_new(job);
    if (!job->batch)
        job_fail(w, ERR_NOMEM);
    else
        batch_continue(w);
}

/* ---- ending ---- */

void
batch_abandon(struct work *w)
{
    struct batch *b = w->job->batch;
    for (size_t i = 0; b && i < b->count; i++) {
        struct work part = {w->c, w->st, b->parts[i].job, w->out};
        if (!part.job)
            continue;
        b->parts[i].job = NULL;
        part.job->request = NULL;
        job_end(&part);
    }
    w->job->batch = NULL;
}

static void
answer_batch(struct work *w, enum vault_err err)
{
    const struct batch *b = w->job->batch;
    struct reply reply = {.err = err, .items = b->results, .item_count = b->count};
    job_reply(w, &reply);
    job_end(w);
}

/* ---- rounds ---- */

static void
next_round(struct work *w, bool comparing)
{
    struct batch *b = w->job->batch;
    b->comparing = comparing;
    b->next = 0;
    for (size_t i = 0; i < b->count; i++) {
        b->parts[i].wanted = comparing || b->parts[i].changed;
        b->parts[i].changed = false;
    }
    job_timer(w, duration_ms(0));
}

/* The first of the items' errors, in their order; OK: none has any. */
static enum vault_err
first_error(const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->results[i].err != OK)
            return b->results[i].err;
    }
    return OK;
}

static bool
anything_changed(const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->parts[i].changed)
            return true;
    }
    return false;
}

static void
round_ended(struct work *w)
{
    struct batch *b = w->job->batch;
    enum vault_err err = first_error(b);
    /* What was there at a time in the past does not change any more. */
    if (err != OK || b->count == 1 || w->job->request->has_at || PLANTED(batch_read_once))
        answer_batch(w, err);
    else if (!b->comparing)
        next_round(w, true);
    else if (!anything_changed(b))
        answer_batch(w, OK);
    else if (++b->rounds == COMPARISONS_MAX)
        answer_batch(w, ERR_CONTENDED);
    else
        next_round(w, false);
}

/* ---- parts ---- */

/* False: no room for one more now. */
static bool
start_part(struct work *w, size_t number)
{
    struct batch *b = w->job->batch;
    struct batch_part *part = &b->parts[number];
    struct job *job = job_new(w->c, w->st, &part->request);
    if (!job)
        return false;
    struct work child = {w->c, w->st, job, w->out};
    part->job = job;
    part->wanted = false;
    b->under_way++;
    job->role = ROLE_READ_PART;
    job->parent = w->job;
    job->part = number;
    job->request = &part->request;
    job->head_only = b->comparing;
    job_resume(&child);
    return true;
}

/* Starts what may be started; the others follow in later steps, or when some have ended. */
void
batch_continue(struct work *w)
{
    struct batch *b = w->job->batch;
    unsigned started = 0;
    bool room = true;
    while (b->next < b->count && started < PARTS_PER_STEP && b->under_way < PARTS_UNDER_WAY_MAX) {
        bool wanted = b->parts[b->next].wanted;
        room = !wanted || start_part(w, b->next);
        if (!room)
            break;
        started += wanted;
        b->next++;
    }
    if (b->next == b->count && b->under_way == 0)
        round_ended(w);
    else if (!room && b->under_way == 0)
        answer_batch(w, ERR_BUSY); /* there was no room for even one */
    else if (b->next < b->count && b->under_way < PARTS_UNDER_WAY_MAX)
        job_timer(w, duration_ms(0));
}

/* The head that the part's answer is about. */
static const uint8_t *
head_answered(const struct job *part)
{
    return part->pinned ? part->seen_head_id : part->head_id;
}

static enum vault_err
keep_value(struct batch *b, struct job *parent, const struct reply *reply,
           struct item_result *result)
{
    b->value_bytes += reply->value.size;
    if (b->value_bytes > BATCH_VALUES_BYTES_MAX)
        return ERR_TOO_LARGE;
    return arena_copy(&parent->arena, reply->value, &result->value);
}

static void
take_value(struct batch *b, struct job *part, const struct reply *reply)
{
    struct item_result *result = &b->results[part->part];
    b->value_bytes -= result->value.size;
    *result = (struct item_result){.err = reply->err,
                                   .version = reply->version,
                                   .valid_from_ms = reply->valid_from_ms,
                                   .valid_to_ms = reply->valid_to_ms,
                                   .encoding = reply->encoding};
    memcpy(result->incarnation, reply->incarnation, INCARNATION_BYTES);
    if (reply->err == OK)
        result->err = keep_value(b, part->parent, reply, result);
    memcpy(b->parts[part->part].head_id, head_answered(part), ID_BYTES);
}

/* What has gone since has changed: the next round finds out that it is not there. */
static void
compare_head(struct batch *b, const struct job *part, const struct reply *reply)
{
    struct batch_part *p = &b->parts[part->part];
    if (reply->err != OK && reply->err != ERR_NOT_FOUND)
        b->results[part->part].err = reply->err;
    else
        p->changed = reply->err != OK || memcmp(head_answered(part), p->head_id, ID_BYTES) != 0;
}

void
batch_part_answered(struct work *w, const struct reply *reply)
{
    struct job *part = w->job;
    struct work batch = {w->c, w->st, part->parent, w->out};
    struct batch *b = batch.job->batch;
    b->parts[part->part].job = NULL;
    b->under_way--;
    if (b->comparing)
        compare_head(b, part, reply);
    else
        take_value(b, part, reply);
    job_timer(&batch, duration_ms(0));
}
