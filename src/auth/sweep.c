#include "auth/sweep.h"

#include "proto/codec.h"

enum { SWEEP_FIELDS = 2 };

enum vault_err
sweep_encode(uint64_t before_ms, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    cbor_writer_init(&w, out);
    codec_require(&w, before_ms > 0, ERR_RANGE);
    cbor_put_array(&w, SWEEP_FIELDS);
    cbor_put_uint(&w, AUTH_SWEEP_1);
    cbor_put_uint(&w, before_ms);
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

enum vault_err
sweep_decode(struct bytes encoded, uint64_t *before_ms)
{
    struct cbor_reader r;

    auth_reader_init(&r, encoded, AUTH_SWEEP_1, SWEEP_FIELDS);
    *before_ms = cbor_get_uint(&r);
    codec_expect(&r, *before_ms > 0);
    if (cbor_finish(&r) == OK)
        return OK;
    *before_ms = 0;
    return ERR_MALFORMED;
}
