/*
 * Orders of events around a lost store that chance alone seldom brings together. A plot begins with a frame, chooses who loses its
 * store (the victim) and who can reach whom for a while, and is over within seconds. What may happen to one node at a
 * time is as for any other lost store.
 *
 * lonely write: a change reaches a bare majority, the victim among them; its coordinator hears so and is then cut off.
 * late vote:    a vote arrives long after its giver lost its store, and nobody else can answer that coordinator, whose clock
 *               is ahead: what the others agree on meanwhile has lower ballots.
 * early vote:   the victim votes at once and is lost; the others of a bare majority are asked late, when the coordinator has
 *               heard of the new incarnation. What that one and all the rest agree on meanwhile has lower ballots.
 * late writes:  the victim writes first and is lost; the others of a bare majority get their copy when the new incarnation
 *               has been handed everything; then they and the coordinator are cut off. Who else asks the company for votes
 *               has to wait (rivals wait).
 * silent voter: a late-writes plot whose victim has not voted.
 */
#include "sim/world.h"

enum {
    PLOT_MS = 3000,
    LATE_MS_MIN = 300,
    LATE_MS_MAX = 1100,
    ALONE_MS =
        850, /* the coordinator's third round of votes begins a little later and lasts longer */
    WRITES_APART_MS = 300, /* a coordinator's */
    LINK_MS = 30,          /* at most: until both ends see that a cut is over */
    NEXT_MS_MAX = 3000,
    SPLIT_MS_MIN = 30,
    SPLIT_MS_MAX = 400
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

/* They draw the coordinator's third round out. */
static bool
is_about_votes(enum plot_kind kind)
{
    return kind == PLOT_LATE_VOTE || kind == PLOT_EARLY_VOTE;
}

static void
begin(struct world *world, enum plot_kind kind, unsigned coordinator, unsigned victim,
      struct path path)
{
    static const char *const names[] = {"",           "lonely write", "late vote",
                                        "early vote", "silent voter", "late writes"};
    struct plot *plot = &world->plot;
    bool votes = is_about_votes(kind);
    plot->kind = kind;
    plot->coordinator = coordinator;
    plot->victim = victim;
    plot->company = draw_company(world, coordinator, victim, path);
    plot->until_ns = world->now_ns + ms_to_ns(PLOT_MS);
    for (unsigned i = 0; i < world->clients.path_count; i++) {
        if (bytes_equal(bytes_of_text(world->clients.paths[i].name), path.name))
            plot->path = i;
    }
    plot->write_again = 1 + (unsigned)prng_below(&world->fault_prng, 3);
    trace_line(&world->trace, world->now_ns, "plot %s: coordinator %u, victim %u, company %x",
               names[kind], coordinator, victim, plot->company);
    if (votes) {
        world->nodes[coordinator].wall_offset_ms +=
            (int64_t)prng_between(&world->fault_prng, 1000, 4000);
        world->nodes[coordinator].clock_ahead = true;
        world->clock_moved = true;
    }
    for (unsigned i = 0; i < world->options.nodes && kind != PLOT_SILENT_VOTER; i++) {
        bool inside = plot->company >> i & 1;
        uint64_t ns = ms_to_ns(PLOT_MS);
        if (i == coordinator || (i == victim && !votes))
            continue;
        if (inside && kind == PLOT_LONELY_WRITE)
            continue;
        if (inside && kind == PLOT_LATE_WRITES)
            ns = ms_to_ns(plot->write_again * WRITES_APART_MS - LINK_MS);
        if (inside && votes)
            ns = ms_to_ns(ALONE_MS);
        cut_one_way(world, coordinator, i, ns);
        if (votes)
            cut_one_way(world, i, coordinator, ns);
    }
}

/* But for the frame that is just on its way. */
static void
part_for_long(struct world *world, unsigned a, unsigned b)
{
    cut_one_way(world, a, b, ms_to_ns(PLOT_MS));
    cut_one_way(world, b, a, ms_to_ns(PLOT_MS));
    world->plot.passes = true;
}

static void
written(struct world *world)
{
    struct plot *plot = &world->plot;
    uint64_t arrived = 1000 * world->options.net_us_max + ms_to_ns(1);
    unsigned with = 1u << plot->coordinator;
    victim_dies(world);
    if (plot->kind == PLOT_LATE_WRITES) {
        part_for_long(world, plot->coordinator, plot->victim);
        with |= plot->company & ~(1u << plot->victim);
        arrived += ms_to_ns(plot->write_again * WRITES_APART_MS + LINK_MS);
    }
    later(world, arrived, with, true);
    later(world, arrived + ms_to_ns(prng_between(&world->fault_prng, 800, PLOT_MS)), with, false);
    bool late = plot->kind == PLOT_LATE_WRITES;
    plot->kind = late ? PLOT_RIVALS_WAIT : PLOT_NONE;
    plot->until_ns = late ? world->now_ns + arrived : plot->until_ns;
}

/* From now on only the coordinator and the victim reach the company, and some time later no victim either. */
static void
voted_early(struct world *world)
{
    struct plot *plot = &world->plot;
    unsigned others = plot->company & ~(1u << plot->victim);
    uint64_t apart = ms_to_ns(prng_between(&world->fault_prng, 350, 900));
    victim_dies(world);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        for (unsigned j = 0; j < world->options.nodes; j++) {
            if ((others >> j & 1) && !(others >> i & 1) && i != plot->coordinator &&
                i != plot->victim)
                cut_one_way(world, i, j, ms_to_ns(PLOT_MS));
        }
    }
    later(world, apart, others | 1u << plot->coordinator, true);
    later(world, apart + ms_to_ns(prng_between(&world->fault_prng, 800, 1800)),
          others | 1u << plot->coordinator, false);
    plot->kind = PLOT_NONE;
}

static bool
is_hot(const struct msg *msg)
{
    return msg->path.name.size > 0 && msg->path.name.data[0] == 'h';
}

static bool
is_cold(const struct msg *msg)
{
    return msg->path.name.size > 0 && msg->path.name.data[0] == 'c';
}

static bool
is_about_it(const struct world *world, const struct msg *msg)
{
    return bytes_equal(msg->path.name, bytes_of_text(world->clients.paths[world->plot.path].name));
}

static void
ask_outside(struct world *world, unsigned part, unsigned path, enum request_kind kind)
{
    const struct request request = {.kind = kind};
    unsigned outsider = world->options.clients;
    unsigned node = (unsigned)prng_below(&world->fault_prng, world->options.nodes);
    const struct op *before = world->clients.clients[outsider].op;
    if (world->phase != PHASE_FAULTS || (before && before->outcome == OP_PENDING))
        return;
    for (unsigned i = 0; i < world->options.nodes; i++) {
        unsigned at = (node + i) % world->options.nodes;
        if (!node_up(world, at) || (part >> at & 1))
            continue;
        (void)client_begin(world, outsider, at, path, &request);
        return;
    }
}

void
plot_ask(struct world *world, unsigned part, unsigned path)
{
    static const enum request_kind kinds[] = {REQUEST_UPDATE, REQUEST_UPDATE, REQUEST_CREATE,
                                              REQUEST_READ};
    ask_outside(world, part, path, kinds[prng_below(&world->fault_prng, 4)]);
}

/*
 * Before anybody has noticed the cut, something is changed in the larger part, and then asked for in
 * the smaller one.
 */
void
plot_split(struct world *world, unsigned part)
{
    unsigned all = (1u << world->options.nodes) - 1;
    bool few = 2 * (unsigned)__builtin_popcount(part) < world->options.nodes;
    unsigned small = few ? part : all & ~part;
    unsigned path = (unsigned)prng_below(&world->fault_prng, world->options.hot_paths);
    uint64_t after = ms_to_ns(prng_between(&world->fault_prng, SPLIT_MS_MIN, SPLIT_MS_MAX));
    struct event *event = event_new(world, EVENT_SPLIT, 0, after, 0);
    ask_outside(world, small, path, REQUEST_UPDATE);
    event->from = all & ~small;
    event->to = path;
    event_push(world, event);
}

void
plot_split_read(struct world *world, unsigned others, unsigned path)
{
    ask_outside(world, others, path, REQUEST_READ);
}

/*
 * Somebody who is left asks there for a change, or for the value, while the part that knows another
 * head is cut off: chance alone seldom has one in so short a time.
 */
void
plot_apart(struct world *world, unsigned part)
{
    plot_ask(world, part, world->plot.path);
}

/* The same store may be lost again before its node has all own shares back: that is still one store. */
static bool
may_begin(struct world *world, unsigned coordinator, unsigned victim, const struct msg *msg)
{
    const struct sim_node *n = &world->nodes[victim];
    struct recovery_progress progress;
    if (!n->node || (!is_hot(msg) && !is_cold(msg)))
        return false;
    node_recovery(n->node, &progress);
    return progress.state != RECOVERY_HANDOVER && !progress.behind && !n->rolled_back &&
           !n->store_lost && !n->dying && !n->mismatched && !n->spoilt &&
           !world->nodes[coordinator].mismatched && store_may_be_spoilt(world, victim);
}

/* Whoever hands over to the new incarnation must know nothing yet; with three, both others have to. */
static bool
has_room(const struct world *world, unsigned coordinator, struct path path)
{
    return world->options.shares >= 5 ||
           (world->options.shares >= 3 && !(world_replicas(world, path) >> coordinator & 1));
}

static void
may_be_begun_by(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    struct plot *plot = &world->plot;
    if (world->phase != PHASE_FAULTS || !world->faults.on[FAULT_store_lost] ||
        world->now_ns < plot->next_ns || (msg->kind != MSG_VOTE && msg->kind != MSG_WRITE) ||
        !prng_chance(&world->fault_prng, is_hot(msg) ? 200 : 50) ||
        !may_begin(world, from, to, msg))
        return; /* not always the first, or it would always be a vote of the first replica */
    static const enum plot_kind of_votes[] = {PLOT_LATE_VOTE, PLOT_EARLY_VOTE, PLOT_EARLY_VOTE,
                                              PLOT_SILENT_VOTER, PLOT_SILENT_VOTER};
    static const enum plot_kind of_writes[] = {PLOT_LONELY_WRITE, PLOT_LATE_WRITES};
    bool vote = msg->kind == MSG_VOTE, room = has_room(world, from, msg->path);
    enum plot_kind kind = vote ? of_votes[prng_below(&world->fault_prng, 5)]
                               : of_writes[prng_below(&world->fault_prng, 2)];
    /* Where others are not likely to change the path meanwhile, nobody asks for promises that would be in the way. */
    if (room && is_cold(msg))
        kind = vote ? PLOT_SILENT_VOTER : PLOT_LATE_WRITES;
    if (!room || (kind == PLOT_EARLY_VOTE && world->options.shares % 2 == 0))
        kind = vote ? PLOT_LATE_VOTE : PLOT_LONELY_WRITE;
    begin(world, kind, from, to, msg->path);
    plot->next_ns = plot->until_ns + ms_to_ns(prng_below(&world->fault_prng, NEXT_MS_MAX));
}

/* How much later than others that frame arrives, which the coordinator has sent. */
static uint64_t
of_coordinator(struct world *world, unsigned to, const struct msg *msg)
{
    struct plot *plot = &world->plot;
    bool to_victim = to == plot->victim;
    if (plot->kind == PLOT_SILENT_VOTER && msg->kind == MSG_WRITE)
        begin(world, PLOT_LATE_WRITES, plot->coordinator, plot->victim, msg->path);
    if (msg->kind != MSG_VOTE)
        return 0;
    if (plot->kind == PLOT_SILENT_VOTER && to_victim)
        return ms_to_ns(PLOT_MS);
    if (plot->kind == PLOT_EARLY_VOTE && !to_victim)
        return ms_to_ns(prng_between(&world->fault_prng, LATE_MS_MIN, LATE_MS_MAX));
    return 0;
}

/* Whoever asks the company for votes meanwhile is heard when it has got its WRITE, which another promise would refuse. */
static uint64_t
of_rival(const struct world *world, unsigned to, const struct msg *msg)
{
    const struct plot *plot = &world->plot;
    bool to_company = to != plot->victim && (plot->company >> to & 1);
    return msg->kind == MSG_VOTE && to_company ? plot->until_ns - world->now_ns : 0;
}

static uint64_t
of_victim(struct world *world, const struct msg *msg)
{
    struct plot *plot = &world->plot;
    bool voted = msg->kind == MSG_VOTED && msg->u.voted.refusal == REFUSED_NONE;
    bool wrote = msg->kind == MSG_WRITTEN && msg->u.written.refusal == REFUSED_NONE;
    if (!store_may_be_spoilt(world, plot->victim))
        return 0;
    if (wrote && (plot->kind == PLOT_LATE_WRITES || plot->kind == PLOT_LONELY_WRITE))
        written(world);
    else if (voted && plot->kind == PLOT_EARLY_VOTE)
        voted_early(world);
    else if (voted && plot->kind == PLOT_LATE_VOTE) {
        victim_dies(world);
        plot->kind = PLOT_NONE;
        if (prng_chance(&world->fault_prng, 500))
            part_for_long(world, plot->coordinator, plot->victim);
        return ms_to_ns(prng_between(&world->fault_prng, LATE_MS_MIN, LATE_MS_MAX));
    }
    return 0;
}

uint64_t
plot_frame(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    struct plot *plot = &world->plot;
    uint64_t late = 0;
    if (msg->kind == MSG_RECOVER)
        return plot_recover(world, from, to, msg);
    if (world->phase != PHASE_FAULTS || plot->until_ns <= world->now_ns)
        plot->kind = PLOT_NONE; /* what it would cut after the faults, nobody would join again */
    if (plot->kind == PLOT_NONE)
        may_be_begun_by(world, from, to, msg);
    if (plot->kind == PLOT_NONE || !is_about_it(world, msg))
        return 0;
    if (from == plot->coordinator)
        return of_coordinator(world, to, msg);
    if (plot->kind == PLOT_RIVALS_WAIT || plot->kind == PLOT_LATE_WRITES)
        late = of_rival(world, to, msg);
    if (late > 0)
        return late;
    return from == plot->victim && to == plot->coordinator ? of_victim(world, msg) : 0;
}
