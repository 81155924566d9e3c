/* Bodies of the calls that say who may log in and how; and of logins with a certificate. */
#include <stdlib.h>

#include "api/auth_body.h"
#include "api/auth_members.h"
#include "auth/policy.h"
#include "auth/statement.h"
#include "auth/text.h"
#include "crypto/pem.h"

#define AUDIENCES "audiences is a list of 1 to 16 different texts of at most 128 bytes"
#define ROLES                                                                                      \
    "roles is a list of at most 16 of {claim, value, policies}, with at most 16 different "        \
    "policies in all"
#define REVOKED "revoked is a list of at most 256 different serial numbers in hex, of 1 to 20 bytes"

enum { ISSUER_TTL_S_MAX = 24 * 3600, SECRET_ID_TTL_S_MAX = 400 * 24 * 3600 };

enum vault_err
cert_login_parse(struct bytes body, struct arena *arena, struct login_body *out,
                 const char **refusal)
{
    const json_t *statement;
    const struct json_member members[] = {{"statement", &statement}};
    enum vault_err err;
    json_t *root = members_load(body, members, 1, &err, refusal);

    *out = (struct login_body){0};
    if (root && !json_is_string(statement))
        err = member_refuse(refusal, "statement is missing, or is not a string");
    else if (root && json_string_length(statement) > CREDENTIAL_BYTES_MAX) {
        *refusal = "a credential has at most 4096 bytes";
        err = ERR_TOO_LARGE;
    } else if (root) {
        err = arena_copy(arena, member_text(statement), &out->statement);
    }
    json_decref(root);
    return err;
}

/* ---- issuers ---- */

static bool
audience_valid(struct bytes text)
{
    return text_printable(text, 1, AUTH_NAME_BYTES_MAX);
}

static enum vault_err
take_role(const json_t *role, struct arena *arena, struct issuer_role *out, const char **refusal)
{
    const json_t *claim, *value, *policies;
    const struct json_member members[] = {
        {"claim", &claim}, {"value", &value}, {"policies", &policies}};
    enum vault_err err = members_take(role, members, 3, refusal);

    if (err != OK)
        return err;
    if (!json_is_string(claim) || !json_is_string(value))
        return member_refuse(refusal, ROLES);
    out->claim = member_text(claim);
    out->value = member_text(value);
    return member_names(policies, policy_name_valid, arena, &out->policies, refusal, ROLES);
}

struct issuer_members {
    const json_t *issuer, *audiences, *ttl_max, *jwks, *roles, *expected;
};

static enum vault_err
take_issuer(const struct issuer_members *in, struct arena *arena, struct issuer *out,
            const char **refusal)
{
    uint64_t seconds = 0;
    enum vault_err err;

    out->name = member_text(in->issuer);
    if (!text_printable(out->name, 1, ISSUER_BYTES_MAX))
        return member_refuse(refusal, "issuer is the iss of its tokens, of 1 to 256 bytes");
    err = member_names(in->audiences, audience_valid, arena, &out->audiences, refusal, AUDIENCES);
    if (err == OK && out->audiences.count == 0)
        err = member_refuse(refusal, AUDIENCES);
    if (err == OK && !member_number(in->ttl_max, 1, ISSUER_TTL_S_MAX, &seconds))
        err = member_refuse(refusal, "ttl_max is a number of seconds, from 1 to 86400");
    out->ttl_ms_max = seconds * 1000;
    if (err == OK)
        err = jwks_take(in->jwks, arena, out, refusal);
    if (err == OK && (!json_is_array(in->roles) || json_array_size(in->roles) > ISSUER_ROLES_MAX))
        err = member_refuse(refusal, ROLES);
    for (size_t i = 0; err == OK && i < json_array_size(in->roles); i++) {
        err = take_role(json_array_get(in->roles, i), arena, &out->roles[i], refusal);
        out->role_count = i + 1;
    }
    return err;
}

static bool
names_operators(const struct issuer *issuer)
{
    for (size_t i = 0; i < issuer->role_count; i++) {
        const struct auth_names *policies = &issuer->roles[i].policies;

        for (size_t k = 0; k < policies->count; k++)
            if (policy_name_reserved(policies->names[k]))
                return true;
    }
    return false;
}

static enum vault_err
encode_issuer(const struct issuer *issuer, struct arena *arena, struct issuer_body *out,
              const char **refusal)
{
    struct buf record = {0};
    enum vault_err err = issuer_encode(issuer, &record);

    if (err == ERR_RANGE)
        err = member_refuse(refusal, "two keys cannot be told apart, or " ROLES);
    if (err == ERR_TOO_LARGE)
        *refusal = "the issuer is too large: 8 KiB in all";
    if (err == OK)
        err = arena_copy(arena, buf_bytes(&record), &out->record);
    buf_close(&record);
    issuer_key(issuer->name, out->key);
    out->names_operators = names_operators(issuer);
    return err;
}

enum vault_err
issuer_body_parse(struct bytes body, struct arena *arena, struct issuer_body *out,
                  const char **refusal)
{
    struct issuer_members in;
    const struct json_member members[] = {
        {"issuer", &in.issuer}, {"audiences", &in.audiences}, {"ttl_max", &in.ttl_max},
        {"jwks", &in.jwks},     {"roles", &in.roles},         {"expected_version", &in.expected}};
    struct issuer *issuer = calloc(1, sizeof(*issuer));
    enum vault_err err;
    json_t *root = members_load(body, members, sizeof(members) / sizeof(members[0]), &err, refusal);

    *out = (struct issuer_body){0};
    if (root && !issuer)
        err = ERR_NOMEM;
    if (root && err == OK)
        err = take_issuer(&in, arena, issuer, refusal);
    if (root && err == OK && in.expected &&
        !member_number(in.expected, 1, INT64_MAX, &out->expected_version))
        err = member_refuse(refusal, "expected_version must be a number from 1");
    if (root && err == OK)
        err = encode_issuer(issuer, arena, out, refusal);
    json_decref(root);
    free(issuer);
    return err;
}

/* ---- the authority of certificates ---- */

/* In ascending order, as records have them. */
static enum vault_err
take_revoked(const json_t *list, struct arena *arena, struct client_authority *out,
             const char **refusal)
{
    if (list && (!json_is_array(list) || json_array_size(list) > REVOKED_MAX))
        return member_refuse(refusal, REVOKED);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct bytes text = member_text(json_array_get(list, i)), serial;
        size_t size = text.size / 2, at = out->revoked_count;
        uint8_t *bytes;

        if (size == 0 || size > CERTIFICATE_SERIAL_BYTES_MAX)
            return member_refuse(refusal, REVOKED);
        bytes = arena_alloc(arena, size);
        if (!bytes)
            return ERR_NOMEM;
        if (hex_decode(text, bytes, size) != OK)
            return member_refuse(refusal, REVOKED);
        serial = bytes_of(bytes, size);
        for (; at > 0 && bytes_compare(out->revoked[at - 1], serial) >= 0; at--) {
            if (bytes_equal(out->revoked[at - 1], serial))
                return member_refuse(refusal, REVOKED);
            out->revoked[at] = out->revoked[at - 1];
        }
        out->revoked[at] = serial;
        out->revoked_count++;
    }
    return OK;
}

static enum vault_err
encode_ca(const json_t *certificate, struct arena *arena, struct client_authority *authority,
          struct bytes *out, const char **refusal)
{
    struct buf der = {0}, record = {0};
    size_t at = 0;
    enum vault_err err = OK;

    if (!json_is_string(certificate) ||
        !pem_next_certificate(member_text(certificate), &at, &der) ||
        der.size > CERTIFICATE_BYTES_MAX)
        err =
            member_refuse(refusal, "certificate is that of an authority in PEM, of at most 2 KiB");
    authority->certificate = buf_bytes(&der);
    if (err == OK)
        err = client_authority_encode(authority, &record);
    if (err == ERR_RANGE)
        err = member_refuse(refusal, "the certificate is not that of an authority for signing "
                                     "others, or its key is not P-256, Ed25519 or RSA");
    if (err == ERR_TOO_LARGE)
        *refusal = "the certificate and the serial numbers are more than 8 KiB";
    if (err == OK)
        err = arena_copy(arena, buf_bytes(&record), out);
    buf_close(&record);
    buf_close(&der);
    return err;
}

enum vault_err
ca_body_parse(struct bytes body, struct arena *arena, struct ca_body *out, const char **refusal)
{
    const json_t *certificate, *revoked, *expected;
    const struct json_member members[] = {
        {"certificate", &certificate}, {"revoked", &revoked}, {"expected_version", &expected}};
    struct client_authority *authority = calloc(1, sizeof(*authority));
    enum vault_err err;
    json_t *root = members_load(body, members, 3, &err, refusal);

    *out = (struct ca_body){0};
    if (root && !authority)
        err = ERR_NOMEM;
    if (root && err == OK && expected &&
        !member_number(expected, 1, INT64_MAX, &out->expected_version))
        err = member_refuse(refusal, "expected_version must be a number from 1");
    if (root && err == OK)
        err = take_revoked(revoked, arena, authority, refusal);
    if (root && err == OK)
        err = encode_ca(certificate, arena, authority, &out->record, refusal);
    json_decref(root);
    free(authority);
    return err;
}

enum vault_err
crl_body_parse(struct bytes body, struct arena *arena, struct bytes *out, const char **refusal)
{
    const json_t *crl;
    const struct json_member members[] = {{"crl", &crl}};
    struct buf der = {0};
    size_t at = 0;
    enum vault_err err;
    json_t *root = members_load(body, members, 1, &err, refusal);

    *out = (struct bytes){0};
    if (root && (!json_is_string(crl) || !pem_next(member_text(crl), "X509 CRL", &at, &der)))
        err = member_refuse(refusal, "crl is a list of revoked certificates in PEM");
    if (root && err == OK)
        err = arena_copy(arena, buf_bytes(&der), out);
    buf_close(&der);
    json_decref(root);
    return err;
}

/* ---- roles of machines ---- */

enum vault_err
role_body_parse(struct bytes body, struct approle *out, const char **refusal)
{
    const json_t *identity, *ttl;
    const struct json_member members[] = {{"identity", &identity}, {"ttl", &ttl}};
    uint64_t seconds = TOKEN_TTL_MS_DEFAULT / 1000;
    enum vault_err err;
    json_t *root = members_load(body, members, 2, &err, refusal);

    *out = (struct approle){0};
    if (root && uuid_parse(member_text(identity), out->identity) != OK)
        err = member_refuse(refusal, "identity is the id of one");
    if (root && err == OK && ttl &&
        !member_number(ttl, TOKEN_TTL_MS_MIN / 1000, TOKEN_TTL_MS_MAX / 1000, &seconds))
        err = member_refuse(refusal, "ttl is a number of seconds, from 1 to 2000000");
    out->ttl_ms = seconds * 1000;
    json_decref(root);
    return err;
}

enum vault_err
secret_id_body_parse(struct bytes body, uint64_t *ttl_ms, const char **refusal)
{
    const json_t *ttl;
    const struct json_member members[] = {{"ttl", &ttl}};
    uint64_t seconds = 0;
    enum vault_err err;
    json_t *root = members_load(body, members, 1, &err, refusal);

    *ttl_ms = 0;
    if (root && ttl && !member_number(ttl, 1, SECRET_ID_TTL_S_MAX, &seconds))
        err = member_refuse(refusal, "ttl is a number of seconds, from 1 to 34560000");
    if (root && err == OK)
        *ttl_ms = seconds * 1000;
    json_decref(root);
    return err;
}
