/* The body of POST /v1/env. Internal to api/. */
#ifndef OSTRAKA_API_ENV_BODY_H
#define OSTRAKA_API_ENV_BODY_H

#include "api/request_headers.h"

/*
 * Makes request->env of .env text, or of {"content", "values", "prefix", "mode"}, and tells in which
 * form the answer is wanted. Errors: ERR_MEDIA_TYPE, ERR_BAD_JSON, ERR_BAD_PARAMETER said twice,
 * ERR_TOO_LARGE, ERR_NOMEM; ERR_BAD_ENV: the plan has faults.
 */
MUST_CHECK enum vault_err env_body_parse(const struct http_request *http,
                                         const struct request_headers *headers, struct arena *arena,
                                         struct request *request);

#endif
