/*
 * Rows of paths that rot when nothing whole is at hand: the node forgets what it accepted there, is
 * silent about these paths alone, and has them back from enough others as a new incarnation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "actor_cluster.h"

static struct actor_cluster *
cluster(unsigned nodes, uint64_t seed)
{
    struct ac_options options = {.nodes = nodes, .seed = seed, .scrub_rows_per_s = 200};
    struct actor_cluster *ac = ac_new(&options);
    ac_run_ms(ac, 600);
    return ac;
}

/* The node is down, and stays so. */
static void
rot(struct actor_cluster *ac, unsigned node, const char *name, bool noticed_by_store)
{
    struct row_key key;
    row_key_path(ac_path(name), &key);
    ac_put(ac, node, &key, bytes_of_text(noticed_by_store ? ac_unreadable : "rubbish"));
    struct checked_path *p = checks_path(&ac->checks, ac_path(name));
    if (!p)
        return;
    p->highest[node] = (struct ballot){0};
    p->erased[node] = 0;
    for (size_t i = 0; i < p->accepted_count; i++)
        p->accepted[i].by &= ~(UINT64_C(1) << node);
}

static unsigned
in_doubt(const struct actor_cluster *ac, unsigned node)
{
    return node_membership(ac->nodes[node].node)->repair.paths_in_doubt;
}

static enum recovery_state
state_of(const struct actor_cluster *ac, unsigned node)
{
    struct recovery_progress progress;
    node_recovery(ac->nodes[node].node, &progress);
    return progress.state;
}

static bool
is_sure(struct actor_cluster *ac, unsigned node)
{
    return in_doubt(ac, node) == 0 && ac_rows(ac, node, ROW_DOUBT) == 0 &&
           state_of(ac, node) == RECOVERY_NONE;
}

static bool
becomes_sure(struct actor_cluster *ac, unsigned node, uint64_t within_ms)
{
    for (uint64_t ms = 0; ms < within_ms && !is_sure(ac, node); ms += 10)
        ac_run_ms(ac, 10);
    return is_sure(ac, node);
}

/* Neither a value nor that there is none. */
static bool
is_silent(struct actor_cluster *ac, unsigned node, const char *name)
{
    enum vault_err err = ac_read(ac, node, name)->reply.err;
    return err != OK && err != ERR_NOT_FOUND;
}

static void
comes_back(bool noticed_by_store)
{
    struct actor_cluster *ac = cluster(3, 1);
    struct path_row row;
    struct head head;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "b", "other")->reply.err, OK);
    assert_int_equal(ac_delete(ac, 0, "b")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 1);
    rot(ac, 1, "a", noticed_by_store);
    rot(ac, 1, "b", noticed_by_store);
    ac_start(ac, 1);
    ac_run_ms(ac, 1200);
    assert_true(becomes_sure(ac, 1, 10000));
    assert_int_equal(node_incarnation(ac->nodes[1].node), 2);
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_true(ac_path_row(ac, 1, "b", &row, &head));
    assert_true(row.erased);
    assert_false(node_store_damaged(ac->nodes[1].node));
    ac_crash(ac, 0);
    assert_int_equal(ac_update(ac, 2, "a", "two")->reply.err, OK);
    assert_true(ac_reads(ac, 1, "a", "two"));
    assert_int_equal(ac_create(ac, 1, "b", "new")->reply.err, OK);
    ac_heal(ac);
    ac_end(ac);
}

static void
test_comes_back(void **state)
{
    (void)state;
    comes_back(true);
    comes_back(false);
}

/*
 * With three nodes both others have to tell. Until then the node is silent on that path, after a
 * restart too, and goes on with all others.
 */
static void
test_silent_on_one_path(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 2);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "b", "other")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 1, "a", true);
    ac_start(ac, 1);
    for (unsigned i = 0; i < 2; i++) {
        ac_run_ms(ac, 8000);
        assert_int_equal(in_doubt(ac, 1), 1);
        assert_int_equal(ac_rows(ac, 1, ROW_DOUBT), 1);
        assert_int_equal(node_incarnation(ac->nodes[1].node), 2);
        assert_true(is_silent(ac, 2, "a"));
        assert_int_equal(ac_update(ac, 2, "a", "two")->reply.err, ERR_NO_QUORUM);
        assert_int_equal(ac_update(ac, 1, "b", i == 0 ? "more" : "most")->reply.err, OK);
        ac_crash(ac, 1);
        ac_start(ac, 1);
    }
    ac_start(ac, 0);
    assert_true(becomes_sure(ac, 1, 10000));
    assert_true(ac_reads(ac, 1, "a", "one"));
    assert_int_equal(ac_update(ac, 1, "a", "two")->reply.err, OK);
    assert_true(ac_reads(ac, 0, "b", "most"));
    ac_end(ac);
}

/* A node that cannot tell yet which paths are in doubt does not take itself for recovered. */
static void
test_unknown_after_a_start(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 12);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 1, "a", true);
    ac_start(ac, 1);
    ac_run_ms(ac, 8000); /* node 2 has handed it over, and node 0 is awaited */
    assert_int_equal(in_doubt(ac, 1), 1);
    ac_crash(ac, 1);
    ac->nodes[1].reads_fail = true; /* it will look again, but looks at what it has before that */
    ac_start(ac, 1);
    ac_run_ms(ac, 20);
    ac->nodes[1].reads_fail = false;
    ac_run_ms(ac, 8000);
    assert_int_equal(in_doubt(ac, 1), 1);
    assert_int_equal(state_of(ac, 1), RECOVERY_SHARES);
    ac_start(ac, 0);
    assert_true(becomes_sure(ac, 1, 10000));
    assert_true(ac_reads(ac, 1, "a", "one"));
    ac_end(ac);
}

/* What it accepted and forgot was acknowledged: nobody gets to see what was there before. */
static void
test_acknowledged_and_forgotten(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 3);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_run_ms(ac, 1500);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 1, "a", true);
    ac_isolate(ac, 2, false);
    ac_start(ac, 1);
    ac_run_ms(ac, 8000);
    assert_true(is_silent(ac, 2, "a"));
    assert_true(is_silent(ac, 1, "a"));
    ac_start(ac, 0);
    assert_true(becomes_sure(ac, 1, 10000));
    ac_crash(ac, 0);
    assert_true(ac_reads(ac, 1, "a", "two"));
    assert_true(ac_reads(ac, 2, "a", "two"));
    ac_heal(ac);
    ac_end(ac);
}

/* A lost store gets everything from a helper but the path of which the helper's row is rotten. */
static void
test_helper_with_a_rotten_path(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 4);
    char name[8];
    for (unsigned i = 0; i < 40; i++) { /* more than a page */
        snprintf(name, sizeof(name), "p%u", i);
        assert_int_equal(ac_create(ac, 0, name, "some")->reply.err, OK);
    }
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 0, "a", true);
    ac_lose_store(ac, 1, true);
    ac_start(ac, 0);
    ac_start(ac, 1);
    ac_run_ms(ac, 10000);
    assert_true(ac_recovered(ac, 1));
    assert_int_equal(in_doubt(ac, 1), 1);
    assert_int_equal(in_doubt(ac, 0), 1);
    for (unsigned i = 0; i < 3; i++) /* two of three have forgotten: more than can be made up for */
        assert_true(is_silent(ac, i, "a"));
    assert_int_equal(ac_update(ac, 2, "a", "two")->reply.err, ERR_NO_QUORUM);
    assert_int_not_equal(ac_create(ac, 1, "a", "two")->reply.err, OK);
    ac_crash(ac, 0);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        assert_true(ac_reads(ac, 1 + i % 2, name, "some"));
        assert_int_equal(ac_update(ac, 1, name, "more")->reply.err, OK);
    }
    ac_crash(ac, 1);
    ac_start(ac, 1);
    ac_start(ac, 0);
    ac_run_ms(ac, 5000);
    assert_int_equal(in_doubt(ac, 1), 1); /* that survives a restart */
    assert_true(is_silent(ac, 1, "a"));
    ac_end(ac);
}

/* With five nodes two may forget, by whatever means; each gets it back. */
static void
test_two_of_five(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(5, 5);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "b", "other")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_isolate(ac, 4, true);
    ac_isolate(ac, 3, true);
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_run_ms(ac, 1500);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 0, "a", true);
    ac_lose_store(ac, 1, true);
    ac_isolate(ac, 3, false);
    ac_isolate(ac, 4, false);
    ac_start(ac, 0);
    ac_start(ac, 1);
    ac_run_ms(ac, 3000);
    assert_true(becomes_sure(ac, 0, 20000));
    assert_true(becomes_sure(ac, 1, 20000));
    ac_crash(ac, 2);
    for (unsigned i = 0; i < 5; i++)
        assert_true(i == 2 || (ac_reads(ac, i, "a", "two") && ac_reads(ac, i, "b", "other")));
    ac_heal(ac);
    ac_end(ac);
}

/* Each of two nodes has forgotten another path: both are whole again. */
static void
test_two_paths_of_two_nodes(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 6);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "b", "other")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 0, "a", true);
    rot(ac, 1, "b", true);
    ac_start(ac, 0);
    ac_start(ac, 1);
    ac_run_ms(ac, 2000);
    assert_true(becomes_sure(ac, 0, 20000));
    assert_true(becomes_sure(ac, 1, 20000));
    ac_crash(ac, 2);
    assert_true(ac_reads(ac, 0, "a", "one"));
    assert_true(ac_reads(ac, 1, "b", "other"));
    assert_int_equal(ac_update(ac, 1, "a", "two")->reply.err, OK);
    assert_int_equal(ac_update(ac, 0, "b", "more")->reply.err, OK);
    ac_heal(ac);
    ac_end(ac);
}

/* Node 0 hears nothing more from two helpers, and one of these has nothing handed over itself. */
struct late_helpers {
    unsigned unsure, other;
    bool released;
};

static enum ac_verdict
from_two_later(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    const struct late_helpers *late = context;
    bool late_one = from == late->unsure || from == late->other;
    if (msg->kind != MSG_RECOVERED)
        return AC_PASS;
    return to == late->unsure || (to == 0 && late_one && !late->released) ? AC_DROP : AC_PASS;
}

/*
 * Of six nodes five keep "a". Three have handed it over to node 0, which has answered for it since:
 * that a fourth does not know it makes no doubt of it, which would be without a new incarnation.
 */
static void
test_unknown_to_the_last_helper(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 6, .shares = 5, .seed = 8, .scrub_rows_per_s = 200};
    struct actor_cluster *ac = ac_new(&options);
    struct late_helpers late = {0};
    struct replicas replicas;
    char name[8] = "a";
    ac_run_ms(ac, 1000);
    for (int c = 'a'; c <= 'z'; c++) {
        name[0] = (char)c;
        membership_replicas(node_membership(ac->nodes[0].node), ac_path(name), &replicas);
        if (replicas_index(&replicas, 0) >= 0 && replicas_index(&replicas, 5) < 0)
            break;
    }
    assert_true(replicas_index(&replicas, 0) >= 0 && replicas_index(&replicas, 5) < 0);
    late.unsure = 1;
    late.other = 5;
    assert_int_equal(ac_create(ac, 2, name, "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 1, name, true);
    ac_lose_store(ac, 0, true);
    ac->filter = from_two_later;
    ac->filter_context = &late;
    ac_start(ac, 0);
    ac_start(ac, 1);
    ac_run_ms(ac, 8000);
    assert_int_equal(state_of(ac, 0), RECOVERY_HANDOVER);
    assert_int_equal(in_doubt(ac, 1), 1);
    ac_crash(ac, 4);
    assert_int_equal(ac_update(ac, 2, name, "two")->reply.err, OK); /* node 0 is one of three */
    late.released = true;
    for (unsigned i = 0; i < 1000 && state_of(ac, 0) == RECOVERY_HANDOVER; i++) {
        ac_run_ms(ac, 10);
        assert_int_equal(in_doubt(ac, 0), 0);
    }
    assert_int_not_equal(state_of(ac, 0), RECOVERY_HANDOVER);
    ac->filter = NULL;
    ac_start(ac, 4);
    assert_true(becomes_sure(ac, 1, 20000));
    assert_true(ac_reads(ac, 0, name, "two"));
    ac_heal(ac);
    ac_end(ac);
}

static enum ac_verdict
no_write_of_1(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    return from == 1 && to != 1 && msg->kind == MSG_WRITE ? AC_DROP : AC_PASS;
}

static uint64_t
paths_counted(struct actor_cluster *ac, unsigned node)
{
    const struct path_count *held = &node_membership(ac->nodes[node].node)->held;
    assert_true(held->known && held->doubt == 0);
    return held->paths;
}

/* What it had accepted nobody else has: the path is as if it had never been. */
static void
test_nobody_has_it(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 7);
    struct path_row row;
    struct head head;
    struct request request = ac_make(REQUEST_CREATE, "a", "never");
    ac->filter = no_write_of_1;
    (void)ac_send(ac, 1, &request);
    while (!ac_path_row(ac, 1, "a", &row, &head))
        assert_true(ac_step(ac, ac->now_ns + UINT64_C(1000000000)));
    ac_run_ms(ac, 1);
    ac_crash_losing(ac, 1, false);
    ac->filter = NULL;
    rot(ac, 1, "a", true);
    ac_start(ac, 1);
    ac_run_ms(ac, 2000);
    assert_true(becomes_sure(ac, 1, 10000));
    assert_int_equal(ac_rows(ac, 1, ROW_PATH), 0);
    assert_int_equal(ac_rows(ac, 1, ROW_VERSION), 0);
    assert_int_equal(ac_rows(ac, 1, ROW_INDEX), 0);
    assert_int_equal(paths_counted(ac, 1), 0);
    ac_crash(ac, 0);
    assert_int_equal(ac_read(ac, 1, "a")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_create(ac, 1, "a", "one")->reply.err, OK);
    assert_true(ac_reads(ac, 2, "a", "one"));
    ac_heal(ac);
    ac_end(ac);
}

/* More rotten paths than there is room for: everything is handed over, as to a lost store. */
static void
test_too_many(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 8);
    char name[8];
    enum { PATHS = DOUBTS_MAX + 10 };
    for (unsigned i = 0; i < PATHS; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        assert_int_equal(ac_create(ac, 0, name, "some")->reply.err, OK);
    }
    ac_run_ms(ac, 3000);
    ac_crash(ac, 1);
    for (unsigned i = 0; i < PATHS; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        rot(ac, 1, name, true);
    }
    ac_start(ac, 1);
    ac_run_ms(ac, 5000);
    assert_true(becomes_sure(ac, 1, 60000));
    ac_crash(ac, 0);
    for (unsigned i = 0; i < PATHS; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        assert_true(ac_reads(ac, 1, name, "some"));
    }
    ac_heal(ac);
    ac_end(ac);
}

/*
 * Node 2 missed a deletion, or a creation, and is the first to hand the path over: what node 1 has
 * of it then is no more than it was told, and a list must not be made of that.
 */
static void
list_while_in_doubt(bool deleted)
{
    struct actor_cluster *ac = cluster(3, 30 + deleted);
    struct request list = ac_make(REQUEST_NAMES, "", NULL);
    list.limit = 10;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    if (!deleted)
        assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 2);
    struct ac_request *last = deleted ? ac_delete(ac, 0, "a") : ac_create(ac, 0, "a", "two");
    assert_int_equal(last->reply.err, OK);
    ac_run_ms(ac, 1000);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 1, "a", true);
    ac_start(ac, 2);
    ac_start(ac, 1);
    ac_run_ms(ac, 8000);
    assert_int_equal(in_doubt(ac, 1), 1);
    assert_true(is_silent(ac, 2, "a"));
    for (unsigned i = 1; i < 3; i++)
        assert_int_not_equal(ac_wait(ac, ac_send(ac, i, &list))->reply.err, OK);
    ac_start(ac, 0);
    assert_true(becomes_sure(ac, 1, 20000));
    for (unsigned i = 0; i < 3; i++) {
        struct ac_request *listed = ac_wait(ac, ac_send(ac, i, &list));
        assert_int_equal(listed->reply.err, OK);
        assert_int_equal(listed->reply.name_count, !deleted);
    }
    ac_end(ac);
}

static void
test_list_while_in_doubt(void **state)
{
    (void)state;
    list_while_in_doubt(true);
    list_while_in_doubt(false);
}

static struct ac_request *
list_page(struct actor_cluster *ac, unsigned node, const char *prefix, const char *after,
          unsigned limit)
{
    struct request list = ac_make(REQUEST_NAMES, "", NULL);
    list.names_prefix = bytes_of_text(prefix);
    list.names_after = bytes_of_text(after);
    list.limit = limit;
    return ac_wait(ac, ac_send(ac, node, &list));
}

/*
 * Node 0 has lost its store, node 1 could not hand "m" over and dies, and node 2 never had it: no
 * row of those two has the name. Pages that it does not lie in are as good as ever.
 */
static void
test_list_without_a_row(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3, 32);
    assert_int_equal(ac_create(ac, 0, "a", "first")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "x/z", "last")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 2);
    assert_int_equal(ac_create(ac, 0, "m", "one")->reply.err, OK);
    ac_run_ms(ac, 1000);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    rot(ac, 1, "m", true);
    ac_lose_store(ac, 0, true);
    for (unsigned i = 0; i < 3; i++)
        ac_start(ac, i);
    for (unsigned i = 0; i < 2000 && !ac_recovered(ac, 0); i++)
        ac_run_ms(ac, 10);
    assert_int_equal(in_doubt(ac, 0), 1);
    ac_crash(ac, 1);
    for (unsigned i = 0; i < 3; i += 2) {
        assert_int_not_equal(list_page(ac, i, "", "", 10)->reply.err, OK);
        assert_int_not_equal(list_page(ac, i, "m", "", 10)->reply.err, OK);
        assert_int_not_equal(list_page(ac, i, "", "a", 10)->reply.err, OK);
        assert_int_equal(list_page(ac, i, "x/", "", 10)->reply.name_count, 1);
        assert_int_equal(list_page(ac, i, "", "m", 10)->reply.name_count, 1);
        assert_int_equal(list_page(ac, i, "", "", 1)->reply.name_count, 1);
    }
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_silent_on_one_path),
        cmocka_unit_test(test_list_while_in_doubt),
        cmocka_unit_test(test_unknown_after_a_start),
        cmocka_unit_test(test_list_without_a_row),
        cmocka_unit_test(test_acknowledged_and_forgotten),
        cmocka_unit_test(test_helper_with_a_rotten_path),
        cmocka_unit_test(test_two_of_five),
        cmocka_unit_test(test_two_paths_of_two_nodes),
        cmocka_unit_test(test_unknown_to_the_last_helper),
        cmocka_unit_test(test_nobody_has_it),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
