#include "audit/export.h"

#include <string.h>

#include "crypto/base64.h"

static const char *const words[] = {
    [AUDIT_LINE_BEGIN] = "ostraka-audit", [AUDIT_LINE_CLUSTER] = "cluster",
    [AUDIT_LINE_NODE] = "node",           [AUDIT_LINE_KEY] = "key",
    [AUDIT_LINE_HEAD] = "head",           [AUDIT_LINE_MISSING] = "missing",
    [AUDIT_LINE_BLOCK] = "block",         [AUDIT_LINE_END] = "end",
};
enum { LINE_KINDS = sizeof words / sizeof words[0], HEAD_BYTES = 256, WORDS_MAX = 3 };

/* ---- reading ---- */

/* The words between single blanks. False: more than WORDS_MAX, or an empty one. */
static bool
split(struct bytes line, struct bytes out[static WORDS_MAX], size_t *count)
{
    size_t start = 0;

    *count = 0;
    for (size_t i = 0; i <= line.size; i++) {
        if (i < line.size && line.data[i] != ' ')
            continue;
        if (i == start || *count == WORDS_MAX)
            return false;
        out[(*count)++] = bytes_of(line.data + start, i - start);
        start = i + 1;
    }
    return true;
}

static bool
parse_node(struct bytes word, uint64_t *out)
{
    *out = word.size == 1 ? (uint64_t)(word.data[0] - '0') : NODES_MAX;
    return word.size == 1 && word.data[0] >= '0' && *out < NODES_MAX;
}

static bool
parse_hex(struct bytes word, uint8_t *out, size_t size)
{
    return word.size == 2 * size && hex_decode(word, out, size) == OK;
}

static bool
parse_base64(struct bytes word, uint8_t *out, size_t room, struct bytes *value)
{
    size_t size = 0;

    *value = (struct bytes){0};
    if (base64_decoded_size_max(word.size) > room || base64_decode(word, out, room, &size) != OK ||
        size == 0)
        return false;
    *value = bytes_of(out, size);
    return true;
}

static bool
parse_key(const struct bytes *word, size_t count, struct signing_public *out)
{
    uint8_t memory[SIGNING_PROOF_BYTES_MAX + 2];
    struct bytes proof;

    if (count != 3 || !parse_hex(word[1], out->key, sizeof(out->key)) ||
        !parse_base64(word[2], memory, sizeof(memory), &proof) || proof.size > sizeof(out->proof))
        return false;
    memcpy(out->proof, proof.data, proof.size);
    out->proof_size = proof.size;
    return true;
}

static bool
parse_head(const struct bytes *word, size_t count, struct audit_line *out)
{
    uint8_t encoded[HEAD_BYTES];
    struct bytes head;

    return count == 3 && parse_node(word[1], &out->node) &&
           parse_base64(word[2], encoded, sizeof(encoded), &head) &&
           audit_head_decode(head, &out->head) == OK;
}

static bool
parse_name(struct bytes word, struct bytes *out)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] <= 0x20 || word.data[i] > 0x7e)
            return false;
    }
    *out = word;
    return word.size > 0 && word.size <= NODE_NAME_BYTES_MAX;
}

static bool
parse_rest(const struct bytes *word, size_t count, uint8_t *memory, struct audit_line *out)
{
    switch (out->kind) {
    case AUDIT_LINE_BEGIN: return count == 2 && bytes_equal(word[1], bytes_of_text("1"));
    case AUDIT_LINE_CLUSTER:
        return count == 2 && parse_hex(word[1], out->cluster, CLUSTER_ID_BYTES);
    case AUDIT_LINE_NODE:
        return count == 3 && parse_node(word[1], &out->node) && parse_name(word[2], &out->name);
    case AUDIT_LINE_KEY: return parse_key(word, count, &out->key);
    case AUDIT_LINE_HEAD: return parse_head(word, count, out);
    case AUDIT_LINE_MISSING: return count == 2 && parse_node(word[1], &out->node);
    case AUDIT_LINE_BLOCK:
        return count == 2 &&
               parse_base64(word[1], memory, AUDIT_EXPORT_BLOCK_BYTES_MAX, &out->block);
    case AUDIT_LINE_END: return count == 1;
    }
    return false;
}

enum vault_err
audit_line_parse(struct bytes line, uint8_t *memory, struct audit_line *out)
{
    struct bytes word[WORDS_MAX] = {{0}};
    size_t count;

    memset(out, 0, sizeof(*out));
    if (line.size > AUDIT_EXPORT_LINE_BYTES_MAX || !split(line, word, &count))
        return ERR_MALFORMED;
    for (size_t i = 0; i < LINE_KINDS; i++) {
        if (!bytes_equal(word[0], bytes_of_text(words[i])))
            continue;
        out->kind = (enum audit_line_kind)i;
        if (parse_rest(word, count, memory, out))
            return OK;
    }
    memset(out, 0, sizeof(*out));
    return ERR_MALFORMED;
}

/* ---- writing ---- */

static enum vault_err
write_hex(struct bytes value, struct buf *out)
{
    enum vault_err err = OK;

    for (size_t i = 0; err == OK && i < value.size; i++)
        err = buf_printf(out, "%02x", value.data[i]);
    return err;
}

static enum vault_err
write_head(const struct audit_line *line, struct buf *out)
{
    struct buf head = {0};
    enum vault_err err = audit_head_encode(&line->head, &head);

    if (err == OK)
        err = buf_printf(out, " %u ", (unsigned)line->node);
    if (err == OK)
        err = base64_encode(buf_bytes(&head), out);
    buf_close(&head);
    return err;
}

static enum vault_err
write_key(const struct signing_public *key, struct buf *out)
{
    enum vault_err err = buf_append_text(out, " ");

    if (err == OK)
        err = write_hex(bytes_of(key->key, sizeof(key->key)), out);
    if (err == OK)
        err = buf_append_text(out, " ");
    return err == OK ? base64_encode(bytes_of(key->proof, key->proof_size), out) : err;
}

static enum vault_err
write_rest(const struct audit_line *line, struct buf *out)
{
    enum vault_err err;

    switch (line->kind) {
    case AUDIT_LINE_BEGIN: return buf_append_text(out, " 1");
    case AUDIT_LINE_CLUSTER:
        err = buf_append_text(out, " ");
        return err == OK ? write_hex(bytes_of(line->cluster, CLUSTER_ID_BYTES), out) : err;
    case AUDIT_LINE_NODE:
        return buf_printf(out, " %u %.*s", (unsigned)line->node, (int)line->name.size,
                          (const char *)line->name.data);
    case AUDIT_LINE_KEY: return write_key(&line->key, out);
    case AUDIT_LINE_HEAD: return write_head(line, out);
    case AUDIT_LINE_MISSING: return buf_printf(out, " %u", (unsigned)line->node);
    case AUDIT_LINE_BLOCK:
        err = buf_append_text(out, " ");
        return err == OK ? base64_encode(line->block, out) : err;
    case AUDIT_LINE_END: return OK;
    }
    return ERR_RANGE;
}

enum vault_err
audit_line_write(const struct audit_line *line, struct buf *out)
{
    size_t start = out->size;
    enum vault_err err = buf_append_text(out, words[line->kind]);

    if (err == OK)
        err = write_rest(line, out);
    if (err == OK)
        err = buf_append_text(out, "\n");
    if (err != OK)
        buf_truncate(out, start);
    return err;
}
