/*
 * The network.
 *
 * Fault model. A link is up between two processes that run, agree on certificates, and can reach each other both ways; each end
 * learns of a change a little later, of a cut within a second. While an end takes the link for up its frames travel for a
 * random time and keep their order. Beyond that, as far as a seed has these faults: frames are lost, come twice, come much later,
 * overtake each other; a direction is cut, or stands still and then delivers everything. A frame in flight outlives its
 * sender, never its receiver.
 */
#include "sim/world.h"

enum { LINK_NOTICE_MS = 1000, DELAY_MS_MAX = 2000 };

/* ---- links ---- */

bool
net_whole(const struct world *world, unsigned from, unsigned to)
{
    const struct sim_node *a = &world->nodes[from], *b = &world->nodes[to];
    bool stranger =
        a->mismatched != b->mismatched && (a->link_knows_config || b->link_knows_config);
    return node_up(world, from) && node_up(world, to) && !world->cut[from][to] &&
           !world->cut[to][from] && !world->refused[from][to] && !stranger;
}

void
net_link_changed(struct world *world, unsigned a, unsigned b, uint64_t within_ms)
{
    for (unsigned end = 0; end < 2; end++) {
        uint64_t after = within_ms == 0 ? 0 : prng_below(&world->net_prng, ms_to_ns(within_ms));
        struct event *event = event_new(world, EVENT_LINK, end ? b : a, after, 0);
        event->from = end ? a : b;
        event_push(world, event);
    }
}

void
net_links_changed(struct world *world, unsigned node, uint64_t within_ms)
{
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (i != node)
            net_link_changed(world, node, i, within_ms);
    }
}

void
net_link_event(struct world *world, const struct event *event)
{
    unsigned a = event->node, b = event->from;
    bool up = net_whole(world, a, b);
    if (up == world->connected[a][b])
        return;
    world->connected[a][b] = up;
    trace_line(&world->trace, world->now_ns, "node %u takes its link to node %u for %s", a, b,
               up ? "up" : "down");
    struct msg msg = {
        .kind = up ? MSG_PEER_UP : MSG_PEER_DOWN, .from = (uint8_t)b, .to = (uint8_t)a};
    msg.u.peer_up.signing = up ? &world->nodes[b].signing.public_half : NULL;
    node_hand(world, a, ACTOR_REPAIRER, &msg);
}

void
net_cut(struct world *world, unsigned from, unsigned to, bool cut)
{
    if (from == to || world->cut[from][to] == cut)
        return;
    world->cut[from][to] = cut;
    net_link_changed(world, from, to, cut ? LINK_NOTICE_MS : 20);
}

/* ---- frames ---- */

static uint64_t
travel_time(struct world *world, unsigned from, unsigned to)
{
    const struct sim_options *o = &world->options;
    uint64_t due =
        world->now_ns + 1000 * prng_between(&world->net_prng, o->net_us_min, o->net_us_max);
    if (world->clogged_until_ns[from][to] > due)
        due = world->clogged_until_ns[from][to];
    if (world->frame_late)
        due += ms_to_ns(prng_between(&world->fault_prng, 50, 950));
    else if (fault_strikes_frame(world, FAULT_delay))
        due += ms_to_ns(prng_skewed(&world->fault_prng, 1, DELAY_MS_MAX));
    else if (due < world->last_due_ns[from][to] && !fault_strikes_frame(world, FAULT_reorder))
        due = world->last_due_ns[from][to];
    else
        world->last_due_ns[from][to] = due;
    return due - world->now_ns;
}

static void
fly(struct world *world, unsigned from, unsigned to, struct bytes frame, uint64_t late_ns)
{
    uint64_t after = travel_time(world, from, to) + late_ns;
    struct event *event = event_new(world, EVENT_FRAME, to, after, frame.size);
    event->from = from;
    event->tag = world->plot.passes;
    event_append(event, 0, frame);
    event_push(world, event);
}

static void
put_on_its_way(struct world *world, unsigned from, unsigned to, struct bytes frame,
               uint64_t late_ns)
{
    bool cut = world->cut[from][to] && !world->plot.passes;
    if (!world->connected[from][to] || cut || !node_up(world, to))
        return;
    if (fault_strikes_frame(world, FAULT_loss))
        return;
    fly(world, from, to, frame, late_ns);
    if (fault_strikes_frame(world, FAULT_duplicate))
        fly(world, from, to, frame, late_ns);
}

/* Ballots in words: milliseconds since the simulation began, and the node. */
static void
tell(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    struct ballot b = {0}, beat = {0};
    enum refusal refusal = REFUSED_NONE;
    switch ((int)msg->kind) {
    case MSG_VOTE: b = msg->u.vote.ballot; break;
    case MSG_WRITE: b = msg->u.write.ballot; break;
    case MSG_CHOSEN: b = msg->u.chosen.ballot; break;
    case MSG_VOTED:
        b = msg->u.voted.ballot;
        beat = msg->u.voted.beat;
        refusal = msg->u.voted.refusal;
        break;
    case MSG_WRITTEN:
        b = msg->u.written.ballot;
        beat = msg->u.written.beat;
        refusal = msg->u.written.refusal;
        break;
    case MSG_STATE: refusal = msg->u.state.refusal; break;
    case MSG_RECOVERED: refusal = msg->u.recovered.refusal; break;
    case MSG_SHARE: b = msg->u.share.accepted.ballot; break;
    case MSG_SHARED: beat.node = (uint8_t)msg->u.shared.outcome; break;
    default: break;
    }
    trace_line(&world->trace, world->now_ns, "%u -> %u %s %.*s ballot %ld.%u beat %ld.%u %s", from,
               to, msg_kind_name(msg->kind), (int)msg->path.name.size,
               (const char *)msg->path.name.data, (long)ballot_ms(b) - (long)sim_wall_start_ms,
               b.node, (long)ballot_ms(beat) - (long)sim_wall_start_ms, beat.node,
               refusal_name(refusal));
}

void
net_send(struct world *world, unsigned from, unsigned to, struct bytes frame)
{
    struct msg msg;
    if (msg_decode(frame, &msg) != OK)
        sim_fail(world, SIM_SAFETY, "codec", "node %u sent a frame that does not decode", from);
    msg.from = (uint8_t)from;
    msg.to = (uint8_t)to;
    world->frames++;
    world->frames_sent[from][msg.kind]++;
    world->votes_seen[from] += msg.kind == MSG_VOTED && msg.u.voted.refusal == REFUSED_NONE;
    trace_number(&world->trace, (uint64_t)from << 8 | to);
    trace_bytes(&world->trace, frame);
    if (world->trace.verbose && msg.kind != MSG_HEARTBEAT)
        tell(world, from, to, &msg);
    if (thief_is_answered(world, from, to, &msg))
        return;
    check_secrets_frame(world, from, to, frame, &msg);
    costs_message(&world->costs, from, to, &msg, frame.size);
    world->frame_late = msg.kind == MSG_HELPED && faults_late_help(world, from, &msg);
    uint64_t late_ns = plot_frame(world, from, to, &msg) + lives_frame(world, from, to, &msg);
    put_on_its_way(world, from, to, frame, late_ns);
    world->frame_late = false;
    world->plot.passes = false;
    faults_at_frame(world, from, msg.kind);
}
