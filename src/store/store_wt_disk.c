#include "store/store_wt_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_EVERY_NS = 50 * 1000 * 1000,
    LOOK_EVERY_BYTES = 1024 * 1024,
};
static const uint64_t HOLD_AGAIN_NS = 10 * 1000 * 1000 * (uint64_t)1000;
static const char RESERVE[] = "reserve";

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static enum vault_err
disk_look(struct store_wt_disk *disk)
{
    struct statvfs vfs;

    if (fstatvfs(disk->directory_fd, &vfs) != 0)
        return ERR_IO;
    atomic_store(&disk->free_bytes,
                 (uint64_t)vfs.f_bavail * vfs.f_frsize + atomic_load(&disk->held_bytes));
    disk->looked_ns = now_ns();
    disk->written_bytes = 0;
    return OK;
}

static uint64_t
reserve_size(const struct store_wt_disk *disk)
{
    uint64_t size = disk->free_min_bytes / 4;

    return size < STORE_WT_RESERVE_MAX ? size : STORE_WT_RESERVE_MAX;
}

/* One that an earlier run left is this one's, if it is as large as it should be. */
static void
reserve_find(struct store_wt_disk *disk)
{
    struct stat st;

    if (fstatat(disk->directory_fd, RESERVE, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size == reserve_size(disk) && st.st_size > 0)
        atomic_store(&disk->held_bytes, (uint64_t)st.st_size);
    else
        (void)unlinkat(disk->directory_fd, RESERVE, 0);
}

enum vault_err
store_wt_disk_init(struct store_wt_disk *disk, const char *directory, uint64_t free_min_bytes)
{
    struct stat st;

    *disk = (struct store_wt_disk){.directory_fd = -1, .free_min_bytes = free_min_bytes};
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return ERR_IO;
    disk->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->directory_fd < 0)
        return ERR_IO;
    if (fstat(disk->directory_fd, &st) != 0)
        return ERR_IO;
    if ((st.st_mode & 077) != 0 && fchmod(disk->directory_fd, 0700) != 0)
        return ERR_IO;
    reserve_find(disk);
    return disk_look(disk);
}

void
store_wt_disk_close(struct store_wt_disk *disk)
{
    if (disk->directory_fd >= 0)
        close(disk->directory_fd);
    disk->directory_fd = -1;
}

enum vault_err
store_wt_disk_visit(const struct store_wt_disk *disk,
                    enum vault_err (*visit)(int directory_fd, const char *name, void *context),
                    void *context)
{
    enum vault_err err = OK;
    int fd = openat(disk->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return ERR_IO;
    }
    for (const struct dirent *e = readdir(dir); e != NULL && err == OK; e = readdir(dir)) {
        if (e->d_name[0] != '.')
            err = visit(disk->directory_fd, e->d_name, context);
    }
    closedir(dir);
    return err;
}

static enum vault_err
file_classify(int directory_fd, const char *name, void *context)
{
    struct store_wt_files *files = context;

    (void)directory_fd;
    if (strcmp(name, "WiredTiger.turtle") == 0)
        files->has_database = true;
    else if (strcmp(name, "WiredTiger.config") == 0 || strcmp(name, "WiredTiger.basecfg") == 0)
        files->has_override = true;
    else if (strcmp(name, "rows.wt") == 0)
        files->has_table = true;
    else if (strncmp(name, "WiredTigerLog.", 14) == 0)
        files->has_journal = true;
    return OK;
}

enum vault_err
store_wt_disk_files(const struct store_wt_disk *disk, struct store_wt_files *out)
{
    *out = (struct store_wt_files){0};
    return store_wt_disk_visit(disk, file_classify, out);
}

static enum vault_err
file_protect(int directory_fd, const char *name, void *context)
{
    struct stat st;

    (void)context;
    /* The engine removes old journals by itself, so a name may be gone. */
    if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? OK : ERR_IO;
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) == 0)
        return OK;
    if (fchmodat(directory_fd, name, 0600, 0) != 0 && errno != ENOENT)
        return ERR_IO;
    return OK;
}

enum vault_err
store_wt_disk_protect(const struct store_wt_disk *disk)
{
    return store_wt_disk_visit(disk, file_protect, NULL);
}

static enum vault_err
file_drop_cache(int directory_fd, const char *name, void *context)
{
    (void)context;
    int fd = openat(directory_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return OK; /* whoever reads it will be told why */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return OK;
}

void
store_wt_disk_drop_cache(const struct store_wt_disk *disk)
{
    /* What stays in the cache is checked there; a device that fails shows when it is read. */
    if (store_wt_disk_visit(disk, file_drop_cache, NULL) != OK)
        return;
}

/* A new file that takes that much room. */
static bool
file_fill(const struct store_wt_disk *disk, const char *name, uint64_t size)
{
    int fd = openat(disk->directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return false;
    bool filled = posix_fallocate(fd, 0, (off_t)size) == 0;
    if (!filled)
        (void)unlinkat(disk->directory_fd, name, 0);
    close(fd);
    return filled;
}

void
store_wt_disk_ballast(struct store_wt_disk *disk)
{
    if (disk_look(disk) != OK)
        return;
    if (atomic_load(&disk->free_bytes) / 2 < disk->free_min_bytes + STORE_WT_BALLAST_BYTES)
        return;
    (void)file_fill(disk, "ballast", STORE_WT_BALLAST_BYTES);
}

void
store_wt_disk_hold_reserve(struct store_wt_disk *disk)
{
    uint64_t size = reserve_size(disk), now = now_ns();

    if (size == 0 || atomic_load(&disk->held_bytes) > 0 || now < disk->hold_after_ns ||
        atomic_load(&disk->free_bytes) < disk->free_min_bytes)
        return;
    if (file_fill(disk, RESERVE, size))
        atomic_store(&disk->held_bytes, size);
    else
        disk->hold_after_ns = now + HOLD_AGAIN_NS;
}

bool
store_wt_disk_give_reserve(struct store_wt_disk *disk)
{
    atomic_store(&disk->free_bytes, 0);
    if (atomic_exchange(&disk->held_bytes, 0) == 0)
        return false;
    return unlinkat(disk->directory_fd, RESERVE, 0) == 0;
}

enum vault_err
store_wt_disk_admit(struct store_wt_disk *disk, uint64_t bytes, bool may_use_kept)
{
    uint64_t floor = may_use_kept ? disk->free_min_bytes / 4 + atomic_load(&disk->pending_bytes)
                                  : disk->free_min_bytes;
    uint64_t need = floor + disk->written_bytes + bytes;

    if (disk->written_bytes + bytes > LOOK_EVERY_BYTES || atomic_load(&disk->free_bytes) < need ||
        now_ns() - disk->looked_ns > LOOK_EVERY_NS) {
        enum vault_err err = disk_look(disk);
        if (err != OK)
            return err;
        store_wt_disk_hold_reserve(disk);
    }
    if (atomic_load(&disk->free_bytes) < floor + bytes)
        return ERR_DISK_FULL;
    disk->written_bytes += bytes;
    if (atomic_load(&disk->free_bytes) < disk->free_min_bytes)
        atomic_fetch_add(&disk->pending_bytes, bytes / 2);
    return OK;
}
