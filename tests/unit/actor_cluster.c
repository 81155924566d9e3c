
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor_cluster_internal.h"

enum {
    REQUESTS_MAX = 64,
    DEADLINE_MS = 5000,
    SHARES_KEPT = 4, /* fewer than paths in some tests */
    SECRET_SLOTS = 1024 + SHARES_KEPT,
    BUCKETS = 4,
    LINK_NOTICE_MS = 1000,
    START_MS_MAX = 5000,
};
static const uint64_t wall_start_ms = 1800000000000;
static const uint64_t monotonic_start_ns = UINT64_C(3600) * 1000000000;
const char ac_token[] = "a-token-that-only-tests-know";

static bool
is_no_offer(void *context, enum maybe_site site)
{
    (void)context;
    return site == MAYBE_no_offer;
}

const struct maybe ac_votes_only = {NULL, is_no_offer};

/* ---- effects ---- */

struct instant
ac_monotonic(const struct actor_cluster *ac)
{
    return (struct instant){monotonic_start_ns + ac->now_ns};
}

static struct step
step_of(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    return (struct step){.now = {monotonic_start_ns + ac->now_ns},
                         .wall_ms = ac_wall_ms(ac, node),
                         .rng = &n->rng,
                         .metrics = &n->metrics,
                         .arena = &n->arena,
                         .maybe = ac->maybe};
}

/* For a person who looks into a seed: what a frame says, in a line. */
static void
print_frame(const struct actor_cluster *ac, unsigned from, unsigned to, const struct msg *msg)
{
    struct ballot b = {0};
    unsigned what = 0;
    switch ((int)msg->kind) {
    case MSG_HEARTBEAT: return;
    case MSG_COMPARED: what = msg->u.compared.differing[0]; break;
    case MSG_ASK_ENTRIES: what = (unsigned)msg->u.ask_entries.leaf; break;
    case MSG_VOTE: b = msg->u.vote.ballot; break;
    case MSG_VOTED: b = msg->u.voted.ballot, what = msg->u.voted.refusal; break;
    case MSG_WRITE: b = msg->u.write.ballot; break;
    case MSG_WRITTEN: b = msg->u.written.ballot, what = msg->u.written.refusal; break;
    case MSG_CHOSEN: b = msg->u.chosen.ballot, what = (unsigned)msg->u.chosen.written; break;
    case MSG_ERASED: b = msg->u.erased.ballot, what = msg->u.erased.erased; break;
    case MSG_STATE: b = msg->u.state.accepted.ballot, what = msg->u.state.refusal; break;
    case MSG_SHARE: b = msg->u.share.accepted.ballot; break;
    case MSG_SHARED: what = msg->u.shared.outcome; break;
    case MSG_DELIVER: what = (unsigned)msg->u.deliver.owner; break;
    }
    fprintf(stderr, "%9.3f %u>%u %-10s %.*s %lu.%lu/%u %u\n", (double)ac->now_ns / 1e6, from, to,
            msg_kind_name(msg->kind), (int)msg->path.name.size, (const char *)msg->path.name.data,
            (unsigned long)ballot_ms(b), (unsigned long)b.time & 0xffff, b.node, what);
}

/* What a frame says must hold when it is made; it may leave later. */
static void
on_made(void *context, uint8_t to, struct bytes encoded)
{
    struct actor_cluster *ac = context;
    struct msg msg;
    ac_require(msg_decode(encoded, &msg) == OK, "a node made a frame that does not decode");
    msg.from = (uint8_t)ac->current;
    msg.to = to;
    ac_disk_check_promise(ac, ac->current, &msg);
}

static void
on_send(void *context, uint8_t to, struct bytes encoded)
{
    struct actor_cluster *ac = context;
    unsigned from = ac->current;
    struct msg msg;
    ac_require(msg_decode(encoded, &msg) == OK, "a node sent a frame that does not decode");
    msg.from = (uint8_t)from;
    msg.to = to;
    ac_trace(ac, msg.kind, (uint64_t)from << 32 | to);
    if (ac->loud)
        print_frame(ac, from, to, &msg);
    if (ac->filter && ac->filter(ac->filter_context, from, to, &msg) == AC_DROP)
        return;
    if (!ac->connected[from][to] || ac->cut[from][to] || !ac->nodes[to].node)
        return;
    unsigned copies = 1;
    if (ac_dice(ac, 1000) < ac->options.loss_permille)
        copies = 0;
    else if (ac_dice(ac, 1000) < ac->options.duplicate_permille)
        copies = 2;
    for (unsigned i = 0; i < copies; i++) {
        uint64_t delay = ac_between_ns(ac, ac->options.delay_us_min, ac->options.delay_us_max);
        struct ac_event *event = ac_event_new(ac, EVENT_FRAME, to, delay, encoded.size);
        event->from = from;
        ac_event_append(event, 0, encoded);
        ac_event_push(ac, event);
    }
}

/* The network is as slow as that for any. */
static void
on_send_soon(void *context, uint8_t to, struct bytes encoded)
{
    struct actor_cluster *ac = context;
    struct msg msg;
    ac_require(msg_decode(encoded, &msg) == OK && msg.kind == MSG_CHOSEN,
               "a node is in no hurry with what others wait for");
    ac->sent_soon++;
    on_send(context, to, encoded);
}

static void
keep_items(struct ac_request *r, const struct reply *reply)
{
    r->items = ac_need(calloc(reply->item_count + 1, sizeof(*r->items)));
    for (size_t i = 0; i < reply->item_count; i++) {
        struct item_result *item = &r->items[i];
        *item = reply->items[i];
        uint8_t *value = ac_need(malloc(item->value.size + 1));
        if (item->value.size > 0)
            memcpy(value, item->value.data, item->value.size);
        item->value = bytes_of(value, item->value.size);
    }
    r->reply.items = r->items;
}

static void
keep_names(struct ac_request *r, const struct reply *reply)
{
    size_t size = reply->names_next.size, at = 0;
    for (size_t i = 0; i < reply->name_count; i++)
        size += reply->names[i].size;
    r->names = ac_need(malloc((reply->name_count + 1) * sizeof(*r->names) + size));
    uint8_t *memory = (uint8_t *)(r->names + reply->name_count + 1);
    for (size_t i = 0; i <= reply->name_count; i++) {
        struct bytes name = i < reply->name_count ? reply->names[i] : reply->names_next;
        if (name.size > 0)
            memcpy(memory + at, name.data, name.size);
        r->names[i] = bytes_of(memory + at, name.size);
        at += name.size;
    }
    r->reply.names = r->names;
    r->reply.names_next = r->names[reply->name_count];
}

static void
on_reply(struct actor_cluster *ac, const struct effect *effect)
{
    struct ac_request *r = ac->requests;
    while (r && r->exchange != effect->u.reply.exchange)
        r = r->next;
    ac_require(r != NULL, "a reply to nobody");
    ac_require(!r->done, "a second reply");
    r->done = true;
    r->ended_ns = ac->now_ns;
    r->reply = effect->u.reply.reply;
    size_t size = r->reply.value.size;
    r->reply_value = ac_need(malloc(size + 1));
    if (size > 0)
        memcpy(r->reply_value, r->reply.value.data, size);
    r->reply.value = bytes_of(r->reply_value, size);
    ac_require(r->reply.row_count <= AC_VALUE_ROWS_MAX, "a short history");
    if (r->reply.row_count > 0)
        memcpy(r->rows, r->reply.rows, r->reply.row_count * sizeof(r->rows[0]));
    for (size_t i = 0; i < r->reply.row_count; i++)
        r->rows[i].author = (struct bytes){0};
    r->reply.rows = r->rows;
    keep_items(r, &effect->u.reply.reply);
    keep_names(r, &effect->u.reply.reply);
    ac_trace(ac, r->exchange, (uint64_t)r->reply.err << 32 | r->reply.version);
}

static void
on_execute(void *context, const struct effect *effect)
{
    struct actor_cluster *ac = context;
    unsigned node = ac->current;
    struct ac_event *event;
    switch (effect->kind) {
    case EFFECT_STORE:
    case EFFECT_LOAD:
    case EFFECT_SCAN: ac_disk_effect(ac, node, effect); break;
    case EFFECT_TIMER:
        event = ac_event_new(ac, EVENT_TIMER, node, effect->u.after.ns, 0);
        event->actor = effect->actor;
        event->tag = effect->tag;
        ac_event_push(ac, event);
        break;
    case EFFECT_REPLY: on_reply(ac, effect); break;
    case EFFECT_KEYS:
        event = ac_event_new(ac, EVENT_KEYS, node, 1000 * ac->options.disk_us_max, 0);
        event->actor = effect->actor;
        event->tag = effect->tag;
        ac_event_push(ac, event);
        break;
    case EFFECT_SEND:
    case EFFECT_LOCAL: checks_fail("an effect that the node executes itself");
    }
}

/* ---- steps ---- */

static void
step_end(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    ac->steps++;
    arena_reset(&n->arena);
    ac_require(!secret_arena_is_open(n->secrets), "secrets stayed accessible after a step");
    ac_require(ac->may_fail || !node_failed(n->node), "a node failed");
}

/* What comes after the steps of a turn, here after each of them. */
static void
turn_end(struct actor_cluster *ac, unsigned node, const struct step *st,
         const struct node_executor *executor)
{
    struct node *n = ac->nodes[node].node;
    if (!ac->turns.on)
        return;
    node_turn_write(n, st, executor);
    if (ac->turns.frames_left)
        ac->turns.frames_left(ac, node);
    ac->turns.own_writes += node_turn_own_writes(n, st, executor);
    node_turn_write(n, st, executor);
    if (!ac->turns.notices_stay)
        ac->turns.notices += node_turn_notices(n, st, executor);
    node_turn_write(n, st, executor);
    node_turn_end(n);
}

void
ac_deliver(struct actor_cluster *ac, unsigned node, enum actor_id actor, const struct msg *msg)
{
    struct node_executor executor = {ac, on_send, on_execute, on_made, on_send_soon};
    struct step st = step_of(ac, node);
    ac->current = node;
    if (ac->turns.on)
        node_turn_begin(ac->nodes[node].node);
    node_deliver(ac->nodes[node].node, &st, &executor, actor, msg);
    turn_end(ac, node, &st, &executor);
    step_end(ac, node);
}

static enum vault_err
receive(struct actor_cluster *ac, unsigned from, unsigned to, struct bytes frame)
{
    struct node_executor executor = {ac, on_send, on_execute, on_made, on_send_soon};
    struct step st = step_of(ac, to);
    ac->current = to;
    if (ac->turns.on)
        node_turn_begin(ac->nodes[to].node);
    enum vault_err err = node_receive(ac->nodes[to].node, &st, &executor, (uint8_t)from, frame);
    turn_end(ac, to, &st, &executor);
    step_end(ac, to);
    return err;
}

enum vault_err
ac_inject(struct actor_cluster *ac, unsigned from, unsigned to, const struct msg *msg)
{
    struct buf frame = {0};
    enum vault_err err = msg_encode(msg, &frame);
    if (err == OK)
        err = receive(ac, from, to, buf_bytes(&frame));
    buf_close(&frame);
    return err;
}

enum vault_err
ac_inject_frame(struct actor_cluster *ac, unsigned from, unsigned to, const struct buf *frame)
{
    return receive(ac, from, to, buf_bytes(frame));
}

void
ac_keep(const struct msg *msg, struct buf *frame, struct msg *copy)
{
    frame->size = 0;
    ac_require(msg_encode(msg, frame) == OK, "msg_encode");
    ac_require(msg_decode(buf_bytes(frame), copy) == OK, "msg_decode");
    copy->from = msg->from;
    copy->to = msg->to;
}

/* One end learns whether its link is up. */
static void
run_link(struct actor_cluster *ac, const struct ac_event *event)
{
    unsigned a = event->node, b = event->from;
    bool up = ac->nodes[b].node && !ac->cut[a][b] && !ac->cut[b][a];
    if (up == ac->connected[a][b])
        return;
    ac->connected[a][b] = up;
    struct msg msg = {
        .kind = up ? MSG_PEER_UP : MSG_PEER_DOWN, .from = (uint8_t)b, .to = (uint8_t)a};
    msg.u.peer_up.signing = up ? &ac->nodes[b].signing.public_half : NULL;
    ac_deliver(ac, a, ACTOR_REPAIRER, &msg);
}

/* The file of bucket keys outlives the process, which the answer may not find any more. */
static void
run_keys(struct actor_cluster *ac, const struct ac_event *event)
{
    struct ac_node *n = &ac->nodes[event->node];
    struct ac_event *next = ac_event_new(ac, EVENT_KEYS_SAVED, event->node, 0, 0);
    next->actor = event->actor;
    next->tag = event->tag;
    next->err = n->bucket_save_fails ? ERR_DISK_FULL : OK;
    ac_event_push(ac, next);
    if (n->bucket_save_fails)
        return;
    n->bucket_saves++;
    buf_close(&n->bucket_file);
    secret_arena_open(n->secrets);
    ac_require(bucket_keys_encode(&n->buckets, &n->bucket_file) == OK, "bucket keys to save");
    secret_arena_close(n->secrets);
}

static void
run_event(struct actor_cluster *ac, const struct ac_event *event)
{
    struct msg msg = {0};
    switch (event->kind) {
    case EVENT_FRAME:
        if (!ac->cut[event->from][event->node])
            ac_require(receive(ac, event->from, event->node, event->data) == OK,
                       "a frame was refused");
        break;
    case EVENT_TIMER:
        msg.kind = MSG_TIMER;
        msg.u.timer.tag = event->tag;
        ac_deliver(ac, event->node, event->actor, &msg);
        break;
    case EVENT_COMMIT:
    case EVENT_SYNC:
    case EVENT_FAILED:
    case EVENT_LOAD:
    case EVENT_SCAN: ac_disk_event(ac, event); break;
    case EVENT_LINK: run_link(ac, event); break;
    case EVENT_KEYS: run_keys(ac, event); break;
    case EVENT_KEYS_SAVED:
        msg.kind = MSG_STORED;
        msg.u.stored.tag = event->tag;
        msg.u.stored.err = event->err;
        ac_deliver(ac, event->node, event->actor, &msg);
        break;
    }
}

bool
ac_step(struct actor_cluster *ac, uint64_t until_ns)
{
    if (ac->heap_size == 0 || ac->heap[0]->due_ns > until_ns) {
        ac->now_ns = until_ns;
        return false;
    }
    struct ac_event *event = ac_event_pop(ac);
    ac->now_ns = event->due_ns;
    if (ac->nodes[event->node].node && ac->nodes[event->node].life == event->life) {
        ac_trace(ac, (uint64_t)event->kind << 8 | event->node, event->due_ns);
        run_event(ac, event);
    }
    free(event);
    return true;
}

void
ac_run_ms(struct actor_cluster *ac, uint64_t ms)
{
    uint64_t until = ac->now_ns + ms * 1000000;
    while (ac_step(ac, until))
        continue;
}

uint64_t
ac_ms(const struct actor_cluster *ac)
{
    return ac->now_ns / 1000000;
}

uint64_t
ac_wall_ms(const struct actor_cluster *ac, unsigned node)
{
    return (uint64_t)((int64_t)(wall_start_ms + ac_ms(ac)) + ac->nodes[node].skew_ms);
}

/* ---- faults ---- */

static void
link_changed(struct actor_cluster *ac, unsigned a, unsigned b, uint64_t within_ms)
{
    for (unsigned end = 0; end < 2; end++) {
        unsigned node = end ? b : a;
        uint64_t after = within_ms == 0 ? 0 : ac_between_ns(ac, 0, within_ms * 1000);
        struct ac_event *event = ac_event_new(ac, EVENT_LINK, node, after, 0);
        event->from = end ? a : b;
        ac_event_push(ac, event);
    }
}

static void
links_changed(struct actor_cluster *ac, unsigned node, uint64_t within_ms)
{
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        if (i != node)
            link_changed(ac, node, i, within_ms);
    }
}

void
ac_rotate_share_key(struct actor_cluster *ac, unsigned node)
{
    struct step st = step_of(ac, node);
    enum vault_err err = node_share_key_make(ac->nodes[node].node, &st);
    ac_require(err == OK || err == ERR_BUSY, "a new share key");
    if (err == OK)
        node_share_key_announce(ac->nodes[node].node);
}

unsigned
ac_destroy_share_keys(struct actor_cluster *ac, unsigned node)
{
    struct step st = step_of(ac, node);
    (void)node_share_keys_destroy(ac->nodes[node].node, &st);
    node_share_keys_saved(ac->nodes[node].node);
    return node_share_keys_held(ac->nodes[node].node);
}

bool
ac_up(const struct actor_cluster *ac, unsigned node)
{
    return ac->nodes[node].node != NULL;
}

void
ac_crash_losing(struct actor_cluster *ac, unsigned node, bool losing)
{
    struct ac_node *n = &ac->nodes[node];
    ac_disk_crash(ac, node, losing);
    node_free(n->node);
    n->node = NULL;
    n->life++;
    for (unsigned i = 0; i < ac->options.nodes; i++)
        ac->connected[node][i] = false;
    for (struct ac_request *r = ac->requests; r; r = r->next)
        r->lost = r->lost || (r->node == node && !r->done);
    links_changed(ac, node, LINK_NOTICE_MS / 10);
}

void
ac_crash(struct actor_cluster *ac, unsigned node)
{
    ac_crash_losing(ac, node, ac_dice(ac, 2) == 0);
}

static void
load_facts(struct actor_cluster *ac, unsigned node, struct node_options *options)
{
    struct ac_node *n = &ac->nodes[node];
    struct row_key key;
    struct bytes value;
    row_key_meta("node", &key);
    if (ac_get(ac, node, &key, &value)) {
        ac_require(node_row_decode(value, &options->row) == OK, "the node row decodes");
    } else {
        options->row.incarnation = 1;
        ac_require(rng_fill(&n->rng, options->row.store_id, 16) == OK, "seeded generator");
    }
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        char name[16];
        snprintf(name, sizeof(name), "peer/%u", i);
        row_key_meta(name, &key);
        if (!ac_get(ac, node, &key, &value))
            continue;
        ac_require(peer_row_decode(value, &options->peers[i]) == OK, "a peer row decodes");
        row_key_signing(i, &key);
        if (ac_get(ac, node, &key, &value))
            ac_require(signing_row_decode(value, &options->signers[i]) == OK, "signing keys");
    }
}

/* As the file has them: what was made or retired and not saved is as if it had never been. */
static void
load_bucket_keys(struct ac_node *n)
{
    secret_arena_open(n->secrets);
    bucket_keys_close(&n->buckets);
    ac_require(bucket_keys_decode(buf_bytes(&n->bucket_file), n->secrets, &n->buckets) == OK,
               "saved bucket keys");
    secret_arena_close(n->secrets);
}

void
ac_start(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    struct node_executor executor = {ac, on_send, on_execute, on_made, on_send_soon};
    struct step st = step_of(ac, node);
    struct node_options options = {
        .cluster = &ac->cluster,
        .self = (uint8_t)node,
        .secrets = n->secrets,
        .shares_kept = SHARES_KEPT,
        .ring = &n->ring,
        .share_wrap_key = &n->wrap_key,
        .requests_max = ac->options.requests_max,
        .request_deadline = duration_ms(DEADLINE_MS),
        .paths_max = ac->options.paths_max,
        .buckets = &n->buckets,
        .shred_interval = duration_ms(ac->options.shred_interval_ms),
        .scrub_rows_per_s = ac->options.scrub_rows_per_s,
        .audit_names_hashed = ac->options.audit_names_hashed,
        .audit_blocks_kept = ac->options.audit_blocks_kept,
        .sweep_slack_ms = ac->options.sweep_slack_ms,
        .dealings_apart = ac->options.dealings_apart,
        .scrub_pause = duration_ms(1000),
        .signing = &n->signing,
    };
    ac_require(n->node == NULL, "a node is started once");
    load_facts(ac, node, &options);
    load_bucket_keys(n);
    options.finding = n->finding;
    options.incarnation_known = n->incarnation_known;
    n->finding = STORE_INTACT;
    n->incarnation_known = 0;
    n->life++;
    ac_require(node_new(&options, &st, &n->node) == OK, "node_new");
    ac->current = node;
    node_set_sequence(n->node, n->sequence);
    node_start(n->node, &st, &executor);
    step_end(ac, node);
    links_changed(ac, node, 2);
}

void
ac_cut(struct actor_cluster *ac, unsigned from, unsigned to, bool cut)
{
    if (ac->cut[from][to] == cut)
        return;
    ac->cut[from][to] = cut;
    link_changed(ac, from, to, cut ? LINK_NOTICE_MS : 2);
}

void
ac_isolate(struct actor_cluster *ac, unsigned node, bool cut)
{
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        if (i == node)
            continue;
        ac_cut(ac, node, i, cut);
        ac_cut(ac, i, node, cut);
    }
}

void
ac_heal(struct actor_cluster *ac)
{
    ac->filter = NULL;
    ac->options.loss_permille = 0;
    ac->options.duplicate_permille = 0;
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        ac->nodes[i].disk_full = false;
        ac->nodes[i].disk_gone = false;
        ac->nodes[i].reads_fail = false;
        ac->nodes[i].slow_disk = false;
        ac_isolate(ac, i, false);
        if (!ac_up(ac, i))
            ac_start(ac, i);
    }
}

/* ---- making ---- */

static enum vault_err
make_signing_key(struct actor_cluster *ac, unsigned node)
{
    uint8_t seed[SIGNING_SEED_BYTES] = {(uint8_t)(node + 1), (uint8_t)ac->options.seed};
    return signing_key_init(&ac->nodes[node].signing, ac->nodes[node].secrets, seed);
}

static void
node_init(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    uint8_t key[KEY_BYTES];
    struct rng_seeded bucket_state;
    struct rng bucket_rng;
    rng_seeded_init(&n->rng_state, ac->options.seed * 16 + node + 1, &n->rng);
    rng_seeded_init(&bucket_state, ac->options.seed * 16 + node + 1, &bucket_rng);
    arena_init(&n->arena, STEP_ARENA_BYTES);
    n->skew_ms =
        (int64_t)ac_dice(ac, 2 * ac->options.skew_ms_max + 1) - (int64_t)ac->options.skew_ms_max;
    ac_require(store_mem_new(&n->store) == OK &&
                   n->store->ops->reader_new(n->store, &n->reader) == OK &&
                   secret_arena_new(SECRET_SLOTS, &n->secrets) == OK &&
                   rng_fill(&n->rng, key, KEY_BYTES) == OK,
               "a node's store and keys");
    share_keyring_init(&n->ring, n->secrets);
    secret_arena_open(n->secrets);
    ac_require(share_keyring_generate(&n->ring, &n->rng) == OK &&
                   secret_copy(n->secrets, bytes_of(key, KEY_BYTES), &n->wrap_key) == OK &&
                   bucket_keys_init(&n->buckets, n->secrets, ac->options.buckets, 1, &bucket_rng) ==
                       OK &&
                   bucket_keys_encode(&n->buckets, &n->bucket_file) == OK &&
                   make_signing_key(ac, node) == OK,
               "a node's keys");
    ac->cluster.nodes[node].first_share_key = *share_keyring_current(&n->ring);
    ac_require(vote_key_public(bytes_of(key, KEY_BYTES), ac->cluster.id,
                               ac->cluster.nodes[node].vote_key) == OK,
               "a node's key to vouch with");
    secret_arena_close(n->secrets);
    snprintf(ac->cluster.nodes[node].name, NODE_NAME_BYTES_MAX, "node-%u", node);
}

static void
defaults(struct ac_options *options)
{
    if (options->delay_us_max == 0) {
        options->delay_us_min = 100;
        options->delay_us_max = 300;
    }
    if (options->disk_us_max == 0) {
        options->disk_us_min = 50;
        options->disk_us_max = 200;
    }
    if (options->buckets == 0)
        options->buckets = BUCKETS;
    if (options->requests_max == 0)
        options->requests_max = REQUESTS_MAX;
}

struct actor_cluster *
ac_new(const struct ac_options *options)
{
    char why[200] = "";
    ac_require(crypto_init() == OK, "crypto_init");
    struct actor_cluster *ac = ac_need(calloc(1, sizeof(*ac)));
    ac->options = *options;
    defaults(&ac->options);
    ac->loud = getenv("OSTRAKA_LOUD") != NULL;
    rng_seeded_init(&ac->dice_state, options->seed, &ac->dice);
    ac->cluster.node_count = options->nodes;
    ac->cluster.share_count = options->shares ? options->shares : options->nodes;
    ac->cluster.threshold =
        options->threshold ? options->threshold : ac->cluster.share_count / 2 + 1;
    memcpy(ac->cluster.id, "test-cluster-id!", CLUSTER_ID_BYTES);
    hash_bytes(bytes_of_text(ac_token), ac->cluster.admin_token_hash);
    for (unsigned i = 0; i < options->nodes; i++)
        node_init(ac, i);
    ac_require(cluster_validate(&ac->cluster, why, sizeof(why)) == OK, why);
    cluster_config_hash(&ac->cluster, ac->cluster.config_hash);
    checks_init(&ac->checks, options->nodes, ac->cluster.share_count);
    for (unsigned i = 0; i < options->nodes; i++)
        ac_start(ac, i);
    for (unsigned i = 0; i < options->nodes; i++) {
        while (!node_serving(ac->nodes[i].node)) {
            ac_require(ac_ms(ac) < START_MS_MAX, "nodes that start, serve");
            (void)ac_step(ac, ac->now_ns + 1000000);
        }
    }
    return ac;
}

struct actor_cluster *
ac_cluster_of(unsigned nodes, uint64_t seed)
{
    return ac_cluster_placed(nodes, nodes, seed);
}

struct actor_cluster *
ac_cluster_placed(unsigned nodes, unsigned shares, uint64_t seed)
{
    const struct ac_options options = {.nodes = nodes, .shares = shares, .seed = seed};
    return ac_new(&options);
}

static void
request_free(struct ac_request *r)
{
    free(r->value);
    for (size_t i = 0; i < r->reply.item_count; i++)
        free((void *)(uintptr_t)r->items[i].value.data);
    free(r->items);
    free(r->names);
    free(r->reply_value);
    free(r);
}

void
ac_end(struct actor_cluster *ac)
{
    checks_at_end(&ac->checks);
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        struct ac_node *n = &ac->nodes[i];
        node_free(n->node);
        ac_disk_close(ac, i);
        n->store->ops->reader_free(n->reader);
        n->store->ops->close(n->store);
        if (n->snapshot)
            n->snapshot->ops->close(n->snapshot);
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
    while (ac->heap_size > 0)
        free(ac_event_pop(ac));
    free(ac->heap);
    while (ac->requests) {
        struct ac_request *next = ac->requests->next;
        request_free(ac->requests);
        ac->requests = next;
    }
    checks_close(&ac->checks);
    free(ac);
}
