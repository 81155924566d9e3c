/*
 * Property: the heads of a path form one chain. This checker sees every path row that becomes durable anywhere, knows which heads were
 * accepted at which ballot by whom, hence which were chosen, and wants one head for each generation, built on the one before.
 */
#ifndef OSTRAKA_SIM_CHECK_CHAIN_H
#define OSTRAKA_SIM_CHECK_CHAIN_H

#include "proto/msg.h"
#include "proto/rows.h"

struct world;

struct chosen_head {
    uint64_t generation; /* 0: not seen to be chosen */
    uint8_t id[ID_BYTES];
    uint8_t prev[ID_BYTES];
    uint8_t incarnation[INCARNATION_BYTES];
    enum head_kind kind;
    uint64_t version;
    size_t earlier; /* versions that it made before that one */
    uint64_t changed_at_ms;
    uint8_t version_id[ID_BYTES];  /* of the latest version */
    uint8_t batch[BATCH_ID_BYTES]; /* pending; zero: it is not */
    enum batch_decision decision;  /* of a batch record */
    size_t members;                /* that it lists */
    struct ballot ballot;          /* lowest at which it is known to be chosen */
    bool gone;                     /* identity record: deleted */
    bool alters;                   /* it makes no version */
    uint64_t oldest_version, destroyed;
    uint64_t expires_at_ms;
    uint64_t forget_after_ms; /* of a token's record; 0: never */
    uint64_t sweep_ms;        /* the record of the sweep: its time */
};

struct accepted_head {
    struct ballot ballot;
    struct chosen_head head;
    unsigned ever; /* bit per node: was durable there, be it in a store that is lost by now */
    uint64_t known[NODES_MAX][NODES_MAX]; /* by each of them: the incarnations it knew then */
    bool chosen;                          /* at this ballot: check_choice.h */
    bool foreign;                         /* accepted with another configuration */
};

/* The votes for one ballot. */
struct voted_ballot {
    struct ballot ballot;
    uint64_t incarnation[NODES_MAX]; /* in which each has voted; 0: it has not */
    bool used;                       /* a WRITE at this ballot has left */
    uint64_t used_ns;                /* for the first time */
    uint8_t head_id[ID_BYTES];       /* with this head */
    uint64_t named[NODES_MAX];       /* by it */
};

struct checked_path {
    struct checked_path *next;
    char tenant[TENANT_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
    struct accepted_head *accepted;
    size_t accepted_count, accepted_capacity;
    struct chosen_head *chosen; /* by generation - 1 */
    size_t chosen_count;
    struct ballot highest[NODES_MAX];  /* accepted and durable, by node */
    struct ballot promised[NODES_MAX]; /* voted for, by node */
    struct voted_ballot *voted;
    size_t voted_count, voted_capacity;
};

struct known_version {
    uint8_t id[ID_BYTES];
    uint8_t prev[ID_BYTES];
    uint8_t incarnation[INCARNATION_BYTES];
};

struct check_chain {
    struct world *world;
    struct checked_path *paths;
    struct known_version *versions; /* open addressing by id; capacity a power of two */
    size_t version_count, version_capacity;
    uint64_t swept_ms; /* latest time of the sweep that has been chosen */
    uint64_t swept;    /* rows that have gone */
    uint64_t groups;   /* chosen heads that made several versions */
};

void check_chain_init(struct check_chain *check, struct world *world);
void check_chain_close(struct check_chain *check);
/* A row has become durable at `node`; `replaces`: in the place of one that was there before. */
void check_chain_row(struct check_chain *check, unsigned node, struct bytes key, struct bytes value,
                     bool replaces);
/* A vote or an acknowledgement at that ballot leaves `node`: none before it may have been for a higher one. */
void check_chain_promise(struct check_chain *check, unsigned node, struct path path,
                         struct ballot ballot);
/* A new incarnation is not bound by what older ones promised. */
void check_chain_new_incarnation(struct check_chain *check, unsigned node);
struct path check_chain_name(const struct checked_path *p); /* borrowed */
/* NULL: nothing was ever accepted there. */
const struct checked_path *check_chain_path(const struct check_chain *check, struct path path);
/* The same, made when it is not there yet. */
struct checked_path *check_chain_path_of(struct check_chain *check, struct path path);
/* Incarnation of the secret that a version id belongs to; NULL: unknown. */
const uint8_t *check_chain_incarnation(const struct check_chain *check, const uint8_t *version_id);
/* Every generation below a chosen one has been chosen too. */
void check_chain_end(struct check_chain *check);
uint64_t check_chain_length(const struct check_chain *check);

#endif
