/* The MAC over a store's batches, and the file beside the store that remembers the last one. */
#include "store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "store/sequence_file.h"
#include "store/store_chain.h"

static const uint8_t KEY[KEY_BYTES] = {1, 2, 3};
static const uint8_t OTHER_KEY[KEY_BYTES] = {1, 2, 4};
static const uint8_t OPENING[STORE_OPENING_BYTES] = {5}, OTHER_OPENING[STORE_OPENING_BYTES] = {6};

struct fixture {
    struct temp_dir dir;
    char path[2 * PATH_BYTES];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    temp_dir_make(&f->dir);
    (void)snprintf(f->path, sizeof(f->path), "%s/sequence", f->dir.path);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    temp_dir_remove(&((struct fixture *)*state)->dir);
    free(*state);
    return 0;
}

/* ---- the chain ---- */

static struct store_mark
next(const struct store_mark *before, const struct store_change *changes, size_t count)
{
    struct store_mark mark;

    store_mark_next(KEY, OPENING, before, changes, count, &mark);
    assert_int_equal(mark.sequence, before->sequence + 1);
    return mark;
}

static void
assert_differ(const struct store_mark *a, const struct store_mark *b)
{
    assert_memory_not_equal(a->mac, b->mac, sizeof(a->mac));
}

static void
test_what_a_mark_is_made_of(void **state)
{
    const struct store_mark zero = {0}, one = {.sequence = 1}, mac = {.mac = {1}};
    struct store_change change = put("key", "value");
    struct store_change variants[] = {put("keyv", "alue"), put("key", "values"), put("key", ""),
                                      del("key"), del_prefix("key")};
    struct store_mark good = next(&zero, &change, 1), other;

    (void)state;
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        other = next(&zero, &variants[i], 1);
        assert_differ(&good, &other);
    }
    other = next(&one, &change, 1);
    assert_differ(&good, &other);
    other = next(&mac, &change, 1);
    assert_differ(&good, &other);
    other = next(&zero, NULL, 0);
    assert_differ(&good, &other);
    store_mark_next(OTHER_KEY, OPENING, &zero, &change, 1, &other);
    assert_differ(&good, &other);
    store_mark_next(KEY, OTHER_OPENING, &zero, &change, 1, &other);
    assert_differ(&good, &other);
    other = next(&zero, &change, 1);
    assert_memory_equal(good.mac, other.mac, sizeof(good.mac));
}

/* Batches of every size around the groups, the shape of each change of which counts. */
static void
test_large_batches(void **state)
{
    enum { MOST = 150 };
    struct store_change changes[MOST];
    struct store_mark zero = {0}, before = {0};
    char keys[MOST][8];

    (void)state;
    for (unsigned i = 0; i < MOST; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%u", i);
        changes[i] = put(keys[i], "x");
    }
    for (size_t count = 1; count <= MOST; count++) {
        struct store_mark good = next(&zero, changes, count), other;
        assert_differ(&good, &before);
        before = good;
        changes[count - 1].value = bytes_of_text("xy");
        other = next(&zero, changes, count);
        assert_differ(&good, &other);
        changes[count - 1].value = bytes_of_text("x");
    }
    struct store_change swapped = changes[3]; /* "k3" */
    changes[3] = changes[140];
    changes[140] = swapped;
    struct store_mark other = next(&zero, changes, MOST);
    assert_differ(&before, &other);
}

static void
test_mark_encoding(void **state)
{
    struct store_mark mark = {.sequence = 0x0102030405060708, .mac = {9, 8, 7}}, back;
    uint8_t value[STORE_MARK_BYTES + 1];

    (void)state;
    store_mark_encode(&mark, value);
    assert_int_equal(store_mark_decode(bytes_of(value, STORE_MARK_BYTES), &back), OK);
    assert_int_equal(back.sequence, mark.sequence);
    assert_memory_equal(back.mac, mark.mac, sizeof(mark.mac));
    assert_int_equal(store_mark_decode(bytes_of(value, STORE_MARK_BYTES - 1), &back), ERR_CORRUPT);
    assert_int_equal(store_mark_decode(bytes_of(value, STORE_MARK_BYTES + 1), &back), ERR_CORRUPT);
    assert_int_equal(back.sequence, 0);
}

/* ---- the file ---- */

static const struct sequence_record FIRST = {
    .store_id = {5, 6}, .incarnation = 3, .mark = {.sequence = 7, .mac = {1}}, .share_key_id = 11};

static struct sequence_file *
file_open(struct fixture *f, const struct sequence_record *now)
{
    struct sequence_file *file;

    assert_int_equal(sequence_file_open(f->path, KEY, now, &file), OK);
    return file;
}

static void
set_sequence(struct sequence_file *file, uint64_t sequence)
{
    struct store_mark mark = {.sequence = sequence, .mac = {2}};

    assert_int_equal(sequence_file_set_mark(file, &mark), OK);
}

static void
expect_sequence(struct fixture *f, uint64_t sequence)
{
    struct sequence_record got;

    assert_int_equal(sequence_file_read(f->path, KEY, &got), OK);
    assert_int_equal(got.mark.sequence, sequence);
    assert_memory_equal(got.store_id, FIRST.store_id, sizeof(got.store_id));
}

static void
test_file_remembers(void **state)
{
    struct fixture *f = *state;
    struct sequence_record got;
    struct stat st;

    assert_int_equal(sequence_file_read(f->path, KEY, &got), ERR_NOT_FOUND);
    struct sequence_file *file = file_open(f, &FIRST);
    expect_sequence(f, 7);
    for (uint64_t i = 8; i < 20; i++) {
        set_sequence(file, i);
        expect_sequence(f, i);
    }
    assert_int_equal(sequence_file_set_incarnation(file, 4), OK);
    assert_int_equal(sequence_file_set_share_key(file, 12), OK);
    sequence_file_close(file);
    assert_int_equal(sequence_file_read(f->path, KEY, &got), OK);
    assert_int_equal(got.incarnation, 4);
    assert_int_equal(got.share_key_id, 12);
    assert_int_equal(got.mark.sequence, 19);
    assert_int_equal(got.mark.mac[0], 2);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* A store that went back is written as it is: whoever opens the file has judged it. */
    file = file_open(f, &FIRST);
    expect_sequence(f, 7);
    set_sequence(file, 8);
    expect_sequence(f, 8);
    sequence_file_close(file);
    assert_int_equal(sequence_file_read(f->path, OTHER_KEY, &got), ERR_CORRUPT);
    assert_int_equal(got.incarnation, 0);
}

static void
byte_change(struct fixture *f, size_t offset)
{
    uint8_t byte;
    int fd = open(f->path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x20;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

/* Whichever byte of the newest slot is torn, what counts is the slot before; without both, none. */
static void
test_torn_slots(void **state)
{
    enum { SLOT = 120, SPACING = 512 };
    struct fixture *f = *state;
    struct sequence_record got;
    struct sequence_file *file = file_open(f, &FIRST);

    set_sequence(file, 8); /* the second write goes to the first slot */
    sequence_file_close(file);
    for (size_t i = 0; i < SLOT; i++) {
        byte_change(f, i);
        expect_sequence(f, 7);
        byte_change(f, i);
    }
    expect_sequence(f, 8);
    byte_change(f, 33);
    byte_change(f, SPACING + 60);
    assert_int_equal(sequence_file_read(f->path, KEY, &got), ERR_CORRUPT);
    file = file_open(f, &FIRST); /* is good again from the next write on */
    expect_sequence(f, 7);
    sequence_file_close(file);
    assert_int_equal(truncate(f->path, 300), 0);
    assert_int_equal(sequence_file_read(f->path, KEY, &got), ERR_CORRUPT);
    assert_int_equal(truncate(f->path, 0), 0);
    assert_int_equal(sequence_file_read(f->path, KEY, &got), ERR_CORRUPT);
}

static double
us_since(const struct timespec *from)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)(now.tv_sec - from->tv_sec) * 1e6 + (double)(now.tv_nsec - from->tv_nsec) / 1e3;
}

/*
 * What both cost the processor, printed for the record: the bound is far above, for slow machines.
 */
static void
test_cost(void **state)
{
    enum { ROUNDS = 2000 };
    struct fixture *f = *state;
    static uint8_t value[1024];
    struct sequence_file *file = file_open(f, &FIRST);
    struct store_change changes[4] = {put("a", ""), put("b", ""), put("c", ""), put("d", "")};
    struct store_mark mark = {0};
    struct timespec start;

    changes[0].value = bytes_of(value, sizeof(value));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (unsigned i = 0; i < ROUNDS; i++)
        mark = next(&mark, changes, 4);
    double chain_us = us_since(&start) / ROUNDS;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_int_equal(sequence_file_set_mark(file, &mark), OK);
    double file_us = us_since(&start) / ROUNDS;
    print_message("chain: %.2f us a batch; sequence file: %.2f us a flush\n", chain_us, file_us);
    assert_true(chain_us < 1000);
    assert_true(file_us < 10000);
    sequence_file_close(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_mark_is_made_of), TEST(test_large_batches), TEST(test_mark_encoding),
        TEST(test_file_remembers),         TEST(test_torn_slots),    TEST(test_cost),
    };

    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
