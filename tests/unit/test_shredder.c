/*
 * Shredding: what was erased becomes noise, what lives stays, wherever a node dies in between, and
 * nobody says so before it is true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

enum { INTERVAL_MS = 400, NODES = 3 };

static struct actor_cluster *
cluster_with(uint64_t seed, unsigned buckets)
{
    struct ac_options options = {
        .nodes = NODES, .seed = seed, .buckets = buckets, .shred_interval_ms = INTERVAL_MS};
    return ac_new(&options);
}

static struct bucket *
bucket_at(struct actor_cluster *ac, unsigned node, const char *name)
{
    struct row_key key;
    row_key_path(ac_path(name), &key);
    struct bucket_keys *keys = &ac->nodes[node].buckets;
    return &keys->buckets[bucket_of(keys, row_key_bytes(&key))];
}

/* A copy of a node's version row, as it might stay in an old page. */
struct old_row {
    struct row_key key;
    uint8_t sealed[256];
    size_t size;
};

static void
copy_row(struct actor_cluster *ac, unsigned node, const char *name, struct old_row *out)
{
    struct path_row path_row;
    struct head head;
    struct bytes value;
    struct version_row row;
    assert_true(ac_path_row(ac, node, name, &path_row, &head));
    row_key_version(ROW_VERSION, ac_path(name), head.version, head.version_id, &out->key);
    assert_true(ac_get(ac, node, &out->key, &value));
    assert_int_equal(version_row_decode(value, &row), OK);
    assert_true(row.share.size > 0 && row.share.size <= sizeof(out->sealed));
    memcpy(out->sealed, row.share.data, row.share.size);
    out->size = row.share.size;
}

/* With the keys in the node's memory, or in its file. */
static bool
opens(struct actor_cluster *ac, unsigned node, const char *name, const struct old_row *row)
{
    struct ac_node *n = &ac->nodes[node];
    struct bucket_keys saved;
    uint8_t out[256];
    struct row_key key;
    struct bytes sealed = bytes_of(row->sealed, row->size);
    row_key_path(ac_path(name), &key);
    secret_arena_open(n->secrets);
    assert_int_equal(bucket_keys_decode(buf_bytes(&n->bucket_file), n->secrets, &saved), OK);
    unsigned bucket = bucket_of(&saved, row_key_bytes(&key));
    bool does = bucket_open(&n->buckets.buckets[bucket], n->wrap_key.data, row_key_bytes(&row->key),
                            sealed, out) == OK ||
                bucket_open(&saved.buckets[bucket], n->wrap_key.data, row_key_bytes(&row->key),
                            sealed, out) == OK;
    bucket_keys_close(&saved);
    secret_arena_close(n->secrets);
    return does;
}

static struct reply
progress(struct actor_cluster *ac, unsigned at, const char *name)
{
    struct request ask = ac_make(REQUEST_DELETION, name, NULL);
    struct ac_request *r = ac_wait(ac, ac_send(ac, at, &ask));
    assert_int_equal(r->reply.err, OK);
    return r->reply;
}

static size_t
marks(struct actor_cluster *ac, unsigned node)
{
    struct row_key key;
    size_t count = 0;
    struct bytes value;
    for (unsigned i = 0; i < ac->nodes[node].buckets.count; i++) {
        row_key_dirty(i, &key);
        count += ac_get(ac, node, &key, &value);
    }
    return count;
}

static void
replace_share_keys(struct actor_cluster *ac)
{
    for (unsigned i = 0; i < NODES; i++)
        ac_rotate_share_key(ac, i);
    for (unsigned s = 0; s < 20; s++) {
        ac_run_ms(ac, 1000);
        for (unsigned i = 0; i < NODES; i++)
            (void)ac_destroy_share_keys(ac, i);
    }
}

/* ---- in order ---- */

static void
test_life_of_a_deletion(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(1, 1);
    struct old_row dead[NODES], live[NODES];
    assert_int_equal(ac_create(ac, 0, "dead", "one")->reply.err, OK);
    assert_int_equal(ac_create(ac, 1, "live", "two")->reply.err, OK);
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < NODES; i++) {
        copy_row(ac, i, "dead", &dead[i]);
        copy_row(ac, i, "live", &live[i]);
        assert_int_equal(ac->nodes[i].bucket_saves, 0); /* nothing was erased */
    }
    struct ac_request *r = ac_delete(ac, 2, "dead");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, NODES);
    assert_false(r->reply.shredded);
    for (unsigned i = 0; i < NODES; i++)
        assert_true(opens(ac, i, "dead", &dead[i]));
    ac_run_ms(ac, 2 * INTERVAL_MS);
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(ac->nodes[i].bucket_saves, 2);
        assert_false(opens(ac, i, "dead", &dead[i]));
        assert_false(opens(ac, i, "live", &live[i])); /* its old copy, too */
        copy_row(ac, i, "live", &live[i]);
        assert_true(opens(ac, i, "live", &live[i]));
        assert_int_equal(marks(ac, i), 0);
    }
    /* The boxes can still be opened: by the share keys, and by the coordinator's ephemeral key. */
    assert_false(progress(ac, 0, "dead").shredded);
    uint8_t before[NODES][X25519_BYTES], after[X25519_BYTES];
    for (unsigned i = 0; i < NODES; i++)
        node_ephemeral_public(ac->nodes[i].node, before[i]);
    replace_share_keys(ac);
    for (unsigned i = 0; i < NODES; i++) {
        assert_true(progress(ac, i, "dead").shredded);
        node_ephemeral_public(ac->nodes[i].node, after);
        assert_memory_not_equal(before[i], after, X25519_BYTES);
    }
    for (unsigned i = 0; i < NODES; i++) {
        assert_true(ac_value_is(ac_read(ac, i, "live"), "two"));
        assert_int_equal(ac->nodes[i].metrics.counters[METRIC_shares_bad], 0);
        assert_int_equal(ac->nodes[i].bucket_saves, 2); /* and no more rounds for nothing */
    }
    ac_end(ac);
}

/* Share keys alone, bucket keys alone: neither is enough. */
static void
test_both_are_needed(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(2, 1);
    assert_int_equal(ac_create(ac, 0, "dead", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < NODES; i++)
        ac->nodes[i].bucket_save_fails = true;
    assert_int_equal(ac_delete(ac, 0, "dead")->reply.err, OK);
    replace_share_keys(ac);
    assert_false(progress(ac, 0, "dead").shredded);
    /* Two of three are enough: the third's share alone tells nothing. */
    ac->nodes[1].bucket_save_fails = false;
    ac_run_ms(ac, 2 * INTERVAL_MS);
    assert_false(progress(ac, 0, "dead").shredded);
    ac->nodes[2].bucket_save_fails = false;
    ac_run_ms(ac, 2 * INTERVAL_MS);
    assert_true(progress(ac, 0, "dead").shredded);
    ac_end(ac);
}

/* What was erased before the share key was replaced counts, what after it does not. */
static void
test_erased_under_the_newest_share_key(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(3, 2);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    replace_share_keys(ac);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    ac_run_ms(ac, 20000);
    assert_false(progress(ac, 0, "a").shredded);
    replace_share_keys(ac);
    assert_true(progress(ac, 0, "a").shredded);
    ac_end(ac);
}

/* A node that was away has what was deleted until it comes back, and holds up the share keys. */
static void
test_node_away(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(4, 1);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 2);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.erased_on, 2);
    for (unsigned i = 0; i < 2; i++)
        ac_rotate_share_key(ac, i);
    for (unsigned s = 0; s < 30; s++) {
        ac_run_ms(ac, 1000);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(ac_destroy_share_keys(ac, i), 2);
    }
    assert_false(progress(ac, 0, "a").shredded);
    ac_start(ac, 2);
    replace_share_keys(ac);
    assert_int_equal(progress(ac, 0, "a").erased_on, 3);
    assert_true(progress(ac, 0, "a").shredded);
    ac_end(ac);
}

/* Created and deleted again: what the answer says is of the last deletion. */
static void
test_deleted_again(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(5, 1);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    ac_run_ms(ac, 3000);
    replace_share_keys(ac);
    assert_true(progress(ac, 0, "a").shredded);
    assert_int_equal(ac_create(ac, 1, "a", "two")->reply.err, OK);
    ac_run_ms(ac, 3000);
    struct ac_request *r = ac_delete(ac, 1, "a");
    assert_int_equal(r->reply.err, OK);
    assert_false(r->reply.shredded);
    assert_false(progress(ac, 0, "a").shredded);
    replace_share_keys(ac);
    assert_true(progress(ac, 0, "a").shredded);
    ac_end(ac);
}

/* A version that falls out of the kept ones is erased, too, and its bucket gets a new key. */
static void
test_version_that_fell_out(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(6, 1);
    struct old_row first;
    char value[16];
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 100);
    copy_row(ac, 1, "a", &first);
    for (unsigned i = 2; i <= VERSIONS_KEPT_MAX; i++) {
        snprintf(value, sizeof(value), "v%u", i);
        assert_int_equal(ac_update(ac, i % NODES, "a", value)->reply.err, OK);
    }
    ac_run_ms(ac, 3 * INTERVAL_MS);
    assert_true(opens(ac, 1, "a", &first));
    assert_int_equal(ac_update(ac, 0, "a", "last")->reply.err, OK);
    ac_run_ms(ac, 4 * INTERVAL_MS);
    assert_false(opens(ac, 1, "a", &first));
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "last"));
    struct request old = ac_make(REQUEST_READ, "a", NULL);
    old.version = 2;
    assert_true(ac_value_is(ac_wait(ac, ac_send(ac, 1, &old)), "v2"));
    ac_end(ac);
}

/* ---- crashes ---- */

/*
 * All three nodes die together after every so many events of a round and come back: no share of
 * what lives is lost, nothing counts before its time, and in the end what was deleted is noise.
 */
static void
crash_after(unsigned events, bool losing)
{
    struct actor_cluster *ac = cluster_with(100 + events, 1);
    struct old_row dead[NODES];
    char name[16];
    for (unsigned i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "live%u", i);
        assert_int_equal(ac_create(ac, i % NODES, name, name)->reply.err, OK);
    }
    assert_int_equal(ac_create(ac, 0, "dead", "one")->reply.err, OK);
    ac_run_ms(ac, 2500);
    for (unsigned i = 0; i < NODES; i++)
        copy_row(ac, i, "dead", &dead[i]);
    assert_int_equal(ac_delete(ac, 0, "dead")->reply.erased_on, NODES);
    /* The round begins: the first keys are being saved. */
    for (unsigned guard = 0; guard < 20000; guard++) {
        if (bucket_is_made(bucket_at(ac, 0, "dead")))
            break;
        (void)ac_step(ac, ac->now_ns + 1000000);
    }
    assert_true(bucket_is_made(bucket_at(ac, 0, "dead")));
    for (unsigned i = 0; i < events; i++)
        (void)ac_step(ac, ac->now_ns + 1000000);
    for (unsigned i = 0; i < NODES; i++)
        ac_crash_losing(ac, i, losing);
    for (unsigned i = 0; i < NODES; i++)
        ac_start(ac, i);
    ac_run_ms(ac, 2000 + 4 * INTERVAL_MS);
    for (unsigned i = 0; i < NODES; i++) {
        assert_false(opens(ac, i, "dead", &dead[i]));
        assert_int_equal(marks(ac, i), 0);
        assert_int_equal(bucket_at(ac, i, "dead")->other, 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "live%u", i);
        for (unsigned node = 0; node < NODES; node++) {
            struct old_row row;
            copy_row(ac, node, name, &row);
            assert_true(opens(ac, node, name, &row));
        }
        assert_true(ac_value_is(ac_read(ac, i % NODES, name), name));
    }
    ac_end(ac);
}

static void
test_crash_at_every_point(void **state)
{
    (void)state;
    for (unsigned events = 0; events < 120; events++)
        crash_after(events, events % 2 == 0);
    for (unsigned events = 0; events < 120; events += 3)
        crash_after(events, events % 2 == 1);
}

/* The mark is as durable as the erasure. */
static void
test_mark_survives(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(7, 4);
    struct old_row dead;
    assert_int_equal(ac_create(ac, 0, "dead", "one")->reply.err, OK);
    ac_run_ms(ac, 3 * INTERVAL_MS);
    copy_row(ac, 1, "dead", &dead);
    assert_int_equal(ac_delete(ac, 0, "dead")->reply.erased_on, NODES);
    ac_crash_losing(ac, 1, true);
    assert_int_equal(ac->nodes[1].bucket_saves, 0);
    assert_int_equal(marks(ac, 1), 1);
    ac_start(ac, 1);
    ac_run_ms(ac, 2 * INTERVAL_MS);
    assert_false(opens(ac, 1, "dead", &dead));
    assert_int_equal(marks(ac, 1), 0);
    ac_end(ac);
}

/*
 * The path row of a secret rots where nobody can hand it over: its share is sealed anew all the
 * same, and what was erased beside it does become noise.
 */
static void
test_rotten_path_row(void **state)
{
    (void)state;
    const char *const rotten[] = {"rubbish", ac_unreadable};
    for (unsigned i = 0; i < 2; i++) {
        struct actor_cluster *ac = cluster_with(30 + i, 1);
        struct old_row dead, live;
        struct row_key key;
        struct bytes value;
        struct version_row row;
        assert_int_equal(ac_create(ac, 0, "live", "one")->reply.err, OK);
        assert_int_equal(ac_create(ac, 0, "dead", "two")->reply.err, OK);
        ac_run_ms(ac, 3 * INTERVAL_MS);
        copy_row(ac, 1, "dead", &dead);
        copy_row(ac, 1, "live", &live);
        assert_int_equal(ac_delete(ac, 0, "dead")->reply.erased_on, NODES);
        for (unsigned node = 0; node < NODES; node++)
            ac_crash(ac, node);
        assert_int_equal(marks(ac, 1), 1);
        row_key_path(ac_path("live"), &key);
        ac_put(ac, 1, &key, bytes_of_text(rotten[i]));
        ac_start(ac, 1);
        ac_run_ms(ac, 20 * INTERVAL_MS);
        assert_false(opens(ac, 1, "dead", &dead));
        assert_int_equal(marks(ac, 1), 0);
        assert_false(opens(ac, 1, "live", &live)); /* under the new key, it does */
        assert_true(ac_get(ac, 1, &live.key, &value));
        assert_int_equal(version_row_decode(value, &row), OK);
        memcpy(live.sealed, row.share.data, row.share.size);
        assert_true(opens(ac, 1, "live", &live));
        ac_start(ac, 0);
        ac_start(ac, 2);
        ac_run_ms(ac, 10000);
        ac_crash(ac, 0);
        assert_true(ac_value_is(ac_read(ac, 1, "live"), "one"));
        ac_end(ac);
    }
}

/* The batch of an earlier erasure, under the key before, was committed after that of the last. */
static void
test_mark_of_an_older_key(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(10, 1);
    uint8_t older[DIRTY_VALUE_BYTES];
    struct row_key key;
    struct old_row dead;
    assert_int_equal(ac_create(ac, 0, "first", "one")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "dead", "two")->reply.err, OK);
    ac_run_ms(ac, 3 * INTERVAL_MS);
    dirty_row_encode(bucket_at(ac, 1, "dead")->generation, older);
    assert_int_equal(ac_delete(ac, 0, "first")->reply.err, OK);
    ac_run_ms(ac, 3 * INTERVAL_MS);
    assert_int_equal(marks(ac, 1), 0);
    copy_row(ac, 1, "dead", &dead);
    assert_int_equal(ac_delete(ac, 0, "dead")->reply.erased_on, NODES);
    assert_int_equal(marks(ac, 1), 1);
    row_key_dirty(0, &key);
    ac_put(ac, 1, &key, bytes_of(older, sizeof(older)));
    ac_crash(ac, 1);
    ac_start(ac, 1);
    ac_run_ms(ac, 3 * INTERVAL_MS);
    assert_false(opens(ac, 1, "dead", &dead));
    assert_int_equal(marks(ac, 1), 0);
    ac_end(ac);
}

/* The share of one node's version row, as another node would have it. */
static void
put_share_of(struct actor_cluster *ac, unsigned from, unsigned to, const char *name,
             struct old_row *out)
{
    struct ac_node *n = &ac->nodes[to];
    struct bytes value;
    struct version_row row;
    struct buf encoded = {0};
    uint8_t share[256];
    copy_row(ac, from, name, out);
    assert_true(ac_get(ac, from, &out->key, &value));
    assert_int_equal(version_row_decode(value, &row), OK);
    secret_arena_open(ac->nodes[from].secrets);
    assert_int_equal(bucket_open(bucket_at(ac, from, name), ac->nodes[from].wrap_key.data,
                                 row_key_bytes(&out->key), row.share, share),
                     OK);
    secret_arena_close(ac->nodes[from].secrets);
    secret_arena_open(n->secrets);
    struct bytes plain = bytes_of(share, row.share.size - BUCKET_SEALED_OVERHEAD_BYTES);
    assert_int_equal(bucket_seal(bucket_at(ac, to, name), n->wrap_key.data,
                                 row_key_bytes(&out->key), plain, &n->rng, out->sealed),
                     OK);
    secret_arena_close(n->secrets);
    row.share = bytes_of(out->sealed, out->size);
    assert_int_equal(version_row_encode(&row, &encoded), OK);
    ac_put(ac, to, &out->key, buf_bytes(&encoded));
    buf_close(&encoded);
}

/*
 * A node has shares of a secret that is not its own by its configuration, which may be the wrong
 * one: what is erased beside them does not take their key away.
 */
static void
test_shares_of_another_configuration(void **state)
{
    (void)state;
    struct ac_options options = {
        .nodes = 4, .shares = 3, .seed = 40, .buckets = 1, .shred_interval_ms = INTERVAL_MS};
    struct actor_cluster *ac = ac_new(&options);
    struct replicas replicas;
    struct old_row row;
    char name[8];
    ac_run_ms(ac, 1000);
    membership_replicas(node_membership(ac->nodes[0].node), ac_path("kept"), &replicas);
    unsigned other = 0;
    while (replicas_index(&replicas, (uint8_t)other) >= 0)
        other++;
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "d%u", i);
        assert_int_equal(ac_create(ac, 0, name, "x")->reply.err, OK);
    }
    assert_int_equal(ac_create(ac, 0, "kept", "one")->reply.err, OK);
    ac_run_ms(ac, 3 * INTERVAL_MS);
    put_share_of(ac, replicas.nodes[0], other, "kept", &row);
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "d%u", i);
        assert_int_equal(ac_delete(ac, 0, name)->reply.err, OK);
    }
    ac_run_ms(ac, 20 * INTERVAL_MS);
    assert_true(opens(ac, other, "kept", &row));
    assert_int_equal(marks(ac, other), 1); /* it is still to be done */
    assert_int_equal(marks(ac, replicas.nodes[0]), 0);
    ac_put(ac, other, &row.key, (struct bytes){0});
    ac_run_ms(ac, 5 * INTERVAL_MS);
    assert_false(opens(ac, other, "kept", &row));
    assert_int_equal(marks(ac, other), 0);
    ac_end(ac);
}

/* An erasure during a round waits for the next one. */
static void
test_erased_during_a_round(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(8, 1);
    struct old_row row;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "b", "two")->reply.err, OK);
    ac_run_ms(ac, 3000);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    while (!bucket_is_retiring(bucket_at(ac, 0, "a")))
        (void)ac_step(ac, ac->now_ns + 1000000);
    ac->nodes[0].bucket_save_fails = true; /* so that it lasts */
    ac_run_ms(ac, 100);
    copy_row(ac, 0, "b", &row);
    assert_int_equal(ac_delete(ac, 0, "b")->reply.err, OK);
    uint64_t during = bucket_at(ac, 0, "b")->generation;
    ac->nodes[0].bucket_save_fails = false;
    while (bucket_at(ac, 0, "b")->oldest_saved < during)
        (void)ac_step(ac, ac->now_ns + 1000000);
    ac_run_ms(ac, 1);
    assert_true(bucket_is_due(bucket_at(ac, 0, "b")));
    assert_int_equal(marks(ac, 0), 1);
    ac_run_ms(ac, 3 * INTERVAL_MS);
    assert_int_equal(marks(ac, 0), 0);
    assert_false(opens(ac, 0, "b", &row));
    ac_end(ac);
}

/* ---- lost keys ---- */

/* A file of bucket keys that was lost: the own shares are missing, never "nothing there". */
static void
test_lost_file(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with(9, 4);
    struct ac_node *n = &ac->nodes[1];
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 1);
    secret_arena_open(n->secrets);
    bucket_keys_close(&n->buckets);
    assert_int_equal(bucket_keys_init(&n->buckets, n->secrets, 4, 1000, &n->rng), OK);
    buf_close(&n->bucket_file);
    assert_int_equal(bucket_keys_encode(&n->buckets, &n->bucket_file), OK);
    secret_arena_close(n->secrets);
    ac_start(ac, 1);
    ac_run_ms(ac, 2000);
    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 2000);
    assert_int_equal(ac_read(ac, 0, "a")->reply.err, ERR_VALUE_UNAVAILABLE);
    ac_heal(ac);
    ac_run_ms(ac, 2000);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one")); /* and what is missing is repaired */
    ac_run_ms(ac, 2000);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "one"));
    ac_run_ms(ac, 2000);
    ac_crash(ac, 2);
    ac_run_ms(ac, 2000);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_deletion),
        cmocka_unit_test(test_both_are_needed),
        cmocka_unit_test(test_erased_under_the_newest_share_key),
        cmocka_unit_test(test_node_away),
        cmocka_unit_test(test_deleted_again),
        cmocka_unit_test(test_version_that_fell_out),
        cmocka_unit_test(test_crash_at_every_point),
        cmocka_unit_test(test_mark_survives),
        cmocka_unit_test(test_rotten_path_row),
        cmocka_unit_test(test_shares_of_another_configuration),
        cmocka_unit_test(test_mark_of_an_older_key),
        cmocka_unit_test(test_erased_during_a_round),
        cmocka_unit_test(test_lost_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
