/*
 * Where a command finds its cluster: addresses of nodes, the CA, the access token, each from an
 * option or else from the environment; the token at last from what a login has kept.
 */
#ifndef OSTRAKA_CLI_CONNECTION_H
#define OSTRAKA_CLI_CONNECTION_H

#include "base/bytes.h"
#include "base/limits.h"

/* Options that every command has which talks to a server; NULL: from the environment. */
struct client_options {
    const char *addresses;
    const char *ca_file;
    const char *token_file;
    const char *tenant;
    bool anonymous; /* comes without a token, to get one */
};
#define CLIENT_OPTION_SPECS(options)                                                               \
    {.name = "--addr", .text = &(options)->addresses},                                             \
        {.name = "--cacert", .text = &(options)->ca_file},                                         \
        {.name = "--tenant", .text = &(options)->tenant},                                          \
    {                                                                                              \
        .name = "--token-file", .text = &(options)->token_file                                     \
    }

enum {
    ADDRESSES_MAX = 16,
    ADDRESS_BYTES_MAX = 8 + HOST_BYTES_MAX + 8, /* https://[host]:65535 */
};

struct addresses {
    char text[ADDRESSES_MAX][ADDRESS_BYTES_MAX + 1]; /* https://HOST:PORT, no slash behind it */
    size_t count;
};

/* Each returns EXIT_OK, or another exit status having said why. */
int connection_addresses(const struct client_options *options, struct addresses *out);
/* *out: borrowed from the options or the environment; NULL: the system's CAs. */
int connection_ca(const struct client_options *options, const char **out);
/* *out: the tenant to act in, borrowed as above; NULL: the caller's own. */
int connection_tenant(const struct client_options *options, const char **out);
/*
 * The header line "Authorization: Bearer ..." with its NUL; `out` is wiped by its close. The token is
 * that of --token-file, else of OSTRAKA_TOKEN, else of OSTRAKA_TOKEN_FILE, else what `ostraka login`
 * has kept for this cluster.
 */
int connection_authorization(const struct client_options *options, struct buf *out);

#endif
