/* Where damaged directories go, which of them are kept, and that nothing moves without room. */
#include "store_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "runtime/cluster_files.h"
#include "runtime/set_aside.h"

struct fixture {
    struct temp_dir dir;
    char data[2 * PATH_BYTES];
    char target[PATH_MAX];
    char why[256];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    temp_dir_make(&f->dir);
    (void)snprintf(f->data, sizeof(f->data), "%s/data", f->dir.path);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(directory_remove(f->dir.path), OK);
    free(f);
    return 0;
}

static void
make(const char *path)
{
    char file[3 * PATH_BYTES];

    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(file, sizeof(file), "%s/file", path);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
}

static bool
exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static enum vault_err
aside(struct fixture *f, uint64_t room, uint64_t now_s)
{
    return set_aside(f->data, room, now_s, NULL, f->target, f->why, sizeof(f->why));
}

static void
test_renames(void **state)
{
    struct fixture *f = *state;
    char expected[PATH_MAX + 16];

    make(f->data);
    assert_int_equal(aside(f, 0, 1790000000), OK);
    (void)snprintf(expected, sizeof(expected), "%s.damaged-20260921T141320Z", f->data);
    assert_string_equal(f->target, expected);
    (void)snprintf(expected, sizeof(expected), "%s/file", f->target);
    assert_true(exists(expected));
    (void)snprintf(expected, sizeof(expected), "%s.damaged-20260921T141320Z", f->data);
    assert_int_equal(rmdir(f->data), 0); /* there is an empty one in its place */
    /* Twice in one second. */
    make(f->data);
    assert_int_equal(aside(f, 0, 1790000000), OK);
    assert_string_not_equal(f->target, expected);
    assert_true(exists(f->target));
}

static void
test_keeps_the_newest(void **state)
{
    struct fixture *f = *state;
    char paths[5][PATH_MAX];

    for (unsigned i = 0; i < 5; i++) {
        (void)rmdir(f->data);
        make(f->data);
        assert_int_equal(aside(f, 0, 1790000000 + i), OK);
        memcpy(paths[i], f->target, sizeof(paths[i]));
    }
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(exists(paths[i]), i >= 5 - SET_ASIDE_MAX);
}

/* Older ones make room; when that does not suffice, nothing is moved. */
static void
test_without_room(void **state)
{
    struct fixture *f = *state;
    char older[PATH_MAX];

    make(f->data);
    assert_int_equal(aside(f, 0, 1790000000), OK);
    memcpy(older, f->target, sizeof(older));
    assert_int_equal(aside(f, UINT64_MAX, 1790000001), ERR_DISK_FULL);
    assert_true(exists(f->data));
    assert_false(exists(older));
    assert_int_equal(f->target[0], 0);
    assert_non_null(strstr(f->why, "room"));
}

static void
test_link_to_another_disk(void **state)
{
    struct fixture *f = *state;
    char real[3 * PATH_BYTES];

    (void)snprintf(real, sizeof(real), "%s/elsewhere", f->dir.path);
    make(real);
    assert_int_equal(symlink(real, f->data), 0);
    assert_int_equal(aside(f, 0, 1790000000), OK);
    assert_non_null(strstr(f->target, "/elsewhere.damaged-"));
    assert_int_equal(rmdir(real), 0); /* the new one, behind the link */
    assert_true(exists(f->data));
}

static void
test_nothing_there(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(aside(f, 0, 1790000000), ERR_IO);
    assert_true(strlen(f->why) > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_renames),       TEST(test_keeps_the_newest),
        TEST(test_without_room),  TEST(test_link_to_another_disk),
        TEST(test_nothing_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
