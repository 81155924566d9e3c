/* HTTP requests into requests of ours: routes, names, queries. */
#include "api_fixture.h"

#include <stdio.h>

#include "api/target.h"

static enum vault_err
target_err(enum http_method method, const char *target)
{
    struct api_fixture f;
    enum vault_err err;

    fixture_start(&f, method, target);
    err = fixture_parse(&f);
    fixture_end(&f);
    return err;
}

static enum vault_err
get_err(const char *target)
{
    return target_err(HTTP_METHOD_GET, target);
}

static void
routes_by_method(void **state)
{
    static const struct {
        enum http_method method;
        const char *target;
        enum request_kind kind;
    } rows[] = {
        {HTTP_METHOD_GET, "/v1/secrets/a", REQUEST_READ},
        {HTTP_METHOD_HEAD, "/v1/secrets/a", REQUEST_READ},
        {HTTP_METHOD_DELETE, "/v1/secrets/a", REQUEST_DELETE},
        {HTTP_METHOD_GET, "/v1/history/a", REQUEST_HISTORY},
        {HTTP_METHOD_HEAD, "/v1/history/a", REQUEST_HISTORY},
        {HTTP_METHOD_GET, "/v1/deletions/a", REQUEST_DELETION},
        {HTTP_METHOD_GET, "/v1/health", REQUEST_HEALTH},
        {HTTP_METHOD_HEAD, "/v1/health", REQUEST_HEALTH},
        {HTTP_METHOD_GET, "/v1/status", REQUEST_STATUS},
        {HTTP_METHOD_GET, "/metrics", REQUEST_METRICS},
        {HTTP_METHOD_GET, "/v1/health?", REQUEST_HEALTH},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct api_fixture f;

        fixture_start(&f, rows[i].method, rows[i].target);
        assert_int_equal(fixture_parse(&f), OK);
        assert_true(f.request.routed);
        assert_int_equal(f.request.kind, rows[i].kind);
        assert_null(f.allow);
        assert_null(f.request.refusal);
        assert_text(f.request.id, "made-1");
        assert_text(f.request.tenant, "default");
        assert_int_equal(f.request.credential.size, 0);
        fixture_end(&f);
    }
}

static void
bodies_choose_create_and_update(void **state)
{
    struct api_fixture f;

    (void)state;
    fixture_start(&f, HTTP_METHOD_POST, "/v1/secrets/db/password");
    fixture_json(&f, bytes_of_text("{\"value\":\"x\"}"));
    assert_int_equal(fixture_parse(&f), OK);
    assert_int_equal(f.request.kind, REQUEST_CREATE);
    assert_text(f.request.name, "db/password");
    assert_text(f.request.value, "x");
    fixture_end(&f);

    fixture_start(&f, HTTP_METHOD_PUT, "/v1/secrets/db/password");
    fixture_json(&f, bytes_of_text("{\"value\":\"x\",\"expected_version\":7}"));
    assert_int_equal(fixture_parse(&f), OK);
    assert_int_equal(f.request.kind, REQUEST_UPDATE);
    assert_true(f.request.has_expected_version);
    assert_int_equal(f.request.expected_version, 7);
    fixture_end(&f);
}

static void
no_such_route(void **state)
{
    static const char *const targets[] = {
        "/",
        "/v1",
        "/v1/",
        "/v1/history",
        "/v1/health/",
        "/v1/healthy",
        "/metrics/x",
        "/V1/health",
        "//v1/health",
        "/v1//health",
        "/v1/./health",
        "/%761/health",
        "/v1/secrets%2Fa",
        "/v1/secretsx/a",
        "/v1/tenantsx",
        "/v1/tokens/other",
        "/v1/policies:tes",
        "/v2/secrets/a",
        "/v1/x/../health",
        "/metric",
    };

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct api_fixture f;

        fixture_start(&f, HTTP_METHOD_GET, targets[i]);
        if (fixture_parse(&f) != ERR_NO_ROUTE)
            fail_msg("not refused: %s", targets[i]);
        assert_false(f.request.routed);
        assert_null(f.allow);
        assert_text(f.request.id, "made-1");
        fixture_end(&f);
    }
}

static void
wrong_methods_name_the_right_ones(void **state)
{
    static const struct {
        enum http_method method;
        const char *target;
        const char *allow;
    } rows[] = {
        {HTTP_METHOD_PATCH, "/v1/secrets/a", "DELETE, GET, HEAD, POST, PUT"},
        {HTTP_METHOD_OTHER, "/v1/secrets/a", "DELETE, GET, HEAD, POST, PUT"},
        {HTTP_METHOD_PUT, "/v1/history/a", "GET, HEAD"},
        {HTTP_METHOD_DELETE, "/v1/deletions/a", "GET, HEAD"},
        {HTTP_METHOD_POST, "/v1/health", "GET, HEAD"},
        {HTTP_METHOD_POST, "/v1/status?x=1", "GET, HEAD"},
        {HTTP_METHOD_OTHER, "/metrics", "GET, HEAD"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct api_fixture f;

        fixture_start(&f, rows[i].method, rows[i].target);
        assert_int_equal(fixture_parse(&f), ERR_METHOD);
        assert_string_equal(f.allow, rows[i].allow);
        assert_false(f.request.routed);
        fixture_end(&f);
    }
}

static void
names_are_taken_as_they_are(void **state)
{
    static const struct {
        const char *target;
        const char *name;
    } rows[] = {
        {"/v1/secrets/a", "a"},
        {"/v1/secrets/a/b/c", "a/b/c"},
        {"/v1/secrets/a%20b", "a b"},
        {"/v1/secrets/%25", "%"},
        {"/v1/secrets/%252F", "%2F"},
        {"/v1/secrets/a%3Fb%23c", "a?b#c"},
        {"/v1/secrets/a%3fb", "a?b"},
        {"/v1/secrets/%C3%A9", "\xc3\xa9"},
        {"/v1/secrets/%e2%82%aC", "\xe2\x82\xac"},
        {"/v1/secrets/-._~!$&'()*+,;=:@", "-._~!$&'()*+,;=:@"},
        {"/v1/secrets/%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D", "\"<>[\\]^`{|}"},
        {"/v1/history/a+b", "a+b"},
        {"/v1/deletions/v1/secrets/x", "v1/secrets/x"},
        {"/v1/secrets/...", "..."},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct api_fixture f;

        fixture_start(&f, HTTP_METHOD_GET, rows[i].target);
        assert_int_equal(fixture_parse(&f), OK);
        assert_text(f.request.name, rows[i].name);
        fixture_end(&f);
    }
}

static void
names_have_one_form(void **state)
{
    static const char *const names[] = {
        "",     "%61",  "a%2Fb", "a%2fb", "%2E",    "%2e%2e", "a/%2E%2E/b", "%7E",
        "%2B",  "%40",  "%3A",   "%3D",   "%",      "%2",     "%G0",        "%0G",
        "a%",   "a%2",  "a//b",  "/a",    "a/",     ".",      "..",         "a/../b",
        "_a",   "%5Fa", "%00",   "a%0Ab", "%7F",    "%C2%80", "%FF",        "%C3",
        "a\"b", "a<b",  "a>b",   "a\\b",  "a^b",    "a`b",    "a{b",        "a|b",
        "a}b",  "a[b",  "a]b",   "%%",    "%C0%AF", "%+1",    "% 1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char target[64];
        enum vault_err err;

        (void)snprintf(target, sizeof target, "/v1/secrets/%s", names[i]);
        err = get_err(target);
        if (err != ERR_BAD_NAME && !(strchr(names[i], ' ') && err == ERR_BAD_REQUEST))
            fail_msg("not refused: %s (%s)", names[i], vault_err_name(err));
    }
}

static void
names_are_bounded(void **state)
{
    char target[TARGET_BYTES_MAX + 2];
    size_t prefix = strlen("/v1/secrets/");

    (void)state;
    memset(target, 0, sizeof target);
    memcpy(target, "/v1/secrets/", prefix);
    memset(target + prefix, 'n', NAME_BYTES_MAX);
    assert_int_equal(get_err(target), OK);
    target[prefix + NAME_BYTES_MAX] = 'n';
    assert_int_equal(get_err(target), ERR_BAD_NAME);

    for (size_t i = 0; i < NAME_BYTES_MAX; i++)
        memcpy(target + prefix + 3 * i, "%20", 3);
    target[prefix + 3 * NAME_BYTES_MAX] = '\0';
    assert_int_equal(get_err(target), OK);
    target[prefix + 3 * NAME_BYTES_MAX] = 'n';
    assert_int_equal(get_err(target), ERR_BAD_NAME);

    memset(target + prefix, 'n', sizeof target - prefix - 1);
    assert_int_equal(get_err(target), ERR_BAD_REQUEST);
}

static void
targets_are_visible_ascii(void **state)
{
    static const char *const targets[] = {
        "",
        "v1/health",
        "*",
        "http://h/v1/health",
        "/v1/secrets/\xc3\xa9",
        "/v1/secrets/a b",
        "/v1/secrets/a\tb",
        "/v1/secrets/a#b",
        "/v1/health?\x7f",
        "/v1/health\r",
        "/v1/history/a?after=v1#x",
    };
    struct api_fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        if (get_err(targets[i]) != ERR_BAD_REQUEST)
            fail_msg("not refused: %s", targets[i]);
    fixture_start(&f, HTTP_METHOD_GET, "");
    f.http.target = bytes_of("/v1/secrets/a\0b", 15);
    assert_int_equal(fixture_parse(&f), ERR_BAD_REQUEST);
    fixture_end(&f);
}

static void
read_parameters(void **state)
{
    struct api_fixture f;

    (void)state;
    fixture_start(&f, HTTP_METHOD_GET, "/v1/secrets/a?version=9223372036854775807");
    assert_int_equal(fixture_parse(&f), OK);
    assert_true(f.request.version == INT64_MAX);
    fixture_end(&f);

    fixture_start(&f, HTTP_METHOD_GET,
                  "/v1/secrets/a?at=1970-01-01T02:00:01.5%2b02:00&consistency=stale");
    assert_int_equal(fixture_parse(&f), OK);
    assert_true(f.request.has_at);
    assert_int_equal(f.request.at_ms, 1500);
    assert_true(f.request.stale);
    fixture_end(&f);

    fixture_start(&f, HTTP_METHOD_GET, "/v1/secrets/a?at=1970-01-01T02:00:01+02:00");
    assert_int_equal(fixture_parse(&f), OK);
    assert_int_equal(f.request.at_ms, 1000);
    fixture_end(&f);

    fixture_start(&f, HTTP_METHOD_GET, "/v1/secrets/a?consistency=linearizable&version=3");
    assert_int_equal(fixture_parse(&f), OK);
    assert_false(f.request.stale);
    assert_int_equal(f.request.version, 3);
    fixture_end(&f);
}

static void
other_parameters(void **state)
{
    struct api_fixture f;

    (void)state;
    fixture_start(&f, HTTP_METHOD_GET, "/v1/history/a");
    assert_int_equal(fixture_parse(&f), OK);
    assert_int_equal(f.request.limit, PAGE_DEFAULT);
    assert_int_equal(f.request.before_version, 0);
    fixture_end(&f);

    fixture_start(&f, HTTP_METHOD_GET, "/v1/history/a?limit=1000&after=v1f");
    assert_int_equal(fixture_parse(&f), OK);
    assert_int_equal(f.request.limit, 1000);
    assert_int_equal(f.request.before_version, 0x1f);
    fixture_end(&f);

    fixture_start(&f, HTTP_METHOD_DELETE, "/v1/secrets/a?expected_version=12");
    assert_int_equal(fixture_parse(&f), OK);
    assert_true(f.request.has_expected_version);
    assert_int_equal(f.request.expected_version, 12);
    fixture_end(&f);
}

static void
lists_of_names(void **state)
{
    uint8_t longest[NAME_TOKEN_BYTES_MAX], memory[NAME_BYTES_MAX], name[NAME_BYTES_MAX];
    struct bytes back;
    struct api_fixture f;

    (void)state;
    fixture_start(&f, HTTP_METHOD_GET, "/v1/secrets");
    assert_int_equal(fixture_parse(&f), OK);
    assert_int_equal(f.request.kind, REQUEST_NAMES);
    assert_int_equal(f.request.limit, PAGE_DEFAULT);
    assert_int_equal(f.request.names_prefix.size, 0);
    assert_int_equal(f.request.names_after.size, 0);
    fixture_end(&f);

    fixture_start(&f, HTTP_METHOD_GET, "/v1/secrets?prefix=a/%C3%A9&limit=7&after=n612f62");
    assert_int_equal(fixture_parse(&f), OK);
    assert_text(f.request.names_prefix, "a/\xc3\xa9");
    assert_text(f.request.names_after, "a/b");
    assert_int_equal(f.request.limit, 7);
    fixture_end(&f);

    memset(name, 'x', sizeof name);
    assert_int_equal(name_token_make(bytes_of(name, sizeof name), longest), sizeof longest);
    assert_true(name_token_parse(bytes_of(longest, sizeof longest), memory, &back));
    assert_true(bytes_equal(back, bytes_of(name, sizeof name)));
    assert_int_equal(target_err(HTTP_METHOD_POST, "/v1/secrets"), ERR_METHOD);
}

static void
parameters_refused(void **state)
{
    static const char *const targets[] = {
        "/v1/secrets/a?version=0",
        "/v1/secrets/a?version=01",
        "/v1/secrets/a?version=-1",
        "/v1/secrets/a?version=+1",
        "/v1/secrets/a?version=1.0",
        "/v1/secrets/a?version=",
        "/v1/secrets/a?version",
        "/v1/secrets/a?version=9223372036854775808",
        "/v1/secrets/a?version=18446744073709551617",
        "/v1/secrets/a?version=1&version=1",
        "/v1/secrets/a?version=1&version=2",
        "/v1/secrets/a?version=1&at=2026-01-02T03:04:05Z",
        "/v1/secrets/a?at=2026-01-02T03:04:05Z&version=1",
        "/v1/secrets/a?version=1&",
        "/v1/secrets/a?&version=1",
        "/v1/secrets/a?version=1&&consistency=stale",
        "/v1/secrets/a?&",
        "/v1/secrets/a?=1",
        "/v1/secrets/a?Version=1",
        "/v1/secrets/a?%76ersion=1",
        "/v1/secrets/a?version=%31%",
        "/v1/secrets/a?version=%3",
        "/v1/secrets/a?version=\"1\"",
        "/v1/secrets/a?version=1?version=1",
        "/v1/secrets/a?at=yesterday",
        "/v1/secrets/a?at=2026-01-02",
        "/v1/secrets/a?at=2026-01-02%2003:04:05Z",
        "/v1/secrets/a?at=",
        "/v1/secrets/a?at=00000000000000000000000000000000000000000000000000000000000000000",
        "/v1/secrets/a?consistency=",
        "/v1/secrets/a?consistency=Stale",
        "/v1/secrets/a?consistency=eventual",
        "/v1/secrets/a?limit=1",
        "/v1/secrets/a?expected_version=1",
        "/v1/secrets/a?unknown=1",
        "/v1/history/a?limit=0",
        "/v1/history/a?limit=1001",
        "/v1/history/a?limit=99999999999999999999",
        "/v1/history/a?limit=",
        "/v1/history/a?limit=1&limit=1",
        "/v1/history/a?after=",
        "/v1/history/a?after=v",
        "/v1/history/a?after=v0",
        "/v1/history/a?after=v01",
        "/v1/history/a?after=v1F",
        "/v1/history/a?after=1f",
        "/v1/history/a?after=v8000000000000000",
        "/v1/history/a?after=v10000000000000001",
        "/v1/history/a?after=vg",
        "/v1/history/a?version=1",
        "/v1/history/a?after=n61",
        "/v1/secrets?after=v1",
        "/v1/secrets?after=",
        "/v1/secrets?after=n",
        "/v1/secrets?after=n6",
        "/v1/secrets?after=n6162x",
        "/v1/secrets?after=n6A",
        "/v1/secrets?after=n5f61", /* "_a" is no name */
        "/v1/secrets?after=n00",
        "/v1/secrets?limit=0",
        "/v1/secrets?limit=1001",
        "/v1/secrets?prefix=a&prefix=a",
        "/v1/secrets?version=1",
        "/v1/deletions/a?limit=1",
        "/v1/health?x",
        "/v1/status?verbose=1",
        "/metrics?name[]=x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        if (get_err(targets[i]) != ERR_BAD_PARAMETER)
            fail_msg("not refused: %s", targets[i]);
    assert_int_equal(target_err(HTTP_METHOD_DELETE, "/v1/secrets/a?version=1"), ERR_BAD_PARAMETER);
    assert_int_equal(target_err(HTTP_METHOD_DELETE, "/v1/secrets/a?expected_version=0"),
                     ERR_BAD_PARAMETER);
    assert_int_equal(target_err(HTTP_METHOD_PUT, "/v1/secrets/a?expected_version=1"),
                     ERR_BAD_PARAMETER);
}

static void
page_tokens_come_back(void **state)
{
    static const uint64_t versions[] = {1,        9, 15, 16, 255, 4096, UINT64_C(0x123456789abcdef),
                                        INT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char token[PAGE_TOKEN_BYTES];
        uint64_t version;

        page_token_make(versions[i], token);
        assert_true(page_token_parse(bytes_of_text(token), &version));
        assert_true(version == versions[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_by_method),
        cmocka_unit_test(bodies_choose_create_and_update),
        cmocka_unit_test(no_such_route),
        cmocka_unit_test(wrong_methods_name_the_right_ones),
        cmocka_unit_test(names_are_taken_as_they_are),
        cmocka_unit_test(names_have_one_form),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(targets_are_visible_ascii),
        cmocka_unit_test(read_parameters),
        cmocka_unit_test(other_parameters),
        cmocka_unit_test(lists_of_names),
        cmocka_unit_test(parameters_refused),
        cmocka_unit_test(page_tokens_come_back),
    };

    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
