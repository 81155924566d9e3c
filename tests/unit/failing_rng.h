/* Sources of randomness that fail: at one draw, or always. */
#ifndef OSTRAKA_TESTS_FAILING_RNG_H
#define OSTRAKA_TESTS_FAILING_RNG_H

#include <string.h>

#include "crypto/rng.h"

struct failing_rng {
    struct rng_seeded seed;
    struct rng good;
    unsigned fail_at; /* number of the draw that fails, from 0 */
    unsigned draws;
};

/* Leaves rubbish behind, as a careless source would. */
static inline enum vault_err
failing_rng_fill(void *context, uint8_t *out, size_t size)
{
    struct failing_rng *f = context;

    if (f->draws++ == f->fail_at) {
        memset(out, 0xee, size);
        return ERR_ENTROPY;
    }
    return rng_fill(&f->good, out, size);
}

static inline struct rng
failing_rng_init(struct failing_rng *f, uint64_t seed, unsigned fail_at)
{
    *f = (struct failing_rng){.fail_at = fail_at};
    rng_seeded_init(&f->seed, seed, &f->good);
    return (struct rng){.context = f, .fill = failing_rng_fill};
}

static inline enum vault_err
no_entropy_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    memset(out, 0, size);
    return ERR_ENTROPY;
}

static inline struct rng
no_entropy(void)
{
    return (struct rng){.fill = no_entropy_fill};
}

#endif
