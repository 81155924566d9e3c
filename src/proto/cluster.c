#include "proto/cluster.h"

#include <stdio.h>
#include <string.h>

/* With as many shares as nodes every rule comes to the same, and so has one name. */
static const char RULE_ALL[] = "all";
static const char RULE_RENDEZVOUS[] = "rendezvous 1"; /* proto/placement.h */

unsigned
cluster_majority(const struct cluster *cluster)
{
    return cluster->share_count / 2 + 1;
}

unsigned
cluster_node_majority(const struct cluster *cluster)
{
    return cluster->node_count / 2 + 1;
}

unsigned
cluster_erase_quorum(const struct cluster *cluster)
{
    unsigned majority = cluster_majority(cluster);
    unsigned enough = cluster->share_count + 1 - cluster->threshold;

    return enough > majority ? enough : majority;
}

bool
node_name_valid(struct bytes name)
{
    if (name.size == 0 || name.size > NODE_NAME_BYTES_MAX || name.data[0] == '-')
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

int
cluster_find_node(const struct cluster *cluster, struct bytes name)
{
    for (unsigned i = 0; i < cluster->node_count; i++) {
        if (bytes_equal(bytes_of_text(cluster->nodes[i].name), name))
            return (int)i;
    }
    return -1;
}

static enum vault_err
validate_names(const struct cluster *cluster, char *why, size_t why_size)
{
    for (unsigned i = 0; i < cluster->node_count; i++) {
        const char *name = cluster->nodes[i].name;

        if (!node_name_valid(bytes_of(name, strnlen(name, sizeof(cluster->nodes[i].name))))) {
            snprintf(why, why_size,
                     "the name of node %u is not valid: 1 to %d of a-z, 0-9 and -, not starting "
                     "with -",
                     i + 1, NODE_NAME_BYTES_MAX);
            return ERR_CONFIG;
        }
        if (cluster_find_node(cluster, bytes_of_text(name)) != (int)i) {
            snprintf(why, why_size, "two nodes are called \"%s\"", name);
            return ERR_CONFIG;
        }
    }
    return OK;
}

static enum vault_err
validate_threshold(const struct cluster *cluster, char *why, size_t why_size)
{
    unsigned n = cluster->share_count;
    unsigned k = cluster->threshold;
    unsigned m = cluster_majority(cluster);

    if (n == 1 && k == 1)
        return OK;
    if (n == 1) {
        snprintf(why, why_size, "with one share the threshold must be 1, not %u", k);
        return ERR_CONFIG;
    }
    if (m == 2 && k != 2) {
        snprintf(why, why_size, "with %u shares the threshold must be 2 (a majority), not %u", n,
                 k);
        return ERR_CONFIG;
    }
    if (k < 2 || k > m) {
        snprintf(why, why_size,
                 "with %u shares the threshold must be from 2 to %u (a majority), not %u", n, m, k);
        return ERR_CONFIG;
    }
    return OK;
}

enum vault_err
cluster_validate(const struct cluster *cluster, char *why, size_t why_size)
{
    unsigned nodes = cluster->node_count;
    unsigned shares_max = nodes < REPLICAS_MAX ? nodes : REPLICAS_MAX;
    enum vault_err err;

    if (why_size > 0)
        why[0] = '\0';
    if (nodes < 1 || nodes > NODES_MAX) {
        snprintf(why, why_size, "a cluster has 1 to %d nodes, not %u", NODES_MAX, nodes);
        return ERR_CONFIG;
    }
    if (cluster->share_count < 1 || cluster->share_count > shares_max) {
        snprintf(why, why_size, "with %u node%s there can be 1 to %u shares, not %u", nodes,
                 nodes == 1 ? "" : "s", shares_max, cluster->share_count);
        return ERR_CONFIG;
    }
    err = validate_names(cluster, why, why_size);
    if (err == OK)
        err = validate_threshold(cluster, why, why_size);
    return err;
}

bool
cluster_seal_hash(const struct cluster *cluster, uint8_t out[static HASH_BYTES])
{
    const struct bytes parts[] = {
        bytes_of_text("ostraka seal 1"), bytes_of_text("file"),
        bytes_of(cluster->master_key_check, sizeof(cluster->master_key_check))};

    memset(out, 0, HASH_BYTES);
    if (cluster->seal == SEAL_NONE)
        return false;
    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), out);
    return true;
}

void
cluster_admin_token_mark(const struct cluster *cluster, uint8_t out[static HASH_BYTES])
{
    const struct bytes parts[] = {
        bytes_of_text("ostraka admin token 1"), bytes_of(cluster->id, sizeof(cluster->id)),
        bytes_of(cluster->admin_token_hash, sizeof(cluster->admin_token_hash))};

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), out);
}

void
cluster_config_hash(const struct cluster *cluster, uint8_t out[static HASH_BYTES])
{
    enum { PARTS_BEFORE = 3, PARTS_AFTER = 1 };
    const uint8_t numbers[2] = {(uint8_t)cluster->share_count, (uint8_t)cluster->threshold};
    struct bytes parts[PARTS_BEFORE + NODES_MAX + PARTS_AFTER];
    size_t count = 0;

    parts[count++] = bytes_of_text("ostraka configuration 1");
    parts[count++] = bytes_of(cluster->id, sizeof(cluster->id));
    parts[count++] = bytes_of(numbers, sizeof(numbers));
    for (unsigned i = 0; i < cluster->node_count; i++)
        parts[count++] = bytes_of_text(cluster->nodes[i].name);
    parts[count++] =
        bytes_of_text(cluster->share_count == cluster->node_count ? RULE_ALL : RULE_RENDEZVOUS);
    hash_parts(parts, count, out);
}
