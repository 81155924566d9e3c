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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_only_what_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
