/*
 * The HTTP parser on any bytes. The first byte seeds the sizes of the pieces in which the rest is
 * fed; the same bytes fed whole must give the same requests and the same end.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/http.h"
#include "fuzz.h"

enum { BODY_MAX = 4096 };

/* FNV-1a over what the parser said; two ways of feeding must agree. */
struct trace {
    uint64_t hash;
};

static void
trace_add(struct trace *trace, struct bytes data)
{
    for (size_t i = 0; i < data.size; i++)
        trace->hash = (trace->hash ^ data.data[i]) * 1099511628211u;
    trace->hash = (trace->hash ^ data.size ^ 0x100) * 1099511628211u;
}

static void
trace_request(struct trace *trace, const struct http_request *request)
{
    uint8_t flags[3] = {(uint8_t)request->method, request->keep_alive, request->expect_continue};

    assert(request->target.size >= 1);
    assert(request->target.size <= TARGET_BYTES_MAX);
    assert(request->target.data[0] == '/');
    assert(request->header_count <= HEADERS_MAX);
    assert(request->body.size <= BODY_MAX);
    trace_add(trace, bytes_of(flags, sizeof flags));
    trace_add(trace, request->target);
    for (size_t i = 0; i < request->header_count; i++) {
        assert(request->headers[i].name.size >= 1);
        trace_add(trace, request->headers[i].name);
        trace_add(trace, request->headers[i].value);
    }
    trace_add(trace, request->body);
}

static size_t
piece_size(uint32_t *seed, size_t left)
{
    size_t size;

    if (*seed == 0)
        return left;
    *seed = *seed * 1664525u + 1013904223u;
    size = 1 + (*seed >> 24) % ((*seed >> 16 & 7) == 0 ? 200 : 7);
    return size < left ? size : left;
}

/* seed 0: all at once. */
static uint64_t
run(const uint8_t *data, size_t size, uint32_t seed)
{
    struct http_parser *parser = http_parser_new(BODY_MAX);
    struct trace trace = {14695981039346656037u};
    enum http_progress progress = HTTP_NEED_MORE;
    enum vault_err err = OK;

    assert(parser);
    while (size > 0 && progress != HTTP_REFUSED) {
        size_t piece = piece_size(&seed, size), used;

        progress = http_parser_feed(parser, bytes_of(data, piece), &used, &err);
        assert(used <= piece);
        if (progress == HTTP_NEED_MORE)
            assert(used == piece);
        data += used;
        size -= used;
        if (progress == HTTP_COMPLETE) {
            trace_request(&trace, http_parser_request(parser));
            http_parser_reset(parser);
        }
    }
    trace_add(&trace, bytes_of(&err, sizeof err));
    http_parser_free(parser);
    return trace.hash;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (run(data + 1, size - 1, 0) != run(data + 1, size - 1, data[0] + 1u))
        abort();
    return 0;
}
