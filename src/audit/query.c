#include "audit/query.h"

#include <string.h>

enum { QUERY_FIELDS = 5, FOUND_FIELDS = 4, PAGE_FIELDS = 5, POSITION_FIELDS = 2 };

/* ---- what is looked for ---- */

enum vault_err
audit_query_encode(const struct audit_query *query, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    cbor_writer_init(&w, out);
    cbor_put_array(&w, QUERY_FIELDS);
    cbor_put_uint(&w, query->from_ms);
    cbor_put_uint(&w, query->to_ms);
    cbor_put_bytes(&w, query->identity);
    cbor_put_bytes(&w, query->name);
    cbor_put_bytes(&w, query->request_id);
    if (w.err == OK && out->size - start > AUDIT_QUERY_BYTES_MAX)
        w.err = ERR_RANGE;
    if (w.err != OK)
        buf_truncate(out, start);
    return w.err;
}

enum vault_err
audit_query_decode(struct bytes encoded, struct audit_query *out)
{
    struct cbor_reader r;

    *out = (struct audit_query){0};
    cbor_reader_init(&r, encoded);
    bool form = cbor_get_array(&r, QUERY_FIELDS) == QUERY_FIELDS;
    out->from_ms = cbor_get_uint(&r);
    out->to_ms = cbor_get_uint(&r);
    out->identity = cbor_get_bytes(&r, AUDIT_WORD_BYTES_MAX);
    out->name = cbor_get_bytes(&r, NAME_BYTES_MAX);
    out->request_id = cbor_get_bytes(&r, AUDIT_WORD_BYTES_MAX);
    if (cbor_finish(&r) == OK && form)
        return OK;
    *out = (struct audit_query){0};
    return ERR_MALFORMED;
}

static bool
is_any_or(struct bytes wanted, struct bytes found)
{
    return wanted.size == 0 || bytes_equal(wanted, found);
}

bool
audit_query_matches(const struct audit_query *query, const struct audit_record *record)
{
    return record->time_ms >= query->from_ms &&
           (query->to_ms == 0 || record->time_ms < query->to_ms) &&
           is_any_or(query->identity, record->caller) && is_any_or(query->name, record->name) &&
           is_any_or(query->request_id, record->request_id);
}

/* ---- where a reader stands ---- */

enum vault_err
audit_positions_encode(const struct audit_position *positions, size_t count, struct buf *out)
{
    struct cbor_writer w;

    cbor_writer_init(&w, out);
    cbor_put_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        cbor_put_array(&w, POSITION_FIELDS);
        cbor_put_uint(&w, positions[i].block);
        cbor_put_uint(&w, positions[i].record);
    }
    return w.err;
}

enum vault_err
audit_positions_decode(struct bytes encoded, size_t count, struct audit_position *out)
{
    struct cbor_reader r;

    memset(out, 0, count * sizeof(*out));
    cbor_reader_init(&r, encoded);
    bool form = cbor_get_array(&r, count) == count;
    for (size_t i = 0; form && i < count; i++) {
        form = cbor_get_array(&r, POSITION_FIELDS) == POSITION_FIELDS;
        out[i].block = cbor_get_uint(&r);
        out[i].record = cbor_get_uint(&r);
    }
    if (cbor_finish(&r) == OK && form)
        return OK;
    memset(out, 0, count * sizeof(*out));
    return ERR_MALFORMED;
}

/* ---- pages ---- */

void
audit_found_put(struct cbor_writer *w, const struct audit_found *found)
{
    cbor_put_array(w, FOUND_FIELDS);
    cbor_put_uint(w, found->node);
    cbor_put_uint(w, found->at.block);
    cbor_put_uint(w, found->at.record);
    cbor_put_bytes(w, found->record);
}

void
audit_found_get(struct cbor_reader *r, struct audit_found *found)
{
    struct audit_record record;

    *found = (struct audit_found){0};
    bool form = cbor_get_array(r, FOUND_FIELDS) == FOUND_FIELDS;
    found->node = cbor_get_uint_max(r, NODES_MAX - 1);
    found->at.block = cbor_get_uint(r);
    found->at.record = cbor_get_uint(r);
    found->record = cbor_get_bytes(r, AUDIT_RECORD_BYTES_MAX);
    if (r->err == OK && (!form || audit_record_decode(found->record, &record) != OK))
        r->err = ERR_MALFORMED;
    if (r->err != OK)
        *found = (struct audit_found){0};
}

enum vault_err
audit_page_encode(const struct audit_page *page, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (page->found_count > AUDIT_PAGE_RECORDS_MAX || page->name_count > NODES_MAX)
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, PAGE_FIELDS);
    cbor_put_uint(&w, page->missing);
    cbor_put_bytes(&w, page->next);
    cbor_put_uint(&w, page->found_count);
    cbor_put_bytes(&w, page->found);
    cbor_put_array(&w, page->name_count);
    for (size_t i = 0; i < page->name_count; i++)
        cbor_put_bytes(&w, page->names[i]);
    if (w.err != OK)
        buf_truncate(out, start);
    return w.err;
}

enum vault_err
audit_page_decode(struct bytes encoded, struct audit_page *out)
{
    struct cbor_reader r;

    *out = (struct audit_page){0};
    cbor_reader_init(&r, encoded);
    bool form = cbor_get_array(&r, PAGE_FIELDS) == PAGE_FIELDS;
    out->missing = cbor_get_uint_max(&r, (UINT64_C(1) << NODES_MAX) - 1);
    out->next = cbor_get_bytes(&r, AUDIT_POSITIONS_BYTES_MAX);
    out->found_count = (size_t)cbor_get_uint_max(&r, AUDIT_PAGE_RECORDS_MAX);
    out->found = cbor_get_bytes(&r, AUDIT_PAGE_BYTES_MAX);
    out->name_count = (size_t)cbor_get_array(&r, NODES_MAX);
    for (size_t i = 0; i < out->name_count; i++)
        out->names[i] = cbor_get_bytes(&r, NODE_NAME_BYTES_MAX);
    if (cbor_finish(&r) == OK && form) {
        struct audit_found found;
        cbor_reader_init(&r, out->found);
        for (size_t i = 0; i < out->found_count && r.err == OK; i++)
            audit_found_get(&r, &found);
        if (out->found_count == 0 ? out->found.size == 0 : cbor_finish(&r) == OK)
            return OK;
    }
    *out = (struct audit_page){0};
    return ERR_MALFORMED;
}
