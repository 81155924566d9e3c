/*
 * Vouching for votes and writes, and checking what others have vouched for: docs/protocol.md,
 * "Proofs".
 */
#ifndef OSTRAKA_ACTORS_VOUCH_H
#define OSTRAKA_ACTORS_VOUCH_H

#include "actors/actor.h"
#include "actors/membership.h"
#include "proto/proof.h"

/* What a MAC is over, but for who gives it to whom. */
struct statement {
    struct path path;
    struct ballot ballot;
    enum change_kind purpose;  /* NONE: a write of head_id at that ballot */
    const uint8_t *op_id;      /* of a vote */
    struct bytes caller;       /* of a vote */
    struct ballot accepted;    /* what the voter had accepted */
    enum accepted_state state; /* the same; ABSENT for a write */
    const uint8_t *head_id;    /* the same; for a write the head written; NULL: none */
    uint64_t incarnation;      /* of its store */
};

/*
 * Who is named in a vote: the caller, and for an identity record the beginning of a hash of the value
 * that the votes are for, so that nothing else can be written with them. Borrowed from `memory`, or
 * `caller` itself when there is no value.
 */
enum { VOTE_VALUE_BYTES = 28, VOTE_CALLER_BYTES_MAX = AUTHOR_BYTES_MAX };
struct bytes vote_caller(struct bytes caller, struct bytes value,
                         uint8_t memory[static VOTE_CALLER_BYTES_MAX]);
/* Votes in the name of that caller are for that value. */
bool vote_caller_names(struct bytes caller, struct bytes value);

/* This node's MACs for all replicas, in the step's arena. Empty: no memory, or no keys here. */
struct bytes vouch(const struct membership *ms, const struct step *st, const struct statement *s);

/* For the entries of one proof. Its fields are for this file alone. */
struct vouch_checker {
    const struct membership *membership;
    struct replicas replicas;
    const uint8_t *head_id; /* NULL: votes */
    uint8_t common[HASH_BYTES];
};
/* `ms` and `head_id`, which is of writes alone, are borrowed. */
void vouch_checker_init(struct vouch_checker *c, const struct membership *ms, struct path path,
                        const struct proof *proof, const uint8_t *head_id);

enum vouched {
    VOUCHED_FOR,
    VOUCHED_UNKNOWN /* that key is not known, here or there, or may have been replaced */,
    VOUCHED_NOT
};
/*
 * Whether that entry's node, a replica of the path, says so to this node. What does not verify is
 * UNKNOWN where it is of an older incarnation of that node than is known: anybody can make such an
 * entry, so it must never count for more than one that is not there.
 */
enum vouched vouch_check(const struct vouch_checker *c, const struct proof_entry *entry);

/*
 * How many replicas have vouched to this node. *unknown: how many more may have, but a key is not
 * known. *mask, unless NULL: which (bit per replica).
 */
unsigned vouch_count(const struct vouch_checker *c, const struct proof *proof, unsigned *unknown,
                     uint64_t *mask);

#endif
