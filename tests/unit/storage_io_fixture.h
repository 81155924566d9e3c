/* The storage threads on the store in memory, with faults put in where a disk would have them. */
#ifndef OSTRAKA_TESTS_STORAGE_IO_FIXTURE_H
#define OSTRAKA_TESTS_STORAGE_IO_FIXTURE_H

#include "store_fixture.h"

#include <poll.h>
#include <pthread.h>
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

static inline struct faulty *
faulty_of(struct store *store)
{
    return (struct faulty *)store;
}

static inline enum vault_err
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

static inline enum vault_err
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

static inline enum vault_err
faulty_reader_new(struct store *store, struct store_reader **out)
{
    struct store *under = faulty_of(store)->under;

    return under->ops->reader_new(under, out);
}

static inline void
faulty_durable(struct store *store, struct store_mark *out)
{
    struct store *under = faulty_of(store)->under;

    under->ops->durable(under, out);
}

/* Where the last flush was told to stand, and how often. */
static inline void
note_flushed(void *context, const struct store_mark *durable)
{
    struct faulty *f = context;

    pthread_mutex_lock(&f->flush_gate);
    pthread_mutex_unlock(&f->flush_gate);
    atomic_store(&f->flushed, durable->sequence);
}

static inline enum vault_err
faulty_checkpoint(struct store *store)
{
    atomic_fetch_add(&faulty_of(store)->checkpoints, 1);
    return OK;
}

static inline bool
faulty_tight(struct store *store)
{
    return atomic_load(&faulty_of(store)->tight);
}

static inline uint64_t
faulty_log_bytes(struct store *store)
{
    return atomic_load(&faulty_of(store)->log_bytes);
}

struct fixture {
    struct faulty store;
    struct store_ops ops;
    struct storage_io *io;
};

static inline int
storage_io_setup(void **state)
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

static inline int
storage_io_teardown(void **state)
{
    struct fixture *f = *state;

    storage_io_stop(f->io);
    f->store.under->ops->close(f->store.under);
    pthread_mutex_destroy(&f->store.gate);
    free(f);
    return 0;
}

static inline struct bytes
text_in(struct storage_request *r, const char *text)
{
    struct bytes out;

    assert_int_equal(arena_copy(&r->arena, bytes_of_text(text), &out), OK);
    return out;
}

static inline struct storage_request *
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

static inline struct storage_request *
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

static inline void
submit(struct storage_io *io, struct storage_request *r)
{
    assert_int_equal(storage_io_submit(io, r), OK);
}

/* Waits for `count` completions, oldest first. */
static inline void
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

static inline void
free_all(struct storage_request **requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        storage_request_free(requests[i]);
}

#define STORAGE_IO_TEST(name)                                                                      \
    cmocka_unit_test_setup_teardown(name, storage_io_setup, storage_io_teardown)

#endif
