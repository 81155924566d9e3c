/* JSON request bodies, by jansson. Internal to api/. */
#ifndef OSTRAKA_API_JSON_BODY_H
#define OSTRAKA_API_JSON_BODY_H

#include <jansson.h>

#include "base/json_text.h"
#include "proto/request.h"

enum { JSON_BODY_FLAGS = JSON_TEXT_FLAGS };

/*
 * Fills in value, encoding and expected_version of a CREATE or UPDATE from a body; the value is
 * allocated in `arena`. Errors: ERR_BAD_JSON, ERR_TOO_LARGE value, ERR_NOMEM.
 */
MUST_CHECK enum vault_err json_body_parse(struct bytes body, struct arena *arena,
                                          struct request *request);

/*
 * The body is an object of "value" and perhaps, after it, "encoding", strings of visible ASCII in
 * which nothing is escaped: views into it. Nearly all bodies are, and need no tree to be built.
 * Everything else, right or wrong, is for jansson to judge. `encoding` empty: none was given.
 */
bool json_body_is_plain(struct bytes body, struct bytes *value, struct bytes *encoding);

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
