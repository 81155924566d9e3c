/* Frames in buffers: splitting of what came, and the queue of what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/link_internal.h"

static void
test_split(void **state)
{
    static const uint8_t input[] = {0, 0, 0, 1, 'a', 0, 0, 0, 3, 'b', 'c', 'd', 0, 0};
    struct bytes frame;
    size_t at = 0;

    (void)state;
    assert_int_equal(link_frame_next(bytes_of(input, sizeof(input)), 3, &at, &frame), OK);
    assert_true(bytes_equal(frame, bytes_of_text("a")));
    assert_int_equal(link_frame_next(bytes_of(input, sizeof(input)), 3, &at, &frame), OK);
    assert_true(bytes_equal(frame, bytes_of_text("bcd")));
    assert_int_equal(at, 12);
    assert_int_equal(link_frame_next(bytes_of(input, sizeof(input)), 3, &at, &frame), OK);
    assert_int_equal(frame.size, 0);
    assert_int_equal(at, 12);
}

static void
test_incomplete_frames_wait(void **state)
{
    static const uint8_t input[] = {0, 0, 0, 3, 'b', 'c', 'd'};
    size_t size;

    (void)state;
    for (size = 0; size < sizeof(input); size++) {
        struct bytes frame;
        size_t at = 0;

        assert_int_equal(link_frame_next(bytes_of(input, size), 3, &at, &frame), OK);
        assert_int_equal(frame.size, 0);
        assert_int_equal(at, 0);
    }
}

static void
test_bad_lengths(void **state)
{
    static const uint8_t empty[] = {0, 0, 0, 0}, large[] = {0, 0, 2, 1},
                         huge[] = {0xff, 0xff, 0xff, 0xff};
    struct bytes frame;
    size_t at = 0;

    (void)state;
    assert_int_equal(link_frame_next(bytes_of(empty, 4), 512, &at, &frame), ERR_MALFORMED);
    assert_int_equal(link_frame_next(bytes_of(large, 4), 512, &at, &frame), ERR_TOO_LARGE);
    assert_int_equal(link_frame_next(bytes_of(large, 4), 513, &at, &frame), OK);
    assert_int_equal(link_frame_next(bytes_of(huge, 4), FRAME_BYTES_MAX, &at, &frame),
                     ERR_TOO_LARGE);
}

static void
test_queue_limits(void **state)
{
    struct link_queue queue = {0};
    uint8_t *large = calloc(1, FRAME_BYTES_MAX + 1);

    (void)state;
    assert_non_null(large);
    assert_int_equal(link_queue_put(&queue, bytes_of(NULL, 0), 1000), ERR_RANGE);
    assert_int_equal(link_queue_put(&queue, bytes_of(large, FRAME_BYTES_MAX + 1), SIZE_MAX),
                     ERR_RANGE);
    assert_int_equal(link_queue_put(&queue, bytes_of(large, 96), 99), ERR_BUSY);
    assert_int_equal(link_queue_bytes(&queue), 0);
    assert_int_equal(link_queue_put(&queue, bytes_of(large, 96), 100), OK);
    assert_int_equal(link_queue_bytes(&queue), 100);
    assert_int_equal(link_queue_put(&queue, bytes_of(large, 1), 104), ERR_BUSY);
    assert_int_equal(link_queue_put(&queue, bytes_of(large, 1), 50), ERR_BUSY);
    assert_int_equal(link_queue_put(&queue, bytes_of(large, FRAME_BYTES_MAX), SIZE_MAX), OK);
    link_queue_close(&queue);
    free(large);
}

static void
test_slice_stays_until_it_is_sent(void **state)
{
    struct link_queue queue = {0};
    struct bytes slice;

    (void)state;
    assert_int_equal(link_queue_slice(&queue).size, 0);
    assert_int_equal(link_queue_put(&queue, bytes_of_text("abc"), 1000), OK);
    assert_int_equal(link_queue_slice(&queue).size, 7);
    assert_int_equal(link_queue_put(&queue, bytes_of_text("defg"), 1000), OK);
    assert_int_equal(link_queue_slice(&queue).size, 7);
    link_queue_sent(&queue, 2);
    slice = link_queue_slice(&queue);
    assert_int_equal(slice.size, 13);
    assert_memory_equal(slice.data, "\0\3abc\0\0\0\4defg", 13);
    assert_int_equal(queue.buf.data[1], 0); /* what is sent is wiped */
    link_queue_sent(&queue, 13);
    assert_int_equal(link_queue_bytes(&queue), 0);
    assert_int_equal(link_queue_slice(&queue).size, 0);
    link_queue_close(&queue);
}

/*
 * Bytes come out as they went in, however they are cut, and the buffer does not grow without end.
 */
static void
test_queue_keeps_order(void **state)
{
    struct link_queue queue = {0};
    uint8_t frame[3000];
    uint32_t put = 0, got = 0;
    size_t in_frame = 0, step = 1, i;

    (void)state;
    while (got < 20000) {
        struct bytes slice;

        while (put < 20000 && link_queue_bytes(&queue) < 200000) {
            memset(frame, (int)(put & 0xff), sizeof(frame));
            assert_int_equal(link_queue_put(&queue, bytes_of(frame, 1 + put % 3000), 300000), OK);
            put++;
        }
        slice = link_queue_slice(&queue);
        step = step * 7 % 16381;
        if (step + 1 < slice.size)
            slice.size = step + 1;
        for (i = 0; i < slice.size; i++) {
            if (in_frame >= LINK_FRAME_HEADER_BYTES)
                assert_int_equal(slice.data[i], got & 0xff);
            if (++in_frame == LINK_FRAME_HEADER_BYTES + 1 + got % 3000) {
                in_frame = 0;
                got++;
            }
        }
        link_queue_sent(&queue, slice.size);
        assert_true(queue.buf.capacity <= 1024 * 1024);
    }
    link_queue_close(&queue);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_incomplete_frames_wait),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_queue_limits),
        cmocka_unit_test(test_slice_stays_until_it_is_sent),
        cmocka_unit_test(test_queue_keeps_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
