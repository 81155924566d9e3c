/*
 * Keys derived from a node's storage key. The storage key itself (32 bytes) comes from a file, the
 * environment or a systemd credential (runtime/keyfile.c) and is never used directly.
 */
#ifndef OSTRAKA_CRYPTO_STORAGE_KEY_H
#define OSTRAKA_CRYPTO_STORAGE_KEY_H

#include "crypto/hash.h"
#include "crypto/rng.h"
#include "crypto/secret.h"

/*
 * out = HKDF-SHA-256(storage key, salt = cluster id | node name, info = label). Labels: "tables",
 * "shares", "share-keys", "bucket-keys"; "store-chain" and "sequence-file" (what tells an older
 * store); "check" (kept in the birth record to tell the right storage key, and never used for
 * anything else).
 */
MUST_CHECK enum vault_err storage_key_derive(const uint8_t storage_key[static KEY_BYTES],
                                             struct bytes cluster_id, struct bytes node_name,
                                             const char *label, uint8_t out[static KEY_BYTES]);

/*
 * A small sealed record: random nonce (24) | XChaCha20-Poly1305. `out` is appended to.
 * Errors: ERR_ENTROPY, ERR_NOMEM; on opening ERR_CORRUPT.
 */
enum { SEALED_OVERHEAD_BYTES = 24 + 16 };
MUST_CHECK enum vault_err sealed_record_make(const uint8_t key[static KEY_BYTES], struct bytes ad,
                                             struct bytes plain, const struct rng *rng,
                                             uint8_t *out); /* plain.size + SEALED_OVERHEAD_BYTES */
MUST_CHECK enum vault_err
sealed_record_open(const uint8_t key[static KEY_BYTES], struct bytes ad, struct bytes sealed,
                   uint8_t *out); /* sealed.size - SEALED_OVERHEAD_BYTES; zeroed on error */

#endif
