/*
 * .env text from anybody: it is read item by item without losing a byte, planned, and rendered. What
 * is rendered is .env text again, with the same variables and, where it was expanded, with exactly
 * the values that were put into it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "env/env_plan.h"
#include "fuzz.h"

enum { VALUE_SIZE_MAX = 12 };

static void
check_items(struct bytes text)
{
    struct dotenv_reader reader;
    struct dotenv_item item;
    size_t at = 0, line = 1;

    dotenv_read(&reader, text);
    while (dotenv_next(&reader, &item)) {
        assert(item.raw.data == text.data + at && item.raw.size > 0);
        assert(item.line == line);
        for (size_t i = 0; i < item.raw.size; i++)
            line += item.raw.data[i] == '\n';
        at += item.raw.size;
        if (item.kind == DOTENV_ASSIGNMENT && item.fault == DOTENV_GOOD)
            assert(item.before.size + item.value.size + (item.quote ? 2 : 0) + item.after.size ==
                   item.raw.size);
    }
    assert(at == text.size);
}

static void
check_faults(const struct env_plan *plan)
{
    assert(plan->fault_count <= ENV_FAULTS_MAX);
    for (size_t i = 0; i < plan->fault_count; i++) {
        assert(plan->faults[i].code != DOTENV_GOOD);
        assert(plan->faults[i].line >= 1);
        assert(i == 0 || plan->faults[i - 1].line <= plan->faults[i].line);
    }
}

/* The value of a variable that was expanded, from the plan's own parts. */
static void
expected_value(const struct env_plan *plan, const struct dotenv_item *item,
               const struct bytes *values, struct buf *out)
{
    struct dotenv_piece piece;
    struct buf decoded = {0};
    struct bytes rest;

    if (dotenv_decode(item, &decoded) != OK)
        abort();
    rest = buf_bytes(&decoded);
    while (dotenv_next_piece(&rest, &piece)) {
        struct bytes put = piece.text;
        for (size_t i = 0; piece.is_reference && i < plan->reference_count; i++) {
            const struct env_reference *reference = &plan->references[i];
            if (reference->version == piece.version && bytes_equal(reference->name, piece.text))
                put =
                    reference->created ? plan->creations[reference->created - 1].value : values[i];
        }
        if (buf_append(out, put) != OK)
            abort();
    }
    buf_close(&decoded);
}

static void
check_value(const struct env_plan *plan, const struct dotenv_item *before,
            const struct dotenv_item *after, const struct bytes *values)
{
    struct buf found = {0}, expected = {0};

    assert(after->kind == DOTENV_ASSIGNMENT && after->fault == DOTENV_GOOD);
    assert(bytes_equal(before->name, after->name));
    if (before->kind == DOTENV_ASSIGNMENT && plan->input.mode != ENV_ENCRYPT &&
        dotenv_has_reference(before->value)) {
        if (dotenv_decode(after, &found) != OK)
            abort();
        expected_value(plan, before, values, &expected);
        assert(bytes_equal(buf_bytes(&found), buf_bytes(&expected)));
    }
    buf_close(&found);
    buf_close(&expected);
}

static void
check_result(const struct env_plan *plan, struct bytes result, const struct bytes *values)
{
    struct dotenv_reader old_reader, new_reader;
    struct dotenv_item before, after;

    dotenv_read(&old_reader, plan->input.text);
    dotenv_read(&new_reader, result);
    while (dotenv_next(&old_reader, &before)) {
        bool more = dotenv_next(&new_reader, &after);
        assert(more);
        if (before.kind == DOTENV_OTHER)
            assert(bytes_equal(before.raw, after.raw));
        else
            check_value(plan, &before, &after, values);
    }
    assert(!dotenv_next(&new_reader, &after));
}

/* Values are cut out of the text, so that they have what parsers mind. */
static void
run(struct bytes text, enum env_mode mode, size_t seed)
{
    struct env_value given = {bytes_of_text("n"), bytes_of_text("it's \"x\"")};
    struct env_input input = {
        .text = text, .mode = mode, .prefix = bytes_of_text("p/"), .values = &given, 1};
    struct bytes values[ENV_REFERENCES_MAX] = {{0}};
    struct arena arena;
    struct env_plan plan;
    struct buf out = {0};

    arena_init(&arena, 16 * 1024 * 1024);
    if (env_plan_make(&input, &arena, &plan) != OK)
        abort();
    check_faults(&plan);
    for (size_t i = 0; i < plan.reference_count; i++) {
        size_t at = (seed + i * 7) % text.size;
        size_t left = text.size - at;
        size_t wanted = (seed + i) % VALUE_SIZE_MAX;
        values[i] = bytes_of(text.data + at, left < wanted ? left : wanted);
    }
    if (plan.fault_count == 0 && env_plan_render(&plan, values, &out) == OK)
        check_result(&plan, buf_bytes(&out), values);
    buf_close(&out);
    arena_close(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > ENV_TEXT_BYTES_MAX)
        return 0;
    struct bytes text = bytes_of(data + 2, size - 2);
    check_items(text);
    run(text, (enum env_mode)(data[0] % 3), data[1]);
    return 0;
}
