#include "audit/record.h"

#include <string.h>

enum { FIELDS = 11 };

const char *
audit_kind_name(uint64_t kind)
{
    switch (kind) {
#define X(name, value)                                                                             \
    case value: return #name;
        AUDIT_KINDS(X)
#undef X
    }
    return "?";
}

static bool
word_valid(struct bytes word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < 0x20 || word.data[i] > 0x7e)
            return false;
    }
    return word.size <= AUDIT_WORD_BYTES_MAX;
}

static bool
valid(const struct audit_record *r)
{
    return r->kind >= 1 && r->kind <= AUDIT_KIND_LAST && word_valid(r->request_id) &&
           word_valid(r->caller) && word_valid(r->address) && word_valid(r->operation) &&
           word_valid(r->tenant) && r->name.size <= NAME_BYTES_MAX && word_valid(r->outcome);
}

enum vault_err
audit_record_encode(const struct audit_record *record, struct buf *out)
{
    const struct bytes words[] = {record->request_id, record->caller, record->address,
                                  record->operation,  record->tenant, record->name,
                                  record->outcome};
    struct cbor_writer w;
    size_t start = out->size;

    if (!valid(record))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, FIELDS);
    cbor_put_uint(&w, record->kind);
    cbor_put_uint(&w, record->time_ms);
    cbor_put_uint(&w, record->node);
    cbor_put_uint(&w, record->op);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        cbor_put_bytes(&w, words[i]);
    if (w.err == OK && out->size - start > AUDIT_RECORD_BYTES_MAX)
        w.err = ERR_RANGE;
    if (w.err != OK)
        buf_truncate(out, start);
    return w.err;
}

enum vault_err
audit_record_decode(struct bytes encoded, struct audit_record *out)
{
    struct cbor_reader r;

    *out = (struct audit_record){0};
    struct bytes *const words[] = {&out->request_id, &out->caller, &out->address, &out->operation,
                                   &out->tenant,     &out->name,   &out->outcome};
    cbor_reader_init(&r, encoded);
    if (cbor_get_array(&r, FIELDS) != FIELDS && r.err == OK)
        r.err = ERR_MALFORMED;
    out->kind = cbor_get_uint(&r);
    out->time_ms = cbor_get_uint(&r);
    out->node = cbor_get_uint(&r);
    out->op = cbor_get_uint(&r);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        *words[i] = cbor_get_bytes(&r, NAME_BYTES_MAX);
    enum vault_err err = cbor_finish(&r);
    if (err == OK && (encoded.size > AUDIT_RECORD_BYTES_MAX || !valid(out)))
        err = ERR_MALFORMED;
    if (err != OK)
        *out = (struct audit_record){0};
    return err;
}
