#include "runtime/cluster_files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/base64.h"
#include "crypto/storage_key.h"
#include "crypto/vote_keys.h"
#include "runtime/certificates.h"
#include "runtime/keyfile.h"

enum {
    TOKEN_RANDOM_BYTES = 32,
    DIRECTORY_MODE = 0755,
    NODE_DIRECTORY_MODE = 0700,
    PUBLIC_MODE = 0644,
    SECRET_MODE = 0600,
    ARENA_SLOTS = 4,
};

static const char CA_DIRECTORY[] = "ca";
static const char TOKEN_PREFIX[] = "ost_";

/* One cluster being made. Later steps do nothing once `err` is set. */
struct making {
    const char *root; /* the directory that will be renamed */
    struct cluster *cluster;
    const struct rng *rng;
    int64_t now;
    struct certificate_authority *ca;
    struct secret_arena *arena; /* open */
    uint8_t master_key[KEY_BYTES];
    enum vault_err err;
    char *why;
    size_t why_size;
};

static void
fail(struct making *m, enum vault_err err, const char *doing)
{
    if (m->err != OK)
        return;
    m->err = err;
    snprintf(m->why, m->why_size, "cannot %s: %s", doing, vault_err_text(err));
}

static void
random_fill(struct making *m, uint8_t *out, size_t size)
{
    enum vault_err err = rng_fill(m->rng, out, size);

    if (err != OK)
        fail(m, err, "draw random bytes");
}

/* root/folder/file, where folder may be empty. */
static void
path_of(struct making *m, const char *folder, const char *file, char out[static PATH_MAX])
{
    int size = snprintf(out, PATH_MAX, "%s/%s%s%s", m->root, folder, folder[0] ? "/" : "", file);

    if (size >= PATH_MAX)
        fail(m, ERR_IO, "use so long a path");
}

static void
make_directory(struct making *m, const char *name, mode_t mode)
{
    char path[PATH_MAX];

    path_of(m, "", name, path);
    if (m->err != OK)
        return;
    if (mkdir(path, mode) != 0 || chmod(path, mode) != 0) {
        m->err = errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
        snprintf(m->why, m->why_size, "cannot create %s: %s", path, strerror(errno));
    }
}

static void
write_file(struct making *m, const char *folder, const char *file, struct bytes content,
           unsigned mode)
{
    char path[PATH_MAX];

    path_of(m, folder, file, path);
    if (m->err == OK)
        m->err = file_replace(path, content, mode, m->why, m->why_size);
}

/* --- what is the cluster's ------------------------------------------------------------------ */

static void
make_authority(struct making *m)
{
    struct buf certificate = {0};
    struct buf key = {0};
    enum vault_err err = certificate_authority_new(m->cluster->id, m->now, m->rng, &m->ca);

    if (err == OK)
        err = certificate_authority_export(m->ca, &certificate, &key);
    if (err != OK)
        fail(m, err, "make the CA");
    make_directory(m, CA_DIRECTORY, DIRECTORY_MODE);
    write_file(m, CA_DIRECTORY, "ca.crt", buf_bytes(&certificate), PUBLIC_MODE);
    write_file(m, CA_DIRECTORY, "ca.key", buf_bytes(&key), SECRET_MODE);
    buf_close(&key);
    buf_close(&certificate);
}

/* Base64 to its form for URLs without padding, in place and in constant time. */
static void
make_url_safe(struct buf *text)
{
    while (text->size > 0 && text->data[text->size - 1] == '=')
        text->size--;
    for (size_t i = 0; i < text->size; i++) {
        unsigned c = text->data[i];
        unsigned plus = ((c ^ '+') - 1u) >> 31;
        unsigned slash = ((c ^ '/') - 1u) >> 31;

        text->data[i] = (uint8_t)(c + plus * ('-' - '+') + slash * ('_' - '/'));
    }
}

static void
make_token(struct making *m)
{
    uint8_t random[TOKEN_RANDOM_BYTES];
    struct buf encoded = {0};
    struct buf token = {0};
    enum vault_err err;

    random_fill(m, random, sizeof(random));
    err = base64_encode(bytes_of(random, sizeof(random)), &encoded);
    make_url_safe(&encoded);
    if (err == OK)
        err = buf_append_text(&token, TOKEN_PREFIX);
    if (err == OK)
        err = buf_append(&token, buf_bytes(&encoded));
    if (err == OK) {
        hash_bytes(buf_bytes(&token), m->cluster->admin_token_hash);
        err = buf_append_text(&token, "\n");
    }
    if (err != OK)
        fail(m, err, "make the token");
    write_file(m, "", "admin.token", buf_bytes(&token), SECRET_MODE);
    buf_close(&token);
    buf_close(&encoded);
    bytes_wipe(random, sizeof(random));
}

static void
make_master_key(struct making *m)
{
    struct master_key master = {.generation = 1};
    enum vault_err err;

    if (m->cluster->seal != SEAL_FILE)
        return;
    random_fill(m, m->master_key, sizeof(m->master_key));
    err = secret_copy(m->arena, bytes_of(m->master_key, KEY_BYTES), &master.key);
    if (err == OK)
        err = master_key_check_value(&master, m->cluster->id, m->cluster->master_key_check);
    secret_free(m->arena, &master.key);
    if (err != OK)
        fail(m, err, "make the master key");
}

/* --- what is a node's ----------------------------------------------------------------------- */

static void
make_node_certificate(struct making *m, const struct cluster_node *node)
{
    const struct certificate_request request = {
        .node_name = node->name,
        .host = node->host,
        .now = m->now,
    };
    struct buf certificate = {0};
    struct buf key = {0};
    struct buf ca = {0};
    struct buf ca_key = {0};
    enum vault_err err = certificate_issue(m->ca, &request, m->rng, &certificate, &key);

    if (err == OK)
        err = certificate_authority_export(m->ca, &ca, &ca_key);
    buf_close(&ca_key);
    if (err != OK)
        fail(m, err, "make a certificate");
    write_file(m, node->name, "ca.crt", buf_bytes(&ca), PUBLIC_MODE);
    write_file(m, node->name, "node.crt", buf_bytes(&certificate), PUBLIC_MODE);
    write_file(m, node->name, "node.key", buf_bytes(&key), SECRET_MODE);
    buf_close(&ca);
    buf_close(&key);
    buf_close(&certificate);
}

static void
write_key(struct making *m, const char *folder, const char *file,
          const uint8_t key[static KEY_BYTES])
{
    char path[PATH_MAX];

    path_of(m, folder, file, path);
    if (m->err == OK)
        m->err = keyfile_write(path, key, m->why, m->why_size);
}

static void
save_ring(struct making *m, const struct cluster_node *node, const struct share_keyring *ring,
          const uint8_t storage_key[static KEY_BYTES])
{
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    uint8_t key[KEY_BYTES];
    char path[PATH_MAX];
    size_t ad_size = share_keys_ad(m->cluster->id, node->name, ad);
    enum vault_err err = storage_key_derive(storage_key, bytes_of(m->cluster->id, CLUSTER_ID_BYTES),
                                            bytes_of_text(node->name), "share-keys", key);

    if (err != OK)
        fail(m, err, "derive a key");
    path_of(m, node->name, "share.keys", path);
    if (m->err == OK)
        m->err =
            share_keys_save(path, ring, key, bytes_of(ad, ad_size), m->rng, m->why, m->why_size);
    bytes_wipe(key, sizeof(key));
}

/* The storage key, and the first share key under it, whose public half goes into cluster.conf. */
static void
make_node_keys(struct making *m, struct cluster_node *node, struct birth *birth)
{
    uint8_t storage_key[KEY_BYTES], shares_key[KEY_BYTES] = {0};
    struct share_keyring ring;
    enum vault_err err;

    share_keyring_init(&ring, m->arena);
    random_fill(m, storage_key, sizeof(storage_key));
    write_key(m, node->name, "storage.key", storage_key);
    err = storage_key_derive(storage_key, bytes_of(m->cluster->id, CLUSTER_ID_BYTES),
                             bytes_of_text(node->name), "check", birth->key_check);
    if (err == OK)
        err = storage_key_derive(storage_key, bytes_of(m->cluster->id, CLUSTER_ID_BYTES),
                                 bytes_of_text(node->name), "shares", shares_key);
    if (err == OK)
        err = vote_key_public(bytes_of(shares_key, KEY_BYTES), m->cluster->id, node->vote_key);
    if (err == OK)
        err = share_keyring_generate(&ring, m->rng);
    if (err == OK)
        node->first_share_key = *share_keyring_current(&ring);
    else
        fail(m, err, "make a share key");
    if (m->err == OK)
        save_ring(m, node, &ring, storage_key);
    share_keyring_close(&ring);
    bytes_wipe(storage_key, sizeof(storage_key));
    bytes_wipe(shares_key, sizeof(shares_key));
}

static void
make_node(struct making *m, struct cluster_node *node)
{
    struct birth birth = {.state = BIRTH_UNUSED};
    char path[PATH_MAX];

    make_directory(m, node->name, NODE_DIRECTORY_MODE);
    if (m->err == OK)
        make_node_certificate(m, node);
    if (m->err == OK)
        make_node_keys(m, node, &birth);
    random_fill(m, birth.store_id, sizeof(birth.store_id));
    path_of(m, node->name, "birth", path);
    if (m->err == OK)
        m->err = birth_write(path, &birth, m->why, m->why_size);
    if (m->cluster->seal == SEAL_FILE)
        write_key(m, node->name, "master.key", m->master_key);
}

/* --- cluster.conf --------------------------------------------------------------------------- */

static enum vault_err
append_node(const struct cluster_node *node, struct buf *out)
{
    char key[2 * X25519_BYTES + 1], vote_key[2 * X25519_BYTES + 1];

    hex_encode(bytes_of(node->first_share_key.key, X25519_BYTES), key);
    hex_encode(bytes_of(node->vote_key, X25519_BYTES), vote_key);
    return buf_printf(out,
                      "\nnode \"%s\" {\n"
                      "    host = \"%s\"\n"
                      "    api_port = %u\n"
                      "    link_port = %u\n"
                      "    share_key = \"%s\"\n"
                      "    vote_key = \"%s\"\n"
                      "    # listen = \"0.0.0.0\"   # address to bind, when it is not `host`\n"
                      "    # directory = \"%s\"     # where this node's keys and data are\n"
                      "}\n",
                      node->name, node->host, (unsigned)node->api_port, (unsigned)node->link_port,
                      key, vote_key, node->name);
}

static enum vault_err
append_seal(const struct cluster *cluster, struct buf *out)
{
    char check[2 * HASH_BYTES + 1];

    if (cluster->seal != SEAL_FILE)
        return buf_append_text(out, "# No master key: `threshold` nodes together are the way to a "
                                    "value.\nseal {\n    type = \"none\"\n}\n");
    hex_encode(bytes_of(cluster->master_key_check, HASH_BYTES), check);
    return buf_printf(out,
                      "# One master key on all nodes, in master.key; `check` tells the right one.\n"
                      "seal {\n    type = \"file\"\n    check = \"%s\"\n}\n",
                      check);
}

enum vault_err
cluster_conf_write(const struct cluster *cluster, struct buf *out)
{
    char id[2 * CLUSTER_ID_BYTES + 1];
    char token_hash[2 * HASH_BYTES + 1];
    enum vault_err err;

    hex_encode(bytes_of(cluster->id, CLUSTER_ID_BYTES), id);
    hex_encode(bytes_of(cluster->admin_token_hash, HASH_BYTES), token_hash);
    err =
        buf_printf(out,
                   "# cluster.conf of an Ostraka cluster, the same file on all nodes. It holds no "
                   "secrets.\n"
                   "# Check a change with: ostraka server --config cluster.conf --node NAME "
                   "--check\n\n"
                   "cluster_id = \"%s\"\n\n"
                   "# Each secret is split into `shares`, any `threshold` of which restore it.\n"
                   "shares = %u\n"
                   "threshold = %u\n\n"
                   "# BLAKE2b-256 of the administrator's token.\n"
                   "admin_token_hash = \"%s\"\n\n",
                   id, cluster->share_count, cluster->threshold, token_hash);
    if (err == OK)
        err = append_seal(cluster, out);
    if (err == OK)
        err = buf_append_text(out, "\n# Nodes are numbered by their order: never reorder them.");
    for (unsigned i = 0; i < cluster->node_count && err == OK; i++)
        err = append_node(&cluster->nodes[i], out);
    if (err == OK)
        err = buf_append_text(
            out, "\n# May differ from node to node; these are the defaults.\n"
                 "server {\n"
                 "    log_level = \"info\"          # debug, info, warn, error\n"
                 "    log_format = \"logfmt\"       # logfmt, json\n"
                 "    cache_mb = 128\n"
                 "    disk_free_min_mb = 64       # below it changes are refused\n"
                 "    requests_max = 1024         # more are answered busy\n"
                 "    request_deadline_ms = 5000\n"
                 "    share_key_rotation_s = 3600 # a new key for shares on their way, so often\n"
                 "    shred_interval_ms = 600000  # what was erased is noise on the disk after it\n"
                 "}\n");
    return err;
}

static void
write_configuration(struct making *m)
{
    struct buf text = {0};
    enum vault_err err = cluster_conf_write(m->cluster, &text);

    if (err != OK)
        fail(m, err, "write cluster.conf");
    write_file(m, "", "cluster.conf", buf_bytes(&text), PUBLIC_MODE);
    for (unsigned i = 0; i < m->cluster->node_count; i++)
        write_file(m, m->cluster->nodes[i].name, "cluster.conf", buf_bytes(&text), PUBLIC_MODE);
    buf_close(&text);
}

/* --- all of it ------------------------------------------------------------------------------ */

static void
make_all(struct making *m)
{
    enum vault_err err = secret_arena_new(ARENA_SLOTS, &m->arena);

    if (err != OK) {
        fail(m, err, "get locked memory");
        return;
    }
    secret_arena_open(m->arena);
    random_fill(m, m->cluster->id, sizeof(m->cluster->id));
    if (m->err == OK)
        make_authority(m);
    if (m->err == OK)
        make_token(m);
    if (m->err == OK)
        make_master_key(m);
    for (unsigned i = 0; i < m->cluster->node_count && m->err == OK; i++)
        make_node(m, &m->cluster->nodes[i]);
    if (m->err == OK)
        write_configuration(m);
    cluster_config_hash(m->cluster, m->cluster->config_hash);
    bytes_wipe(m->master_key, sizeof(m->master_key));
    certificate_authority_free(m->ca);
    secret_arena_close(m->arena);
    secret_arena_free(m->arena);
}

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

enum vault_err
directory_remove(const char *path)
{
    return nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 ? OK : ERR_IO;
}

static void
sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)fsync(fd); /* best effort: the files themselves are synced */
    close(fd);
}

/*
 * Gives the finished directory its name. rename() would replace an empty directory that came in
 * between.
 */
static void
publish(struct making *m, const char *directory)
{
    char parent[PATH_MAX];
    char *slash;
    int result = renameat2(AT_FDCWD, m->root, AT_FDCWD, directory, RENAME_NOREPLACE);

    if (result != 0 && (errno == EINVAL || errno == ENOSYS))
        result = rename(m->root, directory);
    if (result != 0) {
        m->err = errno == EEXIST || errno == ENOTEMPTY ? ERR_EXISTS : ERR_IO;
        snprintf(m->why, m->why_size, "cannot name the cluster %s: %s", directory, strerror(errno));
        return;
    }
    snprintf(parent, sizeof(parent), "%s", directory);
    slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    sync_directory(slash ? parent : ".");
}

static enum vault_err
check_names(const struct cluster *cluster, char *why, size_t why_size)
{
    enum vault_err err = cluster_validate(cluster, why, why_size);

    if (err == OK && cluster_find_node(cluster, bytes_of_text(CA_DIRECTORY)) >= 0) {
        snprintf(why, why_size, "a node cannot be called \"%s\": the CA's folder is", CA_DIRECTORY);
        err = ERR_CONFIG;
    }
    return err;
}

enum vault_err
cluster_files_create(const char *directory, struct cluster *cluster, const struct rng *rng,
                     int64_t now, char *why, size_t why_size)
{
    char target[PATH_MAX];
    char root[PATH_MAX];
    size_t size = strlen(directory);
    struct stat st;
    struct making m = {
        .root = root, .cluster = cluster, .rng = rng, .now = now, .why = why, .why_size = why_size};
    enum vault_err err = check_names(cluster, why, why_size);

    if (err != OK)
        return err;
    while (size > 1 && directory[size - 1] == '/')
        size--;
    if (snprintf(target, sizeof(target), "%.*s", (int)size, directory) >= (int)sizeof(target) ||
        snprintf(root, sizeof(root), "%s.making-XXXXXX", target) >= (int)sizeof(root)) {
        snprintf(why, why_size, "the path of the directory is too long");
        return ERR_IO;
    }
    if (lstat(target, &st) == 0) {
        snprintf(why, why_size, "%s exists; nothing was changed", target);
        return ERR_EXISTS;
    }
    if (!mkdtemp(root)) {
        snprintf(why, why_size, "cannot create %s: %s", target, strerror(errno));
        return errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
    }
    make_all(&m);
    if (m.err == OK && chmod(root, DIRECTORY_MODE) != 0)
        fail(&m, ERR_IO, "set the mode of the directory");
    if (m.err == OK)
        publish(&m, target);
    if (m.err != OK && directory_remove(root) != OK) {
        size = strlen(why);
        snprintf(why + size, why_size - size, "; %s is left over", root);
    }
    return m.err;
}
