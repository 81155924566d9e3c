/* The rules of policy files as tables: in their order, and as the matrix of what they come to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/pattern.h"
#include "auth/policy_json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/policy_files.h"
#include "cli/secret_common.h"

enum {
    CELL_BYTES = NAME_BYTES_MAX + 1,
    CONDITIONS_BYTES = 600,
    ALL = ARGUMENTS_MAX * POLICY_RULES_MAX
};

static bool
denies(const struct policy_rule *rule)
{
    return rule->capabilities == 1u << CAPABILITY_DENY;
}

static bool
all_day(const struct policy_rule *rule)
{
    return rule->not_before == 0 && rule->not_after == MINUTES_PER_DAY;
}

static bool
conditional(const struct policy_rule *rule)
{
    return rule->require_expected_version || rule->cidr_count > 0 || !all_day(rule);
}

static enum vault_err
add_path(struct table *table, const struct policy_rule *rule)
{
    char text[CELL_BYTES];

    (void)snprintf(text, sizeof text, "%.*s", (int)rule->path.size, (const char *)rule->path.data);
    return table_add(table, COLOUR_NONE, text);
}

static enum vault_err
add_conditions(struct table *table, const struct policy_rule *rule)
{
    char text[CONDITIONS_BYTES] = "", from[HOUR_TEXT_BYTES], to[HOUR_TEXT_BYTES];
    size_t used = 0;

    if (rule->require_expected_version)
        used += (size_t)snprintf(text, sizeof text, "expected version");
    if (!all_day(rule)) {
        hour_format(rule->not_before, from);
        hour_format(rule->not_after, to);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s-%s", used > 0 ? ", " : "",
                                 from, to);
    }
    for (unsigned i = 0; i < rule->cidr_count; i++) {
        char range[CIDR_TEXT_BYTES_MAX + 1];

        cidr_format(&rule->cidrs[i], range);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                 used > 0 ? (i > 0 ? " " : ", ") : "", range);
    }
    return table_add(table, COLOUR_NONE, used > 0 ? text : "-");
}

static enum vault_err
add_capabilities(struct table *table, const struct policy_rule *rule)
{
    char text[80] = "";
    size_t used = 0;

    for (unsigned i = 0; i < CAPABILITIES; i++)
        if ((rule->capabilities >> i & 1u) != 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? " " : "",
                                     capability_name((enum capability)i));
    return table_add(table, denies(rule) ? COLOUR_RED : COLOUR_NONE, text);
}

static int
print_and_close(struct table *table, enum vault_err err)
{
    if (err == OK)
        table_print(table);
    table_close(table);
    return err == OK ? EXIT_OK : secret_out_of_memory();
}

int
policy_print_rules(const struct policy_files *files)
{
    struct table table = {.headings = {"FILE", "RULE", "PATH", "CAPABILITIES", "CONDITIONS"},
                          .columns = 5};
    enum vault_err err = OK;
    char number[24];

    for (size_t i = 0; i < files->count; i++) {
        for (size_t j = 0; j < files->list[i].policy->rule_count && err == OK; j++) {
            const struct policy_rule *rule = &files->list[i].policy->rules[j];

            (void)snprintf(number, sizeof number, "%zu", j + 1);
            err = table_add(&table, COLOUR_NONE, files->list[i].path);
            if (err == OK)
                err = table_add(&table, COLOUR_NONE, number);
            if (err == OK)
                err = add_path(&table, rule);
            if (err == OK)
                err = add_capabilities(&table, rule);
            if (err == OK)
                err = add_conditions(&table, rule);
        }
    }
    return print_and_close(&table, err);
}

/* ---- matrix ---- */

static bool
ends_with_rest(struct bytes pattern)
{
    return pattern.size >= 2 && memcmp(pattern.data + pattern.size - 2, "**", 2) == 0;
}

/* Whether every name that `inner` matches is matched by `outer`, too. */
static bool
covers(struct bytes outer, struct bytes inner)
{
    if (ends_with_rest(inner) && !ends_with_rest(outer))
        return false;
    return pattern_matches(outer, inner);
}

struct matrix {
    const struct policy_rule *rules[ALL];
    size_t count;
};

static int
by_pattern(const void *a, const void *b)
{
    const struct policy_rule *const *one = a, *const *other = b;

    return -pattern_compare((*one)->path, (*other)->path);
}

/* What the rules of one pattern, matrix->rules[first] and those after it, come to. */
static enum vault_err
add_cell(struct table *table, const struct matrix *matrix, size_t first, enum capability capability)
{
    struct bytes path = matrix->rules[first]->path;
    bool granted = false, sometimes = false, denied = false, maybe_denied = false;

    for (size_t i = 0; i < matrix->count; i++) {
        const struct policy_rule *rule = matrix->rules[i];

        if (denies(rule) && covers(rule->path, path)) {
            denied |= !conditional(rule);
            maybe_denied |= conditional(rule);
        } else if (bytes_equal(rule->path, path) && (rule->capabilities >> capability & 1u) != 0) {
            granted |= !conditional(rule);
            sometimes |= conditional(rule);
        }
    }
    if (denied)
        return table_add(table, COLOUR_RED, "deny");
    if (!granted && !sometimes)
        return table_add(table, COLOUR_NONE, "-");
    if (granted && !maybe_denied)
        return table_add(table, COLOUR_GREEN, "yes");
    return table_add(table, COLOUR_YELLOW, "if");
}

static enum vault_err
add_row(struct table *table, const struct matrix *matrix, size_t first)
{
    enum vault_err err = add_path(table, matrix->rules[first]);

    for (unsigned i = 0; i < CAPABILITY_DENY && err == OK; i++)
        err = add_cell(table, matrix, first, (enum capability)i);
    return err;
}

int
policy_print_matrix(const struct policy_files *files)
{
    struct table table = {
        .headings = {"PATH", "CREATE", "READ", "UPDATE", "DELETE", "LIST", "HISTORY"},
        .columns = 7};
    struct matrix *matrix = calloc(1, sizeof(*matrix));
    enum vault_err err = matrix ? OK : ERR_NOMEM;

    for (size_t i = 0; i < files->count && err == OK; i++)
        for (size_t j = 0; j < files->list[i].policy->rule_count; j++)
            matrix->rules[matrix->count++] = &files->list[i].policy->rules[j];
    if (err == OK)
        qsort(matrix->rules, matrix->count, sizeof matrix->rules[0], by_pattern);
    for (size_t i = 0; err == OK && i < matrix->count; i++) {
        if (i > 0 && bytes_equal(matrix->rules[i - 1]->path, matrix->rules[i]->path))
            continue;
        err = add_row(&table, matrix, i);
    }
    free(matrix);
    return print_and_close(&table, err);
}
