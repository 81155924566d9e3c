/*
 * Gateway: the door for API clients. Checks who calls, admits a bounded number of requests, and
 * hands them to the coordinator. What a request costs and how it ended is counted here.
 */
#ifndef OSTRAKA_ACTORS_GATEWAY_H
#define OSTRAKA_ACTORS_GATEWAY_H

#include "actors/actor.h"
#include "actors/membership.h"

struct gateway {
    const struct membership *membership; /* borrowed */
    size_t requests_max;
    size_t in_flight;
};

void gateway_init(struct gateway *g, const struct membership *membership, size_t requests_max);
/* MSG_REQUEST. Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err gateway_handle(struct gateway *g, const struct step *st,
                                         const struct msg *in, struct effects *out);
/* A request that was handed on has been answered. */
void gateway_answered(struct gateway *g);

#endif
