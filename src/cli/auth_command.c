/*
 * ostraka tenant, policy, identity and token: what operators do through the API, and what callers do
 * with their own token. The answer is printed as the API gives it, as JSON; lists are tables.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/identity.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "proto/request.h"

enum { LIMITS = 5, CALL_OPTIONS_MAX = 16, PURGE_IDLE_MS = 500, PURGE_IDLE_MAX = 120 };

static const struct {
    const char *option, *member;
} limit_names[LIMITS] = {{"--secrets", "secrets"},
                         {"--versions", "versions"},
                         {"--value-bytes", "value_bytes"},
                         {"--requests-per-second", "requests_per_second"},
                         {"--expires-after", "expires_after"}};

struct call {
    const char *command;
    struct client_options connection;
    struct client *client; /* opened once the options are known, and before any JSON is made */
    bool json, renewable;
    const char *limits[LIMITS], *kind, *name, *identity;
    uint64_t ttl, uses, expected_version;
    struct text_list policies, tenants, metadata;
    struct arguments arguments;
};

/* ---- the request ---- */

static int
send_body(struct call *call, enum client_method method, const char *target, const json_t *body)
{
    struct client_answer answer;
    int status = client_call(call->client, method, target, body, &answer);

    if (status == EXIT_OK) {
        status = output_json(answer.json) == OK ? EXIT_OK : EXIT_FAILED;
        client_answer_close(&answer);
    }
    return status;
}

/* Keys have only characters that stand in a target as they are. */
static int
send_to(struct call *call, enum client_method method, const char *prefix, const char *key,
        bool (*valid)(struct bytes key), const json_t *body)
{
    char target[256], version[48] = "";

    if (!valid(bytes_of_text(key)))
        return cli_usage_error(call->command, "%s is not what there can be one of", key);
    if (call->expected_version > 0)
        snprintf(version, sizeof(version), "?expected_version=%llu",
                 (unsigned long long)call->expected_version);
    snprintf(target, sizeof(target), "%s%s%s", prefix, key, version);
    return send_body(call, method, target, body);
}

static bool
identity_id_valid(struct bytes text)
{
    uint8_t id[AUTH_UUID_BYTES];

    return uuid_parse(text, id) == OK;
}

/* That of a tenant's. Which names are reserved is for the server. */
static bool
policy_name_form(struct bytes text)
{
    return tenant_name_valid(text);
}

static int
parse(struct call *call, int argc, char **argv, const struct option_spec *own, size_t own_count,
      const char *names, size_t least, size_t most)
{
    struct option_spec specs[CALL_OPTIONS_MAX] = {CLIENT_OPTION_SPECS(&call->connection)};
    size_t count = 0;

    while (specs[count].name)
        count++;
    if (own_count > 0)
        memcpy(specs + count, own, own_count * sizeof(*own));
    int status = options_parse(call->command, argc, argv, specs, count + own_count, names, least,
                               most, &call->arguments);

    return status ? status : client_open(&call->connection, &call->client);
}

/* The end of a command, whatever became of it. */
static int
finish(struct call *call, json_t *body, int status)
{
    json_decref(body);
    client_close(call->client);
    return status;
}

/* ---- bodies ---- */

static int
set_names(json_t *body, const char *member, const struct text_list *list)
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

static int
set_text(json_t *body, const char *member, const char *text)
{
    return text && json_object_set_new(body, member, json_string(text)) != 0
               ? secret_out_of_memory()
               : EXIT_OK;
}

static int
set_number(json_t *body, const char *member, uint64_t number)
{
    return number > 0 && json_object_set_new(body, member, json_integer((json_int_t)number)) != 0
               ? secret_out_of_memory()
               : EXIT_OK;
}

/* From 1, of at most 18 digits. */
static bool
parse_number(const char *text, uint64_t *out)
{
    size_t size = strspn(text, "0123456789");

    *out = 0;
    for (size_t i = 0; i < size && i < 18; i++)
        *out = 10 * *out + (uint64_t)(text[i] - '0');
    return size > 0 && size <= 18 && !text[size] && *out > 0;
}

static int
set_limits(const struct call *call, json_t *body)
{
    json_t *limits = json_object();
    int status = EXIT_OK;

    for (size_t i = 0; i < LIMITS && status == EXIT_OK; i++) {
        const char *text = call->limits[i];
        uint64_t number = 0;

        if (!text)
            continue;
        if (strcmp(text, "none") != 0 && !parse_number(text, &number))
            status = cli_usage_error(call->command, "%s is a number from 1, or none",
                                     limit_names[i].option);
        else if (json_object_set_new(limits, limit_names[i].member,
                                     number > 0 ? json_integer((json_int_t)number) : json_null()) !=
                 0)
            status = secret_out_of_memory();
    }
    if (status != EXIT_OK)
        json_decref(limits);
    else if (json_object_set_new(body, "limits", limits) != 0)
        status = secret_out_of_memory();
    return status;
}

static int
set_metadata(const struct call *call, json_t *body)
{
    json_t *pairs = call->metadata.count > 0 ? json_object() : NULL;

    for (size_t i = 0; i < call->metadata.count; i++) {
        const char *text = call->metadata.values[i], *sign = strchr(text, '=');

        if (!sign ||
            json_object_setn_new(pairs, text, (size_t)(sign - text), json_string(sign + 1)) != 0) {
            json_decref(pairs);
            return cli_usage_error(call->command, "--metadata is KEY=VALUE, as UTF-8");
        }
    }
    return pairs && json_object_set_new(body, "metadata", pairs) != 0 ? secret_out_of_memory()
                                                                      : EXIT_OK;
}

/* ---- lists ---- */

/* Rows of all pages: the columns are members of each, as text. */
static int
collect(struct client *client, const char *target, const char *member, const char *const columns[],
        struct table *table, json_t *all)
{
    char page[512];
    int status = EXIT_OK;
    bool more = true;

    snprintf(page, sizeof(page), "%s?limit=1000", target);
    while (more && status == EXIT_OK) {
        struct client_answer answer;
        json_t *row;
        size_t i;

        status = client_call(client, CLIENT_GET, page, NULL, &answer);
        if (status)
            break;
        json_array_foreach(json_object_get(answer.json, member), i, row)
        {
            for (size_t c = 0; c < table->columns && status == EXIT_OK; c++) {
                const json_t *value = json_object_get(row, columns[c]);
                char number[24];

                snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
                if (table_add(table, COLOUR_NONE,
                              json_is_string(value)    ? json_string_value(value)
                              : json_is_boolean(value) ? (json_is_true(value) ? "yes" : "no")
                                                       : number) != OK)
                    status = secret_out_of_memory();
            }
            if (json_array_append(all, row) != 0)
                status = secret_out_of_memory();
        }
        const char *next = json_string_value(json_object_get(answer.json, "next"));
        more = next != NULL;
        if (more && snprintf(page, sizeof(page), "%s?limit=1000&after=%s", target, next) >=
                        (int)sizeof(page))
            status = client_bad_answer();
        client_answer_close(&answer);
    }
    return status;
}

static int
print_list(struct call *call, const char *target, const char *member, const char *const columns[],
           struct table *table)
{
    json_t *all = json_array(), *whole = NULL;
    int status =
        all ? collect(call->client, target, member, columns, table, all) : secret_out_of_memory();

    if (status == EXIT_OK && call->json) {
        whole = json_pack("{s:O}", member, all);
        status = whole && output_json(whole) == OK ? EXIT_OK : EXIT_FAILED;
    } else if (status == EXIT_OK) {
        table_print(table);
    }
    json_decref(whole);
    json_decref(all);
    table_close(table);
    return status;
}

static int
list(const char *command, int argc, char **argv, const char *target, const char *member,
     const char *const columns[], struct table table)
{
    struct call call = {.command = command};
    const struct option_spec own[] = {{.name = "--json", .flag = &call.json}};
    int status = parse(&call, argc, argv, own, 1, "no arguments", 0, 0);

    if (status == EXIT_OK)
        status = print_list(&call, target, member, columns, &table);
    return finish(&call, NULL, status);
}

/* A call that has one key, and nothing else to say. */
static int
on_one(const char *command, int argc, char **argv, enum client_method method, const char *prefix,
       bool (*valid)(struct bytes key), const char *names)
{
    struct call call = {.command = command};
    int status = parse(&call, argc, argv, NULL, 0, names, 1, 1);

    if (status == EXIT_OK)
        status = send_to(&call, method, prefix, call.arguments.values[0], valid, NULL);
    return finish(&call, NULL, status);
}

/* ---- tenants ---- */

static int
tenant_with_limits(const char *command, int argc, char **argv, bool is_new)
{
    struct call call = {.command = command};
    struct option_spec own[LIMITS];
    json_t *body = NULL;
    int status;

    for (size_t i = 0; i < LIMITS; i++)
        own[i] = (struct option_spec){.name = limit_names[i].option, .text = &call.limits[i]};
    status = parse(&call, argc, argv, own, LIMITS, "NAME", 1, 1);
    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = set_limits(&call, body);
    if (status == EXIT_OK && is_new)
        status = set_text(body, "name", call.arguments.values[0]);
    if (status == EXIT_OK && is_new)
        status = send_body(&call, CLIENT_POST, "/v1/tenants", body);
    else if (status == EXIT_OK)
        status = send_to(&call, CLIENT_PATCH, "/v1/tenants/", call.arguments.values[0],
                         tenant_name_valid, body);
    return finish(&call, body, status);
}

int
command_tenant_create(int argc, char **argv)
{
    return tenant_with_limits("tenant create", argc, argv, true);
}

int
command_tenant_limit(int argc, char **argv)
{
    return tenant_with_limits("tenant limit", argc, argv, false);
}

int
command_tenant_list(int argc, char **argv)
{
    static const char *const columns[] = {"name", "created_at"};

    return list("tenant list", argc, argv, "/v1/tenants", "tenants", columns,
                (struct table){.headings = {"NAME", "CREATED"}, .columns = 2});
}

int
command_tenant_show(int argc, char **argv)
{
    return on_one("tenant show", argc, argv, CLIENT_GET, "/v1/tenants/", tenant_name_valid, "NAME");
}

static bool
is_zero(const json_t *answer, const char *member)
{
    return json_integer_value(json_object_get(answer, member)) == 0;
}

/*
 * One call after the other, until nothing is left. In the end there is nothing to delete for some
 * seconds, since what was under way when the purge began could still come.
 */
static int
purge(struct call *call, const char *name)
{
    char target[256];
    unsigned idle = 0;

    if (!tenant_name_valid(bytes_of_text(name)))
        return cli_usage_error(call->command, "%s is not what there can be one of", name);
    snprintf(target, sizeof(target), "/v1/tenants/%s?purge=true", name);
    for (;;) {
        struct client_answer answer;
        int status = client_call(call->client, CLIENT_DELETE, target, NULL, &answer);

        if (status != EXIT_OK)
            return status;
        if (answer.status == 200) {
            status = output_json(answer.json) == OK ? EXIT_OK : EXIT_FAILED;
            client_answer_close(&answer);
            return status;
        }
        bool nothing = is_zero(answer.json, "secrets") && is_zero(answer.json, "records");
        client_answer_close(&answer);
        idle = nothing ? idle + 1 : 0;
        if (idle == PURGE_IDLE_MAX)
            return client_bad_answer();
        if (nothing)
            (void)nanosleep(&(struct timespec){.tv_nsec = PURGE_IDLE_MS * 1000000L}, NULL);
    }
}

int
command_tenant_delete(int argc, char **argv)
{
    struct call call = {.command = "tenant delete"};
    bool with_all = false;
    const struct option_spec own[] = {{.name = "--purge", .flag = &with_all}};
    int status = parse(&call, argc, argv, own, 1, "NAME", 1, 1);

    if (status == EXIT_OK && with_all)
        status = purge(&call, call.arguments.values[0]);
    else if (status == EXIT_OK)
        status = send_to(&call, CLIENT_DELETE, "/v1/tenants/", call.arguments.values[0],
                         tenant_name_valid, NULL);
    return finish(&call, NULL, status);
}

/* ---- policies ---- */

int
command_policy_put(int argc, char **argv)
{
    struct call call = {.command = "policy put"};
    uint64_t expected = 0;
    const struct option_spec own[] = {{.name = "--expected-version", .number = &expected}};
    int status = parse(&call, argc, argv, own, 1, "NAME FILE", 2, 2);
    struct buf text = {0};
    json_t *body = NULL;
    enum vault_err err;

    if (status)
        return finish(&call, NULL, status);
    if (strcmp(call.arguments.values[1], "-") == 0)
        err = input_read(0, POLICY_TEXT_BYTES_MAX, &text);
    else
        err = input_read_file(call.arguments.values[1], POLICY_TEXT_BYTES_MAX, &text);
    if (err == OK)
        body = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(body)) {
        output_error("%s is not a policy: JSON of at most 64 KiB", call.arguments.values[1]);
        status = EXIT_FAILED;
    }
    if (status == EXIT_OK)
        status = set_number(body, "expected_version", expected);
    if (status == EXIT_OK)
        status = send_to(&call, CLIENT_PUT, "/v1/policies/", call.arguments.values[0],
                         policy_name_form, body);
    buf_close(&text);
    return finish(&call, body, status);
}

int
command_policy_get(int argc, char **argv)
{
    return on_one("policy get", argc, argv, CLIENT_GET, "/v1/policies/", policy_name_form, "NAME");
}

int
command_policy_list(int argc, char **argv)
{
    static const char *const columns[] = {"name", "version"};

    return list("policy list", argc, argv, "/v1/policies", "policies", columns,
                (struct table){.headings = {"NAME", "VERSION"}, .columns = 2});
}

int
command_policy_delete(int argc, char **argv)
{
    struct call call = {.command = "policy delete"};
    const struct option_spec own[] = {
        {.name = "--expected-version", .number = &call.expected_version}};
    int status = parse(&call, argc, argv, own, 1, "NAME", 1, 1);

    if (status == EXIT_OK)
        status = send_to(&call, CLIENT_DELETE, "/v1/policies/", call.arguments.values[0],
                         policy_name_form, NULL);
    return finish(&call, NULL, status);
}

/* ---- identities ---- */

static int
identity_body(struct call *call, json_t *body)
{
    int status = set_text(body, "name", call->name);

    if (status == EXIT_OK)
        status = set_text(body, "kind", call->kind);
    if (status == EXIT_OK)
        status = set_names(body, "policies", &call->policies);
    if (status == EXIT_OK)
        status = set_names(body, "tenants", &call->tenants);
    return status == EXIT_OK ? set_metadata(call, body) : status;
}

int
command_identity_create(int argc, char **argv)
{
    struct call call = {.command = "identity create", .kind = "service"};
    const struct option_spec own[] = {{.name = "--kind", .text = &call.kind},
                                      {.name = "--policy", .list = &call.policies},
                                      {.name = "--act-in", .list = &call.tenants},
                                      {.name = "--metadata", .list = &call.metadata}};
    json_t *body = NULL;
    int status = parse(&call, argc, argv, own, 4, "NAME", 1, 1);

    call.name = call.arguments.values[0];
    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = identity_body(&call, body);
    if (status == EXIT_OK)
        status = send_body(&call, CLIENT_POST, "/v1/identities", body);
    return finish(&call, body, status);
}

int
command_identity_change(int argc, char **argv)
{
    struct call call = {.command = "identity change"};
    const struct option_spec own[] = {{.name = "--name", .text = &call.name},
                                      {.name = "--policy", .list = &call.policies},
                                      {.name = "--act-in", .list = &call.tenants},
                                      {.name = "--metadata", .list = &call.metadata}};
    json_t *body = NULL;
    int status = parse(&call, argc, argv, own, 4, "ID", 1, 1);

    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = identity_body(&call, body);
    if (status == EXIT_OK)
        status = send_to(&call, CLIENT_PATCH, "/v1/identities/", call.arguments.values[0],
                         identity_id_valid, body);
    return finish(&call, body, status);
}

static int
set_disabled(const char *command, int argc, char **argv, bool disabled)
{
    struct call call = {.command = command};
    int status = parse(&call, argc, argv, NULL, 0, "ID", 1, 1);
    json_t *body = NULL;

    if (status == EXIT_OK)
        body = json_pack("{s:b}", "disabled", disabled);
    if (status == EXIT_OK)
        status = body ? send_to(&call, CLIENT_PATCH, "/v1/identities/", call.arguments.values[0],
                                identity_id_valid, body)
                      : secret_out_of_memory();
    return finish(&call, body, status);
}

int
command_identity_disable(int argc, char **argv)
{
    return set_disabled("identity disable", argc, argv, true);
}

int
command_identity_enable(int argc, char **argv)
{
    return set_disabled("identity enable", argc, argv, false);
}

int
command_identity_list(int argc, char **argv)
{
    static const char *const columns[] = {"id", "name", "kind", "disabled"};

    return list("identity list", argc, argv, "/v1/identities", "identities", columns,
                (struct table){.headings = {"ID", "NAME", "KIND", "DISABLED"}, .columns = 4});
}

int
command_identity_show(int argc, char **argv)
{
    return on_one("identity show", argc, argv, CLIENT_GET, "/v1/identities/", identity_id_valid,
                  "ID");
}

int
command_identity_delete(int argc, char **argv)
{
    return on_one("identity delete", argc, argv, CLIENT_DELETE, "/v1/identities/",
                  identity_id_valid, "ID");
}

/* ---- tokens ---- */

int
command_token_create(int argc, char **argv)
{
    struct call call = {.command = "token create"};
    const struct option_spec own[] = {{.name = "--identity", .text = &call.identity},
                                      {.name = "--ttl", .number = &call.ttl},
                                      {.name = "--renewable", .flag = &call.renewable},
                                      {.name = "--policy", .list = &call.policies},
                                      {.name = "--uses", .number = &call.uses}};
    json_t *body = NULL;
    int status = parse(&call, argc, argv, own, 5, "no arguments", 0, 0);

    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = set_text(body, "identity", call.identity);
    if (status == EXIT_OK)
        status = set_number(body, "ttl", call.ttl);
    if (status == EXIT_OK)
        status = set_number(body, "uses", call.uses);
    if (status == EXIT_OK)
        status = set_names(body, "policies", &call.policies);
    if (status == EXIT_OK && call.renewable && json_object_set_new(body, "renewable", json_true()))
        status = secret_out_of_memory();
    if (status == EXIT_OK)
        status = send_body(&call, CLIENT_POST, "/v1/tokens", body);
    return finish(&call, body, status);
}

static int
on_own_token(const char *command, int argc, char **argv, enum client_method method,
             const char *target)
{
    struct call call = {.command = command};
    int status = parse(&call, argc, argv, NULL, 0, "no arguments", 0, 0);

    if (status == EXIT_OK)
        status = send_body(&call, method, target, NULL);
    return finish(&call, NULL, status);
}

int
command_token_show(int argc, char **argv)
{
    return on_own_token("token show", argc, argv, CLIENT_GET, "/v1/tokens/self");
}

int
command_token_renew(int argc, char **argv)
{
    return on_own_token("token renew", argc, argv, CLIENT_POST, "/v1/tokens/self:renew");
}

int
command_token_revoke(int argc, char **argv)
{
    struct call call = {.command = "token revoke"};
    json_t *body = NULL;
    int status = parse(&call, argc, argv, NULL, 0, "[ACCESSOR]", 0, 1);

    if (status == EXIT_OK && call.arguments.count == 0) {
        status = send_body(&call, CLIENT_POST, "/v1/tokens/self:revoke", NULL);
    } else if (status == EXIT_OK) {
        body = json_object();
        status = set_text(body, "accessor", call.arguments.values[0]);
        if (status == EXIT_OK)
            status = send_body(&call, CLIENT_POST, "/v1/tokens:revoke", body);
    }
    return finish(&call, body, status);
}
