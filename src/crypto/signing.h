/*
 * A node's signing key: Ed25519, for what must be provable to whoever did not see it happen (what
 * a MAC between two nodes cannot be).
 *
 * Its seed is derived from the private key of the node's certificate, so there is no further file
 * to keep, and it changes when the certificate's key does. The public half goes with a proof: a
 * signature by the certificate's key over signing_statement() (made and checked in
 * runtime/node_signing.h). So whoever has the node's certificate can tell that a signing key is
 * that node's, without asking anybody.
 *
 * Everything that is signed begins with a label of its own (`use`), so that a signature for one
 * purpose is none for another.
 */
#ifndef OSTRAKA_CRYPTO_SIGNING_H
#define OSTRAKA_CRYPTO_SIGNING_H

#include "crypto/dealing.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

enum {
    SIGNING_SEED_BYTES = 32,
    SIGNING_PUBLIC_BYTES = 32,
    SIGNATURE_BYTES = 64,
    SIGNING_PROOF_BYTES_MAX = 512, /* RSA of 4096 bits; ECDSA and Ed25519 need 64 to 139 */
    SIGNING_KEYS_KEPT = 4,         /* of one node: what older ones signed stays provable */
};

/* All zero: none. */
struct signing_public {
    uint8_t key[SIGNING_PUBLIC_BYTES];
    uint8_t proof[SIGNING_PROOF_BYTES_MAX];
    size_t proof_size;
};

/* Newest first; the rest all zero. */
struct signing_keys {
    struct signing_public list[SIGNING_KEYS_KEPT];
};

/* Must not be copied. */
struct signing_key {
    struct secret seed; /* of the caller's arena */
    struct signing_public public_half;
};

/*
 * Makes the pair of that seed; the proof stays empty. `arena` must be open; closing gives the slot
 * back. Errors: ERR_BUSY no slot left.
 */
MUST_CHECK enum vault_err signing_key_init(struct signing_key *key, struct secret_arena *arena,
                                           const uint8_t seed[static SIGNING_SEED_BYTES]);
void signing_key_close(struct signing_key *key, struct secret_arena *arena);
/*
 * Seed of a node's signing key from the private key of its certificate, as the file's DER. Errors:
 * ERR_RANGE, ERR_NOMEM; `out` is zeroed.
 */
MUST_CHECK enum vault_err signing_seed_derive(struct bytes certificate_key,
                                              const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                              struct bytes node_name,
                                              uint8_t out[static SIGNING_SEED_BYTES]);
/* What the certificate's key signs: this is the signing key of that node of that cluster. */
void signing_statement(const uint8_t cluster_id[static CLUSTER_ID_BYTES], struct bytes node_name,
                       const uint8_t key[static SIGNING_PUBLIC_BYTES],
                       uint8_t out[static HASH_BYTES]);

/* Signs the parts, each framed by its length. The arena must be open. */
void signing_sign(const struct signing_key *key, const char *use, const struct bytes *parts,
                  size_t count, uint8_t out[static SIGNATURE_BYTES]);
/* Errors: ERR_CORRUPT. */
MUST_CHECK enum vault_err signing_verify(const uint8_t key[static SIGNING_PUBLIC_BYTES],
                                         const char *use, const struct bytes *parts, size_t count,
                                         const uint8_t signature[static SIGNATURE_BYTES]);
/* The same with any of the keys that are kept of a node. */
MUST_CHECK enum vault_err signing_verify_any(const struct signing_keys *keys, const char *use,
                                             const struct bytes *parts, size_t count,
                                             const uint8_t signature[static SIGNATURE_BYTES]);

/* Puts the key in front, unless it is there already; true when something has changed. */
bool signing_keys_learn(struct signing_keys *keys, const struct signing_public *key);
bool signing_public_is_set(const struct signing_public *key);

#endif
