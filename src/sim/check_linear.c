/*
 * Property: the history of every path is linearizable (check/linear.h). Open changes may take
 * effect at any point after their call, or never.
 */
#include "check/linear.h"
#include "proto/alteration.h"
#include "sim/memory.h"
#include "sim/world.h"

/* Stale reads, and refusals of reads at a time, promise nothing that the order could show. */
static bool
judged(const struct op *op)
{
    if (op->request.kind == REQUEST_READ && op->request.stale)
        return false;
    if (op->request.kind == REQUEST_NAMES)
        return false; /* of many paths: said_of() */
    if (op->outcome == OP_REFUSED && op->request.has_at)
        return false;
    return op->outcome == OP_DONE || op->outcome == OP_REFUSED || op->outcome == OP_OPEN;
}

static enum linear_outcome
outcome_of(const struct op *op)
{
    if (op->outcome == OP_DONE)
        return LINEAR_DONE;
    return op->outcome == OP_REFUSED ? LINEAR_REFUSED : LINEAR_OPEN;
}

/*
 * Once one secret of a batch has been read, all of them are there: the batch has happened by then,
 * whatever was answered to whoever asked for it.
 */
static bool
has_been_seen(const struct op *op)
{
    return op->request.kind == REQUEST_CREATE && op->batch && op->batch->seen_ns != 0;
}

static uint64_t
ended_ns(const struct op *op)
{
    bool earlier = op->outcome != OP_DONE || (op->batch && op->batch->seen_ns < op->ended_ns);
    return has_been_seen(op) && earlier ? op->batch->seen_ns : op->ended_ns;
}

/* Where clocks do not agree nobody can say when something has expired. */
static uint64_t
wall_ms(const struct world *world, uint64_t ns)
{
    return clocks_agree(world) ? sim_wall_start_ms + ns / 1000000 : 0;
}

static struct linear_op
as_checked(const struct world *world, const struct op *op)
{
    return (struct linear_op){
        .number = op->number,
        .kind = op->request.kind,
        .outcome = has_been_seen(op) ? LINEAR_DONE : outcome_of(op),
        .refusal = op->reply.err,
        .called_ns = op->called_ns,
        .ended_ns = ended_ns(op),
        .has_expected_version = op->request.has_expected_version,
        .expected_version = op->request.expected_version,
        .version_asked = op->request.version,
        .has_at = op->request.has_at,
        .read_number = op->read_number,
        .superseded = op->reply.valid_to_ms != 0,
        .version = op->newest_version ? op->newest_version : op->reply.version,
        .seen_version = op->seen_version,
        .valid_from_ms = op->valid_from_ms,
        .limit = op->request.limit,
        .row_count = op->reply.row_count,
        .has_next = op->reply.has_next,
        .row_valid_from_ms = op->valid_from,
        .row_states = op->states,
        .alteration = op->alteration,
        .called_ms = wall_ms(world, op->called_ns),
        .ended_ms = wall_ms(world, ended_ns(op)),
    };
}

/* What a list says of the path; false: nothing. */
static bool
said_of(const struct world *world, const struct op *op, unsigned path, struct linear_op *out)
{
    if (!op->listed || op->listed[path] == SAID_NOTHING)
        return false;
    bool there = op->listed[path] == SAID_THERE;
    *out = (struct linear_op){.number = op->number,
                              .kind = REQUEST_NAMES,
                              .outcome = there ? LINEAR_DONE : LINEAR_REFUSED,
                              .refusal = there ? OK : ERR_NOT_FOUND,
                              .called_ns = op->called_ns,
                              .ended_ns = op->ended_ns,
                              .called_ms = wall_ms(world, op->called_ns),
                              .ended_ms = wall_ms(world, op->ended_ns)};
    return true;
}

static void
print_alteration(struct world *world, const struct op *op)
{
    const struct alteration *a = op->alteration;
    uint64_t end = a->expires_at_ms > sim_wall_start_ms ? a->expires_at_ms - sim_wall_start_ms : 0;
    trace_line(&world->trace, op->called_ns,
               "history: op %lu: delete %lu, undelete %lu, destroy %lu, keep %d %lu, end %d %lu ms",
               (unsigned long)op->number, (unsigned long)a->soft_delete.of[0],
               (unsigned long)a->undelete.of[0], (unsigned long)a->destroy.of[0],
               a->has_max_versions, (unsigned long)a->max_versions, a->has_expires_at,
               (unsigned long)end);
}

static void
print_history(struct world *world, unsigned path)
{
    const struct clients *c = &world->clients;
    for (size_t i = 0; i < c->count; i++) {
        const struct op *op = c->ops[i];
        if (op->listed && op->listed[path] != SAID_NOTHING)
            trace_line(&world->trace, op->called_ns, "history: op %lu list: %s, until %lu ms",
                       (unsigned long)op->number,
                       op->listed[path] == SAID_THERE ? "there" : "not there",
                       (unsigned long)(op->ended_ns / 1000000));
        if (op->path != path || !judged(op))
            continue;
        if (op->alteration)
            print_alteration(world, op);
        trace_line(&world->trace, op->called_ns,
                   "history: op %lu %s asked %lu -> %s %s version %lu value of %lu, until %lu ms",
                   (unsigned long)op->number, request_kind_name(op->request.kind),
                   (unsigned long)(op->request.has_expected_version ? op->request.expected_version
                                                                    : op->request.version),
                   op_outcome_name(op->outcome), vault_err_name(op->reply.err),
                   (unsigned long)(op->newest_version ? op->newest_version : op->reply.version),
                   (unsigned long)op->read_number, (unsigned long)(op->ended_ns / 1000000));
    }
}

static enum linear_verdict
judge_path(const struct world *world, unsigned path)
{
    const struct clients *c = &world->clients;
    struct linear_op *ops = sim_alloc(c->count * sizeof(*ops));
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->ops[i]->path == path && judged(c->ops[i]))
            ops[count++] = as_checked(world, c->ops[i]);
        else if (said_of(world, c->ops[i], path, &ops[count]))
            count++;
    }
    enum linear_verdict verdict = linear_check(ops, count, LINEAR_STEPS_MAX);
    free(ops);
    return verdict;
}

bool
check_linear(struct world *world)
{
    bool decided = true;
    for (unsigned i = 0; i < world->clients.path_count; i++) {
        enum linear_verdict verdict = judge_path(world, i);
        if (verdict != LINEAR)
            print_history(world, i);
        if (verdict == NOT_LINEAR)
            sim_fail(world, SIM_SAFETY, "linearizable", "no order explains the answers about %s",
                     world->clients.paths[i].name);
        decided = decided && verdict == LINEAR;
    }
    return decided;
}
