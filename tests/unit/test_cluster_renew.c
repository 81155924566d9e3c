/* New certificates for a cluster that was set up long ago: as OpenSSL judges them, and as files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/rng_kernel.h"
#include "crypto/secret.h"
#include "failing_rng.h"
#include "runtime/certificates.h"
#include "runtime/cluster_files.h"
#include "runtime/cluster_renew.h"
#include "runtime/keyfile.h"

#define YEAR  (INT64_C(365) * 86400)
#define SETUP INT64_C(1700000000)

struct fixture {
    char base[64];
    char directory[96];
    char why[1024];
    struct cluster cluster;
    struct rng rng;
    struct renewal made;
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(crypto_init(), OK);
    f->rng = rng_kernel();
    snprintf(f->base, sizeof(f->base), "/tmp/ostraka-renew-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    snprintf(f->directory, sizeof(f->directory), "%s/c", f->base);
    f->cluster = (struct cluster){.node_count = 3, .share_count = 3, .threshold = 2};
    for (unsigned i = 0; i < 3; i++) {
        struct cluster_node *node = &f->cluster.nodes[i];

        snprintf(node->name, sizeof(node->name), "n%u", i + 1);
        snprintf(node->host, sizeof(node->host), "10.0.0.%u", i + 1);
        node->api_port = (uint16_t)(7401 + i);
        node->link_port = (uint16_t)(7501 + i);
    }
    assert_int_equal(
        cluster_files_create(f->directory, &f->cluster, &f->rng, SETUP, f->why, sizeof(f->why)),
        OK);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(directory_remove(f->base), OK);
    free(f);
    return 0;
}

static struct renewal_options
options_at(const struct fixture *f, int64_t years)
{
    return (struct renewal_options){
        .directory = f->directory, .rng = &f->rng, .now = SETUP + years * YEAR};
}

static enum vault_err
renew(struct fixture *f, const struct renewal_options *options)
{
    return cluster_renew(options, &f->made, f->why, sizeof(f->why));
}

static enum vault_err
replace_ca(struct fixture *f, const struct renewal_options *options)
{
    return cluster_replace_ca(options, &f->made, f->why, sizeof(f->why));
}

static bool
shell(const struct fixture *f, const char *command)
{
    char line[512];

    snprintf(line, sizeof(line), "cd %s && { %s; } >/dev/null 2>&1", f->directory, command);
    return system(line) == 0;
}

/* Whether the certificate verifies at that time, with that file of CAs. */
static bool
verifies(const struct fixture *f, const char *ca, const char *certificate, int64_t years)
{
    char command[256];

    snprintf(command, sizeof(command), "openssl verify -x509_strict -attime %lld -CAfile %s %s",
             (long long)(SETUP + years * YEAR), ca, certificate);
    return shell(f, command);
}

static struct buf
content(const struct fixture *f, const char *name)
{
    char path[160];
    struct buf out;

    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    assert_int_equal(file_read(path, 1 << 20, &out), OK);
    return out;
}

static void
put(const struct fixture *f, const char *name, struct bytes text)
{
    char path[160], why[256];

    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    assert_int_equal(file_replace(path, text, 0600, why, sizeof(why)), OK);
}

static void
expect_same(const struct fixture *f, const char *name, const struct buf *before, bool same)
{
    struct buf now = content(f, name);

    assert_int_equal(bytes_equal(buf_bytes(&now), buf_bytes(before)), same);
    buf_close(&now);
}

static unsigned
certificates_in(const struct fixture *f, const char *name)
{
    struct buf text = content(f, name);
    unsigned count = 0;

    for (size_t i = 0; i + 10 < text.size; i++)
        count += memcmp(text.data + i, "-----BEGIN", 10) == 0;
    buf_close(&text);
    return count;
}

/* A year before the end: nodes and CA for ten more years, and whatever is old goes with what is new. */
static void
test_all_are_renewed(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 9);
    struct buf key = content(f, "n2/node.key"), ca_key = content(f, "ca/ca.key");

    assert_true(shell(f, "cp ca/ca.crt old-ca.crt && cp n2/node.crt old-n2.crt"));
    assert_true(verifies(f, "ca/ca.crt", "n1/node.crt", 9));
    assert_false(verifies(f, "ca/ca.crt", "n1/node.crt", 11));
    assert_int_equal(renew(f, &options), OK);
    assert_int_equal(f->made.node_count, 3);
    assert_true(f->made.ca_renewed);
    assert_true(f->made.ca_ends > SETUP + 18 * YEAR);
    for (unsigned i = 0; i < 3; i++) {
        char certificate[32], ca[32];

        snprintf(certificate, sizeof(certificate), "n%u/node.crt", i + 1);
        snprintf(ca, sizeof(ca), "n%u/ca.crt", i + 1);
        assert_true(verifies(f, ca, certificate, 18));
        assert_false(verifies(f, ca, certificate, 8));
        assert_int_equal(f->made.nodes[i].ends, f->made.ca_ends);
    }
    assert_true(verifies(f, "old-ca.crt", "n2/node.crt", 9)); /* clients and nodes of before */
    assert_true(verifies(f, "ca/ca.crt", "old-n2.crt", 9));
    assert_false(verifies(f, "old-ca.crt", "n2/node.crt", 11));
    assert_true(
        shell(f, "openssl x509 -in n2/node.crt -noout -checkip 10.0.0.2 | grep 'does match'"));
    expect_same(f, "n2/node.key", &key, true);
    expect_same(f, "ca/ca.key", &ca_key, true);
    assert_int_equal(certificates_in(f, "ca/ca.crt"), 1);
    assert_true(shell(f, "test $(stat -c %a n1/node.crt n1/ca.crt ca/ca.crt | sort -u) = 644"));
    assert_false(shell(f, "find . -name '*.new' | grep ."));
    buf_close(&key);
    buf_close(&ca_key);
}

/* Soon after the set-up the CA stays, and nothing that it signs outlives it. */
static void
test_the_ca_stays(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 2);
    const char *const names[] = {"n3"};
    struct buf ca = content(f, "ca/ca.crt"), first = content(f, "n1/node.crt"),
               third = content(f, "n3/node.crt");

    options.nodes = names;
    options.node_count = 1;
    assert_int_equal(renew(f, &options), OK);
    assert_false(f->made.ca_renewed);
    assert_int_equal(f->made.node_count, 1);
    assert_int_equal(f->made.nodes[0].number, 2);
    assert_int_equal(f->made.nodes[0].ends, f->made.ca_ends);
    expect_same(f, "ca/ca.crt", &ca, true);
    expect_same(f, "n1/node.crt", &first, true);
    expect_same(f, "n3/node.crt", &third, false);
    assert_true(verifies(f, "ca/ca.crt", "n3/node.crt", 9));
    assert_true(verifies(f, "ca/ca.crt", "n3/node.crt", 2));
    buf_close(&ca);
    buf_close(&first);
    buf_close(&third);
}

/* The address is that of cluster.conf as it is now. */
static void
test_new_host(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 1);

    assert_true(shell(f, "sed -i 's/10.0.0.1/vault.example.com/' cluster.conf"));
    assert_int_equal(renew(f, &options), OK);
    assert_true(shell(f, "openssl x509 -in n1/node.crt -noout -checkhost vault.example.com | "
                         "grep 'does match'"));
}

static void
test_new_keys(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 1);
    struct buf key = content(f, "n1/node.key");

    options.new_keys = true;
    assert_true(shell(f, "mv n2 elsewhere"));
    assert_int_equal(renew(f, &options), OK);
    expect_same(f, "n1/node.key", &key, false);
    assert_true(verifies(f, "ca/ca.crt", "n1/node.crt", 2));
    assert_true(shell(f, "test \"$(openssl pkey -in n1/node.key -pubout)\" = "
                         "\"$(openssl x509 -in n1/node.crt -noout -pubkey)\""));
    assert_true(shell(f, "test $(stat -c %a n2) = 700 && test $(stat -c %a n2/node.key) = 600"));
    assert_true(verifies(f, "n2/ca.crt", "n2/node.crt", 2));
    buf_close(&key);
}

/* Run as root, the files are the server's user's all the same. */
static void
test_owner(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 1);

    if (geteuid() != 0)
        skip();
    options.new_keys = true;
    assert_true(shell(f, "chown -R 12345:12346 n1"));
    assert_int_equal(renew(f, &options), OK);
    assert_true(shell(f, "test \"$(stat -c %u:%g n1/node.key n1/node.crt n1/ca.crt | sort -u)\" = "
                         "12345:12346"));
    assert_true(shell(f, "test \"$(stat -c %u n2/node.key)\" = 0"));
}

static void
expect_refused(struct fixture *f, const struct renewal_options *options, enum vault_err err,
               const char *words)
{
    struct buf before = content(f, "n1/node.crt");

    assert_int_equal(renew(f, options), err);
    if (!strstr(f->why, words))
        fail_msg("\"%s\" does not say \"%s\"", f->why, words);
    expect_same(f, "n1/node.crt", &before, true);
    buf_close(&before);
}

/* Nothing is changed then, of the nodes that were good either. */
static void
test_refusals(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 1);
    const char *const names[] = {"n1", "n9"}, *const twice[] = {"n1", "n1"};
    const struct rng broken = no_entropy();

    options.nodes = names;
    options.node_count = 2;
    expect_refused(f, &options, ERR_CONFIG, "n9");
    options.nodes = twice;
    expect_refused(f, &options, ERR_CONFIG, "twice");
    options = options_at(f, 1);
    options.rng = &broken;
    expect_refused(f, &options, ERR_ENTROPY, "cannot make a certificate");
    options = options_at(f, -1);
    expect_refused(f, &options, ERR_NOT_READY, "look at the clock");
    options = options_at(f, 1);
    assert_true(shell(f, "mv n3/node.crt kept && cp n2/node.crt n3/node.crt"));
    expect_refused(f, &options, ERR_CONFIG, "n3/node.crt is no certificate of node n3 by this CA");
    assert_true(shell(f, "rm n3/node.crt"));
    expect_refused(f, &options, ERR_CONFIG, "--new-keys");
    assert_true(
        shell(f, "mv kept n3/node.crt && mv n3/node.key kept && cp n2/node.key n3/node.key"));
    expect_refused(f, &options, ERR_CONFIG, "does not belong to certificate");
    assert_true(shell(f, "chmod 644 n3/node.key"));
    expect_refused(f, &options, ERR_CONFIG, "chmod 600");
    assert_true(shell(f, "rm n3/node.key && cp ca/ca.key kept-ca && cp n2/node.key ca/ca.key"));
    expect_refused(f, &options, ERR_CONFIG, "are not a CA of `ostraka cluster create`");
    assert_true(shell(f, "rm ca/ca.key"));
    expect_refused(f, &options, ERR_CONFIG, "ca/ca.key");
    assert_true(shell(f, "mv kept-ca ca/ca.key && sed -i 's/^cluster_id = \"./cluster_id = \"x/' "
                         "cluster.conf"));
    expect_refused(f, &options, ERR_CONFIG, "cluster_id");
    assert_true(shell(f, "sed -i 's/^cluster_id = .*/cluster_id = "
                         "\"00112233445566778899aabbccddeeff\"/' cluster.conf"));
    expect_refused(f, &options, ERR_CONFIG, "CA of another cluster");
}

/* The private key need not be where the CA is. */
static void
test_without_the_private_key(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 1);

    assert_true(shell(f, "cp n1/node.key kept && rm n1/*.key"));
    assert_int_equal(renew(f, &options), OK);
    assert_true(
        shell(f, "test \"$(openssl pkey -in kept -pubout)\" = "
                 "\"$(openssl x509 -in n1/node.crt -noout -pubkey)\" && ! test -e n1/node.key"));
}

/* A certificate that nobody of this CA signed is no way to have one signed. */
static void
test_a_forged_certificate(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 1);
    const struct certificate_request request = {
        .node_name = "n1", .host = "10.0.0.1", .now = SETUP};
    struct certificate_authority *other;
    struct buf forged = {0}, key = {0};

    assert_int_equal(certificate_authority_new(f->cluster.id, SETUP, &f->rng, &other), OK);
    assert_int_equal(certificate_issue(other, &request, &f->rng, &forged, &key), OK);
    put(f, "n1/node.crt", buf_bytes(&forged));
    put(f, "n1/node.key", buf_bytes(&key));
    expect_refused(f, &options, ERR_CONFIG, "n1/node.crt is no certificate of node n1 by this CA");
    certificate_authority_free(other);
    buf_close(&forged);
    buf_close(&key);
}

/* All ended: what was signed with the old certificate's key is renewed all the same. */
static void
test_after_the_end(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 12);

    assert_int_equal(renew(f, &options), OK);
    assert_true(f->made.ca_renewed);
    assert_true(verifies(f, "n1/ca.crt", "n1/node.crt", 21));
}

/* In turn: both are trusted, then the nodes have certificates of the new one, then the old one goes. */
static void
test_new_ca(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 3);
    struct buf node = content(f, "n1/node.crt"), ca_key = content(f, "ca/ca.key");

    assert_true(shell(f, "cp ca/ca.crt old-ca.crt"));
    assert_int_equal(replace_ca(f, &options), OK);
    assert_int_equal(certificates_in(f, "ca/ca.crt"), 2);
    assert_true(shell(f, "cmp ca/ca.crt n1/ca.crt && cmp ca/ca.crt n3/ca.crt"));
    assert_true(shell(f, "test $(stat -c %a ca/ca.key) = 600"));
    expect_same(f, "n1/node.crt", &node, true);
    expect_same(f, "ca/ca.key", &ca_key, false);
    assert_true(verifies(f, "ca/ca.crt", "n1/node.crt", 4));

    options = options_at(f, 4);
    assert_int_equal(renew(f, &options), OK);
    assert_false(f->made.ca_renewed);
    assert_true(verifies(f, "n2/ca.crt", "n1/node.crt", 5));
    assert_false(verifies(f, "old-ca.crt", "n1/node.crt", 5));
    assert_true(shell(f, "for i in ca n1 n2 n3; do sed -i '/END CERTIFICATE/q' $i/ca.crt; done"));
    assert_int_equal(certificates_in(f, "n1/ca.crt"), 1);
    assert_true(verifies(f, "n1/ca.crt", "n2/node.crt", 12));
    assert_false(verifies(f, "n1/ca.crt", "old-ca.crt", 5));
    options = options_at(f, 5);
    assert_int_equal(renew(f, &options), OK);
    assert_int_equal(certificates_in(f, "ca/ca.crt"), 1);
    buf_close(&node);
    buf_close(&ca_key);
}

/* An end before the key was written leaves the old one, which still signs; then once more. */
static void
test_new_ca_after_a_crash(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 3);

    assert_true(shell(f, "cp ca/ca.key old-key && cp ca/ca.crt old-ca.crt"));
    assert_int_equal(replace_ca(f, &options), OK);
    assert_true(shell(f, "cp old-key ca/ca.key"));
    assert_int_equal(renew(f, &options), OK);
    assert_true(verifies(f, "old-ca.crt", "n1/node.crt", 4));
    assert_int_equal(replace_ca(f, &options), OK);
    assert_int_equal(certificates_in(f, "ca/ca.crt"), 3);
    assert_true(verifies(f, "ca/ca.crt", "n1/node.crt", 4));
    /* Lost altogether. And none is dropped unasked, since nodes might have certificates of it. */
    assert_true(shell(f, "rm ca/ca.key"));
    assert_int_equal(replace_ca(f, &options), OK);
    assert_int_equal(certificates_in(f, "ca/ca.crt"), CA_CERTIFICATES_MAX);
    assert_int_equal(replace_ca(f, &options), ERR_CONFIG);
    assert_non_null(strstr(f->why, "has 4 CAs already"));
    assert_int_equal(renew(f, &options), OK);
    assert_false(verifies(f, "old-ca.crt", "n1/node.crt", 4));
    assert_true(verifies(f, "ca/ca.crt", "n1/node.crt", 4));
}

/* With a CA that has ended beside the new one a node would not start. */
static void
test_new_ca_after_the_end(void **state)
{
    struct fixture *f = *state;
    struct renewal_options options = options_at(f, 12);

    assert_int_equal(replace_ca(f, &options), OK);
    assert_int_equal(certificates_in(f, "n1/ca.crt"), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_all_are_renewed),
        TEST(test_the_ca_stays),
        TEST(test_new_host),
        TEST(test_new_keys),
        TEST(test_owner),
        TEST(test_refusals),
        TEST(test_without_the_private_key),
        TEST(test_a_forged_certificate),
        TEST(test_after_the_end),
        TEST(test_new_ca),
        TEST(test_new_ca_after_a_crash),
        TEST(test_new_ca_after_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
