/*
 * AES-256-GCM by wolfCrypt, for processors without AES instructions. Used by aead.c, and by its
 * tests.
 */
#ifndef OSTRAKA_CRYPTO_AEAD_PORTABLE_H
#define OSTRAKA_CRYPTO_AEAD_PORTABLE_H

#include "crypto/aead.h"

/* As gcm_seal and gcm_open. */
MUST_CHECK enum vault_err gcm_seal_portable(const uint8_t key[static AEAD_KEY_BYTES],
                                            const uint8_t nonce[static GCM_NONCE_BYTES],
                                            struct bytes ad, struct bytes plain, uint8_t *out);
MUST_CHECK enum vault_err gcm_open_portable(const uint8_t key[static AEAD_KEY_BYTES],
                                            const uint8_t nonce[static GCM_NONCE_BYTES],
                                            struct bytes ad, struct bytes sealed, uint8_t *out);

#endif
