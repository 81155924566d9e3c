/*
 * The storage threads, on the store in memory (with faults put in where a disk would have them) and
 * once on WiredTiger. What the submitter does itself: test_storage_run.c.
 */
#include "storage_io_fixture.h"

/* `expected`: the key that comes with the first one, or nothing. */
static void
load_along(struct storage_io *io, const char *key, const char *prefix, const char *expected)
{
    struct storage_request *r = load_request(1, key, "");
    struct storage_request *done[1];

    r->key_count = 1;
    r->along_prefix = text_in(r, prefix);
    submit(io, r);
    collect(io, done, 1);
    assert_int_equal(done[0]->err, OK);
    assert_true(bytes_equal(done[0]->along.key, bytes_of_text(expected)));
    assert_true(done[0]->along.key.size == 0 ||
                bytes_equal(done[0]->along.value, bytes_of_text("some value of a row")));
    free_all(done, 1);
}

static void
test_commit_then_load_then_scan(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[3];

    submit(f->io, commit_request(1, "a/1", "one"));
    submit(f->io, commit_request(2, "a/2", "two"));
    submit(f->io, commit_request(3, "a/3", "three"));
    collect(f->io, done, 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(done[i]->tag, i + 1);
        assert_int_equal(done[i]->owner, 7);
        assert_int_equal(done[i]->err, OK);
    }
    free_all(done, 3);

    submit(f->io, load_request(4, "a/2", "none"));
    collect(f->io, done, 1);
    assert_int_equal(done[0]->err, OK);
    assert_int_equal(done[0]->row_count, 2);
    assert_true(done[0]->found[0]);
    assert_true(bytes_equal(done[0]->rows[0].key, bytes_of_text("a/2")));
    assert_true(bytes_equal(done[0]->rows[0].value, bytes_of_text("two")));
    assert_false(done[0]->found[1]);
    assert_true(bytes_equal(done[0]->rows[1].key, bytes_of_text("none")));
    free_all(done, 1);

    struct storage_request *scan = storage_request_new(STORAGE_SCAN, ARENA_BYTES);
    assert_non_null(scan);
    scan->prefix = text_in(scan, "a/");
    scan->after = text_in(scan, "a/1");
    scan->limit = 1;
    scan->with_values = true;
    submit(f->io, scan);
    collect(f->io, done, 1);
    assert_ptr_equal(done[0], scan);
    assert_int_equal(scan->err, OK);
    assert_int_equal(scan->row_count, 1);
    assert_true(scan->more);
    assert_true(bytes_equal(scan->rows[0].value, bytes_of_text("two")));
    free_all(done, 1);
    assert_null(storage_io_drain(f->io));
}

/* What waited while the disk was busy goes to it in one batch with one sync. */
static void
test_waiting_commits_share_a_sync(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[33];
    struct storage_io_stats stats;
    char key[16];

    pthread_mutex_lock(&f->store.gate);
    submit(f->io, commit_request(0, "first", "x"));
    const struct timespec pause = {.tv_nsec = 5 * 1000000};
    for (int i = 0; i < 2000 && atomic_load(&f->store.arrived) == 0; i++)
        nanosleep(&pause, NULL);
    for (unsigned i = 1; i <= 32; i++) {
        (void)snprintf(key, sizeof(key), "k%u", i);
        submit(f->io, commit_request(i, key, "x"));
    }
    storage_io_stats(f->io, &stats);
    assert_int_equal(stats.waiting, 33);
    nanosleep(&pause, NULL);
    pthread_mutex_unlock(&f->store.gate);
    collect(f->io, done, 33);
    for (unsigned i = 0; i < 33; i++) {
        assert_int_equal(done[i]->tag, i);
        assert_int_equal(done[i]->err, OK);
    }
    free_all(done, 33);
    assert_int_equal(atomic_load(&f->store.syncs), 2);
    assert_int_equal(atomic_load(&f->store.commits), 2);
    assert_int_equal(atomic_load(&f->store.largest), 32);
    storage_io_stats(f->io, &stats);
    assert_int_equal(stats.batches, 2);
    assert_int_equal(stats.commits, 33);
    assert_int_equal(stats.batch_size_last, 32);
    assert_int_equal(stats.batch_size_log2[0], 1); /* 1 */
    assert_int_equal(stats.batch_size_log2[5], 1); /* 17..32 */
    assert_int_equal(stats.waiting, 0);
    assert_true(stats.flush_ns_total >= stats.flush_ns_last);
    uint64_t counted = 0;
    for (size_t i = 0; i < 24; i++)
        counted += stats.flush_us_log2[i];
    assert_int_equal(counted, 2);
    assert_int_equal(stats.flush_us_log2[0], 0); /* the first one waited for milliseconds */
}

/* One that could not be committed costs the others of its group nothing. */
static void
test_group_that_fails_is_tried_one_by_one(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[4];

    submit(f->io, commit_request(0, "gone", "v"));
    collect(f->io, done, 1);
    free_all(done, 1);
    pthread_mutex_lock(&f->store.gate);
    submit(f->io, commit_request(1, "first", "v"));
    const struct timespec pause = {.tv_nsec = 5 * 1000000};
    for (int i = 0; i < 2000 && atomic_load(&f->store.arrived) < 2; i++)
        nanosleep(&pause, NULL);
    submit(f->io, commit_request(2, "x", "refused"));
    submit(f->io, commit_request(3, "y", "w"));
    submit(f->io, commit_request(4, "z", "w"));
    atomic_store(&f->store.refuses_value, true);
    pthread_mutex_unlock(&f->store.gate);
    collect(f->io, done, 4);
    assert_int_equal(done[0]->err, OK);
    assert_int_equal(done[1]->err, ERR_DISK_FULL);
    assert_int_equal(done[2]->err, OK);
    assert_int_equal(done[3]->err, OK);
    free_all(done, 4);
    assert_int_equal(atomic_load(&f->store.largest), 3);
    expect_row(f->store.under, "x", NULL);
    expect_row(f->store.under, "y", "w");
    expect_row(f->store.under, "z", "w");
}

static void
test_full_queue_is_busy(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[64];

    pthread_mutex_lock(&f->store.gate);
    for (unsigned i = 0; i < 64; i++)
        submit(f->io, commit_request(i, "k", "x"));
    struct storage_request *one_more = commit_request(64, "k", "x");
    assert_int_equal(storage_io_submit(f->io, one_more), ERR_BUSY);
    pthread_mutex_unlock(&f->store.gate);
    collect(f->io, done, 64);
    free_all(done, 64);
    submit(f->io, one_more); /* still ours, and now there is room */
    collect(f->io, done, 1);
    assert_int_equal(done[0]->err, OK);
    free_all(done, 1);
}

static void
test_refused_commit_has_its_own_error(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[3];

    submit(f->io, commit_request(0, "k", "v"));
    collect(f->io, done, 1);
    free_all(done, 1);
    atomic_store(&f->store.commit_refuses, true);
    pthread_mutex_lock(&f->store.gate);
    submit(f->io, commit_request(1, "k", "w"));
    submit(f->io, commit_request(2, "k", NULL));
    submit(f->io, commit_request(3, "k", "y"));
    pthread_mutex_unlock(&f->store.gate);
    collect(f->io, done, 3);
    assert_int_equal(done[0]->err, ERR_DISK_FULL);
    assert_int_equal(done[1]->err, OK);
    assert_int_equal(done[2]->err, ERR_DISK_FULL);
    free_all(done, 3);
    expect_row(f->store.under, "k", NULL);
}

/* Nothing is OK that was not synced, and nothing is written after a sync that failed. */
/*
 * What remembers the sequence knows of a flush before anybody is answered; of a failed one never.
 */
static void
test_flush_is_told_before_it_is_completed(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[2];
    const struct timespec moment = {.tv_nsec = 20000000};

    pthread_mutex_lock(&f->store.flush_gate);
    submit(f->io, commit_request(0, "k", "v"));
    (void)nanosleep(&moment, NULL);
    assert_null(storage_io_drain(f->io));
    pthread_mutex_unlock(&f->store.flush_gate);
    collect(f->io, done, 1);
    assert_int_equal(done[0]->err, OK);
    assert_int_equal(atomic_load(&f->store.flushed), 1);
    free_all(done, 1);
    atomic_store(&f->store.sync_fails, true);
    submit(f->io, commit_request(1, "k", "w"));
    collect(f->io, done, 1);
    assert_int_equal(done[0]->err, ERR_IO);
    assert_int_equal(atomic_load(&f->store.flushed), 1);
    free_all(done, 1);
}

static void
test_failed_sync_is_final(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[1];

    atomic_store(&f->store.sync_fails, true);
    submit(f->io, commit_request(1, "k", "v"));
    collect(f->io, done, 1);
    assert_int_equal(done[0]->err, ERR_IO);
    free_all(done, 1);
    atomic_store(&f->store.sync_fails, false);
    submit(f->io, commit_request(2, "k", "w"));
    collect(f->io, done, 1);
    assert_int_equal(done[0]->err, ERR_IO);
    free_all(done, 1);
    assert_int_equal(atomic_load(&f->store.syncs), 1);
    assert_int_equal(atomic_load(&f->store.commits), 1);
}

static void
test_arena_limit_is_an_error_of_the_request(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[1];

    struct storage_request *scan = storage_request_new(STORAGE_SCAN, 100);
    assert_non_null(scan);
    scan->limit = 1000;
    submit(f->io, scan);
    collect(f->io, done, 1);
    assert_int_equal(done[0]->err, ERR_NOMEM);
    assert_int_equal(done[0]->row_count, 0);
    free_all(done, 1);
}

static void
test_checkpoint_by_journal_growth(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[1];
    struct storage_io_stats stats = {0};

    for (unsigned i = 0; i < 9; i++) {
        submit(f->io, commit_request(i, "k", "v"));
        collect(f->io, done, 1);
        free_all(done, 1);
    }
    assert_int_equal(atomic_load(&f->store.checkpoints), 0);
    for (unsigned i = 0; i < 3; i++) {
        submit(f->io, commit_request(i, "k", "v"));
        collect(f->io, done, 1);
        free_all(done, 1);
    }
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && stats.checkpoints == 0; i++) {
        nanosleep(&pause, NULL);
        storage_io_stats(f->io, &stats);
    }
    assert_int_equal(stats.checkpoints, 1);
    assert_int_equal(atomic_load(&f->store.checkpoints), 1);

    atomic_store(&f->store.tight, true); /* a batch of a hundred bytes is enough now */
    submit(f->io, commit_request(0, "k", "v"));
    collect(f->io, done, 1);
    free_all(done, 1);
    for (int i = 0; i < 20000 && stats.checkpoints == 1; i++) {
        nanosleep(&pause, NULL);
        storage_io_stats(f->io, &stats);
    }
    assert_int_equal(stats.checkpoints, 2);
}

/* Two threads count how far the journal has grown, and whoever counted later may say so first. */
static void
test_journal_that_seems_to_shrink(void **state)
{
    struct fixture *f = *state;
    struct storage_request *done[1];
    struct storage_io_stats stats = {0};
    const struct timespec pause = {.tv_nsec = 1000000};

    atomic_store(&f->store.log_bytes, 2000);
    submit(f->io, commit_request(1, "k", "v"));
    collect(f->io, done, 1);
    free_all(done, 1);
    for (int i = 0; i < 20000 && stats.checkpoints == 0; i++) {
        nanosleep(&pause, NULL);
        storage_io_stats(f->io, &stats);
    }
    assert_int_equal(stats.checkpoints, 1);
    atomic_store(&f->store.log_bytes, 1900);
    submit(f->io, commit_request(2, "k", "v"));
    collect(f->io, done, 1);
    free_all(done, 1);
    for (int i = 0; i < 100; i++)
        nanosleep(&pause, NULL);
    storage_io_stats(f->io, &stats);
    assert_int_equal(stats.checkpoints, 1);
}

/* Stop finishes what was submitted, and frees what nobody drained. */
static void
test_stop_finishes(void **state)
{
    struct fixture *f = *state;
    char key[16];

    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof(key), "k%02u", i);
        submit(f->io, commit_request(i, key, "v"));
        if (i % 5 == 0)
            submit(f->io, load_request(i, key, "none"));
    }
    storage_io_stop(f->io);
    f->io = NULL; /* stopping nothing is fine, too */
    store_mem_crash(f->store.under);
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof(key), "k%02u", i);
        expect_row(f->store.under, key, "v");
    }
}

/* Two submitters at once; every request comes back once. */
struct submitter {
    struct storage_io *io;
    unsigned number, refused;
};

static void *
submitter_run(void *context)
{
    struct submitter *s = context;
    char key[32];

    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof(key), "t%u/%u", s->number, i);
        struct storage_request *r =
            i % 4 == 3 ? load_request(i, key, "none") : commit_request(i, key, "value");
        while (storage_io_submit(s->io, r) != OK) {
            const struct timespec pause = {.tv_nsec = 100000};
            s->refused++;
            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static void
test_many_threads(void **state)
{
    struct fixture *f = *state;
    struct submitter submitters[2] = {{.io = f->io, .number = 0}, {.io = f->io, .number = 1}};
    pthread_t threads[2];
    struct storage_request *done[1];
    struct storage_io_stats stats;

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submitter_run, &submitters[i]), 0);
    unsigned got = 0;
    while (got < 4000) {
        struct pollfd poll_fd = {.fd = storage_io_wake_fd(f->io), .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 60000), 1);
        for (struct storage_request *r = storage_io_drain(f->io), *next; r != NULL; r = next) {
            next = r->next;
            assert_int_equal(r->err, OK);
            storage_request_free(r);
            got++;
        }
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    submit(f->io, load_request(1, "t0/0", "t1/1998"));
    collect(f->io, done, 1);
    assert_true(done[0]->found[0]);
    assert_true(done[0]->found[1]);
    free_all(done, 1);
    storage_io_stats(f->io, &stats);
    assert_int_equal(stats.commits, 3000);
}

static void
test_on_disk(void **state)
{
    struct temp_dir dir;
    bool created;
    struct storage_request *done[64];
    struct storage_io *io;
    struct storage_io_stats stats = {0};
    char key[16];

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* the engine's own locks are not known to the sanitizer */
#endif
    temp_dir_make(&dir);
    struct store *s = wt_open(&dir, &created);
    const struct storage_io_options options = {.store = s,
                                               .queue_max = 1000,
                                               .checkpoint_log_bytes = 16 * 1024,
                                               .checkpoint = store_wt_checkpoint,
                                               .log_bytes = store_wt_log_bytes};
    assert_int_equal(storage_io_start(&options, &io), OK);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 64; i++) {
            (void)snprintf(key, sizeof(key), "k%u", round * 64 + i);
            submit(io, commit_request(i, key, "some value of a row"));
        }
        collect(io, done, 64);
        for (unsigned i = 0; i < 64; i++)
            assert_int_equal(done[i]->err, OK);
        free_all(done, 64);
    }
    submit(io, load_request(1, "k0", "k1279"));
    collect(io, done, 1);
    assert_true(done[0]->found[0]);
    assert_true(done[0]->found[1]);
    assert_int_equal(done[0]->along.key.size, 0);
    free_all(done, 1);
    load_along(io, "k0", "k127", "k127");
    load_along(io, "k0", "l", "");
    load_along(io, "none", "k127", "");
    storage_io_stats(io, &stats);
    print_message("%llu commits in %llu flushes, %llu us each\n", (unsigned long long)stats.commits,
                  (unsigned long long)stats.batches,
                  (unsigned long long)(stats.flush_ns_total / stats.batches / 1000));
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && stats.checkpoints == 0; i++) {
        nanosleep(&pause, NULL);
        storage_io_stats(io, &stats);
    }
    assert_true(stats.checkpoints >= 1);
    assert_int_equal(stats.commits, 1280);
    storage_io_stop(io);
    s->ops->close(s);
    temp_dir_remove(&dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        STORAGE_IO_TEST(test_commit_then_load_then_scan),
        STORAGE_IO_TEST(test_waiting_commits_share_a_sync),
        STORAGE_IO_TEST(test_group_that_fails_is_tried_one_by_one),
        STORAGE_IO_TEST(test_full_queue_is_busy),
        STORAGE_IO_TEST(test_refused_commit_has_its_own_error),
        STORAGE_IO_TEST(test_flush_is_told_before_it_is_completed),
        STORAGE_IO_TEST(test_failed_sync_is_final),
        STORAGE_IO_TEST(test_arena_limit_is_an_error_of_the_request),
        STORAGE_IO_TEST(test_checkpoint_by_journal_growth),
        STORAGE_IO_TEST(test_journal_that_seems_to_shrink),
        STORAGE_IO_TEST(test_stop_finishes),
        STORAGE_IO_TEST(test_many_threads),
        cmocka_unit_test(test_on_disk),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
