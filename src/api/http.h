/*
 * HTTP/1.1 requests as the parser hands them on: strict, whole, and free of I/O. runtime/https.c
 * feeds bytes in; tests and the fuzzer do the same.
 */
#ifndef OSTRAKA_API_HTTP_H
#define OSTRAKA_API_HTTP_H

#include "base/bytes.h"
#include "base/limits.h"

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_PUT,
    HTTP_METHOD_PATCH,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_OTHER
};

struct http_header {
    struct bytes name;  /* lower case */
    struct bytes value; /* without surrounding white space */
};

struct http_request {
    enum http_method method;
    struct bytes target; /* as sent: path, and query after '?' */
    struct http_header headers[HEADERS_MAX];
    size_t header_count;
    struct bytes body;
    bool keep_alive;
    bool expect_continue;
};

/* The only header of that (lower-case) name, or empty; *repeated tells of more than one. */
struct bytes http_header_get(const struct http_request *request, const char *name, bool *repeated);

struct http_parser;
enum http_progress { HTTP_NEED_MORE, HTTP_HEADERS_DONE, HTTP_COMPLETE, HTTP_REFUSED };

/* Memory: at most HEADER_BYTES_MAX + TARGET_BYTES_MAX + body_max and a little. NULL: no memory. */
struct http_parser *http_parser_new(size_t body_max);
void http_parser_free(struct http_parser *parser); /* wipes */
/*
 * Feeds bytes. *used tells how many were taken (fewer than given when a request is complete: the
 * rest belongs to the next). HTTP_HEADERS_DONE is returned once per request when a body follows
 * (for Expect: 100-continue and admission by Content-Length); feed on afterwards. HTTP_REFUSED:
 * *err tells why (ERR_BAD_REQUEST, ERR_HEADERS_TOO_LARGE, ERR_TOO_LARGE, ERR_LENGTH_REQUIRED); the
 * connection must be closed after the answer.
 */
enum http_progress http_parser_feed(struct http_parser *parser, struct bytes input, size_t *used,
                                    enum vault_err *err);
const struct http_request *http_parser_request(
    const struct http_parser *parser); /* valid after HEADERS_DONE and COMPLETE until reset */
uint64_t http_parser_content_length(const struct http_parser *parser); /* 0 when none */
bool http_parser_started(const struct http_parser *parser); /* some bytes of a request have come */
void
http_parser_reset(struct http_parser *parser); /* for the next request on the connection; wipes */

#endif
