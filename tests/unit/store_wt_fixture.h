/*
 * What the tests of the store on disk share: children that open a store, and crash; copies of its
 * files; rows whose value follows from the key.
 *
 * What may end the process (damage met while running) is done in children: their exit codes are the
 * result. Children are forked while no store is open here.
 */
#ifndef OSTRAKA_TESTS_STORE_WT_FIXTURE_H
#define OSTRAKA_TESTS_STORE_WT_FIXTURE_H

#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Exit codes of children, apart from STORE_WT_EXIT. */
enum { CHILD_GOOD = 0, CHILD_REFUSED = 10, CHILD_WRONG_DATA = 11, CHILD_OTHER = 12 };

static inline void
store_close(struct store *store)
{
    store->ops->close(store);
}

static inline enum vault_err
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

static inline int
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

static inline void
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

static inline void
dir_copy_take(const struct temp_dir *dir, struct dir_copy *copy)
{
    copy->count = 0;
    temp_dir_visit(dir, file_copy_take, copy);
}

static inline void
dir_copy_free(struct dir_copy *copy)
{
    for (size_t i = 0; i < copy->count; i++)
        free(copy->files[i].data);
    copy->count = 0;
}

/* By its name; NULL: none. */
static inline struct file_copy *
dir_copy_find(struct dir_copy *copy, const char *name)
{
    for (size_t i = 0; i < copy->count; i++) {
        if (strcmp(strrchr(copy->files[i].path, '/') + 1, name) == 0)
            return &copy->files[i];
    }
    return NULL;
}

static inline size_t
size_without_zeros(const struct file_copy *f)
{
    size_t size = f->size;

    while (size > 0 && f->data[size - 1] == 0)
        size--;
    return size;
}

/* Journals are mostly zeros: those are left to the file system. */
static inline void
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
static inline void
dir_copy_restore(const struct temp_dir *dir, const struct dir_copy *copy)
{
    temp_dir_visit(dir, temp_file_remove, NULL);
    for (size_t i = 0; i < copy->count; i++)
        file_write(&copy->files[i]);
}

static inline void
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

static inline void
assert_unchanged(const struct dir_copy *before)
{
    for (size_t i = 0; i < before->count; i++)
        assert_unchanged_file(&before->files[i]);
}

static inline void
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

static inline void
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

static inline void
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
static inline int
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
static inline int
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
static inline void
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

/*
 * For cmocka, of a group: children inherit what the first open of a process costs, which is much.
 */
static inline int
wt_open_once(void **state)
{
    struct temp_dir dir;
    bool created;

    (void)state;
    temp_dir_make(&dir);
    store_close(wt_open(&dir, &created));
    temp_dir_remove(&dir);
    return created ? 0 : -1;
}

#endif
