#include "cli/connection.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/token_store.h"
#include "proto/request.h"

static const char default_address[] = "https://127.0.0.1:7401";

static const char *
setting(const char *option, const char *variable)
{
    const char *value = option ? option : getenv(variable);

    return value && *value ? value : NULL;
}

static bool
address_valid(const char *host)
{
    if (!*host)
        return false;
    for (; *host; host++) {
        if (!isalnum((unsigned char)*host) && !strchr(".-_:[]%", *host))
            return false;
    }
    return true;
}

/* One address of the list: https://HOST:PORT, or HOST:PORT, a slash after it, spaces around it. */
static int
add_address(struct addresses *out, const char *text, size_t size)
{
    static const char scheme[] = "https://";
    const size_t scheme_size = sizeof scheme - 1;
    char host[HOST_BYTES_MAX + 9]; /* [host]:65535 */

    for (; size && *text == ' '; size--)
        text++;
    while (size && text[size - 1] == ' ')
        size--;
    if (size >= scheme_size && memcmp(text, scheme, scheme_size) == 0) {
        text += scheme_size;
        size -= scheme_size;
    }
    if (size && text[size - 1] == '/')
        size--;
    if (size >= sizeof host || out->count == ADDRESSES_MAX)
        return cli_usage_error(NULL, "the list of addresses is too long");
    memcpy(host, text, size);
    host[size] = '\0';
    if (!address_valid(host))
        return cli_usage_error(NULL, "an address must be of the form https://HOST:PORT, not \"%s\"",
                               host);
    snprintf(out->text[out->count++], ADDRESS_BYTES_MAX + 1, "%s%s", scheme, host);
    return EXIT_OK;
}

static int
parse_addresses(struct addresses *out, const char *list)
{
    int status;

    for (;;) {
        size_t size = strcspn(list, ",");
        status = add_address(out, list, size);
        if (status || !list[size])
            return status;
        list += size + 1;
    }
}

/* Of a login, for this cluster. */
static int
read_stored_token(const struct client_options *options, struct buf *token)
{
    struct buf path;
    int status = token_store_path(options, &path);

    if (status)
        return status;
    if (token_store_has((const char *)path.data)) {
        status = token_store_read((const char *)path.data, token);
    } else {
        output_error("there is no access token");
        output_hint("log in (`ostraka login --help`), or set OSTRAKA_TOKEN_FILE to the file that "
                    "has the token, such as admin.token in the cluster's folder");
        status = EXIT_UNAUTHORIZED;
    }
    buf_close(&path);
    return status;
}

static int
read_token_file(const char *file, struct buf *token)
{
    enum vault_err err = input_read_file(file, CREDENTIAL_BYTES_MAX + 2, token);

    if (err == OK || err == ERR_TOO_LARGE)
        return EXIT_OK; /* what is too large is empty, and no token */
    output_error("the token file %s cannot be read: %s", file, strerror(errno));
    return EXIT_UNAUTHORIZED;
}

static int
read_token(const struct client_options *options, struct buf *token)
{
    const char *text = options->token_file ? NULL : setting(NULL, "OSTRAKA_TOKEN");
    const char *file = setting(options->token_file, "OSTRAKA_TOKEN_FILE");
    int status = EXIT_OK;
    bool good;

    *token = (struct buf){0};
    if (!text && !file)
        status = read_stored_token(options, token);
    else if (!text)
        status = read_token_file(file, token);
    else if (buf_append_text(token, text) != OK)
        status = EXIT_UNAUTHORIZED;
    if (status)
        return status;
    input_trim_end(token);
    good = token->size > 0 && token->size <= CREDENTIAL_BYTES_MAX;
    for (size_t i = 0; i < token->size && good; i++)
        good = token->data[i] > ' ' && token->data[i] <= '~';
    if (good)
        return EXIT_OK;
    output_error("what %s holds is not a token", text   ? "OSTRAKA_TOKEN"
                                                 : file ? file
                                                        : "the file of the last login");
    return EXIT_UNAUTHORIZED;
}

int
connection_addresses(const struct client_options *options, struct addresses *out)
{
    const char *list = setting(options->addresses, "OSTRAKA_ADDR");

    *out = (struct addresses){0};
    return parse_addresses(out, list ? list : default_address);
}

int
connection_ca(const struct client_options *options, const char **out)
{
    *out = setting(options->ca_file, "OSTRAKA_CACERT");
    if (!*out || access(*out, R_OK) == 0)
        return EXIT_OK;
    output_error("the CA certificate %s cannot be read: %s", *out, strerror(errno));
    output_hint("OSTRAKA_CACERT names the file ca/ca.crt of the cluster's folder");
    return EXIT_CONFIGURATION;
}

int
connection_tenant(const struct client_options *options, const char **out)
{
    *out = setting(options->tenant, "OSTRAKA_TENANT");
    if (!*out || tenant_name_valid(bytes_of_text(*out)))
        return EXIT_OK;
    return cli_usage_error(NULL, "\"%s\" is not the name of a tenant", *out);
}

int
connection_authorization(const struct client_options *options, struct buf *out)
{
    struct buf token;
    int status = read_token(options, &token);

    *out = (struct buf){0};
    if (status == EXIT_OK &&
        (buf_append_text(out, "Authorization: Bearer ") != OK ||
         buf_append(out, buf_bytes(&token)) != OK || buf_append(out, bytes_of("", 1)) != OK)) {
        output_error("out of memory");
        status = EXIT_FAILED;
    }
    buf_close(&token);
    return status;
}
