/* Fixtures are texts in base64. */
#ifndef OSTRAKA_TESTS_UNBASE64_H
#define OSTRAKA_TESTS_UNBASE64_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/base64.h"

/* The result is the arena's. */
static inline struct bytes
unbase64(struct arena *arena, const char *text)
{
    size_t size, room = base64_decoded_size_max(strlen(text));
    uint8_t *data = arena_alloc(arena, room);

    assert_non_null(data);
    assert_int_equal(base64_decode(bytes_of_text(text), data, room, &size), OK);
    return bytes_of(data, size);
}

#endif
