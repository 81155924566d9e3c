/*
 * From a value to a dealing and back: every subset of shares, every kind of damage, every error
 * path. One known answer pins the format, which was computed by another implementation as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/dealing.h"
#include "crypto/shamir.h"
#include "failing_rng.h"

enum { SLOTS = 256, ARENA_LIMIT = 8 << 20 };

static const uint8_t cluster_id[CLUSTER_ID_BYTES] = "cluster-cluster";
static const uint8_t incarnation[INCARNATION_BYTES] = "incarnation-one";

/* A cluster's worth of keys: node i has the ring i. */
struct world {
    struct secret_arena *secrets;
    struct box_sender sender;
    struct share_keyring rings[REPLICAS_MAX];
    struct master_key master;
    struct rng_seeded seed;
    struct rng rng;
    struct arena arena;
    struct dealing_place place;
    struct dealing_value value;
};

static int
setup(void **state)
{
    static struct world w;

    memset(&w, 0, sizeof(w));
    rng_seeded_init(&w.seed, 21, &w.rng);
    arena_init(&w.arena, ARENA_LIMIT);
    assert_int_equal(secret_arena_new(SLOTS, &w.secrets), OK);
    secret_arena_open(w.secrets);
    box_sender_init(&w.sender, w.secrets);
    assert_int_equal(box_sender_renew(&w.sender, &w.rng), OK);
    for (unsigned i = 0; i < REPLICAS_MAX; i++) {
        share_keyring_init(&w.rings[i], w.secrets);
        assert_int_equal(share_keyring_generate(&w.rings[i], &w.rng), OK);
    }
    w.master.generation = 3;
    assert_int_equal(secret_new(w.secrets, KEY_BYTES, &w.master.key), OK);
    assert_int_equal(rng_fill(&w.rng, w.master.key.data, KEY_BYTES), OK);
    w.place = (struct dealing_place){
        .cluster_id = cluster_id,
        .tenant = bytes_of_text("acme"),
        .name = bytes_of_text("db/password"),
        .incarnation = incarnation,
        .version = 7,
    };
    w.value = (struct dealing_value){
        .value = bytes_of_text("correct horse battery staple"),
        .content_type = bytes_of_text("text/plain"),
        .fingerprint = bytes_of(cluster_id, 0),
    };
    *state = &w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    secret_free(w->secrets, &w->master.key);
    box_sender_close(&w->sender);
    for (unsigned i = 0; i < REPLICAS_MAX; i++)
        share_keyring_close(&w->rings[i]);
    assert_int_equal(secret_arena_free_slots(w->secrets), SLOTS);
    secret_arena_close(w->secrets);
    secret_arena_free(w->secrets);
    arena_close(&w->arena);
    return 0;
}

/* x = j + 1 goes to node n - 1 - j, so that the two numbers are not mixed up unseen. */
static struct dealing_recipients
recipients_of(const struct world *w, uint8_t k, uint8_t n)
{
    struct dealing_recipients r = {.threshold = k, .count = n};

    for (uint8_t j = 0; j < n; j++) {
        r.nodes[j] = (uint8_t)(n - 1 - j);
        r.keys[j] = share_keyring_current(&w->rings[n - 1 - j]);
    }
    return r;
}

static enum vault_err
make(struct world *w, uint8_t k, uint8_t n, const struct master_key *master, struct dealing *out)
{
    struct dealing_recipients r = recipients_of(w, k, n);

    return dealing_make(&w->place, &w->value, master, &r, &w->sender, &w->rng, &w->arena, out);
}

/* All shares of a dealing, opened by the nodes that own them. */
struct shares {
    uint8_t data[REPLICAS_MAX][SECRET_BYTES_MAX];
    struct share list[REPLICAS_MAX];
};

static void
open_boxes(struct world *w, const struct dealing *dealing, struct shares *out)
{
    for (uint8_t j = 0; j < dealing->count; j++) {
        size_t size;

        assert_int_equal(dealing_open_box(dealing, &w->place, (uint8_t)(j + 1), dealing->boxes[j],
                                          &w->rings[dealing->nodes[j]], out->data[j], &size),
                         OK);
        out->list[j] = (struct share){.x = (uint8_t)(j + 1), .data = bytes_of(out->data[j], size)};
    }
}

static void
expect_same_value(const struct dealing_value *found, const struct dealing_value *expected)
{
    assert_true(bytes_equal(found->value, expected->value));
    assert_true(bytes_equal(found->content_type, expected->content_type));
    assert_true(bytes_equal(found->fingerprint, expected->fingerprint));
}

static enum vault_err
open_shares(struct world *w, const struct dealing *dealing, const struct share *shares,
            unsigned count, const struct master_key *master)
{
    struct dealing_value found;
    enum vault_err err = dealing_open(dealing, &w->place, shares, count, master, &w->arena, &found);

    if (err == OK) {
        expect_same_value(&found, &w->value);
    } else {
        assert_null(found.value.data);
        assert_int_equal(found.value.size, 0);
        assert_int_equal(found.content_type.size, 0);
    }
    return err;
}

static void
check_subsets(struct world *w, const struct dealing *d, const struct shares *all,
              const struct master_key *master)
{
    for (unsigned mask = 0; mask < 1u << d->count; mask++) {
        struct share some[REPLICAS_MAX];
        unsigned count = 0;

        for (unsigned j = d->count; j-- > 0;) { /* in falling order, for a change */
            if (mask >> j & 1)
                some[count++] = all->list[j];
        }
        assert_int_equal(open_shares(w, d, some, count, master),
                         count >= d->threshold ? OK : ERR_VALUE_UNAVAILABLE);
    }
    arena_reset(&w->arena);
}

static void
any_k_shares_open(void **state)
{
    struct world *w = *state;

    for (uint8_t n = 1; n <= (uint8_t)REPLICAS_MAX; n++) {
        for (uint8_t k = n == 1 ? 1 : 2; k <= n; k++) {
            for (unsigned with_master = 0; with_master < 2; with_master++) {
                const struct master_key *master = with_master ? &w->master : NULL;
                struct shares all;
                struct dealing d;

                assert_int_equal(make(w, k, n, master, &d), OK);
                assert_int_equal(d.suite, DEALING_SUITE_1);
                assert_int_equal(d.threshold, k);
                assert_int_equal(d.count, n);
                open_boxes(w, &d, &all);
                assert_int_equal(all.list[0].data.size, with_master ? 52 : 32);
                for (uint8_t j = 0; j < n; j++) {
                    assert_int_equal(d.nodes[j], n - 1 - j);
                    assert_true(dealing_share_matches(&d, &all.list[j]));
                    assert_true(dealing_box_matches(&d, (uint8_t)(j + 1), d.boxes[j]));
                }
                check_subsets(w, &d, &all, master);
            }
        }
    }
}

/*
 * What is trusted and right opens; what is trusted and wrong opens nothing, whichever share it is.
 */
static void
shares_on_trust(void **state)
{
    struct world *w = *state;

    for (unsigned with_master = 0; with_master < 2; with_master++) {
        const struct master_key *master = with_master ? &w->master : NULL;
        struct shares all;
        struct dealing d;

        assert_int_equal(make(w, 3, 5, master, &d), OK);
        open_boxes(w, &d, &all);
        for (unsigned j = 0; j < 5; j++)
            dealing_share_trust(&d, &all.list[j]);
        assert_int_equal(open_shares(w, &d, all.list + 2, 3, master), OK);
        for (unsigned wrong = 0; wrong < 3; wrong++) {
            for (size_t i = 0; i < all.list[wrong].data.size; i++) {
                all.data[wrong][i] ^= 0x10;
                assert_int_not_equal(open_shares(w, &d, all.list, 3, master), OK);
                assert_false(dealing_share_check(&d, &all.list[wrong]));
                assert_int_not_equal(open_shares(w, &d, all.list, 3, master), OK);
                dealing_share_trust(&d, &all.list[wrong]);
                all.data[wrong][i] ^= 0x10;
            }
        }
        all.list[0].x = 6; /* none of these five */
        dealing_share_trust(&d, &all.list[0]);
        assert_int_equal(open_shares(w, &d, all.list, 3, master), ERR_VALUE_UNAVAILABLE);
        arena_reset(&w->arena);
    }
}

/* Sizes around the block of the padding, and the largest there is. */
static void
values_of_every_size(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   22,
                                   23,
                                   24,
                                   47,
                                   48,
                                   49,
                                   50,
                                   51,
                                   52,
                                   53,
                                   63,
                                   64,
                                   65,
                                   1000,
                                   65535,
                                   65536,
                                   VALUE_BYTES_MAX};
    static const uint8_t fingerprint[FINGERPRINT_BYTES] = {1, 2, 3};
    struct world *w = *state;
    uint8_t *data = malloc(VALUE_BYTES_MAX + 1);

    assert_non_null(data);
    assert_int_equal(rng_fill(&w->rng, data, VALUE_BYTES_MAX + 1), OK);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct shares all;
        struct dealing d;

        w->value.value = bytes_of(data, sizes[i]);
        w->value.content_type = bytes_of(data, i % 2 ? CONTENT_TYPE_BYTES_MAX : 0);
        w->value.fingerprint = bytes_of(fingerprint, i % 3 ? FINGERPRINT_BYTES : 0);
        assert_int_equal(make(w, 2, 3, &w->master, &d), OK);
        assert_int_equal((d.ciphertext.size - 16) % 64, 0);
        assert_true(d.ciphertext.size > sizes[i] + 16);
        assert_true(d.ciphertext.size <= DEALING_BYTES_MAX - 8192);
        open_boxes(w, &d, &all);
        assert_int_equal(open_shares(w, &d, all.list, 3, &w->master), OK);
        arena_reset(&w->arena);
    }
    free(data);
}

/* Values of up to some tens of bytes all look alike. */
static void
hides_short_lengths(void **state)
{
    struct world *w = *state;
    struct dealing a, b;

    w->value.value = bytes_of_text("x");
    assert_int_equal(make(w, 2, 3, NULL, &a), OK);
    w->value.value = bytes_of_text("a password of thirty-two letters");
    assert_int_equal(make(w, 2, 3, NULL, &b), OK);
    assert_int_equal(a.ciphertext.size, 64 + 16);
    assert_int_equal(b.ciphertext.size, 64 + 16);
    assert_memory_not_equal(a.id, b.id, DEALING_ID_BYTES);
    assert_memory_not_equal(a.key_commitment, b.key_commitment, HASH_BYTES);
}

static void
refuses_bad_arguments(void **state)
{
    static const struct {
        uint8_t k, n;
    } shapes[] = {{0, 0}, {0, 3}, {4, 3}, {1, 2}, {1, 3}};
    struct world *w = *state;
    struct dealing_recipients r;
    struct dealing_value good = w->value;
    struct dealing d;
    uint8_t *large = calloc(1, VALUE_BYTES_MAX + 1);

    assert_non_null(large);
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        assert_int_equal(make(w, shapes[i].k, shapes[i].n, NULL, &d), ERR_RANGE);
    r = recipients_of(w, 2, 3);
    r.count = REPLICAS_MAX + 1;
    assert_int_equal(
        dealing_make(&w->place, &w->value, NULL, &r, &w->sender, &w->rng, &w->arena, &d),
        ERR_RANGE);
    r = recipients_of(w, 2, 3);
    r.nodes[0] = r.nodes[2];
    assert_int_equal(
        dealing_make(&w->place, &w->value, NULL, &r, &w->sender, &w->rng, &w->arena, &d),
        ERR_RANGE);
    r.nodes[0] = NODES_MAX;
    assert_int_equal(
        dealing_make(&w->place, &w->value, NULL, &r, &w->sender, &w->rng, &w->arena, &d),
        ERR_RANGE);
    r = recipients_of(w, 2, 3);
    r.keys[1] = NULL;
    assert_int_equal(
        dealing_make(&w->place, &w->value, NULL, &r, &w->sender, &w->rng, &w->arena, &d),
        ERR_RANGE);

    w->value.value = bytes_of(large, VALUE_BYTES_MAX + 1);
    assert_int_equal(make(w, 2, 3, NULL, &d), ERR_TOO_LARGE);
    w->value = good;
    w->value.content_type = bytes_of(large, CONTENT_TYPE_BYTES_MAX + 1);
    assert_int_equal(make(w, 2, 3, NULL, &d), ERR_TOO_LARGE);
    w->value = good;
    w->value.fingerprint = bytes_of(large, FINGERPRINT_BYTES - 1);
    assert_int_equal(make(w, 2, 3, NULL, &d), ERR_RANGE);
    w->value = good;
    w->place.name = bytes_of(large, NAME_BYTES_MAX + 1);
    assert_int_equal(make(w, 2, 3, NULL, &d), ERR_RANGE);
    w->place.name = bytes_of("\xff", 1);
    assert_int_equal(make(w, 2, 3, NULL, &d), ERR_RANGE);
    assert_true(sodium_is_zero((const uint8_t *)&d, sizeof(d)));
    free(large);
}

static void
refuses_an_unusable_share_key(void **state)
{
    struct world *w = *state;
    struct share_key_public low_order = {.id = 1};
    struct dealing_recipients r = recipients_of(w, 2, 3);
    struct dealing d;

    r.keys[2] = &low_order;
    assert_int_equal(
        dealing_make(&w->place, &w->value, NULL, &r, &w->sender, &w->rng, &w->arena, &d),
        ERR_CORRUPT);
    assert_true(sodium_is_zero((const uint8_t *)&d, sizeof(d)));
}

static void
fails_without_randomness(void **state)
{
    struct world *w = *state;
    struct dealing_recipients r = recipients_of(w, 3, 5);
    unsigned fail_at = 0;
    enum vault_err err;

    do {
        struct failing_rng f;
        struct rng rng = failing_rng_init(&f, 5, fail_at);
        struct dealing d;

        memset(&d, 0xff, sizeof(d));
        err = dealing_make(&w->place, &w->value, &w->master, &r, &w->sender, &rng, &w->arena, &d);
        if (err != OK) {
            assert_int_equal(err, ERR_ENTROPY);
            assert_true(sodium_is_zero((const uint8_t *)&d, sizeof(d)));
            fail_at++;
        }
    } while (err != OK && fail_at < 100);
    assert_int_equal(err, OK);
    assert_int_equal(fail_at, 4); /* data key, id, two coefficients */
}

/* Every limit of the arena below what is needed gives ERR_NOMEM, in making and in opening. */
static void
fails_without_memory(void **state)
{
    struct world *w = *state;
    struct dealing_recipients r = recipients_of(w, 2, 3);
    struct shares all;
    struct dealing d;
    unsigned refused = 0;

    for (size_t limit = 0; limit < 1024; limit += 16) {
        struct arena small;
        enum vault_err err;

        arena_init(&small, limit);
        err = dealing_make(&w->place, &w->value, NULL, &r, &w->sender, &w->rng, &small, &d);
        assert_true(err == OK || err == ERR_NOMEM);
        refused += err != OK;
        arena_close(&small);
    }
    assert_in_range(refused, 10, 60);

    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
    open_boxes(w, &d, &all);
    for (size_t limit = 0; limit <= 64; limit += 8) {
        struct dealing_value found;
        struct arena small;

        arena_init(&small, limit);
        assert_int_equal(dealing_open(&d, &w->place, all.list, 3, NULL, &small, &found),
                         limit < 64 ? ERR_NOMEM : OK);
        arena_close(&small);
    }
}

static void
needs_a_slot_for_each_agreement(void **state)
{
    struct world *w = *state;
    struct secret taken[SLOTS];
    struct dealing d;
    unsigned count = 0;

    while (secret_new(w->secrets, 1, &taken[count]) == OK)
        count++;
    assert_int_equal(make(w, 2, 3, NULL, &d), ERR_BUSY);
    assert_true(sodium_is_zero((const uint8_t *)&d, sizeof(d)));
    while (count > 0)
        secret_free(w->secrets, &taken[--count]);
    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
}

/* Any flipped bit of what a dealing says about its value or its shares is noticed. */

static void
flip(void *data, size_t bit)
{
    ((uint8_t *)data)[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void
notices_damage_of_the_ciphertext(void **state)
{
    struct world *w = *state;
    struct shares all;
    struct dealing d;
    uint8_t *ciphertext;

    assert_int_equal(make(w, 2, 3, &w->master, &d), OK);
    open_boxes(w, &d, &all);
    ciphertext = malloc(d.ciphertext.size);
    assert_non_null(ciphertext);
    memcpy(ciphertext, d.ciphertext.data, d.ciphertext.size);
    d.ciphertext.data = ciphertext;
    for (size_t bit = 0; bit < d.ciphertext.size * 8; bit++) {
        flip(ciphertext, bit);
        assert_int_equal(open_shares(w, &d, all.list, 3, &w->master), ERR_CORRUPT_VALUE);
        flip(ciphertext, bit);
    }
    assert_int_equal(open_shares(w, &d, all.list, 3, &w->master), OK);
    for (; d.ciphertext.size-- > 0;)
        assert_int_equal(open_shares(w, &d, all.list, 3, &w->master), ERR_CORRUPT_VALUE);
    free(ciphertext);
}

static void
notices_damage_of_the_header(void **state)
{
    struct world *w = *state;
    struct shares all;
    struct dealing d, bad;

    assert_int_equal(make(w, 2, 3, &w->master, &d), OK);
    open_boxes(w, &d, &all);
    for (size_t bit = 0; bit < HASH_BYTES * 8; bit++) {
        bad = d;
        flip(bad.key_commitment, bit);
        assert_int_equal(open_shares(w, &bad, all.list, 3, &w->master), ERR_CORRUPT_VALUE);
    }
    for (size_t bit = 0; bit < DEALING_ID_BYTES * 8; bit++) { /* no share is of that dealing */
        bad = d;
        flip(bad.id, bit);
        assert_int_equal(open_shares(w, &bad, all.list, 3, &w->master), ERR_VALUE_UNAVAILABLE);
    }
    bad = d;
    bad.suite = 2;
    assert_int_equal(open_shares(w, &bad, all.list, 3, &w->master), ERR_CORRUPT_VALUE);
    bad = d;
    bad.threshold = 0;
    assert_int_equal(open_shares(w, &bad, all.list, 3, &w->master), ERR_CORRUPT_VALUE);
    bad.threshold = 4;
    assert_int_equal(open_shares(w, &bad, all.list, 3, &w->master), ERR_CORRUPT_VALUE);
    bad = d;
    bad.threshold = 1; /* one share would be taken for the key itself */
    assert_int_equal(open_shares(w, &bad, all.list, 3, &w->master), ERR_CORRUPT_VALUE);
    bad = d;
    bad.count = REPLICAS_MAX + 1;
    assert_int_equal(open_shares(w, &bad, all.list, 3, &w->master), ERR_CORRUPT_VALUE);
}

static void
notices_damage_of_commitments_and_shares(void **state)
{
    struct world *w = *state;
    struct shares all;
    struct dealing d, bad;

    assert_int_equal(make(w, 2, 3, &w->master, &d), OK);
    open_boxes(w, &d, &all);
    for (size_t bit = 0; bit < HASH_BYTES * 8; bit++) {
        bad = d;
        flip(bad.share_commitments[1], bit);
        assert_false(dealing_share_matches(&bad, &all.list[1]));
        assert_int_equal(open_shares(w, &bad, all.list, 2, &w->master), ERR_VALUE_UNAVAILABLE);
        assert_int_equal(open_shares(w, &bad, all.list, 3, &w->master), OK); /* 1 and 3 do */
    }
    for (size_t bit = 0; bit < all.list[0].data.size * 8; bit++) {
        flip(all.data[0], bit);
        assert_false(dealing_share_matches(&d, &all.list[0]));
        assert_int_equal(open_shares(w, &d, all.list, 2, &w->master), ERR_VALUE_UNAVAILABLE);
        assert_int_equal(open_shares(w, &d, all.list, 3, &w->master), OK);
        flip(all.data[0], bit);
    }
    assert_true(dealing_share_matches(&d, &all.list[0]));
}

static void
notices_damage_of_boxes(void **state)
{
    struct world *w = *state;
    uint8_t box[BOX_BYTES_MAX], share[SECRET_BYTES_MAX];
    struct dealing d;
    size_t size, share_size;

    assert_int_equal(make(w, 2, 3, &w->master, &d), OK);
    size = d.boxes[0].size;
    memcpy(box, d.boxes[0].data, size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        enum vault_err err;

        flip(box, bit);
        assert_false(dealing_box_matches(&d, 1, bytes_of(box, size)));
        err = dealing_open_box(&d, &w->place, 1, bytes_of(box, size), &w->rings[d.nodes[0]], share,
                               &share_size);
        assert_int_equal(err, bit < 64 ? ERR_NOT_FOUND : ERR_CORRUPT);
        assert_int_equal(share_size, 0);
        assert_true(sodium_is_zero(share, sizeof(share)));
        flip(box, bit);
    }
    assert_true(dealing_box_matches(&d, 1, bytes_of(box, size)));
    assert_false(dealing_box_matches(&d, 2, bytes_of(box, size)));
    assert_false(dealing_box_matches(&d, 0, bytes_of(box, size)));
    assert_false(dealing_box_matches(&d, 4, bytes_of(box, size)));
    assert_false(dealing_box_matches(&d, 255, bytes_of(box, size)));
}

static void
boxes_open_at_their_owner_only(void **state)
{
    struct world *w = *state;
    uint8_t share[SECRET_BYTES_MAX];
    struct dealing d;
    size_t size;

    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
    for (uint8_t x = 1; x <= 3; x++) {
        for (unsigned node = 0; node < 3; node++) {
            for (uint8_t as = 0; as <= 4; as++) {
                enum vault_err err = dealing_open_box(&d, &w->place, as, d.boxes[x - 1],
                                                      &w->rings[node], share, &size);

                if (as == 0 || as == 4)
                    assert_int_equal(err, ERR_MALFORMED);
                else
                    assert_int_equal(err, as == x && node == d.nodes[x - 1] ? OK : ERR_CORRUPT);
            }
        }
    }
}

/* The commitment is checked although the box itself is in order. */
static void
box_with_another_share_is_corrupt(void **state)
{
    struct world *w = *state;
    uint8_t share[SECRET_BYTES_MAX];
    struct dealing d;
    size_t size;

    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
    d.share_commitments[0][5] ^= 1;
    memset(share, 0xff, sizeof(share));
    assert_int_equal(
        dealing_open_box(&d, &w->place, 1, d.boxes[0], &w->rings[d.nodes[0]], share, &size),
        ERR_CORRUPT);
    assert_int_equal(size, 0);
    assert_true(sodium_is_zero(share, sizeof(share)));
}

/* Every part of the place is bound, with a master key and without. */
static void
binds_the_place(void **state)
{
    static const uint8_t other_id[16] = "cluster-clusteR";
    struct world *w = *state;
    const struct dealing_place right = w->place;
    struct dealing_place wrong[7];

    for (unsigned i = 0; i < 7; i++)
        wrong[i] = right;
    wrong[0].cluster_id = other_id;
    wrong[1].tenant = bytes_of_text("acmf");
    wrong[2].name = bytes_of_text("db/passwore");
    wrong[3].incarnation = other_id;
    wrong[4].version = 8;
    wrong[5].tenant = bytes_of_text("acm"); /* the border between two parts moved */
    wrong[5].name = bytes_of_text("edb/password");
    wrong[6].name = bytes_of("\xff\xfe", 2); /* not even a name */
    for (unsigned with_master = 0; with_master < 2; with_master++) {
        const struct master_key *master = with_master ? &w->master : NULL;
        uint8_t share[SECRET_BYTES_MAX];
        struct shares all;
        struct dealing d;
        size_t size;

        w->place = right;
        assert_int_equal(make(w, 2, 3, master, &d), OK);
        open_boxes(w, &d, &all);
        for (unsigned i = 0; i < 7; i++) {
            enum vault_err expected = i == 6        ? ERR_CORRUPT_VALUE
                                      : with_master ? ERR_MASTER_KEY_INCORRECT
                                                    : ERR_CORRUPT_VALUE;

            w->place = wrong[i];
            assert_int_equal(open_shares(w, &d, all.list, 3, master), expected);
            assert_int_equal(
                dealing_open_box(&d, &w->place, 1, d.boxes[0], &w->rings[d.nodes[0]], share, &size),
                i == 6 ? ERR_RANGE : ERR_CORRUPT);
        }
        w->place = right;
        assert_int_equal(open_shares(w, &d, all.list, 3, master), OK);
    }
}

static void
tells_what_is_wrong_with_the_master_key(void **state)
{
    struct world *w = *state;
    struct master_key other = {.generation = w->master.generation};
    struct shares all;
    struct dealing d;

    assert_int_equal(make(w, 2, 3, &w->master, &d), OK);
    open_boxes(w, &d, &all);
    assert_int_equal(open_shares(w, &d, all.list, 3, NULL), ERR_MASTER_KEY_UNAVAILABLE);
    assert_int_equal(secret_copy(w->secrets, secret_bytes(&w->master.key), &other.key), OK);
    assert_int_equal(open_shares(w, &d, all.list, 3, &other), OK);
    other.generation++;
    assert_int_equal(open_shares(w, &d, all.list, 3, &other), ERR_MASTER_KEY_UNAVAILABLE);
    other.generation--;
    other.key.data[31] ^= 1;
    assert_int_equal(open_shares(w, &d, all.list, 3, &other), ERR_MASTER_KEY_INCORRECT);
    secret_free(w->secrets, &other.key);

    /* What was dealt before there was a master key stays readable. */
    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
    open_boxes(w, &d, &all);
    assert_int_equal(open_shares(w, &d, all.list, 3, &w->master), OK);
}

static void
check_value_tells_keys_apart(void **state)
{
    static const uint8_t other_cluster[CLUSTER_ID_BYTES] = {1};
    struct world *w = *state;
    uint8_t right[HASH_BYTES], found[HASH_BYTES];

    assert_int_equal(master_key_check_value(&w->master, cluster_id, right), OK);
    assert_int_equal(master_key_check_value(&w->master, cluster_id, found), OK);
    assert_memory_equal(right, found, HASH_BYTES);
    assert_memory_not_equal(right, w->master.key.data, HASH_BYTES);
    assert_int_equal(master_key_check_value(&w->master, other_cluster, found), OK);
    assert_memory_not_equal(right, found, HASH_BYTES);
    w->master.generation++;
    assert_int_equal(master_key_check_value(&w->master, cluster_id, found), OK);
    assert_memory_not_equal(right, found, HASH_BYTES);
    w->master.generation--;
    w->master.key.data[0] ^= 1;
    assert_int_equal(master_key_check_value(&w->master, cluster_id, found), OK);
    assert_memory_not_equal(right, found, HASH_BYTES);
}

/* What was checked is not checked again for that dealing; for any other it is. */
static void
checked_shares_are_of_one_dealing(void **state)
{
    struct world *w = *state;
    struct shares all;
    struct dealing d, other;

    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
    assert_int_equal(make(w, 2, 3, NULL, &other), OK);
    open_boxes(w, &d, &all);
    for (unsigned j = 0; j < 2; j++) {
        assert_true(dealing_share_check(&d, &all.list[j]));
        assert_ptr_equal(all.list[j].good_for, &d);
    }
    assert_int_equal(open_shares(w, &d, all.list, 2, NULL), OK);
    assert_int_equal(open_shares(w, &other, all.list, 2, NULL), ERR_VALUE_UNAVAILABLE);
    assert_false(dealing_share_check(&other, &all.list[0]));
    assert_null(all.list[0].good_for);
    assert_true(dealing_share_check(&d, &all.list[0]));
    flip(all.data[0], 3); /* since then: the commitment of the key tells */
    assert_int_equal(open_shares(w, &d, all.list, 2, NULL), ERR_CORRUPT_VALUE);
    assert_false(dealing_share_check(&d, &all.list[0]));
    assert_null(all.list[0].good_for);
}

static void
bad_shares_count_for_nothing(void **state)
{
    struct world *w = *state;
    struct share mixed[8];
    struct shares all, others;
    struct dealing d, other;

    assert_int_equal(make(w, 3, 5, NULL, &d), OK);
    assert_int_equal(make(w, 3, 5, NULL, &other), OK);
    open_boxes(w, &d, &all);
    open_boxes(w, &other, &others);

    mixed[0] = others.list[0]; /* of another dealing */
    mixed[1] = (struct share){.x = 0, .data = all.list[0].data};
    mixed[2] = (struct share){.x = 6, .data = all.list[0].data};
    mixed[3] = (struct share){.x = 255, .data = all.list[0].data};
    mixed[4] = (struct share){.x = 2, .data = all.list[0].data}; /* another's */
    mixed[5] = (struct share){.x = 1, .data = bytes_of(all.data[0], 31)};
    mixed[6] = (struct share){.x = 1, .data = bytes_of(NULL, 0)};
    for (unsigned i = 0; i < 7; i++)
        assert_false(dealing_share_matches(&d, &mixed[i]));
    assert_int_equal(open_shares(w, &d, mixed, 7, NULL), ERR_VALUE_UNAVAILABLE);

    mixed[1] = all.list[4];
    mixed[2] = all.list[4]; /* the same one three times is one */
    mixed[3] = all.list[4];
    mixed[4] = all.list[1];
    assert_int_equal(open_shares(w, &d, mixed, 7, NULL), ERR_VALUE_UNAVAILABLE);
    mixed[6] = all.list[0];
    assert_int_equal(open_shares(w, &d, mixed, 7, NULL), OK);
    assert_int_equal(open_shares(w, &d, NULL, 0, NULL), ERR_VALUE_UNAVAILABLE);
}

/* A dealer who lies: commitments that hold, to shares that make no key. */
static void
lying_dealer_is_found_out(void **state)
{
    struct world *w = *state;
    struct shares all;
    struct dealing d, other;

    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
    open_boxes(w, &d, &all);

    assert_int_equal(make(w, 2, 3, NULL, &other), OK);
    memcpy(other.id, d.id, sizeof(d.id));
    memcpy(other.share_commitments, d.share_commitments, sizeof(d.share_commitments));
    assert_int_equal(open_shares(w, &other, all.list, 3, NULL), ERR_CORRUPT_VALUE);
}

static void
recovers_any_share(void **state)
{
    struct world *w = *state;
    struct shares all;
    struct dealing d;

    assert_int_equal(make(w, 3, 5, &w->master, &d), OK);
    open_boxes(w, &d, &all);
    for (uint8_t x = 1; x <= 5; x++) {
        uint8_t out[SECRET_BYTES_MAX];
        struct share helpers[4];
        unsigned count = 0;
        size_t size;

        for (unsigned j = 0; j < 5; j++) {
            if (j != x - 1u)
                helpers[count++] = all.list[j];
        }
        for (unsigned given = 0; given <= 4; given++) {
            enum vault_err err = dealing_recover_share(&d, helpers, given, x, out, &size);

            assert_int_equal(err, given < 3 ? ERR_VALUE_UNAVAILABLE : OK);
            if (err == OK) {
                assert_true(bytes_equal(bytes_of(out, size), all.list[x - 1].data));
            } else {
                assert_int_equal(size, 0);
                assert_true(sodium_is_zero(out, sizeof(out)));
            }
        }
        d.share_commitments[x - 1][0] ^= 1;
        assert_int_equal(dealing_recover_share(&d, helpers, 4, x, out, &size), ERR_CORRUPT);
        assert_int_equal(size, 0);
        assert_true(sodium_is_zero(out, sizeof(out)));
        d.share_commitments[x - 1][0] ^= 1;
        assert_int_equal(dealing_recover_share(&d, helpers, 4, 0, out, &size), ERR_CORRUPT);
        assert_int_equal(dealing_recover_share(&d, helpers, 4, 6, out, &size), ERR_CORRUPT);
    }
}

static void
boxes_a_share_anew(void **state)
{
    struct world *w = *state;
    uint8_t box[BOX_BYTES_MAX], again[BOX_BYTES_MAX], opened[SECRET_BYTES_MAX];
    struct share wrong;
    struct shares all;
    struct dealing d;
    size_t size, again_size, opened_size;

    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
    open_boxes(w, &d, &all);
    assert_int_equal(share_keyring_generate(&w->rings[0], &w->rng), OK);
    assert_int_equal(dealing_box_share(&d, &w->place, &all.list[2], 0,
                                       share_keyring_current(&w->rings[0]), &w->sender, box, &size),
                     OK);
    assert_int_equal(
        dealing_open_box(&d, &w->place, 3, bytes_of(box, size), &w->rings[0], opened, &opened_size),
        OK);
    assert_true(bytes_equal(bytes_of(opened, opened_size), all.list[2].data));

    /* Under one key and the zero nonce, only ever the same plaintext. */
    assert_int_equal(dealing_box_share(&d, &w->place, &all.list[2], 0,
                                       share_keyring_current(&w->rings[0]), &w->sender, again,
                                       &again_size),
                     OK);
    assert_true(bytes_equal(bytes_of(box, size), bytes_of(again, again_size)));
    wrong = (struct share){.x = 3, .data = all.list[1].data};
    assert_int_equal(dealing_box_share(&d, &w->place, &wrong, 0,
                                       share_keyring_current(&w->rings[0]), &w->sender, again,
                                       &again_size),
                     ERR_CORRUPT);
    assert_int_equal(again_size, 0);
}

/* Neither value, nor its key, nor a share is anywhere in what a dealing gives away. */
static void
public_part_hides_everything(void **state)
{
    struct world *w = *state;
    struct shares all;
    struct dealing d;

    assert_int_equal(make(w, 2, 3, NULL, &d), OK);
    open_boxes(w, &d, &all);
    assert_null(memmem(d.ciphertext.data, d.ciphertext.size, "battery", 7));
    assert_null(memmem(d.ciphertext.data, d.ciphertext.size, "text/plain", 10));
    for (unsigned i = 0; i < 3; i++) {
        assert_null(memmem(&d, sizeof(d), all.data[i], 8));
        for (unsigned j = 0; j < 3; j++)
            assert_null(memmem(d.boxes[j].data, d.boxes[j].size, all.data[i], 8));
    }
}

static void
put_hash(crypto_generichash_state *hash, const void *data, size_t size)
{
    assert_int_equal(crypto_generichash_update(hash, data, size), 0);
}

/* The whole of one dealing under fixed randomness, by hash. */
static void
known_answer(void **state)
{
    struct world *w = *state;
    crypto_generichash_state hash;
    struct rng_seeded seed;
    struct rng rng;
    struct dealing_recipients r = recipients_of(w, 2, 3);
    struct dealing d;
    uint8_t out[HASH_BYTES];
    char text[2 * HASH_BYTES + 1];

    rng_seeded_init(&seed, 1000, &rng);
    assert_int_equal(
        dealing_make(&w->place, &w->value, &w->master, &r, &w->sender, &rng, &w->arena, &d), OK);
    assert_int_equal(crypto_generichash_init(&hash, NULL, 0, HASH_BYTES), 0);
    put_hash(&hash, d.id, sizeof(d.id));
    put_hash(&hash, d.ciphertext.data, d.ciphertext.size);
    put_hash(&hash, d.key_commitment, HASH_BYTES);
    put_hash(&hash, d.share_commitments, 3 * HASH_BYTES);
    for (unsigned j = 0; j < 3; j++)
        put_hash(&hash, d.boxes[j].data, d.boxes[j].size);
    assert_int_equal(crypto_generichash_final(&hash, out, HASH_BYTES), 0);
    hex_encode(bytes_of(out, HASH_BYTES), text);
    assert_string_equal(text, "fb19775f393bff8c3f4562f68a121370d300918ae996b6e4b11f9438fdab40d7");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_k_shares_open),
        TEST(shares_on_trust),
        TEST(values_of_every_size),
        TEST(hides_short_lengths),
        TEST(refuses_bad_arguments),
        TEST(refuses_an_unusable_share_key),
        TEST(fails_without_randomness),
        TEST(fails_without_memory),
        TEST(needs_a_slot_for_each_agreement),
        TEST(notices_damage_of_the_ciphertext),
        TEST(notices_damage_of_the_header),
        TEST(notices_damage_of_commitments_and_shares),
        TEST(notices_damage_of_boxes),
        TEST(boxes_open_at_their_owner_only),
        TEST(box_with_another_share_is_corrupt),
        TEST(binds_the_place),
        TEST(tells_what_is_wrong_with_the_master_key),
        TEST(check_value_tells_keys_apart),
        TEST(checked_shares_are_of_one_dealing),
        TEST(bad_shares_count_for_nothing),
        TEST(lying_dealer_is_found_out),
        TEST(recovers_any_share),
        TEST(boxes_a_share_anew),
        TEST(public_part_hides_everything),
        TEST(known_answer),
    };

    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
