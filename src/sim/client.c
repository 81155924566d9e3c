#include "sim/client_internal.h"

#include <stdio.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/number.h"
#include "sim/options.h"
#include "sim/world.h"

enum { VALUE_HEADER_BYTES = CANARY_BYTES + NUMBER_BYTES, PAGE_ROWS = 100, ATTEMPT_SHIFT = 32 };

/*
 * A path remembers its last 64 changes under a key: beyond that a retry is another change. So paths
 * that have seen many are not retried on.
 */
enum { CHANGES_RETRIED_MAX = 32 };
enum { AT_NOW_PERMILLE = 400, AT_NOW_MS = 30 };
enum { RUSH_MAX = 12 };

static const enum request_kind kinds[8] = {REQUEST_CREATE, REQUEST_UPDATE,  REQUEST_READ,
                                           REQUEST_READ,   REQUEST_READ,    REQUEST_HISTORY,
                                           REQUEST_DELETE, REQUEST_DELETION};
enum pick { PICK_OLD_VERSION = 3, PICK_AT = 4 };

const char *
op_outcome_name(enum op_outcome outcome)
{
    static const char *const names[] = {"pending", "done", "refused", "nothing", "open"};
    return names[outcome];
}

/* ---- values: canary, number of the write, and bytes that follow from it ---- */

static void
value_fill(const struct world *world, uint64_t number, uint8_t *out, size_t size)
{
    struct prng prng;
    prng_init(&prng, world->options.seed ^ number * UINT64_C(0x9e3779b97f4a7c15));
    memcpy(out, world->canary, CANARY_BYTES);
    number_put(out + CANARY_BYTES, number);
    prng_fill(&prng, out + VALUE_HEADER_BYTES, size - VALUE_HEADER_BYTES);
}

/* Number of the write that made this value; 0: nobody wrote it. */
static uint64_t
value_number(const struct world *world, struct bytes value)
{
    if (value.size < VALUE_HEADER_BYTES || memcmp(value.data, world->canary, CANARY_BYTES) != 0)
        return 0;
    uint64_t number = number_get(value.data + CANARY_BYTES);
    if (number == 0 || number > world->clients.count ||
        world->clients.ops[number - 1]->value_size != value.size)
        return 0;
    uint8_t *expected = sim_alloc(value.size);
    value_fill(world, number, expected, value.size);
    bool same = memcmp(expected, value.data, value.size) == 0;
    free(expected);
    return same ? number : 0;
}

static size_t
value_size(struct world *world)
{
    struct prng *prng = &world->client_prng;
    if (prng_chance(prng, 1))
        return (size_t)prng_between(prng, 100000, VALUE_BYTES_MAX);
    return VALUE_HEADER_BYTES + (size_t)prng_skewed(prng, 0, world->options.value_bytes_max);
}

/* ---- making ---- */

void
clients_init(struct world *world)
{
    struct clients *c = &world->clients;
    unsigned count = world->options.clients + 1; /* the last belongs to the checker of healing */
    c->path_count = world->options.hot_paths + world->options.cold_paths;
    c->paths = sim_alloc(c->path_count * sizeof(*c->paths));
    for (unsigned i = 0; i < c->path_count; i++)
        snprintf(c->paths[i].name, sizeof(c->paths[i].name), "%s/secret-%u",
                 i < world->options.hot_paths ? "hot" : "cold", i);
    c->clients = sim_alloc(count * sizeof(*c->clients));
    c->budget = world->options.operations;
    for (unsigned i = 0; i < count; i++) {
        c->clients[i].node = (unsigned)prng_below(&world->client_prng, world->options.nodes);
        if (i + 1 < count)
            event_push(world, event_new(world, EVENT_CLIENT, i, ms_to_ns(1000 + i), 0));
    }
}

void
clients_close(struct world *world)
{
    struct clients *c = &world->clients;
    /* The last first: a batch goes with its first member, and the others look at it. */
    for (size_t i = c->count; i-- > 0;) {
        free(c->ops[i]->value);
        free(c->ops[i]->valid_from);
        free(c->ops[i]->listed);
        free(c->ops[i]->alteration);
        free(c->ops[i]->states);
        if (c->ops[i]->batch && c->ops[i]->batch->members[0] == c->ops[i])
            free(c->ops[i]->batch);
        free(c->ops[i]);
    }
    free(c->ops);
    free(c->clients);
    free(c->paths);
}

struct op *
op_new(struct world *world, unsigned client, unsigned node, unsigned path)
{
    struct clients *c = &world->clients;
    if (c->count == c->capacity) {
        c->capacity = c->capacity * 2 + 256;
        c->ops = sim_resize(c->ops, c->capacity * sizeof(struct op *));
    }
    struct op *op = sim_alloc(sizeof(*op));
    c->ops[c->count++] = op;
    op->number = c->count;
    op->path = path;
    op->client = client;
    op->node = node;
    op->called_ns = world->now_ns;
    snprintf(op->name, sizeof(op->name), "%s", c->paths[path].name);
    snprintf(op->id, sizeof(op->id), "op-%lu", (unsigned long)op->number);
    return op;
}

static bool
is_write(const struct op *op)
{
    return op->request.kind == REQUEST_CREATE || op->request.kind == REQUEST_UPDATE;
}

static bool
is_change(const struct op *op)
{
    return is_write(op) || op->request.kind == REQUEST_DELETE || op->request.kind == REQUEST_ALTER;
}

/* Sends the operation to a node, for the first time or again. */
void
op_attempt(struct world *world, struct op *op, unsigned node)
{
    const struct sim_node *n = &world->nodes[node];
    uint64_t left = n->paused_until_ns > world->now_ns ? n->paused_until_ns - world->now_ns : 0;
    struct event *event =
        event_new(world, EVENT_REQUEST, node, 1000 * prng_between(&world->client_prng, 5, 500), 0);
    op->node = node;
    op->attempts[op->attempt_count] = (struct attempt){.node = node,
                                                       .live = true,
                                                       .called_ns = world->now_ns,
                                                       .paused_ns = n->paused_total_ns - left};
    /* A key that has been used before is compared with what it wrote: that is a read. */
    bool read = op->request.kind == REQUEST_READ || op->request.idempotency_key.size > 0;
    if (read)
        world->clients.paths[op->path].reads_at |= UINT64_C(1) << node;
    for (size_t i = 0; read && op->batch && i < op->batch->count; i++)
        world->clients.paths[op->batch->members[i]->path].reads_at |= UINT64_C(1) << node;
    event->tag = op->number | (uint64_t)op->attempt_count++ << ATTEMPT_SHIFT;
    event_push(world, event);
}

void
op_make_value(struct world *world, struct op *op)
{
    op->value_size = value_size(world);
    op->value = sim_alloc(op->value_size);
    value_fill(world, op->number, op->value, op->value_size);
    op->request.value = bytes_of(op->value, op->value_size);
    op->request.encoding = VALUE_BASE64;
}

struct op *
client_begin(struct world *world, unsigned client, unsigned node, unsigned path,
             const struct request *request)
{
    struct clients *c = &world->clients;
    struct op *op = op_new(world, client, node, path);
    op->request = *request;
    op->request.routed = true;
    op->request.tenant = bytes_of_text("default");
    op->request.name = bytes_of_text(op->name);
    op->request.id = bytes_of_text(op->id);
    op->request.credential = bytes_of_text(sim_token);
    if (op->request.limit == 0)
        op->request.limit = PAGE_ROWS;
    if (request->kind == REQUEST_CREATE || request->kind == REQUEST_UPDATE)
        op_make_value(world, op);
    if (is_change(op)) {
        if (prng_chance(&world->client_prng, 500)) {
            c->paths[path].keyed_changes++;
            snprintf(op->key, sizeof(op->key), "key-%lu", (unsigned long)op->number);
            op->request.idempotency_key = bytes_of_text(op->key);
        }
    }
    c->clients[client].op = op;
    c->clients[client].gone = false;
    c->in_flight++;
    c->by_kind[request->kind]++;
    op_attempt(world, op, node);
    trace_line(&world->trace, world->now_ns, "op %lu client %u at node %u: %s %s version %lu",
               (unsigned long)op->number, client, node, request_kind_name(request->kind), op->name,
               (unsigned long)(request->has_expected_version ? request->expected_version
                                                             : request->version));
    return op;
}

static struct op *
op_of(const struct world *world, uint64_t exchange, unsigned *attempt)
{
    const struct clients *c = &world->clients;
    uint64_t number = exchange & ((UINT64_C(1) << ATTEMPT_SHIFT) - 1);
    struct op *op = number >= 1 && number <= c->count ? c->ops[number - 1] : NULL;
    *attempt = (unsigned)(exchange >> ATTEMPT_SHIFT);
    return op && *attempt < op->attempt_count ? op : NULL;
}

void
client_deliver(struct world *world, uint64_t exchange)
{
    struct msg msg = {.kind = MSG_REQUEST};
    unsigned attempt;
    struct op *op = op_of(world, exchange, &attempt);
    msg.u.request.request = op->batch ? &op->batch->request : &op->request;
    msg.u.request.exchange = exchange;
    op->attempts[attempt].delivered = true;
    node_hand(world, op->attempts[attempt].node, ACTOR_GATEWAY, &msg);
}

/* ---- the next operation ---- */

static unsigned
pick_path(struct world *world)
{
    const struct sim_options *o = &world->options;
    if (prng_chance(&world->client_prng, o->hot_permille))
        return (unsigned)prng_below(&world->client_prng, o->hot_paths);
    return o->hot_paths + (unsigned)prng_below(&world->client_prng, o->cold_paths);
}

static unsigned
pick_kind(struct world *world, const struct sim_path *path)
{
    unsigned weights[8], total = 0, i = 0;
    for (i = 0; i < 8; i++) {
        weights[i] = world->options.weights[i];
        /* Mostly what makes sense, for as far as a client knows. */
        if ((i == 0) != (path->version == 0) && i != PICK_AT)
            weights[i] = weights[i] / (kinds[i] == REQUEST_READ ? 2 : 8) + (i != 6);
        total += weights[i];
    }
    uint64_t ticket = prng_below(&world->client_prng, total);
    for (i = 0; ticket >= weights[i]; i++)
        ticket -= weights[i];
    return i;
}

static struct request
pick_request(struct world *world, unsigned node, unsigned path_number)
{
    const struct sim_path *path = &world->clients.paths[path_number];
    struct prng *prng = &world->client_prng;
    unsigned pick = pick_kind(world, path);
    struct request r = {.kind = kinds[pick]};
    if (pick == PICK_OLD_VERSION) {
        r.version = prng_between(prng, 1, path->version + 1);
    } else if (pick == PICK_AT && path->time_count > 0) {
        r.has_at = true;
        r.at_ms = path->times[prng_below(prng, path->time_count)] + prng_below(prng, 3) - 1;
        /* Just now, while a change with an earlier time may still be on its way. */
        if (prng_chance(prng, AT_NOW_PERMILLE))
            r.at_ms = node_wall_ms(world, node) - prng_below(prng, AT_NOW_MS);
    } else if ((r.kind == REQUEST_UPDATE || r.kind == REQUEST_DELETE) && prng_chance(prng, 400)) {
        r.has_expected_version = true;
        r.expected_version = path->version > 0 ? path->version : 1;
    } else if (r.kind == REQUEST_HISTORY) {
        r.limit = (uint32_t)prng_skewed(prng, 1, PAGE_ROWS);
    } else if (r.kind == REQUEST_READ) {
        /* Of what is perhaps being made, most: such a read must not see what may be given up. */
        r.stale = prng_chance(prng, path->version == 0 ? 700 : 50);
    }
    return r;
}

/* The node that the client prefers, or any other that is up. */
static int
pick_node(struct world *world, struct client *client)
{
    if (prng_chance(&world->client_prng, 300))
        client->node = (unsigned)prng_below(&world->client_prng, world->options.nodes);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        unsigned node = (client->node + i) % world->options.nodes;
        if (node_up(world, node))
            return (int)node;
    }
    return -1;
}

static void
next_turn(struct world *world, unsigned client)
{
    uint64_t most = world->options.think_us_max;
    uint64_t us = prng_chance(&world->client_prng, 300)
                      ? prng_skewed(&world->client_prng, 1, most)
                      : prng_between(&world->client_prng, 1, most);
    event_push(world, event_new(world, EVENT_CLIENT, client, 1000 * us, 0));
}

/* The paths of a batch, too, may have seen so many. */
static bool
has_seen_many(const struct world *world, const struct op *op)
{
    bool many = world->clients.paths[op->path].keyed_changes > CHANGES_RETRIED_MAX;
    for (size_t i = 0; op->batch && i < op->batch->count; i++)
        many = many || world->clients.paths[op->batch->members[i]->path].keyed_changes >
                           CHANGES_RETRIED_MAX;
    return many;
}

static bool
may_retry(const struct world *world, const struct op *op)
{
    return is_change(op) && op->request.idempotency_key.size > 0 &&
           op->attempt_count < ATTEMPTS_MAX && !world->clients.clients[op->client].gone &&
           !has_seen_many(world, op);
}

/* At another node, if there is one; false: none is up. */
static bool
retry(struct world *world, struct op *op)
{
    unsigned first = (unsigned)prng_below(&world->client_prng, world->options.nodes);
    for (unsigned i = 0; i < world->options.nodes; i++) {
        unsigned node = (first + i) % world->options.nodes;
        if (!node_up(world, node) || node == op->node)
            continue;
        op->unsettled = true;
        op_attempt(world, op, node);
        trace_line(&world->trace, world->now_ns, "op %lu again at node %u",
                   (unsigned long)op->number, node);
        return true;
    }
    return false;
}

void
client_impatient(struct world *world, uint64_t exchange)
{
    unsigned attempt;
    struct op *op = op_of(world, exchange, &attempt);
    if (op && op->outcome == OP_PENDING && attempt + 1 == op->attempt_count && may_retry(world, op))
        (void)retry(world, op); /* with nobody to ask it goes on waiting */
}

/* More updates of the same secret at the same node; nobody waits for any but the last of them. */
static struct op *
rush(struct world *world, struct op *op)
{
    static const struct request update = {.kind = REQUEST_UPDATE};
    struct clients *c = &world->clients;
    uint64_t count = prng_between(&world->client_prng, 1, RUSH_MAX);
    while (count-- > 0 && c->budget > 0) {
        c->budget--;
        op = client_begin(world, op->client, op->node, op->path, &update);
        if (prng_chance(&world->client_prng, 800)) /* only those without a key are made together */
            op->request.idempotency_key = (struct bytes){0};
    }
    return op;
}

void
client_turn(struct world *world, unsigned number)
{
    struct clients *c = &world->clients;
    struct client *client = &c->clients[number];
    if (c->stop || c->budget == 0)
        return;
    int node = pick_node(world, client);
    if (node < 0) {
        next_turn(world, number);
        return;
    }
    c->budget--;
    struct op *op = batch_begin(world, number, (unsigned)node);
    if (!op)
        op = names_begin(world, number, (unsigned)node);
    if (!op)
        op = alter_begin(world, number, (unsigned)node);
    if (!op) {
        unsigned path = pick_path(world);
        struct request request = pick_request(world, (unsigned)node, path);
        op = client_begin(world, number, (unsigned)node, path, &request);
        if (request.kind == REQUEST_UPDATE && fault_strikes_frame(world, FAULT_rush))
            op = rush(world, op);
    }
    if (fault_strikes_frame(world, FAULT_client_gone)) {
        client->gone = true;
        next_turn(world, number);
    } else if (may_retry(world, op) && fault_strikes_frame(world, FAULT_client_retry)) {
        struct event *event = event_new(world, EVENT_IMPATIENT, number,
                                        1000 * prng_skewed(&world->client_prng, 100, 1000000), 0);
        event->tag = op->number;
        event_push(world, event);
    }
}

/* ---- answers ---- */

enum op_outcome
op_outcome_of(struct world *world, const struct op *op)
{
    const struct reply *r = &op->reply;
    switch ((int)r->err) {
    case OK: return OP_DONE;
    case ERR_NOT_FOUND:
    case ERR_ALREADY_EXISTS:
    case ERR_VERSION_MISMATCH: return OP_REFUSED;
    case ERR_RESULT_GONE: return OP_OPEN; /* it happened, nobody knows when */
    case ERR_NO_QUORUM:
    case ERR_AUDIT_UNAVAILABLE:
    case ERR_CONTENDED: return is_change(op) && r->phase == PHASE_WRITING ? OP_OPEN : OP_NOTHING;
    case ERR_DISK_FULL:
    case ERR_BUSY:
    case ERR_NOT_READY:
    case ERR_BAD_PARAMETER:
    case ERR_NOMEM: /* the API calls it busy: nothing happened */
    case ERR_VALUE_UNAVAILABLE: return OP_NOTHING;
    case ERR_ENTROPY: return is_change(op) ? OP_OPEN : OP_NOTHING;
    case ERR_TOO_LARGE: /* values that are more than one answer may hold */
        if (op->batch && op->request.kind == REQUEST_READ)
            return OP_NOTHING;
        break;
    default: break;
    }
    sim_fail(world, SIM_SAFETY, "answer", "op %lu was answered with %s", (unsigned long)op->number,
             vault_err_name(r->err));
}

/* Version and validity of a write are the same for whoever is told of them. */
void
op_check_told(struct world *world, struct op *write, uint64_t version, uint64_t valid_from_ms)
{
    if (write->seen_version != 0 && write->seen_version != version)
        sim_fail(world, SIM_SAFETY, "versions",
                 "op %lu made version %lu, and now it is version %lu", (unsigned long)write->number,
                 (unsigned long)write->seen_version, (unsigned long)version);
    if (write->valid_from_ms != 0 && write->valid_from_ms != valid_from_ms)
        sim_fail(world, SIM_SAFETY, "validity", "the version of op %lu was valid from %lu, now %lu",
                 (unsigned long)write->number, (unsigned long)write->valid_from_ms,
                 (unsigned long)valid_from_ms);
    write->seen_version = version;
    write->valid_from_ms = valid_from_ms;
}

void
op_take_value(struct world *world, struct op *op)
{
    const struct reply *r = &op->reply;
    op->read_number = value_number(world, r->value);
    if (op->read_number == 0)
        sim_fail(world, SIM_SAFETY, "values", "op %lu read a value that nobody wrote",
                 (unsigned long)op->number);
    struct op *write = world->clients.ops[op->read_number - 1];
    if (write->path != op->path)
        sim_fail(world, SIM_SAFETY, "values", "op %lu read the value of another path",
                 (unsigned long)op->number);
    if (write->outcome == OP_NOTHING || write->outcome == OP_REFUSED)
        sim_fail(world, SIM_SAFETY, "values", "op %lu read the value of op %lu, which had failed",
                 (unsigned long)op->number, (unsigned long)write->number);
    /* A stale read may show an attempt that comes to nothing, while another of that write stays. */
    if (!op->request.stale || write->outcome == OP_DONE)
        op_check_told(world, write, r->version, r->valid_from_ms);
    if (r->valid_to_ms != 0 && r->valid_to_ms <= r->valid_from_ms)
        sim_fail(world, SIM_SAFETY, "validity", "op %lu: valid to is not after valid from",
                 (unsigned long)op->number);
    if (op->request.version != 0 && op->request.version != r->version)
        sim_fail(world, SIM_SAFETY, "versions",
                 "op %lu was given another version than it asked for", (unsigned long)op->number);
    if (op->request.has_at && (op->request.at_ms < r->valid_from_ms ||
                               (r->valid_to_ms != 0 && op->request.at_ms >= r->valid_to_ms)))
        sim_fail(world, SIM_SAFETY, "validity", "op %lu: the version was not valid at that time",
                 (unsigned long)op->number);
}

/* Versions one after the other, each valid until the next one is: no gap, no overlap. */
static void
take_history(struct world *world, struct op *op)
{
    const struct reply *r = &op->reply;
    op->valid_from = sim_alloc(r->row_count * sizeof(*op->valid_from));
    op->states = sim_alloc(r->row_count + 1);
    for (size_t i = 0; i < r->row_count; i++) {
        const struct history_row *row = &r->rows[i];
        uint64_t valid_to = i == 0 ? 0 : r->rows[i - 1].valid_from_ms;
        op->valid_from[i] = row->valid_from_ms;
        op->states[i] = row->destroyed ? VERSION_DESTROYED
                        : row->deleted ? VERSION_DELETED
                                       : VERSION_AVAILABLE;
        if (row->valid_to_ms != valid_to || (valid_to != 0 && valid_to <= row->valid_from_ms))
            sim_fail(world, SIM_SAFETY, "validity",
                     "op %lu: version %lu is valid to %lu, the next one from %lu",
                     (unsigned long)op->number, (unsigned long)row->version,
                     (unsigned long)row->valid_to_ms, (unsigned long)valid_to);
        if (i > 0 && row->version + 1 != r->rows[i - 1].version)
            sim_fail(world, SIM_SAFETY, "versions", "op %lu: a version is missing in the history",
                     (unsigned long)op->number);
    }
    if (r->row_count == 0)
        sim_fail(world, SIM_SAFETY, "versions", "op %lu: a history without a version",
                 (unsigned long)op->number);
    op->newest_version = r->rows[0].version;
}

static void
learn(struct world *world, const struct op *op)
{
    struct sim_path *path = &world->clients.paths[op->path];
    const struct reply *r = &op->reply;
    if (op->request.kind == REQUEST_NAMES || op->request.kind == REQUEST_ALTER)
        return; /* it is about no path of its own, or tells nothing of the latest version */
    if (op->outcome == OP_REFUSED && r->err == ERR_NOT_FOUND && op->request.version == 0)
        path->version = 0;
    if (op->outcome == OP_REFUSED && r->err == ERR_ALREADY_EXISTS && path->version == 0)
        path->version = 1;
    if (op->outcome != OP_DONE || op->request.has_at || op->request.version != 0)
        return;
    if (op->request.kind == REQUEST_DELETE)
        path->version = 0;
    else if (r->version != 0)
        path->version = r->version;
    if (r->valid_from_ms != 0) {
        path->times[path->time_count % 8] = r->valid_from_ms;
        if (++path->time_count > 8)
            path->time_count = 8;
    }
}

/* The request's memory is borrowed by every node that has not answered it. */
static void
free_value(struct op *op)
{
    if (op->batch && op->batch->members[0] != op)
        return; /* with the first */
    for (unsigned i = 0; i < op->attempt_count; i++) {
        if (op->attempts[i].live)
            return;
    }
    for (size_t i = 1; op->batch && i < op->batch->count; i++) {
        free(op->batch->members[i]->value);
        op->batch->members[i]->value = NULL;
    }
    free(op->value);
    op->value = NULL;
    memset(&op->request.value, 0, sizeof(op->request.value));
}

void
op_ended(struct world *world, struct op *op, enum op_outcome outcome)
{
    struct clients *c = &world->clients;
    struct client *client = &c->clients[op->client];
    op->outcome = outcome;
    op->ended_ns = world->now_ns;
    c->by_outcome[outcome]++;
    c->by_error[op->reply.err]++;
    c->in_flight -= !op->batch || op->batch->members[0] == op;
    free_value(op);
    op->reply.value = (struct bytes){0};
    op->reply.rows = NULL;
    op->reply.metadata.custom = (struct bytes){0};
    op->reply.names = NULL;
    op->reply.names_next = (struct bytes){0};
    trace_line(&world->trace, world->now_ns, "op %lu %s: %s version %lu", (unsigned long)op->number,
               op_outcome_name(outcome), vault_err_name(op->reply.err),
               (unsigned long)op->reply.version);
    learn(world, op);
    if (client->op == op) {
        client->op = NULL;
        if (!client->gone && op->client < world->options.clients)
            next_turn(world, op->client);
    }
}

static void
check_in_time(struct world *world, const struct op *op, const struct attempt *attempt)
{
    const struct sim_node *n = &world->nodes[attempt->node];
    uint64_t paused = n->paused_total_ns - attempt->paused_ns, slow = 0;
    /* The answer waits for its audit record, and that for the batch that is on its way. */
    if (n->disk.slow_until_ns > attempt->called_ns)
        slow = 2500 * (uint64_t)world->options.disk_us_max * n->disk.slow_factor;
    if (world->now_ns - attempt->called_ns >
        ms_to_ns(REQUEST_DEADLINE_MS + 500) + 2 * paused + slow)
        sim_fail(world, SIM_LIVENESS, "deadline", "op %lu took %lu ms", (unsigned long)op->number,
                 (unsigned long)((world->now_ns - attempt->called_ns) / 1000000));
}

/* Until the deadline there is somebody to ask again for shares, or to deliver them. */
static void
check_patience(struct world *world, const struct op *op, const struct attempt *attempt,
               enum vault_err err)
{
    uint64_t ms = (world->now_ns - attempt->called_ns) / 1000000;
    if (err == ERR_VALUE_UNAVAILABLE && ms < REQUEST_DEADLINE_MS - 100)
        sim_fail(world, SIM_SAFETY, "answer",
                 "op %lu was answered with value_unavailable after %lu ms",
                 (unsigned long)op->number, (unsigned long)ms);
}

/*
 * What the last attempt's answer says of the whole operation. Others may still happen, or have:
 * that this one did not is no news then.
 */
static enum op_outcome
outcome_of_all(const struct op *op, enum op_outcome last)
{
    return last != OP_DONE && op->unsettled ? OP_OPEN : last;
}

/* An attempt that the client no longer waits for: all that succeed tell the same. */
static void
late_reply(struct world *world, struct op *op, const struct reply *reply)
{
    if (op->batch)
        batch_late_reply(world, op, reply);
    else if (reply->err == OK && is_write(op))
        op_check_told(world, op, reply->version, reply->valid_from_ms);
    if (op->outcome != OP_PENDING)
        free_value(op);
}

void
client_reply(struct world *world, unsigned node, uint64_t exchange, const struct reply *reply)
{
    unsigned number;
    struct op *op = op_of(world, exchange, &number);
    struct attempt *attempt = op ? &op->attempts[number] : NULL;
    if (!attempt || attempt->node != node || !attempt->live)
        sim_fail(world, SIM_SAFETY, "answer", "an answer to nobody");
    attempt->live = false;
    check_audit_reply(world, node, bytes_of_text(op->id), reply->err);
    if (!op->request.has_at)
        check_in_time(world, op, attempt);
    check_patience(world, op, attempt, reply->err);
    if (op->outcome != OP_PENDING || number + 1 < op->attempt_count) {
        late_reply(world, op, reply);
        return;
    }
    op->reply = *reply;
    enum op_outcome outcome = op_outcome_of(world, op);
    if (outcome == OP_OPEN && may_retry(world, op) && prng_chance(&world->client_prng, 700) &&
        retry(world, op))
        return;
    outcome = outcome_of_all(op, outcome);
    if (op->batch) {
        batch_take_reply(world, op, reply, outcome);
        return;
    }
    if (outcome == OP_DONE && op->request.kind == REQUEST_READ)
        op_take_value(world, op);
    else if (outcome == OP_DONE && op->request.kind == REQUEST_HISTORY)
        take_history(world, op);
    else if (outcome == OP_DONE && op->request.kind == REQUEST_NAMES)
        names_take_reply(world, op);
    else if (outcome == OP_DONE && is_write(op))
        op_check_told(world, op, reply->version, reply->valid_from_ms);
    if (is_write(op) && op->seen_version != 0 && outcome != OP_DONE && outcome != OP_OPEN)
        sim_fail(world, SIM_SAFETY, "values", "op %lu failed, and its value has been read",
                 (unsigned long)op->number);
    op_ended(world, op, outcome);
    if (outcome == OP_DONE && op->request.kind == REQUEST_ALTER)
        check_destroy_answer(world, op);
    if (outcome == OP_DONE &&
        (op->request.kind == REQUEST_DELETE || op->request.kind == REQUEST_DELETION)) {
        check_delete_answer(world, op);
        check_shred_answer(&world->shred, op);
    }
}

static void
attempts_crashed(struct world *world, struct op *op, unsigned node)
{
    bool last = op->attempt_count > 0 && op->attempts[op->attempt_count - 1].live &&
                op->attempts[op->attempt_count - 1].node == node;
    for (unsigned i = 0; i < op->attempt_count; i++) {
        if (op->attempts[i].node == node)
            op->attempts[i].live = false;
    }
    if (op->outcome != OP_PENDING) {
        free_value(op);
        return;
    }
    if (!last ||
        (may_retry(world, op) && prng_chance(&world->client_prng, 700) && retry(world, op)))
        return;
    enum op_outcome outcome = is_change(op) ? OP_OPEN : OP_NOTHING;
    if (op->batch)
        batch_end(world, op, outcome);
    else
        op_ended(world, op, outcome);
}

void
clients_node_crashed(struct world *world, unsigned node)
{
    struct clients *c = &world->clients;
    for (size_t i = 0; i < c->count; i++) {
        attempts_crashed(world, c->ops[i], node);
    }
}
