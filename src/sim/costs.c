#include "sim/costs.h"

#include <stdio.h>
#include <string.h>

#include "sim/world.h"

enum { REQUEST_MS_MAX = 1000 };

void
costs_message(struct costs *costs, unsigned from, unsigned to, const struct msg *msg, size_t size)
{
    if (!msg_has_path(msg->kind)) {
        costs->upkeep_messages++;
        costs->upkeep_bytes += size;
        return;
    }
    costs->messages[from]++;
    costs->messages[to]++;
    costs->bytes += size;
}

static uint64_t
batch_bytes(const struct effect *effect)
{
    uint64_t size = 0;
    for (size_t i = 0; i < effect->u.store.count; i++)
        size += effect->u.store.changes[i].key.size + effect->u.store.changes[i].value.size;
    return size;
}

static bool
is_of_requests(const struct effect *effect)
{
    return effect->actor == ACTOR_SHARD_STORE || effect->actor == ACTOR_COORDINATOR ||
           effect->actor == ACTOR_LISTER;
}

void
costs_storage(struct costs *costs, unsigned node, const struct effect *effect)
{
    bool writes = effect->kind == EFFECT_STORE;
    if (writes && effect->actor == ACTOR_AUDITOR) {
        costs->audit_writes++;
        costs->audit_bytes += batch_bytes(effect);
    } else if (writes && effect->actor == ACTOR_SHARD_STORE &&
               effect->u.store.changes[0].key.data[0] != ROW_META) {
        costs->writes[node]++;
        costs->write_bytes += batch_bytes(effect);
        costs->write_rows += effect->u.store.count;
    } else if (!writes && is_of_requests(effect)) {
        costs->reads[node]++;
    }
}

/* ---- the worlds ---- */

void
costs_run_ms(struct world *world, uint64_t ms)
{
    uint64_t until = world->now_ns + ms_to_ns(ms);
    while (world_step(world, until))
        continue;
}

/* Apart from costs_run_kind(), so that what costs_lengthen() does is not counted with it. */
static void
run_kind(struct world *world, enum request_kind kind, unsigned paths)
{
    for (unsigned i = 0; i < paths; i++) {
        struct request request = {.kind = kind};
        uint64_t until = world->now_ns + ms_to_ns(REQUEST_MS_MAX);
        const struct op *op =
            client_begin(world, world->options.clients, i % world->options.nodes, i, &request);
        while (op->outcome == OP_PENDING && world_step(world, until))
            continue;
        if (op->outcome != OP_DONE)
            sim_fail(world, SIM_LIVENESS, "costs", "%s was not done", request_kind_name(kind));
        costs_run_ms(world, 20);
    }
    costs_run_ms(world, COST_SETTLE_MS);
}

void
costs_run_kind(struct world *world, enum request_kind kind, unsigned paths)
{
    run_kind(world, kind, paths);
}

void
costs_lengthen(struct world *world, unsigned paths)
{
    for (unsigned i = 0; i < VERSIONS_KEPT_MAX; i++)
        run_kind(world, REQUEST_UPDATE, paths);
}

static uint64_t
sum(const uint64_t *numbers, unsigned count)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += numbers[i];
    return total;
}

static uint64_t
most(const uint64_t *numbers, unsigned count)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < count; i++)
        found = numbers[i] > found ? numbers[i] : found;
    return found;
}

/* In the whole cluster for one request; at each node for a thousand, and at the busiest. */
static void
print_numbers(const uint64_t *before, const uint64_t *after, unsigned nodes)
{
    uint64_t spent[NODES_MAX];
    for (unsigned i = 0; i < nodes; i++)
        spent[i] = after[i] - before[i];
    uint64_t total = sum(spent, nodes);
    printf(" %6.2f | %6.0f | %6.0f |", (double)total / COST_PATHS,
           (double)total * 1000 / COST_PATHS / nodes,
           (double)most(spent, nodes) * 1000 / COST_PATHS);
}

static void
print_row(const struct world *world, enum request_kind kind, const struct costs *before)
{
    unsigned nodes = world->options.nodes;
    printf("| %-7s | %u |", request_kind_name(kind), nodes);
    print_numbers(before->messages, world->costs.messages, nodes);
    print_numbers(before->writes, world->costs.writes, nodes);
    print_numbers(before->reads, world->costs.reads, nodes);
    printf("\n");
}

void
costs_print(void)
{
    static const enum request_kind kinds[] = {REQUEST_CREATE, REQUEST_READ, REQUEST_UPDATE,
                                              REQUEST_HISTORY, REQUEST_DELETE};
    enum { WORLDS = 3, KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    struct world *worlds[WORLDS];
    printf(
        "| request | N | messages | a node | busiest | writes | a node | busiest | reads | a node "
        "| busiest |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (unsigned i = 0; i < WORLDS; i++) {
        struct sim_options options = {.seed = 1,
                                      .calm = true,
                                      .cost_nodes = 3 * (i + 1),
                                      .cost_shares = 3,
                                      .cost_paths = COST_PATHS};
        worlds[i] = world_new(&options);
        costs_run_ms(worlds[i], COST_SETTLE_MS);
    }
    for (unsigned k = 0; k < KINDS; k++) {
        for (unsigned i = 0; i < WORLDS; i++) {
            struct costs before = worlds[i]->costs;
            costs_run_kind(worlds[i], kinds[k], COST_PATHS);
            print_row(worlds[i], kinds[k], &before);
        }
    }
    for (unsigned i = 0; i < WORLDS; i++)
        world_free(worlds[i]);
}
