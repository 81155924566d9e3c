/*
 * One line of a node's audit trail, and its codec (CBOR, deterministic: one record, one byte
 * string; its hash is a leaf of the tree). Values, keys, shares, nonces and tokens never are in it.
 */
#ifndef OSTRAKA_AUDIT_RECORD_H
#define OSTRAKA_AUDIT_RECORD_H

#include "base/cbor.h"
#include "base/limits.h"

/* X(name, wire value). Never renumbered. */
#define AUDIT_KINDS(X)                                                                             \
    X(start, 1)   /* the node's process started; of the first one in an epoch, `op` is 1 */        \
    X(request, 2) /* a request of an API client was answered */                                    \
    X(vote, 3)    /* this node was asked for its vote */                                           \
    X(share, 4)   /* this node was asked for its share */                                          \
    X(list, 5)    /* this node was asked for the versions of a path */                             \
    X(erase, 6)   /* this node has erased a path */                                                \
    X(incarnation, 7)                                                                              \
    X(trail, 8)          /* this node was asked for its trail, or for the heads that it keeps */   \
    X(stop, 9)           /* the node's process is about to end, as it was told to */               \
    X(configuration, 10) /* with which it started: `name` is the hash of the cluster's part */     \
    X(repair, 11)        /* this node has restored what it lacked of a path */                     \
    X(shred, 12)         /* keys of what was erased here are gone for good */                      \
    X(refusal, 13)       /* a client sent what never became a request */                           \
    X(expiry, 14)        /* this node has taken a tombstone for a secret that has expired */

enum audit_kind {
#define X(name, value) AUDIT_##name = value,
    AUDIT_KINDS(X)
#undef X
};
enum { AUDIT_KIND_LAST = AUDIT_expiry };
const char *audit_kind_name(uint64_t kind); /* "?" when unknown */

enum { AUDIT_WORD_BYTES_MAX = 64, AUDIT_RECORD_BYTES_MAX = 1536 };

/* Views are borrowed. Empty: does not apply, or is not known. */
struct audit_record {
    uint64_t kind; /* enum audit_kind */
    uint64_t time_ms;
    uint64_t node; /* who asked: for votes and shares the coordinator */
    uint64_t op;   /* that links the records of one operation on different nodes; of a request: how
                      many like it, of an address that asks again and again; 0: this one */
    struct bytes request_id;
    struct bytes caller;
    struct bytes address;   /* of the API client */
    struct bytes operation; /* a word */
    struct bytes tenant;
    struct bytes name;    /* in clear, or its keyed hash in hex */
    struct bytes outcome; /* a word: "ok", or why not */
};

/* Appends. Errors: ERR_NOMEM, ERR_RANGE what the decoder would refuse; `out` is as before then. */
MUST_CHECK enum vault_err audit_record_encode(const struct audit_record *record, struct buf *out);
/* Views are borrowed from `encoded`. All zero on error. Errors: ERR_MALFORMED. */
MUST_CHECK enum vault_err audit_record_decode(struct bytes encoded, struct audit_record *out);

#endif
