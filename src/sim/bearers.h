/*
 * Callers of many sorts: machines that log in with secret ids, holders of certificates and of JSON
 * web tokens, tokens made with tokens, tokens whose uses are counted, and a traveller between two
 * tenants in which everything has the same names. What they rest on (papers.h) is taken away and
 * given back all the time. Properties: bearers_check.c.
 */
#ifndef OSTRAKA_SIM_BEARERS_H
#define OSTRAKA_SIM_BEARERS_H

#include "proto/request.h"
#include "sim/elsewhere.h"
#include "sim/papers.h"
#include "sim/prng.h"
#include "sim/tokens.h"

enum bearer {
    BEARER_ROLE, /* three tokens of logins, and one in the other tenant */
    BEARER_ROLE_ELSEWHERE,
    BEARER_STATEMENT,
    BEARER_JWT,
    BEARER_PARENT,
    BEARER_CHILD,
    BEARER_COUNTED, /* of the other tenant */
    BEARER_TRAVELLER,
    BEARER_SIGNED, /* JSON web tokens as they are, which have no record */
    BEARER_SIGNED_ELSEWHERE,
};
enum { BEARERS = BEARER_SIGNED_ELSEWHERE + 1, BEARER_TOKENS = BEARER_SIGNED, BEARER_OPS_MAX = 32 };

enum paper_state {
    PAPER_NONE, /* never was there */
    PAPER_MOVING,
    PAPER_OPEN, /* nobody knows */
    PAPER_GONE, /* nor this: nothing was there to be taken away */
    PAPER_GOOD,
    PAPER_TAKEN, /* and that was answered */
};
struct sim_paper {
    enum paper_state state;
    bool was_good;    /* the last giving was answered */
    uint64_t round;   /* counts how often it was given */
    uint64_t ends_ms; /* ROLE: the second secret id */
};

struct sim_bearer {
    uint64_t number; /* of the token; 0: there was none yet */
    enum sim_token_state state;
    bool was_live;
    uint64_t revoked_ns;
    uint64_t parent;  /* number of its parent */
    uint64_t version; /* of its record, as far as is known */
    char text[GRANT_TOKEN_BYTES];
    struct token token;                   /* as its record would say; views are static */
    char credential[CREDENTIAL_TEXT_MAX]; /* of the login that made it */
    uint64_t count_begun_ns;              /* of the last use, as far as is known */
    uint64_t counted, served; /* uses that were counted, and requests that were let in */
};

enum bearer_job {
    JOB_STANDING,
    JOB_GIVE,
    JOB_TAKE,
    JOB_MAKE,
    JOB_RENEW,
    JOB_REVOKE,
    JOB_USE,
    JOB_CROOKED, /* what nobody may */
    JOB_KEEP,    /* elsewhere.h */
};
/* Of a request with a token whose uses are counted. */
enum count_stage { COUNT_NONE, COUNT_UNDER_WAY, COUNT_DONE };

struct bearer_op {
    bool live; /* its node has not answered, and runs */
    bool delivered;
    unsigned node;
    enum bearer_job job;
    enum paper paper;
    enum bearer bearer;
    uint64_t number;   /* of the bearer's token, when it began */
    uint64_t round;    /* ROLE: of the secret id */
    bool second;       /* likewise */
    uint64_t proof_ms; /* when the statement was made; when the JSON web token ends */
    uint64_t entered_ns, handed_ns;
    bool is_void;    /* what it comes with was, before it reached its node */
    bool may;        /* its bearer may do that */
    bool elsewhere;  /* in the other tenant */
    bool unanswered; /* its node ended */
    bool careless;   /* no use is counted for it */
    enum count_stage stage;
    unsigned tries;
    unsigned secret; /* elsewhere.h: number of it */
    struct request request, count;
    struct grant record, counted; /* of what changes one */
    char credential[CREDENTIAL_TEXT_MAX], id[24], key[24];
    uint8_t value[ELSEWHERE_VALUE_BYTES];
};

struct bearers {
    struct prng prng;
    struct sim_paper papers[PAPERS];
    struct sim_bearer of[BEARERS];
    struct bearer_op ops[BEARER_OPS_MAX];
    struct elsewhere elsewhere;
    unsigned standing; /* of what stays: how much is there */
    bool standing_moving;
    uint64_t count, serial; /* tokens made; requests */
    uint64_t served[BEARERS], refused, taken, crooked;
    uint64_t times_given; /* whenever something is about to be given, or a use counted */
    uint64_t taken_ns;    /* when something was last known to be taken away */
    enum bearer taken_of; /* whom it concerns */
};

struct world;

void bearers_init(struct world *world);
void bearers_turn(struct world *world);
bool bearers_own(uint64_t exchange);
void bearers_deliver(struct world *world, uint64_t exchange);
void bearers_reply(struct world *world, unsigned node, uint64_t exchange,
                   const struct reply *reply);
void bearers_node_crashed(struct world *world, unsigned node);
/* Adds what is under way at each node. */
void bearers_count(const struct world *world, uint64_t in_flight[static NODES_MAX]);
/* check_door.c */
void sim_door_open(struct world *world, unsigned node);
/* Phase 3: everybody gets in, and nobody whose papers are taken away. */
void bearers_whole(struct world *world);

#endif
