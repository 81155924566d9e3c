/* Damaged, torn and missing files of the store on disk: refused, or no row is wrong. */
#include "store_wt_fixture.h"

static void
test_table_flips(void **state)
{
    enum { ROWS = 400, FLIPS = 16 };
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    unsigned refused = 0, ended = 0, unnoticed = 0;
    uint32_t x = 7;
    bool created;
    struct store *s = wt_open(dir, &created);

    rows_commit(s, 0, ROWS);
    store_close(s);
    dir_copy_take(dir, &copy);
    struct file_copy *table = dir_copy_find(&copy, "rows.wt");
    assert_non_null(table);
    assert_int_equal(child_reads(dir, ROWS), CHILD_GOOD);
    for (int i = 0; i < FLIPS; i++) {
        dir_copy_restore(dir, &copy);
        x = x * 1664525U + 1013904223U;
        size_t offset = (x >> 4) % table->size;
        bit_flip(table, offset, x & 7);
        int code = child_reads(dir, ROWS);
        bit_flip(table, offset, x & 7);
        refused += code == CHILD_REFUSED;
        ended += code == STORE_WT_EXIT;
        unnoticed += code == CHILD_GOOD; /* in a block that is not in use */
        if (code != CHILD_REFUSED && code != STORE_WT_EXIT && code != CHILD_GOOD)
            fail_msg("flip at %zu: %d", offset, code);
    }
    print_message("table flips: %u refused, %u ended the process, %u in unused blocks\n", refused,
                  ended, unnoticed);
    assert_true(refused > FLIPS / 2);
    dir_copy_free(&copy);
}

/* The engine's small files. The lock file holds nothing, and the version file only a text. */
static void
test_metadata_flips(void **state)
{
    enum { ROWS = 50, FLIPS = 6 };
    static const char *const names[] = {"WiredTiger.wt", "WiredTiger.turtle"};
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    uint32_t x = 99;
    bool created;
    struct store *s = wt_open(dir, &created);

    rows_commit(s, 0, ROWS);
    store_close(s);
    dir_copy_take(dir, &copy);
    for (size_t n = 0; n < 2; n++) {
        struct file_copy *file = dir_copy_find(&copy, names[n]);
        unsigned refused = 0;
        assert_non_null(file);
        for (int i = 0; i < FLIPS; i++) {
            dir_copy_restore(dir, &copy);
            x = x * 1664525U + 1013904223U;
            size_t offset = (x >> 4) % file->size;
            bit_flip(file, offset, x & 7);
            int code = child_reads(dir, ROWS);
            bit_flip(file, offset, x & 7);
            refused += code == CHILD_REFUSED;
            if (code != CHILD_REFUSED && code != STORE_WT_EXIT && code != CHILD_GOOD)
                fail_msg("%s, flip at %zu: %d", names[n], offset, code);
        }
        print_message("%s: %u of %d flips refused\n", names[n], refused, FLIPS);
        assert_true(refused > 0); /* some bits are of room not in use */
    }
    dir_copy_free(&copy);
}

/* A damaged journal is refused every time, and left as it is: nothing is cut. */
static void
test_journal_flips(void **state)
{
    enum { ROWS = 400, FLIPS = 16 };
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    uint32_t x = 5;

    crashed_store_make(dir, ROWS);
    dir_copy_take(dir, &copy);
    struct file_copy *journal = dir_copy_find(&copy, JOURNAL);
    assert_non_null(journal);
    size_t used = size_without_zeros(journal);
    assert_true(used > ROWS * 400);
    for (int i = 0; i < FLIPS; i++) {
        x = x * 1664525U + 1013904223U;
        size_t offset = used / 10 + (x >> 4) % (used / 2);
        bit_flip(journal, offset, x & 7);
        for (int again = 0; again < 2; again++) {
            int code = child_reads(dir, ROWS);
            if (code != CHILD_REFUSED)
                fail_msg("flip at %zu of %zu, open %d: %d", offset, used, again, code);
        }
        assert_unchanged_file(journal);
        bit_flip(journal, offset, x & 7);
    }
    assert_int_equal(child_reads(dir, ROWS), CHILD_GOOD);
    dir_copy_free(&copy);
}

/*
 * Every bit of a record's header, where the length decides what the engine believes to be the
 * journal's end.
 */
static void
test_journal_header_flips(void **state)
{
    enum { ROWS = 100 };
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    size_t offset = 0;

    crashed_store_make(dir, ROWS);
    dir_copy_take(dir, &copy);
    struct file_copy *journal = dir_copy_find(&copy, JOURNAL);
    assert_non_null(journal);
    for (unsigned i = 0; i < ROWS / 2; i++) {
        const uint8_t *length = journal->data + offset;
        offset += ((size_t)length[0] + ((size_t)length[1] << 8) + 127) / 128 * 128;
    }
    for (unsigned bit = 0; bit < 16 * 8; bit++) {
        bit_flip(journal, offset + bit / 8, bit % 8);
        int code = child_reads(dir, ROWS);
        if (code != CHILD_REFUSED)
            fail_msg("header bit %u: %d", bit, code);
        bit_flip(journal, offset + bit / 8, bit % 8);
    }
    assert_int_equal(child_reads(dir, ROWS), CHILD_GOOD);
    dir_copy_free(&copy);
}

/*
 * Damage in the last record is not told from a torn write by anything behind it: it is cut, and
 * said, and the sequence is one less.
 */
static void
test_last_record_flip(void **state)
{
    enum { ROWS = 40 };
    const struct temp_dir *dir = *state;
    struct store_wt_options options = wt_options(dir);
    struct store_mark mark;
    struct dir_copy copy;
    struct store *s;
    bool created, cut = false;
    char why[256];

    crashed_store_make(dir, ROWS);
    dir_copy_take(dir, &copy);
    struct file_copy *journal = dir_copy_find(&copy, JOURNAL);
    assert_non_null(journal);
    bit_flip(journal, size_without_zeros(journal) - 300, 3);
    options.journal_cut = &cut;
    assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), OK);
    assert_true(cut);
    assert_int_equal(rows_count(s, ROWS), ROWS - 1);
    s->ops->durable(s, &mark);
    assert_int_equal(mark.sequence, ROWS - 1);
    store_close(s);
    assert_int_equal(store_wt_open(&options, &s, &created, why, sizeof(why)), OK);
    assert_false(cut);
    store_close(s);
    dir_copy_free(&copy);
}

/* What a crash leaves, a last record of which the end was not written, is no damage. */
static void
test_torn_last_record(void **state)
{
    enum { ROWS = 40 };
    const struct temp_dir *dir = *state;
    struct dir_copy copy;
    bool created;

    crashed_store_make(dir, ROWS);
    dir_copy_take(dir, &copy);
    struct file_copy *journal = dir_copy_find(&copy, JOURNAL);
    assert_non_null(journal);
    size_t used = size_without_zeros(journal);
    memset(journal->data + used - 200, 0, 200);
    file_write(journal);
    struct store *s = wt_open(dir, &created);
    assert_int_equal(rows_count(s, ROWS), ROWS - 1);
    assert_int_equal(s->ops->sequence(s), ROWS - 1);
    store_close(s);
    dir_copy_free(&copy);
}

static void
test_missing_files(void **state)
{
    static const char *const names[] = {"rows.wt", "WiredTiger.turtle", "WiredTiger.wt", JOURNAL};
    const struct temp_dir *dir = *state;
    struct dir_copy copy;

    crashed_store_make(dir, 50);
    dir_copy_take(dir, &copy);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct file_copy *missing = dir_copy_find(&copy, names[i]);
        if (!missing)
            fail_msg("there was no %s", names[i]);
        dir_copy_restore(dir, &copy);
        assert_int_equal(unlink(missing->path), 0);
        int code = child_reads(dir, 50);
        if (code != CHILD_REFUSED)
            fail_msg("without %s: %d", names[i], code);
    }
    dir_copy_free(&copy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP_DIR_TEST(test_table_flips),      TEMP_DIR_TEST(test_metadata_flips),
        TEMP_DIR_TEST(test_journal_flips),    TEMP_DIR_TEST(test_journal_header_flips),
        TEMP_DIR_TEST(test_last_record_flip), TEMP_DIR_TEST(test_torn_last_record),
        TEMP_DIR_TEST(test_missing_files),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, wt_open_once, NULL);
}
