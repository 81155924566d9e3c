/* JSON texts from outside, read strictly by jansson, whose other calls only look at the tree. */
#ifndef OSTRAKA_BASE_JSON_TEXT_H
#define OSTRAKA_BASE_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"

/*
 * Strict: no duplicate members (compared after their escapes are undone). U+0000 is permitted in
 * values, which are any bytes; jansson refuses it in member names.
 */
enum { JSON_TEXT_FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL };

/*
 * `text` as a tree that the caller must json_decref, or NULL and *err (ERR_BAD_JSON, ERR_NOMEM).
 * A raw NUL, which jansson 2.14 overlooks after a number, is refused before. `flags`:
 * JSON_TEXT_FLAGS or more.
 */
json_t *json_load_strict(struct bytes text, size_t flags, enum vault_err *err);

/*
 * Whether the text has at most so many objects and arrays, and commas between members. What has
 * more is refused before it is parsed: the tree of 2 MiB of "[[],[],[]..." would take some hundred
 * MiB.
 */
bool json_shape_within(struct bytes text, unsigned opened_max, unsigned commas_max);

#endif
