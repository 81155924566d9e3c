#include "api/http_chunks.h"

enum { SIZE_DIGITS_MAX = 8 };

void
http_chunks_init(struct http_chunks *chunks)
{
    *chunks = (struct http_chunks){.state = HTTP_CHUNK_SIZE};
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static enum vault_err
size_byte(struct http_chunks *chunks, uint8_t c)
{
    int digit = hex_digit(c);

    if (c == '\r' && chunks->digits > 0) {
        chunks->state = HTTP_CHUNK_SIZE_LF;
        return OK;
    }
    if (digit < 0 || chunks->digits == SIZE_DIGITS_MAX)
        return ERR_BAD_REQUEST;
    chunks->digits++;
    chunks->left = chunks->left * 16 + (size_t)digit;
    return OK;
}

static enum vault_err
expect_byte(struct http_chunks *chunks, uint8_t c, uint8_t expected, enum http_chunk_state next)
{
    if (c != expected)
        return ERR_BAD_REQUEST;
    chunks->state = next;
    chunks->digits = 0;
    return OK;
}

static enum vault_err
size_done(struct http_chunks *chunks, uint8_t c, size_t room)
{
    enum http_chunk_state next = chunks->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_END_CR;

    if (chunks->left > room)
        return ERR_TOO_LARGE;
    return expect_byte(chunks, c, '\n', next);
}

static enum vault_err
frame_byte(struct http_chunks *chunks, uint8_t c, size_t room)
{
    switch (chunks->state) {
    case HTTP_CHUNK_SIZE: return size_byte(chunks, c);
    case HTTP_CHUNK_SIZE_LF: return size_done(chunks, c, room);
    case HTTP_CHUNK_DATA_CR: return expect_byte(chunks, c, '\r', HTTP_CHUNK_DATA_LF);
    case HTTP_CHUNK_DATA_LF: return expect_byte(chunks, c, '\n', HTTP_CHUNK_SIZE);
    case HTTP_CHUNK_END_CR: return expect_byte(chunks, c, '\r', HTTP_CHUNK_END_LF);
    case HTTP_CHUNK_END_LF: return expect_byte(chunks, c, '\n', HTTP_CHUNK_END);
    case HTTP_CHUNK_DATA:
    case HTTP_CHUNK_END: break;
    }
    return ERR_BAD_REQUEST;
}

static enum vault_err
take_data(struct http_chunks *chunks, struct bytes input, struct buf *body, size_t *used)
{
    size_t size = input.size < chunks->left ? input.size : chunks->left;
    enum vault_err err = buf_append(body, bytes_of(input.data, size));

    if (err != OK)
        return err;
    *used += size;
    chunks->left -= size;
    if (chunks->left == 0)
        chunks->state = HTTP_CHUNK_DATA_CR;
    return OK;
}

enum vault_err
http_chunks_feed(struct http_chunks *chunks, struct bytes input, size_t body_max, struct buf *body,
                 size_t *used, bool *end)
{
    enum vault_err err = OK;

    *used = 0;
    *end = false;
    while (err == OK && *used < input.size && chunks->state != HTTP_CHUNK_END) {
        if (chunks->state == HTTP_CHUNK_DATA) {
            err = take_data(chunks, bytes_of(input.data + *used, input.size - *used), body, used);
        } else {
            err = frame_byte(chunks, input.data[*used], body_max - body->size);
            (*used)++;
        }
    }
    *end = chunks->state == HTTP_CHUNK_END;
    return err;
}
