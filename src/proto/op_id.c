#include "proto/op_id.h"

#include <string.h>

/* Random bytes first (whoever compares names looks at those), the mark, the node. */
enum { RANDOM_BYTES = 11, NODE_AT = OP_ID_BYTES - 1, MARK_BYTES = NODE_AT - RANDOM_BYTES };
static const uint8_t mark[MARK_BYTES] = {'n', 'o', 'd', 'e'};
static_assert(NODES_MAX <= UINT8_MAX, "a byte names a node");

static bool
is_marked(const uint8_t op_id[static OP_ID_BYTES])
{
    return memcmp(op_id + RANDOM_BYTES, mark, MARK_BYTES) == 0;
}

void
op_id_mark_unkeyed(uint8_t op_id[static OP_ID_BYTES], uint8_t node)
{
    memcpy(op_id + RANDOM_BYTES, mark, MARK_BYTES);
    op_id[NODE_AT] = node;
}

void
op_id_mark_keyed(uint8_t op_id[static OP_ID_BYTES])
{
    if (is_marked(op_id))
        op_id[RANDOM_BYTES] ^= 1;
}

int
op_id_node(const uint8_t op_id[static OP_ID_BYTES])
{
    return is_marked(op_id) && op_id[NODE_AT] < NODES_MAX ? op_id[NODE_AT] : -1;
}
