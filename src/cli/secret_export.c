/* ostraka secret export: all secrets below a prefix, as .env text or JSON. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/bulk.h"
#include "cli/cli.h"
#include "cli/env_file.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "env/dotenv.h"

struct exporting {
    struct client_options connection;
    const char *prefix, *format, *output;
};

static int
write_dotenv(struct bulk *bulk, const char *prefix, struct buf *out)
{
    int status = bulk_name_variables(bulk, prefix);

    for (size_t i = 0; i < bulk->count && status == EXIT_OK; i++) {
        const struct bulk_item *item = &bulk->items[i];
        enum vault_err err = buf_append(out, buf_bytes(&item->name));

        if (err == OK)
            err = buf_append_text(out, "=");
        if (err == OK)
            err = dotenv_quote(buf_bytes(&item->value), out);
        if (err == OK)
            err = buf_append_text(out, "\n");
        if (err == ERR_RANGE) {
            output_error("%.*s has a NUL, which no .env file can hold; --format json can",
                         (int)item->name.size, (const char *)item->name.data);
            status = EXIT_FAILED;
        } else if (err != OK) {
            status = secret_out_of_memory();
        }
    }
    return status;
}

static int
append_json(const char *text, size_t size, void *context)
{
    return buf_append(context, bytes_of(text, size)) == OK ? 0 : -1;
}

/* What `ostraka secret import --from json` takes, with every value as it is. */
static int
write_json(const struct bulk *bulk, struct buf *out)
{
    json_t *list = json_array(), *whole = json_pack("{s:o}", "secrets", list);
    bool good = whole != NULL;

    for (size_t i = 0; i < bulk->count && good; i++) {
        const struct bulk_item *item = &bulk->items[i];
        json_t *one = secret_body_of(buf_bytes(&item->value), false, 0);

        good = one &&
               json_object_set_new(one, "name",
                                   json_stringn((const char *)item->name.data, item->name.size)) ==
                   0 &&
               json_array_append(list, one) == 0;
        json_decref(one);
    }
    good = good && json_dump_callback(whole, append_json, out, JSON_INDENT(2)) == 0 &&
           buf_append_text(out, "\n") == OK;
    json_decref(whole);
    return good ? EXIT_OK : secret_out_of_memory();
}

static int
put(const struct exporting *e, struct bytes text)
{
    if (!e->output || strcmp(e->output, "-") == 0) {
        if (output_write(STDOUT_FILENO, text) == OK)
            return EXIT_OK;
        output_error("the result cannot be written: %s", strerror(errno));
        return EXIT_FAILED;
    }
    return env_file_write_private(e->output, text);
}

static int
run_exporting(const struct exporting *e)
{
    struct bulk bulk = {0};
    struct buf text = {0};
    struct client *client;
    int status = client_open(&e->connection, &client);
    bool some_missing;

    if (status)
        return status;
    status = bulk_read(client, e->prefix, &bulk);
    /* The others are written, so that one that is kept to be undeleted is not in their way. */
    some_missing = status == EXIT_NOT_FOUND && bulk.missing > 0;
    if (some_missing)
        status = EXIT_OK;
    if (status == EXIT_OK)
        status = strcmp(e->format, "json") == 0 ? write_json(&bulk, &text)
                                                : write_dotenv(&bulk, e->prefix, &text);
    if (status == EXIT_OK)
        status = put(e, buf_bytes(&text));
    buf_close(&text);
    bulk_close(&bulk);
    client_close(client);
    return status == EXIT_OK && some_missing ? EXIT_NOT_FOUND : status;
}

int
command_secret_export(int argc, char **argv)
{
    static const char command[] = "secret export";
    struct exporting e = {.prefix = "", .format = "dotenv"};
    const struct option_spec specs[] = {
        {.name = "--format", .text = &e.format},
        {.name = "--output", .text = &e.output},
        CLIENT_OPTION_SPECS(&e.connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "[PREFIX]", 0, 1, &arguments);

    if (status)
        return status;
    if (strcmp(e.format, "dotenv") != 0 && strcmp(e.format, "json") != 0)
        return cli_usage_error(command, "the formats are dotenv and json");
    if (arguments.count > 0)
        e.prefix = arguments.values[0];
    if (strlen(e.prefix) > NAME_BYTES_MAX)
        return cli_usage_error(command, "a prefix is at most 512 bytes");
    return run_exporting(&e);
}
