/*
 * What a node finds on its disk when it starts, and what it makes of it: its share keys and its
 * store are as it left them, or older than that, or damaged, or gone.
 *
 *   new       the birth record is unused and the store empty
 *   intact    the store stands where the sequence file says, or beyond
 *   behind    it does not: an older copy, or a journal that was cut. It is used as it is, and the
 *             node recovers from the others what it forgot. Lost or older share keys count the
 *             same: boxes for them cannot be opened any more.
 *   lost      empty, though the node has had one; or damaged: then its files are set aside and an
 *             empty one with a new id takes their place
 *
 * Behind and lost are written into the birth record before anything else changes, and stand there
 * until the node is a new incarnation, durably: a crash in between does not make them forgotten.
 *
 * Nothing is moved or made anew when the storage key may be the wrong one, when the disk is full or
 * gives errors, or when there is nobody to recover from (one share).
 */
#ifndef OSTRAKA_RUNTIME_STORE_START_H
#define OSTRAKA_RUNTIME_STORE_START_H

#include "actors/node.h"
#include "runtime/config_file.h"
#include "runtime/keyfile.h"
#include "store/sequence_file.h"
#include "store/store_wt.h"

struct store_start {
    /* Set by the caller. */
    const struct config *config;
    const struct log_sink *log;
    struct share_keyring *ring; /* initialised on this arena, open during store_start_keys */
    struct secret_arena *ring_arena;
    void (*on_fatal)(void *context, const char *what);
    void *context;
    char *why; /* the sentence for the operator after an error */
    size_t why_size;

    /* Results. */
    struct store *store; /* the caller closes it, after the threads that use it have ended */
    struct sequence_file *sequence;
    struct node_row row;
    struct peer_row peers[NODES_MAX]; /* what it remembers of the others; all zero: nothing */
    struct signing_keys signers[NODES_MAX];
    enum store_finding finding;
    uint64_t incarnation_known; /* highest that this node itself remembers to have had; 0: none */

    /* Private. */
    struct birth birth;
    struct sequence_record remembered;
    enum vault_err birth_err, sequence_err; /* of reading these two */
    bool key_proven;                        /* something verifies under the storage key */
    bool share_keys_lost;
    bool opened_before;           /* the engine may still have the directory by its name */
    _Atomic bool sequence_failed; /* said once, by whichever thread met it first */
    bool is_new;                  /* the store was begun just now */
    char set_aside[PATH_MAX];     /* where damaged files went; empty: none */
};

/*
 * Judges the storage key, and loads the share keys or makes new ones. Errors: ERR_CONFIG (the
 * storage key is not the right one, or a file cannot be read), ERR_IO, ERR_DISK_FULL, ERR_NOMEM,
 * ERR_ENTROPY.
 */
MUST_CHECK enum vault_err store_start_keys(struct store_start *s,
                                           const uint8_t storage_key[static KEY_BYTES]);
/*
 * Opens the store, heals it if need be, and begins the sequence file. Errors: ERR_CONFIG,
 * ERR_CORRUPT (damaged, and not to be healed), ERR_IO, ERR_DISK_FULL, ERR_NOMEM, ERR_ENTROPY.
 */
MUST_CHECK enum vault_err store_start_open(struct store_start *s,
                                           const uint8_t storage_key[static KEY_BYTES]);

/*
 * Own shares of before cannot be read any more, or have to be made up for: the store counts as one
 * that is behind. To be called between store_start_open and the making of the node. Errors: ERR_IO,
 * ERR_DISK_FULL; ERR_CONFIG there is nobody to make up for them, and nothing was changed.
 */
MUST_CHECK enum vault_err store_start_shares_lost(struct store_start *s);

/* After every flush, before any answer of it leaves the process; on the storage writer's thread. */
void store_start_flushed(struct store_start *s, const struct store_mark *durable);
/* The node is a new incarnation, durably: what was found is over. */
void store_start_recovering(struct store_start *s, uint64_t incarnation);
/* The share keys have been saved. */
void store_start_share_key(struct store_start *s);

/* Writes the marker that makes the next start read everything from the device. From any thread. */
void store_start_mark_failed(const struct node_config *node, const char *what);

#endif
