/*
 * Property: with everybody back, all replicas of every path come to have the same chosen head, each with everything that it must hold,
 * within a few rounds of anti-entropy, whether or not anybody kept account of what the others missed. And what each node keeps of
 * digests is what its disk says.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/world.h"

/* A few rounds with every peer, and a budget that is spent on many differences first. */
enum { CONVERGE_MS = 120000, LOOK_MS = 500 };

static const struct disk_table *
durable(const struct world *world, unsigned node)
{
    return &world->nodes[node].disk.durable;
}

static bool
row_of(const struct world *world, unsigned node, struct path path, struct path_row *row)
{
    struct row_key key;
    row_key_path(path, &key);
    const struct disk_row *found = disk_find(durable(world, node), row_key_bytes(&key));
    return found && !found->corrupt && path_row_decode(found->value, row) == OK;
}

/* ---- losing account of what is outstanding ---- */

/*
 * The newest head that anybody accepted is known chosen somewhere and what it keeps can be opened, so
 * nobody needs a box to finish anything, to see that there is something to finish, or to get a share.
 * While a store is lost, a box may be all that is left of the k-th share of an older version.
 */
static bool
nothing_unfinished(struct world *world, const struct checked_path *p)
{
    const struct accepted_head *newest = NULL;
    for (size_t i = 0; i < p->accepted_count; i++) {
        if (!newest || ballot_compare(p->accepted[i].ballot, newest->ballot) > 0)
            newest = &p->accepted[i];
    }
    for (unsigned i = 0; newest && i < world->options.nodes; i++) {
        struct path_row row;
        struct head head;
        uint8_t id[ID_BYTES];
        if (!row_of(world, i, check_chain_name(p), &row) || row.state != STATE_CHOSEN)
            continue;
        record_id(row.head, id);
        if (memcmp(id, newest->head.id, ID_BYTES) == 0 && head_decode(row.head, &head) == OK)
            return head.kind != HEAD_LIVE || check_openable(world, check_chain_name(p), &head);
    }
    return false;
}

/*
 * One node forgets that the head of the path is chosen, as if the notice of it had been lost; others
 * still know.
 */
static void
lose_notice(struct world *world, const struct checked_path *p)
{
    unsigned at = (unsigned)prng_below(&world->fault_prng, world->options.nodes), others = 0;
    const struct chosen_head *chosen = &p->chosen[p->chosen_count - 1];
    struct path_row row, other;
    struct row_key key;
    struct buf encoded = {0};
    uint8_t id[ID_BYTES];
    for (unsigned i = 0; i < world->options.nodes; i++)
        others +=
            i != at && row_of(world, i, check_chain_name(p), &other) && other.state == STATE_CHOSEN;
    if (others == 0 || chosen->kind != HEAD_LIVE || !row_of(world, at, check_chain_name(p), &row))
        return;
    record_id(row.head, id);
    if (row.state != STATE_CHOSEN || memcmp(id, chosen->id, ID_BYTES) != 0)
        return;
    row.state = STATE_ACCEPTED;
    row_key_path(check_chain_name(p), &key);
    if (path_row_encode(&row, &encoded) != OK)
        sim_fail(world, SIM_CRASH, "memory", "no memory");
    disk_set(&world->nodes[at].disk, row_key_bytes(&key), buf_bytes(&encoded));
    buf_close(&encoded);
}

void
lose_backlog(struct world *world)
{
    if (!world->faults.on[FAULT_backlog_lost])
        return;
    size_t count = 0, at = 0;
    for (const struct checked_path *p = world->chain.paths; p; p = p->next)
        count++;
    bool *finished = sim_alloc((count + 1) * sizeof(*finished));
    for (const struct checked_path *p = world->chain.paths; p; p = p->next)
        finished[at++] = nothing_unfinished(world, p);
    for (unsigned i = 0; i < world->options.nodes; i++)
        node_crash(world, i);
    at = 0;
    for (const struct checked_path *p = world->chain.paths; p; p = p->next) {
        struct row_key boxes, erasures;
        if (!finished[at++])
            continue;
        row_key_versions(ROW_BOXES, check_chain_name(p), &boxes);
        row_key_versions(ROW_ERASURE, check_chain_name(p), &erasures);
        for (unsigned i = 0; i < world->options.nodes; i++) {
            disk_forget(&world->nodes[i].disk, row_key_bytes(&boxes));
            disk_forget(&world->nodes[i].disk, row_key_bytes(&erasures));
        }
        lose_notice(world, p);
    }
    free(finished);
    fault_count(world, FAULT_backlog_lost);
}

/* ---- the same heads everywhere ---- */

/* Every version that the head's chain keeps is here, with the node's own share and the public part. */
static bool
holds_versions(const struct world *world, unsigned node, const struct head *head)
{
    uint8_t id[ID_BYTES];
    memcpy(id, head->version_id, ID_BYTES);
    for (uint64_t v = head->version; v >= head->oldest_version; v--) {
        struct row_key key;
        struct version_row row;
        struct version_record record;
        row_key_version(ROW_VERSION, head->path, v, id, &key);
        const struct disk_row *found = disk_find(durable(world, node), row_key_bytes(&key));
        bool destroyed = head_version_state(head, v) == VERSION_DESTROYED;
        if (!found || version_row_decode(found->value, &row) != OK ||
            (row.share.size == 0) != destroyed || version_decode(row.record, &record) != OK)
            return false;
        if ((dealing_on(durable(world, node), head->path, v, id).size == 0) != destroyed)
            return false;
        memcpy(id, record.prev, ID_BYTES);
    }
    return true;
}

/* What is unlike about a path; NULL: nothing. Nodes that need other help are left out. */
static const char *
unlike(const struct world *world, struct path path, bool with_shares, unsigned *node)
{
    uint8_t first[ID_BYTES], id[ID_BYTES];
    unsigned seen = 0, absent = 0;
    uint64_t replicas = world_replicas(world, path);
    for (*node = 0; *node < world->options.nodes; ++*node) {
        struct path_row row;
        struct head head;
        if (world->nodes[*node].left_out || !(replicas >> *node & 1))
            continue;
        if (!row_of(world, *node, path, &row)) {
            absent++;
            continue;
        }
        record_id(row.head, id);
        if (seen++ == 0)
            memcpy(first, id, ID_BYTES);
        if (row.state != STATE_CHOSEN)
            return "has a head that it does not know chosen";
        if (memcmp(first, id, ID_BYTES) != 0)
            return "has another head";
        if (head_decode(row.head, &head) != OK)
            return "has a head that does not decode";
        if (head_kind_erases(head.kind) && !row.erased)
            return "has not erased";
        if (head.kind == HEAD_LIVE && with_shares && !holds_versions(world, *node, &head))
            return "has not all versions and shares";
    }
    return seen > 0 && absent > 0 ? "or one before it has nothing" : NULL;
}

static const char *
any_unlike(const struct world *world, bool with_shares, unsigned *node, const char **name)
{
    for (const struct checked_path *p = world->chain.paths; p; p = p->next) {
        const char *what = unlike(world, check_chain_name(p), with_shares, node);
        *name = p->name;
        if (what)
            return what;
    }
    return NULL;
}

/* ---- digests ---- */

static bool
nothing_known(const void *context, struct path path, struct head_state *out)
{
    (void)context;
    (void)path;
    (void)out;
    return false;
}

static bool
digests_right(struct world *world, unsigned node)
{
    const struct digest_index *kept = node_anti_entropy(world->nodes[node].node)->digests;
    const struct digest_lookup lookup = {NULL, nothing_known};
    const struct disk_table *disk = durable(world, node);
    struct digest_index fresh;
    struct row_key prefix;
    row_key_table(ROW_PATH, &prefix);
    size_t count = 0, i = disk_at_least(disk, row_key_bytes(&prefix));
    struct loaded_row *rows = sim_alloc((disk->count + 1) * sizeof(*rows));
    for (; i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++)
        rows[count++] = (struct loaded_row){disk->rows[i]->key, disk->rows[i]->value, true};
    if (digests_init(&fresh, node_membership(world->nodes[node].node), 0) != OK)
        sim_fail(world, SIM_CRASH, "memory", "no memory");
    digests_page_asked(&fresh);
    bool right = digests_page(&fresh, &lookup, rows, count, false) && kept->whole &&
                 kept->paths == fresh.paths;
    for (unsigned p = 0; p < world->options.nodes && right; p++)
        right =
            p == node || memcmp(fresh.peers[p], kept->peers[p], sizeof(struct peer_digests)) == 0;
    right = right && tenant_tally_equal(&fresh.tally, &kept->tally);
    digests_close(&fresh);
    free(rows);
    return right;
}

static int
wrong_digests(struct world *world)
{
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (!world->nodes[i].left_out && (!node_up(world, i) || !digests_right(world, i)))
            return (int)i;
    }
    return -1;
}

/* ---- until everything is so ---- */

static void
look_later(struct world *world)
{
    uint64_t next = world->now_ns + ms_to_ns(LOOK_MS);
    while (world_step(world, next))
        continue;
}

void
check_converged(struct world *world, bool with_shares)
{
    uint64_t until = world->now_ns + ms_to_ns(CONVERGE_MS);
    const char *what, *name = "";
    unsigned node = 0;
    while ((what = any_unlike(world, with_shares, &node, &name)) && world->now_ns < until)
        look_later(world);
    if (what)
        sim_fail(world, SIM_LIVENESS, "converged", "%s: node %u %s", name, node, what);
    int wrong = wrong_digests(world);
    while (wrong >= 0 && world->now_ns < until) {
        look_later(world);
        wrong = wrong_digests(world);
    }
    if (wrong >= 0)
        sim_fail(world, SIM_SAFETY, "digests", "node %d's are not what its disk says", wrong);
}
