/*
 * Blocks of the store: what they look like (computed by other means), that none of their bytes can
 * be changed, that blocks of both suites open, and that threads never seal two alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "crypto/aead_portable.h"
#include "crypto/hash.h"
#include "crypto/rng_kernel.h"
#include "failing_rng.h"
#include "store/block_cipher.h"

enum { BLOCK_MAX = 256, THREADS = 4, BLOCKS_EACH = 2000 };

static const uint8_t KEY[32] = {0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42,
                                0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42,
                                0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42};

/* 0, 1, 2 and so on, each time. */
static enum vault_err
fill_counting(void *context, uint8_t *out, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)i;
    return OK;
}

static void
cipher_make(struct block_cipher *c, enum block_suite suite, bool counting)
{
    const struct rng rng = {.fill = fill_counting};

    assert_int_equal(block_cipher_init(KEY, suite, counting ? rng : rng_kernel(), c), OK);
}

static void
expect_opens(const struct block_cipher *c, const uint8_t *block, size_t size, const char *plain)
{
    uint8_t out[BLOCK_MAX];

    assert_int_equal(block_open(c, bytes_of(block, size), out), OK);
    assert_int_equal(size - BLOCK_OVERHEAD_BYTES, strlen(plain));
    assert_memory_equal(out, plain, strlen(plain));
}

static void
expect_seals(struct block_cipher *c, const char *plain, const char *hex)
{
    uint8_t block[BLOCK_MAX];
    char found[2 * BLOCK_MAX + 1];
    size_t size = strlen(plain) + BLOCK_OVERHEAD_BYTES;

    assert_int_equal(block_seal(c, bytes_of_text(plain), block), OK);
    hex_encode(bytes_of(block, size), found);
    assert_string_equal(found, hex);
    expect_opens(c, block, size, plain);
}

static void
test_aes_gcm_vectors(void **state)
{
    struct block_cipher c;

    (void)state;
    cipher_make(&c, BLOCK_AES_GCM, true);
    expect_seals(&c, "a block",
                 "02000102030405060708090a0b0c0d0e0000000000000000"
                 "f2b28b519eb7682786f1aee879cefd8418eb571db47f3e");
    expect_seals(&c, "",
                 "02000102030405060708090a0b0c0d0e0000000000000001"
                 "85e2e32f865d4805b3df6230dbc165c9");
    /* Behind 2^32 blocks there is another key. */
    atomic_store(&c.next, ((uint64_t)1 << 32) + 5);
    expect_seals(&c, "a block",
                 "02000102030405060708090a0b0c0d0e0000000100000005"
                 "b91cf689f0ed5998cfa0680258ae30e875e35eb3a51f25");
    block_cipher_close(&c);
}

static void
test_xchacha20_vectors(void **state)
{
    struct block_cipher c;
    uint8_t block[BLOCK_MAX];

    (void)state;
    cipher_make(&c, BLOCK_XCHACHA20, true);
    expect_seals(&c, "a block",
                 "000102030405060708090a0b0c0d0e0f1011121314151617"
                 "eddce68ba8c2acb092b1972428277fa7943ca2a09e48fd");
    block_cipher_close(&c);
    /* One that begins as those of the other suite do. */
    cipher_make(&c, BLOCK_AES_GCM, false);
    const char *hex = "020102030405060708090a0b0c0d0e0f1011121314151617"
                      "8a9c3393c77991c2b27385d3dad38bdb0d4f848ca3f189";
    assert_int_equal(hex_decode(bytes_of_text(hex), block, strlen(hex) / 2), OK);
    expect_opens(&c, block, strlen(hex) / 2, "a block");
    block_cipher_close(&c);
}

static void
test_each_opens_what_the_other_sealed(void **state)
{
    static const enum block_suite suites[] = {BLOCK_XCHACHA20, BLOCK_AES_GCM};
    struct block_cipher writer, reader;
    uint8_t block[BLOCK_MAX];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        cipher_make(&writer, suites[i % 2], false);
        cipher_make(&reader, suites[i / 2], false);
        assert_int_equal(block_seal(&writer, bytes_of_text("a row"), block), OK);
        expect_opens(&reader, block, 5 + BLOCK_OVERHEAD_BYTES, "a row");
        block_cipher_close(&writer);
        block_cipher_close(&reader);
    }
}

/* Without the processor's instructions, too. */
static void
test_aes_gcm_is_portable(void **state)
{
    struct block_cipher c;
    uint8_t block[BLOCK_MAX], plain[BLOCK_MAX], nonce[GCM_NONCE_BYTES] = {0};

    (void)state;
    cipher_make(&c, BLOCK_AES_GCM, false);
    assert_int_equal(block_seal(&c, bytes_of_text("a row"), block), OK);
    assert_int_equal(gcm_open_portable(c.sub_key.data, nonce,
                                       bytes_of_text("ostraka store block 2"),
                                       bytes_of(block + 24, 5 + AEAD_TAG_BYTES), plain),
                     OK);
    assert_memory_equal(plain, "a row", 5);
    block_cipher_close(&c);
}

static void
test_every_bit_counts(void **state)
{
    static const enum block_suite suites[] = {BLOCK_XCHACHA20, BLOCK_AES_GCM};
    struct block_cipher c;
    uint8_t block[BLOCK_MAX], out[BLOCK_MAX];

    (void)state;
    for (unsigned suite = 0; suite < 2; suite++) {
        cipher_make(&c, suites[suite], false);
        const size_t size = 5 + BLOCK_OVERHEAD_BYTES;
        assert_int_equal(block_seal(&c, bytes_of_text("a row"), block), OK);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            block[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_int_equal(block_open(&c, bytes_of(block, size), out), ERR_CORRUPT);
            block[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        for (size_t shorter = 0; shorter < size; shorter++)
            assert_int_equal(block_open(&c, bytes_of(block, shorter), out), ERR_CORRUPT);
        expect_opens(&c, block, size, "a row");
        block_cipher_close(&c);
    }
}

static void
test_another_key_opens_nothing(void **state)
{
    static const enum block_suite suites[] = {BLOCK_XCHACHA20, BLOCK_AES_GCM};
    struct block_cipher c, other;
    uint8_t block[BLOCK_MAX], out[BLOCK_MAX], key[32] = {0};

    (void)state;
    for (unsigned suite = 0; suite < 2; suite++) {
        cipher_make(&c, suites[suite], false);
        assert_int_equal(block_cipher_init(key, suites[suite], rng_kernel(), &other), OK);
        assert_int_equal(block_seal(&c, bytes_of_text("a row"), block), OK);
        assert_int_equal(block_open(&other, bytes_of(block, 5 + BLOCK_OVERHEAD_BYTES), out),
                         ERR_CORRUPT);
        block_cipher_close(&c);
        block_cipher_close(&other);
    }
}

/* Each opening of a store has a salt of its own, so the numbers may begin anew. */
static void
test_salts_differ(void **state)
{
    struct block_cipher a, b;

    (void)state;
    cipher_make(&a, BLOCK_AES_GCM, false);
    cipher_make(&b, BLOCK_AES_GCM, false);
    assert_memory_not_equal(a.salt, b.salt, BLOCK_SALT_BYTES);
    assert_memory_not_equal(a.sub_key.data, b.sub_key.data, KEY_BYTES);
    block_cipher_close(&a);
    block_cipher_close(&b);
}

/* Of more openings than keys are kept, in any order: each block is opened under its own key. */
static void
test_blocks_of_many_openings(void **state)
{
    enum { OPENINGS = 100, TURNS = 400 };
    static uint8_t blocks[2 * OPENINGS][BLOCK_MAX];
    struct block_cipher c;

    (void)state;
    for (size_t i = 0; i < OPENINGS; i++) {
        cipher_make(&c, BLOCK_AES_GCM, false);
        assert_int_equal(block_seal(&c, bytes_of_text("a row"), blocks[2 * i]), OK);
        atomic_store(&c.next, (uint64_t)1 << 32); /* of the same salt, under another key */
        assert_int_equal(block_seal(&c, bytes_of_text("b row"), blocks[2 * i + 1]), OK);
        block_cipher_close(&c);
    }
    cipher_make(&c, BLOCK_AES_GCM, false);
    for (size_t i = 0; i < TURNS; i++) {
        size_t which = i * 7919 % (2 * OPENINGS);
        expect_opens(&c, blocks[which], 5 + BLOCK_OVERHEAD_BYTES, which % 2 ? "b row" : "a row");
        expect_opens(&c, blocks[which], 5 + BLOCK_OVERHEAD_BYTES, which % 2 ? "b row" : "a row");
    }
    block_cipher_close(&c);
}

static void
test_nothing_is_sealed_without_randomness(void **state)
{
    struct block_cipher c;
    uint8_t block[BLOCK_MAX];
    const struct rng rng = no_entropy();

    (void)state;
    assert_int_equal(block_cipher_init(KEY, BLOCK_AES_GCM, rng, &c), ERR_ENTROPY);
    block_cipher_close(&c);
    assert_int_equal(block_cipher_init(KEY, BLOCK_XCHACHA20, rng, &c), OK);
    assert_int_equal(block_seal(&c, bytes_of_text("a row"), block), ERR_ENTROPY);
    block_cipher_close(&c);
}

/* ---- threads ---- */

struct worker {
    struct block_cipher *cipher;
    const uint8_t (*blocks)[BLOCK_MAX]; /* to be opened */
    size_t block_count;
    bool good;
    uint64_t numbers[BLOCKS_EACH];
};

static void *
worker_run(void *context)
{
    struct worker *w = context;
    uint8_t block[BLOCK_MAX], out[BLOCK_MAX];

    w->good = true;
    for (size_t i = 0; i < BLOCKS_EACH; i++) {
        w->good &= block_seal(w->cipher, bytes_of_text("a row"), block) == OK;
        w->good &= block_open(w->cipher, bytes_of(block, 5 + BLOCK_OVERHEAD_BYTES), out) == OK;
        for (unsigned j = 0; j < 8; j++)
            w->numbers[i] = w->numbers[i] << 8 | block[16 + j];
    }
    return NULL;
}

/* Across the change of the key, too. */
static void
test_threads_share_one(void **state)
{
    struct worker workers[THREADS];
    const uint64_t first = ((uint64_t)1 << 32) - THREADS * BLOCKS_EACH / 2;
    bool *met = calloc(THREADS * BLOCKS_EACH, sizeof(*met));
    pthread_t threads[THREADS];
    struct block_cipher c;

    (void)state;
    assert_non_null(met);
    cipher_make(&c, BLOCK_AES_GCM, false);
    atomic_store(&c.next, first);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.cipher = &c};
        assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(workers[i].good);
        for (size_t j = 0; j < BLOCKS_EACH; j++) {
            uint64_t number = workers[i].numbers[j] - first;
            assert_true(number < THREADS * BLOCKS_EACH);
            assert_false(met[number]);
            met[number] = true;
        }
    }
    block_cipher_close(&c);
    free(met);
}

/* Threads that open blocks of before find, make and replace keys under each other's hands. */
static void *
opener_run(void *context)
{
    struct worker *w = context;
    uint8_t out[BLOCK_MAX];

    w->good = true;
    for (size_t i = 0; i < BLOCKS_EACH; i++) {
        const uint8_t *block = w->blocks[i % w->block_count];
        w->good &= block_open(w->cipher, bytes_of(block, 5 + BLOCK_OVERHEAD_BYTES), out) == OK;
    }
    return NULL;
}

static void
test_threads_open_blocks_of_before(void **state)
{
    enum { OPENINGS = 100 };
    static uint8_t blocks[OPENINGS][BLOCK_MAX];
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    struct block_cipher c;

    (void)state;
    for (size_t i = 0; i < OPENINGS; i++) {
        cipher_make(&c, BLOCK_AES_GCM, false);
        assert_int_equal(block_seal(&c, bytes_of_text("a row"), blocks[i]), OK);
        block_cipher_close(&c);
    }
    cipher_make(&c, BLOCK_AES_GCM, false);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.cipher = &c,
                                     .blocks = (const uint8_t(*)[BLOCK_MAX])blocks,
                                     .block_count = OPENINGS - i};
        assert_int_equal(pthread_create(&threads[i], NULL, opener_run, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(workers[i].good);
    }
    block_cipher_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aes_gcm_vectors),
        cmocka_unit_test(test_xchacha20_vectors),
        cmocka_unit_test(test_each_opens_what_the_other_sealed),
        cmocka_unit_test(test_aes_gcm_is_portable),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_another_key_opens_nothing),
        cmocka_unit_test(test_salts_differ),
        cmocka_unit_test(test_nothing_is_sealed_without_randomness),
        cmocka_unit_test(test_threads_share_one),
        cmocka_unit_test(test_blocks_of_many_openings),
        cmocka_unit_test(test_threads_open_blocks_of_before),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
