#include "audit/block.h"

#include <string.h>

#include "audit/record.h"
#include "base/big_endian.h"

static const char head_use[] = "ostraka audit head 1";

enum { BLOCK_FORM = 1, BLOCK_FIELDS = 8, HEAD_FIELDS = 7 };

enum vault_err
audit_block_encode(const struct audit_block *block, struct buf *out)
{
    uint8_t peaks[AUDIT_TREE_BYTES_MAX];
    size_t peaks_size = audit_tree_peaks(&block->before, peaks), start = out->size;
    struct cbor_writer w;

    if (block->record_count == 0 || block->record_count > AUDIT_BLOCK_RECORDS_MAX)
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, BLOCK_FIELDS);
    cbor_put_uint(&w, BLOCK_FORM);
    cbor_put_bytes(&w, bytes_of(block->epoch, AUDIT_EPOCH_BYTES));
    cbor_put_uint(&w, block->number);
    cbor_put_bytes(&w, bytes_of(block->previous, HASH_BYTES));
    cbor_put_uint(&w, block->before.size);
    cbor_put_bytes(&w, bytes_of(peaks, peaks_size));
    cbor_put_uint(&w, block->time_ms);
    cbor_put_array(&w, block->record_count);
    if (w.err == OK)
        w.err = buf_append(out, block->records);
    if (w.err != OK)
        buf_truncate(out, start);
    return w.err;
}

static enum vault_err
read_records(struct cbor_reader *r, struct audit_block *out)
{
    const uint8_t *from;

    out->record_count = (size_t)cbor_get_array(r, AUDIT_BLOCK_RECORDS_MAX);
    from = r->at;
    for (size_t i = 0; r->err == OK && i < out->record_count; i++)
        (void)cbor_get_bytes(r, AUDIT_RECORD_BYTES_MAX);
    enum vault_err err = cbor_finish(r);
    if (err != OK || out->record_count == 0)
        return ERR_MALFORMED;
    out->records = bytes_of(from, (size_t)(r->at - from));
    return OK;
}

enum vault_err
audit_block_decode(struct bytes encoded, struct audit_block *out)
{
    struct cbor_reader r;
    struct bytes peaks;

    memset(out, 0, sizeof(*out));
    cbor_reader_init(&r, encoded);
    bool form = cbor_get_array(&r, BLOCK_FIELDS) == BLOCK_FIELDS;
    form = cbor_get_uint(&r) == BLOCK_FORM && form;
    cbor_get_fixed(&r, out->epoch, AUDIT_EPOCH_BYTES);
    out->number = cbor_get_uint(&r);
    cbor_get_fixed(&r, out->previous, HASH_BYTES);
    uint64_t size = cbor_get_uint(&r);
    peaks = cbor_get_bytes(&r, AUDIT_TREE_BYTES_MAX);
    out->time_ms = cbor_get_uint(&r);
    if (!form || r.err != OK || audit_tree_load(size, peaks, &out->before) != OK ||
        read_records(&r, out) != OK) {
        memset(out, 0, sizeof(*out));
        return ERR_MALFORMED;
    }
    return OK;
}

void
audit_block_hash(struct bytes encoded, uint8_t out[static HASH_BYTES])
{
    hash_bytes(encoded, out);
}

bool
audit_block_next(const struct audit_block *block, size_t *at, struct bytes *record)
{
    struct cbor_reader r;

    *record = (struct bytes){0};
    if (*at >= block->records.size)
        return false;
    cbor_reader_init(&r, bytes_of(block->records.data + *at, block->records.size - *at));
    *record = cbor_get_bytes(&r, AUDIT_RECORD_BYTES_MAX);
    *at = (size_t)(r.at - block->records.data);
    return r.err == OK;
}

enum vault_err
audit_block_after(const struct audit_block *block, struct audit_tree *out)
{
    enum vault_err err = OK;
    struct bytes record;
    size_t at = 0;

    *out = block->before;
    while (err == OK && audit_block_next(block, &at, &record))
        err = audit_tree_add(out, record);
    return err;
}

/* ---- heads ---- */

enum { HEAD_TEXT_BYTES = 8 + AUDIT_EPOCH_BYTES + 8 + HASH_BYTES + 8 + 8 };

static void
head_text(const struct audit_head *head, uint8_t out[static HEAD_TEXT_BYTES])
{
    big_endian_put(out, head->node);
    memcpy(out + 8, head->epoch, AUDIT_EPOCH_BYTES);
    big_endian_put(out + 8 + AUDIT_EPOCH_BYTES, head->size);
    memcpy(out + 16 + AUDIT_EPOCH_BYTES, head->root, HASH_BYTES);
    big_endian_put(out + 16 + AUDIT_EPOCH_BYTES + HASH_BYTES, head->time_ms);
    big_endian_put(out + 24 + AUDIT_EPOCH_BYTES + HASH_BYTES, head->kept_from);
}

void
audit_head_sign(struct audit_head *head, const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                const struct signing_key *key)
{
    uint8_t text[HEAD_TEXT_BYTES];
    const struct bytes parts[] = {bytes_of(cluster_id, CLUSTER_ID_BYTES),
                                  bytes_of(text, sizeof(text))};

    head_text(head, text);
    signing_sign(key, head_use, parts, 2, head->signature);
}

enum vault_err
audit_head_verify(const struct audit_head *head, const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                  const struct signing_keys *keys)
{
    uint8_t text[HEAD_TEXT_BYTES];
    const struct bytes parts[] = {bytes_of(cluster_id, CLUSTER_ID_BYTES),
                                  bytes_of(text, sizeof(text))};

    head_text(head, text);
    return signing_verify_any(keys, head_use, parts, 2, head->signature);
}

enum vault_err
audit_head_encode(const struct audit_head *head, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    cbor_writer_init(&w, out);
    cbor_put_array(&w, HEAD_FIELDS);
    cbor_put_uint(&w, head->node);
    cbor_put_bytes(&w, bytes_of(head->epoch, AUDIT_EPOCH_BYTES));
    cbor_put_uint(&w, head->size);
    cbor_put_bytes(&w, bytes_of(head->root, HASH_BYTES));
    cbor_put_uint(&w, head->time_ms);
    cbor_put_uint(&w, head->kept_from);
    cbor_put_bytes(&w, bytes_of(head->signature, SIGNATURE_BYTES));
    if (w.err != OK)
        buf_truncate(out, start);
    return w.err;
}

enum vault_err
audit_head_decode(struct bytes encoded, struct audit_head *out)
{
    struct cbor_reader r;

    memset(out, 0, sizeof(*out));
    cbor_reader_init(&r, encoded);
    bool form = cbor_get_array(&r, HEAD_FIELDS) == HEAD_FIELDS;
    out->node = cbor_get_uint(&r);
    cbor_get_fixed(&r, out->epoch, AUDIT_EPOCH_BYTES);
    out->size = cbor_get_uint(&r);
    cbor_get_fixed(&r, out->root, HASH_BYTES);
    out->time_ms = cbor_get_uint(&r);
    out->kept_from = cbor_get_uint(&r);
    cbor_get_fixed(&r, out->signature, SIGNATURE_BYTES);
    if (cbor_finish(&r) == OK && form)
        return OK;
    memset(out, 0, sizeof(*out));
    return ERR_MALFORMED;
}
