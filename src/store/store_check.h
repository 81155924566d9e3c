/*
 * What both stores check and share: the preconditions of a batch, the reserved key, and the range
 * of a scan.
 */
#ifndef OSTRAKA_STORE_STORE_CHECK_H
#define OSTRAKA_STORE_STORE_CHECK_H

#include <string.h>

#include "store/store.h"

/* Key of the row that holds the store's own sequence. */
struct bytes store_sequence_key(void);
bool store_key_is_reserved(struct bytes key);

/* Asserts that every change keeps to the bounds in store.h and leaves the reserved key alone. */
void store_changes_check(const struct store_change *changes, size_t count);
/*
 * Whether the batch may use three quarters of the room that is kept free: it can only shrink the
 * store, or records in the audit trail what is done without changing anything, so that reads go on.
 */
bool store_changes_may_use_reserve(const struct store_change *changes, size_t count);

/* A copy whose bytes may be changed; it borrows `out`. */
static inline struct bytes
store_key_copy(struct bytes key, uint8_t out[static KEY_BYTES_MAX])
{
    memcpy(out, key.data, key.size);
    return bytes_of(out, key.size);
}
bool store_key_begins(struct bytes key, struct bytes prefix);

/* Where a scan starts: at `key`, or behind it when `behind`. */
struct store_scan_start {
    struct bytes key;
    bool behind;
};
struct store_scan_start store_scan_start(struct bytes prefix, struct bytes after);

#endif
