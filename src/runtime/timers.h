/*
 * Timers of the actors, by deadline; those with equal deadlines fire in arming order.
 *
 * Most are of a few durations, and no sooner due than the one armed before with the same: those
 * form queues, to which arming appends and from whose fronts the next is taken, however many wait.
 * (Deadlines of requests, which nearly all end long before, are there by the ten thousand.) What
 * fits behind none of the queues is in a heap.
 */
#ifndef OSTRAKA_RUNTIME_TIMERS_H
#define OSTRAKA_RUNTIME_TIMERS_H

#include <stddef.h>

#include "actors/actor.h"

enum { TIMER_QUEUES = 8 };

struct timer {
    struct instant due;
    uint64_t order; /* of arming */
    enum actor_id actor;
    uint64_t tag;
};

struct timer_queue {
    struct timer *ring;
    size_t first, count, capacity; /* a power of two, or 0 */
};

/* All zero is empty. */
struct timers {
    struct timer_queue queues[TIMER_QUEUES];
    struct timer *heap;
    size_t count, capacity; /* of the heap */
    uint64_t armed;
};

MUST_CHECK enum vault_err timers_arm(struct timers *timers, struct instant due, enum actor_id actor,
                                     uint64_t tag);
/* The next one, if it is due by `now`; removed. */
bool timers_pop(struct timers *timers, struct instant now, struct timer *out);
bool timers_next(const struct timers *timers, struct instant *due); /* false: none */
void timers_close(struct timers *timers);

#endif
