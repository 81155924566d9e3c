/*
 * What a node holds back until the audit records of the step that made it are written: frames for
 * other nodes, and answers to API clients. The memory of a held answer, which may hold a value, is
 * wiped when it goes.
 */
#ifndef OSTRAKA_ACTORS_AUDIT_HOLD_H
#define OSTRAKA_ACTORS_AUDIT_HOLD_H

#include "actors/actor.h"

enum { AUDIT_HELD_BYTES_MAX = 128 * 1024 * 1024 };

struct audit_held {
    struct audit_held *next;
    uint64_t serial; /* of the block; 0: it only keeps its place behind others */
    bool is_reply;
    bool soon;      /* of a frame: see struct node_executor */
    bool is_change; /* of a reply: a refusal leaves it open whether it happened */
    uint8_t to;
    struct buf frame;
    struct arena memory; /* of the reply */
    struct effect reply;
    size_t bytes;
};

/* All zero is empty. Oldest first. */
struct audit_hold {
    struct audit_held *first, *last;
    size_t bytes;
};

/* Both copy. Errors: ERR_NOMEM, ERR_BUSY too much is held already; nothing is held then. */
MUST_CHECK enum vault_err audit_hold_frame(struct audit_hold *hold, uint64_t serial, uint8_t to,
                                           bool soon, struct bytes frame);
MUST_CHECK enum vault_err audit_hold_reply(struct audit_hold *hold, uint64_t serial,
                                           const struct effect *reply, bool is_change);
/* Takes the oldest out; the caller frees it. NULL: none. */
struct audit_held *audit_hold_take(struct audit_hold *hold);
void audit_held_free(struct audit_held *held);
/* In place of an answer whose record could not be written. */
void audit_refuse_reply(struct effect *reply, bool is_change);
void audit_hold_close(struct audit_hold *hold);

#endif
