/*
 * Blocks and tree heads of a node's audit trail.
 *
 * A block holds the records of a moment, in order. It names its epoch, its number, the hash of the
 * block before it and the frontier of the tree before its first record: so what is left of a trail
 * whose beginning was dropped can still be judged, since whatever follows depends on it.
 *
 * An epoch begins with an empty tree: with a new store, and with a new incarnation of one.
 *
 * A head says how large the tree was and what its root was, signed by the node. Peers keep the heads
 * that they are told: to deny a record afterwards, all of them would have to help.
 */
#ifndef OSTRAKA_AUDIT_BLOCK_H
#define OSTRAKA_AUDIT_BLOCK_H

#include "audit/tree.h"
#include "base/limits.h"
#include "crypto/signing.h"

enum {
    AUDIT_EPOCH_BYTES = 16,
    AUDIT_BLOCK_RECORDS_MAX = 4096,
    AUDIT_BLOCK_BYTES_MAX = 512 * 1024, /* of records in one block */
};

struct audit_block {
    uint8_t epoch[AUDIT_EPOCH_BYTES];
    uint64_t number; /* goes on through the epochs of a store */
    uint8_t previous[HASH_BYTES];
    struct audit_tree before;
    uint64_t time_ms;
    size_t record_count;
    struct bytes records; /* the encoded records, each a CBOR byte string; borrowed */
};

/* Appends. `records` is CBOR byte strings, one after the other. Errors: ERR_NOMEM, ERR_RANGE. */
MUST_CHECK enum vault_err audit_block_encode(const struct audit_block *block, struct buf *out);
/* Errors: ERR_MALFORMED; *out is all zero then. */
MUST_CHECK enum vault_err audit_block_decode(struct bytes encoded, struct audit_block *out);
void audit_block_hash(struct bytes encoded, uint8_t out[static HASH_BYTES]);
/* The records of a block in order: false at the end. `at` begins as 0. */
bool audit_block_next(const struct audit_block *block, size_t *at, struct bytes *record);
/* The tree after the block. Errors: ERR_RANGE. */
MUST_CHECK enum vault_err audit_block_after(const struct audit_block *block,
                                            struct audit_tree *out);

struct audit_head {
    uint64_t node;
    uint8_t epoch[AUDIT_EPOCH_BYTES];
    uint64_t size;
    uint8_t root[HASH_BYTES];
    uint64_t time_ms;
    uint64_t kept_from; /* number of the oldest block that the node still keeps: retention */
    uint8_t signature[SIGNATURE_BYTES];
    /* Not encoded; the verifier's. */
    uint64_t kept_by; /* the node that keeps it */
    bool met;         /* its epoch was seen */
};

void audit_head_sign(struct audit_head *head, const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                     const struct signing_key *key);
/* Errors: ERR_CORRUPT. */
MUST_CHECK enum vault_err audit_head_verify(const struct audit_head *head,
                                            const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                            const struct signing_keys *keys);
MUST_CHECK enum vault_err audit_head_encode(const struct audit_head *head, struct buf *out);
MUST_CHECK enum vault_err audit_head_decode(struct bytes encoded, struct audit_head *out);

#endif
