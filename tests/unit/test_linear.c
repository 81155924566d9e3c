/* The search for an order: that it finds one where there is one, and ends where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "check/linear.h"
#include "proto/alteration.h"

static struct linear_op
op(uint64_t number, enum request_kind kind, uint64_t called, uint64_t ended)
{
    return (struct linear_op){.number = number,
                              .kind = kind,
                              .outcome = LINEAR_DONE,
                              .called_ns = called,
                              .ended_ns = ended};
}

static struct linear_op
wrote(uint64_t number, enum request_kind kind, uint64_t version, uint64_t called, uint64_t ended)
{
    struct linear_op o = op(number, kind, called, ended);
    o.seen_version = version;
    return o;
}

static struct linear_op
read_of(uint64_t number, uint64_t write, uint64_t version, uint64_t called, uint64_t ended)
{
    struct linear_op o = op(number, REQUEST_READ, called, ended);
    o.read_number = write;
    o.version = version;
    return o;
}

static struct linear_op
refused_read(uint64_t number, uint64_t called, uint64_t ended)
{
    struct linear_op o = op(number, REQUEST_READ, called, ended);
    o.outcome = LINEAR_REFUSED;
    o.refusal = ERR_NOT_FOUND;
    return o;
}

/* Deleted and had back at once: either may have been the last, and leaves another state. */
static void
test_alterations_in_either_order(void **state)
{
    (void)state;
    struct alteration gone = {.soft_delete = {.count = 1, .of = {1}}};
    struct alteration back = {.undelete = {.count = 1, .of = {1}}};
    struct linear_op ops[] = {
        wrote(1, REQUEST_CREATE, 1, 10, 20),
        op(2, REQUEST_ALTER, 30, 60),
        op(3, REQUEST_ALTER, 31, 60),
        refused_read(4, 70, 80),
        refused_read(5, 70, 80),
    };
    for (unsigned first = 0; first < 2; first++) {
        ops[1].alteration = first == 0 ? &gone : &back;
        ops[2].alteration = first == 0 ? &back : &gone;
        ops[3] = refused_read(4, 70, 80);
        ops[4] = refused_read(5, 90, 99);
        assert_int_equal(linear_check(ops, 5, 1000), LINEAR);
        ops[3] = read_of(4, 1, 1, 70, 80);
        ops[4] = read_of(5, 1, 1, 90, 99);
        assert_int_equal(linear_check(ops, 5, 1000), LINEAR);
        ops[4] = refused_read(5, 90, 99);
        assert_int_equal(linear_check(ops, 5, 1000), NOT_LINEAR);
    }
}

/* Thirty reads at once, and one that cannot be: not every set of the thirty is tried. */
static void
test_reads_are_no_choice(void **state)
{
    (void)state;
    enum { READS = 30 };
    struct linear_op ops[READS + 4];
    size_t count = 0;
    ops[count++] = wrote(1, REQUEST_CREATE, 1, 10, 20);
    ops[count] = op(2, REQUEST_UPDATE, 30, 0);
    ops[count++].outcome = LINEAR_OPEN;
    for (unsigned i = 0; i < READS; i++)
        ops[count++] = read_of(3 + i, 1, 1, 40 + i, 100 + i);
    ops[count++] = read_of(100, 2, 2, 200, 210);
    assert_int_equal(linear_check(ops, count, 1000), LINEAR);
    ops[count++] = read_of(101, 1, 1, 220, 230);
    assert_int_equal(linear_check(ops, count, 1000), NOT_LINEAR);
}

/* Of many creates that may have happened, and that nobody saw, it does not matter which. */
static void
test_open_changes_alike(void **state)
{
    (void)state;
    enum { CREATES = 24 };
    struct linear_op ops[CREATES + 8];
    size_t count = 0;
    for (unsigned i = 0; i < CREATES; i++) {
        ops[count] = op(1 + i, REQUEST_CREATE, 10 + i, 0);
        ops[count++].outcome = LINEAR_OPEN;
    }
    ops[count++] = op(50, REQUEST_DELETE, 50, 60);
    ops[count++] = op(51, REQUEST_DELETE, 70, 80);
    ops[count++] = wrote(52, REQUEST_UPDATE, 2, 90, 95);
    ops[count++] = read_of(53, 52, 2, 96, 97);
    assert_int_equal(linear_check(ops, count, 5000), LINEAR);
    ops[count++] = read_of(54, 52, 3, 98, 99);
    assert_int_equal(linear_check(ops, count, 5000), NOT_LINEAR);
    ops[count - 1] = read_of(54, 7, 1, 98, 99); /* one of them is seen */
    assert_int_equal(linear_check(ops, count, 5000), NOT_LINEAR);
    ops[count - 2] = read_of(53, 7, 1, 85, 89);
    ops[count - 1] = read_of(54, 52, 2, 98, 99);
    assert_int_equal(linear_check(ops, count, 5000), LINEAR);
}

/* A look waits for the state that it saw, though others fit before. */
static void
test_looks_of_several_states(void **state)
{
    (void)state;
    struct linear_op ops[] = {
        read_of(5, 2, 2, 1, 100),
        read_of(6, 1, 1, 2, 101),
        refused_read(7, 3, 102),
        read_of(8, 3, 3, 4, 103),
        wrote(1, REQUEST_CREATE, 1, 5, 104),
        wrote(2, REQUEST_UPDATE, 2, 6, 105),
        wrote(3, REQUEST_UPDATE, 3, 7, 106),
    };
    assert_int_equal(linear_check(ops, 7, 1000), LINEAR);
    ops[3].called_ns = 107; /* after all */
    ops[3].ended_ns = 108;
    assert_int_equal(linear_check(ops, 7, 1000), LINEAR);
    ops[0].called_ns = 109;
    ops[0].ended_ns = 110;
    assert_int_equal(linear_check(ops, 7, 1000), NOT_LINEAR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alterations_in_either_order),
        cmocka_unit_test(test_reads_are_no_choice),
        cmocka_unit_test(test_open_changes_alike),
        cmocka_unit_test(test_looks_of_several_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
