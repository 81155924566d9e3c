/*
 * ostraka login approle, jwt and cert: a token for what the user proves, kept in a file for the
 * commands that follow; and ostraka logout, which revokes it. No secret is an argument, since other
 * users of the machine may read those.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/input.h"
#include "cli/login.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "cli/token_store.h"

enum { LOGIN_OPTIONS_MAX = 16 };

struct login {
    const char *command;
    const char *target;
    struct client_options connection;
    bool json, no_store, token_only;
    const char *role_id;
    struct login_certificate certificate;
    struct arguments arguments;
};

/* ---- options ---- */

static int
parse(struct login *login, int argc, char **argv, const struct option_spec *own, size_t own_count,
      const char *names, size_t least, size_t most)
{
    struct option_spec specs[LOGIN_OPTIONS_MAX] = {
        {.name = "--json", .flag = &login->json},
        {.name = "--no-store", .flag = &login->no_store},
        {.name = "--token-only", .flag = &login->token_only},
        CLIENT_OPTION_SPECS(&login->connection)};
    size_t count = 0;
    int status;

    while (specs[count].name)
        count++;
    if (own_count > 0)
        memcpy(specs + count, own, own_count * sizeof(*own));
    status = options_parse(login->command, argc, argv, specs, count + own_count, names, least, most,
                           &login->arguments);
    if (status)
        return status;
    login->connection.anonymous = true;
    if (login->json && login->token_only)
        return cli_usage_error(login->command, "give either --json or --token-only");
    if (login->connection.token_file && (login->no_store || login->token_only))
        return cli_usage_error(login->command, "--token-file is where the token is stored, and it "
                                               "shall not be");
    return EXIT_OK;
}

static const char *
from_environment(const char *given, const char *variable)
{
    const char *value = given ? given : getenv(variable);

    return value && *value ? value : NULL;
}

/* ---- what is proven ---- */

static int
read_problem(enum vault_err err, const char *source)
{
    if (err == ERR_TOO_LARGE)
        output_error("what %s holds is too large", source);
    else if (err == ERR_RANGE)
        output_error(INPUT_NOT_ONE_LINE);
    else if (err == ERR_NOMEM)
        output_error("out of memory");
    else
        output_error("%s cannot be read: %s", source, strerror(errno));
    return EXIT_FAILED;
}

/* `argument`: "-", "@FILE", or NULL: the variable, else as "-". */
static int
read_secret(const struct login *login, const char *argument, const char *variable,
            const char *prompt, struct buf *out)
{
    const char *value = argument ? NULL : from_environment(NULL, variable);
    const char *source = "standard input";
    enum vault_err err;

    *out = (struct buf){0};
    if (argument && argument[0] != '@' && strcmp(argument, "-") != 0)
        return cli_usage_error(login->command,
                               "a secret is not an argument: give - for standard input, @FILE, "
                               "or set %s",
                               variable);
    if (value) {
        source = variable;
        err = buf_append_text(out, value);
    } else if (argument && argument[0] == '@') {
        source = argument + 1;
        err = input_read_file(source, CREDENTIAL_BYTES_MAX + 2, out);
    } else if (isatty(STDIN_FILENO)) {
        err = input_ask(STDIN_FILENO, prompt, CREDENTIAL_BYTES_MAX, out);
    } else {
        err = input_read(STDIN_FILENO, CREDENTIAL_BYTES_MAX + 2, out);
    }
    if (err)
        return read_problem(err, source);
    input_trim_end(out);
    if (out->size > 0)
        return EXIT_OK;
    output_error("%s is empty", source);
    return EXIT_FAILED;
}

static int
set_member(json_t *body, const char *member, struct bytes text)
{
    json_t *value = json_stringn((const char *)text.data, text.size);

    if (!value)
        output_error("what logs in is not UTF-8");
    else if (json_object_set_new(body, member, value) == 0)
        return EXIT_OK;
    return EXIT_FAILED;
}

/* ---- the token ---- */

static void
print_until(const json_t *answer)
{
    const char *until = json_string_value(json_object_get(answer, "expires_at"));
    const char *who = json_string_value(json_object_get(answer, "identity"));
    const char *tenant = json_string_value(json_object_get(answer, "tenant"));

    fputs("Logged in as ", stdout);
    output_text(stdout, COLOUR_NONE, who ? who : "?");
    fputs(", tenant ", stdout);
    output_text(stdout, COLOUR_NONE, tenant ? tenant : "?");
    fputs(", until ", stdout);
    output_text(stdout, COLOUR_NONE, until ? until : "?");
    putchar('\n');
}

static int
store_path(const struct client_options *options, struct buf *out)
{
    const char *file = options->token_file;

    *out = (struct buf){0};
    if (!file)
        return token_store_path(options, out);
    return buf_append(out, bytes_of(file, strlen(file) + 1)) == OK ? EXIT_OK
                                                                   : secret_out_of_memory();
}

/* Whoever has set one of these would wonder which token counts. */
static void
hint_at_environment(const struct client_options *options)
{
    const char *variable = from_environment(NULL, "OSTRAKA_TOKEN")        ? "OSTRAKA_TOKEN"
                           : from_environment(NULL, "OSTRAKA_TOKEN_FILE") ? "OSTRAKA_TOKEN_FILE"
                                                                          : NULL;

    if (variable && !options->token_file)
        output_hint("%s is set, and commands use that token instead of this one", variable);
}

static int
keep(const struct login *login, const char *path, json_t *answer)
{
    const json_t *token = json_object_get(answer, "token");
    int status =
        token_store_write(path, bytes_of(json_string_value(token), json_string_length(token)));

    if (status) {
        output_hint("the token was made and is lost; it ends by itself");
        return status;
    }
    if (login->json) {
        (void)json_object_del(answer, "token");
        return output_json(answer);
    }
    print_until(answer);
    printf("The token is in %s\n", path);
    hint_at_environment(&login->connection);
    return EXIT_OK;
}

/* `path`: where it is kept; NULL: nowhere. */
static int
send_login(const struct login *login, struct client *client, const char *path, const json_t *body)
{
    struct client_answer answer;
    const json_t *token;
    int status = client_call(client, CLIENT_POST, login->target, body, &answer);

    if (status)
        return status;
    token = json_object_get(answer.json, "token");
    if (!json_is_string(token))
        status = client_bad_answer();
    else if (path)
        status = keep(login, path, answer.json);
    else if (login->token_only)
        status = output_secret_line(json_string_value(token));
    else
        status = output_json(answer.json);
    client_answer_close(&answer);
    return status;
}

typedef int fill_body(struct login *login, json_t *body);

/* The client is opened before there is JSON, and the folder made before there is a token. */
static int
run(struct login *login, fill_body *fill)
{
    bool stored = !login->no_store && !login->token_only;
    struct client *client = NULL;
    struct buf path = {0};
    json_t *body = NULL;
    int status = client_open(&login->connection, &client);

    if (status == EXIT_OK && stored)
        status = store_path(&login->connection, &path);
    if (status == EXIT_OK && stored && !login->connection.token_file)
        status = token_store_prepare((const char *)path.data);
    if (status == EXIT_OK) {
        body = json_object();
        status = body ? fill(login, body) : secret_out_of_memory();
    }
    if (status == EXIT_OK)
        status = send_login(login, client, stored ? (const char *)path.data : NULL, body);
    json_decref(body);
    buf_close(&path);
    client_close(client);
    return status;
}

/* ---- login ---- */

static int
fill_approle(struct login *login, json_t *body)
{
    struct buf secret;
    int status = read_secret(login, login->arguments.count > 0 ? login->arguments.values[0] : NULL,
                             "OSTRAKA_SECRET_ID", "Secret id (not shown): ", &secret);

    if (status == EXIT_OK)
        status = set_member(body, "role_id", bytes_of_text(login->role_id));
    if (status == EXIT_OK)
        status = set_member(body, "secret_id", buf_bytes(&secret));
    buf_close(&secret);
    return status;
}

int
command_login_approle(int argc, char **argv)
{
    struct login login = {.command = "login approle", .target = "/v1/auth/approle:login"};
    const struct option_spec own[] = {{.name = "--role-id", .text = &login.role_id}};
    int status = parse(&login, argc, argv, own, 1, "[-|@FILE]", 0, 1);

    if (status)
        return status;
    login.role_id = from_environment(login.role_id, "OSTRAKA_ROLE_ID");
    if (!login.role_id)
        return cli_usage_error(login.command, "--role-id says which role logs in");
    return run(&login, fill_approle);
}

static int
fill_jwt(struct login *login, json_t *body)
{
    struct buf jwt;
    int status = read_secret(login, login->arguments.count > 0 ? login->arguments.values[0] : NULL,
                             "OSTRAKA_JWT", "JSON web token (not shown): ", &jwt);

    if (status == EXIT_OK)
        status = set_member(body, "jwt", buf_bytes(&jwt));
    buf_close(&jwt);
    return status;
}

int
command_login_jwt(int argc, char **argv)
{
    struct login login = {.command = "login jwt", .target = "/v1/auth/jwt:login"};
    int status = parse(&login, argc, argv, NULL, 0, "[-|@FILE]", 0, 1);

    return status ? status : run(&login, fill_jwt);
}

static int
fill_cert(struct login *login, json_t *body)
{
    struct buf statement = {0};
    int status = login_statement_make(&login->certificate, &login->connection, &statement);

    if (status == EXIT_OK)
        status = set_member(body, "statement", buf_bytes(&statement));
    buf_close(&statement);
    return status;
}

int
command_login_cert(int argc, char **argv)
{
    struct login login = {.command = "login cert", .target = "/v1/auth/cert:login"};
    struct login_certificate *certificate = &login.certificate;
    const struct option_spec own[] = {{.name = "--certificate", .text = &certificate->certificate},
                                      {.name = "--key", .text = &certificate->key},
                                      {.name = "--cluster-id", .text = &certificate->cluster_id}};
    int status = parse(&login, argc, argv, own, 3, "no arguments", 0, 0);

    if (status)
        return status;
    certificate->certificate =
        from_environment(certificate->certificate, "OSTRAKA_CLIENT_CERTIFICATE");
    certificate->key = from_environment(certificate->key, "OSTRAKA_CLIENT_KEY");
    certificate->cluster_id = from_environment(certificate->cluster_id, "OSTRAKA_CLUSTER_ID");
    if (!certificate->certificate || !certificate->key)
        return cli_usage_error(login.command, "--certificate and --key name files in PEM");
    return run(&login, fill_cert);
}

/* ---- logout ---- */

/* *ended: the nodes do not take it any more, which is as good. */
static int
revoke_token(const struct client_options *options, const char *path, bool *ended)
{
    struct client_options with = *options;
    struct client_answer answer;
    struct client *client;
    int status;

    *ended = false;
    with.token_file = path;
    status = client_open(&with, &client);
    if (status)
        return status;
    client_set_untold(client, EXIT_UNAUTHORIZED);
    status = client_call(client, CLIENT_POST, "/v1/tokens/self:revoke", NULL, &answer);
    *ended = status == EXIT_UNAUTHORIZED;
    client_answer_close(&answer);
    client_close(client);
    return status;
}

/* A file that the user names may be meant for another cluster, which would still take its token. */
static int
forget(const struct client_options *options, bool local, const char *path)
{
    bool ended = false;
    int status = EXIT_OK;

    if (!token_store_has(path)) {
        output_error("there is no token in %s", path);
        return EXIT_UNAUTHORIZED;
    }
    if (!local)
        status = revoke_token(options, path, &ended);
    if (ended && !options->token_file) {
        output_hint("the token had ended, or been revoked before");
        status = EXIT_OK;
    } else if (ended) {
        output_error("the nodes do not take the token in %s", path);
    }
    if (status == EXIT_OK)
        return token_store_forget(path);
    output_hint("the token stays in %s; --local forgets it without revoking it", path);
    return status;
}

int
command_logout(int argc, char **argv)
{
    struct client_options connection = {0};
    bool local = false;
    const struct option_spec specs[] = {{.name = "--local", .flag = &local},
                                        CLIENT_OPTION_SPECS(&connection)};
    struct arguments none;
    struct buf path;
    int status = options_parse("logout", argc, argv, specs, sizeof(specs) / sizeof(specs[0]),
                               "no arguments", 0, 0, &none);

    if (status)
        return status;
    status = store_path(&connection, &path);
    if (status == EXIT_OK)
        status = forget(&connection, local, (const char *)path.data);
    buf_close(&path);
    return status;
}
