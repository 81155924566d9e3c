/* Bodies of the calls on tenants, identities and tokens, and of logins. */
#include "api/auth_body.h"
#include "api/auth_members.h"
#include "auth/policy.h"
#include "auth/text.h"
#include "proto/request.h"

#define POLICY_NAMES "policies is a list of at most 16 names of policies, none twice"

/* ---- tenants ---- */

static enum vault_err
take_limits(const json_t *object, struct tenant *out, const char **refusal)
{
    const json_t *secrets, *versions, *value_bytes, *rate, *expiry;
    const struct json_member members[] = {{"secrets", &secrets},
                                          {"versions", &versions},
                                          {"value_bytes", &value_bytes},
                                          {"requests_per_second", &rate},
                                          {"expires_after", &expiry}};
    const struct {
        const json_t *const *value;
        uint64_t max, *out;
    } limits[] = {{&secrets, INT64_MAX, &out->secrets_max},
                  {&versions, VERSIONS_KEPT_MAX, &out->versions_max},
                  {&value_bytes, VALUE_BYTES_MAX, &out->value_bytes_max},
                  {&rate, REQUESTS_PER_SECOND_MAX, &out->requests_per_second},
                  {&expiry, EXPIRES_AFTER_S_MAX, &out->expires_after_s}};
    enum vault_err err = members_take(object, members, 5, refusal);

    for (size_t i = 0; i < 5 && err == OK; i++) {
        if (!*limits[i].value)
            continue;
        if (json_is_null(*limits[i].value))
            *limits[i].out = 0;
        else if (!member_number(*limits[i].value, 1, limits[i].max, limits[i].out))
            err = member_refuse(refusal, "a limit is a number from 1 up to what the vault has, or "
                                         "null");
    }
    return err;
}

enum vault_err
tenant_body_parse(struct bytes body, const struct tenant *existing, struct arena *arena,
                  struct tenant *out, const char **refusal)
{
    const json_t *name, *limits;
    const struct json_member members[] = {{"limits", &limits}, {"name", &name}};
    enum vault_err err;
    json_t *root = members_load(body, members, existing ? 1 : 2, &err, refusal);

    *out = existing ? *existing : (struct tenant){0};
    if (root && !existing) {
        if (!json_is_string(name) || !tenant_name_valid(member_text(name)))
            err = member_refuse(refusal, "name is 1 to 64 of a-z, 0-9, _ and -, and begins with a "
                                         "letter or digit");
        else
            err = arena_copy(arena, member_text(name), &out->name);
    }
    if (root && err == OK && limits)
        err = take_limits(limits, out, refusal);
    json_decref(root);
    if (err != OK)
        *out = (struct tenant){0};
    return err;
}

/* ---- identities ---- */

struct identity_members {
    const json_t *name, *policies, *metadata, *tenants, *kind, *disabled;
};

static enum vault_err
take_pair(const char *key, const json_t *value, struct arena *arena, struct identity *out,
          const char **refusal)
{
    struct metadata_pair *at = &out->metadata[out->metadata_count];
    struct bytes name = bytes_of_text(key);
    enum vault_err err;

    if (out->metadata_count == AUTH_METADATA_MAX ||
        !text_printable(name, 1, AUTH_METADATA_KEY_BYTES_MAX) || !json_is_string(value) ||
        !text_printable(member_text(value), 0, AUTH_METADATA_VALUE_BYTES_MAX))
        return member_refuse(refusal, "metadata has at most 16 strings of 256 bytes, with names of "
                                      "64");
    /* Records have them in order. */
    while (at > out->metadata && bytes_compare(name, at[-1].key) < 0) {
        *at = at[-1];
        at--;
    }
    *at = (struct metadata_pair){0};
    out->metadata_count++;
    err = arena_copy(arena, name, &at->key);
    return err == OK ? arena_copy(arena, member_text(value), &at->value) : err;
}

static enum vault_err
take_metadata(const json_t *object, struct arena *arena, struct identity *out, const char **refusal)
{
    enum vault_err err = OK;
    const char *key;
    json_t *value;

    out->metadata_count = 0;
    if (!json_is_object(object))
        return member_refuse(refusal, "metadata is an object of strings");
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        err = take_pair(key, value, arena, out, refusal);
        if (err != OK)
            break;
    }
    return err;
}

static enum vault_err
take_name_and_kind(const struct identity_members *in, bool is_new, struct arena *arena,
                   struct identity *out, const char **refusal)
{
    if (is_new && (!in->name || !in->kind))
        return member_refuse(refusal, "an identity has a name and a kind");
    if (in->kind && !identity_kind_parse(member_text(in->kind), &out->kind))
        return member_refuse(refusal, "kind is user, service or device");
    if (in->disabled && !json_is_boolean(in->disabled))
        return member_refuse(refusal, "disabled is true or false");
    if (in->disabled)
        out->disabled = json_is_true(in->disabled);
    if (!in->name)
        return OK;
    if (!json_is_string(in->name) || !identity_name_valid(member_text(in->name)))
        return member_refuse(refusal, "name is 1 to 128 bytes of text without control characters");
    return arena_copy(arena, member_text(in->name), &out->name);
}

static enum vault_err
take_identity(const struct identity_members *in, bool is_new, struct arena *arena,
              struct identity *out, const char **refusal)
{
    enum vault_err err = take_name_and_kind(in, is_new, arena, out, refusal);

    if (err == OK && in->policies)
        err = member_names(in->policies, policy_name_valid, arena, &out->policies, refusal,
                           POLICY_NAMES);
    if (err == OK && in->tenants)
        err = member_names(in->tenants, tenant_name_valid, arena, &out->tenants, refusal,
                           "tenants is a list of at most 16 names of tenants, none twice");
    if (err == OK && in->metadata)
        err = take_metadata(in->metadata, arena, out, refusal);
    return err;
}

enum vault_err
identity_body_parse(struct bytes body, const struct identity *existing, struct arena *arena,
                    struct identity *out, const char **refusal)
{
    struct identity_members in = {0};
    const struct json_member members[] = {{"name", &in.name},
                                          {"policies", &in.policies},
                                          {"metadata", &in.metadata},
                                          {"tenants", &in.tenants},
                                          existing ? (struct json_member){"disabled", &in.disabled}
                                                   : (struct json_member){"kind", &in.kind}};
    enum vault_err err;
    json_t *root = members_load(body, members, sizeof(members) / sizeof(members[0]), &err, refusal);

    *out = existing ? *existing : (struct identity){0};
    if (root)
        err = take_identity(&in, existing == NULL, arena, out, refusal);
    json_decref(root);
    if (err != OK)
        *out = (struct identity){0};
    return err;
}

/* ---- tokens and logins ---- */

struct token_members {
    const json_t *identity, *ttl, *uses, *renewable, *policies;
};

static enum vault_err
take_token(const struct token_members *in, struct arena *arena, struct token_body *out,
           const char **refusal)
{
    uint64_t seconds;
    enum vault_err err = OK;

    out->has_identity = in->identity != NULL;
    if (in->identity && uuid_parse(member_text(in->identity), out->identity) != OK)
        return member_refuse(refusal, "identity is the id of one");
    if (in->ttl &&
        !member_number(in->ttl, TOKEN_TTL_MS_MIN / 1000, TOKEN_TTL_MS_MAX / 1000, &seconds))
        return member_refuse(refusal, "ttl is a number of seconds, from 1 to 2000000");
    out->wish.ttl_ms = in->ttl ? seconds * 1000 : 0;
    if (in->uses && !member_number(in->uses, 1, INT32_MAX, &out->wish.uses))
        return member_refuse(refusal, "uses is a number from 1");
    if (in->renewable && !json_is_boolean(in->renewable))
        return member_refuse(refusal, "renewable is true or false");
    out->wish.renewable = in->renewable && json_is_true(in->renewable);
    if (in->policies) {
        err = member_names(in->policies, policy_name_valid, arena, &out->wish.policies, refusal,
                           POLICY_NAMES);
        /* An empty list would say "all", and look like "none". */
        if (err == OK && out->wish.policies.count == 0)
            err = member_refuse(refusal, "policies narrows a token to one or more");
    }
    return err;
}

enum vault_err
token_body_parse(struct bytes body, struct arena *arena, struct token_body *out,
                 const char **refusal)
{
    struct token_members in;
    const struct json_member members[] = {{"identity", &in.identity},
                                          {"ttl", &in.ttl},
                                          {"uses", &in.uses},
                                          {"renewable", &in.renewable},
                                          {"policies", &in.policies}};
    enum vault_err err;
    json_t *root = members_load(body, members, sizeof(members) / sizeof(members[0]), &err, refusal);

    *out = (struct token_body){0};
    if (root)
        err = take_token(&in, arena, out, refusal);
    json_decref(root);
    return err;
}

enum vault_err
accessor_body_parse(struct bytes body, uint8_t out[static ACCESSOR_BYTES], const char **refusal)
{
    const json_t *accessor;
    const struct json_member members[] = {{"accessor", &accessor}};
    enum vault_err err;
    json_t *root = members_load(body, members, 1, &err, refusal);

    for (size_t i = 0; i < ACCESSOR_BYTES; i++)
        out[i] = 0;
    if (root && hex_decode(member_text(accessor), out, ACCESSOR_BYTES) != OK)
        err = member_refuse(refusal, "accessor is 32 hex digits");
    json_decref(root);
    return err;
}

static enum vault_err
copy_text(const json_t *text, struct arena *arena, struct bytes *out, const char **refusal)
{
    if (!json_is_string(text))
        return member_refuse(refusal, "a member is missing, or is not a string");
    if (json_string_length(text) > CREDENTIAL_BYTES_MAX) {
        *refusal = "a credential has at most 4096 bytes";
        return ERR_TOO_LARGE;
    }
    return arena_copy(arena, member_text(text), out);
}

enum vault_err
approle_login_parse(struct bytes body, struct arena *arena, struct login_body *out,
                    const char **refusal)
{
    const json_t *role_id, *secret_id;
    const struct json_member members[] = {{"role_id", &role_id}, {"secret_id", &secret_id}};
    enum vault_err err;
    json_t *root = members_load(body, members, 2, &err, refusal);

    *out = (struct login_body){0};
    if (root)
        err = copy_text(role_id, arena, &out->role_id, refusal);
    if (root && err == OK)
        err = copy_text(secret_id, arena, &out->secret_id, refusal);
    json_decref(root);
    return err;
}

enum vault_err
jwt_login_parse(struct bytes body, struct arena *arena, struct login_body *out,
                const char **refusal)
{
    const json_t *jwt;
    const struct json_member members[] = {{"jwt", &jwt}};
    enum vault_err err;
    json_t *root = members_load(body, members, 1, &err, refusal);

    *out = (struct login_body){0};
    if (root)
        err = copy_text(jwt, arena, &out->jwt, refusal);
    json_decref(root);
    return err;
}
