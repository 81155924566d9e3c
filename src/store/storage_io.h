/*
 * The storage threads of a node: one writer (takes every batch that waits, commits them together,
 * each whole or not at all, flushes once, posts the completions back), one reader (LOAD and SCAN,
 * which may miss the cache), and a checkpointer that runs when the journal has grown.
 *
 * The reactor submits and gets completions through `wake` (an eventfd): it calls storage_io_drain()
 * from its loop. Completions of batches come in the order of submission. Nothing is completed with
 * OK before what it needs is true (enum store_need).
 *
 * What needs no sync and finds the writer idle is done sooner by whoever has it than by another
 * thread that must be woken first: storage_io_run(), and storage_io_run_synced() where nothing else
 * is to be done meanwhile. One thread commits at a time, but not for as long as its sync takes:
 * storage_io_run_past().
 */
#ifndef OSTRAKA_STORE_STORAGE_IO_H
#define OSTRAKA_STORE_STORAGE_IO_H

#include "base/instant.h"
#include "store/store.h"

struct storage_io;

enum storage_request_kind { STORAGE_COMMIT, STORAGE_LOAD, STORAGE_SCAN };

/*
 * All memory belongs to the request's own arena, which travels to the thread and back. The
 * submitter fills in what is asked for; `rows` and `found` are allocated, from the same arena, by
 * the thread.
 */
struct storage_request {
    struct storage_request *next; /* for the queues */
    enum storage_request_kind kind;
    uint64_t tag;                 /* the submitter's */
    uint32_t owner;               /* the submitter's (which actor) */
    struct arena arena;           /* owns everything below */
    struct store_change *changes; /* COMMIT */
    size_t change_count;
    enum store_need need; /* COMMIT */
    struct bytes *keys;   /* LOAD; results in rows[i] (rows[i].key is the key) and found[i] */
    size_t key_count;
    bool *found;
    struct bytes along_prefix;  /* LOAD of one key, or empty: see get_along in store.h */
    struct store_row along;     /* result; no key: none */
    struct bytes prefix, after; /* SCAN */
    size_t limit;
    bool with_values;
    struct store_row *rows; /* LOAD: key_count, SCAN: up to limit */
    size_t row_count;
    bool more;
    enum vault_err err; /* result: OK, ERR_DISK_FULL, ERR_CORRUPT, ERR_IO, ERR_NOMEM */
};

/* A checkpoint lets the journals before it go, and leaves less to be written out. */
enum { TIGHT_CHECKPOINTS = 16 };

struct storage_io_options {
    struct store *store;           /* borrowed; outlives the threads */
    size_t queue_max;              /* requests waiting; more are refused with ERR_BUSY */
    uint64_t checkpoint_log_bytes; /* 0: no checkpointer */
    enum vault_err (*checkpoint)(struct store *store); /* NULL: none */
    /* Room is short: checkpoints come TIGHT_CHECKPOINTS times as often. NULL: never. */
    bool (*tight)(struct store *store);
    uint64_t (*log_bytes)(struct store *store); /* NULL: none */
    void *context;
    /*
     * After every flush and before anything of it is completed, on the writer's thread; NULL: none.
     */
    void (*flushed)(void *context, const struct store_mark *durable);
};

struct storage_io_stats {
    uint64_t batches;        /* flushes done, whether synced or only written */
    uint64_t commits;        /* batches in them */
    uint64_t flush_ns_total; /* time from taking a batch to its flush */
    uint64_t flush_ns_last;
    uint64_t batch_size_last;
    uint64_t waiting;
    uint64_t checkpoints;
    /*
     * histogram of batch latency (commit + flush) in microseconds: bucket i counts those below 2^i
     */
    uint64_t flush_us_log2[24];
    uint64_t batch_size_log2[12]; /* bucket i counts batches of fewer than 2^i + 1 */
};

MUST_CHECK enum vault_err storage_io_start(const struct storage_io_options *options,
                                           struct storage_io **out);
int storage_io_wake_fd(const struct storage_io *io); /* readable when completions wait */
/*
 * Gives the request away; on an error it stays with the caller. `request` comes from
 * storage_request_new. Errors: ERR_BUSY.
 */
MUST_CHECK enum vault_err storage_io_submit(struct storage_io *io, struct storage_request *request);
/*
 * The same with a list (linked by `next`, oldest first), in one go. What there is no room for comes
 * back in a list, with its `err` set to ERR_BUSY; NULL: nothing.
 */
struct storage_request *storage_io_submit_list(struct storage_io *io,
                                               struct storage_request *first);
/*
 * Commits the list here and now, if it is short, needs no sync, the writer has nothing to do, and it
 * has not taken long lately. True: that is done, `err` tells how; they stay with the caller and are
 * not given to storage_io_drain(). False: nothing happened. From one thread, that which submits.
 */
bool storage_io_run(struct storage_io *io, struct storage_request *first);
/*
 * The same for what may overtake all that was submitted before: while the writer waits for the
 * disk, and whatever is in its queue.
 */
bool storage_io_run_past(struct storage_io *io, struct storage_request *first);
/*
 * The same with a few that need a sync, where the last sync, whoever made it, was about as quick as
 * waking the writer and being woken by it; twice as slow will do for a caller that is idle. After
 * one here that was slow all the same not for five times as long as it took, so that a disk which
 * stalls now and then holds up the caller for a sixth of its time at most.
 */
bool storage_io_run_synced(struct storage_io *io, struct storage_request *first, bool idle);
/*
 * Everything completed, in a list (oldest first), or NULL. The caller frees each with
 * storage_request_free. Clears the wake fd.
 */
struct storage_request *storage_io_drain(struct storage_io *io);
void storage_io_stats(struct storage_io *io, struct storage_io_stats *out);
/* Finishes what was submitted, stops the threads, frees; undrained completions are freed. */
void storage_io_stop(struct storage_io *io);

struct storage_request *storage_request_new(enum storage_request_kind kind,
                                            size_t arena_limit); /* NULL: no memory */
void storage_request_free(struct storage_request *request);

#endif
