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

/* 1/a, which is a^254; of 0 it is 0. Of public values only: where it is read tells which. */
static const uint8_t inverses[256] = {
    0x00, 0x01, 0x8d, 0xf6, 0xcb, 0x52, 0x7b, 0xd1, 0xe8, 0x4f, 0x29, 0xc0, 0xb0, 0xe1, 0xe5, 0xc7,
    0x74, 0xb4, 0xaa, 0x4b, 0x99, 0x2b, 0x60, 0x5f, 0x58, 0x3f, 0xfd, 0xcc, 0xff, 0x40, 0xee, 0xb2,
    0x3a, 0x6e, 0x5a, 0xf1, 0x55, 0x4d, 0xa8, 0xc9, 0xc1, 0x0a, 0x98, 0x15, 0x30, 0x44, 0xa2, 0xc2,
    0x2c, 0x45, 0x92, 0x6c, 0xf3, 0x39, 0x66, 0x42, 0xf2, 0x35, 0x20, 0x6f, 0x77, 0xbb, 0x59, 0x19,
    0x1d, 0xfe, 0x37, 0x67, 0x2d, 0x31, 0xf5, 0x69, 0xa7, 0x64, 0xab, 0x13, 0x54, 0x25, 0xe9, 0x09,
    0xed, 0x5c, 0x05, 0xca, 0x4c, 0x24, 0x87, 0xbf, 0x18, 0x3e, 0x22, 0xf0, 0x51, 0xec, 0x61, 0x17,
    0x16, 0x5e, 0xaf, 0xd3, 0x49, 0xa6, 0x36, 0x43, 0xf4, 0x47, 0x91, 0xdf, 0x33, 0x93, 0x21, 0x3b,
    0x79, 0xb7, 0x97, 0x85, 0x10, 0xb5, 0xba, 0x3c, 0xb6, 0x70, 0xd0, 0x06, 0xa1, 0xfa, 0x81, 0x82,
    0x83, 0x7e, 0x7f, 0x80, 0x96, 0x73, 0xbe, 0x56, 0x9b, 0x9e, 0x95, 0xd9, 0xf7, 0x02, 0xb9, 0xa4,
    0xde, 0x6a, 0x32, 0x6d, 0xd8, 0x8a, 0x84, 0x72, 0x2a, 0x14, 0x9f, 0x88, 0xf9, 0xdc, 0x89, 0x9a,
    0xfb, 0x7c, 0x2e, 0xc3, 0x8f, 0xb8, 0x65, 0x48, 0x26, 0xc8, 0x12, 0x4a, 0xce, 0xe7, 0xd2, 0x62,
    0x0c, 0xe0, 0x1f, 0xef, 0x11, 0x75, 0x78, 0x71, 0xa5, 0x8e, 0x76, 0x3d, 0xbd, 0xbc, 0x86, 0x57,
    0x0b, 0x28, 0x2f, 0xa3, 0xda, 0xd4, 0xe4, 0x0f, 0xa9, 0x27, 0x53, 0x04, 0x1b, 0xfc, 0xac, 0xe6,
    0x7a, 0x07, 0xae, 0x63, 0xc5, 0xdb, 0xe2, 0xea, 0x94, 0x8b, 0xc4, 0xd5, 0x9d, 0xf8, 0x90, 0x6b,
    0xb1, 0x0d, 0xd6, 0xeb, 0xc6, 0x0e, 0xcf, 0xad, 0x08, 0x4e, 0xd7, 0xe3, 0x5d, 0x50, 0x1e, 0xb3,
    0x5b, 0x23, 0x38, 0x34, 0x68, 0x46, 0x03, 0x8c, 0xdd, 0x9c, 0x7d, 0xa0, 0xcd, 0x1a, 0x41, 0x1c,
};

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
    return gf_mul(numerator, inverses[denominator]);
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
