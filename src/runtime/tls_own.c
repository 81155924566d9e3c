/*
 * A node's own certificate, tried before others are asked to take it. A node with another node's
 * certificate, or with another cluster's CA, would otherwise start, be refused by all, and say no
 * more than that it has no majority.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/certificates.h"
#include "runtime/keyfile.h"
#include "runtime/tls.h"
#include "runtime/tls_chain.h"
#include "runtime/tls_period.h"

enum {
    PEM_FILE_BYTES_MAX = 1024 * 1024,
    TURNS_MAX = 32, /* a handshake takes three or four; large certificates may fill the socket */
};

struct pair {
    int fds[2];
    struct tls_session *server, *client;
};

static enum vault_err
open_pair(struct tls_context *server, struct tls_context *client, struct pair *pair)
{
    enum vault_err err;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fds) != 0)
        return ERR_IO;
    err = tls_session_new(server, pair->fds[0], &pair->server);
    return err == OK ? tls_session_new(client, pair->fds[1], &pair->client) : err;
}

static void
close_pair(struct pair *pair)
{
    tls_session_free(pair->server);
    tls_session_free(pair->client);
    for (int i = 0; i < 2; i++) {
        if (pair->fds[i] >= 0)
            close(pair->fds[i]);
    }
}

static bool
goes_on(enum tls_result result)
{
    return result == TLS_WANT_READ || result == TLS_WANT_WRITE;
}

/* NULL when both sides are content, else what the one that is not says. */
static const char *
shake_hands(struct pair *pair)
{
    enum tls_result server = TLS_WANT_READ, client = TLS_WANT_READ;

    for (int turn = 0; turn < TURNS_MAX && (goes_on(server) || goes_on(client)); turn++) {
        if (goes_on(client))
            client = tls_handshake(pair->client);
        if (goes_on(server))
            server = tls_handshake(pair->server);
    }
    if (client == TLS_DONE && server == TLS_DONE)
        return NULL;
    return tls_error_text(client == TLS_FAILED ? pair->client : pair->server);
}

/* The handshake would refuse it too, but cannot say from when to when it is valid. */
static enum vault_err
check_period(const char *path, char *why, size_t why_size)
{
    uint64_t now = tls_period_now();
    struct tls_period period;
    struct buf pem;
    enum vault_err err = file_read(path, PEM_FILE_BYTES_MAX, &pem);

    if (err != OK) {
        snprintf(why, why_size, "certificate %s cannot be read: %s", path, vault_err_text(err));
        return ERR_CONFIG;
    }
    if (tls_period_read(buf_bytes(&pem), &period) == OK &&
        (now < period.not_before_ms || now > period.not_after_ms)) {
        tls_period_tell(buf_bytes(&pem), "certificate", path, now, why, why_size);
        err = ERR_NOT_READY;
    }
    buf_close(&pem);
    return err;
}

static enum vault_err
check_name(struct pair *pair, const struct tls_files *files, const struct cluster *cluster,
           unsigned self, char *why, size_t why_size)
{
    char uri[NODE_URI_BYTES];
    unsigned node;

    if (tls_peer_node(pair->client, cluster, &node) == OK && node == self)
        return OK;
    node_uri(cluster->id, cluster->nodes[self].name, uri);
    snprintf(why, why_size, "certificate %s is not this node's: it must name %s",
             files->certificate, uri);
    return ERR_CONFIG;
}

enum vault_err
tls_check_own(struct tls_context *server, struct tls_context *client, const struct tls_files *files,
              const struct cluster *cluster, unsigned self, char *why, size_t why_size)
{
    struct pair pair = {.fds = {-1, -1}};
    const char *fault;
    enum vault_err err = check_period(files->certificate, why, why_size);

    if (err != OK)
        return err;
    err = open_pair(server, client, &pair);
    if (err != OK) {
        snprintf(why, why_size, "the certificate cannot be tried: %s", vault_err_text(err));
    } else if ((fault = shake_hands(&pair)) != NULL) {
        tls_chain_tell(files, fault, why, why_size);
        err = ERR_CONFIG;
    } else {
        err = check_name(&pair, files, cluster, self, why, why_size);
    }
    close_pair(&pair);
    return err;
}
