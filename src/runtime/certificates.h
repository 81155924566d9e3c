/*
 * Issuing: the CA of a cluster and the certificates of its nodes (X.509 v3, RFC 5280; ECDSA P-256
 * with SHA-256).
 *
 * The keys and signatures are wolfCrypt's. The certificates themselves are written with
 * runtime/der.h: wolfCrypt's own writer cannot mark basicConstraints as critical, which RFC 5280
 * demands of a CA and strict clients check.
 */
#ifndef OSTRAKA_RUNTIME_CERTIFICATES_H
#define OSTRAKA_RUNTIME_CERTIFICATES_H

#include "base/limits.h"
#include "crypto/certificate.h"
#include "crypto/dealing.h"
#include "crypto/rng.h"

enum { CERTIFICATE_YEARS = 10 };

/*
 * Bytes of "ostraka://<cluster id in hex>/<node name>" and its NUL: the URI SAN by which a node is
 * known.
 */
enum { NODE_URI_BYTES = sizeof("ostraka://") + 2 * CLUSTER_ID_BYTES + 1 + NODE_NAME_BYTES_MAX };
void node_uri(const uint8_t cluster_id[static CLUSTER_ID_BYTES], const char *node_name,
              char out[static NODE_URI_BYTES]);

/* The cluster whose CA that certificate (DER) is, as it says of itself. False: of none. */
bool certificate_cluster_id(struct bytes ca, uint8_t out[static CLUSTER_ID_BYTES]);

struct certificate_authority;

/*
 * Makes a CA with a new key, valid from an hour before `now` (for clocks that differ) for
 * CERTIFICATE_YEARS.
 *
 * now   seconds since 1970.
 *
 * Errors: ERR_ENTROPY, ERR_NOMEM, ERR_RANGE (a time beyond the year 9999), ERR_INTERNAL (wolfCrypt
 * failed).
 */
MUST_CHECK enum vault_err
certificate_authority_new(const uint8_t cluster_id[static CLUSTER_ID_BYTES], int64_t now,
                          const struct rng *rng, struct certificate_authority **out);
void certificate_authority_free(struct certificate_authority *ca); /* wipes; NULL is fine */

/*
 * A CA from what certificate_authority_export() wrote. Of several certificates the first that
 * belongs to the key counts. Errors: ERR_CONFIG (the key is none on P-256, or no certificate of it is
 * a CA's that names its cluster), ERR_NOMEM, ERR_INTERNAL.
 */
MUST_CHECK enum vault_err certificate_authority_open(struct bytes certificates, struct bytes key,
                                                     struct certificate_authority **out);
/*
 * Another certificate for the same name and key, for CERTIFICATE_YEARS from `now`: whatever the CA
 * has signed verifies with the old and the new one alike. Errors as of certificate_authority_new();
 * the CA is then as it was.
 */
MUST_CHECK enum vault_err certificate_authority_renew(struct certificate_authority *ca, int64_t now,
                                                      const struct rng *rng);
struct certificate_authority_facts {
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    int64_t not_before, not_after; /* seconds since 1970 */
    struct bytes certificate;      /* DER, of the CA: borrowed */
};
void certificate_authority_tell(const struct certificate_authority *ca,
                                struct certificate_authority_facts *out);

/*
 * The certificate and the private key (PKCS #8) as PEM, appended. The buffers are the caller's to
 * close, after an error too.
 */
MUST_CHECK enum vault_err certificate_authority_export(const struct certificate_authority *ca,
                                                       struct buf *certificate, struct buf *key);

struct certificate_request {
    const char *node_name;
    const char *host; /* an address becomes an IP SAN, a name a DNS SAN, beside the local ones */
    int64_t now;      /* seconds since 1970; valid from an hour before */
    unsigned days;    /* 0: CERTIFICATE_YEARS, and never longer than the CA */
};
/* When a certificate that is asked for so will end, by a CA that ends then; seconds since 1970. */
int64_t certificate_ends(const struct certificate_request *request, int64_t ca_ends);

/*
 * A node's certificate, for server and client use, with a new key: the URI of the node, its host,
 * localhost and 127.0.0.1 as alternative names. Buffers and errors as above.
 */
MUST_CHECK enum vault_err certificate_issue(const struct certificate_authority *ca,
                                            const struct certificate_request *request,
                                            const struct rng *rng, struct buf *certificate,
                                            struct buf *key);

/*
 * The same for the key of a certificate that the node has. `certificate` is appended to. Errors as
 * above, and ERR_CONFIG for a key that is not on P-256.
 */
MUST_CHECK enum vault_err certificate_issue_again(const struct certificate_authority *ca,
                                                  const struct certificate_request *request,
                                                  const struct certificate *old,
                                                  const struct rng *rng, struct buf *certificate);

#endif
