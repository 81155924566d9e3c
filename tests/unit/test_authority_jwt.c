/*
 * JSON web tokens as bearers in a cluster: every node checks them by the records of their issuers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "actors/authority.h"
#include "actors/door.h"
#include "auth/issuer.h"
#include "auth/login.h"
#include "crypto/base64.h"
#include "token_records.h"

#define READERS "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"read\",\"list\"]}]}"
#define WRITERS                                                                                    \
    "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"create\",\"read\",\"update\"]}]}"
#define ISSUER_NAME "https://id.example"
#define HEADER      "{\"alg\":\"EdDSA\",\"kid\":\"k1\"}"

enum { NODES = 3, TEXT_BYTES = 1024 };

struct key_pair {
    uint8_t public_half[crypto_sign_PUBLICKEYBYTES], private_half[crypto_sign_SECRETKEYBYTES];
};

static struct key_pair
key_pair_of(uint8_t number)
{
    uint8_t seed[crypto_sign_SEEDBYTES] = {number};
    struct key_pair pair;
    assert_int_equal(crypto_sign_seed_keypair(pair.public_half, pair.private_half, seed), 0);
    return pair;
}

static void
put_issuer(struct actor_cluster *ac, const char *tenant, const struct key_pair *pair)
{
    struct issuer issuer = {
        .name = bytes_of_text(ISSUER_NAME),
        .audiences = {1, {bytes_of_text("vault")}},
        .ttl_ms_max = 3600 * 1000,
        .key_count = 1,
        .keys = {{bytes_of_text("k1"),
                  {.kind = SIGNATURE_ED25519,
                   .key = bytes_of(pair->public_half, sizeof(pair->public_half))}}},
        .role_count = 3,
        .roles = {
            {bytes_of_text("role"), bytes_of_text("reader"), {1, {bytes_of_text("readers")}}},
            {bytes_of_text("role"), bytes_of_text("writer"), {1, {bytes_of_text("writers")}}},
            {bytes_of_text("role"), bytes_of_text("chief"), {1, {bytes_of_text("operator")}}}}};
    char key[ISSUER_KEY_TEXT_BYTES + 1];
    struct buf value = {0};
    issuer_key(issuer.name, key);
    assert_int_equal(issuer_encode(&issuer, &value), OK);
    records_put(ac, tenant, AUTH_KIND_ISSUER, key, &value);
}

static struct actor_cluster *
cluster_of(uint64_t seed, const struct key_pair *pair)
{
    struct actor_cluster *ac = ac_cluster_of(NODES, seed);
    ac_run_ms(ac, 1000);
    records_put_tenant(ac, "default");
    records_put_tenant(ac, "elsewhere");
    records_put_policy(ac, "readers", READERS);
    records_put_policy(ac, "writers", WRITERS);
    put_issuer(ac, "default", pair);
    return ac;
}

/* `from_s`, `to_s`: "nbf" and "exp", in seconds from the beginning of the test's time. */
static void
make(const struct key_pair *pair, const char *audience, const char *subject, const char *role,
     int from_s, int to_s, char out[static TEXT_BYTES])
{
    uint8_t signature[crypto_sign_BYTES];
    struct buf text = {0};
    char claims[512];
    snprintf(claims, sizeof(claims),
             "{\"iss\":\"" ISSUER_NAME "\",\"aud\":\"%s\",\"sub\":\"%s\",\"role\":\"%s\","
             "\"nbf\":%d,\"exp\":%d}",
             audience, subject, role, TEST_WALL_SECONDS + from_s, TEST_WALL_SECONDS + to_s);
    assert_int_equal(base64url_encode(bytes_of_text(HEADER), &text), OK);
    assert_int_equal(buf_append_text(&text, "."), OK);
    assert_int_equal(base64url_encode(bytes_of_text(claims), &text), OK);
    assert_int_equal(
        crypto_sign_detached(signature, NULL, text.data, text.size, pair->private_half), 0);
    assert_int_equal(buf_append_text(&text, "."), OK);
    assert_int_equal(base64url_encode(bytes_of(signature, sizeof(signature)), &text), OK);
    assert_true(text.size < TEXT_BYTES);
    snprintf(out, TEXT_BYTES, "%.*s", (int)text.size, (const char *)text.data);
    buf_close(&text);
}

static enum vault_err
ask(struct actor_cluster *ac, unsigned node, const char *credential, enum request_kind kind,
    const char *name, const char *value)
{
    struct request r = ac_make(kind, name, value);
    r.credential = bytes_of_text(credential);
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

static void
roles_give_policies_at_every_node(void **state)
{
    struct key_pair pair = key_pair_of(1);
    struct actor_cluster *ac = cluster_of(10, &pair);
    char reader[TEXT_BYTES], writer[TEXT_BYTES], nobody[TEXT_BYTES], name[16];
    (void)state;
    make(&pair, "vault", "anna", "reader", 0, 600, reader);
    make(&pair, "vault", "bert", "writer", 0, 600, writer);
    make(&pair, "vault", "carl", "guest", 0, 600, nobody);
    for (unsigned node = 0; node < NODES; node++) {
        snprintf(name, sizeof(name), "app/%u", node);
        assert_int_equal(ask(ac, node, writer, REQUEST_CREATE, name, "1"), OK);
        assert_int_equal(ask(ac, node, writer, REQUEST_UPDATE, name, "2"), OK);
        assert_int_equal(ask(ac, node, reader, REQUEST_READ, name, NULL), OK);
        assert_int_equal(ask(ac, node, reader, REQUEST_UPDATE, name, "3"), ERR_FORBIDDEN);
        assert_int_equal(ask(ac, node, nobody, REQUEST_READ, name, NULL), ERR_NOT_FOUND);
        assert_int_equal(ask(ac, node, writer, REQUEST_CREATE, "other", "1"), ERR_NOT_FOUND);
    }
    ac_end(ac);
}

/* Times are looked at anew each time, however often a token has been good. */
static void
what_makes_one_invalid(void **state)
{
    struct key_pair pair = key_pair_of(1), strange = key_pair_of(2);
    struct actor_cluster *ac = cluster_of(20, &pair);
    char good[TEXT_BYTES], bad[TEXT_BYTES], shorter[TEXT_BYTES];
    (void)state;
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    make(&pair, "vault", "anna", "reader", 0, 600, good);
    make(&pair, "vault", "anna", "reader", 0, 40, shorter);
    for (unsigned node = 0; node < NODES; node++) {
        make(&strange, "vault", "anna", "reader", 0, 600, bad);
        assert_int_equal(ask(ac, node, bad, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
        make(&pair, "another", "anna", "reader", 0, 600, bad);
        assert_int_equal(ask(ac, node, bad, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
        make(&pair, "vault", "anna", "reader", -600, 0, bad);
        assert_int_equal(ask(ac, node, bad, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
        make(&pair, "vault", "anna", "reader", 300, 600, bad);
        assert_int_equal(ask(ac, node, bad, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
        make(&pair, "vault", "anna", "reader", 0, 9000, bad);
        assert_int_equal(ask(ac, node, bad, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
        snprintf(bad, sizeof(bad), "%s", good);
        bad[strlen(HEADER) * 4 / 3 + 10] ^= 1;
        assert_int_equal(ask(ac, node, bad, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
        assert_int_equal(ask(ac, node, good, REQUEST_READ, "app/a", NULL), OK);
        assert_int_equal(ask(ac, node, shorter, REQUEST_READ, "app/a", NULL), OK);
    }
    ac_run_ms(ac, 40000);
    for (unsigned node = 0; node < NODES; node++) {
        assert_int_equal(ask(ac, node, good, REQUEST_READ, "app/a", NULL), OK);
        assert_int_equal(ask(ac, node, shorter, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
    }
    ac_end(ac);
}

/* A key that the issuer has no more is good for nothing, at once. */
static void
keys_and_issuers_go(void **state)
{
    struct key_pair pair = key_pair_of(1), next = key_pair_of(3);
    struct actor_cluster *ac = cluster_of(30, &pair);
    char before[TEXT_BYTES], after[TEXT_BYTES], name[160], key[ISSUER_KEY_TEXT_BYTES + 1];
    (void)state;
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    make(&pair, "vault", "anna", "reader", 0, 600, before);
    make(&next, "vault", "anna", "reader", 0, 600, after);
    for (unsigned node = 0; node < NODES; node++)
        assert_int_equal(ask(ac, node, before, REQUEST_READ, "app/a", NULL), OK);
    put_issuer(ac, "default", &next);
    for (unsigned node = 0; node < NODES; node++) {
        assert_int_equal(ask(ac, node, before, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
        assert_int_equal(ask(ac, node, after, REQUEST_READ, "app/a", NULL), OK);
    }
    issuer_key(bytes_of_text(ISSUER_NAME), key);
    snprintf(name, sizeof(name), "_auth/issuer/%s", key);
    struct request gone = ac_make(REQUEST_RECORD_DELETE, name, NULL);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &gone))->reply.err, OK);
    for (unsigned node = 0; node < NODES; node++)
        assert_int_equal(ask(ac, node, after, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
    ac_end(ac);
}

/* Nobody acts in a tenant by the issuers of another, nor runs the cluster by those of a tenant. */
static void
issuers_are_trusted_by_their_tenants(void **state)
{
    struct key_pair pair = key_pair_of(1), theirs = key_pair_of(4);
    struct actor_cluster *ac = cluster_of(40, &pair);
    char anna[TEXT_BYTES], chief[TEXT_BYTES], foreign[TEXT_BYTES];
    (void)state;
    put_issuer(ac, "elsewhere", &theirs);
    make(&pair, "vault", "anna", "reader", 0, 600, anna);
    make(&pair, "vault", "dora", "chief", 0, 600, chief);
    make(&theirs, "vault", "dora", "chief", 0, 600, foreign);
    struct request r = ac_make(REQUEST_READ, "app/a", NULL);
    r.tenant = bytes_of_text("elsewhere");
    r.credential = bytes_of_text(anna);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &r))->reply.err, ERR_UNAUTHENTICATED);
    r.credential = bytes_of_text(foreign);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &r))->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ask(ac, 1, anna, REQUEST_RECORD_PUT, "_auth/policy/x", "x"), ERR_NOT_FOUND);
    assert_int_equal(ask(ac, 1, foreign, REQUEST_RECORD_PUT, "_auth/policy/x", "x"),
                     ERR_UNAUTHENTICATED);
    assert_int_equal(ask(ac, 1, chief, REQUEST_RECORD_PUT, "_auth/policy/x", "x"), OK);
    assert_int_equal(ask(ac, 1, chief, REQUEST_CREATE, "app/a", "x"), ERR_NOT_FOUND);
    ac_end(ac);
}

/* By whom versions are made, and whose Idempotency-Keys are remembered: the same at all nodes. */
static void
callers_are_subjects(void **state)
{
    struct key_pair pair = key_pair_of(1), strange = key_pair_of(2);
    struct actor_cluster *ac = cluster_of(50, &pair);
    char first[TEXT_BYTES], second[TEXT_BYTES], bert[TEXT_BYTES], forged[TEXT_BYTES];
    char memory[CALLER_BYTES], before[CALLER_BYTES];
    struct path path = {bytes_of_text("default"), bytes_of_text("app/a")};
    (void)state;
    make(&pair, "vault", "anna", "writer", 0, 600, first);
    make(&pair, "vault", "anna", "writer", 0, 700, second);
    make(&pair, "vault", "bert", "writer", 0, 600, bert);
    make(&strange, "vault", "anna", "writer", 0, 600, forged);
    const struct membership *ms = node_membership(ac->nodes[0].node);
    assert_int_equal(authority_caller(ms, path, bytes_of_text(first), before).size,
                     UUID_TEXT_BYTES);
    for (unsigned node = 0; node < NODES; node++) {
        ms = node_membership(ac->nodes[node].node);
        struct bytes who = authority_caller(ms, path, bytes_of_text(second), memory);
        assert_true(bytes_equal(who, bytes_of_text(before)));
        who = authority_caller(ms, path, bytes_of_text(bert), memory);
        assert_false(bytes_equal(who, bytes_of_text(before)));
        assert_int_equal(authority_caller(ms, path, bytes_of_text(forged), memory).size, 0);
    }
    struct request r = ac_make(REQUEST_CREATE, "app/a", "1");
    r.idempotency_key = bytes_of_text("key");
    r.credential = bytes_of_text(first);
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &r))->reply.err, OK);
    r.credential = bytes_of_text(second);
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &r))->reply.err, OK);
    r.credential = bytes_of_text(bert);
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &r))->reply.err, ERR_ALREADY_EXISTS);
    ac_end(ac);
}

/* ---- logins: a node that is broken asks the others for other tokens than a login makes ---- */

static enum vault_err
try_put(struct actor_cluster *ac, unsigned node, const char *credential, const struct token *token,
        const char *name)
{
    const struct membership *ms = node_membership(ac->nodes[node].node);
    struct step st = {.now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, node)};
    uint8_t accessor[ACCESSOR_BYTES], memory[RECORD_NAME_BYTES_MAX];
    char key[2 * ACCESSOR_BYTES + 1];
    struct buf value = {0};
    struct path path;
    ticket_accessor(token->hash, accessor);
    hex_encode(bytes_of(accessor, sizeof(accessor)), key);
    assert_int_equal(token_encode(token, &value), OK);
    assert_int_equal(record_path_make(bytes_of_text(SYSTEM_TENANT), bytes_of_text("token"),
                                      bytes_of_text(name ? name : key), memory, &path),
                     OK);
    enum vault_err err = authority_of_record(ms, &st, path, RECORD_CHANGE, buf_bytes(&value),
                                             bytes_of_text(credential));
    if (!name)
        assert_int_not_equal(authority_of_record(ms, &st, path, RECORD_REMOVE, (struct bytes){0},
                                                 bytes_of_text(credential)),
                             OK);
    buf_close(&value);
    return err;
}

static void
a_login_makes_what_it_says_and_nothing_else(void **state)
{
    struct key_pair pair = key_pair_of(1), strange = key_pair_of(2);
    struct actor_cluster *ac = cluster_of(60, &pair);
    char jwt[TEXT_BYTES], bert[TEXT_BYTES], guest[TEXT_BYTES], forged[TEXT_BYTES];
    const uint8_t hash[HASH_BYTES] = {1, 2, 3};
    struct token good;
    struct login login;
    (void)state;
    make(&pair, "vault", "anna", "reader", 0, 600, jwt);
    make(&pair, "vault", "bert", "reader", 0, 600, bert);
    make(&pair, "vault", "anna", "guest", 0, 600, guest);
    make(&strange, "vault", "anna", "reader", 0, 600, forged);
    const struct membership *ms = node_membership(ac->nodes[1].node);
    struct step st = {.now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, 1)};
    struct bytes tenant = bytes_of_text("default");
    assert_int_equal(authority_login(ms, &st, tenant, bytes_of_text(guest), &login),
                     ERR_UNAUTHENTICATED);
    assert_int_equal(authority_login(ms, &st, tenant, bytes_of_text(jwt), &login), OK);
    assert_int_equal(login_token(&login, st.wall_ms, hash, &good), OK);
    struct token more = good, longer = good, lasting = good, other = good, old = good, child = good,
                 elsewhere = good, all = good;
    more.policies.names[more.policies.count++] = bytes_of_text("writers");
    all.policies.count = 0;
    longer.expires_ms = longer.latest_ms = good.expires_ms + 1;
    lasting.ttl_ms = 60000;
    lasting.latest_ms += 3600000;
    other.identity[0] ^= 1;
    old.created_ms -= 3600000;
    child.has_parent = true;
    child.depth = 1;
    elsewhere.tenant = bytes_of_text("elsewhere");
    const struct token *wrong[] = {&more, &longer, &lasting,   &other,
                                   &old,  &child,  &elsewhere, &all};
    for (unsigned node = 0; node < NODES; node++) {
        assert_int_equal(try_put(ac, node, jwt, &good, NULL), OK);
        assert_int_not_equal(try_put(ac, node, bert, &good, NULL), OK);
        assert_int_not_equal(try_put(ac, node, guest, &good, NULL), OK);
        assert_int_equal(try_put(ac, node, forged, &good, NULL), ERR_UNAUTHENTICATED);
        assert_int_not_equal(try_put(ac, node, jwt, &good, "00000000000000000000000000000000"), OK);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
            if (try_put(ac, node, jwt, wrong[i], NULL) == OK)
                fail_msg("node %u takes token %zu", node, i);
    }
    ac_end(ac);
}

static enum vault_err
enter(struct door *door, const struct step *st, const char *credential)
{
    const struct door_caller caller = {.address = bytes_of_text("10.0.0.1"),
                                       .tenant = bytes_of_text("default"),
                                       .credential = bytes_of_text(credential)};
    unsigned retry_ms;
    return door_enter(door, st, &caller, &retry_ms);
}

/* Valid ones may come from an address that waits; but so many are looked at, and no more. */
static void
forged_ones_are_not_all_verified(void **state)
{
    struct key_pair pair = key_pair_of(1), strange = key_pair_of(2);
    struct actor_cluster *ac = cluster_of(70, &pair);
    struct door_limits limits = {.slow_failures = true};
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    struct step st = {.now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, 1), .metrics = metrics};
    struct rng_seeded seeded;
    struct rng rng;
    struct door door;
    char good[TEXT_BYTES], text[TEXT_BYTES], subject[16];
    (void)state;
    assert_non_null(metrics);
    make(&pair, "vault", "anna", "reader", 0, 600, good);
    rng_seeded_init(&seeded, 1, &rng);
    assert_int_equal(door_init(&door, &limits, node_membership(ac->nodes[1].node), &rng), OK);
    for (unsigned i = 0; i < 2 * LOGIN_FREE_ADDRESS; i++) {
        snprintf(text, sizeof(text), "nonsense-%u", i);
        door_failed(&door, st.now, bytes_of_text(text), bytes_of_text("10.0.0.1"));
    }
    for (unsigned i = 1; i < DOOR_SIGNATURES_PER_S; i++) {
        snprintf(subject, sizeof(subject), "anna-%u", i);
        make(&strange, "vault", subject, "reader", 0, 600, text);
        assert_int_equal(enter(&door, &st, text), ERR_RATE_LIMITED);
    }
    assert_int_equal(enter(&door, &st, good), OK);
    assert_int_equal(enter(&door, &st, good), ERR_RATE_LIMITED);
    st.now = instant_add(st.now, duration_ms(20));
    assert_int_equal(enter(&door, &st, good), OK);
    door_close(&door);
    free(metrics);
    ac_end(ac);
}

/* A token that was good under one record is not remembered for another. */
static void
what_is_remembered(void **state)
{
    static struct verified verified;
    struct bytes token = bytes_of_text("a.b.c"), record = bytes_of_text("record");
    (void)state;
    assert_false(verified_has(&verified, record, token));
    assert_false(verified_has(NULL, record, token));
    verified_add(&verified, record, token);
    assert_true(verified_has(&verified, record, token));
    assert_false(verified_has(&verified, bytes_of_text("other"), token));
    assert_false(verified_has(&verified, record, bytes_of_text("a.b.d")));
    assert_false(verified_has(&verified, bytes_of_text("recorda"), bytes_of_text(".b.c")));
    for (unsigned i = 0; i < 20 * VERIFIED_ENTRIES; i++) {
        char other[16];
        snprintf(other, sizeof(other), "%u", i);
        verified_add(&verified, record, bytes_of_text(other));
    }
    assert_false(verified_has(&verified, record, token));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_give_policies_at_every_node),
        cmocka_unit_test(what_makes_one_invalid),
        cmocka_unit_test(keys_and_issuers_go),
        cmocka_unit_test(issuers_are_trusted_by_their_tenants),
        cmocka_unit_test(callers_are_subjects),
        cmocka_unit_test(a_login_makes_what_it_says_and_nothing_else),
        cmocka_unit_test(forged_ones_are_not_all_verified),
        cmocka_unit_test(what_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
