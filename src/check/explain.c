#include "check/explain.h"

#include <string.h>

#include "check/memory.h"

/* Fewer steps than for the verdict: an explanation that is longer than it need be is one, too. */
enum { EXPLAIN_STEPS_MAX = 50000 };

/* A history that is being reduced; `from` is the index of each operation in the caller's array. */
struct reduced {
    struct linear_op *ops;
    size_t *from;
    size_t count;
};

static bool
is_change(const struct linear_op *op)
{
    return op->outcome != LINEAR_REFUSED &&
           (op->kind == REQUEST_CREATE || op->kind == REQUEST_UPDATE ||
            op->kind == REQUEST_DELETE || op->kind == REQUEST_ALTER);
}

/* What was known at that time: later calls are not there, what had no answer yet is open. */
static void
truncate_at(const struct linear_op *ops, size_t count, uint64_t time_ns, struct reduced *out)
{
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct linear_op op = ops[i];
        if (op.called_ns > time_ns)
            continue;
        if (op.outcome != LINEAR_OPEN && op.ended_ns > time_ns) {
            if (!is_change(&op))
                continue;
            op.outcome = LINEAR_OPEN;
        }
        out->from[out->count] = i;
        out->ops[out->count++] = op;
    }
}

static bool
refuted(const struct reduced *r)
{
    return linear_check(r->ops, r->count, EXPLAIN_STEPS_MAX) == NOT_LINEAR;
}

static int
by_time(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The earliest return after which no order explains what had been answered. */
static uint64_t
first_refuted(const struct linear_op *ops, size_t count, struct reduced *r)
{
    uint64_t *times = check_alloc(count * sizeof(*times));
    size_t low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        if (ops[i].outcome != LINEAR_OPEN)
            times[high++] = ops[i].ended_ns;
    }
    qsort(times, high, sizeof(*times), by_time);
    uint64_t time = high > 0 ? times[--high] : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        truncate_at(ops, count, times[middle], r);
        if (refuted(r))
            high = middle;
        else
            low = middle + 1;
        time = times[high];
    }
    free(times);
    return time;
}

static void
take_out(struct reduced *r, size_t i)
{
    r->count--;
    memmove(&r->ops[i], &r->ops[i + 1], (r->count - i) * sizeof(*r->ops));
    memmove(&r->from[i], &r->from[i + 1], (r->count - i) * sizeof(*r->from));
}

/*
 * Without this answer: a change may have happened at any later time, or not at all (what version it
 * made is still known, which keeps the search short); nothing else leaves a trace.
 */
static void
try_without(struct reduced *r, size_t i)
{
    struct linear_op op = r->ops[i];
    size_t from = r->from[i];
    if (is_change(&op)) {
        r->ops[i].outcome = LINEAR_OPEN;
        if (!refuted(r))
            r->ops[i] = op;
        return;
    }
    take_out(r, i);
    if (refuted(r))
        return;
    memmove(&r->ops[i + 1], &r->ops[i], (r->count - i) * sizeof(*r->ops));
    memmove(&r->from[i + 1], &r->from[i], (r->count - i) * sizeof(*r->from));
    r->ops[i] = op;
    r->from[i] = from;
    r->count++;
}

static bool
is_read(const struct reduced *r, uint64_t number)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->ops[i].read_number == number)
            return true;
    }
    return false;
}

void
linear_explain(const struct linear_op *ops, size_t count, struct linear_explanation *out)
{
    struct reduced r = {check_alloc((count + 1) * sizeof(*r.ops)),
                        check_alloc((count + 1) * sizeof(*r.from)), 0};
    out->contradiction = 0;
    out->needed = check_alloc(count * sizeof(*out->needed));
    uint64_t time = first_refuted(ops, count, &r);
    truncate_at(ops, count, time, &r);
    for (size_t i = r.count; i-- > 0;) {
        if (r.ops[i].outcome != LINEAR_OPEN && r.ops[i].ended_ns == time)
            out->contradiction = r.ops[i].number;
    }
    for (size_t i = r.count; i-- > 0;) {
        if (r.ops[i].number != out->contradiction)
            try_without(&r, i);
    }
    for (size_t i = 0; i < r.count; i++)
        out->needed[r.from[i]] = r.ops[i].outcome != LINEAR_OPEN || is_read(&r, r.ops[i].number);
    free(r.ops);
    free(r.from);
}
