/*
 * A scripted history of batches, decided by a seed, and what the store must hold after each: batch
 * i of a seed is always the same, so a store that tells its sequence tells what it has to contain.
 * Some of the keys are of paths and of versions of paths, which lie beside each other in one of the
 * layouts (store/store_wt_layout.h).
 */
#ifndef OSTRAKA_TESTS_CRASH_HISTORY_H
#define OSTRAKA_TESTS_CRASH_HISTORY_H

#include "sim/prng.h"
#include "store/store.h"

enum {
    HISTORY_BATCHES = 200,
    HISTORY_CHANGES_MAX = 6,
    HISTORY_GROUPS = 8,
    HISTORY_SLOTS = 64, /* in groups of 8: a prefix delete takes a group */
    HISTORY_KEY_BYTES = 16,
    HISTORY_VALUE_BYTES_MAX = 48 * 1024,
};

struct history_batch {
    struct store_change changes[HISTORY_CHANGES_MAX]; /* point into what follows */
    size_t count;
    bool sync, checkpoint; /* behind it */
    unsigned slots[HISTORY_CHANGES_MAX];
    uint8_t keys[HISTORY_CHANGES_MAX][HISTORY_KEY_BYTES];
    uint8_t *values; /* of the heap */
};

void history_batch_make(uint64_t seed, uint64_t number, struct history_batch *out);
void history_batch_free(struct history_batch *batch);

/*
 * Compares everything in the store with what batches 1 to `sequence` leave. Returns false with a
 * sentence in `why`.
 */
bool history_check(uint64_t seed, uint64_t sequence, struct store *store, char *why,
                   size_t why_size);

#endif
