/* Property: a deletion that was acknowledged has been carried out on as many disks as it says, and on enough. */
#include <string.h>

#include "sim/world.h"

/* A row of that incarnation is on the disk. The rows of public part and boxes lie under the same id as the version row. */
static bool
holds_incarnation(const struct world *world, unsigned node, struct path path,
                  const uint8_t *incarnation)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES};
    const struct disk_table *disk = &world->nodes[node].disk.durable;
    for (unsigned t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        struct row_key prefix;
        row_key_versions(tables[t], path, &prefix);
        for (size_t i = disk_at_least(disk, row_key_bytes(&prefix));
             i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++) {
            enum row_table table;
            struct path of;
            uint64_t version;
            struct bytes id;
            if (row_key_parse(disk->rows[i]->key, &table, &of, &version, &id) != OK)
                continue;
            const uint8_t *of_incarnation = check_chain_incarnation(&world->chain, id.data);
            if (of_incarnation && memcmp(of_incarnation, incarnation, INCARNATION_BYTES) == 0)
                return true;
        }
    }
    return false;
}

/* How many replicas' disks hold nothing of that incarnation of the path any more and know why. */
static unsigned
erased_at(struct world *world, struct path path, const uint8_t *incarnation)
{
    uint64_t replicas = world_replicas(world, path);
    unsigned count = 0;
    for (unsigned i = 0; i < world->options.nodes; i++)
        count += (replicas >> i & 1) && !holds_incarnation(world, i, path, incarnation);
    return count;
}

/* A store that went back holds again what it had erased, until the others have handed over what they know. */
static unsigned
waiting_for_handover(const struct world *world, struct path path, const uint8_t *incarnation)
{
    unsigned count = 0;
    for (unsigned i = 0; i < world->options.nodes; i++)
        count += !store_is_recovered(world, i) && holds_incarnation(world, i, path, incarnation);
    return count;
}

void
check_delete_answer(struct world *world, const struct op *op)
{
    struct path path = {bytes_of_text("default"), bytes_of_text(op->name)};
    const struct reply *r = &op->reply;
    unsigned best = 0;
    if (world->nodes[op->node].mismatched)
        return;
    if (r->required != cluster_erase_quorum(&world->cluster) ||
        r->replicas != world->options.shares)
        sim_fail(world, SIM_SAFETY, "deletion", "op %lu was told wrong numbers",
                 (unsigned long)op->number);
    const struct checked_path *checked = check_chain_path(&world->chain, path);
    for (size_t i = 0; checked && i < checked->chosen_count; i++) {
        const struct chosen_head *head = &checked->chosen[i];
        bool meant = op->request.kind == REQUEST_DELETION || head->version == r->version;
        if (head->kind != HEAD_TOMBSTONE || !meant)
            continue;
        unsigned erased = erased_at(world, path, head->incarnation) +
                          waiting_for_handover(world, path, head->incarnation);
        if (erased > best)
            best = erased;
    }
    if (best < r->erased_on)
        sim_fail(world, SIM_SAFETY, "deletion",
                 "op %lu was told that %u nodes have erased, and only %u have",
                 (unsigned long)op->number, r->erased_on, best);
}

void
check_delete_all(struct world *world)
{
    unsigned n = world->options.shares;
    for (const struct checked_path *p = world->chain.paths; p; p = p->next) {
        struct path path = check_chain_name(p);
        for (size_t i = 0; i < p->chosen_count; i++) {
            const struct chosen_head *head = &p->chosen[i];
            if (head_kind_erases(head->kind) && erased_at(world, path, head->incarnation) != n)
                sim_fail(world, SIM_SAFETY, "deletion",
                         "%s: what was deleted in generation %lu is still on some disk", p->name,
                         (unsigned long)head->generation);
        }
    }
}
