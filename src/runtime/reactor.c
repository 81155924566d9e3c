#include "runtime/reactor.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/link.h"
#include "runtime/reactor_internal.h"
#include "store/storage_io.h"

enum {
    STEP_ARENA_BYTES_MAX = 64 * 1024 * 1024,
    DRAIN_MS_MAX = 4000,
    IDLE_US = 100,
    TIMER_GRAINED_MS = 20, /* timers of that or longer go off in steps of that: */
    TIMER_GRAIN_MS = 4,
    COMMIT_SOON_MS = 2, /* what nobody waits for, if nothing else is committed before */
};

/* ---- clocks and steps ---- */

struct instant
reactor_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct instant){(uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec};
}

static uint64_t
wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
reactor_wall_ms(void)
{
    return wall_ns() / 1000000u;
}

/* The wall clock is read once in a turn, and goes on with the other one. */
static uint64_t
wall_ms_of(const struct reactor *r, struct instant now)
{
    return (r->turn_wall_ns + instant_since(now, r->turn_began).ns) / 1000000u;
}

void
reactor_step(struct reactor *r, struct step *st)
{
    struct instant now = reactor_now();
    if (r->node && !r->in_turn) {
        r->in_turn = true;
        r->was_idle = instant_since(now, r->turn_ended).ns >= IDLE_US * UINT64_C(1000);
        r->turn_began = now;
        r->turn_wall_ns = wall_ns();
        node_turn_begin(r->node);
    }
    r->step_now = now;
    *st = (struct step){.now = now,
                        .wall_ms = r->in_turn ? wall_ms_of(r, now) : reactor_wall_ms(),
                        .rng = &r->options.rng,
                        .log = r->options.log,
                        .metrics = &r->metrics,
                        .arena = &r->step_arena};
}

void
reactor_stop(struct reactor *r, enum vault_err err)
{
    if (r->result == OK)
        r->result = err;
    r->stop = true;
}

void
reactor_step_done(struct reactor *r)
{
    arena_reset(&r->step_arena);
    if (node_failed(r->node))
        reactor_stop(r, ERR_ENTROPY);
}

void
reactor_deliver(struct reactor *r, enum actor_id actor, const struct msg *msg)
{
    struct step st;
    reactor_step(r, &st);
    node_deliver(r->node, &st, &r->executor, actor, msg);
    reactor_step_done(r);
}

/* ---- effects ---- */

static void
execute_send(void *context, uint8_t to, struct bytes encoded)
{
    struct reactor *r = context;
    links_send(r->links, to, encoded);
}

static void
execute_send_soon(void *context, uint8_t to, struct bytes encoded)
{
    struct reactor *r = context;
    links_send_soon(r->links, to, encoded);
}

/*
 * Those that are in no hurry go off together, so that each of them does not wake the loop for
 * itself: most find that they are not needed any more.
 */
static struct instant
timer_due(const struct reactor *r, struct duration after)
{
    struct instant due = instant_add(r->step_now, after);
    const uint64_t grain = duration_ms(TIMER_GRAIN_MS).ns;
    if (after.ns >= duration_ms(TIMER_GRAINED_MS).ns && due.ns <= UINT64_MAX - grain)
        due.ns = (due.ns + grain - 1) / grain * grain;
    return due;
}

static void
execute(void *context, const struct effect *effect)
{
    struct reactor *r = context;
    switch (effect->kind) {
    case EFFECT_STORE:
    case EFFECT_LOAD:
    case EFFECT_SCAN: reactor_storage_ask(r, effect); break;
    case EFFECT_TIMER:
        if (timers_arm(&r->timers, timer_due(r, effect->u.after), effect->actor, effect->tag) != OK)
            reactor_stop(r, ERR_NOMEM);
        break;
    case EFFECT_KEYS: reactor_storage_save_keys(r, effect); break;
    case EFFECT_REPLY: reactor_reply(r, effect->u.reply.exchange, &effect->u.reply.reply); break;
    case EFFECT_SEND:
    case EFFECT_LOCAL: assert(false); break; /* the node executes these */
    }
}

/* ---- links ---- */

static void
on_up(void *context, unsigned peer, const struct link_hello *hello)
{
    struct msg msg = {
        .kind = MSG_PEER_UP, .from = (uint8_t)peer, .u.peer_up = {.signing = &hello->signing}};
    reactor_deliver(context, ACTOR_REPAIRER, &msg);
}

static void
on_down(void *context, unsigned peer)
{
    struct msg msg = {.kind = MSG_PEER_DOWN, .from = (uint8_t)peer};
    reactor_deliver(context, ACTOR_REPAIRER, &msg);
}

static bool
on_frame(void *context, unsigned peer, struct bytes frame)
{
    struct reactor *r = context;
    struct step st;
    reactor_step(r, &st);
    enum vault_err err = node_receive(r->node, &st, &r->executor, (uint8_t)peer, frame);
    reactor_step_done(r);
    return err == OK;
}

/* ---- timers and signals ---- */

/*
 * Every turn, and not from the event: one that is armed anew in each turn of a busy loop hardly
 * ever fires.
 */
static void
run_timers(struct reactor *r)
{
    struct timer timer;
    /* Only what is due now: timers that handlers arm come in a later turn. */
    struct instant now = reactor_now();
    while (timers_pop(&r->timers, now, &timer)) {
        struct msg msg = {.kind = MSG_TIMER, .u.timer = {.tag = timer.tag}};
        reactor_deliver(r, timer.actor, &msg);
    }
}

/* Once, however often it is told. What is written last is durable when the store is closed. */
static void
note_stop(struct reactor *r)
{
    const struct audit_record record = {.kind = AUDIT_stop,
                                        .node = node_membership(r->node)->self,
                                        .operation = bytes_of_text("stop"),
                                        .outcome = bytes_of_text("ok")};
    struct step st;
    if (r->draining)
        return;
    reactor_write_notes(r, true);
    r->last_block = node_trail_block(r->node);
    reactor_step(r, &st);
    node_note(r->node, &st, &r->executor, &record);
    reactor_step_done(r);
}

static void
on_signal(evutil_socket_t fd, short what, void *context)
{
    struct reactor *r = context;
    (void)what;
    log_event(r->options.log, LOG_INFO, "server", "stopping", log_u64("signal", (uint64_t)fd));
    note_stop(r);
    if (!r->draining)
        r->drain_since = reactor_now(); /* told again, it does not take longer */
    r->draining = true;
    https_front_drain(r->https);
}

/* ---- share keys ---- */

/*
 * The private half is durable before its public half is told to anybody. So a key that could not be
 * saved when it was made is told when a later save succeeds.
 */
static enum vault_err
save_share_keys(struct reactor *r)
{
    enum vault_err err = r->options.save_share_keys(r->options.save_context);
    r->share_keys_unsaved = err != OK;
    if (err != OK)
        return err;
    node_share_keys_saved(r->node);
    node_share_key_announce(r->node);
    return OK;
}

static void
rotate_share_key(struct reactor *r)
{
    struct step st;
    reactor_step(r, &st);
    enum vault_err err = node_share_key_make(r->node, &st);
    if (err == OK)
        err = save_share_keys(r);
    log_event(r->options.log, err == OK ? LOG_INFO : LOG_WARN, "reactor", "share_key_rotated",
              log_err("outcome", err), log_u64("held", node_share_keys_held(r->node)));
    r->rotated = reactor_now();
    reactor_step_done(r);
}

static void
on_rotation(evutil_socket_t fd, short what, void *context)
{
    struct reactor *r = context;
    uint64_t due_ns = duration_ms(UINT64_C(1000) * r->options.config->node.share_key_rotation_s).ns;
    struct step st;
    (void)fd;
    (void)what;
    reactor_tell_readiness(r);
    certificate_watch_look(&r->options.certificates, reactor_now(), reactor_wall_ms(),
                           r->options.log);
    reactor_step(r, &st);
    unsigned destroyed = node_share_keys_destroy(r->node, &st);
    reactor_step_done(r);
    if (destroyed > 0 || r->share_keys_unsaved) {
        enum vault_err err = save_share_keys(r);
        log_event(r->options.log, err == OK ? LOG_INFO : LOG_WARN, "reactor",
                  "share_keys_destroyed", log_u64("count", destroyed), log_err("outcome", err));
    }
    if (r->share_keys_unsaved)
        return; /* keys that nobody is told of would fill the ring */
    if (node_share_key_outdated(r->node) || instant_since(reactor_now(), r->rotated).ns >= due_ns)
        rotate_share_key(r);
}

/* ---- making and running ---- */

static struct link_hello
hello_of(const struct reactor_options *o)
{
    struct link_hello hello = {.protocol = LINK_PROTOCOL,
                               .node = o->config->node.self,
                               .incarnation = o->row.incarnation,
                               .boot = o->row.boot + 1};
    memcpy(hello.cluster_id, o->config->cluster.id, CLUSTER_ID_BYTES);
    memcpy(hello.config_hash, o->config->cluster.config_hash, HASH_BYTES);
    memcpy(hello.store_id, o->row.store_id, sizeof(hello.store_id));
    hello.signing = o->signing->public_half;
    hello.sealed = cluster_seal_hash(&o->config->cluster, hello.seal);
    hello.tells_token = true;
    cluster_admin_token_mark(&o->config->cluster, hello.token_mark);
    return hello;
}

static enum vault_err
make_node(struct reactor *r)
{
    const struct reactor_options *o = &r->options;
    const struct node_config *local = &o->config->node;
    struct node_options options = {.cluster = &o->config->cluster,
                                   .self = (uint8_t)local->self,
                                   .row = o->row,
                                   .finding = o->finding,
                                   .incarnation_known = o->incarnation_known,
                                   .secrets = o->secrets,
                                   .shares_kept = o->shares_kept,
                                   .ring = o->ring,
                                   .share_wrap_key = o->share_wrap_key,
                                   .master = o->master,
                                   .master_incorrect = o->master_incorrect,
                                   .requests_max = local->requests_max,
                                   .request_deadline = duration_ms(local->request_deadline_ms),
                                   .buckets = o->buckets,
                                   .shred_interval = duration_ms(local->shred_interval_ms),
                                   .scrub_rows_per_s = local->scrub_rows_per_s,
                                   .scrub_pause = duration_ms(SCRUB_PAUSE_MS),
                                   .signing = o->signing,
                                   .audit_names_hashed = local->audit_names_hashed,
                                   .audit_blocks_kept = local->audit_blocks_kept,
                                   .sweep_slack_ms = UINT64_C(1000) * local->token_sweep_slack_s};
    struct step st;
    memcpy(options.peers, o->peers, sizeof(options.peers));
    memcpy(options.signers, o->signers, sizeof(options.signers));
    reactor_step(r, &st);
    enum vault_err err = node_new(&options, &st, &r->node);
    arena_reset(&r->step_arena);
    if (err != OK)
        return err;
    r->incarnation = node_incarnation(r->node);
    reactor_tell_sequence(r);
    return OK;
}

static enum vault_err
make_links(struct reactor *r, char *why, size_t why_size)
{
    const struct reactor_options *o = &r->options;
    struct links_options options = {.base = r->base,
                                    .cluster = &o->config->cluster,
                                    .self = o->config->node.self,
                                    .hello = hello_of(o),
                                    .server = o->link_server,
                                    .client = o->link_client,
                                    .listen_host = o->config->node.listen_host,
                                    .log = o->log,
                                    .metrics = &r->metrics,
                                    .rng = o->rng,
                                    .context = r,
                                    .on_up = on_up,
                                    .on_down = on_down,
                                    .on_frame = on_frame};
    return links_new(&options, &r->links, why, why_size);
}

static enum vault_err
make_door(struct reactor *r)
{
    const struct node_config *local = &r->options.config->node;
    struct door_limits limits = {.address_requests_per_s = local->address_requests_per_s,
                                 .address_connections_per_s = local->address_connections_per_s,
                                 .identity_requests_per_s = local->identity_requests_per_s,
                                 .slow_failures = local->slow_failed_logins};
    return door_init(&r->door, &limits, node_membership(r->node), &r->options.rng);
}

static enum vault_err
make_https(struct reactor *r, char *why, size_t why_size)
{
    const struct config *config = r->options.config;
    struct https_options options = {.base = r->base,
                                    .host = config->node.listen_host,
                                    .port = config->cluster.nodes[config->node.self].api_port,
                                    .tls = r->options.api,
                                    .log = r->options.log,
                                    .metrics = &r->metrics,
                                    .context = r,
                                    .peer_connections_max = config->node.address_connections_max,
                                    .peer_handshakes_max = config->node.address_handshakes_max,
                                    .may_connect = reactor_may_connect,
                                    .may_be_told = reactor_may_be_told,
                                    .may_send_body = reactor_may_send_body,
                                    .on_request = reactor_on_request,
                                    .on_refused = reactor_on_refused};
    return https_front_new(&options, &r->https, why, why_size);
}

static enum vault_err
watch_signals(struct reactor *r)
{
    int numbers[STOP_SIGNALS_MAX];
    unsigned count = stop_signals(numbers);
    for (unsigned i = 0; i < count; i++) {
        r->stop_events[i] = evsignal_new(r->base, numbers[i], on_signal, r);
        if (!r->stop_events[i] || event_add(r->stop_events[i], NULL) != 0)
            return ERR_NOMEM;
    }
    return OK;
}

static enum vault_err
make_events(struct reactor *r)
{
    r->base = event_base_new();
    if (!r->base)
        return ERR_NOMEM;
    enum vault_err err = wake_timer_open(r->base, &r->wake_timer);
    if (err != OK)
        return err;
    r->storage_event = event_new(r->base, storage_io_wake_fd(r->options.storage),
                                 EV_READ | EV_PERSIST, reactor_storage_event, r);
    r->rotation_event = event_new(r->base, -1, EV_PERSIST, on_rotation, r);
    if (!r->storage_event || !r->rotation_event)
        return ERR_NOMEM;
    struct timeval second = {.tv_sec = 1};
    event_add(r->rotation_event, &second);
    event_add(r->storage_event, NULL);
    return watch_signals(r);
}

enum vault_err
reactor_new(const struct reactor_options *options, struct reactor **out, char *why, size_t why_size)
{
    *out = NULL;
    snprintf(why, why_size, "out of memory");
    struct reactor *r = calloc(1, sizeof(*r));
    if (!r)
        return ERR_NOMEM;
    r->options = *options;
    r->executor = (struct node_executor){r, execute_send, execute, NULL, execute_send_soon};
    r->started = reactor_now();
    r->rotated = r->started;
    arena_init(&r->step_arena, STEP_ARENA_BYTES_MAX);
    enum vault_err err = make_events(r);
    if (err == OK)
        err = reactor_notes_new(&r->notes);
    if (err == OK)
        err = make_node(r);
    if (err == OK)
        err = make_door(r);
    if (err == OK)
        err = make_links(r, why, why_size);
    if (err == OK)
        err = make_https(r, why, why_size);
    if (err != OK) {
        reactor_free(r);
        return err;
    }
    *out = r;
    return OK;
}

static void
tell_incarnation(struct reactor *r)
{
    uint64_t incarnation = node_incarnation(r->node);
    if (incarnation <= r->incarnation)
        return;
    r->incarnation = incarnation;
    r->options.on_incarnation(r->options.save_context, incarnation);
}

static void
arm_wake_timer(struct reactor *r)
{
    struct instant due;
    if (timers_next(&r->timers, &due))
        wake_timer_at(&r->wake_timer, due);
    if (links_due(r->links, &due))
        wake_timer_at(&r->wake_timer, due);
    if (node_has_put_off(r->node)) /* since this turn has seen to that */
        wake_timer_at(&r->wake_timer, r->turn_ended);
    if (r->soon.first)
        wake_timer_at(&r->wake_timer, instant_add(r->turn_ended, duration_ms(COMMIT_SOON_MS)));
}

static bool
run_put_off(struct reactor *r,
            bool (*run)(struct node *, const struct step *, const struct node_executor *))
{
    struct step st;
    if (!node_has_put_off(r->node))
        return false;
    reactor_step(r, &st);
    bool some = run(r->node, &st, &r->executor);
    reactor_step_done(r);
    return some;
}

/*
 * When the frames have left: this node's own part of what they ask of the others, and what was left
 * to be committed with something else.
 */
static void
run_own_part(struct reactor *r)
{
    if (!run_put_off(r, node_turn_own_writes) && !r->soon.first)
        return;
    reactor_storage_take_soon(r);
    reactor_storage_run(r);
}

/* Nobody waits for what they store. */
static void
run_notices(struct reactor *r)
{
    if (!run_put_off(r, node_turn_notices))
        return;
    reactor_write_trail(r);
    reactor_storage_leave_soon(r);
}

/*
 * Before the loop waits for events: the secrets arena is closed while nothing is done. Frames leave
 * before the storage threads are woken, or the disk is waited for: then the others are at work.
 */
static void
end_turn(struct reactor *r)
{
    reactor_storage_run(r);
    tell_incarnation(r);
    links_flush(r->links);
    run_own_part(r);
    if (reactor_storage_sync(r))
        reactor_storage_run(r);
    links_flush(r->links);
    reactor_storage_hand_over(r);
    run_notices(r);
    links_flush(r->links);
    r->turn_ended = reactor_now();
    arm_wake_timer(r);
    if (r->in_turn)
        node_turn_end(r->node);
    r->in_turn = false;
}

static bool
drained(const struct reactor *r)
{
    if (!r->draining)
        return false;
    return (https_front_idle(r->https) && node_in_flight(r->node) == 0 &&
            node_trail_is_written(r->node, r->last_block)) ||
           instant_since(reactor_now(), r->drain_since).ns > duration_ms(DRAIN_MS_MAX).ns;
}

enum vault_err
reactor_run(struct reactor *r)
{
    struct step st;
    reactor_step(r, &st);
    node_start(r->node, &st, &r->executor);
    reactor_step_done(r);
    while (!r->stop && !drained(r)) {
        run_timers(r);
        reactor_note_refused(r);
        reactor_write_notes(r, false);
        end_turn(r);
        if (event_base_loop(r->base, EVLOOP_ONCE) < 0)
            reactor_stop(r, ERR_IO);
    }
    links_hurry(r->links);
    end_turn(r);
    end_turn(r); /* what notices that were put off store */
    return r->result;
}

void
reactor_free(struct reactor *r)
{
    if (!r)
        return;
    if (r->https)
        https_front_free(r->https);
    if (r->links)
        links_free(r->links);
    door_close(&r->door);
    reactor_notes_free(r->notes);
    node_free(r->node);
    reactor_storage_close(r);
    wake_timer_close(&r->wake_timer);
    for (unsigned i = 0; i < STOP_SIGNALS_MAX; i++) {
        if (r->stop_events[i])
            event_free(r->stop_events[i]);
    }
    if (r->storage_event)
        event_free(r->storage_event);
    if (r->rotation_event)
        event_free(r->rotation_event);
    if (r->base)
        event_base_free(r->base);
    timers_close(&r->timers);
    arena_close(&r->step_arena);
    free(r);
}
