#include "runtime/der.h"

#include <string.h>
#include <time.h>

void
der_writer_init(struct der_writer *w, struct buf *buf)
{
    *w = (struct der_writer){.buf = buf};
}

static void
append(struct der_writer *w, struct bytes data)
{
    if (w->err == OK)
        w->err = buf_append(w->buf, data);
}

static void
append_byte(struct der_writer *w, unsigned value)
{
    const uint8_t byte = (uint8_t)value;

    append(w, bytes_of(&byte, 1));
}

size_t
der_begin(struct der_writer *w, unsigned tag)
{
    append_byte(w, tag);
    return w->err == OK ? w->buf->size : 0;
}

/* The length in its shortest form; certificates stay below 64 KiB. */
static size_t
encode_length(size_t size, uint8_t out[static 3])
{
    if (size < 0x80) {
        out[0] = (uint8_t)size;
        return 1;
    }
    if (size < 0x100) {
        out[0] = 0x81;
        out[1] = (uint8_t)size;
        return 2;
    }
    out[0] = 0x82;
    out[1] = (uint8_t)(size >> 8);
    out[2] = (uint8_t)(size & 0xff);
    return 3;
}

void
der_end(struct der_writer *w, size_t mark)
{
    uint8_t length[3];
    size_t content;
    size_t size;

    if (w->err != OK)
        return;
    content = w->buf->size - mark;
    if (content > 0xffff) {
        w->err = ERR_TOO_LARGE;
        return;
    }
    size = encode_length(content, length);
    append(w, bytes_of(length, size));
    if (w->err != OK)
        return;
    memmove(w->buf->data + mark + size, w->buf->data + mark, content);
    memcpy(w->buf->data + mark, length, size);
}

void
der_put(struct der_writer *w, unsigned tag, struct bytes content)
{
    size_t mark = der_begin(w, tag);

    append(w, content);
    der_end(w, mark);
}

void
der_put_raw(struct der_writer *w, struct bytes encoded)
{
    append(w, encoded);
}

void
der_put_true(struct der_writer *w)
{
    der_put(w, DER_BOOLEAN, bytes_of("\xff", 1));
}

void
der_put_uint(struct der_writer *w, uint8_t value)
{
    der_put(w, DER_INTEGER, bytes_of(&value, 1));
    if (value > 127 && w->err == OK)
        w->err = ERR_RANGE;
}

void
der_put_unsigned(struct der_writer *w, struct bytes big_endian)
{
    size_t mark = der_begin(w, DER_INTEGER);

    while (big_endian.size > 1 && big_endian.data[0] == 0) {
        big_endian.data++;
        big_endian.size--;
    }
    if (big_endian.size == 0 || big_endian.data[0] > 127)
        append_byte(w, 0);
    append(w, big_endian);
    der_end(w, mark);
}

void
der_put_bits(struct der_writer *w, struct bytes bits, uint8_t unused)
{
    size_t mark = der_begin(w, DER_BIT_STRING);

    append_byte(w, unused);
    append(w, bits);
    der_end(w, mark);
}

void
der_put_time(struct der_writer *w, int64_t unix_seconds)
{
    const int64_t year_2050 = 2524608000;
    const int64_t year_10000 = 253402300800;
    char text[32];
    time_t seconds = (time_t)unix_seconds;
    struct tm tm;

    if (unix_seconds < 0 || unix_seconds >= year_10000 || gmtime_r(&seconds, &tm) == NULL) {
        if (w->err == OK)
            w->err = ERR_RANGE;
        return;
    }
    strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
    if (unix_seconds < year_2050)
        der_put(w, DER_UTC_TIME, bytes_of_text(text + 2)); /* a year of two digits */
    else
        der_put(w, DER_GENERALIZED_TIME, bytes_of_text(text));
}
