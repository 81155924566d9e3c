#include "sim/bearers_internal.h"

#include <stdio.h>
#include <string.h>

#include "actors/authority.h"
#include "sim/options.h"

enum {
    TURN_MS_MIN = 30,
    TURN_MS_MAX = 500,
    REVOKED_MS = 3000, /* then another takes its place */
    COUNT_TRIES_MAX = 20,
    COUNT_AGAIN_US = 20000,
    COUNT_ARENA_BYTES = 4096,
    TAKE_PERMILLE = 250,
    TRIED_MS = 400,
    BURST = 8,
    REQUESTS_MAX = 600, /* of a seed: some last very long */
};
static const uint64_t own_bit = UINT64_C(1) << 61;

/* ---- operations ---- */

bool
bearers_own(uint64_t exchange)
{
    return exchange & own_bit;
}

struct bearer_op *
bearer_op_new(struct world *world, enum bearer_job job, unsigned node)
{
    struct bearers *b = &world->bearers;
    unsigned i = 0;
    while (i < BEARER_OPS_MAX && b->ops[i].live)
        i++;
    if (i == BEARER_OPS_MAX)
        return NULL;
    struct bearer_op *op = &b->ops[i];
    *op = (struct bearer_op){.live = true, .node = node, .job = job};
    snprintf(op->id, sizeof(op->id), "bearer-%lu", (unsigned long)++b->serial);
    op->request = (struct request){.routed = true, .id = bytes_of_text(op->id)};
    return op;
}

void
bearer_op_send(struct world *world, struct bearer_op *op, uint64_t us_min, uint64_t us_max)
{
    struct event *event = event_new(world, EVENT_REQUEST, op->node,
                                    1000 * prng_between(&world->bearers.prng, us_min, us_max), 0);
    event->tag = own_bit | (uint64_t)(op - world->bearers.ops);
    op->delivered = false;
    event_push(world, event);
}

void
bearer_ask_record(struct bearer_op *op, enum request_kind kind, const char *credential)
{
    op->request.kind = kind;
    op->request.tenant = bytes_of_text(op->record.tenant);
    op->request.name = bytes_of_text(op->record.name);
    op->request.credential = bytes_of_text(credential);
    if (kind == REQUEST_RECORD_PUT)
        op->request.value = bytes_of(op->record.value, op->record.size);
}

/* ---- counting ---- */

static void
hand(struct world *world, struct bearer_op *op, const struct request *request)
{
    struct msg msg = {.kind = MSG_REQUEST};
    op->delivered = true;
    op->handed_ns = world->now_ns;
    op->is_void = bearer_is_void(world, op, true);
    msg.u.request.request = request;
    msg.u.request.exchange = own_bit | (uint64_t)(op - world->bearers.ops);
    node_hand(world, op->node, ACTOR_GATEWAY, &msg);
}

static void
end(struct world *world, struct bearer_op *op, const struct reply *reply)
{
    trace_line(&world->trace, world->now_ns, "bearer op %s at node %u: job %d of %d %s: %s", op->id,
               op->node, (int)op->job, (int)op->bearer, request_kind_name(op->request.kind),
               vault_err_name(reply->err));
    op->live = false;
    bearer_check(world, op, reply);
}

/* The change of the token's record outlives the arena in which it was made. */
static void
take_count(struct world *world, struct bearer_op *op, const struct request *made)
{
    if (world->bearers.of[op->bearer].number == op->number)
        world->bearers.of[op->bearer].count_begun_ns = world->now_ns;
    world->bearers.times_given++;
    op->counted = (struct grant){.tenant = SYSTEM_TENANT, .size = made->value.size};
    memcpy(op->counted.value, made->value.data, made->value.size);
    memcpy(op->counted.name, made->name.data, made->name.size);
    op->count = *made;
    op->count.routed = true;
    op->count.id = op->request.id;
    op->count.name = bytes_of_text(op->counted.name);
    op->count.value = bytes_of(op->counted.value, op->counted.size);
}

/* As the server does it: one use is counted before the request runs. */
static void
count_once(struct world *world, struct bearer_op *op)
{
    struct step st = {.now = node_now(world, op->node), .wall_ms = node_wall_ms(world, op->node)};
    const struct membership *ms = node_membership(world->nodes[op->node].node);
    struct request made;
    struct arena arena;
    arena_init(&arena, COUNT_ARENA_BYTES);
    op->stage = COUNT_UNDER_WAY;
    struct reply failed = {.err =
                               authority_count_use(ms, &st, op->request.credential, &arena, &made)};
    if (failed.err == OK)
        take_count(world, op, &made);
    arena_close(&arena);
    if (failed.err == OK)
        hand(world, op, &op->count);
    else
        end(world, op, &failed);
}

void
bearers_deliver(struct world *world, uint64_t exchange)
{
    struct bearer_op *op = &world->bearers.ops[exchange & (BEARER_OPS_MAX - 1)];
    const struct membership *ms = node_membership(world->nodes[op->node].node);
    thief_sees_bearer(world, op);
    if (op->entered_ns == 0 && op->job == JOB_USE && world->phase == PHASE_FAULTS) {
        static const struct reply later = {.err = ERR_RATE_LIMITED};
        op->entered_ns = world->now_ns;
        if (sim_door_enter(world, op) != OK) {
            end(world, op, &later);
            return;
        }
    }
    if (op->stage != COUNT_DONE && !op->careless &&
        authority_counts_uses(ms, op->request.credential))
        count_once(world, op);
    else
        hand(world, op, &op->request);
}

static void
on_counted(struct world *world, struct bearer_op *op, const struct reply *reply)
{
    struct sim_bearer *of = &world->bearers.of[BEARER_COUNTED];
    bool again = reply->err == ERR_VERSION_MISMATCH || reply->err == ERR_CONTENDED ||
                 reply->err == ERR_FORBIDDEN || reply->err == ERR_NOT_FOUND;
    bearer_check_void(world, op, reply->err);
    if (reply->err == OK) {
        of->counted += of->number == op->number;
        op->stage = COUNT_DONE;
        op->request.use_counted = true;
        bearer_op_send(world, op, 1, 2);
    } else if (again && ++op->tries < COUNT_TRIES_MAX) {
        bearer_op_send(world, op, COUNT_AGAIN_US, COUNT_AGAIN_US + 1000);
    } else {
        end(world, op, reply);
    }
}

void
bearers_reply(struct world *world, unsigned node, uint64_t exchange, const struct reply *reply)
{
    struct bearer_op *op = &world->bearers.ops[exchange & (BEARER_OPS_MAX - 1)];
    if (!op->live || op->node != node || !op->delivered)
        sim_fail(world, SIM_SAFETY, "answer", "an answer to nobody");
    op->delivered = false;
    if (op->stage == COUNT_UNDER_WAY)
        on_counted(world, op, reply);
    else
        end(world, op, reply);
}

void
bearers_node_crashed(struct world *world, unsigned node)
{
    static const struct reply open = {.err = ERR_NO_QUORUM, .phase = PHASE_VOTING};
    for (unsigned i = 0; i < BEARER_OPS_MAX; i++) {
        struct bearer_op *op = &world->bearers.ops[i];
        if (op->live && op->node == node) {
            op->unanswered = true;
            op->delivered = false;
            end(world, op, &open);
        }
    }
}

void
bearers_count(const struct world *world, uint64_t in_flight[static NODES_MAX])
{
    for (unsigned i = 0; i < BEARER_OPS_MAX; i++) {
        const struct bearer_op *op = &world->bearers.ops[i];
        in_flight[op->node] += op->live && op->delivered;
    }
}

/* ---- turns ---- */

static void
next_turn(struct world *world)
{
    uint64_t ms = prng_between(&world->bearers.prng, TURN_MS_MIN, TURN_MS_MAX);
    event_push(world, event_new(world, EVENT_BEARERS, 0, ms_to_ns(ms), 0));
}

void
bearers_init(struct world *world)
{
    world->bearers.times_given = 1;
    prng_init(&world->bearers.prng, world->options.seed ^ UINT64_C(0x62656172657273));
    if (world->options.cost_nodes == 0)
        event_push(world, event_new(world, EVENT_BEARERS, 0, ms_to_ns(1600), 0));
}

static bool
pick_node(struct world *world, unsigned *out)
{
    unsigned n = world->options.nodes, first = (unsigned)prng_below(&world->bearers.prng, n);
    for (unsigned i = 0; i < n; i++) {
        *out = (first + i) % n;
        if (node_up(world, *out))
            return true;
    }
    return false;
}

/* All are given first; then what is good is seldom taken away, and what is away soon comes back. */
static void
change_paper(struct world *world, unsigned node)
{
    enum paper paper = (enum paper)prng_below(&world->bearers.prng, PAPERS);
    for (unsigned i = 0; i < PAPERS; i++) {
        if (world->bearers.papers[i].state == PAPER_NONE)
            paper = (enum paper)i;
    }
    switch (world->bearers.papers[paper].state) {
    case PAPER_MOVING: break;
    case PAPER_NONE:
    case PAPER_GONE:
    case PAPER_TAKEN: (void)bearer_give_begin(world, paper, true, node); break;
    case PAPER_OPEN: (void)bearer_give_begin(world, paper, false, node); break;
    case PAPER_GOOD:
        if (prng_chance(&world->bearers.prng, TAKE_PERMILLE))
            (void)bearer_give_begin(world, paper, false, node);
        break;
    }
}

static void
change_token(struct world *world, unsigned node)
{
    enum bearer bearer = (enum bearer)prng_below(&world->bearers.prng, BEARER_TOKENS);
    const struct sim_bearer *of = &world->bearers.of[bearer];
    bool old = of->state == TOKEN_REVOKED && world->now_ns - of->revoked_ns > ms_to_ns(REVOKED_MS);
    if (of->state == TOKEN_NONE || old)
        (void)bearer_make_begin(world, bearer, node, false);
    else if (of->state == TOKEN_OPEN ||
             (of->state == TOKEN_LIVE &&
              prng_chance(&world->bearers.prng, bearer == BEARER_COUNTED ? 50 : 250)))
        (void)bearer_revoke_begin(world, bearer, node);
    else if (bearer == BEARER_PARENT)
        (void)bearer_renew_begin(world, node);
}

/* More at once than some tenants may. */
static void
use_often(struct world *world, unsigned node)
{
    static const enum bearer bearers[] = {BEARER_ROLE_ELSEWHERE, BEARER_SIGNED_ELSEWHERE};
    for (unsigned i = 0; i < BURST; i++) {
        enum bearer bearer = bearers[i % 2];
        if (bearer >= BEARER_SIGNED || world->bearers.of[bearer].state >= TOKEN_OPEN)
            (void)bearer_use_begin(world, bearer, node, true);
    }
}

static void
use_something(struct world *world, unsigned node)
{
    enum bearer bearer = (enum bearer)prng_below(&world->bearers.prng, BEARERS);
    if (bearer >= BEARER_SIGNED || world->bearers.of[bearer].state >= TOKEN_OPEN)
        (void)bearer_use_begin(world, bearer, node, false);
}

/* What has just been taken away is tried everywhere: somebody may not have heard of it. */
static void
try_taken(struct world *world)
{
    const struct bearers *b = &world->bearers;
    if (b->taken == 0 || world->now_ns - b->taken_ns > ms_to_ns(TRIED_MS))
        return;
    for (unsigned node = 0; node < world->options.nodes; node++) {
        if (node_up(world, node) &&
            (b->taken_of >= BEARER_SIGNED || b->of[b->taken_of].state >= TOKEN_OPEN))
            (void)bearer_use_begin(world, b->taken_of, node, false);
    }
}

void
bearers_turn(struct world *world)
{
    struct bearers *b = &world->bearers;
    unsigned node;
    if (world->clients.stop || b->serial > REQUESTS_MAX)
        return;
    try_taken(world);
    if (world->tokens.granted == GRANTS && pick_node(world, &node)) {
        if (b->standing < PAPERS_STANDING)
            (void)bearer_standing_begin(world, node);
        else if (b->papers[PAPER_ROLE].state == PAPER_NONE || prng_chance(&b->prng, 300))
            change_paper(world, node);
        if (prng_chance(&b->prng, 500))
            change_token(world, node);
        if (prng_chance(&b->prng, 300))
            (void)elsewhere_begin(world, node);
        if (world->options.other_rate > 0 && prng_chance(&b->prng, 50))
            use_often(world, node);
        if (prng_chance(&b->prng, 250))
            (void)bearer_crooked_begin(world, node);
    }
    for (unsigned i = 0; i < 2 && pick_node(world, &node); i++)
        use_something(world, node);
    next_turn(world);
}
