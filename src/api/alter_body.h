/* Bodies of changes without a new version: POST /v1/versions and PATCH /v1/metadata. */
#ifndef OSTRAKA_API_ALTER_BODY_H
#define OSTRAKA_API_ALTER_BODY_H

#include "proto/request.h"

/*
 * {"delete": [N], "undelete": [N], "destroy": [N], "expected_version": N}: at least one list, each
 * version once. Fills in `alteration`, in `arena`, and the expected version. Errors: ERR_BAD_JSON,
 * ERR_NOMEM.
 */
MUST_CHECK enum vault_err versions_body_parse(struct bytes body, struct arena *arena,
                                              struct request *request);
/*
 * {"custom_metadata": {"key": "value" or null}, "max_versions": N or null, "expires_at": "RFC 3339"
 * or null, "expires_in": seconds, "expected_version": N}: at least one of the first four. Errors as
 * above; ERR_TOO_LARGE too many pairs.
 */
MUST_CHECK enum vault_err metadata_body_parse(struct bytes body, struct arena *arena,
                                              struct request *request);

#endif
