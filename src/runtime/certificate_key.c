#include "runtime/certificate_key.h"

#include <string.h>

#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "crypto/verify.h"

enum { HALF_BYTES = P256_KEY_BYTES / 2, PSS_SALT_BYTES = 32 };

void
certificate_key_close(struct certificate_key *key)
{
    if (key->kind == KEY_ECC)
        wc_ecc_free(&key->u.ecc);
    if (key->kind == KEY_RSA)
        (void)wc_FreeRsaKey(&key->u.rsa);
    if (key->kind == KEY_ED25519)
        wc_ed25519_free(&key->u.ed25519);
    bytes_wipe(key, sizeof(*key));
}

bool
certificate_key_begin(struct certificate_key *key, enum certificate_key_kind kind)
{
    int result = -1;

    memset(key, 0, sizeof(*key));
    if (kind == KEY_ECC)
        result = wc_ecc_init(&key->u.ecc);
    if (kind == KEY_RSA)
        result = wc_InitRsaKey(&key->u.rsa, NULL);
    if (kind == KEY_ED25519)
        result = wc_ed25519_init(&key->u.ed25519);
    key->kind = result == 0 ? kind : KEY_NONE;
    return result == 0;
}

/* An Ed25519 key in a file is the private half alone; signing takes both. */
static int
complete_ed25519(ed25519_key *key)
{
    uint8_t public_half[ED25519_PUB_KEY_SIZE];

    if (wc_ed25519_make_public(key, public_half, sizeof(public_half)) != 0)
        return -1;
    return wc_ed25519_import_public(public_half, sizeof(public_half), key);
}

bool
certificate_key_decode(struct bytes der, struct certificate_key *key)
{
    for (int kind = KEY_ECC; kind <= KEY_ED25519; kind++) {
        word32 at = 0, size = (word32)der.size;
        int result = -1;
        if (!certificate_key_begin(key, (enum certificate_key_kind)kind))
            continue;
        if (kind == KEY_ECC)
            result = wc_EccPrivateKeyDecode(der.data, &at, &key->u.ecc, size);
        if (kind == KEY_RSA)
            result = wc_RsaPrivateKeyDecode(der.data, &at, &key->u.rsa, size);
        if (kind == KEY_ED25519) {
            result = wc_Ed25519PrivateKeyDecode(der.data, &at, &key->u.ed25519, size);
            if (result == 0)
                result = complete_ed25519(&key->u.ed25519);
        }
        if (result == 0)
            return true;
        certificate_key_close(key);
    }
    return false;
}

bool
certificate_key_decode_pem(struct bytes pem, struct certificate_key *key)
{
    DerBuffer *der = NULL;
    bool good =
        wc_PemToDer(pem.data, (long)pem.size, PRIVATEKEY_TYPE, &der, NULL, NULL, NULL) == 0 &&
        certificate_key_decode(bytes_of(der->buffer, der->length), key);

    if (der) {
        bytes_wipe(der->buffer, der->length);
        wc_FreeDer(&der);
    }
    return good;
}

/* ---- signing ---- */

/* r and s, each of full size. */
static enum vault_err
sign_p256(ecc_key *key, const uint8_t *digest, WC_RNG *rng, uint8_t *out, word32 *size)
{
    uint8_t der[ECC_MAX_SIG_SIZE];
    uint8_t r[HALF_BYTES], s[HALF_BYTES];
    word32 der_size = sizeof(der), r_size = sizeof(r), s_size = sizeof(s);

    if (!key->dp || key->dp->id != ECC_SECP256R1 ||
        wc_ecc_sign_hash(digest, WC_SHA256_DIGEST_SIZE, der, &der_size, rng, key) != 0 ||
        wc_ecc_sig_to_rs(der, der_size, r, &r_size, s, &s_size) != 0 || r_size > HALF_BYTES ||
        s_size > HALF_BYTES)
        return ERR_CONFIG;
    memset(out, 0, P256_KEY_BYTES);
    memcpy(out + HALF_BYTES - r_size, r, r_size);
    memcpy(out + P256_KEY_BYTES - s_size, s, s_size);
    *size = P256_KEY_BYTES;
    return OK;
}

static enum vault_err
sign_rsa(RsaKey *key, const uint8_t *digest, WC_RNG *rng, uint8_t *out, word32 *size)
{
    int written;

    (void)wc_RsaSetRNG(key, rng);
    written = wc_RsaPSS_Sign_ex(digest, WC_SHA256_DIGEST_SIZE, out, *size, WC_HASH_TYPE_SHA256,
                                WC_MGF1SHA256, PSS_SALT_BYTES, key, rng);
    (void)wc_RsaSetRNG(key, NULL);
    *size = written > 0 ? (word32)written : 0;
    return written > 0 ? OK : ERR_CONFIG;
}

enum vault_err
certificate_key_sign(struct certificate_key *key, struct bytes text, struct buf *out)
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE], signature[SIGNATURE_BYTES_MAX];
    word32 size = sizeof(signature);
    enum vault_err err = ERR_CONFIG;
    WC_RNG rng;

    if (wc_Sha256Hash(text.data, (word32)text.size, digest) != 0)
        return ERR_INTERNAL;
    if (wc_InitRng(&rng) != 0)
        return ERR_ENTROPY;
    if (key->kind == KEY_ECC)
        err = sign_p256(&key->u.ecc, digest, &rng, signature, &size);
    if (key->kind == KEY_RSA)
        err = sign_rsa(&key->u.rsa, digest, &rng, signature, &size);
    if (key->kind == KEY_ED25519 &&
        wc_ed25519_sign_msg(text.data, (word32)text.size, signature, &size, &key->u.ed25519) == 0)
        err = OK;
    wc_FreeRng(&rng);
    return err == OK ? buf_append(out, bytes_of(signature, size)) : err;
}

bool
certificate_key_belongs(struct bytes pem, const struct certificate *certificate)
{
    struct bytes text = bytes_of_text("ostraka: does this key belong to that certificate");
    struct buf signature = {0};
    struct certificate_key key;
    bool good;

    if (!certificate_key_decode_pem(pem, &key))
        return false;
    good = certificate_key_sign(&key, text, &signature) == OK &&
           signature_verify(&certificate->key, text, buf_bytes(&signature));
    certificate_key_close(&key);
    buf_close(&signature);
    return good;
}
