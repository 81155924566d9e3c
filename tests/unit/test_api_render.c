/* Outcomes as HTTP responses, with jansson reading back what our own writer wrote. */
#include "api_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/json_out.h"
#include "api/status.h"
#include "api/status_table.h"
#include "crypto/base64.h"

static json_t *
body_json(const struct api_response *response)
{
    json_error_t problem;
    json_t *root = json_loadb((const char *)response->body.data, response->body.size,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);

    if (!root)
        fail_msg("not JSON: %s: %.*s", problem.text, (int)response->body.size,
                 (const char *)response->body.data);
    return root;
}

static void
assert_body(const struct api_response *response, const char *text)
{
    if (!bytes_equal(buf_bytes(&response->body), bytes_of_text(text)))
        fail_msg("got  %.*s\nwant %s", (int)response->body.size, (const char *)response->body.data,
                 text);
}

static const char *
header_of(const struct api_response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strcmp(response->headers[i].name, name) == 0)
            return (const char *)response->headers[i].value.data;
    return NULL;
}

/* A body has no NUL at its end. */
static bool
body_has(const struct api_response *response, const char *text)
{
    return memmem(response->body.data, response->body.size, text, strlen(text)) != NULL;
}

static struct request
request_of(enum request_kind kind)
{
    return (struct request){
        .routed = true, .kind = kind, .id = bytes_of_text("r1"), .name = bytes_of_text("db/p\"w")};
}

static void
written(void **state)
{
    struct request request = request_of(REQUEST_CREATE);
    struct reply reply = {.version = 1, .valid_from_ms = 1767323045678};
    struct api_response response;

    (void)state;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_int_equal(response.status, 201);
    assert_string_equal(response.content_type, "application/json");
    assert_body(
        &response,
        "{\"name\":\"db/p\\\"w\",\"version\":1,\"valid_from\":\"2026-01-02T03:04:05.678Z\"}");
    api_response_close(&response);

    request.kind = REQUEST_UPDATE;
    reply.version = INT64_MAX;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_int_equal(response.status, 200);
    assert_body(&response, "{\"name\":\"db/p\\\"w\",\"version\":9223372036854775807,"
                           "\"valid_from\":\"2026-01-02T03:04:05.678Z\"}");
    api_response_close(&response);
    assert_null(response.body.data);
}

static void
read_replies(void **state)
{
    struct request request = request_of(REQUEST_READ);
    struct reply reply = {.version = 3,
                          .valid_from_ms = 0,
                          .valid_to_ms = 1000,
                          .value = bytes_of_text("a\n"),
                          .encoding = VALUE_TEXT};
    struct api_response response;

    (void)state;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_int_equal(response.status, 200);
    assert_body(&response,
                "{\"name\":\"db/p\\\"w\",\"value\":\"a\\n\",\"encoding\":\"text\",\"version\":3,"
                "\"valid_from\":\"1970-01-01T00:00:00.000Z\","
                "\"valid_to\":\"1970-01-01T00:00:01.000Z\"}");
    api_response_close(&response);

    reply.valid_to_ms = 0;
    reply.encoding = VALUE_BASE64;
    reply.stale = true;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_body(&response,
                "{\"name\":\"db/p\\\"w\",\"value\":\"YQo=\",\"encoding\":\"base64\",\"version\":3,"
                "\"valid_from\":\"1970-01-01T00:00:00.000Z\",\"valid_to\":null,\"stale\":true}");
    api_response_close(&response);

    /* Said to be text but not UTF-8: the bytes matter more. */
    reply.encoding = VALUE_TEXT;
    reply.stale = false;
    reply.value = bytes_of("\xff\x00", 2);
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_true(body_has(&response, "\"value\":\"/wA=\",\"encoding\":\"base64\""));
    api_response_close(&response);

    reply.value = (struct bytes){0};
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_true(body_has(&response, "\"value\":\"\",\"encoding\":\"text\""));
    api_response_close(&response);
}

/* Every byte string comes back exactly, as text where it is UTF-8. */
static void
values_come_back(void **state)
{
    struct request request = request_of(REQUEST_READ);
    uint8_t value[300];

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        size_t size = round % sizeof value;
        struct reply reply = {.value = bytes_of(value, size), .version = 1};
        struct api_response response;
        json_t *root;
        json_t *member;
        bool text;

        for (size_t i = 0; i < size; i++)
            value[i] = (uint8_t)(round < 1000 ? (i * 31 + round * 17) % 128 : i * 7 + round * 13);
        assert_int_equal(api_render(&request, &reply, &response), OK);
        root = body_json(&response);
        text = strcmp(json_string_value(json_object_get(root, "encoding")), "text") == 0;
        member = json_object_get(root, "value");
        if (round < 1000)
            assert_true(text);
        if (text) {
            assert_bytes(bytes_of(json_string_value(member), json_string_length(member)), value,
                         size);
        } else {
            uint8_t decoded[sizeof value + 2];
            size_t decoded_size;

            assert_int_equal(
                base64_decode(bytes_of(json_string_value(member), json_string_length(member)),
                              decoded, sizeof decoded, &decoded_size),
                OK);
            assert_bytes(bytes_of(decoded, decoded_size), value, size);
        }
        json_decref(root);
        api_response_close(&response);
    }
}

static void
largest_value(void **state)
{
    struct request request = request_of(REQUEST_READ);
    struct reply reply = {.version = 1};
    struct api_response response;
    uint8_t *value = malloc(VALUE_BYTES_MAX);
    json_t *root;

    (void)state;
    assert_non_null(value);
    memset(value, 1, VALUE_BYTES_MAX); /* six bytes each as JSON */
    reply.value = bytes_of(value, VALUE_BYTES_MAX);
    assert_int_equal(api_render(&request, &reply, &response), OK);
    root = body_json(&response);
    assert_int_equal(json_string_length(json_object_get(root, "value")), VALUE_BYTES_MAX);
    json_decref(root);
    api_response_close(&response);
    free(value);
}

static void
history(void **state)
{
    struct history_row rows[] = {
        {.version = 17, .valid_from_ms = 2000, .author = bytes_of_text("admin")},
        {.version = 16, .valid_from_ms = 1000, .valid_to_ms = 2000, .author = bytes_of_text("é")},
    };
    struct request request = request_of(REQUEST_HISTORY);
    struct reply reply = {.rows = rows, .row_count = 2, .has_next = true};
    struct api_response response;

    (void)state;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_int_equal(response.status, 200);
    assert_body(&response,
                "{\"name\":\"db/p\\\"w\",\"versions\":["
                "{\"version\":17,\"valid_from\":\"1970-01-01T00:00:02.000Z\",\"valid_to\":null,"
                "\"author\":\"admin\",\"state\":\"current\"},"
                "{\"version\":16,\"valid_from\":\"1970-01-01T00:00:01.000Z\","
                "\"valid_to\":\"1970-01-01T00:00:02.000Z\",\"author\":\"é\","
                "\"state\":\"superseded\"}],\"next\":\"v10\"}");
    api_response_close(&response);

    reply = (struct reply){.row_count = 0};
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_body(&response, "{\"name\":\"db/p\\\"w\",\"versions\":[]}");
    api_response_close(&response);
}

static void
names(void **state)
{
    struct bytes there[] = {bytes_of_text("a"), bytes_of_text("a/\"b")};
    struct request request = request_of(REQUEST_NAMES);
    struct reply reply = {.names = there, .name_count = 2};
    struct api_response response;

    (void)state;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_int_equal(response.status, 200);
    assert_body(&response, "{\"names\":[\"a\",\"a/\\\"b\"]}");
    api_response_close(&response);
    reply = (struct reply){.has_next = true, .names_next = bytes_of_text("a/b")};
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_body(&response, "{\"names\":[],\"next\":\"n612f62\"}");
    api_response_close(&response);
}

static void
what_next_says_is_taken_again(void **state)
{
    struct history_row row = {.version = 300};
    struct request request = request_of(REQUEST_HISTORY);
    struct reply reply = {.rows = &row, .row_count = 1, .has_next = true};
    struct api_response response;
    struct api_fixture f;
    char target[64];
    json_t *root;

    (void)state;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    root = body_json(&response);
    (void)snprintf(target, sizeof target, "/v1/history/a?after=%s",
                   json_string_value(json_object_get(root, "next")));
    fixture_start(&f, HTTP_METHOD_GET, target);
    assert_int_equal(fixture_parse(&f), OK);
    assert_int_equal(f.request.before_version, 300);
    fixture_end(&f);
    json_decref(root);
    api_response_close(&response);
}

static void
deletions(void **state)
{
    struct request request = request_of(REQUEST_DELETE);
    struct reply reply = {.erased_on = 2, .required = 2, .replicas = 3};
    struct api_response response;

    (void)state;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_int_equal(response.status, 200);
    assert_body(&response, "{\"name\":\"db/p\\\"w\",\"erased_on\":2,\"required\":2,\"replicas\":3,"
                           "\"shredded\":false}");
    api_response_close(&response);

    reply.erased_on = 1;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_int_equal(response.status, 202);
    api_response_close(&response);

    request.kind = REQUEST_DELETION;
    reply.shredded = true;
    assert_int_equal(api_render(&request, &reply, &response), OK);
    assert_int_equal(response.status, 200);
    assert_true(body_has(&response, "\"shredded\":true"));
    api_response_close(&response);
}

static void
error_bodies(void **state)
{
    struct api_response response;

    (void)state;
    assert_int_equal(
        api_render_error(bytes_of_text("r\"9"), ERR_NOT_FOUND, PHASE_NONE, NULL, &response), OK);
    assert_int_equal(response.status, 404);
    assert_int_equal(response.header_count, 0);
    assert_body(&response, "{\"error\":{\"code\":\"not_found\",\"message\":\"there is no such "
                           "secret\",\"retry\":\"no\",\"request_id\":\"r\\\"9\"}}");
    api_response_close(&response);

    assert_int_equal(
        api_render_error(bytes_of_text("r"), ERR_NO_QUORUM, PHASE_VOTING, NULL, &response), OK);
    assert_int_equal(response.status, 503);
    assert_body(&response,
                "{\"error\":{\"code\":\"no_quorum\",\"message\":\"too few nodes answered\","
                "\"phase\":\"voting\",\"retry\":\"safe\",\"request_id\":\"r\"}}");
    api_response_close(&response);

    assert_int_equal(
        api_render_error(bytes_of_text("r"), ERR_NO_QUORUM, PHASE_WRITING, NULL, &response), OK);
    assert_body(&response,
                "{\"error\":{\"code\":\"no_quorum\",\"message\":\"too few nodes answered\","
                "\"phase\":\"writing\",\"retry\":\"same_key\",\"request_id\":\"r\"}}");
    api_response_close(&response);
}

static void
error_headers(void **state)
{
    struct request request = request_of(REQUEST_READ);
    struct reply busy = {.err = ERR_BUSY};
    struct api_response response;
    static const struct {
        unsigned ms;
        const char *seconds;
    } hints[] = {{0, "1"},    {1, "1"},     {1000, "1"},   {1001, "2"},
                 {2001, "5"}, {5001, "15"}, {15001, "60"}, {UINT32_MAX, "60"}};

    (void)state;
    assert_int_equal(
        api_render_error(bytes_of_text("r"), ERR_UNAUTHENTICATED, PHASE_NONE, NULL, &response), OK);
    assert_int_equal(response.status, 401);
    assert_string_equal(header_of(&response, "WWW-Authenticate"), "Bearer realm=\"ostraka\"");
    api_response_close(&response);

    assert_int_equal(
        api_render_error(bytes_of_text("r"), ERR_METHOD, PHASE_NONE, "GET, HEAD", &response), OK);
    assert_int_equal(response.status, 405);
    assert_string_equal(header_of(&response, "Allow"), "GET, HEAD");
    api_response_close(&response);

    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        busy.retry_after_ms = hints[i].ms;
        assert_int_equal(api_render(&request, &busy, &response), OK);
        assert_int_equal(response.status, 503);
        assert_string_equal(header_of(&response, "Retry-After"), hints[i].seconds);
        api_response_close(&response);
    }
}

/* What a caller may not see looks like what does not exist, whatever else the reply holds. */
static void
not_found_is_always_the_same(void **state)
{
    struct request request = request_of(REQUEST_READ);
    struct reply reply = {.err = ERR_NOT_FOUND,
                          .version = 3,
                          .value = bytes_of_text("hidden"),
                          .phase = PHASE_WRITING,
                          .retry_after_ms = 9};
    struct api_response expected;

    (void)state;
    assert_int_equal(
        api_render_error(bytes_of_text("r1"), ERR_NOT_FOUND, PHASE_NONE, NULL, &expected), OK);
    for (int kind = REQUEST_CREATE; kind <= REQUEST_DELETION; kind++) {
        struct api_response response;

        request.kind = (enum request_kind)kind;
        request.name.size = (size_t)kind % 5;
        assert_int_equal(api_render(&request, &reply, &response), OK);
        assert_int_equal(response.status, 404);
        assert_int_equal(response.header_count, 0);
        assert_true(bytes_equal(buf_bytes(&response.body), buf_bytes(&expected.body)));
        api_response_close(&response);
    }
    api_response_close(&expected);
}

static void
refusals_say_more(void **state)
{
    struct api_fixture f;
    struct api_response response;
    enum vault_err err;

    (void)state;
    fixture_start(&f, HTTP_METHOD_GET, "/v1/history/a?limit=0");
    err = fixture_parse(&f);
    assert_int_equal(api_render_refusal(&f.request, err, f.allow, &response), OK);
    assert_int_equal(response.status, 400);
    assert_body(&response, "{\"error\":{\"code\":\"bad_parameter\",\"message\":\"limit must be a "
                           "number from 1 to 1000\",\"retry\":\"no\",\"request_id\":\"made-1\"}}");
    api_response_close(&response);
    fixture_end(&f);

    fixture_start(&f, HTTP_METHOD_POST, "/metrics");
    err = fixture_parse(&f);
    assert_int_equal(api_render_refusal(&f.request, err, f.allow, &response), OK);
    assert_int_equal(response.status, 405);
    assert_string_equal(header_of(&response, "Allow"), "GET, HEAD");
    api_response_close(&response);
    fixture_end(&f);
}

static void
every_error_has_a_face(void **state)
{
    static const enum failed_phase phases[] = {PHASE_NONE, PHASE_VOTING, PHASE_WRITING};

    (void)state;
    for (int err = OK + 1; err <= ERR_INTERNAL; err++) {
        for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
            struct error_face face = error_face((enum vault_err)err, phases[i]);
            struct api_response response;
            json_t *root;

            assert_true(face.status >= 400 && face.status < 600);
            assert_string_not_equal(status_reason(face.status), "Unknown");
            assert_int_equal(face.status, api_status_of((enum vault_err)err, phases[i]));
            /* After a WRITE has left, nothing is reported as if it had not happened. */
            if (phases[i] == PHASE_WRITING && face.status >= 500)
                assert_string_equal(face.retry, "same_key");
            if (phases[i] == PHASE_VOTING)
                assert_string_not_equal(face.retry, "same_key");
            assert_int_equal(api_render_error(bytes_of_text("r"), (enum vault_err)err, phases[i],
                                              "GET, HEAD", &response),
                             OK);
            root = body_json(&response);
            assert_non_null(json_object_get(json_object_get(root, "error"), "code"));
            json_decref(root);
            api_response_close(&response);
        }
    }
    assert_int_equal(api_status_of(OK, PHASE_NONE), 200);
    assert_int_equal(api_status_of((enum vault_err)9999, PHASE_NONE), 500);
}

static void
statuses_of_the_contract(void **state)
{
    static const struct {
        enum vault_err err;
        unsigned status;
    } rows[] = {
        {ERR_BAD_NAME, 400},
        {ERR_FORBIDDEN, 403},
        {ERR_NO_ROUTE, 404},
        {ERR_ALREADY_EXISTS, 409},
        {ERR_VERSION_MISMATCH, 409},
        {ERR_CONTENDED, 409},
        {ERR_TOO_LARGE, 413},
        {ERR_MEDIA_TYPE, 415},
        {ERR_RATE_LIMITED, 429},
        {ERR_HEADERS_TOO_LARGE, 431},
        {ERR_VALUE_UNAVAILABLE, 503},
        {ERR_CORRUPT_VALUE, 503},
        {ERR_MASTER_KEY_UNAVAILABLE, 503},
        {ERR_MASTER_KEY_INCORRECT, 503},
        {ERR_DISK_FULL, 507},
        {ERR_NOT_READY, 503},
        {ERR_INTERNAL, 500},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(api_status_of(rows[i].err, PHASE_NONE), rows[i].status);
    assert_int_equal(error_face(ERR_CONTENDED, PHASE_WRITING).shown, ERR_NO_QUORUM);
    assert_int_equal(error_face(ERR_CONTENDED, PHASE_VOTING).status, 409);
    assert_int_equal(error_face(ERR_IO, PHASE_NONE).shown, ERR_INTERNAL);
    assert_int_equal(error_face(ERR_NOMEM, PHASE_NONE).shown, ERR_BUSY);
}

static void
heads(void **state)
{
    struct api_response response;
    struct buf head = {0};

    (void)state;
    assert_int_equal(
        api_render_error(bytes_of_text("r"), ERR_UNAUTHENTICATED, PHASE_NONE, NULL, &response), OK);
    assert_int_equal(buf_append_text(&head, "before;"), OK);
    assert_int_equal(api_render_head(&response, bytes_of_text("id-7"), true, &head), OK);
    assert_true(response.body.size >= 100 && response.body.size <= 999);
    {
        char expected[512];

        (void)snprintf(expected, sizeof expected,
                       "before;HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\nCache-Control: no-store\r\nX-Request-Id: id-7\r\n"
                       "WWW-Authenticate: Bearer realm=\"ostraka\"\r\n\r\n",
                       response.body.size);
        assert_text(buf_bytes(&head), expected);
    }
    buf_close(&head);
    assert_int_equal(api_render_head(&response, bytes_of_text("id-7"), false, &head), OK);
    assert_memory_equal(head.data + head.size - 23, "\r\nConnection: close\r\n\r\n", 23);
    buf_close(&head);
    api_response_close(&response);
}

static struct node_status
sample_status(const struct cluster *cluster)
{
    struct node_status status = {
        .cluster = cluster,
        .self = 1,
        .version = "9.8.7",
        .uptime_ms = 1234,
        .ready = true,
        .quorum = true,
        .store_sequence = 77,
        .escrow_backlog = 5,
        .anti_entropy = {.ready = true, .paths = 9, .differences = 4},
        .recovery = {.state = "parts", .missing = 4, .versions = 9},
        .repair = {.lacking = 4, .recovered = 3, .scrub_rows = 12},
        .peers = {{.connected = true,
                   .round_trip_us = 250,
                   .paths = 61,
                   .paths_known = true,
                   .compared = true,
                   .in_sync = true,
                   .compared_ms = 31,
                   .clock_offset_ms = -3600999,
                   .token_known = true},
                  {.self = true, .connected = true, .paths = 58, .paths_known = true},
                  {.config_mismatch = true,
                   .token_known = true,
                   .token_differs = true,
                   .paths = 61,
                   .paths_known = true}}};

    return status;
}

static struct cluster
sample_cluster(void)
{
    struct cluster cluster = {.nodes = {{.name = "n1"}, {.name = "n2"}, {.name = "n3"}},
                              .node_count = 3,
                              .share_count = 3,
                              .threshold = 2,
                              .seal = SEAL_FILE};

    memset(cluster.id, 0xab, sizeof cluster.id);
    memset(cluster.master_key_check, 0xcd, sizeof cluster.master_key_check);
    memset(cluster.admin_token_hash, 0xcd, sizeof cluster.admin_token_hash);
    return cluster;
}

static void
health(void **state)
{
    struct cluster cluster = sample_cluster();
    struct node_status status = sample_status(&cluster);
    struct api_response response;

    (void)state;
    assert_int_equal(api_render_health(&status, &response), OK);
    assert_int_equal(response.status, 200);
    assert_body(&response,
                "{\"status\":\"ready\",\"sealed\":false,\"quorum\":true,\"node\":\"n2\"}");
    api_response_close(&response);

    status.ready = false;
    status.sealed = true;
    status.quorum = false;
    status.not_ready_reasons[0] = "no majority is connected";
    status.not_ready_reasons[1] = "sealed";
    status.not_ready_reasons[2] = "c";
    status.not_ready_reasons[3] = "d";
    assert_int_equal(api_render_health(&status, &response), OK);
    assert_int_equal(response.status, 503);
    assert_body(&response, "{\"status\":\"not_ready\",\"sealed\":true,\"quorum\":false,\"node\":"
                           "\"n2\",\"reasons\":[\"no majority is connected\",\"sealed\",\"c\","
                           "\"d\"]}");
    api_response_close(&response);

    status.not_ready_reasons[0] = NULL;
    assert_int_equal(api_render_health(&status, &response), OK);
    assert_true(body_has(&response, "\"reasons\":[]}"));
    api_response_close(&response);
}

static void
status_page(void **state)
{
    struct cluster cluster = sample_cluster();
    struct node_status status = sample_status(&cluster);
    struct api_response response;
    json_t *root, *peers, *compared;

    (void)state;
    assert_int_equal(api_render_status(&status, &response), OK);
    assert_int_equal(response.status, 200);
    root = body_json(&response);
    assert_string_equal(json_string_value(json_object_get(root, "version")), "9.8.7");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(root, "store"), "sequence")), 77);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(root, "cluster"), "majority")), 2);
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "cluster"), "id")),
                        "abababababababababababababababab");
    const json_t *repair = json_object_get(root, "repair"), *scrub = json_object_get(root, "scrub");
    assert_int_equal(json_integer_value(json_object_get(repair, "backlog")), 5);
    assert_int_equal(json_integer_value(json_object_get(repair, "lacking")), 4);
    assert_int_equal(json_integer_value(json_object_get(repair, "recovered")), 3);
    assert_int_equal(json_integer_value(json_object_get(scrub, "rows")), 12);
    assert_true(json_is_null(json_object_get(scrub, "rows_expected")));
    peers = json_object_get(root, "peers");
    assert_int_equal(json_array_size(peers), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(peers, 0), "link")),
                        "connected");
    assert_string_equal(json_string_value(json_object_get(json_array_get(peers, 1), "link")),
                        "self");
    assert_string_equal(json_string_value(json_object_get(json_array_get(peers, 2), "link")),
                        "configuration_mismatch");
    assert_true(json_is_null(json_object_get(json_array_get(peers, 2), "round_trip_us")));
    assert_true(json_is_true(json_object_get(json_array_get(peers, 0), "in_sync")));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(peers, 0), "compared_ms")),
                     31);
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(peers, 0), "clock_offset_s")), -3600);
    assert_true(json_is_null(json_object_get(json_array_get(peers, 1), "clock_offset_s")));
    assert_true(json_is_null(json_object_get(json_array_get(peers, 2), "clock_offset_s")));
    assert_true(json_is_false(json_object_get(json_array_get(peers, 0), "admin_token_differs")));
    assert_true(json_is_null(json_object_get(json_array_get(peers, 1), "admin_token_differs")));
    assert_true(json_is_true(json_object_get(json_array_get(peers, 2), "admin_token_differs")));
    assert_true(json_is_null(json_object_get(json_array_get(peers, 2), "in_sync")));
    assert_true(json_is_null(json_object_get(json_array_get(peers, 2), "compared_ms")));
    compared = json_object_get(json_object_get(root, "repair"), "anti_entropy");
    assert_true(json_is_true(json_object_get(compared, "ready")));
    assert_int_equal(json_integer_value(json_object_get(compared, "paths")), 9);
    assert_int_equal(json_integer_value(json_object_get(compared, "differences")), 4);
    assert_true(json_is_false(json_object_get(json_array_get(peers, 2), "recovering")));
    peers = json_object_get(root, "recovery");
    assert_string_equal(json_string_value(json_object_get(peers, "state")), "parts");
    assert_int_equal(json_integer_value(json_object_get(peers, "missing")), 4);
    assert_int_equal(json_integer_value(json_object_get(peers, "versions")), 9);
    /* Nothing of tokens or keys, and no word of how values are split. */
    assert_int_equal(buf_append(&response.body, bytes_of("", 1)), OK);
    assert_false(body_has(&response, "cdcd"));
    assert_false(body_has(&response, "share"));
    assert_false(body_has(&response, "escrow"));
    json_decref(root);
    api_response_close(&response);
}

static json_t *
placement_of(const struct node_status *status)
{
    struct api_response response;
    json_t *root, *placement;

    assert_int_equal(api_render_status(status, &response), OK);
    root = body_json(&response);
    placement = json_deep_copy(json_object_get(root, "placement"));
    json_decref(root);
    api_response_close(&response);
    return placement;
}

static const char *
available_with(struct node_status *status, unsigned connected)
{
    for (unsigned i = 0; i < NODES_MAX; i++)
        status->peers[i].connected = i < connected;
    struct placement_status out;
    placement_status(status, &out);
    return out.available == PATHS_ALL ? "all" : out.available == PATHS_SOME ? "some" : "none";
}

static void
placement(void **state)
{
    struct cluster cluster = sample_cluster();
    struct node_status status = sample_status(&cluster);
    json_t *p;

    (void)state;
    cluster.share_count = 2;
    p = placement_of(&status);
    assert_int_equal(json_integer_value(json_object_get(p, "paths")), 58);
    assert_int_equal(json_integer_value(json_object_get(p, "cluster_paths")), 90);
    assert_int_equal(json_integer_value(json_object_get(p, "permille")), 644);
    assert_int_equal(json_integer_value(json_object_get(p, "even_permille")), 666);
    assert_string_equal(json_string_value(json_object_get(p, "available")), "some");
    json_decref(p);

    status.peers[2].paths_known = false;
    p = placement_of(&status);
    assert_int_equal(json_integer_value(json_object_get(p, "paths")), 58);
    assert_true(json_is_null(json_object_get(p, "cluster_paths")));
    assert_true(json_is_null(json_object_get(p, "permille")));
    json_decref(p);

    /* Of 5 nodes, 3 to a path: one may be missing for all, two replicas make a majority. */
    cluster.node_count = 5;
    cluster.share_count = 3;
    status.self = 0;
    status.peers[0].self = true;
    assert_string_equal(available_with(&status, 5), "all");
    assert_string_equal(available_with(&status, 4), "all");
    assert_string_equal(available_with(&status, 3), "some");
    assert_string_equal(available_with(&status, 2), "some");
    assert_string_equal(available_with(&status, 1), "none");
    cluster.share_count = 5;
    assert_string_equal(available_with(&status, 3), "all");
    assert_string_equal(available_with(&status, 2), "none");
}

static void
writer_latches(void **state)
{
    struct buf buf = {0};
    struct json_out out;
    struct request request = request_of(REQUEST_READ);
    struct reply reply = {.version = 1};
    struct api_response response;

    (void)state;
    json_out_init(&out, &buf);
    json_out_string(&out, bytes_of_text("\xff"));
    json_out_u64(&out, 1);
    assert_int_equal(out.err, ERR_INTERNAL);
    assert_int_equal(buf.size, 0);
    buf_close(&buf);

    request.name = bytes_of_text("\xff");
    assert_int_equal(api_render(&request, &reply, &response), ERR_INTERNAL);
    assert_null(response.body.data);
    assert_int_equal(response.body.size, 0);
    request = request_of(REQUEST_HEALTH);
    assert_int_equal(api_render(&request, &reply, &response), ERR_INTERNAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written),
        cmocka_unit_test(read_replies),
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(largest_value),
        cmocka_unit_test(history),
        cmocka_unit_test(names),
        cmocka_unit_test(what_next_says_is_taken_again),
        cmocka_unit_test(deletions),
        cmocka_unit_test(error_bodies),
        cmocka_unit_test(error_headers),
        cmocka_unit_test(not_found_is_always_the_same),
        cmocka_unit_test(refusals_say_more),
        cmocka_unit_test(every_error_has_a_face),
        cmocka_unit_test(statuses_of_the_contract),
        cmocka_unit_test(heads),
        cmocka_unit_test(health),
        cmocka_unit_test(status_page),
        cmocka_unit_test(placement),
        cmocka_unit_test(writer_latches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
