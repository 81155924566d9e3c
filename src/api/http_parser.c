/*
 * llhttp reads the request line and the headers and decides what they mean together (Connection,
 * Content-Length, Transfer-Encoding). It is lenient where leniency lets two programs read one
 * stream differently (folded lines, white space before the colon, and more in the non-strict
 * build), so three things are our own:
 *
 * - http_lines.c judges every byte of the head before llhttp sees it;
 * - http_head.c judges what the headers say together;
 * - http_chunks.c reads chunked bodies, without extensions or trailers.
 *
 * What llhttp and they must agree on is checked once more when the head is complete.
 */
#include "api/http.h"

#include <llhttp.h>

#include <stdlib.h>
#include <string.h>

#include "api/http_chunks.h"
#include "api/http_head.h"
#include "api/http_lines.h"

enum { HEAD_BYTES_KEPT = 2048 };

/* A part of the head, by offset: the head's buffer moves while it grows. */
struct span {
    size_t start, size;
};

struct span_pair {
    struct span name, value;
};

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_CHUNKS, PHASE_COMPLETE, PHASE_REFUSED };

struct http_parser {
    size_t body_max;
    llhttp_settings_t settings;
    llhttp_t llhttp;
    enum phase phase;
    enum vault_err err; /* PHASE_REFUSED: why */
    struct http_lines lines;
    struct http_chunks chunks;
    struct buf head;   /* the request line, all header lines and the empty line */
    const char *fed;   /* where the bytes that llhttp reads now begin ... */
    size_t fed_offset; /* ... and where they are in `head` */
    struct span target;
    struct span_pair spans[HEADERS_MAX];
    bool head_complete;
    uint64_t content_length;
    struct buf body;
    struct http_request request;
};

/* ---- llhttp's callbacks ---- */

static void
span_add(struct http_parser *parser, struct span *span, const char *at, size_t size)
{
    if (span->size == 0)
        span->start = parser->fed_offset + (size_t)(at - parser->fed);
    span->size += size;
}

static int
on_url(llhttp_t *llhttp, const char *at, size_t size)
{
    struct http_parser *parser = llhttp->data;

    span_add(parser, &parser->target, at, size);
    return 0;
}

static int
on_header_field(llhttp_t *llhttp, const char *at, size_t size)
{
    struct http_parser *parser = llhttp->data;

    if (parser->request.header_count == HEADERS_MAX) {
        parser->err = ERR_HEADERS_TOO_LARGE;
        return HPE_USER;
    }
    span_add(parser, &parser->spans[parser->request.header_count].name, at, size);
    return 0;
}

static int
on_header_value(llhttp_t *llhttp, const char *at, size_t size)
{
    struct http_parser *parser = llhttp->data;

    span_add(parser, &parser->spans[parser->request.header_count].value, at, size);
    return 0;
}

static int
on_header_value_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = llhttp->data;

    parser->request.header_count++;
    return 0;
}

/* The body is ours: llhttp stops here. */
static int
on_headers_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = llhttp->data;

    parser->head_complete = true;
    return HPE_PAUSED;
}

/* ---- life ---- */

static void
prepare(struct http_parser *parser)
{
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &parser->settings);
    parser->llhttp.data = parser;
    http_lines_init(&parser->lines);
    http_chunks_init(&parser->chunks);
    parser->phase = PHASE_HEAD;
    parser->err = OK;
    parser->head_complete = false;
    parser->content_length = 0;
    parser->target = (struct span){0};
    memset(parser->spans, 0, parser->request.header_count * sizeof parser->spans[0]);
    /* A header that was cut off has a span but is not counted yet. */
    if (parser->request.header_count < HEADERS_MAX)
        parser->spans[parser->request.header_count] = (struct span_pair){0};
    memset(&parser->request, 0, sizeof parser->request);
}

struct http_parser *
http_parser_new(size_t body_max)
{
    struct http_parser *parser = calloc(1, sizeof *parser);

    if (!parser)
        return NULL;
    parser->body_max = body_max;
    llhttp_settings_init(&parser->settings);
    parser->settings.on_url = on_url;
    parser->settings.on_header_field = on_header_field;
    parser->settings.on_header_value = on_header_value;
    parser->settings.on_header_value_complete = on_header_value_complete;
    parser->settings.on_headers_complete = on_headers_complete;
    prepare(parser);
    return parser;
}

void
http_parser_free(struct http_parser *parser)
{
    if (!parser)
        return;
    buf_close(&parser->head);
    buf_close(&parser->body);
    free(parser);
}

void
http_parser_reset(struct http_parser *parser)
{
    /* Heads are small and nearly alike: their memory stays. A body's goes back. */
    if (parser->head.capacity > HEAD_BYTES_KEPT)
        buf_close(&parser->head);
    else
        buf_consume(&parser->head, parser->head.size);
    buf_close(&parser->body);
    prepare(parser);
}

/* ---- the head as a whole ---- */

static struct bytes
span_bytes(const struct http_parser *parser, struct span span)
{
    return span.size > 0 ? bytes_of(parser->head.data + span.start, span.size) : (struct bytes){0};
}

static struct bytes
trimmed(struct bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_of(text.data + 1, text.size - 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

static enum http_method
method_of(const llhttp_t *llhttp)
{
    switch (llhttp->method) {
    case HTTP_GET: return HTTP_METHOD_GET;
    case HTTP_HEAD: return HTTP_METHOD_HEAD;
    case HTTP_POST: return HTTP_METHOD_POST;
    case HTTP_PUT: return HTTP_METHOD_PUT;
    case HTTP_PATCH: return HTTP_METHOD_PATCH;
    case HTTP_DELETE: return HTTP_METHOD_DELETE;
    default: return HTTP_METHOD_OTHER;
    }
}

static void
fill_request(struct http_parser *parser)
{
    struct http_request *request = &parser->request;

    request->method = method_of(&parser->llhttp);
    request->target = span_bytes(parser, parser->target);
    request->keep_alive = llhttp_should_keep_alive(&parser->llhttp) != 0;
    for (size_t i = 0; i < request->header_count; i++) {
        struct span name = parser->spans[i].name;

        for (size_t j = name.start; j < name.start + name.size; j++)
            if (parser->head.data[j] >= 'A' && parser->head.data[j] <= 'Z')
                parser->head.data[j] = (uint8_t)(parser->head.data[j] + ('a' - 'A'));
        request->headers[i].name = span_bytes(parser, name);
        request->headers[i].value = trimmed(span_bytes(parser, parser->spans[i].value));
    }
}

static enum vault_err
check_head(struct http_parser *parser, bool *chunked)
{
    struct http_request *request = &parser->request;
    enum vault_err err;

    *chunked = false;
    if (!bytes_equal(request->target, http_lines_target(&parser->lines, parser->head.data)))
        return ERR_BAD_REQUEST;
    if (request->header_count != parser->lines.header_count)
        return ERR_BAD_REQUEST;
    if (parser->llhttp.method == HTTP_CONNECT)
        return ERR_BAD_REQUEST;
    err =
        http_head_check(request, parser->llhttp.http_minor == 0, &parser->content_length, chunked);
    if (err != OK)
        return err;
    if (!*chunked && parser->content_length != parser->llhttp.content_length)
        return ERR_BAD_REQUEST;
    return parser->content_length > parser->body_max ? ERR_TOO_LARGE : OK;
}

/* ---- feeding ---- */

static enum http_progress
refuse(struct http_parser *parser, enum vault_err why, enum vault_err *err)
{
    parser->phase = PHASE_REFUSED;
    parser->err = why;
    parser->request.keep_alive = false;
    *err = why;
    return HTTP_REFUSED;
}

static enum http_progress
complete(struct http_parser *parser)
{
    parser->phase = PHASE_COMPLETE;
    parser->request.body = buf_bytes(&parser->body);
    return HTTP_COMPLETE;
}

static enum http_progress
finish_head(struct http_parser *parser, enum vault_err *err)
{
    bool chunked = false;
    enum vault_err why;

    if (!parser->head_complete)
        return refuse(parser, ERR_BAD_REQUEST, err);
    fill_request(parser);
    why = check_head(parser, &chunked);
    if (why != OK)
        return refuse(parser, why, err);
    if (!chunked && parser->content_length == 0)
        return complete(parser);
    parser->phase = chunked ? PHASE_CHUNKS : PHASE_BODY;
    return HTTP_HEADERS_DONE;
}

/* Gives llhttp the bytes from `offset` of the head on; true when it took them all. */
static bool
llhttp_takes(struct http_parser *parser, size_t offset, bool end)
{
    size_t size = parser->head.size - offset;
    llhttp_errno_t result;

    parser->fed = (const char *)parser->head.data + offset;
    parser->fed_offset = offset;
    result = llhttp_execute(&parser->llhttp, parser->fed, size);
    if (!end)
        return result == HPE_OK;
    return result == HPE_PAUSED && llhttp_get_error_pos(&parser->llhttp) == parser->fed + size;
}

/*
 * Also when a byte is refused, llhttp gets those before it: what a client is told must not depend
 * on how its bytes were cut into packets.
 */
static enum http_progress
feed_head(struct http_parser *parser, struct bytes input, size_t *used, enum vault_err *err)
{
    size_t offset = parser->head.size;
    bool end = false;
    enum vault_err why = http_lines_scan(&parser->lines, input, used, &end);
    size_t good = why == OK ? *used : *used - 1;

    if (buf_append(&parser->head, bytes_of(input.data, good)) != OK)
        return refuse(parser, ERR_NOMEM, err);
    if (good > 0 && !llhttp_takes(parser, offset, end))
        return refuse(parser, parser->err != OK ? parser->err : ERR_BAD_REQUEST, err);
    if (why != OK)
        return refuse(parser, why, err);
    return end ? finish_head(parser, err) : HTTP_NEED_MORE;
}

static enum http_progress
feed_body(struct http_parser *parser, struct bytes input, size_t *used, enum vault_err *err)
{
    size_t missing = (size_t)parser->content_length - parser->body.size;

    *used = input.size < missing ? input.size : missing;
    if (buf_append(&parser->body, bytes_of(input.data, *used)) != OK)
        return refuse(parser, ERR_NOMEM, err);
    parser->request.body = buf_bytes(&parser->body);
    return *used == missing ? complete(parser) : HTTP_NEED_MORE;
}

static enum http_progress
feed_chunks(struct http_parser *parser, struct bytes input, size_t *used, enum vault_err *err)
{
    bool end = false;
    enum vault_err why =
        http_chunks_feed(&parser->chunks, input, parser->body_max, &parser->body, used, &end);

    if (why != OK)
        return refuse(parser, why, err);
    parser->request.body = buf_bytes(&parser->body);
    return end ? complete(parser) : HTTP_NEED_MORE;
}

enum http_progress
http_parser_feed(struct http_parser *parser, struct bytes input, size_t *used, enum vault_err *err)
{
    *used = 0;
    *err = OK;
    switch (parser->phase) {
    case PHASE_COMPLETE: return HTTP_COMPLETE;
    case PHASE_REFUSED: *err = parser->err; return HTTP_REFUSED;
    case PHASE_HEAD:
    case PHASE_BODY:
    case PHASE_CHUNKS: break;
    }
    if (input.size == 0)
        return HTTP_NEED_MORE;
    if (parser->phase == PHASE_HEAD)
        return feed_head(parser, input, used, err);
    if (parser->phase == PHASE_BODY)
        return feed_body(parser, input, used, err);
    return feed_chunks(parser, input, used, err);
}

/* ---- answers ---- */

const struct http_request *
http_parser_request(const struct http_parser *parser)
{
    return &parser->request;
}

uint64_t
http_parser_content_length(const struct http_parser *parser)
{
    return parser->content_length;
}

bool
http_parser_started(const struct http_parser *parser)
{
    return parser->head.size > 0 || parser->phase != PHASE_HEAD;
}
