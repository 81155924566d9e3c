#include "cli/auth_call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/identity.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/pages.h"
#include "cli/secret_common.h"

enum { CALL_OPTIONS_MAX = 16 };

/* ---- the request ---- */

int
auth_send(struct auth_call *call, enum client_method method, const char *target, const json_t *body)
{
    struct client_answer answer;
    int status = client_call(call->client, method, target, body, &answer);

    if (status == EXIT_OK) {
        status = output_json(answer.json);
        client_answer_close(&answer);
    }
    return status;
}

/* What a key of that kind is, and where to find one. */
static const char *
key_text(const char *prefix)
{
    static const struct {
        const char *prefix, *text;
    } kinds[] = {
        {"/v1/identities/", "the id of an identity; `ostraka identity list` shows them"},
        {"/v1/auth/roles/", "the id of a role; `ostraka role list` shows them"},
        {"/v1/auth/issuers/", "the id of an issuer; `ostraka issuer list` shows them"},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(prefix, kinds[i].prefix) == 0)
            return kinds[i].text;
    }
    return "a name that there can be: 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or "
           "digit";
}

int
auth_check_key(const char *command, const char *prefix, const char *key,
               bool (*valid)(struct bytes key))
{
    if (valid(bytes_of_text(key)))
        return EXIT_OK;
    return cli_usage_error(command, "\"%s\" is not %s", key, key_text(prefix));
}

int
auth_send_to(struct auth_call *call, enum client_method method, const char *prefix, const char *key,
             bool (*valid)(struct bytes key), const json_t *body)
{
    char target[256], version[48] = "";

    int status = auth_check_key(call->command, prefix, key, valid);

    if (status)
        return status;
    if (call->expected_version > 0)
        snprintf(version, sizeof(version), "?expected_version=%llu",
                 (unsigned long long)call->expected_version);
    snprintf(target, sizeof(target), "%s%s%s", prefix, key, version);
    return auth_send(call, method, target, body);
}

static bool
has_option(const struct option_spec *specs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(specs[i].name, name) == 0)
            return true;
    }
    return false;
}

int
auth_parse(struct auth_call *call, int argc, char **argv, const struct option_spec *own,
           size_t own_count, const char *names, size_t least, size_t most)
{
    struct option_spec specs[CALL_OPTIONS_MAX] = {CLIENT_OPTION_SPECS(&call->connection)};
    size_t count = 0;

    while (specs[count].name)
        count++;
    if (own_count > 0)
        memcpy(specs + count, own, own_count * sizeof(*own));
    /* What is printed as JSON in any case is often asked for as JSON all the same. */
    if (!has_option(own, own_count, "--json"))
        specs[count + own_count++] = (struct option_spec){.name = "--json", .flag = &call->json};
    int status = options_parse(call->command, argc, argv, specs, count + own_count, names, least,
                               most, &call->arguments);

    return status ? status : client_open(&call->connection, &call->client);
}

int
auth_finish(struct auth_call *call, json_t *body, int status)
{
    json_decref(body);
    client_close(call->client);
    return status;
}

/* ---- bodies ---- */

int
auth_read(const char *file, struct buf *out)
{
    enum vault_err err = strcmp(file, "-") == 0 ? input_read(0, AUTH_FILE_BYTES_MAX, out)
                                                : input_read_file(file, AUTH_FILE_BYTES_MAX, out);

    if (err == OK)
        return EXIT_OK;
    output_error("%s cannot be read: %s", file,
                 err == ERR_IO ? strerror(errno) : vault_err_text(err));
    return EXIT_FAILED;
}

int
auth_read_json(const char *file, const char *what, json_t **out)
{
    struct buf text;
    int status = auth_read(file, &text);

    *out = NULL;
    if (status == EXIT_OK)
        *out = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    if (status == EXIT_OK && !json_is_object(*out)) {
        output_error("%s is not %s: a JSON object of at most 64 KiB", file, what);
        json_decref(*out);
        *out = NULL;
        status = EXIT_FAILED;
    }
    buf_close(&text);
    return status;
}

int
auth_set_names(json_t *body, const char *member, const struct text_list *list)
{
    json_t *names = list->count > 0 ? json_array() : NULL;

    for (size_t i = 0; i < list->count; i++) {
        /* An empty word stands for none at all. */
        if (list->values[i][0] && json_array_append_new(names, json_string(list->values[i])) != 0) {
            json_decref(names);
            return secret_out_of_memory();
        }
    }
    return names && json_object_set_new(body, member, names) != 0 ? secret_out_of_memory()
                                                                  : EXIT_OK;
}

int
auth_set_text(json_t *body, const char *member, const char *text)
{
    return text && json_object_set_new(body, member, json_string(text)) != 0
               ? secret_out_of_memory()
               : EXIT_OK;
}

int
auth_set_number(json_t *body, const char *member, uint64_t number)
{
    return number > 0 && json_object_set_new(body, member, json_integer((json_int_t)number)) != 0
               ? secret_out_of_memory()
               : EXIT_OK;
}

/* ---- whole commands ---- */

bool
auth_id_valid(struct bytes text)
{
    uint8_t id[AUTH_UUID_BYTES];

    return uuid_parse(text, id) == OK;
}

int
auth_plain(const char *command, int argc, char **argv, enum client_method method,
           const char *target)
{
    struct auth_call call = {.command = command};
    int status = auth_parse(&call, argc, argv, NULL, 0, "no arguments", 0, 0);

    if (status == EXIT_OK)
        status = auth_send(&call, method, target, NULL);
    return auth_finish(&call, NULL, status);
}

struct collection {
    const char *target, *member;
    const char *const *columns; /* members of each row, as text */
    struct table *table;
    json_t *all;
};

static int
make_target(void *context, const char *after, struct buf *out)
{
    const struct collection *c = context;
    char separator = '?';
    int status;

    if (buf_append_text(out, c->target) != OK)
        return secret_out_of_memory();
    status = secret_target_parameter(out, &separator, "limit", "1000");
    if (status == EXIT_OK && after)
        status = secret_target_parameter(out, &separator, "after", after);
    return status == EXIT_OK ? secret_target_end(out) : status;
}

static int
add_cell(struct table *table, const json_t *value)
{
    char number[24];
    const char *text = number;

    snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
    if (json_is_string(value))
        text = json_string_value(value);
    else if (json_is_boolean(value))
        text = json_is_true(value) ? "yes" : "no";
    return table_add(table, COLOUR_NONE, text) == OK ? EXIT_OK : secret_out_of_memory();
}

static int
take_page(void *context, const json_t *page, bool *enough)
{
    const struct collection *c = context;
    json_t *row;
    size_t i;

    (void)enough;
    json_array_foreach(json_object_get(page, c->member), i, row)
    {
        int status = EXIT_OK;

        for (size_t j = 0; j < c->table->columns && status == EXIT_OK; j++)
            status = add_cell(c->table, json_object_get(row, c->columns[j]));
        if (status)
            return status;
        if (json_array_append(c->all, row) != 0)
            return secret_out_of_memory();
    }
    return EXIT_OK;
}

static int
print_list(struct auth_call *call, const char *target, const char *member,
           const char *const columns[], struct table *table)
{
    json_t *all = json_array(), *whole = NULL;
    struct collection c = {target, member, columns, table, all};
    const struct page_reader reader = {&c, make_target, take_page};
    int status = all ? pages_read(call->client, &reader) : secret_out_of_memory();

    if (status == EXIT_OK && call->json) {
        whole = json_pack("{s:O}", member, all);
        status = whole ? output_json(whole) : secret_out_of_memory();
    } else if (status == EXIT_OK) {
        table_print(table);
    }
    json_decref(whole);
    json_decref(all);
    table_close(table);
    return status;
}

int
auth_list(const char *command, int argc, char **argv, const char *target, const char *member,
          const char *const columns[], struct table table)
{
    struct auth_call call = {.command = command};
    const struct option_spec own[] = {{.name = "--json", .flag = &call.json}};
    int status = auth_parse(&call, argc, argv, own, 1, "no arguments", 0, 0);

    if (status == EXIT_OK)
        status = print_list(&call, target, member, columns, &table);
    return auth_finish(&call, NULL, status);
}

int
auth_on_one(const char *command, int argc, char **argv, enum client_method method,
            const char *prefix, bool (*valid)(struct bytes key), const char *names)
{
    struct auth_call call = {.command = command};
    int status = auth_parse(&call, argc, argv, NULL, 0, names, 1, 1);

    if (status == EXIT_OK)
        status = auth_send_to(&call, method, prefix, call.arguments.values[0], valid, NULL);
    return auth_finish(&call, NULL, status);
}
