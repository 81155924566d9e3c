/* Timers of the actors: a heap by deadline; those with equal deadlines fire in arming order. */
#ifndef OSTRAKA_RUNTIME_TIMERS_H
#define OSTRAKA_RUNTIME_TIMERS_H

#include <stddef.h>

#include "actors/actor.h"

struct timer {
    struct instant due;
    uint64_t order; /* of arming */
    enum actor_id actor;
    uint64_t tag;
};

/* All zero is empty. */
struct timers {
    struct timer *heap;
    size_t count, capacity;
    uint64_t armed;
};

MUST_CHECK enum vault_err timers_arm(struct timers *timers, struct instant due, enum actor_id actor,
                                     uint64_t tag);
/* The next one, if it is due by `now`; removed from the heap. */
bool timers_pop(struct timers *timers, struct instant now, struct timer *out);
bool timers_next(const struct timers *timers, struct instant *due); /* false: none */
void timers_close(struct timers *timers);

#endif
