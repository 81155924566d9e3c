/*
 * What a node has of the secrets of a tenant, by name, as SCANNED carries it: a CBOR array of
 * entries, each an array of the struct's fields in order. Sorted by the bytes of the names, without
 * two of one name.
 */
#ifndef OSTRAKA_PROTO_NAMES_H
#define OSTRAKA_PROTO_NAMES_H

#include "proto/msg.h"

/* What the accepted head says. Wire values. */
enum listed_kind {
    LISTED_UNSURE = 0, /* it is just changing, or cannot be read: no answer for this name */
    LISTED_LIVE = 1,
    LISTED_NOTHING = 2, /* a tombstone or a void */
    LISTED_PENDING = 3, /* the record of a batch decides */
};

struct listed_name {
    struct bytes name;
    struct ballot ballot;      /* not none */
    enum accepted_state state; /* not ABSENT */
    enum listed_kind kind;
};

/*
 * Appends; `out` is as before on error. Errors: ERR_NOMEM, ERR_TOO_LARGE, ERR_RANGE what the
 * decoder would refuse.
 */
MUST_CHECK enum vault_err listed_names_encode(const struct listed_name *names, size_t count,
                                              struct buf *out);
/* Views are borrowed from `encoded`. Errors: ERR_MALFORMED, *count is 0 then. */
MUST_CHECK enum vault_err listed_names_decode(struct bytes encoded,
                                              struct listed_name out[static SCAN_NAMES_MAX],
                                              size_t *count);

#endif
