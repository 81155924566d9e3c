#include "sim/bearers_internal.h"

#include <stdio.h>
#include <string.h>

#include "actors/authority.h"
#include "auth/login.h"
#include "sim/options.h"

enum {
    TURN_MS_MIN = 30,
    TURN_MS_MAX = 500,
    SEND_US_MAX = 500,
    REVOKED_MS = 3000, /* then another takes its place */
    PROOF_MS = 20000,
    COUNTED_MS = 120000, /* long enough to be known when its last use is over */
    USES_MAX = 4,
    COUNT_TRIES_MAX = 20,
    COUNT_AGAIN_US = 20000,
    COUNT_ARENA_BYTES = 4096,
    OTHER_TENANT_PERMILLE = 200,
    DENIED_PERMILLE = 150,
    UPDATE_PERMILLE = 400,
    EXPECTED_PERMILLE = 700,
    CARELESS_PERMILLE = 150,
    SAME_KEY_PERMILLE = 300,
    TAKE_PERMILLE = 250,
    TRIED_MS = 400,
    BURST = 8,
};
static const uint64_t own_bit = UINT64_C(1) << 61;
/* Apart from the numbers of other tokens of the world. */
static const uint64_t first_number = UINT64_C(1) << 32;

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

/* ---- papers ---- */

static bool
standing_begin(struct world *world, unsigned node)
{
    struct bearers *b = &world->bearers;
    struct bearer_op *op = b->standing_moving ? NULL : bearer_op_new(world, JOB_STANDING, node);
    if (!op)
        return false;
    b->standing_moving = true;
    paper_standing(b->standing, &op->record);
    bearer_ask_record(op, REQUEST_RECORD_PUT, sim_token);
    bearer_op_send(world, op, 5, SEND_US_MAX);
    return true;
}

bool
bearer_give_begin(struct world *world, enum paper paper, bool good, unsigned node)
{
    struct sim_paper *p = &world->bearers.papers[paper];
    struct bearer_op *op = bearer_op_new(world, good ? JOB_GIVE : JOB_TAKE, node);
    if (!op)
        return false;
    op->paper = paper;
    if (good) {
        p->round++;
        world->bearers.times_given++;
        p->ends_ms = node_wall_ms(world, node) + prng_between(&world->bearers.prng, 1000, 6000);
    }
    p->state = PAPER_MOVING;
    paper_fill(world->options.seed, paper, good, p->round, p->ends_ms, &op->record);
    bearer_ask_record(op, op->record.size == 0 ? REQUEST_RECORD_DELETE : REQUEST_RECORD_PUT,
                      sim_token);
    bearer_op_send(world, op, 5, SEND_US_MAX);
    return true;
}

/* ---- tokens ---- */

void
bearer_login_token(const struct world *world, enum bearer bearer, uint64_t now_ms,
                   const char *credential, uint64_t until_ms, struct token *out)
{
    const char *tenant = bearer == BEARER_ROLE_ELSEWHERE ? GRANT_OTHER_TENANT : "default";
    struct login login = {.tenant = bytes_of_text(tenant)};
    uint8_t hash[HASH_BYTES] = {0};
    (void)world;
    paper_identity(bearer == BEARER_STATEMENT ? CALLER_HOLDER : CALLER_MACHINE, login.identity);
    if (bearer == BEARER_ROLE || bearer == BEARER_ROLE_ELSEWHERE)
        login.ttl_ms = ROLE_TTL_MS;
    if (bearer == BEARER_JWT) {
        paper_jwt_identity(credential, tenant, login.identity);
        login.until_ms = until_ms;
        login.policies = (struct auth_names){1, {bytes_of_text("readers")}};
    }
    /* A login that has ended by then makes none; what is tried then is as good as any. */
    if (login_token(&login, now_ms, hash, out) != OK) {
        login.until_ms = 0;
        if (login_token(&login, now_ms, hash, out) != OK)
            sim_fail((struct world *)world, SIM_CRASH, "logins", "a login makes no token");
    }
}

/* What the client of such a login proves itself with. */
void
bearer_draw_proof(struct world *world, struct bearer_op *op, enum bearer bearer, bool plain)
{
    struct prng *prng = &world->bearers.prng;
    uint64_t now_ms = node_wall_ms(world, op->node), seed = world->options.seed;
    bool elsewhere = bearer == BEARER_ROLE_ELSEWHERE;
    const struct sim_paper *role =
        &world->bearers.papers[elsewhere ? PAPER_ROLE_ELSEWHERE : PAPER_ROLE];
    if (bearer == BEARER_ROLE || bearer == BEARER_ROLE_ELSEWHERE) {
        op->round = role->round - (!plain && role->round > 1 && prng_chance(prng, 200));
        op->second = !plain && prng_chance(prng, 300);
        paper_role_text(seed, elsewhere, op->round, op->second, op->credential);
    } else if (bearer == BEARER_STATEMENT) {
        op->proof_ms = now_ms - (!plain && prng_chance(prng, 150) ? 61000 : prng_below(prng, 1000));
        paper_statement(world->cluster.id, "default", op->proof_ms, ++world->bearers.serial,
                        op->credential);
    } else {
        uint64_t until_s = now_ms / 1000 + (!plain && prng_chance(prng, 200) ? 0 : PROOF_MS / 1000);
        op->proof_ms = 1000 * until_s;
        paper_jwt(seed, bearer == BEARER_SIGNED_ELSEWHERE, until_s, ++world->bearers.serial, true,
                  op->credential);
    }
}

/* Made by the operator, or with the parent. */
static void
fill_token(struct world *world, enum bearer bearer, uint64_t now_ms, struct token *out)
{
    struct bearers *b = &world->bearers;
    bool counted = bearer == BEARER_COUNTED;
    struct token_wish wish = {.ttl_ms = counted ? COUNTED_MS : PROOF_MS,
                              .renewable = bearer == BEARER_PARENT,
                              .uses = counted ? prng_between(&b->prng, 1, USES_MAX) : 0};
    uint8_t identity[AUTH_UUID_BYTES], hash[HASH_BYTES] = {0};
    paper_identity(bearer == BEARER_TRAVELLER ? CALLER_TRAVELLER
                   : counted                  ? CALLER_STANDING
                                              : CALLER_MACHINE,
                   identity);
    if (bearer == BEARER_CHILD)
        wish.policies = (struct auth_names){1, {bytes_of_text("readers")}};
    const struct token *parent = bearer == BEARER_CHILD ? &b->of[BEARER_PARENT].token : NULL;
    if (token_fill(&wish, bytes_of_text(counted ? GRANT_OTHER_TENANT : "default"), identity, parent,
                   now_ms, hash, out) != OK)
        sim_fail(world, SIM_CRASH, "logins", "a token is not filled");
}

static bool
is_login(enum bearer bearer)
{
    return bearer == BEARER_ROLE || bearer == BEARER_ROLE_ELSEWHERE || bearer == BEARER_STATEMENT ||
           bearer == BEARER_JWT;
}

bool
bearer_make_begin(struct world *world, enum bearer bearer, unsigned node, bool plain)
{
    struct bearers *b = &world->bearers;
    struct sim_bearer *of = &b->of[bearer];
    uint64_t now_ms = node_wall_ms(world, node);
    const struct sim_bearer *parent = &b->of[BEARER_PARENT];
    bool orphan = bearer == BEARER_CHILD &&
                  (parent->state != TOKEN_LIVE || now_ms + 1000 > parent->token.expires_ms);
    struct bearer_op *op = orphan ? NULL : bearer_op_new(world, JOB_MAKE, node);
    if (!op)
        return false;
    *of = (struct sim_bearer){.number = first_number + ++b->count, .state = TOKEN_MAKING};
    op->bearer = bearer;
    op->number = of->number;
    if (is_login(bearer)) {
        bearer_draw_proof(world, op, bearer, plain);
        bearer_login_token(world, bearer, now_ms, op->credential, op->proof_ms, &of->token);
        memcpy(of->credential, op->credential, sizeof(of->credential));
    } else {
        fill_token(world, bearer, now_ms, &of->token);
        of->parent = bearer == BEARER_CHILD ? parent->number : 0;
        snprintf(op->credential, sizeof(op->credential), "%s",
                 bearer == BEARER_CHILD ? parent->text : sim_token);
    }
    grant_make_token(world->options.seed, of->number, &of->token, of->text, &op->record);
    bearer_ask_record(op, REQUEST_RECORD_PUT, op->credential);
    op->request.has_expected_version = is_login(bearer);
    bearer_op_send(world, op, 5, SEND_US_MAX);
    return true;
}

bool
bearer_revoke_begin(struct world *world, enum bearer bearer, unsigned node)
{
    struct sim_bearer *of = &world->bearers.of[bearer];
    struct bearer_op *op = bearer_op_new(world, JOB_REVOKE, node);
    char text[GRANT_TOKEN_BYTES];
    if (!op)
        return false;
    op->bearer = bearer;
    op->number = of->number;
    struct token same = of->token;
    grant_make_token(world->options.seed, of->number, &same, text, &op->record);
    bearer_ask_record(op, REQUEST_RECORD_DELETE, sim_token);
    of->state = TOKEN_REVOKING;
    bearer_op_send(world, op, 5, SEND_US_MAX);
    return true;
}

static bool
renew_begin(struct world *world, unsigned node)
{
    struct sim_bearer *of = &world->bearers.of[BEARER_PARENT];
    struct token after = of->token;
    if (of->state != TOKEN_LIVE || token_renew(&after, node_wall_ms(world, node)) != OK)
        return false;
    struct bearer_op *op = bearer_op_new(world, JOB_RENEW, node);
    if (!op)
        return false;
    op->bearer = BEARER_PARENT;
    op->number = of->number;
    of->token.expires_ms = after.expires_ms; /* perhaps */
    memcpy(op->credential, of->text, sizeof(of->text));
    grant_make_token(world->options.seed, of->number, &after, of->text, &op->record);
    bearer_ask_record(op, REQUEST_RECORD_PUT, op->credential);
    bearer_op_send(world, op, 5, SEND_US_MAX);
    return true;
}

/* ---- uses ---- */

static bool
acts_elsewhere(struct world *world, enum bearer bearer, bool plain)
{
    bool at_home_elsewhere = bearer == BEARER_ROLE_ELSEWHERE || bearer == BEARER_COUNTED ||
                             bearer == BEARER_SIGNED_ELSEWHERE;
    bool away = !plain && prng_chance(&world->bearers.prng,
                                      bearer == BEARER_TRAVELLER ? 500 : OTHER_TENANT_PERMILLE);
    return at_home_elsewhere != away;
}

/* At home whatever the clients have, elsewhere what there is. */
static struct sim_path *
pick_path(struct world *world, struct bearer_op *op, bool plain)
{
    struct prng *prng = &world->bearers.prng;
    struct clients *c = &world->clients;
    if (plain) /* everybody may read these */
        return &c->paths[op->elsewhere ? 0 : world->options.hot_paths];
    if (op->elsewhere) {
        op->secret = (unsigned)prng_below(prng, ELSEWHERE_SECRETS);
        return &c->paths[elsewhere_path(world, op->secret)];
    }
    return &c->paths[prng_chance(prng, DENIED_PERMILLE) ? 0 : prng_below(prng, c->path_count)];
}

/* Some with the key of the request before. */
static void
make_update(struct world *world, struct bearer_op *op)
{
    struct prng *prng = &world->bearers.prng;
    struct bearers *b = &world->bearers;
    op->request.kind = REQUEST_UPDATE;
    elsewhere_fill_value(world, op);
    if (prng_chance(prng, EXPECTED_PERMILLE)) {
        op->request.has_expected_version = true;
        op->request.expected_version = b->elsewhere.secrets[op->secret].version;
    }
    bool same = prng_chance(prng, SAME_KEY_PERMILLE);
    snprintf(op->key, sizeof(op->key), "key-%lu", (unsigned long)(b->serial / (same ? 8 : 1)));
    op->request.idempotency_key = bytes_of_text(op->key);
}

bool
bearer_use_begin(struct world *world, enum bearer bearer, unsigned node, bool plain)
{
    struct prng *prng = &world->bearers.prng;
    const struct sim_bearer *of = &world->bearers.of[bearer];
    struct bearer_op *op = bearer_op_new(world, JOB_USE, node);
    if (!op)
        return false;
    op->bearer = bearer;
    op->number = of->number;
    op->elsewhere = acts_elsewhere(world, bearer, plain);
    struct sim_path *path = pick_path(world, op, plain);
    path->reads_at |= UINT64_C(1) << node;
    op->request.kind = REQUEST_READ;
    op->request.tenant = bytes_of_text(op->elsewhere ? GRANT_OTHER_TENANT : "default");
    op->request.name = bytes_of_text(path->name);
    if (!plain && op->elsewhere && bearer != BEARER_TRAVELLER && prng_chance(prng, UPDATE_PERMILLE))
        make_update(world, op);
    op->careless = !plain && bearer == BEARER_COUNTED && prng_chance(prng, CARELESS_PERMILLE);
    if (bearer == BEARER_SIGNED || bearer == BEARER_SIGNED_ELSEWHERE)
        bearer_draw_proof(world, op, bearer, plain);
    else
        memcpy(op->credential, of->text, sizeof(of->text));
    op->request.credential = bytes_of_text(op->credential);
    op->may = bearer_may(world, op);
    bearer_op_send(world, op, 5, SEND_US_MAX);
    return true;
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
        (void)renew_begin(world, node);
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
    if (world->clients.stop)
        return;
    try_taken(world);
    if (world->tokens.granted == GRANTS && pick_node(world, &node)) {
        if (b->standing < PAPERS_STANDING)
            (void)standing_begin(world, node);
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
