/*
 * A Merkle tree over records, as RFC 6962 has it (leaves and inner nodes hashed with different
 * first bytes), with BLAKE2b-256. Only the frontier is kept: the roots of the perfect subtrees that
 * the leaves so far fall into, at most one of each height. Adding a leaf takes one hash on average
 * and one more; the root, as many as there are bits set in the size.
 */
#ifndef OSTRAKA_AUDIT_TREE_H
#define OSTRAKA_AUDIT_TREE_H

#include "crypto/hash.h"

enum { AUDIT_TREE_HEIGHTS = 48, AUDIT_TREE_BYTES_MAX = AUDIT_TREE_HEIGHTS * HASH_BYTES };

struct audit_tree {
    uint64_t size;                                 /* leaves */
    uint8_t peaks[AUDIT_TREE_HEIGHTS][HASH_BYTES]; /* [h] counts where bit h of size is set */
};

/* An all-zero tree is empty. The leaf is hashed. Errors: ERR_RANGE full. */
MUST_CHECK enum vault_err audit_tree_add(struct audit_tree *tree, struct bytes leaf);
/* Of the empty tree: all zero. */
void audit_tree_root(const struct audit_tree *tree, uint8_t out[static HASH_BYTES]);
bool audit_tree_equal(const struct audit_tree *a, const struct audit_tree *b);
/* The peaks that count, highest first; `out` has AUDIT_TREE_BYTES_MAX. Returns their bytes. */
size_t audit_tree_peaks(const struct audit_tree *tree, uint8_t *out);
/* Errors: ERR_MALFORMED not as many peaks as the size has bits. */
MUST_CHECK enum vault_err audit_tree_load(uint64_t size, struct bytes peaks,
                                          struct audit_tree *out);

#endif
