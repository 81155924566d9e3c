/*
 * The auditor: keeps this node's audit trail, and of the others' what they have signed of theirs.
 *
 * Records that are noted gather into a block. A block is written (row 'a', and with the first of an
 * epoch, every 16th and what drops old ones, in the same batch, where the trail stands in row 'm'
 * "audit") as soon as the one before it is, and the turn of the loop
 * is over in which something was noted; so under load a block holds what has come in meanwhile.
 * What leaves the node in a step that noted something is held back by the node until that block is
 * written (actors/audit_hold.h). If it cannot be written, what was held is refused, requests are
 * refused from then on (503 audit_unavailable), this node gives neither votes nor shares, and the same
 * block is tried again every second. The same holds while it cannot be read at the start where the
 * trail stands.
 *
 * Every second in which records were written, the newest tree head is signed, stored, and sent to
 * the peers (ANCHOR), who store it (row 'h', and earlier ones beside it: actors/witness.h) and say so
 * (ANCHORED). A head that cannot go on from the one before it (smaller, another root of the same size,
 * dated before it) or is dated in the future is not taken, counted, and logged as an alarm.
 */
#ifndef OSTRAKA_ACTORS_AUDITOR_H
#define OSTRAKA_ACTORS_AUDITOR_H

#include "actors/actor.h"
#include "actors/membership.h"
#include "actors/witness.h"
#include "audit/block.h"
#include "audit/record.h"

enum {
    AUDIT_TICK_MS = 1000,
    AUDIT_BLOCKS_KEPT = 1 << 20, /* unless told otherwise; older ones are dropped */
    AUDIT_DROPPED_AT_ONCE = 4,   /* with each new one */
    AUDIT_STATE_EVERY = 16,      /* blocks: so many are read at the start, at most */
    AUDIT_ASKED_BUCKETS = 256,
};

/* A request that has not been answered. */
struct audit_asked {
    struct audit_asked *next;
    uint64_t exchange;
    const struct request *request; /* borrowed until its answer */
};

struct audit_options {
    uint64_t blocks_kept;          /* 0: AUDIT_BLOCKS_KEPT */
    const struct secret *name_key; /* borrowed; names stand as their keyed hash; NULL: in clear */
};

/* Must not be copied. */
struct auditor {
    struct membership *membership; /* borrowed */
    struct audit_options options;

    /* Where the trail stands: after the last block written. */
    bool loading, loaded;
    uint8_t epoch[AUDIT_EPOCH_BYTES];
    uint64_t epoch_incarnation; /* of the store in which the epoch began */
    uint64_t next_block;
    uint64_t kept_from;
    struct row_key found; /* last block found, when that row does not say; size 0: none */
    uint64_t droppable;   /* blocks before it: a head that is durable says that they may go */
    uint8_t previous[HASH_BYTES];
    struct audit_tree tree;

    /* Being written, or to be tried again. */
    bool writing, failing;
    struct buf block;
    uint8_t block_hash[HASH_BYTES];
    struct audit_tree tree_after;
    uint64_t kept_from_after;

    /* Gathering. Blocks are counted from the start of the process: serials. */
    uint64_t serial;  /* of the one that gathers */
    uint64_t written; /* all up to this one are written */
    struct buf records;
    size_t record_count;
    bool noted;          /* something was, since auditor_step_begin */
    bool full;           /* something could not be, since then */
    struct buf encoding; /* one record; empty but for its memory */

    /* Anchors. */
    bool anchoring;
    struct audit_head own;             /* newest that was signed */
    struct witness witness[NODES_MAX]; /* of each node's trail; of the own one its newest head */
    uint64_t anchored[NODES_MAX];      /* size of this epoch's tree that the peer has stored */

    uint64_t incarnation_noted;
    struct audit_asked *asked[AUDIT_ASKED_BUCKETS];
};

/* The row of a block. */
void row_key_audit(uint64_t block, struct row_key *out);

void auditor_init(struct auditor *a, struct membership *membership,
                  const struct audit_options *options);
/* What stands for that name in the trail: 64 hex digits, or the name where names are in clear. */
enum { AUDIT_NAME_HASH_BYTES = 2 * HASH_BYTES + 1 };
struct bytes auditor_name(const struct auditor *a, struct bytes tenant, struct bytes name,
                          char memory[static AUDIT_NAME_HASH_BYTES]);
void auditor_close(struct auditor *a);
void auditor_start(struct auditor *a, const struct step *st, struct effects *out);
MUST_CHECK enum vault_err auditor_handle(struct auditor *a, const struct step *st,
                                         const struct msg *in, struct effects *out);

/*
 * At the begin of every step of the node; and at the end of every step or turn of it: hands what was
 * gathered to the store.
 */
void auditor_step_begin(struct auditor *a);
/* So much has gathered that it should not wait for the end of the turn. */
bool auditor_has_much(const struct auditor *a);
void auditor_step_end(struct auditor *a, const struct step *st, struct effects *out);

enum audit_state { AUDIT_WAITS, AUDIT_WRITTEN, AUDIT_REFUSED };
/* Of what was noted into the block of that serial. */
enum audit_state auditor_state(const struct auditor *a, uint64_t serial);
/* The block of what was noted last; 0: all of it is written. */
uint64_t auditor_unwritten(const struct auditor *a);

/* A request has come. The pointer is kept until auditor_answered. */
void auditor_asked(struct auditor *a, const struct msg_request *request);
/* Notes how it ended: one record, or one for each secret of a batch. True: it was a change. */
bool auditor_answered(struct auditor *a, const struct step *st, uint64_t exchange,
                      enum vault_err err);

/* From the actors: nothing happens when st->audit is NULL. The time is filled in. */
void audit_note(const struct step *st, const struct audit_record *record);
/* A replica was asked for something of a path, and did so or not. */
void audit_note_asked(const struct step *st, enum audit_kind kind, const struct msg *msg,
                      struct path path, struct bytes credential, const char *operation,
                      const char *outcome);

#endif
