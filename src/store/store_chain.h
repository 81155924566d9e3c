/*
 * Where a store stands: how many batches it has taken, and a MAC that chains them:
 *
 *   MAC_i = keyed BLAKE2b-256(MAC_(i-1), i, opening, kinds and sizes of the changes of batch i),
 *   MAC_0 = zeros
 *
 * where the opening is a random number that is drawn each time a store is opened. Both are written in
 * the batch's own transaction. Two stores that stand at the same sequence with the same MAC have
 * taken the same batches, all of them and in the same order: copies of a store go different ways only
 * once at least one of them has been opened anew, and from its first batch on the MACs differ then,
 * whatever is in the batches. So the rows need not be hashed. Nobody without the key can make a store
 * that looks so.
 */
#ifndef OSTRAKA_STORE_STORE_CHAIN_H
#define OSTRAKA_STORE_STORE_CHAIN_H

#include "crypto/hash.h"
#include "store/store.h"

/* Value of the row that keeps it: sequence (8, big endian) | MAC. */
enum { STORE_MARK_BYTES = 8 + HASH_BYTES };

void store_mark_encode(const struct store_mark *mark, uint8_t out[static STORE_MARK_BYTES]);
/* Errors: ERR_CORRUPT size. */
MUST_CHECK enum vault_err store_mark_decode(struct bytes value, struct store_mark *out);

enum { STORE_OPENING_BYTES = 16 };

/* Where a store that stands at `before` stands after the batch. */
void store_mark_next(const uint8_t key[static KEY_BYTES],
                     const uint8_t opening[static STORE_OPENING_BYTES],
                     const struct store_mark *before, const struct store_change *changes,
                     size_t count, struct store_mark *out);

#endif
