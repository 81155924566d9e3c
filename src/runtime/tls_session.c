/* One TLS connection: handshake, records, its end, and who the peer is. */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/tls_internal.h"

enum {
    RECORD_BYTES_MAX = 16 * 1024,    /* RFC 8446, section 5.1 */
    UNSENT_BYTES_MAX = 128 * 1024,   /* a flight or a record; alerts and key updates behind it */
    FRUITLESS_BYTES_MAX = 64 * 1024, /* a handshake, or a record and some key updates before it */
    AHEAD_BYTES_MAX = 16 * 1024,     /* taken from the socket at a time */
    AHEAD_KEPT_BYTES = 2 * 1024,     /* memory that a session keeps for that between records */
};

#define ALPN_HTTP "http/1.1"
#define ALPN_LINK "ostraka-link/1" /* earlier programs neither offer nor look at a protocol */

struct tls_session {
    WOLFSSL *ssl;
    enum tls_role role;
    int fd;
    bool failed; /* an alert has been sent or the stream is broken: nothing more may be written */
    const char *failure; /* static text */
    struct buf unsent;   /* records that the socket did not take yet */
    struct buf ahead;    /* ciphertext that came behind what the library asked for */
    size_t ahead_used;   /* of that */
    bool emptied;        /* the socket had less than was asked of it */
    size_t fruitless;    /* received since the beginning, or since the last data */
    size_t written;      /* plaintext that went into `unsent` and was not yet reported as written */
    struct buf peer;     /* DER of the peer's certificate, once it has been verified */
};

/* ---- the socket ---- */

/*
 * The library reads on until it has data, over as many records without any (key updates, empty
 * ones) as the peer cares to send. Ten megabytes of them, from a client that need not have
 * authenticated itself, would hold up the whole node for a second; so a peer that sends more than a
 * few is given up.
 */
static bool
is_fruitless(const struct tls_session *session)
{
    return session->fruitless > FRUITLESS_BYTES_MAX;
}

/* As recv(2), but for interruptions, and that it remembers whether there may be more. */
static ssize_t
receive(struct tls_session *session, void *out, size_t size)
{
    ssize_t got;

    do {
        got = recv(session->fd, out, size, 0);
    } while (got < 0 && errno == EINTR);
    session->emptied = got < 0 || (size_t)got < size;
    return got;
}

/* From what is there already. */
static size_t
take_ahead(struct tls_session *session, void *out, size_t size)
{
    struct buf *ahead = &session->ahead;
    size_t left = ahead->size - session->ahead_used;
    size_t take = size < left ? size : left;

    memcpy(out, ahead->data + session->ahead_used, take);
    session->ahead_used += take;
    if (take < left)
        return take;
    session->ahead_used = ahead->size = 0; /* ciphertext, which needs no wiping */
    if (ahead->capacity > AHEAD_KEPT_BYTES)
        buf_close(ahead);
    return take;
}

/*
 * The library asks for the head of a record and then for the rest. One call for both, and for what
 * comes behind them, spares half of the calls; what is not asked for yet waits in `ahead`.
 */
static ssize_t
receive_ahead(struct tls_session *session, void *out, size_t size)
{
    uint8_t some[AHEAD_BYTES_MAX];
    ssize_t got;

    if (size >= sizeof some)
        return receive(session, out, size);
    got = receive(session, some, sizeof some);
    if (got <= 0)
        return got;
    if ((size_t)got <= size) {
        memcpy(out, some, (size_t)got);
        return got;
    }
    if (buf_append(&session->ahead, bytes_of(some + size, (size_t)got - size)) != OK) {
        errno = ENOMEM;
        return -1;
    }
    memcpy(out, some, size);
    return (ssize_t)size;
}

int
tls_io_recv(WOLFSSL *ssl, char *out, int size, void *context)
{
    struct tls_session *session = context;
    ssize_t got;

    (void)ssl;
    if (is_fruitless(session))
        return WOLFSSL_CBIO_ERR_GENERAL;
    if (session->ahead.size > 0)
        got = (ssize_t)take_ahead(session, out, (size_t)size);
    else
        got = receive_ahead(session, out, (size_t)size);
    if (got > 0) {
        session->fruitless += (size_t)got;
        return (int)got;
    }
    if (got == 0)
        return WOLFSSL_CBIO_ERR_CONN_CLOSE;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    return errno == ECONNRESET ? WOLFSSL_CBIO_ERR_CONN_RST : WOLFSSL_CBIO_ERR_GENERAL;
}

/* Sends as much as the socket takes. 0 or an errno that says that the connection is over. */
static int
send_some(int fd, struct bytes data, size_t *sent)
{
    *sent = 0;
    while (*sent < data.size) {
        ssize_t put = send(fd, data.data + *sent, data.size - *sent, MSG_NOSIGNAL);

        if (put >= 0)
            *sent += (size_t)put;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int
send_unsent(struct tls_session *session)
{
    size_t sent;
    int error = send_some(session->fd, buf_bytes(&session->unsent), &sent);

    buf_consume(&session->unsent, sent);
    return error;
}

/*
 * Takes everything or fails. When wolfSSL 5.5.4 appends a record (the answer to a key update, an
 * alert) to one that was sent in part, it forgets that a part was sent, and sends as many bytes of
 * foreign memory from behind its buffer to whoever asked for it. So it never learns of a part.
 */
int
tls_io_send(WOLFSSL *ssl, char *data, int size, void *context)
{
    struct tls_session *session = context;
    struct bytes record = bytes_of(data, (size_t)size);
    size_t sent = 0;
    int error;

    (void)ssl;
    error = send_unsent(session);
    if (error == 0 && session->unsent.size == 0)
        error = send_some(session->fd, record, &sent);
    if (error == EPIPE)
        return WOLFSSL_CBIO_ERR_CONN_CLOSE;
    if (error != 0)
        return error == ECONNRESET ? WOLFSSL_CBIO_ERR_CONN_RST : WOLFSSL_CBIO_ERR_GENERAL;
    if (session->unsent.size > UNSENT_BYTES_MAX ||
        buf_append(&session->unsent, bytes_of(data + sent, record.size - sent)) != OK)
        return WOLFSSL_CBIO_ERR_GENERAL;
    return size;
}

/* ---- life ---- */

enum vault_err
tls_session_new(struct tls_context *context, int fd, struct tls_session **out)
{
    struct tls_session *session = calloc(1, sizeof *session);

    *out = NULL;
    if (!session)
        return ERR_NOMEM;
    *session = (struct tls_session){.role = context->role, .fd = fd, .failure = ""};
    session->ssl = wolfSSL_new(context->ctx);
    if (!session->ssl)
        goto fail;
    wolfSSL_SetIOReadCtx(session->ssl, session);
    wolfSSL_SetIOWriteCtx(session->ssl, session);
    wolfSSL_SetCertCbCtx(session->ssl, session);
    if (context->role == TLS_API_SERVER) {
        char protocols[] = ALPN_HTTP;

        if (wolfSSL_UseALPN(session->ssl, protocols, sizeof protocols - 1,
                            WOLFSSL_ALPN_FAILED_ON_MISMATCH) != WOLFSSL_SUCCESS)
            goto fail;
    }
    *out = session;
    return OK;
fail:
    tls_session_free(session);
    return ERR_NOMEM;
}

void
tls_session_free(struct tls_session *session)
{
    if (!session)
        return;
    wolfSSL_free(session->ssl);
    buf_close(&session->unsent);
    buf_close(&session->ahead);
    buf_close(&session->peer);
    free(session);
}

static enum tls_result
fail(struct tls_session *session, const char *text)
{
    session->failed = true;
    session->failure = text;
    return TLS_FAILED;
}

/* TLS_DONE when nothing is left to send. */
static enum tls_result
drain(struct tls_session *session)
{
    if (send_unsent(session) != 0) {
        session->failed = true;
        session->failure = "closed by the peer without notice";
        return TLS_CLOSED;
    }
    return session->unsent.size == 0 ? TLS_DONE : TLS_WANT_WRITE;
}

/* What a call that did not succeed means. The library's error queue is emptied: it would grow. */
static enum tls_result
unfinished(struct tls_session *session, int result)
{
    int code = wolfSSL_get_error(session->ssl, result);

    wolfSSL_ERR_clear_error();
    if (is_fruitless(session))
        return fail(session, "the peer sends much and says nothing");
    switch (code) {
    case WOLFSSL_ERROR_WANT_READ: return TLS_WANT_READ;
    case WOLFSSL_ERROR_WANT_WRITE: return TLS_WANT_WRITE;
    case WOLFSSL_ERROR_ZERO_RETURN: session->failure = "closed by the peer"; return TLS_CLOSED;
    case SOCKET_PEER_CLOSED_E:
    case WOLFSSL_ERROR_SYSCALL:
        session->failed = true;
        session->failure = "closed by the peer without notice";
        return TLS_CLOSED;
    default: return fail(session, wolfSSL_ERR_reason_error_string((unsigned long)code));
    }
}

/*
 * The library goes on without a protocol in cases where it should refuse, so what came out is
 * checked: a client that named protocols must have named ours.
 */
static bool
protocol_agreed(struct tls_session *session)
{
    char *offered = NULL, *chosen = NULL;
    unsigned short offered_size = 0, chosen_size = 0;
    bool any;

    any = wolfSSL_ALPN_GetPeerProtocol(session->ssl, &offered, &offered_size) == WOLFSSL_SUCCESS &&
          offered_size > 0;
    if (offered)
        wolfSSL_ALPN_FreePeerProtocol(session->ssl, &offered);
    if (!any)
        return true;
    if (wolfSSL_ALPN_GetProtocol(session->ssl, &chosen, &chosen_size) != WOLFSSL_SUCCESS)
        return false;
    return bytes_equal(bytes_of(chosen, chosen_size), bytes_of_text(ALPN_HTTP));
}

enum tls_result
tls_handshake(struct tls_session *session)
{
    enum tls_result result = TLS_DONE, sent;
    int done;

    if (session->failed)
        return TLS_FAILED;
    done = session->role == TLS_LINK_CLIENT ? wolfSSL_connect(session->ssl)
                                            : wolfSSL_accept(session->ssl);
    if (done != WOLFSSL_SUCCESS)
        result = unfinished(session, done);
    if (result != TLS_DONE && result != TLS_WANT_READ)
        return result;
    sent = drain(session);
    if (sent != TLS_DONE)
        return sent;
    if (result != TLS_DONE)
        return result;
    if (session->role == TLS_API_SERVER && !protocol_agreed(session))
        return fail(session, "the client does not speak HTTP/1.1");
    session->fruitless = 0;
    return TLS_DONE;
}

enum tls_result
tls_read(struct tls_session *session, uint8_t *out, size_t size, size_t *got)
{
    int result;

    *got = 0;
    if (session->failed)
        return TLS_FAILED;
    if (size > RECORD_BYTES_MAX)
        size = RECORD_BYTES_MAX;
    result = wolfSSL_read(session->ssl, out, (int)size);
    if (result <= 0)
        return unfinished(session, result);
    session->fruitless = 0;
    *got = (size_t)result;
    return TLS_DONE;
}

enum tls_result
tls_write(struct tls_session *session, struct bytes data, size_t *put)
{
    enum tls_result result;

    *put = 0;
    if (session->failed)
        return TLS_FAILED;
    result = drain(session);
    if (result == TLS_DONE && session->written == 0 && data.size > 0) {
        size_t size = data.size < RECORD_BYTES_MAX ? data.size : RECORD_BYTES_MAX;
        int written = wolfSSL_write(session->ssl, data.data, (int)size);

        if (written <= 0)
            return unfinished(session, written);
        session->written = (size_t)written;
        result = drain(session);
    }
    if (result != TLS_DONE)
        return result;
    /* All of it has left, perhaps after the same data was offered several times. */
    *put = session->written;
    session->written = 0;
    return TLS_DONE;
}

bool
tls_pending(struct tls_session *session)
{
    return !session->failed && (session->ahead.size > 0 || wolfSSL_pending(session->ssl) > 0);
}

bool
tls_emptied(struct tls_session *session)
{
    return session->emptied && !tls_pending(session);
}

void
tls_shutdown(struct tls_session *session)
{
    if (session->failed)
        return;
    (void)wolfSSL_shutdown(session->ssl);
    wolfSSL_ERR_clear_error();
}

const char *
tls_error_text(struct tls_session *session)
{
    return session->failure;
}

/* ---- identity ---- */

/* The node that a URI names, or -1: "ostraka://<cluster id, lower-case hex>/<node name>". */
static int
node_of_uri(struct bytes uri, const struct cluster *cluster)
{
    char prefix[sizeof "ostraka:///" + 2 * CLUSTER_ID_BYTES];
    size_t size = (size_t)snprintf(prefix, sizeof prefix, "ostraka://");

    for (size_t i = 0; i < CLUSTER_ID_BYTES; i++)
        size += (size_t)snprintf(prefix + size, sizeof prefix - size, "%02x", cluster->id[i]);
    size += (size_t)snprintf(prefix + size, sizeof prefix - size, "/");
    assert(size == sizeof prefix - 1);

    if (uri.size <= size || memcmp(uri.data, prefix, size) != 0)
        return -1;
    return cluster_find_node(cluster, bytes_of(uri.data + size, uri.size - size));
}

/* A certificate with two URIs is refused: it would be a matter of order whom it names. */
static enum vault_err
node_of_names(const DNS_entry *names, const struct cluster *cluster, unsigned *node)
{
    unsigned uris = 0;
    int found = -1;

    for (const DNS_entry *name = names; name; name = name->next) {
        if (name->type != ASN_URI_TYPE)
            continue;
        uris++;
        found = node_of_uri(bytes_of(name->name, (size_t)name->len), cluster);
    }
    if (uris != 1 || found < 0)
        return ERR_FORBIDDEN;
    *node = (unsigned)found;
    return OK;
}

/*
 * The library's own copies are of no use: the chain of the session leaves out certificates of more
 * than 2,048 bytes, and begins with the next one then; the X509 object cannot be had for Ed25519
 * (5.5.4). So the leaf is taken when it is verified.
 */
int
tls_keep_leaf(int verified, WOLFSSL_X509_STORE_CTX *store)
{
    struct tls_session *session = store->userCtx;

    if (!verified || store->error_depth != 0 || !session || store->totalCerts < 1)
        return verified;
    buf_close(&session->peer);
    return buf_append(&session->peer, bytes_of(store->certs[0].buffer, store->certs[0].length)) ==
           OK;
}

/* Its signature has been verified by then. */
enum vault_err
tls_peer_node(struct tls_session *session, const struct cluster *cluster, unsigned *node)
{
    struct bytes der = tls_peer_certificate(session);
    enum vault_err err = ERR_FORBIDDEN;
    DecodedCert leaf;

    *node = 0;
    if (der.size == 0)
        return ERR_FORBIDDEN;
    wc_InitDecodedCert(&leaf, der.data, (word32)der.size, NULL);
    if (wc_ParseCert(&leaf, CERT_TYPE, NO_VERIFY, NULL) == 0)
        err = node_of_names(leaf.altNames, cluster, node);
    wc_FreeDecodedCert(&leaf);
    wolfSSL_ERR_clear_error();
    return err;
}

enum vault_err
tls_extend(struct tls_session *session)
{
    char protocols[] = ALPN_LINK;

    return wolfSSL_UseALPN(session->ssl, protocols, sizeof protocols - 1,
                           WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) == WOLFSSL_SUCCESS
               ? OK
               : ERR_NOMEM;
}

bool
tls_peer_extends(struct tls_session *session)
{
    char *chosen = NULL;
    unsigned short size = 0;

    return wolfSSL_ALPN_GetProtocol(session->ssl, &chosen, &size) == WOLFSSL_SUCCESS &&
           bytes_equal(bytes_of(chosen, size), bytes_of_text(ALPN_LINK));
}

struct bytes
tls_peer_certificate(struct tls_session *session)
{
    return buf_bytes(&session->peer);
}
