/*
 * Versions that a head makes before its latest one: docs/protocol.md, "Several updates at once".
 * They are stored and told with that, in the same transactions and messages.
 */
#include <string.h>

#include "actors/shard_internal.h"
#include "base/planted.h"

bool
shard_brought_keys(struct shard_work *w, const struct head *head, const enum row_table *tables,
                   size_t table_count, struct row_key **out, size_t *count)
{
    struct path path = w->path->link.path;
    size_t earlier = head_earlier_count(head);
    *count = (earlier + 1) * table_count;
    struct row_key *keys = *out = arena_alloc(w->st->arena, *count * sizeof(*keys));
    for (size_t i = 0; keys && i <= earlier; i++) {
        uint64_t version = i == 0 ? head->version : head->version - earlier + i - 1;
        const uint8_t *id =
            i == 0 ? head->version_id : head->earlier.data + (i - 1) * (size_t)ID_BYTES;
        for (size_t t = 0; t < table_count; t++)
            row_key_version(tables[t], path, version, id, &keys[i * table_count + t]);
    }
    return keys != NULL;
}

bool
shard_earlier_of_own(struct shard_work *w, struct bytes *out)
{
    *out = (struct bytes){0};
    if (w->path->row.head.earlier_count == 0)
        return true;
    struct head *head = arena_alloc(w->st->arena, sizeof(*head));
    if (!head || head_decode(w->path->row.row.head, head) != OK)
        return false;
    *out = head->earlier;
    return true;
}

bool
shard_group_is_ours(struct shard_work *w, const struct group *group, uint8_t x)
{
    for (size_t i = 0; i < group->count; i++) {
        uint8_t own;
        if (!shard_dealing_is_ours(w, &group->versions[i].decoded, &own) || own != x)
            return false;
    }
    return true;
}

static enum vault_err
put_version(struct shard_work *w, const struct group_version *v, uint8_t x,
            struct store_change *list, size_t *count)
{
    struct loaded_row row;
    struct row_key key;
    struct bytes share = shard_open_box(w, &v->record, &v->decoded, x, v->decoded.boxes[x - 1]);
    if (share.size == 0)
        return ERR_CORRUPT;
    enum vault_err err = shard_version_row(w, v->record.version, v->id, v->part.version, share,
                                           v->part.dealing, &row);
    if (err == OK)
        err = shard_put_version(w, v->record.version, v->id, &row, v->part.dealing, list, count);
    if (err != OK)
        return err;
    row_key_version(ROW_BOXES, w->path->link.path, v->record.version, v->id, &key);
    struct bytes key_copy = shard_key_copy(w, &key);
    if (key_copy.size == 0)
        return ERR_NOMEM;
    shard_change(list, count, STORE_PUT, key_copy, v->part.boxes);
    return OK;
}

enum vault_err
shard_group_put(struct shard_work *w, const struct group *group, uint8_t x,
                struct store_change *list, size_t *count)
{
    enum vault_err err = OK;
    for (size_t i = 0; i < group->count && err == OK && !PLANTED(group_stores_the_latest); i++)
        err = put_version(w, &group->versions[i], x, list, count);
    return err;
}

bool
shard_group_is_held(struct shard_work *w, const struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct loaded_row *loaded = &w->rows->rows[i + 1];
        struct version_row row;
        if (!loaded->found || version_row_decode(loaded->value, &row) != OK ||
            !shard_share_is_good(w, loaded->key, row.share, &group->versions[i].decoded))
            return false;
    }
    return true;
}

bool
shard_group_copy(struct shard_work *w, size_t count, struct bytes *out)
{
    struct group_part parts[GROUP_EARLIER_MAX];
    struct buf encoded = {0};
    *out = (struct bytes){0};
    for (size_t i = 0; i < count; i++) {
        const struct loaded_row *rows = &w->rows->rows[3 * (i + 1)];
        struct version_row row;
        if (!rows[0].found || version_row_decode(rows[0].value, &row) != OK)
            return false;
        parts[i] =
            (struct group_part){.version = row.record, .dealing = shard_dealing_of(&row, &rows[1])};
        if (parts[i].dealing.size == 0)
            return false;
        if (rows[2].found)
            parts[i].boxes = rows[2].value;
    }
    bool made = group_encode(parts, count, &encoded) == OK &&
                arena_copy(w->st->arena, buf_bytes(&encoded), out) == OK;
    buf_close(&encoded);
    return made;
}
