/*
 * The sink of a process. The lock of the stream stderr serves as the mutex, so that lines of
 * threads do not mix, also with what a library prints there; the line itself goes by write(2).
 *
 * Whoever should read the log may not: a pipe that is full, a terminal that is held. A node serves
 * on. It waits for the reader once, and until there is room again lines are counted instead.
 */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 200 }; /* a reader that is only slow has taken a page by then */

static bool
has_room(int wait_ms)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    int ready;

    do
        ready = poll(&out, 1, wait_ms);
    while (ready < 0 && errno == EINTR);
    return ready != 0; /* also what fails: write tells */
}

/* No more at a time than there is room for where there is any. False: the rest is lost. */
static bool
write_line(struct bytes line, int wait_ms)
{
    while (line.size > 0) {
        size_t size = line.size < PIPE_BUF ? line.size : PIPE_BUF;
        if (!has_room(wait_ms))
            return false;
        ssize_t written = write(STDERR_FILENO, line.data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return true; /* nobody can be told that the log is lost */
        line.data += written;
        line.size -= (size_t)written;
    }
    return true;
}

/* By a line of its own, which comes back here once. */
static void
tell_lost(struct log_sink *sink)
{
    uint64_t lost = sink->lost;

    sink->lost = 0;
    log_event(sink, LOG_WARN, "log", "lines_lost", log_u64("count", lost));
    if (sink->lost > 0)
        sink->lost = lost;
}

static void
stderr_write(void *context, enum log_level level, struct bytes line)
{
    struct log_sink *sink = (struct log_sink *)context;

    (void)level;
    flockfile(stderr);
    if (sink->lost > 0 && has_room(0))
        tell_lost(sink);
    if (sink->lost > 0 || !write_line(line, PATIENCE_MS))
        sink->lost++;
    funlockfile(stderr);
}

static uint64_t
real_wall_ms(void *context)
{
    struct timespec now;

    (void)context;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
log_sink_stderr_init(struct log_sink *sink, const char *node, enum log_level level_min,
                     enum log_format format)
{
    *sink = (struct log_sink){
        .context = sink,
        .write = stderr_write,
        .wall_ms = real_wall_ms,
        .node = node,
        .level_min = level_min,
        .format = format,
    };
}
