/*
 * Sweeper: has the records of tokens that ended for good forgotten (sweep.h), at every node alike.
 *
 *   proposes       now and then, one of the nodes: that what ended a slack ago be forgotten. The
 *                  coordinator brings that time to a decision as any identity record
 *   applies        every node: the time that it knows chosen becomes durable among its own facts,
 *                  and from then on these records are nothing to it
 *   drops          their rows, a few at a time
 *   asks           a node that goes by a later time for the record of the sweep, before the records
 *                  that make the two unlike
 */
#ifndef OSTRAKA_ACTORS_SWEEPER_H
#define OSTRAKA_ACTORS_SWEEPER_H

#include "actors/actor.h"
#include "actors/shard_store.h"

enum {
    SWEEP_TICK_MS = 200,
    SWEEP_TICK_BUSY_MS = 20,                 /* while there are rows to be dropped */
    SWEEP_ROWS = 64,                         /* dropped in one batch */
    SWEEP_INTERVAL_MS_MAX = 3600 * 1000,     /* between two looks at what may be forgotten; */
    SWEEP_INTERVAL_MS_MIN = 1000,            /* otherwise an eighth of the slack */
    SWEEP_MANY = AUTH_LOGIN_RECORDS_MAX / 2, /* with more records than that, */
    SWEEP_MANY_INTERVAL_MS = 60 * 1000,      /* it looks as often as that */
    SWEEP_ASK_MS = 1000,
};

struct sweeper {
    struct membership *membership; /* borrowed */
    struct shard_store *store;     /* borrowed */
    struct instant looked;         /* when something was proposed or decided, or nothing found */
    struct instant asked;          /* another node, for the record of the sweep */
    bool more;                     /* the last proposal left some for another one */
    struct row_key dropping[SWEEP_ROWS]; /* path rows on their way out */
    size_t dropping_count;
};

void sweeper_init(struct sweeper *sw, struct membership *membership, struct shard_store *store);
void sweeper_start(struct sweeper *sw, const struct step *st, struct effects *out);
/* At most 5 effects. Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err sweeper_handle(struct sweeper *sw, const struct step *st,
                                         const struct msg *in, struct effects *out);

#endif
