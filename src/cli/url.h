/*
 * Names and parameters in URLs.
 */
#ifndef OSTRAKA_CLI_URL_H
#define OSTRAKA_CLI_URL_H

#include "base/bytes.h"

/*
 * Appends the name with %XX for just those bytes that may not stand as they are in a path (RFC
 * 3986, section 3.3, and '/'): the server refuses escapes of what needs none. Errors: ERR_NOMEM.
 */
MUST_CHECK enum vault_err url_append_path(struct buf *out, struct bytes name);
/* Appends %XX for everything but unreserved characters: values of query parameters. */
MUST_CHECK enum vault_err url_append_query(struct buf *out, struct bytes value);

#endif
