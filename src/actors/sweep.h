/*
 * Forgetting records of tokens: docs/protocol.md, "Sweeping".
 *
 * The record of a token, and what its deletion leaves, may be forgotten some time after the moment
 * beyond which nothing renews the token. That moment is the same in all heads that a token ever
 * has, those that nobody has finished yet among them, and never goes back on a path: so when the
 * newest head may be forgotten, everything below it may, and nothing that is still on its way can
 * bring the token back.
 *
 * Which of them are forgotten is agreed: the record of the sweep holds a time that only moves
 * forward. Whoever knows it chosen, and has made it durable, treats every head whose moment is
 * before it as if it had never been, wherever it meets it: in its store, in messages, in digests.
 */
#ifndef OSTRAKA_ACTORS_SWEEP_H
#define OSTRAKA_ACTORS_SWEEP_H

#include "actors/membership.h"

enum { SWEEP_SLACK_MS = 24 * 3600 * 1000 }; /* unless configured */

/* Path of the record of the sweep; views are of static memory. */
struct path sweep_path(void);
bool sweep_path_is(struct path path);

/* Moment after which that head may be forgotten; 0: never. */
uint64_t sweep_forget_after(const struct head *head);
/* A head of that moment is forgotten here. */
bool sweep_forgets(const struct membership *ms, uint64_t forget_after_ms);
/* That head is not to be taken from anybody: it is, or is about to be. */
bool sweep_refuses(const struct membership *ms, const struct head *head);
/* The same of a path row as it is on disk; one that does not decode is not. */
bool sweep_forgets_row(const struct membership *ms, const struct path_row *row);

/*
 * A head may take the place of one of that moment: it may not be forgotten before the other, and of
 * one token all have the same. `same`: of one incarnation.
 */
bool sweep_may_follow(uint64_t before_ms, const struct head *head, bool same);

/*
 * What a node may propose as the time of the sweep, given its clock; and whether a voter takes what
 * is proposed: it is not above half the slack before its own clock, and above `accepted`, the value
 * of the record as it is accepted here (empty: none).
 */
uint64_t sweep_target_ms(const struct membership *ms, uint64_t wall_ms);
bool sweep_may_move(const struct membership *ms, uint64_t wall_ms, struct bytes accepted,
                    struct bytes proposed);

#endif
