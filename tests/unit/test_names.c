/* What names are, and that every kind of request has one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/request.h"

static bool
name_ok(const char *text)
{
    return secret_name_valid(bytes_of_text(text));
}

static bool
tenant_ok(const char *text)
{
    return tenant_name_valid(bytes_of_text(text));
}

static void
names_that_are_valid(void **state)
{
    static const char *const names[] = {
        "a",
        "a/b/c",
        "...",
        ".../..a",
        "..a/a..",
        ".hidden/.x",
        "a b",
        "a_b/_c",
        "%2F",
        "a?b#c",
        "\xc3\xa9t\xc3\xa9",
        "\xe2\x82\xac",
        "-",
        "\xf0\x9f\x94\x91",
        "A/a",
        "\xc2\xa0",
        "e\xcc\x81",
        "\xf4\x8f\xbf\xbf",
        "\\..\\x",
        "\"quoted\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!name_ok(names[i]))
            fail_msg("refused: %s", names[i]);
}

static void
names_that_are_not(void **state)
{
    static const char *const names[] = {
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "./a",
        "a/.",
        "a/./b",
        "a/../b",
        "a/..",
        "_a",
        "_",
        "_a/b",
        "a\nb",
        "a\tb",
        "\x01",
        "a\x1f",
        "a\x7f",
        "a\xc2\x80",
        ("a\xc2\x9f"
         "b"),
        "\xc2\x85",
        "\x80",
        "\xc3",
        "a\xc3",
        "\xc0\xaf",
        "\xe0\x80\xaf",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (name_ok(names[i]))
            fail_msg("accepted: name %zu, \"%s\"", i, names[i]);
    assert_false(secret_name_valid(bytes_of("a\0b", 3)));
    assert_false(secret_name_valid(bytes_of("\0", 1)));
}

static void
names_count_bytes(void **state)
{
    char name[NAME_BYTES_MAX + 1];

    (void)state;
    memset(name, 'n', sizeof name);
    assert_true(secret_name_valid(bytes_of(name, NAME_BYTES_MAX)));
    assert_false(secret_name_valid(bytes_of(name, NAME_BYTES_MAX + 1)));
    name[NAME_BYTES_MAX - 1] = '/';
    assert_false(secret_name_valid(bytes_of(name, NAME_BYTES_MAX)));
    memcpy(name + NAME_BYTES_MAX - 3, "\xe2\x82\xac", 3);
    assert_true(secret_name_valid(bytes_of(name, NAME_BYTES_MAX)));
    assert_false(secret_name_valid(bytes_of(name, NAME_BYTES_MAX - 1)));
}

/* Every byte, at every place, beside bytes at the edges of what is allowed. */
static void
every_byte_at_every_place(void **state)
{
    static const char beside[] = {' ', 'n', '~'};
    enum { SIZE_MAX_HERE = 20 };
    char name[SIZE_MAX_HERE];

    (void)state;
    for (size_t size = 1; size <= SIZE_MAX_HERE; size++) {
        for (size_t at = 0; at < size * sizeof beside; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(name, beside[at / size], size);
                name[at % size] = (char)byte;
                bool plain = byte >= 0x20 && byte < 0x7f;
                if (byte == '/')
                    plain = at % size > 0 && at % size < size - 1;
                else if ((byte == '_' && at % size == 0) || (byte == '.' && size == 1))
                    plain = false;
                assert_int_equal(secret_name_valid(bytes_of(name, size)), plain);
            }
        }
    }
}

/* The same with characters of two bytes: U+0080..9F are controls, U+00E0..FF are not. */
static void
two_bytes_at_every_place(void **state)
{
    enum { SIZE_HERE = 20 };
    char name[SIZE_HERE];

    (void)state;
    for (size_t at = 0; at + 1 < SIZE_HERE; at++) {
        for (unsigned low = 0x80; low < 0xc0; low++) {
            memset(name, 'n', sizeof name);
            name[at] = (char)0xc2;
            name[at + 1] = (char)low;
            assert_int_equal(secret_name_valid(bytes_of(name, sizeof name)), low >= 0xa0);
            name[at] = (char)0xc3;
            assert_true(secret_name_valid(bytes_of(name, sizeof name)));
            if (at > 0)
                name[at - 1] = 0x1f;
            assert_int_equal(secret_name_valid(bytes_of(name, sizeof name)), at == 0);
        }
    }
}

static void
tenants(void **state)
{
    char tenant[TENANT_BYTES_MAX + 1];

    (void)state;
    assert_true(tenant_ok("default"));
    assert_true(tenant_ok("0"));
    assert_true(tenant_ok("a_b-c9"));
    assert_true(tenant_ok("a-"));
    assert_false(tenant_ok(""));
    assert_false(tenant_ok("-a"));
    assert_false(tenant_ok("_a"));
    assert_false(tenant_ok("A"));
    assert_false(tenant_ok("aB"));
    assert_false(tenant_ok("a b"));
    assert_false(tenant_ok("a/b"));
    assert_false(tenant_ok("a.b"));
    assert_false(tenant_ok("\xc3\xa9"));
    assert_false(tenant_name_valid(bytes_of("a\0", 2)));
    memset(tenant, 'z', sizeof tenant);
    assert_true(tenant_name_valid(bytes_of(tenant, TENANT_BYTES_MAX)));
    assert_false(tenant_name_valid(bytes_of(tenant, TENANT_BYTES_MAX + 1)));
}

static void
kinds_have_distinct_names(void **state)
{
    (void)state;
    for (int i = 0; i < REQUEST_KINDS; i++) {
        const char *name = request_kind_name((enum request_kind)i);

        assert_non_null(name);
        assert_string_not_equal(name, "none");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, request_kind_name((enum request_kind)j));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_valid),      cmocka_unit_test(names_that_are_not),
        cmocka_unit_test(names_count_bytes),         cmocka_unit_test(every_byte_at_every_place),
        cmocka_unit_test(two_bytes_at_every_place),  cmocka_unit_test(tenants),
        cmocka_unit_test(kinds_have_distinct_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
