/*
 * Starting a node, in the order in which things can go wrong: keys, certificates, store, then the
 * reactor. Whatever keeps it from serving is one line on standard error and an exit status; nothing
 * is repaired silently, nothing damaged is taken for empty.
 */
#include "runtime/server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "base/exit_status.h"
#include "crypto/rng_kernel.h"
#include "crypto/storage_key.h"
#include "runtime/keyfile.h"
#include "runtime/reactor.h"
#include "store/store_wt.h"

enum {
    WHY_BYTES = 2048,
    SECRET_SLOTS_FIXED = 256 + BUCKETS_MAX,
    STORAGE_QUEUE_MAX = 1 << 17,
    CHECKPOINT_LOG_BYTES = 128 * 1024 * 1024,
};

/* Everything that a running node holds, in the order of making; closed in reverse. */
struct server {
    const struct config *config;
    struct log_sink log;
    char why[WHY_BYTES];
    struct secret_arena *secrets;
    struct secret share_wrap_key;
    struct secret share_file_key; /* the file of share keys is sealed under it */
    struct master_key master;
    bool has_master, master_incorrect;
    struct share_keyring ring;
    struct secret bucket_file_key; /* the file of bucket keys is sealed under it */
    struct bucket_keys buckets;
    struct tls_context *api, *link_server, *link_client;
    struct store *store;
    struct node_row row;
    struct peer_row peers[NODES_MAX];
    struct storage_io *storage;
    struct reactor *reactor;
};

static const struct cluster_node *
self_of(const struct server *s)
{
    return &s->config->cluster.nodes[s->config->node.self];
}

/* ---- keys ---- */

static enum vault_err
make_secrets(struct server *s)
{
    size_t slots =
        SECRET_SLOTS_FIXED + s->config->node.requests_max * s->config->cluster.share_count;
    enum vault_err err = secret_arena_new(slots, &s->secrets);
    if (err != OK)
        snprintf(s->why, sizeof(s->why),
                 "%zu KiB of memory for keys cannot be locked: raise the limit (ulimit -l, "
                 "LimitMEMLOCK=)",
                 slots * SECRET_BYTES_MAX / 1024 + 64);
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
load_share_keys(struct server *s)
{
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    size_t ad_size = share_keys_ad(s->config->cluster.id, self_of(s)->name, ad);
    share_keyring_init(&s->ring, s->secrets);
    return share_keys_load(s->config->node.share_keys, &s->ring, s->share_file_key.data,
                           bytes_of(ad, ad_size), s->why, sizeof(s->why));
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
 * A new node's file is made at its first start. One that is lost later is made anew, too: the own
 * shares that lay under its keys count as missing from then on, and are got back like others that
 * are missing. Generations go on from the clock, so that none of before is met again.
 */
static enum vault_err
make_bucket_keys(struct server *s)
{
    struct rng rng = rng_kernel();
    struct birth birth;
    enum vault_err err = birth_read(s->config->node.birth, &birth, s->why, sizeof(s->why));
    if (err != OK)
        return err;
    if (birth.used)
        log_event(&s->log, LOG_ERROR, "server", "bucket_keys_lost",
                  log_text("why", "bucket.keys is not there: a new one is made, and this node's "
                                  "shares of before count as missing"));
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
    if (err == ERR_NOT_FOUND) {
        s->why[0] = '\0';
        err = make_bucket_keys(s);
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
    if (err == OK)
        err = derive(s, storage_key, "bucket-keys", &s->bucket_file_key);
    if (err == OK)
        err = load_share_keys(s);
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
    return err;
}

/* ---- store ---- */

static void
on_fatal(void *context, const char *what)
{
    const struct server *s = context;
    log_event(&s->log, LOG_ERROR, "store", "fatal", log_text("what", what));
}

static enum vault_err
open_store(struct server *s, const uint8_t storage_key[static KEY_BYTES])
{
    const struct node_config *node = &s->config->node;
    struct store_wt_options options = {.directory = node->data,
                                       .cache_bytes = node->cache_bytes,
                                       .disk_free_min_bytes = node->disk_free_min_bytes,
                                       .on_fatal = on_fatal,
                                       .context = s};
    bool created;
    enum vault_err err =
        storage_key_derive(storage_key, bytes_of(s->config->cluster.id, CLUSTER_ID_BYTES),
                           bytes_of_text(self_of(s)->name), "tables", options.key);
    if (err == OK)
        err = store_wt_open(&options, &s->store, &created, s->why, sizeof(s->why));
    bytes_wipe(options.key, sizeof(options.key));
    return err;
}

static enum vault_err
read_peer_rows(struct server *s, struct store_reader *reader, struct arena *arena)
{
    for (unsigned i = 0; i < s->config->cluster.node_count; i++) {
        char name[16];
        struct row_key key;
        struct bytes value;
        snprintf(name, sizeof(name), "peer/%u", i);
        row_key_meta(name, &key);
        enum vault_err err = s->store->ops->get(reader, row_key_bytes(&key), arena, &value);
        if (err == ERR_NOT_FOUND)
            continue;
        if (err == OK)
            err = peer_row_decode(value, &s->peers[i]);
        if (err != OK)
            return err;
    }
    return OK;
}

/* The node's durable facts; ERR_NOT_FOUND in a store that has never been used. */
static enum vault_err
read_facts(struct server *s)
{
    struct store_reader *reader;
    struct arena arena;
    struct row_key key;
    struct bytes value;
    enum vault_err err = s->store->ops->reader_new(s->store, &reader);
    if (err != OK)
        return err;
    arena_init(&arena, 1024 * 1024);
    row_key_meta("node", &key);
    err = s->store->ops->get(reader, row_key_bytes(&key), &arena, &value);
    if (err == OK)
        err = node_row_decode(value, &s->row);
    if (err == OK)
        err = read_peer_rows(s, reader, &arena);
    s->store->ops->reader_free(reader);
    arena_close(&arena);
    return err;
}

static enum vault_err
write_first_facts(struct server *s, const struct birth *birth)
{
    struct row_key key;
    struct buf value = {0};
    s->row = (struct node_row){.incarnation = 1};
    memcpy(s->row.store_id, birth->store_id, sizeof(s->row.store_id));
    row_key_meta("node", &key);
    enum vault_err err = node_row_encode(&s->row, &value);
    struct store_change change = {STORE_PUT, row_key_bytes(&key), buf_bytes(&value)};
    if (err == OK)
        err = s->store->ops->commit(s->store, &change, 1);
    if (err == OK)
        err = s->store->ops->sync(s->store);
    buf_close(&value);
    return err;
}

/*
 * The birth record tells a new store from a lost one: an empty store under a record that has been
 * used held something once, and a node that has forgotten its promises must not vote.
 */
static enum vault_err
check_birth(struct server *s)
{
    struct birth birth;
    enum vault_err err = birth_read(s->config->node.birth, &birth, s->why, sizeof(s->why));
    if (err != OK)
        return err;
    enum vault_err facts = read_facts(s);
    if (facts != OK && facts != ERR_NOT_FOUND) {
        snprintf(s->why, sizeof(s->why), "the store in %s does not verify", s->config->node.data);
        return facts;
    }
    if (facts == OK && memcmp(s->row.store_id, birth.store_id, sizeof(birth.store_id)) != 0) {
        snprintf(s->why, sizeof(s->why), "the store in %s belongs to another node or cluster",
                 s->config->node.data);
        return ERR_CONFIG;
    }
    if (facts == ERR_NOT_FOUND && birth.used) {
        snprintf(
            s->why, sizeof(s->why),
            "the store in %s is empty, but this node has had one: it was lost, and a node that has "
            "forgotten its votes must not serve",
            s->config->node.data);
        return ERR_CONFIG;
    }
    if (facts == ERR_NOT_FOUND)
        err = write_first_facts(s, &birth);
    if (err == OK && !birth.used) {
        birth.used = true;
        err = birth_write(s->config->node.birth, &birth, s->why, sizeof(s->why));
    }
    return err;
}

static enum vault_err
start_storage(struct server *s)
{
    struct storage_io_options options = {.store = s->store,
                                         .queue_max = STORAGE_QUEUE_MAX,
                                         .checkpoint_log_bytes = CHECKPOINT_LOG_BYTES,
                                         .checkpoint = store_wt_checkpoint,
                                         .log_bytes = store_wt_log_bytes};
    return storage_io_start(&options, &s->storage);
}

/* ---- the whole ---- */

static enum vault_err
start_reactor(struct server *s)
{
    struct reactor_options options = {.config = s->config,
                                      .log = &s->log,
                                      .store = s->store,
                                      .storage = s->storage,
                                      .secrets = s->secrets,
                                      .ring = &s->ring,
                                      .share_wrap_key = &s->share_wrap_key,
                                      .master = s->has_master ? &s->master : NULL,
                                      .master_incorrect = s->master_incorrect,
                                      .row = s->row,
                                      .api = s->api,
                                      .link_server = s->link_server,
                                      .link_client = s->link_client,
                                      .rng = rng_kernel(),
                                      .save_context = s,
                                      .save_share_keys = save_share_keys,
                                      .buckets = &s->buckets,
                                      .save_bucket_keys = save_bucket_keys};
    memcpy(options.peers, s->peers, sizeof(options.peers));
    return reactor_new(&options, &s->reactor, s->why, sizeof(s->why));
}

static enum vault_err
start(struct server *s)
{
    uint8_t storage_key[KEY_BYTES];
    enum vault_err err = make_secrets(s);
    if (err == OK)
        err = load_certificates(s);
    if (err == OK)
        err = load_keys(s, storage_key);
    if (err == OK)
        err = open_store(s, storage_key);
    bytes_wipe(storage_key, sizeof(storage_key));
    if (err == OK)
        err = load_bucket_keys(s); /* only who has the store open may write the file */
    if (err == OK)
        err = check_birth(s);
    if (err == OK)
        err = start_storage(s);
    if (err == OK)
        err = start_reactor(s);
    return err;
}

static void
close_all(struct server *s)
{
    reactor_free(s->reactor);
    if (s->storage)
        storage_io_stop(s->storage);
    if (s->store)
        s->store->ops->close(s->store);
    tls_context_free(s->link_client);
    tls_context_free(s->link_server);
    tls_context_free(s->api);
    if (s->secrets) {
        secret_arena_open(s->secrets);
        share_keyring_close(&s->ring);
        secret_free(s->secrets, &s->master.key);
        secret_free(s->secrets, &s->share_file_key);
        secret_free(s->secrets, &s->bucket_file_key);
        bucket_keys_close(&s->buckets);
        secret_free(s->secrets, &s->share_wrap_key);
        secret_arena_close(s->secrets);
        secret_arena_free(s->secrets);
    }
}

static int
exit_status_of(enum vault_err err)
{
    if (err == OK)
        return EXIT_OK;
    return err == ERR_CONFIG || err == ERR_CORRUPT || err == ERR_NOT_FOUND ? EXIT_CONFIGURATION
                                                                           : EXIT_FAILED;
}

static void
raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int
server_run(const struct config *config)
{
    struct server s = {.config = config};
    log_sink_stderr_init(&s.log, self_of(&s)->name, config->node.log_level,
                         config->node.log_format);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    api_global_init();
    enum vault_err err = tls_global_init();
    if (err == OK)
        err = start(&s);
    if (err != OK) {
        fprintf(stderr, "ostraka: node %s does not start: %s\n", self_of(&s)->name,
                s.why[0] ? s.why : vault_err_text(err));
    } else {
        log_event(&s.log, LOG_INFO, "server", "started", log_u64("api_port", self_of(&s)->api_port),
                  log_u64("boot", s.row.boot + 1));
        err = reactor_run(s.reactor);
        log_event(&s.log, err == OK ? LOG_INFO : LOG_ERROR, "server", "stopped",
                  log_err("outcome", err));
    }
    close_all(&s);
    return exit_status_of(err);
}
