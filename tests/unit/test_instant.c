/* Instants and RFC 3339, the calendar being compared with the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/instant.h"

#define WALL_MS_MAX UINT64_C(253402300799999)

static void
adds_and_subtracts(void **state)
{
    struct instant t = {.ns = 5000000};

    (void)state;
    assert_int_equal(instant_add(t, duration_ms(3)).ns, 8000000);
    assert_int_equal(duration_us(7).ns, 7000);
    assert_int_equal(instant_since(instant_add(t, duration_us(1)), t).ns, 1000);
    assert_int_equal(instant_since(t, instant_add(t, duration_us(1))).ns, 0);
    assert_true(instant_before(t, instant_add(t, duration_us(1))));
    assert_false(instant_before(t, t));
}

static void
expect_format(uint64_t wall_ms, const char *expected)
{
    char text[RFC3339_BYTES];

    rfc3339_format(wall_ms, text);
    assert_string_equal(text, expected);
}

static void
formats(void **state)
{
    (void)state;
    expect_format(0, "1970-01-01T00:00:00.000Z");
    expect_format(UINT64_C(951782400000), "2000-02-29T00:00:00.000Z");
    expect_format(UINT64_C(1709251199999), "2024-02-29T23:59:59.999Z");
    expect_format(UINT64_C(4107542400000), "2100-03-01T00:00:00.000Z");
    expect_format(WALL_MS_MAX, "9999-12-31T23:59:59.999Z");
    expect_format(WALL_MS_MAX + 1, "9999-12-31T23:59:59.999Z");
    expect_format(UINT64_MAX, "9999-12-31T23:59:59.999Z");
}

/* Every day of eight thousand years, at a moment that differs from day to day. */
static void
agrees_with_the_c_library(void **state)
{
    (void)state;
    for (uint64_t day = 0; day * 86400000 < WALL_MS_MAX; day++) {
        uint64_t wall_ms = day * 86400000 + day * 7919 % 86400000;
        time_t seconds = (time_t)(wall_ms / 1000);
        char text[RFC3339_BYTES];
        char expected[64];
        uint64_t parsed;
        struct tm tm;

        assert_non_null(gmtime_r(&seconds, &tm));
        (void)snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ",
                       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                       tm.tm_sec, (unsigned)(wall_ms % 1000));
        rfc3339_format(wall_ms, text);
        if (strcmp(text, expected) != 0)
            fail_msg("%s is not %s", text, expected);
        if (rfc3339_parse(bytes_of_text(text), &parsed) != OK || parsed != wall_ms)
            fail_msg("%s came back as another moment", text);
    }
}

static void
parses(void **state)
{
    static const struct {
        const char *text;
        uint64_t wall_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"1970-01-01T00:00:00.1Z", 100},
        {"1970-01-01T00:00:00.12Z", 120},
        {"1970-01-01T00:00:00.123999999Z", 123},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1970-01-01T00:00:00-00:30", 1800000},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2024-02-29T12:00:00+05:30", UINT64_C(1709188200000)},
        {"2024-02-29T12:00:00-23:59", UINT64_C(1709294340000)},
        {"9999-12-31T23:59:59.999999999Z", WALL_MS_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t wall_ms;

        if (rfc3339_parse(bytes_of_text(cases[i].text), &wall_ms) != OK)
            fail_msg("%s was refused", cases[i].text);
        assert_int_equal(wall_ms, cases[i].wall_ms);
    }
}

static void
refuses(void **state)
{
    static const char *const cases[] = {
        "",
        "2024",
        "2024-02-29",
        "2024-02-29T12:00:00",
        "2024-02-29 12:00:00Z",
        "2024-02-29t12:00:00Z",
        "2024-02-29T12:00:00z",
        "2024-02-29T12:00Z",
        "2024-02-29T12:00:00.Z",
        "2024-02-29T12:00:00.1234567890Z",
        "2024-02-29T12:00:00,5Z",
        "2024-02-29T12:00:00Z ",
        " 2024-02-29T12:00:00Z",
        "2024-02-29T12:00:00ZZ",
        "2024-02-29T12:00:00+0100",
        "2024-02-29T12:00:00+01",
        "2024-02-29T12:00:00+24:00",
        "2024-02-29T12:00:00+01:60",
        "2024-02-29T12:00:00+1:000",
        "2024-02-29T24:00:00Z",
        "2024-02-29T12:60:00Z",
        "2024-02-29T12:00:60Z",
        "2016-12-31T23:59:60Z",
        "2023-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z",
        "2024-00-10T12:00:00Z",
        "2024-13-10T12:00:00Z",
        "2024-04-31T12:00:00Z",
        "2024-04-00T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "-2024-02-29T12:00:00Z",
        "+024-02-29T12:00:00Z",
        "2o24-02-29T12:00:00Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t wall_ms = 77;

        if (rfc3339_parse(bytes_of_text(cases[i]), &wall_ms) != ERR_MALFORMED)
            fail_msg("'%s' was not refused", cases[i]);
        assert_int_equal(wall_ms, 0);
    }
    {
        uint64_t wall_ms;

        assert_int_equal(rfc3339_parse(bytes_of(NULL, 0), &wall_ms), ERR_MALFORMED);
        assert_int_equal(rfc3339_parse(bytes_of("2024-02-29T12:00:00\0Z", 21), &wall_ms),
                         ERR_MALFORMED);
    }
}

/* No prefix of a moment is a moment, and the parser does not read past its end. */
static void
refuses_every_prefix(void **state)
{
    static const char text[] = "2024-02-29T12:00:00.5+01:00";

    (void)state;
    for (size_t size = 0; size < sizeof(text) - 1; size++) {
        uint64_t wall_ms;

        assert_int_equal(rfc3339_parse(bytes_of(text, size), &wall_ms), ERR_MALFORMED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_and_subtracts),
        cmocka_unit_test(formats),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_every_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
