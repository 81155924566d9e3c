/* Private to the files of the coordinator. */
#ifndef OSTRAKA_ACTORS_COORDINATOR_INTERNAL_H
#define OSTRAKA_ACTORS_COORDINATOR_INTERNAL_H

#include "actors/coordinator.h"
#include "proto/group.h"

enum job_phase {
    JOB_QUEUED,  /* another change of this path at this node comes first */
    JOB_GROUPED, /* another update of this path at this node makes its version, too */
    JOB_WAITING, /* back-off, or a short wait before asking again */
    JOB_VOTING,
    JOB_FETCHING, /* the whole of an unfinished change */
    JOB_WRITING,
    JOB_COLLECTING, /* answered; the rest of the replicas may still write */
    JOB_ERASING,
    JOB_READING,
    JOB_LISTING,
    JOB_ASKING,    /* progress of a deletion */
    JOB_GATHERING, /* a batch: its parts are under way */
    JOB_HELD,      /* member of a batch: does nothing until the batch tells it to */
    JOB_SETTLING,  /* asks for the record of the batch of a pending head */
    JOB_NAMING,    /* a list of names: pages are asked for, or its parts are under way */
    JOB_SPREADING, /* an identity record is chosen: until nobody decides by what was before */
    JOB_ENDED,
};

enum {
    VOTE_TIMEOUT_MS = 300, /* of the first round; doubles with each that gets no majority */
    VOTE_TIMEOUT_MS_MAX = 2400,
    PATIENCE_MS = 25, /* for silent voters when one has refused: a parked vote and a little more */
    WRITE_AGAIN_MS = 300, /* a WRITE without an answer is sent again, the same bytes */
    BACKOFF_MS_FIRST = 5, /* whoever is refused waits a random time up to it, doubling */
    BACKOFF_MS_MAX = 150,
    BACKOFF_MS_MAX_BACKGROUND = 1000,
    CHOSEN_DELAY_MS = 50,  /* for the slower replicas' WRITTEN before CHOSEN is sent */
    COLLECT_MS = 1000,     /* and how long they may come after that */
    OFFER_WAIT_MS = 100,   /* for all replicas to take an offer */
    OFFER_PAUSE_MS = 1000, /* no offers when one of them did not */
    ERASE_EXTRA_MS = 20,   /* for the last replicas when enough have erased */
    HEDGE_MS_MIN = 2,
    HEDGE_MS_MAX = 20,
    HEDGE_GRAIN_MS = 1,
    READ_AGAIN_MS = 2, /* 2, 4, 8 for a head that is not known chosen */
    READ_TRIES = 3,
    READ_TIMEOUT_MS = 250,  /* a READ without an answer is sent again */
    READ_DOUBLINGS_MAX = 3, /* of that time */
    REPAIR_TRIGGER_BUFFER = 1,
    OP_REMEMBERED_MS = 24 * 60 * 60 * 1000,
    BATCH_LEASE_MS = 1000, /* how long a batch may be met undecided before it is aborted */
    SETTLE_AGAIN_MS = 50,
    JUDGE_MS = 10, /* for more votes when a majority does not show h* to be chosen */
    JOB_ARENA_BYTES_MAX = 24 * 1024 * 1024,
};

/* What one replica has said in the present round. Views are in the round's arena. */
struct answer {
    bool asked, answered;
    enum refusal refusal;
    struct ballot beat; /* VOTED: that the refusal names; else none */
    struct accepted accepted;
    uint8_t head_id[ID_BYTES];     /* of accepted.head */
    struct bytes version, dealing; /* STATE */
    struct secret share;           /* STATE: slot in the secrets arena */
    enum share_state share_state;
    struct bytes records; /* VERSIONS */
    bool written, erased, shredded;
    uint64_t incarnation;            /* of the store that answered */
    struct bytes macs, written_macs; /* VOTED, WRITTEN: what it vouches for */
    bool checked; /* STATE of this node's own store: version and dealing are those of checked_id */
    uint8_t checked_id[ID_BYTES];
    bool as_known; /* STATE: version and dealing are those of the job's known_id */
};

/* One secret of a batch, and the job that is reading it. */
struct batch_part {
    struct request request; /* of its job */
    struct job *job;        /* under way; NULL: none */
    bool wanted;            /* in this round */
    bool changed;           /* its head is not the one that its value was read with */
    uint8_t head_id[ID_BYTES];
};

/*
 * A batch that reads: values of all, then all heads again until they are what they were, so that
 * there is a moment at which all the values were there together.
 */
struct batch {
    struct batch_part *parts;
    struct item_result *results;
    size_t count;
    size_t next; /* first part that may have to be started in this round */
    size_t under_way;
    size_t value_bytes; /* of all results */
    bool comparing;     /* this round looks at heads only */
    unsigned rounds;    /* of comparing */
};

/* What a job is for. */
enum job_role {
    ROLE_ALONE,
    ROLE_READ_PART, /* of a batch that reads */
    ROLE_MEMBER,    /* of a batch that creates */
    ROLE_RECORD,    /* reads or creates the record of a batch for its parent */
    ROLE_NAME_PART, /* of a list of names: finds out whether one of them is there */
    ROLE_SETTLER,   /* background: takes the mark off a member, or makes it void */
    ROLE_SWEEP,     /* moves the time of the sweep; nobody is answered */
};

/* A member of a batch that creates, in the order in which it comes through them. */
enum member_state {
    MEMBER_QUEUED,
    MEMBER_TURN,     /* first in its line */
    MEMBER_VOTING,   /* or finding out what it did under the same key before */
    MEMBER_FAILED,   /* ended: its result tells why */
    MEMBER_HAPPENED, /* ended: another attempt under the same key has made it */
    MEMBER_READY,    /* held with its votes */
    MEMBER_WRITING,
    MEMBER_WRITTEN, /* its pending head is chosen */
};

struct create_member {
    struct request request; /* of its job; borrows from the batch's, until that is answered */
    struct job *job;        /* or the one that settles it; NULL: none */
    enum member_state state;
    bool known_before; /* READY: there is a head on its path */
};

enum create_stage { STAGE_HOLDING, STAGE_WRITING, STAGE_DECIDING, STAGE_SETTLING, STAGE_CLOSING };

/* A batch that creates. In the job's arena. */
struct batch_create {
    enum create_stage stage;
    uint8_t id[BATCH_ID_BYTES];
    struct create_member *members;
    struct item_result *results;
    size_t count;
    uint8_t *hashes; /* of the members' names, ascending */
    size_t next;     /* of the stage's walk over the members */
    size_t reported; /* READY, FAILED or HAPPENED while HOLDING */
    size_t failed;
    struct instant failed_at; /* the first */
    size_t written;
    size_t settling;  /* under way */
    bool waking;      /* its timer runs in the next step */
    bool unknown;     /* an attempt may have happened that is not known to have */
    bool asked_again; /* those that were READY, since others had happened */
    enum batch_decision wanted, decision;
};

/* A head with everything that a WRITE carries. Views are in the job's proposal_memory. */
struct proposal {
    struct bytes head, version, dealing, boxes;
    struct bytes group; /* versions before that one: proto/group.h */
    uint8_t head_id[ID_BYTES];
    struct ballot ballot;
    struct bytes proof, origin; /* of the votes; of those that another's change was written with */
    struct bytes chosen;        /* proof of the writes that chose it */
    bool offered;               /* the job's own offer: to be voted on as it is */
};

struct job {
    uint32_t slot;
    enum job_phase phase;
    struct job *next;  /* in its line, or in coordinator.done */
    struct line *line; /* where a change stands; NULL: in none */
    enum request_kind kind;
    bool background;               /* no client: finishes the path, nothing more */
    const struct request *request; /* borrowed until answered; NULL: background, or answered */
    uint64_t exchange;
    struct arena arena;           /* of the job */
    struct arena round;           /* of the present round */
    struct arena proposal_memory; /* of the present proposal */
    struct path path;
    struct bytes request_id, credential;
    struct bytes caller; /* whose credential it is, as known at the start */
    struct replicas replicas;
    struct incarnations incarnations; /* that the votes of this round come from; all n are listed */
    struct instant started, deadline;
    uint64_t op;    /* of the present round */
    uint64_t timer; /* only this phase timer counts */
    uint64_t deadline_tag;
    unsigned attempts; /* voting rounds, or tries of a read */
    uint8_t op_id[OP_ID_BYTES];
    bool keyed;     /* op_id comes from the client's Idempotency-Key */
    bool comparing; /* it has happened: reads what it wrote, to compare it with this request */
    struct ballot ballot;
    struct ballot beat;     /* highest that a refusal named */
    struct instant beat_at; /* when it did */
    struct answer answers[NODES_MAX];
    struct head *head;         /* h*, decoded; NULL: absent. In the round's arena */
    struct bytes head_encoded; /* of h* */
    struct ballot head_ballot; /* at which h* is accepted somewhere: the highest */
    uint8_t head_id[ID_BYTES];
    struct proposal proposal;
    bool finishing;         /* the proposal is another's change */
    bool resume_read;       /* after finishing, go on reading */
    bool write_left;        /* a WRITE of this job's own change has left */
    bool write_left_before; /* one of an earlier round has */
    bool looked;
    uint64_t first_generation; /* of the head when it first knew one; 0: nothing was there */
    bool impatient;            /* somebody has refused: the phase timer is short */
    bool contended;            /* some round was lost to another coordinator */
    bool disk_full;
    unsigned fetch_tried; /* bit per replica */
    uint64_t result_version, result_at_ms;
    bool chosen_sent;
    /* reads */
    uint64_t listed_version; /* that a list is asked for: the request's, or what a key has made */
    uint64_t want_version;   /* of an older version, once known */
    uint8_t want_version_id[ID_BYTES];
    uint64_t want_valid_to_ms;
    bool listed;                    /* the version wanted has been found in the chain */
    uint8_t seen_head_id[ID_BYTES]; /* head that was not known chosen at the last try */
    bool seen;
    bool pinned; /* the head seen turned out to be chosen: read its version */
    struct arena arena_pinned;
    struct bytes pinned_head; /* the head seen, in arena_pinned */
    bool head_only;           /* the value is not wanted */
    unsigned unfinished_tries;
    bool delivery_asked;
    bool past_threshold; /* ERASING: enough have erased, waiting a little for the rest */
    struct batch *batch; /* of several secrets; in the job's arena */
    struct job *parent;  /* the job that this one is a part of; NULL: none */
    size_t part;
    enum job_role role;
    struct batch_create *create; /* of a batch that creates */
    struct job *child;           /* ROLE_RECORD, under way for this job; NULL: none */
    struct bytes members;        /* ROLE_RECORD: hashes for the record; borrowed from the parent */
    enum job_phase settle_from;  /* SETTLING: what it goes on with */
    uint8_t batch_id[BATCH_ID_BYTES];     /* whose record has been asked for */
    enum batch_decision batch_decision;   /* what it says; ROLE_RECORD: to be created */
    bool settled;                         /* batch_decision is known */
    uint8_t undecided_id[BATCH_ID_BYTES]; /* batch met without a record */
    struct instant undecided_since;
    bool settling;  /* the proposal takes a mark off, or is a void */
    bool unmarking; /* FETCHING: the copy is to be written without its mark */
    /* An unfinished head of which no whole copy could be had: who reports it is passed over. */
    uint8_t passed_id[ID_BYTES];
    bool pass_next, passing;   /* in the next round of votes; in this one, and reads that follow */
    bool passed;               /* somebody was, in this round */
    struct names *names;       /* of a list of names; in the job's arena */
    enum change_kind purpose;  /* that the votes of this round were asked for */
    enum vault_err spread_err; /* SPREADING: what is answered then */
    struct instant spread_since; /* SPREADING: when the head was known to be chosen */
    unsigned silences; /* how often a READ has been sent again to those who had not answered */
    bool waited;       /* VOTING: for more votes than a majority, which may show h* to be chosen */
    bool erases;       /* is answered when enough have erased: a DELETE, an ALTER that destroys */
    bool knows;        /* READING: this node has record and dealing of the version of known_id */
    uint8_t known_id[ID_BYTES];
    struct job *leader;                   /* GROUPED: whose change makes the version */
    struct job *group[GROUP_EARLIER_MAX]; /* whose versions this job's change makes beside its own,
                                             which is the first; from when its WRITE leaves */
    size_t group_count;
};

/* Changes of one path at this node. */
struct line {
    struct path_link link; /* first */
    struct job *active;
    struct job *first, *last;
};

/* A job in the hands of a handler. */
struct work {
    struct coordinator *c;
    const struct step *st;
    struct job *job;
    struct effects *out;
};

/* coordinator.c */
/* NULL: no slot or no memory. */
struct job *job_new(struct coordinator *c, const struct step *st, const struct request *request);
void job_timer(struct work *w, struct duration after); /* replaces the phase timer */
void job_new_round(struct work *w);                    /* clears answers, new op */
struct msg *job_send(struct work *w, enum msg_kind kind, unsigned replica);
void job_reply(struct work *w,
               struct reply *reply); /* answers the client, if it has not been answered */
void job_fail(struct work *w, enum vault_err err); /* answers and ends */
void job_end(struct work *w);
void job_start_deadline(struct work *w);
void job_wait(struct work *w, struct duration how_long); /* phase WAITING, then job_resume */
void job_log(const struct work *w, enum log_level level, const char *event, enum vault_err err);

/* coordinator_line.c */
void job_enter_line(struct work *w); /* starts at once, or waits for its turn */
void job_leave_line(struct work *w); /* whoever is next has its turn */
void lines_close(struct coordinator *c);

/* coordinator_answers.c */
unsigned job_majority(const struct work *w);
struct answer *job_answer(struct work *w, const struct msg *in,
                          int *replica); /* NULL: not of this round, or repeated */
/* `named`: the head's id; NULL: it is not known yet. */
MUST_CHECK enum vault_err job_keep_accepted(struct work *w, struct answer *answer,
                                            const struct accepted *accepted, const uint8_t *named);
/*
 * Somebody who has answered in this round has become a new incarnation since: neither what the
 * older one answered counts nor what it reported.
 */
bool job_answers_outdated(const struct work *w);
unsigned job_good(const struct job *job); /* answered and not refused */
unsigned job_refused(const struct job *job);
unsigned job_refused_with(const struct job *job, enum refusal refusal);
/* What a caller is told whom a majority refuses (DENIED) after this node has let it in. Not OK. */
enum vault_err job_denied(const struct work *w);
/*
 * Somebody has refused, and those who may yet answer are too few: whoever is not connected is not
 * waited for then.
 */
bool job_is_lost(const struct work *w);

/*
 * Somebody has refused, and a majority may still come, from nodes that have not said anything: how
 * long they are waited for. A node that has just died is not known to be away at once.
 */
struct duration job_patience(const struct work *w);

/* coordinator_head.c */
enum head_knowledge { HEAD_IS_ABSENT, HEAD_IS_CHOSEN, HEAD_IS_UNFINISHED };
/*
 * h* among the good answers: decoded into job->head; whether it is known chosen. Errors: ERR_NOMEM,
 * ERR_MALFORMED.
 */
MUST_CHECK enum vault_err job_judge_head(struct work *w, enum head_knowledge *out);
/* Somebody reports an offer. With nothing to go by: one that is not chosen and will not be. */
bool job_saw_offer(const struct job *job);
bool head_precedes(
    const struct job *job,
    const uint8_t head_id[static ID_BYTES]); /* some answer's head names it as predecessor */

/* coordinator_proof.c: what the answers vouch for, gathered. Empty: no memory, or no keys. */
/* Into the proposal, from the votes of this round. */
/* What a vote for a change of an identity record carries; empty for all others. */
struct bytes job_record_value(const struct job *job);
void proof_of_votes(struct work *w);
/*
 * Proof that the proposal is chosen, from what has been written in this round; in the step's arena.
 */
struct bytes proof_of_writes(struct work *w);
/* Proof that h* is chosen, from the votes; *ballot is the one that it is for. */
struct bytes proof_of_head(struct work *w, struct ballot *ballot);
MUST_CHECK enum vault_err job_keep_macs(struct work *w, struct answer *answer, struct bytes macs,
                                        struct bytes written_macs);

/* coordinator_identity.c */
/* Proposes that time of the sweep. Nothing happens while a change of its record is under way. */
void identity_propose_sweep(struct coordinator *c, const struct step *st, uint64_t before_ms,
                            struct effects *out);
/* coordinator_vote.c */
void change_start_round(struct work *w);
/* A new ballot for the job. False: the horizon must be moved first. */
MUST_CHECK bool change_pick_ballot(struct work *w);
void job_must_beat(struct work *w, struct ballot beat);
void change_with_head(struct work *w); /* h* is known: absent or chosen */
void change_on_voted(struct work *w, const struct msg *in);
void change_on_fetched(struct work *w, const struct msg *in);
void change_back_off(struct work *w);
/* The caller may not, or not any more: an error, or unknown. */
void change_fail_denied(struct work *w, enum vault_err err);
void change_timeout(struct work *w);
void change_deadline(struct work *w);
void job_next_fetch(struct work *w);
/* coordinator_offer.c: a new secret written without votes */
bool offer_may_be_made(const struct work *w);
void offer_make(struct work *w);
/* Not all replicas have taken it: the change goes on by votes. */
void offer_failed(struct work *w);
bool offer_is_lost(const struct work *w);
/* With votes, where h* is absent or the offer itself. False: there was none, or it is not wanted. */
bool offer_vote_on(struct work *w);
/* coordinator_group.c: updates that wait behind each other, made by one change */
/* h* is known, and nothing of this job has left. */
void group_gather(struct work *w);
/* What the leader is answered is the answer to all. */
void group_replied(struct work *w, const struct reply *reply);
/* So many versions are not kept any more: nothing has happened to them. */
void group_fit(struct work *w);
/* coordinator_write.c */
/* A version of the path: the id of the one before it, and what makes it. */
struct version_plan {
    const struct request *request;
    uint64_t version, valid_from_ms;
    const uint8_t *prev; /* NULL: it is the first */
};
/* Into the proposal's memory. */
MUST_CHECK enum vault_err version_make(struct work *w, const struct head *next,
                                       const struct version_plan *plan, struct group_part *out,
                                       uint8_t id[static ID_BYTES]);
/* Those of the group, into the head and the proposal; *prev: the id of the last, for the latest. */
MUST_CHECK enum vault_err group_make(struct work *w, struct head *next, struct proposal *p,
                                     const uint8_t **prev);
void change_propose(struct work *w);
void change_propose_new(struct work *w);
void change_next_head(struct work *w, struct head *next); /* follows h*, but for what it says */
void change_take_limits(const struct work *w, struct head *next);
/* coordinator_ops.c: that result first, and after it what still matters of what `before` remembers. */
void change_remember_op(struct head *next, const struct head *before,
                        const struct op_result *result, uint64_t now_ms);
/* coordinator_write.c */
bool job_others_may_answer(const struct work *w); /* somebody who is connected has not yet */
void change_answer(struct work *w); /* the result, but of a delete: that is answered when enough
                                       have erased */
void change_start_erasing(struct work *w);
void change_write(struct work *w);
void change_on_written(struct work *w, const struct msg *in);
void change_on_erased(struct work *w, const struct msg *in);
void change_send_chosen(struct work *w, uint64_t written);
void change_write_timeout(struct work *w);
void change_erase_deadline(struct work *w);
bool job_is_shredded(const struct work *w, unsigned replicas);
/* coordinator_ask.c */
bool read_all_answered(const struct job *job);
bool read_all_asked(const struct job *job);
int read_nearest_unasked(const struct work *w); /* replica; -1: all have been asked */
struct duration read_hedge_delay(const struct work *w);
/* ERR_BUSY: the head is not known chosen yet, and the job has been sent to wait. */
MUST_CHECK enum vault_err read_settled_head(struct work *w);
bool read_cannot_succeed(struct work *w); /* too many refused: failed, or asks again later */
void read_absent(struct work *w);         /* what was asked for is not there: the end of the job */
/* By the clock of most nodes nothing is there any more. */
bool read_is_expired(const struct work *w, const struct head *head);
/* coordinator_batch.c */
void batch_start(struct work *w);
void batch_continue(struct work *w);
/* A part's answer; the part ends by itself. */
void batch_part_answered(struct work *w, const struct reply *reply);
void batch_abandon(struct work *w); /* ends all parts */
/* coordinator_create.c */
void create_start(struct work *w);
void create_continue(struct work *w);
void create_deadline(struct work *w);
void create_fail(struct work *w, enum vault_err err);
void create_decided(struct work *w, enum vault_err err, enum batch_decision decision);
/* Of members, or nothing if the job is none. */
void member_turn(struct work *w);
/* False: its batch has been answered, and it is held. Of all other jobs: true. */
bool member_may_go_on(struct work *w);
bool member_may_write(struct work *w);
void member_answered(struct work *w, const struct reply *reply);
void member_written(struct work *w);
bool member_found_own(struct work *w); /* h* is the batch's own pending head: it is done */
bool member_gives_way(struct work *w); /* to the undecided batch of h*: it has failed */
void settler_done(struct work *w);     /* if it is one */
/* coordinator_settle.c */
/*
 * Whether that chosen head counts: at once if that is known. False: the job has been sent to find
 * out, keeps what it has, and goes on by settle_continue.
 */
bool settle_decision(struct work *w, const struct head *head, enum batch_decision *out);
void settle_continue(struct work *w);
void settle_wait(struct work *w, const struct head *head);
void settle_answered(struct work *w, const struct reply *reply);
/* h* is chosen. True: it counts as it is. False: the job is busy with it, and comes again. */
bool settle_for_change(struct work *w);
void settle_with_copy(struct work *w, const struct msg_fetched *copy);
/* A ROLE_RECORD job has found what stands; job->head NULL: nothing. */
void settle_record_found(struct work *w);
/* Puts a void where an offer is that can neither be chosen nor has anybody to go on with it. */
void settle_offer(struct work *w);
/* Starts a ROLE_RECORD job for this one. False: no room. UNDECIDED: only reads. */
MUST_CHECK bool settle_record(struct work *w, const uint8_t id[static BATCH_ID_BYTES],
                              enum batch_decision decision, struct bytes members);
/* coordinator_names.c */
void names_start(struct work *w);
void names_continue(struct work *w);
void names_on_scanned(struct work *w, const struct msg *in);
void names_part_answered(struct work *w, const struct reply *reply);
void names_abandon(struct work *w); /* ends all parts */
void names_deadline(struct work *w);
/* coordinator_identity.c */
/* The next head of an identity record, but for what all heads have. */
MUST_CHECK enum vault_err identity_fill_head(struct work *w, struct head *next,
                                             struct op_result *result);
MUST_CHECK enum vault_err identity_precondition(const struct work *w);
void identity_start_spreading(struct work *w);
void identity_spread_again(struct work *w, enum vault_err err); /* h*, and then answers `err` */
void identity_on_known(struct work *w, const struct msg *in);
void identity_timeout(struct work *w);
void identity_answer(struct work *w, const struct head *head); /* NULL: nothing is there */
void identity_list(struct work *w);
/* coordinator_again.c */
void again_start(struct work *w, const struct op_result *result);
void again_compare(struct work *w, const struct version_record *record, struct bytes value,
                   enum value_encoding encoding);
void again_answer(struct work *w);
/* coordinator_read.c */
void read_start(struct work *w);
void read_evaluate(struct work *w);
void list_evaluate(struct work *w);
void deletion_evaluate(struct work *w);
void read_on_state(struct work *w, const struct msg *in);
void read_timeout(struct work *w);
void list_start(struct work *w);
void list_on_versions(struct work *w, const struct msg *in);
void list_timeout(struct work *w);
void deletion_start(struct work *w);
void deletion_on_erased(struct work *w, const struct msg *in);
void deletion_timeout(struct work *w);
void read_deadline(struct work *w);
/* What to do about a head that is not known chosen: wait and ask again, or finish it. */
void read_unfinished(struct work *w);
void job_resume(struct work *w); /* after WAITING, or when its turn has come */

#endif
