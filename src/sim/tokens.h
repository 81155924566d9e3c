/*
 * Tokens: somebody makes identity records, uses the tokens that they name at any node, and revokes
 * them. Property: once a revocation has returned, no node serves anybody with that token, whatever
 * has happened to the node.
 */
#ifndef OSTRAKA_SIM_TOKENS_H
#define OSTRAKA_SIM_TOKENS_H

#include "proto/record_path.h"
#include "proto/request.h"
#include "sim/grants.h"
#include "sim/prng.h"

enum { TOKENS = 4, TOKEN_OPS_MAX = 64 };

enum sim_token_state {
    TOKEN_NONE,
    TOKEN_MAKING,
    TOKEN_OPEN, /* whether it was made is unknown */
    TOKEN_LIVE,
    TOKEN_REVOKING,
    TOKEN_REVOKED, /* and that was answered */
};

struct sim_token {
    uint64_t number;
    enum sim_token_state state;
    bool was_live; /* its making was answered */
    char text[GRANT_TOKEN_BYTES];
    uint64_t revoked_ns;
    uint64_t ends_ms; /* by the true time; 0: long after the run */
};

struct token_op {
    bool live; /* its node has not answered, and runs */
    bool delivered;
    bool revoked; /* the token was, before the request reached its node */
    unsigned node, token;
    uint64_t number; /* of the token */
    struct request request;
    bool grant; /* it makes a record that all tokens rest on */
    char credential[GRANT_TOKEN_BYTES], id[24];
    struct grant record; /* of what changes one */
};

struct tokens {
    struct prng prng;
    struct sim_token tokens[TOKENS];
    struct token_op ops[TOKEN_OPS_MAX];
    unsigned granted; /* of the records that all tokens rest on */
    bool granting;    /* one of them is under way */
    bool lasting;     /* no more tokens that end */
    uint64_t count;   /* made */
    uint64_t used, refused, revocations;
};

struct world;

void tokens_init(struct world *world);
void tokens_turn(struct world *world);
/* The exchange is one of these. */
bool tokens_own(uint64_t exchange);
void tokens_deliver(struct world *world, uint64_t exchange);
void tokens_reply(struct world *world, unsigned node, uint64_t exchange, const struct reply *reply);
/* Of that credential; 0: it is no token that anybody has now. */
uint64_t tokens_number(const struct world *world, struct bytes credential);
/* Its revocation has been answered; of one that nobody has any more nothing is known. */
bool tokens_is_revoked(const struct world *world, uint64_t number);
/* The secret of that name, of the tenant of all tokens. */
bool tokens_may_read(struct bytes name);
void tokens_node_crashed(struct world *world, unsigned node);
/* Adds what is under way at each node. */
void tokens_count(const struct world *world, uint64_t in_flight[static NODES_MAX]);
/* Phase 3: every node may decide, and a token counts everywhere until it is revoked. */
void tokens_whole(struct world *world);

#endif
