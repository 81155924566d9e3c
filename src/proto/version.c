/*
 * The version record: [format, incarnation, version, valid from, prev, dealing id, dealing hash,
 * author, op id]; and lists of encoded records.
 */
#include "proto/codec.h"

enum { VERSION_FIELDS = 9 };

static_assert(VERSION_FIELDS * 9 + INCARNATION_BYTES + DEALING_ID_BYTES + OP_ID_BYTES +
                      2 * HASH_BYTES + AUTHOR_BYTES_MAX + 2 * 8 <=
                  VERSION_BYTES_MAX,
              "every version record fits");

static bool
version_valid(const struct version_record *version)
{
    bool first = version->version == 1;

    if (version->version < 1 || version->version > COUNTER_MAX)
        return false;
    if (version->valid_from_ms > TIME_MS_MAX)
        return false;
    if (first != codec_all_zero(version->prev, ID_BYTES))
        return false;
    return version->author.size >= 1 && codec_visible_ascii(version->author);
}

enum vault_err
version_encode(const struct version_record *version, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (!version_valid(version))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, VERSION_FIELDS);
    cbor_put_uint(&w, RECORD_VERSION_1);
    codec_put_fixed(&w, version->incarnation, INCARNATION_BYTES);
    cbor_put_uint(&w, version->version);
    cbor_put_uint(&w, version->valid_from_ms);
    codec_put_fixed(&w, version->prev, ID_BYTES);
    codec_put_fixed(&w, version->dealing_id, DEALING_ID_BYTES);
    codec_put_fixed(&w, version->dealing_hash, HASH_BYTES);
    codec_put_bytes(&w, version->author, 1, AUTHOR_BYTES_MAX);
    codec_put_fixed(&w, version->op_id, OP_ID_BYTES);
    return codec_end(&w, start, VERSION_BYTES_MAX);
}

static void
get_version(struct cbor_reader *r, struct version_record *out)
{
    codec_get_array_of(r, VERSION_FIELDS);
    (void)codec_get_range(r, RECORD_VERSION_1, RECORD_VERSION_1);
    cbor_get_fixed(r, out->incarnation, INCARNATION_BYTES);
    out->version = cbor_get_uint(r);
    out->valid_from_ms = cbor_get_uint(r);
    cbor_get_fixed(r, out->prev, ID_BYTES);
    cbor_get_fixed(r, out->dealing_id, DEALING_ID_BYTES);
    cbor_get_fixed(r, out->dealing_hash, HASH_BYTES);
    out->author = cbor_get_bytes(r, AUTHOR_BYTES_MAX);
    cbor_get_fixed(r, out->op_id, OP_ID_BYTES);
}

enum vault_err
version_decode(struct bytes encoded, struct version_record *out)
{
    struct cbor_reader r;

    *out = (struct version_record){0};
    if (encoded.size == 0 || encoded.size > VERSION_BYTES_MAX)
        return ERR_MALFORMED;
    cbor_reader_init(&r, encoded);
    get_version(&r, out);
    if (cbor_finish(&r) != OK || !version_valid(out)) {
        *out = (struct version_record){0};
        return ERR_MALFORMED;
    }
    return OK;
}

enum vault_err
bytes_list_encode(const struct bytes *items, size_t count, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    cbor_writer_init(&w, out);
    cbor_put_array(&w, count);
    for (size_t i = 0; i < count; i++)
        cbor_put_bytes(&w, items[i]);
    return codec_end(&w, start, FRAME_BYTES_MAX);
}

enum vault_err
bytes_list_decode(struct bytes encoded, size_t item_max, struct bytes *items, size_t items_max,
                  size_t *count)
{
    struct cbor_reader r;
    size_t found;
    enum vault_err err;

    *count = 0;
    if (encoded.size == 0)
        return ERR_MALFORMED;
    cbor_reader_init(&r, encoded);
    found = (size_t)cbor_get_array(&r, SIZE_MAX);
    if (found > items_max)
        return ERR_TOO_LARGE;
    for (size_t i = 0; i < found; i++)
        items[i] = cbor_get_bytes(&r, item_max);
    err = cbor_finish(&r);
    if (err == OK)
        *count = found;
    return err;
}
