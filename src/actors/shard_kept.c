#include "actors/shard_kept.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/planted.h"

static void
unlink_rows(struct kept *kept, struct kept_rows *rows)
{
    if (rows->older)
        rows->older->newer = rows->newer;
    else
        kept->oldest = rows->newer;
    if (rows->newer)
        rows->newer->older = rows->older;
    else
        kept->newest = rows->older;
    rows->older = NULL;
    rows->newer = NULL;
}

static void
link_newest(struct kept *kept, struct kept_rows *rows)
{
    rows->older = kept->newest;
    rows->newer = NULL;
    if (kept->newest)
        kept->newest->newer = rows;
    else
        kept->oldest = rows;
    kept->newest = rows;
}

const struct msg_loaded *
kept_find(struct kept *kept, struct kept_rows *of, uint64_t version,
          const uint8_t version_id[static ID_BYTES])
{
    bool same = of && of->version == version && memcmp(of->version_id, version_id, ID_BYTES) == 0;
    if (!of || (!same && !PLANTED(kept_rows_stale)))
        return NULL;
    unlink_rows(kept, of);
    link_newest(kept, of);
    return &of->loaded;
}

enum vault_err
kept_init(struct kept *kept, struct secret_arena *arena, size_t shares_max)
{
    if (shares_max == 0)
        return OK;
    kept->holders = calloc(shares_max, sizeof(*kept->holders));
    if (!kept->holders)
        return ERR_NOMEM;
    kept->arena = arena;
    kept->shares_max = shares_max;
    return OK;
}

static void
drop_share(struct kept *kept, struct kept_rows *of)
{
    if (!of || !of->share.data)
        return;
    kept->holders[of->holder] = NULL;
    secret_free(kept->arena, &of->share);
}

struct bytes
kept_share(const struct kept_rows *of)
{
    return of && of->share.data ? secret_bytes(&of->share) : (struct bytes){0};
}

void
kept_share_put(struct kept *kept, struct kept_rows *of, struct bytes share)
{
    bool has_place = of->share.data != NULL;
    drop_share(kept, of);
    if (kept->shares_max == 0 || share.size == 0 || share.size > SECRET_BYTES_MAX)
        return;
    if (!has_place) {
        of->holder = kept->next_holder;
        kept->next_holder = (kept->next_holder + 1) % kept->shares_max;
        drop_share(kept, kept->holders[of->holder]);
    }
    if (secret_copy(kept->arena, share, &of->share) == OK)
        kept->holders[of->holder] = of;
}

static struct bytes
copy_into(struct bytes from, uint8_t **at)
{
    struct bytes copy = bytes_of(*at, from.size);
    if (from.size > 0)
        memcpy(*at, from.data, from.size);
    *at += from.size;
    return copy;
}

static struct kept_rows *
rows_new(const struct msg_loaded *from, size_t bytes)
{
    struct kept_rows *rows = calloc(1, sizeof(*rows) + bytes);
    if (!rows)
        return NULL;
    uint8_t *at = rows->memory;
    for (size_t i = 0; i < from->count; i++)
        rows->rows[i] = (struct loaded_row){.key = copy_into(from->rows[i].key, &at),
                                            .value = copy_into(from->rows[i].value, &at),
                                            .found = from->rows[i].found};
    rows->loaded = (struct msg_loaded){.err = OK, .rows = rows->rows, .count = from->count};
    rows->bytes = sizeof(*rows) + bytes;
    return rows;
}

void
kept_put(struct kept *kept, struct kept_rows **of, uint64_t version,
         const uint8_t version_id[static ID_BYTES], const struct msg_loaded *rows)
{
    size_t bytes = 0;
    assert(rows->count <= KEPT_ROWS_MAX);
    for (size_t i = 0; i < rows->count; i++)
        bytes += rows->rows[i].key.size + rows->rows[i].value.size;
    kept_forget(kept, of);
    struct kept_rows *made = bytes <= KEPT_ROWS_BYTES_MAX ? rows_new(rows, bytes) : NULL;
    if (!made)
        return;
    while (kept->oldest && kept->bytes + made->bytes > KEPT_BYTES_MAX)
        kept_forget(kept, kept->oldest->owner);
    made->version = version;
    memcpy(made->version_id, version_id, ID_BYTES);
    made->owner = of;
    *of = made;
    kept->bytes += made->bytes;
    link_newest(kept, made);
}

void
kept_forget(struct kept *kept, struct kept_rows **of)
{
    struct kept_rows *rows = *of;
    if (!rows)
        return;
    *of = NULL;
    drop_share(kept, rows);
    unlink_rows(kept, rows);
    kept->bytes -= rows->bytes;
    rows->owner = NULL;
    rows->newer = kept->forgotten;
    kept->forgotten = rows;
}

static bool
are_sound(const struct kept_rows *of, struct bytes encoded, struct bytes dealing)
{
    struct version_record record;
    uint8_t hash[HASH_BYTES];

    record_id(encoded, hash);
    if (memcmp(hash, of->version_id, ID_BYTES) != 0 || version_decode(encoded, &record) != OK)
        return false;
    record_id(dealing, hash);
    return memcmp(hash, record.dealing_hash, HASH_BYTES) == 0;
}

bool
kept_is_sound(struct kept_rows *of, struct bytes record, struct bytes dealing)
{
    if (!of->looked_at)
        of->sound = are_sound(of, record, dealing);
    of->looked_at = true;
    return of->sound;
}

void
kept_sweep(struct kept *kept)
{
    while (kept->forgotten) {
        struct kept_rows *next = kept->forgotten->newer;
        free(kept->forgotten);
        kept->forgotten = next;
    }
}

void
kept_close(struct kept *kept)
{
    assert(!kept->oldest);
    kept_sweep(kept);
    free(kept->holders);
    kept->holders = NULL;
    kept->shares_max = 0;
}
