#include "runtime/wake_timer.h"

#include <event2/event.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* That the loop has woken is all: it looks for what is due in every turn. */
static void
on_expiry(evutil_socket_t fd, short what, void *context)
{
    struct wake_timer *timer = context;
    uint64_t count;

    (void)what;
    /* Nothing to read is fine. */
    ssize_t got = read(fd, &count, sizeof(count));
    (void)got;
    timer->armed_ns = 0;
}

enum vault_err
wake_timer_open(struct event_base *base, struct wake_timer *timer)
{
    *timer = (struct wake_timer){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
    if (timer->fd < 0)
        return ERR_IO;
    timer->event = event_new(base, timer->fd, EV_READ | EV_PERSIST, on_expiry, timer);
    if (timer->event && event_add(timer->event, NULL) == 0)
        return OK;
    if (timer->event)
        event_free(timer->event);
    close(timer->fd);
    *timer = (struct wake_timer){0};
    return ERR_NOMEM;
}

void
wake_timer_at(struct wake_timer *timer, struct instant due)
{
    uint64_t ns = due.ns > 0 ? due.ns : 1; /* 0 would disarm it */
    const struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)}};

    if (timer->armed_ns != 0 && timer->armed_ns <= ns)
        return;
    if (timerfd_settime(timer->fd, TFD_TIMER_ABSTIME, &at, NULL) == 0)
        timer->armed_ns = ns;
}

void
wake_timer_close(struct wake_timer *timer)
{
    if (!timer->event)
        return;
    event_free(timer->event);
    close(timer->fd);
    *timer = (struct wake_timer){0};
}
