/*
 * Secrets of the tenant "other": few, with names that secrets of the clients have, too, under the
 * limits that the seed gives the tenant. Properties: no value of one tenant is ever shown in the
 * other, no more versions are kept than the tenant keeps, and nothing outlives the end that the
 * tenant gives new secrets.
 */
#ifndef OSTRAKA_SIM_ELSEWHERE_H
#define OSTRAKA_SIM_ELSEWHERE_H

#include "proto/request.h"

enum { ELSEWHERE_SECRETS = 2, ELSEWHERE_VALUE_BYTES = 40 };

struct elsewhere_secret {
    uint64_t version;    /* as last heard; 0: none */
    bool changing;       /* the admin is at it */
    bool creating;       /* and makes it */
    uint64_t created_ms; /* no later than that, true time; 0: never was */
};

struct elsewhere {
    struct elsewhere_secret secrets[ELSEWHERE_SECRETS];
};

struct world;
struct bearer_op;

/* Number of the clients' path that has the same name. */
unsigned elsewhere_path(const struct world *world, unsigned secret);
void elsewhere_fill_value(struct world *world, struct bearer_op *op);
/* The operator makes, updates or looks at one; false: not now. */
bool elsewhere_begin(struct world *world, unsigned node);
/* It makes it, if it is not there. */
bool elsewhere_create_begin(struct world *world, unsigned secret, unsigned node);
void elsewhere_ended(struct world *world, struct bearer_op *op, const struct reply *reply);
/* Properties of an answer that shows a value. */
void elsewhere_check_value(struct world *world, const struct bearer_op *op,
                           const struct reply *reply);

#endif
