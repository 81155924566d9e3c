/*
 * Keys sort as the scans need them and split back into their parts; row values round trip, and what
 * is damaged is corrupt or another row exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto_fixture.h"

enum { ROUNDS = 300 };

static const enum row_table versioned[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES, ROW_NEED};

static bool
key_begins(const struct row_key *key, const struct row_key *prefix)
{
    return key->size >= prefix->size && memcmp(key->data, prefix->data, prefix->size) == 0;
}

static int
key_compare(const struct row_key *a, const struct row_key *b)
{
    return bytes_compare(row_key_bytes(a), row_key_bytes(b));
}

/* Keys */

static void
test_key_layout(void **state)
{
    const struct path path = {bytes_of_text("acme"), bytes_of_text("db")};
    static const uint8_t id[ID_BYTES] = {0xee};
    static const uint8_t start[] = {'v', 4, 'a', 'c', 'm', 'e', 0, 2, 'd', 'b'};
    static const uint8_t end[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 0xee};
    struct row_key key;

    (void)state;
    row_key_meta("node", &key);
    assert_true(bytes_equal(row_key_bytes(&key), bytes_of_text("mnode")));
    row_key_table(ROW_BOXES, &key);
    assert_true(bytes_equal(row_key_bytes(&key), bytes_of_text("b")));

    row_key_versions(ROW_VERSION, path, &key);
    assert_true(bytes_equal(row_key_bytes(&key), bytes_of(start, sizeof(start))));
    row_key_version(ROW_VERSION, path, 3, id, &key);
    assert_int_equal(key.size, sizeof(start) + 8 + ID_BYTES);
    assert_memory_equal(key.data, start, sizeof(start));
    assert_memory_equal(key.data + sizeof(start), end, sizeof(end));

    row_key_path(path, &key);
    assert_int_equal(key.size, sizeof(start));
    assert_int_equal(key.data[0], 'p');
    assert_memory_equal(key.data + 1, start + 1, sizeof(start) - 1);
}

static void
test_keys_split(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice dice;
        struct path path, found;
        struct row_key key;
        enum row_table table, found_table;
        uint64_t version, found_version;
        uint8_t id[ID_BYTES];
        struct bytes found_id;

        dice_init(&dice, seed);
        path = dice_path(&dice);
        table = versioned[seed % 4];
        version = dice_number(&dice, 1, COUNTER_MAX);
        dice_fill(&dice, id, sizeof(id));
        row_key_version(table, path, version, id, &key);
        assert_int_equal(
            row_key_parse(row_key_bytes(&key), &found_table, &found, &found_version, &found_id),
            OK);
        assert_int_equal(found_table, table);
        assert_true(path_equal(found, path));
        assert_int_equal(found_version, version);
        assert_true(bytes_equal(found_id, bytes_of(id, sizeof(id))));
        dice_close(&dice);
    }
}

static void
assert_key_corrupt(struct bytes key)
{
    uint8_t *copy = malloc(key.size + 1);
    enum row_table table = ROW_BOXES;
    struct path path = {bytes_of_text("x"), bytes_of_text("y")};
    uint64_t version = 1;
    struct bytes id = bytes_of_text("z");

    assert_non_null(copy);
    if (key.size > 0)
        memcpy(copy, key.data, key.size);
    assert_int_equal(row_key_parse(bytes_of(copy, key.size), &table, &path, &version, &id),
                     ERR_CORRUPT);
    assert_int_equal(version, 0);
    assert_int_equal(path.tenant.size + path.name.size + id.size, 0);
    free(copy);
}

static void
test_damaged_keys(void **state)
{
    struct path path = {bytes_of_text("acme"), bytes_of_text("db")};
    static const uint8_t id[ID_BYTES] = {1};
    struct row_key key, other;

    (void)state;
    row_key_version(ROW_DEALING, path, 5, id, &key);
    for (size_t size = 0; size < key.size; size++)
        assert_key_corrupt(bytes_of(key.data, size));
    other = key;
    other.size++;
    assert_key_corrupt(row_key_bytes(&other));
    for (unsigned letter = 0; letter < 256; letter++) {
        other = key;
        other.data[0] = (uint8_t)letter;
        if (letter != 'v' && letter != 'd' && letter != 'b' &&
            letter != 'n') /* 't' has no version */
            assert_key_corrupt(row_key_bytes(&other));
    }
    other = key;
    other.data[2] = 'A'; /* tenants are lower case */
    assert_key_corrupt(row_key_bytes(&other));
    other = key;
    other.data[8] = '/';
    assert_key_corrupt(row_key_bytes(&other));
    other = key;
    other.data[1]++; /* lengths that point elsewhere */
    assert_key_corrupt(row_key_bytes(&other));
    other = key;
    other.data[6] = 0xff;
    assert_key_corrupt(row_key_bytes(&other));
    row_key_version(ROW_DEALING, path, 0, id, &other);
    assert_key_corrupt(row_key_bytes(&other));
    row_key_version(ROW_DEALING, path, COUNTER_MAX + 1, id, &other);
    assert_key_corrupt(row_key_bytes(&other));
}

static void
test_path_keys(void **state)
{
    struct path path = {bytes_of_text("acme"), bytes_of_text("db")}, found;
    static const uint8_t id[ID_BYTES] = {1};
    struct row_key key, other;

    (void)state;
    row_key_path(path, &key);
    assert_int_equal(row_key_path_of(row_key_bytes(&key), &found), OK);
    assert_true(path_equal(found, path));
    for (size_t size = 0; size < key.size; size++) {
        assert_int_equal(row_key_path_of(bytes_of(key.data, size), &found), ERR_CORRUPT);
        assert_int_equal(found.name.size + found.tenant.size, 0);
    }
    row_key_version(ROW_VERSION, path, 1, id, &other);
    assert_int_equal(row_key_path_of(row_key_bytes(&other), &found), ERR_CORRUPT);
    other.data[0] = ROW_PATH; /* too long */
    assert_int_equal(row_key_path_of(row_key_bytes(&other), &found), ERR_CORRUPT);
}

static void
test_erasure_keys(void **state)
{
    struct path path = {bytes_of_text("acme"), bytes_of_text("db")}, found;
    static const uint8_t none[ID_BYTES], some[ID_BYTES] = {[ID_BYTES - 1] = 1};
    struct row_key key, prefix;
    enum row_table table;
    uint64_t version;
    struct bytes id;

    (void)state;
    row_key_erasure(path, &key);
    row_key_table(ROW_ERASURE, &prefix);
    assert_true(key_begins(&key, &prefix));
    assert_int_equal(row_key_parse(row_key_bytes(&key), &table, &found, &version, &id), OK);
    assert_int_equal(table, ROW_ERASURE);
    assert_true(path_equal(found, path));
    row_key_version(ROW_ERASURE, path, 2, none, &key);
    assert_key_corrupt(row_key_bytes(&key));
    row_key_version(ROW_ERASURE, path, 1, some, &key);
    assert_key_corrupt(row_key_bytes(&key));
    row_key_doubt(path, &key);
    row_key_table(ROW_DOUBT, &prefix);
    assert_true(key_begins(&key, &prefix));
    assert_int_equal(row_key_parse(row_key_bytes(&key), &table, &found, &version, &id), OK);
    assert_int_equal(table, ROW_DOUBT);
    assert_true(path_equal(found, path));
    row_key_version(ROW_DOUBT, path, 2, none, &key);
    assert_key_corrupt(row_key_bytes(&key));
}

/* A scan of a path meets its newest version first, and nothing of any other path. */
static void
test_key_order(void **state)
{
    static const char *const names[] = {"a", "a/b", "a/b/c", "ab", "b", "a0", "aa"};
    enum { NAMES = sizeof(names) / sizeof(names[0]) };
    static const uint8_t low[ID_BYTES], high[ID_BYTES] = {0xff};
    static const uint64_t numbers[] = {1, 2, 255, 256, 65536, COUNTER_MAX};

    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        struct path path = {bytes_of_text("t"), bytes_of_text(names[i])};
        struct row_key prefix, key, older;

        row_key_versions(ROW_BOXES, path, &prefix);
        row_key_version(ROW_BOXES, path, 1, low, &older);
        for (size_t j = 0; j < NAMES; j++) {
            struct path other = {bytes_of_text("t"), bytes_of_text(names[j])};

            row_key_version(ROW_BOXES, other, 7, low, &key);
            assert_int_equal(key_begins(&key, &prefix), i == j);
        }
        for (size_t j = 1; j < sizeof(numbers) / sizeof(numbers[0]); j++) {
            struct row_key exactly;

            row_key_version(ROW_BOXES, path, numbers[j], high, &key);
            row_key_of_version(ROW_BOXES, path, numbers[j], &exactly);
            assert_true(key_compare(&key, &older) < 0);
            assert_true(key_begins(&key, &prefix));
            assert_true(key_begins(&key, &exactly));
            assert_false(key_begins(&older, &exactly));
            row_key_version(ROW_BOXES, path, numbers[j], low, &older);
        }
    }
}

/* What follows a tenant's name cannot pass for a longer one's. */
static void
test_paths_do_not_run_together(void **state)
{
    struct path a = {bytes_of_text("ab"), bytes_of_text("c")};
    struct path b = {bytes_of_text("a"), bytes_of_text("bc")};
    struct row_key key_a, key_b;

    (void)state;
    row_key_path(a, &key_a);
    row_key_path(b, &key_b);
    assert_int_not_equal(key_compare(&key_a, &key_b), 0);
    assert_false(key_begins(&key_a, &key_b));
    assert_false(key_begins(&key_b, &key_a));
}

static void
test_longest_key(void **state)
{
    struct dice dice;
    struct path path, found;
    struct row_key key;
    enum row_table table;
    uint64_t version;
    struct bytes id;
    static const uint8_t version_id[ID_BYTES] = {7};

    (void)state;
    dice_init(&dice, 1);
    path.tenant = dice_text(&dice, "t", TENANT_BYTES_MAX, TENANT_BYTES_MAX);
    path.name = dice_text(&dice, "n", NAME_BYTES_MAX, NAME_BYTES_MAX);
    row_key_version(ROW_BOXES, path, COUNTER_MAX, version_id, &key);
    assert_true(key.size <= KEY_BYTES_MAX);
    assert_int_equal(row_key_parse(row_key_bytes(&key), &table, &found, &version, &id), OK);
    assert_true(path_equal(found, path));
    dice_close(&dice);
}

/* Values */

#define RECODE(name, type, decode, encode)                                                         \
    static bool name(struct bytes in, struct buf *out)                                             \
    {                                                                                              \
        struct type row;                                                                           \
        enum vault_err err;                                                                        \
        memset(&row, 0, sizeof(row));                                                              \
        err = decode(in, &row);                                                                    \
        if (err != OK) {                                                                           \
            assert_int_equal(err, ERR_CORRUPT);                                                    \
            assert_true(codec_all_zero((const uint8_t *)&row, sizeof(row)));                       \
            return false;                                                                          \
        }                                                                                          \
        assert_int_equal(encode(&row, out), OK);                                                   \
        return true;                                                                               \
    }
RECODE(recode_path, path_row, path_row_decode, path_row_encode)
RECODE(recode_version_row, version_row, version_row_decode, version_row_encode)
RECODE(recode_node, node_row, node_row_decode, node_row_encode)
RECODE(recode_peer, peer_row, peer_row_decode, peer_row_encode)

static struct path_row
dice_path_row(struct dice *dice)
{
    struct path_row row = {
        .ballot = dice_ballot(dice),
        .state = (enum accepted_state)dice_between(dice, STATE_ACCEPTED, STATE_RECEIVED),
        .head = dice_bytes(dice, 1, 80),
        .erased = dice_coin(dice),
        .erased_share_key = dice_number(dice, 0, UINT64_MAX),
        .proof = dice_bytes(dice, 0, 80),
    };
    if (row.state != STATE_CHOSEN)
        row.incarnation = dice_number(dice, 0, UINT64_MAX);
    else
        row.erased_generation = dice_number(dice, 0, UINT64_MAX);
    return row;
}

static struct version_row
dice_version_row(struct dice *dice)
{
    return (struct version_row){dice_bytes(dice, 1, 80), dice_bytes(dice, 0, 80),
                                dice_bytes(dice, 0, 80)};
}

static struct node_row
dice_node_row(struct dice *dice)
{
    struct node_row row = {
        .incarnation = dice_number(dice, 1, UINT64_MAX),
        .boot = dice_number(dice, 0, UINT64_MAX),
        .horizon_ms = dice_number(dice, 0, UINT64_MAX),
        .recovery = (enum recovery_state)dice_between(dice, RECOVERY_NONE, RECOVERY_SHARES),
    };

    dice_fill(dice, row.store_id, sizeof(row.store_id));
    return row;
}

static struct peer_row
dice_peer_row(struct dice *dice)
{
    struct peer_row row = {
        .incarnation = dice_number(dice, 0, UINT64_MAX),
        .boot = dice_number(dice, 0, UINT64_MAX),
        .horizon_ms = dice_number(dice, 0, UINT64_MAX),
        .sequence = dice_number(dice, 0, UINT64_MAX),
        .share_key.id = dice_number(dice, 0, UINT64_MAX),
        .life = dice_number(dice, 0, UINT64_MAX),
        .sequence_before = dice_number(dice, 0, UINT64_MAX),
    };

    dice_fill(dice, row.store_id, STORE_ID_BYTES);
    dice_fill(dice, row.share_key.key, X25519_BYTES);
    if (dice_coin(dice))
        dice_fill(dice, row.vote_key, X25519_BYTES);
    if (row.vote_key[0] & 1)
        dice_fill(dice, row.vote_key_before, X25519_BYTES);
    return row;
}

static void
test_path_rows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice dice;
        struct path_row row, back;
        struct buf out = {0};

        dice_init(&dice, seed);
        row = dice_path_row(&dice);
        assert_int_equal(path_row_encode(&row, &out), OK);
        assert_int_equal(path_row_decode(buf_bytes(&out), &back), OK);
        assert_int_equal(ballot_compare(row.ballot, back.ballot), 0);
        assert_int_equal(row.state, back.state);
        assert_true(bytes_equal(row.head, back.head));
        assert_int_equal(row.erased, back.erased);
        assert_int_equal(row.erased_generation, back.erased_generation);
        assert_int_equal(row.incarnation, back.incarnation);
        assert_int_equal(row.erased_share_key, back.erased_share_key);
        assert_true(recodes(recode_path, buf_bytes(&out)));
        buf_close(&out);
        dice_close(&dice);
    }
}

static void
test_version_rows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice dice;
        struct version_row row, back;
        struct buf out = {0};

        dice_init(&dice, seed);
        row = dice_version_row(&dice);
        assert_int_equal(version_row_encode(&row, &out), OK);
        assert_int_equal(version_row_decode(buf_bytes(&out), &back), OK);
        assert_true(bytes_equal(row.record, back.record));
        assert_true(bytes_equal(row.share, back.share));
        assert_true(bytes_equal(row.dealing, back.dealing));
        assert_true(recodes(recode_version_row, buf_bytes(&out)));
        buf_close(&out);
        dice_close(&dice);
    }
}

static void
test_node_and_peer_rows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice dice;
        struct node_row node, node_back;
        struct peer_row peer, peer_back;
        struct buf out = {0};

        dice_init(&dice, seed);
        node = dice_node_row(&dice);
        assert_int_equal(node_row_encode(&node, &out), OK);
        assert_int_equal(node_row_decode(buf_bytes(&out), &node_back), OK);
        assert_memory_equal(node.store_id, node_back.store_id, sizeof(node.store_id));
        assert_int_equal(node.incarnation, node_back.incarnation);
        assert_int_equal(node.boot, node_back.boot);
        assert_int_equal(node.horizon_ms, node_back.horizon_ms);
        assert_true(recodes(recode_node, buf_bytes(&out)));
        buf_close(&out);

        peer = dice_peer_row(&dice);
        assert_int_equal(peer_row_encode(&peer, &out), OK);
        assert_int_equal(peer_row_decode(buf_bytes(&out), &peer_back), OK);
        assert_int_equal(peer.incarnation, peer_back.incarnation);
        assert_int_equal(peer.boot, peer_back.boot);
        assert_int_equal(peer.horizon_ms, peer_back.horizon_ms);
        assert_int_equal(peer.sequence, peer_back.sequence);
        assert_int_equal(peer.share_key.id, peer_back.share_key.id);
        assert_memory_equal(peer.share_key.key, peer_back.share_key.key, X25519_BYTES);
        assert_memory_equal(peer.vote_key, peer_back.vote_key, X25519_BYTES);
        assert_memory_equal(peer.vote_key_before, peer_back.vote_key_before, X25519_BYTES);
        assert_true(recodes(recode_peer, buf_bytes(&out)));
        buf_close(&out);
        dice_close(&dice);
    }
}

static void
test_damaged_rows(void **state)
{
    recode_fn *const recode[] = {recode_path, recode_version_row, recode_node, recode_peer};
    size_t accepted = 0, tried = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct dice dice;
        struct path_row path;
        struct version_row version;
        struct node_row node;
        struct peer_row peer;
        struct buf out[4] = {{0}};

        dice_init(&dice, seed);
        path = dice_path_row(&dice);
        version = dice_version_row(&dice);
        node = dice_node_row(&dice);
        peer = dice_peer_row(&dice);
        assert_int_equal(path_row_encode(&path, &out[0]), OK);
        assert_int_equal(version_row_encode(&version, &out[1]), OK);
        assert_int_equal(node_row_encode(&node, &out[2]), OK);
        assert_int_equal(peer_row_encode(&peer, &out[3]), OK);
        for (size_t i = 0; i < 4; i++) {
            assert_true(refuses_other_lengths(recode[i], buf_bytes(&out[i])));
            assert_true(survives_byte_changes(recode[i], buf_bytes(&out[i]), &accepted, &tried));
            buf_close(&out[i]);
        }
        dice_close(&dice);
    }
    assert_true(accepted > 0 && accepted < tried);
}

#define ROW_IS(expected, kind, change)                                                             \
    do {                                                                                           \
        struct kind##_row row = dice_##kind##_row(&dice);                                          \
        struct buf out = {0};                                                                      \
        change;                                                                                    \
        assert_int_equal(kind##_row_encode(&row, &out), expected);                                 \
        if ((expected) != OK)                                                                      \
            assert_int_equal(out.size, 0);                                                         \
        buf_close(&out);                                                                           \
    } while (0)

static void
test_row_bounds(void **state)
{
    enum { SEALED_MAX = SECRET_BYTES_MAX + 64 };
    struct dice dice;
    struct bytes large;

    (void)state;
    dice_init(&dice, 3);
    large = dice_bytes(&dice, HEAD_BYTES_MAX + 1, HEAD_BYTES_MAX + 1);
    ROW_IS(OK, path, row.head = bytes_of(large.data, HEAD_BYTES_MAX));
    ROW_IS(ERR_TOO_LARGE, path, row.head = large);
    ROW_IS(ERR_RANGE, path, row.head.size = 0);
    ROW_IS(ERR_RANGE, path, row.ballot = (struct ballot){0});
    ROW_IS(ERR_RANGE, path, row.ballot.node = NODES_MAX);
    ROW_IS(ERR_RANGE, path, row.state = STATE_ABSENT);
    ROW_IS(ERR_RANGE, path, row.state = (enum accepted_state)4);
    ROW_IS(OK, version, row.record = bytes_of(large.data, VERSION_BYTES_MAX));
    ROW_IS(ERR_TOO_LARGE, version, row.record = bytes_of(large.data, VERSION_BYTES_MAX + 1));
    ROW_IS(ERR_RANGE, version, row.record.size = 0);
    ROW_IS(OK, version, row.share = bytes_of(large.data, SEALED_MAX));
    ROW_IS(ERR_TOO_LARGE, version, row.share = bytes_of(large.data, SEALED_MAX + 1));
    ROW_IS(OK, version, row.dealing = bytes_of(large.data, VERSION_ROW_DEALING_MAX));
    ROW_IS(ERR_TOO_LARGE, version, row.dealing = bytes_of(large.data, VERSION_ROW_DEALING_MAX + 1));
    ROW_IS(ERR_RANGE, node, row.incarnation = 0);
    ROW_IS(ERR_RANGE, node, row.recovery = (enum recovery_state)3);
    dice_close(&dice);
}

/* The same bounds, met by the decoder. */
static void
test_decoder_bounds(void **state)
{
    struct dice dice;
    struct path_row path;
    struct version_row version;
    struct buf path_out = {0}, version_out = {0};
    struct bytes encoded;

    (void)state;
    dice_init(&dice, 4);
    path = dice_path_row(&dice);
    version = dice_version_row(&dice);
    version.dealing = dice_bytes(&dice, 1, 80);
    assert_int_equal(path_row_encode(&path, &path_out), OK);
    assert_int_equal(version_row_encode(&version, &version_out), OK);
    encoded = buf_bytes(&path_out);
#define PATH_WITH(index, item) replace_item(&dice, encoded, index, item)
    assert_true(refused(recode_path, PATH_WITH(0, bytes_of("\x83\x00\x00\x00", 4))));
    assert_true(recodes(recode_path, PATH_WITH(0, bytes_of("\x83\x01\x00\x00", 4))));
    assert_true(refused(recode_path, PATH_WITH(1, item_uint(&dice, 0))));
    assert_true(refused(recode_path, PATH_WITH(1, item_uint(&dice, 4))));
    assert_true(refused(recode_path, PATH_WITH(2, item_bytes(&dice, 0))));
    assert_true(recodes(recode_path, PATH_WITH(2, item_bytes(&dice, HEAD_BYTES_MAX))));
    assert_true(refused(recode_path, PATH_WITH(2, item_bytes(&dice, HEAD_BYTES_MAX + 1))));
    assert_true(refused(recode_path, PATH_WITH(3, item_uint(&dice, 1))));
    assert_true(refused(recode_path, PATH_WITH(3, (struct bytes){0})));
    assert_true(refused(recode_path, PATH_WITH(6, item_uint(&dice, 1))));
    encoded = buf_bytes(&version_out);
    assert_true(refused(recode_version_row, PATH_WITH(0, item_bytes(&dice, 0))));
    assert_true(
        refused(recode_version_row, PATH_WITH(0, item_bytes(&dice, VERSION_BYTES_MAX + 1))));
    assert_true(
        refused(recode_version_row, PATH_WITH(1, item_bytes(&dice, SECRET_BYTES_MAX + 65))));
    assert_true(refused(recode_version_row, PATH_WITH(2, item_bytes(&dice, 0))));
    assert_true(
        recodes(recode_version_row, PATH_WITH(2, item_bytes(&dice, VERSION_ROW_DEALING_MAX))));
    assert_true(
        refused(recode_version_row, PATH_WITH(2, item_bytes(&dice, VERSION_ROW_DEALING_MAX + 1))));
    buf_close(&path_out);
    buf_close(&version_out);
    dice_close(&dice);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_layout),
        cmocka_unit_test(test_keys_split),
        cmocka_unit_test(test_damaged_keys),
        cmocka_unit_test(test_path_keys),
        cmocka_unit_test(test_erasure_keys),
        cmocka_unit_test(test_key_order),
        cmocka_unit_test(test_paths_do_not_run_together),
        cmocka_unit_test(test_longest_key),
        cmocka_unit_test(test_path_rows),
        cmocka_unit_test(test_version_rows),
        cmocka_unit_test(test_node_and_peer_rows),
        cmocka_unit_test(test_damaged_rows),
        cmocka_unit_test(test_row_bounds),
        cmocka_unit_test(test_decoder_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
