/* What bearers and the operator begin: giving and taking papers, making tokens, using them. */
#include <stdio.h>
#include <string.h>

#include "auth/login.h"
#include "sim/bearers_internal.h"
#include "sim/options.h"

enum {
    SEND_US_MAX = 500,
    PROOF_MS = 20000,
    COUNTED_MS = 120000, /* long enough to be known when its last use is over */
    USES_MAX = 4,
    OTHER_TENANT_PERMILLE = 200,
    DENIED_PERMILLE = 150,
    UPDATE_PERMILLE = 400,
    EXPECTED_PERMILLE = 700,
    CARELESS_PERMILLE = 150,
    SAME_KEY_PERMILLE = 300,
};
/* Apart from the numbers of other tokens of the world. */
static const uint64_t first_number = UINT64_C(1) << 32;

/* ---- papers ---- */

bool
bearer_standing_begin(struct world *world, unsigned node)
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
    *of = (struct sim_bearer){
        .number = first_number + ++b->count, .state = TOKEN_MAKING, .version = 1};
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

bool
bearer_renew_begin(struct world *world, unsigned node)
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
    op->request.has_expected_version = true; /* else it could follow a revocation */
    op->request.expected_version = of->version;
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
