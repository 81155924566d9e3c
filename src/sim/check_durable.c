/* Property: nothing is promised, acknowledged or reported that a crash of the same moment could take back. */
#include <string.h>

#include "actors/sweep.h"
#include "sim/check_sweep.h"
#include "sim/world.h"

static bool
durable_row(struct world *world, unsigned node, const struct row_key *key, struct path_row *row)
{
    const struct disk_row *found = disk_find(&world->nodes[node].disk.durable, row_key_bytes(key));
    return found && path_row_decode(found->value, row) == OK;
}

/* Every version that the head has made is on the disk of whoever has it only accepted. */
static void
check_group(struct world *world, unsigned node, const struct path_row *row)
{
    struct head head;
    const struct sim_node *n = &world->nodes[node];
    if (row->state != STATE_ACCEPTED || n->rotten || head_decode(row->head, &head) != OK)
        return;
    size_t count = head_earlier_count(&head);
    for (size_t i = 0; i < count; i++) {
        struct row_key key;
        row_key_version(ROW_VERSION, head.path, head.version - count + i,
                        head.earlier.data + i * ID_BYTES, &key);
        if (!disk_find(&n->disk.durable, row_key_bytes(&key)))
            sim_fail(world, SIM_SAFETY, "durable",
                     "node %u said WRITTEN of versions that are not all on its disk", node);
    }
}

static void
check_written(struct world *world, unsigned node, const struct msg *msg, const struct row_key *key)
{
    const struct msg_written *written = &msg->u.written;
    struct path_row row;
    uint8_t id[ID_BYTES];
    bool have = durable_row(world, node, key, &row);
    int order = have ? ballot_compare(row.ballot, written->ballot) : -1;
    if (order == 0)
        record_id(row.head, id);
    if (order < 0 || (order == 0 && memcmp(id, written->head_id, ID_BYTES) != 0))
        sim_fail(world, SIM_SAFETY, "durable", "node %u said WRITTEN of what is not on its disk",
                 node);
    if (order == 0)
        check_group(world, node, &row);
}

static void
check_voted(struct world *world, unsigned node, const struct msg *msg, const struct row_key *key)
{
    const struct accepted *accepted = &msg->u.voted.accepted;
    struct path_row row;
    bool found = durable_row(world, node, key, &row);
    /* Its row may be on its way out, and makes no difference. */
    bool forgotten = found && sweep_forgets_row(node_membership(world->nodes[node].node), &row);
    bool have = found && !forgotten;
    bool same = have ? accepted->state != STATE_ABSENT &&
                           ballot_compare(ballot_promised(row.ballot),
                                          ballot_promised(accepted->ballot)) == 0 &&
                           bytes_equal(row.head, accepted->head)
                     : accepted->state == STATE_ABSENT;
    if (!same || (!forgotten && disk_owes(&world->nodes[node].disk, row_key_bytes(key))))
        sim_fail(world, SIM_SAFETY, "durable",
                 "node %u voted with another head than the newest it accepted", node);
}

/* What was there is not known: nothing may be promised or said of it before others have told. */
static void
check_doubt(struct world *world, unsigned node, struct path path)
{
    struct row_key key;
    row_key_doubt(path, &key);
    if (disk_find(&world->nodes[node].disk.durable, row_key_bytes(&key)))
        sim_fail(world, SIM_SAFETY, "doubt", "node %u answers of a path that it has in doubt",
                 node);
}

static void
check_known(struct world *world, unsigned node, struct path path, const struct row_key *key)
{
    struct path_row row;
    if (check_sweep_forgotten(&world->chain, node, path))
        return;
    if (!durable_row(world, node, key, &row) || row.state != STATE_CHOSEN)
        sim_fail(world, SIM_SAFETY, "durable", "node %u said KNOWN of what is not on its disk",
                 node);
}

/* Whoever has the box drops it now. */
static void
check_stored(struct world *world, unsigned node, const struct msg *msg)
{
    const struct msg_shared *shared = &msg->u.shared;
    const struct sim_node *n = &world->nodes[node];
    struct row_key key;
    row_key_version(ROW_VERSION, msg->path, shared->version, shared->version_id, &key);
    if (!n->rotten && !disk_find(&n->disk.durable, row_key_bytes(&key)))
        sim_fail(world, SIM_SAFETY, "durable", "node %u said STORED of what is not on its disk",
                 node);
}

void
check_durable(struct world *world, unsigned node, const struct msg *msg)
{
    struct row_key key;
    bool voted = msg->kind == MSG_VOTED && msg->u.voted.refusal == REFUSED_NONE;
    bool written = msg->kind == MSG_WRITTEN && msg->u.written.refusal == REFUSED_NONE;
    bool erased = msg->kind == MSG_ERASED && msg->u.erased.erased;
    bool known = msg->kind == MSG_KNOWN;
    bool told = msg->kind == MSG_STATE && msg->u.state.refusal == REFUSED_NONE;
    if (voted || written || told || known)
        check_doubt(world, node, msg->path);
    if (msg->kind == MSG_SHARED && msg->u.shared.outcome == SHARED_STORED)
        check_stored(world, node, msg);
    if (!voted && !written && !erased && !known)
        return;
    row_key_path(msg->path, &key);
    if (known)
        check_known(world, node, msg->path, &key);
    if (written)
        check_written(world, node, msg, &key);
    if (voted)
        check_voted(world, node, msg, &key);
    /* A vote is a promise, and so is an acknowledgement: nothing lower may follow, in this life of the node or a later one. */
    struct sim_node *n = &world->nodes[node];
    if (n->checked_incarnation != node_incarnation(n->node))
        check_chain_new_incarnation(&world->chain, node);
    n->checked_incarnation = node_incarnation(n->node);
    if (voted || written)
        check_chain_promise(&world->chain, node, msg->path,
                            ballot_promised(voted ? msg->u.voted.ballot : msg->u.written.ballot));
    if (erased && disk_owes(&world->nodes[node].disk, row_key_bytes(&key)))
        sim_fail(world, SIM_SAFETY, "durable", "node %u said ERASED before it was durable", node);
}

/* What is told to be erased later must not come back. */
void
check_forgettable(struct world *world, unsigned node, enum store_need need,
                  const struct store_change *change)
{
    enum row_table table = (enum row_table)change->key.data[0];
    if (need == STORE_VISIBLE && change->kind != STORE_PUT &&
        (table == ROW_VERSION || table == ROW_DEALING))
        sim_fail(world, SIM_SAFETY, "durable", "node %u drops versions that a crash brings back",
                 node);
}
