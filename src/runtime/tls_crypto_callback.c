#include <wolfssl/options.h>

#include <assert.h>
#include <sodium.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "runtime/tls_crypto_callback.h"

enum { KEY_BYTES = 32, IV_BYTES = 12, TAG_BYTES = 16 };

static_assert(KEY_BYTES == crypto_aead_aes256gcm_KEYBYTES, "one key size");
static_assert(IV_BYTES == crypto_aead_aes256gcm_NPUBBYTES, "one nonce size");
static_assert(TAG_BYTES == crypto_aead_aes256gcm_ABYTES, "one tag size");

/* wolfCrypt keeps the raw key of an Aes that belongs to a device in devKey. */
static const uint8_t *
raw_key(const Aes *aes)
{
    return (const uint8_t *)aes->devKey;
}

static bool
sizes_fit(const Aes *aes, word32 iv_size, word32 tag_size)
{
    return aes->keylen == KEY_BYTES && iv_size == IV_BYTES && tag_size == TAG_BYTES;
}

static int
gcm_encrypt(const wc_CryptoInfo *info)
{
    const Aes *aes = info->cipher.aesgcm_enc.aes;

    if (!sizes_fit(aes, info->cipher.aesgcm_enc.ivSz, info->cipher.aesgcm_enc.authTagSz))
        return CRYPTOCB_UNAVAILABLE;
    return crypto_aead_aes256gcm_encrypt_detached(
        info->cipher.aesgcm_enc.out, info->cipher.aesgcm_enc.authTag, NULL,
        info->cipher.aesgcm_enc.in, info->cipher.aesgcm_enc.sz, info->cipher.aesgcm_enc.authIn,
        info->cipher.aesgcm_enc.authInSz, NULL, info->cipher.aesgcm_enc.iv, raw_key(aes));
}

static int
gcm_decrypt(const wc_CryptoInfo *info)
{
    const Aes *aes = info->cipher.aesgcm_dec.aes;

    if (!sizes_fit(aes, info->cipher.aesgcm_dec.ivSz, info->cipher.aesgcm_dec.authTagSz))
        return CRYPTOCB_UNAVAILABLE;
    if (crypto_aead_aes256gcm_decrypt_detached(
            info->cipher.aesgcm_dec.out, NULL, info->cipher.aesgcm_dec.in,
            info->cipher.aesgcm_dec.sz, info->cipher.aesgcm_dec.authTag,
            info->cipher.aesgcm_dec.authIn, info->cipher.aesgcm_dec.authInSz,
            info->cipher.aesgcm_dec.iv, raw_key(aes)) != 0)
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
    return crypto_aead_aes256gcm_is_available() == 1;
}

enum vault_err
tls_crypto_callback_register(void)
{
    return wc_CryptoCb_RegisterDevice(TLS_CRYPTO_DEVICE, crypto_callback, NULL) == 0 ? OK
                                                                                     : ERR_NOMEM;
}
