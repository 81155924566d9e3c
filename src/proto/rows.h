/*
 * Rows of a node's store: their keys and values. One ordered key space, by table letter:
 *
 *   'm' name                       the node's own facts (meta)
 *   'p' path                       accepted ballot, state, head
 *   'v' path ~version version_id   version row: record and own share (sealed), and the dealing's
 *                                  public part where that is small
 *   'd' path ~version version_id   the dealing's public part as it is encoded, where it is not in
 *                                  the version row: apart, so that a history is read without large
 *                                  ciphertexts. Older releases kept small ones here, too. Where both
 *                                  are there, what the version row has counts
 *   'b' path ~version version_id   escrow: the boxed shares that are still kept (bytes_list, empty
 *                                  where pruned); the row goes with its last box, so the table is
 *                                  the backlog
 *   't' path 1 zero                a deletion that this node has carried out and others may not
 *                                  have: one byte, bit j set when replica j is known to have
 *                                  erased; goes when all have. No bit: the tombstone is only
 *                                  accepted here, and is to be finished
 *   'x' leaf path                  empty: the paths that this node has a 'p' row of, by leaf: the
 *                                  first two bytes of the hash of the path. Written with the first
 *                                  'p' row of the path and never again, so that the paths of a leaf
 *                                  are listed without a look at all others
 *   'i' path                       empty: the identity records that this node has a 'p' row of,
 *                                  deleted ones too. Written with the first 'p' row, as 'x' is; of
 *                                  token records both go with it (actors/sweeper.h)
 *   'n' path ~version version_id   something of that version is missing here and has to be got back:
 *                                  its own share, its record or its dealing. Empty value; goes when
 *                                  everything is here, or the version is not wanted any more
 *   'l' tenant name                empty: the names of secrets that this node has a 'p' row of, in
 *                                  the order of their bytes (tenant length (1), tenant, name to the
 *                                  end). Written with the first 'p' row of the path and never again
 *   'a' number (8 bytes)           a block of this node's audit trail: audit/block.h
 *   'h' node epoch                 the newest signed head of a node's audit trail in that epoch
 *   'w' node slot                  earlier ones that are kept beside it, and the node's epochs:
 *                                  actors/witness.h
 *   'u' path 1 zero                the accepted head is pending, or is a record of a batch or an
 *                                  identity, or an alteration, that is only accepted: to be
 *                                  settled, if nobody else does; the value is a byte
 *   'q' path 1 zero                what this store accepted of the path may have been forgotten; empty
 *                                  value; goes when enough others have handed the path over
 *   'e' when path                  empty: the head that is accepted here says that the secret expires
 *                                  then (milliseconds, 8 bytes, big endian): a scan meets what
 *                                  expires first
 *
 * path = tenant length (1) tenant  name length (2) name, so that no path is the beginning of
 * another. Versions are stored as their complement, 8 bytes big endian: a scan meets the newest
 * first.
 */
#ifndef OSTRAKA_PROTO_ROWS_H
#define OSTRAKA_PROTO_ROWS_H

#include "crypto/signing.h"
#include "proto/msg.h"

enum row_table {
    ROW_META = 'm',
    ROW_PATH = 'p',
    ROW_VERSION = 'v',
    ROW_DEALING = 'd',
    ROW_BOXES = 'b',
    ROW_ERASURE = 't',
    ROW_INDEX = 'x',
    ROW_IDENTITY = 'i',
    ROW_NEED = 'n',
    ROW_UNSETTLED = 'u',
    ROW_DOUBT = 'q',
    ROW_NAME = 'l',
    ROW_AUDIT = 'a',
    ROW_ANCHOR = 'h',
    ROW_WITNESS = 'w',
    ROW_EXPIRY = 'e',
};

/* Keys are built in fixed memory. */
struct row_key {
    uint8_t data[KEY_BYTES_MAX];
    size_t size;
};
struct bytes row_key_bytes(const struct row_key *key);

/* Where this node's audit trail stands. */
void row_key_audit_state(struct row_key *out);
/* A row of the audit trail: 'a', 'h', 'w', or where it stands. */
bool row_is_of_audit(struct bytes key);
void row_key_meta(const char *name, struct row_key *out);
void row_key_path(struct path path, struct row_key *out);
void row_key_identity(struct path path, struct row_key *out);
void row_key_table(enum row_table table, struct row_key *out); /* prefix: the whole table */
/* For 'v', 'd', 'b', 'n': prefix of all rows of the path; of exactly one version; one row. */
void row_key_versions(enum row_table table, struct path path, struct row_key *out);
void row_key_of_version(enum row_table table, struct path path, uint64_t version,
                        struct row_key *out);
void row_key_version(enum row_table table, struct path path, uint64_t version,
                     const uint8_t version_id[static ID_BYTES], struct row_key *out);
void row_key_erasure(struct path path, struct row_key *out);
void row_key_unsettled(struct path path, struct row_key *out);
void row_key_doubt(struct path path, struct row_key *out);
void row_key_expiry(uint64_t at_ms, struct path path, struct row_key *out);
/* Path borrowed from `key`. Errors: ERR_CORRUPT. */
MUST_CHECK enum vault_err row_key_expiry_of(struct bytes key, uint64_t *at_ms, struct path *out);
/*
 * Splits a key of 'v', 'd', 'b', 't', 'n', 'u' or 'q'. Views are borrowed from `key`. Errors:
 * ERR_CORRUPT.
 */
MUST_CHECK enum vault_err row_key_parse(struct bytes key, enum row_table *table, struct path *path,
                                        uint64_t *version, struct bytes *version_id);

/*
 * Leaf of a path: which of the LEAVES parts of all paths it belongs to, by its hash. Everybody
 * computes the same one.
 */
enum { LEAVES = 65536 };
uint16_t path_leaf(struct path path);
/* 'x': the row of a path; the prefix of all rows of a leaf. */
void row_key_index(struct path path, struct row_key *out);
void row_key_leaf(uint16_t leaf, struct row_key *out);
/* 'l': the row of a path; with the beginning of a name: the prefix of all rows of such names. */
void row_key_name(struct path path, struct row_key *out);
/* Path of a key of 'l', borrowed from `key`. Errors: ERR_CORRUPT. */
MUST_CHECK enum vault_err row_key_name_of(struct bytes key, struct path *out);
/*
 * Path of a key of 'p', 'i' or 'x', borrowed from `key`; the leaf of an 'x' must be that of its path.
 * Errors: ERR_CORRUPT.
 */
MUST_CHECK enum vault_err row_key_path_of(struct bytes key, struct path *out);

/*
 * Encoders of rows append; `out` is as before on error.
 * Errors: ERR_NOMEM, ERR_TOO_LARGE, ERR_RANGE what the decoder would refuse.
 */

/* 'p' */
struct path_row {
    struct ballot ballot;
    enum accepted_state state; /* not ABSENT */
    struct bytes head;
    bool erased; /* tombstone: everything below it is gone here */
    /* When it was erased, newest of: the keys of the path's bucket, this node's share keys. */
    uint64_t erased_generation;
    uint64_t erased_share_key;
    uint64_t incarnation; /* of the store when that was written; not kept of a CHOSEN one */
    struct bytes proof;   /* as in struct accepted; empty: none, and then it is not written */
};
MUST_CHECK enum vault_err path_row_encode(const struct path_row *row, struct buf *out);
MUST_CHECK enum vault_err path_row_decode(struct bytes encoded,
                                          struct path_row *out); /* ERR_CORRUPT */

/* 'v' */
struct version_row {
    struct bytes record;  /* version record */
    struct bytes share;   /* own share, sealed under its path's bucket key (AD = the row's key;
                            crypto/bucket_keys.h); empty: not had yet */
    struct bytes dealing; /* public part; empty: it has a row of its own, or is not here, and then
                             it is not written */
};
/* Public parts up to this size go into the version row: one row less to write, read and drop. */
enum { VERSION_ROW_DEALING_MAX = 1024 };
MUST_CHECK enum vault_err version_row_encode(const struct version_row *row, struct buf *out);
MUST_CHECK enum vault_err version_row_decode(struct bytes encoded,
                                             struct version_row *out); /* ERR_CORRUPT */
/* It decodes, and its record is the one that the key names. */
bool version_row_is_whole(struct bytes version_id, struct bytes encoded, struct version_row *out);

/* 'm' "node": the node's own durable facts. */
struct node_row {
    uint8_t store_id[16];
    uint64_t incarnation;
    uint64_t boot;
    uint64_t horizon_ms;
    enum recovery_state recovery; /* of that incarnation */
    uint64_t forgotten_ms; /* records that may be forgotten before that are (actors/sweep.h); 0:
                              none, and then it is not written */
};
MUST_CHECK enum vault_err node_row_encode(const struct node_row *row, struct buf *out);
MUST_CHECK enum vault_err node_row_decode(struct bytes encoded,
                                          struct node_row *out); /* ERR_CORRUPT */

/*
 * 'm' "dirty/<bucket>": something was erased that lay under a key of this bucket; the value is the
 * generation (8 bytes, big endian) of the bucket's key then, or before. The row goes when no key
 * that old is left.
 */
enum { DIRTY_VALUE_BYTES = 8 };
void row_key_dirty(unsigned bucket, struct row_key *out);
void row_key_dirty_all(struct row_key *out); /* prefix */
void dirty_row_encode(uint64_t generation, uint8_t out[static DIRTY_VALUE_BYTES]);
MUST_CHECK enum vault_err dirty_row_decode(struct bytes key, struct bytes value, unsigned *bucket,
                                           uint64_t *generation); /* ERR_CORRUPT */

/* 'm' "peer/<node number>": what is remembered of a peer. */
struct peer_row {
    uint64_t incarnation, boot, horizon_ms, sequence;
    struct share_key_public share_key; /* newest known; id 0: none */
    uint8_t store_id[STORE_ID_BYTES];  /* zero: not known */
    uint64_t life;                     /* the last one heard of */
    uint64_t sequence_before;          /* highest of the lives before it */
    uint8_t vote_key[X25519_BYTES]; /* public half of its key (crypto/vote_keys.h); zero: not known,
                                       and then it is not written */
    uint8_t vote_key_before[X25519_BYTES]; /* the one that it had before; zero: none, and then it is
                                              not written. Never without the one above */
};
MUST_CHECK enum vault_err peer_row_encode(const struct peer_row *row, struct buf *out);
MUST_CHECK enum vault_err peer_row_decode(struct bytes encoded,
                                          struct peer_row *out); /* ERR_CORRUPT */

/* 'm' "signing/<node number>": the signing keys that a peer has had, newest first. */
void row_key_signing(unsigned node, struct row_key *out);
MUST_CHECK enum vault_err signing_row_encode(const struct signing_keys *keys, struct buf *out);
MUST_CHECK enum vault_err signing_row_decode(struct bytes encoded,
                                             struct signing_keys *out); /* ERR_CORRUPT */

#endif
