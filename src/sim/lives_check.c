#include <string.h>

#include "sim/lives_internal.h"
#include "sim/number.h"

/* A client's value has the number of its write there, one of the other tenant bit 63 alone. */
static const uint64_t mark = UINT64_C(3) << 62;
enum { LIFE_SHIFT = 16 };

/* ---- a request reaches its node ---- */

static void
begin_write(struct world *world, struct life_op *op)
{
    struct lives *l = &world->lives;
    struct life_secret *s = &l->secrets[op->secret];
    s->writes++;
    if (op->request.kind == REQUEST_CREATE) {
        s->creations++;
        s->created_life = l->life;
    }
    memcpy(op->value, world->canary, CANARY_BYTES);
    number_put(op->value + CANARY_BYTES, mark | (uint64_t)l->life << LIFE_SHIFT | op->secret);
    number_put(op->value + CANARY_BYTES + 8, l->serial);
    op->request.value = bytes_of(op->value, sizeof(op->value));
    op->request.encoding = VALUE_BASE64;
}

void
lives_handed(struct world *world, struct life_op *op)
{
    struct lives *l = &world->lives;
    struct life_secret *s = &l->secrets[op->secret];
    op->life = l->life;
    op->after = l->ended;
    op->marked = l->marked && l->stage == LIFE_PURGING;
    if (op->request.kind == REQUEST_CREATE || op->request.kind == REQUEST_UPDATE)
        begin_write(world, op);
    if (op->request.kind == REQUEST_RECORD_PUT)
        l->policies[1] = l->life;
    if (op->request.kind == REQUEST_DELETE) {
        s->deletions++;
        s->floor = 0;
    }
    for (unsigned i = 0; i < LIFE_SECRETS; i++) {
        op->floors[i] = l->stage == LIFE_ON && l->told ? l->secrets[i].floor : 0;
        op->deletions[i] = l->secrets[i].deletions;
    }
}

/* ---- what an answer shows ---- */

static const char *
name_of(const struct world *world, unsigned secret)
{
    return world->clients.paths[secret].name;
}

/* It is there, with that latest version; 0: that is not said. */
static void
is_shown(struct world *world, const struct life_op *op, unsigned secret, uint64_t version)
{
    const struct life_secret *s = &world->lives.secrets[secret];
    if (s->created_life <= op->after)
        sim_fail(world, SIM_SAFETY, "purged", "%s: node %u shows %s of life %u, which had ended",
                 op->id, op->node, name_of(world, secret), s->created_life);
    if (op->after + 1 == world->lives.life && version > s->writes)
        sim_fail(world, SIM_SAFETY, "purged",
                 "%s: node %u shows version %lu of %s, which was written %u times in this life",
                 op->id, op->node, (unsigned long)version, name_of(world, secret), s->writes);
}

/* That version is the latest, or 0: it is not there. */
static void
is_latest(struct world *world, const struct life_op *op, unsigned secret, uint64_t version)
{
    const struct lives *l = &world->lives;
    bool same = op->life == l->life && l->stage == LIFE_ON &&
                op->deletions[secret] == l->secrets[secret].deletions;
    if (same && version < op->floors[secret])
        sim_fail(world, SIM_SAFETY, "lives",
                 "%s: node %u shows version %lu of %s, and %lu had been acknowledged", op->id,
                 op->node, (unsigned long)version, name_of(world, secret),
                 (unsigned long)op->floors[secret]);
}

static void
value_is_shown(struct world *world, const struct life_op *op, unsigned secret, struct bytes value,
               uint64_t version)
{
    bool good =
        value.size == LIFE_VALUE_BYTES && memcmp(value.data, world->canary, CANARY_BYTES) == 0;
    uint64_t number = good ? number_get(value.data + CANARY_BYTES) : 0;
    unsigned life = (unsigned)((number & ~mark) >> LIFE_SHIFT);
    if ((number & mark) != mark || (number & ((1U << LIFE_SHIFT) - 1)) != secret)
        sim_fail(world, SIM_SAFETY, "tenants", "%s: node %u shows a value of another secret",
                 op->id, op->node);
    if (life <= op->after)
        sim_fail(world, SIM_SAFETY, "purged",
                 "%s: node %u shows a value of life %u of %s, which had ended", op->id, op->node,
                 life, name_of(world, secret));
    is_shown(world, op, secret, version);
    is_latest(world, op, secret, version);
}

static void
names_are_shown(struct world *world, const struct life_op *op, const struct reply *reply)
{
    for (unsigned secret = 0; secret < LIFE_SECRETS; secret++) {
        bool listed = false;
        for (size_t i = 0; i < reply->name_count; i++)
            listed = listed || bytes_equal(reply->names[i], op->items[secret].name);
        if (listed)
            is_shown(world, op, secret, 0);
        else if (!reply->has_next)
            is_latest(world, op, secret, 0);
    }
}

static void
policies_are_shown(struct world *world, const struct life_op *op, const struct reply *reply)
{
    for (size_t i = 0; i < reply->record_count; i++) {
        bool first = bytes_equal(reply->records[i].key, bytes_of_text("all"));
        unsigned life = world->lives.policies[first ? 0 : 1];
        if (life <= op->after)
            sim_fail(world, SIM_SAFETY, "purged",
                     "%s: node %u shows a policy of life %u, which had ended", op->id, op->node,
                     life);
    }
}

static void
batch_is_shown(struct world *world, const struct life_op *op, const struct reply *reply)
{
    for (unsigned i = 0; reply->items && i < reply->item_count; i++) {
        const struct item_result *item = &reply->items[i];
        if (item->err == OK && item->value.size > 0)
            value_is_shown(world, op, i, item->value, item->version);
    }
}

/* ---- answers ---- */

/* Nobody is let in with a token of a life that had ended, nor acts where the mark was answered. */
static void
check_access(struct world *world, const struct life_op *op, enum vault_err err)
{
    enum request_kind kind = op->request.kind;
    bool purges = op->token == 0 &&
                  (kind == REQUEST_DELETE || kind == REQUEST_NAMES || kind == REQUEST_RECORD_LIST);
    bool let_in = err == OK || err == ERR_NOT_FOUND || err == ERR_ALREADY_EXISTS;
    if (op->token > 0 && op->token <= op->after && let_in)
        sim_fail(world, SIM_SAFETY, "purged",
                 "%s: node %u lets the token of life %u in, which had ended: %s", op->id, op->node,
                 op->token, vault_err_name(err));
    if (op->marked && !purges && err == OK)
        sim_fail(world, SIM_SAFETY, "purged", "%s: node %u carries out %s where all is purged",
                 op->id, op->node, request_kind_name(kind));
}

static void
check_write(struct world *world, const struct life_op *op, const struct reply *reply)
{
    const struct life_secret *s = &world->lives.secrets[op->secret];
    bool creates = op->request.kind == REQUEST_CREATE;
    if (reply->err == OK)
        is_shown(world, op, op->secret, reply->version);
    if (reply->err == OK && creates && reply->version != 1)
        sim_fail(world, SIM_SAFETY, "purged", "%s: node %u creates version %lu", op->id, op->node,
                 (unsigned long)reply->version);
    if (reply->err == ERR_ALREADY_EXISTS && op->after + 1 == world->lives.life && s->creations == 1)
        sim_fail(world, SIM_SAFETY, "purged",
                 "%s: node %u has %s already, which nobody else created in this life", op->id,
                 op->node, name_of(world, op->secret));
}

static void
take_change(struct world *world, const struct life_op *op, const struct reply *reply)
{
    struct lives *l = &world->lives;
    struct life_secret *s = &l->secrets[op->secret];
    bool deletes = op->request.kind == REQUEST_DELETE;
    s->changing = false;
    if (op->life != l->life || op->life == 0)
        return;
    if (deletes && reply->err != OK && reply->err != ERR_NOT_FOUND)
        s->unsure = true;
    if (!deletes && reply->err == OK && reply->version > s->floor && l->stage == LIFE_ON)
        s->floor = reply->version;
    if (s->unsure)
        s->floor = 0;
}

void
lives_check(struct world *world, const struct life_op *op, const struct reply *reply)
{
    enum request_kind kind = op->request.kind;
    bool absent = reply->err == ERR_NOT_FOUND, reads = kind == REQUEST_READ;
    check_access(world, op, reply->err);
    if (absent && (reads || kind == REQUEST_HISTORY || kind == REQUEST_UPDATE))
        is_latest(world, op, op->secret, 0);
    if (kind == REQUEST_CREATE || kind == REQUEST_UPDATE)
        check_write(world, op, reply);
    if (kind == REQUEST_CREATE || kind == REQUEST_UPDATE || kind == REQUEST_DELETE)
        take_change(world, op, reply);
    if (kind == REQUEST_BATCH)
        batch_is_shown(world, op, reply);
    if (reply->err != OK)
        return;
    if (reads)
        value_is_shown(world, op, op->secret, reply->value, reply->version);
    else if (kind == REQUEST_DELETE)
        is_shown(world, op, op->secret, 0);
    else if (kind == REQUEST_NAMES)
        names_are_shown(world, op, reply);
    else if (kind == REQUEST_RECORD_LIST)
        policies_are_shown(world, op, reply);
    else if (kind == REQUEST_HISTORY && reply->row_count > 0)
        is_shown(world, op, op->secret, reply->rows[0].version);
}
