/*
 * What a token may do with the records of tokens, whatever its policies say: look at its own, put
 * its end off as far as it allows itself, count a use of itself, make children of its own identity,
 * and remove itself and its descendants.
 */
#ifndef OSTRAKA_ACTORS_TOKEN_RIGHTS_H
#define OSTRAKA_ACTORS_TOKEN_RIGHTS_H

#include "actors/authority.h"
#include "auth/ticket.h"
#include "auth/token.h"

struct auth_record; /* auth_view.h */

/* The record of a token, as it is known here; NULL: none, *out is then zero. Views are borrowed. */
const struct auth_record *token_record_find(const struct membership *ms,
                                            const uint8_t accessor[static ACCESSOR_BYTES],
                                            struct token *out);
/* That of the token that somebody presents, whether or not it is valid. */
const struct auth_record *token_record_of(const struct membership *ms, struct bytes credential,
                                          struct token *out);
/* The record of a token is to be put, under the accessor that follows from the token's hash. */
bool token_record_put(struct path path, struct bytes value, struct token *out);
/* What no change of a token's record alters is the same. */
bool token_same_life(const struct token *a, const struct token *b);

/* `own`: the accessor of the token that asks; `value`: of a change. */
bool token_may(const struct membership *ms, uint64_t now_ms,
               const uint8_t own[static ACCESSOR_BYTES], struct path path,
               enum record_action action, struct bytes value);

#endif
