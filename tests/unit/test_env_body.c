/* POST /v1/env from HTTP to a plan, and its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "env/env_plan.h"

struct fixture {
    struct arena arena;
    struct http_request http;
    struct request request;
};

static void
add_header(struct fixture *f, const char *name, const char *value)
{
    if (value)
        f->http.headers[f->http.header_count++] =
            (struct http_header){bytes_of_text(name), bytes_of_text(value)};
}

static enum vault_err
parse(struct fixture *f, const char *query, const char *type, const char *accept, const char *body)
{
    const char *allow;
    *f = (struct fixture){.http = {.method = HTTP_METHOD_POST, .body = bytes_of_text(body)}};
    arena_init(&f->arena, 4 * 1024 * 1024);
    add_header(f, "content-length", "1");
    add_header(f, "content-type", type);
    add_header(f, "accept", accept);
    f->http.target = bytes_of_text(query);
    return api_parse(&f->http, bytes_of_text("id"), &f->arena, &f->request, &allow);
}

static void
texts_and_their_parameters(void **state)
{
    struct fixture f;
    (void)state;
    assert_int_equal(parse(&f, "/v1/env", "text/plain", NULL, "A=secret(b)\n"), OK);
    assert_int_equal(f.request.kind, REQUEST_ENV);
    assert_int_equal(f.request.env->reference_count, 1);
    assert_int_equal(f.request.env->input.mode, ENV_BOTH);
    assert_false(f.request.env_as_json);
    arena_close(&f.arena);
    assert_int_equal(parse(&f, "/v1/env?prefix=a%20b/&mode=encrypt", "text/plain; charset=utf-8",
                           NULL, "A=enc('x')\n"),
                     OK);
    assert_int_equal(f.request.env->input.mode, ENV_ENCRYPT);
    assert_true(bytes_equal(f.request.env->creations[0].name, bytes_of_text("a b/A")));
    arena_close(&f.arena);
}

static void
json_and_its_members(void **state)
{
    struct fixture f;
    (void)state;
    assert_int_equal(parse(&f, "/v1/env", "application/json", NULL,
                           "{\"content\": \"A=enc(n)\\n\", \"values\": {\"n\": \"v\", \"m\": \"\"},"
                           " \"mode\": \"encrypt\", \"prefix\": \"p/\"}"),
                     OK);
    assert_true(f.request.env_as_json);
    assert_true(bytes_equal(f.request.env->creations[0].value, bytes_of_text("v")));
    assert_int_equal(f.request.env->input.mode, ENV_ENCRYPT);
    arena_close(&f.arena);
}

static void
the_answer_has_the_form_that_is_accepted(void **state)
{
    static const struct {
        const char *type, *accept;
        bool json;
    } rows[] = {
        {"text/plain", NULL, false},
        {"text/plain", "*/*", false},
        {"text/plain", "application/json", true},
        {"text/plain", "text/html, Application/JSON;q=0.1", true},
        {"application/json", "text/plain", false},
        {"application/json", "text/plainer", true},
        {"application/json", "text/plain,application/json", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *body = rows[i].type[0] == 't' ? "" : "{\"content\": \"\"}";
        struct fixture f;
        assert_int_equal(parse(&f, "/v1/env", rows[i].type, rows[i].accept, body), OK);
        assert_int_equal(f.request.env_as_json, rows[i].json);
        arena_close(&f.arena);
    }
}

static void
refusals(void **state)
{
    static const struct {
        const char *query, *type, *body;
        enum vault_err err;
    } rows[] = {
        {"/v1/env", NULL, "A=1", ERR_MEDIA_TYPE},
        {"/v1/env", "text/html", "A=1", ERR_MEDIA_TYPE},
        {"/v1/env?mode=none", "text/plain", "A=1", ERR_BAD_PARAMETER},
        {"/v1/env?mode=both&mode=both", "text/plain", "A=1", ERR_BAD_PARAMETER},
        {"/v1/env?more=1", "text/plain", "A=1", ERR_BAD_PARAMETER},
        {"/v1/env", "application/json", "{", ERR_BAD_JSON},
        {"/v1/env", "application/json", "[]", ERR_BAD_JSON},
        {"/v1/env", "application/json", "{}", ERR_BAD_JSON},
        {"/v1/env", "application/json", "{\"content\": 1}", ERR_BAD_JSON},
        {"/v1/env", "application/json", "{\"content\": \"\", \"x\": \"\"}", ERR_BAD_JSON},
        {"/v1/env", "application/json", "{\"content\": \"\", \"values\": {\"a\": 1}}",
         ERR_BAD_JSON},
        {"/v1/env", "application/json", "{\"content\": \"\", \"mode\": \"x\"}", ERR_BAD_JSON},
        {"/v1/env?prefix=", "application/json", "{\"content\": \"\", \"prefix\": \"\"}",
         ERR_BAD_PARAMETER},
        {"/v1/env", "text/plain", "A='x", ERR_BAD_ENV},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        assert_int_equal(parse(&f, rows[i].query, rows[i].type, NULL, rows[i].body), rows[i].err);
        arena_close(&f.arena);
    }
    struct fixture f;
    assert_int_equal(parse(&f, "/v1/env", "text/plain", "application/json", "A=\xff"),
                     ERR_BAD_REQUEST);
    arena_close(&f.arena);
}

static void
assert_body(const struct api_response *response, unsigned status, const char *wanted)
{
    assert_int_equal(response->status, status);
    if (!bytes_equal(buf_bytes(&response->body), bytes_of_text(wanted)))
        fail_msg("%.*s", (int)response->body.size, (const char *)response->body.data);
}

static void
faults_are_answered_with_their_lines(void **state)
{
    struct fixture f;
    struct api_response response;
    (void)state;
    assert_int_equal(parse(&f, "/v1/env", "text/plain", NULL, "A=1\nB='x'y\nC=enc(D)\n"),
                     ERR_BAD_ENV);
    assert_int_equal(api_render_refusal(&f.request, ERR_BAD_ENV, NULL, &response), OK);
    assert_body(&response, 422,
                "{\"error\":{\"code\":\"bad_env\",\"message\":\"the .env text is not usable as it "
                "is\",\"retry\":\"no\",\"details\":[{\"line\":2,\"name\":\"B\",\"code\":"
                "\"bad_quote\"},{\"line\":3,\"name\":\"C\",\"code\":\"unresolved\"}],"
                "\"request_id\":\"id\"}}");
    api_response_close(&response);
    arena_close(&f.arena);
}

static void
refused_batches_are_answered_with_lines(void **state)
{
    const struct batch_item items[] = {{.name = bytes_of_text("a")}, {.name = bytes_of_text("b")}};
    const size_t lines[] = {3, 7};
    const struct item_result results[] = {{.err = OK}, {.err = ERR_NOT_FOUND}};
    struct request request = {.kind = REQUEST_BATCH,
                              .id = bytes_of_text("id"),
                              .items = items,
                              .item_lines = lines,
                              .item_count = 2};
    struct reply reply = {.err = ERR_NOT_FOUND, .items = results, .item_count = 2};
    struct api_response response;
    (void)state;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_body(&response, 404,
                "{\"error\":{\"code\":\"not_found\",\"message\":\"there is no such secret\","
                "\"retry\":\"no\",\"details\":[{\"line\":7,\"name\":\"b\",\"code\":\"not_found\"}],"
                "\"request_id\":\"id\"}}");
    api_response_close(&response);
}

static void
results_are_text_or_json(void **state)
{
    struct request request = {.kind = REQUEST_ENV};
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct buf text = {0};
        struct api_response response;
        assert_int_equal(buf_append_text(&text, "A='x'\r\n"), OK);
        request.env_as_json = json == 1;
        assert_int_equal(api_render_env(&request, &text, &response), OK);
        assert_null(text.data);
        assert_body(&response, 200, json ? "{\"content\":\"A='x'\\r\\n\"}" : "A='x'\r\n");
        assert_string_equal(response.content_type,
                            json ? "application/json" : "text/plain; charset=utf-8");
        api_response_close(&response);
    }
}

static int
set_up(void **state)
{
    (void)state;
    api_global_init();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_their_parameters),
        cmocka_unit_test(json_and_its_members),
        cmocka_unit_test(the_answer_has_the_form_that_is_accepted),
        cmocka_unit_test(refusals),
        cmocka_unit_test(faults_are_answered_with_their_lines),
        cmocka_unit_test(refused_batches_are_answered_with_lines),
        cmocka_unit_test(results_are_text_or_json),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
