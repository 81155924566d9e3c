/* Private to the files of the bearers. */
#ifndef OSTRAKA_SIM_BEARERS_INTERNAL_H
#define OSTRAKA_SIM_BEARERS_INTERNAL_H

#include "sim/bearers.h"
#include "sim/world.h"

/* An operation that has a slot and nothing else yet; NULL: there is no slot. */
struct bearer_op *bearer_op_new(struct world *world, enum bearer_job job, unsigned node);
/* It reaches its node in a while. */
void bearer_op_send(struct world *world, struct bearer_op *op, uint64_t us_min, uint64_t us_max);
/* A request about the operation's record. */
void bearer_ask_record(struct bearer_op *op, enum request_kind kind, const char *credential);

/*
 * bearers_begin.c: each begins something; false: not now. Plain: as it should be, with nothing odd
 * about it.
 */
bool bearer_standing_begin(struct world *world, unsigned node);
bool bearer_give_begin(struct world *world, enum paper paper, bool good, unsigned node);
bool bearer_make_begin(struct world *world, enum bearer bearer, unsigned node, bool plain);
bool bearer_renew_begin(struct world *world, unsigned node);
bool bearer_revoke_begin(struct world *world, enum bearer bearer, unsigned node);
bool bearer_use_begin(struct world *world, enum bearer bearer, unsigned node, bool plain);
/* bearers_crooked.c */
bool bearer_crooked_begin(struct world *world, unsigned node);
/* What a login makes becomes longer, somebody else's, of another tenant, or has other policies. */
void bearer_spoil(struct world *world, struct token *token);
/* What a login of that bearer makes; the hash is not in it. */
void bearer_login_token(const struct world *world, enum bearer bearer, uint64_t now_ms,
                        const char *credential, uint64_t until_ms, struct token *out);
void bearer_draw_proof(struct world *world, struct bearer_op *op, enum bearer bearer, bool plain);

/* check_door.c */
/* Errors: ERR_RATE_LIMITED. */
MUST_CHECK enum vault_err sim_door_enter(struct world *world, const struct bearer_op *op);
void check_door(struct world *world, const struct bearer_op *op, enum vault_err err);

/* bearers_check.c */
/*
 * What the operation comes with was no longer valid: taken away, or, with `by_clock`, at its end by
 * the clock of its node.
 */
bool bearer_is_void(const struct world *world, const struct bearer_op *op, bool by_clock);
bool bearer_may(const struct world *world, const struct bearer_op *op);
/* Property: nobody is let in by what was void. */
void bearer_check_void(struct world *world, const struct bearer_op *op, enum vault_err err);
void bearer_check(struct world *world, struct bearer_op *op, const struct reply *reply);

#endif
