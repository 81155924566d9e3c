/*
 * What a dealing's maker checks before anything leaves it: the maker is built here once more, with
 * a split that can be spoilt and a derivation that can go wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

static unsigned spoil_share;  /* 1..n: that share is wrong; 0: none */
static bool spoil_secret;     /* good shares of something else */
static unsigned derivations;  /* made so far */
static unsigned spoil_derive; /* that one is wrong; 0: none */

#include "crypto/dealing_internal.h"
#include "crypto/shamir.h"

static enum vault_err
split(const uint8_t *secret, size_t size, unsigned threshold, unsigned count, const struct rng *rng,
      uint8_t *shares)
{
    uint8_t copy[SHAMIR_SECRET_BYTES_MAX];

    memcpy(copy, secret, size);
    copy[size - 1] ^= spoil_secret ? 1 : 0;
    enum vault_err err = shamir_split(copy, size, threshold, count, rng, shares);
    if (spoil_share > 0)
        shares[(spoil_share - 1) * size] ^= 0x80;
    return err;
}

static enum vault_err
derive(const uint8_t *dek, const uint8_t *id, struct bytes info, struct dealing_keys *out)
{
    enum vault_err err = dealing_derive(dek, id, info, out);

    if (++derivations == spoil_derive)
        out->commitment[HASH_BYTES - 1] ^= 1;
    return err;
}

#define shamir_split   split
#define dealing_derive derive
#define dealing_make   spoilt_make
enum vault_err spoilt_make(const struct dealing_place *place, const struct dealing_value *value,
                           const struct master_key *master,
                           const struct dealing_recipients *recipients, struct box_sender *sender,
                           const struct rng *rng, struct arena *arena, struct dealing *out);
#include "crypto/dealing_make.c" /* NOLINT(bugprone-suspicious-include) */
#undef shamir_split
#undef dealing_derive
#undef dealing_make

enum { SLOTS = 64, ARENA_LIMIT = 1 << 20 };

struct world {
    struct secret_arena *secrets;
    struct box_sender sender;
    struct share_keyring rings[REPLICAS_MAX];
    struct master_key master;
    struct rng_seeded seed;
    struct rng rng;
    struct arena arena;
};

static int
setup(void **state)
{
    struct world *w = test_calloc(1, sizeof(*w));

    rng_seeded_init(&w->seed, 5, &w->rng);
    arena_init(&w->arena, ARENA_LIMIT);
    assert_int_equal(secret_arena_new(SLOTS, &w->secrets), OK);
    secret_arena_open(w->secrets);
    box_sender_init(&w->sender, w->secrets);
    assert_int_equal(box_sender_renew(&w->sender, &w->rng), OK);
    for (unsigned i = 0; i < REPLICAS_MAX; i++) {
        share_keyring_init(&w->rings[i], w->secrets);
        assert_int_equal(share_keyring_generate(&w->rings[i], &w->rng), OK);
    }
    w->master.generation = 1;
    assert_int_equal(secret_new(w->secrets, KEY_BYTES, &w->master.key), OK);
    spoil_share = spoil_derive = derivations = 0;
    spoil_secret = false;
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    secret_free(w->secrets, &w->master.key);
    box_sender_close(&w->sender);
    for (unsigned i = 0; i < REPLICAS_MAX; i++)
        share_keyring_close(&w->rings[i]);
    secret_arena_close(w->secrets);
    secret_arena_free(w->secrets);
    arena_close(&w->arena);
    test_free(w);
    return 0;
}

static enum vault_err
make_one(struct world *w, uint8_t k, uint8_t n, bool with_master)
{
    static const uint8_t incarnation[INCARNATION_BYTES] = {1};
    static const uint8_t cluster_id[CLUSTER_ID_BYTES] = {2};
    struct dealing_place place = {.cluster_id = cluster_id,
                                  .tenant = bytes_of_text("t"),
                                  .name = bytes_of_text("n"),
                                  .incarnation = incarnation,
                                  .version = 1};
    struct dealing_value value = {.value = bytes_of_text("v")};
    struct dealing_recipients to = {.threshold = k, .count = n};
    struct dealing dealing;

    for (uint8_t j = 0; j < n; j++) {
        to.nodes[j] = j;
        to.keys[j] = share_keyring_current(&w->rings[j]);
    }
    derivations = 0;
    enum vault_err err = spoilt_make(&place, &value, with_master ? &w->master : NULL, &to,
                                     &w->sender, &w->rng, &w->arena, &dealing);
    assert_true((err == OK) == (dealing.count == n));
    arena_reset(&w->arena);
    return err;
}

/* All sizes at which every share is in one of the two subsets, with and without a master key. */
static void
for_each(struct world *w, enum vault_err expected)
{
    for (uint8_t n = 1; n <= 4; n++) {
        for (uint8_t k = n == 1 ? 1 : 2; k <= n; k++) {
            if (2 * k < n || spoil_share > n)
                continue;
            assert_int_equal(make_one(w, k, n, false), expected);
            assert_int_equal(make_one(w, k, n, true), expected);
        }
    }
}

static void
what_is_whole_passes(void **state)
{
    for_each(*state, OK);
    assert_int_equal(derivations, 2); /* one to encrypt, one on the way back */
}

static void
a_wrong_share_is_found(void **state)
{
    for (spoil_share = 1; spoil_share <= 4; spoil_share++)
        for_each(*state, ERR_CORRUPT);
}

static void
shares_of_something_else_are_found(void **state)
{
    spoil_secret = true;
    for_each(*state, ERR_CORRUPT);
}

static void
a_wrong_derivation_is_found(void **state)
{
    for (spoil_derive = 1; spoil_derive <= 2; spoil_derive++)
        for_each(*state, ERR_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_whole_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_share_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(shares_of_something_else_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_derivation_is_found, setup, teardown),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
