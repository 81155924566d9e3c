/*
 * Secrets that the vault gives out as text and knows again by a hash: access tokens ("ost_...") and
 * secret ids ("oss_..."). A prefix, then 32 random bytes and 4 bytes of check as base64url: a text
 * that was cut, or is something else, is refused before anything is looked up, and scanners of
 * source code can tell it. 36 bytes are 48 letters exactly, so that each has one text.
 */
#ifndef OSTRAKA_AUTH_TICKET_H
#define OSTRAKA_AUTH_TICKET_H

#include "crypto/hash.h"
#include "crypto/rng.h"

enum ticket_kind { TICKET_TOKEN, TICKET_SECRET_ID };

enum { TICKET_TEXT_BYTES = 4 + 48, ACCESSOR_BYTES = 16 };

/* Appends the text. Errors: ERR_ENTROPY, ERR_NOMEM */
MUST_CHECK enum vault_err ticket_make(enum ticket_kind kind, const struct rng *rng,
                                      struct buf *out);
/*
 * BLAKE2b-256 of a label and the random bytes; 256 random bits need no key and no salt. Errors:
 * ERR_MALFORMED, `out` is zeroed.
 */
MUST_CHECK enum vault_err ticket_hash(enum ticket_kind kind, struct bytes text,
                                      uint8_t out[static HASH_BYTES]);
/* Whether a text begins as one of that kind does: it can be nothing else. */
bool ticket_looks_like(enum ticket_kind kind, struct bytes text);
/*
 * The name by which a ticket is spoken of, and under which its record is kept: it follows from the
 * hash, and gives nothing of it away.
 */
void ticket_accessor(const uint8_t hash[static HASH_BYTES], uint8_t out[static ACCESSOR_BYTES]);

#endif
