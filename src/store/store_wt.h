/*
 * The store in WiredTiger: one table, log as write-ahead journal, everything on disk encrypted
 * through the engine's encryption hook under a key derived from the node's storage key.
 */
#ifndef OSTRAKA_STORE_STORE_WT_H
#define OSTRAKA_STORE_STORE_WT_H

#include "base/exit_status.h"
#include "store/store.h"

struct store_wt_options {
    const char *directory;        /* made with mode 0700 when absent */
    uint8_t key[32];              /* tables key; wiped by the caller after the call */
    uint8_t chain_key[32];        /* for the MAC over the batches; likewise */
    uint64_t cache_bytes;         /* e.g. 64 MiB */
    uint64_t disk_free_min_bytes; /* below it commits are refused with ERR_DISK_FULL */
    /*
     * Called from any thread before the process ends with code STORE_WT_EXIT on a panic, a failed
     * sync, or a journal that was cut; NULL: print to stderr.
     */
    void (*on_fatal)(void *context, const char *what);
    void *context;
    /*
     * NULL, or one more extension of the engine, in its own notation, that brings a way to its
     * files instead of the store's own.
     */
    const char *extension;
    bool plain_processor; /* what is written is encrypted as without AES instructions */
    bool key_proven;      /* the key is known to be right: what does not open is damaged */
    bool suspect; /* the last run failed: everything is read from the device, not the cache */
    /* For tests: if it is made now, rows lie where their keys say, as older releases made it. */
    bool rows_apart;
    bool *journal_cut; /* out, may be NULL: the journal ended in a torn record, and was cut there */
};

enum { STORE_WT_EXIT = EXIT_STORAGE };

/*
 * Opens or creates, verifies the table, recovers the journal.
 * *created: the directory held no database before. Errors, with a sentence for the operator in
 * `why` (no secret, no key): ERR_CORRUPT (damaged files, or the wrong key: the caller must know
 * whether the key is right), ERR_CONFIG (a file that does not belong there), ERR_DISK_FULL, ERR_IO
 * (nothing is known of the files), ERR_NOMEM. After ERR_CORRUPT the engine may still have the
 * directory by this name: to open another in its place, name it differently.
 */
MUST_CHECK enum vault_err store_wt_open(const struct store_wt_options *options, struct store **out,
                                        bool *created, char *why, size_t why_size);

/* Checkpoint; called on a thread of its own by log size. Errors: ERR_IO. */
MUST_CHECK enum vault_err store_wt_checkpoint(struct store *store);

struct store_wt_stats {
    uint64_t log_bytes; /* written to the journal since open; counted by us, a few percent off */
    uint64_t disk_free_bytes; /* as of the last look, some milliseconds old; with the reserve */
};
void store_wt_stats(struct store *store, struct store_wt_stats *out);
uint64_t store_wt_log_bytes(struct store *store); /* the first of them, for storage_io_options */
bool store_wt_is_tight(struct store *store);      /* the disk is below its reserve; for the same */

#endif
