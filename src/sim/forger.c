/*
 * A broken node, the same one all the time: between what it does as any other node it tells the others to delete or to overwrite
 * what no client asked to, showing whatever proof it has seen. Its heads carry an operation that no client has, so that the
 * checker of the chain knows one when it becomes durable anywhere. Of identity records it deletes
 * what is there, and brings back what was deleted.
 */
#include <string.h>

#include "sim/memory.h"
#include "sim/world.h"

enum { RECORD_PERMILLE = 300, DRAWS = 16 };
static const uint8_t forged_op[8] = {'F', 'O', 'R', 'G', 'E', 'D', '!', '!'};

bool
forger_made(const struct head *head)
{
    return memcmp(head->op_id, forged_op, sizeof(forged_op)) == 0;
}

/* A record that is there is deleted; one that is deleted comes back. */
static void
forge_record(struct head *head, struct op_result *op)
{
    bool there = head_has_value(head);
    op->kind = there ? CHANGE_DELETE : CHANGE_UPDATE;
    head->value = bytes_of(forged_op, there ? 0 : sizeof(forged_op));
    head->version += !there;
    head->oldest_version = op->version = head->version;
}

/* A deletion, or a step back: the same version once more, under another generation. */
static void
forge_head(struct world *world, const struct path_row *row, struct head *head)
{
    struct op_result op = {.at_ms = head->changed_at_ms + 1, .version = head->version};
    record_id(row->head, head->prev);
    head->generation++;
    head->changed_at_ms++;
    memcpy(op.op_id, forged_op, sizeof(forged_op));
    prng_fill(&world->fault_prng, op.op_id + sizeof(forged_op), OP_ID_BYTES - sizeof(forged_op));
    op.kind = CHANGE_DELETE;
    if (head->kind == HEAD_INLINE)
        forge_record(head, &op);
    else
        head->kind = HEAD_TOMBSTONE;
    memset(head->batch, 0, BATCH_ID_BYTES);
    head->deleted_before = false;
    memcpy(head->op_id, op.op_id, OP_ID_BYTES);
    head->ops[0] = op;
    head->op_count = 1;
}

static void
send_all(struct world *world, unsigned node, struct msg *msg)
{
    struct replicas replicas;
    struct buf frame = {0};
    placement_replicas(&world->placement, msg->path, &replicas);
    if (msg_encode(msg, &frame) != OK)
        sim_fail(world, SIM_CRASH, "forger", "a forged message does not encode");
    for (unsigned i = 0; i < replicas.count; i++) {
        if (replicas.nodes[i] == node)
            continue;
        net_send(world, node, replicas.nodes[i], buf_bytes(&frame));
        world->frames_sent[node]
                          [msg->kind]--; /* the node knows nothing of it, nor do its counters */
    }
    buf_close(&frame);
}

static void
forge(struct world *world, unsigned node, const struct path_row *row, struct head *head)
{
    const struct membership *ms = node_membership(world->nodes[node].node);
    struct ballot ballot = {.time = node_wall_ms(world, node) << 16 |
                                    prng_below(&world->fault_prng, 1 << 16),
                            .incarnation = ms->members[node].incarnation,
                            .node = (uint8_t)node};
    struct msg write = {.kind = MSG_WRITE, .path = head->path};
    struct msg notice = {.kind = MSG_CHOSEN, .path = head->path};
    struct buf encoded = {0};
    struct replicas replicas;
    forge_head(world, row, head);
    if (head->version == 0 || head_encode(head, &encoded) != OK)
        goto out; /* nothing can follow it */
    placement_replicas(&world->placement, head->path, &replicas);
    write.u.write.ballot = ballot;
    write.u.write.head = buf_bytes(&encoded);
    write.u.write.proof = write.u.write.origin = row->proof;
    memcpy(write.u.write.config_hash, world->cluster.config_hash, HASH_BYTES);
    membership_incarnations(ms, &replicas, &write.u.write.incarnations);
    send_all(world, node, &write);
    notice.u.chosen.ballot = ballot;
    record_id(buf_bytes(&encoded), notice.u.chosen.head_id);
    notice.u.chosen.head = buf_bytes(&encoded);
    notice.u.chosen.proof = row->proof;
    notice.u.chosen.incarnations = write.u.write.incarnations;
    send_all(world, node, &notice);
out:
    buf_close(&encoded);
}

bool
forger_strike(struct world *world)
{
    unsigned node = (unsigned)(world->options.seed % world->options.nodes);
    struct sim_node *n = &world->nodes[node];
    const struct disk_table *table = &n->disk.durable;
    struct path_row row;
    struct row_key prefix;
    row_key_table(ROW_PATH, &prefix);
    size_t first = disk_at_least(table, row_key_bytes(&prefix)), last = first;
    while (last < table->count && disk_has_prefix(table->rows[last]->key, row_key_bytes(&prefix)))
        last++;
    if (!node_up(world, node) || first == last || n->mismatched)
        return false;
    struct head *head = sim_alloc(sizeof(*head));
    bool wants_record = prng_chance(&world->fault_prng, RECORD_PERMILLE), good = false;
    for (unsigned i = 0; i < DRAWS && !good; i++) {
        size_t at = first + (size_t)prng_below(&world->fault_prng, last - first);
        good = path_row_decode(table->rows[at]->value, &row) == OK &&
               head_decode(row.head, head) == OK &&
               head->kind == (wants_record ? HEAD_INLINE : HEAD_LIVE);
    }
    if (good)
        forge(world, node, &row, head);
    free(head);
    return good;
}
