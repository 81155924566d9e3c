/*
 * Property: in the end every node has, for every version in the chain of every live head that it knows chosen, the record, the
 * dealing and its own share, and the share is the one that was dealt; nothing older than the oldest that is kept; and nothing is left in
 * the table of what is lacking.
 */
#include <stdio.h>
#include <string.h>

#include "sim/world.h"

/* What is wrong, in words, as far as the buffer goes. */
struct complaint {
    char text[160];
};

static const struct disk_row *
row_of(const struct world *world, unsigned node, enum row_table table, struct path path,
       uint64_t version, const uint8_t *version_id)
{
    struct row_key key;
    row_key_version(table, path, version, version_id, &key);
    const struct disk_row *row = disk_find(&world->nodes[node].disk.durable, row_key_bytes(&key));
    return row && !row->corrupt ? row : NULL;
}

struct bytes
dealing_on(const struct disk_table *table, struct path path, uint64_t version,
           const uint8_t *version_id)
{
    struct row_key key;
    struct version_row row;
    row_key_version(ROW_VERSION, path, version, version_id, &key);
    const struct disk_row *found = disk_find(table, row_key_bytes(&key));
    if (found && !found->corrupt && version_row_decode(found->value, &row) == OK &&
        row.dealing.size > 0)
        return row.dealing;
    row_key_version(ROW_DEALING, path, version, version_id, &key);
    found = disk_find(table, row_key_bytes(&key));
    return found && !found->corrupt ? found->value : (struct bytes){0};
}

static bool
share_good(struct world *world, unsigned node, struct path path, const struct disk_row *row,
           struct bytes sealed, const struct dealing *dealing)
{
    struct replicas replicas;
    struct sim_node *n = &world->nodes[node];
    uint8_t share[2 * SECRET_BYTES_MAX];
    struct row_key key;
    if (sealed.size <= BUCKET_SEALED_OVERHEAD_BYTES || n->buckets.count == 0)
        return false;
    row_key_path(path, &key);
    secret_arena_open(n->secrets);
    enum vault_err err =
        bucket_open(&n->buckets.buckets[bucket_of(&n->buckets, row_key_bytes(&key))],
                    n->wrap_key.data, row->key, sealed, share);
    secret_arena_close(n->secrets);
    placement_replicas(&world->placement, path, &replicas);
    struct share own = {.x = (uint8_t)(replicas_index(&replicas, (uint8_t)node) + 1),
                        .data = bytes_of(share, sealed.size - BUCKET_SEALED_OVERHEAD_BYTES)};
    return err == OK && dealing_share_matches(dealing, &own);
}

/* Of a destroyed version the record is there, and nothing else. */
static const char *
destroyed_wrong(const struct world *world, unsigned node, struct path path, uint64_t version,
                const uint8_t *id, const struct version_row *value)
{
    if (value->share.size > 0)
        return "got rid of the share";
    if (value->dealing.size > 0 || row_of(world, node, ROW_DEALING, path, version, id))
        return "got rid of the dealing";
    return row_of(world, node, ROW_BOXES, path, version, id) ? "got rid of the boxes" : NULL;
}

/* One version; `id` becomes that of the version before it. */
static bool
version_whole(struct world *world, unsigned node, const struct head *head, uint64_t version,
              uint8_t id[static ID_BYTES], struct complaint *why)
{
    struct path path = head->path;
    bool destroyed = head_version_state(head, version) == VERSION_DESTROYED;
    const struct disk_row *row = row_of(world, node, ROW_VERSION, path, version, id);
    struct bytes public_part = dealing_on(&world->nodes[node].disk.durable, path, version, id);
    struct version_row value;
    struct version_record record;
    struct dealing dealing;
    uint8_t hash[HASH_BYTES];
    const char *what = NULL;
    if (!row || version_row_decode(row->value, &value) != OK ||
        version_decode(value.record, &record) != OK)
        what = "version record";
    record_id(public_part, hash);
    if (!what && destroyed)
        what = destroyed_wrong(world, node, path, version, id, &value);
    else if (!what &&
             (public_part.size == 0 || memcmp(hash, record.dealing_hash, HASH_BYTES) != 0 ||
              dealing_decode(public_part, (struct bytes){0}, &dealing) != OK))
        what = "dealing";
    if (!what && !destroyed && !share_good(world, node, path, row, value.share, &dealing))
        what = "good share";
    if (what)
        snprintf(why->text, sizeof(why->text), "node %u has %s%s of version %lu of %.*s", node,
                 destroyed ? "not " : "no ", what, (unsigned long)version, (int)path.name.size,
                 (const char *)path.name.data);
    else
        memcpy(id, record.prev, ID_BYTES);
    return !what;
}

/* What is older than the oldest version that is kept has gone. */
static bool
none_older(const struct world *world, unsigned node, const struct head *head, struct complaint *why)
{
    const struct disk_table *disk = &world->nodes[node].disk.durable;
    struct row_key prefix;
    row_key_versions(ROW_VERSION, head->path, &prefix);
    for (size_t i = disk_at_least(disk, row_key_bytes(&prefix));
         i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++) {
        struct version_row row;
        struct version_record record;
        if (disk->rows[i]->corrupt || version_row_decode(disk->rows[i]->value, &row) != OK ||
            version_decode(row.record, &record) != OK || record.version >= head->oldest_version)
            continue;
        snprintf(why->text, sizeof(why->text), "node %u has version %lu of a path, and keeps %lu",
                 node, (unsigned long)record.version, (unsigned long)head->oldest_version);
        return false;
    }
    return true;
}

static bool
path_whole(struct world *world, unsigned node, struct bytes value, struct complaint *why)
{
    struct path_row row;
    struct head head;
    uint8_t id[ID_BYTES];
    if (path_row_decode(value, &row) != OK || head_decode(row.head, &head) != OK) {
        snprintf(why->text, sizeof(why->text), "node %u has a rotten row of a path", node);
        return false;
    }
    /* What it kept while it had another configuration is not its business. */
    bool replica = world_replicas(world, head.path) >> node & 1;
    if (!replica || row.state != STATE_CHOSEN || head.kind != HEAD_LIVE)
        return true;
    if (!none_older(world, node, &head, why))
        return false;
    memcpy(id, head.version_id, ID_BYTES);
    for (uint64_t version = head.version; version >= head.oldest_version; version--) {
        if (!version_whole(world, node, &head, version, id, why))
            return false;
    }
    return true;
}

bool
check_openable(struct world *world, struct path path, const struct head *head)
{
    uint64_t replicas = world_replicas(world, path);
    uint8_t id[ID_BYTES];
    memcpy(id, head->version_id, ID_BYTES);
    for (uint64_t version = head->version; version >= head->oldest_version; version--) {
        uint8_t prev[ID_BYTES];
        unsigned holders = 0;
        for (unsigned i = 0; i < world->options.nodes; i++) {
            uint8_t next[ID_BYTES];
            struct complaint why;
            memcpy(next, id, ID_BYTES);
            if (!(replicas >> i & 1) || !version_whole(world, i, head, version, next, &why))
                continue;
            memcpy(prev, next, ID_BYTES);
            holders++;
        }
        if (holders < world->options.threshold)
            return false;
        memcpy(id, prev, ID_BYTES);
    }
    return true;
}

static bool
node_whole(struct world *world, unsigned node, struct complaint *why)
{
    const struct disk_table *disk = &world->nodes[node].disk.durable;
    struct row_key prefix, need;
    row_key_table(ROW_PATH, &prefix);
    row_key_table(ROW_NEED, &need);
    for (size_t i = disk_at_least(disk, row_key_bytes(&prefix));
         i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++) {
        if (disk->rows[i]->corrupt) {
            snprintf(why->text, sizeof(why->text), "node %u cannot read the row of a path", node);
            return false;
        }
        if (!path_whole(world, node, disk->rows[i]->value, why))
            return false;
    }
    size_t first = disk_at_least(disk, row_key_bytes(&need));
    bool left =
        first < disk->count && disk_has_prefix(disk->rows[first]->key, row_key_bytes(&need));
    if (left)
        snprintf(why->text, sizeof(why->text), "node %u still looks for something", node);
    return !left;
}

void
check_whole(struct world *world, uint64_t until)
{
    struct complaint why;
    for (;;) {
        bool whole = true;
        for (unsigned i = 0; i < world->options.nodes && whole; i++)
            whole = node_whole(world, i, &why);
        if (whole)
            return;
        if (world->now_ns >= until)
            sim_fail(world, SIM_LIVENESS, "whole", "%s", why.text);
        uint64_t next = world->now_ns + ms_to_ns(500);
        while (world_step(world, next))
            continue;
    }
}
