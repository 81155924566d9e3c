/* Boxed shares: who can open what, what the rings keep, and that all slots come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "crypto/box.h"
#include "failing_rng.h"

enum { SLOTS = 128 };

/* One sender and one receiver, in one region. */
struct pair {
    struct secret_arena *arena;
    struct box_sender sender;
    struct share_keyring ring;
    struct rng_seeded seed;
    struct rng rng;
};

static const struct bytes info = {(const uint8_t *)"place", 5};
static const struct bytes share = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32};

static int
setup(void **state)
{
    static struct pair pair;

    memset(&pair, 0, sizeof(pair));
    rng_seeded_init(&pair.seed, 11, &pair.rng);
    assert_int_equal(secret_arena_new(SLOTS, &pair.arena), OK);
    secret_arena_open(pair.arena);
    box_sender_init(&pair.sender, pair.arena);
    share_keyring_init(&pair.ring, pair.arena);
    assert_false(box_sender_ready(&pair.sender));
    assert_null(share_keyring_current(&pair.ring));
    assert_int_equal(box_sender_renew(&pair.sender, &pair.rng), OK);
    assert_int_equal(share_keyring_generate(&pair.ring, &pair.rng), OK);
    assert_true(box_sender_ready(&pair.sender));
    *state = &pair;
    return 0;
}

/* Whatever a test did, closing both ends gives every slot back. */
static int
teardown(void **state)
{
    struct pair *p = *state;

    box_sender_close(&p->sender);
    share_keyring_close(&p->ring);
    assert_int_equal(secret_arena_free_slots(p->arena), SLOTS);
    assert_false(box_sender_ready(&p->sender));
    assert_null(share_keyring_current(&p->ring));
    secret_arena_close(p->arena);
    secret_arena_free(p->arena);
    return 0;
}

static size_t
seal(struct pair *p, uint8_t box[static BOX_BYTES_MAX])
{
    size_t size;

    assert_int_equal(
        box_seal(&p->sender, 2, share_keyring_current(&p->ring), info, 3, share, box, &size), OK);
    assert_int_equal(size, BOX_HEADER_BYTES + share.size + 16);
    return size;
}

/* Opens and expects an error with nothing given out, or success with the share. */
static void
expect_open(struct pair *p, struct bytes where, uint8_t x, struct bytes box,
            enum vault_err expected)
{
    uint8_t out[SECRET_BYTES_MAX];
    size_t size = 99;

    memset(out, 0xff, sizeof(out));
    assert_int_equal(box_open(&p->ring, where, x, box, out, &size), expected);
    if (expected == OK) {
        assert_int_equal(size, share.size);
        assert_memory_equal(out, share.data, size);
    } else {
        assert_int_equal(size, 0);
        assert_true(sodium_is_zero(out, sizeof(out)));
    }
}

static void
opens_what_was_sealed(void **state)
{
    struct pair *p = *state;
    uint8_t box[BOX_BYTES_MAX];
    size_t size = seal(p, box);

    /* The layout: key id, big endian, and the ephemeral public key. */
    assert_memory_equal(box, "\0\0\0\0\0\0\0\1", 8);
    assert_memory_equal(box + 8, p->sender.ephemeral_public, X25519_BYTES);
    expect_open(p, info, 3, bytes_of(box, size), OK);
    expect_open(p, info, 3, bytes_of(box, size), OK); /* by the remembered agreement */
}

static void
binds_place_and_x(void **state)
{
    struct pair *p = *state;
    uint8_t box[BOX_BYTES_MAX];
    size_t size = seal(p, box);

    expect_open(p, bytes_of_text("placE"), 3, bytes_of(box, size), ERR_CORRUPT);
    expect_open(p, bytes_of_text("place "), 3, bytes_of(box, size), ERR_CORRUPT);
    expect_open(p, bytes_of(NULL, 0), 3, bytes_of(box, size), ERR_CORRUPT);
    expect_open(p, info, 4, bytes_of(box, size), ERR_CORRUPT);
    expect_open(p, info, 3, bytes_of(box, size), OK);
}

static void
notices_every_flipped_bit(void **state)
{
    struct pair *p = *state;
    uint8_t box[BOX_BYTES_MAX];
    size_t size = seal(p, box);

    for (size_t bit = 0; bit < size * 8; bit++) {
        box[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* The top bit of the point is ignored by X25519, but not by the derivation. */
        expect_open(p, info, 3, bytes_of(box, size), bit < 64 ? ERR_NOT_FOUND : ERR_CORRUPT);
        box[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    expect_open(p, info, 3, bytes_of(box, size), OK);
}

static void
refuses_other_sizes(void **state)
{
    struct pair *p = *state;
    uint8_t box[BOX_BYTES_MAX + 1] = {0};
    size_t size = seal(p, box);

    for (size_t cut = 0; cut < size; cut++)
        expect_open(p, info, 3, bytes_of(box, cut),
                    cut <= BOX_HEADER_BYTES + 16 ? ERR_MALFORMED : ERR_CORRUPT);
    expect_open(p, info, 3, bytes_of(box, BOX_BYTES_MAX), ERR_CORRUPT);
    expect_open(p, info, 3, bytes_of(box, BOX_BYTES_MAX + 1), ERR_MALFORMED);
}

static void
checks_what_it_seals(void **state)
{
    struct pair *p = *state;
    const struct share_key_public *to = share_keyring_current(&p->ring);
    struct share_key_public none = {.id = 0};
    uint8_t large[SECRET_BYTES_MAX + 1] = {0}, box[BOX_BYTES_MAX];
    size_t size;

    assert_int_equal(box_seal(&p->sender, NODES_MAX, to, info, 1, share, box, &size), ERR_RANGE);
    assert_int_equal(box_seal(&p->sender, 0, &none, info, 1, share, box, &size), ERR_RANGE);
    assert_int_equal(box_seal(&p->sender, 0, to, info, 0, share, box, &size), ERR_RANGE);
    assert_int_equal(box_seal(&p->sender, 0, to, info, 1, bytes_of(NULL, 0), box, &size),
                     ERR_RANGE);
    assert_int_equal(
        box_seal(&p->sender, 0, to, info, 1, bytes_of(large, sizeof(large)), box, &size),
        ERR_RANGE);
    assert_int_equal(size, 0);
    assert_int_equal(
        box_seal(&p->sender, 0, to, info, 1, bytes_of(large, SECRET_BYTES_MAX), box, &size), OK);
    assert_int_equal(size, BOX_BYTES_MAX);
}

/* Points of low order: the agreement would be zero, whoever computes it. */
static void
refuses_points_of_low_order(void **state)
{
    static const uint8_t points[4][X25519_BYTES] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    };
    struct pair *p = *state;
    uint8_t good[BOX_BYTES_MAX], box[BOX_BYTES_MAX];
    size_t size = seal(p, good);
    size_t slots = secret_arena_free_slots(p->arena);

    for (unsigned i = 0; i < 4; i++) {
        struct share_key_public to = {.id = 5};
        size_t sealed_size;

        memcpy(to.key, points[i], X25519_BYTES);
        assert_int_equal(box_seal(&p->sender, 0, &to, info, 1, share, box, &sealed_size),
                         ERR_CORRUPT);
        assert_int_equal(sealed_size, 0);
        memcpy(box, good, size);
        memcpy(box + 8, points[i], X25519_BYTES);
        expect_open(p, info, 3, bytes_of(box, size), ERR_CORRUPT);
    }
    assert_int_equal(secret_arena_free_slots(p->arena), slots);
}

static void
rotates_share_keys(void **state)
{
    struct pair *p = *state;
    uint8_t old_box[BOX_BYTES_MAX], new_box[BOX_BYTES_MAX];
    size_t old_size = seal(p, old_box), new_size;

    expect_open(p, info, 3, bytes_of(old_box, old_size), OK);
    assert_int_equal(share_keyring_generate(&p->ring, &p->rng), OK);
    assert_int_equal(share_keyring_current(&p->ring)->id, 2);
    new_size = seal(p, new_box); /* the sender makes a new agreement for the same peer */
    assert_memory_equal(new_box, "\0\0\0\0\0\0\0\2", 8);
    expect_open(p, info, 3, bytes_of(new_box, new_size), OK);
    expect_open(p, info, 3, bytes_of(old_box, old_size), OK);

    share_keyring_destroy(&p->ring, 1);
    share_keyring_destroy(&p->ring, 1);
    share_keyring_destroy(&p->ring, 0);
    assert_int_equal(share_keyring_current(&p->ring)->id, 2);
    expect_open(p, info, 3, bytes_of(old_box, old_size), ERR_NOT_FOUND);
    expect_open(p, info, 3, bytes_of(new_box, new_size), OK);
    share_keyring_destroy(&p->ring, 2);
    assert_null(share_keyring_current(&p->ring));
    expect_open(p, info, 3, bytes_of(new_box, new_size), ERR_NOT_FOUND);
    /* Private halves and agreements are gone: what is left is the sender's. */
    assert_int_equal(secret_arena_free_slots(p->arena), SLOTS - 2);
}

static void
renews_the_sender(void **state)
{
    struct pair *p = *state;
    uint8_t before[BOX_BYTES_MAX], after[BOX_BYTES_MAX];
    size_t size = seal(p, before);
    size_t slots = secret_arena_free_slots(p->arena);

    assert_int_equal(box_sender_renew(&p->sender, &p->rng), OK);
    assert_int_equal(secret_arena_free_slots(p->arena), slots + 1); /* the agreement went */
    seal(p, after);
    assert_memory_not_equal(before + 8, after + 8, X25519_BYTES);
    expect_open(p, info, 3, bytes_of(before, size), OK);
    expect_open(p, info, 3, bytes_of(after, size), OK);
}

static void
restores_stored_keys(void **state)
{
    struct pair *p = *state;
    uint8_t private_half[X25519_BYTES], box[BOX_BYTES_MAX];
    struct share_key_public public_half = *share_keyring_current(&p->ring);
    size_t size = seal(p, box);

    memcpy(private_half, p->ring.keys[0].private_half.data, X25519_BYTES);
    share_keyring_close(&p->ring);
    expect_open(p, info, 3, bytes_of(box, size), ERR_NOT_FOUND);

    assert_int_equal(share_keyring_add(&p->ring, 1, private_half), OK);
    assert_int_equal(share_keyring_add(&p->ring, 1, private_half), ERR_EXISTS);
    assert_int_equal(share_keyring_current(&p->ring)->id, 1);
    assert_memory_equal(share_keyring_current(&p->ring)->key, public_half.key, X25519_BYTES);
    expect_open(p, info, 3, bytes_of(box, size), OK);
}

/* The same pair under another id: the id is part of what is bound. */
static void
binds_the_id_of_the_share_key(void **state)
{
    struct pair *p = *state;
    uint8_t private_half[X25519_BYTES], box[BOX_BYTES_MAX];
    size_t size = seal(p, box);

    memcpy(private_half, p->ring.keys[0].private_half.data, X25519_BYTES);
    assert_int_equal(share_keyring_add(&p->ring, 2, private_half), OK);
    box[7] = 2;
    expect_open(p, info, 3, bytes_of(box, size), ERR_CORRUPT);
    box[7] = 1;
    expect_open(p, info, 3, bytes_of(box, size), OK);
}

/* A node that lost its keys starts again at id 1: the sender must not use the old agreement. */
static void
notices_a_new_key_of_the_same_id(void **state)
{
    struct pair *p = *state;
    uint8_t box[BOX_BYTES_MAX];
    size_t size;

    seal(p, box);
    share_keyring_close(&p->ring);
    assert_int_equal(share_keyring_generate(&p->ring, &p->rng), OK);
    assert_int_equal(share_keyring_current(&p->ring)->id, 1);
    size = seal(p, box);
    expect_open(p, info, 3, bytes_of(box, size), OK);
}

static void
keeps_the_newest_in_front(void **state)
{
    static const uint64_t ids[] = {40, 7, 90, 41, 2, 1000, 3};
    struct pair *p = *state;
    uint8_t private_half[X25519_BYTES] = {1};
    uint8_t untouched[X25519_BYTES];

    share_keyring_close(&p->ring);
    for (unsigned i = 0; i < 7; i++) {
        private_half[1] = (uint8_t)i;
        assert_int_equal(share_keyring_add(&p->ring, ids[i], private_half), OK);
    }
    for (unsigned i = 1; i < 7; i++)
        assert_true(p->ring.keys[i - 1].public_half.id > p->ring.keys[i].public_half.id);
    assert_int_equal(share_keyring_generate(&p->ring, &p->rng), OK);
    assert_int_equal(share_keyring_current(&p->ring)->id, 1001);
    share_keyring_destroy(&p->ring, 1001);
    assert_int_equal(share_keyring_generate_above(&p->ring, 1500, &p->rng), OK);
    assert_int_equal(share_keyring_current(&p->ring)->id, 1501);
    share_keyring_destroy(&p->ring, 1501);
    assert_int_equal(share_keyring_generate_above(&p->ring, 500, &p->rng), OK);
    assert_int_equal(share_keyring_current(&p->ring)->id, 1001);

    memcpy(untouched, share_keyring_current(&p->ring)->key, X25519_BYTES);
    assert_int_equal(share_keyring_generate(&p->ring, &p->rng), ERR_BUSY);
    assert_int_equal(share_keyring_add(&p->ring, 5000, private_half), ERR_BUSY);
    assert_memory_equal(share_keyring_current(&p->ring)->key, untouched, X25519_BYTES);
    share_keyring_destroy(&p->ring, 90);
    assert_int_equal(share_keyring_add(&p->ring, UINT64_MAX, private_half), OK);
    share_keyring_destroy(&p->ring, 2);
    assert_int_equal(share_keyring_generate(&p->ring, &p->rng), ERR_BUSY); /* no greater id */
}

/* More senders than the ring remembers: the ones used last stay, none is lost. */
static void
remembers_the_latest_agreements(void **state)
{
    enum { SENDERS = BOX_AGREEMENTS_MAX + 5 };
    struct pair *p = *state;
    uint8_t boxes[SENDERS][BOX_BYTES_MAX];
    size_t size = 0;

    for (unsigned i = 0; i < SENDERS; i++) {
        assert_int_equal(box_sender_renew(&p->sender, &p->rng), OK);
        size = seal(p, boxes[i]);
        expect_open(p, info, 3, bytes_of(boxes[i], size), OK);
        expect_open(p, info, 3, bytes_of(boxes[0], size), OK); /* used again, so it stays */
    }
    for (unsigned i = 0; i < BOX_AGREEMENTS_MAX; i++)
        assert_non_null(p->ring.agreements[i].agreement.data);
    assert_memory_equal(p->ring.agreements[0].ephemeral_public, boxes[0] + 8, X25519_BYTES);
    for (unsigned i = 0; i < SENDERS; i++)
        expect_open(p, info, 3, bytes_of(boxes[i], size), OK);
}

static void
garbage_drives_nothing_out(void **state)
{
    struct pair *p = *state;
    uint8_t box[BOX_BYTES_MAX];
    size_t size = seal(p, box);
    size_t slots;

    expect_open(p, info, 3, bytes_of(box, size), OK);
    slots = secret_arena_free_slots(p->arena);
    for (unsigned i = 0; i < 100; i++) {
        uint8_t garbage[BOX_BYTES_MAX];

        memcpy(garbage, box, size);
        assert_int_equal(rng_fill(&p->rng, garbage + 8, X25519_BYTES), OK);
        expect_open(p, info, 3, bytes_of(garbage, size), ERR_CORRUPT);
    }
    assert_int_equal(secret_arena_free_slots(p->arena), slots);
}

/* With no slot left the sender says busy; the receiver still opens, without remembering. */
static void
does_without_slots(void **state)
{
    struct pair *p = *state;
    uint8_t box[BOX_BYTES_MAX], other[BOX_BYTES_MAX];
    struct secret taken[SLOTS];
    unsigned count = 0;
    size_t size = seal(p, box), other_size;

    while (secret_new(p->arena, 1, &taken[count]) == OK)
        count++;
    expect_open(p, info, 3, bytes_of(box, size), OK);
    assert_null(p->ring.agreements[0].agreement.data);
    assert_int_equal(box_seal(&p->sender, 5, share_keyring_current(&p->ring), info, 3, share, other,
                              &other_size),
                     ERR_BUSY);
    assert_int_equal(share_keyring_generate(&p->ring, &p->rng), ERR_BUSY);
    assert_int_equal(share_keyring_current(&p->ring)->id, 1);
    while (count > 0)
        secret_free(p->arena, &taken[--count]);
}

static void
fails_without_randomness(void **state)
{
    struct pair *p = *state;
    struct failing_rng f;
    struct rng rng = failing_rng_init(&f, 1, 0);
    struct box_sender sender;
    size_t slots = secret_arena_free_slots(p->arena);

    assert_int_equal(share_keyring_generate(&p->ring, &rng), ERR_ENTROPY);
    assert_int_equal(share_keyring_current(&p->ring)->id, 1);
    box_sender_init(&sender, p->arena);
    rng = failing_rng_init(&f, 1, 0);
    assert_int_equal(box_sender_renew(&sender, &rng), ERR_ENTROPY);
    assert_false(box_sender_ready(&sender));
    assert_true(sodium_is_zero(sender.ephemeral_public, X25519_BYTES));
    box_sender_close(&sender);
    assert_int_equal(secret_arena_free_slots(p->arena), slots);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opens_what_was_sealed),
        TEST(binds_place_and_x),
        TEST(notices_every_flipped_bit),
        TEST(refuses_other_sizes),
        TEST(checks_what_it_seals),
        TEST(refuses_points_of_low_order),
        TEST(rotates_share_keys),
        TEST(renews_the_sender),
        TEST(restores_stored_keys),
        TEST(binds_the_id_of_the_share_key),
        TEST(notices_a_new_key_of_the_same_id),
        TEST(keeps_the_newest_in_front),
        TEST(remembers_the_latest_agreements),
        TEST(garbage_drives_nothing_out),
        TEST(does_without_slots),
        TEST(fails_without_randomness),
    };

    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
