#include "crypto/x25519.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert((int)X25519_BYTES == (int)crypto_scalarmult_curve25519_BYTES, "a point");
static_assert((int)X25519_BYTES == (int)crypto_scalarmult_curve25519_SCALARBYTES, "a scalar");

enum vault_err
x25519_agree(const struct secret *private_half, const uint8_t public_half[static X25519_BYTES],
             uint8_t out[static X25519_BYTES])
{
    if (crypto_scalarmult_curve25519(out, private_half->data, public_half) != 0) {
        sodium_memzero(out, X25519_BYTES);
        return ERR_CORRUPT;
    }
    return OK;
}

void
x25519_public(const uint8_t private_half[static X25519_BYTES],
              uint8_t public_half[static X25519_BYTES])
{
    (void)crypto_scalarmult_curve25519_base(public_half, private_half);
}

/* The private half is 32 random bytes; X25519 itself clamps it. */
enum vault_err
x25519_pair(struct secret_arena *arena, const struct rng *rng, struct secret *private_half,
            uint8_t public_half[static X25519_BYTES])
{
    enum vault_err err = secret_new(arena, X25519_BYTES, private_half);

    memset(public_half, 0, X25519_BYTES);
    if (err != OK)
        return err;
    err = rng_fill(rng, private_half->data, X25519_BYTES);
    if (err != OK) {
        secret_free(arena, private_half);
        return err;
    }
    x25519_public(private_half->data, public_half);
    return OK;
}
