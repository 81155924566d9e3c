/* What is kept for paths: found by name, in order of use, however many there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/path_map.h"

struct entry {
    struct path_link link;
    char name[16];
};

static struct path
path_of(const char *tenant, const char *name)
{
    return (struct path){bytes_of_text(tenant), bytes_of_text(name)};
}

static void
insert(struct path_map *map, struct entry *entry, const char *name)
{
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    assert_int_equal(path_map_insert(map, path_of("t", entry->name), &entry->link), OK);
}

static void
test_finds_what_was_inserted(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    struct entry *entries = calloc(MANY, sizeof(*entries));
    struct path_map map;
    char name[16];
    assert_non_null(entries);
    assert_int_equal(path_map_init(&map, 16, 7), OK);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        assert_null(path_map_find(&map, path_of("t", name)));
        insert(&map, &entries[i], name);
    }
    memset(name, 'x', sizeof(name)); /* the map has copies */
    assert_int_equal(map.count, MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(path_map_find(&map, path_of("t", entries[i].name)), &entries[i].link);
    assert_null(path_map_find(&map, path_of("u", "n1")));
    assert_null(path_map_find(&map, path_of("tn", "1"))); /* tenant and name do not run together */
    for (unsigned i = 0; i < MANY; i += 2)
        path_map_remove(&map, &entries[i].link);
    for (unsigned i = 0; i < MANY; i++) {
        struct path_link *found = path_map_find(&map, path_of("t", entries[i].name));
        assert_ptr_equal(found, i % 2 ? &entries[i].link : NULL);
    }
    for (unsigned i = 1; i < MANY; i += 2)
        path_map_remove(&map, &entries[i].link);
    assert_null(map.oldest);
    assert_null(map.newest);
    path_map_close(&map);
    free(entries);
}

/* Entries that a search for the one that is found last in its bucket passes over. */
static size_t
longest_chain(const struct path_map *map)
{
    size_t longest = 0;

    for (size_t i = 0; i < map->bucket_count; i++) {
        size_t length = 0;
        for (const struct path_link *link = map->buckets[i]; link; link = link->bucket_next)
            length++;
        longest = length > longest ? length : longest;
    }
    return longest;
}

static void
test_similar_names_share_no_bucket(void **state)
{
    /* As programs name things: they differ in digits alone, at whatever place of a word. */
    const struct {
        const char *before, *after;
    } shapes[] = {{"bench/name-", ""}, {"", ""}, {"app/", "/password"}, {"service-", ""}};
    enum { MANY = 1 << 14, LONGEST = 12 }; /* of as many buckets; by chance it is 7 */

    (void)state;
    for (size_t shape = 0; shape < sizeof(shapes) / sizeof(shapes[0]); shape++) {
        struct path_link *links = calloc(MANY, sizeof(*links));
        struct path_map map;
        char name[32];

        assert_non_null(links);
        assert_int_equal(path_map_init(&map, MANY, 7), OK);
        for (unsigned i = 0; i < MANY; i++) {
            snprintf(name, sizeof(name), "%s%u%s", shapes[shape].before, i, shapes[shape].after);
            assert_int_equal(path_map_insert(&map, path_of("t", name), &links[i]), OK);
        }
        assert_in_range(longest_chain(&map), 1, LONGEST);
        for (unsigned i = 0; i < MANY; i++)
            path_map_remove(&map, &links[i]);
        path_map_close(&map);
        free(links);
    }
}

/* A table that was made for few: of the identity records there may be 100,000. */
static void
test_more_than_expected(void **state)
{
    enum { MANY = 100000, LONGEST = 12 };
    struct path_link *links = calloc(MANY, sizeof(*links));
    struct path_map map;
    char name[16];

    (void)state;
    assert_non_null(links);
    assert_int_equal(path_map_init(&map, 1024, 7), OK);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(path_map_insert(&map, path_of("t", name), &links[i]), OK);
    }
    assert_in_range(longest_chain(&map), 1, LONGEST);
    assert_ptr_equal(map.oldest, &links[0]);
    assert_ptr_equal(map.newest, &links[MANY - 1]);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        assert_ptr_equal(path_map_find(&map, path_of("t", name)), &links[i]);
        path_map_remove(&map, &links[i]);
    }
    path_map_close(&map);
    free(links);
}

/*
 * Two words that differ in their highest bit, and two more that differ where a product by an odd
 * number that is folded in halves then differs: such a hash takes them for the same, whatever its
 * seed.
 */
static void
test_collisions_cannot_be_chosen(void **state)
{
    uint8_t one[16] = {0}, other[16] = {[7] = 0x80, [15] = 0x80, [11] = 0x80};
    struct path a = {bytes_of_text("t"), bytes_of(one, sizeof(one))};
    struct path b = {bytes_of_text("t"), bytes_of(other, sizeof(other))};
    struct path_map map;

    (void)state;
    for (uint64_t seed = 1; seed < 100; seed++) {
        assert_int_equal(path_map_init(&map, 16, seed), OK);
        assert_true(path_map_hash(&map, a) != path_map_hash(&map, b));
        path_map_close(&map);
    }
}

static void
assert_order(const struct path_map *map, const char *names)
{
    const struct path_link *link = map->oldest, *before = NULL;
    for (; *names; names++, before = link, link = link->newer) {
        assert_non_null(link);
        assert_int_equal(link->path.name.data[0], *names);
        assert_ptr_equal(link->older, before);
    }
    assert_null(link);
    assert_ptr_equal(map->newest, before);
}

static void
test_order_of_use(void **state)
{
    (void)state;
    struct entry a, b, c;
    struct path_map map;
    assert_int_equal(path_map_init(&map, 1, 0), OK);
    insert(&map, &a, "a");
    insert(&map, &b, "b");
    insert(&map, &c, "c");
    assert_order(&map, "abc");
    path_map_touch(&map, &a.link);
    assert_order(&map, "bca");
    path_map_touch(&map, &a.link);
    assert_order(&map, "bca");
    path_map_touch(&map, &c.link);
    assert_order(&map, "bac");
    path_map_remove(&map, &a.link);
    assert_order(&map, "bc");
    path_map_remove(&map, &b.link);
    assert_order(&map, "c");
    path_map_touch(&map, &c.link);
    path_map_remove(&map, &c.link);
    assert_order(&map, "");
    path_map_close(&map);
}

static void
put_into_one_bucket(struct path_map *map)
{
    memset(map->buckets, 0, map->bucket_count * sizeof(*map->buckets));
    map->bucket_count = 1;
    for (struct path_link *link = map->oldest; link; link = link->newer) {
        link->bucket_next = map->buckets[0];
        map->buckets[0] = link;
    }
}

/* All in one bucket, as if somebody had guessed the seed. */
static void
test_collisions(void **state)
{
    (void)state;
    struct entry entries[40];
    struct path_map map;
    char name[16];
    assert_int_equal(path_map_init(&map, 1, 3), OK);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        insert(&map, &entries[i], name);
    }
    put_into_one_bucket(&map);
    for (unsigned i = 40; i-- > 0;) {
        assert_ptr_equal(path_map_find(&map, path_of("t", entries[i].name)), &entries[i].link);
        if (i % 3 == 0)
            path_map_remove(&map, &entries[i].link);
    }
    for (unsigned i = 0; i < 40; i++) {
        struct path_link *found = path_map_find(&map, path_of("t", entries[i].name));
        assert_ptr_equal(found, i % 3 ? &entries[i].link : NULL);
        if (found)
            path_map_remove(&map, found);
    }
    path_map_close(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_was_inserted),
        cmocka_unit_test(test_similar_names_share_no_bucket),
        cmocka_unit_test(test_more_than_expected),
        cmocka_unit_test(test_collisions_cannot_be_chosen),
        cmocka_unit_test(test_order_of_use),
        cmocka_unit_test(test_collisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
