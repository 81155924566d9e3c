/*
 * The sink of a process. The lock of the stream stderr serves as the mutex, so that lines of
 * threads do not mix, also with what a library prints there; the line itself goes by write(2).
 */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void
stderr_write(void *context, enum log_level level, struct bytes line)
{
    (void)context;
    (void)level;
    flockfile(stderr);
    while (line.size > 0) {
        ssize_t written = write(STDERR_FILENO, line.data, line.size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break; /* nobody can be told that the log is lost */
        line.data += written;
        line.size -= (size_t)written;
    }
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
        .write = stderr_write,
        .wall_ms = real_wall_ms,
        .node = node,
        .level_min = level_min,
        .format = format,
    };
}
