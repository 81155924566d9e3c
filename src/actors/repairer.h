/*
 * Repairer: heartbeats, what is known of the peers, and the background rounds that bring shares in
 * escrow to their owners, deletions to those who have not erased, and what this node lacks back to
 * it. It walks the tables of what is
 * outstanding a page at a time and hands each path to the shard store, which knows the state of the
 * path (message DELIVER).
 */
#ifndef OSTRAKA_ACTORS_REPAIRER_H
#define OSTRAKA_ACTORS_REPAIRER_H

#include "actors/actor.h"
#include "actors/membership.h"

enum {
    REPAIR_WALKS = 5,
    REPAIR_PAGE_ROWS = 32,
    COUNT_PAGE_ROWS = 256, /* keys of paths that are counted in one go */
    HEARTBEAT_MS = 250,
    REPAIR_ROUND_MS = 500,
    REPAIR_PAGE_MS = 10,      /* between the pages of a backlog */
    REPAIR_PAGE_BUSY_MS = 25, /* and while clients wait for answers */
};
/* A page of what this node lacks is at most so many versions, and comes that long after the last. */
enum { NEED_PAGE_ROWS = 32, NEED_PAGE_MS = 80 };

/* A timer of this tag makes it send its heartbeats at once. */
enum { REPAIR_TAG_ANNOUNCE = 3 };

/* A walk over one table of outstanding work. */
struct repair_walk {
    enum row_table table;       /* ROW_BOXES, _ERASURE, _NEED, _UNSETTLED or _EXPIRY */
    struct row_key after;       /* last key of the page before; size 0: from the first */
    bool busy;                  /* a scan is under way */
    bool names_only;            /* a row of the next page does not verify: each is checked apart */
    bool unsure;                /* so what this round counts is not the whole of it */
    uint64_t rows;              /* met in this round */
    struct instant began;       /* the round */
    struct instant asked;       /* when the last page was */
    uint64_t rounds;            /* that have reached the end of the table */
    uint64_t counts[NODES_MAX]; /* boxes met in this round, by owner's node */
    uint64_t oldest[NODES_MAX]; /* oldest share key that one of them is for; 0: none */
};

struct repairer {
    struct membership *membership; /* borrowed */
    const struct node_row *node;   /* borrowed from the shard store: incarnation, boot, horizon */
    struct repair_walk walks[REPAIR_WALKS];
    struct {
        uint64_t sent_ns; /* last heartbeat's, to be echoed */
        struct instant came;
    } echoes[NODES_MAX];
    struct {
        uint64_t incarnation;
        uint8_t store_id[STORE_ID_BYTES];
        bool busy;  /* a peer's row with these is being made durable */
        bool again; /* and is to be written once more */
    } rows[NODES_MAX];
};

void repairer_init(struct repairer *r, struct membership *membership, const struct node_row *node);
void repairer_start(struct repairer *r, const struct step *st, struct effects *out);
/* Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err repairer_handle(struct repairer *r, const struct step *st,
                                          const struct msg *in, struct effects *out);

#endif
