/* Signing keys: derived, proven by a certificate, kept; a signature binds its use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/rows.h"
#include "runtime/node_signing.h"
#include "tls_fixture.h"

static const uint8_t cluster_id[CLUSTER_ID_BYTES] = {1, 2, 3};

static struct secret_arena *
open_arena(void)
{
    struct secret_arena *arena;

    assert_int_equal(crypto_init(), OK);
    assert_int_equal(secret_arena_new(8, &arena), OK);
    secret_arena_open(arena);
    return arena;
}

static void
close_arena(struct secret_arena *arena)
{
    secret_arena_close(arena);
    secret_arena_free(arena);
}

/* RFC 8032, 7.1, test 1: the public half of a seed. */
static void
test_public_half_of_a_seed(void **state)
{
    struct secret_arena *arena = open_arena();
    struct signing_key key;
    uint8_t seed[SIGNING_SEED_BYTES], expected[SIGNING_PUBLIC_BYTES];

    (void)state;
    assert_int_equal(
        hex_decode(
            bytes_of_text("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"), seed,
            sizeof(seed)),
        OK);
    assert_int_equal(
        hex_decode(
            bytes_of_text("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
            expected, sizeof(expected)),
        OK);
    assert_int_equal(signing_key_init(&key, arena, seed), OK);
    assert_memory_equal(key.public_half.key, expected, sizeof(expected));
    signing_key_close(&key, arena);
    close_arena(arena);
}

static void
test_signatures(void **state)
{
    struct secret_arena *arena = open_arena();
    const uint8_t seed[SIGNING_SEED_BYTES] = {7};
    struct bytes parts[] = {bytes_of_text("ab"), bytes_of_text("c")};
    const struct bytes shifted[] = {bytes_of_text("a"), bytes_of_text("bc")};
    uint8_t signature[SIGNATURE_BYTES];
    struct signing_keys keys = {0};
    struct signing_key key;

    (void)state;
    assert_int_equal(signing_key_init(&key, arena, seed), OK);
    signing_sign(&key, "use", parts, 2, signature);
    assert_int_equal(signing_verify(key.public_half.key, "use", parts, 2, signature), OK);
    assert_int_equal(signing_verify(key.public_half.key, "other", parts, 2, signature),
                     ERR_CORRUPT);
    assert_int_equal(signing_verify(key.public_half.key, "use", shifted, 2, signature),
                     ERR_CORRUPT);
    assert_int_equal(signing_verify(key.public_half.key, "use", parts, 1, signature), ERR_CORRUPT);
    assert_int_equal(signing_verify_any(&keys, "use", parts, 2, signature), ERR_CORRUPT);
    assert_true(signing_keys_learn(&keys, &key.public_half));
    assert_int_equal(signing_verify_any(&keys, "use", parts, 2, signature), OK);
    for (unsigned bit = 0; bit < SIGNATURE_BYTES * 8; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(signing_verify(key.public_half.key, "use", parts, 2, signature),
                         ERR_CORRUPT);
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    signing_key_close(&key, arena);
    close_arena(arena);
}

/* Another node, another cluster, another certificate key: another signing key. */
static void
test_seeds_differ(void **state)
{
    uint8_t other_cluster[CLUSTER_ID_BYTES] = {1, 2, 4};
    uint8_t seeds[4][SIGNING_SEED_BYTES];

    (void)state;
    assert_int_equal(
        signing_seed_derive(bytes_of_text("key"), cluster_id, bytes_of_text("a"), seeds[0]), OK);
    assert_int_equal(
        signing_seed_derive(bytes_of_text("key"), cluster_id, bytes_of_text("b"), seeds[1]), OK);
    assert_int_equal(
        signing_seed_derive(bytes_of_text("key"), other_cluster, bytes_of_text("a"), seeds[2]), OK);
    assert_int_equal(
        signing_seed_derive(bytes_of_text("kez"), cluster_id, bytes_of_text("a"), seeds[3]), OK);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < i; j++)
            assert_memory_not_equal(seeds[i], seeds[j], SIGNING_SEED_BYTES);
    }
    assert_int_equal(
        signing_seed_derive((struct bytes){0}, cluster_id, bytes_of_text("a"), seeds[0]),
        ERR_RANGE);
}

static struct signing_public
numbered(uint8_t number)
{
    struct signing_public key = {.key = {number}, .proof = {number, 1}, .proof_size = 2};
    return key;
}

static void
test_keys_are_kept(void **state)
{
    struct signing_keys keys = {0}, back;
    struct buf encoded = {0};

    (void)state;
    for (uint8_t i = 1; i <= (uint8_t)(SIGNING_KEYS_KEPT + 2); i++) {
        struct signing_public key = numbered(i);
        assert_true(signing_keys_learn(&keys, &key));
        assert_false(signing_keys_learn(&keys, &key));
        assert_int_equal(keys.list[0].key[0], i);
        assert_int_equal(signing_row_encode(&keys, &encoded), OK);
        assert_int_equal(signing_row_decode(buf_bytes(&encoded), &back), OK);
        assert_memory_equal(&keys, &back, sizeof(keys));
        for (size_t size = 0; size < encoded.size; size++)
            assert_int_equal(signing_row_decode(bytes_of(encoded.data, size), &back), ERR_CORRUPT);
        buf_close(&encoded);
    }
    struct signing_public again = numbered(4), none = {0};
    assert_true(signing_keys_learn(&keys, &again)); /* an older one is used again: in front */
    assert_int_equal(keys.list[0].key[0], 4);
    assert_int_equal(keys.list[1].key[0], 6);
    assert_int_equal(keys.list[3].key[0], 3);
    assert_false(signing_keys_learn(&keys, &none));
}

/* ---- the bond with a certificate ---- */

static void
read_der(const char *name, struct buf *out)
{
    char path[64], commands[256];
    uint8_t space[4096];

    snprintf(path, sizeof(path), "%s.der", name);
    snprintf(commands, sizeof(commands), "openssl x509 -in %s.crt -outform DER -out %s.der", name,
             name);
    fixture_run(commands);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(space, 1, sizeof(space), file);
    fclose(file);
    assert_int_equal(buf_append(out, bytes_of(space, size)), OK);
}

static void
check_bond(const char *name, const char *new_key)
{
    struct secret_arena *arena = open_arena();
    struct signing_key key, again;
    struct signing_public bad;
    struct buf certificate = {0};
    char commands[512], path[64], why[256];

    snprintf(commands, sizeof(commands),
             "openssl req -x509 %s -nodes -days 2 -keyout %s.key -out %s.crt -subj /CN=%s", new_key,
             name, name, name);
    fixture_run(commands);
    snprintf(path, sizeof(path), "%s.key", name);
    read_der(name, &certificate);
    assert_int_equal(node_signing_load(path, cluster_id, "n1", arena, &key, why, sizeof(why)), OK);
    assert_int_equal(node_signing_load(path, cluster_id, "n1", arena, &again, why, sizeof(why)),
                     OK);
    assert_memory_equal(key.public_half.key, again.public_half.key, SIGNING_PUBLIC_BYTES);
    struct bytes der = buf_bytes(&certificate);
    assert_int_equal(node_signing_verify(der, cluster_id, "n1", &key.public_half), OK);
    assert_int_equal(node_signing_verify(der, cluster_id, "n2", &key.public_half), ERR_FORBIDDEN);
    assert_int_equal(node_signing_verify((struct bytes){0}, cluster_id, "n1", &key.public_half),
                     ERR_FORBIDDEN);
    bad = key.public_half;
    bad.key[31] ^= 0x40;
    assert_int_equal(node_signing_verify(der, cluster_id, "n1", &bad), ERR_FORBIDDEN);
    bad = key.public_half;
    bad.proof[bad.proof_size / 2] ^= 1;
    assert_int_equal(node_signing_verify(der, cluster_id, "n1", &bad), ERR_FORBIDDEN);
    bad = key.public_half;
    bad.proof_size = 0;
    assert_int_equal(node_signing_verify(der, cluster_id, "n1", &bad), ERR_FORBIDDEN);
    buf_close(&certificate);
    signing_key_close(&key, arena);
    signing_key_close(&again, arena);
    close_arena(arena);
}

static void
test_certificates_of_all_kinds(void **state)
{
    struct tls_fixture fixture;

    (void)state;
    fixture_new(&fixture);
    check_bond("p256", "-newkey ec -pkeyopt ec_paramgen_curve:P-256");
    check_bond("p384", "-newkey ec -pkeyopt ec_paramgen_curve:P-384");
    check_bond("ed", "-newkey ed25519");
    check_bond("rsa", "-newkey rsa:2048");
    fixture_free(&fixture);
}

static void
test_unusable_files(void **state)
{
    struct secret_arena *arena = open_arena();
    struct tls_fixture fixture;
    struct signing_key key;
    char why[256] = "";

    (void)state;
    fixture_new(&fixture);
    fixture_run("echo nothing >bad.key");
    assert_int_equal(node_signing_load("bad.key", cluster_id, "n1", arena, &key, why, sizeof(why)),
                     ERR_CONFIG);
    assert_non_null(strstr(why, "bad.key"));
    assert_int_equal(node_signing_load("none.key", cluster_id, "n1", arena, &key, why, sizeof(why)),
                     ERR_CONFIG);
    assert_null(key.seed.data);
    fixture_free(&fixture);
    close_arena(arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_half_of_a_seed),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_keys_are_kept),
        cmocka_unit_test(test_certificates_of_all_kinds),
        cmocka_unit_test(test_unusable_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
