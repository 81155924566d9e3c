/* Journals grow ahead of what is written: the files alone, and under the engine. */
#include "store_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "store/store_wt_internal.h"

enum { RECORD = 8192, WRITERS = 4, RECORDS = 2048 };

static int
file_make(const struct temp_dir *dir)
{
    char path[PATH_BYTES + 16];

    (void)snprintf(path, sizeof(path), "%s/journal", dir->path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static int64_t
size_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_size;
}

static void
test_file_grows_in_steps(void **state)
{
    const struct temp_dir *dir = *state;
    struct store_wt_ahead ahead;
    int fd = file_make(dir);

    store_wt_ahead_init(&ahead);
    store_wt_ahead_reach(&ahead, fd, 0, RECORD, true);
    assert_int_equal(size_of(fd), STORE_WT_AHEAD_BYTES);
    store_wt_ahead_reach(&ahead, fd, STORE_WT_AHEAD_BYTES - RECORD, RECORD, true);
    assert_int_equal(size_of(fd), STORE_WT_AHEAD_BYTES);
    /* A byte of it is behind the end. */
    store_wt_ahead_reach(&ahead, fd, STORE_WT_AHEAD_BYTES - RECORD + 1, RECORD, true);
    assert_int_equal(size_of(fd), 2 * STORE_WT_AHEAD_BYTES);
    /* It was cut, as the engine does with a file that it is done with. */
    assert_int_equal(ftruncate(fd, RECORD), 0);
    store_wt_ahead_set(&ahead, RECORD);
    store_wt_ahead_reach(&ahead, fd, RECORD, RECORD, true);
    assert_int_equal(size_of(fd), RECORD + STORE_WT_AHEAD_BYTES);
    store_wt_ahead_close(&ahead);
    close(fd);
}

/* Where room is short, and for large pieces. What is written after those is not overwritten. */
static void
test_file_grows_by_itself(void **state)
{
    const struct temp_dir *dir = *state;
    const int64_t large = 100 * 1000;
    struct store_wt_ahead ahead;
    uint8_t byte = 7;
    int fd = file_make(dir);

    store_wt_ahead_init(&ahead);
    store_wt_ahead_reach(&ahead, fd, 0, RECORD, false);
    store_wt_ahead_reach(&ahead, fd, RECORD, (size_t)large, true);
    assert_int_equal(size_of(fd), 0);
    assert_int_equal(pwrite(fd, &byte, 1, RECORD + large - 1), 1);
    store_wt_ahead_reach(&ahead, fd, RECORD + large, RECORD, true);
    assert_int_equal(size_of(fd), RECORD + large + STORE_WT_AHEAD_BYTES);
    byte = 0;
    assert_int_equal(pread(fd, &byte, 1, RECORD + large - 1), 1);
    assert_int_equal(byte, 7);
    store_wt_ahead_close(&ahead);
    close(fd);
}

/* A file that cannot be written to is no failure here: whoever writes the record meets it. */
static void
test_failure_is_not_told(void **state)
{
    struct store_wt_ahead ahead;

    (void)state;
    store_wt_ahead_init(&ahead);
    store_wt_ahead_reach(&ahead, -1, 0, RECORD, true);
    assert_int_equal(atomic_load(&ahead.made), RECORD);
    store_wt_ahead_close(&ahead);
}

struct writers {
    struct store_wt_ahead ahead;
    int fd;
    _Atomic unsigned next;
};

static void *
write_records(void *context)
{
    struct writers *w = context;
    uint8_t record[RECORD];
    unsigned number;

    while ((number = atomic_fetch_add(&w->next, 1)) < RECORDS) {
        int64_t offset = (int64_t)number * RECORD;

        memset(record, 1 + (int)(number % 255), sizeof(record));
        store_wt_ahead_reach(&w->ahead, w->fd, offset, sizeof(record), true);
        if (pwrite(w->fd, record, sizeof(record), offset) != sizeof(record))
            return w;
    }
    return NULL;
}

/* Zeros never fall on what another thread has written. */
static void
test_threads_write_at_once(void **state)
{
    const struct temp_dir *dir = *state;
    struct writers w = {.fd = file_make(dir)};
    pthread_t threads[WRITERS];

    store_wt_ahead_init(&w.ahead);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_records, &w), 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (unsigned number = 0; number < RECORDS; number++) {
        uint8_t ends[2];
        assert_int_equal(pread(w.fd, ends, 1, (off_t)number * RECORD), 1);
        assert_int_equal(pread(w.fd, ends + 1, 1, (off_t)number * RECORD + RECORD - 1), 1);
        assert_int_equal(ends[0], 1 + number % 255);
        assert_int_equal(ends[1], 1 + number % 255);
    }
    store_wt_ahead_close(&w.ahead);
    close(w.fd);
}

/* ---- under the engine ---- */

static void
add_journal(const char *path, void *context)
{
    int64_t *bytes = context;
    struct stat st;

    if (strstr(path, "WiredTigerLog.") != NULL && stat(path, &st) == 0)
        *bytes += st.st_size;
}

static int64_t
journal_bytes(const struct temp_dir *dir)
{
    int64_t bytes = 0;

    temp_dir_visit(dir, add_journal, &bytes);
    return bytes;
}

static void
commit_synced(struct store *s, unsigned number)
{
    char key[16];

    (void)snprintf(key, sizeof(key), "k%u", number);
    const struct store_change change = {
        .kind = STORE_PUT, .key = bytes_of_text(key), .value = bytes_of_text("value")};
    assert_int_equal(s->ops->commit(s, &change, 1), OK);
    assert_int_equal(s->ops->sync(s), OK);
}

/* Its size stays as it is from one sync to the next. */
static void
test_journal_does_not_grow_with_each_sync(void **state)
{
    const struct temp_dir *dir = *state;
    bool created;
    struct store *s = wt_open(dir, &created);

    commit_synced(s, 0);
    int64_t before = journal_bytes(dir);
    assert_true(before >= STORE_WT_AHEAD_BYTES);
    for (unsigned i = 1; i < 10; i++)
        commit_synced(s, i);
    assert_int_equal(journal_bytes(dir), before);
    s->ops->close(s);
    s = wt_open(dir, &created);
    assert_false(created);
    s->ops->close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP_DIR_TEST(test_file_grows_in_steps),
        TEMP_DIR_TEST(test_file_grows_by_itself),
        TEMP_DIR_TEST(test_failure_is_not_told),
        TEMP_DIR_TEST(test_threads_write_at_once),
        TEMP_DIR_TEST(test_journal_does_not_grow_with_each_sync),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
