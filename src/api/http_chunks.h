/*
 * Chunked bodies (RFC 9112, section 7.1), strictly: no chunk extensions, no trailers, CR LF only,
 * sizes of at most 8 hexadecimal digits. Legitimate clients of this API need none of what is left
 * out, and each has been used to make two programs see different requests.
 */
#ifndef OSTRAKA_API_HTTP_CHUNKS_H
#define OSTRAKA_API_HTTP_CHUNKS_H

#include <stdbool.h>

#include "base/bytes.h"

enum http_chunk_state {
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_SIZE_LF,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_DATA_CR,
    HTTP_CHUNK_DATA_LF,
    HTTP_CHUNK_END_CR, /* after "0" CR LF: no trailer may come */
    HTTP_CHUNK_END_LF,
    HTTP_CHUNK_END,
};

struct http_chunks {
    enum http_chunk_state state;
    unsigned digits; /* of the size now read */
    size_t left;     /* size, then bytes of data that have not come */
};

void http_chunks_init(struct http_chunks *chunks);
/*
 * Appends the data in `input` to `body`. *used tells how much of the input was taken, *end whether
 * the body is complete. Errors: ERR_BAD_REQUEST, ERR_TOO_LARGE (as soon as a size says so),
 * ERR_NOMEM.
 */
MUST_CHECK enum vault_err http_chunks_feed(struct http_chunks *chunks, struct bytes input,
                                           size_t body_max, struct buf *body, size_t *used,
                                           bool *end);

#endif
