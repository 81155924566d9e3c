/*
 * Shredder: makes noise of what was erased. A database keeps old pages, journals and checkpoints
 * after a row is removed, so own shares rest under bucket keys (crypto/bucket_keys.h), and a bucket
 * in which something was erased gets a new key. A round, for all dirty buckets at a time:
 *
 *   LOADING --> IDLE --> SAVING --> SETTLING --> SCANNING --> FLUSHING --> RETIRING --> IDLE
 *    marks       half     the file   a barrier    the rest,    another      the file
 *    of before   the      has the    in the       page by      barrier      has the old
 *                interval new keys   journal      page                      keys no more
 *
 * The order, and why a crash between any two steps loses no share and shreds none too early:
 *
 *  1. A mark of the bucket is in the same transaction as each erasure, so a restart finds it.
 *  2. The new keys are in the file before a share is sealed under one: else a crash would leave
 *     shares that nothing opens. The file then has both keys of each such bucket.
 *  3. The new keys are used. Batches sealed before may still be on their way to the disk, so an
 *     empty one is stored behind them; when it is durable, nothing that the scan cannot see is to
 *     come under an old key.
 *  4. All version rows are scanned; each path with shares under an old key is handed to the shard
 *     store, which seals them anew (DELIVER_REWRAP). Messages may be lost, so the scan is repeated
 *     until it finds none.
 *  5. What the scan saw is visible, not yet durable: a crash could bring back a row under the old
 *     key. So another empty batch is waited for.
 *  6. The old keys are wiped from memory and the file is replaced, the old file overwritten. Only
 *     now every erasure up to step 2 counts as shredded here.
 *  7. The marks go. Those that erasures since step 3 have made stay, for the next round.
 *
 * After a crash the file tells: a bucket with two keys is at step 3, the newer key being in use.
 *
 * A share of a path of which this node is no replica was left by another cluster.conf, perhaps the
 * right one: it is not touched, and the old key of its bucket stays as long as it is there.
 *
 * Known limits: a version row that the store cannot read (a damaged page) stops the round, since
 * what it holds may be needed; it is tried again, and the bucket stays dirty. At most 160 versions
 * of a path are sealed anew.
 */
#ifndef OSTRAKA_ACTORS_SHREDDER_H
#define OSTRAKA_ACTORS_SHREDDER_H

#include "actors/actor.h"
#include "actors/membership.h"
#include "crypto/bucket_keys.h"

enum {
    SHRED_INTERVAL_MS = 600000, /* unless configured: how long an erasure may wait for its round */
    SHRED_PAGE_ROWS = 256,      /* version rows looked at in a step */
    SHRED_PAGE_MS = 5,          /* between two pages, so that a scan leaves the disk to others */
    SHRED_PATHS_MAX = 48,       /* handed to the shard store in a step */
    SHRED_AGAIN_MS = 50,        /* before a scan is repeated; doubles */
    SHRED_SCANS_TOLD = 16,      /* a round that has not ended by then is told of */
};

enum shred_stage {
    SHRED_LOADING,
    SHRED_IDLE,
    SHRED_SAVING,
    SHRED_SETTLING,
    SHRED_SCANNING,
    SHRED_FLUSHING,
    SHRED_RETIRING,
};

struct shredder {
    const struct membership *membership; /* borrowed */
    struct bucket_keys *buckets;         /* borrowed; only this actor makes and retires keys */
    const struct secret *share_wrap_key; /* borrowed */
    struct duration interval;
    enum shred_stage stage;
    uint64_t timer;         /* only this one counts */
    struct row_key after;   /* last key looked at; size 0: from the first */
    uint64_t found;         /* paths handed over in this scan */
    bool held[BUCKETS_MAX]; /* keys that shares of others' paths need, as this scan found */
    uint64_t scans;         /* of this round */
    uint64_t rounds;        /* completed since the start */
};

void shredder_init(struct shredder *s, const struct membership *membership,
                   struct bucket_keys *buckets, const struct secret *share_wrap_key,
                   struct duration interval);
void shredder_start(struct shredder *s, const struct step *st, struct effects *out);
/* At most SHRED_PATHS_MAX + 2 effects. Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err shredder_handle(struct shredder *s, const struct step *st,
                                          const struct msg *in, struct effects *out);

#endif
