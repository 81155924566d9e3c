/*
 * Anti-entropy: finds the paths of which this node and a peer have unlike heads, without anybody
 * having kept account of what the other one missed, and has them settled.
 *
 * A round goes over one peer: of each two nodes the one with the lower number asks, about every
 * ten seconds and at once when the link comes up. It sends the digest of all paths that both hold
 * (anti_entropy_digests.h); when that is unlike, those of the 256 ranges, then those of the 256
 * leaves of each unlike range; for each unlike leaf the peer lists what it has, a page at a time,
 * and the asker compares that with its own list:
 *
 *   REST --> COMPARING all --> ranges --> leaves --> ASKING for a page --> LISTING its own --> REST
 *                ^                ^         ^              |                    |
 *                |                +---------+--------------+---- next ----------+
 *                +-- at most RESENDS_MAX times, when no answer comes
 *
 * Of two unlike heads the one at the higher ballot is the newer. If it is chosen, its node tells it
 * to the other as CHOSEN does (message DELIVER to the shard store that has it); if it is only
 * accepted, that node finishes it as a coordinator. A path that was touched within the last second
 * is left alone. The peer answers from memory or from its disk and keeps no state but one list in
 * the making for each peer.
 *
 * Work is bounded by a budget (struct repair_budget): a page, a head told or asked for, a change to
 * be finished cost some of it, and while clients wait for answers there is a tenth as much.
 */
#ifndef OSTRAKA_ACTORS_ANTI_ENTROPY_H
#define OSTRAKA_ACTORS_ANTI_ENTROPY_H

#include "actors/actor.h"
#include "actors/anti_entropy_digests.h"
#include "actors/shard_store.h"
#include "proto/entries.h"

enum {
    ROUND_MS = 10000,        /* from the end of a round to the next with that peer */
    ROUND_JITTER_MS = 1000,  /* more or less */
    ROUND_AGAIN_MS = 1000,   /* when the peer was not ready, or nothing came of the round */
    ROUND_CONFIRM_MS = 2500, /* after a round that found something, and was not after such a one */
    RESEND_MS = 1000,        /* a question without an answer is asked again */
    RESENDS_MAX = 3,         /* and then the round is given up */
    TICK_MS = 250,           /* how often that is looked at */
    TICK_BUSY_MS = 20,       /* while a round is under way */
    REBUILD_RETRY_MS = 1000, /* after a page of path rows that could not be read */
    REBUILD_CORRUPT_MS = 10000, /* after one with a row that does not verify */
    REPAIR_PER_SECOND = 4000,   /* budget: see repair_cost */
    REPAIR_BUSY_DIVISOR = 10,   /* while clients wait */
};

/* What work costs of the budget. */
enum repair_cost { COST_PAGE = 4, COST_HEAD = 4, COST_FINISH = 40 };

/* May be overdrawn by the work of one page; then nothing is begun until it is above 0 again. */
struct repair_budget {
    int64_t left; /* thousandths */
    struct instant filled;
};

enum exchange_stage { EXCHANGE_REST, EXCHANGE_COMPARING, EXCHANGE_ASKING, EXCHANGE_LISTING };

/* Part of the key of a path: without table and leaf. */
struct path_key {
    uint8_t data[PATH_KEY_BYTES_MAX];
    size_t size; /* 0: none */
};

/* A page of what this node has of a leaf. */
struct leaf_list {
    bool busy;     /* rows are on their way */
    bool for_peer; /* to be sent, else to be compared with what the peer sent */
    uint64_t op;   /* of the question */
    uint16_t leaf;
    struct path_key after;
    struct path_key until; /* the list is complete up to here; size 0: to the end of the leaf */
    struct arena memory;   /* of the entries */
    struct path_entry entries[ENTRIES_MAX];
    bool missing[ENTRIES_MAX]; /* no such path row */
    size_t count;
    size_t loaded; /* entries whose rows have come */
};

/* With one peer. */
struct exchange {
    bool connected; /* as seen at the last tick */
    enum exchange_stage stage;
    enum compare_level level; /* COMPARING */
    uint64_t op;              /* of the question, and of its repetitions */
    struct instant asked;
    unsigned resent;
    bool waiting;                    /* for budget, before a page is asked for */
    struct instant next;             /* round */
    struct instant hurried;          /* a round was begun for the sake of identity records */
    bool confirming;                 /* the round before this one found something */
    bool unlike;                     /* this round has found something */
    unsigned range;                  /* that is being looked into */
    uint16_t leaf;                   /* likewise */
    struct path_key after;           /* page of the leaf */
    struct path_key until;           /* the peer's page is complete up to here */
    uint8_t ranges[DIFFERING_BYTES]; /* still to be looked into */
    uint8_t leaves[DIFFERING_BYTES]; /* of the range, likewise */
    struct arena memory;             /* of the peer's entries */
    struct path_entry theirs[ENTRIES_MAX];
    size_t their_count;
    struct leaf_list list;
    /* For those who look on. */
    bool compared;              /* ever */
    bool in_sync;               /* nothing was unlike then */
    struct instant compared_at; /* the last time */
};

struct anti_entropy {
    const struct membership *membership; /* borrowed */
    struct shard_store *store;           /* borrowed: what is in its memory */
    struct digest_index *digests;        /* borrowed */
    bool rebuilding;                     /* the digests, a page at a time */
    struct exchange exchanges[NODES_MAX];
    struct repair_budget budget;
    uint64_t ops;
};

/* `seed` keeps the operations of one life of the node apart from those of the life before. */
void anti_entropy_init(struct anti_entropy *ae, const struct membership *membership,
                       struct shard_store *store, struct digest_index *digests, uint64_t seed);
void anti_entropy_close(struct anti_entropy *ae);
void anti_entropy_start(struct anti_entropy *ae, const struct step *st, struct effects *out);
/* Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err anti_entropy_handle(struct anti_entropy *ae, const struct step *st,
                                              const struct msg *in, struct effects *out);

/* Leaves and ranges known to be unlike and not looked into yet, over all peers. */
uint64_t anti_entropy_backlog(const struct anti_entropy *ae);

#endif
