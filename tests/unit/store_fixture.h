/*
 * What the tests of the stores share: a directory of their own, batches from text, and rows read
 * back.
 */
#ifndef OSTRAKA_TESTS_STORE_FIXTURE_H
#define OSTRAKA_TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/secret.h"
#include "store/store_wt.h"

enum { PATH_BYTES = 512 };

struct temp_dir {
    char path[PATH_BYTES];
};

static inline void
temp_dir_make(struct temp_dir *dir)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(dir->path, sizeof(dir->path), "%s/ostraka-store-XXXXXX",
                   base != NULL ? base : P_tmpdir);
    assert_non_null(mkdtemp(dir->path));
}

/* Calls `visit` with the path of every file. */
static inline void
temp_dir_visit(const struct temp_dir *dir, void (*visit)(const char *path, void *context),
               void *context)
{
    DIR *d = opendir(dir->path);
    char path[2 * PATH_BYTES];

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir->path, e->d_name);
        visit(path, context);
    }
    closedir(d);
}

static inline void
temp_file_remove(const char *path, void *context)
{
    (void)context;
    (void)unlink(path);
}

static inline void
temp_dir_remove(const struct temp_dir *dir)
{
    temp_dir_visit(dir, temp_file_remove, NULL);
    (void)rmdir(dir->path);
}

/* For cmocka: a test whose state is a directory of its own. */
#define TEMP_DIR_TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

static inline int
temp_dir_setup(void **state)
{
    struct temp_dir *dir = calloc(1, sizeof(*dir));

    assert_non_null(dir);
    temp_dir_make(dir);
    *state = dir;
    return 0;
}

static inline int
temp_dir_teardown(void **state)
{
    temp_dir_remove(*state);
    free(*state);
    return 0;
}

/*
 * A disk of that size in its place, until it is unmounted. Skips the test where that is forbidden.
 */
static inline void
temp_dir_mount(const struct temp_dir *dir, const char *size)
{
    if (mount("none", dir->path, "tmpfs", 0, size) != 0) {
        print_message("no permission to mount a tmpfs: skipped\n");
        skip();
    }
}

static inline struct store_wt_options
wt_options(const struct temp_dir *dir)
{
    struct store_wt_options options = {.directory = dir->path, .cache_bytes = 16 * 1024 * 1024};

    memset(options.key, 0x42, sizeof(options.key));
    return options;
}

static inline struct store *
wt_open(const struct temp_dir *dir, bool *created)
{
    struct store_wt_options options = wt_options(dir);
    struct store *store = NULL;
    char why[256];

    enum vault_err err = store_wt_open(&options, &store, created, why, sizeof(why));
    if (err != OK)
        print_error("open: %s: %s\n", vault_err_name(err), why);
    assert_int_equal(err, OK);
    assert_non_null(store);
    return store;
}

static inline struct store_change
put(const char *key, const char *value)
{
    return (struct store_change){
        .kind = STORE_PUT, .key = bytes_of_text(key), .value = bytes_of_text(value)};
}

static inline struct store_change
del(const char *key)
{
    return (struct store_change){.kind = STORE_DELETE, .key = bytes_of_text(key)};
}

static inline struct store_change
del_prefix(const char *key)
{
    return (struct store_change){.kind = STORE_DELETE_PREFIX, .key = bytes_of_text(key)};
}

static inline struct store_change
del_one(const char *key, const char *tables)
{
    return (struct store_change){
        .kind = STORE_DELETE_ONE, .key = bytes_of_text(key), .value = bytes_of_text(tables)};
}

static inline void
commit_one(struct store *store, struct store_change change)
{
    assert_int_equal(store->ops->commit(store, &change, 1), OK);
}

static inline struct store_reader *
reader_of(struct store *store)
{
    struct store_reader *reader = NULL;

    assert_int_equal(store->ops->reader_new(store, &reader), OK);
    assert_non_null(reader);
    return reader;
}

/* `value` NULL: the key must be absent. */
static inline void
expect_row(struct store *store, const char *key, const char *value)
{
    struct store_reader *reader = reader_of(store);
    struct arena arena;
    struct bytes got;

    arena_init(&arena, 1 << 20);
    enum vault_err err = store->ops->get(reader, bytes_of_text(key), &arena, &got);
    if (value == NULL) {
        assert_int_equal(err, ERR_NOT_FOUND);
        assert_int_equal(got.size, 0);
    } else {
        assert_int_equal(err, OK);
        assert_true(bytes_equal(got, bytes_of_text(value)));
    }
    arena_close(&arena);
    store->ops->reader_free(reader);
}

/* Scans and compares the keys found, joined by commas, and `more`. */
static inline void
expect_scan(struct store *store, const char *prefix, const char *after, size_t limit,
            const char *keys, bool more_expected)
{
    struct store_reader *reader = reader_of(store);
    struct store_row rows[64];
    struct arena arena;
    char text[1024] = "";
    size_t count, used = 0;
    bool more;

    assert_true(limit <= 64);
    arena_init(&arena, 1 << 20);
    assert_int_equal(store->ops->scan(reader, bytes_of_text(prefix), bytes_of_text(after), limit,
                                      false, &arena, rows, &count, &more),
                     OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].value.size, 0);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s", i == 0 ? "" : ",",
                                 (int)rows[i].key.size, (const char *)rows[i].key.data);
    }
    assert_string_equal(text, keys);
    assert_int_equal(more, more_expected);
    arena_close(&arena);
    store->ops->reader_free(reader);
}

#endif
