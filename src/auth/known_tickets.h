/*
 * Tokens that were presented lately, with what follows from their text: hash and accessor. One
 * request is decided about ten times by its nodes, and each time the text would be decoded and
 * hashed three times over, which took half of the instructions of a read.
 *
 * A text is known again by a short keyed hash, 128 bits under a key that nobody else has. What is
 * remembered is what the token's record holds, too, and says nothing of the text; and nothing of
 * what the token may do: its record is looked up each time. Only tokens that have one are in it.
 *
 * A table of fixed size, in which a newer one takes the place of an older.
 */
#ifndef OSTRAKA_AUTH_KNOWN_TICKETS_H
#define OSTRAKA_AUTH_KNOWN_TICKETS_H

#include "auth/ticket.h"

enum { KNOWN_TICKETS = 8192 };

struct known_tickets;

/* `key`: random. Errors: ERR_NOMEM, *out is then NULL. */
MUST_CHECK enum vault_err known_tickets_new(const uint8_t key[static SHORT_HASH_BYTES],
                                            struct known_tickets **out);
void known_tickets_free(struct known_tickets *known); /* NULL is fine */

/*
 * ticket_hash() and ticket_accessor() of a token; *was_known: without computing them. `known` may
 * be NULL. Errors: ERR_MALFORMED, the others are then zeroed.
 */
MUST_CHECK enum vault_err known_tickets_hash(const struct known_tickets *known, struct bytes text,
                                             uint8_t hash[static HASH_BYTES],
                                             uint8_t accessor[static ACCESSOR_BYTES],
                                             bool *was_known);
/* That text has that hash, and there is a token of it. `known` may be NULL. */
void known_tickets_add(struct known_tickets *known, struct bytes text,
                       const uint8_t hash[static HASH_BYTES],
                       const uint8_t accessor[static ACCESSOR_BYTES]);

#endif
