#include "sim/faults.h"

#include <string.h>

#include "sim/world.h"

enum { HOUR_MS = 3600 * 1000, JUMP_MS_MAX = 20000, JUMPED_MS_MAX = 25000, DRIFT_PPM_MAX = 500 };

const char *
fault_name(enum fault fault)
{
    static const char *const names[] = {
#define X(name, text) #name,
        SIM_FAULTS(X)
#undef X
    };
    return names[fault];
}

const char *
fault_text(enum fault fault)
{
    static const char *const texts[] = {
#define X(name, text) text,
        SIM_FAULTS(X)
#undef X
    };
    return texts[fault];
}

void
fault_count(struct world *world, enum fault fault)
{
    world->faults.struck[fault]++;
}

bool
fault_strikes_frame(struct world *world, enum fault fault)
{
    if (world->phase != PHASE_FAULTS || world->faults.permille[fault] == 0)
        return false;
    if (prng_below(&world->fault_prng, 100000) >= world->faults.permille[fault])
        return false;
    fault_count(world, fault);
    return true;
}

/* ---- which faults a seed has ---- */

/* In 100,000, at most; 0: the fault strikes by time. */
static unsigned
frame_rate(enum fault fault)
{
    switch ((int)fault) {
    case FAULT_loss: return 10000;
    case FAULT_duplicate: return 10000;
    case FAULT_delay: return 3000;
    case FAULT_reorder: return 30000;
    case FAULT_crash_in_step: return 60;
    case FAULT_client_gone: return 5000;
    case FAULT_client_retry: return 20000;
    case FAULT_rush: return 50000;
    case FAULT_crash_at_vote: return 600;
    case FAULT_crash_at_write: return 600;
    case FAULT_cut_at_write: return 1000;
    case FAULT_store_lost: return 1000;
    default: return 0;
    }
}

/* Mean seconds between two strikes, at least; 0: it does not strike by time. */
static unsigned
interval_s(enum fault fault)
{
    switch ((int)fault) {
    case FAULT_partition: return 4;
    case FAULT_cut_one_way: return 3;
    case FAULT_isolate: return 3;
    case FAULT_clog: return 2;
    case FAULT_peer_refused: return 6;
    case FAULT_crash: return 3;
    case FAULT_power_loss: return 12;
    case FAULT_pause: return 3;
    case FAULT_slow_disk: return 4;
    case FAULT_write_failed: return 6;
    case FAULT_read_failed: return 1;
    case FAULT_disk_full: return 6;
    case FAULT_corrupt_record: return 5;
    case FAULT_clock_jump: return 4;
    case FAULT_clock_hour: return 10;
    case FAULT_config_mismatch: return 10;
    case FAULT_key_rotation: return 5;
    case FAULT_entropy_failed: return 8;
    case FAULT_store_lost: return 15;
    case FAULT_store_rolled_back: return 3;
    case FAULT_share_lost: return 2;
    case FAULT_curious_node: return 2;
    case FAULT_dealing_lost: return 2;
    case FAULT_forger: return 1;
    case FAULT_thief: return 1;
    default: return 0;
    }
}

static bool
is_excluded(const struct world *world, enum fault fault)
{
    const char *list = world->options.without;
    const char *name = fault_name(fault);
    size_t size = strlen(name);
    for (; list && *list; list += strcspn(list, ",")) {
        list += strspn(list, ",");
        if (strncmp(list, name, size) == 0 && (list[size] == 0 || list[size] == ','))
            return true;
    }
    return false;
}

void
faults_draw(struct world *world)
{
    struct faults *f = &world->faults;
    struct prng prng = prng_fork(&world->prng);
    unsigned share = world->options.calm ? 0 : (unsigned)prng_between(&prng, 0, 9) * 100;
    for (unsigned i = 0; i < FAULTS; i++) {
        f->on[i] = prng_chance(&prng, share) && !is_excluded(world, (enum fault)i);
        unsigned most = frame_rate((enum fault)i), least_s = interval_s((enum fault)i);
        unsigned rate = most ? (unsigned)prng_skewed(&prng, 1, most) : 0;
        uint64_t interval =
            least_s ? ms_to_ns(1000 * prng_between(&prng, least_s, 6 * least_s)) : 0;
        f->permille[i] = f->on[i] ? rate : 0;
        f->interval_ns[i] = f->on[i] ? interval : 0;
    }
    if (f->on[FAULT_rush])
        f->permille[FAULT_rush] = frame_rate(FAULT_rush); /* updates are few */
    if (f->on[FAULT_few_paths])
        world->options.paths_max = (size_t)prng_between(&prng, 3, 12);
    if (f->on[FAULT_few_requests])
        world->options.requests_max = (size_t)prng_between(&prng, 2, 6);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        struct sim_node *n = &world->nodes[i];
        n->wall_offset_ms = (int64_t)prng_below(&prng, 401) - 200;
        if (f->on[FAULT_clock_drift])
            n->drift_ppm = (int64_t)prng_below(&prng, 2 * DRIFT_PPM_MAX + 1) - DRIFT_PPM_MAX;
    }
    f->struck[FAULT_few_paths] = f->on[FAULT_few_paths];
    f->struck[FAULT_few_requests] = f->on[FAULT_few_requests];
    f->struck[FAULT_clock_drift] = f->on[FAULT_clock_drift];
}

static void
next_strike(struct world *world, enum fault fault)
{
    uint64_t mean = world->faults.interval_ns[fault];
    uint64_t after = prng_below(&world->fault_prng, 2 * mean) + 1;
    event_push(world, event_new(world, EVENT_FAULT, fault, after, 0));
}

void
faults_start(struct world *world)
{
    for (unsigned i = 0; i < FAULTS; i++) {
        if (world->faults.interval_ns[i] > 0)
            next_strike(world, (enum fault)i);
    }
}

/* ---- strikes ---- */

static void
end_later(struct world *world, enum fault fault, unsigned a, unsigned b, uint64_t ms_max)
{
    uint64_t after = ms_to_ns(prng_skewed(&world->fault_prng, 20, ms_max));
    struct event *event = event_new(world, EVENT_FAULT_END, fault, after, 0);
    event->from = a;
    event->to = b;
    event_push(world, event);
}

static void
cut_parts(struct world *world, unsigned part, bool cut)
{
    for (unsigned a = 0; a < world->options.nodes; a++) {
        for (unsigned b = 0; b < world->options.nodes; b++) {
            if ((part >> a & 1) != (part >> b & 1))
                net_cut(world, a, b, cut);
        }
    }
}

/* How many nodes may be spoilt for good: what remains must be able to go on. */
static bool
may_spoil(const struct world *world, unsigned node)
{
    return world->nodes[node].spoilt || world->nodes[node].rotten ||
           (store_may_be_spoilt(world, node) && store_is_recovered(world, node));
}

static void
strike_corrupt(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    const struct disk_table *table = &n->disk.durable;
    if (!may_spoil(world, node) || table->count == 0)
        return;
    size_t index = (size_t)prng_below(&world->fault_prng, table->count);
    size_t bit = (size_t)prng_below(&world->fault_prng, 8 * 4096);
    uint8_t which = table->rows[index]->key.data[0];
    if (which == ROW_META)
        return;
    /* Heads are verified by the store alone; the actors verify shares, dealings and boxes. */
    bool refused = which == ROW_PATH || which == ROW_ERASURE || which == ROW_INDEX ||
                   prng_chance(&world->fault_prng, 500);
    if (which == ROW_PATH)
        store_forget_path(world, node, table->rows[index]->key);
    n->rotten = true;
    n->damaged = true;
    disk_rot(&n->disk, index, bit, refused);
    fault_count(world, FAULT_corrupt_record);
    trace_line(&world->trace, world->now_ns, "a row '%c' of node %u rots", which, node);
}

/* The share in that row, or the public part of the dealing; empty: it is elsewhere, or nowhere. */
static struct bytes
part_of_row(const struct disk_row *row, bool share)
{
    struct version_row version;
    if (row->key.data[0] == ROW_DEALING && !share)
        return row->value;
    if (row->key.data[0] != ROW_VERSION || version_row_decode(row->value, &version) != OK)
        return (struct bytes){0};
    return share ? version.share : version.dealing;
}

/* The last bytes of a share or a dealing. A dealing that has a row of its own goes with that as a whole. */
static void
strike_version(struct world *world, enum fault fault, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    const struct disk_table *table = &n->disk.durable;
    bool share = fault == FAULT_share_lost;
    size_t count = 0, index = 0;
    for (size_t i = 0; i < table->count; i++)
        count += part_of_row(table->rows[i], share).size > 0;
    if (!may_spoil(world, node) || count == 0)
        return;
    for (uint64_t left = prng_below(&world->fault_prng, count) + 1; left > 0; index++)
        left -= part_of_row(table->rows[index], share).size > 0;
    const struct disk_row *row = table->rows[--index];
    struct bytes part = part_of_row(row, share);
    size_t end = (size_t)(part.data - row->value.data) + part.size;
    bool refused = row->key.data[0] == ROW_DEALING;
    n->rotten = true;
    n->damaged = true;
    disk_rot(&n->disk, index, 8 * (end - 1 - (size_t)prng_below(&world->fault_prng, 16)), refused);
    fault_count(world, fault);
}

static void
strike_clock(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    n->wall_offset_ms += (int64_t)prng_below(&world->fault_prng, 2 * JUMP_MS_MAX + 1) - JUMP_MS_MAX;
    if (n->wall_offset_ms > JUMPED_MS_MAX)
        n->wall_offset_ms = JUMPED_MS_MAX;
    if (n->wall_offset_ms < -JUMPED_MS_MAX)
        n->wall_offset_ms = -JUMPED_MS_MAX;
    fault_count(world, FAULT_clock_jump);
}

static void
strike_hour(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    bool ahead = prng_chance(&world->fault_prng, 500);
    if (!may_spoil(world, node))
        return;
    n->spoilt = true; /* ballots of its future may be left on its disk */
    n->wall_offset_ms = ahead ? HOUR_MS : -HOUR_MS;
    end_later(world, FAULT_clock_hour, node, 0, 20000);
    fault_count(world, FAULT_clock_hour);
}

static void
strike_mismatch(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    bool link_knows = prng_chance(&world->fault_prng, 500);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (world->nodes[i].mismatched)
            return;
    }
    /* Links that let it in show what the actors do about it; what it then accepts from itself blocks that path while it is there. */
    if (!link_knows && !may_spoil(world, node))
        return;
    n->spoilt = n->spoilt || !link_knows;
    n->left_out = n->left_out || !link_knows;
    node_crash(world, node);
    n->mismatched = true;
    n->was_mismatched = true;
    n->damaged =
        n->damaged || !link_knows; /* what it then stores itself is of another k, or not its own */
    n->excused_from = node_damage_counted(n);
    n->link_knows_config = link_knows;
    event_push(world, event_new(world, EVENT_START, node, ms_to_ns(10), 0));
    end_later(world, FAULT_config_mismatch, node, 0, 8000);
    fault_count(world, FAULT_config_mismatch);
}

static void
strike_crash(struct world *world, unsigned node)
{
    if (!node_up(world, node))
        return;
    node_crash(world, node);
    end_later(world, FAULT_crash, node, 0, 8000);
    fault_count(world, FAULT_crash);
}

static void
strike_power(struct world *world)
{
    for (unsigned i = 0; i < world->options.nodes; i++) {
        node_crash(world, i);
        end_later(world, FAULT_crash, i, 0, 4000);
    }
    fault_count(world, FAULT_power_loss);
}

static void
strike_pause(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    uint64_t ns = ms_to_ns(prng_skewed(&world->fault_prng, 10, 8000));
    if (!node_up(world, node) || n->paused_until_ns > world->now_ns)
        return;
    n->paused_until_ns = world->now_ns + ns;
    n->paused_total_ns += ns;
    fault_count(world, FAULT_pause);
}

static void
strike_disk(struct world *world, enum fault fault, unsigned node)
{
    struct disk *disk = &world->nodes[node].disk;
    uint64_t until = world->now_ns + ms_to_ns(prng_skewed(&world->fault_prng, 50, 6000));
    switch ((int)fault) {
    case FAULT_slow_disk:
        disk->slow_until_ns = until;
        disk->slow_factor = (unsigned)prng_between(&world->fault_prng, 2, 100);
        fault_count(world, fault);
        break;
    case FAULT_write_failed: disk->fail_next_write = true; break;
    case FAULT_read_failed: disk->fail_next_read = true; break;
    case FAULT_disk_full:
        disk->full_until_ns = until;
        disk->reserve_gone = prng_below(&world->fault_prng, 2) == 0;
        break;
    default: break;
    }
}

static void
strike_link(struct world *world, enum fault fault, unsigned a, unsigned b)
{
    if (a == b)
        return;
    fault_count(world, fault);
    if (fault == FAULT_cut_one_way) {
        net_cut(world, a, b, true);
    } else if (fault == FAULT_clog) {
        uint64_t ms = prng_skewed(&world->fault_prng, 20, 5000);
        world->clogged_until_ns[a][b] = world->now_ns + ms_to_ns(ms);
        return;
    } else {
        world->refused[a][b] = world->refused[b][a] = true;
        net_link_changed(world, a, b, 20);
    }
    end_later(world, fault, a, b, 10000);
}

static void
strike_parts(struct world *world, enum fault fault, unsigned node)
{
    unsigned part = fault == FAULT_isolate
                        ? 1u << node
                        : (unsigned)prng_below(&world->fault_prng, 1u << world->options.nodes);
    cut_parts(world, part, true);
    plot_split(world, part);
    fault_count(world, fault);
    end_later(world, fault, part, 0, 12000);
}

/* The node comes back a while after it lost its store, or to an older copy that is made now. */
static void
strike_store(struct world *world, enum fault fault, unsigned node)
{
    struct disk *disk = &world->nodes[node].disk;
    if (fault == FAULT_store_lost) {
        if (store_lose(world, node))
            end_later(world, FAULT_crash, node, 0, 4000);
    } else if (!disk->has_snapshot && disk->durable.count > 0) {
        disk_snapshot(disk);
        hash_bytes(buf_bytes(&world->nodes[node].bucket_file), world->nodes[node].copied_keys);
        end_later(world, fault, node, 0, 20000);
    }
}

static void
strike_process(struct world *world, enum fault fault, unsigned node)
{
    switch ((int)fault) {
    case FAULT_crash: strike_crash(world, node); break;
    case FAULT_power_loss: strike_power(world); break;
    case FAULT_pause: strike_pause(world, node); break;
    case FAULT_config_mismatch: strike_mismatch(world, node); break;
    case FAULT_store_lost:
    case FAULT_store_rolled_back: strike_store(world, fault, node); break;
    case FAULT_key_rotation: {
        if (!node_up(world, node))
            break;
        struct event *event = event_new(world, EVENT_KEYS, node, 0, 0);
        event->tag = 1;
        event_push(world, event);
        fault_count(world, fault);
        break;
    }
    case FAULT_entropy_failed:
        if (node_up(world, node)) {
            world->nodes[node].entropy_fails = true;
            fault_count(world, fault);
        }
        break;
    default: break;
    }
}

void
faults_at_frame(struct world *world, unsigned node, enum msg_kind kind)
{
    struct sim_node *n = &world->nodes[node];
    if (world->phase != PHASE_FAULTS || n->dying)
        return;
    bool write = kind == MSG_WRITE;
    if ((kind == MSG_VOTED && fault_strikes_frame(world, FAULT_crash_at_vote)) ||
        (write && fault_strikes_frame(world, FAULT_crash_at_write))) {
        n->effects_left = 0;
        n->dying = true;
    } else if (write && fault_strikes_frame(world, FAULT_cut_at_write)) {
        trace_line(&world->trace, world->now_ns, "fault cut_at_write (%u)", node);
        cut_parts(world, 1u << node, true);
        end_later(world, FAULT_cut_at_write, 1u << node, 0, 10000);
    }
}

bool
faults_late_help(struct world *world, unsigned node, const struct msg *help)
{
    static const struct request erase = {.kind = REQUEST_DELETE};
    struct clients *c = &world->clients;
    unsigned outsider = world->options.clients;
    const struct op *before = c->clients[outsider].op;
    if (world->phase != PHASE_FAULTS || !world->faults.on[FAULT_help_late] ||
        !prng_chance(&world->fault_prng, help->u.helped.record.size > 0 ? 700 : 100))
        return false;
    fault_count(world, FAULT_help_late);
    if ((before && before->outcome == OP_PENDING) || prng_chance(&world->fault_prng, 500))
        return true;
    for (unsigned i = 0; i < c->path_count; i++) {
        if (bytes_equal(bytes_of_text(c->paths[i].name), help->path.name))
            (void)client_begin(world, outsider, node, i, &erase);
    }
    return true;
}

void
faults_strike(struct world *world, enum fault fault)
{
    unsigned a = (unsigned)prng_below(&world->fault_prng, world->options.nodes);
    unsigned b = (unsigned)prng_below(&world->fault_prng, world->options.nodes);
    if (world->phase != PHASE_FAULTS)
        return;
    trace_line(&world->trace, world->now_ns, "fault %s (%u, %u)", fault_name(fault), a, b);
    switch ((int)fault) {
    case FAULT_partition:
    case FAULT_isolate: strike_parts(world, fault, a); break;
    case FAULT_cut_one_way:
    case FAULT_clog:
    case FAULT_peer_refused: strike_link(world, fault, a, b); break;
    case FAULT_slow_disk:
    case FAULT_write_failed:
    case FAULT_read_failed:
    case FAULT_disk_full: strike_disk(world, fault, a); break;
    case FAULT_corrupt_record: strike_corrupt(world, a); break;
    case FAULT_share_lost:
    case FAULT_dealing_lost: strike_version(world, fault, a); break;
    case FAULT_curious_node:
        if (node_up(world, a)) {
            blinding_ask_all(world, a);
            fault_count(world, fault);
        }
        break;
    case FAULT_forger:
        if (forger_strike(world))
            fault_count(world, fault);
        break;
    case FAULT_thief:
        if (thief_strike(world))
            fault_count(world, fault);
        break;
    case FAULT_clock_jump: strike_clock(world, a); break;
    case FAULT_clock_hour: strike_hour(world, a); break;
    default: strike_process(world, fault, a); break;
    }
    next_strike(world, fault);
}

static void
end_mismatch(struct sim_node *n)
{
    n->mismatched = false;
    n->excused += node_damage_counted(n) - n->excused_from;
}

void
faults_end(struct world *world, enum fault fault, unsigned a, unsigned b)
{
    if (world->phase != PHASE_FAULTS)
        return;
    switch ((int)fault) {
    case FAULT_partition:
    case FAULT_cut_at_write:
    case FAULT_isolate: cut_parts(world, a, false); break;
    case FAULT_cut_one_way: net_cut(world, a, b, false); break;
    case FAULT_peer_refused:
        world->refused[a][b] = world->refused[b][a] = false;
        net_link_changed(world, a, b, 20);
        break;
    case FAULT_crash:
        if (!node_up(world, a))
            node_boot(world, a);
        break;
    case FAULT_store_lost:
        cut_parts(world, a, b != 0);
        if (b != 0)
            plot_apart(world, a);
        break;
    case FAULT_store_rolled_back:
        if (store_roll_back(world, a))
            end_later(world, FAULT_crash, a, 0, 2000);
        disk_snapshot_drop(&world->nodes[a].disk);
        break;
    case FAULT_clock_hour: world->nodes[a].wall_offset_ms = 0; break;
    case FAULT_config_mismatch:
        node_crash(world, a);
        end_mismatch(&world->nodes[a]);
        node_boot(world, a);
        break;
    default: break;
    }
}

void
faults_stop(struct world *world)
{
    struct prng *prng = &world->fault_prng;
    for (unsigned a = 0; a < world->options.nodes; a++) {
        struct sim_node *n = &world->nodes[a];
        for (unsigned b = 0; b < world->options.nodes; b++) {
            world->refused[a][b] = false;
            world->clogged_until_ns[a][b] = 0;
            net_cut(world, a, b, false);
        }
        n->disk.full_until_ns = 0;
        n->disk.slow_until_ns = 0;
        n->disk.fail_next_write = false;
        n->disk.fail_next_read = false;
        n->wall_offset_ms = (int64_t)prng_below(prng, 401) - 200;
        n->entropy_fails = false;
        n->paused_until_ns = 0;
        if (n->mismatched) {
            node_crash(world, a);
            end_mismatch(n);
        }
        net_links_changed(world, a, 20);
    }
}
