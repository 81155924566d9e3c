#include "sim/disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "store/store_check.h"

/* ---- rows ---- */

static struct disk_row *
row_new(struct bytes key, struct bytes value)
{
    struct disk_row *row = sim_alloc(sizeof(*row) + key.size + value.size);
    uint8_t *data = (uint8_t *)(row + 1);
    row->references = 1;
    if (key.size > 0)
        memcpy(data, key.data, key.size);
    if (value.size > 0)
        memcpy(data + key.size, value.data, value.size);
    row->key = bytes_of(data, key.size);
    row->value = bytes_of(data + key.size, value.size);
    return row;
}

static void
row_release(struct disk_row *row)
{
    if (--row->references == 0)
        free(row);
}

size_t
disk_at_least(const struct disk_table *table, struct bytes key)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bytes_compare(table->rows[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct disk_row *
disk_find(const struct disk_table *table, struct bytes key)
{
    size_t i = disk_at_least(table, key);
    return i < table->count && bytes_equal(table->rows[i]->key, key) ? table->rows[i] : NULL;
}

bool
disk_has_prefix(struct bytes key, struct bytes prefix)
{
    return key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

static void
table_put(struct disk_table *table, struct disk_row *row)
{
    size_t i = disk_at_least(table, row->key);
    row->references++;
    if (i < table->count && bytes_equal(table->rows[i]->key, row->key)) {
        row_release(table->rows[i]);
        table->rows[i] = row;
        return;
    }
    if (table->count == table->capacity) {
        table->capacity = table->capacity * 2 + 64;
        table->rows = sim_resize(table->rows, table->capacity * sizeof(struct disk_row *));
    }
    memmove(&table->rows[i + 1], &table->rows[i], (table->count - i) * sizeof(struct disk_row *));
    table->rows[i] = row;
    table->count++;
}

static void
table_remove(struct disk_table *table, size_t from, size_t to)
{
    if (from == to)
        return;
    for (size_t i = from; i < to; i++)
        row_release(table->rows[i]);
    memmove(&table->rows[from], &table->rows[to], (table->count - to) * sizeof(struct disk_row *));
    table->count -= to - from;
}

static void
table_clear(struct disk_table *table)
{
    table_remove(table, 0, table->count);
    free(table->rows);
    *table = (struct disk_table){0};
}

static void
table_remove_prefix(struct disk_table *table, struct bytes prefix)
{
    size_t from = disk_at_least(table, prefix), to = from;
    while (to < table->count && disk_has_prefix(table->rows[to]->key, prefix))
        to++;
    table_remove(table, from, to);
}

static void
table_remove_key(struct disk_table *table, struct bytes key)
{
    size_t at = disk_at_least(table, key);
    if (at < table->count && bytes_equal(table->rows[at]->key, key))
        table_remove(table, at, at + 1);
}

static void
table_remove_one(struct disk_table *table, struct bytes prefix, struct bytes tables)
{
    uint8_t data[KEY_BYTES_MAX];
    size_t at = disk_at_least(table, prefix);
    if (at == table->count || !disk_has_prefix(table->rows[at]->key, prefix))
        return;
    struct bytes key = store_key_copy(table->rows[at]->key, data);
    table_remove(table, at, at + 1);
    for (size_t i = 0; i < tables.size; i++) {
        data[0] = tables.data[i];
        table_remove_key(table, key);
    }
}

static void
table_apply(struct disk_table *table, struct disk_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct bytes key = batch->changes[i].row->key;
        switch (batch->changes[i].kind) {
        case STORE_PUT:
            batch->changes[i].replaces = disk_find(table, key) != NULL;
            table_put(table, batch->changes[i].row);
            break;
        case STORE_DELETE: table_remove_key(table, key); break;
        case STORE_DELETE_PREFIX: table_remove_prefix(table, key); break;
        case STORE_DELETE_ONE: table_remove_one(table, key, batch->changes[i].row->value); break;
        }
    }
}

/* ---- batches ---- */

void
disk_init(struct disk *disk)
{
    *disk = (struct disk){.slow_factor = 1};
    disk->queue_end = &disk->queue;
}

static void
list_free(struct disk_batch *batch)
{
    while (batch) {
        struct disk_batch *next = batch->next;
        disk_batch_free(batch);
        batch = next;
    }
}

void
disk_close(struct disk *disk)
{
    list_free(disk->queue);
    list_free(disk->group);
    table_clear(&disk->visible);
    table_clear(&disk->durable);
    table_clear(&disk->snapshot);
}

void
disk_batch_free(struct disk_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        row_release(batch->changes[i].row);
    free(batch);
}

void
disk_submit(struct disk *disk, const struct effect *effect)
{
    size_t count = effect->u.store.count;
    struct disk_batch *batch = sim_alloc(sizeof(*batch) + count * sizeof(batch->changes[0]));
    batch->actor = effect->actor;
    batch->tag = effect->tag;
    batch->need = effect->u.store.need;
    batch->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct store_change *change = &effect->u.store.changes[i];
        assert(change->key.size > 0 && change->key.size <= KEY_BYTES_MAX);
        assert(change->value.size <= ROW_BYTES_MAX);
        batch->changes[i].kind = change->kind;
        batch->changes[i].row =
            row_new(change->key, change->kind == STORE_PUT || change->kind == STORE_DELETE_ONE
                                     ? change->value
                                     : (struct bytes){0});
    }
    *disk->queue_end = batch;
    disk->queue_end = &batch->next;
}

/* As store_changes_may_use_reserve(), of a batch on its way. */
static bool
uses_reserve(const struct disk_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->changes[i].kind == STORE_PUT && !row_is_of_audit(batch->changes[i].row->key))
            return false;
    }
    return true;
}

void
disk_commit(struct disk *disk, enum vault_err err)
{
    assert(!disk->group);
    disk->group = disk->queue;
    disk->queue = NULL;
    disk->queue_end = &disk->queue;
    for (struct disk_batch *batch = disk->group; batch; batch = batch->next) {
        batch->err = err;
        if (err == ERR_DISK_FULL && !disk->reserve_gone && uses_reserve(batch))
            batch->err = OK;
        if (batch->err != OK)
            continue;
        table_apply(&disk->visible, batch);
    }
}

struct disk_batch *
disk_sync_one(struct disk *disk)
{
    struct disk_batch *batch = disk->group;
    if (!batch)
        return NULL;
    disk->group = batch->next;
    batch->next = NULL;
    if (batch->err != OK)
        return batch;
    table_apply(&disk->durable, batch);
    disk->sequence++;
    return batch;
}

void
disk_crash(struct disk *disk)
{
    list_free(disk->queue);
    list_free(disk->group);
    disk->queue = NULL;
    disk->queue_end = &disk->queue;
    disk->group = NULL;
    disk->busy = false;
    disk->fail_next_write = false;
    disk->fail_next_read = false;
    table_clear(&disk->visible);
    for (size_t i = 0; i < disk->durable.count; i++)
        table_put(&disk->visible, disk->durable.rows[i]);
}

static void
table_copy(struct disk_table *to, const struct disk_table *from)
{
    table_clear(to);
    for (size_t i = 0; i < from->count; i++)
        table_put(to, from->rows[i]);
}

void
disk_lose(struct disk *disk)
{
    table_clear(&disk->visible);
    table_clear(&disk->durable);
    disk->sequence = 0;
}

void
disk_snapshot(struct disk *disk)
{
    table_copy(&disk->snapshot, &disk->durable);
    disk->snapshot_sequence = disk->sequence;
    disk->has_snapshot = true;
}

void
disk_snapshot_drop(struct disk *disk)
{
    table_clear(&disk->snapshot);
    disk->has_snapshot = false;
}

void
disk_roll_back(struct disk *disk)
{
    table_copy(&disk->durable, &disk->snapshot);
    table_copy(&disk->visible, &disk->snapshot);
    disk->sequence = disk->snapshot_sequence;
    disk_snapshot_drop(disk);
}

static bool
list_changes(const struct disk_batch *batch, struct bytes key, bool also_told)
{
    for (; batch; batch = batch->next) {
        bool counts = batch->err == OK && (also_told || !batch->told);
        for (size_t i = 0; counts && i < batch->count; i++) {
            if (bytes_equal(batch->changes[i].row->key, key))
                return true;
        }
    }
    return false;
}

bool
disk_pending(const struct disk *disk, struct bytes key)
{
    return list_changes(disk->queue, key, true) || list_changes(disk->group, key, true);
}

bool
disk_owes(const struct disk *disk, struct bytes key)
{
    return list_changes(disk->queue, key, false) || list_changes(disk->group, key, false);
}

static void
table_forget(struct disk_table *table, struct bytes prefix)
{
    size_t from = disk_at_least(table, prefix), to = from;
    while (to < table->count && disk_has_prefix(table->rows[to]->key, prefix))
        to++;
    table_remove(table, from, to);
}

void
disk_set(struct disk *disk, struct bytes key, struct bytes value)
{
    struct disk_row *row = row_new(key, value);
    assert(!disk->queue && !disk->group);
    table_put(&disk->durable, row);
    table_put(&disk->visible, row);
    row_release(row);
}

void
disk_forget(struct disk *disk, struct bytes prefix)
{
    assert(!disk->queue && !disk->group);
    table_forget(&disk->durable, prefix);
    table_forget(&disk->visible, prefix);
}

void
disk_rot(struct disk *disk, size_t durable_index, size_t bit, bool refused)
{
    struct disk_row *old = disk->durable.rows[durable_index];
    struct disk_row *rotten = row_new(old->key, old->value);
    rotten->corrupt = refused;
    if (!refused && rotten->value.size > 0)
        ((uint8_t *)(rotten + 1))[rotten->key.size + bit / 8 % rotten->value.size] ^=
            (uint8_t)(1u << bit % 8);
    /* What is on its way to the disk replaces it there, or removes it: that is not undone. */
    bool seen = disk_find(&disk->visible, old->key) == old;
    table_put(&disk->durable, rotten);
    if (seen)
        table_put(&disk->visible, rotten);
    row_release(rotten);
}
