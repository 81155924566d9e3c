/*
 * Where the public part of a dealing lies: in the version row where it is small, else in a row of
 * its own. Older releases gave each a row of its own, and what they wrote is read, repaired and
 * erased for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "proto/alteration.h"

enum { LARGE_BYTES = 4000 };

static struct actor_cluster *
cluster_of(bool apart, uint64_t seed)
{
    struct ac_options options = {.nodes = 3,
                                 .seed = seed,
                                 .scrub_rows_per_s = 200,
                                 .shred_interval_ms = 3000,
                                 .dealings_apart = apart};
    return ac_new(&options);
}

/* All nodes start anew, as another release. */
static void
restart_as(struct actor_cluster *ac, bool apart)
{
    for (unsigned i = 0; i < 3; i++)
        ac_crash(ac, i);
    ac->options.dealings_apart = apart;
    for (unsigned i = 0; i < 3; i++)
        ac_start(ac, i);
    ac_run_ms(ac, 3000);
}

/* Key of a row of the version, which is the latest. */
static void
key_of_latest(struct actor_cluster *ac, unsigned node, enum row_table table, struct row_key *out)
{
    struct path_row row;
    struct head head;
    uint8_t id[ID_BYTES];
    assert_true(ac_path_row(ac, node, "a", &row, &head));
    memcpy(id, head.version_id, ID_BYTES);
    row_key_version(table, ac_path("a"), head.version, id, out);
}

static bool
has_row(struct actor_cluster *ac, unsigned node, enum row_table table)
{
    struct row_key key;
    struct bytes value;
    key_of_latest(ac, node, table, &key);
    return ac_get(ac, node, &key, &value);
}

/* The row of the latest version, which there is. */
static void
version_row_of(struct actor_cluster *ac, unsigned node, struct row_key *key,
               struct version_row *out)
{
    struct bytes value;
    key_of_latest(ac, node, ROW_VERSION, key);
    assert_true(ac_get(ac, node, key, &value));
    assert_int_equal(version_row_decode(value, out), OK);
}

static void
put_version_row(struct actor_cluster *ac, unsigned node, const struct row_key *key,
                const struct version_row *row)
{
    struct buf encoded = {0};
    assert_int_equal(version_row_encode(row, &encoded), OK);
    ac_put(ac, node, key, buf_bytes(&encoded));
    buf_close(&encoded);
}

/* Its dealing is not what was dealt. */
static void
spoil_dealing(struct actor_cluster *ac, unsigned node)
{
    uint8_t other[VERSION_ROW_DEALING_MAX] = {1, 2, 3};
    struct row_key key;
    struct version_row row;
    version_row_of(ac, node, &key, &row);
    assert_in_range(row.dealing.size, 1, sizeof(other));
    row.dealing.data = other;
    put_version_row(ac, node, &key, &row);
}

static bool
is_within(struct actor_cluster *ac, unsigned node)
{
    struct row_key key;
    struct bytes value;
    struct version_row row;
    key_of_latest(ac, node, ROW_VERSION, &key);
    return ac_get(ac, node, &key, &value) && version_row_decode(value, &row) == OK &&
           row.dealing.size > 0;
}

static bool
reads(struct actor_cluster *ac, uint64_t version, const char *value)
{
    struct request request = ac_make(REQUEST_READ, "a", NULL);
    request.version = version;
    for (unsigned i = 0; i < 3; i++) {
        if (!ac_value_is(ac_wait(ac, ac_send(ac, i, &request)), value))
            return false;
    }
    return true;
}

static void
destroy(struct actor_cluster *ac, uint64_t version)
{
    struct alteration alteration = {.destroy = {.of = {version}, .count = 1}};
    struct request request = ac_make(REQUEST_ALTER, "a", NULL);
    request.alteration = &alteration;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &request))->reply.err, OK);
}

static void
nothing_is_left(struct actor_cluster *ac)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES, ROW_NEED};
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
            assert_int_equal(ac_rows(ac, i, tables[t]), 0);
    }
}

/* ---- which form ---- */

static void
test_small_and_large(void **state)
{
    char large[LARGE_BYTES + 1];
    struct actor_cluster *ac = cluster_of(false, 1);
    (void)state;
    memset(large, 'x', LARGE_BYTES);
    large[LARGE_BYTES] = '\0';
    assert_int_equal(ac_create(ac, 0, "a", "small")->reply.err, OK);
    ac_run_ms(ac, 2000);
    for (unsigned i = 0; i < 3; i++)
        assert_true(is_within(ac, i) && !has_row(ac, i, ROW_DEALING));
    assert_int_equal(ac_update(ac, 1, "a", large)->reply.err, OK);
    ac_run_ms(ac, 2000);
    for (unsigned i = 0; i < 3; i++)
        assert_true(!is_within(ac, i) && has_row(ac, i, ROW_DEALING));
    assert_true(reads(ac, 1, "small") && reads(ac, 2, large));
    assert_int_equal(ac_delete(ac, 2, "a")->reply.err, OK);
    ac_run_ms(ac, 2000);
    nothing_is_left(ac);
    ac_end(ac);
}

/* A reader looks for the row of a dealing only where the version row has none. */
static void
test_looked_for_where_it_may_be(void **state)
{
    (void)state;
    for (unsigned apart = 0; apart < 2; apart++) {
        const struct ac_options options = {.nodes = 3, .seed = 40 + apart, .dealings_apart = apart};
        struct actor_cluster *ac = ac_new(&options);
        assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
        ac_run_ms(ac, 2000);
        restart_as(ac, apart); /* nothing is remembered of what was read or written */
        uint64_t before = ac->dealings_asked;
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
        assert_int_equal(ac->dealings_asked - before > 0, apart);
        for (unsigned i = 1; i < 3; i++) /* so that it is kept wherever it may be asked for */
            assert_true(ac_value_is(ac_read(ac, i, "a"), "one"));
        uint64_t once = ac->dealings_asked;
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
        assert_int_equal(ac->dealings_asked, once);
        ac_end(ac);
    }
}

/* ---- rows of both forms in one store ---- */

/* Two versions of the first release, two of the second; then whatever is done with them. */
static struct actor_cluster *
of_both(bool apart_first, uint64_t seed)
{
    struct actor_cluster *ac = cluster_of(apart_first, seed);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_update(ac, 1, "a", "two")->reply.err, OK);
    ac_run_ms(ac, 2000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(is_within(ac, i), !apart_first);
    restart_as(ac, !apart_first);
    assert_int_equal(ac_update(ac, 2, "a", "three")->reply.err, OK);
    assert_int_equal(ac_update(ac, 0, "a", "four")->reply.err, OK);
    ac_run_ms(ac, 2000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(is_within(ac, i), apart_first);
    return ac;
}

static void
all_are_read(struct actor_cluster *ac)
{
    assert_true(reads(ac, 1, "one") && reads(ac, 2, "two"));
    assert_true(reads(ac, 3, "three") && reads(ac, 4, "four"));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 4);
}

static void
both_forms(bool apart_first)
{
    struct actor_cluster *ac = of_both(apart_first, 2 + apart_first);
    all_are_read(ac);
    /* Another secret that goes has the bucket's key replaced: all shares are sealed anew. */
    for (char name[] = "b"; name[0] < 'j'; name[0]++) {
        assert_int_equal(ac_create(ac, 0, name, "gone")->reply.err, OK);
        assert_int_equal(ac_delete(ac, 0, name)->reply.err, OK);
    }
    ac_run_ms(ac, 20000);
    all_are_read(ac);
    /* A store that is lost is handed everything. */
    ac_crash(ac, 2);
    ac_lose_store(ac, 2, true);
    ac_start(ac, 2);
    ac_run_ms(ac, 20000);
    assert_true(ac_recovered(ac, 2));
    all_are_read(ac);
    ac_crash(ac, 0);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "four")); /* with its own share */
    ac_start(ac, 0);
    ac_run_ms(ac, 3000);
    destroy(ac, 2);
    destroy(ac, 3);
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 4);
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 2);
    }
    assert_true(reads(ac, 1, "one") && reads(ac, 4, "four"));
    assert_int_equal(ac_delete(ac, 1, "a")->reply.err, OK);
    ac_run_ms(ac, 3000);
    nothing_is_left(ac);
    ac_end(ac);
}

static void
test_both_forms(void **state)
{
    (void)state;
    both_forms(true);
    both_forms(false);
}

/* What is destroyed while the own share is lacking loses its dealing all the same. */
static void
test_destroyed_without_a_share(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 7); /* nobody scrubs */
    struct row_key key;
    struct version_row row;
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    version_row_of(ac, 2, &key, &row);
    row.share = (struct bytes){0};
    put_version_row(ac, 2, &key, &row);
    destroy(ac, 1);
    ac_run_ms(ac, 200);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 0);
    ac_end(ac);
}

/* ---- a version that is there in both ---- */

/*
 * What the version row has counts; a row beside it that cannot be read holds up whoever loads both,
 * until the scrubber takes it away. What of the version row is not what was dealt is had back.
 */
static void
test_in_both(void **state)
{
    struct actor_cluster *ac = cluster_of(false, 5);
    struct row_key key;
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    key_of_latest(ac, 2, ROW_DEALING, &key);
    ac_put(ac, 2, &key, bytes_of_text("something else"));
    assert_true(reads(ac, 1, "one"));
    ac_put(ac, 2, &key, bytes_of_text(ac_unreadable));
    ac_run_ms(ac, 10000);
    assert_false(has_row(ac, 2, ROW_DEALING));
    spoil_dealing(ac, 2);
    ac_run_ms(ac, 10000);
    assert_true(ac->nodes[2].metrics.counters[METRIC_records_restored] == 1);
    assert_int_equal(ac->nodes[2].metrics.counters[METRIC_shares_recovered], 0); /* it was good */
    ac_crash(ac, 0);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "one"));
    ac_start(ac, 0);
    ac_run_ms(ac, 3000);
    ac_end(ac);
}

/*
 * A store that went back hands itself over again: where a row that is here has the own share and a
 * dealing that is not the one that was dealt, the share stays.
 */
static void
test_handed_over_where_it_rots(void **state)
{
    struct actor_cluster *ac = cluster_of(false, 6);
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    ac_snapshot(ac, 2);
    ac_crash(ac, 2);
    ac_roll_back(ac, 2, true);
    spoil_dealing(ac, 2);
    ac_start(ac, 2);
    ac_run_ms(ac, 10000);
    assert_true(ac_recovered(ac, 2));
    assert_int_equal(ac->nodes[2].metrics.counters[METRIC_shares_recovered], 0);
    assert_int_equal(ac_rows_of(ac, 2, ROW_NEED, "a"), 0);
    ac_crash(ac, 0);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "one"));
    ac_start(ac, 0);
    ac_run_ms(ac, 3000);
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_and_large),
        cmocka_unit_test(test_both_forms),
        cmocka_unit_test(test_looked_for_where_it_may_be),
        cmocka_unit_test(test_destroyed_without_a_share),
        cmocka_unit_test(test_in_both),
        cmocka_unit_test(test_handed_over_where_it_rots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
