/* DER by its encodings, and certificates as OpenSSL judges them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/certificate.h"
#include "crypto/pem.h"
#include "crypto/rng_kernel.h"
#include "crypto/secret.h"
#include "failing_rng.h"
#include "runtime/certificate_key.h"
#include "runtime/certificates.h"
#include "runtime/cluster_files.h"
#include "runtime/der.h"
#include "runtime/keyfile.h"

/* --- DER ------------------------------------------------------------------------------------ */

static void
expect_der(struct der_writer *w, const char *hex)
{
    char text[256];

    assert_int_equal(w->err, OK);
    assert_true(w->buf->size < sizeof(text) / 2);
    hex_encode(buf_bytes(w->buf), text);
    assert_string_equal(text, hex);
    buf_close(w->buf);
}

static void
test_der_values(void **state)
{
    struct buf buf = {0};
    struct der_writer w;
    size_t outer, inner;

    (void)state;
    der_writer_init(&w, &buf);
    der_put_true(&w);
    expect_der(&w, "0101ff");
    der_put_uint(&w, 0);
    der_put_uint(&w, 127);
    expect_der(&w, "02010002017f");
    der_put_unsigned(&w, bytes_of("\x00\x00\x80", 3));
    der_put_unsigned(&w, bytes_of("\x00\x01", 2));
    der_put_unsigned(&w, bytes_of("", 0));
    expect_der(&w, "02020080"
                   "020101"
                   "020100");
    der_put_bits(&w, bytes_of("\x06", 1), 1);
    expect_der(&w, "03020106");
    outer = der_begin(&w, DER_SEQUENCE);
    inner = der_begin(&w, DER_CONTEXT_CONSTRUCTED + 3);
    der_put(&w, DER_UTF8_STRING, bytes_of_text("ab"));
    der_end(&w, inner);
    der_end(&w, outer);
    expect_der(&w, "3006a3040c026162");
    der_put_uint(&w, 128);
    assert_int_equal(w.err, ERR_RANGE);
    buf_close(&buf);
}

static void
test_der_lengths(void **state)
{
    static const struct {
        size_t size, head;
        uint8_t bytes[4];
    } cases[] = {
        {0, 2, {4, 0}},           {127, 2, {4, 127}},        {128, 3, {4, 0x81, 128}},
        {255, 3, {4, 0x81, 255}}, {256, 4, {4, 0x82, 1, 0}}, {65535, 4, {4, 0x82, 255, 255}},
    };
    static uint8_t content[65536];

    (void)state;
    memset(content, 0x5a, sizeof(content));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf buf = {0};
        struct der_writer w;

        der_writer_init(&w, &buf);
        der_put(&w, DER_OCTET_STRING, bytes_of(content, cases[i].size));
        assert_int_equal(w.err, OK);
        assert_int_equal(buf.size, cases[i].head + cases[i].size);
        assert_memory_equal(buf.data, cases[i].bytes, cases[i].head);
        assert_memory_equal(buf.data + cases[i].head, content, cases[i].size);
        buf_close(&buf);
    }
    {
        struct buf buf = {0};
        struct der_writer w;

        der_writer_init(&w, &buf);
        der_put(&w, DER_OCTET_STRING, bytes_of(content, sizeof(content)));
        assert_int_equal(w.err, ERR_TOO_LARGE);
        buf_close(&buf);
    }
}

static void
test_der_times(void **state)
{
    static const struct {
        int64_t seconds;
        unsigned tag;
        const char *text; /* NULL: refused */
    } cases[] = {
        {0, DER_UTC_TIME, "700101000000Z"},
        {1700000000, DER_UTC_TIME, "231114221320Z"},
        {2524607999, DER_UTC_TIME, "491231235959Z"},
        {2524608000, DER_GENERALIZED_TIME, "20500101000000Z"},
        {253402300799, DER_GENERALIZED_TIME, "99991231235959Z"},
        {253402300800, 0, NULL},
        {-1, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf buf = {0};
        struct der_writer w;

        der_writer_init(&w, &buf);
        der_put_time(&w, cases[i].seconds);
        if (cases[i].text) {
            assert_int_equal(w.err, OK);
            assert_int_equal(buf.data[0], cases[i].tag);
            assert_int_equal(buf.size, 2 + strlen(cases[i].text));
            assert_memory_equal(buf.data + 2, cases[i].text, strlen(cases[i].text));
        } else {
            assert_int_equal(w.err, ERR_RANGE);
        }
        buf_close(&buf);
    }
}

/* --- certificates --------------------------------------------------------------------------- */

static const uint8_t CLUSTER_ID[CLUSTER_ID_BYTES] = {0xc1, 0x02};
#define CLUSTER_HEX "c1020000000000000000000000000000"

struct fixture {
    char directory[64];
    struct rng rng;
    struct certificate_authority *ca;
};

static void
write_text(const struct fixture *f, const char *name, const struct buf *content)
{
    char path[128];
    char why[256];

    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    assert_int_equal(file_replace(path, buf_bytes(content), 0600, why, sizeof(why)), OK);
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct buf certificate = {0}, key = {0};

    assert_non_null(f);
    snprintf(f->directory, sizeof(f->directory), "/tmp/ostraka-certificates-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->rng = rng_kernel();
    assert_int_equal(crypto_init(), OK);
    assert_int_equal(certificate_authority_new(CLUSTER_ID, (int64_t)time(NULL), &f->rng, &f->ca),
                     OK);
    assert_int_equal(certificate_authority_export(f->ca, &certificate, &key), OK);
    write_text(f, "ca.crt", &certificate);
    write_text(f, "ca.key", &key);
    buf_close(&certificate);
    buf_close(&key);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    certificate_authority_free(f->ca);
    assert_int_equal(directory_remove(f->directory), OK);
    free(f);
    return 0;
}

static void
issue(const struct fixture *f, const struct certificate_request *request, const char *certificate,
      const char *key)
{
    struct buf certificate_pem = {0}, key_pem = {0};

    assert_int_equal(certificate_issue(f->ca, request, &f->rng, &certificate_pem, &key_pem), OK);
    write_text(f, certificate, &certificate_pem);
    write_text(f, key, &key_pem);
    buf_close(&certificate_pem);
    buf_close(&key_pem);
}

static struct certificate_request
request_for(const char *host)
{
    return (struct certificate_request){
        .node_name = "n1", .host = host, .now = (int64_t)time(NULL)};
}

/* Runs openssl in the directory; its output goes to `out`. Returns whether it succeeded. */
static bool
openssl(const struct fixture *f, const char *arguments, char *out, size_t out_size)
{
    char line[512];
    size_t size;
    FILE *pipe;

    snprintf(line, sizeof(line), "cd %s && openssl %s 2>&1", f->directory, arguments);
    pipe = popen(line, "r");
    assert_non_null(pipe);
    size = fread(out, 1, out_size - 1, pipe);
    out[size] = '\0';
    return pclose(pipe) == 0;
}

static void
expect_verifies(const struct fixture *f, const char *how, bool expected)
{
    char arguments[256];
    char out[2048];

    snprintf(arguments, sizeof(arguments), "verify -x509_strict -CAfile ca.crt %s node.crt", how);
    if (openssl(f, arguments, out, sizeof(out)) != expected)
        fail_msg("openssl %s: %s", arguments, out);
}

static void
test_node_verifies(void **state)
{
    struct fixture *f = *state;
    struct certificate_request request = request_for("10.1.2.3");

    issue(f, &request, "node.crt", "node.key");
    expect_verifies(f, "-purpose sslserver", true);
    expect_verifies(f, "-purpose sslclient", true);
    expect_verifies(f, "-verify_ip 10.1.2.3", true);
    expect_verifies(f, "-verify_ip 127.0.0.1", true);
    expect_verifies(f, "-verify_hostname localhost", true);
    expect_verifies(f, "-verify_ip 10.1.2.4", false);
    expect_verifies(f, "-verify_hostname n1", false);
}

static void
test_hosts(void **state)
{
    static const struct {
        const char *host, *verify, *san;
    } cases[] = {
        {"db.example.com", "-verify_hostname db.example.com",
         "URI:ostraka://" CLUSTER_HEX "/n1, DNS:db.example.com, DNS:localhost, IP "
         "Address:127.0.0.1"},
        {"fd00::7", "-verify_ip fd00::7",
         "URI:ostraka://" CLUSTER_HEX "/n1, IP Address:FD00:0:0:0:0:0:0:7, DNS:localhost, IP "
         "Address:127.0.0.1"},
        {"localhost", "-verify_hostname localhost",
         "URI:ostraka://" CLUSTER_HEX "/n1, DNS:localhost, IP Address:127.0.0.1"},
        {"127.0.0.1", "-verify_ip 127.0.0.1",
         "URI:ostraka://" CLUSTER_HEX "/n1, IP Address:127.0.0.1, DNS:localhost"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct certificate_request request = request_for(cases[i].host);
        char out[2048];

        issue(f, &request, "node.crt", "node.key");
        expect_verifies(f, cases[i].verify, true);
        assert_true(openssl(f, "x509 -in node.crt -noout -ext subjectAltName", out, sizeof(out)));
        assert_non_null(strstr(out, cases[i].san));
    }
}

static void
test_extensions(void **state)
{
    struct fixture *f = *state;
    struct certificate_request request = request_for("127.0.0.1");
    char out[8192];

    issue(f, &request, "node.crt", "node.key");
    assert_true(openssl(f, "x509 -in node.crt -noout -text", out, sizeof(out)));
    assert_non_null(strstr(out, "Version: 3"));
    assert_non_null(strstr(out, "prime256v1"));
    assert_non_null(strstr(out, "ecdsa-with-SHA256"));
    assert_non_null(strstr(out, "Basic Constraints: critical\n                CA:FALSE"));
    assert_non_null(strstr(out, "Key Usage: critical\n                Digital Signature\n"));
    assert_non_null(strstr(out, "TLS Web Server Authentication, TLS Web Client Authentication\n"));
    assert_true(openssl(f, "x509 -in ca.crt -noout -text", out, sizeof(out)));
    assert_non_null(strstr(out, "Basic Constraints: critical\n                CA:TRUE, pathlen:0"));
    assert_non_null(strstr(out, "Key Usage: critical\n                Certificate Sign, CRL Sign"));
}

static void
test_keys_belong(void **state)
{
    struct fixture *f = *state;
    struct certificate_request request = request_for("127.0.0.1");
    char public_key[1024], of_certificate[1024];

    issue(f, &request, "node.crt", "node.key");
    assert_true(openssl(f, "pkey -in node.key -check -noout", public_key, sizeof(public_key)));
    assert_true(openssl(f, "pkey -in node.key -pubout", public_key, sizeof(public_key)));
    assert_true(
        openssl(f, "x509 -in node.crt -noout -pubkey", of_certificate, sizeof(of_certificate)));
    assert_string_equal(public_key, of_certificate);
    assert_true(openssl(f, "pkey -in ca.key -pubout", public_key, sizeof(public_key)));
    assert_string_not_equal(public_key, of_certificate);
}

static void
test_foreign_ca(void **state)
{
    struct fixture *f = *state;
    struct certificate_request request = request_for("127.0.0.1");
    struct certificate_authority *own = f->ca;
    struct buf certificate = {0}, key = {0};

    /* The same names, another key. */
    assert_int_equal(certificate_authority_new(CLUSTER_ID, request.now, &f->rng, &f->ca), OK);
    issue(f, &request, "node.crt", "node.key");
    expect_verifies(f, "", false);
    assert_int_equal(certificate_authority_export(f->ca, &certificate, &key), OK);
    write_text(f, "ca.crt", &certificate);
    expect_verifies(f, "", true);
    certificate_authority_free(f->ca);
    f->ca = own;
    buf_close(&certificate);
    buf_close(&key);
}

static void
test_validity(void **state)
{
    struct fixture *f = *state;
    struct certificate_request request = request_for("127.0.0.1");
    char how[64];
    int64_t now = request.now;

    request.days = 30;
    issue(f, &request, "node.crt", "node.key");
    snprintf(how, sizeof(how), "-attime %lld", (long long)now - 3590);
    expect_verifies(f, how, true);
    snprintf(how, sizeof(how), "-attime %lld", (long long)now - 3610);
    expect_verifies(f, how, false);
    snprintf(how, sizeof(how), "-attime %lld", (long long)now + 30 * 86400 - 10);
    expect_verifies(f, how, true);
    snprintf(how, sizeof(how), "-attime %lld", (long long)now + 30 * 86400 + 10);
    expect_verifies(f, how, false);
    /* Ten years unless told, and never longer than the CA. */
    request.days = 0;
    issue(f, &request, "node.crt", "node.key");
    snprintf(how, sizeof(how), "-attime %lld", (long long)now + (int64_t)3650 * 86400);
    expect_verifies(f, how, true);
    request.days = 36500;
    issue(f, &request, "node.crt", "node.key");
    snprintf(how, sizeof(how), "-attime %lld", (long long)now + (int64_t)3655 * 86400);
    expect_verifies(f, how, false);
}

static void
test_serials_differ(void **state)
{
    struct fixture *f = *state;
    struct certificate_request request = request_for("127.0.0.1");
    char first[256], second[256];

    issue(f, &request, "node.crt", "node.key");
    assert_true(openssl(f, "x509 -in node.crt -noout -serial", first, sizeof(first)));
    issue(f, &request, "node.crt", "node.key");
    assert_true(openssl(f, "x509 -in node.crt -noout -serial", second, sizeof(second)));
    assert_int_equal(strlen(first), strlen("serial=") + 32 + 1);
    assert_string_not_equal(first, second);
}

static void
test_failures(void **state)
{
    struct fixture *f = *state;
    const struct rng broken = no_entropy();
    struct certificate_request request = request_for("127.0.0.1");
    struct certificate_authority *ca;
    struct buf certificate = {0}, key = {0};

    assert_int_equal(certificate_authority_new(CLUSTER_ID, request.now, &broken, &ca), ERR_ENTROPY);
    assert_null(ca);
    assert_int_equal(certificate_authority_new(CLUSTER_ID, 253402300799, &f->rng, &ca), ERR_RANGE);
    assert_null(ca);
    assert_int_equal(certificate_issue(f->ca, &request, &broken, &certificate, &key), ERR_ENTROPY);
    request.now = 0;
    assert_int_equal(certificate_issue(f->ca, &request, &f->rng, &certificate, &key), ERR_RANGE);
    assert_int_equal(certificate.size, 0);
    assert_int_equal(key.size, 0);
}

static void
test_uri(void **state)
{
    char uri[NODE_URI_BYTES];

    (void)state;
    node_uri(CLUSTER_ID, "abcdefghijklmnopqrstuvwxyz012345", uri);
    assert_string_equal(uri, "ostraka://" CLUSTER_HEX "/abcdefghijklmnopqrstuvwxyz012345");
}

static void
read_pem(const struct buf *pem, struct buf *der)
{
    size_t at = 0;

    assert_true(pem_next_certificate(buf_bytes(pem), &at, der));
}

/* The CA says which cluster it is of; its nodes' certificates have no other issuer. */
static void
test_cluster_of_a_ca(void **state)
{
    struct fixture *f = *state;
    struct buf pem = {0}, key = {0}, der = {0};
    uint8_t id[CLUSTER_ID_BYTES];
    static const uint8_t none[CLUSTER_ID_BYTES];

    assert_int_equal(certificate_authority_export(f->ca, &pem, &key), OK);
    read_pem(&pem, &der);
    assert_true(certificate_cluster_id(buf_bytes(&der), id));
    assert_memory_equal(id, CLUSTER_ID, sizeof(id));
    for (size_t size = 0; size < der.size; size++) {
        assert_false(certificate_cluster_id(bytes_of(der.data, size), id));
        assert_memory_equal(id, none, sizeof(id));
    }
    buf_close(&der);
    buf_close(&pem);
    buf_close(&key);
}

/* As login statements are signed: the verifier of those takes it, and no other text's. */
static void
test_keys_sign(void **state)
{
    struct fixture *f = *state;
    struct certificate_request request = {
        .node_name = "n1", .host = "127.0.0.1", .now = (int64_t)time(NULL)};
    struct buf pem = {0}, key_pem = {0}, der = {0}, signature = {0};
    struct certificate certificate;
    struct certificate_key key;
    struct bytes text = bytes_of_text("a text");

    assert_int_equal(certificate_issue(f->ca, &request, &f->rng, &pem, &key_pem), OK);
    read_pem(&pem, &der);
    assert_int_equal(certificate_read(buf_bytes(&der), &certificate), OK);
    assert_false(certificate_key_decode_pem(buf_bytes(&pem), &key));
    assert_true(certificate_key_decode_pem(buf_bytes(&key_pem), &key));
    for (unsigned i = 0; i < 300; i++) { /* r or s are short in one of 128 */
        assert_int_equal(certificate_key_sign(&key, text, &signature), OK);
        assert_int_equal(signature.size, P256_KEY_BYTES);
        assert_true(signature_verify(&certificate.key, text, buf_bytes(&signature)));
        assert_false(signature_verify(&certificate.key, bytes_of_text("b"), buf_bytes(&signature)));
        buf_close(&signature);
    }
    certificate_key_close(&key);
    buf_close(&key_pem);
    buf_close(&pem);
    buf_close(&der);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_der_values),
        cmocka_unit_test(test_der_lengths),
        cmocka_unit_test(test_der_times),
        cmocka_unit_test(test_uri),
        TEST(test_node_verifies),
        TEST(test_hosts),
        TEST(test_extensions),
        TEST(test_keys_belong),
        TEST(test_foreign_ca),
        TEST(test_validity),
        TEST(test_serials_differ),
        TEST(test_failures),
        TEST(test_cluster_of_a_ca),
        TEST(test_keys_sign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
