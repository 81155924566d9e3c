/*
 * Bucket keys: own shares rest under one of a fixed number of keys, chosen by the hash of their
 * path, so that what was erased can be made noise in the old pages, journals and checkpoints of the
 * store too: the bucket gets a new key, what is still needed of it is sealed anew, and the old key
 * is destroyed (actors/shredder.h drives that).
 *
 * A bucket has at most two keys:
 *
 *   SETTLED ---make---> MADE ---use---> RETIRING ---retire---> SETTLED
 *    one key             and the next    and the one before
 *                        one, not used
 *
 * Between make and use, and after retire, the file of keys is written (runtime/keyfile.c). A key is
 * used only when the file has it, and retired only when no row needs it.
 *
 * A sealed share: generation of the bucket's key (8, big endian) | sealed record, whose key is
 * BLAKE2b-256(keyed with the node's "shares" key: label, bucket key, generation). AD = the row's
 * key.
 */
#ifndef OSTRAKA_CRYPTO_BUCKET_KEYS_H
#define OSTRAKA_CRYPTO_BUCKET_KEYS_H

#include "crypto/hash.h"
#include "crypto/rng.h"
#include "crypto/secret.h"
#include "crypto/storage_key.h"

enum {
    BUCKETS_MAX = 1024, /* what a server has; simulated nodes have fewer */
    BUCKET_GENERATION_BYTES = 8,
    BUCKET_SEALED_OVERHEAD_BYTES = BUCKET_GENERATION_BYTES + SEALED_OVERHEAD_BYTES,
    BUCKET_FILE_BYTES_MAX = 128 * 1024, /* encoded: two keys in every bucket, and to spare */
};

/* Must not be copied. */
struct bucket_keys {
    struct secret_arena *arena; /* borrowed */
    unsigned count;             /* 1..BUCKETS_MAX */
    struct bucket {
        struct secret keys;    /* one slot: the key in use (32), the other one (32) */
        uint64_t generation;   /* of the key in use; from 1 */
        uint64_t other;        /* higher: the next key; lower: the one before; 0: none */
        uint64_t oldest_saved; /* lowest that the file may have */
        uint64_t dirty;        /* generation in use when something was last erased here; 0: clean */
    } buckets[BUCKETS_MAX];
};

/*
 * `count` new keys of that generation, which a lost file's successor must choose higher than any of
 * before. Errors: ERR_ENTROPY, ERR_BUSY (the arena is full); close it then. The arena is open for
 * this and all below.
 */
MUST_CHECK enum vault_err bucket_keys_init(struct bucket_keys *keys, struct secret_arena *arena,
                                           unsigned count, uint64_t generation,
                                           const struct rng *rng);
void bucket_keys_close(struct bucket_keys *keys); /* wipes; all zero is fine */

/* CBOR: array of [generation, key] or [generation, key, other, other key]. */
MUST_CHECK enum vault_err bucket_keys_encode(const struct bucket_keys *keys, struct buf *out);
/*
 * Into keys that are all zero; buckets with two keys are RETIRING, the higher one in use. Errors:
 * ERR_MALFORMED, ERR_BUSY; close it then.
 */
MUST_CHECK enum vault_err bucket_keys_decode(struct bytes encoded, struct secret_arena *arena,
                                             struct bucket_keys *keys);

/* Bucket of a path, by its row key in table 'p'. */
unsigned bucket_of(const struct bucket_keys *keys, struct bytes path_key);
bool bucket_is_retiring(const struct bucket *bucket);
bool bucket_is_made(const struct bucket *bucket);
/* Something was erased since the bucket's oldest key was made. */
bool bucket_is_due(const struct bucket *bucket);
MUST_CHECK enum vault_err bucket_make(struct bucket *bucket, const struct rng *rng);
void bucket_use(struct bucket *bucket);
void bucket_retire(struct bucket *bucket);
/* The file has been replaced by what these keys are now, and the old one is gone. */
void bucket_keys_saved(struct bucket_keys *keys);

/* `out` takes share.size + BUCKET_SEALED_OVERHEAD_BYTES. Errors: ERR_ENTROPY. */
MUST_CHECK enum vault_err bucket_seal(const struct bucket *bucket,
                                      const uint8_t shares_key[static KEY_BYTES], struct bytes ad,
                                      struct bytes share, const struct rng *rng, uint8_t *out);
/* `out` takes sealed.size - BUCKET_SEALED_OVERHEAD_BYTES; zeroed on error. Errors: ERR_CORRUPT. */
MUST_CHECK enum vault_err bucket_open(const struct bucket *bucket,
                                      const uint8_t shares_key[static KEY_BYTES], struct bytes ad,
                                      struct bytes sealed, uint8_t *out);
uint64_t bucket_sealed_generation(struct bytes sealed); /* 0: too short to be one */

#endif
