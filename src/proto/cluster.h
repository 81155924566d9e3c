/*
 * What every node must know alike about the cluster, and the names of things in it. Parsed from
 * cluster.conf by runtime/config_file.c; borrowed by all actors, never changed while a node runs.
 */
#ifndef OSTRAKA_PROTO_CLUSTER_H
#define OSTRAKA_PROTO_CLUSTER_H

#include "base/limits.h"
#include "crypto/box.h"
#include "crypto/dealing.h"
#include "crypto/hash.h"

enum seal_type { SEAL_NONE, SEAL_FILE };

struct cluster_node {
    char name[NODE_NAME_BYTES_MAX + 1]; /* [a-z0-9][a-z0-9-]* */
    char host[HOST_BYTES_MAX + 1];      /* address or host name, for API and links */
    uint16_t api_port;
    uint16_t link_port;
    struct share_key_public first_share_key; /* made by `cluster create`: its public half, id 1 */
    uint8_t vote_key[X25519_BYTES]; /* public half of the key it vouches with; zero: not given, and
                                       learned from its heartbeats */
};

/* Equal on all nodes. Node numbers are indexes into `nodes`. */
struct cluster {
    uint8_t id[CLUSTER_ID_BYTES];
    struct cluster_node nodes[NODES_MAX];
    unsigned node_count;  /* N */
    unsigned share_count; /* n <= N */
    unsigned threshold;   /* k */
    enum seal_type seal;
    uint8_t master_key_check[HASH_BYTES]; /* SEAL_FILE: master_key_check_value() */
    uint8_t admin_token_hash[HASH_BYTES]; /* BLAKE2b-256 of the bootstrap token's text */
    uint8_t config_hash[HASH_BYTES];      /* cluster_config_hash() */
};

/* m = floor(n/2)+1 */
unsigned cluster_majority(const struct cluster *cluster);
/* Of the nodes, floor(N/2)+1: what a node must be connected to so as not to be the one cut off. */
unsigned cluster_node_majority(const struct cluster *cluster);
/* d = max(m, n-k+1): how many must have erased before a deletion is acknowledged */
unsigned cluster_erase_quorum(const struct cluster *cluster);
/*
 * Checks 1 <= N <= NODES_MAX, 1 <= n <= min(N, REPLICAS_MAX), 2 <= k <= m <= n or k = n = 1, names
 * valid and distinct. Errors: ERR_CONFIG with a sentence in `why`.
 */
MUST_CHECK enum vault_err cluster_validate(const struct cluster *cluster, char *why,
                                           size_t why_size);
/* Hash over cluster id, node names, n, k and placement rule, and nothing else. */
void cluster_config_hash(const struct cluster *cluster, uint8_t out[static HASH_BYTES]);
/*
 * Whether there is a master key, and then a hash over the seal's type and check value; else `out`
 * is zeroed. Apart from the hash above, which stands in audit trails.
 */
bool cluster_seal_hash(const struct cluster *cluster, uint8_t out[static HASH_BYTES]);
/*
 * A hash over cluster id and hash of the bootstrap token, by which nodes see whether they take the same
 * one. Whoever has the token can tell it, and nobody has the token by it.
 */
void cluster_admin_token_mark(const struct cluster *cluster, uint8_t out[static HASH_BYTES]);
/* [a-z0-9][a-z0-9-]*, at most NODE_NAME_BYTES_MAX bytes */
bool node_name_valid(struct bytes name);
/* Index of the node of that name, or -1. */
int cluster_find_node(const struct cluster *cluster, struct bytes name);

#endif
