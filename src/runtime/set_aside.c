#include "runtime/set_aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cluster_files.h"

static const char MARK[] = ".damaged-";

enum { NAME_MAX_HERE = 256 };

/* A directory with its symbolic links resolved, taken apart. */
struct place {
    char parent[PATH_MAX];
    char name[NAME_MAX_HERE];
};

static bool
place_of(const char *directory, struct place *out)
{
    if (!realpath(directory, out->parent))
        return false;
    char *slash = strrchr(out->parent, '/');
    if (!slash || slash == out->parent || strlen(slash + 1) >= sizeof(out->name)) {
        errno = EINVAL;
        return false;
    }
    snprintf(out->name, sizeof(out->name), "%s", slash + 1);
    *slash = '\0';
    return true;
}

/* How many damaged directories there are, and the name of the oldest: their names sort by time. */
static bool
find_oldest(const struct place *place, unsigned *count, char oldest[static NAME_MAX_HERE])
{
    DIR *dir = opendir(place->parent);
    size_t size = strlen(place->name);

    *count = 0;
    oldest[0] = '\0';
    if (!dir)
        return false;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strncmp(e->d_name, place->name, size) != 0 ||
            strncmp(e->d_name + size, MARK, sizeof(MARK) - 1) != 0 ||
            strlen(e->d_name) >= NAME_MAX_HERE)
            continue;
        (*count)++;
        if (oldest[0] == '\0' || strcmp(e->d_name, oldest) < 0)
            snprintf(oldest, NAME_MAX_HERE, "%s", e->d_name);
    }
    closedir(dir);
    return true;
}

static bool
remove_damaged(const struct place *place, const char *name, const struct log_sink *log)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", place->parent, name) >= (int)sizeof(path))
        return false;
    enum vault_err err = directory_remove(path);
    log_event(log, LOG_WARN, "store", "damaged_files_removed", log_text("path", path),
              log_err("outcome", err));
    return err == OK;
}

/* Errors: ERR_DISK_FULL, ERR_IO. */
static enum vault_err
make_room(const struct place *place, uint64_t room_bytes, const struct log_sink *log)
{
    char oldest[NAME_MAX_HERE];
    struct statvfs vfs;
    unsigned count;

    for (;;) {
        if (!find_oldest(place, &count, oldest) || statvfs(place->parent, &vfs) != 0)
            return ERR_IO;
        bool room = (uint64_t)vfs.f_bavail * vfs.f_frsize >= room_bytes;
        if (room && count < SET_ASIDE_MAX)
            return OK;
        if (count == 0)
            return ERR_DISK_FULL;
        if (!remove_damaged(place, oldest, log))
            return ERR_IO;
    }
}

static bool
sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return done;
}

/* A name that is taken, by one set aside in the same second, gets a number. */
static bool
replace(const struct place *place, uint64_t now_s, char target[static PATH_MAX])
{
    char from[PATH_MAX], when[32];
    time_t now = (time_t)now_s;
    struct tm tm;

    if (!gmtime_r(&now, &tm) || strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm) == 0 ||
        snprintf(from, sizeof(from), "%s/%s", place->parent, place->name) >= (int)sizeof(from))
        return false;
    for (unsigned i = 0; i <= SET_ASIDE_MAX; i++) {
        int size = i == 0 ? snprintf(target, PATH_MAX, "%s%s%s", from, MARK, when)
                          : snprintf(target, PATH_MAX, "%s%s%s-%u", from, MARK, when, i);
        if (size >= PATH_MAX)
            errno = ENAMETOOLONG;
        else if (renameat2(AT_FDCWD, from, AT_FDCWD, target, RENAME_NOREPLACE) == 0)
            return mkdir(from, 0700) == 0;
        if (errno != EEXIST)
            return false;
    }
    return false;
}

enum vault_err
set_aside(const char *directory, uint64_t room_bytes, uint64_t now_s, const struct log_sink *log,
          char target[static PATH_MAX], char *why, size_t why_size)
{
    struct place place;
    enum vault_err err = ERR_IO;

    errno = 0;
    if (place_of(directory, &place))
        err = make_room(&place, room_bytes, log);
    if (err == ERR_DISK_FULL) {
        snprintf(why, why_size,
                 "there is no room on the disk for a new store in place of the damaged one");
        goto fail;
    }
    if (err != OK)
        goto fail_errno;
    if (!replace(&place, now_s, target)) {
        err = ERR_IO;
        goto fail_errno;
    }
    if (sync_directory(place.parent))
        return OK;
    err = ERR_IO;
fail_errno:
    snprintf(why, why_size, "the damaged files in %s cannot be set aside: %s%s", directory,
             strerror(errno), errno == EBUSY ? " (a file system is mounted there)" : "");
fail:
    target[0] = '\0';
    return err;
}
