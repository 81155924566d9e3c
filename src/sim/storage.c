/* The disks' part of the world: when batches become visible and durable, and what reads give. The fault model is in disk.h. */
#include "sim/check_sweep.h"
#include "sim/memory.h"
#include "sim/world.h"

enum { LOAD_ARENA_ROWS = LOAD_KEYS_MAX };

static uint64_t
disk_ns(struct world *world, unsigned node)
{
    const struct sim_options *o = &world->options;
    const struct disk *disk = &world->nodes[node].disk;
    uint64_t ns = 1000 * prng_between(&world->disk_prng, o->disk_us_min, o->disk_us_max);
    return disk->slow_until_ns > world->now_ns ? ns * disk->slow_factor : ns;
}

/* ---- writing ---- */

static void
start_writer(struct world *world, unsigned node)
{
    struct disk *disk = &world->nodes[node].disk;
    if (disk->busy || !disk->queue)
        return;
    disk->busy = true;
    event_push(world, event_new(world, EVENT_COMMIT, node, disk_ns(world, node) / 4, 0));
}

void
storage_store(struct world *world, unsigned node, const struct effect *effect)
{
    for (size_t i = 0; i < effect->u.store.count; i++) {
        check_secrets_bytes(world, effect->u.store.changes[i].value, "a row");
        check_shred_written(&world->shred, node, &effect->u.store.changes[i]);
        check_forgettable(world, node, effect->u.store.need, &effect->u.store.changes[i]);
    }
    costs_storage(&world->costs, node, effect);
    disk_submit(&world->nodes[node].disk, effect);
    start_writer(world, node);
}

static void
tell_stored(struct world *world, unsigned node, struct disk_batch *batch)
{
    if (batch->told)
        return;
    struct event *event = event_new(world, EVENT_STORED, node, 0, 0);
    event->actor = batch->actor;
    event->tag = batch->tag;
    event->err = batch->err;
    event_push(world, event);
    batch->told = true;
}

static void
on_commit(struct world *world, unsigned node)
{
    struct disk *disk = &world->nodes[node].disk;
    enum vault_err err = OK;
    if (disk->fail_next_write) {
        err = ERR_IO;
        disk->fail_next_write = false;
        fault_count(world, FAULT_write_failed);
    } else if (disk->full_until_ns > world->now_ns) {
        err = ERR_DISK_FULL;
        fault_count(world, FAULT_disk_full);
    }
    disk_commit(disk, err);
    for (struct disk_batch *batch = disk->group; batch; batch = batch->next) {
        if (batch->need == STORE_VISIBLE)
            tell_stored(world, node, batch);
    }
    event_push(world, event_new(world, EVENT_SYNC, node, disk_ns(world, node), 0));
}

/*
 * A row takes the place of one that was there: itself, or for a dealing the version row that it was
 * a part of, which is put before it.
 */
static bool
replaces_row(const struct disk_batch *batch, size_t i)
{
    struct bytes key = batch->changes[i].row->key, before;
    if (batch->changes[i].replaces || i == 0 || key.data[0] != ROW_DEALING)
        return batch->changes[i].replaces;
    before = batch->changes[i - 1].row->key;
    return batch->changes[i - 1].replaces && before.data[0] == ROW_VERSION &&
           before.size == key.size && memcmp(before.data + 1, key.data + 1, key.size - 1) == 0;
}

static void
became_durable(struct world *world, unsigned node, const struct disk_batch *batch)
{
    for (size_t i = 0; batch->err == OK && i < batch->count; i++) {
        if (batch->changes[i].kind == STORE_DELETE)
            check_sweep_gone(&world->chain, node, batch->changes[i].row->key);
        if (batch->changes[i].kind != STORE_PUT)
            continue;
        const struct disk_row *row = batch->changes[i].row;
        check_chain_row(&world->chain, node, row->key, row->value, replaces_row(batch, i));
        check_shred_row(&world->shred, node, row->key, row->value);
    }
}

static void
on_sync(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    struct disk_batch *batch;
    while ((batch = disk_sync_one(&n->disk))) {
        became_durable(world, node, batch);
        tell_stored(world, node, batch);
        disk_batch_free(batch);
    }
    n->disk.busy = false;
    node_set_sequence(n->node, n->disk.sequence);
    start_writer(world, node);
}

static void
on_stored(struct world *world, const struct event *event)
{
    struct msg msg = {.kind = MSG_STORED, .u.stored = {.tag = event->tag, .err = event->err}};
    unsigned node = event->node;
    /* The process ends of it; what it still does in this step it does. */
    if (event->err == ERR_IO)
        world->nodes[node].dying = true;
    node_hand(world, node, event->actor, &msg);
}

/* Some prefix of what was committed has reached the disk; of what was not committed, nothing. */
void
storage_crash(struct world *world, unsigned node)
{
    struct disk *disk = &world->nodes[node].disk;
    size_t count = 0;
    for (const struct disk_batch *b = disk->group; b; b = b->next)
        count++;
    uint64_t kept = count;
    if (count > 0 && world->faults.on[FAULT_unsynced_lost]) {
        kept = prng_below(&world->disk_prng, count + 1);
        world->faults.struck[FAULT_unsynced_lost] += count - kept;
    }
    for (; kept > 0; kept--) {
        struct disk_batch *batch = disk_sync_one(disk);
        became_durable(world, node, batch);
        disk_batch_free(batch);
    }
    disk_crash(disk);
}

/* ---- reading ---- */

void
storage_load(struct world *world, unsigned node, const struct effect *effect)
{
    size_t total = effect->u.load.along.size;
    for (size_t i = 0; i < effect->u.load.count; i++)
        total += effect->u.load.keys[i].size;
    struct event *event = event_new(world, EVENT_LOAD, node, disk_ns(world, node) / 4, total);
    costs_storage(&world->costs, node, effect);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event->count = effect->u.load.count;
    size_t at = 0;
    for (size_t i = 0; i < event->count; at += event->sizes[i++]) {
        event->sizes[i] = effect->u.load.keys[i].size;
        event_append(event, at, effect->u.load.keys[i]);
    }
    event->along = effect->u.load.along.size;
    event_append(event, at, effect->u.load.along);
    event_push(world, event);
}

void
storage_scan(struct world *world, unsigned node, const struct effect *effect)
{
    struct bytes prefix = effect->u.scan.prefix, after = effect->u.scan.after;
    struct event *event =
        event_new(world, EVENT_SCAN, node, disk_ns(world, node) / 4, prefix.size + after.size);
    costs_storage(&world->costs, node, effect);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event->limit = effect->u.scan.limit;
    event->with_values = effect->u.scan.with_values;
    event->sizes[0] = prefix.size;
    event->sizes[1] = after.size;
    event_append(event, 0, prefix);
    event_append(event, prefix.size, after);
    event_push(world, event);
}

static enum vault_err
read_error(struct world *world, unsigned node)
{
    struct disk *disk = &world->nodes[node].disk;
    if (!disk->fail_next_read)
        return OK;
    disk->fail_next_read = false;
    fault_count(world, FAULT_read_failed);
    return ERR_IO;
}

/* The step reads the rows where they lie: no other event can change them meanwhile. */
static void
hand_rows(struct world *world, const struct event *event, struct loaded_row *rows, size_t count,
          const struct loaded_row *along, bool more, enum vault_err err)
{
    struct msg msg = {.kind = MSG_LOADED};
    if (err == OK)
        err = read_error(world, event->node);
    msg.u.loaded = (struct msg_loaded){.tag = event->tag,
                                       .err = err,
                                       .rows = rows,
                                       .count = err == OK ? count : 0,
                                       .more = err == OK && more};
    if (along && err == OK)
        msg.u.loaded.along = *along;
    node_hand(world, event->node, event->actor, &msg);
}

/* The first row of that prefix; one that cannot be read is left out. */
static struct loaded_row
row_along(const struct disk_table *table, struct bytes prefix)
{
    size_t i = disk_at_least(table, prefix);
    if (i == table->count || !disk_has_prefix(table->rows[i]->key, prefix) ||
        table->rows[i]->corrupt)
        return (struct loaded_row){0};
    return (struct loaded_row){table->rows[i]->key, table->rows[i]->value, true};
}

static void
on_load(struct world *world, const struct event *event)
{
    const struct disk_table *table = &world->nodes[event->node].disk.visible;
    struct loaded_row rows[LOAD_ARENA_ROWS] = {0}, along = {0};
    enum vault_err err = OK;
    size_t at = 0;
    for (size_t i = 0; i < event->count; at += event->sizes[i++]) {
        rows[i].key = bytes_of(event->data.data + at, event->sizes[i]);
        const struct disk_row *row = disk_find(table, rows[i].key);
        if (!row)
            continue;
        rows[i].found = true;
        rows[i].value = row->value;
        if (row->corrupt)
            err = ERR_CORRUPT;
    }
    if (event->along > 0 && rows[0].found)
        along = row_along(table, bytes_of(event->data.data + at, event->along));
    hand_rows(world, event, rows, event->count, &along, false, err);
}

static void
on_scan(struct world *world, const struct event *event)
{
    const struct disk_table *table = &world->nodes[event->node].disk.visible;
    struct bytes prefix = bytes_of(event->data.data, event->sizes[0]);
    struct bytes after = bytes_of(event->data.data + event->sizes[0], event->sizes[1]);
    struct loaded_row *rows = sim_alloc(event->limit * sizeof(*rows));
    size_t count = 0, i = disk_at_least(table, bytes_compare(after, prefix) > 0 ? after : prefix);
    enum vault_err err = OK;
    bool more = false;
    for (; i < table->count && disk_has_prefix(table->rows[i]->key, prefix); i++) {
        const struct disk_row *row = table->rows[i];
        if (bytes_equal(row->key, after))
            continue;
        more = count == event->limit;
        if (more)
            break;
        if (row->corrupt && event->with_values)
            err = ERR_CORRUPT; /* a key can be read */
        rows[count++] =
            (struct loaded_row){.key = row->key,
                                .value = event->with_values ? row->value : (struct bytes){0},
                                .found = true};
    }
    hand_rows(world, event, rows, count, NULL, more, err);
    free(rows);
}

void
storage_event(struct world *world, const struct event *event)
{
    switch ((int)event->kind) {
    case EVENT_COMMIT: on_commit(world, event->node); break;
    case EVENT_SYNC: on_sync(world, event->node); break;
    case EVENT_STORED: on_stored(world, event); break;
    case EVENT_LOAD: on_load(world, event); break;
    case EVENT_SCAN: on_scan(world, event); break;
    default: break;
    }
}
