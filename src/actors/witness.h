/*
 * What a node keeps of the signed heads of another node's audit trail.
 *
 * A head comes without a proof that it goes on from the one before: whoever has the other node and
 * its key can write the trail anew, sign a larger head of that, and have it take the place of the
 * true one. So the newest head alone proves nothing against him, and some of the earlier ones are kept
 * beside it, where nothing that he signs reaches them:
 *
 *   'h' node epoch   the newest head of each epoch; replaced with every head that is taken
 *   'w' node slot    slot 0..23 for an hour (modulo 24), 24..55 for a day (24 + modulo 32), by the
 *                    clock of the node that keeps it, since 1970: the head that was the newest when
 *                    the first head of that hour or day came. Value: when (milliseconds), and the head
 *   'w' node 255     the epochs in the order in which their first heads came, and when
 *
 * A slot is written once in its hour or day, in the batch in which that first head replaces the one
 * that goes into the slot, and not again before the ring has come round. So a head that was the newest
 * one at the end of an hour is kept until 24 more hours have brought heads, at the end of a day until
 * 32 days have, however many heads are signed meanwhile. A slot for the last head of an hour that is
 * written as heads come would hold whatever was signed last in it, and cost a row each second; one for
 * the first head of an hour lacks what a quiet node wrote after it, hours ago perhaps. This one holds
 * all that came before the hour began, and costs a row an hour.
 *
 * An epoch ends with the first head of the next one: it is not gone on with, so the last head of each
 * epoch stays, too. There are at most WITNESS_EPOCHS_MAX of a node; then the oldest goes, once it has
 * been over for 32 days, and no new one is taken before.
 *
 * Time is the keeping node's own; what a head says of its time is believed only as far as that allows.
 */
#ifndef OSTRAKA_ACTORS_WITNESS_H
#define OSTRAKA_ACTORS_WITNESS_H

#include "actors/actor.h"
#include "audit/block.h"

enum {
    WITNESS_HOURS = 24,
    WITNESS_DAYS = 32,
    WITNESS_SLOTS = WITNESS_HOURS + WITNESS_DAYS,
    WITNESS_EPOCHS_MAX = 64,
    WITNESS_HEADS_MAX = WITNESS_EPOCHS_MAX + WITNESS_SLOTS, /* rows with a head, of one node */
    WITNESS_AHEAD_MS_MAX = 60 * 1000, /* a head may be dated so much later than it comes */
    WITNESS_CHANGES_MAX = 5,          /* rows that one head changes */
};

enum head_verdict {
    HEAD_TAKEN,
    HEAD_LATE, /* older than what is known, and no contradiction that could be seen: ignored */
    HEAD_ROLLED_BACK, /* newer, and of fewer records */
    HEAD_FORKED,      /* as many records, and others */
    HEAD_BACKDATED,   /* of more records, and dated before the head of fewer */
    HEAD_AHEAD,       /* dated too far in the future */
    HEAD_REOPENED,    /* newer, of an epoch that has ended */
    HEAD_MANY_EPOCHS, /* of one epoch too many */
};
/* Name of the event; NULL: none. */
const char *head_verdict_event(enum head_verdict verdict);

struct witness_epochs {
    struct witness_epoch {
        uint8_t id[AUDIT_EPOCH_BYTES];
        uint64_t began_ms;      /* when its first head came; 0: not known */
    } list[WITNESS_EPOCHS_MAX]; /* the newest last */
    size_t count;
};

/* Of one node. All zero: nothing is known. */
struct witness {
    struct audit_head newest; /* the last that was taken; size 0: none */
    struct witness_epochs epochs;
    uint64_t slots[WITNESS_SLOTS]; /* 1 + the hour or day for which each was written; 0: empty */
    struct audit_head coming;      /* while its rows are being written */
    uint64_t coming_ms;            /* when it came; 0: none is */
    enum head_verdict refused;     /* why the last one was not taken; HEAD_TAKEN: it was */
    struct audit_head unlisted;    /* while rows are read: newest of an epoch that is not listed */
};

/* Whether a head that comes now, rightly signed, is to be kept. */
enum head_verdict witness_judge(const struct witness *w, const struct audit_head *head,
                                uint64_t now_ms);
/*
 * Rows to write, in one batch, for a head that is taken; then whether they were written: only then it
 * is known. `changes` has WITNESS_CHANGES_MAX; keys and values are in the arena.
 * Errors: ERR_NOMEM; nothing is coming then.
 */
MUST_CHECK enum vault_err witness_take(struct witness *w, const struct audit_head *head,
                                       uint64_t now_ms, struct arena *arena,
                                       struct store_change *changes, size_t *count);
void witness_written(struct witness *w, bool written);

/* After a start, into an all-zero witness: 'w' rows first, then heads of 'h' rows, then the end. */
void witness_load_row(struct witness *w, struct bytes key, struct bytes value);
void witness_load_head(struct witness *w, const struct audit_head *head);
void witness_load_end(struct witness *w);

/* The 'w' table, and of one node. The node of a key; NODES_MAX: it is none of that table. */
void row_key_anchor(uint64_t node, const uint8_t epoch[static AUDIT_EPOCH_BYTES],
                    struct row_key *out);
void row_key_witness(uint64_t node, uint8_t slot, struct row_key *out);
uint64_t witness_row_node(struct bytes key);
/* The head of a 'w' row, as it is encoded, borrowed from the value. False: the row has none. */
bool witness_row_head(struct bytes key, struct bytes value, struct bytes *head);

#endif
