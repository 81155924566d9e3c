/* A store is lost while a change is under way: unfinished, promised, or without all shares. */
#include "recovery_fixture.h"

#include "proto/alteration.h"

/* ---- an unfinished change among what is handed over ---- */

static enum ac_verdict
drop_chosen(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    (void)to;
    return msg->kind == MSG_CHOSEN || msg->kind == MSG_COMPARE ? AC_DROP : AC_PASS;
}

/* Nor does anybody finish it. */
static enum ac_verdict
drop_chosen_and_votes(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    return msg->kind == MSG_VOTE ? AC_DROP : drop_chosen(context, from, to, msg);
}

/* It is received, not accepted: it does not count as one of a majority, and is finished. */
static void
test_unfinished(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 12);
    ac->filter = drop_chosen;
    ac->maybe = &ac_votes_only;
    struct request request = ac_make(REQUEST_CREATE, "a", "one");
    (void)ac_send(ac, 0, &request);
    const uint64_t *chosen = &ac->nodes[0].metrics.counters[METRIC_changes_chosen];
    while (*chosen == 0) /* and not a step further: its own notice would be durable at once */
        assert_true(ac_step(ac, ac->now_ns + UINT64_C(1000000000)));
    ac->filter = drop_chosen_and_votes;
    ac_crash(ac, 0);
    lose(ac, 1, true);
    ac_start(ac, 1);
    ac_start(ac, 0);
    struct path_row row;
    struct head head;
    while (!ac_path_row(ac, 1, "a", &row, &head))
        ac_run_ms(ac, 1);
    assert_int_equal(row.state, STATE_RECEIVED);
    ac->filter = drop_chosen;
    assert_true(recovers(ac, 1, 5000));
    ac->filter = NULL;
    ac_run_ms(ac, 15000);
    assert_true(ac_reads(ac, 1, "a", "one"));
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_BOXES), 0);
    ac_end(ac);
}

/* ---- an unfinished change of which there is no whole copy ---- */

static enum ac_verdict
no_write_of_0(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    return from == 0 && to != 0 && msg->kind == MSG_WRITE ? AC_DROP : AC_PASS;
}

/* Node 0 alone has accepted the change when it dies, and a row of that rots. */
static void
leave_rotten(struct actor_cluster *ac, enum request_kind kind, enum row_table table, bool flipped)
{
    struct path_row row;
    struct head head;
    struct row_key key;
    struct bytes value;
    uint8_t copy[16384] = {0};
    struct request request = ac_make(kind, "a", "never");
    ac->filter = no_write_of_0;
    (void)ac_send(ac, 0, &request);
    while (!ac_path_row(ac, 0, "a", &row, &head) || row.state != STATE_ACCEPTED)
        assert_true(ac_step(ac, ac->now_ns + UINT64_C(1000000000)));
    ac_run_ms(ac, 1); /* durable by then */
    ac_crash_losing(ac, 0, false);
    ac->filter = NULL;
    assert_true(ac_path_row(ac, 0, "a", &row, &head));
    row_key_version(table, ac_path("a"), head.version, head.version_id, &key);
    assert_true(ac_get(ac, 0, &key, &value));
    assert_true(value.size <= sizeof(copy));
    memcpy(copy, value.data, value.size);
    copy[value.size / 2] ^= 1;
    ac_put(ac, 0, &key, flipped ? bytes_of(copy, value.size) : bytes_of_text(ac_unreadable));
    ac_start(ac, 0);
    ac_run_ms(ac, 600);
}

static void
no_whole_copy(enum row_table table, bool flipped)
{
    struct ac_options options = {
        .nodes = 3, .seed = 21, .scrub_rows_per_s = 200, .dealings_apart = table == ROW_DEALING};
    struct actor_cluster *ac = ac_new(&options);
    struct path_row row;
    struct head head;
    leave_rotten(ac, REQUEST_CREATE, table, flipped); /* nothing was there before */
    for (unsigned i = 0; i < 3; i++)
        assert_true(is_absent(ac, i, "a"));
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < 3; i++)
        assert_true(ac_reads(ac, i, "a", "one"));
    leave_rotten(ac, REQUEST_UPDATE, table, flipped); /* on top of one that is chosen */
    for (unsigned i = 0; i < 3; i++)
        assert_true(ac_reads(ac, i, "a", "one"));
    ac_run_ms(ac, 15000);
    assert_true(ac_path_row(ac, 0, "a", &row, &head));
    assert_int_equal(head.version, 1);
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_int_equal(ac_rows(ac, 0, ROW_VERSION), 1);
    ac_crash(ac, 1);
    assert_true(ac_reads(ac, 2, "a", "one"));
    assert_int_equal(ac_update(ac, 2, "a", "two")->reply.err, OK);
    ac_heal(ac);
    ac_end(ac);
}

/* What only one has accepted, and nobody can hand out, keeps nobody from going on without it. */
static void
test_no_whole_copy(void **state)
{
    (void)state;
    no_whole_copy(ROW_VERSION, false);
    no_whole_copy(ROW_VERSION, true);
    no_whole_copy(ROW_DEALING, false);
    no_whole_copy(ROW_DEALING, true);
    no_whole_copy(ROW_BOXES, true);
}

/* ---- what the older incarnation has promised ---- */

/*
 * Node 4, whose clock is ahead, has the votes of 1, 3 and itself; nobody but itself gets its WRITE.
 * Then node 0 cannot ask 3, nor does anybody hear that its change was chosen.
 */
static enum ac_verdict
split(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    bool asks = msg->kind == MSG_VOTE || msg->kind == MSG_WRITE;
    if (from == 4 && asks)
        return to == 0 || to == 2 || msg->kind == MSG_WRITE ? AC_DROP : AC_PASS;
    if (asks && (to == 3 || from == 3))
        return AC_DROP;
    return msg->kind == MSG_CHOSEN ? AC_DROP : AC_PASS;
}

/*
 * The older incarnation of node 1 voted at a high ballot, at which node 4 accepted. The new one
 * must not help a change at a lower ballot to be chosen, since what node 4 has would take its
 * place.
 */
static void
test_promise_of_the_lost_store(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(5, 17);
    struct path_row row;
    struct head head;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    ac->nodes[4].skew_ms += 30000;
    ac_run_ms(ac, 1000);
    ac->filter = split;
    struct request update = ac_make(REQUEST_UPDATE, "a", "of node 4");
    struct ac_request *of_4 = ac_send(ac, 4, &update);
    for (unsigned i = 0; i < 300; i++) {
        ac_run_ms(ac, 10);
        if (ac_path_row(ac, 4, "a", &row, &head) && head.version == 2)
            break;
    }
    assert_int_equal(head.version, 2);
    assert_int_equal(row.state, STATE_ACCEPTED);
    ac_isolate(ac, 4, true);
    lose(ac, 1, true);
    ac_start(ac, 1);
    assert_true(recovers(ac, 1, 5000));
    ac_wait(ac, of_4);
    update = ac_make(REQUEST_UPDATE, "a", "acknowledged");
    struct ac_request *r = ac_send(ac, 0, &update);
    while (!r->done) /* and not a step further: its own notice would reach it at once */
        assert_true(ac_step(ac, ac->now_ns + UINT64_C(1000000000)));
    assert_int_equal(r->reply.err, OK);
    ac_crash(ac, 0);
    ac->filter = NULL;
    ac_heal(ac);
    ac_run_ms(ac, 20000);
    for (unsigned i = 0; i < 5; i++)
        assert_true(ac_reads(ac, i, "a", "acknowledged"));
    ac_end(ac);
}

static enum ac_verdict
keep_writes_at_home(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    return msg->kind == MSG_WRITE && from != to ? AC_DROP : AC_PASS;
}

/*
 * While a node had another threshold it accepted a dealing of its own that nobody else would take.
 */
static void
test_dealing_of_another_configuration(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 17);
    assert_int_equal(ac_create(ac, 0, "b", "other")->reply.err, OK);
    ac->filter = keep_writes_at_home;
    ac->maybe = &ac_votes_only;
    ac->cluster.threshold = 3;
    struct request request = ac_make(REQUEST_CREATE, "a", "one");
    (void)ac_send(ac, 0, &request);
    while (ac_rows_of(ac, 0, ROW_DEALING, "a") == 0)
        ac_run_ms(ac, 1);
    ac_crash(ac, 0);
    ac->cluster.threshold = 2;
    ac->filter = NULL;
    lose(ac, 1, true);
    ac_start(ac, 0);
    ac_start(ac, 1);
    ac_run_ms(ac, 5000);
    assert_int_equal(ac_rows_of(ac, 1, ROW_DEALING, "a"), 0);
    assert_int_equal(ac_rows_of(ac, 1, ROW_DEALING, "b"), 1);
    assert_int_equal(ac_rows_of(ac, 1, ROW_PATH, "a"), 0);
    assert_true(ac_reads(ac, 1, "b", "other"));
    ac_end(ac);
}

/* ---- a share that is missing under a change ---- */

static enum ac_verdict
no_share_for_1(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    bool share = msg->kind == MSG_HELPED || msg->kind == MSG_SHARE;
    return to == 1 && (share || msg->kind == MSG_CHOSEN) ? AC_DROP : AC_PASS;
}

static bool
holds_version_1(struct actor_cluster *ac, unsigned node, const uint8_t *version_id)
{
    struct row_key key;
    struct bytes value;
    struct version_row row;
    row_key_version(ROW_VERSION, ac_path("a"), 1, version_id, &key);
    return ac_get(ac, node, &key, &value) && version_row_decode(value, &row) == OK &&
           row.share.size > 0;
}

/* Node 1 accepts the change and does not learn whether it is chosen. */
static void
accept_alone(struct actor_cluster *ac, const struct request *change, uint64_t generation)
{
    struct path_row row;
    struct head head = {0};
    (void)ac_send(ac, 0, change);
    while (!ac_path_row(ac, 1, "a", &row, &head) || head.generation != generation)
        assert_true(ac_step(ac, ac->now_ns + UINT64_C(1000000000)));
    assert_int_equal(row.state, STATE_ACCEPTED);
    ac_run_ms(ac, 1); /* durable by then */
    ac_isolate(ac, 1, true);
}

/*
 * A node that lacks the share of an older version is in the midst of a change: it is not whole for
 * that. Who took it for whole would think that one more store may be lost.
 */
static void
share_missing_under(struct request change, const struct alteration *before)
{
    struct actor_cluster *ac = ac_cluster_of(5, 31);
    struct recovery_progress progress;
    struct path_row row;
    struct head head;
    uint8_t first[ID_BYTES];
    ac_run_ms(ac, 600);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    struct request alter = ac_make(REQUEST_ALTER, "a", NULL);
    alter.alteration = before;
    if (before)
        assert_int_equal(ac_wait(ac, ac_send(ac, 0, &alter))->reply.err, OK);
    ac_run_ms(ac, 3000);
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    uint64_t generation = head.generation;
    memcpy(first, head.version_id, ID_BYTES);
    ac->filter = no_share_for_1;
    lose(ac, 1, true);
    ac_start(ac, 1);
    assert_true(recovers(ac, 1, 5000));
    assert_false(holds_version_1(ac, 1, first));
    accept_alone(ac, &change, generation + 1);
    for (unsigned i = 0; i < 45; i++) { /* two looks, and not old enough to count as unfinished */
        ac_run_ms(ac, 100);
        node_recovery(ac->nodes[1].node, &progress);
        assert_int_equal(progress.state, RECOVERY_SHARES);
    }
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    assert_int_equal(row.state, STATE_ACCEPTED);
    ac->filter = NULL;
    ac_isolate(ac, 1, false);
    for (unsigned i = 0; i < 300 && progress.state != RECOVERY_NONE; i++) {
        ac_run_ms(ac, 100);
        node_recovery(ac->nodes[1].node, &progress);
    }
    assert_int_equal(progress.state, RECOVERY_NONE);
    bool wanted = head.kind == HEAD_LIVE && head.oldest_version == 1;
    assert_int_equal(holds_version_1(ac, 1, first), wanted);
    ac_end(ac);
}

static void
test_share_missing_under_a_change(void **state)
{
    (void)state;
    share_missing_under(ac_make(REQUEST_UPDATE, "a", "two"), NULL);
    share_missing_under(ac_make(REQUEST_DELETE, "a", NULL), NULL);
}

/* The change drops the version that is lacking, and may come to nothing yet. */
static void
test_share_missing_below_a_change(void **state)
{
    (void)state;
    struct alteration one = {.has_max_versions = true, .max_versions = 1};
    share_missing_under(ac_make(REQUEST_UPDATE, "a", "two"), &one);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_no_whole_copy),
        cmocka_unit_test(test_dealing_of_another_configuration),
        cmocka_unit_test(test_promise_of_the_lost_store),
        cmocka_unit_test(test_share_missing_under_a_change),
        cmocka_unit_test(test_share_missing_below_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
