#include "api/audit_render.h"

#include "api/target.h"
#include "base/cbor.h"

static void
put_text(struct json_out *out, const char *key, struct bytes text)
{
    if (text.size == 0)
        return;
    json_out_key(out, key);
    json_out_string(out, text);
}

static struct bytes
node_name(const struct audit_page *page, uint64_t node)
{
    return node < page->name_count ? page->names[node] : bytes_of_text("?");
}

/* What a record does not have is left out. */
static void
put_record(const struct audit_page *page, const struct audit_found *found, struct json_out *out)
{
    struct audit_record record;

    if (audit_record_decode(found->record, &record) != OK) {
        out->err = ERR_INTERNAL;
        return;
    }
    json_out_open(out, '{');
    json_out_key(out, "time");
    json_out_time(out, record.time_ms);
    put_text(out, "node", node_name(page, found->node));
    json_out_key(out, "block");
    json_out_u64(out, found->at.block);
    json_out_key(out, "index");
    json_out_u64(out, found->at.record);
    json_out_key(out, "kind");
    json_out_text(out, audit_kind_name(record.kind));
    put_text(out, "asked_by", node_name(page, record.node));
    put_text(out, "request_id", record.request_id);
    put_text(out, "identity", record.caller);
    put_text(out, "address", record.address);
    put_text(out, "operation", record.operation);
    put_text(out, "tenant", record.tenant);
    if (utf8_valid(record.name))
        put_text(out, "name", record.name);
    put_text(out, "outcome", record.outcome);
    if (record.kind == AUDIT_request && record.op > 0) {
        json_out_key(out, "count");
        json_out_u64(out, record.op);
    }
    json_out_close(out, '}');
}

static void
put_missing(const struct audit_page *page, struct json_out *out)
{
    json_out_key(out, "missing");
    json_out_open(out, '[');
    for (uint64_t i = 0; i < page->name_count; i++) {
        if ((page->missing >> i & 1) != 0)
            json_out_string(out, page->names[i]);
    }
    json_out_close(out, ']');
}

static void
put_next(struct bytes positions, struct json_out *out)
{
    uint8_t token[1 + 2 * AUDIT_POSITIONS_BYTES_MAX];
    size_t at = 0;

    if (positions.size == 0)
        return;
    token[at++] = 'a';
    for (size_t i = 0; i < positions.size; i++) {
        token[at++] = (uint8_t) "0123456789abcdef"[positions.data[i] >> 4];
        token[at++] = (uint8_t) "0123456789abcdef"[positions.data[i] & 15];
    }
    json_out_key(out, "next");
    json_out_string(out, bytes_of(token, at));
}

void
audit_render_records(const struct reply *reply, struct json_out *out)
{
    struct audit_page page;
    struct audit_found found;
    struct cbor_reader r;

    if (audit_page_decode(reply->value, &page) != OK) {
        out->err = ERR_INTERNAL;
        return;
    }
    json_out_open(out, '{');
    json_out_key(out, "records");
    json_out_open(out, '[');
    if (page.found_count > 0)
        cbor_reader_init(&r, page.found);
    for (size_t i = 0; i < page.found_count; i++) {
        audit_found_get(&r, &found);
        put_record(&page, &found, out);
    }
    json_out_close(out, ']');
    put_missing(&page, out);
    put_next(page.next, out);
    json_out_close(out, '}');
}

void
audit_render_export(const struct reply *reply, struct json_out *out)
{
    char next[PAGE_TOKEN_BYTES];

    if (out->err == OK)
        out->err = buf_reserve(out->buf, 256 + reply->value.size + reply->value.size / 64);
    json_out_open(out, '{');
    json_out_key(out, "lines");
    json_out_string(out, reply->value);
    if (reply->has_next) {
        page_token_make(reply->version, next);
        json_out_key(out, "next");
        json_out_text(out, next);
    }
    json_out_close(out, '}');
}
