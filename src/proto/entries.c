#include "proto/entries.h"

#include "proto/codec.h"

enum { ENTRY_FIELDS = 6 };

static_assert(ENTRIES_MAX * (TENANT_BYTES_MAX + NAME_BYTES_MAX + ID_BYTES + 64) + 9 <=
                  ENTRIES_BYTES_MAX,
              "a full list fits");

/* A key holds each size before its text, so a shorter text comes first. */
static int
sized_compare(struct bytes a, struct bytes b)
{
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return bytes_compare(a, b);
}

int
path_compare(struct path a, struct path b)
{
    int order = sized_compare(a.tenant, b.tenant);
    return order != 0 ? order : sized_compare(a.name, b.name);
}

static bool
in_order(const struct path_entry *entries, size_t i)
{
    return i == 0 || path_compare(entries[i - 1].path, entries[i].path) < 0;
}

static void
put_entry(struct cbor_writer *w, const struct path_entry *entry)
{
    codec_require(w, path_valid(entry->path), ERR_RANGE);
    codec_require(w, !ballot_is_none(entry->ballot), ERR_RANGE);
    cbor_put_array(w, ENTRY_FIELDS);
    cbor_put_bytes(w, entry->path.tenant);
    cbor_put_bytes(w, entry->path.name);
    codec_put_range(w, entry->state, STATE_ACCEPTED, STATE_RECEIVED);
    codec_put_fixed(w, entry->head_id, ID_BYTES);
    codec_put_ballot(w, entry->ballot);
    cbor_put_bool(w, entry->settling);
}

enum vault_err
path_entries_encode(const struct path_entry *entries, size_t count, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (count > ENTRIES_MAX)
        return ERR_TOO_LARGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        codec_require(&w, in_order(entries, i), ERR_RANGE);
        put_entry(&w, &entries[i]);
    }
    return codec_end(&w, start, ENTRIES_BYTES_MAX);
}

static void
get_entry(struct cbor_reader *r, struct path_entry *out)
{
    *out = (struct path_entry){0};
    codec_get_array_of(r, ENTRY_FIELDS);
    out->path.tenant = cbor_get_bytes(r, TENANT_BYTES_MAX);
    out->path.name = cbor_get_bytes(r, NAME_BYTES_MAX);
    codec_expect(r, r->err == OK && path_valid(out->path));
    out->state = (enum accepted_state)codec_get_range(r, STATE_ACCEPTED, STATE_RECEIVED);
    cbor_get_fixed(r, out->head_id, ID_BYTES);
    codec_get_ballot(r, &out->ballot);
    codec_expect(r, !ballot_is_none(out->ballot));
    out->settling = cbor_get_bool(r);
}

enum vault_err
path_entries_decode(struct bytes encoded, struct path_entry out[static ENTRIES_MAX], size_t *count)
{
    static const uint8_t nothing[1];
    struct cbor_reader r;

    *count = 0;
    if (encoded.size == 0)
        encoded.data = nothing;
    cbor_reader_init(&r, encoded);
    uint64_t n = cbor_get_array(&r, ENTRIES_MAX);
    for (uint64_t i = 0; i < n && r.err == OK; i++) {
        get_entry(&r, &out[i]);
        codec_expect(&r, r.err == OK && in_order(out, i));
    }
    if (cbor_finish(&r) != OK)
        return ERR_MALFORMED;
    *count = (size_t)n;
    return OK;
}
