#include "sim/check_sweep.h"

#include "auth/sweep.h"
#include "sim/world.h"

uint64_t
check_sweep_time(const struct head *head)
{
    uint64_t before_ms;
    if (!sweep_path_is(head->path) || sweep_decode(head->value, &before_ms) != OK)
        return 0;
    return before_ms;
}

void
check_sweep_chosen(struct check_chain *check, const struct chosen_head *head)
{
    if (head->sweep_ms > check->swept_ms)
        check->swept_ms = head->sweep_ms;
}

bool
check_sweep_is_over(const struct check_chain *check, const struct chosen_head *head)
{
    return head->forget_after_ms != 0 && head->forget_after_ms < check->swept_ms;
}

/* What the node goes by after a restart. */
static uint64_t
forgotten_ms(const struct check_chain *check, unsigned node)
{
    struct row_key key;
    struct node_row row;
    row_key_meta("node", &key);
    const struct disk_row *found =
        disk_find(&check->world->nodes[node].disk.durable, row_key_bytes(&key));
    return found && node_row_decode(found->value, &row) == OK ? row.forgotten_ms : 0;
}

/* All heads of a token have the same. */
bool
check_sweep_forgotten(const struct check_chain *check, unsigned node, struct path path)
{
    const struct checked_path *p = check_chain_path(check, path);
    return p && p->accepted_count > 0 && p->accepted[0].head.forget_after_ms != 0 &&
           p->accepted[0].head.forget_after_ms < forgotten_ms(check, node);
}

void
check_sweep_put(struct check_chain *check, unsigned node, const struct head *head,
                const struct chosen_head *seen)
{
    if (check->world->nodes[node].was_mismatched || seen->forget_after_ms == 0)
        return;
    if (seen->forget_after_ms < forgotten_ms(check, node))
        sim_fail(check->world, SIM_SAFETY, "sweep",
                 "%.*s: node %u stored a head that it had agreed to forget",
                 (int)head->path.name.size, (const char *)head->path.name.data, node);
}

void
check_sweep_node(struct check_chain *check, unsigned node, const struct node_row *row)
{
    if (row->forgotten_ms > check->swept_ms)
        sim_fail(check->world, SIM_SAFETY, "sweep",
                 "node %u forgets what ended before a time that nobody has agreed upon", node);
}

/*
 * A vote that was asked for long ago comes when the row has gone: of a ballot below what the node
 * has promised on the path, which it must still know.
 */
static void
ask_for_old_vote(struct world *world, unsigned node, struct path path, struct ballot promised)
{
    struct msg vote = {.kind = MSG_VOTE, .op = 1, .path = path};
    unsigned from = (node + 1) % world->options.nodes;
    struct buf frame = {0};
    if (promised.time == 0 || !node_up(world, from) || from == node)
        return;
    vote.u.vote.ballot = (struct ballot){.time = promised.time - 1,
                                         .node = (uint8_t)from,
                                         .incarnation = node_incarnation(world->nodes[from].node)};
    vote.u.vote.purpose = CHANGE_FINISH;
    if (msg_encode(&vote, &frame) == OK) {
        net_send(world, from, node, buf_bytes(&frame));
        world->frames_sent[from][MSG_VOTE]--; /* the node knows nothing of it */
    }
    buf_close(&frame);
}

/*
 * A row that says that there is an identity record, and goes with its path row: only the sweep
 * takes it away.
 */
void
check_sweep_gone(struct check_chain *check, unsigned node, struct bytes key)
{
    struct path path;
    if (key.data[0] != ROW_IDENTITY || row_key_path_of(key, &path) != OK)
        return;
    check->swept++;
    trace_line(&check->world->trace, check->world->now_ns, "node %u: swept %.*s", node,
               (int)path.name.size, (const char *)path.name.data);
    if (!check_sweep_forgotten(check, node, path))
        sim_fail(check->world, SIM_SAFETY, "sweep",
                 "%.*s: node %u dropped a record that was not to be forgotten", (int)path.name.size,
                 (const char *)path.name.data, node);
    ask_for_old_vote(check->world, node, path, check_chain_path_of(check, path)->promised[node]);
}
