/*
 * Properties: the members of a batch exist at one moment or never; what a batch reads was there at
 * one moment.
 */
#include "sim/check_batch.h"

#include "sim/world.h"

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
check_batch_evidence(struct world *world)
{
    const struct clients *c = &world->clients;
    for (size_t i = 0; i < c->count; i++) {
        const struct op *op = c->ops[i];
        if (op->outcome != OP_DONE || op->request.kind != REQUEST_READ || op->read_number == 0)
            continue;
        struct sim_batch *batch = c->ops[op->read_number - 1]->batch;
        if (batch && (batch->seen_ns == 0 || op->ended_ns < batch->seen_ns))
            batch->seen_ns = op->ended_ns;
    }
}

/*
 * From when on the write is certainly no longer what the path has: some change that was begun when
 * it had returned has returned.
 */
static uint64_t
replaced_by(const struct world *world, const struct op *write)
{
    const struct clients *c = &world->clients;
    uint64_t by = UINT64_MAX;
    for (size_t i = 0; i < c->count && write->outcome == OP_DONE; i++) {
        const struct op *op = c->ops[i];
        bool change = op->request.kind == REQUEST_CREATE || op->request.kind == REQUEST_UPDATE ||
                      op->request.kind == REQUEST_DELETE;
        if (change && op->path == write->path && op->outcome == OP_DONE &&
            op->called_ns > write->ended_ns)
            by = earlier(by, op->ended_ns);
    }
    return by;
}

static void
check_read(struct world *world, const struct op *lead)
{
    const struct sim_batch *batch = lead->batch;
    uint64_t from = lead->called_ns, until = lead->ended_ns;
    for (size_t i = 0; i < batch->count; i++) {
        const struct op *write = world->clients.ops[batch->members[i]->read_number - 1];
        from = from > write->called_ns ? from : write->called_ns;
        until = earlier(until, replaced_by(world, write));
    }
    if (from > until)
        sim_fail(world, SIM_SAFETY, "batch-read",
                 "op %lu and those after it read what was never there together",
                 (unsigned long)lead->number);
}

void
check_batch_reads(struct world *world)
{
    const struct clients *c = &world->clients;
    for (size_t i = 0; i < c->count; i++) {
        const struct op *op = c->ops[i];
        if (op->batch && op->batch->members[0] == op && op->outcome == OP_DONE &&
            op->request.kind == REQUEST_READ)
            check_read(world, op);
    }
}
