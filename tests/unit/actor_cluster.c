#include "actor_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REQUESTS_MAX = 64,
    DEADLINE_MS = 5000,
    SECRET_SLOTS = 1024,
    STEP_ARENA_BYTES = 96 * 1024 * 1024,
    LINK_NOTICE_MS = 1000,
    START_MS_MAX = 5000,
};
static const uint64_t wall_start_ms = 1800000000000;
static const uint64_t monotonic_start_ns = UINT64_C(3600) * 1000000000;
const char ac_token[] = "a-token-that-only-tests-know";

enum event_kind {
    EVENT_FRAME,
    EVENT_TIMER,
    EVENT_SYNC,
    EVENT_LOAD,
    EVENT_SCAN,
    EVENT_FAILED,
    EVENT_LINK
};

struct ac_event {
    uint64_t due_ns, order;
    enum event_kind kind;
    unsigned node;
    uint64_t life;
    enum actor_id actor;
    uint64_t tag;
    unsigned from;      /* FRAME, LINK */
    enum vault_err err; /* FAILED */
    size_t limit;       /* SCAN */
    bool with_values;
    size_t sizes[LOAD_KEYS_MAX];
    size_t count;      /* LOAD: keys */
    struct bytes data; /* frame; keys; prefix and what to scan after */
};

/* A committed batch on its way to the disk: the path row in it, if any. */
struct ac_pending {
    struct ac_pending *next;
    struct row_key key;
    struct buf value;
    bool has_row;
};

static void
require(bool condition, const char *what)
{
    if (!condition)
        checks_fail("%s", what);
}

static void *
need(void *memory)
{
    require(memory != NULL, "out of memory");
    return memory;
}

/* ---- dice ---- */

uint64_t
ac_dice(struct actor_cluster *ac, uint64_t bound)
{
    uint64_t value = 0;
    require(rng_below(&ac->dice, bound, &value) == OK, "seeded generator");
    return value;
}

static uint64_t
between_ns(struct actor_cluster *ac, uint64_t min_us, uint64_t max_us)
{
    return (min_us + ac_dice(ac, max_us - min_us + 1)) * 1000;
}

static uint64_t
disk_ns(struct actor_cluster *ac, unsigned node)
{
    uint64_t ns = between_ns(ac, ac->options.disk_us_min, ac->options.disk_us_max);
    return ac->nodes[node].slow_disk ? 100 * ns : ns;
}

static void
trace(struct actor_cluster *ac, uint64_t a, uint64_t b)
{
    ac->trace = (ac->trace ^ a) * UINT64_C(0x9e3779b97f4a7c15);
    ac->trace = ((ac->trace ^ b) << 7 | (ac->trace ^ b) >> 57) * UINT64_C(0x100000001b3);
}

/* ---- heap of events, by time and then by order of arming ---- */

static bool
earlier(const struct ac_event *a, const struct ac_event *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void
heap_push(struct actor_cluster *ac, struct ac_event *event)
{
    if (ac->heap_size == ac->heap_capacity) {
        ac->heap_capacity = ac->heap_capacity * 2 + 64;
        ac->heap = need(realloc(ac->heap, ac->heap_capacity * sizeof(struct ac_event *)));
    }
    size_t i = ac->heap_size++;
    for (; i > 0 && earlier(event, ac->heap[(i - 1) / 2]); i = (i - 1) / 2)
        ac->heap[i] = ac->heap[(i - 1) / 2];
    ac->heap[i] = event;
}

static struct ac_event *
heap_pop(struct actor_cluster *ac)
{
    struct ac_event *top = ac->heap[0];
    struct ac_event *last = ac->heap[--ac->heap_size];
    size_t i = 0;
    for (size_t child = 1; child < ac->heap_size; child = 2 * i + 1) {
        if (child + 1 < ac->heap_size && earlier(ac->heap[child + 1], ac->heap[child]))
            child++;
        if (!earlier(ac->heap[child], last))
            break;
        ac->heap[i] = ac->heap[child];
        i = child;
    }
    ac->heap[i] = last;
    return top;
}

static struct ac_event *
event_new(struct actor_cluster *ac, enum event_kind kind, unsigned node, uint64_t after_ns,
          size_t extra)
{
    struct ac_event *event = need(calloc(1, sizeof(*event) + extra));
    event->due_ns = ac->now_ns + after_ns;
    event->order = ac->order++;
    event->kind = kind;
    event->node = node;
    event->life = ac->nodes[node].life;
    event->data = bytes_of((uint8_t *)(event + 1), extra);
    return event;
}

static void
append(struct ac_event *event, size_t at, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy((uint8_t *)(event + 1) + at, bytes.data, bytes.size);
}

/* ---- effects ---- */

static struct step
step_of(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    return (struct step){.now = {monotonic_start_ns + ac->now_ns},
                         .wall_ms = ac_wall_ms(ac, node),
                         .rng = &n->rng,
                         .metrics = &n->metrics,
                         .arena = &n->arena};
}

/* For a person who looks into a seed: what a frame says, in a line. */
static void
print_frame(const struct actor_cluster *ac, unsigned from, unsigned to, const struct msg *msg)
{
    struct ballot b = {0};
    unsigned what = 0;
    switch ((int)msg->kind) {
    case MSG_HEARTBEAT: return;
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

/* An answer that promises something leaves only when nothing of its path is still on its way to the disk. */
static void
check_durable(struct actor_cluster *ac, unsigned node, const struct msg *msg)
{
    struct row_key key;
    bool promises = (msg->kind == MSG_VOTED && msg->u.voted.refusal == REFUSED_NONE) ||
                    (msg->kind == MSG_WRITTEN && msg->u.written.refusal == REFUSED_NONE) ||
                    (msg->kind == MSG_ERASED && msg->u.erased.erased);
    if (!promises)
        return;
    row_key_path(msg->path, &key);
    for (struct ac_pending *p = ac->nodes[node].pending; p; p = p->next) {
        if (p->has_row && bytes_equal(row_key_bytes(&p->key), row_key_bytes(&key)))
            checks_fail("node %u sent %s before the head was durable", node,
                        msg_kind_name(msg->kind));
    }
}

static void
on_send(void *context, uint8_t to, struct bytes encoded)
{
    struct actor_cluster *ac = context;
    unsigned from = ac->current;
    struct msg msg;
    require(msg_decode(encoded, &msg) == OK, "a node sent a frame that does not decode");
    msg.from = (uint8_t)from;
    msg.to = to;
    check_durable(ac, from, &msg);
    trace(ac, msg.kind, (uint64_t)from << 32 | to);
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
        uint64_t delay = between_ns(ac, ac->options.delay_us_min, ac->options.delay_us_max);
        struct ac_event *event = event_new(ac, EVENT_FRAME, to, delay, encoded.size);
        event->from = from;
        append(event, 0, encoded);
        heap_push(ac, event);
    }
}

static void
on_store(struct actor_cluster *ac, unsigned node, const struct effect *effect)
{
    struct ac_node *n = &ac->nodes[node];
    const struct store_change *changes = effect->u.store.changes;
    enum vault_err err = n->disk_full
                             ? ERR_DISK_FULL
                             : n->store->ops->commit(n->store, changes, effect->u.store.count);
    struct ac_event *event =
        event_new(ac, err == OK ? EVENT_SYNC : EVENT_FAILED, node, disk_ns(ac, node), 0);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event->err = err;
    heap_push(ac, event);
    if (err != OK)
        return;
    struct ac_pending *pending = need(calloc(1, sizeof(*pending)));
    for (size_t i = 0; i < effect->u.store.count; i++) {
        if (changes[i].kind != STORE_PUT || changes[i].key.data[0] != ROW_PATH)
            continue;
        pending->has_row = true;
        memcpy(pending->key.data, changes[i].key.data, changes[i].key.size);
        pending->key.size = changes[i].key.size;
        require(buf_append(&pending->value, changes[i].value) == OK, "out of memory");
    }
    struct ac_pending **end = &n->pending;
    while (*end)
        end = &(*end)->next;
    *end = pending;
}

static void
on_load(struct actor_cluster *ac, unsigned node, const struct effect *effect)
{
    size_t total = 0;
    for (size_t i = 0; i < effect->u.load.count; i++)
        total += effect->u.load.keys[i].size;
    struct ac_event *event = event_new(ac, EVENT_LOAD, node, disk_ns(ac, node), total);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event->count = effect->u.load.count;
    for (size_t i = 0, at = 0; i < event->count; at += event->sizes[i++]) {
        event->sizes[i] = effect->u.load.keys[i].size;
        append(event, at, effect->u.load.keys[i]);
    }
    heap_push(ac, event);
}

static void
on_scan(struct actor_cluster *ac, unsigned node, const struct effect *effect)
{
    struct bytes prefix = effect->u.scan.prefix, after = effect->u.scan.after;
    struct ac_event *event =
        event_new(ac, EVENT_SCAN, node, disk_ns(ac, node), prefix.size + after.size);
    event->actor = effect->actor;
    event->tag = effect->tag;
    event->limit = effect->u.scan.limit;
    event->with_values = effect->u.scan.with_values;
    event->sizes[0] = prefix.size;
    event->sizes[1] = after.size;
    append(event, 0, prefix);
    append(event, prefix.size, after);
    heap_push(ac, event);
}

static void
on_reply(struct actor_cluster *ac, const struct effect *effect)
{
    struct ac_request *r = ac->requests;
    while (r && r->exchange != effect->u.reply.exchange)
        r = r->next;
    require(r != NULL, "a reply to nobody");
    require(!r->done, "a second reply");
    r->done = true;
    r->ended_ns = ac->now_ns;
    r->reply = effect->u.reply.reply;
    size_t size = r->reply.value.size;
    r->reply_value = need(malloc(size + 1));
    if (size > 0)
        memcpy(r->reply_value, r->reply.value.data, size);
    r->reply.value = bytes_of(r->reply_value, size);
    require(r->reply.row_count <= AC_VALUE_ROWS_MAX, "a short history");
    if (r->reply.row_count > 0)
        memcpy(r->rows, r->reply.rows, r->reply.row_count * sizeof(r->rows[0]));
    for (size_t i = 0; i < r->reply.row_count; i++)
        r->rows[i].author = (struct bytes){0};
    r->reply.rows = r->rows;
    trace(ac, r->exchange, (uint64_t)r->reply.err << 32 | r->reply.version);
}

static void
on_execute(void *context, const struct effect *effect)
{
    struct actor_cluster *ac = context;
    unsigned node = ac->current;
    struct ac_event *event;
    switch (effect->kind) {
    case EFFECT_STORE: on_store(ac, node, effect); break;
    case EFFECT_LOAD: on_load(ac, node, effect); break;
    case EFFECT_SCAN: on_scan(ac, node, effect); break;
    case EFFECT_TIMER:
        event = event_new(ac, EVENT_TIMER, node, effect->u.after.ns, 0);
        event->actor = effect->actor;
        event->tag = effect->tag;
        heap_push(ac, event);
        break;
    case EFFECT_REPLY: on_reply(ac, effect); break;
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
    require(!secret_arena_is_open(n->secrets), "secrets stayed accessible after a step");
    require(!node_failed(n->node), "a node failed");
}

void
ac_deliver(struct actor_cluster *ac, unsigned node, enum actor_id actor, const struct msg *msg)
{
    struct node_executor executor = {ac, on_send, on_execute};
    struct step st = step_of(ac, node);
    ac->current = node;
    node_deliver(ac->nodes[node].node, &st, &executor, actor, msg);
    step_end(ac, node);
}

static enum vault_err
receive(struct actor_cluster *ac, unsigned from, unsigned to, struct bytes frame)
{
    struct node_executor executor = {ac, on_send, on_execute};
    struct step st = step_of(ac, to);
    ac->current = to;
    enum vault_err err = node_receive(ac->nodes[to].node, &st, &executor, (uint8_t)from, frame);
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

static void
pending_free(struct ac_node *n)
{
    while (n->pending) {
        struct ac_pending *next = n->pending->next;
        buf_close(&n->pending->value);
        free(n->pending);
        n->pending = next;
    }
}

/* All that was committed is durable now; the checkers see it. */
static void
make_durable(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    require(n->store->ops->sync(n->store) == OK, "sync");
    for (struct ac_pending *p = n->pending; p; p = p->next) {
        struct path_row row;
        if (!p->has_row)
            continue;
        require(path_row_decode(buf_bytes(&p->value), &row) == OK, "a stored path row decodes");
        checks_path_row(&ac->checks, node, ac->now_ns, &row);
    }
    pending_free(n);
}

static void
run_load(struct actor_cluster *ac, const struct ac_event *event)
{
    struct ac_node *n = &ac->nodes[event->node];
    struct loaded_row rows[LOAD_KEYS_MAX] = {0};
    struct msg msg = {.kind = MSG_LOADED};
    struct arena arena;
    arena_init(&arena, STEP_ARENA_BYTES);
    for (size_t i = 0, at = 0; i < event->count; at += event->sizes[i++]) {
        rows[i].key = bytes_of(event->data.data + at, event->sizes[i]);
        enum vault_err err = n->store->ops->get(n->reader, rows[i].key, &arena, &rows[i].value);
        require(err == OK || err == ERR_NOT_FOUND, "get");
        rows[i].found = err == OK;
    }
    msg.u.loaded = (struct msg_loaded){.tag = event->tag, .rows = rows, .count = event->count};
    ac_deliver(ac, event->node, event->actor, &msg);
    arena_close(&arena);
}

static void
run_scan(struct actor_cluster *ac, const struct ac_event *event)
{
    struct ac_node *n = &ac->nodes[event->node];
    struct store_row *found = need(calloc(event->limit, sizeof(*found)));
    struct loaded_row *rows = need(calloc(event->limit, sizeof(*rows)));
    struct msg msg = {.kind = MSG_LOADED};
    struct arena arena;
    size_t count = 0;
    bool more = false;
    arena_init(&arena, STEP_ARENA_BYTES);
    struct bytes prefix = bytes_of(event->data.data, event->sizes[0]);
    struct bytes after = bytes_of(event->data.data + event->sizes[0], event->sizes[1]);
    enum vault_err err = n->store->ops->scan(n->reader, prefix, after, event->limit,
                                             event->with_values, &arena, found, &count, &more);
    require(err == OK, "scan");
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct loaded_row){found[i].key, found[i].value, true};
    msg.u.loaded =
        (struct msg_loaded){.tag = event->tag, .rows = rows, .count = count, .more = more};
    ac_deliver(ac, event->node, event->actor, &msg);
    arena_close(&arena);
    free(found);
    free(rows);
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
    ac_deliver(ac, a, ACTOR_REPAIRER, &msg);
}

static void
run_event(struct actor_cluster *ac, const struct ac_event *event)
{
    struct msg msg = {0};
    switch (event->kind) {
    case EVENT_FRAME:
        if (!ac->cut[event->from][event->node])
            require(receive(ac, event->from, event->node, event->data) == OK,
                    "a frame was refused");
        break;
    case EVENT_TIMER:
        msg.kind = MSG_TIMER;
        msg.u.timer.tag = event->tag;
        ac_deliver(ac, event->node, event->actor, &msg);
        break;
    case EVENT_SYNC: make_durable(ac, event->node); /* fall through */
    case EVENT_FAILED:
        node_set_sequence(ac->nodes[event->node].node, ac->nodes[event->node].store->ops->sequence(
                                                           ac->nodes[event->node].store));
        msg.kind = MSG_STORED;
        msg.u.stored.tag = event->tag;
        msg.u.stored.err = event->err;
        ac_deliver(ac, event->node, event->actor, &msg);
        break;
    case EVENT_LOAD: run_load(ac, event); break;
    case EVENT_SCAN: run_scan(ac, event); break;
    case EVENT_LINK: run_link(ac, event); break;
    }
}

bool
ac_step(struct actor_cluster *ac, uint64_t until_ns)
{
    if (ac->heap_size == 0 || ac->heap[0]->due_ns > until_ns) {
        ac->now_ns = until_ns;
        return false;
    }
    struct ac_event *event = heap_pop(ac);
    ac->now_ns = event->due_ns;
    if (ac->nodes[event->node].node && ac->nodes[event->node].life == event->life) {
        trace(ac, (uint64_t)event->kind << 8 | event->node, event->due_ns);
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
        uint64_t after = within_ms == 0 ? 0 : between_ns(ac, 0, within_ms * 1000);
        struct ac_event *event = event_new(ac, EVENT_LINK, node, after, 0);
        event->from = end ? a : b;
        heap_push(ac, event);
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

bool
ac_up(const struct actor_cluster *ac, unsigned node)
{
    return ac->nodes[node].node != NULL;
}

void
ac_crash_losing(struct actor_cluster *ac, unsigned node, bool losing)
{
    struct ac_node *n = &ac->nodes[node];
    if (losing)
        store_mem_crash(n->store);
    else
        make_durable(ac, node);
    pending_free(n);
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
        require(node_row_decode(value, &options->row) == OK, "the node row decodes");
    } else {
        options->row.incarnation = 1;
        require(rng_fill(&n->rng, options->row.store_id, 16) == OK, "seeded generator");
    }
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        char name[16];
        struct peer_row row;
        snprintf(name, sizeof(name), "peer/%u", i);
        row_key_meta(name, &key);
        if (!ac_get(ac, node, &key, &value))
            continue;
        require(peer_row_decode(value, &row) == OK, "a peer row decodes");
        options->peer_keys[i] = row.share_key;
    }
}

void
ac_start(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    struct node_executor executor = {ac, on_send, on_execute};
    struct step st = step_of(ac, node);
    struct node_options options = {
        .cluster = &ac->cluster,
        .self = (uint8_t)node,
        .secrets = n->secrets,
        .ring = &n->ring,
        .share_wrap_key = &n->wrap_key,
        .requests_max = ac->options.requests_max,
        .request_deadline = duration_ms(DEADLINE_MS),
        .paths_max = ac->options.paths_max,
    };
    require(n->node == NULL, "a node is started once");
    load_facts(ac, node, &options);
    n->life++;
    require(node_new(&options, &st, &n->node) == OK, "node_new");
    ac->current = node;
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
        ac->nodes[i].slow_disk = false;
        ac_isolate(ac, i, false);
        if (!ac_up(ac, i))
            ac_start(ac, i);
    }
}

/* ---- making ---- */

static void
node_init(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    uint8_t key[KEY_BYTES];
    rng_seeded_init(&n->rng_state, ac->options.seed * 16 + node + 1, &n->rng);
    arena_init(&n->arena, STEP_ARENA_BYTES);
    n->skew_ms =
        (int64_t)ac_dice(ac, 2 * ac->options.skew_ms_max + 1) - (int64_t)ac->options.skew_ms_max;
    require(store_mem_new(&n->store) == OK &&
                n->store->ops->reader_new(n->store, &n->reader) == OK &&
                secret_arena_new(SECRET_SLOTS, &n->secrets) == OK &&
                rng_fill(&n->rng, key, KEY_BYTES) == OK,
            "a node's store and keys");
    share_keyring_init(&n->ring, n->secrets);
    secret_arena_open(n->secrets);
    require(share_keyring_generate(&n->ring, &n->rng) == OK &&
                secret_copy(n->secrets, bytes_of(key, KEY_BYTES), &n->wrap_key) == OK,
            "a node's keys");
    ac->cluster.nodes[node].first_share_key = *share_keyring_current(&n->ring);
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
    if (options->requests_max == 0)
        options->requests_max = REQUESTS_MAX;
}

struct actor_cluster *
ac_new(const struct ac_options *options)
{
    char why[200] = "";
    require(crypto_init() == OK, "crypto_init");
    struct actor_cluster *ac = need(calloc(1, sizeof(*ac)));
    ac->options = *options;
    defaults(&ac->options);
    ac->loud = getenv("OSTRAKA_LOUD") != NULL;
    rng_seeded_init(&ac->dice_state, options->seed, &ac->dice);
    ac->cluster.node_count = options->nodes;
    ac->cluster.share_count = options->nodes;
    ac->cluster.threshold = options->threshold ? options->threshold : options->nodes / 2 + 1;
    memcpy(ac->cluster.id, "test-cluster-id!", CLUSTER_ID_BYTES);
    hash_bytes(bytes_of_text(ac_token), ac->cluster.admin_token_hash);
    for (unsigned i = 0; i < options->nodes; i++)
        node_init(ac, i);
    require(cluster_validate(&ac->cluster, why, sizeof(why)) == OK, why);
    cluster_config_hash(&ac->cluster, ac->cluster.config_hash);
    checks_init(&ac->checks, options->nodes, cluster_majority(&ac->cluster));
    for (unsigned i = 0; i < options->nodes; i++)
        ac_start(ac, i);
    for (unsigned i = 0; i < options->nodes; i++) {
        while (!node_serving(ac->nodes[i].node)) {
            require(ac_ms(ac) < START_MS_MAX, "nodes that start, serve");
            (void)ac_step(ac, ac->now_ns + 1000000);
        }
    }
    return ac;
}

static void
request_free(struct ac_request *r)
{
    free(r->value);
    free(r->reply_value);
    free(r);
}

void
ac_free(struct actor_cluster *ac)
{
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        struct ac_node *n = &ac->nodes[i];
        node_free(n->node);
        pending_free(n);
        n->store->ops->reader_free(n->reader);
        n->store->ops->close(n->store);
        secret_arena_open(n->secrets);
        share_keyring_close(&n->ring);
        secret_free(n->secrets, &n->wrap_key);
        secret_arena_close(n->secrets);
        secret_arena_free(n->secrets);
        arena_close(&n->arena);
    }
    while (ac->heap_size > 0)
        free(heap_pop(ac));
    free(ac->heap);
    while (ac->requests) {
        struct ac_request *next = ac->requests->next;
        request_free(ac->requests);
        ac->requests = next;
    }
    checks_close(&ac->checks);
    free(ac);
}
