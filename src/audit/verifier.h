/*
 * Judges a trail: its blocks in the order in which they stand, against the heads of it that were
 * signed and are kept elsewhere (anchors). It needs no key but the public ones with which whoever
 * calls has verified the anchors.
 *
 * What an anchor covers cannot have been changed, dropped, inserted, put in another order or cut off
 * without being found. What comes after the last anchor is counted as unanchored: for it there is
 * the chain alone, which whoever owns the disk could have made anew. A beginning that is not there
 * was dropped by retention only if a signed head says so.
 */
#ifndef OSTRAKA_AUDIT_VERIFIER_H
#define OSTRAKA_AUDIT_VERIFIER_H

#include "audit/block.h"

enum audit_verdict {
    AUDIT_INTACT,
    AUDIT_CHANGED,   /* what stands there is not what was written */
    AUDIT_DROPPED,   /* blocks are missing before the one that stands there */
    AUDIT_DISORDER,  /* a block stands where it does not belong: put elsewhere, or inserted */
    AUDIT_TRUNCATED, /* the trail ends before an anchor */
    AUDIT_FORKED,    /* anchors contradict each other: two trails were shown */
};
const char *audit_verdict_name(enum audit_verdict verdict);

struct audit_finding {
    enum audit_verdict verdict;
    uint64_t block;      /* number of the first bad one, or that is missing */
    uint64_t record;     /* index within its epoch of the first that is not proven good */
    uint64_t records;    /* good ones read */
    uint64_t unanchored; /* of them, those after the last anchor of the last epoch */

    /* The anchor that the trail, or another anchor, contradicts: what was expected there. */
    bool contradicted;
    struct audit_head against; /* if contradicted */

    /*
     * Anchors with which nothing can be compared: they end before what is left of the trail, or are of
     * an epoch before it. That is so after retention and with a new store, which a forger may pretend.
     */
    size_t gone;
    uint64_t gone_ms; /* time of the newest of them */
};

/* Anchors of one node; signatures have been verified. Sorted by the call. */
struct audit_verifier {
    struct audit_head *anchors; /* borrowed */
    size_t anchor_count;
    size_t next_anchor; /* the first that may end after what was read of this epoch */
    uint64_t kept_from; /* the trail may begin there, and no later */
    bool begun;
    uint64_t began_ms; /* time of the first block that is there */
    uint8_t first_epoch[AUDIT_EPOCH_BYTES];
    uint64_t first_size; /* records of it before that block */
    uint8_t epoch[AUDIT_EPOCH_BYTES];
    uint64_t next_block;
    uint8_t previous[HASH_BYTES];
    struct audit_tree tree;
    uint64_t anchored; /* largest size of this epoch that an anchor confirmed */
    struct audit_finding finding;
};

void audit_verifier_init(struct audit_verifier *v, struct audit_head *anchors, size_t count);
/* The next block. Once something is wrong, later calls change nothing; false then. */
bool audit_verifier_block(struct audit_verifier *v, struct bytes encoded);
/* After the last block. */
struct audit_finding audit_verifier_end(struct audit_verifier *v);

#endif
