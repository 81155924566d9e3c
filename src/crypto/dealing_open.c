/* From shares back to the value, or to another share. */
#include "crypto/dealing.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/cbor.h"
#include "crypto/dealing_internal.h"
#include "crypto/shamir.h"

static_assert(HASH_BYTES == crypto_verify_32_BYTES, "compared in constant time");

static bool
shape_valid(const struct dealing *dealing)
{
    unsigned k = dealing->threshold;
    unsigned n = dealing->count;

    return dealing->suite == DEALING_SUITE_1 && k >= 1 && k <= n && n <= REPLICAS_MAX &&
           (k > 1 || n == 1);
}

static bool
x_valid(const struct dealing *dealing, uint8_t x)
{
    return x >= 1 && x <= dealing->count && dealing->count <= REPLICAS_MAX;
}

bool
dealing_share_matches(const struct dealing *dealing, const struct share *share)
{
    uint8_t commitment[HASH_BYTES];

    if (!x_valid(dealing, share->x))
        return false;
    dealing_commit_share(dealing->id, share->x, share->data, commitment);
    return crypto_verify_32(commitment, dealing->share_commitments[share->x - 1]) == 0;
}

bool
dealing_share_check(const struct dealing *dealing, struct share *share)
{
    bool good = dealing_share_matches(dealing, share);

    share->good_for = good ? dealing : NULL;
    return good;
}

void
dealing_share_trust(const struct dealing *dealing, struct share *share)
{
    share->good_for = x_valid(dealing, share->x) ? dealing : NULL;
}

bool
dealing_box_matches(const struct dealing *dealing, uint8_t x, struct bytes box)
{
    uint8_t hash[HASH_BYTES];

    if (!x_valid(dealing, x))
        return false;
    hash_bytes(box, hash);
    return crypto_verify_32(hash, dealing->box_hashes[x - 1]) == 0;
}

enum vault_err
dealing_open_box(const struct dealing *dealing, const struct dealing_place *place, uint8_t x,
                 struct bytes box, struct share_keyring *ring, uint8_t *share, size_t *share_size)
{
    struct buf info = {0};
    struct share opened;
    enum vault_err err;

    *share_size = 0;
    sodium_memzero(share, SECRET_BYTES_MAX);
    if (!x_valid(dealing, x))
        return ERR_MALFORMED;
    err = dealing_info(DEALING_FOR_BOX, place, dealing->id, &info);
    if (err == OK)
        err = box_open(ring, buf_bytes(&info), x, box, share, share_size);
    buf_close(&info);
    if (err != OK)
        return err;
    opened = (struct share){.x = x, .data = bytes_of(share, *share_size)};
    if (dealing_share_matches(dealing, &opened))
        return OK;
    sodium_memzero(share, SECRET_BYTES_MAX);
    *share_size = 0;
    return ERR_CORRUPT;
}

enum vault_err
dealing_box_share(const struct dealing *dealing, const struct dealing_place *place,
                  const struct share *share, unsigned peer, const struct share_key_public *to,
                  struct box_sender *sender, uint8_t *out, size_t *out_size)
{
    struct buf info = {0};
    enum vault_err err;

    *out_size = 0;
    /* Also what keeps the zero nonce right: one box key seals this one share and nothing else. */
    if (!dealing_share_matches(dealing, share))
        return ERR_CORRUPT;
    err = dealing_info(DEALING_FOR_BOX, place, dealing->id, &info);
    if (err == OK)
        err = box_seal(sender, peer, to, buf_bytes(&info), share->x, share->data, out, out_size);
    buf_close(&info);
    return err;
}

/* The first k shares that are good: of this dealing, each x once. */
struct subset {
    uint8_t xs[REPLICAS_MAX];
    const uint8_t *shares[REPLICAS_MAX];
    unsigned count;
    size_t size;     /* of each share */
    bool same_sizes; /* a dealer who committed to shares of unlike sizes is found out here */
};

static void
choose_subset(const struct dealing *dealing, const struct share *shares, unsigned count,
              struct subset *out)
{
    bool seen[REPLICAS_MAX] = {false};

    *out = (struct subset){.same_sizes = true};
    for (unsigned i = 0; i < count && out->count < dealing->threshold; i++) {
        const struct share *share = &shares[i];
        bool good = share->good_for == dealing || dealing_share_matches(dealing, share);

        if (!good || seen[share->x - 1])
            continue;
        seen[share->x - 1] = true;
        if (out->count == 0)
            out->size = share->data.size;
        if (share->data.size != out->size)
            out->same_sizes = false;
        out->xs[out->count] = share->x;
        out->shares[out->count] = share->data.data;
        out->count++;
    }
}

/* Value at `at` from k good shares; `out` takes SHAMIR_SECRET_BYTES_MAX and is zeroed on error. */
static enum vault_err
combine(const struct dealing *dealing, const struct share *shares, unsigned count, uint8_t at,
        uint8_t *out, size_t *out_size)
{
    struct subset subset;

    *out_size = 0;
    sodium_memzero(out, SHAMIR_SECRET_BYTES_MAX);
    if (!shape_valid(dealing))
        return ERR_CORRUPT;
    choose_subset(dealing, shares, count, &subset);
    if (subset.count < dealing->threshold)
        return ERR_VALUE_UNAVAILABLE;
    if (!subset.same_sizes)
        return ERR_CORRUPT;
    if (shamir_value_at(subset.xs, subset.shares, subset.count, subset.size, at, out) != OK)
        return ERR_CORRUPT;
    *out_size = subset.size;
    return OK;
}

/* What the padded plaintext says; views into it. */
static enum vault_err
decode_plaintext(struct bytes padded, struct dealing_value *out)
{
    struct cbor_reader r;
    size_t size = 0;

    if (sodium_unpad(&size, padded.data, padded.size, PAD_BLOCK_BYTES) != 0)
        return ERR_CORRUPT;
    cbor_reader_init(&r, bytes_of(padded.data, size));
    if (cbor_get_array(&r, 3) != 3)
        return ERR_CORRUPT;
    out->value = cbor_get_bytes(&r, VALUE_BYTES_MAX);
    out->content_type = cbor_get_bytes(&r, CONTENT_TYPE_BYTES_MAX);
    out->fingerprint = cbor_get_bytes(&r, FINGERPRINT_BYTES);
    if (cbor_finish(&r) != OK)
        return ERR_CORRUPT;
    if (out->fingerprint.size != 0 && out->fingerprint.size != FINGERPRINT_BYTES)
        return ERR_CORRUPT;
    return OK;
}

static enum vault_err
decrypt_value(const struct dealing *dealing, const struct dealing_keys *keys, struct bytes info,
              struct arena *arena, struct dealing_value *out)
{
    struct bytes ciphertext = dealing->ciphertext;
    uint8_t *plain;
    size_t size;
    enum vault_err err;

    if (ciphertext.size < AEAD_TAG_BYTES + PAD_BLOCK_BYTES || ciphertext.size > DEALING_BYTES_MAX)
        return ERR_CORRUPT;
    size = ciphertext.size - AEAD_TAG_BYTES;
    plain = arena_alloc(arena, size);
    if (!plain)
        return ERR_NOMEM;
    err = aead_open(keys->encryption, keys->nonce, info, ciphertext, plain);
    if (err == OK)
        err = decode_plaintext(bytes_of(plain, size), out);
    if (err != OK)
        sodium_memzero(plain, size);
    return err;
}

/* With the data key in hand: derive, compare the key commitment, decrypt. */
static enum vault_err
open_with_dek(const struct dealing *dealing, const struct dealing_place *place,
              const uint8_t dek[static DEK_BYTES], struct arena *arena, struct dealing_value *out)
{
    struct dealing_keys keys = {0};
    struct buf info = {0};
    enum vault_err err = dealing_info(DEALING_FOR_VALUE, place, dealing->id, &info);

    if (err == OK)
        err = dealing_derive(dek, dealing->id, buf_bytes(&info), &keys);
    if (err == OK && crypto_verify_32(keys.commitment, dealing->key_commitment) != 0)
        err = ERR_CORRUPT;
    if (err == OK)
        err = decrypt_value(dealing, &keys, buf_bytes(&info), arena, out);
    sodium_memzero(&keys, sizeof(keys));
    buf_close(&info);
    return err;
}

enum vault_err
dealing_open(const struct dealing *dealing, const struct dealing_place *place,
             const struct share *shares, unsigned count, const struct master_key *master,
             struct arena *arena, struct dealing_value *out)
{
    uint8_t wrapped[SHAMIR_SECRET_BYTES_MAX] = {0};
    uint8_t dek[DEK_BYTES] = {0};
    size_t size;
    enum vault_err err;

    *out = (struct dealing_value){0};
    err = combine(dealing, shares, count, 0, wrapped, &size);
    if (err == OK)
        err = dealing_unwrap(master, place, dealing->id, bytes_of(wrapped, size), dek);
    if (err == OK)
        err = open_with_dek(dealing, place, dek, arena, out);
    sodium_memzero(wrapped, sizeof(wrapped));
    sodium_memzero(dek, sizeof(dek));
    if (err != OK)
        *out = (struct dealing_value){0};
    return err == ERR_CORRUPT || err == ERR_RANGE ? ERR_CORRUPT_VALUE : err;
}

enum vault_err
dealing_recover_share(const struct dealing *dealing, const struct share *shares, unsigned count,
                      uint8_t x, uint8_t *out, size_t *out_size)
{
    struct share recovered = {.x = x};
    enum vault_err err;

    static_assert((int)SHAMIR_SECRET_BYTES_MAX == (int)SECRET_BYTES_MAX, "out takes a result");
    *out_size = 0;
    sodium_memzero(out, SECRET_BYTES_MAX);
    if (!x_valid(dealing, x))
        return ERR_CORRUPT;
    err = combine(dealing, shares, count, x, out, out_size);
    if (err != OK)
        return err;
    recovered.data = bytes_of(out, *out_size);
    if (dealing_share_matches(dealing, &recovered))
        return OK;
    sodium_memzero(out, SECRET_BYTES_MAX);
    *out_size = 0;
    return ERR_CORRUPT;
}
