/*
 * Names of operations: 16 bytes, by which the heads of a path tell a retry from another change.
 *
 * Under a client's Idempotency-Key the name is a hash of caller and key, the same at every node, and
 * anybody may ask for it again for a day. Without a key it is random, and nobody but the coordinator
 * that has made it can ask: only while its request lasts, and before the next change of that path
 * has its turn at that node. So such a name says whose it is, and a head need keep no more than the
 * newest of each node.
 */
#ifndef OSTRAKA_PROTO_OP_ID_H
#define OSTRAKA_PROTO_OP_ID_H

#include "proto/head.h"

/* Makes 16 random bytes a name of that node's. `node` < NODES_MAX. */
void op_id_mark_unkeyed(uint8_t op_id[static OP_ID_BYTES], uint8_t node);
/* Makes sure that a hash is not taken for a node's. */
void op_id_mark_keyed(uint8_t op_id[static OP_ID_BYTES]);
/* The node whose it is; -1: it has a key, or another origin that anybody may ask for. */
int op_id_node(const uint8_t op_id[static OP_ID_BYTES]);

#endif
