/* How a coordinator reads: whom it asks and how often, and what it leaves behind. */
#include "coordinator_probe.h"

static void
test_read_asks_few_first(void **state)
{
    (void)state;
    struct probe *p = probe_new(12);
    struct ac_request *r = begin(p, REQUEST_READ, "a", NULL);
    assert_int_equal(count_of(p, MSG_READ, 1) + count_of(p, MSG_READ, 2), 1);
    ac_run_ms(p->ac, 20); /* the hedge */
    assert_int_equal(count_of(p, MSG_READ, 1), 1);
    assert_int_equal(count_of(p, MSG_READ, 2), 1);
    struct msg m = {.kind = MSG_STATE, .op = last(p, MSG_READ, 1)->op, .path = ac_path("a")};
    m.u.state.incarnations = incarnations(1, 1, 1);
    answer(p, 1, &m);
    assert_int_equal(r->reply.err, ERR_NOT_FOUND);
    probe_free(p);
}

static void
test_read_repeats_itself(void **state)
{
    (void)state;
    struct probe *p = probe_new(13);
    struct ac_request *r = begin(p, REQUEST_READ, "a", NULL);
    ac_run_ms(p->ac, 1000);
    assert_true(count_of(p, MSG_READ, 1) >= 3);
    ac_run_ms(p->ac, 4500);
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    probe_free(p);
}

/*
 * The answer to the first READ comes when it has been sent again twice: it is as good as any. Else
 * a read whose answers queue for longer than the time to ask again would never end, and asking
 * again would keep the queue as long as it is.
 */
static void
test_late_answer_to_a_read(void **state)
{
    (void)state;
    struct probe *p = probe_new(19);
    struct ac_request *r = begin(p, REQUEST_READ, "a", NULL);
    ac_run_ms(p->ac, 20);
    struct msg m = {.kind = MSG_STATE, .op = last(p, MSG_READ, 1)->op, .path = ac_path("a")};
    ac_run_ms(p->ac, 1500);
    assert_int_equal(count_of(p, MSG_READ, 1), 3); /* at once, after 250 ms, 500 ms later */
    m.u.state.incarnations = incarnations(1, 1, 1);
    answer(p, 1, &m);
    assert_true(r->done);
    assert_int_equal(r->reply.err, ERR_NOT_FOUND);
    probe_free(p);
}

/*
 * A head that is not known chosen: asked again three times, a little later each time, then
 * finished, without the caller's credential.
 */
static void
test_read_finishes_in_the_end(void **state)
{
    (void)state;
    struct probe *p = probe_new(18);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 1, REFUSED_NONE, 0);
    ac_run_ms(p->ac, 5500); /* accepted by node 0 alone */
    p->count = 0;           /* which of the others is asked first, is the round trips' choice */
    struct ac_request *r = begin(p, REQUEST_READ, "a", NULL);
    unsigned asked = 0;
    for (unsigned i = 0; i < 40 && !last(p, MSG_VOTE, 1); i++) {
        const struct msg *read = last(p, MSG_READ, 1);
        struct msg m = {.kind = MSG_STATE, .op = read ? read->op : 0, .path = ac_path("a")};
        m.u.state.incarnations = incarnations(1, 1, 1);
        asked += read != NULL;
        p->count = 0;
        if (read)
            answer(p, 1, &m);
        else
            ac_run_ms(p->ac, 1);
    }
    assert_in_range(asked, 3, 4);
    const struct msg *vote = last(p, MSG_VOTE, 1);
    assert_non_null(vote);
    assert_int_equal(vote->u.vote.purpose, CHANGE_FINISH);
    assert_int_equal(vote->u.vote.credential.size, 0);
    answer_vote(p, 1, REFUSED_NONE, 0);
    ac_run_ms(p->ac, 15);
    assert_non_null(last(p, MSG_WRITE, 1));
    answer_write(p, 1, REFUSED_NONE);
    assert_false(r->done);
    probe_free(p);
}

/* Shares of a read lie in the secrets arena only as long as the read lives. */
static void
test_no_share_is_left_behind(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 15);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    for (unsigned i = 0; i < 3; i++) /* until the node keeps the share of its own for readers */
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    ac_run_ms(ac, 1000);
    size_t before = secret_arena_free_slots(ac->nodes[0].secrets);
    for (unsigned i = 0; i < 20; i++)
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    ac_isolate(ac, 0, true);
    assert_int_equal(ac_read(ac, 0, "a")->reply.err, ERR_NO_QUORUM);
    assert_int_equal(secret_arena_free_slots(ac->nodes[0].secrets), before);
    ac_end(ac);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_asks_few_first),
        cmocka_unit_test(test_read_repeats_itself),
        cmocka_unit_test(test_late_answer_to_a_read),
        cmocka_unit_test(test_read_finishes_in_the_end),
        cmocka_unit_test(test_no_share_is_left_behind),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
