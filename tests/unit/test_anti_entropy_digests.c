/*
 * The digests of what a node holds: kept step by step they are those that a rebuild finds, they do
 * not depend on order, and they show where two nodes are unlike and nowhere else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "actors/anti_entropy_digests.h"
#include "proto_fixture.h"

enum { SELF = 0, PEER = 1, PATHS = 400 };

struct bench {
    struct cluster cluster;
    struct membership membership;
    struct digest_index digests;
};

static void
bench_init(struct bench *b, unsigned nodes, unsigned replicas)
{
    *b = (struct bench){0};
    b->cluster.node_count = nodes;
    for (unsigned i = 0; i < nodes; i++) /* the placement is by names */
        snprintf(b->cluster.nodes[i].name, sizeof(b->cluster.nodes[i].name), "n%u", i + 1);
    b->cluster.share_count = replicas;
    b->cluster.threshold = replicas / 2 + 1;
    membership_init(&b->membership, &b->cluster, SELF);
    assert_int_equal(digests_init(&b->digests, &b->membership, 1), OK);
}

static void
bench_close(struct bench *b)
{
    digests_close(&b->digests);
}

static bool
nothing_known(const void *context, struct path path, struct head_state *out)
{
    (void)context;
    (void)path;
    (void)out;
    return false;
}

static const struct digest_lookup on_disk_alone = {NULL, nothing_known};

static struct path
path_named(char *memory, unsigned i)
{
    snprintf(memory, 32, "path/%u", i);
    return (struct path){bytes_of_text("acme"), bytes_of_text(memory)};
}

static struct head_state
state_of(enum accepted_state state, unsigned salt)
{
    struct head_state head = {.state = state};
    if (state != STATE_ABSENT)
        record_id(bytes_of(&salt, sizeof(salt)), head.head_id);
    return head;
}

static void
whole_from_the_start(struct bench *b)
{
    digests_page_asked(&b->digests);
    assert_true(digests_page(&b->digests, &on_disk_alone, NULL, 0, false));
    assert_true(b->digests.whole);
}

static void
assert_same(const struct bench *a, const struct bench *b)
{
    assert_int_equal(a->digests.paths, b->digests.paths);
    for (unsigned i = 1; i < a->cluster.node_count; i++)
        assert_memory_equal(a->digests.peers[i], b->digests.peers[i], sizeof(struct peer_digests));
}

/* ---- a model of a disk of path rows, in the order of their keys ---- */

struct model {
    struct head_state heads[PATHS]; /* ABSENT: no row */
    unsigned salts[PATHS];
    unsigned order[PATHS]; /* paths by key */
};

static int
by_key(const void *a, const void *b)
{
    char x[32], y[32];
    struct row_key kx, ky;
    row_key_path(path_named(x, *(const unsigned *)a), &kx);
    row_key_path(path_named(y, *(const unsigned *)b), &ky);
    return bytes_compare(row_key_bytes(&kx), row_key_bytes(&ky));
}

static void
model_init(struct model *m)
{
    *m = (struct model){0};
    for (unsigned i = 0; i < PATHS; i++)
        m->order[i] = i;
    qsort(m->order, PATHS, sizeof(m->order[0]), by_key);
}

struct page {
    struct row_key keys[DIGEST_PAGE_ROWS];
    struct buf values[DIGEST_PAGE_ROWS];
    struct loaded_row rows[DIGEST_PAGE_ROWS];
    size_t count;
    bool more;
};

static void
page_read(const struct model *m, struct bytes after, size_t limit, struct page *page)
{
    memset(page, 0, sizeof(*page));
    for (unsigned i = 0; i < PATHS; i++) {
        unsigned p = m->order[i];
        char name[32];
        struct row_key key;
        row_key_path(path_named(name, p), &key);
        if (m->heads[p].state == STATE_ABSENT || bytes_compare(row_key_bytes(&key), after) <= 0)
            continue;
        page->more = page->count == limit;
        if (page->more)
            return;
        struct path_row row = {.ballot = {.time = 9, .incarnation = 1},
                               .state = m->heads[p].state,
                               .head = bytes_of(&m->salts[p], sizeof(m->salts[p]))};
        page->keys[page->count] = key;
        assert_int_equal(path_row_encode(&row, &page->values[page->count]), OK);
        page->rows[page->count] =
            (struct loaded_row){.key = row_key_bytes(&page->keys[page->count]),
                                .value = buf_bytes(&page->values[page->count]),
                                .found = true};
        page->count++;
    }
}

static void
page_close(struct page *page)
{
    for (size_t i = 0; i < page->count; i++)
        buf_close(&page->values[i]);
}

/* Some path becomes something else, told to all of `benches`. */
static void
change_one(struct model *m, struct dice *dice, struct bench **benches, size_t count)
{
    unsigned p = (unsigned)dice_between(dice, 0, PATHS - 1);
    char name[32];
    struct head_state before = m->heads[p];
    m->salts[p] = (unsigned)dice_between(dice, 0, 1000000);
    m->heads[p] = state_of(dice_coin(dice) ? STATE_CHOSEN : STATE_ACCEPTED, m->salts[p]);
    for (size_t i = 0; i < count; i++)
        digests_change(&benches[i]->digests, path_named(name, p), &before, &m->heads[p]);
}

/*
 * A random history; one node lives through all of it, another starts in the middle and reads its
 * rows page by page while the history goes on: pages are out of date when they come, some are
 * lost. In the end both have the same.
 */
static void
history(uint64_t seed, bool few_notes)
{
    struct dice dice;
    struct model *m = malloc(sizeof(*m));
    struct page *page = malloc(sizeof(*page));
    struct bench always, restarted;
    struct bench *both[] = {&always, &restarted};
    assert_non_null(m);
    assert_non_null(page);
    dice_init(&dice, seed);
    model_init(m);
    bench_init(&always, 5, 3);
    bench_init(&restarted, 5, 3);
    whole_from_the_start(&always);
    unsigned rows = (unsigned)dice_between(&dice, 0, 600);
    for (unsigned i = 0; i < rows; i++)
        change_one(m, &dice, both, 1);
    for (unsigned pages = 0; !restarted.digests.whole; pages++) {
        assert_true(pages < 1000);
        digests_page_asked(&restarted.digests);
        unsigned before = (unsigned)dice_between(&dice, 0, 9);
        unsigned after = (unsigned)dice_between(&dice, 0, few_notes && pages % 2 ? 600 : 9);
        while (before-- > 0)
            change_one(m, &dice, both, 2);
        page_read(m, row_key_bytes(&restarted.digests.cursor),
                  (size_t)dice_between(&dice, 1, DIGEST_PAGE_ROWS), page);
        while (after-- > 0)
            change_one(m, &dice, both, 2);
        if (dice_between(&dice, 0, 9) == 0)
            digests_page_failed(&restarted.digests);
        else
            (void)digests_page(&restarted.digests, &on_disk_alone, page->rows, page->count,
                               page->more);
        page_close(page);
    }
    for (unsigned i = 0; i < 50; i++)
        change_one(m, &dice, both, 2);
    assert_same(&always, &restarted);
    bench_close(&always);
    bench_close(&restarted);
    dice_close(&dice);
    free(page);
    free(m);
}

static void
test_incremental_is_rebuilt(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        history(seed, seed % 3 == 0);
}

/* What the shard store has in memory goes before the row in a page. */
static bool
one_is_known(const void *context, struct path path, struct head_state *out)
{
    char name[32];
    *out = *(const struct head_state *)context;
    return path_equal(path, path_named(name, 3));
}

static void
test_memory_goes_before_the_page(void **state)
{
    (void)state;
    struct bench a, b;
    struct model *m = malloc(sizeof(*m));
    struct page *page = malloc(sizeof(*page));
    struct head_state none = {0}, old = state_of(STATE_CHOSEN, 1), new = state_of(STATE_CHOSEN, 2);
    struct digest_lookup lookup = {&old, one_is_known};
    char name[32];
    assert_non_null(m);
    assert_non_null(page);
    bench_init(&a, 3, 3);
    bench_init(&b, 3, 3);
    model_init(m);
    m->salts[3] = 2; /* visible on the disk, and not known durable yet */
    m->heads[3] = new;
    page_read(m, (struct bytes){0}, 10, page);
    digests_page_asked(&a.digests);
    assert_true(digests_page(&a.digests, &lookup, page->rows, page->count, page->more));
    digests_change(&a.digests, path_named(name, 3), &old, &new); /* now it is */
    whole_from_the_start(&b);
    digests_change(&b.digests, path_named(name, 3), &none, &new);
    assert_same(&a, &b);
    page_close(page);
    bench_close(&a);
    bench_close(&b);
    free(page);
    free(m);
}

/* Two that have all there is in their stores, which is nothing. */
static void
two_whole(struct bench *a, struct bench *b)
{
    bench_init(a, 3, 3);
    bench_init(b, 3, 3);
    whole_from_the_start(a);
    whole_from_the_start(b);
}

static void
test_order_does_not_count(void **state)
{
    (void)state;
    struct bench a, b;
    struct head_state none = {0};
    char name[32];
    two_whole(&a, &b);
    for (unsigned i = 0; i < PATHS; i++) {
        struct head_state head = state_of(STATE_CHOSEN, i);
        digests_change(&a.digests, path_named(name, i), &none, &head);
        head = state_of(STATE_CHOSEN, PATHS - 1 - i);
        digests_change(&b.digests, path_named(name, PATHS - 1 - i), &none, &head);
    }
    assert_same(&a, &b);
    for (unsigned i = 0; i < PATHS; i++) {
        struct head_state head = state_of(STATE_CHOSEN, i);
        digests_change(&a.digests, path_named(name, i), &head, &none);
    }
    bench_close(&b);
    bench_init(&b, 3, 3);
    whole_from_the_start(&b);
    assert_same(&a, &b); /* nothing is left of what went */
    bench_close(&a);
    bench_close(&b);
}

/* ---- comparing ---- */

static unsigned
bits_set(const uint8_t bits[static DIFFERING_BYTES])
{
    unsigned count = 0;
    for (unsigned i = 0; i < 8 * DIFFERING_BYTES; i++)
        count += bits[i / 8] >> i % 8 & 1;
    return count;
}

static unsigned
differing(const struct bench *a, const struct bench *b, enum compare_level level, unsigned range,
          uint8_t out[static DIFFERING_BYTES])
{
    uint8_t digests[RANGES * DIGEST_BYTES];
    size_t size = digests_write(&a->digests, PEER, level, range, digests);
    assert_true(digests_differing(&b->digests, PEER, level, range, bytes_of(digests, size), out));
    return bits_set(out);
}

/* `change` at one of two nodes that are alike shows in one range and one leaf of it. */
static void
shows(const struct head_state *before, const struct head_state *after)
{
    struct bench a, b;
    struct head_state none = {0};
    uint8_t bits[DIFFERING_BYTES];
    char name[32];
    two_whole(&a, &b);
    for (unsigned i = 0; i < PATHS; i++) {
        struct head_state head = state_of(STATE_CHOSEN, i);
        digests_change(&a.digests, path_named(name, i), &none, &head);
        digests_change(&b.digests, path_named(name, i), &none, &head);
    }
    digests_change(&a.digests, path_named(name, PATHS), &none, before);
    digests_change(&b.digests, path_named(name, PATHS), &none, before);
    assert_int_equal(differing(&a, &b, COMPARE_ALL, 0, bits), 0);
    digests_change(&b.digests, path_named(name, PATHS), before, after);
    uint16_t leaf = path_leaf(path_named(name, PATHS));
    assert_int_equal(differing(&a, &b, COMPARE_ALL, 0, bits), 1);
    assert_int_equal(differing(&a, &b, COMPARE_RANGES, 0, bits), 1);
    assert_true(bits[leaf / 256 / 8] >> leaf / 256 % 8 & 1);
    for (unsigned r = 0; r < RANGES; r++)
        assert_int_equal(differing(&a, &b, COMPARE_LEAVES, r, bits), r == leaf / 256u);
    (void)differing(&a, &b, COMPARE_LEAVES, leaf / 256, bits);
    assert_true(bits[leaf % 256 / 8] >> leaf % 256 % 8 & 1);
    bench_close(&a);
    bench_close(&b);
}

static void
test_shows_what_differs(void **state)
{
    (void)state;
    struct head_state none = {0}, accepted = state_of(STATE_ACCEPTED, 7),
                      chosen = state_of(STATE_CHOSEN, 7), other = state_of(STATE_CHOSEN, 8);
    shows(&none, &chosen);
    shows(&accepted, &chosen);
    shows(&chosen, &other);
    shows(&chosen, &none);
}

static void
test_wrong_number_of_digests(void **state)
{
    (void)state;
    struct bench a;
    uint8_t digests[RANGES * DIGEST_BYTES] = {0}, bits[DIFFERING_BYTES];
    bench_init(&a, 3, 3);
    assert_true(digests_differing(&a.digests, PEER, COMPARE_ALL, 0, bytes_of(digests, 16), bits));
    assert_int_equal(bits_set(bits), 0);
    assert_false(digests_differing(&a.digests, PEER, COMPARE_ALL, 0, bytes_of(digests, 32), bits));
    assert_false(
        digests_differing(&a.digests, PEER, COMPARE_RANGES, 0, bytes_of(digests, 16), bits));
    assert_false(digests_differing(&a.digests, PEER, COMPARE_LEAVES, 255,
                                   bytes_of(digests, sizeof(digests) - 1), bits));
    bench_close(&a);
}

/* ---- figures ---- */

static double
seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * What many paths cost; OSTRAKA_PATHS=1000000 gives the figures of docs/protocol.md. Prints: CPU
 * for a change and for a whole rebuild, memory, and what a round sends for so many differences.
 */
static void
test_figures(void **state)
{
    (void)state;
    const char *wanted = getenv("OSTRAKA_PATHS");
    unsigned paths = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 20000;
    struct bench a, b;
    struct head_state none = {0};
    uint8_t bits[DIFFERING_BYTES];
    char name[32];
    bench_init(&a, 9, 7);
    bench_init(&b, 9, 7);
    whole_from_the_start(&a);
    whole_from_the_start(&b);
    double begun = seconds();
    for (unsigned i = 0; i < paths; i++) {
        struct head_state head = state_of(STATE_CHOSEN, i);
        digests_change(&a.digests, path_named(name, i), &none, &head);
    }
    double each = (seconds() - begun) / paths;
    static const unsigned missing[] = {0, 1, 100, 10000};
    printf("%u paths, N = 9, n = 7: %.2f us for each change, %zu bytes of digests\n", paths,
           each * 1e6, 8 * sizeof(struct peer_digests));
    for (unsigned i = 0; i < paths; i++) {
        struct head_state head = state_of(STATE_CHOSEN, i);
        digests_change(&b.digests, path_named(name, i), &none, &head);
    }
    for (unsigned k = 0; k < sizeof(missing) / sizeof(missing[0]) && missing[k] < paths; k++) {
        for (unsigned i = k > 0 ? missing[k - 1] : 0; i < missing[k]; i++) {
            struct head_state old = state_of(STATE_CHOSEN, i), head = state_of(STATE_CHOSEN, ~i);
            digests_change(&b.digests, path_named(name, i), &old, &head);
        }
        unsigned leaves = 0;
        unsigned ranges = differing(&a, &b, COMPARE_RANGES, 0, bits);
        begun = seconds();
        for (unsigned r = 0; r < RANGES; r++)
            leaves += differing(&a, &b, COMPARE_LEAVES, r, bits);
        printf("%u unlike: %u of %u ranges, %u of %u leaves, %.0f entries to list; %.1f ms to "
               "compare all leaves\n",
               missing[k], ranges, (unsigned)RANGES, leaves, (unsigned)LEAVES,
               (double)leaves * paths / LEAVES, (seconds() - begun) * 1e3);
        assert_true(leaves <= missing[k]);
        assert_true(missing[k] == 0 || leaves > 0);
    }
    bench_close(&a);
    bench_close(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_incremental_is_rebuilt),
        cmocka_unit_test(test_memory_goes_before_the_page),
        cmocka_unit_test(test_order_does_not_count),
        cmocka_unit_test(test_shows_what_differs),
        cmocka_unit_test(test_wrong_number_of_digests),
        cmocka_unit_test(test_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
