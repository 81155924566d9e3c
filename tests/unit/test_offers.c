/*
 * Offers: new secrets written without votes (docs/protocol.md, "Offers"), in whole clusters, in
 * which offers succeed, meet and are left behind. What one node takes and refuses:
 * test_shard_offer.c.
 */
#include "offer_fixture.h"
#include "proto/newest.h"

/* All nodes know the same head chosen, of that kind, with as many versions as it needs. */
static void
assert_settled(struct watch *w, unsigned nodes, const char *name, enum head_kind kind)
{
    uint8_t first[ID_BYTES];
    for (unsigned i = 0; i < nodes; i++) {
        struct path_row row;
        struct head head;
        uint8_t id[ID_BYTES];
        assert_true(ac_path_row(w->ac, i, name, &row, &head));
        assert_int_equal(row.state, STATE_CHOSEN);
        assert_int_equal(head.kind, kind);
        record_id(row.head, id);
        if (i == 0)
            memcpy(first, id, ID_BYTES);
        assert_memory_equal(id, first, ID_BYTES);
        assert_int_equal(ac_rows_of(w->ac, i, ROW_DEALING, name), kind == HEAD_LIVE);
        assert_int_equal(ac_rows_of(w->ac, i, ROW_BOXES, name), 0);
    }
}

/* ---- the rule ---- */

static void
test_what_a_change_goes_by(void **state)
{
    static const uint8_t one[ID_BYTES] = {1}, two[ID_BYTES] = {2};
    const struct ballot offer = {.time = 90, .offer = true}, other = {.time = 95, .offer = true};
    const struct ballot low = {.time = 5}, high = {.time = 7};
    const struct {
        struct reported reports[3];
        size_t count;
        int newest;
    } cases[] = {
        {{{0}}, 0, -1},
        {{{.state = STATE_ABSENT}, {.state = STATE_ABSENT}}, 2, -1},
        /* voted on: the highest, however high an offer is */
        {{{STATE_ACCEPTED, low, one}, {STATE_ACCEPTED, high, two}}, 2, 1},
        {{{STATE_ACCEPTED, offer, one}, {STATE_ACCEPTED, low, two}}, 2, 1},
        {{{STATE_ACCEPTED, offer, one}, {STATE_RECEIVED, low, two}, {0}}, 3, 1},
        /* an offer: all, or it is nothing */
        {{{STATE_ACCEPTED, offer, one}, {STATE_ACCEPTED, offer, one}}, 2, 0},
        {{{STATE_ACCEPTED, offer, one}, {STATE_RECEIVED, offer, one}}, 2, 0},
        {{{STATE_ACCEPTED, offer, one}, {.state = STATE_ABSENT}}, 2, -1},
        {{{.state = STATE_ABSENT}, {STATE_ACCEPTED, offer, one}}, 2, -1},
        {{{STATE_ACCEPTED, offer, one}, {STATE_ACCEPTED, other, two}}, 2, -1},
        /* one that is known chosen counts as any head */
        {{{STATE_CHOSEN, offer, one}, {.state = STATE_ABSENT}}, 2, 0},
        {{{STATE_ACCEPTED, other, two}, {STATE_CHOSEN, offer, one}}, 2, 1},
        {{{STATE_CHOSEN, offer, one}, {STATE_ACCEPTED, low, two}}, 2, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(newest_reported(cases[i].reports, cases[i].count), cases[i].newest);
}

static void
test_order_of_ballots(void **state)
{
    const struct ballot none = {0}, vote = {.time = 3, .node = 1},
                        early = {.time = 2, .offer = true}, late = {.time = 9, .offer = true};
    (void)state;
    assert_true(ballot_compare(late, vote) < 0);
    assert_true(ballot_compare(vote, late) > 0);
    assert_true(ballot_compare(early, late) < 0);
    assert_true(ballot_compare(none, early) < 0);
    assert_true(ballot_compare(early, none) > 0);
    assert_true(ballot_compare(late, late) == 0);
    assert_true(ballot_compare(ballot_promised(late), vote) > 0);
    assert_false(ballot_promised(late).offer);
}

/* ---- whole clusters ---- */

static void
test_one_round(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 1);
    assert_int_equal(ac_create(w->ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(w->votes, 0);
    assert_int_equal(w->offers, NODES - 1);
    for (unsigned i = 0; i < NODES; i++)
        assert_true(ac_value_is(ac_read(w->ac, i, "a"), "one"));
    ac_run_ms(w->ac, 50);
    assert_int_equal(w->ac->sent_soon, NODES - 1); /* the notice */
    assert_settled(w, NODES, "a", HEAD_LIVE);
    /* What comes after has a head to follow, and is voted on. */
    assert_int_equal(ac_create(w->ac, 1, "a", "two")->reply.err, ERR_ALREADY_EXISTS);
    assert_int_equal(ac_update(w->ac, 1, "a", "two")->reply.err, OK);
    assert_int_equal(ac_delete(w->ac, 2, "a")->reply.err, OK);
    assert_int_equal(ac_create(w->ac, 2, "a", "three")->reply.err, OK);
    assert_int_equal(w->offers, NODES - 1);
    assert_true(w->votes > 0);
    assert_int_equal(w->ac->sent_soon, NODES - 1); /* for the next change waits for that of votes */
    assert_true(ac_value_is(ac_read(w->ac, 0, "a"), "three"));
    watch_free(w);
}

/*
 * How many turns of node 0 send offers, and in how many its own store has begun before the frames
 * leave, or has since the frames of the turn before.
 */
static void
note_turn(struct actor_cluster *ac, unsigned node)
{
    struct watch *w = ac->filter_context;
    uint64_t stores = ac->nodes[0].stores;
    if (node != 0)
        return;
    bool offers = w->offers > w->turns.offers_before;
    w->turns.offering += offers;
    w->turns.begun += offers && stores > w->turns.stores_before;
    w->turns.offers_before = w->offers;
    w->turns.stores_before = stores;
}

static void
watch_turns(struct watch *w)
{
    w->turns.stores_before = w->ac->nodes[0].stores;
    w->ac->turns = (struct ac_turns){.on = true, .frames_left = note_turn};
}

/* In turns the others come first, and then the client. */
static void
test_own_part_comes_last(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 1);
    watch_turns(w);
    assert_int_equal(ac_create(w->ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(w->votes, 0);
    assert_int_equal(w->turns.offering, 1);
    assert_int_equal(w->turns.begun, 0);
    assert_int_equal(w->ac->turns.own_writes, 1);
    ac_run_ms(w->ac, 50);
    assert_int_equal(w->ac->turns.notices, NODES);
    assert_settled(w, NODES, "a", HEAD_LIVE);
    /* No change that was voted on is put off. */
    assert_int_equal(ac_update(w->ac, 1, "a", "two")->reply.err, OK);
    ac_run_ms(w->ac, 50);
    assert_int_equal(w->ac->turns.own_writes, 1);
    assert_int_equal(w->ac->turns.notices, NODES);
    watch_free(w);
}

/* A node that is asked for a secret says that it is chosen, however long its notice is put off. */
static void
test_questions_find_it_chosen(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 1);
    w->ac->turns = (struct ac_turns){.on = true, .notices_stay = true};
    assert_int_equal(ac_create(w->ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(w->ac, 1);
    for (unsigned i = 0; i < NODES; i++) {
        struct path_row row;
        struct head head;
        assert_true(ac_path_row(w->ac, i, "a", &row, &head));
        assert_int_equal(row.state, STATE_ACCEPTED);
    }
    struct ac_request *r = ac_read(w->ac, 0, "a"); /* which asks itself, and one that is not told */
    assert_true(ac_value_is(r, "one"));
    assert_true(r->ended_ns - r->began_ns < 2000000); /* nobody had to ask again */
    assert_int_equal(ac_update(w->ac, 0, "a", "two")->reply.err, OK);
    assert_int_equal(w->ac->turns.notices, 0);
    watch_free(w);
}

/* Where many requests are under way nothing is put off. */
static void
test_many_are_not_put_off(void **state)
{
    enum { MANY = 12 };
    (void)state;
    struct watch *w = watch_new(NODES, 1);
    struct ac_request *all[MANY];
    watch_turns(w);
    for (unsigned i = 0; i < MANY; i++) {
        char name[] = {(char)('a' + i), 0};
        struct request make = ac_make(REQUEST_CREATE, name, "one");
        all[i] = ac_send(w->ac, 0, &make);
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(ac_wait(w->ac, all[i])->reply.err, OK);
    assert_in_range(w->ac->turns.own_writes, 1, 4); /* the first of them */
    assert_int_equal(w->turns.offering, MANY);
    assert_true(w->turns.begun >= MANY - w->ac->turns.own_writes);
    watch_free(w);
}

/* One replica does not hear of it: the same bytes are voted on, and nothing is left of another. */
static void
test_one_is_silent(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 2);
    w->lost_to = 1 << 2;
    struct ac_request *r = ac_create(w->ac, 0, "a", "one");
    assert_int_equal(r->reply.err, OK);
    assert_in_range((r->ended_ns - r->began_ns) / 1000000, 100, 200);
    assert_true(w->votes > 0);
    struct path_row row;
    struct head head;
    uint8_t id[ID_BYTES], offered[ID_BYTES];
    assert_true(ac_path_row(w->ac, 0, "a", &row, &head));
    record_id(row.head, id);
    record_id(w->offer.u.write.head, offered);
    assert_memory_equal(id, offered, ID_BYTES);
    unsigned offers = w->offers;
    assert_int_equal(ac_create(w->ac, 0, "b", "one")->reply.err, OK); /* it has learned */
    assert_int_equal(w->offers, offers);
    w->lost_to = 0;
    ac_run_ms(w->ac, 20000);
    assert_settled(w, NODES, "a", HEAD_LIVE);
    assert_settled(w, NODES, "b", HEAD_LIVE);
    watch_free(w);
}

/* Two nodes have it and the third may never: a stale read does not show it either. */
static void
test_stale_read_waits(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 17);
    struct request make = ac_make(REQUEST_CREATE, "a", "one"),
                   read = ac_make(REQUEST_READ, "a", NULL);
    read.stale = true;
    w->lost_to = 1u << 2;
    struct ac_request *made = ac_send(w->ac, 0, &make);
    ac_run_ms(w->ac, 10);
    assert_int_equal(ac_rows_of(w->ac, 1, ROW_DEALING, "a"), 1);
    struct ac_request *seen = ac_send(w->ac, 1, &read);
    ac_run_ms(w->ac, 8); /* it asks again, and finishes the offer by votes in the end */
    assert_int_equal(made->ended_ns, 0);
    assert_int_equal(seen->ended_ns, 0);
    assert_int_equal(ac_wait(w->ac, made)->reply.err, OK);
    enum vault_err err = ac_wait(w->ac, seen)->reply.err;
    assert_true(err == ERR_NOT_FOUND || (err == OK && seen->reply.stale));
    watch_free(w);
}

static void
test_who_is_away_is_not_waited_for(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 3);
    ac_crash(w->ac, 2);
    ac_run_ms(w->ac, 1500);
    struct ac_request *r = ac_create(w->ac, 0, "a", "one");
    assert_int_equal(r->reply.err, OK);
    assert_true((r->ended_ns - r->began_ns) / 1000000 < 50);
    assert_int_equal(w->offers, 0);
    watch_free(w);
}

/*
 * Two of one name at the same time, at different nodes: one is made, and nothing of the other
 * stays.
 */
static void
test_two_offers_meet(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 40; seed++) {
        struct watch *w = watch_new(NODES, seed);
        struct request one = ac_make(REQUEST_CREATE, "a", "one");
        struct request two = ac_make(REQUEST_CREATE, "a", "two");
        struct ac_request *first = ac_send(w->ac, 0, &one), *second = ac_send(w->ac, 1, &two);
        ac_wait(w->ac, first);
        ac_wait(w->ac, second);
        bool first_made = first->reply.err == OK;
        assert_true(first_made != (second->reply.err == OK));
        assert_int_equal(first_made ? second->reply.err : first->reply.err, ERR_ALREADY_EXISTS);
        for (unsigned i = 0; i < NODES; i++)
            assert_true(ac_value_is(ac_read(w->ac, i, "a"), first_made ? "one" : "two"));
        ac_run_ms(w->ac, 3000);
        assert_settled(w, NODES, "a", HEAD_LIVE);
        watch_free(w);
    }
}

/*
 * The coordinator dies when some have taken its offer. Taken by all it is finished; by some, it is
 * finished or made void; and everybody agrees on which.
 */
static void
left_behind(unsigned lost_to, uint64_t seed, bool must_live)
{
    struct watch *w = watch_new(NODES, seed);
    struct request one = ac_make(REQUEST_CREATE, "a", "one");
    w->lost_to = lost_to;
    struct ac_request *r = ac_send(w->ac, 0, &one);
    while (ac_rows_of(w->ac, 0, ROW_PATH, "a") == 0 ||
           (!(lost_to & 2) && ac_rows_of(w->ac, 1, ROW_PATH, "a") == 0) ||
           (!(lost_to & 4) && ac_rows_of(w->ac, 2, ROW_PATH, "a") == 0))
        ac_run_ms(w->ac, 1);
    bool answered = r->done && !r->lost && r->reply.err == OK;
    ac_crash(w->ac, 0);
    w->lost_to = 0;
    ac_run_ms(w->ac, 2000);
    struct ac_request *found = ac_read(w->ac, 1, "a");
    bool lives = found->reply.err == OK;
    assert_true(lives || found->reply.err == ERR_NOT_FOUND);
    assert_true(lives || (!must_live && !answered));
    ac_start(w->ac, 0);
    ac_run_ms(w->ac, 30000);
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(w->ac, 0, "a", &row, &head));
    if (lives)
        assert_int_equal(head.kind, HEAD_LIVE);
    assert_settled(w, NODES, "a", head.kind);
    assert_true(head.kind == HEAD_LIVE || head.kind == HEAD_VOID);
    if (head.kind == HEAD_VOID)
        assert_int_equal(ac_create(w->ac, 2, "a", "two")->reply.err, OK);
    assert_true(ac_value_is(ac_read(w->ac, 0, "a"), head.kind == HEAD_LIVE ? "one" : "two"));
    watch_free(w);
}

static void
test_left_behind(void **state)
{
    (void)state;
    for (uint64_t seed = 50; seed < 54; seed++) {
        left_behind(0, seed, true);       /* all have taken it */
        left_behind(1 << 2, seed, false); /* two of three */
        left_behind(6, seed, false);      /* the dead one alone */
    }
}

/* Two of three have it and must not be asked alone: it may have been chosen. */
static void
test_may_have_been_chosen(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 60);
    assert_int_equal(ac_create(w->ac, 0, "a", "one")->reply.err, OK);
    ac_crash_losing(w->ac, 0, true); /* its notice has not left the others' journals */
    assert_int_equal(ac_create(w->ac, 1, "a", "two")->reply.err, ERR_ALREADY_EXISTS);
    assert_true(ac_value_is(ac_read(w->ac, 2, "a"), "one"));
    watch_free(w);
}

/* A store is lost that had taken an offer; so had one other node, or all. */
static void
test_store_lost_under_an_offer(void **state)
{
    (void)state;
    for (unsigned lost_to = 0; lost_to <= 4; lost_to += 4) {
        struct watch *w = watch_new(NODES, 70 + lost_to);
        struct request one = ac_make(REQUEST_CREATE, "a", "one");
        w->lost_to = lost_to;
        (void)ac_send(w->ac, 0, &one);
        while (ac_rows_of(w->ac, 1, ROW_PATH, "a") == 0 ||
               (lost_to == 0 && ac_rows_of(w->ac, 2, ROW_PATH, "a") == 0))
            ac_run_ms(w->ac, 1);
        ac_crash(w->ac, 0);
        ac_crash(w->ac, 1);
        ac_lose_store(w->ac, 1, true);
        w->lost_to = 0;
        ac_start(w->ac, 0);
        ac_start(w->ac, 1);
        ac_run_ms(w->ac, 60000);
        assert_true(ac_recovered(w->ac, 1));
        struct path_row row;
        struct head head;
        assert_true(ac_path_row(w->ac, 0, "a", &row, &head));
        assert_true(head.kind == HEAD_LIVE || (lost_to != 0 && head.kind == HEAD_VOID));
        assert_settled(w, NODES, "a", head.kind);
        watch_free(w);
    }
}

static void
test_five_nodes(void **state)
{
    (void)state;
    struct watch *w = watch_new(5, 80);
    assert_int_equal(ac_create(w->ac, 3, "a", "one")->reply.err, OK);
    assert_int_equal(w->votes, 0);
    w->lost_to = 1 << 4;
    assert_int_equal(ac_create(w->ac, 0, "b", "one")->reply.err, OK);
    w->lost_to = 0;
    ac_run_ms(w->ac, 20000);
    assert_settled(w, 5, "a", HEAD_LIVE);
    assert_settled(w, 5, "b", HEAD_LIVE);
    watch_free(w);
}

/* What replicas without room answer comes first; and answers to what was voted on are lost. */
struct refusals {
    struct actor_cluster *ac;
    unsigned full;
    struct buf frames[NODES];
    unsigned held;
};

static enum ac_verdict
hold_refusals(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct refusals *h = context;
    (void)from;
    if (msg->kind != MSG_WRITTEN || to != 3)
        return AC_PASS;
    if (!msg->u.written.ballot.offer)
        return AC_DROP;
    h->full += msg->u.written.refusal == REFUSED_DISK_FULL;
    if (msg->u.written.refusal != REFUSED_FLOOR || h->full > 0 || h->held == NODES)
        return AC_PASS;
    assert_int_equal(msg_encode(msg, &h->frames[h->held++]), OK);
    return AC_DROP;
}

static void
let_refusals_go(struct refusals *h)
{
    for (unsigned i = 0; i < h->held; i++) {
        assert_int_equal(ac_inject_frame(h->ac, i + 1, 3, &h->frames[i]), OK);
        buf_close(&h->frames[i]);
    }
}

/*
 * All have refused the offer for good, one of them for want of room: nothing has happened. But then
 * it is voted on and written at the others, and nobody knows what became of that.
 */
static void
test_refused_then_written(void **state)
{
    (void)state;
    struct refusals h = {.ac = ac_cluster_placed(4, NODES, 90)};
    struct replicas replicas;
    char name[8] = "a";
    for (;; name[0]++) { /* one that node 3 does not keep */
        membership_replicas(node_membership(h.ac->nodes[0].node), ac_path(name), &replicas);
        if (replicas_index(&replicas, 3) < 0)
            break;
    }
    ac_run_ms(h.ac, 600);
    for (unsigned i = 1; i < 3; i++) {
        ac_crash(h.ac, i);
        ac_start(h.ac, i); /* what it may have promised is above all that node 3 issues */
    }
    ac_run_ms(h.ac, 1500);
    h.ac->nodes[0].disk_full = true;
    h.ac->filter = hold_refusals;
    h.ac->filter_context = &h;
    struct request one = ac_make(REQUEST_CREATE, name, "one");
    struct ac_request *r = ac_send(h.ac, 3, &one);
    while (h.full == 0 || h.held < 2)
        assert_true(ac_step(h.ac, h.ac->now_ns + 50000000));
    ac_run_ms(h.ac, 1);
    let_refusals_go(&h);
    ac_wait(h.ac, r);
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_WRITING);
    h.ac->filter = NULL;
    ac_heal(h.ac);
    ac_run_ms(h.ac, 1500);
    assert_true(ac_value_is(ac_read(h.ac, 0, name), "one"));
    ac_end(h.ac);
}

/* With an Idempotency-Key a second attempt gets the first answer, however the first one ended. */
static void
test_keyed(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 90);
    struct request one = ac_make(REQUEST_CREATE, "a", "one");
    one.idempotency_key = bytes_of_text("k");
    w->lost_to = 6;
    struct ac_request *lost = ac_wait(w->ac, ac_send(w->ac, 0, &one));
    assert_int_equal(lost->reply.err, ERR_NO_QUORUM);
    assert_int_equal(lost->reply.phase, PHASE_WRITING);
    w->lost_to = 0;
    struct ac_request *made = ac_wait(w->ac, ac_send(w->ac, 1, &one));
    assert_int_equal(made->reply.err, OK);
    struct ac_request *again = ac_wait(w->ac, ac_send(w->ac, 2, &one));
    assert_int_equal(again->reply.err, OK);
    assert_int_equal(again->reply.valid_from_ms, made->reply.valid_from_ms);
    watch_free(w);
}

/* Without room anywhere nothing happened, and that is what is said. */
static void
test_no_room(void **state)
{
    (void)state;
    struct watch *w = watch_new(NODES, 95);
    for (unsigned i = 0; i < NODES; i++)
        w->ac->nodes[i].disk_full = true;
    assert_int_equal(ac_create(w->ac, 0, "a", "one")->reply.err, ERR_DISK_FULL);
    for (unsigned i = 0; i < NODES; i++)
        w->ac->nodes[i].disk_full = false;
    ac_run_ms(w->ac, 3000);
    assert_int_equal(ac_read(w->ac, 1, "a")->reply.err, ERR_NOT_FOUND);
    watch_free(w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_change_goes_by),
        cmocka_unit_test(test_order_of_ballots),
        cmocka_unit_test(test_one_round),
        cmocka_unit_test(test_own_part_comes_last),
        cmocka_unit_test(test_questions_find_it_chosen),
        cmocka_unit_test(test_many_are_not_put_off),
        cmocka_unit_test(test_one_is_silent),
        cmocka_unit_test(test_stale_read_waits),
        cmocka_unit_test(test_who_is_away_is_not_waited_for),
        cmocka_unit_test(test_two_offers_meet),
        cmocka_unit_test(test_left_behind),
        cmocka_unit_test(test_may_have_been_chosen),
        cmocka_unit_test(test_store_lost_under_an_offer),
        cmocka_unit_test(test_five_nodes),
        cmocka_unit_test(test_refused_then_written),
        cmocka_unit_test(test_keyed),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
