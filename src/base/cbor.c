/*
 * The codec. Depth: an item inside of sixteen arrays or maps is accepted, a seventeenth is not,
 * so that cbor_skip needs a bounded stack whatever a peer sends.
 */
#include "base/cbor.h"

#include <assert.h>
#include <string.h>

#include "base/big_endian.h"

enum {
    DEPTH_MAX = 16,
    HEAD_MAX = 9, /* initial byte and eight bytes of argument */
    SIMPLE_FALSE = 20,
    SIMPLE_TRUE = 21,
    SIMPLE_NULL = 22,
};

/* UTF-8 */

/* Size of the sequence that starts with `first`, and the smallest code point it may stand for. */
static unsigned
utf8_sequence(uint8_t first, uint32_t *point, uint32_t *least)
{
    if (first < 0x80) {
        *point = first;
        *least = 0;
        return 1;
    }
    if (first >= 0xc0 && first < 0xe0) {
        *point = first & 0x1fu;
        *least = 0x80;
        return 2;
    }
    if (first >= 0xe0 && first < 0xf0) {
        *point = first & 0x0fu;
        *least = 0x800;
        return 3;
    }
    if (first >= 0xf0 && first < 0xf8) {
        *point = first & 0x07u;
        *least = 0x10000;
        return 4;
    }
    return 0;
}

/* How many bytes at the front are ASCII, in steps of eight. */
static size_t
ascii_prefix(struct bytes text)
{
    size_t i = 0;
    uint64_t word;

    for (; text.size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, text.data + i, sizeof(word));
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    return i;
}

bool
utf8_valid(struct bytes text)
{
    size_t i = ascii_prefix(text);

    while (i < text.size) {
        uint32_t point = 0, least = 0;
        unsigned size = utf8_sequence(text.data[i], &point, &least);

        if (size == 0 || size > text.size - i)
            return false;
        for (unsigned j = 1; j < size; j++) {
            if ((text.data[i + j] & 0xc0) != 0x80)
                return false;
            point = point << 6 | (text.data[i + j] & 0x3fu);
        }
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
        i += size;
    }
    return true;
}

/* Writer */

void
cbor_writer_init(struct cbor_writer *w, struct buf *buf)
{
    *w = (struct cbor_writer){.buf = buf, .err = OK};
}

static void
write_bytes(struct cbor_writer *w, struct bytes data)
{
    if (w->err == OK)
        w->err = buf_append(w->buf, data);
}

/* Byte by byte without a loop: compilers make one instruction of it. */
static void
put_u32(uint8_t *out, uint32_t number)
{
    out[0] = (uint8_t)(number >> 24);
    out[1] = (uint8_t)(number >> 16);
    out[2] = (uint8_t)(number >> 8);
    out[3] = (uint8_t)number;
}

static uint32_t
get_u32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* An argument that does not fit into the initial byte, behind it, in the shortest form. */
static size_t
write_argument(uint8_t *head, uint64_t argument)
{
    if (argument <= UINT8_MAX) {
        *head |= 24;
        head[1] = (uint8_t)argument;
        return 2;
    }
    if (argument <= UINT16_MAX) {
        *head |= 25;
        head[1] = (uint8_t)(argument >> 8);
        head[2] = (uint8_t)argument;
        return 3;
    }
    if (argument <= UINT32_MAX) {
        *head |= 26;
        put_u32(head + 1, (uint32_t)argument);
        return 5;
    }
    *head |= 27;
    big_endian_put(head + 1, argument);
    return 9;
}

/* Where there is no room, or the argument takes more than a byte. */
static void
write_long_head(struct cbor_writer *w, enum cbor_type type, uint64_t argument)
{
    uint8_t *head;

    w->err = buf_reserve(w->buf, HEAD_MAX);
    if (w->err != OK)
        return;
    head = w->buf->data + w->buf->size;
    *head = (uint8_t)((unsigned)type << 5);
    if (argument < 24) {
        *head |= (uint8_t)argument;
        w->buf->size++;
    } else {
        w->buf->size += write_argument(head, argument);
    }
}

/* Most are of one byte, small numbers and the counts of arrays, or of two, the sizes of hashes. */
static inline void
write_head(struct cbor_writer *w, enum cbor_type type, uint64_t argument)
{
    struct buf *buf = w->buf;
    unsigned initial = (unsigned)type << 5;

    if (w->err != OK)
        return;
    if (argument > UINT8_MAX || buf->capacity - buf->size < 2) {
        write_long_head(w, type, argument);
    } else if (argument < 24) {
        buf->data[buf->size++] = (uint8_t)(initial | (unsigned)argument);
    } else {
        buf->data[buf->size++] = (uint8_t)(initial | 24);
        buf->data[buf->size++] = (uint8_t)argument;
    }
}

void
cbor_put_uint(struct cbor_writer *w, uint64_t value)
{
    write_head(w, CBOR_UINT, value);
}

void
cbor_put_negative(struct cbor_writer *w, uint64_t n)
{
    write_head(w, CBOR_NEGATIVE, n);
}

void
cbor_put_bytes(struct cbor_writer *w, struct bytes value)
{
    write_head(w, CBOR_BYTES, value.size);
    write_bytes(w, value);
}

void
cbor_put_text(struct cbor_writer *w, struct bytes value)
{
    if (w->err == OK && !utf8_valid(value))
        w->err = ERR_MALFORMED;
    write_head(w, CBOR_TEXT, value.size);
    write_bytes(w, value);
}

void
cbor_put_array(struct cbor_writer *w, uint64_t count)
{
    write_head(w, CBOR_ARRAY, count);
}

void
cbor_put_map(struct cbor_writer *w, uint64_t pairs)
{
    write_head(w, CBOR_MAP, pairs);
}

void
cbor_put_bool(struct cbor_writer *w, bool value)
{
    write_head(w, CBOR_SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void
cbor_put_null(struct cbor_writer *w)
{
    write_head(w, CBOR_SIMPLE, SIMPLE_NULL);
}

/* Reader */

void
cbor_reader_init(struct cbor_reader *r, struct bytes input)
{
    *r = (struct cbor_reader){.at = input.data, .end = input.data, .err = OK};
    if (input.size > 0)
        r->end += input.size; /* not even zero may be added to NULL */
}

static size_t
left(const struct cbor_reader *r)
{
    return (size_t)(r->end - r->at);
}

static void
refuse(struct cbor_reader *r)
{
    if (r->err == OK)
        r->err = ERR_MALFORMED;
}

bool
cbor_peek(const struct cbor_reader *r, enum cbor_type *type)
{
    *type = CBOR_UINT;
    if (r->err != OK || left(r) == 0)
        return false;
    *type = (enum cbor_type)(*r->at >> 5);
    return true;
}

/* The argument after an initial byte: refused unless it is there whole and in its shortest form. */
static uint64_t
read_argument(struct cbor_reader *r, unsigned info)
{
    static const uint64_t least[4] = {24, UINT64_C(1) << 8, UINT64_C(1) << 16, UINT64_C(1) << 32};
    uint64_t argument;
    unsigned follow;

    if (info < 24)
        return info;
    if (info > 27) {
        refuse(r); /* reserved, or an indefinite length */
        return 0;
    }
    follow = 1u << (info - 24);
    if (left(r) < follow) {
        refuse(r);
        return 0;
    }
    if (follow == 1)
        argument = *r->at;
    else if (follow == 2)
        argument = (unsigned)r->at[0] << 8 | r->at[1];
    else
        argument = follow == 4 ? get_u32(r->at) : big_endian_get(r->at);
    r->at += follow;
    if (argument < least[info - 24]) {
        refuse(r);
        return 0;
    }
    return argument;
}

static uint64_t
read_head(struct cbor_reader *r, enum cbor_type *type)
{
    uint8_t initial;

    *type = CBOR_TAG;
    if (r->err != OK)
        return 0;
    if (left(r) == 0) {
        refuse(r);
        return 0;
    }
    initial = *r->at++;
    *type = (enum cbor_type)(initial >> 5);
    return read_argument(r, initial & 31u);
}

static uint64_t
read_long_expected(struct cbor_reader *r, enum cbor_type expected, uint64_t max)
{
    enum cbor_type type;
    uint64_t argument = read_head(r, &type);

    if (type != expected || argument > max)
        refuse(r);
    return r->err == OK ? argument : 0;
}

/*
 * The argument of an item that must be of type `expected` and at most `max`; 0 when refused. Most
 * are small numbers in the initial byte, or the sizes of ids and hashes in the next.
 */
static inline uint64_t
read_expected(struct cbor_reader *r, enum cbor_type expected, uint64_t max)
{
    if (r->err == OK && r->end - r->at >= 2) {
        unsigned info = r->at[0] - ((unsigned)expected << 5); /* at least 32: another type */
        if (info < 24 && info <= max) {
            r->at++;
            return info;
        }
        if (info == 24 && r->at[1] >= 24 && r->at[1] <= max) {
            r->at += 2;
            return r->at[-1];
        }
    }
    return read_long_expected(r, expected, max);
}

uint64_t
cbor_get_uint(struct cbor_reader *r)
{
    return read_expected(r, CBOR_UINT, UINT64_MAX);
}

uint64_t
cbor_get_uint_max(struct cbor_reader *r, uint64_t max)
{
    return read_expected(r, CBOR_UINT, max);
}

uint64_t
cbor_get_negative(struct cbor_reader *r)
{
    return read_expected(r, CBOR_NEGATIVE, UINT64_MAX);
}

static struct bytes
read_string(struct cbor_reader *r, enum cbor_type type, size_t size_max)
{
    uint64_t size = read_expected(r, type, size_max);
    struct bytes out;

    if (size > left(r))
        refuse(r);
    if (r->err != OK)
        return (struct bytes){0};
    out = bytes_of(r->at, (size_t)size);
    r->at += out.size;
    return out;
}

struct bytes
cbor_get_bytes(struct cbor_reader *r, size_t size_max)
{
    return read_string(r, CBOR_BYTES, size_max);
}

void
cbor_get_fixed(struct cbor_reader *r, uint8_t *out, size_t size)
{
    struct bytes found = read_string(r, CBOR_BYTES, size);

    if (found.size == size && size > 0) {
        memcpy(out, found.data, size);
        return;
    }
    memset(out, 0, size);
    if (found.size != size)
        refuse(r);
}

struct bytes
cbor_get_text(struct cbor_reader *r, size_t size_max)
{
    struct bytes text = read_string(r, CBOR_TEXT, size_max);

    if (utf8_valid(text))
        return text;
    refuse(r);
    return (struct bytes){0};
}

/* An item is a byte at least, so a count beyond what is left can never be true. */
uint64_t
cbor_get_array(struct cbor_reader *r, uint64_t count_max)
{
    uint64_t count = read_expected(r, CBOR_ARRAY, count_max);

    if (count > left(r)) {
        refuse(r);
        return 0;
    }
    return count;
}

uint64_t
cbor_get_map(struct cbor_reader *r, uint64_t pairs_max)
{
    uint64_t pairs = read_expected(r, CBOR_MAP, pairs_max);

    if (pairs > left(r) / 2) {
        refuse(r);
        return 0;
    }
    return pairs;
}

static void
read_simple(struct cbor_reader *r, unsigned least, unsigned most, unsigned *value)
{
    *value = (unsigned)read_expected(r, CBOR_SIMPLE, most);
    if (*value < least)
        refuse(r);
}

bool
cbor_get_bool(struct cbor_reader *r)
{
    unsigned value;

    read_simple(r, SIMPLE_FALSE, SIMPLE_TRUE, &value);
    return r->err == OK && value == SIMPLE_TRUE;
}

void
cbor_get_null(struct cbor_reader *r)
{
    unsigned value;

    read_simple(r, SIMPLE_NULL, SIMPLE_NULL, &value);
}

static void skip_item(struct cbor_reader *r, unsigned depth);

static void
skip_array(struct cbor_reader *r, unsigned depth)
{
    uint64_t count = cbor_get_array(r, UINT64_MAX);

    if (depth == DEPTH_MAX)
        refuse(r);
    for (uint64_t i = 0; i < count && r->err == OK; i++)
        skip_item(r, depth + 1);
}

static void
skip_map(struct cbor_reader *r, unsigned depth)
{
    uint64_t pairs = cbor_get_map(r, UINT64_MAX);
    struct bytes previous = {0};

    if (depth == DEPTH_MAX)
        refuse(r);
    for (uint64_t i = 0; i < pairs && r->err == OK; i++) {
        const uint8_t *start = r->at;
        struct bytes key;

        skip_item(r, depth + 1);
        key = bytes_of(start, (size_t)(r->at - start));
        if (i > 0 && bytes_compare(previous, key) >= 0)
            refuse(r);
        previous = key;
        skip_item(r, depth + 1);
    }
}

/* `depth` containers are around this item already. */
static void
skip_item(struct cbor_reader *r, unsigned depth)
{
    enum cbor_type type;
    unsigned value;

    assert(depth <= DEPTH_MAX);
    if (!cbor_peek(r, &type)) {
        refuse(r);
        return;
    }
    switch (type) {
    case CBOR_UINT: (void)cbor_get_uint(r); break;
    case CBOR_NEGATIVE: (void)cbor_get_negative(r); break;
    case CBOR_BYTES: (void)cbor_get_bytes(r, SIZE_MAX); break;
    case CBOR_TEXT: (void)cbor_get_text(r, SIZE_MAX); break;
    case CBOR_ARRAY: skip_array(r, depth); break;
    case CBOR_MAP: skip_map(r, depth); break;
    case CBOR_TAG: refuse(r); break;
    case CBOR_SIMPLE: read_simple(r, SIMPLE_FALSE, SIMPLE_NULL, &value); break;
    }
}

void
cbor_skip(struct cbor_reader *r)
{
    skip_item(r, 0);
}

enum vault_err
cbor_finish(const struct cbor_reader *r)
{
    if (r->err != OK)
        return r->err;
    return r->at == r->end ? OK : ERR_MALFORMED;
}
