/*
 * Property: of a tenant that has a limit, no node lets in more requests in a second than the limit
 * twice (a second's worth may come at once), whoever they come from.
 */
#include <stdio.h>

#include "sim/bearers_internal.h"

enum { WINDOW_MS = 900 }; /* a second by a clock that runs fast */

void
sim_door_open(struct world *world, unsigned node)
{
    const struct door_limits limits = {0};
    struct sim_node *n = &world->nodes[node];
    struct rng_seeded seeded;
    struct rng rng;
    rng_seeded_init(&seeded, world->options.seed, &rng);
    n->let_in_count = 0;
    if (world->options.other_rate > 0 &&
        door_init(&n->door, &limits, node_membership(n->node), &rng) != OK)
        sim_fail(world, SIM_CRASH, "setup", "no door");
}

enum vault_err
sim_door_enter(struct world *world, const struct bearer_op *op)
{
    struct sim_node *n = &world->nodes[op->node];
    const struct step st = {.now = node_now(world, op->node),
                            .wall_ms = node_wall_ms(world, op->node),
                            .metrics = &n->metrics};
    const struct door_caller caller = {.tenant = op->request.tenant,
                                       .credential = op->request.credential};
    unsigned retry_after_ms;
    return n->door.limiter ? door_enter(&n->door, &st, &caller, &retry_after_ms) : OK;
}

/* In the order of their times; the oldest goes when there is no room. */
static void
note(struct sim_node *n, uint64_t ns)
{
    unsigned at = n->let_in_count < LET_IN_KEPT ? n->let_in_count++ : LET_IN_KEPT - 1;
    for (; at > 0 && n->let_in_ns[at - 1] < ns; at--)
        n->let_in_ns[at] = n->let_in_ns[at - 1];
    n->let_in_ns[at] = ns;
}

void
check_door(struct world *world, const struct bearer_op *op, enum vault_err err)
{
    struct sim_node *n = &world->nodes[op->node];
    unsigned most = 2 * world->options.other_rate;
    if (most == 0 || op->entered_ns == 0 || !op->elsewhere || err != OK)
        return;
    note(n, op->entered_ns);
    for (unsigned i = 0; i + most < n->let_in_count; i++) {
        if (n->let_in_ns[i] - n->let_in_ns[i + most] < ms_to_ns(WINDOW_MS))
            sim_fail(world, SIM_SAFETY, "door",
                     "node %u lets %u requests in within a second, in a tenant of %u each",
                     op->node, most + 1, world->options.other_rate);
    }
}
