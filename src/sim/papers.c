#include "sim/papers.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/issuer.h"
#include "auth/jwt.h"
#include "auth/login.h"
#include "auth/statement.h"
#include "crypto/base64.h"
#include "sim/client_certificate.h"

static const char home[] = "default", issuer_name[] = "https://issuer.simulator";
static const uint8_t client_serial[] = {0x10, 0x92};

static void
must(enum vault_err err)
{
    if (err != OK)
        abort();
}

static const char *
tenant_of(bool elsewhere)
{
    return elsewhere ? GRANT_OTHER_TENANT : home;
}

const char *
paper_name(enum paper paper)
{
    static const char *const names[] = {
        "role",      "role elsewhere", "machine",          "machine elsewhere", "holder",
        "traveller", "issuer",         "issuer elsewhere", "authority"};
    return names[paper];
}

/* ---- records ---- */

void
paper_identity(unsigned caller, uint8_t out[static AUTH_UUID_BYTES])
{
    static const uint8_t ids[][AUTH_UUID_BYTES] = {
        [CALLER_MACHINE] = {0x52},
        [CALLER_HOLDER] = {[6] = 0x40, [8] = 0x80, [15] = 0xaa}, /* named by the certificate */
        [CALLER_TRAVELLER] = {0x53},
        [CALLER_STANDING] = {0x54},
    };
    memcpy(out, ids[caller], AUTH_UUID_BYTES);
}

static void
fill_identity(unsigned caller, bool elsewhere, bool good, struct grant *out)
{
    struct identity identity = {.name = bytes_of_text("a caller"), .disabled = !good};
    char key[UUID_TEXT_BYTES + 1];
    struct buf encoded = {0};
    paper_identity(caller, identity.id);
    identity.policies.names[identity.policies.count++] =
        bytes_of_text(caller == CALLER_TRAVELLER ? "hoppers" : "readers");
    if (elsewhere)
        identity.policies.names[identity.policies.count++] = bytes_of_text("keepers");
    if (caller == CALLER_TRAVELLER)
        identity.tenants.names[identity.tenants.count++] = bytes_of_text(GRANT_OTHER_TENANT);
    uuid_format(identity.id, key);
    grant_set(out, tenant_of(elsewhere), AUTH_KIND_IDENTITY, key,
              identity_encode(&identity, &encoded), &encoded);
}

static void
role_id(bool elsewhere, uint8_t out[static AUTH_UUID_BYTES])
{
    memset(out, 0, AUTH_UUID_BYTES);
    out[0] = elsewhere ? 0x62 : 0x61;
}

static void
secret_id(uint64_t seed, bool elsewhere, uint64_t round, bool second, struct buf *out)
{
    struct rng_seeded seeded;
    struct rng rng;
    rng_seeded_init(&seeded, seed * UINT64_C(1000033) + 4 * round + 2 * elsewhere + second, &rng);
    must(ticket_make(TICKET_SECRET_ID, &rng, out));
}

static void
fill_role(uint64_t seed, bool elsewhere, bool good, uint64_t round, uint64_t ends_ms,
          struct grant *out)
{
    struct approle role = {.tenant = bytes_of_text(tenant_of(elsewhere)), .ttl_ms = ROLE_TTL_MS};
    char key[UUID_TEXT_BYTES + 1];
    struct buf encoded = {0};
    role_id(elsewhere, role.role_id);
    paper_identity(CALLER_MACHINE, role.identity);
    for (unsigned i = 0; good && i < 2; i++) {
        struct buf text = {0};
        secret_id(seed, elsewhere, round, i == 1, &text);
        must(ticket_hash(TICKET_SECRET_ID, buf_bytes(&text), role.secrets[i].hash));
        role.secrets[i].expires_ms = i == 1 ? ends_ms : 0;
        role.secret_count++;
        buf_close(&text);
    }
    uuid_format(role.role_id, key);
    grant_set(out, tenant_of(elsewhere), AUTH_KIND_APPROLE, key, approle_encode(&role, &encoded),
              &encoded);
}

static void
issuer_keys(uint64_t seed, bool elsewhere, uint8_t public_half[static crypto_sign_PUBLICKEYBYTES],
            uint8_t private_half[static crypto_sign_SECRETKEYBYTES])
{
    uint8_t from[crypto_sign_SEEDBYTES] = {0x49, elsewhere};
    for (unsigned i = 0; i < 8; i++)
        from[2 + i] = (uint8_t)(seed >> (8 * i));
    (void)crypto_sign_seed_keypair(public_half, private_half, from);
}

static void
fill_issuer(uint64_t seed, bool elsewhere, bool good, struct grant *out)
{
    uint8_t public_half[crypto_sign_PUBLICKEYBYTES], private_half[crypto_sign_SECRETKEYBYTES];
    char key[ISSUER_KEY_TEXT_BYTES + 1];
    struct buf encoded = {0};
    issuer_keys(seed, elsewhere, public_half, private_half);
    struct issuer issuer = {
        .name = bytes_of_text(issuer_name),
        .audiences = {1, {bytes_of_text("simulator")}},
        .ttl_ms_max = 3600 * 1000,
        .key_count = 1,
        .keys = {{bytes_of_text("k1"),
                  {.kind = SIGNATURE_ED25519, .key = bytes_of(public_half, sizeof(public_half))}}},
        .role_count = 1,
        .roles = {
            {bytes_of_text("role"), bytes_of_text("reader"), {1, {bytes_of_text("readers")}}}}};
    issuer_key(issuer.name, key);
    grant_set(out, tenant_of(elsewhere), AUTH_KIND_ISSUER, key, issuer_encode(&issuer, &encoded),
              &encoded);
    if (!good)
        out->size = 0;
}

/* Returns what of `memory` holds it. */
static struct bytes
unbase64(const char *text, uint8_t memory[static CERTIFICATE_BYTES_MAX])
{
    size_t size;
    must(base64_decode(bytes_of_text(text), memory, CERTIFICATE_BYTES_MAX, &size));
    return bytes_of(memory, size);
}

static void
fill_authority(bool good, struct grant *out)
{
    uint8_t der[CERTIFICATE_BYTES_MAX];
    struct client_authority *authority = calloc(1, sizeof(*authority));
    struct buf encoded = {0};
    if (!authority)
        abort();
    authority->certificate = unbase64(certificate_ca, der);
    if (!good)
        authority->revoked[authority->revoked_count++] =
            bytes_of(client_serial, sizeof(client_serial));
    grant_set(out, home, AUTH_KIND_CLIENT_AUTHORITY, "ca",
              client_authority_encode(authority, &encoded), &encoded);
    free(authority);
}

void
paper_fill(uint64_t seed, enum paper paper, bool good, uint64_t round, uint64_t ends_ms,
           struct grant *out)
{
    *out = (struct grant){0};
    switch (paper) {
    case PAPER_ROLE:
    case PAPER_ROLE_ELSEWHERE:
        fill_role(seed, paper == PAPER_ROLE_ELSEWHERE, good, round, ends_ms, out);
        break;
    case PAPER_MACHINE: fill_identity(CALLER_MACHINE, false, good, out); break;
    case PAPER_MACHINE_ELSEWHERE: fill_identity(CALLER_MACHINE, true, good, out); break;
    case PAPER_HOLDER: fill_identity(CALLER_HOLDER, false, good, out); break;
    case PAPER_TRAVELLER: fill_identity(CALLER_TRAVELLER, false, good, out); break;
    case PAPER_ISSUER: fill_issuer(seed, false, good, out); break;
    case PAPER_ISSUER_ELSEWHERE: fill_issuer(seed, true, good, out); break;
    case PAPER_AUTHORITY: fill_authority(good, out); break;
    }
}

/*
 * Elsewhere: readers read what is hot, keepers may update it when they say which version they
 * expect, and hoppers may do one thing there and another at home, where a denial lies over it.
 */
static void
fill_policy(unsigned number, struct grant *out)
{
    static const struct {
        const char *tenant, *name, *path;
        enum capability may;
        bool expected;
    } policies[PAPER_POLICIES] = {
        {GRANT_OTHER_TENANT, "readers", "hot/*", CAPABILITY_READ, false},
        {GRANT_OTHER_TENANT, "keepers", "hot/*", CAPABILITY_UPDATE, true},
        {GRANT_OTHER_TENANT, "hoppers", "**", CAPABILITY_READ, false},
        {"default", "hoppers", "cold/**", CAPABILITY_READ, false},
    };
    struct policy *policy = calloc(1, sizeof(*policy));
    struct buf encoded = {0};
    if (!policy)
        abort();
    policy->rules[policy->rule_count++] =
        (struct policy_rule){.path = bytes_of_text(policies[number].path),
                             .capabilities = 1U << policies[number].may,
                             .require_expected_version = policies[number].expected,
                             .not_after = MINUTES_PER_DAY};
    if (number == 2)
        policy->rules[policy->rule_count++] =
            (struct policy_rule){.path = bytes_of_text("cold/**"),
                                 .capabilities = 1U << CAPABILITY_DENY,
                                 .not_after = MINUTES_PER_DAY};
    grant_set(out, policies[number].tenant, AUTH_KIND_POLICY, policies[number].name,
              policy_encode(policy, &encoded), &encoded);
    free(policy);
}

void
paper_standing(unsigned number, struct grant *out)
{
    *out = (struct grant){0};
    if (number < PAPER_POLICIES)
        fill_policy(number, out);
    else
        fill_identity(CALLER_STANDING, true, true, out);
}

/* ---- what is proved with them ---- */

static void
take_text(struct buf *text, char out[static CREDENTIAL_TEXT_MAX])
{
    if (text->size >= CREDENTIAL_TEXT_MAX)
        abort();
    memcpy(out, text->data, text->size);
    out[text->size] = 0;
    buf_close(text);
}

void
paper_role_text(uint64_t seed, bool elsewhere, uint64_t round, bool second,
                char out[static CREDENTIAL_TEXT_MAX])
{
    uint8_t id[AUTH_UUID_BYTES];
    char role[UUID_TEXT_BYTES + 1];
    struct buf secret = {0}, text = {0};
    role_id(elsewhere, id);
    uuid_format(id, role);
    secret_id(seed, elsewhere, round, second, &secret);
    must(login_credential(bytes_of_text(role), buf_bytes(&secret), &text));
    buf_close(&secret);
    take_text(&text, out);
}

void
paper_statement(const uint8_t cluster_id[static CLUSTER_ID_BYTES], const char *tenant,
                uint64_t time_ms, uint64_t nonce, char out[static CREDENTIAL_TEXT_MAX])
{
    uint8_t public_half[crypto_sign_PUBLICKEYBYTES], private_half[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES], der[CERTIFICATE_BYTES_MAX];
    struct client_statement statement = {.tenant = bytes_of_text(tenant),
                                         .time_ms = time_ms,
                                         .certificate = unbase64(certificate_ed, der)};
    struct buf to_sign = {0}, text = {0};
    size_t at;
    memcpy(statement.cluster_id, cluster_id, CLUSTER_ID_BYTES);
    memcpy(statement.nonce, &nonce, sizeof(nonce));
    must(statement_to_sign(&statement, &to_sign, &at));
    (void)crypto_sign_seed_keypair(public_half, private_half, ed_seed);
    (void)crypto_sign_detached(signature, NULL, to_sign.data, to_sign.size, private_half);
    must(statement_text(bytes_of(to_sign.data + at, to_sign.size - at),
                        bytes_of(signature, sizeof(signature)), &text));
    buf_close(&to_sign);
    take_text(&text, out);
}

void
paper_jwt(uint64_t seed, bool elsewhere, uint64_t until_s, uint64_t nonce, bool known,
          char out[static CREDENTIAL_TEXT_MAX])
{
    uint8_t public_half[crypto_sign_PUBLICKEYBYTES], private_half[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES];
    struct buf text = {0};
    char claims[256];
    snprintf(claims, sizeof(claims),
             "{\"iss\":\"%s\",\"aud\":\"simulator\",\"sub\":\"caller\",\"jti\":\"%lu\","
             "\"role\":\"%s\",\"exp\":%lu}",
             issuer_name, (unsigned long)nonce, known ? "reader" : "guest", (unsigned long)until_s);
    issuer_keys(seed, elsewhere, public_half, private_half);
    must(base64url_encode(bytes_of_text("{\"alg\":\"EdDSA\",\"kid\":\"k1\"}"), &text));
    must(buf_append_text(&text, "."));
    must(base64url_encode(bytes_of_text(claims), &text));
    (void)crypto_sign_detached(signature, NULL, text.data, text.size, private_half);
    must(buf_append_text(&text, "."));
    must(base64url_encode(bytes_of(signature, sizeof(signature)), &text));
    take_text(&text, out);
}

void
paper_jwt_identity(const char *jwt, const char *tenant, uint8_t out[static AUTH_UUID_BYTES])
{
    struct jwt parts;
    must(jwt_parse(bytes_of_text(jwt), &parts));
    jwt_identity(&parts, bytes_of_text(tenant), out);
    jwt_close(&parts);
}
