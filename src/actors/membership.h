/*
 * What this node knows of the others and of itself: who is connected, their incarnations and share
 * keys. Written by the repairer (which hears the heartbeats), read by the other actors of the node.
 */
#ifndef OSTRAKA_ACTORS_MEMBERSHIP_H
#define OSTRAKA_ACTORS_MEMBERSHIP_H

#include "actors/auth_view.h"
#include "actors/path_count.h"
#include "base/instant.h"
#include "crypto/pair_keys.h"
#include "crypto/signing.h"
#include "crypto/vote_keys.h"
#include "proto/cluster.h"
#include "proto/msg.h"
#include "proto/placement.h"

enum { LIVES_REMEMBERED = 4 };

struct member {
    bool connected;
    bool heard;           /* a heartbeat has come since this node started */
    uint64_t incarnation; /* of its store; 0 unknown */
    uint64_t boot;
    uint64_t horizon_ms, sequence;
    uint64_t round_trip_ns;  /* smoothed; 0 unknown */
    int64_t clock_offset_ms; /* its wall clock less ours, at the last heartbeat */
    struct share_key_public share_key;
    uint64_t escrow_backlog;    /* boxed shares that wait here for it */
    uint64_t oldest_box_key_id; /* oldest of its share keys that a box kept here is for; 0: none */
    /* What it last said about this node's share keys. */
    uint64_t knows_key_id;        /* the newest that it knows */
    uint64_t keeps_box_of_key_id; /* the oldest that it keeps a box for, as its last look found; 0:
                                     none */
    struct instant looked_at;     /* when that look began */
    uint64_t paths;               /* that it keeps, as it last said; not kept up for this node */
    bool paths_known;
    uint64_t forgotten_ms; /* as it last said: see sweep.h; not kept up for this node */
    /* Its store and its lives, as heard in heartbeats: standing.h. */
    uint8_t store_id[STORE_ID_BYTES]; /* of that incarnation; zero: not known */
    uint64_t life;                    /* which start of its process speaks; 0: none heard */
    uint64_t lives_past[LIVES_REMEMBERED];
    uint64_t sequence_before; /* highest sequence of the lives before this one */
    uint64_t durable_incarnation;
    uint8_t durable_store_id[STORE_ID_BYTES]; /* these two are in the peer's row on disk */
    enum recovery_state recovery;             /* as it says */
    bool told; /* in this life it has told what it remembers of us, and we are not behind it */
    bool handed_over; /* it has handed over everything to this new incarnation of ours */
};

/* What this node last heard of a peer's identity records: lease.h. */
struct lease_peer {
    uint64_t basis_ns;    /* sent then; answered by a peer whose records we have; 0: never */
    uint64_t asked_ns;    /* the newer answer that is looked at; 0: none */
    unsigned uncovered;   /* bit per group: it has heads there that we do not know chosen */
    struct instant since; /* when that began */
    uint8_t digests[RECORD_DIGESTS_BYTES];
};

struct alarms; /* alarms.h */

/* What this node lacks and gets back, and how far it has looked through its store. */
struct repair_progress {
    uint64_t lacking;   /* versions in the table 'n', as the last whole round over it found */
    unsigned under_way; /* recoveries */
    unsigned room;      /* for more of them */
    uint64_t scrub_passes, scrub_last_ms; /* whole passes, and how long the last one took */
    uint64_t scrub_rows, scrub_bytes;     /* read in the present pass */
    uint64_t scrub_rows_expected;         /* as many as the last pass read; 0: unknown */
    uint64_t scrub_rows_per_s;            /* bound; 0: no scrubbing */
    uint64_t paths_damaged;               /* rows of paths that did not verify, since the start */
    unsigned paths_in_doubt;              /* this node is silent on them: doubts.h */
};

struct membership {
    const struct cluster *cluster;
    uint8_t self;
    struct member members[NODES_MAX]; /* by node number, self included */
    uint64_t horizon_ms;              /* durable: ballots up to here may be promised and issued */
    uint64_t horizon_wanted_ms;       /* some coordinator needs one as far as that */
    bool disk_full;                   /* it could not be moved for want of room */
    struct instant looked_at;         /* when this node's own last whole look at its escrow began */
    struct placement placement;
    struct path_count held;  /* paths that this node keeps */
    bool share_keys_changed; /* some node's: the coordinator's ephemeral key is made anew for it */
    size_t clients_waiting;  /* requests not answered yet: they go before repair */
    uint64_t sequence_found; /* of the store, when this life began */
    bool sequence_known;     /* the runtime has told it */
    bool behind;             /* somebody, or the runtime, knows more of this node than its store */
    uint64_t incarnation_told;   /* highest that anybody has named for this node */
    struct pair_keys *pair_keys; /* borrowed from the node; NULL: none */
    struct repair_progress repair;
    bool audit_failing;                /* the audit trail cannot be written: nothing is given out */
    const struct signing_key *signing; /* of this node; borrowed; NULL: none */
    struct signing_keys
        signers[NODES_MAX]; /* proven signing keys of all nodes, this one included */
    struct vote_keys
        *vote_keys;            /* borrowed from the node; NULL: nothing is vouched for or checked */
    struct auth_view *records; /* borrowed from the node; NULL: none */
    bool records_in_doubt;     /* one of them at least (doubts.h), or that is not known yet */
    struct lease_peer lease[NODES_MAX];
    struct alarms *alarms; /* borrowed from the node; NULL: none are raised */
    /* Sweeping of token records: sweep.h. */
    uint64_t forgotten_ms;   /* agreed and durable here: what may be forgotten before that, is */
    uint64_t forgetting_ms;  /* the same, or one on its way to the disk: none of that is taken */
    uint64_t sweep_slack_ms; /* how far that time stays behind the clock */
};

/* Every member is unknown and not connected; share keys are those of the configuration. */
void membership_init(struct membership *membership, const struct cluster *cluster, uint8_t self);

/* Replicas of a path, by x - 1: see proto/placement.h. This node may be among them or not. */
void membership_replicas(const struct membership *membership, struct path path,
                         struct replicas *out);

/* The nodes of the replicas in one number. */
uint64_t replicas_packed(const struct replicas *replicas);

/*
 * The member is that incarnation now. What was known of its store and its lives was of an older one.
 */
void membership_renew(struct member *member, uint64_t incarnation);

/* Incarnations of the replicas as known here. */
void membership_incarnations(const struct membership *membership, const struct replicas *replicas,
                             struct incarnations *out);
/* True when the list names an older incarnation of any replica than is known here. */
bool membership_is_outdated(const struct membership *membership, const struct replicas *replicas,
                            const struct incarnations *list);
/*
 * Learns newer incarnations from the list; true when there was one. A newer one of this node itself
 * means that its store is behind.
 */
bool membership_learn(struct membership *membership, const struct replicas *replicas,
                      const struct incarnations *list);

bool membership_all_connected(const struct membership *ms);
/*
 * The time by the clock in the middle of this node's and those of all connected nodes (of two, the
 * later), as far as their last heartbeats tell: what does not depend on one clock being right.
 */
uint64_t membership_clock_ms(const struct membership *membership, uint64_t wall_ms);

#endif
