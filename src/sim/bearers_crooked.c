/* What nobody may: records of tokens that a login or a token does not make. */
#include <stdio.h>
#include <string.h>

#include "sim/bearers_internal.h"

static const uint64_t day_ms = UINT64_C(24) * 3600 * 1000;
/* Apart from the numbers of tokens that are used. */
static const uint64_t first_number = UINT64_C(1) << 33;

static void
put(struct world *world, struct bearer_op *op, uint64_t number, struct token *token)
{
    char text[GRANT_TOKEN_BYTES];
    grant_make_token(world->options.seed, number, token, text, &op->record);
    bearer_ask_record(op, REQUEST_RECORD_PUT, op->credential);
    bearer_op_send(world, op, 5, 500);
}

void
bearer_spoil(struct world *world, struct token *token)
{
    bool home = bytes_equal(token->tenant, bytes_of_text("default"));
    switch (prng_below(&world->bearers.prng, 4)) {
    case 0:
        token->expires_ms += 1000;
        token->latest_ms = token->expires_ms;
        break;
    case 1: paper_identity(CALLER_TRAVELLER, token->identity); break;
    case 2: token->tenant = bytes_of_text(home ? GRANT_OTHER_TENANT : "default"); break;
    default: token->policies = (struct auth_names){1, {bytes_of_text("hoppers")}}; break;
    }
}

static bool
another_login(struct world *world, unsigned node)
{
    struct bearer_op *op = bearer_op_new(world, JOB_CROOKED, node);
    struct token token;
    if (!op)
        return false;
    op->bearer = (enum bearer)prng_below(&world->bearers.prng, BEARER_JWT + 1);
    bearer_draw_proof(world, op, op->bearer, false);
    bearer_login_token(world, op->bearer, node_wall_ms(world, node), op->credential, op->proof_ms,
                       &token);
    bearer_spoil(world, &token);
    put(world, op, first_number + ++world->bearers.serial, &token);
    return true;
}

/* A token that was revoked, made by the same login once more. */
static bool
another_life(struct world *world, unsigned node)
{
    for (unsigned i = 0; i <= BEARER_JWT; i++) {
        const struct sim_bearer *of = &world->bearers.of[i];
        struct token same = of->token;
        if (of->state != TOKEN_REVOKED || !of->was_live)
            continue;
        struct bearer_op *op = bearer_op_new(world, JOB_CROOKED, node);
        if (!op)
            return false;
        op->bearer = (enum bearer)i;
        memcpy(op->credential, of->credential, sizeof(of->credential));
        put(world, op, of->number, &same);
        return true;
    }
    return false;
}

/* It outlives its parent, or is somebody else's. */
static bool
another_child(struct world *world, unsigned node)
{
    const struct sim_bearer *parent = &world->bearers.of[BEARER_PARENT];
    struct token child = parent->token;
    if (parent->state < TOKEN_LIVE)
        return false;
    struct bearer_op *op = bearer_op_new(world, JOB_CROOKED, node);
    if (!op)
        return false;
    op->bearer = BEARER_CHILD;
    snprintf(op->credential, sizeof(op->credential), "%s", parent->text);
    child.has_parent = true;
    child.depth = 1;
    ticket_accessor(parent->token.hash, child.parent);
    if (prng_chance(&world->bearers.prng, 500))
        paper_identity(CALLER_TRAVELLER, child.identity);
    else
        child.expires_ms = child.latest_ms = parent->token.latest_ms + 1;
    put(world, op, first_number + ++world->bearers.serial, &child);
    return true;
}

/* More time, or more uses, than the record lets it have. */
static bool
more_of_itself(struct world *world, unsigned node, enum bearer bearer)
{
    const struct sim_bearer *of = &world->bearers.of[bearer];
    struct token more = of->token;
    if (of->state < TOKEN_LIVE || (bearer == BEARER_COUNTED && of->counted == 0))
        return false;
    struct bearer_op *op = bearer_op_new(world, JOB_CROOKED, node);
    if (!op)
        return false;
    op->bearer = bearer;
    memcpy(op->credential, of->text, sizeof(of->text));
    if (bearer == BEARER_PARENT)
        more.expires_ms += 10 * day_ms;
    put(world, op, of->number, &more);
    return true;
}

bool
bearer_crooked_begin(struct world *world, unsigned node)
{
    switch (prng_below(&world->bearers.prng, 6)) {
    case 0: return another_life(world, node);
    case 1: return another_child(world, node);
    case 2: return more_of_itself(world, node, BEARER_PARENT);
    case 3: return more_of_itself(world, node, BEARER_COUNTED);
    default: return another_login(world, node);
    }
}
