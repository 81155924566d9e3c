/*
 * TLS output when the socket takes only part of it: what arrives is what was written, whatever the
 * library had to say in between, and no peer makes a session hold more than its limit.
 *
 * The peer is wolfSSL without our session around it, because it does what ours never would: it asks
 * for new keys while it does not read.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>

#include "tls_fixture.h"

enum { TURNS_MAX = 100000, STREAM_BYTES = 600000 };

static struct tls_fixture fixture;

struct ends {
    int fds[2]; /* ours, the peer's */
    struct tls_context *context;
    struct tls_session *session; /* link server */
    WOLFSSL_CTX *peer_context;
    WOLFSSL *peer;
};

static void
ends_open(struct ends *ends, const char *name)
{
    struct tls_files files = fixture_files(&fixture, "ca.crt", name);
    const int small = 1;
    char why[256];

    *ends = (struct ends){.fds = {-1, -1}};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends->fds), 0);
    assert_int_equal(
        setsockopt(ends->fds[0], SOL_SOCKET, SO_SNDBUF, &small, (socklen_t)sizeof small), 0);
    assert_int_equal(tls_context_new(TLS_LINK_SERVER, &files, &ends->context, why, sizeof why), OK);
    assert_int_equal(tls_session_new(ends->context, ends->fds[0], &ends->session), OK);

    ends->peer_context = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
    assert_non_null(ends->peer_context);
    assert_int_equal(wolfSSL_CTX_load_verify_locations(ends->peer_context, "ca.crt", NULL),
                     WOLFSSL_SUCCESS);
    assert_int_equal(
        wolfSSL_CTX_use_certificate_file(ends->peer_context, "n2.crt", WOLFSSL_FILETYPE_PEM),
        WOLFSSL_SUCCESS);
    assert_int_equal(
        wolfSSL_CTX_use_PrivateKey_file(ends->peer_context, "n2.key", WOLFSSL_FILETYPE_PEM),
        WOLFSSL_SUCCESS);
    ends->peer = wolfSSL_new(ends->peer_context);
    assert_non_null(ends->peer);
    assert_int_equal(wolfSSL_set_fd(ends->peer, ends->fds[1]), WOLFSSL_SUCCESS);
    wolfSSL_set_using_nonblock(ends->peer, 1);
}

static void
ends_close(struct ends *ends)
{
    wolfSSL_free(ends->peer);
    wolfSSL_CTX_free(ends->peer_context);
    tls_session_free(ends->session);
    tls_context_free(ends->context);
    close(ends->fds[0]);
    close(ends->fds[1]);
}

/* Whether our side had to wait for the socket to take its flight. */
static bool
ends_handshake(struct ends *ends)
{
    enum tls_result ours = TLS_WANT_READ;
    int peers = WOLFSSL_FAILURE;
    bool waited = false;

    for (int turn = 0; turn < 100 && (ours != TLS_DONE || peers != WOLFSSL_SUCCESS); turn++) {
        if (peers != WOLFSSL_SUCCESS)
            peers = wolfSSL_connect(ends->peer);
        if (ours != TLS_DONE)
            ours = tls_handshake(ends->session);
        waited |= ours == TLS_WANT_WRITE;
    }
    assert_int_equal(ours, TLS_DONE);
    assert_int_equal(peers, WOLFSSL_SUCCESS);
    return waited;
}

static void
pattern_fill(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
}

/* Writes until the socket is full; returns how much counts as written. */
static size_t
write_until_full(struct ends *ends, const uint8_t *data)
{
    enum tls_result result;
    size_t sent = 0, put;

    do {
        assert_true(sent < STREAM_BYTES);
        result = tls_write(ends->session, bytes_of(data + sent, STREAM_BYTES - sent), &put);
        sent += put;
    } while (result == TLS_DONE);
    assert_int_equal(result, TLS_WANT_WRITE);
    return sent;
}

/* The peer asks for new keys; our side answers behind a record that was sent in part. */
static void
ask_for_new_keys(struct ends *ends, unsigned times)
{
    uint8_t out[16];
    size_t got;

    for (unsigned i = 0; i < times; i++)
        assert_int_equal(wolfSSL_update_keys(ends->peer), WOLFSSL_SUCCESS);
    assert_int_equal(tls_read(ends->session, out, sizeof out, &got), TLS_WANT_READ);
    assert_int_equal(got, 0);
}

static void
key_updates_leave_the_stream_whole(void **state)
{
    uint8_t *data = malloc(STREAM_BYTES), *copy = malloc(STREAM_BYTES);
    struct ends ends;
    size_t sent, come = 0;

    (void)state;
    assert_non_null(data);
    assert_non_null(copy);
    pattern_fill(data, STREAM_BYTES);
    ends_open(&ends, "n1");
    ends_handshake(&ends);
    sent = write_until_full(&ends, data);
    ask_for_new_keys(&ends, 3);

    for (int turn = 0; turn < TURNS_MAX && come < STREAM_BYTES; turn++) {
        int got = wolfSSL_read(ends.peer, copy + come, (int)(STREAM_BYTES - come));
        size_t put;

        if (got > 0)
            come += (size_t)got;
        else
            assert_int_equal(wolfSSL_get_error(ends.peer, got), WOLFSSL_ERROR_WANT_READ);
        if (sent < STREAM_BYTES) {
            enum tls_result result =
                tls_write(ends.session, bytes_of(data + sent, STREAM_BYTES - sent), &put);

            assert_true(result == TLS_DONE || result == TLS_WANT_WRITE);
            sent += put;
            if (turn == 20)
                ask_for_new_keys(&ends, 1);
        }
    }
    assert_int_equal(sent, STREAM_BYTES);
    assert_int_equal(come, STREAM_BYTES);
    assert_memory_equal(data, copy, STREAM_BYTES);
    ends_close(&ends);
    free(data);
    free(copy);
}

/* An alert behind a record that was sent in part: the peer sees the record, then the alert. */
static void
shutdown_follows_a_waiting_record(void **state)
{
    uint8_t *data = malloc(STREAM_BYTES), *copy = malloc(STREAM_BYTES);
    struct ends ends;
    size_t come = 0, put;
    int code = WOLFSSL_ERROR_WANT_READ;

    (void)state;
    assert_non_null(data);
    assert_non_null(copy);
    pattern_fill(data, STREAM_BYTES);
    ends_open(&ends, "n1");
    ends_handshake(&ends);
    write_until_full(&ends, data);
    tls_shutdown(ends.session);
    for (int turn = 0; turn < 1000 && code == WOLFSSL_ERROR_WANT_READ; turn++) {
        int got = wolfSSL_read(ends.peer, copy + come, (int)(STREAM_BYTES - come));

        if (got > 0)
            come += (size_t)got;
        else
            code = wolfSSL_get_error(ends.peer, got);
        (void)tls_write(ends.session, bytes_of(data, 0), &put);
    }
    assert_int_equal(code, WOLFSSL_ERROR_ZERO_RETURN);
    assert_true(come > 0);
    assert_memory_equal(data, copy, come);
    ends_close(&ends);
    free(data);
    free(copy);
}

/* Answers to a peer that asks and asks and never reads: some are kept, then the session ends. */
static void
answers_are_bounded(void **state)
{
    uint8_t *data = malloc(STREAM_BYTES);
    enum tls_result result = TLS_WANT_READ;
    struct ends ends;
    unsigned asked = 0;

    (void)state;
    assert_non_null(data);
    pattern_fill(data, STREAM_BYTES);
    ends_open(&ends, "n1");
    ends_handshake(&ends);
    write_until_full(&ends, data);
    while (result != TLS_FAILED && asked < 20000) {
        uint8_t out[16];
        size_t got;

        /* Data in between, or it would be given up for that reason. */
        if (asked % 1000 == 0)
            assert_int_equal(wolfSSL_write(ends.peer, "x", 1), 1);
        assert_int_equal(wolfSSL_update_keys(ends.peer), WOLFSSL_SUCCESS);
        asked++;
        do
            result = tls_read(ends.session, out, sizeof out, &got);
        while (result == TLS_DONE);
    }
    assert_int_equal(result, TLS_FAILED);
    assert_in_range(asked, 100, 10000);
    assert_true(strlen(tls_error_text(ends.session)) > 0);
    ends_close(&ends);
    free(data);
}

/*
 * A peer that sends record after record without any data in them is given up, whether it is read at
 * once or after each; one that says something now and then may go on.
 */
static void
records_without_data_are_bounded(void **state)
{
    enum { RECORDS = 20000, TALKING = 5000 };
    struct ends ends;
    enum tls_result result = TLS_WANT_READ;
    uint8_t out[16];
    size_t got;
    unsigned sent = 0, data = 0;

    (void)state;
    ends_open(&ends, "n1");
    ends_handshake(&ends);
    for (; sent < TALKING; sent++) {
        if (sent % 500 == 0)
            assert_int_equal(wolfSSL_write(ends.peer, "x", 1), 1);
        assert_int_equal(wolfSSL_update_keys(ends.peer), WOLFSSL_SUCCESS);
        while ((result = tls_read(ends.session, out, sizeof out, &got)) == TLS_DONE)
            data++;
        assert_int_equal(result, TLS_WANT_READ);
        assert_int_equal(wolfSSL_read(ends.peer, out, sizeof out), -1); /* takes our new keys */
    }
    assert_int_equal(data, TALKING / 500);
    for (sent = 0; result == TLS_WANT_READ && sent < RECORDS; sent++) {
        assert_int_equal(wolfSSL_update_keys(ends.peer), WOLFSSL_SUCCESS);
        result = tls_read(ends.session, out, sizeof out, &got);
        assert_int_equal(wolfSSL_read(ends.peer, out, sizeof out), -1);
    }
    assert_int_equal(result, TLS_FAILED);
    assert_in_range(sent, 500, 10000);
    assert_non_null(strstr(tls_error_text(ends.session), "says nothing"));
    assert_int_equal(tls_read(ends.session, out, sizeof out, &got), TLS_FAILED);
    ends_close(&ends);
}

/* A flight that does not fit into the socket at once: its certificate has 300 names. */
static void
handshake_waits_for_the_socket(void **state)
{
    struct ends ends;

    (void)state;
    fixture_run(
        "{ printf 'subjectAltName=DNS:localhost' && "
        "for i in $(seq 300); do printf ',DNS:host%d.cluster.example' $i; done; } >long.ext && "
        "openssl x509 -req -in n1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 "
        "-extfile long.ext -out long.crt && cp n1.key long.key");
    ends_open(&ends, "long");
    assert_true(ends_handshake(&ends));
    ends_close(&ends);
}

static int
setup(void **state)
{
    (void)state;
    if (tls_global_init() != OK)
        return -1;
    fixture_new(&fixture);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    fixture_free(&fixture);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_updates_leave_the_stream_whole),
        cmocka_unit_test(shutdown_follows_a_waiting_record),
        cmocka_unit_test(answers_are_bounded),
        cmocka_unit_test(records_without_data_are_bounded),
        cmocka_unit_test(handshake_waits_for_the_socket),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
