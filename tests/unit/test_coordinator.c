/* How a coordinator makes changes: what it sends, and what it makes of the answers. */
#include <stdio.h>

#include "coordinator_probe.h"
#include "failing_rng.h"

static void
test_two_phases(void **state)
{
    (void)state;
    struct probe *p = probe_new(1);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "one");
    const struct msg *vote = last(p, MSG_VOTE, 1);
    assert_int_equal(count_of(p, MSG_VOTE, 2), 1);
    assert_int_equal(vote->u.vote.purpose, CHANGE_CREATE);
    assert_true(bytes_equal(vote->u.vote.credential, bytes_of_text(ac_token)));
    assert_true(bytes_equal(vote->request_id, bytes_of_text(r->id)));
    assert_int_equal(count_of(p, MSG_WRITE, 1), 0);
    answer_vote(p, 1, REFUSED_NONE, 0);
    const struct msg *write = last(p, MSG_WRITE, 1);
    assert_non_null(write);
    assert_non_null(last(p, MSG_WRITE, 2));
    assert_int_equal(ballot_compare(write->u.write.ballot, vote->u.vote.ballot), 0);
    assert_false(r->done); /* its own copy is one of three */
    answer_write(p, 1, REFUSED_NONE);
    assert_true(r->done);
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(count_of(p, MSG_CHOSEN, 1), 0); /* the third may still answer */
    answer_write(p, 2, REFUSED_NONE);
    const struct msg *chosen = last(p, MSG_CHOSEN, 1);
    assert_non_null(chosen);
    assert_int_equal(chosen->u.chosen.written, 7);
    assert_int_equal(chosen->u.chosen.head.size, 0);
    probe_free(p);
}

static void
test_notice_for_who_has_not_written(void **state)
{
    (void)state;
    struct probe *p = probe_new(2);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 2, REFUSED_NONE, 0);
    answer_write(p, 2, REFUSED_NONE);
    assert_int_equal(r->reply.err, OK);
    ac_run_ms(p->ac, 30);
    assert_int_equal(count_of(p, MSG_CHOSEN, 1), 0); /* a little slower costs no second notice */
    ac_run_ms(p->ac, 30);
    assert_int_equal(last(p, MSG_CHOSEN, 1)->u.chosen.written, 5);
    assert_true(
        bytes_equal(last(p, MSG_CHOSEN, 1)->u.chosen.head, last(p, MSG_WRITE, 1)->u.write.head));
    assert_int_equal(last(p, MSG_CHOSEN, 2)->u.chosen.head.size, 0);
    answer_write(p, 1, REFUSED_NONE); /* late: then all may drop their escrow */
    assert_int_equal(last(p, MSG_CHOSEN, 1)->u.chosen.written, 7);
    probe_free(p);
}

static void
test_notice_does_not_wait_for_who_is_away(void **state)
{
    (void)state;
    struct probe *p = probe_new(3);
    ac_isolate(p->ac, 1, true);
    ac_run_ms(p->ac, 3000);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 2, REFUSED_NONE, 0);
    answer_write(p, 2, REFUSED_NONE);
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(count_of(p, MSG_CHOSEN, 2), 1);
    assert_int_equal(last(p, MSG_CHOSEN, 2)->u.chosen.written, 5);
    probe_free(p);
}

static void
test_refused_votes(void **state)
{
    (void)state;
    struct probe *p = probe_new(3);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    struct ballot first = last(p, MSG_VOTE, 1)->u.vote.ballot;
    answer_vote(p, 1, REFUSED_BALLOT, 3000);
    assert_int_equal(count_of(p, MSG_VOTE, 1), 1); /* one more may still come */
    answer_vote(p, 2, REFUSED_BALLOT, 2000);
    ac_run_ms(p->ac, 10); /* up to 5 ms */
    struct ballot second = last(p, MSG_VOTE, 1)->u.vote.ballot;
    assert_true(ballot_ms(second) >= ballot_ms(first) + 3000);
    size_t votes = count_of(p, MSG_VOTE, 1);
    answer_vote(p, 1, REFUSED_FLOOR, 1000);
    struct msg m = voted(last(p, MSG_VOTE, 2), REFUSED_FLOOR, 1500);
    assert_int_equal(inject(p, 2, &m), OK); /* over a floor at once */
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes + 1);
    assert_true(ballot_ms(last(p, MSG_VOTE, 1)->u.vote.ballot) >= ballot_ms(second) + 1500);
    probe_free(p);
}

/* With one node known to be away, the refusal of another is enough to try again. */
static void
test_refusal_while_one_is_away(void **state)
{
    (void)state;
    struct probe *p = probe_new(4);
    ac_crash(p->ac, 2);
    ac_run_ms(p->ac, 1500);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    size_t votes = count_of(p, MSG_VOTE, 1);
    assert_int_equal(votes, 1);
    answer_vote(p, 1, REFUSED_BALLOT, 10);
    ac_run_ms(p->ac, 10);
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes + 1);
    answer_vote(p, 1, REFUSED_NONE, 0);
    assert_int_equal(count_of(p, MSG_WRITE, 1), 1);
    answer_write(p, 1, REFUSED_INCARNATION);
    ac_run_ms(p->ac, 10);
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes + 2);
    probe_free(p);
}

/* One is silent without being known to be away: waited for, but not for long. */
static void
test_refusal_while_one_is_silent(void **state)
{
    (void)state;
    struct probe *p = probe_new(5);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 1, REFUSED_NONE, 0);
    answer_write(p, 1, REFUSED_BALLOT);
    size_t votes = count_of(p, MSG_VOTE, 1);
    ac_run_ms(p->ac, 100);
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes);
    ac_run_ms(p->ac, 250);
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes + 1);
    ac_run_ms(p->ac, 5000);
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_WRITING); /* the first WRITE may yet be finished */
    probe_free(p);
}

/* A ballot of one clock that has run away is not followed while a majority knows nothing of it. */
static void
test_runaway_clock(void **state)
{
    (void)state;
    struct probe *p = probe_new(16);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    uint64_t first_ms = ballot_ms(last(p, MSG_VOTE, 1)->u.vote.ballot);
    answer_vote(p, 1, REFUSED_BALLOT, 3600 * 1000);
    answer_vote(p, 2, REFUSED_BALLOT, 1);
    ac_run_ms(p->ac, 20);
    assert_int_equal(count_of(p, MSG_VOTE, 2), 2);
    assert_true(ballot_ms(last(p, MSG_VOTE, 2)->u.vote.ballot) < first_ms + CLOCK_DRIFT_MS_MAX);
    probe_free(p);
}

/*
 * The same, while nobody else may vote yet, and the one that had run away says so more than once:
 * it is still one of three.
 */
static void
test_runaway_clock_alone(void **state)
{
    (void)state;
    struct probe *p = probe_new(19);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    uint64_t first_ms = ballot_ms(last(p, MSG_VOTE, 1)->u.vote.ballot);
    for (unsigned round = 0; round < 3; round++) {
        answer_vote(p, 1, REFUSED_FLOOR, 3600 * 1000);
        answer_vote(p, 1, REFUSED_FLOOR, 3600 * 1000);
        answer_vote(p, 2, REFUSED_NOT_READY, 0);
        ac_run_ms(p->ac, 500);
        assert_true(count_of(p, MSG_VOTE, 2) > round + 1);
        assert_true(ballot_ms(last(p, MSG_VOTE, 2)->u.vote.ballot) < first_ms + CLOCK_DRIFT_MS_MAX);
    }
    probe_free(p);
}

/*
 * Two of three name ballots from clocks that had run away: the one less far ahead is followed,
 * which leaves a majority, whichever of them is heard last.
 */
static void
test_two_runaway_clocks(void **state)
{
    static const uint64_t ahead_ms[] = {100 * 1000, 3600 * 1000};
    (void)state;
    for (unsigned farther = 1; farther <= 2; farther++) {
        struct probe *p = probe_new(18);
        (void)begin(p, REQUEST_CREATE, "a", "one");
        uint64_t first_ms = ballot_ms(last(p, MSG_VOTE, 1)->u.vote.ballot), second_ms;
        answer_vote(p, 1, REFUSED_FLOOR, ahead_ms[farther == 1]);
        answer_vote(p, 2, REFUSED_FLOOR, ahead_ms[farther == 2]);
        ac_run_ms(p->ac, 500); /* its own horizon has to be moved first */
        second_ms = ballot_ms(last(p, MSG_VOTE, 1)->u.vote.ballot);
        assert_true(second_ms >= first_ms + ahead_ms[0]);
        assert_true(second_ms < first_ms + ahead_ms[0] + CLOCK_DRIFT_MS_MAX);
        probe_free(p);
    }
}

/* A draw that fails stops the node, whatever the job makes of it: here the back-off of a change. */
static void
test_no_randomness(void **state)
{
    (void)state;
    struct probe *p = probe_new(17);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 1, REFUSED_BALLOT, 1);
    assert_false(node_failed(p->ac->nodes[0].node));
    p->ac->may_fail = true;
    p->ac->nodes[0].rng = no_entropy();
    answer_vote(p, 2, REFUSED_BALLOT, 1);
    assert_true(node_failed(p->ac->nodes[0].node));
    probe_free(p);
}

static bool
no_memory_for_votes(void *context, enum maybe_site site)
{
    (void)context;
    return site == MAYBE_vote_no_memory || site == MAYBE_no_offer;
}

/* What a voter said cannot be kept. Before a WRITE has left, nothing happened; after, who knows. */
static void
test_no_memory_for_a_vote(void **state)
{
    (void)state;
    static const struct maybe oracle = {NULL, no_memory_for_votes};
    struct probe *p = probe_new(15);
    p->ac->maybe = &oracle;
    struct ac_request *first = begin(p, REQUEST_CREATE, "a", "one");
    ac_run_ms(p->ac, 1);
    assert_true(first->done);
    assert_int_equal(first->reply.err, ERR_NOMEM);
    assert_int_equal(count_of(p, MSG_WRITE, 1), 0);

    p->ac->maybe = &ac_votes_only;
    struct ac_request *r = begin(p, REQUEST_CREATE, "b", "one");
    answer_vote(p, 1, REFUSED_NONE, 0);
    answer_write(p, 1, REFUSED_BALLOT);
    p->ac->maybe = &oracle;
    ac_run_ms(p->ac, 350); /* the next round, where node 0 hears its own vote */
    assert_true(r->done);
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_WRITING);
    probe_free(p);
}

/* Denied after a WRITE has left, when the caller was still let in: it may yet be finished. */
static void
test_denied_after_a_write(void **state)
{
    (void)state;
    struct probe *p = probe_new(16);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 1, REFUSED_NONE, 0);
    size_t votes = count_of(p, MSG_VOTE, 1);
    answer_write(p, 1, REFUSED_BALLOT);
    answer_write(p, 2, REFUSED_BALLOT);
    for (unsigned i = 0; i < 1000 && count_of(p, MSG_VOTE, 1) == votes; i++)
        ac_run_ms(p->ac, 1);
    answer_vote(p, 1, REFUSED_DENIED, 0);
    answer_vote(p, 2, REFUSED_DENIED, 0);
    assert_true(r->done);
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_WRITING);
    r = begin(p, REQUEST_CREATE, "b", "one"); /* nothing of this one has left */
    answer_vote(p, 1, REFUSED_DENIED, 0);
    answer_vote(p, 2, REFUSED_DENIED, 0);
    assert_int_equal(r->reply.err, ERR_NOT_READY);
    probe_free(p);
}

/* A node that has just died is silent, too: what the other one refuses is asked again soon. */
static void
test_refused_vote_while_one_is_silent(void **state)
{
    (void)state;
    struct probe *p = probe_new(21);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    size_t votes = count_of(p, MSG_VOTE, 1);
    answer_vote(p, 1, REFUSED_FLOOR, 2000);
    ac_run_ms(p->ac, 15); /* a parked vote would come after 20 */
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes);
    ac_run_ms(p->ac, 20);
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes + 1);
    /* Each round waits longer, so that a slow node is heard in the end. */
    answer_vote(p, 1, REFUSED_FLOOR, 2000);
    ac_run_ms(p->ac, 40);
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes + 1);
    answer_vote(p, 2, REFUSED_NONE, 0);
    assert_int_equal(count_of(p, MSG_WRITE, 1), 1);
    probe_free(p);
}

/* A refused WRITE, and the other node turns out to be away: no more is waited for it. */
static void
test_refused_write_while_one_dies(void **state)
{
    (void)state;
    struct probe *p = probe_new(22);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 2, REFUSED_NONE, 0);
    size_t votes = count_of(p, MSG_VOTE, 1);
    answer_write(p, 1, REFUSED_FLOOR);
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes);
    struct msg down = {.kind = MSG_PEER_DOWN, .from = 2};
    ac_deliver(p->ac, 0, ACTOR_REPAIRER, &down);
    ac_run_ms(p->ac, 40);
    assert_int_equal(count_of(p, MSG_VOTE, 1), votes + 1);
    probe_free(p);
}

static void
test_newer_incarnation(void **state)
{
    (void)state;
    struct probe *p = probe_new(6);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    struct msg vote = *last(p, MSG_VOTE, 1);
    struct msg m = voted(&vote, REFUSED_NONE, 0);
    m.u.voted.incarnations = incarnations(1, 1, 2);
    answer(p, 1, &m);
    assert_int_equal(count_of(p, MSG_WRITE, 1), 0); /* what the older one said does not count */
    assert_int_equal(count_of(p, MSG_VOTE, 1), 2);
    assert_true(ballot_compare(last(p, MSG_VOTE, 1)->u.vote.ballot, vote.u.vote.ballot) > 0);
    m = voted(&vote, REFUSED_NONE, 0);
    answer(p, 2, &m); /* of the round before */
    assert_int_equal(count_of(p, MSG_WRITE, 1), 0);
    answer_vote(p, 1, REFUSED_NONE, 0);
    assert_int_equal(last(p, MSG_WRITE, 1)->u.write.incarnations.of[2], 2);
    probe_free(p);
}

static void
test_answers_that_do_not_count(void **state)
{
    (void)state;
    struct probe *p = probe_new(7);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "one");
    struct msg m = voted(last(p, MSG_VOTE, 1), REFUSED_NONE, 0);
    m.op ^= 1 << 21;
    answer(p, 1, &m);
    m = voted(last(p, MSG_VOTE, 1), REFUSED_NONE, 0);
    m.path = ac_path("b");
    answer(p, 1, &m);
    m = voted(last(p, MSG_VOTE, 1), REFUSED_BALLOT, 1);
    answer(p, 1, &m);
    m = voted(last(p, MSG_VOTE, 1), REFUSED_NONE, 0);
    answer(p, 1, &m); /* a second answer of the same node */
    assert_int_equal(count_of(p, MSG_WRITE, 1), 0);
    answer_vote(p, 2, REFUSED_NONE, 0);
    assert_int_equal(count_of(p, MSG_WRITE, 1), 1);
    m = written(last(p, MSG_WRITE, 1), REFUSED_NONE);
    m.u.written.head_id[0] ^= 1;
    answer(p, 1, &m);
    m = written(last(p, MSG_WRITE, 1), REFUSED_NONE);
    m.u.written.ballot.time--;
    answer(p, 1, &m);
    assert_false(r->done);
    m.op = UINT64_MAX;
    answer(p, 1, &m);
    probe_free(p);
}

/* What another has begun, found here alone: the same bytes, then a round of its own. */
static void
test_finishes_first(void **state)
{
    (void)state;
    struct probe *p = probe_new(8);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 1, REFUSED_NONE, 0);
    struct msg lost = *last(p, MSG_WRITE, 1);
    ac_run_ms(p->ac, 5500); /* nobody answers; node 0 has accepted it */
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_WRITING);
    struct bytes head, boxes;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    assert_int_equal(arena_copy(&arena, lost.u.write.head, &head), OK);
    assert_int_equal(arena_copy(&arena, lost.u.write.boxes, &boxes), OK);

    p->count = 0;
    r = begin(p, REQUEST_CREATE, "a", "two");
    answer_vote(p, 1, REFUSED_NONE, 0);
    ac_run_ms(p->ac, 5);
    assert_null(last(p, MSG_WRITE, 1)); /* one vote more might show it to be chosen */
    ac_run_ms(p->ac, 10);
    const struct msg *write = last(p, MSG_WRITE, 1);
    assert_non_null(write);
    assert_true(bytes_equal(write->u.write.head, head));
    assert_true(bytes_equal(write->u.write.boxes, boxes));
    struct ballot ballot = write->u.write.ballot;
    assert_int_equal(ballot_compare(ballot, last(p, MSG_VOTE, 1)->u.vote.ballot), 0);
    answer_write(p, 1, REFUSED_NONE);
    ac_run_ms(p->ac, 5);
    assert_false(r->done);
    assert_non_null(last(p, MSG_CHOSEN, 1));
    assert_int_equal(count_of(p, MSG_VOTE, 1), 2);
    assert_true(ballot_compare(last(p, MSG_VOTE, 1)->u.vote.ballot, ballot) > 0);
    answer_vote(p, 2, REFUSED_NONE, 0);
    ac_run_ms(p->ac, 5);
    assert_true(r->done);
    assert_int_equal(r->reply.err, ERR_ALREADY_EXISTS);
    arena_close(&arena);
    probe_free(p);
}

/* What a majority leaves open may be known chosen with one vote more: nothing is written again. */
static void
test_one_vote_more(void **state)
{
    (void)state;
    struct probe *p = probe_new(33);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 1, REFUSED_NONE, 0);
    struct msg lost = *last(p, MSG_WRITE, 1);
    struct arena arena;
    struct bytes head;
    arena_init(&arena, 1 << 20);
    assert_int_equal(arena_copy(&arena, lost.u.write.head, &head), OK);
    ac_run_ms(p->ac, 5500);
    assert_true(r->done);
    p->count = 0;
    r = begin(p, REQUEST_CREATE, "a", "two");
    answer_vote(p, 1, REFUSED_NONE, 0);
    struct msg m = voted(last(p, MSG_VOTE, 2), REFUSED_NONE, 0);
    m.u.voted.accepted.ballot = lost.u.write.ballot;
    m.u.voted.accepted.state = STATE_ACCEPTED;
    m.u.voted.accepted.head = head;
    answer(p, 2, &m);
    ac_run_ms(p->ac, 5);
    assert_true(r->done);
    assert_int_equal(r->reply.err, ERR_ALREADY_EXISTS);
    assert_null(last(p, MSG_WRITE, 1));
    arena_close(&arena);
    probe_free(p);
}

/*
 * A vote does not count when its voter has become a newer incarnation, whoever has told it: not
 * even where it came before, and one vote more was waited for meanwhile.
 */
static void
test_newer_incarnation_while_waiting(void **state)
{
    (void)state;
    struct probe *p = probe_new(34);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    answer_vote(p, 1, REFUSED_NONE, 0);
    ac_run_ms(p->ac, 5500);
    p->count = 0;
    (void)begin(p, REQUEST_CREATE, "a", "two");
    struct ballot ballot = last(p, MSG_VOTE, 1)->u.vote.ballot;
    answer_vote(p, 1, REFUSED_NONE, 0);
    ac_run_ms(p->ac, 5);
    assert_int_equal(count_of(p, MSG_VOTE, 1), 1);
    const struct membership *ms = node_membership(p->ac->nodes[0].node);
    membership_renew((struct member *)&ms->members[1], 2); /* as a heartbeat would */
    ac_run_ms(p->ac, 15);
    assert_null(last(p, MSG_WRITE, 1));
    assert_null(last(p, MSG_WRITE, 2));
    assert_int_equal(count_of(p, MSG_VOTE, 1), 2);
    assert_true(ballot_compare(last(p, MSG_VOTE, 1)->u.vote.ballot, ballot) > 0);
    probe_free(p);
}

/* Changes of one path at one node stand in line; one whose turn never comes has changed nothing. */
static void
test_line(void **state)
{
    (void)state;
    struct probe *p = probe_new(9);
    struct ac_request *first = begin(p, REQUEST_CREATE, "a", "one");
    struct ac_request *second = begin(p, REQUEST_UPDATE, "a", "two");
    struct ac_request *third = begin(p, REQUEST_UPDATE, "a", "three");
    assert_int_equal(count_of(p, MSG_VOTE, 1), 1);
    answer_vote(p, 1, REFUSED_NONE, 0);
    assert_int_equal(count_of(p, MSG_VOTE, 1), 1);
    answer_write(p, 1, REFUSED_NONE);
    assert_int_equal(first->reply.err, OK);
    assert_int_equal(count_of(p, MSG_VOTE, 1), 2);
    ac_run_ms(p->ac, 6000);
    assert_int_equal(second->reply.err, ERR_NO_QUORUM);
    assert_int_equal(second->reply.phase, PHASE_VOTING);
    assert_true(third->done);
    assert_true(third->reply.err == ERR_CONTENDED || third->reply.phase == PHASE_VOTING);
    probe_free(p);
}

static void
test_too_many_requests(void **state)
{
    (void)state;
    struct probe *p = probe_new(10);
    struct ac_request *r[5];
    char name[8];
    for (unsigned i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        r[i] = begin(p, REQUEST_CREATE, name, "x");
    }
    assert_true(r[4]->done);
    assert_int_equal(r[4]->reply.err, ERR_BUSY);
    assert_int_equal(r[4]->reply.retry_after_ms, 1000);
    assert_false(r[3]->done);
    ac_run_ms(p->ac, 5500);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(r[i]->reply.err, ERR_NO_QUORUM);
    assert_int_equal(node_in_flight(p->ac->nodes[0].node), 0);
    probe_free(p);
}

/* By a majority, while this node lets the caller in: who is right is not known, so nothing is said
 * of the secret. */
static void
test_denied(void **state)
{
    (void)state;
    struct probe *p = probe_new(11);
    struct ac_request *r = begin(p, REQUEST_UPDATE, "a", "x");
    answer_vote(p, 1, REFUSED_DENIED, 0);
    assert_false(r->done);
    answer_vote(p, 2, REFUSED_DENIED, 0);
    assert_int_equal(r->reply.err, ERR_NOT_READY);
    probe_free(p);
}

/* As if the caller's credential had been taken away, here and now. */
static void
take_away(struct probe *p)
{
    struct membership *ms = (struct membership *)node_membership(p->ac->nodes[0].node);
    memset(((struct cluster *)ms->cluster)->admin_token_hash, 0, HASH_BYTES);
    ms->records->admin.known = false;
}

/* Denied by a majority, and here too by now: that is the answer. */
static void
test_denied_everywhere(void **state)
{
    (void)state;
    struct probe *p = probe_new(12);
    struct ac_request *r = begin(p, REQUEST_UPDATE, "a", "x");
    take_away(p);
    answer_vote(p, 1, REFUSED_DENIED, 0);
    answer_vote(p, 2, REFUSED_DENIED, 0);
    assert_int_equal(r->reply.err, ERR_UNAUTHENTICATED);
    probe_free(p);
}

/* Votes were given while the caller might still, and come when it may not any more. */
static void
test_right_gone_since_the_vote(void **state)
{
    (void)state;
    struct probe *p = probe_new(35);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "x");
    take_away(p);
    answer_vote(p, 1, REFUSED_NONE, 0);
    assert_null(last(p, MSG_WRITE, 1));
    assert_null(last(p, MSG_WRITE, 2));
    assert_int_equal(r->reply.err, ERR_UNAUTHENTICATED);
    probe_free(p);
}

/* A WRITE left before, so nobody can say that nothing happened; nor does another one leave. */
static void
test_right_gone_since_the_write(void **state)
{
    (void)state;
    struct probe *p = probe_new(36);
    struct ac_request *r = begin(p, REQUEST_CREATE, "a", "x");
    answer_vote(p, 1, REFUSED_NONE, 0);
    assert_int_equal(count_of(p, MSG_WRITE, 1), 1);
    answer_write(p, 1, REFUSED_BALLOT);
    answer_write(p, 2, REFUSED_BALLOT);
    take_away(p);
    ac_run_ms(p->ac, 200);
    size_t written = count_of(p, MSG_WRITE, 1);
    struct msg m = voted(last(p, MSG_VOTE, 1), REFUSED_NONE, 0);
    answer(p, 1, &m);
    answer_vote(p, 2, REFUSED_NONE, 0);
    ac_run_ms(p->ac, 6000);
    assert_int_equal(count_of(p, MSG_WRITE, 1), written);
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_WRITING);
    probe_free(p);
}

/* A restarted node issues no ballot that it may have issued before. */
static void
test_ballots_after_a_restart(void **state)
{
    (void)state;
    struct probe *p = probe_new(16);
    (void)begin(p, REQUEST_CREATE, "a", "one");
    struct row_key key;
    struct bytes value;
    struct node_row row;
    row_key_meta("node", &key);
    assert_true(ac_get(p->ac, 0, &key, &value));
    assert_int_equal(node_row_decode(value, &row), OK);
    ac_crash_losing(p->ac, 0, true);
    p->ac->nodes[0].skew_ms = -4000; /* and its clock was set back */
    p->count = 0;
    ac_start(p->ac, 0);
    ac_run_ms(p->ac, 600);
    (void)begin(p, REQUEST_CREATE, "a", "two");
    assert_non_null(last(p, MSG_VOTE, 1));
    assert_true(ballot_ms(last(p, MSG_VOTE, 1)->u.vote.ballot) > row.horizon_ms);
    probe_free(p);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_phases),
        cmocka_unit_test(test_notice_for_who_has_not_written),
        cmocka_unit_test(test_notice_does_not_wait_for_who_is_away),
        cmocka_unit_test(test_refused_votes),
        cmocka_unit_test(test_refusal_while_one_is_away),
        cmocka_unit_test(test_refusal_while_one_is_silent),
        cmocka_unit_test(test_runaway_clock),
        cmocka_unit_test(test_runaway_clock_alone),
        cmocka_unit_test(test_two_runaway_clocks),
        cmocka_unit_test(test_no_randomness),
        cmocka_unit_test(test_no_memory_for_a_vote),
        cmocka_unit_test(test_denied_after_a_write),
        cmocka_unit_test(test_refused_vote_while_one_is_silent),
        cmocka_unit_test(test_refused_write_while_one_dies),
        cmocka_unit_test(test_newer_incarnation),
        cmocka_unit_test(test_answers_that_do_not_count),
        cmocka_unit_test(test_finishes_first),
        cmocka_unit_test(test_one_vote_more),
        cmocka_unit_test(test_newer_incarnation_while_waiting),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_too_many_requests),
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_denied_everywhere),
        cmocka_unit_test(test_right_gone_since_the_vote),
        cmocka_unit_test(test_right_gone_since_the_write),
        cmocka_unit_test(test_ballots_after_a_restart),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
