/*
 * The contract of store.h, held against all stores: in memory, on disk, and the simulator's disk.
 * Every test runs once on each. What only one of them has (crash in memory, files on disk) is
 * tested in its own part; crashes of the store on disk in test_store_crash.c.
 */
#include "sim_store.h"
#include "store_fixture.h"

struct fixture {
    struct store *store;
    struct temp_dir dir;
};

static int
setup_mem(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(store_mem_new(&f->store), OK);
    *state = f;
    return 0;
}

static int
setup_sim(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->store = sim_store_new();
    *state = f;
    return 0;
}

static int
setup_wt_layout(void **state, bool rows_apart)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct store_wt_options options;
    bool created = false;
    char why[256];

    assert_non_null(f);
    temp_dir_make(&f->dir);
    options = wt_options(&f->dir);
    options.rows_apart = rows_apart;
    assert_int_equal(store_wt_open(&options, &f->store, &created, why, sizeof(why)), OK);
    assert_true(created);
    *state = f;
    return 0;
}

static int
setup_wt(void **state)
{
    return setup_wt_layout(state, false);
}

/* As older releases made it. */
static int
setup_wt_apart(void **state)
{
    return setup_wt_layout(state, true);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    f->store->ops->close(f->store);
    if (f->dir.path[0] != '\0')
        temp_dir_remove(&f->dir);
    free(f);
    return 0;
}

static struct store *
store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

static void
test_put_get_delete(void **state)
{
    struct store *s = store_of(state);

    expect_row(s, "a", NULL);
    commit_one(s, put("a", "1"));
    expect_row(s, "a", "1");
    commit_one(s, put("a", "22"));
    expect_row(s, "a", "22");
    expect_row(s, "aa", NULL);
    commit_one(s, del("aa")); /* absent is fine */
    commit_one(s, del("a"));
    expect_row(s, "a", NULL);
}

static void
test_empty_value_is_a_row(void **state)
{
    struct store *s = store_of(state);

    commit_one(s, put("empty", ""));
    expect_row(s, "empty", "");
    expect_scan(s, "e", "", 9, "empty", false);
    expect_row(s, "", NULL);
}

static void
test_sequence_counts_batches(void **state)
{
    struct store *s = store_of(state);
    struct store_change two[] = {put("a", "1"), put("b", "2")};

    assert_int_equal(s->ops->sequence(s), 0);
    assert_int_equal(s->ops->commit(s, two, 2), OK);
    assert_int_equal(s->ops->sequence(s), 1);
    assert_int_equal(s->ops->commit(s, NULL, 0), OK);
    commit_one(s, del("nothing"));
    assert_int_equal(s->ops->sequence(s), 3);
    assert_int_equal(s->ops->sync(s), OK);
    assert_int_equal(s->ops->sequence(s), 3);
}

static bool
same_mark(const struct store_mark *a, const struct store_mark *b)
{
    return a->sequence == b->sequence && memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

/* What survives a crash moves with a sync, and not before. The simulated disk makes no marks. */
static void
test_durable_mark_moves_with_a_sync(void **state)
{
    struct store *s = store_of(state);
    struct store_mark none = {0}, first, second;

    s->ops->durable(s, &first);
    assert_true(same_mark(&first, &none));
    commit_one(s, put("a", "1"));
    commit_one(s, put("b", "1"));
    s->ops->durable(s, &first);
    assert_true(same_mark(&first, &none));
    assert_int_equal(s->ops->sync(s), OK);
    s->ops->durable(s, &first);
    assert_int_equal(first.sequence, 2);
    assert_memory_not_equal(first.mac, none.mac, sizeof(none.mac));
    commit_one(s, del("a"));
    s->ops->durable(s, &second);
    assert_true(same_mark(&first, &second));
    assert_int_equal(s->ops->sync(s), OK);
    s->ops->durable(s, &second);
    assert_int_equal(second.sequence, 3);
    assert_memory_not_equal(first.mac, second.mac, sizeof(first.mac));
}

static void
test_order_is_of_unsigned_bytes(void **state)
{
    struct store *s = store_of(state);
    struct store_change batch[] = {put("b", "1"),       put("\xff", "2"), put("a\x80", "3"),
                                   put("a", "4"),       put("aa", "5"),   put("a\x01", "6"),
                                   put("\xff\xff", "7")};

    assert_int_equal(s->ops->commit(s, batch, 7), OK);
    expect_scan(s, "", "", 9, "a,a\x01,aa,a\x80,b,\xff,\xff\xff", false);
    expect_scan(s, "a", "", 9, "a,a\x01,aa,a\x80", false);
    expect_scan(s, "\xff", "", 9, "\xff,\xff\xff", false);
}

static void
test_scan_limit_after_more(void **state)
{
    struct store *s = store_of(state);
    struct store_change batch[] = {put("p/1", "x"), put("p/2", "x"), put("p/3", "x"), put("o", "x"),
                                   put("q", "x")};

    assert_int_equal(s->ops->commit(s, batch, 5), OK);
    expect_scan(s, "p/", "", 9, "p/1,p/2,p/3", false);
    expect_scan(s, "p/", "", 3, "p/1,p/2,p/3", false);
    expect_scan(s, "p/", "", 2, "p/1,p/2", true);
    expect_scan(s, "p/", "", 0, "", true);
    expect_scan(s, "r/", "", 0, "", false);
    expect_scan(s, "p/", "p/1", 1, "p/2", true);
    expect_scan(s, "p/", "p/2", 1, "p/3", false);
    expect_scan(s, "p/", "p/3", 9, "", false);
    expect_scan(s, "p/", "p/15", 9, "p/2,p/3", false);  /* between rows */
    expect_scan(s, "p/", "a", 9, "p/1,p/2,p/3", false); /* before the prefix */
    expect_scan(s, "p/", "z", 9, "", false);            /* behind it */
    expect_scan(s, "p/", "p/", 9, "p/1,p/2,p/3", false);
    expect_scan(s, "p/1", "p/1", 9, "", false);
    expect_scan(s, "", "o", 9, "p/1,p/2,p/3,q", false);
}

static void
test_scan_with_values(void **state)
{
    struct store *s = store_of(state);
    struct store_change batch[] = {put("k1", "one"), put("k2", ""), put("k3", "three")};
    struct store_reader *reader = reader_of(s);
    struct store_row rows[3];
    struct arena arena;
    size_t count;
    bool more;

    assert_int_equal(s->ops->commit(s, batch, 3), OK);
    arena_init(&arena, 4096);
    assert_int_equal(s->ops->scan(reader, bytes_of_text("k"), bytes_of_text(""), 3, true, &arena,
                                  rows, &count, &more),
                     OK);
    assert_int_equal(count, 3);
    assert_true(bytes_equal(rows[0].value, bytes_of_text("one")));
    assert_int_equal(rows[1].value.size, 0);
    assert_true(bytes_equal(rows[2].value, bytes_of_text("three")));
    arena_close(&arena);
    s->ops->reader_free(reader);
}

static void
test_arena_too_small(void **state)
{
    struct store *s = store_of(state);
    struct store_reader *reader = reader_of(s);
    struct store_row rows[4];
    struct arena arena;
    struct bytes got;
    size_t count = 7;
    bool more = true;

    commit_one(s, put("k1", "0123456789012345678901234567890123456789"));
    commit_one(s, put("k2", "0123456789012345678901234567890123456789"));
    arena_init(&arena, 20);
    assert_int_equal(s->ops->get(reader, bytes_of_text("k1"), &arena, &got), ERR_NOMEM);
    assert_int_equal(got.size, 0);
    arena_close(&arena);
    arena_init(&arena, 70); /* room for the first row only */
    assert_int_equal(s->ops->scan(reader, bytes_of_text("k"), bytes_of_text(""), 4, true, &arena,
                                  rows, &count, &more),
                     ERR_NOMEM);
    assert_int_equal(count, 0);
    assert_false(more);
    arena_close(&arena);
    /* The reader is as good as before. */
    arena_init(&arena, 4096);
    assert_int_equal(s->ops->get(reader, bytes_of_text("k1"), &arena, &got), OK);
    arena_close(&arena);
    s->ops->reader_free(reader);
}

static void
test_batch_in_order(void **state)
{
    struct store *s = store_of(state);
    struct store_change batch[] = {put("a", "1"),   del("a"),         put("b", "1"),  put("b", "2"),
                                   put("c/1", "x"), del_prefix("c/"), put("c/2", "y")};

    assert_int_equal(s->ops->commit(s, batch, 7), OK);
    expect_row(s, "a", NULL);
    expect_row(s, "b", "2");
    expect_scan(s, "", "", 9, "b,c/2", false);
}

static void
test_delete_prefix(void **state)
{
    struct store *s = store_of(state);
    char key[32];

    for (int i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "v/%03d", i);
        commit_one(s, put(key, "x"));
    }
    struct store_change around[] = {put("u", "x"), put("v", "x"), put("v0", "x")};
    assert_int_equal(s->ops->commit(s, around, 3), OK);
    commit_one(s, del_prefix("v/49"));
    expect_scan(s, "v/", "v/488", 9, "v/489", false);
    commit_one(s, del_prefix("v/"));
    expect_scan(s, "", "", 9, "u,v,v0", false);
    commit_one(s, del_prefix("v/"));
    commit_one(s, del_prefix("\xff"));
    commit_one(s, del_prefix("v"));
    expect_scan(s, "", "", 9, "u", false);
}

/* Its name tells those of the others. */
static void
test_delete_one(void **state)
{
    struct store *s = store_of(state);
    static const char *const rows[] = {"b/1x", "b/2x", "d/1x", "d/2x", "d/2y",
                                       "v/1x", "v/2x", "v/2y", "v/3z"};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        commit_one(s, put(rows[i], "."));
    commit_one(s, del_one("v/2", "db"));
    expect_scan(s, "", "", 9, "b/1x,d/1x,d/2y,v/1x,v/2y,v/3z", false);
    commit_one(s, put("b/2w", "."));
    commit_one(s, del_one("v/2", "db"));
    commit_one(s, del_one("v/2", "db"));
    expect_scan(s, "", "", 9, "b/1x,b/2w,d/1x,v/1x,v/3z", false);
    commit_one(s, del_one("v/1", ""));
    commit_one(s, del_one("v/4", "db"));
    commit_one(s, del_one("x", "db"));
    expect_scan(s, "", "", 9, "b/1x,b/2w,d/1x,v/3z", false);
}

/* The store's own row is neither seen nor erased, whatever the prefix. */
static void
test_reserved_row_is_hidden(void **state)
{
    struct store *s = store_of(state);
    struct store_change zero[] = {
        {.kind = STORE_PUT, .key = bytes_of("\0sea", 4), .value = bytes_of("1", 1)},
        {.kind = STORE_PUT, .key = bytes_of("\0seq1", 5), .value = bytes_of("2", 1)},
        {.kind = STORE_PUT, .key = bytes_of("\0", 1), .value = bytes_of("3", 1)}};
    struct store_change erase = {.kind = STORE_DELETE_PREFIX, .key = bytes_of("\0", 1)};
    struct store_reader *reader = reader_of(s);
    struct store_row rows[9];
    struct arena arena;
    struct bytes got;
    size_t count;
    bool more;

    arena_init(&arena, 4096);
    assert_int_equal(s->ops->commit(s, zero, 3), OK);
    assert_int_equal(s->ops->scan(reader, bytes_of("\0", 1), bytes_of_text(""), 9, false, &arena,
                                  rows, &count, &more),
                     OK);
    assert_int_equal(count, 3);
    assert_int_equal(s->ops->get(reader, bytes_of("\0seq", 4), &arena, &got), ERR_NOT_FOUND);
    assert_int_equal(s->ops->commit(s, &erase, 1), OK);
    expect_scan(s, "", "", 9, "", false);
    assert_int_equal(s->ops->sequence(s), 2);
    arena_close(&arena);
    s->ops->reader_free(reader);
}

static void
test_largest_row(void **state)
{
    struct store *s = store_of(state);
    uint8_t *value = malloc(ROW_BYTES_MAX);
    uint8_t key[KEY_BYTES_MAX];
    struct store_reader *reader = reader_of(s);
    struct arena arena;
    struct bytes got;

    assert_non_null(value);
    for (size_t i = 0; i < ROW_BYTES_MAX; i++)
        value[i] = (uint8_t)(i * 31 + (i >> 8));
    memset(key, 'k', sizeof(key));
    struct store_change big = {.kind = STORE_PUT,
                               .key = bytes_of(key, sizeof(key)),
                               .value = bytes_of(value, ROW_BYTES_MAX)};
    for (uint8_t i = 0; i < 4; i++) {
        key[KEY_BYTES_MAX - 1] = i;
        commit_one(s, big);
    }
    arena_init(&arena, 8 << 20);
    for (uint8_t i = 0; i < 4; i++) {
        key[KEY_BYTES_MAX - 1] = i;
        assert_int_equal(s->ops->get(reader, big.key, &arena, &got), OK);
        assert_true(bytes_equal(got, big.value));
    }
    arena_close(&arena);
    s->ops->reader_free(reader);
    free(value);
}

/* Sixteen of the largest rows in one batch: as much as the cache of the test holds. */
static void
test_large_batch(void **state)
{
    struct store *s = store_of(state);
    static const uint8_t value[1024 * 1024];
    struct store_change batch[16];
    char keys[16][16];

    for (int i = 0; i < 16; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "big%02d", i);
        batch[i] = (struct store_change){.kind = STORE_PUT,
                                         .key = bytes_of_text(keys[i]),
                                         .value = bytes_of(value, sizeof(value))};
    }
    enum vault_err err = s->ops->commit(s, batch, 16);
    if (err == OK) {
        expect_scan(s, "big", "big13", 9, "big14,big15", false);
    } else { /* refused whole */
        print_message("16 MiB in one batch: %s\n", vault_err_name(err));
        expect_scan(s, "big", "", 9, "", false);
    }
    commit_one(s, put("after", "1"));
    expect_row(s, "after", "1");
}

/* A reader that was held open sees each commit, and what it read is its own copy. */
static void
test_held_reader(void **state)
{
    struct store *s = store_of(state);
    struct store_reader *reader = reader_of(s);
    struct arena arena;
    struct bytes first, second;

    arena_init(&arena, 4096);
    commit_one(s, put("k", "before"));
    assert_int_equal(s->ops->get(reader, bytes_of_text("k"), &arena, &first), OK);
    commit_one(s, put("k", "behind"));
    assert_int_equal(s->ops->get(reader, bytes_of_text("k"), &arena, &second), OK);
    assert_true(bytes_equal(first, bytes_of_text("before")));
    assert_true(bytes_equal(second, bytes_of_text("behind")));
    arena_close(&arena);
    s->ops->reader_free(reader);
}

/* Random batches against a plain array as the model. */
static void
test_random_against_model(void **state)
{
    struct store *s = store_of(state);
    uint32_t seed = 12345, model[256] = {0};
    char key[8], value[16];

    for (int batch = 0; batch < 400; batch++) {
        struct store_change changes[4];
        char keys[4][8], values[4][16];
        for (int i = 0; i < 4; i++) {
            seed = seed * 1664525U + 1013904223U;
            uint32_t slot = seed >> 24, kind = (seed >> 16) % 8;
            (void)snprintf(keys[i], sizeof(keys[i]), "%03o", slot);
            (void)snprintf(values[i], sizeof(values[i]), "%u", seed);
            if (kind < 5) {
                changes[i] = put(keys[i], values[i]);
                model[slot] = seed;
            } else if (kind < 7) {
                changes[i] = del(keys[i]);
                model[slot] = 0;
            } else {
                keys[i][2] = '\0'; /* eight slots */
                changes[i] = del_prefix(keys[i]);
                memset(&model[slot & ~7U], 0, 8 * sizeof(model[0]));
            }
        }
        assert_int_equal(s->ops->commit(s, changes, 4), OK);
    }
    for (uint32_t slot = 0; slot < 256; slot++) {
        (void)snprintf(key, sizeof(key), "%03o", slot);
        (void)snprintf(value, sizeof(value), "%u", model[slot]);
        expect_row(s, key, model[slot] == 0 ? NULL : value);
    }
}

static void
test_mem_crash_forgets_unsynced(void **state)
{
    struct store *s = store_of(state);
    struct store_change first[] = {put("a", "1"), put("b", "1"), put("c/1", "1"), put("c/2", "1")};
    struct store_change second[] = {put("a", "2"), del("b"), del_prefix("c/"), put("d", "2"),
                                    put("c/1", "2")};

    assert_int_equal(s->ops->commit(s, first, 4), OK);
    assert_int_equal(s->ops->sync(s), OK);
    assert_int_equal(s->ops->commit(s, second, 5), OK);
    commit_one(s, put("a", "3"));
    commit_one(s, del("d"));
    assert_int_equal(s->ops->sequence(s), 4);
    expect_row(s, "a", "3");
    store_mem_crash(s);
    assert_int_equal(s->ops->sequence(s), 1);
    expect_scan(s, "", "", 9, "a,b,c/1,c/2", false);
    expect_row(s, "a", "1");
    expect_row(s, "c/1", "1");
    commit_one(s, put("e", "5"));
    assert_int_equal(s->ops->sync(s), OK);
    store_mem_crash(s);
    store_mem_crash(s);
    expect_row(s, "e", "5");
    assert_int_equal(s->ops->sequence(s), 2);
}

static void
test_sim_crash_keeps_what_was_synced(void **state)
{
    struct store *s = store_of(state);
    struct store_change first[] = {put("a", "1"), put("b", "1"), put("c/1", "1")};
    struct store_change second[] = {put("a", "2"), del("b"), del_prefix("c/"), put("d", "2")};

    assert_int_equal(s->ops->commit(s, first, 3), OK);
    assert_int_equal(s->ops->sync(s), OK);
    assert_int_equal(s->ops->commit(s, second, 4), OK);
    expect_row(s, "a", "2");
    sim_store_crash(s);
    expect_scan(s, "", "", 9, "a,b,c/1", false);
    expect_row(s, "a", "1");
    assert_int_equal(s->ops->commit(s, second, 4), OK);
    assert_int_equal(s->ops->sync(s), OK);
    sim_store_crash(s);
    expect_scan(s, "", "", 9, "a,d", false);
}

static void
test_mem_many_rows(void **state)
{
    struct store *s = store_of(state);
    char key[32];

    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(key, sizeof(key), "%08x", i * 2654435761U);
        commit_one(s, put(key, "some value of a row"));
        if (i % 64 == 0)
            assert_int_equal(s->ops->sync(s), OK);
    }
    for (unsigned i = 0; i < 100000; i += 997) {
        (void)snprintf(key, sizeof(key), "%08x", i * 2654435761U);
        expect_row(s, key, "some value of a row");
    }
}

#define CONTRACT(setup)                                                                            \
    cmocka_unit_test_setup_teardown(test_put_get_delete, setup, teardown),                         \
        cmocka_unit_test_setup_teardown(test_empty_value_is_a_row, setup, teardown),               \
        cmocka_unit_test_setup_teardown(test_sequence_counts_batches, setup, teardown),            \
        cmocka_unit_test_setup_teardown(test_order_is_of_unsigned_bytes, setup, teardown),         \
        cmocka_unit_test_setup_teardown(test_scan_limit_after_more, setup, teardown),              \
        cmocka_unit_test_setup_teardown(test_scan_with_values, setup, teardown),                   \
        cmocka_unit_test_setup_teardown(test_arena_too_small, setup, teardown),                    \
        cmocka_unit_test_setup_teardown(test_batch_in_order, setup, teardown),                     \
        cmocka_unit_test_setup_teardown(test_delete_prefix, setup, teardown),                      \
        cmocka_unit_test_setup_teardown(test_delete_one, setup, teardown),                         \
        cmocka_unit_test_setup_teardown(test_reserved_row_is_hidden, setup, teardown),             \
        cmocka_unit_test_setup_teardown(test_largest_row, setup, teardown),                        \
        cmocka_unit_test_setup_teardown(test_large_batch, setup, teardown),                        \
        cmocka_unit_test_setup_teardown(test_held_reader, setup, teardown),                        \
        cmocka_unit_test_setup_teardown(test_random_against_model, setup, teardown)

int
main(void)
{
    const struct CMUnitTest mem[] = {
        CONTRACT(setup_mem),
        cmocka_unit_test_setup_teardown(test_durable_mark_moves_with_a_sync, setup_mem, teardown),
        cmocka_unit_test_setup_teardown(test_mem_crash_forgets_unsynced, setup_mem, teardown),
        cmocka_unit_test_setup_teardown(test_mem_many_rows, setup_mem, teardown),
    };
    const struct CMUnitTest sim[] = {
        CONTRACT(setup_sim),
        cmocka_unit_test_setup_teardown(test_sim_crash_keeps_what_was_synced, setup_sim, teardown),
    };
    const struct CMUnitTest wt_apart[] = {CONTRACT(setup_wt_apart)};
    const struct CMUnitTest wt[] = {
        CONTRACT(setup_wt),
        cmocka_unit_test_setup_teardown(test_durable_mark_moves_with_a_sync, setup_wt, teardown),
    };

    if (crypto_init() != OK)
        return 1;
    int failed = cmocka_run_group_tests_name("store_mem", mem, NULL, NULL);
    failed += cmocka_run_group_tests_name("sim_disk", sim, NULL, NULL);
    failed += cmocka_run_group_tests_name("store_wt, rows apart", wt_apart, NULL, NULL);
    return failed + cmocka_run_group_tests_name("store_wt", wt, NULL, NULL);
}
