/*
 * AES-256-GCM of short and long inputs is one and the same, whichever library does it: compared
 * with wolfCrypt's at sizes around all limits, in place and apart, and with each kind of damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "crypto/aead_portable.h"
#include "crypto/gcm_long.h"

enum { SIZE_MAX_TRIED = 20000, ROOM = SIZE_MAX_TRIED + AEAD_TAG_BYTES + 1 };

struct memory {
    uint8_t key[AEAD_KEY_BYTES], nonce[GCM_NONCE_BYTES], ad[64];
    uint8_t plain[ROOM], expected[ROOM], got[ROOM];
};

static int
memory_begin(void **state)
{
    struct memory *m = test_calloc(1, sizeof(*m));
    static const uint8_t seed[randombytes_SEEDBYTES] = {7};

    randombytes_buf_deterministic(m, offsetof(struct memory, expected), seed);
    *state = m;
    return 0;
}

static int
memory_end(void **state)
{
    test_free(*state);
    return 0;
}

static void
expect_same(struct memory *m, size_t size, size_t ad_size)
{
    struct bytes ad = bytes_of(m->ad, ad_size);
    struct bytes plain = bytes_of(m->plain, size);
    size_t sealed = size + AEAD_TAG_BYTES;

    assert_int_equal(gcm_seal_portable(m->key, m->nonce, ad, plain, m->expected), OK);
    m->got[sealed] = 0xee;
    assert_int_equal(gcm_seal(m->key, m->nonce, ad, plain, m->got), OK);
    assert_memory_equal(m->got, m->expected, sealed);
    assert_int_equal(gcm_long_seal(m->key, m->nonce, ad, plain, m->got), OK);
    assert_memory_equal(m->got, m->expected, sealed);
    assert_int_equal(m->got[sealed], 0xee);

    m->got[size] = 0xee;
    assert_int_equal(gcm_open(m->key, m->nonce, ad, bytes_of(m->expected, sealed), m->got), OK);
    assert_memory_equal(m->got, m->plain, size);
    assert_int_equal(m->got[size], 0xee);
    assert_int_equal(gcm_long_open(m->key, m->nonce, ad, bytes_of(m->expected, sealed), m->got),
                     OK);
    assert_memory_equal(m->got, m->plain, size);
}

static void
sizes_give_the_same(void **state)
{
    static const size_t more[] = {1399, 2048, 4095, 4096, 4097, 16384, SIZE_MAX_TRIED};
    struct memory *m = *state;

    for (size_t size = 0; size < 1100; size++)
        expect_same(m, size, size % sizeof(m->ad));
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        expect_same(m, more[i], 13);
}

/* As TLS has it: in place, with the tag behind or elsewhere. */
static void
records_give_the_same(void **state)
{
    static const size_t sizes[] = {1, 100, GCM_LONG_BYTES - 1, GCM_LONG_BYTES, 3000, 16384};
    struct memory *m = *state;
    struct bytes ad = bytes_of(m->ad, 5);
    uint8_t apart[AEAD_TAG_BYTES];

    if (!gcm_hardware_available())
        skip();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        struct bytes record = bytes_of(m->got, size);

        assert_int_equal(
            gcm_seal_portable(m->key, m->nonce, ad, bytes_of(m->plain, size), m->expected), OK);
        memcpy(m->got, m->plain, size);
        gcm_hardware_seal(m->key, m->nonce, ad, record, m->got, m->got + size);
        assert_memory_equal(m->got, m->expected, size + AEAD_TAG_BYTES);
        assert_int_equal(gcm_hardware_open(m->key, m->nonce, ad, record, m->got + size, m->got),
                         OK);
        assert_memory_equal(m->got, m->plain, size);

        gcm_hardware_seal(m->key, m->nonce, ad, record, m->got, apart);
        assert_memory_equal(m->got, m->expected, size);
        assert_memory_equal(apart, m->expected + size, AEAD_TAG_BYTES);
        assert_int_equal(gcm_hardware_open(m->key, m->nonce, ad, record, apart, m->got), OK);
        assert_memory_equal(m->got, m->plain, size);
    }
}

/* Any bit that is not what it was, of a few of them: refused, and nothing of it comes out. */
static void
damage_is_found(void **state)
{
    struct memory *m = *state;
    struct bytes ad = bytes_of(m->ad, 20);
    const size_t size = 2000, sealed = size + AEAD_TAG_BYTES;
    const size_t places[] = {0, 95, 96, 1023, size - 1, size, sealed - 1};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        assert_int_equal(gcm_seal(m->key, m->nonce, ad, bytes_of(m->plain, size), m->expected), OK);
        m->expected[places[i]] ^= 0x10;
        memset(m->got, 0xff, size);
        assert_int_equal(gcm_open(m->key, m->nonce, ad, bytes_of(m->expected, sealed), m->got),
                         ERR_CORRUPT);
        assert_true(sodium_is_zero(m->got, size));
        if (!gcm_hardware_available())
            continue;
        memset(m->got, 0xff, size);
        assert_int_equal(gcm_hardware_open(m->key, m->nonce, ad, bytes_of(m->expected, size),
                                           m->expected + size, m->got),
                         ERR_CORRUPT);
        assert_true(sodium_is_zero(m->got, size));
    }
    assert_int_equal(gcm_seal(m->key, m->nonce, ad, bytes_of(m->plain, size), m->expected), OK);
    ad.size--;
    assert_int_equal(gcm_open(m->key, m->nonce, ad, bytes_of(m->expected, sealed), m->got),
                     ERR_CORRUPT);
    for (size_t cut = 0; cut < AEAD_TAG_BYTES; cut++)
        assert_int_equal(gcm_long_open(m->key, m->nonce, ad, bytes_of(m->expected, cut), m->got),
                         ERR_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sizes_give_the_same, memory_begin, memory_end),
        cmocka_unit_test_setup_teardown(records_give_the_same, memory_begin, memory_end),
        cmocka_unit_test_setup_teardown(damage_is_found, memory_begin, memory_end),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
