#include "auth/identity.h"
#include "proto/codec.h"
#include "proto/request.h"

/* The last one is written only when it is set; the array's first byte says how many there are. */
enum { TENANT_FIELDS = 8, TENANT_FIELDS_PURGED = 9, CBOR_ARRAY_BYTE = 0x80 };

static bool
well_formed(const struct tenant *tenant)
{
    return tenant_name_valid(tenant->name) && tenant->versions_max <= VERSIONS_KEPT_MAX &&
           tenant->value_bytes_max <= VALUE_BYTES_MAX &&
           tenant->requests_per_second <= REQUESTS_PER_SECOND_MAX &&
           tenant->expires_after_s <= EXPIRES_AFTER_S_MAX;
}

enum vault_err
tenant_encode(const struct tenant *tenant, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    cbor_writer_init(&w, out);
    codec_require(&w, well_formed(tenant), ERR_RANGE);
    cbor_put_array(&w, tenant->purging_ms > 0 ? TENANT_FIELDS_PURGED : TENANT_FIELDS);
    cbor_put_uint(&w, AUTH_TENANT_1);
    cbor_put_bytes(&w, tenant->name);
    cbor_put_uint(&w, tenant->created_ms);
    cbor_put_uint(&w, tenant->secrets_max);
    cbor_put_uint(&w, tenant->versions_max);
    cbor_put_uint(&w, tenant->value_bytes_max);
    cbor_put_uint(&w, tenant->requests_per_second);
    cbor_put_uint(&w, tenant->expires_after_s);
    if (tenant->purging_ms > 0)
        cbor_put_uint(&w, tenant->purging_ms);
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

bool
tenant_is_purged(struct bytes encoded)
{
    return encoded.size > 0 && encoded.data[0] == CBOR_ARRAY_BYTE + TENANT_FIELDS_PURGED;
}

enum vault_err
tenant_decode(struct bytes encoded, struct tenant *out)
{
    bool purged = tenant_is_purged(encoded);
    struct cbor_reader r;

    auth_reader_init(&r, encoded, AUTH_TENANT_1, purged ? TENANT_FIELDS_PURGED : TENANT_FIELDS);
    *out = (struct tenant){.name = cbor_get_bytes(&r, TENANT_BYTES_MAX)};
    out->created_ms = cbor_get_uint(&r);
    out->secrets_max = cbor_get_uint(&r);
    out->versions_max = cbor_get_uint(&r);
    out->value_bytes_max = cbor_get_uint(&r);
    out->requests_per_second = cbor_get_uint(&r);
    out->expires_after_s = cbor_get_uint(&r);
    if (purged)
        out->purging_ms = cbor_get_uint(&r);
    codec_expect(&r, r.err == OK && well_formed(out) && purged == (out->purging_ms > 0));
    if (cbor_finish(&r) == OK)
        return OK;
    *out = (struct tenant){0};
    return ERR_MALFORMED;
}
