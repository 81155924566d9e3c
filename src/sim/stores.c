/*
 * Stores that are lost or go back, and what is demanded of their nodes.
 *
 * Fault model. A store is lost at a crash: the next process finds an empty one with a new id, and is told so, as the runtime finds it
 * out. Or it goes back at a crash: to a copy of what was durable some time before, within the same life of the process or
 * across several. A small file beside the store remembers its sequence and incarnation; it survives, or goes too. Where it
 * survives the runtime finds that the store is behind; else the peers have to know.
 *
 * At most n - m nodes are not recovered (or spoilt in other ways) at a time. A store that has gone back without anybody left
 * who could tell it is the window of docs/security.md: the run ends there, is counted, and proves nothing.
 */
#include <string.h>

#include "sim/memory.h"
#include "sim/world.h"

/* ---- who is whole ---- */

bool
store_is_recovered(const struct world *world, unsigned node)
{
    const struct sim_node *n = &world->nodes[node];
    struct recovery_progress progress;
    struct node_row row;
    struct row_key key;
    if (n->store_lost || n->rolled_back)
        return false;
    if (n->node) {
        node_recovery(n->node, &progress);
        return progress.state == RECOVERY_NONE && !progress.behind;
    }
    row_key_meta("node", &key);
    const struct disk_row *found = disk_find(&n->disk.durable, row_key_bytes(&key));
    return !found || (node_row_decode(found->value, &row) == OK && row.recovery == RECOVERY_NONE);
}

bool
store_may_be_spoilt(const struct world *world, unsigned node)
{
    unsigned others = 0;
    for (unsigned i = 0; i < world->options.nodes; i++)
        others += i != node && (world->nodes[i].spoilt || world->nodes[i].rotten ||
                                !store_is_recovered(world, i));
    return others < world->options.shares - world_majority(world);
}

/* ---- striking ---- */

/* Ballots begin anew with the next incarnation. */
static void
forget_in_checkers(struct world *world, unsigned node)
{
    for (struct checked_path *p = world->chain.paths; p; p = p->next)
        p->highest[node] = (struct ballot){0};
}

/* The same of one path, whose row has rotted. */
void
store_forget_path(struct world *world, unsigned node, struct bytes key)
{
    for (struct checked_path *p = world->chain.paths; p; p = p->next) {
        struct row_key own;
        row_key_path(check_chain_name(p), &own);
        if (bytes_equal(row_key_bytes(&own), key))
            p->highest[node] = (struct ballot){0};
    }
}

uint64_t
store_incarnation_on_disk(const struct sim_node *n)
{
    struct node_row row;
    struct row_key key;
    row_key_meta("node", &key);
    const struct disk_row *found = disk_find(&n->disk.durable, row_key_bytes(&key));
    return found && node_row_decode(found->value, &row) == OK ? row.incarnation : 0;
}

/* What others keep of its proofs was made with the one before. */
static void
lose_storage_key(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    uint8_t key[KEY_BYTES];
    prng_fill(&n->prng, key, sizeof(key));
    secret_arena_open(n->secrets);
    secret_free(n->secrets, &n->wrap_key);
    if (secret_copy(n->secrets, bytes_of(key, sizeof(key)), &n->wrap_key) != OK)
        sim_fail(world, SIM_CRASH, "setup", "no keys");
    secret_arena_close(n->secrets);
    fault_count(world, FAULT_storage_key_lost);
}

bool
store_lose(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    if (n->mismatched || n->spoilt || !store_may_be_spoilt(world, node))
        return false;
    node_crash(world, node);
    n->incarnation_in_file = store_incarnation_on_disk(n);
    n->file_lost = prng_chance(&world->fault_prng, 500);
    disk_lose(&n->disk);
    disk_snapshot_drop(&n->disk);
    n->store_lost = true;
    n->rolled_back = false;
    forget_in_checkers(world, node);
    fault_count(world, FAULT_store_lost);
    bool key_lost = n->file_lost && world->faults.on[FAULT_storage_key_lost];
    if (key_lost)
        lose_storage_key(world, node);
    trace_line(&world->trace, world->now_ns, "node %u loses its store%s%s", node,
               n->file_lost ? " and its sequence file" : "", key_lost ? " and its key" : "");
    return true;
}

bool
store_roll_back(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    uint8_t keys_now[HASH_BYTES];
    bool nothing = !n->disk.has_snapshot || n->disk.snapshot_sequence == n->disk.sequence;
    if (nothing || n->store_lost || n->rolled_back || n->mismatched || n->spoilt ||
        !store_may_be_spoilt(world, node))
        return false;
    node_crash(world, node);
    n->incarnation_in_file = store_incarnation_on_disk(n);
    n->file_lost = prng_chance(&world->fault_prng, 500);
    n->sequence_cut = n->disk.sequence - n->disk.snapshot_sequence;
    hash_bytes(buf_bytes(&n->bucket_file), keys_now);
    /* What lies under a bucket key that has been replaced since does not open. */
    n->damaged = n->damaged || memcmp(keys_now, n->copied_keys, HASH_BYTES) != 0;
    disk_roll_back(&n->disk);
    n->rolled_back = n->went_back = true;
    n->rolled_back_incarnation = store_incarnation_on_disk(n);
    forget_in_checkers(world, node);
    fault_count(world, FAULT_store_rolled_back);
    trace_line(&world->trace, world->now_ns, "node %u goes back by %lu batches to %lu%s", node,
               (unsigned long)n->sequence_cut, (unsigned long)n->disk.sequence,
               n->file_lost ? ", and its sequence file is gone" : "");
    return true;
}

/* What the runtime would find. */
void
store_finding(const struct world *world, unsigned node, struct node_options *options)
{
    const struct sim_node *n = &world->nodes[node];
    if (n->store_lost) {
        options->finding = STORE_LOST;
    } else if (n->rolled_back && !n->file_lost) {
        options->finding = STORE_BEHIND;
    }
    if (!n->file_lost && (n->store_lost || n->rolled_back))
        options->incarnation_known = n->incarnation_in_file;
}

/* ---- what is demanded ---- */

/* The node has become a new incarnation: from here on it is like any other that recovers. */
void
store_look(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    if (!n->node || (!n->store_lost && !n->rolled_back))
        return;
    uint64_t on_disk = store_incarnation_on_disk(n);
    if (n->store_lost ? on_disk != 0 : on_disk > n->rolled_back_incarnation) {
        n->store_lost = false;
        n->rolled_back = false;
    }
}

/* Somebody that the node has heard knows that its store went back. */
static int
who_knows(const struct world *world, unsigned node)
{
    const struct sim_node *n = &world->nodes[node];
    const struct membership *own = node_membership(n->node);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (i == node || !node_up(world, i) || !own->members[i].told)
            continue;
        const struct member *seen = &node_membership(world->nodes[i].node)->members[node];
        if (seen->incarnation > n->rolled_back_incarnation ||
            seen->sequence_before > own->sequence_found)
            return (int)i;
    }
    return -1;
}

static bool
is_service(const struct msg *msg)
{
    switch ((int)msg->kind) {
    case MSG_VOTED: return msg->u.voted.refusal == REFUSED_NONE;
    case MSG_WRITTEN: return msg->u.written.refusal == REFUSED_NONE;
    case MSG_STATE: return msg->u.state.refusal == REFUSED_NONE;
    case MSG_VERSIONS: return msg->u.versions.refusal == REFUSED_NONE;
    case MSG_HEARTBEAT: return msg->u.heartbeat.records_ready; /* others' leases rest on it */
    default: return false;
    }
}

void
check_store(struct world *world, unsigned node, const struct msg *msg)
{
    const struct sim_node *n = &world->nodes[node];
    if (!is_service(msg) || (!n->store_lost && !n->rolled_back) || !n->node)
        return;
    if (n->store_lost || !n->file_lost)
        sim_fail(world, SIM_SAFETY, "standing", "node %u serves from a store that it knows is %s",
                 node, n->store_lost ? "lost" : "behind");
    int knows = who_knows(world, node);
    if (knows >= 0)
        sim_fail(world, SIM_SAFETY, "standing",
                 "node %u serves from a store that went back, and node %d had told it", node,
                 knows);
    trace_line(&world->trace, world->now_ns, "node %u went back and nobody it heard remembers",
               node);
    world->window = true;
}
