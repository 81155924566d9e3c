/*
 * Lists of names. What one says of each path is an answer for the linearizable check: listed, it is
 * there; in the part of the names that the page covers and not listed, it is not.
 */
#include <string.h>

#include "sim/client_internal.h"
#include "sim/memory.h"
#include "sim/options.h"

enum { NAMES_PERMILLE = 40, NAMES_LIMIT_MAX = 100 };

struct op *
names_begin(struct world *world, unsigned client, unsigned node)
{
    static const char *const prefixes[] = {"", "", "hot/", "cold/", "cold/secret-1", "co", "none"};
    struct prng *prng = &world->client_prng;
    struct clients *c = &world->clients;
    struct request request = {.kind = REQUEST_NAMES};
    if (!prng_chance(prng, NAMES_PERMILLE))
        return NULL;
    request.limit = (uint32_t)prng_skewed(prng, 1, NAMES_LIMIT_MAX);
    request.names_prefix =
        bytes_of_text(prefixes[prng_below(prng, sizeof(prefixes) / sizeof(prefixes[0]))]);
    if (prng_chance(prng, 300))
        request.names_after = bytes_of_text(c->paths[prng_below(prng, c->path_count)].name);
    return client_begin(world, client, node, 0, &request);
}

static bool
covers(const struct op *op, struct bytes name)
{
    const struct request *request = &op->request;
    struct bytes prefix = request->names_prefix, after = request->names_after;
    if (name.size < prefix.size ||
        (prefix.size > 0 && memcmp(name.data, prefix.data, prefix.size) != 0))
        return false;
    if (after.size > 0 && bytes_compare(name, after) <= 0)
        return false;
    return !op->reply.has_next || bytes_compare(name, op->reply.names_next) <= 0;
}

static int
path_of(const struct clients *c, struct bytes name)
{
    for (unsigned i = 0; i < c->path_count; i++) {
        if (bytes_equal(name, bytes_of_text(c->paths[i].name)))
            return (int)i;
    }
    return -1;
}

void
names_take_reply(struct world *world, struct op *op)
{
    struct clients *c = &world->clients;
    const struct reply *r = &op->reply;
    op->listed = sim_alloc(c->path_count);
    for (unsigned i = 0; i < c->path_count; i++)
        op->listed[i] = covers(op, bytes_of_text(c->paths[i].name)) ? SAID_ABSENT : SAID_NOTHING;
    if (r->name_count > op->request.limit)
        sim_fail(world, SIM_SAFETY, "list", "op %lu: too many names", (unsigned long)op->number);
    for (size_t i = 0; i < r->name_count; i++) {
        int path = path_of(c, r->names[i]);
        bool ordered = i == 0 || bytes_compare(r->names[i - 1], r->names[i]) < 0;
        if (path < 0 || !ordered || op->listed[path] == SAID_NOTHING)
            sim_fail(world, SIM_SAFETY, "list", "op %lu: name %zu is none of those asked for",
                     (unsigned long)op->number, i);
        op->listed[path] = SAID_THERE;
    }
}
