/*
 * ostraka tenant, policy, identity and token: what operators do through the API, and what callers do
 * with their own token.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/identity.h"
#include "cli/auth_call.h"
#include "cli/cli.h"
#include "cli/secret_common.h"
#include "proto/request.h"

enum { LIMITS = 5, PURGE_IDLE_MS = 500, PURGE_IDLE_MAX = 120 };

static const struct {
    const char *option, *member;
} limit_names[LIMITS] = {{"--secrets", "secrets"},
                         {"--versions", "versions"},
                         {"--value-bytes", "value_bytes"},
                         {"--requests-per-second", "requests_per_second"},
                         {"--expires-after", "expires_after"}};

/* That of a tenant's. Which names are reserved is for the server. */
static bool
policy_name_form(struct bytes text)
{
    return tenant_name_valid(text);
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
set_limits(const char *command, const char *const given[static LIMITS], json_t *body)
{
    json_t *limits = json_object();
    int status = EXIT_OK;

    for (size_t i = 0; i < LIMITS && status == EXIT_OK; i++) {
        const char *text = given[i];
        uint64_t number = 0;

        if (!text)
            continue;
        if (strcmp(text, "none") != 0 && !parse_number(text, &number))
            status =
                cli_usage_error(command, "%s is a number from 1, or none", limit_names[i].option);
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
set_metadata(const char *command, const struct text_list *metadata, json_t *body)
{
    json_t *pairs = metadata->count > 0 ? json_object() : NULL;

    for (size_t i = 0; i < metadata->count; i++) {
        const char *text = metadata->values[i], *sign = strchr(text, '=');

        if (!sign ||
            json_object_setn_new(pairs, text, (size_t)(sign - text), json_string(sign + 1)) != 0) {
            json_decref(pairs);
            return cli_usage_error(command, "--metadata is KEY=VALUE, as UTF-8");
        }
    }
    return pairs && json_object_set_new(body, "metadata", pairs) != 0 ? secret_out_of_memory()
                                                                      : EXIT_OK;
}

/* ---- tenants ---- */

static int
tenant_with_limits(const char *command, int argc, char **argv, bool is_new)
{
    struct auth_call call = {.command = command};
    const char *limits[LIMITS] = {0};
    struct option_spec own[LIMITS];
    json_t *body = NULL;
    int status;

    for (size_t i = 0; i < LIMITS; i++)
        own[i] = (struct option_spec){.name = limit_names[i].option, .text = &limits[i]};
    status = auth_parse(&call, argc, argv, own, LIMITS, "NAME", 1, 1);
    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = set_limits(command, limits, body);
    if (status == EXIT_OK && is_new)
        status = auth_set_text(body, "name", call.arguments.values[0]);
    if (status == EXIT_OK && is_new)
        status = auth_send(&call, CLIENT_POST, "/v1/tenants", body);
    else if (status == EXIT_OK)
        status = auth_send_to(&call, CLIENT_PATCH, "/v1/tenants/", call.arguments.values[0],
                              tenant_name_valid, body);
    return auth_finish(&call, body, status);
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

    return auth_list("tenant list", argc, argv, "/v1/tenants", "tenants", columns,
                     (struct table){.headings = {"NAME", "CREATED"}, .columns = 2});
}

int
command_tenant_show(int argc, char **argv)
{
    return auth_on_one("tenant show", argc, argv, CLIENT_GET, "/v1/tenants/", tenant_name_valid,
                       "NAME");
}

static bool
is_zero(const json_t *answer, const char *member)
{
    return json_integer_value(json_object_get(answer, member)) == 0;
}

static int
report_waiting(const char *name)
{
    output_error("tenant %s is empty, as far as can be seen, but some node has yet to say so",
                 name);
    output_hint(
        "see with `ostraka status` which nodes are away; the same command ends it when they "
        "are back. Until then nobody is served in the tenant, and its name is not free");
    return EXIT_UNAVAILABLE;
}

/*
 * One call after the other, until nothing is left. In the end there is nothing to delete for some
 * seconds, since what was under way when the purge began could still come; for longer while a node
 * is away.
 */
static int
purge(struct auth_call *call, const char *name)
{
    char target[256];
    unsigned idle = 0;
    int wrong = auth_check_key(call->command, "/v1/tenants/", name, tenant_name_valid);

    if (wrong)
        return wrong;
    snprintf(target, sizeof(target), "/v1/tenants/%s?purge=true", name);
    for (;;) {
        struct client_answer answer;
        int status = client_call(call->client, CLIENT_DELETE, target, NULL, &answer);

        if (status != EXIT_OK)
            return status;
        if (answer.status == 200) {
            status = output_json(answer.json);
            client_answer_close(&answer);
            return status;
        }
        bool nothing = is_zero(answer.json, "secrets") && is_zero(answer.json, "records");
        bool waiting = json_is_true(json_object_get(answer.json, "waiting_for_nodes"));
        client_answer_close(&answer);
        idle = nothing ? idle + 1 : 0;
        if (idle == PURGE_IDLE_MAX)
            return waiting ? report_waiting(name) : client_bad_answer();
        if (nothing)
            (void)nanosleep(&(struct timespec){.tv_nsec = PURGE_IDLE_MS * 1000000L}, NULL);
    }
}

int
command_tenant_delete(int argc, char **argv)
{
    struct auth_call call = {.command = "tenant delete"};
    bool with_all = false;
    const struct option_spec own[] = {{.name = "--purge", .flag = &with_all}};
    int status = auth_parse(&call, argc, argv, own, 1, "NAME", 1, 1);

    if (status == EXIT_OK && with_all)
        status = purge(&call, call.arguments.values[0]);
    else if (status == EXIT_OK)
        status = auth_send_to(&call, CLIENT_DELETE, "/v1/tenants/", call.arguments.values[0],
                              tenant_name_valid, NULL);
    return auth_finish(&call, NULL, status);
}

/* ---- policies ---- */

/*
 * What `ostraka policy get` printed is taken again: its version is the one to be replaced, of the
 * policy that it was read from.
 */
static int
take_printed(json_t *body, const char *name, uint64_t expected)
{
    const char *of = json_string_value(json_object_get(body, "name"));
    json_int_t version = json_integer_value(json_object_get(body, "version"));
    int status = EXIT_OK;

    if (expected == 0 && version > 0 && of && strcmp(of, name) == 0)
        status = auth_set_number(body, "expected_version", (uint64_t)version);
    if (of && version > 0) {
        (void)json_object_del(body, "name");
        (void)json_object_del(body, "version");
    }
    return status;
}

int
command_policy_put(int argc, char **argv)
{
    struct auth_call call = {.command = "policy put"};
    uint64_t expected = 0;
    const struct option_spec own[] = {{.name = "--expected-version", .number = &expected}};
    int status = auth_parse(&call, argc, argv, own, 1, "NAME FILE", 2, 2);
    json_t *body = NULL;

    if (status == EXIT_OK)
        status = auth_read_json(call.arguments.values[1], "a policy", &body);
    if (status == EXIT_OK)
        status = take_printed(body, call.arguments.values[0], expected);
    if (status == EXIT_OK)
        status = auth_set_number(body, "expected_version", expected);
    if (status == EXIT_OK)
        status = auth_send_to(&call, CLIENT_PUT, "/v1/policies/", call.arguments.values[0],
                              policy_name_form, body);
    return auth_finish(&call, body, status);
}

int
command_policy_get(int argc, char **argv)
{
    return auth_on_one("policy get", argc, argv, CLIENT_GET, "/v1/policies/", policy_name_form,
                       "NAME");
}

int
command_policy_list(int argc, char **argv)
{
    static const char *const columns[] = {"name", "version"};

    return auth_list("policy list", argc, argv, "/v1/policies", "policies", columns,
                     (struct table){.headings = {"NAME", "VERSION"}, .columns = 2});
}

int
command_policy_delete(int argc, char **argv)
{
    struct auth_call call = {.command = "policy delete"};
    const struct option_spec own[] = {
        {.name = "--expected-version", .number = &call.expected_version}};
    int status = auth_parse(&call, argc, argv, own, 1, "NAME", 1, 1);

    if (status == EXIT_OK)
        status = auth_send_to(&call, CLIENT_DELETE, "/v1/policies/", call.arguments.values[0],
                              policy_name_form, NULL);
    return auth_finish(&call, NULL, status);
}

/* ---- identities ---- */

struct identity_words {
    const char *kind, *name;
    struct text_list policies, tenants, metadata;
};

static int
identity_body(const char *command, const struct identity_words *words, json_t *body)
{
    int status = auth_set_text(body, "name", words->name);

    if (status == EXIT_OK)
        status = auth_set_text(body, "kind", words->kind);
    if (status == EXIT_OK)
        status = auth_set_names(body, "policies", &words->policies);
    if (status == EXIT_OK)
        status = auth_set_names(body, "tenants", &words->tenants);
    return status == EXIT_OK ? set_metadata(command, &words->metadata, body) : status;
}

int
command_identity_create(int argc, char **argv)
{
    struct auth_call call = {.command = "identity create"};
    struct identity_words words = {.kind = "service"};
    const struct option_spec own[] = {{.name = "--kind", .text = &words.kind},
                                      {.name = "--policy", .list = &words.policies},
                                      {.name = "--act-in", .list = &words.tenants},
                                      {.name = "--metadata", .list = &words.metadata}};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, own, 4, "NAME", 1, 1);

    words.name = call.arguments.values[0];
    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = identity_body(call.command, &words, body);
    if (status == EXIT_OK)
        status = auth_send(&call, CLIENT_POST, "/v1/identities", body);
    return auth_finish(&call, body, status);
}

int
command_identity_change(int argc, char **argv)
{
    struct auth_call call = {.command = "identity change"};
    struct identity_words words = {0};
    const struct option_spec own[] = {{.name = "--name", .text = &words.name},
                                      {.name = "--policy", .list = &words.policies},
                                      {.name = "--act-in", .list = &words.tenants},
                                      {.name = "--metadata", .list = &words.metadata}};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, own, 4, "ID", 1, 1);

    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = identity_body(call.command, &words, body);
    if (status == EXIT_OK)
        status = auth_send_to(&call, CLIENT_PATCH, "/v1/identities/", call.arguments.values[0],
                              auth_id_valid, body);
    return auth_finish(&call, body, status);
}

static int
set_disabled(const char *command, int argc, char **argv, bool disabled)
{
    struct auth_call call = {.command = command};
    int status = auth_parse(&call, argc, argv, NULL, 0, "ID", 1, 1);
    json_t *body = NULL;

    if (status == EXIT_OK)
        body = json_pack("{s:b}", "disabled", disabled);
    if (status == EXIT_OK)
        status = body ? auth_send_to(&call, CLIENT_PATCH, "/v1/identities/",
                                     call.arguments.values[0], auth_id_valid, body)
                      : secret_out_of_memory();
    return auth_finish(&call, body, status);
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

    return auth_list("identity list", argc, argv, "/v1/identities", "identities", columns,
                     (struct table){.headings = {"ID", "NAME", "KIND", "DISABLED"}, .columns = 4});
}

int
command_identity_show(int argc, char **argv)
{
    return auth_on_one("identity show", argc, argv, CLIENT_GET, "/v1/identities/", auth_id_valid,
                       "ID");
}

int
command_identity_delete(int argc, char **argv)
{
    return auth_on_one("identity delete", argc, argv, CLIENT_DELETE, "/v1/identities/",
                       auth_id_valid, "ID");
}

/* ---- tokens ---- */

/* Without --identity it is for the caller, and whoever has the bootstrap token is none. */
static int
make_token(struct auth_call *call, const json_t *body, bool token_only)
{
    struct client_answer answer;
    int status = client_call(call->client, CLIENT_POST, "/v1/tokens", body, &answer);
    const char *token;

    if (status != EXIT_OK) {
        if (!json_object_get(body, "identity") &&
            strcmp(client_last_code(call->client), "bad_json") == 0)
            output_hint("--identity ID names it; `ostraka identity list` shows the ids");
        return status;
    }
    token = json_string_value(json_object_get(answer.json, "token"));
    if (!token)
        status = client_bad_answer();
    else
        status = token_only ? output_secret_line(token) : output_json(answer.json);
    client_answer_close(&answer);
    return status;
}

int
command_token_create(int argc, char **argv)
{
    struct auth_call call = {.command = "token create"};
    struct text_list policies = {0};
    const char *identity = NULL;
    uint64_t ttl = 0, uses = 0;
    bool renewable = false, token_only = false;
    const struct option_spec own[] = {
        {.name = "--identity", .text = &identity},   {.name = "--ttl", .number = &ttl},
        {.name = "--renewable", .flag = &renewable}, {.name = "--policy", .list = &policies},
        {.name = "--uses", .number = &uses},         {.name = "--token-only", .flag = &token_only}};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, own, 6, "no arguments", 0, 0);

    if (status == EXIT_OK && token_only && call.json)
        status = cli_usage_error(call.command, "give either --json or --token-only");
    if (status == EXIT_OK && identity)
        status = auth_check_key(call.command, "/v1/identities/", identity, auth_id_valid);
    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = auth_set_text(body, "identity", identity);
    if (status == EXIT_OK)
        status = auth_set_number(body, "ttl", ttl);
    if (status == EXIT_OK)
        status = auth_set_number(body, "uses", uses);
    if (status == EXIT_OK)
        status = auth_set_names(body, "policies", &policies);
    if (status == EXIT_OK && renewable && json_object_set_new(body, "renewable", json_true()))
        status = secret_out_of_memory();
    if (status == EXIT_OK)
        status = make_token(&call, body, token_only);
    return auth_finish(&call, body, status);
}

int
command_token_show(int argc, char **argv)
{
    return auth_plain("token show", argc, argv, CLIENT_GET, "/v1/tokens/self");
}

int
command_token_renew(int argc, char **argv)
{
    return auth_plain("token renew", argc, argv, CLIENT_POST, "/v1/tokens/self:renew");
}

int
command_token_revoke(int argc, char **argv)
{
    struct auth_call call = {.command = "token revoke"};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, NULL, 0, "[ACCESSOR]", 0, 1);

    if (status == EXIT_OK && call.arguments.count == 0) {
        status = auth_send(&call, CLIENT_POST, "/v1/tokens/self:revoke", NULL);
    } else if (status == EXIT_OK) {
        body = json_object();
        status = auth_set_text(body, "accessor", call.arguments.values[0]);
        if (status == EXIT_OK)
            status = auth_send(&call, CLIENT_POST, "/v1/tokens:revoke", body);
    }
    return auth_finish(&call, body, status);
}
