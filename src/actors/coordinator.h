/*
 * Coordinator: drives requests through the protocol. Each request is a job with a small state
 * machine; any node can run it, replica of the path or not. Changes of one path started at this
 * node stand in line, so that a node never competes with itself for a path.
 *
 *   change:  QUEUED -> VOTING -> WRITING -> COLLECTING -> end
 *               ^         |  ^       |    (delete: WRITING -> ERASING -> end)
 *               |         v  |       v  refused before a majority
 *               |      FETCHING -> WRITING (finishing another's)   -> WAITING -> VOTING
 *   new secret: QUEUED -> WRITING (an offer, without votes) -> COLLECTING, or -> VOTING as any change
 *   read:    READING [-> WAITING -> READING ...]
 *            [-> QUEUED -> VOTING ... finishing -> READING] -> end
 *   history: LISTING, and of an older version or a time: LISTING -> READING
 *   progress of a deletion: ASKING
 *   change of an identity record: WRITING -> SPREADING -> end
 */
#ifndef OSTRAKA_ACTORS_COORDINATOR_H
#define OSTRAKA_ACTORS_COORDINATOR_H

#include "actors/actor.h"
#include "actors/membership.h"
#include "actors/path_map.h"

struct job;
struct shard_store;

struct coordinator_options {
    struct membership *membership;   /* borrowed */
    struct secret_arena *secrets;    /* borrowed */
    struct box_sender *sender;       /* borrowed; renewed by the node */
    const struct master_key *master; /* borrowed; NULL: none */
    bool master_incorrect;           /* there is a master key, and it is not the cluster's */
    uint64_t map_seed;
    size_t jobs_max;
    struct duration deadline; /* of a request */
    uint64_t issued_ms; /* horizon found at start: ballots up to it may have been issued before */
    const struct shard_store *shard_store; /* borrowed: of this node; NULL: no offers are made */
};

struct coordinator {
    struct coordinator_options options;
    struct membership *membership;
    struct job **jobs; /* by slot; NULL: free */
    uint32_t *free_slots;
    size_t free_slot_count;
    struct path_map lines; /* struct line: changes of a path that wait for their turn */
    uint64_t
        last_time; /* hybrid logical clock: highest ballot time issued, in an earlier life too */
    struct instant no_offers_until;
    uint64_t rounds;  /* counts rounds, for correlation */
    struct job *done; /* ended in this step; freed at the next */
};

MUST_CHECK enum vault_err coordinator_init(struct coordinator *c,
                                           const struct coordinator_options *options);
void coordinator_close(struct coordinator *c);
/* Errors: ERR_UNEXPECTED (dropped and counted). */
MUST_CHECK enum vault_err coordinator_handle(struct coordinator *c, const struct step *st,
                                             const struct msg *in, struct effects *out);

#endif
