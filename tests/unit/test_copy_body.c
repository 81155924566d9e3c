/* The body of POST /v1/copy, and what copies are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/copy_body.h"

static enum vault_err
parse(const char *body, struct arena *arena, struct request *request)
{
    *request = (struct request){.kind = REQUEST_COPY};
    return copy_body_parse(bytes_of_text(body), arena, request);
}

static void
test_bodies(void **state)
{
    struct arena arena;
    struct request r;
    (void)state;
    arena_init(&arena, 65536);
    assert_int_equal(parse("{\"from\":\"a/b\",\"to\":\"c\"}", &arena, &r), OK);
    assert_true(bytes_equal(r.copy_from, bytes_of_text("a/b")));
    assert_true(bytes_equal(r.copy_to, bytes_of_text("c")));
    assert_false(r.copy_recursive || r.copy_move);
    assert_int_equal(
        parse("{\"to\":\"ab\",\"move\":true,\"from\":\"a\",\"recursive\":true}", &arena, &r), OK);
    assert_true(r.copy_recursive && r.copy_move);
    arena_close(&arena);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *body;
        enum vault_err err;
    } cases[] = {
        {"", ERR_BAD_JSON},
        {"[]", ERR_BAD_JSON},
        {"{}", ERR_BAD_JSON},
        {"{\"from\":\"a\"}", ERR_BAD_JSON},
        {"{\"from\":\"a\",\"to\":1}", ERR_BAD_JSON},
        {"{\"from\":\"a\",\"to\":\"b\",\"move\":1}", ERR_BAD_JSON},
        {"{\"from\":\"a\",\"to\":\"b\",\"other\":true}", ERR_BAD_JSON},
        {"{\"from\":\"a\",\"to\":\"b\",\"to\":\"c\"}", ERR_BAD_JSON},
        {"{\"from\":\"a/\",\"to\":\"b\"}", ERR_BAD_NAME},
        {"{\"from\":\"a\",\"to\":\"_b\"}", ERR_BAD_NAME},
        {"{\"from\":\"a\",\"to\":\"a\"}", ERR_BAD_NAME},
        {"{\"from\":\"a\",\"to\":\"a/b\",\"recursive\":true}", ERR_BAD_NAME},
        {"{\"from\":\"a/b\",\"to\":\"a\",\"recursive\":true}", ERR_BAD_NAME},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct request r;
        arena_init(&arena, 65536);
        assert_int_equal(parse(cases[i].body, &arena, &r), cases[i].err);
        arena_close(&arena);
    }
}

static void
test_names(void **state)
{
    struct arena arena;
    struct request r = {.copy_from = bytes_of_text("a/b"), .copy_to = bytes_of_text("c")};
    struct bytes out;
    char longest[NAME_BYTES_MAX + 1];
    (void)state;
    arena_init(&arena, 65536);
    assert_int_equal(copy_prefix(&r, &arena, &out), OK);
    assert_true(bytes_equal(out, bytes_of_text("a/b/")));
    assert_int_equal(copy_target(&r, bytes_of_text("a/b/x/y"), &arena, &out), OK);
    assert_true(bytes_equal(out, bytes_of_text("c/x/y")));
    assert_int_equal(copy_target(&r, bytes_of_text("a/b"), &arena, &out), OK);
    assert_true(bytes_equal(out, bytes_of_text("c")));
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "a/b/", 4);
    r.copy_to = bytes_of_text("much/longer");
    assert_int_equal(copy_target(&r, bytes_of(longest, NAME_BYTES_MAX), &arena, &out),
                     ERR_BAD_NAME);
    arena_close(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_names),
    };
    api_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
