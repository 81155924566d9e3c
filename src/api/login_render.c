/* Answers of the calls that say who may log in and how. */
#include <stdlib.h>

#include "api/auth_body.h"
#include "api/json_out.h"
#include "auth/statement.h"
#include "crypto/base64.h"

/* ---- issuers ---- */

static const char *
algorithm_name(enum signature_kind kind)
{
    switch (kind) {
    case SIGNATURE_ED25519: return "EdDSA";
    case SIGNATURE_P256: return "ES256";
    case SIGNATURE_RSA: return "RS256";
    case SIGNATURE_RSA_PSS: break;
    }
    return "PS256";
}

static void
put_keys(struct json_out *out, const struct issuer *issuer)
{
    json_out_key(out, "keys");
    json_out_open(out, '[');
    for (size_t i = 0; i < issuer->key_count; i++) {
        json_out_open(out, '{');
        json_out_key(out, "kid");
        if (issuer->keys[i].id.size > 0)
            json_out_string(out, issuer->keys[i].id);
        else
            json_out_null(out);
        json_out_key(out, "alg");
        json_out_text(out, algorithm_name(issuer->keys[i].key.kind));
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

static void
put_roles(struct json_out *out, const struct issuer *issuer)
{
    json_out_key(out, "roles");
    json_out_open(out, '[');
    for (size_t i = 0; i < issuer->role_count; i++) {
        json_out_open(out, '{');
        json_out_key(out, "claim");
        json_out_string(out, issuer->roles[i].claim);
        json_out_key(out, "value");
        json_out_string(out, issuer->roles[i].value);
        json_out_strings(out, "policies", issuer->roles[i].policies.names,
                         issuer->roles[i].policies.count);
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

static enum vault_err
put_issuer(const struct issuer *issuer, uint64_t version, struct buf *buf)
{
    char key[ISSUER_KEY_TEXT_BYTES + 1];
    struct json_out out;

    issuer_key(issuer->name, key);
    json_out_init(&out, buf);
    json_out_open(&out, '{');
    json_out_key(&out, "id");
    json_out_text(&out, key);
    json_out_key(&out, "issuer");
    json_out_string(&out, issuer->name);
    json_out_key(&out, "version");
    json_out_u64(&out, version);
    json_out_strings(&out, "audiences", issuer->audiences.names, issuer->audiences.count);
    json_out_key(&out, "ttl_max");
    json_out_u64(&out, issuer->ttl_ms_max / 1000);
    put_keys(&out, issuer);
    put_roles(&out, issuer);
    json_out_close(&out, '}');
    return out.err;
}

enum vault_err
issuer_render(uint64_t version, struct bytes record, struct buf *buf)
{
    struct issuer *issuer = malloc(sizeof(*issuer));
    enum vault_err err = issuer ? OK : ERR_NOMEM;

    if (err == OK && issuer_decode_again(record, issuer) != OK)
        err = ERR_CORRUPT;
    if (err == OK)
        err = put_issuer(issuer, version, buf);
    free(issuer);
    return err;
}

/* ---- the authority of certificates ---- */

enum { PEM_LINE_BYTES = 64 };

/* The text of RFC 7468, with its line ends escaped as JSON has them. */
static enum vault_err
put_pem(struct json_out *out, struct bytes der)
{
    struct buf letters = {0}, pem = {0};
    enum vault_err err = base64_encode(der, &letters);

    if (err == OK)
        err = buf_append_text(&pem, "-----BEGIN CERTIFICATE-----\n");
    for (size_t i = 0; err == OK && i < letters.size; i += PEM_LINE_BYTES) {
        size_t left = letters.size - i;

        err = buf_append(&pem,
                         bytes_of(letters.data + i, left < PEM_LINE_BYTES ? left : PEM_LINE_BYTES));
        if (err == OK)
            err = buf_append_text(&pem, "\n");
    }
    if (err == OK)
        err = buf_append_text(&pem, "-----END CERTIFICATE-----\n");
    if (err == OK)
        json_out_string(out, buf_bytes(&pem));
    buf_close(&pem);
    buf_close(&letters);
    return err;
}

static enum vault_err
put_ca(const struct client_authority *authority, uint64_t version, struct buf *buf)
{
    char serial[2 * CERTIFICATE_SERIAL_BYTES_MAX + 1];
    struct json_out out;
    enum vault_err err;

    json_out_init(&out, buf);
    json_out_open(&out, '{');
    json_out_key(&out, "version");
    json_out_u64(&out, version);
    json_out_key(&out, "certificate");
    err = put_pem(&out, authority->certificate);
    json_out_key(&out, "revoked");
    json_out_open(&out, '[');
    for (size_t i = 0; i < authority->revoked_count; i++) {
        hex_encode(authority->revoked[i], serial);
        json_out_text(&out, serial);
    }
    json_out_close(&out, ']');
    json_out_close(&out, '}');
    return err == OK ? out.err : err;
}

enum vault_err
ca_render(uint64_t version, struct bytes record, struct buf *buf)
{
    struct client_authority *authority = malloc(sizeof(*authority));
    enum vault_err err = authority ? OK : ERR_NOMEM;

    if (err == OK && client_authority_decode(record, authority) != OK)
        err = ERR_CORRUPT;
    if (err == OK)
        err = put_ca(authority, version, buf);
    free(authority);
    return err;
}

enum vault_err
revocations_render(struct bytes record, struct buf *buf)
{
    char number[2 * REVOCATION_NUMBER_BYTES_MAX + 1];
    struct revocations revocations;
    struct json_out out;

    if (revocations_decode(record, &revocations) != OK)
        return ERR_CORRUPT;
    json_out_init(&out, buf);
    json_out_open(&out, '{');
    json_out_key(&out, "number");
    hex_encode(revocations.number, number);
    json_out_text(&out, number);
    json_out_key(&out, "this_update");
    json_out_time(&out, revocations.this_update_ms);
    json_out_key(&out, "next_update");
    json_out_time(&out, revocations.next_update_ms);
    json_out_key(&out, "revoked");
    json_out_u64(&out, revocations_count(&revocations));
    json_out_close(&out, '}');
    return out.err;
}

/* ---- roles of machines ---- */

enum vault_err
role_render(const struct approle *role, struct buf *buf)
{
    char id[UUID_TEXT_BYTES + 1], accessor[2 * ACCESSOR_BYTES + 1];
    uint8_t short_name[ACCESSOR_BYTES];
    struct json_out out;

    json_out_init(&out, buf);
    json_out_open(&out, '{');
    json_out_key(&out, "role_id");
    uuid_format(role->role_id, id);
    json_out_text(&out, id);
    json_out_key(&out, "identity");
    uuid_format(role->identity, id);
    json_out_text(&out, id);
    json_out_key(&out, "ttl");
    json_out_u64(&out, role->ttl_ms / 1000);
    json_out_key(&out, "secret_ids");
    json_out_open(&out, '[');
    for (uint8_t i = 0; i < role->secret_count; i++) {
        ticket_accessor(role->secrets[i].hash, short_name);
        hex_encode(bytes_of(short_name, sizeof(short_name)), accessor);
        json_out_open(&out, '{');
        json_out_key(&out, "accessor");
        json_out_text(&out, accessor);
        json_out_key(&out, "expires_at");
        if (role->secrets[i].expires_ms > 0)
            json_out_time(&out, role->secrets[i].expires_ms);
        else
            json_out_null(&out);
        json_out_close(&out, '}');
    }
    json_out_close(&out, ']');
    json_out_close(&out, '}');
    return out.err;
}
