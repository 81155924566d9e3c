#include "store/store_chain.h"

#include <string.h>

#include "base/big_endian.h"

/* Changes that go into one call of the hash; a larger batch is chained group by group. */
enum { GROUP_CHANGES = 64, SHAPE_BYTES = 1 + 8 + 8 };

void
store_mark_encode(const struct store_mark *mark, uint8_t out[static STORE_MARK_BYTES])
{
    big_endian_put(out, mark->sequence);
    memcpy(out + 8, mark->mac, sizeof(mark->mac));
}

enum vault_err
store_mark_decode(struct bytes value, struct store_mark *out)
{
    *out = (struct store_mark){0};
    if (value.size != STORE_MARK_BYTES)
        return ERR_CORRUPT;
    out->sequence = big_endian_get(value.data);
    memcpy(out->mac, value.data + 8, sizeof(out->mac));
    return OK;
}

/* What the chain says of a change. */
static void
shape_encode(const struct store_change *change, uint8_t out[static SHAPE_BYTES])
{
    uint64_t value_size = change->kind == STORE_PUT ? change->value.size : 0;

    out[0] = (uint8_t)change->kind;
    big_endian_put(out + 1, change->key.size);
    big_endian_put(out + 9, value_size);
}

void
store_mark_next(const uint8_t key[static KEY_BYTES],
                const uint8_t opening[static STORE_OPENING_BYTES], const struct store_mark *before,
                const struct store_change *changes, size_t count, struct store_mark *out)
{
    uint8_t sequence[8], left[8], mac[HASH_BYTES];
    uint8_t shapes[GROUP_CHANGES * SHAPE_BYTES];

    memcpy(mac, before->mac, sizeof(mac));
    big_endian_put(sequence, before->sequence + 1);
    do {
        size_t group = count < GROUP_CHANGES ? count : GROUP_CHANGES;
        for (size_t i = 0; i < group; i++)
            shape_encode(&changes[i], shapes + i * SHAPE_BYTES);
        big_endian_put(left, count);
        const struct bytes parts[] = {
            bytes_of(mac, sizeof(mac)), bytes_of(sequence, sizeof(sequence)),
            bytes_of(opening, STORE_OPENING_BYTES), bytes_of(left, sizeof(left)),
            bytes_of(shapes, group * SHAPE_BYTES)};
        mac_parts(key, parts, sizeof(parts) / sizeof(parts[0]), out->mac);
        memcpy(mac, out->mac, sizeof(mac));
        changes += group;
        count -= group;
    } while (count > 0);
    out->sequence = before->sequence + 1;
}
