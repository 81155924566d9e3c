#include "cli/env_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "cli/supervise.h"

int
env_file_read(const char *path, struct buf *out)
{
    bool standard_input = strcmp(path, "-") == 0;
    enum vault_err err = standard_input ? input_read(STDIN_FILENO, ENV_TEXT_BYTES_MAX, out)
                                        : input_read_file(path, ENV_TEXT_BYTES_MAX, out);

    if (err == OK)
        return EXIT_OK;
    if (err == ERR_NOMEM)
        return secret_out_of_memory();
    if (err == ERR_TOO_LARGE)
        output_error("%s is larger than 1 MiB", path);
    else
        output_error("%s cannot be read: %s", standard_input ? "standard input" : path,
                     strerror(errno));
    return EXIT_FAILED;
}

int
env_file_transform(struct client *client, struct bytes text, const char *mode, const char *prefix,
                   struct buf *out)
{
    struct buf target = {0};
    char separator = '?';
    int status;

    *out = (struct buf){0};
    status = buf_append_text(&target, "/v1/env") == OK ? EXIT_OK : secret_out_of_memory();
    if (status == EXIT_OK)
        status = secret_target_parameter(&target, &separator, "mode", mode);
    if (status == EXIT_OK && prefix)
        status = secret_target_parameter(&target, &separator, "prefix", prefix);
    if (status == EXIT_OK)
        status = secret_target_end(&target);
    if (status == EXIT_OK)
        status = client_post_text(client, (const char *)target.data, text,
                                  strcmp(mode, "expand") != 0, out);
    buf_close(&target);
    return status;
}

/* ---- in place ---- */

static int
cannot_write(const char *path)
{
    output_error("%s cannot be written: %s", path, strerror(errno));
    return EXIT_FAILED;
}

/* Beside out->path, which may be NULL for want of memory. */
static int
open_aside(const char *path, struct env_replacement *out)
{
    out->holding = true;
    sigprocmask(SIG_BLOCK, NULL, &out->mask_before);
    signals_hold();
    if (!out->path || asprintf(&out->aside, "%s.ostraka-XXXXXX", out->path) < 0) {
        out->aside = NULL;
        return cannot_write(path);
    }
    out->fd = mkostemp(out->aside, O_CLOEXEC); /* 0600 */
    return out->fd < 0 ? cannot_write(path) : EXIT_OK;
}

static int
report_no_file(const char *path)
{
    output_error("%s is not a file", path);
    return EXIT_FAILED;
}

static int
open_private(const char *path, struct env_replacement *out)
{
    struct stat info;

    *out = (struct env_replacement){.fd = -1};
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
        output_error("%s is a symbolic link", path);
        output_hint("name the file itself, or \"-\" for standard output");
        return EXIT_FAILED;
    }
    if (lstat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return report_no_file(path);
    out->path = strdup(path);
    return open_aside(path, out);
}

int
env_replacement_open(const char *path, struct env_replacement *out)
{
    struct stat info;
    bool exists = stat(path, &info) == 0;
    int status;

    *out = (struct env_replacement){.fd = -1};
    if (exists && !S_ISREG(info.st_mode))
        return report_no_file(path);
    out->path = exists ? realpath(path, NULL) : strdup(path);
    status = open_aside(path, out);
    if (status)
        return status;
    if (exists && (fchmod(out->fd, info.st_mode & 07777) != 0 ||
                   (fchown(out->fd, info.st_uid, info.st_gid) != 0 && errno != EPERM)))
        return cannot_write(path);
    return EXIT_OK;
}

/* The name in its folder shall outlive a crash as well; some file systems cannot be told so. */
static void
sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    int fd;

    snprintf(folder, sizeof folder, "%.*s", (int)(size ? size : 1), slash ? path : ".");
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

int
env_replacement_finish(struct env_replacement *replacement, struct bytes text)
{
    if (output_write(replacement->fd, text) != OK || fsync(replacement->fd) != 0 ||
        rename(replacement->aside, replacement->path) != 0)
        return cannot_write(replacement->path);
    sync_folder(replacement->path);
    free(replacement->aside);
    replacement->aside = NULL;
    return EXIT_OK;
}

void
env_replacement_close(struct env_replacement *replacement)
{
    if (replacement->fd >= 0)
        close(replacement->fd);
    if (replacement->fd >= 0 && replacement->aside)
        unlink(replacement->aside);
    free(replacement->aside);
    free(replacement->path);
    if (replacement->holding)
        sigprocmask(SIG_SETMASK, &replacement->mask_before, NULL);
    *replacement = (struct env_replacement){.fd = -1};
}

int
env_file_write_private(const char *path, struct bytes text)
{
    struct env_replacement place;
    int status = open_private(path, &place);

    if (status == EXIT_OK)
        status = env_replacement_finish(&place, text);
    env_replacement_close(&place);
    return status;
}
