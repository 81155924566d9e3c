/* Lines that anybody may have written: so many a second, and how many were left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log_ration.h"

static struct instant
at_ms(uint64_t ms)
{
    return (struct instant){duration_ms(ms).ns};
}

static unsigned
taken(struct log_ration *ration, uint64_t ms, unsigned asked)
{
    uint64_t left_out;
    unsigned count = 0;

    for (unsigned i = 0; i < asked; i++)
        count += log_ration_take(ration, at_ms(ms), &left_out);
    return count;
}

static void
test_so_many_a_second(void **state)
{
    struct log_ration ration = {0};
    uint64_t left_out;

    (void)state;
    assert_int_equal(taken(&ration, 5000, LOG_RATION_PER_S - 1), LOG_RATION_PER_S - 1);
    assert_int_equal(taken(&ration, 5900, 8), 1);
    assert_int_equal(taken(&ration, 5999, 3), 0);
    assert_true(log_ration_take(&ration, at_ms(6000), &left_out));
    assert_int_equal(left_out, 10);
    assert_true(log_ration_take(&ration, at_ms(6000), &left_out));
    assert_int_equal(left_out, 0);
}

static void
test_few_are_all_told(void **state)
{
    struct log_ration ration = {0};

    (void)state;
    for (uint64_t ms = 1; ms < 100000; ms += 60)
        assert_int_equal(taken(&ration, ms, 1), 1);
    assert_int_equal(ration.left_out, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_so_many_a_second),
        cmocka_unit_test(test_few_are_all_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
