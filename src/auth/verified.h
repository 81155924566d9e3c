/*
 * Which signed tokens have been verified: a signature that was good under an issuer's record is
 * good under that record for ever, so it need not be computed again for each of the many times that
 * one request is decided. Nothing but that is remembered: the record is looked up and the token's
 * claims and times are checked each time.
 *
 * A table of fixed size, in which a newer one takes the place of an older. Only tokens that were
 * good are in it, by hash.
 */
#ifndef OSTRAKA_AUTH_VERIFIED_H
#define OSTRAKA_AUTH_VERIFIED_H

#include "crypto/hash.h"

enum { VERIFIED_ENTRIES = 16384 };

struct verified {
    uint8_t entries[VERIFIED_ENTRIES][HASH_BYTES];
};

/* NULL: nothing is remembered. */
bool verified_has(const struct verified *verified, struct bytes record, struct bytes token);
void verified_add(struct verified *verified, struct bytes record, struct bytes token);

#endif
