/*
 * The primitives against published vectors: Wycheproof's where the folder is there, a few from
 * RFCs and NIST always. AES-256-GCM runs three times: through gcm_*, and through wolfCrypt and
 * GnuTLS alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/aead_portable.h"
#include "crypto/gcm_long.h"
#include "crypto/secret.h"
#include "vectors.h"

struct tally {
    unsigned valid, invalid, acceptable,
        other; /* other: parameters that our interface cannot take */
};

static void
print_tally(const char *what, const struct tally *t)
{
    printf("%s: %u valid, %u invalid, %u acceptable, %u not applicable\n", what, t->valid,
           t->invalid, t->acceptable, t->other);
}

/* Calls `check` for every test of every group. */
static bool
each_test(const char *file, struct tally *tally,
          void (*check)(json_t *group, json_t *test, const char *result, struct tally *tally))
{
    json_t *root = vectors_load(file, 0);
    json_t *group, *test;
    size_t i, j;

    memset(tally, 0, sizeof(*tally));
    if (!root)
        return false;
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
        json_array_foreach(json_object_get(group, "tests"), j, test)
            check(group, test, json_string_value(json_object_get(test, "result")), tally);
    json_decref(root);
    return true;
}

typedef enum vault_err (*open_fn)(const uint8_t *key, const uint8_t *nonce, struct bytes ad,
                                  struct bytes sealed, uint8_t *out);
typedef enum vault_err (*seal_fn)(const uint8_t *key, const uint8_t *nonce, struct bytes ad,
                                  struct bytes plain, uint8_t *out);

static enum vault_err
xchacha_seal(const uint8_t *key, const uint8_t *nonce, struct bytes ad, struct bytes plain,
             uint8_t *out)
{
    aead_seal(key, nonce, ad, plain, out);
    return OK;
}

static enum vault_err
xchacha_open(const uint8_t *key, const uint8_t *nonce, struct bytes ad, struct bytes sealed,
             uint8_t *out)
{
    return aead_open(key, nonce, ad, sealed, out);
}

static enum vault_err
gcm_seal_any(const uint8_t *key, const uint8_t *nonce, struct bytes ad, struct bytes plain,
             uint8_t *out)
{
    return gcm_seal(key, nonce, ad, plain, out);
}

static enum vault_err
gcm_open_any(const uint8_t *key, const uint8_t *nonce, struct bytes ad, struct bytes sealed,
             uint8_t *out)
{
    return gcm_open(key, nonce, ad, sealed, out);
}

static enum vault_err
gcm_seal_wolf(const uint8_t *key, const uint8_t *nonce, struct bytes ad, struct bytes plain,
              uint8_t *out)
{
    return gcm_seal_portable(key, nonce, ad, plain, out);
}

static enum vault_err
gcm_open_wolf(const uint8_t *key, const uint8_t *nonce, struct bytes ad, struct bytes sealed,
              uint8_t *out)
{
    return gcm_open_portable(key, nonce, ad, sealed, out);
}

static enum vault_err
gcm_seal_gnutls(const uint8_t *key, const uint8_t *nonce, struct bytes ad, struct bytes plain,
                uint8_t *out)
{
    return gcm_long_seal(key, nonce, ad, plain, out);
}

static enum vault_err
gcm_open_gnutls(const uint8_t *key, const uint8_t *nonce, struct bytes ad, struct bytes sealed,
                uint8_t *out)
{
    return gcm_long_open(key, nonce, ad, sealed, out);
}

struct aead_vector {
    struct bytes key, nonce, ad, plain, cipher, tag;
};

static void
aead_check(const struct aead_vector *v, bool valid, seal_fn seal, open_fn open)
{
    size_t size = v->cipher.size + v->tag.size;
    uint8_t *sealed = malloc(size + 1);
    uint8_t *expected = malloc(size + 1);
    uint8_t *out = malloc(size + 1);

    assert_non_null(sealed);
    assert_non_null(expected);
    assert_non_null(out);
    memcpy(expected, v->cipher.data, v->cipher.size);
    memcpy(expected + v->cipher.size, v->tag.data, v->tag.size);
    memset(out, 0xff, size + 1);
    assert_int_equal(open(v->key.data, v->nonce.data, v->ad, bytes_of(expected, size), out),
                     valid ? OK : ERR_CORRUPT);
    assert_int_equal(out[v->cipher.size], 0xff); /* nothing written behind the plaintext */
    if (valid) {
        assert_memory_equal(out, v->plain.data, v->plain.size);
        assert_int_equal(seal(v->key.data, v->nonce.data, v->ad, v->plain, sealed), OK);
        assert_memory_equal(sealed, expected, size);
        memcpy(sealed, v->plain.data, v->plain.size); /* in place */
        assert_int_equal(
            seal(v->key.data, v->nonce.data, v->ad, bytes_of(sealed, v->plain.size), sealed), OK);
        assert_memory_equal(sealed, expected, size);
    } else {
        assert_true(v->cipher.size == 0 || sodium_is_zero(out, v->cipher.size));
    }
    for (size_t cut = 0; cut < AEAD_TAG_BYTES; cut++)
        assert_int_equal(open(v->key.data, v->nonce.data, v->ad, bytes_of(expected, cut), out),
                         ERR_CORRUPT);
    free(sealed);
    free(expected);
    free(out);
}

static void
aead_vector_close(struct aead_vector *v)
{
    bytes_free(v->key);
    bytes_free(v->nonce);
    bytes_free(v->ad);
    bytes_free(v->plain);
    bytes_free(v->cipher);
    bytes_free(v->tag);
}

static void
aead_test(json_t *test, const char *result, struct tally *tally, size_t nonce_size, seal_fn seal,
          open_fn open)
{
    struct aead_vector v = {
        .key = unhex_member(test, "key"),
        .nonce = unhex_member(test, "iv"),
        .ad = unhex_member(test, "aad"),
        .plain = unhex_member(test, "msg"),
        .cipher = unhex_member(test, "ct"),
        .tag = unhex_member(test, "tag"),
    };
    bool valid = strcmp(result, "valid") == 0;

    if (v.key.size != AEAD_KEY_BYTES || v.nonce.size != nonce_size ||
        v.tag.size != AEAD_TAG_BYTES) {
        tally->other++;
    } else {
        aead_check(&v, valid, seal, open);
        tally->valid += valid;
        tally->invalid += !valid;
        assert_string_not_equal(result, "acceptable");
    }
    aead_vector_close(&v);
}

static void
xchacha_test(json_t *group, json_t *test, const char *result, struct tally *tally)
{
    (void)group;
    aead_test(test, result, tally, AEAD_NONCE_BYTES, xchacha_seal, xchacha_open);
}

static void
gcm_test(json_t *group, json_t *test, const char *result, struct tally *tally)
{
    (void)group;
    aead_test(test, result, tally, GCM_NONCE_BYTES, gcm_seal_any, gcm_open_any);
}

static void
gcm_wolf_test(json_t *group, json_t *test, const char *result, struct tally *tally)
{
    (void)group;
    aead_test(test, result, tally, GCM_NONCE_BYTES, gcm_seal_wolf, gcm_open_wolf);
}

static void
gcm_gnutls_test(json_t *group, json_t *test, const char *result, struct tally *tally)
{
    (void)group;
    aead_test(test, result, tally, GCM_NONCE_BYTES, gcm_seal_gnutls, gcm_open_gnutls);
}

static void
wycheproof_xchacha(void **state)
{
    struct tally t;

    (void)state;
    if (!each_test("wycheproof/xchacha20_poly1305_test.json", &t, xchacha_test))
        return;
    print_tally("XChaCha20-Poly1305", &t);
    assert_true(t.valid > 200);
    assert_true(t.invalid > 20);
}

static void
wycheproof_gcm(void **state)
{
    struct tally t;

    (void)state;
    if (!each_test("wycheproof/aes_gcm_test.json", &t, gcm_test))
        return;
    print_tally(crypto_aead_aes256gcm_is_available() ? "AES-256-GCM (libsodium)"
                                                     : "AES-256-GCM (no AES instructions here)",
                &t);
    assert_true(t.valid > 20);
    assert_true(t.invalid > 10);
    assert_true(each_test("wycheproof/aes_gcm_test.json", &t, gcm_wolf_test));
    print_tally("AES-256-GCM (wolfCrypt)", &t);
    assert_true(t.valid > 20);
    assert_true(t.invalid > 10);
    assert_true(each_test("wycheproof/aes_gcm_test.json", &t, gcm_gnutls_test));
    print_tally("AES-256-GCM (GnuTLS)", &t);
    assert_true(t.valid > 20);
    assert_true(t.invalid > 10);
}

static void
aead_built_in_case(const char *const hex[6], seal_fn seal, open_fn open)
{
    struct aead_vector v = {
        .key = unhex(hex[0]),
        .nonce = unhex(hex[1]),
        .ad = unhex(hex[2]),
        .plain = unhex(hex[3]),
        .cipher = unhex(hex[4]),
        .tag = unhex(hex[5]),
    };

    aead_check(&v, true, seal, open);
    ((uint8_t *)(uintptr_t)v.tag.data)[15] ^= 1;
    aead_check(&v, false, seal, open);
    aead_vector_close(&v);
}

/* draft-irtf-cfrg-xchacha, A.3.1; the GCM specification's test cases 13, 14 and 16. */
static void
aead_built_in(void **state)
{
    static const char *const xchacha[6] = {
        "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        "404142434445464748494a4b4c4d4e4f5051525354555657",
        "50515253c0c1c2c3c4c5c6c7",
        "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
        "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
        "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
        "637265656e20776f756c642062652069742e",
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
        "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
        "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52e",
        "c0875924c1c7987947deafd8780acf49",
    };
    static const char *const gcm[3][6] = {
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "000000000000000000000000", "", "00000000000000000000000000000000",
         "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
        {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
         "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
         "76fc6ece0f4e1768cddf8853bb2d551b"},
    };

    (void)state;
    aead_built_in_case(xchacha, xchacha_seal, xchacha_open);
    for (unsigned i = 0; i < 3; i++) {
        aead_built_in_case(gcm[i], gcm_seal_any, gcm_open_any);
        aead_built_in_case(gcm[i], gcm_seal_wolf, gcm_open_wolf);
        aead_built_in_case(gcm[i], gcm_seal_gnutls, gcm_open_gnutls);
    }
}

/*
 * libsodium refuses an agreement that is all zero, which is what we want of it: the cases with one
 * are "acceptable" for an implementation that does not look.
 */
static void
x25519_test(json_t *group, json_t *test, const char *result, struct tally *tally)
{
    struct bytes public_half = unhex_member(test, "public");
    struct bytes private_half = unhex_member(test, "private");
    struct bytes shared = unhex_member(test, "shared");
    bool zero = sodium_is_zero(shared.data, shared.size) == 1;
    uint8_t out[crypto_scalarmult_curve25519_BYTES];
    int rc;

    (void)group;
    assert_int_equal(public_half.size, 32);
    assert_int_equal(private_half.size, 32);
    rc = crypto_scalarmult_curve25519(out, private_half.data, public_half.data);
    assert_int_equal(rc, zero ? -1 : 0);
    if (!zero)
        assert_memory_equal(out, shared.data, 32);
    if (strcmp(result, "valid") == 0) {
        assert_false(zero);
        tally->valid++;
    } else {
        assert_string_equal(result, "acceptable");
        tally->acceptable++;
    }
    bytes_free(public_half);
    bytes_free(private_half);
    bytes_free(shared);
}

static void
wycheproof_x25519(void **state)
{
    struct tally t;

    (void)state;
    if (!each_test("wycheproof/x25519_test.json", &t, x25519_test))
        return;
    print_tally("X25519", &t);
    assert_true(t.valid > 200);
    assert_true(t.acceptable > 50);
}

/* RFC 7748, 5.2 */
static void
x25519_built_in(void **state)
{
    struct bytes scalar = unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    struct bytes point = unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    struct bytes shared = unhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    uint8_t out[32];

    (void)state;
    assert_int_equal(crypto_scalarmult_curve25519(out, scalar.data, point.data), 0);
    assert_memory_equal(out, shared.data, 32);
    bytes_free(scalar);
    bytes_free(point);
    bytes_free(shared);
}

static void
hkdf_check(const struct bytes *ikm, const struct bytes *salt, const struct bytes *info,
           const struct bytes *okm, size_t size, bool valid)
{
    uint8_t *out = calloc(1, size + 1);
    uint8_t prk[KEY_BYTES];

    assert_non_null(out);
    assert_int_equal(hkdf_sha256(*ikm, *salt, *info, out, size), valid ? OK : ERR_RANGE);
    if (valid)
        assert_memory_equal(out, okm->data, okm->size);
    memset(out, 0, size);
    assert_int_equal(hkdf_sha256_extract(*ikm, *salt, prk), OK);
    assert_int_equal(hkdf_sha256_expand(prk, *info, out, size), valid ? OK : ERR_RANGE);
    if (valid)
        assert_memory_equal(out, okm->data, okm->size);
    free(out);
}

static void
hkdf_test(json_t *group, json_t *test, const char *result, struct tally *tally)
{
    struct bytes ikm = unhex_member(test, "ikm");
    struct bytes salt = unhex_member(test, "salt");
    struct bytes info = unhex_member(test, "info");
    struct bytes okm = unhex_member(test, "okm");
    bool valid = strcmp(result, "valid") == 0;

    (void)group;
    hkdf_check(&ikm, &salt, &info, &okm, (size_t)json_integer_value(json_object_get(test, "size")),
               valid);
    tally->valid += valid;
    tally->invalid += !valid;
    bytes_free(ikm);
    bytes_free(salt);
    bytes_free(info);
    bytes_free(okm);
}

static void
wycheproof_hkdf(void **state)
{
    struct tally t;

    (void)state;
    if (!each_test("wycheproof/hkdf_sha256_test.json", &t, hkdf_test))
        return;
    print_tally("HKDF-SHA-256", &t);
    assert_true(t.valid > 50);
    assert_true(t.invalid >= 1);
}

/* RFC 5869, A.1 and A.3. */
static void
hkdf_built_in(void **state)
{
    static const char *const cases[2][4] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
         "f0f1f2f3f4f5f6f7f8f9",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct bytes v[4];

        for (unsigned j = 0; j < 4; j++)
            v[j] = unhex(cases[i][j]);
        hkdf_check(&v[0], &v[1], &v[2], &v[3], v[3].size, true);
        for (unsigned j = 0; j < 4; j++)
            bytes_free(v[j]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aead_built_in),     cmocka_unit_test(wycheproof_xchacha),
        cmocka_unit_test(wycheproof_gcm),    cmocka_unit_test(x25519_built_in),
        cmocka_unit_test(wycheproof_x25519), cmocka_unit_test(hkdf_built_in),
        cmocka_unit_test(wycheproof_hkdf),
    };

    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
