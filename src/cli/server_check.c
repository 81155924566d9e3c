#include "cli/server_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "crypto/storage_key.h"
#include "runtime/keyfile.h"
#include "runtime/tls.h"
#include "store/sequence_file.h"

enum { WHY_BYTES = 512, MIB = 1024 * 1024 };

struct check {
    const struct config *config;
    unsigned errors, warnings;
    bool key_proven; /* something that was written with the storage key says that it is right */
    bool unused;     /* the node has never been started */
};

/* --- what was understood -------------------------------------------------------------------- */

static void
print_setting(const char *name, const char *value)
{
    printf("  %-20s %s\n", name, value);
}

static void
print_number(const char *name, uint64_t value, const char *unit)
{
    printf("  %-20s %" PRIu64 "%s\n", name, value, unit);
}

static void
print_cluster(const struct cluster *cluster)
{
    char id[2 * CLUSTER_ID_BYTES + 1];

    hex_encode(bytes_of(cluster->id, sizeof(cluster->id)), id);
    printf("\nCluster (must be the same on all nodes):\n");
    print_setting("cluster_id", id);
    print_number("shares", cluster->share_count, "");
    print_number("threshold", cluster->threshold, "");
    print_setting("seal", cluster->seal == SEAL_FILE ? "file" : "none");
    printf("\n  %-16s %-32s %-6s %s\n", "NODE", "HOST", "API", "LINKS");
    for (unsigned i = 0; i < cluster->node_count; i++)
        printf("  %-16s %-32s %-6u %u\n", cluster->nodes[i].name, cluster->nodes[i].host,
               (unsigned)cluster->nodes[i].api_port, (unsigned)cluster->nodes[i].link_port);
}

static void
print_node(const struct cluster *cluster, const struct node_config *node)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};

    printf("\nThis node:\n");
    print_setting("name", cluster->nodes[node->self].name);
    print_setting("listens on", node->listen_host);
    print_setting("directory", node->directory);
    print_setting("log_level", levels[node->log_level]);
    print_setting("log_format", node->log_format == LOG_JSON ? "json" : "logfmt");
    print_number("cache_mb", node->cache_bytes / MIB, "");
    print_number("disk_free_min_mb", node->disk_free_min_bytes / MIB, "");
    print_number("requests_max", node->requests_max, "");
    print_number("request_deadline_ms", node->request_deadline_ms, "");
    print_number("share_key_rotation_s", node->share_key_rotation_s, "");
    print_number("shred_interval_ms", node->shred_interval_ms, "");
    print_number("scrub_rows_per_s", node->scrub_rows_per_s, "");
    print_number("address_requests_per_s", node->address_requests_per_s, "");
    print_number("address_connections_per_s", node->address_connections_per_s, "");
    print_number("identity_requests_per_s", node->identity_requests_per_s, "");
    print_number("address_connections_max", node->address_connections_max, "");
    print_number("address_handshakes_max", node->address_handshakes_max, "");
    print_setting("slow_failed_logins", node->slow_failed_logins ? "yes" : "no");
    print_setting("audit_names", node->audit_names_hashed ? "hmac" : "clear");
    print_number("audit_blocks_kept", node->audit_blocks_kept, "");
    print_number("token_sweep_slack_s", node->token_sweep_slack_s, "");
}

/* --- what was found ------------------------------------------------------------------------- */

static void
print_finding(enum output_colour colour, const char *kind, const char *text)
{
    printf("  ");
    output_text(stdout, colour, kind);
    printf("%*s %s\n", (int)(7 - strlen(kind)), "", text);
}

static void
good(const char *text)
{
    print_finding(COLOUR_GREEN, "ok", text);
}

static void
warning(struct check *c, const char *text)
{
    c->warnings++;
    print_finding(COLOUR_YELLOW, "warning", text);
}

static void
error(struct check *c, const char *text)
{
    c->errors++;
    print_finding(COLOUR_RED, "error", text);
}

static void
check_directory(struct check *c)
{
    const char *path = c->config->node.directory;
    char text[CONFIG_PATH_MAX + 128];
    struct stat st;

    if (stat(path, &st) != 0) {
        snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
        error(c, text);
    } else if (!S_ISDIR(st.st_mode)) {
        snprintf(text, sizeof(text), "%s is not a directory", path);
        error(c, text);
    } else if (st.st_mode & 022) {
        snprintf(text, sizeof(text), "%s can be changed by others (mode %04o): run chmod 700 on it",
                 path, (unsigned)(st.st_mode & 07777));
        warning(c, text);
    }
}

static void
check_certificates(struct check *c)
{
    const struct node_config *node = &c->config->node;
    const struct tls_files files = {
        .ca = node->ca, .certificate = node->certificate, .key = node->key};
    struct tls_context *server = NULL, *client = NULL;
    char why[2 * CONFIG_PATH_MAX + WHY_BYTES] = "TLS cannot be started";

    if (tls_global_init() != OK ||
        tls_context_new(TLS_LINK_SERVER, &files, &server, why, sizeof(why)) != OK ||
        tls_context_new(TLS_LINK_CLIENT, &files, &client, why, sizeof(why)) != OK ||
        tls_check_own(server, client, &files, &c->config->cluster, node->self, why, sizeof(why)) !=
            OK)
        error(c, why);
    else
        good("ca.crt, node.crt, node.key: usable, and this node's");
    tls_context_free(client);
    tls_context_free(server);
}

/* A key that is derived from the storage key, as the node does it. */
static enum vault_err
derive(const struct config *config, const uint8_t storage_key[static KEY_BYTES], const char *label,
       uint8_t out[static KEY_BYTES])
{
    return storage_key_derive(storage_key, bytes_of(config->cluster.id, CLUSTER_ID_BYTES),
                              bytes_of_text(config->cluster.nodes[config->node.self].name), label,
                              out);
}

static struct bytes
file_ad(const struct config *config, uint8_t out[static CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX])
{
    const char *name = config->cluster.nodes[config->node.self].name;

    return bytes_of(out, share_keys_ad(config->cluster.id, name, out));
}

static enum vault_err
load_share_keys(const struct config *config, const uint8_t storage_key[static KEY_BYTES],
                struct secret_arena *arena, char *why, size_t why_size)
{
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    struct share_keyring ring;
    uint8_t key[KEY_BYTES];
    enum vault_err err = derive(config, storage_key, "share-keys", key);

    share_keyring_init(&ring, arena);
    if (err == OK)
        err = share_keys_load(config->node.share_keys, &ring, key, file_ad(config, ad), why,
                              why_size);
    share_keyring_close(&ring);
    bytes_wipe(key, sizeof(key));
    return err;
}

static enum vault_err
load_bucket_keys(const struct config *config, const uint8_t storage_key[static KEY_BYTES],
                 struct secret_arena *arena, char *why, size_t why_size)
{
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    struct bucket_keys buckets = {0};
    uint8_t key[KEY_BYTES];
    enum vault_err err = derive(config, storage_key, "bucket-keys", key);

    if (err == OK)
        err = bucket_file_load(config->node.bucket_keys, &buckets, arena, key, file_ad(config, ad),
                               why, why_size);
    if (err == OK)
        bucket_keys_close(&buckets);
    bytes_wipe(key, sizeof(key));
    return err;
}

static enum vault_err
read_sequence(const struct config *config, const uint8_t storage_key[static KEY_BYTES])
{
    struct sequence_record record;
    uint8_t key[KEY_BYTES];
    enum vault_err err = derive(config, storage_key, "sequence-file", key);

    if (err == OK)
        err = sequence_file_read(config->node.sequence, key, &record);
    bytes_wipe(key, sizeof(key));
    return err;
}

/* Whether the birth record says that it is the right one. */
static bool
is_storage_key(const struct config *config, const uint8_t storage_key[static KEY_BYTES],
               const struct birth *birth)
{
    uint8_t check[KEY_BYTES];

    return derive(config, storage_key, "check", check) == OK &&
           secret_equal(bytes_of(check, KEY_BYTES), bytes_of(birth->key_check, KEY_BYTES));
}

/* The key against what was written with it, as the start judges it (store_start.c). */
static void
check_written(struct check *c, const uint8_t key[static KEY_BYTES], struct secret_arena *arena)
{
    char why[WHY_BYTES], ring_why[WHY_BYTES] = "the share keys cannot be opened";
    char text[CONFIG_PATH_MAX + WHY_BYTES];
    struct birth birth;
    enum vault_err birth_err = birth_read(c->config->node.birth, &birth, why, sizeof(why));
    enum vault_err sequence_err = read_sequence(c->config, key);
    enum vault_err ring_err = load_share_keys(c->config, key, arena, ring_why, sizeof(ring_why));
    bool doubted = birth_err == OK || sequence_err == ERR_CORRUPT || ring_err == ERR_CORRUPT;

    c->unused = birth_err == OK && birth.state == BIRTH_UNUSED;
    c->key_proven = (birth_err == OK && is_storage_key(c->config, key, &birth)) ||
                    sequence_err == OK || ring_err == OK;
    if (!c->key_proven && doubted) {
        snprintf(text, sizeof(text),
                 "storage.key is not the key that the files in %s were written with",
                 c->config->node.directory);
        error(c, text);
    } else if (ring_err == OK) {
        good("share.keys: open with the storage key");
    } else if (ring_err == ERR_NOT_FOUND || ring_err == ERR_CORRUPT) {
        warning(c, "share.keys: missing or damaged; the node will make a new one and recover from "
                   "the others");
    } else {
        error(c, ring_why);
    }
}

static void
check_bucket_keys(struct check *c, const uint8_t key[static KEY_BYTES], struct secret_arena *arena)
{
    char why[WHY_BYTES] = "the bucket keys cannot be opened";
    enum vault_err err = load_bucket_keys(c->config, key, arena, why, sizeof(why));

    if (err == OK)
        good("bucket.keys: open with the storage key");
    else if (err == ERR_NOT_FOUND && c->unused)
        good("bucket.keys: not yet there, will be made at the first start");
    else if (err == ERR_NOT_FOUND || (err == ERR_CORRUPT && c->key_proven))
        warning(c, "bucket.keys: missing or damaged; the node will make a new one and recover its "
                   "shares from the others");
    else
        error(c, why);
}

static void
check_storage_key(struct check *c, struct secret_arena *arena)
{
    uint8_t key[KEY_BYTES];
    char why[WHY_BYTES];

    if (keyfile_read(c->config->node.storage_key, "OSTRAKA_STORAGE_KEY", key, why, sizeof(why)) !=
        OK) {
        error(c, why);
        return;
    }
    good("storage.key: usable");
    check_written(c, key, arena);
    check_bucket_keys(c, key, arena);
    bytes_wipe(key, sizeof(key));
}

static void
check_master_key(struct check *c, struct secret_arena *arena)
{
    struct master_key master = {.generation = 1};
    uint8_t key[KEY_BYTES];
    uint8_t value[HASH_BYTES];
    char why[WHY_BYTES];
    enum vault_err err;

    if (c->config->cluster.seal != SEAL_FILE)
        return;
    err = keyfile_read(c->config->node.master_key, "OSTRAKA_MASTER_KEY", key, why, sizeof(why));
    if (err != OK) {
        error(c, why);
        return;
    }
    err = secret_copy(arena, bytes_of(key, sizeof(key)), &master.key);
    bytes_wipe(key, sizeof(key));
    if (err == OK)
        err = master_key_check_value(&master, c->config->cluster.id, value);
    secret_free(arena, &master.key);
    if (err != OK)
        error(c, "the master key cannot be checked");
    else if (!secret_equal(bytes_of(value, sizeof(value)),
                           bytes_of(c->config->cluster.master_key_check, HASH_BYTES)))
        error(c, "master.key is not the key that `check` in cluster.conf belongs to");
    else
        good("master.key: the right one");
}

/* Whether it is of that kind (S_IFREG, S_IFDIR) or not there; else an error. */
static bool
check_kind(struct check *c, const char *path, mode_t kind, const char *name)
{
    char text[CONFIG_PATH_MAX + WHY_BYTES];
    struct stat st;
    /* The store may be elsewhere, by a link; the small files are opened without following one. */
    int failed = kind == S_IFDIR ? stat(path, &st) : lstat(path, &st);

    if (failed && errno == ENOENT)
        return true;
    if (failed)
        snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
    else if ((st.st_mode & S_IFMT) != kind)
        snprintf(text, sizeof(text), "%s is not a %s", path, name);
    else
        return true;
    error(c, text);
    return false;
}

static void
check_store(struct check *c)
{
    struct birth birth;
    char why[WHY_BYTES];
    struct stat st;
    bool there = stat(c->config->node.data, &st) == 0;

    (void)check_kind(c, c->config->node.sequence, S_IFREG, "regular file");
    if (!check_kind(c, c->config->node.data, S_IFDIR, "directory"))
        return;
    enum vault_err err = birth_read(c->config->node.birth, &birth, why, sizeof(why));
    if (err == ERR_NOT_FOUND || err == ERR_MALFORMED)
        warning(c, "birth: missing or damaged; the store tells the same, if it is there");
    else if (err != OK)
        error(c, why);
    else if (birth.state != BIRTH_UNUSED && !there)
        warning(c, "data: the store is gone; the node will take part again once the others have "
                   "restored it");
    else if (there)
        good("data: there");
    else
        good("data: not yet there, will be made at the first start");
}

static void
check_keys(struct check *c)
{
    struct secret_arena *arena = NULL;

    if (secret_arena_new(2 * SHARE_KEYS_MAX + BUCKETS_MAX, &arena) != OK) {
        error(c, "no locked memory for keys: raise the limit of locked memory (ulimit -l)");
        return;
    }
    secret_arena_open(arena);
    check_storage_key(c, arena);
    check_master_key(c, arena);
    secret_arena_close(arena);
    secret_arena_free(arena);
}

int
server_check(const char *path, const struct config *config)
{
    struct check c = {.config = config};

    printf("%s is valid.\n", path);
    print_cluster(&config->cluster);
    print_node(&config->cluster, &config->node);
    printf("\nFiles:\n");
    check_directory(&c);
    check_certificates(&c);
    check_keys(&c);
    check_store(&c);
    if (c.errors > 0)
        printf("\nThe node cannot run like this: %u error%s.\n", c.errors,
               c.errors == 1 ? "" : "s");
    else
        printf("\nThe node can run.\n");
    return c.errors > 0 ? EXIT_CONFIGURATION : EXIT_OK;
}
