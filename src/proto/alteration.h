/*
 * A change of a secret that makes no new version: states of single versions, how many versions are
 * kept, when the secret expires, custom metadata.
 */
#ifndef OSTRAKA_PROTO_ALTERATION_H
#define OSTRAKA_PROTO_ALTERATION_H

#include "proto/head.h"

/* Versions named in one request; at most all that can be kept. Distinct, in any order. */
struct version_list {
    uint64_t of[VERSIONS_KEPT_MAX];
    size_t count;
};

/* One pair of the custom metadata is set, or removed. */
struct metadata_change {
    struct bytes key;   /* 1..METADATA_KEY_BYTES_MAX, UTF-8 */
    struct bytes value; /* UTF-8 */
    bool removed;
};

/* Borrows its views. */
struct alteration {
    struct version_list soft_delete, undelete, destroy; /* no version is in two of them */
    bool has_max_versions;
    uint64_t max_versions; /* 0: as many as are kept by default */
    bool has_expires_at;
    uint64_t expires_at_ms; /* 0: never */
    bool has_expires_in;    /* instead of expires_at: so long after the change */
    uint64_t expires_in_ms;
    const struct metadata_change *metadata; /* keys ascending, each once */
    size_t metadata_count;                  /* at most METADATA_PAIRS_MAX */
};

/* What asks for the right to delete: it takes something away, or will. */
bool alteration_erases(const struct alteration *alteration);
/* What asks for the right to update. */
bool alteration_updates(const struct alteration *alteration);
/* Tells two alterations apart that claim to be the same operation. */
void alteration_fingerprint(const struct alteration *alteration,
                            uint8_t out[static ALTERATION_PRINT_BYTES]);
/*
 * Changes the live head `head` at that moment. `memory` is emptied; if the metadata changes it holds
 * the new one afterwards, and must outlive the head.
 * Errors: ERR_NOT_FOUND a version is not kept, or destroyed and was not to be that; ERR_TOO_LARGE
 * too much metadata; ERR_RANGE a time that no head can say; ERR_NOMEM. The head is unusable then.
 */
MUST_CHECK enum vault_err alteration_apply(const struct alteration *alteration, uint64_t now_ms,
                                           struct head *head, struct buf *memory);

/*
 * Custom metadata as it is in a head: a list (bytes_list_encode) of key, value, key, value; keys
 * ascending and distinct, all UTF-8. One set of pairs has one encoding; no pairs: no bytes.
 */
bool metadata_valid(struct bytes encoded);
struct custom_pair {
    struct bytes key, value;
};
/* Views of a valid encoding. Errors: ERR_MALFORMED. */
MUST_CHECK enum vault_err metadata_decode(struct bytes encoded,
                                          struct custom_pair out[static METADATA_PAIRS_MAX],
                                          size_t *count);

#endif
