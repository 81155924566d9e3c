/*
 * What only the store on disk has: persistence, encryption of every file, refusal of wrong keys and
 * of a second process. Damage, kill -9 and full disks have files of their own.
 */
#include "store_wt_fixture.h"

static void
test_reopen_keeps_rows(void **state)
{
    const struct temp_dir *dir = *state;
    bool created = false;
    struct store *s = wt_open(dir, &created);

    assert_true(created);
    rows_commit(s, 0, 300);
    assert_int_equal(s->ops->sync(s), OK);
    store_close(s);
    s = wt_open(dir, &created);
    assert_false(created);
    assert_int_equal(s->ops->sequence(s), 300);
    assert_int_equal(rows_count(s, 301), 300);
    assert_int_equal(store_wt_checkpoint(s), OK);
    commit_one(s, del("row/000299"));
    store_close(s);
    s = wt_open(dir, &created);
    assert_int_equal(s->ops->sequence(s), 301);
    assert_int_equal(rows_count(s, 300), 299);
    store_close(s);
}

/*
 * Where a store stands is kept with it: by what the batches were, not by how often it was opened.
 */
static void
test_mark_is_kept_and_tells_stores_apart(void **state)
{
    const struct temp_dir *dir = *state;
    struct temp_dir other;
    struct store_mark before, after, elsewhere;
    bool created;
    struct store *s = wt_open(dir, &created);

    rows_commit(s, 0, 30);
    assert_int_equal(s->ops->sync(s), OK);
    s->ops->durable(s, &before);
    store_close(s);
    s = wt_open(dir, &created);
    s->ops->durable(s, &after);
    assert_int_equal(after.sequence, 30);
    assert_memory_equal(before.mac, after.mac, sizeof(after.mac));
    store_close(s);

    temp_dir_make(&other);
    s = wt_open(&other, &created);
    rows_commit(s, 0, 29);
    commit_one(s, put("row/000029", "another"));
    assert_int_equal(s->ops->sync(s), OK);
    s->ops->durable(s, &elsewhere);
    assert_int_equal(elsewhere.sequence, 30);
    assert_memory_not_equal(before.mac, elsewhere.mac, sizeof(before.mac));
    store_close(s);
    temp_dir_remove(&other);
}

/* An empty store that was closed is not a new one: `created` is said once. */
static void
test_created_once(void **state)
{
    bool created = false;
    struct store *s = wt_open(*state, &created);

    assert_true(created);
    store_close(s);
    s = wt_open(*state, &created);
    assert_false(created);
    assert_int_equal(s->ops->sequence(s), 0);
    store_close(s);
}

static void
assert_mode(const struct temp_dir *dir, const char *name, mode_t mode)
{
    char path[2 * PATH_BYTES];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, mode);
}

static void
test_modes_and_ballast(void **state)
{
    struct temp_dir *dir = *state;
    struct temp_dir inner = {0};
    struct stat st;
    char path[2 * PATH_BYTES];
    bool created;

    (void)snprintf(inner.path, sizeof(inner.path), "%.400s/data", dir->path);
    mode_t mask = umask(0);
    struct store *s = wt_open(&inner, &created);
    assert_mode(&inner, "", 0700);
    assert_mode(&inner, "rows.wt", 0600);
    assert_mode(&inner, "WiredTiger.wt", 0600);
    assert_mode(&inner, JOURNAL, 0600);
    assert_mode(&inner, "ballast", 0600);
    (void)snprintf(path, sizeof(path), "%s/ballast", inner.path);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size >= 1024 * 1024);
    store_close(s);
    assert_int_equal(chmod(inner.path, 0755), 0);
    s = wt_open(&inner, &created);
    assert_mode(&inner, "", 0700);
    store_close(s);
    (void)umask(mask);
    temp_dir_remove(&inner);
}

static void
marker_absent(const char *path, void *context)
{
    struct dir_copy copy = {.count = 0};

    (void)context;
    file_copy_take(path, &copy);
    for (size_t i = 0; i < copy.count; i++) {
        const struct file_copy *f = &copy.files[i];
        assert_null(memmem(f->data, f->size, "MARKER-NAME", 11));
        assert_null(memmem(f->data, f->size, "MARKER-VALUE", 12));
    }
    dir_copy_free(&copy);
}

static void
test_no_plaintext_in_any_file(void **state)
{
    const struct temp_dir *dir = *state;
    char key[64], value[600];
    bool created;
    struct store *s = wt_open(dir, &created);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 300; i++) {
            (void)snprintf(key, sizeof(key), "MARKER-NAME-%d-%d", round, i);
            (void)snprintf(value, sizeof(value), "%500dMARKER-VALUE-%d", i, i);
            commit_one(s, put(key, value));
        }
        assert_int_equal(s->ops->sync(s), OK);
        temp_dir_visit(dir, marker_absent, NULL); /* in the journal */
        assert_int_equal(store_wt_checkpoint(s), OK);
        temp_dir_visit(dir, marker_absent, NULL); /* in the table */
    }
    expect_row(s, key, value);
    store_close(s);
    temp_dir_visit(dir, marker_absent, NULL);
}

static void
test_wrong_key_changes_nothing(void **state)
{
    const struct temp_dir *dir = *state;
    struct dir_copy before;
    char why[256];
    bool created;
    struct store *s = wt_open(dir, &created);

    rows_commit(s, 0, 100);
    store_close(s);
    dir_copy_take(dir, &before);
    assert_int_equal(open_fails(dir, 0x43, why), ERR_CORRUPT);
    assert_non_null(strstr(why, "wrong storage key"));
    assert_unchanged(&before);
    dir_copy_free(&before);
    s = wt_open(dir, &created);
    assert_false(created);
    assert_int_equal(rows_count(s, 100), 100);
    store_close(s);
}

/* The same after a crash, when there is a journal to recover. */
static void
test_wrong_key_after_crash(void **state)
{
    const struct temp_dir *dir = *state;
    struct dir_copy before;
    char why[256];
    bool created;

    crashed_store_make(dir, 100);
    dir_copy_take(dir, &before);
    assert_int_equal(open_fails(dir, 0x43, why), ERR_CORRUPT);
    assert_non_null(strstr(why, "wrong storage key"));
    assert_unchanged(&before);
    dir_copy_free(&before);
    struct store *s = wt_open(dir, &created);
    assert_int_equal(rows_count(s, 100), 100);
    store_close(s);
}

/* Rows written on a processor with AES instructions, and on one without, lie side by side. */
static void
test_both_ciphers_in_one_store(void **state)
{
    const struct temp_dir *dir = *state;
    struct store_wt_options options = wt_options(dir);
    char key[32], value[400], why[256];
    struct store *s = NULL;
    bool created;

    for (unsigned round = 0; round < 4; round++) {
        options.plain_processor = round % 2 == 0;
        assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), OK);
        for (unsigned i = 0; i < 500; i++) {
            row_text(500 * round + i, key, value);
            commit_one(s, put(key, value));
        }
        assert_int_equal(rows_count(s, 500 * round + 500), 500 * (int)round + 500);
        store_close(s); /* with a checkpoint */
    }
    assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), OK);
    assert_int_equal(rows_count(s, 2000), 2000);
    store_close(s);
}

static void
test_two_stores_two_keys(void **state)
{
    const struct temp_dir *dir = *state;
    struct temp_dir other;
    struct store *a, *b = NULL;
    char why[256];
    bool created;

    temp_dir_make(&other);
    struct store_wt_options options = wt_options(&other);
    memset(options.key, 0x77, sizeof(options.key));
    a = wt_open(dir, &created);
    assert_int_equal(store_wt_open(&options, &b, &created, why, sizeof(why)), OK);
    commit_one(a, put("k", "of a"));
    commit_one(b, put("k", "of b"));
    expect_row(a, "k", "of a");
    expect_row(b, "k", "of b");
    store_close(a);
    commit_one(b, put("k2", "still"));
    store_close(b);
    assert_int_equal(open_fails(&other, 0x42, why), ERR_CORRUPT);
    assert_int_equal(open_fails(&other, 0x77, why), OK);
    assert_int_equal(open_fails(dir, 0x77, why), ERR_CORRUPT);
    assert_int_equal(open_fails(dir, 0x42, why), OK);
    temp_dir_remove(&other);
}

static void
test_second_open_is_refused(void **state)
{
    const struct temp_dir *dir = *state;
    int up[2], down[2];
    char byte = 0, why[256];

    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool created;
        struct store *s = wt_open(dir, &created);
        commit_one(s, put("k", "v"));
        if (write(up[1], "x", 1) != 1 || read(down[0], &byte, 1) != 1)
            _exit(CHILD_OTHER);
        store_close(s);
        _exit(CHILD_GOOD);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    assert_int_equal(open_fails(dir, 0x42, why), ERR_IO);
    assert_non_null(strstr(why, "another process"));
    assert_int_equal(write(down[1], "x", 1), 1);
    assert_int_equal(child_code(pid), CHILD_GOOD);
    assert_int_equal(open_fails(dir, 0x42, why), OK);
    close(up[0]), close(up[1]), close(down[0]), close(down[1]);
}

static void
test_configuration_file_is_refused(void **state)
{
    const struct temp_dir *dir = *state;
    struct file_copy config = {.data = (uint8_t *)"salvage=true\n", .size = 13};
    char why[256];

    (void)snprintf(config.path, sizeof(config.path), "%s/WiredTiger.config", dir->path);
    file_write(&config);
    assert_int_equal(open_fails(dir, 0x42, why), ERR_CONFIG);
    assert_non_null(strstr(why, "configuration"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: the children inherit what a first open costs. */
        TEMP_DIR_TEST(test_reopen_keeps_rows),
        TEMP_DIR_TEST(test_created_once),
        TEMP_DIR_TEST(test_mark_is_kept_and_tells_stores_apart),
        TEMP_DIR_TEST(test_modes_and_ballast),
        TEMP_DIR_TEST(test_no_plaintext_in_any_file),
        TEMP_DIR_TEST(test_wrong_key_changes_nothing),
        TEMP_DIR_TEST(test_wrong_key_after_crash),
        TEMP_DIR_TEST(test_both_ciphers_in_one_store),
        TEMP_DIR_TEST(test_two_stores_two_keys),
        TEMP_DIR_TEST(test_second_open_is_refused),
        TEMP_DIR_TEST(test_configuration_file_is_refused),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
