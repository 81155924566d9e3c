/* Names in one line: each once, and as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/name_list.h"

static void
a_name_within_another(void **state)
{
    char list[64] = "";

    (void)state;
    name_list_add(list, sizeof list, "web10");
    name_list_add(list, sizeof list, "web1");
    name_list_add(list, sizeof list, "eb1");
    name_list_add(list, sizeof list, "web10");
    name_list_add(list, sizeof list, "web1");
    assert_string_equal(list, "web10, web1, eb1");
}

static void
what_does_not_fit(void **state)
{
    char list[8] = "";

    (void)state;
    name_list_add(list, sizeof list, "node1");
    name_list_add(list, sizeof list, "node2");
    name_list_add(list, sizeof list, "node3");
    assert_int_equal(strlen(list), sizeof list - 1);
    assert_memory_equal(list, "node1, ", sizeof list);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_within_another),
        cmocka_unit_test(what_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
