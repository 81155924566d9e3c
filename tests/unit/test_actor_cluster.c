/*
 * Whole clusters: what clients see and what is left in the stores, also when disks fail. Nodes that
 * die and come back: test_actor_away.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "crypto/storage_key.h"

/* ---- life of a secret ---- */

static void
life_of_a_secret(unsigned nodes)
{
    struct actor_cluster *ac = ac_cluster_of(nodes, nodes);
    struct ac_request *r;
    unsigned last = nodes - 1;

    assert_int_equal(ac_read(ac, 0, "app/key")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_update(ac, 0, "app/key", "x")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_delete(ac, 0, "app/key")->reply.err, ERR_NOT_FOUND);
    r = ac_create(ac, 0, "app/key", "one");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 1);
    assert_true(r->reply.valid_from_ms >= ac_wall_ms(ac, 0) - 1000);
    assert_int_equal(ac_create(ac, last, "app/key", "again")->reply.err, ERR_ALREADY_EXISTS);
    r = ac_read(ac, last, "app/key");
    assert_true(ac_value_is(r, "one"));
    assert_int_equal(r->reply.version, 1);
    r = ac_update(ac, last, "app/key", "two");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 2);
    assert_true(ac_value_is(ac_read(ac, 0, "app/key"), "two"));

    struct request ask = ac_make(REQUEST_HISTORY, "app/key", NULL);
    r = ac_wait(ac, ac_send(ac, 0, &ask));
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.row_count, 2);
    assert_int_equal(r->rows[0].version, 2);
    assert_int_equal(r->rows[0].valid_to_ms, 0);
    assert_int_equal(r->rows[1].version, 1);
    assert_int_equal(r->rows[1].valid_to_ms, r->rows[0].valid_from_ms);
    assert_true(r->rows[1].valid_from_ms < r->rows[0].valid_from_ms);

    assert_true(ac_settles(ac, AC_SETTLE_MS));
    r = ac_delete(ac, 0, "app/key");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, nodes);
    assert_int_equal(r->reply.required, cluster_erase_quorum(&ac->cluster));
    assert_int_equal(r->reply.replicas, nodes);
    for (unsigned i = 0; i < nodes; i++)
        assert_int_equal(ac_read(ac, i, "app/key")->reply.err, ERR_NOT_FOUND);
    ask = ac_make(REQUEST_DELETION, "app/key", NULL);
    r = ac_wait(ac, ac_send(ac, last, &ask));
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, nodes);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < nodes; i++) {
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 0);
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 0);
    }

    r = ac_create(ac, 0, "app/key", "new");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 1);
    assert_true(ac_value_is(ac_read(ac, last, "app/key"), "new"));
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_end(ac);
}

static void
test_life_of_a_secret(void **state)
{
    (void)state;
    life_of_a_secret(1);
    life_of_a_secret(3);
    life_of_a_secret(5);
    life_of_a_secret(7);
}

static void
test_wrong_token(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 1);
    struct request ask = ac_make(REQUEST_CREATE, "a", "x");
    ask.credential = bytes_of_text("another-token");
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_UNAUTHENTICATED);
    ask.credential = (struct bytes){0};
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_UNAUTHENTICATED);
    assert_int_equal(ac_read(ac, 1, "a")->reply.err, ERR_NOT_FOUND);
    ac_end(ac);
}

static void
test_expected_version(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 2);
    struct request ask = ac_make(REQUEST_UPDATE, "a", "two");
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ask.has_expected_version = true;
    ask.expected_version = 2;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.err, ERR_VERSION_MISMATCH);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    ask.expected_version = 1;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.version, 2);
    ask.kind = REQUEST_DELETE;
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &ask))->reply.err, ERR_VERSION_MISMATCH);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "two"));
    ac_end(ac);
}

static void
test_old_versions_and_times(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 3);
    uint64_t from[6] = {0};
    char value[16];
    for (unsigned v = 1; v <= 5; v++) {
        snprintf(value, sizeof(value), "value %u", v);
        struct ac_request *r =
            v == 1 ? ac_create(ac, 0, "a", value) : ac_update(ac, v % 3, "a", value);
        assert_int_equal(r->reply.version, v);
        from[v] = r->reply.valid_from_ms;
        ac_run_ms(ac, 700);
    }
    for (unsigned v = 1; v <= 5; v++) {
        struct request ask = ac_make(REQUEST_READ, "a", NULL);
        snprintf(value, sizeof(value), "value %u", v);
        ask.version = v;
        struct ac_request *r = ac_wait(ac, ac_send(ac, v % 3, &ask));
        assert_true(ac_value_is(r, value));
        assert_int_equal(r->reply.valid_from_ms, from[v]);
        assert_int_equal(r->reply.valid_to_ms, v < 5 ? from[v + 1] : 0);
        ask.version = 0;
        ask.has_at = true;
        ask.at_ms = from[v];
        assert_true(ac_value_is(ac_wait(ac, ac_send(ac, v % 3, &ask)), value));
        ask.at_ms = from[v] - 1;
        snprintf(value, sizeof(value), "value %u", v - 1);
        r = ac_wait(ac, ac_send(ac, v % 3, &ask));
        if (v > 1)
            assert_true(ac_value_is(r, value));
        else
            assert_int_equal(r->reply.err, ERR_NOT_FOUND);
    }
    struct request ask = ac_make(REQUEST_READ, "a", NULL);
    ask.version = 6;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_NOT_FOUND);
    ask.version = 0;
    ask.has_at = true;
    ask.at_ms = ac_wall_ms(ac, 0); /* answered when nobody's clock is there any more */
    uint64_t began = ac_ms(ac);
    assert_true(ac_value_is(ac_wait(ac, ac_send(ac, 0, &ask)), "value 5"));
    assert_true(ac_ms(ac) - began >= 500);
    ask.at_ms = ac_wall_ms(ac, 0) + 10;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_BAD_PARAMETER);
    struct request pages = ac_make(REQUEST_HISTORY, "a", NULL);
    pages.limit = 2;
    pages.before_version = 4;
    struct ac_request *r = ac_wait(ac, ac_send(ac, 2, &pages));
    assert_int_equal(r->reply.row_count, 2);
    assert_int_equal(r->rows[0].version, 3);
    assert_int_equal(r->rows[0].valid_to_ms, from[4]);
    assert_true(r->reply.has_next);
    ac_end(ac);
}

static void
test_value_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 64 * 1024, VALUE_BYTES_MAX};
    struct actor_cluster *ac = ac_cluster_of(3, 4);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char name[16];
        uint8_t *value = malloc(sizes[i] + 1);
        assert_non_null(value);
        memset(value, (int)i + 1, sizes[i]);
        snprintf(name, sizeof(name), "size/%zu", i);
        struct request ask = ac_make(REQUEST_CREATE, name, NULL);
        ask.value = bytes_of(value, sizes[i]);
        ask.encoding = VALUE_BASE64;
        assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, OK);
        struct ac_request *r = ac_read(ac, 1, name);
        assert_int_equal(r->reply.err, OK);
        assert_int_equal(r->reply.encoding, VALUE_BASE64);
        assert_true(bytes_equal(r->reply.value, ask.value));
        free(value);
    }
    ac_end(ac);
}

/* More than are kept: the oldest go, everywhere, and what is kept stays readable. */
static void
test_many_versions(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 5);
    struct request ask = ac_make(REQUEST_READ, "a", NULL);
    char value[16];
    assert_int_equal(ac_create(ac, 0, "a", "value 1")->reply.err, OK);
    for (unsigned v = 2; v <= 70; v++) {
        snprintf(value, sizeof(value), "value %u", v);
        assert_int_equal(ac_update(ac, v % 3, "a", value)->reply.version, v);
    }
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 64);
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 64);
        assert_int_equal(ac_rows(ac, i, ROW_BOXES), 0);
    }
    ask.version = 6;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.err, ERR_NOT_FOUND);
    ask.version = 7;
    assert_true(ac_value_is(ac_wait(ac, ac_send(ac, 1, &ask)), "value 7"));
    struct request history = ac_make(REQUEST_HISTORY, "a", NULL);
    struct ac_request *r = ac_wait(ac, ac_send(ac, 1, &history));
    assert_int_equal(r->reply.row_count, 64);
    assert_false(r->reply.has_next);
    ac_end(ac);
}

/* ---- many at once ---- */

static void
test_many_creates_of_one_name(void **state)
{
    (void)state;
    for (unsigned nodes = 1; nodes <= 5; nodes += 2) {
        struct actor_cluster *ac = ac_cluster_of(nodes, 60 + nodes);
        struct ac_request *r[64];
        unsigned won = 0;
        char value[16], winner[16] = "";
        for (unsigned i = 0; i < 64; i++) {
            snprintf(value, sizeof(value), "by %u", i);
            struct request ask = ac_make(REQUEST_CREATE, "a", value);
            r[i] = ac_send(ac, i % nodes, &ask);
        }
        for (unsigned i = 0; i < 64; i++) {
            (void)ac_wait(ac, r[i]);
            if (r[i]->reply.err == OK) {
                won++;
                snprintf(winner, sizeof(winner), "by %u", i);
            } else {
                assert_int_equal(r[i]->reply.err, ERR_ALREADY_EXISTS);
            }
        }
        assert_int_equal(won, 1);
        assert_true(ac_value_is(ac_read(ac, 0, "a"), winner));
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        ac_end(ac);
    }
}

static void
update_storm(unsigned nodes, unsigned away)
{
    enum { UPDATES = 60 };
    struct actor_cluster *ac = ac_cluster_of(nodes, 70 + nodes);
    struct ac_request *r[UPDATES];
    uint64_t from[UPDATES + 2] = {0};
    from[1] = ac_create(ac, 0, "a", "first")->reply.valid_from_ms;
    for (unsigned i = 0; i < away; i++)
        ac_crash(ac, nodes - 1 - i);
    ac_run_ms(ac, 200);
    for (unsigned i = 0; i < UPDATES; i++) {
        struct request ask = ac_make(REQUEST_UPDATE, "a", "next");
        r[i] = ac_send(ac, i % (nodes - away), &ask);
    }
    for (unsigned i = 0; i < UPDATES; i++) {
        (void)ac_wait(ac, r[i]);
        assert_int_equal(r[i]->reply.err, OK);
        uint64_t version = r[i]->reply.version;
        assert_in_range(version, 2, UPDATES + 1);
        assert_int_equal(from[version], 0);
        from[version] = r[i]->reply.valid_from_ms;
    }
    for (unsigned v = 2; v <= UPDATES + 1; v++)
        assert_true(from[v] > from[v - 1]);
    ac_heal(ac);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_end(ac);
}

static void
test_update_storm(void **state)
{
    (void)state;
    update_storm(3, 0);
    update_storm(5, 0);
}

/* Who is refused by one node while another is away does not wait for that one. */
static void
test_update_storm_without_a_minority(void **state)
{
    (void)state;
    update_storm(3, 1);
    update_storm(5, 1);
    update_storm(5, 2);
}

/* ---- deadlines ---- */

static enum ac_verdict
no_writes(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    (void)to;
    return msg->kind == MSG_WRITE ? AC_DROP : AC_PASS;
}

static void
test_deadlines(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 140);
    ac->filter = no_writes; /* but the coordinator's own node gets it */
    struct ac_request *r = ac_create(ac, 0, "a", "one");
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_WRITING);
    assert_in_range((r->ended_ns - r->began_ns) / 1000000, 4900, 5100);
    ac->filter = NULL;
    ac_isolate(ac, 0, true);
    ac_run_ms(ac, 1500); /* while it knows no better, it may offer */
    r = ac_create(ac, 0, "b", "one");
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_VOTING);
    assert_int_equal(ac_read(ac, 0, "b")->reply.err, ERR_NO_QUORUM);
    ac_heal(ac);
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_read(ac, 1, "b")->reply.err, ERR_NOT_FOUND);
    /*
     * Of unknown outcome: node 0 alone has it, and some time somebody finishes it or another change
     * wins.
     */
    r = ac_create(ac, 2, "a", "two");
    assert_true(r->reply.err == OK || r->reply.err == ERR_ALREADY_EXISTS);
    const char *stands = r->reply.err == OK ? "two" : "one";
    for (unsigned i = 0; i < 3; i++)
        assert_true(ac_value_is(ac_read(ac, i, "a"), stands));
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_end(ac);
}

/* ---- disks ---- */

static void
test_disk_full(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 150);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac->nodes[2].disk_full = true;
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    for (unsigned i = 0; i < 3; i++)
        ac->nodes[i].disk_full = true;
    for (unsigned i = 0; i < 3; i++) {
        struct ac_request *r = ac_update(ac, i, "a", "three");
        assert_int_equal(r->reply.err, ERR_DISK_FULL);
        assert_true((r->ended_ns - r->began_ns) / 1000000 < 1000);
        assert_int_equal(ac_create(ac, i, "b", "x")->reply.err, ERR_DISK_FULL);
    }
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "two"));
    ac_run_ms(ac, 60000); /* far beyond the horizon */
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "two"));
    for (unsigned i = 0; i < 3; i++)
        ac->nodes[i].disk_full = false;
    ac_run_ms(ac, 1000);
    assert_int_equal(ac_read(ac, 1, "b")->reply.err, ERR_NOT_FOUND);
    struct ac_request *r = ac_update(ac, 2, "a", "four");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 3);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_end(ac);
}

/* A share that opens, but is not the one that was dealt. */
static void
spoil_share(struct actor_cluster *ac, unsigned node, const char *name, const struct head *head)
{
    struct row_key key;
    struct bytes value;
    struct version_row row;
    struct buf encoded = {0};
    uint8_t share[SECRET_BYTES_MAX], sealed[SECRET_BYTES_MAX + BUCKET_SEALED_OVERHEAD_BYTES];
    uint8_t version_id[ID_BYTES];
    struct ac_node *n = &ac->nodes[node];
    memcpy(version_id, head->version_id, ID_BYTES);
    row_key_version(ROW_VERSION, ac_path(name), head->version, version_id, &key);
    assert_true(ac_get(ac, node, &key, &value));
    assert_int_equal(version_row_decode(value, &row), OK);
    size_t size = row.share.size - BUCKET_SEALED_OVERHEAD_BYTES;
    struct row_key path_key;
    row_key_path(ac_path(name), &path_key);
    const struct bucket *bucket =
        &n->buckets.buckets[bucket_of(&n->buckets, row_key_bytes(&path_key))];
    secret_arena_open(n->secrets);
    assert_int_equal(bucket_open(bucket, n->wrap_key.data, row_key_bytes(&key), row.share, share),
                     OK);
    share[0] ^= 1;
    assert_int_equal(bucket_seal(bucket, n->wrap_key.data, row_key_bytes(&key),
                                 bytes_of(share, size), &n->rng, sealed),
                     OK);
    secret_arena_close(n->secrets);
    row.share = bytes_of(sealed, size + BUCKET_SEALED_OVERHEAD_BYTES);
    assert_int_equal(version_row_encode(&row, &encoded), OK);
    ac_put(ac, node, &key, buf_bytes(&encoded));
    buf_close(&encoded);
}

static void
test_bad_share_is_repaired(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 160);
    struct path_row row;
    struct head head;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    spoil_share(ac, 1, "a", &head);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "one"));
    assert_in_range(ac->nodes[1].metrics.counters[METRIC_shares_bad], 1,
                    2); /* with two, and with all */
    ac_run_ms(ac, 1000);
    assert_int_equal(ac->nodes[1].metrics.counters[METRIC_repairs_done], 1);
    ac_crash(ac, 0); /* now its share is needed */
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "one"));
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "one"));
    ac_end(ac);
}

/* The path row of one node is damaged: that node refuses, never says "nothing there". */
static void
test_corrupt_path_row(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 170);
    struct row_key key;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_crash_losing(ac, 1, false);
    row_key_path(ac_path("a"), &key);
    ac_put(ac, 1, &key, bytes_of_text("rubbish"));
    ac_start(ac, 1);
    ac_run_ms(ac, 500);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "one"));
    assert_int_equal(ac_update(ac, 1, "a", "two")->reply.version, 2);
    ac_crash(ac, 0);
    struct ac_request *r = ac_read(ac, 2, "a"); /* one good node of two: not enough */
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(ac_create(ac, 2, "a", "again")->reply.err, ERR_NO_QUORUM);
    ac_start(ac, 0);
    ac_run_ms(ac, 500);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "two"));
    ac_end(ac);
}

/*
 * Boxes that cannot be delivered for a long time: the share key that opens them stays as long,
 * whatever has been rotated since.
 */
static void
test_share_key_is_kept_for_escrow(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 175);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac->nodes[2].disk_full = true;
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_rotate_share_key(ac, 2);
    for (unsigned i = 0; i < 60; i++) {
        ac_run_ms(ac, 1000);
        assert_int_equal(ac_destroy_share_keys(ac, 2), 2);
    }
    ac->nodes[2].disk_full = false;
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    unsigned held = 2;
    for (unsigned i = 0; i < 60 && held > 1; i++) {
        ac_run_ms(ac, 1000);
        held = ac_destroy_share_keys(ac, 2);
    }
    assert_int_equal(held, 1);
    ac_crash(ac, 0);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "two"));
    ac_end(ac);
}

/* ---- small tables ---- */

static void
test_tiny_table(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 3, .seed = 180, .paths_max = 2};
    struct actor_cluster *ac = ac_new(&options);
    char name[16];
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "p/%u", i);
        assert_int_equal(ac_create(ac, i % 3, name, name)->reply.err, OK);
    }
    ac_crash(ac, 2);
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "p/%u", i);
        assert_true(ac_value_is(ac_read(ac, i % 2, name), name));
        assert_int_equal(ac_update(ac, i % 2, name, "two")->reply.version, 2);
    }
    ac_start(ac, 2);
    /* Though an entry never stays in the table for long. */
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "p/%u", i);
        assert_true(ac_value_is(ac_read(ac, 2, name), "two"));
    }
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 24);
    ac_end(ac);
}

/* The same seed gives the same run. */
static void
test_same_seed_same_run(void **state)
{
    (void)state;
    uint64_t traces[2];
    for (unsigned i = 0; i < 2; i++) {
        struct ac_options options = {.nodes = 3,
                                     .seed = 190,
                                     .loss_permille = 20,
                                     .duplicate_permille = 20,
                                     .skew_ms_max = 100};
        struct actor_cluster *ac = ac_new(&options);
        (void)ac_create(ac, 0, "a", "one");
        ac_crash(ac, 1);
        (void)ac_update(ac, 2, "a", "two");
        ac_start(ac, 1);
        ac_run_ms(ac, 3000);
        traces[i] = ac->trace;
        ac_end(ac);
    }
    assert_true(traces[0] == traces[1]);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_secret),
        cmocka_unit_test(test_wrong_token),
        cmocka_unit_test(test_expected_version),
        cmocka_unit_test(test_old_versions_and_times),
        cmocka_unit_test(test_value_sizes),
        cmocka_unit_test(test_many_versions),
        cmocka_unit_test(test_many_creates_of_one_name),
        cmocka_unit_test(test_update_storm),
        cmocka_unit_test(test_update_storm_without_a_minority),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_bad_share_is_repaired),
        cmocka_unit_test(test_corrupt_path_row),
        cmocka_unit_test(test_share_key_is_kept_for_escrow),
        cmocka_unit_test(test_tiny_table),
        cmocka_unit_test(test_same_seed_same_run),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
