/*
 * The journal's file is made of zeros a little ahead of what is written to it, so that a sync has
 * the record's own page to write and nothing else: a file that grows takes with it, in each sync,
 * its size and where its blocks lie, which are writes of their own that come one after the other.
 * Room that is merely reserved would not do, since what is written to it has to be marked as
 * written.
 *
 * Zeros at the end of a journal are to the engine, and to store_wt_journal.c, an end like any
 * other; the engine cuts them off when it goes on to the next file.
 *
 * Several threads may write to one file, each in a place of its own. Nobody writes anything at or
 * behind `made` but under the lock and after moving it, so zeros never fall on a record.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/store_wt_internal.h"

/*
 * What is written in large pieces takes few syncs for its size, and would be written twice for
 * nothing.
 */
enum { ZEROS = 4096, PIECES = STORE_WT_AHEAD_BYTES / ZEROS, SMALL_BYTES_MAX = 16 * 1024 };

void
store_wt_ahead_init(struct store_wt_ahead *ahead)
{
    *ahead = (struct store_wt_ahead){0};
    /* Without attributes this does nothing but fill in memory. */
    (void)pthread_mutex_init(&ahead->lock, NULL);
}

void
store_wt_ahead_close(struct store_wt_ahead *ahead)
{
    pthread_mutex_destroy(&ahead->lock);
}

void
store_wt_ahead_set(struct store_wt_ahead *ahead, int64_t size)
{
    pthread_mutex_lock(&ahead->lock);
    atomic_store(&ahead->made, size);
    pthread_mutex_unlock(&ahead->lock);
}

/* Bytes made, perhaps none: that there is no room for them is nothing that anybody must know. */
static int64_t
zeros_append(int fd, int64_t from)
{
    static const uint8_t zeros[ZEROS];
    struct iovec pieces[PIECES];
    ssize_t n;

    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = (struct iovec){.iov_base = (void *)(uintptr_t)zeros, .iov_len = ZEROS};
    do {
        n = pwritev(fd, pieces, PIECES, from);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? 0 : n;
}

void
store_wt_ahead_reach(struct store_wt_ahead *ahead, int fd, int64_t offset, size_t length, bool may)
{
    int64_t end = offset + (int64_t)length;

    if (end <= atomic_load(&ahead->made))
        return;
    pthread_mutex_lock(&ahead->lock);
    int64_t made = atomic_load(&ahead->made);
    if (end > made && may && length <= SMALL_BYTES_MAX)
        made += zeros_append(fd, made);
    if (end > made)
        made = end; /* it is written at once, and grows the file by itself */
    atomic_store(&ahead->made, made);
    pthread_mutex_unlock(&ahead->lock);
}
