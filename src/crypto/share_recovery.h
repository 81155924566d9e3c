/*
 * Blinded share recovery: k helpers together give a receiver the value of a dealing's polynomial at
 * the receiver's own x, and nothing else.
 *
 * Helper j sends lambda_j * share_j, where lambda_j is its Lagrange weight for that x over the set
 * of helpers, XORed with one pad for each of the other helpers. The pad of two helpers comes from
 * the key that they have in common and is in both contributions, so the XOR of all k contributions
 * is the share, while any fewer of them are noise.
 *
 * A pad is bound to the dealing, the receiver and the whole set of helpers with the ids of their
 * keys. Pads used again with another set would let a receiver cancel them out differently and solve
 * for other shares than its own.
 */
#ifndef OSTRAKA_CRYPTO_SHARE_RECOVERY_H
#define OSTRAKA_CRYPTO_SHARE_RECOVERY_H

#include "crypto/dealing.h"

/* What receiver and helpers must agree on. */
struct recovery_terms {
    uint8_t dealing_id[DEALING_ID_BYTES];
    uint8_t receiver;               /* its x */
    uint64_t helpers;               /* bit j: the node with x = j + 1 */
    uint64_t key_ids[REPLICAS_MAX]; /* by x - 1: pair key of each helper; 0 for the others */
};

/* k distinct helpers among n, all with a key, none of them the receiver. */
bool recovery_terms_valid(const struct recovery_terms *terms, unsigned threshold, unsigned count);

/*
 * Contribution of helper x. `pair_keys` holds, by x - 1, the key that it has in common with each
 * other helper. `out` takes share.size bytes. Errors: ERR_RANGE x is not among the helpers, or the
 * share is too long or empty; ERR_NOMEM. `out` is zeroed on error.
 */
MUST_CHECK enum vault_err recovery_contribution(const struct recovery_terms *terms, uint8_t x,
                                                struct bytes share,
                                                const uint8_t pair_keys[REPLICAS_MAX][KEY_BYTES],
                                                uint8_t *out);
/* XORs one contribution into the sum of those that have come; equal sizes. */
void recovery_add(struct bytes contribution, uint8_t *sum);

#endif
