/*
 * The filter of paths that may have a row: never wrong about what was added, seldom about the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "actors/path_filter.h"
#include "actors/path_map.h"

static uint64_t
hash_of(const struct path_map *map, const char *prefix, unsigned number)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%s%u", prefix, number);
    return path_map_hash(map, (struct path){bytes_of_text("default"), bytes_of_text(name)});
}

static void
test_what_was_added_is_there(void **state)
{
    enum { PATHS = 500000, OTHERS = 100000 };
    struct path_filter filter;
    struct path_map map;
    unsigned wrong = 0;

    (void)state;
    assert_int_equal(path_filter_init(&filter), OK);
    assert_int_equal(path_map_init(&map, 64, 4711), OK);
    for (unsigned i = 0; i < PATHS; i++) {
        assert_false(i < 1000 && path_filter_may_have(&filter, hash_of(&map, "app/secret-", i)));
        path_filter_add(&filter, hash_of(&map, "app/secret-", i));
    }
    for (unsigned i = 0; i < PATHS; i++)
        assert_true(path_filter_may_have(&filter, hash_of(&map, "app/secret-", i)));
    for (unsigned i = 0; i < OTHERS; i++)
        wrong += path_filter_may_have(&filter, hash_of(&map, "other/", i));
    assert_in_range(wrong, 0, OTHERS / 1000);
    path_map_close(&map);
    path_filter_close(&filter);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_added_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
