/* What raises an alarm, once in a minute, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/alarms.h"
#include "auth/statement.h"
#include "crypto/base64.h"
#include "crypto/certificate.h"
#include "revocation_fixture.h"
#include "token_records.h"

#define READERS "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"read\",\"list\"]}]}"

enum { READER = 2, OTHER = 3, NODES = 3, LONG_SECONDS = 3600, MINUTE_MS = 60000 };

static struct test_token reader, other;

static struct actor_cluster *
cluster_of(uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_of(NODES, seed);
    ac_run_ms(ac, 1000);
    records_put_tenant(ac, "default");
    records_put_policy(ac, "readers", READERS);
    records_put_identity(ac, READER, "readers", false);
    records_put_identity(ac, OTHER, "readers", false);
    test_token_make(1, &reader);
    test_token_make(2, &other);
    records_put_token(ac, &reader, READER, 0, LONG_SECONDS);
    records_put_token(ac, &other, OTHER, 0, LONG_SECONDS);
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "b", "1")->reply.err, OK);
    return ac;
}

static enum vault_err
read_as(struct actor_cluster *ac, unsigned node, const char *credential, const char *name)
{
    struct request r = ac_make(REQUEST_READ, name, NULL);
    r.credential = bytes_of_text(credential);
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

static uint64_t
counted(const struct actor_cluster *ac, unsigned node, enum metric metric)
{
    return ac->nodes[node].metrics.counters[metric];
}

static void
bursts_of_denials(void **state)
{
    struct actor_cluster *ac = cluster_of(1);
    (void)state;
    for (unsigned i = 0; i < ALARM_DENIALS_MIN - 1; i++)
        assert_int_equal(read_as(ac, 1, reader.text, "b"), ERR_NOT_FOUND);
    assert_int_equal(read_as(ac, 1, reader.text, "app/a"), OK);
    assert_int_equal(read_as(ac, 1, reader.text, "app/none"), ERR_NOT_FOUND); /* not denied */
    assert_int_equal(counted(ac, 1, METRIC_requests_denied), ALARM_DENIALS_MIN - 1);
    assert_int_equal(counted(ac, 1, METRIC_alarms), 0);
    for (unsigned i = 0; i < 3 * ALARM_DENIALS_MIN; i++)
        assert_int_equal(read_as(ac, 1, reader.text, "b"), ERR_NOT_FOUND);
    assert_int_equal(counted(ac, 1, METRIC_alarms), 1);
    ac_run_ms(ac, MINUTE_MS + 1000);
    for (unsigned i = 0; i < ALARM_DENIALS_MIN; i++)
        assert_int_equal(read_as(ac, 1, reader.text, "b"), ERR_NOT_FOUND);
    assert_int_equal(counted(ac, 1, METRIC_alarms), 2);
    /* Slowly it is none. */
    for (unsigned i = 0; i < 2 * ALARM_DENIALS_MIN; i++) {
        assert_int_equal(read_as(ac, 0, reader.text, "b"), ERR_NOT_FOUND);
        ac_run_ms(ac, MINUTE_MS / 10);
    }
    assert_int_equal(counted(ac, 0, METRIC_alarms), 0);
    ac_end(ac);
}

static void
credentials_that_are_not_valid(void **state)
{
    struct actor_cluster *ac = cluster_of(2);
    struct test_token unknown;
    (void)state;
    test_token_make(9, &unknown);
    for (unsigned i = 0; i < 2 * ALARM_FAILURES_MIN; i++)
        assert_int_equal(read_as(ac, 1, unknown.text, "app/a"), ERR_UNAUTHENTICATED);
    assert_int_equal(counted(ac, 1, METRIC_credentials_refused), 2 * ALARM_FAILURES_MIN);
    assert_int_equal(counted(ac, 1, METRIC_alarms), 1);
    assert_int_equal(counted(ac, 1, METRIC_tokens_revoked_used), 0);
    ac_end(ac);
}

/* The record is gone, or the identity is not to act any more. */
static void
revoked_tokens(void **state)
{
    struct actor_cluster *ac = cluster_of(3);
    (void)state;
    struct request revoke = ac_make(REQUEST_RECORD_DELETE, reader.name, NULL);
    revoke.tenant = bytes_of_text(SYSTEM_TENANT);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &revoke))->reply.err, OK);
    records_put_identity(ac, OTHER, "readers", true);
    assert_int_equal(read_as(ac, 0, reader.text, "app/a"), ERR_UNAUTHENTICATED);
    assert_int_equal(counted(ac, 0, METRIC_tokens_revoked_used), 1);
    assert_int_equal(counted(ac, 0, METRIC_alarms), 1);
    assert_int_equal(read_as(ac, 0, reader.text, "app/a"), ERR_UNAUTHENTICATED);
    assert_int_equal(counted(ac, 0, METRIC_alarms), 1);
    assert_int_equal(read_as(ac, 2, other.text, "app/a"), ERR_UNAUTHENTICATED);
    assert_int_equal(counted(ac, 2, METRIC_tokens_revoked_used), 1);
    ac_end(ac);
}

/* ---- lists of revoked certificates ---- */

static void
put_authority(struct actor_cluster *ac, const char *tenant, const char *certificate,
              uint8_t mark[static HASH_BYTES])
{
    struct client_authority authority = {0};
    struct buf value = {0};
    struct bytes subject;
    uint8_t der[2048];
    size_t size;
    assert_int_equal(base64_decode(bytes_of_text(certificate), der, sizeof(der), &size), OK);
    authority.certificate = bytes_of(der, size);
    assert_int_equal(certificate_authority_of(authority.certificate, &subject, mark), OK);
    assert_int_equal(client_authority_encode(&authority, &value), OK);
    records_put(ac, tenant, AUTH_KIND_CLIENT_AUTHORITY, "ca", &value);
}

/* Of a period of 1000 s. */
static void
put_list(struct actor_cluster *ac, const char *tenant, const uint8_t mark[static HASH_BYTES],
         uint64_t left_s)
{
    struct revocations list = {.number = bytes_of_text("1")};
    struct buf value = {0};
    list.next_update_ms = ac_wall_ms(ac, 0) + left_s * 1000;
    list.this_update_ms = list.next_update_ms - UINT64_C(1000) * 1000;
    memcpy(list.authority, mark, HASH_BYTES);
    assert_int_equal(revocations_encode(&list, &value), OK);
    records_put(ac, tenant, AUTH_KIND_CLIENT_AUTHORITY, "crl", &value);
}

static void
expect_lists(const struct actor_cluster *ac, uint64_t due, uint64_t overdue, uint64_t alarms)
{
    for (unsigned i = 0; i < NODES; i++) {
        const struct list_watch *lists = &node_membership(ac->nodes[i].node)->alarms->lists;
        assert_int_equal(lists->found.due, due);
        assert_int_equal(lists->found.overdue, overdue);
        assert_int_equal(counted(ac, i, METRIC_alarms), alarms);
    }
}

static void
lists_that_are_due(void **state)
{
    enum { LOOK_MS = (LIST_WATCH_INTERVAL_S + 2) * 1000 };
    struct actor_cluster *ac = cluster_of(8);
    uint8_t mark[HASH_BYTES], others[HASH_BYTES];
    (void)state;
    put_authority(ac, "default", authority_ec, mark);
    put_list(ac, "default", mark, 140);
    ac_run_ms(ac, LOOK_MS);
    expect_lists(ac, 0, 0, 0); /* it is near 100 s before */
    ac_run_ms(ac, 40000);
    expect_lists(ac, 1, 0, 0);
    ac_run_ms(ac, 100000);
    expect_lists(ac, 1, 1, 1);
    ac_run_ms(ac, 3 * LOOK_MS);
    expect_lists(ac, 1, 1, 1); /* told once */
    put_list(ac, "default", mark, 900);
    ac_run_ms(ac, LOOK_MS);
    expect_lists(ac, 0, 0, 1);
    put_list(ac, "default", mark, 1);
    ac_run_ms(ac, LOOK_MS);
    expect_lists(ac, 1, 1, 2);
    /* Of an authority that is not the tenant's it says nothing. */
    put_authority(ac, "default", authority_other, others);
    ac_run_ms(ac, LOOK_MS);
    expect_lists(ac, 0, 0, 2);
    ac_end(ac);
}

/* More than are looked at in one step; those that are deleted do not count. */
static void
lists_of_many_tenants(void **state)
{
    enum { TENANTS = 2 * LIST_WATCH_AT_ONCE + 1 };
    struct actor_cluster *ac = cluster_of(9);
    uint8_t mark[HASH_BYTES];
    (void)state;
    for (unsigned i = 0; i < TENANTS; i++) {
        char tenant[16];
        snprintf(tenant, sizeof(tenant), "team-%u", i);
        records_put_tenant(ac, tenant);
        put_authority(ac, tenant, authority_ec, mark);
        put_list(ac, tenant, mark, i % 2 == 0 ? 50 : 1000);
    }
    char name[64];
    snprintf(name, sizeof(name), "_auth/%s/crl", auth_kind_name(AUTH_KIND_CLIENT_AUTHORITY));
    struct request delete = ac_make(REQUEST_RECORD_DELETE, name, NULL);
    delete.tenant = bytes_of_text("team-0");
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &delete))->reply.err, OK);
    ac_run_ms(ac, 2 * LIST_WATCH_INTERVAL_S * 1000);
    expect_lists(ac, TENANTS / 2, 0, 0);
    ac_end(ac);
}

/* A broken node presents a credential that it has seen, for what that does not allow. */
static void
nodes_that_ask_for_too_much(void **state)
{
    struct actor_cluster *ac = cluster_of(4);
    (void)state;
    for (unsigned i = 0; i < 3 * ALARM_PEER_MIN; i++) {
        struct msg m = {.kind = MSG_READ,
                        .op = 1000 + i,
                        .request_id = bytes_of_text("mine"),
                        .path = {bytes_of_text("default"), bytes_of_text(i % 2 ? "b" : "app/a")}};
        m.u.read.credential = bytes_of_text(reader.text);
        assert_int_equal(ac_inject(ac, 2, 0, &m), OK);
        ac_run_ms(ac, 10);
    }
    assert_int_equal(counted(ac, 0, METRIC_peers_denied), 3 * ALARM_PEER_MIN / 2);
    assert_int_equal(counted(ac, 0, METRIC_alarms), 1);
    /* Those of honest nodes are denied where they are made, and raise none at the others. */
    for (unsigned i = 0; i < ALARM_PEER_MIN; i++)
        assert_int_equal(read_as(ac, 2, reader.text, "b"), ERR_NOT_FOUND);
    assert_int_equal(counted(ac, 1, METRIC_peers_denied), 0);
    assert_int_equal(counted(ac, 1, METRIC_alarms), 0);
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bursts_of_denials),     cmocka_unit_test(credentials_that_are_not_valid),
        cmocka_unit_test(revoked_tokens),        cmocka_unit_test(lists_that_are_due),
        cmocka_unit_test(lists_of_many_tenants), cmocka_unit_test(nodes_that_ask_for_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
