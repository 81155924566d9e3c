#include "runtime/node_signing.h"

#include <stdio.h>
#include <string.h>

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/signature.h>

#include "runtime/certificate_key.h"
#include "runtime/keyfile.h"

enum { KEY_FILE_BYTES_MAX = 64 * 1024, PUBLIC_DER_BYTES_MAX = 2048 };

static bool
decode_public(struct bytes der, struct certificate_key *key)
{
    for (int kind = KEY_ECC; kind <= KEY_RSA; kind++) {
        word32 at = 0, size = (word32)der.size;
        int result = -1;
        if (!certificate_key_begin(key, (enum certificate_key_kind)kind))
            continue;
        if (kind == KEY_ECC)
            result = wc_EccPublicKeyDecode(der.data, &at, &key->u.ecc, size);
        if (kind == KEY_RSA)
            result = wc_RsaPublicKeyDecode(der.data, &at, &key->u.rsa, size);
        if (result == 0)
            return true;
        certificate_key_close(key);
    }
    return false;
}

/* ---- signing ---- */

static int
sign_with(struct certificate_key *key, const uint8_t statement[static HASH_BYTES], WC_RNG *rng,
          uint8_t *out, word32 *size)
{
    if (key->kind == KEY_ECC)
        return wc_SignatureGenerate(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_ECC, statement,
                                    HASH_BYTES, out, size, &key->u.ecc, sizeof(key->u.ecc), rng);
    if (key->kind == KEY_RSA)
        return wc_SignatureGenerate(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_RSA_W_ENC, statement,
                                    HASH_BYTES, out, size, &key->u.rsa, sizeof(key->u.rsa), rng);
    return wc_ed25519_sign_msg(statement, HASH_BYTES, out, size, &key->u.ed25519);
}

static enum vault_err
make_proof(struct certificate_key *key, const uint8_t statement[static HASH_BYTES],
           struct signing_public *out)
{
    word32 size = sizeof(out->proof);
    WC_RNG rng;

    /* wolfCrypt wants the room of an RSA signature to be exactly its size. */
    if (key->kind == KEY_RSA) {
        int needed =
            wc_SignatureGetSize(WC_SIGNATURE_TYPE_RSA_W_ENC, &key->u.rsa, sizeof(key->u.rsa));
        if (needed <= 0 || (size_t)needed > sizeof(out->proof))
            return ERR_CONFIG;
        size = (word32)needed;
    }
    if (wc_InitRng(&rng) != 0)
        return ERR_ENTROPY;
    if (key->kind == KEY_RSA)
        (void)wc_RsaSetRNG(&key->u.rsa, &rng);
    int result = sign_with(key, statement, &rng, out->proof, &size);
    wc_FreeRng(&rng);
    if (result != 0)
        return ERR_CONFIG;
    out->proof_size = size;
    return OK;
}

static enum vault_err
make_key(struct bytes der, const uint8_t cluster_id[static CLUSTER_ID_BYTES], const char *node_name,
         struct secret_arena *arena, struct signing_key *out)
{
    uint8_t seed[SIGNING_SEED_BYTES], statement[HASH_BYTES];
    struct certificate_key key;
    enum vault_err err = signing_seed_derive(der, cluster_id, bytes_of_text(node_name), seed);

    if (err == OK && !certificate_key_decode(der, &key))
        err = ERR_CONFIG;
    if (err != OK) {
        bytes_wipe(seed, sizeof(seed));
        return err;
    }
    err = signing_key_init(out, arena, seed);
    bytes_wipe(seed, sizeof(seed));
    if (err == OK) {
        signing_statement(cluster_id, bytes_of_text(node_name), out->public_half.key, statement);
        err = make_proof(&key, statement, &out->public_half);
        if (err != OK)
            signing_key_close(out, arena);
    }
    certificate_key_close(&key);
    return err;
}

enum vault_err
node_signing_load(const char *key_path, const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                  const char *node_name, struct secret_arena *arena, struct signing_key *out,
                  char *why, size_t why_size)
{
    struct buf pem = {0};
    DerBuffer *der = NULL;

    memset(out, 0, sizeof(*out));
    enum vault_err err = file_read(key_path, KEY_FILE_BYTES_MAX, &pem);
    if (err == OK &&
        wc_PemToDer(pem.data, (long)pem.size, PRIVATEKEY_TYPE, &der, NULL, NULL, NULL) != 0)
        err = ERR_CONFIG;
    if (err == OK)
        err = make_key(bytes_of(der->buffer, der->length), cluster_id, node_name, arena, out);
    if (err == ERR_IO || err == ERR_NOT_FOUND || err == ERR_TOO_LARGE)
        err = ERR_CONFIG;
    if (err != OK)
        snprintf(why, why_size,
                 "%s: a signing key cannot be made from it: an EC, Ed25519 or RSA key (at most "
                 "4096 bits) in PEM is needed",
                 key_path);
    if (der) {
        bytes_wipe(der->buffer, der->length);
        wc_FreeDer(&der);
    }
    buf_close(&pem);
    return err;
}

/* ---- verifying ---- */

static bool
verify_with(struct certificate_key *key, const uint8_t statement[static HASH_BYTES],
            struct bytes proof)
{
    word32 size = (word32)proof.size;
    int verdict = 0;

    if (key->kind == KEY_ECC)
        return wc_SignatureVerify(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_ECC, statement, HASH_BYTES,
                                  proof.data, size, &key->u.ecc, sizeof(key->u.ecc)) == 0;
    if (key->kind == KEY_RSA)
        return wc_SignatureVerify(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_RSA_W_ENC, statement,
                                  HASH_BYTES, proof.data, size, &key->u.rsa,
                                  sizeof(key->u.rsa)) == 0;
    return wc_ed25519_verify_msg(proof.data, size, statement, HASH_BYTES, &verdict,
                                 &key->u.ed25519) == 0 &&
           verdict == 1;
}

/* An Ed25519 key stands in the parsed certificate as it is, the others as DER. */
static bool
public_of(struct bytes certificate, struct certificate_key *key)
{
    uint8_t der[PUBLIC_DER_BYTES_MAX];
    word32 size = sizeof(der);
    DecodedCert decoded;
    bool found = false;

    wc_InitDecodedCert(&decoded, certificate.data, (word32)certificate.size, NULL);
    if (wc_ParseCert(&decoded, CERT_TYPE, NO_VERIFY, NULL) == 0) {
        if (decoded.keyOID == ED25519k)
            found = certificate_key_begin(key, KEY_ED25519) &&
                    wc_ed25519_import_public(decoded.publicKey, decoded.pubKeySize,
                                             &key->u.ed25519) == 0;
        else
            found = wc_GetPubKeyDerFromCert(&decoded, der, &size) == 0 &&
                    decode_public(bytes_of(der, size), key);
    }
    wc_FreeDecodedCert(&decoded);
    return found;
}

enum vault_err
node_signing_verify(struct bytes certificate, const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                    const char *node_name, const struct signing_public *signing)
{
    uint8_t statement[HASH_BYTES];
    struct certificate_key key;

    if (!signing_public_is_set(signing) || signing->proof_size == 0 ||
        signing->proof_size > sizeof(signing->proof) || certificate.size == 0)
        return ERR_FORBIDDEN;
    if (!public_of(certificate, &key))
        return ERR_FORBIDDEN;
    signing_statement(cluster_id, bytes_of_text(node_name), signing->key, statement);
    bool good = verify_with(&key, statement, bytes_of(signing->proof, signing->proof_size));
    certificate_key_close(&key);
    return good ? OK : ERR_FORBIDDEN;
}
