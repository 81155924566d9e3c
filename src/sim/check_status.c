/*
 * Property: what a node says of itself is so. Its counters and what its status shows are compared with what the simulator knows:
 * requests in flight and links at any time; boxed shares that wait for a peer once nothing moves any more; counters of messages
 * with the messages that were seen.
 */
#include <string.h>

#include "sim/world.h"

enum { LOOK_EVERY_STEPS = 64, QUIET_MS = 120000, LOST_EFFECTS_PER_LIFE = EFFECTS_MAX };

/* ---- at any time ---- */

static void
check_in_flight(struct world *world, const uint64_t *in_flight)
{
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (node_up(world, i) && node_in_flight(world->nodes[i].node) != in_flight[i])
            sim_fail(world, SIM_SAFETY, "status",
                     "node %u says that %zu requests are in flight, and %lu are", i,
                     node_in_flight(world->nodes[i].node), (unsigned long)in_flight[i]);
    }
}

static void
check_links(struct world *world, unsigned node)
{
    const struct membership *ms = node_membership(world->nodes[node].node);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (i != node && ms->members[i].connected != world->connected[node][i])
            sim_fail(world, SIM_SAFETY, "status", "node %u is wrong about its link to node %u",
                     node, i);
    }
}

void
check_status(struct world *world)
{
    uint64_t in_flight[NODES_MAX] = {0};
    const struct clients *c = &world->clients;
    if (world->steps < world->status_checked + LOOK_EVERY_STEPS)
        return;
    world->status_checked = world->steps;
    for (size_t i = 0; i < c->count; i++) {
        for (unsigned a = 0; a < c->ops[i]->attempt_count; a++) {
            const struct attempt *attempt = &c->ops[i]->attempts[a];
            in_flight[attempt->node] += attempt->live && attempt->delivered;
        }
    }
    tokens_count(world, in_flight);
    bearers_count(world, in_flight);
    lives_count(world, in_flight);
    check_in_flight(world, in_flight);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (node_up(world, i))
            check_links(world, i);
    }
}

/* ---- when nothing moves ---- */

/* Boxes on the disk of `node` that wait for each of the others. */
static void
count_boxes(const struct world *world, unsigned node, uint64_t *boxes)
{
    const struct membership *ms = node_membership(world->nodes[node].node);
    const struct disk_table *disk = &world->nodes[node].disk.durable;
    struct row_key prefix;
    row_key_table(ROW_BOXES, &prefix);
    memset(boxes, 0, NODES_MAX * sizeof(boxes[0]));
    for (size_t i = disk_at_least(disk, row_key_bytes(&prefix));
         i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++) {
        enum row_table table;
        struct path path;
        struct bytes id, list[REPLICAS_MAX];
        struct replicas replicas;
        uint64_t version;
        size_t count = 0;
        if (row_key_parse(disk->rows[i]->key, &table, &path, &version, &id) != OK ||
            bytes_list_decode(disk->rows[i]->value, BOX_BYTES_MAX, list, REPLICAS_MAX, &count) !=
                OK)
            continue;
        membership_replicas(ms, path, &replicas);
        for (size_t r = 0; r < count && r < replicas.count; r++)
            boxes[replicas.nodes[r]] += list[r].size > 0;
    }
}

/* The first node that tells another number than lies on its disk; -1: all are right. */
static int
wrong_backlog(const struct world *world, unsigned *of, uint64_t *on_disk, uint64_t *told)
{
    uint64_t boxes[NODES_MAX];
    for (unsigned node = 0; node < world->options.nodes; node++) {
        if (!node_up(world, node) || world->nodes[node].left_out)
            continue;
        const struct membership *ms = node_membership(world->nodes[node].node);
        count_boxes(world, node, boxes);
        for (*of = 0; *of < world->options.nodes; (*of)++) {
            *on_disk = boxes[*of];
            *told = ms->members[*of].escrow_backlog;
            if (*told != *on_disk)
                return (int)node;
        }
    }
    return -1;
}

/* The node knows by how much it may be wrong (path_count.h). */
static void
check_paths(struct world *world, unsigned node)
{
    const struct path_count *held = &node_membership(world->nodes[node].node)->held;
    const struct disk_table *disk = &world->nodes[node].disk.durable;
    struct row_key prefix;
    uint64_t rows = 0;
    row_key_table(ROW_PATH, &prefix);
    for (size_t i = disk_at_least(disk, row_key_bytes(&prefix));
         i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++)
        rows++;
    uint64_t off = held->paths > rows ? held->paths - rows : rows - held->paths;
    if (held->known && off > held->doubt)
        sim_fail(world, SIM_SAFETY, "status",
                 "node %u says that it keeps %lu paths, %lu at most wrong, and keeps %lu", node,
                 (unsigned long)held->paths, (unsigned long)held->doubt, (unsigned long)rows);
}

void
check_status_backlog(struct world *world)
{
    uint64_t until = world->now_ns + ms_to_ns(QUIET_MS), on_disk = 0, told = 0;
    unsigned of = 0;
    int node = wrong_backlog(world, &of, &on_disk, &told);
    while (node >= 0 && world->now_ns < until) {
        uint64_t next = world->now_ns + ms_to_ns(100);
        while (world_step(world, next))
            continue;
        node = wrong_backlog(world, &of, &on_disk, &told);
    }
    if (node >= 0)
        sim_fail(world, SIM_SAFETY, "status",
                 "node %d says that %lu boxed shares wait for node %u, and %lu do", node,
                 (unsigned long)told, of, (unsigned long)on_disk);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (node_up(world, i) && !world->nodes[i].left_out)
            check_paths(world, i);
    }
}

/* ---- counters ---- */

/* Half of the replicas at least are others, so the frames are at least half of what was counted. */
static void
check_sent(struct world *world, unsigned node, enum metric metric, enum msg_kind kind)
{
    const struct sim_node *n = &world->nodes[node];
    uint64_t counted = n->metrics.counters[metric], frames = world->frames_sent[node][kind];
    if (frames > counted || counted > 2 * frames + n->life * LOST_EFFECTS_PER_LIFE)
        sim_fail(world, SIM_SAFETY, "metrics", "node %u counted %lu %s and sent %lu to others",
                 node, (unsigned long)counted, msg_kind_name(kind), (unsigned long)frames);
}

uint64_t
node_damage_counted(const struct sim_node *n)
{
    return n->metrics.counters[METRIC_records_corrupt] + n->metrics.counters[METRIC_shares_bad];
}

/*
 * Records that a node counts as damaged are its own. Shares may be others', as long as any node has
 * bad ones. With another configuration a node's own shares are not what they should be.
 */
static void
check_damage(struct world *world, unsigned node)
{
    const struct sim_node *n = &world->nodes[node];
    uint64_t counted = node_damage_counted(n) - n->excused;
    uint64_t records = n->metrics.counters[METRIC_records_corrupt];
    bool anywhere = false;
    for (unsigned i = 0; i < world->options.nodes; i++)
        anywhere = anywhere || world->nodes[i].damaged;
    if ((counted > 0 && !anywhere) || (records > n->excused && !n->damaged))
        sim_fail(world, SIM_SAFETY, "metrics", "node %u counts damage, and nothing has rotted",
                 node);
}

static void
check_node_counters(struct world *world, unsigned node)
{
    const struct sim_node *n = &world->nodes[node];
    check_damage(world, node);
    check_sent(world, node, METRIC_votes_sent, MSG_VOTE);
    check_sent(world, node, METRIC_writes_sent, MSG_WRITE);
    if (world->votes_seen[node] > n->metrics.counters[METRIC_votes_granted])
        sim_fail(world, SIM_SAFETY, "metrics", "node %u granted more votes than it counted", node);
}

void
check_status_counters(struct world *world)
{
    uint64_t staged = 0, done = 0;
    for (unsigned i = 0; i < world->options.nodes; i++) {
        const uint64_t *counters = world->nodes[i].metrics.counters;
        check_node_counters(world, i);
        staged += counters[METRIC_repairs_staged];
        done += counters[METRIC_repairs_done];
    }
    if (done > staged && world->faults.struck[FAULT_duplicate] == 0)
        sim_fail(world, SIM_SAFETY, "metrics", "more repairs were taken than staged");
}
