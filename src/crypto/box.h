/*
 * Boxed shares: a share encrypted to the one node that may open it.
 *
 * Key: HKDF-SHA-256(X25519(coordinator's ephemeral key, replica's share key), info), where info
 * binds the place (struct dealing_place), the dealing, x, both public keys and the id of the share
 * key. XChaCha20-Poly1305 with nonce zero, since the key is used once; AD = the same info. Never
 * static to static.
 *
 * Layout of a box: share key id (8, big endian) | ephemeral public key (32) | sealed share.
 */
#ifndef OSTRAKA_CRYPTO_BOX_H
#define OSTRAKA_CRYPTO_BOX_H

#include "base/limits.h"
#include "crypto/rng.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

enum {
    BOX_HEADER_BYTES = 8 + X25519_BYTES,
    BOX_BYTES_MAX = BOX_HEADER_BYTES + SECRET_BYTES_MAX + 16,
    SHARE_KEYS_MAX = 8,     /* private halves a node keeps: the current one and older ones */
    BOX_AGREEMENTS_MAX = 16 /* agreements a receiver remembers */
};

/* Public half of a node's share key. id 0 means "none". */
struct share_key_public {
    uint64_t id;
    uint8_t key[X25519_BYTES];
};

/* The coordinator's side: one ephemeral key pair and its agreements. Must not be copied. */
struct box_sender {
    struct secret_arena *arena; /* borrowed */
    struct secret ephemeral;    /* private half */
    uint8_t ephemeral_public[X25519_BYTES];
    struct {
        struct share_key_public to;
        struct secret agreement; /* what HKDF extracts from it */
    } peers[NODES_MAX];
};

/*
 * All zero is "not begun". Begin wipes what was there and makes a new key pair. Errors:
 * ERR_ENTROPY, ERR_BUSY.
 */
void box_sender_init(struct box_sender *sender, struct secret_arena *arena);
MUST_CHECK enum vault_err box_sender_renew(struct box_sender *sender, const struct rng *rng);
void box_sender_close(struct box_sender *sender);
bool box_sender_ready(const struct box_sender *sender);

/* The receiver's side. Must not be copied. */
struct share_keyring {
    struct secret_arena *arena; /* borrowed */
    struct {
        struct share_key_public public_half;
        struct secret private_half;
    } keys[SHARE_KEYS_MAX]; /* newest first; unused ones have id 0 */
    struct {
        uint64_t share_key_id;
        uint8_t ephemeral_public[X25519_BYTES];
        struct secret agreement; /* what HKDF extracts from it */
        uint64_t used;           /* recency */
    } agreements[BOX_AGREEMENTS_MAX];
    uint64_t clock;
    uint64_t oldest_saved; /* lowest id that the file of the ring may have */
};

void share_keyring_init(struct share_keyring *ring, struct secret_arena *arena);
void share_keyring_close(struct share_keyring *ring);
/*
 * Makes a new pair with an id of its own (greater than any in the ring) and puts it in front.
 * Errors: ERR_ENTROPY, ERR_BUSY.
 */
MUST_CHECK enum vault_err share_keyring_generate(struct share_keyring *ring, const struct rng *rng);
/* The same with an id above `floor`: what others know of an older ring must not be met again. */
MUST_CHECK enum vault_err share_keyring_generate_above(struct share_keyring *ring, uint64_t floor,
                                                       const struct rng *rng);
/* Puts a stored pair in. Errors: ERR_BUSY full, ERR_EXISTS id there. */
MUST_CHECK enum vault_err share_keyring_add(struct share_keyring *ring, uint64_t id,
                                            const uint8_t private_half[static X25519_BYTES]);
/* Wipes one private half and every agreement made with it. */
void share_keyring_destroy(struct share_keyring *ring, uint64_t id);
/* The file has been replaced by what the ring is now. */
void share_keyring_saved(struct share_keyring *ring);
const struct share_key_public *
share_keyring_current(const struct share_keyring *ring); /* NULL: none */

/*
 * Seals `share` for peer number `peer` (index of the node), appending to `out`, a buffer of
 * BOX_BYTES_MAX. `info` names the place and the dealing (dealing.c makes it). Errors: ERR_RANGE,
 * ERR_CORRUPT (a public key of low order), ERR_BUSY, ERR_NOMEM.
 */
MUST_CHECK enum vault_err box_seal(struct box_sender *sender, unsigned peer,
                                   const struct share_key_public *to, struct bytes info, uint8_t x,
                                   struct bytes share, uint8_t *out, size_t *out_size);
/* Id of the share key that a box is for; 0 when it is too short to be one. */
uint64_t box_share_key_id(struct bytes box);
/*
 * Opens a box into `share` (at least SECRET_BYTES_MAX bytes).
 * Errors: ERR_MALFORMED size, ERR_NOT_FOUND no such share key any more, ERR_CORRUPT does not
 * verify. Zeroed on error.
 */
MUST_CHECK enum vault_err box_open(struct share_keyring *ring, struct bytes info, uint8_t x,
                                   struct bytes box, uint8_t *share, size_t *share_size);

#endif
