/*
 * TLS contexts and sessions: two sessions over a socket pair, and the openssl command as a foreign
 * client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "crypto/rng_kernel.h"
#include "runtime/certificates.h"
#include "tls_fixture.h"

static struct tls_fixture fixture;

struct pair {
    int fds[2];
    struct tls_context *contexts[2]; /* server, client */
    struct tls_session *sessions[2];
};

static struct tls_context *
context_of(enum tls_role role, const char *ca, const char *name)
{
    struct tls_files files = fixture_files(&fixture, ca, name);
    struct tls_context *context;
    char why[256];
    enum vault_err err = tls_context_new(role, &files, &context, why, sizeof why);

    if (err != OK)
        fail_msg("%s: %s", name, why);
    return context;
}

static void
pair_open(struct pair *pair, struct tls_context *server, struct tls_context *client)
{
    *pair = (struct pair){.contexts = {server, client}};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tls_session_new(pair->contexts[i], pair->fds[i], &pair->sessions[i]), OK);
}

static void
pair_close(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        tls_session_free(pair->sessions[i]);
        tls_context_free(pair->contexts[i]);
        close(pair->fds[i]);
    }
}

/* Both results; a side that finished is asked no more. */
static void
pair_handshake(struct pair *pair, enum tls_result results[2])
{
    results[0] = results[1] = TLS_WANT_READ;
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 1; i >= 0; i--)
            if (results[i] == TLS_WANT_READ || results[i] == TLS_WANT_WRITE)
                results[i] = tls_handshake(pair->sessions[i]);
    }
}

static void
link_pair(struct pair *pair, const char *server_ca, const char *server, const char *client_ca,
          const char *client)
{
    pair_open(pair, context_of(TLS_LINK_SERVER, server_ca, server),
              context_of(TLS_LINK_CLIENT, client_ca, client));
}

static void
good_peers_know_each_other(void **state)
{
    struct cluster cluster;
    struct pair pair;
    enum tls_result results[2];
    unsigned node = 99;

    (void)state;
    fixture_cluster(&cluster);
    link_pair(&pair, "ca.crt", "n1", "ca.crt", "n2");
    pair_handshake(&pair, results);
    assert_int_equal(results[0], TLS_DONE);
    assert_int_equal(results[1], TLS_DONE);
    assert_int_equal(tls_peer_node(pair.sessions[0], &cluster, &node), OK);
    assert_int_equal(node, 1);
    assert_int_equal(tls_peer_node(pair.sessions[1], &cluster, &node), OK);
    assert_int_equal(node, 0);

    cluster.id[3] ^= 1;
    assert_int_equal(tls_peer_node(pair.sessions[0], &cluster, &node), ERR_FORBIDDEN);
    cluster.id[3] ^= 1;
    snprintf(cluster.nodes[1].name, sizeof cluster.nodes[1].name, "n22");
    assert_int_equal(tls_peer_node(pair.sessions[0], &cluster, &node), ERR_FORBIDDEN);
    pair_close(&pair);
}

/* Every size around the record limit, whole and unchanged, while the socket's buffer fills up. */
static void
data_arrives_whole(void **state)
{
    static const size_t sizes[] = {1, 300, 16383, 16384, 16385, 1000000};
    struct pair pair;
    enum tls_result results[2];

    (void)state;
    link_pair(&pair, "ca.crt", "n1", "ca.crt", "n2");
    pair_handshake(&pair, results);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t size = sizes[s], sent = 0, come = 0;
        uint8_t *data = malloc(size), *copy = malloc(size);

        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)(i * 7 + i / 251);
        for (int turn = 0; turn < 100000 && come < size; turn++) {
            size_t part;

            if (sent < size) {
                enum tls_result result =
                    tls_write(pair.sessions[0], bytes_of(data + sent, size - sent), &part);

                assert_true(result == TLS_DONE || result == TLS_WANT_WRITE);
                assert_true(part <= 16384);
                sent += part;
                if (result == TLS_DONE && turn % 3 != 0)
                    continue;
            }
            if (tls_read(pair.sessions[1], copy + come, size - come, &part) == TLS_DONE)
                come += part;
        }
        assert_int_equal(come, size);
        assert_memory_equal(data, copy, size);
        free(data);
        free(copy);
    }
    pair_close(&pair);
}

static void
put(struct pair *pair, const char *text)
{
    size_t sent;

    assert_int_equal(tls_write(pair->sessions[0], bytes_of_text(text), &sent), TLS_DONE);
    assert_int_equal(sent, strlen(text));
}

static void
expect_read(struct pair *pair, const char *text)
{
    uint8_t out[64];
    size_t got;

    assert_int_equal(tls_read(pair->sessions[1], out, sizeof out, &got), TLS_DONE);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(out, text, got);
}

/* No event tells of records that were taken from the socket with one before them. */
static void
records_that_came_together_are_told_of(void **state)
{
    struct pair pair;
    enum tls_result results[2];
    uint8_t none[8];
    size_t got;

    (void)state;
    link_pair(&pair, "ca.crt", "n1", "ca.crt", "n2");
    pair_handshake(&pair, results);
    for (int round = 0; round < 3; round++) {
        put(&pair, "one");
        put(&pair, "and two");
        put(&pair, "and three");
        expect_read(&pair, "one");
        assert_true(tls_pending(pair.sessions[1]));
        assert_false(tls_emptied(pair.sessions[1]));
        assert_int_equal(recv(pair.fds[1], none, sizeof none, MSG_PEEK), -1);
        expect_read(&pair, "and two");
        assert_true(tls_pending(pair.sessions[1]));
        expect_read(&pair, "and three");
        assert_false(tls_pending(pair.sessions[1]));
        assert_true(tls_emptied(pair.sessions[1]));
        put(&pair, "later");
        expect_read(&pair, "later");
        assert_int_equal(tls_read(pair.sessions[1], none, sizeof none, &got), TLS_WANT_READ);
        assert_true(tls_emptied(pair.sessions[1]));
    }
    /* What came before the end is read before it. */
    put(&pair, "last");
    tls_shutdown(pair.sessions[0]);
    expect_read(&pair, "last");
    assert_int_equal(tls_read(pair.sessions[1], none, sizeof none, &got), TLS_CLOSED);
    pair_close(&pair);
}

static void
pending_and_shutdown(void **state)
{
    struct pair pair;
    enum tls_result results[2];
    uint8_t out[8];
    size_t got, put;

    (void)state;
    link_pair(&pair, "ca.crt", "n1", "ca.crt", "n2");
    pair_handshake(&pair, results);
    assert_int_equal(tls_read(pair.sessions[0], out, sizeof out, &got), TLS_WANT_READ);
    assert_false(tls_pending(pair.sessions[0]));
    assert_int_equal(tls_write(pair.sessions[1], bytes_of_text("0123456789"), &put), TLS_DONE);
    assert_int_equal(put, 10);
    assert_int_equal(tls_read(pair.sessions[0], out, 4, &got), TLS_DONE);
    assert_int_equal(got, 4);
    assert_true(tls_pending(pair.sessions[0]));
    assert_int_equal(tls_read(pair.sessions[0], out, 8, &got), TLS_DONE);
    assert_int_equal(got, 6);
    assert_memory_equal(out, "456789", 6);
    tls_shutdown(pair.sessions[1]);
    assert_int_equal(tls_read(pair.sessions[0], out, 8, &got), TLS_CLOSED);
    pair_close(&pair);
}

static void
closing_without_notice_is_seen(void **state)
{
    struct pair pair;
    enum tls_result results[2];
    uint8_t out[8];
    size_t got, put;

    (void)state;
    link_pair(&pair, "ca.crt", "n1", "ca.crt", "n2");
    pair_handshake(&pair, results);
    shutdown(pair.fds[1], SHUT_RDWR);
    assert_int_equal(tls_read(pair.sessions[0], out, 8, &got), TLS_CLOSED);
    assert_true(strlen(tls_error_text(pair.sessions[0])) > 0);
    /* A dead session takes no more calls, and no SIGPIPE ends the process. */
    assert_int_equal(tls_write(pair.sessions[0], bytes_of_text("x"), &put), TLS_FAILED);
    tls_shutdown(pair.sessions[0]);
    pair_close(&pair);
}

static void
refused(const char *server_ca, const char *server, const char *client_ca, const char *client,
        int who)
{
    struct pair pair;
    enum tls_result results[2];

    link_pair(&pair, server_ca, server, client_ca, client);
    pair_handshake(&pair, results);
    assert_int_equal(results[who], TLS_FAILED);
    assert_true(strlen(tls_error_text(pair.sessions[who])) > 0);
    assert_int_equal(tls_handshake(pair.sessions[who]), TLS_FAILED);
    pair_close(&pair);
}

static void
foreign_and_expired_certificates_are_refused(void **state)
{
    (void)state;
    fixture_ca("foreign");
    fixture_leaf("foreign", "stranger", FIXTURE_URI "n2", 30);
    fixture_leaf("ca", "expired", FIXTURE_URI "n2", -1);
    refused("ca.crt", "n1", "ca.crt", "stranger", 0);
    refused("ca.crt", "stranger", "ca.crt", "n2", 1);
    refused("ca.crt", "n1", "ca.crt", "expired", 0);
    refused("ca.crt", "expired", "ca.crt", "n2", 1);
    /* A leaf of ours is no CA. */
    fixture_leaf("n2", "child", FIXTURE_URI "n1", 30);
    fixture_run("cat n2.crt >>child.crt");
    refused("ca.crt", "n1", "ca.crt", "child", 0);
}

/*
 * Certificates of our CA that name no node, another cluster's, two, or one in the wrong kind of
 * name.
 */
static void
identity_is_exactly_one_uri(void **state)
{
    static const char *const names[] = {
        "DNS:n2",
        "URI:ostraka://ff0102030405060708090a0b0c0d0e0f/n2",
        "URI:ostraka://000102030405060708090A0B0C0D0E0F/n2",
        FIXTURE_URI "n1," FIXTURE_URI "n2",
        FIXTURE_URI "n9",
        FIXTURE_URI "n2/",
        "URI:https://n2.example/",
        "DNS:ostraka://000102030405060708090a0b0c0d0e0f/n2",
    };
    struct cluster cluster;

    (void)state;
    fixture_cluster(&cluster);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct pair pair;
        enum tls_result results[2];
        unsigned node = 99;

        fixture_leaf("ca", "odd", names[i], 30);
        link_pair(&pair, "ca.crt", "n1", "ca.crt", "odd");
        pair_handshake(&pair, results);
        assert_int_equal(results[0], TLS_DONE);
        assert_int_equal(tls_peer_node(pair.sessions[0], &cluster, &node), ERR_FORBIDDEN);
        pair_close(&pair);
    }
}

/* A CA below the one that is trusted, with a name of its own, and a leaf of hers with many names. */
static void
make_chain(const char *ca_san, const char *name, const char *san)
{
    char commands[1024], names[2800];
    size_t size = (size_t)snprintf(names, sizeof names, "%s", san);

    for (unsigned i = 0; i < 50; i++)
        size += (size_t)snprintf(names + size, sizeof names - size,
                                 ",DNS:a-name-of-forty-letters-%02u.test.example", i);
    assert_true(size < sizeof names);
    snprintf(
        commands, sizeof commands,
        "printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign\\n"
        "subjectAltName=%s\\n' >below.ext && "
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout below.key "
        "-out below.csr -subj /CN=below && openssl x509 -req -in below.csr -CA ca.crt -CAkey "
        "ca.key -CAcreateserial -days 30 -extfile below.ext -out below.crt",
        ca_san);
    fixture_run(commands);
    snprintf(commands, sizeof commands, "cat below.crt >>%s.crt", name);
    fixture_leaf("below", name, names, 30);
    fixture_run(commands);
}

/* Whom the leaf names counts, however large it is, and not whom a CA behind it does. */
static void
identity_is_that_of_a_large_leaf(void **state)
{
    struct cluster cluster;
    struct pair pair;
    enum tls_result results[2];
    unsigned node = 99;

    (void)state;
    fixture_cluster(&cluster);
    make_chain(FIXTURE_URI "n3", "large", FIXTURE_URI "n2");
    link_pair(&pair, "ca.crt", "large", "ca.crt", "large");
    pair_handshake(&pair, results);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(results[i], TLS_DONE);
        assert_int_equal(tls_peer_node(pair.sessions[i], &cluster, &node), OK);
        assert_int_equal(node, 1);
        assert_true(tls_peer_certificate(pair.sessions[i]).size > 2048);
    }
    pair_close(&pair);

    make_chain(FIXTURE_URI "n3", "large", "DNS:n2");
    link_pair(&pair, "ca.crt", "large", "ca.crt", "large");
    pair_handshake(&pair, results);
    assert_int_equal(results[0], TLS_DONE);
    assert_int_equal(tls_peer_node(pair.sessions[0], &cluster, &node), ERR_FORBIDDEN);
    pair_close(&pair);
}

static void
bad_files_are_named(void **state)
{
    struct tls_files files = fixture_files(&fixture, "ca.crt", "n1");
    struct tls_context *context;
    char why[512];

    (void)state;
    files.key = "/nonexistent/node.key";
    assert_int_equal(tls_context_new(TLS_LINK_SERVER, &files, &context, why, sizeof why),
                     ERR_CONFIG);
    assert_null(context);
    assert_non_null(strstr(why, "/nonexistent/node.key"));
    assert_non_null(strstr(why, "No such file"));

    files = fixture_files(&fixture, "ca.crt", "n1");
    files.key = "n2.key";
    assert_int_equal(tls_context_new(TLS_LINK_SERVER, &files, &context, why, sizeof why),
                     ERR_CONFIG);
    assert_non_null(strstr(why, "n2.key"));

    files = fixture_files(&fixture, "n1.key", "n1");
    assert_int_equal(tls_context_new(TLS_LINK_CLIENT, &files, &context, why, sizeof why),
                     ERR_CONFIG);
    assert_non_null(strstr(why, "n1.key"));

    fixture_run(": >empty.crt");
    files = fixture_files(&fixture, "ca.crt", "n1");
    files.certificate = "empty.crt";
    assert_int_equal(tls_context_new(TLS_API_SERVER, &files, &context, why, sizeof why),
                     ERR_CONFIG);
    assert_non_null(strstr(why, "empty.crt"));

    fixture_run("mkfifo pipe.crt"); /* nobody writes into it: to open it is to wait */
    files.certificate = "pipe.crt";
    alarm(60);
    assert_int_equal(tls_context_new(TLS_API_SERVER, &files, &context, why, sizeof why),
                     ERR_CONFIG);
    alarm(0);
    assert_non_null(strstr(why, "pipe.crt"));
}

static void
write_ca(const char *path, int64_t now)
{
    static const uint8_t id[CLUSTER_ID_BYTES] = {1};
    struct rng rng = rng_kernel();
    struct certificate_authority *ca;
    struct buf certificate = {0}, key = {0};
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(certificate_authority_new(id, now, &rng, &ca), OK);
    assert_int_equal(certificate_authority_export(ca, &certificate, &key), OK);
    assert_int_equal(fwrite(certificate.data, 1, certificate.size, file), certificate.size);
    fclose(file);
    certificate_authority_free(ca);
    buf_close(&certificate);
    buf_close(&key);
}

/* It is the clock that people are sent to, and no fault of the files. */
static void
a_wrong_clock_is_told_as_such(void **state)
{
    struct tls_files files = fixture_files(&fixture, "later.crt", "n1");
    struct tls_context *context;
    char why[512], year[16];
    time_t now = time(NULL);
    struct tm date;

    (void)state;
    write_ca("later.crt", INT64_C(4070908800)); /* 2099-01-01 */
    assert_int_equal(tls_context_new(TLS_LINK_SERVER, &files, &context, why, sizeof why),
                     ERR_NOT_READY);
    assert_null(context);
    assert_non_null(gmtime_r(&now, &date));
    strftime(year, sizeof year, "says %Y-", &date);
    assert_non_null(strstr(why, year));
    assert_non_null(strstr(why, "CA certificate later.crt is valid from 2098-12-31T23:00:00.000Z "
                                "to 21"));
    assert_non_null(strstr(why, "look at the clock"));

    write_ca("ended.crt", INT64_C(946684800)); /* 2000-01-01 */
    files = fixture_files(&fixture, "ended.crt", "n1");
    assert_int_equal(tls_context_new(TLS_LINK_CLIENT, &files, &context, why, sizeof why),
                     ERR_NOT_READY);
    assert_non_null(strstr(why, "CA certificate ended.crt is valid from 1999-12-31T23:00:00.000Z"));
}

/* As `expected` in what it says, and OK if that is NULL. */
static void
own_certificate(const char *ca, const char *name, unsigned self, enum vault_err result,
                const char *expected)
{
    struct tls_context *server = context_of(TLS_LINK_SERVER, ca, name);
    struct tls_context *client = context_of(TLS_LINK_CLIENT, ca, name);
    struct tls_files files = fixture_files(&fixture, ca, name);
    struct cluster cluster;
    char why[512] = "";

    fixture_cluster(&cluster);
    if (tls_check_own(server, client, &files, &cluster, self, why, sizeof why) != result)
        fail_msg("%s", why);
    if (expected && !strstr(why, expected))
        fail_msg("\"%s\" does not say \"%s\"", why, expected);
    tls_context_free(client);
    tls_context_free(server);
}

static void
a_node_knows_its_own_certificate(void **state)
{
    (void)state;
    own_certificate("ca.crt", "n1", 0, OK, NULL);
    own_certificate("ca.crt", "n2", 1, OK, NULL);
    own_certificate("ca.crt", "n2", 0, ERR_CONFIG,
                    "n2.crt is not this node's: it must name "
                    "ostraka://000102030405060708090a0b0c0d0e0f/n1");
    fixture_ca("other-ca");
    own_certificate("other-ca.crt", "n1", 0, ERR_CONFIG,
                    "n1.crt does not verify with CA certificate other-ca.crt");
    fixture_leaf("ca", "other-cluster", "URI:ostraka://ff0102030405060708090a0b0c0d0e0f/n1", 30);
    own_certificate("ca.crt", "other-cluster", 0, ERR_CONFIG, "is not this node's");
    fixture_leaf("ca", "over", FIXTURE_URI "n1", -1);
    own_certificate("ca.crt", "over", 0, ERR_NOT_READY, "certificate over.crt is valid from ");
}

/* Whoever can read the key can pass for the node. */
static void
keys_that_others_can_read_are_refused(void **state)
{
    struct tls_files files = fixture_files(&fixture, "ca.crt", "n1");
    struct tls_context *context;
    char why[512];

    (void)state;
    fixture_run("cp n1.key open.key && mkfifo -m 600 pipe.key");
    files.key = "open.key";
    for (unsigned mode = 1; mode < 0100; mode <<= 1) {
        assert_int_equal(chmod("open.key", 0600 | mode), 0);
        assert_int_equal(tls_context_new(TLS_API_SERVER, &files, &context, why, sizeof why),
                         ERR_CONFIG);
        assert_null(context);
        assert_non_null(strstr(why, "open.key can be read by others"));
    }
    assert_int_equal(chmod("open.key", 0400), 0);
    assert_int_equal(tls_context_new(TLS_API_SERVER, &files, &context, why, sizeof why), OK);
    tls_context_free(context);
    files.key = "pipe.key";
    assert_int_equal(tls_context_new(TLS_API_SERVER, &files, &context, why, sizeof why),
                     ERR_CONFIG);
    assert_non_null(strstr(why, "not a regular file"));
}

/* Starts the child and accepts its connection, over a Unix socket in the fixture's directory. */
static FILE *
openssl_client(const char *arguments, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    char line[512];
    FILE *child;

    unlink("socket");
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    snprintf(line, sizeof line,
             "timeout 5 openssl s_client -unix socket %s </dev/null >client 2>&1", arguments);
    child = popen(line, "r");
    assert_non_null(child);
    *fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(*fd >= 0);
    close(listener);
    return child;
}

/*
 * A server session against `openssl s_client` with these arguments; its output in the file
 * "client".
 */
static enum tls_result
against_openssl(enum tls_role role, const char *arguments, char *output, size_t output_size)
{
    struct tls_context *context = context_of(role, "ca.crt", "n1");
    struct tls_session *session;
    enum tls_result result = TLS_WANT_READ;
    int fd;
    FILE *child, *file;
    size_t size;

    child = openssl_client(arguments, &fd);
    assert_int_equal(tls_session_new(context, fd, &session), OK);
    for (int turn = 0; turn < 50 && (result == TLS_WANT_READ || result == TLS_WANT_WRITE); turn++) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

        poll(&poll_fd, 1, 100);
        result = tls_handshake(session);
    }
    if (result == TLS_DONE)
        tls_shutdown(session);
    tls_session_free(session);
    tls_context_free(context);
    close(fd);
    pclose(child);
    file = fopen("client", "r");
    assert_non_null(file);
    size = fread(output, 1, output_size - 1, file);
    output[size] = '\0';
    fclose(file);
    return result;
}

static void
api_server_and_foreign_clients(void **state)
{
    char out[32768];

    (void)state;
    assert_int_equal(
        against_openssl(TLS_API_SERVER, "-CAfile ca.crt -verify_return_error", out, sizeof out),
        TLS_DONE);
    assert_non_null(strstr(out, "Verify return code: 0 (ok)"));
    assert_non_null(strstr(out, "Server Temp Key: X25519"));
    assert_non_null(strstr(out, "TLSv1.3"));
    assert_non_null(strstr(out, "No client certificate CA names sent"));

    /* Ours is the order that counts. */
    against_openssl(TLS_API_SERVER,
                    "-ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384", out,
                    sizeof out);
    if (!strstr(out, "Cipher is TLS_AES_256_GCM_SHA384"))
        print_message("chosen suite is not AES-256-GCM: no AES instructions here?\n");
    assert_int_equal(against_openssl(TLS_API_SERVER, "-ciphersuites TLS_CHACHA20_POLY1305_SHA256",
                                     out, sizeof out),
                     TLS_DONE);
    assert_int_equal(against_openssl(TLS_API_SERVER, "-groups P-256", out, sizeof out), TLS_DONE);
    assert_int_equal(against_openssl(TLS_API_SERVER, "-groups P-256:X25519", out, sizeof out),
                     TLS_DONE);

    assert_int_equal(against_openssl(TLS_API_SERVER, "-groups P-384", out, sizeof out), TLS_FAILED);
    assert_int_equal(
        against_openssl(TLS_API_SERVER, "-ciphersuites TLS_AES_128_GCM_SHA256", out, sizeof out),
        TLS_FAILED);
    assert_int_equal(against_openssl(TLS_API_SERVER, "-tls1_2", out, sizeof out), TLS_FAILED);
    assert_non_null(strstr(out, "alert"));
}

static void
alpn_is_checked(void **state)
{
    char out[32768];

    (void)state;
    assert_int_equal(against_openssl(TLS_API_SERVER, "-alpn http/1.1", out, sizeof out), TLS_DONE);
    assert_non_null(strstr(out, "ALPN protocol: http/1.1"));
    assert_int_equal(against_openssl(TLS_API_SERVER, "-alpn h2,http/1.1", out, sizeof out),
                     TLS_DONE);
    assert_non_null(strstr(out, "ALPN protocol: http/1.1"));
    assert_int_equal(against_openssl(TLS_API_SERVER, "-alpn h2", out, sizeof out), TLS_FAILED);
}

static void
link_server_and_foreign_clients(void **state)
{
    char out[32768];

    (void)state;
    assert_int_equal(against_openssl(TLS_LINK_SERVER, "", out, sizeof out), TLS_FAILED);
    assert_int_equal(against_openssl(TLS_LINK_SERVER, "-cert n2.crt -key n2.key", out, sizeof out),
                     TLS_DONE);
    assert_null(strstr(out, "New Session Ticket"));
    assert_int_equal(
        against_openssl(TLS_LINK_SERVER, "-tls1_2 -cert n2.crt -key n2.key", out, sizeof out),
        TLS_FAILED);
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
        cmocka_unit_test(good_peers_know_each_other),
        cmocka_unit_test(data_arrives_whole),
        cmocka_unit_test(records_that_came_together_are_told_of),
        cmocka_unit_test(pending_and_shutdown),
        cmocka_unit_test(closing_without_notice_is_seen),
        cmocka_unit_test(foreign_and_expired_certificates_are_refused),
        cmocka_unit_test(identity_is_exactly_one_uri),
        cmocka_unit_test(identity_is_that_of_a_large_leaf),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(a_wrong_clock_is_told_as_such),
        cmocka_unit_test(a_node_knows_its_own_certificate),
        cmocka_unit_test(keys_that_others_can_read_are_refused),
        cmocka_unit_test(api_server_and_foreign_clients),
        cmocka_unit_test(alpn_is_checked),
        cmocka_unit_test(link_server_and_foreign_clients),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
