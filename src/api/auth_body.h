/*
 * JSON bodies of the calls on tenants, policies, identities and tokens, and of logins. Strict like
 * all bodies: unknown and repeated members, and wrong types, are ERR_BAD_JSON. What is parsed lies
 * in `arena`. Every function sets *out empty at entry, and *refusal to a sentence (static) on
 * ERR_BAD_JSON, ERR_BAD_NAME and ERR_TOO_LARGE, else to NULL; other errors: ERR_NOMEM.
 */
#ifndef OSTRAKA_API_AUTH_BODY_H
#define OSTRAKA_API_AUTH_BODY_H

#include "auth/decide.h"
#include "auth/identity.h"
#include "auth/issuer.h"
#include "auth/token.h"

/* PUT /v1/policies/{name}: {"rules": [...], "expected_version": N} */
struct policy_body {
    struct bytes record;
    uint64_t expected_version; /* 0: any */
    size_t fault_rule;         /* on error: number of the rule from 1, 0 none */
};
MUST_CHECK enum vault_err policy_body_parse(struct bytes body, struct arena *arena,
                                            struct policy_body *out, const char **refusal);

/*
 * POST /v1/policies:test: {"identity": UUID or "policies": [...], "operation", "name", "address",
 * "time": "HH:MM", "expected_version": bool}
 */
struct policy_test_body {
    bool has_identity;
    uint8_t identity[AUTH_UUID_BYTES];
    struct auth_names policies; /* without an identity: 1 or more */
    struct policy_question question;
};
MUST_CHECK enum vault_err policy_test_body_parse(struct bytes body, struct arena *arena,
                                                 struct policy_test_body *out,
                                                 const char **refusal);

/*
 * POST /v1/tenants: {"name", "limits"}, or with `existing` the body of a PATCH, {"limits"}: limits
 * that are not named stay. Limits: {"secrets", "versions", "value_bytes", "requests_per_second",
 * "expires_after" in seconds}, null or absent: none.
 */
MUST_CHECK enum vault_err tenant_body_parse(struct bytes body, const struct tenant *existing,
                                            struct arena *arena, struct tenant *out,
                                            const char **refusal);

/*
 * POST /v1/identities: {"name", "kind", "policies", "metadata", "tenants"}; or with `existing` a
 * PATCH, in which every member may be missing and stays, "kind" cannot be, and "disabled" may be.
 * Metadata is replaced as a whole. id and created_ms of a new one are the caller's to fill in.
 */
MUST_CHECK enum vault_err identity_body_parse(struct bytes body, const struct identity *existing,
                                              struct arena *arena, struct identity *out,
                                              const char **refusal);

/* POST /v1/tokens: {"identity", "ttl" in seconds, "uses", "renewable", "policies"} */
struct token_body {
    bool has_identity; /* else the caller's own */
    uint8_t identity[AUTH_UUID_BYTES];
    struct token_wish wish;
};
MUST_CHECK enum vault_err token_body_parse(struct bytes body, struct arena *arena,
                                           struct token_body *out, const char **refusal);
/* POST /v1/tokens:revoke: {"accessor"} */
MUST_CHECK enum vault_err accessor_body_parse(struct bytes body, uint8_t out[static ACCESSOR_BYTES],
                                              const char **refusal);

/* Logins. What is not well-formed is refused as what is wrong is: by whoever checks it. */
struct login_body {
    struct bytes role_id, secret_id; /* POST /v1/auth/approle:login */
    struct bytes jwt;                /* POST /v1/auth/jwt:login */
    struct bytes statement;          /* POST /v1/auth/cert:login */
};
MUST_CHECK enum vault_err approle_login_parse(struct bytes body, struct arena *arena,
                                              struct login_body *out, const char **refusal);
MUST_CHECK enum vault_err jwt_login_parse(struct bytes body, struct arena *arena,
                                          struct login_body *out, const char **refusal);

MUST_CHECK enum vault_err cert_login_parse(struct bytes body, struct arena *arena,
                                           struct login_body *out, const char **refusal);

/*
 * PUT /v1/auth/issuers: {"issuer", "audiences": [...], "ttl_max" in seconds, "jwks": {...},
 * "roles": [{"claim", "value", "policies": [...]}], "expected_version"}
 */
struct issuer_body {
    struct bytes record;
    char key[ISSUER_KEY_TEXT_BYTES + 1];
    uint64_t expected_version; /* 0: any */
    bool names_operators;      /* or auditors, which is for issuers of "default" */
};
MUST_CHECK enum vault_err issuer_body_parse(struct bytes body, struct arena *arena,
                                            struct issuer_body *out, const char **refusal);
/* PUT /v1/auth/ca: {"certificate" in PEM, "revoked": [serials in hex], "expected_version"} */
struct ca_body {
    struct bytes record;
    uint64_t expected_version; /* 0: any */
};
MUST_CHECK enum vault_err ca_body_parse(struct bytes body, struct arena *arena, struct ca_body *out,
                                        const char **refusal);
/* PUT /v1/auth/ca/crl: {"crl" in PEM}; *out is the list as DER, in `arena`. */
MUST_CHECK enum vault_err crl_body_parse(struct bytes body, struct arena *arena, struct bytes *out,
                                         const char **refusal);
/* POST /v1/auth/roles: {"identity", "ttl" in seconds} of the tokens */
MUST_CHECK enum vault_err role_body_parse(struct bytes body, struct approle *out,
                                          const char **refusal);
/* POST /v1/auth/roles/{role}/secret-ids: {"ttl" in seconds}; *ttl_ms 0: it does not end. */
MUST_CHECK enum vault_err secret_id_body_parse(struct bytes body, uint64_t *ttl_ms,
                                               const char **refusal);

/* ---- answers: appended to `out`; ERR_NOMEM, ERR_CORRUPT a record that cannot be read ---- */

MUST_CHECK enum vault_err policy_render(struct bytes name, uint64_t version, struct bytes record,
                                        struct buf *out);
/* {"allowed", "policy", "rule"}: the rule counts from 1; both are null when none decided. */
MUST_CHECK enum vault_err decision_render(const struct auth_decision *decision, struct buf *out);
/* {"id", "issuer", "version", "audiences", "ttl_max", "keys", "roles"}: keys by kid and alg. */
MUST_CHECK enum vault_err issuer_render(uint64_t version, struct bytes record, struct buf *out);
/* {"version", "certificate", "revoked"} */
MUST_CHECK enum vault_err ca_render(uint64_t version, struct bytes record, struct buf *out);
/* {"number" in hex, "this_update", "next_update", "revoked": how many} */
MUST_CHECK enum vault_err revocations_render(struct bytes record, struct buf *out);
/* {"role_id", "identity", "ttl", "secret_ids": [{"accessor", "expires_at"}]} */
MUST_CHECK enum vault_err role_render(const struct approle *role, struct buf *out);
MUST_CHECK enum vault_err tenant_render(const struct tenant *tenant, struct buf *out);
MUST_CHECK enum vault_err identity_render(const struct identity *identity, struct buf *out);
/* `text`: of a token that was just made, the only time that it is shown; else empty. */
MUST_CHECK enum vault_err token_render(const struct token *token, struct bytes text,
                                       struct buf *out);

#endif
