/* X25519 key pairs and agreements, for boxes and for pair keys. */
#ifndef OSTRAKA_CRYPTO_X25519_H
#define OSTRAKA_CRYPTO_X25519_H

#include "crypto/rng.h"
#include "crypto/secret.h"

enum { X25519_BYTES = 32 };

/*
 * A new pair; the private half takes a slot of the arena and is the caller's.
 * Errors: ERR_ENTROPY, ERR_BUSY no slot left.
 */
MUST_CHECK enum vault_err x25519_pair(struct secret_arena *arena, const struct rng *rng,
                                      struct secret *private_half,
                                      uint8_t public_half[static X25519_BYTES]);
void x25519_public(const uint8_t private_half[static X25519_BYTES],
                   uint8_t public_half[static X25519_BYTES]);
/* Errors: ERR_CORRUPT the point is of low order, so the result would be zero. */
MUST_CHECK enum vault_err x25519_agree(const struct secret *private_half,
                                       const uint8_t public_half[static X25519_BYTES],
                                       uint8_t out[static X25519_BYTES]);

#endif
