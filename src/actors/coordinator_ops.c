/*
 * What a head remembers of the operations before it. Those under a key anybody may ask for again:
 * the KEYED_OPS_MAX newest of the last 24 hours are kept. Of the others each is asked for by the
 * coordinator alone that has made its name, only while it is first in that node's line for the path.
 * The next one of the same node shows that it is not any more: so the newest of each node is kept,
 * however many changes of others have come since.
 */
#include "actors/coordinator_internal.h"
#include "base/planted.h"
#include "proto/op_id.h"

/* Of what is remembered already, newest first. */
struct kept {
    bool of_node[NODES_MAX];
    size_t keyed;
};

static bool
is_kept(struct kept *kept, const struct op_result *op)
{
    int node = op_id_node(op->op_id);
    size_t keyed_max = PLANTED(keyed_operation_forgotten) ? 2 : KEYED_OPS_MAX;
    if (node < 0)
        return kept->keyed++ < keyed_max;
    bool newer = kept->of_node[node] || PLANTED(unkeyed_operation_forgotten);
    kept->of_node[node] = true;
    return !newer;
}

void
change_remember_op(struct head *next, const struct head *before, const struct op_result *result,
                   uint64_t now_ms)
{
    struct kept kept = {0};
    next->op_count = 0;
    next->ops[next->op_count++] = *result;
    (void)is_kept(&kept, result);
    for (size_t i = 0; before && i < before->op_count && next->op_count < OP_IDS_MAX; i++) {
        const struct op_result *op = &before->ops[i];
        if (op->at_ms + OP_REMEMBERED_MS > now_ms && is_kept(&kept, op))
            next->ops[next->op_count++] = *op;
    }
}
