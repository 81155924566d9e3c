/*
 * Offers, and stores that were put back (docs/protocol.md, "Offers"): what such a store has is from
 * before, and must not speak against what all have taken since.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

enum { NODES = 5, SHARES = 3 };

/* Who holds the path "a", and two who do not. */
struct scene {
    struct actor_cluster *ac;
    struct replicas replicas;
    unsigned early, late; /* coordinators */
    unsigned only;        /* WRITEs of the early one reach that node alone */
    bool quiet;           /* no votes, notices and comparisons */
    bool waiting;         /* nothing is handed over to that node but what a test injects */
    struct buf notice;    /* the first to that node */
};

static enum ac_verdict
on_frame(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    const struct scene *s = context;
    if (s->quiet && (msg->kind == MSG_CHOSEN || msg->kind == MSG_VOTE || msg->kind == MSG_COMPARE))
        return AC_DROP;
    if (s->waiting && msg->kind == MSG_RECOVERED && to == s->only)
        return AC_DROP;
    return msg->kind == MSG_WRITE && from == s->early && to != s->only ? AC_DROP : AC_PASS;
}

static void
begin(struct scene *s, uint64_t seed)
{
    unsigned others[NODES] = {0}, count = 0;
    *s = (struct scene){.ac = ac_cluster_placed(NODES, SHARES, seed), .quiet = true};
    membership_replicas(node_membership(s->ac->nodes[0].node), ac_path("a"), &s->replicas);
    for (unsigned i = 0; i < NODES; i++) {
        if (replicas_index(&s->replicas, (uint8_t)i) < 0)
            others[count++] = i;
    }
    assert_int_equal(count, NODES - SHARES);
    s->early = others[0];
    s->late = others[1];
    s->only = s->replicas.nodes[2];
    s->ac->filter = on_frame;
    s->ac->filter_context = s;
    ac_run_ms(s->ac, 600);
}

/* The node comes back as a new incarnation, with an empty store or the old copy. */
static void
reborn(struct scene *s, unsigned node, bool lost)
{
    if (ac_up(s->ac, node))
        ac_crash(s->ac, node);
    if (lost)
        ac_lose_store(s->ac, node, true);
    else
        ac_roll_back(s->ac, node, true);
    ac_start(s->ac, node);
    for (unsigned i = 0; i < 5000 && !ac_recovered(s->ac, node); i++)
        ac_run_ms(s->ac, 1);
    assert_true(ac_recovered(s->ac, node));
}

/*
 * That node alone has the offer "one", of a time that is to come; the copy of its store has it,
 * too.
 */
static void
leave_early_offer(struct scene *s)
{
    s->ac->nodes[s->early].skew_ms = 6000;
    struct request one = ac_make(REQUEST_CREATE, "a", "one");
    struct ac_request *first = ac_send(s->ac, s->early, &one);
    while (ac_rows_of(s->ac, s->only, ROW_PATH, "a") == 0)
        ac_run_ms(s->ac, 1);
    ac_crash_losing(s->ac, s->only, false);
    ac_snapshot(s->ac, s->only);
    reborn(s, s->only, true);
    assert_int_equal(ac_rows_of(s->ac, s->only, ROW_PATH, "a"), 0);
    while (!first->done)
        ac_run_ms(s->ac, 10);
    assert_int_not_equal(first->reply.err, OK);
    s->early = NODES;
}

/*
 * All have taken the offer "two", of an earlier time, and nobody but its coordinator knows it
 * chosen.
 */
static uint64_t
offer_to_all(struct scene *s)
{
    struct path_row row;
    struct head head;
    assert_int_equal(ac_create(s->ac, s->late, "a", "two")->reply.err, OK);
    for (unsigned i = 0; i < SHARES; i++) {
        assert_true(ac_path_row(s->ac, s->replicas.nodes[i], "a", &row, &head));
        assert_true(row.ballot.offer);
    }
    return row.ballot.time;
}

/*
 * A replica alone takes an offer of a node whose clock is ahead, and loses its store. Another
 * offer, of an earlier time, is taken by all. Then the old store is put back: its offer is the
 * later one, but cannot have been chosen.
 */
static void
test_other_offer_of_later_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct scene s;
        begin(&s, seed);
        leave_early_offer(&s);
        (void)offer_to_all(&s);
        reborn(&s, s.only, false);
        s.quiet = false;
        ac_isolate(s.ac, s.replicas.nodes[0], true);
        ac_run_ms(s.ac, 1500);
        assert_true(ac_value_is(ac_read(s.ac, s.late, "a"), "two"));
        ac_heal(s.ac);
        ac_run_ms(s.ac, 5000);
        assert_true(ac_value_is(ac_read(s.ac, s.late, "a"), "two"));
        ac_end(s.ac);
    }
}

static enum ac_verdict
keep_notice(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct scene *s = context;
    if (msg->kind == MSG_CHOSEN && to == s->only && s->notice.size == 0)
        assert_int_equal(msg_encode(msg, &s->notice), OK);
    return on_frame(context, from, to, msg);
}

/*
 * The notice of the offer that was chosen comes late, before anything has been handed over: the
 * offer stands at its own time, not at that of the one whose place it takes. Else it would stand
 * above what was built on it meanwhile.
 */
static void
test_chosen_offer_takes_the_place_of_a_later_one(void **state)
{
    (void)state;
    struct scene s;
    struct msg notice;
    struct path_row row;
    struct head head;
    begin(&s, 5);
    leave_early_offer(&s);
    s.ac->filter = keep_notice;
    uint64_t time = offer_to_all(&s);
    assert_int_equal(msg_decode(buf_bytes(&s.notice), &notice), OK);
    assert_true(notice.kind == MSG_CHOSEN);
    assert_true(ac_path_row(s.ac, s.replicas.nodes[0], "a", &row, &head));
    struct buf written = {0};
    assert_int_equal(buf_append(&written, row.head), OK);
    notice.u.chosen.head = buf_bytes(&written);
    notice.from = (uint8_t)s.late;
    notice.to = (uint8_t)s.only;

    ac_crash(s.ac, s.only);
    ac_roll_back(s.ac, s.only, false);
    ac_isolate(s.ac, s.only, true); /* nobody tells it that its store has gone back */
    ac_start(s.ac, s.only);
    ac_run_ms(s.ac, 10);
    assert_true(ac_path_row(s.ac, s.only, "a", &row, &head));
    assert_true(row.ballot.offer && row.ballot.time > time);
    ac_deliver(s.ac, s.only, ACTOR_SHARD_STORE, &notice);
    ac_run_ms(s.ac, 20);
    assert_true(ac_path_row(s.ac, s.only, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_int_equal(row.ballot.time, time);
    assert_false(row.ballot.offer);
    buf_close(&s.notice);
    buf_close(&written);
    ac_end(s.ac);
}

/* ---- one node alone ---- */

/* Another head of the path, of that generation. */
static void
another_head(const struct head *of, uint64_t generation, struct buf *out)
{
    struct head *head = calloc(1, sizeof(*head));
    assert_non_null(head);
    *head = *of;
    head->config_hash[0] ^= 1;
    head->generation = generation;
    if (generation > 1)
        head->prev[0] = 1;
    assert_int_equal(head_encode(head, out), OK);
    free(head);
}

/* It lies in a store that was put back. `open`: everything has been handed over already. */
static void
put_row(struct scene *s, const struct path_row *row, bool open)
{
    struct row_key key;
    struct buf encoded = {0};
    row_key_path(ac_path("a"), &key);
    assert_int_equal(path_row_encode(row, &encoded), OK);
    ac_crash(s->ac, s->only);
    ac_put(s->ac, s->only, &key, buf_bytes(&encoded));
    s->waiting = !open;
    if (!open)
        s->ac->nodes[s->only].finding = STORE_BEHIND;
    ac_start(s->ac, s->only);
    ac_run_ms(s->ac, 1000);
    assert_int_equal(ac_recovered(s->ac, s->only), open);
    buf_close(&encoded);
}

/* As its own recovery passes on what that helper has handed over. */
static void
hand_over(struct scene *s, uint8_t helper, const struct path_row *row)
{
    struct msg m = {.kind = MSG_HANDOVER,
                    .path = ac_path("a"),
                    .op = (uint64_t)helper << 8,
                    .from = (uint8_t)s->only,
                    .to = (uint8_t)s->only};
    m.u.handover.accepted =
        (struct accepted){.ballot = row->ballot, .state = row->state, .head = row->head};
    ac_deliver(s->ac, s->only, ACTOR_SHARD_STORE, &m);
    ac_run_ms(s->ac, 20);
}

/*
 * A row of that node, what a helper brings before the offer that the others have, and what stands
 * then.
 */
struct standing_case {
    enum accepted_state state;
    bool offer;
    int64_t ahead_ms; /* of that offer */
    uint64_t generation;
    bool this_incarnation, open;
    enum accepted_state handed; /* the offer, at the helper */
    bool successor_first;       /* another helper brings what was built on it, at a lower ballot */
    bool stays;
};

static void
hand_over_successor(struct scene *s, const struct path_row *row, const struct head *head)
{
    struct path_row next = *row;
    struct buf memory = {0};
    another_head(head, 2, &memory);
    next.head = buf_bytes(&memory);
    next.ballot.time -= 1;
    next.ballot.offer = false;
    next.state = STATE_ACCEPTED;
    hand_over(s, 1, &next);
    buf_close(&memory);
}

static void
stand(const struct standing_case *c, uint64_t seed)
{
    struct scene s;
    struct path_row offered, row;
    struct head head, now;
    struct buf other = {0}, copy = {0};
    begin(&s, seed);
    s.early = NODES;
    (void)offer_to_all(&s);
    assert_true(ac_path_row(s.ac, s.replicas.nodes[0], "a", &offered, &head));
    assert_int_equal(buf_append(&copy, offered.head), OK);
    another_head(&head, c->generation, &other);
    offered.head = buf_bytes(&copy);
    assert_int_equal(head_decode(offered.head, &head), OK);
    offered.state = c->handed;
    offered.proof = (struct bytes){0};
    row = (struct path_row){.ballot = offered.ballot,
                            .state = c->state,
                            .head = buf_bytes(&other),
                            .incarnation = c->this_incarnation && !c->open ? 2 : 1};
    row.ballot.offer = c->offer;
    row.ballot.time += (uint64_t)(c->ahead_ms * 65536);
    put_row(&s, &row, c->open);
    if (c->successor_first)
        hand_over_successor(&s, &row, &head);
    hand_over(&s, 0, &offered);
    assert_true(ac_path_row(s.ac, s.only, "a", &row, &now));
    assert_int_equal(bytes_equal(row.head, buf_bytes(&other)), c->stays);
    assert_true(c->stays || row.state == STATE_RECEIVED);
    buf_close(&other);
    buf_close(&copy);
    ac_end(s.ac);
}

/*
 * What stands here gives way to an offer that a helper brings only if it cannot have been chosen.
 */
static void
test_what_gives_way(void **state)
{
    enum accepted_state A = STATE_ACCEPTED, R = STATE_RECEIVED, C = STATE_CHOSEN;
    const struct standing_case cases[] = {
        /* voted on, by nobody else that is known of */
        {A, false, -9, 1, false, false, A, false, false},
        {A, false, 9, 1, false, false, A, false, false},
        {A, false, -9, 1, false, false, R, false, false},
        {R, false, -9, 1, false, false, A, false, false},
        /* taken or brought since the store was put back */
        {A, false, -9, 1, true, false, A, false, true},
        {R, false, -9, 1, true, false, A, false, true},
        /* built on a head that was chosen, or a helper has what was built on it */
        {A, false, 9, 2, false, false, A, false, true},
        {R, false, 9, 2, false, false, A, false, true},
        {A, false, -9, 1, false, false, A, true, true},
        {R, false, 9, 1, false, false, A, true, true},
        /* another offer */
        {A, true, -9, 1, false, false, A, false, false},
        {A, true, 9, 1, false, false, A, false, false},
        {A, true, 9, 1, false, false, R, false, false},
        {C, false, -9, 1, false, false, A, false, true},
        /* the page came too late */
        {A, false, -9, 1, false, true, A, false, true},
        {A, true, -9, 1, true, true, A, false, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        stand(&cases[i], 20 + i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_offer_of_later_time),
        cmocka_unit_test(test_chosen_offer_takes_the_place_of_a_later_one),
        cmocka_unit_test(test_what_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
