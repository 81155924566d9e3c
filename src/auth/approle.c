#include "auth/identity.h"
#include "auth/token.h"
#include "base/planted.h"
#include "crypto/secret.h"
#include "proto/codec.h"
#include "proto/request.h"

enum { APPROLE_FIELDS = 6 };

static bool
well_formed(const struct approle *role)
{
    return tenant_name_valid(role->tenant) && role->secret_count <= APPROLE_SECRETS_MAX &&
           role->ttl_ms >= TOKEN_TTL_MS_MIN && role->ttl_ms <= TOKEN_TTL_MS_MAX;
}

enum vault_err
approle_encode(const struct approle *role, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (!well_formed(role))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, APPROLE_FIELDS);
    cbor_put_uint(&w, AUTH_APPROLE_1);
    codec_put_fixed(&w, role->role_id, AUTH_UUID_BYTES);
    cbor_put_bytes(&w, role->tenant);
    codec_put_fixed(&w, role->identity, AUTH_UUID_BYTES);
    cbor_put_uint(&w, role->ttl_ms);
    cbor_put_array(&w, 2u * role->secret_count);
    for (unsigned i = 0; i < role->secret_count; i++) {
        codec_put_fixed(&w, role->secrets[i].hash, HASH_BYTES);
        cbor_put_uint(&w, role->secrets[i].expires_ms);
    }
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

enum vault_err
approle_decode(struct bytes encoded, struct approle *out)
{
    struct cbor_reader r;
    uint64_t items;

    *out = (struct approle){0};
    auth_reader_init(&r, encoded, AUTH_APPROLE_1, APPROLE_FIELDS);
    cbor_get_fixed(&r, out->role_id, AUTH_UUID_BYTES);
    out->tenant = cbor_get_bytes(&r, TENANT_BYTES_MAX);
    cbor_get_fixed(&r, out->identity, AUTH_UUID_BYTES);
    out->ttl_ms = cbor_get_uint(&r);
    items = cbor_get_array(&r, 2 * APPROLE_SECRETS_MAX);
    codec_expect(&r, items % 2 == 0);
    out->secret_count = r.err == OK ? (uint8_t)(items / 2) : 0;
    for (unsigned i = 0; i < out->secret_count; i++) {
        cbor_get_fixed(&r, out->secrets[i].hash, HASH_BYTES);
        out->secrets[i].expires_ms = cbor_get_uint(&r);
    }
    codec_expect(&r, r.err == OK && well_formed(out));
    if (cbor_finish(&r) == OK)
        return OK;
    *out = (struct approle){0};
    return ERR_MALFORMED;
}

bool
approle_check(const struct approle *role, struct bytes secret_id, uint64_t now_ms)
{
    static const struct approle nobody;
    uint8_t hash[HASH_BYTES];
    bool known = role != NULL;
    bool well = ticket_hash(TICKET_SECRET_ID, secret_id, hash) == OK;
    bool found = false;

    if (!known)
        role = &nobody;
    for (unsigned i = 0; i < APPROLE_SECRETS_MAX; i++) { /* all of them, whichever it is */
        const struct approle_secret *secret = &role->secrets[i];
        bool same = secret_equal(bytes_of(hash, HASH_BYTES), bytes_of(secret->hash, HASH_BYTES));
        bool current =
            i < role->secret_count &&
            (secret->expires_ms == 0 || now_ms < secret->expires_ms || PLANTED(secret_id_reused));

        found |= same & current;
    }
    bytes_wipe(hash, sizeof(hash));
    return known & well & found;
}
