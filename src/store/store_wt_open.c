/*
 * Opening: look at the directory, let the engine recover its journal, verify the table before any
 * cursor reads it (reading a damaged block makes the engine panic, verifying does not), then load
 * the sequence.
 *
 * Nothing is ever repaired here. A damaged database is a fact that the node must know, since its
 * votes may be among what is lost; the engine's own salvage, and its way of cutting a damaged
 * journal short without an error, would hide it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wiredtiger_ext.h>

#include "crypto/rng_kernel.h"
#include "store/store_wt_internal.h"

enum { CONFIG_BYTES_MAX = 1024, CACHE_BYTES_MIN = 1024 * 1024 };

/* Where an open stands, and what it says when it fails. */
struct opening {
    struct store_wt *store;
    bool key_proven;
    char *why;
    size_t why_size;
};

void
store_wt_fatal(struct store_wt *store, const char *what)
{
    if (store->on_fatal != NULL)
        store->on_fatal(store->context, what);
    else
        (void)dprintf(STDERR_FILENO, "ostraka: storage failed: %s\n", what);
    _exit(STORE_WT_EXIT);
}

static struct store_wt *
store_of_events(WT_EVENT_HANDLER *events)
{
    return (struct store_wt *)((char *)events - offsetof(struct store_wt, events));
}

/* The engine's texts are not passed on: some quote keys of rows. */
static int
on_error(WT_EVENT_HANDLER *events, WT_SESSION *session, int error, const char *message)
{
    struct store_wt *s = store_of_events(events);

    (void)session;
    (void)message;
    int none = 0;
    if (error > 0)
        (void)atomic_compare_exchange_strong(&s->first_errno, &none, error);
    if (error != WT_PANIC)
        return 0;
    if (atomic_load(&s->running))
        store_wt_fatal(s, "the storage engine found damage or could not write, and stopped");
    atomic_store(&s->panicked, true);
    return 0;
}

/*
 * Recovery that meets a damaged journal record says so in a message, cuts the journal there, and
 * goes on without an error. WT_PANIC is the one return value that makes it stop before it cuts
 * anything, so that the next open finds the same damage. A torn end was mended before.
 */
static int
on_message(WT_EVENT_HANDLER *events, WT_SESSION *session, const char *message)
{
    struct store_wt *s = store_of_events(events);

    (void)session;
    if (strstr(message, "corrupt") == NULL && strstr(message, "truncated") == NULL &&
        strstr(message, "salvage") == NULL)
        return 0;
    if (atomic_load(&s->running))
        store_wt_fatal(s, "the storage engine cut its journal");
    atomic_store(&s->journal_cut, true);
    return WT_PANIC;
}

static enum vault_err
fail(const struct opening *o, enum vault_err err, const char *why)
{
    (void)snprintf(o->why, o->why_size, "%s", why);
    return err;
}

/*
 * What an error of the system means to the operator: nothing is known of the files then. OK: the
 * error is none of the system's.
 */
static enum vault_err
fail_system(const struct opening *o, int number)
{
    switch (number) {
    case EBUSY: return fail(o, ERR_IO, "another process has the data directory open");
    case ENOMEM: return fail(o, ERR_NOMEM, "not enough memory to open the database");
    case EDQUOT:
    case ENOSPC: return fail(o, ERR_DISK_FULL, "the disk is too full to open the database");
    case EACCES:
    case EPERM:
    case EROFS: return fail(o, ERR_IO, "no permission to read and write the data directory");
    case EIO: return fail(o, ERR_IO, "the disk gave an error while the database was opened");
    case EMFILE:
    case ENFILE: return fail(o, ERR_IO, "too many open files to open the database");
    default: return OK;
    }
}

/*
 * What an error of the engine means to the operator. A panic hides what led to it, so the first
 * error of the system that was told of goes before.
 */
static enum vault_err
fail_engine(const struct opening *o, int ret)
{
    enum vault_err err = fail_system(o, ret);

    if (err == OK)
        err = fail_system(o, atomic_load(&o->store->first_errno));
    if (err != OK)
        return err;
    if (atomic_load(&o->store->journal_cut))
        return fail(o, ERR_CORRUPT, "the storage journal is damaged in the middle");
    if (o->key_proven)
        return fail(o, ERR_CORRUPT, "the database files are damaged");
    if (store_wt_encryptor_failures(o->store->encryptor) > 0)
        return fail(o, ERR_CORRUPT, "wrong storage key, or the database files are damaged");
    return fail(o, ERR_CORRUPT, "the database files are damaged, or the wrong storage key");
}

static enum vault_err
directory_check(const struct opening *o, const struct store_wt_options *options)
{
    struct store_wt_disk *disk = &o->store->disk;
    struct store_wt_files files;

    if (store_wt_disk_init(disk, options->directory, options->disk_free_min_bytes) != OK)
        return fail(o, ERR_IO, "the data directory cannot be made or opened");
    if (store_wt_disk_files(disk, &files) != OK)
        return fail(o, ERR_IO, "the data directory cannot be listed");
    if (files.has_override)
        return fail(
            o, ERR_CONFIG,
            "the data directory holds a WiredTiger configuration file, which does not belong "
            "there");
    /* The engine makes them in this order, and takes what is missing for what was never there. */
    if ((files.has_journal && !files.has_database) || (files.has_table && !files.has_journal))
        return fail(o, ERR_CORRUPT, "files of the database are missing");
    /* What lies in the reserve is for what turns up later. */
    if (atomic_load(&disk->free_bytes) - atomic_load(&disk->held_bytes) < disk->free_min_bytes / 4)
        return fail(o, ERR_DISK_FULL,
                    "the disk is too full to open the database; the file 'ballast' may be removed");
    return OK;
}

static enum vault_err
journal_check(const struct opening *o)
{
    enum vault_err err = store_wt_journal_check(&o->store->disk, &o->store->torn);

    if (err == OK)
        return OK;
    if (err == ERR_CORRUPT)
        return fail(o, err, "the storage journal is damaged in the middle");
    return fail(o, err, "the storage journal cannot be read, or memory for it is missing");
}

int
ostraka_store_wt_init(WT_CONNECTION *connection, WT_CONFIG_ARG *config)
{
    WT_EXTENSION_API *api = connection->get_extension_api(connection);
    WT_CONFIG_ITEM item;

    int ret = api->config_get(api, NULL, config, "store", &item);
    if (ret != 0)
        return ret;
    if (item.type != WT_CONFIG_ITEM_NUM || item.val == 0)
        return EINVAL;
    struct store_wt *s = (struct store_wt *)(uintptr_t)item.val;
    if (s->has_files)
        ret = connection->set_file_system(connection, &s->files, NULL);
    return ret != 0 ? ret : store_wt_encryptor_add(s->encryptor, connection);
}

static enum vault_err
engine_open(const struct opening *o, const struct store_wt_options *options)
{
    struct store_wt *s = o->store;
    char config[CONFIG_BYTES_MAX];
    uint64_t cache =
        options->cache_bytes < CACHE_BYTES_MIN ? CACHE_BYTES_MIN : options->cache_bytes;

    /*
     * The more of the cache may be changed, the more changes of a page share one writing of it.
     * What a full disk has to take is bounded by the trigger: see store_wt_disk.h.
     *
     * mmap=false: a file that someone cuts short must give an error, not a signal. The journal
     * takes no room ahead of what is written: a file of 32 MiB made in the background at some
     * moment, and not asked for here, would take the reserve of a full disk (store_wt_disk.h).
     */
    int length = snprintf(
        config, sizeof(config),
        "create,config_base=false,use_environment=false,mmap=false,cache_size=%" PRIu64
        ",session_max=64,eviction=(threads_min=1,threads_max=2),"
        "eviction_dirty_target=15,eviction_dirty_trigger=20,"
        "log=(enabled=true,archive=true,file_max=32MB,prealloc=false,recover=on),file_extend=(log="
        "0),"
        "transaction_sync=(enabled=false,method=fsync),encryption=(name=" STORE_WT_ENCRYPTOR_NAME
        "),extensions=[local={entry=" STORE_WT_EXTENSION_ENTRY
        ",early_load=true,config=\"store=%" PRIuPTR "\"},%s]",
        cache, (uintptr_t)s, options->extension != NULL ? options->extension : "");
    assert(length > 0);
    assert((size_t)length < sizeof(config));
    int ret = wiredtiger_open(options->directory, &s->events, config, &s->connection);
    if (ret == 0 && !atomic_load(&s->journal_cut))
        return OK;
    return fail_engine(o, ret);
}

/* 0, or WT_NOTFOUND when the table was never made. */
static int
table_find(WT_SESSION *session)
{
    WT_CURSOR *cursor;

    int ret = session->open_cursor(session, "metadata:", NULL, NULL, &cursor);
    if (ret != 0)
        return ret;
    cursor->set_key(cursor, STORE_WT_TABLE);
    ret = cursor->search(cursor);
    (void)cursor->close(cursor);
    return ret;
}

/*
 * Rows are small and are met in no order, so most pages are read and written for one row of theirs:
 * with the engine's pages of 32 KB a read of a row that is not in the cache spends most of its time
 * on decrypting what nobody asked for.
 */
static enum vault_err
table_open(const struct opening *o)
{
    struct store_wt *s = o->store;

    /* Of the session and not of each transaction: the engine would parse it each time. */
    int ret = s->connection->open_session(s->connection, NULL, "isolation=snapshot", &s->session);
    if (ret == 0)
        ret = s->connection->open_session(s->connection, NULL, NULL, &s->sync_session);
    if (ret != 0)
        return fail_engine(o, ret);
    ret = table_find(s->session);
    if (ret == WT_NOTFOUND)
        ret = s->session->create(s->session, STORE_WT_TABLE,
                                 "key_format=u,value_format=u,checksum=on,leaf_page_max=4KB");
    else if (ret == 0)
        ret = s->session->verify(s->session, STORE_WT_TABLE, NULL);
    if (ret == 0)
        ret = store_wt_rows_open(s, s->session, &s->rows);
    return ret == 0 ? OK : fail_engine(o, ret);
}

/*
 * A new table has no sequence row. Making it is the last step of creation, so an interrupted one
 * begins again.
 */
static int
sequence_create(struct store_wt *s)
{
    WT_CURSOR *cursor = s->rows.cursor;
    int ret = cursor->next(cursor);

    (void)cursor->reset(cursor);
    if (ret == 0)
        return WT_ERROR; /* rows without a sequence */
    if (ret != WT_NOTFOUND)
        return ret;
    ret = store_wt_mark_put(&s->rows, &(struct store_mark){0});
    (void)cursor->reset(cursor);
    if (ret == 0)
        ret = s->session->log_flush(s->session, "sync=on");
    if (ret == 0)
        ret = s->session->checkpoint(s->session, NULL);
    return ret;
}

static enum vault_err
sequence_load(const struct opening *o, bool rows_apart, bool *created)
{
    struct store_wt *s = o->store;

    int ret = store_wt_mark_get(&s->rows, &s->mark);
    if (ret == WT_NOTFOUND) {
        s->layout.beside = !rows_apart;
        ret = sequence_create(s);
        *created = ret == 0;
    }
    if (ret == 0)
        ret = store_wt_rows_look_for_strays(&s->rows);
    if (ret != 0)
        return fail_engine(o, ret);
    store_wt_mark_set(s, &s->mark); /* recovery ends with a checkpoint: all of it is durable */
    return OK;
}

static enum vault_err
store_new(const struct store_wt_options *options, struct store_wt **out)
{
    struct store_wt *s = calloc(1, sizeof(*s));

    *out = NULL;
    if (s == NULL)
        return ERR_NOMEM;
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return ERR_NOMEM;
    }
    (void)pthread_mutex_init(&s->mark_lock, NULL); /* fills in memory, no more */
    s->base.ops = &store_wt_ops;
    store_wt_files_init(&s->files);
    s->has_files = options->extension == NULL;
    s->events = (WT_EVENT_HANDLER){.handle_error = on_error, .handle_message = on_message};
    s->on_fatal = options->on_fatal;
    s->context = options->context;
    s->disk.directory_fd = -1;
    *out = s;
    return OK;
}

/*
 * Gives up an open that failed. A connection that has panicked cannot be closed (the call may
 * hang), so it is left as it is, with all that its threads may still touch; the process is expected
 * to end soon.
 */
static void
store_abandon(struct store_wt *s)
{
    if (s->connection != NULL) {
        if (atomic_load(&s->panicked))
            return;
        (void)s->connection->close(s->connection, NULL);
    }
    store_wt_free(s);
}

static enum vault_err
chain_key_take(struct store_wt *s, const uint8_t key[static 32])
{
    enum vault_err err = secret_arena_new(1, &s->secrets);
    struct rng rng = rng_kernel();

    if (err != OK)
        return err;
    secret_arena_open(s->secrets);
    err = secret_copy(s->secrets, bytes_of(key, 32), &s->chain_key);
    return err != OK ? err : rng_fill(&rng, s->opening, sizeof(s->opening));
}

static enum vault_err
open_steps(const struct opening *o, const struct store_wt_options *options, bool *created)
{
    enum vault_err err = directory_check(o, options);

    if (err != OK)
        return err;
    err = store_wt_encryptor_new(options->key,
                                 options->plain_processor ? BLOCK_XCHACHA20 : block_suite_best(),
                                 &o->store->encryptor);
    if (err == OK)
        err = chain_key_take(o->store, options->chain_key);
    if (err != OK)
        return fail(o, err, "no locked memory or randomness for the storage keys");
    if (options->suspect)
        store_wt_disk_drop_cache(&o->store->disk);
    store_wt_retire_rest(
        &o->store->disk); /* and not before the directory is known to be a store's */
    err = journal_check(o);
    if (err == OK)
        err = engine_open(o, options);
    if (err == OK)
        err = table_open(o);
    if (err == OK)
        err = sequence_load(o, options->rows_apart, created);
    if (err != OK)
        return err;
    if (store_wt_disk_protect(&o->store->disk) != OK)
        return fail(o, ERR_IO, "the files of the data directory cannot be protected");
    store_wt_disk_ballast(&o->store->disk);
    store_wt_disk_hold_reserve(&o->store->disk);
    return OK;
}

enum vault_err
store_wt_open(const struct store_wt_options *options, struct store **out, bool *created, char *why,
              size_t why_size)
{
    struct opening o = {.key_proven = options->key_proven, .why = why, .why_size = why_size};

    if (options->journal_cut != NULL)
        *options->journal_cut = false;
    *out = NULL;
    *created = false;
    if (why_size > 0)
        why[0] = '\0';
    enum vault_err err = store_new(options, &o.store);
    if (err != OK)
        return fail(&o, err, "not enough memory to open the database");
    err = open_steps(&o, options, created);
    if (err != OK) {
        *created = false;
        store_abandon(o.store);
        return err;
    }
    if (options->journal_cut != NULL)
        *options->journal_cut = o.store->torn;
    atomic_store(&o.store->running, true);
    *out = &o.store->base;
    return OK;
}
