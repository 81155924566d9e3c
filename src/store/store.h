/*
 * What the actors' STORE, LOAD and SCAN effects run on: ordered rows of bytes, changed in atomic
 * batches. store_wt.c keeps them in WiredTiger, store_mem.c in memory (tests, simulator); both pass
 * the same contract test.
 *
 * Rows are compared as unsigned bytes, a shorter key before a longer one that it begins. What a
 * committed batch wrote is visible to the next read at once; it survives a crash only after
 * store_sync().
 *
 * Every batch that is committed also moves the store's own sequence forward by one and chains a MAC
 * over it (store_chain.h; meta row, same transaction), so that a store that went back in time can
 * be told. That row's key, "\0seq", is taken: no change may name it, and readers never see it.
 *
 * Threads: store_commit from one thread at a time, and store_sync from one thread at a time, which
 * may be another: what is committed meanwhile may be durable then, or not. Each reader belongs to
 * one thread. store_wt.c allows all of them at once.
 */
#ifndef OSTRAKA_STORE_STORE_H
#define OSTRAKA_STORE_STORE_H

#include "base/bytes.h"
#include "base/limits.h"

enum store_change_kind {
    STORE_PUT,           /* sets key to value */
    STORE_DELETE,        /* removes key; absent is fine */
    STORE_DELETE_PREFIX, /* removes every key that begins with `key` (never empty) */
    STORE_DELETE_ONE /* removes the first key that begins with `key`, and the keys that differ from it
                        in their first byte alone, which is one of those of `value`; absent is fine. A
                        prefix costs as much as all rows behind it that were deleted and are in the
                        store's pages still; this one finds its row without passing over any */
};

enum { STORE_TABLES_MAX = 8 };

struct store_change {
    enum store_change_kind kind;
    struct bytes key;   /* 1..KEY_BYTES_MAX */
    struct bytes value; /* STORE_PUT: 0..ROW_BYTES_MAX; STORE_DELETE_ONE: first bytes, at most
                           STORE_TABLES_MAX */
};

struct store_row {
    struct bytes key;
    struct bytes value;
};

/* What is true of a batch when it counts as done. */
enum store_need {
    STORE_DURABLE, /* it survives a crash of the machine */
    STORE_WRITTEN, /* it outlives the process, and is durable with the next that must be */
    STORE_VISIBLE, /* readers see it; it may be lost with the process until one that is more comes */
};

/* Where a store stands: batches taken so far, and the MAC that chains them; all zero when new. */
struct store_mark {
    uint64_t sequence;
    uint8_t mac[32];
};

struct store;
struct store_reader;

struct store_ops {
    /*
     * Commits all changes or none. Not durable before sync. Errors: ERR_DISK_FULL (refused early,
     * nothing changed), ERR_IO, ERR_NOMEM.
     */
    enum vault_err (*commit)(struct store *store, const struct store_change *changes, size_t count);
    /*
     * Everything committed so far survives a crash. An error must end the process: it is never
     * retried.
     */
    enum vault_err (*sync)(struct store *store);
    uint64_t (*sequence)(struct store *store); /* of the last committed batch */
    enum vault_err (*reader_new)(struct store *store, struct store_reader **out);
    void (*reader_free)(struct store_reader *reader);
    /*
     * Row of `key`, copied into `arena`. Errors: ERR_NOT_FOUND (*out empty), ERR_CORRUPT, ERR_IO,
     * ERR_NOMEM.
     */
    enum vault_err (*get)(struct store_reader *reader, struct bytes key, struct arena *arena,
                          struct bytes *out);
    /*
     * Rows whose key begins with `prefix` and is greater than `after` (empty: from the first), in
     * ascending order, at most `limit` rows; `with_values` false leaves values empty. Copied into
     * `arena`. *more tells whether rows were left.
     * Errors: ERR_CORRUPT, ERR_IO, ERR_NOMEM; *count is then 0.
     */
    enum vault_err (*scan)(struct store_reader *reader, struct bytes prefix, struct bytes after,
                           size_t limit, bool with_values, struct arena *arena,
                           struct store_row *rows, size_t *count, bool *more);
    void (*close)(struct store *store); /* frees; readers must have been freed */
    /* Where the last batch stands that survives a crash: what the node tells others, and keeps. */
    void (*durable)(struct store *store, struct store_mark *out);
    /*
     * Everything committed so far outlives the process, but not the machine. Errors as for sync.
     * NULL: there is no such thing.
     */
    enum vault_err (*write_out)(struct store *store);
    /*
     * As get; and with a row that is there comes the first one whose key begins with `prefix`, if
     * it is found without trouble: *along is empty otherwise. NULL: there is no such thing.
     */
    enum vault_err (*get_along)(struct store_reader *reader, struct bytes key, struct bytes prefix,
                                struct arena *arena, struct bytes *out, struct store_row *along);
};

/* First member of every implementation's struct. */
struct store {
    const struct store_ops *ops;
};

/* A store in memory. `synced_only_after_crash`: see store_mem_crash. */
MUST_CHECK enum vault_err store_mem_new(struct store **out);
/* Forgets everything committed since the last sync, as a crash would. */
void store_mem_crash(struct store *store);

#endif
