/*
 * Identity records: heads with their value in them on all nodes of the cluster, the lease under
 * which a node decides by them, and changes that are answered when no node decides by what was
 * before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/lease.h"
#include "token_records.h"

static struct test_token token;
static const char policy[] = "_auth/policy/readers";

static struct ac_request *
record_request(struct actor_cluster *ac, unsigned node, enum request_kind kind, const char *name,
               const char *value)
{
    struct request r = ac_make(kind, name, value);
    return ac_wait(ac, ac_send(ac, node, &r));
}

static struct ac_request *
put_expecting(struct actor_cluster *ac, unsigned node, const char *value, uint64_t version)
{
    struct request r = ac_make(REQUEST_RECORD_PUT, policy, value);
    r.has_expected_version = true;
    r.expected_version = version;
    return ac_wait(ac, ac_send(ac, node, &r));
}

static struct ac_request *
send_token_record(struct actor_cluster *ac, unsigned node, enum request_kind kind)
{
    struct request r = ac_make(kind, token.name, NULL);
    struct buf value = {0};
    r.tenant = bytes_of_text(SYSTEM_TENANT);
    if (kind == REQUEST_RECORD_PUT)
        test_token_record(&token, 1, 0, 3600, &value);
    r.value = buf_bytes(&value);
    struct ac_request *sent = ac_send(ac, node, &r);
    buf_close(&value);
    return sent;
}

static struct ac_request *
change_token(struct actor_cluster *ac, unsigned node, enum request_kind kind)
{
    return ac_wait(ac, send_token_record(ac, node, kind));
}

/* What becomes of a read with the token at that node. */
static enum vault_err
read_with_token(struct actor_cluster *ac, unsigned node)
{
    struct request r = ac_make(REQUEST_READ, "a", NULL);
    r.credential = bytes_of_text(token.text);
    struct ac_request *answer = ac_wait(ac, ac_send(ac, node, &r));
    return answer->reply.err;
}

static struct actor_cluster *
cluster_of(unsigned nodes, unsigned shares, uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_placed(nodes, shares, seed);
    ac_run_ms(ac, 1000); /* everybody has a lease */
    return ac;
}

static void
make_token(struct actor_cluster *ac)
{
    assert_int_equal(ac_create(ac, 0, "a", "value")->reply.err, OK);
    test_token_make(1, &token);
    records_put_tenant(ac, "default");
    records_put_policy(ac, "readers",
                       "{\"rules\":[{\"path\":\"**\",\"capabilities\":[\"read\"]}]}");
    records_put_identity(ac, 1, "readers", false);
    assert_int_equal(change_token(ac, 0, REQUEST_RECORD_PUT)->reply.err, OK);
}

static struct actor_cluster *
cluster_with_token(uint64_t seed)
{
    struct actor_cluster *ac = cluster_of(3, 3, seed);
    make_token(ac);
    return ac;
}

static bool
has_lease(const struct actor_cluster *ac, unsigned node)
{
    return lease_is_valid(node_membership(ac->nodes[node].node), ac_monotonic(ac));
}

/* ---- the records themselves ---- */

static void
a_record_is_on_all_nodes(void **state)
{
    static const unsigned sizes[][2] = {{1, 1}, {3, 3}, {5, 3}, {9, 7}};
    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned nodes = sizes[i][0];
        struct actor_cluster *ac = cluster_of(nodes, sizes[i][1], 1 + i);
        struct ac_request *put = put_expecting(ac, nodes - 1, "rules", 0);
        assert_int_equal(put->reply.err, OK);
        assert_int_equal(put->reply.version, 1);
        for (unsigned node = 0; node < nodes; node++) {
            struct path_row row;
            struct head head;
            assert_true(ac_path_row(ac, node, policy, &row, &head));
            assert_int_equal(row.state, STATE_CHOSEN);
            assert_int_equal(head.kind, HEAD_INLINE);
            assert_true(bytes_equal(head.value, bytes_of_text("rules")));
            assert_int_equal(ac_rows(ac, node, ROW_IDENTITY), 1);
            assert_int_equal(ac_rows(ac, node, ROW_VERSION), 0);
            assert_int_equal(ac_rows(ac, node, ROW_UNSETTLED), 0);
            assert_true(
                ac_value_is(record_request(ac, node, REQUEST_RECORD_GET, policy, NULL), "rules"));
        }
        ac_end(ac);
    }
}

static void
preconditions_are_on_versions(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 3, 11);
    assert_int_equal(put_expecting(ac, 0, "one", 1)->reply.err, ERR_VERSION_MISMATCH);
    assert_int_equal(put_expecting(ac, 0, "one", 0)->reply.version, 1);
    assert_int_equal(put_expecting(ac, 1, "two", 0)->reply.err, ERR_ALREADY_EXISTS);
    assert_int_equal(put_expecting(ac, 1, "two", 2)->reply.err, ERR_VERSION_MISMATCH);
    assert_int_equal(put_expecting(ac, 2, "two", 1)->reply.version, 2);
    assert_int_equal(record_request(ac, 0, REQUEST_RECORD_PUT, policy, "three")->reply.version, 3);
    assert_int_equal(record_request(ac, 0, REQUEST_RECORD_DELETE, policy, NULL)->reply.err, OK);
    assert_int_equal(record_request(ac, 1, REQUEST_RECORD_GET, policy, NULL)->reply.err,
                     ERR_NOT_FOUND);
    assert_int_equal(record_request(ac, 1, REQUEST_RECORD_DELETE, policy, NULL)->reply.err,
                     ERR_NOT_FOUND);
    assert_int_equal(put_expecting(ac, 1, "again", 0)->reply.version, 1);
    ac_end(ac);
}

/* What is to be made where nothing ever was is not made where something was deleted. */
static void
what_was_deleted_is_not_new(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 3, 16);
    struct request r = ac_make(REQUEST_RECORD_PUT, policy, "one");
    r.has_expected_version = true;
    r.never_there = true;
    r.idempotency_key = bytes_of_text("key");
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &r))->reply.version, 1);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &r))->reply.version, 1);
    assert_int_equal(record_request(ac, 2, REQUEST_RECORD_DELETE, policy, NULL)->reply.err, OK);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &r))->reply.err, OK); /* it has happened */
    assert_int_equal(record_request(ac, 1, REQUEST_RECORD_GET, policy, NULL)->reply.err,
                     ERR_NOT_FOUND);
    r.idempotency_key = bytes_of_text("other");
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &r))->reply.err, ERR_ALREADY_EXISTS);
    r.never_there = false;
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &r))->reply.version, 1);
    ac_end(ac);
}

static void
records_are_listed_by_key(void **state)
{
    static const char *const names[] = {"_auth/role/c", "_auth/role/a", "_auth/policy/b",
                                        "_auth/role/b", "_auth/role/d"};
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 3, 12);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(record_request(ac, i % 3, REQUEST_RECORD_PUT, names[i], "x")->reply.err,
                         OK);
    assert_int_equal(record_request(ac, 1, REQUEST_RECORD_DELETE, "_auth/role/d", NULL)->reply.err,
                     OK);
    const struct auth_record *found[2];
    bool more;
    const struct auth_view *view = node_membership(ac->nodes[2].node)->records;
    size_t count = auth_view_list(view, bytes_of_text("default"), bytes_of_text("role"),
                                  bytes_of_text(""), found, 2, &more);
    assert_int_equal(count, 2);
    assert_true(more);
    assert_true(bytes_equal(found[0]->link.path.name, bytes_of_text("_auth/role/a")));
    assert_true(bytes_equal(found[1]->link.path.name, bytes_of_text("_auth/role/b")));
    struct request r = ac_make(REQUEST_RECORD_LIST, "_auth/role/b", NULL);
    struct ac_request *list = ac_wait(ac, ac_send(ac, 0, &r));
    assert_int_equal(list->reply.err, OK);
    assert_int_equal(list->reply.record_count, 1);
    assert_false(list->reply.has_next);
    ac_end(ac);
}

/* A secret cannot be called like a record, nor a record like a secret. */
static void
names_are_kept_apart(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 3, 13);
    assert_int_equal(ac_create(ac, 0, policy, "value")->reply.err, ERR_BAD_NAME);
    assert_int_equal(record_request(ac, 0, REQUEST_RECORD_PUT, "a", "x")->reply.err, ERR_BAD_NAME);
    assert_int_equal(record_request(ac, 0, REQUEST_RECORD_PUT, "_auth/Role/a", "x")->reply.err,
                     ERR_BAD_NAME);
    assert_int_equal(record_request(ac, 0, REQUEST_RECORD_PUT, "_auth/role/a/b", "x")->reply.err,
                     ERR_BAD_NAME);
    char *large = malloc(RECORD_VALUE_BYTES_MAX + 2);
    memset(large, 'x', RECORD_VALUE_BYTES_MAX + 1);
    large[RECORD_VALUE_BYTES_MAX + 1] = 0;
    assert_int_equal(record_request(ac, 0, REQUEST_RECORD_PUT, policy, large)->reply.err,
                     ERR_TOO_LARGE);
    large[RECORD_VALUE_BYTES_MAX] = 0;
    assert_int_equal(record_request(ac, 0, REQUEST_RECORD_PUT, policy, large)->reply.err, OK);
    assert_true(ac_value_is(record_request(ac, 1, REQUEST_RECORD_GET, policy, NULL), large));
    free(large);
    ac_end(ac);
}

/* ---- tokens ---- */

static void
a_token_counts_everywhere_until_it_is_revoked(void **state)
{
    (void)state;
    for (uint64_t seed = 20; seed < 30; seed++) {
        struct actor_cluster *ac = cluster_with_token(seed);
        for (unsigned node = 0; node < 3; node++)
            assert_int_equal(read_with_token(ac, node), OK);
        uint64_t began = ac_ms(ac);
        assert_int_equal(change_token(ac, 1, REQUEST_RECORD_DELETE)->reply.err, OK);
        assert_true(ac_ms(ac) - began < 500);
        for (unsigned node = 0; node < 3; node++)
            assert_int_equal(read_with_token(ac, node), ERR_UNAUTHENTICATED);
        ac_end(ac);
    }
}

/* The revocation is answered when the node that is cut off has stopped by itself. */
static void
a_node_that_is_cut_off_stops(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 40; seed++) {
        struct actor_cluster *ac = cluster_with_token(seed);
        ac_isolate(ac, 2, true);
        assert_true(has_lease(ac, 2));
        struct ac_request *revoked = send_token_record(ac, 0, REQUEST_RECORD_DELETE);
        while (!revoked->done)
            assert_true(ac_step(ac, UINT64_MAX));
        assert_int_equal(revoked->reply.err, OK);
        assert_true(revoked->ended_ns - revoked->began_ns >= duration_ms(IDENTITY_LEASE_MS).ns);
        assert_false(has_lease(ac, 2));
        assert_int_equal(read_with_token(ac, 2), ERR_NOT_READY);
        assert_int_equal(read_with_token(ac, 0), ERR_UNAUTHENTICATED);
        ac_heal(ac);
        ac_run_ms(ac, 4000);
        assert_true(has_lease(ac, 2));
        assert_int_equal(read_with_token(ac, 2), ERR_UNAUTHENTICATED);
        ac_end(ac);
    }
}

/* Nobody learns what becomes of a batch. */
static enum ac_verdict
no_batch_records(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context, (void)from, (void)to;
    return msg_has_path(msg->kind) && batch_record_name_valid(msg->path.name) ? AC_DROP : AC_PASS;
}

/* A read has all shares and waits for a batch; the revocation returns, and then it is decided. */
static void
a_read_that_waited_asks_again(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_token(42);
    const struct batch_item item = {.name = bytes_of_text("b"), .value = bytes_of_text("later")};
    struct request create = ac_make(REQUEST_BATCH_CREATE, "", NULL);
    struct request read = ac_make(REQUEST_READ, "b", NULL);
    create.items = &item;
    create.item_count = 1;
    read.credential = bytes_of_text(token.text);
    ac->filter = no_batch_records;
    struct ac_request *creates = ac_send(ac, 0, &create);
    ac_run_ms(ac, 100);
    struct ac_request *reads = ac_send(ac, 1, &read);
    ac_run_ms(ac, 100);
    assert_false(creates->done || reads->done);
    assert_int_equal(change_token(ac, 2, REQUEST_RECORD_DELETE)->reply.err, OK);
    ac->filter = NULL;
    assert_int_equal(ac_wait(ac, creates)->reply.err, OK);
    assert_int_equal(ac_wait(ac, reads)->reply.err, ERR_UNAUTHENTICATED);
    ac_end(ac);
}

static void
a_restarted_node_serves_nobody_before_it_has_heard(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_token(41);
    ac_crash(ac, 2);
    ac_isolate(ac, 2, true);
    ac_start(ac, 2);
    ac_run_ms(ac, 500);
    assert_int_equal(read_with_token(ac, 2), ERR_NOT_READY);
    ac_heal(ac);
    ac_run_ms(ac, 2500);
    assert_int_equal(read_with_token(ac, 2), OK);
    ac_end(ac);
}

/*
 * Node 2 missed a revocation, and is the first to hand the rotten row of it over: nodes 1 and 2
 * agree on the token then, and neither has the right to go by it.
 */
static void
a_record_in_doubt_is_no_ground_for_a_lease(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 3, .seed = 44, .scrub_rows_per_s = 200};
    struct actor_cluster *ac = ac_new(&options);
    struct row_key key;
    ac_run_ms(ac, 1000);
    make_token(ac);
    const struct path path = {bytes_of_text(SYSTEM_TENANT), bytes_of_text(token.name)};
    ac_crash(ac, 2);
    assert_int_equal(change_token(ac, 0, REQUEST_RECORD_DELETE)->reply.err, OK);
    ac_run_ms(ac, 1000);
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    row_key_path(path, &key);
    ac_put(ac, 1, &key, bytes_of_text(ac_unreadable));
    struct checked_path *p = checks_path(&ac->checks, path);
    assert_non_null(p);
    p->highest[1] = (struct ballot){0};
    p->erased[1] = 0;
    for (size_t i = 0; i < p->accepted_count; i++)
        p->accepted[i].by &= ~(UINT64_C(1) << 1);
    ac_start(ac, 2);
    ac_start(ac, 1);
    for (unsigned i = 0; i < 10; i++) {
        ac_run_ms(ac, 1000);
        assert_int_equal(read_with_token(ac, 1), ERR_NOT_READY);
        assert_int_equal(read_with_token(ac, 2), ERR_NOT_READY);
    }
    assert_int_equal(node_membership(ac->nodes[1].node)->repair.paths_in_doubt, 1);
    ac_start(ac, 0);
    ac_run_ms(ac, 8000);
    for (unsigned node = 0; node < 3; node++)
        assert_int_equal(read_with_token(ac, node), ERR_UNAUTHENTICATED);
    ac_end(ac);
}

static void
records_outlive_all_processes_and_a_store(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_token(42);
    for (unsigned node = 0; node < 3; node++)
        ac_crash(ac, node);
    for (unsigned node = 0; node < 3; node++)
        ac_start(ac, node);
    ac_run_ms(ac, 4000);
    for (unsigned node = 0; node < 3; node++)
        assert_int_equal(read_with_token(ac, node), OK);
    ac_crash(ac, 1);
    ac_lose_store(ac, 1, true);
    ac_start(ac, 1);
    ac_run_ms(ac, 8000);
    assert_true(ac_recovered(ac, 1));
    assert_int_equal(ac_rows(ac, 1, ROW_IDENTITY), 4);
    assert_int_equal(ac_rows(ac, 1, ROW_NEED), 0);
    assert_int_equal(read_with_token(ac, 1), OK);
    ac_end(ac);
}

/* ---- what is not known ---- */

static enum ac_verdict
drop_notices(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    return to == 2 && (msg->kind == MSG_CHOSEN || msg->kind == MSG_WRITE) ? AC_DROP : AC_PASS;
}

/* Connected, but it is not told: its lease ends, since the others have what it has not. */
static void
a_node_that_lags_behind_stops(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_token(43);
    ac->filter = drop_notices;
    uint64_t began = ac_ms(ac);
    assert_int_equal(change_token(ac, 0, REQUEST_RECORD_DELETE)->reply.err, OK);
    assert_true(ac_ms(ac) - began >= IDENTITY_LEASE_MS);
    assert_false(has_lease(ac, 2));
    assert_int_equal(read_with_token(ac, 2), ERR_NOT_READY);
    assert_true(has_lease(ac, 0));
    ac->filter = NULL;
    ac_run_ms(ac, 5000);
    assert_true(has_lease(ac, 2));
    assert_int_equal(read_with_token(ac, 2), ERR_UNAUTHENTICATED);
    ac_end(ac);
}

static enum ac_verdict
drop_all_chosen(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    (void)to;
    return msg->kind == MSG_CHOSEN ? AC_DROP : AC_PASS;
}

/* A change whose coordinator has gone is finished by the others, and they serve on. */
static void
a_change_left_behind_is_finished(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_token(44);
    ac->filter = drop_all_chosen;
    struct ac_request *revoked = send_token_record(ac, 0, REQUEST_RECORD_DELETE);
    ac_run_ms(ac, 20);
    ac_crash(ac, 0);
    assert_true(revoked->lost);
    ac->filter = NULL;
    ac_run_ms(ac, 6000);
    for (unsigned node = 1; node < 3; node++) {
        assert_true(has_lease(ac, node));
        assert_int_equal(read_with_token(ac, node), ERR_UNAUTHENTICATED);
    }
    ac_end(ac);
}

/* Who revokes once more what another has revoked without waiting is not told so too early. */
static void
what_is_gone_is_waited_for_too(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_token(45);
    ac_isolate(ac, 2, true);
    struct ac_request *revoked = send_token_record(ac, 0, REQUEST_RECORD_DELETE);
    ac_run_ms(ac, 200);
    ac_crash(ac, 0);
    ac_start(ac, 0);
    ac_run_ms(ac, 100);
    assert_true(revoked->lost);
    revoked = change_token(ac, 1, REQUEST_RECORD_DELETE);
    assert_int_equal(revoked->reply.err, ERR_NOT_FOUND);
    assert_false(has_lease(ac, 2));
    ac_end(ac);
}

/* A retry under the same key: the same answer, and as late. */
static void
a_retry_is_waited_for_too(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 3, 46);
    struct request put = ac_make(REQUEST_RECORD_PUT, policy, "rules");
    put.idempotency_key = bytes_of_text("key");
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &put))->reply.version, 1);
    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 100);
    struct ac_request *again = ac_wait(ac, ac_send(ac, 1, &put));
    assert_int_equal(again->reply.err, OK);
    assert_int_equal(again->reply.version, 1);
    assert_true(again->ended_ns - again->began_ns >= duration_ms(IDENTITY_LEASE_MS).ns);
    ac_end(ac);
}

/* Two changes of one record at two nodes: one after the other, and everybody ends with the last. */
static void
rivals_leave_one_chain(void **state)
{
    (void)state;
    for (uint64_t seed = 50; seed < 60; seed++) {
        struct ac_options options = {
            .nodes = 5, .shares = 3, .seed = seed, .loss_permille = 50, .duplicate_permille = 50};
        struct actor_cluster *ac = ac_new(&options);
        ac_run_ms(ac, 1000);
        struct ac_request *r[6];
        for (unsigned i = 0; i < 6; i++) {
            struct request put = ac_make(REQUEST_RECORD_PUT, policy, i % 2 ? "odd" : "even");
            r[i] = ac_send(ac, i % 5, &put);
        }
        uint64_t last = 0;
        for (unsigned i = 0; i < 6; i++) {
            ac_wait(ac, r[i]);
            if (r[i]->reply.err == OK && r[i]->reply.version > last)
                last = r[i]->reply.version;
        }
        ac_heal(ac);
        ac_run_ms(ac, 3000);
        struct ac_request *get = record_request(ac, 0, REQUEST_RECORD_GET, policy, NULL);
        assert_int_equal(get->reply.err, OK);
        assert_true(get->reply.version >= last && last >= 1);
        for (unsigned node = 0; node < 5; node++) {
            const struct auth_record *record =
                auth_view_find(node_membership(ac->nodes[node].node)->records, ac_path(policy));
            assert_non_null(record);
            assert_int_equal(record->version, get->reply.version);
        }
        ac_end(ac);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_on_all_nodes),
        cmocka_unit_test(preconditions_are_on_versions),
        cmocka_unit_test(what_was_deleted_is_not_new),
        cmocka_unit_test(records_are_listed_by_key),
        cmocka_unit_test(names_are_kept_apart),
        cmocka_unit_test(a_token_counts_everywhere_until_it_is_revoked),
        cmocka_unit_test(a_node_that_is_cut_off_stops),
        cmocka_unit_test(a_read_that_waited_asks_again),
        cmocka_unit_test(a_restarted_node_serves_nobody_before_it_has_heard),
        cmocka_unit_test(a_record_in_doubt_is_no_ground_for_a_lease),
        cmocka_unit_test(records_outlive_all_processes_and_a_store),
        cmocka_unit_test(a_node_that_lags_behind_stops),
        cmocka_unit_test(a_change_left_behind_is_finished),
        cmocka_unit_test(what_is_gone_is_waited_for_too),
        cmocka_unit_test(a_retry_is_waited_for_too),
        cmocka_unit_test(rivals_leave_one_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
