/*
 * Scrubber: reads through everything that this node keeps, at a bounded rate, over and over. For
 * each path it has the shard store check the row of the path and every version row (message CHECK,
 * shard_check.c); what turns out to be missing or rotten gets a row in the table 'n' and is got
 * back by the repairer. One path after the other, one check at a time.
 */
#ifndef OSTRAKA_ACTORS_SCRUBBER_H
#define OSTRAKA_ACTORS_SCRUBBER_H

#include "actors/actor.h"
#include "actors/membership.h"

enum {
    SCRUB_LOOK_MS = 100,        /* how often the budget is filled */
    SCRUB_ANSWER_MS = 10000,    /* a check without an answer is given up */
    SCRUB_BYTES_PER_ROW = 5000, /* a row of more bytes counts as so many rows more */
    SCRUB_PAUSE_MS = 60000,     /* between two passes */
};

enum scrub_stage {
    SCRUB_RESTING,
    SCRUB_NEXT_PATH,    /* the next row of the table 'p' is wanted */
    SCRUB_FINDING,      /* and has been asked for */
    SCRUB_PATH,         /* the path is being checked */
    SCRUB_NEXT_VERSION, /* its next version row is wanted */
    SCRUB_LISTING,      /* and has been asked for */
    SCRUB_VERSION,      /* that version is being checked */
};

struct scrubber {
    struct membership *membership; /* borrowed */
    uint64_t rows_per_s;           /* 0: it does not run */
    struct duration pause;
    enum scrub_stage stage;
    uint64_t op; /* of the check that is under way */
    struct instant asked;
    struct instant began, rested; /* the pass; the end of the one before it */
    int64_t budget;               /* rows; below zero after a big one */
    struct row_key after;         /* row of the path being looked at; size 0: from the first */
    struct row_key version_after; /* version row looked at last */
    uint64_t head_version;        /* checked with the path */
    uint8_t head_version_id[ID_BYTES];
};

/* rows_per_s: 0 turns it off. */
void scrubber_init(struct scrubber *s, struct membership *membership, uint64_t rows_per_s,
                   struct duration pause);
void scrubber_start(struct scrubber *s, const struct step *st, struct effects *out);
/* Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err scrubber_handle(struct scrubber *s, const struct step *st,
                                          const struct msg *in, struct effects *out);

#endif
