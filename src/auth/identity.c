#include "auth/identity.h"

#include "auth/policy.h"
#include "auth/text.h"
#include "proto/codec.h"
#include "proto/request.h"

enum { IDENTITY_FIELDS = 9 };

static const char *const kind_names[IDENTITY_KINDS] = {"user", "service", "device"};

const char *
identity_kind_name(enum identity_kind kind)
{
    return (unsigned)kind < IDENTITY_KINDS ? kind_names[kind] : "?";
}

bool
identity_kind_parse(struct bytes text, enum identity_kind *out)
{
    for (unsigned i = 0; i < IDENTITY_KINDS; i++) {
        *out = (enum identity_kind)i;
        if (bytes_equal(text, bytes_of_text(kind_names[i])))
            return true;
    }
    return false;
}

bool
identity_name_valid(struct bytes name)
{
    return text_printable(name, 1, AUTH_NAME_BYTES_MAX);
}

static bool
metadata_valid(const struct identity *identity)
{
    if (identity->metadata_count > AUTH_METADATA_MAX)
        return false;
    for (size_t i = 0; i < identity->metadata_count; i++) {
        const struct metadata_pair *pair = &identity->metadata[i];

        if (!text_printable(pair->key, 1, AUTH_METADATA_KEY_BYTES_MAX) ||
            !text_printable(pair->value, 0, AUTH_METADATA_VALUE_BYTES_MAX))
            return false;
        if (i > 0 && bytes_compare(pair[-1].key, pair->key) >= 0)
            return false;
    }
    return true;
}

static bool
well_formed(const struct identity *identity)
{
    return identity_name_valid(identity->name) && metadata_valid(identity) &&
           identity->tenants.count <= AUTH_TENANTS_MAX &&
           !codec_all_zero(identity->id, AUTH_UUID_BYTES);
}

enum vault_err
identity_encode(const struct identity *identity, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (!well_formed(identity))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, IDENTITY_FIELDS);
    cbor_put_uint(&w, AUTH_IDENTITY_1);
    codec_put_fixed(&w, identity->id, AUTH_UUID_BYTES);
    cbor_put_bytes(&w, identity->name);
    codec_put_range(&w, identity->kind, IDENTITY_USER, IDENTITY_DEVICE);
    cbor_put_bool(&w, identity->disabled);
    cbor_put_uint(&w, identity->created_ms);
    auth_put_names(&w, &identity->policies, policy_name_valid);
    auth_put_names(&w, &identity->tenants, tenant_name_valid);
    cbor_put_array(&w, 2 * identity->metadata_count);
    for (size_t i = 0; i < identity->metadata_count; i++) {
        cbor_put_bytes(&w, identity->metadata[i].key);
        cbor_put_bytes(&w, identity->metadata[i].value);
    }
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

static void
get_metadata(struct cbor_reader *r, struct identity *out)
{
    uint64_t items = cbor_get_array(r, 2 * AUTH_METADATA_MAX);

    codec_expect(r, items % 2 == 0);
    for (size_t i = 0; i < items / 2 && r->err == OK; i++) {
        out->metadata[i].key = cbor_get_bytes(r, AUTH_METADATA_KEY_BYTES_MAX);
        out->metadata[i].value = cbor_get_bytes(r, AUTH_METADATA_VALUE_BYTES_MAX);
    }
    out->metadata_count = r->err == OK ? (size_t)items / 2 : 0;
}

enum vault_err
identity_decode(struct bytes encoded, struct identity *out)
{
    struct cbor_reader r;

    *out = (struct identity){0};
    auth_reader_init(&r, encoded, AUTH_IDENTITY_1, IDENTITY_FIELDS);
    cbor_get_fixed(&r, out->id, AUTH_UUID_BYTES);
    out->name = cbor_get_bytes(&r, AUTH_NAME_BYTES_MAX);
    out->kind = (enum identity_kind)codec_get_range(&r, IDENTITY_USER, IDENTITY_DEVICE);
    out->disabled = cbor_get_bool(&r);
    out->created_ms = cbor_get_uint(&r);
    auth_get_names(&r, &out->policies, policy_name_valid);
    auth_get_names(&r, &out->tenants, tenant_name_valid);
    get_metadata(&r, out);
    codec_expect(&r, r.err == OK && well_formed(out));
    if (cbor_finish(&r) == OK)
        return OK;
    *out = (struct identity){0};
    return ERR_MALFORMED;
}
