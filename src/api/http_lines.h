/*
 * The line discipline of a request's head, byte by byte, before anything else looks at it: CR LF at
 * every end and nowhere else, no folded lines, a token right before each colon, no control
 * characters, a request line of exactly "METHOD SP origin-form SP HTTP/1.x", and all lengths within
 * base/limits.h.
 */
#ifndef OSTRAKA_API_HTTP_LINES_H
#define OSTRAKA_API_HTTP_LINES_H

#include <stdbool.h>

#include "base/bytes.h"

enum http_line_state {
    HTTP_LINE_METHOD,
    HTTP_LINE_TARGET,
    HTTP_LINE_VERSION,
    HTTP_LINE_NAME_FIRST, /* first byte of a header line, or the CR of the empty line */
    HTTP_LINE_NAME,
    HTTP_LINE_VALUE,
    HTTP_LINE_LF,     /* after the CR of a line */
    HTTP_LINE_END_LF, /* after the CR of the empty line */
    HTTP_LINE_END,
};

struct http_lines {
    enum http_line_state state;
    size_t offset;       /* bytes seen */
    size_t target_start; /* where the target begins */
    size_t target_size;
    size_t version_size;
    size_t header_bytes; /* bytes of header lines */
    size_t header_count;
};

void http_lines_init(struct http_lines *lines);
/*
 * Judges `input` up to and including the empty line; *used tells how much that is, *end whether it
 * came. Errors: ERR_BAD_REQUEST, ERR_HEADERS_TOO_LARGE.
 */
MUST_CHECK enum vault_err http_lines_scan(struct http_lines *lines, struct bytes input,
                                          size_t *used, bool *end);
/* The target, in a head that was scanned. */
struct bytes http_lines_target(const struct http_lines *lines, const uint8_t *head);

#endif
