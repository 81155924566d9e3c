/*
 * A disk that somebody else fills, to the last byte and between two looks of the store: the store
 * goes on, and everything that it acknowledged is there.
 *
 * On a small file system of memory, which needs the right to mount one.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "sim/prng.h"

enum {
    DISK_FREE_MIN = 16 * 1024 * 1024, /* a quarter is held: 4 MiB, and the cache has 16 */
    ROUNDS = 12,
    ROWS_MAX = 200000,
    SYNC_EVERY = 16,
    ROW_VALUE_MAX = 3000,
    CHECKPOINT_MS = 150,
};

/* What the threads share. */
struct load {
    char filler[2 * PATH_BYTES];
    struct store *store;
    struct prng prng; /* the filler's */
    _Atomic bool stop;
    _Atomic unsigned rounds;
};

static void
pause_ms(uint64_t ms)
{
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&ts, NULL);
}

/* Takes what is free, and what becomes free while it lasts. */
static void
fill(struct load *l, uint64_t ms)
{
    static const uint8_t zeros[65536];
    int fd = open(l->filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    for (uint64_t i = 0; i < ms; i++) {
        for (size_t size = sizeof(zeros); size > 0; size /= 2) {
            while (write(fd, zeros, size) == (ssize_t)size)
                ;
        }
        pause_ms(1);
    }
    close(fd);
}

static void *
filler_run(void *context)
{
    struct load *l = context;

    for (unsigned i = 0; i < ROUNDS; i++) {
        pause_ms(prng_between(&l->prng, 20, 200));
        fill(l, i % 3 == 2 ? 1 : prng_between(&l->prng, 20, 300));
        pause_ms(prng_below(&l->prng, 100));
        (void)unlink(l->filler);
        atomic_fetch_add(&l->rounds, 1);
    }
    atomic_store(&l->stop, true);
    return NULL;
}

static void *
checkpointer_run(void *context)
{
    struct load *l = context;

    while (!atomic_load(&l->stop)) {
        assert_int_equal(store_wt_checkpoint(l->store), OK);
        pause_ms(CHECKPOINT_MS);
    }
    return NULL;
}

static struct store_change
row(unsigned number, char key[static 32], uint8_t *value)
{
    struct prng prng;

    prng_init(&prng, number);
    (void)snprintf(key, 32, "%08x", number * 2654435761U); /* anywhere in the table */
    size_t size = prng_between(&prng, 1, ROW_VALUE_MAX);
    prng_fill(&prng, value, size);
    return (struct store_change){
        .kind = STORE_PUT, .key = bytes_of_text(key), .value = bytes_of(value, size)};
}

/*
 * Writes until the filler is through. The rows that were acknowledged are those below the result.
 */
static unsigned
write_rows(struct load *l, unsigned *refused)
{
    uint8_t value[ROW_VALUE_MAX];
    unsigned rows = 0, acknowledged = 0;
    char key[32];

    while (!atomic_load(&l->stop) && rows < ROWS_MAX) {
        struct store_change change = row(rows, key, value);
        enum vault_err err = l->store->ops->commit(l->store, &change, 1);
        if (err == ERR_DISK_FULL) {
            (*refused)++;
            pause_ms(1);
            continue;
        }
        assert_int_equal(err, OK);
        rows++;
        if (rows % SYNC_EVERY == 0) {
            assert_int_equal(l->store->ops->sync(l->store), OK);
            acknowledged = rows;
            pause_ms(1); /* so that all rounds find it at work, and none the disk full of rows */
        }
    }
    return acknowledged;
}

static void
expect_rows(struct store *store, unsigned count)
{
    uint8_t value[ROW_VALUE_MAX];
    struct store_reader *reader = NULL;
    struct arena arena;
    struct bytes found;
    char key[32];

    assert_int_equal(store->ops->reader_new(store, &reader), OK);
    for (unsigned i = 0; i < count; i++) {
        struct store_change expected = row(i, key, value);
        arena_init(&arena, 1 << 20);
        assert_int_equal(store->ops->get(reader, expected.key, &arena, &found), OK);
        assert_true(bytes_equal(found, expected.value));
        arena_close(&arena);
    }
    store->ops->reader_free(reader);
}

static void
run(const struct temp_dir *dir, uint64_t seed)
{
    struct store_wt_options options = wt_options(dir);
    struct load l = {0};
    pthread_t filler, checkpointer;
    char why[256];
    bool created;
    unsigned refused = 0;

    prng_init(&l.prng, seed);
    (void)snprintf(l.filler, sizeof(l.filler), "%s/filler", dir->path);
    options.disk_free_min_bytes = DISK_FREE_MIN;
    assert_int_equal(store_wt_open(&options, &l.store, &created, why, sizeof(why)), OK);
    assert_int_equal(pthread_create(&filler, NULL, filler_run, &l), 0);
    assert_int_equal(pthread_create(&checkpointer, NULL, checkpointer_run, &l), 0);
    unsigned rows = write_rows(&l, &refused);
    atomic_store(&l.stop, true);
    assert_int_equal(pthread_join(filler, NULL), 0);
    assert_int_equal(pthread_join(checkpointer, NULL), 0);
    print_message("%u rows acknowledged, %u refused, %u rounds\n", rows, refused, l.rounds);
    assert_true(rows > 0);
    l.store->ops->close(l.store);
    assert_int_equal(store_wt_open(&options, &l.store, &created, why, sizeof(why)), OK);
    expect_rows(l.store, rows);
    l.store->ops->close(l.store);
}

static void
test_filled_under_load(void **state)
{
    const struct temp_dir *dir = *state;

    temp_dir_mount(dir, "size=160m");
    run(dir, (uint64_t)time(NULL));
    assert_int_equal(umount(dir->path), 0);
}

/* ---- the reserve ---- */

static uint64_t
size_of(const struct temp_dir *dir, const char *name)
{
    char path[2 * PATH_BYTES];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static enum vault_err
commit(struct store *store, const char *key)
{
    struct store_change change = {
        .kind = STORE_PUT, .key = bytes_of_text(key), .value = bytes_of_text("value")};
    enum vault_err err = store->ops->commit(store, &change, 1);

    assert_int_equal(store->ops->sync(store), OK);
    return err;
}

static void
take_all(const char *path)
{
    struct load l = {0};

    (void)snprintf(l.filler, sizeof(l.filler), "%s", path);
    fill(&l, 1);
}

/* What is committed finds room in it; puts are refused until there is more, and then it is back. */
static void
reserve_run(const struct temp_dir *dir)
{
    struct store_wt_options options = wt_options(dir);
    struct store *store = NULL;
    char path[2 * PATH_BYTES], why[256];
    enum vault_err err;
    bool created;

    (void)snprintf(path, sizeof(path), "%s/filler", dir->path);
    options.disk_free_min_bytes = DISK_FREE_MIN;
    assert_int_equal(store_wt_open(&options, &store, &created, why, sizeof(why)), OK);
    assert_int_equal(size_of(dir, "reserve"), DISK_FREE_MIN / 4);
    assert_false(store_wt_is_tight(store));
    assert_int_equal(commit(store, "before"), OK);
    take_all(path);
    err = commit(store, "between two looks");
    assert_true(err == OK || err == ERR_DISK_FULL); /* if that was a look */
    assert_int_equal(store_wt_checkpoint(store), OK);
    assert_int_equal(size_of(dir, "reserve"), 0);
    assert_int_equal(commit(store, "refused"), ERR_DISK_FULL);
    assert_true(store_wt_is_tight(store));
    assert_int_equal(unlink(path), 0);
    pause_ms(60);
    assert_int_equal(commit(store, "after"), OK);
    assert_int_equal(size_of(dir, "reserve"), DISK_FREE_MIN / 4);
    assert_false(store_wt_is_tight(store));
    store->ops->close(store);
    /* It is found again, and one of another size is made anew. */
    assert_int_equal(store_wt_open(&options, &store, &created, why, sizeof(why)), OK);
    assert_int_equal(size_of(dir, "reserve"), DISK_FREE_MIN / 4);
    store->ops->close(store);
    options.disk_free_min_bytes = 2 * DISK_FREE_MIN;
    assert_int_equal(store_wt_open(&options, &store, &created, why, sizeof(why)), OK);
    assert_int_equal(size_of(dir, "reserve"), DISK_FREE_MIN / 2);
    store->ops->close(store);
}

static void
test_reserve_is_given_and_taken_back(void **state)
{
    const struct temp_dir *dir = *state;

    temp_dir_mount(dir, "size=160m");
    reserve_run(dir);
    assert_int_equal(umount(dir->path), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP_DIR_TEST(test_reserve_is_given_and_taken_back),
        TEMP_DIR_TEST(test_filled_under_load),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
