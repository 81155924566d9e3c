/*
 * Whole clusters of which some nodes are away, and coordinators that die: what clients see, and
 * what every node has when all are back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "actor_cluster.h"

/* ---- nodes that are away ---- */

static void
test_serves_without_a_minority(void **state)
{
    (void)state;
    for (unsigned nodes = 3; nodes <= 7; nodes += 2) {
        struct actor_cluster *ac = ac_cluster_of(nodes, 80 + nodes);
        unsigned away = nodes - (nodes / 2 + 1);
        assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
        for (unsigned i = 0; i < away; i++)
            ac_crash(ac, nodes - 1 - i);
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
        assert_int_equal(ac_update(ac, 1, "a", "two")->reply.version, 2);
        assert_int_equal(ac_create(ac, 1, "b", "other")->reply.err, OK);
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "two"));
        ac_crash(ac, 1);
        struct ac_request *r = ac_update(ac, 0, "a", "three");
        assert_int_equal(r->reply.err, ERR_NO_QUORUM);
        assert_int_equal(r->reply.phase, PHASE_VOTING);
        assert_int_equal(ac_read(ac, 0, "a")->reply.err, ERR_NO_QUORUM);
        ac_heal(ac);
        ac_run_ms(ac, 2000);
        assert_true(ac_value_is(ac_read(ac, nodes - 1, "a"), "two"));
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        ac_end(ac);
    }
}

static void
test_misses_versions_and_catches_up(void **state)
{
    (void)state;
    for (unsigned nodes = 3; nodes <= 5; nodes += 2) {
        struct actor_cluster *ac = ac_cluster_of(nodes, 90 + nodes);
        unsigned last = nodes - 1;
        char value[16];
        assert_int_equal(ac_create(ac, 0, "a", "value 1")->reply.err, OK);
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        ac_crash(ac, last);
        for (unsigned v = 2; v <= 12; v++) {
            snprintf(value, sizeof(value), "value %u", v);
            assert_int_equal(ac_update(ac, v % last, "a", value)->reply.version, v);
        }
        ac_run_ms(ac, 3000);
        assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 11);
        ac_start(ac, last);
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        assert_int_equal(ac_rows(ac, last, ROW_VERSION), 12);
        assert_int_equal(ac_rows(ac, last, ROW_DEALING), 12);
        for (unsigned i = 1; i + nodes / 2 + 1 <= nodes; i++)
            ac_crash(ac, i - 1); /* its own shares are needed now */
        for (unsigned v = 1; v <= 12; v++) {
            struct request ask = ac_make(REQUEST_READ, "a", NULL);
            snprintf(value, sizeof(value), "value %u", v);
            ask.version = v;
            assert_true(ac_value_is(ac_wait(ac, ac_send(ac, last, &ask)), value));
        }
        ac_end(ac);
    }
}

/* Two nodes away at different times, each with its own boxes in escrow. */
static void
test_two_away_in_turn(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(5, 95);
    assert_int_equal(ac_create(ac, 0, "a", "value 1")->reply.err, OK);
    ac_crash(ac, 3);
    ac_crash(ac, 4);
    for (unsigned v = 2; v <= 5; v++)
        assert_int_equal(ac_update(ac, 0, "a", "value")->reply.version, v);
    ac_start(ac, 4); /* node 3, that comes first in every row, stays away */
    ac_run_ms(ac, 10000);
    assert_int_equal(ac_rows(ac, 4, ROW_VERSION), 5);
    ac_start(ac, 3);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_int_equal(ac_rows(ac, 3, ROW_VERSION), 5);
    ac_end(ac);
}

static void
test_delete_while_a_node_is_away(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 100);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_crash(ac, 2);
    struct ac_request *r = ac_delete(ac, 0, "a");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, 2);
    assert_int_equal(r->reply.required, 2);
    assert_int_equal(r->reply.replicas, 3);
    struct request ask = ac_make(REQUEST_DELETION, "a", NULL);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.erased_on, 2);
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 2);
    ac_start(ac, 2);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 0);
    assert_int_equal(ac_rows(ac, 2, ROW_DEALING), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_read(ac, i, "a")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &ask))->reply.erased_on, 3);
    ac_end(ac);
}

/* Fewer than d left: decided, and said so with the count; the rest follows when they are back. */
static void
test_delete_decided_not_erased(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 5, .threshold = 2, .seed = 101}; /* d = 4 */
    struct actor_cluster *ac = ac_new(&options);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_crash(ac, 3);
    ac_crash(ac, 4);
    struct ac_request *r = ac_delete(ac, 0, "a");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, 3);
    assert_int_equal(r->reply.required, 4);
    assert_int_equal(ac_read(ac, 1, "a")->reply.err, ERR_NOT_FOUND);
    ac_heal(ac);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 0);
    ac_end(ac);
}

static void
test_create_after_delete_while_away(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 110);
    assert_int_equal(ac_create(ac, 0, "a", "old 1")->reply.err, OK);
    assert_int_equal(ac_update(ac, 0, "a", "old 2")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_crash(ac, 2);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    assert_int_equal(ac_create(ac, 1, "a", "new 1")->reply.err, OK);
    ac_start(ac, 2);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "new 1"));
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 1);
    ac_crash(ac, 0);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "new 1"));
    ac_end(ac);
}

/* The next create races with the erasing: the deletion is answered in time all the same. */
static void
test_create_right_after_delete(void **state)
{
    unsigned made = 0;
    (void)state;
    for (unsigned seed = 0; seed < 20; seed++) {
        struct ac_options options = {
            .nodes = 3, .seed = seed, .delay_us_min = 50, .delay_us_max = 20000};
        struct actor_cluster *ac = ac_new(&options);
        assert_int_equal(ac_create(ac, 0, "a", "old")->reply.err, OK);
        struct request delete = ac_make(REQUEST_DELETE, "a", NULL);
        struct request create = ac_make(REQUEST_CREATE, "a", "new");
        struct ac_request *d = ac_send(ac, 0, &delete);
        ac_run_ms(ac, 10 + seed);
        struct ac_request *c = ac_wait(ac, ac_send(ac, 1, &create));
        uint64_t began = ac_ms(ac);
        (void)ac_wait(ac, d);
        assert_int_equal(d->reply.err, OK);
        made += c->reply.err == OK;
        if (c->reply.err == OK) {
            /* None is counted when the deletion is found in a head that the create was built on. */
            assert_true(d->reply.erased_on == 0 || d->reply.erased_on >= 2);
            assert_true(ac_ms(ac) - began < 2000);
            assert_true(ac_value_is(ac_read(ac, 2, "a"), "new"));
        } else {
            assert_int_equal(c->reply.err, ERR_ALREADY_EXISTS);
        }
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(ac_rows(ac, i, ROW_VERSION), c->reply.err == OK);
        ac_end(ac);
    }
    assert_in_range(made, 10, 20);
}

/* ---- coordinators that die ---- */

/* Lets WRITE of one node reach only the nodes of a mask, and nothing of it afterwards. */
struct dying {
    struct actor_cluster *ac;
    unsigned node;
    uint64_t reach;
    unsigned writes;
};

static enum ac_verdict
only_some_writes(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct dying *dying = context;
    if (from != dying->node || to == from)
        return AC_PASS;
    if (msg->kind == MSG_CHOSEN)
        return AC_DROP;
    if (msg->kind != MSG_WRITE)
        return AC_PASS;
    dying->writes++;
    return dying->reach >> to & 1 ? AC_PASS : AC_DROP;
}

static void
coordinator_dies(unsigned nodes, uint64_t reach, bool losing, bool reader_next)
{
    struct actor_cluster *ac = ac_cluster_of(nodes, 120 + nodes + reach);
    struct dying dying = {ac, 0, reach, 0};
    assert_int_equal(ac_create(ac, 1, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    struct request ask = ac_make(REQUEST_UPDATE, "a", "two");
    ac->filter = only_some_writes;
    ac->filter_context = &dying;
    struct ac_request *r = ac_send(ac, 0, &ask);
    while (dying.writes == 0)
        ac_run_ms(ac, 1);
    ac_run_ms(ac, 2);
    ac_crash_losing(ac, 0, losing);
    assert_true(r->lost || r->reply.err == OK);
    bool answered = r->done;
    ac->filter = NULL;

    /* A reader may miss what a minority has accepted; once somebody has seen it, it stays. */
    uint64_t seen = 0;
    for (unsigned i = 1; reader_next && i < nodes; i++) {
        struct ac_request *read = ac_read(ac, i, "a");
        assert_true(ac_value_is(read, read->reply.version == 2 ? "two" : "one"));
        assert_in_range(read->reply.version, seen, 2);
        seen = read->reply.version;
    }
    struct ac_request *update = ac_update(ac, 2, "a", "three");
    assert_int_equal(update->reply.err, OK);
    uint64_t version = update->reply.version;
    if (answered)
        assert_int_equal(version, 3);
    else if (seen == 2)
        assert_int_equal(version, 3);
    else
        assert_in_range(version, 2, 3);
    ac_heal(ac);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < nodes; i++) {
        struct ac_request *read = ac_read(ac, i, "a");
        assert_true(ac_value_is(read, "three"));
        assert_int_equal(read->reply.version, version);
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), version);
        struct request old = ac_make(REQUEST_READ, "a", NULL);
        old.version = 2;
        assert_true(ac_value_is(ac_wait(ac, ac_send(ac, i, &old)), version == 3 ? "two" : "three"));
    }
    ac_end(ac);
}

static void
test_coordinator_dies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        coordinator_dies(3, 0, i & 1, i & 2);
        coordinator_dies(3, 1u << 1, i & 1, i & 2);
        coordinator_dies(3, 1u << 2, i & 1, i & 2);
        coordinator_dies(3, 3u << 1, i & 1, i & 2);
        coordinator_dies(5, 0, i & 1, i & 2);
        coordinator_dies(5, 1u << 2, i & 1, i & 2);
        coordinator_dies(5, 5u << 2, i & 1, i & 2);
        coordinator_dies(5, 7u << 2, i & 1, i & 2);
    }
}

/*
 * A head that one node alone has as accepted, the others as chosen: it learns so, though nobody
 * asks for the path.
 */
static enum ac_verdict
no_chosen_for_two(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    return msg->kind == MSG_CHOSEN && to == 2 ? AC_DROP : AC_PASS;
}

static void
test_missed_notice(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 130);
    struct path_row row;
    struct head head;
    ac->filter = no_chosen_for_two;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac->filter = NULL;
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_true(ac_path_row(ac, 2, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    ac_end(ac);
}

/* The same when the versions that fell out of the kept range were in the notices it missed. */
static void
test_missed_notices_of_pruned_versions(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 131);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    for (unsigned v = 2; v <= 70; v++) {
        ac->filter = v > 64 && v < 70 ? no_chosen_for_two : NULL;
        assert_int_equal(ac_update(ac, 0, "a", "next")->reply.version, v);
        ac_run_ms(ac, 30);
    }
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 64);
    ac_end(ac);
}

/*
 * A head that only node 2 has is replaced while that node is away: of the row that belongs to no
 * chain nothing is left when its number falls out.
 */
static enum ac_verdict
no_word_of_two(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    bool share = to == 2 && msg->kind == MSG_SHARE;
    return share || (from == 2 && to != 2 && msg->kind == MSG_WRITE) ? AC_DROP : AC_PASS;
}

static void
test_replaced_version_falls_out(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 132);
    struct request lost = ac_make(REQUEST_UPDATE, "a", "lost");
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac->filter = no_word_of_two;
    struct ac_request *r = ac_send(ac, 2, &lost);
    ac_run_ms(ac, 20);
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 2);
    ac_isolate(ac, 2, true);
    assert_int_equal(ac_wait(ac, r)->reply.err, ERR_NO_QUORUM);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.version, 2);
    assert_int_equal(ac_update(ac, 0, "a", "three")->reply.version, 3);
    ac_heal(ac);
    ac_run_ms(ac, 1500);
    for (unsigned v = 4; v <= 70; v++) {
        assert_int_equal(ac_update(ac, 0, "a", "next")->reply.version, v);
        ac_run_ms(ac, 60);
    }
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 64);
    ac->filter = NULL;
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 64);
    ac_end(ac);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves_without_a_minority),
        cmocka_unit_test(test_misses_versions_and_catches_up),
        cmocka_unit_test(test_two_away_in_turn),
        cmocka_unit_test(test_delete_while_a_node_is_away),
        cmocka_unit_test(test_delete_decided_not_erased),
        cmocka_unit_test(test_create_after_delete_while_away),
        cmocka_unit_test(test_create_right_after_delete),
        cmocka_unit_test(test_coordinator_dies),
        cmocka_unit_test(test_missed_notice),
        cmocka_unit_test(test_missed_notices_of_pruned_versions),
        cmocka_unit_test(test_replaced_version_falls_out),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
