/* Judging recorded histories, path by path. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "check/explain.h"
#include "check/history.h"
#include "check/memory.h"

enum { SHOWN_MAX = 30 };

/* One path: a slice of the history. */
struct judged_path {
    const struct history *history;
    struct recorded_op *ops;
    size_t count;
    struct recorded_op **writes; /* by value */
    size_t write_count;
    FILE *report;
    bool contradicted;
};

const char *
recorded_outcome_name(enum recorded_outcome outcome)
{
    static const char *const names[] = {"ok", "refused", "without effect", "unknown"};
    return names[outcome];
}

/* ---- saying what was found ---- */

static void __attribute__((format(printf, 3, 4)))
found(struct judged_path *p, const char *property, const char *why, ...)
{
    va_list args;
    if (!p->contradicted)
        fprintf(p->report, "%s\n", p->ops[0].path);
    p->contradicted = true;
    fprintf(p->report, "  %s: ", property);
    va_start(args, why);
    /* NOLINTNEXTLINE: a format of ours */
    vfprintf(p->report, why, args);
    va_end(args);
    fprintf(p->report, "\n");
}

static double
seconds(const struct judged_path *p, uint64_t time_ns)
{
    return (double)(time_ns - p->history->first_ns) / 1e9;
}

static void
print_asked(const struct judged_path *p, const struct recorded_op *op)
{
    if (op->linear.has_expected_version)
        fprintf(p->report, " expecting version %" PRIu64, op->linear.expected_version);
    if (op->linear.version_asked != 0)
        fprintf(p->report, " of version %" PRIu64, op->linear.version_asked);
    if (op->linear.has_at)
        fprintf(p->report, " at %" PRIu64 " ms", op->at_ms);
    if (op->value && op->linear.kind != REQUEST_READ)
        fprintf(p->report, " \"%.40s\"", op->value);
}

static void
print_op(const struct judged_path *p, const struct recorded_op *op, const char *mark)
{
    fprintf(p->report, "  %s %12.6f", mark, seconds(p, op->linear.called_ns));
    if (op->outcome == RECORDED_UNKNOWN)
        fprintf(p->report, " ..             ");
    else
        fprintf(p->report, " .. %12.6f", seconds(p, op->linear.ended_ns));
    fprintf(p->report, "  client %" PRIu64 " op %" PRIu64 ": %s", op->client, op->linear.number,
            request_kind_name(op->linear.kind));
    print_asked(p, op);
    fprintf(p->report, " -> %s", op->code ? op->code : recorded_outcome_name(op->outcome));
    if (op->outcome == RECORDED_OK && op->linear.version != 0)
        fprintf(p->report, " version %" PRIu64, op->linear.version);
    if (op->outcome == RECORDED_OK && op->linear.kind == REQUEST_READ)
        fprintf(p->report, " \"%.40s\"", op->value);
    fprintf(p->report, "\n");
}

/* ---- what each answer says ---- */

static bool
is_write(const struct recorded_op *op)
{
    return op->linear.kind == REQUEST_CREATE || op->linear.kind == REQUEST_UPDATE;
}

static int
by_value(const void *a, const void *b)
{
    const struct recorded_op *const *x = a, *const *y = b;
    return strcmp((*x)->value, (*y)->value);
}

static void
collect_writes(struct judged_path *p)
{
    p->writes = check_alloc(p->count * sizeof(struct recorded_op *));
    for (size_t i = 0; i < p->count; i++) {
        if (is_write(&p->ops[i]))
            p->writes[p->write_count++] = &p->ops[i];
    }
    qsort(p->writes, p->write_count, sizeof(struct recorded_op *), by_value);
    for (size_t i = 1; i < p->write_count; i++) {
        if (by_value(&p->writes[i - 1], &p->writes[i]) == 0)
            found(p, "recording", "ops %" PRIu64 " and %" PRIu64 " wrote the same value",
                  p->writes[i - 1]->linear.number, p->writes[i]->linear.number);
    }
}

static struct recorded_op *
write_of_value(const struct judged_path *p, const struct recorded_op *read)
{
    struct recorded_op **at = p->write_count == 0 ? NULL
                                                  : bsearch(&read, p->writes, p->write_count,
                                                            sizeof(struct recorded_op *), by_value);
    return at ? *at : NULL;
}

/* Version and validity of a write are the same for whoever is told of them. */
static void
told(struct judged_path *p, struct recorded_op *write, const struct recorded_op *by)
{
    struct linear_op *w = &write->linear;
    uint64_t version = by->linear.version;
    if (w->seen_version != 0 && w->seen_version != version)
        found(p, "versions",
              "op %" PRIu64 " made version %" PRIu64 ", op %" PRIu64 " was told version %" PRIu64,
              w->number, w->seen_version, by->linear.number, version);
    else if (w->valid_from_ms != 0 && w->valid_from_ms != by->told_from_ms)
        found(p, "validity",
              "version %" PRIu64 " was valid from %" PRIu64 ", op %" PRIu64 " was told %" PRIu64,
              version, w->valid_from_ms, by->linear.number, by->told_from_ms);
    w->seen_version = version;
    w->valid_from_ms = by->told_from_ms;
}

static void
judge_read(struct judged_path *p, struct recorded_op *op)
{
    struct linear_op *r = &op->linear;
    struct recorded_op *write = write_of_value(p, op);
    if (!write) {
        found(p, "values", "op %" PRIu64 " read \"%.60s\", which nobody wrote here", r->number,
              op->value);
        return;
    }
    r->read_number = write->linear.number;
    if (write->outcome == RECORDED_REFUSED || write->outcome == RECORDED_NOTHING)
        found(p, "values", "op %" PRIu64 " read the value of op %" PRIu64 ", which had failed (%s)",
              r->number, r->read_number, write->code);
    told(p, write, op);
    if (op->told_to_ms != 0 && op->told_to_ms <= op->told_from_ms)
        found(p, "validity", "op %" PRIu64 ": valid to is not after valid from", r->number);
    if (r->version_asked != 0 && r->version_asked != r->version)
        found(p, "versions", "op %" PRIu64 " asked for version %" PRIu64 " and got %" PRIu64,
              r->number, r->version_asked, r->version);
    if (r->has_at &&
        (op->at_ms < op->told_from_ms || (op->told_to_ms != 0 && op->at_ms >= op->told_to_ms)))
        found(p, "validity", "op %" PRIu64 ": the version was not valid at that time", r->number);
}

/* Versions one after the other, each valid until the next one is: no gap, no overlap. */
static void
judge_history(struct judged_path *p, const struct recorded_op *op)
{
    for (size_t i = 0; i < op->linear.row_count; i++) {
        const struct recorded_row *row = &op->rows[i];
        uint64_t valid_to = i == 0 ? 0 : op->rows[i - 1].valid_from_ms;
        if (i > 0 && row->version + 1 != op->rows[i - 1].version)
            found(p, "versions", "op %" PRIu64 ": after version %" PRIu64 " comes %" PRIu64,
                  op->linear.number, row->version, op->rows[i - 1].version);
        if (row->valid_to_ms != valid_to || (valid_to != 0 && valid_to <= row->valid_from_ms))
            found(p, "validity",
                  "op %" PRIu64 ": version %" PRIu64 " is valid to %" PRIu64
                  ", the next one from %" PRIu64,
                  op->linear.number, row->version, row->valid_to_ms, valid_to);
    }
}

static void
judge_answers(struct judged_path *p)
{
    collect_writes(p);
    for (size_t i = 0; i < p->count; i++) {
        struct recorded_op *op = &p->ops[i];
        if (op->outcome != RECORDED_OK)
            continue;
        if (is_write(op))
            told(p, op, op);
        else if (op->linear.kind == REQUEST_READ)
            judge_read(p, op);
        else if (op->linear.kind == REQUEST_HISTORY)
            judge_history(p, op);
    }
}

/* ---- the order ---- */

static bool
is_ordered(const struct recorded_op *op)
{
    if (op->outcome == RECORDED_REFUSED)
        return !op->linear.has_at;
    return op->outcome != RECORDED_NOTHING;
}

static enum linear_outcome
linear_outcome(enum recorded_outcome outcome)
{
    if (outcome == RECORDED_OK)
        return LINEAR_DONE;
    return outcome == RECORDED_REFUSED ? LINEAR_REFUSED : LINEAR_OPEN;
}

static void
explain(struct judged_path *p, const struct linear_op *ops, const size_t *from, size_t count)
{
    struct linear_explanation explanation;
    size_t shown = 0, needed = 0;
    linear_explain(ops, count, &explanation);
    found(p, "linearizable",
          "no order explains the answers; the first that cannot be is that of op %" PRIu64 ":",
          explanation.contradiction);
    for (size_t i = 0; i < count; i++)
        needed += explanation.needed[i];
    for (size_t i = 0; i < count; i++) {
        bool it = ops[i].number == explanation.contradiction;
        /* Of many, the last before it say most. */
        if (explanation.needed[i] && (needed - shown++ <= SHOWN_MAX || it))
            print_op(p, &p->ops[from[i]], it ? ">>" : "  ");
    }
    if (needed > SHOWN_MAX)
        fprintf(p->report, "     and %zu that came before them\n", needed - SHOWN_MAX);
    free(explanation.needed);
}

static enum linear_verdict
judge_order(struct judged_path *p)
{
    struct linear_op *ops = check_alloc(p->count * sizeof(*ops));
    size_t *from = check_alloc(p->count * sizeof(*from));
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (!is_ordered(&p->ops[i]))
            continue;
        from[count] = i;
        ops[count] = p->ops[i].linear;
        ops[count].outcome = linear_outcome(p->ops[i].outcome);
        if (is_write(&p->ops[i]))
            ops[count].version = 0; /* seen_version has it */
        count++;
    }
    enum linear_verdict verdict = linear_check(ops, count, LINEAR_STEPS_MAX);
    if (verdict == NOT_LINEAR)
        explain(p, ops, from, count);
    free(from);
    free(ops);
    return verdict;
}

/* ---- all paths ---- */

static void
judge_path(struct history *h, size_t first, size_t count, FILE *report, struct judgement *out)
{
    struct judged_path p = {.history = h, .ops = &h->ops[first], .count = count, .report = report};
    judge_answers(&p);
    if (judge_order(&p) == UNDECIDED) {
        fprintf(report, "%s\n  undecided: the search was given up\n", p.ops[0].path);
        out->undecided++;
    }
    out->paths++;
    out->contradicted += p.contradicted;
    free(p.writes);
}

void
history_judge(struct history *history, FILE *report, struct judgement *out)
{
    *out = (struct judgement){0};
    for (size_t i = 0; i < history->count; i++)
        out->by_kind[history->ops[i].linear.kind][history->ops[i].outcome]++;
    for (size_t first = 0, next = 0; first < history->count; first = next) {
        while (next < history->count &&
               strcmp(history->ops[first].path, history->ops[next].path) == 0)
            next++;
        judge_path(history, first, next - first, report, out);
    }
}

enum judge_end
judgement_end(const struct judgement *judgement)
{
    if (judgement->contradicted > 0)
        return JUDGE_CONTRADICTED;
    return judgement->undecided > 0 ? JUDGE_UNDECIDED : JUDGE_OK;
}
