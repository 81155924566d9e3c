/*
 * TLS by wolfSSL: contexts for the API server, and for links in both roles; the AES-256-GCM
 * callback into libsodium. Only runtime/ includes wolfSSL's TLS headers.
 */
#ifndef OSTRAKA_RUNTIME_TLS_H
#define OSTRAKA_RUNTIME_TLS_H

#include "base/bytes.h"
#include "proto/cluster.h"

struct tls_context;
struct tls_session;

/*
 * Call once before threads start: wolfSSL with allocators that wipe, the crypto callback where the
 * CPU has AES.
 */
MUST_CHECK enum vault_err tls_global_init(void);

enum tls_role {
    TLS_API_SERVER,  /* TLS 1.3, ALPN http/1.1, client certificate not asked for */
    TLS_LINK_SERVER, /* TLS 1.3, peer certificate required, no tickets, no early data */
    TLS_LINK_CLIENT,
};

struct tls_files {
    const char *ca;          /* PEM */
    const char *certificate; /* PEM, leaf first */
    const char *key;         /* PEM */
};

/*
 * Errors: ERR_CONFIG, or ERR_NOT_READY for a CA certificate that is not valid at this time of the
 * clock, with a sentence naming the file in `why`. Preference: X25519; AES-256-GCM
 * first where the callback is used, else ChaCha20-Poly1305.
 */
MUST_CHECK enum vault_err tls_context_new(enum tls_role role, const struct tls_files *files,
                                          struct tls_context **out, char *why, size_t why_size);
void tls_context_free(struct tls_context *context);

/*
 * Whether the other nodes will take this node's certificate: it shakes hands with itself, in both
 * roles, and looks for its own name.
 *
 * files    what both contexts were made of
 *
 * Errors, with a sentence in `why`: ERR_CONFIG; ERR_NOT_READY for a certificate that is not valid
 * at this time of the clock; ERR_NOMEM, ERR_IO.
 */
MUST_CHECK enum vault_err tls_check_own(struct tls_context *server, struct tls_context *client,
                                        const struct tls_files *files,
                                        const struct cluster *cluster, unsigned self, char *why,
                                        size_t why_size);

/* A session on a connected, non-blocking socket; the socket stays the caller's. */
MUST_CHECK enum vault_err tls_session_new(struct tls_context *context, int fd,
                                          struct tls_session **out);
void tls_session_free(struct tls_session *session); /* no close_notify; call tls_shutdown before */

enum tls_result { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_CLOSED, TLS_FAILED };
enum tls_result tls_handshake(struct tls_session *session);
enum tls_result tls_read(struct tls_session *session, uint8_t *out, size_t size, size_t *got);
enum tls_result
tls_write(struct tls_session *session, struct bytes data,
          size_t *put); /* at most 16 KiB a call; after WANT_WRITE retry with the same data */
/* Whether something has been taken from the socket that has not been read: no event tells of it. */
bool tls_pending(struct tls_session *session);
/* Nothing has, and the socket had no more when it was asked last: an event tells when it does. */
bool tls_emptied(struct tls_session *session);
void tls_shutdown(struct tls_session *session);
const char *
tls_error_text(struct tls_session *session); /* why the last call failed; valid until the next */

/*
 * Identity of the peer of a link, after the handshake: the node number that its certificate's URI
 * SAN "ostraka://<cluster id hex>/<node name>" names. Errors: ERR_FORBIDDEN (no certificate, other
 * cluster, not a node of it).
 */
MUST_CHECK enum vault_err tls_peer_node(struct tls_session *session, const struct cluster *cluster,
                                        unsigned *node);
/*
 * Of a link: tells the other end, before the handshake, that this program says in its HELLO what
 * earlier ones would call malformed, and takes it; and afterwards, whether the other one does, too.
 * Both ends find the same. Errors: ERR_NOMEM.
 */
MUST_CHECK enum vault_err tls_extend(struct tls_session *session);
bool tls_peer_extends(struct tls_session *session);
/* The certificate of the peer (DER), verified; empty: none. Valid as long as the session. */
struct bytes tls_peer_certificate(struct tls_session *session);
/* Issuing: see runtime/certificates.h */

#endif
