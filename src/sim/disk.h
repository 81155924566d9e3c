/*
 * A simulated disk with a store on it: rows in order, changed in atomic batches by one writer, like storage_io.c and store_wt.c.
 *
 * Fault model. A batch is visible to readers once it is committed and durable once the sync after it has ended; several batches
 * are synced together. What need only be visible counts as stored from then on. A crash keeps any prefix of what was committed and not yet synced, and nothing of a batch that it
 * tears. Writes fail (the process dies of it), are refused for want of room, and take long. Reads fail for a
 * moment. A record may rot on the disk: its reader then gets ERR_CORRUPT, or, in rows that the actors verify themselves, one
 * wrong bit. What a finished sync has covered is lost only with the whole store, or with everything after a copy of it (stores.c).
 */
#ifndef OSTRAKA_SIM_DISK_H
#define OSTRAKA_SIM_DISK_H

#include "actors/actor.h"

struct disk_row {
    unsigned references;
    bool corrupt;            /* found out by the store itself when it is read */
    struct bytes key, value; /* behind the struct */
};

struct disk_table {
    struct disk_row **rows; /* ascending */
    size_t count, capacity;
};

struct disk_batch {
    struct disk_batch *next;
    enum actor_id actor;
    uint64_t tag;
    enum store_need need;
    bool told; /* its MSG_STORED has gone out */
    enum vault_err err;
    size_t count;
    struct {
        enum store_change_kind kind;
        struct disk_row *row; /* PUT: the row; else only its key counts */
        bool replaces;        /* PUT: there was such a row before */
    } changes[];
};

struct disk {
    struct disk_table visible, durable;
    struct disk_batch *queue, **queue_end; /* handed over, not committed */
    struct disk_batch *group;              /* committed, being synced */
    bool busy;
    uint64_t sequence; /* durable batches */
    uint64_t full_until_ns, slow_until_ns;
    bool reserve_gone; /* while it is full */
    unsigned slow_factor;
    bool fail_next_write, fail_next_read;
    struct disk_table snapshot; /* of what was durable at some time */
    bool has_snapshot;
    uint64_t snapshot_sequence;
};

void disk_init(struct disk *disk);
void disk_close(struct disk *disk);
void disk_submit(struct disk *disk, const struct effect *effect);
/*
 * Takes what is queued as the next group and commits it, except that it all fails with `err` when that is not OK. But of a full
 * disk what may use the reserve is committed until that is gone, too.
 */
void disk_commit(struct disk *disk, enum vault_err err);
/* Makes the first batch of the group durable and takes it out; the caller frees it. NULL: the group is empty. */
struct disk_batch *disk_sync_one(struct disk *disk);
void disk_batch_free(struct disk_batch *batch);
/* Everything that is not durable is gone. */
void disk_crash(struct disk *disk);
/* Everything is gone. */
void disk_lose(struct disk *disk);
void disk_snapshot(struct disk *disk);
void disk_snapshot_drop(struct disk *disk);
/* The snapshot takes the place of everything. */
void disk_roll_back(struct disk *disk);

const struct disk_row *disk_find(const struct disk_table *table, struct bytes key);
/* First row that is not below `key`. */
size_t disk_at_least(const struct disk_table *table, struct bytes key);
bool disk_has_prefix(struct bytes key, struct bytes prefix);
/* Whether some batch on its way changes that key. */
bool disk_pending(const struct disk *disk, struct bytes key);
/* The same, of batches that do not count as stored yet. */
bool disk_owes(const struct disk *disk, struct bytes key);
/* Sets a row in both tables; nothing may be on its way. */
void disk_set(struct disk *disk, struct bytes key, struct bytes value);
/* Removes every row that begins with `prefix` from both tables; nothing may be on its way. */
void disk_forget(struct disk *disk, struct bytes prefix);
/*
 * Replaces a row of the disk by a rotten copy: one bit of the value flipped, or one that the store
 * refuses. It is visible unless what replaces or removes the row is on its way to the disk.
 */
void disk_rot(struct disk *disk, size_t durable_index, size_t bit, bool refused);

#endif
