/* wolfssl/options.h must come before any other header of wolfSSL. */
#include <wolfssl/options.h>

#include "crypto/verify.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/rsa.h>

enum {
    HALF_BYTES = 32, /* r, s, x, y */
    SIGNATURE_DER_BYTES_MAX = 2 + 2 * (3 + HALF_BYTES),
    DIGEST_BYTES = crypto_hash_sha256_BYTES,
    DIGEST_INFO_BYTES = 19 + DIGEST_BYTES,
};

/* ---- P-256 ---- */

static bool
p256_import(struct bytes key, ecc_key *out)
{
    uint8_t copy[P256_KEY_BYTES]; /* wolfCrypt takes no const pointers everywhere */

    if (key.size != P256_KEY_BYTES)
        return false;
    memcpy(copy, key.data, sizeof(copy));
    return wc_ecc_import_unsigned(out, copy, copy + HALF_BYTES, NULL, ECC_SECP256R1) == 0 &&
           wc_ecc_check_key(out) == 0;
}

static bool
p256_verify(struct bytes key, const uint8_t *digest, struct bytes signature)
{
    uint8_t der[SIGNATURE_DER_BYTES_MAX];
    word32 der_size = sizeof(der);
    int valid = 0;
    ecc_key imported;
    bool ok;

    if (signature.size != 2 * HALF_BYTES || wc_ecc_init(&imported) != 0)
        return false;
    ok = p256_import(key, &imported) &&
         wc_ecc_rs_raw_to_sig(signature.data, HALF_BYTES, signature.data + HALF_BYTES, HALF_BYTES,
                              der, &der_size) == 0 &&
         wc_ecc_verify_hash(der, der_size, digest, DIGEST_BYTES, &valid, &imported) == 0;
    wc_ecc_free(&imported);
    return ok && valid == 1;
}

static bool
p256_valid(struct bytes key)
{
    ecc_key imported;
    bool ok;

    if (wc_ecc_init(&imported) != 0)
        return false;
    ok = p256_import(key, &imported);
    wc_ecc_free(&imported);
    return ok;
}

/* ---- RSA ---- */

static bool
rsa_valid(const struct public_key *key)
{
    struct bytes n = key->key, e = key->exponent;
    uint64_t exponent = 0;

    if (n.size < RSA_MODULUS_BYTES_MIN || n.size > RSA_MODULUS_BYTES_MAX ||
        (n.data[0] & 0x80) == 0 || (n.data[n.size - 1] & 1) == 0)
        return false;
    if (e.size == 0 || e.size > RSA_EXPONENT_BYTES_MAX || e.data[0] == 0)
        return false;
    for (size_t i = 0; i < e.size; i++)
        exponent = exponent << 8 | e.data[i];
    return exponent >= 65537 && (exponent & 1) != 0;
}

/* What RSASSA-PKCS1-v1_5 signs: compared as a whole, so that no other encoding of it passes. */
static void
digest_info(const uint8_t *digest, uint8_t out[static DIGEST_INFO_BYTES])
{
    static const uint8_t prefix[DIGEST_INFO_BYTES - DIGEST_BYTES] = {
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
        0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

    memcpy(out, prefix, sizeof(prefix));
    memcpy(out + sizeof(prefix), digest, DIGEST_BYTES);
}

static bool
rsa_check(RsaKey *rsa, enum signature_kind kind, const uint8_t *digest, struct bytes signature)
{
    uint8_t in[RSA_MODULUS_BYTES_MAX], out[RSA_MODULUS_BYTES_MAX], info[DIGEST_INFO_BYTES];
    int size;

    memcpy(in, signature.data, signature.size);
    if (kind == SIGNATURE_RSA_PSS)
        return wc_RsaPSS_VerifyCheck(in, (word32)signature.size, out, sizeof(out), digest,
                                     DIGEST_BYTES, WC_HASH_TYPE_SHA256, WC_MGF1SHA256, rsa) > 0;
    size = wc_RsaSSL_Verify(in, (word32)signature.size, out, sizeof(out), rsa);
    digest_info(digest, info);
    return size == DIGEST_INFO_BYTES && memcmp(out, info, sizeof(info)) == 0;
}

static bool
rsa_verify(const struct public_key *key, const uint8_t *digest, struct bytes signature)
{
    RsaKey *rsa;
    bool ok;

    /*
     * wolfCrypt takes a signature that is not below the modulus for its remainder: a second text.
     */
    if (!rsa_valid(key) || signature.size != key->key.size ||
        memcmp(signature.data, key->key.data, signature.size) >= 0)
        return false;
    rsa = calloc(1, sizeof(*rsa)); /* more than 10 KiB */
    if (!rsa)
        return false;
    ok = wc_InitRsaKey(rsa, NULL) == 0;
    if (ok) {
        ok = wc_RsaPublicKeyDecodeRaw(key->key.data, (word32)key->key.size, key->exponent.data,
                                      (word32)key->exponent.size, rsa) == 0 &&
             rsa_check(rsa, key->kind, digest, signature);
        wc_FreeRsaKey(rsa);
    }
    free(rsa);
    return ok;
}

/* ---- all ---- */

static bool
ed25519_valid(struct bytes key)
{
    return key.size == ED25519_KEY_BYTES && crypto_core_ed25519_is_valid_point(key.data) == 1;
}

bool
public_key_valid(const struct public_key *key)
{
    switch (key->kind) {
    case SIGNATURE_ED25519: return key->exponent.size == 0 && ed25519_valid(key->key);
    case SIGNATURE_P256: return key->exponent.size == 0 && p256_valid(key->key);
    case SIGNATURE_RSA:
    case SIGNATURE_RSA_PSS: return rsa_valid(key);
    }
    return false;
}

struct public_key
public_key_of_nobody(enum signature_kind kind)
{
    static const uint8_t ed25519[ED25519_KEY_BYTES] = {
        0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
        0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
        0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};
    static const uint8_t p256[P256_KEY_BYTES] = {
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63,
        0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1,
        0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f,
        0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57,
        0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};
    static const uint8_t modulus[RSA_MODULUS_BYTES_MIN] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff,
    };
    static const uint8_t exponent[] = {1, 0, 1};

    switch (kind) {
    case SIGNATURE_ED25519:
        return (struct public_key){.kind = kind, .key = bytes_of(ed25519, sizeof(ed25519))};
    case SIGNATURE_P256:
        return (struct public_key){.kind = kind, .key = bytes_of(p256, sizeof(p256))};
    case SIGNATURE_RSA:
    case SIGNATURE_RSA_PSS: break;
    }
    return (struct public_key){.kind = kind,
                               .key = bytes_of(modulus, sizeof(modulus)),
                               .exponent = bytes_of(exponent, sizeof(exponent))};
}

bool
signature_verify(const struct public_key *key, struct bytes message, struct bytes signature)
{
    uint8_t digest[DIGEST_BYTES];

    if (key->kind == SIGNATURE_ED25519)
        return ed25519_valid(key->key) && signature.size == crypto_sign_BYTES &&
               crypto_sign_verify_detached(signature.data, message.data, message.size,
                                           key->key.data) == 0;
    (void)crypto_hash_sha256(digest, message.data, message.size);
    if (key->kind == SIGNATURE_P256)
        return p256_verify(key->key, digest, signature);
    return rsa_verify(key, digest, signature);
}
