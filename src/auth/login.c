#include "auth/login.h"

#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/jwt.h"
#include "auth/nobody.h"
#include "auth/principal.h"
#include "auth/statement.h"

static const char role_prefix[] = "ostlg1.";

/* ---- what carries it ---- */

static bool
begins_with(struct bytes text, const char *prefix)
{
    return bytes_begin_with(text, bytes_of_text(prefix));
}

bool
login_looks_like(struct bytes credential)
{
    return begins_with(credential, role_prefix) || begins_with(credential, STATEMENT_PREFIX);
}

enum vault_err
login_credential(struct bytes role_id, struct bytes secret_id, struct buf *out)
{
    enum vault_err err = buf_append_text(out, role_prefix);

    if (err == OK)
        err = buf_append(out, role_id);
    if (err == OK)
        err = buf_append_text(out, ".");
    return err == OK ? buf_append(out, secret_id) : err;
}

/* ---- who it is ---- */

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
login_approle(const struct auth_records *view, struct bytes tenant, struct bytes role_id,
              struct bytes secret_id, uint64_t now_ms, struct login *out)
{
    uint8_t id[AUTH_UUID_BYTES];
    struct approle role = {0};
    struct bytes record = {0};
    enum auth_reason reason = REASON_UNKNOWN_TOKEN;
    bool good;

    *out = (struct login){0};
    if (uuid_parse(role_id, id) == OK)
        reason =
            auth_lookup(view, tenant, AUTH_KIND_APPROLE, role_id, REASON_UNKNOWN_TOKEN, &record);
    if (reason == REASON_ALLOWED &&
        (approle_decode(record, &role) != OK || memcmp(role.role_id, id, sizeof(id)) != 0 ||
         !bytes_equal(role.tenant, tenant)))
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
    case STATEMENT_REVOCATIONS_OLD: return REASON_REVOCATIONS_OLD;
    case STATEMENT_SIGNATURE: return REASON_BAD_SIGNATURE;
    case STATEMENT_MALFORMED: break;
    }
    return REASON_MALFORMED_CREDENTIAL;
}

/*
 * The list of another authority, which the tenant had before this one, says nothing of this one's
 * certificates.
 */
static enum auth_reason
find_revocations(const struct auth_records *view, struct bytes tenant,
                 struct client_authority *authority, struct revocations *out)
{
    uint8_t mark[HASH_BYTES];
    struct bytes record, subject;
    enum auth_reason reason = auth_lookup(view, tenant, AUTH_KIND_CLIENT_AUTHORITY,
                                          bytes_of_text("crl"), REASON_NO_RULE, &record);

    if (reason == REASON_NO_RULE)
        return REASON_ALLOWED;
    if (reason == REASON_ALLOWED &&
        (revocations_decode(record, out) != OK ||
         certificate_authority_of(authority->certificate, &subject, mark) != OK))
        reason = REASON_CORRUPT;
    if (reason == REASON_ALLOWED && memcmp(mark, out->authority, HASH_BYTES) == 0)
        authority->revocations = out;
    return reason;
}

/* Of the tenant; or, with REASON_CERTIFICATE, one that has issued nothing. */
static enum auth_reason
find_authority(const struct auth_records *view, struct bytes tenant,
               struct client_authority *authority, struct revocations *revocations)
{
    struct bytes record;
    enum auth_reason reason = auth_lookup(view, tenant, AUTH_KIND_CLIENT_AUTHORITY,
                                          bytes_of_text("ca"), REASON_CERTIFICATE, &record);
    enum auth_reason list;

    if (reason == REASON_CERTIFICATE)
        record = bytes_of(nobodys_authority, sizeof(nobodys_authority));
    else if (reason != REASON_ALLOWED)
        return reason;
    if (client_authority_decode(record, authority) != OK)
        return REASON_CORRUPT;
    list = find_revocations(view, tenant, authority, revocations);
    return list == REASON_ALLOWED ? reason : list;
}

enum auth_reason
login_statement(const struct auth_records *view, struct bytes text,
                const uint8_t cluster_id[static CLUSTER_ID_BYTES], struct bytes tenant,
                uint64_t now_ms, struct login *out)
{
    struct client_authority *authority = malloc(sizeof(*authority));
    struct revocations revocations;
    enum auth_reason reason = REASON_UNAVAILABLE, verdict;

    *out = (struct login){.tenant = tenant};
    if (authority)
        reason = find_authority(view, tenant, authority, &revocations);
    if (reason == REASON_ALLOWED || reason == REASON_CERTIFICATE) {
        verdict =
            reason_of(statement_check(text, cluster_id, tenant, authority, now_ms, out->identity));
        reason = verdict == REASON_ALLOWED ? reason : verdict;
    }
    free(authority);
    if (reason == REASON_ALLOWED)
        reason = check_identity(view, out);
    if (reason != REASON_ALLOWED)
        *out = (struct login){0};
    return reason;
}

/* An identity of an issuer's has no record: what it may do is said by the policies of its token. */
enum auth_reason
login_jwt(const struct auth_records *view, struct bytes jwt, struct bytes tenant, uint64_t now_ms,
          struct login *out)
{
    struct principal who;
    struct auth_records anew = *view;
    enum auth_reason reason;
    struct jwt parts;

    /* Whatever is wrong takes a signature's time: one that is remembered would take none. */
    anew.verified = NULL;
    reason = principal_of_jwt(&anew, jwt, tenant, now_ms, &who);

    *out = (struct login){0};
    if (reason == REASON_ALLOWED && who.sets[0].count == 0)
        reason = REASON_NO_ROLE;
    if (reason != REASON_ALLOWED)
        return reason;
    if (jwt_parse(jwt, &parts) != OK)
        return REASON_UNAVAILABLE; /* it has been parsed before */
    *out = (struct login){
        .tenant = tenant, .policies = who.sets[0], .until_ms = jwt_expires_ms(&parts)};
    memcpy(out->identity, who.identity, sizeof(out->identity));
    jwt_close(&parts);
    return REASON_ALLOWED;
}

static enum auth_reason
check_role(const struct auth_records *view, struct bytes credential, struct bytes tenant,
           uint64_t now_ms, struct login *out)
{
    size_t at = sizeof(role_prefix) - 1;
    struct bytes role_id = {0}, secret_id = {0};

    if (credential.size > at + UUID_TEXT_BYTES && credential.data[at + UUID_TEXT_BYTES] == '.') {
        role_id = bytes_of(credential.data + at, UUID_TEXT_BYTES);
        at += UUID_TEXT_BYTES + 1;
        secret_id = bytes_of(credential.data + at, credential.size - at);
    }
    return login_approle(view, tenant, role_id, secret_id, now_ms, out);
}

enum auth_reason
login_check(const struct auth_records *view, struct bytes credential,
            const uint8_t cluster_id[static CLUSTER_ID_BYTES], struct bytes tenant, uint64_t now_ms,
            struct login *out)
{
    *out = (struct login){0};
    if (credential.size > CREDENTIAL_BYTES_MAX)
        return REASON_MALFORMED_CREDENTIAL;
    if (begins_with(credential, role_prefix))
        return check_role(view, credential, tenant, now_ms, out);
    if (begins_with(credential, STATEMENT_PREFIX))
        return login_statement(view, credential, cluster_id, tenant, now_ms, out);
    return login_jwt(view, credential, tenant, now_ms, out);
}

/* ---- the token ---- */

enum vault_err
login_token(const struct login *login, uint64_t now_ms, const uint8_t hash[static HASH_BYTES],
            struct token *out)
{
    struct token_wish wish = {.ttl_ms = login->ttl_ms, .policies = login->policies};
    enum vault_err err = token_fill(&wish, login->tenant, login->identity, NULL, now_ms, hash, out);

    if (err != OK)
        return err;
    if (login->until_ms > 0 && out->expires_ms > login->until_ms)
        out->expires_ms = out->latest_ms = login->until_ms;
    return out->expires_ms > now_ms ? OK : ERR_UNAUTHENTICATED;
}

bool
login_makes(const struct login *login, const struct token *token, uint64_t now_ms)
{
    struct token own;
    struct buf one = {0}, other = {0};
    bool same;

    if (token->created_ms > now_ms + LOGIN_CLOCKS_MS ||
        now_ms > token->created_ms + LOGIN_CLOCKS_MS)
        return false;
    same = login_token(login, token->created_ms, token->hash, &own) == OK &&
           token_encode(&own, &one) == OK && token_encode(token, &other) == OK &&
           bytes_equal(buf_bytes(&one), buf_bytes(&other));
    buf_close(&one);
    buf_close(&other);
    return same;
}
