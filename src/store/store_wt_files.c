/*
 * The engine's way to its files, in place of the one that it brings along. It does the same with
 * the same system calls, but for six things.
 *
 * A write that finds no room does not fail, which would be the engine's end: the room that is held
 * back for that (store_wt_disk.h) is given to it, and if somebody else takes that as well, it
 * waits until there is room again. Nothing is lost by waiting: what was not written was not
 * acknowledged.
 *
 * A sync that fails ends the process at once. What the system did with the pages is not known, and
 * the next sync may succeed without them.
 *
 * The journal's file grows ahead of what is written to it (store_wt_ahead.c), and goes piece by piece
 * (store_wt_retire.c). What is written to the table is on its way to the disk soon, not only when a
 * checkpoint syncs it.
 *
 * And files are made for the server's user alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/store_wt_internal.h"

/* As long as that is waited for room, so often it is looked for. */
enum { ROOM_WAIT_MS = 60 * 1000, ROOM_LOOK_MS = 10 };

enum { WRITE_OUT_BYTES = 1024 * 1024 };

struct file {
    WT_FILE_HANDLE base; /* first: the engine hands its address back */
    int fd;
    bool is_journal;
    struct store_wt_ahead ahead;    /* of a journal */
    _Atomic uint64_t waiting_bytes; /* of another: since the system was asked to write out */
};

static struct store_wt *
store_of(const WT_FILE_SYSTEM *system)
{
    return (struct store_wt *)((char *)(uintptr_t)system - offsetof(struct store_wt, files));
}

static struct file *
file_of(WT_FILE_HANDLE *handle)
{
    return (struct file *)handle;
}

/* The error that errno tells; the engine hides what led to its own, so the first one is kept. */
static int
failed(const WT_FILE_SYSTEM *system)
{
    int number = errno != 0 ? errno : EIO, none = 0;

    (void)atomic_compare_exchange_strong(&store_of(system)->first_errno, &none, number);
    return number;
}

/*
 * After a system call that failed: whether it is to be done again, since there may be room now.
 * While the store is being opened nobody waits: its owner is told.
 */
static bool
make_room(const WT_FILE_SYSTEM *system, unsigned *waited_ms)
{
    struct store_wt *s = store_of(system);
    const struct timespec pause = {.tv_nsec = ROOM_LOOK_MS * 1000L * 1000L};
    int number = errno;

    if (number != ENOSPC && number != EDQUOT)
        return false;
    if (store_wt_disk_give_reserve(&s->disk))
        return true;
    if (!atomic_load(&s->running) || *waited_ms >= ROOM_WAIT_MS) {
        errno = number;
        return false;
    }
    (void)nanosleep(&pause, NULL);
    *waited_ms += ROOM_LOOK_MS;
    return true;
}

static int
sync_fd(const WT_FILE_SYSTEM *system, int fd)
{
    struct store_wt *s = store_of(system);
    int rc;

    do {
        rc = fdatasync(fd);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    if (atomic_load(&s->running))
        store_wt_fatal(s, "a file could not be synced to the disk");
    atomic_store(&s->panicked, true); /* nothing more may be written by this connection */
    return failed(system);
}

/* Syncs the directory that a file of this name lies in. */
static int
sync_directory_of(const WT_FILE_SYSTEM *system, const char *name)
{
    const char *slash = strrchr(name, '/');
    char *path = slash == NULL ? strdup(".") : strndup(name, (size_t)(slash - name) + 1);

    if (path == NULL)
        return ENOMEM;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return failed(system);
    int ret = sync_fd(system, fd);
    close(fd);
    return ret;
}

/* ---- one file ---- */

static void
file_free(struct file *file)
{
    store_wt_ahead_close(&file->ahead);
    free(file->base.name);
    free(file);
}

static int
file_close(WT_FILE_HANDLE *handle, WT_SESSION *session)
{
    struct file *file = file_of(handle);
    WT_FILE_SYSTEM *system = handle->file_system;

    (void)session;
    int rc = close(file->fd);
    int ret = rc == 0 ? 0 : failed(system);
    file_free(file);
    return ret;
}

static int
file_lock(WT_FILE_HANDLE *handle, WT_SESSION *session, bool lock)
{
    struct flock range = {.l_type = lock ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_len = 1};

    (void)session;
    return fcntl(file_of(handle)->fd, F_SETLK, &range) == 0 ? 0 : errno;
}

static int
file_read(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t offset, size_t length, void *out)
{
    uint8_t *to = out;

    (void)session;
    while (length > 0) {
        ssize_t n = pread(file_of(handle)->fd, to, length, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(handle->file_system);
        if (n == 0)
            return WT_ERROR; /* the file is shorter than what refers to it says */
        to += n;
        offset += n;
        length -= (size_t)n;
    }
    return 0;
}

/*
 * A checkpoint ends with a sync of all that was written to the table since the last one, and syncs of
 * the journal wait behind that in the disk's queue, if the system has not begun before. It is asked to;
 * that it fails is no error.
 */
static void
write_out_soon(struct file *file, size_t bytes)
{
    if (atomic_fetch_add(&file->waiting_bytes, bytes) + bytes < WRITE_OUT_BYTES)
        return;
    atomic_store(&file->waiting_bytes, 0);
    (void)sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int
file_write(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t offset, size_t length,
           const void *data)
{
    struct file *file = file_of(handle);
    const uint8_t *from = data;
    const size_t whole = length;
    unsigned waited_ms = 0;

    (void)session;
    if (file->is_journal)
        store_wt_ahead_reach(&file->ahead, file->fd, offset, length,
                             !store_wt_is_tight(&store_of(handle->file_system)->base));
    while (length > 0) {
        ssize_t n = pwrite(file->fd, from, length, offset);
        if (n < 0 && (errno == EINTR || make_room(handle->file_system, &waited_ms)))
            continue;
        if (n < 0)
            return failed(handle->file_system);
        from += n;
        offset += n;
        length -= (size_t)n;
    }
    if (!file->is_journal)
        write_out_soon(file, whole);
    return 0;
}

static int
file_size(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t *size)
{
    struct stat st;

    (void)session;
    *size = 0;
    if (fstat(file_of(handle)->fd, &st) != 0)
        return failed(handle->file_system);
    *size = st.st_size;
    return 0;
}

static int
file_sync(WT_FILE_HANDLE *handle, WT_SESSION *session)
{
    (void)session;
    return sync_fd(handle->file_system, file_of(handle)->fd);
}

static int
file_truncate(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t size)
{
    struct file *file = file_of(handle);
    unsigned waited_ms = 0;
    int rc;

    (void)session;
    do {
        rc = ftruncate(file->fd, size);
    } while (rc != 0 && (errno == EINTR || make_room(handle->file_system, &waited_ms)));
    if (rc == 0)
        store_wt_ahead_set(&file->ahead, size);
    return rc == 0 ? 0 : failed(handle->file_system);
}

/* ---- by name ---- */

static int
open_flags(WT_FS_OPEN_FILE_TYPE type, uint32_t flags)
{
    if (type == WT_FS_OPEN_FILE_TYPE_DIRECTORY)
        return O_RDONLY | O_CLOEXEC;
    int how = O_CLOEXEC | ((flags & WT_FS_OPEN_READONLY) != 0 ? O_RDONLY : O_RDWR);
    if ((flags & WT_FS_OPEN_CREATE) != 0)
        how |= O_CREAT;
    if ((flags & WT_FS_OPEN_CREATE) != 0 && (flags & WT_FS_OPEN_EXCLUSIVE) != 0)
        how |= O_EXCL;
    return how;
}

static struct file *
file_new(WT_FILE_SYSTEM *system, const char *name)
{
    struct file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->fd = -1;
    store_wt_ahead_init(&file->ahead);
    file->base = (WT_FILE_HANDLE){.file_system = system,
                                  .name = strdup(name),
                                  .close = file_close,
                                  .fh_lock = file_lock,
                                  .fh_read = file_read,
                                  .fh_write = file_write,
                                  .fh_size = file_size,
                                  .fh_sync = file_sync,
                                  .fh_truncate = file_truncate};
    if (file->base.name != NULL)
        return file;
    file_free(file);
    return NULL;
}

static int
journal_opened(struct file *file)
{
    struct stat st;

    if (fstat(file->fd, &st) != 0)
        return failed(file->base.file_system);
    store_wt_ahead_set(&file->ahead, st.st_size);
    file->is_journal = true;
    return 0;
}

static int
files_open(WT_FILE_SYSTEM *system, WT_SESSION *session, const char *name, WT_FS_OPEN_FILE_TYPE type,
           uint32_t flags, WT_FILE_HANDLE **out)
{
    struct file *file = file_new(system, name);
    unsigned waited_ms = 0;
    int ret = 0;

    (void)session;
    *out = NULL;
    if (file == NULL)
        return ENOMEM;
    do {
        file->fd = open(name, open_flags(type, flags), 0600);
    } while (file->fd < 0 && (errno == EINTR || make_room(system, &waited_ms)));
    if (file->fd < 0)
        ret = errno == ENOENT ? ENOENT : failed(system);
    else if ((flags & WT_FS_OPEN_CREATE) != 0 && (flags & WT_FS_OPEN_DURABLE) != 0)
        ret = sync_directory_of(system, name);
    if (ret == 0 && type == WT_FS_OPEN_FILE_TYPE_LOG)
        ret = journal_opened(file);
    if (ret == 0) {
        *out = &file->base;
        return 0;
    }
    if (file->fd >= 0)
        close(file->fd);
    file_free(file);
    return ret;
}

static int
files_exist(WT_FILE_SYSTEM *system, WT_SESSION *session, const char *name, bool *exists)
{
    struct stat st;

    (void)session;
    *exists = stat(name, &st) == 0;
    return *exists || errno == ENOENT ? 0 : failed(system);
}

static int
files_size(WT_FILE_SYSTEM *system, WT_SESSION *session, const char *name, wt_off_t *size)
{
    struct stat st;

    (void)session;
    *size = 0;
    if (stat(name, &st) != 0)
        return failed(system);
    *size = st.st_size;
    return 0;
}

/* While a store is opened somebody waits, and on a full disk for the room. */
static int
remove_file(struct store_wt *s, const char *name)
{
    if (atomic_load(&s->running) && !store_wt_is_tight(&s->base))
        return store_wt_retire(&s->disk, name);
    return unlink(name) == 0 ? 0 : errno;
}

static int
files_remove(WT_FILE_SYSTEM *system, WT_SESSION *session, const char *name, uint32_t flags)
{
    (void)session;
    errno = remove_file(store_of(system), name);
    if (errno != 0)
        return failed(system);
    return (flags & WT_FS_DURABLE) != 0 ? sync_directory_of(system, name) : 0;
}

static int
files_rename(WT_FILE_SYSTEM *system, WT_SESSION *session, const char *from, const char *to,
             uint32_t flags)
{
    unsigned waited_ms = 0;
    int rc;

    (void)session;
    do {
        rc = rename(from, to);
    } while (rc != 0 && make_room(system, &waited_ms));
    if (rc != 0)
        return failed(system);
    if ((flags & WT_FS_DURABLE) == 0)
        return 0;
    /* All its files lie in one directory. */
    return sync_directory_of(system, to);
}

static int
list_free(WT_FILE_SYSTEM *system, WT_SESSION *session, char **list, uint32_t count)
{
    (void)system;
    (void)session;
    for (uint32_t i = 0; list != NULL && i < count; i++)
        free(list[i]);
    free(list);
    return 0;
}

static int
list_append(char ***list, uint32_t *count, const char *name)
{
    char **longer = realloc(*list, (*count + 1) * sizeof(*longer));

    if (longer == NULL)
        return ENOMEM;
    *list = longer;
    longer[*count] = strdup(name);
    if (longer[*count] == NULL)
        return ENOMEM;
    (*count)++;
    return 0;
}

static int
list_up_to(WT_FILE_SYSTEM *system, const char *directory, const char *prefix, uint32_t limit,
           char ***list, uint32_t *count)
{
    DIR *dir = opendir(directory);
    size_t prefix_size = prefix == NULL ? 0 : strlen(prefix);
    int ret = 0;

    *list = NULL;
    *count = 0;
    if (dir == NULL)
        return failed(system);
    for (const struct dirent *e = readdir(dir); e != NULL && ret == 0 && *count < limit;
         e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (prefix_size == 0 || strncmp(e->d_name, prefix, prefix_size) == 0)
            ret = list_append(list, count, e->d_name);
    }
    closedir(dir);
    if (ret == 0)
        return 0;
    (void)list_free(system, NULL, *list, *count);
    *list = NULL;
    *count = 0;
    return ret;
}

static int
files_list(WT_FILE_SYSTEM *system, WT_SESSION *session, const char *directory, const char *prefix,
           char ***list, uint32_t *count)
{
    (void)session;
    return list_up_to(system, directory, prefix, UINT32_MAX, list, count);
}

static int
files_list_one(WT_FILE_SYSTEM *system, WT_SESSION *session, const char *directory,
               const char *prefix, char ***list, uint32_t *count)
{
    (void)session;
    return list_up_to(system, directory, prefix, 1, list, count);
}

void
store_wt_files_init(WT_FILE_SYSTEM *files)
{
    *files = (WT_FILE_SYSTEM){.fs_directory_list = files_list,
                              .fs_directory_list_single = files_list_one,
                              .fs_directory_list_free = list_free,
                              .fs_exist = files_exist,
                              .fs_open_file = files_open,
                              .fs_remove = files_remove,
                              .fs_rename = files_rename,
                              .fs_size = files_size};
}
