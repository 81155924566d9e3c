/*
 * Standing: what the nodes remember of each other's stores, and what follows for this node.
 *
 * A store has an id and an incarnation; each start of a process is a life with a random number; the
 * store's sequence counts its durable batches. Heartbeats carry all of that and what the sender
 * remembers of the receiver. A node that hears of more than its own store knows is *behind*: its
 * store was replaced or has gone back. Until it has heard from m-1 other replicas of a path that it
 * is not, it neither votes on the path nor answers reads of it.
 *
 * Answers carry the life of the sender. One of another life than the last one heard of does not
 * count: what a process has said before its end may still be on its way while its store has gone
 * back and the next process has asked everybody what they remember.
 */
#ifndef OSTRAKA_ACTORS_STANDING_H
#define OSTRAKA_ACTORS_STANDING_H

#include "actors/membership.h"
#include "proto/rows.h"

/* What is remembered of a peer on disk, at a start. */
void standing_load_peer(struct membership *ms, uint8_t peer, const struct peer_row *row);
void standing_peer_row(const struct membership *ms, uint8_t peer, struct peer_row *out);

void standing_fill(const struct membership *ms, uint8_t to, struct msg_heartbeat *out);

struct standing_news {
    bool current;     /* false: an older life, or a store that has gone back, speaks */
    bool life;        /* a life that was not known */
    bool to_remember; /* incarnation, store id or boot counter: to be made durable */
};
/* A heartbeat: learns what it says of the sender and what the sender remembers of this node. */
struct standing_news standing_heard(struct membership *ms, uint8_t from,
                                    const struct msg_heartbeat *h);
/* Somebody names that incarnation for this node. */
void standing_named(struct membership *ms, uint64_t incarnation);

/* The answer is of the sender's present life and incarnation; its sequence is remembered. */
bool standing_counts(struct membership *ms, const struct replicas *replicas, uint8_t from,
                     const struct incarnations *said);

/*
 * The same of an answer about all of the sender's paths: its list is of itself alone, and in place
 * of the replicas it names the configuration that places the paths.
 */
uint64_t standing_config(const struct membership *ms);
bool standing_counts_whole(struct membership *ms, uint8_t from, const struct incarnations *said);

/* Enough of the others have handed over what this node needs to know, or it needs nothing. */
bool standing_handed_over(const struct membership *ms, const struct replicas *replicas);
/* This node may vote, accept and answer reads of a path with these replicas. */
bool standing_ready(const struct membership *ms, const struct replicas *replicas);
/* The same for all paths, as far as can be said without one. */
bool standing_ready_overall(const struct membership *ms);
/* The same for every path that there could be, whatever its replicas. */
bool standing_ready_for_all(const struct membership *ms);
/* Others that were heard in this life and are not waiting for a handover themselves. */
unsigned standing_heard_count(const struct membership *ms);

#endif
