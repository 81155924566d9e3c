/* wolfssl/options.h must come before any other header of wolfSSL. */
#include <wolfssl/options.h>

#include "crypto/aead_portable.h"

#include <assert.h>
#include <sodium.h>
#include <wolfssl/wolfcrypt/aes.h>

/* INVALID_DEVID keeps the crypto callback of the TLS side out of the way. */
static enum vault_err
aes_begin(Aes *aes, const uint8_t *key)
{
    if (wc_AesInit(aes, NULL, INVALID_DEVID) != 0)
        return ERR_NOMEM;
    if (wc_AesGcmSetKey(aes, key, AEAD_KEY_BYTES) != 0) {
        wc_AesFree(aes);
        return ERR_NOMEM;
    }
    return OK;
}

static void
aes_end(Aes *aes)
{
    wc_AesFree(aes);
    sodium_memzero(aes, sizeof(*aes));
}

enum vault_err
gcm_seal_portable(const uint8_t key[static AEAD_KEY_BYTES],
                  const uint8_t nonce[static GCM_NONCE_BYTES], struct bytes ad, struct bytes plain,
                  uint8_t *out)
{
    enum vault_err err;
    Aes aes;

    assert(plain.size <= INT32_MAX);
    assert(ad.size <= INT32_MAX);
    err = aes_begin(&aes, key);
    if (err != OK)
        goto out;
    if (wc_AesGcmEncrypt(&aes, out, plain.data, (word32)plain.size, nonce, GCM_NONCE_BYTES,
                         out + plain.size, AEAD_TAG_BYTES, ad.data, (word32)ad.size) != 0) {
        sodium_memzero(out, plain.size + AEAD_TAG_BYTES);
        err = ERR_NOMEM;
    }
    aes_end(&aes);
out:
    sodium_memzero(&aes, sizeof(aes));
    return err;
}

enum vault_err
gcm_open_portable(const uint8_t key[static AEAD_KEY_BYTES],
                  const uint8_t nonce[static GCM_NONCE_BYTES], struct bytes ad, struct bytes sealed,
                  uint8_t *out)
{
    enum vault_err err;
    size_t size;
    Aes aes;

    if (sealed.size < AEAD_TAG_BYTES)
        return ERR_CORRUPT;
    size = sealed.size - AEAD_TAG_BYTES;
    assert(size <= INT32_MAX);
    assert(ad.size <= INT32_MAX);
    err = aes_begin(&aes, key);
    if (err != OK)
        goto out;
    if (wc_AesGcmDecrypt(&aes, out, sealed.data, (word32)size, nonce, GCM_NONCE_BYTES,
                         sealed.data + size, AEAD_TAG_BYTES, ad.data, (word32)ad.size) != 0)
        err = ERR_CORRUPT;
    aes_end(&aes);
out:
    if (err != OK)
        sodium_memzero(out, size);
    sodium_memzero(&aes, sizeof(aes));
    return err;
}
