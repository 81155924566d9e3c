/*
 * What the steps want of the store: requests are gathered during a turn and made at its end, here
 * where that is quicker than to wake a storage thread, else there; what comes back is delivered.
 */
#include <string.h>

#include "runtime/reactor_internal.h"
#include "store/storage_io.h"

enum {
    STORAGE_ARENA_BYTES_MAX = 64 * 1024 * 1024,
    STORAGE_ROUNDS_MAX = 4, /* in one turn */
};

static size_t
changes_bytes(const struct store_change *changes, size_t count)
{
    size_t bytes = count * sizeof(*changes);
    for (size_t i = 0; i < count; i++)
        bytes += changes[i].key.size + changes[i].value.size;
    return bytes;
}

static struct bytes
put_copy(uint8_t **at, struct bytes from)
{
    struct bytes copy = bytes_of(*at, from.size);
    if (from.size == 0)
        return (struct bytes){0};
    memcpy(*at, from.data, from.size);
    *at += from.size;
    return copy;
}

/*
 * Copies of everything, in one piece, since the request travels to another thread and the step's
 * memory ends before.
 */
static enum vault_err
copy_changes(struct storage_request *q, const struct effect *effect)
{
    const struct store_change *changes = effect->u.store.changes;
    size_t count = effect->u.store.count;
    q->changes = arena_alloc_last(&q->arena, changes_bytes(changes, count));
    if (!q->changes)
        return ERR_NOMEM;
    uint8_t *at = (uint8_t *)(q->changes + count);
    q->change_count = count;
    for (size_t i = 0; i < count; i++) {
        q->changes[i].kind = changes[i].kind;
        q->changes[i].key = put_copy(&at, changes[i].key);
        q->changes[i].value = put_copy(&at, changes[i].value);
    }
    return OK;
}

static enum vault_err
copy_keys(struct storage_request *q, const struct effect *effect)
{
    q->key_count = effect->u.load.count;
    q->keys = arena_alloc(&q->arena, q->key_count * sizeof(*q->keys));
    for (size_t i = 0; q->keys && i < q->key_count; i++) {
        if (arena_copy(&q->arena, effect->u.load.keys[i], &q->keys[i]) != OK)
            return ERR_NOMEM;
    }
    return q->keys ? arena_copy(&q->arena, effect->u.load.along, &q->along_prefix) : ERR_NOMEM;
}

static enum vault_err
fill_request(struct storage_request *q, const struct effect *effect)
{
    if (effect->kind == EFFECT_STORE)
        return copy_changes(q, effect);
    if (effect->kind == EFFECT_LOAD)
        return copy_keys(q, effect);
    q->limit = effect->u.scan.limit;
    q->with_values = effect->u.scan.with_values;
    enum vault_err err = arena_copy(&q->arena, effect->u.scan.prefix, &q->prefix);
    return err != OK ? err : arena_copy(&q->arena, effect->u.scan.after, &q->after);
}

static void
storage_push(struct storage_list *list, struct storage_request *q)
{
    q->next = NULL;
    if (list->last)
        list->last->next = q;
    else
        list->first = q;
    list->last = q;
}

static struct storage_request *
storage_take(struct storage_list *list)
{
    struct storage_request *first = list->first;
    *list = (struct storage_list){0};
    return first;
}

static void
storage_push_all(struct storage_list *list, struct storage_request *q)
{
    while (q) {
        struct storage_request *next = q->next;
        storage_push(list, q);
        q = next;
    }
}

/* What needs no storage thread. It comes back after the step, like every completion. */
static void
complete_later(struct reactor *r, struct storage_request *q, enum vault_err err)
{
    q->err = err;
    storage_push(&r->ready, q);
}

/* Committed, or handed over, at the end of the turn with all else that came of it. */
void
reactor_storage_ask(struct reactor *r, const struct effect *effect)
{
    enum storage_request_kind kind = effect->kind == EFFECT_STORE  ? STORAGE_COMMIT
                                     : effect->kind == EFFECT_LOAD ? STORAGE_LOAD
                                                                   : STORAGE_SCAN;
    struct storage_request *q = storage_request_new(kind, STORAGE_ARENA_BYTES_MAX);
    if (!q) {
        reactor_stop(r, ERR_NOMEM); /* the path would wait for ever: better start anew */
        return;
    }
    q->tag = effect->tag;
    q->owner = (uint32_t)effect->actor;
    if (effect->kind == EFFECT_STORE)
        q->need = effect->u.store.need;
    enum vault_err err = fill_request(q, effect);
    if (err != OK)
        complete_later(r, q, err);
    else
        storage_push(kind == STORAGE_COMMIT ? &r->commits : &r->reads, q);
}

/*
 * The loop waits for the file, as it does for that of the share keys: it is small, and written twice
 * in a round of shredding. A failure is nothing that the process must end of.
 */
void
reactor_storage_save_keys(struct reactor *r, const struct effect *effect)
{
    struct storage_request *q = storage_request_new(STORAGE_COMMIT, STORAGE_ARENA_BYTES_MAX);
    if (!q) {
        reactor_stop(r, ERR_NOMEM);
        return;
    }
    q->tag = effect->tag;
    q->owner = (uint32_t)effect->actor;
    enum vault_err err = r->options.save_bucket_keys(r->options.save_context);
    complete_later(r, q, err == ERR_IO || err == ERR_CORRUPT ? ERR_BUSY : err);
}

/* ---- completions ---- */

static void
deliver_rows(struct reactor *r, struct storage_request *q)
{
    struct msg msg = {.kind = MSG_LOADED, .u.loaded = {.tag = q->tag, .err = q->err}};
    struct loaded_row *rows = NULL;
    if (q->err == OK) {
        rows = arena_alloc(&q->arena, (q->row_count + 1) * sizeof(*rows));
        msg.u.loaded.err = rows ? OK : ERR_NOMEM;
    }
    for (size_t i = 0; rows && i < q->row_count; i++)
        rows[i] = (struct loaded_row){.key = q->rows[i].key,
                                      .value = q->rows[i].value,
                                      .found = q->kind == STORAGE_SCAN || q->found[i]};
    msg.u.loaded.rows = rows;
    msg.u.loaded.count = rows ? q->row_count : 0;
    msg.u.loaded.more = q->more;
    if (rows && q->kind == STORAGE_LOAD)
        msg.u.loaded.along = (struct loaded_row){
            .key = q->along.key, .value = q->along.value, .found = q->along.key.size > 0};
    reactor_deliver(r, (enum actor_id)q->owner, &msg);
}

static void
deliver_completion(struct reactor *r, struct storage_request *q)
{
    if (q->kind != STORAGE_COMMIT) {
        deliver_rows(r, q);
        return;
    }
    if (q->err == ERR_IO || q->err == ERR_CORRUPT) {
        log_event(r->options.log, LOG_ERROR, "reactor", "storage_failed", log_err("error", q->err));
        reactor_stop(r, ERR_IO);
    }
    struct msg msg = {.kind = MSG_STORED, .u.stored = {.tag = q->tag, .err = q->err}};
    reactor_deliver(r, (enum actor_id)q->owner, &msg);
}

/* Only what is durable counts: others hold the node to it after a crash. */
void
reactor_tell_sequence(struct reactor *r)
{
    struct store_mark mark;
    r->options.store->ops->durable(r->options.store, &mark);
    node_set_sequence(r->node, mark.sequence);
}

static void
deliver_completions(struct reactor *r, struct storage_request *list)
{
    while (list) {
        struct storage_request *next = list->next;
        deliver_completion(r, list);
        storage_request_free(list);
        list = next;
    }
}

void
reactor_storage_event(evutil_socket_t fd, short what, void *context)
{
    struct reactor *r = context;
    (void)fd;
    if (!(what & EV_READ))
        return; /* only woken, for what is ready */
    struct storage_request *list = storage_io_drain(r->options.storage);
    reactor_tell_sequence(r);
    deliver_completions(r, list);
}

void
reactor_write_trail(struct reactor *r)
{
    struct step st;
    if (!r->in_turn)
        return;
    reactor_step(r, &st);
    node_turn_write(r->node, &st, &r->executor);
    reactor_step_done(r);
}

static bool
needs_sync(const struct storage_request *list)
{
    while (list && list->need != STORE_DURABLE)
        list = list->next;
    return list != NULL;
}

/* Takes what needs only be written: blocks of the audit trail, of which each follows another. */
static struct storage_request *
take_written(struct storage_request **list)
{
    struct storage_list written = {0}, others = {0};
    while (*list) {
        struct storage_request *next = (*list)->next;
        storage_push((*list)->need == STORE_WRITTEN ? &written : &others, *list);
        *list = next;
    }
    *list = others.first;
    return written.first;
}

/*
 * What needs a sync waits for the end of the turn, and what comes after it must not overtake it;
 * but a block of the audit trail may, and does where answers wait for it, mostly of reads, which
 * have nothing to do with the disk. Else it shares the transaction of what its records are of.
 */
static void
commit_here(struct reactor *r)
{
    struct storage_io *io = r->options.storage;
    struct storage_request *commits = storage_take(&r->commits);
    bool syncs = r->later.first || needs_sync(commits);
    if (!syncs && (!commits || storage_io_run(io, commits))) {
        storage_push_all(&r->ready, commits);
        return;
    }
    struct storage_request *written = NULL;
    if (node_waits_for_trail(r->node))
        written = take_written(&commits);
    if (written && storage_io_run_past(io, written))
        storage_push_all(&r->ready, written);
    else
        storage_push_all(&r->later, written);
    if (syncs)
        storage_push_all(&r->later, commits);
    else if (commits)
        storage_push_all(&r->ready, storage_io_submit_list(io, commits)); /* what was refused */
}

/*
 * What the steps of this turn want of the store, as far as it is done without a storage thread: it
 * is delivered in the same turn, so that its frames leave with the others; but there is an end to
 * that.
 */
void
reactor_storage_run(struct reactor *r)
{
    for (unsigned round = 0; round < STORAGE_ROUNDS_MAX; round++) {
        reactor_write_trail(r);
        if (!r->commits.first && !r->ready.first)
            return;
        commit_here(r);
        deliver_completions(r, storage_take(&r->ready));
    }
    reactor_write_trail(r);
    storage_push_all(&r->later, storage_take(&r->commits));
}

/*
 * Where few commits need a sync it is made here: waking the writer, and being woken by it, take as
 * long as the sync of a quick disk, and longer on a busy machine. One client that waits for each
 * answer before it asks again never leaves the loop idle for long, and it is he who waits.
 */
bool
reactor_storage_sync(struct reactor *r)
{
    if (!r->later.first || !storage_io_run_synced(r->options.storage, r->later.first, r->was_idle))
        return false;
    reactor_tell_sequence(r);
    deliver_completions(r, storage_take(&r->later));
    return true;
}

void
reactor_storage_hand_over(struct reactor *r)
{
    struct storage_io *io = r->options.storage;
    struct storage_list *lists[] = {&r->later, &r->reads};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct storage_request *first = storage_take(lists[i]);
        if (first) /* what is refused comes back */
            storage_push_all(&r->ready, storage_io_submit_list(io, first));
    }
    if (r->ready.first)
        event_active(r->storage_event, EV_TIMEOUT, 0);
}

void
reactor_storage_take_soon(struct reactor *r)
{
    struct storage_list commits = {0};
    storage_push_all(&commits, storage_take(&r->soon));
    storage_push_all(&commits, storage_take(&r->commits));
    r->commits = commits;
}

void
reactor_storage_leave_soon(struct reactor *r)
{
    storage_push_all(&r->soon, storage_take(&r->commits));
}

static void
storage_free(struct storage_request *list)
{
    while (list) {
        struct storage_request *next = list->next;
        storage_request_free(list);
        list = next;
    }
}

void
reactor_storage_close(struct reactor *r)
{
    storage_free(storage_take(&r->commits));
    storage_free(storage_take(&r->reads));
    storage_free(storage_take(&r->ready));
    storage_free(storage_take(&r->later));
    storage_free(storage_take(&r->soon));
}
