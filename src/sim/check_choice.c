#include "sim/check_choice.h"

#include <stdio.h>
#include <string.h>

#include "sim/check_sweep.h"
#include "sim/memory.h"
#include "sim/world.h"

enum { AHEAD_MS_MAX = 30000 }; /* less than what the drift bound leaves to any of the clocks */

/* ---- what is chosen ---- */

static uint64_t
known_on_disk(const struct world *world, unsigned node, unsigned of)
{
    const struct disk_table *disk = &world->nodes[node].disk.durable;
    struct peer_row row;
    struct row_key key;
    char name[16];
    if (node == of)
        return store_incarnation_on_disk(&world->nodes[node]);
    snprintf(name, sizeof(name), "peer/%u", of);
    row_key_meta(name, &key);
    const struct disk_row *found = disk_find(disk, row_key_bytes(&key));
    return found && peer_row_decode(found->value, &row) == OK ? row.incarnation : 0;
}

/*
 * Two acceptances count together when neither was made by a node that had already learned of a
 * newer incarnation of the other: before it has learned that durably it has handed nothing over to
 * it, so whatever it hands over later contains this head.
 */
static bool
count_together(const struct accepted_head *head, unsigned a, unsigned b)
{
    return head->known[a][b] <= head->known[b][b] && head->known[b][a] <= head->known[a][a];
}

static bool
all_count_together(const struct accepted_head *head, unsigned set)
{
    for (unsigned a = 0; a < NODES_MAX; a++) {
        for (unsigned b = 0; b < a; b++) {
            if ((set >> a & 1) && (set >> b & 1) && !count_together(head, a, b))
                return false;
        }
    }
    return true;
}

bool
check_choice_accepted(struct world *world, struct accepted_head *head, unsigned node,
                      unsigned majority)
{
    for (unsigned i = 0; i < world->options.nodes; i++)
        head->known[node][i] = known_on_disk(world, node, i);
    head->ever |= 1u << node;
    for (unsigned set = head->ever; set > 0 && !head->chosen; set = (set - 1) & head->ever) {
        if ((set >> node & 1) && (unsigned)__builtin_popcount(set) >= majority)
            head->chosen = all_count_together(head, set);
    }
    return head->chosen;
}

static bool
is_chosen(const struct checked_path *p, const uint8_t *head_id)
{
    for (size_t i = p ? p->accepted_count : 0; i-- > 0;) {
        if (p->accepted[i].chosen && memcmp(p->accepted[i].head.id, head_id, ID_BYTES) == 0)
            return true;
    }
    return false;
}

void
check_choice_claimed(const struct check_chain *check, const struct checked_path *p, unsigned node,
                     const uint8_t head_id[static ID_BYTES])
{
    const struct sim_node *n = &check->world->nodes[node];
    if (!n->was_mismatched && !check->world->window && !is_chosen(p, head_id))
        sim_fail(check->world, SIM_SAFETY, "choice",
                 "node %u calls a head chosen which no majority has accepted", node);
}

/* ---- what is built on it ---- */

/*
 * Above an offer that is chosen is what was voted on later than it was made. What had been accepted
 * before, or offered, can only have been in stores that are lost since: who has it takes no offer.
 */
static bool
is_above(const struct accepted_head *accepted, const struct chosen_head *chosen)
{
    if (chosen->ballot.offer && accepted->ballot.offer)
        return false;
    struct ballot from = accepted->ballot.offer ? chosen->ballot : ballot_promised(chosen->ballot);
    return ballot_compare(accepted->ballot, from) > 0;
}

static bool
is_built_on(const struct accepted_head *accepted, const struct chosen_head *chosen)
{
    if (!is_above(accepted, chosen) || accepted->foreign)
        return true;
    if (accepted->head.generation == chosen->generation + 1)
        return memcmp(accepted->head.prev, chosen->id, ID_BYTES) == 0;
    return accepted->head.generation > chosen->generation ||
           memcmp(accepted->head.id, chosen->id, ID_BYTES) == 0;
}

static void
must_be_built(const struct check_chain *check, const struct checked_path *p,
              const struct accepted_head *accepted, const struct chosen_head *chosen)
{
    if (!check->world->window && !check_sweep_is_over(check, &accepted->head) &&
        !is_built_on(accepted, chosen))
        sim_fail(check->world, SIM_SAFETY, "choice",
                 "%s: generation %lu was accepted above the ballot of a chosen generation %lu",
                 p->name, (unsigned long)accepted->head.generation,
                 (unsigned long)chosen->generation);
}

void
check_choice_built(const struct check_chain *check, const struct checked_path *p,
                   const struct accepted_head *accepted)
{
    for (size_t i = p->chosen_count; i-- > 0;) {
        const struct chosen_head *chosen = &p->chosen[i];
        if (chosen->generation == 0 || ballot_compare(chosen->ballot, accepted->ballot) >= 0)
            continue;
        must_be_built(check, p, accepted, chosen);
        return; /* which is built on those before it */
    }
}

void
check_choice_chosen(const struct check_chain *check, const struct checked_path *p,
                    const struct chosen_head *chosen)
{
    for (size_t i = 0; i < p->accepted_count; i++)
        must_be_built(check, p, &p->accepted[i], chosen);
}

/* ---- votes ---- */

static struct voted_ballot *
votes_at(struct check_chain *check, struct ballot ballot, struct path path)
{
    struct checked_path *p = check_chain_path_of(check, path);
    for (size_t i = p->voted_count; i-- > 0;) {
        if (ballot_compare(p->voted[i].ballot, ballot) == 0)
            return &p->voted[i];
    }
    if (p->voted_count == p->voted_capacity) {
        p->voted_capacity = p->voted_capacity * 2 + 16;
        p->voted = sim_resize(p->voted, p->voted_capacity * sizeof(*p->voted));
    }
    struct voted_ballot *v = &p->voted[p->voted_count++];
    *v = (struct voted_ballot){.ballot = ballot};
    return v;
}

/*
 * A WRITE that names the older incarnation of a store has the votes of a majority that did not know
 * the newer one, and so had not handed over to it: one of those who did had promised that ballot by
 * then, and the newer incarnation is bound by it. (But for ballots so far ahead that the newer one
 * need not believe them.)
 */
static void
must_be_bound(const struct check_chain *check, const struct checked_path *p, unsigned node,
              const struct voted_ballot *granted, const struct voted_ballot *used)
{
    uint64_t wall_ms = sim_wall_start_ms + check->world->now_ns / 1000000;
    uint64_t forgetful = check->world->nodes[node].forgetful_incarnation;
    if (!check->world->nodes[node].was_mismatched && used->named[node] > 0 &&
        used->named[node] < forgetful && forgetful <= granted->incarnation[node] &&
        ballot_compare(granted->ballot, used->ballot) < 0 &&
        ballot_ms(used->ballot) <= wall_ms + AHEAD_MS_MAX)
        sim_fail(check->world, SIM_SAFETY, "choice",
                 "%s: node %u voted at a lower ballot than one that votes of its lost store were "
                 "used for",
                 p->name, node);
}

/* A node's vote for itself is never seen: it is taken for given. */
static void
check_write(struct check_chain *check, unsigned from, const struct msg *msg)
{
    struct world *world = check->world;
    const struct incarnations *named = &msg->u.write.incarnations;
    struct voted_ballot *v = votes_at(check, msg->u.write.ballot, msg->path);
    const struct checked_path *p = check_chain_path_of(check, msg->path);
    bool used_before = v->used;
    struct replicas replicas;
    unsigned count = 0;
    if (!used_before) {
        v->used_ns = world->now_ns;
        record_id(msg->u.write.head, v->head_id);
    }
    v->used = true;
    placement_replicas(&world->placement, msg->path, &replicas);
    for (unsigned i = 0; i < replicas.count && i < named->count; i++) {
        unsigned node = replicas.nodes[i];
        v->named[node] = named->of[i];
        count += node == from || (v->incarnation[node] > 0 && v->incarnation[node] >= named->of[i]);
    }
    if (count < replicas_majority(&replicas))
        sim_fail(world, SIM_SAFETY, "choice",
                 "node %u writes with %u votes of the incarnations that it names", from, count);
    for (size_t i = used_before ? 0 : p->voted_count; i-- > 0;) {
        for (unsigned r = 0; r < replicas.count; r++)
            must_be_bound(check, p, replicas.nodes[r], &p->voted[i], v);
    }
}

static void
check_vote(struct check_chain *check, unsigned node, const struct msg *msg)
{
    struct voted_ballot *v = votes_at(check, msg->u.voted.ballot, msg->path);
    const struct checked_path *p = check_chain_path_of(check, msg->path);
    v->incarnation[node] = node_incarnation(check->world->nodes[node].node);
    for (size_t i = v->incarnation[node] > 1 ? p->voted_count : 0; i-- > 0;)
        must_be_bound(check, p, node, v, &p->voted[i]);
}

void
check_choice_frame(struct check_chain *check, unsigned from, const struct msg *msg)
{
    const struct world *world = check->world;
    if (world->window)
        return;
    if (msg->kind == MSG_VOTED && msg->u.voted.refusal == REFUSED_NONE)
        check_vote(check, from, msg);
    else if (msg->kind == MSG_WRITE && !world->nodes[from].mismatched &&
             !msg->u.write.ballot.offer) /* which has no votes */
        check_write(check, from, msg);
    else if (msg->kind == MSG_CHOSEN)
        check_choice_claimed(check, check_chain_path(check, msg->path), from,
                             msg->u.chosen.head_id);
}
