/*
 * What a node has of the paths of a leaf, as ENTRIES carries it: a CBOR array of entries, each an
 * array of the struct's fields in order. Sorted by the key of the path, without two of one path.
 */
#ifndef OSTRAKA_PROTO_ENTRIES_H
#define OSTRAKA_PROTO_ENTRIES_H

#include "proto/msg.h"

struct path_entry {
    struct path path;
    enum accepted_state state; /* ACCEPTED or CHOSEN */
    uint8_t head_id[ID_BYTES];
    struct ballot ballot;
    bool settling; /* touched a moment ago, or not to be read: no reason for anything */
};

/* Order of the keys of two paths. */
int path_compare(struct path a, struct path b);

/*
 * Appends; `out` is as before on error. Errors: ERR_NOMEM, ERR_TOO_LARGE, ERR_RANGE what the
 * decoder would refuse.
 */
MUST_CHECK enum vault_err path_entries_encode(const struct path_entry *entries, size_t count,
                                              struct buf *out);
/* Views are borrowed from `encoded`. Errors: ERR_MALFORMED, *count is 0 then. */
MUST_CHECK enum vault_err
path_entries_decode(struct bytes encoded, struct path_entry out[static ENTRIES_MAX], size_t *count);

#endif
