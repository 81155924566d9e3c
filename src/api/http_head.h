/*
 * What the headers of a request mean together, beyond the form of each line: whom it is for, how
 * long its body is, and what it expects.
 */
#ifndef OSTRAKA_API_HTTP_HEAD_H
#define OSTRAKA_API_HTTP_HEAD_H

#include "api/http.h"

/*
 * Checks Host, Upgrade, Content-Length, Transfer-Encoding and Expect; sets
 * request->expect_continue. *content_length is 0 when there is none; then *chunked tells whether
 * there is a body all the same. Errors: ERR_BAD_REQUEST, ERR_TOO_LARGE (a length beyond 32 bits).
 */
MUST_CHECK enum vault_err http_head_check(struct http_request *request, bool http_1_0,
                                          uint64_t *content_length, bool *chunked);

#endif
