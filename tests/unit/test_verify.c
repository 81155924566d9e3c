/*
 * Signatures of others against Wycheproof's vectors, where OSTRAKA_VECTORS has them, and a few
 * that are built in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/secret.h"
#include "crypto/verify.h"
#include "vectors.h"

/* Without the zero that DER puts before a number whose first bit is set. */
static struct bytes
unsigned_number(struct bytes number)
{
    while (number.size > 0 && number.data[0] == 0)
        number = bytes_of(number.data + 1, number.size - 1);
    return number;
}

/* Key of a group; *memory and *more are to be freed. */
static struct public_key
group_key(const json_t *group, enum signature_kind kind, struct bytes *memory, struct bytes *more)
{
    const json_t *object = json_object_get(group, "publicKey");
    struct public_key key = {.kind = kind};

    *more = (struct bytes){0};
    if (kind == SIGNATURE_ED25519) {
        *memory = unhex_member(object, "pk");
        key.key = *memory;
    } else if (kind == SIGNATURE_P256) {
        *memory = unhex_member(object, "uncompressed");
        key.key = bytes_of(memory->data + 1, memory->size - 1);
    } else {
        *memory = unhex_member(object, "modulus");
        *more = unhex_member(object, "publicExponent");
        key.key = unsigned_number(*memory);
        key.exponent = unsigned_number(*more);
    }
    return key;
}

static void
run_group(const json_t *group, enum signature_kind kind, unsigned counts[static 2])
{
    struct bytes memory, more;
    struct public_key key = group_key(group, kind, &memory, &more);
    const json_t *tests = json_object_get(group, "tests"), *test;
    bool usable = public_key_valid(&key);
    size_t i;

    json_array_foreach(tests, i, test)
    {
        const char *result = json_string_value(json_object_get(test, "result"));
        struct bytes message = unhex_member(test, "msg"), signature = unhex_member(test, "sig");
        bool verified = signature_verify(&key, message, signature);

        if (strcmp(result, "valid") == 0 && usable && !verified)
            fail_msg("%lld: refused", json_integer_value(json_object_get(test, "tcId")));
        if ((strcmp(result, "invalid") == 0 || !usable) && verified)
            fail_msg("%lld: accepted", json_integer_value(json_object_get(test, "tcId")));
        counts[verified]++;
        bytes_free(message);
        bytes_free(signature);
    }
    bytes_free(memory);
    bytes_free(more);
}

static void
run_file(const char *file, enum signature_kind kind)
{
    json_t *root = vectors_load(file, 0);
    const json_t *groups = json_object_get(root, "testGroups"), *group;
    unsigned counts[2] = {0};
    size_t i;

    if (!root)
        return;
    json_array_foreach(groups, i, group) run_group(group, kind, counts);
    printf("%s: %u accepted, %u refused\n", file, counts[1], counts[0]);
    assert_true(counts[0] > 0);
    assert_true(counts[1] > 0);
    json_decref(root);
}

static void
published(void **state)
{
    (void)state;
    run_file("wycheproof/ed25519_test.json", SIGNATURE_ED25519);
    run_file("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json", SIGNATURE_P256);
    run_file("wycheproof/rsa_signature_2048_sha256_test.json", SIGNATURE_RSA);
    run_file("wycheproof/rsa_pss_2048_sha256_mgf1_32_test.json", SIGNATURE_RSA_PSS);
}

/* RFC 8032, section 7.1, test 2. */
static void
ed25519(void **state)
{
    struct bytes key = unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    struct bytes signature =
        unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
              "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    struct public_key public = {.kind = SIGNATURE_ED25519, .key = key};
    uint8_t small[ED25519_KEY_BYTES] = {1};

    (void)state;
    assert_true(public_key_valid(&public));
    assert_true(signature_verify(&public, bytes_of("\x72", 1), signature));
    assert_false(signature_verify(&public, bytes_of("\x73", 1), signature));
    assert_false(signature_verify(&public, bytes_of("\x72", 1), bytes_of(signature.data, 63)));
    public.key = bytes_of(small, sizeof small); /* of order 1 */
    assert_false(public_key_valid(&public));
    public.key = bytes_of(key.data, 31);
    assert_false(public_key_valid(&public));
    bytes_free(key);
    bytes_free(signature);
}

static void
weak_keys(void **state)
{
    static const uint8_t good_exponent[] = {1, 0, 1}, three[] = {3}, even[] = {1, 0, 2};
    uint8_t modulus[RSA_MODULUS_BYTES_MAX + 1] = {0}, point[P256_KEY_BYTES] = {1};
    struct public_key key = {.kind = SIGNATURE_RSA,
                             .key = bytes_of(modulus, RSA_MODULUS_BYTES_MIN),
                             .exponent = bytes_of(good_exponent, sizeof good_exponent)};

    (void)state;
    memset(modulus, 0xff, sizeof modulus);
    assert_true(public_key_valid(&key));
    key.key.size = RSA_MODULUS_BYTES_MIN - 1;
    assert_false(public_key_valid(&key));
    key.key.size = sizeof modulus;
    assert_false(public_key_valid(&key));
    key.key.size = RSA_MODULUS_BYTES_MIN;
    key.exponent = bytes_of(three, sizeof three);
    assert_false(public_key_valid(&key));
    key.exponent = bytes_of(even, sizeof even);
    assert_false(public_key_valid(&key));
    key.exponent = bytes_of(good_exponent, sizeof good_exponent);
    modulus[0] = 0x7f; /* 2047 bits */
    assert_false(public_key_valid(&key));
    modulus[0] = 0xff;
    modulus[RSA_MODULUS_BYTES_MIN - 1] = 0xfe;
    assert_false(public_key_valid(&key));
    key = (struct public_key){.kind = SIGNATURE_P256, .key = bytes_of(point, sizeof point)};
    assert_false(public_key_valid(&key));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),
        cmocka_unit_test(ed25519),
        cmocka_unit_test(weak_keys),
    };

    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
