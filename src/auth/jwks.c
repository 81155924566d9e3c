#include <string.h>

#include "auth/issuer.h"
#include "crypto/base64.h"

static enum vault_err
refuse(const char **why, const char *text)
{
    *why = text;
    return ERR_BAD_JSON;
}

static bool
member_is(const json_t *object, const char *key, const char *text)
{
    const json_t *member = json_object_get(object, key);

    return member && json_is_string(member) && json_string_length(member) == strlen(text) &&
           strcmp(json_string_value(member), text) == 0;
}

/* Absent, or what allows verification. */
static bool
use_permits(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops");

    if (json_object_get(jwk, "use") && !member_is(jwk, "use", "sig"))
        return false;
    if (!operations)
        return true;
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const json_t *item = json_array_get(operations, i);

        if (json_is_string(item) && strcmp(json_string_value(item), "verify") == 0)
            return true;
    }
    return false;
}

/* Base64url of exactly `size` bytes, or of 1 to `size` when not `exact`. */
static enum vault_err
take_bytes(const json_t *jwk, const char *key, size_t size, bool exact, struct arena *arena,
           struct bytes *out)
{
    const json_t *member = json_object_get(jwk, key);
    struct bytes text = bytes_of(json_string_value(member), json_string_length(member));
    uint8_t *data;
    size_t decoded;

    *out = (struct bytes){0};
    if (!json_is_string(member) || text.size == 0 || base64url_decoded_size(text.size) > size)
        return ERR_BAD_JSON;
    data = arena_alloc(arena, size);
    if (!data)
        return ERR_NOMEM;
    if (base64url_decode(text, data, size, &decoded) != OK || decoded == 0 ||
        (exact && decoded != size))
        return ERR_BAD_JSON;
    *out = bytes_of(data, decoded);
    return OK;
}

/* "alg" is needed where a key could be used in several ways, and must agree where it is given. */
static bool
algorithm_is(const json_t *jwk, const char *name, bool needed)
{
    return json_object_get(jwk, "alg") ? member_is(jwk, "alg", name) : !needed;
}

static enum vault_err
take_rsa(const json_t *jwk, struct arena *arena, struct public_key *out, const char **why)
{
    enum vault_err err;

    if (algorithm_is(jwk, "RS256", true))
        out->kind = SIGNATURE_RSA;
    else if (algorithm_is(jwk, "PS256", true))
        out->kind = SIGNATURE_RSA_PSS;
    else
        return refuse(why, "an RSA key must say its alg: RS256 or PS256");
    err = take_bytes(jwk, "n", RSA_MODULUS_BYTES_MAX, false, arena, &out->key);
    if (err == OK)
        err = take_bytes(jwk, "e", RSA_EXPONENT_BYTES_MAX, false, arena, &out->exponent);
    return err;
}

static enum vault_err
take_ec(const json_t *jwk, struct arena *arena, struct public_key *out, const char **why)
{
    struct bytes x, y;
    uint8_t *point;
    enum vault_err err;

    if (!member_is(jwk, "crv", "P-256") || !algorithm_is(jwk, "ES256", false))
        return refuse(why, "of elliptic curves P-256 (ES256) is taken");
    err = take_bytes(jwk, "x", P256_KEY_BYTES / 2, true, arena, &x);
    if (err == OK)
        err = take_bytes(jwk, "y", P256_KEY_BYTES / 2, true, arena, &y);
    if (err != OK)
        return err;
    point = arena_alloc(arena, P256_KEY_BYTES);
    if (!point)
        return ERR_NOMEM;
    memcpy(point, x.data, x.size);
    memcpy(point + x.size, y.data, y.size);
    out->kind = SIGNATURE_P256;
    out->key = bytes_of(point, P256_KEY_BYTES);
    return OK;
}

static enum vault_err
take_okp(const json_t *jwk, struct arena *arena, struct public_key *out, const char **why)
{
    if (!member_is(jwk, "crv", "Ed25519") || !algorithm_is(jwk, "EdDSA", false))
        return refuse(why, "of Edwards curves Ed25519 (EdDSA) is taken");
    out->kind = SIGNATURE_ED25519;
    return take_bytes(jwk, "x", ED25519_KEY_BYTES, true, arena, &out->key);
}

static enum vault_err
take_id(const json_t *jwk, struct bytes *out, const char **why)
{
    const json_t *id = json_object_get(jwk, "kid");

    if (!id)
        return OK;
    if (!json_is_string(id) || json_string_length(id) == 0 ||
        json_string_length(id) > KEY_ID_BYTES_MAX)
        return refuse(why, "a kid must be a string of 1 to 128 bytes");
    *out = bytes_of(json_string_value(id), json_string_length(id));
    return OK;
}

static enum vault_err
take_key(const json_t *jwk, struct arena *arena, struct issuer_key *out, const char **why)
{
    static const char *const private_members[] = {"d", "k", "p", "q", "dp", "dq", "qi", "oth"};
    enum vault_err err;

    *out = (struct issuer_key){0};
    *why = "a key is not well-formed";
    if (!json_is_object(jwk))
        return ERR_BAD_JSON;
    for (size_t i = 0; i < sizeof(private_members) / sizeof(private_members[0]); i++)
        if (json_object_get(jwk, private_members[i]))
            return refuse(why, "a key is private or symmetric; it must be public");
    if (!use_permits(jwk))
        return refuse(why, "a key is not meant for verifying signatures");
    err = take_id(jwk, &out->id, why);
    if (err != OK)
        return err;
    if (member_is(jwk, "kty", "RSA"))
        err = take_rsa(jwk, arena, &out->key, why);
    else if (member_is(jwk, "kty", "EC"))
        err = take_ec(jwk, arena, &out->key, why);
    else if (member_is(jwk, "kty", "OKP"))
        err = take_okp(jwk, arena, &out->key, why);
    else
        err = refuse(why, "a key is RSA, EC or OKP");
    if (err == OK && !public_key_valid(&out->key))
        return refuse(why, "a key is weak or not a key: RSA has 2048 to 4096 bits and an exponent "
                           "from 65537, a point lies on its curve");
    return err;
}

enum vault_err
jwks_take(const json_t *jwks, struct arena *arena, struct issuer *issuer, const char **why)
{
    const json_t *keys = json_object_get(jwks, "keys");
    size_t count = json_array_size(keys);
    enum vault_err err = OK;

    *why = "a JWKS is {\"keys\": [...]} with one or more keys";
    issuer->key_count = 0;
    if (!json_is_object(jwks) || !json_is_array(keys) || count == 0)
        return ERR_BAD_JSON;
    if (count > ISSUER_KEYS_MAX) {
        *why = "an issuer has at most 8 keys";
        return ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < count && err == OK; i++)
        err = take_key(json_array_get(keys, i), arena, &issuer->keys[i], why);
    if (err == OK) {
        issuer->key_count = count;
        *why = NULL;
    }
    return err;
}
