/* What one shard store promises, across restarts as well, and in which order it serves who asks. */
#include "shard_probe.h"

/* ---- promises ---- */

static void
test_promise_is_never_lowered(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(4, 2);
    struct msg high = vote(p, "a", 1, 5000), low = vote(p, "a", 1, 4000);
    assert_int_equal(vote_refusal(p, 1, &high), REFUSED_NONE);
    const struct msg *m = ask(p, 1, &low, MSG_VOTED);
    assert_int_equal(m->u.voted.refusal, REFUSED_BALLOT);
    assert_int_equal(ballot_compare(m->u.voted.beat, high.u.vote.ballot), 0);
    assert_null(ask(p, 1, &high, MSG_VOTED)); /* repeated: never a second vote */
    m = ask(p, 0, &p->writes[0], MSG_WRITTEN);
    assert_int_equal(m->u.written.refusal, REFUSED_BALLOT);
    assert_int_equal(ballot_compare(m->u.written.beat, high.u.vote.ballot), 0);
    struct msg take = chosen(&p->writes[0], true, 3);
    tell(p, 0, &take); /* a lower ballot does not undo the promise, though the head is taken */
    ac_run_ms(p->ac, 15);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(vote_refusal(p, 1, &low), REFUSED_BALLOT);
    struct msg write = p->writes[1]; /* without a vote: promises by itself */
    write.u.write.ballot =
        (struct ballot){.time = high.u.vote.ballot.time + (6 << 16), .incarnation = 1, .node = 0};
    assert_int_equal(write_refusal(p, 0, &write), REFUSED_NONE);
    high.u.vote.ballot = write.u.write.ballot;
    assert_null(ask(p, 0, &high, MSG_VOTED));
    probe_free(p);
}

/*
 * A head that is taken over from a notice is a promise as well, tombstones too; one that raises the
 * ballot of a head that is here, too.
 */
static void
test_notice_is_a_promise(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(5, 1);
    struct msg take = chosen(&p->writes[0], true, 3);
    take.u.chosen.ballot.time = (ac_wall_ms(p->ac, SELF) + 3000) << 16;
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    struct msg below = vote(p, "a", 1, 2000);
    assert_int_equal(vote_refusal(p, 1, &below), REFUSED_BALLOT);
    take.u.chosen.ballot.time = (ac_wall_ms(p->ac, SELF) + 6000) << 16;
    take.u.chosen.head = (struct bytes){0};
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    below = vote(p, "a", 1, 5000);
    assert_int_equal(vote_refusal(p, 1, &below), REFUSED_BALLOT);
    below = vote(p, "a", 1, 7000);
    assert_int_equal(vote_refusal(p, 1, &below), REFUSED_NONE);
    probe_free(p);
}

static void
test_restart_keeps_promises(void **state)
{
    (void)state;
    struct probe *p = probe_new(6, 0);
    struct msg before = vote(p, "a", 1, 5000), after;
    assert_int_equal(vote_refusal(p, 1, &before), REFUSED_NONE);
    ac_crash_losing(p->ac, SELF, true);
    ac_start(p->ac, SELF);
    ac_run_ms(p->ac, 600);
    const struct msg *m = ask(p, 1, &before, MSG_VOTED);
    assert_int_equal(m->u.voted.refusal, REFUSED_FLOOR);
    assert_true(ballot_compare(m->u.voted.beat, before.u.vote.ballot) > 0);
    assert_int_equal(m->u.voted.accepted.state, STATE_ABSENT);
    after = before;
    after.u.vote.ballot.time = m->u.voted.beat.time;
    assert_int_equal(vote_refusal(p, 1, &after), REFUSED_FLOOR);
    after.u.vote.ballot.time = m->u.voted.beat.time + 1;
    assert_int_equal(vote_refusal(p, 1, &after), REFUSED_NONE);
    probe_free(p);
}

static void
test_restart_refuses_old_writes(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(7, 1);
    ac_crash_losing(p->ac, SELF, true);
    ac_start(p->ac, SELF);
    const struct msg *m = ask(p, 0, &p->writes[0], MSG_WRITTEN); /* nobody has been heard yet */
    if (m)
        assert_int_equal(m->u.written.refusal, REFUSED_NOT_READY);
    ac_run_ms(p->ac, 600);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_FLOOR);
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    probe_free(p);
}

static uint64_t
durable_horizon_ms(struct probe *p)
{
    struct row_key key;
    struct bytes value;
    struct node_row row;
    row_key_meta("node", &key);
    assert_true(ac_get(p->ac, SELF, &key, &value));
    assert_int_equal(node_row_decode(value, &row), OK);
    return row.horizon_ms;
}

/*
 * Nothing above the horizon is promised before that is durable, though two are on their way at
 * once: the first completion says nothing of the second.
 */
static void
promises_stay_below_the_horizon(unsigned pause_ms)
{
    struct probe *p = probe_new(8 + pause_ms, 0);
    p->ac->nodes[SELF].slow_disk = true;
    struct msg near = vote(p, "a", 1, 12000), far = vote(p, "a", 1, 20000);
    struct msg between = vote(p, "a", 1, 19000);
    const struct msg *voted = NULL;
    tell(p, 1, &near);
    ac_run_ms(p->ac, pause_ms);
    tell(p, 1, &far);
    for (unsigned i = 0; i < 200 && !(voted && voted->u.voted.refusal == REFUSED_NONE); i++) {
        between.u.vote.ballot.time++;
        tell(p, 1, &between);
        (void)ac_step(p->ac, p->ac->now_ns + 1000000);
        voted = answer(p, MSG_VOTED);
    }
    assert_non_null(voted);
    assert_int_equal(voted->u.voted.refusal, REFUSED_NONE);
    ac_crash_losing(p->ac, SELF, true);
    assert_true(ballot_ms(voted->u.voted.ballot) <= durable_horizon_ms(p));
    probe_free(p);
}

static void
test_promises_stay_below_the_horizon(void **state)
{
    (void)state;
    for (unsigned pause_ms = 0; pause_ms < 30; pause_ms++)
        promises_stay_below_the_horizon(pause_ms);
    struct probe *p = probe_new(8, 0);
    struct msg far = vote(p, "a", 1, 61000);
    assert_int_equal(vote_refusal(p, 1, &far), REFUSED_DRIFT);
    probe_free(p);
}

/* What an entry that had to leave the table had promised stays promised. */
static void
test_full_table_forgets_no_promise(void **state)
{
    (void)state;
    struct probe *p = probe_new(9, 1);
    struct msg a = vote(p, "a", 1, 3000), b = vote(p, "b", 1, 1000), c = vote(p, "b", 1, 4000);
    assert_int_equal(vote_refusal(p, 1, &a), REFUSED_NONE);
    assert_int_equal(vote_refusal(p, 1, &b), REFUSED_FLOOR);
    a.u.vote.ballot.time--;
    assert_int_equal(vote_refusal(p, 1, &a), REFUSED_FLOOR);
    assert_int_equal(vote_refusal(p, 1, &c), REFUSED_NONE);
    probe_free(p);
}

/* A vote waits until the head that is being accepted is durable, and reports it. */
static void
test_vote_waits_for_the_disk(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(10, 1);
    struct msg v = vote(p, "a", 1, 3000);
    struct msg first = vote(p, "a", 1, -3000); /* the path row has been loaded */
    (void)ask(p, 1, &first, MSG_VOTED);
    ac_run_ms(p->ac, 30);
    p->ac->nodes[SELF].slow_disk = true;
    tell(p, 0, &p->writes[0]);
    assert_int_equal(ac_inject(p->ac, 1, SELF, &v), OK);
    assert_null(answer(p, MSG_WRITTEN));
    assert_null(answer(p, MSG_VOTED));
    ac_run_ms(p->ac, 60);
    const struct msg *voted = answer(p, MSG_VOTED);
    assert_non_null(answer(p, MSG_WRITTEN));
    assert_non_null(voted);
    assert_int_equal(voted->u.voted.accepted.state, STATE_ACCEPTED);
    assert_true(bytes_equal(voted->u.voted.accepted.head, p->writes[0].u.write.head));
    probe_free(p);
}

/* ---- manners ---- */

static void
test_manners(void **state)
{
    (void)state;
    struct probe *p = probe_new(11, 0);
    struct msg first = vote(p, "a", 0, 1000), second = vote(p, "a", 1, 1100);
    assert_int_equal(vote_refusal(p, 0, &first), REFUSED_NONE);
    ac_run_ms(p->ac, 30);
    first.u.vote.ballot.time += 65536 * 50;
    tell(p, 0, &first);
    ac_run_ms(p->ac, 1); /* its audit record is written */
    assert_non_null(answer(p, MSG_VOTED));
    assert_null(ask(p, 1, &second, MSG_VOTED)); /* somebody is about to write: it waits */
    ac_run_ms(p->ac, 20);
    assert_non_null(answer(p, MSG_VOTED)); /* but not for ever */
    assert_int_equal(answer(p, MSG_VOTED)->u.voted.refusal, REFUSED_NONE);
    struct msg many = vote(p, "a", 0, 2000);
    unsigned busy = 0;
    p->answer_count = 0;
    for (unsigned i = 0; i < 12; i++) {
        many.u.vote.ballot.time++;
        assert_int_equal(ac_inject(p->ac, 0, SELF, &many), OK);
    }
    for (size_t i = 0; i < p->answer_count; i++)
        busy += p->answers[i].u.voted.refusal == REFUSED_BUSY;
    assert_int_equal(busy, 12 - SHARD_PARKED_MAX);
    probe_free(p);
}

/*
 * Who waits is voted for in the order of the ballots, so nobody who waits is refused for another.
 */
static void
test_parked_in_order(void **state)
{
    (void)state;
    struct probe *p = probe_new(31, 0);
    struct msg first = vote(p, "a", 0, 1000);
    struct msg later = vote(p, "a", 1, 1300), earlier = vote(p, "a", 1, 1200);
    assert_int_equal(vote_refusal(p, 0, &first), REFUSED_NONE);
    p->answer_count = 0;
    assert_int_equal(ac_inject(p->ac, 1, SELF, &later), OK);
    assert_int_equal(ac_inject(p->ac, 1, SELF, &earlier), OK);
    assert_null(answer(p, MSG_VOTED));
    ac_run_ms(p->ac, 40);
    assert_int_equal(p->answer_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(p->answers[i].u.voted.refusal, REFUSED_NONE);
    assert_int_equal(ballot_compare(p->answers[0].u.voted.ballot, earlier.u.vote.ballot), 0);
    assert_int_equal(ballot_compare(p->answers[1].u.voted.ballot, later.u.vote.ballot), 0);
    probe_free(p);
}

/* Whoever comes too late is told to come after those who wait. */
static void
test_beat_of_those_who_wait(void **state)
{
    (void)state;
    struct probe *p = probe_new(33, 0);
    struct msg first = vote(p, "a", 0, 1000), late = vote(p, "a", 0, 900);
    struct msg waits = vote(p, "a", 1, 1300);
    assert_int_equal(vote_refusal(p, 0, &first), REFUSED_NONE);
    tell(p, 1, &waits);
    tell(p, 0, &late);
    const struct msg *m = answer(p, MSG_VOTED);
    assert_non_null(m);
    assert_int_equal(m->u.voted.refusal, REFUSED_BALLOT);
    assert_int_equal(ballot_compare(m->u.voted.beat, waits.u.vote.ballot), 0);
    ac_run_ms(p->ac, 40);
    assert_int_equal(answer(p, MSG_VOTED)->u.voted.refusal, REFUSED_NONE);
    probe_free(p);
}

/* Whoever was voted for while another waits has its own time to write. */
static void
test_manners_begin_anew(void **state)
{
    (void)state;
    struct probe *p = probe_new(32, 0);
    struct msg first = vote(p, "a", 0, 1000), again = vote(p, "a", 0, 1050);
    struct msg other = vote(p, "a", 1, 1100);
    assert_int_equal(vote_refusal(p, 0, &first), REFUSED_NONE);
    tell(p, 1, &other);
    ac_run_ms(p->ac, 4);
    tell(p, 0, &again);
    ac_run_ms(p->ac, 17);
    assert_int_equal(p->answer_count, 1); /* not the other's, though that has waited 20 ms */
    assert_int_equal(ballot_compare(p->answers[0].u.voted.ballot, again.u.vote.ballot), 0);
    ac_run_ms(p->ac, 25);
    assert_int_equal(p->answer_count, 2);
    assert_int_equal(p->answers[1].u.voted.refusal, REFUSED_NONE);
    probe_free(p);
}

static void
test_full_queue(void **state)
{
    (void)state;
    struct probe *p = probe_new(12, 0);
    unsigned busy = 0;
    /* All come while the path row is being loaded, and so are those that tell what is absent. */
    ac_crash(p->ac, SELF);
    p->ac->nodes[SELF].slow_disk = true;
    ac_start(p->ac, SELF);
    p->answer_count = 0;
    for (unsigned i = 0; i < SHARD_QUEUE_MAX + 5; i++) {
        struct msg m = {.kind = MSG_READ, .op = i, .path = ac_path("a")};
        m.u.read.credential = bytes_of_text(ac_token);
        assert_int_equal(ac_inject(p->ac, 1, SELF, &m), OK);
    }
    for (size_t i = 0; i < p->answer_count; i++)
        busy += p->answers[i].u.state.refusal == REFUSED_BUSY;
    assert_int_equal(busy, 4); /* one is in hand */
    ac_run_ms(p->ac, 100);
    assert_int_equal(p->answer_count, SHARD_QUEUE_MAX + 5);
    probe_free(p);
}

static void
test_credential_is_checked_here(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(13, 1);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    struct msg m = {.kind = MSG_READ, .path = ac_path("a")};
    m.u.read.credential = bytes_of_text("another");
    const struct msg *s = ask(p, 1, &m, MSG_STATE);
    assert_int_equal(s->u.state.refusal, REFUSED_DENIED);
    assert_int_equal(s->u.state.share.size, 0);
    struct msg list = {.kind = MSG_LIST, .path = ac_path("a")};
    list.u.list.limit = 10;
    assert_int_equal(ask(p, 1, &list, MSG_VERSIONS)->u.versions.refusal, REFUSED_DENIED);
    struct msg v = vote(p, "a", 1, 3000);
    v.u.vote.purpose = CHANGE_UPDATE;
    assert_int_equal(vote_refusal(p, 1, &v), REFUSED_DENIED);
    m.u.read.credential = bytes_of_text(ac_token);
    s = ask(p, 1, &m, MSG_STATE);
    assert_int_equal(s->u.state.refusal, REFUSED_NONE);
    assert_int_equal(s->u.state.share_state, SHARE_HELD);
    probe_free(p);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promise_is_never_lowered),
        cmocka_unit_test(test_notice_is_a_promise),
        cmocka_unit_test(test_restart_keeps_promises),
        cmocka_unit_test(test_restart_refuses_old_writes),
        cmocka_unit_test(test_promises_stay_below_the_horizon),
        cmocka_unit_test(test_full_table_forgets_no_promise),
        cmocka_unit_test(test_vote_waits_for_the_disk),
        cmocka_unit_test(test_manners),
        cmocka_unit_test(test_parked_in_order),
        cmocka_unit_test(test_manners_begin_anew),
        cmocka_unit_test(test_beat_of_those_who_wait),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_credential_is_checked_here),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
