#include <stdio.h>

#include "sim/costs.h"
#include "sim/world.h"

enum { IDLE_S = 20 };

static const unsigned node_counts[] = {3, 5, 7, 9, 12, 15, 20, 25, COST_NODES_MAX};

static double
of_request(const uint64_t *before, const uint64_t *after, unsigned nodes, unsigned requests)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < nodes; i++)
        total += after[i] - before[i];
    return (double)total / requests;
}

static double
busiest(const uint64_t *before, const uint64_t *after, unsigned nodes, unsigned requests)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < nodes; i++)
        most = after[i] - before[i] > most ? after[i] - before[i] : most;
    return (double)most / requests;
}

/* A message counts once here, though two nodes have it in hand. */
static void
print_kind(struct world *world, enum request_kind kind, unsigned requests)
{
    unsigned nodes = world->options.nodes;
    struct costs before = world->costs;
    const struct costs *after = &world->costs;
    costs_run_kind(world, kind, requests);
    printf(",\n   \"%s\": {\"messages\": %.2f, \"bytes\": %.0f, \"writes\": %.2f, \"write_bytes\": "
           "%.0f, \"reads\": %.2f, \"messages_at_busiest\": %.2f, \"audit_writes\": %.2f, "
           "\"audit_bytes\": %.0f, \"write_rows\": %.2f}",
           request_kind_name(kind),
           of_request(before.messages, after->messages, nodes, requests) / 2,
           (double)(after->bytes - before.bytes) / requests,
           of_request(before.writes, after->writes, nodes, requests),
           (double)(after->write_bytes - before.write_bytes) / requests,
           of_request(before.reads, after->reads, nodes, requests),
           busiest(before.messages, after->messages, nodes, requests),
           (double)(after->audit_writes - before.audit_writes) / requests,
           (double)(after->audit_bytes - before.audit_bytes) / requests,
           (double)(after->write_rows - before.write_rows) / requests);
}

/* What the nodes tell each other while nobody asks for anything, each second in the whole cluster. */
static void
print_idle(struct world *world)
{
    struct costs before = world->costs;
    const struct costs *after = &world->costs;
    costs_run_ms(world, IDLE_S * 1000);
    printf("\"idle\": {\"messages\": %.1f, \"bytes\": %.0f}",
           (double)(after->upkeep_messages - before.upkeep_messages) / IDLE_S,
           (double)(after->upkeep_bytes - before.upkeep_bytes) / IDLE_S);
}

static void
print_world(unsigned nodes, unsigned shares)
{
    static const enum request_kind kinds[] = {REQUEST_CREATE, REQUEST_READ, REQUEST_UPDATE};
    struct sim_options options = {.seed = 1,
                                  .calm = true,
                                  .cost_nodes = nodes,
                                  .cost_shares = shares,
                                  .cost_paths = COST_PATHS};
    struct world *world = world_new(&options);
    costs_run_ms(world, COST_SETTLE_MS);
    printf("  {\"nodes\": %u, \"shares\": %u, ", nodes, shares);
    print_idle(world);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        print_kind(world, kinds[i], COST_PATHS);
    costs_lengthen(world, COST_LONG_PATHS);
    print_kind(world, REQUEST_HISTORY, COST_LONG_PATHS);
    print_kind(world, REQUEST_DELETE, COST_PATHS);
    printf("}");
    world_free(world);
}

void
costs_print_growth(unsigned only)
{
    const char *between = "";
    printf("[\n");
    for (unsigned i = 0; i < sizeof(node_counts) / sizeof(node_counts[0]); i++) {
        unsigned nodes = node_counts[i];
        if (nodes > NODES_MAX || (only > 0 && nodes != only))
            continue;
        printf("%s", between);
        between = ",\n";
        print_world(nodes, 3);
        if (nodes == 3)
            continue;
        printf(",\n");
        print_world(nodes, nodes < REPLICAS_MAX ? nodes : REPLICAS_MAX);
    }
    printf("\n]\n");
}
