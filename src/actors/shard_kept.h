/*
 * Rows of versions that were read a moment ago, so that the next reader of the path needs no
 * storage thread: of one version for each path its row, and that of its dealing where it was looked
 * for, byte for byte as they are on the disk (the share sealed as it is there). Beside them the
 * share itself, opened, where there is a slot for it in the locked memory for keys and shares; the
 * value never.
 *
 * Every change of a path's rows goes through shard_commit(), which forgets what is kept of the path
 * before the batch leaves; no other message of the path is handled until the batch is durable. So
 * what is kept is what a load would bring. Least recently read rows make room; of opened shares,
 * the one that was kept first.
 */
#ifndef OSTRAKA_ACTORS_SHARD_KEPT_H
#define OSTRAKA_ACTORS_SHARD_KEPT_H

#include "crypto/secret.h"
#include "proto/msg.h"

enum {
    KEPT_BYTES_MAX = 32 * 1024 * 1024, /* of all paths */
    KEPT_ROWS_BYTES_MAX = 64 * 1024,   /* of one; larger ones are loaded each time */
    KEPT_ROWS_MAX = 2,
};

struct kept_rows {
    struct kept_rows *older, *newer;
    struct kept_rows **owner; /* the path's pointer to it; NULL: forgotten */
    uint64_t version;
    uint8_t version_id[ID_BYTES];
    size_t bytes;
    struct loaded_row rows[KEPT_ROWS_MAX];
    struct msg_loaded loaded; /* of the rows */
    bool looked_at, sound;    /* whether record and dealing are those of the version, once known */
    struct secret share;      /* opened; {NULL, 0}: not kept */
    size_t holder;            /* of the share: its place in `holders` */
    uint8_t memory[];
};

/* All zero is empty. Must not be copied. */
struct kept {
    struct kept_rows *oldest, *newest;
    struct kept_rows *forgotten; /* effects of this step may borrow from them */
    size_t bytes;
    struct secret_arena *arena; /* borrowed: has slots for shares_max, which nobody else takes */
    struct kept_rows **holders; /* of opened shares, in a ring; NULL: a free place */
    size_t shares_max, next_holder;
};

/*
 * Keeps opened shares as well, so many of them at most. Without it: none, as with 0. Errors:
 * ERR_NOMEM.
 */
MUST_CHECK enum vault_err kept_init(struct kept *kept, struct secret_arena *arena,
                                    size_t shares_max);
/* What is kept of that version under that pointer; NULL: nothing. */
const struct msg_loaded *kept_find(struct kept *kept, struct kept_rows *of, uint64_t version,
                                   const uint8_t version_id[static ID_BYTES]);
/* Copies. Nothing is kept when the rows are too large, or there is no memory. *of: NULL, or kept. */
void kept_put(struct kept *kept, struct kept_rows **of, uint64_t version,
              const uint8_t version_id[static ID_BYTES], const struct msg_loaded *rows);
/* Wipes the share. Where shares are kept, the arena is open for this and all below. */
void kept_forget(struct kept *kept, struct kept_rows **of);
/* The share of these rows, opened; empty: not kept. Valid until anything is kept or forgotten. */
struct bytes kept_share(const struct kept_rows *of);
/* Copies what opening the rows' share gave. One that is too long, or has no slot, is not kept. */
void kept_share_put(struct kept *kept, struct kept_rows *of, struct bytes share);
/*
 * Record and dealing, which are what the rows hold, are those of the version, by their hashes,
 * which are made once.
 */
bool kept_is_sound(struct kept_rows *of, struct bytes record, struct bytes dealing);
/* At the beginning of a step: frees what was forgotten in the one before. */
void kept_sweep(struct kept *kept);
/* All paths must have been forgotten. */
void kept_close(struct kept *kept);

#endif
