/*
 * What only the store on disk has: persistence, encryption of every file, refusal of damaged files
 * and wrong keys, survival of kill -9, and refusal of commits before the disk is full.
 *
 * What may end the process (damage met while running) is done in children: their exit codes are the
 * result. Children are forked while no store is open here.
 */
#include "proto/rows.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

/* Exit codes of children, apart from STORE_WT_EXIT. */
enum { CHILD_GOOD = 0, CHILD_REFUSED = 10, CHILD_WRONG_DATA = 11, CHILD_OTHER = 12 };

static void
store_close(struct store *store)
{
    store->ops->close(store);
}

static enum vault_err
open_fails(const struct temp_dir *dir, uint8_t key_byte, char why[static 256])
{
    struct store_wt_options options = wt_options(dir);
    struct store *store = NULL;
    bool created = false;

    memset(options.key, key_byte, sizeof(options.key));
    enum vault_err err = store_wt_open(&options, &store, &created, why, 256);
    if (err == OK) {
        store_close(store);
        return OK;
    }
    assert_null(store);
    assert_false(created);
    assert_true(strlen(why) > 10);
    return err;
}

static int
child_code(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- files ---- */

#define JOURNAL "WiredTigerLog.0000000001" /* of a store that was never opened again */

struct file_copy {
    char path[2 * PATH_BYTES];
    uint8_t *data;
    size_t size;
};

struct dir_copy {
    struct file_copy files[64];
    size_t count;
};

static void
file_copy_take(const char *path, void *context)
{
    struct dir_copy *copy = context;
    struct file_copy *f = &copy->files[copy->count];
    struct stat st;

    int fd = open(path, O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return; /* the engine renames and removes journals as it goes */
    assert_true(fd >= 0);
    assert_true(copy->count < 63);
    copy->count++;
    assert_int_equal(fstat(fd, &st), 0);
    (void)snprintf(f->path, sizeof(f->path), "%s", path);
    f->size = (size_t)st.st_size;
    f->data = malloc(f->size + 1);
    assert_non_null(f->data);
    assert_int_equal(read(fd, f->data, f->size), (ssize_t)f->size);
    close(fd);
}

static void
dir_copy_take(const struct temp_dir *dir, struct dir_copy *copy)
{
    copy->count = 0;
    temp_dir_visit(dir, file_copy_take, copy);
}

static void
dir_copy_free(struct dir_copy *copy)
{
    for (size_t i = 0; i < copy->count; i++)
        free(copy->files[i].data);
    copy->count = 0;
}

/* By its name; NULL: none. */
static struct file_copy *
dir_copy_find(struct dir_copy *copy, const char *name)
{
    for (size_t i = 0; i < copy->count; i++) {
        if (strcmp(strrchr(copy->files[i].path, '/') + 1, name) == 0)
            return &copy->files[i];
    }
    return NULL;
}

static size_t
size_without_zeros(const struct file_copy *f)
{
    size_t size = f->size;

    while (size > 0 && f->data[size - 1] == 0)
        size--;
    return size;
}

/* Journals are mostly zeros: those are left to the file system. */
static void
file_write(const struct file_copy *f)
{
    int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    size_t size = size_without_zeros(f);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, f->data, size), (ssize_t)size);
    assert_int_equal(ftruncate(fd, (off_t)f->size), 0);
    close(fd);
}

/* Makes the directory hold exactly what the copy holds. */
static void
dir_copy_restore(const struct temp_dir *dir, const struct dir_copy *copy)
{
    temp_dir_visit(dir, temp_file_remove, NULL);
    for (size_t i = 0; i < copy->count; i++)
        file_write(&copy->files[i]);
}

static void
assert_unchanged_file(const struct file_copy *before)
{
    struct dir_copy after = {.count = 0};

    file_copy_take(before->path, &after);
    if (after.count != 1)
        fail_msg("%s is gone", before->path);
    assert_int_equal(after.files[0].size, before->size);
    if (memcmp(after.files[0].data, before->data, before->size) != 0)
        fail_msg("%s was changed", before->path);
    dir_copy_free(&after);
}

static void
assert_unchanged(const struct dir_copy *before)
{
    for (size_t i = 0; i < before->count; i++)
        assert_unchanged_file(&before->files[i]);
}

static void
bit_flip(struct file_copy *f, size_t offset, unsigned bit)
{
    assert_true(offset < f->size);
    f->data[offset] = (uint8_t)(f->data[offset] ^ 1U << bit);
    int fd = open(f->path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &f->data[offset], 1, (off_t)offset), 1);
    close(fd);
}

/* ---- rows whose value follows from the key ---- */

static void
row_text(unsigned i, char key[static 32], char value[static 400])
{
    uint32_t x = i * 2654435761U + 1;

    (void)snprintf(key, 32, "row/%06u", i);
    for (unsigned n = 0; n < 399; n++) {
        x = x * 1664525U + 1013904223U;
        value[n] = (char)('a' + (x >> 24) % 26);
    }
    value[399] = '\0';
}

static void
rows_commit(struct store *s, unsigned from, unsigned to)
{
    char key[32], value[400];

    for (unsigned i = from; i < to; i++) {
        row_text(i, key, value);
        commit_one(s, put(key, value));
    }
}

/*
 * Number of rows from 0 on that are there and right; -1 when one is wrong, or one is there behind a
 * gap.
 */
static int
rows_count(struct store *s, unsigned max)
{
    struct store_reader *reader = reader_of(s);
    struct arena arena;
    struct bytes got;
    char key[32], value[400];
    int count = 0;
    bool gap = false;

    arena_init(&arena, 1 << 20);
    for (unsigned i = 0; i < max && count >= 0; i++) {
        row_text(i, key, value);
        enum vault_err err = s->ops->get(reader, bytes_of_text(key), &arena, &got);
        if (err == ERR_NOT_FOUND)
            gap = true;
        else if (err != OK || gap || !bytes_equal(got, bytes_of_text(value)))
            count = -1;
        else
            count++;
        arena_reset(&arena);
    }
    arena_close(&arena);
    s->ops->reader_free(reader);
    return count;
}

/*
 * Opens in a child and reads all: refused, all `rows` right, or wrong. A panic ends it with
 * STORE_WT_EXIT.
 */
static int
child_reads(const struct temp_dir *dir, unsigned rows)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct store_wt_options options = wt_options(dir);
        struct store *store;
        bool created;
        char why[256];
        enum vault_err err = store_wt_open(&options, &store, &created, why, sizeof(why));
        if (err != OK)
            _exit(err == ERR_CORRUPT ? CHILD_REFUSED : CHILD_OTHER);
        _exit(rows_count(store, rows) == (int)rows ? CHILD_GOOD : CHILD_WRONG_DATA);
    }
    return child_code(pid);
}

/*
 * Commits and syncs rows in a child that then dies by SIGKILL: the directory is left as by a crash.
 */
static void
crashed_store_make(const struct temp_dir *dir, unsigned rows)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        bool created;
        struct store *store = wt_open(dir, &created);
        rows_commit(store, 0, rows);
        if (store->ops->sync(store) != OK)
            _exit(CHILD_OTHER);
        (void)raise(SIGKILL);
    }
    assert_int_equal(child_code(pid), 1000 + SIGKILL);
}

/* ---- tests ---- */

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

/* Where a store stands is kept with it: by what the batches were, not by how often it was opened. */
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
test_table_flips(void **state)
{
    enum { ROWS = 400, FLIPS = 16 };
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    unsigned refused = 0, ended = 0, unnoticed = 0;
    uint32_t x = 7;
    bool created;
    struct store *s = wt_open(dir, &created);

    rows_commit(s, 0, ROWS);
    store_close(s);
    dir_copy_take(dir, &copy);
    struct file_copy *table = dir_copy_find(&copy, "rows.wt");
    assert_non_null(table);
    assert_int_equal(child_reads(dir, ROWS), CHILD_GOOD);
    for (int i = 0; i < FLIPS; i++) {
        dir_copy_restore(dir, &copy);
        x = x * 1664525U + 1013904223U;
        size_t offset = (x >> 4) % table->size;
        bit_flip(table, offset, x & 7);
        int code = child_reads(dir, ROWS);
        bit_flip(table, offset, x & 7);
        refused += code == CHILD_REFUSED;
        ended += code == STORE_WT_EXIT;
        unnoticed += code == CHILD_GOOD; /* in a block that is not in use */
        if (code != CHILD_REFUSED && code != STORE_WT_EXIT && code != CHILD_GOOD)
            fail_msg("flip at %zu: %d", offset, code);
    }
    print_message("table flips: %u refused, %u ended the process, %u in unused blocks\n", refused,
                  ended, unnoticed);
    assert_true(refused > FLIPS / 2);
    dir_copy_free(&copy);
}

/* The engine's small files. The lock file holds nothing, and the version file only a text. */
static void
test_metadata_flips(void **state)
{
    enum { ROWS = 50, FLIPS = 6 };
    static const char *const names[] = {"WiredTiger.wt", "WiredTiger.turtle"};
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    uint32_t x = 99;
    bool created;
    struct store *s = wt_open(dir, &created);

    rows_commit(s, 0, ROWS);
    store_close(s);
    dir_copy_take(dir, &copy);
    for (size_t n = 0; n < 2; n++) {
        struct file_copy *file = dir_copy_find(&copy, names[n]);
        unsigned refused = 0;
        for (int i = 0; i < FLIPS; i++) {
            dir_copy_restore(dir, &copy);
            x = x * 1664525U + 1013904223U;
            size_t offset = (x >> 4) % file->size;
            bit_flip(file, offset, x & 7);
            int code = child_reads(dir, ROWS);
            bit_flip(file, offset, x & 7);
            refused += code == CHILD_REFUSED;
            if (code != CHILD_REFUSED && code != STORE_WT_EXIT && code != CHILD_GOOD)
                fail_msg("%s, flip at %zu: %d", names[n], offset, code);
        }
        print_message("%s: %u of %d flips refused\n", names[n], refused, FLIPS);
    }
    dir_copy_free(&copy);
}

/* A damaged journal is refused every time, and left as it is: nothing is cut. */
static void
test_journal_flips(void **state)
{
    enum { ROWS = 400, FLIPS = 16 };
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    uint32_t x = 5;

    crashed_store_make(dir, ROWS);
    dir_copy_take(dir, &copy);
    struct file_copy *journal = dir_copy_find(&copy, JOURNAL);
    assert_non_null(journal);
    size_t used = size_without_zeros(journal);
    assert_true(used > ROWS * 400);
    for (int i = 0; i < FLIPS; i++) {
        x = x * 1664525U + 1013904223U;
        size_t offset = used / 10 + (x >> 4) % (used / 2);
        bit_flip(journal, offset, x & 7);
        for (int again = 0; again < 2; again++) {
            int code = child_reads(dir, ROWS);
            if (code != CHILD_REFUSED)
                fail_msg("flip at %zu of %zu, open %d: %d", offset, used, again, code);
        }
        assert_unchanged_file(journal);
        bit_flip(journal, offset, x & 7);
    }
    assert_int_equal(child_reads(dir, ROWS), CHILD_GOOD);
    dir_copy_free(&copy);
}

/*
 * Every bit of a record's header, where the length decides what the engine believes to be the
 * journal's end.
 */
static void
test_journal_header_flips(void **state)
{
    enum { ROWS = 100 };
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    size_t offset = 0;

    crashed_store_make(dir, ROWS);
    dir_copy_take(dir, &copy);
    struct file_copy *journal = dir_copy_find(&copy, JOURNAL);
    assert_non_null(journal);
    for (unsigned i = 0; i < ROWS / 2; i++) {
        const uint8_t *length = journal->data + offset;
        offset += ((size_t)length[0] + ((size_t)length[1] << 8) + 127) / 128 * 128;
    }
    for (unsigned bit = 0; bit < 16 * 8; bit++) {
        bit_flip(journal, offset + bit / 8, bit % 8);
        int code = child_reads(dir, ROWS);
        if (code != CHILD_REFUSED)
            fail_msg("header bit %u: %d", bit, code);
        bit_flip(journal, offset + bit / 8, bit % 8);
    }
    assert_int_equal(child_reads(dir, ROWS), CHILD_GOOD);
    dir_copy_free(&copy);
}

/*
 * Damage in the last record is not told from a torn write by anything behind it: it is cut, and
 * said, and the sequence is one less.
 */
static void
test_last_record_flip(void **state)
{
    enum { ROWS = 40 };
    const struct temp_dir *dir = *state;
    struct store_wt_options options = wt_options(dir);
    struct store_mark mark;
    struct dir_copy copy;
    struct store *s;
    bool created, cut = false;
    char why[256];

    crashed_store_make(dir, ROWS);
    dir_copy_take(dir, &copy);
    struct file_copy *journal = dir_copy_find(&copy, JOURNAL);
    assert_non_null(journal);
    bit_flip(journal, size_without_zeros(journal) - 300, 3);
    options.journal_cut = &cut;
    assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), OK);
    assert_true(cut);
    assert_int_equal(rows_count(s, ROWS), ROWS - 1);
    s->ops->durable(s, &mark);
    assert_int_equal(mark.sequence, ROWS - 1);
    store_close(s);
    assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), OK);
    assert_false(cut);
    store_close(s);
    dir_copy_free(&copy);
}

/* What a crash leaves, a last record of which the end was not written, is no damage. */
static void
test_torn_last_record(void **state)
{
    enum { ROWS = 40 };
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    bool created;

    crashed_store_make(dir, ROWS);
    dir_copy_take(dir, &copy);
    struct file_copy *journal = dir_copy_find(&copy, JOURNAL);
    assert_non_null(journal);
    size_t used = size_without_zeros(journal);
    memset(journal->data + used - 200, 0, 200);
    file_write(journal);
    struct store *s = wt_open(dir, &created);
    assert_int_equal(rows_count(s, ROWS), ROWS - 1);
    assert_int_equal(s->ops->sequence(s), ROWS - 1);
    store_close(s);
    dir_copy_free(&copy);
}

static void
test_missing_files(void **state)
{
    static const char *const names[] = {"rows.wt", "WiredTiger.turtle", "WiredTiger.wt", JOURNAL};
    const struct temp_dir *dir = *state;
    struct dir_copy copy;

    crashed_store_make(dir, 50);
    dir_copy_take(dir, &copy);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct file_copy *missing = dir_copy_find(&copy, names[i]);
        if (!missing)
            fail_msg("there was no %s", names[i]);
        dir_copy_restore(dir, &copy);
        assert_int_equal(unlink(missing->path), 0);
        int code = child_reads(dir, 50);
        if (code != CHILD_REFUSED)
            fail_msg("without %s: %d", names[i], code);
    }
    dir_copy_free(&copy);
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

/* ---- disk ---- */

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
        TEMP_DIR_TEST(
            test_reopen_keeps_rows), /* first: the children inherit what a first open costs */
        TEMP_DIR_TEST(test_created_once),
        TEMP_DIR_TEST(test_mark_is_kept_and_tells_stores_apart),
        TEMP_DIR_TEST(test_modes_and_ballast),
        TEMP_DIR_TEST(test_no_plaintext_in_any_file),
        TEMP_DIR_TEST(test_wrong_key_changes_nothing),
        TEMP_DIR_TEST(test_wrong_key_after_crash),
        TEMP_DIR_TEST(test_both_ciphers_in_one_store),
        TEMP_DIR_TEST(test_two_stores_two_keys),
        TEMP_DIR_TEST(test_second_open_is_refused),
        TEMP_DIR_TEST(test_table_flips),
        TEMP_DIR_TEST(test_metadata_flips),
        TEMP_DIR_TEST(test_journal_flips),
        TEMP_DIR_TEST(test_journal_header_flips),
        TEMP_DIR_TEST(test_last_record_flip),
        TEMP_DIR_TEST(test_torn_last_record),
        TEMP_DIR_TEST(test_missing_files),
        TEMP_DIR_TEST(test_configuration_file_is_refused),
        TEMP_DIR_TEST(test_kill_keeps_what_was_acknowledged),
        TEMP_DIR_TEST(test_kill_while_another_thread_commits),
        TEMP_DIR_TEST(test_failed_sync_ends_the_process),
        TEMP_DIR_TEST(test_reserve_refuses_puts_only),
        TEMP_DIR_TEST(test_journal_takes_no_room_ahead),
        TEMP_DIR_TEST(test_disk_full),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
