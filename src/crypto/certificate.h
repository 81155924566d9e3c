/*
 * X.509 certificates of clients (RFC 5280), as much of them as a login needs: who signed it, for
 * how long, with which key, and whose it is. One authority issues them directly: no chains. No
 * clock: whoever asks compares the times.
 */
#ifndef OSTRAKA_CRYPTO_CERTIFICATE_H
#define OSTRAKA_CRYPTO_CERTIFICATE_H

#include "crypto/hash.h"
#include "crypto/verify.h"

enum {
    CERTIFICATE_BYTES_MAX = 2048, /* of a client, and of the authority that signs clients */
    CERTIFICATE_READ_BYTES_MAX =
        16384, /* of any: RSA of 4096 bits and a hundred names have 8,000 */
    CERTIFICATE_SERIAL_BYTES_MAX = 20,
    CERTIFICATE_URI_BYTES_MAX = 128,
};

/* Must not be copied: the key's views are into it. */
struct certificate {
    uint64_t not_before_ms, not_after_ms;
    size_t serial_size;
    uint8_t serial[CERTIFICATE_SERIAL_BYTES_MAX];
    bool is_authority; /* basicConstraints */
    bool signs_others; /* is an authority whose key may sign certificates */
    bool signs_lists;  /* is an authority whose key may sign lists of revocations */
    bool is_client;    /* its key may sign, and it is for clients */
    size_t uri_size;   /* the URI of its alternative names; 0: none, or several */
    uint8_t uri[CERTIFICATE_URI_BYTES_MAX];
    struct public_key key; /* RSA: to be used with SIGNATURE_RSA_PSS */
    uint8_t key_bytes[RSA_MODULUS_BYTES_MAX + RSA_EXPONENT_BYTES_MAX];
};

/* Errors: ERR_MALFORMED, also for keys that are not public_key_valid(). */
MUST_CHECK enum vault_err certificate_read(struct bytes der, struct certificate *out);
/*
 * From when to when a certificate is valid, whatever its key and its use. Errors: ERR_MALFORMED,
 * both are then 0.
 */
MUST_CHECK enum vault_err certificate_period(struct bytes der, uint64_t *not_before_ms,
                                             uint64_t *not_after_ms);
/*
 * Who an authority is, whichever certificate it shows: a hash of its name, and of its key.
 * `subject`: what is in the SEQUENCE of its name, borrowed. Errors: ERR_MALFORMED, *subject is then empty.
 */
MUST_CHECK enum vault_err certificate_authority_of(struct bytes der, struct bytes *subject,
                                                   uint8_t mark[static HASH_BYTES]);
/* A time of ASN.1 with its tag, UTCTime or GeneralizedTime, as RFC 5280 demands. */
bool certificate_time(uint8_t tag, struct bytes text, uint64_t *out);
/*
 * Whether the authority's key signed it, and it names that authority as its issuer. A signature is
 * verified whatever the answer is, if it is of an algorithm that is taken.
 */
bool certificate_signed_by(struct bytes der, struct bytes authority_der);

#endif
