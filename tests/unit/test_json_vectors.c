/*
 * JSONTestSuite (https://github.com/nst/JSONTestSuite), where OSTRAKA_VECTORS/json has it,
 * against the flags that bodies are read with, and its strings as values of whole requests; with
 * a few cases built in.
 */
#include "api_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/json_body.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

static bool
accepted(struct bytes text)
{
    enum vault_err err;
    json_t *root = json_load_strict(text, JSON_BODY_FLAGS | JSON_DECODE_ANY, &err);

    assert_int_equal(root == NULL, err != OK);
    json_decref(root);
    return err == OK;
}

static enum vault_err
body_err(struct bytes body)
{
    struct api_fixture f;
    enum vault_err err;

    fixture_start(&f, HTTP_METHOD_POST, "/v1/secrets/a");
    fixture_json(&f, body);
    err = fixture_parse(&f);
    fixture_end(&f);
    return err;
}

/* The suite writes its strings as `["..."]`: the same as the value of a body. */
static enum vault_err
as_value_err(struct bytes text)
{
    struct buf body = {0};
    enum vault_err err;

    assert_true(text.size >= 2);
    assert_int_equal(buf_append_text(&body, "{\"value\":"), OK);
    assert_int_equal(buf_append(&body, bytes_of(text.data + 1, text.size - 2)), OK);
    assert_int_equal(buf_append_text(&body, "}"), OK);
    err = body_err(buf_bytes(&body));
    buf_close(&body);
    return err;
}

static bool
bracketed(struct bytes text)
{
    return text.size >= 2 && text.data[0] == '[' && text.data[text.size - 1] == ']';
}

/* What we refuse although RFC 8259 permits it. */
static bool
refused_on_purpose(const char *name)
{
    return strcmp(name, "y_object_duplicated_key.json") == 0 ||
           strcmp(name, "y_object_duplicated_key_and_value.json") == 0 ||
           strcmp(name, "y_object_escaped_null_in_key.json") == 0;
}

static void
check_case(const char *name, struct bytes text)
{
    bool first = accepted(text);

    if (name[0] == 'y' && first == refused_on_purpose(name))
        fail_msg("%s: %s", name, first ? "accepted" : "refused");
    if (name[0] == 'n' && first)
        fail_msg("%s: accepted", name);
    assert_int_equal(accepted(text), first);
    if (body_err(text) != ERR_BAD_JSON) /* none of them is a body of ours */
        fail_msg("%s: a body?", name);
    if (strncmp(name + 1, "_string_", 8) != 0 || !bracketed(text))
        return;
    if (name[0] == 'y' && strcmp(name, "y_string_in_array_with_leading_space.json") != 0 &&
        as_value_err(text) != OK)
        fail_msg("%s: refused as a value", name);
    if (name[0] == 'n' && as_value_err(text) != ERR_BAD_JSON)
        fail_msg("%s: accepted as a value", name);
    if (name[0] == 'i')
        assert_int_equal(as_value_err(text), as_value_err(text));
}

static const struct {
    const char *name;
    const char *text;
} built_in[] = {
    {"y_string_backslash_doublequotes", "[\"\\\"\"]"},
    {"y_string_surrogates", "[\"\\uD834\\uDd1e\"]"},
    {"y_string_null_escape", "[\"\\u0000\"]"},
    {"y_string_nonCharacterInUTF-8_U+FFFF", "[\"\xef\xbf\xbf\"]"},
    {"y_string_escaped_noncharacter", "[\"\\uFFFF\"]"},
    {"y_string_uescaped_newline", "[\"new\\u000Aline\"]"},
    {"y_number_minus_zero", "[-0]"},
    {"y_structure_lonely_null", "null"},
    {"y_object_duplicated_key.json", "{\"a\":\"b\",\"a\":\"c\"}"},
    {"n_string_unescaped_newline", "[\"new\nline\"]"},
    {"n_string_1_surrogate_then_escape_u", "[\"\\uD800\\u\"]"},
    {"n_string_invalid_utf8_after_escape", "[\"\\\xe5\"]"},
    {"n_string_accentuated_char_no_quotes", "[\xc3\xa9]"},
    {"n_string_single_quote", "['single quote']"},
    {"n_string_escaped_emoji", "[\"\\\xf0\x9f\x8c\x80\"]"},
    {"n_array_extra_comma", "[\"\",]"},
    {"n_number_-01", "[-01]"},
    {"n_number_NaN", "[NaN]"},
    {"n_object_trailing_comment", "{\"a\":\"b\"}/**/"},
    {"n_structure_UTF8_BOM_no_data", "\xef\xbb\xbf"},
    {"n_structure_no_data", ""},
    {"n_structure_double_array", "[][]"},
    {"i_string_UTF8_surrogate_U+D800", "[\"\xed\xa0\x80\"]"},
    {"i_number_huge_exp", "[0.4e00669999999999999999999999999999]"},
};

static void
built_in_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        check_case(built_in[i].name, bytes_of_text(built_in[i].text));
    check_case("n_multidigit_number_then_00", bytes_of("123\0", 4));
    check_case("n_nul_after_number", bytes_of("[1\0]", 4));
}

/* As an expected version: the number comes out as it was written, or not at all. */
static void
check_number(const char *name, struct bytes text)
{
    struct buf body = {0};
    char again[32];
    struct api_fixture f;

    assert_int_equal(buf_append_text(&body, "{\"value\":\"\",\"expected_version\":"), OK);
    assert_int_equal(buf_append(&body, bytes_of(text.data + 1, text.size - 2)), OK);
    assert_int_equal(buf_append_text(&body, "}"), OK);
    fixture_start(&f, HTTP_METHOD_PUT, "/v1/secrets/a");
    fixture_json(&f, buf_bytes(&body));
    if (fixture_parse(&f) == OK) {
        (void)snprintf(again, sizeof again, "[%llu]",
                       (unsigned long long)f.request.expected_version);
        if (!bytes_equal(text, bytes_of_text(again)))
            fail_msg("%s: became %s", name, again);
    }
    fixture_end(&f);
    buf_close(&body);
}

/*
 * Files whose meaning parsers disagree about: no key twice, no string changed (those with bad
 * code points are refused), no number rounded.
 */
static void
check_transform(const char *name, struct bytes text)
{
    while (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    if (strncmp(name, "object_same_key", 15) == 0)
        assert_false(accepted(text));
    if (strncmp(name, "object_key_nf", 13) == 0)
        assert_true(accepted(text)); /* differently normalised keys are different keys */
    if (strncmp(name, "string_", 7) == 0 && bracketed(text))
        assert_int_equal(as_value_err(text),
                         strcmp(name, "string_with_escaped_NULL.json") == 0 ? OK : ERR_BAD_JSON);
    if (strncmp(name, "number_", 7) == 0 && bracketed(text))
        check_number(name, text);
}

static unsigned
check_folder(const char *folder, uint8_t *room, void (*check)(const char *, struct bytes))
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    unsigned count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[4096];
        FILE *file;
        size_t size;

        if (!strstr(entry->d_name, ".json"))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        file = fopen(path, "rbe");
        assert_non_null(file);
        size = fread(room, 1, FILE_BYTES_MAX, file);
        assert_true(size < FILE_BYTES_MAX);
        (void)fclose(file);
        check(entry->d_name, bytes_of(room, size));
        count++;
    }
    (void)closedir(dir);
    return count;
}

static void
test_suite(void **state)
{
    const char *vectors = getenv("OSTRAKA_VECTORS");
    char folder[2048];
    uint8_t *room;
    unsigned count;

    (void)state;
    if (!vectors) {
        printf("skipped: json (OSTRAKA_VECTORS is not set)\n");
        return;
    }
    room = malloc(FILE_BYTES_MAX);
    assert_non_null(room);
    (void)snprintf(folder, sizeof folder, "%s/json/test_parsing", vectors);
    count = check_folder(folder, room, check_case);
    printf("%u files of JSONTestSuite\n", count);
    assert_true(count > 0);
    (void)snprintf(folder, sizeof folder, "%s/json/test_transform", vectors);
    assert_true(check_folder(folder, room, check_transform) > 0);
    free(room);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_cases),
        cmocka_unit_test(test_suite),
    };

    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
