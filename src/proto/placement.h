/*
 * Which nodes keep a path: the n with the highest weights among the N nodes of the cluster
 * (rendezvous hashing). A weight depends on the tenant, the name of the secret and the name of the
 * node, and on nothing else: no key, no node number, no order of nodes in cluster.conf. So a node
 * that is added or removed moves only the paths that it gains or loses. Identity records are on all
 * nodes: each decides by its own copy.
 *
 * Part of the configuration hash: nodes that place differently do not talk to each other.
 */
#ifndef OSTRAKA_PROTO_PLACEMENT_H
#define OSTRAKA_PROTO_PLACEMENT_H

#include "proto/cluster.h"
#include "proto/head.h"

/* Node numbers by x - 1, ascending: x follows the order of cluster.conf. */
struct replicas {
    uint8_t nodes[NODES_MAX]; /* at most REPLICAS_MAX of a secret */
    uint8_t count;
};

/* What is computed once for each node. */
struct placement {
    uint8_t node_count;                        /* N */
    uint8_t share_count;                       /* n */
    uint8_t keys[NODES_MAX][SHORT_HASH_BYTES]; /* by node number: from the node's name */
    struct replicas all;                       /* where each node keeps the path */
};

void placement_init(struct placement *placement, const struct cluster *cluster);
void placement_replicas(const struct placement *placement, struct path path, struct replicas *out);
/* floor(n/2)+1 of them: what a path needs to change. */
unsigned replicas_majority(const struct replicas *replicas);
/* Index (x - 1) of `node` among the replicas, or -1. */
int replicas_index(const struct replicas *replicas, uint8_t node);

#endif
