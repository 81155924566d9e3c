/*
 * What is agreed about a path: ballots, heads, version records. Immutable records; their ids are
 * the BLAKE2b-256 of their deterministic CBOR, so an encoded record is carried and stored as it is.
 *
 * Decoded structs borrow their views from the encoded bytes.
 */
#ifndef OSTRAKA_PROTO_HEAD_H
#define OSTRAKA_PROTO_HEAD_H

#include "base/bytes.h"
#include "base/limits.h"
#include "crypto/dealing.h"
#include "crypto/hash.h"

enum { OP_ID_BYTES = 16, ID_BYTES = HASH_BYTES };

/* Most that a generation or a version may count to: every number up to it is exact in JSON. */
#define COUNTER_MAX UINT64_C(0x1fffffffffffff)
/* Latest moment of a record: the end of the year 9999, the last that RFC 3339 can write. */
#define TIME_MS_MAX UINT64_C(253402300799999)

struct path {
    struct bytes tenant; /* tenant_name_valid() */
    struct bytes name;   /* secret_name_valid(), or that of a batch record */
};
bool path_equal(struct path a, struct path b);
bool path_valid(struct path path);

/*
 * Ballots are unique and totally ordered: time first (hybrid logical clock, 48 bits of milliseconds
 * and 16 of counter), then node, then that node's incarnation. All zero is "none", below every
 * other.
 *
 * An offer is the ballot of a head that was written without votes: below every ballot that was voted
 * on, whatever its time, and chosen only by all replicas (docs/protocol.md, "Offers").
 */
struct ballot {
    uint64_t time;
    uint64_t incarnation;
    uint8_t node;
    bool offer;
};
int ballot_compare(struct ballot a, struct ballot b); /* <0, 0, >0 */
bool ballot_is_none(struct ballot b);
/* What whoever accepts at that ballot promises by it: nothing below. Of an offer more than itself. */
struct ballot ballot_promised(struct ballot b);
static inline uint64_t
ballot_ms(struct ballot b)
{
    return b.time >> 16;
}

/* Kinds of changes; wire values. */
enum change_kind {
    CHANGE_NONE = 0,
    CHANGE_CREATE = 1,
    CHANGE_UPDATE = 2,
    CHANGE_DELETE = 3,
    CHANGE_FINISH = 4,
    CHANGE_ALTER = 5, /* no new version: metadata, states of single versions */
    CHANGE_ERASE = 6, /* of a vote: an alteration that takes something away */
};
enum { ALTERATION_PRINT_BYTES = 16 };

/* Result of a change that a head remembers, so that a retry gets the first answer. */
struct op_result {
    uint8_t op_id[OP_ID_BYTES];
    enum change_kind kind; /* CREATE, UPDATE, DELETE or ALTER */
    uint64_t version;      /* CREATE, UPDATE: the version made; DELETE, ALTER: the last one */
    uint64_t at_ms;        /* changed_at of the head that it made (its valid_from) */
    uint8_t
        fingerprint[ALTERATION_PRINT_BYTES]; /* ALTER: of what was asked for (proto/alteration.h) */
};

/*
 * A void says that nothing is there, as if what it replaces had never been; a record, alone on a
 * path of its own, says how a batch was decided.
 */
enum head_kind {
    HEAD_LIVE = 1,
    HEAD_TOMBSTONE = 2,
    HEAD_VOID = 3,
    HEAD_RECORD = 4,
    HEAD_INLINE = 5, /* an identity record: its value is in the head itself */
};

/* Wire values. */
enum batch_decision { BATCH_UNDECIDED = 0, BATCH_COMMITTED = 1, BATCH_ABORTED = 2 };

struct head {
    struct path path;
    uint64_t generation; /* from 1; one more with each agreed change */
    enum head_kind kind;
    uint8_t incarnation[INCARNATION_BYTES]; /* of the secret: new at each create, kept by its
                                               tombstone */
    uint64_t version;                       /* latest */
    uint64_t oldest_version;                /* oldest kept */
    uint8_t version_id[ID_BYTES];           /* of the latest version record */
    uint8_t prev[ID_BYTES];                 /* head before it; zero in generation 1 */
    uint8_t op_id[OP_ID_BYTES];             /* of the change */
    struct op_result ops[OP_IDS_MAX];       /* newest first, the change itself included */
    size_t op_count;
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    uint8_t config_hash[HASH_BYTES]; /* a record; never compared */
    uint64_t changed_at_ms;          /* greater than that of the head before it */
    uint8_t batch[BATCH_ID_BYTES];   /* LIVE: pending, the record of that batch decides whether it
                                        counts; zero: it does */
    bool deleted_before;             /* pending or VOID: the last that counted was a tombstone */
    enum batch_decision decision;    /* RECORD */
    struct bytes members;            /* RECORD: hashes of the members' names, ascending; of an
                                        aborted batch there may be none */
    struct bytes value; /* INLINE: 1..RECORD_VALUE_BYTES_MAX; empty when the record is deleted */
    /*
     * What follows belongs to LIVE heads that are not pending, stays from head to head, and is
     * written only when some of it is set. Bit i of a set of versions is oldest_version + i.
     */
    uint64_t soft_deleted;  /* versions that read as if they were not there, and can be had back */
    uint64_t destroyed;     /* versions of which the record alone is kept; no bit of both sets */
    uint64_t max_versions;  /* versions kept, 1..VERSIONS_KEPT_MAX; 0: VERSIONS_KEPT_MAX */
    uint64_t expires_at_ms; /* from then on nothing is there; 0: never */
    struct bytes metadata;  /* custom metadata: metadata_valid() in proto/alteration.h; or empty */
    uint64_t forget_after_ms; /* INLINE and deleted: what it was made with (actors/sweep.h), so that
                                 the deletion is forgotten with it; 0: never, and not written */
    /*
     * LIVE: ids of the versions that this change made before its latest, oldest first, ID_BYTES
     * each; empty, and not written, where it made one alone.
     */
    struct bytes earlier;
};
static_assert(VERSIONS_KEPT_MAX <= 64, "a set of versions has a bit for each");

enum version_state { VERSION_AVAILABLE, VERSION_DELETED, VERSION_DESTROYED };
/* Of a kept version. */
enum version_state head_version_state(const struct head *head, uint64_t version);
bool version_set_has(uint64_t set, uint64_t oldest_version, uint64_t version);
/* The oldest version that is kept when `version` is the latest. */
uint64_t oldest_version_kept(uint64_t version, uint64_t oldest_version, uint64_t max_versions);
/* After a change of `version` or `max_versions`: what is kept no longer falls out. */
void head_keep_versions(struct head *head);
/* The head came with a version of its own: its value. Of LIVE heads, an alteration has none. */
bool head_brings_version(const struct head *head);
/* That version came with it. */
bool head_makes(const struct head *head, const uint8_t version_id[static ID_BYTES]);
/* Versions that came with it beside the latest: proto/group.h. */
static inline size_t
head_earlier_count(const struct head *head)
{
    return head->earlier.size / ID_BYTES;
}
/* By that clock it has expired: nothing is there. */
bool head_is_expired(const struct head *head, uint64_t wall_ms);
/*
 * The operation of the tombstone that takes the place of a head that has expired: the same whoever
 * notices.
 */
void expiry_op_id(const uint8_t head_id[static ID_BYTES], uint8_t out[static OP_ID_BYTES]);
/* It took the place of one that had expired. */
bool head_is_of_expiry(const struct head *head);

bool head_is_pending(const struct head *head);
/* Nothing is left of what was below it: a tombstone or a void. */
bool head_kind_erases(enum head_kind kind);

/* Of an identity record: it is there, and has a value. */
bool head_has_value(const struct head *head);

/* Records of batches: the path of the record of a batch, whose name is written to `memory`. */
enum { BATCH_RECORD_NAME_BYTES = 7 + 2 * BATCH_ID_BYTES };
struct path batch_record_path(struct bytes tenant, const uint8_t id[static BATCH_ID_BYTES],
                              uint8_t memory[static BATCH_RECORD_NAME_BYTES]);
bool batch_record_name_valid(struct bytes name);
void batch_member_hash(struct path member, uint8_t out[static BATCH_MEMBER_BYTES]);
/* `record` is the record of a committed batch that has that member. */
bool batch_record_has(const struct head *record, struct path member);

/*
 * What holds of every head, beyond the range of each field; encoder and decoder insist on it:
 * generation 1 has no head before it and every other has one; 1 <= oldest_version <= version; the
 * remembered operations are distinct and ever older. The first of them is the change itself in a
 * live head (CREATE of version 1, UPDATE or ALTER, of the latest version) and in a tombstone (DELETE); a
 * void need not have an operation of its own. Only a live head of version 1 may be pending. A record
 * is the only head of its path, remembers no operation and has the batch's id as its incarnation;
 * nothing else lies on such a path. Inline heads lie on the paths of identity records and nowhere
 * else, name no version record, and have a value unless their own operation is a DELETE; only those
 * without a value say after when they may be forgotten. Only an UPDATE makes more versions than
 * one; it keeps all of them.
 *
 * Appends the encoding; `out` is as before on error.
 * Errors: ERR_NOMEM, ERR_TOO_LARGE too many ops, ERR_RANGE anything else that head_decode would
 * refuse.
 */
MUST_CHECK enum vault_err head_encode(const struct head *head, struct buf *out);
/*
 * Strict: what it accepts, head_encode writes back byte for byte. All zero on error. Errors:
 * ERR_MALFORMED.
 */
MUST_CHECK enum vault_err head_decode(struct bytes encoded, struct head *out);
void record_id(struct bytes encoded,
               uint8_t out[static ID_BYTES]); /* head_id, version_id, dealing hash */
/* The remembered result of `op_id`, or NULL. */
const struct op_result *head_find_op(const struct head *head,
                                     const uint8_t op_id[static OP_ID_BYTES]);

struct version_record {
    uint8_t incarnation[INCARNATION_BYTES];
    uint64_t version; /* from 1 within an incarnation */
    uint64_t valid_from_ms;
    uint8_t prev[ID_BYTES]; /* version record before it; zero for version 1 */
    uint8_t dealing_id[DEALING_ID_BYTES];
    uint8_t dealing_hash[HASH_BYTES]; /* of the dealing's encoded public part, which covers the
                                         hashes of its boxes */
    struct bytes author;              /* 1..AUTHOR_BYTES_MAX visible ASCII */
    uint8_t op_id[OP_ID_BYTES];
};
/* Version 1 has no record before it, every other has one. Errors as head_encode and head_decode. */
MUST_CHECK enum vault_err version_encode(const struct version_record *version, struct buf *out);
MUST_CHECK enum vault_err version_decode(struct bytes encoded, struct version_record *out);

/*
 * Dealings travel and rest as two byte strings: the public part (whose hash version records name)
 * and the boxes, a CBOR array of `count` byte strings, empty where pruned.
 */
/*
 * Errors of both: ERR_NOMEM, ERR_TOO_LARGE, ERR_RANGE what dealing_decode would refuse (boxes are
 * not hashed again here).
 */
MUST_CHECK enum vault_err dealing_encode_public(const struct dealing *dealing, struct buf *out);
MUST_CHECK enum vault_err dealing_encode_boxes(const struct dealing *dealing, struct buf *out);
/*
 * Strict, checks 1 <= k <= n <= REPLICAS_MAX (k = 1 only with n = 1), distinct nodes, known suite.
 * `boxes` may be empty: all pruned. Boxes that are there must match their hashes.
 * Errors: ERR_MALFORMED.
 */
MUST_CHECK enum vault_err dealing_decode(struct bytes public_part, struct bytes boxes,
                                         struct dealing *out);

/* A list of byte strings as one deterministic CBOR array (version records of a history page). */
MUST_CHECK enum vault_err bytes_list_encode(const struct bytes *items, size_t count,
                                            struct buf *out);
/* Decodes into `items`. Errors: ERR_MALFORMED, ERR_TOO_LARGE more than items_max. */
MUST_CHECK enum vault_err bytes_list_decode(struct bytes encoded, size_t item_max,
                                            struct bytes *items, size_t items_max, size_t *count);

#endif
