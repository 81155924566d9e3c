/*
 * Randomness as an injected interface: the kernel's in the server, a seeded generator in tests
 * and in the simulator. A source that fails must stop the node: nobody may go on without.
 */
#ifndef OSTRAKA_CRYPTO_RNG_H
#define OSTRAKA_CRYPTO_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct rng {
    void *context;
    /* Fills all of `out` or returns ERR_ENTROPY with `out` zeroed. */
    enum vault_err (*fill)(void *context, uint8_t *out, size_t size);
};

MUST_CHECK enum vault_err rng_fill(const struct rng *rng, uint8_t *out, size_t size);
/* Uniform in [0, bound), bound > 0, without modulo bias. */
MUST_CHECK enum vault_err rng_below(const struct rng *rng, uint64_t bound, uint64_t *out);

/* Deterministic generator for tests and simulation (ChaCha20 keyed by the seed); never for keys. */
struct rng_seeded {
    uint8_t key[32];
    uint64_t counter;
};
void rng_seeded_init(struct rng_seeded *state, uint64_t seed, struct rng *out);

#endif
