/* The nodes: the same actors as in the server, their clocks, starts, steps and ends. */
#include <stdio.h>
#include <string.h>

#include "crypto/vote_keys.h"
#include "sim/check_choice.h"
#include "sim/memory.h"
#include "sim/world.h"

enum {
    SHARES_KEPT = 4,         /* fewer than paths, so that they make room for each other */
    SHARES_KEPT_COSTS = 256, /* where costs are counted: for all of them */
    SECRET_SLOTS = 1024 + 16 + SHARES_KEPT_COSTS,
    STEP_ARENA_BYTES = 96 * 1024 * 1024,
    KEYS_LOOK_MS = 2000,
    RESTART_MS_MAX = 5000,
};
const uint64_t sim_wall_start_ms = 1800000000000;
static const uint64_t monotonic_start_ns = UINT64_C(3600) * 1000000000;

/* ---- clocks ---- */

static int64_t
drifted(int64_t value, int64_t ppm)
{
    return value + value / 1000000 * ppm + value % 1000000 * ppm / 1000000;
}

struct instant
node_now(const struct world *world, unsigned node)
{
    const struct sim_node *n = &world->nodes[node];
    return (struct instant){monotonic_start_ns +
                            (uint64_t)drifted((int64_t)world->now_ns, n->drift_ppm)};
}

uint64_t
node_wall_ms(const struct world *world, unsigned node)
{
    const struct sim_node *n = &world->nodes[node];
    int64_t since_ms = drifted((int64_t)world->now_ns, n->drift_ppm) / 1000000;
    return (uint64_t)((int64_t)sim_wall_start_ms + since_ms + n->wall_offset_ms);
}

/* ---- what a node is given ---- */

static enum vault_err
fill_random(void *context, uint8_t *out, size_t size)
{
    struct sim_node *n = context;
    if (n->entropy_fails) {
        memset(out, 0, size);
        n->entropy_failed = true;
        return ERR_ENTROPY;
    }
    prng_fill(&n->prng, out, size);
    return OK;
}

static uint64_t
log_wall_ms(void *context)
{
    struct sim_node *n = context;
    return node_wall_ms(n->world, (unsigned)(n - n->world->nodes));
}

static void
log_write(void *context, enum log_level level, struct bytes line)
{
    struct sim_node *n = context;
    size_t skip = 24 < line.size ? 24 : 0; /* the time: the trace has its own */
    (void)level;
    check_secrets_bytes(n->world, line, "a log line");
    trace_line(&n->world->trace, n->world->now_ns, "log %.*s", (int)(line.size - skip) - 1,
               (const char *)line.data + skip);
}

static struct step
step_of(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    return (struct step){.now = node_now(world, node),
                         .wall_ms = node_wall_ms(world, node),
                         .rng = &n->rng,
                         .log = &n->log,
                         .metrics = &n->metrics,
                         .arena = &n->arena,
                         .maybe = &world->maybe};
}

/* ---- the file of bucket keys: it outlives the process ---- */

static void
save_buckets(struct sim_node *n)
{
    buf_close(&n->bucket_file);
    secret_arena_open(n->secrets);
    if (bucket_keys_encode(&n->buckets, &n->bucket_file) != OK)
        sim_fail(n->world, SIM_CRASH, "keys", "bucket keys are not encoded");
    secret_arena_close(n->secrets);
}

static void
load_buckets(struct sim_node *n)
{
    secret_arena_open(n->secrets);
    bucket_keys_close(&n->buckets);
    if (bucket_keys_decode(buf_bytes(&n->bucket_file), n->secrets, &n->buckets) != OK)
        sim_fail(n->world, SIM_CRASH, "keys", "saved bucket keys are not taken back");
    secret_arena_close(n->secrets);
}

/* Like the disk, in two steps: the file is replaced, and the node hears of it. It may end before either. */
static void
write_buckets(struct world *world, unsigned node, const struct effect *effect)
{
    uint64_t us =
        prng_between(&world->disk_prng, world->options.disk_us_min, world->options.disk_us_max);
    struct event *event = event_new(world, EVENT_BUCKETS, node, 3000 * us, 0);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event_push(world, event);
}

static void
on_buckets(struct world *world, const struct event *event)
{
    struct sim_node *n = &world->nodes[event->node];
    struct event *told =
        event_new(world, EVENT_STORED, event->node, 1000 * prng_below(&world->disk_prng, 2000), 0);
    told->actor = event->actor;
    told->tag = event->tag;
    if (n->disk.full_until_ns > world->now_ns)
        told->err = ERR_DISK_FULL;
    else
        save_buckets(n);
    check_shred_file(&world->shred, event->node);
    event_push(world, told);
}

/* ---- effects ---- */

/* False: the process has ended before this effect. */
static bool
effect_happens(struct sim_node *n)
{
    if (n->effects_left == UINT32_MAX)
        return true;
    if (n->effects_left == 0)
        return false;
    n->effects_left--;
    return true;
}

static void
on_send(void *context, uint8_t to, struct bytes encoded)
{
    struct world *world = context;
    if (effect_happens(&world->nodes[world->current]))
        net_send(world, world->current, to, encoded);
}

/* What a frame says must hold when it is made; it may leave later. A forger's are none of these. */
static void
on_made(void *context, uint8_t to, struct bytes encoded)
{
    struct world *world = context;
    unsigned node = world->current;
    struct msg msg;
    if (msg_decode(encoded, &msg) != OK || world->nodes[node].dying)
        return;
    msg.from = (uint8_t)node;
    msg.to = to;
    check_store(world, node, &msg);
    if (!world->window)
        check_durable(world, node, &msg);
    check_choice_frame(&world->chain, node, &msg);
}

static void
arm_timer(struct world *world, unsigned node, const struct effect *effect)
{
    /* A clock that runs fast reaches the end earlier; a little late is fine, too early would not be. */
    int64_t after = drifted((int64_t)effect->u.after.ns, -world->nodes[node].drift_ppm);
    uint64_t late = (uint64_t)after / 100000;
    struct event *event = event_new(world, EVENT_TIMER, node, (uint64_t)after + late, 0);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event_push(world, event);
}

static void
on_execute(void *context, const struct effect *effect)
{
    struct world *world = context;
    unsigned node = world->current;
    if (!effect_happens(&world->nodes[node]))
        return;
    switch (effect->kind) {
    case EFFECT_STORE: storage_store(world, node, effect); break;
    case EFFECT_LOAD: storage_load(world, node, effect); break;
    case EFFECT_SCAN: storage_scan(world, node, effect); break;
    case EFFECT_TIMER: arm_timer(world, node, effect); break;
    case EFFECT_KEYS: write_buckets(world, node, effect); break;
    case EFFECT_REPLY:
        if (tokens_own(effect->u.reply.exchange))
            tokens_reply(world, node, effect->u.reply.exchange, &effect->u.reply.reply);
        else if (bearers_own(effect->u.reply.exchange))
            bearers_reply(world, node, effect->u.reply.exchange, &effect->u.reply.reply);
        else if (lives_own(effect->u.reply.exchange))
            lives_reply(world, node, effect->u.reply.exchange, &effect->u.reply.reply);
        else
            client_reply(world, node, effect->u.reply.exchange, &effect->u.reply.reply);
        break;
    case EFFECT_SEND:
    case EFFECT_LOCAL: sim_fail(world, SIM_CRASH, "effects", "the node executes these itself");
    }
}

/* ---- steps ---- */

static void
step_begin(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    world->current = node;
    world->stepping = true;
    n->entropy_failed = false;
    n->effects_left = UINT32_MAX;
    if (world->phase == PHASE_FAULTS && fault_strikes_frame(world, FAULT_crash_in_step)) {
        n->effects_left = (uint32_t)prng_below(&world->fault_prng, 5);
        n->dying = true;
    }
}

static void
restart_later(struct world *world, unsigned node)
{
    bool soon = world->nodes[node].restart_soon;
    uint64_t after = ms_to_ns(prng_skewed(&world->fault_prng, 1, soon ? 20 : RESTART_MS_MAX));
    world->nodes[node].restart_soon = false;
    event_push(world, event_new(world, EVENT_START, node, after, 0));
}

static void
step_end(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    world->stepping = false;
    store_look(world, node);
    arena_reset(&n->arena);
    if (secret_arena_is_open(n->secrets))
        sim_fail(world, SIM_SAFETY, "secrets", "secrets of node %u stayed accessible", node);
    if (n->entropy_failed && !node_failed(n->node) && !n->dying && !sim_tolerates(world, "entropy"))
        sim_fail(world, SIM_SAFETY, "entropy", "node %u goes on without randomness", node);
    if (n->dying || n->entropy_failed || node_failed(n->node)) {
        trace_line(&world->trace, world->now_ns, "node %u ends within a step", node);
        node_crash(world, node);
        n->entropy_fails = false;
        if (n->lose_store)
            (void)store_lose(world, node);
        n->lose_store = false;
        restart_later(world, node);
    }
}

void
node_hand(struct world *world, unsigned node, enum actor_id actor, const struct msg *msg)
{
    struct node_executor executor = {world, on_send, on_execute, on_made, NULL};
    struct step st = step_of(world, node);
    step_begin(world, node);
    node_deliver(world->nodes[node].node, &st, &executor, actor, msg);
    step_end(world, node);
}

static void
receive(struct world *world, const struct event *event)
{
    struct node_executor executor = {world, on_send, on_execute, on_made, NULL};
    unsigned node = event->node;
    struct step st = step_of(world, node);
    bool passes = event->tag != 0; /* plot.c: it has been faster than the cut */
    if (world->cut[event->from][node] && !passes)
        return;
    thief_sees_frame(world, node, event->from, event->data);
    step_begin(world, node);
    enum vault_err err =
        node_receive(world->nodes[node].node, &st, &executor, (uint8_t)event->from, event->data);
    if (err != OK && !world->nodes[node].entropy_failed)
        sim_fail(world, SIM_SAFETY, "refused-frame", "node %u refused a frame of node %u: %s", node,
                 event->from, vault_err_name(err));
    step_end(world, node);
}

void
node_run_event(struct world *world, const struct event *event)
{
    struct msg msg = {.kind = MSG_TIMER, .u.timer.tag = event->tag};
    switch ((int)event->kind) {
    case EVENT_FRAME: receive(world, event); break;
    case EVENT_TIMER: node_hand(world, event->node, event->actor, &msg); break;
    case EVENT_LINK: net_link_event(world, event); break;
    case EVENT_REQUEST:
        if (tokens_own(event->tag))
            tokens_deliver(world, event->tag);
        else if (bearers_own(event->tag))
            bearers_deliver(world, event->tag);
        else if (lives_own(event->tag))
            lives_deliver(world, event->tag);
        else
            client_deliver(world, event->tag);
        break;
    case EVENT_BUCKETS: on_buckets(world, event); break;
    case EVENT_KEYS: node_look_after_keys(world, event->node, event->tag != 0); break;
    default: storage_event(world, event); break;
    }
}

/* ---- share keys: the file of them outlives the process ---- */

static void
save_keys(struct sim_node *n)
{
    unsigned count = 0;
    memset(n->saved_keys, 0, sizeof(n->saved_keys));
    secret_arena_open(n->secrets);
    for (unsigned i = SHARE_KEYS_MAX; i-- > 0;) {
        if (n->ring.keys[i].public_half.id == 0)
            continue;
        n->saved_keys[count].id = n->ring.keys[i].public_half.id;
        memcpy(n->saved_keys[count++].private_half, n->ring.keys[i].private_half.data,
               X25519_BYTES);
    }
    secret_arena_close(n->secrets);
}

static void
load_keys(struct world *world, struct sim_node *n)
{
    secret_arena_open(n->secrets);
    share_keyring_close(&n->ring);
    share_keyring_init(&n->ring, n->secrets);
    for (unsigned i = 0; i < SHARE_KEYS_MAX && n->saved_keys[i].id != 0; i++) {
        if (share_keyring_add(&n->ring, n->saved_keys[i].id, n->saved_keys[i].private_half) != OK)
            sim_fail(world, SIM_CRASH, "keys", "a saved share key is not taken back");
    }
    secret_arena_close(n->secrets);
}

bool
node_has_share_key(const struct world *world, unsigned node, uint64_t id)
{
    const struct sim_node *n = &world->nodes[node];
    for (unsigned i = 0; i < SHARE_KEYS_MAX; i++) {
        if (n->saved_keys[i].id == id || (n->node && n->ring.keys[i].public_half.id == id))
            return true;
    }
    return false;
}

static void
check_destroyed(struct world *world, unsigned node, const uint64_t before[static SHARE_KEYS_MAX])
{
    const struct share_keyring *ring = &world->nodes[node].ring;
    for (unsigned i = 0; i < SHARE_KEYS_MAX; i++) {
        bool held = before[i] == 0;
        for (unsigned k = 0; k < SHARE_KEYS_MAX; k++)
            held = held || ring->keys[k].public_half.id == before[i];
        if (!held)
            check_boxes_destroyed(world, node, before[i]);
    }
}

/* As the reactor does it; the process may end between making a key and saving it, and before saving what was destroyed. */
void
node_look_after_keys(struct world *world, unsigned node, bool rotate)
{
    struct sim_node *n = &world->nodes[node];
    struct step st = step_of(world, node);
    n->entropy_failed = false;
    bool ends = world->phase == PHASE_FAULTS && world->faults.on[FAULT_crash] &&
                prng_chance(&world->fault_prng, 20);
    if (rotate) {
        enum vault_err err = node_share_key_make(n->node, &st);
        if (err == OK && !ends) {
            save_keys(n);
            node_share_keys_saved(n->node);
            node_share_key_announce(n->node);
            trace_line(&world->trace, world->now_ns, "node %u rotated its share key, %u held", node,
                       node_share_keys_held(n->node));
        }
    } else {
        uint64_t before[SHARE_KEYS_MAX];
        for (unsigned i = 0; i < SHARE_KEYS_MAX; i++)
            before[i] = n->ring.keys[i].public_half.id;
        unsigned destroyed = node_share_keys_destroy(n->node, &st);
        check_destroyed(world, node, before);
        if (destroyed > 0 && !ends) {
            save_keys(n);
            node_share_keys_saved(n->node);
        }
        if (destroyed > 0)
            trace_line(&world->trace, world->now_ns, "node %u destroyed %u share keys", node,
                       destroyed);
        event_push(world, event_new(world, EVENT_KEYS, node, ms_to_ns(KEYS_LOOK_MS), 0));
    }
    n->dying = ends;
    step_end(world, node);
}

/* ---- starting and ending ---- */

bool
node_up(const struct world *world, unsigned node)
{
    return world->nodes[node].node != NULL;
}

void
node_crash(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    if (!n->node)
        return;
    trace_line(&world->trace, world->now_ns, "node %u down", node);
    door_close(&n->door);
    node_free(n->node);
    n->node = NULL;
    n->life++;
    n->dying = false;
    n->paused_until_ns = 0;
    storage_crash(world, node);
    for (unsigned i = 0; i < world->options.nodes; i++)
        world->connected[node][i] = false;
    clients_node_crashed(world, node);
    tokens_node_crashed(world, node);
    bearers_node_crashed(world, node);
    lives_node_crashed(world, node);
    net_links_changed(world, node, 100);
}

static void
load_facts(struct world *world, unsigned node, struct node_options *options)
{
    struct sim_node *n = &world->nodes[node];
    struct row_key key;
    row_key_meta("node", &key);
    const struct disk_row *row = disk_find(&n->disk.durable, row_key_bytes(&key));
    if (row) {
        if (node_row_decode(row->value, &options->row) != OK)
            sim_fail(world, SIM_SAFETY, "facts", "the node row does not decode");
    } else {
        options->row.incarnation = 1;
        prng_fill(&n->prng, options->row.store_id, sizeof(options->row.store_id));
    }
    for (unsigned i = 0; i < world->options.nodes; i++) {
        char name[16];
        snprintf(name, sizeof(name), "peer/%u", i);
        row_key_meta(name, &key);
        row = disk_find(&n->disk.durable, row_key_bytes(&key));
        if (row && peer_row_decode(row->value, &options->peers[i]) != OK)
            sim_fail(world, SIM_SAFETY, "facts", "a peer row does not decode");
        row_key_signing(i, &key);
        row = disk_find(&n->disk.durable, row_key_bytes(&key));
        if (row && signing_row_decode(row->value, &options->signers[i]) != OK)
            sim_fail(world, SIM_SAFETY, "facts", "a row of signing keys does not decode");
    }
}

void
node_boot(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    struct node_executor executor = {world, on_send, on_execute, on_made, NULL};
    struct step st = step_of(world, node);
    /* Some lives are those of an older release, whose rows are read for ever. */
    bool apart = world->options.cost_nodes == 0 && (world->options.seed + node + n->life) % 3 == 0;
    struct node_options options = {
        .cluster = n->mismatched ? &world->other_cluster : &world->cluster,
        .self = (uint8_t)node,
        .secrets = n->secrets,
        .shares_kept = world->options.cost_nodes > 0 ? SHARES_KEPT_COSTS : SHARES_KEPT,
        .ring = &n->ring,
        .share_wrap_key = &n->wrap_key,
        .requests_max = world->options.requests_max,
        .request_deadline = duration_ms(REQUEST_DEADLINE_MS),
        .paths_max = world->options.paths_max,
        .dealings_apart = apart,
        .buckets = &n->buckets,
        .shred_interval = duration_ms(world->options.shred_ms),
        .scrub_rows_per_s = world->options.cost_nodes > 0 ? 0 : 200,
        .sweep_slack_ms = world->options.sweep_slack_ms,
        .scrub_pause = duration_ms(2000),
        .signing = &n->signing,
    };
    load_facts(world, node, &options);
    store_finding(world, node, &options);
    load_keys(world, n);
    load_buckets(n);
    n->life++;
    n->entropy_fails = false;
    n->entropy_failed = false;
    n->dying = false;
    if (node_new(&options, &st, &n->node) != OK)
        sim_fail(world, SIM_CRASH, "start", "node %u does not start", node);
    trace_line(&world->trace, world->now_ns, "node %u up%s", node,
               n->mismatched ? " with another configuration" : "");
    world->current = node;
    n->effects_left = UINT32_MAX;
    sim_door_open(world, node);
    node_set_sequence(n->node, n->disk.sequence);
    node_start(n->node, &st, &executor);
    step_end(world, node);
    event_push(world, event_new(world, EVENT_KEYS, node, ms_to_ns(KEYS_LOOK_MS), 0));
    net_links_changed(world, node, 20);
}

/* Of the seed alone: nothing is drawn for it. */
static enum vault_err
make_signing_key(struct world *world, unsigned node)
{
    const uint64_t from[] = {world->options.seed, node};
    uint8_t seed[SIGNING_SEED_BYTES];
    enum vault_err err = signing_seed_derive(bytes_of(from, sizeof(from)), world->cluster.id,
                                             (struct bytes){0}, seed);
    return err == OK
               ? signing_key_init(&world->nodes[node].signing, world->nodes[node].secrets, seed)
               : err;
}

void
node_init_sim(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    uint8_t key[KEY_BYTES];
    n->world = world;
    n->prng = prng_fork(&world->prng);
    n->rng = (struct rng){n, fill_random};
    snprintf(n->name, sizeof(n->name), "node-%u", node);
    n->log = (struct log_sink){.context = n,
                               .write = log_write,
                               .wall_ms = log_wall_ms,
                               .node = n->name,
                               .level_min = world->options.verbose ? LOG_DEBUG : LOG_INFO};
    arena_init(&n->arena, STEP_ARENA_BYTES);
    disk_init(&n->disk);
    prng_fill(&n->prng, key, sizeof(key));
    if (secret_arena_new(SECRET_SLOTS, &n->secrets) != OK)
        sim_fail(world, SIM_CRASH, "setup", "no locked memory");
    share_keyring_init(&n->ring, n->secrets);
    secret_arena_open(n->secrets);
    if (share_keyring_generate(&n->ring, &n->rng) != OK ||
        secret_copy(n->secrets, bytes_of(key, sizeof(key)), &n->wrap_key) != OK ||
        bucket_keys_init(&n->buckets, n->secrets, world->options.buckets, 1, &n->rng) != OK ||
        vote_key_public(bytes_of(key, sizeof(key)), world->cluster.id,
                        world->cluster.nodes[node].vote_key) != OK ||
        make_signing_key(world, node) != OK)
        sim_fail(world, SIM_CRASH, "setup", "no keys");
    secret_arena_close(n->secrets);
    world->cluster.nodes[node].first_share_key = *share_keyring_current(&n->ring);
    snprintf(world->cluster.nodes[node].name, NODE_NAME_BYTES_MAX, "node-%u", node);
    save_keys(n);
    save_buckets(n);
}

void
node_close_sim(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    door_close(&n->door);
    node_free(n->node);
    disk_close(&n->disk);
    secret_arena_open(n->secrets);
    share_keyring_close(&n->ring);
    secret_free(n->secrets, &n->wrap_key);
    signing_key_close(&n->signing, n->secrets);
    bucket_keys_close(&n->buckets);
    buf_close(&n->bucket_file);
    secret_arena_close(n->secrets);
    secret_arena_free(n->secrets);
    arena_close(&n->arena);
}
