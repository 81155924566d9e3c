/* The pool of randomness: each byte of its source once and in order, beside a child process too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/rng_pool.h"

/* Counts, so that a byte that is given twice or left out shows. */
struct counting {
    uint64_t given;
    unsigned asked;
    bool fails;
};

static enum vault_err
count_on(void *context, uint8_t *out, size_t size)
{
    struct counting *source = context;

    source->asked++;
    if (source->fails) {
        memset(out, 0, size);
        return ERR_ENTROPY;
    }
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(source->given++ % 251);
    return OK;
}

static struct rng_pool *
pool_of(struct counting *source)
{
    const struct rng rng = {.context = source, .fill = count_on};
    struct rng_pool *pool;

    assert_int_equal(rng_pool_new(&rng, &pool), OK);
    return pool;
}

static void
expect(const struct rng *rng, uint64_t from, size_t size)
{
    uint8_t out[2 * RNG_POOL_BYTES];

    assert_int_equal(rng_fill(rng, out, size), OK);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(out[i], (from + i) % 251);
}

static void
gives_each_byte_once(void **state)
{
    struct counting source = {0};
    struct rng_pool *pool = pool_of(&source);
    struct rng rng = rng_pool_rng(pool);

    (void)state;
    for (unsigned i = 0; i < RNG_POOL_BYTES / 32; i++)
        expect(&rng, 32 * (uint64_t)i, 32);
    assert_int_equal(source.asked, 1);
    /* What is left and too little is not used. */
    expect(&rng, RNG_POOL_BYTES, RNG_POOL_BYTES - 1);
    expect(&rng, UINT64_C(2) * RNG_POOL_BYTES, 2);
    assert_int_equal(source.asked, 3);
    /* More than it holds comes from the source itself. */
    expect(&rng, UINT64_C(3) * RNG_POOL_BYTES, RNG_POOL_BYTES + 1);
    expect(&rng, UINT64_C(2) * RNG_POOL_BYTES + 2, 8);
    assert_int_equal(source.asked, 4);
    rng_pool_free(pool);
}

static void
gives_nothing_after_a_failure(void **state)
{
    struct counting source = {.fails = true};
    struct rng_pool *pool = pool_of(&source);
    struct rng rng = rng_pool_rng(pool);
    uint8_t out[16] = {1}, zero[16] = {0};

    (void)state;
    assert_int_equal(rng_fill(&rng, out, sizeof out), ERR_ENTROPY);
    assert_memory_equal(out, zero, sizeof out);
    source.fails = false;
    expect(&rng, 0, 16);
    source.fails = true;
    expect(&rng, 16, RNG_POOL_BYTES - 16);
    assert_int_equal(rng_fill(&rng, out, sizeof out), ERR_ENTROPY);
    rng_pool_free(pool);
}

/* Parent and child would else make the same keys. */
static void
a_child_has_nothing_of_it(void **state)
{
    struct counting source = {0};
    struct rng_pool *pool = pool_of(&source);
    struct rng rng = rng_pool_rng(pool);
    int status;
    pid_t child;

    (void)state;
    expect(&rng, 0, 32);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        uint8_t out[32];

        _exit(rng_fill(&rng, out, sizeof out) == OK && source.asked == 2 &&
                      out[0] == RNG_POOL_BYTES % 251
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    expect(&rng, 32, 32);
    assert_int_equal(source.asked, 1);
    rng_pool_free(pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_byte_once),
        cmocka_unit_test(gives_nothing_after_a_failure),
        cmocka_unit_test(a_child_has_nothing_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
