/*
 * What must hold of the bearers' requests:
 *
 * revoked: once it has been answered that something is taken away (a token, its parent, its
 *   identity, the issuer, the certificate, the secret id), or when it has ended by the clock of the
 *   node, that very node lets nobody in by it.
 * beyond: nobody is given what the policies of his tenant do not give him, in the tenant in which
 *   he acts; no login makes another token than is its own, no token makes more of itself.
 * uses: no more requests are let in with a counted token than it has uses.
 * tenants, limits: elsewhere.h.
 */
#include <string.h>

#include "auth/statement.h"
#include "sim/bearers_internal.h"

static bool
is_off(const struct world *world, enum paper paper)
{
    enum paper_state state = world->bearers.papers[paper].state;
    return state == PAPER_NONE || state == PAPER_TAKEN;
}

/* ---- what it comes with ---- */

static bool
statement_is_old(uint64_t made_ms, uint64_t now_ms)
{
    if (now_ms == 0)
        return false;
    return made_ms > now_ms ? made_ms - now_ms > STATEMENT_AHEAD_MS_MAX
                            : now_ms - made_ms > STATEMENT_AGE_MS_MAX;
}

/* In both: `now_ms` 0: by what was taken away alone. */
static bool
proof_is_void(const struct world *world, const struct bearer_op *op, uint64_t now_ms)
{
    bool elsewhere = op->bearer == BEARER_ROLE_ELSEWHERE || op->bearer == BEARER_SIGNED_ELSEWHERE;
    enum paper role = elsewhere ? PAPER_ROLE_ELSEWHERE : PAPER_ROLE;
    const struct sim_paper *of_role = &world->bearers.papers[role];
    if (op->bearer == BEARER_STATEMENT)
        return is_off(world, PAPER_AUTHORITY) || is_off(world, PAPER_HOLDER) ||
               statement_is_old(op->proof_ms, now_ms);
    if (op->bearer == BEARER_ROLE || op->bearer == BEARER_ROLE_ELSEWHERE)
        return is_off(world, role) || op->round < of_role->round ||
               (op->second && now_ms >= of_role->ends_ms) ||
               is_off(world, elsewhere ? PAPER_MACHINE_ELSEWHERE : PAPER_MACHINE);
    return is_off(world, elsewhere ? PAPER_ISSUER_ELSEWHERE : PAPER_ISSUER) ||
           now_ms >= op->proof_ms;
}

static bool
identity_is_off(const struct world *world, enum bearer bearer)
{
    static const enum paper of[BEARER_TOKENS] = {
        [BEARER_ROLE] = PAPER_MACHINE,        [BEARER_ROLE_ELSEWHERE] = PAPER_MACHINE_ELSEWHERE,
        [BEARER_STATEMENT] = PAPER_HOLDER,    [BEARER_PARENT] = PAPER_MACHINE,
        [BEARER_CHILD] = PAPER_MACHINE,       [BEARER_COUNTED] = PAPER_MACHINE_ELSEWHERE,
        [BEARER_TRAVELLER] = PAPER_TRAVELLER,
    };
    return bearer != BEARER_JWT && bearer != BEARER_COUNTED && is_off(world, of[bearer]);
}

/* Its parent's place is taken by another only after the parent had been revoked. */
static bool
parent_is_gone(const struct world *world, uint64_t number)
{
    const struct sim_bearer *parent = &world->bearers.of[BEARER_PARENT];
    return parent->number != number || parent->state == TOKEN_REVOKED;
}

static bool
token_is_void(const struct world *world, enum bearer bearer, uint64_t number, uint64_t now_ms)
{
    const struct sim_bearer *of = &world->bearers.of[bearer];
    if (identity_is_off(world, bearer))
        return true;
    if (of->number != number)
        return false;
    return of->state == TOKEN_REVOKED || now_ms >= of->token.expires_ms ||
           (bearer == BEARER_CHILD && parent_is_gone(world, of->parent));
}

bool
bearer_is_void(const struct world *world, const struct bearer_op *op, bool by_clock)
{
    uint64_t now_ms = by_clock ? node_wall_ms(world, op->node) : 0;
    bool is_signed = op->bearer >= BEARER_SIGNED;
    const struct sim_bearer *of = &world->bearers.of[op->bearer];
    switch (op->job) {
    case JOB_MAKE:
        if (op->bearer == BEARER_CHILD)
            return token_is_void(world, BEARER_PARENT, of->parent, now_ms);
        return op->bearer <= BEARER_JWT && proof_is_void(world, op, now_ms);
    case JOB_RENEW: return token_is_void(world, op->bearer, op->number, now_ms);
    case JOB_USE:
        if (is_signed)
            return proof_is_void(world, op, now_ms);
        return op->careless || token_is_void(world, op->bearer, op->number, now_ms);
    case JOB_STANDING:
    case JOB_GIVE:
    case JOB_TAKE:
    case JOB_REVOKE:
    case JOB_CROOKED:
    case JOB_KEEP: break;
    }
    return false;
}

/* ---- what it may ---- */

bool
bearer_may(const struct world *world, const struct bearer_op *op)
{
    bool reads = op->request.kind == REQUEST_READ;
    bool hot = op->request.name.data[0] == 'h';
    (void)world;
    switch (op->bearer) {
    case BEARER_ROLE:
    case BEARER_STATEMENT:
    case BEARER_JWT:
    case BEARER_PARENT:
    case BEARER_CHILD:
    case BEARER_SIGNED: return !op->elsewhere && reads && tokens_may_read(op->request.name);
    case BEARER_ROLE_ELSEWHERE:
    case BEARER_COUNTED: return op->elsewhere && hot && (reads || op->request.has_expected_version);
    case BEARER_SIGNED_ELSEWHERE: return op->elsewhere && hot && reads;
    case BEARER_TRAVELLER: return reads && op->elsewhere == hot;
    }
    return false;
}

/* ---- answers ---- */

static bool
was_let_in(const struct bearer_op *op, enum vault_err err)
{
    bool anybody = err == ERR_RATE_LIMITED || err == ERR_NOT_READY ||
                   err == ERR_AUDIT_UNAVAILABLE || err == ERR_BUSY || err == ERR_NOMEM ||
                   err == ERR_ENTROPY;
    return !op->unanswered && op->stage != COUNT_UNDER_WAY && !anybody &&
           err != ERR_UNAUTHENTICATED;
}

void
bearer_check_void(struct world *world, const struct bearer_op *op, enum vault_err err)
{
    if (op->is_void && (err == OK || was_let_in(op, err)))
        sim_fail(world, SIM_SAFETY, "revoked",
                 "node %u lets bearer %d in (job %d) with what was not valid any more: %s",
                 op->node, (int)op->bearer, (int)op->job, vault_err_name(err));
}

static void
note_taken(struct world *world, enum bearer bearer)
{
    world->bearers.taken++;
    world->bearers.taken_ns = world->now_ns;
    world->bearers.taken_of = bearer;
    thief_hears_of_taking(world);
}

/* Somebody who is nobody without it. */
static enum bearer
bearer_of(enum paper paper)
{
    switch (paper) {
    case PAPER_ROLE:
    case PAPER_MACHINE: return BEARER_ROLE;
    case PAPER_ROLE_ELSEWHERE:
    case PAPER_MACHINE_ELSEWHERE: return BEARER_ROLE_ELSEWHERE;
    case PAPER_AUTHORITY:
    case PAPER_HOLDER: return BEARER_STATEMENT;
    case PAPER_TRAVELLER: return BEARER_TRAVELLER;
    case PAPER_ISSUER: return BEARER_SIGNED;
    case PAPER_ISSUER_ELSEWHERE: break;
    }
    return BEARER_SIGNED_ELSEWHERE;
}

static void
paper_ended(struct world *world, const struct bearer_op *op, enum vault_err err)
{
    struct sim_paper *p = &world->bearers.papers[op->paper];
    if (op->job == JOB_GIVE) {
        p->was_good = err == OK;
        p->state = err == OK ? PAPER_GOOD : PAPER_OPEN;
    } else if (err == OK || (err == ERR_NOT_FOUND && p->was_good)) {
        p->state = PAPER_TAKEN;
        note_taken(world, bearer_of(op->paper));
    } else {
        p->state = err == ERR_NOT_FOUND ? PAPER_GONE : PAPER_OPEN;
    }
}

/* By the true time: then it may have been swept, which is no revocation (tokens.c). */
static bool
has_ended(const struct world *world, const struct sim_bearer *of)
{
    return sim_wall_start_ms + world->now_ns / 1000000 >= of->token.expires_ms;
}

/* One of unknown outcome may have taken the version that this one expected. */
static void
renewal_ended(struct world *world, const struct bearer_op *op, enum vault_err err)
{
    struct sim_bearer *of = &world->bearers.of[op->bearer];
    if (of->number == op->number && (err == OK || err == ERR_VERSION_MISMATCH))
        of->version++;
}

static void
token_ended(struct world *world, const struct bearer_op *op, enum vault_err err)
{
    struct sim_bearer *of = &world->bearers.of[op->bearer];
    if (op->job == JOB_MAKE) {
        of->was_live = err == OK;
        of->state = err == OK ? TOKEN_LIVE : TOKEN_OPEN;
    } else if (err == OK || (err == ERR_NOT_FOUND && of->was_live && !has_ended(world, of))) {
        of->state = TOKEN_REVOKED;
        of->revoked_ns = world->now_ns;
        note_taken(world, op->bearer == BEARER_PARENT ? BEARER_CHILD : op->bearer);
    } else {
        of->state = err == ERR_NOT_FOUND ? TOKEN_NONE : TOKEN_OPEN;
    }
}

static void
check_uses(struct world *world, const struct bearer_op *op)
{
    struct sim_bearer *of = &world->bearers.of[BEARER_COUNTED];
    if (op->bearer != BEARER_COUNTED || of->number != op->number)
        return;
    of->served++;
    if (of->served > of->token.uses_limit || of->served > of->counted)
        sim_fail(world, SIM_SAFETY, "uses",
                 "%lu requests were let in with a token of %lu uses, of which %lu were counted",
                 (unsigned long)of->served, (unsigned long)of->token.uses_limit,
                 (unsigned long)of->counted);
}

static void
use_ended(struct world *world, const struct bearer_op *op, const struct reply *reply)
{
    struct bearers *b = &world->bearers;
    bool let_in = was_let_in(op, reply->err);
    b->served[op->bearer] += let_in;
    b->refused += !let_in;
    if (reply->err == OK && !op->may)
        sim_fail(world, SIM_SAFETY, "beyond",
                 "node %u lets bearer %d do what it may not: %s of %s in tenant %s", op->node,
                 (int)op->bearer, request_kind_name(op->request.kind),
                 (const char *)op->request.name.data, op->elsewhere ? "other" : "default");
    if (let_in)
        check_uses(world, op);
    check_door(world, op, reply->err);
    if (reply->err != OK)
        return;
    if (op->request.kind == REQUEST_READ)
        elsewhere_check_value(world, op, reply);
    else
        b->elsewhere.secrets[op->secret].version = reply->version;
}

/* Voters are asked only when the node has taken it for good. */
static void
crooked_ended(struct world *world, const struct bearer_op *op, const struct reply *reply)
{
    world->bearers.crooked++;
    if (op->stage == COUNT_UNDER_WAY)
        return; /* it was the honest count of a use that had no answer */
    if (reply->err == OK || reply->phase == PHASE_WRITING)
        sim_fail(world, SIM_SAFETY, "beyond",
                 "node %u puts for bearer %d the record of a token that it may not have", op->node,
                 (int)op->bearer);
}

void
bearer_check(struct world *world, struct bearer_op *op, const struct reply *reply)
{
    bearer_check_void(world, op, reply->err);
    switch (op->job) {
    case JOB_STANDING:
        world->bearers.standing_moving = false;
        world->bearers.standing += reply->err == OK;
        break;
    case JOB_GIVE:
    case JOB_TAKE: paper_ended(world, op, reply->err); break;
    case JOB_MAKE:
    case JOB_REVOKE: token_ended(world, op, reply->err); break;
    case JOB_RENEW: renewal_ended(world, op, reply->err); break;
    case JOB_USE: use_ended(world, op, reply); break;
    case JOB_CROOKED: crooked_ended(world, op, reply); break;
    case JOB_KEEP: elsewhere_ended(world, op, reply); break;
    }
}
