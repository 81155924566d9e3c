/* Lists of revoked certificates as OpenSSL makes them, and what is kept of them. */
#include "auth_records.h"

#include <stdlib.h>

#include "auth/statement.h"
#include "crypto/secret.h"
#include "revocation_fixture.h"
#include "unbase64.h"

static struct arena arena;

static int
set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4 * 1024 * 1024);
    return crypto_init() == OK ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

static struct revocation_list
read_list(const char *text)
{
    struct revocation_list list;

    assert_int_equal(revocation_list_read(unbase64(&arena, text), &list), OK);
    return list;
}

static bool
serial_is(struct bytes serial, const char *hex)
{
    char text[2 * CERTIFICATE_SERIAL_BYTES_MAX + 1];

    hex_encode(serial, text);
    return strcmp(text, hex) == 0;
}

/* ---- lists ---- */

static void
taken_apart(void **state)
{
    static const char *const serials[] = {"77", "80ab", "0102030405060708090a0b0c0d0e0f1011121314"};
    struct revocation_list list = read_list(list_ec_reasons);
    struct bytes serial;
    unsigned found = 0;

    (void)state;
    assert_true(serial_is(list.number, "ffff"));
    assert_int_equal(list.signed_as, SIGNATURE_P256);
    assert_true(list.this_update_ms > 1790000000000 && list.this_update_ms < 1800000000000);
    assert_int_equal(list.next_update_ms - list.this_update_ms, UINT64_C(3650) * 24 * 3600 * 1000);
    while (revocation_list_next(&list, &serial)) {
        bool known = false;

        for (unsigned i = 0; i < 3; i++)
            known |= serial_is(serial, serials[i]);
        assert_true(known);
        found++;
    }
    assert_int_equal(found, 3);
    list = read_list(list_ec_none);
    assert_false(revocation_list_next(&list, &serial));
    assert_true(serial_is(list.number, "00"));
}

static void
signed_by_its_authority_alone(void **state)
{
    struct bytes ec = unbase64(&arena, authority_ec), rsa = unbase64(&arena, authority_rsa);
    struct bytes ed = unbase64(&arena, authority_ed);
    struct revocation_list list = read_list(list_ec_two);

    (void)state;
    assert_true(revocation_list_signed_by(&list, ec));
    assert_false(revocation_list_signed_by(&list, unbase64(&arena, authority_other)));
    assert_false(revocation_list_signed_by(&list, unbase64(&arena, authority_nolist)));
    assert_false(revocation_list_signed_by(&list, rsa));
    assert_false(revocation_list_signed_by(&list, bytes_of_text("x")));
    list = read_list(list_rsa);
    assert_true(revocation_list_signed_by(&list, rsa));
    assert_false(revocation_list_signed_by(&list, ec));
    list = read_list(list_ed);
    assert_true(revocation_list_signed_by(&list, ed));
    assert_false(revocation_list_signed_by(&list, rsa));
    list = read_list(list_ec_none);
    assert_true(revocation_list_signed_by(&list, ec));
    list = read_list(list_p384);
    assert_false(revocation_list_signed_by(&list, ec));
}

/* Partial lists, lists of other algorithms, and pieces. */
static void
others_are_refused(void **state)
{
    static const char *const texts[] = {list_delta, list_part};
    struct revocation_list list, none = {0};
    struct bytes good = unbase64(&arena, list_ec_two);
    uint8_t *longer = arena_alloc(&arena, good.size + 1);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(revocation_list_read(unbase64(&arena, texts[i]), &list), ERR_MALFORMED);
        assert_memory_equal(&list, &none, sizeof(list));
    }
    for (size_t size = 0; size < good.size; size++)
        assert_int_equal(revocation_list_read(bytes_of(good.data, size), &list), ERR_MALFORMED);
    memcpy(longer, good.data, good.size);
    longer[good.size] = 0;
    assert_int_equal(revocation_list_read(bytes_of(longer, good.size + 1), &list), ERR_MALFORMED);
}

/* Whatever bit is changed: it is no list any more, or not a signed one. */
static void
nothing_can_be_changed(void **state)
{
    static const char *const texts[][2] = {
        {list_ec_two, authority_ec}, {list_ec_reasons, authority_ec}, {list_ed, authority_ed}};
    struct revocation_list list;

    (void)state;
    for (unsigned t = 0; t < 3; t++) {
        struct bytes good = unbase64(&arena, texts[t][0]),
                     authority = unbase64(&arena, texts[t][1]);
        uint8_t *bad = arena_alloc(&arena, good.size);

        list = read_list(texts[t][0]);
        assert_true(revocation_list_signed_by(&list, authority));
        for (size_t bit = 0; bit < 8 * good.size; bit++) {
            memcpy(bad, good.data, good.size);
            bad[bit / 8] = (uint8_t)(bad[bit / 8] ^ (1 << bit % 8));
            assert_false(revocation_list_read(bytes_of(bad, good.size), &list) == OK &&
                         revocation_list_signed_by(&list, authority));
        }
    }
}

static void
numbers_are_compared_as_numbers(void **state)
{
    static const uint8_t one[] = {1}, two[] = {2}, large[] = {1, 0}, larger[] = {1, 1};

    (void)state;
    assert_true(revocation_number_compare(bytes_of(one, 1), bytes_of(two, 1)) < 0);
    assert_true(revocation_number_compare(bytes_of(two, 1), bytes_of(large, 2)) < 0);
    assert_true(revocation_number_compare(bytes_of(larger, 2), bytes_of(large, 2)) > 0);
    assert_int_equal(revocation_number_compare(bytes_of(large, 2), bytes_of(large, 2)), 0);
}

/* ---- records ---- */

static void
what_is_kept(void **state)
{
    static const uint8_t in[] = {0x10, 0x92}, out[] = {0x10, 0x93}, with_sign[] = {0xf0};
    struct bytes authority = unbase64(&arena, authority_ec), subject;
    struct revocation_list list = read_list(list_ec_two);
    uint8_t mark[HASH_BYTES], other[HASH_BYTES];
    struct revocations made, again;
    struct buf record = {0}, copy = {0};

    (void)state;
    assert_int_equal(certificate_authority_of(authority, &subject, mark), OK);
    assert_true(bytes_equal(subject, list.issuer));
    assert_int_equal(certificate_authority_of(unbase64(&arena, authority_nolist), &subject, other),
                     OK);
    assert_memory_equal(mark, other, HASH_BYTES); /* the same name and key */
    assert_int_equal(certificate_authority_of(unbase64(&arena, authority_other), &subject, other),
                     OK);
    assert_memory_not_equal(mark, other, HASH_BYTES);
    assert_int_equal(revocations_of(&list, mark, &arena, &made), OK);
    assert_int_equal(revocations_count(&made), 3);
    assert_int_equal(revocations_encode(&made, &record), OK);
    assert_int_equal(revocations_decode(buf_bytes(&record), &again), OK);
    assert_int_equal(revocations_encode(&again, &copy), OK);
    assert_true(bytes_equal(buf_bytes(&record), buf_bytes(&copy)));
    assert_true(revocations_have(&again, bytes_of(in, 2)));
    assert_true(revocations_have(&again, bytes_of(with_sign, 1)));
    assert_false(revocations_have(&again, bytes_of(out, 2)));
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(revocations_decode(bytes_of(record.data, size), &again), ERR_MALFORMED);
    memset(record.data + record.size - REVOCATION_MARK_BYTES, 0, REVOCATION_MARK_BYTES);
    assert_int_equal(revocations_decode(buf_bytes(&record), &again), ERR_MALFORMED);
    list = read_list(list_ec_none);
    assert_int_equal(revocations_of(&list, mark, &arena, &made), OK);
    assert_false(revocations_have(&made, bytes_of(in, 2)));
    buf_close(&record);
    buf_close(&copy);
}

/* Entries by hand: serial 1 + i, and a time. */
static struct bytes
make_entries(size_t count)
{
    static const uint8_t pattern[] = {0x30, 0x13, 0x02, 0x02, 0x10, 0,   0x17, 0x0d, '2', '6', '1',
                                      '1',  '2',  '2',  '0',  '7',  '1', '8',  '2',  '4', 'Z'};
    uint8_t *all = arena_alloc(&arena, count * sizeof(pattern) + 1);

    for (size_t i = 0; i < count; i++) {
        memcpy(all + i * sizeof(pattern), pattern, sizeof(pattern));
        all[i * sizeof(pattern) + 4] = (uint8_t)(1 + i / 256);
        all[i * sizeof(pattern) + 5] = (uint8_t)i;
    }
    return bytes_of(all, count * sizeof(pattern));
}

static void
long_lists(void **state)
{
    static const uint8_t mark[HASH_BYTES], one[] = {1};
    struct revocation_list list = {.number = bytes_of(one, 1), .next_update_ms = 1};
    struct revocations made;
    struct buf record = {0};

    (void)state;
    list.entries = make_entries(REVOCATIONS_MAX);
    assert_int_equal(revocations_of(&list, mark, &arena, &made), OK);
    assert_int_equal(revocations_count(&made), REVOCATIONS_MAX);
    assert_int_equal(revocations_encode(&made, &record), OK);
    for (size_t i = 0; i < REVOCATIONS_MAX; i++) {
        uint8_t serial[] = {(uint8_t)(1 + i / 256), (uint8_t)i};

        assert_true(revocations_have(&made, bytes_of(serial, 2)));
    }
    list.entries = make_entries(REVOCATIONS_MAX + 1);
    assert_int_equal(revocations_of(&list, mark, &arena, &made), ERR_TOO_LARGE);
    buf_close(&record);
}

static void
check_time(uint8_t tag, const char *text, size_t size, uint64_t ms)
{
    uint64_t time = 1;

    assert_int_equal(certificate_time(tag, bytes_of(text, size), &time), ms != 0);
    assert_int_equal(time, ms);
}

static void
times_have_digits(void **state)
{
    (void)state;
    check_time(0x17, "700101000001Z", 13, 1000);
    check_time(0x18, "19700101000001Z", 15, 1000);
    check_time(0x17, "700101000001", 12, 0);
    check_time(0x17, "70010100000aZ", 13, 0);
    check_time(0x17, "70 101000001Z", 13, 0);
    check_time(0x17,
               "\0"
               "00101000001Z",
               13, 0);
    check_time(0x18,
               "1970\0"
               "101000001Z",
               15, 0);
    check_time(0x18, "1970010100000\0Z", 15, 0);
    check_time(0x18, "", 0, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_apart),
        cmocka_unit_test(signed_by_its_authority_alone),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(nothing_can_be_changed),
        cmocka_unit_test(numbers_are_compared_as_numbers),
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(long_lists),
        cmocka_unit_test(times_have_digits),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
