/*
 * Property: whoever gets a share back learns that share and nothing else. The checker keeps every contribution that each node has
 * received, as a curious node would, and at the end tries to solve for other shares than its own: taking the pads of two helpers
 * for the same in all sets of helpers, and taking them for nothing. The commitments, which are public, tell whether a guess is
 * right. As a control, the contributions of a whole set must add up to the receiver's share.
 */
#include <string.h>

#include "crypto/shamir.h"
#include "sim/memory.h"
#include "sim/world.h"

enum { QUESTIONS_MAX = 4096, CONTRIBUTIONS_MAX = 128, PADS_MAX = 96 };

struct asked {
    uint64_t op;
    unsigned receiver, helper;
    uint8_t version_id[ID_BYTES];
    uint64_t helpers;
    uint64_t key_ids[REPLICAS_MAX];
};

struct contribution {
    unsigned helper; /* replica: x - 1 */
    uint64_t helpers;
    uint64_t key_ids[REPLICAS_MAX];
    uint8_t data[SECRET_BYTES_MAX];
};

/* All that one node has received of one version. */
struct blind_case {
    struct blind_case *next;
    unsigned receiver; /* node */
    uint8_t receiver_x;
    uint8_t version_id[ID_BYTES];
    unsigned threshold, count;
    uint8_t dealing_id[DEALING_ID_BYTES];
    uint8_t commitments[REPLICAS_MAX][HASH_BYTES];
    size_t size; /* of a share */
    unsigned contribution_count;
    struct contribution contributions[CONTRIBUTIONS_MAX];
};

struct check_blinding {
    struct blind_case *cases;
    struct asked asked[QUESTIONS_MAX]; /* the last ones */
    uint64_t asked_count;
};

/* ---- what is seen on the way ---- */

static void
help_seen(struct check_blinding *check, unsigned from, unsigned to, const struct msg *msg)
{
    struct asked *a = &check->asked[check->asked_count++ % QUESTIONS_MAX];
    *a = (struct asked){.op = msg->op, .receiver = from, .helper = to};
    memcpy(a->version_id, msg->u.help.version_id, ID_BYTES);
    a->helpers = msg->u.help.helpers;
    memcpy(a->key_ids, msg->u.help.keys.of, sizeof(a->key_ids));
}

/* The question that it answers; a node that has been started again may use an op once more. */
static const struct asked *
question_of(const struct check_blinding *check, unsigned helper, unsigned receiver,
            const struct msg *msg)
{
    uint64_t first = check->asked_count > QUESTIONS_MAX ? check->asked_count - QUESTIONS_MAX : 0;
    for (uint64_t i = check->asked_count; i > first; i--) {
        const struct asked *a = &check->asked[(i - 1) % QUESTIONS_MAX];
        if (a->op == msg->op && a->receiver == receiver && a->helper == helper &&
            memcmp(a->version_id, msg->u.helped.version_id, ID_BYTES) == 0)
            return a;
    }
    return NULL;
}

static bool
take_dealing(struct world *world, unsigned node, const struct msg *msg, struct blind_case *c)
{
    struct dealing dealing;
    struct bytes encoded = dealing_on(&world->nodes[node].disk.visible, msg->path,
                                      msg->u.helped.version, msg->u.helped.version_id);
    if (encoded.size == 0 || dealing_decode(encoded, (struct bytes){0}, &dealing) != OK)
        return false;
    c->threshold = dealing.threshold;
    c->count = dealing.count;
    memcpy(c->dealing_id, dealing.id, DEALING_ID_BYTES);
    memcpy(c->commitments, dealing.share_commitments, sizeof(c->commitments));
    return true;
}

static int
index_of(const struct world *world, struct path path, unsigned node)
{
    struct replicas replicas;
    placement_replicas(&world->placement, path, &replicas);
    return replicas_index(&replicas, (uint8_t)node);
}

static struct blind_case *
case_of(struct world *world, unsigned helper, unsigned receiver, const struct msg *msg)
{
    struct check_blinding *check = world->blinding;
    for (struct blind_case *c = check->cases; c; c = c->next) {
        if (c->receiver == receiver &&
            memcmp(c->version_id, msg->u.helped.version_id, ID_BYTES) == 0)
            return c;
    }
    struct blind_case *c = sim_alloc(sizeof(*c));
    c->receiver = receiver;
    c->receiver_x = (uint8_t)(index_of(world, msg->path, receiver) + 1);
    memcpy(c->version_id, msg->u.helped.version_id, ID_BYTES);
    c->size = msg->u.helped.contribution.size;
    if (!take_dealing(world, helper, msg, c)) {
        free(c);
        return NULL;
    }
    c->next = check->cases;
    check->cases = c;
    return c;
}

static bool
is_same(const struct contribution *a, const struct contribution *b)
{
    return a->helper == b->helper && a->helpers == b->helpers &&
           memcmp(a->key_ids, b->key_ids, sizeof(a->key_ids)) == 0 &&
           memcmp(a->data, b->data, sizeof(a->data)) == 0;
}

static void
helped_seen(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    struct bytes data = msg->u.helped.contribution;
    const struct asked *asked = question_of(world->blinding, from, to, msg);
    int helper = index_of(world, msg->path, from);
    if (data.size == 0 || !asked)
        return;
    if (helper < 0 || index_of(world, msg->path, to) < 0)
        sim_fail(world, SIM_SAFETY, "blinding", "node %u helped node %u, and one has no share",
                 from, to);
    struct blind_case *c = case_of(world, from, to, msg);
    if (!c || data.size != c->size || c->contribution_count == CONTRIBUTIONS_MAX)
        return;
    struct contribution new = {.helper = (unsigned)helper, .helpers = asked->helpers};
    memcpy(new.key_ids, asked->key_ids, sizeof(new.key_ids));
    memcpy(new.data, data.data, data.size);
    for (unsigned i = 0; i < c->contribution_count; i++) {
        if (is_same(&c->contributions[i], &new))
            return;
    }
    c->contributions[c->contribution_count++] = new;
}

void
check_blinding_frame(struct world *world, unsigned from, unsigned to, const struct msg *msg)
{
    if (!world->blinding)
        world->blinding = sim_alloc(sizeof(*world->blinding));
    if (msg->kind == MSG_HELP)
        help_seen(world->blinding, from, to, msg);
    else if (msg->kind == MSG_HELPED && msg->u.helped.outcome == HELPED_GIVEN)
        helped_seen(world, from, to, msg);
}

void
check_blinding_free(struct world *world)
{
    while (world->blinding && world->blinding->cases) {
        struct blind_case *c = world->blinding->cases;
        world->blinding->cases = c->next;
        free(c);
    }
    free(world->blinding);
}

/* ---- solving ---- */

static uint8_t
times(uint8_t a, uint8_t b)
{
    unsigned product = 0, x = a;
    for (unsigned bit = 0; bit < 8; bit++) {
        if (b >> bit & 1)
            product ^= x;
        x = x << 1 ^ (x & 0x80 ? 0x11bu : 0);
    }
    return (uint8_t)product;
}

static uint8_t
inverse(uint8_t a)
{
    for (unsigned b = 1; b < 256; b++) {
        if (times(a, (uint8_t)b) == 1)
            return (uint8_t)b;
    }
    return 0;
}

/* Equations: coefficients of the pads, then of the polynomial, then what is known. */
struct system {
    unsigned pads, unknowns, rows;
    struct {
        uint64_t low, high; /* ids of the keys of the two helpers */
        unsigned a, b;
    } pad[PADS_MAX];
    uint8_t (*cell)[PADS_MAX + REPLICAS_MAX + SECRET_BYTES_MAX];
    size_t size;
};

static unsigned
pad_of(struct system *s, unsigned a, unsigned b, const uint64_t *ids)
{
    unsigned low = a < b ? a : b, high = a < b ? b : a;
    for (unsigned i = 0; i < s->pads; i++) {
        if (s->pad[i].a == low && s->pad[i].b == high && s->pad[i].low == ids[low] &&
            s->pad[i].high == ids[high])
            return i;
    }
    if (s->pads == PADS_MAX)
        return PADS_MAX;
    s->pad[s->pads].a = low;
    s->pad[s->pads].b = high;
    s->pad[s->pads].low = ids[low];
    s->pad[s->pads].high = ids[high];
    return s->pads++;
}

static uint8_t
weight(const struct blind_case *c, const struct contribution *from)
{
    uint8_t xs[REPLICAS_MAX], one = 1, out = 0;
    unsigned count = 0;
    for (unsigned i = 0; i < REPLICAS_MAX; i++) {
        if (from->helpers >> i & 1)
            xs[count++] = (uint8_t)(i + 1);
    }
    if (shamir_contribution(xs, count, (uint8_t)(from->helper + 1), &one, 1, c->receiver_x, &out) !=
        OK)
        return 0;
    return out;
}

static void
add_equation(struct system *s, const struct blind_case *c, const struct contribution *from,
             bool with_pads)
{
    uint8_t *row = s->cell[s->rows];
    uint8_t power = weight(c, from);
    for (unsigned i = 0; i < c->count && with_pads; i++) {
        if (i == from->helper || !(from->helpers >> i & 1))
            continue;
        unsigned pad = pad_of(s, from->helper, i, from->key_ids);
        if (pad == PADS_MAX)
            return;
        row[pad] = 1;
    }
    for (unsigned t = 0; t < c->threshold; t++, power = times(power, (uint8_t)(from->helper + 1)))
        row[PADS_MAX + t] = power;
    memcpy(row + PADS_MAX + REPLICAS_MAX, from->data, c->size);
    s->rows++;
}

static void
add_row(const struct system *s, unsigned to, unsigned from, uint8_t factor)
{
    size_t width = PADS_MAX + REPLICAS_MAX + s->size;
    for (size_t i = 0; i < width && factor != 0; i++)
        s->cell[to][i] ^= times(factor, s->cell[from][i]);
}

/* Gauss and Jordan; how many rows have a pivot among the columns up to `until`. */
static unsigned
eliminate(const struct system *s, unsigned first_row, unsigned from, unsigned until)
{
    unsigned done = first_row;
    size_t width = PADS_MAX + REPLICAS_MAX + s->size;
    for (unsigned column = from; column < until && done < s->rows; column++) {
        unsigned at = done;
        while (at < s->rows && s->cell[at][column] == 0)
            at++;
        if (at == s->rows)
            continue;
        for (size_t i = 0; i < width; i++) {
            uint8_t swap = s->cell[at][i];
            s->cell[at][i] = s->cell[done][i];
            s->cell[done][i] = swap;
        }
        uint8_t scale = inverse(s->cell[done][column]);
        for (size_t i = 0; i < width; i++)
            s->cell[done][i] = times(scale, s->cell[done][i]);
        for (unsigned i = first_row; i < s->rows; i++) {
            if (i != done)
                add_row(s, i, done, s->cell[i][column]);
        }
        done++;
    }
    return done - first_row;
}

/* The share at x, if it follows from the rows `first` to `last`. */
static bool
follows(const struct system *s, unsigned first, unsigned last, const struct blind_case *c,
        uint8_t x, uint8_t *out)
{
    uint8_t wanted[REPLICAS_MAX], power = 1;
    memset(out, 0, SECRET_BYTES_MAX);
    for (unsigned t = 0; t < c->threshold; t++, power = times(power, x))
        wanted[t] = power;
    for (unsigned row = first; row < last; row++) {
        unsigned pivot = 0;
        while (pivot < c->threshold && s->cell[row][PADS_MAX + pivot] == 0)
            pivot++;
        if (pivot == c->threshold)
            continue;
        uint8_t factor = wanted[pivot];
        for (unsigned t = 0; t < c->threshold; t++)
            wanted[t] ^= times(factor, s->cell[row][PADS_MAX + t]);
        for (size_t i = 0; i < c->size; i++)
            out[i] ^= times(factor, s->cell[row][PADS_MAX + REPLICAS_MAX + i]);
    }
    for (unsigned t = 0; t < c->threshold; t++) {
        if (wanted[t] != 0)
            return false;
    }
    return true;
}

static bool
is_share(const struct blind_case *c, uint8_t x, const uint8_t *data)
{
    struct dealing dealing = {.count = (uint8_t)c->count, .threshold = (uint8_t)c->threshold};
    struct share share = {.x = x, .data = bytes_of(data, c->size)};
    memcpy(dealing.id, c->dealing_id, DEALING_ID_BYTES);
    memcpy(dealing.share_commitments, c->commitments, sizeof(c->commitments));
    return dealing_share_matches(&dealing, &share);
}

static void
attack(struct world *world, const struct blind_case *c, bool with_pads)
{
    struct system s = {.size = c->size};
    uint8_t guess[SECRET_BYTES_MAX];
    s.cell = sim_alloc(CONTRIBUTIONS_MAX * sizeof(*s.cell));
    for (unsigned i = 0; i < c->contribution_count; i++)
        add_equation(&s, c, &c->contributions[i], with_pads);
    unsigned first = eliminate(&s, 0, 0, s.pads);
    unsigned known = eliminate(&s, first, PADS_MAX, PADS_MAX + c->threshold);
    for (unsigned number = 1; number <= c->count; number++) {
        uint8_t x = (uint8_t)number;
        if (x != c->receiver_x && follows(&s, first, first + known, c, x, guess) &&
            is_share(c, x, guess))
            sim_fail(world, SIM_SAFETY, "blinding",
                     "node %u can compute the share of replica %u from what helpers sent it",
                     c->receiver, x);
    }
    free(s.cell);
}

/* The contributions of one whole set add up to the share of the receiver. */
static void
control(struct world *world, const struct blind_case *c, const struct contribution *first)
{
    uint8_t sum[SECRET_BYTES_MAX] = {0};
    uint64_t got = 0;
    for (unsigned i = 0; i < c->contribution_count; i++) {
        const struct contribution *other = &c->contributions[i];
        bool same = other->helpers == first->helpers &&
                    memcmp(other->key_ids, first->key_ids, sizeof(first->key_ids)) == 0;
        if (!same || (got >> other->helper & 1))
            continue;
        got |= UINT64_C(1) << other->helper;
        for (size_t b = 0; b < c->size; b++)
            sum[b] ^= other->data[b];
    }
    if (got == first->helpers && !is_share(c, c->receiver_x, sum))
        sim_fail(world, SIM_SAFETY, "recovery",
                 "what node %u was sent does not add up to its share", c->receiver);
}

void
check_blinding_end(struct world *world)
{
    if (!world->blinding)
        return;
    for (const struct blind_case *c = world->blinding->cases; c; c = c->next) {
        for (unsigned i = 0; i < c->contribution_count; i++)
            control(world, c, &c->contributions[i]);
        attack(world, c, true);
        attack(world, c, false);
    }
}

/* ---- a curious node ---- */

static void
ask(struct world *world, unsigned node, struct path path, const struct replicas *replicas,
    const struct msg_help *help)
{
    struct buf frame = {0};
    uint64_t op = prng_next(&world->fault_prng) | UINT64_C(1) << 63;
    for (unsigned i = 0; i < replicas->count; i++) {
        struct msg msg = {.kind = MSG_HELP, .op = op, .path = path};
        msg.u.help = *help;
        if (!(help->helpers >> i & 1))
            continue;
        if (msg_encode(&msg, &frame) != OK)
            sim_fail(world, SIM_CRASH, "blinding", "a question does not encode");
        net_send(world, node, replicas->nodes[i], buf_bytes(&frame));
        buf_close(&frame);
    }
}

/* It asks every set of helpers that it can think of, for a version that it has. */
void
blinding_ask_all(struct world *world, unsigned node)
{
    struct sim_node *n = &world->nodes[node];
    const struct disk_table *table = &n->disk.durable;
    struct row_key prefix;
    row_key_table(ROW_VERSION, &prefix);
    size_t first = disk_at_least(table, row_key_bytes(&prefix)), last = first;
    while (last < table->count && disk_has_prefix(table->rows[last]->key, row_key_bytes(&prefix)))
        last++;
    if (!node_up(world, node) || first == last)
        return;
    enum row_table letter;
    struct path path;
    struct bytes id;
    struct msg_help help = {.keys.count = (uint8_t)world->options.shares};
    struct replicas replicas;
    size_t at = first + (size_t)prng_below(&world->fault_prng, last - first);
    if (row_key_parse(table->rows[at]->key, &letter, &path, &help.version, &id) != OK)
        return;
    memcpy(help.version_id, id.data, ID_BYTES);
    placement_replicas(&world->placement, path, &replicas);
    int own = replicas_index(&replicas, (uint8_t)node);
    if (own < 0)
        return;
    const struct membership *ms = node_membership(n->node);
    for (uint64_t set = 1; set < UINT64_C(1) << replicas.count; set++) {
        if ((set >> own & 1) || (unsigned)__builtin_popcountll(set) != world->options.threshold)
            continue;
        help.helpers = set;
        for (unsigned i = 0; i < replicas.count; i++)
            help.keys.of[i] =
                set >> i & 1 ? pair_keys_peer_id(ms->pair_keys, replicas.nodes[i]) : 0;
        ask(world, node, path, &replicas, &help);
    }
}
