/* Lists of what a node has of a leaf, and the keys that they are made from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/entries.h"
#include "proto_fixture.h"

static int
by_path(const void *a, const void *b)
{
    return path_compare(((const struct path_entry *)a)->path, ((const struct path_entry *)b)->path);
}

static size_t
dice_entries(struct dice *dice, struct path_entry *out)
{
    size_t count = (size_t)dice_between(dice, 0, ENTRIES_MAX), kept = 0;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct path_entry){.path = dice_path(dice),
                                     .state = dice_coin(dice) ? STATE_CHOSEN : STATE_ACCEPTED,
                                     .ballot = {.time = dice_number(dice, 1, UINT64_MAX),
                                                .node = 1,
                                                .incarnation = dice_number(dice, 1, UINT64_MAX)},
                                     .settling = dice_coin(dice)};
        dice_fill(dice, out[i].head_id, ID_BYTES);
    }
    /* cppcheck-suppress uninitvar ; as many as are sorted were filled */
    qsort(out, count, sizeof(*out), by_path);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || path_compare(out[i - 1].path, out[i].path) != 0)
            out[kept++] = out[i];
    }
    return kept;
}

static bool
recode_entries(struct bytes in, struct buf *out)
{
    struct path_entry entries[ENTRIES_MAX];
    size_t count;
    if (path_entries_decode(in, entries, &count) != OK)
        return false;
    assert_int_equal(path_entries_encode(entries, count, out), OK);
    return true;
}

static void
test_round_trips(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct dice dice;
        struct path_entry entries[ENTRIES_MAX], back[ENTRIES_MAX];
        struct buf out = {0};
        size_t count, found;
        dice_init(&dice, seed);
        count = dice_entries(&dice, entries);
        assert_int_equal(path_entries_encode(entries, count, &out), OK);
        assert_true(out.size <= ENTRIES_BYTES_MAX);
        assert_int_equal(path_entries_decode(buf_bytes(&out), back, &found), OK);
        assert_int_equal(found, count);
        for (size_t i = 0; i < count; i++) {
            assert_true(path_equal(entries[i].path, back[i].path));
            assert_int_equal(entries[i].state, back[i].state);
            assert_int_equal(entries[i].settling, back[i].settling);
            assert_int_equal(ballot_compare(entries[i].ballot, back[i].ballot), 0);
            assert_memory_equal(entries[i].head_id, back[i].head_id, ID_BYTES);
        }
        assert_true(refuses_other_lengths(recode_entries, buf_bytes(&out)));
        buf_close(&out);
        dice_close(&dice);
    }
}

static struct path_entry
entry_of(const char *name)
{
    return (struct path_entry){.path = {bytes_of_text("acme"), bytes_of_text(name)},
                               .state = STATE_CHOSEN,
                               .ballot = {.time = 3, .incarnation = 1}};
}

static void
test_refusals(void **state)
{
    (void)state;
    struct path_entry two[] = {entry_of("a"), entry_of("b")};
    struct path_entry many[ENTRIES_MAX + 1] = {{.settling = false}};
    struct buf out = {0};
    assert_int_equal(path_entries_encode(two, 2, &out), OK);
    buf_close(&out);
    two[1] = two[0]; /* twice */
    assert_int_equal(path_entries_encode(two, 2, &out), ERR_RANGE);
    two[0] = entry_of("c"); /* out of order */
    assert_int_equal(path_entries_encode(two, 2, &out), ERR_RANGE);
    two[0] = entry_of("a");
    two[0].state = STATE_ABSENT;
    assert_int_equal(path_entries_encode(two, 1, &out), ERR_RANGE);
    two[0] = entry_of("a");
    two[0].ballot = (struct ballot){0};
    assert_int_equal(path_entries_encode(two, 1, &out), ERR_RANGE);
    two[0] = entry_of("");
    assert_int_equal(path_entries_encode(two, 1, &out), ERR_RANGE);
    assert_int_equal(path_entries_encode(many, ENTRIES_MAX + 1, &out), ERR_TOO_LARGE);
    assert_int_equal(out.size, 0);
    buf_close(&out);
    size_t count = 7;
    assert_int_equal(path_entries_decode((struct bytes){0}, many, &count), ERR_MALFORMED);
    assert_int_equal(count, 0);
}

/* The order of entries is that of the index rows of their leaf, and of the path rows. */
static void
test_order_is_that_of_keys(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct dice dice;
        struct row_key a, b;
        dice_init(&dice, seed);
        struct path x = dice_path(&dice), y = dice_path(&dice);
        row_key_path(x, &a);
        row_key_path(y, &b);
        int order = bytes_compare(row_key_bytes(&a), row_key_bytes(&b));
        int found = path_compare(x, y);
        assert_int_equal((order > 0) - (order < 0), (found > 0) - (found < 0));
        dice_close(&dice);
    }
}

static void
test_index_keys(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct dice dice;
        struct row_key key, prefix;
        struct path back;
        dice_init(&dice, seed);
        struct path path = dice_path(&dice);
        row_key_index(path, &key);
        row_key_leaf(path_leaf(path), &prefix);
        assert_int_equal(prefix.size, 3);
        assert_memory_equal(prefix.data, key.data, 3);
        assert_int_equal(row_key_path_of(row_key_bytes(&key), &back), OK);
        assert_true(path_equal(back, path));
        key.data[2] ^= 1; /* another leaf's */
        assert_int_equal(row_key_path_of(row_key_bytes(&key), &back), ERR_CORRUPT);
        assert_int_equal(back.name.size, 0);
        row_key_path(path, &key);
        assert_int_equal(row_key_path_of(row_key_bytes(&key), &back), OK);
        assert_true(path_equal(back, path));
        assert_int_equal(row_key_path_of(bytes_of(key.data, key.size - 1), &back), ERR_CORRUPT);
        key.data[0] = ROW_VERSION;
        assert_int_equal(row_key_path_of(row_key_bytes(&key), &back), ERR_CORRUPT);
        dice_close(&dice);
    }
    /* Everybody computes the same leaf, in every version of the program. */
    assert_int_equal(path_leaf((struct path){bytes_of_text("acme"), bytes_of_text("db")}), 27252);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_order_is_that_of_keys),
        cmocka_unit_test(test_index_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
