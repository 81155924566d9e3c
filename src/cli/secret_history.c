/* ostraka secret history. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/pages.h"
#include "cli/secret_common.h"

struct listing {
    struct client_options connection;
    uint64_t limit; /* 0: all */
    bool json;
    const char *name;
    json_t *versions; /* collected over the pages */
};

static int
make_page_target(void *context, const char *after, struct buf *target)
{
    const struct listing *listing = context;
    char number[24], separator = '?';
    uint64_t left = listing->limit ? listing->limit - json_array_size(listing->versions) : PAGE_MAX;
    int status = secret_target("/v1/history/", listing->name, target);

    if (status)
        return status;
    snprintf(number, sizeof number, "%" PRIu64, left < PAGE_MAX ? left : (uint64_t)PAGE_MAX);
    status = secret_target_parameter(target, &separator, "limit", number);
    if (status == EXIT_OK && after)
        status = secret_target_parameter(target, &separator, "after", after);
    return status == EXIT_OK ? secret_target_end(target) : status;
}

static int
take_page(void *context, const json_t *page, bool *enough)
{
    struct listing *listing = context;
    json_t *versions = json_object_get(page, "versions");

    if (!json_is_array(versions))
        return client_bad_answer();
    /* A page with nothing in it but a way on would lead in a circle. */
    if (json_is_string(json_object_get(page, "next")) && json_array_size(versions) == 0)
        return client_bad_answer();
    if (json_array_extend(listing->versions, versions))
        return secret_out_of_memory();
    *enough = listing->limit && json_array_size(listing->versions) >= listing->limit;
    return EXIT_OK;
}

/* What cannot be read stands out. */
static enum output_colour
state_colour(const char *state)
{
    if (strcmp(state, "current") == 0)
        return COLOUR_GREEN;
    return strcmp(state, "superseded") == 0 ? COLOUR_NONE : COLOUR_YELLOW;
}

static const char *
text_or(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : otherwise;
}

static int
print_history(const json_t *versions)
{
    struct table table = {.headings = {"VERSION", "VALID FROM", "VALID TO", "AUTHOR", "STATE"},
                          .columns = 5};
    enum vault_err err = OK;
    const json_t *row;
    size_t i;

    json_array_foreach(versions, i, row)
    {
        const char *state = text_or(row, "state", "-");
        char version[24];

        snprintf(version, sizeof version, "%" JSON_INTEGER_FORMAT,
                 json_integer_value(json_object_get(row, "version")));
        err = table_add(&table, COLOUR_NONE, version);
        if (err == OK)
            err = table_add(&table, COLOUR_NONE, text_or(row, "valid_from", "-"));
        if (err == OK)
            err = table_add(&table, COLOUR_NONE, text_or(row, "valid_to", "-"));
        if (err == OK)
            err = table_add(&table, COLOUR_NONE, text_or(row, "author", "-"));
        if (err == OK)
            err = table_add(&table, state_colour(state), state);
        if (err)
            break;
    }
    if (err == OK)
        table_print(&table);
    table_close(&table);
    return err == OK ? EXIT_OK : secret_out_of_memory();
}

static int
print_history_json(const struct listing *listing)
{
    json_t *whole = json_pack("{s:s, s:O}", "name", listing->name, "versions", listing->versions);
    int status = whole ? output_json(whole) : secret_out_of_memory();

    json_decref(whole);
    return status;
}

static int
run_listing(struct listing *listing)
{
    const struct page_reader reader = {listing, make_page_target, take_page};
    struct client *client;
    int status = client_open(&listing->connection, &client);

    if (status)
        return status;
    listing->versions = json_array();
    status = listing->versions ? pages_read(client, &reader) : secret_out_of_memory();
    if (status == EXIT_OK)
        status = listing->json ? print_history_json(listing) : print_history(listing->versions);
    json_decref(listing->versions);
    client_close(client);
    return status;
}

int
command_secret_history(int argc, char **argv)
{
    static const char command[] = "secret history";
    struct listing listing = {0};
    const struct option_spec specs[] = {
        {.name = "--limit", .number = &listing.limit},
        {.name = "--json", .flag = &listing.json},
        CLIENT_OPTION_SPECS(&listing.connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0], "NAME",
                               1, 1, &arguments);

    if (status == EXIT_OK)
        status = secret_check_name(command, arguments.values[0]);
    if (status)
        return status;
    listing.name = arguments.values[0];
    return run_listing(&listing);
}
