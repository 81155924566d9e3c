/*
 * Whether this node may decide by its identity records. It may for IDENTITY_LEASE_MS from a moment
 * at which a majority of all nodes, itself included, had accepted no record that it does not know
 * chosen; counted on its own monotonic clock from the sending of the heartbeat that their answers
 * echo. So a record that was chosen after that moment is not missing for longer than the lease, and
 * whoever changes one waits until every node knows it, or for LEASE_WAIT_MS.
 *
 * An answer holds digests of what the peer has accepted. Where they are not covered the answer is
 * kept, and looked at again whenever a record changes here.
 */
#ifndef OSTRAKA_ACTORS_LEASE_H
#define OSTRAKA_ACTORS_LEASE_H

#include "actors/membership.h"

enum {
    IDENTITY_LEASE_MS = 2000,
    LEASE_DRIFT_MS = 100, /* two monotonic clocks are no further apart after a lease */
    LEASE_WAIT_MS = IDENTITY_LEASE_MS + LEASE_DRIFT_MS,
    LEASE_PATIENCE_MS = 400, /* what is uncovered for longer is not on its way: it is asked for */
};

/* What a heartbeat says of the records here. */
void lease_fill(const struct membership *ms, struct msg_heartbeat *out);
/* A heartbeat of the peer's present life has come. */
void lease_heard(struct membership *ms, uint8_t from, const struct msg_heartbeat *h,
                 struct instant now);
/*
 * Of every node, this one too: it is connected, and what it had accepted at a moment within the last
 * lease is known chosen here. So a record that is not here stands at none of them, to be finished
 * later, unless it was accepted since that moment.
 */
bool lease_covers_all(const struct membership *ms, struct instant now);
/* Heartbeats are being sent: what is accepted here is looked at as peers' answers are. */
void lease_look_here(struct membership *ms, struct instant now);
/* A record has changed here. */
void lease_reconsider(struct membership *ms);
/* This node may decide by its records now. */
bool lease_is_valid(const struct membership *ms, struct instant now);
/* That peer has had something for a while that is not known chosen here. */
bool lease_is_behind(const struct membership *ms, uint8_t peer, struct instant now);

#endif
