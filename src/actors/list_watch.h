/*
 * Watches the lists of revoked client certificates of all tenants: from the time on when its next
 * one is due, a list stops all logins with certificates of its tenant. A line is logged at level
 * `warn` when that is near, a tenth of the list's own period before and a day at most, and one at
 * level `error` when it has come, which is an alarm (alarms.h). Every node does so, for each list
 * once.
 *
 * A list of an authority that is not the tenant's any more stops nothing and is not spoken of.
 */
#ifndef OSTRAKA_ACTORS_LIST_WATCH_H
#define OSTRAKA_ACTORS_LIST_WATCH_H

#include "actors/actor.h"
#include "actors/membership.h"

enum {
    LIST_WATCH_INTERVAL_S = 2, /* from the beginning of one look to that of the next */
    LIST_WATCH_AT_ONCE = 8,    /* lists in one step: each may take a certificate to be read */
    LIST_WATCH_AHEAD_S_MAX = 24 * 3600,
};

struct list_counts {
    uint64_t due;     /* soon, or already */
    uint64_t overdue; /* of them, already */
};

struct list_watch {
    struct list_counts found; /* by the last look */
    struct list_counts finding;
    struct instant began;
    size_t at; /* how many have been looked at; 0: between two looks */
    bool once; /* there has been a look */
};

/* To be called now and then, more often than the interval. Nothing without ms->alarms. */
void list_watch_tick(struct membership *ms, const struct step *st);

#endif
