/* JSON request bodies, by jansson. Internal to api/. */
#ifndef OSTRAKA_API_JSON_BODY_H
#define OSTRAKA_API_JSON_BODY_H

#include <jansson.h>

#include "proto/request.h"

/*
 * Strict: no duplicate members (compared after their escapes are undone). U+0000 is permitted in
 * values, which are any bytes; jansson refuses it in member names.
 */
enum { JSON_BODY_FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL };

/*
 * `text` as a tree that the caller must json_decref, or NULL and *err (ERR_BAD_JSON, ERR_NOMEM).
 * A raw NUL, which jansson 2.14 overlooks after a number, is refused before. `flags`:
 * JSON_BODY_FLAGS or more.
 */
json_t *json_load_strict(struct bytes text, size_t flags, enum vault_err *err);

/*
 * Fills in value, encoding and expected_version of a CREATE or UPDATE from a body; the value is
 * allocated in `arena`. Errors: ERR_BAD_JSON, ERR_TOO_LARGE value, ERR_NOMEM.
 */
MUST_CHECK enum vault_err json_body_parse(struct bytes body, struct arena *arena,
                                          struct request *request);

#endif
