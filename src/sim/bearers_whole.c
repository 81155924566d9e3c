/*
 * Phase 3: with nothing wrong any more everybody is let in, a counted token exactly as often as it
 * has uses, and nobody any longer whose papers are taken away.
 */
#include "sim/bearers_internal.h"

enum { ANSWER_MS = 30000, STEP_MS = 20, TRIES = 6, CLOCK_MS = 1000, END_MS = 2500 };

static bool
all_answered(const struct world *world)
{
    for (unsigned i = 0; i < BEARER_OPS_MAX; i++) {
        if (world->bearers.ops[i].live)
            return false;
    }
    return true;
}

static void
wait_for_answers(struct world *world)
{
    uint64_t until = world->now_ns + ms_to_ns(ANSWER_MS);
    while (!all_answered(world) && world->now_ns < until) {
        uint64_t next = world->now_ns + ms_to_ns(STEP_MS);
        while (world_step(world, next))
            continue;
    }
    if (!all_answered(world))
        sim_fail(world, SIM_LIVENESS, "logins", "a request of a bearer has no answer");
}

/* Its clock is right; logins need a majority of such. */
static bool
clock_is_right(const struct world *world, unsigned node)
{
    uint64_t now_ms = sim_wall_start_ms + world->now_ns / 1000000;
    uint64_t own_ms = node_wall_ms(world, node);
    return (own_ms > now_ms ? own_ms - now_ms : now_ms - own_ms) < CLOCK_MS;
}

/*
 * The first such node, of those that are not just being handed over what they know, after a clock
 * that had run away; -1: there are too few.
 */
static int
right_node(const struct world *world)
{
    unsigned right = 0;
    int first = -1;
    for (unsigned i = world->options.nodes; i-- > 0;) {
        right += clock_is_right(world, i);
        if (clock_is_right(world, i) && (first < 0 || store_is_recovered(world, i)))
            first = (int)i;
    }
    return 2 * right > world->options.nodes ? first : -1;
}

static void
give(struct world *world, enum paper paper, bool good, unsigned node)
{
    const struct sim_paper *p = &world->bearers.papers[paper];
    enum paper_state wanted = good ? PAPER_GOOD : PAPER_TAKEN;
    for (unsigned i = 0; i < TRIES && p->state != wanted; i++) {
        bool first = p->state == PAPER_OPEN; /* what nobody knows is taken away first */
        (void)bearer_give_begin(world, paper, good && !first, node);
        wait_for_answers(world);
    }
    if (p->state != wanted)
        sim_fail(world, SIM_LIVENESS, "logins", "the record of the %s cannot be changed",
                 paper_name(paper));
}

static void
make(struct world *world, enum bearer bearer, unsigned node)
{
    for (unsigned i = 0; i < TRIES; i++) {
        (void)bearer_make_begin(world, bearer, node, true);
        wait_for_answers(world);
        if (world->bearers.of[bearer].state == TOKEN_LIVE)
            return;
    }
    sim_fail(world, SIM_LIVENESS, "logins", "bearer %d gets no token", (int)bearer);
}

/* At every node whose clock is right. How often it was let in. */
static unsigned
use(struct world *world, enum bearer bearer)
{
    uint64_t before = world->bearers.served[bearer];
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (clock_is_right(world, i))
            (void)bearer_use_begin(world, bearer, i, true);
    }
    wait_for_answers(world);
    return (unsigned)(world->bearers.served[bearer] - before);
}

static void
use_counted(struct world *world, unsigned node)
{
    const struct sim_bearer *of = &world->bearers.of[BEARER_COUNTED];
    for (uint64_t i = 0; i <= of->token.uses_limit; i++) {
        (void)bearer_use_begin(world, BEARER_COUNTED, node, true);
        wait_for_answers(world);
    }
    if (of->served != of->token.uses_limit)
        sim_fail(world, SIM_LIVENESS, "uses", "%lu requests are let in with a token of %lu uses",
                 (unsigned long)of->served, (unsigned long)of->token.uses_limit);
}

static void
use_all(struct world *world, unsigned node)
{
    for (unsigned i = 0; i < BEARERS; i++) {
        enum bearer bearer = (enum bearer)i;
        if (bearer < BEARER_SIGNED)
            make(world, bearer, node);
        if (bearer == BEARER_COUNTED)
            use_counted(world, node);
        else if (use(world, bearer) == 0)
            sim_fail(world, SIM_LIVENESS, "logins", "bearer %d is let in nowhere", i);
    }
}

static void
must_be_out(struct world *world, enum bearer bearer)
{
    if (use(world, bearer) > 0)
        sim_fail(world, SIM_SAFETY, "revoked", "bearer %d is still let in", (int)bearer);
}

/* What was made in the other tenant is looked at once more when it has come to its end. */
static void
look_after_end(struct world *world)
{
    uint64_t until = world->now_ns + ms_to_ns(1000 * world->options.other_expires_s + END_MS);
    if (world->options.other_expires_s == 0 || !clocks_agree(world))
        return;
    while (world_step(world, until))
        continue;
    (void)use(world, BEARER_SIGNED_ELSEWHERE);
}

void
bearers_whole(struct world *world)
{
    int node = right_node(world);
    if (node < 0 || world->bearers.standing < PAPERS_STANDING)
        return;
    wait_for_answers(world);
    for (unsigned i = 0; i < PAPERS; i++)
        give(world, (enum paper)i, true, (unsigned)node);
    for (unsigned i = 0; i < ELSEWHERE_SECRETS; i++)
        (void)elsewhere_create_begin(world, i, (unsigned)node);
    wait_for_answers(world);
    use_all(world, (unsigned)node);
    (void)bearer_revoke_begin(world, BEARER_PARENT, (unsigned)node);
    wait_for_answers(world);
    must_be_out(world, BEARER_CHILD);
    give(world, PAPER_ISSUER, false, (unsigned)node);
    must_be_out(world, BEARER_SIGNED);
    give(world, PAPER_MACHINE, false, (unsigned)node);
    must_be_out(world, BEARER_ROLE);
    look_after_end(world);
}
