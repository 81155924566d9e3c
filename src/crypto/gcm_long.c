#include "crypto/gcm_long.h"

#include <assert.h>
#include <gnutls/crypto.h>
#include <sodium.h>
#include <string.h>

static enum vault_err
context_new(const uint8_t *key, gnutls_aead_cipher_hd_t *out)
{
    uint8_t copy[AEAD_KEY_BYTES]; /* its argument is not const */
    gnutls_datum_t datum = {.data = copy, .size = sizeof(copy)};

    memcpy(copy, key, sizeof(copy));
    int rc = gnutls_aead_cipher_init(out, GNUTLS_CIPHER_AES_256_GCM, &datum);
    sodium_memzero(copy, sizeof(copy));
    return rc == 0 ? OK : ERR_NOMEM;
}

enum vault_err
gcm_long_seal(const uint8_t key[static AEAD_KEY_BYTES], const uint8_t nonce[static GCM_NONCE_BYTES],
              struct bytes ad, struct bytes plain, uint8_t *out)
{
    gnutls_aead_cipher_hd_t context;
    size_t size = plain.size + AEAD_TAG_BYTES;

    if (context_new(key, &context) != OK)
        return ERR_NOMEM;
    int rc = gnutls_aead_cipher_encrypt(context, nonce, GCM_NONCE_BYTES, ad.data, ad.size,
                                        AEAD_TAG_BYTES, plain.data, plain.size, out, &size);
    gnutls_aead_cipher_deinit(context);
    assert(rc == 0); /* the sizes are right, and it takes no memory */
    (void)rc;
    return OK;
}

enum vault_err
gcm_long_open(const uint8_t key[static AEAD_KEY_BYTES], const uint8_t nonce[static GCM_NONCE_BYTES],
              struct bytes ad, struct bytes sealed, uint8_t *out)
{
    gnutls_aead_cipher_hd_t context;

    if (sealed.size < AEAD_TAG_BYTES)
        return ERR_CORRUPT;
    size_t size = sealed.size - AEAD_TAG_BYTES;
    if (context_new(key, &context) != OK)
        return ERR_NOMEM;
    int rc = gnutls_aead_cipher_decrypt(context, nonce, GCM_NONCE_BYTES, ad.data, ad.size,
                                        AEAD_TAG_BYTES, sealed.data, sealed.size, out, &size);
    gnutls_aead_cipher_deinit(context);
    if (rc == 0)
        return OK;
    sodium_memzero(out, sealed.size - AEAD_TAG_BYTES); /* it deciphers before it compares */
    return ERR_CORRUPT;
}
