#include "auth/jwt.h"

#include <string.h>

#include "auth/text.h"
#include "base/json_text.h"
#include "base/planted.h"
#include "crypto/base64.h"
#include "crypto/hash.h"

enum {
    HEADER_OPENED_MAX = 1,
    HEADER_COMMAS_MAX = 8,
    CLAIMS_OPENED_MAX = 64,
    CLAIMS_COMMAS_MAX = 256
};

static struct bytes
string_of(const json_t *string)
{
    return bytes_of(json_string_value(string), json_string_length(string));
}

bool
jwt_looks_like(struct bytes text)
{
    return text.size > 0 && memchr(text.data, '.', text.size) != NULL;
}

/* ---- taking apart ---- */

/* Cuts `text` up at its two dots. */
static bool
split(struct bytes text, struct bytes parts[static 3])
{
    size_t count = 0, start = 0;

    if (text.size > CREDENTIAL_BYTES_MAX)
        return false;
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != '.')
            continue;
        if (count == 3 || i == start)
            return false;
        parts[count++] = bytes_of(text.data + start, i - start);
        start = i + 1;
    }
    return count == 3;
}

/* Of Base64url, `room` bytes at most. The caller's buffer is wiped here. */
static json_t *
load_part(struct bytes part, uint8_t *room, size_t size_max, unsigned opened, unsigned commas,
          enum vault_err *err)
{
    json_t *root = NULL;
    size_t size = 0;

    *err = ERR_MALFORMED;
    if (base64url_decoded_size(part.size) <= size_max &&
        base64url_decode(part, room, size_max, &size) == OK &&
        json_shape_within(bytes_of(room, size), opened, commas))
        root = json_load_strict(bytes_of(room, size), JSON_REJECT_DUPLICATES, err);
    bytes_wipe(room, size_max);
    if (root && json_is_object(root))
        return root;
    json_decref(root);
    if (*err != ERR_NOMEM)
        *err = ERR_MALFORMED;
    return NULL;
}

static bool
take_algorithm(const json_t *value, enum signature_kind *out)
{
    static const struct {
        const char *name;
        enum signature_kind kind;
    } known[] = {{"EdDSA", SIGNATURE_ED25519},
                 {"ES256", SIGNATURE_P256},
                 {"RS256", SIGNATURE_RSA},
                 {"PS256", SIGNATURE_RSA_PSS}};

    for (size_t i = 0; json_is_string(value) && i < sizeof(known) / sizeof(known[0]); i++) {
        *out = known[i].kind;
        if (bytes_equal(string_of(value), bytes_of_text(known[i].name)))
            return true;
    }
    return false;
}

/* Of the sorts of tokens only these say who somebody is. */
static bool
type_permitted(const json_t *value)
{
    static const char *const types[] = {"JWT", "jwt", "at+jwt", "application/at+jwt"};

    for (size_t i = 0; json_is_string(value) && i < sizeof(types) / sizeof(types[0]); i++)
        if (bytes_equal(string_of(value), bytes_of_text(types[i])))
            return true;
    return false;
}

/* What says nothing of how a token is to be verified, and is common. */
static bool
ignorable(const char *key, const json_t *value)
{
    return json_is_string(value) && (strcmp(key, "x5t") == 0 || strcmp(key, "x5t#S256") == 0);
}

static bool
take_header(json_t *header, struct jwt *out)
{
    const char *key;
    json_t *value;
    bool ok = json_object_get(header, "alg") != NULL;

    json_object_foreach(header, key, value)
    {
        if (strcmp(key, "alg") == 0) {
            ok = ok && take_algorithm(value, &out->kind);
        } else if (strcmp(key, "kid") == 0) {
            struct bytes id = string_of(value);

            ok = ok && json_is_string(value) && text_printable(id, 1, sizeof(out->key_id));
            out->key_id_size = ok ? id.size : 0;
            memcpy(out->key_id, ok ? id.data : out->key_id, out->key_id_size);
        } else if (strcmp(key, "typ") == 0) {
            ok = ok && type_permitted(value);
        } else {
            ok = ok && ignorable(key, value);
        }
    }
    return ok;
}

static enum vault_err
parse_header(const struct bytes parts[static 3], struct jwt *out)
{
    uint8_t room[JWT_HEADER_BYTES_MAX];
    enum vault_err err;
    json_t *header =
        load_part(parts[0], room, sizeof(room), HEADER_OPENED_MAX, HEADER_COMMAS_MAX, &err);

    if (!header)
        return err;
    if (!take_header(header, out) ||
        base64url_decode(parts[2], out->signature, sizeof(out->signature), &out->signature_size) !=
            OK)
        err = ERR_MALFORMED;
    json_decref(header);
    return err;
}

/* *payload: still encoded. */
static enum vault_err
parse(struct bytes text, struct jwt *out, struct bytes *payload)
{
    struct bytes parts[3];
    enum vault_err err;

    *out = (struct jwt){0};
    *payload = (struct bytes){0};
    if (!split(text, parts))
        return ERR_MALFORMED;
    out->signing_input = bytes_of(text.data, parts[0].size + 1 + parts[1].size);
    *payload = parts[1];
    err = parse_header(parts, out);
    if (err != OK)
        jwt_close(out);
    return err;
}

enum vault_err
jws_parse(struct bytes text, struct jwt *out)
{
    struct bytes payload;

    return parse(text, out, &payload);
}

enum vault_err
jwt_parse(struct bytes text, struct jwt *out)
{
    uint8_t room[JWT_PAYLOAD_BYTES_MAX];
    struct bytes payload;
    enum vault_err err = parse(text, out, &payload);

    if (err != OK)
        return err;
    out->claims =
        load_part(payload, room, sizeof(room), CLAIMS_OPENED_MAX, CLAIMS_COMMAS_MAX, &err);
    if (!out->claims)
        jwt_close(out);
    return err;
}

void
jwt_close(struct jwt *jwt)
{
    json_decref(jwt->claims);
    bytes_wipe(jwt, sizeof(*jwt));
}

struct bytes
jwt_issuer(const struct jwt *jwt)
{
    const json_t *issuer = json_object_get(jwt->claims, "iss");

    return json_is_string(issuer) ? string_of(issuer) : (struct bytes){0};
}

struct bytes
jwt_subject(const struct jwt *jwt)
{
    const json_t *subject = json_object_get(jwt->claims, "sub");

    return json_is_string(subject) ? string_of(subject) : (struct bytes){0};
}

/* ---- key and signature ---- */

/*
 * By id if the token has one; else the only key of its kind. The kind is the key's: a token that
 * names another has no key here.
 */
static const struct issuer_key *
find_key(const struct jwt *jwt, const struct issuer *issuer)
{
    const struct issuer_key *found = NULL;

    for (size_t i = 0; i < issuer->key_count; i++) {
        const struct issuer_key *key = &issuer->keys[i];

        if (key->key.kind != jwt->kind)
            continue;
        if (jwt->key_id_size > 0 && !bytes_equal(key->id, bytes_of(jwt->key_id, jwt->key_id_size)))
            continue;
        if (found)
            return NULL;
        found = key;
    }
    return found;
}

/* Whoever has no key does the same work as with one. */
static void
verify_in_vain(const struct jwt *jwt)
{
    struct public_key key = public_key_of_nobody(jwt->kind);

    (void)!signature_verify(&key, jwt->signing_input,
                            bytes_of(jwt->signature, jwt->signature_size));
}

/* ---- claims ---- */

/* Seconds since 1970, in milliseconds; 0 when missing, wrong or beyond all sense. */
static uint64_t
time_claim(const struct jwt *jwt, const char *name)
{
    const json_t *value = json_object_get(jwt->claims, name);

    if (!json_is_integer(value) || json_integer_value(value) <= 0 ||
        json_integer_value(value) > INT64_C(253402300799)) /* the year 9999 */
        return 0;
    return (uint64_t)json_integer_value(value) * 1000;
}

static bool
absent_or_time(const struct jwt *jwt, const char *name)
{
    return !json_object_get(jwt->claims, name) || time_claim(jwt, name) > 0;
}

uint64_t
jwt_expires_ms(const struct jwt *jwt)
{
    return time_claim(jwt, "exp");
}

static bool
meant_for_us(const struct jwt *jwt, const struct issuer *issuer)
{
    const json_t *audience = json_object_get(jwt->claims, "aud");
    bool found = false;

    if (json_is_string(audience))
        return auth_names_contain(&issuer->audiences, string_of(audience));
    if (json_array_size(audience) > JWT_AUDIENCES_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(audience); i++) {
        const json_t *item = json_array_get(audience, i);

        if (!json_is_string(item))
            return false;
        found |= auth_names_contain(&issuer->audiences, string_of(item));
    }
    return found;
}

enum jwt_verdict
jwt_check_claims(const struct jwt *jwt, const struct issuer *issuer, uint64_t now_ms)
{
    uint64_t expires = jwt_expires_ms(jwt), issued = time_claim(jwt, "iat");
    uint64_t not_before = time_claim(jwt, "nbf");

    if (!bytes_equal(jwt_issuer(jwt), issuer->name) || expires == 0 ||
        !absent_or_time(jwt, "iat") || !absent_or_time(jwt, "nbf") ||
        !text_printable(jwt_subject(jwt), 1, JWT_SUBJECT_BYTES_MAX))
        return JWT_BAD_CLAIMS;
    if (!meant_for_us(jwt, issuer))
        return JWT_AUDIENCE;
    if (now_ms >= expires)
        return PLANTED(jwt_expiry_unchecked) ? JWT_VALID : JWT_EXPIRED;
    if (not_before > now_ms + JWT_SKEW_MS || issued > now_ms + JWT_SKEW_MS)
        return JWT_NOT_YET;
    if (expires - (issued > 0 && issued < expires ? issued : now_ms) > issuer->ttl_ms_max)
        return JWT_BAD_CLAIMS;
    return JWT_VALID;
}

enum jwt_verdict
jws_check(const struct jwt *jwt, const struct issuer *issuer)
{
    const struct issuer_key *key = issuer ? find_key(jwt, issuer) : NULL;

    if (!key) {
        verify_in_vain(jwt);
        return JWT_UNKNOWN_KEY;
    }
    if (!signature_verify(&key->key, jwt->signing_input,
                          bytes_of(jwt->signature, jwt->signature_size)))
        return JWT_BAD_SIGNATURE;
    return JWT_VALID;
}

enum jwt_verdict
jwt_check(const struct jwt *jwt, const struct issuer *issuer, uint64_t now_ms)
{
    enum jwt_verdict verdict = jws_check(jwt, issuer);

    return verdict == JWT_VALID ? jwt_check_claims(jwt, issuer, now_ms) : verdict;
}

/* ---- whom it names ---- */

static bool
has_claim(const struct jwt *jwt, const struct issuer_role *role)
{
    const char *key;
    json_t *value;

    json_object_foreach(jwt->claims, key, value)
    {
        if (!bytes_equal(bytes_of_text(key), role->claim))
            continue;
        if (json_is_string(value))
            return bytes_equal(string_of(value), role->value);
        for (size_t i = 0; i < json_array_size(value); i++) {
            const json_t *item = json_array_get(value, i);

            if (json_is_string(item) && bytes_equal(string_of(item), role->value))
                return true;
        }
    }
    return false;
}

void
jwt_policies(const struct jwt *jwt, const struct issuer *issuer, struct auth_names *out)
{
    *out = (struct auth_names){0};
    for (size_t i = 0; i < issuer->role_count; i++)
        if (has_claim(jwt, &issuer->roles[i]))
            (void)auth_names_join(out, &issuer->roles[i].policies); /* fits: roles_valid() */
}

void
jwt_identity(const struct jwt *jwt, struct bytes tenant, uint8_t out[static AUTH_UUID_BYTES])
{
    const struct bytes parts[] = {bytes_of_text("ostraka jwt identity 1"), tenant, jwt_issuer(jwt),
                                  jwt_subject(jwt)};
    uint8_t hash[HASH_BYTES];

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), hash);
    memcpy(out, hash, AUTH_UUID_BYTES);
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x80);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}
