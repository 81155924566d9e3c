#include "actors/path_filter.h"

#include <assert.h>
#include <stdlib.h>

enum { LINE_BITS_LOG2 = 9 };

static_assert(PATH_FILTER_LINE_WORDS * 64 == 1 << LINE_BITS_LOG2, "bits of a line");
static_assert(PATH_FILTER_BITS * LINE_BITS_LOG2 <= 64, "one number chooses all bits");

enum vault_err
path_filter_init(struct path_filter *filter)
{
    filter->lines = calloc(PATH_FILTER_LINES, sizeof(*filter->lines));
    return filter->lines ? OK : ERR_NOMEM;
}

void
path_filter_close(struct path_filter *filter)
{
    free(filter->lines);
    filter->lines = NULL;
}

/* The bits within a line: a number that is independent of the line. */
static uint64_t
bits_of(uint64_t hash)
{
    hash ^= hash >> 31;
    hash *= UINT64_C(0xbf58476d1ce4e5b9);
    hash ^= hash >> 29;
    return hash * UINT64_C(0x94d049bb133111eb);
}

static uint64_t *
line_of(const struct path_filter *filter, uint64_t hash)
{
    return filter->lines[(hash >> 16) % PATH_FILTER_LINES];
}

void
path_filter_add(struct path_filter *filter, uint64_t hash)
{
    uint64_t *line = line_of(filter, hash);
    uint64_t bits = bits_of(hash);

    for (unsigned i = 0; i < PATH_FILTER_BITS; i++, bits >>= LINE_BITS_LOG2)
        line[bits / 64 % PATH_FILTER_LINE_WORDS] |= UINT64_C(1) << bits % 64;
}

bool
path_filter_may_have(const struct path_filter *filter, uint64_t hash)
{
    const uint64_t *line = line_of(filter, hash);
    uint64_t bits = bits_of(hash);

    for (unsigned i = 0; i < PATH_FILTER_BITS; i++, bits >>= LINE_BITS_LOG2) {
        if ((line[bits / 64 % PATH_FILTER_LINE_WORDS] >> bits % 64 & 1) == 0)
            return false;
    }
    return true;
}
