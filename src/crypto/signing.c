#include "crypto/signing.h"

#include <sodium.h>
#include <string.h>

#include "base/limits.h"

static const char seed_label[] = "ostraka signing key 1";
static const char statement_label[] = "ostraka signing key statement 1";

static_assert((int)SIGNING_SEED_BYTES == (int)crypto_sign_SEEDBYTES, "Ed25519");
static_assert((int)SIGNING_PUBLIC_BYTES == (int)crypto_sign_PUBLICKEYBYTES, "Ed25519");
static_assert((int)SIGNATURE_BYTES == (int)crypto_sign_BYTES, "Ed25519");
static_assert((int)SIGNING_SEED_BYTES <= (int)SECRET_BYTES_MAX, "a seed fits a slot");

enum { SIGNED_PARTS_MAX = 8 };

enum vault_err
signing_key_init(struct signing_key *key, struct secret_arena *arena,
                 const uint8_t seed[static SIGNING_SEED_BYTES])
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES];

    memset(key, 0, sizeof(*key));
    enum vault_err err = secret_copy(arena, bytes_of(seed, SIGNING_SEED_BYTES), &key->seed);
    if (err == OK)
        (void)crypto_sign_seed_keypair(key->public_half.key, expanded, seed); /* cannot fail */
    sodium_memzero(expanded, sizeof(expanded));
    return err;
}

void
signing_key_close(struct signing_key *key, struct secret_arena *arena)
{
    secret_free(arena, &key->seed);
    memset(key, 0, sizeof(*key));
}

enum vault_err
signing_seed_derive(struct bytes certificate_key, const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                    struct bytes node_name, uint8_t out[static SIGNING_SEED_BYTES])
{
    uint8_t salt[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];

    memset(out, 0, SIGNING_SEED_BYTES);
    if (certificate_key.size == 0 || node_name.size > NODE_NAME_BYTES_MAX)
        return ERR_RANGE;
    memcpy(salt, cluster_id, CLUSTER_ID_BYTES);
    if (node_name.size > 0)
        memcpy(salt + CLUSTER_ID_BYTES, node_name.data, node_name.size);
    return hkdf_sha256(certificate_key, bytes_of(salt, CLUSTER_ID_BYTES + node_name.size),
                       bytes_of_text(seed_label), out, SIGNING_SEED_BYTES);
}

void
signing_statement(const uint8_t cluster_id[static CLUSTER_ID_BYTES], struct bytes node_name,
                  const uint8_t key[static SIGNING_PUBLIC_BYTES], uint8_t out[static HASH_BYTES])
{
    const struct bytes parts[] = {bytes_of_text(statement_label),
                                  bytes_of(cluster_id, CLUSTER_ID_BYTES), node_name,
                                  bytes_of(key, SIGNING_PUBLIC_BYTES)};

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), out);
}

/* What is signed is a hash of fixed size: of the use, then of the parts. */
static bool
digest(const char *use, const struct bytes *parts, size_t count, uint8_t out[static HASH_BYTES])
{
    struct bytes all[SIGNED_PARTS_MAX + 1] = {bytes_of_text(use)};

    memset(out, 0, HASH_BYTES);
    if (count > SIGNED_PARTS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        all[i + 1] = parts[i];
    hash_parts(all, count + 1, out);
    return true;
}

void
signing_sign(const struct signing_key *key, const char *use, const struct bytes *parts,
             size_t count, uint8_t out[static SIGNATURE_BYTES])
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES], public_half[SIGNING_PUBLIC_BYTES];
    uint8_t message[HASH_BYTES];

    memset(out, 0, SIGNATURE_BYTES);
    if (!digest(use, parts, count, message))
        return;
    (void)crypto_sign_seed_keypair(public_half, expanded, key->seed.data);
    (void)crypto_sign_detached(out, NULL, message, sizeof(message), expanded);
    sodium_memzero(expanded, sizeof(expanded));
}

enum vault_err
signing_verify(const uint8_t key[static SIGNING_PUBLIC_BYTES], const char *use,
               const struct bytes *parts, size_t count,
               const uint8_t signature[static SIGNATURE_BYTES])
{
    uint8_t message[HASH_BYTES];

    if (!digest(use, parts, count, message))
        return ERR_CORRUPT;
    return crypto_sign_verify_detached(signature, message, sizeof(message), key) == 0 ? OK
                                                                                      : ERR_CORRUPT;
}

enum vault_err
signing_verify_any(const struct signing_keys *keys, const char *use, const struct bytes *parts,
                   size_t count, const uint8_t signature[static SIGNATURE_BYTES])
{
    for (unsigned i = 0; i < SIGNING_KEYS_KEPT; i++) {
        if (signing_public_is_set(&keys->list[i]) &&
            signing_verify(keys->list[i].key, use, parts, count, signature) == OK)
            return OK;
    }
    return ERR_CORRUPT;
}

bool
signing_public_is_set(const struct signing_public *key)
{
    return !sodium_is_zero(key->key, sizeof(key->key));
}

bool
signing_keys_learn(struct signing_keys *keys, const struct signing_public *key)
{
    unsigned at = 0;

    while (at < SIGNING_KEYS_KEPT - 1 &&
           memcmp(keys->list[at].key, key->key, sizeof(key->key)) != 0)
        at++;
    if (!signing_public_is_set(key) ||
        (at == 0 && memcmp(keys->list[0].key, key->key, sizeof(key->key)) == 0))
        return false;
    memmove(&keys->list[1], &keys->list[0], at * sizeof(keys->list[0]));
    keys->list[0] = *key;
    return true;
}
