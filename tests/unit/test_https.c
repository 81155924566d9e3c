/* The HTTPS front: requests, answers and refusals; curl is a client that is not ours. */
#include "https_fixture.h"

/* ---- requests and answers ---- */

static void
one_connection_serves_many_requests(void **state)
{
    struct server server = {0};
    struct client client;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    for (int i = 0; i < 100; i++) {
        char text[256], wanted[64];

        snprintf(text, sizeof text,
                 "POST /r%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nb%02d", i, i);
        client_send(&client, text);
        snprintf(wanted, sizeof wanted, "\r\n\r\n2 /r%d b%02d", i, i);
        expect(&client, "200", wanted);
    }
    assert_int_equal(server.requests, 100);
    assert_int_equal(https_connections(server.front), 1);
    assert_int_equal(server.metrics->counters[METRIC_tls_handshakes], 1);
    assert_true(https_front_idle(server.front));
    client_close(&client);
    turn_for(&server, 20);
    assert_int_equal(https_connections(server.front), 0);
    server_close(&server);
}

/* Byte by byte: every record holds one byte of the request. */
static void
requests_arrive_in_pieces(void **state)
{
    static const char text[] = "PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    struct server server = {0};
    struct client client;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof text - 1; i++) {
            client_send_bytes(&client, bytes_of(text + i, 1));
            turn(&server);
        }
        expect(&client, "200", "3 /p abcde");
    }
    client_close(&client);
    server_close(&server);
}

static void
pipelined_requests_are_answered_in_order(void **state)
{
    struct server server = {0};
    struct client client;
    struct buf text = {0};

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    client_send(&client, "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
                         "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy"
                         "GET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
    turn_for(&server, 30);
    assert_int_equal(server.requests, 1);
    assert_false(https_front_idle(server.front));
    answer_later(&server, 0, "first");
    expect(&client, "200", "first");
    expect(&client, "200", "0 /2 ");
    turn_for(&server, 30);
    assert_int_equal(server.requests, 3);
    answer_later(&server, 1, "third");
    expect(&client, "200", "third");
    expect(&client, "200", "0 /4 ");

    /* More than one record and one turn: what is not read yet waits in the socket. */
    for (int i = 0; i < 2000; i++)
        assert_int_equal(buf_printf(&text, "GET /n%d HTTP/1.1\r\nHost: h\r\n\r\n", i), OK);
    client_send_bytes(&client, buf_bytes(&text));
    for (int i = 0; i < 2000; i++) {
        char wanted[32];

        snprintf(wanted, sizeof wanted, "\r\n\r\n0 /n%d ", i);
        expect(&client, "200", wanted);
    }
    buf_close(&text);
    client_close(&client);
    server_close(&server);
}

static void
head_has_no_body(void **state)
{
    struct server server = {0};
    struct client client;
    char answer[1024];

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    client_send(&client,
                "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\nGET /after HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(client_answer(&client, true, answer, sizeof answer));
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_non_null(strstr(answer, "Content-Length: 5\r\n"));
    expect(&client, "200", "0 /after ");
    client_close(&client);
    server_close(&server);
}

static void
expectation_is_met(void **state)
{
    struct server server = {0};
    struct client client;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    client_send(&client, "POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                         "Content-Length: 4\r\n\r\n");
    expect(&client, "100", "Continue");
    client_send(&client, "body");
    expect(&client, "200", "2 /e body");
    /* A client that does not wait is not told to go on. */
    client_send(&client, "POST /f HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                         "Content-Length: 4\r\n\r\nbody");
    expect(&client, "200", "2 /f body");
    client_close(&client);
    server_close(&server);
}

static void
the_last_answer_closes(void **state)
{
    struct server server = {0};
    struct client client;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    client_send(&client, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                         "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&client, "200", "Connection: close");
    expect_closed(&client);
    assert_int_equal(server.requests, 1);
    client_close(&client);
    turn_for(&server, 20);
    assert_int_equal(https_connections(server.front), 0);
    server_close(&server);
}

/* A client that reads slowly, so that the server meets a full socket many times. */
static void
a_long_answer_is_whole(void **state)
{
    struct server server = {0};
    struct client client;
    const char *body;
    size_t size = 0;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    client_send(&client, "GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 20000 && !client.closed; i++) {
        if (i % 4 == 0)
            turn(&server);
        client_take(&client);
        size = answer_size(&client.in, false);
    }
    assert_int_equal(client.in.size, size);
    body = (const char *)client.in.data + (size - BIG);
    for (size_t i = 0; i < BIG; i++)
        if ((uint8_t)body[i] != big_byte(i))
            fail_msg("byte %zu differs", i);
    client_close(&client);
    server_close(&server);
}

/* ---- refusals ---- */

static void
expect_refused(struct server *server, struct bytes text, const char *status, const char *code)
{
    struct client client;
    char part[64];

    client_open(&client, server);
    client_send_bytes(&client, text);
    snprintf(part, sizeof part, "\"code\":\"%s\"", code);
    expect(&client, status, "Connection: close");
    expect_closed(&client);
    client_close(&client);

    client_open(&client, server);
    client_send_bytes(&client, text);
    {
        char answer[4096], *at, *to;

        assert_true(client_answer(&client, false, answer, sizeof answer));
        for (at = to = answer; *at; at++)
            if (*at != ' ')
                *to++ = *at;
        *to = '\0';
        assert_non_null(strstr(answer, part));
        assert_non_null(strstr(answer, "X-Request-Id:"));
    }
    client_close(&client);
}

static void
bad_requests_are_answered_and_closed(void **state)
{
    struct server server = {0};
    struct buf text = {0};

    (void)state;
    server_open(&server);
    expect_refused(&server, bytes_of_text("GARBAGE\r\n\r\n"), "400", "bad_request");
    expect_refused(&server, bytes_of_text("GET / HTTP/1.1\r\nHost : h\r\n\r\n"), "400",
                   "bad_request");
    expect_refused(&server, bytes_of_text("GET / HTTP/1.1\r\n\r\n"), "400", "bad_request");
    expect_refused(&server,
                   bytes_of_text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                   "400", "bad_request");
    expect_refused(&server,
                   bytes_of_text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2097153\r\n\r\n"),
                   "413", "too_large");
    expect_refused(&server,
                   bytes_of_text("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "200001\r\n"),
                   "413", "too_large");
    assert_int_equal(buf_append_text(&text, "GET / HTTP/1.1\r\nHost: h\r\nX: "), OK);
    for (int i = 0; i < HEADER_BYTES_MAX; i++)
        assert_int_equal(buf_append_text(&text, "a"), OK);
    expect_refused(&server, buf_bytes(&text), "431", "headers_too_large");
    buf_close(&text);
    assert_int_equal(server.requests, 0);
    assert_int_equal(server.metrics->refusals[ERR_TOO_LARGE], 4);
    assert_int_equal(server.metrics->refusals[ERR_HEADERS_TOO_LARGE], 2);
    assert_int_equal(server.metrics->responses[METRIC_ROUTES - 1][413], 4);
    assert_int_equal(server.metrics->responses[METRIC_ROUTES - 1][431], 2);
    server_close(&server);
}

/*
 * The client sends a body of 3 MB to the end before it reads: it still gets to see why it was
 * refused.
 */
static void
a_refused_upload_sees_the_answer(void **state)
{
    struct server server = {0};
    struct client client;
    uint8_t *data = calloc(1, 3 * 1024 * 1024);

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    client_send(&client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3145728\r\n\r\n");
    client_send_bytes(&client, bytes_of(data, 3 * 1024 * 1024));
    expect(&client, "413", "too_large");
    expect_closed(&client);
    client_close(&client);
    free(data);
    server_close(&server);
}

static void
bodies_are_admitted_by_their_sum(void **state)
{
    struct server server = {.options = {.body_bytes_max_total = 1000}};
    struct client first, second;

    (void)state;
    server_open(&server);
    client_open(&first, &server);
    client_send(&first, "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 800\r\n\r\n1");
    turn_for(&server, 20);
    expect_refused(&server,
                   bytes_of_text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\n"),
                   "503", "busy");
    client_open(&second, &server);
    client_send(&second, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200\r\n\r\n");
    client_close(&first);
    turn_for(&server, 20);
    client_close(&second);
    turn_for(&server, 20);

    /* All of it has come back. */
    client_open(&first, &server);
    client_send(&first, "POST /all HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 100; i++)
        client_send(&first, "0123456789");
    expect(&first, "200", "2 /all 0123456789");
    client_close(&first);

    /* A chunked body is found out while it comes. */
    client_open(&second, &server);
    client_send(&second, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n");
    for (int i = 0; i < 110; i++)
        client_send(&second, "0123456789");
    expect(&second, "503", "busy");
    client_close(&second);
    server_close(&server);
}

/* ---- foreign clients ---- */

/*
 * Runs curl with these arguments while the server turns; its exit code, its standard output in
 * `out`.
 */
static int
curl(struct server *server, const char *arguments, char *out, size_t out_size)
{
    char line[512];
    size_t size = 0;
    FILE *child;
    int status;

    snprintf(line, sizeof line, "curl -sS -m 10 --cacert ca.crt --noproxy '*' %s 2>curl.err",
             arguments);
    child = popen(line, "r");
    assert_non_null(child);
    fcntl(fileno(child), F_SETFL, O_NONBLOCK);
    for (;;) {
        ssize_t got = read(fileno(child), out + size, out_size - 1 - size);

        if (got == 0)
            break;
        if (got > 0)
            size += (size_t)got;
        turn(server);
        poll(NULL, 0, 1);
    }
    out[size] = '\0';
    status = pclose(child);
    return WEXITSTATUS(status);
}

static void
curl_gets_all(void **state)
{
    struct server server = {0};
    char arguments[512], out[1024];
    FILE *file;
    size_t at = 0;
    int c;

    (void)state;
    server_open(&server);
    snprintf(arguments, sizeof arguments,
             "-H 'Connection: close' -o big -w '%%{http_code} %%{size_download}' "
             "https://localhost:%u/big",
             server.port);
    assert_int_equal(curl(&server, arguments, out, sizeof out), 0);
    assert_string_equal(out, "200 4194304");
    file = fopen("big", "r");
    assert_non_null(file);
    for (; (c = fgetc(file)) != EOF; at++)
        if (c != big_byte(at))
            fail_msg("byte %zu differs", at);
    fclose(file);
    assert_int_equal(at, BIG);

    snprintf(arguments, sizeof arguments,
             "-w ' %%{http_code} %%{num_connects}\\n' -T ca.crt https://localhost:%u/up "
             "https://localhost:%u/two",
             server.port, server.port);
    assert_int_equal(curl(&server, arguments, out, sizeof out), 0);
    assert_non_null(strstr(out, "BEGIN CERTIFICATE"));
    assert_non_null(strstr(out, "0 /two  200 0"));
    snprintf(arguments, sizeof arguments, "-I https://127.0.0.1:%u/head", server.port);
    assert_int_equal(curl(&server, arguments, out, sizeof out), 0);
    assert_non_null(strstr(out, "HTTP/1.1 200"));
    server_close(&server);
}

static void
old_tls_is_refused(void **state)
{
    struct server server = {0};
    char arguments[256], out[256];

    (void)state;
    server_open(&server);
    snprintf(arguments, sizeof arguments, "--tls-max 1.2 https://localhost:%u/", server.port);
    assert_int_equal(curl(&server, arguments, out, sizeof out), 35);
    snprintf(arguments, sizeof arguments, "http://localhost:%u/", server.port);
    assert_int_not_equal(curl(&server, arguments, out, sizeof out), 0);
    assert_int_equal(server.requests, 0);
    assert_int_equal(server.metrics->counters[METRIC_tls_handshakes_failed], 2);
    assert_int_equal(https_connections(server.front), 0);
    server_close(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_serves_many_requests),
        cmocka_unit_test(requests_arrive_in_pieces),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(expectation_is_met),
        cmocka_unit_test(the_last_answer_closes),
        cmocka_unit_test(a_long_answer_is_whole),
        cmocka_unit_test(bad_requests_are_answered_and_closed),
        cmocka_unit_test(a_refused_upload_sees_the_answer),
        cmocka_unit_test(bodies_are_admitted_by_their_sum),
        cmocka_unit_test(curl_gets_all),
        cmocka_unit_test(old_tls_is_refused),
    };

    return cmocka_run_group_tests(tests, https_setup, https_teardown);
}
