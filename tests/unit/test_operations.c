/* Which operations the heads of a path remember: proto/op_id.h, actors/coordinator_ops.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "proto/op_id.h"

static size_t
remembered(struct actor_cluster *ac, unsigned node)
{
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(ac, node, "a/b", &row, &head));
    return head.op_count;
}

static void
test_names(void **state)
{
    (void)state;
    uint8_t id[OP_ID_BYTES] = {1, 2, 3};
    assert_int_equal(op_id_node(id), -1);
    for (int node = 0; node < NODES_MAX; node++) {
        op_id_mark_unkeyed(id, (uint8_t)node);
        assert_int_equal(op_id_node(id), node);
    }
    assert_int_equal(id[2], 3);
    op_id_mark_unkeyed(id, NODES_MAX); /* no node of any cluster: nobody's */
    assert_int_equal(op_id_node(id), -1);
    op_id_mark_unkeyed(id, 0);
    op_id_mark_keyed(id); /* a hash that looks like a node's name */
    assert_int_equal(op_id_node(id), -1);
    uint8_t same[OP_ID_BYTES];
    memcpy(same, id, sizeof(same));
    op_id_mark_keyed(id);
    assert_memory_equal(id, same, sizeof(same));
}

/* Without keys a head remembers no more operations than there are nodes. */
static void
test_one_of_each_node(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 1);
    assert_int_equal(ac_create(ac, 0, "a/b", "one")->reply.err, OK);
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(ac_update(ac, i % 3, "a/b", "more")->reply.err, OK);
    assert_int_equal(remembered(ac, 0), 3);
    assert_int_equal(ac_delete(ac, 1, "a/b")->reply.err, OK);
    assert_int_equal(remembered(ac, 0), 3);
    assert_int_equal(ac_create(ac, 2, "a/b", "anew")->reply.err, OK);
    assert_int_equal(remembered(ac, 0), 3);
    ac_end(ac);
}

/* However many changes without a key come after it, one with a key is remembered. */
static void
test_keyed_is_not_crowded_out(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 2);
    struct ac_request *made = ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k", "one");
    assert_int_equal(made->reply.err, OK);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ac_update(ac, i % 3, "a/b", "more")->reply.err, OK);
    assert_int_equal(remembered(ac, 0), 4);
    struct ac_request *again = ac_keyed(ac, 1, REQUEST_CREATE, "a/b", "k", "one");
    assert_int_equal(again->reply.err, OK);
    assert_int_equal(again->reply.version, 1);
    assert_int_equal(again->reply.valid_from_ms, made->reply.valid_from_ms);
    assert_int_equal(ac_read(ac, 0, "a/b")->reply.version, 101);
    ac_end(ac);
}

/* KEYED_OPS_MAX of them, and those without a key beside them. */
static void
test_keyed_are_counted_apart(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 3);
    assert_int_equal(ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k0", "0")->reply.err, OK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_update(ac, i, "a/b", "more")->reply.err, OK);
    for (unsigned i = 1; i < KEYED_OPS_MAX; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(ac_keyed(ac, i % 3, REQUEST_UPDATE, "a/b", key, key)->reply.err, OK);
    }
    assert_int_equal(remembered(ac, 0), KEYED_OPS_MAX + 3);
    assert_int_equal(ac_keyed(ac, 2, REQUEST_CREATE, "a/b", "k0", "0")->reply.version, 1);
    assert_int_equal(ac_keyed(ac, 2, REQUEST_UPDATE, "a/b", "k64", "64")->reply.err, OK);
    assert_int_equal(remembered(ac, 0), KEYED_OPS_MAX + 3);
    assert_int_equal(ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k0", "0")->reply.err,
                     ERR_ALREADY_EXISTS);
    assert_int_equal(ac_keyed(ac, 0, REQUEST_UPDATE, "a/b", "k1", "k1")->reply.version, 5);
    ac_end(ac);
}

/* What the coordinator at node 0 waits for in vain: that it has been written, and new votes. */
struct vain {
    bool votes;
};

static enum ac_verdict
drop_answers(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    const struct vain *vain = context;
    bool answer = msg->kind == MSG_WRITTEN || (msg->kind == MSG_VOTED && vain->votes);
    return to == 0 && from != 0 && answer ? AC_DROP : AC_PASS;
}

/*
 * A change without a key has been written, and its coordinator does not hear of it. However far the
 * others go on, it learns that it has happened, and does not do it again.
 */
static void
in_doubt(enum request_kind kind, uint64_t seed, unsigned changes)
{
    struct actor_cluster *ac = ac_cluster_of(3, seed);
    assert_int_equal(ac_create(ac, 1, "a/b", "one")->reply.err, OK);
    struct request request = ac_make(kind, "a/b", kind == REQUEST_UPDATE ? "mine" : NULL);
    struct vain vain = {.votes = false};
    ac->filter = drop_answers;
    ac->filter_context = &vain;
    struct ac_request *mine = ac_send(ac, 0, &request);
    struct path_row row;
    struct head head;
    while (!ac_path_row(ac, 1, "a/b", &row, &head) || head.generation < 2)
        assert_true(ac_step(ac, ac->now_ns + 1000000000));
    vain.votes = true;
    for (unsigned i = 0; i < changes; i++) {
        struct ac_request *other = kind == REQUEST_DELETE && i == 0
                                       ? ac_create(ac, 1, "a/b", "again")
                                       : ac_update(ac, 1 + i % 2, "a/b", "more");
        assert_int_equal(other->reply.err, OK);
    }
    assert_false(mine->done);
    ac->filter = NULL;
    ac_wait(ac, mine);
    assert_int_equal(mine->reply.err, OK);
    assert_int_equal(mine->reply.version, kind == REQUEST_UPDATE ? 2 : 1);
    uint64_t versions = kind == REQUEST_UPDATE ? changes + 2 : changes;
    struct ac_request *read = ac_read(ac, 2, "a/b");
    assert_int_equal(read->reply.version, versions);
    assert_true(ac_value_is(read, "more"));
    ac_end(ac);
}

static void
test_change_in_doubt(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        in_doubt(REQUEST_UPDATE, seed, 90);
        in_doubt(REQUEST_DELETE, seed, 90);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_one_of_each_node),
        cmocka_unit_test(test_keyed_is_not_crowded_out),
        cmocka_unit_test(test_keyed_are_counted_apart),
        cmocka_unit_test(test_change_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
