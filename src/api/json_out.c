#include "api/json_out.h"

#include "base/cbor.h"
#include "base/instant.h"
#include "crypto/base64.h"

enum { U64_DIGITS_MAX = 20 };

void
json_out_init(struct json_out *out, struct buf *buf)
{
    *out = (struct json_out){.buf = buf, .err = OK};
}

static void
put(struct json_out *out, const void *data, size_t size)
{
    if (out->err == OK)
        out->err = buf_append(out->buf, bytes_of(data, size));
}

void
json_out_raw(struct json_out *out, const char *text)
{
    if (out->err == OK)
        out->err = buf_append_text(out->buf, text);
}

/*
 * What was written last tells whether a comma is due: nothing was, a bracket opened, or a key
 * ended.
 */
static void
separate(struct json_out *out)
{
    uint8_t last;

    if (out->err != OK || out->buf->size == 0)
        return;
    last = out->buf->data[out->buf->size - 1];
    if (last != '{' && last != '[' && last != ':')
        put(out, ",", 1);
}

void
json_out_open(struct json_out *out, char bracket)
{
    separate(out);
    put(out, &bracket, 1);
}

void
json_out_close(struct json_out *out, char bracket)
{
    put(out, &bracket, 1);
}

void
json_out_key(struct json_out *out, const char *key)
{
    separate(out);
    put(out, "\"", 1);
    json_out_raw(out, key);
    put(out, "\":", 2);
}

static void
put_escape(struct json_out *out, uint8_t byte)
{
    char escape[6] = {
        '\\', 'u', '0', '0', "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    char letter = '\0';

    switch (byte) {
    case '"': letter = '"'; break;
    case '\\': letter = '\\'; break;
    case '\b': letter = 'b'; break;
    case '\f': letter = 'f'; break;
    case '\n': letter = 'n'; break;
    case '\r': letter = 'r'; break;
    case '\t': letter = 't'; break;
    default: break;
    }
    if (letter != '\0')
        escape[1] = letter;
    put(out, escape, letter != '\0' ? 2 : sizeof escape);
    bytes_wipe(escape, sizeof escape);
}

void
json_out_string(struct json_out *out, struct bytes utf8)
{
    size_t run = 0; /* where the bytes begin that can go out as they are */

    if (!utf8_valid(utf8)) {
        if (out->err == OK)
            out->err = ERR_INTERNAL;
        return;
    }
    separate(out);
    put(out, "\"", 1);
    for (size_t i = 0; i < utf8.size; i++) {
        uint8_t byte = utf8.data[i];

        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        put(out, utf8.data + run, i - run);
        put_escape(out, byte);
        run = i + 1;
    }
    if (run < utf8.size)
        put(out, utf8.data + run, utf8.size - run);
    put(out, "\"", 1);
}

void
json_out_key_string(struct json_out *out, struct bytes key)
{
    json_out_string(out, key);
    put(out, ":", 1);
}

void
json_out_text(struct json_out *out, const char *text)
{
    json_out_string(out, bytes_of_text(text));
}

void
json_out_strings(struct json_out *out, const char *key, const struct bytes *utf8, size_t count)
{
    json_out_key(out, key);
    json_out_open(out, '[');
    for (size_t i = 0; i < count; i++)
        json_out_string(out, utf8[i]);
    json_out_close(out, ']');
}

void
json_out_base64(struct json_out *out, struct bytes value)
{
    separate(out);
    put(out, "\"", 1);
    if (out->err == OK)
        out->err = base64_encode(value, out->buf);
    put(out, "\"", 1);
}

static void
put_number(struct json_out *out, bool negative, uint64_t magnitude)
{
    char digits[U64_DIGITS_MAX + 1];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (negative)
        digits[--at] = '-';
    separate(out);
    put(out, digits + at, sizeof digits - at);
}

void
json_out_u64(struct json_out *out, uint64_t number)
{
    put_number(out, false, number);
}

void
json_out_i64(struct json_out *out, int64_t number)
{
    put_number(out, number < 0, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void
json_out_bool(struct json_out *out, bool value)
{
    separate(out);
    json_out_raw(out, value ? "true" : "false");
}

void
json_out_null(struct json_out *out)
{
    separate(out);
    json_out_raw(out, "null");
}

void
json_out_time(struct json_out *out, uint64_t wall_ms)
{
    char text[RFC3339_BYTES];

    rfc3339_format(wall_ms, text);
    json_out_text(out, text);
}
