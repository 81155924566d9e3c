#include "auth/principal.h"

#include <string.h>

#include "auth/identity.h"
#include "auth/login.h"
#include "base/planted.h"
#include "crypto/secret.h"

enum auth_reason
auth_lookup(const struct auth_records *view, struct bytes tenant, enum auth_kind kind,
            struct bytes key, enum auth_reason absent, struct bytes *record)
{
    *record = (struct bytes){0};
    switch (view->get(view->context, tenant, kind, key, record)) {
    case AUTH_FOUND: return REASON_ALLOWED;
    case AUTH_ABSENT: return absent;
    case AUTH_UNAVAILABLE: break;
    }
    return REASON_UNAVAILABLE;
}

static enum auth_reason
find_token(const struct auth_records *view, const uint8_t accessor[static ACCESSOR_BYTES],
           enum auth_reason absent, struct token *out)
{
    char key[2 * ACCESSOR_BYTES + 1];
    struct bytes record;
    enum auth_reason reason;

    *out = (struct token){0};
    hex_encode(bytes_of(accessor, ACCESSOR_BYTES), key);
    reason =
        auth_lookup(view, (struct bytes){0}, AUTH_KIND_TOKEN, bytes_of_text(key), absent, &record);
    if (reason == REASON_ALLOWED && token_decode(record, out) != OK)
        reason = REASON_CORRUPT;
    return reason;
}

/*
 * An identity that an issuer's subject stands for has no record: such a token comes from a login
 * with a JWT, and what it may do is said by its own policies, and those of its parents.
 */
static enum auth_reason
find_identity(const struct auth_records *view, const struct token *token, struct identity *out)
{
    char key[UUID_TEXT_BYTES + 1];
    struct bytes record;
    enum auth_reason reason;

    *out = (struct identity){0};
    if (uuid_is_of_issuer(token->identity))
        return REASON_ALLOWED;
    uuid_format(token->identity, key);
    reason = auth_lookup(view, token->tenant, AUTH_KIND_IDENTITY, bytes_of_text(key),
                         REASON_IDENTITY_GONE, &record);
    if (reason == REASON_ALLOWED && (identity_decode(record, out) != OK ||
                                     memcmp(out->id, token->identity, sizeof(out->id)) != 0))
        reason = REASON_CORRUPT;
    if (reason == REASON_ALLOWED && out->disabled && !PLANTED(disabled_identity_let_in))
        reason = REASON_IDENTITY_DISABLED;
    return reason;
}

/*
 * A tenant was deleted and one of that name made anew. Tokens of identities went with these; of one
 * that an issuer's subject stands for nothing else tells. By two clocks, which are as far apart
 * as logins allow.
 */
static bool
is_of_earlier_tenant(const struct token *token, struct bytes record)
{
    struct tenant tenant;

    return uuid_is_of_issuer(token->identity) && record.size > 0 &&
           tenant_decode(record, &tenant) == OK &&
           token->created_ms + LOGIN_CLOCKS_MS < tenant.created_ms;
}

/*
 * A token, be it the caller's own or an ancestor: valid by itself, of an identity that is active.
 */
static enum auth_reason
check_one(const struct auth_records *view, const struct token *token, uint64_t now_ms,
          struct identity *identity)
{
    struct bytes record;
    enum auth_reason reason = auth_lookup(view, (struct bytes){0}, AUTH_KIND_TENANT, token->tenant,
                                          REASON_TENANT_GONE, &record);

    if (reason == REASON_ALLOWED && is_of_earlier_tenant(token, record))
        reason = REASON_TENANT_GONE;
    if (reason == REASON_ALLOWED)
        reason = find_identity(view, token, identity);
    if (reason != REASON_ALLOWED)
        return reason;
    switch (token_check(token, now_ms)) {
    case TOKEN_VALID: return REASON_ALLOWED;
    case TOKEN_EXPIRED: return REASON_EXPIRED;
    case TOKEN_USED_UP: return token_in_use(token, now_ms) ? REASON_ALLOWED : REASON_USED_UP;
    }
    return REASON_CORRUPT;
}

static void
add_set(struct principal *out, const struct auth_names *names)
{
    out->sets[out->set_count++] = *names;
}

/*
 * Up the chain. What a token was narrowed to binds its descendants as long as they are of the same
 * identity: one of another identity has that one's policies.
 */
static enum auth_reason
climb(const struct auth_records *view, struct token *token, uint64_t now_ms, struct principal *out)
{
    enum auth_reason reason = REASON_ALLOWED;
    struct identity ignored;
    bool same = true;

    while (reason == REASON_ALLOWED && token->has_parent) {
        struct token parent;

        reason = find_token(view, token->parent, REASON_PARENT_GONE, &parent);
        if (PLANTED(revoked_parent_forgotten) && reason == REASON_PARENT_GONE)
            return REASON_ALLOWED;
        if (reason == REASON_ALLOWED && parent.depth + 1 != token->depth)
            reason = REASON_CORRUPT; /* so that the climb ends */
        if (reason == REASON_ALLOWED)
            reason = check_one(view, &parent, now_ms, &ignored);
        same = same && memcmp(parent.identity, out->identity, AUTH_UUID_BYTES) == 0 &&
               bytes_equal(parent.tenant, out->tenant);
        if (reason == REASON_ALLOWED && same && parent.policies.count > 0)
            add_set(out, &parent.policies);
        *token = parent;
    }
    return reason;
}

enum auth_reason
principal_of_token(const struct auth_records *view, struct bytes credential, uint64_t now_ms,
                   struct principal *out)
{
    uint8_t hash[HASH_BYTES];
    struct token token;
    struct identity identity = {0};
    enum auth_reason reason = REASON_MALFORMED_CREDENTIAL;
    bool known;

    *out = (struct principal){0};
    if (known_tickets_hash(view->tickets, credential, hash, out->accessor, &known) != OK)
        return reason;
    reason = find_token(view, out->accessor, REASON_UNKNOWN_TOKEN, &token);
    if (reason == REASON_ALLOWED &&
        !secret_equal(bytes_of(hash, HASH_BYTES), bytes_of(token.hash, HASH_BYTES)))
        reason = REASON_UNKNOWN_TOKEN;
    if (reason == REASON_ALLOWED && !known)
        known_tickets_add(view->tickets, credential, hash, out->accessor);
    bytes_wipe(hash, sizeof(hash));
    if (reason != REASON_ALLOWED)
        return reason;
    reason = check_one(view, &token, now_ms, &identity);
    memcpy(out->identity, token.identity, AUTH_UUID_BYTES);
    out->tenant = token.tenant;
    out->tenants = identity.tenants;
    out->has_accessor = true;
    out->counts_use = token.uses_limit > 0 && !token_in_use(&token, now_ms);
    if (!uuid_is_of_issuer(token.identity))
        add_set(out, &identity.policies);
    if (token.policies.count > 0)
        add_set(out, &token.policies);
    if (reason == REASON_ALLOWED)
        reason = climb(view, &token, now_ms, out);
    if (reason == REASON_ALLOWED && out->set_count == 0)
        reason = REASON_IDENTITY_GONE;
    return reason;
}
