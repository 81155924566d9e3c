/*
 * What nodes vouch for, gathered so that it can be shown to any replica of the path, then or later:
 * the votes with which a head was written, or the writes by which it is known chosen.
 *
 * Each entry is one node's statement with a MAC for each replica of the path, in their order, under
 * the key of that pair of nodes (crypto/vote_keys.h). So a proof convinces every replica alike, and
 * nobody can make one without those who are named in it. actors/shard_proof.c says what is taken
 * for proven.
 */
#ifndef OSTRAKA_PROTO_PROOF_H
#define OSTRAKA_PROTO_PROOF_H

#include "crypto/vote_keys.h"
#include "proto/msg.h"

enum { MACS_BYTES_MAX = NODES_MAX * VOTE_MAC_BYTES };

struct proof_entry {
    uint8_t node;
    uint64_t incarnation; /* of its store, when it said so */
    struct bytes macs;    /* VOTE_MAC_BYTES for each replica; zero for one whose key is not known */
    /* Votes: what it had accepted then. */
    struct ballot accepted;
    enum accepted_state state;
    uint8_t head_id[ID_BYTES];
};

struct proof {
    struct ballot ballot;
    enum change_kind purpose; /* of the votes; NONE: these are writes, of a head named elsewhere */
    uint8_t op_id[OP_ID_BYTES]; /* of the votes */
    struct bytes caller;        /* of the votes; empty for FINISH */
    struct bytes
        replaced; /* the pending head that a void or a head without mark takes the place of */
    struct proof_entry entries[NODES_MAX];
    size_t count;
};

/* Errors: ERR_NOMEM, ERR_TOO_LARGE, ERR_RANGE what the decoder would refuse. */
MUST_CHECK enum vault_err proof_encode(const struct proof *proof, struct buf *out);
/* Strict; views are borrowed. All zero on error. Errors: ERR_MALFORMED. */
MUST_CHECK enum vault_err proof_decode(struct bytes encoded, struct proof *out);
/* Of votes: the entry whose head a change goes by (proto/newest.h); NULL: there is none. */
const struct proof_entry *proof_newest(const struct proof *proof);

#endif
