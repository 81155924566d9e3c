/*
 * Wakes a loop at a moment. It is armed for the earliest that it was told of since it last went off
 * and never for a later one: who looks then for what is due, and tells the next moment, costs no
 * system call each time that something is put off or is no longer wanted.
 *
 * The loop's own timers cost one in each turn where they are to be as precise as this.
 */
#ifndef OSTRAKA_RUNTIME_WAKE_TIMER_H
#define OSTRAKA_RUNTIME_WAKE_TIMER_H

#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"

struct event_base;
struct event;

/* All zero is closed. */
struct wake_timer {
    int fd; /* valid where there is an event */
    struct event *event;
    uint64_t armed_ns; /* 0: not armed */
};

/* Errors: ERR_NOMEM, ERR_IO; it is closed then. */
MUST_CHECK enum vault_err wake_timer_open(struct event_base *base, struct wake_timer *timer);
/* No later than that, by the monotonic clock. */
void wake_timer_at(struct wake_timer *timer, struct instant due);
void wake_timer_close(struct wake_timer *timer);

#endif
