/* The HELLO between nodes: what is written is read back, and nothing else is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cbor.h"
#include "runtime/link_internal.h"

static struct link_hello
sample(void)
{
    struct link_hello hello = {
        .protocol = LINK_PROTOCOL, .node = 3, .incarnation = 1u << 20, .boot = UINT64_MAX};

    memset(hello.cluster_id, 0xc1, sizeof(hello.cluster_id));
    memset(hello.config_hash, 0xcf, sizeof(hello.config_hash));
    memset(hello.store_id, 0x57, sizeof(hello.store_id));
    memset(hello.signing.key, 0x5e, sizeof(hello.signing.key));
    memset(hello.signing.proof, 0x60, 72);
    hello.signing.proof_size = 72;
    return hello;
}

static struct link_hello
sealed_sample(void)
{
    struct link_hello hello = sample();

    hello.sealed = true;
    memset(hello.seal, 0x5a, sizeof(hello.seal));
    return hello;
}

static struct link_hello
full_sample(void)
{
    struct link_hello hello = sealed_sample();

    hello.tells_token = true;
    memset(hello.token_mark, 0x70, sizeof(hello.token_mark));
    return hello;
}

static void
assert_same(const struct link_hello *a, const struct link_hello *b)
{
    assert_int_equal(a->protocol, b->protocol);
    assert_memory_equal(a->cluster_id, b->cluster_id, sizeof(a->cluster_id));
    assert_memory_equal(a->config_hash, b->config_hash, sizeof(a->config_hash));
    assert_int_equal(a->node, b->node);
    assert_memory_equal(a->store_id, b->store_id, sizeof(a->store_id));
    assert_int_equal(a->incarnation, b->incarnation);
    assert_true(a->boot == b->boot);
    assert_memory_equal(&a->signing, &b->signing, sizeof(a->signing));
    assert_int_equal(a->sealed, b->sealed);
    assert_memory_equal(a->seal, b->seal, sizeof(a->seal));
    assert_int_equal(a->tells_token, b->tells_token);
    assert_memory_equal(a->token_mark, b->token_mark, sizeof(a->token_mark));
}

static void
assert_zeroed(const struct link_hello *hello)
{
    static const struct link_hello empty;

    assert_same(hello, &empty);
}

static void
test_round_trip(void **state)
{
    struct link_hello hello = sample(), back;
    struct buf encoded = {0};

    (void)state;
    assert_int_equal(link_hello_encode(&hello, &encoded), OK);
    assert_true(encoded.size < LINK_HELLO_BYTES_MAX);
    assert_int_equal(encoded.data[0], 0xa9);
    assert_int_equal(link_hello_decode(buf_bytes(&encoded), &back), OK);
    assert_same(&hello, &back);
    buf_close(&encoded);

    /* Without a master key it is what a program says that does not know of the tenth key. */
    hello = sealed_sample();
    assert_int_equal(link_hello_encode(&hello, &encoded), OK);
    assert_true(encoded.size < LINK_HELLO_BYTES_MAX);
    assert_int_equal(encoded.data[0], 0xaa);
    assert_int_equal(link_hello_decode(buf_bytes(&encoded), &back), OK);
    assert_same(&hello, &back);
    buf_close(&encoded);

    hello = full_sample();
    assert_int_equal(link_hello_encode(&hello, &encoded), OK);
    assert_true(encoded.size < LINK_HELLO_BYTES_MAX);
    assert_int_equal(encoded.data[0], 0xab);
    assert_int_equal(link_hello_decode(buf_bytes(&encoded), &back), OK);
    assert_same(&hello, &back);
    buf_close(&encoded);

    hello.sealed = false;
    memset(hello.seal, 0, sizeof(hello.seal));
    assert_int_equal(link_hello_encode(&hello, &encoded), OK);
    assert_int_equal(encoded.data[0], 0xaa);
    assert_int_equal(link_hello_decode(buf_bytes(&encoded), &back), OK);
    assert_same(&hello, &back);
    buf_close(&encoded);
}

/* What stands behind the fields that all have stands there once, in order. */
static void
test_more_keys(void **state)
{
    struct link_hello hello = full_sample(), back;
    struct buf encoded = {0}, other = {0};
    enum { MORE = 2 * (1 + 2 + HASH_BYTES) }; /* key, head of the bytes, bytes */

    (void)state;
    assert_int_equal(link_hello_encode(&hello, &encoded), OK);
    struct bytes seal = bytes_of(encoded.data + encoded.size - MORE, MORE / 2);
    struct bytes token = bytes_of(encoded.data + encoded.size - MORE / 2, MORE / 2);
    const struct bytes orders[][2] = {{token, seal}, {seal, seal}, {token, token}};

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        assert_int_equal(buf_append(&other, bytes_of(encoded.data, encoded.size - MORE)), OK);
        assert_int_equal(buf_append(&other, orders[i][0]), OK);
        assert_int_equal(buf_append(&other, orders[i][1]), OK);
        assert_int_equal(link_hello_decode(buf_bytes(&other), &back), ERR_MALFORMED);
        assert_zeroed(&back);
        buf_close(&other);
    }
    buf_close(&encoded);
}

static void
test_every_cut_is_refused(void **state)
{
    struct link_hello hello = full_sample(), back;
    struct buf encoded = {0};
    size_t size;

    (void)state;
    assert_int_equal(link_hello_encode(&hello, &encoded), OK);
    for (size = 0; size < encoded.size; size++) {
        assert_int_equal(link_hello_decode(bytes_of(encoded.data, size), &back), ERR_MALFORMED);
        assert_zeroed(&back);
    }
    assert_int_equal(buf_append_text(&encoded, "x"), OK);
    assert_int_equal(link_hello_decode(buf_bytes(&encoded), &back), ERR_MALFORMED);
    buf_close(&encoded);
}

/* A flipped bit either is refused or changes the value: two encodings never mean the same. */
static void
test_every_flip_matters(void **state)
{
    struct link_hello hello = full_sample();
    struct buf encoded = {0};
    size_t bit;

    (void)state;
    assert_int_equal(link_hello_encode(&hello, &encoded), OK);
    for (bit = 0; bit < encoded.size * 8; bit++) {
        struct link_hello back;
        struct buf again = {0};

        encoded.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (link_hello_decode(buf_bytes(&encoded), &back) == OK) {
            assert_int_equal(link_hello_encode(&back, &again), OK);
            assert_true(bytes_equal(buf_bytes(&again), buf_bytes(&encoded)));
        }
        buf_close(&again);
        encoded.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_close(&encoded);
}

static void
test_other_versions_are_named(void **state)
{
    struct cbor_writer w;
    struct buf encoded = {0};
    struct link_hello back;

    (void)state;
    cbor_writer_init(&w, &encoded);
    cbor_put_map(&w, 2);
    cbor_put_uint(&w, 0);
    cbor_put_uint(&w, LINK_PROTOCOL + 1);
    cbor_put_uint(&w, 9);
    cbor_put_text(&w, bytes_of_text("of a later version"));
    assert_int_equal(w.err, OK);
    assert_int_equal(link_hello_decode(buf_bytes(&encoded), &back), ERR_UNEXPECTED);
    assert_int_equal(back.protocol, LINK_PROTOCOL + 1);
    buf_close(&encoded);
}

static void
test_wrong_keys_and_sizes(void **state)
{
    /* {0: 3}, {1: 1}, [0, 1], {0: 3, 1: h''}, a bare integer */
    static const struct {
        uint8_t data[8];
        size_t size;
    } cases[] = {
        {{0xa1, 0x00, LINK_PROTOCOL}, 3},
        {{0xa1, 0x01, 0x01}, 3},
        {{0x82, 0x00, 0x01}, 3},
        {{0xa2, 0x00, LINK_PROTOCOL, 0x01, 0x40}, 5},
        {{0x01}, 1},
    };
    uint8_t large[LINK_HELLO_BYTES_MAX + 1] = {0};
    struct link_hello back;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(link_hello_decode(bytes_of(cases[i].data, cases[i].size), &back),
                         ERR_MALFORMED);
        assert_zeroed(&back);
    }
    assert_int_equal(link_hello_decode(bytes_of(large, sizeof(large)), &back), ERR_MALFORMED);
}

static void
test_check_names_the_difference(void **state)
{
    struct link_hello ours = sample(), theirs = sample();

    (void)state;
    ours.node = 0;
    assert_int_equal(link_hello_check(&ours, &theirs, 3), LINK_FAULT_NONE);
    assert_int_equal(link_hello_check(&ours, &theirs, 2), LINK_FAULT_NODE);
    theirs.config_hash[HASH_BYTES - 1] ^= 1;
    assert_int_equal(link_hello_check(&ours, &theirs, 3), LINK_FAULT_CONFIG);
    theirs.cluster_id[0] ^= 1;
    assert_int_equal(link_hello_check(&ours, &theirs, 3), LINK_FAULT_CLUSTER);
    theirs.protocol++;
    assert_int_equal(link_hello_check(&ours, &theirs, 3), LINK_FAULT_PROTOCOL);
    assert_true(link_fault_is_mismatch(LINK_FAULT_CONFIG));
    assert_false(link_fault_is_mismatch(LINK_FAULT_NODE));
}

/* A node without the master key, or with another, must not be taken for one that has it. */
static void
test_the_seal_must_be_the_same(void **state)
{
    struct link_hello sealed = sealed_sample(), unsealed = sample(), other = sealed_sample();

    (void)state;
    assert_int_equal(link_hello_check(&sealed, &sealed, 3), LINK_FAULT_NONE);
    assert_int_equal(link_hello_check(&unsealed, &unsealed, 3), LINK_FAULT_NONE);
    assert_int_equal(link_hello_check(&sealed, &unsealed, 3), LINK_FAULT_SEAL);
    assert_int_equal(link_hello_check(&unsealed, &sealed, 3), LINK_FAULT_SEAL);
    other.seal[HASH_BYTES - 1] ^= 1;
    assert_int_equal(link_hello_check(&sealed, &other, 3), LINK_FAULT_SEAL);
    assert_true(link_fault_is_mismatch(LINK_FAULT_SEAL));
    assert_string_equal(link_fault_text(LINK_FAULT_SEAL),
                        "cluster.conf differs: seal or master key check");
    other.config_hash[0] ^= 1;
    assert_int_equal(link_hello_check(&sealed, &other, 3), LINK_FAULT_CONFIG);
}

/* What a HELLO says is the type and the check value, and nothing when there is no master key. */
static void
test_seal_hash(void **state)
{
    static const uint8_t zero[HASH_BYTES];
    struct cluster cluster = {.seal = SEAL_NONE};
    uint8_t one[HASH_BYTES], two[HASH_BYTES];

    (void)state;
    assert_false(cluster_seal_hash(&cluster, one));
    assert_memory_equal(one, zero, HASH_BYTES);
    cluster.seal = SEAL_FILE;
    assert_true(cluster_seal_hash(&cluster, one));
    cluster.master_key_check[0] ^= 1;
    assert_true(cluster_seal_hash(&cluster, two));
    assert_memory_not_equal(one, zero, HASH_BYTES);
    assert_memory_not_equal(one, two, HASH_BYTES);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_more_keys),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_every_flip_matters),
        cmocka_unit_test(test_other_versions_are_named),
        cmocka_unit_test(test_wrong_keys_and_sizes),
        cmocka_unit_test(test_check_names_the_difference),
        cmocka_unit_test(test_the_seal_must_be_the_same),
        cmocka_unit_test(test_seal_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
