/* The scrubber alone: what it asks for, in which order, and how fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/scrubber.h"

enum { SELF = 0, PEER = 1, RATE = 20 };

struct bench {
    struct cluster cluster;
    struct membership membership;
    struct scrubber scrubber;
    struct metrics metrics;
    struct arena arena;
    struct log_sink log;
    uint64_t now_ms;
    struct effects out;
    unsigned scans, checks;
};

static void
drop_line(void *context, enum log_level level, struct bytes line)
{
    (void)context;
    (void)level;
    (void)line;
}

static uint64_t
no_time(void *context)
{
    (void)context;
    return 0;
}

static enum vault_err
handle(struct bench *b, const struct msg *msg)
{
    struct step st = {
        .now = {b->now_ms * 1000000}, .log = &b->log, .metrics = &b->metrics, .arena = &b->arena};
    b->out.count = 0;
    enum vault_err err = scrubber_handle(&b->scrubber, &st, msg, &b->out);
    for (size_t i = 0; i < b->out.count; i++) {
        b->scans += b->out.items[i].kind == EFFECT_SCAN;
        b->checks += b->out.items[i].kind == EFFECT_SEND;
    }
    return err;
}

static void
bench_init(struct bench *b, uint64_t rate)
{
    *b = (struct bench){.now_ms = 100000};
    b->log = (struct log_sink){
        .write = drop_line, .wall_ms = no_time, .node = "n", .level_min = LOG_ERROR};
    b->cluster.node_count = b->cluster.share_count = 3;
    b->cluster.threshold = 2;
    arena_init(&b->arena, 1 << 24);
    membership_init(&b->membership, &b->cluster, SELF);
    scrubber_init(&b->scrubber, &b->membership, rate, duration_ms(1000));
    struct step st = {.now = {b->now_ms * 1000000}, .arena = &b->arena};
    scrubber_start(&b->scrubber, &st, &b->out);
}

static void
tick(struct bench *b)
{
    struct msg m = {.kind = MSG_TIMER};
    b->now_ms += SCRUB_LOOK_MS;
    assert_int_equal(handle(b, &m), OK);
}

static const struct effect *
effect_of(const struct bench *b, enum effect_kind kind)
{
    for (size_t i = 0; i < b->out.count; i++) {
        if (b->out.items[i].kind == kind)
            return &b->out.items[i];
    }
    return NULL;
}

static void
rows(struct bench *b, const struct row_key *key, enum vault_err err)
{
    const struct effect *scan = effect_of(b, EFFECT_SCAN);
    assert_non_null(scan);
    assert_false(scan->u.scan.with_values);
    struct loaded_row row = {.key = key ? row_key_bytes(key) : (struct bytes){0}, .found = true};
    struct msg m = {.kind = MSG_LOADED};
    m.u.loaded =
        (struct msg_loaded){.tag = scan->tag, .err = err, .rows = &row, .count = key != NULL};
    assert_int_equal(handle(b, &m), OK);
}

static void
checked(struct bench *b, uint64_t version, const uint8_t *id, uint64_t count)
{
    const struct effect *ask = effect_of(b, EFFECT_SEND);
    assert_non_null(ask);
    assert_int_equal(ask->u.msg.kind, MSG_CHECK);
    assert_int_equal(ask->u.msg.to, SELF);
    assert_true(ask->u.msg.u.check.scrub);
    struct msg m = {.kind = MSG_CHECKED, .from = SELF, .op = ask->u.msg.op};
    m.u.checked = (struct msg_checked){.version = version, .rows = count, .bytes = 10 * count};
    if (id)
        memcpy(m.u.checked.version_id, id, ID_BYTES);
    assert_int_equal(handle(b, &m), OK);
}

static const struct path path = {{(const uint8_t *)"acme", 4}, {(const uint8_t *)"db", 2}};
static const uint8_t id1[ID_BYTES] = {1}, id2[ID_BYTES] = {2};

/* Path, its head, then the versions that were not the head's; then the next path. */
static void
test_a_pass(void **state)
{
    (void)state;
    struct bench b;
    struct row_key key;
    bench_init(&b, 1000);
    for (unsigned i = 0; i < 9; i++)
        tick(&b);
    assert_int_equal(b.scans, 0); /* it rests first */
    tick(&b);
    assert_int_equal(b.scans, 1);
    row_key_path(path, &key);
    rows(&b, &key, OK);
    assert_int_equal(effect_of(&b, EFFECT_SEND)->u.msg.u.check.version, 0);
    checked(&b, 2, id2, 4);
    row_key_version(ROW_VERSION, path, 2, id2, &key);
    rows(&b, &key, OK); /* checked with the path: the next one, at once */
    row_key_version(ROW_VERSION, path, 1, id1, &key);
    rows(&b, &key, OK);
    assert_int_equal(effect_of(&b, EFFECT_SEND)->u.msg.u.check.version, 1);
    checked(&b, 1, id1, 3);
    rows(&b, NULL, OK); /* no more versions */
    rows(&b, NULL, OK); /* no more paths */
    const struct repair_progress *progress = &b.membership.repair;
    assert_int_equal(progress->scrub_passes, 1);
    assert_int_equal(progress->scrub_rows, 7);
    assert_int_equal(progress->scrub_bytes, 70);
    assert_int_equal(progress->scrub_rows_expected, 7);
    unsigned scans = b.scans;
    for (unsigned i = 0; i < 9; i++)
        tick(&b);
    assert_int_equal(b.scans, scans);
    tick(&b);
    assert_int_equal(b.scans, scans + 1); /* and again */
    arena_close(&b.arena);
}

/* No faster than told: rows, and big ones for as many as their bytes. */
static void
test_pace(void **state)
{
    (void)state;
    struct bench b;
    struct row_key key;
    bench_init(&b, RATE);
    row_key_path(path, &key);
    for (unsigned i = 0; i < 2000; i++) {
        tick(&b);
        for (unsigned turn = 0; turn < 100 && b.out.count > 0; turn++) {
            if (effect_of(&b, EFFECT_SCAN))
                rows(&b, b.scans % 2 ? &key : NULL, OK); /* a path, no version, a path ... */
            else if (effect_of(&b, EFFECT_SEND))
                checked(&b, 1, id1, 4);
            else
                break;
        }
    }
    uint64_t seconds = 2000 * SCRUB_LOOK_MS / 1000;
    assert_in_range(b.checks, RATE * seconds / 10, RATE * seconds / 4);
    arena_close(&b.arena);
}

static void
test_lost_answer(void **state)
{
    (void)state;
    struct bench b;
    struct row_key key;
    bench_init(&b, 1000);
    for (unsigned i = 0; i < 10; i++)
        tick(&b);
    row_key_path(path, &key);
    rows(&b, &key, OK);
    struct msg late = {.kind = MSG_CHECKED, .op = effect_of(&b, EFFECT_SEND)->u.msg.op};
    for (unsigned i = 0; i < SCRUB_ANSWER_MS / SCRUB_LOOK_MS; i++)
        tick(&b);
    assert_int_equal(b.scans, 2); /* on with the next path */
    assert_int_equal(handle(&b, &late), OK);
    assert_int_equal(b.membership.repair.scrub_rows, 0);
    arena_close(&b.arena);
}

static void
test_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 1000);
    struct msg m = {.kind = MSG_CHECKED, .from = PEER};
    assert_int_equal(handle(&b, &m), ERR_UNEXPECTED); /* of oneself only */
    m.kind = MSG_VOTE;
    assert_int_equal(handle(&b, &m), ERR_UNEXPECTED);
    for (unsigned i = 0; i < 10; i++)
        tick(&b);
    rows(&b, NULL, ERR_IO); /* not a whole pass */
    assert_int_equal(b.membership.repair.scrub_passes, 0);
    arena_close(&b.arena);
    bench_init(&b, 0);
    assert_int_equal(b.out.count, 0); /* off */
    arena_close(&b.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pass),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_lost_answer),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
