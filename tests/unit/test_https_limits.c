/* The HTTPS front: deadlines, clients that leave, limits, and its end. */
#include "https_fixture.h"

#include <sys/resource.h>

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

/* A trickle does not extend the deadline, which is of 200 ms. */
static void
is_told(struct server *server, const char *beginning, const char *piece)
{
    struct client client;
    int64_t begin;

    server_open(server);
    client_open(&client, server);
    begin = now_ms();
    client_send(&client, beginning);
    trickle(&client, piece);
    assert_true(now_ms() - begin >= 190);
    expect(&client, "408", "request_timeout");
    expect_closed(&client);
    client_close(&client);
    server_close(server);
}

static void
slow_heads_are_told(void **state)
{
    struct server server = {.options = {.header_ms = 200}};

    (void)state;
    is_told(&server, "GET / HTTP/1.1\r\nX: ", "y");
}

static void
slow_bodies_are_told(void **state)
{
    struct server server = {.options = {.header_ms = LONG_DEADLINE_MS, .body_ms = 200}};

    (void)state;
    is_told(&server, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n12", "3");
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
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
    };

    return cmocka_run_group_tests(tests, https_setup, https_teardown);
}
