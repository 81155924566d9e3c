/* .env text: items, values, references, and that what is written is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "env/dotenv.h"

static struct dotenv_item
only_item(const char *text)
{
    struct dotenv_reader reader;
    struct dotenv_item item, more;
    dotenv_read(&reader, bytes_of_text(text));
    assert_true(dotenv_next(&reader, &item));
    assert_true(bytes_equal(item.raw, bytes_of_text(text)));
    assert_false(dotenv_next(&reader, &more));
    return item;
}

static void
assert_bytes(struct bytes found, const char *wanted)
{
    if (!bytes_equal(found, bytes_of_text(wanted)))
        fail_msg("\"%.*s\" instead of \"%s\"", (int)found.size, (const char *)found.data, wanted);
}

static void
assert_value(const char *text, const char *name, const char *value)
{
    struct dotenv_item item = only_item(text);
    struct buf decoded = {0};
    assert_int_equal(item.kind, DOTENV_ASSIGNMENT);
    assert_int_equal(item.fault, DOTENV_GOOD);
    assert_bytes(item.name, name);
    assert_int_equal(dotenv_decode(&item, &decoded), OK);
    assert_bytes(buf_bytes(&decoded), value);
    buf_close(&decoded);
    size_t quotes = item.quote ? 2 : 0;
    assert_int_equal(item.before.size + item.value.size + quotes + item.after.size, item.raw.size);
}

static void
test_values(void **state)
{
    (void)state;
    assert_value("A=b", "A", "b");
    assert_value("A=b\n", "A", "b");
    assert_value("A=b\r\n", "A", "b");
    assert_value("A=\n", "A", "");
    assert_value("  export  A.b-C_1 =  b c  \t\n", "A.b-C_1", "b c");
    assert_value("A=b # comment", "A", "b");
    assert_value("A=b#c", "A", "b#c");
    assert_value("A=#c", "A", "");
    assert_value("A= #c", "A", "");
    assert_value("A=b\\n'\"c", "A", "b\\n'\"c");
    assert_value("A='b # \\n c' # d\n", "A", "b # \\n c");
    assert_value("A='two\nlines'\n", "A", "two\nlines");
    assert_value("A=\"b \\\" \\\\ \\n\\r\\t \\$x \\q\"", "A", "b \" \\ \n\r\t $x \\q");
    assert_value("A=\"two\r\nlines\" \r\n", "A", "two\r\nlines");
    assert_value("A=`b'\"c`", "A", "b'\"c");
    assert_value("A=`b", "A", "`b");
    assert_value("A=secret(a b # c) # d", "A", "secret(a b # c)");
    assert_value("\xef\xbb\xbf"
                 "A=b",
                 "A", "b");
    assert_value("A==b", "A", "=b");
    assert_value("export=b", "export", "b");
}

static void
test_others(void **state)
{
    static const char *const texts[] = {"",           "\n",           "# A=b\n",  "A\n",
                                        "export A\n", "1A=b\n",       "A b=c\n",  "=b\n",
                                        "A: b\n",     "\xc3\xa4=b\n", "  # c\r\n"};
    (void)state;
    for (size_t i = 1; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(only_item(texts[i]).kind, DOTENV_OTHER);
    struct dotenv_reader reader;
    struct dotenv_item item;
    dotenv_read(&reader, bytes_of_text(""));
    assert_false(dotenv_next(&reader, &item));
}

static void
assert_fault(const char *text, enum dotenv_fault fault)
{
    struct dotenv_reader reader;
    struct dotenv_item item;
    dotenv_read(&reader, bytes_of_text(text));
    assert_true(dotenv_next(&reader, &item));
    assert_int_equal(item.fault, fault);
}

static void
test_faults(void **state)
{
    (void)state;
    assert_fault("A='b\n", DOTENV_BAD_QUOTE);
    assert_fault("A=\"b\\\"\n", DOTENV_BAD_QUOTE);
    assert_fault("A='b'c\n", DOTENV_BAD_QUOTE);
    assert_fault("A='b'#c\n", DOTENV_BAD_QUOTE);
    assert_fault("A=enc(\"b\"", DOTENV_BAD_REFERENCE);
    assert_fault("A=enc(\"b\n", DOTENV_BAD_REFERENCE);
    assert_fault("A=enc(b\n)", DOTENV_BAD_REFERENCE);
    assert_fault("A=enc()", DOTENV_BAD_REFERENCE);
    assert_fault("A=enc(b)c", DOTENV_BAD_REFERENCE);
    assert_fault("A=enc('b'c)", DOTENV_BAD_REFERENCE);
}

static void
assert_enc(const char *text, enum dotenv_kind kind, const char *argument, const char *after)
{
    struct dotenv_item item = only_item(text);
    struct buf decoded = {0};
    assert_int_equal(item.kind, kind);
    assert_int_equal(item.fault, DOTENV_GOOD);
    assert_bytes(item.before, "A=");
    assert_bytes(item.after, after);
    assert_int_equal(dotenv_decode(&item, &decoded), OK);
    assert_bytes(buf_bytes(&decoded), argument);
    buf_close(&decoded);
}

static void
test_enc(void **state)
{
    (void)state;
    assert_enc("A=enc(\"b \\\" ) # \\n\")\n", DOTENV_ENC_LITERAL, "b \" ) # \n", "\n");
    assert_enc("A=enc( 'b \\n' ) # c\r\n", DOTENV_ENC_LITERAL, "b \\n", " # c\r\n");
    assert_enc("A=enc('')", DOTENV_ENC_LITERAL, "", "");
    assert_enc("A=enc(db/password)\n", DOTENV_ENC_NAME, "db/password", "\n");
    assert_enc("A=enc(\"two\nlines\")\n", DOTENV_ENC_LITERAL, "two\nlines", "\n");
    /* Quoted, or behind something else, it is text. */
    assert_value("A='enc(b)'", "A", "enc(b)");
    assert_value("A=xenc(b)", "A", "xenc(b)");
}

static void
test_lines_are_counted(void **state)
{
    (void)state;
    struct dotenv_reader reader;
    struct dotenv_item item;
    static const size_t lines[] = {1, 2, 3, 6, 7};
    dotenv_read(&reader, bytes_of_text("# a\n\nA='x\ny\nz'\nB=1\nC=2"));
    for (size_t i = 0; i < 5; i++) {
        assert_true(dotenv_next(&reader, &item));
        assert_int_equal(item.line, lines[i]);
    }
    assert_false(dotenv_next(&reader, &item));
}

static void
assert_piece(struct bytes *rest, bool is_reference, const char *text, uint64_t version)
{
    struct dotenv_piece piece;
    assert_true(dotenv_next_piece(rest, &piece));
    assert_int_equal(piece.is_reference, is_reference);
    assert_int_equal(piece.fault, DOTENV_GOOD);
    assert_bytes(piece.text, text);
    assert_int_equal(piece.version, version);
}

static void
test_references(void **state)
{
    (void)state;
    struct bytes rest = bytes_of_text("postgres://secret(db/user):secret(db/pass@12)@db/x");
    struct dotenv_piece piece;
    assert_true(dotenv_has_reference(rest));
    assert_piece(&rest, false, "postgres://", 0);
    assert_piece(&rest, true, "db/user", 0);
    assert_piece(&rest, false, ":", 0);
    assert_piece(&rest, true, "db/pass", 12);
    assert_piece(&rest, false, "@db/x", 0);
    assert_false(dotenv_next_piece(&rest, &piece));
    rest = bytes_of_text("secret(me@example.org)secret(a@0)secret(a@01)secret(a@)");
    assert_piece(&rest, true, "me@example.org", 0);
    assert_piece(&rest, true, "a@0", 0);
    assert_piece(&rest, true, "a@01", 0);
    assert_piece(&rest, true, "a@", 0);
    assert_false(dotenv_has_reference(bytes_of_text("secret (a) SECRET(a)")));
}

static void
test_bad_references(void **state)
{
    static const struct {
        const char *text;
        enum dotenv_fault fault;
    } rows[] = {
        {"secret(a", DOTENV_BAD_REFERENCE}, {"secret(", DOTENV_BAD_REFERENCE},
        {"secret()", DOTENV_BAD_NAME},      {"secret(a//b)", DOTENV_BAD_NAME},
        {"secret(_a)", DOTENV_BAD_NAME},    {"secret(@1)", DOTENV_BAD_NAME},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes rest = bytes_of_text(rows[i].text);
        struct dotenv_piece piece;
        assert_true(dotenv_next_piece(&rest, &piece));
        assert_true(piece.is_reference);
        assert_int_equal(piece.fault, rows[i].fault);
    }
}

static void
assert_quoted(const char *value, const char *wanted)
{
    struct buf out = {0};
    assert_int_equal(dotenv_quote(bytes_of_text(value), &out), OK);
    assert_bytes(buf_bytes(&out), wanted);
    buf_close(&out);
}

static void
test_quoting(void **state)
{
    (void)state;
    assert_quoted("plain-1.2/x:y@z", "plain-1.2/x:y@z");
    assert_quoted("", "''");
    assert_quoted("two words", "'two words'");
    assert_quoted("$HOME \"x\" #", "'$HOME \"x\" #'");
    assert_quoted("two\nlines", "'two\nlines'");
    assert_quoted("it's", "\"it's\"");
    assert_quoted("it's\n#", "\"it's\\n#\"");
    assert_quoted("C:\\dir", "'C:\\dir'");
    assert_quoted("end\\", "end\\");
    assert_quoted("'\"", "\"'\\\"\"");
    assert_quoted("a'b\"c", "a'b\"c");
    assert_quoted("\r", "\"\\r\"");
    assert_quoted("enc(x)", "'enc(x)'");
    assert_quoted("'\"secret(x", "\"'\\\"secret(x\""); /* a ')' in a comment would end it */
    struct buf out = {0};
    assert_int_equal(dotenv_quote(bytes_of("a\0b", 3), &out), ERR_RANGE);
    assert_int_equal(out.size, 0);
    buf_close(&out);
}

/* Every value of up to four bytes of those that mean something to somebody. */
static void
test_all_short_values_come_back(void **state)
{
    static const char alphabet[] = "a \t\n\r'\"`\\#$=()n\xc3";
    size_t size = sizeof alphabet - 1;
    (void)state;
    for (size_t number = 0; number < size * size * size * size; number++) {
        char value[5] = {0};
        char line[64];
        size_t rest = number;
        struct buf out = {0};
        for (int i = 0; i < 4; i++, rest /= size)
            value[i] = alphabet[rest % size];
        value[number % 5] = '\0';
        assert_int_equal(dotenv_quote(bytes_of_text(value), &out), OK);
        snprintf(line, sizeof line, "A=%.*s # c\n", (int)out.size, (const char *)out.data);
        assert_value(line, "A", value);
        buf_close(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_enc),
        cmocka_unit_test(test_lines_are_counted),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_bad_references),
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_all_short_values_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
