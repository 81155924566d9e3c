/*
 * Stores of the nodes: batches are committed one after the other, visible from then on, and durable
 * when the next sync is through, which takes all that was committed before it. Loads and scans see
 * what is visible.
 */
#include <stdlib.h>
#include <string.h>

#include "actor_cluster_internal.h"
#include "actors/sweep.h"

/* A batch on its way: its own copy of the changes, and of the path row among them. */
struct ac_batch {
    struct ac_batch *next;
    struct store_change *changes;
    size_t count;
    struct arena arena;
    struct bytes path_key, path_row; /* empty: none */
    enum store_need need;
    bool committed, durable;
    bool told; /* its MSG_STORED has come */
};

/* What the shredder does takes no dice, so that other tests' seeds do not depend on it. */
static uint64_t
disk_ns(struct actor_cluster *ac, unsigned node, enum actor_id actor)
{
    uint64_t ns = actor == ACTOR_SHREDDER
                      ? 1000 * ac->options.disk_us_min
                      : ac_between_ns(ac, ac->options.disk_us_min, ac->options.disk_us_max);
    return ac->nodes[node].slow_disk ? 100 * ns : ns;
}

static void
batch_free(struct ac_batch *batch)
{
    free(batch->changes);
    arena_close(&batch->arena);
    free(batch);
}

static struct ac_batch *
batch_new(const struct effect *effect)
{
    struct ac_batch *batch = ac_need(calloc(1, sizeof(*batch)));
    batch->count = effect->u.store.count;
    batch->need = effect->u.store.need;
    batch->changes = ac_need(calloc(batch->count, sizeof(*batch->changes)));
    arena_init(&batch->arena, STEP_ARENA_BYTES);
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_change *from = &effect->u.store.changes[i];
        struct store_change *to = &batch->changes[i];
        to->kind = from->kind;
        ac_require(arena_copy(&batch->arena, from->key, &to->key) == OK &&
                       arena_copy(&batch->arena, from->value, &to->value) == OK,
                   "out of memory");
        if (to->kind == STORE_PUT && to->key.data[0] == ROW_PATH) {
            batch->path_key = to->key;
            batch->path_row = to->value;
        }
    }
    return batch;
}

static void
on_store(struct actor_cluster *ac, unsigned node, const struct effect *effect)
{
    struct ac_node *n = &ac->nodes[node];
    struct ac_event *event =
        ac_event_new(ac, EVENT_COMMIT, node, disk_ns(ac, node, effect->actor) / 2, 0);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event->batch = batch_new(effect);
    n->stores += effect->actor == ACTOR_SHARD_STORE;
    n->syncs += effect->actor == ACTOR_SHARD_STORE && effect->u.store.need == STORE_DURABLE;
    if (event->due_ns < n->last_commit_ns)
        event->due_ns = n->last_commit_ns; /* in the order of the effects */
    n->last_commit_ns = event->due_ns;
    ac_event_push(ac, event);
    struct ac_batch **end = &n->batches;
    while (*end)
        end = &(*end)->next;
    *end = event->batch;
}

/* As a disk below its reserve: what may use the reserve goes on, until that is gone, too. */
static bool
no_room(const struct ac_node *n, const struct ac_batch *batch)
{
    return n->disk_gone ||
           (n->disk_full && !store_changes_may_use_reserve(batch->changes, batch->count));
}

static void
run_commit(struct actor_cluster *ac, const struct ac_event *event)
{
    struct ac_node *n = &ac->nodes[event->node];
    struct ac_batch *batch = event->batch;
    enum vault_err err = no_room(n, batch)
                             ? ERR_DISK_FULL
                             : n->store->ops->commit(n->store, batch->changes, batch->count);
    struct ac_event *next = ac_event_new(ac, err == OK ? EVENT_SYNC : EVENT_FAILED, event->node,
                                         disk_ns(ac, event->node, event->actor), 0);
    batch->committed = err == OK;
    next->actor = event->actor;
    next->tag = event->tag;
    next->batch = batch;
    next->err = err;
    ac_event_push(ac, next);
    if (err != OK || batch->need != STORE_VISIBLE)
        return;
    const struct msg msg = {.kind = MSG_STORED, .u.stored = {.tag = event->tag}};
    batch->told = true;
    ac_deliver(ac, event->node, event->actor, &msg);
}

/* All that was committed is durable now; the checkers see it. */
static void
make_durable(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    ac_require(n->store->ops->sync(n->store) == OK, "sync");
    for (struct ac_batch *b = n->batches; b; b = b->next) {
        struct path_row row;
        if (!b->committed || b->durable)
            continue;
        b->durable = true;
        n->sequence++;
        if (b->path_row.size == 0)
            continue;
        ac_require(path_row_decode(b->path_row, &row) == OK, "a stored path row decodes");
        checks_path_row(&ac->checks, node, ac->now_ns, &row);
    }
}

static void
run_stored(struct actor_cluster *ac, const struct ac_event *event)
{
    struct ac_node *n = &ac->nodes[event->node];
    struct msg msg = {.kind = MSG_STORED};
    struct ac_batch **at = &n->batches;
    bool told = event->batch->told;
    if (event->kind == EVENT_SYNC && !event->batch->durable)
        make_durable(ac, event->node);
    while (*at != event->batch)
        at = &(*at)->next;
    *at = event->batch->next;
    batch_free(event->batch);
    node_set_sequence(n->node, n->sequence);
    msg.u.stored.tag = event->tag;
    msg.u.stored.err = event->err;
    if (!told)
        ac_deliver(ac, event->node, event->actor, &msg);
}

void
ac_disk_close(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    while (n->batches) {
        struct ac_batch *next = n->batches->next;
        batch_free(n->batches);
        n->batches = next;
    }
}

void
ac_disk_crash(struct actor_cluster *ac, unsigned node, bool losing)
{
    if (losing)
        store_mem_crash(ac->nodes[node].store);
    else
        make_durable(ac, node);
    ac_disk_close(ac, node);
}

void
ac_disk_check_promise(struct actor_cluster *ac, unsigned node, const struct msg *msg)
{
    struct row_key key;
    const struct checked_path *p = checks_path(&ac->checks, msg->path);
    bool kept = true;
    row_key_path(msg->path, &key);
    if (msg->kind == MSG_VOTED && msg->u.voted.refusal == REFUSED_NONE) {
        bool here = p && !sweep_forgets(node_membership(ac->nodes[node].node), p->forget_after_ms);
        struct ballot highest = here ? p->highest[node] : (struct ballot){0};
        kept = ballot_compare(ballot_promised(msg->u.voted.accepted.ballot),
                              ballot_promised(highest)) == 0;
        for (struct ac_batch *b = ac->nodes[node].batches; b; b = b->next)
            kept = kept && (b->told || !bytes_equal(b->path_key, row_key_bytes(&key)));
    } else if (msg->kind == MSG_WRITTEN && msg->u.written.refusal == REFUSED_NONE) {
        kept = p && checks_has_accepted(p, node, msg->u.written.ballot, msg->u.written.head_id);
    } else if (msg->kind == MSG_ERASED && msg->u.erased.erased) {
        kept = p && checks_has_erased(p, node, msg->u.erased.head_id);
    }
    if (!kept)
        checks_fail("node %u sent %s of what is not durable", node, msg_kind_name(msg->kind));
}

static void
on_load(struct actor_cluster *ac, unsigned node, const struct effect *effect)
{
    size_t total = effect->u.load.along.size;
    for (size_t i = 0; i < effect->u.load.count; i++)
        total += effect->u.load.keys[i].size;
    struct ac_event *event =
        ac_event_new(ac, EVENT_LOAD, node, disk_ns(ac, node, effect->actor), total);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event->count = effect->u.load.count;
    size_t at = 0;
    for (size_t i = 0; i < event->count; at += event->sizes[i++]) {
        event->sizes[i] = effect->u.load.keys[i].size;
        ac_event_append(event, at, effect->u.load.keys[i]);
        ac->dealings_asked += effect->u.load.keys[i].data[0] == ROW_DEALING;
    }
    ac->loads += effect->actor == ACTOR_SHARD_STORE;
    event->along = effect->u.load.along.size;
    ac_event_append(event, at, effect->u.load.along);
    ac_event_push(ac, event);
}

static void
on_scan(struct actor_cluster *ac, unsigned node, const struct effect *effect)
{
    struct bytes prefix = effect->u.scan.prefix, after = effect->u.scan.after;
    struct ac_event *event = ac_event_new(ac, EVENT_SCAN, node, disk_ns(ac, node, effect->actor),
                                          prefix.size + after.size);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event->limit = effect->u.scan.limit;
    event->with_values = effect->u.scan.with_values;
    event->sizes[0] = prefix.size;
    event->sizes[1] = after.size;
    ac_event_append(event, 0, prefix);
    ac_event_append(event, prefix.size, after);
    ac_event_push(ac, event);
}

const char ac_unreadable[] = "a row that the store cannot read";

static bool
is_unreadable(struct bytes value)
{
    return bytes_equal(value, bytes_of_text(ac_unreadable));
}

/* One that cannot be read is left out. */
static struct loaded_row
row_along(struct ac_node *n, struct bytes prefix, struct arena *arena)
{
    struct store_row row;
    size_t count;
    bool more;
    enum vault_err err = n->store->ops->scan(n->reader, prefix, (struct bytes){0}, 1, true, arena,
                                             &row, &count, &more);
    ac_require(err == OK, "scan");
    if (count == 0 || is_unreadable(row.value))
        return (struct loaded_row){0};
    return (struct loaded_row){row.key, row.value, true};
}

/* Unless what was looked for cannot be read. */
static void
deliver_loaded(struct actor_cluster *ac, const struct ac_event *event, struct msg *msg, bool rotten)
{
    if (rotten)
        msg->u.loaded = (struct msg_loaded){.tag = event->tag, .err = ERR_CORRUPT};
    if (ac->nodes[event->node].reads_fail)
        msg->u.loaded = (struct msg_loaded){.tag = event->tag, .err = ERR_IO};
    ac_deliver(ac, event->node, event->actor, msg);
}

static void
run_load(struct actor_cluster *ac, const struct ac_event *event)
{
    struct ac_node *n = &ac->nodes[event->node];
    struct loaded_row rows[LOAD_KEYS_MAX] = {0};
    struct msg msg = {.kind = MSG_LOADED};
    struct arena arena;
    bool rotten = false;
    size_t at = 0;
    arena_init(&arena, STEP_ARENA_BYTES);
    for (size_t i = 0; i < event->count; at += event->sizes[i++]) {
        rows[i].key = bytes_of(event->data.data + at, event->sizes[i]);
        enum vault_err err = n->store->ops->get(n->reader, rows[i].key, &arena, &rows[i].value);
        ac_require(err == OK || err == ERR_NOT_FOUND, "get");
        rows[i].found = err == OK;
        rotten = rotten || is_unreadable(rows[i].value);
    }
    msg.u.loaded = (struct msg_loaded){.tag = event->tag, .rows = rows, .count = event->count};
    if (event->along > 0 && rows[0].found && !ac->nothing_comes_along)
        msg.u.loaded.along = row_along(n, bytes_of(event->data.data + at, event->along), &arena);
    deliver_loaded(ac, event, &msg, rotten);
    arena_close(&arena);
}

static void
run_scan(struct actor_cluster *ac, const struct ac_event *event)
{
    struct ac_node *n = &ac->nodes[event->node];
    struct store_row *found = ac_need(calloc(event->limit, sizeof(*found)));
    struct loaded_row *rows = ac_need(calloc(event->limit, sizeof(*rows)));
    struct msg msg = {.kind = MSG_LOADED};
    struct arena arena;
    size_t count = 0;
    bool more = false, rotten = false;
    arena_init(&arena, STEP_ARENA_BYTES);
    struct bytes prefix = bytes_of(event->data.data, event->sizes[0]);
    struct bytes after = bytes_of(event->data.data + event->sizes[0], event->sizes[1]);
    enum vault_err err = n->store->ops->scan(n->reader, prefix, after, event->limit,
                                             event->with_values, &arena, found, &count, &more);
    ac_require(err == OK, "scan");
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct loaded_row){found[i].key, found[i].value, true};
        rotten = rotten || (event->with_values && is_unreadable(found[i].value));
    }
    msg.u.loaded =
        (struct msg_loaded){.tag = event->tag, .rows = rows, .count = count, .more = more};
    deliver_loaded(ac, event, &msg, rotten);
    arena_close(&arena);
    free(found);
    free(rows);
}

void
ac_disk_effect(struct actor_cluster *ac, unsigned node, const struct effect *effect)
{
    if (effect->kind == EFFECT_STORE)
        on_store(ac, node, effect);
    else if (effect->kind == EFFECT_LOAD)
        on_load(ac, node, effect);
    else
        on_scan(ac, node, effect);
}

void
ac_disk_event(struct actor_cluster *ac, const struct ac_event *event)
{
    if (event->kind == EVENT_COMMIT)
        run_commit(ac, event);
    else if (event->kind == EVENT_LOAD)
        run_load(ac, event);
    else if (event->kind == EVENT_SCAN)
        run_scan(ac, event);
    else
        run_stored(ac, event);
}
