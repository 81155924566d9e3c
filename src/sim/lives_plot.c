/*
 * What chance alone seldom brings about: as a purge begins, a secret or a policy is being created,
 * and votes and WRITEs are late; or its coordinator is cut off for longer than a purge takes, and
 * has accepted it alone. When that is back all that it says about the path is slow, so that others
 * do without.
 */
#include "sim/lives_internal.h"

enum { PLOT_LATE, PLOT_CUT, PLOTS };
enum {
    PLOT_PERMILLE = 700,
    POLICY_PERMILLE = 400,
    LATE_MS_MIN = 800,
    LATE_MS_MAX = 2400, /* votes and WRITEs come within the request's deadline */
    AWAY_MS_MIN = 11000,
    AWAY_MS_MAX = 20000,
    SLOW_MS = 1500,
    OVER_MS = 4000, /* after it is back */
};

static bool
may_plot(const struct world *world)
{
    return !world->options.calm && (world->phase == PHASE_FAULTS || world->lives.whole);
}

/* One that is perhaps not there; LIFE_SECRETS: all are. */
static unsigned
pick_secret(struct lives *l)
{
    unsigned first = (unsigned)prng_below(&l->prng, LIFE_SECRETS);
    for (unsigned i = 0; i < LIFE_SECRETS; i++) {
        const struct life_secret *s = &l->secrets[(first + i) % LIFE_SECRETS];
        if (!s->changing && s->floor == 0)
            return (first + i) % LIFE_SECRETS;
    }
    return LIFE_SECRETS;
}

/* Who is late has accepted nothing itself, if that may be; who is cut off has. */
static unsigned
pick_node(struct world *world)
{
    struct lives *l = &world->lives;
    unsigned n = world->options.nodes, first = (unsigned)prng_below(&l->prng, n), node = first;
    uint64_t replicas = world_replicas(world, l->plot_path);
    for (unsigned i = 0; i < n; i++) {
        node = (first + i) % n;
        if ((replicas >> node & 1) == (l->plot_kind != PLOT_LATE))
            return node;
    }
    return node;
}

void
lives_plot(struct world *world)
{
    struct lives *l = &world->lives;
    if (!may_plot(world) || l->plot_away || (!l->whole && !prng_chance(&l->prng, PLOT_PERMILLE)))
        return;
    unsigned secret = prng_chance(&l->prng, POLICY_PERMILLE) ? LIFE_SECRETS : pick_secret(l);
    bool policy = secret == LIFE_SECRETS;
    l->plot_path = policy ? (struct path){bytes_of_text(LIFE_TENANT),
                                          bytes_of_text(RECORD_PREFIX "policy/more")}
                          : lives_path(world, secret);
    l->plot_kind = (unsigned)prng_below(&l->prng, PLOTS);
    l->plot_node = pick_node(world);
    l->plot_cut = false;
    l->plot_until_ns = world->now_ns + ms_to_ns(OVER_MS);
    if (node_up(world, l->plot_node) && policy)
        lives_ask_policy(world, l->plot_node);
    else if (node_up(world, l->plot_node))
        lives_ask(world, REQUEST_CREATE, secret, 0, l->plot_node);
}

static void
cut(struct world *world, bool away)
{
    unsigned node = world->lives.plot_node;
    world->lives.plot_away = away;
    for (unsigned i = 0; i < world->options.nodes; i++) {
        net_cut(world, i, node, away);
        net_cut(world, node, i, away);
    }
}

static void
cut_off(struct world *world)
{
    struct lives *l = &world->lives;
    uint64_t ms = prng_between(&l->prng, AWAY_MS_MIN, AWAY_MS_MAX);
    struct event *event = event_new(world, EVENT_LIVES, 0, ms_to_ns(ms), 0);
    event->tag = 1;
    event_push(world, event);
    trace_line(&world->trace, world->now_ns, "plot of a purge: node %u is away", l->plot_node);
    fault_count(world, FAULT_isolate);
    l->plot_cut = true;
    l->plot_until_ns = world->now_ns + ms_to_ns(ms + OVER_MS);
    cut(world, true);
}

void
lives_join(struct world *world)
{
    if (world->lives.plot_away && may_plot(world))
        cut(world, false);
    world->lives.plot_away = false;
}

uint64_t
lives_frame(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    struct lives *l = &world->lives;
    bool late = (msg->kind == MSG_WRITE && from == l->plot_node) ||
                (msg->kind == MSG_VOTED && to == l->plot_node);
    if (world->now_ns >= l->plot_until_ns || !may_plot(world) ||
        !path_equal(msg->path, l->plot_path))
        return 0;
    if (l->plot_kind == PLOT_LATE)
        return late ? ms_to_ns(prng_between(&l->prng, LATE_MS_MIN, LATE_MS_MAX)) : 0;
    if (msg->kind == MSG_WRITE && from == l->plot_node && !l->plot_cut)
        cut_off(world);
    return from == l->plot_node ? ms_to_ns(SLOW_MS) : 0;
}
