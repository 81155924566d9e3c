#include "api/http_lines.h"

#include <string.h>

#include "base/limits.h"

enum { METHOD_BYTES_MAX = 16 };

static const char VERSION[] = "HTTP/1.";

void
http_lines_init(struct http_lines *lines)
{
    *lines = (struct http_lines){.state = HTTP_LINE_METHOD};
}

/* RFC 9110, section 5.6.2 */
static bool
is_token_char(uint8_t c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static enum vault_err
method_byte(struct http_lines *lines, uint8_t c)
{
    if (c == ' ' && lines->offset > 0) {
        lines->state = HTTP_LINE_TARGET;
        lines->target_start = lines->offset + 1;
        return OK;
    }
    return c >= 'A' && c <= 'Z' && lines->offset < METHOD_BYTES_MAX ? OK : ERR_BAD_REQUEST;
}

/* Only the origin form: '/' first, visible ASCII, no fragment. */
static enum vault_err
target_byte(struct http_lines *lines, uint8_t c)
{
    if (c == ' ' && lines->target_size > 0) {
        lines->state = HTTP_LINE_VERSION;
        return OK;
    }
    if (c <= ' ' || c >= 0x7f || c == '#' || (lines->target_size == 0 && c != '/'))
        return ERR_BAD_REQUEST;
    if (lines->target_size == TARGET_BYTES_MAX)
        return ERR_HEADERS_TOO_LARGE;
    lines->target_size++;
    return OK;
}

static enum vault_err
version_byte(struct http_lines *lines, uint8_t c)
{
    size_t at = lines->version_size++;

    if (at < sizeof VERSION - 1)
        return c == (uint8_t)VERSION[at] ? OK : ERR_BAD_REQUEST;
    if (at == sizeof VERSION - 1)
        return c == '0' || c == '1' ? OK : ERR_BAD_REQUEST;
    if (c != '\r')
        return ERR_BAD_REQUEST;
    lines->state = HTTP_LINE_LF;
    return OK;
}

static enum vault_err
name_byte(struct http_lines *lines, uint8_t c)
{
    if (lines->state == HTTP_LINE_NAME_FIRST) {
        if (c == '\r') {
            lines->state = HTTP_LINE_END_LF;
            return OK;
        }
        if (lines->header_count == HEADERS_MAX)
            return ERR_HEADERS_TOO_LARGE;
        lines->header_count++;
        lines->state = HTTP_LINE_NAME;
    } else if (c == ':') {
        lines->state = HTTP_LINE_VALUE;
        return OK;
    }
    return is_token_char(c) ? OK : ERR_BAD_REQUEST;
}

/* Bytes above 0x7f are opaque (RFC 9110, section 5.5); whoever uses the value judges them. */
static enum vault_err
value_byte(struct http_lines *lines, uint8_t c)
{
    if (c == '\r') {
        lines->state = HTTP_LINE_LF;
        return OK;
    }
    return (c < ' ' && c != '\t') || c == 0x7f ? ERR_BAD_REQUEST : OK;
}

static enum vault_err
line_feed(struct http_lines *lines, uint8_t c)
{
    if (c != '\n')
        return ERR_BAD_REQUEST;
    lines->state = lines->state == HTTP_LINE_END_LF ? HTTP_LINE_END : HTTP_LINE_NAME_FIRST;
    return OK;
}

static enum vault_err
scan_byte(struct http_lines *lines, uint8_t c)
{
    switch (lines->state) {
    case HTTP_LINE_METHOD: return method_byte(lines, c);
    case HTTP_LINE_TARGET: return target_byte(lines, c);
    case HTTP_LINE_VERSION: return version_byte(lines, c);
    case HTTP_LINE_NAME_FIRST:
    case HTTP_LINE_NAME: return name_byte(lines, c);
    case HTTP_LINE_VALUE: return value_byte(lines, c);
    case HTTP_LINE_LF:
    case HTTP_LINE_END_LF: return line_feed(lines, c);
    case HTTP_LINE_END: break;
    }
    return ERR_BAD_REQUEST;
}

/* Whether the byte just judged belongs to a header line. */
static bool
in_header_line(const struct http_lines *lines)
{
    return lines->header_count > 0 && lines->state != HTTP_LINE_END_LF &&
           lines->state != HTTP_LINE_END;
}

/* What most names and values are made of; what else may be in them is judged byte by byte. */
static bool
is_plain(enum http_line_state state, uint8_t c)
{
    if (state == HTTP_LINE_VALUE)
        return c >= ' ' && c != 0x7f;
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/*
 * How many bytes, eight at a time, are those of a value for sure: neither below ' ' nor DEL. Tabs,
 * which are rare, are left to be judged.
 */
static size_t
plain_words(struct bytes input)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    uint64_t word;
    size_t size = 0;

    for (; input.size - size >= sizeof(word); size += sizeof(word)) {
        memcpy(&word, input.data + size, sizeof(word));
        uint64_t delete = word ^ ones * 0x7f; /* a byte of zero where it was */
        uint64_t low = (word - ones * 0x20) & ~word, none = (delete - ones) & ~delete;
        if (((low | none) & tops) != 0)
            break;
    }
    return size;
}

/* Takes the plain bytes that `input` begins with, as scan_byte() would one by one; how many. */
static size_t
take_plain(struct http_lines *lines, struct bytes input)
{
    enum http_line_state state = lines->state;
    size_t room = HEADER_BYTES_MAX - lines->header_bytes, size = 0;

    if (state != HTTP_LINE_NAME && state != HTTP_LINE_VALUE)
        return 0;
    if (state == HTTP_LINE_VALUE)
        size = plain_words(bytes_of(input.data, input.size < room ? input.size : room));
    while (size < input.size && size < room && is_plain(state, input.data[size]))
        size++;
    lines->offset += size;
    lines->header_bytes += size;
    return size;
}

enum vault_err
http_lines_scan(struct http_lines *lines, struct bytes input, size_t *used, bool *end)
{
    *used = 0;
    *end = false;
    while (*used < input.size && lines->state != HTTP_LINE_END) {
        *used += take_plain(lines, bytes_of(input.data + *used, input.size - *used));
        if (*used == input.size)
            break;
        enum vault_err err = scan_byte(lines, input.data[*used]);

        (*used)++;
        if (err != OK)
            return err;
        lines->offset++;
        if (in_header_line(lines) && ++lines->header_bytes > HEADER_BYTES_MAX)
            return ERR_HEADERS_TOO_LARGE;
    }
    *end = lines->state == HTTP_LINE_END;
    return OK;
}

struct bytes
http_lines_target(const struct http_lines *lines, const uint8_t *head)
{
    return bytes_of(head + lines->target_start, lines->target_size);
}
