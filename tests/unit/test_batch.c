/* Several secrets in one request, at one moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

static struct ac_request *
send_read(struct actor_cluster *ac, unsigned node, const struct batch_item *items, size_t count)
{
    struct request request = ac_make(REQUEST_BATCH, "", NULL);
    request.items = items;
    request.item_count = count;
    return ac_send(ac, node, &request);
}

static struct ac_request *
read_all(struct actor_cluster *ac, unsigned node, const struct batch_item *items, size_t count)
{
    return ac_wait(ac, send_read(ac, node, items, count));
}

static bool
item_is(const struct ac_request *r, size_t i, const char *value)
{
    return r->reply.items[i].err == OK &&
           bytes_equal(r->reply.items[i].value, bytes_of_text(value));
}

static void
test_values_in_order(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 1);
    ac_create(ac, 0, "b", "two");
    ac_create(ac, 1, "a", "one");
    ac_update(ac, 2, "a", "new one");
    const struct batch_item items[] = {{.name = bytes_of_text("b")},
                                       {.name = bytes_of_text("a"), .version = 1},
                                       {.name = bytes_of_text("a")}};
    for (unsigned node = 0; node < 3; node++) {
        struct ac_request *r = read_all(ac, node, items, 3);
        assert_int_equal(r->reply.err, OK);
        assert_int_equal(r->reply.item_count, 3);
        assert_true(item_is(r, 0, "two"));
        assert_true(item_is(r, 1, "one"));
        assert_true(item_is(r, 2, "new one"));
        assert_int_equal(r->reply.items[1].version, 1);
        assert_int_equal(r->reply.items[1].valid_to_ms, r->reply.items[2].valid_from_ms);
        assert_int_equal(r->reply.items[2].version, 2);
        assert_int_equal(r->reply.items[2].valid_to_ms, 0);
    }
    ac_end(ac);
}

static enum vault_err
delete_read(struct actor_cluster *ac, const struct item_result *read)
{
    struct request r = ac_make(REQUEST_DELETE, "a", NULL);
    r.has_expected_version = r.has_expected_incarnation = true;
    r.expected_version = read->version;
    memcpy(r.expected_incarnation, read->incarnation, INCARNATION_BYTES);
    return ac_wait(ac, ac_send(ac, 1, &r))->reply.err;
}

/* A move deletes what it has read: not another secret of that name, which is of version 1 as well. */
static void
test_deletion_of_what_was_read(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 9);
    const struct batch_item item = {.name = bytes_of_text("a")};
    ac_create(ac, 0, "a", "one");
    struct item_result first = read_all(ac, 1, &item, 1)->reply.items[0];
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    assert_int_equal(ac_create(ac, 2, "a", "another")->reply.err, OK);
    struct item_result second = read_all(ac, 1, &item, 1)->reply.items[0];
    assert_int_equal(first.version, second.version);
    assert_int_equal(delete_read(ac, &first), ERR_VERSION_MISMATCH);
    assert_true(ac_reads(ac, 0, "a", "another"));
    assert_int_equal(delete_read(ac, &second), OK);
    assert_int_equal(ac_read(ac, 0, "a")->reply.err, ERR_NOT_FOUND);
    ac_end(ac);
}

static void
test_all_or_nothing(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 2);
    ac_create(ac, 0, "a", "one");
    const struct batch_item items[] = {{.name = bytes_of_text("x")},
                                       {.name = bytes_of_text("a")},
                                       {.name = bytes_of_text("a"), .version = 7}};
    struct ac_request *r = read_all(ac, 1, items, 3);
    assert_int_equal(r->reply.err, ERR_NOT_FOUND);
    assert_int_equal(r->reply.items[0].err, ERR_NOT_FOUND);
    assert_int_equal(r->reply.items[1].err, OK);
    assert_int_equal(r->reply.items[2].err, ERR_NOT_FOUND);
    ac_end(ac);
}

/* As of a time: later versions are not seen, and what was there at no such time is not. */
static void
test_at_a_time(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 5);
    struct batch_item items[] = {{.name = bytes_of_text("a")},
                                 {.name = bytes_of_text("b")},
                                 {.name = bytes_of_text("b"), .version = 2}};
    struct request request = ac_make(REQUEST_BATCH, "", NULL);
    ac_create(ac, 0, "a", "a1");
    ac_create(ac, 0, "b", "b1");
    ac_run_ms(ac, 20);
    request.has_at = true;
    request.at_ms = ac_wall_ms(ac, 0);
    request.items = items;
    request.item_count = 3;
    ac_run_ms(ac, 20);
    ac_update(ac, 1, "a", "a2");
    ac_update(ac, 1, "b", "b2");
    for (unsigned node = 0; node < 3; node++) {
        struct ac_request *r = ac_wait(ac, ac_send(ac, node, &request));
        assert_int_equal(r->reply.err, OK);
        assert_true(item_is(r, 0, "a1"));
        assert_true(item_is(r, 1, "b1"));
        assert_true(item_is(r, 2, "b2"));
        assert_true(ac_wall_ms(ac, node) >= request.at_ms + 500);
    }
    ac_delete(ac, 2, "a");
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &request))->reply.err, ERR_NOT_FOUND);
    ac_end(ac);
}

static void
test_largest(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 3);
    struct batch_item items[BATCH_ITEMS_MAX];
    char names[BATCH_ITEMS_MAX][16];
    for (unsigned i = 0; i < BATCH_ITEMS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "many/%u", i);
        items[i] = (struct batch_item){.name = bytes_of_text(names[i])};
        assert_int_equal(ac_create(ac, i % 3, names[i], names[i])->reply.err, OK);
    }
    struct ac_request *r = read_all(ac, 0, items, BATCH_ITEMS_MAX);
    assert_int_equal(r->reply.err, OK);
    for (unsigned i = 0; i < BATCH_ITEMS_MAX; i++)
        assert_true(item_is(r, i, names[i]));
    ac_end(ac);
}

/* Of many, only the last changes while they are compared: those before it are not read again. */
static void
test_last_of_many_changes(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 30);
    struct batch_item items[30];
    char names[30][16];
    for (unsigned i = 0; i < 30; i++) {
        snprintf(names[i], sizeof(names[i]), "many/%u", i);
        items[i] = (struct batch_item){.name = bytes_of_text(names[i])};
        ac_create(ac, 0, names[i], names[i]);
    }
    struct ac_request *r = send_read(ac, 0, items, 30);
    for (unsigned i = 0; !r->done; i++) {
        char text[12];
        snprintf(text, sizeof(text), "%u", i);
        if (i < 3)
            assert_int_equal(ac_update(ac, 1, names[29], text)->reply.err, OK);
        else
            ac_run_ms(ac, 1);
    }
    assert_int_equal(r->reply.err, OK);
    assert_true(r->reply.items[29].version > 1);
    ac_end(ac);
}

static void
test_values_are_bounded_together(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 4);
    char *big = calloc(1, BATCH_VALUES_BYTES_MAX / 2 + 2);
    assert_non_null(big);
    memset(big, 'x', BATCH_VALUES_BYTES_MAX / 2 + 1);
    ac_create(ac, 0, "a", big);
    ac_create(ac, 0, "b", big);
    ac_create(ac, 0, "c", "small");
    const struct batch_item items[] = {
        {.name = bytes_of_text("a")}, {.name = bytes_of_text("c")}, {.name = bytes_of_text("b")}};
    assert_int_equal(read_all(ac, 0, items, 2)->reply.err, OK);
    assert_int_equal(read_all(ac, 0, items, 3)->reply.err, ERR_TOO_LARGE);
    free(big);
    ac_end(ac);
}

static void
test_without_a_majority(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 5);
    ac_create(ac, 0, "a", "one");
    ac_create(ac, 0, "b", "one");
    ac_run_ms(ac, 2000);
    ac_crash(ac, 1);
    ac_crash(ac, 2);
    const struct batch_item items[] = {{.name = bytes_of_text("a")}, {.name = bytes_of_text("b")}};
    assert_int_equal(read_all(ac, 0, items, 2)->reply.err, ERR_NO_QUORUM);
    ac_heal(ac);
    ac_run_ms(ac, 1000);
    assert_int_equal(read_all(ac, 0, items, 2)->reply.err, OK);
    assert_int_equal(node_in_flight(ac->nodes[0].node), 0);
    ac_end(ac);
}

/*
 * A writer changes "a" and then "b" to the same number, again and again: at every moment "b" has
 * the number of "a" or the one before it.
 */
static void
snapshot_while_written(uint64_t seed)
{
    static const struct batch_item items[] = {{.name = {(const uint8_t *)"b", 1}},
                                              {.name = {(const uint8_t *)"a", 1}}};
    struct actor_cluster *ac = ac_cluster_of(3, seed);
    struct ac_request *reads[40];
    size_t count = 0;
    ac_create(ac, 0, "a", "1");
    ac_create(ac, 0, "b", "1");
    for (int i = 2; i < 42; i++) {
        char text[12];
        snprintf(text, sizeof(text), "%d", i);
        reads[count++] = send_read(ac, 1 + (unsigned)ac_dice(ac, 2), items, 2);
        assert_int_equal(ac_update(ac, 0, "a", text)->reply.err, OK);
        assert_int_equal(ac_update(ac, 0, "b", text)->reply.err, OK);
    }
    size_t answered = 0;
    for (size_t i = 0; i < count; i++) {
        const struct ac_request *r = ac_wait(ac, reads[i]);
        if (r->reply.err == ERR_CONTENDED)
            continue;
        assert_int_equal(r->reply.err, OK);
        answered++;
        assert_in_range(r->reply.items[0].version, r->reply.items[1].version - 1,
                        r->reply.items[1].version);
    }
    assert_true(answered > 0);
    ac_end(ac);
}

static void
test_one_moment(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++)
        snapshot_while_written(seed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deletion_of_what_was_read),
        cmocka_unit_test(test_values_in_order),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_at_a_time),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_last_of_many_changes),
        cmocka_unit_test(test_values_are_bounded_together),
        cmocka_unit_test(test_without_a_majority),
        cmocka_unit_test(test_one_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
