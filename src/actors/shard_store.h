/*
 * Shard store: the actor that keeps this node's part of every path. It votes, accepts, sets heads
 * chosen, erases, answers reads, takes and delivers boxed shares.
 *
 * One message of a path is handled at a time. While rows of the path are being loaded or stored the
 * others wait in a bounded queue, so whatever is answered is durable:
 *
 *   NEW ----> LOADING ----> IDLE ----> LOADING_ROWS ----> STORING ----> IDLE
 *    first     path row      |  ^       what the message    |  answer    ^
 *    message                 |  |       needs               +------------+
 *                            +--+ nothing to load or to store: answered at once
 */
#ifndef OSTRAKA_ACTORS_SHARD_STORE_H
#define OSTRAKA_ACTORS_SHARD_STORE_H

#include "actors/actor.h"
#include "actors/anti_entropy_digests.h"
#include "actors/doubts.h"
#include "actors/membership.h"
#include "actors/path_filter.h"
#include "actors/path_map.h"
#include "actors/shard_kept.h"
#include "crypto/bucket_keys.h"

enum { SHARD_PATHS_MAX = 65536, SHARD_QUEUE_MAX = 64, SHARD_PARKED_MAX = 8 };
/* Versions that are being got back at a time, and how many more are begun in a second. */
enum { SHARE_RECOVERIES_MAX = 32, RECOVERIES_PER_SECOND_MAX = 400 };

struct shard_path;
struct shard_waiting;

/* Something of a version that this node gets back: shard_recover.c. */
struct share_recovery {
    bool used;
    bool due; /* the next CHECK may ask */
    bool escrow_asked;
    bool for_records; /* what was asked for last; else a share */
    struct buf name;  /* tenant and name of the path */
    size_t tenant_size;
    uint64_t version;
    uint8_t version_id[ID_BYTES];
    uint8_t head_id[ID_BYTES];   /* chosen head whose chain contained it when it was asked for */
    uint64_t op;                 /* of the question; 0: none yet */
    uint64_t asked, got, failed; /* bit per replica */
    struct secret sum;           /* XOR of the contributions that have come */
    size_t share_size;
    unsigned tries;
    uint64_t wakes; /* counts timers, so that only the last one counts */
};

struct shard_store_options {
    struct membership *membership;       /* borrowed */
    struct share_keyring *ring;          /* borrowed: this node's share keys */
    const struct secret *share_wrap_key; /* borrowed: own shares rest under it */
    struct bucket_keys *buckets;         /* borrowed: and under one of these */
    struct node_row node;                /* as found on disk, or as new */
    bool lost; /* what was there before is gone: this is a store with an id and nothing more */
    uint64_t map_seed;
    size_t paths_max;             /* entries kept in memory; 0: SHARD_PATHS_MAX */
    struct digest_index *digests; /* borrowed: told of every durable change of a path row; NULL:
                                     nobody is */
    struct secret_arena *secrets; /* borrowed; may be NULL where no share is kept */
    size_t shares_kept;           /* opened, for readers, in so many slots of `secrets` */
    bool dealings_apart; /* small public parts have rows of their own too, as older releases made
                            them: for tests */
};

struct shard_store {
    struct membership *membership;
    struct share_keyring *ring;
    const struct secret *share_wrap_key;
    struct bucket_keys *buckets;
    struct node_row node;        /* what is durable (horizon) or has been asked to be (boot) */
    struct ballot floor;         /* votes and writes at or below it are refused */
    struct ballot promised_most; /* highest ballot voted for in this life, on any path */
    uint64_t horizon_pending_ms; /* being made durable; 0: none */
    bool serving;                /* first horizon durable */
    struct node_row node_next;   /* being made durable: another incarnation or state of recovery */
    bool node_pending;
    struct path_map paths;
    size_t paths_max;
    struct shard_path **slots; /* by slot number; NULL: free */
    uint32_t *free_slots;
    size_t free_slot_count;
    struct shard_waiting *done; /* handled in this step; freed at the next */
    struct msg unsent;          /* where an answer is written that there is no memory for */
    struct digest_index *digests;
    struct share_recovery recoveries[SHARE_RECOVERIES_MAX];
    uint64_t recovery_ops;   /* counts questions */
    uint64_t write_after_ns; /* mean time from a vote to its WRITE, of late: shard_note_write() */
    struct instant recoveries_since;
    unsigned recoveries_begun; /* since then */
    struct doubts doubts;
    struct path_filter on_disk; /* which paths may have a row */
    struct kept kept;           /* rows that were read a moment ago */
    bool node_keeps; /* the incarnation that is on its way knows what it accepted and promised */
    bool dealings_apart;
};

MUST_CHECK enum vault_err shard_store_init(struct shard_store *s,
                                           const struct shard_store_options *options);
void shard_store_close(struct shard_store *s);
/* First thing after init: makes the boot counter and a new horizon durable. */
void shard_store_start(struct shard_store *s, const struct step *st, struct effects *out);
/*
 * Errors: ERR_UNEXPECTED (a peer's fault: dropped and counted), ERR_NOMEM. Effects stay empty then.
 */
MUST_CHECK enum vault_err shard_store_handle(struct shard_store *s, const struct step *st,
                                             const struct msg *in, struct effects *out);
bool shard_store_serving(const struct shard_store *s);
/*
 * Makes this store that incarnation, with everything still to be handed over to it. What the older
 * one promised is void; what it accepted stays. Takes effect when it is durable; meanwhile nothing
 * happens when it is asked for again.
 */
void shard_store_reincarnate(struct shard_store *s, const struct step *st, uint64_t incarnation,
                             struct effects *out);
/* The present incarnation has come so far; takes effect when it is durable. */
void shard_store_recovered(struct shard_store *s, const struct step *st,
                           enum recovery_state recovery, struct effects *out);
/*
 * Rows of paths do not verify: makes this store that incarnation, with these paths in doubt. What
 * was accepted and promised on all others stays. When there are too many of them, everything has to
 * be handed over, as with shard_store_reincarnate.
 */
void shard_store_mend(struct shard_store *s, const struct step *st, uint64_t incarnation,
                      struct effects *out);
/* Surely nothing of that path is here: by what is kept of all rows in memory. */
bool shard_store_lacks(const struct shard_store *s, struct path path);
/* The version of which record and dealing are in memory, for readers; false: none. */
bool shard_store_keeps(const struct shard_store *s, struct path path,
                       uint8_t version_id[static ID_BYTES]);
/* What was accepted on the path is not known for sure. */
bool shard_store_in_doubt(struct shard_store *s, struct path path);
/*
 * The agreed time of the sweep (sweep.h): durable from when *ms->forgotten_ms says so. Nothing
 * happens while other facts about the node are on their way to the disk.
 */
void shard_store_set_forgotten(struct shard_store *s, const struct step *st, uint64_t before_ms,
                               struct effects *out);
/*
 * The row of a path that is forgotten, with a head accepted at that ballot, may go from the disk:
 * nothing of the path is under way, and whatever was promised up to that ballot stays promised, in
 * this life and after a restart. False: not now.
 */
bool shard_store_drop(struct shard_store *s, struct path path, struct ballot accepted);
/* This node has promised nothing above that. */
struct ballot shard_store_promised(const struct shard_store *s);
/* Nothing at or below it is voted for or accepted from now on. */
void shard_store_raise_floor(struct shard_store *s, struct ballot floor);

/* The path has a row on the disk. Told of all that are found after a start. */
void shard_store_note_row(struct shard_store *s, struct path path);

/* The durable head of a path, as far as it is in memory. */
struct shard_view {
    struct head_state head;
    struct ballot ballot;
    bool settling; /* touched a moment ago: what is unlike at another node is on its way */
};
/* False: not in memory; what is on the disk is the truth then, and nothing is on its way there. */
bool shard_store_view(const struct shard_store *s, const struct step *st, struct path path,
                      struct shard_view *out);

/* An own share of that path, as it rests under that key of a version row, opens. */
bool shard_store_share_opens(struct shard_store *s, const struct step *st, struct path path,
                             struct bytes key, struct bytes sealed);

#endif
