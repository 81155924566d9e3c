/*
 * The files of a new cluster: complete, private, readable by what reads them, and all or nothing.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/rng_kernel.h"
#include "crypto/storage_key.h"
#include "failing_rng.h"
#include "runtime/cluster_files.h"
#include "runtime/config_file.h"
#include "runtime/keyfile.h"

struct fixture {
    char base[64];
    char directory[96];
    char why[512];
    struct cluster cluster;
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(crypto_init(), OK);
    snprintf(f->base, sizeof(f->base), "/tmp/ostraka-cluster-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    snprintf(f->directory, sizeof(f->directory), "%s/new", f->base);
    f->cluster = (struct cluster){.node_count = 3, .share_count = 3, .threshold = 2};
    for (unsigned i = 0; i < 3; i++) {
        struct cluster_node *node = &f->cluster.nodes[i];

        snprintf(node->name, sizeof(node->name), "n%u", i + 1);
        snprintf(node->host, sizeof(node->host), "127.0.0.1");
        node->api_port = (uint16_t)(7401 + i);
        node->link_port = (uint16_t)(7501 + i);
    }
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(directory_remove(f->base), OK);
    free(f);
    return 0;
}

static enum vault_err
create(struct fixture *f, const char *directory, const struct rng *rng)
{
    return cluster_files_create(directory, &f->cluster, rng, (int64_t)time(NULL), f->why,
                                sizeof(f->why));
}

static unsigned
entries(const char *path)
{
    DIR *directory = opendir(path);
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2; /* "." and ".." */
}

static const char *
path_in(const struct fixture *f, const char *name)
{
    static _Thread_local char path[160];

    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    return path;
}

static void
expect_mode(const struct fixture *f, const char *name, unsigned mode)
{
    struct stat st;

    assert_int_equal(stat(path_in(f, name), &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void
test_files(void **state)
{
    struct fixture *f = *state;
    const struct rng rng = rng_kernel();

    assert_int_equal(create(f, f->directory, &rng), OK);
    assert_int_equal(entries(f->base), 1);
    assert_int_equal(entries(f->directory), 6);
    assert_int_equal(entries(path_in(f, "ca")), 2);
    assert_int_equal(entries(path_in(f, "n1")), 7);
    expect_mode(f, "", 0755);
    expect_mode(f, "ca/ca.crt", 0644);
    expect_mode(f, "ca/ca.key", 0600);
    expect_mode(f, "cluster.conf", 0644);
    expect_mode(f, "admin.token", 0600);
    expect_mode(f, "n3", 0700);
    expect_mode(f, "n3/node.key", 0600);
    expect_mode(f, "n3/storage.key", 0600);
    expect_mode(f, "n3/share.keys", 0600);
    expect_mode(f, "n3/birth", 0600);
    assert_int_not_equal(access(path_in(f, "n3/master.key"), F_OK), 0);
}

static void
test_configuration(void **state)
{
    struct fixture *f = *state;
    const struct rng rng = rng_kernel();
    struct config whole, own;
    char expected[160];

    assert_int_equal(create(f, f->directory, &rng), OK);
    assert_int_equal(config_load(path_in(f, "cluster.conf"), "n2", &whole, f->why, sizeof(f->why)),
                     OK);
    assert_memory_equal(&whole.cluster, &f->cluster, sizeof(f->cluster));
    assert_string_equal(whole.node.directory, path_in(f, "n2"));
    /* A folder moved to another machine works as it is. */
    snprintf(expected, sizeof(expected), "%s/moved", f->base);
    assert_int_equal(rename(path_in(f, "n2"), expected), 0);
    snprintf(expected, sizeof(expected), "%s/moved/cluster.conf", f->base);
    assert_int_equal(config_load(expected, "n2", &own, f->why, sizeof(f->why)), OK);
    assert_memory_equal(&own.cluster, &f->cluster, sizeof(f->cluster));
    snprintf(expected, sizeof(expected), "%s/moved", f->base);
    assert_string_equal(own.node.directory, expected);
}

static void
test_token(void **state)
{
    struct fixture *f = *state;
    const struct rng rng = rng_kernel();
    uint8_t hash[HASH_BYTES];
    struct buf token, conf;

    assert_int_equal(create(f, f->directory, &rng), OK);
    assert_int_equal(file_read(path_in(f, "admin.token"), 100, &token), OK);
    assert_int_equal(token.size, 4 + 43 + 1);
    assert_memory_equal(token.data, "ost_", 4);
    assert_int_equal(token.data[47], '\n');
    for (size_t i = 4; i < 47; i++)
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                               token.data[i]));
    hash_bytes(bytes_of(token.data, 47), hash);
    assert_memory_equal(hash, f->cluster.admin_token_hash, sizeof(hash));
    assert_int_equal(file_read(path_in(f, "cluster.conf"), 65536, &conf), OK);
    assert_null(memmem(conf.data, conf.size, token.data, 47));
    buf_close(&conf);
    buf_close(&token);
}

/* The public half in cluster.conf belongs to the private half in share.keys. */
static void
test_share_keys(void **state)
{
    struct fixture *f = *state;
    const struct rng rng = rng_kernel();
    struct secret_arena *arena;

    assert_int_equal(create(f, f->directory, &rng), OK);
    assert_int_equal(secret_arena_new(SHARE_KEYS_MAX, &arena), OK);
    secret_arena_open(arena);
    for (unsigned i = 0; i < 3; i++) {
        const struct cluster_node *node = &f->cluster.nodes[i];
        uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
        uint8_t storage[KEY_BYTES], key[KEY_BYTES];
        struct share_keyring ring;
        struct config c;

        assert_int_equal(
            config_load(path_in(f, "cluster.conf"), node->name, &c, f->why, sizeof(f->why)), OK);
        assert_int_equal(keyfile_read(c.node.storage_key, NULL, storage, f->why, sizeof(f->why)),
                         OK);
        assert_int_equal(storage_key_derive(storage, bytes_of(c.cluster.id, CLUSTER_ID_BYTES),
                                            bytes_of_text(node->name), "share-keys", key),
                         OK);
        share_keyring_init(&ring, arena);
        assert_int_equal(share_keys_load(c.node.share_keys, &ring, key,
                                         bytes_of(ad, share_keys_ad(c.cluster.id, node->name, ad)),
                                         f->why, sizeof(f->why)),
                         OK);
        assert_int_equal(share_keyring_current(&ring)->id, 1);
        assert_memory_equal(share_keyring_current(&ring)->key, node->first_share_key.key,
                            X25519_BYTES);
        share_keyring_close(&ring);
    }
    secret_arena_close(arena);
    secret_arena_free(arena);
}

static void
test_nodes_differ(void **state)
{
    struct fixture *f = *state;
    const struct rng rng = rng_kernel();
    static const char *const files[] = {"storage.key", "birth", "node.key", "node.crt"};

    assert_int_equal(create(f, f->directory, &rng), OK);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct buf one, two;
        char name[64];

        snprintf(name, sizeof(name), "n1/%s", files[i]);
        assert_int_equal(file_read(path_in(f, name), 4096, &one), OK);
        snprintf(name, sizeof(name), "n2/%s", files[i]);
        assert_int_equal(file_read(path_in(f, name), 4096, &two), OK);
        assert_false(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
        buf_close(&one);
        buf_close(&two);
    }
}

static void
test_master_key(void **state)
{
    struct fixture *f = *state;
    const struct rng rng = rng_kernel();
    struct master_key master = {.generation = 1};
    uint8_t first[KEY_BYTES], last[KEY_BYTES], check[HASH_BYTES];
    struct secret_arena *arena;

    f->cluster.seal = SEAL_FILE;
    assert_int_equal(create(f, f->directory, &rng), OK);
    expect_mode(f, "n1/master.key", 0600);
    assert_int_equal(keyfile_read(path_in(f, "n1/master.key"), NULL, first, f->why, sizeof(f->why)),
                     OK);
    assert_int_equal(keyfile_read(path_in(f, "n3/master.key"), NULL, last, f->why, sizeof(f->why)),
                     OK);
    assert_memory_equal(first, last, sizeof(first));
    assert_int_equal(secret_arena_new(1, &arena), OK);
    secret_arena_open(arena);
    assert_int_equal(secret_copy(arena, bytes_of(first, sizeof(first)), &master.key), OK);
    assert_int_equal(master_key_check_value(&master, f->cluster.id, check), OK);
    assert_memory_equal(check, f->cluster.master_key_check, sizeof(check));
    secret_free(arena, &master.key);
    secret_arena_close(arena);
    secret_arena_free(arena);
}

static void
test_refusals(void **state)
{
    struct fixture *f = *state;
    const struct rng rng = rng_kernel();
    char path[128];

    /* Whatever is there: a file, an empty directory, a dangling link. */
    assert_int_equal(mkdir(f->directory, 0700), 0);
    assert_int_equal(create(f, f->directory, &rng), ERR_EXISTS);
    assert_int_equal(entries(f->directory), 0);
    snprintf(path, sizeof(path), "%s///", f->directory);
    assert_int_equal(create(f, path, &rng), ERR_EXISTS);
    assert_int_equal(rmdir(f->directory), 0);
    assert_int_equal(symlink("nowhere", f->directory), 0);
    assert_int_equal(create(f, f->directory, &rng), ERR_EXISTS);
    assert_int_equal(unlink(f->directory), 0);
    snprintf(path, sizeof(path), "%s/no/new", f->base);
    assert_int_equal(create(f, path, &rng), ERR_IO);
    f->cluster.threshold = 3;
    assert_int_equal(create(f, f->directory, &rng), ERR_CONFIG);
    f->cluster.threshold = 2;
    snprintf(f->cluster.nodes[1].name, sizeof(f->cluster.nodes[1].name), "ca");
    assert_int_equal(create(f, f->directory, &rng), ERR_CONFIG);
    assert_int_equal(entries(f->base), 0);
}

/* Fails at the n-th draw of randomness, for every n until it succeeds: nothing may be left over. */
static void
test_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    struct failing_rng failing;
    unsigned failures = 0;

    f->cluster.seal = SEAL_FILE;
    for (;; failures++) {
        const struct rng rng = failing_rng_init(&failing, 3, failures);
        enum vault_err err = create(f, f->directory, &rng);

        if (err == OK)
            break;
        assert_int_equal(err, ERR_ENTROPY);
        assert_int_not_equal(strlen(f->why), 0);
        assert_int_equal(entries(f->base), 0);
    }
    /* Id, CA, token, master key; five for each node. */
    assert_int_equal(failures, 4 + 5 * 3);
    assert_int_equal(entries(f->base), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_files),      TEST(test_configuration),  TEST(test_token),
        TEST(test_share_keys), TEST(test_nodes_differ),   TEST(test_master_key),
        TEST(test_refusals),   TEST(test_all_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
