/* Keys of pairs of nodes: both ends agree, nobody else does, and old ones go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/pair_keys.h"

static const uint8_t cluster_id[CLUSTER_ID_BYTES] = {1, 2, 3};

struct trio {
    struct secret_arena *arena;
    struct rng_seeded state;
    struct rng rng;
    struct pair_keys node[3];
};

static void
tell(struct trio *t, unsigned from, unsigned to)
{
    pair_keys_learn(&t->node[to], (uint8_t)from, pair_keys_own(&t->node[from]));
}

static void
trio_open(struct trio *t)
{
    rng_seeded_init(&t->state, 5, &t->rng);
    assert_int_equal(secret_arena_new(3 * PAIR_KEY_SLOTS, &t->arena), OK);
    secret_arena_open(t->arena);
    for (uint8_t i = 0; i < 3; i++) {
        pair_keys_init(&t->node[i], t->arena, cluster_id, i);
        assert_int_equal(pair_keys_renew(&t->node[i], &t->rng), OK);
    }
    for (unsigned i = 0; i < 9; i++)
        tell(t, i / 3, i % 3);
}

static void
trio_close(struct trio *t)
{
    for (unsigned i = 0; i < 3; i++)
        pair_keys_close(&t->node[i]);
    assert_int_equal(secret_arena_free_slots(t->arena), 3 * PAIR_KEY_SLOTS); /* nothing is left */
    secret_arena_close(t->arena);
    secret_arena_free(t->arena);
}

static enum vault_err
derive(struct trio *t, unsigned own, unsigned peer, uint64_t own_id, uint64_t peer_id,
       const char *use, uint8_t out[KEY_BYTES])
{
    return pair_keys_derive(&t->node[own], (uint8_t)peer, own_id, peer_id, use, out);
}

static uint64_t
id_of(const struct trio *t, unsigned node)
{
    return pair_keys_own(&t->node[node])->id;
}

static void
test_both_ends_agree(void **state)
{
    (void)state;
    struct trio t;
    uint8_t a[KEY_BYTES], b[KEY_BYTES], other[KEY_BYTES];
    trio_open(&t);
    for (unsigned again = 0; again < 2; again++) { /* made, and remembered */
        assert_int_equal(derive(&t, 0, 1, id_of(&t, 0), id_of(&t, 1), PAIR_KEY_BLINDING, a), OK);
        assert_int_equal(derive(&t, 1, 0, id_of(&t, 1), id_of(&t, 0), PAIR_KEY_BLINDING, b), OK);
        assert_memory_equal(a, b, KEY_BYTES);
    }
    assert_int_equal(derive(&t, 0, 1, id_of(&t, 0), id_of(&t, 1), PAIR_KEY_VOTES, other), OK);
    assert_memory_not_equal(a, other, KEY_BYTES);
    assert_int_equal(derive(&t, 0, 2, id_of(&t, 0), id_of(&t, 2), PAIR_KEY_BLINDING, other), OK);
    assert_memory_not_equal(a, other, KEY_BYTES);
    trio_close(&t);
}

static void
test_unknown_halves(void **state)
{
    (void)state;
    struct trio t;
    uint8_t key[KEY_BYTES], zero[KEY_BYTES] = {0};
    trio_open(&t);
    memset(key, 1, sizeof(key));
    assert_int_equal(derive(&t, 0, 1, 1, id_of(&t, 1), "x", key), ERR_NOT_FOUND);
    assert_memory_equal(key, zero, KEY_BYTES);
    assert_int_equal(derive(&t, 0, 1, id_of(&t, 0), id_of(&t, 2), "x", key), ERR_NOT_FOUND);
    assert_int_equal(derive(&t, 0, 1, 0, 0, "x", key), ERR_NOT_FOUND);
    assert_int_equal(derive(&t, 0, 0, id_of(&t, 0), id_of(&t, 0), "x", key), ERR_NOT_FOUND);
    assert_int_equal(derive(&t, 0, NODES_MAX, id_of(&t, 0), id_of(&t, 1), "x", key), ERR_NOT_FOUND);
    trio_close(&t);
}

/* The pair before the present one serves what is on its way, and then no more. */
static void
test_renewal(void **state)
{
    (void)state;
    struct trio t;
    uint8_t a[KEY_BYTES], b[KEY_BYTES];
    trio_open(&t);
    uint64_t old = id_of(&t, 0);
    assert_int_equal(derive(&t, 0, 1, old, id_of(&t, 1), "x", a), OK);
    assert_int_equal(pair_keys_renew(&t.node[0], &t.rng), OK);
    assert_int_not_equal(id_of(&t, 0), old);
    assert_int_equal(derive(&t, 0, 1, old, id_of(&t, 1), "x", b), OK);
    assert_memory_equal(a, b, KEY_BYTES);
    assert_int_equal(derive(&t, 1, 0, id_of(&t, 1), id_of(&t, 0), "x", b), ERR_NOT_FOUND);
    tell(&t, 0, 1);
    assert_int_equal(pair_keys_peer_id(&t.node[1], 0), id_of(&t, 0));
    assert_int_equal(derive(&t, 1, 0, id_of(&t, 1), id_of(&t, 0), "x", b), OK);
    assert_memory_not_equal(a, b, KEY_BYTES);
    assert_int_equal(derive(&t, 1, 0, id_of(&t, 1), old, "x", b), OK);
    assert_memory_equal(a, b, KEY_BYTES);
    pair_keys_forget_old(&t.node[0]);
    assert_int_equal(derive(&t, 0, 1, old, id_of(&t, 1), "x", b), ERR_NOT_FOUND);
    assert_int_equal(derive(&t, 0, 1, id_of(&t, 0), id_of(&t, 1), "x", b), OK);
    trio_close(&t);
}

static void
test_what_is_not_learned(void **state)
{
    (void)state;
    struct trio t;
    uint8_t key[KEY_BYTES];
    trio_open(&t);
    struct pair_key_public wrong = *pair_keys_own(&t.node[2]);
    wrong.key[0] ^= 1; /* the id is of another key */
    pair_keys_learn(&t.node[0], 1, &wrong);
    assert_int_equal(pair_keys_peer_id(&t.node[0], 1), id_of(&t, 1));
    struct pair_key_public none = {0};
    pair_keys_learn(&t.node[0], 1, &none);
    assert_int_equal(pair_keys_peer_id(&t.node[0], 1), id_of(&t, 1));
    struct pair_key_public low = {.key = {1}}; /* of low order */
    low.id = pair_key_id(low.key);
    pair_keys_learn(&t.node[0], 1, &low);
    assert_int_equal(derive(&t, 0, 1, id_of(&t, 0), low.id, "x", key), ERR_CORRUPT);
    trio_close(&t);
}

static void
test_many_agreements(void **state)
{
    (void)state;
    struct trio t;
    uint8_t first[KEY_BYTES], key[KEY_BYTES];
    trio_open(&t);
    assert_int_equal(derive(&t, 0, 1, id_of(&t, 0), id_of(&t, 1), "x", first), OK);
    size_t free_before = secret_arena_free_slots(t.arena);
    for (unsigned i = 0; i < 3 * PAIR_KEY_AGREEMENTS; i++) {
        assert_int_equal(pair_keys_renew(&t.node[2], &t.rng), OK);
        tell(&t, 2, 0);
        assert_int_equal(derive(&t, 0, 2, id_of(&t, 0), id_of(&t, 2), "x", key), OK);
    }
    assert_true(free_before - secret_arena_free_slots(t.arena) <= PAIR_KEY_AGREEMENTS + 1);
    assert_int_equal(derive(&t, 0, 1, id_of(&t, 0), id_of(&t, 1), "x", key), OK);
    assert_memory_equal(first, key, KEY_BYTES);
    trio_close(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends_agree), cmocka_unit_test(test_unknown_halves),
        cmocka_unit_test(test_renewal),         cmocka_unit_test(test_what_is_not_learned),
        cmocka_unit_test(test_many_agreements),
    };
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
