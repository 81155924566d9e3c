#include "auth/issuer.h"

#include "auth/policy.h"
#include "auth/text.h"
#include "crypto/hash.h"
#include "proto/codec.h"

enum { ISSUER_FIELDS = 6, KEY_FIELDS = 4, ROLE_FIELDS = 3 };

static bool
audience_valid(struct bytes text)
{
    return text_printable(text, 1, AUTH_NAME_BYTES_MAX);
}

/* `known`: each key by itself has been found valid before. That costs as much as a signature. */
static bool
keys_valid(const struct issuer *issuer, bool known)
{
    if (issuer->key_count > ISSUER_KEYS_MAX)
        return false;
    for (size_t i = 0; i < issuer->key_count; i++) {
        const struct issuer_key *key = &issuer->keys[i];

        if (!text_printable(key->id, 0, KEY_ID_BYTES_MAX) ||
            (!known && !public_key_valid(&key->key)))
            return false;
        for (size_t j = 0; j < i; j++)
            if (bytes_equal(key->id, issuer->keys[j].id) &&
                (key->id.size > 0 || key->key.kind == issuer->keys[j].key.kind))
                return false;
    }
    return true;
}

/* All policies together must fit a caller, since one left out might deny. */
static bool
roles_valid(const struct issuer *issuer)
{
    struct auth_names all = {0};

    if (issuer->role_count > ISSUER_ROLES_MAX)
        return false;
    for (size_t i = 0; i < issuer->role_count; i++) {
        const struct issuer_role *role = &issuer->roles[i];

        if (!text_printable(role->claim, 1, CLAIM_BYTES_MAX) ||
            !text_printable(role->value, 1, CLAIM_VALUE_BYTES_MAX) || role->policies.count == 0 ||
            !auth_names_valid(&role->policies, policy_name_valid) ||
            !auth_names_join(&all, &role->policies))
            return false;
    }
    return true;
}

static bool
is_valid(const struct issuer *issuer, bool known)
{
    return text_printable(issuer->name, 1, ISSUER_BYTES_MAX) && issuer->audiences.count > 0 &&
           auth_names_valid(&issuer->audiences, audience_valid) && issuer->ttl_ms_max > 0 &&
           keys_valid(issuer, known) && roles_valid(issuer);
}

bool
issuer_valid(const struct issuer *issuer)
{
    return is_valid(issuer, false);
}

enum vault_err
issuer_encode(const struct issuer *issuer, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (!issuer_valid(issuer))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, ISSUER_FIELDS);
    cbor_put_uint(&w, AUTH_ISSUER_1);
    cbor_put_bytes(&w, issuer->name);
    auth_put_names(&w, &issuer->audiences, audience_valid);
    cbor_put_uint(&w, issuer->ttl_ms_max);
    cbor_put_array(&w, issuer->key_count);
    for (size_t i = 0; i < issuer->key_count; i++) {
        cbor_put_array(&w, KEY_FIELDS);
        cbor_put_bytes(&w, issuer->keys[i].id);
        cbor_put_uint(&w, issuer->keys[i].key.kind);
        cbor_put_bytes(&w, issuer->keys[i].key.key);
        cbor_put_bytes(&w, issuer->keys[i].key.exponent);
    }
    cbor_put_array(&w, issuer->role_count);
    for (size_t i = 0; i < issuer->role_count; i++) {
        cbor_put_array(&w, ROLE_FIELDS);
        cbor_put_bytes(&w, issuer->roles[i].claim);
        cbor_put_bytes(&w, issuer->roles[i].value);
        auth_put_names(&w, &issuer->roles[i].policies, policy_name_valid);
    }
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

static void
get_key(struct cbor_reader *r, struct issuer_key *out)
{
    codec_get_array_of(r, KEY_FIELDS);
    out->id = cbor_get_bytes(r, KEY_ID_BYTES_MAX);
    out->key.kind = (enum signature_kind)codec_get_range(r, SIGNATURE_ED25519, SIGNATURE_RSA_PSS);
    out->key.key = cbor_get_bytes(r, RSA_MODULUS_BYTES_MAX);
    out->key.exponent = cbor_get_bytes(r, RSA_EXPONENT_BYTES_MAX);
}

static void
get_role(struct cbor_reader *r, struct issuer_role *out)
{
    codec_get_array_of(r, ROLE_FIELDS);
    out->claim = cbor_get_bytes(r, CLAIM_BYTES_MAX);
    out->value = cbor_get_bytes(r, CLAIM_VALUE_BYTES_MAX);
    auth_get_names(r, &out->policies, policy_name_valid);
}

static enum vault_err
decode(struct bytes encoded, bool known, struct issuer *out)
{
    struct cbor_reader r;

    *out = (struct issuer){0};
    auth_reader_init(&r, encoded, AUTH_ISSUER_1, ISSUER_FIELDS);
    out->name = cbor_get_bytes(&r, ISSUER_BYTES_MAX);
    auth_get_names(&r, &out->audiences, audience_valid);
    out->ttl_ms_max = cbor_get_uint(&r);
    out->key_count = (size_t)cbor_get_array(&r, ISSUER_KEYS_MAX);
    for (size_t i = 0; i < out->key_count && r.err == OK; i++)
        get_key(&r, &out->keys[i]);
    out->role_count = (size_t)cbor_get_array(&r, ISSUER_ROLES_MAX);
    for (size_t i = 0; i < out->role_count && r.err == OK; i++)
        get_role(&r, &out->roles[i]);
    codec_expect(&r, r.err == OK && is_valid(out, known));
    if (cbor_finish(&r) == OK)
        return OK;
    *out = (struct issuer){0};
    return ERR_MALFORMED;
}

enum vault_err
issuer_decode(struct bytes encoded, struct issuer *out)
{
    return decode(encoded, false, out);
}

enum vault_err
issuer_decode_again(struct bytes encoded, struct issuer *out)
{
    return decode(encoded, true, out);
}

void
issuer_key(struct bytes name, char out[static ISSUER_KEY_TEXT_BYTES + 1])
{
    uint8_t hash[HASH_BYTES];

    hash_bytes(name, hash);
    hex_encode(bytes_of(hash, ISSUER_KEY_TEXT_BYTES / 2), out);
}
