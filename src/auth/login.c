#include "auth/login.h"

#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/principal.h"
#include "auth/statement.h"

/* The identity that a login names must be active, in a tenant that is there. */
static enum auth_reason
check_identity(const struct auth_records *view, const struct login *login)
{
    char key[UUID_TEXT_BYTES + 1];
    struct identity identity;
    struct bytes record;
    enum auth_reason reason = auth_lookup(view, (struct bytes){0}, AUTH_KIND_TENANT, login->tenant,
                                          REASON_TENANT_GONE, &record);

    uuid_format(login->identity, key);
    if (reason == REASON_ALLOWED)
        reason = auth_lookup(view, login->tenant, AUTH_KIND_IDENTITY, bytes_of_text(key),
                             REASON_IDENTITY_GONE, &record);
    if (reason == REASON_ALLOWED && identity_decode(record, &identity) != OK)
        reason = REASON_CORRUPT;
    if (reason == REASON_ALLOWED && identity.disabled)
        reason = REASON_IDENTITY_DISABLED;
    return reason;
}

/* A role that is not known, or is no id at all, is checked against nobody's secrets. */
enum auth_reason
login_approle(const struct auth_records *view, struct bytes role_id, struct bytes secret_id,
              uint64_t now_ms, struct login *out)
{
    uint8_t id[AUTH_UUID_BYTES];
    struct approle role = {0};
    struct bytes record = {0};
    enum auth_reason reason = REASON_UNKNOWN_TOKEN;
    bool good;

    *out = (struct login){0};
    if (uuid_parse(role_id, id) == OK)
        reason = auth_lookup(view, (struct bytes){0}, AUTH_KIND_APPROLE, role_id,
                             REASON_UNKNOWN_TOKEN, &record);
    if (reason == REASON_ALLOWED &&
        (approle_decode(record, &role) != OK || memcmp(role.role_id, id, sizeof(id)) != 0))
        reason = REASON_CORRUPT;
    good = approle_check(reason == REASON_ALLOWED ? &role : NULL, secret_id, now_ms);
    if (reason != REASON_ALLOWED)
        return reason;
    if (!good)
        return REASON_UNKNOWN_TOKEN;
    *out = (struct login){.tenant = role.tenant, .ttl_ms = role.ttl_ms};
    memcpy(out->identity, role.identity, sizeof(out->identity));
    reason = check_identity(view, out);
    if (reason != REASON_ALLOWED)
        *out = (struct login){0};
    return reason;
}

static enum auth_reason
reason_of(enum statement_verdict verdict)
{
    switch (verdict) {
    case STATEMENT_VALID: return REASON_ALLOWED;
    case STATEMENT_ELSEWHERE: return REASON_AUDIENCE;
    case STATEMENT_TIME: return REASON_EXPIRED;
    case STATEMENT_CERTIFICATE: return REASON_CERTIFICATE;
    case STATEMENT_REVOKED: return REASON_CERTIFICATE_REVOKED;
    case STATEMENT_SIGNATURE: return REASON_BAD_SIGNATURE;
    case STATEMENT_MALFORMED: break;
    }
    return REASON_MALFORMED_CREDENTIAL;
}

enum auth_reason
login_statement(const struct auth_records *view, struct bytes text,
                const uint8_t cluster_id[static CLUSTER_ID_BYTES], struct bytes tenant,
                uint64_t now_ms, struct login *out)
{
    struct client_authority *authority = malloc(sizeof(*authority));
    enum statement_verdict verdict;
    struct bytes record;
    enum auth_reason reason;

    *out = (struct login){.tenant = tenant};
    reason = auth_lookup(view, tenant, AUTH_KIND_CLIENT_AUTHORITY, bytes_of_text("ca"),
                         REASON_CERTIFICATE, &record);
    if (!authority)
        reason = REASON_UNAVAILABLE;
    else if (reason == REASON_ALLOWED && client_authority_decode(record, authority) != OK)
        reason = REASON_CORRUPT;
    if (reason == REASON_ALLOWED) {
        verdict = statement_check(text, cluster_id, tenant, authority, now_ms, out->identity);
        reason = reason_of(verdict);
    }
    free(authority);
    if (reason == REASON_ALLOWED)
        reason = check_identity(view, out);
    if (reason != REASON_ALLOWED)
        *out = (struct login){0};
    return reason;
}
