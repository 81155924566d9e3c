#include "sim/elsewhere.h"

#include <string.h>

#include "sim/bearers_internal.h"
#include "sim/number.h"
#include "sim/options.h"

enum { ROWS = 100, SKEW_MS = 1500, ATTEMPT_MS_MAX = 500 };
/* In the place in which a client's value has the number of its write. */
static const uint64_t mark = UINT64_C(1) << 63;

unsigned
elsewhere_path(const struct world *world, unsigned secret)
{
    return secret == 0 ? 0 : world->options.hot_paths;
}

void
elsewhere_fill_value(struct world *world, struct bearer_op *op)
{
    memset(op->value, 0, sizeof(op->value));
    memcpy(op->value, world->canary, CANARY_BYTES);
    number_put(op->value + CANARY_BYTES, mark | op->secret);
    number_put(op->value + CANARY_BYTES + 8, ++world->bearers.serial);
    op->request.value = bytes_of(op->value, sizeof(op->value));
    op->request.encoding = VALUE_BASE64;
}

/* ---- what the operator does ---- */

static struct bearer_op *
begin(struct world *world, unsigned secret, unsigned node, enum request_kind kind)
{
    struct bearer_op *op = bearer_op_new(world, JOB_KEEP, node);
    if (!op)
        return NULL;
    struct sim_path *path = &world->clients.paths[elsewhere_path(world, secret)];
    path->reads_at |= UINT64_C(1) << node;
    op->secret = secret;
    op->elsewhere = op->may = true;
    op->request.kind = kind;
    op->request.tenant = bytes_of_text(GRANT_OTHER_TENANT);
    op->request.name = bytes_of_text(path->name);
    op->request.credential = bytes_of_text(sim_token);
    op->request.limit = ROWS;
    if (kind == REQUEST_CREATE || kind == REQUEST_UPDATE)
        elsewhere_fill_value(world, op);
    return op;
}

bool
elsewhere_create_begin(struct world *world, unsigned secret, unsigned node)
{
    struct elsewhere_secret *s = &world->bearers.elsewhere.secrets[secret];
    struct bearer_op *op = s->changing ? NULL : begin(world, secret, node, REQUEST_CREATE);
    if (!op)
        return false;
    s->changing = s->creating = true;
    bearer_op_send(world, op, 5, ATTEMPT_MS_MAX);
    return true;
}

bool
elsewhere_begin(struct world *world, unsigned node)
{
    struct prng *prng = &world->bearers.prng;
    unsigned secret = (unsigned)prng_below(prng, ELSEWHERE_SECRETS);
    struct elsewhere_secret *s = &world->bearers.elsewhere.secrets[secret];
    bool look = prng_chance(prng, 400);
    if (!look && s->version == 0)
        return elsewhere_create_begin(world, secret, node);
    if (!look && s->changing)
        return false;
    struct bearer_op *op = begin(world, secret, node, look ? REQUEST_HISTORY : REQUEST_UPDATE);
    if (!op)
        return false;
    s->changing = s->changing || !look;
    bearer_op_send(world, op, 5, ATTEMPT_MS_MAX);
    return true;
}

static uint64_t
true_ms(const struct world *world)
{
    return sim_wall_start_ms + world->now_ns / 1000000;
}

static void
check_rows(struct world *world, const struct bearer_op *op, const struct reply *reply)
{
    unsigned max = world->options.other_versions;
    if (max > 0 && (reply->row_count > max || reply->has_next))
        sim_fail(world, SIM_SAFETY, "limits",
                 "node %u shows %lu versions of a secret whose tenant keeps %u", op->node,
                 (unsigned long)reply->row_count, max);
}

void
elsewhere_ended(struct world *world, struct bearer_op *op, const struct reply *reply)
{
    struct elsewhere_secret *s = &world->bearers.elsewhere.secrets[op->secret];
    if (op->request.kind == REQUEST_HISTORY) {
        if (reply->err == OK)
            check_rows(world, op, reply);
        return;
    }
    s->changing = false;
    if (op->request.kind == REQUEST_CREATE) {
        s->creating = false;
        s->created_ms = true_ms(world);
    }
    if (reply->err == OK)
        s->version = reply->version;
    else if (reply->err == ERR_NOT_FOUND)
        s->version = 0;
    else if (reply->err == ERR_ALREADY_EXISTS)
        s->version = 1;
}

/* ---- what anybody is shown ---- */

void
elsewhere_check_value(struct world *world, const struct bearer_op *op, const struct reply *reply)
{
    const struct elsewhere_secret *s = &world->bearers.elsewhere.secrets[op->secret];
    struct bytes value = reply->value;
    if (value.size < CANARY_BYTES + 8 || memcmp(value.data, world->canary, CANARY_BYTES) != 0)
        sim_fail(world, SIM_SAFETY, "tenants", "a value that nobody wrote is shown at node %u",
                 op->node);
    uint64_t number = number_get(value.data + CANARY_BYTES);
    if (!op->elsewhere ? number & mark : number != (mark | op->secret))
        sim_fail(world, SIM_SAFETY, "tenants", "node %u shows a value of another tenant's secret",
                 op->node);
    uint64_t seconds = op->elsewhere ? world->options.other_expires_s : 0;
    if (seconds > 0 && clocks_agree(world) && !s->creating && s->created_ms > 0 &&
        sim_wall_start_ms + op->handed_ns / 1000000 > s->created_ms + 1000 * seconds + SKEW_MS)
        sim_fail(world, SIM_SAFETY, "limits",
                 "node %u shows a secret that its tenant lets expire after %lu s", op->node,
                 (unsigned long)seconds);
}
