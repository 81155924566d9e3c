/*
 * A tenant that lives more than once. In some seeds an operator makes a third tenant, clients use
 * secrets in it, the operator purges it with all that is in it (the flow of the API, called again
 * until it has come to its end) and makes it anew. Clients use other secrets then, some of the same
 * names. Properties (lives_check.c):
 *
 * purged: nothing of a life that has ended is shown in a later one: no value, name, version or
 *   token; nobody acts in a tenant whose mark has been answered; in phase 3 the purge comes to its
 *   end and leaves nothing on any disk.
 * lives: what was acknowledged in a life is there until it is deleted or the purge begins.
 */
#ifndef OSTRAKA_SIM_LIVES_H
#define OSTRAKA_SIM_LIVES_H

#include "api/auth_flow.h"
#include "sim/grants.h"
#include "sim/prng.h"

enum {
    LIFE_SECRETS = 4,
    LIFE_OPS_MAX = 16,
    LIFE_RECORDS = 3,  /* a policy, an identity and its token */
    LIFE_POLICIES = 2, /* the second is made as a purge begins */
    LIFE_VALUE_BYTES = 40
};
#define LIFE_TENANT "third"

enum life_stage {
    LIFE_OVER, /* or never begun */
    LIFE_MAKING,
    LIFE_ON,
    LIFE_PURGING,
};

/* As of the present life. */
struct life_secret {
    bool used;                             /* some names are used in some lives alone */
    bool changing;                         /* one change at a time */
    bool unsure;                           /* a deletion may come at any time */
    unsigned created_life;                 /* the last life in which somebody began to create it */
    unsigned creations, writes, deletions; /* begun */
    uint64_t floor; /* latest version that is surely there; 0: perhaps none is */
};

enum life_job { LIFE_FLOW, LIFE_RECORD, LIFE_CLIENT };

struct life_op {
    bool live, delivered;
    unsigned node;
    enum life_job job;
    unsigned secret;
    unsigned token; /* of that life; 0: the operator's */
    /* When it reached its node. */
    unsigned life, after; /* after: the last life that had ended */
    bool marked;          /* the mark of the purge had been answered */
    uint64_t floors[LIFE_SECRETS];
    unsigned deletions[LIFE_SECRETS];
    struct request request;
    struct batch_item items[LIFE_SECRETS];
    char id[24], credential[GRANT_TOKEN_BYTES];
    uint8_t value[LIFE_VALUE_BYTES];
    struct grant record;
    struct auth_flow flow;
    struct arena arena; /* of the flow */
};

struct lives {
    bool on;
    struct prng prng;
    enum life_stage stage;
    unsigned life, ended; /* ended: the last that has */
    bool tried;           /* the tenant may have been made in this life */
    bool told;            /* somebody was told that it was made: then every node knows it */
    bool marked;
    bool limited;    /* it may have so many secrets, and no more */
    bool operating;  /* the operator is at something */
    bool whole;      /* phase 3 has come to them */
    unsigned made;   /* records of this life */
    uint64_t due_ns; /* when the operator goes on */
    struct life_secret secrets[LIFE_SECRETS];
    unsigned policies[LIFE_POLICIES]; /* the last life in which somebody began to make it */
    struct life_op ops[LIFE_OPS_MAX];
    uint64_t serial; /* requests */
    /* lives_plot.c */
    struct path plot_path; /* that is being created */
    bool plot_cut, plot_away;
    unsigned plot_node, plot_kind;
    uint64_t plot_until_ns;
};

struct world;
struct msg;

void lives_init(struct world *world);
void lives_turn(struct world *world);
void lives_join(struct world *world); /* whom a plot cut off is back */
bool lives_own(uint64_t exchange);
void lives_deliver(struct world *world, uint64_t exchange);
void lives_reply(struct world *world, unsigned node, uint64_t exchange, const struct reply *reply);
void lives_node_crashed(struct world *world, unsigned node);
/* Adds what is under way at each node. */
void lives_count(const struct world *world, uint64_t in_flight[static NODES_MAX]);
void lives_close(struct world *world);
/* A frame is about to leave; how much later than usual it arrives. */
uint64_t lives_frame(struct world *world, unsigned from, unsigned to, const struct msg *msg);
/* Phase 3: what is left ends, and there is another life. */
void lives_whole(struct world *world);

#endif
