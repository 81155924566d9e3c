/*
 * The store in memory: a skip list of rows and an undo log.
 *
 * Every change that replaces or removes a row moves the old row into the undo log, every change
 * that adds one notes it there. A batch that fails half-way and a simulated crash are the same
 * thing: the undo log is played back, to where the batch began or to the last sync. A sync empties
 * the log.
 *
 * One mutex guards everything, so that the storage threads can be tested on it. Heights in the skip
 * list come from a hash of the key: the same rows give the same list in every run.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_chain.h"
#include "store/store_check.h"

enum { HEIGHT_MAX = 20 };

struct row {
    struct bytes key; /* key and value lie behind `next` in the same allocation */
    struct bytes value;
    unsigned height;
    struct row *next[];
};

struct undo {
    struct undo *older;
    struct row *added;   /* to be taken out again, or NULL */
    struct row *removed; /* to be put back (it is in no list meanwhile), or NULL */
};

struct store_mem {
    struct store base;
    pthread_mutex_t lock;
    struct row *head; /* height HEIGHT_MAX, no key */
    struct undo *undo;
    struct store_mark mark;
    struct store_mark mark_synced;
};

struct store_reader {
    struct store_mem *store;
};

static struct store_mem *
of_store(struct store *store)
{
    return (struct store_mem *)store;
}

/* One level more for every two zero bits: a quarter of the rows reach each next level. */
static unsigned
height_of(struct bytes key)
{
    uint64_t hash = 1469598103934665603ULL; /* FNV-1a, then mixed: its low bits are poor */
    unsigned height = 1;

    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ key.data[i]) * 1099511628211ULL;
    hash ^= hash >> 31;
    hash *= 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
    for (; height < HEIGHT_MAX && (hash & 3) == 0; hash >>= 2)
        height++;
    return height;
}

static struct row *
row_new(unsigned height, struct bytes key, struct bytes value)
{
    size_t links = height * sizeof(struct row *);
    struct row *row = calloc(1, sizeof(*row) + links + key.size + value.size);

    if (row == NULL)
        return NULL;
    uint8_t *data = (uint8_t *)row->next + links;
    row->height = height;
    if (key.size > 0)
        memcpy(data, key.data, key.size);
    if (value.size > 0)
        memcpy(data + key.size, value.data, value.size);
    row->key = bytes_of(data, key.size);
    row->value = bytes_of(data + key.size, value.size);
    return row;
}

/* `before[level]` becomes the last row on each level whose key is less than `key`. */
static void
rows_before(struct store_mem *m, struct bytes key, struct row *before[static HEIGHT_MAX])
{
    struct row *row = m->head;

    for (unsigned level = HEIGHT_MAX; level-- > 0;) {
        while (row->next[level] != NULL && bytes_compare(row->next[level]->key, key) < 0)
            row = row->next[level];
        before[level] = row;
    }
}

/* First row whose key is not less than `key`, or NULL. */
static struct row *
row_at_least(struct store_mem *m, struct bytes key)
{
    struct row *before[HEIGHT_MAX];

    rows_before(m, key, before);
    return before[0]->next[0];
}

static void
row_link(struct store_mem *m, struct row *row)
{
    struct row *before[HEIGHT_MAX];

    rows_before(m, row->key, before);
    for (unsigned level = 0; level < row->height; level++) {
        row->next[level] = before[level]->next[level];
        before[level]->next[level] = row;
    }
}

static void
row_unlink(struct store_mem *m, struct row *row)
{
    struct row *before[HEIGHT_MAX];

    rows_before(m, row->key, before);
    for (unsigned level = 0; level < row->height; level++) {
        assert(before[level]->next[level] == row);
        before[level]->next[level] = row->next[level];
    }
}

/*
 * Takes `removed` out and puts `added` in (either may be NULL), and notes it. On an error nothing
 * changed.
 */
static enum vault_err
rows_exchange(struct store_mem *m, struct row *removed, struct row *added)
{
    struct undo *undo = calloc(1, sizeof(*undo));

    if (undo == NULL)
        return ERR_NOMEM;
    if (removed != NULL)
        row_unlink(m, removed);
    if (added != NULL)
        row_link(m, added);
    *undo = (struct undo){.older = m->undo, .added = added, .removed = removed};
    m->undo = undo;
    return OK;
}

static void
undo_until(struct store_mem *m, const struct undo *mark)
{
    while (m->undo != mark) {
        struct undo *undo = m->undo;

        if (undo->added != NULL)
            row_unlink(m, undo->added);
        if (undo->removed != NULL)
            row_link(m, undo->removed);
        free(undo->added);
        m->undo = undo->older;
        free(undo);
    }
}

static void
undo_forget(struct store_mem *m)
{
    while (m->undo != NULL) {
        struct undo *undo = m->undo;

        m->undo = undo->older;
        free(undo->removed);
        free(undo);
    }
}

static enum vault_err
change_put(struct store_mem *m, const struct store_change *change)
{
    struct row *old = row_at_least(m, change->key);
    struct row *added = row_new(height_of(change->key), change->key, change->value);

    if (added == NULL)
        return ERR_NOMEM;
    if (old != NULL && !bytes_equal(old->key, change->key))
        old = NULL;
    enum vault_err err = rows_exchange(m, old, added);
    if (err != OK)
        free(added);
    return err;
}

static enum vault_err
change_delete(struct store_mem *m, struct bytes key)
{
    struct row *row = row_at_least(m, key);

    if (row == NULL || !bytes_equal(row->key, key))
        return OK;
    return rows_exchange(m, row, NULL);
}

static enum vault_err
change_delete_prefix(struct store_mem *m, struct bytes prefix)
{
    struct row *row = row_at_least(m, prefix);
    enum vault_err err = OK;

    while (err == OK && row != NULL && store_key_begins(row->key, prefix)) {
        struct row *next = row->next[0];
        err = rows_exchange(m, row, NULL);
        row = next;
    }
    return err;
}

static enum vault_err
change_delete_one(struct store_mem *m, struct bytes prefix, struct bytes tables)
{
    struct row *row = row_at_least(m, prefix);
    uint8_t data[KEY_BYTES_MAX];

    if (row == NULL || !store_key_begins(row->key, prefix))
        return OK;
    struct bytes key = store_key_copy(row->key, data);
    enum vault_err err = rows_exchange(m, row, NULL);
    for (size_t i = 0; i < tables.size && err == OK; i++) {
        data[0] = tables.data[i];
        err = change_delete(m, key);
    }
    return err;
}

static enum vault_err
change_apply(struct store_mem *m, const struct store_change *change)
{
    switch (change->kind) {
    case STORE_PUT: return change_put(m, change);
    case STORE_DELETE: return change_delete(m, change->key);
    case STORE_DELETE_PREFIX: return change_delete_prefix(m, change->key);
    case STORE_DELETE_ONE: return change_delete_one(m, change->key, change->value);
    }
    return ERR_INTERNAL;
}

static enum vault_err
mem_commit(struct store *store, const struct store_change *changes, size_t count)
{
    /* Nobody has to be kept from making marks here, and no copy of the store is ever opened. */
    static const uint8_t key[KEY_BYTES] = {0}, opening[STORE_OPENING_BYTES] = {0};
    struct store_mem *m = of_store(store);
    struct store_mark next;
    enum vault_err err = OK;

    store_changes_check(changes, count);
    pthread_mutex_lock(&m->lock);
    const struct undo *mark = m->undo;
    for (size_t i = 0; i < count && err == OK; i++)
        err = change_apply(m, &changes[i]);
    store_mark_next(key, opening, &m->mark, changes, count, &next);
    if (err == OK)
        m->mark = next;
    else
        undo_until(m, mark);
    pthread_mutex_unlock(&m->lock);
    return err;
}

static enum vault_err
mem_sync(struct store *store)
{
    struct store_mem *m = of_store(store);

    pthread_mutex_lock(&m->lock);
    undo_forget(m);
    m->mark_synced = m->mark;
    pthread_mutex_unlock(&m->lock);
    return OK;
}

static uint64_t
mem_sequence(struct store *store)
{
    struct store_mem *m = of_store(store);

    pthread_mutex_lock(&m->lock);
    uint64_t sequence = m->mark.sequence;
    pthread_mutex_unlock(&m->lock);
    return sequence;
}

static void
mem_durable(struct store *store, struct store_mark *out)
{
    struct store_mem *m = of_store(store);

    pthread_mutex_lock(&m->lock);
    *out = m->mark_synced;
    pthread_mutex_unlock(&m->lock);
}

void
store_mem_crash(struct store *store)
{
    struct store_mem *m = of_store(store);

    pthread_mutex_lock(&m->lock);
    undo_until(m, NULL);
    m->mark = m->mark_synced;
    pthread_mutex_unlock(&m->lock);
}

static enum vault_err
mem_reader_new(struct store *store, struct store_reader **out)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return ERR_NOMEM;
    (*out)->store = of_store(store);
    return OK;
}

static void
mem_reader_free(struct store_reader *reader)
{
    free(reader);
}

static enum vault_err
mem_get(struct store_reader *reader, struct bytes key, struct arena *arena, struct bytes *out)
{
    struct store_mem *m = reader->store;
    enum vault_err err = ERR_NOT_FOUND;

    *out = (struct bytes){0};
    pthread_mutex_lock(&m->lock);
    const struct row *row = row_at_least(m, key);
    if (row != NULL && bytes_equal(row->key, key))
        err = arena_copy(arena, row->value, out);
    pthread_mutex_unlock(&m->lock);
    return err;
}

static enum vault_err
row_copy(const struct row *row, bool with_value, struct arena *arena, struct store_row *out)
{
    *out = (struct store_row){0};
    enum vault_err err = arena_copy(arena, row->key, &out->key);
    if (err == OK && with_value)
        err = arena_copy(arena, row->value, &out->value);
    return err;
}

static enum vault_err
mem_scan(struct store_reader *reader, struct bytes prefix, struct bytes after, size_t limit,
         bool with_values, struct arena *arena, struct store_row *rows, size_t *count, bool *more)
{
    struct store_mem *m = reader->store;
    struct store_scan_start start = store_scan_start(prefix, after);
    enum vault_err err = OK;
    size_t n = 0;

    *count = 0;
    *more = false;
    pthread_mutex_lock(&m->lock);
    const struct row *row = row_at_least(m, start.key);
    if (row != NULL && start.behind && bytes_equal(row->key, start.key))
        row = row->next[0];
    for (; err == OK && row != NULL && store_key_begins(row->key, prefix); row = row->next[0]) {
        if (n == limit) {
            *more = true;
            break;
        }
        err = row_copy(row, with_values, arena, &rows[n]);
        n++;
    }
    pthread_mutex_unlock(&m->lock);
    if (err == OK)
        *count = n;
    return err;
}

static void
mem_close(struct store *store)
{
    struct store_mem *m = of_store(store);

    undo_forget(m);
    for (struct row *row = m->head, *next; row != NULL; row = next) {
        next = row->next[0];
        free(row);
    }
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct store_ops mem_ops = {
    .commit = mem_commit,
    .sync = mem_sync,
    .sequence = mem_sequence,
    .reader_new = mem_reader_new,
    .reader_free = mem_reader_free,
    .get = mem_get,
    .scan = mem_scan,
    .close = mem_close,
    .durable = mem_durable,
};

enum vault_err
store_mem_new(struct store **out)
{
    struct store_mem *m = calloc(1, sizeof(*m));

    *out = NULL;
    if (m == NULL)
        return ERR_NOMEM;
    m->head = row_new(HEIGHT_MAX, (struct bytes){0}, (struct bytes){0});
    if (m->head == NULL || pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m->head);
        free(m);
        return ERR_NOMEM;
    }
    m->base.ops = &mem_ops;
    *out = &m->base;
    return OK;
}
