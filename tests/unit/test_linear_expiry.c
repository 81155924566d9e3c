/*
 * The search for an order, on histories of alterations and of what expires, which recorded
 * histories do not have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "check/explain.h"
#include "check/linear.h"
#include "proto/alteration.h"

enum { STEPS_MAX = 100000 };

/* By a clock that shows `a` seconds at the call and `b` at the return. */
static struct linear_op
op(uint64_t number, enum request_kind kind, uint64_t a, uint64_t b)
{
    return (struct linear_op){.number = number,
                              .kind = kind,
                              .called_ns = a * 1000000000,
                              .ended_ns = b * 1000000000,
                              .called_ms = a * 1000,
                              .ended_ms = b * 1000};
}

static struct linear_op
refused(uint64_t number, enum request_kind kind, uint64_t a, uint64_t b, enum vault_err why)
{
    struct linear_op o = op(number, kind, a, b);
    o.outcome = LINEAR_REFUSED;
    o.refusal = why;
    return o;
}

static struct linear_op
read_of(uint64_t number, uint64_t a, uint64_t b, uint64_t write, uint64_t version)
{
    struct linear_op o = op(number, REQUEST_READ, a, b);
    o.read_number = write;
    o.version = version;
    return o;
}

static struct linear_op
altered(uint64_t number, uint64_t a, uint64_t b, const struct alteration *alteration)
{
    struct linear_op o = op(number, REQUEST_ALTER, a, b);
    o.alteration = alteration;
    return o;
}

#define VERDICT(ops) linear_check(ops, sizeof(ops) / sizeof(ops[0]), STEPS_MAX)

static const struct alteration end_at_6 = {.has_expires_at = true, .expires_at_ms = 6000};
static const struct alteration end_at_9 = {.has_expires_at = true, .expires_at_ms = 9000};
static const struct alteration no_end = {.has_expires_at = true};

/*
 * The same alterations, one after the other either way, leave different states. Whichever of both
 * orders is tried first, and fails, does not stand for the other one.
 */
static void
test_the_order_of_alterations_counts(void **unused)
{
    (void)unused;
    struct linear_op gone[] = {
        op(1, REQUEST_CREATE, 0, 1),   altered(2, 2, 10, &end_at_6),
        altered(3, 3, 10, &no_end),    refused(4, REQUEST_READ, 20, 21, ERR_NOT_FOUND),
        op(5, REQUEST_CREATE, 22, 23), read_of(6, 24, 25, 5, 1),
    };
    assert_int_equal(VERDICT(gone), LINEAR);
    gone[1].alteration = &no_end;
    gone[2].alteration = &end_at_6;
    assert_int_equal(VERDICT(gone), LINEAR);

    struct linear_op there[] = {
        op(1, REQUEST_CREATE, 0, 1),
        altered(2, 2, 10, &end_at_6),
        altered(3, 3, 10, &no_end),
        read_of(4, 20, 21, 1, 1),
    };
    assert_int_equal(VERDICT(there), LINEAR);
    there[1].alteration = &no_end;
    there[2].alteration = &end_at_6;
    assert_int_equal(VERDICT(there), LINEAR);
}

/* An alteration that changes nothing leads back to no state but the one it was made in. */
static void
test_an_alteration_without_effect_hides_no_other(void **unused)
{
    (void)unused;
    static const struct alteration nothing = {.has_max_versions = false};
    struct linear_op ops[] = {
        op(1, REQUEST_CREATE, 0, 1),
        altered(2, 2, 10, &end_at_6),
        altered(3, 3, 10, &end_at_9),
        altered(4, 3, 10, &nothing),
        altered(5, 3, 10, &no_end),
        refused(6, REQUEST_READ, 20, 21, ERR_NOT_FOUND),
        refused(7, REQUEST_UPDATE, 22, 23, ERR_NOT_FOUND),
    };
    assert_int_equal(VERDICT(ops), LINEAR);
}

static void
test_single_versions_in_either_order(void **unused)
{
    (void)unused;
    static const struct alteration take = {.soft_delete = {.of = {1}, .count = 1}};
    static const struct alteration give = {.undelete = {.of = {1}, .count = 1}};
    struct linear_op there[] = {
        op(1, REQUEST_CREATE, 0, 1),
        altered(2, 2, 10, &give),
        altered(3, 3, 10, &take),
        read_of(4, 20, 21, 1, 1),
    };
    assert_int_equal(VERDICT(there), LINEAR);
    there[3] = refused(4, REQUEST_READ, 20, 21, ERR_NOT_FOUND);
    assert_int_equal(VERDICT(there), LINEAR);
    there[1].ended_ns = 2500000000; /* it was over before the other one began */
    assert_int_equal(VERDICT(there), LINEAR);
    there[3] = read_of(4, 20, 21, 1, 1);
    assert_int_equal(VERDICT(there), NOT_LINEAR);
}

static void
test_what_has_expired_is_gone(void **unused)
{
    (void)unused;
    struct linear_op ops[] = {
        op(1, REQUEST_CREATE, 0, 1),
        altered(2, 2, 3, &end_at_6),
        read_of(3, 4, 5, 1, 1),
        refused(4, REQUEST_READ, 20, 21, ERR_NOT_FOUND),
    };
    assert_int_equal(VERDICT(ops), LINEAR);
    ops[3] = read_of(4, 20, 21, 1, 1);
    assert_int_equal(VERDICT(ops), NOT_LINEAR);
    ops[2] = refused(3, REQUEST_READ, 3, 4, ERR_NOT_FOUND); /* too early */
    ops[3] = refused(4, REQUEST_READ, 20, 21, ERR_NOT_FOUND);
    assert_int_equal(VERDICT(ops), NOT_LINEAR);
}

/* An alteration whose answer was still to come may have happened: it explains what was read. */
static void
test_an_alteration_under_way_is_not_blamed(void **unused)
{
    (void)unused;
    struct linear_explanation why;
    struct linear_op ops[] = {
        op(1, REQUEST_CREATE, 0, 1),
        altered(2, 2, 30, &end_at_6),
        refused(3, REQUEST_READ, 20, 21, ERR_NOT_FOUND),
        read_of(4, 40, 41, 1, 1),
    };
    size_t count = sizeof(ops) / sizeof(ops[0]);
    assert_int_equal(linear_check(ops, count, STEPS_MAX), NOT_LINEAR);
    linear_explain(ops, count, &why);
    assert_int_equal(why.contradiction, 4);
    assert_true(why.needed[3]);
    free(why.needed);
}

static struct linear_op
expecting(struct linear_op o, uint64_t version)
{
    o.has_expected_version = true;
    o.expected_version = version;
    return o;
}

/*
 * Two updates that nobody saw, one from before the end and one from after it: only the first can
 * have happened while the end was in force, so it must not be taken for the other one's twin.
 */
static void
test_open_changes_on_both_sides_of_an_end(void **unused)
{
    (void)unused;
    struct linear_op ops[] = {
        op(1, REQUEST_CREATE, 0, 1),
        op(2, REQUEST_UPDATE, 1, 1),
        expecting(altered(3, 1, 1, &no_end), 3),
        op(4, REQUEST_UPDATE, 8, 8),
        expecting(altered(5, 9, 10, &end_at_6), 2),
        expecting(op(6, REQUEST_UPDATE, 20, 21), 3),
        read_of(7, 22, 23, 6, 4),
    };
    for (unsigned i = 1; i < 4; i++)
        ops[i].outcome = LINEAR_OPEN;
    assert_int_equal(VERDICT(ops), LINEAR);
    ops[1].called_ms = 8000; /* now both are from after it */
    assert_int_equal(VERDICT(ops), NOT_LINEAR);
}

/* Those that are on one side of it are as good as each other: not every set of them is tried. */
static void
test_open_changes_on_one_side_of_an_end(void **unused)
{
    (void)unused;
    enum { OPEN = 30 };
    struct linear_op ops[OPEN + 5];
    size_t count = 0;
    ops[count++] = op(1, REQUEST_CREATE, 0, 1);
    for (unsigned i = 0; i < OPEN; i++) {
        ops[count] = op(2 + i, i % 2 ? REQUEST_UPDATE : REQUEST_DELETE, 2 + i % 2, 3);
        ops[count] = i % 3 ? ops[count] : expecting(ops[count], 1);
        ops[count++].outcome = LINEAR_OPEN;
    }
    ops[count++] = altered(100, 4, 5, &end_at_9);
    ops[count++] = expecting(op(101, REQUEST_UPDATE, 4, 5), 30); /* there are not so many */
    assert_int_equal(linear_check(ops, count, STEPS_MAX), NOT_LINEAR);
    ops[count - 1].expected_version = 3;
    assert_int_equal(linear_check(ops, count, STEPS_MAX), LINEAR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_order_of_alterations_counts),
        cmocka_unit_test(test_an_alteration_without_effect_hides_no_other),
        cmocka_unit_test(test_single_versions_in_either_order),
        cmocka_unit_test(test_what_has_expired_is_gone),
        cmocka_unit_test(test_an_alteration_under_way_is_not_blamed),
        cmocka_unit_test(test_open_changes_on_both_sides_of_an_end),
        cmocka_unit_test(test_open_changes_on_one_side_of_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
