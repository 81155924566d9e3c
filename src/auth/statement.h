/*
 * Logins with a client certificate that every node can verify: the client signs, with the key of
 * its certificate, a statement of which tenant of which cluster it logs in to, and when.
 *
 *   "ostst1." base64url(payload) "." base64url(signature)
 *
 * The payload is CBOR, an array: 1, cluster id, tenant, time (milliseconds since 1970), nonce,
 * certificate (DER). Signed is a label and the payload: Ed25519, ECDSA P-256 with SHA-256 (r and
 * s), or RSASSA-PSS with SHA-256, as the certificate's key is.
 *
 * The certificate names the identity by the URI "urn:uuid:<id>" among its alternative names. What
 * is stolen of a statement is good for STATEMENT_AGE_MS_MAX, and for that cluster and tenant only.
 */
#ifndef OSTRAKA_AUTH_STATEMENT_H
#define OSTRAKA_AUTH_STATEMENT_H

#include "auth/record.h"
#include "auth/revocations.h"
#include "crypto/certificate.h"
#include "crypto/dealing.h"

#define STATEMENT_PREFIX "ostst1."

enum {
    STATEMENT_NONCE_BYTES = 16,
    STATEMENT_AGE_MS_MAX = 60 * 1000,
    STATEMENT_AHEAD_MS_MAX = 30 * 1000, /* clocks that differ */
    REVOKED_MAX = 256,
};

/* The authority whose client certificates a tenant trusts, and the serials that it revoked. */
struct client_authority {
    struct bytes certificate; /* DER; signs others */
    size_t revoked_count;
    struct bytes revoked[REVOKED_MAX]; /* 1..CERTIFICATE_SERIAL_BYTES_MAX, ascending */
    /* Of a record of its own: the list that this authority has signed, borrowed; NULL: none. */
    const struct revocations *revocations;
};
MUST_CHECK enum vault_err client_authority_encode(const struct client_authority *authority,
                                                  struct buf *out);
/* Views are borrowed. */
MUST_CHECK enum vault_err client_authority_decode(struct bytes encoded,
                                                  struct client_authority *out);

struct client_statement {
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    struct bytes tenant;
    uint64_t time_ms;
    uint8_t nonce[STATEMENT_NONCE_BYTES];
    struct bytes certificate;
};
/* What is to be signed: the label, then the payload, which begins at *payload_at. */
MUST_CHECK enum vault_err statement_to_sign(const struct client_statement *statement,
                                            struct buf *out, size_t *payload_at);
/* The text, of a payload and its signature. */
MUST_CHECK enum vault_err statement_text(struct bytes payload, struct bytes signature,
                                         struct buf *out);

enum statement_verdict {
    STATEMENT_VALID,
    STATEMENT_MALFORMED,
    STATEMENT_ELSEWHERE,   /* another cluster or tenant */
    STATEMENT_TIME,        /* too old, or of the future */
    STATEMENT_CERTIFICATE, /* not of the authority, not for clients, not valid now, of nobody */
    STATEMENT_REVOKED,
    STATEMENT_SIGNATURE,
    STATEMENT_REVOCATIONS_OLD, /* the next list is due */
};

/*
 * `authority` of that tenant. On STATEMENT_VALID `identity` is whom the
 * certificate names, else zero.
 */
enum statement_verdict statement_check(struct bytes text,
                                       const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                       struct bytes tenant,
                                       const struct client_authority *authority, uint64_t now_ms,
                                       uint8_t identity[static AUTH_UUID_BYTES]);

#endif
