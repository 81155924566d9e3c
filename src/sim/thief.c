#include "sim/thief.h"

#include <string.h>

#include "proto/names.h"
#include "sim/world.h"

enum {
    QUESTIONS = 12, /* with each strike */
    FRAME_BYTES_KEPT_MAX = 16 * 1024,
    LIST_LIMIT = 10,
    DENIED_PERMILLE = 250,
    ELSEWHERE_PERMILLE = 120,
    RECORD_PERMILLE = 120,
    OLD_VERSION_PERMILLE = 300,
    AGAIN_PERMILLE = 250,
    KEPT_PERMILLE = 60,
    ANYBODY_PERMILLE = 250,
};
/*
 * Of the tags of questions. The lowest bit says whether the answer may give anything; the others
 * below the mark when that was so, or 0: always (bearers.h).
 */
static const uint64_t mark = UINT64_C(0x5448494546) << 24;
enum { MARK_SHIFT = 24, TIME_BITS = 0x7fffff };

unsigned
thief_node(const struct world *world)
{
    return (unsigned)(world->options.seed % world->options.nodes);
}

bool
thief_is_at_work(const struct world *world)
{
    unsigned node = thief_node(world);
    return world->phase == PHASE_FAULTS && world->faults.on[FAULT_thief] && node_up(world, node) &&
           !world->nodes[node].mismatched;
}

static void offer_at_once(struct world *world, const struct msg *seen);

/* ---- what it sees ---- */

void
thief_sees_credential(struct world *world, unsigned node, struct bytes credential)
{
    struct thief *t = &world->thief;
    uint64_t number = tokens_number(world, credential);
    if (number == 0 || node != thief_node(world) || !thief_is_at_work(world))
        return;
    for (unsigned i = 0; i < THIEF_TOKENS; i++) {
        if (t->seen[i].number == number)
            return;
    }
    unsigned i = t->seen_next++ % THIEF_TOKENS;
    t->seen[i].number = number;
    t->seen[i].revoked = tokens_is_revoked(world, number);
}

static struct bytes
credential_of(const struct msg *msg)
{
    switch ((int)msg->kind) {
    case MSG_VOTE: return msg->u.vote.credential;
    case MSG_READ: return msg->u.read.credential;
    case MSG_LIST: return msg->u.list.credential;
    case MSG_SCAN: return msg->u.scan.credential;
    case MSG_WRITE: return msg->u.write.credential;
    default: return (struct bytes){0};
    }
}

static void
keep_frame(struct world *world, const struct msg *msg)
{
    struct thief *t = &world->thief;
    struct buf frame = {0};
    struct msg own = *msg;
    own.op = mark | 1;
    if ((msg->kind != MSG_WRITE && msg->kind != MSG_CHOSEN) ||
        !prng_chance(&world->fault_prng, record_path_is(msg->path) ? 1000 : KEPT_PERMILLE))
        return;
    if (msg_encode(&own, &frame) != OK || frame.size > FRAME_BYTES_KEPT_MAX) {
        buf_close(&frame);
        return;
    }
    struct buf *slot = &t->frames[t->frames_next++ % THIEF_FRAMES];
    buf_close(slot);
    *slot = frame;
}

void
thief_sees_frame(struct world *world, unsigned node, unsigned from, struct bytes frame)
{
    struct msg msg;
    if (node != thief_node(world) || from == node || !thief_is_at_work(world) ||
        msg_decode(frame, &msg) != OK)
        return;
    struct bytes credential = credential_of(&msg);
    if (credential.size > 0)
        thief_sees_credential(world, node, credential);
    keep_frame(world, &msg);
    if (msg.kind == MSG_WRITE && msg.u.write.ballot.offer)
        offer_at_once(world, &msg);
}

/* ---- what it asks ---- */

/* Its node's counters know nothing of it. */
static void
send_as(struct world *world, unsigned to, enum msg_kind kind, struct bytes frame)
{
    unsigned node = thief_node(world);
    if (to == node)
        return;
    net_send(world, node, to, frame);
    world->frames_sent[node][kind]--;
    world->thief.asked++;
}

static void
ask_at(struct world *world, unsigned to, struct msg *msg, bool may, uint64_t times_given)
{
    struct buf frame = {0};
    msg->op = mark | (times_given & TIME_BITS) << 1 | may;
    if (msg_encode(msg, &frame) != OK)
        sim_fail(world, SIM_CRASH, "thief", "a question does not encode");
    send_as(world, to, msg->kind, buf_bytes(&frame));
    buf_close(&frame);
}

static void
ask(struct world *world, unsigned to, struct msg *msg, bool may)
{
    ask_at(world, to, msg, may, 0);
}

/* One of those that would know; or any, which must not take the path for its own. */
static unsigned
some_holder(struct world *world, struct path path)
{
    struct replicas replicas;
    placement_replicas(&world->placement, path, &replicas);
    if (prng_chance(&world->fault_prng, ANYBODY_PERMILLE))
        return (unsigned)prng_below(&world->fault_prng, world->options.nodes);
    return replicas.nodes[prng_below(&world->fault_prng, replicas.count)];
}

/* Of the tenant in which tokens may read, but for one: see grants.c. */
static bool
may_read(struct path path)
{
    return bytes_equal(path.tenant, bytes_of_text("default")) && !record_path_is(path) &&
           tokens_may_read(path.name);
}

/* The share may leave for its node. */
static void
note_read(struct world *world, struct path path)
{
    for (unsigned i = 0; i < world->clients.path_count; i++) {
        struct sim_path *p = &world->clients.paths[i];
        if (bytes_equal(bytes_of_text(p->name), path.name))
            p->reads_at |= UINT64_C(1) << thief_node(world);
    }
}

void
thief_reads(struct world *world, unsigned to, struct path path, const struct msg_read *read,
            bool may)
{
    struct msg m = {.kind = MSG_READ, .path = path, .u.read = *read};
    if (may)
        note_read(world, path);
    ask_at(world, to, &m, may, world->bearers.times_given);
}

static void
ask_to_read(struct world *world, unsigned to, struct path path, const struct msg_read *read,
            bool valid)
{
    struct msg m = {.kind = MSG_READ, .path = path, .u.read = *read};
    bool may = valid && may_read(path);
    if (may)
        note_read(world, path);
    ask(world, to, &m, may);
}

static void
ask_for_vote(struct world *world, unsigned to, struct path path, const struct msg_vote *vote,
             uint64_t times_given)
{
    unsigned node = thief_node(world);
    const struct membership *ms = node_membership(world->nodes[node].node);
    struct msg m = {.kind = MSG_VOTE, .path = path, .u.vote = *vote};
    m.u.vote.ballot = (struct ballot){.time = node_wall_ms(world, node) << 16,
                                      .incarnation = ms->members[node].incarnation,
                                      .node = (uint8_t)node};
    prng_fill(&world->fault_prng, m.u.vote.op_id, OP_ID_BYTES);
    ask_at(world, to, &m, false, times_given);
}

/*
 * What it is offered, to the others who are, with a token that may only read. Where the network
 * holds up the true one it comes first.
 */
static void
offer_at_once(struct world *world, const struct msg *seen)
{
    struct prng *prng = &world->fault_prng;
    unsigned node = thief_node(world);
    const struct membership *ms = node_membership(world->nodes[node].node);
    uint64_t number = world->thief.seen[prng_below(prng, THIEF_TOKENS)].number;
    char credential[GRANT_TOKEN_BYTES];
    struct grant record;
    struct msg m = *seen;
    struct replicas replicas;
    if (number == 0)
        return;
    grant_fill_token(world->options.seed, number, 0, credential, &record);
    m.u.write.credential = bytes_of_text(credential);
    m.u.write.ballot = (struct ballot){.time = node_wall_ms(world, node) << 16,
                                       .incarnation = ms->members[node].incarnation,
                                       .node = (uint8_t)node,
                                       .offer = true};
    placement_replicas(&world->placement, m.path, &replicas);
    for (unsigned i = 0; i < replicas.count; i++) {
        if (replicas.nodes[i] != seen->from)
            ask(world, replicas.nodes[i], &m, false);
    }
}

void
thief_votes(struct world *world, unsigned to, struct path path, struct bytes change,
            struct bytes credential)
{
    const struct msg_vote vote = {
        .purpose = CHANGE_UPDATE, .change = change, .credential = credential};
    ask_for_vote(world, to, path, &vote, world->bearers.times_given);
}

static void
ask_for_change(struct world *world, unsigned to, struct path path, struct bytes credential)
{
    static const enum change_kind purposes[] = {CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE};
    const struct msg_vote vote = {.purpose = purposes[prng_below(&world->fault_prng, 3)],
                                  .credential = credential};
    ask_for_vote(world, to, path, &vote, 0);
}

static void
ask_for_names(struct world *world, bool elsewhere, struct bytes credential, bool valid)
{
    struct msg m = {.kind = MSG_SCAN};
    m.u.scan.tenant = bytes_of_text(elsewhere ? GRANT_OTHER_TENANT : "default");
    m.u.scan.limit = LIST_LIMIT;
    m.u.scan.credential = credential;
    ask(world, (unsigned)prng_below(&world->fault_prng, world->options.nodes), &m,
        valid && !elsewhere);
}

/* A row of its own store tells an older version's id; false: there is none at that place. */
static bool
draw_old_version(struct world *world, struct path *path, struct msg_read *read)
{
    const struct disk_table *table = &world->nodes[thief_node(world)].disk.durable;
    struct row_key prefix;
    enum row_table which;
    struct bytes id;
    row_key_table(ROW_VERSION, &prefix);
    size_t first = disk_at_least(table, row_key_bytes(&prefix)), last = first;
    while (last < table->count && disk_has_prefix(table->rows[last]->key, row_key_bytes(&prefix)))
        last++;
    if (first == last)
        return false;
    size_t at = first + (size_t)prng_below(&world->fault_prng, last - first);
    if (row_key_parse(table->rows[at]->key, &which, path, &read->version, &id) != OK)
        return false;
    memcpy(read->version_id, id.data, ID_BYTES);
    return true;
}

static struct path
draw_path(struct world *world, struct grant *grant)
{
    struct prng *prng = &world->fault_prng;
    const struct clients *c = &world->clients;
    bool denied = prng_chance(prng, DENIED_PERMILLE);
    struct path path = {
        bytes_of_text(prng_chance(prng, ELSEWHERE_PERMILLE) ? GRANT_OTHER_TENANT : "default"),
        bytes_of_text(c->paths[denied ? 0 : prng_below(prng, c->path_count)].name)};
    if (!prng_chance(prng, RECORD_PERMILLE))
        return path;
    grant_fill(&world->options, (unsigned)prng_below(prng, GRANTS), grant);
    return (struct path){bytes_of_text(grant->tenant), bytes_of_text(grant->name)};
}

static void
ask_something(struct world *world, struct bytes credential, bool valid)
{
    struct prng *prng = &world->fault_prng;
    struct msg_read read = {.credential = credential};
    struct grant grant;
    struct path path = draw_path(world, &grant);
    struct msg m = {.kind = MSG_LIST};
    switch (prng_below(prng, 6)) {
    case 0: ask_for_change(world, some_holder(world, path), path, credential); break;
    case 1: ask_for_names(world, prng_chance(prng, 500), credential, valid); break;
    case 2:
        m.path = path;
        m.u.list = (struct msg_list){.limit = LIST_LIMIT, .credential = credential};
        ask(world, some_holder(world, path), &m, valid && may_read(path));
        break;
    default:
        read.head_only = prng_chance(prng, 200);
        if (!read.head_only && prng_chance(prng, OLD_VERSION_PERMILLE))
            (void)draw_old_version(world, &path, &read);
        ask_to_read(world, some_holder(world, path), path, &read, valid);
        break;
    }
}

static void
send_again(struct world *world)
{
    const struct buf *frame = &world->thief.frames[prng_below(&world->fault_prng, THIEF_FRAMES)];
    struct msg msg;
    if (frame->size == 0 || msg_decode(buf_bytes(frame), &msg) != OK)
        return;
    send_as(world, some_holder(world, msg.path), msg.kind, buf_bytes(frame));
}

bool
thief_strike(struct world *world)
{
    struct thief *t = &world->thief;
    uint64_t asked = t->asked;
    char credential[GRANT_TOKEN_BYTES];
    struct grant record;
    if (!thief_is_at_work(world))
        return false;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        unsigned which = (unsigned)prng_below(&world->fault_prng, THIEF_TOKENS);
        if (prng_chance(&world->fault_prng, AGAIN_PERMILLE))
            send_again(world);
        thief_asks_as_bearer(world);
        if (t->seen[which].number == 0)
            continue;
        grant_fill_token(world->options.seed, t->seen[which].number, 0, credential, &record);
        t->seen[which].revoked =
            t->seen[which].revoked || tokens_is_revoked(world, t->seen[which].number);
        ask_something(world, bytes_of_text(credential), !t->seen[which].revoked);
    }
    return t->asked > asked;
}

void
thief_hears_of_revocation(struct world *world, uint64_t number)
{
    char credential[GRANT_TOKEN_BYTES];
    struct grant record;
    for (unsigned i = 0; i < THIEF_TOKENS && thief_is_at_work(world); i++) {
        if (world->thief.seen[i].number != number)
            continue;
        world->thief.seen[i].revoked = true;
        grant_fill_token(world->options.seed, number, 0, credential, &record);
        for (unsigned to = 0; to < world->options.nodes; to++) {
            const struct sim_path *p =
                &world->clients.paths[prng_below(&world->fault_prng, world->clients.path_count)];
            const struct msg_read read = {.credential = bytes_of_text(credential)};
            const struct path path = {bytes_of_text("default"), bytes_of_text(p->name)};
            ask_to_read(world, to, path, &read, false);
        }
    }
}

/* ---- what it is told ---- */

static bool
has_names(const struct msg_scanned *scanned)
{
    struct listed_name names[SCAN_NAMES_MAX];
    size_t count = 0;
    return scanned->refusal == REFUSED_NONE &&
           (listed_names_decode(scanned->names, names, &count) != OK || count > 0);
}

bool
thief_is_answered(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    bool may = msg->op & 1, given = false, beyond = false;
    uint64_t times_given = msg->op >> 1 & TIME_BITS;
    if (msg->op >> MARK_SHIFT != mark >> MARK_SHIFT || to != thief_node(world) || from == to)
        return false;
    if (times_given != 0 && times_given != (world->bearers.times_given & TIME_BITS))
        may = true;
    switch ((int)msg->kind) {
    case MSG_STATE: given = msg->u.state.refusal == REFUSED_NONE; break;
    case MSG_VERSIONS: given = msg->u.versions.refusal == REFUSED_NONE; break;
    case MSG_VOTED: given = msg->u.voted.refusal == REFUSED_NONE; break;
    case MSG_WRITTEN: given = msg->u.written.refusal == REFUSED_NONE; break;
    case MSG_SCANNED:
        given = msg->u.scanned.refusal == REFUSED_NONE;
        beyond = has_names(&msg->u.scanned);
        break;
    default: break;
    }
    world->thief.given += given;
    if (given && msg->kind != MSG_SCANNED && !world->nodes[from].mismatched &&
        !(world_replicas(world, msg->path) >> from & 1))
        sim_fail(world, SIM_SAFETY, "placement", "node %u answers of a path that it does not keep",
                 from);
    if (beyond || (given && !may))
        sim_fail(world, SIM_SAFETY, "beyond",
                 "node %u answers %s to a broken node, beyond what the token that it has seen "
                 "allows",
                 from, msg_kind_name(msg->kind));
    return true;
}

void
thief_close(struct world *world)
{
    for (unsigned i = 0; i < THIEF_FRAMES; i++)
        buf_close(&world->thief.frames[i]);
}
