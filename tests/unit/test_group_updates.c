/*
 * Updates of one secret that wait behind each other at a node and are made by one change:
 * docs/protocol.md, "Several updates at once".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "proto/alteration.h"
#include "proto/group.h"

enum { NODES = 3, MANY = 6 };

struct several {
    struct ac_request *requests[GROUP_VERSIONS_MAX];
    char values[GROUP_VERSIONS_MAX][sizeof("value 4294967295")];
    unsigned count;
};

static struct actor_cluster *
cluster(uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_of(NODES, seed);
    ac_run_ms(ac, 300);
    assert_int_equal(ac_create(ac, 0, "a", "first")->reply.err, OK);
    ac_run_ms(ac, 300);
    return ac;
}

static void
send_several(struct actor_cluster *ac, unsigned node, unsigned count, struct several *s)
{
    s->count = count;
    for (unsigned i = 0; i < count; i++) {
        snprintf(s->values[i], sizeof(s->values[i]), "value %u", i);
        struct request update = ac_make(REQUEST_UPDATE, "a", s->values[i]);
        s->requests[i] = ac_send(ac, node, &update);
    }
}

static void
wait_several(struct actor_cluster *ac, struct several *s)
{
    for (unsigned i = 0; i < s->count; i++)
        ac_wait(ac, s->requests[i]);
}

/* Each has a version of its own, later than the one before it, and its value is there. */
static void
assert_made(struct actor_cluster *ac, const struct several *s, unsigned reader, uint64_t first)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct reply *reply = &s->requests[i]->reply;
        assert_int_equal(reply->err, OK);
        assert_int_equal(reply->version, first + i);
        if (i > 0)
            assert_true(reply->valid_from_ms > s->requests[i - 1]->reply.valid_from_ms);
        struct request read = ac_make(REQUEST_READ, "a", NULL);
        read.version = first + i;
        struct ac_request *found = ac_wait(ac, ac_send(ac, reader, &read));
        assert_int_equal(found->reply.err, OK);
        assert_true(ac_value_is(found, s->values[i]));
        assert_int_equal(found->reply.valid_from_ms, reply->valid_from_ms);
    }
}

static void
assert_whole(struct actor_cluster *ac, unsigned node, uint64_t generation, uint64_t version)
{
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(ac, node, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_int_equal(head.generation, generation);
    assert_int_equal(head.version, version);
    assert_int_equal(ac_rows_of(ac, node, ROW_VERSION, "a"), version);
    assert_int_equal(ac_rows_of(ac, node, ROW_BOXES, "a"), 0);
}

static void
test_one_change(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(1);
    struct several s;
    send_several(ac, 0, MANY, &s);
    wait_several(ac, &s);
    assert_made(ac, &s, 1, 2);
    ac_run_ms(ac, 1000);
    for (unsigned i = 0; i < NODES; i++)
        assert_whole(ac, i, 2, 1 + MANY);
    assert_int_equal(ac->nodes[0].metrics.counters[METRIC_updates_grouped], MANY - 1);
    ac_end(ac);
}

/* Those under a key, those that expect a version, and whoever may not. */
static void
test_others_are_made_alone(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(2);
    struct request plain = ac_make(REQUEST_UPDATE, "a", "plain");
    struct request keyed = plain, expects = plain, stranger = plain;
    keyed.idempotency_key = bytes_of_text("key");
    expects.has_expected_version = true;
    expects.expected_version = 77;
    stranger.credential = bytes_of_text("somebody");
    struct ac_request *r[] = {ac_send(ac, 0, &plain), ac_send(ac, 0, &keyed),
                              ac_send(ac, 0, &expects), ac_send(ac, 0, &stranger),
                              ac_send(ac, 0, &plain)};
    for (unsigned i = 0; i < 5; i++)
        ac_wait(ac, r[i]);
    assert_int_equal(r[0]->reply.version, 2);
    assert_int_equal(r[4]->reply.version, 3);
    assert_int_equal(r[1]->reply.version, 4);
    assert_int_equal(r[2]->reply.err, ERR_VERSION_MISMATCH);
    assert_int_not_equal(r[3]->reply.err, OK);
    assert_int_equal(ac_read(ac, 1, "a")->reply.version, 4);
    assert_int_equal(ac->nodes[0].metrics.counters[METRIC_updates_grouped], 1);
    ac_end(ac);
}

static void
test_behind_a_deletion(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(3);
    struct several before, after;
    send_several(ac, 0, 3, &before);
    struct request delete = ac_make(REQUEST_DELETE, "a", NULL);
    struct ac_request *deletion = ac_send(ac, 0, &delete);
    send_several(ac, 0, 2, &after);
    wait_several(ac, &before);
    wait_several(ac, &after);
    assert_int_equal(ac_wait(ac, deletion)->reply.err, OK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(before.requests[i]->reply.version, 2 + i);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(after.requests[i]->reply.version, 5 + i);
    assert_int_equal(ac_read(ac, 1, "a")->reply.err, ERR_NOT_FOUND);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(ac_rows_of(ac, i, ROW_VERSION, "a"), 0);
    ac_end(ac);
}

/* As many as are kept at most; and what falls out goes at every node. */
static void
test_versions_fall_out(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(4);
    struct several s;
    uint64_t version = 1;
    for (unsigned round = 0; round < 12; round++) {
        send_several(ac, round % NODES, GROUP_VERSIONS_MAX, &s);
        wait_several(ac, &s);
        assert_made(ac, &s, (round + 1) % NODES, version + 1);
        version += GROUP_VERSIONS_MAX;
    }
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(ac_rows_of(ac, i, ROW_VERSION, "a"), VERSIONS_KEPT_MAX);
        assert_int_equal(ac_rows_of(ac, i, ROW_BOXES, "a"), 0);
    }
    struct alteration three = {.has_max_versions = true, .max_versions = 3};
    struct request alter = ac_make(REQUEST_ALTER, "a", NULL);
    alter.alteration = &three;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &alter))->reply.err, OK);
    send_several(ac, 0, MANY, &s);
    wait_several(ac, &s);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(s.requests[i]->reply.version, version + 1 + i);
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(ac_rows_of(ac, i, ROW_VERSION, "a"), 3);
    ac_end(ac);
}

/* Who was away gets every version from escrow. */
static void
test_one_is_away(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(5);
    struct several s;
    ac_isolate(ac, 2, true);
    ac_run_ms(ac, 1500);
    send_several(ac, 0, MANY, &s);
    wait_several(ac, &s);
    assert_made(ac, &s, 1, 2);
    ac_run_ms(ac, 2500);
    assert_int_equal(ac_rows_of(ac, 0, ROW_BOXES, "a"), MANY);
    assert_int_equal(ac_rows_of(ac, 2, ROW_VERSION, "a"), 1);
    ac_heal(ac);
    for (unsigned i = 0; i < 40 && ac_rows_of(ac, 2, ROW_VERSION, "a") < 1 + MANY; i++)
        ac_run_ms(ac, 500);
    ac_run_ms(ac, 5000);
    for (unsigned i = 0; i < NODES; i++)
        assert_whole(ac, i, 2, 1 + MANY);
    ac_isolate(ac, 0, true); /* nobody has a share to spare now */
    ac_run_ms(ac, 1500);
    assert_made(ac, &s, 2, 2);
    ac_heal(ac);
    ac_end(ac);
}

/* ---- lost messages ---- */

struct lossy {
    uint64_t seen; /* WRITEs of several versions, bit per node that one was sent to */
    uint64_t dropped;
};

static enum ac_verdict
lose(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct lossy *lossy = context;
    if (from != 0 || to == 0)
        return AC_PASS;
    if (msg->kind != MSG_WRITE || msg->u.write.group.size == 0)
        return AC_PASS;
    lossy->seen |= UINT64_C(1) << to;
    return lossy->dropped >> to & 1 ? AC_DROP : AC_PASS;
}

static void
wait_for_rows(struct actor_cluster *ac, unsigned node)
{
    while (ac_rows_of(ac, node, ROW_VERSION, "a") == 1)
        assert_true(ac_step(ac, UINT64_MAX));
}

/* Versions that are written at node 0, and reach nobody else while the filter stays. */
static void
write_alone(struct actor_cluster *ac, struct lossy *lossy, unsigned count, struct several *s)
{
    *lossy = (struct lossy){.dropped = 1u << 1 | 1u << 2};
    ac->filter = lose;
    ac->filter_context = lossy;
    send_several(ac, 0, count, s);
    wait_for_rows(ac, 0);
}

/*
 * Its coordinator dies, and one copy is at another node: all versions are finished, or read there.
 */
static void
finish_from(uint64_t seed, unsigned holder)
{
    struct actor_cluster *ac = cluster(seed);
    struct lossy lossy = {.dropped = holder == 1 ? 1u << 2 : 1u << 1};
    struct several s;
    ac->filter = lose;
    ac->filter_context = &lossy;
    send_several(ac, 0, MANY, &s);
    wait_for_rows(ac, holder);
    ac_crash(ac, 0);
    assert_true(lossy.seen != 0);
    ac->filter = NULL;
    struct ac_request *read = ac_read(ac, 3 - holder, "a");
    assert_int_equal(read->reply.err, OK);
    assert_int_equal(read->reply.version, 1 + MANY);
    assert_true(ac_value_is(read, s.values[MANY - 1]));
    for (unsigned i = 0; i < MANY; i++) {
        struct request old = ac_make(REQUEST_READ, "a", NULL);
        old.version = 2 + i;
        struct ac_request *found = ac_wait(ac, ac_send(ac, holder, &old));
        assert_true(ac_value_is(found, s.values[i]));
    }
    ac_heal(ac);
    ac_run_ms(ac, 6000);
    for (unsigned i = 0; i < NODES; i++)
        assert_whole(ac, i, 2, 1 + MANY);
    ac_end(ac);
}

static void
test_coordinator_dies(void **state)
{
    (void)state;
    finish_from(6, 1);
    finish_from(7, 2);
}

/*
 * Only the coordinator's own store has it, and a rival finishes it from there: the operation is
 * found again, and each request gets the version that it made.
 */
static void
test_rival_finishes(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(8);
    struct lossy lossy;
    struct several s;
    write_alone(ac, &lossy, MANY, &s);
    struct several more; /* come too late to belong to it */
    send_several(ac, 0, 2, &more);
    struct ac_request *rival = ac_update(ac, 1, "a", "rival");
    assert_int_equal(rival->reply.err, OK);
    ac->filter = NULL;
    wait_several(ac, &s);
    wait_several(ac, &more);
    assert_int_equal(more.requests[0]->reply.version, 3 + MANY);
    assert_int_equal(more.requests[1]->reply.version, 4 + MANY);
    bool before = s.requests[0]->reply.version == 2;
    assert_int_equal(rival->reply.version, before ? 2 + MANY : 2);
    assert_made(ac, &s, 2, before ? 2 : 3);
    ac_end(ac);
}

/* A rival does not see it, and writes something else: it is made anew, on top of that. */
static void
test_rival_passes(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(9);
    struct lossy lossy;
    struct several s;
    write_alone(ac, &lossy, MANY, &s);
    ac_isolate(ac, 0, true);
    struct ac_request *rival = ac_update(ac, 1, "a", "rival");
    assert_int_equal(rival->reply.err, OK);
    assert_int_equal(rival->reply.version, 2);
    ac->filter = NULL;
    ac_heal(ac);
    wait_several(ac, &s);
    assert_made(ac, &s, 2, 3);
    ac_run_ms(ac, 6000);
    for (unsigned i = 0; i < NODES; i++)
        assert_whole(ac, i, 3, 2 + MANY);
    ac_end(ac);
}

/*
 * Fewer versions are kept since: who had no part in the first attempt is told that nothing
 * happened.
 */
static void
test_fewer_are_kept_since(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(10);
    struct lossy lossy;
    struct alteration two = {.has_max_versions = true, .max_versions = 2};
    struct request alter = ac_make(REQUEST_ALTER, "a", NULL);
    struct several s;
    alter.alteration = &two;
    write_alone(ac, &lossy, MANY, &s);
    ac_isolate(ac, 0, true);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &alter))->reply.err, OK);
    ac->filter = NULL;
    ac_heal(ac);
    wait_several(ac, &s);
    assert_int_equal(s.requests[0]->reply.err, OK);
    assert_int_equal(s.requests[0]->reply.version, 2);
    for (unsigned i = 1; i < MANY; i++)
        assert_int_equal(s.requests[i]->reply.err, ERR_CONTENDED);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), s.values[0]));
    ac_end(ac);
}

/*
 * Nobody answers any more: what became of any of them is not known, and none is told that it
 * failed.
 */
static void
test_deadline(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(11);
    struct lossy lossy;
    struct several s;
    write_alone(ac, &lossy, MANY, &s);
    ac_isolate(ac, 0, true);
    wait_several(ac, &s);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(s.requests[i]->reply.err, ERR_NO_QUORUM);
        assert_int_equal(s.requests[i]->reply.phase, PHASE_WRITING);
    }
    ac->filter = NULL;
    ac_heal(ac);
    assert_int_equal(ac_update(ac, 1, "a", "later")->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "later"));
    ac_end(ac);
}

/* A replica that is restarted in between has all of it on its disk, or nothing. */
static void
test_replica_restarts(void **state)
{
    (void)state;
    for (uint64_t seed = 20; seed < 40; seed++) {
        struct actor_cluster *ac = cluster(seed);
        struct several s;
        send_several(ac, 0, MANY, &s);
        uint64_t steps = ac_dice(ac, 60);
        for (uint64_t i = 0; i < steps; i++)
            assert_true(ac_step(ac, UINT64_MAX));
        ac_crash(ac, 1);
        ac_start(ac, 1);
        wait_several(ac, &s);
        assert_made(ac, &s, 1, 2);
        ac_run_ms(ac, 8000);
        for (unsigned i = 0; i < NODES; i++)
            assert_whole(ac, i, 2, 1 + MANY);
        ac_end(ac);
    }
}

/* ---- what a broken coordinator may send ---- */

struct forged {
    unsigned how;
    unsigned refused;
    bool done;
    struct buf frame; /* the changed WRITE */
};

static void
change_group(struct msg *m, unsigned how, struct buf *memory)
{
    struct group_part parts[GROUP_EARLIER_MAX];
    size_t count = 0;
    assert_int_equal(group_split(m->u.write.group, parts, GROUP_EARLIER_MAX, &count), OK);
    assert_int_equal(count, MANY - 1);
    struct group_part part = parts[1];
    if (how == 1)
        parts[1] = parts[2]; /* one twice */
    if (how == 2)
        parts[1].boxes = parts[2].boxes; /* of another dealing */
    if (how == 3)
        parts[1].dealing = parts[2].dealing;
    if (how == 4) {
        parts[1] = parts[2];
        parts[2] = part;
    }
    if (how == 5)
        count--;
    assert_int_equal(group_encode(parts, count, memory), OK);
    m->u.write.group = (struct bytes){0};
    if (how != 6)
        m->u.write.group = buf_bytes(memory);
}

static enum ac_verdict
forge(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct forged *f = context;
    if (msg->kind == MSG_WRITTEN && from == 1 && to == 0)
        f->refused += msg->u.written.refusal == REFUSED_DEALING;
    if (msg->kind != MSG_WRITE || from != 0 || to != 1 || f->done || msg->u.write.group.size == 0)
        return AC_PASS;
    struct msg changed = *msg;
    struct buf group = {0};
    f->done = true;
    change_group(&changed, f->how, &group);
    assert_int_equal(msg_encode(&changed, &f->frame), OK);
    buf_close(&group);
    return AC_DROP;
}

static void
test_forged(void **state)
{
    (void)state;
    for (unsigned how = 1; how <= 6; how++) {
        struct actor_cluster *ac = cluster(50 + how);
        struct forged f = {.how = how};
        struct several s;
        ac->filter = forge;
        ac->filter_context = &f;
        send_several(ac, 0, MANY, &s);
        while (!f.done)
            assert_true(ac_step(ac, UINT64_MAX));
        assert_int_equal(ac_inject_frame(ac, 0, 1, &f.frame), OK);
        wait_several(ac, &s);
        ac_run_ms(ac, 100);
        assert_int_equal(f.refused, 1);
        assert_made(ac, &s, 1, 2);
        buf_close(&f.frame);
        ac_end(ac);
    }
}

/*
 * Each version is a millisecond after the one before: however many are made in how little time,
 * none is much later than the clock, or a read of now would not find what was just written.
 */
static void
test_not_ahead_of_the_clock(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(12);
    struct several s;
    for (unsigned round = 0; round < 60; round++) {
        send_several(ac, 0, GROUP_VERSIONS_MAX, &s);
        wait_several(ac, &s);
        for (unsigned i = 0; i < s.count; i++)
            assert_int_equal(s.requests[i]->reply.err, OK);
    }
    ac_run_ms(ac, 2 * GROUP_VERSIONS_MAX);
    assert_true(s.requests[GROUP_VERSIONS_MAX - 1]->reply.valid_from_ms <= ac_wall_ms(ac, 0));
    struct request now = ac_make(REQUEST_READ, "a", NULL);
    now.has_at = true;
    now.at_ms = ac_wall_ms(ac, 0);
    struct ac_request *read = ac_wait(ac, ac_send(ac, 0, &now));
    assert_int_equal(read->reply.err, OK);
    assert_int_equal(read->reply.version, 1 + 60 * GROUP_VERSIONS_MAX);
    ac_end(ac);
}

/* It is at one node, and another head is chosen in its place: nothing is left of any of it. */
static void
test_replaced(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(13);
    struct lossy lossy;
    struct several s;
    write_alone(ac, &lossy, MANY, &s);
    ac_isolate(ac, 0, true);
    wait_several(ac, &s);
    ac->filter = NULL;
    assert_int_equal(ac_update(ac, 1, "a", "rival")->reply.err, OK);
    ac_heal(ac);
    ac_run_ms(ac, 12000);
    for (unsigned i = 0; i < NODES; i++)
        assert_whole(ac, i, 2, 2);
    ac_end(ac);
}

/* Deleted at once, while one of the nodes has missed all of it: no node keeps a row or a box. */
static void
test_deleted_at_once(void **state)
{
    unsigned deleted = 0;
    (void)state;
    for (unsigned when = 0; when < 40; when++) {
        struct actor_cluster *ac = cluster(100 + when);
        struct several s;
        ac_isolate(ac, 2, true);
        if (when % 2 == 0)
            ac_run_ms(ac, 1500);
        send_several(ac, 0, MANY, &s);
        for (unsigned i = 0; i < when * 3; i++)
            (void)ac_step(ac, UINT64_MAX);
        struct ac_request *deletion = NULL;
        struct request delete = ac_make(REQUEST_DELETE, "a", NULL);
        deletion = ac_send(ac, 1, &delete);
        wait_several(ac, &s);
        ac_heal(ac);
        ac_wait(ac, deletion);
        ac_run_ms(ac, 10000);
        if (deletion->reply.err == OK) {
            deleted++;
            assert_int_equal(ac_read(ac, 2, "a")->reply.err, ERR_NOT_FOUND);
            for (unsigned i = 0; i < NODES; i++) {
                assert_int_equal(ac_rows_of(ac, i, ROW_VERSION, "a"), 0);
                assert_int_equal(ac_rows_of(ac, i, ROW_BOXES, "a"), 0);
                assert_int_equal(ac_rows_of(ac, i, ROW_DEALING, "a"), 0);
            }
        } else {
            assert_int_equal(deletion->reply.err, ERR_NO_QUORUM);
        }
        ac_end(ac);
    }
    assert_in_range(deleted, 20, 40);
}

/* As large as they may be, in clusters of every size, with dealings in rows of their own or not. */
static void
made_in(unsigned nodes, bool dealings_apart, const char *value)
{
    struct ac_options options = {.nodes = nodes, .seed = 14, .dealings_apart = dealings_apart};
    struct actor_cluster *ac = ac_new(&options);
    struct ac_request *r[GROUP_VERSIONS_MAX + 1];
    struct request update = ac_make(REQUEST_UPDATE, "a", value);
    ac_run_ms(ac, 300);
    assert_int_equal(ac_create(ac, 0, "a", "first")->reply.err, OK);
    ac_run_ms(ac, 300);
    for (unsigned i = 0; i <= GROUP_VERSIONS_MAX; i++)
        r[i] = ac_send(ac, 0, &update);
    for (unsigned i = 0; i <= GROUP_VERSIONS_MAX; i++) {
        struct request read = ac_make(REQUEST_READ, "a", NULL);
        read.version = 2 + i;
        assert_int_equal(ac_wait(ac, r[i])->reply.err, OK);
        assert_int_equal(r[i]->reply.version, 2 + i);
        assert_true(ac_value_is(ac_wait(ac, ac_send(ac, nodes - 1, &read)), value));
    }
    ac_run_ms(ac, 1000);
    for (unsigned i = 0; i < nodes; i++)
        assert_whole(ac, i, 3, 2 + GROUP_VERSIONS_MAX);
    assert_int_equal(ac->nodes[0].metrics.counters[METRIC_updates_grouped], GROUP_VERSIONS_MAX - 1);
    ac_end(ac);
}

static void
test_large_values(void **state)
{
    (void)state;
    char value[GROUP_VALUE_BYTES_MAX + 1];
    memset(value, 'x', GROUP_VALUE_BYTES_MAX);
    value[GROUP_VALUE_BYTES_MAX] = '\0';
    made_in(1, false, value);
    made_in(3, true, "small");
    made_in(7, false, value);
    made_in(7, true, value);
}

/* A store is lost, and one is rolled back to before it: each gets every version again. */
static void
test_stores_lost(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 4; how++) {
        struct actor_cluster *ac = cluster(60 + how);
        struct several s;
        ac_snapshot(ac, 2);
        ac_run_ms(ac, 1000);
        if (how % 2)
            ac_isolate(ac, 1, true);
        send_several(ac, 0, MANY, &s);
        wait_several(ac, &s);
        ac_run_ms(ac, 500);
        ac_heal(ac);
        ac_crash(ac, 2);
        if (how / 2)
            ac_lose_store(ac, 2, true);
        else
            ac_roll_back(ac, 2, true);
        ac_start(ac, 2);
        ac_run_ms(ac, 20000);
        for (unsigned i = 0; i < NODES; i++)
            assert_whole(ac, i, 2, 1 + MANY);
        ac_isolate(ac, 0, true);
        ac_run_ms(ac, 1500);
        assert_made(ac, &s, 2, 2);
        ac_heal(ac);
        ac_end(ac);
    }
}

/* One in the middle is destroyed: nothing of it is left, and the others are as they were. */
static void
test_one_is_destroyed(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(15);
    struct several s;
    struct alteration destroy = {.destroy = {.of = {4}, .count = 1}};
    struct request alter = ac_make(REQUEST_ALTER, "a", NULL);
    alter.alteration = &destroy;
    ac_isolate(ac, 2, true);
    send_several(ac, 0, MANY, &s);
    wait_several(ac, &s);
    struct ac_request *altered = ac_send(ac, 1, &alter);
    ac_run_ms(ac, 300);
    ac_heal(ac);
    assert_int_equal(ac_wait(ac, altered)->reply.err, OK);
    ac_run_ms(ac, 8000);
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(ac_rows_of(ac, i, ROW_VERSION, "a"), 1 + MANY);
        assert_int_equal(ac_rows_of(ac, i, ROW_BOXES, "a"), 0);
        assert_int_equal(ac_rows_of(ac, i, ROW_DEALING, "a"), MANY);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct request read = ac_make(REQUEST_READ, "a", NULL);
        read.version = 2 + i;
        struct ac_request *found = ac_wait(ac, ac_send(ac, 2, &read));
        if (i == 2)
            assert_int_not_equal(found->reply.err, OK);
        else
            assert_true(ac_value_is(found, s.values[i]));
    }
    ac_end(ac);
}

/*
 * More come to stand in line after its WRITE has left: whichever way that ends, they are not taken
 * into it, and each has a version of its own.
 */
static void
later_ones(uint64_t seed, bool finished)
{
    struct actor_cluster *ac = cluster(seed);
    struct lossy lossy;
    struct several s, later;
    write_alone(ac, &lossy, 3, &s);
    send_several(ac, 0, MANY, &later);
    if (!finished)
        ac_isolate(ac, 0, true);
    struct ac_request *rival = ac_update(ac, 1, "a", "rival");
    assert_int_equal(rival->reply.err, OK);
    ac->filter = NULL;
    ac_heal(ac);
    wait_several(ac, &s);
    wait_several(ac, &later);
    uint64_t first = s.requests[0]->reply.version;
    uint64_t second = later.requests[0]->reply.version;
    assert_true(first == 2 || first == 3);
    assert_true(rival->reply.version < first || rival->reply.version >= first + 3);
    assert_made(ac, &s, 2, first);
    assert_made(ac, &later, 2, second);
    assert_true(second >= first + 3);
    ac_end(ac);
}

static void
test_later_ones(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 220; seed++)
        later_ones(seed, seed % 2 == 0);
}

/*
 * A change is written in two rounds of which neither knows of the other, while more come to stand
 * in line, and somebody else finishes the first: the coordinator cannot tell which it finds.
 */
struct rounds {
    unsigned coordinator, replicas[3];
    int reaches;          /* which of the replicas a WRITE of several versions gets to; -1: none */
    struct ballot ballot; /* of its last vote */
};

static enum ac_verdict
reach_one(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct rounds *r = context;
    if (from != r->coordinator)
        return AC_PASS;
    if (msg->kind == MSG_VOTE)
        r->ballot = msg->u.vote.ballot;
    if (msg->kind != MSG_WRITE || msg->u.write.group.size == 0)
        return AC_PASS;
    return r->reaches >= 0 && to == r->replicas[r->reaches] ? AC_PASS : AC_DROP;
}

/* Those two have voted for somebody else since, of whom nothing more is heard. */
static void
outvote(struct actor_cluster *ac, const struct rounds *r)
{
    for (unsigned i = 1; i < 3; i++) {
        struct msg vote = {.kind = MSG_VOTE, .path = ac_path("a"), .op = 1};
        vote.u.vote.ballot = r->ballot;
        vote.u.vote.ballot.time++;
        vote.u.vote.ballot.node = (uint8_t)r->replicas[3 - i];
        vote.u.vote.purpose = CHANGE_FINISH;
        assert_int_equal(ac_inject(ac, r->replicas[3 - i], r->replicas[i], &vote), OK);
    }
}

static void
test_first_round_is_finished(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 4, .shares = 3, .threshold = 2, .seed = 16};
    struct actor_cluster *ac = ac_new(&options);
    struct rounds r = {0};
    struct several s, later;
    unsigned found = 0;
    ac_run_ms(ac, 300);
    assert_int_equal(ac_create(ac, 0, "a", "first")->reply.err, OK);
    ac_run_ms(ac, 300);
    for (unsigned i = 0; i < 4; i++) {
        if (ac_rows_of(ac, i, ROW_VERSION, "a") == 0)
            r.coordinator = i;
        else
            r.replicas[found++] = i;
    }
    assert_int_equal(found, 3);
    ac->filter = reach_one;
    ac->filter_context = &r;
    send_several(ac, r.coordinator, 3, &s);
    wait_for_rows(ac, r.replicas[0]);
    r.reaches = 1;
    ac_isolate(ac, r.replicas[0], true);
    send_several(ac, r.coordinator, 4, &later);
    outvote(ac, &r);
    wait_for_rows(ac, r.replicas[1]);
    ac_isolate(ac, r.replicas[1], true);
    ac_isolate(ac, r.replicas[0], false);
    struct ac_request *read = ac_read(ac, r.replicas[2], "a");
    assert_int_equal(read->reply.err, OK);
    assert_int_equal(read->reply.version, 4);
    ac->filter = NULL;
    ac_heal(ac);
    wait_several(ac, &s);
    wait_several(ac, &later);
    assert_made(ac, &s, r.replicas[2], 2);
    assert_made(ac, &later, r.replicas[2], 5);
    ac_end(ac);
}

/* An update whose chain leaves out what was there before it: that would all be dropped. */
static enum ac_verdict
break_chain(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct forged *f = context;
    struct msg changed = *msg;
    struct version_record version;
    struct head head;
    struct buf encoded_version = {0}, encoded_head = {0};
    if (msg->kind == MSG_WRITTEN && from == 1 && to == 0)
        f->refused += msg->u.written.refusal == REFUSED_DEALING;
    if (msg->kind != MSG_WRITE || from != 0 || to != 1 || f->done)
        return AC_PASS;
    f->done = true;
    assert_int_equal(version_decode(msg->u.write.version, &version), OK);
    memset(version.prev, 7, ID_BYTES);
    assert_int_equal(version_encode(&version, &encoded_version), OK);
    assert_int_equal(head_decode(msg->u.write.head, &head), OK);
    record_id(buf_bytes(&encoded_version), head.version_id);
    assert_int_equal(head_encode(&head, &encoded_head), OK);
    changed.u.write.version = buf_bytes(&encoded_version);
    changed.u.write.head = buf_bytes(&encoded_head);
    assert_int_equal(msg_encode(&changed, &f->frame), OK);
    buf_close(&encoded_version);
    buf_close(&encoded_head);
    return AC_DROP;
}

static void
test_broken_chain(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster(70);
    struct forged f = {0};
    struct request update = ac_make(REQUEST_UPDATE, "a", "second");
    ac->filter = break_chain;
    ac->filter_context = &f;
    struct ac_request *r = ac_send(ac, 0, &update);
    while (!f.done)
        assert_true(ac_step(ac, UINT64_MAX));
    assert_int_equal(ac_inject_frame(ac, 0, 1, &f.frame), OK);
    assert_int_equal(ac_wait(ac, r)->reply.err, OK);
    ac_run_ms(ac, 100);
    assert_int_equal(f.refused, 1);
    ac_run_ms(ac, 3000);
    assert_whole(ac, 1, 2, 2);
    buf_close(&f.frame);
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_change),
        cmocka_unit_test(test_others_are_made_alone),
        cmocka_unit_test(test_behind_a_deletion),
        cmocka_unit_test(test_versions_fall_out),
        cmocka_unit_test(test_one_is_away),
        cmocka_unit_test(test_coordinator_dies),
        cmocka_unit_test(test_rival_finishes),
        cmocka_unit_test(test_rival_passes),
        cmocka_unit_test(test_fewer_are_kept_since),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_replica_restarts),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_broken_chain),
        cmocka_unit_test(test_first_round_is_finished),
        cmocka_unit_test(test_later_ones),
        cmocka_unit_test(test_not_ahead_of_the_clock),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_deleted_at_once),
        cmocka_unit_test(test_large_values),
        cmocka_unit_test(test_stores_lost),
        cmocka_unit_test(test_one_is_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
