/* ostraka role: machines that log in with a role id and a secret id. */
#include <stdio.h>

#include "cli/auth_call.h"
#include "cli/cli.h"
#include "cli/secret_common.h"

static const char roles[] = "/v1/auth/roles";

int
command_role_create(int argc, char **argv)
{
    struct auth_call call = {.command = "role create"};
    const char *identity = NULL;
    uint64_t ttl = 0;
    const struct option_spec own[] = {{.name = "--identity", .text = &identity},
                                      {.name = "--ttl", .number = &ttl}};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, own, 2, "no arguments", 0, 0);

    if (status == EXIT_OK && !identity)
        status = cli_usage_error(call.command, "--identity says whom it logs in");
    if (status == EXIT_OK)
        status = auth_check_key(call.command, "/v1/identities/", identity, auth_id_valid);
    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = auth_set_text(body, "identity", identity);
    if (status == EXIT_OK)
        status = auth_set_number(body, "ttl", ttl);
    if (status == EXIT_OK)
        status = auth_send(&call, CLIENT_POST, roles, body);
    return auth_finish(&call, body, status);
}

int
command_role_list(int argc, char **argv)
{
    static const char *const columns[] = {"role_id", "identity", "ttl"};

    return auth_list("role list", argc, argv, roles, "roles", columns,
                     (struct table){.headings = {"ID", "IDENTITY", "TTL"}, .columns = 3});
}

int
command_role_get(int argc, char **argv)
{
    return auth_on_one("role get", argc, argv, CLIENT_GET, "/v1/auth/roles/", auth_id_valid, "ID");
}

int
command_role_delete(int argc, char **argv)
{
    return auth_on_one("role delete", argc, argv, CLIENT_DELETE, "/v1/auth/roles/", auth_id_valid,
                       "ID");
}

/* ---- secret ids ---- */

static int
send_to_role(struct auth_call *call, const char *suffix, const json_t *body)
{
    const char *id = call->arguments.values[0];
    char target[128];

    if (!auth_id_valid(bytes_of_text(id)))
        return cli_usage_error(call->command, "%s is not the id of a role", id);
    snprintf(target, sizeof(target), "%s/%s/%s", roles, id, suffix);
    return auth_send(call, CLIENT_POST, target, body);
}

int
command_role_issue(int argc, char **argv)
{
    struct auth_call call = {.command = "role issue"};
    uint64_t ttl = 0;
    const struct option_spec own[] = {{.name = "--ttl", .number = &ttl}};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, own, 1, "ID", 1, 1);

    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = auth_set_number(body, "ttl", ttl);
    if (status == EXIT_OK)
        status = send_to_role(&call, "secret-ids", body);
    return auth_finish(&call, body, status);
}

int
command_role_revoke(int argc, char **argv)
{
    struct auth_call call = {.command = "role revoke"};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, NULL, 0, "ID ACCESSOR", 2, 2);

    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = auth_set_text(body, "accessor", call.arguments.values[1]);
    if (status == EXIT_OK)
        status = send_to_role(&call, "secret-ids:revoke", body);
    return auth_finish(&call, body, status);
}
