/*
 * Property "boxes": a share key is destroyed only when no other node keeps a box that needs it, of
 * the latest version that this node knows, while the owner has no share of it. Nobody could finish
 * such a change any more, or deliver its share.
 */
#include "sim/world.h"

static bool
has_row(const struct world *world, unsigned node, enum row_table table, struct path path,
        const struct head *head)
{
    struct row_key key;
    row_key_version(table, path, head->version, head->version_id, &key);
    const struct disk_row *row = disk_find(&world->nodes[node].disk.durable, row_key_bytes(&key));
    struct version_row version;
    return row && (table != ROW_VERSION || row->corrupt ||
                   version_row_decode(row->value, &version) != OK || version.share.size > 0);
}

/* The box for `owner` that the row of a path leads to needs that key. */
static bool
needs_key(const struct world *world, unsigned node, const struct head *head, unsigned owner,
          uint64_t id)
{
    struct bytes boxes[REPLICAS_MAX];
    struct row_key key;
    struct replicas replicas;
    size_t count = 0;
    row_key_version(ROW_BOXES, head->path, head->version, head->version_id, &key);
    const struct disk_row *row = disk_find(&world->nodes[node].disk.durable, row_key_bytes(&key));
    if (!row || bytes_list_decode(row->value, BOX_BYTES_MAX, boxes, REPLICAS_MAX, &count) != OK)
        return false;
    placement_replicas(&world->placement, head->path, &replicas);
    int at = replicas_index(&replicas, (uint8_t)owner);
    return at >= 0 && (size_t)at < count && boxes[at].size >= BOX_HEADER_BYTES &&
           box_share_key_id(boxes[at]) == id;
}

/* The owner knows nothing newer, and what it knows does not do without the share. */
static bool
is_wanted(const struct world *world, unsigned owner, const struct path_row *row,
          const struct head *head)
{
    struct row_key key;
    struct path_row own;
    row_key_path(head->path, &key);
    const struct disk_row *found =
        disk_find(&world->nodes[owner].disk.durable, row_key_bytes(&key));
    bool newer = found && (found->corrupt || path_row_decode(found->value, &own) != OK ||
                           ballot_compare(own.ballot, row->ballot) > 0);
    return !newer && !has_row(world, owner, ROW_VERSION, head->path, head);
}

static bool
is_judged(const struct world *world, unsigned node)
{
    const struct sim_node *n = &world->nodes[node];
    return !n->rotten && !n->spoilt && !n->was_mismatched && !n->went_back &&
           store_is_recovered(world, node);
}

void
check_boxes_destroyed(struct world *world, unsigned owner, uint64_t id)
{
    struct row_key prefix;
    row_key_table(ROW_PATH, &prefix);
    for (unsigned node = 0; node < world->options.nodes && is_judged(world, owner); node++) {
        const struct disk_table *disk = &world->nodes[node].disk.durable;
        if (node == owner || !is_judged(world, node))
            continue;
        for (size_t i = disk_at_least(disk, row_key_bytes(&prefix));
             i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++) {
            struct path_row row;
            struct head head;
            if (path_row_decode(disk->rows[i]->value, &row) != OK ||
                head_decode(row.head, &head) != OK || head.kind != HEAD_LIVE ||
                !needs_key(world, node, &head, owner, id) || !is_wanted(world, owner, &row, &head))
                continue;
            sim_fail(world, SIM_SAFETY, "boxes",
                     "node %u destroyed a share key, and node %u keeps a box for it of %.*s", owner,
                     node, (int)head.path.name.size, (const char *)head.path.name.data);
        }
    }
}
