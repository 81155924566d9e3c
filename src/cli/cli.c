#include "cli/cli.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

enum { SUGGEST_LENGTH_MAX = 32 };

/* What people type who know other tools; the right side is the path of a command here. */
static const struct {
    const char *word, *path;
} other_words[] = {
    {"put", "secret update"},    {"set", "secret update"}, {"write", "secret update"},
    {"read", "secret get"},      {"show", "secret get"},   {"cat", "secret get"},
    {"rm", "secret delete"},     {"del", "secret delete"}, {"remove", "secret delete"},
    {"log", "secret history"},   {"add", "secret create"}, {"new", "secret create"},
    {"init", "cluster create"},  {"start", "server"},      {"health", "status"},
    {"get-value", "secret get"}, {"ls", "secret list"},    {"mv", "secret move"},
    {"rename", "secret move"},   {"cp", "secret copy"},    {"view", "secret get"},
    {"lookup", "token show"},    {"write", "policy put"},  {"read", "policy get"},
};

int
cli_usage_error(const char *command, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    output_error_list(format, arguments);
    va_end(arguments);
    if (command)
        fprintf(stderr, "See `ostraka %s --help`.\n", command);
    else
        fputs("See `ostraka --help`.\n", stderr);
    return EXIT_USAGE;
}

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

/* Edit distance in which two neighbours exchanged count as one edit (optimal string alignment). */
static unsigned
edit_distance(const char *a, const char *b)
{
    unsigned d[SUGGEST_LENGTH_MAX + 1][SUGGEST_LENGTH_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);

    if (a_size > SUGGEST_LENGTH_MAX || b_size > SUGGEST_LENGTH_MAX)
        return SUGGEST_LENGTH_MAX;
    for (unsigned i = 0; i <= a_size; i++)
        d[i][0] = i;
    for (unsigned j = 0; j <= b_size; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        for (size_t j = 1; j <= b_size; j++) {
            unsigned replace = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, replace);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[a_size][b_size];
}

const char *
cli_nearest(const char *word, const char *const candidates[], size_t count)
{
    const char *best = NULL;
    unsigned allowed = strlen(word) >= 6 ? 3 : strlen(word) >= 4 ? 2 : 1;
    unsigned best_distance = allowed + 1;

    for (size_t i = 0; i < count; i++) {
        unsigned distance = edit_distance(word, candidates[i]);
        if (distance < best_distance && distance < strlen(word)) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

/* Length of the first word of a path. */
static size_t
first_word(const char *path)
{
    return strcspn(path, " ");
}

static bool
is_group(const char *word)
{
    const struct command *command;

    for (size_t i = 0; (command = cli_command(i)); i++) {
        const char *path = command->path;
        if (path[first_word(path)] && first_word(path) == strlen(word) &&
            memcmp(path, word, strlen(word)) == 0)
            return true;
    }
    return false;
}

/* The command whose path the words begin with; *used tells how many words it took. */
static const struct command *
find_command(int count, char *const words[], int *used)
{
    const struct command *command;

    for (size_t i = 0; (command = cli_command(i)); i++) {
        const char *path = command->path;
        size_t first = first_word(path);

        *used = path[first] ? 2 : 1;
        if (count < *used || strlen(words[0]) != first || memcmp(path, words[0], first) != 0)
            continue;
        if (*used == 1 || strcmp(path + first + 1, words[1]) == 0)
            return command;
    }
    *used = 0;
    return NULL;
}

static void
print_overview(FILE *out)
{
    const struct command *command;

    fputs("Ostraka keeps secrets on several nodes; no single one of them can read them.\n"
          "\nUsage: ostraka COMMAND [arguments] [options]\n\nCommands:\n",
          out);
    for (size_t i = 0; (command = cli_command(i)); i++)
        fprintf(out, "  %-18s  %s\n", command->path, command->summary);
    fprintf(out, "\n`ostraka COMMAND --help` explains a command.\n\n%s", cli_general_help);
}

static void
print_group(FILE *out, const char *group)
{
    const struct command *command;
    size_t size = strlen(group);

    fprintf(out, "Usage: ostraka %s COMMAND [arguments] [options]\n\nCommands:\n", group);
    for (size_t i = 0; (command = cli_command(i)); i++) {
        const char *path = command->path;
        if (first_word(path) == size && memcmp(path, group, size) == 0 && path[size])
            fprintf(out, "  %-18s  %s\n", path, command->summary);
    }
    fprintf(out, "\n`ostraka %s COMMAND --help` explains a command.\n", group);
}

/* What other tools call so, or the command whose second word this is; or NULL. */
static const char *
suggest_by_word(const char *word)
{
    const struct command *command;

    for (size_t i = 0; i < sizeof other_words / sizeof other_words[0]; i++) {
        if (strcmp(other_words[i].word, word) == 0)
            return other_words[i].path;
    }
    for (size_t i = 0; (command = cli_command(i)); i++) {
        const char *path = command->path;
        size_t first = first_word(path);
        if (path[first] && strcmp(path + first + 1, word) == 0)
            return path;
    }
    return NULL;
}

/* The command whose whole path is near: "secert get". */
static const char *
suggest_by_path(int count, char *const words[])
{
    const struct command *command;
    const char *paths[128];
    size_t candidates = 0;
    char typed[SUGGEST_LENGTH_MAX + 1] = "";

    while (candidates < sizeof paths / sizeof paths[0] && (command = cli_command(candidates)))
        paths[candidates++] = command->path;
    for (int i = 0; i < count; i++) {
        size_t used = strlen(typed);
        snprintf(typed + used, sizeof typed - used, "%s%s", i ? " " : "", words[i]);
    }
    return cli_nearest(typed, paths, candidates);
}

/* What other tools call so, of the commands of that group: "secret rm", "token lookup"; or NULL. */
static const char *
suggest_in_group(const char *group, const char *word)
{
    for (size_t i = 0; i < sizeof other_words / sizeof other_words[0]; i++) {
        const char *path = other_words[i].path;
        char verb[SUGGEST_LENGTH_MAX + 1], *const pair[] = {(char *)group, verb};
        const struct command *command;
        int used;

        if (strcmp(other_words[i].word, word) != 0 || !path[first_word(path)])
            continue;
        snprintf(verb, sizeof verb, "%s", path + first_word(path) + 1);
        command = find_command(2, pair, &used);
        if (command)
            return command->path;
    }
    return NULL;
}

/* A path that the words probably mean, or NULL. */
static const char *
suggest(int count, char *const words[])
{
    const char *near = NULL;

    if (count > 1) {
        near = suggest_in_group(words[0], words[1]);
        if (near)
            return near;
        near = suggest_by_path(2, words);
        if (!near && is_group(words[0]))
            near = suggest_by_word(words[1]);
        if (near)
            return near;
    }
    near = suggest_by_word(words[0]);
    return near ? near : suggest_by_path(1, words);
}

static int
unknown_command(int count, char *const words[])
{
    int said = is_group(words[0]) && count > 1 ? 2 : 1;
    const char *near = suggest(count, words);

    output_error("there is no command `ostraka %s%s%s`", words[0], said > 1 ? " " : "",
                 said > 1 ? words[1] : "");
    if (near)
        fprintf(stderr, "Did you mean `ostraka %s`?\n", near);
    fputs("See `ostraka --help` for all commands.\n", stderr);
    return EXIT_USAGE;
}

static int
print_help(int count, char *const words[])
{
    int used;
    const struct command *command;

    if (count == 0) {
        print_overview(stdout);
        return EXIT_OK;
    }
    command = find_command(count, words, &used);
    if (command && used == count) {
        fputs(command->help, stdout);
        return EXIT_OK;
    }
    if (count == 1 && is_group(words[0])) {
        print_group(stdout, words[0]);
        return EXIT_OK;
    }
    return unknown_command(count, words);
}

static bool
asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* True when --help stands among the arguments, before a "--" that ends the options. */
static bool
help_among(int argc, char *const argv[])
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (asks_for_help(argv[i]))
            return true;
    }
    return false;
}

static int
run_command(const struct command *command, int argc, char **argv, enum command_effect *effect)
{
    if (help_among(argc, argv)) {
        fputs(command->help, stdout);
        return EXIT_OK;
    }
    *effect = command->effect;
    if (command->run)
        return command->run(argc, argv);
    if (strcmp(command->path, "help") == 0)
        return print_help(argc - 1, argv + 1);
    if (argc > 1)
        return cli_usage_error(command->path, "`ostraka version` takes no arguments");
    puts("ostraka " OSTRAKA_VERSION);
    return EXIT_OK;
}

/* What is printed may still wait in a buffer; and what could not be printed may have been done. */
static int
finish(enum command_effect effect, int status)
{
    int written = output_end();

    if (status == EXIT_OK)
        status = written;
    if (status != EXIT_UNWRITTEN)
        return status;
    if (effect == READS)
        return EXIT_FAILED;
    output_hint("the change was made, and what there is to say of it is lost; a token or a secret "
                "id that was to be shown once is to be revoked and made anew");
    return EXIT_UNKNOWN;
}

static int
find_and_run(int argc, char **argv, enum command_effect *effect)
{
    int used;
    const struct command *command;

    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (asks_for_help(argv[1]))
        return print_help(0, NULL);
    if (strcmp(argv[1], "--version") == 0) {
        puts("ostraka " OSTRAKA_VERSION);
        return EXIT_OK;
    }
    if (argv[1][0] == '-')
        return cli_usage_error(NULL, "options come after the command, not before it");
    command = find_command(argc - 1, argv + 1, &used);
    if (command)
        return run_command(command, argc - used, argv + used, effect);
    if (is_group(argv[1]) && argc == 2) {
        print_group(stderr, argv[1]);
        return EXIT_USAGE;
    }
    if (is_group(argv[1]) && asks_for_help(argv[2])) {
        print_group(stdout, argv[1]);
        return EXIT_OK;
    }
    return unknown_command(argc - 1, argv + 1);
}

int
cli_run(int argc, char **argv)
{
    enum command_effect effect = READS;
    int status = find_and_run(argc, argv, &effect);

    return finish(effect, status);
}
