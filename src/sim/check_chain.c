#include "sim/check_chain.h"

#include <string.h>

#include "sim/check_choice.h"
#include "sim/check_sweep.h"
#include "sim/memory.h"
#include "sim/world.h"

void
check_chain_init(struct check_chain *check, struct world *world)
{
    *check = (struct check_chain){.world = world};
}

void
check_chain_close(struct check_chain *check)
{
    while (check->paths) {
        struct checked_path *next = check->paths->next;
        free(check->paths->accepted);
        free(check->paths->chosen);
        free(check->paths->voted);
        free(check->paths);
        check->paths = next;
    }
    free(check->versions);
}

struct path
check_chain_name(const struct checked_path *p)
{
    return (struct path){bytes_of_text(p->tenant), bytes_of_text(p->name)};
}

static bool
is_of(const struct checked_path *p, struct path path)
{
    return bytes_equal(bytes_of_text(p->name), path.name) &&
           bytes_equal(bytes_of_text(p->tenant), path.tenant);
}

const struct checked_path *
check_chain_path(const struct check_chain *check, struct path path)
{
    for (struct checked_path *p = check->paths; p; p = p->next) {
        if (is_of(p, path))
            return p;
    }
    return NULL;
}

struct checked_path *
check_chain_path_of(struct check_chain *check, struct path path)
{
    for (struct checked_path *p = check->paths; p; p = p->next) {
        if (is_of(p, path))
            return p;
    }
    struct checked_path *p = sim_alloc(sizeof(*p));
    memcpy(p->tenant, path.tenant.data, path.tenant.size);
    memcpy(p->name, path.name.data, path.name.size);
    p->next = check->paths;
    check->paths = p;
    return p;
}

/* ---- versions ---- */

static struct known_version *
version_slot(const struct check_chain *check, const uint8_t *id)
{
    static const uint8_t none[ID_BYTES] = {0};
    uint64_t hash;
    memcpy(&hash, id, sizeof(hash));
    for (size_t i = (size_t)hash;; i++) {
        struct known_version *v = &check->versions[i & (check->version_capacity - 1)];
        if (memcmp(v->id, id, ID_BYTES) == 0 || memcmp(v->id, none, ID_BYTES) == 0)
            return v;
    }
}

static void
versions_grow(struct check_chain *check)
{
    struct known_version *old = check->versions;
    size_t old_capacity = check->version_capacity;
    static const uint8_t none[ID_BYTES] = {0};
    check->version_capacity = old_capacity ? old_capacity * 2 : 256;
    check->versions = sim_alloc(check->version_capacity * sizeof(*check->versions));
    for (size_t i = 0; i < old_capacity; i++) {
        if (memcmp(old[i].id, none, ID_BYTES) != 0)
            *version_slot(check, old[i].id) = old[i];
    }
    free(old);
}

/* False only if the chain of the head is known, and the version is not in it. */
static bool
may_be_in_chain(const struct check_chain *check, const struct head *head, const uint8_t *version_id)
{
    const uint8_t *id = head->version_id;
    for (uint64_t v = head->version; v >= head->oldest_version; v--) {
        if (memcmp(id, version_id, ID_BYTES) == 0)
            return true;
        const struct known_version *known = version_slot(check, id);
        if (memcmp(known->id, id, ID_BYTES) != 0)
            return true;
        id = known->prev;
    }
    return false;
}

/*
 * What comes late, from escrow or repair, belongs to the secret as this node knows it to be now.
 * (What lies here already is sealed anew now and then, the leavings of losers too.)
 */
static void
check_kept(struct check_chain *check, unsigned node, struct path path, const uint8_t *version_id,
           const struct version_record *record, bool share)
{
    const struct disk_table *disk = &check->world->nodes[node].disk.durable;
    struct row_key key;
    struct path_row row;
    struct head head;
    row_key_path(path, &key);
    const struct disk_row *found = disk_find(disk, row_key_bytes(&key));
    if (!found || found->corrupt || path_row_decode(found->value, &row) != OK ||
        row.state != STATE_CHOSEN || head_decode(row.head, &head) != OK)
        return;
    if (head.kind != HEAD_LIVE || !may_be_in_chain(check, &head, version_id))
        sim_fail(check->world, SIM_SAFETY, "kept",
                 "%.*s: node %u stored a version which is not of the head that it knows chosen",
                 (int)path.name.size, (const char *)path.name.data, node);
    if (share && version_set_has(head.destroyed, head.oldest_version, record->version))
        sim_fail(check->world, SIM_SAFETY, "destroyed",
                 "%.*s: node %u stored a share of version %lu, which it knows to be destroyed",
                 (int)path.name.size, (const char *)path.name.data, node,
                 (unsigned long)record->version);
}

/* A row that is written anew may be from when the node had another configuration. */
static void
dealing_row_seen(struct check_chain *check, unsigned node, struct bytes value, bool replaces)
{
    struct world *world = check->world;
    struct dealing *dealing = sim_alloc(sizeof(*dealing));
    if (dealing_decode(value, (struct bytes){0}, dealing) != OK)
        sim_fail(world, SIM_SAFETY, "rows", "a dealing that does not decode was stored");
    bool excused = world->nodes[node].mismatched || (replaces && world->nodes[node].was_mismatched);
    if (!excused &&
        (dealing->threshold != world->options.threshold || dealing->count != world->options.shares))
        sim_fail(world, SIM_SAFETY, "configuration", "node %u stored a dealing for %u of %u", node,
                 dealing->threshold, dealing->count);
    free(dealing);
}

static void
version_row_seen(struct check_chain *check, unsigned node, struct path path, struct bytes value,
                 bool replaces)
{
    struct version_row row;
    struct version_record record;
    uint8_t id[ID_BYTES];
    if (version_row_decode(value, &row) != OK || version_decode(row.record, &record) != OK)
        sim_fail(check->world, SIM_SAFETY, "rows", "a version row that does not decode was stored");
    record_id(row.record, id);
    if (2 * check->version_count >= check->version_capacity)
        versions_grow(check);
    struct known_version *v = version_slot(check, id);
    check->version_count += memcmp(v->id, id, ID_BYTES) != 0;
    memcpy(v->id, id, ID_BYTES);
    memcpy(v->incarnation, record.incarnation, INCARNATION_BYTES);
    memcpy(v->prev, record.prev, ID_BYTES);
    if (row.dealing.size > 0)
        dealing_row_seen(check, node, row.dealing, replaces);
    if (!replaces && !check->world->nodes[node].was_mismatched)
        check_kept(check, node, path, id, &record, row.share.size > 0);
}

const uint8_t *
check_chain_incarnation(const struct check_chain *check, const uint8_t *version_id)
{
    if (check->version_capacity == 0)
        return NULL;
    const struct known_version *v = version_slot(check, version_id);
    return memcmp(v->id, version_id, ID_BYTES) == 0 ? v->incarnation : NULL;
}

/* ---- heads ---- */

static bool
is_pending(const struct chosen_head *head)
{
    static const uint8_t none[BATCH_ID_BYTES] = {0};
    return memcmp(head->batch, none, BATCH_ID_BYTES) != 0;
}

/* What the record of the batch says, if it has been chosen. */
static enum batch_decision
decision_of(const struct check_chain *check, const uint8_t id[static BATCH_ID_BYTES])
{
    uint8_t name[BATCH_RECORD_NAME_BYTES];
    struct path path = batch_record_path(bytes_of_text("default"), id, name);
    const struct checked_path *p = check_chain_path(check, path);
    return p && p->chosen_count > 0 ? p->chosen[0].decision : BATCH_UNDECIDED;
}

/* A pending head is overwritten only once its batch is decided, and as it was decided. */
static void
check_overwritten(struct check_chain *check, const struct checked_path *p,
                  const struct chosen_head *below, const struct chosen_head *above)
{
    enum batch_decision due = above->kind == HEAD_VOID ? BATCH_ABORTED : BATCH_COMMITTED;
    if (decision_of(check, below->batch) != due)
        sim_fail(check->world, SIM_SAFETY, "batch",
                 "%s: generation %lu replaces a pending head that was not decided so", p->name,
                 (unsigned long)above->generation);
}

/* A version that was destroyed is so in every later head that keeps it. */
static void
check_stays_destroyed(struct check_chain *check, const struct checked_path *p,
                      const struct chosen_head *below, const struct chosen_head *above)
{
    for (uint64_t v = above->oldest_version; v <= below->version; v++) {
        if (version_set_has(below->destroyed, below->oldest_version, v) &&
            !version_set_has(above->destroyed, above->oldest_version, v))
            sim_fail(check->world, SIM_SAFETY, "destroyed",
                     "%s: generation %lu has version %lu back, which was destroyed", p->name,
                     (unsigned long)above->generation, (unsigned long)v);
    }
}

/* Committed is what has all its members. */
static void
check_committed(struct check_chain *check, const struct checked_path *record,
                const struct chosen_head *head)
{
    size_t found = 0;
    if (head->decision != BATCH_COMMITTED)
        return;
    for (const struct checked_path *p = check->paths; p; p = p->next) {
        bool has = false;
        for (size_t i = 0; i < p->chosen_count; i++)
            has = has || memcmp(p->chosen[i].batch, head->incarnation, BATCH_ID_BYTES) == 0;
        found += has;
    }
    if (found != head->members)
        sim_fail(check->world, SIM_SAFETY, "batch",
                 "%s: committed with %lu members, of which %lu are chosen", record->name,
                 (unsigned long)head->members, (unsigned long)found);
}

/* Of an identity record, whose deletion is a head like the others. */
static bool
record_follows(const struct chosen_head *below, const struct chosen_head *above)
{
    bool same = memcmp(above->incarnation, below->incarnation, INCARNATION_BYTES) == 0;
    if (below->kind != HEAD_INLINE || above->kind != HEAD_INLINE || (below->gone && above->gone))
        return false;
    if (below->gone)
        return above->version == 1 && !same;
    return above->version == below->version + !above->gone && same;
}

/* Whatever was chosen at one generation is named by what was chosen at the next; versions and times only go up. */
static void
check_link(struct check_chain *check, const struct checked_path *p, const struct chosen_head *below,
           const struct chosen_head *above)
{
    struct world *world = check->world;
    unsigned long generation = (unsigned long)above->generation;
    if (below->generation == 0 || above->generation == 0)
        return;
    if (memcmp(above->prev, below->id, ID_BYTES) != 0)
        sim_fail(world, SIM_SAFETY, "one-chain",
                 "%s: generation %lu is not built on the chosen one before it", p->name,
                 generation);
    if (above->sweep_ms < below->sweep_ms)
        sim_fail(world, SIM_SAFETY, "sweep", "the time of the sweep has gone back");
    if (above->changed_at_ms <= below->changed_at_ms)
        sim_fail(world, SIM_SAFETY, "one-chain", "%s: generation %lu does not come later in time",
                 p->name, generation);
    bool created = above->version == 1 && above->kind == HEAD_LIVE && below->kind != HEAD_LIVE &&
                   memcmp(above->incarnation, below->incarnation, INCARNATION_BYTES) != 0;
    bool same = memcmp(above->incarnation, below->incarnation, INCARNATION_BYTES) == 0;
    bool deleted = same && above->kind == HEAD_TOMBSTONE && above->version == below->version &&
                   below->kind == HEAD_LIVE;
    bool updated = same && above->kind == HEAD_LIVE && below->kind == HEAD_LIVE &&
                   above->version == below->version + 1 + above->earlier;
    bool unmarked = same && above->kind == HEAD_LIVE && is_pending(below) && !is_pending(above) &&
                    above->version == below->version;
    bool voided = same && above->kind == HEAD_VOID && is_pending(below);
    bool altered =
        same && above->alters && below->kind == HEAD_LIVE && above->version == below->version;
    if (same && above->kind == HEAD_LIVE)
        check_stays_destroyed(check, p, below, above);
    if (is_pending(below))
        check_overwritten(check, p, below, above);
    bool record = record_follows(below, above);
    if (!created && !deleted && !updated && !unmarked && !voided && !altered && !record)
        sim_fail(world, SIM_SAFETY, "one-chain",
                 "%s: generation %lu does not follow from the one before", p->name, generation);
}

static void
add_chosen(struct check_chain *check, struct checked_path *p, const struct chosen_head *head)
{
    check_sweep_chosen(check, head);
    if (check_sweep_is_over(check, head))
        return;
    size_t index = (size_t)head->generation - 1;
    if (index >= p->chosen_count) {
        p->chosen = sim_resize(p->chosen, (index + 1) * sizeof(*p->chosen));
        memset(p->chosen + p->chosen_count, 0, (index + 1 - p->chosen_count) * sizeof(*p->chosen));
        p->chosen_count = index + 1;
    }
    struct chosen_head *known = &p->chosen[index];
    if (known->generation != 0) {
        if (memcmp(known->id, head->id, ID_BYTES) != 0)
            sim_fail(check->world, SIM_SAFETY, "one-chain",
                     "%s: two heads chosen at generation %lu", p->name,
                     (unsigned long)head->generation);
        if (ballot_compare(head->ballot, known->ballot) < 0) {
            known->ballot = head->ballot;
            check_choice_chosen(check, p, known);
        }
        return;
    }
    *known = *head;
    check->groups += head->earlier > 0;
    check_choice_chosen(check, p, known);
    check_committed(check, p, known);
    if (index > 0)
        check_link(check, p, &p->chosen[index - 1], known);
    if (index + 1 < p->chosen_count)
        check_link(check, p, known, &p->chosen[index + 1]);
}

static struct accepted_head *
accepted_at(struct check_chain *check, struct checked_path *p, struct ballot ballot,
            const struct chosen_head *head)
{
    for (size_t i = p->accepted_count; i-- > 0;) {
        struct accepted_head *a = &p->accepted[i];
        if (ballot_compare(a->ballot, ballot) != 0)
            continue;
        if (memcmp(a->head.id, head->id, ID_BYTES) != 0)
            sim_fail(check->world, SIM_SAFETY, "one-ballot-one-head",
                     "%s: two heads accepted at one ballot", p->name);
        return a;
    }
    if (p->accepted_count == p->accepted_capacity) {
        p->accepted_capacity = p->accepted_capacity * 2 + 16;
        p->accepted = sim_resize(p->accepted, p->accepted_capacity * sizeof(*p->accepted));
    }
    struct accepted_head *a = &p->accepted[p->accepted_count++];
    *a = (struct accepted_head){.ballot = ballot, .head = *head};
    return a;
}

/* A path is kept by its replicas and by nobody else. */
static void
check_placement(struct check_chain *check, unsigned node, struct path path)
{
    if (!(world_replicas(check->world, path) >> node & 1) && !check->world->nodes[node].mismatched)
        sim_fail(check->world, SIM_SAFETY, "placement",
                 "node %u stored a row of a path that it does not keep", node);
}

static void
path_row_seen(struct check_chain *check, unsigned node, struct bytes value)
{
    struct path_row row;
    struct head head;
    if (path_row_decode(value, &row) != OK || head_decode(row.head, &head) != OK)
        sim_fail(check->world, SIM_SAFETY, "rows", "a path row that does not decode was stored");
    check_placement(check, node, head.path);
    if (forger_made(&head))
        sim_fail(check->world, SIM_SAFETY, "forged", "node %u took a head that no client asked for",
                 node);
    struct checked_path *p = check_chain_path_of(check, head.path);
    struct chosen_head seen = {.generation = head.generation,
                               .kind = head.kind,
                               .version = head.version,
                               .earlier = head_earlier_count(&head),
                               .changed_at_ms = head.changed_at_ms,
                               .decision = head.decision,
                               .members = head.members.size / BATCH_MEMBER_BYTES,
                               .gone = head.kind == HEAD_INLINE && !head_has_value(&head),
                               .alters = head.kind == HEAD_LIVE && !head_brings_version(&head),
                               .oldest_version = head.oldest_version,
                               .destroyed = head.destroyed,
                               .expires_at_ms = head.expires_at_ms,
                               .forget_after_ms = sweep_forget_after(&head),
                               .sweep_ms = check_sweep_time(&head)};
    check_sweep_put(check, node, &head, &seen);
    memcpy(seen.batch, head.batch, BATCH_ID_BYTES);
    record_id(row.head, seen.id);
    memcpy(seen.prev, head.prev, ID_BYTES);
    memcpy(seen.version_id, head.version_id, ID_BYTES);
    memcpy(seen.incarnation, head.incarnation, INCARNATION_BYTES);
    seen.ballot = row.ballot;
    bool handed = row.state == STATE_RECEIVED && row.ballot.offer; /* for what was stale */
    if (!handed && ballot_compare(row.ballot, p->highest[node]) < 0)
        sim_fail(check->world, SIM_SAFETY, "ballots", "%s: node %u went back to a lower ballot",
                 p->name, node);
    p->highest[node] = row.ballot;
    if (row.state == STATE_CHOSEN)
        check_choice_claimed(check, p, node, seen.id);
    struct accepted_head *a = accepted_at(check, p, row.ballot, &seen);
    a->foreign = a->foreign || check->world->nodes[node].mismatched;
    check_choice_built(check, p, a);
    bool chosen = row.state == STATE_CHOSEN;
    uint64_t replicas = world_replicas(check->world, head.path);
    unsigned count = (unsigned)__builtin_popcountll(replicas);
    unsigned majority = row.ballot.offer ? count : count / 2 + 1;
    if (row.state != STATE_RECEIVED && (replicas >> node & 1))
        chosen = check_choice_accepted(check->world, a, node, majority) || chosen;
    if (chosen)
        add_chosen(check, p, &seen);
}

/* n, k and recipients are those of the cluster, whatever a node with another configuration may want. */
/* An incarnation that begins with a handover has forgotten; one that mends a row keeps the rest. */
static void
node_row_seen(struct check_chain *check, unsigned node, struct bytes key, struct bytes value)
{
    struct sim_node *n = &check->world->nodes[node];
    struct row_key own;
    struct node_row row;
    row_key_meta("node", &own);
    if (!bytes_equal(key, row_key_bytes(&own)) || node_row_decode(value, &row) != OK)
        return;
    check_sweep_node(check, node, &row);
    if (row.recovery == RECOVERY_HANDOVER && row.incarnation > n->forgetful_incarnation)
        n->forgetful_incarnation = row.incarnation;
}

void
check_chain_row(struct check_chain *check, unsigned node, struct bytes key, struct bytes value,
                bool replaces)
{
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes id;
    if (row_key_parse(key, &table, &path, &version, &id) == OK)
        check_placement(check, node, path);
    if (key.data[0] == ROW_META)
        node_row_seen(check, node, key, value);
    else if (key.data[0] == ROW_PATH)
        path_row_seen(check, node, value);
    else if (key.data[0] == ROW_VERSION)
        version_row_seen(check, node, path, value, replaces);
    else if (key.data[0] == ROW_DEALING)
        dealing_row_seen(check, node, value, replaces);
}

void
check_chain_promise(struct check_chain *check, unsigned node, struct path path,
                    struct ballot ballot)
{
    struct checked_path *p = check_chain_path_of(check, path);
    if (ballot_compare(ballot, p->promised[node]) < 0)
        sim_fail(check->world, SIM_SAFETY, "promises", "%s: node %u forgot what it had promised",
                 p->name, node);
    p->promised[node] = ballot;
}

void
check_chain_new_incarnation(struct check_chain *check, unsigned node)
{
    for (struct checked_path *p = check->paths; p; p = p->next)
        p->promised[node] = (struct ballot){0};
}

void
check_chain_end(struct check_chain *check)
{
    for (const struct checked_path *p = check->paths; p; p = p->next) {
        for (size_t i = 0; i < p->chosen_count; i++) {
            if (p->chosen[i].generation == 0)
                sim_fail(check->world, SIM_SAFETY, "one-chain",
                         "%s: generation %lu was never chosen, a later one was", p->name,
                         (unsigned long)i + 1);
        }
    }
}

uint64_t
check_chain_length(const struct check_chain *check)
{
    uint64_t length = 0;
    for (const struct checked_path *p = check->paths; p; p = p->next)
        length += p->chosen_count;
    return length;
}
