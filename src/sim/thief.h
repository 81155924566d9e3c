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

enum { THIEF_TOKENS = 8, THIEF_FRAMES = 16, THIEF_PAPERS = 8, THIEF_TEXT_MAX = 2048 };

/* What a bearer (bearers.h) came with. */
struct thief_paper {
    unsigned job, bearer;
    uint64_t number, round, proof_ms;
    bool second;
    char text[THIEF_TEXT_MAX]; /* empty: none */
};

struct thief {
    struct {
        uint64_t number; /* 0: none */
        bool revoked;    /* and that had been answered */
    } seen[THIEF_TOKENS];
    unsigned seen_next;
    struct thief_paper papers[THIEF_PAPERS];
    unsigned papers_next;
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
unsigned thief_node(const struct world *world);
bool thief_is_at_work(const struct world *world);
/*
 * `may`: the answer may give something, as long as nothing is given to bearers. Of a vote for an
 * identity record nothing may be given.
 */
void thief_reads(struct world *world, unsigned to, struct path path, const struct msg_read *read,
                 bool may);
void thief_votes(struct world *world, unsigned to, struct path path, struct bytes change,
                 struct bytes credential);

struct bearer_op;
/* thief_bearers.c: that request reaches its node. */
void thief_sees_bearer(struct world *world, const struct bearer_op *op);
void thief_asks_as_bearer(struct world *world);
/* Something has just been taken away from bearers. */
void thief_hears_of_taking(struct world *world);
/* An answer to it leaves: true when it is one of the thief's, which its node never hears of. */
bool thief_is_answered(struct world *world, unsigned from, unsigned to, const struct msg *msg);
void thief_close(struct world *world);

#endif
