#include <stdlib.h>

#include "auth/jwt.h"
#include "auth/principal.h"
#include "base/planted.h"

static enum auth_reason
reason_of(enum jwt_verdict verdict)
{
    switch (verdict) {
    case JWT_VALID: return REASON_ALLOWED;
    case JWT_UNKNOWN_KEY: return REASON_UNKNOWN_KEY;
    case JWT_BAD_SIGNATURE: return REASON_BAD_SIGNATURE;
    case JWT_AUDIENCE: return REASON_AUDIENCE;
    case JWT_EXPIRED: return REASON_EXPIRED;
    case JWT_NOT_YET: return REASON_NOT_YET;
    case JWT_BAD_CLAIMS: break;
    }
    return REASON_MALFORMED_CREDENTIAL;
}

static enum auth_reason
find_issuer(const struct auth_records *view, struct bytes tenant, struct bytes name,
            struct bytes *record)
{
    char key[ISSUER_KEY_TEXT_BYTES + 1];

    issuer_key(name, key);
    return auth_lookup(view, tenant, AUTH_KIND_ISSUER, bytes_of_text(key), REASON_UNKNOWN_ISSUER,
                       record);
}

/*
 * The signature, which is verified whether or not anybody knows the issuer, unless this token has
 * been before. (Keys of records are checked when they are made, and again when they verify.)
 */
static enum auth_reason
check_signature(const struct auth_records *view, struct bytes credential, const struct jwt *jwt,
                struct bytes tenant, struct issuer *issuer, bool *known)
{
    struct bytes record;
    enum auth_reason found = find_issuer(view, tenant, jwt_issuer(jwt), &record);
    enum jwt_verdict verdict;

    *known = false;
    if (found == REASON_ALLOWED && issuer_decode_again(record, issuer) != OK)
        found = REASON_CORRUPT;
    if (found == REASON_ALLOWED && PLANTED(jwt_issuer_any))
        return REASON_ALLOWED;
    if (found == REASON_ALLOWED && verified_has(view->verified, record, credential)) {
        *known = true;
        return REASON_ALLOWED;
    }
    verdict = jws_check(jwt, found == REASON_ALLOWED ? issuer : NULL);
    if (found != REASON_ALLOWED)
        return found;
    if (verdict == JWT_VALID)
        verified_add(view->verified, record, credential);
    return reason_of(verdict);
}

static enum auth_reason
check(const struct auth_records *view, struct bytes credential, const struct jwt *jwt,
      uint64_t now_ms, struct issuer *issuer, struct principal *out)
{
    bool known;
    enum auth_reason reason = check_signature(view, credential, jwt, out->tenant, issuer, &known);

    if (reason != REASON_ALLOWED)
        return reason;
    jwt_identity(jwt, out->tenant, out->identity);
    reason = reason_of(jwt_check_claims(jwt, issuer, now_ms));
    if (reason != REASON_ALLOWED) {
        /* A refusal that comes sooner would tell that its issuer is one of this tenant's. */
        if (known)
            (void)jws_check(jwt, NULL);
        return reason;
    }
    jwt_policies(jwt, issuer, &out->sets[0]); /* borrowed from the record, not from `issuer` */
    out->set_count = 1;
    return REASON_ALLOWED;
}

enum auth_reason
principal_of_jwt(const struct auth_records *view, struct bytes credential, struct bytes tenant,
                 uint64_t now_ms, struct principal *out)
{
    struct issuer *issuer;
    enum auth_reason reason;
    enum vault_err err;
    struct bytes ignored;
    struct jwt jwt;

    *out = (struct principal){.tenant = tenant.size > 0 ? tenant : bytes_of_text("default")};
    err = jwt_parse(credential, &jwt);
    if (err != OK)
        return err == ERR_NOMEM ? REASON_UNAVAILABLE : REASON_MALFORMED_CREDENTIAL;
    issuer = malloc(sizeof(*issuer));
    reason = issuer ? check(view, credential, &jwt, now_ms, issuer, out) : REASON_UNAVAILABLE;
    free(issuer);
    jwt_close(&jwt);
    if (reason == REASON_ALLOWED)
        reason = auth_lookup(view, (struct bytes){0}, AUTH_KIND_TENANT, out->tenant,
                             REASON_TENANT_GONE, &ignored);
    return reason;
}
