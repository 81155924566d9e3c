/* HTTP requests into requests of ours: headers, bodies. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/json_body.h"
#include "crypto/base64.h"

static enum vault_err
with_header(struct api_fixture *f, const char *target, const char *name, const char *value)
{
    fixture_start(f, HTTP_METHOD_GET, target);
    fixture_header(f, name, value);
    return fixture_parse(f);
}

static void
credentials(void **state)
{
    static const char *const bad[] = {
        "Basic dTpw", "Bearer",     "Bearer ",         "Bearertoken", "Bearer a b", "Bearer a,b",
        "Bearer =",   "Bearer a=b", "Bearer \xc3\xa9", "token",       "",           "Bearer a\"",
    };
    struct api_fixture f;
    char longest[CREDENTIAL_BYTES_MAX + 16];

    (void)state;
    assert_int_equal(with_header(&f, "/v1/secrets/a", "authorization", "Bearer abc.DEF-_~+/1=="),
                     OK);
    assert_text(f.request.credential, "abc.DEF-_~+/1==");
    assert_text(api_credential(&f.http), "abc.DEF-_~+/1==");
    fixture_header(&f, "authorization", "Bearer abc.DEF-_~+/1==");
    assert_int_equal(api_credential(&f.http).size, 0); /* twice, even the same */
    fixture_end(&f);
    fixture_start(&f, HTTP_METHOD_GET, "/v1/health");
    assert_int_equal(api_credential(&f.http).size, 0);
    fixture_end(&f);
    assert_int_equal(with_header(&f, "/v1/status", "authorization", "bEARER  t"), OK);
    assert_text(f.request.credential, "t");
    fixture_end(&f);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (with_header(&f, "/v1/secrets/a", "authorization", bad[i]) != ERR_UNAUTHENTICATED)
            fail_msg("not refused: %s", bad[i]);
        assert_int_equal(f.request.credential.size, 0);
        assert_int_equal(api_credential(&f.http).size, 0);
        fixture_end(&f);
        assert_int_equal(with_header(&f, "/v1/health", "authorization", bad[i]), OK);
        fixture_end(&f);
    }

    memset(longest, 'x', sizeof longest);
    memcpy(longest, "Bearer ", 7);
    longest[7 + CREDENTIAL_BYTES_MAX] = '\0';
    assert_int_equal(with_header(&f, "/v1/secrets/a", "authorization", longest), OK);
    assert_int_equal(f.request.credential.size, CREDENTIAL_BYTES_MAX);
    fixture_end(&f);
    longest[7 + CREDENTIAL_BYTES_MAX] = 'x';
    longest[8 + CREDENTIAL_BYTES_MAX] = '\0';
    assert_int_equal(with_header(&f, "/v1/secrets/a", "authorization", longest),
                     ERR_UNAUTHENTICATED);
    fixture_end(&f);
}

/* Whatever is taken for plain is what jansson reads. False: it was not taken for plain. */
static bool
plain_is_right(struct bytes body)
{
    struct bytes value, encoding;
    enum vault_err err;
    if (!json_body_is_plain(body, &value, &encoding))
        return false;
    json_t *object = json_load_strict(body, JSON_BODY_FLAGS, &err);
    assert_int_equal(err, OK);
    assert_int_equal(json_object_size(object), encoding.size > 0 ? 2 : 1);
    const json_t *text = json_object_get(object, "value");
    assert_true(bytes_equal(value, bytes_of(json_string_value(text), json_string_length(text))));
    text = json_object_get(object, "encoding");
    if (encoding.size > 0)
        assert_true(
            bytes_equal(encoding, bytes_of(json_string_value(text), json_string_length(text))));
    json_decref(object);
    return true;
}

/* Each byte of some bodies in turn as every other, or gone, and each body cut off. */
static void
plain_bodies(void **state)
{
    static const char *const plain[] = {"{\"value\":\"a b\"}", "{ \"value\" : \"\" }\r\n",
                                        "{\"value\":\"YQ==\",\n\t\"encoding\":\"base64\"}"};
    static const char *const others[] = {
        "",
        "{}",
        "{\"value\":\"\\u0061\"}",
        "{\"value\":\"\xc3\xa9\"}",
        "{\"value\":1}",
        "{\"value\":\"a\",}",
        "{\"value\":\"a\",\"value\":\"a\"}",
        "{\"value\":\"a\",\"encoding\":\"\"}",
        "{\"encoding\":\"text\",\"value\":\"a\"}",
        "{\"value\":\"a\"} x",
        "{\"value\":\"a\",\"expected_version\":1}",
    };
    char changed[64];
    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        size_t size = strlen(plain[i]);
        assert_true(plain_is_right(bytes_of_text(plain[i])));
        for (size_t at = 0; at < size; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memcpy(changed, plain[i], size);
                changed[at] = (char)byte;
                (void)plain_is_right(bytes_of(changed, size));
            }
            memmove(changed + at, plain[i] + at + 1, size - at - 1);
            (void)plain_is_right(bytes_of(changed, size - 1));
            if (plain[i][at] == '}')
                assert_false(plain_is_right(bytes_of(plain[i], at)));
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(plain_is_right(bytes_of_text(others[i])));
}

static void
request_ids(void **state)
{
    static const char *const invalid[] = {"", "a b", "\xc3\xa9", "a\x7f"};
    struct api_fixture f;
    char longest[REQUEST_ID_BYTES_MAX + 2] = {0};

    (void)state;
    assert_int_equal(with_header(&f, "/v1/health", "x-request-id", "Req-42/\"x\""), OK);
    assert_text(f.request.id, "Req-42/\"x\"");
    fixture_end(&f);
    /* It is there for errors, too. */
    assert_int_equal(with_header(&f, "/nowhere", "x-request-id", "r1"), ERR_NO_ROUTE);
    assert_text(f.request.id, "r1");
    fixture_end(&f);
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        assert_int_equal(with_header(&f, "/v1/health", "x-request-id", invalid[i]), OK);
        assert_text(f.request.id, "made-1");
        fixture_end(&f);
    }
    memset(longest, 'i', REQUEST_ID_BYTES_MAX);
    assert_int_equal(with_header(&f, "/v1/health", "x-request-id", longest), OK);
    assert_text(f.request.id, longest);
    fixture_end(&f);
    longest[REQUEST_ID_BYTES_MAX] = 'i';
    assert_int_equal(with_header(&f, "/v1/health", "x-request-id", longest), OK);
    assert_text(f.request.id, "made-1");
    fixture_end(&f);
}

static void
tenant_header(void **state)
{
    struct api_fixture f;

    (void)state;
    assert_int_equal(with_header(&f, "/v1/secrets/a", "x-ostraka-tenant", "team-1"), OK);
    assert_text(f.request.tenant, "team-1");
    fixture_end(&f);
    assert_int_equal(with_header(&f, "/v1/secrets/a", "x-ostraka-tenant", "Team"),
                     ERR_BAD_PARAMETER);
    fixture_end(&f);
    assert_int_equal(with_header(&f, "/v1/secrets/a", "x-ostraka-tenant", ""), ERR_BAD_PARAMETER);
    fixture_end(&f);
}

static void
headers_come_once(void **state)
{
    static const char *const names[] = {"authorization", "x-ostraka-tenant", "x-request-id",
                                        "content-type",  "idempotency-key",  "content-encoding"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct api_fixture f;

        fixture_start(&f, HTTP_METHOD_GET, "/v1/secrets/a");
        fixture_header(&f, names[i], "a");
        fixture_header(&f, "accept", "a");
        fixture_header(&f, names[i], "a");
        assert_int_equal(fixture_parse(&f), ERR_BAD_REQUEST);
        assert_text(f.request.id, "made-1");
        fixture_end(&f);
    }
}

static void
idempotency_key_err(const char *key, enum vault_err wanted)
{
    struct api_fixture f;

    fixture_start(&f, HTTP_METHOD_POST, "/v1/secrets/a");
    fixture_json(&f, bytes_of_text("{\"value\":\"\"}"));
    fixture_header(&f, "idempotency-key", key);
    assert_int_equal(fixture_parse(&f), wanted);
    if (wanted == OK)
        assert_true(bytes_equal(f.request.idempotency_key, bytes_of_text(key)));
    else
        assert_non_null(strstr(f.request.refusal, "Idempotency-Key"));
    fixture_end(&f);
}

static void
idempotency_keys_are_short_visible_ascii(void **state)
{
    char longest[IDEMPOTENCY_KEY_BYTES_MAX + 2] = {0};
    struct api_fixture f;

    (void)state;
    memset(longest, 'k', IDEMPOTENCY_KEY_BYTES_MAX);
    idempotency_key_err("k", OK);
    idempotency_key_err("!~\"", OK);
    idempotency_key_err(longest, OK);
    longest[IDEMPOTENCY_KEY_BYTES_MAX] = 'k';
    idempotency_key_err(longest, ERR_BAD_PARAMETER);
    idempotency_key_err("", ERR_BAD_PARAMETER);
    idempotency_key_err("a b", ERR_BAD_PARAMETER);
    idempotency_key_err("\xc3\xa4", ERR_BAD_PARAMETER);
    assert_int_equal(with_header(&f, "/v1/secrets/a", "idempotency-key", "a b"), OK);
    assert_int_equal(f.request.idempotency_key.size, 0);
    fixture_end(&f);
}

static enum vault_err
content_type_err(const char *type)
{
    struct api_fixture f;
    enum vault_err err;

    fixture_start(&f, HTTP_METHOD_POST, "/v1/secrets/a");
    if (type)
        fixture_header(&f, "content-type", type);
    f.http.body = bytes_of_text("{\"value\":\"\"}");
    err = fixture_parse(&f);
    fixture_end(&f);
    return err;
}

static void
media_types(void **state)
{
    static const char *const good[] = {
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json ;  charset=\"utf-8\" ",
    };
    static const char *const bad[] = {
        NULL,
        "",
        "text/plain",
        "application/jsonx",
        "application/json; charset=latin-1",
        "application/json; charset=utf-8x",
        "application/json;",
        "application/json charset=utf-8",
        "application/json; charset=utf-8; x=y",
        "application/x-www-form-urlencoded",
        "application",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(content_type_err(good[i]), OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(content_type_err(bad[i]), ERR_MEDIA_TYPE);
}

static enum vault_err
content_encoding_err(enum http_method method, const char *target, const char *coding)
{
    struct api_fixture f;
    enum vault_err err;

    fixture_start(&f, method, target);
    if (method == HTTP_METHOD_POST)
        fixture_json(&f, bytes_of_text("{\"value\":\"\"}"));
    fixture_header(&f, "content-encoding", coding);
    err = fixture_parse(&f);
    fixture_end(&f);
    return err;
}

static void
encoded_bodies_are_refused(void **state)
{
    static const char *const bad[] = {"gzip", "", "identity, gzip", "identityx", "aws-chunked"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(content_encoding_err(HTTP_METHOD_POST, "/v1/secrets/a", bad[i]),
                         ERR_MEDIA_TYPE);
        assert_int_equal(content_encoding_err(HTTP_METHOD_POST, "/v1/env", bad[i]), ERR_MEDIA_TYPE);
        /* Without a body there is nothing to misread. */
        assert_int_equal(content_encoding_err(HTTP_METHOD_GET, "/v1/secrets/a", bad[i]), OK);
    }
    assert_int_equal(content_encoding_err(HTTP_METHOD_POST, "/v1/secrets/a", "Identity"), OK);
}

static void
forgotten_bodies(void **state)
{
    static const enum http_method methods[] = {HTTP_METHOD_POST, HTTP_METHOD_PUT};
    static const char *const announced[] = {"content-length", "transfer-encoding"};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct api_fixture f;

        fixture_start(&f, methods[i], "/v1/secrets/a");
        assert_int_equal(fixture_parse(&f), ERR_LENGTH_REQUIRED);
        fixture_end(&f);
        fixture_start(&f, methods[i], "/v1/secrets/a");
        fixture_header(&f, "content-type", "application/json");
        fixture_header(&f, announced[i], i == 0 ? "0" : "chunked");
        assert_int_equal(fixture_parse(&f), ERR_BAD_JSON);
        fixture_end(&f);
    }
}

static void
bodies_where_none_belongs(void **state)
{
    static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_HEAD,
                                               HTTP_METHOD_DELETE};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct api_fixture f;

        fixture_start(&f, methods[i], "/v1/secrets/a");
        fixture_json(&f, bytes_of_text("{}"));
        assert_int_equal(fixture_parse(&f), ERR_BAD_REQUEST);
        fixture_end(&f);
    }
}

static enum vault_err
body_parse(struct api_fixture *f, enum http_method method, struct bytes body)
{
    fixture_start(f, method, "/v1/secrets/a");
    fixture_json(f, body);
    return fixture_parse(f);
}

static void
values(void **state)
{
    static const struct {
        const char *body;
        const char *value;
        size_t size;
        enum value_encoding encoding;
    } rows[] = {
        {"{\"value\":\"\"}", "", 0, VALUE_TEXT},
        {"{\"value\":\"\",\"encoding\":\"base64\"}", "", 0, VALUE_BASE64},
        {" { \"value\" : \"a b\" } \n", "a b", 3, VALUE_TEXT},
        {"{\"encoding\":\"text\",\"value\":\"Zg==\"}", "Zg==", 4, VALUE_TEXT},
        {"{\"encoding\":\"base64\",\"value\":\"Zg==\"}", "f", 1, VALUE_BASE64},
        {"{\"value\":\"AP8=\",\"encoding\":\"base64\"}", "\0\xff", 2, VALUE_BASE64},
        {"{\"value\":\"a\\u0000b\"}", "a\0b", 3, VALUE_TEXT},
        {"{\"value\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "\"\\/\b\f\n\r\t", 8, VALUE_TEXT},
        {"{\"value\":\"\\ud83d\\udd11\"}", "\xf0\x9f\x94\x91", 4, VALUE_TEXT},
        {"{\"value\":\"\xf0\x9f\x94\x91\"}", "\xf0\x9f\x94\x91", 4, VALUE_TEXT},
        {"{\"\\u0076alue\":\"x\"}", "x", 1, VALUE_TEXT},
        {"{\"value\":\"{[,]}\\\"{[,,,,,,,,,,,,]}\"}", "{[,]}\"{[,,,,,,,,,,,,]}", 22, VALUE_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct api_fixture f;

        if (body_parse(&f, HTTP_METHOD_POST, bytes_of_text(rows[i].body)) != OK)
            fail_msg("refused: %s", rows[i].body);
        assert_bytes(f.request.value, rows[i].value, rows[i].size);
        assert_int_equal(f.request.encoding, rows[i].encoding);
        fixture_end(&f);
    }
}

static void
bodies_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "null",
        "[]",
        "\"value\"",
        "{\"value\":1}",
        "{\"value\":null}",
        "{\"value\":true}",
        "{\"value\":[\"x\"]}",
        "{\"value\":{\"value\":\"x\"}}",
        "[{\"value\":\"x\"}]",
        "{\"value\":\"x\",\"value\":\"x\"}",
        "{\"value\":\"x\",\"\\u0076alue\":\"y\"}",
        "{\"value\":\"x\",\"extra\":1}",
        "{\"value\":\"x\",\"Value\":\"x\"}",
        "{\"value\":\"x\",\"encoding\":\"hex\"}",
        "{\"value\":\"x\",\"encoding\":\"BASE64\"}",
        "{\"value\":\"x\",\"encoding\":null}",
        "{\"value\":\"x\",\"encoding\":\"base64\"}",
        "{\"value\":\"Zg\",\"encoding\":\"base64\"}",
        "{\"value\":\"Zh==\",\"encoding\":\"base64\"}",
        "{\"value\":\"Zg==\\n\",\"encoding\":\"base64\"}",
        "{\"value\":\"-_-_\",\"encoding\":\"base64\"}",
        "{\"value\":\"x\"}x",
        "{\"value\":\"x\"}{\"value\":\"x\"}",
        "{\"value\":\"x\",}",
        "{\"value\":'x'}",
        "{value:\"x\"}",
        "{\"value\":\"x\"",
        "{\"value\":\"x",
        "{\"value\":\"\\ud800\"}",
        "{\"value\":\"\\udc00\\ud800\"}",
        "{\"value\":\"\xff\"}",
        "{\"value\":\"\xc0\x80\"}",
        "{\"value\":\"\xed\xa0\x80\"}",
        "{\"value\":\"a\nb\"}",
        "{\"value\":\"\\x41\"}",
        "{\"value\\u0000\":\"x\"}",
        "\xef\xbb\xbf{\"value\":\"x\"}",
        "{\"value\":\"x\"} // comment",
        "{\"value\":\"x\",\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1}",
    };
    struct api_fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (body_parse(&f, HTTP_METHOD_POST, bytes_of_text(bodies[i])) != ERR_BAD_JSON)
            fail_msg("not refused: %s", bodies[i]);
        assert_int_equal(f.request.value.size, 0);
        fixture_end(&f);
    }
    assert_int_equal(body_parse(&f, HTTP_METHOD_POST, bytes_of("{\"value\":\"x\"}\0", 14)),
                     ERR_BAD_JSON);
    fixture_end(&f);
    assert_int_equal(body_parse(&f, HTTP_METHOD_POST, bytes_of("{\"value\":\"a\0b\"}", 15)),
                     ERR_BAD_JSON);
    fixture_end(&f);
    assert_int_equal(
        body_parse(&f, HTTP_METHOD_PUT, bytes_of("{\"value\":\"x\",\"expected_version\":1\0}", 35)),
        ERR_BAD_JSON);
    fixture_end(&f);
}

static void
expected_versions(void **state)
{
    static const char *const bad[] = {"0",     "-1",   "1.0",  "1e0",
                                      "\"1\"", "null", "true", "9223372036854775808"};
    struct api_fixture f;
    char body[128];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(body, sizeof body, "{\"value\":\"x\",\"expected_version\":%s}", bad[i]);
        if (body_parse(&f, HTTP_METHOD_PUT, bytes_of_text(body)) != ERR_BAD_JSON)
            fail_msg("not refused: %s", bad[i]);
        fixture_end(&f);
    }
    assert_int_equal(
        body_parse(&f, HTTP_METHOD_PUT,
                   bytes_of_text("{\"value\":\"x\",\"expected_version\":9223372036854775807}")),
        OK);
    assert_true(f.request.expected_version == INT64_MAX);
    fixture_end(&f);
    /* Nothing can have a version before it is created. */
    assert_int_equal(
        body_parse(&f, HTTP_METHOD_POST, bytes_of_text("{\"value\":\"x\",\"expected_version\":1}")),
        ERR_BAD_JSON);
    fixture_end(&f);
}

static enum vault_err
sized_err(struct api_fixture *f, const char *end, char fill, size_t size)
{
    struct buf body = {0};
    enum vault_err err;

    assert_int_equal(buf_append_text(&body, "{\"value\":\""), OK);
    assert_int_equal(buf_reserve(&body, size), OK);
    memset(body.data + body.size, fill, size);
    body.size += size;
    assert_int_equal(buf_append_text(&body, end), OK);
    err = body_parse(f, HTTP_METHOD_POST, buf_bytes(&body));
    buf_close(&body);
    return err;
}

static void
values_are_bounded(void **state)
{
    /* 1 MiB leaves a remainder of 1 by 3: its text ends with "==". */
    size_t text_size = base64_encoded_size(VALUE_BYTES_MAX) - 4;
    struct api_fixture f;

    (void)state;
    assert_int_equal(sized_err(&f, "\"}", 'v', VALUE_BYTES_MAX), OK);
    assert_int_equal(f.request.value.size, VALUE_BYTES_MAX);
    fixture_end(&f);
    assert_int_equal(sized_err(&f, "\"}", 'v', VALUE_BYTES_MAX + 1), ERR_TOO_LARGE);
    fixture_end(&f);
    assert_int_equal(sized_err(&f, "AA==\",\"encoding\":\"base64\"}", 'A', text_size), OK);
    assert_int_equal(f.request.value.size, VALUE_BYTES_MAX);
    fixture_end(&f);
    assert_int_equal(sized_err(&f, "AAA=\",\"encoding\":\"base64\"}", 'A', text_size),
                     ERR_TOO_LARGE);
    fixture_end(&f);
    assert_int_equal(sized_err(&f, "AAAAAAAA\",\"encoding\":\"base64\"}", 'A', text_size),
                     ERR_TOO_LARGE);
    fixture_end(&f);
}

/*
 * A tree of a million small arrays is never built: this takes milliseconds and hardly any memory.
 */
static void
deep_and_wide_bodies_are_refused_early(void **state)
{
    struct api_fixture f;
    char *body = malloc(BODY_BYTES_MAX);

    (void)state;
    assert_non_null(body);
    memset(body, '[', BODY_BYTES_MAX);
    assert_int_equal(body_parse(&f, HTTP_METHOD_POST, bytes_of(body, BODY_BYTES_MAX)),
                     ERR_BAD_JSON);
    fixture_end(&f);
    for (size_t i = 0; i + 1 < BODY_BYTES_MAX; i += 2)
        memcpy(body + i, "0,", 2);
    body[0] = '[';
    assert_int_equal(body_parse(&f, HTTP_METHOD_POST, bytes_of(body, BODY_BYTES_MAX)),
                     ERR_BAD_JSON);
    fixture_end(&f);
    free(body);
}

/* The arena refuses at every size below what a request needs, and the request fails cleanly. */
static void
without_memory(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 4096; limit += 16) {
        struct api_fixture f;
        enum vault_err err;

        fixture_start(&f, HTTP_METHOD_PUT, "/v1/secrets/some/name");
        arena_close(&f.arena);
        arena_init(&f.arena, limit);
        fixture_json(&f, bytes_of_text("{\"value\":\"Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy\","
                                       "\"encoding\":\"base64\"}"));
        err = fixture_parse(&f);
        fixture_end(&f);
        if (err == OK) {
            assert_true(limit > 0);
            return;
        }
        assert_int_equal(err, ERR_NOMEM);
    }
    fail_msg("never enough");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials),
        cmocka_unit_test(plain_bodies),
        cmocka_unit_test(request_ids),
        cmocka_unit_test(tenant_header),
        cmocka_unit_test(headers_come_once),
        cmocka_unit_test(idempotency_keys_are_short_visible_ascii),
        cmocka_unit_test(media_types),
        cmocka_unit_test(encoded_bodies_are_refused),
        cmocka_unit_test(forgotten_bodies),
        cmocka_unit_test(bodies_where_none_belongs),
        cmocka_unit_test(values),
        cmocka_unit_test(bodies_refused),
        cmocka_unit_test(expected_versions),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(deep_and_wide_bodies_are_refused_early),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
