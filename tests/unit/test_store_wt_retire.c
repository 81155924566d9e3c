/* Large files are cut down before they are removed: alone, and the engine's journals. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "store/store_wt_internal.h"

enum { WAIT_MS = 20 * 1000, FILE_BYTES = 4 * 1024 * 1024 };

/* What happened to the file that is being removed, in this order. */
struct seen {
    bool moved, cut, removed;
};

static int
watch_new(const struct temp_dir *dir)
{
    int fd = inotify_init1(IN_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(inotify_add_watch(fd, dir->path, IN_MOVED_TO | IN_MODIFY | IN_DELETE) >= 0);
    return fd;
}

static void
note(struct seen *seen, const struct inotify_event *event)
{
    if (event->len == 0 || strcmp(event->name, STORE_WT_RETIRED) != 0)
        return;
    if ((event->mask & IN_MOVED_TO) != 0)
        *seen = (struct seen){.moved = true};
    else if ((event->mask & IN_MODIFY) != 0)
        seen->cut = seen->moved;
    else if ((event->mask & IN_DELETE) != 0)
        seen->removed = seen->cut;
}

/* Until a file has gone piece by piece. */
static bool
watch_until_removed(int fd)
{
    _Alignas(struct inotify_event) char events[4096];
    struct seen seen = {0};

    while (!seen.removed) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, WAIT_MS) <= 0)
            return false;
        ssize_t size = read(fd, events, sizeof(events));
        assert_true(size > 0);
        for (const char *at = events; at < events + size && !seen.removed;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
            note(&seen, event);
            at += sizeof(*event) + event->len;
        }
    }
    return true;
}

static bool
has(const struct temp_dir *dir, const char *name)
{
    char path[2 * PATH_BYTES];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    return stat(path, &st) == 0;
}

static void
file_make(const struct temp_dir *dir, const char *name)
{
    char path[2 * PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
    close(fd);
}

static void
test_a_file_is_cut_before_it_is_removed(void **state)
{
    const struct temp_dir *dir = *state;
    struct store_wt_disk disk;
    char path[2 * PATH_BYTES];

    assert_int_equal(store_wt_disk_init(&disk, dir->path, 0), OK);
    file_make(dir, "large");
    (void)snprintf(path, sizeof(path), "%s/large", dir->path);
    int watch = watch_new(dir);
    assert_int_equal(store_wt_retire(&disk, path), 0);
    assert_true(watch_until_removed(watch));
    assert_false(has(dir, "large"));
    assert_false(has(dir, STORE_WT_RETIRED));
    assert_int_equal(store_wt_retire(&disk, path), ENOENT);
    close(watch);
    store_wt_disk_close(&disk);
}

/* ---- under the engine ---- */

static void
commit_large(struct store *s, unsigned number)
{
    static const uint8_t value[1024 * 1024];
    char key[16];

    (void)snprintf(key, sizeof(key), "k%u", number % 4);
    const struct store_change change = {
        .kind = STORE_PUT, .key = bytes_of_text(key), .value = bytes_of(value, sizeof(value))};
    assert_int_equal(s->ops->commit(s, &change, 1), OK);
}

static void
test_needless_journals_are_cut_before_they_are_removed(void **state)
{
    enum { ROWS = 80 }; /* of 1 MiB: more than two journals of 32 */
    const struct temp_dir *dir = *state;
    bool created;
    struct store *s = wt_open(dir, &created);
    int watch = watch_new(dir);

    for (unsigned i = 0; i < ROWS; i++)
        commit_large(s, i);
    assert_int_equal(s->ops->sync(s), OK);
    assert_int_equal(store_wt_checkpoint(s), OK);
    assert_true(watch_until_removed(watch));
    s->ops->close(s);
    close(watch);
    assert_false(has(dir, STORE_WT_RETIRED));
    s = wt_open(dir, &created);
    assert_false(created);
    s->ops->close(s);
}

static void
test_what_a_crash_has_left_goes_at_the_start(void **state)
{
    const struct temp_dir *dir = *state;
    bool created;
    struct store *s = wt_open(dir, &created);

    s->ops->close(s);
    file_make(dir, STORE_WT_RETIRED);
    s = wt_open(dir, &created);
    assert_false(created);
    assert_false(has(dir, STORE_WT_RETIRED));
    s->ops->close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP_DIR_TEST(test_a_file_is_cut_before_it_is_removed),
        TEMP_DIR_TEST(test_needless_journals_are_cut_before_they_are_removed),
        TEMP_DIR_TEST(test_what_a_crash_has_left_goes_at_the_start),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
