/* Private to the files of the shard store. */
#ifndef OSTRAKA_ACTORS_SHARD_INTERNAL_H
#define OSTRAKA_ACTORS_SHARD_INTERNAL_H

#include <stdlib.h>

#include "actors/shard_store.h"
#include "crypto/storage_key.h"
#include "proto/group.h"
#include "proto/record_path.h"

enum {
    HORIZON_AHEAD_MS = 10000, /* how far a new horizon reaches */
    HORIZON_MOVE_MS = 3000,   /* it is moved when it has come nearer by so much */
    HORIZON_LOOK_MS = 250,    /* how often that is looked at */
    ACCEPTED_SLACK_MS = 1000, /* but never those so close to what the path has accepted */
    MANNERS_MS_MAX = 60,      /* where WRITEs are late: of a busy cluster */
    MANNERS_MS = 20,          /* how long a voter waits for the write of whom it voted for */
    DELIVER_QUIET_MS = 1000,  /* escrow of a path touched later than that is still in flight */
    ACCEPT_CHANGES_MAX = 96,  /* rows that come and go with one head */
    SHARD_ROWS_MAX = 160,     /* version rows of a path looked at in one go */
};

enum shard_stage { SHARD_NEW, SHARD_LOADING, SHARD_IDLE, SHARD_LOADING_ROWS, SHARD_STORING };

/* A message that waits: its own copy. */
struct shard_waiting {
    struct shard_waiting *next;
    struct buf frame;
    struct msg msg; /* decoded from frame */
};

struct shard_queue {
    struct shard_waiting *first, *last;
    size_t count;
};

/* What of the accepted head is needed at hand, so that it is not decoded for every message. */
struct head_summary {
    uint8_t id[ID_BYTES];
    uint8_t prev[ID_BYTES];
    uint64_t generation;
    enum head_kind kind;
    uint64_t version, oldest_version;
    uint8_t version_id[ID_BYTES];
    uint8_t incarnation[INCARNATION_BYTES];
    bool pending;
    bool brings_version; /* head_brings_version() */
    uint64_t soft_deleted, destroyed, max_versions, expires_at_ms;
    uint64_t forget_after_ms; /* sweep_forget_after() */
    size_t earlier_count;     /* head_earlier_count() */
};

/* The path row with memory of its own. */
struct shard_row {
    struct path_row row; /* row.head points into memory */
    struct buf memory;
    struct head_summary head;
};

struct shard_answer {
    struct msg msg;
    uint8_t request_id[REQUEST_ID_BYTES_MAX];
};

/*
 * Most of those that are in memory are at rest, and many: what is only needed while a message is
 * handled has memory of its own.
 */
struct shard_path {
    struct path_link link;    /* first: kept in shard_store.paths */
    struct replicas replicas; /* of the path: they do not change while the node runs */
    uint32_t slot;
    enum shard_stage stage;
    bool corrupt; /* its path row does not verify: nothing is answered but that */
    bool clean;   /* no version row but those of the accepted head's chain */
    /*
     * Not clean, since a version of the chain is missing here: what lies below it cannot be judged
     * before that has come, and all else has been.
     */
    bool judged;
    /*
     * Clean or judged, but for the versions from here to the oldest kept: notices that would have
     * dropped them never came; 0: none.
     */
    uint64_t drops_from;
    /*
     * Told by what was accepted on top of what: no version row is here but those of the chain, of
     * which some may be missing, and of `doubtful` versions.
     */
    bool pure;
    /*
     * Bit version % 64: of a kept version; a head that brought it was replaced here before it was
     * known whether it is chosen.
     */
    uint64_t doubtful;
    bool swept; /* nothing is here, but a row that is forgotten still lies on the disk */
    struct ballot promised;
    struct instant promised_at;
    bool awaiting_write;    /* voted for, and its WRITE has not come */
    struct instant touched; /* when it last voted, or its head changed */
    struct shard_row row;   /* stored; state ABSENT when there is none */
    struct shard_row *next; /* becomes `row` when the batch is stored; NULL: none was begun */
    struct buf left; /* memory of the row that was forgotten: effects of this step may borrow it */
    bool has_next;
    bool next_clean, next_judged, next_pure;
    uint64_t next_doubtful;
    uint64_t next_drops_from;
    bool making; /* `next` is on its way to the disk, and will be its first row */
    struct shard_queue queue;
    struct shard_late *late;   /* what waits for the next WRITE; NULL: nothing does */
    struct shard_queue parked; /* votes that wait for another's write */
    bool park_timer;
    struct shard_waiting *current; /* message whose rows are being loaded */
    struct bytes box;              /* DELIVER: found, while the other rows are loaded */
    struct buf box_memory;
    struct row_key *box_key;     /* the row of boxes that `box` is of, or HANDOVER has looked for;
                                  NULL: none yet. Rarely there: a key is larger than all else */
    struct shard_check *check;   /* CHECK: what has been found so far; NULL: none */
    struct shard_answer *answer; /* sent when the batch is durable; NULL: none */
    enum { DOUBT_STAYS, DOUBT_BEGINS, DOUBT_ENDS } doubt; /* with the batch that is being stored */
    uint8_t claimed_id[ID_BYTES]; /* head that some call chosen without proof */
    struct ballot claimed_at;
    unsigned claimed_by;     /* bit per node */
    uint16_t offer_from;     /* bit per node: who has handed over the offer that is RECEIVED */
    uint64_t before_version; /* of the head that the accepted one has replaced; 0: not known */
    uint8_t before_version_id[ID_BYTES];
    struct buf before_earlier;   /* ids of the versions that came with that one, oldest first */
    uint8_t before_id[ID_BYTES]; /* that head */
    struct bucket *bucket;       /* borrowed; NULL: not asked for yet, see shard_bucket() */
    struct kept_rows *kept;      /* of the accepted head's version; NULL: none */
};

static inline void
shard_forget_next(struct shard_path *path)
{
    path->has_next = false;
    if (!path->next)
        return;
    buf_close(&path->next->memory);
    free(path->next);
    path->next = NULL;
}

static inline void
shard_forget_answer(struct shard_path *path)
{
    free(path->answer);
    path->answer = NULL;
}

static inline void
shard_forget_box(struct shard_path *path)
{
    path->box = (struct bytes){0};
    free(path->box_key);
    path->box_key = NULL;
}

/* One message in the hands of its handler. */
struct shard_work {
    struct shard_store *s;
    const struct step *st;
    struct shard_path *path;
    const struct msg *msg;
    const struct msg_loaded *rows;  /* NULL until loaded */
    const struct loaded_row *along; /* came with the path row; NULL: nothing did */
    struct effects *out;
    uint64_t vouched; /* CHOSEN: replicas whose writes are proven, bit per replica */
};

/* Tags of the shard store's effects: what for, and of which path. */
enum shard_tag {
    SHARD_TAG_PATH = 1,
    SHARD_TAG_HORIZON = 2,
    SHARD_TAG_HORIZON_TIMER = 3,
    SHARD_TAG_PARKED = 4,
    SHARD_TAG_PUMP = 5,
    SHARD_TAG_NODE = 6,
    SHARD_TAG_RECOVERY = 7,
    SHARD_TAG_DOUBTS = 8
};
static inline uint64_t
shard_tag(enum shard_tag what, uint32_t slot)
{
    return ((uint64_t)what << 32) | slot;
}

/* shard_node.c: horizon and incarnation */
void shard_node_announce(struct shard_store *s); /* what others see of the durable facts */
void shard_horizon_move(struct shard_store *s, const struct step *st, struct effects *out);
void shard_on_horizon_stored(struct shard_store *s, const struct step *st, enum vault_err err,
                             struct effects *out);
void shard_on_node_stored(struct shard_store *s, const struct step *st, enum vault_err err,
                          struct effects *out);

/* shard_doubt.c: paths in doubt */
void shard_doubts_load(const struct step *st, struct effects *out);
void shard_doubts_loaded(struct shard_store *s, const struct step *st,
                         const struct msg_loaded *rows, struct effects *out);
void shard_doubts_changed(struct shard_store *s); /* how many there are, for those who look on */
/*
 * The row of the path does not verify. *news: that was not known. Errors: ERR_NOMEM, and it is not
 * known then.
 */
MUST_CHECK enum vault_err shard_doubt_notice(struct shard_store *s, const struct step *st,
                                             struct path path, bool *news);
/* Something whole has taken the place of the row. */
void shard_doubt_replaced(struct shard_store *s, struct path path);
void shard_doubt_begin(struct shard_work *w);
void shard_doubt_end(struct shard_work *w);
void shard_doubt_stored(struct shard_store *s, struct shard_path *path, enum vault_err err);
/* The rows of all that are not durable yet; they are, when the new incarnation is. */
MUST_CHECK bool shard_doubts_mend(struct shard_store *s, const struct step *st,
                                  struct store_change *list, size_t *count);
void shard_doubts_mended(struct shard_store *s, enum vault_err err);

/* shard_work.c: asking for rows, storing, answering */
/* Copies the row. Errors: ERR_NOMEM, ERR_MALFORMED head. */
MUST_CHECK enum vault_err shard_row_set(struct shard_row *to, const struct path_row *row);
void shard_need_rows(struct shard_work *w, const struct row_key *keys, size_t count);
/* With the one row that is being loaded the path's newest version row may come. */
void shard_rows_along(struct shard_work *w);
void shard_need_versions(struct shard_work *w, enum row_table table, size_t limit);
/*
 * Stores the batch; `next` (already in path->next when has_next) takes effect and the answer leaves
 * when it is durable. Where a key is empty, since there was no memory for it, nothing is stored,
 * and the result is false: it is as if the message had been lost.
 */
bool shard_commit(struct shard_work *w, const struct store_change *changes, size_t count);
/*
 * The batch just handed over need only be visible: `next` takes effect as soon as it is, and both may
 * be lost in a crash.
 */
void shard_commit_may_be_lost(struct shard_work *w);
/* The answer to w->msg, to be filled; leaves at once (send) or with the batch (defer). */
struct msg *shard_answer_now(struct shard_work *w, enum msg_kind kind);
struct msg *shard_answer_later(struct shard_work *w, enum msg_kind kind);
void shard_incarnations(const struct shard_work *w, struct incarnations *out);
void shard_accepted(const struct shard_path *path, struct accepted *out);
/* Begins path->next with that content. Errors: ERR_NOMEM, ERR_MALFORMED head. */
MUST_CHECK enum vault_err shard_next_row(struct shard_path *path, struct ballot ballot,
                                         enum accepted_state state, struct bytes head, bool erased);
/*
 * The same. `known`: of that very head, which then is not decoded and hashed again; or NULL.
 */
MUST_CHECK enum vault_err shard_next_row_of(struct shard_path *path, struct ballot ballot,
                                            enum accepted_state state, struct bytes head,
                                            const struct head_summary *known, bool erased);
/* `id`: the head's. */
void shard_summarise(const struct head *head, const uint8_t id[static ID_BYTES],
                     struct head_summary *out);
/* What proves the head of path->next; without it, what proved the same head before. ERR_NOMEM. */
MUST_CHECK enum vault_err shard_next_proof(struct shard_path *path, struct bytes proof);
bool shard_ballot_too_far(const struct shard_work *w, struct ballot b);
struct bytes shard_key_copy(const struct shard_work *w,
                            const struct row_key *key); /* in the step's arena; empty: no memory */
/* `key` may be what shard_key_copy() gave: shard_commit() sees to it that it is there. */
struct store_change *shard_change(struct store_change *list, size_t *count,
                                  enum store_change_kind kind, struct bytes key,
                                  struct bytes value);
/* The row belongs into table 'u'. */
bool shard_is_unsettled(const struct shard_row *row);
/* One to seven changes: with the rows of tables 'u', 'e', 'x', 'l' and 'i', where they come or go. */
MUST_CHECK enum vault_err shard_put_path_row(struct shard_work *w, struct store_change *list,
                                             size_t *count);
enum { SHARD_DROPS_MAX = 16 }; /* versions that one notice drops without looking for them */
enum { SHARD_CHANGES_MAX = 5 * SHARD_ROWS_MAX + 3 * SHARD_DROPS_MAX + 16 };

/* One handler per message; each answers, asks for rows, or stores. */
void shard_on_vote(struct shard_work *w);
/* Another coordinator was voted for a moment ago, and has not written yet. */
bool shard_awaits_another(const struct shard_work *w, struct ballot ballot);
/*
 * By this node's own tally one more secret may be made. One that is here makes none more, and
 * whoever votes to finish adds nothing that was not voted for before.
 */
bool shard_fits_tenant(struct shard_work *w, enum change_kind purpose,
                       const uint8_t op_id[static OP_ID_BYTES]);
/* shard_offer.c: w->msg is a WRITE at an offer's ballot, of that head; `author` of its version. */
enum refusal shard_offer_allowed(struct shard_work *w, const struct head *head,
                                 struct bytes author);
void shard_note_offer(const struct shard_work *w, const char *outcome);
void shard_on_write(struct shard_work *w);
void shard_on_chosen(struct shard_work *w);
void shard_on_ask_erased(struct shard_work *w);
void shard_on_read(struct shard_work *w);
void shard_on_fetch(struct shard_work *w);
void shard_on_list(struct shard_work *w);
void shard_on_share(struct shard_work *w);
void shard_on_shared(struct shard_work *w);
void shard_on_deliver(struct shard_work *w);
void shard_on_erased(struct shard_work *w);
void shard_spread_erasure(struct shard_work *w);
void shard_on_handover(struct shard_work *w);

/* shard_group.c: the versions that a head makes before its latest */
/* Keys of the rows, in these tables, of all versions that the head has made: the latest first. */
MUST_CHECK bool shard_brought_keys(struct shard_work *w, const struct head *head,
                                   const enum row_table *tables, size_t table_count,
                                   struct row_key **out, size_t *count);
/*
 * Ids of the versions that the head accepted here made before its latest, oldest first; a view of
 * it. False: no memory.
 */
MUST_CHECK bool shard_earlier_of_own(struct shard_work *w, struct bytes *out);
/* All of them are for this node's configuration, and give its place `x` a share. */
MUST_CHECK bool shard_group_is_ours(struct shard_work *w, const struct group *group, uint8_t x);
/* Appends their rows, with the own shares. Errors: ERR_NOMEM, ERR_CORRUPT: a box does not open. */
MUST_CHECK enum vault_err shard_group_put(struct shard_work *w, const struct group *group,
                                          uint8_t x, struct store_change *list, size_t *count);
/* Own shares of all are in w->rows, from the second on, and good. */
bool shard_group_is_held(struct shard_work *w, const struct group *group);
/* Encoded, from the rows of that many behind those of the latest: 'v', 'd' and 'b' of each. */
MUST_CHECK bool shard_group_copy(struct shard_work *w, size_t count, struct bytes *out);

/* shard_check.c: what this node has of a version, and whether it is whole */
void shard_on_check(struct shard_work *w);
void shard_check_refused(struct shard_work *w, enum refusal refusal);
void shard_check_free(struct shard_path *path);
/* Appends the row that says that something of the version is lacking here. False: no memory. */
MUST_CHECK bool shard_put_need(struct shard_work *w, uint64_t version,
                               const uint8_t version_id[static ID_BYTES], struct store_change *list,
                               size_t *count);
/* The version rows that were loaded contain that one, with a share. */
bool shard_rows_have_share(const struct shard_work *w, uint64_t version,
                           const uint8_t version_id[static ID_BYTES]);

/* shard_recover.c: getting back what is lacking */
struct lacking {
    uint64_t version;
    uint8_t version_id[ID_BYTES];
    bool records;      /* version record or dealing; else the own share alone */
    uint8_t threshold; /* of the dealing, when that is here */
};
void shard_recover(struct shard_work *w, const struct lacking *lacking);
void shard_recovery_end(struct shard_work *w, uint64_t version,
                        const uint8_t version_id[static ID_BYTES]);
void shard_recovery_timer(struct shard_store *s, uint32_t what, struct effects *out);
void shard_recoveries_close(struct shard_store *s);
void shard_on_helped(struct shard_work *w);
/* shard_help.c: the helper's side */
void shard_on_help(struct shard_work *w);

/* A refusal of whatever kind answers w->msg; nothing for messages that have no answer. */
void shard_refuse(struct shard_work *w, enum refusal refusal, struct ballot beat);

/* A copy of a message that is to wait; NULL: no memory. */
struct shard_waiting *shard_waiting_of(const struct msg *msg);
void shard_waiting_free(struct shard_waiting *waiting);
/* It was handled: effects of this step may borrow from it. */
void shard_waiting_done(struct shard_store *s, struct shard_waiting *waiting);
void shard_queue_push(struct shard_queue *queue, struct shard_waiting *waiting);
/* A vote before those for higher ballots, anything else at the end. */
void shard_queue_take(struct shard_queue *queue, struct shard_waiting *waiting);
/* Asks for a durable horizon of at least that. */
void shard_horizon_reach(struct shard_work *w, uint64_t horizon_ms);

/* shard_vote.c */
void shard_unpark(struct shard_store *s, struct shard_path *path);
/* The WRITE has come for which this node voted last. */
void shard_note_write(struct shard_store *s, const struct step *st, const struct shard_path *path);
struct duration shard_manners(const struct shard_store *s);
void shard_park_timer(struct shard_path *path, struct effects *out, struct duration after);
void shard_park_over(struct shard_store *s, const struct step *st, struct shard_path *path,
                     struct effects *out); /* the timer has run */

/* shard_prune.c: which version rows the chain of a head does not contain */
struct chain_head {
    uint64_t version, oldest_version;
    const uint8_t *version_id;
    const uint8_t *incarnation;
    uint64_t destroyed; /* versions of which the record alone is kept */
};
struct chain_head shard_chain_of(const struct head_summary *head);
struct chain_head shard_chain_of_head(const struct head *head); /* borrows from it */
/*
 * Appends deletions of rows ('v', 'd', 'b') that cannot belong to the chain, and of all but the
 * record of destroyed versions. `rows` are all version rows of the path, newest first. *whole tells
 * whether the chain was followed down to the oldest kept version without a gap.
 */
/*
 * What fell out with the accepted head, from the version before the oldest that is kept on, goes in
 * one change for each. False: it may take more, and nothing was done.
 */
bool shard_drop_fallen(struct shard_work *w, struct store_change *list, size_t *count);
/* The first that may have fallen out with a head that made so many versions before its latest. */
static inline uint64_t
shard_first_fallen(uint64_t oldest_version, size_t earlier_count)
{
    return oldest_version > earlier_count + 1 ? oldest_version - 1 - earlier_count : 1;
}

/* shard_notice.c: what need not be done before the next WRITE comes */
bool shard_notice_waits(struct shard_work *w, const struct head *head); /* else it is handled now */
/*
 * All replicas have that version, and those before it whose ids are `earlier`: the boxes of all may
 * go. False: they must go now.
 */
bool shard_boxes_wait(struct shard_work *w, uint64_t version, const uint8_t id[static ID_BYTES],
                      struct bytes earlier);
/* Removes the boxes of the same versions. */
void shard_drop_boxes(struct shard_work *w, uint64_t version, const uint8_t id[static ID_BYTES],
                      struct bytes earlier, struct store_change *list, size_t *count);
/* Into the batch of that WRITE; after shard_judge_rows(). */
void shard_late_carry_out(struct shard_work *w, const struct head *next, struct store_change *list,
                          size_t *count);
/* No WRITE has come. */
void shard_late_over(struct shard_work *w);
void shard_late_free(struct shard_path *path);

/*
 * After shard_next_row(): what is known of the rows here (`pure`, `doubtful`) once that head stands on
 * top of them. `same`: it does already.
 */
void shard_judge_rows(struct shard_path *path, bool same, const struct head *head);
/* All of them have been compared with the chain, or there are none. */
void shard_rows_are_pure(struct shard_path *path);
MUST_CHECK enum vault_err shard_prune_to_chain(struct shard_work *w, const struct chain_head *head,
                                               struct store_change *list, size_t *count,
                                               bool *whole);
/* The same with `row`, which is about to be stored, among the rows. */
MUST_CHECK enum vault_err shard_prune_with(struct shard_work *w, const struct chain_head *head,
                                           const struct loaded_row *row, struct store_change *list,
                                           size_t *count, bool *whole);

/*
 * shard_chosen.c: appends the row that says who is known to have erased (bit per replica; none as
 * long as the tombstone is only accepted), so that the repairer goes on until all have.
 */
MUST_CHECK bool shard_put_erasure(struct shard_work *w, uint8_t mask, struct store_change *list,
                                  size_t *count);

/* shard_chosen.c: rewrites or removes an escrow row without the boxes of the replicas in `mask`. */
void shard_prune_boxes(struct shard_work *w, const struct row_key *key, struct bytes row,
                       uint64_t mask, struct store_change *list, size_t *count);

/* shard_share.c: own shares at rest */
MUST_CHECK enum vault_err shard_share_seal(struct shard_work *w, const struct row_key *key,
                                           struct bytes share, struct bytes *out);
/*
 * The version row with the own share sealed in it, and the dealing's public part if that is small,
 * in the step's arena. `share` and `dealing` may be empty.
 */
MUST_CHECK enum vault_err shard_version_row(struct shard_work *w, uint64_t version,
                                            const uint8_t version_id[static ID_BYTES],
                                            struct bytes record, struct bytes share,
                                            struct bytes dealing, struct loaded_row *out);
/*
 * Appends that row, and one of the dealing's own if the version row does not take it. `row`: what
 * shard_version_row() made with that dealing.
 */
MUST_CHECK enum vault_err shard_put_version(struct shard_work *w, uint64_t version,
                                            const uint8_t version_id[static ID_BYTES],
                                            const struct loaded_row *row, struct bytes dealing,
                                            struct store_change *list, size_t *count);
/* Appends a row of the dealing's own. */
MUST_CHECK enum vault_err shard_put_dealing(struct shard_work *w, uint64_t version,
                                            const uint8_t version_id[static ID_BYTES],
                                            struct bytes dealing, struct store_change *list,
                                            size_t *count);
/* The dealing's public part: of the version row, or of a row of its own; empty: it is not here. */
struct bytes shard_dealing_of(const struct version_row *row, const struct loaded_row *own);
MUST_CHECK enum vault_err shard_share_unseal(struct shard_work *w, struct bytes key,
                                             struct bytes sealed, struct bytes *out);

/* shard_shred.c: what is erased is to become noise in old pages too */
struct bucket *shard_bucket(const struct shard_work *w);
/*
 * When the batch deletes version rows: puts a copy of it, with the mark that the path's bucket is
 * dirty, in its place. False: no memory.
 */
MUST_CHECK bool shard_mark_dirty(struct shard_work *w, const struct store_change **changes,
                                 size_t *count);
/* What must be destroyed before the erasure that path->next tells of counts as shredded. */
void shard_note_keys(struct shard_work *w);
/* No key exists that opens what old pages have of the erased path, or boxes for this node. */
bool shard_is_shredded(const struct shard_work *w);
void shard_on_rewrap(struct shard_work *w);

/* Recipients, n and k are those of this node's configuration; *x: its own place among them. */
bool shard_dealing_is_ours(struct shard_work *w, const struct dealing *dealing, uint8_t *x);

/*
 * shard_share.c: the own share, `x`, of that version's dealing, out of its box, in the step's
 * arena. Empty: it does not open (`box` may be empty), does not match its commitment, or no memory.
 */
struct bytes shard_open_box(struct shard_work *w, const struct version_record *version,
                            const struct dealing *dealing, uint8_t x, struct bytes box);
/* shard_share.c: the sealed share under that key opens and matches its commitment. */
bool shard_share_is_good(struct shard_work *w, struct bytes key, struct bytes sealed,
                         const struct dealing *dealing);

/* The row under that version id among those that were loaded; NULL: none. */
const struct loaded_row *shard_loaded_version(const struct shard_work *w,
                                              const uint8_t version_id[static ID_BYTES]);
/* It holds a share that matches its commitment. */
bool shard_has_share(struct shard_work *w, const uint8_t version_id[static ID_BYTES],
                     const struct dealing *dealing);
/*
 * Whether the chain of the head contains the version: followed from the head down through the
 * records in w->rows. STORED: it does; OBSOLETE: it does not; LATER: a record above it is missing.
 */
enum shared_outcome shard_judge_chain(struct shard_work *w, const struct version_record *version,
                                      const uint8_t version_id[static ID_BYTES],
                                      const struct chain_head *head);

void shard_log(const struct shard_work *w, enum log_level level, const char *event,
               enum refusal refusal);

#endif
