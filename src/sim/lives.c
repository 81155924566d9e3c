#include "sim/lives_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "sim/memory.h"
#include "sim/options.h"

enum {
    SEEDS_PERMILLE = 300,
    TURN_MS_MIN = 50,
    TURN_MS_MAX = 900,
    SEND_US_MAX = 500,
    LIFE_MS_MIN = 500,
    LIFE_MS_MAX = 5000,
    AGAIN_MS_MIN = 200,
    AGAIN_MS_MAX = 2000,
    WRONG_MS = 600000, /* more than a clock jumps by */
    FLOW_BYTES_MAX = 1024 * 1024,
    PAGE_NAMES = 100,
    REQUESTS_MAX = 400, /* of a seed: some last very long */
};
static const uint64_t own_bit = UINT64_C(1) << 60;
static const uint64_t first_token = UINT64_C(1) << 33; /* apart from the world's other tokens */
static const uint64_t lifetime_ms = UINT64_C(30) * 24 * 3600 * 1000; /* longer than any run */

/* ---- identity records of the tenant: the same in each life, but for the token ---- */

static const char *const policies[LIFE_POLICIES] = {"all", "more"};

static void
fill_policy(const char *name, struct grant *out)
{
    struct policy *policy = sim_alloc(sizeof(*policy)); /* 13 KiB */
    struct buf encoded = {0};
    policy->rule_count = 1;
    policy->rules[0].path = bytes_of_text("**");
    policy->rules[0].capabilities = (1U << CAPABILITY_DENY) - 1;
    policy->rules[0].not_after = MINUTES_PER_DAY;
    grant_set(out, LIFE_TENANT, AUTH_KIND_POLICY, name, policy_encode(policy, &encoded), &encoded);
    free(policy);
}

static void
fill_identity(const uint8_t id[static AUTH_UUID_BYTES], struct grant *out)
{
    struct identity identity = {.name = bytes_of_text("a tenant's"), .policies = {.count = 1}};
    struct buf encoded = {0};
    char key[UUID_TEXT_BYTES + 1];
    memcpy(identity.id, id, AUTH_UUID_BYTES);
    identity.policies.names[0] = bytes_of_text(policies[0]);
    uuid_format(id, key);
    grant_set(out, LIFE_TENANT, AUTH_KIND_IDENTITY, key, identity_encode(&identity, &encoded),
              &encoded);
}

static void
fill_record(const struct world *world, unsigned number, unsigned life,
            char text[static GRANT_TOKEN_BYTES], struct grant *out)
{
    static const uint8_t id[AUTH_UUID_BYTES] = {0x55};
    struct token token = {.tenant = bytes_of_text(LIFE_TENANT),
                          .created_ms = sim_wall_start_ms,
                          .expires_ms = sim_wall_start_ms + lifetime_ms,
                          .latest_ms = sim_wall_start_ms + lifetime_ms};
    memcpy(token.identity, id, sizeof(id));
    if (number == 0)
        fill_policy(policies[0], out);
    else if (number == 1)
        fill_identity(id, out);
    else
        grant_make_token(world->options.seed, first_token + life, &token, text, out);
}

/* ---- operations ---- */

bool
lives_own(uint64_t exchange)
{
    return exchange & own_bit;
}

struct path
lives_path(const struct world *world, unsigned secret)
{
    return (struct path){bytes_of_text(LIFE_TENANT),
                         bytes_of_text(world->clients.paths[secret].name)};
}

static struct life_op *
op_new(struct world *world, enum life_job job, unsigned node)
{
    struct lives *l = &world->lives;
    unsigned i = 0;
    while (i < LIFE_OPS_MAX && l->ops[i].live)
        i++;
    if (i == LIFE_OPS_MAX)
        return NULL;
    struct life_op *op = &l->ops[i];
    *op = (struct life_op){.live = true, .node = node, .job = job};
    snprintf(op->id, sizeof(op->id), "life-%lu", (unsigned long)++l->serial);
    op->request = (struct request){.routed = true,
                                   .id = bytes_of_text(op->id),
                                   .tenant = bytes_of_text(LIFE_TENANT),
                                   .credential = bytes_of_text(sim_token),
                                   .limit = PAGE_NAMES};
    return op;
}

static void
send(struct world *world, struct life_op *op, uint64_t us_max)
{
    struct event *event = event_new(world, EVENT_REQUEST, op->node,
                                    1000 * prng_between(&world->lives.prng, 1, us_max), 0);
    event->tag = own_bit | (uint64_t)(op - world->lives.ops);
    op->delivered = false;
    event_push(world, event);
}

static void
end(struct world *world, struct life_op *op, const struct reply *reply)
{
    trace_line(&world->trace, world->now_ns, "%s at node %u, life %u: %s %s: %s version %lu",
               op->id, op->node, world->lives.life, request_kind_name(op->request.kind),
               op->request.name.size > 0 ? (const char *)op->request.name.data : "",
               vault_err_name(reply->err), (unsigned long)reply->version);
    op->live = false;
    if (op->job == LIFE_CLIENT)
        lives_check(world, op, reply);
    else if (op->job == LIFE_RECORD)
        world->lives.made += reply->err == OK;
    if (op->job != LIFE_CLIENT)
        world->lives.operating = false;
}

/* ---- what the operator does ---- */

static void
begin_life(struct world *world)
{
    struct lives *l = &world->lives;
    l->stage = LIFE_MAKING;
    l->life++;
    l->tried = l->told = l->marked = false;
    l->limited = prng_chance(&l->prng, 700);
    l->made = 0;
    for (unsigned i = 0; i < LIFE_SECRETS; i++) {
        struct life_secret *s = &l->secrets[i];
        *s = (struct life_secret){.used = prng_chance(&l->prng, 500),
                                  .changing = s->changing,
                                  .created_life = s->created_life};
    }
}

static void
end_life(struct world *world)
{
    struct lives *l = &world->lives;
    trace_line(&world->trace, world->now_ns, "life %u of tenant third has ended", l->life);
    l->stage = LIFE_OVER;
    l->ended = l->life;
}

static void
tenant_made(struct world *world, enum vault_err err)
{
    struct lives *l = &world->lives;
    if (err == ERR_ALREADY_EXISTS && !l->tried)
        sim_fail(world, SIM_SAFETY, "purged", "the tenant is there, whose life %u has ended",
                 l->ended);
    if (err == OK || err == ERR_ALREADY_EXISTS) {
        l->stage = LIFE_ON;
        l->due_ns = world->now_ns + ms_to_ns(prng_between(&l->prng, LIFE_MS_MIN, LIFE_MS_MAX));
    }
    l->tried = true;
    l->told = l->told || err == OK;
}

/* A flow's answer, or that there is none. */
static void
flow_ended(struct world *world, struct life_op *op, enum vault_err err)
{
    struct lives *l = &world->lives;
    const struct reply reply = {.err = err, .version = op->flow.response.status};
    bool purge = op->request.auth_op == AUTH_TENANT_DELETE;
    if (purge && (err == ERR_NOT_FOUND || (err == OK && op->flow.response.status == 200)))
        end_life(world);
    else if (!purge)
        tenant_made(world, err);
    if (purge)
        l->due_ns = world->now_ns + ms_to_ns(prng_between(&l->prng, AGAIN_MS_MIN, AGAIN_MS_MAX));
    end(world, op, &reply);
    api_response_close(&op->flow.response);
    arena_close(&op->arena);
}

/* Where clocks jump everywhere there is none that nodes agree on: then the operator's is right. */
static void
set_clocks(struct world *world, struct life_op *op)
{
    const struct membership *ms = node_membership(world->nodes[op->node].node);
    bool jump = world->faults.on[FAULT_clock_jump];
    op->flow.now_ms = node_wall_ms(world, op->node);
    op->flow.agreed_ms = jump ? sim_wall_start_ms + world->now_ns / 1000000
                              : membership_clock_ms(ms, op->flow.now_ms);
}

static void
take_turn(struct world *world, struct life_op *op, enum flow_turn turn)
{
    if (turn == FLOW_DONE)
        flow_ended(world, op, op->flow.refused.err);
    else
        send(world, op, 2);
}

/* With a limit of secrets votes come before a new one is stored anywhere. */
static const char body[] = "{\"name\":\"" LIFE_TENANT "\"}";
static const char limited_body[] = "{\"name\":\"" LIFE_TENANT "\",\"limits\":{\"secrets\":99}}";

static void
begin_flow(struct world *world, struct life_op *op, enum auth_op auth_op)
{
    op->request.kind = REQUEST_AUTH;
    op->request.auth_op = auth_op;
    op->request.name = bytes_of_text(LIFE_TENANT);
    op->request.purge = auth_op == AUTH_TENANT_DELETE;
    op->request.body = bytes_of_text(world->lives.limited ? limited_body : body);
    arena_init(&op->arena, FLOW_BYTES_MAX);
    op->flow = (struct auth_flow){
        .request = &op->request, .arena = &op->arena, .rng = &world->nodes[op->node].rng};
    set_clocks(world, op);
    take_turn(world, op, auth_flow_start(&op->flow));
}

static void
put_record(struct world *world, struct life_op *op)
{
    op->request.kind = REQUEST_RECORD_PUT;
    op->request.tenant = bytes_of_text(op->record.tenant);
    op->request.name = bytes_of_text(op->record.name);
    op->request.value = bytes_of(op->record.value, op->record.size);
    send(world, op, SEND_US_MAX);
}

static void
begin_record(struct world *world, struct life_op *op)
{
    fill_record(world, world->lives.made, world->lives.life, op->credential, &op->record);
    put_record(world, op);
}

void
lives_operate(struct world *world, unsigned node)
{
    struct lives *l = &world->lives;
    bool due = world->now_ns >= l->due_ns, records = l->stage == LIFE_ON && !due;
    if (l->operating || (!due && l->stage != LIFE_ON) || (records && l->made == LIFE_RECORDS))
        return;
    struct life_op *op = op_new(world, records ? LIFE_RECORD : LIFE_FLOW, node);
    if (!op)
        return;
    l->operating = true;
    if (records) {
        begin_record(world, op);
        return;
    }
    if (l->stage == LIFE_OVER)
        begin_life(world);
    if (l->stage == LIFE_ON) {
        lives_plot(world);
        l->stage = LIFE_PURGING;
    }
    begin_flow(world, op, l->stage == LIFE_MAKING ? AUTH_TENANT_CREATE : AUTH_TENANT_DELETE);
}

/* ---- what clients do ---- */

static bool
is_change(enum request_kind kind)
{
    return kind == REQUEST_CREATE || kind == REQUEST_UPDATE || kind == REQUEST_DELETE;
}

void
lives_ask(struct world *world, enum request_kind kind, unsigned secret, unsigned token,
          unsigned node)
{
    struct life_secret *s = &world->lives.secrets[secret];
    struct grant record;
    struct life_op *op = is_change(kind) && s->changing ? NULL : op_new(world, LIFE_CLIENT, node);
    if (!op)
        return;
    op->secret = secret;
    op->token = token;
    if (token > 0) {
        fill_record(world, LIFE_RECORDS - 1, token, op->credential, &record);
        op->request.credential = bytes_of_text(op->credential);
    }
    op->request.kind = kind;
    if (kind == REQUEST_RECORD_LIST)
        op->request.name = bytes_of_text(RECORD_PREFIX "policy/");
    else if (kind != REQUEST_NAMES && kind != REQUEST_BATCH)
        op->request.name = lives_path(world, secret).name;
    for (unsigned i = 0; i < LIFE_SECRETS; i++) {
        op->items[i].name = lives_path(world, i).name;
        world->clients.paths[i].reads_at |= UINT64_C(1) << node;
    }
    if (kind == REQUEST_BATCH) {
        op->request.items = op->items;
        op->request.item_count = LIFE_SECRETS;
    }
    s->changing = s->changing || is_change(kind);
    send(world, op, SEND_US_MAX);
}

void
lives_ask_policy(struct world *world, unsigned node)
{
    struct life_op *op = op_new(world, LIFE_CLIENT, node);
    if (!op)
        return;
    fill_policy(policies[1], &op->record);
    put_record(world, op);
}

/* Whoever still has the token of the life before tries it, too. */
static unsigned
draw_token(struct lives *l)
{
    if (l->ended > 0 && prng_chance(&l->prng, 200))
        return l->ended;
    return l->made == LIFE_RECORDS && prng_chance(&l->prng, 500) ? l->life : 0;
}

static void
ask_something(struct world *world, unsigned node)
{
    static const enum request_kind kinds[] = {
        REQUEST_READ,   REQUEST_READ,  REQUEST_READ,    REQUEST_UPDATE, REQUEST_UPDATE,
        REQUEST_DELETE, REQUEST_NAMES, REQUEST_HISTORY, REQUEST_BATCH,  REQUEST_RECORD_LIST};
    struct lives *l = &world->lives;
    unsigned secret = (unsigned)prng_below(&l->prng, LIFE_SECRETS);
    enum request_kind kind = kinds[prng_below(&l->prng, sizeof(kinds) / sizeof(kinds[0]))];
    const struct life_secret *s = &l->secrets[secret];
    if (s->used && s->floor == 0 && prng_chance(&l->prng, 600))
        kind = REQUEST_CREATE;
    unsigned token = kind == REQUEST_RECORD_LIST ? 0 : draw_token(l);
    lives_ask(world, kind, secret, token, node);
}

/* ---- requests and replies ---- */

void
lives_deliver(struct world *world, uint64_t exchange)
{
    struct life_op *op = &world->lives.ops[exchange & (LIFE_OPS_MAX - 1)];
    struct msg msg = {.kind = MSG_REQUEST};
    /* Whoever makes a token in a tenant has looked for its identity before (auth_tokens.c). */
    if (op->job == LIFE_RECORD && world->lives.stage != LIFE_ON) {
        end(world, op, &(struct reply){.err = ERR_NOT_FOUND});
        return;
    }
    if (op->job == LIFE_RECORD)
        world->lives.policies[0] = world->lives.life;
    if (op->job == LIFE_CLIENT)
        lives_handed(world, op);
    op->delivered = true;
    msg.u.request.request = op->job == LIFE_FLOW ? &op->flow.step : &op->request;
    msg.u.request.exchange = exchange;
    node_hand(world, op->node, ACTOR_GATEWAY, &msg);
}

void
lives_reply(struct world *world, unsigned node, uint64_t exchange, const struct reply *reply)
{
    struct life_op *op = &world->lives.ops[exchange & (LIFE_OPS_MAX - 1)];
    if (!op->live || op->node != node || !op->delivered)
        sim_fail(world, SIM_SAFETY, "answer", "an answer to nobody");
    op->delivered = false;
    if (op->job != LIFE_FLOW) {
        end(world, op, reply);
        return;
    }
    if (op->request.purge && op->flow.step.kind == REQUEST_RECORD_PUT && reply->err == OK)
        world->lives.marked = true;
    set_clocks(world, op);
    take_turn(world, op, auth_flow_continue(&op->flow, reply));
}

void
lives_node_crashed(struct world *world, unsigned node)
{
    static const struct reply open = {.err = ERR_NO_QUORUM, .phase = PHASE_WRITING};
    for (unsigned i = 0; i < LIFE_OPS_MAX; i++) {
        struct life_op *op = &world->lives.ops[i];
        if (!op->live || op->node != node)
            continue;
        op->delivered = false;
        if (op->job == LIFE_FLOW)
            flow_ended(world, op, open.err);
        else
            end(world, op, &open);
    }
}

void
lives_count(const struct world *world, uint64_t in_flight[static NODES_MAX])
{
    for (unsigned i = 0; i < LIFE_OPS_MAX; i++) {
        const struct life_op *op = &world->lives.ops[i];
        in_flight[op->node] += op->live && op->delivered;
    }
}

void
lives_close(struct world *world)
{
    for (unsigned i = 0; i < LIFE_OPS_MAX; i++) {
        struct life_op *op = &world->lives.ops[i];
        if (op->live && op->job == LIFE_FLOW) {
            api_response_close(&op->flow.response);
            arena_close(&op->arena);
        }
    }
}

/* ---- turns ---- */

static void
next_turn(struct world *world)
{
    uint64_t ms = prng_between(&world->lives.prng, TURN_MS_MIN, TURN_MS_MAX);
    event_push(world, event_new(world, EVENT_LIVES, 0, ms_to_ns(ms), 0));
}

void
lives_init(struct world *world)
{
    struct lives *l = &world->lives;
    prng_init(&l->prng, world->options.seed ^ UINT64_C(0x6c69766573));
    l->on = world->options.cost_nodes == 0 && prng_chance(&l->prng, SEEDS_PERMILLE);
    if (l->on)
        event_push(world, event_new(world, EVENT_LIVES, 0, ms_to_ns(1200), 0));
}

/* A purge begins where the clock is wrong, if it is somewhere. */
static unsigned
pick_node(struct world *world)
{
    struct lives *l = &world->lives;
    for (unsigned i = 0; i < world->options.nodes && l->stage == LIFE_ON; i++) {
        int64_t off_ms = world->nodes[i].wall_offset_ms;
        if (!l->operating && node_up(world, i) && (off_ms > WRONG_MS || off_ms < -WRONG_MS)) {
            l->due_ns = world->now_ns;
            return i;
        }
    }
    return (unsigned)prng_below(&l->prng, world->options.nodes);
}

void
lives_turn(struct world *world)
{
    struct lives *l = &world->lives;
    if (world->clients.stop || l->serial > REQUESTS_MAX)
        return;
    for (unsigned i = 0; i < 2; i++) {
        unsigned node = pick_node(world);
        if (!node_up(world, node))
            continue;
        lives_operate(world, node);
        if (l->life > 0)
            ask_something(world, node);
    }
    next_turn(world);
}
