#include "proto/group.h"

#include <string.h>

enum { ITEMS = 3, ITEMS_MAX = GROUP_EARLIER_MAX * ITEMS };

enum vault_err
group_encode(const struct group_part *parts, size_t count, struct buf *out)
{
    struct bytes items[ITEMS_MAX];
    if (count > GROUP_EARLIER_MAX)
        return ERR_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        const struct bytes part[ITEMS] = {parts[i].version, parts[i].dealing, parts[i].boxes};
        for (size_t j = 0; j < ITEMS; j++) {
            if (part[j].size > GROUP_PART_BYTES_MAX)
                return ERR_TOO_LARGE;
            items[i * ITEMS + j] = part[j];
        }
    }
    return bytes_list_encode(items, count * ITEMS, out);
}

enum vault_err
group_split(struct bytes encoded, struct group_part *parts, size_t parts_max, size_t *count)
{
    struct bytes items[ITEMS_MAX];
    size_t found = 0;
    *count = 0;
    enum vault_err err = bytes_list_decode(encoded, GROUP_PART_BYTES_MAX, items, ITEMS_MAX, &found);
    if (err != OK || found % ITEMS != 0 || found / ITEMS > parts_max)
        return ERR_MALFORMED;
    *count = found / ITEMS;
    for (size_t i = 0; i < *count; i++)
        parts[i] =
            (struct group_part){items[i * ITEMS], items[i * ITEMS + 1], items[i * ITEMS + 2]};
    return OK;
}

/* The version that the head names at that place, with the dealing that it names. */
static bool
decode_version(const struct head *head, size_t place, struct group_version *v)
{
    size_t count = head_earlier_count(head);
    uint8_t dealing_hash[HASH_BYTES];
    record_id(v->part.version, v->id);
    record_id(v->part.dealing, dealing_hash);
    return memcmp(v->id, head->earlier.data + place * ID_BYTES, ID_BYTES) == 0 &&
           version_decode(v->part.version, &v->record) == OK &&
           v->record.version == head->version - count + place &&
           memcmp(v->record.incarnation, head->incarnation, INCARNATION_BYTES) == 0 &&
           memcmp(v->record.dealing_hash, dealing_hash, HASH_BYTES) == 0 &&
           dealing_decode(v->part.dealing, v->part.boxes, &v->decoded) == OK &&
           memcmp(v->record.dealing_id, v->decoded.id, DEALING_ID_BYTES) == 0;
}

/* One operation has made both, the one on top of the other. */
static bool
follows(const struct version_record *above, const struct group_version *below)
{
    return memcmp(above->prev, below->id, ID_BYTES) == 0 &&
           memcmp(above->op_id, below->record.op_id, OP_ID_BYTES) == 0 &&
           bytes_equal(above->author, below->record.author) &&
           above->valid_from_ms > below->record.valid_from_ms;
}

enum vault_err
group_decode(const struct head *head, const struct version_record *latest, struct bytes encoded,
             struct arena *arena, struct group *out)
{
    struct group_part parts[GROUP_EARLIER_MAX];
    size_t count = 0;
    *out = (struct group){0};
    if (encoded.size == 0 || head->earlier.size == 0)
        return encoded.size == head->earlier.size ? OK : ERR_MALFORMED;
    if (group_split(encoded, parts, GROUP_EARLIER_MAX, &count) != OK ||
        count != head_earlier_count(head))
        return ERR_MALFORMED;
    struct group_version *versions = arena_alloc(arena, count * sizeof(*versions));
    if (!versions)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        versions[i].part = parts[i];
        if (!decode_version(head, i, &versions[i]))
            return ERR_MALFORMED;
    }
    for (size_t i = 0; i < count; i++) {
        const struct version_record *above = i + 1 < count ? &versions[i + 1].record : latest;
        if (!follows(above, &versions[i]))
            return ERR_MALFORMED;
    }
    *out = (struct group){versions, count};
    return OK;
}
