/*
 * How many paths this node keeps, deleted ones included (their tombstones stay). Counted after a
 * start and again every hour by a walk over the keys of 'x', a page at a time: there is one for
 * each path row, and they lie close together, where the path rows have versions between them. Kept
 * up in between as paths are made, and records forgotten. A path that is on its way to the disk
 * while a page is read may be in that page or not, so it may have been counted twice or missed,
 * until the next count: `doubt` is how many there were.
 */
#ifndef OSTRAKA_ACTORS_PATH_COUNT_H
#define OSTRAKA_ACTORS_PATH_COUNT_H

#include "base/instant.h"
#include "proto/msg.h"
#include "proto/rows.h"

struct path_count {
    bool known; /* a whole count has been made since the start */
    uint64_t paths;
    uint64_t doubt;  /* `paths` is wrong by that much at most */
    uint64_t making; /* new paths on their way to the disk */
    uint64_t going;  /* paths on their way out of it */
    /* The walk. */
    bool walking, busy; /* busy: a page is being read */
    struct instant began;
    struct row_key after; /* last key of the page before; size 0: from the first */
    uint64_t tally;
    uint64_t page_doubt, walk_doubt; /* of the page that is being read; of those before */
};

/* Whether a page is to be read now; it is then busy until path_count_page. */
bool path_count_next(struct path_count *count, struct instant now);
/* The page has been read, or could not be: then it is read again. */
void path_count_page(struct path_count *count, const struct msg_loaded *page);
/* A path that was not here is on its way to the disk; its path_count_made follows. */
void path_count_making(struct path_count *count);
/* It is on the disk, or could not be stored. */
void path_count_made(struct path_count *count, struct path path, bool stored);
/* A path is on its way out of the store; its path_count_gone follows. */
void path_count_going(struct path_count *count);
/* It is gone, or could not be removed. */
void path_count_gone(struct path_count *count, struct path path, bool removed);

#endif
