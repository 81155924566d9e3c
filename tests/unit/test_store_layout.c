/*
 * Where rows lie in the engine's table (store/store_wt_layout.h): by random histories beside the
 * store in memory, on stores of both layouts, which are closed and opened again; by the places that
 * the rows of a few keys have; and by how far the cursor goes for a walk.
 */
#include "proto/rows.h"
#include "sim/prng.h"
#include "store/store_wt_internal.h"
#include "store_fixture.h"

enum { KEYS_OF_WALK = 24, READS_AFTER = 4, BATCHES = 700 };

static struct bytes
text(const char *string)
{
    return bytes_of_text(string);
}

/* ---- a random history ---- */

struct history {
    struct prng prng;
    struct store *wt, *mem;
    struct temp_dir dir;
    bool rows_apart, strays;
};

/* Names that are beginnings of each other, and one with all sorts of bytes. */
static struct path
random_path(struct prng *prng)
{
    static const char *const tenants[] = {"t", "tt", "u"};
    static const char *const names[] = {"a", "ab", "abc", "b", "a/b", "\xff\xff", "c\x01"};
    static const uint8_t long_name[300];
    size_t name = (size_t)prng_below(prng, 8);

    return (struct path){.tenant = text(tenants[prng_below(prng, 3)]),
                         .name = name < 7 ? text(names[name]) : bytes_of(long_name, 300)};
}

/* Keys that nobody makes, but would be mistaken for others. */
static void
random_stray(struct prng *prng, struct row_key *out)
{
    size_t more = (size_t)prng_below(prng, 4);

    row_key_path(random_path(prng), out);
    out->data[0] = prng_chance(prng, 500) ? ROW_PATH : ROW_VERSION;
    if (prng_chance(prng, 300))
        out->size = 1 + (size_t)prng_below(prng, out->size);
    for (size_t i = 0; i < more; i++)
        out->data[out->size++] = (uint8_t)prng_below(prng, 3);
}

static void
random_key(struct history *h, struct row_key *out)
{
    static const enum row_table versioned[] = {ROW_VERSION, ROW_VERSION, ROW_VERSION,
                                               ROW_DEALING, ROW_BOXES,   ROW_NEED};
    struct prng *prng = &h->prng;
    uint8_t id[ID_BYTES];

    memset(id, (int)prng_below(prng, 2) * 255, sizeof(id));
    struct path path = random_path(prng);
    uint64_t kind = prng_below(prng, 20);
    if (h->strays && prng_chance(prng, 150))
        random_stray(prng, out);
    else if (kind < 6)
        row_key_path(path, out);
    else if (kind < 17)
        row_key_version(versioned[prng_below(prng, 6)], path, prng_skewed(prng, 1, 40), id, out);
    else if (kind < 18)
        row_key_index(path, out);
    else if (kind < 19)
        row_key_meta("node", out);
    else
        row_key_name(path, out);
}

static void
random_prefix(struct history *h, bool may_be_short, struct row_key *out)
{
    random_key(h, out);
    if (prng_chance(&h->prng, may_be_short ? 300 : 20))
        out->size = 1 + (size_t)prng_below(&h->prng, out->size);
    else if (out->size > 24 && out->data[0] != ROW_PATH)
        out->size -= prng_chance(&h->prng, 500) ? ID_BYTES : ID_BYTES + 8;
}

struct batch {
    struct store_change changes[6];
    struct row_key keys[6];
    uint8_t values[6][8];
    size_t count;
};

static void
random_change(struct history *h, struct batch *b, size_t i)
{
    static const char *const tables[] = {"", "db", "vp", "pvdb"};
    struct store_change *change = &b->changes[i];
    uint64_t kind = prng_below(&h->prng, 40);

    *change = (struct store_change){.kind = kind < 28   ? STORE_PUT
                                            : kind < 35 ? STORE_DELETE
                                            : kind < 37 ? STORE_DELETE_PREFIX
                                                        : STORE_DELETE_ONE};
    if (change->kind == STORE_PUT || change->kind == STORE_DELETE)
        random_key(h, &b->keys[i]);
    else
        random_prefix(h, false, &b->keys[i]);
    change->key = row_key_bytes(&b->keys[i]);
    prng_fill(&h->prng, b->values[i], sizeof(b->values[i]));
    if (change->kind == STORE_PUT)
        change->value = bytes_of(b->values[i], sizeof(b->values[i]));
    if (change->kind == STORE_DELETE_ONE)
        change->value = text(tables[prng_below(&h->prng, 4)]);
}

static void
compare_row(struct history *h, struct store_reader *wt, struct store_reader *mem)
{
    struct row_key key;
    struct arena arena;
    struct bytes found, expected;

    random_key(h, &key);
    arena_init(&arena, 1 << 20);
    enum vault_err err = h->wt->ops->get(wt, row_key_bytes(&key), &arena, &found);
    assert_int_equal(err, h->mem->ops->get(mem, row_key_bytes(&key), &arena, &expected));
    assert_true(bytes_equal(found, expected));
    arena_close(&arena);
}

/* What the store on disk may bring along, in the one in memory by a walk of its own. */
static void
compare_along(struct history *h, struct store_reader *wt, struct store_reader *mem)
{
    struct row_key key, prefix;
    struct store_row along, first = {0};
    struct arena arena;
    struct bytes found, expected;
    size_t count = 0;
    bool more;

    random_key(h, &key);
    prefix = key;
    prefix.data[0] = ROW_VERSION;
    if (prng_chance(&h->prng, 300))
        random_prefix(h, true, &prefix);
    arena_init(&arena, 1 << 20);
    enum vault_err err = h->wt->ops->get_along(wt, row_key_bytes(&key), row_key_bytes(&prefix),
                                               &arena, &found, &along);
    assert_int_equal(err, h->mem->ops->get(mem, row_key_bytes(&key), &arena, &expected));
    assert_true(bytes_equal(found, expected));
    if (err == OK)
        assert_int_equal(h->mem->ops->scan(mem, row_key_bytes(&prefix), (struct bytes){0}, 1, true,
                                           &arena, &first, &count, &more),
                         OK);
    assert_true(bytes_equal(along.key, first.key));
    assert_true(bytes_equal(along.value, first.value));
    arena_close(&arena);
}

static void
compare_walk(struct store *const stores[2], struct store_reader *const readers[2],
             struct bytes prefix, struct bytes after, size_t limit, bool with_values)
{
    struct store_row rows[2][KEYS_OF_WALK];
    struct arena arena;
    size_t count[2];
    bool more[2];

    arena_init(&arena, 1 << 20);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(stores[i]->ops->scan(readers[i], prefix, after, limit, with_values, &arena,
                                              rows[i], &count[i], &more[i]),
                         OK);
    assert_int_equal(count[0], count[1]);
    assert_int_equal(more[0], more[1]);
    for (size_t i = 0; i < count[0]; i++) {
        assert_true(bytes_equal(rows[0][i].key, rows[1][i].key));
        assert_true(bytes_equal(rows[0][i].value, rows[1][i].value));
    }
    arena_close(&arena);
}

static void
compare_some(struct history *h)
{
    struct store *const stores[2] = {h->wt, h->mem};
    struct store_reader *const readers[2] = {reader_of(h->wt), reader_of(h->mem)};
    struct row_key prefix, after;

    assert_int_equal(h->wt->ops->sequence(h->wt), h->mem->ops->sequence(h->mem));
    for (unsigned i = 0; i < READS_AFTER; i++) {
        compare_row(h, readers[0], readers[1]);
        compare_along(h, readers[0], readers[1]);
        random_prefix(h, true, &prefix);
        random_prefix(h, true, &after);
        if (prng_chance(&h->prng, 200))
            prefix.size = 0;
        if (prng_chance(&h->prng, 400))
            after.size = 0;
        compare_walk(stores, readers, row_key_bytes(&prefix), row_key_bytes(&after),
                     (size_t)prng_below(&h->prng, KEYS_OF_WALK), prng_chance(&h->prng, 500));
    }
    for (unsigned i = 0; i < 2; i++)
        stores[i]->ops->reader_free(readers[i]);
}

static void
open_again(struct history *h)
{
    struct store_wt_options options = wt_options(&h->dir);
    bool created;
    char why[256];

    if (h->wt != NULL)
        h->wt->ops->close(h->wt);
    /* What it was made with counts. */
    options.rows_apart = h->wt == NULL ? h->rows_apart : !h->rows_apart;
    assert_int_equal(store_wt_open(&options, &h->wt, &created, why, sizeof(why)), OK);
    assert_int_equal(((struct store_wt *)h->wt)->layout.beside, !h->rows_apart);
}

static void
run_history(uint64_t seed, bool rows_apart, bool strays)
{
    struct history h = {.rows_apart = rows_apart, .strays = strays};
    struct batch batch;

    prng_init(&h.prng, seed);
    temp_dir_make(&h.dir);
    assert_int_equal(store_mem_new(&h.mem), OK);
    open_again(&h);
    for (unsigned i = 0; i < BATCHES; i++) {
        batch.count = (size_t)prng_between(&h.prng, 1, 6);
        for (size_t k = 0; k < batch.count; k++)
            random_change(&h, &batch, k);
        assert_int_equal(h.mem->ops->commit(h.mem, batch.changes, batch.count), OK);
        assert_int_equal(h.wt->ops->commit(h.wt, batch.changes, batch.count), OK);
        if (prng_chance(&h.prng, 8))
            open_again(&h);
        compare_some(&h);
    }
    assert_int_equal(((struct store_wt *)h.wt)->layout.strays, strays && !rows_apart);
    h.wt->ops->close(h.wt);
    h.mem->ops->close(h.mem);
    temp_dir_remove(&h.dir);
}

static void
test_history_beside(void **state)
{
    (void)state;
    run_history(1, false, false);
    run_history(2, false, false);
}

static void
test_history_with_strays(void **state)
{
    (void)state;
    run_history(3, false, true);
    run_history(4, false, true);
}

static void
test_history_apart(void **state)
{
    (void)state;
    run_history(5, true, false);
    run_history(6, true, true);
}

/* ---- places ---- */

static const struct path path_a = {{(const uint8_t *)"t", 1}, {(const uint8_t *)"a", 1}};
static const struct path path_b = {{(const uint8_t *)"t", 1}, {(const uint8_t *)"b", 1}};
static const uint8_t id[ID_BYTES] = {7};

static void
expect_place(struct store_wt_layout *layout, struct bytes key, uint8_t letter)
{
    struct store_wt_rows rows = {.layout = layout};
    struct store_wt_rows back = {.layout = layout};

    struct bytes place = store_wt_rows_place(&rows, key);
    assert_int_equal(place.size, key.size);
    assert_int_equal(place.data[0], letter);
    assert_memory_equal(place.data + 1, key.data + 1, key.size - 1);
    assert_true(bytes_equal(store_wt_rows_place(&back, place), key)); /* no two keys share one */
}

static void
test_places(void **state)
{
    static const uint8_t long_name[NAME_BYTES_MAX];
    struct store_wt_layout beside = {.beside = true}, apart = {0};
    struct row_key key;
    (void)state;

    row_key_path(path_a, &key);
    expect_place(&beside, row_key_bytes(&key), 'p');
    key.data[key.size++] = 1;
    expect_place(&beside, row_key_bytes(&key), 'v');
    row_key_version(ROW_VERSION, path_a, 3, id, &key);
    expect_place(&beside, row_key_bytes(&key), 'p');
    expect_place(&apart, row_key_bytes(&key), 'v');
    row_key_version(ROW_DEALING, path_a, 3, id, &key);
    expect_place(&beside, row_key_bytes(&key), 'd');
    row_key_versions(ROW_VERSION, path_a, &key);
    expect_place(&beside, row_key_bytes(&key), 'v');
    row_key_table(ROW_VERSION, &key);
    expect_place(&beside, row_key_bytes(&key), 'v');
    struct path long_path = {.tenant = text("t"), .name = bytes_of(long_name, sizeof(long_name))};
    row_key_path(long_path, &key);
    expect_place(&beside, row_key_bytes(&key), 'p');
    row_key_version(ROW_VERSION, long_path, 3, id, &key);
    expect_place(&beside, row_key_bytes(&key), 'p');
    expect_place(&beside, text("p\x03"), 'p');
    expect_place(&beside, text("v\x03tttx"), 'v');
}

/* ---- the row of the mark ---- */

static void
test_mark_tells_the_layout(void **state)
{
    struct store_wt_layout layout = {.beside = true}, found = {0};
    struct store_mark mark = {.sequence = 9, .mac = {1, 2}}, got;
    uint8_t value[STORE_WT_MARK_BYTES_MAX];
    (void)state;

    struct bytes row = store_wt_mark_encode(&layout, &mark, value);
    assert_int_equal(row.size, STORE_MARK_BYTES + 1);
    assert_int_equal(store_wt_mark_decode(row, &found, &got), OK);
    assert_true(found.beside);
    assert_int_equal(got.sequence, 9);
    /* An older program finds damage. */
    assert_int_equal(store_mark_decode(row, &got), ERR_CORRUPT);
    value[STORE_MARK_BYTES]++; /* a layout of a newer one */
    assert_int_equal(store_wt_mark_decode(row, &found, &got), ERR_CORRUPT);
    layout.beside = false;
    row = store_wt_mark_encode(&layout, &mark, value);
    assert_int_equal(store_mark_decode(row, &got), OK);
    assert_int_equal(store_wt_mark_decode(row, &found, &got), OK);
    assert_false(found.beside);
    row.size--;
    assert_int_equal(store_wt_mark_decode(row, &found, &got), ERR_CORRUPT);
}

static void
test_layout_of_a_newer_program_is_refused(void **state)
{
    struct temp_dir dir;
    bool created;
    uint8_t value[STORE_WT_MARK_BYTES_MAX];
    struct store *store = NULL;
    char why[256];
    (void)state;

    temp_dir_make(&dir);
    store = wt_open(&dir, &created);
    struct store_wt *s = (struct store_wt *)store;
    struct bytes row = store_wt_mark_encode(&s->layout, &s->mark, value);
    value[row.size - 1]++;
    WT_ITEM key = {.data = "\0seq", .size = 4};
    WT_ITEM item = {.data = row.data, .size = row.size};
    s->rows.cursor->set_key(s->rows.cursor, &key);
    s->rows.cursor->set_value(s->rows.cursor, &item);
    assert_int_equal(s->rows.cursor->insert(s->rows.cursor), 0);
    store->ops->close(store);
    struct store_wt_options options = wt_options(&dir);
    assert_int_equal(store_wt_open(&options, &store, &created, why, sizeof(why)), ERR_CORRUPT);
    temp_dir_remove(&dir);
}

/* ---- how far a walk goes ---- */

/* Keys of places in memory, in order, and a cursor of the engine's form over them. */
struct fake_cursor {
    WT_CURSOR cursor;
    struct row_key *keys;
    size_t count, at;
    struct bytes wanted;
    unsigned steps, searches;
};

static int
fake_next(WT_CURSOR *cursor)
{
    struct fake_cursor *f = (struct fake_cursor *)cursor;

    f->steps++;
    return ++f->at < f->count ? 0 : WT_NOTFOUND;
}

static int
fake_get_key(WT_CURSOR *cursor, ...)
{
    struct fake_cursor *f = (struct fake_cursor *)cursor;
    va_list arguments;

    va_start(arguments, cursor);
    *va_arg(arguments, WT_ITEM *) =
        (WT_ITEM){.data = f->keys[f->at].data, .size = f->keys[f->at].size};
    va_end(arguments);
    return 0;
}

static void
fake_set_key(WT_CURSOR *cursor, ...)
{
    struct fake_cursor *f = (struct fake_cursor *)cursor;
    va_list arguments;

    va_start(arguments, cursor);
    const WT_ITEM *item = va_arg(arguments, WT_ITEM *);
    f->wanted = bytes_of(item->data, item->size);
    va_end(arguments);
}

/* The row before, where there is none of that key: what the engine may do, too. */
static int
fake_search_near(WT_CURSOR *cursor, int *order)
{
    struct fake_cursor *f = (struct fake_cursor *)cursor;

    f->searches++;
    f->at = 0;
    if (f->count == 0)
        return WT_NOTFOUND;
    while (f->at + 1 < f->count &&
           bytes_compare(row_key_bytes(&f->keys[f->at + 1]), f->wanted) <= 0)
        f->at++;
    *order = bytes_compare(row_key_bytes(&f->keys[f->at]), f->wanted);
    return 0;
}

/* Paths with so many versions each, as they lie beside each other. */
static void
fake_make(struct fake_cursor *f, unsigned paths, unsigned versions)
{
    *f = (struct fake_cursor){.cursor = {.next = fake_next,
                                         .get_key = fake_get_key,
                                         .set_key = fake_set_key,
                                         .search_near = fake_search_near}};
    f->keys = calloc((size_t)paths * (versions + 1), sizeof(*f->keys));
    assert_non_null(f->keys);
    for (unsigned i = 0; i < paths; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%03u", i);
        struct path path = {.tenant = text("t"), .name = text(name)};
        row_key_path(path, &f->keys[f->count++]);
        for (unsigned v = versions; v > 0; v--) {
            row_key_version(ROW_VERSION, path, v, id, &f->keys[f->count]);
            f->keys[f->count++].data[0] = ROW_PATH;
        }
    }
}

/* Rows of that table, all of them walked through; *moves: of the cursor. */
static unsigned
walk_fake(struct fake_cursor *f, enum row_table table, unsigned *moves)
{
    struct store_wt_layout layout = {.beside = true};
    struct store_wt_rows rows = {.cursor = &f->cursor, .layout = &layout};
    uint8_t letter = (uint8_t)table;
    unsigned count = 0;

    f->steps = f->searches = 0;
    for (int ret = store_wt_rows_seek(&rows, bytes_of(&letter, 1), false); ret == 0;
         ret = store_wt_rows_next(&rows)) {
        struct bytes key;
        assert_int_equal(store_wt_rows_key(&rows, &key), 0);
        assert_int_equal(key.data[0], table);
        count++;
    }
    *moves = f->steps + f->searches;
    return count;
}

/* Long histories are passed over in one go, short ones row by row. */
static void
test_walk_through_paths_leaves_versions_out(void **state)
{
    struct fake_cursor f;
    unsigned moves;
    (void)state;

    fake_make(&f, 100, 64);
    assert_int_equal(walk_fake(&f, ROW_PATH, &moves), 100);
    assert_in_range(moves, 100, 700);
    assert_int_equal(walk_fake(&f, ROW_VERSION, &moves), 6400);
    assert_in_range(moves, 6400, 6510);
    free(f.keys);
    fake_make(&f, 100, 1);
    assert_int_equal(walk_fake(&f, ROW_PATH, &moves), 100);
    assert_int_equal(f.searches, 1);
    assert_int_equal(walk_fake(&f, ROW_VERSION, &moves), 100);
    free(f.keys);
}

/* A walk through one table does not look for what lies behind it. */
static void
test_walk_ends_with_its_table(void **state)
{
    struct fake_cursor f;
    unsigned moves;
    (void)state;

    fake_make(&f, 3, 2);
    assert_int_equal(walk_fake(&f, ROW_EXPIRY, &moves), 0);
    free(f.keys);
}

/* ---- prefixes ---- */

static void
test_prefix_of_versions_leaves_the_path(void **state)
{
    struct temp_dir dir;
    struct row_key path_key, key, other;
    bool created;
    (void)state;

    temp_dir_make(&dir);
    struct store *store = wt_open(&dir, &created);
    row_key_path(path_a, &path_key);
    row_key_version(ROW_VERSION, path_a, 1, id, &key);
    row_key_version(ROW_VERSION, path_b, 1, id, &other);
    const struct store_change puts[] = {
        {STORE_PUT, row_key_bytes(&path_key), text("path")},
        {STORE_PUT, row_key_bytes(&key), text("a")},
        {STORE_PUT, row_key_bytes(&other), text("b")},
    };
    assert_int_equal(store->ops->commit(store, puts, 3), OK);
    row_key_versions(ROW_VERSION, path_a, &key);
    commit_one(store, (struct store_change){STORE_DELETE_PREFIX, row_key_bytes(&key), {0}});
    struct store_reader *reader = reader_of(store);
    struct store_row rows[4];
    struct arena arena;
    size_t count;
    bool more;
    arena_init(&arena, 4096);
    assert_int_equal(store->ops->scan(reader, (struct bytes){0}, (struct bytes){0}, 4, false,
                                      &arena, rows, &count, &more),
                     OK);
    assert_int_equal(count, 2);
    assert_true(bytes_equal(rows[0].key, row_key_bytes(&path_key)));
    assert_true(bytes_equal(rows[1].key, row_key_bytes(&other)));
    store->ops->reader_free(reader);
    arena_close(&arena);
    store->ops->close(store);
    temp_dir_remove(&dir);
}

/* Not the row behind it, where the key is that of no whole path. */
static void
test_along_of_half_a_path(void **state)
{
    struct temp_dir dir;
    struct row_key path_key, key;
    struct store_row along;
    struct arena arena;
    struct bytes found;
    bool created;
    (void)state;

    temp_dir_make(&dir);
    struct store *store = wt_open(&dir, &created);
    row_key_path(path_a, &path_key);
    row_key_version(ROW_VERSION, path_a, 1, id, &key);
    const struct store_change puts[] = {
        {STORE_PUT, text("p\x01t"), text("half")},
        {STORE_PUT, row_key_bytes(&path_key), text("path")},
        {STORE_PUT, row_key_bytes(&key), text("a")},
    };
    assert_int_equal(store->ops->commit(store, puts, 3), OK);
    struct store_reader *reader = reader_of(store);
    arena_init(&arena, 4096);
    assert_int_equal(
        store->ops->get_along(reader, text("p\x01t"), text("v\x01t"), &arena, &found, &along), OK);
    assert_true(bytes_equal(found, text("half")));
    assert_true(bytes_equal(along.key, row_key_bytes(&key)));
    store->ops->reader_free(reader);
    arena_close(&arena);
    store->ops->close(store);
    temp_dir_remove(&dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_mark_tells_the_layout),
        cmocka_unit_test(test_walk_through_paths_leaves_versions_out),
        cmocka_unit_test(test_walk_ends_with_its_table),
        cmocka_unit_test(test_prefix_of_versions_leaves_the_path),
        cmocka_unit_test(test_along_of_half_a_path),
        cmocka_unit_test(test_history_beside),
        cmocka_unit_test(test_history_with_strays),
        cmocka_unit_test(test_history_apart),
        cmocka_unit_test(test_layout_of_a_newer_program_is_refused),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
