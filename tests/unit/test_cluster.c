/*
 * Numbers that follow from n and k, what a valid cluster is, and what its configuration hash
 * covers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/cluster.h"

static struct cluster
cluster_of(unsigned nodes, unsigned n, unsigned k)
{
    struct cluster c = {.node_count = nodes, .share_count = n, .threshold = k};

    memset(c.id, 7, sizeof(c.id));
    for (unsigned i = 0; i < nodes && i < NODES_MAX; i++)
        snprintf(c.nodes[i].name, sizeof(c.nodes[i].name), "n%u", i + 1);
    return c;
}

static bool
valid(const struct cluster *c)
{
    char why[256];
    enum vault_err err = cluster_validate(c, why, sizeof(why));

    assert_true(err == OK || err == ERR_CONFIG);
    assert_int_equal(err == OK, why[0] == '\0');
    return err == OK;
}

static void
test_quorums(void **state)
{
    /* n, k, m, d */
    static const unsigned expected[][4] = {
        {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 2, 2, 2}, {4, 2, 3, 3}, {4, 3, 3, 3}, {5, 2, 3, 4},
        {5, 3, 3, 3}, {6, 2, 4, 5}, {6, 4, 4, 4}, {7, 2, 4, 6}, {7, 3, 4, 5}, {7, 4, 4, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct cluster c = cluster_of(7, expected[i][0], expected[i][1]);

        assert_int_equal(cluster_majority(&c), expected[i][2]);
        assert_int_equal(cluster_erase_quorum(&c), expected[i][3]);
    }
}

/* What must be connected: of the nodes, however few replicas a path has. */
static void
test_node_majority(void **state)
{
    (void)state;
    for (unsigned nodes = 1; nodes <= NODES_MAX; nodes++) {
        struct cluster c = cluster_of(nodes, 1, 1);

        assert_int_equal(cluster_node_majority(&c), nodes / 2 + 1);
        c = cluster_of(nodes, nodes, 1);
        assert_int_equal(cluster_node_majority(&c), cluster_majority(&c));
    }
}

static void
test_every_combination(void **state)
{
    (void)state;
    for (unsigned nodes = 0; nodes <= NODES_MAX + 1; nodes++) {
        for (unsigned n = 0; n <= REPLICAS_MAX + 2; n++) {
            for (unsigned k = 0; k <= REPLICAS_MAX + 2; k++) {
                struct cluster c = cluster_of(nodes, n, k);
                bool counts = nodes >= 1 && nodes <= 9 && n >= 1 && n <= nodes && n <= 7;
                bool threshold = n == 1 ? k == 1 : k >= 2 && k <= n / 2 + 1;

                assert_int_equal(valid(&c), counts && threshold);
            }
        }
    }
}

static void
test_names(void **state)
{
    static const char *const good[] = {"a",   "0",  "n1",
                                       "a-b", "a-", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {
        "", "-a", "A", "a_b", "a.b", "a b", "\xc3\xa4", "a/b", "abcdefghijklmnopqrstuvwxyz0123456"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(node_name_valid(bytes_of_text(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(node_name_valid(bytes_of_text(bad[i])));
    assert_false(node_name_valid(bytes_of("a\0b", 3)));
}

static void
test_names_in_cluster(void **state)
{
    struct cluster c = cluster_of(3, 3, 2);

    (void)state;
    assert_true(valid(&c));
    snprintf(c.nodes[2].name, sizeof(c.nodes[2].name), "n1");
    assert_false(valid(&c));
    snprintf(c.nodes[2].name, sizeof(c.nodes[2].name), "N3");
    assert_false(valid(&c));
}

static void
test_find(void **state)
{
    struct cluster c = cluster_of(3, 3, 2);

    (void)state;
    assert_int_equal(cluster_find_node(&c, bytes_of_text("n1")), 0);
    assert_int_equal(cluster_find_node(&c, bytes_of_text("n3")), 2);
    assert_int_equal(cluster_find_node(&c, bytes_of_text("n4")), -1);
    assert_int_equal(cluster_find_node(&c, bytes_of_text("n")), -1);
    assert_int_equal(cluster_find_node(&c, bytes_of_text("")), -1);
}

static bool
same_hash(const struct cluster *a, const struct cluster *b)
{
    uint8_t x[HASH_BYTES], y[HASH_BYTES];

    cluster_config_hash(a, x);
    cluster_config_hash(b, y);
    return memcmp(x, y, sizeof(x)) == 0;
}

/* Over cluster id, node names, n, k and placement rule, and nothing else. */
static void
test_config_hash(void **state)
{
    const struct cluster base = cluster_of(3, 3, 2);
    struct cluster c = base;

    (void)state;
    assert_true(same_hash(&base, &c));
    c.id[15] ^= 1;
    assert_false(same_hash(&base, &c));
    c = base;
    c.threshold = 3;
    assert_false(same_hash(&base, &c));
    c = base;
    c.share_count = 2;
    assert_false(same_hash(&base, &c));
    struct cluster fewer = c;
    fewer.share_count = 1;
    assert_false(same_hash(&fewer, &c));
    c = base;
    c.node_count = 2;
    assert_false(same_hash(&base, &c));
    c = base;
    c.nodes[0].name[1] = '9';
    assert_false(same_hash(&base, &c));
    c = base;
    c.nodes[0] = base.nodes[1];
    c.nodes[1] = base.nodes[0];
    assert_false(same_hash(&base, &c));
    /* Neighbouring names must not run into each other. */
    c = base;
    snprintf(c.nodes[0].name, sizeof(c.nodes[0].name), "n1n");
    snprintf(c.nodes[1].name, sizeof(c.nodes[1].name), "2");
    assert_false(same_hash(&base, &c));

    c = base;
    snprintf(c.nodes[0].host, sizeof(c.nodes[0].host), "elsewhere");
    c.nodes[0].api_port = 1;
    c.nodes[1].link_port = 2;
    c.nodes[2].first_share_key.id = 1;
    c.seal = SEAL_FILE;
    c.admin_token_hash[0] = 1;
    c.master_key_check[0] = 1;
    assert_true(same_hash(&base, &c));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node_majority),     cmocka_unit_test(test_quorums),
        cmocka_unit_test(test_every_combination), cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_in_cluster),  cmocka_unit_test(test_find),
        cmocka_unit_test(test_config_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
