/* Ids of records that stay the same for good. */
#ifndef OSTRAKA_TESTS_ASSERT_ID_H
#define OSTRAKA_TESTS_ASSERT_ID_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/head.h"

/* `expected` in hexadecimal digits. */
static inline void
assert_id(struct bytes encoded, const char *expected)
{
    uint8_t id[ID_BYTES];
    char text[2 * ID_BYTES + 1];

    record_id(encoded, id);
    hex_encode(bytes_of(id, sizeof(id)), text);
    assert_string_equal(text, expected);
}

#endif
