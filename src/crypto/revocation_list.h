/*
 * Lists of revoked certificates as authorities sign them (X.509 CRL version 2, RFC 5280 section 5),
 * as much of them as logins need: complete lists of one authority's own certificates. What says that
 * it is something else (delta lists, parts, lists for others) is marked critical, and all that is
 * critical and not known here is refused. No clock: whoever asks compares the times.
 */
#ifndef OSTRAKA_CRYPTO_REVOCATION_LIST_H
#define OSTRAKA_CRYPTO_REVOCATION_LIST_H

#include "crypto/verify.h"

enum { REVOCATION_NUMBER_BYTES_MAX = 20 };

/* Views are into the list's bytes. */
struct revocation_list {
    struct bytes issuer; /* name: what is in its SEQUENCE */
    uint64_t this_update_ms, next_update_ms;
    struct bytes number;  /* big endian, no leading zero; 0 is one byte */
    struct bytes entries; /* what is left of them, for revocation_list_next() */
    struct bytes signed_bytes, signature;
    enum signature_kind signed_as; /* P-256, RSA (PKCS #1 v1.5) or Ed25519, with SHA-256 */
};

/*
 * Takes a list in DER apart, all of it; nothing of it is believed yet. It must have a number and say
 * when the next one comes. Errors: ERR_MALFORMED, *out is then empty.
 */
MUST_CHECK enum vault_err revocation_list_read(struct bytes der, struct revocation_list *out);
/* The next serial number, as certificates have them (crypto/certificate.h); false: no more. */
bool revocation_list_next(struct revocation_list *list, struct bytes *serial);
/* Whether the authority (DER) is its issuer, may sign such lists, and has signed this one. */
bool revocation_list_signed_by(const struct revocation_list *list, struct bytes authority);
/* <0, 0, >0, of numbers as above. */
int revocation_number_compare(struct bytes a, struct bytes b);

#endif
