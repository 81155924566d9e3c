#include "proto/placement.h"

#include <string.h>

#include "proto/record_path.h"

/* Distinct for every node of a cluster, since their names are. */
static void
key_of_node(const char *name, uint8_t out[static SHORT_HASH_BYTES])
{
    const struct bytes parts[] = {bytes_of_text("ostraka placement: node 1"), bytes_of_text(name)};
    uint8_t hash[HASH_BYTES];

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), hash);
    memcpy(out, hash, SHORT_HASH_BYTES);
}

void
placement_init(struct placement *placement, const struct cluster *cluster)
{
    *placement = (struct placement){.node_count = (uint8_t)cluster->node_count,
                                    .share_count = (uint8_t)cluster->share_count};
    for (unsigned i = 0; i < cluster->node_count; i++) {
        key_of_node(cluster->nodes[i].name, placement->keys[i]);
        placement->all.nodes[placement->all.count++] = (uint8_t)i;
    }
}

/* The path is hashed once, whatever the number of nodes; then a few bytes for each of them. */
static void
weigh(const struct placement *placement, struct path path, uint64_t weights[static NODES_MAX])
{
    const struct bytes parts[] = {bytes_of_text("ostraka placement: path 1"), path.tenant,
                                  path.name};
    uint8_t hash[HASH_BYTES];

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), hash);
    for (unsigned i = 0; i < placement->node_count; i++)
        weights[i] = hash_short(placement->keys[i], bytes_of(hash, sizeof(hash)));
}

/* A tie is decided by the names, too. */
static bool
comes_before(const struct placement *placement, const uint64_t *weights, unsigned a, unsigned b)
{
    if (weights[a] != weights[b])
        return weights[a] > weights[b];
    return memcmp(placement->keys[a], placement->keys[b], SHORT_HASH_BYTES) < 0;
}

void
placement_replicas(const struct placement *placement, struct path path, struct replicas *out)
{
    uint64_t weights[NODES_MAX];

    if (placement->share_count >= placement->node_count || record_path_is(path)) {
        *out = placement->all;
        return;
    }
    *out = (struct replicas){0};
    weigh(placement, path, weights);
    for (unsigned node = 0; node < placement->node_count; node++) {
        unsigned before = 0;

        for (unsigned other = 0; other < placement->node_count; other++)
            before += other != node && comes_before(placement, weights, other, node);
        if (before < placement->share_count)
            out->nodes[out->count++] = (uint8_t)node;
    }
}

int
replicas_index(const struct replicas *replicas, uint8_t node)
{
    for (int i = 0; i < replicas->count; i++) {
        if (replicas->nodes[i] == node)
            return i;
    }
    return -1;
}

unsigned
replicas_majority(const struct replicas *replicas)
{
    return replicas->count / 2u + 1;
}
