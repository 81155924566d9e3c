/*
 * The search is that of Wing and Gong with Lowe's linked list of calls and returns and a memory of
 * what was tried. The version numbers in the answers cut it short, and what only looks is never the
 * place for a choice, nor is which of several open changes that nobody saw has happened.
 */
#include "check/linear.h"

#include <assert.h>

#include "check/memory.h"
#include "proto/alteration.h"
#include "proto/head.h"

enum { VERSIONS_KEPT = VERSIONS_KEPT_MAX };

/* ---- the model ---- */

enum model_kind { MODEL_NEVER, MODEL_LIVE, MODEL_DELETED };

/* Immutable; the versions of one incarnation are linked from the newest to the first. */
struct model {
    enum model_kind kind;
    uint64_t version;
    const struct linear_op *write;
    const struct model *older;
    uint64_t chain_hash; /* of kind, version and writes alone */
    uint64_t hash;
    uint64_t oldest, max_versions;    /* kept */
    uint64_t soft_deleted, destroyed; /* bit i: version oldest + i */
    uint64_t expires_ms;              /* 0: never */
    struct model *allocated;          /* all of them, to be freed */
};

struct entry {
    const struct linear_op *op;
    uint64_t time;
    bool is_return;
    unsigned index;      /* of the operation, for both of its entries */
    struct entry *match; /* call: its return; NULL: open */
    struct entry *before, *after;
};

struct frame {
    struct entry *call;
    const struct model *state; /* before it */
    bool later;                /* candidates among the open ones are being tried */
    bool looks;                /* there is no need to try anything else in its place */
};

struct search {
    struct entry head; /* sentinel */
    struct entry *entries;
    uint64_t *zobrist; /* by operation */
    size_t *alike;     /* by operation: those of one number, not 0, are in no way told apart */
    size_t op_count, settled; /* operations that must be placed, and those placed */
    size_t must;
    uint64_t placed; /* hash of the set */
    struct frame *stack;
    size_t depth;
    uint64_t *seen; /* open addressing */
    size_t seen_count, seen_capacity;
    struct model *models;
    uint64_t steps;
};

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

/* The same for equal states, whatever changes led there: what was tried from one was tried from all. */
static void
hash_model(struct model *m)
{
    const uint64_t parts[] = {m->oldest, m->max_versions, m->soft_deleted, m->destroyed,
                              m->expires_ms};
    m->hash = m->chain_hash;
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        m->hash = mix(m->hash * 31 + parts[i] + i);
}

static const struct model *
model_new(struct search *s, enum model_kind kind, uint64_t version, const struct linear_op *write,
          const struct model *older)
{
    struct model *m = check_alloc(sizeof(*m));
    *m = (struct model){.kind = kind, .version = version, .write = write, .older = older};
    m->oldest = 1;
    m->allocated = s->models;
    s->models = m;
    m->chain_hash =
        mix((uint64_t)kind + 1) ^ mix(version + 77) ^ mix((write ? write->number : 0) + 12345);
    if (older)
        m->chain_hash ^= mix(older->chain_hash);
    hash_model(m);
    return m;
}

/* The same, with what has been altered about it. */
static const struct model *
model_altered(struct search *s, const struct model *state, const struct model *of)
{
    struct model *m = check_alloc(sizeof(*m));
    *m = *state;
    m->oldest = of->oldest;
    m->max_versions = of->max_versions;
    m->soft_deleted = of->soft_deleted;
    m->destroyed = of->destroyed;
    m->expires_ms = of->expires_ms;
    m->allocated = s->models;
    s->models = m;
    hash_model(m);
    return m;
}

static enum version_state
state_of(const struct model *state, uint64_t version)
{
    if (version_set_has(state->destroyed, state->oldest, version))
        return VERSION_DESTROYED;
    return version_set_has(state->soft_deleted, state->oldest, version) ? VERSION_DELETED
                                                                        : VERSION_AVAILABLE;
}

/* Versions below that one are kept no longer. */
static void
keep_from(struct model *m, uint64_t oldest)
{
    uint64_t out = oldest > m->oldest ? oldest - m->oldest : 0;
    m->soft_deleted = out < 64 ? m->soft_deleted >> out : 0;
    m->destroyed = out < 64 ? m->destroyed >> out : 0;
    m->oldest += out;
}

static void
keep_newest(struct model *m)
{
    uint64_t kept = m->max_versions == 0 ? VERSIONS_KEPT : m->max_versions;
    if (m->version > kept)
        keep_from(m, m->version - kept + 1);
}

/* By then it may have expired; or must have, before the operation was begun. */
static bool
may_be_gone(const struct model *state, const struct linear_op *op)
{
    if (state->kind != MODEL_LIVE)
        return true;
    bool open = op->outcome == LINEAR_OPEN;
    return state->expires_ms != 0 &&
           (open || op->called_ms == 0 || op->ended_ms + LINEAR_SKEW_MS >= state->expires_ms);
}

static bool
may_be_there(const struct model *state, const struct linear_op *op)
{
    if (state->kind != MODEL_LIVE)
        return false;
    return state->expires_ms == 0 || op->called_ms == 0 ||
           op->called_ms < state->expires_ms + LINEAR_SKEW_MS;
}

static const struct linear_op *
write_of(const struct model *state, uint64_t version)
{
    while (state && state->version > version)
        state = state->older;
    return state && state->version == version ? state->write : NULL;
}

static const struct model *
after_write(struct search *s, const struct model *state, const struct linear_op *op)
{
    bool create = op->kind == REQUEST_CREATE;
    uint64_t version = create ? 1 : state->version + 1;
    if (create ? !may_be_gone(state, op) : !may_be_there(state, op))
        return NULL;
    if (op->has_expected_version && op->expected_version != state->version)
        return NULL;
    if (op->seen_version != 0 && op->seen_version != version)
        return NULL;
    const struct model *made = model_new(s, MODEL_LIVE, version, op, create ? NULL : state);
    if (create)
        return made;
    struct model next = *state;
    next.version = version;
    keep_newest(&next);
    return model_altered(s, made, &next);
}

static const struct model *
after_delete(struct search *s, const struct model *state, const struct linear_op *op)
{
    if (!may_be_there(state, op) ||
        (op->has_expected_version && op->expected_version != state->version) ||
        (op->version != 0 && op->version != state->version))
        return NULL;
    return model_new(s, MODEL_DELETED, 0, NULL, NULL);
}

/* False: a version is not there to be altered so. */
static bool
alter_versions(const struct version_list *list, struct model *m, uint64_t *put, uint64_t *take,
               bool destroyed_too)
{
    for (size_t i = 0; i < list->count; i++) {
        uint64_t v = list->of[i];
        if (v < m->oldest || v > m->version ||
            (!destroyed_too && state_of(m, v) == VERSION_DESTROYED))
            return false;
        if (put)
            *put |= UINT64_C(1) << (v - m->oldest);
        if (take)
            *take &= ~(UINT64_C(1) << (v - m->oldest));
    }
    return true;
}

static bool
alters(const struct linear_op *op, struct model *m)
{
    const struct alteration *a = op->alteration;
    if (!may_be_there(m, op) ||
        !alter_versions(&a->soft_delete, m, &m->soft_deleted, NULL, false) ||
        !alter_versions(&a->undelete, m, NULL, &m->soft_deleted, false) ||
        !alter_versions(&a->destroy, m, &m->destroyed, &m->soft_deleted, true))
        return false;
    if (a->has_max_versions) {
        m->max_versions = a->max_versions;
        keep_newest(m);
    }
    if (a->has_expires_at)
        m->expires_ms = a->expires_at_ms;
    return true;
}

static const struct model *
after_alteration(struct search *s, const struct model *state, const struct linear_op *op)
{
    struct model next = *state;
    if ((op->has_expected_version && op->expected_version != state->version) ||
        (op->version != 0 && op->version != state->version) || !alters(op, &next))
        return NULL;
    return model_altered(s, state, &next);
}

static bool
refusal_fits(const struct model *state, const struct linear_op *op)
{
    bool live = may_be_there(state, op);
    if (op->kind == REQUEST_DELETION)
        return state->kind != MODEL_DELETED;
    if (op->refusal == ERR_NOT_FOUND && may_be_gone(state, op))
        return true;
    if (op->refusal == ERR_ALREADY_EXISTS)
        return live;
    if (op->refusal == ERR_VERSION_MISMATCH)
        return live && op->expected_version != state->version;
    if (op->kind == REQUEST_ALTER) {
        struct model next = *state;
        return !alters(op, &next);
    }
    if (op->kind == REQUEST_READ && live) {
        uint64_t version = op->version_asked != 0 ? op->version_asked : state->version;
        return version > state->version || version < state->oldest ||
               state_of(state, version) != VERSION_AVAILABLE;
    }
    return !live;
}

static bool
read_fits(const struct model *state, const struct linear_op *op)
{
    const struct linear_op *write = write_of(state, op->version);
    bool latest = op->version_asked == 0 && !op->has_at;
    if (!may_be_there(state, op) || !write || write->number != op->read_number ||
        op->version < state->oldest || state_of(state, op->version) != VERSION_AVAILABLE)
        return false;
    return latest ? op->version == state->version
                  : !op->superseded == (op->version == state->version);
}

static bool
history_fits(const struct model *state, const struct linear_op *op)
{
    if (!may_be_there(state, op) || op->version != state->version)
        return false;
    uint64_t kept = state->version - state->oldest + 1;
    uint64_t expected = kept < op->limit ? kept : op->limit;
    if (op->row_count != expected || op->has_next != (kept > expected))
        return false;
    const struct model *at = state;
    for (size_t i = 0; i < op->row_count; i++, at = at->older) {
        uint64_t known = at->write->valid_from_ms;
        if (known != 0 && known != op->row_valid_from_ms[i])
            return false;
        if (op->row_states && op->row_states[i] != (uint8_t)state_of(state, at->version))
            return false;
    }
    return true;
}

/* The state after the operation, or NULL: it cannot have happened here. */
static const struct model *
apply(struct search *s, const struct model *state, const struct linear_op *op)
{
    if (op->outcome == LINEAR_REFUSED)
        return refusal_fits(state, op) ? state : NULL;
    switch (op->kind) {
    case REQUEST_CREATE:
    case REQUEST_UPDATE: return after_write(s, state, op);
    case REQUEST_DELETE: return after_delete(s, state, op);
    case REQUEST_READ: return read_fits(state, op) ? state : NULL;
    case REQUEST_HISTORY: return history_fits(state, op) ? state : NULL;
    case REQUEST_DELETION:
        return state->kind == MODEL_DELETED || (state->kind == MODEL_LIVE && may_be_gone(state, op))
                   ? state
                   : NULL;
    case REQUEST_NAMES: return may_be_there(state, op) ? state : NULL;
    case REQUEST_BATCH:
    case REQUEST_BATCH_CREATE:
    case REQUEST_COPY:
    case REQUEST_ENV:
    case REQUEST_HEALTH:
    case REQUEST_STATUS:
    case REQUEST_METRICS:
    case REQUEST_RECORD_PUT:
    case REQUEST_RECORD_GET:
    case REQUEST_RECORD_DELETE:
    case REQUEST_RECORD_LIST:
    case REQUEST_AUTH:
    case REQUEST_METADATA:
    case REQUEST_AUDIT:
    case REQUEST_AUDIT_EXPORT: break;
    case REQUEST_ALTER: return after_alteration(s, state, op);
    }
    return NULL;
}

/* ---- what was tried already ---- */

static bool seen_add(struct search *s, uint64_t key);

static void
seen_grow(struct search *s)
{
    uint64_t *old = s->seen;
    size_t old_capacity = s->seen_capacity;
    s->seen_capacity = old_capacity ? 2 * old_capacity : 1024;
    s->seen = check_alloc(s->seen_capacity * sizeof(*s->seen));
    s->seen_count = 0;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i] != 0)
            seen_add(s, old[i]);
    }
    free(old);
}

/* False: it was there. */
static bool
seen_add(struct search *s, uint64_t key)
{
    key = key ? key : 1;
    if (2 * s->seen_count >= s->seen_capacity)
        seen_grow(s);
    size_t i = (size_t)mix(key) & (s->seen_capacity - 1);
    for (; s->seen[i] != 0; i = (i + 1) & (s->seen_capacity - 1)) {
        if (s->seen[i] == key)
            return false;
    }
    s->seen[i] = key;
    s->seen_count++;
    return true;
}

/* ---- the list of calls and returns ---- */

static void
take_out(struct entry *call)
{
    call->before->after = call->after;
    call->after->before = call->before;
    if (call->match) {
        call->match->before->after = call->match->after;
        call->match->after->before = call->match->before;
    }
}

static void
put_back(struct entry *call)
{
    if (call->match) {
        call->match->before->after = call->match;
        call->match->after->before = call->match;
    }
    call->before->after = call;
    call->after->before = call;
}

static int
by_time(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    /* What ends and begins at the same moment overlaps. */
    if (x->is_return != y->is_return)
        return x->is_return ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

static size_t
collect(struct search *s, const struct linear_op *ops, size_t op_count)
{
    size_t count = 0;
    s->op_count = op_count;
    s->entries = check_alloc(2 * op_count * sizeof(*s->entries));
    for (size_t i = 0; i < op_count; i++) {
        const struct linear_op *op = &ops[i];
        unsigned index = (unsigned)i;
        s->entries[count++] = (struct entry){.op = op, .time = op->called_ns, .index = index};
        if (op->outcome == LINEAR_OPEN)
            continue;
        s->must++;
        s->entries[count++] =
            (struct entry){.op = op, .time = op->ended_ns, .index = index, .is_return = true};
    }
    return count;
}

static void
link_entries(struct search *s, size_t count)
{
    struct entry **calls = check_alloc(s->op_count * sizeof(struct entry *));
    struct entry *last = &s->head;
    qsort(s->entries, count, sizeof(*s->entries), by_time);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = &s->entries[i];
        if (e->is_return)
            calls[e->index]->match = e;
        else
            calls[e->index] = e;
        e->before = last;
        last->after = e;
        last = e;
    }
    last->after = &s->head;
    s->head.before = last;
    free(calls);
}

/* ---- open changes that are alike ---- */

/*
 * How many of the ends that the secret was ever given lie before that operation's call: an end tells
 * changes of what is there apart by that alone.
 */
static size_t
ends_before(const struct linear_op *ops, size_t count, const struct linear_op *op)
{
    size_t before = 0;
    for (size_t i = 0; i < count; i++) {
        const struct alteration *a = ops[i].alteration;
        before += a && a->has_expires_at && op->called_ms != 0 &&
                  op->called_ms >= a->expires_at_ms + LINEAR_SKEW_MS;
    }
    return before;
}

static bool
is_read(const struct linear_op *ops, size_t count, uint64_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (ops[i].read_number == number)
            return true;
    }
    return false;
}

/* Open, and nobody was ever told anything of it. */
static bool
is_unseen(const struct linear_op *ops, size_t count, const struct linear_op *op)
{
    return op->outcome == LINEAR_OPEN && op->version == 0 && op->seen_version == 0 &&
           op->valid_from_ms == 0 && !is_read(ops, count, op->number) &&
           (op->kind == REQUEST_CREATE || op->kind == REQUEST_UPDATE || op->kind == REQUEST_DELETE);
}

static bool
are_alike(const struct linear_op *ops, size_t count, const struct linear_op *a,
          const struct linear_op *b)
{
    return a->kind == b->kind && a->has_expected_version == b->has_expected_version &&
           (!a->has_expected_version || a->expected_version == b->expected_version) &&
           (a->kind == REQUEST_CREATE ||
            ((a->called_ms == 0) == (b->called_ms == 0) &&
             ends_before(ops, count, a) == ends_before(ops, count, b)));
}

/* Each has the number of the first that is like it. */
static void
find_alike(struct search *s, const struct linear_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        s->alike[i] = is_unseen(ops, count, &ops[i]) ? i + 1 : 0;
        for (size_t j = 0; j < i && s->alike[i] == i + 1; j++) {
            if (s->alike[j] == j + 1 && are_alike(ops, count, &ops[i], &ops[j]))
                s->alike[i] = j + 1;
        }
    }
}

/*
 * Another that is alike was called earlier and is not placed: whatever this one can do here, that one
 * can, and this one can be in its place later.
 */
static bool
has_twin_before(struct search *s, const struct entry *call)
{
    if (s->alike[call->index] == 0)
        return false;
    for (const struct entry *e = s->head.after; e != call; e = e->after) {
        if (!e->is_return && s->alike[e->index] == s->alike[call->index])
            return true;
    }
    return false;
}

/* ---- the search ---- */

/*
 * The next candidate at or after `from`: calls before the first return, those with an answer first.
 */
static struct entry *
candidate(struct search *s, struct entry *from, bool *later)
{
    for (;;) {
        for (struct entry *e = from; e != &s->head && !e->is_return; e = e->after) {
            if ((e->match == NULL) == *later)
                return e;
        }
        if (*later)
            return NULL;
        *later = true;
        from = s->head.after;
    }
}

/* Whatever it says, nothing is changed by it. */
static bool
only_looks(const struct linear_op *op)
{
    bool change = op->kind == REQUEST_CREATE || op->kind == REQUEST_UPDATE ||
                  op->kind == REQUEST_DELETE || op->kind == REQUEST_ALTER;
    return op->outcome == LINEAR_REFUSED || !change;
}

/*
 * A look that fits the present state. If there is any order of what is left, there is one that begins
 * with this look: put first, it changes nothing for the others, which then are bound by less.
 */
static struct entry *
fitting_look(struct search *s, const struct model *state)
{
    for (struct entry *e = s->head.after; e != &s->head && !e->is_return; e = e->after) {
        if (e->match && only_looks(e->op) && apply(s, state, e->op))
            return e;
    }
    return NULL;
}

static void
place(struct search *s, struct entry *call, const struct model *before, bool later, bool looks)
{
    s->stack[s->depth++] = (struct frame){call, before, later, looks};
    s->placed ^= s->zobrist[call->index];
    s->settled += call->match != NULL;
    take_out(call);
}

static struct frame
unplace(struct search *s)
{
    assert(s->depth > 0);
    struct frame f = s->stack[--s->depth];
    assert(f.call);
    s->placed ^= s->zobrist[f.call->index];
    s->settled -= f.call->match != NULL;
    put_back(f.call);
    return f;
}

/* The looks that fit are placed, and nothing is tried in their place. */
static void
place_looks(struct search *s, const struct model *state)
{
    struct entry *e;
    while ((e = fitting_look(s, state)))
        place(s, e, state, false, true);
}

static void
unplace_looks(struct search *s)
{
    while (s->depth > 0 && s->stack[s->depth - 1].looks)
        (void)unplace(s);
}

/* Places a change, and the looks after it. False: from what that leads to all has been tried. */
static bool
place_change(struct search *s, struct entry *e, const struct model *before,
             const struct model *after, bool later)
{
    place(s, e, before, later, false);
    place_looks(s, after);
    if (seen_add(s, mix(s->placed) ^ after->hash))
        return true;
    unplace_looks(s);
    (void)unplace(s);
    return false;
}

static enum linear_verdict
search_path(struct search *s, uint64_t steps_max)
{
    const struct model *state = model_new(s, MODEL_NEVER, 0, NULL, NULL);
    bool later = false;
    place_looks(s, state);
    struct entry *from = s->head.after;
    while (s->settled < s->must) {
        if (s->steps++ > steps_max)
            return UNDECIDED;
        struct entry *e = candidate(s, from, &later);
        if (e) {
            bool tried = only_looks(e->op) || has_twin_before(s, e);
            const struct model *next = tried ? NULL : apply(s, state, e->op);
            if (next && place_change(s, e, state, next, later)) {
                state = next;
                later = false;
                from = s->head.after;
            } else {
                from = e->after;
            }
            continue;
        }
        unplace_looks(s);
        if (s->depth == 0)
            return NOT_LINEAR;
        struct frame f = unplace(s);
        state = f.state;
        later = f.later;
        from = f.call->after;
    }
    return LINEAR;
}

static void
search_close(struct search *s)
{
    while (s->models) {
        struct model *next = s->models->allocated;
        free(s->models);
        s->models = next;
    }
    free(s->entries);
    free(s->zobrist);
    free(s->alike);
    free(s->stack);
    free(s->seen);
}

enum linear_verdict
linear_check(const struct linear_op *ops, size_t count, uint64_t steps_max)
{
    struct search s = {0};
    link_entries(&s, collect(&s, ops, count));
    s.zobrist = check_alloc(count * sizeof(*s.zobrist));
    s.alike = check_alloc((count + 1) * sizeof(*s.alike));
    find_alike(&s, ops, count);
    s.stack = check_alloc((count + 1) * sizeof(*s.stack));
    for (size_t i = 0; i < count; i++)
        s.zobrist[i] = mix((uint64_t)i * 2 + 0x9e3779b9);
    enum linear_verdict verdict = search_path(&s, steps_max);
    search_close(&s);
    return verdict;
}
