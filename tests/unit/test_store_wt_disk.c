/* Room on the disk: what the store keeps back, and what it refuses when the disk is full. */
#include "proto/rows.h"
#include "store_wt_fixture.h"

#include <sys/statvfs.h>
#include <time.h>

static void
pause_ms(long ms)
{
    struct timespec ts = {.tv_nsec = ms * 1000000};

    (void)nanosleep(&ts, NULL);
}

/* A reserve larger than what is free: puts are refused, erasures and the audit trail pass. */
static void
test_reserve_refuses_puts_only(void **state)
{
    const struct temp_dir *dir = *state;
    struct store_wt_options options = wt_options(dir);
    struct store *s = NULL;
    struct statvfs vfs;
    char why[256];
    bool created;

    s = wt_open(dir, &created);
    commit_one(s, put("k", "v"));
    store_close(s);
    assert_int_equal(statvfs(dir->path, &vfs), 0);
    options.disk_free_min_bytes = 2 * vfs.f_bavail * vfs.f_frsize;
    assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), OK);
    struct store_change change = put("k", "w");
    assert_int_equal(s->ops->commit(s, &change, 1), ERR_DISK_FULL);
    expect_row(s, "k", "v");
    assert_int_equal(s->ops->sequence(s), 1);
    commit_one(s, del("k"));
    expect_row(s, "k", NULL);
    commit_one(s, put("a0000001", "a block of the audit trail"));
    store_close(s);
    options.disk_free_min_bytes = 6 * vfs.f_bavail * vfs.f_frsize;
    assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), ERR_DISK_FULL);
    assert_non_null(strstr(why, "ballast"));
}

static uint64_t
journal_room(const char *path)
{
    DIR *files = opendir(path);
    uint64_t bytes = 0;
    struct stat st;

    assert_non_null(files);
    for (const struct dirent *e = readdir(files); e != NULL; e = readdir(files)) {
        if (strstr(e->d_name, "log.") != NULL || strstr(e->d_name, "Log.") != NULL) {
            assert_int_equal(fstatat(dirfd(files), e->d_name, &st, 0), 0);
            bytes += (uint64_t)st.st_blocks * 512;
        }
    }
    closedir(files);
    return bytes;
}

/* Room that the engine takes by itself, and when it likes, would come out of the reserve. */
static void
test_journal_takes_no_room_ahead(void **state)
{
    const struct temp_dir *dir = *state;
    bool created;
    struct store *s = wt_open(dir, &created);

    commit_one(s, put("k", "v"));
    assert_int_equal(s->ops->sync(s), OK);
    assert_in_range(journal_room(dir->path), 1, 1 << 20);
    store_close(s);
}

/* The audit trail goes on in the reserve, and stops with a quarter of it left. */
static void
fill_reserve(struct store *s, const char *path, uint64_t reserve)
{
    struct statvfs vfs;
    struct store_change change = {.kind = STORE_PUT};
    struct store_wt_stats stats;
    uint8_t key[9] = {ROW_AUDIT};
    char value[400];
    enum vault_err err = OK;
    unsigned blocks = 0;

    for (; err == OK && blocks < 400000; blocks += err == OK) {
        for (unsigned i = 0; i < 4; i++)
            key[5 + i] = (uint8_t)(blocks >> (8 * (3 - i)));
        memset(value, (int)(blocks % 251), sizeof(value));
        change.key = bytes_of(key, sizeof(key));
        change.value = bytes_of(value, sizeof(value));
        err = s->ops->commit(s, &change, 1);
        if (blocks % 256 == 0)
            assert_int_equal(s->ops->sync(s), OK);
    }
    assert_int_equal(err, ERR_DISK_FULL);
    assert_int_equal(s->ops->sync(s), OK);
    store_wt_stats(s, &stats);
    print_message("reserve used up after %u blocks, %u MiB free\n", blocks,
                  (unsigned)(stats.disk_free_bytes >> 20));
    assert_true(blocks > 100);
    assert_true(stats.disk_free_bytes > reserve / 4 + (2 << 20)); /* for the checkpoint */
    assert_int_equal(store_wt_checkpoint(s), OK);
    pause_ms(60);
    assert_int_equal(statvfs(path, &vfs), 0);
    print_message("%u MiB free after the checkpoint\n",
                  (unsigned)(vfs.f_bavail * vfs.f_frsize >> 20));
    assert_true(vfs.f_bavail * vfs.f_frsize > reserve / 4 - (2 << 20));
}

/* Fills a small file system up to the reserve, and then makes room. */
static void
full_disk_run(const struct temp_dir *dir)
{
    struct store_wt_options options = wt_options(dir);
    struct store *s = NULL;
    struct store_wt_stats stats;
    char why[256], path[2 * PATH_BYTES];
    bool created;
    unsigned rows = 0;
    struct store_change change;
    char key[32], value[400];
    enum vault_err err = OK;

    options.disk_free_min_bytes = 40 << 20;
    assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), OK);
    for (; err == OK && rows < 400000; rows += err == OK) {
        row_text(rows, key, value);
        change = put(key, value);
        err = s->ops->commit(s, &change, 1);
        if (rows % 256 == 0)
            assert_int_equal(s->ops->sync(s), OK);
    }
    assert_int_equal(err, ERR_DISK_FULL);
    assert_int_equal(s->ops->sync(s), OK);
    store_wt_stats(s, &stats);
    print_message("full after %u rows, %u MiB free\n", rows,
                  (unsigned)(stats.disk_free_bytes >> 20));
    assert_int_equal(s->ops->sequence(s), rows);
    fill_reserve(s, dir->path, options.disk_free_min_bytes);
    expect_row(s, key, NULL);
    (void)snprintf(path, sizeof(path), "%s/filler", dir->path);
    assert_int_equal(unlink(path), 0);
    pause_ms(60);
    assert_int_equal(s->ops->commit(s, &change, 1), OK);
    expect_row(s, key, value);
    store_close(s);
    s = wt_open(dir, &created);
    assert_int_equal(rows_count(s, rows + 1), (int)rows + 1);
    store_close(s);
}

static void
test_disk_full(void **state)
{
    const struct temp_dir *dir = *state;
    char path[2 * PATH_BYTES];

    temp_dir_mount(dir, "size=192m");
    (void)snprintf(path, sizeof(path), "%s/filler", dir->path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, 40 << 20), 0);
    close(fd);
    full_disk_run(dir);
    assert_int_equal(umount(dir->path), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP_DIR_TEST(test_reserve_refuses_puts_only),
        TEMP_DIR_TEST(test_journal_takes_no_room_ahead),
        TEMP_DIR_TEST(test_disk_full),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
