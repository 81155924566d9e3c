/* ostraka versions delete|undelete|destroy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/secret_common.h"

struct versions_change {
    const char *command, *verb, *done; /* verb: the member of the body */
    struct client_options connection;
    uint64_t expected_version; /* 0: none */
    bool json;
};

static int
add_version(const char *command, const char *text, json_t *list)
{
    char *end;
    long long number = strtoll(text, &end, 10);

    if (text[0] < '1' || text[0] > '9' || *end || number < 1)
        return cli_usage_error(command, "a version is a number from 1");
    return json_array_append_new(list, json_integer(number)) ? secret_out_of_memory() : EXIT_OK;
}

static int
make_body(const struct versions_change *change, const struct arguments *arguments, json_t **out)
{
    json_t *list = json_array();
    json_t *body = list ? json_pack("{s:o}", change->verb, list) : NULL;
    int status = body ? EXIT_OK : secret_out_of_memory();

    *out = NULL;
    for (size_t i = 1; i < arguments->count && status == EXIT_OK; i++)
        status = add_version(change->command, arguments->values[i], list);
    if (status == EXIT_OK && change->expected_version &&
        json_object_set_new(body, "expected_version",
                            json_integer((json_int_t)change->expected_version)))
        status = secret_out_of_memory();
    if (status == EXIT_OK)
        *out = body;
    else
        json_decref(body);
    return status;
}

static int
report(const struct versions_change *change, const struct arguments *arguments,
       const struct client_answer *answer)
{
    json_int_t erased = 0, required = 0, replicas = 0;

    if (json_unpack(answer->json, "{s?I, s?I, s?I}", "erased_on", &erased, "required", &required,
                    "replicas", &replicas)) {
        client_bad_answer();
        return EXIT_UNKNOWN;
    }
    fputs(arguments->count > 2 ? "Versions" : "Version", stdout);
    for (size_t i = 1; i < arguments->count; i++)
        printf(" %s", arguments->values[i]);
    fputs(" of ", stdout);
    output_text(stdout, COLOUR_NONE, arguments->values[0]);
    printf(" %s.\n", change->done);
    if (replicas > 0)
        printf("Erased on %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
               " nodes, %" JSON_INTEGER_FORMAT " required.\n",
               erased, replicas, required);
    if (answer->status == 202)
        puts("It is decided and nobody can read them any more, but fewer nodes than required "
             "have erased\ntheir share yet; the others do so as soon as they are back.");
    return EXIT_OK;
}

static int
run(const struct versions_change *change, const struct arguments *arguments)
{
    struct client *client = NULL;
    struct client_answer answer = {0};
    struct buf target = {0};
    json_t *body = NULL;
    int status = client_open(&change->connection, &client);

    if (status == EXIT_OK)
        status = make_body(change, arguments, &body);
    if (status == EXIT_OK)
        status = secret_target("/v1/versions/", arguments->values[0], &target);
    if (status == EXIT_OK)
        status = secret_target_end(&target);
    if (status == EXIT_OK)
        status = client_call(client, CLIENT_POST, (const char *)target.data, body, &answer);
    if (status == EXIT_OK && change->json)
        status = output_json(answer.json);
    else if (status == EXIT_OK)
        status = report(change, arguments, &answer);
    client_answer_close(&answer);
    json_decref(body);
    client_close(client);
    buf_close(&target);
    return status;
}

static int
command(struct versions_change *change, int argc, char **argv)
{
    const struct option_spec specs[] = {
        {.name = "--expected-version", .number = &change->expected_version},
        {.name = "--json", .flag = &change->json},
        CLIENT_OPTION_SPECS(&change->connection),
    };
    struct arguments arguments;
    int status = options_parse(change->command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "NAME VERSION...", 2, ARGUMENTS_MAX, &arguments);

    if (status == EXIT_OK)
        status = secret_check_name(change->command, arguments.values[0]);
    return status ? status : run(change, &arguments);
}

int
command_versions_delete(int argc, char **argv)
{
    struct versions_change change = {
        .command = "versions delete", .verb = "delete", .done = "can be read no more"};
    return command(&change, argc, argv);
}

int
command_versions_undelete(int argc, char **argv)
{
    struct versions_change change = {
        .command = "versions undelete", .verb = "undelete", .done = "can be read"};
    return command(&change, argc, argv);
}

int
command_versions_destroy(int argc, char **argv)
{
    struct versions_change change = {
        .command = "versions destroy", .verb = "destroy", .done = "destroyed for good"};
    return command(&change, argc, argv);
}
