/*
 * What a node has still to handle: what it sent to itself and what its actors told each other
 * within a step, in order; and beside that what was put off until later in the turn.
 *
 * Where few requests are under way their clients wait for all that is done, one after the other. So
 * the others get to work on an offer before this node does, and the client has its answer before
 * anybody sets what it was told: this node's own copy of an offer waits until the frames to the
 * others have left, and the notice that one is chosen, to this node or from it, until all else has
 * been done. Where there are many, all is done together: then the node puts nothing off.
 *
 * What a function here refuses for want of memory is a message lost; the protocol copes with that.
 */
#ifndef OSTRAKA_ACTORS_INBOX_H
#define OSTRAKA_ACTORS_INBOX_H

#include "actors/actor.h"

struct inbox_item {
    struct inbox_item *next;
    enum actor_id actor; /* whose message it is, unless it leaves */
    bool leaves;         /* for another node: a notice that was put off */
    struct msg msg;
};

/* Oldest first. Items lie in an arena of somebody's. */
struct inbox_list {
    struct inbox_item *first, *last;
};

/* Not to be copied. */
struct inbox {
    uint8_t self;
    struct inbox_list now; /* in the step's arena, or in `memory` */
    struct inbox_list own_writes, notices;
    struct arena memory; /* of what was put off */
};

/* Of the node `self`. */
void inbox_init(struct inbox *inbox, uint8_t self);
/* Wipes what was put off, and forgets the rest. */
void inbox_close(struct inbox *inbox);

/*
 * For an actor of this node, from another. What `local` points to is borrowed until the item has
 * been handled; the item lies in `arena`, that of the step. False: no memory.
 */
MUST_CHECK bool inbox_post(struct inbox *inbox, struct arena *arena, enum actor_id actor,
                           const struct msg *local);
/*
 * The same of a message as it goes between nodes, with memory of its own in `arena`: whoever made
 * it goes on before it is handled. False: no memory, or larger than a frame may be.
 */
MUST_CHECK bool inbox_post_copy(struct inbox *inbox, struct arena *arena, enum actor_id actor,
                                const struct msg *msg);
/* Takes the oldest; it is valid until this returns NULL, since nothing is left. */
struct inbox_item *inbox_next(struct inbox *inbox);

/* A message of those that are put off, by its `from`, kind and ballot. */
bool inbox_may_put_off(const struct inbox *inbox, const struct msg *msg);
/*
 * Copies such a message, to be handled by `actor`, or to leave where it is for another node. False:
 * it is not one of those, or there is no memory: it is to be handled, or sent, now.
 */
MUST_CHECK bool inbox_put_off(struct inbox *inbox, enum actor_id actor, const struct msg *msg);
/* It may be handled before what was put off; all other messages must find that done. */
bool inbox_may_overtake(const struct msg *msg);
bool inbox_has_put_off(const struct inbox *inbox);
/* It is to be handled now, after all that is so already. False: there was nothing. */
bool inbox_take_own_writes(struct inbox *inbox);
bool inbox_take_notices(struct inbox *inbox);

#endif
