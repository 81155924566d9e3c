/*
 * Which nodes keep a path: always the same ones, evenly spread, whatever the order of nodes, and
 * moved as little as can be when the nodes change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/placement.h"

enum { NAMES = 10000 };

static struct cluster
cluster_of(unsigned nodes, unsigned shares)
{
    struct cluster c = {.node_count = nodes, .share_count = shares};

    for (unsigned i = 0; i < nodes; i++)
        snprintf(c.nodes[i].name, sizeof(c.nodes[i].name), "n%u", i + 1);
    return c;
}

static struct replicas
place(const struct cluster *c, const char *tenant, const char *name)
{
    struct placement placement;
    struct replicas replicas;

    placement_init(&placement, c);
    placement_replicas(&placement, (struct path){bytes_of_text(tenant), bytes_of_text(name)},
                       &replicas);
    return replicas;
}

/* The set as a text such as "n1 n3 n4", by name and in order of x. */
static const char *
names_of(const struct cluster *c, const struct replicas *replicas, char out[static 256])
{
    out[0] = 0;
    for (unsigned i = 0; i < replicas->count; i++) {
        size_t used = strlen(out);
        snprintf(out + used, 256 - used, "%s%s", i ? " " : "", c->nodes[replicas->nodes[i]].name);
    }
    return out;
}

static bool
has_name(const struct cluster *c, const struct replicas *replicas, const char *name)
{
    int node = cluster_find_node(c, bytes_of_text(name));

    return node >= 0 && replicas_index(replicas, (uint8_t)node) >= 0;
}

/* Data on disk depend on these: they must never change. */
static void
test_fixed_values(void **state)
{
    static const struct {
        unsigned nodes, shares;
        const char *tenant, *name, *expected;
    } fixed[] = {
        {5, 3, "default", "db/password", "n2 n4 n5"},
        {5, 3, "default", "a", "n1 n4 n5"},
        {5, 3, "default", "b", "n1 n2 n3"},
        {5, 3, "default", "service-1/token", "n1 n3 n4"},
        {9, 3, "default", "db/password", "n4 n5 n8"},
        {9, 7, "default", "db/password", "n2 n3 n4 n5 n6 n7 n8"},
        {4, 1, "default", "db/password", "n4"},
        {2, 1, "default", "a", "n1"},
        {6, 5, "other", "db/password", "n1 n2 n3 n4 n5"},
        {9, 3, "other", "a", "n1 n3 n6"},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        struct cluster c = cluster_of(fixed[i].nodes, fixed[i].shares);
        struct replicas r = place(&c, fixed[i].tenant, fixed[i].name);
        assert_string_equal(names_of(&c, &r, text), fixed[i].expected);
    }
}

static void
test_every_size(void **state)
{
    (void)state;
    for (unsigned nodes = 1; nodes <= NODES_MAX; nodes++) {
        for (unsigned shares = 1; shares <= nodes && shares <= REPLICAS_MAX; shares++) {
            struct cluster c = cluster_of(nodes, shares);
            struct replicas r = place(&c, "default", "db/password");
            assert_int_equal(r.count, shares);
            for (unsigned i = 0; i < r.count; i++) {
                assert_true(r.nodes[i] < nodes);
                assert_true(i == 0 || r.nodes[i] > r.nodes[i - 1]);
                assert_int_equal(replicas_index(&r, r.nodes[i]), (int)i);
            }
            assert_int_equal(replicas_index(&r, NODES_MAX), -1);
        }
    }
}

/* As many shares as nodes: x - 1 is the number of the node. */
static void
test_all_nodes(void **state)
{
    (void)state;
    for (unsigned nodes = 1; nodes <= REPLICAS_MAX; nodes++) {
        struct cluster c = cluster_of(nodes, nodes);
        struct replicas r = place(&c, "default", "whatever");
        for (unsigned i = 0; i < nodes; i++)
            assert_int_equal(r.nodes[i], i);
    }
}

static void
test_balance(void **state)
{
    static const unsigned sizes[][2] = {{5, 3}, {4, 3}, {9, 3}, {7, 5}, {9, 7}};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct cluster c = cluster_of(sizes[s][0], sizes[s][1]);
        struct placement placement;
        unsigned held[NODES_MAX] = {0}, expected = NAMES * sizes[s][1] / sizes[s][0];
        unsigned as_first[NODES_MAX] = {0};
        placement_init(&placement, &c);
        for (unsigned i = 0; i < NAMES; i++) {
            char name[32];
            struct replicas r;
            snprintf(name, sizeof(name), "service-%u/password", i);
            placement_replicas(&placement,
                               (struct path){bytes_of_text("default"), bytes_of_text(name)}, &r);
            for (unsigned j = 0; j < r.count; j++)
                held[r.nodes[j]]++;
            as_first[r.nodes[0]]++;
        }
        for (unsigned i = 0; i < c.node_count; i++) {
            assert_in_range(held[i], expected * 96 / 100, expected * 104 / 100);
            assert_true(as_first[i] <= held[i]);
        }
    }
}

/* Any two nodes share paths: one that is lost is made good by all others alike. */
static void
test_pairs(void **state)
{
    struct cluster c = cluster_of(5, 3);
    unsigned together[5][5] = {{0}};

    (void)state;
    for (unsigned i = 0; i < NAMES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "p%u", i);
        struct replicas r = place(&c, "default", name);
        for (unsigned a = 0; a < r.count; a++)
            for (unsigned b = a + 1; b < r.count; b++)
                together[r.nodes[a]][r.nodes[b]]++;
    }
    for (unsigned a = 0; a < 5; a++)
        for (unsigned b = a + 1; b < 5; b++)
            assert_in_range(together[a][b], NAMES * 3 / 10 * 93 / 100, NAMES * 3 / 10 * 107 / 100);
}

/* A node more: a path keeps its replicas, but for one that the new node takes the place of. */
static void
test_minimal_disruption(void **state)
{
    struct cluster five = cluster_of(5, 3), six = cluster_of(6, 3);
    unsigned moved = 0;

    (void)state;
    for (unsigned i = 0; i < NAMES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "secret/%u", i);
        struct replicas before = place(&five, "default", name);
        struct replicas after = place(&six, "default", name);
        unsigned lost = 0;
        for (unsigned j = 0; j < before.count; j++)
            lost += !has_name(&six, &after, five.nodes[before.nodes[j]].name);
        assert_true(lost <= 1);
        assert_int_equal(lost, has_name(&six, &after, "n6"));
        moved += lost;
    }
    assert_in_range(moved, NAMES / 2 * 96 / 100, NAMES / 2 * 104 / 100);
}

/* Rotated and reversed: the same names keep the same paths. */
static void
test_order_does_not_matter(void **state)
{
    const struct cluster c = cluster_of(5, 3);
    struct cluster other = c;

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        other.nodes[i] = c.nodes[(7 - i) % 5];
    for (unsigned i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "s%u", i);
        struct replicas a = place(&c, "default", name);
        struct replicas b = place(&other, "default", name);
        for (unsigned j = 0; j < a.count; j++)
            assert_true(has_name(&other, &b, c.nodes[a.nodes[j]].name));
    }
}

/* Tenant and name do not run into each other, and hosts and ports count for nothing. */
static void
test_what_counts(void **state)
{
    struct cluster c = cluster_of(9, 3), moved = c;
    unsigned different = 0;

    (void)state;
    for (unsigned i = 0; i < NODES_MAX; i++) {
        moved.nodes[i].api_port = 1;
        snprintf(moved.nodes[i].host, sizeof(moved.nodes[i].host), "elsewhere");
        moved.nodes[i].first_share_key.id = 9;
        moved.id[0] = 9;
    }
    for (unsigned i = 0; i < 100; i++) {
        char name[32], longer[40];
        snprintf(name, sizeof(name), "%u", i);
        snprintf(longer, sizeof(longer), "a%u", i);
        struct replicas a = place(&c, "ta", name), b = place(&c, "t", longer);
        struct replicas same = place(&moved, "ta", name);
        different += memcmp(&a, &b, sizeof(a)) != 0;
        assert_memory_equal(&a, &same, sizeof(a));
    }
    assert_true(different > 90);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_values),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_all_nodes),
        cmocka_unit_test(test_balance),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_minimal_disruption),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_what_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
