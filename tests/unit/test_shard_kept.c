/* Rows that are kept in memory for readers: alone, and in a cluster that changes what was read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "actors/shard_kept.h"

static const uint8_t id[ID_BYTES] = {1}, other_id[ID_BYTES] = {2};

/* Keeps rows of that size under `of`; the version tells them apart. */
static void
put(struct kept *kept, struct kept_rows **of, uint64_t version, size_t size)
{
    uint8_t *value = calloc(1, size);
    assert_non_null(value);
    memset(value, (int)version, size);
    const struct loaded_row rows[KEPT_ROWS_MAX] = {
        {.key = bytes_of_text("v"), .value = bytes_of(value, size), .found = true},
        {.key = bytes_of_text("d"), .value = bytes_of_text("dealing"), .found = true}};
    const struct msg_loaded loaded = {.rows = rows, .count = KEPT_ROWS_MAX};
    kept_put(kept, of, version, id, &loaded);
    memset(value, 0xee, size); /* what is kept is a copy */
    free(value);
}

static size_t
free_slots(struct secret_arena *arena)
{
    return secret_arena_free_slots(arena);
}

/* Shares lie in slots of the arena: as many as may be kept, the first of them make room. */
static void
test_opened_shares_make_room_and_go_with_their_rows(void **state)
{
    struct secret_arena *arena;
    struct kept kept = {0};
    struct kept_rows *of[3] = {0};
    uint8_t share[SECRET_BYTES_MAX + 1];
    (void)state;
    assert_int_equal(secret_arena_new(3, &arena), OK);
    assert_int_equal(kept_init(&kept, arena, 2), OK);
    secret_arena_open(arena);
    for (unsigned i = 0; i < 3; i++) {
        put(&kept, &of[i], 1, 10);
        assert_int_equal(kept_share(of[i]).size, 0);
        memset(share, (int)(i + 1), sizeof(share));
        kept_share_put(&kept, of[i], bytes_of(share, 33));
        assert_true(bytes_equal(kept_share(of[i]), bytes_of(share, 33)));
    }
    assert_int_equal(free_slots(arena), 1); /* the third is another's */
    assert_int_equal(kept_share(of[0]).size, 0);
    assert_int_equal(kept_share(of[1]).data[0], 2);

    kept_share_put(&kept, of[2], bytes_of(share, 40)); /* in place of its own */
    assert_int_equal(kept_share(of[2]).size, 40);
    kept_share_put(&kept, of[2], bytes_of(share, sizeof(share))); /* too long: none */
    assert_int_equal(kept_share(of[2]).size, 0);
    assert_int_equal(free_slots(arena), 2);

    const uint8_t *slot = kept_share(of[1]).data;
    kept_forget(&kept, &of[1]);
    assert_int_equal(free_slots(arena), 3);
    for (unsigned i = 0; i < SECRET_BYTES_MAX; i++)
        assert_int_equal(slot[i], 0);
    put(&kept, &of[0], 2, 10); /* rows of another version take the place of these */
    kept_share_put(&kept, of[0], bytes_of(share, 33));
    put(&kept, &of[0], 3, 10);
    assert_int_equal(kept_share(of[0]).size, 0);
    assert_int_equal(free_slots(arena), 3);
    kept_forget(&kept, &of[0]);
    kept_forget(&kept, &of[2]);
    kept_close(&kept);
    secret_arena_close(arena);
    secret_arena_free(arena);
}

/* No slot may be left, or none be meant for this: then shares are opened each time. */
static void
test_without_slots_no_share_is_kept(void **state)
{
    const uint8_t share[33] = {1};
    struct secret_arena *arena;
    struct secret other;
    struct kept kept = {0};
    struct kept_rows *of = NULL;
    (void)state;
    put(&kept, &of, 1, 10);
    kept_share_put(&kept, of, bytes_of(share, sizeof(share)));
    assert_int_equal(kept_share(of).size, 0);
    assert_int_equal(kept_share(NULL).size, 0);

    assert_int_equal(secret_arena_new(1, &arena), OK);
    secret_arena_open(arena);
    assert_int_equal(kept_init(&kept, arena, 2), OK);
    assert_int_equal(secret_new(arena, 1, &other), OK);
    kept_share_put(&kept, of, bytes_of(share, sizeof(share)));
    assert_int_equal(kept_share(of).size, 0);
    secret_free(arena, &other);
    kept_share_put(&kept, of, bytes_of(share, sizeof(share)));
    assert_int_equal(kept_share(of).size, sizeof(share));
    kept_forget(&kept, &of);
    kept_close(&kept);
    secret_arena_close(arena);
    secret_arena_free(arena);
}

static void
test_found_by_version_and_id(void **state)
{
    struct kept kept = {0};
    struct kept_rows *of = NULL;
    (void)state;
    assert_null(kept_find(&kept, of, 3, id));
    put(&kept, &of, 3, 10);
    const struct msg_loaded *found = kept_find(&kept, of, 3, id);
    assert_non_null(found);
    assert_int_equal(found->err, OK);
    assert_int_equal(found->count, KEPT_ROWS_MAX);
    assert_true(bytes_equal(found->rows[0].key, bytes_of_text("v")));
    assert_int_equal(found->rows[0].value.size, 10);
    assert_int_equal(found->rows[0].value.data[9], 3);
    assert_true(bytes_equal(found->rows[1].value, bytes_of_text("dealing")));
    assert_null(kept_find(&kept, of, 4, id));
    assert_null(kept_find(&kept, of, 3, other_id));
    const struct msg_loaded one = {.rows = found->rows, .count = 1};
    kept_put(&kept, &of, 3, id, &one); /* of the version row alone */
    assert_null(kept_find(&kept, of, 3, other_id));
    put(&kept, &of, 4, 20); /* takes the place of what was there */
    assert_null(kept_find(&kept, of, 3, id));
    assert_non_null(kept_find(&kept, of, 4, id));
    kept_forget(&kept, &of);
    kept_forget(&kept, &of);
    assert_null(of);
    assert_int_equal(kept.bytes, 0);
    kept_close(&kept);
}

/* An answer that is on its way may borrow from rows that are forgotten in the same step. */
static void
test_forgotten_rows_outlive_the_step(void **state)
{
    struct kept kept = {0};
    struct kept_rows *of = NULL;
    (void)state;
    put(&kept, &of, 1, 10);
    struct bytes value = kept_find(&kept, of, 1, id)->rows[0].value;
    kept_forget(&kept, &of);
    assert_int_equal(value.data[0], 1);
    assert_non_null(kept.forgotten);
    kept_sweep(&kept);
    assert_null(kept.forgotten);
    kept_close(&kept);
}

static void
test_large_rows_are_not_kept(void **state)
{
    struct kept kept = {0};
    struct kept_rows *of = NULL;
    (void)state;
    put(&kept, &of, 1, 10);
    put(&kept, &of, 2, KEPT_ROWS_BYTES_MAX);
    assert_null(of); /* nor what they replace */
    kept_close(&kept);
}

static void
test_least_recently_read_make_room(void **state)
{
    enum { COUNT = 600 };
    struct kept kept = {0};
    struct kept_rows *of[COUNT] = {NULL};
    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        put(&kept, &of[i], 1, KEPT_ROWS_BYTES_MAX - 100);
        assert_true(kept.bytes <= KEPT_BYTES_MAX);
        assert_non_null(kept_find(&kept, of[0], 1, id)); /* read all the time */
        kept_sweep(&kept);
    }
    assert_null(of[1]);
    assert_non_null(of[COUNT - 1]);
    for (unsigned i = 0; i < COUNT; i++)
        kept_forget(&kept, &of[i]);
    assert_int_equal(kept.bytes, 0);
    kept_close(&kept);
}

/* ---- in a cluster ---- */

static uint64_t
from_memory(const struct actor_cluster *ac)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < ac->options.nodes; i++)
        sum += ac->nodes[i].metrics.counters[METRIC_reads_from_memory];
    return sum;
}

static void
test_the_second_read_needs_no_disk(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 1);
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 500);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    assert_true(from_memory(ac) >= 2);
    for (unsigned i = 0; i < 3; i++)
        ac->nodes[i].reads_fail = true;
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    ac_end(ac);
}

/*
 * A secret that is in no memory: with its path row comes the newest version row, so that a reader
 * waits for the disk once; where that is not the one asked for, or nothing comes, twice.
 */
static void
test_version_row_comes_along(void **state)
{
    (void)state;
    for (unsigned nothing = 0; nothing < 2; nothing++) {
        struct actor_cluster *ac = ac_cluster_of(3, 20);
        assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
        assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
        assert_int_equal(ac_create(ac, 0, "b", "three")->reply.err, OK);
        ac_run_ms(ac, 2000);
        struct row_key odd; /* of a version that was not accepted in the end */
        row_key_version(ROW_VERSION, ac_path("b"), 9, id, &odd);
        for (unsigned i = 0; i < 3; i++) {
            ac_crash(ac, i);
            ac_put(ac, i, &odd, bytes_of_text("odd"));
        }
        for (unsigned i = 0; i < 3; i++)
            ac_start(ac, i);
        ac_run_ms(ac, 3000);
        ac->nothing_comes_along = nothing == 1;
        uint64_t before = ac->loads;
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "two"));
        uint64_t of_one = ac->loads - before;
        assert_int_equal(of_one, nothing ? 4 : 2);
        struct request request = ac_make(REQUEST_READ, "a", NULL);
        request.version = 1;
        assert_true(ac_value_is(ac_wait(ac, ac_send(ac, 0, &request)), "one"));
        assert_true(ac_value_is(ac_read(ac, 0, "b"), "three"));
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(ac->nodes[i].metrics.counters[METRIC_records_corrupt], 0);
        assert_true(ac_value_is(ac_read(ac, 0, "b"), "three"));
        ac_end(ac);
    }
}

/* What is kept of the version before is not answered, whoever is asked and whatever is kept. */
static void
test_changes_are_seen_at_once(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 2);
    char value[16];
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "v0")->reply.err, OK);
    for (unsigned i = 1; i <= 20; i++) {
        for (unsigned again = 0; again < 9; again++) /* until opened shares are kept as well */
            (void)ac_read(ac, again % 3, "a");
        snprintf(value, sizeof(value), "v%u", i);
        assert_int_equal(ac_update(ac, i % 3, "a", value)->reply.err, OK);
        for (unsigned node = 0; node < 3; node++)
            assert_true(ac_value_is(ac_read(ac, node, "a"), value));
    }
    assert_true(from_memory(ac) > 0);
    assert_int_equal(ac_delete(ac, 1, "a")->reply.err, OK);
    for (unsigned node = 0; node < 3; node++)
        assert_int_equal(ac_read(ac, node, "a")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_create(ac, 2, "a", "again")->reply.err, OK);
    for (unsigned node = 0; node < 3; node++)
        assert_true(ac_value_is(ac_read(ac, node, "a"), "again"));
    ac_end(ac);
}

/* ---- what the reader's node has is not sent ---- */

/* What went between the nodes. */
struct seen {
    unsigned whole, as_known, asked, asked_for_all;
    bool forged; /* STATEs of node 1 say that they left something out, whatever was asked */
    struct actor_cluster *ac;
};

static enum ac_verdict
see(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct seen *seen = context;
    if (msg->kind == MSG_READ) {
        seen->asked++;
        seen->asked_for_all += msg->u.read.known_id.size == 0;
    }
    if (msg->kind != MSG_STATE)
        return AC_PASS;
    seen->as_known += msg->u.state.as_known;
    seen->whole += msg->u.state.dealing.size > 0;
    assert_true(!msg->u.state.as_known || msg->u.state.dealing.size == 0);
    if (!seen->forged || from != 1)
        return AC_PASS;
    struct msg lie = *msg;
    lie.u.state.as_known = true;
    lie.u.state.version = lie.u.state.dealing = (struct bytes){0};
    seen->forged = false;
    assert_int_equal(ac_inject(seen->ac, from, to, &lie), OK);
    return AC_DROP;
}

static void
test_what_the_reader_has_is_left_out(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 3);
    struct seen seen = {.ac = ac};
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 500);
    ac->filter = see;
    ac->filter_context = &seen;
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    assert_true(seen.whole > 0 && seen.as_known == 0 && seen.asked_for_all == seen.asked);
    seen = (struct seen){.ac = ac};
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    assert_true(seen.whole == 0 && seen.as_known > 0 && seen.asked_for_all == 0);
    /* Another version than the reader had is sent whole. */
    assert_int_equal(ac_update(ac, 1, "a", "two")->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "two"));
    assert_true(seen.whole > 0);
    ac_end(ac);
}

static bool
is_lost(void *context, enum maybe_site site)
{
    (void)context;
    return site == MAYBE_self_message_lost;
}

/* The others have answered, but what they left out is not there after all. */
static void
test_what_is_lost_here_is_asked_for(void **state)
{
    static const struct maybe loses = {NULL, is_lost};
    struct actor_cluster *ac = ac_cluster_of(3, 4);
    struct seen seen = {.ac = ac};
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 500);
    for (unsigned i = 0; i < 6; i++) /* all three come to keep it */
        assert_true(ac_value_is(ac_read(ac, i % 3, "a"), "one"));
    ac->filter = see;
    ac->filter_context = &seen;
    ac->maybe = &loses;
    struct request ask = ac_make(REQUEST_READ, "a", NULL);
    struct ac_request *r = ac_send(ac, 0, &ask);
    ac_run_ms(ac, 100); /* at once, and not after a READ's time */
    assert_true(r->done && ac_value_is(r, "one"));
    assert_int_equal(seen.as_known, 2);
    assert_true(seen.whole >= 2);
    ac_end(ac);
}

/* Whoever leaves out what was not said to be known has no share that counts. */
static void
test_left_out_without_being_known(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 5);
    struct seen seen = {.ac = ac, .forged = true};
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 500);
    ac_crash(ac, 2);
    ac_run_ms(ac, 2000);
    ac->filter = see;
    ac->filter_context = &seen;
    struct request ask = ac_make(REQUEST_READ, "a", NULL);
    struct ac_request *r = ac_send(ac, 0, &ask);
    ac_run_ms(ac, 6000);
    assert_false(seen.forged);
    assert_true(r->done);
    assert_true(r->reply.err == ERR_VALUE_UNAVAILABLE || ac_value_is(r, "one"));
    assert_true(seen.asked >= 2);
    ac_end(ac);
}

/* Rows are vouched for by their hashes, and not by being there. */
static void
test_sound_rows(void **state)
{
    struct kept kept = {0};
    struct kept_rows *of = NULL;
    uint8_t version_id[ID_BYTES];
    const struct bytes dealing = bytes_of_text("dealing"), other = bytes_of_text("dealings");
    struct version_record record = {.version = 1, .author = bytes_of_text("a")};
    struct buf encoded = {0};
    (void)state;
    memset(record.incarnation, 1, sizeof(record.incarnation));
    record_id(dealing, record.dealing_hash);
    assert_int_equal(version_encode(&record, &encoded), OK);
    record_id(buf_bytes(&encoded), version_id);
    for (unsigned broken = 0; broken < 4; broken++) {
        const struct loaded_row rows[KEPT_ROWS_MAX] = {{.key = bytes_of_text("v"), .found = true},
                                                       {.key = bytes_of_text("d")}};
        const struct msg_loaded loaded = {.rows = rows, .count = KEPT_ROWS_MAX};
        struct bytes found = broken == 3 ? dealing : buf_bytes(&encoded);
        kept_put(&kept, &of, 1, broken == 2 ? id : version_id, &loaded);
        for (unsigned again = 0; again < 2; again++)
            assert_int_equal(kept_is_sound(of, found, broken == 1 ? other : dealing), broken == 0);
    }
    kept_forget(&kept, &of);
    kept_close(&kept);
    buf_close(&encoded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opened_shares_make_room_and_go_with_their_rows),
        cmocka_unit_test(test_without_slots_no_share_is_kept),
        cmocka_unit_test(test_sound_rows),
        cmocka_unit_test(test_what_the_reader_has_is_left_out),
        cmocka_unit_test(test_what_is_lost_here_is_asked_for),
        cmocka_unit_test(test_left_out_without_being_known),
        cmocka_unit_test(test_found_by_version_and_id),
        cmocka_unit_test(test_forgotten_rows_outlive_the_step),
        cmocka_unit_test(test_large_rows_are_not_kept),
        cmocka_unit_test(test_least_recently_read_make_room),
        cmocka_unit_test(test_the_second_read_needs_no_disk),
        cmocka_unit_test(test_version_row_comes_along),
        cmocka_unit_test(test_changes_are_seen_at_once),
    };
    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
