/*
 * What is kept of another node's signed heads: against whoever has that node and its key, and signs
 * what he likes from some moment on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/witness.h"
#include "proto/rows.h"

enum { ROWS_MAX = 256, NODE = 2, MINUTES_A_DAY = 24 * 60 };
static const uint64_t minute_ms = 60 * 1000, hour_ms = 3600 * 1000, day_ms = 24 * 3600 * 1000;
static const uint64_t start_ms = UINT64_C(1800000123456);

/* A witness and its rows. */
struct kept {
    struct witness witness;
    struct row {
        struct row_key key;
        struct buf value;
    } rows[ROWS_MAX];
    size_t count, writes;
};

static void
close_kept(struct kept *k)
{
    for (size_t i = 0; i < k->count; i++)
        buf_close(&k->rows[i].value);
}

static void
change_row(struct kept *k, const struct store_change *change)
{
    size_t i = 0;

    while (i < k->count && !bytes_equal(row_key_bytes(&k->rows[i].key), change->key))
        i++;
    if (i < k->count) {
        buf_close(&k->rows[i].value);
        k->rows[i] = k->rows[--k->count];
        memset(&k->rows[k->count], 0, sizeof(k->rows[0]));
    }
    if (change->kind == STORE_DELETE)
        return;
    assert_int_equal(change->kind, STORE_PUT);
    assert_true(k->count < ROWS_MAX);
    struct row *row = &k->rows[k->count++];
    memcpy(row->key.data, change->key.data, change->key.size);
    row->key.size = change->key.size;
    assert_int_equal(buf_append(&row->value, change->value), OK);
}

/* A head that comes, and is written or not. */
static enum head_verdict
come(struct kept *k, const struct audit_head *head, uint64_t now_ms, bool written)
{
    struct store_change changes[WITNESS_CHANGES_MAX];
    enum head_verdict verdict = witness_judge(&k->witness, head, now_ms);
    struct arena arena;
    size_t count;

    if (verdict != HEAD_TAKEN)
        return verdict;
    arena_init(&arena, 1 << 20);
    assert_int_equal(witness_take(&k->witness, head, now_ms, &arena, changes, &count), OK);
    for (size_t i = 0; written && i < count; i++)
        change_row(k, &changes[i]);
    k->writes += written ? count : 0;
    witness_written(&k->witness, written);
    arena_close(&arena);
    return verdict;
}

/* What was in memory is gone; the rows are read again. */
static void
restart(struct kept *k)
{
    struct audit_head head;

    memset(&k->witness, 0, sizeof(k->witness));
    for (size_t i = 0; i < k->count; i++) {
        if (k->rows[i].key.data[0] == ROW_WITNESS)
            witness_load_row(&k->witness, row_key_bytes(&k->rows[i].key),
                             buf_bytes(&k->rows[i].value));
    }
    for (size_t i = 0; i < k->count; i++) {
        if (k->rows[i].key.data[0] == ROW_ANCHOR) {
            assert_int_equal(audit_head_decode(buf_bytes(&k->rows[i].value), &head), OK);
            witness_load_head(&k->witness, &head);
        }
    }
    witness_load_end(&k->witness);
}

static bool
is_kept(const struct kept *k, const struct audit_head *wanted)
{
    struct audit_head head;

    for (size_t i = 0; i < k->count; i++) {
        struct bytes encoded = buf_bytes(&k->rows[i].value);
        if (k->rows[i].key.data[0] == ROW_WITNESS &&
            !witness_row_head(row_key_bytes(&k->rows[i].key), encoded, &encoded))
            continue;
        assert_int_equal(audit_head_decode(encoded, &head), OK);
        if (head.size == wanted->size &&
            memcmp(head.epoch, wanted->epoch, AUDIT_EPOCH_BYTES) == 0 &&
            memcmp(head.root, wanted->root, HASH_BYTES) == 0)
            return true;
    }
    return false;
}

static size_t
rows_of(const struct kept *k, enum row_table table)
{
    size_t count = 0;

    for (size_t i = 0; i < k->count; i++)
        count += k->rows[i].key.data[0] == table;
    return count;
}

static struct audit_head
head_of(uint8_t epoch, uint64_t size, uint64_t time_ms, uint8_t root)
{
    return (struct audit_head){
        .node = NODE, .epoch = {epoch}, .size = size, .time_ms = time_ms, .root = {root}};
}

static uint64_t
dice(uint64_t *state, uint64_t bound)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % bound;
}

/* ---- the ring ---- */

/* The newest heads at the ends of hours or of days, as far back as they must be kept. */
struct ends {
    struct audit_head heads[64];
    uint64_t period_ms, count, of_period[64];
};

/* `before` was the newest until now: it was so at the end of the last period that is over. */
static void
note_end(struct ends *ends, const struct audit_head *before, uint64_t came_ms, uint64_t now_ms)
{
    uint64_t period = came_ms / ends->period_ms;

    if (before->size == 0 || period == now_ms / ends->period_ms)
        return;
    ends->heads[ends->count % 64] = *before;
    ends->of_period[ends->count++ % 64] = period;
}

static void
check_ends(const struct kept *k, const struct ends *ends, uint64_t now_ms, uint64_t periods)
{
    uint64_t now = now_ms / ends->period_ms;

    for (uint64_t i = 0; i < ends->count && i < 64; i++) {
        if (ends->of_period[i] + periods >= now)
            assert_true(is_kept(k, &ends->heads[i]));
    }
}

/*
 * Two hundred days of a node that is busy, or quiet for hours and days, and of a witness that restarts,
 * and fails to write: what was the newest head at the end of an hour is kept for 24 h, at the end of a
 * day for 32 days.
 */
static void
test_ends_of_hours_and_days_stay(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));
    struct ends hours = {.period_ms = hour_ms}, days = {.period_ms = day_ms};
    uint64_t seed = 7, now_ms = start_ms, came_ms = 0;
    struct audit_head newest = {0};
    unsigned taken = 0;

    (void)state;
    for (uint64_t size = 1; now_ms < start_ms + 200 * day_ms; size++) {
        struct audit_head head = head_of((uint8_t)(now_ms / (40 * day_ms)), size, now_ms, 1);
        bool written = dice(&seed, 10) != 0;
        assert_int_equal(come(k, &head, now_ms, written), HEAD_TAKEN);
        if (written) {
            note_end(&hours, &newest, came_ms, now_ms);
            note_end(&days, &newest, came_ms, now_ms);
            newest = head;
            came_ms = now_ms;
            taken++;
        }
        if (size % 16 == 0) {
            check_ends(k, &hours, now_ms, WITNESS_HOURS);
            check_ends(k, &days, now_ms, WITNESS_DAYS);
        }
        assert_true(rows_of(k, ROW_WITNESS) <= WITNESS_SLOTS + 1);
        if (dice(&seed, 50) == 0)
            restart(k);
        uint64_t pause = dice(&seed, 40) == 0 ? 3 * MINUTES_A_DAY : dice(&seed, 8) == 0 ? 180 : 20;
        now_ms += dice(&seed, pause * minute_ms);
    }
    assert_int_equal(rows_of(k, ROW_WITNESS), WITNESS_SLOTS + 1);
    assert_in_range(rows_of(k, ROW_ANCHOR), 5, 7); /* one of each epoch */
    assert_true(k->writes < 3 * taken);
    close_kept(k);
    free(k);
}

/*
 * From some moment on a forger has the node: he signs a head a second, of the same epoch and of others,
 * larger ones and smaller ones, dated as he likes. The true head stays for a day, and those of days.
 */
static void
test_a_forger_reaches_no_slot(void **state)
{
    (void)state;
    for (uint64_t trial = 0; trial < 40; trial++) {
        struct kept *k = calloc(1, sizeof(*k));
        uint64_t seed = trial + 1, now_ms = start_ms + dice(&seed, day_ms);
        struct audit_head last = {0}, yesterday = {0};
        for (uint64_t i = 0; i < 48 * 6; i++, now_ms += 10 * minute_ms) {
            struct audit_head head = head_of(1, 1 + i, now_ms, 1);
            assert_int_equal(come(k, &head, now_ms, true), HEAD_TAKEN);
            if (now_ms / day_ms != (now_ms + 10 * minute_ms) / day_ms)
                yesterday = head;
            last = head;
        }
        now_ms += hour_ms - now_ms % hour_ms; /* the true one was the newest when an hour ended */
        for (uint64_t i = 0; i < 23 * 360; i++, now_ms += 10 * 1000) {
            uint64_t dated = now_ms + dice(&seed, 3 * minute_ms) - minute_ms;
            uint64_t size = last.size + dice(&seed, 100000) - dice(&seed, 5);
            struct audit_head head = head_of((uint8_t)(1 + dice(&seed, 90)), size, dated, 2);
            (void)come(k, &head, now_ms, true);
            if (dice(&seed, 1000) == 0)
                restart(k);
        }
        assert_true(is_kept(k, &last));
        assert_true(is_kept(k, &yesterday));
        assert_true(k->count <= WITNESS_HEADS_MAX + 1);
        close_kept(k);
        free(k);
    }
}

/* A clock that jumps ahead and comes back takes a slot or two, not all of them; then it goes on. */
static void
test_a_clock_that_jumps(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));
    struct audit_head heads[40];
    unsigned lost = 0;

    (void)state;
    for (unsigned i = 0; i < 24; i++) {
        heads[i] = head_of(1, 1 + i, start_ms + i * hour_ms, 1);
        assert_int_equal(come(k, &heads[i], start_ms + i * hour_ms, true), HEAD_TAKEN);
    }
    uint64_t now_ms = start_ms + 24 * hour_ms;
    heads[24] = head_of(1, 25, now_ms, 1);
    assert_int_equal(come(k, &heads[24], now_ms + 1000 * day_ms, true), HEAD_TAKEN);
    for (unsigned i = 25; i < 40; i++, now_ms += hour_ms) {
        heads[i] = head_of(1, 1 + i, now_ms, 1);
        assert_int_equal(come(k, &heads[i], now_ms, true), HEAD_TAKEN);
    }
    for (unsigned i = 40 - 24; i < 40; i++)
        lost += !is_kept(k, &heads[i]);
    assert_true(lost <= 2);
    close_kept(k);
    free(k);
}

/* ---- what is not taken ---- */

static void
test_heads_that_are_refused(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));
    uint64_t now_ms = start_ms;
    const struct audit_head known = head_of(1, 100, now_ms, 1);
    const struct {
        struct audit_head head;
        enum head_verdict verdict;
    } cases[] = {
        {head_of(1, 101, now_ms + WITNESS_AHEAD_MS_MAX + 1, 1), HEAD_AHEAD},
        {head_of(2, 1, now_ms + WITNESS_AHEAD_MS_MAX + 1, 1), HEAD_AHEAD},
        {head_of(1, 101, UINT64_MAX, 1), HEAD_AHEAD},
        {head_of(1, 101, now_ms - 1, 1), HEAD_BACKDATED},
        {head_of(1, 99, now_ms + 1, 1), HEAD_ROLLED_BACK},
        {head_of(1, 99, now_ms, 1), HEAD_ROLLED_BACK},
        {head_of(1, 99, now_ms - 1, 1), HEAD_LATE},
        {head_of(1, 100, now_ms + 1, 2), HEAD_FORKED},
        {head_of(1, 100, now_ms - 1, 2), HEAD_FORKED},
        {head_of(1, 100, now_ms - 1, 1), HEAD_LATE},
    };

    (void)state;
    assert_int_equal(come(k, &cases[0].head, now_ms, true), HEAD_AHEAD); /* the first one, too */
    assert_int_equal(come(k, &known, now_ms, true), HEAD_TAKEN);
    size_t writes = k->writes;
    for (unsigned again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
            assert_int_equal(come(k, &cases[i].head, now_ms, true), cases[i].verdict);
        restart(k);
    }
    assert_int_equal(k->writes, writes);
    assert_int_equal(come(k, &known, now_ms, true),
                     HEAD_TAKEN); /* whoever sends it waits for an answer */
    struct audit_head edge = head_of(1, 101, now_ms + WITNESS_AHEAD_MS_MAX, 1);
    assert_int_equal(come(k, &edge, now_ms, true), HEAD_TAKEN);
    close_kept(k);
    free(k);
}

/* One that an older release took from far in the future does not keep all others out. */
static void
test_a_head_from_the_future_that_is_known(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));
    struct audit_head known = head_of(1, 100, start_ms + day_ms, 1),
                      next = head_of(1, 101, start_ms + 1, 1);

    (void)state;
    assert_int_equal(come(k, &known, start_ms + day_ms, true), HEAD_TAKEN);
    restart(k);
    assert_int_equal(come(k, &next, start_ms + 1, true), HEAD_TAKEN);
    close_kept(k);
    free(k);
}

/* What could not be written is not known: the same head comes again, and goes where it should. */
static void
test_a_write_that_fails(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));
    struct audit_head one = head_of(1, 10, start_ms, 1),
                      two = head_of(2, 20, start_ms + hour_ms, 1);

    (void)state;
    assert_int_equal(come(k, &one, start_ms, true), HEAD_TAKEN);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(come(k, &two, start_ms + hour_ms, false), HEAD_TAKEN);
        assert_int_equal(k->witness.newest.size, 10);
    }
    assert_int_equal(come(k, &two, start_ms + hour_ms, true), HEAD_TAKEN);
    assert_int_equal(k->witness.newest.size, 20);
    assert_int_equal(k->witness.epochs.count, 2);
    assert_true(is_kept(k, &one));
    assert_int_equal(rows_of(k, ROW_WITNESS), 3); /* of an hour, of a day, and the epochs */
    close_kept(k);
    free(k);
}

/* ---- epochs ---- */

static void
test_an_epoch_that_is_over(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));
    struct audit_head first = head_of(9, 100, start_ms, 1),
                      second = head_of(3, 5, start_ms + 10, 1);

    (void)state;
    assert_int_equal(come(k, &first, start_ms, true), HEAD_TAKEN);
    assert_int_equal(come(k, &second, start_ms + 10, true), HEAD_TAKEN);
    for (unsigned again = 0; again < 2; again++) {
        struct audit_head late = head_of(9, 101, start_ms + 5, 1);
        struct audit_head forged = head_of(9, 200, start_ms + 20, 2);
        assert_int_equal(come(k, &late, start_ms + 20, true), HEAD_LATE);
        assert_int_equal(come(k, &forged, start_ms + 20, true), HEAD_REOPENED);
        restart(k);
        assert_int_equal(k->witness.newest.size, 5);
    }
    assert_true(is_kept(k, &first));
    close_kept(k);
    free(k);
}

/* Rows are bounded whatever epochs are begun; what is over for long makes room. */
static void
test_epochs_are_bounded(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));
    uint64_t now_ms = start_ms;

    (void)state;
    for (unsigned i = 0; i < WITNESS_EPOCHS_MAX; i++, now_ms += 1000) {
        struct audit_head head = head_of((uint8_t)(1 + i), 5, now_ms, 1);
        assert_int_equal(come(k, &head, now_ms, true), HEAD_TAKEN);
    }
    struct audit_head first = head_of(1, 5, start_ms, 1), more = head_of(200, 5, now_ms, 1);
    assert_int_equal(come(k, &more, now_ms, true), HEAD_MANY_EPOCHS);
    assert_true(is_kept(k, &first));
    restart(k);
    assert_int_equal(come(k, &more, now_ms, true), HEAD_MANY_EPOCHS);
    now_ms =
        start_ms + 1000 + WITNESS_DAYS * day_ms + 1; /* the first ended when the second began */
    more.time_ms = now_ms;
    assert_int_equal(come(k, &more, now_ms, true), HEAD_TAKEN);
    assert_false(is_kept(k, &first));
    assert_int_equal(rows_of(k, ROW_ANCHOR), WITNESS_EPOCHS_MAX);
    restart(k);
    assert_int_equal(k->witness.epochs.count, WITNESS_EPOCHS_MAX);
    assert_memory_equal(k->witness.newest.epoch, more.epoch, AUDIT_EPOCH_BYTES);
    close_kept(k);
    free(k);
}

/* Rows of an older release: heads alone. The newest is the one that says so; the others are over. */
static void
test_rows_of_an_older_release(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));

    (void)state;
    for (uint8_t i = 1; i <= 3; i++) { /* the second is the newest */
        struct audit_head head = head_of(i, 10U * i, start_ms + (i == 2 ? 500 : i), 1);
        witness_load_head(&k->witness, &head);
    }
    witness_load_end(&k->witness);
    assert_int_equal(k->witness.newest.size, 20);
    struct audit_head old = head_of(3, 31, start_ms + 600, 1),
                      next = head_of(2, 21, start_ms + 600, 1);
    assert_int_equal(witness_judge(&k->witness, &old, start_ms + 600), HEAD_REOPENED);
    assert_int_equal(come(k, &next, start_ms + 600, true), HEAD_TAKEN);
    close_kept(k);
    free(k);
}

/* Rows that are rotten are as none. */
static void
test_rotten_rows(void **state)
{
    struct witness w = {0};
    struct row_key key;
    struct bytes head;

    (void)state;
    for (unsigned slot = 0; slot < 256; slot++) {
        row_key_witness(NODE, (uint8_t)slot, &key);
        assert_int_equal(witness_row_node(row_key_bytes(&key)), NODE);
        witness_load_row(&w, row_key_bytes(&key), bytes_of_text("rubbish"));
        assert_false(witness_row_head(row_key_bytes(&key), bytes_of_text("rubbish"), &head));
    }
    row_key_witness(NODES_MAX, 0, &key);
    assert_int_equal(witness_row_node(row_key_bytes(&key)), NODES_MAX);
    assert_int_equal(witness_row_node(bytes_of_text("w")), NODES_MAX);
    for (unsigned slot = 0; slot < WITNESS_SLOTS; slot++)
        assert_int_equal(w.slots[slot], 0);
    assert_int_equal(w.epochs.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_of_hours_and_days_stay),
        cmocka_unit_test(test_a_forger_reaches_no_slot),
        cmocka_unit_test(test_a_clock_that_jumps),
        cmocka_unit_test(test_heads_that_are_refused),
        cmocka_unit_test(test_a_head_from_the_future_that_is_known),
        cmocka_unit_test(test_a_write_that_fails),
        cmocka_unit_test(test_an_epoch_that_is_over),
        cmocka_unit_test(test_epochs_are_bounded),
        cmocka_unit_test(test_rows_of_an_older_release),
        cmocka_unit_test(test_rotten_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
