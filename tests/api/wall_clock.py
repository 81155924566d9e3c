"""Wall clocks of nodes that can be set, while they run too. The monotonic clock, and whatever sleeps by it, is left alone.

A preloaded library adds an offset, which it reads from a file that it has mapped. libfaketime is no use here:
with the monotonic clock left alone its waits with a time-out return at once, so that threads spin.
"""

import os
import struct
import subprocess

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_ms;
static int (*next_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof(*offset_ms), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    next_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (map == MAP_FAILED)
        abort(); /* a test without the fault that it asked for would pass */
    close(fd);
    offset_ms = map;
}

int
clock_gettime(clockid_t clock, struct timespec *out)
{
    int result;

    if (!next_clock)
        next_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    result = next_clock(clock, out);
    if (result == 0 && offset_ms && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = out->tv_nsec + *offset_ms % 1000 * 1000000;

        out->tv_sec += *offset_ms / 1000 + (ns >= 1000000000) - (ns < 0);
        out->tv_nsec = (ns + 1000000000) % 1000000000;
    }
    return result;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t
time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
"""


class WallClocks:
    def __init__(self, directory):
        self.directory = directory
        self.library = os.path.join(directory, "wall_clock.so")
        source = os.path.join(directory, "wall_clock.c")
        with open(source, "w") as file:
            file.write(SOURCE)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"], check=True)

    def path(self, node):
        return os.path.join(self.directory, "wall_clock.%d" % node)

    def set(self, node, offset):
        """Seconds that the node's wall clock is wrong by, from now on."""
        fd = os.open(self.path(node), os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(fd, struct.pack("=q", round(offset * 1000)), 0)
        os.close(fd)

    def environment(self, node):
        """For a process that is to have this clock."""
        if not os.path.exists(self.path(node)):
            self.set(node, 0)
        return {"LD_PRELOAD": self.library, "TEST_CLOCK": self.path(node)}
