/*
 * Issuers of JSON web tokens that a tenant trusts: their keys, for whom their tokens must be meant,
 * and which claims give which policies.
 */
#ifndef OSTRAKA_AUTH_ISSUER_H
#define OSTRAKA_AUTH_ISSUER_H

#include <jansson.h>

#include "auth/record.h"
#include "crypto/verify.h"

enum {
    ISSUER_BYTES_MAX = 256,
    ISSUER_KEYS_MAX = 8,
    ISSUER_ROLES_MAX = 16,
    ISSUER_KEY_TEXT_BYTES = 32, /* of issuer_key() */
    KEY_ID_BYTES_MAX = 128,
    CLAIM_BYTES_MAX = 64,
    CLAIM_VALUE_BYTES_MAX = 128,
    JWKS_TEXT_BYTES_MAX = 16 * 1024,
};

/* One algorithm for each key: what a token says of itself must agree, and chooses nothing. */
struct issuer_key {
    struct bytes id; /* may be empty */
    struct public_key key;
};

/* Whoever has that claim with that value, alone or in a list, has those policies. */
struct issuer_role {
    struct bytes claim, value;
    struct auth_names policies; /* 1 or more */
};

struct issuer {
    struct bytes name;           /* "iss", byte for byte */
    struct auth_names audiences; /* 1 or more; a token must be meant for one of them */
    uint64_t ttl_ms_max;         /* longest life of a token that is taken */
    size_t key_count;            /* ids are different; without an id, only one of its kind */
    struct issuer_key keys[ISSUER_KEYS_MAX];
    size_t role_count; /* their policies together: AUTH_POLICIES_MAX different ones */
    struct issuer_role roles[ISSUER_ROLES_MAX];
};

bool issuer_valid(const struct issuer *issuer);
MUST_CHECK enum vault_err issuer_encode(const struct issuer *issuer, struct buf *out);
/* Of 7 KiB. Views are borrowed. */
MUST_CHECK enum vault_err issuer_decode(struct bytes encoded, struct issuer *out);
/* Of a record that has been decoded before: its keys are not checked again. */
MUST_CHECK enum vault_err issuer_decode_again(struct bytes encoded, struct issuer *out);
/* The key of the record of an issuer. */
void issuer_key(struct bytes name, char out[static ISSUER_KEY_TEXT_BYTES + 1]);

/*
 * Adds the keys of a JWKS ({"keys": [...]}) to an issuer; decoded bytes lie in `arena`, ids in the
 * tree. Every key must be usable here: RSA from 2048 bits with "alg" RS256 or PS256, EC P-256
 * (ES256), OKP Ed25519 (EdDSA); "use" and "key_ops", if there, must allow verification; private and
 * symmetric keys are refused as a whole, so that nobody uploads one unseen. Errors: ERR_BAD_JSON,
 * ERR_TOO_LARGE, ERR_NOMEM; *why is then a sentence.
 */
MUST_CHECK enum vault_err jwks_take(const json_t *jwks, struct arena *arena, struct issuer *issuer,
                                    const char **why);

#endif
