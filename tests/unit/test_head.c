/*
 * Heads: their encodings are identities in both directions, fixed for good, and nothing out of
 * range or inconsistent gets through either way. Version records and dealings: test_version.c.
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
encoded_head(struct dice *dice, const struct head *head)
{
    struct buf out = {0};

    assert_int_equal(head_encode(head, &out), OK);
    return dice_keep(dice, &out);
}

/* A buffer that is as large as buffers get: the next append fails. */
static struct buf
full_buf(void)
{
    static uint8_t byte;

    return (struct buf){.data = &byte, .size = SIZE_MAX / 4, .capacity = SIZE_MAX / 4};
}

static bool
recode_head(struct bytes in, struct buf *out)
{
    struct head head;

    if (head_decode(in, &head) != OK)
        return false;
    assert_int_equal(head_encode(&head, out), OK);
    return true;
}

/* Paths and ballots */

static void
test_paths(void **state)
{
    struct path a = {bytes_of_text("acme"), bytes_of_text("db/password")};
    struct path b = {bytes_of_text("acmedb"), bytes_of_text("/password")};
    struct path c = {bytes_of_text("acme"), bytes_of_text("db/password")};

    (void)state;
    assert_true(path_equal(a, c));
    assert_false(path_equal(a, b));
    assert_true(path_valid(a));
    assert_false(path_valid(b));
    assert_false(path_valid((struct path){0}));
    a.tenant = bytes_of_text("Acme");
    assert_false(path_valid(a));
    assert_false(path_equal(a, c));
}

static void
test_ballots(void **state)
{
    static const struct ballot ascending[] = {
        {.time = 0},
        {.time = 1, .node = 0, .incarnation = 9},
        {.time = 1, .node = 1, .incarnation = 1},
        {.time = 1, .node = 1, .incarnation = 2},
        {.time = 1, .node = 8, .incarnation = 1},
        {.time = 2, .node = 0, .incarnation = 0},
        {.time = UINT64_MAX, .node = 0, .incarnation = 0},
        {.time = UINT64_MAX, .node = 8, .incarnation = UINT64_MAX},
    };
    size_t count = sizeof(ascending) / sizeof(ascending[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ballot_is_none(ascending[i]), i == 0);
        for (size_t j = 0; j < count; j++) {
            int order = ballot_compare(ascending[i], ascending[j]);

            assert_int_equal(order < 0, i < j);
            assert_int_equal(order > 0, i > j);
        }
    }
    assert_int_equal(ballot_ms((struct ballot){.time = 5 << 16 | 7}), 5);
}

/* Heads */

static void
assert_head_equal(const struct head *a, const struct head *b)
{
    assert_true(path_equal(a->path, b->path));
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->kind, b->kind);
    assert_memory_equal(a->incarnation, b->incarnation, INCARNATION_BYTES);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->oldest_version, b->oldest_version);
    assert_memory_equal(a->version_id, b->version_id, ID_BYTES);
    assert_memory_equal(a->prev, b->prev, ID_BYTES);
    assert_memory_equal(a->op_id, b->op_id, OP_ID_BYTES);
    assert_int_equal(a->op_count, b->op_count);
    for (size_t i = 0; i < OP_IDS_MAX; i++) {
        assert_memory_equal(a->ops[i].op_id, b->ops[i].op_id, OP_ID_BYTES);
        assert_int_equal(a->ops[i].kind, b->ops[i].kind);
        assert_int_equal(a->ops[i].version, b->ops[i].version);
        assert_int_equal(a->ops[i].at_ms, b->ops[i].at_ms);
    }
    assert_memory_equal(a->cluster_id, b->cluster_id, CLUSTER_ID_BYTES);
    assert_memory_equal(a->config_hash, b->config_hash, HASH_BYTES);
    assert_int_equal(a->changed_at_ms, b->changed_at_ms);
}

static void
test_head_round_trips(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice dice;
        struct head head, back;
        struct bytes encoded;

        dice_init(&dice, seed);
        head = dice_head(&dice);
        encoded = encoded_head(&dice, &head);
        assert_int_equal(head_decode(encoded, &back), OK);
        assert_head_equal(&head, &back);
        assert_true(recodes(recode_head, encoded));
        dice_close(&dice);
    }
}

static void
test_head_damage(void **state)
{
    size_t accepted = 0, tried = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct dice dice;
        struct head head;
        struct bytes encoded;

        dice_init(&dice, seed);
        head = dice_head(&dice);
        if (head.op_count > 3)
            head.op_count = 3;
        encoded = encoded_head(&dice, &head);
        assert_true(refuses_other_lengths(recode_head, encoded));
        assert_true(survives_byte_changes(recode_head, encoded, &accepted, &tried));
        dice_close(&dice);
    }
    assert_true(accepted > 0 && accepted < tried);
}

/* A live head of version 3 in generation 4 with two operations behind its own. */
static struct head
plain_head(void)
{
    struct head head = {
        .path = {bytes_of_text("default"), bytes_of_text("db/password")},
        .generation = 4,
        .kind = HEAD_LIVE,
        .incarnation = {1},
        .version = 3,
        .oldest_version = 2,
        .version_id = {2},
        .prev = {3},
        .op_id = {4},
        .op_count = 3,
        .cluster_id = {5},
        .config_hash = {6},
        .changed_at_ms = 1700000000000,
    };

    head.ops[0] = (struct op_result){{4}, CHANGE_UPDATE, 3, 1700000000000, {0}};
    head.ops[1] = (struct op_result){{7}, CHANGE_UPDATE, 2, 1600000000000, {0}};
    head.ops[2] = (struct op_result){{8}, CHANGE_CREATE, 1, 1500000000000, {0}};
    return head;
}

static void
test_head_stays_the_same(void **state)
{
    struct dice dice;
    struct head head = plain_head();

    (void)state;
    dice_init(&dice, 1);
    assert_id(encoded_head(&dice, &head),
              "529b255b027811fb097bdcca244a135165b10557ec20ed52c190e3a7b671b269");
    dice_close(&dice);
}

#define REFUSED_HEAD(change)                                                                       \
    do {                                                                                           \
        struct head head = plain_head();                                                           \
        struct buf out = {0};                                                                      \
        change;                                                                                    \
        assert_int_equal(head_encode(&head, &out), ERR_RANGE);                                     \
        assert_int_equal(out.size, 0);                                                             \
        buf_close(&out);                                                                           \
    } while (0)

#define ACCEPTED_HEAD(change)                                                                      \
    do {                                                                                           \
        struct head head = plain_head();                                                           \
        struct buf out = {0};                                                                      \
        change;                                                                                    \
        assert_int_equal(head_encode(&head, &out), OK);                                            \
        assert_true(recodes(recode_head, buf_bytes(&out)));                                        \
        buf_close(&out);                                                                           \
    } while (0)

static void
test_head_relations(void **state)
{
    (void)state;
    ACCEPTED_HEAD((void)0);
    REFUSED_HEAD(head.path.name = bytes_of_text("a//b"));
    REFUSED_HEAD(head.path.tenant = bytes_of_text(""));
    REFUSED_HEAD(head.generation = 0);
    REFUSED_HEAD(head.generation = COUNTER_MAX + 1);
    ACCEPTED_HEAD(head.generation = COUNTER_MAX);
    REFUSED_HEAD(head.generation = 1);
    REFUSED_HEAD(head.prev[0] = 0);
    ACCEPTED_HEAD((head.generation = 1, head.prev[0] = 0));
    REFUSED_HEAD(head.kind = (enum head_kind)0);
    REFUSED_HEAD(head.kind = (enum head_kind)4);
    REFUSED_HEAD(head.version = 0);
    REFUSED_HEAD(head.oldest_version = 0);
    REFUSED_HEAD(head.oldest_version = 4);
    ACCEPTED_HEAD(head.oldest_version = 3);
    REFUSED_HEAD(head.changed_at_ms = TIME_MS_MAX + 1);
    REFUSED_HEAD(head.changed_at_ms = 1699999999999);
}

static void
test_head_operations(void **state)
{
    (void)state;
    REFUSED_HEAD(head.op_count = 0);
    REFUSED_HEAD(head.op_id[0] = 9);
    REFUSED_HEAD(head.ops[0].kind = CHANGE_DELETE);
    REFUSED_HEAD(head.kind = HEAD_TOMBSTONE);
    ACCEPTED_HEAD((head.kind = HEAD_TOMBSTONE, head.ops[0].kind = CHANGE_DELETE));
    REFUSED_HEAD(head.ops[0].version = 2);
    REFUSED_HEAD(head.ops[1].kind = CHANGE_NONE);
    REFUSED_HEAD(head.ops[1].kind = CHANGE_FINISH);
    REFUSED_HEAD(head.ops[1].kind = CHANGE_CREATE);
    REFUSED_HEAD(head.ops[1].version = 1);
    REFUSED_HEAD(head.ops[1].version = 0);
    REFUSED_HEAD(head.ops[1].version = COUNTER_MAX + 1);
    REFUSED_HEAD(head.ops[1].at_ms = 1700000000000);
    REFUSED_HEAD(head.ops[2].op_id[0] = 7);
    ACCEPTED_HEAD((head.ops[2].op_id[0] = 7, head.ops[2].op_id[15] = 1));
    /* A void keeps what it found and adds nothing. */
    ACCEPTED_HEAD((head.kind = HEAD_VOID, head.op_count = 0));
    ACCEPTED_HEAD((head.kind = HEAD_VOID, head.op_id[0] = 9));
}

static struct head
pending_head(void)
{
    struct head head = plain_head();
    head.version = head.oldest_version = 1;
    head.op_count = 1;
    head.ops[0].kind = CHANGE_CREATE;
    head.ops[0].version = 1;
    head.batch[3] = 1;
    return head;
}

/* The record of the batch whose id is a 1 and zeros, with two members. */
static struct head
record_head(uint8_t name[static BATCH_RECORD_NAME_BYTES])
{
    static const uint8_t members[2 * BATCH_MEMBER_BYTES] = {1, [BATCH_MEMBER_BYTES] = 2};
    struct head head = plain_head();
    head.path = batch_record_path(head.path.tenant, head.incarnation, name);
    head.kind = HEAD_RECORD;
    head.generation = head.version = head.oldest_version = 1;
    memset(head.prev, 0, ID_BYTES);
    head.op_count = 0;
    head.decision = BATCH_COMMITTED;
    head.members = bytes_of(members, sizeof(members));
    return head;
}

static bool
comes_back(const struct head *head)
{
    struct buf out = {0}, again = {0};
    struct head back;
    bool same = head_encode(head, &out) == OK && head_decode(buf_bytes(&out), &back) == OK &&
                head_encode(&back, &again) == OK &&
                bytes_equal(buf_bytes(&out), buf_bytes(&again)) &&
                memcmp(back.batch, head->batch, BATCH_ID_BYTES) == 0 &&
                back.deleted_before == head->deleted_before && back.decision == head->decision &&
                bytes_equal(back.members, head->members) && bytes_equal(back.value, head->value);
    buf_close(&again);
    buf_close(&out);
    return same;
}

static struct head
inline_head(void)
{
    struct head head = plain_head();
    head.path.name = bytes_of_text("_auth/policy/readers");
    head.kind = HEAD_INLINE;
    memset(head.version_id, 0, ID_BYTES);
    head.value = bytes_of_text("rules");
    return head;
}

static void
test_heads_of_identity_records(void **state)
{
    static uint8_t large[RECORD_VALUE_BYTES_MAX + 1];
    struct head head = inline_head();
    (void)state;
    assert_true(comes_back(&head));
    assert_true(head_has_value(&head));
    head.path.tenant = bytes_of_text("_system");
    assert_true(comes_back(&head));
    head.path.tenant = bytes_of_text("_other");
    assert_false(comes_back(&head));
    head = inline_head();
    head.value = bytes_of(large, RECORD_VALUE_BYTES_MAX);
    assert_true(comes_back(&head));
    head.value.size++;
    assert_false(comes_back(&head));
    head = inline_head();
    head.value.size = 0; /* only a deletion leaves nothing */
    assert_false(comes_back(&head));
    head.ops[0].kind = CHANGE_DELETE;
    assert_true(comes_back(&head));
    assert_false(head_has_value(&head));
    head.value = bytes_of_text("rules");
    assert_false(comes_back(&head));
    head = inline_head();
    head.version_id[0] = 1;
    assert_false(comes_back(&head));
    head = inline_head();
    head.kind = HEAD_LIVE; /* nothing else lies on its path */
    head.value.size = 0;
    assert_false(comes_back(&head));
    head = inline_head();
    head.path.name = bytes_of_text("a");
    assert_false(comes_back(&head));
    head = plain_head();
    head.value = bytes_of_text("x");
    assert_false(comes_back(&head));
    head = inline_head();
    head.batch[0] = 1;
    assert_false(comes_back(&head));
}

static void
test_heads_of_several_versions(void **state)
{
    static const uint8_t ids[GROUP_VERSIONS_MAX * ID_BYTES] = {11, [ID_BYTES] = 12};
    (void)state;
    ACCEPTED_HEAD((head.version = head.ops[0].version = 4, head.earlier = bytes_of(ids, ID_BYTES)));
    ACCEPTED_HEAD((head.version = head.ops[0].version = 9,
                   head.earlier = bytes_of(ids, (GROUP_VERSIONS_MAX - 1) * ID_BYTES)));
    ACCEPTED_HEAD((head.version = head.ops[0].version = 4, head.max_versions = 5,
                   head.earlier = bytes_of(ids, ID_BYTES)));
    REFUSED_HEAD((head.version = head.ops[0].version = 99,
                  head.earlier = bytes_of(ids, GROUP_VERSIONS_MAX * ID_BYTES)));
    REFUSED_HEAD((head.version = head.ops[0].version = 4, head.earlier = bytes_of(ids, 7)));
    REFUSED_HEAD(head.earlier = bytes_of(ids, 2 * ID_BYTES)); /* one has fallen out already */
    REFUSED_HEAD((head.oldest_version = 1, head.earlier = bytes_of(ids, 2 * ID_BYTES)));
    REFUSED_HEAD((head.ops[0].kind = CHANGE_ALTER, head.earlier = bytes_of(ids, ID_BYTES)));
    REFUSED_HEAD((head.kind = HEAD_TOMBSTONE, head.ops[0].kind = CHANGE_DELETE,
                  head.earlier = bytes_of(ids, ID_BYTES)));
    REFUSED_HEAD((head.kind = HEAD_VOID, head.earlier = bytes_of(ids, ID_BYTES)));
    struct head head = plain_head(), back;
    struct buf out = {0};
    const uint8_t other[ID_BYTES] = {13};
    head.earlier = bytes_of(ids, ID_BYTES);
    assert_int_equal(head_encode(&head, &out), OK);
    assert_int_equal(head_decode(buf_bytes(&out), &back), OK);
    assert_int_equal(head_earlier_count(&back), 1);
    assert_true(head_makes(&back, ids));
    assert_true(head_makes(&back, head.version_id));
    assert_false(head_makes(&back, other));
    buf_close(&out);
}

static void
test_heads_of_batches(void **state)
{
    uint8_t name[BATCH_RECORD_NAME_BYTES];
    struct head head = pending_head();
    (void)state;
    assert_true(head_is_pending(&head));
    assert_true(comes_back(&head));
    head.deleted_before = true;
    assert_true(comes_back(&head));
    head.kind = HEAD_VOID;
    assert_false(comes_back(&head));
    memset(head.batch, 0, BATCH_ID_BYTES);
    assert_true(comes_back(&head));
    head = plain_head();
    assert_false(head_is_pending(&head));
    head.deleted_before = true;
    assert_false(comes_back(&head));
    head = plain_head();
    head.batch[0] = 1; /* only a create is pending */
    assert_false(comes_back(&head));

    head = record_head(name);
    assert_true(comes_back(&head));
    head.members.size--;
    assert_false(comes_back(&head));
    head.members.size = 0;
    assert_false(comes_back(&head));
    head.decision = BATCH_ABORTED;
    assert_true(comes_back(&head));
    head.decision = BATCH_UNDECIDED;
    assert_false(comes_back(&head));
    head = record_head(name);
    head.incarnation[0] = 2; /* the record of another batch */
    assert_false(comes_back(&head));
    head = record_head(name);
    head.kind = HEAD_VOID; /* nothing else lies on its path */
    assert_false(comes_back(&head));
    head = record_head(name);
    head.path.name = bytes_of_text("a");
    assert_false(comes_back(&head));
    head = record_head(name);
    head.generation = 2;
    head.prev[0] = 1;
    assert_false(comes_back(&head));
}

static void
test_names_of_records(void **state)
{
    uint8_t id[BATCH_ID_BYTES] = {0xab, 1}, name[BATCH_RECORD_NAME_BYTES];
    struct path path = batch_record_path(bytes_of_text("t"), id, name);
    (void)state;
    assert_true(bytes_equal(path.name, bytes_of_text("_batch/ab010000000000000000000000000000")));
    assert_true(path_valid(path));
    assert_false(secret_name_valid(path.name));
    name[7] = 'A';
    assert_false(path_valid(path));
    name[7] = 'g';
    assert_false(path_valid(path));
    name[7] = '0';
    path.name.size--;
    assert_false(path_valid(path));
}

static void
test_head_full_of_operations(void **state)
{
    struct dice dice;
    struct head head = plain_head();
    struct head back;
    struct buf out = {0};
    struct cbor_writer w;
    struct bytes list;

    (void)state;
    dice_init(&dice, 7);
    head.path.tenant = dice_text(&dice, "t", TENANT_BYTES_MAX, TENANT_BYTES_MAX);
    head.path.name = dice_text(&dice, "n", NAME_BYTES_MAX, NAME_BYTES_MAX);
    dice_ops(&dice, &head, OP_IDS_MAX);
    memcpy(head.op_id, head.ops[0].op_id, OP_ID_BYTES);
    head.ops[0].kind = CHANGE_UPDATE;
    head.ops[0].version = head.version = COUNTER_MAX;
    assert_int_equal(head_encode(&head, &out), OK);
    assert_true(recodes(recode_head, buf_bytes(&out)));
    assert_true(out.size <= HEAD_BYTES_MAX);

    head.op_count = OP_IDS_MAX + 1;
    assert_int_equal(head_encode(&head, &(struct buf){0}), ERR_TOO_LARGE);
    assert_null(head_find_op(&head, plain_head().op_id));

    /* One operation too many on the wire. */
    list = dice_keep(&dice, &out);
    cbor_writer_init(&w, &out);
    cbor_put_array(&w, OP_IDS_MAX + 1);
    for (unsigned i = 0; i <= OP_IDS_MAX; i++) {
        cbor_put_array(&w, 4);
        cbor_put_bytes(&w, dice_bytes(&dice, OP_ID_BYTES, OP_ID_BYTES));
        cbor_put_uint(&w, CHANGE_DELETE);
        cbor_put_uint(&w, 2);
        cbor_put_uint(&w, 1000 - i);
    }
    assert_int_equal(head_decode(replace_item(&dice, list, 11, buf_bytes(&out)), &back),
                     ERR_MALFORMED);
    buf_close(&out);
    dice_close(&dice);
}

/* Each item of the encoding replaced by one of another type, size or range, taken out, doubled. */
static void
test_head_items(void **state)
{
    enum { ITEMS = 15 };
    struct dice dice;
    struct head head = plain_head(), back;
    struct bytes encoded, format;

    (void)state;
    dice_init(&dice, 3);
    encoded = encoded_head(&dice, &head);
    for (size_t i = 0; i < ITEMS; i++) {
        struct bytes no_text = replace_item(&dice, encoded, i, bytes_of("\x61\x61", 2));
        struct bytes no_null = replace_item(&dice, encoded, i, bytes_of("\xf6", 1));
        struct bytes negative = replace_item(&dice, encoded, i, bytes_of("\x20", 1));
        struct bytes large = replace_item(&dice, encoded, i, item_uint(&dice, UINT64_MAX));
        struct bytes oversize = replace_item(&dice, encoded, i, item_bytes(&dice, 513));
        struct bytes missing = replace_item(&dice, encoded, i, (struct bytes){0});

        assert_true(refused(recode_head, no_text));
        assert_true(refused(recode_head, no_null));
        assert_true(refused(recode_head, negative));
        assert_true(refused(recode_head, large));
        assert_true(refused(recode_head, oversize));
        assert_true(refused(recode_head, missing));
    }
    assert_true(refused(recode_head, replace_item(&dice, encoded, ITEMS, item_uint(&dice, 1))));
    format = item_uint(&dice, RECORD_VERSION_1);
    assert_true(refused(recode_head, replace_item(&dice, encoded, 0, format)));

    /* Nothing of a refused head is left. */
    memset(&back, 0, sizeof(back));
    assert_int_equal(head_decode(bytes_of(encoded.data, encoded.size - 1), &back), ERR_MALFORMED);
    assert_true(codec_all_zero((const uint8_t *)&back, sizeof(back)));
    assert_int_equal(head_decode((struct bytes){0}, &back), ERR_MALFORMED);
    dice_close(&dice);
}

static void
test_head_find_op(void **state)
{
    struct head head = plain_head();
    static const uint8_t oldest[OP_ID_BYTES] = {8}, unknown[OP_ID_BYTES] = {8, 1};

    (void)state;
    assert_ptr_equal(head_find_op(&head, head.op_id), &head.ops[0]);
    assert_ptr_equal(head_find_op(&head, oldest), &head.ops[2]);
    assert_null(head_find_op(&head, unknown));
    head.op_count = 2;
    assert_null(head_find_op(&head, oldest));
}

/* What was in the buffer before stays, whatever happens. */
static void
test_encoders_append(void **state)
{
    struct head head = plain_head();
    struct version_record version = {.version = 1, .author = bytes_of_text("root")};
    struct buf out = {0}, full = full_buf();
    size_t first;

    (void)state;
    assert_int_equal(buf_append_text(&out, "before"), OK);
    assert_int_equal(head_encode(&head, &out), OK);
    first = out.size;
    version.author = bytes_of_text("");
    assert_int_equal(version_encode(&version, &out), ERR_RANGE);
    assert_int_equal(out.size, first);
    assert_memory_equal(out.data, "before", 6);
    buf_close(&out);

    version.author = bytes_of_text("root");
    assert_int_equal(head_encode(&head, &full), ERR_NOMEM);
    assert_int_equal(version_encode(&version, &full), ERR_NOMEM);
    assert_int_equal(bytes_list_encode(NULL, 0, &full), ERR_NOMEM);
    assert_int_equal(full.size, SIZE_MAX / 4);
}

/* Lists */

static void
test_lists(void **state)
{
    struct bytes items[4] = {bytes_of_text("one"), bytes_of_text(""), bytes_of_text("three")};
    struct bytes back[4];
    struct buf out = {0};
    size_t count = 9;

    (void)state;
    assert_int_equal(bytes_list_encode(items, 3, &out), OK);
    assert_int_equal(bytes_list_decode(buf_bytes(&out), 5, back, 3, &count), OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(bytes_equal(items[i], back[i]));

    assert_int_equal(bytes_list_decode(buf_bytes(&out), 5, back, 2, &count), ERR_TOO_LARGE);
    assert_int_equal(count, 0);
    assert_int_equal(bytes_list_decode(buf_bytes(&out), 4, back, 3, &count), ERR_MALFORMED);
    for (size_t size = 0; size < out.size; size++) {
        assert_int_equal(bytes_list_decode(bytes_of(out.data, size), 5, back, 3, &count),
                         ERR_MALFORMED);
        assert_int_equal(count, 0);
    }
    assert_int_equal(buf_append_text(&out, "x"), OK);
    assert_int_equal(bytes_list_decode(buf_bytes(&out), 5, back, 3, &count), ERR_MALFORMED);
    buf_close(&out);

    assert_int_equal(bytes_list_encode(NULL, 0, &out), OK);
    assert_int_equal(bytes_list_decode(buf_bytes(&out), 5, back, 0, &count), OK);
    assert_int_equal(count, 0);
    buf_close(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_ballots),
        cmocka_unit_test(test_head_round_trips),
        cmocka_unit_test(test_head_damage),
        cmocka_unit_test(test_head_stays_the_same),
        cmocka_unit_test(test_head_relations),
        cmocka_unit_test(test_head_operations),
        cmocka_unit_test(test_heads_of_batches),
        cmocka_unit_test(test_heads_of_several_versions),
        cmocka_unit_test(test_heads_of_identity_records),
        cmocka_unit_test(test_names_of_records),
        cmocka_unit_test(test_head_full_of_operations),
        cmocka_unit_test(test_head_items),
        cmocka_unit_test(test_head_find_op),
        cmocka_unit_test(test_encoders_append),
        cmocka_unit_test(test_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
