/*
 * Removal of large files, piece by piece.
 *
 * A file that is removed at once keeps the disk busy for as long as giving back all its blocks takes,
 * hundreds of milliseconds where the file system discards them, and every sync waits for that: after
 * each checkpoint, when the journals that it made needless are removed. The engine does that in a thread
 * that nobody waits for.
 *
 * What is being cut has a name that means nothing to the engine or to the check of the journal: a
 * crash in between must not leave half of a journal behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/store_wt_internal.h"

static const char RETIRED[] = STORE_WT_RETIRED;

enum { PIECE_BYTES = 1024 * 1024, PAUSE_MS = 5 };

/* Failing to is no error: what is left goes at once. */
static void
cut_down(int fd)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000L * 1000L};
    struct stat st;

    if (fstat(fd, &st) != 0)
        return;
    for (off_t size = st.st_size - PIECE_BYTES; size > 0; size -= PIECE_BYTES) {
        if (ftruncate(fd, size) != 0)
            return;
        (void)nanosleep(&pause, NULL);
    }
}

int
store_wt_retire(const struct store_wt_disk *disk, const char *name)
{
    if (renameat(AT_FDCWD, name, disk->directory_fd, RETIRED) != 0)
        return errno;
    int fd = openat(disk->directory_fd, RETIRED, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        cut_down(fd);
        close(fd);
    }
    return unlinkat(disk->directory_fd, RETIRED, 0) == 0 ? 0 : errno;
}

void
store_wt_retire_rest(const struct store_wt_disk *disk)
{
    (void)unlinkat(disk->directory_fd, RETIRED, 0);
}
