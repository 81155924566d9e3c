/* What a shard store takes for proven: docs/protocol.md, "Proofs". */
#ifndef OSTRAKA_ACTORS_SHARD_PROOF_H
#define OSTRAKA_ACTORS_SHARD_PROOF_H

#include "actors/shard_internal.h"
#include "actors/vouch.h"

/* Fills the MACs of a vote that has been granted. */
void shard_vouch_vote(struct shard_work *w, struct msg_voted *voted);
/* The same of a write that is durable. */
void shard_vouch_written(const struct membership *ms, const struct step *st, struct path path,
                         struct msg_written *written);

/*
 * Whether the votes shown with w->msg, a WRITE, allow that head. `author` of its version record, or
 * empty. *keep is the proof to be stored with the head; empty: what is stored with it already.
 */
enum refusal shard_write_proven(struct shard_work *w, const struct head *head,
                                const uint8_t head_id[static ID_BYTES], struct bytes author,
                                struct bytes *keep);

/*
 * Whether that head of the path is chosen: m replicas have written it at one ballot, which is
 * *ballot then, *written (bit per replica) those of them who are known by their MACs; or two nodes
 * have said so, each for itself and of one ballot; or it is known here already, at no lower one.
 * Without keys here: what the message says holds.
 */
bool shard_chosen_proven(struct shard_work *w, const uint8_t head_id[static ID_BYTES],
                         struct bytes proof, struct ballot *ballot, uint64_t *written);
/* The ballot to name when the chosen head is told to another: that of its proof. */
struct ballot shard_told_ballot(const struct shard_path *path);

#endif
