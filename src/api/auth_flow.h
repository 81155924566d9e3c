/*
 * Calls on tenants, policies, identities and tokens, as flows of requests on identity records. Each
 * flow is one function after the other: a function either asks for one more request, with what is
 * to take its reply, or ends the flow with an answer or an error. Pure: whoever runs it executes
 * flow->step in the name of the caller and hands over the reply.
 *
 * Every step is permitted, refused and recorded by itself where it is executed, as any other
 * request: a flow decides nothing about who may do what, and leaves nothing half done when one of
 * its steps is refused, since but one of them changes something (deleting a tenant:
 * auth_tenants.c, auth_purge.c).
 */
#ifndef OSTRAKA_API_AUTH_FLOW_H
#define OSTRAKA_API_AUTH_FLOW_H

#include "api/api.h"
#include "auth/decide.h"
#include "auth/ticket.h"
#include "crypto/rng.h"
#include "proto/record_path.h"

struct login; /* auth/login.h */

enum flow_turn { FLOW_ASK, FLOW_DONE };

/*
 * Who decides at this node about logins. `name`: what is tried, in its one canonical form, for
 * failures to be counted by.
 */
struct login_desk {
    void *context;
    /*
     * Whom that credential logs in to that tenant (auth/login.h); copied into `arena`. Errors:
     * ERR_UNAUTHENTICATED, counted as a failure; ERR_RATE_LIMITED too many of them before, and
     * *retry_after_ms says for how long; ERR_NOT_READY, ERR_BUSY, ERR_NOMEM.
     */
    enum vault_err (*enter)(void *context, struct bytes name, struct bytes credential,
                            struct bytes tenant, struct arena *arena, struct login *out,
                            unsigned *retry_after_ms);
    void (*succeeded)(void *context, struct bytes name);
};

struct auth_flow;
typedef enum flow_turn flow_next(struct auth_flow *flow, const struct reply *reply);

/* How records of a kind are shown. */
struct record_face {
    enum auth_kind kind;
    const char *list; /* member of the answer to a list */
    const char *key;  /* member of the answer to a deletion */
    /* Appends one as JSON. Errors: ERR_CORRUPT, ERR_NOMEM. */
    enum vault_err (*render)(struct bytes key, uint64_t version, struct bytes record,
                             struct buf *out);
    /* The same in a list; NULL: as by itself. */
    enum vault_err (*render_row)(struct bytes key, uint64_t version, struct bytes record,
                                 struct buf *out);
};

struct auth_flow {
    /* The caller's, set before the start. */
    struct request *request; /* REQUEST_AUTH; its refusal may be set */
    struct arena *arena;     /* lives as long as the flow, and is wiped after */
    const struct rng *rng;
    uint64_t now_ms;               /* wall clock, set anew before every call */
    uint64_t agreed_ms;            /* likewise, the clock that the nodes agree on */
    const struct login_desk *desk; /* borrowed; NULL: nobody can log in */

    struct request step;          /* FLOW_ASK: to be executed */
    struct reply refused;         /* FLOW_DONE: err and phase; OK: the response is the answer */
    struct api_response response; /* FLOW_DONE; the caller's to close */

    /* Of the flows. */
    flow_next *next;
    const struct record_face *face;
    bool takes_errors; /* the next one wants to see a reply that says no; else it ends the flow */
    unsigned attempts;
    void *state;           /* in the arena */
    struct bytes proposed; /* the record that flow_put_new() was to make */
    uint8_t step_name[RECORD_NAME_BYTES_MAX];
};

/* The reply of a step is borrowed for the call. */
enum flow_turn auth_flow_start(struct auth_flow *flow);
enum flow_turn auth_flow_continue(struct auth_flow *flow, const struct reply *reply);

/* ---- for flows ---- */

enum { FLOW_ATTEMPTS_MAX = 8 };

/* Ends it with an error; `why`: a static sentence, or NULL. */
enum flow_turn flow_refuse(struct auth_flow *flow, enum vault_err err, const char *why);
/* With what a step was refused with. */
enum flow_turn flow_fail(struct auth_flow *flow, const struct reply *reply);
/* With the response, whose body has been rendered with that outcome. */
enum flow_turn flow_answer(struct auth_flow *flow, unsigned status, enum vault_err rendered);
/* Begins once more with `first`: the record has changed meanwhile. */
enum flow_turn flow_again(struct auth_flow *flow, flow_next *first);

/*
 * One request on a record; `next` takes its reply. Whoever has more to say of it (a value, which
 * must live on, a version that is expected, a limit) does so in flow->step.
 */
enum flow_turn flow_ask_record(struct auth_flow *flow, enum request_kind kind, struct bytes tenant,
                               enum auth_kind of, struct bytes key, flow_next *next);
/* Records of that kind after that key, up to the limit of the caller's request. */
enum flow_turn flow_ask_list(struct auth_flow *flow, struct bytes tenant, enum auth_kind of,
                             struct bytes after, flow_next *next);
/*
 * Of a list that was asked for: of what every node has (request.h). `next` sees the reply of one
 * that says no; flow_lacks_nodes() is true of it when some node has yet to say what it has.
 */
void flow_ask_every_node(struct auth_flow *flow);
bool flow_lacks_nodes(const struct reply *reply);
/* Sets what a PUT needs. */
void flow_put_value(struct auth_flow *flow, struct bytes value, uint64_t expected_version);

struct bytes flow_system_tenant(void);

/*
 * Making records, auth_keyed.c. The id of a new one: random, or what the client's Idempotency-Key
 * makes of it. Errors: ERR_ENTROPY.
 */
MUST_CHECK enum vault_err flow_make_id(struct auth_flow *flow, uint8_t out[static AUTH_UUID_BYTES]);
/* To be put around the PUT of a new record, whose `next` begins with flow_on_put_new(). */
enum flow_turn flow_put_new(struct auth_flow *flow, enum flow_turn turn);
/*
 * Takes its reply. `made` gets the record as it is now, or an error, for flow_fail_made(). While its
 * version is 1 it must be what flow->proposed is, but for the time, or the key was another
 * request's.
 */
enum flow_turn flow_on_put_new(struct auth_flow *flow, const struct reply *reply,
                               enum auth_kind kind, struct bytes key, flow_next *made);
enum flow_turn flow_fail_made(struct auth_flow *flow, const struct reply *reply);
/*
 * 201 with the record as it is now. `encoded`, with that outcome, is flow->proposed at the time of
 * that record; it is closed.
 */
enum flow_turn flow_answer_made(struct auth_flow *flow, const struct reply *reply,
                                const struct record_face *face, enum vault_err encoded_as,
                                struct buf *encoded);

/* auth_policies.c, auth_identities.c, auth_tokens.c, auth_tenants.c */
enum flow_turn policy_flow(struct auth_flow *flow);
enum flow_turn identity_flow(struct auth_flow *flow);
enum flow_turn token_flow(struct auth_flow *flow);
enum flow_turn tenant_flow(struct auth_flow *flow);
enum flow_turn
purge_flow(struct auth_flow *flow); /* auth_purge.c: of a tenant that is no default */
/* auth_logins.c, auth_issuers.c, auth_roles.c, auth_revocations.c */
enum flow_turn login_flow(struct auth_flow *flow);
enum flow_turn issuer_flow(struct auth_flow *flow);
enum flow_turn role_flow(struct auth_flow *flow);
enum flow_turn revocations_flow(struct auth_flow *flow);

/*
 * Whole flows, auth_record_flow.c: the record of the caller's key, its deletion, or a list of them.
 */
enum flow_turn flow_get(struct auth_flow *flow, struct bytes tenant,
                        const struct record_face *face);
enum flow_turn flow_delete(struct auth_flow *flow, struct bytes tenant,
                           const struct record_face *face);
enum flow_turn flow_list(struct auth_flow *flow, struct bytes tenant,
                         const struct record_face *face);
/* With one record of the caller's key. */
enum flow_turn flow_answer_record(struct auth_flow *flow, unsigned status,
                                  const struct record_face *face, uint64_t version,
                                  struct bytes record);
/* {"member": the caller's key} of what has been deleted. */
enum flow_turn flow_answer_key(struct auth_flow *flow, const char *member);
/* {}: there is nothing to say of it. */
enum flow_turn flow_answer_nothing(struct auth_flow *flow, const struct reply *reply);
/* Takes what was encoded, with that outcome, over into the arena; closes it. */
MUST_CHECK enum vault_err flow_keep(struct auth_flow *flow, enum vault_err encoded_as,
                                    struct buf *encoded, struct bytes *out);
/* A new ticket: its text, in the arena, and its hash, which the caller wipes where it matters. */
MUST_CHECK enum vault_err flow_draw_ticket(struct auth_flow *flow, enum ticket_kind kind,
                                           struct bytes *text, uint8_t hash[static HASH_BYTES]);

#endif
