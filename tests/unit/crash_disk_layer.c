/*
 * The child's half of the crash disk: the engine's file system on real files. Every operation is
 * noted before it is done, and all of that under one lock, so that the notes are in the order in
 * which things happened.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wiredtiger.h>
#include <wiredtiger_ext.h>

#include "crash_disk_internal.h"

enum { CHILD_OUT_OF_ROOM = 90 }; /* exit status: the layer's own memory is too small */
enum { JOURNAL_AHEAD_BYTES = 8 * 1024 };

struct layer {
    WT_FILE_SYSTEM base; /* first: the engine hands its address back */
    struct crash_disk *disk;
};

struct handle {
    WT_FILE_HANDLE base;
    struct crash_disk *disk;
    unsigned file;
    bool directory, journal;
    int fd;
};

int ostraka_crash_disk_init(WT_CONNECTION *connection, WT_CONFIG_ARG *config);

static struct crash_disk *
disk_of(WT_FILE_SYSTEM *fs)
{
    return ((struct layer *)fs)->disk;
}

static struct handle *
handle_of(WT_FILE_HANDLE *handle)
{
    return (struct handle *)handle;
}

/* ---- the plan ---- */

enum planned { GO_ON, FAIL };

static void
die(struct crash_disk *disk)
{
    disk->dead = true;
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static bool
is_time(const struct crash_disk *disk, bool sync)
{
    return disk->ops == disk->plan.kill_at_op || (sync && disk->syncs == disk->plan.kill_at_sync);
}

/* Before an operation. `grows`: it needs room, which ENOSPC denies. */
static enum planned
op_begin(struct crash_disk *disk, bool sync, bool grows)
{
    const struct crash_plan *plan = &disk->plan;

    pthread_mutex_lock(&disk->lock);
    disk->ops++;
    disk->syncs += sync;
    if (is_time(disk, sync) && !plan->kill_after)
        die(disk);
    if (plan->fail_at_op == 0 || disk->ops < plan->fail_at_op)
        return GO_ON;
    if (plan->fail_with == ENOSPC && !grows)
        return GO_ON;
    if (!plan->fail_for_good && disk->failures > 0)
        return GO_ON;
    disk->failures++;
    return FAIL;
}

static void
op_end(struct crash_disk *disk, bool sync)
{
    if (is_time(disk, sync))
        die(disk);
    pthread_mutex_unlock(&disk->lock);
}

/* ---- notes ---- */

static struct crash_op *
note(struct crash_disk *disk, enum crash_op_kind kind, unsigned file, size_t data_bytes)
{
    if (disk->op_count == CRASH_OPS_MAX || data_bytes > disk->data_size - disk->data_used)
        _exit(CHILD_OUT_OF_ROOM);
    struct crash_op *op = &disk->items[disk->op_count];
    *op = (struct crash_op){.kind = kind, .file = file, .data = disk->data_used};
    disk->data_used += data_bytes;
    return op;
}

static uint64_t
size_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void
sync_content(struct crash_disk *disk, unsigned file)
{
    for (size_t i = 0; i < disk->op_count; i++) {
        struct crash_op *op = &disk->items[i];
        if (op->file == file && !crash_op_is_of_directory(op))
            op->durable = true;
    }
}

static void
sync_directory(struct crash_disk *disk)
{
    for (size_t i = 0; i < disk->op_count; i++) {
        if (crash_op_is_of_directory(&disk->items[i]))
            disk->items[i].durable = true;
    }
}

static const char *
last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static unsigned
file_number(struct crash_disk *disk, const char *name)
{
    for (unsigned i = 0; i < disk->file_count; i++) {
        if (strcmp(disk->files[i].name, name) == 0)
            return i;
    }
    if (disk->file_count == CRASH_FILES_MAX || strlen(name) >= CRASH_NAME_BYTES)
        _exit(CHILD_OUT_OF_ROOM);
    (void)snprintf(disk->files[disk->file_count].name, CRASH_NAME_BYTES, "%s", name);
    return (unsigned)disk->file_count++;
}

/* ---- files ---- */

static int
file_close(WT_FILE_HANDLE *handle, WT_SESSION *session)
{
    struct handle *h = handle_of(handle);

    (void)session;
    close(h->fd);
    free(h->base.name);
    free(h);
    return 0;
}

static int
file_lock(WT_FILE_HANDLE *handle, WT_SESSION *session, bool lock)
{
    struct flock fl = {.l_type = lock ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_len = 1};

    (void)session;
    return fcntl(handle_of(handle)->fd, F_SETLK, &fl) == 0 ? 0 : errno;
}

static int
file_read(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t offset, size_t size, void *out)
{
    struct handle *h = handle_of(handle);
    size_t got = 0;

    (void)session;
    if (h->disk->plan.fail_reads) {
        enum planned planned = op_begin(h->disk, false, false);
        op_end(h->disk, false);
        if (planned == FAIL)
            return h->disk->plan.fail_with;
    }
    while (got < size) {
        ssize_t n = pread(h->fd, (uint8_t *)out + got, size - got, offset + (wt_off_t)got);
        if (n <= 0)
            return n < 0 ? errno : WT_ERROR;
        got += (size_t)n;
    }
    return 0;
}

static int
file_size(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t *size)
{
    (void)session;
    *size = (wt_off_t)size_of(handle_of(handle)->fd);
    return 0;
}

static int
file_sync(WT_FILE_HANDLE *handle, WT_SESSION *session)
{
    struct handle *h = handle_of(handle);
    enum planned planned = op_begin(h->disk, true, false);

    (void)session;
    if (planned == GO_ON && h->directory)
        sync_directory(h->disk);
    else if (planned == GO_ON)
        sync_content(h->disk, h->file);
    op_end(h->disk, true);
    return planned == FAIL ? h->disk->plan.fail_with : 0;
}

static int
file_resize(WT_FILE_HANDLE *handle, wt_off_t size)
{
    struct handle *h = handle_of(handle);
    enum planned planned = op_begin(h->disk, false, (uint64_t)size > size_of(h->fd));
    int ret = planned == FAIL ? h->disk->plan.fail_with : 0;

    if (planned == GO_ON) {
        uint64_t old_size = size_of(h->fd), new_size = (uint64_t)size;
        uint64_t lost = old_size > new_size ? old_size - new_size : 0;
        struct crash_op *op = note(h->disk, OP_RESIZE, h->file, lost);
        op->old_size = old_size;
        op->new_size = new_size;
        op->offset = new_size;
        op->size = lost;
        if (pread(h->fd, h->disk->data + op->data, lost, size) != (ssize_t)lost)
            ret = EIO;
        h->disk->op_count++;
        if (ret == 0 && ftruncate(h->fd, size) != 0)
            ret = errno;
    }
    op_end(h->disk, false);
    return ret;
}

static int
file_truncate(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t size)
{
    (void)session;
    return file_resize(handle, size);
}

static int
file_extend(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t size)
{
    (void)session;
    if ((uint64_t)size <= size_of(handle_of(handle)->fd))
        return 0;
    return file_resize(handle, size);
}

static int
write_noted(struct handle *h, wt_off_t offset, size_t size, const void *data)
{
    struct crash_disk *disk = h->disk;
    enum planned planned = op_begin(disk, false, true);
    int ret = planned == FAIL ? disk->plan.fail_with : 0;

    if (planned == FAIL)
        size = size / 2 / CRASH_SECTOR_BYTES * CRASH_SECTOR_BYTES;
    if (size > 0) {
        struct crash_op *op = note(disk, OP_WRITE, h->file, 2 * size);
        uint8_t *before = disk->data + op->data;
        op->offset = (uint64_t)offset;
        op->size = size;
        op->old_size = size_of(h->fd);
        op->new_size = op->old_size > op->offset + size ? op->old_size : op->offset + size;
        memset(before, 0, size);
        (void)!pread(h->fd, before, size, offset);
        memcpy(before + size, data, size);
        disk->op_count++;
        if (pwrite(h->fd, data, size, offset) != (ssize_t)size)
            ret = EIO;
    }
    op_end(disk, false);
    return ret;
}

/* A journal grows by zeros ahead of what is written, as src/store/store_wt_ahead.c has it. */
static int
file_write(WT_FILE_HANDLE *handle, WT_SESSION *session, wt_off_t offset, size_t size,
           const void *data)
{
    static const uint8_t zeros[JOURNAL_AHEAD_BYTES];
    struct handle *h = handle_of(handle);
    uint64_t there = size_of(h->fd);

    (void)session;
    if (h->journal && size <= sizeof(zeros) && (uint64_t)offset + size > there)
        (void)write_noted(h, (wt_off_t)there, sizeof(zeros), zeros);
    return write_noted(h, offset, size, data);
}

/* ---- the directory ---- */

static int
fs_exist(WT_FILE_SYSTEM *fs, WT_SESSION *session, const char *name, bool *exists)
{
    struct stat st;

    (void)fs;
    (void)session;
    *exists = stat(name, &st) == 0;
    return *exists || errno == ENOENT ? 0 : errno;
}

static int
fs_size(WT_FILE_SYSTEM *fs, WT_SESSION *session, const char *name, wt_off_t *size)
{
    struct stat st;

    (void)fs;
    (void)session;
    if (stat(name, &st) != 0)
        return errno;
    *size = st.st_size;
    return 0;
}

static int
list_free(WT_FILE_SYSTEM *fs, WT_SESSION *session, char **names, uint32_t count)
{
    (void)fs;
    (void)session;
    for (uint32_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return 0;
}

static int
list(const char *directory, const char *prefix, uint32_t max, char ***names, uint32_t *count)
{
    DIR *dir = opendir(directory);

    *names = NULL;
    *count = 0;
    if (dir == NULL)
        return errno;
    *names = calloc(CRASH_FILES_MAX, sizeof(char *));
    for (struct dirent *e = readdir(dir); *names != NULL && e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.' || *count == max)
            continue;
        if (prefix == NULL || strncmp(e->d_name, prefix, strlen(prefix)) == 0)
            (*names)[(*count)++] = strdup(e->d_name);
    }
    closedir(dir);
    return *names != NULL ? 0 : ENOMEM;
}

static int
fs_list(WT_FILE_SYSTEM *fs, WT_SESSION *session, const char *directory, const char *prefix,
        char ***names, uint32_t *count)
{
    (void)fs;
    (void)session;
    return list(directory, prefix, CRASH_FILES_MAX, names, count);
}

static int
fs_list_single(WT_FILE_SYSTEM *fs, WT_SESSION *session, const char *directory, const char *prefix,
               char ***names, uint32_t *count)
{
    (void)fs;
    (void)session;
    return list(directory, prefix, 1, names, count);
}

/* The lock is held. */
static int
rename_noted(struct crash_disk *disk, const char *from, const char *to)
{
    char from_path[CRASH_TEXT_BYTES + CRASH_NAME_BYTES], to_path[sizeof(from_path)];

    crash_path(disk, from, from_path);
    crash_path(disk, to, to_path);
    if (access(from_path, F_OK) != 0)
        return errno;
    unsigned file = file_number(disk, from);
    struct crash_op *op = note(disk, OP_RENAME, file, 0);
    (void)snprintf(op->from, sizeof(op->from), "%s", from);
    (void)snprintf(op->to, sizeof(op->to), "%s", to);
    disk->op_count++;
    if (rename(from_path, to_path) != 0) {
        disk->op_count--;
        return errno;
    }
    (void)snprintf(disk->files[file].name, CRASH_NAME_BYTES, "%s", to);
    return 0;
}

/* The lock is held. What is removed is put aside, since a power loss may bring it back. */
static int
remove_noted(struct crash_disk *disk, const char *name)
{
    char aside[CRASH_NAME_BYTES];

    (void)snprintf(aside, sizeof(aside), CRASH_GONE "%zu", disk->op_count);
    return rename_noted(disk, name, aside);
}

static int
fs_remove(WT_FILE_SYSTEM *fs, WT_SESSION *session, const char *name, uint32_t flags)
{
    struct crash_disk *disk = disk_of(fs);
    enum planned planned = op_begin(disk, false, false);
    int ret = planned == FAIL ? disk->plan.fail_with : 0;

    (void)session;
    if (ret == 0)
        ret = remove_noted(disk, last_part(name));
    if (ret == 0 && (flags & WT_FS_DURABLE) != 0)
        sync_directory(disk);
    op_end(disk, false);
    return ret;
}

static int
fs_rename(WT_FILE_SYSTEM *fs, WT_SESSION *session, const char *from, const char *to, uint32_t flags)
{
    struct crash_disk *disk = disk_of(fs);
    enum planned planned = op_begin(disk, false, false);
    int ret = planned == FAIL ? disk->plan.fail_with : 0;

    (void)session;
    size_t first = disk->op_count;
    if (ret == 0)
        ret = remove_noted(disk, last_part(to));
    if (ret == ENOENT)
        ret = 0;
    if (ret == 0)
        ret = rename_noted(disk, last_part(from), last_part(to));
    /* Replacing is one operation: the old file and the new one change places together. */
    if (ret == 0 && disk->op_count - first == 2)
        disk->items[first].new_size = 1;
    if (ret == 0 && (flags & WT_FS_DURABLE) != 0)
        sync_directory(disk);
    op_end(disk, false);
    return ret;
}

static int
open_noted(struct crash_disk *disk, const char *name, WT_FS_OPEN_FILE_TYPE type, uint32_t flags,
           struct handle *h)
{
    int mode = type == WT_FS_OPEN_FILE_TYPE_DIRECTORY ? O_RDONLY | O_DIRECTORY : O_RDWR;
    bool create = (flags & WT_FS_OPEN_CREATE) != 0;

    h->directory = type == WT_FS_OPEN_FILE_TYPE_DIRECTORY;
    h->journal = type == WT_FS_OPEN_FILE_TYPE_LOG;
    if ((flags & WT_FS_OPEN_READONLY) != 0)
        mode = O_RDONLY;
    h->fd = open(name, mode | O_CLOEXEC);
    if (h->fd >= 0 && create && (flags & WT_FS_OPEN_EXCLUSIVE) != 0) {
        close(h->fd);
        return EEXIST;
    }
    if (h->directory)
        return h->fd >= 0 ? 0 : errno;
    if (h->fd < 0 && (errno != ENOENT || !create))
        return errno;
    h->file = file_number(disk, last_part(name));
    if (h->fd >= 0)
        return 0;
    (void)note(disk, OP_CREATE, h->file, 0);
    disk->op_count++;
    h->fd = open(name, mode | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (h->fd < 0)
        return errno;
    if ((flags & WT_FS_OPEN_DURABLE) != 0)
        sync_directory(disk);
    return 0;
}

static int
fs_open(WT_FILE_SYSTEM *fs, WT_SESSION *session, const char *name, WT_FS_OPEN_FILE_TYPE type,
        uint32_t flags, WT_FILE_HANDLE **out)
{
    struct crash_disk *disk = disk_of(fs);
    struct handle *h = calloc(1, sizeof(*h));

    (void)session;
    *out = NULL;
    if (h == NULL)
        return ENOMEM;
    h->disk = disk;
    h->base = (WT_FILE_HANDLE){.file_system = fs,
                               .name = strdup(name),
                               .close = file_close,
                               .fh_lock = file_lock,
                               .fh_read = file_read,
                               .fh_size = file_size,
                               .fh_sync = file_sync,
                               .fh_extend = file_extend,
                               .fh_truncate = file_truncate,
                               .fh_write = file_write};
    enum planned planned = op_begin(disk, false, (flags & WT_FS_OPEN_CREATE) != 0);
    int ret = planned == FAIL ? disk->plan.fail_with : 0;
    if (ret == 0)
        ret = open_noted(disk, name, type, flags, h);
    op_end(disk, false);
    if (ret != 0) {
        free(h->base.name);
        free(h);
        return ret;
    }
    *out = &h->base;
    return 0;
}

static int
fs_terminate(WT_FILE_SYSTEM *fs, WT_SESSION *session)
{
    (void)session;
    free(fs);
    return 0;
}

int
ostraka_crash_disk_init(WT_CONNECTION *connection, WT_CONFIG_ARG *config)
{
    WT_EXTENSION_API *api = connection->get_extension_api(connection);
    WT_CONFIG_ITEM item;

    int ret = api->config_get(api, NULL, config, "disk", &item);
    if (ret != 0)
        return ret;
    struct layer *layer = calloc(1, sizeof(*layer));
    if (layer == NULL)
        return ENOMEM;
    layer->disk = (struct crash_disk *)(uintptr_t)item.val;
    layer->base = (WT_FILE_SYSTEM){.fs_directory_list = fs_list,
                                   .fs_directory_list_single = fs_list_single,
                                   .fs_directory_list_free = list_free,
                                   .fs_exist = fs_exist,
                                   .fs_open_file = fs_open,
                                   .fs_remove = fs_remove,
                                   .fs_rename = fs_rename,
                                   .fs_size = fs_size,
                                   .terminate = fs_terminate};
    return connection->set_file_system(connection, &layer->base, NULL);
}
