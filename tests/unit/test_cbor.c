/*
 * The codec against RFC 8949's appendix A and against libcbor, which decodes more than we accept:
 * it says what an item is, the rules of the subset are written down here a second time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Two names that libcbor has too. */
#define cbor_type     libcbor_type
#define cbor_get_bool libcbor_get_bool
#include <cbor.h>
#undef cbor_type
#undef cbor_get_bool

#include <cmocka.h>

#include "base/cbor.h"
#include "crypto/rng.h"
#include "vectors.h"

/* What the reader accepts, written back item by item. */
static void
recode(struct cbor_reader *r, struct cbor_writer *w)
{
    enum cbor_type type;
    uint64_t count;

    if (!cbor_peek(r, &type)) {
        (void)cbor_get_uint(r); /* latches */
        return;
    }
    switch (type) {
    case CBOR_UINT: cbor_put_uint(w, cbor_get_uint(r)); break;
    case CBOR_NEGATIVE: cbor_put_negative(w, cbor_get_negative(r)); break;
    case CBOR_BYTES: cbor_put_bytes(w, cbor_get_bytes(r, SIZE_MAX)); break;
    case CBOR_TEXT: cbor_put_text(w, cbor_get_text(r, SIZE_MAX)); break;
    case CBOR_ARRAY:
        count = cbor_get_array(r, UINT64_MAX);
        cbor_put_array(w, count);
        for (uint64_t i = 0; i < count && r->err == OK; i++)
            recode(r, w);
        break;
    case CBOR_MAP:
        count = cbor_get_map(r, UINT64_MAX);
        cbor_put_map(w, count);
        for (uint64_t i = 0; i < 2 * count && r->err == OK; i++)
            recode(r, w);
        break;
    case CBOR_TAG: cbor_skip(r); break; /* latches */
    case CBOR_SIMPLE:
        if ((*r->at & 31) == 22) {
            cbor_get_null(r);
            cbor_put_null(w);
        } else {
            cbor_put_bool(w, cbor_get_bool(r));
        }
        break;
    }
}

static bool
accepted(struct bytes input)
{
    struct cbor_reader r;

    cbor_reader_init(&r, input);
    cbor_skip(&r);
    return cbor_finish(&r) == OK;
}

/* Accepted input must be read item by item as well, and come back byte for byte. */
static void
expect_roundtrip(struct bytes input)
{
    struct buf out = {0};
    struct cbor_reader r;
    struct cbor_writer w;

    cbor_reader_init(&r, input);
    cbor_writer_init(&w, &out);
    recode(&r, &w);
    assert_int_equal(cbor_finish(&r), OK);
    assert_int_equal(w.err, OK);
    assert_true(bytes_equal(buf_bytes(&out), input));
    buf_close(&out);
}

/* libcbor's opinion, with the rules of the subset but those on the order of keys and on UTF-8. */

static uint64_t
least_of_width(cbor_int_width width, uint64_t value)
{
    switch (width) {
    case CBOR_INT_8: return value < 24 ? 0 : 24;
    case CBOR_INT_16: return 1u << 8;
    case CBOR_INT_32: return 1u << 16;
    case CBOR_INT_64: return UINT64_C(1) << 32;
    }
    return UINT64_MAX;
}

static bool
oracle_accepts(cbor_item_t *item)
{
    switch (cbor_typeof(item)) {
    case CBOR_TYPE_UINT:
    case CBOR_TYPE_NEGINT:
        return cbor_get_int(item) >= least_of_width(cbor_int_get_width(item), cbor_get_int(item));
    case CBOR_TYPE_BYTESTRING: return cbor_bytestring_is_definite(item);
    case CBOR_TYPE_STRING: return cbor_string_is_definite(item);
    case CBOR_TYPE_ARRAY:
        if (!cbor_array_is_definite(item))
            return false;
        for (size_t i = 0; i < cbor_array_size(item); i++) {
            if (!oracle_accepts(cbor_array_handle(item)[i]))
                return false;
        }
        return true;
    case CBOR_TYPE_MAP:
        if (!cbor_map_is_definite(item))
            return false;
        for (size_t i = 0; i < cbor_map_size(item); i++) {
            if (!oracle_accepts(cbor_map_handle(item)[i].key) ||
                !oracle_accepts(cbor_map_handle(item)[i].value))
                return false;
        }
        return true;
    case CBOR_TYPE_TAG: return false;
    case CBOR_TYPE_FLOAT_CTRL:
        return cbor_float_ctrl_is_ctrl(item) && cbor_ctrl_value(item) >= 20 &&
               cbor_ctrl_value(item) <= 22;
    }
    return false;
}

/* Whole input, one item, written back the same: this sees lengths that are longer than needed. */
static bool
oracle_accepts_bytes(struct bytes input)
{
    struct cbor_load_result result;
    cbor_item_t *item = cbor_load(input.data, input.size, &result);
    unsigned char *again = NULL;
    size_t size, allocated;
    bool ok;

    if (!item)
        return false;
    size = cbor_serialize_alloc(item, &again, &allocated);
    ok = result.read == input.size && size == input.size && memcmp(again, input.data, size) == 0 &&
         oracle_accepts(item);
    free(again);
    cbor_decref(&item);
    return ok;
}

static void
check_appendix_a(const char *hex, bool roundtrip, unsigned *taken)
{
    struct bytes input = unhex(hex);
    bool expected = roundtrip && oracle_accepts_bytes(input);

    if (accepted(input) != expected)
        fail_msg("%s should be %s", hex, expected ? "accepted" : "refused");
    if (expected)
        expect_roundtrip(input);
    *taken += expected;
    bytes_free(input);
}

static void
appendix_a_built_in(void **state)
{
    static const char *const in_subset[] = {
        "00",
        "17",
        "1818",
        "1903e8",
        "1a000f4240",
        "1b000000e8d4a51000",
        "1bffffffffffffffff",
        "20",
        "3903e7",
        "3bffffffffffffffff",
        "f4",
        "f5",
        "f6",
        "40",
        "4401020304",
        "60",
        "62225c",
        "62c3bc",
        "63e6b0b4",
        "64f0908591",
        "80",
        "8301820203820405",
        "a0",
        "a201020304",
        "a26161016162820203",
        "826161a161626163",
    };
    static const char *const outside[] = {
        "c249010000000000000000",
        "f90000",
        "f97c00",
        "fb3ff199999999999a",
        "f7",
        "f0",
        "f8ff",
        "c11a514b67b0",
        "5f42010243030405ff",
        "7f657374726561646d696e67ff",
        "9fff",
        "bf61610161629f0203ffff",
        "9f018202039f0405ffff",
    };
    unsigned taken = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(in_subset) / sizeof(in_subset[0]); i++)
        check_appendix_a(in_subset[i], true, &taken);
    assert_int_equal(taken, sizeof(in_subset) / sizeof(in_subset[0]));
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        check_appendix_a(outside[i], true, &taken);
    assert_int_equal(taken, sizeof(in_subset) / sizeof(in_subset[0]));
}

static void
appendix_a_whole(void **state)
{
    json_t *root = vectors_load("cbor/appendix_a.json", JSON_DECODE_INT_AS_REAL);
    unsigned taken = 0;
    size_t i;
    json_t *entry;

    (void)state;
    if (!root)
        return;
    json_array_foreach(root, i, entry)
        check_appendix_a(json_string_value(json_object_get(entry, "hex")),
                         json_is_true(json_object_get(entry, "roundtrip")), &taken);
    printf("appendix A: %zu vectors, %u in the subset\n", json_array_size(root), taken);
    assert_int_equal(taken,
                     37); /* the others are floats, tags, indefinite or other simple values */
    json_decref(root);
}

static void
refuses_hex(const char *hex)
{
    struct bytes input = unhex(hex);

    if (accepted(input))
        fail_msg("%s was accepted", hex);
    bytes_free(input);
}

static void
refuses_other_forms(void **state)
{
    static const char *const cases[] = {
        "",
        "1800",
        "1817",
        "190000",
        "1900ff",
        "1a00000000",
        "1a0000ffff",
        "1b00000000ffffffff",
        "3817",
        "580100",
        "5801",
        "59000161",
        "7801",
        "780161",
        "980100",
        "b8010000", /* not shortest */
        "18",
        "19ff",
        "1affffff",
        "1bffffffffffffff",
        "41",
        "61",
        "81",
        "a1",
        "a100", /* cut off */
        "1c",
        "1d",
        "1e",
        "1f",
        "3f",
        "5c",
        "7e",
        "9d",
        "bd",
        "dc",
        "fc",
        "ff", /* reserved, breaks */
        "0000",
        "8000",
        "f6f6", /* something after */
        "f3",
        "f7",
        "f814",
        "f820",
        "e0", /* simple values */
        "c000",
        "d9d9f700", /* tags */
        "a200000000",
        "a201000000",
        "a2616100616100",
        "a2626161006162 00",
        "a2200000 00", /* keys */
        "61ff",
        "62c080",
        "63eda080",
        "64f4908080",
        "61c3",
        "6180",
        "64f7bfbfbf",
        "63e08080",
        "64f0808080", /* UTF-8 */
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "5bffffffffffffffff",
        "7bffffffffffffffff",
        "9a10000000",
        "ba7fffffff00",
        "b90100", /* counts that cannot be */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char compact[64];
        size_t n = 0;

        for (const char *c = cases[i]; *c; c++) {
            if (*c != ' ')
                compact[n++] = *c;
        }
        compact[n] = '\0';
        refuses_hex(compact);
    }
}

/* `containers` arrays of one item around a null; maps for the odd ones when asked. */
static bool
nested_accepted(unsigned containers, bool maps)
{
    struct buf buf = {0};
    struct cbor_writer w;
    bool ok;

    cbor_writer_init(&w, &buf);
    for (unsigned i = 0; i < containers; i++) {
        if (maps && i % 2 == 1) {
            cbor_put_map(&w, 1);
            cbor_put_uint(&w, 0);
        } else {
            cbor_put_array(&w, 1);
        }
    }
    cbor_put_null(&w);
    assert_int_equal(w.err, OK);
    ok = accepted(buf_bytes(&buf));
    buf_close(&buf);
    return ok;
}

static void
nests_sixteen_deep(void **state)
{
    (void)state;
    assert_true(nested_accepted(16, false));
    assert_true(nested_accepted(16, true));
    assert_false(nested_accepted(17, false));
    assert_false(nested_accepted(17, true));
    assert_false(nested_accepted(100000, false));
}

/* A random item, built twice: by libcbor, and by our writer. Strings are of ASCII. */
struct twin {
    struct rng rng;
    struct cbor_writer w;
};

static uint64_t
draw(struct twin *t, uint64_t bound)
{
    uint64_t value;

    assert_int_equal(rng_below(&t->rng, bound, &value), OK);
    return value;
}

/* Integers of every width, with the limits of each often. */
static uint64_t
draw_integer(struct twin *t)
{
    static const uint64_t edges[] = {0,
                                     23,
                                     24,
                                     255,
                                     256,
                                     65535,
                                     65536,
                                     UINT32_MAX,
                                     1u << 31,
                                     UINT64_C(1) << 32,
                                     UINT64_MAX - 1,
                                     UINT64_MAX};

    if (draw(t, 2) == 0)
        return edges[draw(t, sizeof(edges) / sizeof(edges[0]))];
    return draw(t, UINT64_MAX) >> draw(t, 64);
}

static cbor_item_t *
oracle_integer(uint64_t value, bool negative)
{
    cbor_item_t *item = value <= UINT8_MAX    ? cbor_build_uint8((uint8_t)value)
                        : value <= UINT16_MAX ? cbor_build_uint16((uint16_t)value)
                        : value <= UINT32_MAX ? cbor_build_uint32((uint32_t)value)
                                              : cbor_build_uint64(value);

    if (negative)
        cbor_mark_negint(item);
    return item;
}

static cbor_item_t *
twin_item(struct twin *t, unsigned depth)
{
    uint8_t data[300];
    size_t size = draw(t, 4) == 0 ? draw(t, sizeof(data)) : draw(t, 30);
    uint64_t value = draw_integer(t);
    uint64_t count = draw(t, 5);
    cbor_item_t *item;

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)('a' + draw(t, 26));
    switch (draw(t, depth > 0 ? 8 : 6)) {
    case 0: cbor_put_uint(&t->w, value); return oracle_integer(value, false);
    case 1: cbor_put_negative(&t->w, value); return oracle_integer(value, true);
    case 2: cbor_put_bytes(&t->w, bytes_of(data, size)); return cbor_build_bytestring(data, size);
    case 3:
        cbor_put_text(&t->w, bytes_of(data, size));
        return cbor_build_stringn((const char *)data, size);
    case 4: cbor_put_bool(&t->w, value & 1); return cbor_build_bool(value & 1);
    case 5: cbor_put_null(&t->w); return cbor_new_null();
    case 6:
        cbor_put_array(&t->w, count);
        item = cbor_new_definite_array(count);
        for (uint64_t i = 0; i < count; i++)
            assert_true(cbor_array_push(item, cbor_move(twin_item(t, depth - 1))));
        return item;
    default:
        cbor_put_map(&t->w, count);
        item = cbor_new_definite_map(count);
        for (uint64_t i = 0; i < count; i++) {
            cbor_item_t *key = oracle_integer(i * 100, false);

            cbor_put_uint(&t->w, i * 100);
            assert_true(cbor_map_add(
                item, (struct cbor_pair){.key = cbor_move(key),
                                         .value = cbor_move(twin_item(t, depth - 1))}));
        }
        return item;
    }
}

static void
encodes_as_libcbor_does(void **state)
{
    struct rng_seeded seeded;
    struct twin t;

    (void)state;
    rng_seeded_init(&seeded, 1, &t.rng);
    for (unsigned round = 0; round < 20000; round++) {
        struct buf buf = {0};
        unsigned char *expected = NULL;
        size_t size, allocated;
        cbor_item_t *item;

        cbor_writer_init(&t.w, &buf);
        item = twin_item(&t, 4);
        assert_int_equal(t.w.err, OK);
        size = cbor_serialize_alloc(item, &expected, &allocated);
        assert_int_equal(size, buf.size);
        assert_memory_equal(expected, buf.data, size);
        assert_true(accepted(buf_bytes(&buf)));
        expect_roundtrip(buf_bytes(&buf));
        for (size_t cut = 0; cut < buf.size && cut < 40; cut++)
            assert_false(accepted(bytes_of(buf.data, cut)));
        free(expected);
        cbor_decref(&item);
        buf_close(&buf);
    }
}

/*
 * Mutated items. What we accept, libcbor must decode whole and to an item of the subset; what we
 * refuse of its subset may only be keys out of order, bad UTF-8 or depth.
 */
static void
mutations_are_judged_as_libcbor_does(void **state)
{
    struct rng_seeded seeded;
    struct twin t;
    unsigned ours = 0;

    (void)state;
    rng_seeded_init(&seeded, 2, &t.rng);
    for (unsigned round = 0; round < 40000; round++) {
        struct buf buf = {0};
        cbor_item_t *item;

        cbor_writer_init(&t.w, &buf);
        item = twin_item(&t, 3);
        cbor_decref(&item);
        for (uint64_t flips = 1 + draw(&t, 3); flips > 0; flips--)
            buf.data[draw(&t, buf.size)] ^= (uint8_t)(1u << draw(&t, 8));
        if (accepted(buf_bytes(&buf))) {
            ours++;
            assert_true(oracle_accepts_bytes(buf_bytes(&buf)));
            expect_roundtrip(buf_bytes(&buf));
        }
        buf_close(&buf);
    }
    printf("mutations: %u of 40000 still accepted\n", ours);
    assert_true(ours > 1000);
    assert_true(ours < 39000);
}

static struct cbor_reader
reader_of(const char *hex, uint8_t *storage, size_t size)
{
    struct cbor_reader r;

    assert_int_equal(hex_decode(bytes_of_text(hex), storage, size), OK);
    cbor_reader_init(&r, bytes_of(storage, size));
    return r;
}

static void
getters_check_their_limits(void **state)
{
    uint8_t s[8], fixed[4];
    struct cbor_reader r;

    (void)state;
    r = reader_of("1864", s, 2);
    assert_int_equal(cbor_get_uint_max(&r, 100), 100);
    r = reader_of("1864", s, 2);
    assert_int_equal(cbor_get_uint_max(&r, 99), 0);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
    r = reader_of("43010203", s, 4);
    assert_int_equal(cbor_get_bytes(&r, 3).size, 3);
    assert_int_equal(cbor_finish(&r), OK);
    r = reader_of("43010203", s, 4);
    assert_null(cbor_get_bytes(&r, 2).data);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
    r = reader_of("63616263", s, 4);
    assert_null(cbor_get_text(&r, 2).data);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
    r = reader_of("43010203", s, 4);
    memset(fixed, 0xff, sizeof(fixed));
    cbor_get_fixed(&r, fixed, 4); /* three are there */
    assert_memory_equal(fixed, "\0\0\0\0", 4);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
    r = reader_of("43010203", s, 4);
    cbor_get_fixed(&r, fixed, 3);
    assert_memory_equal(fixed, "\1\2\3", 3);
    assert_int_equal(cbor_finish(&r), OK);
    r = reader_of("820001", s, 3);
    assert_int_equal(cbor_get_array(&r, 1), 0);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
    r = reader_of("a100", s, 2); /* one pair needs two bytes */
    assert_int_equal(cbor_get_map(&r, 9), 0);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
}

static void
errors_latch(void **state)
{
    enum cbor_type type;
    struct cbor_reader r;
    struct cbor_writer w;
    struct buf buf = {0};
    uint8_t s[4];

    (void)state;
    r = reader_of("00010203", s, 4);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED); /* not consumed */
    assert_true(cbor_peek(&r, &type));
    assert_int_equal(type, CBOR_UINT);
    assert_null(cbor_get_bytes(&r, 9).data);
    assert_int_equal(cbor_get_uint(&r), 0);
    assert_int_equal(cbor_get_uint(&r), 0);
    assert_false(cbor_get_bool(&r));
    cbor_get_null(&r);
    cbor_skip(&r);
    assert_false(cbor_peek(&r, &type));
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);

    cbor_writer_init(&w, &buf);
    cbor_put_uint(&w, 1);
    cbor_put_text(&w, bytes_of("\xff", 1));
    cbor_put_uint(&w, 2);
    assert_int_equal(w.err, ERR_MALFORMED);
    assert_int_equal(buf.size, 1);
    buf_close(&buf);

    cbor_reader_init(&r, bytes_of(NULL, 0));
    assert_false(cbor_peek(&r, &type));
    assert_int_equal(cbor_finish(&r), OK);
    cbor_skip(&r);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
}

static void
booleans_and_null(void **state)
{
    struct cbor_reader r;
    uint8_t s[3];

    (void)state;
    r = reader_of("f5f4f6", s, 3);
    assert_true(cbor_get_bool(&r));
    assert_false(cbor_get_bool(&r));
    cbor_get_null(&r);
    assert_int_equal(cbor_finish(&r), OK);
    r = reader_of("f6", s, 1);
    assert_false(cbor_get_bool(&r));
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
    r = reader_of("f5", s, 1);
    cbor_get_null(&r);
    assert_int_equal(cbor_finish(&r), ERR_MALFORMED);
}

/* Every code point, encoded by the rule itself: good unless it is a surrogate. */
static void
utf8_of_every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x120000; point++) {
        uint8_t text[4];
        size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        bool good = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);

        for (size_t i = size; i-- > 1;)
            text[i] = (uint8_t)(0x80u | (point >> (6 * (size - 1 - i)) & 0x3fu));
        text[0] =
            (uint8_t)(size == 1 ? point : (0xf00u >> size & 0xffu) | point >> (6 * (size - 1)));
        if (utf8_valid(bytes_of(text, size)) != good)
            fail_msg("U+%04X is judged wrongly", point);
        if (size > 1)
            assert_false(utf8_valid(bytes_of(text, size - 1)));
    }
    assert_true(utf8_valid(bytes_of(NULL, 0)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appendix_a_built_in),
        cmocka_unit_test(appendix_a_whole),
        cmocka_unit_test(refuses_other_forms),
        cmocka_unit_test(nests_sixteen_deep),
        cmocka_unit_test(encodes_as_libcbor_does),
        cmocka_unit_test(mutations_are_judged_as_libcbor_does),
        cmocka_unit_test(getters_check_their_limits),
        cmocka_unit_test(errors_latch),
        cmocka_unit_test(booleans_and_null),
        cmocka_unit_test(utf8_of_every_code_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
