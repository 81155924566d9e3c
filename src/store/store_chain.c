#include "store/store_chain.h"

#include <string.h>

/* Changes that go into one call of the hash; a larger batch is chained group by group. */
enum { GROUP_CHANGES = 16, HEAD_PARTS = 3, CHANGE_PARTS = 3 };

static void
u64_encode(uint64_t number, uint8_t out[static 8])
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(number >> (8 * (7 - i)));
}

void
store_mark_encode(const struct store_mark *mark, uint8_t out[static STORE_MARK_BYTES])
{
    u64_encode(mark->sequence, out);
    memcpy(out + 8, mark->mac, sizeof(mark->mac));
}

enum vault_err
store_mark_decode(struct bytes value, struct store_mark *out)
{
    *out = (struct store_mark){0};
    if (value.size != STORE_MARK_BYTES)
        return ERR_CORRUPT;
    for (unsigned i = 0; i < 8; i++)
        out->sequence = out->sequence << 8 | value.data[i];
    memcpy(out->mac, value.data + 8, sizeof(out->mac));
    return OK;
}

void
store_mark_next(const uint8_t key[static KEY_BYTES], const struct store_mark *before,
                const struct store_change *changes, size_t count, struct store_mark *out)
{
    struct bytes parts[HEAD_PARTS + GROUP_CHANGES * CHANGE_PARTS];
    uint8_t kinds[GROUP_CHANGES];
    uint8_t sequence[8], left[8];
    uint8_t mac[HASH_BYTES];

    memcpy(mac, before->mac, sizeof(mac));
    u64_encode(before->sequence + 1, sequence);
    do {
        size_t group = count < GROUP_CHANGES ? count : GROUP_CHANGES;
        size_t n = 0;
        u64_encode(count, left);
        parts[n++] = bytes_of(mac, sizeof(mac));
        parts[n++] = bytes_of(sequence, sizeof(sequence));
        parts[n++] = bytes_of(left, sizeof(left));
        for (size_t i = 0; i < group; i++) {
            kinds[i] = (uint8_t)changes[i].kind;
            parts[n++] = bytes_of(&kinds[i], 1);
            parts[n++] = changes[i].key;
            parts[n++] =
                changes[i].kind == STORE_PUT ? changes[i].value : (struct bytes){.size = 0};
        }
        mac_parts(key, parts, n, out->mac);
        memcpy(mac, out->mac, sizeof(mac));
        changes += group;
        count -= group;
    } while (count > 0);
    out->sequence = before->sequence + 1;
}
