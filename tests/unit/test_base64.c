/* RFC 4648, section 10, and everything that a lenient decoder would let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/base64.h"

static const struct {
    const char *plain;
    const char *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

static void
both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct bytes plain = bytes_of_text(vectors[i].plain);
        struct bytes text = bytes_of_text(vectors[i].text);
        struct buf encoded = {0};
        uint8_t decoded[16];
        size_t size;

        assert_int_equal(base64_encode(plain, &encoded), OK);
        assert_int_equal(base64_encoded_size(plain.size), text.size);
        assert_true(bytes_equal(buf_bytes(&encoded), text));
        assert_int_equal(base64_decode(text, decoded, sizeof decoded, &size), OK);
        assert_true(bytes_equal(bytes_of(decoded, size), plain));
        assert_true(size <= base64_decoded_size_max(text.size));
        buf_close(&encoded);
    }
}

static void
appends(void **state)
{
    struct buf buf = {0};

    (void)state;
    assert_int_equal(buf_append_text(&buf, "x:"), OK);
    assert_int_equal(base64_encode(bytes_of_text("foo"), &buf), OK);
    assert_int_equal(buf_append_text(&buf, ";"), OK);
    assert_true(bytes_equal(buf_bytes(&buf), bytes_of_text("x:Zm9v;")));
    buf_close(&buf);
}

static void
url_safe(void **state)
{
    static const char *const texts[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},           {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"\xfb\xff\xbf", "-_-_"}};
    static const char *const refused_texts[] = {"Zg==",  "Zh",  "Zm9",  "+/+/", "Z",
                                                "Zm9vY", "Z g", "Zg\n", "Zm8=", "\xc1\xc1"};
    uint8_t decoded[16];
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct bytes plain = bytes_of_text(texts[i][0]), text = bytes_of_text(texts[i][1]);
        struct buf encoded = {0};

        assert_int_equal(base64url_encode(plain, &encoded), OK);
        assert_int_equal(base64url_encoded_size(plain.size), text.size);
        assert_int_equal(base64url_decoded_size(text.size), plain.size);
        assert_true(bytes_equal(buf_bytes(&encoded), text));
        assert_int_equal(base64url_decode(text, decoded, plain.size, &size), OK);
        assert_true(bytes_equal(bytes_of(decoded, size), plain));
        buf_close(&encoded);
    }
    for (size_t i = 0; i < sizeof refused_texts / sizeof refused_texts[0]; i++)
        assert_int_equal(
            base64url_decode(bytes_of_text(refused_texts[i]), decoded, sizeof decoded, &size),
            ERR_MALFORMED);
}

static void
refused(void **state)
{
    static const char *const texts[] = {
        "Zg",    "Zg=",     "Zg===",    "Z",        "=",       "====",     "Zm9v=", "Zm9v====",
        "Zm 9v", "Zm9v\n",  "\nZm9v",   "Zm9vZh==", "Zm9=",    "Zh==",     "Z=g=",  "Zg==Zg==",
        "-_-_",  "Zm9\x80", "Zm9v.m9v", "*m9v",     "Zm9vZm9", "Zm9vZm=9",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t out[16];
        size_t size = 99;

        memset(out, 0xaa, sizeof out);
        if (base64_decode(bytes_of_text(texts[i]), out, sizeof out, &size) != ERR_MALFORMED)
            fail_msg("accepted: %s", texts[i]);
        assert_int_equal(size, 0);
        for (size_t j = 0; j < sizeof out; j++)
            assert_int_equal(out[j], 0);
    }
    {
        uint8_t out[8];
        size_t size;

        assert_int_equal(base64_decode(bytes_of("Zm9\0", 4), out, sizeof out, &size),
                         ERR_MALFORMED);
        assert_int_equal(base64_decode(bytes_of_text("Zm9v"), out, 2, &size), ERR_MALFORMED);
    }
}

static void
every_length(void **state)
{
    uint8_t plain[100];
    uint8_t decoded[102];

    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 73 + 5);
    for (size_t n = 0; n <= sizeof plain; n++) {
        struct buf text = {0};
        size_t size;

        assert_int_equal(base64_encode(bytes_of(plain, n), &text), OK);
        assert_int_equal(
            base64_decode(buf_bytes(&text), decoded, base64_decoded_size_max(text.size), &size),
            OK);
        assert_true(bytes_equal(bytes_of(plain, n), bytes_of(decoded, size)));
        buf_close(&text);
    }
}

/* Each of the 256 bytes in each place: letters of the alphabet and nothing else. */
static void
only_the_alphabet(void **state)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    (void)state;
    for (size_t place = 0; place < 4; place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t text[8] = "AAAAAAAA";
            uint8_t out[6];
            size_t size;
            bool letter = byte != 0 && strchr(alphabet, (int)byte) != NULL;

            text[place] = (uint8_t)byte;
            assert_int_equal(base64_decode(bytes_of(text, 8), out, sizeof out, &size),
                             letter ? OK : ERR_MALFORMED);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),    cmocka_unit_test(appends),
        cmocka_unit_test(url_safe),     cmocka_unit_test(refused),
        cmocka_unit_test(every_length), cmocka_unit_test(only_the_alphabet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
