/*
 * XChaCha20-Poly1305 (IETF) and, for key wrap, blocks of the store and TLS records, AES-256-GCM.
 */
#ifndef OSTRAKA_CRYPTO_AEAD_H
#define OSTRAKA_CRYPTO_AEAD_H

#include "base/bytes.h"

enum { AEAD_KEY_BYTES = 32, AEAD_NONCE_BYTES = 24, AEAD_TAG_BYTES = 16, GCM_NONCE_BYTES = 12 };

/* out takes plain.size + AEAD_TAG_BYTES. In place (out == plain.data) is allowed. */
void aead_seal(const uint8_t key[static AEAD_KEY_BYTES],
               const uint8_t nonce[static AEAD_NONCE_BYTES], struct bytes ad, struct bytes plain,
               uint8_t *out);
/*
 * out takes sealed.size - AEAD_TAG_BYTES. Errors: ERR_CORRUPT, and what `out` would hold is zeroed.
 */
MUST_CHECK enum vault_err aead_open(const uint8_t key[static AEAD_KEY_BYTES],
                                    const uint8_t nonce[static AEAD_NONCE_BYTES], struct bytes ad,
                                    struct bytes sealed, uint8_t *out);

/*
 * AES-256-GCM, 12-byte nonce, tag appended. Where the CPU has AES libsodium's, or GnuTLS's for what
 * is long; else wolfCrypt's. Errors: ERR_NOMEM, ERR_CORRUPT.
 */
MUST_CHECK enum vault_err gcm_seal(const uint8_t key[static AEAD_KEY_BYTES],
                                   const uint8_t nonce[static GCM_NONCE_BYTES], struct bytes ad,
                                   struct bytes plain, uint8_t *out);
MUST_CHECK enum vault_err gcm_open(const uint8_t key[static AEAD_KEY_BYTES],
                                   const uint8_t nonce[static GCM_NONCE_BYTES], struct bytes ad,
                                   struct bytes sealed, uint8_t *out);

/*
 * AES-256-GCM with the tag apart, by the processor's own instructions alone; for TLS records
 * (runtime/tls_crypto_callback.c). Call the other two only where it is available. In place is allowed.
 * Long records go faster where the tag follows at once.
 */
bool gcm_hardware_available(void);
void gcm_hardware_seal(const uint8_t key[static AEAD_KEY_BYTES],
                       const uint8_t nonce[static GCM_NONCE_BYTES], struct bytes ad,
                       struct bytes plain, uint8_t *out, uint8_t tag[static AEAD_TAG_BYTES]);
/* Errors: ERR_CORRUPT. */
MUST_CHECK enum vault_err gcm_hardware_open(const uint8_t key[static AEAD_KEY_BYTES],
                                            const uint8_t nonce[static GCM_NONCE_BYTES],
                                            struct bytes ad, struct bytes sealed,
                                            const uint8_t tag[static AEAD_TAG_BYTES], uint8_t *out);

#endif
