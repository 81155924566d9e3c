#include "crypto/rng.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum vault_err
rng_fill(const struct rng *rng, uint8_t *out, size_t size)
{
    enum vault_err err;

    if (size == 0)
        return OK;
    err = rng->fill(rng->context, out, size);
    if (err != OK)
        sodium_memzero(out, size); /* whatever the source did, nobody uses half of an answer */
    return err;
}

enum vault_err
rng_below(const struct rng *rng, uint64_t bound, uint64_t *out)
{
    uint64_t excess, draw;
    enum vault_err err;

    assert(bound > 0);
    *out = 0;
    /* 2^64 mod bound: as many draws are one chance too many for the small results; draw again. */
    excess = (0 - bound) % bound;
    do {
        err = rng_fill(rng, (uint8_t *)&draw, sizeof(draw));
        if (err != OK)
            return err;
    } while (draw < excess);
    *out = draw % bound;
    return OK;
}

/* Every fill is a stream of its own: the counter is the nonce. */
static enum vault_err
seeded_fill(void *context, uint8_t *out, size_t size)
{
    struct rng_seeded *state = context;
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

    for (unsigned i = 0; i < sizeof(nonce); i++)
        nonce[i] = (uint8_t)(state->counter >> (8 * i));
    state->counter++;
    (void)crypto_stream_chacha20(out, size, nonce, state->key);
    return OK;
}

void
rng_seeded_init(struct rng_seeded *state, uint64_t seed, struct rng *out)
{
    static_assert(sizeof(state->key) == crypto_stream_chacha20_KEYBYTES, "a ChaCha20 key");

    memset(state, 0, sizeof(*state));
    for (unsigned i = 0; i < 8; i++)
        state->key[i] = (uint8_t)(seed >> (8 * i));
    *out = (struct rng){.context = state, .fill = seeded_fill};
}
