/*
 * What the broken node does with what bearers prove themselves with when they come to it: it reads
 * with their tokens, here and in the other tenant, asks for votes for tokens that no login of
 * theirs makes, and all of that also after it has been taken away from them.
 */
#include <string.h>

#include "sim/bearers_internal.h"
#include "sim/thief.h"

enum {
    ELSEWHERE_PERMILLE = 400,
    HEAD_PERMILLE = 200,
    USE_MS = TOKEN_USE_MS + 1500, /* clocks differ */
};
/* Apart from the numbers of tokens that are used. */
static const uint64_t first_number = UINT64_C(1) << 34;

void
thief_sees_bearer(struct world *world, const struct bearer_op *op)
{
    struct thief *t = &world->thief;
    bool login = op->job == JOB_MAKE && op->bearer <= BEARER_JWT;
    if (!thief_is_at_work(world) || op->node != thief_node(world) || (op->job != JOB_USE && !login))
        return;
    struct thief_paper *p = &t->papers[t->papers_next++ % THIEF_PAPERS];
    *p = (struct thief_paper){.job = op->job,
                              .bearer = op->bearer,
                              .number = op->number,
                              .round = op->round,
                              .second = op->second,
                              .proof_ms = op->proof_ms};
    memcpy(p->text, op->credential, sizeof(p->text));
}

/* As an operation of the bearer's would be. */
static void
as_op(const struct thief_paper *p, struct bearer_op *out)
{
    *out = (struct bearer_op){.job = (enum bearer_job)p->job,
                              .bearer = (enum bearer)p->bearer,
                              .number = p->number,
                              .round = p->round,
                              .second = p->second,
                              .proof_ms = p->proof_ms};
}

/* No use of it was counted for so long that all are over. */
static bool
is_at_rest(const struct world *world, const struct thief_paper *p)
{
    const struct sim_bearer *of = &world->bearers.of[p->bearer];
    return p->bearer == BEARER_COUNTED && of->number == p->number && clocks_agree(world) &&
           world->now_ns > of->count_begun_ns + ms_to_ns(USE_MS);
}

static void
read_with(struct world *world, const struct thief_paper *p, unsigned to)
{
    struct prng *prng = &world->fault_prng;
    const struct clients *c = &world->clients;
    struct bearer_op op;
    as_op(p, &op);
    op.elsewhere = prng_chance(prng, ELSEWHERE_PERMILLE);
    op.secret = (unsigned)prng_below(prng, ELSEWHERE_SECRETS);
    unsigned drawn = (unsigned)prng_below(prng, c->path_count);
    unsigned number = op.elsewhere ? elsewhere_path(world, op.secret) : drawn;
    struct path path = {bytes_of_text(op.elsewhere ? GRANT_OTHER_TENANT : "default"),
                        bytes_of_text(c->paths[number].name)};
    struct msg_read read = {.credential = bytes_of_text(p->text),
                            .head_only = prng_chance(prng, HEAD_PERMILLE)};
    op.request.kind = REQUEST_READ;
    op.request.name = path.name;
    bool may =
        bearer_may(world, &op) && !bearer_is_void(world, &op, false) && !is_at_rest(world, p);
    thief_reads(world, to, path, &read, may);
}

/* Somebody else's token; or the right one, with a login that is void. */
static void
vote_with(struct world *world, const struct thief_paper *p, unsigned to)
{
    struct bearer_op op;
    struct token token;
    struct grant record;
    char text[GRANT_TOKEN_BYTES];
    as_op(p, &op);
    bearer_login_token(world, op.bearer, node_wall_ms(world, thief_node(world)), p->text,
                       p->proof_ms, &token);
    if (!bearer_is_void(world, &op, false))
        bearer_spoil(world, &token);
    grant_make_token(world->options.seed, first_number + ++world->bearers.serial, &token, text,
                     &record);
    thief_votes(world, to, (struct path){bytes_of_text(record.tenant), bytes_of_text(record.name)},
                bytes_of(record.value, record.size), bytes_of_text(p->text));
}

static void
ask_with(struct world *world, const struct thief_paper *p, unsigned to)
{
    if (p->job == JOB_USE)
        read_with(world, p, to);
    else if (p->text[0] != 0)
        vote_with(world, p, to);
}

void
thief_asks_as_bearer(struct world *world)
{
    struct thief *t = &world->thief;
    struct prng *prng = &world->fault_prng;
    const struct thief_paper *p = &t->papers[prng_below(prng, THIEF_PAPERS)];
    if (p->text[0] != 0)
        ask_with(world, p, (unsigned)prng_below(prng, world->options.nodes));
}

void
thief_hears_of_taking(struct world *world)
{
    const struct thief *t = &world->thief;
    for (unsigned i = 0; i < THIEF_PAPERS && thief_is_at_work(world); i++) {
        struct bearer_op op;
        as_op(&t->papers[i], &op);
        for (unsigned to = 0; t->papers[i].text[0] != 0 && to < world->options.nodes; to++) {
            if (bearer_is_void(world, &op, false))
                ask_with(world, &t->papers[i], to);
        }
    }
}
