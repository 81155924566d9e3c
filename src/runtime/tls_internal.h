/*
 * Shared by tls.c and tls_session.c. Includes wolfSSL, whose options must come before all else of
 * it.
 */
#ifndef OSTRAKA_RUNTIME_TLS_INTERNAL_H
#define OSTRAKA_RUNTIME_TLS_INTERNAL_H

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "runtime/tls.h"

struct tls_context {
    WOLFSSL_CTX *ctx;
    enum tls_role role;
};

/* What wolfSSL calls to move ciphertext; `context` is the session. */
int tls_io_recv(WOLFSSL *ssl, char *out, int size, void *context);
int tls_io_send(WOLFSSL *ssl, char *data, int size, void *context);
/* What it calls for each certificate of a peer's chain, the leaf last; changes no verdict. */
int tls_keep_leaf(int verified, WOLFSSL_X509_STORE_CTX *store);

#endif
