#include "sim/prng.h"

#include <assert.h>
#include <string.h>

static uint64_t
splitmix(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void
prng_init(struct prng *prng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        prng->state[i] = splitmix(&seed);
}

struct prng
prng_fork(struct prng *prng)
{
    struct prng child;
    prng_init(&child, prng_next(prng));
    return child;
}

static uint64_t
rotate(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

uint64_t
prng_next(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t
prng_below(struct prng *prng, uint64_t bound)
{
    assert(bound > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value = prng_next(prng);
    while (value >= limit)
        value = prng_next(prng);
    return value % bound;
}

uint64_t
prng_between(struct prng *prng, uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + prng_below(prng, high - low + 1);
}

bool
prng_chance(struct prng *prng, unsigned permille)
{
    return permille > 0 && prng_below(prng, 1000) < permille;
}

void
prng_fill(struct prng *prng, uint8_t *out, size_t size)
{
    while (size > 0) {
        uint64_t word = prng_next(prng);
        size_t part = size < sizeof(word) ? size : sizeof(word);
        for (size_t i = 0; i < part; i++)
            out[i] = (uint8_t)(word >> (8 * i));
        out += part;
        size -= part;
    }
}

uint64_t
prng_skewed(struct prng *prng, uint64_t low, uint64_t high)
{
    unsigned bits = 0;
    while (bits < 63 && (high - low) >> bits > 0)
        bits++;
    uint64_t most = (UINT64_C(1) << prng_below(prng, bits + 1)) - 1;
    if (most > high - low)
        most = high - low;
    return prng_between(prng, low, low + most);
}
