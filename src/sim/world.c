/* The heap of events, and the life of a world. */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/memory.h"
#include "sim/options.h"

#ifndef OSTRAKA_COMMIT
#define OSTRAKA_COMMIT "unknown"
#endif

/* ---- heap: by time, then by order of arming ---- */

static bool
earlier(const struct event *a, const struct event *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

void
event_push(struct world *world, struct event *event)
{
    if (world->heap_size == world->heap_capacity) {
        world->heap_capacity = world->heap_capacity * 2 + 256;
        world->heap = sim_resize(world->heap, world->heap_capacity * sizeof(struct event *));
    }
    size_t i = world->heap_size++;
    for (; i > 0 && earlier(event, world->heap[(i - 1) / 2]); i = (i - 1) / 2)
        world->heap[i] = world->heap[(i - 1) / 2];
    world->heap[i] = event;
}

static struct event *
heap_pop(struct world *world)
{
    struct event *top = world->heap[0];
    struct event *last = world->heap[--world->heap_size];
    size_t i = 0;
    for (size_t child = 1; child < world->heap_size; child = 2 * i + 1) {
        if (child + 1 < world->heap_size && earlier(world->heap[child + 1], world->heap[child]))
            child++;
        if (!earlier(world->heap[child], last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return top;
}

struct event *
event_new(struct world *world, enum event_kind kind, unsigned node, uint64_t after_ns, size_t extra)
{
    struct event *event = sim_alloc(sizeof(*event) + extra);
    event->due_ns = world->now_ns + after_ns;
    event->order = world->order++;
    event->kind = kind;
    event->node = node;
    if (kind < EVENT_NODE_KINDS)
        event->life = world->nodes[node].life;
    event->data = bytes_of((uint8_t *)(event + 1), extra);
    return event;
}

void
event_append(struct event *event, size_t at, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy((uint8_t *)(event + 1) + at, bytes.data, bytes.size);
}

/* ---- running ---- */

static void
run_world_event(struct world *world, const struct event *event)
{
    switch ((int)event->kind) {
    case EVENT_START:
        if (!node_up(world, event->node) && !world->nodes[event->node].dead)
            node_boot(world, event->node);
        break;
    case EVENT_CLIENT: client_turn(world, event->node); break;
    case EVENT_TOKENS: tokens_turn(world); break;
    case EVENT_BEARERS: bearers_turn(world); break;
    case EVENT_LIVES: event->tag ? lives_join(world) : lives_turn(world); break;
    case EVENT_IMPATIENT: client_impatient(world, event->tag); break;
    case EVENT_FAULT: faults_strike(world, (enum fault)event->node); break;
    case EVENT_SPLIT: plot_split_read(world, event->from, event->to); break;
    case EVENT_FAULT_END: faults_end(world, (enum fault)event->node, event->from, event->to); break;
    default: break;
    }
}

/* True when the event has to wait because its node is paused; it is then back in the heap. */
static bool
deferred(struct world *world, struct event *event)
{
    struct sim_node *n = &world->nodes[event->node];
    if (n->paused_until_ns <= world->now_ns)
        return false;
    event->due_ns = n->paused_until_ns;
    event_push(world, event);
    return true;
}

bool
world_step(struct world *world, uint64_t until_ns)
{
    if (world->heap_size == 0 || world->heap[0]->due_ns > until_ns) {
        world->now_ns = until_ns;
        return false;
    }
    struct event *event = heap_pop(world);
    world->now_ns = event->due_ns;
    if (event->kind >= EVENT_NODE_KINDS) {
        trace_number(&world->trace, (uint64_t)event->kind << 32 | event->node);
        run_world_event(world, event);
    } else if (event->life == world->nodes[event->node].life && node_up(world, event->node)) {
        if (deferred(world, event))
            return true;
        trace_number(&world->trace, event->due_ns);
        trace_number(&world->trace, (uint64_t)event->kind << 32 | event->node);
        world->steps++;
        node_run_event(world, event);
        check_status(world);
    }
    free(event);
    return true;
}

unsigned
world_majority(const struct world *world)
{
    return cluster_majority(&world->cluster);
}

uint64_t
world_replicas(const struct world *world, struct path path)
{
    struct replicas replicas;
    uint64_t mask = 0;
    placement_replicas(&world->placement, path, &replicas);
    for (unsigned i = 0; i < replicas.count; i++)
        mask |= UINT64_C(1) << replicas.nodes[i];
    return mask;
}

/* ---- making ---- */

static void
make_other_cluster(struct world *world)
{
    struct cluster *other = &world->other_cluster;
    unsigned majority = cluster_majority(&world->cluster);
    *other = world->cluster;
    bool places = prng_chance(&world->prng, 500);
    if (other->share_count < other->node_count && (places || majority == 2)) {
        /* Other names place every path anew: the node asks those who keep nothing of it. */
        for (unsigned i = 0; i < other->node_count; i++)
            snprintf(other->nodes[i].name, sizeof(other->nodes[i].name), "another-%u", i);
    } else if (majority > 2) {
        other->threshold = world->cluster.threshold == 2 ? majority : world->cluster.threshold - 1;
    } else {
        snprintf(other->nodes[0].name, sizeof(other->nodes[0].name), "another-name");
    }
    cluster_config_hash(other, other->config_hash);
}

struct world *
world_new(const struct sim_options *options)
{
    char why[200] = "";
    struct world *world = sim_alloc(sizeof(*world));
    world->options = *options;
    prng_init(&world->prng, options->seed * 2 + 1);
    world->net_prng = prng_fork(&world->prng);
    world->disk_prng = prng_fork(&world->prng);
    world->fault_prng = prng_fork(&world->prng);
    world->client_prng = prng_fork(&world->prng);
    prng_fill(&world->prng, world->canary, sizeof(world->canary));
    trace_init(&world->trace, options->verbose);
    options_draw(world);
    faults_draw(world);
    world->cluster.node_count = world->options.nodes;
    world->cluster.share_count = world->options.shares;
    world->cluster.threshold = world->options.threshold;
    prng_fill(&world->prng, world->cluster.id, CLUSTER_ID_BYTES);
    hash_bytes(bytes_of_text(sim_token), world->cluster.admin_token_hash);
    for (unsigned i = 0; i < world->options.nodes; i++)
        node_init_sim(world, i);
    if (cluster_validate(&world->cluster, why, sizeof(why)) != OK)
        sim_fail(world, SIM_CRASH, "setup", "%s", why);
    cluster_config_hash(&world->cluster, world->cluster.config_hash);
    placement_init(&world->placement, &world->cluster);
    make_other_cluster(world);
    check_chain_init(&world->chain, world);
    check_shred_init(&world->shred, world);
    clients_init(world);
    tokens_init(world);
    bearers_init(world);
    lives_init(world);
    sites_draw(world);
    for (unsigned i = 0; i < world->options.nodes; i++)
        node_boot(world, i);
    return world;
}

void
world_free(struct world *world)
{
    for (unsigned i = 0; i < world->options.nodes; i++)
        node_close_sim(world, i);
    while (world->heap_size > 0)
        free(heap_pop(world));
    free(world->heap);
    clients_close(world);
    lives_close(world);
    check_chain_close(&world->chain);
    check_shred_close(&world->shred);
    check_blinding_free(world);
    thief_close(world);
    trace_close(&world->trace);
    free(world);
}

/* ---- failing ---- */

static const char *
end_name(enum sim_end end)
{
    switch (end) {
    case SIM_SAFETY: return "SAFETY";
    case SIM_LIVENESS: return "LIVENESS";
    case SIM_CRASH: return "CRASH";
    case SIM_OK:
    case SIM_USAGE: break;
    }
    return "?";
}

bool
sim_tolerates(const struct world *world, const char *property)
{
    return world->options.tolerate && strcmp(world->options.tolerate, property) == 0;
}

void
sim_fail(struct world *world, enum sim_end end, const char *property, const char *why, ...)
{
    va_list args;
    fflush(stdout);
    trace_print_last(&world->trace, 60);
    options_print(world, stderr);
    fprintf(stderr, "%s seed=%lu commit=%s property=%s at=%lu ms: ", end_name(end),
            (unsigned long)world->options.seed, OSTRAKA_COMMIT, property,
            (unsigned long)(world->now_ns / 1000000));
    va_start(args, why);
    vfprintf(stderr, why, args); /* NOLINT: a format of ours */
    va_end(args);
    fprintf(stderr, "\n");
    fflush(stderr);
    _exit((int)end);
}
