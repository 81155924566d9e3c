#include "env/env_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "proto/request.h"

/* The plan being made, or carried out, at one item of the text. */
struct work {
    struct env_plan *plan;
    struct arena *arena;  /* while it is made */
    struct buf decoded;   /* of the present item */
    struct buf expanded;  /* likewise */
    size_t next_creation; /* while it is carried out */
    const struct bytes *values;
};

/* ---- faults ---- */

static void
add_fault(struct env_plan *plan, size_t line, struct bytes name, enum dotenv_fault code)
{
    size_t at = plan->fault_count;
    if (plan->fault_count == ENV_FAULTS_MAX)
        return;
    for (; at > 0 && plan->faults[at - 1].line > line; at--)
        plan->faults[at] = plan->faults[at - 1];
    plan->faults[at] = (struct env_fault){line, name, code};
    plan->fault_count++;
}

static void
item_fault(struct env_plan *plan, const struct dotenv_item *item, enum dotenv_fault code)
{
    add_fault(plan, item->line, item->name, code);
}

static bool
has_nul(struct bytes text)
{
    return text.size > 0 && memchr(text.data, 0, text.size) != NULL;
}

/* ---- references ---- */

static struct env_reference *
find_reference(const struct env_plan *plan, const struct dotenv_piece *piece)
{
    for (size_t i = 0; i < plan->reference_count; i++) {
        struct env_reference *reference = &plan->references[i];
        if (reference->version == piece->version && bytes_equal(reference->name, piece->text))
            return reference;
    }
    return NULL;
}

static enum vault_err
add_reference(struct work *w, const struct dotenv_item *item, const struct dotenv_piece *piece)
{
    struct env_plan *plan = w->plan;
    if (piece->fault != DOTENV_GOOD) {
        item_fault(plan, item, piece->fault);
        return OK;
    }
    if (plan->use_count == ENV_REFERENCES_MAX) {
        item_fault(plan, item, DOTENV_TOO_MANY);
        plan->use_count++;
    }
    if (plan->use_count > ENV_REFERENCES_MAX)
        return OK;
    plan->use_count++;
    if (find_reference(plan, piece))
        return OK;
    struct env_reference *reference = &plan->references[plan->reference_count++];
    *reference = (struct env_reference){.version = piece->version, .line = item->line};
    return arena_copy(w->arena, piece->text, &reference->name);
}

static enum vault_err
decode(struct work *w, const struct dotenv_item *item)
{
    buf_truncate(&w->decoded, 0);
    return dotenv_decode(item, &w->decoded);
}

static enum vault_err
plan_references(struct work *w, const struct dotenv_item *item)
{
    struct dotenv_piece piece;
    /* No escape makes a letter: what has none in its raw form has none. */
    if (!dotenv_has_reference(item->value))
        return OK;
    enum vault_err err = decode(w, item);
    struct bytes rest = buf_bytes(&w->decoded);
    while (err == OK && dotenv_next_piece(&rest, &piece)) {
        if (piece.is_reference)
            err = add_reference(w, item, &piece);
    }
    return err;
}

/* Where enc() is carried out, one that is not would stay behind with what it was to hide. */
static enum vault_err
plan_misplaced(struct work *w, const struct dotenv_item *item)
{
    struct bytes variable = {0};
    bool misplaced = false;
    if (item->kind != DOTENV_OTHER)
        variable = item->name;
    if (w->plan->input.mode == ENV_EXPAND)
        return OK;
    enum vault_err err = dotenv_misplaces_enc(item, &misplaced);
    if (misplaced)
        add_fault(w->plan, item->line, variable, DOTENV_MISPLACED_ENC);
    return err;
}

/* ---- creations ---- */

static enum vault_err
append_reference(struct bytes name, struct buf *out)
{
    enum vault_err err = buf_append_text(out, "secret(");
    if (err == OK)
        err = buf_append(out, name);
    return err == OK ? buf_append_text(out, ")") : err;
}

/* Whether secret(NAME) means that secret: no ')' in it, and no version at its end. */
static enum vault_err
check_name(struct bytes name, bool *good)
{
    struct buf text = {0};
    struct dotenv_piece piece;
    enum vault_err err = append_reference(name, &text);
    struct bytes rest = buf_bytes(&text);
    *good = err == OK && dotenv_next_piece(&rest, &piece) && rest.size == 0 &&
            piece.fault == DOTENV_GOOD && piece.version == 0 && bytes_equal(piece.text, name);
    buf_close(&text);
    return err;
}

static enum vault_err
join(struct arena *arena, struct bytes a, struct bytes b, struct bytes *out)
{
    uint8_t *memory = arena_alloc(arena, a.size + b.size + 1);
    *out = bytes_of(memory, memory ? a.size + b.size : 0);
    if (!memory)
        return ERR_NOMEM;
    if (a.size > 0)
        memcpy(memory, a.data, a.size);
    if (b.size > 0)
        memcpy(memory + a.size, b.data, b.size);
    return OK;
}

static const struct env_value *
find_value(const struct env_input *input, struct bytes name)
{
    for (size_t i = 0; i < input->value_count; i++) {
        if (bytes_equal(input->values[i].name, name))
            return &input->values[i];
    }
    return NULL;
}

static void
resolve(struct env_plan *plan, struct env_creation *creation, struct bytes value)
{
    creation->value = value;
    creation->resolved = true;
    plan->creation_bytes += value.size;
    if (has_nul(value))
        add_fault(plan, creation->line, creation->variable, DOTENV_NUL);
}

/* Name and, unless the text itself will say it, value. */
static enum vault_err
fill_creation(struct work *w, const struct dotenv_item *item, struct env_creation *creation)
{
    struct env_plan *plan = w->plan;
    const struct env_value *given = NULL;
    struct bytes value = {0};
    enum vault_err err;
    if (item->kind == DOTENV_ENC_LITERAL) {
        err = join(w->arena, plan->input.prefix, item->name, &creation->name);
        if (err == OK)
            err = decode(w, item);
        if (err == OK)
            err = arena_copy(w->arena, buf_bytes(&w->decoded), &value);
        if (err == OK)
            resolve(plan, creation, value);
        return err;
    }
    err = arena_copy(w->arena, item->value, &creation->name);
    given = find_value(&plan->input, creation->name);
    if (given)
        resolve(plan, creation, given->value);
    return err;
}

static enum vault_err
plan_creation(struct work *w, const struct dotenv_item *item)
{
    struct env_plan *plan = w->plan;
    bool good = true;
    if (plan->input.mode == ENV_EXPAND) {
        item_fault(plan, item, DOTENV_UNEXPECTED_ENC);
        return OK;
    }
    if (plan->creation_count == BATCH_ITEMS_MAX) {
        item_fault(plan, item, DOTENV_TOO_MANY);
        return OK;
    }
    struct env_creation *creation = &plan->creations[plan->creation_count++];
    *creation = (struct env_creation){.line = item->line, .variable = item->name};
    enum vault_err err = fill_creation(w, item, creation);
    if (err == OK)
        err = check_name(creation->name, &good);
    if (err == OK && !good)
        item_fault(plan, item, DOTENV_BAD_NAME);
    return err;
}

/* ---- values that the text itself assigns ---- */

static int
compare_names(const void *a, const void *b)
{
    const struct env_creation *const *x = a, *const *y = b;
    int order = bytes_compare((*x)->name, (*y)->name);
    if (order != 0)
        return order;
    return ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static int
compare_with_name(const void *key, const void *element)
{
    const struct bytes *name = key;
    const struct env_creation *const *creation = element;
    return bytes_compare(*name, (*creation)->name);
}

/* The creation whose value is what the text assigns to that variable. */
static struct env_creation *
find_by_name(const struct env_plan *plan, struct bytes variable)
{
    struct env_creation **found = plan->by_name_count == 0
                                      ? NULL
                                      : bsearch(&variable, plan->by_name, plan->by_name_count,
                                                sizeof(*plan->by_name), compare_with_name);
    return found ? *found : NULL;
}

/* Sorts the creations to find repeated names, then keeps those that have no value yet. */
static void
sort_creations(struct env_plan *plan)
{
    const struct env_creation *last = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < plan->creation_count; i++)
        plan->by_name[i] = &plan->creations[i];
    if (plan->creation_count > 0)
        qsort(plan->by_name, plan->creation_count, sizeof(*plan->by_name), compare_names);
    for (size_t i = 0; i < plan->creation_count; i++) {
        struct env_creation *creation = plan->by_name[i];
        if (last && bytes_equal(last->name, creation->name))
            add_fault(plan, creation->line, creation->variable, DOTENV_REPEATED);
        else if (!creation->resolved)
            plan->by_name[kept++] = creation;
        last = creation;
    }
    plan->by_name_count = kept;
}

static enum vault_err
take_assignment(struct work *w, const struct dotenv_item *item)
{
    struct env_plan *plan = w->plan;
    struct env_creation *creation = find_by_name(plan, item->name);
    struct bytes value;
    if (!creation)
        return OK;
    /* Parsers take the last of several; the others would stay behind in the clear. */
    if (creation->resolved) {
        item_fault(plan, item, DOTENV_REPEATED);
        return OK;
    }
    /* What stands for a value is no value. */
    if (dotenv_has_reference(item->value))
        item_fault(plan, item, DOTENV_BAD_REFERENCE);
    enum vault_err err = decode(w, item);
    if (err == OK)
        err = arena_copy(w->arena, buf_bytes(&w->decoded), &value);
    if (err == OK) {
        resolve(plan, creation, value);
        creation->from_text = true;
    }
    return err;
}

static enum vault_err
plan_assignments(struct work *w)
{
    struct env_plan *plan = w->plan;
    struct dotenv_reader reader;
    struct dotenv_item item;
    enum vault_err err = OK;
    dotenv_read(&reader, plan->input.text);
    while (plan->by_name_count > 0 && err == OK && dotenv_next(&reader, &item)) {
        if (item.kind == DOTENV_ASSIGNMENT && item.fault == DOTENV_GOOD)
            err = take_assignment(w, &item);
    }
    for (size_t i = 0; err == OK && i < plan->by_name_count; i++) {
        const struct env_creation *creation = plan->by_name[i];
        if (!creation->resolved)
            add_fault(plan, creation->line, creation->variable, DOTENV_UNRESOLVED);
    }
    return err;
}

/* ---- making ---- */

static enum vault_err
plan_item(struct work *w, const struct dotenv_item *item)
{
    if (has_nul(item->raw)) {
        item_fault(w->plan, item, DOTENV_NUL);
        return OK;
    }
    if (item->fault != DOTENV_GOOD) {
        item_fault(w->plan, item, item->fault);
        return OK;
    }
    enum vault_err err = plan_misplaced(w, item);
    switch (item->kind) {
    case DOTENV_OTHER:
        if (dotenv_is_passed_over(item) && dotenv_has_reference(item->raw))
            add_fault(w->plan, item->line, (struct bytes){0}, DOTENV_MISPLACED_SECRET);
        break;
    case DOTENV_ASSIGNMENT: return err == OK ? plan_references(w, item) : err;
    case DOTENV_ENC_LITERAL:
    case DOTENV_ENC_NAME: return err == OK ? plan_creation(w, item) : err;
    }
    return err;
}

static enum vault_err
plan_items(struct work *w)
{
    struct dotenv_reader reader;
    struct dotenv_item item;
    enum vault_err err = OK;
    dotenv_read(&reader, w->plan->input.text);
    while (err == OK && dotenv_next(&reader, &item))
        err = plan_item(w, &item);
    return err;
}

/* References to what the text creates need no reading: its first version is what they mean. */
static void
find_created(struct env_plan *plan)
{
    for (size_t i = 0; i < plan->reference_count; i++) {
        struct env_reference *reference = &plan->references[i];
        for (size_t k = 0; k < plan->creation_count && reference->version <= 1; k++) {
            if (bytes_equal(reference->name, plan->creations[k].name))
                reference->created = k + 1;
        }
    }
}

static enum vault_err
allocate(struct env_plan *plan, struct arena *arena)
{
    plan->references = arena_alloc(arena, ENV_REFERENCES_MAX * sizeof(*plan->references));
    plan->creations = arena_alloc(arena, BATCH_ITEMS_MAX * sizeof(*plan->creations));
    plan->by_name = arena_alloc(arena, BATCH_ITEMS_MAX * sizeof(*plan->by_name));
    plan->faults = arena_alloc(arena, ENV_FAULTS_MAX * sizeof(*plan->faults));
    return plan->references && plan->creations && plan->by_name && plan->faults ? OK : ERR_NOMEM;
}

enum vault_err
env_plan_make(const struct env_input *input, struct arena *arena, struct env_plan *plan)
{
    struct work w = {.plan = plan, .arena = arena};
    *plan = (struct env_plan){.input = *input};
    if (input->text.size > ENV_TEXT_BYTES_MAX)
        return ERR_TOO_LARGE;
    enum vault_err err = allocate(plan, arena);
    if (err == OK)
        err = plan_items(&w);
    if (err == OK) {
        sort_creations(plan);
        err = plan_assignments(&w);
    }
    if (err == OK && plan->creation_bytes > BATCH_VALUES_BYTES_MAX)
        err = ERR_TOO_LARGE;
    if (err == OK)
        find_created(plan);
    buf_close(&w.decoded);
    return err;
}

/* ---- the result ---- */

static enum vault_err
append(struct buf *out, struct bytes text)
{
    if (text.size > ENV_RESULT_BYTES_MAX || out->size > ENV_RESULT_BYTES_MAX - text.size)
        return ERR_TOO_LARGE;
    return buf_append(out, text);
}

static struct bytes
value_of(const struct work *w, const struct env_reference *reference)
{
    const struct env_plan *plan = w->plan;
    if (reference->created > 0)
        return plan->creations[reference->created - 1].value;
    return w->values[reference - plan->references];
}

/* The item's value with values in place of its references. */
static enum vault_err
expand(struct work *w, const struct dotenv_item *item)
{
    struct dotenv_piece piece;
    enum vault_err err = decode(w, item);
    struct bytes rest = buf_bytes(&w->decoded);
    buf_truncate(&w->expanded, 0);
    while (err == OK && dotenv_next_piece(&rest, &piece)) {
        const struct env_reference *reference =
            piece.is_reference ? find_reference(w->plan, &piece) : NULL;
        if (piece.is_reference && !reference)
            return ERR_INTERNAL;
        err = append(&w->expanded, reference ? value_of(w, reference) : piece.text);
    }
    return err;
}

static enum vault_err
render_expanded(struct work *w, const struct dotenv_item *item, struct buf *out)
{
    enum vault_err err = expand(w, item);
    struct bytes value = buf_bytes(&w->expanded);
    if (err == OK && has_nul(value))
        item_fault(w->plan, item, DOTENV_NUL);
    else if (err == OK && w->plan->input.utf8 && !utf8_valid(value))
        item_fault(w->plan, item, DOTENV_NOT_TEXT);
    else if (err == OK) {
        err = append(out, item->before);
        /* A value may take twice its size: what it is measured by is the result. */
        if (err == OK)
            err = dotenv_quote(value, out);
        if (err == OK)
            err = append(out, item->after);
    }
    return err;
}

static enum vault_err
render_created(const struct dotenv_item *item, struct bytes name, struct buf *out)
{
    enum vault_err err = append(out, item->before);
    if (err == OK)
        err = append_reference(name, out);
    return err == OK ? append(out, item->after) : err;
}

static enum vault_err
render_item(struct work *w, const struct dotenv_item *item, struct buf *out)
{
    const struct env_plan *plan = w->plan;
    const struct env_creation *creation;
    switch (item->kind) {
    case DOTENV_OTHER: break;
    case DOTENV_ASSIGNMENT:
        creation = find_by_name(plan, item->name);
        if (creation)
            return render_created(item, creation->name, out);
        if (plan->input.mode != ENV_ENCRYPT && dotenv_has_reference(item->value))
            return render_expanded(w, item, out);
        break;
    case DOTENV_ENC_LITERAL:
    case DOTENV_ENC_NAME:
        return render_created(item, plan->creations[w->next_creation++].name, out);
    }
    return append(out, item->raw);
}

enum vault_err
env_plan_render(struct env_plan *plan, const struct bytes *values, struct buf *out)
{
    struct work w = {.plan = plan, .values = values};
    struct dotenv_reader reader;
    struct dotenv_item item;
    enum vault_err err = OK;
    if (plan->fault_count > 0)
        return ERR_BAD_ENV;
    dotenv_read(&reader, plan->input.text);
    while (err == OK && dotenv_next(&reader, &item))
        err = render_item(&w, &item, out);
    if (err == OK && plan->fault_count > 0)
        err = ERR_BAD_ENV;
    buf_close(&w.decoded);
    buf_close(&w.expanded);
    return err;
}
