/*
 * What somebody should look at: bursts of denials and of credentials that are not valid, the use of
 * a token that has been revoked, shares that do not match their commitments, and a node that asks
 * for what its clients would have been refused: an honest one asks the others for nothing that it
 * has not been allowed by its own records.
 *
 * Each is counted in a metric of its own. Within a minute one line is logged, at level `error`,
 * when there have been so many that it is an alarm, and METRIC_alarms counts that.
 */
#ifndef OSTRAKA_ACTORS_ALARMS_H
#define OSTRAKA_ACTORS_ALARMS_H

#include "actors/actor.h"
#include "actors/list_watch.h"
#include "actors/membership.h"

enum alarm_kind {
    ALARM_DENIALS,  /* of clients */
    ALARM_FAILURES, /* credentials that are not valid */
    ALARM_REVOKED,
    ALARM_SHARES,
    ALARM_PEER, /* by node */
};
enum {
    ALARM_KINDS = ALARM_PEER + 1,
    ALARM_WINDOW_S = 60,
    ALARM_DENIALS_MIN = 30,
    ALARM_FAILURES_MIN = 30,
    /*
     * Records change while a request is under way, and who may create but not read is refused when
     * a create is repeated: both are no alarm.
     */
    ALARM_PEER_MIN = 10,
};

/* One window of time. */
struct alarm_count {
    struct instant since;
    unsigned count;
};
struct alarms {
    struct alarm_count of_kind[ALARM_KINDS];
    struct alarm_count of_peer[NODES_MAX];
    struct list_watch lists;
};

/* A client was answered so for want of a right; other errors are none. */
void alarms_client_refused(const struct membership *ms, const struct step *st,
                           struct bytes credential, enum vault_err err);
/* A node was refused something that its client may not have. */
void alarms_peer_refused(const struct membership *ms, const struct step *st, uint8_t peer,
                         enum vault_err err);
/* A share does not match its commitment; of that node. */
void alarms_share_bad(const struct membership *ms, const struct step *st, uint8_t node);

#endif
