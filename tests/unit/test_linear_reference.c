/*
 * The search for an order against one without any memory, shortcut or list: it tries every order of
 * small histories, with a model of its own. Half of the histories are such that there is an order;
 * the others are that with a few things changed. Both must agree on all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "check/linear.h"
#include "proto/alteration.h"

enum {
    OPS_MAX = 9,
    HISTORIES = 100000,
    SECONDS = 45,
    SECOND_MS = 1000,
    ROWS_MAX = OPS_MAX + 1,
};

struct history {
    struct linear_op ops[OPS_MAX];
    struct alteration alterations[OPS_MAX];
    uint64_t rows[OPS_MAX][ROWS_MAX];
    uint8_t states[OPS_MAX][ROWS_MAX];
    size_t count;
};

/* ---- chance ---- */

static uint64_t
draw(uint64_t *seed, uint64_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (*seed >> 11) % below;
}

/* ---- the model: version v is what ops[writes[v]] wrote ---- */

struct kept {
    bool live, deleted;
    uint64_t version, oldest, max_versions, end_ms;
    size_t writes[ROWS_MAX + 1];
    enum version_state states[ROWS_MAX + 1];
};

static bool
may_be_live(const struct kept *s, const struct linear_op *op)
{
    return s->live &&
           (s->end_ms == 0 || op->called_ms == 0 || op->called_ms < s->end_ms + LINEAR_SKEW_MS);
}

static bool
may_be_none(const struct kept *s, const struct linear_op *op)
{
    return !s->live || (s->end_ms != 0 && (op->outcome == LINEAR_OPEN || op->called_ms == 0 ||
                                           op->ended_ms + LINEAR_SKEW_MS >= s->end_ms));
}

static void
forget_old(struct kept *s)
{
    while (s->max_versions > 0 && s->version - s->oldest + 1 > s->max_versions)
        s->oldest++;
}

static bool
expects_another(const struct kept *s, const struct linear_op *op)
{
    return (op->has_expected_version && op->expected_version != s->version) ||
           (op->kind != REQUEST_CREATE && op->kind != REQUEST_UPDATE && op->version != 0 &&
            op->version != s->version);
}

static bool
set_states(struct kept *s, const struct version_list *list, enum version_state to)
{
    for (size_t i = 0; i < list->count; i++) {
        uint64_t v = list->of[i];
        if (v < s->oldest || v > s->version ||
            (s->states[v] == VERSION_DESTROYED && to != VERSION_DESTROYED))
            return false;
    }
    for (size_t i = 0; i < list->count; i++)
        s->states[list->of[i]] = to;
    return true;
}

static bool
alter(struct kept *s, const struct linear_op *op)
{
    const struct alteration *a = op->alteration;
    if (!may_be_live(s, op) || !set_states(s, &a->soft_delete, VERSION_DELETED) ||
        !set_states(s, &a->undelete, VERSION_AVAILABLE) ||
        !set_states(s, &a->destroy, VERSION_DESTROYED))
        return false;
    s->max_versions = a->has_max_versions ? a->max_versions : s->max_versions;
    forget_old(s);
    s->end_ms = a->has_expires_at ? a->expires_at_ms : s->end_ms;
    return true;
}

static bool
write_version(struct kept *s, const struct linear_op *op, size_t index)
{
    bool create = op->kind == REQUEST_CREATE;
    if (create ? !may_be_none(s, op) : !may_be_live(s, op))
        return false;
    if (expects_another(s, op))
        return false;
    if (create)
        *s = (struct kept){.live = true, .oldest = 1};
    s->version++;
    s->writes[s->version] = index;
    s->states[s->version] = VERSION_AVAILABLE;
    forget_old(s);
    return op->seen_version == 0 || op->seen_version == s->version;
}

static bool
reads(const struct history *h, const struct kept *s, const struct linear_op *op)
{
    bool latest = op->version_asked == 0 && !op->has_at;
    if (!may_be_live(s, op) || op->version < s->oldest || op->version > s->version ||
        op->version == 0)
        return false;
    return s->states[op->version] == VERSION_AVAILABLE &&
           h->ops[s->writes[op->version]].number == op->read_number &&
           (latest ? op->version == s->version : op->superseded == (op->version != s->version));
}

static bool
shows(const struct history *h, const struct kept *s, const struct linear_op *op)
{
    uint64_t kept = s->version - s->oldest + 1, rows = kept < op->limit ? kept : op->limit;
    if (!may_be_live(s, op) || op->version != s->version || op->row_count != rows ||
        op->has_next != (kept > rows))
        return false;
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t known = h->ops[s->writes[s->version - i]].valid_from_ms;
        if ((known != 0 && known != op->row_valid_from_ms[i]) ||
            op->row_states[i] != (uint8_t)s->states[s->version - i])
            return false;
    }
    return true;
}

static bool
is_refused(const struct kept *s, const struct linear_op *op)
{
    uint64_t version = op->version_asked != 0 ? op->version_asked : s->version;
    bool live = may_be_live(s, op);
    struct kept copy = *s;
    if (op->kind == REQUEST_DELETION)
        return !s->deleted;
    if (op->refusal == ERR_ALREADY_EXISTS)
        return live;
    if (op->refusal == ERR_VERSION_MISMATCH)
        return live && op->expected_version != s->version;
    if (may_be_none(s, op) || !live)
        return true;
    if (op->kind == REQUEST_ALTER)
        return !alter(&copy, op);
    return op->kind == REQUEST_READ &&
           (version > s->version || version < s->oldest || s->states[version] != VERSION_AVAILABLE);
}

/* Whether it can happen here; *s is then what is after it. */
static bool
happens(const struct history *h, struct kept *s, size_t index)
{
    const struct linear_op *op = &h->ops[index];
    if (op->outcome == LINEAR_REFUSED)
        return is_refused(s, op);
    switch ((int)op->kind) {
    case REQUEST_CREATE:
    case REQUEST_UPDATE: return write_version(s, op, index);
    case REQUEST_DELETE:
        if (!may_be_live(s, op) || expects_another(s, op))
            return false;
        *s = (struct kept){.deleted = true};
        return true;
    case REQUEST_READ: return reads(h, s, op);
    case REQUEST_HISTORY: return shows(h, s, op);
    case REQUEST_NAMES: return may_be_live(s, op);
    case REQUEST_DELETION: return s->deleted || (s->live && may_be_none(s, op));
    case REQUEST_ALTER: return !expects_another(s, op) && alter(s, op);
    default: return false;
    }
}

/* ---- every order ---- */

static bool
may_be_next(const struct history *h, unsigned placed, size_t index)
{
    for (size_t i = 0; i < h->count; i++) {
        if (!(placed >> i & 1) && i != index && h->ops[i].outcome != LINEAR_OPEN &&
            h->ops[i].ended_ns < h->ops[index].called_ns)
            return false;
    }
    return true;
}

static bool
has_order(const struct history *h, unsigned placed, const struct kept *s)
{
    bool all = true;
    for (size_t i = 0; i < h->count; i++)
        all = all && (placed >> i & 1 || h->ops[i].outcome == LINEAR_OPEN);
    for (size_t i = 0; i < h->count && !all; i++) {
        struct kept next = *s;
        if (!(placed >> i & 1) && may_be_next(h, placed, i) && happens(h, &next, i))
            all = has_order(h, placed | 1U << i, &next);
    }
    return all;
}

/* ---- histories ---- */

static void
draw_alteration(uint64_t *seed, struct alteration *a)
{
    struct version_list *lists[] = {&a->soft_delete, &a->undelete, &a->destroy};
    uint64_t which = draw(seed, 5);
    if (which < 3) {
        lists[which]->count = 1;
        lists[which]->of[0] = 1 + draw(seed, 2);
    } else if (which == 3) {
        a->has_max_versions = true;
        a->max_versions = draw(seed, 3);
    } else {
        a->has_expires_at = true;
        a->expires_at_ms = draw(seed, 4) == 0 ? 0 : SECOND_MS * (1 + draw(seed, SECONDS));
    }
}

static enum request_kind
draw_kind(uint64_t *seed)
{
    static const enum request_kind kinds[] = {REQUEST_CREATE, REQUEST_CREATE,  REQUEST_UPDATE,
                                              REQUEST_UPDATE, REQUEST_DELETE,  REQUEST_READ,
                                              REQUEST_READ,   REQUEST_ALTER,   REQUEST_ALTER,
                                              REQUEST_NAMES,  REQUEST_HISTORY, REQUEST_DELETION};
    return kinds[draw(seed, sizeof(kinds) / sizeof(kinds[0]))];
}

static bool
is_change(const struct linear_op *op)
{
    return op->kind == REQUEST_CREATE || op->kind == REQUEST_UPDATE || op->kind == REQUEST_DELETE ||
           op->kind == REQUEST_ALTER;
}

/* What a look tells of the state; what it does not fit is refused. */
static void
fill_answer(struct history *h, const struct kept *s, size_t i, uint64_t *seed)
{
    struct linear_op *op = &h->ops[i];
    op->version = s->version;
    if (op->kind == REQUEST_READ && s->live) {
        op->version_asked = draw(seed, 2) == 0 ? 0 : 1 + draw(seed, s->version + 1);
        op->version = op->version_asked != 0 ? op->version_asked : s->version;
        op->superseded = op->version_asked != 0 && op->version != s->version;
        if (op->version <= s->version)
            op->read_number = h->ops[s->writes[op->version]].number;
    }
    if (op->kind == REQUEST_HISTORY && s->live) {
        uint64_t kept = s->version - s->oldest + 1;
        op->limit = 1 + draw(seed, 3);
        op->row_count = kept < op->limit ? kept : op->limit;
        op->has_next = kept > op->row_count;
        for (size_t row = 0; row < op->row_count; row++) {
            size_t write = s->writes[s->version - row];
            h->rows[i][row] = h->ops[write].valid_from_ms = 100 + write;
            h->states[i][row] = (uint8_t)s->states[s->version - row];
        }
    }
}

/* The operation at this moment of a run, with the answer that it gets there. */
static void
run_one(struct history *h, struct kept *s, size_t i, uint64_t *seed)
{
    struct linear_op *op = &h->ops[i];
    struct kept next = *s;
    if (op->kind == REQUEST_UPDATE || op->kind == REQUEST_DELETE || op->kind == REQUEST_ALTER) {
        op->has_expected_version = draw(seed, 4) == 0;
        op->expected_version = 1 + draw(seed, 2);
    }
    if (is_change(op) && draw(seed, 4) == 0) {
        op->outcome = LINEAR_OPEN;
        if (draw(seed, 2) == 0 && happens(h, &next, i))
            *s = next;
        return;
    }
    if (!is_change(op))
        fill_answer(h, s, i, seed);
    if (happens(h, &next, i)) {
        *s = next;
        op->seen_version =
            op->kind == REQUEST_CREATE || op->kind == REQUEST_UPDATE ? s->version : 0;
        return;
    }
    bool mismatch =
        op->has_expected_version && may_be_live(s, op) && op->expected_version != s->version;
    op->outcome = LINEAR_REFUSED;
    op->refusal = op->kind == REQUEST_CREATE ? ERR_ALREADY_EXISTS
                  : mismatch                 ? ERR_VERSION_MISMATCH
                                             : ERR_NOT_FOUND;
}

/* One after the other, each in a span of time that reaches into those of its neighbours. */
static void
draw_history(uint64_t *seed, struct history *h)
{
    struct kept s = {0};
    bool clock = draw(seed, 2) == 0;
    uint64_t width = 1 + draw(seed, 8);
    memset(h, 0, sizeof(*h));
    h->count = 3 + draw(seed, OPS_MAX - 2);
    for (size_t i = 0; i < h->count; i++) {
        uint64_t at = 4 * i + 8, from = at - draw(seed, width), to = at + draw(seed, width);
        struct linear_op *op = &h->ops[i];
        *op = (struct linear_op){.number = i + 1,
                                 .kind = draw_kind(seed),
                                 .called_ns = from * 1000000000,
                                 .ended_ns = to * 1000000000,
                                 .called_ms = clock ? from * SECOND_MS : 0,
                                 .ended_ms = clock ? to * SECOND_MS : 0,
                                 .alteration = &h->alterations[i],
                                 .row_valid_from_ms = h->rows[i],
                                 .row_states = h->states[i]};
        if (op->kind == REQUEST_ALTER)
            draw_alteration(seed, &h->alterations[i]);
        else
            op->alteration = NULL;
        run_one(h, &s, i, seed);
    }
}

/* One answer becomes another, or comes at another time. */
static void
spoil(uint64_t *seed, struct history *h)
{
    struct linear_op *op = &h->ops[draw(seed, h->count)];
    switch (draw(seed, 6)) {
    case 0: op->read_number = 1 + draw(seed, h->count); break;
    case 1: op->ended_ns = op->called_ns + 1000000000 * draw(seed, 4); break;
    case 2: op->called_ns = 1000000000 * draw(seed, SECONDS); break;
    case 3: op->seen_version += is_change(op) && op->seen_version > 0; break;
    case 4:
        op->outcome = is_change(op) ? LINEAR_OPEN : op->outcome;
        op->version = 0;
        break;
    default:
        op->outcome = op->outcome == LINEAR_REFUSED ? LINEAR_DONE : LINEAR_REFUSED;
        op->refusal = op->kind == REQUEST_CREATE ? ERR_ALREADY_EXISTS : ERR_NOT_FOUND;
        break;
    }
    if (op->ended_ns < op->called_ns)
        op->ended_ns = op->called_ns;
}

static void
test_against_every_order(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    unsigned found[2] = {0};
    struct history h;
    (void)state;
    for (unsigned i = 0; i < HISTORIES; i++) {
        struct kept nothing = {0};
        draw_history(&seed, &h);
        if (i % 2 == 0)
            assert_true(has_order(&h, 0, &nothing));
        for (unsigned k = i % 2 == 0 ? 0 : 1 + (unsigned)draw(&seed, 4); k > 0; k--)
            spoil(&seed, &h);
        bool order = has_order(&h, 0, &nothing);
        enum linear_verdict verdict = linear_check(h.ops, h.count, LINEAR_STEPS_MAX);
        if (verdict != (order ? LINEAR : NOT_LINEAR))
            fail_msg("history %u: every order says %d, the search %d", i, order, (int)verdict);
        found[order]++;
    }
    assert_true(found[0] > HISTORIES / 10); /* both sorts are plenty */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_every_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
