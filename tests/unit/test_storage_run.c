/* Storage work that is done on the submitter's own thread, and what may pass what. */
#include "storage_io_fixture.h"

#include <sched.h>

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

/* Work that took long, as any may on a busy machine, keeps the next from here for a while. */
static void
run_here(struct storage_io *io, struct storage_request *first)
{
    time_t end = time(NULL) + 20;

    while (!storage_io_run(io, first)) {
        assert_true(time(NULL) < end);
        sched_yield();
    }
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
    run_here(f->io, first);
    assert_int_equal(first->err, OK);
    assert_int_equal(first->next->err, OK);
    storage_request_free(first->next);
    storage_request_free(first);
    assert_row(f->io, "a", "one");
    assert_row(f->io, "b", "two");
    assert_int_equal(atomic_load(&f->store.written_out), 0);

    first = needing(commit_request(3, "a", "three"), STORE_WRITTEN);
    first->next = needing(commit_request(4, "b", NULL), STORE_VISIBLE);
    run_here(f->io, first);
    storage_request_free(first->next);
    storage_request_free(first);
    assert_int_equal(atomic_load(&f->store.written_out), 1);
    assert_row(f->io, "a", "three");

    atomic_store(&f->store.commit_refuses, true);
    first = needing(commit_request(5, "c", "x"), STORE_VISIBLE);
    run_here(f->io, first);
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
    run_here(f->io, first);
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
    run_here(f->io, first);
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
    run_here(f->io, needing(r, STORE_WRITTEN)); /* says nothing of syncs */
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        STORAGE_IO_TEST(test_short_work_is_done_here),
        STORAGE_IO_TEST(test_work_passes_a_sync),
        STORAGE_IO_TEST(test_nothing_passes_a_commit),
        STORAGE_IO_TEST(test_syncs_are_done_here),
        STORAGE_IO_TEST(test_slow_syncs_are_not_waited_for),
        STORAGE_IO_TEST(test_all_kinds_share_a_transaction),
        STORAGE_IO_TEST(test_other_work_is_not),
        STORAGE_IO_TEST(test_list_that_does_not_fit),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
