/*
 * Messages between actors. Those of the first list travel between nodes as deterministic CBOR: an
 * array [kind, op, request id, tenant, name, fields...] with the fields of the struct in order.
 * Those of the second list are local: they may carry plaintext or memory of the process, and the
 * codec refuses them.
 *
 * Unknown kinds, missing or extra fields and values out of range are ERR_MALFORMED: the link
 * closes. Wire values are never renumbered; retired ones stay reserved.
 */
#ifndef OSTRAKA_PROTO_MSG_H
#define OSTRAKA_PROTO_MSG_H

#include "audit/query.h"
#include "base/instant.h"
#include "proto/head.h"
#include "proto/request.h"

/* X(name, wire value) */
#define WIRE_MESSAGES(X)                                                                           \
    X(VOTE, 1) /* coordinator -> replica: asks for a vote */                                       \
    X(VOTED, 2)                                                                                    \
    X(WRITE, 3) /* coordinator -> replica: accept this head */                                     \
    X(WRITTEN, 4)                                                                                  \
    X(CHOSEN, 5) /* coordinator -> replica: this head is chosen, these have written it */          \
    X(ERASED, 6) /* answer to CHOSEN of a tombstone, and to ASK_ERASED */                          \
    X(READ, 7)                                                                                     \
    X(STATE, 8)                                                                                    \
    X(FETCH, 9) /* the whole of an accepted head, to finish it */                                  \
    X(FETCHED, 10)                                                                                 \
    X(LIST, 11) /* version records of a path */                                                    \
    X(VERSIONS, 12)                                                                                \
    X(SHARE, 13) /* a boxed share for its owner, from escrow or repair */                          \
    X(SHARED, 14)                                                                                  \
    X(HEARTBEAT, 15)                                                                               \
    X(ASK_ERASED, 16)                                                                              \
    X(DELIVER, 17)   /* reader -> replica: deliver the escrow that you keep of this path */        \
    X(RECOVER, 18)   /* new incarnation -> peer: know me as that, and hand over what you have */   \
    X(RECOVERED, 19) /* a page of it */                                                            \
    X(HANDOVER, 20)  /* one version of one path, out of a page; a node sends it to itself alone */ \
    X(HANDED, 21)    /* what became of it; the same */                                             \
    X(COMPARE, 24)   /* anti-entropy: digests of my paths that you hold too; which differ? */      \
    X(COMPARED, 25)                                                                                \
    X(ASK_ENTRIES, 26) /* anti-entropy: what have you of the paths of this leaf? */                \
    X(ENTRIES, 27)                                                                                 \
    X(HELP, 28) /* replica -> replica: what I lack of this version */                              \
    X(HELPED, 29)                                                                                  \
    X(CHECK, 30) /* a node to itself: is everything of this version here and whole? */             \
    X(CHECKED, 31)                                                                                 \
    X(SCAN, 44) /* which names of this tenant do you keep? */                                      \
    X(SCANNED, 45)                                                                                 \
    X(KNOWN, 36)  /* answer to CHOSEN of an identity record: what this node decides by has it */   \
    X(ANCHOR, 40) /* the signed head of my audit trail: keep it */                                 \
    X(ANCHORED, 41)                                                                                \
    X(TRAIL, 42) /* what stands in your audit trail, or which heads of that node's do you keep? */ \
    X(TRAILED, 43)

#define LOCAL_MESSAGES(X)                                                                          \
    X(REQUEST, 128) /* runtime -> gateway */                                                       \
    X(CHANGE, 129)  /* gateway -> coordinator */                                                   \
    X(STORED, 130)  /* runtime: a batch is durable, or failed */                                   \
    X(LOADED, 131)  /* runtime: rows */                                                            \
    X(TIMER, 132)                                                                                  \
    X(PEER_UP, 133)                                                                                \
    X(PEER_DOWN, 134)

enum msg_kind {
#define X(name, value) MSG_##name = value,
    WIRE_MESSAGES(X) LOCAL_MESSAGES(X)
#undef X
};
const char *msg_kind_name(enum msg_kind kind); /* "VOTE"; "?" when unknown */
bool msg_has_path(enum msg_kind kind);         /* about a path, not about nodes */

/* Why a replica said no. Wire values. */
#define REFUSALS(X)                                                                                \
    X(NONE, 0)                                                                                     \
    X(BALLOT, 1)      /* a higher one was promised or accepted: beat names it */                   \
    X(FLOOR, 2)       /* at or below the floor after a restart: beat names it */                   \
    X(HORIZON, 3)     /* above this node's promise horizon, which is being moved: try again */     \
    X(DRIFT, 4)       /* too far ahead of this node's clock */                                     \
    X(BUSY, 5)        /* another coordinator is between vote and write, or queues are full */      \
    X(CONFIG, 6)      /* another configuration */                                                  \
    X(INCARNATION, 7) /* the list names an older incarnation of a replica */                       \
    X(DEALING, 8)     /* own share, recipients or records do not verify */                         \
    X(DENIED, 9)      /* the credential does not allow it */                                       \
    X(DISK_FULL, 10)                                                                               \
    X(NOT_READY, 11) /* the node does not vote yet */                                              \
    X(CORRUPT, 12)   /* the node's own record of the path does not verify */                       \
    X(ABSENT, 13)    /* FETCH: it has no such head */                                              \
    X(PROOF, 14)     /* WRITE: without a proof of votes that this node can check */                \
    X(LIMIT, 15)     /* VOTE to create: the tenant has as many secrets as it may have */           \
    X(FORGOTTEN, 16) /* WRITE: of a token that all nodes agreed to forget (actors/sweep.h) */

enum refusal {
#define X(name, value) REFUSED_##name = value,
    REFUSALS(X)
#undef X
};
const char *refusal_name(enum refusal refusal);

/*
 * State of an accepted head at a node. Wire values. RECEIVED: others accepted it and handed it over
 * to this new incarnation of a store. It is to be finished like one that was accepted here, but does
 * not count as one: a majority "at the same ballot" must have accepted by itself.
 */
enum accepted_state {
    STATE_ABSENT = 0,
    STATE_ACCEPTED = 1,
    STATE_CHOSEN = 2,
    STATE_RECEIVED = 3,
};

/* How far a node is that has become a new incarnation. Wire values. */
enum recovery_state {
    RECOVERY_NONE = 0,     /* nothing is missing */
    RECOVERY_HANDOVER = 1, /* does not vote, accept or answer reads of what it was not handed yet */
    RECOVERY_SHARES = 2,   /* has all heads; some are unfinished, or some own shares are missing */
};

enum { STORE_ID_BYTES = 16 };

/* What a node keeps of the share asked for. Wire values. */
enum share_state { SHARE_NONE = 0, SHARE_HELD = 1, SHARE_BAD = 2 };

/* What became of a SHARE. Wire values. */
enum shared_outcome { SHARED_STORED = 0, SHARED_OBSOLETE = 1, SHARED_LATER = 2, SHARED_BAD = 3 };

/* What became of a HELP. Wire values. */
enum helped_outcome {
    HELPED_GIVEN = 0,
    HELPED_NOT_IN_CHAIN = 1, /* the helper's chosen head is another's, or it knows of none */
    HELPED_LACKING = 2,      /* it has not got it itself */
    HELPED_OTHER_KEYS = 3,   /* it does not have the pair keys that were named */
    HELPED_UNFIT = 4         /* the helpers named are not k other replicas, itself among them */
};

/* What a node found when it checked a version of its own. Wire values. */
enum checked_outcome {
    CHECKED_WHOLE = 0,
    CHECKED_LACKING = 1, /* something is missing or rotten, and is being got back */
    CHECKED_ABSENT = 2,  /* no such version: the path is gone, or the chain is another's */
    CHECKED_LATER = 3,   /* the head is not known chosen */
    CHECKED_CORRUPT = 4  /* the row of the path itself does not verify */
};

/*
 * Incarnations of the path's replicas as the sender knows them, by replica (x - 1); 0 unknown. With
 * them the sender's own standing: which of its lives speaks, and how many batches are durable there.
 */
struct incarnations {
    uint64_t of[NODES_MAX];
    uint8_t count;
    uint64_t life; /* random, drawn at each start of the process */
    uint64_t sequence;
    uint64_t placed; /* the replicas themselves, 4 bits each: a node with another configuration
                        places the path elsewhere, and its list is about others */
};

/* Ids of the pair keys of the path's replicas, by replica (x - 1); 0: not named. */
struct pair_key_ids {
    uint64_t of[REPLICAS_MAX];
    uint8_t count;
};

/* What a replica says of a path. */
struct accepted {
    struct ballot ballot; /* none when absent */
    enum accepted_state state;
    struct bytes head;  /* encoded; empty when absent */
    struct bytes proof; /* encoded (proto/proof.h): CHOSEN: of the writes that chose it; else of the
                           votes that it was written with. Empty: none is known */
};

struct msg_vote {
    struct ballot ballot;
    enum change_kind purpose; /* CHANGE_FINISH: repeats an accepted head, needs no credential */
    uint8_t op_id[OP_ID_BYTES];
    struct bytes credential;
    struct bytes change; /* UPDATE of an identity record: the value; else empty */
};
struct msg_voted {
    struct ballot ballot; /* the one asked for */
    enum refusal refusal;
    struct ballot beat;       /* with BALLOT, FLOOR */
    struct accepted accepted; /* when not refused */
    struct incarnations incarnations;
    struct bytes macs;         /* vouch for this vote, to each replica; proto/proof.h */
    struct bytes written_macs; /* ACCEPTED: vouch for having written that head at that ballot */
};
struct msg_write {
    struct ballot ballot;
    struct bytes head;
    struct bytes version; /* version record; empty for a tombstone */
    struct bytes dealing; /* public part; empty for a tombstone */
    struct bytes boxes;   /* all n, unless the finished copy lacks some; empty for a tombstone */
    uint8_t config_hash[HASH_BYTES];
    struct incarnations incarnations; /* of all n */
    struct bytes proof;               /* of the votes with this ballot */
    struct bytes
        origin; /* of the votes that the head was first written with, when it is another's */
    struct bytes credential; /* an offer: the caller's, since there was no vote; else empty */
    struct bytes group;      /* the versions that the head makes before its latest: proto/group.h */
};
struct msg_written {
    struct ballot ballot;
    uint8_t head_id[ID_BYTES];
    enum refusal refusal;
    struct ballot beat;
    struct incarnations incarnations;
    struct bytes macs; /* vouch for it, to each replica */
};
struct msg_chosen {
    struct ballot ballot;
    uint8_t head_id[ID_BYTES];
    struct bytes head;                /* empty for those that have written */
    uint64_t written;                 /* bit j: replica j has it durable with its own share */
    struct incarnations incarnations; /* in which they have written */
    struct bytes proof;               /* of m writes, with the same ballot */
};
struct msg_erased {
    uint8_t head_id[ID_BYTES]; /* the tombstone */
    bool erased;               /* everything of its incarnation is durably gone here */
    enum accepted_state state; /* ASK_ERASED: what this node has; with the encoded head */
    struct ballot ballot;
    struct bytes head;
    struct incarnations incarnations;
    bool shredded; /* and what old pages have of it, and boxes for this node, is noise */
};
struct msg_known {
    uint8_t head_id[ID_BYTES]; /* that of the CHOSEN; a later one may be known */
    struct incarnations incarnations;
};
struct msg_read {
    uint64_t version;             /* 0: latest */
    uint8_t version_id[ID_BYTES]; /* of an older version, known from the chain; zero: latest */
    struct bytes credential;
    bool head_only;        /* nothing of the version is needed */
    struct bytes known_id; /* of a version whose record and dealing the asker has; empty: none */
};
/* What a node's own store has found out of what it answers, and need not be found out again. */
struct own_state {
    bool named;   /* head_id is that of the head */
    bool checked; /* version and dealing are those of version_id, by their hashes */
    uint8_t head_id[ID_BYTES];
    uint8_t version_id[ID_BYTES];
};
struct msg_state {
    enum refusal refusal;
    struct accepted accepted;
    struct bytes version; /* version record; empty: this node has no such row */
    struct bytes dealing; /* public part */
    enum share_state share_state;
    struct bytes share; /* SHARE_HELD */
    struct incarnations incarnations;
    bool as_known;        /* version and dealing are those of READ's known_id, and left out */
    struct own_state own; /* does not travel */
};
struct msg_fetch {
    uint8_t head_id[ID_BYTES];
};
struct msg_fetched {
    enum refusal refusal;
    uint8_t head_id[ID_BYTES];
    struct bytes head, version, dealing, boxes;
    struct bytes group; /* as in a WRITE */
};
struct msg_list {
    uint64_t before_version; /* 0: from the newest */
    uint64_t limit;          /* 1..PAGE_MAX + 1 */
    struct bytes credential;
};
struct msg_versions {
    enum refusal refusal;
    struct accepted accepted;
    struct bytes records; /* bytes_list of version records, newest first */
    struct incarnations incarnations;
};
struct msg_share {
    struct accepted accepted; /* the chosen head of the sender, for a receiver that has none */
    struct bytes version, dealing, box;
    bool repair; /* computed by a reader, not from escrow */
};
struct msg_shared {
    enum shared_outcome outcome;
    uint64_t version;
    uint8_t version_id[ID_BYTES];
    bool repair; /* echoed */
    struct incarnations incarnations;
};
/* Identity records are compared in groups: actors/auth_view.h. */
enum {
    RECORD_GROUPS = 8,
    RECORD_DIGEST_BYTES = 16,
    RECORD_DIGESTS_BYTES = RECORD_GROUPS * RECORD_DIGEST_BYTES
};
struct msg_heartbeat {
    uint64_t incarnation, boot, horizon_ms, sequence;
    uint64_t wall_ms;      /* sender's clock */
    uint64_t sent_ns;      /* sender's monotonic clock, to be echoed */
    uint64_t echo_ns;      /* last sent_ns heard from the receiver, 0 none */
    uint64_t echo_held_ns; /* how long the sender kept it before echoing */
    uint64_t share_key_id;
    uint8_t share_key[X25519_BYTES];
    uint64_t known_key_id;      /* newest share key of the receiver that the sender knows */
    uint64_t oldest_box_key_id; /* oldest of the receiver's share keys that the sender keeps a box
                                   for, as its last whole look at its escrow found; 0: none */
    uint64_t look_age_ms;       /* how long ago that look began */
    uint64_t paths;             /* that the sender keeps, deleted ones included */
    bool paths_known;           /* it has counted them */
    uint64_t life;              /* random, drawn at each start of the sender */
    uint8_t store_id[STORE_ID_BYTES];
    enum recovery_state recovery; /* the sender's */
    /* What the sender remembers of the receiver; incarnation 0: nothing. */
    uint8_t known_store_id[STORE_ID_BYTES]; /* zero: not known */
    uint64_t known_incarnation, known_boot, known_life;
    uint64_t known_sequence; /* highest of the lives before that one */
    uint64_t pair_key_id;
    uint8_t pair_key[X25519_BYTES]; /* public half of the sender's present pair key */
    uint8_t vote_key[X25519_BYTES]; /* public half of the key that it vouches with */
    bool records_ready;             /* the digests are whole, and the sender may vote */
    uint8_t record_digests[RECORD_DIGESTS_BYTES]; /* of the identity records accepted there */
    uint64_t forgotten_ms; /* the time of the sweep that the sender goes by; 0: none */
};
enum {
    DELIVER_ERASURE = NODES_MAX, /* instead of a share: tell those who have not erased yet of the
                                    deletion */
    DELIVER_HEAD_TO,             /* + a node: tell it your head, once it is chosen */
    DELIVER_LAST = DELIVER_HEAD_TO + NODES_MAX - 1,
    /* The batch that the pending head belongs to is to be settled; above all nodes in any build. */
    DELIVER_SETTLE = NODES_MAX <= 11 ? 32 : 96,
    DELIVER_EXPIRY = DELIVER_SETTLE + 1, /* the head has perhaps expired */
    DELIVER_REWRAP = 255, /* from this node alone: seal own shares under the bucket's new key */
};
static_assert((int)DELIVER_LAST < (int)DELIVER_SETTLE, "each has a number of its own");
struct msg_deliver {
    uint64_t owner; /* replica whose share is missing, or one of those */
};

/*
 * Anti-entropy (actors/anti_entropy.h). Digests are of what the sender holds of the paths of which
 * the receiver is a replica too: of all, of 256 ranges of leaves, or of the 256 leaves of a range.
 */
enum {
    DIGEST_BYTES = 16,
    RANGES = 256,                 /* of leaves */
    RANGE_LEAVES = 256,           /* in each */
    DIFFERING_BYTES = RANGES / 8, /* a bit for each */
    ENTRIES_MAX = 32,             /* of a message */
    ENTRIES_BYTES_MAX = ENTRIES_MAX * 768,
    PATH_KEY_BYTES_MAX = 1 + TENANT_BYTES_MAX + 2 + NAME_BYTES_MAX,
};
enum compare_level { COMPARE_ALL = 0, COMPARE_RANGES = 1, COMPARE_LEAVES = 2 };
struct msg_compare {
    enum compare_level level;
    uint64_t range;       /* LEAVES: of which range; else 0 */
    struct bytes digests; /* one, or 256 in order */
};
struct msg_compared {
    enum compare_level level; /* echoed */
    uint64_t range;           /* echoed */
    bool ready;               /* the sender's digests are whole; else nothing is said */
    uint8_t differing[DIFFERING_BYTES];
};
struct msg_ask_entries {
    uint64_t leaf;
    struct bytes
        after; /* key of the path, without table and leaf, after which to begin; empty: from
                           the first */
};
struct msg_entries {
    uint64_t leaf;      /* echoed */
    struct bytes until; /* key of the path up to which this is all; empty: to the end of the leaf */
    struct bytes entries; /* path_entries_encode() */
};
/* Pages are bounded in rows and in bytes: a page ends once it has RECOVER_PAGE_BYTES. */
enum { RECOVER_PAGE_ROWS = 32, RECOVER_PAGE_BYTES = 1024 * 1024 };
struct msg_recover {
    uint8_t config_hash[HASH_BYTES];
    uint64_t incarnation; /* the sender's new one */
    uint8_t store_id[STORE_ID_BYTES];
    struct bytes cursor; /* key of the last row of the page before; empty: from the first */
    bool only;           /* this path alone: the cursor is its own key, or of one of its versions */
};
struct msg_recovered {
    uint64_t incarnation; /* these three are echoed: the page is for that incarnation alone */
    uint8_t store_id[STORE_ID_BYTES];
    struct bytes cursor;
    enum refusal refusal;   /* NOT_READY: recovering itself, or not sure of its own store yet */
    struct bytes next;      /* cursor of the next page */
    bool done;              /* there is none */
    struct bytes known;     /* incarnations of all nodes as the sender knows them, 8 bytes each */
    struct bytes items;     /* bytes_list of encoded HANDOVER messages */
    struct ballot promised; /* the sender has promised nothing above it, on any path */
};
/* What an item of a handover says. Wire values. */
enum handover_kind {
    HANDOVER_HEAD = 0,    /* the head, perhaps with one of its versions */
    HANDOVER_UNKNOWN = 1, /* what was accepted there has been forgotten: its row does not verify */
    HANDOVER_SETTLED = 2, /* of this node's own: enough others have handed over the path */
};
struct msg_handover {
    struct accepted accepted;
    struct bytes version, dealing, boxes; /* of one version; empty: the head alone */
    enum handover_kind kind;
};
struct msg_handed {
    enum refusal refusal; /* BUSY: again */
};
struct msg_help {
    uint64_t version;
    uint8_t version_id[ID_BYTES];
    bool records;             /* version record and public part are wanted */
    uint64_t helpers;         /* bit j: replica j; 0: no share is wanted */
    struct pair_key_ids keys; /* of the helpers */
};
struct msg_helped {
    enum helped_outcome outcome;
    uint64_t version;
    uint8_t version_id[ID_BYTES];
    struct bytes contribution; /* blinded: crypto/share_recovery.h */
    struct bytes record, dealing;
};
struct msg_check {
    uint64_t version; /* 0: that of the head, and the row of the path itself */
    uint8_t version_id[ID_BYTES];
    bool scrub; /* whether or not something is known to be lacking */
};
struct msg_checked {
    enum checked_outcome outcome;
    uint64_t version;
    uint8_t version_id[ID_BYTES];
    uint64_t rows, bytes; /* read for it */
};
/*
 * Names of a tenant, in the order of their bytes (proto/names.h). A page says up to which name it
 * is everything that the sender keeps.
 */
struct msg_scan {
    struct bytes tenant;
    struct bytes prefix, after; /* empty: any; from the first */
    uint64_t limit;             /* 1..SCAN_NAMES_MAX */
    struct bytes credential;
};
enum { SCAN_NAMES_MAX = 256, SCAN_NAMES_BYTES_MAX = SCAN_NAMES_MAX * (NAME_BYTES_MAX + 64) };
struct msg_scanned {
    enum refusal refusal;
    struct bytes until; /* empty: to the end */
    struct bytes names; /* listed_names_encode() */
    /* One: the sender's own. It holds no path of which it could name the replicas. */
    struct incarnations incarnations;
};

struct msg_anchor {
    struct bytes head; /* audit/block.h */
};
struct msg_anchored {
    uint8_t epoch[16];
    uint64_t size;
};

/* Reading trails (actors/trail_reader.h). Wire values. */
enum trail_matter {
    TRAIL_RECORDS = 0, /* records that match the query: audit_found_put(), one after the other */
    TRAIL_BLOCKS = 1,  /* whole blocks: bytes_list */
    TRAIL_HEADS = 2,   /* heads of the trail of `node`: bytes_list */
};
enum { TRAIL_BLOCKS_MAX = 256, TRAIL_HEADS_MAX = 512 };
struct msg_trail {
    enum trail_matter matter;
    uint64_t node;          /* HEADS; else 0 */
    uint64_t block, record; /* where to begin: audit_position */
    uint64_t limit;         /* RECORDS: 1..AUDIT_PAGE_RECORDS_MAX; else 1 */
    struct bytes query;     /* RECORDS: audit_query_encode() */
    struct bytes credential;
};
struct msg_trailed {
    enum refusal refusal;
    struct bytes items;
    uint64_t block, record; /* where to go on */
    bool more;              /* there is something to go on with */
};

/* Local ones. */
struct msg_request {
    const struct request *request; /* borrowed until its REPLY effect */
    uint64_t exchange;             /* names the exchange in the REPLY effect */
    uint64_t sweep_ms;             /* no request: the time of the sweep that is proposed; 0: none */
};
struct msg_stored {
    uint64_t tag; /* of the STORE effect */
    enum vault_err
        err; /* OK: done as far as the effect needs. ERR_DISK_FULL, ERR_IO: nothing changed */
};
struct loaded_row {
    struct bytes key;
    struct bytes value;
    bool found; /* LOAD; always true for SCAN */
};
struct msg_loaded {
    uint64_t tag;                  /* of the LOAD or SCAN effect */
    enum vault_err err;            /* ERR_CORRUPT, ERR_IO */
    const struct loaded_row *rows; /* LOAD: one for each key, in order */
    size_t count;
    bool more; /* SCAN */
    /*
     * LOAD: the row that was to come along. Not found: there is none, or it was not read, for
     * whatever reason.
     */
    struct loaded_row along;
};
struct msg_timer {
    uint64_t tag; /* of the TIMER effect */
};
struct msg_peer_up {
    const struct signing_public *signing; /* proven; borrowed; NULL: not known */
};

struct msg {
    enum msg_kind kind;
    uint8_t from, to;        /* node numbers, set from the authenticated link; not encoded */
    uint64_t op;             /* correlates question and answer: chosen by who asks, echoed */
    struct bytes request_id; /* of the client's request, for logs; empty for background work */
    struct path path;        /* empty views where msg_has_path() is false */
    union {
        struct msg_vote vote;
        struct msg_voted voted;
        struct msg_write write;
        struct msg_written written;
        struct msg_chosen chosen;
        struct msg_erased erased;
        struct msg_known known;
        struct msg_read read;
        struct msg_state state;
        struct msg_fetch fetch;
        struct msg_fetched fetched;
        struct msg_list list;
        struct msg_versions versions;
        struct msg_share share;
        struct msg_shared shared;
        struct msg_heartbeat heartbeat;
        struct msg_deliver deliver;
        struct msg_compare compare;
        struct msg_compared compared;
        struct msg_ask_entries ask_entries;
        struct msg_entries entries;
        struct msg_recover recover;
        struct msg_recovered recovered;
        struct msg_handover handover;
        struct msg_handed handed;
        struct msg_help help;
        struct msg_helped helped;
        struct msg_check check;
        struct msg_checked checked;
        struct msg_scan scan;
        struct msg_scanned scanned;
        struct msg_anchor anchor;
        struct msg_anchored anchored;
        struct msg_trail trail;
        struct msg_trailed trailed;
        struct msg_request request;
        struct msg_stored stored;
        struct msg_loaded loaded;
        struct msg_timer timer;
        struct msg_peer_up peer_up;
    } u;
};

/* Where a message of that kind has its struct incarnations; 0: it carries none. */
size_t msg_incarnations_at(enum msg_kind kind);

/*
 * Appends the encoding. Errors: ERR_UNEXPECTED local or unknown kind, ERR_TOO_LARGE, ERR_NOMEM,
 * ERR_RANGE anything else that msg_decode would refuse; `out` is as before then.
 */
MUST_CHECK enum vault_err msg_encode(const struct msg *msg, struct buf *out);
/*
 * Views of *out are borrowed from `encoded`; from and to are left 0. All zero on error.
 * Errors: ERR_MALFORMED.
 */
MUST_CHECK enum vault_err msg_decode(struct bytes encoded, struct msg *out);
/*
 * A message of the first list that does not leave the node: what encoding and decoding would give,
 * in memory of `arena`, without doing either. Errors: ERR_UNEXPECTED, ERR_TOO_LARGE, ERR_NOMEM;
 * *out is not to be used then.
 */
MUST_CHECK enum vault_err msg_copy(const struct msg *msg, struct arena *arena, struct msg *out);

#endif
