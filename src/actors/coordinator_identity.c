/*
 * Identity records: heads with the value in them, on all nodes, and answers to changes that come
 * only when nobody decides by what was there before. docs/protocol.md, "Identity records".
 *
 *   change:  ... WRITING -> SPREADING -> end
 */
#include <assert.h>
#include <string.h>

#include "actors/coordinator_internal.h"
#include "actors/lease.h"
#include "actors/sweep.h"
#include "auth/sweep.h"
#include "base/planted.h"

/* ---- what a change makes ---- */

enum vault_err
identity_fill_head(struct work *w, struct head *next, struct op_result *result)
{
    const struct job *job = w->job;
    bool there = job->head && head_has_value(job->head);
    enum vault_err err = OK;
    next->kind = HEAD_INLINE;
    if (job->kind == REQUEST_RECORD_DELETE) {
        result->kind = CHANGE_DELETE;
        if (job->head)
            next->forget_after_ms = sweep_forget_after(job->head);
    } else if (there) {
        next->value = job->request->value;
        next->version++;
        result->kind = CHANGE_UPDATE;
    } else {
        next->value = job->request->value;
        next->version = 1;
        result->kind = CHANGE_CREATE;
        err = rng_fill(w->st->rng, next->incarnation, INCARNATION_BYTES);
    }
    next->oldest_version = next->version; /* no older value is kept */
    return err;
}

/* The time of the sweep only goes forward. */
static enum vault_err
sweep_precondition(const struct job *job)
{
    uint64_t before_ms = 0, now_ms;
    enum vault_err err = sweep_decode(job->request->value, &now_ms);
    if (err == OK && job->head && head_has_value(job->head))
        err = sweep_decode(job->head->value, &before_ms);
    if (err != OK)
        return err;
    return now_ms > before_ms ? OK : ERR_VERSION_MISMATCH;
}

/* The record of a token ends when it ended before: see sweep.h. */
static bool
may_follow(const struct job *job)
{
    const struct head *head = job->head;
    struct head next = {.path = job->path, .kind = HEAD_INLINE, .value = job->request->value};
    return !head || sweep_may_follow(sweep_forget_after(head), &next, head_has_value(head));
}

enum vault_err
identity_precondition(const struct work *w)
{
    const struct job *job = w->job;
    const struct request *request = job->request;
    bool there = job->head && head_has_value(job->head);
    uint64_t version = there ? job->head->version : 0;
    if (!there && job->kind == REQUEST_RECORD_DELETE)
        return ERR_NOT_FOUND;
    if (request->has_expected_version && request->expected_version != version)
        return there && request->expected_version == 0 ? ERR_ALREADY_EXISTS : ERR_VERSION_MISMATCH;
    if (job->role == ROLE_SWEEP)
        return sweep_precondition(job);
    if (request->never_there && job->head && job->head->kind == HEAD_INLINE)
        return ERR_ALREADY_EXISTS;
    if (job->kind == REQUEST_RECORD_PUT && !may_follow(job))
        return ERR_FORBIDDEN;
    const struct auth_view *view = w->c->membership->records;
    if (!there && view && !auth_view_has_room(view, request->value.size))
        return ERR_BUSY;
    return OK;
}

/* ---- until everybody decides by it ---- */

static void
answer_change(struct work *w)
{
    struct job *job = w->job;
    struct reply reply = {.version = job->result_version, .valid_from_ms = job->result_at_ms};
    if (job->spread_err != OK)
        reply = (struct reply){.err = job->spread_err};
    job_reply(w, &reply);
    job_end(w);
}

/* The head goes to everybody, whether or not they have written it. */
static void
spread(struct work *w)
{
    change_send_chosen(w, 0);
    uint64_t waited_ms = instant_since(w->st->now, w->job->spread_since).ns / 1000000;
    uint64_t left_ms = waited_ms < LEASE_WAIT_MS ? LEASE_WAIT_MS - waited_ms : 0;
    job_timer(w, duration_ms(left_ms < WRITE_AGAIN_MS ? left_ms + 1 : WRITE_AGAIN_MS));
}

void
identity_start_spreading(struct work *w)
{
    struct job *job = w->job;
    job_leave_line(w);
    if (PLANTED(revoke_without_waiting)) {
        change_send_chosen(w, 0);
        answer_change(w);
        return;
    }
    job_new_round(w);
    membership_incarnations(w->c->membership, &job->replicas, &job->incarnations);
    job->phase = JOB_SPREADING;
    job->spread_since = w->st->now;
    spread(w);
}

/*
 * It has happened before, under the same operation; or what is to be deleted is gone. But perhaps
 * whoever did it was never answered, and some node has not heard of it.
 */
void
identity_spread_again(struct work *w, enum vault_err err)
{
    struct job *job = w->job;
    job->spread_err = err;
    arena_reset(&job->proposal_memory);
    job->proposal = (struct proposal){.ballot = job->head_ballot};
    struct bytes proof = proof_of_head(w, &job->proposal.ballot);
    if (arena_copy(&job->proposal_memory, job->head_encoded, &job->proposal.head) != OK ||
        arena_copy(&job->proposal_memory, proof, &job->proposal.chosen) != OK) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    memcpy(job->proposal.head_id, job->head_id, ID_BYTES);
    identity_start_spreading(w);
}

void
identity_on_known(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    int replica;
    if (job->phase != JOB_SPREADING ||
        memcmp(in->u.known.head_id, job->proposal.head_id, ID_BYTES) != 0)
        return;
    struct answer *a = job_answer(w, in, &replica);
    if (!a)
        return;
    if (job_good(job) == job->replicas.count)
        answer_change(w);
}

/* Whoever is silent decides by no record that is older than its lease. */
void
identity_timeout(struct work *w)
{
    if (instant_since(w->st->now, w->job->spread_since).ns >= duration_ms(LEASE_WAIT_MS).ns)
        answer_change(w);
    else
        spread(w);
}

/* ---- the time of the sweep ---- */

static bool
fill_sweep(struct job *job, uint64_t before_ms)
{
    struct request *request = arena_alloc(&job->arena, sizeof(*request));
    struct buf value = {0};
    if (!request)
        return false;
    *request = (struct request){
        .kind = REQUEST_RECORD_PUT, .tenant = job->path.tenant, .name = job->path.name};
    bool made = sweep_encode(before_ms, &value) == OK &&
                arena_copy(&job->arena, buf_bytes(&value), &request->value) == OK;
    buf_close(&value);
    job->request = request;
    return made;
}

void
identity_propose_sweep(struct coordinator *c, const struct step *st, uint64_t before_ms,
                       struct effects *out)
{
    struct path path = sweep_path();
    struct request asked = {.kind = REQUEST_RECORD_PUT, .tenant = path.tenant, .name = path.name};
    if (path_map_find(&c->lines, path))
        return;
    struct job *job = job_new(c, st, &asked);
    struct work w = {c, st, job, out};
    if (!job)
        return;
    job->role = ROLE_SWEEP;
    if (!fill_sweep(job, before_ms)) {
        job->request = NULL;
        job_end(&w);
        return;
    }
    job_start_deadline(&w);
    job_enter_line(&w);
}

/* ---- reading ---- */

void
identity_answer(struct work *w, const struct head *head)
{
    struct reply reply = {.err = ERR_NOT_FOUND};
    struct bytes value;
    if (head && head_has_value(head)) {
        reply = (struct reply){.version = head->version, .valid_from_ms = head->changed_at_ms};
        /* The round goes with the job; the answer outlives it. */
        reply.err = arena_copy(w->st->arena, head->value, &value);
        reply.value = reply.err == OK ? value : (struct bytes){0};
    }
    job_reply(w, &reply);
    job_end(w);
}

/*
 * Of the records here: they are as new as a majority's were within the lease. With `every_node` no
 * node has any besides.
 */
void
identity_list(struct work *w)
{
    const struct request *request = w->job->request;
    const struct membership *ms = w->c->membership;
    size_t max = request->limit;
    struct bytes kind, after;
    const struct auth_record **found =
        arena_alloc(w->st->arena, max * sizeof(struct auth_record *));
    struct record_row *rows = arena_alloc(w->st->arena, max * sizeof(*rows));
    struct reply reply = {.records = rows};
    if (!found || !rows || !record_list_name_split(request->name, &kind, &after)) {
        job_fail(w, found && rows ? ERR_INTERNAL : ERR_NOMEM);
        return;
    }
    if (!lease_is_valid(ms, w->st->now)) {
        job_fail(w, ERR_NOT_READY);
        return;
    }
    if (request->every_node && !PLANTED(every_node_is_enough) && !PLANTED(every_record_is_here) &&
        !lease_covers_all(ms, w->st->now)) {
        job_fail(w, ms->disk_full                  ? ERR_DISK_FULL /* nothing is settled here */
                    : membership_all_connected(ms) ? ERR_NOT_READY
                                                   : ERR_NO_QUORUM);
        return;
    }
    reply.record_count =
        auth_view_list(ms->records, request->tenant, kind, after, found, max, &reply.has_next);
    for (size_t i = 0; i < reply.record_count; i++) {
        struct bytes unused;
        record_path_split(found[i]->link.path, &unused, &rows[i].key);
        rows[i].version = found[i]->version;
        rows[i].value = buf_bytes(&found[i]->value);
    }
    job_reply(w, &reply);
    job_end(w);
}
