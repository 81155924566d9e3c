#include <errno.h>
#include <stdlib.h>

#include "store/store_chain.h"
#include "store/store_check.h"
#include "store/store_wt_internal.h"

/*
 * A transaction that the engine rolled back is tried again: with one writer there is nobody to
 * conflict with, but a batch that does not fit the cache beside what waits to be evicted is rolled
 * back too.
 */
enum { TRIES_MAX = 8 };

struct store_reader {
    struct store_wt *store;
    WT_SESSION *session;
    /* Its cursor is held, and reset after every use, so that it pins nothing in the cache. */
    struct store_wt_rows rows;
};

static struct store_wt *
of_store(struct store *store)
{
    return (struct store_wt *)store;
}

static enum vault_err
error_of(int ret)
{
    switch (ret) {
    case 0: return OK;
    case WT_NOTFOUND: return ERR_NOT_FOUND;
    case ENOMEM: return ERR_NOMEM;
    case ENOSPC: return ERR_DISK_FULL;
    case WT_PANIC:
    case WT_ERROR:
    case WT_TRY_SALVAGE: return ERR_CORRUPT;
    default: return ERR_IO;
    }
}

/*
 * What is left when nothing of the ordinary explains it: the device failed, or damage was met. A
 * node that cannot read what it has voted must leave every quorum, so the process ends; the next
 * start verifies everything.
 */
static void
end_if_broken(struct store_wt *store, int ret, const char *what)
{
    switch (ret) {
    case 0:
    case WT_NOTFOUND:
    case WT_ROLLBACK:
    case WT_CACHE_FULL:
    case ENOMEM:
    case ENOSPC: return;
    default: store_wt_fatal(store, what);
    }
}

static void
end_if_unreadable(struct store_wt *store, int ret)
{
    end_if_broken(store, ret, "the disk gave an error, or damage was met, while reading");
}

static WT_ITEM
item_of(struct bytes bytes)
{
    return (WT_ITEM){.data = bytes.data, .size = bytes.size};
}

static struct bytes
bytes_of_item(const WT_ITEM *item)
{
    return bytes_of(item->data, item->size);
}

int
store_wt_rows_open(struct store_wt *store, WT_SESSION *session, struct store_wt_rows *out)
{
    out->layout = &store->layout;
    return session->open_cursor(session, STORE_WT_TABLE, NULL, "overwrite=true", &out->cursor);
}

static int
row_put(struct store_wt_rows *rows, struct bytes key, struct bytes value)
{
    WT_CURSOR *cursor = rows->cursor;
    struct bytes place = store_wt_rows_place(rows, key);
    WT_ITEM key_item = item_of(place);
    WT_ITEM value_item = item_of(value);

    store_wt_layout_note(rows->layout, place);
    cursor->set_key(cursor, &key_item);
    cursor->set_value(cursor, &value_item);
    return cursor->insert(cursor);
}

static int
row_delete(struct store_wt_rows *rows, struct bytes key)
{
    WT_CURSOR *cursor = rows->cursor;
    WT_ITEM item = item_of(store_wt_rows_place(rows, key));

    cursor->set_key(cursor, &item);
    int ret = cursor->remove(cursor);
    return ret == WT_NOTFOUND ? 0 : ret;
}

/*
 * The key under the cursor, if it begins with `prefix`, else WT_NOTFOUND. Skips the reserved row.
 */
static int
rows_key_in(struct store_wt_rows *rows, struct bytes prefix, struct bytes *key)
{
    for (;;) {
        int ret = store_wt_rows_key(rows, key);
        if (ret != 0)
            return ret;
        if (!store_key_begins(*key, prefix))
            return WT_NOTFOUND;
        if (!store_key_is_reserved(*key))
            return 0;
        ret = store_wt_rows_next(rows);
        if (ret != 0)
            return ret;
    }
}

static int
rows_delete_prefix(struct store_wt_rows *rows, struct bytes prefix)
{
    struct bytes key;

    int ret = store_wt_rows_seek(rows, prefix, false);
    while (ret == 0) {
        ret = rows_key_in(rows, prefix, &key);
        if (ret == 0)
            ret = rows->cursor->remove(rows->cursor); /* keeps its position */
        if (ret == 0)
            ret = store_wt_rows_next(rows);
    }
    return ret == WT_NOTFOUND ? 0 : ret;
}

static int
rows_delete_one(struct store_wt_rows *rows, struct bytes prefix, struct bytes tables)
{
    uint8_t data[KEY_BYTES_MAX];
    struct bytes key;

    int ret = store_wt_rows_seek(rows, prefix, false);
    if (ret == 0)
        ret = rows_key_in(rows, prefix, &key);
    if (ret != 0)
        return ret == WT_NOTFOUND ? 0 : ret;
    key = store_key_copy(key, data);
    ret = rows->cursor->remove(rows->cursor);
    for (size_t i = 0; i < tables.size && ret == 0; i++) {
        data[0] = tables.data[i];
        ret = row_delete(rows, key);
    }
    return ret;
}

static int
change_apply(struct store_wt_rows *rows, const struct store_change *change)
{
    switch (change->kind) {
    case STORE_PUT: return row_put(rows, change->key, change->value);
    case STORE_DELETE: return row_delete(rows, change->key);
    case STORE_DELETE_PREFIX: return rows_delete_prefix(rows, change->key);
    case STORE_DELETE_ONE: return rows_delete_one(rows, change->key, change->value);
    }
    return EINVAL;
}

int
store_wt_mark_put(struct store_wt_rows *rows, const struct store_mark *mark)
{
    uint8_t value[STORE_WT_MARK_BYTES_MAX];

    return row_put(rows, store_sequence_key(), store_wt_mark_encode(rows->layout, mark, value));
}

int
store_wt_mark_get(struct store_wt_rows *rows, struct store_mark *out)
{
    WT_CURSOR *cursor = rows->cursor;
    WT_ITEM item = item_of(store_sequence_key());

    *out = (struct store_mark){0};
    cursor->set_key(cursor, &item);
    int ret = cursor->search(cursor);
    if (ret == 0)
        ret = cursor->get_value(cursor, &item);
    if (ret == 0 && store_wt_mark_decode(bytes_of_item(&item), rows->layout, out) != OK)
        ret = WT_ERROR;
    int reset = cursor->reset(cursor);
    return ret != 0 ? ret : reset;
}

static int
batch_try(struct store_wt *s, const struct store_change *changes, size_t count,
          const struct store_mark *mark)
{
    int ret = s->session->begin_transaction(s->session, NULL); /* a snapshot, like the session */

    if (ret != 0)
        return ret;
    for (size_t i = 0; i < count && ret == 0; i++)
        ret = change_apply(&s->rows, &changes[i]);
    if (ret == 0)
        ret = store_wt_mark_put(&s->rows, mark);
    int reset = s->rows.cursor->reset(s->rows.cursor);
    if (ret == 0)
        ret = reset;
    if (ret != 0) {
        /* A rollback that fails is a panic of the engine, which has its own way out. */
        (void)s->session->rollback_transaction(s->session, NULL);
        return ret;
    }
    return s->session->commit_transaction(s->session,
                                          NULL); /* rolls back by itself when it fails */
}

/*
 * What the batch takes in the journal: rows, a few bytes each, header and tag, rounded up as the
 * engine does.
 */
static uint64_t
journal_bytes(const struct store_change *changes, size_t count)
{
    uint64_t bytes = 160; /* record header, encryption, sequence row */

    for (size_t i = 0; i < count; i++)
        bytes += 8 + changes[i].key.size + changes[i].value.size;
    return (bytes + 127) & ~(uint64_t)127;
}

static enum vault_err
wt_commit(struct store *store, const struct store_change *changes, size_t count)
{
    struct store_wt *s = of_store(store);
    uint64_t bytes = journal_bytes(changes, count);
    struct store_mark mark;
    int ret = WT_ROLLBACK;

    store_changes_check(changes, count);
    pthread_mutex_lock(&s->lock);
    /* Twice: once for the journal, once for the table. */
    enum vault_err err =
        store_wt_disk_admit(&s->disk, 2 * bytes, store_changes_may_use_reserve(changes, count));
    if (err != OK)
        goto out;
    store_mark_next(s->chain_key.data, s->opening, &s->mark, changes, count, &mark);
    for (unsigned i = 0; i < TRIES_MAX && ret == WT_ROLLBACK; i++)
        ret = batch_try(s, changes, count, &mark);
    end_if_broken(s, ret, "the disk gave an error, or damage was met, while writing");
    err = error_of(ret);
    if (err == ERR_NOT_FOUND)
        err = ERR_IO; /* no answer to a commit */
    if (err == OK) {
        s->mark = mark;
        pthread_mutex_lock(&s->mark_lock);
        s->sequence = mark.sequence;
        pthread_mutex_unlock(&s->mark_lock);
        atomic_fetch_add(&s->log_bytes, bytes);
    }
out:
    pthread_mutex_unlock(&s->lock);
    return err;
}

static enum vault_err
wt_sync(struct store *store)
{
    struct store_wt *s = of_store(store);

    pthread_mutex_lock(&s->lock);
    struct store_mark mark = s->mark;
    pthread_mutex_unlock(&s->lock);
    /* Commits go on meanwhile, in the other session, and are not in this mark. */
    int ret = s->sync_session->log_flush(s->sync_session, "sync=on");
    if (ret != 0)
        store_wt_fatal(s, "the journal could not be synced to the disk");
    pthread_mutex_lock(&s->mark_lock);
    s->durable = mark;
    pthread_mutex_unlock(&s->mark_lock);
    return OK;
}

/* What the engine still has in its own buffers goes to the system. */
static enum vault_err
wt_write_out(struct store *store)
{
    struct store_wt *s = of_store(store);

    pthread_mutex_lock(&s->lock);
    int ret = s->session->log_flush(s->session, "sync=off");
    pthread_mutex_unlock(&s->lock);
    if (ret != 0)
        store_wt_fatal(s, "the journal could not be written to the disk");
    return OK;
}

static uint64_t
wt_sequence(struct store *store)
{
    struct store_wt *s = of_store(store);

    pthread_mutex_lock(&s->mark_lock);
    uint64_t sequence = s->sequence;
    pthread_mutex_unlock(&s->mark_lock);
    return sequence;
}

static void
wt_durable(struct store *store, struct store_mark *out)
{
    struct store_wt *s = of_store(store);

    pthread_mutex_lock(&s->mark_lock);
    *out = s->durable;
    pthread_mutex_unlock(&s->mark_lock);
}

void
store_wt_mark_set(struct store_wt *store, const struct store_mark *mark)
{
    pthread_mutex_lock(&store->mark_lock);
    store->sequence = mark->sequence;
    store->durable = *mark;
    pthread_mutex_unlock(&store->mark_lock);
}

static enum vault_err
wt_reader_new(struct store *store, struct store_reader **out)
{
    WT_CONNECTION *connection = of_store(store)->connection;
    struct store_reader *reader = calloc(1, sizeof(*reader));

    *out = NULL;
    if (reader == NULL)
        return ERR_NOMEM;
    int ret = connection->open_session(connection, NULL, NULL, &reader->session);
    if (ret == 0)
        ret = store_wt_rows_open(of_store(store), reader->session, &reader->rows);
    if (ret != 0) {
        if (reader->session != NULL)
            (void)reader->session->close(reader->session, NULL);
        free(reader);
        return error_of(ret);
    }
    reader->store = of_store(store);
    *out = reader;
    return OK;
}

static void
wt_reader_free(struct store_reader *reader)
{
    if (reader == NULL)
        return;
    (void)reader->session->close(reader->session, NULL); /* and its cursor */
    free(reader);
}

static enum vault_err
get_row(struct store_reader *reader, struct bytes key, struct arena *arena, struct bytes *out)
{
    WT_CURSOR *cursor = reader->rows.cursor;
    WT_ITEM item = item_of(store_wt_rows_place(&reader->rows, key));

    *out = (struct bytes){0};
    if (key.size == 0 || store_key_is_reserved(key))
        return ERR_NOT_FOUND;
    cursor->set_key(cursor, &item);
    int ret = cursor->search(cursor);
    if (ret == 0)
        ret = cursor->get_value(cursor, &item);
    end_if_unreadable(reader->store, ret);
    enum vault_err err = error_of(ret);
    return err == OK ? arena_copy(arena, bytes_of_item(&item), out) : err;
}

static enum vault_err
wt_get(struct store_reader *reader, struct bytes key, struct arena *arena, struct bytes *out)
{
    enum vault_err err = get_row(reader, key, arena, out);

    (void)reader->rows.cursor->reset(reader->rows.cursor);
    return err;
}

static enum vault_err
row_copy(WT_CURSOR *cursor, struct bytes key, bool with_value, struct arena *arena,
         struct store_row *out)
{
    WT_ITEM item;

    *out = (struct store_row){0};
    enum vault_err err = arena_copy(arena, key, &out->key);
    if (err != OK || !with_value)
        return err;
    err = error_of(cursor->get_value(cursor, &item));
    if (err == OK)
        err = arena_copy(arena, bytes_of_item(&item), &out->value);
    return err;
}

static enum vault_err
wt_get_along(struct store_reader *reader, struct bytes key, struct bytes prefix,
             struct arena *arena, struct bytes *out, struct store_row *along)
{
    struct store_wt_rows *rows = &reader->rows;
    struct bytes found;

    *along = (struct store_row){0};
    enum vault_err err = get_row(reader, key, arena, out);
    if (err == OK && prefix.size > 0) {
        rows->further = false;
        int ret = store_wt_rows_along(rows, key, prefix);
        end_if_unreadable(reader->store, ret);
        if (ret == 0)
            ret = store_wt_rows_key(rows, &found);
        if (ret == 0 && row_copy(rows->cursor, found, true, arena, along) != OK)
            *along = (struct store_row){0};
    }
    (void)rows->cursor->reset(rows->cursor);
    return err;
}

/* Copies rows from the cursor on; ERR_NOT_FOUND when the range ended, OK when there is more. */
static enum vault_err
rows_copy(struct store_reader *reader, struct bytes prefix, size_t limit, bool with_values,
          struct arena *arena, struct store_row *rows, size_t *count)
{
    struct store_wt_rows *at = &reader->rows;
    struct bytes key;

    for (;;) {
        int ret = rows_key_in(at, prefix, &key);
        end_if_unreadable(reader->store, ret);
        if (ret != 0 || *count == limit)
            return error_of(ret);
        enum vault_err err = row_copy(at->cursor, key, with_values, arena, &rows[*count]);
        if (err != OK)
            return err;
        (*count)++;
        ret = store_wt_rows_next(at);
        end_if_unreadable(reader->store, ret);
        if (ret != 0)
            return error_of(ret);
    }
}

static enum vault_err
wt_scan(struct store_reader *reader, struct bytes prefix, struct bytes after, size_t limit,
        bool with_values, struct arena *arena, struct store_row *rows, size_t *count, bool *more)
{
    struct store_scan_start start = store_scan_start(prefix, after);
    WT_SESSION *session = reader->session;

    *count = 0;
    *more = false;
    /* One snapshot for the whole scan. */
    int ret = session->begin_transaction(session, "isolation=snapshot");
    if (ret != 0)
        return error_of(ret);
    reader->rows.further = prefix.size == 0;
    ret = store_wt_rows_seek(&reader->rows, start.key, start.behind);
    end_if_unreadable(reader->store, ret);
    enum vault_err err = error_of(ret);
    if (err == OK)
        err = rows_copy(reader, prefix, limit, with_values, arena, rows, count);
    (void)reader->rows.cursor->reset(reader->rows.cursor);
    (void)session->rollback_transaction(session, NULL);
    if (err == ERR_NOT_FOUND)
        return OK;
    *more = err == OK;
    if (err != OK)
        *count = 0;
    return err;
}

void
store_wt_free(struct store_wt *store)
{
    store_wt_encryptor_free(store->encryptor);
    if (store->secrets != NULL) {
        secret_free(store->secrets, &store->chain_key);
        secret_arena_close(store->secrets);
        secret_arena_free(store->secrets);
    }
    store_wt_disk_close(&store->disk);
    pthread_mutex_destroy(&store->mark_lock);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static void
wt_close(struct store *store)
{
    struct store_wt *s = of_store(store);

    /* Writes a checkpoint. If that fails, the journal still holds everything that was synced. */
    (void)s->connection->close(s->connection, NULL);
    store_wt_free(s);
}

enum vault_err
store_wt_checkpoint(struct store *store)
{
    WT_CONNECTION *connection = of_store(store)->connection;
    WT_SESSION *session;

    /*
     * For the journals made since: their mode comes from the umask. The directory guards them
     * meanwhile.
     */
    if (store_wt_disk_protect(&of_store(store)->disk) != OK)
        return ERR_IO;
    if (connection->open_session(connection, NULL, NULL, &session) != 0)
        return ERR_IO;
    uint64_t pending = atomic_load(&of_store(store)->disk.pending_bytes);
    int ret = session->checkpoint(session, NULL);
    (void)session->close(session, NULL);
    if (ret == 0)
        atomic_fetch_sub(&of_store(store)->disk.pending_bytes, pending);
    return ret == 0 ? OK : ERR_IO;
}

bool
store_wt_is_tight(struct store *store)
{
    const struct store_wt_disk *disk = &of_store(store)->disk;

    return atomic_load(&disk->free_bytes) < disk->free_min_bytes;
}

uint64_t
store_wt_log_bytes(struct store *store)
{
    return atomic_load(&of_store(store)->log_bytes);
}

void
store_wt_stats(struct store *store, struct store_wt_stats *out)
{
    out->log_bytes = store_wt_log_bytes(store);
    out->disk_free_bytes = atomic_load(&of_store(store)->disk.free_bytes);
}

const struct store_ops store_wt_ops = {
    .commit = wt_commit,
    .sync = wt_sync,
    .sequence = wt_sequence,
    .reader_new = wt_reader_new,
    .reader_free = wt_reader_free,
    .get = wt_get,
    .scan = wt_scan,
    .close = wt_close,
    .durable = wt_durable,
    .write_out = wt_write_out,
    .get_along = wt_get_along,
};
