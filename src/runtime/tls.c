/*
 * One place for everything that wolfSSL must be told. What is not said here because Debian's build
 * leaves it out: early data, compression, renegotiation in TLS 1.3.
 *
 * A resumed session would keep showing the certificate of its first handshake, so links, whose
 * certificates are their identity, have neither tickets nor a session cache. The API server asks
 * for no certificates and may hand out tickets.
 */
#include <wolfssl/options.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "runtime/keyfile.h"
#include "runtime/tls_crypto_callback.h"
#include "runtime/tls_internal.h"
#include "runtime/tls_period.h"

enum { PEM_FILE_BYTES_MAX = 1024 * 1024 };

#define SUITE_AES    "TLS13-AES256-GCM-SHA384"
#define SUITE_CHACHA "TLS13-CHACHA20-POLY1305-SHA256"

/* ---- the library ---- */

static void *
wiping_malloc(size_t size)
{
    return malloc(size);
}

static void
wiping_free(void *memory)
{
    if (memory)
        bytes_wipe(memory, malloc_usable_size(memory));
    free(memory);
}

static void *
wiping_realloc(void *memory, size_t size)
{
    void *moved = malloc(size);
    size_t old_size = memory ? malloc_usable_size(memory) : 0;

    if (!moved)
        return NULL;
    if (memory)
        memcpy(moved, memory, old_size < size ? old_size : size);
    wiping_free(memory);
    return moved;
}

enum vault_err
tls_global_init(void)
{
    enum vault_err err = crypto_init();

    if (err != OK)
        return err;
    if (wolfSSL_SetAllocators(wiping_malloc, wiping_free, wiping_realloc) != 0)
        return ERR_NOMEM;
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        return ERR_NOMEM;
    return tls_crypto_callback_available() ? tls_crypto_callback_register() : OK;
}

/* ---- contexts ---- */

/* Reads a whole file. *out is empty on error, with errno set. */
static bool
read_file(const char *path, struct buf *out)
{
    int fd =
        open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); /* a pipe would make us wait */
    ssize_t got = 0;

    if (fd < 0)
        return false;
    do {
        if (out->size > PEM_FILE_BYTES_MAX || buf_reserve(out, 4096) != OK) {
            errno = EFBIG;
            got = -1;
            break;
        }
        got = read(fd, out->data + out->size, 4096);
        if (got > 0)
            out->size += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0) {
        int saved = errno;

        buf_close(out);
        close(fd);
        errno = saved;
        return false;
    }
    close(fd);
    return true;
}

typedef int (*use_pem)(WOLFSSL_CTX *ctx, const unsigned char *pem, long size);

static int
use_certificate(WOLFSSL_CTX *ctx, const unsigned char *pem, long size)
{
    return wolfSSL_CTX_use_certificate_chain_buffer(ctx, pem, size);
}

static int
use_key(WOLFSSL_CTX *ctx, const unsigned char *pem, long size)
{
    return wolfSSL_CTX_use_PrivateKey_buffer(ctx, pem, size, WOLFSSL_FILETYPE_PEM);
}

static int
use_ca(WOLFSSL_CTX *ctx, const unsigned char *pem, long size)
{
    return wolfSSL_CTX_load_verify_buffer(ctx, pem, size, WOLFSSL_FILETYPE_PEM);
}

/*
 * Takes what `pem` holds, and wipes it. That a certificate is not valid now is mostly a wrong clock,
 * which is put right while nobody looks: no fault of the configuration.
 */
static enum vault_err
use_and_wipe(WOLFSSL_CTX *ctx, use_pem use, const char *what, const char *path, struct buf *pem,
             char *why, size_t why_size)
{
    int result = use(ctx, pem->data, (long)pem->size);
    bool too_soon_or_late = result == ASN_BEFORE_DATE_E || result == ASN_AFTER_DATE_E;

    if (too_soon_or_late)
        tls_period_tell(buf_bytes(pem), what, path, tls_period_now(), why, why_size);
    buf_close(pem);
    if (result == WOLFSSL_SUCCESS)
        return OK;
    wolfSSL_ERR_clear_error();
    if (too_soon_or_late)
        return ERR_NOT_READY;
    snprintf(why, why_size, "%s %s is not usable: %s", what, path,
             result < 0 ? wolfSSL_ERR_reason_error_string((unsigned long)result)
                        : "it is not PEM of the expected kind");
    return ERR_CONFIG;
}

static enum vault_err
load_pem(WOLFSSL_CTX *ctx, use_pem use, const char *what, const char *path, char *why,
         size_t why_size)
{
    struct buf pem = {0};

    if (read_file(path, &pem))
        return use_and_wipe(ctx, use, what, path, &pem, why, why_size);
    snprintf(why, why_size, "%s %s cannot be read: %s", what, path, strerror(errno));
    return ERR_CONFIG;
}

/* Whoever has it can pass for this node, so it is guarded like the other keys. */
static enum vault_err
load_key(WOLFSSL_CTX *ctx, const char *path, char *why, size_t why_size)
{
    struct buf pem;
    enum vault_err err = secret_file_read(path, PEM_FILE_BYTES_MAX, &pem, why, why_size);

    return err != OK ? err : use_and_wipe(ctx, use_key, "private key", path, &pem, why, why_size);
}

static enum vault_err
load_files(const struct tls_context *context, const struct tls_files *files, char *why,
           size_t why_size)
{
    enum vault_err err = OK;

    if (context->role != TLS_API_SERVER)
        err = load_pem(context->ctx, use_ca, "CA certificate", files->ca, why, why_size);
    if (err == OK)
        err = load_pem(context->ctx, use_certificate, "certificate", files->certificate, why,
                       why_size);
    if (err == OK)
        err = load_key(context->ctx, files->key, why, why_size);
    if (err == OK && wolfSSL_CTX_check_private_key(context->ctx) != WOLFSSL_SUCCESS) {
        snprintf(why, why_size, "private key %s does not belong to certificate %s", files->key,
                 files->certificate);
        err = ERR_CONFIG;
    }
    return err;
}

/* The choice of what is negotiated: the same for every role. */
static bool
set_algorithms(WOLFSSL_CTX *ctx)
{
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1};
    bool aes = tls_crypto_callback_available();

    if (aes && wolfSSL_CTX_SetDevId(ctx, TLS_CRYPTO_DEVICE) != WOLFSSL_SUCCESS)
        return false;
    if (wolfSSL_CTX_set_cipher_list(ctx, aes ? SUITE_AES ":" SUITE_CHACHA : SUITE_CHACHA) !=
        WOLFSSL_SUCCESS)
        return false;
    return wolfSSL_CTX_set_groups(ctx, groups, 2) == WOLFSSL_SUCCESS;
}

static bool
set_role(WOLFSSL_CTX *ctx, enum tls_role role)
{
    wolfSSL_CTX_SetIORecv(ctx, tls_io_recv);
    wolfSSL_CTX_SetIOSend(ctx, tls_io_send);
    /*
     * The cache would hold session secrets in memory that nothing wipes, and bypass verification.
     */
    wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    switch (role) {
    case TLS_API_SERVER: wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL); return true;
    case TLS_LINK_SERVER:
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                               tls_keep_leaf);
        return wolfSSL_CTX_no_ticket_TLSv13(ctx) == 0;
    case TLS_LINK_CLIENT:
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER, tls_keep_leaf);
        return true;
    }
    return false;
}

enum vault_err
tls_context_new(enum tls_role role, const struct tls_files *files, struct tls_context **out,
                char *why, size_t why_size)
{
    struct tls_context *context = calloc(1, sizeof *context);
    enum vault_err err = ERR_NOMEM;

    *out = NULL;
    snprintf(why, why_size, "out of memory");
    if (!context)
        return ERR_NOMEM;
    context->role = role;
    context->ctx = wolfSSL_CTX_new(role == TLS_LINK_CLIENT ? wolfTLSv1_3_client_method()
                                                           : wolfTLSv1_3_server_method());
    if (!context->ctx)
        goto fail;
    if (!set_algorithms(context->ctx) || !set_role(context->ctx, role)) {
        snprintf(why, why_size, "this wolfSSL lacks what the program needs");
        err = ERR_CONFIG;
        goto fail;
    }
    err = load_files(context, files, why, why_size);
    if (err != OK)
        goto fail;
    snprintf(why, why_size, "%s", "");
    *out = context;
    return OK;
fail:
    tls_context_free(context);
    return err;
}

void
tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    wolfSSL_CTX_free(context->ctx);
    free(context);
}
