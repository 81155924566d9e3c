#include "sim/tokens.h"

#include <stdio.h>
#include <string.h>

#include "actors/lease.h"
#include "sim/options.h"
#include "sim/world.h"

enum {
    TURN_MS_MAX = 300,
    REVOKED_MS = 6000,
    REVOKED_TRIED_MS = 500,
    LEASES_MS = 90000,
    ANSWER_MS = 30000
};
static const uint64_t own_bit = UINT64_C(1) << 62;

/* ---- making requests ---- */

bool
tokens_own(uint64_t exchange)
{
    return exchange & own_bit;
}

static struct token_op *
op_begin(struct world *world, unsigned token, unsigned node, enum request_kind kind)
{
    struct tokens *t = &world->tokens;
    unsigned i = 0;
    while (i < TOKEN_OPS_MAX && t->ops[i].live)
        i++;
    if (i == TOKEN_OPS_MAX)
        return NULL;
    struct token_op *op = &t->ops[i];
    *op = (struct token_op){
        .live = true, .node = node, .token = token, .number = t->tokens[token].number};
    grant_fill_token(world->options.seed, op->number, t->tokens[token].ends_ms, op->credential,
                     &op->record);
    snprintf(op->id, sizeof(op->id), "token-%lu", (unsigned long)op->number);
    op->request = (struct request){.kind = kind, .routed = true, .id = bytes_of_text(op->id)};
    struct event *event =
        event_new(world, EVENT_REQUEST, node, 1000 * prng_between(&t->prng, 5, 500), 0);
    event->tag = own_bit | i;
    event_push(world, event);
    return op;
}

static void
ask_for_record(struct token_op *op)
{
    op->request.tenant = bytes_of_text(op->record.tenant);
    op->request.name = bytes_of_text(op->record.name);
    op->request.credential = bytes_of_text(sim_token);
    if (op->request.kind == REQUEST_RECORD_PUT)
        op->request.value = bytes_of(op->record.value, op->record.size);
}

static bool
change_begin(struct world *world, unsigned token, unsigned node, enum request_kind kind)
{
    struct token_op *op = op_begin(world, token, node, kind);
    if (op)
        ask_for_record(op);
    return op != NULL;
}

/* The next record that all tokens rest on. */
static void
grant_begin(struct world *world, unsigned node)
{
    struct tokens *t = &world->tokens;
    struct token_op *op = t->granting ? NULL : op_begin(world, 0, node, REQUEST_RECORD_PUT);
    if (!op)
        return;
    t->granting = true;
    op->grant = true;
    grant_fill(&world->options, t->granted, &op->record);
    ask_for_record(op);
}

/* Somebody reads a secret with it. */
static bool
use_begin(struct world *world, unsigned token, unsigned node)
{
    struct token_op *op = op_begin(world, token, node, REQUEST_READ);
    if (!op)
        return false;
    struct sim_path *path =
        &world->clients.paths[prng_below(&world->tokens.prng, world->clients.path_count)];
    path->reads_at |= UINT64_C(1) << node;
    op->request.tenant = bytes_of_text("default");
    op->request.name = bytes_of_text(path->name);
    op->request.credential = bytes_of_text(op->credential);
    return true;
}

void
tokens_deliver(struct world *world, uint64_t exchange)
{
    struct token_op *op = &world->tokens.ops[exchange & (TOKEN_OPS_MAX - 1)];
    const struct sim_token *token = &world->tokens.tokens[op->token];
    struct msg msg = {.kind = MSG_REQUEST};
    op->delivered = true;
    thief_sees_credential(world, op->node, op->request.credential);
    op->revoked = token->number == op->number && token->state == TOKEN_REVOKED;
    msg.u.request.request = &op->request;
    msg.u.request.exchange = exchange;
    node_hand(world, op->node, ACTOR_GATEWAY, &msg);
}

/* ---- what is known of them ---- */

uint64_t
tokens_number(const struct world *world, struct bytes credential)
{
    for (unsigned i = 0; i < TOKENS; i++) {
        const struct sim_token *token = &world->tokens.tokens[i];
        if (token->number != 0 && bytes_equal(bytes_of_text(token->text), credential))
            return token->number;
    }
    return 0;
}

bool
tokens_is_revoked(const struct world *world, uint64_t number)
{
    for (unsigned i = 0; i < TOKENS; i++) {
        const struct sim_token *token = &world->tokens.tokens[i];
        if (token->number == number)
            return token->state == TOKEN_REVOKED;
    }
    return false;
}

bool
tokens_may_read(struct bytes name)
{
    return !bytes_equal(name, bytes_of_text(GRANT_DENIED_NAME));
}

/* ---- turns ---- */

static void
next_turn(struct world *world)
{
    uint64_t ms = prng_between(&world->tokens.prng, 10, TURN_MS_MAX);
    event_push(world, event_new(world, EVENT_TOKENS, 0, ms_to_ns(ms), 0));
}

void
tokens_init(struct world *world)
{
    prng_init(&world->tokens.prng, world->options.seed ^ UINT64_C(0x746f6b656e73));
    if (world->options.cost_nodes == 0)
        event_push(world, event_new(world, EVENT_TOKENS, 0, ms_to_ns(1500), 0));
}

static int
pick_node(struct world *world)
{
    unsigned n = world->options.nodes, first = (unsigned)prng_below(&world->tokens.prng, n);
    for (unsigned i = 0; i < n; i++) {
        if (node_up(world, (first + i) % n))
            return (int)((first + i) % n);
    }
    return -1;
}

/* Soon enough for what is left of it to be swept while the run goes on. */
static uint64_t
draw_end(struct world *world)
{
    uint64_t now_ms = sim_wall_start_ms + world->now_ns / 1000000;
    if (prng_chance(&world->tokens.prng, 300))
        return 0;
    return now_ms + prng_skewed(&world->tokens.prng, 500, 15000);
}

static void
make_token(struct world *world, unsigned number, unsigned node)
{
    struct sim_token *token = &world->tokens.tokens[number];
    struct grant record;
    *token = (struct sim_token){.number = ++world->tokens.count};
    if (world->options.sweep_slack_ms > 0 && !world->tokens.lasting)
        token->ends_ms = draw_end(world);
    grant_fill_token(world->options.seed, token->number, token->ends_ms, token->text, &record);
    if (change_begin(world, number, node, REQUEST_RECORD_PUT))
        token->state = TOKEN_MAKING;
}

/* Some node hears from nobody, or is heard by nobody. */
static bool
somebody_is_apart(const struct world *world)
{
    unsigned n = world->options.nodes;
    for (unsigned i = 0; i < n; i++) {
        unsigned whole = 0;
        for (unsigned j = 0; j < n; j++)
            whole += i != j && net_whole(world, i, j) && net_whole(world, j, i);
        if (whole == 0 && n > 1 && node_up(world, i))
            return true;
    }
    return false;
}

static void
change_token(struct world *world, unsigned number, unsigned node)
{
    struct sim_token *token = &world->tokens.tokens[number];
    bool old =
        token->state == TOKEN_REVOKED && world->now_ns - token->revoked_ns > ms_to_ns(REVOKED_MS);
    if (token->state == TOKEN_NONE || old)
        make_token(world, number, node);
    else if ((token->state == TOKEN_OPEN ||
              (token->state == TOKEN_LIVE &&
               prng_chance(&world->tokens.prng, somebody_is_apart(world) ? 900 : 300))) &&
             change_begin(world, number, node, REQUEST_RECORD_DELETE))
        token->state = TOKEN_REVOKING;
}

/* Just revoked, it is tried everywhere: somebody may not have heard of it. */
static void
try_revoked(struct world *world)
{
    const struct tokens *t = &world->tokens;
    for (unsigned i = 0; i < TOKENS; i++) {
        const struct sim_token *token = &t->tokens[i];
        if (token->state != TOKEN_REVOKED ||
            world->now_ns - token->revoked_ns > ms_to_ns(REVOKED_TRIED_MS))
            continue;
        for (unsigned node = 0; node < world->options.nodes; node++) {
            if (node_up(world, node))
                (void)use_begin(world, i, node);
        }
    }
}

void
tokens_turn(struct world *world)
{
    struct tokens *t = &world->tokens;
    int node = pick_node(world);
    if (world->clients.stop)
        return;
    if (node >= 0 && t->granted < GRANTS)
        grant_begin(world, (unsigned)node);
    else if (node >= 0)
        change_token(world, (unsigned)prng_below(&t->prng, TOKENS), (unsigned)node);
    for (unsigned i = 0; i < TOKENS; i++) {
        node = pick_node(world);
        if (node >= 0 && t->tokens[i].state >= TOKEN_LIVE)
            (void)use_begin(world, i, (unsigned)node);
    }
    try_revoked(world);
    next_turn(world);
}

/* ---- answers ---- */

static void
was_used(struct world *world, const struct token_op *op, enum vault_err err)
{
    bool refused = err == ERR_UNAUTHENTICATED || err == ERR_NOT_READY ||
                   err == ERR_AUDIT_UNAVAILABLE; /* whoever asks */
    world->tokens.used += !refused;
    world->tokens.refused += refused;
    if (op->revoked && !refused && err != ERR_BUSY && err != ERR_NOMEM)
        sim_fail(world, SIM_SAFETY, "revoked",
                 "node %u serves with token %lu, which was revoked before: %s", op->node,
                 (unsigned long)op->number, vault_err_name(err));
    if (err == OK && !tokens_may_read(op->request.name))
        sim_fail(world, SIM_SAFETY, "beyond",
                 "node %u serves with token %lu what that may not read", op->node,
                 (unsigned long)op->number);
}

/*
 * A token that somebody may still be making is never known to be gone, but by its own end. That one
 * which has ended is not found may be the work of the sweep: a node whose clock is behind honours it
 * until it has heard of that, as it does any token that has ended by the others' clocks alone.
 */
static void
was_revoked(struct world *world, struct sim_token *token, enum vault_err err)
{
    bool ended =
        token->ends_ms != 0 && sim_wall_start_ms + world->now_ns / 1000000 >= token->ends_ms;
    if (err == OK || (err == ERR_NOT_FOUND && token->was_live && !ended)) {
        token->state = TOKEN_REVOKED;
        token->revoked_ns = world->now_ns;
        thief_hears_of_revocation(world, token->number);
        world->tokens.revocations++;
    } else {
        token->state = err == ERR_NOT_FOUND ? TOKEN_NONE : TOKEN_OPEN;
    }
}

static void
op_ended(struct world *world, struct token_op *op, enum vault_err err)
{
    struct sim_token *token = &world->tokens.tokens[op->token];
    op->live = false;
    trace_line(&world->trace, world->now_ns, "token %lu at node %u: %s %s",
               (unsigned long)op->number, op->node, request_kind_name(op->request.kind),
               vault_err_name(err));
    if (op->grant) {
        world->tokens.granting = false;
        world->tokens.granted += err == OK;
    } else if (op->request.kind == REQUEST_READ) {
        was_used(world, op, err);
    } else if (op->request.kind == REQUEST_RECORD_PUT) {
        token->was_live = err == OK;
        token->state = err == OK ? TOKEN_LIVE : TOKEN_OPEN;
    } else {
        was_revoked(world, token, err);
    }
}

void
tokens_reply(struct world *world, unsigned node, uint64_t exchange, const struct reply *reply)
{
    struct token_op *op = &world->tokens.ops[exchange & (TOKEN_OPS_MAX - 1)];
    if (!op->live || op->node != node)
        sim_fail(world, SIM_SAFETY, "answer", "an answer to nobody");
    op_ended(world, op, reply->err);
}

void
tokens_node_crashed(struct world *world, unsigned node)
{
    for (unsigned i = 0; i < TOKEN_OPS_MAX; i++) {
        struct token_op *op = &world->tokens.ops[i];
        if (!op->live || op->node != node)
            continue;
        if (op->request.kind == REQUEST_READ) {
            op->live = false;
        } else {
            op_ended(world, op, ERR_NO_QUORUM);
        }
    }
}

void
tokens_count(const struct world *world, uint64_t in_flight[static NODES_MAX])
{
    for (unsigned i = 0; i < TOKEN_OPS_MAX; i++) {
        const struct token_op *op = &world->tokens.ops[i];
        in_flight[op->node] += op->live && op->delivered;
    }
}

/* ---- phase 3 ---- */

static bool
all_have_leases(const struct world *world)
{
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (!lease_is_valid(node_membership(world->nodes[i].node), node_now(world, i)))
            return false;
    }
    return true;
}

static bool
all_answered(const struct world *world)
{
    for (unsigned i = 0; i < TOKEN_OPS_MAX; i++) {
        if (world->tokens.ops[i].live)
            return false;
    }
    return true;
}

static void
run_until(struct world *world, uint64_t ms, bool (*done)(const struct world *world),
          const char *property, const char *what)
{
    uint64_t until = world->now_ns + ms_to_ns(ms);
    while (!done(world) && world->now_ns < until) {
        uint64_t next = world->now_ns + ms_to_ns(20);
        while (world_step(world, next))
            continue;
    }
    if (!done(world))
        sim_fail(world, SIM_LIVENESS, property, "%s", what);
}

static void
use_everywhere(struct world *world, bool served)
{
    struct tokens *t = &world->tokens;
    uint64_t used = t->used;
    for (unsigned i = 0; i < world->options.nodes; i++)
        (void)use_begin(world, 0, i);
    run_until(world, ANSWER_MS, all_answered, "lease", "a use of a token has no answer");
    if (t->used - used != (served ? world->options.nodes : 0))
        sim_fail(world, SIM_LIVENESS, "lease", "of %u nodes %lu serve with a token",
                 world->options.nodes, (unsigned long)(t->used - used));
}

void
tokens_whole(struct world *world)
{
    struct tokens *t = &world->tokens;
    run_until(world, LEASES_MS, all_have_leases, "lease", "some node may not decide");
    run_until(world, ANSWER_MS, all_answered, "lease", "a request about tokens has no answer");
    for (unsigned i = t->granted; i < GRANTS; i++) {
        grant_begin(world, 0);
        run_until(world, ANSWER_MS, all_answered, "lease", "a record is not made");
    }
    t->lasting = true;
    make_token(world, 0, 0);
    run_until(world, ANSWER_MS, all_answered, "lease", "a token is not made");
    if (t->tokens[0].state != TOKEN_LIVE)
        sim_fail(world, SIM_LIVENESS, "lease", "a token cannot be made");
    use_everywhere(world, true);
    if (change_begin(world, 0, world->options.nodes - 1, REQUEST_RECORD_DELETE))
        t->tokens[0].state = TOKEN_REVOKING;
    run_until(world, ANSWER_MS, all_answered, "lease", "a token is not revoked");
    if (t->tokens[0].state != TOKEN_REVOKED)
        sim_fail(world, SIM_LIVENESS, "lease", "a token cannot be revoked");
    use_everywhere(world, false);
}
