/*
 * How many paths this node keeps, deleted ones included (their tombstones stay). Counted after a
 * start and again every hour by a walk over the keys, a page at a time; kept up in between as paths
 * are made. A path that is made at the very moment when its page is read can be counted wrong until
 * the next count.
 */
#ifndef OSTRAKA_ACTORS_PATH_COUNT_H
#define OSTRAKA_ACTORS_PATH_COUNT_H

#include "base/instant.h"
#include "proto/msg.h"
#include "proto/rows.h"

struct path_count {
    bool known; /* a whole count has been made since the start */
    uint64_t paths;
    /* The walk. */
    bool walking, busy; /* busy: a page is being read */
    struct instant began;
    struct row_key after; /* last key of the page before; size 0: from the first */
    uint64_t tally;
};

/* Whether a page is to be read now; it is then busy until path_count_page. */
bool path_count_next(struct path_count *count, struct instant now);
/* The page has been read, or could not be: then it is read again. */
void path_count_page(struct path_count *count, const struct msg_loaded *page);
/* A path has been made here. */
void path_count_made(struct path_count *count, struct path path);

#endif
