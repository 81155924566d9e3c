#include "sim_store.h"

#include <stdlib.h>

#include "sim/disk.h"

struct sim_store {
    struct store base;
    struct disk disk;
};

struct store_reader {
    struct sim_store *store;
};

static struct disk *
disk_of(struct store *store)
{
    return &((struct sim_store *)store)->disk;
}

static enum vault_err
sim_sync(struct store *store)
{
    struct disk_batch *batch;

    while ((batch = disk_sync_one(disk_of(store))) != NULL)
        disk_batch_free(batch);
    return OK;
}

static enum vault_err
sim_commit(struct store *store, const struct store_change *changes, size_t count)
{
    struct effect effect = {.kind = EFFECT_STORE, .u.store = {.changes = changes, .count = count}};
    enum vault_err err = sim_sync(store);

    if (err != OK)
        return err;
    disk_submit(disk_of(store), &effect);
    disk_commit(disk_of(store), OK);
    return OK;
}

/* The disk counts what is durable; what is committed besides is in its group. */
static uint64_t
sim_sequence(struct store *store)
{
    uint64_t sequence = disk_of(store)->sequence;

    for (const struct disk_batch *batch = disk_of(store)->group; batch; batch = batch->next)
        sequence += batch->err == OK;
    return sequence;
}

static enum vault_err
sim_reader_new(struct store *store, struct store_reader **out)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return ERR_NOMEM;
    (*out)->store = (struct sim_store *)store;
    return OK;
}

static void
sim_reader_free(struct store_reader *reader)
{
    free(reader);
}

static enum vault_err
sim_get(struct store_reader *reader, struct bytes key, struct arena *arena, struct bytes *out)
{
    const struct disk_row *row = disk_find(&reader->store->disk.visible, key);

    *out = (struct bytes){0};
    return row == NULL ? ERR_NOT_FOUND : arena_copy(arena, row->value, out);
}

static enum vault_err
row_copy(const struct disk_row *row, bool with_values, struct arena *arena, struct store_row *out)
{
    *out = (struct store_row){0};
    enum vault_err err = arena_copy(arena, row->key, &out->key);
    if (err == OK && with_values)
        err = arena_copy(arena, row->value, &out->value);
    return err;
}

static enum vault_err
sim_scan(struct store_reader *reader, struct bytes prefix, struct bytes after, size_t limit,
         bool with_values, struct arena *arena, struct store_row *rows, size_t *count, bool *more)
{
    const struct disk_table *table = &reader->store->disk.visible;
    bool behind = bytes_compare(after, prefix) >= 0;
    size_t i = disk_at_least(table, behind ? after : prefix);

    *count = 0;
    *more = false;
    if (behind && after.size > 0 && i < table->count && bytes_equal(table->rows[i]->key, after))
        i++;
    for (; i < table->count && disk_has_prefix(table->rows[i]->key, prefix); i++) {
        if (*count == limit) {
            *more = true;
            return OK;
        }
        enum vault_err err = row_copy(table->rows[i], with_values, arena, &rows[*count]);
        if (err != OK) {
            *count = 0;
            return err;
        }
        (*count)++;
    }
    return OK;
}

static void
sim_close(struct store *store)
{
    disk_close(disk_of(store));
    free(store);
}

void
sim_store_crash(struct store *store)
{
    disk_crash(disk_of(store));
}

struct store *
sim_store_new(void)
{
    static const struct store_ops ops = {
        .commit = sim_commit,
        .sync = sim_sync,
        .sequence = sim_sequence,
        .reader_new = sim_reader_new,
        .reader_free = sim_reader_free,
        .get = sim_get,
        .scan = sim_scan,
        .close = sim_close,
    };
    struct sim_store *s = calloc(1, sizeof(*s));

    if (s == NULL)
        abort();
    s->base.ops = &ops;
    disk_init(&s->disk);
    return &s->base;
}
