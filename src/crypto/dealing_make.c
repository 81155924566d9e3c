/* From a value to a dealing. */
#include "crypto/dealing.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/cbor.h"
#include "crypto/dealing_internal.h"
#include "crypto/shamir.h"

static_assert((int)WRAPPED_BYTES <= (int)SHAMIR_SECRET_BYTES_MAX, "W can be split");
static_assert((int)WRAPPED_BYTES <= (int)SECRET_BYTES_MAX, "a share fits a slot and a box");
static_assert(HASH_BYTES == crypto_verify_32_BYTES, "compared in constant time");

/* The secrets of a dealing in the making; wiped at once, whatever happens. */
struct making {
    uint8_t dek[DEK_BYTES];
    struct dealing_keys keys;
    uint8_t wrapped[WRAPPED_BYTES]; /* W */
    size_t wrapped_size;
    uint8_t shares[REPLICAS_MAX * WRAPPED_BYTES]; /* n of wrapped_size */
};

static enum vault_err
check_arguments(const struct dealing_value *value, const struct dealing_recipients *recipients)
{
    unsigned k = recipients->threshold;
    unsigned n = recipients->count;
    bool seen[NODES_MAX] = {false};

    if (value->value.size > VALUE_BYTES_MAX || value->content_type.size > CONTENT_TYPE_BYTES_MAX)
        return ERR_TOO_LARGE;
    if (value->fingerprint.size != 0 && value->fingerprint.size != FINGERPRINT_BYTES)
        return ERR_RANGE;
    if (k == 0 || k > n || n > REPLICAS_MAX || (k == 1 && n != 1))
        return ERR_RANGE;
    for (unsigned j = 0; j < n; j++) {
        unsigned node = recipients->nodes[j];

        if (node >= NODES_MAX || seen[node] || !recipients->keys[j])
            return ERR_RANGE;
        seen[node] = true;
    }
    return OK;
}

/* The plaintext with its padding. The buffer wipes itself. */
static enum vault_err
encode_plaintext(const struct dealing_value *value, struct buf *out)
{
    struct cbor_writer w;
    size_t padded = 0;
    enum vault_err err = buf_reserve(out, value->value.size + value->content_type.size +
                                              value->fingerprint.size + 2 * PAD_BLOCK_BYTES);

    if (err != OK)
        return err;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, 3);
    cbor_put_bytes(&w, value->value);
    cbor_put_bytes(&w, value->content_type);
    cbor_put_bytes(&w, value->fingerprint);
    if (w.err == OK)
        w.err = buf_reserve(out, PAD_BLOCK_BYTES);
    if (w.err != OK)
        return w.err;
    if (sodium_pad(&padded, out->data, out->size, PAD_BLOCK_BYTES, out->capacity) != 0)
        return ERR_NOMEM;
    out->size = padded;
    return OK;
}

static enum vault_err
encrypt_value(const struct dealing_value *value, const struct dealing_keys *keys, struct bytes info,
              struct arena *arena, struct bytes *out)
{
    struct buf plain = {0};
    uint8_t *sealed;
    enum vault_err err = encode_plaintext(value, &plain);

    if (err != OK)
        goto out;
    sealed = arena_alloc(arena, plain.size + AEAD_TAG_BYTES);
    if (!sealed) {
        err = ERR_NOMEM;
        goto out;
    }
    aead_seal(keys->encryption, keys->nonce, info, buf_bytes(&plain), sealed);
    *out = bytes_of(sealed, plain.size + AEAD_TAG_BYTES);
out:
    buf_close(&plain);
    return err;
}

static struct bytes
share_of(const struct making *m, unsigned j)
{
    return bytes_of(m->shares + j * m->wrapped_size, m->wrapped_size);
}

static enum vault_err
box_shares(const struct dealing_place *place, const struct dealing_recipients *recipients,
           const struct making *m, struct box_sender *sender, struct arena *arena,
           struct dealing *out)
{
    struct buf info = {0};
    enum vault_err err = dealing_info(DEALING_FOR_BOX, place, out->id, &info);

    for (unsigned j = 0; j < out->count && err == OK; j++) {
        uint8_t box[BOX_BYTES_MAX];
        size_t size;

        dealing_commit_share(out->id, (uint8_t)(j + 1), share_of(m, j), out->share_commitments[j]);
        err = box_seal(sender, out->nodes[j], recipients->keys[j], buf_bytes(&info),
                       (uint8_t)(j + 1), share_of(m, j), box, &size);
        if (err != OK)
            break;
        hash_bytes(bytes_of(box, size), out->box_hashes[j]);
        err = arena_copy(arena, bytes_of(box, size), &out->boxes[j]);
    }
    buf_close(&info);
    return err;
}

/* W again, from the k shares from `first` on. */
static enum vault_err
recombine(const struct making *m, unsigned first, const struct dealing *dealing,
          uint8_t out[static WRAPPED_BYTES])
{
    uint8_t xs[REPLICAS_MAX];
    const uint8_t *shares[REPLICAS_MAX];

    for (unsigned i = 0; i < dealing->threshold; i++) {
        xs[i] = (uint8_t)(first + i + 1);
        shares[i] = share_of(m, first + i).data;
    }
    return shamir_value_at(xs, shares, dealing->threshold, m->wrapped_size, 0, out);
}

/* The way back of a reader: to the data key, and to the key commitment. */
static enum vault_err
check_wrapped(const struct dealing *dealing, const struct dealing_place *place,
              const struct master_key *master, struct bytes info, struct bytes wrapped)
{
    uint8_t dek[DEK_BYTES] = {0};
    struct dealing_keys keys = {0};
    enum vault_err err = dealing_unwrap(master, place, dealing->id, wrapped, dek);

    if (err == OK)
        err = dealing_derive(dek, dealing->id, info, &keys);
    if (err == OK && crypto_verify_32(keys.commitment, dealing->key_commitment) != 0)
        err = ERR_CORRUPT;
    sodium_memzero(dek, sizeof(dek));
    sodium_memzero(&keys, sizeof(keys));
    return err;
}

/*
 * The first k and the last k, which are two different subsets unless n = k. What both give alike
 * is tried once.
 */
static enum vault_err
check_self(const struct making *m, const struct dealing *dealing, const struct dealing_place *place,
           const struct master_key *master, struct bytes info)
{
    uint8_t first[WRAPPED_BYTES] = {0}, last[WRAPPED_BYTES] = {0};
    struct bytes wrapped = bytes_of(first, m->wrapped_size);
    enum vault_err err = recombine(m, 0, dealing, first);

    if (err == OK && dealing->count > dealing->threshold) {
        err = recombine(m, (unsigned)dealing->count - dealing->threshold, dealing, last);
        if (err == OK && !secret_equal(wrapped, bytes_of(last, m->wrapped_size)))
            err = ERR_CORRUPT;
    }
    if (err == OK)
        err = check_wrapped(dealing, place, master, info, wrapped);
    sodium_memzero(first, sizeof(first));
    sodium_memzero(last, sizeof(last));
    return err == OK || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

/* Everything after the arguments were found good. `info` is an empty buffer. */
static enum vault_err
make(const struct dealing_place *place, const struct dealing_value *value,
     const struct master_key *master, const struct dealing_recipients *recipients,
     struct box_sender *sender, const struct rng *rng, struct arena *arena, struct making *m,
     struct buf *info, struct dealing *out)
{
    enum vault_err err = rng_fill(rng, m->dek, sizeof(m->dek));

    if (err == OK)
        err = rng_fill(rng, out->id, sizeof(out->id));
    if (err == OK)
        err = dealing_info(DEALING_FOR_VALUE, place, out->id, info);
    if (err == OK)
        err = dealing_derive(m->dek, out->id, buf_bytes(info), &m->keys);
    if (err != OK)
        return err;
    memcpy(out->key_commitment, m->keys.commitment, HASH_BYTES);

    err = encrypt_value(value, &m->keys, buf_bytes(info), arena, &out->ciphertext);
    if (err == OK)
        err = dealing_wrap(master, place, out->id, m->dek, m->wrapped, &m->wrapped_size);
    if (err == OK)
        err = shamir_split(m->wrapped, m->wrapped_size, out->threshold, out->count, rng, m->shares);
    if (err == OK)
        err = check_self(m, out, place, master, buf_bytes(info));
    if (err == OK)
        err = box_shares(place, recipients, m, sender, arena, out);
    return err;
}

enum vault_err
dealing_make(const struct dealing_place *place, const struct dealing_value *value,
             const struct master_key *master, const struct dealing_recipients *recipients,
             struct box_sender *sender, const struct rng *rng, struct arena *arena,
             struct dealing *out)
{
    struct making m = {0};
    struct buf info = {0};
    enum vault_err err;

    memset(out, 0, sizeof(*out));
    err = check_arguments(value, recipients);
    if (err != OK)
        return err;
    out->suite = DEALING_SUITE_1;
    out->threshold = recipients->threshold;
    out->count = recipients->count;
    memcpy(out->nodes, recipients->nodes, recipients->count);

    err = make(place, value, master, recipients, sender, rng, arena, &m, &info, out);
    buf_close(&info);
    sodium_memzero(&m, sizeof(m));
    if (err != OK)
        memset(out, 0, sizeof(*out));
    return err;
}
