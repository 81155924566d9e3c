/* ostraka secret list and tree: names, in the order of their bytes. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/secret_common.h"

struct listing {
    struct client_options connection;
    bool json, tree;
    const char *prefix;              /* NULL: none */
    char before[NAME_BYTES_MAX + 1]; /* tree: the name printed last */
};

static int
print_name(void *context, const char *name)
{
    (void)context;
    output_text(stdout, COLOUR_NONE, name);
    fputc('\n', stdout);
    return EXIT_OK;
}

/* Bytes of whole parts that both names begin with. */
static size_t
common_parts(const char *a, const char *b)
{
    size_t common = 0;

    for (size_t i = 0; a[i] && a[i] == b[i]; i++) {
        if (a[i] == '/')
            common = i + 1;
    }
    return common;
}

static void
print_part(const char *part, size_t size, size_t depth, bool folder)
{
    char text[NAME_BYTES_MAX + 2];

    snprintf(text, sizeof text, "%.*s%s", (int)size, part, folder ? "/" : "");
    for (size_t i = 0; i < depth; i++)
        fputs("    ", stdout);
    output_text(stdout, folder ? COLOUR_BOLD : COLOUR_NONE, text);
    fputc('\n', stdout);
}

/* Folders that the name before was in already are not printed again. */
static int
print_branch(void *context, const char *name)
{
    struct listing *listing = context;
    size_t common = common_parts(listing->before, name), depth = 0, at = 0;

    while (name[at]) {
        size_t size = strcspn(name + at, "/");
        bool folder = name[at + size] == '/';

        if (at >= common)
            print_part(name + at, size, depth, folder);
        at += size + folder;
        depth++;
    }
    snprintf(listing->before, sizeof listing->before, "%s", name);
    return EXIT_OK;
}

static int
print_json(struct client *client, const struct listing *listing)
{
    json_t *names, *whole = NULL;
    int status = names_collect(client, listing->prefix, &names);

    if (status)
        return status;
    whole = json_pack("{s:o}", "names", names);
    if (!whole)
        status = secret_out_of_memory();
    else
        status = output_json(whole);
    json_decref(whole);
    return status;
}

static int
run_listing(struct listing *listing)
{
    struct client *client;
    int status = client_open(&listing->connection, &client);

    if (status)
        return status;
    if (listing->json)
        status = print_json(client, listing);
    else
        status = names_visit(client, listing->prefix, listing->tree ? print_branch : print_name,
                             listing);
    client_close(client);
    return status;
}

static int
list(const char *command, struct listing *listing, int argc, char **argv)
{
    const struct option_spec specs[] = {
        {.name = "--json", .flag = &listing->json},
        CLIENT_OPTION_SPECS(&listing->connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "[PREFIX]", 0, 1, &arguments);

    if (status)
        return status;
    if (arguments.count > 0)
        listing->prefix = arguments.values[0];
    if (listing->prefix && strlen(listing->prefix) > NAME_BYTES_MAX)
        return cli_usage_error(command, "a prefix is at most 512 bytes");
    return run_listing(listing);
}

int
command_secret_list(int argc, char **argv)
{
    struct listing listing = {0};

    return list("secret list", &listing, argc, argv);
}

int
command_secret_tree(int argc, char **argv)
{
    struct listing listing = {.tree = true};

    return list("secret tree", &listing, argc, argv);
}
