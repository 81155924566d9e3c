#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "crypto/aead.h"
#include "runtime/tls_crypto_callback.h"

/* wolfCrypt keeps the raw key of an Aes that belongs to a device in devKey. */
static const uint8_t *
raw_key(const Aes *aes)
{
    return (const uint8_t *)aes->devKey;
}

static bool
sizes_fit(const Aes *aes, word32 iv_size, word32 tag_size)
{
    return aes->keylen == AEAD_KEY_BYTES && iv_size == GCM_NONCE_BYTES &&
           tag_size == AEAD_TAG_BYTES;
}

static int
gcm_encrypt(const wc_CryptoInfo *info)
{
    const Aes *aes = info->cipher.aesgcm_enc.aes;

    if (!sizes_fit(aes, info->cipher.aesgcm_enc.ivSz, info->cipher.aesgcm_enc.authTagSz))
        return CRYPTOCB_UNAVAILABLE;
    gcm_hardware_seal(raw_key(aes), info->cipher.aesgcm_enc.iv,
                      bytes_of(info->cipher.aesgcm_enc.authIn, info->cipher.aesgcm_enc.authInSz),
                      bytes_of(info->cipher.aesgcm_enc.in, info->cipher.aesgcm_enc.sz),
                      info->cipher.aesgcm_enc.out, info->cipher.aesgcm_enc.authTag);
    return 0;
}

static int
gcm_decrypt(const wc_CryptoInfo *info)
{
    const Aes *aes = info->cipher.aesgcm_dec.aes;

    if (!sizes_fit(aes, info->cipher.aesgcm_dec.ivSz, info->cipher.aesgcm_dec.authTagSz))
        return CRYPTOCB_UNAVAILABLE;
    if (gcm_hardware_open(
            raw_key(aes), info->cipher.aesgcm_dec.iv,
            bytes_of(info->cipher.aesgcm_dec.authIn, info->cipher.aesgcm_dec.authInSz),
            bytes_of(info->cipher.aesgcm_dec.in, info->cipher.aesgcm_dec.sz),
            info->cipher.aesgcm_dec.authTag, info->cipher.aesgcm_dec.out) != OK)
        return AES_GCM_AUTH_E;
    return 0;
}

static int
crypto_callback(int device, wc_CryptoInfo *info, void *context)
{
    (void)device;
    (void)context;
    if (info->algo_type != WC_ALGO_TYPE_CIPHER || info->cipher.type != WC_CIPHER_AES_GCM)
        return CRYPTOCB_UNAVAILABLE;
    return info->cipher.enc ? gcm_encrypt(info) : gcm_decrypt(info);
}

bool
tls_crypto_callback_available(void)
{
    return gcm_hardware_available();
}

enum vault_err
tls_crypto_callback_register(void)
{
    return wc_CryptoCb_RegisterDevice(TLS_CRYPTO_DEVICE, crypto_callback, NULL) == 0 ? OK
                                                                                     : ERR_NOMEM;
}
