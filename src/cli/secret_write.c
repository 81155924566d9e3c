/*
 * ostraka secret create, and update. A value stays in memory that is wiped, no longer than needed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/secret_common.h"

enum { BASE64_BYTES_MAX = (VALUE_BYTES_MAX + 2) / 3 * 4 + 2 };

static int
value_problem(enum vault_err err, const char *source)
{
    if (err == ERR_TOO_LARGE)
        output_error("the value is larger than 1 MiB");
    else if (err == ERR_RANGE)
        output_error(INPUT_NOT_ONE_LINE);
    else if (err == ERR_NOMEM)
        output_error("out of memory");
    else
        output_error("%s cannot be read: %s", source, strerror(errno));
    return EXIT_FAILED;
}

/* The bytes that VALUE, - or @FILE stand for. */
static int
read_value(const char *argument, bool base64, struct buf *out)
{
    size_t max = base64 ? BASE64_BYTES_MAX : VALUE_BYTES_MAX;
    const char *source = "standard input";
    enum vault_err err;

    *out = (struct buf){0};
    if (argument[0] == '@') {
        source = argument + 1;
        err = input_read_file(source, max, out);
    } else if (strcmp(argument, "-") != 0) {
        err = strlen(argument) > max ? ERR_TOO_LARGE : buf_append_text(out, argument);
    } else if (isatty(STDIN_FILENO)) {
        err = input_ask(STDIN_FILENO, "Value (not shown): ", max, out);
    } else {
        err = input_read(STDIN_FILENO, max, out);
    }
    if (err) {
        buf_close(out);
        return value_problem(err, source);
    }
    /* Ctrl-D and a key hit too early would store nothing in the place of a password. */
    if (out->size == 0 && strcmp(argument, "-") == 0 && isatty(STDIN_FILENO)) {
        output_error("nothing was typed; nothing was changed");
        output_hint("an empty value is given as ''");
        return EXIT_FAILED;
    }
    if (base64)
        input_trim_end(out);
    return EXIT_OK;
}

struct change {
    const char *command; /* path of the command */
    const char *done;    /* "Created" */
    enum client_method method;
    struct client_options connection;
    bool base64, json;
    uint64_t expected_version; /* 0: none */
};

static int
report_change(const struct change *change, const char *name, const struct client_answer *answer)
{
    const json_t *version = json_object_get(answer->json, "version");
    const char *since = json_string_value(json_object_get(answer->json, "valid_from"));

    if (change->json)
        return output_json(answer->json);
    if (!json_is_integer(version) || !since) {
        client_bad_answer();
        return EXIT_UNKNOWN;
    }
    printf("%s ", change->done);
    output_text(stdout, COLOUR_NONE, name);
    printf(", version %" JSON_INTEGER_FORMAT ", valid from ", json_integer_value(version));
    output_text(stdout, COLOUR_NONE, since);
    putchar('\n');
    return EXIT_OK;
}

static int
send_change(const struct change *change, struct client *client, const char *name,
            const json_t *body)
{
    struct client_answer answer = {0};
    struct buf target;
    int status = secret_target("/v1/secrets/", name, &target);

    if (status)
        return status;
    status = secret_target_end(&target);
    if (status == EXIT_OK)
        status = client_call(client, change->method, (const char *)target.data, body, &answer);
    if (status == EXIT_OK)
        status = report_change(change, name, &answer);
    client_answer_close(&answer);
    buf_close(&target);
    return status;
}

static int
read_and_send(const struct change *change, struct client *client, const struct arguments *arguments)
{
    struct buf value;
    json_t *body;
    int status = read_value(arguments->values[1], change->base64, &value);

    if (status)
        return status;
    body = secret_body_of(buf_bytes(&value), change->base64, change->expected_version);
    buf_close(&value);
    if (!body)
        return secret_out_of_memory();
    status = send_change(change, client, arguments->values[0], body);
    json_decref(body);
    return status;
}

/* What can be found wrong without the value is said before it is asked for. */
static int
run_change(const struct change *change, const struct arguments *arguments)
{
    struct client *client;
    int status = secret_check_name(change->command, arguments->values[0]);

    if (status == EXIT_OK)
        status = client_open(&change->connection, &client);
    if (status)
        return status;
    status = read_and_send(change, client, arguments);
    client_close(client);
    return status;
}

int
command_secret_create(int argc, char **argv)
{
    struct change change = {.command = "secret create", .done = "Created", .method = CLIENT_POST};
    const struct option_spec specs[] = {
        {.name = "--base64", .flag = &change.base64},
        {.name = "--json", .flag = &change.json},
        CLIENT_OPTION_SPECS(&change.connection),
    };
    struct arguments arguments;
    int status = options_parse(change.command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "NAME VALUE", 2, 2, &arguments);

    return status ? status : run_change(&change, &arguments);
}

int
command_secret_update(int argc, char **argv)
{
    struct change change = {.command = "secret update", .done = "Updated", .method = CLIENT_PUT};
    const struct option_spec specs[] = {
        {.name = "--expected-version", .number = &change.expected_version},
        {.name = "--base64", .flag = &change.base64},
        {.name = "--json", .flag = &change.json},
        CLIENT_OPTION_SPECS(&change.connection),
    };
    struct arguments arguments;
    int status = options_parse(change.command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "NAME VALUE", 2, 2, &arguments);

    return status ? status : run_change(&change, &arguments);
}
