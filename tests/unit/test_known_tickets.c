/* Credentials whose hashes are known from before: the table says what it would say without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/known_tickets.h"
#include "crypto/secret.h"

enum { MANY = 3 * KNOWN_TICKETS };

static const uint8_t key[SHORT_HASH_BYTES] = {1, 2, 3};

struct presented {
    uint8_t text[TICKET_TEXT_BYTES];
    uint8_t hash[HASH_BYTES], accessor[ACCESSOR_BYTES];
};

static struct bytes
text_of(const struct presented *p)
{
    return bytes_of(p->text, sizeof(p->text));
}

static void
make(uint64_t seed, struct presented *out)
{
    struct rng_seeded state;
    struct rng rng;
    struct buf text = {0};

    rng_seeded_init(&state, seed, &rng);
    assert_int_equal(ticket_make(TICKET_TOKEN, &rng, &text), OK);
    assert_int_equal(text.size, TICKET_TEXT_BYTES);
    memcpy(out->text, text.data, TICKET_TEXT_BYTES);
    assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(&text), out->hash), OK);
    ticket_accessor(out->hash, out->accessor);
    buf_close(&text);
}

/* Says what it would say without the table. */
static bool
look(const struct known_tickets *known, const struct presented *p)
{
    uint8_t hash[HASH_BYTES], accessor[ACCESSOR_BYTES];
    bool was_known;

    assert_int_equal(known_tickets_hash(known, text_of(p), hash, accessor, &was_known), OK);
    assert_memory_equal(hash, p->hash, sizeof(hash));
    assert_memory_equal(accessor, p->accessor, sizeof(accessor));
    return was_known;
}

static void
test_known_again(void **state)
{
    struct known_tickets *known;
    struct presented one, other;

    (void)state;
    make(1, &one);
    make(2, &other);
    assert_int_equal(known_tickets_new(key, &known), OK);
    assert_false(look(NULL, &one));
    assert_false(look(known, &one)); /* to be looked at is not to be known */
    assert_false(look(known, &one));
    known_tickets_add(known, text_of(&one), one.hash, one.accessor);
    assert_true(look(known, &one));
    assert_false(look(known, &other));
    known_tickets_add(NULL, text_of(&other), other.hash, other.accessor);
    known_tickets_free(known);
    known_tickets_free(NULL);
}

/*
 * Of as many as there are places two in three find their own one, however many were there before.
 */
static void
test_many(void **state)
{
    struct presented *all = calloc(MANY, sizeof(*all));
    struct known_tickets *known;
    size_t found = 0;

    (void)state;
    assert_non_null(all);
    assert_int_equal(known_tickets_new(key, &known), OK);
    for (unsigned i = 0; i < MANY; i++) {
        make(i, &all[i]);
        known_tickets_add(known, text_of(&all[i]), all[i].hash, all[i].accessor);
        assert_true(look(known, &all[i]));
    }
    for (unsigned i = MANY - KNOWN_TICKETS; i < MANY; i++)
        found += look(known, &all[i]);
    assert_in_range(found, KNOWN_TICKETS / 2, KNOWN_TICKETS);
    known_tickets_free(known);
    free(all);
}

static void
test_what_is_no_token_is_not_known(void **state)
{
    uint8_t hash[HASH_BYTES], accessor[ACCESSOR_BYTES];
    const uint8_t none[HASH_BYTES] = {0};
    struct known_tickets *known;
    struct presented one, bent;
    bool was_known;

    (void)state;
    make(1, &one);
    assert_int_equal(known_tickets_new(key, &known), OK);
    known_tickets_add(known, text_of(&one), one.hash, one.accessor);
    for (unsigned i = 0; i < TICKET_TEXT_BYTES; i++) {
        bent = one;
        bent.text[i] ^= 1;
        assert_int_equal(known_tickets_hash(known, text_of(&bent), hash, accessor, &was_known),
                         ERR_MALFORMED);
        assert_false(was_known);
        assert_memory_equal(hash, none, sizeof(hash));
        assert_memory_equal(accessor, none, sizeof(accessor));
    }
    for (size_t size = 0; size < TICKET_TEXT_BYTES; size++) {
        assert_int_equal(
            known_tickets_hash(known, bytes_of(one.text, size), hash, accessor, &was_known),
            ERR_MALFORMED);
        known_tickets_add(known, bytes_of(one.text, size), one.hash, one.accessor);
    }
    assert_true(look(known, &one));
    known_tickets_free(known);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_again),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_what_is_no_token_is_not_known),
    };
    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
