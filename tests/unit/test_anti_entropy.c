/*
 * Anti-entropy in a cluster of actors: nodes that missed something and of which nobody kept account
 * get it within a round; nothing else moves; what is lost on the way is asked for again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

enum { ROUND_AND_MORE_MS = ROUND_MS + ROUND_JITTER_MS + 1000 };

static struct actor_cluster *
cluster_of(unsigned nodes, uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_of(nodes, seed);
    ac_run_ms(ac, 300);
    return ac;
}

static bool
has_chosen(struct actor_cluster *ac, unsigned node, const char *name, enum head_kind kind)
{
    struct path_row row;
    struct head head;
    return ac_path_row(ac, node, name, &row, &head) && row.state == STATE_CHOSEN &&
           head.kind == kind;
}

static uint64_t
counted(const struct actor_cluster *ac, unsigned node, enum metric which)
{
    return ac->nodes[node].metrics.counters[which];
}

static const struct digest_index *
digests(const struct actor_cluster *ac, unsigned node)
{
    return node_anti_entropy(ac->nodes[node].node)->digests;
}

/* What two nodes think of what both have; and nobody has anything to bring to anybody. */
static void
assert_in_sync(struct actor_cluster *ac)
{
    for (unsigned a = 0; a < ac->options.nodes; a++) {
        assert_true(digests(ac, a)->whole);
        for (unsigned b = 0; b < ac->options.nodes; b++) {
            if (a != b)
                assert_memory_equal(digests(ac, a)->peers[b], digests(ac, b)->peers[a],
                                    sizeof(struct peer_digests));
        }
    }
}

static void
forget_outstanding(struct actor_cluster *ac)
{
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        ac_forget(ac, i, ROW_BOXES);
        ac_forget(ac, i, ROW_ERASURE);
    }
}

/* ---- what a node missed ---- */

static void
test_missed_create_without_escrow(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 1);
    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    ac_isolate(ac, 2, false);
    ac_run_ms(ac, 1000); /* at once when the link comes up */
    assert_true(has_chosen(ac, 2, "a", HEAD_LIVE));
    assert_int_equal(counted(ac, 2, METRIC_heads_taken), 1);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "one")); /* and this repairs its share */
    ac_run_ms(ac, 1000);
    assert_int_equal(ac_rows_of(ac, 2, ROW_VERSION, "a"), 1);
    assert_in_sync(ac);
    ac_end(ac);
}

static void
test_missed_updates_without_escrow(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(5, 2);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_isolate(ac, 0, true); /* the one that asks the others */
    ac_run_ms(ac, 1500);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(ac_update(ac, 1 + i % 4, "a", "more")->reply.err, OK);
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    ac_isolate(ac, 0, false);
    ac_run_ms(ac, 1000);
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(ac, 0, "a", &row, &head));
    assert_int_equal(head.generation, 6);
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_in_range(ac_rows_of(ac, 0, ROW_VERSION, "a"), 1, 6); /* version 1 is in the chain */
    assert_in_sync(ac);
    ac_run_ms(ac, 10000);
    assert_int_equal(ac_rows_of(ac, 0, ROW_VERSION, "a"), 6); /* the others were got back */
    ac_end(ac);
}

static void
test_missed_delete_without_account(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 3);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2000);
    ac_crash(ac, 1);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    assert_int_equal(ac_rows_of(ac, 1, ROW_VERSION, "a"), 1);
    ac_start(ac, 1);
    ac_run_ms(ac, 1000);
    assert_true(has_chosen(ac, 1, "a", HEAD_TOMBSTONE));
    assert_int_equal(ac_rows_of(ac, 1, ROW_VERSION, "a"), 0);
    assert_in_sync(ac);
    ac_end(ac);
}

/*
 * With more nodes than shares only what both hold is compared, and nobody gets what is not its own.
 */
static void
test_more_nodes_than_shares(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_placed(5, 3, 18);
    size_t rows = 0;
    ac_run_ms(ac, 300);
    ac_isolate(ac, 3, true);
    ac_run_ms(ac, 1500);
    for (unsigned i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "path/%u", i);
        assert_int_equal(ac_create(ac, i % 3, name, "v")->reply.err, OK);
    }
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    assert_int_equal(ac_rows(ac, 3, ROW_PATH), 0);
    ac_isolate(ac, 3, false);
    ac_run_ms(ac, 2000);
    for (unsigned i = 0; i < 5; i++)
        rows += ac_rows(ac, i, ROW_PATH);
    assert_int_equal(rows, 3 * 40);
    assert_in_range(ac_rows(ac, 3, ROW_PATH), 5, 39);
    assert_in_sync(ac);
    ac_end(ac);
}

/* ---- heads that are only accepted ---- */

struct dropper {
    enum msg_kind kind;
    unsigned to;
    unsigned dropped;
    uint64_t bytes, frames;
};

static enum ac_verdict
drop_kind(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct dropper *d = context;
    (void)from;
    if (msg->kind != d->kind || (d->to != UINT32_MAX && to != d->to))
        return AC_PASS;
    d->dropped++;
    return AC_DROP;
}

static void
test_missed_notice(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 4);
    struct dropper dropper = {.kind = MSG_CHOSEN, .to = 2};
    ac->filter = drop_kind;
    ac->filter_context = &dropper;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 20);
    forget_outstanding(ac); /* its own boxes, which would have it finish the change, too */
    ac->filter = NULL;
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(ac, 2, "a", &row, &head));
    assert_int_equal(row.state, STATE_ACCEPTED);
    ac_run_ms(ac, ROUND_AND_MORE_MS);
    assert_true(has_chosen(ac, 2, "a", HEAD_LIVE));
    assert_in_sync(ac);
    ac_end(ac);
}

/*
 * Accepted by one node alone, which keeps the whole of it: finished by that node, wherever it is.
 */
static void
unchosen_head_at(unsigned node, uint64_t seed)
{
    struct actor_cluster *ac = cluster_of(3, seed);
    struct dropper dropper = {.kind = MSG_WRITE, .to = UINT32_MAX};
    ac->maybe = &ac_votes_only;
    ac->filter = drop_kind;
    ac->filter_context = &dropper;
    struct request ask = ac_make(REQUEST_CREATE, "a", "one");
    struct ac_request *r = ac_send(ac, node, &ask);
    for (unsigned i = 0; i < 100 && dropper.dropped == 0; i++)
        ac_run_ms(ac, 1);
    ac_run_ms(ac, 20);
    ac_crash_losing(ac, node, false);
    ac->filter = NULL;
    assert_true(r->lost);
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(ac, node, "a", &row, &head));
    assert_int_equal(row.state, STATE_ACCEPTED);
    ac_start(ac, node);
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < 3; i++)
        assert_true(has_chosen(ac, i, "a", HEAD_LIVE));
    ac_run_ms(ac, 3000);
    assert_in_sync(ac);
    ac_end(ac);
}

static void
test_unchosen_head(void **state)
{
    (void)state;
    unchosen_head_at(0, 5);
    unchosen_head_at(2, 6);
}

/* An accepted head is never told as a chosen one. */
static void
test_unchosen_head_is_not_taken(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 7);
    struct dropper dropper = {.kind = MSG_WRITE, .to = UINT32_MAX};
    ac->filter = drop_kind;
    ac->filter_context = &dropper;
    struct request ask = ac_make(REQUEST_CREATE, "a", "one");
    (void)ac_send(ac, 0, &ask);
    ac_run_ms(ac, 30000); /* rounds go on; nobody can finish it */
    assert_true(dropper.dropped > 0);
    for (unsigned i = 1; i < 3; i++)
        assert_int_equal(ac_rows_of(ac, i, ROW_PATH, "a"), 0);
    assert_true(counted(ac, 0, METRIC_anti_entropy_finished) > 0);
    ac_end(ac);
}

/* ---- what it costs ---- */

static enum ac_verdict
count_frames(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct dropper *d = context;
    struct buf frame = {0};
    (void)from;
    (void)to;
    if (msg->kind != MSG_COMPARE && msg->kind != MSG_COMPARED && msg->kind != MSG_ASK_ENTRIES &&
        msg->kind != MSG_ENTRIES)
        return AC_PASS;
    assert_int_equal(msg_encode(msg, &frame), OK);
    d->frames++;
    d->bytes += frame.size;
    buf_close(&frame);
    return AC_PASS;
}

static void
make_paths(struct actor_cluster *ac, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "path/%u", first + i);
        assert_int_equal(ac_create(ac, i % ac->options.nodes, name, "v")->reply.err, OK);
    }
}

static void
test_quiet_when_nothing_differs(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 8);
    struct dropper counter = {0};
    make_paths(ac, 0, 40);
    ac_run_ms(ac, ROUND_AND_MORE_MS);
    ac->filter = count_frames;
    ac->filter_context = &counter;
    ac_run_ms(ac, 10 * ROUND_MS);
    assert_in_range(counter.frames, 2 * 3 * 9, 2 * 3 * 11); /* question and answer of three pairs */
    assert_in_range(counter.bytes, 1, counter.frames * 64);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(counted(ac, i, METRIC_heads_told), 0);
    assert_int_equal(anti_entropy_backlog(node_anti_entropy(ac->nodes[0].node)), 0);
    ac_end(ac);
}

/* Many at once: all in the one round that begins when the link comes up. */
static void
test_many_differences_in_one_round(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 9);
    make_paths(ac, 0, 50);
    ac_isolate(ac, 1, true);
    ac_run_ms(ac, 1500);
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof(name), "path/%u", 50 + i);
        assert_int_equal(ac_create(ac, 2 * (i % 2), name, "v")->reply.err, OK);
    }
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    uint64_t rounds = counted(ac, 0, METRIC_anti_entropy_rounds);
    ac_isolate(ac, 1, false);
    ac_run_ms(ac, 2000); /* 300 pages and heads at 4 each, of 4,000 in a second */
    assert_int_equal(ac_rows(ac, 1, ROW_PATH), 350);
    assert_true(counted(ac, 0, METRIC_anti_entropy_rounds) - rounds <= 2); /* over both peers */
    assert_in_sync(ac);
    ac_end(ac);
}

/* While a client waits for an answer, there is a tenth of the budget. */
static void
test_clients_go_first(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 17);
    make_paths(ac, 0, 1);
    ac_isolate(ac, 1, true);
    ac_run_ms(ac, 1500);
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof(name), "path/%u", 1 + i);
        assert_int_equal(ac_create(ac, 2, name, "v")->reply.err, OK);
    }
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    struct dropper dropper = {.kind = MSG_STATE, .to = UINT32_MAX};
    ac->filter = drop_kind;
    ac->filter_context = &dropper;
    struct request ask = ac_make(REQUEST_READ, "path/0", NULL);
    struct ac_request *waits[3];
    for (unsigned i = 0; i < 3; i++)
        waits[i] = ac_send(ac, i, &ask);
    ac_isolate(ac, 1, false);
    ac_run_ms(ac, 2500);
    assert_false(waits[0]->done);
    assert_in_range(ac_rows(ac, 1, ROW_PATH), 50, 250);
    ac->filter = NULL;
    ac_run_ms(ac, 4000); /* answered; the rest goes fast */
    assert_true(waits[0]->done);
    assert_int_equal(ac_rows(ac, 1, ROW_PATH), 301);
    ac_end(ac);
}

/* Names that fall into one leaf need more than one page. */
static void
test_a_full_leaf(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 10);
    char names[80][32];
    unsigned count = 0;
    uint16_t leaf = path_leaf(ac_path("0"));
    for (unsigned i = 0; count < 80; i++) {
        snprintf(names[count], sizeof(names[count]), "%u", i);
        count += path_leaf(ac_path(names[count])) == leaf;
    }
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(ac_create(ac, 1, names[7 * i], "v")->reply.err, OK);
    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 1500);
    for (unsigned i = 0; i < 80; i++)
        (void)ac_create(ac, i % 2, names[i], "v");
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    ac_isolate(ac, 2, false);
    ac_run_ms(ac, 3000);
    assert_int_equal(ac_rows(ac, 2, ROW_PATH), 80);
    assert_in_sync(ac);
    ac_end(ac);
}

/* ---- what is lost on the way ---- */

static void
loses(enum msg_kind kind, uint64_t seed)
{
    struct actor_cluster *ac = cluster_of(3, seed);
    struct dropper dropper = {.kind = kind, .to = UINT32_MAX};
    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    ac->filter = drop_kind;
    ac->filter_context = &dropper;
    ac_isolate(ac, 2, false);
    ac_run_ms(ac, 2500); /* asked again, but not given up yet */
    assert_true(dropper.dropped >= 2);
    assert_false(has_chosen(ac, 2, "a", HEAD_LIVE));
    ac->filter = NULL;
    ac_run_ms(ac, 2500);
    assert_true(has_chosen(ac, 2, "a", HEAD_LIVE));

    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_create(ac, 0, "b", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    ac->filter = drop_kind;
    ac_isolate(ac, 2, false);
    ac_run_ms(ac, 8000); /* given up */
    ac->filter = NULL;
    ac_run_ms(ac, ROUND_AND_MORE_MS);
    assert_true(has_chosen(ac, 2, "b", HEAD_LIVE));
    assert_true(counted(ac, 0, METRIC_anti_entropy_lost) > 0);
    ac_end(ac);
}

static void
test_loss_does_not_wedge_a_round(void **state)
{
    (void)state;
    loses(MSG_COMPARE, 11);
    loses(MSG_COMPARED, 12);
    loses(MSG_ASK_ENTRIES, 13);
    loses(MSG_ENTRIES, 14);
}

/* ---- digests ---- */

/* After every sort of change, what was kept step by step is what a restart finds on the disk. */
static void
test_digests_survive_a_restart(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 15);
    make_paths(ac, 0, 300); /* more than a page */
    for (unsigned i = 0; i < 300; i += 3) {
        char name[32];
        snprintf(name, sizeof(name), "path/%u", i);
        if (i % 2 == 0)
            assert_int_equal(ac_delete(ac, 1, name)->reply.err, OK);
        else
            assert_int_equal(ac_update(ac, 2, name, "w")->reply.err, OK);
    }
    ac_run_ms(ac, 3000);
    assert_in_sync(ac);
    assert_int_equal(digests(ac, 0)->paths, 300);
    struct peer_digests *before = malloc(sizeof(*before));
    assert_non_null(before);
    *before = *digests(ac, 0)->peers[1];
    ac_crash(ac, 0);
    ac_start(ac, 0);
    ac_run_ms(ac, 500);
    assert_true(digests(ac, 0)->whole);
    assert_int_equal(digests(ac, 0)->paths, 300);
    assert_memory_equal(before, digests(ac, 0)->peers[1], sizeof(*before));
    free(before);
    ac_end(ac);
}

/*
 * The same while paths change, with a slow disk and little memory, so that pages are out of date.
 */
static void
rebuilt_under_load(uint64_t seed)
{
    struct ac_options options = {.nodes = 3, .seed = seed, .paths_max = 24};
    struct actor_cluster *ac = ac_new(&options);
    make_paths(ac, 0, 150);
    ac_run_ms(ac, 2000);
    ac_crash(ac, 0);
    ac_start(ac, 0);
    ac->nodes[0].slow_disk = true;
    for (unsigned i = 0; i < 60; i++) {
        char name[32];
        snprintf(name, sizeof(name), "path/%u", (unsigned)ac_dice(ac, 250));
        struct request ask = ac_make(ac_dice(ac, 3) ? REQUEST_CREATE : REQUEST_DELETE, name, "w");
        (void)ac_send(ac, 1 + i % 2, &ask);
        ac_run_ms(ac, ac_dice(ac, 4));
    }
    ac_heal(ac);
    ac_run_ms(ac, 20000);
    assert_in_sync(ac);
    ac_end(ac);
}

static void
test_rebuilt_under_load(void **state)
{
    (void)state;
    for (uint64_t seed = 20; seed < 28; seed++)
        rebuilt_under_load(seed);
}

/*
 * The row of a path rots when nothing of it is in memory: what it was counted as is not known when
 * it has been handed over, and is not counted besides.
 */
static void
test_row_that_had_rotted(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 3, .seed = 30, .paths_max = 4};
    struct actor_cluster *ac = ac_new(&options);
    struct row_key key;
    make_paths(ac, 0, 20);
    assert_int_equal(ac_delete(ac, 0, "path/0")->reply.err, OK);
    ac_run_ms(ac, 5000);
    assert_in_sync(ac);
    for (unsigned i = 0; i < 2; i++) {
        char name[32], other[32];
        for (unsigned j = 8; j < 18; j++) { /* the entry goes */
            snprintf(other, sizeof(other), "path/%u", j);
            assert_int_equal(ac_read(ac, 1, other)->reply.err, OK);
        }
        snprintf(name, sizeof(name), "path/%u", i);
        row_key_path(ac_path(name), &key);
        ac_put(ac, 1, &key, bytes_of_text(ac_unreadable));
        (void)ac_read(ac, 1, name);
    }
    ac_run_ms(ac, 20000);
    assert_int_equal(node_membership(ac->nodes[1].node)->repair.paths_in_doubt, 0);
    assert_in_sync(ac);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(tenant_tally_count(&digests(ac, i)->tally, bytes_of_text("default")), 19);
    ac_end(ac);
}

struct restarter {
    struct actor_cluster *ac;
    unsigned restarts, peer, asked; /* by node 0 since then */
};

/* Node 0's digests begin anew while an answer about those of before is on its way to it. */
static enum ac_verdict
restart_before_answer(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct restarter *r = context;
    if (msg->kind == MSG_COMPARED && to == 0 && r->restarts == 0 &&
        (msg->u.compared.differing[0] & 1)) {
        r->restarts++;
        r->peer = from;
        digests_restart(node_anti_entropy(r->ac->nodes[0].node)->digests);
    }
    r->asked += r->restarts > 0 && from == 0 && to == r->peer &&
                (msg->kind == MSG_ASK_ENTRIES || msg->kind == MSG_COMPARE);
    return AC_PASS;
}

static void
test_restarted_amid_a_round(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 31);
    struct restarter restarter = {.ac = ac};
    make_paths(ac, 0, 40);
    ac_run_ms(ac, 5000);
    ac_isolate(ac, 1, true); /* so that there is something to be found */
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_create(ac, 0, "more", "x")->reply.err, OK);
    ac_run_ms(ac, 3000);
    forget_outstanding(ac);
    ac->filter = restart_before_answer;
    ac->filter_context = &restarter;
    ac_isolate(ac, 1, false);
    for (unsigned i = 0; i < 3000 && restarter.restarts == 0; i++)
        ac_run_ms(ac, 1);
    assert_int_equal(restarter.restarts, 1);
    ac_run_ms(ac, 20);
    assert_int_equal(restarter.asked, 0); /* half of them would be unlike everything */
    ac->filter = NULL;
    ac_run_ms(ac, 20000);
    assert_in_sync(ac);
    ac_end(ac);
}

/* Nothing is compared with a node that does not know yet what it has. */
static void
test_not_ready(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 16);
    struct msg m = {.kind = MSG_COMPARE, .op = 7};
    uint8_t digest[DIGEST_BYTES] = {1};
    m.u.compare.digests = bytes_of(digest, sizeof(digest));
    assert_int_equal(ac_inject(ac, 1, 2, &m), OK);
    m.u.compare.level = COMPARE_RANGES; /* one digest instead of 256 */
    assert_int_equal(ac_inject(ac, 1, 2, &m), ERR_UNEXPECTED);
    m = (struct msg){.kind = MSG_ENTRIES, .op = 7};
    assert_int_equal(ac_inject(ac, 1, 2, &m), OK); /* not asked for */
    m = (struct msg){.kind = MSG_COMPARED, .op = 7};
    assert_int_equal(ac_inject(ac, 1, 0, &m), OK);
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missed_create_without_escrow),
        cmocka_unit_test(test_missed_updates_without_escrow),
        cmocka_unit_test(test_missed_delete_without_account),
        cmocka_unit_test(test_more_nodes_than_shares),
        cmocka_unit_test(test_missed_notice),
        cmocka_unit_test(test_unchosen_head),
        cmocka_unit_test(test_unchosen_head_is_not_taken),
        cmocka_unit_test(test_quiet_when_nothing_differs),
        cmocka_unit_test(test_many_differences_in_one_round),
        cmocka_unit_test(test_clients_go_first),
        cmocka_unit_test(test_a_full_leaf),
        cmocka_unit_test(test_loss_does_not_wedge_a_round),
        cmocka_unit_test(test_digests_survive_a_restart),
        cmocka_unit_test(test_rebuilt_under_load),
        cmocka_unit_test(test_row_that_had_rotted),
        cmocka_unit_test(test_restarted_amid_a_round),
        cmocka_unit_test(test_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
