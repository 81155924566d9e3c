/*
 * The HTTPS front over real sockets on 127.0.0.1. Server and client share a thread: while a client
 * waits, it turns the server's event loop. The client speaks TLS through runtime/tls.h and counts
 * bytes itself.
 */
#ifndef OSTRAKA_TESTS_HTTPS_FIXTURE_H
#define OSTRAKA_TESTS_HTTPS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "free_port.h"
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

static inline uint8_t
big_byte(size_t at)
{
    return (uint8_t)('a' + (at * 31 + at / 977) % 26);
}

static inline void
answer_with(struct https_exchange *exchange, struct bytes text)
{
    struct api_response response = {.status = 200, .content_type = "application/json"};

    assert_int_equal(buf_append(&response.body, text), OK);
    https_respond(exchange, bytes_of_text("id-1"), &response);
}

static inline void
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
static inline void
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

/* `options` may be preset; what every test needs is filled in. */
static inline void
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

static inline void
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

static inline int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void
turn(struct server *server)
{
    event_base_loop(server->base, EVLOOP_NONBLOCK);
}

/* At least some turns, however long this process was kept from running. */
static inline void
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

static inline void
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

static inline int
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
static inline bool
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

static inline void
client_open(struct client *client, struct server *server)
{
    assert_true(client_try(client, server, PATIENCE_MS));
}

static inline void
client_close(struct client *client)
{
    tls_session_free(client->tls);
    close(client->fd);
    buf_close(&client->in);
}

/* What the server takes; it may close in between. */
static inline void
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

static inline void
client_send(struct client *client, const char *text)
{
    client_send_bytes(client, bytes_of_text(text));
}

/* Takes what is there; true when something came. */
static inline bool
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

static inline size_t
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
 * The next whole answer into `out` with a NUL; false, and an empty text, when the connection was
 * closed, or time is up, before.
 */
static inline bool
client_answer(struct client *client, bool head_only, char *out, size_t out_size)
{
    int64_t end = now_ms() + PATIENCE_MS;

    out[0] = '\0';
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

static inline void
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
static inline void
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

/* ---- for cmocka: the certificates and contexts of a group ---- */

static inline int
https_setup(void **state)
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

static inline int
https_teardown(void **state)
{
    (void)state;
    tls_context_free(server_tls);
    tls_context_free(client_tls);
    fixture_free(&fixture);
    return 0;
}

#endif
