/*
 * The HTTP parser: what it takes, what it refuses and with which code, at every way of cutting the
 * input into pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http.h"

enum { BODY_MAX = 1000 };

/*
 * Feeds `text` in pieces of at most `step` bytes until something other than NEED_MORE or
 * HEADERS_DONE.
 */
static enum http_progress
feed(struct http_parser *parser, struct bytes text, size_t step, size_t *taken, enum vault_err *err)
{
    enum http_progress progress = HTTP_NEED_MORE;
    unsigned heads = 0;

    *taken = 0;
    *err = OK;
    while (*taken < text.size) {
        size_t size = text.size - *taken < step ? text.size - *taken : step;
        size_t used;

        progress = http_parser_feed(parser, bytes_of(text.data + *taken, size), &used, err);
        assert_true(used <= size);
        *taken += used;
        if (progress == HTTP_HEADERS_DONE)
            assert_int_equal(++heads, 1);
        else if (progress != HTTP_NEED_MORE)
            break;
        else
            assert_int_equal(used, size);
    }
    return progress;
}

static void
expect_refused(const char *text, size_t size, enum vault_err expected)
{
    static const size_t steps[] = {1, 2, 7, 100000};

    for (size_t i = 0; i < 4; i++) {
        struct http_parser *parser = http_parser_new(BODY_MAX);
        enum vault_err err;
        size_t taken;

        if (feed(parser, bytes_of(text, size), steps[i], &taken, &err) != HTTP_REFUSED ||
            err != expected)
            fail_msg("step %zu, got %s for: %.200s", steps[i], vault_err_name(err), text);
        assert_int_equal(http_parser_feed(parser, bytes_of_text("x"), &taken, &err), HTTP_REFUSED);
        assert_int_equal(err, expected);
        assert_int_equal(taken, 0);
        http_parser_free(parser);
    }
}

static void
bad(const char *text)
{
    expect_refused(text, strlen(text), ERR_BAD_REQUEST);
}

/* The parser after `text`, which is one whole request. */
static struct http_parser *
parsed(const char *text, size_t step)
{
    struct http_parser *parser = http_parser_new(BODY_MAX);
    enum vault_err err;
    size_t taken;

    if (feed(parser, bytes_of_text(text), step, &taken, &err) != HTTP_COMPLETE)
        fail_msg("not complete (%s): %s", vault_err_name(err), text);
    assert_int_equal(taken, strlen(text));
    return parser;
}

static void
assert_text(struct bytes got, const char *expected)
{
    assert_int_equal(got.size, strlen(expected));
    assert_memory_equal(got.data, expected, got.size);
}

static void
header_is(const struct http_request *request, const char *name, const char *expected)
{
    bool repeated;

    assert_text(http_header_get(request, name, &repeated), expected);
    assert_false(repeated);
}

static void
a_get_is_read(void **state)
{
    const char *text = "GET /v1/secrets/a/b?version=3&x=%41 HTTP/1.1\r\n"
                       "Host: localhost:8443\r\n"
                       "AUTHORIZATION: \t Bearer abc def \t \r\n"
                       "X-Empty:\r\n"
                       "X-Blank:   \r\n"
                       "Accept:*/*\r\n\r\n";
    size_t size = strlen(text);

    (void)state;
    for (size_t step = 1; step <= size; step++) {
        struct http_parser *parser = parsed(text, step);
        const struct http_request *request = http_parser_request(parser);
        bool repeated;

        assert_int_equal(request->method, HTTP_METHOD_GET);
        assert_text(request->target, "/v1/secrets/a/b?version=3&x=%41");
        assert_int_equal(request->header_count, 5);
        assert_text(request->headers[1].name, "authorization");
        header_is(request, "host", "localhost:8443");
        header_is(request, "authorization", "Bearer abc def");
        header_is(request, "x-empty", "");
        header_is(request, "x-blank", "");
        header_is(request, "accept", "*/*");
        assert_int_equal(http_header_get(request, "cookie", &repeated).size, 0);
        assert_false(repeated);
        assert_int_equal(request->body.size, 0);
        assert_true(request->keep_alive);
        assert_false(request->expect_continue);
        assert_true(http_parser_started(parser));
        assert_int_equal(http_parser_content_length(parser), 0);
        http_parser_free(parser);
    }
}

static void
bodies_are_read(void **state)
{
    static const char *const texts[] = {
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world",
        "POST /a HTTP/1.1\r\nHost: h\r\ncontent-length: 0011\r\n\r\nhello world",
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "b\r\nhello world\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
        "5\r\nhello\r\n00000001\r\n \r\n5\r\nworld\r\n000\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t step = 1; step <= strlen(texts[i]); step++) {
            struct http_parser *parser = parsed(texts[i], step);

            assert_int_equal(http_parser_request(parser)->method, HTTP_METHOD_POST);
            assert_text(http_parser_request(parser)->body, "hello world");
            assert_int_equal(http_parser_content_length(parser), i < 2 ? 11 : 0);
            http_parser_free(parser);
        }
    }
}

static void
bodies_may_be_absent(void **state)
{
    static const char *const texts[] = {
        "POST /a HTTP/1.1\r\nHost: h\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "PATCH /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct http_parser *parser = parsed(texts[i], 100);

        assert_int_equal(http_parser_request(parser)->body.size, 0);
        http_parser_free(parser);
    }
}

static void
the_head_is_announced_before_the_body(void **state)
{
    struct bytes text = bytes_of_text("PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n"
                                      "Content-Length: 5\r\n\r\n12345GET");
    struct http_parser *parser = http_parser_new(BODY_MAX);
    enum vault_err err;
    size_t used;

    (void)state;
    assert_false(http_parser_started(parser));
    assert_int_equal(http_parser_feed(parser, text, &used, &err), HTTP_HEADERS_DONE);
    assert_int_equal(used, text.size - 8);
    assert_true(http_parser_request(parser)->expect_continue);
    assert_int_equal(http_parser_content_length(parser), 5);
    text = bytes_of(text.data + used, text.size - used);
    assert_int_equal(http_parser_feed(parser, text, &used, &err), HTTP_COMPLETE);
    assert_int_equal(used, 5);
    assert_int_equal(http_parser_feed(parser, text, &used, &err), HTTP_COMPLETE);
    assert_int_equal(used, 0);
    http_parser_free(parser);
}

static void
the_rest_belongs_to_the_next_request(void **state)
{
    static const char text[] = "GET /1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n"
                               "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                               "POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "1\r\nx\r\n0\r\n\r\n"
                               "DELETE /4 HTTP/1.1\r\nHost: h\r\n\r\n";
    static const char *const bodies[] = {"", "abc", "x", ""};

    (void)state;
    for (size_t step = 1; step < sizeof text; step += 3) {
        struct http_parser *parser = http_parser_new(BODY_MAX);
        size_t at = 0;

        for (int i = 0; i < 4; i++) {
            char target[3] = {'/', (char)('1' + i), '\0'};
            enum vault_err err;
            size_t taken;

            assert_false(http_parser_started(parser));
            assert_int_equal(
                feed(parser, bytes_of(text + at, sizeof text - 1 - at), step, &taken, &err),
                HTTP_COMPLETE);
            at += taken;
            assert_text(http_parser_request(parser)->target, target);
            assert_text(http_parser_request(parser)->body, bodies[i]);
            assert_int_equal(http_parser_request(parser)->header_count,
                             i == 0 || i == 1 || i == 2 ? 2 : 1);
            http_parser_reset(parser);
        }
        assert_int_equal(at, sizeof text - 1);
        http_parser_free(parser);
    }
}

static void
keep_alive_follows_the_headers(void **state)
{
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: TE, Close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_parser *parser = parsed(cases[i].text, 5);

        assert_int_equal(http_parser_request(parser)->keep_alive, cases[i].keep_alive);
        http_parser_free(parser);
    }
}

static void
methods_are_known(void **state)
{
    static const struct {
        const char *name;
        enum http_method method;
    } cases[] = {
        {"GET", HTTP_METHOD_GET},       {"HEAD", HTTP_METHOD_HEAD},
        {"POST", HTTP_METHOD_POST},     {"PUT", HTTP_METHOD_PUT},
        {"PATCH", HTTP_METHOD_PATCH},   {"DELETE", HTTP_METHOD_DELETE},
        {"OPTIONS", HTTP_METHOD_OTHER}, {"TRACE", HTTP_METHOD_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_parser *parser;
        char text[64];

        snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", cases[i].name);
        parser = parsed(text, 3);
        assert_int_equal(http_parser_request(parser)->method, cases[i].method);
        http_parser_free(parser);
    }
    bad("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("FROBNICATE / HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("get / HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

static void
bad_request_lines(void **state)
{
    (void)state;
    bad("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    bad(" GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET  / HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET /  HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET / HTTP/1.1 \r\nHost: h\r\n\r\n");
    bad("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET / HTTP/1.1\nHost: h\r\n\r\n");
    bad("GET / HTTP/1.1\rHost: h\r\n\r\n");
    bad("GET /\r\nHost: h\r\n\r\n");
    bad("GET / HTTP/0.9\r\nHost: h\r\n\r\n");
    bad("GET / HTTP/1.2\r\nHost: h\r\n\r\n");
    bad("GET / HTTP/2.0\r\nHost: h\r\n\r\n");
    bad("GET / http/1.1\r\nHost: h\r\n\r\n");
    bad("GET / HTTP/1.10\r\nHost: h\r\n\r\n");
    bad("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET a HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n");
    bad("\x16\x03\x01\x02");
}

static void
bad_headers(void **state)
{
    static const char nul[] = "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n";

    (void)state;
    bad("GET / HTTP/1.1\r\nHost : h\r\n\r\n");
    bad("GET / HTTP/1.1\r\n Host: h\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX: a\nY: b\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\n");
    bad("GET / HTTP/1.1\r\nHost: h\n\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX Y: a\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX(Y): a\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX\xc3\xa9: a\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX: a\x01\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nX: a\x7f\r\n\r\n");
    expect_refused(nul, sizeof nul - 1, ERR_BAD_REQUEST);
    bad("GET / HTTP/1.1\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n");
    bad("GET / HTTP/1.0\r\nHost: h\r\nhost: g\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h, g\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n");
    bad("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n");
}

static void
bad_framing(void **state)
{
#define HEAD    "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"
    (void)state;
    bad(HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc");
    bad(HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc");
    bad(HEAD "Content-Length: 3, 3\r\n\r\nabc");
    bad(HEAD "Content-Length: +3\r\n\r\nabc");
    bad(HEAD "Content-Length: -3\r\n\r\nabc");
    bad(HEAD "Content-Length: 0x3\r\n\r\nabc");
    bad(HEAD "Content-Length: 3 0\r\n\r\nabc");
    bad(HEAD "Content-Length:\r\n\r\nabc");
    bad(HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    bad(HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n");
    bad(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    bad(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    bad(HEAD "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n");
    bad(HEAD "Transfer-Encoding: identity\r\n\r\n");
    bad(HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n");
    bad(HEAD "Transfer-Encoding:\r\n\r\n0\r\n\r\n");
    bad("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    bad(CHUNKED "\r\n");
    bad(CHUNKED "g\r\n");
    bad(CHUNKED "0x1\r\na\r\n0\r\n\r\n");
    bad(CHUNKED "+1\r\na\r\n0\r\n\r\n");
    bad(CHUNKED " 1\r\na\r\n0\r\n\r\n");
    bad(CHUNKED "1 \r\na\r\n0\r\n\r\n");
    bad(CHUNKED "1;x=y\r\na\r\n0\r\n\r\n");
    bad(CHUNKED "1\na\r\n0\r\n\r\n");
    bad(CHUNKED "1\r\nab\r\n0\r\n\r\n");
    bad(CHUNKED "1\r\na\n0\r\n\r\n");
    bad(CHUNKED "1\r\na\r\n0\r\nX: trailer\r\n\r\n");
    bad(CHUNKED "1\r\na\r\n0\r\n\n");
    bad(CHUNKED "000000001\r\na\r\n0\r\n\r\n");
}

/* "GET / HTTP/1.1", a Host, and one header so that all header lines together have `size` bytes. */
static char *
with_header_bytes(size_t size)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    size_t fixed = strlen("Host: h\r\nX: \r\n");
    char *text = malloc(size + 100), *at = text;

    memcpy(at, head, sizeof head - 1);
    at += sizeof head - 1;
    memset(at, 'a', size - fixed);
    at += size - fixed;
    memcpy(at, "\r\n\r\n", 5);
    return text;
}

static char *
with_headers(unsigned count)
{
    char *text = calloc(1, 100 + count * 16), *at = text;

    if (!text)
        abort();
    at += sprintf(at, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (unsigned i = 1; i < count; i++)
        at += sprintf(at, "X-%u: %u\r\n", i, i);
    sprintf(at, "\r\n");
    return text;
}

static char *
with_target(size_t size)
{
    char *text = malloc(size + 100);

    memcpy(text, "GET /", 5);
    memset(text + 5, 'a', size - 1);
    memcpy(text + 4 + size, " HTTP/1.1\r\nHost: h\r\n\r\n", 23);
    return text;
}

static void
limits_are_exact(void **state)
{
    struct {
        char *fits, *exceeds;
    } cases[] = {
        {with_header_bytes(HEADER_BYTES_MAX), with_header_bytes(HEADER_BYTES_MAX + 1)},
        {with_headers(HEADERS_MAX), with_headers(HEADERS_MAX + 1)},
        {with_target(TARGET_BYTES_MAX), with_target(TARGET_BYTES_MAX + 1)},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct http_parser *parser = parsed(cases[i].fits, 1000);

        http_parser_reset(parser);
        http_parser_free(parser);
        http_parser_free(parsed(cases[i].fits, 1));
        expect_refused(cases[i].exceeds, strlen(cases[i].exceeds), ERR_HEADERS_TOO_LARGE);
        free(cases[i].fits);
        free(cases[i].exceeds);
    }
}

static void
large_bodies_are_refused_at_once(void **state)
{
    struct http_parser *parser;
    char text[2 * BODY_MAX];
    int head;

    (void)state;
    head = snprintf(text, sizeof text, HEAD "Content-Length: %d\r\n\r\n", BODY_MAX);
    memset(text + head, 'b', BODY_MAX);
    text[head + BODY_MAX] = '\0';
    parser = parsed(text, 64);
    assert_int_equal(http_parser_request(parser)->body.size, BODY_MAX);
    http_parser_free(parser);

    head = snprintf(text, sizeof text, HEAD "Content-Length: %d\r\n\r\n", BODY_MAX + 1);
    expect_refused(text, (size_t)head, ERR_TOO_LARGE);
    head = snprintf(text, sizeof text, HEAD "Content-Length: 18446744073709551615\r\n\r\n");
    expect_refused(text, (size_t)head, ERR_TOO_LARGE);
    head = snprintf(text, sizeof text, CHUNKED "%x\r\n", BODY_MAX + 1);
    expect_refused(text, (size_t)head, ERR_TOO_LARGE);
    head = snprintf(text, sizeof text, CHUNKED "ffffffff\r\n");
    expect_refused(text, (size_t)head, ERR_TOO_LARGE);
    head = snprintf(text, sizeof text, CHUNKED "%x\r\n%0*d\r\n1\r\n", BODY_MAX, BODY_MAX, 0);
    expect_refused(text, (size_t)head, ERR_TOO_LARGE);
}

static void
repeated_headers_are_told(void **state)
{
    struct http_parser *parser =
        parsed("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n\r\n", 100);
    bool repeated;

    (void)state;
    assert_int_equal(http_header_get(http_parser_request(parser), "x-a", &repeated).size, 0);
    assert_true(repeated);
    http_parser_free(parser);
}

/* A request cut off in the middle leaves nothing behind for the next. */
static void
reset_forgets_everything(void **state)
{
    static const char text[] = HEAD "Authorization: Bearer x\r\nContent-Length: 9\r\n\r\n123";

    (void)state;
    for (size_t cut = 1; cut < sizeof text; cut++) {
        struct http_parser *parser = http_parser_new(BODY_MAX);
        enum vault_err err;
        size_t taken;

        assert_true(feed(parser, bytes_of(text, cut), 1000, &taken, &err) != HTTP_REFUSED);
        assert_true(http_parser_started(parser));
        http_parser_reset(parser);
        assert_false(http_parser_started(parser));
        assert_int_equal(
            feed(parser, bytes_of_text("GET /x HTTP/1.1\r\nHost: y\r\n\r\n"), 9, &taken, &err),
            HTTP_COMPLETE);
        assert_text(http_parser_request(parser)->target, "/x");
        assert_int_equal(http_parser_request(parser)->header_count, 1);
        header_is(http_parser_request(parser), "host", "y");
        assert_int_equal(http_parser_request(parser)->body.size, 0);
        http_parser_free(parser);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_is_read),
        cmocka_unit_test(bodies_are_read),
        cmocka_unit_test(bodies_may_be_absent),
        cmocka_unit_test(the_head_is_announced_before_the_body),
        cmocka_unit_test(the_rest_belongs_to_the_next_request),
        cmocka_unit_test(keep_alive_follows_the_headers),
        cmocka_unit_test(methods_are_known),
        cmocka_unit_test(bad_request_lines),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(bad_framing),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(large_bodies_are_refused_at_once),
        cmocka_unit_test(repeated_headers_are_told),
        cmocka_unit_test(reset_forgets_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
