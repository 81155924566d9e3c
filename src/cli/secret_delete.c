/* ostraka secret delete. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/secret_common.h"

static int
report_deletion(const char *name, const struct client_answer *answer)
{
    json_int_t erased, required, replicas;
    int shredded = 0;

    if (json_unpack(answer->json, "{s:I, s:I, s:I, s?b}", "erased_on", &erased, "required",
                    &required, "replicas", &replicas, "shredded", &shredded)) {
        client_bad_answer();
        return EXIT_UNKNOWN;
    }
    fputs("Deleted ", stdout);
    output_text(stdout, COLOUR_NONE, name);
    printf(": erased on %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
           " nodes, %" JSON_INTEGER_FORMAT " required.\n",
           erased, replicas, required);
    if (answer->status == 202)
        puts("The deletion is decided and nobody can read the secret any more, but fewer nodes "
             "than required\nhave erased their share yet; the others do so as soon as they are "
             "back.");
    else if (erased < replicas)
        puts("The other nodes erase their share as soon as they are back.");
    if (shredded)
        puts("It is shredded: nothing that is left can be put together again.");
    return EXIT_OK;
}

static int
run_deletion(const struct client_options *connection, const char *name, bool as_json)
{
    struct client *client;
    struct client_answer answer = {0};
    struct buf target;
    int status = secret_target("/v1/secrets/", name, &target);

    if (status)
        return status;
    status = secret_target_end(&target);
    if (status == EXIT_OK)
        status = client_open(connection, &client);
    if (status == EXIT_OK) {
        status = client_call(client, CLIENT_DELETE, (const char *)target.data, NULL, &answer);
        if (status == EXIT_OK && as_json)
            status = output_json(answer.json);
        else if (status == EXIT_OK)
            status = report_deletion(name, &answer);
        client_answer_close(&answer);
        client_close(client);
    }
    buf_close(&target);
    return status;
}

int
command_secret_delete(int argc, char **argv)
{
    static const char command[] = "secret delete";
    struct client_options connection = {0};
    bool yes = false, json = false;
    const struct option_spec specs[] = {
        {.name = "--yes", .flag = &yes},
        {.name = "--json", .flag = &json},
        CLIENT_OPTION_SPECS(&connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0], "NAME",
                               1, 1, &arguments);

    if (status == EXIT_OK)
        status = secret_check_name(command, arguments.values[0]);
    return status ? status : run_deletion(&connection, arguments.values[0], json);
}
