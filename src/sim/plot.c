/*
 * Orders of events around a lost store that chance alone seldom brings together. A plot begins with a frame, chooses who loses its
 * store (the victim) and who can reach whom for a while, and is over within seconds. What may happen to one node at a
 * time is as for any other lost store.
 *
 * lonely write: a change reaches a bare majority, the victim among them; its coordinator hears so and is then cut off.
 * late vote:    a vote arrives long after its giver lost its store, and nobody else can answer that coordinator, whose clock
 *               is ahead: what the others agree on meanwhile has lower ballots.
 * late writes:  the victim writes first and is lost; the others of a bare majority get their copy when the new incarnation
 *               has been handed everything; then they and the coordinator are cut off.
 */
#include "sim/world.h"

enum {
    PLOT_MS = 3000,
    LATE_MS_MIN = 300,
    LATE_MS_MAX = 1100,
    ALONE_MS =
        850, /* the coordinator's third round of votes begins a little later and lasts longer */
    WRITE_AGAIN_BEFORE_MS = 290
};

/* At that time the nodes of a part are cut from all others, or no more. */
static void
later(struct world *world, uint64_t after_ns, unsigned part, bool cut)
{
    struct event *event = event_new(world, EVENT_FAULT_END, FAULT_store_lost, after_ns, 0);
    event->from = part;
    event->to = cut;
    event_push(world, event);
}

/* One direction, for a while. */
static void
cut_one_way(struct world *world, unsigned from, unsigned to, uint64_t ns)
{
    struct event *event = event_new(world, EVENT_FAULT_END, FAULT_cut_one_way, ns, 0);
    net_cut(world, from, to, true);
    event->from = from;
    event->to = to;
    event_push(world, event);
}

/* Replicas that make a bare majority with the coordinator (if that is one), the victim among them. */
static unsigned
draw_company(struct world *world, unsigned coordinator, unsigned victim, struct path path)
{
    uint64_t replicas = world_replicas(world, path);
    unsigned company = 1u << victim, count = 1 + (replicas >> coordinator & 1);
    while (count < world_majority(world)) {
        unsigned i = (unsigned)prng_below(&world->fault_prng, world->options.nodes);
        if (i == coordinator || (company >> i & 1) || !(replicas >> i & 1))
            continue;
        company |= 1u << i;
        count++;
    }
    return company;
}

static void
victim_dies(struct world *world)
{
    struct sim_node *n = &world->nodes[world->plot.victim];
    n->effects_left = 0;
    n->dying = true;
    n->lose_store = true;
    n->restart_soon = true;
}

static void
begin(struct world *world, enum plot_kind kind, unsigned coordinator, unsigned victim,
      struct path path)
{
    static const char *const names[] = {"", "lonely write", "late vote", "late writes"};
    struct plot *plot = &world->plot;
    *plot = (struct plot){.kind = kind,
                          .coordinator = coordinator,
                          .victim = victim,
                          .company = draw_company(world, coordinator, victim, path),
                          .until_ns = world->now_ns + ms_to_ns(PLOT_MS)};
    trace_line(&world->trace, world->now_ns, "plot %s: coordinator %u, victim %u", names[kind],
               coordinator, victim);
    if (kind == PLOT_LATE_VOTE)
        world->nodes[coordinator].wall_offset_ms +=
            (int64_t)prng_between(&world->fault_prng, 1000, 4000);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        bool inside = plot->company >> i & 1;
        uint64_t ns = ms_to_ns(PLOT_MS);
        if (i == coordinator || (i == victim && kind != PLOT_LATE_VOTE))
            continue;
        if (inside && kind == PLOT_LONELY_WRITE)
            continue;
        if (inside && kind == PLOT_LATE_WRITES)
            ns = ms_to_ns(prng_between(&world->fault_prng, 100, WRITE_AGAIN_BEFORE_MS));
        if (inside && kind == PLOT_LATE_VOTE)
            ns = ms_to_ns(ALONE_MS);
        cut_one_way(world, coordinator, i, ns);
        if (kind == PLOT_LATE_VOTE)
            cut_one_way(world, i, coordinator, ns);
    }
}

static void
written(struct world *world)
{
    struct plot *plot = &world->plot;
    uint64_t arrived = 1000 * world->options.net_us_max + ms_to_ns(1);
    unsigned with = 1u << plot->coordinator;
    victim_dies(world);
    if (plot->kind == PLOT_LATE_WRITES) {
        uint64_t after = ms_to_ns(prng_between(&world->fault_prng, 350, 900));
        for (unsigned i = 0; i < 2; i++)
            cut_one_way(world, i ? plot->victim : plot->coordinator,
                        i ? plot->coordinator : plot->victim, ms_to_ns(PLOT_MS));
        with |= plot->company & ~(1u << plot->victim);
        arrived = after;
    }
    later(world, arrived, with, true);
    later(world, arrived + ms_to_ns(prng_between(&world->fault_prng, 500, PLOT_MS)), with, false);
    plot->kind = PLOT_NONE;
}

/* The same store may be lost again before its node has all own shares back: that is still one store. */
static bool
may_begin(struct world *world, unsigned coordinator, unsigned victim, struct path path)
{
    const struct sim_node *n = &world->nodes[victim];
    struct recovery_progress progress;
    if (!n->node || path.name.size == 0 || path.name.data[0] != 'h')
        return false; /* only where others are likely to change the path meanwhile */
    node_recovery(n->node, &progress);
    return progress.state != RECOVERY_HANDOVER && !progress.behind && !n->rolled_back &&
           !n->store_lost && world->phase == PHASE_FAULTS && world->faults.on[FAULT_store_lost] &&
           !n->dying && !n->mismatched && !n->spoilt && !world->nodes[coordinator].mismatched &&
           store_may_be_spoilt(world, victim) && fault_strikes_frame(world, FAULT_store_lost);
}

uint64_t
plot_frame(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    struct plot *plot = &world->plot;
    if (plot->kind != PLOT_NONE && plot->until_ns <= world->now_ns)
        plot->kind = PLOT_NONE;
    bool voted = msg->kind == MSG_VOTED && msg->u.voted.refusal == REFUSED_NONE;
    bool written_now = msg->kind == MSG_WRITTEN && msg->u.written.refusal == REFUSED_NONE;
    if (plot->kind != PLOT_NONE) {
        if (from != plot->victim || to != plot->coordinator || !store_may_be_spoilt(world, from))
            return 0;
        if (written_now && plot->kind != PLOT_LATE_VOTE)
            written(world);
        if (!voted || plot->kind != PLOT_LATE_VOTE)
            return 0;
        victim_dies(world);
        plot->kind = PLOT_NONE;
        return ms_to_ns(prng_between(&world->fault_prng, LATE_MS_MIN, LATE_MS_MAX));
    }
    if (msg->kind == MSG_WRITE && may_begin(world, from, to, msg->path)) {
        bool large = world->options.shares >= 5 && prng_chance(&world->fault_prng, 700);
        begin(world, large ? PLOT_LATE_WRITES : PLOT_LONELY_WRITE, from, to, msg->path);
    } else if (msg->kind == MSG_VOTE && may_begin(world, from, to, msg->path)) {
        begin(world, PLOT_LATE_VOTE, from, to, msg->path);
    }
    return 0;
}
