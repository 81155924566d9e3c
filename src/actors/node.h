/*
 * A node: its actors and what they share. The same code runs in the server and in the
 * simulator; they give it messages and execute what it asks for.
 *
 * Every call is one step: the secrets arena is opened at its start and closed at its end (here and
 * nowhere else), the messages that the node sends to itself are handled in the same step, or later
 * in the turn (actors/inbox.h), from copies of what would travel.
 */
#ifndef OSTRAKA_ACTORS_NODE_H
#define OSTRAKA_ACTORS_NODE_H

#include "actors/anti_entropy.h"
#include "actors/audit_hold.h"
#include "actors/auditor.h"
#include "actors/coordinator.h"
#include "actors/gateway.h"
#include "actors/recovery.h"
#include "actors/repairer.h"
#include "actors/scrubber.h"
#include "actors/shard_store.h"
#include "actors/shredder.h"

struct node;

/* What the runtime found where this node's store should be. */
enum store_finding {
    STORE_INTACT, /* as this node left it, or a new node's */
    STORE_BEHIND, /* older than the sequence file remembers: a copy put back, or a journal cut */
    STORE_LOST,   /* gone or damaged; an empty one with a new store id stands in its place */
};

struct node_options {
    const struct cluster *cluster; /* borrowed */
    uint8_t self;
    struct node_row row; /* durable facts as found, or a new node's: boot and horizon 0 */
    enum store_finding finding;
    uint64_t incarnation_known; /* highest that this node itself remembers to have had; 0: none */
    struct peer_row peers[NODES_MAX];    /* as found; all zero: none */
    struct secret_arena *secrets;        /* borrowed; closed */
    struct share_keyring *ring;          /* borrowed */
    const struct secret *share_wrap_key; /* borrowed */
    const struct master_key *master;     /* borrowed; NULL: none */
    bool master_incorrect;
    size_t requests_max;
    struct duration request_deadline;
    size_t paths_max;                       /* 0: default */
    bool dealings_apart;                    /* for tests: actors/shard_store.h */
    struct bucket_keys *buckets;            /* borrowed */
    struct duration shred_interval;         /* 0: default */
    uint64_t sweep_slack_ms;                /* 0: default (actors/sweep.h) */
    uint64_t scrub_rows_per_s;              /* 0: no scrubbing */
    struct duration scrub_pause;            /* between two passes */
    const struct signing_key *signing;      /* borrowed; NULL: none */
    struct signing_keys signers[NODES_MAX]; /* as found */
    bool audit_names_hashed;                /* names in the audit trail: by a key of this node */
    uint64_t audit_blocks_kept;             /* 0: default */
    size_t shares_kept; /* opened, for readers, in so many slots of `secrets` beside all others */
};

/*
 * How effects are executed: `encoded` for SEND (never to the node itself; the frame, valid during
 * the call), else `effect`, whose payload is valid during the call. EFFECT_LOCAL never comes here.
 */
struct node_executor {
    void *context;
    void (*send)(void *context, uint8_t to, struct bytes encoded);
    void (*execute)(void *context, const struct effect *effect);
    /* A frame was made, which leaves now or when its audit record is written. NULL: not told. */
    void (*made)(void *context, uint8_t to, struct bytes encoded);
    /*
     * A frame that nobody waits for. It may leave with the next one to the same node, or a few
     * milliseconds later, but not out of order. NULL: sent like any.
     */
    void (*send_soon)(void *context, uint8_t to, struct bytes encoded);
};

/*
 * `st` gives randomness for the table seeds and the first ephemeral key. Errors: ERR_NOMEM,
 * ERR_ENTROPY.
 */
MUST_CHECK enum vault_err node_new(const struct node_options *options, const struct step *st,
                                   struct node **out);
void node_free(struct node *node);
/*
 * A turn: several steps between which the thread does not wait. Opening and closing the secrets
 * arena costs more than most steps, so whoever has many at hand opens it once for all of them, and
 * closes it before waiting for more.
 */
void node_turn_begin(struct node *node);
/*
 * The audit records of the turn's steps go to the store, in one block; what waited for those that
 * are written leaves. Outside of turns this is done with every step.
 */
void node_turn_write(struct node *node, const struct step *st,
                     const struct node_executor *executor);
/* Somebody's answer waits for a record of the trail. */
bool node_waits_for_trail(const struct node *node);
/*
 * Where few requests are under way here, something is put off until later in the turn: this node's
 * own copy of an offer until the frames to the others have left; the notice that one is chosen, to
 * this node or from it, until all else has been done. The turn is to have these two then; false:
 * there was nothing. Outside of turns nothing is put off.
 */
bool node_turn_own_writes(struct node *node, const struct step *st,
                          const struct node_executor *executor);
bool node_turn_notices(struct node *node, const struct step *st,
                       const struct node_executor *executor);
bool node_has_put_off(const struct node *node);
void node_turn_end(struct node *node);
/* First step. */
void node_start(struct node *node, const struct step *st, const struct node_executor *executor);
/* A completion, a timer, a request, a peer up or down: for `actor`. */
void node_deliver(struct node *node, const struct step *st, const struct node_executor *executor,
                  enum actor_id actor, const struct msg *msg);
/*
 * A frame from an authenticated peer. Errors: ERR_MALFORMED, ERR_UNEXPECTED: counted, the link
 * should be closed.
 */
MUST_CHECK enum vault_err node_receive(struct node *node, const struct step *st,
                                       const struct node_executor *executor, uint8_t from,
                                       struct bytes frame);

/* A step that notes something in the audit trail. Not within another step. */
void node_note(struct node *node, const struct step *st, const struct node_executor *executor,
               const struct audit_record *record);

/*
 * Rotation of this node's share key, in three steps, since the private half must be durable before
 * anybody boxes to it: make (the caller then saves the ring), announce, and later destroy what
 * nobody needs any more (the caller saves the ring again). Until saving succeeds no other one is
 * made; announcing what has been announced does nothing. Errors of making: ERR_BUSY (too many old
 * ones are still needed), ERR_ENTROPY.
 *
 * Outdated: somebody knows a newer key of this node than the node does, since its file of share
 * keys is an older one. What is boxed to that one cannot be opened here, so a newer one must be
 * made at once.
 */
MUST_CHECK enum vault_err node_share_key_make(struct node *node, const struct step *st);
void node_share_key_announce(struct node *node);
unsigned node_share_keys_destroy(struct node *node, const struct step *st); /* how many were */
/* The ring has been saved, durably: keys that are not in it exist no more. */
void node_share_keys_saved(struct node *node);
/*
 * Public half of the key with which this node boxes shares as a coordinator. It is made anew every
 * hour, and when a share key has changed, before this node tells that it knows the new one: so when
 * a node may destroy an old share key, nobody has the other half of what was boxed to it either.
 */
void node_ephemeral_public(const struct node *node, uint8_t out[static X25519_BYTES]);
unsigned node_share_keys_held(const struct node *node);
bool node_share_key_outdated(const struct node *node);

const struct membership *node_membership(const struct node *node);
const struct anti_entropy *node_anti_entropy(const struct node *node);
uint64_t node_incarnation(const struct node *node); /* of its store, now */
/* How far the node is after it became a new incarnation. */
void node_recovery(const struct node *node, struct recovery_progress *out);
/* Votes and answers reads. */
bool node_serving(const struct node *node);
size_t node_in_flight(const struct node *node); /* requests not answered yet */
/*
 * The block of the audit trail that gathers now; and whether that of such a number has been written,
 * or cannot be.
 */
uint64_t node_trail_block(const struct node *node);
bool node_trail_is_written(const struct node *node, uint64_t block);
/*
 * How many batches are durable in the store since it was made. The runtime tells it before
 * node_start, as found, and after each sync before it delivers the completions; without the first a
 * node cannot compare it with what the others remember, and does not serve.
 */
void node_set_sequence(struct node *node, uint64_t sequence);
/*
 * Rows of paths do not verify: what this node accepted there is forgotten, so it says nothing about
 * those paths any more. Only a new incarnation of its store makes it whole again.
 */
bool node_store_damaged(const struct node *node);
/* The entropy source failed, or an ephemeral key could not be made: the process must stop. */
bool node_failed(const struct node *node);

#endif
