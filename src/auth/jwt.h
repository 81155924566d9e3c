/*
 * JSON web tokens (RFC 7519) in the compact form of signed ones (RFC 7515), as strictly as RFC 8725
 * advises: the key, never the token, says the algorithm; nothing that a token brings along (keys,
 * links to keys, certificates, critical extensions) is looked at: such a token is refused.
 */
#ifndef OSTRAKA_AUTH_JWT_H
#define OSTRAKA_AUTH_JWT_H

#include "auth/issuer.h"

enum {
    JWT_SKEW_MS = 30 * 1000, /* how far "nbf" and "iat" may lie ahead of our clock */
    JWT_SUBJECT_BYTES_MAX = 256,
    JWT_AUDIENCES_MAX = 16, /* in one token */
    JWT_HEADER_BYTES_MAX = 512,
    JWT_PAYLOAD_BYTES_MAX = CREDENTIAL_BYTES_MAX / 4 * 3,
};

/* A token that was taken apart, nothing of it believed yet. Wiped by jwt_close. */
struct jwt {
    struct bytes signing_input; /* borrowed from the text */
    enum signature_kind kind;   /* that the header names */
    size_t key_id_size;
    uint8_t key_id[KEY_ID_BYTES_MAX];
    size_t signature_size;
    uint8_t signature[SIGNATURE_BYTES_MAX];
    json_t *claims;
};

/*
 * Header and signature alone, whatever the payload is: what jwt_parse begins with. Errors as there.
 */
MUST_CHECK enum vault_err jws_parse(struct bytes text, struct jwt *out);

/* Whether a credential is meant to be one: it has dots. */
bool jwt_looks_like(struct bytes text);
/* Errors: ERR_MALFORMED anything but a token as above, ERR_NOMEM; *out is then closed. */
MUST_CHECK enum vault_err jwt_parse(struct bytes text, struct jwt *out);
void jwt_close(struct jwt *jwt);
/* "iss", or empty. Borrowed. Only to look an issuer up. */
struct bytes jwt_issuer(const struct jwt *jwt);

enum jwt_verdict {
    JWT_VALID,
    JWT_UNKNOWN_KEY,
    JWT_BAD_SIGNATURE,
    JWT_BAD_CLAIMS, /* missing or of a wrong type, another issuer, or too long a life */
    JWT_AUDIENCE,
    JWT_EXPIRED,
    JWT_NOT_YET,
};

/* The signature alone: JWT_VALID, JWT_UNKNOWN_KEY or JWT_BAD_SIGNATURE. `issuer` as below. */
enum jwt_verdict jws_check(const struct jwt *jwt, const struct issuer *issuer);
/* All but the signature. */
enum jwt_verdict jwt_check_claims(const struct jwt *jwt, const struct issuer *issuer,
                                  uint64_t now_ms);
/* `issuer` NULL, when there is none of that name: a signature is verified all the same. */
enum jwt_verdict jwt_check(const struct jwt *jwt, const struct issuer *issuer, uint64_t now_ms);

/* Of a token that is valid. Views are borrowed from the token and the issuer. */
struct bytes jwt_subject(const struct jwt *jwt);
/* The policies of all roles that its claims have. */
void jwt_policies(const struct jwt *jwt, const struct issuer *issuer, struct auth_names *out);
/* When it ends. */
uint64_t jwt_expires_ms(const struct jwt *jwt);
/*
 * The identity of a subject: a UUID (version 8) made of tenant, issuer and subject, so that it is
 * the same on all nodes without a record.
 */
void jwt_identity(const struct jwt *jwt, struct bytes tenant, uint8_t out[static AUTH_UUID_BYTES]);

#endif
