/* The body of POST /v1/copy, and what the copies are called. */
#ifndef OSTRAKA_API_COPY_BODY_H
#define OSTRAKA_API_COPY_BODY_H

#include "proto/request.h"

/*
 * Takes {"from", "to", "recursive", "move"}; what is kept is in `arena`. Errors: ERR_BAD_JSON,
 * ERR_BAD_NAME one of the names, or a copy onto or into itself; ERR_TOO_LARGE, ERR_NOMEM.
 */
MUST_CHECK enum vault_err copy_body_parse(struct bytes body, struct arena *arena,
                                          struct request *request);

/* Of a recursive copy: what every name that is copied begins with. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err copy_prefix(const struct request *request, struct arena *arena,
                                      struct bytes *out);
/*
 * What the copy of `name` is called, which is `from`, or begins with copy_prefix(). Errors:
 * ERR_BAD_NAME it would be too long; ERR_NOMEM.
 */
MUST_CHECK enum vault_err copy_target(const struct request *request, struct bytes name,
                                      struct arena *arena, struct bytes *out);

#endif
