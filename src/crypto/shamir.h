/*
 * Shamir's secret sharing over GF(2^8) with polynomial 0x11b, every byte apart. Constant time in
 * the secret: no tables, no branches on secret data. All coefficients are uniformly random, the
 * top one too.
 *
 * Ref: A. Shamir, "How to share a secret" (1979).
 */
#ifndef OSTRAKA_CRYPTO_SHAMIR_H
#define OSTRAKA_CRYPTO_SHAMIR_H

#include "crypto/rng.h"

enum { SHAMIR_SECRET_BYTES_MAX = 64, SHAMIR_SHARES_MAX = 255 };

/*
 * Share j (0-based) of `count` is the value at x = j + 1, `size` bytes written at shares + j *
 * size. Errors: ERR_RANGE (1 <= threshold <= count <= 255, 1 <= size <= SHAMIR_SECRET_BYTES_MAX;
 * threshold 1 only with count 1), ERR_ENTROPY. On error `shares` is zeroed.
 */
MUST_CHECK enum vault_err shamir_split(const uint8_t *secret, size_t size, unsigned threshold,
                                       unsigned count, const struct rng *rng, uint8_t *shares);

/*
 * Value at `at` of the polynomial through the `count` points (xs[i], shares[i]): at = 0 gives the
 * secret, at = x_j another share.
 * Errors: ERR_RANGE when an x is 0, two are equal, count is 0 or above 255, or size is out of
 * range; out is then zeroed.
 */
MUST_CHECK enum vault_err shamir_value_at(const uint8_t *xs, const uint8_t *const *shares,
                                          unsigned count, size_t size, uint8_t at, uint8_t *out);

/*
 * What the share at `x` adds to the value at `at` of the polynomial through the points at xs: the
 * XOR of the contributions of all xs is that value. Errors: as shamir_value_at; ERR_RANGE also when
 * x is not among xs.
 */
MUST_CHECK enum vault_err shamir_contribution(const uint8_t *xs, unsigned count, uint8_t x,
                                              const uint8_t *share, size_t size, uint8_t at,
                                              uint8_t *out);

#endif
