/*
 * Several versions of a secret made by one change: the latest travels as that of any change does,
 * and those before it in one byte string beside it. docs/protocol.md, "Several updates at once".
 */
#ifndef OSTRAKA_PROTO_GROUP_H
#define OSTRAKA_PROTO_GROUP_H

#include "base/bytes.h"
#include "proto/head.h"

enum {
    GROUP_EARLIER_MAX = GROUP_VERSIONS_MAX - 1,
    GROUP_PART_BYTES_MAX =
        GROUP_VALUE_BYTES_MAX + 4096, /* a dealing, with whatever belongs to it */
    GROUP_BYTES_MAX =
        9 + GROUP_EARLIER_MAX * (3 * 9 + VERSION_BYTES_MAX + 2 * GROUP_PART_BYTES_MAX),
};

/* A version with its dealing, as they were encoded. */
struct group_part {
    struct bytes version, dealing, boxes;
};

/* What was found in them. Views are those of the parts. */
struct group_version {
    struct group_part part;
    struct version_record record;
    uint8_t id[ID_BYTES];
    struct dealing decoded;
};
struct group {
    struct group_version *versions; /* before the latest, oldest first */
    size_t count;
};

/* Errors: ERR_NOMEM, ERR_TOO_LARGE. */
MUST_CHECK enum vault_err group_encode(const struct group_part *parts, size_t count,
                                       struct buf *out);
/* One byte string of what is there of each, whether it belongs together or not. */
MUST_CHECK enum vault_err group_split(struct bytes encoded, struct group_part *parts,
                                      size_t parts_max, size_t *count);
/*
 * Strict: they are those that the head names, each built on the one before and the latest on the
 * last, of the same author, operation and incarnation, each later than the one before, each with
 * the dealing that it names. What is decoded lies in the arena. Errors: ERR_NOMEM, ERR_MALFORMED.
 */
MUST_CHECK enum vault_err group_decode(const struct head *head, const struct version_record *latest,
                                       struct bytes encoded, struct arena *arena,
                                       struct group *out);

#endif
