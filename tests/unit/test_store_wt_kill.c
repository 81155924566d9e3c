/*
 * The process of the store on disk is killed, or ends itself since a sync has failed: what was told
 * to be durable is there.
 */
#include "store_wt_fixture.h"

#include <pthread.h>

/* ---- kill -9 ---- */

/* Commits and syncs small batches without end, and tells how many rows are durable after each. */
static void
killed_child(const struct temp_dir *dir, int ack_fd, unsigned from)
{
    bool created;
    struct store *s = wt_open(dir, &created);

    for (unsigned next = from;; next += 8) {
        rows_commit(s, next, next + 8);
        if (s->ops->sync(s) != OK)
            _exit(CHILD_OTHER);
        uint32_t ack = next + 8;
        if (write(ack_fd, &ack, sizeof(ack)) != (ssize_t)sizeof(ack))
            _exit(CHILD_OTHER);
        if (next % 512 == 0 && store_wt_checkpoint(s) != OK)
            _exit(CHILD_OTHER);
    }
}

static void
test_kill_keeps_what_was_acknowledged(void **state)
{
    const struct temp_dir *dir = *state;
    unsigned durable = 0, extra = 0;

    for (unsigned kill_number = 0; kill_number < 10; kill_number++) {
        int fds[2];
        uint32_t ack = 0;
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0)
            killed_child(dir, fds[1], durable);
        close(fds[1]);
        for (unsigned acks = 0; acks < 20 + 37 * kill_number; acks++)
            assert_int_equal(read(fds[0], &ack, sizeof(ack)), (ssize_t)sizeof(ack));
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (read(fds[0], &durable, sizeof(durable)) == (ssize_t)sizeof(durable))
            ack = durable; /* those on their way count, too */
        close(fds[0]);
        assert_int_equal(child_code(pid), 1000 + SIGKILL);

        bool created;
        struct store *s = wt_open(dir, &created);
        assert_false(created);
        int rows = rows_count(s, ack + 64);
        assert_true(rows >= (int)ack);
        assert_true(rows <= (int)ack + 8);
        assert_int_equal(s->ops->sequence(s), (uint64_t)rows);
        extra += (unsigned)rows - ack;
        durable = (unsigned)rows;
        store_close(s);
    }
    print_message("10 kills: %u rows, %u of them not yet acknowledged\n", durable, extra);
}

/* Commits without end, while another thread syncs. */
static void *
commit_on(void *context)
{
    for (unsigned next = 0;; next++)
        rows_commit(context, next, next + 1);
    return NULL;
}

/* Tells after each sync where the store says that it stands durably. */
static void
killed_while_committing(const struct temp_dir *dir, int mark_fd)
{
    bool created;
    struct store *s = wt_open(dir, &created);
    pthread_t committer;

    if (pthread_create(&committer, NULL, commit_on, s) != 0)
        _exit(CHILD_OTHER);
    for (;;) {
        struct store_mark mark;
        uint64_t before = s->ops->sequence(s);
        if (s->ops->sync(s) != OK)
            _exit(CHILD_OTHER);
        s->ops->durable(s, &mark);
        if (mark.sequence < before || mark.sequence > s->ops->sequence(s))
            _exit(CHILD_WRONG_DATA);
        if (write(mark_fd, &mark.sequence, sizeof(mark.sequence)) != (ssize_t)sizeof(mark.sequence))
            _exit(CHILD_OTHER);
    }
}

/* What is committed while the disk syncs is not told to be durable before it is. */
static void
test_kill_while_another_thread_commits(void **state)
{
    enum { ROWS = 2000 };
    const struct temp_dir *dir = *state;
    uint64_t told = 0, next;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0)
        killed_while_committing(dir, fds[1]);
    close(fds[1]);
    while (told < ROWS)
        assert_int_equal(read(fds[0], &told, sizeof(told)), (ssize_t)sizeof(told));
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(fds[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
        told = next;
    close(fds[0]);
    assert_int_equal(child_code(pid), 1000 + SIGKILL);

    bool created;
    struct store *s = wt_open(dir, &created);
    assert_false(created);
    assert_true(s->ops->sequence(s) >= told);
    assert_int_equal(rows_count(s, (unsigned)told), (int)told);
    store_close(s);
}

/* ---- the ends of the process ---- */

struct fatal_note {
    int fd;
};

static void
on_fatal(void *context, const char *what)
{
    const struct fatal_note *note = context;

    if (write(note->fd, what, strlen(what)) < 0)
        _exit(CHILD_OTHER);
}

/* Makes every descriptor of a journal file one that can neither be written nor synced. */
static void
journal_break(void)
{
    char link_path[64], target[PATH_BYTES];
    int fds[2];

    if (pipe(fds) != 0)
        _exit(CHILD_OTHER);
    for (int fd = 3; fd < 256; fd++) {
        (void)snprintf(link_path, sizeof(link_path), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link_path, target, sizeof(target) - 1);
        if (size <= 0)
            continue;
        target[size] = '\0';
        if (strstr(target, "WiredTigerLog.") != NULL)
            (void)dup2(fds[0], fd);
    }
}

static void
test_failed_sync_ends_the_process(void **state)
{
    const struct temp_dir *dir = *state;
    char told[256] = "";
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store_wt_options options = wt_options(dir);
        struct fatal_note note = {.fd = fds[1]};
        struct store *s;
        bool created;
        char why[256];
        options.on_fatal = on_fatal;
        options.context = &note;
        if (store_wt_open(&options, &s, &created, why, sizeof(why)) != OK)
            _exit(CHILD_OTHER);
        struct store_change change = put("k", "v");
        enum vault_err err = s->ops->commit(s, &change, 1);
        journal_break();
        if (err == OK)
            err = s->ops->sync(s);
        _exit(err == OK ? CHILD_WRONG_DATA : CHILD_OTHER); /* neither is allowed */
    }
    close(fds[1]);
    assert_int_equal(child_code(pid), STORE_WT_EXIT);
    assert_true(read(fds[0], told, sizeof(told) - 1) > 10);
    print_message("on_fatal: %s\n", told);
    close(fds[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP_DIR_TEST(test_kill_keeps_what_was_acknowledged),
        TEMP_DIR_TEST(test_kill_while_another_thread_commits),
        TEMP_DIR_TEST(test_failed_sync_ends_the_process),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, wt_open_once, NULL);
}
