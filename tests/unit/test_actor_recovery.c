/*
 * Whole clusters in which shares and records are lost or rot while everybody lives: they come back
 * from the other replicas, blinded, and what was updated or deleted meanwhile does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "crypto/storage_key.h"

/* `state`: NULL, or how rows were made by older releases. */
static struct actor_cluster *
cluster_of(void **state, unsigned nodes, uint64_t seed, uint64_t scrub_rows_per_s)
{
    struct ac_options options = {.nodes = nodes,
                                 .seed = seed,
                                 .scrub_rows_per_s = scrub_rows_per_s,
                                 .dealings_apart = *state != NULL};
    return ac_new(&options);
}

/* ---- what is in the stores ---- */

/* Key of a version's row; the version is the head's, or an older one of its chain. */
static void
key_of(struct actor_cluster *ac, enum row_table table, uint64_t version, struct row_key *out)
{
    struct path_row row;
    struct head head;
    uint8_t id[ID_BYTES];
    unsigned node = 0; /* which must have the chain */
    assert_true(ac_path_row(ac, node, "a", &row, &head));
    memcpy(id, head.version_id, ID_BYTES);
    uint64_t latest = head.version;
    for (uint64_t v = latest; v > version; v--) {
        struct row_key key;
        struct bytes value;
        struct version_row record_row;
        struct version_record record;
        row_key_version(ROW_VERSION, ac_path("a"), v, id, &key);
        assert_true(ac_get(ac, node, &key, &value));
        assert_int_equal(version_row_decode(value, &record_row), OK);
        assert_int_equal(version_decode(record_row.record, &record), OK);
        memcpy(id, record.prev, ID_BYTES);
    }
    row_key_version(table, ac_path("a"), version, id, out);
}

static bool
dealing_of(struct actor_cluster *ac, unsigned node, uint64_t version, struct bytes *out)
{
    enum row_table table;
    struct row_key key;
    struct path path;
    uint64_t number;
    struct bytes id;
    key_of(ac, ROW_VERSION, version, &key);
    assert_int_equal(row_key_parse(row_key_bytes(&key), &table, &path, &number, &id), OK);
    return ac_dealing(ac, node, "a", version, id.data, out);
}

static bool
share_is_good(struct actor_cluster *ac, unsigned node, uint64_t version)
{
    struct ac_node *n = &ac->nodes[node];
    struct row_key key, path_key;
    struct bytes value;
    struct version_row row;
    struct dealing dealing;
    uint8_t data[2 * SECRET_BYTES_MAX];
    struct share share = {.x = (uint8_t)(node + 1)};
    key_of(ac, ROW_VERSION, version, &key);
    row_key_path(ac_path("a"), &path_key);
    if (!ac_get(ac, node, &key, &value) || version_row_decode(value, &row) != OK ||
        row.share.size <= BUCKET_SEALED_OVERHEAD_BYTES)
        return false;
    secret_arena_open(n->secrets);
    enum vault_err err =
        bucket_open(&n->buckets.buckets[bucket_of(&n->buckets, row_key_bytes(&path_key))],
                    n->wrap_key.data, row_key_bytes(&key), row.share, data);
    secret_arena_close(n->secrets);
    share.data = bytes_of(data, row.share.size - BUCKET_SEALED_OVERHEAD_BYTES);
    return err == OK && dealing_of(ac, node, version, &value) &&
           dealing_decode(value, (struct bytes){0}, &dealing) == OK &&
           dealing_share_matches(&dealing, &share);
}

/* The row is the same as at node 0, or for a version row: its share is good. */
static bool
row_is_whole(struct actor_cluster *ac, unsigned node, enum row_table table, uint64_t version)
{
    struct bytes value, other;
    if (table == ROW_VERSION)
        return share_is_good(ac, node, version);
    return dealing_of(ac, node, version, &value) && dealing_of(ac, 0, version, &other) &&
           bytes_equal(value, other);
}

/* The node's share of the version is gone, and it knows. */
static void
lose_share(struct actor_cluster *ac, unsigned node, uint64_t version)
{
    struct row_key key;
    struct bytes value;
    struct version_row row;
    struct buf encoded = {0};
    key_of(ac, ROW_VERSION, version, &key);
    assert_true(ac_get(ac, node, &key, &value));
    assert_int_equal(version_row_decode(value, &row), OK);
    row.share = (struct bytes){0};
    assert_int_equal(version_row_encode(&row, &encoded), OK);
    ac_put(ac, node, &key, buf_bytes(&encoded));
    buf_close(&encoded);
    key_of(ac, ROW_NEED, version, &key);
    ac_put(ac, node, &key, (struct bytes){0});
    assert_false(share_is_good(ac, node, version));
}

/* Of the own share, or of the dealing, wherever it lies. */
static void
flip_last_byte(struct actor_cluster *ac, unsigned node, enum row_table table, uint64_t version)
{
    struct row_key key;
    struct bytes value, part;
    struct version_row row;
    uint8_t copy[8192] = {0};
    key_of(ac, ROW_VERSION, version, &key);
    assert_true(ac_get(ac, node, &key, &value));
    assert_int_equal(version_row_decode(value, &row), OK);
    part = table == ROW_VERSION ? row.share : row.dealing;
    if (part.size == 0) {
        key_of(ac, table, version, &key);
        assert_true(ac_get(ac, node, &key, &value));
        part = value;
    }
    assert_true(part.size > 0 && value.size <= sizeof(copy));
    memcpy(copy, value.data, value.size);
    copy[(size_t)(part.data - value.data) + part.size - 1] ^= 1;
    ac_put(ac, node, &key, bytes_of(copy, value.size));
}

static uint64_t
counted(const struct actor_cluster *ac, unsigned node, enum metric which)
{
    return ac->nodes[node].metrics.counters[which];
}

/* A secret with that many versions, nothing outstanding anywhere. */
static void
prepare(struct actor_cluster *ac, unsigned versions)
{
    char value[16];
    assert_int_equal(ac_create(ac, 0, "a", "value-1")->reply.err, OK);
    for (unsigned i = 2; i <= versions; i++) {
        snprintf(value, sizeof(value), "value-%u", i);
        assert_int_equal(ac_update(ac, 0, "a", value)->reply.err, OK);
    }
    ac_run_ms(ac, 8000);
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        assert_int_equal(ac_rows(ac, i, ROW_BOXES), 0);
        assert_int_equal(ac_rows(ac, i, ROW_NEED), 0);
    }
}

/* ---- the share comes back ---- */

static void
share_comes_back(void **state, unsigned nodes, unsigned threshold)
{
    struct ac_options options = {
        .nodes = nodes, .threshold = threshold, .seed = nodes, .dealings_apart = *state != NULL};
    struct actor_cluster *ac = ac_new(&options);
    prepare(ac, 3);
    for (uint64_t version = 1; version <= 3; version++) {
        unsigned node = nodes - 1;
        lose_share(ac, node, version);
        ac_run_ms(ac, 3000);
        assert_true(share_is_good(ac, node, version));
        assert_int_equal(ac_rows(ac, node, ROW_NEED), 0);
        assert_int_equal(counted(ac, node, METRIC_shares_recovered), version);
    }
    ac_end(ac);
}

static void
test_share_comes_back(void **state)
{
    share_comes_back(state, 3, 2);
    share_comes_back(state, 4, 2);
    share_comes_back(state, 5, 3);
    share_comes_back(state, 7, 4);
}

static enum ac_verdict
count_questions(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    unsigned *questions = context;
    *questions += from == 1 && to == 0 && (msg->kind == MSG_HELP || msg->kind == MSG_DELIVER);
    return AC_PASS;
}

/* With n = k nobody can compute a lost share, so nobody is asked; the loss stays visible. */
static void
test_as_many_shares_as_needed(void **state)
{
    struct ac_options options = {
        .nodes = 2, .threshold = 2, .seed = 7, .dealings_apart = *state != NULL};
    struct actor_cluster *ac = ac_new(&options);
    unsigned questions = 0;
    prepare(ac, 1);
    ac->filter = count_questions;
    ac->filter_context = &questions;
    lose_share(ac, 1, 1);
    ac_run_ms(ac, 20000);
    const struct repair_progress *progress = &node_membership(ac->nodes[1].node)->repair;
    assert_int_equal(questions, 0);
    assert_int_equal(progress->lacking, 1);
    assert_int_equal(progress->under_way, 0);
    assert_int_equal(progress->room, SHARE_RECOVERIES_MAX);
    struct ac_request *read = ac_read(ac, 0, "a");
    assert_int_equal(read->reply.err, ERR_VALUE_UNAVAILABLE);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK); /* has shares of its own */
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "two"));
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    ac_run_ms(ac, 2000);
    assert_int_equal(ac_rows(ac, 1, ROW_NEED), 0);
    assert_int_equal(progress->lacking, 0);
    ac_end(ac);
}

/* With k others, and not with fewer. */
static void
test_needs_k_others(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 5, 1, 0);
    prepare(ac, 1);
    ac_crash(ac, 1);
    ac_crash(ac, 2);
    lose_share(ac, 4, 1);
    ac_run_ms(ac, 20000);
    assert_false(share_is_good(ac, 4, 1)); /* two others: k is 3 */
    assert_int_equal(ac_rows(ac, 4, ROW_NEED), 1);
    ac_start(ac, 2);
    ac_run_ms(ac, 20000);
    assert_true(share_is_good(ac, 4, 1));
    ac_heal(ac);
    ac_end(ac);
}

/* What nobody had noticed is found by the scrubber: a bad share, a bad dealing, a bad record. */
static void
test_scrubber_finds(void **state)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING};
    struct actor_cluster *ac = cluster_of(state, 3, 2, 200);
    struct row_key key;
    prepare(ac, 4);
    for (unsigned i = 0; i < 2; i++) {
        flip_last_byte(ac, 2, tables[i], 2);
        assert_int_equal(row_is_whole(ac, 2, tables[i], 2), false);
        ac_run_ms(ac, 10000);
        assert_true(row_is_whole(ac, 2, tables[i], 2));
        assert_true(share_is_good(ac, 2, 2));
        assert_int_equal(ac_rows(ac, 2, ROW_NEED), 0);
    }
    assert_true(counted(ac, 2, METRIC_shares_bad) == 1); /* reported once */
    assert_true(counted(ac, 2, METRIC_records_corrupt) == 1);
    assert_true(counted(ac, 2, METRIC_records_restored) == 1);
    key_of(ac, ROW_VERSION, 3, &key);
    ac_put(ac, 2, &key, bytes_of_text("rubbish"));
    ac_run_ms(ac, 10000);
    assert_true(share_is_good(ac, 2, 3));
    const struct repair_progress *progress = &node_membership(ac->nodes[2].node)->repair;
    assert_true(progress->scrub_passes >= 3);
    assert_true(progress->scrub_rows_expected > 0);
    ac_end(ac);
}

/*
 * Rows of a life that was deleted, left behind because another row could not be read when they
 * should have gone: the scrubber finds them, and whatever of them has no version row goes with the
 * need.
 */
static void
test_scrubber_clears_what_was_deleted(void **state)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING};
    struct actor_cluster *ac = cluster_of(state, 3, 4, 200);
    struct row_key keys[4];
    struct bytes value;
    struct buf copies[4] = {{0}};
    prepare(ac, 2);
    for (unsigned i = 0; i < 4; i++) {
        key_of(ac, tables[i % 2], 1 + i / 2, &keys[i]);
        assert_true(ac_get(ac, 2, &keys[i], &value));
        assert_int_equal(buf_append(&copies[i], value), OK);
    }
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "a", "another life")->reply.err, OK);
    ac_run_ms(ac, 8000);
    for (unsigned i = 0; i < 3; i++) /* of version 2 the public part alone */
        ac_put(ac, 2, &keys[i == 2 ? 3 : i], buf_bytes(&copies[i == 2 ? 3 : i]));
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes id;
    assert_int_equal(row_key_parse(row_key_bytes(&keys[3]), &table, &path, &version, &id), OK);
    row_key_version(ROW_NEED, ac_path("a"), 2, id.data, &keys[2]);
    ac_put(ac, 2, &keys[2], (struct bytes){0});
    ac_run_ms(ac, 10000);
    for (unsigned i = 0; i < 4; i++) {
        assert_false(ac_get(ac, 2, &keys[i], &value));
        buf_close(&copies[i]);
    }
    assert_true(share_is_good(ac, 2, 1));
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "another life"));
    ac_end(ac);
}

/* The row of a path that has rotted is written again from what is at hand. */
static void
test_path_row_at_hand(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 3, 3, 200);
    struct row_key key;
    struct path_row row;
    struct head head;
    prepare(ac, 1);
    row_key_path(ac_path("a"), &key);
    ac_put(ac, 1, &key, bytes_of_text("rubbish"));
    assert_false(ac_path_row(ac, 1, "a", &row, &head));
    ac_run_ms(ac, 8000);
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_false(node_store_damaged(ac->nodes[1].node));
    ac_end(ac);
}

/* A node that counts as recovered has opened its shares: one that is there and bad is no share. */
static void
test_recovered_with_good_shares(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 3, 5, 0);
    struct row_key key;
    struct bytes value;
    struct node_row row;
    struct buf encoded = {0};
    struct recovery_progress progress;
    prepare(ac, 3);
    ac_crash(ac, 1);
    flip_last_byte(ac, 1, ROW_VERSION, 2);
    row_key_meta("node", &key);
    assert_true(ac_get(ac, 1, &key, &value));
    assert_int_equal(node_row_decode(value, &row), OK);
    row.recovery = RECOVERY_SHARES;
    assert_int_equal(node_row_encode(&row, &encoded), OK);
    ac_put(ac, 1, &key, buf_bytes(&encoded));
    buf_close(&encoded);
    ac_start(ac, 1);
    for (unsigned i = 0; i < 2000; i++) {
        ac_run_ms(ac, 10);
        node_recovery(ac->nodes[1].node, &progress);
        if (progress.state == RECOVERY_NONE)
            break;
    }
    assert_int_equal(progress.state, RECOVERY_NONE);
    assert_true(share_is_good(ac, 1, 2));
    ac_end(ac);
}

/* ---- boxes ---- */

struct keeper {
    struct buf shared; /* the first SHARED of node 2 to node 0, kept back */
    bool no_share;     /* to node 2 */
};

static enum ac_verdict
keep_back(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct keeper *k = context;
    if (msg->kind == MSG_SHARE && to == 2 && k->no_share)
        return AC_DROP;
    if (msg->kind != MSG_SHARED || from != 2 || to != 0)
        return AC_PASS;
    if (k->shared.size == 0)
        assert_int_equal(msg_encode(msg, &k->shared), OK);
    return AC_DROP;
}

/* What a store said in an earlier life, before it went back, does not take a box away. */
static void
test_shared_of_an_older_life(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 3, 6, 0);
    struct keeper k = {{0}, false};
    ac->filter = keep_back;
    ac->filter_context = &k;
    ac_snapshot(ac, 2);
    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 1);
    ac_isolate(ac, 2, false);
    for (unsigned i = 0; i < 500 && k.shared.size == 0; i++)
        ac_run_ms(ac, 10);
    assert_true(k.shared.size > 0);
    k.no_share = true;
    ac_crash(ac, 2);
    ac_roll_back(ac, 2, false);
    ac_start(ac, 2);
    ac_run_ms(ac, 1000);
    assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 1);
    assert_int_equal(ac_inject_frame(ac, 2, 0, &k.shared), OK);
    ac_run_ms(ac, 200);
    assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 1);
    k.no_share = false;
    ac->filter = NULL;
    ac_run_ms(ac, 5000);
    assert_true(share_is_good(ac, 2, 1));
    assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 0);
    buf_close(&k.shared);
    ac_end(ac);
}

/* ---- meanwhile ---- */

struct meddler {
    struct actor_cluster *ac;
    bool hold; /* no answer of a helper comes through */
    unsigned dropped;
    struct msg helped; /* the last of them, to be sent later */
    struct buf memory;
    uint8_t from;
    unsigned frames; /* HELPED that came through */
    bool share_seen; /* a contribution that is the helper's share */
};

static enum ac_verdict
meddle(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct meddler *m = context;
    (void)to;
    if (msg->kind != MSG_HELPED)
        return AC_PASS;
    if (!m->hold) {
        m->frames++;
        return AC_PASS;
    }
    m->dropped++;
    ac_keep(msg, &m->memory, &m->helped);
    m->from = (uint8_t)from;
    return AC_DROP;
}

/* Node 2 has lost its share, and that many answers of its helpers are held. */
static void
hold_answers(struct meddler *m, unsigned count)
{
    prepare(m->ac, 1);
    m->ac->filter = meddle;
    m->ac->filter_context = m;
    lose_share(m->ac, 2, 1);
    for (unsigned i = 0; i < 300 && m->dropped < count; i++)
        ac_run_ms(m->ac, 10);
    assert_true(m->dropped >= count);
}

/* Contributions that are on their way while the secret is deleted find nothing to be stored for. */
static void
test_deleted_meanwhile(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 3, 5, 0);
    struct meddler m = {.ac = ac, .hold = true};
    hold_answers(&m, 2);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    m.hold = false;
    assert_int_equal(ac_inject(ac, m.from, 2, &m.helped), OK);
    ac_run_ms(ac, 5000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 0);
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 0);
        assert_int_equal(ac_rows(ac, i, ROW_NEED), 0);
    }
    assert_int_equal(counted(ac, 2, METRIC_shares_recovered), 0);
    buf_close(&m.memory);
    ac_end(ac);
}

/* Records, too, which would be stored without any row of the version being here. */
static void
test_deleted_while_records_come(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 3, 10, 0);
    struct meddler m = {.ac = ac, .hold = true};
    struct row_key key;
    prepare(ac, 1);
    ac->filter = meddle;
    ac->filter_context = &m;
    flip_last_byte(ac, 2, ROW_DEALING, 1);
    key_of(ac, ROW_NEED, 1, &key);
    ac_put(ac, 2, &key, (struct bytes){0});
    for (unsigned i = 0; i < 300 && m.dropped < 1; i++)
        ac_run_ms(ac, 10);
    assert_int_equal(m.dropped, 1);
    assert_true(m.helped.u.helped.dealing.size > 0);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    m.hold = false;
    assert_int_equal(ac_inject(ac, m.from, 2, &m.helped), OK);
    ac_run_ms(ac, 50);
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 0);
    assert_int_equal(ac_rows(ac, 2, ROW_DEALING), 0);
    ac_run_ms(ac, 5000);
    assert_int_equal(ac_rows(ac, 2, ROW_NEED), 0);
    assert_int_equal(counted(ac, 2, METRIC_records_restored), 0);
    buf_close(&m.memory);
    ac_end(ac);
}

/* An update in between: the old version is still in the chain, and comes back all the same. */
static void
test_updated_meanwhile(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 3, 6, 0);
    struct meddler m = {.ac = ac, .hold = true};
    hold_answers(&m, 2);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    m.hold = false;
    ac_run_ms(ac, 8000);
    assert_true(share_is_good(ac, 2, 1));
    assert_true(share_is_good(ac, 2, 2));
    assert_int_equal(ac_rows(ac, 2, ROW_NEED), 0);
    buf_close(&m.memory);
    ac_end(ac);
}

/* A helper that was started again has another pair key: it refuses, and is asked anew. */
static void
test_helper_restarts(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 3, 7, 0);
    struct meddler m = {.ac = ac, .hold = true};
    hold_answers(&m, 1);
    uint64_t before = pair_keys_own(node_membership(ac->nodes[0].node)->pair_keys)->id;
    ac_crash(ac, 0);
    ac_start(ac, 0);
    assert_true(pair_keys_own(node_membership(ac->nodes[0].node)->pair_keys)->id != before);
    m.hold = false;
    ac_run_ms(ac, 15000);
    assert_true(share_is_good(ac, 2, 1));
    buf_close(&m.memory);
    ac_end(ac);
}

/* ---- what a helper gives ---- */

struct answers {
    unsigned count;
    enum helped_outcome outcome;
    size_t contribution;
};

static enum ac_verdict
watch_answers(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct answers *a = context;
    (void)from;
    (void)to;
    if (msg->kind != MSG_HELPED)
        return AC_PASS;
    a->count++;
    a->outcome = msg->u.helped.outcome;
    a->contribution = msg->u.helped.contribution.size;
    return AC_PASS;
}

static struct answers
ask_for_help(struct actor_cluster *ac, unsigned from, unsigned to, uint64_t helpers, bool old_key)
{
    struct answers a = {0};
    struct path_row row;
    struct head head;
    const struct membership *ms = node_membership(ac->nodes[from].node);
    struct msg m = {.kind = MSG_HELP, .op = 77, .path = ac_path("a")};
    assert_true(ac_path_row(ac, 0, "a", &row, &head));
    m.u.help.version = head.version;
    memcpy(m.u.help.version_id, head.version_id, ID_BYTES);
    m.u.help.helpers = helpers;
    m.u.help.keys.count = (uint8_t)ac->options.nodes;
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        if (!(helpers >> i & 1))
            continue;
        m.u.help.keys.of[i] = i == from ? pair_keys_own(ms->pair_keys)->id
                                        : pair_keys_peer_id(ms->pair_keys, (uint8_t)i) + old_key;
    }
    ac->filter = watch_answers;
    /* cppcheck-suppress autoVariables ; taken out again below */
    ac->filter_context = &a;
    assert_int_equal(ac_inject(ac, from, to, &m), OK);
    ac_run_ms(ac, 50);
    ac->filter = NULL;
    return a;
}

static void
test_what_a_helper_gives(void **state)
{
    struct actor_cluster *ac = cluster_of(state, 5, 8, 0);
    prepare(ac, 1);
    struct answers a = ask_for_help(ac, 4, 1, 0x07, false); /* 0, 1, 2 for 4 */
    assert_int_equal(a.count, 1);
    assert_int_equal(a.outcome, HELPED_GIVEN);
    assert_int_equal(a.contribution, 32);
    static const uint64_t unfit[] = {0x03, 0x0f, 0x13, 0x0d, 0x10, 0x1f};
    for (unsigned i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++) {
        a = ask_for_help(ac, 4, 1, unfit[i], false);
        assert_int_equal(a.outcome, HELPED_UNFIT);
        assert_int_equal(a.contribution, 0);
    }
    a = ask_for_help(ac, 4, 1, 0x07, true);
    assert_int_equal(a.outcome, HELPED_OTHER_KEYS);
    assert_int_equal(a.contribution, 0);
    lose_share(ac, 1, 1);
    a = ask_for_help(ac, 4, 1, 0x07, false);
    assert_int_equal(a.outcome, HELPED_LACKING);
    assert_int_equal(a.contribution, 0);
    ac_run_ms(ac, 3000);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    a = ask_for_help(ac, 4, 1, 0x07, false);
    assert_int_equal(a.outcome, HELPED_NOT_IN_CHAIN);
    ac_end(ac);
}

/* ---- read repair ---- */

static enum ac_verdict
no_share(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)from;
    (void)to;
    unsigned *count = context;
    bool share = msg->kind == MSG_SHARE;
    *count += share;
    return share ? AC_DROP : AC_PASS;
}

/*
 * The answer is there whether or not the repair ever arrives; reads of old versions repair nothing.
 */
static void
test_read_repair(void **state)
{
    struct ac_options options = {
        .nodes = 4, .threshold = 2, .seed = 9, .dealings_apart = *state != NULL};
    struct actor_cluster *ac = ac_new(&options);
    unsigned shares = 0;
    struct row_key key;
    prepare(ac, 2);
    for (uint64_t version = 1; version <= 2; version++) {
        lose_share(ac, 1, version);
        key_of(ac, ROW_NEED, version, &key);
        struct store_change gone = {STORE_DELETE, row_key_bytes(&key), {0}};
        assert_int_equal(ac->nodes[1].store->ops->commit(ac->nodes[1].store, &gone, 1), OK);
    }
    ac_isolate(ac, 3, true); /* so that node 1 is among those asked */
    ac_run_ms(ac, 2000);
    ac->filter = no_share;
    ac->filter_context = &shares;
    struct request old = ac_make(REQUEST_READ, "a", NULL);
    old.version = 1;
    struct ac_request *r = ac_wait(ac, ac_send(ac, 0, &old));
    assert_true(ac_value_is(r, "value-1"));
    assert_int_equal(shares, 0);
    assert_int_equal(counted(ac, 0, METRIC_repairs_staged), 0);
    r = ac_read(ac, 0, "a");
    assert_true(ac_value_is(r, "value-2"));
    assert_true(r->ended_ns - r->began_ns < 20 * 1000000); /* and the share never came */
    assert_int_equal(shares, 1);
    assert_false(share_is_good(ac, 1, 2));
    ac->filter = NULL;
    (void)ac_read(ac, 0, "a");
    ac_run_ms(ac, 100);
    assert_true(share_is_good(ac, 1, 2));
    assert_false(share_is_good(ac, 1, 1));
    ac_heal(ac);
    ac_end(ac);
}

/* The same test in a cluster whose rows are as older releases made them. */
#define APART(test)                                                                                \
    {                                                                                              \
#test "_apart", test, NULL, NULL, &apart                                                   \
    }

int
main(void)
{
    static bool apart = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_comes_back),
        APART(test_share_comes_back),
        cmocka_unit_test(test_needs_k_others),
        APART(test_needs_k_others),
        cmocka_unit_test(test_as_many_shares_as_needed),
        APART(test_as_many_shares_as_needed),
        cmocka_unit_test(test_scrubber_finds),
        APART(test_scrubber_finds),
        APART(test_scrubber_clears_what_was_deleted),
        cmocka_unit_test(test_path_row_at_hand),
        APART(test_path_row_at_hand),
        cmocka_unit_test(test_recovered_with_good_shares),
        APART(test_recovered_with_good_shares),
        cmocka_unit_test(test_shared_of_an_older_life),
        APART(test_shared_of_an_older_life),
        cmocka_unit_test(test_deleted_meanwhile),
        APART(test_deleted_meanwhile),
        cmocka_unit_test(test_deleted_while_records_come),
        APART(test_deleted_while_records_come),
        cmocka_unit_test(test_updated_meanwhile),
        APART(test_updated_meanwhile),
        cmocka_unit_test(test_helper_restarts),
        APART(test_helper_restarts),
        cmocka_unit_test(test_what_a_helper_gives),
        APART(test_what_a_helper_gives),
        cmocka_unit_test(test_read_repair),
        APART(test_read_repair),
    };
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
