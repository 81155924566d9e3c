/*
 * Stores that are lost, replaced or rolled back, and the new incarnations that take their place.
 * Those that meet a change that is under way: test_recovery_changes.c.
 */
#include "recovery_fixture.h"

#include <stdio.h>

/*
 * The change was chosen by nodes 0 and 1 alone; 1 loses its store. 2, which never saw the change,
 * and 1 are a majority, and must not forget it.
 */
static void
test_chosen_with_the_lost_store(void **state)
{
    (void)state;
    for (unsigned remembered = 0; remembered < 2; remembered++) {
        struct actor_cluster *ac = cluster(3, 1 + remembered);
        assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
        ac_run_ms(ac, 2000);
        ac_crash(ac, 2);
        assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
        lose(ac, 1, remembered);
        ac_start(ac, 2);
        ac_start(ac, 1);
        assert_true(recovers(ac, 1, 5000));
        assert_int_equal(incarnation(ac, 1), 2);
        assert_true(reads_repair(ac, "a", "two"));
        ac_crash(ac, 0);
        ac_run_ms(ac, 12000); /* floors after the restart of 2 */
        struct path_row row;
        struct head head;
        assert_true(ac_path_row(ac, 1, "a", &row, &head));
        assert_int_equal(head.version, 2);
        assert_true(ac_reads(ac, 1, "a", "two"));
        ac_end(ac);
    }
}

/* With one of the two others away nobody can say what the lost store had accepted. */
static void
test_three_nodes_need_both_others(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 3);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    ac_crash(ac, 0);
    lose(ac, 1, true);
    ac_start(ac, 1);
    assert_false(recovers(ac, 1, 10000));
    struct ac_request *r = ac_read(ac, 2, "a");
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    ac_start(ac, 0);
    assert_true(recovers(ac, 1, 5000));
    assert_true(ac_reads(ac, 1, "a", "one"));
    ac_end(ac);
}

static void
test_two_of_five(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(5, 4);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    lose(ac, 1, false);
    lose(ac, 2, true);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_start(ac, 1);
    ac_start(ac, 2);
    assert_true(recovers(ac, 1, 5000));
    assert_true(recovers(ac, 2, 5000));
    ac_run_ms(ac, 3000);
    ac_crash(ac, 0);
    ac_crash(ac, 3);
    ac_run_ms(ac, 1000);
    assert_true(ac_reads(ac, 4, "a", "two"));
    ac_end(ac);
}

/* More than n - m: nobody can hand over, every answer is an error, and the node says why. */
static void
test_too_many(void **state)
{
    (void)state;
    struct recovery_progress progress;
    struct actor_cluster *ac = cluster(3, 5);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    lose(ac, 1, true);
    lose(ac, 2, true);
    ac_start(ac, 1);
    ac_start(ac, 2);
    assert_false(recovers(ac, 1, 10000));
    assert_false(recovers(ac, 2, 100));
    node_recovery(ac->nodes[1].node, &progress);
    assert_true(progress.blocked);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ac_read(ac, i, "a")->reply.err, ERR_NO_QUORUM);
        assert_int_equal(ac_create(ac, i, "b", "x")->reply.err, ERR_NO_QUORUM);
    }
    ac_end(ac);
}

static void
test_lost_twice(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 6);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    for (uint64_t times = 1; times <= 2; times++) {
        lose(ac, 1, false);
        ac_start(ac, 1);
        assert_true(recovers(ac, 1, 5000));
        assert_int_equal(incarnation(ac, 1), 1 + times);
    }
    assert_true(ac_reads(ac, 1, "a", "one"));
    /* Once more while it still recovers, from a store that had not been handed everything. */
    lose(ac, 1, false);
    ac_start(ac, 1);
    ac_run_ms(ac, 60);
    lose(ac, 1, false);
    ac_start(ac, 1);
    assert_true(recovers(ac, 1, 5000));
    assert_true(incarnation(ac, 1) >= 4);
    assert_true(ac_reads(ac, 1, "a", "one"));
    ac_end(ac);
}

/* Of each path the first that comes is waited for, and the rest of its history with it. */
static void
test_history_without_a_sync_each(void **state)
{
    (void)state;
    enum { VERSIONS = 30 };
    struct actor_cluster *ac = cluster(3, 13);
    char value[16];
    assert_int_equal(ac_create(ac, 0, "a", "value 1")->reply.err, OK);
    for (unsigned v = 2; v <= VERSIONS; v++) {
        snprintf(value, sizeof(value), "value %u", v);
        assert_int_equal(ac_update(ac, v % 3, "a", value)->reply.err, OK);
    }
    ac_run_ms(ac, 2000);
    lose(ac, 1, true);
    uint64_t stores = ac->nodes[1].stores, syncs = ac->nodes[1].syncs;
    ac_start(ac, 1);
    struct recovery_progress progress = {.state = RECOVERY_HANDOVER};
    while (progress.state == RECOVERY_HANDOVER) {
        ac_run_ms(ac, 1);
        node_recovery(ac->nodes[1].node, &progress);
    }
    assert_in_range(ac->nodes[1].stores - stores, VERSIONS, 3 * VERSIONS);
    assert_in_range(ac->nodes[1].syncs - syncs, 2, VERSIONS / 4);
    for (unsigned s = 0; s < 60 && progress.state != RECOVERY_NONE; s++) {
        ac_run_ms(ac, 1000); /* the shares come after it */
        node_recovery(ac->nodes[1].node, &progress);
    }
    assert_int_equal(progress.state, RECOVERY_NONE);
    ac_crash(ac, 0);
    ac_run_ms(ac, 1000);
    for (unsigned v = 1; v <= VERSIONS; v++) {
        snprintf(value, sizeof(value), "value %u", v);
        struct request ask = ac_make(REQUEST_READ, "a", NULL);
        ask.version = v;
        assert_true(ac_value_is(ac_wait(ac, ac_send(ac, 1, &ask)), value));
    }
    ac_end(ac);
}

static enum ac_verdict
no_pages_of_node_2(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)to;
    return from == 2 && msg->kind == MSG_RECOVERED ? AC_DROP : AC_PASS;
}

/* What has been handed over may be lost in a crash: until that is over, nobody drops its box. */
static void
test_boxes_stay_until_all_is_handed_over(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 14);
    struct recovery_progress progress;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    ac_crash(ac, 1);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_run_ms(ac, 1000);
    lose(ac, 1, true);
    ac->filter = no_pages_of_node_2;
    ac_start(ac, 1);
    ac_run_ms(ac, 5000);
    node_recovery(ac->nodes[1].node, &progress);
    assert_int_equal(progress.state, RECOVERY_HANDOVER);
    assert_int_equal(ac_rows(ac, 1, ROW_VERSION), 2);
    assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 1);
    assert_int_equal(ac_rows(ac, 2, ROW_BOXES), 1);
    ac->filter = NULL;
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 0);
    assert_int_equal(ac_rows(ac, 2, ROW_BOXES), 0);
    ac_end(ac);
}

/* Many pages, a helper and then the node itself go down in the middle, and frames are lost. */
static void
test_crashes_in_the_middle(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 7);
    char name[16], value[16];
    for (unsigned i = 0; i < 80; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        assert_int_equal(ac_create(ac, i % 3, name, "old")->reply.err, OK);
        snprintf(value, sizeof(value), "v%u", i);
        assert_int_equal(ac_update(ac, i % 3, name, value)->reply.err, OK);
    }
    ac_run_ms(ac, 3000);
    lose(ac, 1, false);
    ac_start(ac, 1);
    ac->options.loss_permille = 100;
    ac->options.duplicate_permille = 100;
    ac_run_ms(ac, 120);
    ac_crash(ac, 0);
    ac_run_ms(ac, 40);
    ac_crash(ac, 1);
    assert_false(ac->nodes[1].node);
    ac_start(ac, 1);
    ac_run_ms(ac, 100);
    ac_start(ac, 0);
    assert_true(recovers(ac, 1, 30000));
    ac_heal(ac);
    assert_int_equal(ac_rows(ac, 1, ROW_PATH), 80);
    assert_int_equal(ac_rows(ac, 1, ROW_VERSION), 160);
    ac_crash(ac, 2);
    ac_run_ms(ac, 12000);
    for (unsigned i = 0; i < 80; i += 13) {
        snprintf(name, sizeof(name), "p%u", i);
        struct path_row row;
        struct head head;
        assert_true(ac_path_row(ac, 1, name, &row, &head));
        assert_int_equal(head.version, 2);
        assert_int_equal(ac_update(ac, 1, name, "new")->reply.err, OK);
    }
    ac_end(ac);
}

/*
 * The copy is from the same life of the process: only the sequence that the peers remember tells.
 */
static void
test_rolled_back(void **state)
{
    (void)state;
    for (unsigned noticed = 0; noticed < 2; noticed++) {
        struct actor_cluster *ac = cluster(3, 8 + noticed);
        assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
        ac_run_ms(ac, 500);
        ac_snapshot(ac, 1);
        ac_crash(ac, 2);
        assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
        ac_run_ms(ac, 600);
        ac_crash(ac, 1);
        ac_roll_back(ac, 1, noticed);
        ac_start(ac, 1);
        ac_run_ms(ac, 300);
        assert_false(ac_recovered(ac, 1));
        assert_false(node_serving(ac->nodes[1].node));
        ac_start(ac, 2);
        assert_true(recovers(ac, 1, 5000));
        assert_int_equal(incarnation(ac, 1), 2);
        assert_true(reads_repair(ac, "a", "two"));
        ac_crash(ac, 0);
        ac_run_ms(ac, 12000);
        assert_true(ac_reads(ac, 2, "a", "two"));
        ac_end(ac);
    }
}

/* A row of the path cannot be read here: no reason to do without the head that is handed over. */
static void
test_rolled_back_and_rotten(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 18);
    struct path_row row;
    struct head head;
    struct row_key key;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 500);
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    row_key_version(ROW_VERSION, ac_path("a"), 1, head.version_id, &key);
    ac_put(ac, 1, &key, bytes_of_text(ac_unreadable));
    ac_snapshot(ac, 1);
    ac_crash(ac, 2);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_run_ms(ac, 600);
    ac_crash(ac, 1);
    ac_roll_back(ac, 1, true);
    ac_start(ac, 1);
    ac_start(ac, 2);
    assert_true(recovers(ac, 1, 5000));
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    assert_int_equal(head.version, 2);
    assert_true(reads_repair(ac, "a", "two"));
    ac_run_ms(ac, 5000);
    assert_int_equal(ac_rows(ac, 1, ROW_NEED), 0);
    assert_int_equal(ac_rows(ac, 1, ROW_VERSION), 2);
    struct bytes value;
    assert_true(ac_get(ac, 1, &key, &value));
    assert_false(bytes_equal(value, bytes_of_text(ac_unreadable)));
    ac_end(ac);
}

static enum ac_verdict
no_page_of_2(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)to;
    return from == 2 && msg->kind == MSG_RECOVERED ? AC_DROP : AC_PASS;
}

/* Whoever hands a chosen head over cannot read its version: then it is known to be lacking. */
static void
test_helper_is_rotten(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 19);
    struct path_row row;
    struct head head;
    struct row_key key;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 500);
    assert_true(ac_path_row(ac, 0, "a", &row, &head));
    row_key_version(ROW_VERSION, ac_path("a"), 1, head.version_id, &key);
    ac_put(ac, 0, &key, bytes_of_text(ac_unreadable));
    ac->filter = no_page_of_2;
    lose(ac, 1, true);
    ac_start(ac, 1);
    for (unsigned i = 0; i < 3000 && !ac_path_row(ac, 1, "a", &row, &head); i++)
        ac_run_ms(ac, 1);
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_int_equal(ac_rows(ac, 1, ROW_NEED), 1);
    ac->filter = NULL;
    assert_true(recovers(ac, 1, 5000));
    ac_end(ac);
}

/* A peer that was away comes back and remembers more, when the node has served for a while. */
static void
test_noticed_late(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 10);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 500);
    ac_snapshot(ac, 1);
    ac_isolate(ac, 2, true);
    assert_int_equal(ac_create(ac, 0, "b", "one")->reply.err, OK);
    ac_run_ms(ac, 600);
    ac_isolate(ac, 0, true);
    ac_isolate(ac, 2, false);
    ac_cut(ac, 0, 2, true);
    ac_cut(ac, 2, 0, true);
    ac_crash(ac, 1);
    ac_roll_back(ac, 1, false);
    ac_start(ac, 1);
    ac_run_ms(ac, 1000);
    assert_true(node_serving(ac->nodes[1].node)); /* nobody that it hears remembers */
    assert_int_equal(incarnation(ac, 1), 1);
    ac_isolate(ac, 0, false);
    assert_true(recovers(ac, 1, 5000));
    ac_run_ms(ac, 2000);
    assert_int_equal(incarnation(ac, 1), 2);
    assert_true(ac_reads(ac, 1, "b", "one"));
    ac_end(ac);
}

/* What was deleted lies in the copy that was put back, boxes and all. It must not come back. */
static void
test_deleted_stays_deleted(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 11);
    ac_crash(ac, 2);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "b", "one")->reply.err, OK);
    ac_run_ms(ac, 100);
    assert_true(ac_rows_of(ac, 1, ROW_BOXES, "a") > 0);
    ac_snapshot(ac, 1);
    ac_start(ac, 2);
    ac_run_ms(ac, 4000);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    assert_int_equal(ac_delete(ac, 0, "b")->reply.err, OK);
    ac_run_ms(ac, 2000);
    assert_int_equal(ac_create(ac, 0, "b", "again")->reply.err, OK);
    ac_run_ms(ac, 2000);
    ac_crash(ac, 1);
    ac_roll_back(ac, 1, false);
    assert_true(ac_rows_of(ac, 1, ROW_VERSION, "a") > 0);
    ac_start(ac, 1);
    assert_true(recovers(ac, 1, 5000));
    ac_run_ms(ac, 5000);
    assert_int_equal(ac_rows_of(ac, 1, ROW_VERSION, "a"), 0);
    assert_int_equal(ac_rows_of(ac, 1, ROW_BOXES, "a"), 0);
    assert_int_equal(ac_rows_of(ac, 1, ROW_DEALING, "a"), 0);
    assert_int_equal(ac_rows_of(ac, 1, ROW_VERSION, "b"), 1);
    assert_true(is_absent(ac, 1, "a"));
    assert_true(ac_reads(ac, 1, "b", "again"));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_ERASURE), 0);
    ac_end(ac);
}

/* ---- answers of a life or an incarnation that has ended ---- */

struct held {
    struct buf frame;
    unsigned from;
};

static enum ac_verdict
hold_vote(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct held *held = context;
    if (msg->kind != MSG_VOTED || from != 1 || to != 0)
        return AC_PASS;
    if (held->frame.size == 0)
        assert_int_equal(msg_encode(msg, &held->frame), OK);
    return AC_DROP;
}

static void
test_votes_of_an_older_incarnation(void **state)
{
    (void)state;
    struct held held = {.from = 1};
    struct actor_cluster *ac = cluster(3, 13);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 1000);
    ac->filter = hold_vote;
    ac->filter_context = &held;
    ac_cut(ac, 0, 2, true);
    struct request request = ac_make(REQUEST_UPDATE, "a", "two");
    struct ac_request *r = ac_send(ac, 0, &request);
    ac_run_ms(ac, 5);
    assert_true(held.frame.size > 0);
    assert_false(r->done);
    lose(ac, 1, true);
    ac_start(ac, 1);
    ac_run_ms(ac, 250); /* node 0 has heard of the new incarnation, and waits for votes still */
    assert_int_equal(node_membership(ac->nodes[0].node)->members[1].incarnation, 2);
    assert_int_equal(ac_inject_frame(ac, 1, 0, &held.frame), OK);
    ac_run_ms(ac, 20);
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(ac, 0, "a", &row, &head));
    assert_int_equal(head.version, 1); /* nothing was proposed on the strength of that vote */
    ac_heal(ac);
    ac_wait(ac, r);
    buf_close(&held.frame);
    ac_end(ac);
}

/* A node sends these to itself alone. */
static void
test_strangers_hand_over_nothing(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 14);
    struct msg handover = {.kind = MSG_HANDOVER, .path = ac_path("a")};
    struct msg handed = {.kind = MSG_HANDED, .path = ac_path("a")};
    assert_int_equal(ac_inject(ac, 1, 0, &handover), ERR_UNEXPECTED);
    assert_int_equal(ac_inject(ac, 1, 0, &handed), ERR_UNEXPECTED);
    /* Whoever is not known to have become that incarnation is told nothing. */
    struct msg recover = {.kind = MSG_RECOVER, .u.recover.incarnation = 7};
    struct msg page = {.kind = MSG_RECOVERED, .u.recovered.incarnation = 1};
    assert_int_equal(ac_inject(ac, 1, 0, &recover), OK);
    assert_int_equal(ac_inject(ac, 1, 0, &page), OK);
    ac_run_ms(ac, 100);
    assert_int_equal(ac_rows(ac, 0, ROW_PATH), 0);
    ac_end(ac);
}

/* The floor after a restart lies an hour ahead: the clock had run away. */
static void
test_floor_of_a_runaway_clock(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 15);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac->nodes[1].skew_ms += 3600 * 1000;
    ac_run_ms(ac, 1000); /* its horizon is durable, an hour ahead */
    ac_crash(ac, 1);
    ac->nodes[1].skew_ms -= 3600 * 1000;
    ac_start(ac, 1);
    ac_run_ms(ac, 3000);
    assert_int_equal(incarnation(ac, 1), 2);
    assert_true(recovers(ac, 1, 3000));
    ac_crash(ac, 2);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_end(ac);
}

/*
 * All end at once while one clock is an hour ahead, which is right again when they start: the
 * others go on at once, and that one within seconds, whoever is first.
 */
static void
test_all_end_while_a_clock_runs_away(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 3; first++) {
        struct actor_cluster *ac = cluster(3, 21 + first);
        assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
        ac->nodes[2].skew_ms += 3600 * 1000;
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
        struct request alone = ac_make(REQUEST_UPDATE, "a", "three");
        (void)ac_send(ac, 2, &alone);
        ac_run_ms(ac, 1000); /* its horizon is durable, and so may be what it wrote alone */
        for (unsigned i = 0; i < 3; i++)
            ac_crash(ac, i);
        ac->nodes[2].skew_ms -= 3600 * 1000;
        for (unsigned i = 0; i < 3; i++) {
            ac_start(ac, (first + i) % 3);
            (void)ac_send(ac, (first + i) % 3, &alone);
            ac_run_ms(ac, 700);
        }
        assert_int_equal(ac_update(ac, 0, "a", "four")->reply.err, OK);
        assert_int_equal(ac_update(ac, 1, "a", "five")->reply.err, OK);
        assert_true(recovers(ac, 2, 5000));
        assert_int_equal(ac_update(ac, 2, "a", "six")->reply.err, OK);
        ac_end(ac);
    }
}

/* The only clock that a new incarnation has heard has run away: its floor is not taken for good. */
static void
test_page_of_a_runaway_clock(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 20);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 1000);
    ac->nodes[0].skew_ms += 3600 * 1000;
    ac_run_ms(ac, 1000);
    assert_int_not_equal(ac_update(ac, 0, "a", "x")->reply.err, OK); /* only its own vote */
    ac_crash(ac, 2);
    lose(ac, 1, true);
    ac_start(ac, 1);
    ac_run_ms(ac, 2000);
    ac_start(ac, 2);
    assert_true(recovers(ac, 1, 5000));
    ac_crash(ac, 0);
    ac_run_ms(ac, 15000);
    assert_int_equal(ac_update(ac, 2, "a", "two")->reply.err, OK);
    assert_true(ac_reads(ac, 1, "a", "two"));
    ac_end(ac);
}

/* The clocks of all had run away: shedding all floors at once would leave nobody to hand over. */
static void
test_floors_of_all(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 16);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    for (unsigned i = 0; i < 3; i++)
        ac->nodes[i].skew_ms += 120 * 1000;
    ac_run_ms(ac, 1000);
    for (unsigned i = 0; i < 3; i++) {
        ac_crash(ac, i);
        ac->nodes[i].skew_ms -= 120 * 1000;
        ac_start(ac, i);
    }
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(incarnation(ac, i), 1);
    assert_true(ac_reads(ac, 0, "a", "one"));
    ac_run_ms(ac, 75000);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chosen_with_the_lost_store),
        cmocka_unit_test(test_three_nodes_need_both_others),
        cmocka_unit_test(test_two_of_five),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_lost_twice),
        cmocka_unit_test(test_history_without_a_sync_each),
        cmocka_unit_test(test_boxes_stay_until_all_is_handed_over),
        cmocka_unit_test(test_crashes_in_the_middle),
        cmocka_unit_test(test_rolled_back),
        cmocka_unit_test(test_rolled_back_and_rotten),
        cmocka_unit_test(test_helper_is_rotten),
        cmocka_unit_test(test_noticed_late),
        cmocka_unit_test(test_deleted_stays_deleted),
        cmocka_unit_test(test_votes_of_an_older_incarnation),
        cmocka_unit_test(test_strangers_hand_over_nothing),
        cmocka_unit_test(test_floor_of_a_runaway_clock),
        cmocka_unit_test(test_all_end_while_a_clock_runs_away),
        cmocka_unit_test(test_page_of_a_runaway_clock),
        cmocka_unit_test(test_floors_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
