/*
 * wolfCrypt's AES-256-GCM by libsodium. Debian's wolfSSL has a table-driven AES: slow, and
 * presumably not safe against cache timing; libsodium uses the CPU's AES instructions. A private
 * part of runtime/tls.c.
 */
#ifndef OSTRAKA_RUNTIME_TLS_CRYPTO_CALLBACK_H
#define OSTRAKA_RUNTIME_TLS_CRYPTO_CALLBACK_H

#include <stdbool.h>

#include "base/err.h"

enum { TLS_CRYPTO_DEVICE = 42 }; /* any number that is no other device's */

/* Whether this CPU can do it. */
bool tls_crypto_callback_available(void);
/* Registers the device; before any context is made. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err tls_crypto_callback_register(void);

#endif
