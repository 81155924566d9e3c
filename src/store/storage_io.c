/*
 * Three threads around one lock: the writer and the reader each take what waits in their queue,
 * work without the lock, and append to the list of completions. The checkpointer sleeps until the
 * writer sees that the journal has grown enough.
 *
 * The writer takes all that waits at once. So the batch grows while the disk is busy, and the cost
 * of the transaction and the flush is shared by whoever came meanwhile; nobody waits for company
 * when the disk is idle.
 */
#include "store/storage_io.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Of one transaction; a request with more has one of its own. */
enum { GROUP_CHANGES_MAX = 256, GROUP_BYTES_MAX = 1 << 20 };

/*
 * On the submitter's thread: so much at a time, and after it took longer than that not before so
 * many times as long, unless all that it waited for was a processor.
 */
enum { RUN_CHANGES_MAX = 128, RUN_BYTES_MAX = 256 * 1024 };
enum { RUN_NS_MAX = 2 * 1000 * 1000, RUN_PAUSE = 20 };
/*
 * With a sync: so many that need it at a time, and what comes with them; not after one that was
 * slow, whoever made it, and less so where there may be other work; and after a slow one here not
 * before so many times as long.
 */
enum { SYNCED_REQUESTS_MAX = 8, SYNCED_PAUSE = 5 };
enum { SYNCED_NS_MAX = 2 * 1000 * 1000, SYNCED_BUSY_NS_MAX = 1000 * 1000 };

struct request_list {
    struct storage_request *first;
    struct storage_request **end; /* where the next one is linked */
    size_t count;
};

struct storage_io {
    struct storage_io_options options; /* set at start, never changed */
    int wake_fd;
    struct store_reader *reader; /* the reader thread's */
    pthread_t writer_thread, reader_thread, checkpoint_thread;
    unsigned threads;                             /* how many of them run, in that order */
    uint64_t run_after_ns, synced_after_ns;       /* the submitter's: not here before that */
    struct store_change group[GROUP_CHANGES_MAX]; /* a transaction being made; see `writing` */
    _Atomic bool broken;                          /* nothing may be written any more */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t writer_cond, reader_cond, checkpoint_cond;
    struct request_list commits, reads, completed;
    size_t in_work; /* taken, and not completed yet */
    bool writing;   /* one thread, whichever it is, commits */
    bool syncing;   /* likewise: it commits, or waits for the disk; another one may commit then */
    bool stopping;
    bool checkpoint_due;
    uint64_t checkpoint_log_bytes; /* of the journal at the last checkpoint */
    uint64_t sync_ns_last;         /* a batch with its sync */
    struct storage_io_stats stats;
};

static void
list_init(struct request_list *list)
{
    list->first = NULL;
    list->end = &list->first;
    list->count = 0;
}

static void
list_append(struct request_list *list, struct storage_request *request)
{
    request->next = NULL;
    *list->end = request;
    list->end = &request->next;
    list->count++;
}

/* Empties the list and gives its first request. */
static struct storage_request *
list_take(struct request_list *list)
{
    struct storage_request *first = list->first;

    list_init(list);
    return first;
}

static void
requests_free(struct storage_request *request)
{
    while (request != NULL) {
        struct storage_request *next = request->next;
        storage_request_free(request);
        request = next;
    }
}

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/*
 * Makes a whole list, whose requests are done, known to the submitter, and lets the lock go. Who
 * has not drained what came before is awake already, or will be.
 */
static void
complete_unlock(struct storage_io *io, struct storage_request *request)
{
    const uint64_t one = 1;
    bool wake = io->completed.first == NULL;

    while (request != NULL) {
        struct storage_request *next = request->next;
        list_append(&io->completed, request);
        io->in_work--;
        request = next;
    }
    pthread_mutex_unlock(&io->lock);
    if (!wake)
        return;
    /* It can fail only when the counter is full, and then the descriptor is readable anyway. */
    ssize_t written = write(io->wake_fd, &one, sizeof(one));
    (void)written;
}

/* Waits for work and takes all of it; NULL when stopped and nothing is left. */
static struct storage_request *
reads_take(struct storage_io *io)
{
    pthread_mutex_lock(&io->lock);
    while (io->reads.first == NULL && !io->stopping)
        pthread_cond_wait(&io->reader_cond, &io->lock);
    io->in_work += io->reads.count;
    struct storage_request *first = list_take(&io->reads);
    pthread_mutex_unlock(&io->lock);
    return first;
}

/* The same; until the lock is taken again, this thread is the one that commits. */
static struct storage_request *
commits_take(struct storage_io *io)
{
    pthread_mutex_lock(&io->lock);
    while (io->commits.first == NULL ? !io->stopping : io->writing || io->syncing)
        pthread_cond_wait(&io->writer_cond, &io->lock);
    io->in_work += io->commits.count;
    struct storage_request *first = list_take(&io->commits);
    io->writing = first != NULL;
    io->syncing = io->writing;
    pthread_mutex_unlock(&io->lock);
    return first;
}

static void
batch_fail(struct storage_request *first, enum vault_err err)
{
    for (struct storage_request *r = first; r != NULL; r = r->next)
        r->err = err;
}

static void
tell_flushed(struct storage_io *io)
{
    struct store_mark durable;

    if (io->options.flushed == NULL)
        return;
    io->options.store->ops->durable(io->options.store, &durable);
    io->options.flushed(io->options.context, &durable);
}

/*
 * Takes the requests from `first` on that fit into one transaction. It is admitted as a whole, so
 * where room is short what may use the room that is kept free is refused beside what may not; then
 * each is tried by itself. *end: the first that is not in it.
 */
static size_t
group_gather(struct storage_io *io, struct storage_request *first, struct storage_request **end)
{
    size_t count = 0, bytes = 0;
    struct storage_request *r;

    for (r = first; r != NULL; r = r->next) {
        if (count + r->change_count > GROUP_CHANGES_MAX)
            break;
        for (size_t i = 0; i < r->change_count; i++)
            bytes += r->changes[i].key.size + r->changes[i].value.size;
        if (bytes > GROUP_BYTES_MAX)
            break;
        memcpy(&io->group[count], r->changes, r->change_count * sizeof(io->group[0]));
        count += r->change_count;
    }
    *end = r;
    return count;
}

/*
 * Commits what waits in few transactions instead of one for each request: each costs its own record
 * in the journal, MAC and meta row. What fails as a group is tried one by one, so that a request
 * fails for its own reasons alone. The requests that are written now.
 */
static uint64_t
group_commit(struct storage_io *io, struct storage_request *first, struct storage_request **end)
{
    struct store *store = io->options.store;
    uint64_t committed = 0;
    size_t count = group_gather(io, first, end);
    bool grouped =
        *end != first && *end != first->next && store->ops->commit(store, io->group, count) == OK;

    if (*end == first) /* alone it is too large for a group */
        *end = first->next;
    for (struct storage_request *r = first; r != *end; r = r->next) {
        r->err = grouped ? OK : store->ops->commit(store, r->changes, r->change_count);
        committed += r->err == OK;
    }
    return committed;
}

/* What all of them need. */
static enum store_need
batch_need(const struct storage_request *first)
{
    enum store_need need = STORE_VISIBLE;

    for (const struct storage_request *r = first; r != NULL; r = r->next) {
        if (r->need < need)
            need = r->need;
    }
    return need;
}

static enum vault_err
flush(struct storage_io *io, enum store_need need)
{
    struct store *store = io->options.store;

    if (need == STORE_VISIBLE)
        return OK;
    if (need == STORE_WRITTEN && store->ops->write_out != NULL)
        return store->ops->write_out(store);
    enum vault_err err = store->ops->sync(store);
    if (err == OK)
        tell_flushed(io);
    return err;
}

/*
 * Commits all and flushes once, as far as is needed. Gives the number of requests that are written
 * now. After a failed flush nobody knows what the disk holds, and nothing may be written any more.
 * While this waits for the disk, another thread may commit.
 */
static uint64_t
batch_write(struct storage_io *io, struct storage_request *first, enum store_need need)
{
    uint64_t committed = 0;
    bool broken = io->broken;
    enum vault_err err = OK;

    if (broken)
        batch_fail(first, ERR_IO);
    for (struct storage_request *r = broken ? NULL : first; r != NULL;)
        committed += group_commit(io, r, &r);
    if (committed > 0 && need != STORE_DURABLE)
        err = flush(io, need);
    pthread_mutex_lock(&io->lock);
    io->writing = false;
    pthread_mutex_unlock(&io->lock);
    if (committed > 0 && need == STORE_DURABLE)
        err = flush(io, need);
    if (err == OK)
        return committed;
    batch_fail(first, err);
    io->broken = true;
    return 0;
}

static void
batch_count(struct storage_io *io, uint64_t committed, enum store_need need, uint64_t ns)
{
    struct storage_io_stats *stats = &io->stats;
    const unsigned flush_last = sizeof(stats->flush_us_log2) / sizeof(stats->flush_us_log2[0]) - 1;
    const unsigned size_last =
        sizeof(stats->batch_size_log2) / sizeof(stats->batch_size_log2[0]) - 1;
    unsigned flush_bucket = 0, size_bucket = 0;

    while (flush_bucket < flush_last && ns / 1000 >= (uint64_t)1 << flush_bucket)
        flush_bucket++;
    while (size_bucket < size_last && committed > (uint64_t)1 << size_bucket)
        size_bucket++;
    stats->commits += committed;
    if (need == STORE_VISIBLE)
        return; /* nothing was flushed */
    stats->batches++;
    stats->flush_ns_total += ns;
    stats->flush_ns_last = ns;
    stats->batch_size_last = committed;
    stats->flush_us_log2[flush_bucket]++;
    stats->batch_size_log2[size_bucket]++;
}

/* Commits the list, and takes the lock. */
static void
batch_run_lock(struct storage_io *io, struct storage_request *first, enum store_need need)
{
    const struct storage_io_options *o = &io->options;
    uint64_t start_ns = now_ns();
    uint64_t committed = batch_write(io, first, need);
    uint64_t ns = now_ns() - start_ns;
    uint64_t log_bytes = o->log_bytes == NULL ? 0 : o->log_bytes(o->store);
    bool tight = o->tight != NULL && o->tight(o->store);
    uint64_t due_bytes = o->checkpoint_log_bytes / (tight ? TIGHT_CHECKPOINTS : 1);

    pthread_mutex_lock(&io->lock);
    if (committed == 0)
        return;
    batch_count(io, committed, need, ns);
    if (need == STORE_DURABLE)
        io->sync_ns_last = ns;
    /* Whoever had more to count may have had the lock first. */
    bool grown = log_bytes > io->checkpoint_log_bytes;
    if (io->threads > 2 && grown && log_bytes - io->checkpoint_log_bytes >= due_bytes) {
        io->checkpoint_due = true;
        io->checkpoint_log_bytes = log_bytes;
        pthread_cond_signal(&io->checkpoint_cond);
    }
}

static void *
writer_run(void *context)
{
    struct storage_io *io = context;
    struct storage_request *first;

    while ((first = commits_take(io)) != NULL) {
        batch_run_lock(io, first, batch_need(first));
        io->syncing = false;
        complete_unlock(io, first);
    }
    return NULL;
}

static enum vault_err
load_run(struct storage_io *io, struct storage_request *r)
{
    struct store *store = io->options.store;

    r->rows = arena_alloc(&r->arena, r->key_count * sizeof(r->rows[0]));
    r->found = arena_alloc(&r->arena, r->key_count * sizeof(r->found[0]));
    if (r->rows == NULL || r->found == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < r->key_count; i++) {
        r->rows[i].key = r->keys[i];
        bool along = r->along_prefix.size > 0 && r->key_count == 1 && store->ops->get_along != NULL;
        enum vault_err err =
            along ? store->ops->get_along(io->reader, r->keys[i], r->along_prefix, &r->arena,
                                          &r->rows[i].value, &r->along)
                  : store->ops->get(io->reader, r->keys[i], &r->arena, &r->rows[i].value);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
        r->found[i] = err == OK;
    }
    r->row_count = r->key_count;
    return OK;
}

static enum vault_err
scan_run(struct storage_io *io, struct storage_request *r)
{
    struct store *store = io->options.store;

    r->rows = arena_alloc(&r->arena, r->limit * sizeof(r->rows[0]));
    if (r->rows == NULL)
        return ERR_NOMEM;
    return store->ops->scan(io->reader, r->prefix, r->after, r->limit, r->with_values, &r->arena,
                            r->rows, &r->row_count, &r->more);
}

static void *
reader_run(void *context)
{
    struct storage_io *io = context;
    struct storage_request *first;

    while ((first = reads_take(io)) != NULL) {
        for (struct storage_request *r = first; r != NULL; r = r->next) {
            assert(r->kind != STORAGE_COMMIT);
            r->row_count = 0;
            r->more = false;
            r->err = r->kind == STORAGE_LOAD ? load_run(io, r) : scan_run(io, r);
        }
        pthread_mutex_lock(&io->lock);
        complete_unlock(io, first);
    }
    return NULL;
}

static void *
checkpoint_run(void *context)
{
    struct storage_io *io = context;

    pthread_mutex_lock(&io->lock);
    while (!io->stopping) {
        if (!io->checkpoint_due) {
            pthread_cond_wait(&io->checkpoint_cond, &io->lock);
            continue;
        }
        io->checkpoint_due = false;
        pthread_mutex_unlock(&io->lock);
        enum vault_err err = io->options.checkpoint(io->options.store);
        pthread_mutex_lock(&io->lock);
        /* One that failed is made up for when the journal has grown by as much again. */
        if (err == OK)
            io->stats.checkpoints++;
    }
    pthread_mutex_unlock(&io->lock);
    return NULL;
}

/* Signals belong to the main thread. */
static enum vault_err
threads_start(struct storage_io *io)
{
    const struct storage_io_options *o = &io->options;
    bool checkpoints = o->checkpoint_log_bytes > 0 && o->checkpoint != NULL && o->log_bytes != NULL;
    sigset_t all, before;

    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return ERR_IO;
    pthread_mutex_lock(&io->lock); /* the threads look at `threads` */
    if (pthread_create(&io->writer_thread, NULL, writer_run, io) == 0)
        io->threads = 1;
    if (io->threads == 1 && pthread_create(&io->reader_thread, NULL, reader_run, io) == 0)
        io->threads = 2;
    if (checkpoints && io->threads == 2 &&
        pthread_create(&io->checkpoint_thread, NULL, checkpoint_run, io) == 0)
        io->threads = 3;
    unsigned started = io->threads;
    pthread_mutex_unlock(&io->lock);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started == (checkpoints ? 3U : 2U) ? OK : ERR_NOMEM;
}

static struct storage_io *
io_new(const struct storage_io_options *options)
{
    struct storage_io *io = calloc(1, sizeof(*io));

    if (io == NULL)
        return NULL;
    io->options = *options;
    list_init(&io->commits);
    list_init(&io->reads);
    list_init(&io->completed);
    if (pthread_mutex_init(&io->lock, NULL) != 0) {
        free(io);
        return NULL;
    }
    /* Without attributes these do nothing but fill in memory. */
    (void)pthread_cond_init(&io->writer_cond, NULL);
    (void)pthread_cond_init(&io->reader_cond, NULL);
    (void)pthread_cond_init(&io->checkpoint_cond, NULL);
    io->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return io;
}

enum vault_err
storage_io_start(const struct storage_io_options *options, struct storage_io **out)
{
    struct storage_io *io = io_new(options);
    enum vault_err err = ERR_IO;

    *out = NULL;
    if (io == NULL)
        return ERR_NOMEM;
    if (io->wake_fd < 0)
        goto fail;
    if (options->log_bytes != NULL)
        io->checkpoint_log_bytes = options->log_bytes(options->store);
    err = options->store->ops->reader_new(options->store, &io->reader);
    if (err != OK)
        goto fail;
    err = threads_start(io);
    if (err != OK)
        goto fail;
    *out = io;
    return OK;
fail:
    storage_io_stop(io);
    return err;
}

int
storage_io_wake_fd(const struct storage_io *io)
{
    return io->wake_fd;
}

struct storage_request *
storage_io_submit_list(struct storage_io *io, struct storage_request *first)
{
    struct request_list refused;
    bool commits = false, reads = false;

    list_init(&refused);
    pthread_mutex_lock(&io->lock);
    assert(!io->stopping);
    while (first != NULL) {
        struct storage_request *next = first->next;
        bool commit = first->kind == STORAGE_COMMIT;
        if (io->commits.count + io->reads.count + io->in_work >= io->options.queue_max) {
            first->err = ERR_BUSY;
            list_append(&refused, first);
        } else {
            list_append(commit ? &io->commits : &io->reads, first);
            commits = commits || commit;
            reads = reads || !commit;
        }
        first = next;
    }
    commits = commits && !io->syncing; /* who is at work looks into its queue before it sleeps */
    pthread_mutex_unlock(&io->lock);
    if (commits)
        pthread_cond_signal(&io->writer_cond);
    if (reads)
        pthread_cond_signal(&io->reader_cond);
    return refused.first;
}

enum vault_err
storage_io_submit(struct storage_io *io, struct storage_request *request)
{
    request->next = NULL;
    return storage_io_submit_list(io, request) == NULL ? OK : ERR_BUSY;
}

/* On a full disk a write may wait for room, and the submitter has other things to do. */
static bool
is_tight(const struct storage_io *io)
{
    return io->options.tight != NULL && io->options.tight(io->options.store);
}

static bool
may_run(const struct storage_io *io, const struct storage_request *first)
{
    size_t count = 0, bytes = 0;

    if (is_tight(io))
        return false;
    for (const struct storage_request *r = first; r != NULL; r = r->next) {
        if (r->kind != STORAGE_COMMIT || r->need == STORE_DURABLE ||
            (r->need == STORE_WRITTEN && io->options.store->ops->write_out == NULL))
            return false;
        count += r->change_count;
        for (size_t i = 0; i < r->change_count; i++)
            bytes += r->changes[i].value.size;
    }
    return count <= RUN_CHANGES_MAX && bytes <= RUN_BYTES_MAX && now_ns() >= io->run_after_ns;
}

/*
 * False: another thread commits, or is to first, or the last sync took longer than that. Else *ns:
 * of this.
 */
static bool
run_here(struct storage_io *io, struct storage_request *first, bool past, uint64_t last_ns_max,
         uint64_t *ns)
{
    pthread_mutex_lock(&io->lock);
    bool next = past || (!io->syncing && io->commits.first == NULL);
    bool may = next && !io->writing && !io->stopping && io->sync_ns_last <= last_ns_max;
    io->writing = io->writing || may;
    io->syncing = io->syncing || (may && !past);
    pthread_mutex_unlock(&io->lock);
    if (!may)
        return false;
    uint64_t start_ns = now_ns();
    batch_run_lock(io, first, batch_need(first));
    io->syncing = io->syncing && past;
    if (io->commits.first != NULL)
        pthread_cond_signal(&io->writer_cond);
    pthread_mutex_unlock(&io->lock);
    *ns = now_ns() - start_ns;
    return true;
}

/* How often this thread has waited for anything but a processor. */
static long
thread_waits(void)
{
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

static bool
run_short(struct storage_io *io, struct storage_request *first, bool past)
{
    uint64_t ns;

    if (!may_run(io, first))
        return false;
    long waits = thread_waits();
    if (!run_here(io, first, past, UINT64_MAX, &ns))
        return false;
    if (ns > RUN_NS_MAX && thread_waits() != waits)
        io->run_after_ns = now_ns() + RUN_PAUSE * ns;
    return true;
}

bool
storage_io_run(struct storage_io *io, struct storage_request *first)
{
    return run_short(io, first, false);
}

bool
storage_io_run_past(struct storage_io *io, struct storage_request *first)
{
    return run_short(io, first, true);
}

static bool
may_run_synced(const struct storage_io *io, const struct storage_request *first)
{
    size_t synced = 0, count = 0, bytes = 0;

    if (is_tight(io))
        return false;
    for (const struct storage_request *r = first; r != NULL; r = r->next) {
        synced += r->need == STORE_DURABLE;
        count += r->change_count;
        if (r->kind != STORAGE_COMMIT || synced > SYNCED_REQUESTS_MAX)
            return false;
        for (size_t i = 0; i < r->change_count; i++)
            bytes += r->changes[i].value.size;
    }
    return count <= RUN_CHANGES_MAX && bytes <= RUN_BYTES_MAX && now_ns() >= io->synced_after_ns;
}

bool
storage_io_run_synced(struct storage_io *io, struct storage_request *first, bool idle)
{
    uint64_t ns;

    if (!may_run_synced(io, first) ||
        !run_here(io, first, false, idle ? SYNCED_NS_MAX : SYNCED_BUSY_NS_MAX, &ns))
        return false;
    if (ns > SYNCED_NS_MAX)
        io->synced_after_ns = now_ns() + SYNCED_PAUSE * ns;
    return true;
}

struct storage_request *
storage_io_drain(struct storage_io *io)
{
    uint64_t count;

    /* Cleared first: what completes after this wakes again. Nothing to read is fine. */
    ssize_t got = read(io->wake_fd, &count, sizeof(count));
    (void)got;
    pthread_mutex_lock(&io->lock);
    struct storage_request *first = list_take(&io->completed);
    pthread_mutex_unlock(&io->lock);
    return first;
}

void
storage_io_stats(struct storage_io *io, struct storage_io_stats *out)
{
    pthread_mutex_lock(&io->lock);
    *out = io->stats;
    out->waiting = io->commits.count + io->reads.count + io->in_work;
    pthread_mutex_unlock(&io->lock);
}

void
storage_io_stop(struct storage_io *io)
{
    if (io == NULL)
        return;
    pthread_mutex_lock(&io->lock);
    io->stopping = true;
    pthread_cond_broadcast(&io->writer_cond);
    pthread_cond_broadcast(&io->reader_cond);
    pthread_cond_broadcast(&io->checkpoint_cond);
    unsigned threads = io->threads;
    pthread_mutex_unlock(&io->lock);
    if (threads > 0)
        pthread_join(io->writer_thread, NULL);
    if (threads > 1)
        pthread_join(io->reader_thread, NULL);
    if (threads > 2)
        pthread_join(io->checkpoint_thread, NULL);
    requests_free(io->completed.first);
    if (io->reader != NULL)
        io->options.store->ops->reader_free(io->reader);
    if (io->wake_fd >= 0)
        close(io->wake_fd);
    pthread_cond_destroy(&io->writer_cond);
    pthread_cond_destroy(&io->reader_cond);
    pthread_cond_destroy(&io->checkpoint_cond);
    pthread_mutex_destroy(&io->lock);
    free(io);
}

struct storage_request *
storage_request_new(enum storage_request_kind kind, size_t arena_limit)
{
    struct storage_request *request = calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->kind = kind;
    arena_init(&request->arena, arena_limit);
    return request;
}

void
storage_request_free(struct storage_request *request)
{
    if (request == NULL)
        return;
    arena_close(&request->arena);
    free(request);
}
