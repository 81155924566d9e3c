/*
 * Batches: each of their secrets is an operation for the checkers, and the first of them leads: it
 * is sent, answered and asked for again for all.
 */
#include <stdio.h>
#include <string.h>

#include "sim/client_internal.h"
#include "sim/memory.h"
#include "sim/options.h"

enum { BATCH_PERMILLE = 90 };

/* ---- making ---- */

/* Distinct paths: to create cold ones that are not known to be there, if there are enough. */
static unsigned
pick_paths(struct world *world, bool create, unsigned *out)
{
    const struct sim_options *o = &world->options;
    struct prng *prng = &world->client_prng;
    unsigned first = create ? o->hot_paths : 0, all = o->cold_paths + o->hot_paths - first;
    unsigned wanted = 2 + (unsigned)prng_below(prng, BATCH_OPS_MAX - 1), count = 0;
    unsigned at = (unsigned)prng_below(prng, all), pass = create ? 0 : 1;
    for (; pass < 2 && count < 2; pass++) {
        count = 0;
        for (unsigned i = 0; i < all && count < wanted; i++) {
            unsigned path = first + (at + i) % all;
            bool fits = !create || world->clients.paths[path].version == 0;
            if ((fits || pass > 0) && !prng_chance(prng, 300))
                out[count++] = path;
        }
    }
    return count;
}

static void
add_member(struct world *world, struct sim_batch *batch, struct op *op)
{
    bool create = batch->request.kind == REQUEST_BATCH_CREATE;
    op->batch = batch;
    op->request = (struct request){.kind = create ? REQUEST_CREATE : REQUEST_READ,
                                   .name = bytes_of_text(op->name)};
    if (create)
        op_make_value(world, op);
    batch->items[batch->count] = (struct batch_item){
        .name = op->request.name, .value = op->request.value, .encoding = op->request.encoding};
    batch->members[batch->count++] = op;
}

struct op *
batch_begin(struct world *world, unsigned client, unsigned node)
{
    struct clients *c = &world->clients;
    unsigned paths[BATCH_OPS_MAX];
    if (!prng_chance(&world->client_prng, BATCH_PERMILLE))
        return NULL;
    bool create = prng_chance(&world->client_prng, 600);
    unsigned count = pick_paths(world, create, paths);
    if (count < 2)
        return NULL;
    struct sim_batch *batch = sim_alloc(sizeof(*batch));
    batch->request.kind = create ? REQUEST_BATCH_CREATE : REQUEST_BATCH;
    for (unsigned i = 0; i < count; i++)
        add_member(world, batch, op_new(world, client, node, paths[i]));
    struct op *op = batch->members[0];
    batch->request = (struct request){.kind = batch->request.kind,
                                      .routed = true,
                                      .tenant = bytes_of_text("default"),
                                      .id = bytes_of_text(op->id),
                                      .credential = bytes_of_text(sim_token),
                                      .items = batch->items,
                                      .item_count = count};
    if (create && prng_chance(&world->client_prng, 500)) {
        snprintf(op->key, sizeof(op->key), "key-%lu", (unsigned long)op->number);
        op->request.idempotency_key = bytes_of_text(op->key);
        batch->request.idempotency_key = op->request.idempotency_key;
        for (unsigned i = 0; i < count; i++)
            c->paths[batch->members[i]->path].keyed_changes++;
    }
    c->clients[client].op = op;
    c->clients[client].gone = false;
    c->in_flight++;
    c->by_kind[batch->request.kind]++;
    op_attempt(world, op, node);
    trace_line(&world->trace, world->now_ns, "op %lu client %u at node %u: %s of %u from %s",
               (unsigned long)op->number, client, node, request_kind_name(batch->request.kind),
               count, op->name);
    return op;
}

/* ---- answers ---- */

static void
check_failed(struct world *world, const struct op *op, enum op_outcome outcome)
{
    if (op->seen_version != 0 && (outcome == OP_NOTHING || outcome == OP_REFUSED) &&
        op->request.kind == REQUEST_CREATE)
        sim_fail(world, SIM_SAFETY, "values", "op %lu failed, and its value has been read",
                 (unsigned long)op->number);
}

void
batch_end(struct world *world, struct op *op, enum op_outcome outcome)
{
    struct sim_batch *batch = op->batch;
    for (size_t i = batch->count; i-- > 0;) {
        struct op *member = batch->members[i];
        enum op_outcome own = outcome;
        /* It was refused for what is there at some; of the others nothing is known. */
        if (outcome == OP_REFUSED &&
            (member->reply.err == OK || op_outcome_of(world, member) != OP_REFUSED))
            own = OP_NOTHING;
        check_failed(world, member, own);
        op_ended(world, member, own);
    }
}

static void
take_item(struct world *world, struct op *op, const struct item_result *item)
{
    op->reply = (struct reply){.err = item->err,
                               .version = item->version,
                               .valid_from_ms = item->valid_from_ms,
                               .valid_to_ms = item->valid_to_ms,
                               .value = item->value,
                               .encoding = item->encoding};
    (void)world;
}

void
batch_take_reply(struct world *world, struct op *op, const struct reply *reply,
                 enum op_outcome outcome)
{
    struct sim_batch *batch = op->batch;
    bool known = outcome == OP_DONE || outcome == OP_REFUSED;
    if (known && reply->item_count != batch->count)
        sim_fail(world, SIM_SAFETY, "answer", "op %lu: a batch was not answered whole",
                 (unsigned long)op->number);
    for (size_t i = 0; i < batch->count && known; i++)
        take_item(world, batch->members[i], &reply->items[i]);
    for (size_t i = 0; i < batch->count && outcome == OP_DONE; i++) {
        struct op *member = batch->members[i];
        if (batch->request.kind == REQUEST_BATCH)
            op_take_value(world, member);
        else
            op_check_told(world, member, member->reply.version, member->reply.valid_from_ms);
    }
    batch_end(world, op, outcome);
}

void
batch_late_reply(struct world *world, struct op *op, const struct reply *reply)
{
    struct sim_batch *batch = op->batch;
    for (size_t i = 0;
         i < batch->count && reply->err == OK && batch->request.kind == REQUEST_BATCH_CREATE; i++)
        op_check_told(world, batch->members[i], reply->items[i].version,
                      reply->items[i].valid_from_ms);
}
