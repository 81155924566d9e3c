/*
 * The storage threads, on the store in memory (with faults put in where a disk would have them) and
 * once on WiredTiger.
 */
#include "store_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "store/storage_io.h"

enum { ARENA_BYTES = 1 << 20 };

/*
 * A store that passes everything on to the one in memory, counts, and can be held, or fail, at a
 * sync or commit.
 */
struct faulty {
    struct store base;
    struct store *under;
    pthread_mutex_t gate;      /* locked by the test: commits wait */
    pthread_mutex_t sync_gate; /* likewise: syncs */
    _Atomic unsigned arrived, commits, syncs, checkpoints, written_out;
    _Atomic size_t largest; /* transaction, in changes */
    _Atomic bool sync_fails, sync_is_slow, commit_refuses, refuses_value, tight;
    _Atomic uint64_t log_bytes;
    pthread_mutex_t flush_gate; /* locked by the test: the hook of flushes waits */
    _Atomic uint64_t flushed;
};

static struct faulty *
faulty_of(struct store *store)
{
    return (struct faulty *)store;
}

static enum vault_err
faulty_commit(struct store *store, const struct store_change *changes, size_t count)
{
    struct faulty *f = faulty_of(store);

    atomic_fetch_add(&f->arrived, 1);
    pthread_mutex_lock(&f->gate);
    pthread_mutex_unlock(&f->gate);
    atomic_fetch_add(&f->commits, 1);
    if (count > atomic_load(&f->largest))
        atomic_store(&f->largest, count);
    for (size_t i = 0; i < count; i++) {
        if (atomic_load(&f->commit_refuses) && changes[i].kind == STORE_PUT)
            return ERR_DISK_FULL;
        if (atomic_load(&f->refuses_value) &&
            bytes_equal(changes[i].value, bytes_of_text("refused")))
            return ERR_DISK_FULL;
    }
    atomic_fetch_add(&f->log_bytes, 100);
    return f->under->ops->commit(f->under, changes, count);
}

static enum vault_err
faulty_sync(struct store *store)
{
    const struct timespec slow = {.tv_nsec = 3 * 1000 * 1000};
    struct faulty *f = faulty_of(store);

    atomic_fetch_add(&f->syncs, 1);
    if (atomic_load(&f->sync_is_slow))
        nanosleep(&slow, NULL);
    pthread_mutex_lock(&f->sync_gate);
    pthread_mutex_unlock(&f->sync_gate);
    return atomic_load(&f->sync_fails) ? ERR_IO : f->under->ops->sync(f->under);
}

static enum vault_err
faulty_reader_new(struct store *store, struct store_reader **out)
{
    struct store *under = faulty_of(store)->under;

    return under->ops->reader_new(under, out);
}

static void
faulty_durable(struct store *store, struct store_mark *out)
{
    struct store *under = faulty_of(store)->under;

    under->ops->durable(under, out);
}

/* Where the last flush was told to stand, and how often. */
static void
note_flushed(void *context, const struct store_mark *durable)
{
    struct faulty *f = context;

    pthread_mutex_lock(&f->flush_gate);
    pthread_mutex_unlock(&f->flush_gate);
    atomic_store(&f->flushed, durable->sequence);
}

static enum vault_err
faulty_checkpoint(struct store *store)
{
    atomic_fetch_add(&faulty_of(store)->checkpoints, 1);
    return OK;
}

static bool
faulty_tight(struct store *store)
{
    return atomic_load(&faulty_of(store)->tight);
}

static uint64_t
faulty_log_bytes(struct store *store)
{
    return atomic_load(&faulty_of(store)->log_bytes);
}

struct fixture {
    struct faulty store;
    struct store_ops ops;
    struct storage_io *io;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(store_mem_new(&f->store.under), OK);
    f->ops = *f->store.under->ops;
    f->ops.commit = faulty_commit;
    f->ops.sync = faulty_sync;
    f->ops.reader_new = faulty_reader_new;
    f->ops.durable = faulty_durable;
    f->store.base.ops = &f->ops;
    assert_int_equal(pthread_mutex_init(&f->store.gate, NULL), 0);
    assert_int_equal(pthread_mutex_init(&f->store.sync_gate, NULL), 0);
    assert_int_equal(pthread_mutex_init(&f->store.flush_gate, NULL), 0);
    const struct storage_io_options options = {.store = &f->store.base,
                                               .queue_max = 64,
                                               .checkpoint_log_bytes = 1000,
                                               .checkpoint = faulty_checkpoint,
                                               .tight = faulty_tight,
                                               .log_bytes = faulty_log_bytes,
                                               .context = &f->store,
                                               .flushed = note_flushed};
    assert_int_equal(storage_io_start(&options, &f->io), OK);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    storage_io_stop(f->io);
    f->store.under->ops->close(f->store.under);
    pthread_mutex_destroy(&f->store.gate);
    free(f);
    return 0;
}

static struct bytes
text_in(struct storage_request *r, const char *text)
{
    struct bytes out;

    assert_int_equal(arena_copy(&r->arena, bytes_of_text(text), &out), OK);
    return out;
}

static struct storage_request *
commit_request(uint64_t tag, const char *key, const char *value)
{
    struct storage_request *r = storage_request_new(STORAGE_COMMIT, ARENA_BYTES);

    assert_non_null(r);
    r->tag = tag;
    r->owner = 7;
    r->change_count = 1;
    r->changes = arena_alloc(&r->arena, sizeof(*r->changes));
    assert_non_null(r->changes);
    r->changes[0].kind = value == NULL ? STORE_DELETE : STORE_PUT;
    r->changes[0].key = text_in(r, key);
    r->changes[0].value = text_in(r, value == NULL ? "" : value);
    return r;
}

static struct storage_request *
load_request(uint64_t tag, const char *key_a, const char *key_b)
{
    struct storage_request *r = storage_request_new(STORAGE_LOAD, ARENA_BYTES);

    assert_non_null(r);
    r->tag = tag;
    r->key_count = 2;
    r->keys = arena_alloc(&r->arena, 2 * sizeof(*r->keys));
    assert_non_null(r->keys);
    r->keys[0] = text_in(r, key_a);
    r->keys[1] = text_in(r, key_b);
    return r;
}

static void
submit(struct storage_io *io, struct storage_request *r)
{
    assert_int_equal(storage_io_submit(io, r), OK);
}

/* Waits for `count` completions, oldest first. */
static void
collect(struct storage_io *io, struct storage_request **out, size_t count)
{
    size_t got = 0;

    while (got < count) {
        struct pollfd poll_fd = {.fd = storage_io_wake_fd(io), .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 60000), 1);
        for (struct storage_request *r = storage_io_drain(io), *next; r != NULL; r = next) {
            next = r->next;
            assert_true(got < count);
            out[got++] = r;
        }
    }
}

static void
free_all(struct storage_request **requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        storage_request_free(requests[i]);
}

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
/* What remembers the sequence knows of a flush before anybody is answered; of a failed one never. */
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

static enum vault_err
faulty_write_out(struct store *store)
{
    atomic_fetch_add(&faulty_of(store)->written_out, 1);
    return OK;
}

static struct storage_request *
needing(struct storage_request *r, enum store_need need)
{
    r->next = NULL;
    r->need = need;
    return r;
}

static void
assert_row(struct storage_io *io, const char *key, const char *value)
{
    struct storage_request *done[1];

    submit(io, load_request(99, key, "none"));
    collect(io, done, 1);
    assert_true(done[0]->found[0]);
    assert_true(bytes_equal(done[0]->rows[0].value, bytes_of_text(value)));
    free_all(done, 1);
}

/* What needs no sync is done on the submitter's thread, where nobody else commits. */
static void
test_short_work_is_done_here(void **state)
{
    struct fixture *f = *state;
    struct storage_request *first = needing(commit_request(1, "a", "one"), STORE_VISIBLE);
    struct storage_io_stats stats;

    f->ops.write_out = faulty_write_out;
    first->next = needing(commit_request(2, "b", "two"), STORE_VISIBLE);
    assert_true(storage_io_run(f->io, first));
    assert_int_equal(first->err, OK);
    assert_int_equal(first->next->err, OK);
    storage_request_free(first->next);
    storage_request_free(first);
    assert_row(f->io, "a", "one");
    assert_row(f->io, "b", "two");
    assert_int_equal(atomic_load(&f->store.written_out), 0);

    first = needing(commit_request(3, "a", "three"), STORE_WRITTEN);
    first->next = needing(commit_request(4, "b", NULL), STORE_VISIBLE);
    assert_true(storage_io_run(f->io, first));
    storage_request_free(first->next);
    storage_request_free(first);
    assert_int_equal(atomic_load(&f->store.written_out), 1);
    assert_row(f->io, "a", "three");

    atomic_store(&f->store.commit_refuses, true);
    first = needing(commit_request(5, "c", "x"), STORE_VISIBLE);
    assert_true(storage_io_run(f->io, first));
    assert_int_equal(first->err, ERR_DISK_FULL);
    storage_request_free(first);
    storage_io_stats(f->io, &stats);
    assert_int_equal(stats.commits, 4);
    assert_int_equal(stats.batches, 1); /* flushes of either kind */
    assert_int_equal(atomic_load(&f->store.syncs), 0);
}

/* Records of the audit trail and deletions share a transaction with all else. */
static void
test_all_kinds_share_a_transaction(void **state)
{
    struct fixture *f = *state;
    struct storage_request *first = needing(commit_request(1, "p", "head"), STORE_VISIBLE), *next;

    first->next = needing(commit_request(2, "a0000001", "block"), STORE_VISIBLE);
    first->next->next = needing(commit_request(3, "e", NULL), STORE_VISIBLE);
    assert_true(storage_io_run(f->io, first));
    assert_int_equal(atomic_load(&f->store.commits), 1);
    assert_int_equal(atomic_load(&f->store.largest), 3);
    for (; first != NULL; first = next) {
        next = first->next;
        assert_int_equal(first->err, OK);
        storage_request_free(first);
    }
    /* The one may be written where the other finds no room. */
    first = needing(commit_request(4, "p", "refused"), STORE_VISIBLE);
    first->next = needing(commit_request(5, "a0000002", "block"), STORE_VISIBLE);
    atomic_store(&f->store.refuses_value, true);
    assert_true(storage_io_run(f->io, first));
    assert_int_equal(first->err, ERR_DISK_FULL);
    assert_int_equal(first->next->err, OK);
    storage_request_free(first->next);
    storage_request_free(first);
}

static void
test_other_work_is_not(void **state)
{
    enum { MANY = 200 };
    struct fixture *f = *state;
    struct storage_request *r = needing(commit_request(1, "a", "one"), STORE_DURABLE), *done[4];

    assert_false(storage_io_run(f->io, r));
    r->need = STORE_WRITTEN; /* which this store cannot do but by a sync */
    assert_false(storage_io_run(f->io, r));

    pthread_mutex_lock(&f->store.gate);
    r->need = STORE_DURABLE;
    submit(f->io, r);
    while (atomic_load(&f->store.arrived) == 0)
        sched_yield();
    r = needing(commit_request(2, "a", "two"), STORE_VISIBLE);
    assert_false(storage_io_run(f->io, r)); /* the writer is at work */
    submit(f->io, r);
    pthread_mutex_unlock(&f->store.gate);
    collect(f->io, done, 2);
    assert_int_equal(done[1]->tag, 2);
    free_all(done, 2);
    assert_row(f->io, "a", "two");

    struct storage_request *first = NULL;
    for (unsigned i = 0; i < MANY; i++) {
        r = needing(commit_request(i, "a", "x"), STORE_VISIBLE);
        r->next = first;
        first = r;
    }
    assert_false(storage_io_run(f->io, first));
    while (first != NULL) {
        r = first->next;
        storage_request_free(first);
        first = r;
    }
}

/* While the writer waits for the disk, what may overtake does, and nothing else. */
static void
test_work_passes_a_sync(void **state)
{
    struct fixture *f = *state;
    struct storage_request *passing = needing(commit_request(1, "a", "first"), STORE_WRITTEN);
    struct storage_request *done[3];

    f->ops.write_out = faulty_write_out;
    pthread_mutex_lock(&f->store.sync_gate);
    submit(f->io, commit_request(2, "b", "synced"));
    while (atomic_load(&f->store.syncs) == 0)
        sched_yield();
    submit(f->io, commit_request(3, "a", "last"));
    assert_false(storage_io_run(f->io, passing));
    assert_false(storage_io_run_synced(f->io, passing, true)); /* one sync at a time */
    assert_true(storage_io_run_past(f->io, passing));
    assert_int_equal(passing->err, OK);
    assert_int_equal(atomic_load(&f->store.written_out), 1);
    assert_row(f->io, "a", "first");
    passing->need = STORE_DURABLE;
    assert_false(storage_io_run_past(f->io, passing));
    assert_int_equal(atomic_load(&f->store.syncs), 1);
    pthread_mutex_unlock(&f->store.sync_gate);
    collect(f->io, done, 2);
    assert_int_equal(done[0]->tag, 2);
    assert_int_equal(done[1]->tag, 3);
    free_all(done, 2);
    assert_row(f->io, "a", "last"); /* what was overtaken is not lost, nor put off for ever */
    storage_request_free(passing);
}

static void
test_nothing_passes_a_commit(void **state)
{
    struct fixture *f = *state;
    struct storage_request *r = needing(commit_request(1, "a", "one"), STORE_VISIBLE), *done[1];

    pthread_mutex_lock(&f->store.gate);
    submit(f->io, commit_request(2, "b", "two"));
    while (atomic_load(&f->store.arrived) == 0)
        sched_yield();
    assert_false(storage_io_run_past(f->io, r));
    pthread_mutex_unlock(&f->store.gate);
    collect(f->io, done, 1);
    free_all(done, 1);
    storage_request_free(r);
}

/* A sync too, but only for a few; others may come with them. */
static void
test_syncs_are_done_here(void **state)
{
    enum { FEW = 8 };
    struct fixture *f = *state;
    struct storage_request *first = needing(commit_request(9, "a", "one"), STORE_VISIBLE), *next;

    first->next = needing(commit_request(8, "b", "two"), STORE_WRITTEN);
    for (unsigned i = 0; i < FEW; i++) {
        next = needing(commit_request(i, "c", "three"), STORE_DURABLE);
        next->next = first;
        first = next;
    }
    assert_true(storage_io_run_synced(f->io, first, true));
    for (next = first; next != NULL; next = next->next)
        assert_int_equal(next->err, OK);
    assert_int_equal(atomic_load(&f->store.syncs), 1);
    assert_row(f->io, "b", "two");
    assert_row(f->io, "c", "three");

    atomic_store(&f->store.tight, true); /* it might wait for room */
    assert_false(storage_io_run_synced(f->io, first, true));
    atomic_store(&f->store.tight, false);
    next = needing(commit_request(4, "d", "x"), STORE_DURABLE);
    next->next = first;
    first = next;
    assert_false(storage_io_run_synced(f->io, first, true));
    assert_int_equal(atomic_load(&f->store.syncs), 1);
    for (; first != NULL; first = next) {
        next = first->next;
        storage_request_free(first);
    }
}

/* Slow syncs are the writer's; it finds out when they are quick again. */
static void
test_slow_syncs_are_not_waited_for(void **state)
{
    struct fixture *f = *state;
    struct storage_request *r = needing(commit_request(1, "a", "one"), STORE_DURABLE), *done[1];
    time_t end = time(NULL) + 20;

    assert_true(storage_io_run_synced(f->io, r, false));
    assert_int_equal(r->err, OK);
    submit(f->io, r);
    collect(f->io, done, 1);
    atomic_store(&f->store.sync_is_slow, true);
    submit(f->io, r);
    collect(f->io, done, 1);
    assert_false(storage_io_run_synced(f->io, r, false));
    assert_false(storage_io_run_synced(f->io, r, true));
    f->ops.write_out = faulty_write_out;
    assert_true(storage_io_run(f->io, needing(r, STORE_WRITTEN))); /* says nothing of syncs */
    assert_false(storage_io_run_synced(f->io, needing(r, STORE_DURABLE), false));
    assert_int_equal(atomic_load(&f->store.syncs), 3);

    atomic_store(&f->store.sync_is_slow, false);
    do {
        assert_true(time(NULL) < end);
        submit(f->io, r);
        collect(f->io, done, 1);
    } while (!storage_io_run_synced(f->io, r, false));
    storage_request_free(r);
}

/* Of a list, what there is no room for comes back. */
static void
test_list_that_does_not_fit(void **state)
{
    enum { COUNT = 70, ROOM = 64 };
    struct fixture *f = *state;
    struct storage_request *first = NULL, *done[ROOM];
    unsigned refused = 0;

    for (unsigned i = COUNT; i-- > 0;) {
        struct storage_request *r = needing(commit_request(i, "a", "x"), STORE_DURABLE);
        r->next = first;
        first = r;
    }
    first = storage_io_submit_list(f->io, first);
    while (first != NULL) {
        struct storage_request *next = first->next;
        assert_int_equal(first->err, ERR_BUSY);
        assert_int_equal(first->tag, ROOM + refused++);
        storage_request_free(first);
        first = next;
    }
    assert_int_equal(refused, COUNT - ROOM);
    collect(f->io, done, ROOM);
    free_all(done, ROOM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_commit_then_load_then_scan),
        TEST(test_waiting_commits_share_a_sync),
        TEST(test_group_that_fails_is_tried_one_by_one),
        TEST(test_full_queue_is_busy),
        TEST(test_refused_commit_has_its_own_error),
        TEST(test_flush_is_told_before_it_is_completed),
        TEST(test_failed_sync_is_final),
        TEST(test_arena_limit_is_an_error_of_the_request),
        TEST(test_checkpoint_by_journal_growth),
        TEST(test_stop_finishes),
        TEST(test_short_work_is_done_here),
        TEST(test_work_passes_a_sync),
        TEST(test_nothing_passes_a_commit),
        TEST(test_syncs_are_done_here),
        TEST(test_slow_syncs_are_not_waited_for),
        TEST(test_all_kinds_share_a_transaction),
        TEST(test_other_work_is_not),
        TEST(test_list_that_does_not_fit),
        TEST(test_many_threads),
        cmocka_unit_test(test_on_disk),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
