/*
 * Changes without a new version: single versions deleted, had back and destroyed, fewer versions
 * kept, metadata.
 */
#include <string.h>

#include "proto/alteration.h"
#include "sim/client_internal.h"
#include "sim/memory.h"
#include "sim/options.h"

enum { ALTER_PERMILLE = 90 };

/* Versions that the client has heard of, near the latest more often. */
static void
pick_versions(struct prng *prng, uint64_t latest, struct version_list *list)
{
    uint64_t version = latest - prng_skewed(prng, 0, latest - 1);
    list->of[list->count++] = version;
    if (version > 1 && prng_chance(prng, 200))
        list->of[list->count++] = version - 1;
}

static void
pick_alteration(struct world *world, uint64_t latest, struct alteration *a)
{
    static const struct metadata_change pair = {.key = {(const uint8_t *)"owner", 5},
                                                .value = {(const uint8_t *)"a", 1}};
    struct prng *prng = &world->client_prng;
    switch (prng_below(prng, 10)) {
    case 0:
    case 1: pick_versions(prng, latest, &a->soft_delete); break;
    case 2:
    case 3: pick_versions(prng, latest, &a->undelete); break;
    case 4:
    case 5: pick_versions(prng, latest, &a->destroy); break;
    case 6:
        a->has_max_versions = true;
        a->max_versions = prng_chance(prng, 500) ? 0 : prng_between(prng, 1, 6);
        break;
    case 8:
    case 9:
        a->has_expires_at = true;
        if (!prng_chance(prng, 250))
            a->expires_at_ms =
                sim_wall_start_ms + world->now_ns / 1000000 + prng_skewed(prng, 1, 20000);
        break;
    default:
        a->metadata = &pair;
        a->metadata_count = 1;
        break;
    }
}

struct op *
alter_begin(struct world *world, unsigned client, unsigned node)
{
    struct clients *c = &world->clients;
    struct prng *prng = &world->client_prng;
    struct request request = {.kind = REQUEST_ALTER};
    if (!prng_chance(prng, ALTER_PERMILLE))
        return NULL;
    unsigned path = (unsigned)prng_below(prng, c->path_count);
    uint64_t latest = c->paths[path].version > 0 ? c->paths[path].version : 1;
    struct alteration *a = sim_alloc(sizeof(*a));
    *a = (struct alteration){0};
    pick_alteration(world, latest, a);
    request.alteration = a;
    if (prng_chance(prng, 200)) {
        request.has_expected_version = true;
        request.expected_version = latest;
    }
    struct op *op = client_begin(world, client, node, path, &request);
    op->alteration = a;
    return op;
}

/* ---- what is told of versions that are destroyed ---- */

/* A share or the dealing of one of these versions is on the disk. */
static bool
holds_any(const struct world *world, unsigned node, const struct op *op, const uint8_t *incarnation)
{
    const struct disk_table *disk = &world->nodes[node].disk.durable;
    struct path path = {bytes_of_text("default"), bytes_of_text(op->name)};
    for (size_t v = 0; v < op->alteration->destroy.count; v++) {
        struct row_key prefix;
        row_key_of_version(ROW_VERSION, path, op->alteration->destroy.of[v], &prefix);
        for (size_t i = disk_at_least(disk, row_key_bytes(&prefix));
             i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++) {
            struct version_row row;
            struct version_record record;
            uint8_t id[ID_BYTES];
            if (version_row_decode(disk->rows[i]->value, &row) != OK ||
                version_decode(row.record, &record) != OK ||
                memcmp(record.incarnation, incarnation, INCARNATION_BYTES) != 0)
                continue;
            record_id(row.record, id);
            if (row.share.size > 0 || dealing_on(disk, path, record.version, id).size > 0)
                return true;
        }
    }
    return false;
}

void
check_destroy_answer(struct world *world, const struct op *op)
{
    struct path path = {bytes_of_text("default"), bytes_of_text(op->name)};
    const struct checked_path *checked = check_chain_path(&world->chain, path);
    uint64_t replicas = world_replicas(world, path);
    const uint8_t *incarnation = NULL;
    unsigned erased = 0;
    if (op->alteration->destroy.count == 0 || world->nodes[op->node].mismatched)
        return;
    if (op->reply.required != cluster_erase_quorum(&world->cluster))
        sim_fail(world, SIM_SAFETY, "destroyed", "op %lu was told wrong numbers",
                 (unsigned long)op->number);
    for (size_t i = 0; checked && i < checked->chosen_count; i++) {
        if (checked->chosen[i].alters &&
            checked->chosen[i].changed_at_ms == op->reply.valid_from_ms)
            incarnation = checked->chosen[i].incarnation;
    }
    for (unsigned i = 0; incarnation && i < world->options.nodes; i++)
        erased += (replicas >> i & 1) &&
                  (!store_is_recovered(world, i) || !holds_any(world, i, op, incarnation));
    if (erased < op->reply.erased_on)
        sim_fail(world, SIM_SAFETY, "destroyed",
                 "op %lu was told that %u nodes have erased, and only %u have",
                 (unsigned long)op->number, op->reply.erased_on, erased);
}
