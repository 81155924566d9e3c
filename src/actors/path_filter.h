/*
 * Which paths this node surely has no row of, so that the first vote on a new path needs no look at
 * the disk: a Bloom filter of hashes of paths, each of which sets a few bits within one cache line.
 *
 * It takes every path that is stored, from the start on; and every path row that is found on the disk,
 * as the rows are read once after a start (anti_entropy_digests.h). Only when that is done does it
 * say of anything that it is absent. Rows that are deleted stay in it.
 *
 * Memory: 4 MiB, whatever the number of paths. At 2 million paths one absent path in 300 is looked
 * up all the same, at 3 million one in 60; with many more the filter is of no use, and no harm.
 */
#ifndef OSTRAKA_ACTORS_PATH_FILTER_H
#define OSTRAKA_ACTORS_PATH_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    PATH_FILTER_LINES = 1 << 16,
    PATH_FILTER_LINE_WORDS = 8,
    PATH_FILTER_BITS = 6, /* set for each path */
};

struct path_filter {
    uint64_t (*lines)[PATH_FILTER_LINE_WORDS];
};

/* Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err path_filter_init(struct path_filter *filter);
void path_filter_close(struct path_filter *filter);
/* The hash of a path is that of its link in a path_map, always the same one. */
void path_filter_add(struct path_filter *filter, uint64_t hash);
/* False: it was never added. */
bool path_filter_may_have(const struct path_filter *filter, uint64_t hash);

#endif
