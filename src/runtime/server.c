/*
 * Starting a node, in the order in which things can go wrong: keys, certificates, store, then the
 * reactor. Whatever keeps it from serving is one line on standard error and an exit status; nothing
 * is repaired silently, nothing damaged is taken for empty. What was lost and can be had from the
 * others is healed, with one line (store_start.h).
 */
#include "runtime/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "base/exit_status.h"
#include "crypto/rng_kernel.h"
#include "crypto/rng_pool.h"
#include "crypto/storage_key.h"
#include "runtime/https.h"
#include "runtime/keyfile.h"
#include "runtime/node_signing.h"
#include "runtime/reactor.h"
#include "runtime/store_start.h"

enum {
    WHY_BYTES = 2048,
    SECRET_SLOTS_FIXED = 256 + BUCKETS_MAX,
    SHARES_KEPT = 16384, /* 1 MiB of locked memory */
    STORAGE_QUEUE_MAX = 1 << 17,
    CHECKPOINT_LOG_BYTES = 64 * 1024 * 1024, /* about what a start has to replay at most */
    FILES_MIN = HTTPS_FILES_KEPT + 64,       /* for all but clients, and some clients */
};

/* Everything that a running node holds, in the order of making; closed in reverse. */
struct server {
    const struct config *config;
    struct log_sink log;
    char why[WHY_BYTES];
    struct secret_arena *secrets;
    size_t shares_kept; /* slots of `secrets` for shares that were read a moment ago */
    struct secret share_wrap_key;
    struct secret share_file_key; /* the file of share keys is sealed under it */
    struct master_key master;
    bool has_master, master_incorrect;
    struct share_keyring ring;
    struct secret bucket_file_key; /* the file of bucket keys is sealed under it */
    struct bucket_keys buckets;
    struct tls_context *api, *link_server, *link_client;
    struct signing_key signing;
    int directory_fd; /* locked: one process for each node's folder */
    struct store_start found;
    struct storage_io *storage;
    struct rng_pool *rng; /* the reactor's */
    struct reactor *reactor;
};

static const struct cluster_node *
self_of(const struct server *s)
{
    return &s->config->cluster.nodes[s->config->node.self];
}

/*
 * A second process of the same node must not even look at the store: it would take what the first
 * is writing for damage.
 */
static enum vault_err
lock_directory(struct server *s)
{
    const char *directory = s->config->node.directory;
    s->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->directory_fd < 0) {
        snprintf(s->why, sizeof(s->why), "cannot open %s: %s", directory, strerror(errno));
        return errno == ENOENT ? ERR_CONFIG : ERR_IO;
    }
    if (flock(s->directory_fd, LOCK_EX | LOCK_NB) == 0)
        return OK;
    snprintf(s->why, sizeof(s->why), "another process has the node's folder %s open", directory);
    return ERR_IO;
}

/* ---- keys ---- */

/*
 * Shares that were read are kept opened where that costs nothing: where so much memory may be
 * locked, and where an arena is opened by a protection key. Changing the pages of all of them would
 * take longer with each turn of the loop (160 us on one machine) than opening shares again.
 */
static bool
make_secrets_for_kept_shares(struct server *s, size_t slots)
{
    if (secret_arena_new(slots + SHARES_KEPT, &s->secrets) != OK)
        return false;
    if (secret_arena_keep_to_thread(s->secrets)) {
        s->shares_kept = SHARES_KEPT;
        return true;
    }
    secret_arena_free(s->secrets);
    s->secrets = NULL;
    return false;
}

static enum vault_err
make_secrets(struct server *s)
{
    size_t slots =
        SECRET_SLOTS_FIXED + s->config->node.requests_max * s->config->cluster.share_count;
    if (make_secrets_for_kept_shares(s, slots))
        return OK;
    enum vault_err err = secret_arena_new(slots, &s->secrets);
    if (err != OK)
        snprintf(s->why, sizeof(s->why),
                 "%zu KiB of memory for keys cannot be locked: raise the limit (ulimit -l, "
                 "LimitMEMLOCK=)",
                 slots * SECRET_BYTES_MAX / 1024 + 64);
    else
        (void)secret_arena_keep_to_thread(
            s->secrets); /* else it opens to all threads, and slower */
    return err;
}

static enum vault_err
derive(struct server *s, const uint8_t storage_key[static KEY_BYTES], const char *label,
       struct secret *out)
{
    uint8_t key[KEY_BYTES];
    enum vault_err err =
        storage_key_derive(storage_key, bytes_of(s->config->cluster.id, CLUSTER_ID_BYTES),
                           bytes_of_text(self_of(s)->name), label, key);
    if (err == OK)
        err = secret_copy(s->secrets, bytes_of(key, sizeof(key)), out);
    bytes_wipe(key, sizeof(key));
    return err;
}

static enum vault_err
save_share_keys(void *context)
{
    struct server *s = context;
    struct rng rng = rng_kernel();
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    size_t ad_size = share_keys_ad(s->config->cluster.id, self_of(s)->name, ad);
    secret_arena_open(s->secrets);
    enum vault_err err =
        share_keys_save(s->config->node.share_keys, &s->ring, s->share_file_key.data,
                        bytes_of(ad, ad_size), &rng, s->why, sizeof(s->why));
    secret_arena_close(s->secrets);
    if (err == OK)
        store_start_share_key(&s->found);
    return err;
}

static enum vault_err
save_bucket_keys(void *context)
{
    struct server *s = context;
    struct rng rng = rng_kernel();
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    size_t ad_size = share_keys_ad(s->config->cluster.id, self_of(s)->name, ad);
    secret_arena_open(s->secrets);
    enum vault_err err =
        bucket_file_save(s->config->node.bucket_keys, &s->buckets, s->bucket_file_key.data,
                         bytes_of(ad, ad_size), &rng, s->why, sizeof(s->why));
    secret_arena_close(s->secrets);
    if (err != OK)
        log_event(&s->log, LOG_WARN, "server", "bucket_keys_not_saved", log_text("why", s->why));
    return err;
}

/*
 * A new node's file is made at its first start. One that is lost or damaged later is made anew,
 * too: the own shares that lay under its keys are missing from then on, so the node recovers them
 * like one whose store is behind. Generations go on from the clock, so that none of before is met
 * again.
 */
static enum vault_err
make_bucket_keys(struct server *s, bool damaged)
{
    struct rng rng = rng_kernel();
    enum vault_err err = store_start_shares_lost(&s->found);
    if (err != OK)
        return err;
    if (!s->found.is_new)
        log_event(&s->log, LOG_ERROR, "server", "bucket_keys_lost",
                  log_text("reason", damaged ? "bucket.keys is damaged" : "bucket.keys is missing"),
                  log_text("what", "a new one is made, and this node's shares of before are "
                                   "recovered from the others before it votes"));
    err = bucket_keys_init(&s->buckets, s->secrets, BUCKETS_MAX, s->log.wall_ms(s->log.context),
                           &rng);
    return err != OK ? err : save_bucket_keys(s);
}

static enum vault_err
load_bucket_keys(struct server *s)
{
    const char *path = s->config->node.bucket_keys;
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    size_t ad_size = share_keys_ad(s->config->cluster.id, self_of(s)->name, ad);
    enum vault_err err = key_file_clean(path, s->why, sizeof(s->why));
    if (err == OK)
        err = key_file_clean(s->config->node.share_keys, s->why, sizeof(s->why));
    if (err != OK)
        return err;
    secret_arena_open(s->secrets);
    err = bucket_file_load(path, &s->buckets, s->secrets, s->bucket_file_key.data,
                           bytes_of(ad, ad_size), s->why, sizeof(s->why));
    if (err == ERR_NOT_FOUND || (err == ERR_CORRUPT && s->found.key_proven)) {
        s->why[0] = '\0';
        err = make_bucket_keys(s, err == ERR_CORRUPT);
    }
    secret_arena_close(s->secrets);
    return err;
}

/*
 * A missing or wrong master key does not keep the node from starting: it votes and keeps shares,
 * and refuses every request for a value with a clear error, deterministically.
 */
static enum vault_err
load_master_key(struct server *s)
{
    uint8_t key[KEY_BYTES];
    uint8_t check[HASH_BYTES];
    if (s->config->cluster.seal == SEAL_NONE)
        return OK;
    if (keyfile_read(s->config->node.master_key, "OSTRAKA_MASTER_KEY", key, s->why,
                     sizeof(s->why)) != OK) {
        log_event(&s->log, LOG_ERROR, "server", "master_key_unavailable", log_text("why", s->why));
        return OK;
    }
    s->master.generation = 1;
    enum vault_err err = secret_copy(s->secrets, bytes_of(key, sizeof(key)), &s->master.key);
    bytes_wipe(key, sizeof(key));
    if (err == OK)
        err = master_key_check_value(&s->master, s->config->cluster.id, check);
    if (err != OK)
        return err;
    s->has_master = true;
    s->master_incorrect = !secret_equal(bytes_of(check, HASH_BYTES),
                                        bytes_of(s->config->cluster.master_key_check, HASH_BYTES));
    if (s->master_incorrect)
        log_event(&s->log, LOG_ERROR, "server", "master_key_incorrect",
                  log_text("why", "the master key is not the one that cluster.conf names"));
    return OK;
}

static enum vault_err
load_keys(struct server *s, uint8_t storage_key[static KEY_BYTES])
{
    enum vault_err err = keyfile_read(s->config->node.storage_key, "OSTRAKA_STORAGE_KEY",
                                      storage_key, s->why, sizeof(s->why));
    if (err != OK)
        return err;
    secret_arena_open(s->secrets);
    err = derive(s, storage_key, "shares", &s->share_wrap_key);
    if (err == OK)
        err = derive(s, storage_key, "share-keys", &s->share_file_key);
    share_keyring_init(&s->ring, s->secrets);
    if (err == OK)
        err = derive(s, storage_key, "bucket-keys", &s->bucket_file_key);
    if (err == OK)
        err = store_start_keys(&s->found, storage_key);
    if (err == OK)
        err = load_master_key(s);
    secret_arena_close(s->secrets);
    return err;
}

static enum vault_err
load_certificates(struct server *s)
{
    const struct node_config *node = &s->config->node;
    struct tls_files files = {.ca = node->ca, .certificate = node->certificate, .key = node->key};
    enum vault_err err = tls_context_new(TLS_API_SERVER, &files, &s->api, s->why, sizeof(s->why));
    if (err == OK)
        err = tls_context_new(TLS_LINK_SERVER, &files, &s->link_server, s->why, sizeof(s->why));
    if (err == OK)
        err = tls_context_new(TLS_LINK_CLIENT, &files, &s->link_client, s->why, sizeof(s->why));
    if (err == OK)
        err = tls_check_own(s->link_server, s->link_client, &files, &s->config->cluster, node->self,
                            s->why, sizeof(s->why));
    if (err != OK)
        return err;
    secret_arena_open(s->secrets);
    err = node_signing_load(node->key, s->config->cluster.id, self_of(s)->name, s->secrets,
                            &s->signing, s->why, sizeof(s->why));
    secret_arena_close(s->secrets);
    return err;
}

/* ---- store ---- */

static void
on_fatal(void *context, const char *what)
{
    const struct server *s = context;
    store_start_mark_failed(&s->config->node, what);
    log_event(&s->log, LOG_ERROR, "store", "fatal", log_text("what", what));
}

static void
on_flushed(void *context, const struct store_mark *durable)
{
    store_start_flushed(context, durable);
}

static void
on_incarnation(void *context, uint64_t incarnation)
{
    struct server *s = context;
    store_start_recovering(&s->found, incarnation);
}

static enum vault_err
start_storage(struct server *s)
{
    struct storage_io_options options = {.store = s->found.store,
                                         .queue_max = STORAGE_QUEUE_MAX,
                                         .checkpoint_log_bytes = CHECKPOINT_LOG_BYTES,
                                         .checkpoint = store_wt_checkpoint,
                                         .tight = store_wt_is_tight,
                                         .log_bytes = store_wt_log_bytes,
                                         .context = &s->found,
                                         .flushed = on_flushed};
    return storage_io_start(&options, &s->storage);
}

/* ---- the whole ---- */

static enum vault_err
start_reactor(struct server *s)
{
    struct reactor_options options = {.config = s->config,
                                      .log = &s->log,
                                      .store = s->found.store,
                                      .storage = s->storage,
                                      .secrets = s->secrets,
                                      .shares_kept = s->shares_kept,
                                      .ring = &s->ring,
                                      .share_wrap_key = &s->share_wrap_key,
                                      .master = s->has_master ? &s->master : NULL,
                                      .master_incorrect = s->master_incorrect,
                                      .row = s->found.row,
                                      .finding = s->found.finding,
                                      .incarnation_known = s->found.incarnation_known,
                                      .api = s->api,
                                      .link_server = s->link_server,
                                      .link_client = s->link_client,
                                      .rng = rng_pool_rng(s->rng),
                                      .save_context = s,
                                      .save_share_keys = save_share_keys,
                                      .buckets = &s->buckets,
                                      .save_bucket_keys = save_bucket_keys,
                                      .on_incarnation = on_incarnation,
                                      .signing = &s->signing};
    certificate_watch_read(&options.certificates, s->config->node.certificate, s->config->node.ca);
    memcpy(options.peers, s->found.peers, sizeof(options.peers));
    memcpy(options.signers, s->found.signers, sizeof(options.signers));
    return reactor_new(&options, &s->reactor, s->why, sizeof(s->why));
}

static enum vault_err
make_rng(struct server *s)
{
    const struct rng kernel = rng_kernel();
    enum vault_err err = rng_pool_new(&kernel, &s->rng);
    if (err != OK)
        snprintf(s->why, sizeof(s->why),
                 "memory for randomness cannot be locked: raise the limit "
                 "(ulimit -l, LimitMEMLOCK=)");
    return err;
}

static enum vault_err
start(struct server *s)
{
    uint8_t storage_key[KEY_BYTES];
    s->found = (struct store_start){.config = s->config,
                                    .log = &s->log,
                                    .ring = &s->ring,
                                    .on_fatal = on_fatal,
                                    .context = s,
                                    .why = s->why,
                                    .why_size = sizeof(s->why)};
    enum vault_err err = lock_directory(s);
    if (err == OK)
        err = make_secrets(s);
    s->found.ring_arena = s->secrets;
    if (err == OK)
        err = load_certificates(s);
    if (err == OK)
        err = load_keys(s, storage_key);
    if (err == OK)
        err = store_start_open(&s->found, storage_key);
    bytes_wipe(storage_key, sizeof(storage_key));
    if (err == OK)
        err = load_bucket_keys(s); /* only who has the store open may write the file */
    if (err == OK)
        err = start_storage(s);
    if (err == OK)
        err = make_rng(s);
    if (err == OK)
        err = start_reactor(s);
    return err;
}

static void
close_all(struct server *s)
{
    reactor_free(s->reactor);
    rng_pool_free(s->rng);
    if (s->storage)
        storage_io_stop(s->storage);
    if (s->found.store)
        s->found.store->ops->close(s->found.store);
    sequence_file_close(s->found.sequence);
    tls_context_free(s->link_client);
    tls_context_free(s->link_server);
    tls_context_free(s->api);
    if (s->secrets) {
        secret_arena_open(s->secrets);
        share_keyring_close(&s->ring);
        signing_key_close(&s->signing, s->secrets);
        secret_free(s->secrets, &s->master.key);
        secret_free(s->secrets, &s->share_file_key);
        secret_free(s->secrets, &s->bucket_file_key);
        bucket_keys_close(&s->buckets);
        secret_free(s->secrets, &s->share_wrap_key);
        secret_arena_close(s->secrets);
        secret_arena_free(s->secrets);
    }
    if (s->directory_fd >= 0)
        close(s->directory_fd);
}

static int
exit_status_of(enum vault_err err)
{
    if (err == OK)
        return EXIT_OK;
    return err == ERR_CONFIG || err == ERR_CORRUPT || err == ERR_NOT_FOUND ? EXIT_CONFIGURATION
                                                                           : EXIT_FAILED;
}

/*
 * With fewer files than the links and the store may want at the same time, strangers who connect to
 * the links' port can have the store fail to open one, which ends the node.
 */
static enum vault_err
raise_file_limit(struct server *s)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return OK;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= FILES_MIN)
        return OK;
    snprintf(s->why, sizeof(s->why),
             "the process may open %llu files, and needs %d: raise the limit (ulimit -n, "
             "LimitNOFILE=)",
             (unsigned long long)limit.rlim_cur, FILES_MIN);
    return ERR_IO;
}

int
server_run(const struct config *config)
{
    struct server s = {.config = config, .directory_fd = -1};
    log_sink_stderr_init(&s.log, self_of(&s)->name, config->node.log_level,
                         config->node.log_format);
    signal(SIGPIPE, SIG_IGN);
    api_global_init();
    enum vault_err err = raise_file_limit(&s);
    if (err == OK)
        err = tls_global_init();
    if (err == OK)
        err = start(&s);
    if (err != OK) {
        fprintf(stderr, "ostraka: node %s does not start: %s\n", self_of(&s)->name,
                s.why[0] ? s.why : vault_err_text(err));
    } else {
        log_event(&s.log, LOG_INFO, "server", "started", log_u64("api_port", self_of(&s)->api_port),
                  log_u64("boot", s.found.row.boot + 1));
        err = reactor_run(s.reactor);
        log_event(&s.log, err == OK ? LOG_INFO : LOG_ERROR, "server", "stopped",
                  log_err("outcome", err));
    }
    close_all(&s);
    return exit_status_of(err);
}
