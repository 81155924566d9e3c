/*
 * The HTTPS front over real sockets on 127.0.0.1. Server and client share a thread: while a client
 * waits, it turns the server's event loop. The client speaks TLS through runtime/tls.h and counts
 * bytes itself; curl is the foreign one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "runtime/https.h"
#include "tls_fixture.h"

enum { BIG = 4 * 1024 * 1024, LATER_MAX = 8 };

static struct tls_fixture fixture;
static struct tls_context *server_tls, *client_tls;

/* ---- the server under test ---- */

struct server {
    struct event_base *base;
    struct https_front *front;
    struct metrics *metrics;
    uint16_t port;
    unsigned requests;
    struct https_exchange *later[LATER_MAX];
    unsigned later_count;
    bool answering_later; /* answer_later is on the stack */
    struct https_options options;
};

static uint8_t
big_byte(size_t at)
{
    return (uint8_t)('a' + (at * 31 + at / 977) % 26);
}

static void
answer_with(struct https_exchange *exchange, struct bytes text)
{
    struct api_response response = {.status = 200, .content_type = "application/json"};

    assert_int_equal(buf_append(&response.body, text), OK);
    https_respond(exchange, bytes_of_text("id-1"), &response);
}

static void
answer_big(struct https_exchange *exchange)
{
    struct api_response response = {.status = 200, .content_type = "application/json"};

    assert_int_equal(buf_reserve(&response.body, BIG), OK);
    for (size_t i = 0; i < BIG; i++)
        response.body.data[i] = big_byte(i);
    response.body.size = BIG;
    https_respond(exchange, bytes_of_text("id-big"), &response);
}

/*
 * /later waits for answer_later(); /big is 4 MB; all else comes back as "<method number> <target>
 * <body>".
 */
static void
on_request(void *context, struct https_exchange *exchange, const struct http_request *http)
{
    struct server *server = context;
    struct buf text = {0};

    server->requests++;
    assert_false(server->answering_later);
    assert_non_null(arena_alloc(https_exchange_arena(exchange), 5000));
    if (bytes_equal(http->target, bytes_of_text("/later"))) {
        assert_true(server->later_count < LATER_MAX);
        server->later[server->later_count++] = exchange;
        return;
    }
    if (bytes_equal(http->target, bytes_of_text("/big"))) {
        answer_big(exchange);
        return;
    }
    assert_int_equal(buf_printf(&text, "%d ", (int)http->method), OK);
    assert_int_equal(buf_append(&text, http->target), OK);
    assert_int_equal(buf_append_text(&text, " "), OK);
    assert_int_equal(buf_append(&text, http->body), OK);
    answer_with(exchange, buf_bytes(&text));
    buf_close(&text);
}

static uint16_t
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* `options` may be preset; what every test needs is filled in. */
static void
server_open(struct server *server)
{
    char why[256];

    server->base = event_base_new();
    server->metrics = calloc(1, sizeof *server->metrics);
    server->port = free_port();
    server->options.base = server->base;
    server->options.host = "127.0.0.1";
    server->options.port = server->port;
    server->options.tls = server_tls;
    server->options.metrics = server->metrics;
    server->options.context = server;
    server->options.on_request = on_request;
    if (https_front_new(&server->options, &server->front, why, sizeof why) != OK)
        fail_msg("%s", why);
}

static void
server_close(struct server *server)
{
    https_front_free(server->front);
    event_base_free(server->base);
    free(server->metrics);
}

enum {
    PATIENCE_MS = 20000, /* how long a test waits for what must come, on a machine that is busy */
    LONG_DEADLINE_MS = 60000, /* a deadline of the server that must not pass in a test */
};

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
turn(struct server *server)
{
    event_base_loop(server->base, EVLOOP_NONBLOCK);
}

/* At least some turns, however long this process was kept from running. */
static void
turn_for(struct server *server, int ms)
{
    int64_t end = now_ms() + ms;

    for (unsigned turns = 0; turns < 10 || now_ms() < end; turns++) {
        turn(server);
        poll(NULL, 0, 1);
    }
}

/* Turns until `condition` holds; the test fails when it does not. */
#define TURN_UNTIL(server, condition)                                                              \
    do {                                                                                           \
        int64_t end_ = now_ms() + PATIENCE_MS;                                                     \
        while (!(condition) && now_ms() < end_)                                                    \
            turn_for(server, 1);                                                                   \
        assert_true(condition);                                                                    \
    } while (0)

static void
answer_later(struct server *server, unsigned index, const char *text)
{
    server->answering_later = true;
    answer_with(server->later[index], bytes_of_text(text));
    server->answering_later = false;
}

/* ---- a client ---- */

struct client {
    struct server *server;
    int fd;
    struct tls_session *tls;
    struct buf in; /* come, not yet looked at */
    bool closed;   /* by the server */
};

static int
tcp_connect(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* False when there was no session within the time. */
static bool
client_try(struct client *client, struct server *server, int ms)
{
    int64_t end = now_ms() + ms;
    enum tls_result result = TLS_WANT_READ;

    *client = (struct client){.server = server, .fd = tcp_connect(server)};
    assert_int_equal(tls_session_new(client_tls, client->fd, &client->tls), OK);
    while ((result == TLS_WANT_READ || result == TLS_WANT_WRITE) && now_ms() < end) {
        turn(server);
        result = tls_handshake(client->tls);
    }
    return result == TLS_DONE;
}

static void
client_open(struct client *client, struct server *server)
{
    assert_true(client_try(client, server, PATIENCE_MS));
}

static void
client_close(struct client *client)
{
    tls_session_free(client->tls);
    close(client->fd);
    buf_close(&client->in);
}

/* What the server takes; it may close in between. */
static void
client_send_bytes(struct client *client, struct bytes data)
{
    int64_t end = now_ms() + PATIENCE_MS;

    while (data.size > 0 && now_ms() < end) {
        size_t put;
        enum tls_result result = tls_write(client->tls, data, &put);

        if (result != TLS_DONE && result != TLS_WANT_WRITE)
            return;
        data = bytes_of(data.data + put, data.size - put);
        turn(client->server);
    }
    assert_int_equal(data.size, 0);
}

static void
client_send(struct client *client, const char *text)
{
    client_send_bytes(client, bytes_of_text(text));
}

/* Takes what is there; true when something came. */
static bool
client_take(struct client *client)
{
    uint8_t chunk[16384];
    size_t got;
    enum tls_result result = tls_read(client->tls, chunk, sizeof chunk, &got);

    if (result == TLS_CLOSED || result == TLS_FAILED)
        client->closed = true;
    if (result != TLS_DONE)
        return false;
    assert_int_equal(buf_append(&client->in, bytes_of(chunk, got)), OK);
    return true;
}

static size_t
answer_size(const struct buf *in, bool head_only)
{
    const char *end = in->size > 0 ? memmem(in->data, in->size, "\r\n\r\n", 4) : NULL;
    const char *length;

    if (!end)
        return 0;
    if (head_only || memcmp(in->data, "HTTP/1.1 100", 12) == 0)
        return (size_t)(end + 4 - (const char *)in->data);
    length = memmem(in->data, in->size, "Content-Length: ", 16);
    assert_non_null(length);
    return (size_t)(end + 4 - (const char *)in->data) + (size_t)strtoul(length + 16, NULL, 10);
}

/*
 * The next whole answer into `out` with a NUL; false when the connection was closed, or time is
 * up, before.
 */
static bool
client_answer(struct client *client, bool head_only, char *out, size_t out_size)
{
    int64_t end = now_ms() + PATIENCE_MS;

    while (now_ms() < end) {
        size_t size = answer_size(&client->in, head_only);

        if (size > 0 && client->in.size >= size) {
            size_t shown = size < out_size - 1 ? size : out_size - 1;

            memcpy(out, client->in.data, shown);
            out[shown] = '\0';
            buf_consume(&client->in, size);
            return true;
        }
        if (client->closed)
            return false;
        turn(client->server);
        client_take(client);
    }
    return false;
}

static void
expect(struct client *client, const char *status, const char *part)
{
    char answer[4096];

    if (!client_answer(client, false, answer, sizeof answer))
        fail_msg("no answer, %s wanted", status);
    assert_int_equal(strncmp(answer, "HTTP/1.1 ", 9), 0);
    if (strncmp(answer + 9, status, strlen(status)) != 0 || !strstr(answer, part))
        fail_msg("wanted %s and \"%s\", got: %s", status, part, answer);
}

/* Nothing more, and the end. */
static void
expect_closed(struct client *client)
{
    int64_t end = now_ms() + PATIENCE_MS;

    while (!client->closed && now_ms() < end) {
        turn(client->server);
        client_take(client);
    }
    assert_true(client->closed);
    assert_int_equal(client->in.size, 0);
}

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

/* ---- slow clients ---- */

/* Sends a little, again and again, until an answer comes. */
static void
trickle(struct client *client, const char *piece)
{
    int64_t end = now_ms() + PATIENCE_MS;

    while (client->in.size == 0 && now_ms() < end) {
        client_send(client, piece);
        turn_for(client->server, 20);
        client_take(client);
    }
}

/* A trickle does not extend the deadline. */
static void
slow_heads_are_told(void **state)
{
    struct server server = {.options = {.header_ms = 200}};
    struct client client;
    int64_t begin;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    begin = now_ms();
    client_send(&client, "GET / HTTP/1.1\r\nX: ");
    trickle(&client, "y");
    assert_true(now_ms() - begin >= 190);
    expect(&client, "408", "request_timeout");
    expect_closed(&client);
    client_close(&client);
    server_close(&server);
}

static void
slow_bodies_are_told(void **state)
{
    struct server server = {.options = {.header_ms = LONG_DEADLINE_MS, .body_ms = 200}};
    struct client client;
    int64_t begin;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    begin = now_ms();
    client_send(&client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n12");
    trickle(&client, "3");
    assert_true(now_ms() - begin >= 190);
    expect(&client, "408", "request_timeout");
    expect_closed(&client);
    client_close(&client);
    server_close(&server);
}

static void
silent_clients_are_closed(void **state)
{
    struct server server = {.options = {.handshake_ms = 200}};
    int64_t begin = now_ms();
    int silent;
    char byte;

    (void)state;
    server_open(&server);
    silent = tcp_connect(&server);
    TURN_UNTIL(&server, recv(silent, &byte, 1, MSG_PEEK) == 0);
    assert_true(now_ms() - begin >= 190);
    assert_int_equal(https_connections(server.front), 0);
    assert_int_equal(server.metrics->counters[METRIC_tls_handshakes_failed], 1);
    close(silent);
    server_close(&server);
}

static void
idle_clients_are_closed(void **state)
{
    struct server server = {.options = {.handshake_ms = LONG_DEADLINE_MS, .idle_ms = 200}};
    struct client client;
    int64_t begin = now_ms();

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    expect_closed(&client);
    assert_true(now_ms() - begin >= 190);
    client_close(&client);
    server_close(&server);
}

static void
a_client_that_does_not_read_is_closed(void **state)
{
    struct server server = {.options = {.write_ms = 300}};
    struct client client;
    int64_t begin;
    int small = 4096;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    begin = now_ms();
    for (int i = 0; i < 3; i++)
        client_send(&client, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&server, https_connections(server.front) == 0);
    assert_true(now_ms() - begin >= 290);
    assert_int_equal(server.requests, 1);
    client_close(&client);
    server_close(&server);
}

/* A busy request has no deadline here: the server has its own. */
static void
a_busy_request_is_waited_for(void **state)
{
    struct server server = {.options = {.handshake_ms = LONG_DEADLINE_MS,
                                        .header_ms = 50,
                                        .body_ms = 50,
                                        .write_ms = 50,
                                        .idle_ms = 1000}};
    struct client client;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    client_send(&client, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    turn_for(&server, 1200);
    assert_int_equal(https_connections(server.front), 1);
    answer_later(&server, 0, "at last");
    expect(&client, "200", "at last");
    expect_closed(&client);
    client_close(&client);
    server_close(&server);
}

/* ---- clients that leave ---- */

static void
a_client_may_leave_before_its_answer(void **state)
{
    struct server server = {0};
    struct client client;

    (void)state;
    server_open(&server);
    for (int i = 0; i < 3; i++) {
        client_open(&client, &server);
        client_send(&client, "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
                             "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
        turn_for(&server, 20);
        if (i == 1)
            tls_shutdown(client.tls);
        if (i == 2) { /* a reset */
            struct linger linger = {.l_onoff = 1};

            setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        }
        client_close(&client);
        turn_for(&server, 20);
        assert_false(https_front_idle(server.front));
        answer_later(&server, (unsigned)i, "too late");
        turn_for(&server, 20);
        assert_int_equal(https_connections(server.front), 0);
        assert_true(https_front_idle(server.front));
    }
    server_close(&server);
}

/* The answer comes when even the front is gone. */
static void
the_front_may_go_before_the_answer(void **state)
{
    struct server server = {0};
    struct client client;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    client_send(&client, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    turn_for(&server, 20);
    assert_int_equal(server.later_count, 1);
    assert_false(https_closed(server.later[0]));
    https_front_free(server.front);
    server.front = NULL;
    assert_true(https_closed(server.later[0]));
    answer_later(&server, 0, "too late");
    client_close(&client);
    server_close(&server);
}

static enum vault_err
knows_the_word(void *context, struct https_exchange *exchange, const struct http_request *head,
               unsigned *retry_after_ms)
{
    bool repeated;

    (void)context;
    (void)exchange;
    (void)retry_after_ms;
    return bytes_equal(http_header_get(head, "x-word", &repeated), bytes_of_text("please"))
               ? OK
               : ERR_UNAUTHENTICATED;
}

/* Strangers who only say how long their bodies would be take no room from those who are known. */
static void
bodies_of_strangers_are_not_admitted(void **state)
{
    struct server server = {
        .options = {.body_bytes_max_total = 1000, .may_send_body = knows_the_word}};
    struct client strangers[3], known;

    (void)state;
    server_open(&server);
    for (unsigned i = 0; i < 3; i++) {
        client_open(&strangers[i], &server);
        client_send(&strangers[i], i == 2 ? "POST / HTTP/1.1\r\nHost: h\r\n"
                                            "Transfer-Encoding: chunked\r\n\r\n3e8\r\n"
                                          : "POST / HTTP/1.1\r\nHost: h\r\nX-Word: now\r\n"
                                            "X-Request-Id: mine\r\n"
                                            "Expect: 100-continue\r\n"
                                            "Content-Length: 1000\r\n\r\n");
    }
    turn_for(&server, 20);
    client_open(&known, &server);
    client_send(&known, "POST /a HTTP/1.1\r\nHost: h\r\nX-Word: please\r\n"
                        "Content-Length: 1000\r\n\r\n");
    for (int i = 0; i < 100; i++)
        client_send(&known, "0123456789");
    expect(&known, "200", "2 /a 0123456789");
    for (unsigned i = 0; i < 3; i++) {
        expect(&strangers[i], "401", i == 2 ? "unauthenticated" : "X-Request-Id: mine\r\n");
        expect_closed(&strangers[i]);
        client_close(&strangers[i]);
    }
    /* A request without a body is for the server to judge. */
    client_send(&known, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&known, "200", "0 /b ");
    assert_int_equal(server.requests, 2);
    client_close(&known);
    server_close(&server);
}

/* ---- limits and the end ---- */

static void
the_longest_idle_makes_room(void **state)
{
    struct server server = {.options = {.connections_max = 2}};
    struct client clients[3];

    (void)state;
    server_open(&server);
    client_open(&clients[0], &server);
    turn_for(&server, 20);
    client_open(&clients[1], &server);
    turn_for(&server, 20);
    client_send(&clients[0], "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&clients[0], "200", "0 /x ");
    client_open(&clients[2], &server);
    expect_closed(&clients[1]);
    assert_int_equal(https_connections(server.front), 2);
    client_send(&clients[0], "GET /y HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&clients[0], "200", "0 /y ");
    client_send(&clients[2], "GET /z HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&clients[2], "200", "0 /z ");
    for (unsigned i = 0; i < 3; i++)
        client_close(&clients[i]);
    server_close(&server);
}

static void
connections_are_limited(void **state)
{
    struct server server = {.options = {.connections_max = 2}};
    struct client clients[3];

    (void)state;
    server_open(&server);
    client_open(&clients[0], &server);
    client_send(&clients[0], "GET /x HTTP/1.1\r\n");
    client_open(&clients[1], &server);
    client_send(&clients[1], "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    turn_for(&server, 20);
    assert_false(client_try(&clients[2], &server, 200));
    assert_int_equal(https_connections(server.front), 2);
    answer_later(&server, 0, "now");
    expect(&clients[1], "200", "now");
    client_close(&clients[2]);
    client_close(&clients[0]);
    turn_for(&server, 20);
    client_open(&clients[2], &server);
    client_send(&clients[2], "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&clients[2], "200", "0 /x ");
    client_close(&clients[1]);
    client_close(&clients[2]);
    server_close(&server);
}

static void
handshakes_take_turns(void **state)
{
    struct server server = {.options = {.handshakes_max = 1, .handshake_ms = 1000}};
    struct client client;
    int64_t begin = now_ms();
    int silent;

    (void)state;
    server_open(&server);
    silent = tcp_connect(&server);
    turn_for(&server, 10);
    client_open(&client, &server);
    assert_true(now_ms() - begin >= 990);
    client_send(&client, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&client, "200", "0 /x ");
    close(silent);
    client_close(&client);
    server_close(&server);
}

/*
 * Those who only hold their connection open cannot keep others out for long, nor more than needed
 * is ended.
 */
static void
the_oldest_handshake_makes_room(void **state)
{
    struct server server = {
        .options = {.handshakes_max = 3, .handshake_ms = LONG_DEADLINE_MS, .crowded_ms = 200}};
    struct client client;
    int silent[3];

    (void)state;
    server_open(&server);
    for (unsigned i = 0; i < 3; i++) {
        silent[i] = tcp_connect(&server);
        turn_for(&server, 30);
    }
    turn_for(&server, 300);
    assert_int_equal(https_connections(server.front), 3); /* nobody waits for their places */
    close(silent[0]);
    turn_for(&server, 20);
    silent[0] = tcp_connect(&server);
    turn_for(&server, 20);
    assert_int_equal(https_connections(server.front), 3);

    client_open(&client, &server); /* in the place of silent[1] */
    assert_int_equal(https_connections(server.front), 3);
    assert_int_equal(recv(silent[1], &(char){0}, 1, MSG_DONTWAIT), 0);
    assert_int_equal(recv(silent[2], &(char){0}, 1, MSG_DONTWAIT), -1);
    assert_int_equal(recv(silent[0], &(char){0}, 1, MSG_DONTWAIT), -1);
    client_send(&client, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&client, "200", "0 /x ");
    for (unsigned i = 0; i < 3; i++)
        close(silent[i]);
    client_close(&client);
    server_close(&server);
}

/* Before that, the newcomer waits until the oldest has had its time. */
static void
young_handshakes_are_left_alone(void **state)
{
    struct server server = {
        .options = {.handshakes_max = 1, .handshake_ms = LONG_DEADLINE_MS, .crowded_ms = 300}};
    struct client client;
    int64_t begin = now_ms();
    int silent;

    (void)state;
    server_open(&server);
    silent = tcp_connect(&server);
    turn_for(&server, 10);
    client_open(&client, &server);
    assert_true(now_ms() - begin >= 290);
    close(silent);
    client_close(&client);
    server_close(&server);
}

/*
 * One client that always has another request on its way does not keep the loop from returning to
 * its owner, who sends the node's heartbeats then.
 */
static void
the_loop_returns_to_its_owner(void **state)
{
    static const char request[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    struct server server = {0};
    struct client client;
    unsigned turns = 0;

    (void)state;
    server_open(&server);
    client_open(&client, &server);
    for (unsigned i = 0; i < 40; i++) {
        struct buf many = {0};
        size_t put;

        for (unsigned j = 0; j < 400; j++)
            assert_int_equal(buf_append_text(&many, request), OK);
        /* Without a turn of the server's loop. */
        assert_int_equal(tls_write(client.tls, buf_bytes(&many), &put), TLS_DONE);
        buf_close(&many);
    }
    while (server.requests < 2000 && turns < 10000) {
        unsigned before = server.requests;

        event_base_loop(server.base, EVLOOP_ONCE);
        turns++;
        assert_true(server.requests - before < 200);
    }
    assert_true(server.requests >= 2000);
    client_close(&client);
    server_close(&server);
}

static void
descriptors_may_run_out(void **state)
{
    struct server server = {0};
    struct client client;
    struct rlimit before, none;

    (void)state;
    server_open(&server);
    client = (struct client){.server = &server, .fd = tcp_connect(&server)};
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    turn_for(&server, 50);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(https_connections(server.front), 0);
    TURN_UNTIL(&server, https_connections(server.front) == 1);
    client_close(&client);
    server_close(&server);
}

static void
a_taken_port_is_named(void **state)
{
    struct server server = {0};
    struct https_front *second;
    char why[256], port[16];

    (void)state;
    server_open(&server);
    assert_int_equal(https_front_new(&server.options, &second, why, sizeof why), ERR_IO);
    assert_null(second);
    snprintf(port, sizeof port, "%u", server.port);
    assert_non_null(strstr(why, port));
    assert_non_null(strstr(why, "Address already in use"));
    server.options.host = "203.0.113.1";
    assert_int_equal(https_front_new(&server.options, &second, why, sizeof why), ERR_IO);
    assert_non_null(strstr(why, "203.0.113.1"));
    server_close(&server);
}

static void
draining_finishes_what_was_begun(void **state)
{
    struct server server = {0};
    struct client idle, busy, sending;
    int fd;

    (void)state;
    server_open(&server);
    client_open(&idle, &server);
    client_open(&busy, &server);
    client_open(&sending, &server);
    client_send(&busy, "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    client_send(&sending, "GET /s HTTP/1.1\r\n");
    turn_for(&server, 20);
    https_front_drain(server.front);
    assert_int_equal(https_connections(server.front), 2);
    expect_closed(&idle);
    assert_false(https_front_idle(server.front));
    client_send(&sending, "Host: h\r\n\r\n");
    expect(&sending, "200", "Connection: close");
    expect_closed(&sending);
    answer_later(&server, 0, "done");
    expect(&busy, "200", "Connection: close");
    expect_closed(&busy);
    client_close(&idle);
    client_close(&busy);
    client_close(&sending);
    turn_for(&server, 20);
    assert_true(https_front_idle(server.front));
    assert_int_equal(https_connections(server.front), 0);
    {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server.port)};

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
        assert_int_equal(errno, ECONNREFUSED);
        close(fd);
    }
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

static int
setup(void **state)
{
    char why[256];
    struct tls_files files;

    (void)state;
    if (tls_global_init() != OK)
        return -1;
    fixture_new(&fixture);
    files = fixture_files(&fixture, "ca.crt", "n1");
    if (tls_context_new(TLS_API_SERVER, &files, &server_tls, why, sizeof why) != OK ||
        tls_context_new(TLS_LINK_CLIENT, &files, &client_tls, why, sizeof why) != OK) {
        fprintf(stderr, "%s\n", why);
        return -1;
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    tls_context_free(server_tls);
    tls_context_free(client_tls);
    fixture_free(&fixture);
    return 0;
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
        cmocka_unit_test(slow_heads_are_told),
        cmocka_unit_test(slow_bodies_are_told),
        cmocka_unit_test(silent_clients_are_closed),
        cmocka_unit_test(idle_clients_are_closed),
        cmocka_unit_test(a_client_that_does_not_read_is_closed),
        cmocka_unit_test(a_busy_request_is_waited_for),
        cmocka_unit_test(a_client_may_leave_before_its_answer),
        cmocka_unit_test(the_front_may_go_before_the_answer),
        cmocka_unit_test(bodies_of_strangers_are_not_admitted),
        cmocka_unit_test(the_longest_idle_makes_room),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(handshakes_take_turns),
        cmocka_unit_test(the_oldest_handshake_makes_room),
        cmocka_unit_test(young_handshakes_are_left_alone),
        cmocka_unit_test(the_loop_returns_to_its_owner),
        cmocka_unit_test(descriptors_may_run_out),
        cmocka_unit_test(a_taken_port_is_named),
        cmocka_unit_test(draining_finishes_what_was_begun),
        cmocka_unit_test(curl_gets_all),
        cmocka_unit_test(old_tls_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
