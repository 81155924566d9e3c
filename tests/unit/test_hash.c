/* Hashes, HKDF, hex, the sources of randomness, and what the storage key gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/limits.h"
#include "crypto/rng_kernel.h"
#include "crypto/storage_key.h"
#include "vectors.h"

static void
expect_hex(const uint8_t *data, size_t size, const char *expected)
{
    char text[256];

    assert_true(2 * size < sizeof(text));
    hex_encode(bytes_of(data, size), text);
    assert_string_equal(text, expected);
}

static void
hashes_known_inputs(void **state)
{
    uint8_t hash[HASH_BYTES];

    (void)state;
    hash_bytes(bytes_of_text("abc"), hash);
    expect_hex(hash, HASH_BYTES,
               "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    hash_bytes(bytes_of(NULL, 0), hash);
    expect_hex(hash, HASH_BYTES,
               "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

/* The framing, spelt out: lengths of eight bytes in front of each part. */
static void
parts_are_framed(void **state)
{
    const struct bytes parts[] = {bytes_of_text("ab"), bytes_of(NULL, 0), bytes_of_text("c")};
    const struct bytes shifted[] = {bytes_of_text("a"), bytes_of(NULL, 0), bytes_of_text("bc")};
    static const uint8_t framed[] = "\0\0\0\0\0\0\0\2ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1c";
    uint8_t key[KEY_BYTES] = {1};
    uint8_t expected[HASH_BYTES], found[HASH_BYTES], other[HASH_BYTES];

    (void)state;
    hash_bytes(bytes_of(framed, sizeof(framed) - 1), expected);
    hash_parts(parts, 3, found);
    assert_memory_equal(found, expected, HASH_BYTES);
    hash_parts(shifted, 3, other);
    assert_memory_not_equal(other, expected, HASH_BYTES);

    mac_parts(key, parts, 3, found);
    assert_int_equal(
        crypto_generichash(expected, HASH_BYTES, framed, sizeof(framed) - 1, key, KEY_BYTES), 0);
    assert_memory_equal(found, expected, HASH_BYTES);
    key[0] = 2;
    mac_parts(key, parts, 3, other);
    assert_memory_not_equal(other, expected, HASH_BYTES);
    hash_parts(NULL, 0, found);
    hash_bytes(bytes_of(NULL, 0), expected);
    assert_memory_equal(found, expected, HASH_BYTES);
}

/* Few bytes are gathered and hashed in one call, more in several: the frames are the same. */
static void
frames_of_any_size(void **state)
{
    uint8_t framed[1024] = {0}, data[600], expected[HASH_BYTES], found[HASH_BYTES];

    (void)state;
    memset(data, 'x', sizeof(data));
    for (size_t size = 0; size <= sizeof(data); size++) {
        const struct bytes parts[] = {bytes_of(data, 3), bytes_of(data, size)};
        framed[7] = 3;
        memcpy(framed + 8, data, 3);
        framed[17] = (uint8_t)(size >> 8);
        framed[18] = (uint8_t)size;
        memcpy(framed + 19, data, size);
        hash_bytes(bytes_of(framed, 19 + size), expected);
        hash_parts(parts, 2, found);
        assert_memory_equal(found, expected, HASH_BYTES);
    }
}

static void
hkdf_has_limits(void **state)
{
    static uint8_t out[255 * 32 + 1];
    struct bytes ikm = bytes_of_text("key");

    (void)state;
    assert_int_equal(hkdf_sha256(ikm, bytes_of(NULL, 0), bytes_of(NULL, 0), out, 0), ERR_RANGE);
    assert_int_equal(hkdf_sha256(ikm, bytes_of(NULL, 0), bytes_of(NULL, 0), out, sizeof(out)),
                     ERR_RANGE);
    assert_int_equal(hkdf_sha256(ikm, bytes_of(NULL, 0), bytes_of(NULL, 0), out, sizeof(out) - 1),
                     OK);
    assert_int_equal(out[sizeof(out) - 1], 0);
}

static void
hex_both_ways(void **state)
{
    uint8_t all[256], back[256];
    char text[513];

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    hex_encode(bytes_of(all, 256), text);
    assert_int_equal(strlen(text), 512);
    assert_int_equal(hex_decode(bytes_of_text(text), back, 256), OK);
    assert_memory_equal(all, back, 256);
    assert_int_equal(hex_decode(bytes_of_text("DEADbeef"), back, 4), OK);
    assert_memory_equal(back, "\xde\xad\xbe\xef", 4);
    hex_encode(bytes_of(NULL, 0), text);
    assert_string_equal(text, "");
    assert_int_equal(hex_decode(bytes_of(NULL, 0), back, 0), OK);
}

static void
hex_refuses(void **state)
{
    static const char *const cases[] = {"",     "0",     "000",   "00000", "0g00", "00 0",
                                        "0x00", " 0000", "0000 ", "00:00", "-100", "00\n0"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t out[2] = {0xff, 0xff};

        if (hex_decode(bytes_of_text(cases[i]), out, 2) != ERR_MALFORMED)
            fail_msg("'%s' was not refused", cases[i]);
        assert_true(sodium_is_zero(out, 2));
    }
}

static void
seeded_rng_repeats(void **state)
{
    struct rng_seeded a_state, b_state, c_state;
    struct rng a, b, c;
    uint8_t first[100], second[100];

    (void)state;
    rng_seeded_init(&a_state, 42, &a);
    rng_seeded_init(&b_state, 42, &b);
    rng_seeded_init(&c_state, 43, &c);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(rng_fill(&a, first, sizeof(first)), OK);
        assert_int_equal(rng_fill(&b, second, sizeof(second)), OK);
        assert_memory_equal(first, second, sizeof(first));
        assert_int_equal(rng_fill(&c, second, sizeof(second)), OK);
        assert_memory_not_equal(first, second, sizeof(first));
    }
    assert_int_equal(rng_fill(&a, second, sizeof(second)), OK);
    assert_memory_not_equal(first, second, sizeof(first)); /* goes on */
}

static void
kernel_rng_fills(void **state)
{
    struct rng rng = rng_kernel();
    uint8_t first[1000] = {0}, second[1000] = {0};

    (void)state;
    assert_int_equal(rng_fill(&rng, first, sizeof(first)), OK);
    assert_int_equal(rng_fill(&rng, second, sizeof(second)), OK);
    assert_memory_not_equal(first, second, sizeof(first));
    assert_false(sodium_is_zero(first + sizeof(first) - 16, 16));
    assert_int_equal(rng_fill(&rng, NULL, 0), OK);
}

/* Gives the same eight bytes again and again, then none. */
struct scripted {
    uint64_t draws[4];
    unsigned count;
    unsigned at;
};

static enum vault_err
scripted_fill(void *context, uint8_t *out, size_t size)
{
    struct scripted *s = context;

    memset(out, 0xee, size);
    if (s->at == s->count)
        return ERR_ENTROPY;
    assert_int_equal(size, sizeof(uint64_t));
    memcpy(out, &s->draws[s->at++], size);
    return OK;
}

static void
below_is_unbiased(void **state)
{
    /* 2^64 mod 6 = 4: the draws 0..3 are one chance too many for the results 0..3. */
    struct scripted s = {.draws = {0, 3, 4, UINT64_MAX}, .count = 4};
    struct rng rng = {.context = &s, .fill = scripted_fill};
    uint64_t out = 99;

    (void)state;
    assert_int_equal(rng_below(&rng, 6, &out), OK);
    assert_int_equal(out, 4);
    assert_int_equal(s.at, 3);
    assert_int_equal(rng_below(&rng, 6, &out), OK);
    assert_int_equal(out, UINT64_MAX % 6);
    assert_int_equal(rng_below(&rng, 6, &out), ERR_ENTROPY);
    assert_int_equal(out, 0);
    s.at = 0;
    assert_int_equal(rng_below(&rng, 1, &out), OK);
    assert_int_equal(out, 0);
}

static void
failed_fill_is_zeroed(void **state)
{
    struct scripted s = {.count = 0};
    struct rng rng = {.context = &s, .fill = scripted_fill};
    uint8_t out[8];

    (void)state;
    assert_int_equal(rng_fill(&rng, out, sizeof(out)), ERR_ENTROPY);
    assert_true(sodium_is_zero(out, sizeof(out)));
}

static void
storage_keys_differ(void **state)
{
    const uint8_t key[KEY_BYTES] = {7};
    const uint8_t other_key[KEY_BYTES] = {8};
    const struct bytes cluster = bytes_of_text("0123456789abcdef");
    const struct bytes other_cluster = bytes_of_text("0123456789abcdeF");
    uint8_t out[6][KEY_BYTES];
    char long_name[NODE_NAME_BYTES_MAX + 1];

    (void)state;
    assert_int_equal(storage_key_derive(key, cluster, bytes_of_text("n1"), "tables", out[0]), OK);
    assert_int_equal(storage_key_derive(key, cluster, bytes_of_text("n1"), "shares", out[1]), OK);
    assert_int_equal(storage_key_derive(key, cluster, bytes_of_text("n2"), "tables", out[2]), OK);
    assert_int_equal(storage_key_derive(key, other_cluster, bytes_of_text("n1"), "tables", out[3]),
                     OK);
    assert_int_equal(storage_key_derive(other_key, cluster, bytes_of_text("n1"), "tables", out[4]),
                     OK);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = 0; j < i; j++)
            assert_memory_not_equal(out[i], out[j], KEY_BYTES);
    }
    /* By its definition: HKDF with the salt "cluster id | node name". */
    assert_int_equal(hkdf_sha256(bytes_of(key, KEY_BYTES), bytes_of_text("0123456789abcdefn1"),
                                 bytes_of_text("tables"), out[5], KEY_BYTES),
                     OK);
    assert_memory_equal(out[5], out[0], KEY_BYTES);

    memset(long_name, 'x', sizeof(long_name));
    assert_int_equal(
        storage_key_derive(key, cluster, bytes_of(long_name, sizeof(long_name)), "tables", out[0]),
        ERR_RANGE);
    assert_true(sodium_is_zero(out[0], KEY_BYTES));
    assert_int_equal(storage_key_derive(key, cluster, bytes_of(NULL, 0), "tables", out[0]),
                     ERR_RANGE);
    assert_int_equal(storage_key_derive(key, bytes_of(NULL, 0), cluster, "tables", out[0]),
                     ERR_RANGE);
}

static void
sealed_records_verify(void **state)
{
    const uint8_t key[KEY_BYTES] = {7};
    const struct bytes ad = bytes_of_text("row");
    const struct bytes plain = bytes_of_text("a record");
    uint8_t sealed[8 + SEALED_OVERHEAD_BYTES], again[sizeof(sealed)], out[8];
    struct rng_seeded seed;
    struct rng rng;

    (void)state;
    rng_seeded_init(&seed, 1, &rng);
    assert_int_equal(sealed_record_make(key, ad, plain, &rng, sealed), OK);
    assert_int_equal(sealed_record_make(key, ad, plain, &rng, again), OK);
    assert_memory_not_equal(sealed, again, sizeof(sealed)); /* a nonce of its own */
    assert_int_equal(sealed_record_open(key, ad, bytes_of(sealed, sizeof(sealed)), out), OK);
    assert_memory_equal(out, plain.data, plain.size);

    for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(out, 0xff, sizeof(out));
        assert_int_equal(sealed_record_open(key, ad, bytes_of(sealed, sizeof(sealed)), out),
                         ERR_CORRUPT);
        assert_true(sodium_is_zero(out, sizeof(out)));
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(
        sealed_record_open(key, bytes_of_text("roW"), bytes_of(sealed, sizeof(sealed)), out),
        ERR_CORRUPT);
    for (size_t size = 0; size < sizeof(sealed); size++)
        assert_int_equal(sealed_record_open(key, ad, bytes_of(sealed, size), out), ERR_CORRUPT);
}

static void
sealed_record_needs_a_nonce(void **state)
{
    const uint8_t key[KEY_BYTES] = {7};
    struct scripted s = {.count = 0};
    struct rng rng = {.context = &s, .fill = scripted_fill};
    uint8_t sealed[8 + SEALED_OVERHEAD_BYTES];

    (void)state;
    memset(sealed, 0xff, sizeof(sealed));
    assert_int_equal(
        sealed_record_make(key, bytes_of(NULL, 0), bytes_of_text("a record"), &rng, sealed),
        ERR_ENTROPY);
    assert_true(sodium_is_zero(sealed, sizeof(sealed)));
}

/* The first two of SipHash's own vectors for 128 bits: of no bytes, and of one. */
static void
wide_short_hash_is_siphash(void **state)
{
    static const uint8_t expected[2][SHORT_HASH_WIDE_BYTES] = {
        {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
         0x93},
        {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
         0x45},
    };
    uint8_t key[SHORT_HASH_BYTES], out[SHORT_HASH_WIDE_BYTES];

    (void)state;
    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    for (unsigned size = 0; size < 2; size++) {
        hash_short_wide(key, bytes_of(key, size), out);
        assert_memory_equal(out, expected[size], sizeof(out));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_known_inputs),
        cmocka_unit_test(parts_are_framed),
        cmocka_unit_test(wide_short_hash_is_siphash),
        cmocka_unit_test(hkdf_has_limits),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(hex_refuses),
        cmocka_unit_test(seeded_rng_repeats),
        cmocka_unit_test(kernel_rng_fills),
        cmocka_unit_test(below_is_unbiased),
        cmocka_unit_test(failed_fill_is_zeroed),
        cmocka_unit_test(storage_keys_differ),
        cmocka_unit_test(sealed_records_verify),
        cmocka_unit_test(sealed_record_needs_a_nonce),
        cmocka_unit_test(frames_of_any_size),
    };

    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
