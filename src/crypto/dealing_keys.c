/*
 * The derivations. Each has a label of its own, and the place and the dealing in its info, so a
 * key that was made for one purpose and place is of no use for another.
 */
#include "crypto/dealing_internal.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/cbor.h"

#define LABEL_SHARE_COMMITMENT "ostraka/dealing/share-commitment/1"
#define LABEL_MASTER_KEY_CHECK "ostraka/master-key/check/1"

enum { INFO_FIXED_MAX = 128 }; /* info without tenant and name */

static_assert(sizeof(struct dealing_keys) == AEAD_KEY_BYTES + AEAD_NONCE_BYTES + HASH_BYTES,
              "dealing_keys is filled as one string");

static const char *
purpose_label(enum dealing_purpose purpose)
{
    switch (purpose) {
    case DEALING_FOR_VALUE: return "ostraka/dealing/value/1";
    case DEALING_FOR_WRAP: return "ostraka/dealing/wrap/1";
    case DEALING_FOR_BOX: return "ostraka/dealing/box/1";
    }
    return "";
}

enum vault_err
dealing_info(enum dealing_purpose purpose, const struct dealing_place *place,
             const uint8_t id[static DEALING_ID_BYTES], struct buf *out)
{
    struct cbor_writer w;
    enum vault_err err;

    assert(out->size == 0);
    if (place->tenant.size > TENANT_BYTES_MAX || place->name.size > NAME_BYTES_MAX)
        return ERR_RANGE;
    err = buf_reserve(out, INFO_FIXED_MAX + place->tenant.size + place->name.size);
    if (err != OK)
        return err;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, 7);
    cbor_put_text(&w, bytes_of_text(purpose_label(purpose)));
    cbor_put_bytes(&w, bytes_of(place->cluster_id, CLUSTER_ID_BYTES));
    cbor_put_text(&w, place->tenant);
    cbor_put_text(&w, place->name);
    cbor_put_bytes(&w, bytes_of(place->incarnation, INCARNATION_BYTES));
    cbor_put_uint(&w, place->version);
    cbor_put_bytes(&w, bytes_of(id, DEALING_ID_BYTES));
    return w.err == ERR_MALFORMED ? ERR_RANGE : w.err; /* not UTF-8 */
}

enum vault_err
dealing_derive(const uint8_t dek[static DEK_BYTES], const uint8_t id[static DEALING_ID_BYTES],
               struct bytes info, struct dealing_keys *out)
{
    enum vault_err err = hkdf_sha256(bytes_of(dek, DEK_BYTES), bytes_of(id, DEALING_ID_BYTES), info,
                                     (uint8_t *)out, sizeof(*out));

    if (err != OK)
        sodium_memzero(out, sizeof(*out));
    return err;
}

/*
 * The key that wraps one data key and nothing else, since the dealing's random id is in its salt.
 * That is why the wrap's nonce can be zero.
 */
static enum vault_err
wrap_key(const struct master_key *master, const uint8_t id[static DEALING_ID_BYTES],
         struct bytes info, uint8_t out[static AEAD_KEY_BYTES])
{
    return hkdf_sha256(secret_bytes(&master->key), bytes_of(id, DEALING_ID_BYTES), info, out,
                       AEAD_KEY_BYTES);
}

static const uint8_t wrap_nonce[GCM_NONCE_BYTES] = {0};

enum vault_err
dealing_wrap(const struct master_key *master, const struct dealing_place *place,
             const uint8_t id[static DEALING_ID_BYTES], const uint8_t dek[static DEK_BYTES],
             uint8_t *out, size_t *out_size)
{
    uint8_t key[AEAD_KEY_BYTES] = {0};
    struct buf info = {0};
    enum vault_err err;

    memset(out, 0, WRAPPED_BYTES);
    *out_size = 0;
    if (!master) {
        memcpy(out, dek, DEK_BYTES);
        *out_size = DEK_BYTES;
        return OK;
    }
    err = dealing_info(DEALING_FOR_WRAP, place, id, &info);
    if (err == OK)
        err = wrap_key(master, id, buf_bytes(&info), key);
    if (err != OK)
        goto out;
    for (unsigned i = 0; i < GENERATION_BYTES; i++)
        out[i] = (uint8_t)(master->generation >> (24 - 8 * i));
    err = gcm_seal(key, wrap_nonce, buf_bytes(&info), bytes_of(dek, DEK_BYTES),
                   out + GENERATION_BYTES);
    if (err == OK)
        *out_size = WRAPPED_BYTES;
out:
    sodium_memzero(key, sizeof(key));
    buf_close(&info);
    if (err != OK)
        sodium_memzero(out, WRAPPED_BYTES);
    return err;
}

static uint32_t
wrapped_generation(struct bytes wrapped)
{
    uint32_t generation = 0;

    for (unsigned i = 0; i < GENERATION_BYTES; i++)
        generation = generation << 8 | wrapped.data[i];
    return generation;
}

enum vault_err
dealing_unwrap(const struct master_key *master, const struct dealing_place *place,
               const uint8_t id[static DEALING_ID_BYTES], struct bytes wrapped,
               uint8_t dek[static DEK_BYTES])
{
    uint8_t key[AEAD_KEY_BYTES] = {0};
    struct buf info = {0};
    enum vault_err err;

    memset(dek, 0, DEK_BYTES);
    if (wrapped.size == DEK_BYTES) {
        memcpy(dek, wrapped.data, DEK_BYTES);
        return OK;
    }
    if (wrapped.size != WRAPPED_BYTES)
        return ERR_CORRUPT;
    if (!master || master->generation != wrapped_generation(wrapped))
        return ERR_MASTER_KEY_UNAVAILABLE;

    err = dealing_info(DEALING_FOR_WRAP, place, id, &info);
    if (err == OK)
        err = wrap_key(master, id, buf_bytes(&info), key);
    if (err == OK) {
        err = gcm_open(key, wrap_nonce, buf_bytes(&info),
                       bytes_of(wrapped.data + GENERATION_BYTES, DEK_BYTES + AEAD_TAG_BYTES), dek);
        if (err == ERR_CORRUPT)
            err = ERR_MASTER_KEY_INCORRECT;
    }
    sodium_memzero(key, sizeof(key));
    buf_close(&info);
    return err;
}

void
dealing_commit_share(const uint8_t id[static DEALING_ID_BYTES], uint8_t x, struct bytes share,
                     uint8_t out[static HASH_BYTES])
{
    const struct bytes parts[] = {
        bytes_of_text(LABEL_SHARE_COMMITMENT),
        bytes_of(id, DEALING_ID_BYTES),
        bytes_of(&x, 1),
        share,
    };

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), out);
}

enum vault_err
master_key_check_value(const struct master_key *master,
                       const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                       uint8_t out[static HASH_BYTES])
{
    struct buf info = {0};
    struct cbor_writer w;
    enum vault_err err;

    memset(out, 0, HASH_BYTES);
    cbor_writer_init(&w, &info);
    cbor_put_array(&w, 3);
    cbor_put_text(&w, bytes_of_text(LABEL_MASTER_KEY_CHECK));
    cbor_put_bytes(&w, bytes_of(cluster_id, CLUSTER_ID_BYTES));
    cbor_put_uint(&w, master->generation);
    err = w.err;
    if (err == OK)
        err = hkdf_sha256(secret_bytes(&master->key), bytes_of(cluster_id, CLUSTER_ID_BYTES),
                          buf_bytes(&info), out, HASH_BYTES);
    buf_close(&info);
    return err;
}
