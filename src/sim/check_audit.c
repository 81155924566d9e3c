/* Property: a client has its answer only when the node that gave it has the record of it on its disk. */
#include <string.h>

#include "actors/auditor.h"
#include "sim/world.h"

enum { BLOCKS_LOOKED_AT = 256 };

static bool
block_tells(struct bytes encoded, struct bytes request_id)
{
    struct audit_block block;
    struct audit_record record;
    struct bytes bytes;
    size_t at = 0;
    if (audit_block_decode(encoded, &block) != OK)
        return false;
    while (audit_block_next(&block, &at, &bytes)) {
        if (audit_record_decode(bytes, &record) == OK && record.kind == AUDIT_request &&
            bytes_equal(record.request_id, request_id))
            return true;
    }
    return false;
}

/* The newest blocks first: an answer waits for few others. */
void
check_audit_reply(struct world *world, unsigned node, struct bytes request_id, enum vault_err err)
{
    const struct disk_table *table = &world->nodes[node].disk.durable;
    const uint8_t first = ROW_AUDIT, behind = ROW_AUDIT + 1;
    size_t from = disk_at_least(table, bytes_of(&first, 1));
    size_t to = disk_at_least(table, bytes_of(&behind, 1));
    if (err == ERR_AUDIT_UNAVAILABLE || world->window)
        return;
    for (size_t i = to; i > from && to - i < BLOCKS_LOOKED_AT; i--) {
        if (block_tells(table->rows[i - 1]->value, request_id))
            return;
    }
    sim_fail(world, SIM_SAFETY, "audit", "node %u answered without a record of it on its disk",
             node);
}
