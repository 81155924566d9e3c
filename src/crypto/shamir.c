/*
 * Field arithmetic and the two operations. A coordinate x is public (it is the number of a
 * replica), a share and a coefficient are not: multiplication walks the bits of its public factor
 * and masks with the secret one, so that neither an address nor a branch depends on a secret.
 */
#include "crypto/shamir.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

enum { LANES = sizeof(uint64_t) };

/* Eight secrets * public in GF(2^8), polynomial x^8 + x^4 + x^3 + x + 1, a byte of the word each. */
static uint64_t
gf_mul_lanes(uint64_t secrets, uint8_t public)
{
    static const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t product = 0;

    for (unsigned b = public; b != 0; b >>= 1) {
        product ^= secrets & (0u - (uint64_t)(b & 1u));
        secrets = (secrets & ~(ones << 7)) << 1 ^ (secrets >> 7 & ones) * 0x1bu;
    }
    return product;
}

static uint8_t
gf_mul(uint8_t a, uint8_t public)
{
    return (uint8_t)gf_mul_lanes(a, public);
}

/* out := in * public + add, byte by byte; `add` may be `out`, and so may `in`. */
static void
gf_mul_add(const uint8_t *in, uint8_t public, const uint8_t *add, size_t size, uint8_t *out)
{
    for (size_t i = 0; i < size; i += LANES) {
        size_t some = size - i < LANES ? size - i : LANES;
        uint64_t a = 0, sum = 0;

        memcpy(&a, in + i, some);
        memcpy(&sum, add + i, some);
        sum ^= gf_mul_lanes(a, public);
        memcpy(out + i, &sum, some);
    }
}

/* a^254, which is 1/a for every a but 0. For public values only in this file. */
static uint8_t
gf_inverse(uint8_t a)
{
    uint8_t power = a;
    uint8_t inverse = 1;

    for (unsigned i = 1; i < 8; i++) { /* 254 is 2 + 4 + ... + 128 */
        power = gf_mul(power, power);
        inverse = gf_mul(inverse, power);
    }
    return inverse;
}

enum vault_err
shamir_split(const uint8_t *secret, size_t size, unsigned threshold, unsigned count,
             const struct rng *rng, uint8_t *shares)
{
    uint8_t coefficients[SHAMIR_SECRET_BYTES_MAX];
    enum vault_err err = OK;

    if (size == 0 || size > SHAMIR_SECRET_BYTES_MAX || count == 0 || count > SHAMIR_SHARES_MAX)
        return ERR_RANGE;
    sodium_memzero(shares, count * size);
    if (threshold == 0 || threshold > count || (threshold == 1 && count != 1))
        return ERR_RANGE;

    /* Horner's rule at all x at once: one power's coefficients are drawn, used and forgotten. */
    for (unsigned power = threshold; power-- > 0;) {
        if (power == 0)
            memcpy(coefficients, secret, size);
        else
            err = rng_fill(rng, coefficients, size);
        if (err != OK)
            break;
        for (unsigned j = 0; j < count; j++) {
            uint8_t *share = shares + j * size;

            gf_mul_add(share, (uint8_t)(j + 1), coefficients, size, share);
        }
    }
    sodium_memzero(coefficients, sizeof(coefficients));
    if (err != OK)
        sodium_memzero(shares, count * size);
    return err;
}

static bool
points_valid(const uint8_t *xs, unsigned count)
{
    bool seen[SHAMIR_SHARES_MAX + 1] = {false};

    for (unsigned i = 0; i < count; i++) {
        if (xs[i] == 0 || seen[xs[i]])
            return false;
        seen[xs[i]] = true;
    }
    return true;
}

/* What share i weighs in the value at `at`: the product of (at - x_j) / (x_i - x_j). Public. */
static uint8_t
lagrange_weight(const uint8_t *xs, unsigned count, unsigned i, uint8_t at)
{
    uint8_t numerator = 1;
    uint8_t denominator = 1;

    for (unsigned j = 0; j < count; j++) {
        if (j == i)
            continue;
        numerator = gf_mul(numerator, at ^ xs[j]);
        denominator = gf_mul(denominator, xs[i] ^ xs[j]);
    }
    return gf_mul(numerator, gf_inverse(denominator));
}

enum vault_err
shamir_value_at(const uint8_t *xs, const uint8_t *const *shares, unsigned count, size_t size,
                uint8_t at, uint8_t *out)
{
    if (size == 0 || size > SHAMIR_SECRET_BYTES_MAX)
        return ERR_RANGE;
    sodium_memzero(out, size);
    if (count == 0 || count > SHAMIR_SHARES_MAX || !points_valid(xs, count))
        return ERR_RANGE;

    for (unsigned i = 0; i < count; i++) {
        uint8_t weight = lagrange_weight(xs, count, i, at);

        gf_mul_add(shares[i], weight, out, size, out);
    }
    return OK;
}

enum vault_err
shamir_contribution(const uint8_t *xs, unsigned count, uint8_t x, const uint8_t *share, size_t size,
                    uint8_t at, uint8_t *out)
{
    unsigned own = 0;

    if (size == 0 || size > SHAMIR_SECRET_BYTES_MAX)
        return ERR_RANGE;
    sodium_memzero(out, size);
    if (count == 0 || count > SHAMIR_SHARES_MAX || !points_valid(xs, count))
        return ERR_RANGE;
    while (own < count && xs[own] != x)
        own++;
    if (own == count)
        return ERR_RANGE;

    gf_mul_add(share, lagrange_weight(xs, count, own, at), out, size, out);
    return OK;
}
