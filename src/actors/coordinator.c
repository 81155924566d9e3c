/* Jobs: their table, their timers, and which message goes to which of them. */
#include "actors/coordinator.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/authority.h"
#include "actors/coordinator_internal.h"
#include "base/planted.h"
#include "proto/alteration.h"
#include "proto/op_id.h"

enum { SLOT_BITS = 20, ROUND_BITS = 40 };
static const uint64_t slot_mask = (UINT64_C(1) << SLOT_BITS) - 1;

/* ---- table of jobs ---- */

enum vault_err
coordinator_init(struct coordinator *c, const struct coordinator_options *options)
{
    *c = (struct coordinator){.options = *options, .membership = options->membership};
    assert(options->jobs_max > 0);
    assert(options->jobs_max <= slot_mask);
    /*
     * Counted from a random point: an answer to a round before a restart is taken for none of this
     * life.
     */
    c->rounds = options->map_seed & ((UINT64_C(1) << ROUND_BITS) - 1);
    c->last_time = options->issued_ms == 0 ? 0 : options->issued_ms << 16 | 0xffff;
    c->jobs = calloc(options->jobs_max, sizeof(struct job *));
    c->free_slots = calloc(options->jobs_max, sizeof(*c->free_slots));
    if (!c->jobs || !c->free_slots || path_map_init(&c->lines, 1024, options->map_seed) != OK) {
        coordinator_close(c);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < options->jobs_max; i++)
        c->free_slots[c->free_slot_count++] = (uint32_t)(options->jobs_max - 1 - i);
    return OK;
}

static void
drop_answers(struct coordinator *c, struct job *job)
{
    for (unsigned i = 0; i < NODES_MAX; i++)
        secret_free(c->options.secrets, &job->answers[i].share);
    memset(job->answers, 0, sizeof(job->answers));
    job->head = NULL;
    job->head_encoded = (struct bytes){0};
}

static void
job_free(struct job *job)
{
    arena_close(&job->arena);
    arena_close(&job->round);
    arena_close(&job->proposal_memory);
    arena_close(&job->arena_pinned);
    free(job);
}

static void
free_done(struct coordinator *c)
{
    while (c->done) {
        struct job *next = c->done->next;
        job_free(c->done);
        c->done = next;
    }
}

void
coordinator_close(struct coordinator *c)
{
    free_done(c);
    for (size_t i = 0; c->jobs && i < c->options.jobs_max; i++) {
        if (c->jobs[i]) {
            drop_answers(c, c->jobs[i]);
            job_free(c->jobs[i]);
        }
    }
    lines_close(c);
    free(c->jobs);
    free(c->free_slots);
    c->jobs = NULL;
    c->free_slots = NULL;
}

static enum vault_err
job_keep_request(struct job *job, const struct request *request)
{
    enum vault_err err = arena_copy(&job->arena, request->tenant, &job->path.tenant);
    if (err == OK)
        err = arena_copy(&job->arena, request->name, &job->path.name);
    if (err == OK)
        err = arena_copy(&job->arena, request->id, &job->request_id);
    if (err == OK)
        err = arena_copy(&job->arena, request->credential, &job->credential);
    return err;
}

/*
 * The operation's name through every retry, at whatever node: from the caller and the key that the
 * client gave; without a key no other request is a retry of this one.
 */
static enum vault_err
make_op_id(struct job *job, uint8_t node, const struct step *st, const struct request *request)
{
    uint8_t hash[HASH_BYTES];
    struct bytes parts[] = {bytes_of_text("ostraka op 1"), job->caller, request->idempotency_key};
    if (request->idempotency_key.size == 0) {
        enum vault_err err = rng_fill(st->rng, job->op_id, OP_ID_BYTES);
        op_id_mark_unkeyed(job->op_id, node);
        return err;
    }
    hash_parts(parts, 3, hash);
    memcpy(job->op_id, hash, OP_ID_BYTES);
    op_id_mark_keyed(job->op_id);
    job->keyed = true;
    return OK;
}

struct job *
job_new(struct coordinator *c, const struct step *st, const struct request *request)
{
    bool room = c->free_slot_count > 0 && !sim_maybe(st, jobs_full);
    struct job *job = room ? calloc(1, sizeof(*job)) : NULL;
    if (!job)
        return NULL;
    arena_init(&job->arena, JOB_ARENA_BYTES_MAX);
    arena_init(&job->round, JOB_ARENA_BYTES_MAX);
    arena_init(&job->proposal_memory, JOB_ARENA_BYTES_MAX);
    arena_init(&job->arena_pinned, JOB_ARENA_BYTES_MAX);
    char caller[CALLER_BYTES];
    struct bytes who = authority_caller(
        c->membership, (struct path){request->tenant, request->name}, request->credential, caller);
    if (arena_copy(&job->arena, who, &job->caller) != OK || job_keep_request(job, request) != OK ||
        make_op_id(job, c->membership->self, st, request) != OK) {
        job_free(job);
        return NULL;
    }
    job->kind = request->kind;
    job->listed_version = request->version;
    job->started = st->now;
    job->deadline = instant_add(st->now, c->options.deadline);
    membership_replicas(c->membership, job->path, &job->replicas);
    job->slot = c->free_slots[--c->free_slot_count];
    c->jobs[job->slot] = job;
    return job;
}

/* ---- what the handlers use ---- */

void
job_log(const struct work *w, enum log_level level, const char *event, enum vault_err err)
{
    log_event(
        w->st->log, level, "coordinator", event, log_token("request_id", w->job->request_id),
        log_text("operation", w->job->background ? "finish" : request_kind_name(w->job->kind)),
        log_err("outcome", err), log_u64("attempts", w->job->attempts));
}

static uint64_t
new_tag(struct coordinator *c, const struct job *job)
{
    return (++c->rounds & ((UINT64_C(1) << ROUND_BITS) - 1)) << SLOT_BITS | job->slot;
}

void
job_timer(struct work *w, struct duration after)
{
    w->job->timer = new_tag(w->c, w->job);
    effect_timer(w->out, ACTOR_COORDINATOR, w->job->timer, after);
}

void
job_new_round(struct work *w)
{
    drop_answers(w->c, w->job);
    w->job->impatient = false;
    w->job->waited = false;
    arena_reset(&w->job->round);
    w->job->op = new_tag(w->c, w->job);
}

void
job_start_deadline(struct work *w)
{
    w->job->deadline_tag = new_tag(w->c, w->job);
    effect_timer(w->out, ACTOR_COORDINATOR, UINT64_C(1) << 63 | w->job->deadline_tag,
                 w->c->options.deadline);
}

struct msg *
job_send(struct work *w, enum msg_kind kind, unsigned replica)
{
    const struct job *job = w->job;
    struct msg *m = effect_send(w->out, kind, job->replicas.nodes[replica], NULL);
    m->op = job->op;
    m->path = job->path;
    m->request_id = job->request_id;
    return m;
}

void
job_reply(struct work *w, struct reply *reply)
{
    struct job *job = w->job;
    if (!job->request)
        return;
    job->request = NULL;
    job_log(w, LOG_DEBUG, "answered", reply->err);
    if (job->role == ROLE_READ_PART)
        batch_part_answered(w, reply);
    else if (job->role == ROLE_NAME_PART)
        names_part_answered(w, reply);
    else if (job->role == ROLE_MEMBER)
        member_answered(w, reply);
    else if (job->role == ROLE_RECORD)
        settle_answered(w, reply);
    else if (job->role != ROLE_SWEEP)
        effect_reply(w->out, job->exchange, reply);
    group_replied(w, reply);
}

/* Nobody waits any more for what the record says. */
static void
end_child(struct work *w)
{
    struct work child = {w->c, w->st, w->job->child, w->out};
    if (!child.job)
        return;
    w->job->child = NULL;
    child.job->parent = NULL;
    child.job->request = NULL;
    job_end(&child);
}

void
job_end(struct work *w)
{
    struct job *job = w->job;
    if (job->phase == JOB_ENDED)
        return;
    assert(!job->request); /* every client has been answered */
    batch_abandon(w);
    names_abandon(w);
    end_child(w);
    settler_done(w);
    job_leave_line(w);
    drop_answers(w->c, job);
    job->phase = JOB_ENDED;
    w->c->jobs[job->slot] = NULL;
    w->c->free_slots[w->c->free_slot_count++] = job->slot;
    job->next = w->c->done;
    w->c->done = job;
}

/*
 * Errors other than that of the change itself say that nothing happened. A change that is only
 * being compared has happened, and one whose WRITE has left may have, when something failed in this
 * node: its outcome is unknown then.
 */
static bool
may_have_happened(const struct job *job, enum vault_err err)
{
    if (PLANTED(no_memory_as_failure))
        return false;
    bool own_trouble = err == ERR_NOMEM || err == ERR_INTERNAL || err == ERR_ENTROPY;
    return job->comparing ? err != ERR_KEY_REUSED : job->write_left && own_trouble;
}

void
job_fail(struct work *w, enum vault_err err)
{
    struct reply reply = {.err = err};
    if (may_have_happened(w->job, err))
        reply = (struct reply){.err = ERR_NO_QUORUM, .phase = PHASE_WRITING};
    job_reply(w, &reply);
    job_end(w);
}

void
job_wait(struct work *w, struct duration how_long)
{
    w->job->phase = JOB_WAITING;
    job_timer(w, how_long);
}

/* ---- requests ---- */

static bool
needs_list(const struct job *job)
{
    const struct request *request = job->request;
    return request->kind == REQUEST_HISTORY || request->has_at || job->listed_version != 0;
}

void
job_resume(struct work *w)
{
    struct job *job = w->job;
    if (job->line) {
        change_start_round(w);
        return;
    }
    assert(job->request);
    if (job->kind == REQUEST_BATCH)
        batch_start(w);
    else if (job->kind == REQUEST_DELETION)
        deletion_start(w);
    else if (needs_list(job) && !job->listed)
        list_start(w);
    else
        read_start(w);
}

static bool
is_change(enum request_kind kind)
{
    return kind == REQUEST_CREATE || kind == REQUEST_UPDATE || kind == REQUEST_DELETE ||
           kind == REQUEST_ALTER || kind == REQUEST_RECORD_PUT || kind == REQUEST_RECORD_DELETE;
}

static void
start_request(struct work *w)
{
    const struct request *request = w->job->request;
    if (request->kind == REQUEST_RECORD_LIST) {
        identity_list(w);
    } else if (is_change(request->kind)) {
        job_enter_line(w);
    } else if (request->kind == REQUEST_BATCH_CREATE) {
        create_start(w);
    } else if (request->kind == REQUEST_NAMES) {
        names_start(w);
    } else if (request->has_at && !PLANTED(at_without_waiting) &&
               request->at_ms + CLOCK_SKEW_MS_MAX > w->st->wall_ms) {
        /* Nobody's clock may still give out a validity before that time. */
        job_wait(w, duration_ms(request->at_ms + CLOCK_SKEW_MS_MAX - w->st->wall_ms));
    } else {
        job_resume(w);
    }
}

static bool
needs_master_key(const struct coordinator *c, const struct request *request, enum vault_err *err)
{
    bool value = request->kind == REQUEST_CREATE || request->kind == REQUEST_UPDATE ||
                 request->kind == REQUEST_READ || request->kind == REQUEST_BATCH ||
                 request->kind == REQUEST_BATCH_CREATE;
    if (!value || c->membership->cluster->seal == SEAL_NONE)
        return false;
    *err = c->options.master_incorrect ? ERR_MASTER_KEY_INCORRECT : ERR_MASTER_KEY_UNAVAILABLE;
    return c->options.master_incorrect || !c->options.master;
}

static void
on_change(struct coordinator *c, const struct step *st, const struct msg *in, struct effects *out)
{
    const struct request *request = in->u.request.request;
    struct request finish = {
        .kind = REQUEST_READ, .tenant = in->path.tenant, .name = in->path.name};
    struct reply refused = {.err = ERR_BUSY, .retry_after_ms = 1000};
    if (!request && path_map_find(&c->lines, in->path))
        return; /* a change of that path is under way already */
    if (!request && in->u.request.sweep_ms != 0) {
        identity_propose_sweep(c, st, in->u.request.sweep_ms, out);
        return;
    }
    if (request && needs_master_key(c, request, &refused.err)) {
        effect_reply(out, in->u.request.exchange, &refused);
        return;
    }
    struct job *job = job_new(c, st, request ? request : &finish);
    if (!job) {
        if (request)
            effect_reply(out, in->u.request.exchange, &refused);
        return;
    }
    struct work w = {c, st, job, out};
    job->request = request;
    job->exchange = in->u.request.exchange;
    job->background = request == NULL;
    job->head_only = request && request->kind == REQUEST_METADATA;
    job->erases =
        request && (request->kind == REQUEST_DELETE ||
                    (request->kind == REQUEST_ALTER && request->alteration->destroy.count > 0));
    job_start_deadline(&w);
    if (job->background)
        job_enter_line(&w);
    else
        start_request(&w);
}

/* ---- timers ---- */

static void
on_deadline(struct work *w)
{
    struct job *job = w->job;
    bool change = is_change(job->kind);
    struct reply unknown = {.err = ERR_NO_QUORUM, .phase = PHASE_WRITING};
    if (job->phase == JOB_GROUPED) {
        struct work leader = {w->c, w->st, job->leader,
                              w->out}; /* whose deadline is at hand, too */
        on_deadline(&leader);
    } else if (job->create)
        create_deadline(w);
    else if (!job->request)
        job_end(w); /* answered already, or in the background */
    else if (job->phase == JOB_ERASING)
        change_erase_deadline(w);
    else if (job->phase == JOB_SPREADING) {
        job_reply(w, &unknown);
        job_end(w);
    } else if (job->phase == JOB_QUEUED && change && !job->comparing)
        job_fail(w, ERR_CONTENDED); /* its turn never came: nothing of it has left */
    else if (change)
        change_deadline(w);
    else if (job->names)
        names_deadline(w);
    else
        read_deadline(w);
}

static void
on_phase_timer(struct work *w)
{
    switch (w->job->phase) {
    case JOB_WAITING: job_resume(w); break;
    case JOB_VOTING:
    case JOB_FETCHING: change_timeout(w); break;
    case JOB_WRITING:
    case JOB_COLLECTING:
    case JOB_ERASING: change_write_timeout(w); break;
    case JOB_READING: read_timeout(w); break;
    case JOB_LISTING: list_timeout(w); break;
    case JOB_ASKING: deletion_timeout(w); break;
    case JOB_GATHERING:
        if (w->job->create)
            create_continue(w);
        else
            batch_continue(w);
        break;
    case JOB_SETTLING: settle_continue(w); break;
    case JOB_NAMING: names_continue(w); break;
    case JOB_SPREADING: identity_timeout(w); break;
    case JOB_HELD:
    case JOB_QUEUED:
    case JOB_GROUPED:
    case JOB_ENDED: break;
    }
}

static void
on_timer(struct coordinator *c, const struct step *st, uint64_t tag, struct effects *out)
{
    bool deadline = tag >> 63;
    uint64_t plain = tag & ~(UINT64_C(1) << 63);
    struct job *job = c->jobs[plain & slot_mask];
    if (!job)
        return;
    struct work w = {c, st, job, out};
    if (deadline && plain == job->deadline_tag)
        on_deadline(&w);
    else if (!deadline && plain == job->timer)
        on_phase_timer(&w);
}

/* ---- messages ---- */

static void
on_answer(struct work *w, const struct msg *in)
{
    switch ((int)in->kind) {
    case MSG_VOTED: change_on_voted(w, in); break;
    case MSG_WRITTEN: change_on_written(w, in); break;
    case MSG_FETCHED: change_on_fetched(w, in); break;
    case MSG_STATE: read_on_state(w, in); break;
    case MSG_VERSIONS: list_on_versions(w, in); break;
    case MSG_KNOWN: identity_on_known(w, in); break;
    case MSG_ERASED:
        if (w->job->phase == JOB_ERASING)
            change_on_erased(w, in);
        else if (w->job->phase == JOB_ASKING)
            deletion_on_erased(w, in);
        break;
    default: assert(false && "a kind that coordinator_handle does not let through"); break;
    }
}

enum vault_err
coordinator_handle(struct coordinator *c, const struct step *st, const struct msg *in,
                   struct effects *out)
{
    assert(out->count == 0);
    free_done(c);
    switch (in->kind) {
    case MSG_CHANGE: on_change(c, st, in, out); return OK;
    case MSG_TIMER: on_timer(c, st, in->u.timer.tag, out); return OK;
    case MSG_VOTED:
    case MSG_WRITTEN:
    case MSG_FETCHED:
    case MSG_STATE:
    case MSG_VERSIONS:
    case MSG_KNOWN:
    case MSG_ERASED: {
        uint64_t slot = in->op & slot_mask;
        struct job *job = slot < c->options.jobs_max ? c->jobs[slot] : NULL;
        struct work w = {c, st, job, out};
        /* An answer to a round that has ended is no news. */
        if (job && in->op == job->op && path_equal(in->path, job->path))
            on_answer(&w, in);
        return OK;
    }
    case MSG_SCANNED: {
        uint64_t slot = in->op & slot_mask;
        struct job *job = slot < c->options.jobs_max ? c->jobs[slot] : NULL;
        struct work w = {c, st, job, out};
        if (job && in->op == job->op && job->names)
            names_on_scanned(&w, in);
        return OK;
    }
    case MSG_SCAN:
    case MSG_VOTE:
    case MSG_WRITE:
    case MSG_CHOSEN:
    case MSG_READ:
    case MSG_FETCH:
    case MSG_LIST:
    case MSG_SHARE:
    case MSG_SHARED:
    case MSG_HEARTBEAT:
    case MSG_COMPARE:
    case MSG_COMPARED:
    case MSG_ASK_ENTRIES:
    case MSG_ENTRIES:
    case MSG_ASK_ERASED:
    case MSG_DELIVER:
    case MSG_RECOVER:
    case MSG_RECOVERED:
    case MSG_HANDOVER:
    case MSG_HANDED:
    case MSG_HELP:
    case MSG_HELPED:
    case MSG_CHECK:
    case MSG_CHECKED:
    case MSG_ANCHOR:
    case MSG_ANCHORED:
    case MSG_TRAIL:
    case MSG_TRAILED:
    case MSG_REQUEST:
    case MSG_STORED:
    case MSG_LOADED:
    case MSG_PEER_UP:
    case MSG_PEER_DOWN: break;
    }
    return ERR_UNEXPECTED;
}
