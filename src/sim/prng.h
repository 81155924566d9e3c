/*
 * The one source of chance in the simulator: integers only, the same numbers on every machine. Independent streams are made by
 * prng_fork, so that a draw more in one part of the world does not change the others'.
 */
#ifndef OSTRAKA_SIM_PRNG_H
#define OSTRAKA_SIM_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state[4]; /* xoshiro256** of Blackman and Vigna (2018) */
};

void prng_init(struct prng *prng, uint64_t seed);
struct prng prng_fork(struct prng *prng);
uint64_t prng_next(struct prng *prng);
uint64_t prng_below(struct prng *prng, uint64_t bound);                /* bound > 0 */
uint64_t prng_between(struct prng *prng, uint64_t low, uint64_t high); /* both included */
bool prng_chance(struct prng *prng, unsigned permille);
void prng_fill(struct prng *prng, uint8_t *out, size_t size);
/* Small numbers often, large ones seldom: uniform in the number of bits. */
uint64_t prng_skewed(struct prng *prng, uint64_t low, uint64_t high);

#endif
