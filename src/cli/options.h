/*
 * Options of a command: --name, --name VALUE and --name=VALUE anywhere among the arguments, "--"
 * ends them.
 */
#ifndef OSTRAKA_CLI_OPTIONS_H
#define OSTRAKA_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_LIST_MAX = 16 };

/* Values of an option that may come several times, borrowed from argv. */
struct text_list {
    const char *values[TEXT_LIST_MAX];
    size_t count;
};

/* Exactly one target is set; it stays untouched unless the option is given. */
struct option_spec {
    const char *name;       /* with its dashes */
    bool *flag;             /* takes no value */
    const char **text;      /* borrowed from argv */
    uint64_t *number;       /* decimal, 1..2^63-1 */
    struct text_list *list; /* may come several times */
};

enum { ARGUMENTS_MAX = 16 };

struct arguments {
    const char *values[ARGUMENTS_MAX]; /* what is not an option, borrowed from argv */
    size_t count;
};

/*
 * `command` is the path of the command, for messages. Returns EXIT_OK, or EXIT_USAGE having said
 * why: an unknown or repeated option, a missing or wrong value, or other than `least` to `most` (<=
 * ARGUMENTS_MAX) arguments, which `names` describes ("NAME VALUE").
 */
int options_parse(const char *command, int argc, char **argv, const struct option_spec *specs,
                  size_t spec_count, const char *names, size_t least, size_t most,
                  struct arguments *arguments);

#endif
