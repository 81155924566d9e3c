#include "crypto/rng_pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* On pages of its own. A child process finds it zero: with nothing left. */
struct waiting {
    size_t left; /* at the end of `bytes` */
    uint8_t bytes[RNG_POOL_BYTES];
};

struct rng_pool {
    struct rng source;
    struct waiting *waiting;
};

static enum vault_err
refill(struct rng_pool *pool)
{
    struct waiting *waiting = pool->waiting;
    enum vault_err err = rng_fill(&pool->source, waiting->bytes, sizeof(waiting->bytes));

    waiting->left = err == OK ? sizeof(waiting->bytes) : 0;
    return err;
}

static enum vault_err
pool_fill(void *context, uint8_t *out, size_t size)
{
    struct rng_pool *pool = context;
    struct waiting *waiting = pool->waiting;
    enum vault_err err;

    if (size > sizeof(waiting->bytes))
        return rng_fill(&pool->source, out, size);
    if (size > waiting->left && (err = refill(pool)) != OK)
        return err;
    uint8_t *from = waiting->bytes + sizeof(waiting->bytes) - waiting->left;
    memcpy(out, from, size);
    explicit_bzero(from, size);
    waiting->left -= size;
    return OK;
}

enum vault_err
rng_pool_new(const struct rng *source, struct rng_pool **out)
{
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS;
    struct rng_pool *pool = calloc(1, sizeof(*pool));

    *out = NULL;
    if (!pool)
        return ERR_NOMEM;
    pool->source = *source;
    /* cppcheck-suppress invalidFunctionArg ; -1 is what goes with MAP_ANONYMOUS */
    pool->waiting = mmap(NULL, sizeof(*pool->waiting), PROT_READ | PROT_WRITE, kind, -1, 0);
    if (pool->waiting == MAP_FAILED)
        goto fail;
    /* A child that had the same bytes would hand them out a second time. */
    if (madvise(pool->waiting, sizeof(*pool->waiting), MADV_WIPEONFORK) != 0 ||
        madvise(pool->waiting, sizeof(*pool->waiting), MADV_DONTDUMP) != 0 ||
        mlock(pool->waiting, sizeof(*pool->waiting)) != 0) {
        (void)munmap(pool->waiting, sizeof(*pool->waiting));
        goto fail;
    }
    *out = pool;
    return OK;
fail:
    free(pool);
    return ERR_NOMEM;
}

void
rng_pool_free(struct rng_pool *pool)
{
    if (!pool)
        return;
    explicit_bzero(pool->waiting, sizeof(*pool->waiting));
    (void)munmap(pool->waiting, sizeof(*pool->waiting));
    free(pool);
}

struct rng
rng_pool_rng(struct rng_pool *pool)
{
    return (struct rng){.context = pool, .fill = pool_fill};
}
