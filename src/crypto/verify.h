/*
 * Verification of signatures that others made: Ed25519 (RFC 8032), ECDSA on P-256 and RSA of 2048
 * to 4096 bits, both over SHA-256. Public data only.
 */
#ifndef OSTRAKA_CRYPTO_VERIFY_H
#define OSTRAKA_CRYPTO_VERIFY_H

#include "base/bytes.h"

/* Stored in records; never renumbered. */
enum signature_kind {
    SIGNATURE_ED25519 = 1,
    SIGNATURE_P256 = 2,    /* the signature is r and s, 32 bytes each */
    SIGNATURE_RSA = 3,     /* RSASSA-PKCS1-v1_5 */
    SIGNATURE_RSA_PSS = 4, /* RSASSA-PSS, MGF1 with SHA-256, salt of 32 bytes */
};

enum {
    ED25519_KEY_BYTES = 32,
    P256_KEY_BYTES = 64, /* x and y */
    RSA_MODULUS_BYTES_MIN = 256,
    RSA_MODULUS_BYTES_MAX = 512,
    RSA_EXPONENT_BYTES_MAX = 4,
    SIGNATURE_BYTES_MAX = RSA_MODULUS_BYTES_MAX,
};

struct public_key {
    enum signature_kind kind;
    struct bytes key; /* Ed25519: encoded point; P-256: x and y; RSA: modulus, no leading zero */
    struct bytes exponent; /* RSA, no leading zero; else empty */
};

/*
 * Whether a key can be used at all: sizes; a point that is on its curve, and of Ed25519 not of
 * small order; an RSA modulus of full size and odd, an exponent that is odd and from 65537.
 */
bool public_key_valid(const struct public_key *key);

/*
 * A key that signed nothing: the base point of a curve, or a number that is no product of two primes
 * anybody knows. For who has no key, and does the same work as with one; what it says counts for
 * nothing, since the base points' private keys are no secret. Views are of constants.
 */
struct public_key public_key_of_nobody(enum signature_kind kind);

/* False for a key that is not valid, too. */
bool signature_verify(const struct public_key *key, struct bytes message, struct bytes signature);

#endif
