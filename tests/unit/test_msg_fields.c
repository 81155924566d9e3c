/*
 * Messages between nodes: every kind and field round trips in both directions, and what is damaged
 * is refused or is another message exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "msg_fixture.h"

enum { ROUNDS = 200 };

/* Equality, field by field and apart from the codec's table */

static void
assert_bytes_equal(struct bytes a, struct bytes b)
{
    assert_true(bytes_equal(a, b));
}

static void
assert_ballot_equal(struct ballot a, struct ballot b)
{
    assert_int_equal(a.time, b.time);
    assert_int_equal(a.incarnation, b.incarnation);
    assert_int_equal(a.node, b.node);
}

static void
assert_accepted_equal(struct accepted a, struct accepted b)
{
    assert_ballot_equal(a.ballot, b.ballot);
    assert_int_equal(a.state, b.state);
    assert_bytes_equal(a.head, b.head);
}

static void
assert_incarnations_equal(struct incarnations a, struct incarnations b)
{
    assert_int_equal(a.count, b.count);
    assert_int_equal(a.life, b.life);
    assert_int_equal(a.sequence, b.sequence);
    assert_int_equal(a.placed, b.placed);
    for (unsigned i = 0; i < NODES_MAX; i++)
        assert_int_equal(a.of[i], b.of[i]);
}

static void
assert_pair_key_ids_equal(struct pair_key_ids a, struct pair_key_ids b)
{
    assert_int_equal(a.count, b.count);
    for (unsigned i = 0; i < REPLICAS_MAX; i++)
        assert_int_equal(a.of[i], b.of[i]);
}

#define NUMBER(m, f)    assert_int_equal(a->u.m.f, b->u.m.f)
#define FIXED(m, f)     assert_memory_equal(a->u.m.f, b->u.m.f, sizeof(a->u.m.f))
#define BYTES(m, f)     assert_bytes_equal(a->u.m.f, b->u.m.f)
#define BALLOT(m, f)    assert_ballot_equal(a->u.m.f, b->u.m.f)
#define ACCEPTED(m)     assert_accepted_equal(a->u.m.accepted, b->u.m.accepted)
#define INCARNATIONS(m) assert_incarnations_equal(a->u.m.incarnations, b->u.m.incarnations)

static void
assert_questions_equal(const struct msg *a, const struct msg *b)
{
    if (a->kind == MSG_VOTE) {
        BALLOT(vote, ballot);
        NUMBER(vote, purpose);
        FIXED(vote, op_id);
        BYTES(vote, credential);
        BYTES(vote, change);
    } else if (a->kind == MSG_WRITE) {
        BALLOT(write, ballot);
        BYTES(write, head);
        BYTES(write, version);
        BYTES(write, dealing);
        BYTES(write, boxes);
        FIXED(write, config_hash);
        INCARNATIONS(write);
    } else if (a->kind == MSG_CHOSEN) {
        BALLOT(chosen, ballot);
        FIXED(chosen, head_id);
        BYTES(chosen, head);
        NUMBER(chosen, written);
        INCARNATIONS(chosen);
    } else if (a->kind == MSG_READ) {
        NUMBER(read, version);
        FIXED(read, version_id);
        BYTES(read, credential);
        NUMBER(read, head_only);
        BYTES(read, known_id);
    } else if (a->kind == MSG_FETCH) {
        FIXED(fetch, head_id);
    } else if (a->kind == MSG_LIST) {
        NUMBER(list, before_version);
        NUMBER(list, limit);
        BYTES(list, credential);
    } else if (a->kind == MSG_SHARE) {
        ACCEPTED(share);
        BYTES(share, version);
        BYTES(share, dealing);
        BYTES(share, box);
        NUMBER(share, repair);
    } else if (a->kind == MSG_DELIVER) {
        NUMBER(deliver, owner);
    } else if (a->kind == MSG_COMPARE) {
        NUMBER(compare, level);
        NUMBER(compare, range);
        BYTES(compare, digests);
    } else if (a->kind == MSG_ASK_ENTRIES) {
        NUMBER(ask_entries, leaf);
        BYTES(ask_entries, after);
    } else if (a->kind == MSG_RECOVER) {
        FIXED(recover, config_hash);
        NUMBER(recover, incarnation);
        FIXED(recover, store_id);
        BYTES(recover, cursor);
        NUMBER(recover, only);
    } else if (a->kind == MSG_HANDOVER) {
        ACCEPTED(handover);
        BYTES(handover, version);
        BYTES(handover, dealing);
        BYTES(handover, boxes);
        NUMBER(handover, kind);
    } else if (a->kind == MSG_HELP) {
        NUMBER(help, version);
        FIXED(help, version_id);
        NUMBER(help, records);
        NUMBER(help, helpers);
        assert_pair_key_ids_equal(a->u.help.keys, b->u.help.keys);
    } else if (a->kind == MSG_CHECK) {
        NUMBER(check, version);
        FIXED(check, version_id);
        NUMBER(check, scrub);
    }
}

static void
assert_answers_equal(const struct msg *a, const struct msg *b)
{
    if (a->kind == MSG_VOTED) {
        BALLOT(voted, ballot);
        NUMBER(voted, refusal);
        BALLOT(voted, beat);
        ACCEPTED(voted);
        INCARNATIONS(voted);
    } else if (a->kind == MSG_WRITTEN) {
        BALLOT(written, ballot);
        FIXED(written, head_id);
        NUMBER(written, refusal);
        BALLOT(written, beat);
        INCARNATIONS(written);
    } else if (a->kind == MSG_ERASED) {
        FIXED(erased, head_id);
        NUMBER(erased, erased);
        NUMBER(erased, state);
        BALLOT(erased, ballot);
        BYTES(erased, head);
        INCARNATIONS(erased);
        NUMBER(erased, shredded);
    } else if (a->kind == MSG_STATE) {
        NUMBER(state, refusal);
        ACCEPTED(state);
        BYTES(state, version);
        BYTES(state, dealing);
        NUMBER(state, share_state);
        BYTES(state, share);
        INCARNATIONS(state);
        NUMBER(state, as_known);
    } else if (a->kind == MSG_FETCHED) {
        NUMBER(fetched, refusal);
        FIXED(fetched, head_id);
        BYTES(fetched, head);
        BYTES(fetched, version);
        BYTES(fetched, dealing);
        BYTES(fetched, boxes);
    } else if (a->kind == MSG_VERSIONS) {
        NUMBER(versions, refusal);
        ACCEPTED(versions);
        BYTES(versions, records);
        INCARNATIONS(versions);
    } else if (a->kind == MSG_SHARED) {
        NUMBER(shared, outcome);
        NUMBER(shared, version);
        FIXED(shared, version_id);
        NUMBER(shared, repair);
        INCARNATIONS(shared);
    } else if (a->kind == MSG_HEARTBEAT) {
        NUMBER(heartbeat, incarnation);
        NUMBER(heartbeat, boot);
        NUMBER(heartbeat, horizon_ms);
        NUMBER(heartbeat, sequence);
        NUMBER(heartbeat, wall_ms);
        NUMBER(heartbeat, sent_ns);
        NUMBER(heartbeat, echo_ns);
        NUMBER(heartbeat, echo_held_ns);
        NUMBER(heartbeat, share_key_id);
        FIXED(heartbeat, share_key);
        NUMBER(heartbeat, known_key_id);
        NUMBER(heartbeat, oldest_box_key_id);
        NUMBER(heartbeat, look_age_ms);
        NUMBER(heartbeat, paths);
        NUMBER(heartbeat, paths_known);
    } else if (a->kind == MSG_COMPARED) {
        NUMBER(compared, level);
        NUMBER(compared, range);
        NUMBER(compared, ready);
        FIXED(compared, differing);
    } else if (a->kind == MSG_ENTRIES) {
        NUMBER(entries, leaf);
        BYTES(entries, until);
        BYTES(entries, entries);
        NUMBER(heartbeat, life);
        FIXED(heartbeat, store_id);
        NUMBER(heartbeat, recovery);
        FIXED(heartbeat, known_store_id);
        NUMBER(heartbeat, known_incarnation);
        NUMBER(heartbeat, known_boot);
        NUMBER(heartbeat, known_life);
        NUMBER(heartbeat, known_sequence);
    } else if (a->kind == MSG_RECOVERED) {
        NUMBER(recovered, incarnation);
        FIXED(recovered, store_id);
        BYTES(recovered, cursor);
        NUMBER(recovered, refusal);
        BYTES(recovered, next);
        NUMBER(recovered, done);
        BYTES(recovered, known);
        BYTES(recovered, items);
        BALLOT(recovered, promised);
    } else if (a->kind == MSG_HANDED) {
        NUMBER(handed, refusal);
        NUMBER(heartbeat, pair_key_id);
        FIXED(heartbeat, pair_key);
        NUMBER(heartbeat, records_ready);
        FIXED(heartbeat, record_digests);
    } else if (a->kind == MSG_HELPED) {
        NUMBER(helped, outcome);
        NUMBER(helped, version);
        FIXED(helped, version_id);
        BYTES(helped, contribution);
        BYTES(helped, record);
        BYTES(helped, dealing);
    } else if (a->kind == MSG_CHECKED) {
        NUMBER(checked, outcome);
        NUMBER(checked, version);
        FIXED(checked, version_id);
        NUMBER(checked, rows);
        NUMBER(checked, bytes);
    } else if (a->kind == MSG_KNOWN) {
        FIXED(known, head_id);
        assert_incarnations_equal(a->u.known.incarnations, b->u.known.incarnations);
    } else if (a->kind == MSG_SCAN) {
        BYTES(scan, tenant);
        BYTES(scan, prefix);
        BYTES(scan, after);
        NUMBER(scan, limit);
        BYTES(scan, credential);
    } else if (a->kind == MSG_SCANNED) {
        NUMBER(scanned, refusal);
        BYTES(scanned, until);
        BYTES(scanned, names);
    } else if (a->kind == MSG_TRAIL) {
        NUMBER(trail, matter);
        NUMBER(trail, node);
        NUMBER(trail, block);
        NUMBER(trail, record);
        NUMBER(trail, limit);
        BYTES(trail, query);
        BYTES(trail, credential);
    } else if (a->kind == MSG_TRAILED) {
        NUMBER(trailed, refusal);
        BYTES(trailed, items);
        NUMBER(trailed, block);
        NUMBER(trailed, record);
        NUMBER(trailed, more);
    }
}

static void
test_round_trips(void **state)
{
    (void)state;
    for (int kind = KIND_FIRST; kind <= KIND_LAST; kind++) {
        if (!travels(kind))
            continue;
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            struct dice dice;
            struct msg msg, back;
            struct bytes encoded;

            dice_init(&dice, seed * 1000 + (uint64_t)kind);
            msg = dice_msg(&dice, (enum msg_kind)kind);
            msg.from = 3; /* not encoded */
            msg.to = 4;
            encoded = encoded_msg(&dice, &msg);
            assert_int_equal(msg_decode(encoded, &back), OK);
            assert_int_equal(back.kind, kind);
            assert_int_equal(back.from, 0);
            assert_int_equal(back.to, 0);
            assert_int_equal(back.op, msg.op);
            assert_bytes_equal(back.request_id, msg.request_id);
            assert_true(path_equal(back.path, msg.path));
            assert_questions_equal(&msg, &back);
            assert_answers_equal(&msg, &back);
            assert_true(recodes(recode_msg, encoded));
            dice_close(&dice);
        }
    }
}

/* A copy says the same, and goes on saying it when the memory of what it was made of is gone. */
static void
test_copies(void **state)
{
    (void)state;
    for (int kind = KIND_FIRST; kind <= KIND_LAST; kind++) {
        if (!travels(kind))
            continue;
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            struct dice dice;
            struct msg msg, decoded, copy;
            struct bytes encoded;
            uint8_t *gone;

            dice_init(&dice, seed * 2000 + (uint64_t)kind);
            msg = dice_msg(&dice, (enum msg_kind)kind);
            encoded = encoded_msg(&dice, &msg);
            gone = malloc(encoded.size);
            assert_non_null(gone);
            memcpy(gone, encoded.data, encoded.size);
            assert_int_equal(msg_decode(bytes_of(gone, encoded.size), &decoded), OK);
            assert_int_equal(msg_copy(&decoded, &dice.arena, &copy), OK);
            memset(gone, 0xff, encoded.size);
            free(gone);
            memset(&decoded, 0xff, sizeof(decoded));
            assert_bytes_equal(encoded_msg(&dice, &copy), encoded);
            dice_close(&dice);
        }
    }
}

static void
test_copies_that_are_refused(void **state)
{
    static const uint8_t much[1] = {0};
    struct msg msg = {.kind = MSG_REQUEST}, copy;
    struct arena arena;

    (void)state;
    arena_init(&arena, 16);
    assert_int_equal(msg_copy(&msg, &arena, &copy), ERR_UNEXPECTED); /* local: may be of a client */
    msg = (struct msg){.kind = MSG_SCANNED};
    msg.u.scanned.names = bytes_of(much, FRAME_BYTES_MAX + (size_t)1);
    assert_int_equal(msg_copy(&msg, &arena, &copy), ERR_TOO_LARGE);
    msg.u.scanned.names = bytes_of("seventeen bytes..", 17);
    assert_int_equal(msg_copy(&msg, &arena, &copy), ERR_NOMEM);
    arena_close(&arena);
}

static void
test_damage(void **state)
{
    (void)state;
    for (int kind = KIND_FIRST; kind <= KIND_LAST; kind++) {
        if (!travels(kind))
            continue;
        size_t accepted = 0, tried = 0;

        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct dice dice;
            struct msg msg;
            struct bytes encoded;

            dice_init(&dice, seed * 77 + (uint64_t)kind);
            msg = dice_msg(&dice, (enum msg_kind)kind);
            encoded = encoded_msg(&dice, &msg);
            assert_true(refuses_other_lengths(recode_msg, encoded));
            assert_true(survives_byte_changes(recode_msg, encoded, &accepted, &tried));
            dice_close(&dice);
        }
        assert_true(accepted > 0 && accepted < tried);
    }
}

/* An encoding that other versions of the program will have to read. */
static void
test_stays_the_same(void **state)
{
    struct msg msg = {
        .kind = MSG_VOTE,
        .op = 42,
        .request_id = bytes_of_text("r-1"),
        .path = {bytes_of_text("acme"), bytes_of_text("db")},
        .u.vote = {.ballot = {.time = 7, .node = 2, .incarnation = 1},
                   .purpose = CHANGE_CREATE,
                   .op_id = {0xaa},
                   .credential = bytes_of_text("t")},
    };
    static const uint8_t vote[] = {
        0x8a, 0x01, 0x18, 0x2a, 0x43, 'r',  '-',  '1',  0x44, 'a', 'c',  'm', 'e',  0x42,
        'd',  'b',  0x83, 0x07, 0x01, 0x02, 0x01, 0x50, 0xaa, 0,   0,    0,   0,    0,
        0,    0,    0,    0,    0,    0,    0,    0,    0,    0,   0x41, 't', 0x40,
    };
    struct buf out = {0};

    (void)state;
    assert_int_equal(msg_encode(&msg, &out), OK);
    assert_int_equal(out.size, sizeof(vote));
    assert_memory_equal(out.data, vote, sizeof(vote));
    buf_close(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_copies_that_are_refused),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_stays_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
