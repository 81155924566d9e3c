/* wolfssl/options.h must come before any other header of wolfSSL. */
#include <wolfssl/options.h>

#include "crypto/hash.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <wolfssl/wolfcrypt/hmac.h>

static_assert(HASH_BYTES == crypto_generichash_BYTES, "BLAKE2b-256");
static_assert(SHORT_HASH_BYTES == crypto_shorthash_KEYBYTES, "SipHash-2-4");
static_assert(KEY_BYTES == crypto_generichash_KEYBYTES, "keyed BLAKE2b-256");

enum {
    HKDF_OUT_MAX = 255 * WC_SHA256_DIGEST_SIZE,
    HKDF_STACK_BYTES = 2048, /* more than the frames of wolfCrypt's HMAC and SHA-256 take */
};

void
hash_bytes(struct bytes input, uint8_t out[static HASH_BYTES])
{
    int rc = crypto_generichash(out, HASH_BYTES, input.data, input.size, NULL, 0);

    assert(rc == 0);
    (void)rc;
}

static void
framed_parts(const uint8_t *key, const struct bytes *parts, size_t count, uint8_t *out)
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, key, key ? KEY_BYTES : 0, HASH_BYTES);
    for (size_t i = 0; i < count; i++) {
        uint8_t size[8];

        for (unsigned j = 0; j < sizeof(size); j++)
            size[j] = (uint8_t)((uint64_t)parts[i].size >> (56 - 8 * j));
        (void)crypto_generichash_update(&state, size, sizeof(size));
        if (parts[i].size > 0)
            (void)crypto_generichash_update(&state, parts[i].data, parts[i].size);
    }
    (void)crypto_generichash_final(&state, out, HASH_BYTES);
    sodium_memzero(&state, sizeof(state));
}

void
hash_parts(const struct bytes *parts, size_t count, uint8_t out[static HASH_BYTES])
{
    framed_parts(NULL, parts, count, out);
}

void
mac_parts(const uint8_t key[static KEY_BYTES], const struct bytes *parts, size_t count,
          uint8_t out[static HASH_BYTES])
{
    framed_parts(key, parts, count, out);
}

uint64_t
hash_short(const uint8_t key[static SHORT_HASH_BYTES], struct bytes input)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t number = 0;

    (void)crypto_shorthash(hash, input.data, input.size, key);
    for (unsigned i = sizeof(hash); i-- > 0;)
        number = number << 8 | hash[i];
    return number;
}

enum vault_err
hkdf_sha256(struct bytes ikm, struct bytes salt, struct bytes info, uint8_t *out, size_t out_size)
{
    uint8_t prk[WC_SHA256_DIGEST_SIZE];
    int rc;

    if (out_size == 0 || out_size > HKDF_OUT_MAX || ikm.size > INT32_MAX || salt.size > INT32_MAX ||
        info.size > INT32_MAX)
        return ERR_RANGE;

    /* Both halves by hand rather than wc_HKDF, which leaves the extracted key on its stack. */
    rc = wc_HKDF_Extract(WC_SHA256, salt.data, (word32)salt.size, ikm.data, (word32)ikm.size, prk);
    if (rc == 0)
        rc = wc_HKDF_Expand(WC_SHA256, prk, sizeof(prk), info.data, (word32)info.size, out,
                            (word32)out_size);
    sodium_memzero(prk, sizeof(prk));
    sodium_stackzero(HKDF_STACK_BYTES);
    if (rc != 0) {
        sodium_memzero(out, out_size);
        return ERR_NOMEM; /* with these arguments nothing but an allocation can fail */
    }
    return OK;
}

void
hex_encode(struct bytes input, char *out)
{
    out[0] = '\0';
    if (input.size > 0)
        (void)sodium_bin2hex(out, 2 * input.size + 1, input.data, input.size);
}

enum vault_err
hex_decode(struct bytes text, uint8_t *out, size_t size)
{
    size_t written = 0;
    int rc;

    if (size == 0)
        return text.size == 0 ? OK : ERR_MALFORMED;
    memset(out, 0, size);
    if (text.size % 2 != 0 || text.size / 2 != size)
        return ERR_MALFORMED;
    rc = sodium_hex2bin(out, size, (const char *)text.data, text.size, NULL, &written, NULL);
    if (rc != 0 || written != size) {
        sodium_memzero(out, size);
        return ERR_MALFORMED;
    }
    return OK;
}
