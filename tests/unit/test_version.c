/*
 * Version records and dealings: their encodings are identities in both directions, fixed for good,
 * and nothing out of range or inconsistent gets through either way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "assert_id.h"
#include "proto_fixture.h"

enum { ROUNDS = 400 };

static struct bytes
encoded_version(struct dice *dice, const struct version_record *version)
{
    struct buf out = {0};

    assert_int_equal(version_encode(version, &out), OK);
    return dice_keep(dice, &out);
}

static bool
recode_version(struct bytes in, struct buf *out)
{
    struct version_record version;

    if (version_decode(in, &version) != OK)
        return false;
    assert_int_equal(version_encode(&version, out), OK);
    return true;
}

static bool
recode_public(struct bytes in, struct buf *out)
{
    struct dealing dealing;

    if (dealing_decode(in, (struct bytes){0}, &dealing) != OK)
        return false;
    assert_int_equal(dealing_encode_public(&dealing, out), OK);
    return true;
}

/* Version records */

static void
test_version_round_trips(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice dice;
        struct version_record version, back;
        struct bytes encoded;

        dice_init(&dice, seed);
        version = dice_version(&dice);
        encoded = encoded_version(&dice, &version);
        assert_int_equal(version_decode(encoded, &back), OK);
        assert_memory_equal(version.incarnation, back.incarnation, INCARNATION_BYTES);
        assert_int_equal(version.version, back.version);
        assert_int_equal(version.valid_from_ms, back.valid_from_ms);
        assert_memory_equal(version.prev, back.prev, ID_BYTES);
        assert_memory_equal(version.dealing_id, back.dealing_id, DEALING_ID_BYTES);
        assert_memory_equal(version.dealing_hash, back.dealing_hash, HASH_BYTES);
        assert_true(bytes_equal(version.author, back.author));
        assert_memory_equal(version.op_id, back.op_id, OP_ID_BYTES);
        assert_true(recodes(recode_version, encoded));
        dice_close(&dice);
    }
}

static void
test_version_damage(void **state)
{
    size_t accepted = 0, tried = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct dice dice;
        struct version_record version;
        struct bytes encoded;

        dice_init(&dice, seed);
        version = dice_version(&dice);
        encoded = encoded_version(&dice, &version);
        assert_true(refuses_other_lengths(recode_version, encoded));
        assert_true(survives_byte_changes(recode_version, encoded, &accepted, &tried));
        dice_close(&dice);
    }
    assert_true(accepted > 0 && accepted < tried);
}

static struct version_record
plain_version(void)
{
    return (struct version_record){
        .incarnation = {1},
        .version = 2,
        .valid_from_ms = 1700000000000,
        .prev = {2},
        .dealing_id = {3},
        .dealing_hash = {4},
        .author = bytes_of_text("root"),
        .op_id = {5},
    };
}

#define VERSION_IS(expected, change)                                                               \
    do {                                                                                           \
        struct version_record version = plain_version();                                           \
        struct buf out = {0};                                                                      \
        change;                                                                                    \
        assert_int_equal(version_encode(&version, &out), expected);                                \
        if ((expected) == OK)                                                                      \
            assert_true(recodes(recode_version, buf_bytes(&out)));                                 \
        buf_close(&out);                                                                           \
    } while (0)

static void
test_version_relations(void **state)
{
    struct dice dice;
    struct version_record plain = plain_version();
    struct bytes encoded, largest;

    (void)state;
    dice_init(&dice, 1);
    encoded = encoded_version(&dice, &plain);
    assert_id(encoded, "c4ef477b9e4dba37944d9ede0ca4643d99efcc16a1c35c6e4031d4dbafed5e5b");
    largest = dice_text(&dice, "~", AUTHOR_BYTES_MAX + 1, AUTHOR_BYTES_MAX + 1);

    VERSION_IS(ERR_RANGE, version.version = 0);
    VERSION_IS(ERR_RANGE, version.version = 1);
    VERSION_IS(OK, (version.version = 1, version.prev[0] = 0));
    VERSION_IS(ERR_RANGE, version.prev[0] = 0);
    VERSION_IS(OK, version.version = COUNTER_MAX);
    VERSION_IS(ERR_RANGE, version.version = COUNTER_MAX + 1);
    VERSION_IS(OK, version.valid_from_ms = TIME_MS_MAX);
    VERSION_IS(ERR_RANGE, version.valid_from_ms = TIME_MS_MAX + 1);
    VERSION_IS(ERR_RANGE, version.author = bytes_of_text(""));
    VERSION_IS(ERR_RANGE, version.author = bytes_of_text("a b"));
    VERSION_IS(ERR_RANGE, version.author = bytes_of_text("a\x7f"));
    VERSION_IS(OK, version.author = bytes_of(largest.data, AUTHOR_BYTES_MAX));
    VERSION_IS(ERR_TOO_LARGE, version.author = largest);

    for (size_t i = 0; i < 9; i++) {
        assert_true(
            refused(recode_version, replace_item(&dice, encoded, i, bytes_of("\x61\x61", 2))));
        assert_true(
            refused(recode_version, replace_item(&dice, encoded, i, item_uint(&dice, UINT64_MAX))));
        assert_true(
            refused(recode_version, replace_item(&dice, encoded, i, item_bytes(&dice, 65))));
        assert_true(refused(recode_version, replace_item(&dice, encoded, i, (struct bytes){0})));
    }
    dice_close(&dice);
}

/* Dealings */

static void
test_dealing_round_trips(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice dice;
        struct dealing dealing, back;
        struct buf public_part = {0}, boxes = {0}, again = {0};

        dice_init(&dice, seed);
        dealing = dice_dealing(&dice);
        assert_int_equal(dealing_encode_public(&dealing, &public_part), OK);
        assert_int_equal(dealing_encode_boxes(&dealing, &boxes), OK);
        assert_int_equal(dealing_decode(buf_bytes(&public_part), buf_bytes(&boxes), &back), OK);
        assert_memory_equal(dealing.id, back.id, DEALING_ID_BYTES);
        assert_int_equal(dealing.suite, back.suite);
        assert_int_equal(dealing.threshold, back.threshold);
        assert_int_equal(dealing.count, back.count);
        assert_memory_equal(dealing.nodes, back.nodes, REPLICAS_MAX);
        assert_true(bytes_equal(dealing.ciphertext, back.ciphertext));
        assert_memory_equal(dealing.key_commitment, back.key_commitment, HASH_BYTES);
        assert_memory_equal(dealing.share_commitments, back.share_commitments,
                            sizeof(dealing.share_commitments));
        assert_memory_equal(dealing.box_hashes, back.box_hashes, sizeof(dealing.box_hashes));
        for (unsigned i = 0; i < REPLICAS_MAX; i++)
            assert_true(bytes_equal(dealing.boxes[i], back.boxes[i]));

        assert_true(recodes(recode_public, buf_bytes(&public_part)));
        assert_int_equal(dealing_encode_boxes(&back, &again), OK);
        assert_true(bytes_equal(buf_bytes(&again), buf_bytes(&boxes)));
        buf_close(&public_part);
        buf_close(&boxes);
        buf_close(&again);
        dice_close(&dice);
    }
}

static void
test_dealing_damage(void **state)
{
    size_t accepted = 0, tried = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct dice dice;
        struct dealing dealing;
        struct buf public_part = {0}, boxes = {0};

        dice_init(&dice, seed);
        dealing = dice_dealing(&dice);
        assert_int_equal(dealing_encode_public(&dealing, &public_part), OK);
        assert_true(refuses_other_lengths(recode_public, buf_bytes(&public_part)));
        assert_true(
            survives_byte_changes(recode_public, buf_bytes(&public_part), &accepted, &tried));

        /* Any change of the boxes shows: their hashes are in the public part. */
        assert_int_equal(dealing_encode_boxes(&dealing, &boxes), OK);
        for (size_t i = 0; i < boxes.size; i++) {
            struct dealing back;

            boxes.data[i] ^= 1;
            assert_int_equal(dealing_decode(buf_bytes(&public_part), buf_bytes(&boxes), &back),
                             ERR_MALFORMED);
            assert_int_equal(back.count, 0);
            boxes.data[i] ^= 1;
            if (i > 0)
                assert_int_equal(
                    dealing_decode(buf_bytes(&public_part), bytes_of(boxes.data, i), &back),
                    ERR_MALFORMED);
        }
        buf_close(&public_part);
        buf_close(&boxes);
        dice_close(&dice);
    }
    assert_true(accepted > 0 && accepted < tried);
}

static struct dealing
plain_dealing(void)
{
    return (struct dealing){
        .id = {1},
        .suite = DEALING_SUITE_1,
        .threshold = 2,
        .count = 3,
        .nodes = {4, 0, 2},
        .ciphertext = bytes_of_text("ciphertext"),
        .key_commitment = {2},
        .share_commitments = {{3}, {4}, {5}},
        .box_hashes = {{6}, {7}, {8}},
    };
}

#define DEALING_IS(expected, change)                                                               \
    do {                                                                                           \
        struct dealing dealing = plain_dealing();                                                  \
        struct buf out = {0};                                                                      \
        change;                                                                                    \
        assert_int_equal(dealing_encode_public(&dealing, &out), expected);                         \
        if ((expected) == OK)                                                                      \
            assert_true(recodes(recode_public, buf_bytes(&out)));                                  \
        else                                                                                       \
            assert_int_equal(out.size, 0);                                                         \
        buf_close(&out);                                                                           \
    } while (0)

static void
test_dealing_relations(void **state)
{
    (void)state;
    DEALING_IS(OK, (void)0);
    DEALING_IS(ERR_RANGE, dealing.suite = 0);
    DEALING_IS(ERR_RANGE, dealing.suite = 2);
    DEALING_IS(ERR_RANGE, dealing.threshold = 0);
    DEALING_IS(ERR_RANGE, dealing.threshold = 1);
    DEALING_IS(OK, dealing.threshold = 3);
    DEALING_IS(ERR_RANGE, dealing.threshold = 4);
    DEALING_IS(ERR_RANGE, dealing.count = 0);
    DEALING_IS(ERR_RANGE, dealing.count = REPLICAS_MAX + 1);
    DEALING_IS(OK, dealing.threshold = dealing.count = 1);
    DEALING_IS(ERR_RANGE, dealing.nodes[2] = 4);
    DEALING_IS(OK, dealing.nodes[2] = NODES_MAX - 1);
    DEALING_IS(ERR_RANGE, dealing.nodes[2] = NODES_MAX);
    DEALING_IS(ERR_RANGE, dealing.ciphertext.size = 0);
}

static void
test_dealing_sizes(void **state)
{
    struct dealing dealing = plain_dealing(), back;
    struct buf out = {0};
    struct dice dice;
    size_t ciphertext_max = VALUE_BYTES_MAX + 1024;
    uint8_t *large = calloc(1, ciphertext_max + 1);
    struct bytes encoded;

    (void)state;
    assert_non_null(large);
    dice_init(&dice, 1);
    assert_int_equal(dealing_encode_public(&dealing, &out), OK);
    assert_id(buf_bytes(&out), "b7bf300bdeaa3be54c746daf9aaa7087f92e980908328f5cdda83bcb08eddda4");
    encoded = dice_keep(&dice, &out);

    dealing.ciphertext = bytes_of(large, ciphertext_max);
    assert_int_equal(dealing_encode_public(&dealing, &out), OK);
    assert_true(recodes(recode_public, buf_bytes(&out)));
    assert_true(out.size <= DEALING_BYTES_MAX);
    buf_close(&out);
    dealing.ciphertext = bytes_of(large, ciphertext_max + 1);
    assert_int_equal(dealing_encode_public(&dealing, &out), ERR_TOO_LARGE);
    assert_int_equal(out.size, 0);
    assert_true(refused(recode_public,
                        replace_item(&dice, encoded, 5, item_bytes(&dice, ciphertext_max + 1))));

    dealing.boxes[1] = bytes_of(large, BOX_BYTES_MAX + 1);
    assert_int_equal(dealing_encode_boxes(&dealing, &out), ERR_TOO_LARGE);
    assert_int_equal(out.size, 0);

    /* Counts that disagree: nodes, commitments, hashes, boxes. */
    for (size_t i = 0; i < 9; i++) {
        assert_true(
            refused(recode_public, replace_item(&dice, encoded, i, bytes_of("\x61\x61", 2))));
        assert_true(refused(recode_public, replace_item(&dice, encoded, i, (struct bytes){0})));
        if (i != 5)
            assert_true(
                refused(recode_public, replace_item(&dice, encoded, i, item_bytes(&dice, 64))));
    }
    assert_int_equal(dealing_decode(encoded, bytes_of("\x82\x40\x40", 3), &back), ERR_MALFORMED);
    assert_int_equal(dealing_decode(encoded, bytes_of("\x83\x40\x40\x40", 4), &back), OK);
    assert_int_equal(dealing_decode((struct bytes){0}, (struct bytes){0}, &back), ERR_MALFORMED);
    free(large);
    buf_close(&out);
    dice_close(&dice);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_round_trips), cmocka_unit_test(test_version_damage),
        cmocka_unit_test(test_version_relations),   cmocka_unit_test(test_dealing_round_trips),
        cmocka_unit_test(test_dealing_damage),      cmocka_unit_test(test_dealing_relations),
        cmocka_unit_test(test_dealing_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
