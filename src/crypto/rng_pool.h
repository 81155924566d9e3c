/*
 * A source of randomness that asks another one for more than it needs now, and keeps the rest: for
 * callers that need a few bytes often, where each call into the kernel costs more than the bytes.
 * What it gives is what the source gave, each byte once; nothing is stretched or derived. So it is
 * as good as the source for keys, too.
 *
 * The bytes that wait lie in a page of their own: locked, not in core dumps, empty in a process
 * that was forked off; and are wiped as they are handed out. For one thread. Like rng_kernel.h not
 * part of the core library.
 */
#ifndef OSTRAKA_CRYPTO_RNG_POOL_H
#define OSTRAKA_CRYPTO_RNG_POOL_H

#include "crypto/rng.h"

enum { RNG_POOL_BYTES = 512 };

struct rng_pool;

/* `source` is copied. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err rng_pool_new(const struct rng *source, struct rng_pool **out);
void rng_pool_free(struct rng_pool *pool); /* NULL is fine */
struct rng rng_pool_rng(struct rng_pool *pool);

#endif
