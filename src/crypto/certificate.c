/* wolfssl/options.h must come before any other header of wolfSSL. */
#include <wolfssl/options.h>

#include "crypto/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include "base/instant.h"

enum { TAG_UTC_TIME = 0x17, TAG_GENERALIZED_TIME = 0x18 };

/* One SEQUENCE and nothing behind it: one certificate, one text. */
static bool
is_whole(struct bytes der)
{
    if (der.size < 4 || der.size > CERTIFICATE_READ_BYTES_MAX || der.data[0] != 0x30)
        return false;
    if (der.data[1] == 0x81)
        return der.size == 3u + der.data[2];
    return der.data[1] == 0x82 && der.size == 4u + ((size_t)der.data[2] << 8 | der.data[3]);
}

/* Parses; NULL when it is no certificate. The result is to be closed. */
static DecodedCert *
open_certificate(struct bytes der)
{
    DecodedCert *decoded;

    if (!is_whole(der))
        return NULL;
    decoded = malloc(sizeof(*decoded));
    if (!decoded)
        return NULL;
    wc_InitDecodedCert(decoded, der.data, (word32)der.size, NULL);
    /* Neither dates nor signature: wolfCrypt would look at its own clock. */
    if (wc_ParseCert(decoded, CERT_TYPE, NO_VERIFY, NULL) == 0)
        return decoded;
    wc_FreeDecodedCert(decoded);
    free(decoded);
    return NULL;
}

static void
close_certificate(DecodedCert *decoded)
{
    wc_FreeDecodedCert(decoded);
    free(decoded);
}

/* ---- fields ---- */

static bool
are_digits(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return true;
}

/* YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ. */
bool
certificate_time(uint8_t tag, struct bytes date, uint64_t *out)
{
    char text[32], digits[16];

    *out = 0;
    /* A zero byte would end the copy below before its end. */
    if (date.size == 0 || !are_digits(bytes_of(date.data, date.size - 1)))
        return false;
    if (tag == TAG_UTC_TIME && date.size == 13)
        (void)snprintf(digits, sizeof(digits), "%s%.12s", date.data[0] >= '5' ? "19" : "20",
                       (const char *)date.data);
    else if (tag == TAG_GENERALIZED_TIME && date.size == 15)
        (void)snprintf(digits, sizeof(digits), "%.14s", (const char *)date.data);
    else
        return false;
    (void)snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s%c", digits, digits + 4,
                   digits + 6, digits + 8, digits + 10, digits + 12, date.data[date.size - 1]);
    return rfc3339_parse(bytes_of_text(text), out) == OK;
}

static bool
read_time(const byte *field, int field_size, uint64_t *out)
{
    const byte *date;
    byte format;
    int size;

    *out = 0;
    return field && wc_GetDateInfo(field, field_size, &date, &format, &size) == 0 && size > 0 &&
           certificate_time(format, bytes_of(date, (size_t)size), out);
}

enum vault_err
certificate_period(struct bytes der, uint64_t *not_before_ms, uint64_t *not_after_ms)
{
    DecodedCert *decoded = open_certificate(der);
    bool good;

    *not_before_ms = *not_after_ms = 0;
    if (!decoded)
        return ERR_MALFORMED;
    good = read_time(decoded->beforeDate, decoded->beforeDateLen, not_before_ms) &&
           read_time(decoded->afterDate, decoded->afterDateLen, not_after_ms);
    close_certificate(decoded);
    if (!good)
        *not_before_ms = *not_after_ms = 0;
    return good ? OK : ERR_MALFORMED;
}

static void
read_uri(const DecodedCert *decoded, struct certificate *out)
{
    unsigned found = 0;

    for (const DNS_entry *entry = decoded->altNames; entry; entry = entry->next) {
        if (entry->type != ASN_URI_TYPE)
            continue;
        found++;
        if (found > 1 || entry->len <= 0 || (size_t)entry->len > sizeof(out->uri)) {
            out->uri_size = 0;
            continue;
        }
        out->uri_size = (size_t)entry->len;
        memcpy(out->uri, entry->name, out->uri_size);
    }
}

/*
 * A key on P-256 as an uncompressed point has one form, byte for byte. wolfCrypt's own reader takes
 * coordinates that are longer than those of the curve that is named before them, and its export then
 * writes outside of the memory given. That the point is on the curve is checked before it is used.
 */
static const uint8_t p256_head[] = {
    0x30, 0x59,                                                 /* key: */
    0x30, 0x13,                                                 /* algorithm: */
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,       /* id-ecPublicKey */
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, /* secp256r1 */
    0x03, 0x42, 0x00, 0x04,                                     /* point, uncompressed */
};

static bool
read_p256(const DecodedCert *decoded, struct certificate *out)
{
    if (decoded->pubKeySize != sizeof(p256_head) + P256_KEY_BYTES ||
        memcmp(decoded->publicKey, p256_head, sizeof(p256_head)) != 0)
        return false;
    memcpy(out->key_bytes, decoded->publicKey + sizeof(p256_head), P256_KEY_BYTES);
    out->key = (struct public_key){.kind = SIGNATURE_P256,
                                   .key = bytes_of(out->key_bytes, P256_KEY_BYTES)};
    return true;
}

static struct bytes
without_zero(const byte *data, word32 size)
{
    while (size > 0 && data[0] == 0) {
        data++;
        size--;
    }
    return bytes_of(data, size);
}

static bool
read_rsa(const DecodedCert *decoded, struct certificate *out)
{
    const byte *n, *e;
    word32 at = 0, n_size, e_size;

    if (wc_RsaPublicKeyDecode_ex(decoded->publicKey, &at, decoded->pubKeySize, &n, &n_size, &e,
                                 &e_size) != 0)
        return false;
    struct bytes modulus = without_zero(n, n_size), exponent = without_zero(e, e_size);
    if (modulus.size > RSA_MODULUS_BYTES_MAX || exponent.size > RSA_EXPONENT_BYTES_MAX)
        return false;
    memcpy(out->key_bytes, modulus.data, modulus.size);
    memcpy(out->key_bytes + modulus.size, exponent.data, exponent.size);
    out->key =
        (struct public_key){.kind = SIGNATURE_RSA_PSS,
                            .key = bytes_of(out->key_bytes, modulus.size),
                            .exponent = bytes_of(out->key_bytes + modulus.size, exponent.size)};
    return true;
}

static bool
read_key(const DecodedCert *decoded, struct certificate *out)
{
    if (decoded->keyOID == ECDSAk)
        return read_p256(decoded, out);
    if (decoded->keyOID == RSAk)
        return read_rsa(decoded, out);
    if (decoded->keyOID != ED25519k || decoded->pubKeySize != ED25519_KEY_BYTES)
        return false;
    memcpy(out->key_bytes, decoded->publicKey, ED25519_KEY_BYTES);
    out->key = (struct public_key){.kind = SIGNATURE_ED25519,
                                   .key = bytes_of(out->key_bytes, ED25519_KEY_BYTES)};
    return true;
}

/* Uses must be said: a certificate that says nothing of them is for nothing here. */
static void
read_uses(const DecodedCert *decoded, struct certificate *out)
{
    out->is_authority = decoded->isCA != 0;
    out->signs_others = out->is_authority && decoded->extKeyUsageSet &&
                        (decoded->extKeyUsage & KEYUSE_KEY_CERT_SIGN) != 0;
    out->signs_lists = out->is_authority && decoded->extKeyUsageSet &&
                       (decoded->extKeyUsage & KEYUSE_CRL_SIGN) != 0;
    out->is_client = !out->is_authority && decoded->extKeyUsageSet &&
                     (decoded->extKeyUsage & KEYUSE_DIGITAL_SIG) != 0 &&
                     decoded->extExtKeyUsageSet &&
                     (decoded->extExtKeyUsage & EXTKEYUSE_CLIENT_AUTH) != 0;
}

enum vault_err
certificate_read(struct bytes der, struct certificate *out)
{
    DecodedCert *decoded = open_certificate(der);
    bool ok;

    memset(out, 0, sizeof(*out));
    if (!decoded)
        return ERR_MALFORMED;
    ok = read_time(decoded->beforeDate, decoded->beforeDateLen, &out->not_before_ms) &&
         read_time(decoded->afterDate, decoded->afterDateLen, &out->not_after_ms) &&
         decoded->serialSz > 0 && decoded->serialSz <= CERTIFICATE_SERIAL_BYTES_MAX &&
         read_key(decoded, out) && public_key_valid(&out->key);
    if (ok) {
        out->serial_size = (size_t)decoded->serialSz;
        memcpy(out->serial, decoded->serial, out->serial_size);
        read_uses(decoded, out);
        read_uri(decoded, out);
    }
    close_certificate(decoded);
    if (!ok)
        memset(out, 0, sizeof(*out));
    return ok ? OK : ERR_MALFORMED;
}

enum vault_err
certificate_authority_of(struct bytes der, struct bytes *subject, uint8_t mark[static HASH_BYTES])
{
    DecodedCert *decoded = open_certificate(der);
    bool ok = decoded && decoded->subjectRaw && decoded->subjectRawLen > 0;

    *subject = (struct bytes){0};
    memset(mark, 0, HASH_BYTES);
    if (ok) {
        *subject = bytes_of(decoded->subjectRaw, (size_t)decoded->subjectRawLen);
        struct bytes parts[] = {bytes_of_text("ostraka client authority 1"), *subject,
                                bytes_of(decoded->publicKey, decoded->pubKeySize)};
        hash_parts(parts, sizeof(parts) / sizeof(parts[0]), mark);
    }
    if (decoded)
        close_certificate(decoded);
    return ok ? OK : ERR_MALFORMED;
}

/* SHA-1 and whatever else is old is not taken. */
static bool
signature_algorithm_taken(word32 oid)
{
    return oid == CTC_SHA256wECDSA || oid == CTC_SHA384wECDSA || oid == CTC_SHA256wRSA ||
           oid == CTC_SHA384wRSA || oid == CTC_ED25519;
}

/* Which sort of key that algorithm is for. */
static word32
key_of_algorithm(word32 oid)
{
    return oid == CTC_ED25519                               ? ED25519k
           : oid == CTC_SHA256wRSA || oid == CTC_SHA384wRSA ? RSAk
                                                            : ECDSAk;
}

enum { VAIN_KEY_BYTES_MAX = 9 + RSA_MODULUS_BYTES_MIN + 5 };

/* A key that signed nothing here, as certificates have them; its size. */
static word32
vain_key(word32 sort, byte out[static VAIN_KEY_BYTES_MAX])
{
    static const byte rsa_head[] = {0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00};
    static const byte rsa_tail[] = {0x02, 0x03, 0x01, 0x00, 0x01};
    struct public_key key = public_key_of_nobody(sort == ED25519k ? SIGNATURE_ED25519
                                                 : sort == RSAk   ? SIGNATURE_RSA
                                                                  : SIGNATURE_P256);
    const byte *head = sort == RSAk ? rsa_head : p256_head;
    size_t head_size = sort == ED25519k ? 0 : sort == RSAk ? sizeof(rsa_head) : sizeof(p256_head);

    memcpy(out, head, head_size);
    memcpy(out + head_size, key.key.data, key.key.size);
    if (sort != RSAk)
        return (word32)(head_size + key.key.size);
    memcpy(out + head_size + key.key.size, rsa_tail, sizeof(rsa_tail));
    return VAIN_KEY_BYTES_MAX;
}

bool
certificate_signed_by(struct bytes der, struct bytes authority_der)
{
    DecodedCert *one = open_certificate(der), *authority = open_certificate(authority_der);
    byte vain[VAIN_KEY_BYTES_MAX];
    bool ok = false;

    if (one && signature_algorithm_taken(one->signatureOID)) {
        word32 sort = key_of_algorithm(one->signatureOID);
        bool fits = authority && authority->keyOID == sort;
        word32 size = fits ? authority->pubKeySize : vain_key(sort, vain);

        ok = wc_CheckCertSigPubKey(der.data, (word32)der.size, NULL,
                                   fits ? authority->publicKey : vain, size, (int)sort) == 0 &&
             fits && memcmp(one->issuerHash, authority->subjectHash, sizeof(one->issuerHash)) == 0;
    }
    if (one)
        close_certificate(one);
    if (authority)
        close_certificate(authority);
    return ok;
}
