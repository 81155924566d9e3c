/* What a node has still to handle, in which order, and whose memory it lies in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "actors/inbox.h"

enum { SELF = 1, PEER = 2, STEP_BYTES_MAX = 1024 * 1024 };

struct fixture {
    struct inbox inbox;
    struct arena step;
};

static int
setup(void **state)
{
    static struct fixture f;
    inbox_init(&f.inbox, SELF);
    arena_init(&f.step, STEP_BYTES_MAX);
    *state = &f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    inbox_close(&f->inbox);
    arena_close(&f->step);
    return 0;
}

static struct msg
write_of(uint8_t from, bool offer, struct bytes head)
{
    struct msg msg = {.kind = MSG_WRITE, .from = from, .to = SELF};
    msg.u.write.head = head;
    msg.u.write.ballot.offer = offer;
    return msg;
}

static struct msg
notice_to(uint8_t to, bool offer)
{
    struct msg msg = {.kind = MSG_CHOSEN, .from = SELF, .to = to};
    msg.u.chosen.ballot.offer = offer;
    return msg;
}

static void
assert_next(struct inbox *inbox, enum actor_id actor, enum msg_kind kind, uint8_t to)
{
    const struct inbox_item *item = inbox_next(inbox);
    assert_non_null(item);
    assert_int_equal(item->actor, actor);
    assert_int_equal(item->msg.kind, kind);
    assert_int_equal(item->msg.to, to);
    assert_int_equal(item->leaves, to != SELF);
}

static void
test_in_order(void **state)
{
    struct fixture *f = *state;
    struct msg timer = {.kind = MSG_TIMER, .to = SELF};
    struct msg vote = {.kind = MSG_VOTE, .from = SELF, .to = SELF};
    assert_null(inbox_next(&f->inbox));
    assert_true(inbox_post(&f->inbox, &f->step, ACTOR_GATEWAY, &timer));
    assert_true(inbox_post_copy(&f->inbox, &f->step, ACTOR_SHARD_STORE, &vote));
    assert_next(&f->inbox, ACTOR_GATEWAY, MSG_TIMER, SELF);
    assert_true(inbox_post(&f->inbox, &f->step, ACTOR_SWEEPER, &timer));
    assert_next(&f->inbox, ACTOR_SHARD_STORE, MSG_VOTE, SELF);
    assert_next(&f->inbox, ACTOR_SWEEPER, MSG_TIMER, SELF);
    assert_null(inbox_next(&f->inbox));
    assert_true(inbox_post(&f->inbox, &f->step, ACTOR_RECORDS, &timer));
    assert_next(&f->inbox, ACTOR_RECORDS, MSG_TIMER, SELF);
    assert_null(inbox_next(&f->inbox));
}

/* Whoever made the message goes on, and so does the step in which something was put off. */
static void
test_copies_have_memory_of_their_own(void **state)
{
    struct fixture *f = *state;
    uint8_t head[] = "head";
    struct msg posted = write_of(SELF, false, bytes_of(head, sizeof(head)));
    struct msg later = write_of(SELF, true, bytes_of(head, sizeof(head)));
    assert_true(inbox_post_copy(&f->inbox, &f->step, ACTOR_SHARD_STORE, &posted));
    assert_true(inbox_put_off(&f->inbox, ACTOR_SHARD_STORE, &later));
    memset(head, 0xee, sizeof(head));
    assert_memory_equal(inbox_next(&f->inbox)->msg.u.write.head.data, "head", sizeof(head));
    assert_null(inbox_next(&f->inbox));
    arena_reset(&f->step);
    assert_true(inbox_take_own_writes(&f->inbox));
    assert_memory_equal(inbox_next(&f->inbox)->msg.u.write.head.data, "head", sizeof(head));
}

static void
test_only_offers_are_put_off(void **state)
{
    struct fixture *f = *state;
    struct msg own = write_of(SELF, true, (struct bytes){0});
    struct msg notice = notice_to(PEER, true);
    const struct msg others[] = {write_of(PEER, true, (struct bytes){0}),
                                 write_of(SELF, false, (struct bytes){0}),
                                 notice_to(SELF, false),
                                 {.kind = MSG_WRITTEN, .from = SELF, .to = SELF}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(inbox_may_put_off(&f->inbox, &others[i]));
        assert_false(inbox_put_off(&f->inbox, ACTOR_SHARD_STORE, &others[i]));
    }
    assert_false(inbox_has_put_off(&f->inbox));
    assert_true(inbox_may_put_off(&f->inbox, &own));
    assert_true(inbox_may_put_off(&f->inbox, &notice));
    assert_true(inbox_may_overtake(&own));
    assert_false(inbox_may_overtake(&notice));
}

/* Each of the two comes when it is taken, after what was there before; its memory goes with it. */
static void
test_what_is_put_off_waits_until_it_is_taken(void **state)
{
    struct fixture *f = *state;
    struct msg own = write_of(SELF, true, (struct bytes){0});
    struct msg here = notice_to(SELF, true), there = notice_to(PEER, true);
    struct msg timer = {.kind = MSG_TIMER, .to = SELF};
    assert_false(inbox_take_own_writes(&f->inbox));
    assert_false(inbox_take_notices(&f->inbox));
    assert_true(inbox_put_off(&f->inbox, ACTOR_SHARD_STORE, &here));
    assert_true(inbox_put_off(&f->inbox, ACTOR_SHARD_STORE, &own));
    assert_true(inbox_put_off(&f->inbox, ACTOR_SHARD_STORE, &there));
    assert_null(inbox_next(&f->inbox));
    assert_true(inbox_post(&f->inbox, &f->step, ACTOR_GATEWAY, &timer));
    assert_true(inbox_take_own_writes(&f->inbox));
    assert_next(&f->inbox, ACTOR_GATEWAY, MSG_TIMER, SELF);
    assert_next(&f->inbox, ACTOR_SHARD_STORE, MSG_WRITE, SELF);
    assert_null(inbox_next(&f->inbox));
    assert_true(inbox_has_put_off(&f->inbox));
    assert_true(f->inbox.memory.used > 0);
    assert_true(inbox_take_notices(&f->inbox));
    assert_false(inbox_has_put_off(&f->inbox));
    assert_next(&f->inbox, ACTOR_SHARD_STORE, MSG_CHOSEN, SELF);
    assert_next(&f->inbox, ACTOR_SHARD_STORE, MSG_CHOSEN, PEER);
    assert_true(f->inbox.memory.used > 0); /* the last one may still be read */
    assert_null(inbox_next(&f->inbox));
    assert_int_equal(f->inbox.memory.used, 0);
}

/* A message that finds no memory is handled at once, or lost; what is there already stays. */
static void
test_without_memory(void **state)
{
    struct fixture *f = *state;
    struct msg notice = notice_to(SELF, true), timer = {.kind = MSG_TIMER, .to = SELF};
    struct arena none;
    unsigned count = 0;
    arena_init(&none, sizeof(struct inbox_item) - 1);
    assert_false(inbox_post(&f->inbox, &none, ACTOR_GATEWAY, &timer));
    assert_false(inbox_post_copy(&f->inbox, &none, ACTOR_SHARD_STORE, &notice));
    assert_null(inbox_next(&f->inbox));
    arena_close(&none);
    while (inbox_put_off(&f->inbox, ACTOR_SHARD_STORE, &notice))
        count++;
    assert_true(count > 0);
    assert_true(inbox_take_notices(&f->inbox));
    while (inbox_next(&f->inbox))
        count--;
    assert_int_equal(count, 0);
    assert_true(inbox_put_off(&f->inbox, ACTOR_SHARD_STORE, &notice));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copies_have_memory_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_offers_are_put_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_put_off_waits_until_it_is_taken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
