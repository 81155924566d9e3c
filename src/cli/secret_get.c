/* ostraka secret get. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/env_file.h"
#include "cli/output.h"
#include "cli/secret_common.h"

struct reading {
    struct client_options connection;
    uint64_t version;        /* 0: the current one */
    const char *at, *output; /* NULL: none */
    bool stale, json;
};

static int
make_read_target(const struct reading *reading, const char *name, struct buf *target)
{
    char number[24], separator = '?';
    int status = secret_target("/v1/secrets/", name, target);

    if (status)
        return status;
    snprintf(number, sizeof number, "%" PRIu64, reading->version);
    if (reading->version)
        status = secret_target_parameter(target, &separator, "version", number);
    if (status == EXIT_OK && reading->at)
        status = secret_target_parameter(target, &separator, "at", reading->at);
    if (status == EXIT_OK && reading->stale)
        status = secret_target_parameter(target, &separator, "consistency", "stale");
    if (status == EXIT_OK)
        status = secret_target_end(target);
    if (status)
        buf_close(target);
    return status;
}

static int
write_to_stdout(struct bytes value)
{
    bool newline =
        isatty(STDOUT_FILENO) == 1 && (value.size == 0 || value.data[value.size - 1] != '\n');

    if (output_write(STDOUT_FILENO, value) == OK &&
        (!newline || output_write(STDOUT_FILENO, bytes_of("\n", 1)) == OK))
        return EXIT_OK;
    output_error("the value cannot be written: %s", strerror(errno));
    return EXIT_FAILED;
}

static int
show_value(const struct reading *reading, const json_t *json)
{
    struct buf value;
    int status;

    if (reading->json)
        return output_json(json);
    status = secret_value_of(json, &value);
    if (status)
        return status;
    if (reading->output && strcmp(reading->output, "-") != 0)
        status = env_file_write_private(reading->output, buf_bytes(&value));
    else
        status = write_to_stdout(buf_bytes(&value));
    buf_close(&value);
    return status;
}

static int
run_reading(const struct reading *reading, const char *name)
{
    struct client *client;
    struct client_answer answer = {0};
    struct buf target;
    int status = make_read_target(reading, name, &target);

    if (status)
        return status;
    status = client_open(&reading->connection, &client);
    if (status == EXIT_OK) {
        status = client_call(client, CLIENT_GET, (const char *)target.data, NULL, &answer);
        if (status == EXIT_OK)
            status = show_value(reading, answer.json);
        client_answer_close(&answer);
        client_close(client);
    }
    buf_close(&target);
    return status;
}

int
command_secret_get(int argc, char **argv)
{
    static const char command[] = "secret get";
    struct reading reading = {0};
    const struct option_spec specs[] = {
        {.name = "--version", .number = &reading.version},
        {.name = "--at", .text = &reading.at},
        {.name = "--stale", .flag = &reading.stale},
        {.name = "--output", .text = &reading.output},
        {.name = "--json", .flag = &reading.json},
        CLIENT_OPTION_SPECS(&reading.connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0], "NAME",
                               1, 1, &arguments);

    if (status == EXIT_OK)
        status = secret_check_name(command, arguments.values[0]);
    if (status == EXIT_OK && reading.version && reading.at)
        status = cli_usage_error(command, "--version and --at exclude each other");
    if (status == EXIT_OK && reading.output && reading.json)
        status = cli_usage_error(command, "--output and --json exclude each other");
    return status ? status : run_reading(&reading, arguments.values[0]);
}
