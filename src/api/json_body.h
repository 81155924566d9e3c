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
 * Whether the text has at most so many objects and arrays, and commas between members. What has
 * more is refused before it is parsed: the tree of 2 MiB of "[[],[],[]..." would take some hundred
 * MiB.
 */
bool json_shape_within(struct bytes text, unsigned opened_max, unsigned commas_max);

/*
 * Fills in value, encoding and expected_version of a CREATE or UPDATE from a body; the value is
 * allocated in `arena`. Errors: ERR_BAD_JSON, ERR_TOO_LARGE value, ERR_NOMEM.
 */
MUST_CHECK enum vault_err json_body_parse(struct bytes body, struct arena *arena,
                                          struct request *request);

/*
 * "value" and "encoding" as they are in every body: into value and encoding of `request`. Errors as
 * json_body_parse.
 */
MUST_CHECK enum vault_err json_value_take(const json_t *value, const json_t *encoding,
                                          struct arena *arena, struct request *request);

/*
 * Fills in the items of a BATCH from {"read": [{"name", "version"}]}, in `arena`, or of a
 * BATCH_CREATE (then the kind is set, too) from {"create": [{"name", "value", "encoding"}]}.
 * Errors: ERR_BAD_JSON, ERR_BAD_NAME, ERR_TOO_LARGE too many or too much, ERR_NOMEM.
 */
MUST_CHECK enum vault_err batch_body_parse(struct bytes body, struct arena *arena,
                                           struct request *request);

#endif
