/*
 * The shard store's part in shredding (actors/shredder.h): marks of buckets in which something was
 * erased, own shares sealed anew, and when an erasure counts as shredded on this node.
 */
#include <string.h>

#include "actors/shard_internal.h"
#include "base/planted.h"

struct bucket *
shard_bucket(const struct shard_work *w)
{
    struct shard_path *path = w->path;
    struct row_key key;
    if (!path->bucket) {
        row_key_path(path->link.path, &key);
        path->bucket = &w->s->buckets->buckets[bucket_of(w->s->buckets, row_key_bytes(&key))];
    }
    return path->bucket;
}

/* ---- erasing ---- */

static bool
deletes_shares(const struct store_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].kind != STORE_PUT && changes[i].key.data[0] == ROW_VERSION)
            return true;
    }
    return false;
}

bool
shard_mark_dirty(struct shard_work *w, const struct store_change **changes, size_t *count)
{
    if (!deletes_shares(*changes, *count))
        return true;
    struct bucket *bucket = shard_bucket(w);
    struct row_key key;
    struct store_change *list = arena_alloc(w->st->arena, (*count + 1) * sizeof(*list));
    uint8_t *value = arena_alloc(w->st->arena, DIRTY_VALUE_BYTES);
    row_key_dirty((unsigned)(bucket - w->s->buckets->buckets), &key);
    struct bytes key_copy = shard_key_copy(w, &key);
    if (!list || !value || key_copy.size == 0)
        return false;
    dirty_row_encode(bucket->generation, value);
    memcpy(list, *changes, *count * sizeof(*list));
    list[*count] = (struct store_change){STORE_PUT, key_copy, bytes_of(value, DIRTY_VALUE_BYTES)};
    bucket->dirty = bucket->generation;
    *changes = list;
    (*count)++;
    return true;
}

void
shard_note_keys(struct shard_work *w)
{
    struct path_row *row = &w->path->next->row;
    const struct share_key_public *newest = share_keyring_current(w->s->ring);
    if (row->erased_generation != 0)
        return;
    row->erased_generation = shard_bucket(w)->generation;
    row->erased_share_key = newest ? newest->id : UINT64_MAX;
}

bool
shard_is_shredded(const struct shard_work *w)
{
    const struct path_row *row = &w->path->row.row;
    if (!row->erased || row->erased_generation == 0)
        return false;
    if (PLANTED(shredded_too_early))
        return true;
    return row->erased_generation < shard_bucket(w)->oldest_saved &&
           row->erased_share_key < w->s->ring->oldest_saved;
}

/* ---- sealing anew ---- */

/*
 * Nothing where nothing has to be done for this row, or nothing can be. A rotten record stays as it
 * is: to store it again would give it a new seal.
 */
static void
rewrap(struct shard_work *w, const struct bucket *bucket, const struct loaded_row *loaded,
       struct store_change *list, size_t *count)
{
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes id, share;
    struct version_row row;
    struct loaded_row anew;
    size_t before = *count;
    if (row_key_parse(loaded->key, &table, &path, &version, &id) != OK ||
        !version_row_is_whole(id, loaded->value, &row) ||
        bucket_sealed_generation(row.share) != bucket->other ||
        shard_share_unseal(w, loaded->key, row.share, &share) != OK)
        return;
    if (PLANTED(rewrap_drops_dealing))
        row.dealing = (struct bytes){0};
    if (shard_version_row(w, version, id.data, row.record, share, row.dealing, &anew) == OK &&
        shard_put_version(w, version, id.data, &anew, row.dealing, list, count) != OK)
        *count = before;
}

/*
 * Own shares under the bucket's old key are sealed under its new one. Here, since whatever changes
 * a path does so in turn: what was loaded is still so when it is stored.
 */
void
shard_on_rewrap(struct shard_work *w)
{
    const struct bucket *bucket = shard_bucket(w);
    struct store_change *list;
    size_t count = 0;
    if (!bucket_is_retiring(bucket))
        return;
    if (!w->rows) {
        shard_need_versions(w, ROW_VERSION, SHARD_ROWS_MAX);
        return;
    }
    list = arena_alloc(w->st->arena, 2 * SHARD_ROWS_MAX * sizeof(*list));
    for (size_t i = 0; list && i < w->rows->count && i < SHARD_ROWS_MAX; i++)
        rewrap(w, bucket, &w->rows->rows[i], list, &count);
    if (count > 0)
        shard_commit(w, list, count);
}
