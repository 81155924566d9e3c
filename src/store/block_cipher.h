/*
 * How blocks of the table and records of the journal lie on the disk: encrypted and authenticated,
 * in one of two suites.
 *
 *   1   nonce (24, random) | XChaCha20-Poly1305 under the key itself
 *   2   2 | salt (15) | number (8) | AES-256-GCM under a key of salt and upper half of number
 *
 * Suite 2 is for processors with AES instructions: it takes two thirds of the time, and no
 * randomness for each block. The salt is drawn at each opening of the store, the number counts the
 * blocks sealed since, and both together are never met again: so no nonce is used twice under a
 * key, and no key seals more than 2^32 blocks. What one machine wrote, another one without such
 * instructions opens.
 *
 * Blocks of suite 1 say nothing of it; one may begin with a 2 by chance. So whatever begins with a
 * 2 and is none of suite 2 is tried as one of suite 1. Nothing opens that was not sealed under the
 * key.
 *
 * Where a block lies is not known here and cannot be bound: that a whole older file was put back
 * is for the store's sequence to tell.
 *
 * Threads: after block_cipher_new any of them, at the same time.
 */
#ifndef OSTRAKA_STORE_BLOCK_CIPHER_H
#define OSTRAKA_STORE_BLOCK_CIPHER_H

#include <stdatomic.h>

#include "crypto/aead.h"
#include "crypto/rng.h"
#include "crypto/secret.h"

enum block_suite { BLOCK_XCHACHA20 = 1, BLOCK_AES_GCM = 2 };

enum { BLOCK_SALT_BYTES = 15, BLOCK_OVERHEAD_BYTES = 40 /* in both */ };

/* Of suite 2: keys of blocks that were opened, which nearly all are of a few salts. */
struct block_keys;

struct block_cipher {
    struct secret_arena *arena; /* open as long as this is used */
    struct secret key;
    struct secret sub_key;   /* suite 2: of the first 2^32 blocks */
    struct block_keys *kept; /* of other openings of the store */
    enum block_suite suite;
    struct rng rng; /* may be asked by several threads */
    uint8_t salt[BLOCK_SALT_BYTES];
    _Atomic uint64_t next; /* number of the block that is sealed next */
};

/* What this processor is quickest with. */
enum block_suite block_suite_best(void);

/*
 * `suite` is that in which blocks are sealed. Errors: ERR_NOMEM, ERR_ENTROPY; *cipher is then
 * empty.
 */
MUST_CHECK enum vault_err block_cipher_init(const uint8_t key[static AEAD_KEY_BYTES],
                                            enum block_suite suite, struct rng rng,
                                            struct block_cipher *cipher);
/* Wipes; an empty one is fine. */
void block_cipher_close(struct block_cipher *cipher);

/*
 * `out` takes plain.size + BLOCK_OVERHEAD_BYTES, apart from `plain`. Errors: ERR_ENTROPY,
 * ERR_NOMEM.
 */
MUST_CHECK enum vault_err block_seal(struct block_cipher *cipher, struct bytes plain, uint8_t *out);
/*
 * `out` takes sealed.size - BLOCK_OVERHEAD_BYTES, apart from `sealed`. Errors: ERR_CORRUPT, also
 * where sealed.size is less than that; ERR_NOMEM.
 */
MUST_CHECK enum vault_err block_open(const struct block_cipher *cipher, struct bytes sealed,
                                     uint8_t *out);

#endif
