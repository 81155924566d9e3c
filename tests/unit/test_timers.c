/* Timers fire in order of time, and in arming order where the times are equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/timers.h"

static void
test_order(void **state)
{
    struct timers timers = {0};
    struct timer t;
    struct instant due;
    uint64_t seed = 12345, last_due = 0, last_tag = 0, fired = 0;
    (void)state;
    assert_false(timers_next(&timers, &due));
    for (uint64_t i = 0; i < 5000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        assert_int_equal(
            timers_arm(&timers, (struct instant){(seed >> 33) % 500}, ACTOR_GATEWAY, i), OK);
    }
    assert_true(timers_next(&timers, &due));
    while (timers_pop(&timers, (struct instant){1000}, &t)) {
        assert_true(t.due.ns > last_due ||
                    (t.due.ns == last_due && (fired == 0 || t.tag > last_tag)));
        last_due = t.due.ns;
        last_tag = t.tag;
        fired++;
    }
    assert_int_equal(fired, 5000);
    timers_close(&timers);
}

static void
test_only_what_is_due(void **state)
{
    struct timers timers = {0};
    struct timer t;
    (void)state;
    assert_int_equal(timers_arm(&timers, (struct instant){20}, ACTOR_REPAIRER, 2), OK);
    assert_int_equal(timers_arm(&timers, (struct instant){10}, ACTOR_COORDINATOR, 1), OK);
    assert_false(timers_pop(&timers, (struct instant){9}, &t));
    assert_true(timers_pop(&timers, (struct instant){10}, &t));
    assert_int_equal(t.actor, ACTOR_COORDINATOR);
    assert_int_equal(t.tag, 1);
    assert_false(timers_pop(&timers, (struct instant){19}, &t));
    assert_true(timers_pop(&timers, (struct instant){20}, &t));
    assert_int_equal(t.actor, ACTOR_REPAIRER);
    timers_close(&timers);
}

/* As a server arms them: of a few durations, with time going on between, and some of any length. */
static void
test_durations(void **state)
{
    static const uint64_t durations[] = {5000000, 2000, 2000, 4000, 60000000, 20, 0, 250000};
    struct timers timers = {0};
    struct timer t;
    uint64_t seed = 7, now = 1, armed = 0, fired = 0, last_due = 0, last_order = 0;
    (void)state;
    for (unsigned i = 0; i < 20000 || armed > fired; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t dice = seed >> 33;
        now += i < 20000 ? dice % 500 : 1000000;
        uint64_t after = dice % 16 < 8 ? durations[dice % 8] : durations[0];
        if (dice % 97 == 0)
            after = dice % 3000000;
        if (i < 20000 && dice % 5 != 0)
            assert_int_equal(
                timers_arm(&timers, (struct instant){now + after}, ACTOR_GATEWAY, armed++), OK);
        for (struct instant due; timers_pop(&timers, (struct instant){now}, &t); fired++) {
            assert_int_equal(t.order, t.tag);
            assert_true(t.due.ns <= now);
            assert_true(t.due.ns > last_due || (t.due.ns == last_due && t.order > last_order) ||
                        fired == 0);
            last_due = t.due.ns;
            last_order = t.order;
            assert_true(!timers_next(&timers, &due) || due.ns >= last_due);
        }
        last_due = last_due < now ? last_due : now; /* a later one may be due at this moment, too */
        if (last_due == now)
            last_order = 0;
        struct instant due;
        assert_true(!timers_next(&timers, &due) || due.ns > now);
    }
    assert_int_equal(fired, armed);
    assert_true(timers.capacity > 0); /* some were in the heap, */
    for (size_t i = 0; i < TIMER_QUEUES; i++)
        assert_true(timers.queues[i].capacity > 0); /* and some in each queue */
    timers_close(&timers);
    assert_false(timers_next(&timers, &(struct instant){0}));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_only_what_is_due),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
