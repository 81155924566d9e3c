/* What making, opening and repairing dealings have in common. Private to dealing_*.c. */
#ifndef OSTRAKA_CRYPTO_DEALING_INTERNAL_H
#define OSTRAKA_CRYPTO_DEALING_INTERNAL_H

#include "crypto/aead.h"
#include "crypto/dealing.h"

enum {
    DEK_BYTES = 32,
    GENERATION_BYTES = 4,
    WRAPPED_BYTES = GENERATION_BYTES + DEK_BYTES + AEAD_TAG_BYTES,
    PAD_BLOCK_BYTES = 64,
};

/* What is derived from the data key, in the order of the output of HKDF. Wiped by its users. */
struct dealing_keys {
    uint8_t encryption[AEAD_KEY_BYTES];
    uint8_t nonce[AEAD_NONCE_BYTES];
    uint8_t commitment[HASH_BYTES];
};

/* The purposes of a derivation. The label of each starts its info. */
enum dealing_purpose { DEALING_FOR_VALUE, DEALING_FOR_WRAP, DEALING_FOR_BOX };

/*
 * Appends the info of one purpose to an empty buffer. Errors: ERR_RANGE tenant or name, ERR_NOMEM.
 */
MUST_CHECK enum vault_err dealing_info(enum dealing_purpose purpose,
                                       const struct dealing_place *place,
                                       const uint8_t id[static DEALING_ID_BYTES], struct buf *out);

/* EK, nonce and KC from the data key; zeroed on error. `info` is that of DEALING_FOR_VALUE. */
MUST_CHECK enum vault_err dealing_derive(const uint8_t dek[static DEK_BYTES],
                                         const uint8_t id[static DEALING_ID_BYTES],
                                         struct bytes info, struct dealing_keys *out);

/*
 * W, what is shared out: the data key, or the data key wrapped by the master key when that is not
 * NULL. `out` takes WRAPPED_BYTES; zeroed on error.
 */
MUST_CHECK enum vault_err dealing_wrap(const struct master_key *master,
                                       const struct dealing_place *place,
                                       const uint8_t id[static DEALING_ID_BYTES],
                                       const uint8_t dek[static DEK_BYTES], uint8_t *out,
                                       size_t *out_size);
/*
 * The data key back from W; its size tells which of the two it is. Zeroed on error.
 * Errors: ERR_MASTER_KEY_UNAVAILABLE, ERR_MASTER_KEY_INCORRECT, ERR_CORRUPT size, ERR_NOMEM.
 */
MUST_CHECK enum vault_err dealing_unwrap(const struct master_key *master,
                                         const struct dealing_place *place,
                                         const uint8_t id[static DEALING_ID_BYTES],
                                         struct bytes wrapped, uint8_t dek[static DEK_BYTES]);

/* c_x = BLAKE2b-256(label, id, x, share) */
void dealing_commit_share(const uint8_t id[static DEALING_ID_BYTES], uint8_t x, struct bytes share,
                          uint8_t out[static HASH_BYTES]);

#endif
