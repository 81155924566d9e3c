/*
 * Property: an answer about a point in time stays true. Where no clock is further off than the actors
 * allow for, no version that became valid by then turns up after the answer; but for changes that
 * were under way: what is chosen late is valid from when it was proposed. A node whose clock a plot
 * has put ahead answers too early.
 */
#include <string.h>

#include "sim/world.h"

bool
clocks_agree(const struct world *world)
{
    const struct faults *f = &world->faults;
    return !f->on[FAULT_clock_jump] && !f->on[FAULT_clock_hour] && !f->on[FAULT_clock_drift] &&
           !world->clock_moved;
}

static bool
was_under_way(const struct checked_path *path, const struct chosen_head *head, uint64_t ns)
{
    for (size_t i = 0; i < path->voted_count; i++) {
        const struct voted_ballot *v = &path->voted[i];
        if (v->used && v->used_ns <= ns && memcmp(v->head_id, head->id, ID_BYTES) == 0)
            return true;
    }
    return false;
}

static void
check_answer(struct world *world, const struct op *op, const struct checked_path *path)
{
    for (size_t i = 0; i + 1 < path->chosen_count; i++) {
        const struct chosen_head *head = &path->chosen[i];
        size_t at = i + 1;
        /* A mark taken off, and an alteration, change nothing about when a version is valid. */
        while (at < path->chosen_count && path->chosen[at].kind == HEAD_LIVE &&
               memcmp(path->chosen[at].version_id, head->version_id, ID_BYTES) == 0)
            at++;
        if (at == path->chosen_count)
            continue;
        const struct chosen_head *next = &path->chosen[at];
        if (head->kind == HEAD_LIVE && head->changed_at_ms == op->reply.valid_from_ms &&
            next->changed_at_ms <= op->request.at_ms && !was_under_way(path, next, op->ended_ns))
            sim_fail(world, SIM_SAFETY, "validity",
                     "op %lu was told that version %lu was valid at %lu, and %s changed at %lu",
                     (unsigned long)op->number, (unsigned long)op->reply.version,
                     (unsigned long)op->request.at_ms, path->name,
                     (unsigned long)next->changed_at_ms);
    }
}

void
check_at(struct world *world)
{
    for (size_t i = 0; clocks_agree(world) && i < world->clients.count; i++) {
        const struct op *op = world->clients.ops[i];
        struct path path = {bytes_of_text("default"), bytes_of_text(op->name)};
        const struct checked_path *checked = check_chain_path(&world->chain, path);
        if (checked && !world->nodes[op->node].clock_ahead && op->outcome == OP_DONE &&
            op->request.kind == REQUEST_READ && op->request.has_at)
            check_answer(world, op, checked);
    }
}
