/* What the fuzz targets share. */
#ifndef OSTRAKA_FUZZ_FUZZ_H
#define OSTRAKA_FUZZ_FUZZ_H

#include <stdlib.h>

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding, unless it is so. */
static inline void
require(bool condition)
{
    if (!condition)
        abort();
}

/* Expects that encoding, with that outcome, gave the input back. Closes it. */
static inline void
check_same(enum vault_err err, struct bytes input, struct buf *again)
{
    require(err == OK && bytes_equal(input, buf_bytes(again)));
    buf_close(again);
}

/* The first byte picks which check the rest is for. Returns what a target does. */
typedef void fuzz_check(struct bytes input);

static inline int
fuzz_pick(fuzz_check *const checks[], size_t count, const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] < count)
        checks[data[0]](bytes_of(data + 1, size - 1));
    return 0;
}

#endif
