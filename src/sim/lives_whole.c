/*
 * Phase 3: with everybody there the purge comes to its end, and leaves nothing on any disk; in the
 * life that follows everybody sees what was made in it, and nothing else.
 */
#include "sim/lives_internal.h"

enum { ANSWER_MS = 30000, STEP_MS = 20, PURGE_MS = 60000, WAIT_MS = 7000 };

static bool
all_answered(const struct world *world)
{
    for (unsigned i = 0; i < LIFE_OPS_MAX; i++) {
        if (world->lives.ops[i].live)
            return false;
    }
    return true;
}

static void
pass(struct world *world, uint64_t ms)
{
    uint64_t until = world->now_ns + ms_to_ns(ms);
    while (world_step(world, until))
        continue;
}

static void
wait_for_answers(struct world *world)
{
    uint64_t until = world->now_ns + ms_to_ns(ANSWER_MS);
    while (!all_answered(world) && world->now_ns < until)
        pass(world, STEP_MS);
    if (!all_answered(world))
        sim_fail(world, SIM_LIVENESS, "purged", "a request of the third tenant has no answer");
}

/* The operator goes on until that is reached. */
static void
operate_until(struct world *world, enum life_stage stage, unsigned made, const char *what)
{
    struct lives *l = &world->lives;
    uint64_t until = world->now_ns + ms_to_ns(PURGE_MS);
    while ((l->stage != stage || l->made < made) && world->now_ns < until) {
        unsigned node = (unsigned)prng_below(&l->prng, world->options.nodes);
        if (!l->plot_away || node != l->plot_node)
            lives_operate(world, node);
        pass(world, STEP_MS);
    }
    if (l->stage != stage || l->made < made)
        sim_fail(world, SIM_LIVENESS, "purged", "%s", what);
    wait_for_answers(world);
}

/* A node that no plot has cut off. */
static unsigned
here(const struct lives *l)
{
    return l->plot_away && l->plot_node == 0 ? 1 : 0;
}

static void
live(struct world *world)
{
    struct lives *l = &world->lives;
    l->due_ns = world->now_ns;
    operate_until(world, LIFE_ON, 0, "the tenant is not made");
    l->due_ns = UINT64_MAX;
    operate_until(world, LIFE_ON, LIFE_RECORDS, "the tenant has no records");
    for (unsigned i = 0; i < LIFE_SECRETS; i++) {
        if (l->secrets[i].used)
            lives_ask(world, REQUEST_CREATE, i, l->life, here(l));
    }
    wait_for_answers(world);
}

static void
purge(struct world *world)
{
    world->lives.due_ns = world->now_ns;
    operate_until(world, LIFE_OVER, 0, "the purge of a tenant does not end");
}

/* By each way of looking, at each node. */
static void
look(struct world *world)
{
    static const enum request_kind kinds[] = {REQUEST_READ, REQUEST_HISTORY};
    struct lives *l = &world->lives;
    for (unsigned node = 0; node < world->options.nodes; node++) {
        for (unsigned i = 0; i < 2 * LIFE_SECRETS; i++)
            lives_ask(world, kinds[i % 2], i / 2, l->life, node);
        lives_ask(world, REQUEST_NAMES, 0, 0, node);
        lives_ask(world, REQUEST_NAMES, 0, l->life, node);
        lives_ask(world, REQUEST_NAMES, 0, l->ended, node);
        lives_ask(world, REQUEST_BATCH, 0, l->life, node);
        lives_ask(world, REQUEST_RECORD_LIST, 0, 0, node);
        wait_for_answers(world);
    }
}

/* Of secrets that nobody created in this life. */
static void
check_disks(struct world *world)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES};
    const struct lives *l = &world->lives;
    for (unsigned i = 0; i < LIFE_SECRETS * 3 * world->options.nodes; i++) {
        unsigned secret = i % LIFE_SECRETS, node = i / LIFE_SECRETS / 3;
        const struct disk_table *disk = &world->nodes[node].disk.durable;
        struct row_key prefix;
        if (l->secrets[secret].created_life == l->life)
            continue;
        row_key_versions(tables[i / LIFE_SECRETS % 3], lives_path(world, secret), &prefix);
        size_t at = disk_at_least(disk, row_key_bytes(&prefix));
        if (at < disk->count && disk_has_prefix(disk->rows[at]->key, row_key_bytes(&prefix)))
            sim_fail(world, SIM_SAFETY, "purged", "node %u keeps something of %s, of life %u", node,
                     world->clients.paths[secret].name, l->secrets[secret].created_life);
    }
}

void
lives_whole(struct world *world)
{
    struct lives *l = &world->lives;
    if (!l->on)
        return;
    wait_for_answers(world);
    l->whole = true;
    if (l->stage == LIFE_PURGING)
        purge(world);
    live(world);
    purge(world);
    live(world);
    while (l->plot_away)
        pass(world, STEP_MS);
    pass(world, WAIT_MS);
    look(world);
    check_disks(world);
}
