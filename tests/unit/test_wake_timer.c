/* What wakes a loop wakes it at the earliest moment that it was told of, and once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <event2/event.h>

#include "runtime/wake_timer.h"

enum { MS = 1000 * 1000 };

static struct instant
in_ms(uint64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct instant){(uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + ms * MS};
}

static bool
is_past(struct instant due)
{
    return !instant_before(in_ms(0), due);
}

struct loop {
    struct event_base *base;
    struct wake_timer timer;
};

static void
loop_open(struct loop *loop)
{
    loop->base = event_base_new();
    assert_non_null(loop->base);
    assert_int_equal(wake_timer_open(loop->base, &loop->timer), OK);
}

static void
loop_close(struct loop *loop)
{
    wake_timer_close(&loop->timer);
    wake_timer_close(&loop->timer); /* once more does nothing */
    event_base_free(loop->base);
}

static void
wait_once(struct loop *loop)
{
    assert_int_equal(event_base_loop(loop->base, EVLOOP_ONCE), 0);
    assert_int_equal(loop->timer.armed_ns, 0);
}

static void
test_earliest_counts(void **state)
{
    struct loop loop;
    struct instant early, late;

    (void)state;
    loop_open(&loop);
    late = in_ms(60 * 1000);
    wake_timer_at(&loop.timer, late);
    early = in_ms(30);
    wake_timer_at(&loop.timer, early);
    wake_timer_at(&loop.timer, late);
    assert_int_equal(loop.timer.armed_ns, early.ns);
    wait_once(&loop);
    assert_true(is_past(early));
    assert_false(is_past(late));
    loop_close(&loop);
}

static void
test_armed_again(void **state)
{
    struct loop loop;

    (void)state;
    loop_open(&loop);
    for (unsigned i = 0; i < 5; i++) {
        struct instant due = in_ms(i);

        wake_timer_at(&loop.timer, due);
        wait_once(&loop);
        assert_true(is_past(due));
    }
    loop_close(&loop);
}

/* What is due already is not missed. */
static void
test_moments_past(void **state)
{
    struct loop loop;

    (void)state;
    loop_open(&loop);
    wake_timer_at(&loop.timer, (struct instant){0});
    wait_once(&loop);
    wake_timer_at(&loop.timer, in_ms(0));
    wait_once(&loop);
    loop_close(&loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_earliest_counts),
        cmocka_unit_test(test_armed_again),
        cmocka_unit_test(test_moments_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
