/* Bucket keys: their life, their file's content, and what each opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/bucket_keys.h"
#include "failing_rng.h"

enum { COUNT = 5, SHARE = 32 };

struct fixture {
    struct secret_arena *arena;
    struct rng_seeded state;
    struct rng rng;
    struct bucket_keys keys;
    uint8_t shares_key[KEY_BYTES];
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_int_equal(crypto_init(), OK);
    rng_seeded_init(&f->state, 1, &f->rng);
    assert_int_equal(secret_arena_new(2 * COUNT, &f->arena), OK);
    secret_arena_open(f->arena);
    memset(f->shares_key, 7, sizeof(f->shares_key));
    assert_int_equal(bucket_keys_init(&f->keys, f->arena, COUNT, 10, &f->rng), OK);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;
    bucket_keys_close(&f->keys);
    assert_int_equal(secret_arena_free_slots(f->arena), 2 * COUNT);
    secret_arena_close(f->arena);
    secret_arena_free(f->arena);
    free(f);
    return 0;
}

struct sealed {
    uint8_t data[SHARE + BUCKET_SEALED_OVERHEAD_BYTES];
};

static struct sealed
seal(struct fixture *f, const struct bucket *bucket, const char *share)
{
    struct sealed out = {0};
    assert_int_equal(strlen(share), SHARE);
    assert_int_equal(bucket_seal(bucket, f->shares_key, bytes_of_text("row"), bytes_of_text(share),
                                 &f->rng, out.data),
                     OK);
    return out;
}

static bool
opens(struct fixture *f, const struct bucket *bucket, const struct sealed *sealed)
{
    uint8_t out[SHARE], zero[SHARE] = {0};
    enum vault_err err = bucket_open(bucket, f->shares_key, bytes_of_text("row"),
                                     bytes_of(sealed->data, sizeof(sealed->data)), out);
    if (err != OK)
        assert_memory_equal(out, zero, SHARE);
    return err == OK;
}

static const char one[] = "0123456789abcdef0123456789abcdef";

static void
test_life(void **state)
{
    struct fixture *f = *state;
    struct bucket *bucket = &f->keys.buckets[2];
    struct sealed before = seal(f, bucket, one);
    assert_int_equal(bucket_sealed_generation(bytes_of(before.data, sizeof(before.data))), 10);
    assert_true(opens(f, bucket, &before));
    assert_false(opens(f, &f->keys.buckets[3], &before));

    assert_false(bucket_is_due(bucket));
    bucket->dirty = bucket->generation;
    assert_true(bucket_is_due(bucket));
    assert_int_equal(bucket_make(bucket, &f->rng), OK);
    assert_true(bucket_is_made(bucket));
    struct sealed meanwhile = seal(f, bucket, one); /* the next key is not used yet */
    assert_int_equal(bucket_sealed_generation(bytes_of(meanwhile.data, sizeof(meanwhile.data))),
                     10);

    bucket_keys_saved(&f->keys);
    bucket_use(bucket);
    assert_true(bucket_is_retiring(bucket));
    assert_true(bucket_is_due(bucket)); /* the file has the old key */
    struct sealed after = seal(f, bucket, one);
    assert_int_equal(bucket_sealed_generation(bytes_of(after.data, sizeof(after.data))), 11);
    assert_true(opens(f, bucket, &before));
    assert_true(opens(f, bucket, &after));

    bucket_retire(bucket);
    assert_false(bucket_is_retiring(bucket));
    assert_true(bucket_is_due(bucket)); /* the file may have it still */
    bucket_keys_saved(&f->keys);
    assert_false(bucket_is_due(bucket));
    assert_int_equal(bucket->oldest_saved, 11);
    assert_false(opens(f, bucket, &before));
    assert_false(opens(f, bucket, &meanwhile));
    assert_true(opens(f, bucket, &after));
}

static void
test_sealed_shares_verify(void **state)
{
    struct fixture *f = *state;
    const struct bucket *bucket = &f->keys.buckets[0];
    struct sealed sealed = seal(f, bucket, one);
    uint8_t out[SHARE], other[KEY_BYTES] = {1};
    struct bytes all = bytes_of(sealed.data, sizeof(sealed.data));
    assert_int_equal(bucket_open(bucket, f->shares_key, bytes_of_text("row"), all, out), OK);
    assert_memory_equal(out, one, SHARE);
    for (size_t i = 0; i < sizeof(sealed.data); i++) {
        sealed.data[i] ^= 1;
        assert_false(opens(f, bucket, &sealed));
        sealed.data[i] ^= 1;
    }
    assert_int_equal(bucket_open(bucket, f->shares_key, bytes_of_text("roW"), all, out),
                     ERR_CORRUPT);
    assert_int_equal(bucket_open(bucket, other, bytes_of_text("row"), all, out), ERR_CORRUPT);
    for (size_t size = 0; size < sizeof(sealed.data); size++)
        assert_int_equal(bucket_open(bucket, f->shares_key, bytes_of_text("row"),
                                     bytes_of(sealed.data, size), out),
                         ERR_CORRUPT);
}

static struct buf
encoded(const struct fixture *f)
{
    struct buf out = {0};
    assert_int_equal(bucket_keys_encode(&f->keys, &out), OK);
    return out;
}

static void
test_file(void **state)
{
    struct fixture *f = *state;
    struct bucket_keys back;
    struct sealed old = seal(f, &f->keys.buckets[1], one);
    assert_int_equal(bucket_make(&f->keys.buckets[1], &f->rng), OK);
    assert_int_equal(bucket_make(&f->keys.buckets[4], &f->rng), OK);
    bucket_use(&f->keys.buckets[4]);
    struct sealed newer = seal(f, &f->keys.buckets[4], one);
    struct buf content = encoded(f);
    assert_int_equal(bucket_keys_decode(buf_bytes(&content), f->arena, &back), OK);
    assert_int_equal(back.count, COUNT);
    /* What was made and saved is in use after a restart; the older key waits to be retired. */
    for (unsigned i = 0; i < COUNT; i++) {
        bool two = i == 1 || i == 4;
        assert_int_equal(back.buckets[i].generation, two ? 11 : 10);
        assert_int_equal(bucket_is_retiring(&back.buckets[i]), two);
        assert_int_equal(back.buckets[i].oldest_saved, 10);
        assert_int_equal(back.buckets[i].dirty, 0);
    }
    assert_true(opens(f, &back.buckets[1], &old));
    assert_true(opens(f, &back.buckets[4], &newer));
    bucket_keys_close(&back);
    for (size_t size = 0; size < content.size; size++) {
        assert_int_equal(bucket_keys_decode(bytes_of(content.data, size), f->arena, &back),
                         ERR_MALFORMED);
        bucket_keys_close(&back);
    }
    buf_close(&content);
}

static void
test_file_refusals(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        uint64_t generation, other;
    } wrong[] = {{"no generation", 0, 0}, {"the same twice", 10, 10}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct bucket_keys back;
        f->keys.buckets[3].generation = wrong[i].generation;
        f->keys.buckets[3].other = wrong[i].other;
        struct buf content = encoded(f);
        assert_int_equal(bucket_keys_decode(buf_bytes(&content), f->arena, &back), ERR_MALFORMED);
        bucket_keys_close(&back);
        buf_close(&content);
    }
}

static void
test_buckets_are_spread(void **state)
{
    struct fixture *f = *state;
    unsigned met[COUNT] = {0};
    for (unsigned i = 0; i < 500; i++) {
        uint8_t path[2] = {(uint8_t)i, (uint8_t)(i >> 8)};
        unsigned bucket = bucket_of(&f->keys, bytes_of(path, 2));
        assert_int_equal(bucket, bucket_of(&f->keys, bytes_of(path, 2)));
        met[bucket]++;
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_in_range(met[i], 50, 200);
}

static void
test_no_randomness(void **state)
{
    struct fixture *f = *state;
    const struct rng broken = no_entropy();
    struct bucket_keys keys;
    assert_int_equal(bucket_make(&f->keys.buckets[0], &broken), ERR_ENTROPY);
    assert_int_equal(f->keys.buckets[0].other, 0);
    assert_int_equal(bucket_keys_init(&keys, f->arena, COUNT, 1, &broken), ERR_ENTROPY);
    bucket_keys_close(&keys);
    /* The arena has room for two sets of keys, and no more. */
    struct bucket_keys second;
    assert_int_equal(bucket_keys_init(&second, f->arena, COUNT, 1, &f->rng), OK);
    assert_int_equal(bucket_keys_init(&keys, f->arena, COUNT, 1, &f->rng), ERR_BUSY);
    bucket_keys_close(&keys);
    bucket_keys_close(&second);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_life),          TEST(test_sealed_shares_verify), TEST(test_file),
        TEST(test_file_refusals), TEST(test_buckets_are_spread),   TEST(test_no_randomness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
