/* Private to the files of the tenant that lives more than once. */
#ifndef OSTRAKA_SIM_LIVES_INTERNAL_H
#define OSTRAKA_SIM_LIVES_INTERNAL_H

#include "sim/lives.h"
#include "sim/world.h"

/* The operator's next step, if one is due and none is under way. */
void lives_operate(struct world *world, unsigned node);
/* Some client asks for something of that secret; `token`: of that life, 0: the operator's. */
void lives_ask(struct world *world, enum request_kind kind, unsigned secret, unsigned token,
               unsigned node);
/* The second policy is made. */
void lives_ask_policy(struct world *world, unsigned node);
struct path lives_path(const struct world *world, unsigned secret);

/* lives_check.c */
/* What the client's operation may be shown is settled, and its value made. */
void lives_handed(struct world *world, struct life_op *op);
void lives_check(struct world *world, const struct life_op *op, const struct reply *reply);

/* lives_plot.c: the purge is about to begin. */
void lives_plot(struct world *world);

#endif
