/*
 * Reading trails: what is looked for, where a reader stands, and pages of what was found, as nodes
 * hand them to each other and to whoever asked. Deterministic CBOR; all decoders refuse what is not
 * exactly that.
 */
#ifndef OSTRAKA_AUDIT_QUERY_H
#define OSTRAKA_AUDIT_QUERY_H

#include "audit/record.h"

enum {
    AUDIT_QUERY_BYTES_MAX = 1024,
    AUDIT_PAGE_RECORDS_MAX = 1000,
    AUDIT_PAGE_BYTES = 512 * 1024, /* a page ends with the item that fills it */
    AUDIT_PAGE_BYTES_MAX = 1280 * 1024,
    AUDIT_POSITIONS_BYTES_MAX = 32 * NODES_MAX,
};

/* All of it must fit a record; empty and 0: any. */
struct audit_query {
    uint64_t from_ms, to_ms; /* not before; before */
    struct bytes identity, name, request_id;
};

MUST_CHECK enum vault_err audit_query_encode(const struct audit_query *query, struct buf *out);
/* Errors: ERR_MALFORMED; *out is all zero then. */
MUST_CHECK enum vault_err audit_query_decode(struct bytes encoded, struct audit_query *out);
bool audit_query_matches(const struct audit_query *query, const struct audit_record *record);

/* In a node's trail: the record to be read next. A block that is no longer kept: the oldest. */
struct audit_position {
    uint64_t block, record;
};

/* One for each node, as bytes that mean nothing to whoever keeps them between two pages. */
MUST_CHECK enum vault_err audit_positions_encode(const struct audit_position *positions,
                                                 size_t count, struct buf *out);
/* Errors: ERR_MALFORMED, also for another count. */
MUST_CHECK enum vault_err audit_positions_decode(struct bytes encoded, size_t count,
                                                 struct audit_position *out);

/* One record of a page. */
struct audit_found {
    uint64_t node; /* whose trail it stands in */
    struct audit_position at;
    struct bytes record; /* encoded */
};

void audit_found_put(struct cbor_writer *w, const struct audit_found *found);
/* Latches ERR_MALFORMED in `r`; also for a record that does not decode. */
void audit_found_get(struct cbor_reader *r, struct audit_found *found);

/* What a search answers: records in the order of their time, as far as that is known. */
struct audit_page {
    struct bytes found;            /* audit_found_put(), one after the other */
    size_t found_count;            /* AUDIT_PAGE_RECORDS_MAX */
    uint64_t missing;              /* bit per node that gave nothing */
    struct bytes next;             /* audit_positions_encode(); empty: this is the end */
    struct bytes names[NODES_MAX]; /* of the nodes */
    size_t name_count;
};
MUST_CHECK enum vault_err audit_page_encode(const struct audit_page *page, struct buf *out);
MUST_CHECK enum vault_err audit_page_decode(struct bytes encoded, struct audit_page *out);

#endif
