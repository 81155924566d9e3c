#include "actors/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/alarms.h"
#include "actors/inbox.h"
#include "actors/lister.h"
#include "actors/records.h"
#include "actors/share_rotation.h"
#include "actors/standing.h"
#include "actors/sweeper.h"
#include "actors/trail_reader.h"
#include "base/planted.h"

enum {
    EPHEMERAL_KEY_MS = 60 * 60 * 1000,
    PAIR_KEY_MS = 60 * 60 * 1000,
    PAIR_KEY_OLD_MS = 60 * 1000, /* the one before it, for what is on its way */
    PUT_OFF_REQUESTS_MAX = 4,    /* under way here; with more of them nothing is put off */
};

struct node {
    struct membership membership;
    struct secret_arena *secrets;
    struct box_sender sender;
    struct instant sender_renewed;
    struct share_keyring *ring;
    struct pair_keys pair_keys;
    struct instant pair_keys_renewed;
    struct vote_keys vote_keys;
    struct share_rotation rotation;
    struct duration request_deadline;
    bool failed;
    bool in_turn; /* between node_turn_begin() and its end */
    struct gateway gateway;
    struct coordinator coordinator;
    struct shard_store shard_store;
    struct repairer repairer;
    struct shredder shredder;
    struct digest_index digests;
    struct anti_entropy anti_entropy;
    struct recovery recovery;
    struct scrubber scrubber;
    struct lister lister;
    struct auth_view auth_view;
    struct records records;
    struct auditor auditor;
    struct audit_hold hold;
    struct alarms alarms;
    struct trail_reader trail_reader;
    struct sweeper sweeper;
    struct effects effects; /* of the message being handled */
    struct inbox inbox;
    struct buf encoded; /* a message being sent; empty but for its memory */
};

/* ---- making ---- */

static void
take_peers(struct node *node, const struct node_options *options)
{
    const struct share_key_public *own = share_keyring_current(options->ring);
    for (uint8_t i = 0; i < options->cluster->node_count; i++) {
        (void)vote_keys_learn(&node->vote_keys, i, options->cluster->nodes[i].vote_key);
        const struct share_key_public *key = &options->peers[i].share_key;
        if (key->id > node->membership.members[i].share_key.id)
            node->membership.members[i].share_key = *key;
        standing_load_peer(&node->membership, i, &options->peers[i]);
        (void)vote_keys_learn(&node->vote_keys, i, options->peers[i].vote_key);
        vote_keys_recall_before(&node->vote_keys, i, options->peers[i].vote_key_before);
    }
    if (own)
        node->membership.members[options->self].share_key = *own;
    memcpy(node->membership.signers, options->signers, sizeof(options->signers));
    node->membership.signing = options->signing;
    if (options->signing)
        (void)signing_keys_learn(&node->membership.signers[options->self],
                                 &options->signing->public_half);
}

static enum vault_err
init_actors(struct node *node, const struct node_options *options, uint64_t seed)
{
    struct shard_store_options shard = {.membership = &node->membership,
                                        .ring = options->ring,
                                        .share_wrap_key = options->share_wrap_key,
                                        .buckets = options->buckets,
                                        .node = options->row,
                                        .lost = options->finding == STORE_LOST,
                                        .map_seed = seed,
                                        .paths_max = options->paths_max,
                                        .dealings_apart = options->dealings_apart,
                                        .secrets = options->secrets,
                                        .shares_kept = options->shares_kept,
                                        .digests = &node->digests};
    struct coordinator_options coordinator = {.membership = &node->membership,
                                              .secrets = options->secrets,
                                              .sender = &node->sender,
                                              .master = options->master,
                                              .master_incorrect = options->master_incorrect,
                                              .map_seed = seed,
                                              .jobs_max =
                                                  4 * options->requests_max + 64 + BATCH_ITEMS_MAX,
                                              .deadline = options->request_deadline,
                                              .issued_ms = options->row.horizon_ms,
                                              .shard_store = &node->shard_store};
    enum vault_err err = digests_init(&node->digests, &node->membership, seed);
    if (err != OK)
        return err;
    err = shard_store_init(&node->shard_store, &shard);
    if (err != OK) {
        digests_close(&node->digests);
        return err;
    }
    err = coordinator_init(&node->coordinator, &coordinator);
    if (err != OK) {
        shard_store_close(&node->shard_store);
        digests_close(&node->digests);
        return err;
    }
    err = auth_view_init(&node->auth_view, seed);
    if (err != OK) {
        coordinator_close(&node->coordinator);
        shard_store_close(&node->shard_store);
        digests_close(&node->digests);
        return err;
    }
    node->membership.records = &node->auth_view;
    node->auth_view.forgotten_ms = options->row.forgotten_ms;
    node->membership.alarms = &node->alarms;
    records_init(&node->records, &node->auth_view);
    const struct audit_options audit = {
        .blocks_kept = options->audit_blocks_kept,
        .name_key = options->audit_names_hashed ? options->share_wrap_key : NULL};
    auditor_init(&node->auditor, &node->membership, &audit);
    gateway_init(&node->gateway, &node->membership, options->requests_max);
    repairer_init(&node->repairer, &node->membership, &node->shard_store.node);
    shredder_init(&node->shredder, &node->membership, options->buckets, options->share_wrap_key,
                  options->shred_interval);
    anti_entropy_init(&node->anti_entropy, &node->membership, &node->shard_store, &node->digests,
                      seed);
    recovery_init(&node->recovery, &node->membership, &node->shard_store);
    standing_named(&node->membership, options->incarnation_known);
    if (options->finding == STORE_BEHIND)
        node->membership.behind = true;
    scrubber_init(&node->scrubber, &node->membership, options->scrub_rows_per_s,
                  options->scrub_pause);
    lister_init(&node->lister, &node->membership, &node->shard_store);
    trail_reader_init(&node->trail_reader, &node->membership);
    sweeper_init(&node->sweeper, &node->membership, &node->shard_store);
    return OK;
}

enum vault_err
node_new(const struct node_options *options, const struct step *st, struct node **out)
{
    struct {
        uint64_t table, life;
        uint8_t admin[SHORT_HASH_BYTES];
    } random = {0};
    struct known_tickets *tickets = NULL;
    *out = NULL;
    struct node *node = calloc(1, sizeof(*node));
    if (!node)
        return ERR_NOMEM;
    inbox_init(&node->inbox, options->self);
    node->secrets = options->secrets;
    node->ring = options->ring;
    share_keyring_saved(options->ring);
    node->request_deadline = options->request_deadline;
    membership_init(&node->membership, options->cluster, options->self);
    if (options->sweep_slack_ms > 0)
        node->membership.sweep_slack_ms = options->sweep_slack_ms;

    secret_arena_open(options->secrets);
    box_sender_init(&node->sender, options->secrets);
    pair_keys_init(&node->pair_keys, options->secrets, options->cluster->id, options->self);
    node->membership.pair_keys = &node->pair_keys;
    enum vault_err err = box_sender_renew(&node->sender, st->rng);
    if (err == OK)
        err = pair_keys_renew(&node->pair_keys, st->rng);
    if (err == OK)
        err = vote_keys_init(&node->vote_keys, options->secrets, options->cluster->id,
                             options->self, options->share_wrap_key);
    if (err == OK)
        take_peers(node, options);
    node->membership.vote_keys = &node->vote_keys;
    secret_arena_close(options->secrets);
    node->sender_renewed = st->now;
    node->pair_keys_renewed = st->now;
    if (err == OK)
        err = rng_fill(st->rng, (uint8_t *)&random, sizeof(random));
    node->membership.members[options->self].life = random.life | 1;
    if (err == OK)
        err = known_tickets_new(random.admin, &tickets);
    if (err == OK)
        err = init_actors(node, options, random.table);
    if (err == OK)
        memcpy(node->auth_view.admin.key, random.admin, sizeof(random.admin));
    bytes_wipe(&random, sizeof(random));
    if (err != OK) {
        known_tickets_free(tickets);
        secret_arena_open(options->secrets);
        box_sender_close(&node->sender);
        pair_keys_close(&node->pair_keys);
        vote_keys_close(&node->vote_keys);
        secret_arena_close(options->secrets);
        free(node);
        return err;
    }
    node->auth_view.admin.keyed = true;
    node->auth_view.tickets = tickets;
    *out = node;
    return OK;
}

void
node_free(struct node *node)
{
    if (!node)
        return;
    secret_arena_open(node->secrets);
    recovery_close(&node->recovery);
    lister_close(&node->lister);
    trail_reader_close(&node->trail_reader);
    coordinator_close(&node->coordinator);
    shard_store_close(&node->shard_store);
    anti_entropy_close(&node->anti_entropy);
    digests_close(&node->digests);
    auth_view_close(&node->auth_view);
    auditor_close(&node->auditor);
    audit_hold_close(&node->hold);
    buf_close(&node->encoded);
    inbox_close(&node->inbox);
    box_sender_close(&node->sender);
    pair_keys_close(&node->pair_keys);
    vote_keys_close(&node->vote_keys);
    secret_arena_close(node->secrets);
    free(node);
}

/* ---- routing ---- */

static enum actor_id
actor_of_wire(const struct msg *msg)
{
    switch ((int)msg->kind) {
    case MSG_VOTED:
    case MSG_WRITTEN:
    case MSG_STATE:
    case MSG_FETCHED:
    case MSG_KNOWN:
    case MSG_VERSIONS:
    case MSG_SCANNED: return ACTOR_COORDINATOR;
    case MSG_SCAN: return ACTOR_LISTER;
    case MSG_ERASED: return msg->op != 0 ? ACTOR_COORDINATOR : ACTOR_SHARD_STORE;
    case MSG_HEARTBEAT: return ACTOR_REPAIRER;
    case MSG_COMPARE:
    case MSG_COMPARED:
    case MSG_ASK_ENTRIES:
    case MSG_ENTRIES: return ACTOR_ANTI_ENTROPY;
    case MSG_RECOVER:
    case MSG_RECOVERED:
    case MSG_HANDED: return ACTOR_RECOVERY;
    case MSG_CHECKED: return ACTOR_SCRUBBER;
    case MSG_ANCHOR:
    case MSG_ANCHORED: return ACTOR_AUDITOR;
    case MSG_TRAIL:
    case MSG_TRAILED: return ACTOR_TRAIL_READER;
    default: return ACTOR_SHARD_STORE;
    }
}

/* Tells the node of randomness that failed: whatever an actor makes of it, the process must stop. */
struct watched_rng {
    const struct rng *source;
    bool *failed;
};

static enum vault_err
watched_fill(void *context, uint8_t *out, size_t size)
{
    struct watched_rng *watched = context;
    enum vault_err err = rng_fill(watched->source, out, size);
    *watched->failed = *watched->failed || (err != OK && !PLANTED(entropy_ignored));
    return err;
}

static enum vault_err
handle(struct node *node, const struct step *step, enum actor_id actor, const struct msg *msg)
{
    struct watched_rng watched = {step->rng, &node->failed};
    struct rng rng = {&watched, watched_fill};
    struct step with_watch = *step;
    const struct step *st = &with_watch;
    with_watch.rng = &rng;
    with_watch.audit = &node->auditor;
    if (actor == ACTOR_GATEWAY && msg->kind == MSG_REQUEST)
        auditor_asked(&node->auditor, &msg->u.request);
    node->effects.count = 0;
    node->membership.clients_waiting = node->gateway.in_flight;
    switch (actor) {
    case ACTOR_GATEWAY: return gateway_handle(&node->gateway, st, msg, &node->effects);
    case ACTOR_COORDINATOR: return coordinator_handle(&node->coordinator, st, msg, &node->effects);
    case ACTOR_SHARD_STORE: return shard_store_handle(&node->shard_store, st, msg, &node->effects);
    case ACTOR_REPAIRER: return repairer_handle(&node->repairer, st, msg, &node->effects);
    case ACTOR_SHREDDER: return shredder_handle(&node->shredder, st, msg, &node->effects);
    case ACTOR_ANTI_ENTROPY:
        return anti_entropy_handle(&node->anti_entropy, st, msg, &node->effects);
    case ACTOR_RECOVERY: return recovery_handle(&node->recovery, st, msg, &node->effects);
    case ACTOR_SCRUBBER: return scrubber_handle(&node->scrubber, st, msg, &node->effects);
    case ACTOR_LISTER: return lister_handle(&node->lister, st, msg, &node->effects);
    case ACTOR_RECORDS: return records_handle(&node->records, st, msg, &node->effects);
    case ACTOR_AUDITOR: return auditor_handle(&node->auditor, st, msg, &node->effects);
    case ACTOR_TRAIL_READER:
        return trail_reader_handle(&node->trail_reader, st, msg, &node->effects);
    case ACTOR_SWEEPER: return sweeper_handle(&node->sweeper, st, msg, &node->effects);
    }
    return ERR_UNEXPECTED;
}

/* ---- what is put off ---- */

static bool
puts_off(const struct node *node)
{
    return node->gateway.in_flight <= PUT_OFF_REQUESTS_MAX;
}

/* False: it is to be handled now. */
static bool
put_off(struct node *node, const struct msg *msg)
{
    return puts_off(node) && inbox_put_off(&node->inbox, actor_of_wire(msg), msg);
}

static void
take_put_off(struct node *node)
{
    (void)inbox_take_own_writes(&node->inbox);
    (void)inbox_take_notices(&node->inbox);
}

/* What this node sends to itself. */
static bool
post_to_self(struct node *node, const struct step *st, const struct msg *msg)
{
    bool may = node->in_turn || (puts_off(node) && inbox_may_put_off(&node->inbox, msg) &&
                                 sim_maybe(st, self_message_later));
    if (may && put_off(node, msg))
        return true;
    if (!inbox_may_overtake(msg))
        take_put_off(node);
    return inbox_post_copy(&node->inbox, st->arena, actor_of_wire(msg), msg);
}

/* ---- what the audit trail holds back ---- */

/* What was noted in this step can be written, as far as is known. */
static bool
may_hold(const struct node *node)
{
    return !node->auditor.full &&
           auditor_state(&node->auditor, node->auditor.serial) != AUDIT_REFUSED;
}

static void
hand_frame(const struct node_executor *executor, uint8_t to, bool soon, struct bytes frame)
{
    if (soon && executor->send_soon)
        executor->send_soon(executor->context, to, frame);
    else
        executor->send(executor->context, to, frame);
}

/*
 * A frame that is dropped is a lost message: the protocol copes. Frames leave in the order in which
 * they were made, held or not. `after_notes`: what it answers to was noted in an earlier step.
 */
static void
send_frame(struct node *node, const struct step *st, const struct node_executor *executor,
           const struct msg *msg, struct bytes frame)
{
    bool after_notes = msg->kind == MSG_WRITTEN && msg->u.written.ballot.offer;
    bool soon = msg->kind == MSG_CHOSEN && msg->u.chosen.ballot.offer;
    uint8_t to = msg->to;
    uint64_t earlier = after_notes ? auditor_unwritten(&node->auditor) : 0;
    bool noted = node->auditor.noted || earlier > 0;
    uint64_t serial = node->auditor.noted ? node->auditor.serial : earlier;
    if (executor->made)
        executor->made(executor->context, to, frame);
    if ((!noted && !node->hold.first) || PLANTED(answer_before_audit))
        hand_frame(executor, to, soon, frame);
    else if ((noted && !may_hold(node)) ||
             audit_hold_frame(&node->hold, serial, to, soon, frame) != OK)
        metrics_count(st->metrics, METRIC_audit_refused);
}

static void
send_reply(struct node *node, const struct node_executor *executor, const struct effect *reply)
{
    gateway_answered(&node->gateway);
    executor->execute(executor->context, reply);
}

/* How the request ended is noted, and the client hears of it when that is written. */
static void
answer(struct node *node, const struct step *st, const struct node_executor *executor,
       struct effect *reply)
{
    bool change =
        auditor_answered(&node->auditor, st, reply->u.reply.exchange, reply->u.reply.reply.err);
    if (may_hold(node) && !PLANTED(answer_before_audit) &&
        audit_hold_reply(&node->hold, node->auditor.serial, reply, change) == OK)
        return;
    if (!PLANTED(answer_before_audit))
        audit_refuse_reply(reply, change);
    send_reply(node, executor, reply);
}

static void
release(struct node *node, const struct step *st, const struct node_executor *executor)
{
    while (node->hold.first) {
        enum audit_state state = auditor_state(&node->auditor, node->hold.first->serial);
        if (state == AUDIT_WAITS)
            return;
        struct audit_held *held = audit_hold_take(&node->hold);
        if (held->is_reply) {
            if (state == AUDIT_REFUSED)
                audit_refuse_reply(&held->reply, held->is_change);
            send_reply(node, executor, &held->reply);
        } else if (state == AUDIT_WRITTEN) {
            hand_frame(executor, held->to, held->soon, buf_bytes(&held->frame));
        } else {
            metrics_count(st->metrics, METRIC_audit_refused);
        }
        audit_held_free(held);
    }
}

/* But a client whose request is lost on the way to the coordinator would wait for ever. */
static void
refuse_lost(struct node *node, const struct step *st, const struct node_executor *executor,
            const struct msg *msg)
{
    struct effect refused = {.kind = EFFECT_REPLY, .u.reply.reply = {.err = ERR_BUSY}};
    if (msg->kind != MSG_CHANGE || !msg->u.request.request)
        return;
    refused.u.reply.exchange = msg->u.request.exchange;
    answer(node, st, executor, &refused);
}

/* An answer leaves with what is durable now: it may have been written down long before. */
static void
stamp(const struct node *node, struct msg *msg)
{
    const struct member *self = &node->membership.members[node->membership.self];
    size_t at = msg_incarnations_at(msg->kind);
    if (at == 0)
        return;
    struct incarnations *incarnations = (struct incarnations *)((uint8_t *)msg + at);
    incarnations->life = self->life;
    incarnations->sequence = self->sequence;
}

static void
send_encoded(struct node *node, const struct step *st, const struct node_executor *executor,
             const struct msg *msg)
{
    struct buf *encoded = &node->encoded;
    enum vault_err err = msg_encode(msg, encoded);
    if (err != OK)
        log_event(st->log, LOG_ERROR, "node", "not_sent",
                  log_text("kind", msg_kind_name(msg->kind)), log_err("error", err));
    else
        send_frame(node, st, executor, msg, buf_bytes(encoded));
    buf_reset(encoded);
}

static void
send(struct node *node, const struct step *st, const struct node_executor *executor,
     struct msg *msg)
{
    msg->from = node->membership.self;
    stamp(node, msg);
    if (msg->to == node->membership.self) {
        if (sim_maybe(st, self_message_lost) || !post_to_self(node, st, msg))
            log_event(st->log, LOG_WARN, "node", "lost",
                      log_text("kind", msg_kind_name(msg->kind)));
    } else if (!node->in_turn || msg->kind != MSG_CHOSEN || !put_off(node, msg)) {
        send_encoded(node, st, executor, msg);
    }
}

static void
execute(struct node *node, const struct step *st, const struct node_executor *executor)
{
    for (size_t i = 0; i < node->effects.count; i++) {
        struct effect *effect = &node->effects.items[i];
        if (effect->kind == EFFECT_SEND) {
            send(node, st, executor, &effect->u.msg);
        } else if (effect->kind == EFFECT_LOCAL) {
            if (sim_maybe(st, local_message_lost) ||
                !inbox_post(&node->inbox, st->arena, effect->actor, &effect->u.msg))
                refuse_lost(node, st, executor, &effect->u.msg);
        } else if (effect->kind == EFFECT_REPLY) {
            answer(node, st, executor, effect);
        } else {
            executor->execute(executor->context, effect);
        }
    }
    node->effects.count = 0;
}

/* Handles what the node has sent to itself, in order, until nothing is left. */
static void
run_inbox(struct node *node, const struct step *st, const struct node_executor *executor)
{
    struct inbox_item *item;
    while ((item = inbox_next(&node->inbox))) {
        if (item->leaves)
            send_encoded(node, st, executor, &item->msg);
        else if (handle(node, st, item->actor, &item->msg) == OK)
            execute(node, st, executor);
    }
}

static void
run_put_off(struct node *node, const struct step *st, const struct node_executor *executor)
{
    take_put_off(node);
    run_inbox(node, st, executor);
}

/* ---- steps ---- */

/* The records that have gathered go to the store. */
static void
write_trail(struct node *node, const struct step *st, const struct node_executor *executor)
{
    struct watched_rng watched = {st->rng, &node->failed};
    struct rng rng = {&watched, watched_fill};
    struct step with_watch = *st;
    with_watch.rng = &rng;
    auditor_step_end(&node->auditor, &with_watch, &node->effects);
    execute(node, st, executor);
}

/*
 * The records of the step go to the store, those of a turn at its end; and what waited for earlier
 * ones leaves.
 */
static void
end_step(struct node *node, const struct step *st, const struct node_executor *executor)
{
    if (!node->in_turn || auditor_has_much(&node->auditor))
        write_trail(node, st, executor);
    release(node, st, executor);
}

void
node_turn_begin(struct node *node)
{
    secret_arena_open(node->secrets);
    node->in_turn = true;
}

void
node_turn_write(struct node *node, const struct step *st, const struct node_executor *executor)
{
    write_trail(node, st, executor);
    release(node, st, executor);
}

static bool
turn_of(struct node *node, bool (*take)(struct inbox *), const struct step *st,
        const struct node_executor *executor)
{
    if (!take(&node->inbox))
        return false;
    auditor_step_begin(&node->auditor);
    run_inbox(node, st, executor);
    end_step(node, st, executor);
    return true;
}

bool
node_turn_own_writes(struct node *node, const struct step *st, const struct node_executor *executor)
{
    return turn_of(node, inbox_take_own_writes, st, executor);
}

bool
node_turn_notices(struct node *node, const struct step *st, const struct node_executor *executor)
{
    return turn_of(node, inbox_take_notices, st, executor);
}

bool
node_has_put_off(const struct node *node)
{
    return inbox_has_put_off(&node->inbox);
}

bool
node_waits_for_trail(const struct node *node)
{
    return node->hold.first != NULL;
}

void
node_turn_end(struct node *node)
{
    node->in_turn = false;
    secret_arena_close(node->secrets);
}

/*
 * The coordinator's ephemeral key opens every box of its time: an hour, then it is wiped; sooner
 * when somebody's share key was replaced. What is boxed from then on is boxed to the new one, and
 * the heartbeat that says so leaves in a later step: so once everybody has said it, no ephemeral
 * key exists that was used with the old one.
 */
static void
renew_ephemeral_key(struct node *node, const struct step *st)
{
    bool old = instant_since(st->now, node->sender_renewed).ns >= duration_ms(EPHEMERAL_KEY_MS).ns;
    bool changed = node->membership.share_keys_changed && !PLANTED(ephemeral_key_kept);
    if (!old && !changed)
        return;
    node->membership.share_keys_changed = false;
    node->sender_renewed = st->now;
    if (box_sender_renew(&node->sender, st->rng) != OK)
        node->failed = true;
}

static void
renew_pair_key(struct node *node, const struct step *st)
{
    uint64_t age_ns = instant_since(st->now, node->pair_keys_renewed).ns;
    if (age_ns >= duration_ms(PAIR_KEY_OLD_MS).ns)
        pair_keys_forget_old(&node->pair_keys);
    if (age_ns < duration_ms(PAIR_KEY_MS).ns)
        return;
    node->pair_keys_renewed = st->now;
    if (pair_keys_renew(&node->pair_keys, st->rng) != OK)
        node->failed = true;
}

void
node_start(struct node *node, const struct step *st, const struct node_executor *executor)
{
    secret_arena_open(node->secrets);
    node->effects.count = 0;
    shard_store_start(&node->shard_store, st, &node->effects);
    execute(node, st, executor);
    repairer_start(&node->repairer, st, &node->effects);
    execute(node, st, executor);
    shredder_start(&node->shredder, st, &node->effects);
    execute(node, st, executor);
    anti_entropy_start(&node->anti_entropy, st, &node->effects);
    execute(node, st, executor);
    recovery_start(&node->recovery, st, &node->effects);
    execute(node, st, executor);
    scrubber_start(&node->scrubber, st, &node->effects);
    execute(node, st, executor);
    lister_start(&node->lister, st, &node->effects);
    execute(node, st, executor);
    records_start(&node->records, st, &node->effects);
    execute(node, st, executor);
    auditor_start(&node->auditor, st, &node->effects);
    execute(node, st, executor);
    sweeper_start(&node->sweeper, st, &node->effects);
    execute(node, st, executor);
    run_inbox(node, st, executor);
    end_step(node, st, executor);
    secret_arena_close(node->secrets);
}

void
node_deliver(struct node *node, const struct step *st, const struct node_executor *executor,
             enum actor_id actor, const struct msg *msg)
{
    secret_arena_open(node->secrets);
    renew_ephemeral_key(node, st);
    renew_pair_key(node, st);
    auditor_step_begin(&node->auditor);
    if (!node->in_turn)
        run_put_off(node, st, executor);
    if (handle(node, st, actor, msg) == OK)
        execute(node, st, executor);
    run_inbox(node, st, executor);
    end_step(node, st, executor);
    secret_arena_close(node->secrets);
}

enum vault_err
node_receive(struct node *node, const struct step *st, const struct node_executor *executor,
             uint8_t from, struct bytes frame)
{
    struct msg msg;
    enum vault_err err = msg_decode(frame, &msg);
    assert(from != node->membership.self);
    if (err == OK && (msg.kind == MSG_HANDOVER || msg.kind == MSG_HANDED))
        err = ERR_UNEXPECTED; /* a node sends these to itself alone */
    if (err == OK) {
        msg.from = from;
        msg.to = node->membership.self;
        if (node->in_turn && put_off(node, &msg))
            return OK;
        secret_arena_open(node->secrets);
        renew_ephemeral_key(node, st);
        auditor_step_begin(&node->auditor);
        if (!node->in_turn || !inbox_may_overtake(&msg))
            run_put_off(node, st, executor);
        err = handle(node, st, actor_of_wire(&msg), &msg);
        if (err == OK)
            execute(node, st, executor);
        run_inbox(node, st, executor);
        end_step(node, st, executor);
        secret_arena_close(node->secrets);
    }
    if (err != OK)
        metrics_count(st->metrics, METRIC_messages_refused);
    return err;
}

void
node_note(struct node *node, const struct step *st, const struct node_executor *executor,
          const struct audit_record *record)
{
    struct step with_audit = *st;
    with_audit.audit = &node->auditor;
    secret_arena_open(node->secrets);
    auditor_step_begin(&node->auditor);
    audit_note(&with_audit, record);
    end_step(node, &with_audit, executor);
    secret_arena_close(node->secrets);
}

/* ---- share keys ---- */

/* The newest key of this node that anybody has said to know. */
static uint64_t
share_key_known(const struct node *node)
{
    const struct membership *ms = &node->membership;
    uint64_t known = 0;
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        if (i != ms->self && ms->members[i].knows_key_id > known)
            known = ms->members[i].knows_key_id;
    }
    return known;
}

bool
node_share_key_outdated(const struct node *node)
{
    return share_key_known(node) > node->membership.members[node->membership.self].share_key.id;
}

enum vault_err
node_share_key_make(struct node *node, const struct step *st)
{
    secret_arena_open(node->secrets);
    enum vault_err err = share_keyring_generate_above(node->ring, share_key_known(node), st->rng);
    secret_arena_close(node->secrets);
    node->failed = node->failed || err == ERR_ENTROPY;
    return err;
}

void
node_share_key_announce(struct node *node)
{
    struct share_key_public *told = &node->membership.members[node->membership.self].share_key;
    const struct share_key_public *current = share_keyring_current(node->ring);
    if (told->id == current->id)
        return;
    *told = *current;
    node->membership.share_keys_changed = true;
}

void
node_share_keys_saved(struct node *node)
{
    share_keyring_saved(node->ring);
}

void
node_ephemeral_public(const struct node *node, uint8_t out[static X25519_BYTES])
{
    memcpy(out, node->sender.ephemeral_public, X25519_BYTES);
}

unsigned
node_share_keys_destroy(struct node *node, const struct step *st)
{
    /* A request may outlive its deadline by what is on its way: twice is ample. */
    struct duration settle = {2 * node->request_deadline.ns};
    secret_arena_open(node->secrets);
    renew_ephemeral_key(node, st); /* it was used with what may be destroyed now */
    secret_arena_close(node->secrets);
    uint64_t limit =
        share_rotation_destroyable(&node->rotation, &node->membership, st->now, settle);
    if (PLANTED(share_keys_destroyed_early))
        limit = share_keyring_current(node->ring)->id;
    unsigned destroyed = 0;
    secret_arena_open(node->secrets);
    for (unsigned i = SHARE_KEYS_MAX; i-- > 0;) {
        uint64_t id = node->ring->keys[i].public_half.id;
        if (id != 0 && id < limit) {
            share_keyring_destroy(node->ring, id);
            destroyed++;
        }
    }
    secret_arena_close(node->secrets);
    return destroyed;
}

unsigned
node_share_keys_held(const struct node *node)
{
    unsigned held = 0;
    for (unsigned i = 0; i < SHARE_KEYS_MAX; i++)
        held += node->ring->keys[i].public_half.id != 0;
    return held;
}

/* ---- what the runtime may see ---- */

const struct membership *
node_membership(const struct node *node)
{
    return &node->membership;
}

const struct anti_entropy *
node_anti_entropy(const struct node *node)
{
    return &node->anti_entropy;
}

uint64_t
node_incarnation(const struct node *node)
{
    return node->membership.members[node->membership.self].incarnation;
}

void
node_recovery(const struct node *node, struct recovery_progress *out)
{
    recovery_report(&node->recovery, out);
}

bool
node_serving(const struct node *node)
{
    return shard_store_serving(&node->shard_store);
}

size_t
node_in_flight(const struct node *node)
{
    return node->gateway.in_flight;
}

uint64_t
node_trail_block(const struct node *node)
{
    return node->auditor.serial;
}

bool
node_trail_is_written(const struct node *node, uint64_t block)
{
    return !node->auditor.loaded || auditor_state(&node->auditor, block) != AUDIT_WAITS;
}

void
node_set_sequence(struct node *node, uint64_t sequence)
{
    node->membership.members[node->membership.self].sequence = sequence;
    if (!node->membership.sequence_known)
        node->membership.sequence_found = sequence;
    node->membership.sequence_known = true;
}

bool
node_store_damaged(const struct node *node)
{
    return node->membership.repair.paths_in_doubt > 0;
}

bool
node_failed(const struct node *node)
{
    return node->failed;
}
