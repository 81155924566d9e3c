/*
 * What one node makes of offers (docs/protocol.md, "Offers"): it is shown them by hand, alone, and
 * also those that it should refuse.
 */
#include "offer_fixture.h"
#include "proof_maker.h"

/* Node 2, with an offer of node 0 for it in hand that it has not seen. */
static struct watch *
probe_new(uint64_t seed)
{
    struct watch *w = watch_new(NODES, seed);
    w->alone = true;
    assert_int_equal(ac_create(w->ac, 0, "a", "one")->reply.err, OK);
    assert_true(w->offer.path.name.size > 0);
    return w;
}

static const struct msg *
ask(struct watch *w, unsigned from, const struct msg *msg)
{
    w->answer = (struct msg){0};
    assert_int_equal(ac_inject(w->ac, from, SELF, msg), OK);
    for (unsigned i = 0; i < 100 && w->answer.path.name.size == 0; i++)
        ac_run_ms(w->ac, 1);
    return &w->answer;
}

static enum refusal
refusal_of(struct watch *w, const struct msg *offer)
{
    const struct msg *m = ask(w, 0, offer);
    assert_int_equal(m->kind, MSG_WRITTEN);
    return m->u.written.refusal;
}

static struct msg
vote(struct watch *w, int64_t ahead_ms)
{
    struct msg m = {.kind = MSG_VOTE, .op = 77, .path = ac_path("a")};
    uint64_t ms = (uint64_t)((int64_t)ac_wall_ms(w->ac, SELF) + ahead_ms);
    m.u.vote.ballot = (struct ballot){.time = ms << 16, .node = 1, .incarnation = 1};
    m.u.vote.purpose = CHANGE_FINISH;
    return m;
}

static void
test_is_taken_once(void **state)
{
    (void)state;
    struct watch *w = probe_new(100);
    assert_int_equal(refusal_of(w, &w->offer), REFUSED_NONE);
    assert_int_equal(refusal_of(w, &w->offer), REFUSED_NONE); /* a copy of it */
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(w->ac, SELF, "a", &row, &head));
    assert_int_equal(row.state, STATE_ACCEPTED);
    assert_true(row.ballot.offer);
    struct msg later = w->offer;
    later.u.write.ballot.time += 1 << 16;
    assert_int_equal(refusal_of(w, &later), REFUSED_BALLOT);
    watch_free(w);
}

static void
test_caller_is_checked(void **state)
{
    (void)state;
    struct watch *w = probe_new(101);
    struct msg m = w->offer;
    m.u.write.credential = bytes_of_text("not-a-token");
    assert_int_equal(refusal_of(w, &m), REFUSED_DENIED);
    m.u.write.credential = (struct bytes){0};
    assert_int_equal(refusal_of(w, &m), REFUSED_DENIED);
    assert_int_equal(ac_rows_of(w->ac, SELF, ROW_PATH, "a"), 0);
    m = w->offer;
    m.u.write.ballot.time++;
    assert_int_equal(refusal_of(w, &m), REFUSED_NONE);
    watch_free(w);
}

/* Who has promised has told somebody that nothing is there. */
static void
test_comes_before_votes(void **state)
{
    (void)state;
    struct watch *w = probe_new(102);
    struct msg v = vote(w, 1000);
    const struct msg *m = ask(w, 1, &v);
    assert_int_equal(m->kind, MSG_VOTED);
    assert_int_equal(m->u.voted.refusal, REFUSED_NONE);
    assert_int_equal(refusal_of(w, &w->offer), REFUSED_BALLOT);
    struct msg later = w->offer; /* above the promise, but somebody is about to write */
    later.u.write.ballot.time = v.u.vote.ballot.time + 1;
    assert_int_equal(refusal_of(w, &later), REFUSED_BUSY);
    watch_free(w);
}

/* Having taken it, it promises nothing lower, and votes as for anything accepted. */
static void
test_is_a_promise(void **state)
{
    (void)state;
    struct watch *w = probe_new(103);
    assert_int_equal(refusal_of(w, &w->offer), REFUSED_NONE);
    struct msg low = vote(w, 0), high = vote(w, 500);
    low.u.vote.ballot.time = w->offer.u.write.ballot.time - 1;
    assert_int_equal(ask(w, 1, &low)->u.voted.refusal, REFUSED_BALLOT);
    high.u.vote.ballot.offer = true;
    assert_int_equal(ask(w, 1, &high)->u.voted.refusal, REFUSED_DRIFT);
    high.u.vote.ballot.offer = false;
    const struct msg *m = ask(w, 1, &high);
    assert_int_equal(m->u.voted.refusal, REFUSED_NONE);
    assert_int_equal(m->u.voted.accepted.state, STATE_ACCEPTED);
    assert_true(m->u.voted.accepted.ballot.offer);
    assert_int_equal(ballot_compare(m->u.voted.accepted.ballot, w->offer.u.write.ballot), 0);
    watch_free(w);
}

/*
 * The promise outlives a restart: an offer is durable before it is answered, and so is its ballot.
 */
static void
test_promise_survives(void **state)
{
    (void)state;
    struct watch *w = probe_new(104);
    struct msg low = vote(w, 0);
    low.u.vote.ballot.time = w->offer.u.write.ballot.time - 1;
    assert_int_equal(refusal_of(w, &w->offer), REFUSED_NONE);
    w->alone = false;
    ac_crash(w->ac, SELF);
    ac_start(w->ac, SELF);
    ac_run_ms(w->ac, 10);
    w->alone = true;
    ac_run_ms(w->ac, 1500);
    const struct msg *m = ask(w, 1, &low);
    assert_true(m->u.voted.refusal == REFUSED_FLOOR || m->u.voted.refusal == REFUSED_BALLOT);
    watch_free(w);
}

/* The proof that it is chosen needs all replicas. */
static void
test_chosen_by_all(void **state)
{
    (void)state;
    struct watch *w = probe_new(105);
    struct proof_maker maker;
    proof_maker_init(&maker, w->ac);
    struct ballot b = w->offer.u.write.ballot;
    struct msg m = {.kind = MSG_CHOSEN, .path = w->offer.path};
    m.u.chosen.ballot = b;
    record_id(w->offer.u.write.head, m.u.chosen.head_id);
    m.u.chosen.incarnations = w->offer.u.write.incarnations;
    assert_int_equal(refusal_of(w, &w->offer), REFUSED_NONE);
    for (unsigned mask = 1; mask < 8; mask++) {
        struct path_row row;
        struct head head;
        m.u.chosen.proof = proof_of_written(&maker, m.path, b, m.u.chosen.head_id, mask);
        assert_int_equal(ac_inject(w->ac, 0, SELF, &m), OK);
        ac_run_ms(w->ac, 15);
        assert_true(ac_path_row(w->ac, SELF, "a", &row, &head));
        assert_int_equal(row.state, mask == 7 ? STATE_CHOSEN : STATE_ACCEPTED);
    }
    proof_maker_close(&maker);
    watch_free(w);
}

/*
 * Votes that show an offer which not all have: a void may be written, and nothing of anybody's
 * else.
 */
static void
test_void_needs_an_offer(void **state)
{
    (void)state;
    struct watch *w = probe_new(106);
    struct proof_maker maker;
    proof_maker_init(&maker, w->ac);
    struct head *head = calloc(1, sizeof(*head));
    struct buf encoded = {0};
    assert_non_null(head);
    assert_int_equal(head_decode(w->offer.u.write.head, head), OK);
    head->kind = HEAD_VOID;
    head->op_count = 0;
    memset(head->op_id, 0, OP_ID_BYTES);
    assert_int_equal(head_encode(head, &encoded), OK);
    struct msg m = w->offer;
    m.u.write.ballot.offer = false;
    m.u.write.ballot.time += 1 << 16;
    m.u.write.head = buf_bytes(&encoded);
    m.u.write.version = m.u.write.dealing = m.u.write.boxes = m.u.write.credential =
        (struct bytes){0};
    struct proof votes = {.ballot = m.u.write.ballot, .purpose = CHANGE_FINISH};
    m.u.write.proof = proof_maker_make(&maker, m.path, votes, 3, NULL, NULL, NODES_MAX);
    assert_int_equal(refusal_of(w, &m), REFUSED_PROOF); /* nobody has met an offer */
    struct proof_entry had = {.accepted = w->offer.u.write.ballot, .state = STATE_ACCEPTED};
    record_id(w->offer.u.write.head, had.head_id);
    m.u.write.proof = proof_maker_make(&maker, m.path, votes, 3, &had, NULL, NODES_MAX);
    assert_int_equal(refusal_of(w, &m), REFUSED_PROOF); /* all have: it may be chosen */
    struct proof with, without;
    assert_int_equal(
        proof_decode(proof_maker_make(&maker, m.path, votes, 1, &had, NULL, NODES_MAX), &with), OK);
    assert_int_equal(
        proof_decode(proof_maker_make(&maker, m.path, votes, 2, NULL, NULL, NODES_MAX), &without),
        OK);
    with.entries[with.count++] = without.entries[0];
    m.u.write.proof = proof_maker_encode(&maker, &with);
    assert_int_equal(refusal_of(w, &m), REFUSED_NONE);
    buf_close(&encoded);
    free(head);
    proof_maker_close(&maker);
    watch_free(w);
}

/* Finishing it needs two who took it: one alone could have made it up. */
static void
test_finished_by_its_witnesses(void **state)
{
    (void)state;
    struct watch *w = probe_new(107);
    struct proof_maker maker;
    proof_maker_init(&maker, w->ac);
    struct proof_entry had = {.accepted = w->offer.u.write.ballot, .state = STATE_ACCEPTED};
    struct proof_entry handed = {.accepted = had.accepted, .state = STATE_RECEIVED};
    struct proof two, one;
    record_id(w->offer.u.write.head, had.head_id);
    memcpy(handed.head_id, had.head_id, ID_BYTES);
    struct msg m = w->offer;
    m.u.write.ballot.offer = false;
    m.u.write.ballot.time += 1 << 16;
    m.u.write.credential = (struct bytes){0};
    struct proof votes = {.ballot = m.u.write.ballot, .purpose = CHANGE_FINISH};
    assert_int_equal(
        proof_decode(proof_maker_make(&maker, m.path, votes, 1, &had, NULL, NODES_MAX), &two), OK);
    assert_int_equal(
        proof_decode(proof_maker_make(&maker, m.path, votes, 2, &handed, NULL, NODES_MAX), &one),
        OK);
    two.entries[two.count++] = one.entries[0];
    m.u.write.proof = proof_maker_encode(&maker, &two);
    assert_int_equal(refusal_of(w, &m), REFUSED_PROOF);
    m.u.write.proof = proof_maker_make(&maker, m.path, votes, 3, &had, NULL, NODES_MAX);
    assert_int_equal(refusal_of(w, &m), REFUSED_NONE);
    /* And what proves it stays with it, for those who have to finish it after that. */
    struct path_row row;
    struct head head;
    struct proof kept;
    assert_true(ac_path_row(w->ac, SELF, "a", &row, &head));
    assert_false(row.ballot.offer);
    assert_int_equal(proof_decode(row.proof, &kept), OK);
    assert_int_equal(kept.count, 2);
    proof_maker_close(&maker);
    watch_free(w);
}

static enum accepted_state
state_here(struct watch *w)
{
    struct path_row row;
    struct head head;
    return ac_path_row(w->ac, SELF, "a", &row, &head) ? row.state : STATE_ABSENT;
}

/*
 * As node 2's own recovery passes on what that helper has handed over: that head, of the same
 * version.
 */
static void
hand_over_head(struct watch *w, uint64_t helper, enum accepted_state state, struct bytes head,
               struct ballot ballot)
{
    const struct msg_write *x = &w->offer.u.write;
    struct msg m = {
        .kind = MSG_HANDOVER, .path = w->offer.path, .op = helper << 8, .from = SELF, .to = SELF};
    m.u.handover.accepted = (struct accepted){.ballot = ballot, .state = state, .head = head};
    m.u.handover.version = x->version;
    m.u.handover.dealing = x->dealing;
    m.u.handover.boxes = x->boxes;
    ac_deliver(w->ac, SELF, ACTOR_SHARD_STORE, &m);
    ac_run_ms(w->ac, 20);
}

static void
hand_over(struct watch *w, uint64_t helper, enum accepted_state state)
{
    hand_over_head(w, helper, state, w->offer.u.write.head, w->offer.u.write.ballot);
}

/* Handed over by one helper, then written: WRITTEN must be what votes report. */
static void
test_written_is_more_than_received(void **state)
{
    (void)state;
    struct watch *w = probe_new(108);
    hand_over(w, 0, STATE_ACCEPTED);
    assert_int_equal(state_here(w), STATE_RECEIVED);
    assert_int_equal(refusal_of(w, &w->offer), REFUSED_NONE); /* counts towards all n */
    assert_int_equal(state_here(w), STATE_ACCEPTED);
    watch_free(w);
}

/* Who was handed it vouches for it when two had taken it, and not when one has said so twice. */
static void
test_handed_over_by_two(void **state)
{
    (void)state;
    struct watch *w = probe_new(109);
    hand_over(w, 0, STATE_RECEIVED); /* who was handed it himself says nothing */
    hand_over(w, 0, STATE_ACCEPTED);
    assert_int_equal(state_here(w), STATE_RECEIVED);
    hand_over(w, 0, STATE_ACCEPTED);
    assert_int_equal(state_here(w), STATE_RECEIVED);
    hand_over(w, 1, STATE_ACCEPTED);
    assert_int_equal(state_here(w), STATE_ACCEPTED);
    watch_free(w);
}

/*
 * Who brought it first has left memory. It may have been chosen all the same, and is reported, but
 * not vouched for.
 */
static void
test_handed_over_around_a_restart(void **state)
{
    (void)state;
    struct watch *w = probe_new(110);
    hand_over(w, 0, STATE_ACCEPTED);
    w->alone = false;
    ac_crash(w->ac, SELF);
    ac_start(w->ac, SELF);
    ac_run_ms(w->ac, 5);
    w->alone = true;
    hand_over(w, 1, STATE_ACCEPTED);
    assert_int_equal(state_here(w), STATE_RECEIVED);
    ac_run_ms(w->ac, 1500);
    struct msg v = vote(w, 9000); /* above the floor of the restart */
    const struct msg *m = ask(w, 1, &v);
    for (unsigned i = 0; i < 20 && m->u.voted.refusal != REFUSED_NONE; i++) {
        v.u.vote.ballot.time += (uint64_t)1000 << 16; /* and its horizon moves */
        ac_run_ms(w->ac, 300);
        m = ask(w, 1, &v);
    }
    assert_int_equal(m->u.voted.refusal, REFUSED_NONE);
    assert_int_equal(m->u.voted.accepted.state, STATE_RECEIVED);
    assert_true(m->u.voted.accepted.ballot.offer);
    watch_free(w);
}

/* Another head of the path, as if it had been voted on before the offer was made. */
static struct bytes
another_head(struct watch *w, uint64_t generation, struct buf *memory)
{
    struct head *head = calloc(1, sizeof(*head));
    assert_non_null(head);
    assert_int_equal(head_decode(w->offer.u.write.head, head), OK);
    head->config_hash[0] ^= 1;
    if (generation > 1) { /* of which nothing but the time has changed */
        head->generation = generation;
        head->prev[0] = 1;
        head->ops[0].kind = CHANGE_ALTER;
        head->op_id[0] ^= 1;
        memcpy(head->ops[0].op_id, head->op_id, OP_ID_BYTES);
    }
    assert_int_equal(head_encode(head, memory), OK);
    free(head);
    return buf_bytes(memory);
}

/* The store has the row of a head that it had accepted by itself, before it was lost. */
static void
put_stale(struct watch *w, struct bytes head, struct ballot ballot)
{
    struct path_row row = {.ballot = ballot, .state = STATE_ACCEPTED, .head = head};
    struct row_key key;
    struct buf encoded = {0};
    row_key_path(w->offer.path, &key);
    assert_int_equal(path_row_encode(&row, &encoded), OK);
    ac_crash(w->ac, SELF);
    ac_put(w->ac, SELF, &key, buf_bytes(&encoded));
    w->ac->nodes[SELF].finding = STORE_BEHIND;
    ac_start(w->ac, SELF);
    ac_run_ms(w->ac, 1000);
    assert_false(ac_recovered(w->ac, SELF)); /* it waits for what the test hands over */
    buf_close(&encoded);
}

/* Whose head it is: 1 the offer, 2 the other. */
static unsigned
head_here(struct watch *w)
{
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(w->ac, SELF, "a", &row, &head));
    return bytes_equal(row.head, w->offer.u.write.head) ? 1 : 2;
}

/*
 * A store that was put back has accepted a head that nobody else has; meanwhile an offer may have
 * been chosen by all. What a helper has, too, stays.
 */
static void
test_stale_head(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 3; order++) {
        struct watch *w = probe_new(120 + order);
        struct buf memory = {0};
        struct bytes other = another_head(w, 1, &memory);
        struct ballot before = w->offer.u.write.ballot;
        before.offer = false;
        before.time -= 1 << 16;
        put_stale(w, other, before);
        assert_int_equal(head_here(w), 2);
        if (order == 1)
            hand_over_head(w, 1, STATE_ACCEPTED, other, before);
        hand_over(w, 0, STATE_ACCEPTED);
        assert_int_equal(head_here(w), order == 1 ? 2 : 1);
        if (order == 2)
            hand_over_head(w, 1, STATE_ACCEPTED, other, before);
        assert_int_equal(head_here(w), order == 0 ? 1 : 2);
        buf_close(&memory);
        watch_free(w);
    }
}

/*
 * A later head is not taken for stale: it may be one that a helper has brought, who knew what it
 * was built on; the offer was left at one who had missed all that.
 */
static void
test_later_head_stays(void **state)
{
    (void)state;
    struct watch *w = probe_new(124);
    struct buf memory = {0};
    struct bytes later = another_head(w, 2, &memory);
    struct ballot before = w->offer.u.write.ballot;
    before.offer = false;
    before.time -= 1 << 16;
    put_stale(w, later, before);
    hand_over_head(w, 1, STATE_ACCEPTED, later, before);
    hand_over(w, 0, STATE_ACCEPTED);
    assert_int_equal(head_here(w), 2);
    buf_close(&memory);
    watch_free(w);
}

/* Once it is known to be chosen it stands at its time, as if that had been voted on. */
static void
test_chosen_stands_at_its_time(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 130);
    assert_int_equal(ac_create(w->ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(w->ac, 50);
    for (unsigned i = 0; i < NODES; i++) {
        struct path_row row;
        struct head head;
        assert_true(ac_path_row(w->ac, i, "a", &row, &head));
        assert_int_equal(row.state, STATE_CHOSEN);
        assert_false(row.ballot.offer);
        assert_int_equal(row.ballot.time, w->offer.u.write.ballot.time);
    }
    watch_free(w);
}

/* Who refuses the caller does not take a copy of the offer later. */
static void
test_denied_for_good(void **state)
{
    (void)state;
    struct watch *w = probe_new(111);
    struct msg m = w->offer;
    m.u.write.credential = bytes_of_text("not-a-token");
    assert_int_equal(refusal_of(w, &m), REFUSED_DENIED);
    assert_int_equal(refusal_of(w, &w->offer), REFUSED_BALLOT);
    watch_free(w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_taken_once),
        cmocka_unit_test(test_caller_is_checked),
        cmocka_unit_test(test_comes_before_votes),
        cmocka_unit_test(test_is_a_promise),
        cmocka_unit_test(test_promise_survives),
        cmocka_unit_test(test_chosen_by_all),
        cmocka_unit_test(test_void_needs_an_offer),
        cmocka_unit_test(test_finished_by_its_witnesses),
        cmocka_unit_test(test_written_is_more_than_received),
        cmocka_unit_test(test_handed_over_by_two),
        cmocka_unit_test(test_handed_over_around_a_restart),
        cmocka_unit_test(test_denied_for_good),
        cmocka_unit_test(test_stale_head),
        cmocka_unit_test(test_later_head_stays),
        cmocka_unit_test(test_chosen_stands_at_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
