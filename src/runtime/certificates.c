#include "runtime/certificates.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "runtime/der.h"

enum {
    P256_BYTES = 32,
    POINT_BYTES = 1 + 2 * P256_BYTES,
    KEY_ID_BYTES = 20,
    SERIAL_BYTES = 16,
    ECDSA_BYTES_MAX = 80,
    PEM_BYTES_MAX = 8192,
    CLOCK_SKEW_SECONDS = 3600,
};

static const int64_t YEAR_SECONDS = (int64_t)365 * 86400 + 86400 / 4;

/* Object identifiers, encoded. */
#define BYTES(...)            ((const uint8_t[]){__VA_ARGS__})
#define OID(...)              bytes_of(BYTES(__VA_ARGS__), sizeof(BYTES(__VA_ARGS__)))
#define OID_EC_PUBLIC_KEY     OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01)
#define OID_P256              OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07)
#define OID_ECDSA_SHA256      OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)
#define OID_COMMON_NAME       OID(0x55, 0x04, 0x03)
#define OID_ORGANIZATION      OID(0x55, 0x04, 0x0a)
#define OID_SUBJECT_KEY_ID    OID(0x55, 0x1d, 0x0e)
#define OID_KEY_USAGE         OID(0x55, 0x1d, 0x0f)
#define OID_SUBJECT_ALT_NAME  OID(0x55, 0x1d, 0x11)
#define OID_BASIC_CONSTRAINTS OID(0x55, 0x1d, 0x13)
#define OID_AUTHORITY_KEY_ID  OID(0x55, 0x1d, 0x23)
#define OID_EXT_KEY_USAGE     OID(0x55, 0x1d, 0x25)
#define OID_SERVER_AUTH       OID(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01)
#define OID_CLIENT_AUTH       OID(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02)

/* Key usage bits, from the top of the first byte (RFC 5280, 4.2.1.3). */
enum { USAGE_SIGN = 0x80, USAGE_SIGN_UNUSED_BITS = 7, USAGE_CA = 0x06, USAGE_CA_UNUSED_BITS = 1 };

/* What a certificate says of its key. */
struct public_half {
    uint8_t point[POINT_BYTES]; /* uncompressed */
    uint8_t id[KEY_ID_BYTES];
};

struct key_pair {
    ecc_key key;
    struct public_half half;
};

struct certificate_authority {
    struct key_pair pair;
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    int64_t not_before, not_after;
    struct buf certificate; /* DER */
};

/* What goes into one certificate. */
struct contents {
    const char *common_name;
    const struct public_half *subject;
    int64_t not_before, not_after;
    bool is_ca;
    const char *uri; /* NULL for a CA, as is the host */
    const char *host;
};

static const char CA_COMMON_NAME[] = "Ostraka CA";
static const char ORGANIZATION[] = "Ostraka cluster ";

void
node_uri(const uint8_t cluster_id[static CLUSTER_ID_BYTES], const char *node_name,
         char out[static NODE_URI_BYTES])
{
    char id[2 * CLUSTER_ID_BYTES + 1];

    hex_encode(bytes_of(cluster_id, CLUSTER_ID_BYTES), id);
    snprintf(out, NODE_URI_BYTES, "ostraka://%s/%s", id, node_name);
}

/* --- keys ----------------------------------------------------------------------------------- */

/* Half of SHA-256 of the public key (RFC 7093, method 1). */
static enum vault_err
public_half_identify(struct public_half *half)
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE];

    if (wc_Sha256Hash(half->point, POINT_BYTES, digest) != 0)
        return ERR_INTERNAL;
    memcpy(half->id, digest, KEY_ID_BYTES);
    return OK;
}

static enum vault_err
key_pair_identify(struct key_pair *pair)
{
    word32 size = sizeof(pair->half.point);

    if (wc_ecc_export_x963(&pair->key, pair->half.point, &size) != 0 || size != POINT_BYTES)
        return ERR_INTERNAL;
    return public_half_identify(&pair->half);
}

static void
key_pair_close(struct key_pair *pair)
{
    wc_ecc_free(&pair->key);
    bytes_wipe(pair, sizeof(*pair));
}

static enum vault_err
key_pair_init(struct key_pair *pair)
{
    enum vault_err err = ERR_INTERNAL;
    WC_RNG rng;

    memset(pair, 0, sizeof(*pair));
    if (wc_ecc_init(&pair->key) != 0)
        return ERR_INTERNAL;
    if (wc_InitRng(&rng) != 0) {
        err = ERR_ENTROPY;
    } else {
        if (wc_ecc_make_key_ex(&rng, P256_BYTES, &pair->key, ECC_SECP256R1) == 0)
            err = key_pair_identify(pair);
        wc_FreeRng(&rng);
    }
    if (err != OK)
        key_pair_close(pair);
    return err;
}

static enum vault_err
sign(const struct key_pair *pair, struct bytes message, uint8_t *signature, word32 *size)
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    ecc_key *key =
        (ecc_key *)&pair->key; /* wolfCrypt takes no const key; a signature does not change it */
    WC_RNG rng;
    int result;

    if (wc_Sha256Hash(message.data, (word32)message.size, digest) != 0)
        return ERR_INTERNAL;
    if (wc_InitRng(&rng) != 0)
        return ERR_ENTROPY;
    result = wc_ecc_sign_hash(digest, sizeof(digest), signature, size, &rng, key);
    wc_FreeRng(&rng);
    return result == 0 ? OK : ERR_INTERNAL;
}

/* --- PEM ------------------------------------------------------------------------------------ */

static enum vault_err
append_pem(struct bytes der, int type, struct buf *out)
{
    enum vault_err err = buf_reserve(out, PEM_BYTES_MAX);
    int size;

    if (err != OK)
        return err;
    size = wc_DerToPem(der.data, (word32)der.size, out->data + out->size, PEM_BYTES_MAX, type);
    if (size <= 0)
        return ERR_INTERNAL;
    out->size += (size_t)size;
    return OK;
}

static enum vault_err
append_key_pem(const struct key_pair *pair, struct buf *out)
{
    uint8_t der[512];
    word32 size = sizeof(der);
    enum vault_err err = ERR_INTERNAL;
    int result = wc_EccKeyToPKCS8((ecc_key *)&pair->key, der, &size);

    if (result > 0)
        err = append_pem(bytes_of(der, size), PKCS8_PRIVATEKEY_TYPE, out);
    bytes_wipe(der, sizeof(der));
    return err;
}

static enum vault_err
append_both_pem(struct bytes certificate, const struct key_pair *pair, struct buf *certificate_out,
                struct buf *key_out)
{
    enum vault_err err = append_pem(certificate, CERT_TYPE, certificate_out);

    if (err == OK)
        err = append_key_pem(pair, key_out);
    if (err != OK) {
        buf_close(certificate_out);
        buf_close(key_out);
    }
    return err;
}

/* --- parts of a certificate ----------------------------------------------------------------- */

static void
put_algorithm(struct der_writer *w)
{
    size_t algorithm = der_begin(w, DER_SEQUENCE);

    der_put(w, DER_OID, OID_ECDSA_SHA256);
    der_end(w, algorithm);
}

static void
put_attribute(struct der_writer *w, struct bytes oid, const char *value)
{
    size_t set = der_begin(w, DER_SET);
    size_t pair = der_begin(w, DER_SEQUENCE);

    der_put(w, DER_OID, oid);
    der_put(w, DER_UTF8_STRING, bytes_of_text(value));
    der_end(w, pair);
    der_end(w, set);
}

/*
 * O=Ostraka cluster <id>, CN=<common name>: the organization tells apart the CAs of several
 * clusters.
 */
static void
put_name(struct der_writer *w, const uint8_t *cluster_id, const char *common_name)
{
    char organization[64];
    char id[2 * CLUSTER_ID_BYTES + 1];
    size_t name = der_begin(w, DER_SEQUENCE);

    hex_encode(bytes_of(cluster_id, CLUSTER_ID_BYTES), id);
    snprintf(organization, sizeof(organization), "%s%s", ORGANIZATION, id);
    put_attribute(w, OID_ORGANIZATION, organization);
    put_attribute(w, OID_COMMON_NAME, common_name);
    der_end(w, name);
}

static void
put_public_key(struct der_writer *w, const struct public_half *half)
{
    size_t info = der_begin(w, DER_SEQUENCE);
    size_t algorithm = der_begin(w, DER_SEQUENCE);

    der_put(w, DER_OID, OID_EC_PUBLIC_KEY);
    der_put(w, DER_OID, OID_P256);
    der_end(w, algorithm);
    der_put_bits(w, bytes_of(half->point, sizeof(half->point)), 0);
    der_end(w, info);
}

/*
 * An extension is a sequence of its name, whether it is critical, and an octet string that holds
 * its DER.
 */
struct extension {
    size_t sequence, value;
};

static struct extension
extension_begin(struct der_writer *w, struct bytes oid, bool critical)
{
    struct extension e = {.sequence = der_begin(w, DER_SEQUENCE)};

    der_put(w, DER_OID, oid);
    if (critical)
        der_put_true(w);
    e.value = der_begin(w, DER_OCTET_STRING);
    return e;
}

static void
extension_end(struct der_writer *w, struct extension e)
{
    der_end(w, e.value);
    der_end(w, e.sequence);
}

static void
put_basic_constraints(struct der_writer *w, bool is_ca)
{
    struct extension e = extension_begin(w, OID_BASIC_CONSTRAINTS, true);
    size_t sequence = der_begin(w, DER_SEQUENCE);

    if (is_ca) {
        der_put_true(w);
        der_put_uint(w, 0); /* no CA below this one */
    }
    der_end(w, sequence);
    extension_end(w, e);
}

static void
put_key_usage(struct der_writer *w, bool is_ca)
{
    const uint8_t usage = is_ca ? USAGE_CA : USAGE_SIGN;
    struct extension e = extension_begin(w, OID_KEY_USAGE, true);

    der_put_bits(w, bytes_of(&usage, 1), is_ca ? USAGE_CA_UNUSED_BITS : USAGE_SIGN_UNUSED_BITS);
    extension_end(w, e);
}

static void
put_extended_key_usage(struct der_writer *w)
{
    struct extension e = extension_begin(w, OID_EXT_KEY_USAGE, false);
    size_t sequence = der_begin(w, DER_SEQUENCE);

    der_put(w, DER_OID, OID_SERVER_AUTH);
    der_put(w, DER_OID, OID_CLIENT_AUTH);
    der_end(w, sequence);
    extension_end(w, e);
}

static void
put_key_ids(struct der_writer *w, const struct public_half *subject,
            const struct public_half *issuer)
{
    struct extension e = extension_begin(w, OID_SUBJECT_KEY_ID, false);
    size_t sequence;

    der_put(w, DER_OCTET_STRING, bytes_of(subject->id, KEY_ID_BYTES));
    extension_end(w, e);
    e = extension_begin(w, OID_AUTHORITY_KEY_ID, false);
    sequence = der_begin(w, DER_SEQUENCE);
    der_put(w, DER_CONTEXT + 0, bytes_of(issuer->id, KEY_ID_BYTES));
    der_end(w, sequence);
    extension_end(w, e);
}

/* GeneralName choices (RFC 5280, 4.2.1.6). */
enum { NAME_DNS = 2, NAME_URI = 6, NAME_IP = 7 };

static void
put_host(struct der_writer *w, const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        der_put(w, DER_CONTEXT + NAME_IP, bytes_of(&v4, sizeof(v4)));
    else if (inet_pton(AF_INET6, host, &v6) == 1)
        der_put(w, DER_CONTEXT + NAME_IP, bytes_of(&v6, sizeof(v6)));
    else
        der_put(w, DER_CONTEXT + NAME_DNS, bytes_of_text(host));
}

static void
put_alternative_names(struct der_writer *w, const char *uri, const char *host)
{
    static const char *const local[] = {"localhost", "127.0.0.1"};
    struct extension e = extension_begin(w, OID_SUBJECT_ALT_NAME, false);
    size_t names = der_begin(w, DER_SEQUENCE);

    der_put(w, DER_CONTEXT + NAME_URI, bytes_of_text(uri));
    put_host(w, host);
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        if (strcmp(host, local[i]) != 0)
            put_host(w, local[i]);
    }
    der_end(w, names);
    extension_end(w, e);
}

static void
put_extensions(struct der_writer *w, const struct contents *c, const struct public_half *issuer)
{
    size_t outer = der_begin(w, DER_CONTEXT_CONSTRUCTED + 3);
    size_t extensions = der_begin(w, DER_SEQUENCE);

    put_basic_constraints(w, c->is_ca);
    put_key_usage(w, c->is_ca);
    if (!c->is_ca) {
        put_extended_key_usage(w);
        put_alternative_names(w, c->uri, c->host);
    }
    put_key_ids(w, c->subject, issuer);
    der_end(w, extensions);
    der_end(w, outer);
}

static void
put_serial(struct der_writer *w, const struct rng *rng)
{
    uint8_t serial[SERIAL_BYTES];
    enum vault_err err = rng_fill(rng, serial, sizeof(serial));

    if (err != OK && w->err == OK)
        w->err = err;
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and of one length */
    der_put_unsigned(w, bytes_of(serial, sizeof(serial)));
}

/* --- certificates --------------------------------------------------------------------------- */

static void
put_to_be_signed(struct der_writer *w, const struct contents *c,
                 const struct certificate_authority *ca, const struct rng *rng)
{
    const uint8_t version_3 = 2;
    size_t tbs = der_begin(w, DER_SEQUENCE);
    size_t part = der_begin(w, DER_CONTEXT_CONSTRUCTED + 0);

    der_put_uint(w, version_3);
    der_end(w, part);
    put_serial(w, rng);
    put_algorithm(w);
    put_name(w, ca->cluster_id, CA_COMMON_NAME);
    part = der_begin(w, DER_SEQUENCE);
    der_put_time(w, c->not_before);
    der_put_time(w, c->not_after);
    der_end(w, part);
    put_name(w, ca->cluster_id, c->common_name);
    put_public_key(w, c->subject);
    put_extensions(w, c, &ca->pair.half);
    der_end(w, tbs);
}

/* Writes the certificate and its signature by the CA's key. *out is empty on an error. */
static enum vault_err
make_certificate(const struct contents *c, const struct certificate_authority *ca,
                 const struct rng *rng, struct buf *out)
{
    uint8_t signature[ECDSA_BYTES_MAX];
    word32 signature_size = sizeof(signature);
    struct buf tbs = {0};
    struct der_writer w;
    size_t certificate;
    enum vault_err err;

    *out = (struct buf){0};
    der_writer_init(&w, &tbs);
    put_to_be_signed(&w, c, ca, rng);
    err = w.err;
    if (err == OK)
        err = sign(&ca->pair, buf_bytes(&tbs), signature, &signature_size);
    if (err != OK)
        goto out;
    der_writer_init(&w, out);
    certificate = der_begin(&w, DER_SEQUENCE);
    der_put_raw(&w, buf_bytes(&tbs));
    put_algorithm(&w);
    der_put_bits(&w, bytes_of(signature, signature_size), 0);
    der_end(&w, certificate);
    err = w.err;
    if (err != OK)
        buf_close(out);
out:
    buf_close(&tbs);
    return err;
}

/* Makes the CA's own certificate. The old one, if there is one, stays after an error. */
static enum vault_err
sign_itself(struct certificate_authority *ca, int64_t now, const struct rng *rng)
{
    struct contents contents = {
        .common_name = CA_COMMON_NAME,
        .subject = &ca->pair.half,
        .not_before = now - CLOCK_SKEW_SECONDS,
        .not_after = now + CERTIFICATE_YEARS * YEAR_SECONDS,
        .is_ca = true,
    };
    struct buf certificate;
    enum vault_err err = make_certificate(&contents, ca, rng, &certificate);

    if (err != OK)
        return err;
    buf_close(&ca->certificate);
    ca->certificate = certificate;
    ca->not_before = contents.not_before;
    ca->not_after = contents.not_after;
    return OK;
}

enum vault_err
certificate_authority_new(const uint8_t cluster_id[static CLUSTER_ID_BYTES], int64_t now,
                          const struct rng *rng, struct certificate_authority **out)
{
    struct certificate_authority *ca = calloc(1, sizeof(*ca));
    enum vault_err err;

    *out = NULL;
    if (!ca)
        return ERR_NOMEM;
    err = key_pair_init(&ca->pair);
    if (err != OK) {
        free(ca);
        return err;
    }
    memcpy(ca->cluster_id, cluster_id, CLUSTER_ID_BYTES);
    err = sign_itself(ca, now, rng);
    if (err != OK) {
        certificate_authority_free(ca);
        return err;
    }
    *out = ca;
    return OK;
}

enum vault_err
certificate_authority_renew(struct certificate_authority *ca, int64_t now, const struct rng *rng)
{
    return sign_itself(ca, now, rng);
}

void
certificate_authority_free(struct certificate_authority *ca)
{
    if (!ca)
        return;
    buf_close(&ca->certificate);
    key_pair_close(&ca->pair);
    free(ca);
}

enum vault_err
certificate_authority_export(const struct certificate_authority *ca, struct buf *certificate,
                             struct buf *key)
{
    return append_both_pem(buf_bytes(&ca->certificate), &ca->pair, certificate, key);
}

int64_t
certificate_ends(const struct certificate_request *request, int64_t ca_ends)
{
    int64_t end = request->days > 0 ? request->now + (int64_t)request->days * 86400
                                    : request->now + CERTIFICATE_YEARS * YEAR_SECONDS;

    return end < ca_ends ? end : ca_ends;
}

static enum vault_err
issue_for(const struct certificate_authority *ca, const struct certificate_request *request,
          const struct public_half *subject, const struct rng *rng, struct buf *der)
{
    char uri[NODE_URI_BYTES];
    struct contents contents = {
        .common_name = request->node_name,
        .subject = subject,
        .not_before = request->now - CLOCK_SKEW_SECONDS,
        .not_after = certificate_ends(request, ca->not_after),
        .uri = uri,
        .host = request->host,
    };

    node_uri(ca->cluster_id, request->node_name, uri);
    return make_certificate(&contents, ca, rng, der);
}

enum vault_err
certificate_issue(const struct certificate_authority *ca, const struct certificate_request *request,
                  const struct rng *rng, struct buf *certificate, struct buf *key)
{
    struct key_pair pair;
    struct buf der;
    enum vault_err err = key_pair_init(&pair);

    if (err != OK)
        return err;
    err = issue_for(ca, request, &pair.half, rng, &der);
    if (err == OK)
        err = append_both_pem(buf_bytes(&der), &pair, certificate, key);
    buf_close(&der);
    key_pair_close(&pair);
    return err;
}

enum vault_err
certificate_issue_again(const struct certificate_authority *ca,
                        const struct certificate_request *request, const struct certificate *old,
                        const struct rng *rng, struct buf *certificate)
{
    struct public_half half = {.point = {0x04}};
    struct buf der;
    enum vault_err err;

    if (old->key.kind != SIGNATURE_P256 || old->key.key.size != POINT_BYTES - 1)
        return ERR_CONFIG;
    memcpy(half.point + 1, old->key.key.data, POINT_BYTES - 1);
    err = public_half_identify(&half);
    if (err != OK)
        return err;
    err = issue_for(ca, request, &half, rng, &der);
    if (err == OK)
        err = append_pem(buf_bytes(&der), CERT_TYPE, certificate);
    buf_close(&der);
    return err;
}

/* --- a CA from its files -------------------------------------------------------------------- */

/* The key of a CA that certificate_authority_export() wrote: on P-256, with its public half. */
static enum vault_err
key_pair_read(struct bytes pem, struct key_pair *pair)
{
    DerBuffer *der = NULL;
    word32 at = 0;
    enum vault_err err = ERR_CONFIG;

    memset(pair, 0, sizeof(*pair));
    if (wc_ecc_init(&pair->key) != 0)
        return ERR_INTERNAL;
    if (wc_PemToDer(pem.data, (long)pem.size, PRIVATEKEY_TYPE, &der, NULL, NULL, NULL) == 0 &&
        wc_EccPrivateKeyDecode(der->buffer, &at, &pair->key, der->length) == 0 && pair->key.dp &&
        pair->key.dp->id == ECC_SECP256R1 && wc_ecc_check_key(&pair->key) == 0)
        err = key_pair_identify(pair);
    if (der) {
        bytes_wipe(der->buffer, der->length);
        wc_FreeDer(&der);
    }
    if (err != OK)
        key_pair_close(pair);
    return err;
}

/* Whether it is a CA of a cluster, with that key; then what it says is taken over. */
static bool
take_certificate(struct certificate_authority *ca, struct bytes der)
{
    uint64_t not_before_ms, not_after_ms;
    struct certificate read;

    if (certificate_read(der, &read) != OK || !read.signs_others ||
        read.key.kind != SIGNATURE_P256 ||
        !bytes_equal(read.key.key, bytes_of(ca->pair.half.point + 1, POINT_BYTES - 1)) ||
        !certificate_cluster_id(der, ca->cluster_id) ||
        certificate_period(der, &not_before_ms, &not_after_ms) != OK)
        return false;
    ca->not_before = (int64_t)(not_before_ms / 1000);
    ca->not_after = (int64_t)(not_after_ms / 1000);
    return true;
}

static enum vault_err
find_certificate(struct certificate_authority *ca, struct bytes pem)
{
    struct buf der = {0};
    size_t at = 0;

    while (pem_next_certificate(pem, &at, &der)) {
        if (take_certificate(ca, buf_bytes(&der))) {
            ca->certificate = der;
            return OK;
        }
        buf_close(&der);
    }
    buf_close(&der);
    return ERR_CONFIG;
}

enum vault_err
certificate_authority_open(struct bytes certificates, struct bytes key,
                           struct certificate_authority **out)
{
    struct certificate_authority *ca = calloc(1, sizeof(*ca));
    enum vault_err err;

    *out = NULL;
    if (!ca)
        return ERR_NOMEM;
    err = key_pair_read(key, &ca->pair);
    if (err != OK) {
        free(ca);
        return err;
    }
    err = find_certificate(ca, certificates);
    if (err != OK) {
        certificate_authority_free(ca);
        return err;
    }
    *out = ca;
    return OK;
}

void
certificate_authority_tell(const struct certificate_authority *ca,
                           struct certificate_authority_facts *out)
{
    *out = (struct certificate_authority_facts){.not_before = ca->not_before,
                                                .not_after = ca->not_after,
                                                .certificate = buf_bytes(&ca->certificate)};
    memcpy(out->cluster_id, ca->cluster_id, CLUSTER_ID_BYTES);
}

/* --- reading -------------------------------------------------------------------------------- */

bool
certificate_cluster_id(struct bytes ca, uint8_t out[static CLUSTER_ID_BYTES])
{
    size_t prefix = strlen(ORGANIZATION);
    DecodedCert decoded;
    bool found = false;

    memset(out, 0, CLUSTER_ID_BYTES);
    wc_InitDecodedCert(&decoded, ca.data, (word32)ca.size, NULL);
    if (wc_ParseCert(&decoded, CERT_TYPE, NO_VERIFY, NULL) == 0 && decoded.subjectO &&
        decoded.subjectOLen == (int)(prefix + 2 * (size_t)CLUSTER_ID_BYTES) &&
        memcmp(decoded.subjectO, ORGANIZATION, prefix) == 0)
        found = hex_decode(bytes_of(decoded.subjectO + prefix, 2 * (size_t)CLUSTER_ID_BYTES), out,
                           CLUSTER_ID_BYTES) == OK;
    wc_FreeDecodedCert(&decoded);
    if (!found)
        memset(out, 0, CLUSTER_ID_BYTES);
    return found;
}
