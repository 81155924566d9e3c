/* Answers of the calls on tenants, policies, identities and tokens. */
#include <stdlib.h>

#include "api/auth_body.h"
#include "api/json_out.h"
#include "auth/policy_json.h"

static void
put_hour(struct json_out *out, const char *key, unsigned minute)
{
    char text[HOUR_TEXT_BYTES];

    hour_format(minute, text);
    json_out_key(out, key);
    json_out_text(out, text);
}

/* As it would be written: conditions that say nothing are left out. */
static void
put_rule(struct json_out *out, const struct policy_rule *rule)
{
    json_out_open(out, '{');
    json_out_key(out, "path");
    json_out_string(out, rule->path);
    json_out_key(out, "capabilities");
    json_out_open(out, '[');
    for (unsigned i = 0; i < CAPABILITIES; i++)
        if ((rule->capabilities >> i & 1u) != 0)
            json_out_text(out, capability_name((enum capability)i));
    json_out_close(out, ']');
    if (rule->require_expected_version) {
        json_out_key(out, "require_expected_version");
        json_out_bool(out, true);
    }
    if (rule->cidr_count > 0) {
        json_out_key(out, "cidrs");
        json_out_open(out, '[');
        for (unsigned i = 0; i < rule->cidr_count; i++) {
            char text[CIDR_TEXT_BYTES_MAX + 1];

            cidr_format(&rule->cidrs[i], text);
            json_out_text(out, text);
        }
        json_out_close(out, ']');
    }
    if (rule->not_before > 0)
        put_hour(out, "not_before", rule->not_before);
    if (rule->not_after < MINUTES_PER_DAY)
        put_hour(out, "not_after", rule->not_after);
    json_out_close(out, '}');
}

enum vault_err
policy_render(struct bytes name, uint64_t version, struct bytes record, struct buf *buf)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    struct json_out out;
    enum vault_err err = policy ? OK : ERR_NOMEM;

    if (err == OK && policy_decode(record, policy) != OK)
        err = ERR_CORRUPT;
    if (err == OK) {
        json_out_init(&out, buf);
        json_out_open(&out, '{');
        json_out_key(&out, "name");
        json_out_string(&out, name);
        json_out_key(&out, "version");
        json_out_u64(&out, version);
        json_out_key(&out, "rules");
        json_out_open(&out, '[');
        for (size_t i = 0; i < policy->rule_count; i++)
            put_rule(&out, &policy->rules[i]);
        json_out_close(&out, ']');
        json_out_close(&out, '}');
        err = out.err;
    }
    free(policy);
    return err;
}

enum vault_err
decision_render(const struct auth_decision *decision, struct buf *buf)
{
    struct json_out out;

    json_out_init(&out, buf);
    json_out_open(&out, '{');
    json_out_key(&out, "allowed");
    json_out_bool(&out, decision->answer == ANSWER_ALLOWED);
    json_out_key(&out, "policy");
    if (decision->policy.size > 0)
        json_out_string(&out, decision->policy);
    else
        json_out_null(&out);
    json_out_key(&out, "rule");
    if (decision->policy.size > 0)
        json_out_u64(&out, decision->rule + 1);
    else
        json_out_null(&out);
    json_out_close(&out, '}');
    return out.err;
}

static void
put_limit(struct json_out *out, const char *key, uint64_t limit)
{
    json_out_key(out, key);
    if (limit > 0)
        json_out_u64(out, limit);
    else
        json_out_null(out);
}

enum vault_err
tenant_render(const struct tenant *tenant, struct buf *buf)
{
    struct json_out out;

    json_out_init(&out, buf);
    json_out_open(&out, '{');
    json_out_key(&out, "name");
    json_out_string(&out, tenant->name);
    json_out_key(&out, "created_at");
    if (tenant->created_ms > 0)
        json_out_time(&out, tenant->created_ms);
    else
        json_out_null(&out);
    json_out_key(&out, "limits");
    json_out_open(&out, '{');
    put_limit(&out, "secrets", tenant->secrets_max);
    put_limit(&out, "versions", tenant->versions_max);
    put_limit(&out, "value_bytes", tenant->value_bytes_max);
    put_limit(&out, "requests_per_second", tenant->requests_per_second);
    put_limit(&out, "expires_after", tenant->expires_after_s);
    json_out_close(&out, '}');
    if (tenant->purging_ms > 0) {
        json_out_key(&out, "purging_since");
        json_out_time(&out, tenant->purging_ms);
    }
    json_out_close(&out, '}');
    return out.err;
}

static void
put_uuid(struct json_out *out, const char *key, const uint8_t id[static AUTH_UUID_BYTES])
{
    char text[UUID_TEXT_BYTES + 1];

    uuid_format(id, text);
    json_out_key(out, key);
    json_out_text(out, text);
}

/* A string as a member's name: the key needs escapes as any other text. */
static void
put_metadata(struct json_out *out, const struct identity *identity)
{
    json_out_key(out, "metadata");
    json_out_open(out, '{');
    for (size_t i = 0; i < identity->metadata_count; i++) {
        json_out_string(out, identity->metadata[i].key);
        json_out_raw(out, ":");
        json_out_string(out, identity->metadata[i].value);
    }
    json_out_close(out, '}');
}

enum vault_err
identity_render(const struct identity *identity, struct buf *buf)
{
    struct json_out out;

    json_out_init(&out, buf);
    json_out_open(&out, '{');
    put_uuid(&out, "id", identity->id);
    json_out_key(&out, "name");
    json_out_string(&out, identity->name);
    json_out_key(&out, "kind");
    json_out_text(&out, identity_kind_name(identity->kind));
    json_out_key(&out, "disabled");
    json_out_bool(&out, identity->disabled);
    json_out_key(&out, "created_at");
    json_out_time(&out, identity->created_ms);
    json_out_strings(&out, "policies", identity->policies.names, identity->policies.count);
    json_out_strings(&out, "tenants", identity->tenants.names, identity->tenants.count);
    put_metadata(&out, identity);
    json_out_close(&out, '}');
    return out.err;
}

enum vault_err
token_render(const struct token *token, struct bytes text, struct buf *buf)
{
    char accessor[2 * ACCESSOR_BYTES + 1];
    uint8_t id[ACCESSOR_BYTES];
    struct json_out out;

    ticket_accessor(token->hash, id);
    hex_encode(bytes_of(id, sizeof(id)), accessor);
    json_out_init(&out, buf);
    json_out_open(&out, '{');
    if (text.size > 0) {
        json_out_key(&out, "token");
        json_out_string(&out, text);
    }
    json_out_key(&out, "accessor");
    json_out_text(&out, accessor);
    put_uuid(&out, "identity", token->identity);
    json_out_key(&out, "tenant");
    json_out_string(&out, token->tenant);
    json_out_key(&out, "expires_at");
    json_out_time(&out, token->expires_ms);
    json_out_key(&out, "renewable");
    json_out_bool(&out, token->ttl_ms > 0);
    json_out_key(&out, "uses_left");
    if (token->uses_limit > 0)
        json_out_u64(&out, token->uses_left);
    else
        json_out_null(&out);
    json_out_strings(&out, "policies", token->policies.names, token->policies.count);
    json_out_close(&out, '}');
    return out.err;
}
