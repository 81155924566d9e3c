/* ostraka metadata get|set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/instant.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/secret_common.h"

struct metadata_options {
    const char *command;
    struct client_options connection;
    struct text_list pairs, removed;
    uint64_t max_versions, expires_in, expected_version; /* 0: not given */
    const char *expires_at;
    bool default_max_versions, no_expiry, json;
};

/* ---- what is to be changed ---- */

static int
add_pairs(const struct metadata_options *options, json_t *custom)
{
    for (size_t i = 0; i < options->pairs.count; i++) {
        const char *pair = options->pairs.values[i], *mark = strchr(pair, '=');
        char *key;
        bool bad;

        if (!mark || mark == pair)
            return cli_usage_error(options->command, "--set takes KEY=VALUE");
        key = strndup(pair, (size_t)(mark - pair));
        bad = !key || json_object_set_new(custom, key, json_string(mark + 1));
        free(key);
        if (bad) /* or it is not UTF-8, which is no text for JSON */
            return cli_usage_error(options->command, "--set takes UTF-8");
    }
    for (size_t i = 0; i < options->removed.count; i++) {
        if (json_object_set_new(custom, options->removed.values[i], json_null()))
            return cli_usage_error(options->command, "--remove takes UTF-8");
    }
    return EXIT_OK;
}

/* Takes the value. */
static int
add(json_t *body, const char *key, json_t *value)
{
    return json_object_set_new(body, key, value) ? secret_out_of_memory() : EXIT_OK;
}

static int
make_body(const struct metadata_options *options, json_t *body)
{
    json_t *custom = json_object();
    int status = custom ? add_pairs(options, custom) : secret_out_of_memory();

    if (status == EXIT_OK && json_object_size(custom) > 0)
        status = add(body, "custom_metadata", json_incref(custom));
    json_decref(custom);
    if (status == EXIT_OK && options->default_max_versions)
        status = add(body, "max_versions", json_null());
    if (status == EXIT_OK && options->max_versions)
        status = add(body, "max_versions", json_integer((json_int_t)options->max_versions));
    if (status == EXIT_OK && options->no_expiry)
        status = add(body, "expires_at", json_null());
    if (status == EXIT_OK && options->expires_at)
        status = add(body, "expires_at", json_string(options->expires_at));
    if (status == EXIT_OK && options->expires_in)
        status = add(body, "expires_in", json_integer((json_int_t)options->expires_in));
    if (status == EXIT_OK && json_object_size(body) == 0)
        return cli_usage_error(options->command, "nothing is to be changed");
    if (status == EXIT_OK && options->expected_version)
        status = add(body, "expected_version", json_integer((json_int_t)options->expected_version));
    return status;
}

/* ---- what there is ---- */

static void
print_number(const char *label, const json_t *json, const char *key)
{
    printf("%-16s%" JSON_INTEGER_FORMAT "\n", label,
           json_integer_value(json_object_get(json, key)));
}

static void
print_text(const char *label, const json_t *json, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(json, key));

    printf("%-16s", label);
    output_text(stdout, COLOUR_NONE, text ? text : otherwise);
    putchar('\n');
}

static int
print_metadata(json_t *json)
{
    json_t *custom = json_object_get(json, "custom_metadata"), *value;
    const char *key;

    if (!json_is_object(custom))
        return client_bad_answer();
    print_number("version", json, "version");
    print_number("oldest version", json, "oldest_version");
    print_number("max versions", json, "max_versions");
    print_text("expires at", json, "expires_at", "never");
    print_text("changed at", json, "changed_at", "-");
    json_object_foreach(custom, key, value)
    {
        fputs("  ", stdout);
        output_text(stdout, COLOUR_BOLD, key);
        fputs(" = ", stdout);
        output_text(stdout, COLOUR_NONE, json_is_string(value) ? json_string_value(value) : "");
        putchar('\n');
    }
    return EXIT_OK;
}

/* An end in the past deletes the secret at once, for good: a slip of the year is not to do that. */
static int
check_end(const struct metadata_options *options)
{
    struct timespec now;
    uint64_t end_ms;

    if (!options->expires_at)
        return EXIT_OK;
    if (rfc3339_parse(bytes_of_text(options->expires_at), &end_ms) != OK)
        return cli_usage_error(options->command, "--expires-at needs a time in RFC 3339, such as "
                                                 "2026-01-31T12:00:00Z");
    clock_gettime(CLOCK_REALTIME, &now);
    if (end_ms > (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000)
        return EXIT_OK;
    output_error("%s has passed by the clock of this machine; nothing was changed",
                 options->expires_at);
    output_hint("`ostraka secret delete NAME` deletes a secret at once");
    return EXIT_FAILED;
}

static int
call(const struct metadata_options *options, const char *name, enum client_method method)
{
    struct client *client = NULL;
    struct client_answer answer = {0};
    struct buf target = {0};
    json_t *body = NULL;
    bool change = method == CLIENT_PATCH;
    int status = client_open(&options->connection, &client);

    if (status == EXIT_OK && change) {
        body = json_object();
        status = body ? make_body(options, body) : secret_out_of_memory();
    }
    if (status == EXIT_OK)
        status = secret_target("/v1/metadata/", name, &target);
    if (status == EXIT_OK)
        status = secret_target_end(&target);
    if (status == EXIT_OK)
        status = client_call(client, method, (const char *)target.data, body, &answer);
    if (status == EXIT_OK && options->json)
        status = output_json(answer.json);
    else if (status == EXIT_OK && change)
        puts("Changed.");
    else if (status == EXIT_OK)
        status = print_metadata(answer.json);
    client_answer_close(&answer);
    json_decref(body);
    client_close(client);
    buf_close(&target);
    return status;
}

int
command_metadata_get(int argc, char **argv)
{
    struct metadata_options options = {.command = "metadata get"};
    const struct option_spec specs[] = {
        {.name = "--json", .flag = &options.json},
        CLIENT_OPTION_SPECS(&options.connection),
    };
    struct arguments arguments;
    int status = options_parse(options.command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "NAME", 1, 1, &arguments);

    if (status == EXIT_OK)
        status = secret_check_name(options.command, arguments.values[0]);
    return status ? status : call(&options, arguments.values[0], CLIENT_GET);
}

int
command_metadata_set(int argc, char **argv)
{
    struct metadata_options options = {.command = "metadata set"};
    const struct option_spec specs[] = {
        {.name = "--set", .list = &options.pairs},
        {.name = "--remove", .list = &options.removed},
        {.name = "--max-versions", .number = &options.max_versions},
        {.name = "--default-max-versions", .flag = &options.default_max_versions},
        {.name = "--expires-at", .text = &options.expires_at},
        {.name = "--expires-in", .number = &options.expires_in},
        {.name = "--no-expiry", .flag = &options.no_expiry},
        {.name = "--expected-version", .number = &options.expected_version},
        {.name = "--json", .flag = &options.json},
        CLIENT_OPTION_SPECS(&options.connection),
    };
    struct arguments arguments;
    int status = options_parse(options.command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "NAME", 1, 1, &arguments);

    if (status == EXIT_OK)
        status = secret_check_name(options.command, arguments.values[0]);
    if (status == EXIT_OK &&
        (options.no_expiry + (options.expires_at != NULL) + (options.expires_in != 0) > 1 ||
         (options.default_max_versions && options.max_versions)))
        status = cli_usage_error(options.command, "two of the options exclude each other");
    if (status == EXIT_OK)
        status = check_end(&options);
    return status ? status : call(&options, arguments.values[0], CLIENT_PATCH);
}
