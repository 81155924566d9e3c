/*
 * ostraka secret edit: the value in an editor. It lies in a file of memory-backed storage meanwhile,
 * in a folder that nobody else may enter, and what the editor leaves there is overwritten before it
 * is removed. What comes back is stored only if nobody else has changed the secret.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/secret_common.h"

enum { PLACE_BYTES_MAX = 256 };

struct edit {
    struct client_options connection;
    struct client *client;
    struct buf target; /* of its requests, NUL-terminated */
    struct buf before, after;
    uint64_t version; /* that was edited */
    char folder[PLACE_BYTES_MAX];
    char file[PLACE_BYTES_MAX + 8];
    sigset_t held, mask_before;
};

/* ---- the file ---- */

static bool
is_in_memory(const char *folder)
{
    struct statfs info;

    return statfs(folder, &info) == 0 && (info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC);
}

static int
make_folder(struct edit *edit)
{
    const char *candidates[] = {getenv("XDG_RUNTIME_DIR"), "/dev/shm"};

    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        const char *place = candidates[i];

        if (!place || strlen(place) > PLACE_BYTES_MAX - 32 || !is_in_memory(place))
            continue;
        snprintf(edit->folder, sizeof edit->folder, "%s/ostraka-edit-XXXXXX", place);
        if (mkdtemp(edit->folder)) { /* 0700 */
            snprintf(edit->file, sizeof edit->file, "%s/value", edit->folder);
            return EXIT_OK;
        }
    }
    edit->folder[0] = '\0';
    output_error("there is no memory-backed storage to edit in");
    output_hint("neither $XDG_RUNTIME_DIR nor /dev/shm is one; use `ostraka secret update`");
    return EXIT_FAILED;
}

static int
write_file(const struct edit *edit)
{
    int fd = open(edit->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    enum vault_err err = fd < 0 ? ERR_IO : output_write(fd, buf_bytes(&edit->before));

    if (fd >= 0)
        close(fd);
    if (err == OK)
        return EXIT_OK;
    output_error("%s cannot be written: %s", edit->file, strerror(errno));
    return EXIT_FAILED;
}

static void
overwrite(int folder, const char *name)
{
    static const uint8_t zeros[4096];
    int fd = openat(folder, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat info;
    off_t left = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;

    while (left > 0 &&
           output_write(
               fd, bytes_of(zeros, left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros)) == OK)
        left -= left < (off_t)sizeof zeros ? left : (off_t)sizeof zeros;
    if (fd >= 0)
        close(fd);
}

/* The file, and whatever the editor has left beside it. */
static void
remove_folder(const struct edit *edit)
{
    DIR *folder = edit->folder[0] ? opendir(edit->folder) : NULL;
    const struct dirent *entry;

    if (!edit->folder[0])
        return;
    while (folder && (entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        overwrite(dirfd(folder), entry->d_name);
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder)
        closedir(folder);
    if (rmdir(edit->folder) != 0)
        output_error("%s cannot be removed: %s", edit->folder, strerror(errno));
}

/* ---- the editor ---- */

static _Noreturn void
become_editor(const struct edit *edit)
{
    const char *editor = getenv("VISUAL");
    char *script = NULL;

    if (!editor || !*editor)
        editor = getenv("EDITOR");
    if (!editor || !*editor)
        editor = "vi";
    sigprocmask(SIG_SETMASK, &edit->mask_before, NULL);
    umask(077);
    /* The variable may have arguments in it, as other programs allow. */
    if (asprintf(&script, "%s \"$1\"", editor) > 0)
        execl("/bin/sh", "sh", "-c", script, "sh", edit->file, (char *)NULL);
    _exit(127);
}

static int
run_editor(const struct edit *edit)
{
    pid_t child;
    int how = 0;

    fflush(NULL);
    child = fork();
    if (child == 0)
        become_editor(edit);
    while (child > 0 && waitpid(child, &how, 0) < 0 && errno == EINTR)
        continue;
    if (child > 0 && WIFEXITED(how) && WEXITSTATUS(how) == 0)
        return EXIT_OK;
    output_error("the editor failed; nothing was changed");
    output_hint("$VISUAL or $EDITOR names it");
    return EXIT_FAILED;
}

/* Editors end the last line; a value that did not end with one is not to get one by that. */
static void
drop_added_newline(struct edit *edit)
{
    struct bytes before = buf_bytes(&edit->before);
    bool had = before.size > 0 && before.data[before.size - 1] == '\n';

    if (!had && edit->after.size > 0 && edit->after.data[edit->after.size - 1] == '\n')
        edit->after.size--;
}

static int
read_file(struct edit *edit)
{
    enum vault_err err = input_read_file(edit->file, VALUE_BYTES_MAX + 1, &edit->after);

    if (err == OK) {
        drop_added_newline(edit);
        return EXIT_OK;
    }
    output_error("what was edited cannot be read: %s; nothing was changed",
                 err == ERR_IO ? strerror(errno) : vault_err_text(err));
    return EXIT_FAILED;
}

/* ---- the secret ---- */

static int
fetch(struct edit *edit)
{
    struct client_answer answer;
    int status =
        client_call(edit->client, CLIENT_GET, (const char *)edit->target.data, NULL, &answer);

    if (status == EXIT_OK) {
        edit->version = (uint64_t)json_integer_value(json_object_get(answer.json, "version"));
        status = secret_value_of(answer.json, &edit->before);
    }
    client_answer_close(&answer);
    return status;
}

static int
store(struct edit *edit)
{
    struct client_answer answer = {0};
    json_t *body = secret_body_of(buf_bytes(&edit->after), false, edit->version);
    int status;

    if (!body)
        return secret_out_of_memory();
    status = client_call(edit->client, CLIENT_PUT, (const char *)edit->target.data, body, &answer);
    json_decref(body);
    if (status == EXIT_OK)
        printf("Updated, version %" JSON_INTEGER_FORMAT "\n",
               json_integer_value(json_object_get(answer.json, "version")));
    client_answer_close(&answer);
    return status;
}

/* Nothing shall stay behind: whoever wants to end this has to wait until all is removed. */
static void
hold_signals(struct edit *edit)
{
    sigemptyset(&edit->held);
    sigaddset(&edit->held, SIGINT);
    sigaddset(&edit->held, SIGQUIT);
    sigaddset(&edit->held, SIGTERM);
    sigaddset(&edit->held, SIGHUP);
    sigprocmask(SIG_BLOCK, &edit->held, &edit->mask_before);
}

/* Those of the terminal were the editor's business; the others end this before it stores anything. */
static void
let_signals_go(const struct edit *edit)
{
    static const struct timespec at_once = {0};
    sigset_t of_terminal;

    sigemptyset(&of_terminal);
    sigaddset(&of_terminal, SIGINT);
    sigaddset(&of_terminal, SIGQUIT);
    while (sigtimedwait(&of_terminal, NULL, &at_once) > 0)
        continue;
    sigprocmask(SIG_SETMASK, &edit->mask_before, NULL);
}

static int
edit_in_place(struct edit *edit)
{
    int status = make_folder(edit);

    if (status == EXIT_OK)
        status = write_file(edit);
    if (status == EXIT_OK)
        status = run_editor(edit);
    if (status == EXIT_OK)
        status = read_file(edit);
    remove_folder(edit);
    return status;
}

static int
edit_value(struct edit *edit)
{
    int status = fetch(edit);

    if (status)
        return status;
    hold_signals(edit);
    status = edit_in_place(edit);
    let_signals_go(edit);
    if (status)
        return status;
    if (!bytes_equal(buf_bytes(&edit->before), buf_bytes(&edit->after)))
        return store(edit);
    puts("Nothing was changed");
    return output_end() == EXIT_OK ? EXIT_OK : EXIT_FAILED;
}

int
command_secret_edit(int argc, char **argv)
{
    static const char command[] = "secret edit";
    struct edit edit = {0};
    const struct option_spec specs[] = {CLIENT_OPTION_SPECS(&edit.connection)};
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0], "NAME",
                               1, 1, &arguments);

    if (status == EXIT_OK)
        status = secret_check_name(command, arguments.values[0]);
    if (status == EXIT_OK)
        status = client_open(&edit.connection, &edit.client);
    if (status)
        return status;
    status = secret_target("/v1/secrets/", arguments.values[0], &edit.target);
    if (status == EXIT_OK)
        status = secret_target_end(&edit.target);
    if (status == EXIT_OK)
        status = edit_value(&edit);
    client_close(edit.client);
    buf_close(&edit.target);
    buf_close(&edit.before);
    buf_close(&edit.after);
    return status;
}
