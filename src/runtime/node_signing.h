/*
 * The bond between a node's signing key (crypto/signing.h) and its certificate: the key is derived
 * from the certificate's private key, and that key signs the public half. Keys on P-256 and other
 * curves of wolfCrypt (ECDSA), RSA up to 4096 bits and Ed25519; all with SHA-256 where a hash is
 * needed.
 */
#ifndef OSTRAKA_RUNTIME_NODE_SIGNING_H
#define OSTRAKA_RUNTIME_NODE_SIGNING_H

#include "crypto/signing.h"

/*
 * Reads the private key of the node's certificate (PEM) and makes the signing key with its proof.
 * `arena` must be open; the caller closes *out. Errors: ERR_CONFIG with a sentence in `why`,
 * ERR_BUSY, ERR_ENTROPY, ERR_NOMEM; *out is then empty.
 */
MUST_CHECK enum vault_err node_signing_load(const char *key_path,
                                            const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                            const char *node_name, struct secret_arena *arena,
                                            struct signing_key *out, char *why, size_t why_size);
/*
 * Whether the proof was made with the key of that certificate (DER), which must have been verified
 * and name that node. Errors: ERR_FORBIDDEN.
 */
MUST_CHECK enum vault_err node_signing_verify(struct bytes certificate,
                                              const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                              const char *node_name,
                                              const struct signing_public *key);

#endif
