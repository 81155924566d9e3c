/*
 * Request targets: which route, which name, which query parameters. Internal to api/.
 */
#ifndef OSTRAKA_API_TARGET_H
#define OSTRAKA_API_TARGET_H

#include "api/http.h"
#include "proto/request.h"

/*
 * Fills in request->routed, kind, name, and what the query says. The decoded name is allocated in
 * `arena`. *allow is set with ERR_METHOD only.
 *
 * Errors: ERR_BAD_REQUEST    not a path, or raw bytes that no target may have
 *         ERR_NO_ROUTE       no such resource
 *         ERR_METHOD         not with that method
 *         ERR_BAD_NAME       escapes or name not in the one permitted form
 *         ERR_BAD_PARAMETER  query
 *         ERR_NOMEM
 */
MUST_CHECK enum vault_err target_parse(const struct http_request *http, struct arena *arena,
                                       struct request *request, const char **allow);

/*
 * Query of a request whose kind is set. What the request keeps of it is in `arena`. Errors:
 * ERR_BAD_PARAMETER, ERR_NOMEM.
 */
MUST_CHECK enum vault_err query_parse(struct bytes query, struct arena *arena,
                                      struct request *request);

/* Value of a hex digit of either case, or -1. */
int hex_digit(uint8_t byte);
/* What may stand in a path segment unescaped (RFC 3986, pchar). */
bool uri_pchar(uint8_t byte);

/*
 * The opaque `next` of a page that ended before `version`, and back.
 */
enum { PAGE_TOKEN_BYTES = 18 }; /* with its NUL */
void page_token_make(uint64_t version, char out[static PAGE_TOKEN_BYTES]);
bool page_token_parse(struct bytes text, uint64_t *version);
/* The same of a page of names that ended with `name`. */
enum { NAME_TOKEN_BYTES_MAX = 1 + 2 * NAME_BYTES_MAX };
size_t name_token_make(struct bytes name, uint8_t out[static NAME_TOKEN_BYTES_MAX]);
bool name_token_parse(struct bytes text, uint8_t memory[static NAME_BYTES_MAX], struct bytes *name);

#endif
