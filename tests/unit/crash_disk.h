/*
 * A disk that loses power, under the storage engine's own file system hook.
 *
 * A child process runs the engine on real files through this layer. Every write, change of size,
 * making, renaming and removal of a file is noted, with what was there before, in memory that the
 * child shares with its parent; a sync marks what it made durable. After the child's death the
 * parent plays the crash: crash_disk_lose() takes back what was not synced, all or parts of it, so
 * that the directory holds what a disk may hold after a power loss.
 *
 * The model, deliberately harsher than most file systems: a sync of a file makes that file's
 * content durable and nothing else; making, renaming and removing files is durable after a sync of
 * the directory (or when the engine asked for a durable operation), and is lost from the end, in
 * order. Writes that were not synced may each be kept, lost, or torn at 512 bytes, in any order.
 * What was synced stays.
 *
 * Besides, the disk can fail: from the n-th operation on, once or for good, with EIO or ENOSPC; a
 * failed write may have been done in part, and a failed sync has made nothing durable.
 *
 * What the store writes by itself, without the engine, does not pass here and counts as durable.
 */
#ifndef OSTRAKA_TESTS_CRASH_DISK_H
#define OSTRAKA_TESTS_CRASH_DISK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/prng.h"

enum {
    CRASH_FILES_MAX = 512,
    CRASH_NAME_BYTES = 64,
    CRASH_OPS_MAX = 200000,
    CRASH_SECTOR_BYTES = 512,
    CRASH_TEXT_BYTES = 600,
    CRASH_EXTENSION_BYTES = 160,
};

/* What is to happen to the process and the disk. Counts begin at 1; 0: never. */
struct crash_plan {
    uint64_t kill_at_op;   /* the process is killed at this operation (writes, syncs, all) */
    uint64_t kill_at_sync; /* or at this sync */
    bool kill_after;       /* when the operation has been done, not before */
    uint64_t fail_at_op;
    int fail_with;      /* EIO, ENOSPC (which spares syncs, reads and removals) */
    bool fail_for_good; /* not only once */
    bool fail_reads;    /* reads count as operations that can fail, too */
};

enum crash_loss {
    LOSS_NOTHING, /* the process alone has died */
    LOSS_ALL,     /* of what was not synced */
    LOSS_END,     /* everything after a point in time; the write at that point is torn */
    LOSS_TORN,    /* the last write is torn */
    LOSS_RANDOM,  /* any of it, in any order */
    LOSS_KINDS
};

struct crash_op;

struct crash_disk {
    pthread_mutex_t lock; /* of the child's threads */
    char directory[CRASH_TEXT_BYTES];
    struct crash_plan plan;
    uint64_t ops, syncs;
    uint64_t failures; /* operations that were made to fail */
    bool dead;         /* the plan's kill has come */
    size_t file_count, op_count, data_used, data_size;
    struct {
        char name[CRASH_NAME_BYTES]; /* at present, in the directory */
    } files[CRASH_FILES_MAX];
    struct crash_op *items;
    uint8_t *data;
};

/* Memory shared with children forked later; ends the test when there is none. */
struct crash_disk *crash_disk_new(void);
void crash_disk_free(struct crash_disk *disk);
/* Before a child is forked: what is in the directory now counts as durable. */
void crash_disk_begin(struct crash_disk *disk, const char *directory,
                      const struct crash_plan *plan);
/* For store_wt_options.extension. */
void crash_disk_extension(const struct crash_disk *disk, char out[static CRASH_EXTENSION_BYTES]);
/*
 * After the child's end: makes the directory hold what the disk holds after the crash. Tells how
 * many operations were not durable.
 */
size_t crash_disk_lose(struct crash_disk *disk, enum crash_loss loss, struct prng *prng);
const char *crash_loss_name(enum crash_loss loss);

#endif
