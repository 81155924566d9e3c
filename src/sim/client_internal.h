/* Private to the files of the clients. */
#ifndef OSTRAKA_SIM_CLIENT_INTERNAL_H
#define OSTRAKA_SIM_CLIENT_INTERNAL_H

#include "sim/client.h"
#include "sim/world.h"

struct op *op_new(struct world *world, unsigned client, unsigned node, unsigned path);
void op_attempt(struct world *world, struct op *op, unsigned node);
void op_make_value(struct world *world, struct op *op);
enum op_outcome op_outcome_of(struct world *world, const struct op *op);
void op_take_value(struct world *world, struct op *op);
void op_check_told(struct world *world, struct op *write, uint64_t version, uint64_t valid_from_ms);
void op_ended(struct world *world, struct op *op, enum op_outcome outcome);

/* client_names.c */
/* Whether this turn is a list's, which has begun then. */
struct op *names_begin(struct world *world, unsigned client, unsigned node);
void names_take_reply(struct world *world, struct op *op);
/* client_alter.c */
/* Whether this turn is an alteration's, which has begun then. */
struct op *alter_begin(struct world *world, unsigned client, unsigned node);
/* Property: no more nodes are said to have got rid of what was destroyed than have. */
void check_destroy_answer(struct world *world, const struct op *op);
/* client_batch.c */
/* Whether this turn is a batch's, which has begun then. */
struct op *batch_begin(struct world *world, unsigned client, unsigned node);
/* The last answer about the batch that `op` leads: what became of all its members. */
void batch_take_reply(struct world *world, struct op *op, const struct reply *reply,
                      enum op_outcome outcome);
/* An answer that the client no longer waits for. */
void batch_late_reply(struct world *world, struct op *op, const struct reply *reply);
void batch_end(struct world *world, struct op *op, enum op_outcome outcome);

#endif
