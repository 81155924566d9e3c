/*
 * The door: how much a client may ask of this node, by its address, its identity and the tenant
 * that it acts in, and how soon it may try again after a credential that was not valid. Asked once
 * for each request, when its head has come: before its body is taken, before anything of it is
 * parsed, before other nodes hear of it. Which requests are allowed at all is for authority.h.
 *
 * What the limits are is this node's configuration, but for that of a tenant, which is in its
 * record. Each node counts by itself. Of the bootstrap token, which is no identity, the requests
 * count as those of one.
 *
 * A credential that is not valid is slow to be tried again, from anywhere, whether or not there is
 * anything like it; so who waits is not told whether it is valid by now. An address from which many
 * come waits, too, but for credentials that are valid: there may be others behind it. (Nothing that
 * can be guessed is a credential.) To see that a signed token is not valid takes a verification,
 * whoever signed it: so of these such an address may present a limited number. A login waits in both ways, since it is expensive.
 */
#ifndef OSTRAKA_ACTORS_DOOR_H
#define OSTRAKA_ACTORS_DOOR_H

#include "actors/actor.h"
#include "actors/membership.h"
#include "auth/limiter.h"

enum {
    DOOR_ENTRIES = 32 * 1024,    /* keys that are remembered: 1.5 MiB */
    DOOR_SIGNATURES_PER_S = 100, /* signed tokens that an address may present while it waits */
};

/* 0: no limit. A second's worth may come at once. */
struct door_limits {
    uint32_t address_requests_per_s;
    uint32_t address_connections_per_s;
    uint32_t identity_requests_per_s;
    bool slow_failures;
};

struct door {
    struct door_limits limits;
    const struct membership *membership; /* borrowed */
    struct limiter *limiter;
};

struct door_caller {
    struct bytes address; /* as text; empty: not known, and not limited by it */
    struct bytes tenant;  /* in which it wants to act; empty: the own one */
    struct bytes credential;
};

/* Errors: ERR_NOMEM, ERR_ENTROPY; there is nothing to be closed then. */
MUST_CHECK enum vault_err door_init(struct door *door, const struct door_limits *limits,
                                    const struct membership *membership, const struct rng *rng);
void door_close(struct door *door);
/* One more connection from there may begin; counted. */
bool door_may_connect(struct door *door, const struct address *address, struct instant now);
/*
 * Logins: how long the next with that name from that address has to wait, in milliseconds, and what
 * became of one. `name` is in its one canonical form, whether or not it exists.
 */
unsigned door_login_wait_ms(struct door *door, struct instant now, struct bytes name,
                            struct bytes address);
void door_login_failed(struct door *door, struct instant now, struct bytes name,
                       struct bytes address);
void door_login_succeeded(struct door *door, struct bytes name);
/*
 * One more request may be handled; counted. Errors: ERR_RATE_LIMITED, *retry_after_ms says when to
 * come again. OK does not mean that the credential is valid.
 */
MUST_CHECK enum vault_err door_enter(struct door *door, const struct step *st,
                                     const struct door_caller *caller, unsigned *retry_after_ms);
/* One that was let in has been answered that its credential is not valid. */
void door_failed(struct door *door, struct instant now, struct bytes credential,
                 struct bytes address);

#endif
