#include "sim/grants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/decide.h"
#include "auth/identity.h"
#include "sim/world.h"

static const char tenant_name[] = "default", policy_name[] = "readers";
static const uint8_t identity_id[AUTH_UUID_BYTES] = {0x51, 0x3};
static const uint64_t lifetime_ms = UINT64_C(30) * 24 * 3600 * 1000; /* longer than any run */

static void
must(enum vault_err err)
{
    if (err != OK)
        abort();
}

/* What `err` says was encoded goes into the grant. */
static void
set_value(struct grant *out, enum vault_err err, struct buf *encoded)
{
    must(err);
    if (encoded->size > sizeof(out->value))
        abort();
    memcpy(out->value, encoded->data, encoded->size);
    out->size = encoded->size;
    buf_close(encoded);
}

static void
set_name(struct grant *out, const char *tenant, enum auth_kind kind, const char *key)
{
    out->tenant = tenant;
    snprintf(out->name, sizeof(out->name), RECORD_PREFIX "%s/%s", auth_kind_name(kind), key);
}

static void
fill_tenant(const char *name, const struct sim_options *limits, struct grant *out)
{
    struct buf encoded = {0};
    struct tenant tenant = {.name = bytes_of_text(name)};
    if (limits) {
        tenant.versions_max = limits->other_versions;
        tenant.expires_after_s = limits->other_expires_s;
        tenant.requests_per_second = limits->other_rate;
    }
    set_name(out, SYSTEM_TENANT, AUTH_KIND_TENANT, name);
    set_value(out, tenant_encode(&tenant, &encoded), &encoded);
}

static void
fill_identity(struct grant *out)
{
    struct buf encoded = {0};
    struct identity identity = {.name = bytes_of_text("a reader"), .policies = {.count = 1}};
    char key[UUID_TEXT_BYTES + 1];
    memcpy(identity.id, identity_id, sizeof(identity_id));
    identity.policies.names[0] = bytes_of_text(policy_name);
    uuid_format(identity_id, key);
    set_name(out, tenant_name, AUTH_KIND_IDENTITY, key);
    set_value(out, identity_encode(&identity, &encoded), &encoded);
}

static void
fill_policy(struct grant *out)
{
    struct buf encoded = {0};
    struct policy *policy = calloc(1, sizeof(*policy));
    if (!policy)
        abort();
    policy->rule_count = 2;
    policy->rules[0].path = bytes_of_text("**");
    policy->rules[0].capabilities = 1U << CAPABILITY_READ;
    policy->rules[0].not_after = MINUTES_PER_DAY;
    policy->rules[1].path = bytes_of_text(GRANT_DENIED_NAME);
    policy->rules[1].capabilities = 1U << CAPABILITY_DENY;
    policy->rules[1].not_after = MINUTES_PER_DAY;
    set_name(out, tenant_name, AUTH_KIND_POLICY, policy_name);
    set_value(out, policy_encode(policy, &encoded), &encoded);
    free(policy);
}

void
grant_fill(const struct sim_options *options, unsigned number, struct grant *out)
{
    *out = (struct grant){0};
    if (number == 0)
        fill_tenant(tenant_name, NULL, out);
    else if (number == 1)
        fill_policy(out);
    else if (number == 2)
        fill_tenant(GRANT_OTHER_TENANT, options, out);
    else
        fill_identity(out);
}

void
grant_set(struct grant *out, const char *tenant, enum auth_kind kind, const char *key,
          enum vault_err err, struct buf *encoded)
{
    set_name(out, tenant, kind, key);
    set_value(out, err, encoded);
}

void
grant_make_token(uint64_t seed, uint64_t number, struct token *token,
                 char text[static GRANT_TOKEN_BYTES], struct grant *out)
{
    uint8_t accessor[ACCESSOR_BYTES];
    char key[2 * ACCESSOR_BYTES + 1];
    struct rng_seeded seeded;
    struct rng rng;
    struct buf made = {0}, encoded = {0};
    *out = (struct grant){0};
    rng_seeded_init(&seeded, seed * UINT64_C(1000003) + number, &rng);
    must(ticket_make(TICKET_TOKEN, &rng, &made));
    must(ticket_hash(TICKET_TOKEN, buf_bytes(&made), token->hash));
    snprintf(text, GRANT_TOKEN_BYTES, "%.*s", (int)made.size, (const char *)made.data);
    buf_close(&made);
    ticket_accessor(token->hash, accessor);
    hex_encode(bytes_of(accessor, sizeof(accessor)), key);
    grant_set(out, SYSTEM_TENANT, AUTH_KIND_TOKEN, key, token_encode(token, &encoded), &encoded);
}

void
grant_fill_token(uint64_t seed, uint64_t number, uint64_t ends_ms,
                 char text[static GRANT_TOKEN_BYTES], struct grant *out)
{
    uint64_t end_ms = ends_ms != 0 ? ends_ms : sim_wall_start_ms + lifetime_ms;
    struct token token = {.tenant = bytes_of_text(tenant_name),
                          .created_ms = sim_wall_start_ms,
                          .expires_ms = end_ms,
                          .latest_ms = end_ms};
    memcpy(token.identity, identity_id, sizeof(identity_id));
    grant_make_token(seed, number, &token, text, out);
}
