/*
 * Targets of the calls on tenants, policies, identities and tokens. Internal to api/.
 */
#ifndef OSTRAKA_API_AUTH_TARGET_H
#define OSTRAKA_API_AUTH_TARGET_H

#include "api/http.h"
#include "proto/request.h"

/*
 * Fills in request->routed, kind, auth_op and name (the key, borrowed from `path`, in the one form
 * that such a key has). *allow is set with ERR_METHOD only.
 *
 * Errors: ERR_NO_ROUTE  no such resource
 *         ERR_METHOD    not with that method
 *         ERR_BAD_NAME  nothing can have that key
 */
MUST_CHECK enum vault_err auth_target_parse(struct bytes path, enum http_method method,
                                            struct request *request, const char **allow);
/* The request is a REQUEST_AUTH that comes with a body. */
bool auth_has_body(const struct request *request);

#endif
