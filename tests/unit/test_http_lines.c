/* The line discipline of heads, asked of every byte and every place where input may be cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/http_lines.h"
#include "base/limits.h"

#define FIRST "GET /a HTTP/1.1\r\n"

/* What comes of the whole text, fed in pieces of that size. */
static enum vault_err
scan(const char *text, size_t size, size_t piece, bool *end)
{
    struct http_lines lines;
    enum vault_err err = OK;

    *end = false;
    http_lines_init(&lines);
    for (size_t at = 0; at < size && err == OK && !*end; at += piece) {
        size_t some = size - at < piece ? size - at : piece, used;
        err = http_lines_scan(&lines, bytes_of(text + at, some), &used, end);
        assert_true(used <= some);
        assert_true(err != OK || *end || used == some);
    }
    return err;
}

/* In the middle of a name that is like any other. */
static bool
may_be_in_name(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~:", c) != NULL); /* the colon ends it */
}

static bool
may_be_in_value(int c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static void
test_every_byte(void **state)
{
    static const char before_name[] = FIRST "Some-na", before_value[] = FIRST "Name: some te";
    char text[128];
    bool end;

    (void)state;
    for (int c = 0; c < 256; c++) {
        for (size_t piece = 1; piece < 40; piece += 3) {
            memcpy(text, before_name, sizeof(before_name));
            text[sizeof(before_name) - 1] = (char)c;
            memcpy(text + sizeof(before_name), "me: x\r\n\r\n", 10);
            enum vault_err err = scan(text, sizeof(before_name) + 9, piece, &end);
            assert_int_equal(err, may_be_in_name(c) ? OK : ERR_BAD_REQUEST);
            assert_int_equal(end, may_be_in_name(c));

            memcpy(text, before_value, sizeof(before_value));
            text[sizeof(before_value) - 1] = (char)c;
            memcpy(text + sizeof(before_value), "xt\r\n\r\n", 7);
            err = scan(text, sizeof(before_value) + 6, piece, &end);
            assert_int_equal(err, may_be_in_value(c) ? OK : ERR_BAD_REQUEST);
            assert_int_equal(end, may_be_in_value(c));
        }
    }
}

/* Wherever it stands in a value of which eight bytes are looked at at a time. */
static void
test_every_byte_anywhere(void **state)
{
    static const char before[] = FIRST "Name:", value[] = " some text of more than three words";
    char text[128];
    bool end;

    (void)state;
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at + 1 < sizeof(value); at++) {
            size_t size = (size_t)sprintf(text, "%s%s\r\n\r\n", before, value);
            text[sizeof(before) - 1 + at] = (char)c;
            /* A line may not end there; and what follows the end of one is no name. */
            assert_int_equal(scan(text, size, 1 << 20, &end),
                             may_be_in_value(c) ? OK : ERR_BAD_REQUEST);
            assert_int_equal(end, may_be_in_value(c));
        }
    }
}

/* All header lines have that many bytes; how they are cut makes no difference. */
static void
test_size_of_headers(void **state)
{
    const size_t pieces[] = {1, 7, 1000, 1 << 20};
    char text[HEADER_BYTES_MAX + 256];
    bool end;

    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        size_t value = HEADER_BYTES_MAX - 5 + more, size = 0; /* "N: ", CR, LF */
        size += (size_t)sprintf(text, "%s", FIRST "N: ");
        memset(text + size, 'v', value);
        size += value;
        size += (size_t)sprintf(text + size, "\r\n\r\n");
        for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
            assert_int_equal(scan(text, size, pieces[i], &end), more ? ERR_HEADERS_TOO_LARGE : OK);
            assert_int_equal(end, more == 0);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_every_byte_anywhere),
        cmocka_unit_test(test_size_of_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
