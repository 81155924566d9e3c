#include "auth/record.h"

#include "proto/codec.h"

static_assert(AUTH_TENANTS_MAX <= AUTH_POLICIES_MAX, "tenants fit a list of names");

void
auth_reader_init(struct cbor_reader *r, struct bytes encoded, enum auth_format format,
                 uint64_t fields)
{
    static const uint8_t nothing[1];

    if (encoded.size == 0)
        encoded.data = nothing;
    cbor_reader_init(r, encoded);
    codec_expect(r, encoded.size <= AUTH_RECORD_BYTES_MAX);
    codec_get_array_of(r, fields);
    (void)codec_get_range(r, format, format);
}

bool
auth_names_contain(const struct auth_names *list, struct bytes name)
{
    for (size_t i = 0; i < list->count; i++)
        if (bytes_equal(list->names[i], name))
            return true;
    return false;
}

bool
auth_names_equal(const struct auth_names *a, const struct auth_names *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!bytes_equal(a->names[i], b->names[i]))
            return false;
    return true;
}

bool
auth_names_join(struct auth_names *list, const struct auth_names *more)
{
    for (size_t i = 0; i < more->count; i++) {
        if (auth_names_contain(list, more->names[i]))
            continue;
        if (list->count == AUTH_POLICIES_MAX)
            return false;
        list->names[list->count++] = more->names[i];
    }
    return true;
}

bool
auth_names_valid(const struct auth_names *list, bool (*valid)(struct bytes))
{
    if (list->count > AUTH_POLICIES_MAX)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct auth_names before = *list;

        before.count = i;
        if (!valid(list->names[i]) || auth_names_contain(&before, list->names[i]))
            return false;
    }
    return true;
}

void
auth_put_names(struct cbor_writer *w, const struct auth_names *list, bool (*valid)(struct bytes))
{
    codec_require(w, auth_names_valid(list, valid), ERR_RANGE);
    if (w->err != OK)
        return;
    cbor_put_array(w, list->count);
    for (size_t i = 0; i < list->count; i++)
        cbor_put_bytes(w, list->names[i]);
}

void
auth_get_names(struct cbor_reader *r, struct auth_names *out, bool (*valid)(struct bytes))
{
    *out = (struct auth_names){0};
    size_t count = (size_t)cbor_get_array(r, AUTH_POLICIES_MAX);
    for (size_t i = 0; i < count && r->err == OK; i++)
        out->names[i] = cbor_get_bytes(r, AUTH_NAME_BYTES_MAX);
    out->count = r->err == OK ? count : 0;
    codec_expect(r, auth_names_valid(out, valid));
}
