/*
 * ostraka issuer, authority and crl: whose JSON web tokens and client certificates a tenant takes
 * for a login.
 */
#include <string.h>
#include <strings.h>

#include "auth/issuer.h"
#include "cli/auth_call.h"
#include "cli/cli.h"
#include "cli/secret_common.h"
#include "crypto/certificate.h"

static const char issuers[] = "/v1/auth/issuers";
static const char authority[] = "/v1/auth/ca";
static const char list[] = "/v1/auth/ca/crl";

/* ---- issuers of JSON web tokens ---- */

static bool
issuer_id_valid(struct bytes text)
{
    uint8_t id[ISSUER_KEY_TEXT_BYTES / 2];

    return text.size == ISSUER_KEY_TEXT_BYTES && hex_decode(text, id, sizeof(id)) == OK;
}

/* In place of `jwks` of the body, what the issuer publishes. */
static int
set_keys(json_t *body, const char *file)
{
    json_t *keys;
    int status = auth_read_json(file, "a set of keys", &keys);

    if (status == EXIT_OK && json_object_set_new(body, "jwks", keys) != 0)
        status = secret_out_of_memory();
    return status;
}

int
command_issuer_put(int argc, char **argv)
{
    struct auth_call call = {.command = "issuer put"};
    const char *keys = NULL;
    uint64_t expected = 0;
    const struct option_spec own[] = {{.name = "--jwks", .text = &keys},
                                      {.name = "--expected-version", .number = &expected}};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, own, 2, "FILE", 1, 1);

    if (status == EXIT_OK)
        status = auth_read_json(call.arguments.values[0], "an issuer", &body);
    if (status == EXIT_OK && keys)
        status = set_keys(body, keys);
    if (status == EXIT_OK)
        status = auth_set_number(body, "expected_version", expected);
    if (status == EXIT_OK)
        status = auth_send(&call, CLIENT_PUT, issuers, body);
    return auth_finish(&call, body, status);
}

int
command_issuer_list(int argc, char **argv)
{
    static const char *const columns[] = {"id", "issuer", "version"};

    return auth_list("issuer list", argc, argv, issuers, "issuers", columns,
                     (struct table){.headings = {"ID", "ISSUER", "VERSION"}, .columns = 3});
}

int
command_issuer_get(int argc, char **argv)
{
    return auth_on_one("issuer get", argc, argv, CLIENT_GET, "/v1/auth/issuers/", issuer_id_valid,
                       "ID");
}

int
command_issuer_delete(int argc, char **argv)
{
    return auth_on_one("issuer delete", argc, argv, CLIENT_DELETE, "/v1/auth/issuers/",
                       issuer_id_valid, "ID");
}

/* ---- the authority of client certificates ---- */

/* A text of a file as a member of the body. */
static int
set_file(json_t *body, const char *member, const char *file)
{
    struct buf text;
    int status = auth_read(file, &text);

    if (status == EXIT_OK &&
        json_object_set_new(body, member, json_stringn((const char *)text.data, text.size)) != 0) {
        output_error("%s is not a text in PEM", file);
        status = EXIT_FAILED;
    }
    buf_close(&text);
    return status;
}

/* As `openssl x509 -serial` shows them, in either case. */
static bool
serial_valid(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size % 2 == 0 && size <= 2 * CERTIFICATE_SERIAL_BYTES_MAX &&
           strspn(text, "0123456789abcdefABCDEF") == size;
}

static bool
has_serial(const json_t *revoked, const char *serial)
{
    const json_t *one;
    size_t i;

    json_array_foreach(revoked, i, one)
    {
        if (json_is_string(one) && strcasecmp(json_string_value(one), serial) == 0)
            return true;
    }
    return false;
}

static int
add_serials(const char *command, const struct arguments *serials, json_t *revoked)
{
    for (size_t i = 0; i < serials->count; i++) {
        const char *serial = serials->values[i];

        if (!serial_valid(serial))
            return cli_usage_error(command, "%s is not a serial number: 2 to 40 hex digits",
                                   serial);
        if (!has_serial(revoked, serial) &&
            json_array_append_new(revoked, json_string(serial)) != 0)
            return secret_out_of_memory();
    }
    return EXIT_OK;
}

/*
 * The authority as it is becomes a body for its change, which says which version it is of: who else
 * changes it meanwhile is not overwritten.
 */
static int
take_as_it_is(struct auth_call *call, json_t *body)
{
    struct client_answer answer;
    int status = client_call(call->client, CLIENT_GET, authority, NULL, &answer);

    if (status != EXIT_OK)
        return status;
    json_t *version = json_object_get(answer.json, "version");
    if (json_object_set(body, "certificate", json_object_get(answer.json, "certificate")) != 0 ||
        json_object_set(body, "revoked", json_object_get(answer.json, "revoked")) != 0 ||
        json_object_set(body, "expected_version", version) != 0)
        status = client_bad_answer();
    client_answer_close(&answer);
    return status;
}

int
command_authority_put(int argc, char **argv)
{
    struct auth_call call = {.command = "authority put"};
    bool afresh = false;
    uint64_t expected = 0;
    const struct option_spec own[] = {{.name = "--none-revoked", .flag = &afresh},
                                      {.name = "--expected-version", .number = &expected}};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, own, 2, "FILE", 1, 1);

    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK && !afresh) {
        client_set_untold(call.client, EXIT_NOT_FOUND);
        status = take_as_it_is(&call, body);
        client_set_untold(call.client, EXIT_OK);
        if (status == EXIT_NOT_FOUND) /* there is none: nothing is revoked */
            status = EXIT_OK;
    }
    if (status == EXIT_OK)
        status = set_file(body, "certificate", call.arguments.values[0]);
    if (status == EXIT_OK)
        status = auth_set_number(body, "expected_version", expected);
    if (status == EXIT_OK)
        status = auth_send(&call, CLIENT_PUT, authority, body);
    return auth_finish(&call, body, status);
}

int
command_authority_revoke(int argc, char **argv)
{
    struct auth_call call = {.command = "authority revoke"};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, NULL, 0, "SERIAL...", 1, ARGUMENTS_MAX);

    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = take_as_it_is(&call, body);
    if (status == EXIT_OK)
        status = add_serials(call.command, &call.arguments, json_object_get(body, "revoked"));
    if (status == EXIT_OK)
        status = auth_send(&call, CLIENT_PUT, authority, body);
    return auth_finish(&call, body, status);
}

int
command_authority_get(int argc, char **argv)
{
    return auth_plain("authority get", argc, argv, CLIENT_GET, authority);
}

int
command_authority_delete(int argc, char **argv)
{
    return auth_plain("authority delete", argc, argv, CLIENT_DELETE, authority);
}

/* ---- the list of revoked certificates that the authority has signed ---- */

int
command_crl_put(int argc, char **argv)
{
    struct auth_call call = {.command = "crl put"};
    json_t *body = NULL;
    int status = auth_parse(&call, argc, argv, NULL, 0, "FILE", 1, 1);

    if (status == EXIT_OK)
        body = json_object();
    if (status == EXIT_OK)
        status = set_file(body, "crl", call.arguments.values[0]);
    if (status == EXIT_OK)
        status = auth_send(&call, CLIENT_PUT, list, body);
    return auth_finish(&call, body, status);
}

int
command_crl_get(int argc, char **argv)
{
    return auth_plain("crl get", argc, argv, CLIENT_GET, list);
}

int
command_crl_delete(int argc, char **argv)
{
    return auth_plain("crl delete", argc, argv, CLIENT_DELETE, list);
}
