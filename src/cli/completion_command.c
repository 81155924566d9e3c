/*
 * ostraka completion bash|zsh: what a shell needs to complete commands, options and names of secrets,
 * made of the table of commands, so that it knows what the program knows.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"

enum { OPTION_BYTES_MAX = 40, OPTIONS_MAX = 32 };

/* The options that a help text explains: each begins a line of its own, after two spaces. */
static size_t
find_options(const char *help, char out[OPTIONS_MAX][OPTION_BYTES_MAX])
{
    size_t count = 0;

    for (const char *line = help; line && count < OPTIONS_MAX; line = strchr(line, '\n')) {
        size_t size;

        line += *line == '\n';
        if (strncmp(line, "  --", 4) != 0)
            continue;
        size = strspn(line + 2, "-abcdefghijklmnopqrstuvwxyz0123456789");
        if (size < OPTION_BYTES_MAX)
            snprintf(out[count++], OPTION_BYTES_MAX, "%.*s", (int)size, line + 2);
    }
    return count;
}

static void
print_options(const char *help)
{
    char options[OPTIONS_MAX][OPTION_BYTES_MAX];
    size_t count = find_options(help, options);

    for (size_t i = 0; i < count; i++)
        printf("%s ", options[i]);
    fputs("--help", stdout);
}

static size_t
first_word(const char *path)
{
    return strcspn(path, " ");
}

/* Whether an earlier command begins with the same word. */
static bool
word_was_before(size_t number)
{
    const char *path = cli_command(number)->path;
    size_t size = first_word(path);

    for (size_t i = 0; i < number; i++) {
        const char *other = cli_command(i)->path;

        if (first_word(other) == size && memcmp(other, path, size) == 0)
            return true;
    }
    return false;
}

/* Second words of the commands that begin with the first word of that one. */
static void
print_second_words(size_t number)
{
    const struct command *command;
    const char *path = cli_command(number)->path;
    size_t size = first_word(path);
    const char *separator = "";

    for (size_t i = number; (command = cli_command(i)); i++) {
        const char *other = command->path;

        if (first_word(other) != size || memcmp(other, path, size) != 0 || !other[size])
            continue;
        printf("%s%s", separator, other + size + 1);
        separator = " ";
    }
}

/* Its first argument is the name of a secret that is there, as its group and its usage say. */
static bool
takes_name(const struct command *command)
{
    const char *usage = strstr(command->help, command->path);
    bool of_secrets = strncmp(command->path, "secret ", 7) == 0 ||
                      strncmp(command->path, "versions ", 9) == 0 ||
                      strncmp(command->path, "metadata ", 9) == 0;

    if (!usage || !of_secrets || strcmp(command->path, "secret create") == 0)
        return false;
    usage += strlen(command->path);
    return strncmp(usage, " NAME", 5) == 0 || strncmp(usage, " FROM TO", 8) == 0;
}

/*
 * Names that a shell would not take as they stand are not offered: others choose them. They are not
 * given to `compgen -W`, which would expand them.
 */
static void
print_names(void)
{
    const struct command *command;

    fputs("        case \"$COMP_CWORD ${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n", stdout);
    for (size_t i = 0; (command = cli_command(i)); i++) {
        if (takes_name(command))
            printf("        \"3 %s\") names=1 ;;\n", command->path);
    }
    fputs("        esac\n"
          "        case $current in\n"
          "        -*) ;;\n"
          "        *) if [ -n \"$names\" ]; then\n"
          "               while IFS= read -r name; do\n"
          "                   case $name in\n"
          "                   *[!A-Za-z0-9._/@+-]*) ;;\n"
          "                   *) COMPREPLY+=(\"$name\") ;;\n"
          "                   esac\n"
          "               done < <(\"${COMP_WORDS[0]}\" secret list \"$current\" 2>/dev/null)\n"
          "               return\n"
          "           fi ;;\n"
          "        esac\n",
          stdout);
}

/* Both shells run this: zsh by its own support for completions of bash. */
static void
print_function(void)
{
    const struct command *command;

    fputs("_ostraka() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} words= names= name i\n"
          "    COMPREPLY=() # none: files\n"
          "    # What comes after \"--\" is another program's command line.\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        [ \"${COMP_WORDS[i]}\" = -- ] && return\n"
          "    done\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        words=\"",
          stdout);
    for (size_t i = 0; (command = cli_command(i)); i++) {
        if (!word_was_before(i))
            printf("%.*s ", (int)first_word(command->path), command->path);
    }
    fputs("--help --version\"\n"
          "    else\n"
          "        case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n",
          stdout);
    for (size_t i = 0; (command = cli_command(i)); i++) {
        printf("        \"%s\"%s) words=\"", command->path,
               strchr(command->path, ' ') ? "" : "\\ *");
        print_options(command->help);
        fputs("\" ;;\n", stdout);
    }
    fputs("        esac\n"
          "        case \"$COMP_CWORD ${COMP_WORDS[1]}\" in\n",
          stdout);
    for (size_t i = 0; (command = cli_command(i)); i++) {
        int first = (int)first_word(command->path);

        if (word_was_before(i) || !command->path[first])
            continue;
        printf("        \"2 %.*s\") words=\"", first, command->path);
        print_second_words(i);
        fputs("\" ;;\n", stdout);
    }
    fputs("        esac\n", stdout);
    print_names();
    fputs("        case $current in\n"
          "        -*) ;;\n"
          "        *) [ -n \"$words\" ] && [ \"$COMP_CWORD\" -eq 2 ] || words= ;;\n"
          "        esac\n"
          "    fi\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "}\n",
          stdout);
}

int
command_completion(int argc, char **argv)
{
    static const char command[] = "completion";
    struct arguments arguments;
    int status = options_parse(command, argc, argv, NULL, 0, "bash|zsh", 1, 1, &arguments);
    bool zsh;

    if (status)
        return status;
    zsh = strcmp(arguments.values[0], "zsh") == 0;
    if (!zsh && strcmp(arguments.values[0], "bash") != 0)
        return cli_usage_error(command, "the shells that are known are bash and zsh");
    if (zsh)
        fputs("autoload -U +X bashcompinit && bashcompinit\n", stdout);
    print_function();
    fputs("complete -o default -F _ostraka ostraka\n", stdout);
    return EXIT_OK;
}
