/*
 * The record of an authority's list of revoked client certificates (crypto/revocation_list.h): what
 * is needed of it to refuse logins. Of each serial number it has 8 bytes of a hash, so that a
 * thousand of them fit a record; that another one's are the same is as good as impossible, and would
 * refuse a login, not let one in.
 */
#ifndef OSTRAKA_AUTH_REVOCATIONS_H
#define OSTRAKA_AUTH_REVOCATIONS_H

#include "auth/record.h"
#include "crypto/hash.h"
#include "crypto/revocation_list.h"

enum { REVOCATIONS_MAX = 960, REVOCATION_MARK_BYTES = 8 };

struct revocations {
    uint8_t authority[HASH_BYTES]; /* certificate_authority_of(): whose list it is */
    struct bytes number;           /* of the list: never goes back */
    uint64_t this_update_ms;
    uint64_t next_update_ms; /* from then on nobody logs in with a certificate */
    struct bytes marks;      /* REVOCATION_MARK_BYTES each, ascending */
};

MUST_CHECK enum vault_err revocations_encode(const struct revocations *revocations,
                                             struct buf *out);
/* Views are borrowed. Errors: ERR_MALFORMED, *out is then zero. */
MUST_CHECK enum vault_err revocations_decode(struct bytes encoded, struct revocations *out);

/*
 * Of a list whose signature is good. The marks lie in `arena`, the number is the list's. Errors:
 * ERR_TOO_LARGE more than REVOCATIONS_MAX, ERR_NOMEM.
 */
MUST_CHECK enum vault_err revocations_of(const struct revocation_list *list,
                                         const uint8_t authority[static HASH_BYTES],
                                         struct arena *arena, struct revocations *out);
bool revocations_have(const struct revocations *revocations, struct bytes serial);
size_t revocations_count(const struct revocations *revocations);

#endif
