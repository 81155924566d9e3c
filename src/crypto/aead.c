#include "crypto/aead.h"

#include <assert.h>
#include <sodium.h>

#include "crypto/aead_portable.h"
#include "crypto/gcm_long.h"

static_assert(AEAD_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
static_assert(AEAD_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
static_assert(AEAD_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
static_assert(AEAD_KEY_BYTES == crypto_aead_aes256gcm_KEYBYTES, "key");
static_assert(GCM_NONCE_BYTES == crypto_aead_aes256gcm_NPUBBYTES, "nonce");
static_assert(AEAD_TAG_BYTES == crypto_aead_aes256gcm_ABYTES, "tag");

void
aead_seal(const uint8_t key[static AEAD_KEY_BYTES], const uint8_t nonce[static AEAD_NONCE_BYTES],
          struct bytes ad, struct bytes plain, uint8_t *out)
{
    int rc = crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain.data, plain.size, ad.data,
                                                        ad.size, NULL, nonce, key);

    assert(rc == 0);
    (void)rc;
}

enum vault_err
aead_open(const uint8_t key[static AEAD_KEY_BYTES], const uint8_t nonce[static AEAD_NONCE_BYTES],
          struct bytes ad, struct bytes sealed, uint8_t *out)
{
    if (sealed.size < AEAD_TAG_BYTES)
        return ERR_CORRUPT;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.data, sealed.size,
                                                   ad.data, ad.size, nonce, key) != 0) {
        sodium_memzero(out, sealed.size - AEAD_TAG_BYTES);
        return ERR_CORRUPT;
    }
    return OK;
}

enum vault_err
gcm_seal(const uint8_t key[static AEAD_KEY_BYTES], const uint8_t nonce[static GCM_NONCE_BYTES],
         struct bytes ad, struct bytes plain, uint8_t *out)
{
    int rc;

    if (!crypto_aead_aes256gcm_is_available())
        return gcm_seal_portable(key, nonce, ad, plain, out);
    if (plain.size >= GCM_LONG_BYTES && gcm_long_seal(key, nonce, ad, plain, out) == OK)
        return OK;
    rc = crypto_aead_aes256gcm_encrypt(out, NULL, plain.data, plain.size, ad.data, ad.size, NULL,
                                       nonce, key);
    assert(rc == 0);
    (void)rc;
    return OK;
}

enum vault_err
gcm_open(const uint8_t key[static AEAD_KEY_BYTES], const uint8_t nonce[static GCM_NONCE_BYTES],
         struct bytes ad, struct bytes sealed, uint8_t *out)
{
    if (!crypto_aead_aes256gcm_is_available())
        return gcm_open_portable(key, nonce, ad, sealed, out);
    if (sealed.size < AEAD_TAG_BYTES)
        return ERR_CORRUPT;
    if (sealed.size >= GCM_LONG_BYTES) {
        enum vault_err err = gcm_long_open(key, nonce, ad, sealed, out);
        if (err != ERR_NOMEM)
            return err;
    }
    if (crypto_aead_aes256gcm_decrypt(out, NULL, NULL, sealed.data, sealed.size, ad.data, ad.size,
                                      nonce, key) != 0) {
        sodium_memzero(out, sealed.size - AEAD_TAG_BYTES);
        return ERR_CORRUPT;
    }
    return OK;
}

bool
gcm_hardware_available(void)
{
    return crypto_aead_aes256gcm_is_available() == 1;
}

void
gcm_hardware_seal(const uint8_t key[static AEAD_KEY_BYTES],
                  const uint8_t nonce[static GCM_NONCE_BYTES], struct bytes ad, struct bytes plain,
                  uint8_t *out, uint8_t tag[static AEAD_TAG_BYTES])
{
    if (plain.size >= GCM_LONG_BYTES && tag == out + plain.size &&
        gcm_long_seal(key, nonce, ad, plain, out) == OK)
        return;
    (void)crypto_aead_aes256gcm_encrypt_detached(out, tag, NULL, plain.data, plain.size, ad.data,
                                                 ad.size, NULL, nonce, key);
}

enum vault_err
gcm_hardware_open(const uint8_t key[static AEAD_KEY_BYTES],
                  const uint8_t nonce[static GCM_NONCE_BYTES], struct bytes ad, struct bytes sealed,
                  const uint8_t tag[static AEAD_TAG_BYTES], uint8_t *out)
{
    if (sealed.size >= GCM_LONG_BYTES && tag == sealed.data + sealed.size) {
        struct bytes whole = bytes_of(sealed.data, sealed.size + AEAD_TAG_BYTES);
        enum vault_err err = gcm_long_open(key, nonce, ad, whole, out);
        if (err != ERR_NOMEM)
            return err;
    }
    int rc = crypto_aead_aes256gcm_decrypt_detached(out, NULL, sealed.data, sealed.size, tag,
                                                    ad.data, ad.size, nonce, key);
    return rc == 0 ? OK : ERR_CORRUPT;
}
