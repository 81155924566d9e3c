#include <stdlib.h>

#include "auth/jwt.h"
#include "auth/principal.h"

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
            struct issuer *out)
{
    char key[ISSUER_KEY_TEXT_BYTES + 1];
    struct bytes record;
    enum auth_reason reason;

    issuer_key(name, key);
    reason = auth_lookup(view, tenant, AUTH_KIND_ISSUER, bytes_of_text(key), REASON_UNKNOWN_ISSUER,
                         &record);
    if (reason == REASON_ALLOWED && issuer_decode(record, out) != OK)
        reason = REASON_CORRUPT;
    return reason;
}

/* The signature is verified whether or not anybody knows the issuer. */
static enum auth_reason
check(const struct auth_records *view, const struct jwt *jwt, uint64_t now_ms,
      struct issuer *issuer, struct principal *out)
{
    enum auth_reason found = find_issuer(view, out->tenant, jwt_issuer(jwt), issuer);
    enum jwt_verdict verdict = jwt_check(jwt, found == REASON_ALLOWED ? issuer : NULL, now_ms);

    if (found != REASON_ALLOWED)
        return found;
    if (verdict != JWT_VALID)
        return reason_of(verdict);
    jwt_identity(jwt, out->tenant, out->identity);
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
    reason = issuer ? check(view, &jwt, now_ms, issuer, out) : REASON_UNAVAILABLE;
    free(issuer);
    jwt_close(&jwt);
    if (reason == REASON_ALLOWED)
        reason = auth_lookup(view, (struct bytes){0}, AUTH_KIND_TENANT, out->tenant,
                             REASON_TENANT_GONE, &ignored);
    return reason;
}
