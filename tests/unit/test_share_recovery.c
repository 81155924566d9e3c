/*
 * Blinded share recovery: for all k and n up to 7, all receivers and all sets of helpers the
 * contributions add up to the receiver's share; fewer of them, or those of two sets, do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/shamir.h"
#include "crypto/share_recovery.h"

enum { SIZE = 52 };

struct dealt {
    struct rng_seeded state;
    struct rng rng;
    unsigned threshold, count;
    uint8_t shares[REPLICAS_MAX][SIZE];
    uint8_t pairs[REPLICAS_MAX][REPLICAS_MAX][KEY_BYTES]; /* key of i and j, both ways */
};

static void
deal(struct dealt *d, unsigned threshold, unsigned count)
{
    uint8_t secret[SIZE];
    *d = (struct dealt){.threshold = threshold, .count = count};
    rng_seeded_init(&d->state, 100 * threshold + count, &d->rng);
    assert_int_equal(rng_fill(&d->rng, secret, SIZE), OK);
    assert_int_equal(shamir_split(secret, SIZE, threshold, count, &d->rng, d->shares[0]), OK);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < i; j++) {
            assert_int_equal(rng_fill(&d->rng, d->pairs[i][j], KEY_BYTES), OK);
            memcpy(d->pairs[j][i], d->pairs[i][j], KEY_BYTES);
        }
    }
}

static struct recovery_terms
terms_of(uint8_t receiver, uint64_t helpers)
{
    struct recovery_terms terms = {.dealing_id = {7}, .receiver = receiver, .helpers = helpers};
    for (unsigned i = 0; i < REPLICAS_MAX; i++)
        terms.key_ids[i] = helpers >> i & 1 ? 1000 + i : 0;
    return terms;
}

static unsigned
members(uint64_t set)
{
    unsigned count = 0;
    for (unsigned i = 0; i < 64; i++)
        count += (unsigned)(set >> i) & 1;
    return count;
}

static void
contribution(const struct dealt *d, const struct recovery_terms *terms, unsigned helper,
             uint8_t out[SIZE])
{
    assert_int_equal(recovery_contribution(terms, (uint8_t)(helper + 1),
                                           bytes_of(d->shares[helper], SIZE), d->pairs[helper],
                                           out),
                     OK);
}

static void
test_one_set(const struct dealt *d, uint8_t receiver, uint64_t helpers)
{
    struct recovery_terms terms = terms_of(receiver, helpers);
    uint8_t sum[SIZE] = {0};
    unsigned added = 0;
    assert_true(recovery_terms_valid(&terms, d->threshold, d->count));
    for (unsigned i = 0; i < d->count; i++) {
        uint8_t one[SIZE];
        if (!(helpers >> i & 1))
            continue;
        contribution(d, &terms, i, one);
        assert_memory_not_equal(one, d->shares[i], SIZE); /* never the share itself */
        recovery_add(bytes_of(one, SIZE), sum);
        added++;
        /* Until the last has come it is noise. */
        if (added < d->threshold)
            assert_memory_not_equal(sum, d->shares[receiver - 1], SIZE);
    }
    assert_memory_equal(sum, d->shares[receiver - 1], SIZE);
}

static void
test_all_sets(void **state)
{
    (void)state;
    for (unsigned n = 3; n <= REPLICAS_MAX; n++) {
        for (unsigned k = 2; k < n; k++) {
            struct dealt d;
            deal(&d, k, n);
            for (unsigned receiver = 1; receiver <= n; receiver++) {
                for (uint64_t set = 0; set < UINT64_C(1) << n; set++) {
                    if (members(set) == k && !(set >> (receiver - 1) & 1))
                        test_one_set(&d, (uint8_t)receiver, set);
                }
            }
        }
    }
}

/* Whatever the terms differ in, the pads differ and do not cancel. */
static void
test_terms_must_agree(void **state)
{
    (void)state;
    struct dealt d;
    deal(&d, 3, 6);
    for (unsigned what = 0; what < 5; what++) {
        struct recovery_terms terms = terms_of(1, 0x0e), other = terms;
        uint8_t sum[SIZE] = {0}, one[SIZE];
        if (what == 1)
            other.dealing_id[15] ^= 1;
        if (what == 2)
            other.receiver = 6;
        if (what == 3)
            other = terms_of(1, 0x16); /* helper 5 in the place of helper 4 */
        if (what == 4)
            other.key_ids[2]++;
        contribution(&d, &terms, 1, one);
        recovery_add(bytes_of(one, SIZE), sum);
        contribution(&d, &terms, 3, one);
        recovery_add(bytes_of(one, SIZE), sum);
        contribution(&d, &other, 2, one);
        recovery_add(bytes_of(one, SIZE), sum);
        if (what == 0)
            assert_memory_equal(sum, d.shares[0], SIZE);
        else
            assert_memory_not_equal(sum, d.shares[0], SIZE);
    }
}

/*
 * The pads of one pair for two sets are unlike: three sets that share them would give the helper's
 * own share away (docs/protocol.md).
 */
static void
test_pads_of_two_sets(void **state)
{
    (void)state;
    struct dealt d;
    deal(&d, 3, 5);
    static const uint64_t sets[] = {0x0e, 0x1a, 0x16}; /* helper 2 with 3 and 4, 4 and 5, 3 and 5 */
    uint8_t sum[SIZE] = {0}, plain[SIZE] = {0}, one[SIZE];
    for (unsigned i = 0; i < 3; i++) {
        struct recovery_terms terms = terms_of(1, sets[i]);
        uint8_t xs[3];
        unsigned count = 0;
        for (uint8_t x = 1; x <= 5; x++) {
            if (sets[i] >> (x - 1) & 1)
                xs[count++] = x;
        }
        contribution(&d, &terms, 1, one);
        recovery_add(bytes_of(one, SIZE), sum);
        assert_int_equal(shamir_contribution(xs, 3, 2, d.shares[1], SIZE, 1, one), OK);
        recovery_add(bytes_of(one, SIZE), plain);
    }
    assert_memory_not_equal(sum, plain, SIZE);
}

static void
test_refused(void **state)
{
    (void)state;
    struct dealt d;
    deal(&d, 3, 5);
    struct recovery_terms good = terms_of(1, 0x0e), bad;
    assert_true(recovery_terms_valid(&good, 3, 5));
    assert_false(recovery_terms_valid(&good, 2, 5)); /* more than k */
    assert_false(recovery_terms_valid(&good, 4, 5)); /* fewer */
    assert_false(recovery_terms_valid(&good, 3, 3)); /* beyond n */
    assert_false(recovery_terms_valid(&good, 3, REPLICAS_MAX + 1));
    bad = terms_of(2, 0x0e); /* the receiver among them */
    assert_false(recovery_terms_valid(&bad, 3, 5));
    bad = terms_of(0, 0x0e); /* the secret itself */
    assert_false(recovery_terms_valid(&bad, 3, 5));
    bad = terms_of(6, 0x0e);
    assert_false(recovery_terms_valid(&bad, 3, 5));
    bad = good;
    bad.key_ids[2] = 0;
    assert_false(recovery_terms_valid(&bad, 3, 5));
    bad = good;
    bad.key_ids[4] = 9;
    assert_false(recovery_terms_valid(&bad, 3, 5));
    bad = terms_of(2, 0x01); /* k = 1: nothing to blind with */
    assert_false(recovery_terms_valid(&bad, 1, 2));

    uint8_t out[SECRET_BYTES_MAX + 1], zero[SECRET_BYTES_MAX + 1] = {0};
    memset(out, 1, sizeof(out));
    assert_int_equal(recovery_contribution(&good, 1, bytes_of(d.shares[0], SIZE), d.pairs[0], out),
                     ERR_RANGE); /* not a helper */
    assert_memory_equal(out, zero, SIZE);
    assert_int_equal(recovery_contribution(&good, 0, bytes_of(d.shares[0], SIZE), d.pairs[0], out),
                     ERR_RANGE);
    assert_int_equal(recovery_contribution(&good, 2, (struct bytes){0}, d.pairs[1], out),
                     ERR_RANGE);
    assert_int_equal(
        recovery_contribution(&good, 2, bytes_of(zero, SECRET_BYTES_MAX + 1), d.pairs[1], out),
        ERR_RANGE);
}

static void
test_contributions_of_shamir(void **state)
{
    (void)state;
    static const uint8_t xs[] = {1, 3, 3}, fine[] = {1, 3, 5};
    uint8_t share[SIZE] = {9}, out[SIZE];
    assert_int_equal(shamir_contribution(xs, 3, 1, share, SIZE, 2, out), ERR_RANGE);
    assert_int_equal(shamir_contribution(fine, 3, 2, share, SIZE, 2, out), ERR_RANGE);
    assert_int_equal(shamir_contribution(fine, 0, 1, share, SIZE, 2, out), ERR_RANGE);
    assert_int_equal(shamir_contribution(fine, 3, 1, share, 0, 2, out), ERR_RANGE);
    assert_int_equal(shamir_contribution(fine, 3, 1, share, SHAMIR_SECRET_BYTES_MAX + 1, 2, out),
                     ERR_RANGE);
    assert_int_equal(shamir_contribution(fine, 3, 5, share, SIZE, 2, out), OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sets),
        cmocka_unit_test(test_terms_must_agree),
        cmocka_unit_test(test_pads_of_two_sets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_contributions_of_shamir),
    };
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
