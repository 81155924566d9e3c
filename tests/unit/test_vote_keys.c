/* Keys that nodes vouch with: the same at both ends, another for each pair, and for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/vote_keys.h"

enum { NODES = 3 };

static const uint8_t cluster_id[CLUSTER_ID_BYTES] = "cluster";

static const uint8_t none_half[X25519_BYTES];

struct nodes {
    struct secret_arena *arena;
    struct vote_keys keys[NODES];
    struct secret roots[NODES];
};

static void
start(struct nodes *n)
{
    memset(n, 0, sizeof(*n));
    assert_int_equal(secret_arena_new(NODES * (VOTE_KEY_SLOTS + 1), &n->arena), OK);
    secret_arena_open(n->arena);
    for (uint8_t i = 0; i < (uint8_t)NODES; i++) {
        uint8_t root[KEY_BYTES] = {i, 7};
        assert_int_equal(secret_copy(n->arena, bytes_of(root, sizeof(root)), &n->roots[i]), OK);
        assert_int_equal(vote_keys_init(&n->keys[i], n->arena, cluster_id, i, &n->roots[i]), OK);
    }
}

static void
meet(struct nodes *n)
{
    for (uint8_t i = 0; i < (uint8_t)NODES; i++) {
        for (uint8_t j = 0; j < (uint8_t)NODES; j++)
            assert_int_equal(vote_keys_learn(&n->keys[i], j, n->keys[j].public_half), i != j);
    }
}

static void
stop(struct nodes *n)
{
    for (unsigned i = 0; i < NODES; i++) {
        vote_keys_close(&n->keys[i]);
        secret_free(n->arena, &n->roots[i]);
    }
    assert_int_equal(secret_arena_free_slots(n->arena), NODES * (VOTE_KEY_SLOTS + 1));
    secret_arena_close(n->arena);
    secret_arena_free(n->arena);
}

static bool
mac(struct nodes *n, uint8_t at, uint8_t with, const char *text, uint8_t out[VOTE_MAC_BYTES])
{
    return vote_keys_mac(&n->keys[at], with, bytes_of_text(text), out);
}

static void
test_pairs(void **state)
{
    (void)state;
    struct nodes n;
    uint8_t a[VOTE_MAC_BYTES], b[VOTE_MAC_BYTES], none[VOTE_MAC_BYTES] = {0};
    start(&n);
    assert_false(mac(&n, 0, 1, "text", a)); /* not known yet */
    assert_memory_equal(a, none, sizeof(a));
    assert_true(mac(&n, 0, 0, "text", a)); /* its own needs nobody */
    meet(&n);
    assert_true(mac(&n, 0, 1, "text", a));
    assert_true(mac(&n, 1, 0, "text", b));
    assert_memory_equal(a, b, sizeof(a));
    assert_true(mac(&n, 0, 1, "other", b));
    assert_memory_not_equal(a, b, sizeof(a));
    for (uint8_t i = 0; i < (uint8_t)NODES; i++) {
        for (uint8_t j = 0; j < (uint8_t)NODES; j++) {
            bool same_pair = (i == 0 && j == 1) || (i == 1 && j == 0);
            assert_true(mac(&n, i, j, "text", b));
            assert_int_equal(memcmp(a, b, sizeof(a)) == 0, same_pair);
        }
    }
    stop(&n);
}

/* Another start gives the same keys; a key that has changed is used from then on. */
static void
test_restart_and_change(void **state)
{
    (void)state;
    struct nodes n;
    uint8_t a[VOTE_MAC_BYTES], b[VOTE_MAC_BYTES], half[X25519_BYTES];
    start(&n);
    meet(&n);
    assert_true(mac(&n, 0, 1, "text", a));
    vote_keys_close(&n.keys[0]);
    assert_int_equal(vote_keys_init(&n.keys[0], n.arena, cluster_id, 0, &n.roots[0]), OK);
    assert_int_equal(vote_key_public(secret_bytes(&n.roots[0]), cluster_id, half), OK);
    assert_memory_equal(half, n.keys[0].public_half, sizeof(half));
    (void)vote_keys_learn(&n.keys[0], 1, n.keys[1].public_half);
    assert_true(mac(&n, 0, 1, "text", b));
    assert_memory_equal(a, b, sizeof(a));
    assert_true(vote_keys_learn(&n.keys[0], 1, n.keys[2].public_half));
    assert_true(mac(&n, 0, 1, "text", b));
    assert_memory_not_equal(a, b, sizeof(a));
    memset(half, 0, sizeof(half));
    assert_false(vote_keys_learn(&n.keys[0], 1, half)); /* none */
    half[0] = 1;                                        /* of low order: no key comes of it */
    assert_true(vote_keys_learn(&n.keys[0], 1, half));
    assert_false(mac(&n, 0, 1, "text", b));
    stop(&n);
}

/* What a peer said with the half before its newest can be checked still, and what is older not. */
static void
test_half_before(void **state)
{
    (void)state;
    struct nodes n;
    struct bytes said = bytes_of_text("text");
    uint8_t first[VOTE_MAC_BYTES], second[VOTE_MAC_BYTES], out[VOTE_MAC_BYTES];
    const uint8_t none[VOTE_MAC_BYTES] = {0};
    start(&n);
    meet(&n);
    struct vote_keys *keys = &n.keys[0];
    uint8_t old[X25519_BYTES];
    memcpy(old, n.keys[1].public_half, sizeof(old));
    assert_false(vote_keys_mac_before(keys, 1, said, out));
    assert_memory_equal(out, none, sizeof(out));
    assert_true(mac(&n, 0, 1, "text", first));
    assert_true(vote_keys_learn(keys, 1, n.keys[2].public_half));
    assert_true(mac(&n, 0, 1, "text", second));
    assert_true(vote_keys_mac_before(keys, 1, said, out));
    assert_memory_equal(out, first, sizeof(out));
    assert_false(vote_keys_learn(keys, 1, n.keys[2].public_half)); /* no news: nothing moves */
    assert_true(vote_keys_mac_before(keys, 1, said, out));
    assert_memory_equal(out, first, sizeof(out));
    assert_true(vote_keys_learn(keys, 1, keys->public_half));
    assert_true(vote_keys_mac_before(keys, 1, said, out));
    assert_memory_equal(out, second, sizeof(out));
    vote_keys_recall_before(keys, 1, old);
    vote_keys_recall_before(keys, 1, none_half);
    assert_true(vote_keys_mac_before(keys, 1, said, out));
    assert_memory_equal(out, first, sizeof(out));
    stop(&n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_restart_and_change),
        cmocka_unit_test(test_half_before),
    };
    assert_int_equal(crypto_init(), OK);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
