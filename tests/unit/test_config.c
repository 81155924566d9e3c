/*
 * cluster.conf: what is understood, what is refused and with which line, and where a node's files
 * are found.
 */
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

#include "runtime/cluster_files.h"
#include "runtime/config_file.h"
#include "runtime/config_text.h"
#include "runtime/keyfile.h"

#define HEX32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEAD                                                                                       \
    "cluster_id = \"00112233445566778899aabbccddeeff\"\n" /* line 1 */                             \
    "shares = 3\n"                                                                                 \
    "threshold = 2\n"                                                                              \
    "admin_token_hash = \"" HEX32 "\"\n"
#define NODE(name, api, link)                                                                      \
    "node \"" name "\" {\n"                                                                        \
    "  host = \"127.0.0.1\"\n"                                                                     \
    "  api_port = " api "\n"                                                                       \
    "  link_port = " link "\n"                                                                     \
    "  share_key = \"" HEX32 "\"\n"                                                                \
    "}\n"
#define N1   NODE("n1", "7401", "7501") /* lines 5 to 10 */
#define N2   NODE("n2", "7402", "7502") /* lines 11 to 16 */
#define N3   NODE("n3", "7403", "7503") /* lines 17 to 22 */
#define GOOD HEAD N1 N2 N3

static enum vault_err
parse(const char *text, const char *node, struct config *out, char why[static 512])
{
    return config_parse(text, "/etc/ostraka/cluster.conf", node, out, why, 512);
}

/* Fewer shares than nodes: the nodes then know by name which of them keep what. */
static void
test_more_nodes_than_shares(void **state)
{
    static const char text[] = GOOD NODE("n4", "7404", "7504") NODE("n5", "7405", "7505");
    struct config five, three;
    char why[512];

    (void)state;
    assert_int_equal(parse(text, "n5", &five, why), OK);
    assert_string_equal(why, "");
    assert_int_equal(five.cluster.node_count, 5);
    assert_int_equal(five.cluster.share_count, 3);
    assert_int_equal(cluster_majority(&five.cluster), 2);
    assert_int_equal(parse(GOOD, "n1", &three, why), OK);
    assert_memory_not_equal(five.cluster.config_hash, three.cluster.config_hash, HASH_BYTES);
}

static void
test_understood(void **state)
{
    struct config c;
    char why[512];

    (void)state;
    assert_int_equal(parse(GOOD, "n2", &c, why), OK);
    assert_string_equal(why, "");
    assert_int_equal(c.cluster.id[0], 0x00);
    assert_int_equal(c.cluster.id[15], 0xff);
    assert_int_equal(c.cluster.node_count, 3);
    assert_int_equal(c.cluster.share_count, 3);
    assert_int_equal(c.cluster.threshold, 2);
    assert_int_equal(c.cluster.seal, SEAL_NONE);
    assert_int_equal(c.cluster.admin_token_hash[31], 31);
    assert_string_equal(c.cluster.nodes[2].name, "n3");
    assert_string_equal(c.cluster.nodes[2].host, "127.0.0.1");
    assert_int_equal(c.cluster.nodes[2].api_port, 7403);
    assert_int_equal(c.cluster.nodes[2].link_port, 7503);
    assert_int_equal(c.cluster.nodes[2].first_share_key.id, 1);
    assert_int_equal(c.cluster.nodes[2].first_share_key.key[31], 31);
    assert_int_equal(c.node.self, 1);
    assert_string_equal(c.node.listen_host, "127.0.0.1");
    assert_int_equal(c.node.cache_bytes, 128 * 1024 * 1024);
    assert_int_equal(c.node.disk_free_min_bytes, 64 * 1024 * 1024);
    assert_int_equal(c.node.requests_max, 1024);
    assert_int_equal(c.node.request_deadline_ms, 5000);
    assert_int_equal(c.node.share_key_rotation_s, 3600);
    assert_int_equal(c.node.scrub_rows_per_s, 200);
    assert_int_equal(c.node.address_requests_per_s, 0);
    assert_int_equal(c.node.address_connections_per_s, 0);
    assert_int_equal(c.node.identity_requests_per_s, 0);
    assert_int_equal(c.node.address_connections_max, 0);
    assert_int_equal(c.node.address_handshakes_max, 0);
    assert_true(c.node.slow_failed_logins);
    assert_false(c.node.audit_names_hashed);
    assert_int_equal(c.node.audit_blocks_kept, 1048576);
    assert_int_equal(c.node.token_sweep_slack_s, 86400);
    assert_int_equal(c.node.log_level, LOG_INFO);
    assert_int_equal(c.node.log_format, LOG_LOGFMT);
}

static void
test_hash_is_set(void **state)
{
    struct config c;
    uint8_t hash[HASH_BYTES];
    char why[512];

    (void)state;
    assert_int_equal(parse(GOOD, NULL, &c, why), OK);
    cluster_config_hash(&c.cluster, hash);
    assert_memory_equal(hash, c.cluster.config_hash, sizeof(hash));
    assert_int_equal(c.node.self, 0);
    assert_string_equal(c.node.directory, "");
}

static void
test_all_options(void **state)
{
    static const char text[] =
        HEAD "seal { type = file check = \"" HEX32 "\" }\n" N1 N2 "node n3 {\n"
             "host = \"::1\" api_port = 1 link_port = 65535 share_key = \"" HEX32 "\"\n"
             "listen = \"0.0.0.0\"\ndirectory = \"/srv/n3\"\n}\n"
             "server {\nlog_level = \"debug\"\nlog_format = \"json\"\ncache_mb = 100\n"
             "disk_free_min_mb = 200\nrequests_max = 300\nrequest_deadline_ms = 400\n"
             "address_requests_per_s = 1\naddress_connections_per_s = 2\n"
             "identity_requests_per_s = 3\naddress_connections_max = 4\n"
             "address_handshakes_max = 5\nslow_failed_logins = \"no\"\n}\n";
    struct config c;
    char why[512];

    (void)state;
    assert_int_equal(parse(text, "n3", &c, why), OK);
    assert_int_equal(c.cluster.seal, SEAL_FILE);
    assert_int_equal(c.cluster.master_key_check[31], 31);
    assert_string_equal(c.node.listen_host, "0.0.0.0");
    assert_string_equal(c.node.directory, "/srv/n3");
    assert_string_equal(c.node.share_keys, "/srv/n3/share.keys");
    assert_int_equal(c.node.cache_bytes, 100 * 1024 * 1024);
    assert_int_equal(c.node.disk_free_min_bytes, 200 * 1024 * 1024);
    assert_int_equal(c.node.requests_max, 300);
    assert_int_equal(c.node.request_deadline_ms, 400);
    assert_int_equal(c.node.address_requests_per_s, 1);
    assert_int_equal(c.node.address_connections_per_s, 2);
    assert_int_equal(c.node.identity_requests_per_s, 3);
    assert_int_equal(c.node.address_connections_max, 4);
    assert_int_equal(c.node.address_handshakes_max, 5);
    assert_false(c.node.slow_failed_logins);
    assert_int_equal(c.node.log_level, LOG_DEBUG);
    assert_int_equal(c.node.log_format, LOG_JSON);
}

/* --- refusals ------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int line;
    const char *words; /* in the sentence */
} refusals[] = {
    {"", 1, "cluster_id is missing"},
    {HEAD, 5, "1 to 9 nodes, not 0"},
    {GOOD "colour = 1\n", 23, "no such option 'colour'"},
    {GOOD "shares = 3\n", 23, "given twice, the first time in line 2"},
    {GOOD "seal { }\nseal { }\n", 24, "seal is given twice, the first time in line 23"},
    {GOOD "server {\ncache_mb = 64\ncache_mb = 64\n}\n", 25, "given twice"},
    {GOOD "server {\ncache_gb = 64\n}\n", 24, "no such option 'cache_gb'"},
    {GOOD "server {\ncache_mb = 3\n}\n", 24, "cache_mb must be from 4 to 1048576, not 3"},
    {GOOD "server {\ncache_mb = many\n}\n", 24, "invalid integer"},
    {GOOD "server {\nscrub_rows_per_s = \"\"\n}\n", 24, "'scrub_rows_per_s': decimal digits"},
    {GOOD "server {\ncache_mb = 0100\n}\n", 24, "'cache_mb': decimal digits"},
    {GOOD "server {\naudit_blocks_kept = 01000000\n}\n", 24, "invalid integer"},
    {GOOD "server {\ncache_mb = 0x40\n}\n", 24, "invalid integer"},
    {GOOD "server {\ncache_mb = \" 64\"\n}\n", 24, "invalid integer"},
    {GOOD "server {\ncache_mb = \"64 \"\n}\n", 24, "invalid integer"},
    {GOOD "server {\ncache_mb = \"+64\"\n}\n", 24, "invalid integer"},
    {GOOD "server {\ncache_mb = \"-\"\n}\n", 24, "invalid integer"},
    {GOOD "server {\nscrub_rows_per_s = 00\n}\n", 24, "invalid integer"},
    {GOOD NODE("n4", "012345", "8401"), 25, "'api_port': decimal digits"},
    {GOOD "server {\nlog_level = \"loud\"\n}\n", 24, "log_level must be \"debug\", \"info\""},
    {GOOD "server {\nlog_format = \"xml\"\n}\n", 24, "log_format must be"},
    {GOOD "server {\nslow_failed_logins = \"maybe\"\n}\n", 24, "must be \"no\" or \"yes\""},
    {GOOD "server {\naddress_requests_per_s = -1\n}\n", 24, "from 0 to 1000000"},
    {GOOD "server {\nrequests_max = 0\n}\n", 24, "requests_max must be from 1"},
    {GOOD "server {\nrequest_deadline_ms = 99\n}\n", 24, "from 100 to 600000"},
    {GOOD "server {\ncache_mb = 99999999999999999999\n}\n", 24, "cache_mb"},
    {GOOD "server {\n\n", 23, "block does not end"},
    {GOOD "node \"n4\" {\n host = \"{\"\n", 23, "block does not end"},
    {GOOD "shares = {\n", 23, "block does not end"},
    {GOOD "}\n", 23, ""},
    {GOOD "/* no end\n\n", 23, "comment does not end"},
    {GOOD "\n\nx = \"abc", 25, "does not end"},
    {GOOD "x = \"abc\ndef\"\n", 23, "must end on its line"},
    {GOOD "x = 'abc\n'\n", 23, "must end on its line"},
    {GOOD "x = \"a\\nb\"\n", 23, "have no place"},
    {GOOD "x = \"${HOME}\"\n", 23, "have no place"},
    {GOOD "include(\"/etc/passwd\")\n", 23, "no such option 'include'"},
    {GOOD "seal { type = \"file\" }\n", 23, "needs check"},
    {GOOD "seal {\n check = \"" HEX32 "\"\n}\n", 24, "belongs to seal \"file\""},
    {GOOD "seal {\n type = \"magic\"\n}\n", 24, "type must be \"none\" or \"file\""},
    {GOOD "seal {\n type = \"file\"\n check = \"12\"\n}\n", 25, "check must be 64 hex"},
    {GOOD NODE("n1", "8401", "8501"), 23, "duplicate title 'n1'"},
    {GOOD NODE("N4", "8401", "8501"), 28, "a node's name must be"},
    {GOOD NODE("", "8401", "8501"), 28, "a node's name must be"},
    {GOOD NODE("n4", "7401", "8501"), 25, "api_port of node \"n4\" is used by node \"n1\""},
    {GOOD NODE("n4", "8401", "7502"), 26, "link_port of node \"n4\" is used by node \"n2\""},
    {GOOD NODE("n4", "7503", "8502"), 25, "api_port of node \"n4\" is used by node \"n3\""},
    {GOOD NODE("n4", "8401", "8401"), 26, "are the same"},
    {GOOD NODE("n4", "0", "8401"), 25, "api_port must be from 1 to 65535, not 0"},
    {GOOD NODE("n4", "8401", "65536"), 26, "link_port must be from 1 to 65535"},
    {GOOD NODE("n4", "-1", "8401"), 25, "api_port must be"},
    {GOOD NODE("n4", "84x", "8401"), 25, "invalid integer"},
    {GOOD "node \"n4\" {\nhost = \"h\"\napi_port = 1\nlink_port = 2\n}\n", 27,
     "share_key is missing in this node"},
    {GOOD "node \"n4\" {\nhost = \"a b\"\n}\n", 24, "host must be an address"},
    {GOOD "node \"n4\" {\nhost = \"\"\n}\n", 24, "host must be an address"},
    {GOOD "node \"n4\" {\nhost = \"-x\"\n}\n", 24, "host must be an address"},
    {GOOD "node \"n4\" {\nhost = \"::1:27401\"\n}\n", 24, "host must be an address"},
    {GOOD "node \"n4\" {\nhost = \"10.0.0.1:7401\"\n}\n", 24, "host must be an address"},
    {GOOD "node \"n4\" {\nlisten = \"*\"\n}\n", 24, "listen must be an address"},
    {GOOD "node \"n4\" {\nlisten = \"0.0.0.0:7401\"\n}\n", 24, "listen must be an address"},
    {GOOD "node \"n4\" {\ndirectory = \"\"\n}\n", 24, "directory must be a path"},
    {GOOD "node \"n4\" {\nshare_key = \"00\"\n}\n", 24, "share_key must be 64"},
    {GOOD "node {\n}\n", 23, ""},
    {"cluster_id = \"0011\"\n", 1, "cluster_id must be 32 hexadecimal digits"},
    {"cluster_id = \"00112233445566778899aabbccddeefg\"\n", 1, "cluster_id must be 32"},
    {"\n\nshares = 0\n", 3, "shares must be from 1 to 7, not 0"},
    {"shares = 8\n", 1, "shares must be from 1 to 7, not 8"},
    {"threshold = 0\n", 1, "threshold must be from 1 to 7"},
    {"shares = \n\n", 3, ""},
    {"shares 3\n", 1, ""},
    {"shares += 3\n", 1, ""},
    {"shares = {3}\n", 1, ""},
    {"shares = 3 }\n", 1, ""},
    {HEAD N1, 2, "with 1 node there can be 1 to 1 shares, not 3"},
    {HEAD N1 N2, 2, "with 2 nodes there can be 1 to 2 shares, not 3"},
    {"cluster_id = \"00112233445566778899aabbccddeeff\"\nshares = 3\n# k\nthreshold = 3\n"
     "admin_token_hash = \"" HEX32 "\"\n" N1 N2 N3,
     4, "threshold must be 2 (a majority), not 3"},
};

static void
test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        static const struct config empty;
        struct config c;
        char place[64];
        char why[512] = "";

        memset(&c, 1, sizeof(c));
        snprintf(place, sizeof(place), "/etc/ostraka/cluster.conf:%d: ", refusals[i].line);
        assert_int_equal(parse(refusals[i].text, "n1", &c, why), ERR_CONFIG);
        if (strncmp(why, place, strlen(place)) != 0 || !strstr(why, refusals[i].words))
            fail_msg("case %zu: \"%s\" is not \"%s...%s...\"", i, why, place, refusals[i].words);
        assert_int_equal(strchr(why, '\n') == NULL, 1);
        assert_memory_equal(&c, &empty, sizeof(c));
    }
    /* An error leaves nothing behind that would spoil the next file. */
    {
        struct config c;
        char why[512];

        assert_int_equal(parse(GOOD, "n1", &c, why), OK);
    }
}

static void
test_other_host_may_use_the_port(void **state)
{
    struct config c;
    char why[512];

    (void)state;
    assert_int_equal(parse(HEAD N1 N2 "node \"n4\" {\nhost = \"10.0.0.1\" api_port = 7401\n"
                                      "link_port = 7501 share_key = \"" HEX32 "\"\n}\n",
                           NULL, &c, why),
                     OK);
}

static void
test_unknown_node(void **state)
{
    struct config c;
    char why[512];

    (void)state;
    assert_int_equal(parse(GOOD, "n9", &c, why), ERR_CONFIG);
    assert_non_null(strstr(why, "there is no node \"n9\"; there is n1, n2, n3"));
}

static void
test_node_limit(void **state)
{
    struct buf text = {0};
    struct config c;
    char why[512];

    (void)state;
    assert_int_equal(buf_append_text(&text, HEAD), OK);
    for (int i = 1; i <= NODES_MAX + 1; i++)
        assert_int_equal(buf_printf(&text,
                                    "node \"n%d\" { host = \"h\" api_port = %d link_port = %d "
                                    "share_key = \"" HEX32 "\" }\n",
                                    i, 100 + i, 200 + i),
                         OK);
    assert_int_equal(buf_append(&text, bytes_of("", 1)), OK);
    assert_int_equal(parse((const char *)text.data, NULL, &c, why), ERR_CONFIG);
    assert_non_null(strstr(why, "cluster.conf:14: a cluster has at most 9 nodes"));
    buf_close(&text);
}

/* A message that does not fit is cut, never written past its end. */
static void
test_short_why(void **state)
{
    struct config c;
    char why[16];

    (void)state;
    memset(why, 'x', sizeof(why));
    assert_int_equal(config_parse("colour = 1\n", "/etc/cluster.conf", NULL, &c, why, 8),
                     ERR_CONFIG);
    assert_string_equal(why, "/etc/cl");
    assert_int_equal(why[8], 'x');
}

/* --- comments ------------------------------------------------------------------------------- */

static void
test_comments(void **state)
{
    static const char *const cases[][2] = {
        {"a # b\nc", "a    \nc"},
        {"a // b\nc", "a     \nc"},
        {"a /* b\nc */ d", "a     \n     d"},
        {"\"# // /*\" x", "\"# // /*\" x"},
        {"'#\"' # \"", "'#\"'    "},
        {"# \\ $", "     "},
        {"/**/x/* * /*/y", "    x        y"},
        {"a/b", "a/b"},
        {"//", "  "},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        const char *why;
        int line;

        assert_int_equal(config_text_prepare(cases[i][0], &out, &line, &why), OK);
        assert_string_equal((const char *)out.data, cases[i][1]);
        buf_close(&out);
    }
}

/* libconfuse by itself counts lines wrongly after comments. */
static void
test_lines_after_comments(void **state)
{
    struct config c;
    char why[512];

    (void)state;
    assert_int_equal(
        parse("# one\n// two\n/* three\n four */ # more\n\nshares = # here\n 9\n", NULL, &c, why),
        ERR_CONFIG);
    assert_non_null(strstr(why, "cluster.conf:7: shares must be"));
}

/* --- files and directories ------------------------------------------------------------------ */

struct fixture {
    char directory[64];
    char path[96];
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->directory, sizeof(f->directory), "/tmp/ostraka-config-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/cluster.conf", f->directory);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(directory_remove(f->directory), OK);
    free(f);
    return 0;
}

static void
put(const char *directory, const char *name, struct bytes content)
{
    char path[128];
    char why[256];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(file_replace(path, content, 0600, why, sizeof(why)), OK);
}

static void
test_directories(void **state)
{
    struct fixture *f = *state;
    struct config c;
    char why[512], expected[256], before[PATH_MAX];

    put(f->directory, "cluster.conf", bytes_of_text(GOOD));
    assert_int_equal(config_load(f->path, "n2", &c, why, sizeof(why)), OK);
    snprintf(expected, sizeof(expected), "%s/n2", f->directory);
    assert_string_equal(c.node.directory, expected);
    snprintf(expected, sizeof(expected), "%s/n2/node.key", f->directory);
    assert_string_equal(c.node.key, expected);
    snprintf(expected, sizeof(expected), "%s/n2/data", f->directory);
    assert_string_equal(c.node.data, expected);

    /* From inside the directory, by a relative path: still absolute. */
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->directory), 0);
    assert_int_equal(config_load("cluster.conf", "n2", &c, why, sizeof(why)), OK);
    assert_int_equal(chdir(before), 0);
    assert_string_equal(c.node.data, expected);

    /* In a node's own folder, which has the certificate. */
    put(f->directory, "node.crt", bytes_of_text("x"));
    assert_int_equal(config_load(f->path, "n2", &c, why, sizeof(why)), OK);
    assert_string_equal(c.node.directory, f->directory);
    snprintf(expected, sizeof(expected), "%s/storage.key", f->directory);
    assert_string_equal(c.node.storage_key, expected);
}

static void
test_given_directory(void **state)
{
    struct fixture *f = *state;
    struct config c;
    char why[512], expected[256];

    put(f->directory, "cluster.conf",
        bytes_of_text(HEAD N1 N2 "node n3 { host = h api_port = 1 link_port = 2\n"
                                 "share_key = \"" HEX32 "\" directory = \"state/three\" }\n"));
    put(f->directory, "node.crt", bytes_of_text("x"));
    assert_int_equal(config_load(f->path, "n3", &c, why, sizeof(why)), OK);
    snprintf(expected, sizeof(expected), "%s/state/three", f->directory);
    assert_string_equal(c.node.directory, expected);
    assert_string_equal(c.node.listen_host, "h");
}

static void
test_credentials(void **state)
{
    struct fixture *f = *state;
    struct config c;
    char why[512], expected[256];

    put(f->directory, "cluster.conf", bytes_of_text(GOOD));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", f->directory, 1), 0);
    assert_int_equal(config_load(f->path, "n1", &c, why, sizeof(why)), OK);
    snprintf(expected, sizeof(expected), "%s/n1/storage.key", f->directory);
    assert_string_equal(c.node.storage_key, expected);
    put(f->directory, "storage.key", bytes_of_text(HEX32));
    assert_int_equal(config_load(f->path, "n1", &c, why, sizeof(why)), OK);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    snprintf(expected, sizeof(expected), "%s/storage.key", f->directory);
    assert_string_equal(c.node.storage_key, expected);
}

static void
test_unreadable(void **state)
{
    struct fixture *f = *state;
    struct config c;
    char why[512];

    assert_int_equal(config_load(f->path, NULL, &c, why, sizeof(why)), ERR_IO);
    assert_non_null(strstr(why, "there is no such file"));
    assert_int_equal(config_load(f->directory, NULL, &c, why, sizeof(why)), ERR_IO);
    put(f->directory, "cluster.conf", bytes_of(GOOD "\0", sizeof(GOOD)));
    assert_int_equal(config_load(f->path, NULL, &c, why, sizeof(why)), ERR_CONFIG);
    assert_non_null(strstr(why, "not text"));
    put(f->directory, "cluster.conf", bytes_of_text(""));
    assert_int_equal(config_load(f->path, NULL, &c, why, sizeof(why)), ERR_CONFIG);
}

/* The commented sample of the repository is a configuration that works. */
static void
test_sample(void **state)
{
    char path[PATH_MAX];
    struct config c;
    char why[512];
    char *tail;

    (void)state;
    snprintf(path, sizeof(path), "%s", __FILE__);
    tail = strstr(path, "tests/unit/");
    assert_non_null(tail);
    snprintf(tail, sizeof(path) - (size_t)(tail - path), "cluster.conf");
    if (config_load(path, "n3", &c, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    assert_int_equal(c.cluster.node_count, 3);
    assert_int_equal(c.node.cache_bytes, 128 * 1024 * 1024);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_nodes_than_shares),
        cmocka_unit_test(test_understood),
        cmocka_unit_test(test_hash_is_set),
        cmocka_unit_test(test_all_options),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_host_may_use_the_port),
        cmocka_unit_test(test_unknown_node),
        cmocka_unit_test(test_node_limit),
        cmocka_unit_test(test_short_why),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_lines_after_comments),
        cmocka_unit_test(test_sample),
        TEST(test_directories),
        TEST(test_given_directory),
        TEST(test_credentials),
        TEST(test_unreadable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
