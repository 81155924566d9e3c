/*
 * The store's directory and the room on its disk. The engine does not survive a full disk (it
 * panics, and cannot be opened again until there is room), so commits are refused early, while
 * enough is left for what is already committed to be written out.
 *
 * How much is left is looked up now and then, and others may fill the disk in between. So the last
 * quarter of the room that is kept free, which nothing is admitted to, lies in a file `reserve`:
 * the first write that finds no room removes it (store_wt_files.c). Then may still be written:
 * - to the journal, what was admitted since the last look: LOOK_EVERY_BYTES, 1 MiB, and what it is
 *   made ahead of that, 256 KiB;
 * - to the table, what is changed in the cache: by the engine's limit a fifth, 12.8 of 64 MiB.
 * Together that is less than a quarter of 64 MiB. Where the cache is larger in proportion, a write
 * may have to wait for room. The file is made again as soon as puts are admitted again.
 *
 * A file `ballast` in the directory, written when there is room for it, can be removed by the
 * operator to get a node going again that has run into the reserve.
 */
#ifndef OSTRAKA_STORE_STORE_WT_DISK_H
#define OSTRAKA_STORE_STORE_WT_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { STORE_WT_BALLAST_BYTES = 4 * 1024 * 1024, STORE_WT_RESERVE_MAX = 64 * 1024 * 1024 };

struct store_wt_disk {
    int directory_fd;
    uint64_t free_min_bytes;
    _Atomic uint64_t free_bytes; /* at the last look, with what lies in the reserve */
    _Atomic uint64_t held_bytes; /* of the file `reserve`; 0: there is none */
    uint64_t looked_ns;          /* when that was; these three belong to the writer */
    uint64_t written_bytes;      /* since then */
    uint64_t hold_after_ns;      /* making the reserve failed: not again before */
    /* Committed into the reserve, and not yet written out once more by a checkpoint. */
    _Atomic uint64_t pending_bytes;
};

/* What a look into a directory tells. */
struct store_wt_files {
    bool has_database; /* the engine's root file */
    bool has_table;
    bool has_journal;
    bool has_override; /* a configuration file for the engine, which we never write */
};

/* Makes the directory with mode 0700, or takes that mode on. Errors: ERR_IO. */
MUST_CHECK enum vault_err store_wt_disk_init(struct store_wt_disk *disk, const char *directory,
                                             uint64_t free_min_bytes);
void store_wt_disk_close(struct store_wt_disk *disk);

/*
 * Calls `visit` with the name of every file until it gives an error, which is passed on. Errors:
 * ERR_IO.
 */
MUST_CHECK enum vault_err
store_wt_disk_visit(const struct store_wt_disk *disk,
                    enum vault_err (*visit)(int directory_fd, const char *name, void *context),
                    void *context);

/* Errors: ERR_IO. */
MUST_CHECK enum vault_err store_wt_disk_files(const struct store_wt_disk *disk,
                                              struct store_wt_files *out);
/* Takes group's and others' access from all files. Errors: ERR_IO. */
MUST_CHECK enum vault_err store_wt_disk_protect(const struct store_wt_disk *disk);
/* What is read next comes from the device, as far as the system lets itself be told. */
void store_wt_disk_drop_cache(const struct store_wt_disk *disk);
/* Writes the ballast if it is absent and there is plenty of room; failing to is no error. */
void store_wt_disk_ballast(struct store_wt_disk *disk);

/* Makes the reserve if there is none and there is room for it; failing to is no error. */
void store_wt_disk_hold_reserve(struct store_wt_disk *disk);
/*
 * Removes it, so that there is room again, from any thread. False: there was none. From then on
 * nothing is admitted before the next look.
 */
bool store_wt_disk_give_reserve(struct store_wt_disk *disk);

/*
 * Whether a batch of `bytes` may be committed; looks at the disk only now and then. What
 * may use the room kept free (store_check.h) may use three quarters of it, what a
 * checkpoint will still take of that included. Errors: ERR_DISK_FULL, ERR_IO.
 */
MUST_CHECK enum vault_err store_wt_disk_admit(struct store_wt_disk *disk, uint64_t bytes,
                                              bool may_use_kept);

#endif
