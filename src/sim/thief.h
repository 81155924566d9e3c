/*
 * A broken node that uses what it sees: the tokens of requests that reach it, for questions of its
 * own to other nodes (other paths, tenants, versions, changes, and after the token has been
 * revoked), and frames about records and secrets, which it sends once more, late. Property: it is
 * given nothing beyond what a token that it has seen allows, while that is valid.
 */
#ifndef OSTRAKA_SIM_THIEF_H
#define OSTRAKA_SIM_THIEF_H

#include "base/bytes.h"
#include "proto/msg.h"

enum { THIEF_TOKENS = 8, THIEF_FRAMES = 16 };

struct thief {
    struct {
        uint64_t number; /* 0: none */
        bool revoked;    /* and that had been answered */
    } seen[THIEF_TOKENS];
    unsigned seen_next;
    struct buf frames[THIEF_FRAMES];
    unsigned frames_next;
    uint64_t asked, given;
};

struct world;

/* That credential reaches the node. */
void thief_sees_credential(struct world *world, unsigned node, struct bytes credential);
void thief_sees_frame(struct world *world, unsigned node, unsigned from, struct bytes frame);
/* The revocation of that token has just returned: it is tried at all nodes. */
void thief_hears_of_revocation(struct world *world, uint64_t number);
bool thief_strike(struct world *world);
/* An answer to it leaves: true when it is one of the thief's, which its node never hears of. */
bool thief_is_answered(struct world *world, unsigned from, unsigned to, const struct msg *msg);
void thief_close(struct world *world);

#endif
