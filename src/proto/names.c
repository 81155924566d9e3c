#include "proto/names.h"

#include "proto/codec.h"

enum { NAME_FIELDS = 4 };

static bool
in_order(const struct listed_name *names, size_t i)
{
    return i == 0 || bytes_compare(names[i - 1].name, names[i].name) < 0;
}

static void
put_name(struct cbor_writer *w, const struct listed_name *name)
{
    codec_require(w, secret_name_valid(name->name), ERR_RANGE);
    codec_require(w, !ballot_is_none(name->ballot), ERR_RANGE);
    cbor_put_array(w, NAME_FIELDS);
    cbor_put_bytes(w, name->name);
    codec_put_ballot(w, name->ballot);
    codec_put_range(w, name->state, STATE_ACCEPTED, STATE_RECEIVED);
    codec_put_range(w, name->kind, LISTED_UNSURE, LISTED_PENDING);
}

enum vault_err
listed_names_encode(const struct listed_name *names, size_t count, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (count > SCAN_NAMES_MAX)
        return ERR_TOO_LARGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        codec_require(&w, in_order(names, i), ERR_RANGE);
        put_name(&w, &names[i]);
    }
    return codec_end(&w, start, SCAN_NAMES_BYTES_MAX);
}

static void
get_name(struct cbor_reader *r, struct listed_name *out)
{
    *out = (struct listed_name){0};
    codec_get_array_of(r, NAME_FIELDS);
    out->name = cbor_get_bytes(r, NAME_BYTES_MAX);
    codec_expect(r, r->err == OK && secret_name_valid(out->name));
    codec_get_ballot(r, &out->ballot);
    codec_expect(r, !ballot_is_none(out->ballot));
    out->state = (enum accepted_state)codec_get_range(r, STATE_ACCEPTED, STATE_RECEIVED);
    out->kind = (enum listed_kind)codec_get_range(r, LISTED_UNSURE, LISTED_PENDING);
}

enum vault_err
listed_names_decode(struct bytes encoded, struct listed_name out[static SCAN_NAMES_MAX],
                    size_t *count)
{
    static const uint8_t nothing[1];
    struct cbor_reader r;

    *count = 0;
    if (encoded.size == 0)
        encoded.data = nothing;
    cbor_reader_init(&r, encoded);
    uint64_t n = cbor_get_array(&r, SCAN_NAMES_MAX);
    for (uint64_t i = 0; i < n && r.err == OK; i++) {
        get_name(&r, &out[i]);
        codec_expect(&r, r.err == OK && in_order(out, i));
    }
    if (cbor_finish(&r) != OK)
        return ERR_MALFORMED;
    *count = (size_t)n;
    return OK;
}
