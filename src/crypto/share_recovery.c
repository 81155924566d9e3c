#include "crypto/share_recovery.h"

#include <sodium.h>
#include <string.h>

#include "base/big_endian.h"
#include "base/planted.h"
#include "crypto/shamir.h"

static const char label[] = "ostraka blinding pad 1";

static bool
is_helper(const struct recovery_terms *terms, unsigned x)
{
    return x >= 1 && x <= REPLICAS_MAX && (terms->helpers >> (x - 1) & 1);
}

bool
recovery_terms_valid(const struct recovery_terms *terms, unsigned threshold, unsigned count)
{
    unsigned helpers = 0;
    if (count > REPLICAS_MAX || terms->receiver < 1 || terms->receiver > count ||
        terms->helpers >> count != 0 || is_helper(terms, terms->receiver) || threshold < 2)
        return false;
    for (unsigned x = 1; x <= REPLICAS_MAX; x++) {
        if (is_helper(terms, x) != (terms->key_ids[x - 1] != 0))
            return false;
        helpers += is_helper(terms, x);
    }
    return helpers == threshold;
}

/* What a pad is for; the same for all pads of one recovery. */
static void
hash_terms(const struct recovery_terms *terms, uint8_t out[static HASH_BYTES])
{
    uint8_t set[8], ids[8 * REPLICAS_MAX];
    big_endian_put(set, terms->helpers);
    for (unsigned i = 0; i < REPLICAS_MAX; i++)
        big_endian_put(ids + 8 * i, terms->key_ids[i]);
    const struct bytes parts[] = {
        bytes_of_text(label), bytes_of(terms->dealing_id, DEALING_ID_BYTES),
        bytes_of(&terms->receiver, 1), bytes_of(set, sizeof(set)), bytes_of(ids, sizeof(ids))};
    hash_parts(parts, PLANTED(one_pad_for_two_sets) ? 3 : 5, out);
}

enum vault_err
recovery_contribution(const struct recovery_terms *terms, uint8_t x, struct bytes share,
                      const uint8_t pair_keys[REPLICAS_MAX][KEY_BYTES], uint8_t *out)
{
    uint8_t xs[REPLICAS_MAX];
    uint8_t pad[SECRET_BYTES_MAX], purpose[HASH_BYTES];
    unsigned count = 0;

    if (share.size == 0 || share.size > SECRET_BYTES_MAX)
        return ERR_RANGE;
    sodium_memzero(out, share.size);
    if (!is_helper(terms, x))
        return ERR_RANGE;
    for (unsigned i = 1; i <= REPLICAS_MAX; i++) {
        if (is_helper(terms, i))
            xs[count++] = (uint8_t)i;
    }
    enum vault_err err =
        shamir_contribution(xs, count, x, share.data, share.size, terms->receiver, out);
    hash_terms(terms, purpose);
    for (unsigned i = 0; i < count && err == OK; i++) {
        if (xs[i] == x)
            continue;
        err = hkdf_sha256(bytes_of(pair_keys[xs[i] - 1], KEY_BYTES), (struct bytes){0},
                          bytes_of(purpose, HASH_BYTES), pad, share.size);
        if (err == OK)
            recovery_add(bytes_of(pad, share.size), out);
    }
    sodium_memzero(pad, sizeof(pad));
    if (err != OK)
        sodium_memzero(out, share.size);
    return err;
}

void
recovery_add(struct bytes contribution, uint8_t *sum)
{
    for (size_t i = 0; i < contribution.size; i++)
        sum[i] ^= contribution.data[i];
}
