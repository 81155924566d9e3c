/* Idempotency-Keys: one key is one change, however often and wherever it is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

static void
assert_first_answer(const struct ac_request *first, const struct ac_request *again)
{
    assert_int_equal(first->reply.err, OK);
    assert_int_equal(again->reply.err, OK);
    assert_int_equal(again->reply.version, first->reply.version);
    assert_int_equal(again->reply.valid_from_ms, first->reply.valid_from_ms);
}

static void
test_first_answer_everywhere(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 1);
    struct ac_request *made = ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k1", "one");
    struct ac_request *changed = ac_keyed(ac, 1, REQUEST_UPDATE, "a/b", "k2", "two");
    for (unsigned i = 0; i < 3; i++) {
        assert_first_answer(made, ac_keyed(ac, i, REQUEST_CREATE, "a/b", "k1", "one"));
        assert_first_answer(changed, ac_keyed(ac, i, REQUEST_UPDATE, "a/b", "k2", "two"));
    }
    assert_int_equal(ac_read(ac, 2, "a/b")->reply.version, 2);
    assert_int_equal(ac_keyed(ac, 2, REQUEST_CREATE, "a/b", "k3", "one")->reply.err,
                     ERR_ALREADY_EXISTS);
    ac_end(ac);
}

static void
test_after_all_nodes_restarted(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 2);
    struct ac_request *made = ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k", "one");
    for (unsigned i = 0; i < 3; i++)
        ac_crash(ac, i);
    for (unsigned i = 0; i < 3; i++)
        ac_start(ac, i);
    ac_run_ms(ac, 2000);
    assert_first_answer(made, ac_keyed(ac, 2, REQUEST_CREATE, "a/b", "k", "one"));
    ac_end(ac);
}

static bool
no_memory_for_shares(void *context, enum maybe_site site)
{
    (void)context;
    return site == MAYBE_read_no_memory;
}

/* It has happened; that it cannot be compared is no reason to say that nothing did. */
static void
test_no_memory_to_compare(void **state)
{
    (void)state;
    static const struct maybe oracle = {NULL, no_memory_for_shares};
    struct actor_cluster *ac = ac_cluster_of(3, 8);
    struct ac_request *made = ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k", "one");
    ac->maybe = &oracle;
    struct ac_request *again = ac_keyed(ac, 1, REQUEST_CREATE, "a/b", "k", "one");
    assert_int_equal(again->reply.err, ERR_NO_QUORUM);
    assert_int_equal(again->reply.phase, PHASE_WRITING);
    ac->maybe = NULL;
    assert_first_answer(made, ac_keyed(ac, 1, REQUEST_CREATE, "a/b", "k", "one"));
    ac_end(ac);
}

static void
test_another_request_under_the_key(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 3);
    assert_int_equal(ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k", "one")->reply.err, OK);
    assert_int_equal(ac_keyed(ac, 1, REQUEST_CREATE, "a/b", "k", "two")->reply.err, ERR_KEY_REUSED);
    assert_int_equal(ac_keyed(ac, 1, REQUEST_UPDATE, "a/b", "k", "one")->reply.err, ERR_KEY_REUSED);
    assert_int_equal(ac_keyed(ac, 1, REQUEST_DELETE, "a/b", "k", NULL)->reply.err, ERR_KEY_REUSED);

    struct request coded = ac_make(REQUEST_CREATE, "a/b", "one");
    coded.idempotency_key = bytes_of_text("k");
    coded.encoding = VALUE_BASE64;
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &coded))->reply.err, ERR_KEY_REUSED);

    struct request update = ac_make(REQUEST_UPDATE, "a/b", "two");
    update.idempotency_key = bytes_of_text("u");
    update.has_expected_version = true;
    update.expected_version = 1;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &update))->reply.version, 2);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &update))->reply.version, 2);
    update.expected_version = 2;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &update))->reply.err, ERR_KEY_REUSED);
    assert_true(ac_value_is(ac_read(ac, 0, "a/b"), "two"));
    ac_end(ac);
}

/* A version that is no longer the latest is compared as well. */
static void
test_older_version_is_compared(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(5, 4);
    struct ac_request *made = ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k", "one");
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(ac_update(ac, i, "a/b", "later")->reply.err, OK);
    assert_first_answer(made, ac_keyed(ac, 3, REQUEST_CREATE, "a/b", "k", "one"));
    assert_int_equal(ac_keyed(ac, 3, REQUEST_CREATE, "a/b", "k", "later")->reply.err,
                     ERR_KEY_REUSED);
    ac_end(ac);
}

/* What has been erased cannot be compared: the first result is answered, and nothing is made. */
static void
test_after_deletion(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 5);
    struct ac_request *made = ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k", "one");
    struct ac_request *gone = ac_keyed(ac, 0, REQUEST_DELETE, "a/b", "d", NULL);
    assert_int_equal(gone->reply.err, OK);
    assert_first_answer(made, ac_keyed(ac, 1, REQUEST_CREATE, "a/b", "k", "one"));
    assert_int_equal(ac_read(ac, 1, "a/b")->reply.err, ERR_NOT_FOUND);

    struct ac_request *again = ac_keyed(ac, 2, REQUEST_DELETE, "a/b", "d", NULL);
    assert_int_equal(again->reply.err, OK);
    assert_true(again->reply.erased_on >= again->reply.required);

    /* A deletion named by its key does not fall on what was created since. */
    assert_int_equal(ac_create(ac, 1, "a/b", "new")->reply.err, OK);
    again = ac_keyed(ac, 2, REQUEST_DELETE, "a/b", "d", NULL);
    assert_int_equal(again->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 0, "a/b"), "new"));
    assert_first_answer(made, ac_keyed(ac, 1, REQUEST_CREATE, "a/b", "k", "one"));
    ac_end(ac);
}

/* The first attempt's node dies at any moment; the key settles at another what became of it. */
static void
test_settles_what_was_unknown(void **state)
{
    (void)state;
    for (uint64_t us = 0; us < 3000; us += 100) {
        struct actor_cluster *ac = ac_cluster_of(3, 100 + us);
        struct request request = ac_make(REQUEST_CREATE, "a/b", "one");
        request.idempotency_key = bytes_of_text("k");
        (void)ac_send(ac, 0, &request);
        uint64_t until = ac->now_ns + us * 1000;
        while (ac_step(ac, until))
            continue;
        ac_crash(ac, 0);
        struct ac_request *settled = ac_keyed(ac, 1, REQUEST_CREATE, "a/b", "k", "one");
        assert_int_equal(settled->reply.err, OK);
        assert_int_equal(settled->reply.version, 1);
        assert_first_answer(settled, ac_keyed(ac, 2, REQUEST_CREATE, "a/b", "k", "one"));
        struct request ask = ac_make(REQUEST_HISTORY, "a/b", NULL);
        assert_int_equal(ac_wait(ac, ac_send(ac, 2, &ask))->reply.row_count, 1);
        ac_end(ac);
    }
}

static enum ac_verdict
drop_questions(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)to;
    bool question = msg->kind == MSG_LIST || msg->kind == MSG_READ;
    return from == 1 && question ? AC_DROP : AC_PASS;
}

/*
 * While a retry is compared, the secret is deleted and created by others: not theirs is compared.
 */
static void
test_created_anew_while_compared(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 6);
    struct ac_request *made = ac_keyed(ac, 0, REQUEST_CREATE, "a/b", "k", "one");
    struct request request = ac_make(REQUEST_CREATE, "a/b", "one");
    request.idempotency_key = bytes_of_text("k");
    ac->filter = drop_questions;
    struct ac_request *again = ac_send(ac, 1, &request);
    ac_run_ms(ac, 100);
    assert_int_equal(ac_delete(ac, 0, "a/b")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "a/b", "other")->reply.err, OK);
    assert_false(again->done);
    ac->filter = NULL;
    assert_first_answer(made, ac_wait(ac, again));
    assert_true(ac_value_is(ac_read(ac, 1, "a/b"), "other"));
    ac_end(ac);
}

/* Two nodes at once: one change, and both are told of it. */
static void
test_same_key_at_two_nodes_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct actor_cluster *ac = ac_cluster_of(3, seed);
        struct request request = ac_make(REQUEST_CREATE, "a/b", "one");
        request.idempotency_key = bytes_of_text("k");
        struct ac_request *one = ac_send(ac, 0, &request);
        struct ac_request *two = ac_send(ac, 1, &request);
        ac_wait(ac, one);
        ac_wait(ac, two);
        assert_first_answer(one, two);
        ac_end(ac);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_answer_everywhere),
        cmocka_unit_test(test_after_all_nodes_restarted),
        cmocka_unit_test(test_no_memory_to_compare),
        cmocka_unit_test(test_another_request_under_the_key),
        cmocka_unit_test(test_older_version_is_compared),
        cmocka_unit_test(test_after_deletion),
        cmocka_unit_test(test_settles_what_was_unknown),
        cmocka_unit_test(test_created_anew_while_compared),
        cmocka_unit_test(test_same_key_at_two_nodes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
