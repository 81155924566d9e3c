/* Reading recorded histories. */
#include "check/history.h"

#include <jansson.h>
#include <string.h>

#include "check/memory.h"

enum { LINE_BYTES_MAX = 4 * 1024 * 1024, WHY_BYTES = 200 };

/* What is being read. The first fault found stays. */
struct line {
    json_t *object;
    const char *fault;
};

static const struct recorded_code {
    const char *code;
    enum vault_err err;
} binding[] = {
    {"not_found", ERR_NOT_FOUND},
    {"already_exists", ERR_ALREADY_EXISTS},
    {"version_mismatch", ERR_VERSION_MISMATCH},
};

/* ---- fields ---- */

static bool
has(const struct line *line, const char *name)
{
    const json_t *field = json_object_get(line->object, name);
    return field && !json_is_null(field);
}

static uint64_t
number_of(struct line *line, const json_t *value, const char *fault)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        line->fault = line->fault ? line->fault : fault;
        return 0;
    }
    return (uint64_t)json_integer_value(value);
}

/* 0 when it is not there and need not be. */
static uint64_t
number(struct line *line, const char *name, bool needed, const char *fault)
{
    if (!needed && !has(line, name))
        return 0;
    return number_of(line, json_object_get(line->object, name), fault);
}

static char *
text(struct line *line, const char *name, bool needed, const char *fault)
{
    const char *value = json_string_value(json_object_get(line->object, name));
    if (!value) {
        if (needed || has(line, name))
            line->fault = line->fault ? line->fault : fault;
        return NULL;
    }
    size_t size = strlen(value) + 1;
    char *copy = check_alloc(size);
    memcpy(copy, value, size);
    return copy;
}

static enum request_kind
kind_of(struct line *line)
{
    const char *name = json_string_value(json_object_get(line->object, "kind"));
    for (int i = REQUEST_CREATE; name && i <= REQUEST_DELETION; i++) {
        if (strcmp(name, request_kind_name((enum request_kind)i)) == 0)
            return (enum request_kind)i;
    }
    line->fault =
        line->fault ? line->fault : "kind: create, update, read, history, delete or deletion";
    return REQUEST_READ;
}

static bool
is_change(enum request_kind kind)
{
    return kind == REQUEST_CREATE || kind == REQUEST_UPDATE || kind == REQUEST_DELETE;
}

static enum recorded_outcome
outcome_of(struct line *line, struct recorded_op *op)
{
    const char *name = json_string_value(json_object_get(line->object, "outcome"));
    name = name ? name : "";
    if (strcmp(name, "ok") == 0)
        return RECORDED_OK;
    if (strcmp(name, "unknown") == 0 || strcmp(name, "timeout") == 0)
        return is_change(op->linear.kind) ? RECORDED_UNKNOWN : RECORDED_NOTHING;
    if (strcmp(name, "refused") != 0)
        line->fault = line->fault ? line->fault : "outcome: ok, refused, unknown or timeout";
    op->code = text(line, "code", true, "code: text, with a refusal");
    for (size_t i = 0; op->code && i < sizeof(binding) / sizeof(binding[0]); i++) {
        if (strcmp(op->code, binding[i].code) == 0) {
            op->linear.refusal = binding[i].err;
            return RECORDED_REFUSED;
        }
    }
    return RECORDED_NOTHING;
}

/* ---- what the kinds have of their own ---- */

static void
take_row(struct line *line, const json_t *from, struct recorded_row *row)
{
    static const char fault[] = "rows: [version, valid_from_ms, valid_to_ms or null]";
    const json_t *to = json_array_get(from, 2);
    if (json_array_size(from) != 3) {
        line->fault = line->fault ? line->fault : fault;
        return;
    }
    row->version = number_of(line, json_array_get(from, 0), fault);
    row->valid_from_ms = number_of(line, json_array_get(from, 1), fault);
    row->valid_to_ms = json_is_null(to) ? 0 : number_of(line, to, fault);
}

static void
take_history(struct line *line, struct recorded_op *op)
{
    const json_t *rows = json_object_get(line->object, "rows");
    size_t count = json_array_size(rows);
    op->linear.limit = number(line, "limit", true, "limit: number");
    if (op->outcome != RECORDED_OK)
        return;
    if (count == 0)
        line->fault = line->fault ? line->fault : "rows: at least one";
    op->linear.has_next = json_is_true(json_object_get(line->object, "has_next"));
    op->linear.row_count = count;
    op->rows = check_alloc(count * sizeof(*op->rows));
    op->row_valid_from_ms = check_alloc(count * sizeof(*op->row_valid_from_ms));
    op->linear.row_valid_from_ms = op->row_valid_from_ms;
    for (size_t i = 0; i < count; i++) {
        take_row(line, json_array_get(rows, i), &op->rows[i]);
        op->row_valid_from_ms[i] = op->rows[i].valid_from_ms;
    }
    if (count > 0)
        op->linear.version = op->rows[0].version;
}

static void
take_read(struct line *line, struct recorded_op *op)
{
    bool ok = op->outcome == RECORDED_OK;
    op->linear.version_asked = number(line, "version_asked", false, "version_asked: number");
    op->linear.has_at = has(line, "at_ms");
    op->at_ms = number(line, "at_ms", false, "at_ms: number");
    if (!ok)
        return;
    op->value = text(line, "value", true, "value: text");
    op->linear.version = number(line, "version", true, "version: number");
    op->told_from_ms = number(line, "valid_from_ms", true, "valid_from_ms: number");
    op->told_to_ms = number(line, "valid_to_ms", false, "valid_to_ms: number or null");
    op->linear.superseded = op->told_to_ms != 0;
}

static void
take_change(struct line *line, struct recorded_op *op)
{
    bool value = op->linear.kind != REQUEST_DELETE;
    op->linear.has_expected_version = has(line, "expected_version");
    op->linear.expected_version =
        number(line, "expected_version", false, "expected_version: number");
    if (value)
        op->value = text(line, "value", true, "value: text");
    if (value && op->outcome == RECORDED_OK) {
        op->linear.version = number(line, "version", true, "version: number");
        op->told_from_ms = number(line, "valid_from_ms", true, "valid_from_ms: number");
    }
}

static void
take_op(struct line *line, struct recorded_op *op)
{
    op->linear.kind = kind_of(line);
    op->linear.number = number(line, "op", true, "op: number");
    op->client = number(line, "client", true, "client: number");
    op->path = text(line, "path", true, "path: text");
    op->outcome = outcome_of(line, op);
    op->linear.called_ns = number(line, "called_ns", true, "called_ns: number");
    bool returned = op->outcome != RECORDED_UNKNOWN;
    op->linear.ended_ns = number(line, "returned_ns", returned, "returned_ns: number");
    if (op->linear.kind == REQUEST_HISTORY)
        take_history(line, op);
    else if (op->linear.kind == REQUEST_READ)
        take_read(line, op);
    else if (is_change(op->linear.kind))
        take_change(line, op);
    if (line->fault)
        return;
    if (op->linear.number == 0)
        line->fault = "op: from 1";
    else if (returned && op->linear.ended_ns < op->linear.called_ns)
        line->fault = "returned_ns is before called_ns";
}

/* ---- the whole ---- */

static struct recorded_op *
append(struct history *h)
{
    if (h->count == h->capacity) {
        h->capacity = h->capacity * 2 + 256;
        h->ops = check_resize(h->ops, h->capacity * sizeof(*h->ops));
    }
    h->ops[h->count] = (struct recorded_op){0};
    return &h->ops[h->count++];
}

static const char *
take_line(struct history *h, const char *json, size_t size, unsigned long line_number)
{
    struct line line = {json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL), NULL};
    if (!json_is_object(line.object)) {
        json_decref(line.object);
        return "not a JSON object";
    }
    struct recorded_op *op = append(h);
    op->line = line_number;
    take_op(&line, op);
    json_decref(line.object);
    if (h->count == 1 || op->linear.called_ns < h->first_ns)
        h->first_ns = op->linear.called_ns;
    return line.fault;
}

static int
by_number(const void *a, const void *b)
{
    const struct recorded_op *x = a, *y = b;
    return (x->linear.number > y->linear.number) - (x->linear.number < y->linear.number);
}

static int
by_path(const void *a, const void *b)
{
    const struct recorded_op *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    if (order != 0)
        return order;
    order =
        (x->linear.called_ns > y->linear.called_ns) - (x->linear.called_ns < y->linear.called_ns);
    return order ? order : by_number(a, b);
}

static bool
sort_history(struct history *h, char why[static WHY_BYTES])
{
    if (h->count == 0) {
        (void)snprintf(why, WHY_BYTES, "there is no operation in it");
        return false;
    }
    qsort(h->ops, h->count, sizeof(*h->ops), by_number);
    for (size_t i = 1; i < h->count; i++) {
        if (h->ops[i].linear.number == h->ops[i - 1].linear.number) {
            (void)snprintf(why, WHY_BYTES, "lines %lu and %lu: the same op", h->ops[i - 1].line,
                           h->ops[i].line);
            return false;
        }
    }
    qsort(h->ops, h->count, sizeof(*h->ops), by_path);
    return true;
}

bool
history_read(FILE *in, struct history *out, char why[static 200])
{
    char *json = NULL;
    size_t capacity = 0;
    const char *fault = NULL;
    unsigned long line_number = 0;
    *out = (struct history){0};
    why[0] = 0;
    for (ssize_t size = 0; !fault && (size = getline(&json, &capacity, in)) >= 0;) {
        line_number++;
        if (size > LINE_BYTES_MAX)
            fault = "the line is too long";
        else if (size > 1)
            fault = take_line(out, json, (size_t)size, line_number);
    }
    free(json);
    if (!fault && ferror(in))
        fault = "it cannot be read";
    if (fault) {
        (void)snprintf(why, WHY_BYTES, "line %lu: %s", line_number, fault);
        return false;
    }
    return sort_history(out, why);
}

void
history_close(struct history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        struct recorded_op *op = &history->ops[i];
        free(op->path);
        free(op->value);
        free(op->code);
        free(op->rows);
        free(op->row_valid_from_ms);
    }
    free(history->ops);
    *history = (struct history){0};
}
