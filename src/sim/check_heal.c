/*
 * Property: with any majority of the replicas of every path alive and connected, every operation ends, every live secret becomes readable and
 * every path writable within a bounded time after the faults stop. Afterwards, with everybody back, what is outstanding drains:
 * no boxed share waits any more, no deletion is unfinished.
 */
#include <string.h>

#include "sim/world.h"

enum {
    HEAL_MS = 90000,
    DRAIN_MS = 120000,
    APART_MS = 6000,
    SLICE_MS = 100,
    TRIES_MAX = 200,
    SHRED_PATHS = 3,
    SHRED_S = 150
};

static bool
idle(const struct world *world)
{
    return world->clients.in_flight == 0;
}

static void
run_until_idle(struct world *world, uint64_t until)
{
    while (!idle(world) && world_step(world, until))
        continue;
}

/* ---- who lives ---- */

static bool
has_majority(const struct world *world, struct path path, uint64_t set)
{
    return (unsigned)__builtin_popcountll(world_replicas(world, path) & set) >=
           world_majority(world);
}

/* The records of all batches that anybody has accepted a secret of: without them nobody could go on there. */
static bool
is_enough_for_batches(const struct world *world, uint64_t set)
{
    static const uint8_t none[BATCH_ID_BYTES] = {0};
    uint8_t name[BATCH_RECORD_NAME_BYTES];
    bool enough = true;
    for (const struct checked_path *p = world->chain.paths; p; p = p->next) {
        for (size_t i = 0; i < p->accepted_count && enough; i++) {
            const uint8_t *batch = p->accepted[i].head.batch;
            enough =
                memcmp(batch, none, BATCH_ID_BYTES) == 0 ||
                has_majority(world, batch_record_path(bytes_of_text("default"), batch, name), set);
        }
    }
    return enough;
}

/* With that set alone, every path has a majority of its replicas. */
static bool
is_enough(const struct world *world, uint64_t set)
{
    bool enough = is_enough_for_batches(world, set);
    for (unsigned i = 0; i < world->clients.path_count; i++) {
        struct path path = {bytes_of_text("default"), bytes_of_text(world->clients.paths[i].name)};
        enough = enough && has_majority(world, path, set);
    }
    return enough;
}

static uint64_t
whole_nodes(const struct world *world)
{
    uint64_t whole = 0;
    for (unsigned i = 0; i < world->options.nodes; i++)
        whole |= world->nodes[i].spoilt || world->nodes[i].rotten || !store_is_recovered(world, i)
                     ? 0
                     : UINT64_C(1) << i;
    return whole;
}

/*
 * Nodes that became new incarnations by themselves, for the floor of a clock that had run away, are in
 * nobody's count of what was struck: they come back by themselves, while all others are there.
 */
static void
await_whole_nodes(struct world *world)
{
    uint64_t until = world->now_ns + ms_to_ns(HEAL_MS);
    if (is_enough(world, whole_nodes(world)))
        return;
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (!node_up(world, i))
            node_boot(world, i);
    }
    while (world->now_ns < until && !is_enough(world, whole_nodes(world))) {
        uint64_t slice = world->now_ns + ms_to_ns(SLICE_MS);
        while (world_step(world, slice))
            continue;
    }
}

/*
 * As few nodes as leave every path a majority of its replicas, among those whose stores, records and clocks are whole; everybody else is
 * dead for good.
 */
static void
choose_living(struct world *world)
{
    unsigned n = world->options.nodes;
    unsigned first = (unsigned)prng_below(&world->fault_prng, n);
    await_whole_nodes(world);
    uint64_t chosen = whole_nodes(world);
    for (unsigned i = 0; i < n; i++) {
        uint64_t without = chosen & ~(UINT64_C(1) << (first + n - 1 - i) % n);
        chosen = is_enough(world, without) ? without : chosen;
    }
    for (unsigned i = 0; i < n; i++) {
        world->nodes[i].dead = !(chosen >> i & 1);
        if (world->nodes[i].dead)
            node_crash(world, i);
        else if (!node_up(world, i))
            node_boot(world, i);
    }
    trace_line(&world->trace, world->now_ns, "healed: only nodes %lx live on",
               (unsigned long)chosen);
}

/* That node, or any if it is negative, or whoever is up instead. */
static unsigned
some_living(struct world *world, int at)
{
    unsigned n = world->options.nodes > 0 ? world->options.nodes : 1;
    unsigned node = at >= 0 ? (unsigned)at : (unsigned)prng_below(&world->fault_prng, n);
    /* What struck just before may still end a process, which then comes back by itself. */
    for (unsigned i = 1; !node_up(world, node); i++) {
        node = (node + 1) % n;
        uint64_t pause = world->now_ns + (i % n == 0 ? ms_to_ns(10) : 0);
        while (world_step(world, pause))
            continue;
    }
    return node;
}

/* ---- operations that must succeed in the end ---- */

static const struct op *
try_once(struct world *world, unsigned node, unsigned path, const struct request *request,
         uint64_t until)
{
    struct op *op = client_begin(world, world->options.clients, node, path, request);
    run_until_idle(world, until);
    if (op->outcome == OP_PENDING)
        sim_fail(world, SIM_LIVENESS, "every-operation-ends", "op %lu has no answer",
                 (unsigned long)op->number);
    return op;
}

static bool
is_answer(const struct op *op)
{
    return op->outcome == OP_DONE || op->outcome == OP_REFUSED;
}

/* Asks until there is an answer. */
static const struct op *
insist(struct world *world, int at, unsigned path, const struct request *request, uint64_t until,
       const char *property)
{
    const struct op *op = NULL;
    for (unsigned i = 0; i < TRIES_MAX && world->now_ns < until; i++) {
        unsigned node = some_living(world, at);
        op = try_once(world, node, path, request, until + ms_to_ns(10000));
        if (is_answer(op))
            return op;
        uint64_t pause = world->now_ns + ms_to_ns(50);
        while (world_step(world, pause))
            continue;
    }
    sim_fail(world, SIM_LIVENESS, property, "%s %s, last: %s", request_kind_name(request->kind),
             world->clients.paths[path].name, op ? vault_err_name(op->reply.err) : "no try");
}

static void
read_everything(struct world *world, uint64_t until)
{
    struct request read = {.kind = REQUEST_READ};
    for (unsigned i = 0; i < world->clients.path_count; i++)
        insist(world, -1, i, &read, until, "readable");
}

/*
 * In one page: what it says of each path is an answer about it. It needs all nodes but n - m, since
 * a name that nobody names could be on any n of them.
 */
static void
list_everything(struct world *world, uint64_t until)
{
    unsigned n = world->options.nodes, away = 0;
    for (unsigned i = 0; i < n; i++)
        away += world->nodes[i].dead;
    if (away > world->options.shares - world_majority(world))
        return;
    struct request list = {.kind = REQUEST_NAMES, .limit = PAGE_MAX};
    insist(world, -1, 0, &list, until, "listed");
}

/* Every path takes a change. Others may be faster, so a refusal is an answer, too; the next kind then fits. */
static void
write_everything(struct world *world, uint64_t until)
{
    struct request create = {.kind = REQUEST_CREATE}, update = {.kind = REQUEST_UPDATE};
    for (unsigned i = 0; i < world->clients.path_count; i++) {
        const struct op *op = insist(world, -1, i, &update, until, "writable");
        if (op->outcome == OP_REFUSED)
            op = insist(world, -1, i, &create, until, "writable");
        /* An open try before it may have created it. */
        if (op->outcome == OP_REFUSED)
            op = insist(world, -1, i, &update, until, "writable");
        if (op->outcome != OP_DONE)
            sim_fail(world, SIM_LIVENESS, "writable", "%s takes neither update nor create",
                     world->clients.paths[i].name);
    }
}

/* ---- everybody back ---- */

static bool
any_left_out(const struct world *world)
{
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (world->nodes[i].left_out)
            return true;
    }
    return false;
}

/* What a node stored with another configuration, of paths that it does not keep, is nobody's business. */
static bool
counts(const struct world *world, unsigned node, struct bytes key)
{
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes id;
    return row_key_parse(key, &table, &path, &version, &id) == OK &&
           (world_replicas(world, path) >> node & 1);
}

static size_t
outstanding(const struct world *world, enum row_table which)
{
    struct row_key prefix;
    size_t count = 0;
    row_key_table(which, &prefix);
    for (unsigned n = 0; n < world->options.nodes; n++) {
        const struct disk_table *disk = &world->nodes[n].disk.durable;
        for (size_t i = disk_at_least(disk, row_key_bytes(&prefix));
             i < disk->count && disk_has_prefix(disk->rows[i]->key, row_key_bytes(&prefix)); i++)
            count += counts(world, n, disk->rows[i]->key);
    }
    return count;
}

static void
drain(struct world *world)
{
    uint64_t until = world->now_ns + ms_to_ns(DRAIN_MS);
    while (world->now_ns < until) {
        uint64_t next = world->now_ns + ms_to_ns(500);
        while (world_step(world, next))
            continue;
        if (outstanding(world, ROW_BOXES) == 0 && outstanding(world, ROW_ERASURE) == 0 &&
            outstanding(world, ROW_UNSETTLED) == 0)
            return;
    }
    sim_fail(world, SIM_LIVENESS, "drained",
             "%zu rows of boxes, %zu of erasures and %zu of batches remain",
             outstanding(world, ROW_BOXES), outstanding(world, ROW_ERASURE),
             outstanding(world, ROW_UNSETTLED));
}

/* ---- shredding ---- */

static bool
is_shredded(struct world *world, unsigned path)
{
    struct request ask = {.kind = REQUEST_DELETION};
    const struct op *op =
        try_once(world, some_living(world, -1), path, &ask, world->now_ns + ms_to_ns(HEAL_MS));
    return op->outcome == OP_DONE && op->reply.shredded;
}

/* What is deleted now is noise in the end, everywhere, when the share keys are replaced once more. */
static void
shred_some(struct world *world)
{
    struct request delete = {.kind = REQUEST_DELETE};
    unsigned count =
        world->clients.path_count < SHRED_PATHS ? world->clients.path_count : SHRED_PATHS;
    for (unsigned i = 0; i < count; i++)
        insist(world, -1, i, &delete, world->now_ns + ms_to_ns(HEAL_MS), "writable");
    unsigned done = 0;
    for (unsigned second = 0; second < SHRED_S && done < count; second++) {
        for (unsigned i = 0; second % 30 == 0 && i < world->options.nodes; i++) {
            if (node_up(world, i))
                node_look_after_keys(world, i, true);
        }
        uint64_t next = world->now_ns + ms_to_ns(1000);
        while (world_step(world, next))
            continue;
        while (done < count && is_shredded(world, done))
            done++;
    }
    if (done < count)
        sim_fail(world, SIM_LIVENESS, "shredded", "%s is not shredded",
                 world->clients.paths[done].name);
}

/* Cuts those who lived on from those who come back, or joins them. */
static void
keep_apart(struct world *world, uint64_t returning, bool apart)
{
    for (unsigned a = 0; a < world->options.nodes; a++) {
        for (unsigned b = 0; b < world->options.nodes; b++) {
            if ((returning >> a & 1) != (returning >> b & 1))
                net_cut(world, a, b, apart);
        }
    }
}

/*
 * In some seeds those who come back meet each other first: too few to decide anything, and with
 * heads in their hands that the others have left behind.
 */
static void
meet_first(struct world *world, uint64_t returning)
{
    if (!prng_chance(&world->fault_prng, 500))
        return;
    trace_line(&world->trace, world->now_ns, "those who were away are among themselves");
    keep_apart(world, returning, true);
    uint64_t until = world->now_ns + ms_to_ns(APART_MS);
    while (world_step(world, until))
        continue;
    keep_apart(world, returning, false);
}

static int
who_waits_for_handover(const struct world *world, struct recovery_progress *progress)
{
    *progress = (struct recovery_progress){0};
    for (unsigned i = 0; i < world->options.nodes; i++) {
        if (!node_up(world, i))
            return (int)i;
        node_recovery(world->nodes[i].node, progress);
        if (progress->behind || progress->state == RECOVERY_HANDOVER)
            return (int)i;
    }
    return -1;
}

/*
 * Whoever lost something is handed it; a floor of a clock that ran away is shed only now that enough
 * others are well. Own shares may be missing until they are read.
 */
static void
handed_over(struct world *world, uint64_t until)
{
    struct recovery_progress progress;
    int node = who_waits_for_handover(world, &progress);
    while (node >= 0 && world->now_ns < until) {
        uint64_t next = world->now_ns + ms_to_ns(100);
        while (world_step(world, next))
            continue;
        node = who_waits_for_handover(world, &progress);
    }
    if (node >= 0)
        sim_fail(world, SIM_LIVENESS, "recovered", "node %d: %u of %u have handed over", node,
                 progress.peers_complete, progress.peers_needed);
}

static void
everybody_back(struct world *world)
{
    uint64_t returning = 0;
    struct request read = {.kind = REQUEST_READ};
    world->phase = PHASE_WHOLE;
    trace_line(&world->trace, world->now_ns, "everybody comes back");
    if (!any_left_out(world))
        lose_backlog(world);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        returning |= (uint64_t)world->nodes[i].dead << i;
        world->nodes[i].dead = false;
        world->nodes[i].file_lost = false; /* the window is not to be met here */
        if (!node_up(world, i))
            node_boot(world, i);
    }
    meet_first(world, returning);
    if (any_left_out(world)) {
        check_converged(world, false);
        return;
    }
    drain(world);
    check_whole(world, world->now_ns + ms_to_ns(DRAIN_MS));
    check_status_backlog(world);
    check_converged(world, true);
    uint64_t until = world->now_ns + ms_to_ns(HEAL_MS);
    for (unsigned i = 0; i < world->clients.path_count; i++)
        insist(world, (int)(i % world->options.nodes), i, &read, until, "readable");
    handed_over(world, until);
    list_everything(world, until);
    tokens_whole(world);
    bearers_whole(world);
    lives_whole(world);
    drain(world);
    check_delete_all(world);
    shred_some(world);
}

void
check_heal(struct world *world)
{
    world->phase = PHASE_HEALED;
    faults_stop(world);
    choose_living(world);
    uint64_t until = world->now_ns + ms_to_ns(HEAL_MS);
    run_until_idle(world, until);
    if (!idle(world))
        sim_fail(world, SIM_LIVENESS, "every-operation-ends", "%lu operations have no answer",
                 (unsigned long)world->clients.in_flight);
    read_everything(world, until);
    list_everything(world, until);
    write_everything(world, until);
    list_everything(world, until);
    check_status_backlog(world);
    everybody_back(world);
}
