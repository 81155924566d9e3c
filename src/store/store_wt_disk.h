/*
 * The store's directory and the room on its disk. The engine does not survive a full disk (it
 * panics, and cannot be opened again until there is room), so commits are refused early, while
 * enough is left for what is already committed to be written out.
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

enum { STORE_WT_BALLAST_BYTES = 4 * 1024 * 1024 };

struct store_wt_disk {
    int directory_fd;
    uint64_t free_min_bytes;
    _Atomic uint64_t free_bytes; /* at the last look */
    uint64_t looked_ns;          /* when that was; these two belong to the writer */
    uint64_t written_bytes;      /* since then */
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

/*
 * Whether a batch of `bytes` may be committed; looks at the disk only now and then. What
 * may use the reserve (store_check.h) may use three quarters of it, what a
 * checkpoint will still take of that included. Errors: ERR_DISK_FULL, ERR_IO.
 */
MUST_CHECK enum vault_err store_wt_disk_admit(struct store_wt_disk *disk, uint64_t bytes,
                                              bool uses_reserve);

#endif
