#include "sim/options.h"

#include <stdio.h>

#include "sim/world.h"

const char sim_token[] = "a-token-of-the-simulator";

static void
draw_cluster(struct sim_options *o, struct prng *prng)
{
    static const unsigned sizes[] = {3, 3, 3, 4, 5, 5, 5, 6, 7};
    o->nodes = sizes[prng_below(prng, sizeof(sizes) / sizeof(sizes[0]))];
    unsigned majority = o->nodes / 2 + 1;
    o->threshold = prng_chance(prng, 600) ? majority : (unsigned)prng_between(prng, 2, majority);
}

/* More nodes than shares. Drawn last, so that it changes nothing else of the world. */
static void
draw_more_nodes(struct sim_options *o, struct prng *prng)
{
    o->shares = o->nodes;
    if (prng_chance(prng, 400))
        o->nodes = (unsigned)prng_between(prng, o->shares + 1, NODES_MAX);
}

static void
draw_load(struct sim_options *o, struct prng *prng)
{
    o->clients = (unsigned)prng_between(prng, 3, 12);
    o->operations = (unsigned)prng_between(prng, 500, 900);
    o->hot_paths = (unsigned)prng_between(prng, 1, 3);
    o->cold_paths = (unsigned)prng_between(prng, 4, 40);
    o->hot_permille = (unsigned)prng_between(prng, 100, 800);
    o->think_us_max = prng_chance(prng, 200) ? 2000 : prng_between(prng, 50000, 1200000);
    o->value_bytes_max = prng_skewed(prng, 64, 16384);
    /* create, update, read, read of an older version, read at a time, history, delete, deletion */
    static const unsigned most[8] = {30, 40, 50, 15, 10, 10, 25, 8};
    for (unsigned i = 0; i < 8; i++)
        o->weights[i] = (unsigned)prng_between(prng, most[i] / 4 + 1, most[i]);
}

/* Of the seed alone, so that nothing else of the world depends on it. */
static void
draw_sweep(struct sim_options *o)
{
    struct prng prng;
    prng_init(&prng, o->seed ^ UINT64_C(0x7377656570));
    if (o->cost_nodes == 0 && prng_chance(&prng, 600))
        o->sweep_slack_ms = prng_between(&prng, 1000, 12000);
}

/*
 * Where costs are counted, nothing is left to chance but the times that things take, and nobody
 * scrubs or shreds: both work at a pace of their own, not by requests.
 */
static void
fix_costs_world(struct sim_options *o)
{
    o->nodes = o->cost_nodes;
    o->shares = o->cost_shares;
    o->threshold = o->cost_shares / 2 + 1;
    o->operations = 0;
    o->hot_paths = 1;
    o->cold_paths = o->cost_paths - 1;
    o->net_us_min = 100;
    o->net_us_max = 200;
    o->disk_us_min = 100;
    o->disk_us_max = 200;
    o->value_bytes_max = 64;
    o->shred_ms = 24 * 60 * 60 * 1000;
}

void
options_draw(struct world *world)
{
    struct sim_options *o = &world->options;
    struct prng prng = prng_fork(&world->prng);
    draw_cluster(o, &prng);
    draw_load(o, &prng);
    o->net_us_min = prng_skewed(&prng, 20, 2000);
    o->net_us_max = o->net_us_min + prng_skewed(&prng, 50, 20000);
    o->disk_us_min = prng_skewed(&prng, 10, 1000);
    o->disk_us_max = o->disk_us_min + prng_skewed(&prng, 50, 10000);
    o->requests_max = 64;
    draw_more_nodes(o, &prng);
    o->buckets = (unsigned)prng_between(&prng, 1, 6);
    o->shred_ms = prng_skewed(&prng, 200, 20000);
    o->other_versions = prng_chance(&prng, 700) ? (unsigned)prng_between(&prng, 1, 3) : 0;
    o->other_rate = prng_chance(&prng, 300) ? (unsigned)prng_between(&prng, 1, 2) : 0;
    o->other_expires_s = prng_chance(&prng, 500) ? (unsigned)prng_between(&prng, 3, 10) : 0;
    if (o->cost_nodes > 0)
        fix_costs_world(o);
    draw_sweep(o);
}

void
options_print(const struct world *world, FILE *out)
{
    const struct sim_options *o = &world->options;
    fprintf(
        out,
        "seed %lu: N=%u n=%u k=%u clients=%u operations=%u paths=%u+%u hot=%u/1000 think<=%lu us "
        "net=%lu..%lu us disk=%lu..%lu us value<=%zu sweep=%lu ms\n",
        (unsigned long)o->seed, o->nodes, o->shares, o->threshold, o->clients, o->operations,
        o->hot_paths, o->cold_paths, o->hot_permille, (unsigned long)o->think_us_max,
        (unsigned long)o->net_us_min, (unsigned long)o->net_us_max, (unsigned long)o->disk_us_min,
        (unsigned long)o->disk_us_max, o->value_bytes_max, (unsigned long)o->sweep_slack_ms);
    fprintf(out, "  faults:");
    for (unsigned i = 0; i < FAULTS; i++) {
        if (world->faults.on[i])
            fprintf(out, " %s", fault_name((enum fault)i));
    }
    fprintf(out, "\n");
}
