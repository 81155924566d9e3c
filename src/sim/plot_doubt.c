/*
 * Paths in doubt, which chance alone seldom brings about where it would show: a store is lost, and
 * as its node asks a helper for everything, the helper's row of some path rots, so that it cannot
 * tell what it had of it. While the node then asks the others for that path alone, these questions
 * are slow, somebody asks for the path, and now and then the node starts anew.
 */
#include "sim/world.h"

enum {
    ROT_PERMILLE = 300,
    RESTART_PERMILLE = 150,
    DRAWS = 8,
    NEXT_MS = 2000,
    SLOW_MS_MIN = 200,
    SLOW_MS_MAX = 1500
};

/* The row of that path at the node, if it is whole and rests there. */
static bool
find_whole_row(const struct world *world, unsigned node, struct path path, size_t *index)
{
    const struct disk *disk = &world->nodes[node].disk;
    struct row_key key;
    row_key_path(path, &key);
    *index = disk_at_least(&disk->durable, row_key_bytes(&key));
    const struct disk_row *row = disk_find(&disk->durable, row_key_bytes(&key));
    return row && !row->corrupt && !disk_pending(disk, row_key_bytes(&key));
}

static bool
may_rot(const struct world *world, unsigned victim, unsigned helper)
{
    const struct sim_node *n = &world->nodes[helper];
    /* With fewer shares the path would stay in doubt for good. */
    return world->options.shares >= 5 && node_up(world, helper) && !n->mismatched && !n->spoilt &&
           !n->dying && !n->store_lost && !n->rolled_back && !world->nodes[victim].mismatched &&
           store_may_be_spoilt(world, helper) && (n->rotten || store_is_recovered(world, helper));
}

static void
rot(struct world *world, unsigned helper, size_t index)
{
    struct sim_node *n = &world->nodes[helper];
    store_forget_path(world, helper, n->disk.durable.rows[index]->key);
    n->rotten = true;
    n->damaged = true;
    disk_rot(&n->disk, index, 0, true);
    fault_count(world, FAULT_corrupt_record);
}

static void
helper_is_asked(struct world *world, unsigned victim, unsigned helper)
{
    const struct clients *c = &world->clients;
    if (!may_rot(world, victim, helper))
        return;
    for (unsigned i = 0; i < DRAWS; i++) {
        unsigned hot = world->options.hot_paths; /* the first of all paths */
        unsigned drawn = (unsigned)prng_below(&world->fault_prng, i < hot ? hot : c->path_count);
        struct path path = {bytes_of_text("default"), bytes_of_text(c->paths[drawn].name)};
        uint64_t replicas = world_replicas(world, path);
        size_t index = 0;
        if (!(replicas >> victim & 1) || !(replicas >> helper & 1) ||
            !find_whole_row(world, helper, path, &index))
            continue;
        rot(world, helper, index);
        world->plot.next_rot_ns = world->now_ns + ms_to_ns(NEXT_MS);
        trace_line(&world->trace, world->now_ns, "plot doubt: victim %u, helper %u, %s", victim,
                   helper, c->paths[drawn].name);
        return;
    }
}

/* Somebody asks for the path, at any node, while that one has it in doubt. */
static void
doubt_is_told(struct world *world, unsigned node, struct bytes cursor)
{
    struct path path;
    struct sim_node *n = &world->nodes[node];
    if (row_key_path_of(cursor, &path) != OK)
        return;
    for (unsigned i = 0; i < world->clients.path_count; i++) {
        if (bytes_equal(bytes_of_text(world->clients.paths[i].name), path.name))
            plot_ask(world, 0, i);
    }
    if (prng_chance(&world->fault_prng, RESTART_PERMILLE) && !n->dying) {
        n->effects_left = 0;
        n->dying = true;
        n->restart_soon = true;
    }
}

uint64_t
plot_recover(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    const struct faults *faults = &world->faults;
    if (world->phase != PHASE_FAULTS || !faults->on[FAULT_store_lost] ||
        !faults->on[FAULT_corrupt_record])
        return 0;
    if (msg->u.recover.only) {
        doubt_is_told(world, from, msg->u.recover.cursor);
        return ms_to_ns(prng_between(&world->fault_prng, SLOW_MS_MIN, SLOW_MS_MAX));
    }
    if (world->now_ns >= world->plot.next_rot_ns && prng_chance(&world->fault_prng, ROT_PERMILLE))
        helper_is_asked(world, from, to);
    return 0;
}
