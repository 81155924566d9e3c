#include "cli/options.h"

#include <assert.h>
#include <string.h>

#include "cli/cli.h"

enum { SPECS_MAX = 32 };

struct parse {
    const char *command;
    const struct option_spec *specs;
    size_t spec_count;
    uint32_t seen; /* one bit per spec */
};
static_assert(SPECS_MAX <= 32, "one bit per option");

static bool
parse_number(const char *text, uint64_t *out)
{
    uint64_t number = 0;

    *out = 0;
    if (!*text || strlen(text) > 18)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *out = number;
    return number > 0;
}

static int
unknown_option(const struct parse *parse, const char *word, size_t size)
{
    const char *names[SPECS_MAX];
    char name[40] = "";
    const char *near;

    for (size_t i = 0; i < parse->spec_count; i++)
        names[i] = parse->specs[i].name;
    /* What is too long for an option may be a value; it is not repeated. */
    if (size >= sizeof name)
        return cli_usage_error(parse->command, "there is no such option");
    memcpy(name, word, size);
    near = cli_nearest(name, names, parse->spec_count);
    if (near)
        return cli_usage_error(parse->command, "there is no option %s; did you mean %s?", name,
                               near);
    return cli_usage_error(parse->command,
                           "there is no option %s; put \"--\" before an argument that begins "
                           "with a dash",
                           name);
}

static const struct option_spec *
find_option(struct parse *parse, const char *word, size_t size, bool *repeated)
{
    for (size_t i = 0; i < parse->spec_count; i++) {
        const char *name = parse->specs[i].name;
        if (strlen(name) == size && memcmp(name, word, size) == 0) {
            *repeated = parse->seen >> i & 1;
            parse->seen |= (uint32_t)1 << i;
            return &parse->specs[i];
        }
    }
    return NULL;
}

/* One option at argv[*at]; moves *at to its last word. */
static int
parse_option(struct parse *parse, int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    size_t size = strcspn(word, "=");
    const char *value = word[size] ? word + size + 1 : NULL;
    bool repeated = false;
    const struct option_spec *spec = find_option(parse, word, size, &repeated);

    if (!spec)
        return unknown_option(parse, word, size);
    if (repeated && !spec->list)
        return cli_usage_error(parse->command, "%s is given twice", spec->name);
    if (spec->flag) {
        if (value)
            return cli_usage_error(parse->command, "%s takes no value", spec->name);
        *spec->flag = true;
        return EXIT_OK;
    }
    if (!value && *at + 1 < argc)
        value = argv[++*at];
    if (!value)
        return cli_usage_error(parse->command, "%s needs a value", spec->name);
    if (spec->list && spec->list->count == TEXT_LIST_MAX)
        return cli_usage_error(parse->command, "%s is given too often", spec->name);
    if (spec->list)
        spec->list->values[spec->list->count++] = value;
    else if (spec->text)
        *spec->text = value;
    else if (!parse_number(value, spec->number))
        return cli_usage_error(parse->command, "%s needs a whole number from 1", spec->name);
    return EXIT_OK;
}

int
options_parse(const char *command, int argc, char **argv, const struct option_spec *specs,
              size_t spec_count, const char *names, size_t least, size_t most,
              struct arguments *arguments)
{
    struct parse parse = {.command = command, .specs = specs, .spec_count = spec_count};
    bool options_end = false;

    assert(most <= ARGUMENTS_MAX);
    assert(spec_count <= SPECS_MAX);
    *arguments = (struct arguments){0};
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        int status = EXIT_OK;

        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
        } else if (!options_end && word[0] == '-' && word[1]) {
            status = parse_option(&parse, argc, argv, &i);
        } else if (arguments->count < most) {
            arguments->values[arguments->count++] = word;
        } else {
            /* Not repeated here: it may be a value whose quotes were forgotten. */
            return cli_usage_error(command, "too many arguments; expected %s",
                                   *names ? names : "none");
        }
        if (status)
            return status;
    }
    if (arguments->count < least)
        return cli_usage_error(command, "too few arguments; expected %s", names);
    return EXIT_OK;
}
