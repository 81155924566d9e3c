/* The repairer alone: what it sends and learns, page by page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/repairer.h"

enum { SELF = 0, PEER = 1, OTHER = 2, WALK_BOXES = 16, WALK_ERASURES = 17 };

struct bench {
    struct cluster cluster;
    struct membership membership;
    struct node_row facts;
    struct repairer repairer;
    struct metrics metrics;
    struct arena arena;
    struct rng_seeded rng_state;
    struct rng rng;
    uint64_t now_ms;
    struct effects out;
};

static void
bench_init(struct bench *b)
{
    *b = (struct bench){.now_ms = 100000, .facts = {.incarnation = 1, .boot = 3, .horizon_ms = 77}};
    b->cluster.node_count = b->cluster.share_count = 3;
    b->cluster.threshold = 2;
    rng_seeded_init(&b->rng_state, 1, &b->rng);
    arena_init(&b->arena, 1 << 24);
    membership_init(&b->membership, &b->cluster, SELF);
    repairer_init(&b->repairer, &b->membership, &b->facts);
}

static enum vault_err
handle(struct bench *b, const struct msg *msg)
{
    struct step st = {.now = {b->now_ms * 1000000},
                      .wall_ms = 5000000 + b->now_ms,
                      .rng = &b->rng,
                      .metrics = &b->metrics,
                      .arena = &b->arena};
    b->out.count = 0;
    return repairer_handle(&b->repairer, &st, msg, &b->out);
}

static unsigned
sent(const struct bench *b, enum msg_kind kind, uint8_t to)
{
    unsigned count = 0;
    for (size_t i = 0; i < b->out.count; i++) {
        const struct effect *e = &b->out.items[i];
        count += e->kind == EFFECT_SEND && e->u.msg.kind == kind && e->u.msg.to == to;
    }
    return count;
}

static const struct effect *
effect_of(const struct bench *b, enum effect_kind kind, unsigned nth)
{
    for (size_t i = 0; i < b->out.count; i++) {
        if (b->out.items[i].kind == kind && nth-- == 0)
            return &b->out.items[i];
    }
    return NULL;
}

static void
peer(struct bench *b, uint8_t node, bool up)
{
    struct msg m = {.kind = up ? MSG_PEER_UP : MSG_PEER_DOWN, .from = node};
    assert_int_equal(handle(b, &m), OK);
}

static void
timer(struct bench *b, uint64_t tag)
{
    struct msg m = {.kind = MSG_TIMER};
    m.u.timer.tag = tag;
    assert_int_equal(handle(b, &m), OK);
}

static void
test_heartbeats(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    peer(&b, PEER, true);
    assert_int_equal(sent(&b, MSG_HEARTBEAT, PEER), 1); /* at once */
    assert_int_equal(sent(&b, MSG_HEARTBEAT, OTHER), 0);
    assert_true(b.membership.members[PEER].connected);
    assert_false(b.membership.members[PEER].heard);

    struct msg h = {.kind = MSG_HEARTBEAT, .from = PEER};
    h.u.heartbeat.incarnation = 1;
    h.u.heartbeat.boot = 9;
    h.u.heartbeat.wall_ms = 5000000 + b.now_ms + 40;
    h.u.heartbeat.sent_ns = 123;
    h.u.heartbeat.echo_ns = (b.now_ms - 7) * 1000000;
    h.u.heartbeat.echo_held_ns = 2000000;
    h.u.heartbeat.share_key_id = 4;
    h.u.heartbeat.share_key[0] = 0xaa;
    assert_int_equal(handle(&b, &h), OK);
    const struct member *m = &b.membership.members[PEER];
    assert_true(m->heard);
    assert_int_equal(m->boot, 9);
    assert_int_equal(m->clock_offset_ms, 40);
    assert_int_equal(m->round_trip_ns, 5000000);
    assert_int_equal(m->share_key.id, 4);
    assert_int_equal(m->share_key.key[0], 0xaa);
    const struct effect *store = effect_of(&b, EFFECT_STORE, 0); /* remembered over a restart */
    assert_non_null(store);
    assert_int_equal(store->u.store.count, 2); /* what is known of the peer; its signing keys */
    struct peer_row row;
    assert_int_equal(peer_row_decode(store->u.store.changes[0].value, &row), OK);
    assert_int_equal(row.boot, 9);
    assert_int_equal(row.share_key.id, 4);

    b.now_ms += 30;
    assert_int_equal(handle(&b, &h), OK); /* no news */
    assert_null(effect_of(&b, EFFECT_STORE, 0));
    h.u.heartbeat.share_key_id = 3; /* an older key that comes late */
    h.u.heartbeat.share_key[0] = 0xbb;
    assert_int_equal(handle(&b, &h), OK);
    assert_int_equal(m->share_key.key[0], 0xaa);

    timer(&b, 1);
    assert_int_equal(sent(&b, MSG_HEARTBEAT, PEER), 1);
    const struct msg_heartbeat *out = &effect_of(&b, EFFECT_SEND, 0)->u.msg.u.heartbeat;
    assert_int_equal(out->known_boot, 9);
    assert_int_equal(out->horizon_ms, 77);
    assert_int_equal(out->echo_ns, 123);
    assert_non_null(effect_of(&b, EFFECT_TIMER, 0));
    peer(&b, PEER, false);
    timer(&b, 1);
    assert_int_equal(sent(&b, MSG_HEARTBEAT, PEER), 0);
    arena_close(&b.arena);
}

/*
 * An echo from before this node's time, or one that was held longer than it took, measures nothing.
 */
static void
test_round_trips_that_cannot_be(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    struct msg h = {.kind = MSG_HEARTBEAT, .from = PEER};
    h.u.heartbeat.echo_ns = (b.now_ms + 1) * 1000000;
    assert_int_equal(handle(&b, &h), OK);
    h.u.heartbeat.echo_ns = (b.now_ms - 1) * 1000000;
    h.u.heartbeat.echo_held_ns = 5000000;
    assert_int_equal(handle(&b, &h), OK);
    assert_int_equal(b.membership.members[PEER].round_trip_ns, 0);
    arena_close(&b.arena);
}

/* Rows of escrow, all boxes those of `mask`. */
struct page {
    struct row_key keys[REPAIR_PAGE_ROWS];
    struct loaded_row rows[REPAIR_PAGE_ROWS];
    struct buf values[REPAIR_PAGE_ROWS];
    size_t count;
};

static void
add_row(struct page *page, const char *name, uint64_t version, unsigned mask)
{
    static const uint8_t box[BOX_HEADER_BYTES + 20] = {0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t id[ID_BYTES] = {1};
    size_t i = page->count++;
    struct bytes boxes[3] = {{0}};
    for (unsigned j = 0; j < 3; j++) {
        if (mask >> j & 1)
            boxes[j] = bytes_of(box, sizeof(box));
    }
    struct path path = {bytes_of_text("default"), bytes_of_text(name)};
    row_key_version(ROW_BOXES, path, version, id, &page->keys[i]);
    page->values[i].size = 0;
    assert_int_equal(bytes_list_encode(boxes, 3, &page->values[i]), OK);
    page->rows[i] =
        (struct loaded_row){row_key_bytes(&page->keys[i]), buf_bytes(&page->values[i]), true};
}

static void
walk(struct bench *b, const struct page *page, bool more)
{
    timer(b, 2);
    const struct effect *scan = effect_of(b, EFFECT_SCAN, 0);
    assert_non_null(scan);
    assert_int_equal(scan->tag, WALK_BOXES);
    struct msg m = {.kind = MSG_LOADED};
    m.u.loaded = (struct msg_loaded){
        .tag = WALK_BOXES, .rows = page->rows, .count = page->count, .more = more};
    assert_int_equal(handle(b, &m), OK);
    struct msg erasures = {.kind = MSG_LOADED};
    erasures.u.loaded.tag = WALK_ERASURES;
    struct effects kept = b->out;
    assert_int_equal(handle(b, &erasures), OK);
    b->out = kept;
}

static unsigned
asked_for(const struct bench *b, uint64_t owner)
{
    unsigned count = 0;
    for (size_t i = 0; i < b->out.count; i++) {
        const struct effect *e = &b->out.items[i];
        count += e->kind == EFFECT_SEND && e->u.msg.kind == MSG_DELIVER && e->u.msg.to == SELF &&
                 e->u.msg.u.deliver.owner == owner;
    }
    return count;
}

static void
test_asks_for_owners_that_are_there(void **state)
{
    (void)state;
    struct bench b;
    struct page page = {.count = 0};
    bench_init(&b);
    peer(&b, OTHER, true);
    add_row(&page, "a", 3, 1u << PEER | 1u << OTHER);
    add_row(&page, "a", 2, 1u << OTHER); /* the shard store goes on by itself */
    add_row(&page, "b", 1, 1u << PEER);
    walk(&b, &page, false);
    assert_int_equal(asked_for(&b, OTHER), 1);
    assert_int_equal(asked_for(&b, PEER), 0);
    assert_int_equal(b.membership.members[PEER].escrow_backlog, 2);
    assert_int_equal(b.membership.members[OTHER].escrow_backlog, 2);
    for (size_t i = 0; i < page.count; i++)
        buf_close(&page.values[i]);
    arena_close(&b.arena);
}

/* An owner that takes nothing does not keep the others of the same row from theirs. */
static void
test_owners_take_turns(void **state)
{
    (void)state;
    struct bench b;
    struct page page = {.count = 0};
    unsigned peers = 0, others = 0;
    bench_init(&b);
    peer(&b, PEER, true);
    peer(&b, OTHER, true);
    add_row(&page, "a", 1, 1u << PEER | 1u << OTHER);
    for (unsigned round = 0; round < 6; round++) {
        walk(&b, &page, false);
        peers += asked_for(&b, PEER);
        others += asked_for(&b, OTHER);
    }
    assert_int_equal(peers + others, 6);
    assert_true(peers >= 2 && others >= 2);
    buf_close(&page.values[0]);
    arena_close(&b.arena);
}

static void
test_pages(void **state)
{
    (void)state;
    struct bench b;
    struct page page = {.count = 0};
    char name[8];
    bench_init(&b);
    peer(&b, PEER, true);
    for (unsigned i = 0; i < REPAIR_PAGE_ROWS; i++) {
        snprintf(name, sizeof(name), "p%02u", i);
        add_row(&page, name, 1, 1u << PEER);
    }
    walk(&b, &page, true);
    assert_int_equal(asked_for(&b, PEER), REPAIR_PAGE_ROWS);
    assert_int_equal(b.membership.members[PEER].escrow_backlog,
                     0); /* known at the end of a round */
    timer(&b, 2);
    const struct effect *scan = effect_of(&b, EFFECT_SCAN, 0);
    assert_true(bytes_equal(scan->u.scan.after, page.rows[REPAIR_PAGE_ROWS - 1].key));
    assert_int_equal(scan->u.scan.limit, REPAIR_PAGE_ROWS);
    assert_int_equal(effect_of(&b, EFFECT_TIMER, 0)->u.after.ns / 1000000, REPAIR_PAGE_MS);
    b.membership.clients_waiting = 1; /* clients go first */
    timer(&b, 2);                     /* the answer is not there yet: not asked twice */
    assert_int_equal(effect_of(&b, EFFECT_TIMER, 0)->u.after.ns / 1000000, REPAIR_PAGE_BUSY_MS);
    for (size_t i = 0; i < b.out.count; i++)
        assert_false(b.out.items[i].kind == EFFECT_SCAN && b.out.items[i].tag == WALK_BOXES);
    struct msg failed = {.kind = MSG_LOADED};
    failed.u.loaded.tag = WALK_BOXES;
    failed.u.loaded.err = ERR_IO;
    assert_int_equal(handle(&b, &failed), OK);
    timer(&b, 2); /* begins anew */
    assert_int_equal(effect_of(&b, EFFECT_SCAN, 0)->u.scan.after.size, 0);
    for (size_t i = 0; i < page.count; i++)
        buf_close(&page.values[i]);
    arena_close(&b.arena);
}

static void
test_rows_that_do_not_decode(void **state)
{
    (void)state;
    struct bench b;
    struct page page = {.count = 0};
    bench_init(&b);
    peer(&b, PEER, true);
    add_row(&page, "a", 1, 1u << PEER);
    add_row(&page, "b", 1, 1u << PEER);
    add_row(&page, "c", 1, 1u << PEER);
    page.rows[0].key.size--;
    page.rows[1].value = bytes_of_text("rubbish");
    walk(&b, &page, false);
    assert_int_equal(asked_for(&b, PEER), 1);
    for (size_t i = 0; i < page.count; i++)
        buf_close(&page.values[i]);
    arena_close(&b.arena);
}

static void
test_what_is_not_for_it(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    struct msg m = {.kind = MSG_VOTE, .from = PEER};
    assert_int_equal(handle(&b, &m), ERR_UNEXPECTED);
    assert_int_equal(b.out.count, 0);
    arena_close(&b.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heartbeats),
        cmocka_unit_test(test_round_trips_that_cannot_be),
        cmocka_unit_test(test_asks_for_owners_that_are_there),
        cmocka_unit_test(test_owners_take_turns),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_rows_that_do_not_decode),
        cmocka_unit_test(test_what_is_not_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
