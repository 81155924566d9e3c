/* A request as the HTTP parser would hand it on, put together by hand. */
#ifndef OSTRAKA_TESTS_API_FIXTURE_H
#define OSTRAKA_TESTS_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"

enum { FIXTURE_ARENA_BYTES = 4 * 1024 * 1024 };

struct api_fixture {
    struct http_request http;
    struct arena arena;
    struct request request;
    const char *allow;
};

/* Of a group of tests. */
static inline int
fixture_setup(void **state)
{
    (void)state;
    api_global_init();
    return 0;
}

static inline void
fixture_start(struct api_fixture *f, enum http_method method, const char *target)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->arena, FIXTURE_ARENA_BYTES);
    f->http.method = method;
    f->http.target = bytes_of_text(target);
    f->allow = "left over";
}

static inline void
fixture_header(struct api_fixture *f, const char *name, const char *value)
{
    assert_true(f->http.header_count < HEADERS_MAX);
    f->http.headers[f->http.header_count++] =
        (struct http_header){bytes_of_text(name), bytes_of_text(value)};
}

static inline void
fixture_json(struct api_fixture *f, struct bytes body)
{
    fixture_header(f, "content-type", "application/json");
    if (body.size == 0)
        fixture_header(f, "content-length", "0");
    f->http.body = body;
}

static inline enum vault_err
fixture_parse(struct api_fixture *f)
{
    return api_parse(&f->http, bytes_of_text("made-1"), &f->arena, &f->request, &f->allow);
}

static inline void
fixture_end(struct api_fixture *f)
{
    arena_close(&f->arena);
}

static inline void
assert_bytes(struct bytes actual, const void *data, size_t size)
{
    assert_int_equal(actual.size, size);
    if (size > 0)
        assert_memory_equal(actual.data, data, size);
}

static inline void
assert_text(struct bytes actual, const char *text)
{
    assert_bytes(actual, text, strlen(text));
}

#endif
