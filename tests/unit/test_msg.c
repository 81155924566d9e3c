/* Messages between nodes: every bound of a field holds on both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "msg_fixture.h"
#include "proto/proof.h"

enum { COMMON = 5 };

/* Bounds of single fields */

struct bound {
    enum msg_kind kind;
    size_t item; /* 0 for the first field of the kind's own */
    bool bytes;  /* min and max are sizes */
    uint64_t min, max;
};

#define REFUSAL_MAX REFUSED_FORGOTTEN
static const struct bound bounds[] = {
    {MSG_VOTE, 1, false, CHANGE_CREATE, CHANGE_ERASE},
    {MSG_VOTE, 2, true, OP_ID_BYTES, OP_ID_BYTES},
    {MSG_VOTE, 3, true, 0, CREDENTIAL_BYTES_MAX},
    {MSG_VOTED, 1, false, 0, REFUSAL_MAX},
    {MSG_WRITE, 1, true, 1, HEAD_BYTES_MAX},
    {MSG_WRITE, 2, true, 0, VERSION_BYTES_MAX},
    {MSG_WRITE, 3, true, 0, DEALING_BYTES_MAX},
    {MSG_WRITE, 4, true, 0, BOXES_BYTES_MAX},
    {MSG_WRITE, 5, true, HASH_BYTES, HASH_BYTES},
    {MSG_WRITTEN, 1, true, ID_BYTES, ID_BYTES},
    {MSG_WRITTEN, 2, false, 0, REFUSAL_MAX},
    {MSG_CHOSEN, 1, true, ID_BYTES, ID_BYTES},
    {MSG_CHOSEN, 2, true, 0, HEAD_BYTES_MAX},
    {MSG_CHOSEN, 3, false, 0, (1u << NODES_MAX) - 1},
    {MSG_ERASED, 0, true, ID_BYTES, ID_BYTES},
    {MSG_ERASED, 2, false, 0, STATE_RECEIVED},
    {MSG_ERASED, 4, true, 0, HEAD_BYTES_MAX},
    {MSG_READ, 0, false, 0, COUNTER_MAX},
    {MSG_READ, 1, true, ID_BYTES, ID_BYTES},
    {MSG_READ, 2, true, 0, CREDENTIAL_BYTES_MAX},
    {MSG_READ, 4, true, 0, ID_BYTES},
    {MSG_STATE, 0, false, 0, REFUSAL_MAX},
    {MSG_STATE, 2, true, 0, VERSION_BYTES_MAX},
    {MSG_STATE, 3, true, 0, DEALING_BYTES_MAX},
    {MSG_STATE, 4, false, 0, SHARE_BAD},
    {MSG_STATE, 5, true, 0, SECRET_BYTES_MAX},
    {MSG_FETCH, 0, true, ID_BYTES, ID_BYTES},
    {MSG_FETCHED, 0, false, 0, REFUSAL_MAX},
    {MSG_FETCHED, 1, true, ID_BYTES, ID_BYTES},
    {MSG_FETCHED, 2, true, 0, HEAD_BYTES_MAX},
    {MSG_FETCHED, 3, true, 0, VERSION_BYTES_MAX},
    {MSG_FETCHED, 4, true, 0, DEALING_BYTES_MAX},
    {MSG_FETCHED, 5, true, 0, BOXES_BYTES_MAX},
    {MSG_LIST, 0, false, 0, COUNTER_MAX},
    {MSG_LIST, 1, false, 1, PAGE_MAX + 1},
    {MSG_LIST, 2, true, 0, CREDENTIAL_BYTES_MAX},
    {MSG_VERSIONS, 0, false, 0, REFUSAL_MAX},
    {MSG_VERSIONS, 2, true, 0, RECORDS_BYTES_MAX},
    {MSG_SHARE, 1, true, 1, VERSION_BYTES_MAX},
    {MSG_SHARE, 2, true, 1, DEALING_BYTES_MAX},
    {MSG_SHARE, 3, true, 1, BOX_BYTES_MAX},
    {MSG_SHARED, 0, false, 0, SHARED_BAD},
    {MSG_SHARED, 1, false, 0, COUNTER_MAX},
    {MSG_SHARED, 2, true, ID_BYTES, ID_BYTES},
    {MSG_HEARTBEAT, 0, false, 0, UINT64_MAX},
    {MSG_HEARTBEAT, 8, false, 0, UINT64_MAX},
    {MSG_HEARTBEAT, 9, true, X25519_BYTES, X25519_BYTES},
    {MSG_HEARTBEAT, 12, false, 0, UINT64_MAX},
    {MSG_HEARTBEAT, 13, false, 0, UINT64_MAX},
    {MSG_DELIVER, 0, false, 0, DELIVER_REWRAP},
    {MSG_COMPARE, 0, false, COMPARE_ALL, COMPARE_LEAVES},
    {MSG_COMPARE, 1, false, 0, RANGES - 1},
    {MSG_COMPARE, 2, true, DIGEST_BYTES, RANGES *DIGEST_BYTES},
    {MSG_COMPARED, 0, false, COMPARE_ALL, COMPARE_LEAVES},
    {MSG_COMPARED, 1, false, 0, RANGES - 1},
    {MSG_COMPARED, 3, true, DIFFERING_BYTES, DIFFERING_BYTES},
    {MSG_ASK_ENTRIES, 0, false, 0, LEAVES - 1},
    {MSG_ASK_ENTRIES, 1, true, 0, PATH_KEY_BYTES_MAX},
    {MSG_ENTRIES, 0, false, 0, LEAVES - 1},
    {MSG_ENTRIES, 1, true, 0, PATH_KEY_BYTES_MAX},
    {MSG_ENTRIES, 2, true, 0, ENTRIES_BYTES_MAX},
    {MSG_HEARTBEAT, 16, true, STORE_ID_BYTES, STORE_ID_BYTES},
    {MSG_HEARTBEAT, 17, false, 0, RECOVERY_SHARES},
    {MSG_HEARTBEAT, 22, false, 0, UINT64_MAX},
    {MSG_RECOVER, 1, false, 1, UINT64_MAX},
    {MSG_RECOVER, 2, true, STORE_ID_BYTES, STORE_ID_BYTES},
    {MSG_RECOVER, 3, true, 0, KEY_BYTES_MAX},
    {MSG_RECOVERED, 0, false, 1, UINT64_MAX},
    {MSG_RECOVERED, 2, true, 0, KEY_BYTES_MAX},
    {MSG_RECOVERED, 3, false, 0, REFUSAL_MAX},
    {MSG_RECOVERED, 4, true, 0, KEY_BYTES_MAX},
    {MSG_RECOVERED, 6, true, 0, 8 * NODES_MAX},
    {MSG_RECOVERED, 7, true, 0, RECOVERED_ITEMS_BYTES_MAX},
    {MSG_HANDOVER, 1, true, 0, VERSION_BYTES_MAX},
    {MSG_HANDOVER, 2, true, 0, DEALING_BYTES_MAX},
    {MSG_HANDOVER, 3, true, 0, BOXES_BYTES_MAX},
    {MSG_HANDOVER, 4, false, 0, HANDOVER_SETTLED},
    {MSG_HANDED, 0, false, 0, REFUSAL_MAX},
    {MSG_HEARTBEAT, 23, false, 0, UINT64_MAX},
    {MSG_HEARTBEAT, 24, true, X25519_BYTES, X25519_BYTES},
    {MSG_HEARTBEAT, 25, true, X25519_BYTES, X25519_BYTES},
    {MSG_HEARTBEAT, 28, false, 0, UINT64_MAX},
    {MSG_VOTED, 5, true, 0, MACS_BYTES_MAX},
    {MSG_VOTED, 6, true, 0, MACS_BYTES_MAX},
    {MSG_WRITE, 7, true, 0, PROOF_BYTES_MAX},
    {MSG_WRITE, 8, true, 0, PROOF_BYTES_MAX},
    {MSG_WRITTEN, 5, true, 0, MACS_BYTES_MAX},
    {MSG_CHOSEN, 5, true, 0, PROOF_BYTES_MAX},
    {MSG_HELP, 0, false, 1, COUNTER_MAX},
    {MSG_HELP, 1, true, ID_BYTES, ID_BYTES},
    {MSG_HELP, 3, false, 0, (1u << REPLICAS_MAX) - 1},
    {MSG_HELPED, 0, false, 0, HELPED_UNFIT},
    {MSG_HELPED, 1, false, 1, COUNTER_MAX},
    {MSG_HELPED, 2, true, ID_BYTES, ID_BYTES},
    {MSG_HELPED, 3, true, 0, SECRET_BYTES_MAX},
    {MSG_HELPED, 4, true, 0, VERSION_BYTES_MAX},
    {MSG_HELPED, 5, true, 0, DEALING_BYTES_MAX},
    {MSG_CHECK, 0, false, 0, COUNTER_MAX},
    {MSG_CHECK, 1, true, ID_BYTES, ID_BYTES},
    {MSG_CHECKED, 0, false, 0, CHECKED_CORRUPT},
    {MSG_CHECKED, 1, false, 0, COUNTER_MAX},
    {MSG_CHECKED, 3, false, 0, UINT64_MAX},
    {MSG_SCAN, 0, true, 1, TENANT_BYTES_MAX},
    {MSG_SCAN, 1, true, 0, NAME_BYTES_MAX},
    {MSG_SCAN, 2, true, 0, NAME_BYTES_MAX},
    {MSG_SCAN, 3, false, 1, SCAN_NAMES_MAX},
    {MSG_SCAN, 4, true, 0, CREDENTIAL_BYTES_MAX},
    {MSG_SCANNED, 1, true, 0, NAME_BYTES_MAX},
    {MSG_SCANNED, 2, true, 0, SCAN_NAMES_BYTES_MAX},
    {MSG_TRAIL, 0, false, 0, TRAIL_HEADS},
    {MSG_TRAIL, 1, false, 0, NODES_MAX - 1},
    {MSG_TRAIL, 4, false, 1, AUDIT_PAGE_RECORDS_MAX},
    {MSG_TRAIL, 5, true, 0, AUDIT_QUERY_BYTES_MAX},
    {MSG_TRAIL, 6, true, 0, CREDENTIAL_BYTES_MAX},
    {MSG_TRAILED, 0, false, 0, REFUSAL_MAX},
    {MSG_TRAILED, 1, true, 0, AUDIT_PAGE_BYTES_MAX},
};

static struct bytes
bound_item(struct dice *dice, const struct bound *bound, uint64_t value)
{
    return bound->bytes ? item_bytes(dice, (size_t)value) : item_uint(dice, value);
}

static void
test_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        const struct bound *bound = &bounds[i];
        size_t item = COMMON + bound->item;
        struct dice dice;
        struct msg msg;
        struct bytes encoded;

        dice_init(&dice, i);
        msg = dice_msg(&dice, bound->kind);
        encoded = encoded_msg(&dice, &msg);
#define WITH(value) replace_item(&dice, encoded, item, bound_item(&dice, bound, value))
        assert_true(recodes(recode_msg, WITH(bound->min)));
        assert_true(recodes(recode_msg, WITH(bound->max)));
        if (bound->min > 0)
            assert_true(refused(recode_msg, WITH(bound->min - 1)));
        if (bound->max < UINT64_MAX)
            assert_true(refused(recode_msg, WITH(bound->max + 1)));
#undef WITH
        dice_close(&dice);
    }
}

/* The encoder keeps to the same bounds, and leaves no trace of what it refused. */
static void
assert_not_encoded(const struct msg *msg, enum vault_err expected)
{
    struct buf out = {0};

    assert_int_equal(buf_append_text(&out, "before"), OK);
    assert_int_equal(buf_reserve(&out, FRAME_BYTES_MAX), OK);
    memset(out.data + out.size, 0, out.capacity - out.size);
    assert_int_equal(msg_encode(msg, &out), expected);
    assert_int_equal(out.size, 6);
    assert_memory_equal(out.data, "before", 6);
    assert_true(codec_all_zero(out.data + 6, out.capacity - 6));
    buf_close(&out);
}

#define NOT_ENCODED(msg_kind, expected, change)                                                    \
    do {                                                                                           \
        struct msg msg = dice_msg(&dice, msg_kind);                                                \
        change;                                                                                    \
        assert_not_encoded(&msg, expected);                                                        \
    } while (0)

static void
test_encoder_refuses_sizes(void **state)
{
    struct dice dice;
    struct bytes large;

    (void)state;
    dice_init(&dice, 5);
    large = dice_bytes(&dice, DEALING_BYTES_MAX + 1, DEALING_BYTES_MAX + 1);
#define LARGER(limit) bytes_of(large.data, (size_t)(limit) + 1)
    NOT_ENCODED(MSG_VOTE, ERR_TOO_LARGE, msg.u.vote.credential = LARGER(CREDENTIAL_BYTES_MAX));
    NOT_ENCODED(MSG_READ, ERR_TOO_LARGE, msg.u.read.credential = LARGER(CREDENTIAL_BYTES_MAX));
    NOT_ENCODED(MSG_LIST, ERR_TOO_LARGE, msg.u.list.credential = LARGER(CREDENTIAL_BYTES_MAX));
    NOT_ENCODED(MSG_WRITE, ERR_TOO_LARGE, msg.u.write.head = LARGER(HEAD_BYTES_MAX));
    NOT_ENCODED(MSG_WRITE, ERR_TOO_LARGE, msg.u.write.version = LARGER(VERSION_BYTES_MAX));
    NOT_ENCODED(MSG_WRITE, ERR_TOO_LARGE, msg.u.write.dealing = LARGER(DEALING_BYTES_MAX));
    NOT_ENCODED(MSG_WRITE, ERR_TOO_LARGE, msg.u.write.boxes = LARGER(BOXES_BYTES_MAX));
    NOT_ENCODED(MSG_CHOSEN, ERR_TOO_LARGE, msg.u.chosen.head = LARGER(HEAD_BYTES_MAX));
    NOT_ENCODED(MSG_ERASED, ERR_TOO_LARGE, msg.u.erased.head = LARGER(HEAD_BYTES_MAX));
    NOT_ENCODED(MSG_STATE, ERR_TOO_LARGE, msg.u.state.share = LARGER(SECRET_BYTES_MAX));
    NOT_ENCODED(MSG_STATE, ERR_TOO_LARGE, msg.u.state.dealing = LARGER(DEALING_BYTES_MAX));
    NOT_ENCODED(MSG_FETCHED, ERR_TOO_LARGE, msg.u.fetched.boxes = LARGER(BOXES_BYTES_MAX));
    NOT_ENCODED(MSG_SHARE, ERR_TOO_LARGE, msg.u.share.box = LARGER(BOX_BYTES_MAX));
    NOT_ENCODED(MSG_VERSIONS, ERR_TOO_LARGE, msg.u.versions.records = LARGER(RECORDS_BYTES_MAX));
    NOT_ENCODED(MSG_FETCH, ERR_RANGE, msg.path.name = LARGER(NAME_BYTES_MAX));
    NOT_ENCODED(MSG_FETCH, ERR_RANGE, msg.path.tenant = LARGER(TENANT_BYTES_MAX));
#undef LARGER
    large = dice_text(&dice, "r", REQUEST_ID_BYTES_MAX + 1, REQUEST_ID_BYTES_MAX + 1);
    NOT_ENCODED(MSG_FETCH, ERR_TOO_LARGE, msg.request_id = large);
    dice_close(&dice);
}

static void
test_encoder_refuses_values(void **state)
{
    static uint8_t byte;
    struct buf full = {.data = &byte, .size = SIZE_MAX / 4, .capacity = SIZE_MAX / 4};
    struct dice dice;
    struct msg vote;

    (void)state;
    dice_init(&dice, 6);
    NOT_ENCODED(MSG_VOTE, ERR_RANGE, msg.u.vote.ballot = (struct ballot){0});
    NOT_ENCODED(MSG_VOTE, ERR_RANGE, msg.u.vote.ballot.node = NODES_MAX);
    NOT_ENCODED(MSG_VOTE, ERR_RANGE, msg.u.vote.purpose = CHANGE_NONE);
    NOT_ENCODED(MSG_VOTE, ERR_RANGE, msg.u.vote.purpose = (enum change_kind)7);
    NOT_ENCODED(MSG_VOTED, ERR_RANGE, msg.u.voted.refusal = (enum refusal)(REFUSAL_MAX + 1));
    NOT_ENCODED(MSG_VOTED, ERR_RANGE, msg.u.voted.beat = (struct ballot){.node = 1});
    NOT_ENCODED(MSG_VOTED, ERR_RANGE, msg.u.voted.incarnations.count = NODES_MAX + 1);
    NOT_ENCODED(MSG_WRITE, ERR_RANGE, msg.u.write.head.size = 0);
    NOT_ENCODED(MSG_CHOSEN, ERR_RANGE, msg.u.chosen.written = 1u << NODES_MAX);
    NOT_ENCODED(MSG_LIST, ERR_RANGE, msg.u.list.limit = 0);
    NOT_ENCODED(MSG_LIST, ERR_RANGE, msg.u.list.limit = PAGE_MAX + 2);
    NOT_ENCODED(MSG_SHARE, ERR_RANGE, msg.u.share.box.size = 0);
    NOT_ENCODED(MSG_DELIVER, ERR_RANGE, msg.u.deliver.owner = DELIVER_REWRAP + 1);
    NOT_ENCODED(MSG_HELP, ERR_RANGE, msg.u.help.version = 0);
    NOT_ENCODED(MSG_HELP, ERR_RANGE, msg.u.help.helpers = 1u << REPLICAS_MAX);
    NOT_ENCODED(MSG_HELPED, ERR_RANGE, msg.u.helped.version = 0);
    NOT_ENCODED(MSG_FETCH, ERR_RANGE, msg.request_id = bytes_of_text("a b"));
    NOT_ENCODED(MSG_FETCH, ERR_RANGE, msg.request_id = bytes_of_text("a\n"));
    NOT_ENCODED(MSG_FETCH, ERR_RANGE, msg.path.name = bytes_of_text("../x"));
    NOT_ENCODED(MSG_FETCH, ERR_RANGE, msg.path = (struct path){0});
    NOT_ENCODED(MSG_HEARTBEAT, ERR_RANGE, msg.path.tenant = bytes_of_text("acme"));
    NOT_ENCODED(MSG_HEARTBEAT, ERR_RANGE, msg.path.name = bytes_of_text("name"));
    NOT_ENCODED(MSG_RECOVER, ERR_RANGE, msg.path.name = bytes_of_text("name"));
    NOT_ENCODED(MSG_RECOVERED, ERR_RANGE, msg.path.tenant = bytes_of_text("acme"));
    NOT_ENCODED(MSG_RECOVER, ERR_RANGE, msg.u.recover.incarnation = 0);

    vote = dice_msg(&dice, MSG_VOTE);
    assert_int_equal(msg_encode(&vote, &full), ERR_NOMEM);
    assert_int_equal(full.size, SIZE_MAX / 4);
    dice_close(&dice);
}

/* Absent means: no ballot, no head. Anything between is refused on both sides. */
static void
test_accepted(void **state)
{
    static const struct ballot some = {.time = 9, .node = 1, .incarnation = 1};
    const struct bytes head = bytes_of_text("h");
    struct dice dice;

    (void)state;
    dice_init(&dice, 8);
    for (unsigned bits = 0; bits < 16; bits++) {
        struct accepted accepted = {
            .ballot = bits & 1 ? some : (struct ballot){0},
            .head = bits & 2 ? head : (struct bytes){0},
            .state = (enum accepted_state)(bits >> 2),
        };
        bool good = bits == 0 || bits == 7 || bits == 11 || bits == 15;
        struct msg msg = dice_msg(&dice, MSG_STATE);
        struct buf item = {0};
        struct cbor_writer w;
        struct bytes encoded = encoded_msg(&dice, &msg);

        cbor_writer_init(&w, &item);
        cbor_put_array(&w, 3);
        codec_put_ballot(&w, accepted.ballot);
        cbor_put_uint(&w, accepted.state);
        cbor_put_bytes(&w, accepted.head);
        assert_int_equal(w.err, OK);
        encoded = replace_item(&dice, encoded, COMMON + 1, buf_bytes(&item));
        assert_int_equal(recodes(recode_msg, encoded), good);
        buf_close(&item);

        msg.u.state.accepted = accepted;
        if (!good)
            assert_not_encoded(&msg, ERR_RANGE);
    }
    NOT_ENCODED(MSG_STATE, ERR_RANGE,
                (msg.u.state.accepted.ballot = some, msg.u.state.accepted.head = head,
                 msg.u.state.accepted.state = (enum accepted_state)4));
    dice_close(&dice);
}

/* Each item of another type, missing, or one more. */
static void
test_items(void **state)
{
    (void)state;
    for (int kind = KIND_FIRST; kind <= KIND_LAST; kind++) {
        if (!travels(kind))
            continue;
        struct dice dice;
        struct msg msg;
        struct bytes encoded;
        struct cbor_reader r;
        size_t count;

        dice_init(&dice, (uint64_t)kind);
        msg = dice_msg(&dice, (enum msg_kind)kind);
        encoded = encoded_msg(&dice, &msg);
        cbor_reader_init(&r, encoded);
        count = (size_t)cbor_get_array(&r, SIZE_MAX);
        for (size_t i = 0; i < count; i++) {
            assert_true(
                refused(recode_msg, replace_item(&dice, encoded, i, bytes_of("\x61\x61", 2))));
            assert_true(refused(recode_msg, replace_item(&dice, encoded, i, bytes_of("\xf6", 1))));
            assert_true(refused(recode_msg, replace_item(&dice, encoded, i, bytes_of("\x20", 1))));
            assert_true(refused(recode_msg, replace_item(&dice, encoded, i, bytes_of("\xa0", 1))));
            assert_true(refused(recode_msg, replace_item(&dice, encoded, i, (struct bytes){0})));
        }
        assert_true(refused(recode_msg, replace_item(&dice, encoded, count, bytes_of("\x00", 1))));
        dice_close(&dice);
    }
}

static void
test_composites(void **state)
{
    static const struct {
        const char *item;
        size_t size;
        bool good;
    } ballots[] =
        {
            {"\x83\x01\x00\x08", 4, true},      {"\x83\x01\x00\x09", 4, false},
            {"\x83\x00\x00\x00", 4, false},     {"\x83\x00\x01\x00", 4, false},
            {"\x82\x01\x01", 3, false},         {"\x84\x01\x01\x01\x01", 5, true},
            {"\x84\x01\x01\x01\x00", 5, false}, {"\x84\x01\x01\x01\x02", 5, false},
            {"\x84\x00\x00\x00\x01", 5, false}, {"\x85\x01\x01\x01\x01\x01", 6, false},
            {"\x83\x18\x01\x00\x01", 5, false}, {"\x83\x01\x18\x18\x01", 5, true},
        },
      lists[] = {
          {"\x80", 1, false},
          {"\x82\x00\x01", 3, false},
          {"\x83\x00\x07\x15", 4, true},
          {"\x8c\x05\x06\x07\x00\x01\x02\x03\x04\x05\x06\x07\x08", 13, true},
          {"\x8d\x05\x06\x07\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", 14, false},
          {"\x84\x05\x06\x07\x40", 5, false},
      };
    struct dice dice;
    struct msg msg;
    struct bytes encoded;

    (void)state;
    dice_init(&dice, 4);
    msg = dice_msg(&dice, MSG_WRITTEN);
    encoded = encoded_msg(&dice, &msg);
    for (size_t i = 0; i < sizeof(ballots) / sizeof(ballots[0]); i++) {
        struct bytes item = bytes_of(ballots[i].item, ballots[i].size);

        assert_int_equal(recodes(recode_msg, replace_item(&dice, encoded, COMMON, item)),
                         ballots[i].good);
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct bytes item = bytes_of(lists[i].item, lists[i].size);

        assert_int_equal(recodes(recode_msg, replace_item(&dice, encoded, COMMON + 4, item)),
                         lists[i].good);
    }
    /* The ballot to beat may be none, but only in one way. */
    assert_true(recodes(recode_msg,
                        replace_item(&dice, encoded, COMMON + 3, bytes_of("\x83\x00\x00\x00", 4))));
    assert_true(refused(recode_msg,
                        replace_item(&dice, encoded, COMMON + 3, bytes_of("\x83\x00\x00\x01", 4))));
    dice_close(&dice);
}

/* Which ballots may be none. */
static void
test_no_ballot(void **state)
{
    static const struct {
        enum msg_kind kind;
        size_t item;
        bool optional;
    } ballots[] = {
        {MSG_VOTE, 0, false},  {MSG_VOTED, 0, false},   {MSG_VOTED, 2, true},
        {MSG_WRITE, 0, false}, {MSG_WRITTEN, 0, false}, {MSG_WRITTEN, 3, true},
        {MSG_ERASED, 3, true}, {MSG_CHOSEN, 0, false},
    };
    const struct bytes none = bytes_of("\x83\x00\x00\x00", 4);

    (void)state;
    for (size_t i = 0; i < sizeof(ballots) / sizeof(ballots[0]); i++) {
        struct dice dice;
        struct msg msg;
        struct bytes encoded;

        dice_init(&dice, i);
        msg = dice_msg(&dice, ballots[i].kind);
        encoded = replace_item(&dice, encoded_msg(&dice, &msg), COMMON + ballots[i].item, none);
        assert_int_equal(recodes(recode_msg, encoded), ballots[i].optional);
        assert_int_equal(refused(recode_msg, encoded), !ballots[i].optional);
        dice_close(&dice);
    }
}

static void
test_common_items(void **state)
{
    struct dice dice;
    struct msg msg, heartbeat;
    struct bytes encoded, beat;

    (void)state;
    dice_init(&dice, 9);
    msg = dice_msg(&dice, MSG_FETCH);
    encoded = encoded_msg(&dice, &msg);
    heartbeat = dice_msg(&dice, MSG_HEARTBEAT);
    beat = encoded_msg(&dice, &heartbeat);

#define SWAPPED(from, index, text)                                                                 \
    replace_item(&dice, from, index, bytes_of(text, sizeof(text) - 1))
    assert_true(recodes(recode_msg, SWAPPED(encoded, 2, "\x42r1")));
    assert_true(refused(recode_msg, SWAPPED(encoded, 2, "\x42r ")));
    assert_true(refused(recode_msg, SWAPPED(encoded, 2, "\x42r\x80")));
    assert_true(
        refused(recode_msg, replace_item(&dice, encoded, 2, item_bytes(&dice, 1)))); /* NUL */
    assert_true(refused(recode_msg, SWAPPED(encoded, 3, "\x40")));
    assert_true(refused(recode_msg, SWAPPED(encoded, 3,
                                            "\x42"
                                            "A1")));
    assert_true(refused(recode_msg, SWAPPED(encoded, 4, "\x40")));
    assert_true(refused(recode_msg, SWAPPED(encoded, 4, "\x42..")));
    assert_true(refused(recode_msg, SWAPPED(encoded, 4, "\x42_x")));
    assert_true(refused(recode_msg, SWAPPED(encoded, 4, "\x42\xc3x")));
    assert_true(refused(recode_msg, SWAPPED(beat, 3,
                                            "\x42"
                                            "aa")));
    assert_true(refused(recode_msg, SWAPPED(beat, 4,
                                            "\x42"
                                            "aa")));
    dice_close(&dice);
}

/* Kinds */

static void
test_unknown_kinds(void **state)
{
    struct dice dice;
    struct msg msg;
    struct bytes encoded;

    (void)state;
    dice_init(&dice, 2);
    msg = dice_msg(&dice, MSG_ASK_ERASED); /* no fields: an unknown kind could pass for it */
    encoded = encoded_msg(&dice, &msg);
    for (uint64_t kind = 0; kind <= 300; kind++) {
        struct bytes other = replace_item(&dice, encoded, 0, item_uint(&dice, kind));

        assert_int_equal(recodes(recode_msg, other), kind == MSG_ASK_ERASED);
    }
    assert_true(refused(recode_msg, replace_item(&dice, encoded, 0, item_uint(&dice, UINT64_MAX))));
    assert_true(refused(recode_msg,
                        replace_item(&dice, encoded, 0, item_uint(&dice, UINT64_C(0x100000010)))));
    dice_close(&dice);
}

static void
test_local_kinds_stay_here(void **state)
{
    (void)state;
    for (int kind = 0; kind < 300; kind++) {
        struct msg msg = {
            .kind = (enum msg_kind)kind,
            .path = {bytes_of_text("acme"), bytes_of_text("db")},
        };

        if (!travels(kind))
            assert_not_encoded(&msg, ERR_UNEXPECTED);
    }
}

static void
test_names(void **state)
{
    (void)state;
    assert_string_equal(msg_kind_name(MSG_VOTE), "VOTE");
    assert_string_equal(msg_kind_name(MSG_DELIVER), "DELIVER");
    assert_string_equal(msg_kind_name(MSG_HANDED), "HANDED");
    assert_string_equal(msg_kind_name(MSG_HELPED), "HELPED");
    assert_string_equal(msg_kind_name(MSG_PEER_DOWN), "PEER_DOWN");
    assert_string_equal(msg_kind_name((enum msg_kind)0), "?");
    assert_string_equal(msg_kind_name((enum msg_kind)99), "?");
    assert_string_equal(refusal_name(REFUSED_NONE), "NONE");
    assert_string_equal(refusal_name(REFUSED_ABSENT), "ABSENT");
    assert_string_equal(refusal_name((enum refusal)99), "?");
}

static void
test_refused_leaves_nothing(void **state)
{
    struct dice dice;
    struct msg msg, back;
    struct bytes encoded;

    (void)state;
    dice_init(&dice, 11);
    msg = dice_msg(&dice, MSG_STATE);
    encoded = encoded_msg(&dice, &msg);
    memset(&back, 0xa5, sizeof(back));
    assert_int_equal(msg_decode(bytes_of(encoded.data, encoded.size - 1), &back), ERR_MALFORMED);
    assert_true(codec_all_zero((const uint8_t *)&back, sizeof(back)));
    memset(&back, 0xa5, sizeof(back));
    assert_int_equal(msg_decode((struct bytes){0}, &back), ERR_MALFORMED);
    assert_true(codec_all_zero((const uint8_t *)&back, sizeof(back)));
    dice_close(&dice);
}

/* The largest of everything at once still fits a frame. */
static void
test_largest(void **state)
{
    struct dice dice;
    struct msg msg;
    struct bytes large;

    (void)state;
    dice_init(&dice, 12);
    large = dice_bytes(&dice, DEALING_BYTES_MAX, DEALING_BYTES_MAX);
    msg = dice_msg(&dice, MSG_WRITE);
    msg.u.write.head = bytes_of(large.data, HEAD_BYTES_MAX);
    msg.u.write.version = bytes_of(large.data, VERSION_BYTES_MAX);
    msg.u.write.dealing = large;
    msg.u.write.boxes = bytes_of(large.data, BOXES_BYTES_MAX);
    assert_true(recodes(recode_msg, encoded_msg(&dice, &msg)));
    dice_close(&dice);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_encoder_refuses_sizes),
        cmocka_unit_test(test_encoder_refuses_values),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_composites),
        cmocka_unit_test(test_no_ballot),
        cmocka_unit_test(test_common_items),
        cmocka_unit_test(test_unknown_kinds),
        cmocka_unit_test(test_local_kinds_stay_here),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused_leaves_nothing),
        cmocka_unit_test(test_largest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
