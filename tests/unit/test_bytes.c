/* Views, arenas and buffers: limits, alignment, zeroing and wiping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/bytes.h"

static bool
all_zero(const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static void
compares_views(void **state)
{
    struct bytes empty = bytes_of(NULL, 0);
    struct bytes ab = bytes_of_text("ab");

    (void)state;
    assert_int_equal(ab.size, 2);
    assert_true(bytes_equal(ab, bytes_of("abc", 2)));
    assert_false(bytes_equal(ab, bytes_of_text("abc")));
    assert_false(bytes_equal(ab, bytes_of_text("ac")));
    assert_true(bytes_equal(empty, bytes_of_text("")));
    assert_true(bytes_compare(ab, bytes_of_text("ac")) < 0);
    assert_true(bytes_compare(ab, bytes_of_text("a")) > 0);
    assert_true(bytes_compare(ab, bytes_of_text("abc")) < 0);
    assert_true(bytes_compare(bytes_of("\xff", 1), bytes_of("\x01", 1)) > 0);
    assert_int_equal(bytes_compare(empty, bytes_of_text("")), 0);
    assert_true(bytes_compare(empty, ab) < 0);
    assert_true(bytes_begin_with(ab, bytes_of_text("a")));
    assert_true(bytes_begin_with(ab, ab));
    assert_true(bytes_begin_with(ab, empty));
    assert_true(bytes_begin_with(empty, empty));
    assert_false(bytes_begin_with(ab, bytes_of_text("abc")));
    assert_false(bytes_begin_with(ab, bytes_of_text("b")));
    assert_false(bytes_begin_with(empty, ab));
}

static void
arena_gives_zeroed_aligned_memory(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 20);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t size = 0; size < 700; size += 7) {
            uint8_t *data = arena_alloc(&arena, size);

            assert_non_null(data);
            assert_int_equal((uintptr_t)data % 16, 0);
            assert_true(all_zero(data, size));
            memset(data, 0xa5, size);
        }
        arena_reset(&arena);
        assert_int_equal(arena.used, 0);
        assert_non_null(arena.blocks); /* one is kept, and must come back clean */
    }
    arena_close(&arena);
    assert_null(arena.blocks);
}

/* New memory of a kept block, and memory that was handed out before it was reset. */
static void
arena_zeroes_what_was_used(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t round = 1; round < 40; round++) {
        for (size_t size = round; size < 4000; size += 37 * round) {
            uint8_t *data =
                round % 3 == 0 ? arena_alloc_last(&arena, size) : arena_alloc(&arena, size);
            assert_non_null(data);
            assert_int_equal((uintptr_t)data % 16, 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(data[i], 0);
            memset(data, 0xa5, size);
            if (size % 5 == 0)
                arena_reset(&arena);
        }
        arena_reset(&arena);
    }
    arena_close(&arena);
}

static void
arena_keeps_its_limit(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 100);
    assert_null(arena_alloc(&arena, 101));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_non_null(arena_alloc(&arena, 100));
    assert_null(arena_alloc(&arena, 1));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 60)); /* counted as 64 */
    assert_null(arena_alloc(&arena, 37));
    assert_null(arena_alloc_last(&arena, 37));
    assert_non_null(arena_alloc_last(&arena, 36)); /* still usable after a refusal */
    arena_close(&arena);

    arena_init(&arena, SIZE_MAX);
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    arena_close(&arena);

    /* Many tiny pieces do not get around the limit. */
    arena_init(&arena, 1024);
    for (unsigned i = 0; i < 64; i++)
        assert_non_null(arena_alloc(&arena, 1));
    assert_null(arena_alloc(&arena, 1));
    arena_close(&arena);
}

static void
arena_drops_large_blocks_on_reset(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 4 << 20);
    assert_non_null(arena_alloc(&arena, 1 << 20));
    assert_non_null(arena_alloc(&arena, 1 << 20));
    arena_reset(&arena);
    assert_null(arena.blocks);
    arena_close(&arena);
    arena_close(&arena); /* closing twice is harmless */
}

static void
arena_copies(void **state)
{
    struct arena arena;
    struct bytes copy;

    (void)state;
    arena_init(&arena, 16);
    assert_int_equal(arena_copy(&arena, bytes_of(NULL, 0), &copy), OK);
    assert_int_equal(copy.size, 0);
    assert_int_equal(arena_copy(&arena, bytes_of_text("value"), &copy), OK);
    assert_true(bytes_equal(copy, bytes_of_text("value")));
    assert_int_equal(arena_copy(&arena, bytes_of_text("too much"), &copy), ERR_NOMEM);
    assert_null(copy.data);
    assert_int_equal(copy.size, 0);
    arena_close(&arena);
}

static void
buf_grows_and_consumes(void **state)
{
    struct buf buf = {0};
    uint8_t expected[5000];

    (void)state;
    assert_int_equal(buf_bytes(&buf).size, 0);
    buf_consume(&buf, 0);
    for (size_t i = 0; i < sizeof(expected); i++) {
        expected[i] = (uint8_t)(i * 31);
        assert_int_equal(buf_append(&buf, bytes_of(&expected[i], 1)), OK);
    }
    assert_true(bytes_equal(buf_bytes(&buf), bytes_of(expected, sizeof(expected))));

    buf_consume(&buf, 4000);
    assert_true(bytes_equal(buf_bytes(&buf), bytes_of(expected + 4000, 1000)));
    assert_true(all_zero(buf.data + 1000, 4000)); /* what was consumed leaves nothing */
    buf_consume(&buf, 1000);
    assert_int_equal(buf.size, 0);
    buf_close(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.capacity, 0);
    buf_close(&buf);
}

static void
buf_refuses_impossible_sizes(void **state)
{
    struct buf buf = {0};

    (void)state;
    assert_int_equal(buf_append_text(&buf, "x"), OK);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX), ERR_NOMEM);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX / 2), ERR_NOMEM);
    assert_true(bytes_equal(buf_bytes(&buf), bytes_of_text("x")));
    buf_close(&buf);
}

static void
buf_prints(void **state)
{
    struct buf buf = {0};
    char long_text[1000];

    (void)state;
    memset(long_text, 'y', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_int_equal(buf_printf(&buf, "%s=%d", "a", 7), OK);
    assert_int_equal(buf_append_text(&buf, ";"), OK);
    assert_int_equal(buf_printf(&buf, "%s", ""), OK);
    assert_true(bytes_equal(buf_bytes(&buf), bytes_of_text("a=7;")));
    assert_int_equal(buf_printf(&buf, "%s", long_text), OK);
    assert_int_equal(buf.size, 4 + 999);
    assert_memory_equal(buf.data + 4, long_text, 999);
    buf_close(&buf);
}

static void
buf_truncates(void **state)
{
    struct buf buf = {0};

    (void)state;
    buf_truncate(&buf, 0);
    assert_int_equal(buf_append_text(&buf, "secret"), OK);
    const uint8_t *memory = buf.data;
    buf_truncate(&buf, 2);
    assert_true(bytes_equal(buf_bytes(&buf), bytes_of_text("se")));
    assert_ptr_equal(buf.data, memory);
    assert_true(all_zero(memory + 2, 4));
    buf_truncate(&buf, 2);
    assert_int_equal(buf.size, 2);
    buf_truncate(&buf, 0);
    assert_true(all_zero(memory, 6));
    buf_close(&buf);
}

static void
reset_keeps_moderate_memory(void **state)
{
    static const uint8_t large[64 * 1024 + 1];
    struct buf buf = {0};

    (void)state;
    buf_reset(&buf);
    assert_int_equal(buf_append_text(&buf, "secret"), OK);
    const uint8_t *memory = buf.data;
    buf_reset(&buf);
    assert_int_equal(buf.size, 0);
    assert_ptr_equal(buf.data, memory);
    assert_true(all_zero(memory, 6));
    assert_int_equal(buf_append(&buf, bytes_of(large, sizeof(large))), OK);
    buf_reset(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.capacity, 0);
}

static void
wipes(void **state)
{
    uint8_t data[40];

    (void)state;
    memset(data, 0xff, sizeof(data));
    bytes_wipe(data, 39);
    assert_true(all_zero(data, 39));
    assert_int_equal(data[39], 0xff);
    bytes_wipe(NULL, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_views),
        cmocka_unit_test(arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(arena_zeroes_what_was_used),
        cmocka_unit_test(arena_keeps_its_limit),
        cmocka_unit_test(arena_drops_large_blocks_on_reset),
        cmocka_unit_test(arena_copies),
        cmocka_unit_test(buf_grows_and_consumes),
        cmocka_unit_test(buf_refuses_impossible_sizes),
        cmocka_unit_test(buf_prints),
        cmocka_unit_test(buf_truncates),
        cmocka_unit_test(reset_keeps_moderate_memory),
        cmocka_unit_test(wipes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
