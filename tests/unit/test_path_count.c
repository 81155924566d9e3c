/* How many paths a node keeps: what the walk finds, and what is made meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/path_count.h"

enum { PATHS = 10 };

static int
by_key(const void *a, const void *b)
{
    return bytes_compare(row_key_bytes(a), row_key_bytes(b));
}

/* Of ten paths that in the order in which the walk comes to them is the one of that number. */
static struct row_key
key_of(unsigned number)
{
    static const char *const names[PATHS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    struct row_key keys[PATHS];

    for (unsigned i = 0; i < PATHS; i++)
        row_key_index((struct path){bytes_of_text("default"), bytes_of_text(names[i])}, &keys[i]);
    qsort(keys, PATHS, sizeof(keys[0]), by_key);
    return keys[number];
}

static void
made(struct path_count *count, unsigned number, bool stored)
{
    struct row_key key = key_of(number);
    struct path path;

    assert_int_equal(row_key_path_of(row_key_bytes(&key), &path), OK);
    path_count_made(count, path, stored);
}

static void
gone(struct path_count *count, unsigned number, bool removed)
{
    struct row_key key = key_of(number);
    struct path path;

    assert_int_equal(row_key_path_of(row_key_bytes(&key), &path), OK);
    path_count_gone(count, path, removed);
}

/* A page of three keys: `first` and the two after it. */
static void
page(struct path_count *count, unsigned first, bool more)
{
    struct row_key keys[3];
    struct loaded_row rows[3];
    struct msg_loaded loaded = {.rows = rows, .count = 3, .more = more};

    for (unsigned i = 0; i < 3; i++) {
        keys[i] = key_of(first + i);
        rows[i] = (struct loaded_row){.key = row_key_bytes(&keys[i]), .found = true};
    }
    path_count_page(count, &loaded);
}

static struct instant
at_ms(uint64_t ms)
{
    return (struct instant){ms * 1000000};
}

static void
make(struct path_count *count, unsigned number)
{
    path_count_making(count);
    made(count, number, true);
}

static void
test_counts(void **state)
{
    struct path_count count = {0};

    (void)state;
    assert_true(path_count_next(&count, at_ms(1000)));
    assert_false(path_count_next(&count, at_ms(1000)));
    page(&count, 1, true);
    assert_false(count.known);
    assert_true(path_count_next(&count, at_ms(1010)));
    path_count_page(&count, &(struct msg_loaded){.err = ERR_IO});
    assert_true(path_count_next(&count, at_ms(1020)));
    page(&count, 4, false);
    assert_true(count.known);
    assert_int_equal(count.paths, 6);
    assert_false(path_count_next(&count, at_ms(2000)));
    make(&count, 0);
    assert_int_equal(count.paths, 7);
    assert_true(path_count_next(&count, at_ms(1000 + 3600 * 1000)));
}

static void
test_made_during_the_walk(void **state)
{
    struct path_count count = {0};

    (void)state;
    assert_true(path_count_next(&count, at_ms(1)));
    page(&count, 3, true); /* p3 p4 p5 */
    make(&count, 1);
    make(&count, 8); /* the walk comes to it */
    assert_true(path_count_next(&count, at_ms(2)));
    page(&count, 6, false); /* p6 p7 p8 */
    assert_int_equal(count.paths, 7);

    /* A second walk leaves the number in use until it has ended. */
    assert_true(path_count_next(&count, at_ms(3600 * 1000 + 1)));
    make(&count, 9);
    assert_int_equal(count.paths, 8);
    path_count_page(&count, &(struct msg_loaded){.count = 0});
    assert_int_equal(count.paths, 0);
}

/* The page that was read meanwhile has it or not: who is right is not known, by how much is. */
static void
test_doubt(void **state)
{
    struct path_count count = {0};

    (void)state;
    path_count_making(&count); /* p1, committed and not yet told */
    assert_true(path_count_next(&count, at_ms(1)));
    make(&count, 2);           /* committed after the page was read, or before */
    page(&count, 1, true);     /* p1 p2 p3 */
    make(&count, 0);           /* no page is being read */
    path_count_making(&count); /* p9 */
    made(&count, 9, false);
    assert_true(path_count_next(&count, at_ms(2)));
    path_count_page(&count, &(struct msg_loaded){.err = ERR_IO}); /* read again: no doubt of it */
    assert_true(path_count_next(&count, at_ms(3)));
    page(&count, 4, false); /* p4 p5 p6 */
    made(&count, 1, true);
    assert_int_equal(count.making, 0);
    assert_int_equal(count.paths, 8); /* and seven there are */
    assert_int_equal(count.doubt, 3); /* p1 for two pages, p2 */
    assert_true(path_count_next(&count, at_ms(3600 * 1000 + 1)));
    page(&count, 1, false);
    assert_int_equal(count.doubt, 0);
}

/* A path that goes is taken off the walk that has seen it, and not off one that will not see it. */
static void
test_gone_during_the_walk(void **state)
{
    struct path_count count = {0};

    (void)state;
    assert_true(path_count_next(&count, at_ms(1)));
    page(&count, 1, true); /* p1 p2 p3 */
    path_count_going(&count);
    gone(&count, 2, true);
    path_count_going(&count);
    gone(&count, 8, true);
    path_count_going(&count);
    gone(&count, 3, false);
    assert_true(path_count_next(&count, at_ms(2)));
    page(&count, 4, false); /* p4 p5 p6 */
    assert_int_equal(count.paths, 5);
    assert_int_equal(count.going, 0);
    path_count_going(&count);
    gone(&count, 4, true);
    assert_int_equal(count.paths, 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_made_during_the_walk),
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_gone_during_the_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
