/*
 * AES-256-GCM of long inputs by GnuTLS, which is there already (libcurl's TLS) and works on several
 * blocks at a time where libsodium takes one after the other. Each call has a context of its own,
 * made and wiped within: that is dear for short inputs, and leaves no key schedule anywhere.
 *
 * For crypto/aead.c, which asks for it only where the processor has AES: without, GnuTLS would use
 * tables.
 */
#ifndef OSTRAKA_CRYPTO_GCM_LONG_H
#define OSTRAKA_CRYPTO_GCM_LONG_H

#include "crypto/aead.h"

enum { GCM_LONG_BYTES = 768 /* from here on it is quicker */ };

/*
 * As gcm_seal() and gcm_open(), in place as well. Errors: ERR_NOMEM, with nothing done; ERR_CORRUPT,
 * and what `out` would hold is zeroed.
 */
MUST_CHECK enum vault_err gcm_long_seal(const uint8_t key[static AEAD_KEY_BYTES],
                                        const uint8_t nonce[static GCM_NONCE_BYTES],
                                        struct bytes ad, struct bytes plain, uint8_t *out);
MUST_CHECK enum vault_err gcm_long_open(const uint8_t key[static AEAD_KEY_BYTES],
                                        const uint8_t nonce[static GCM_NONCE_BYTES],
                                        struct bytes ad, struct bytes sealed, uint8_t *out);

#endif
