/* How much clients may ask of a node, by address, identity and tenant; and how failures slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/authority.h"
#include "actors/door.h"
#include "token_records.h"

#define READERS "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"read\",\"list\"]}]}"

enum { READER = 2, NODES = 3, LONG_SECONDS = 3600 };

struct fixture {
    struct actor_cluster *ac;
    struct test_token one, other; /* of one identity */
    struct rng_seeded seeded;
    struct rng rng;
    struct metrics metrics;
    struct door door;
    uint64_t later_ms; /* than the cluster's clock */
    unsigned retry_ms; /* of the last refusal */
};

static void
put_tenant(struct actor_cluster *ac, uint64_t requests_per_second)
{
    struct tenant tenant = {.name = bytes_of_text("default"),
                            .requests_per_second = requests_per_second};
    struct buf value = {0};
    assert_int_equal(tenant_encode(&tenant, &value), OK);
    records_put(ac, SYSTEM_TENANT, AUTH_KIND_TENANT, "default", &value);
}

static void
open_door(struct fixture *f, uint64_t seed, const struct door_limits *limits)
{
    memset(f, 0, sizeof(*f));
    f->ac = ac_cluster_of(NODES, seed);
    ac_run_ms(f->ac, 1000);
    records_put_tenant(f->ac, "default");
    records_put_policy(f->ac, "readers", READERS);
    records_put_identity(f->ac, READER, "readers", false);
    test_token_make(1, &f->one);
    test_token_make(2, &f->other);
    records_put_token(f->ac, &f->one, READER, 0, LONG_SECONDS);
    records_put_token(f->ac, &f->other, READER, 0, LONG_SECONDS);
    rng_seeded_init(&f->seeded, seed, &f->rng);
    assert_int_equal(door_init(&f->door, limits, node_membership(f->ac->nodes[0].node), &f->rng),
                     OK);
}

static void
close_door(struct fixture *f)
{
    door_close(&f->door);
    ac_end(f->ac);
}

static enum vault_err
enter(struct fixture *f, const char *address, const char *tenant, const char *credential)
{
    struct instant now = ac_monotonic(f->ac);
    struct door_caller caller = {bytes_of_text(address), bytes_of_text(tenant),
                                 bytes_of_text(credential)};
    struct step st = {.now = {now.ns + f->later_ms * 1000000},
                      .wall_ms = ac_wall_ms(f->ac, 0),
                      .metrics = &f->metrics};
    enum vault_err err = door_enter(&f->door, &st, &caller, &f->retry_ms);
    if (err == OK && authority_of_caller(f->door.membership, &st, caller.tenant,
                                         caller.credential) == ERR_UNAUTHENTICATED)
        door_failed(&f->door, st.now, caller.credential, caller.address);
    return err;
}

/* Of so many tries, how many get in. */
static unsigned
entered(struct fixture *f, unsigned tries, const char *address, const char *tenant,
        const char *credential)
{
    unsigned count = 0;
    for (unsigned i = 0; i < tries; i++)
        count += enter(f, address, tenant, credential) == OK;
    return count;
}

static void
nothing_is_limited_unless_configured(void **state)
{
    struct fixture f;
    struct door_limits none = {0};
    struct address here;
    (void)state;
    open_door(&f, 1, &none);
    assert_int_equal(address_parse(bytes_of_text("10.0.0.1"), &here), OK);
    assert_int_equal(entered(&f, 1000, "10.0.0.1", "default", "wrong"), 1000);
    assert_int_equal(entered(&f, 1000, "10.0.0.1", "default", f.one.text), 1000);
    assert_int_equal(entered(&f, 1000, "10.0.0.1", "default", ac_token), 1000);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(door_may_connect(&f.door, &here, ac_monotonic(f.ac)));
    assert_int_equal(f.metrics.counters[METRIC_limits_exceeded], 0);
    close_door(&f);
}

static void
addresses_have_their_share(void **state)
{
    struct fixture f;
    struct door_limits limits = {.address_requests_per_s = 10};
    (void)state;
    open_door(&f, 2, &limits);
    /* Whoever asks, and with what. */
    assert_int_equal(entered(&f, 8, "10.0.0.1", "default", f.one.text), 8);
    assert_int_equal(entered(&f, 8, "::ffff:10.0.0.1", "default", ""), 2);
    assert_int_equal(enter(&f, "10.0.0.1", "default", ac_token), ERR_RATE_LIMITED);
    assert_in_range(f.retry_ms, 1, 100);
    assert_int_equal(f.metrics.counters[METRIC_limits_exceeded], 7);
    assert_int_equal(enter(&f, "10.0.0.2", "default", f.one.text), OK);
    /* A site of IPv6 is one. */
    assert_int_equal(entered(&f, 12, "2001:db8::1", "default", ""), 10);
    assert_int_equal(entered(&f, 12, "2001:db8::2", "default", ""), 0);
    assert_int_equal(entered(&f, 12, "2001:db8:0:1::2", "default", ""), 10);
    f.later_ms = 1000;
    assert_int_equal(entered(&f, 12, "10.0.0.1", "default", ""), 10);
    close_door(&f);
}

static void
identities_have_theirs(void **state)
{
    struct fixture f;
    struct door_limits limits = {.identity_requests_per_s = 5};
    (void)state;
    open_door(&f, 3, &limits);
    /* By all its tokens, from everywhere; acting elsewhere, where it may not, counts too. */
    assert_int_equal(entered(&f, 2, "10.0.0.1", "default", f.one.text), 2);
    assert_int_equal(entered(&f, 2, "10.0.0.2", "default", f.other.text), 2);
    assert_int_equal(entered(&f, 2, "10.0.0.2", "elsewhere", f.other.text), 1);
    assert_int_equal(enter(&f, "10.0.0.3", "default", f.one.text), ERR_RATE_LIMITED);
    assert_in_range(f.retry_ms, 1, 200);
    /* The bootstrap token is another caller; a stranger is none. */
    assert_int_equal(entered(&f, 7, "10.0.0.1", "default", ac_token), 5);
    assert_int_equal(entered(&f, 100, "10.0.0.1", "default", "wrong"), 100);
    assert_int_equal(entered(&f, 100, "10.0.0.1", "default", ""), 100);
    f.later_ms = 200;
    assert_int_equal(entered(&f, 2, "10.0.0.1", "default", f.one.text), 1);
    close_door(&f);
}

static void
tenants_have_what_their_records_say(void **state)
{
    struct fixture f;
    struct door_limits none = {0};
    (void)state;
    open_door(&f, 4, &none);
    put_tenant(f.ac, 3);
    assert_int_equal(entered(&f, 2, "10.0.0.1", "default", f.one.text), 2);
    /* Nobody uses up the share of a tenant that they may not act in. */
    assert_int_equal(entered(&f, 50, "10.0.0.1", "default", "wrong"), 50);
    assert_int_equal(entered(&f, 2, "10.0.0.2", "default", f.other.text), 1);
    assert_int_equal(entered(&f, 50, "10.0.0.2", "elsewhere", f.other.text), 50);
    put_tenant(f.ac, 0);
    assert_int_equal(entered(&f, 50, "10.0.0.2", "default", f.other.text), 50);
    close_door(&f);
}

static void
connections_are_counted_by_address(void **state)
{
    struct fixture f;
    struct door_limits limits = {.address_connections_per_s = 4};
    struct address one, other, none = {0};
    unsigned first = 0;
    (void)state;
    open_door(&f, 5, &limits);
    assert_int_equal(address_parse(bytes_of_text("10.0.0.1"), &one), OK);
    assert_int_equal(address_parse(bytes_of_text("10.0.0.2"), &other), OK);
    for (unsigned i = 0; i < 9; i++) {
        first += door_may_connect(&f.door, &one, ac_monotonic(f.ac));
        assert_true(door_may_connect(&f.door, &none, ac_monotonic(f.ac)));
    }
    assert_int_equal(first, 4);
    assert_true(door_may_connect(&f.door, &other, ac_monotonic(f.ac)));
    close_door(&f);
}

/*
 * Tokens that never were and one that has been revoked fare alike: the same answers after the same
 * number of failures, the same waits. Who comes with a valid one is let in all the same.
 */
static void
failures_slow_whoever_makes_them(void **state)
{
    struct fixture f;
    struct door_limits limits = {.slow_failures = true};
    struct test_token unknown;
    (void)state;
    open_door(&f, 6, &limits);
    test_token_make(9, &unknown);
    struct request revoke = ac_make(REQUEST_RECORD_DELETE, f.other.name, NULL);
    revoke.tenant = bytes_of_text(SYSTEM_TENANT);
    assert_int_equal(ac_wait(f.ac, ac_send(f.ac, 1, &revoke))->reply.err, OK);
    const char *bad[] = {f.other.text, unknown.text, "nonsense", "a.b.c"};
    const char *from[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"};
    for (unsigned i = 0; i < 4; i++) {
        f.later_ms = 0;
        assert_int_equal(entered(&f, 10, from[i], "default", bad[i]), LOGIN_FREE_NAME);
        assert_int_equal(f.retry_ms, 1000);
        f.later_ms = 1001;
        assert_int_equal(enter(&f, from[i], "default", bad[i]), OK);
        assert_int_equal(enter(&f, from[i], "default", bad[i]), ERR_RATE_LIMITED);
        assert_int_equal(f.retry_ms, 2000);
    }
    close_door(&f);
}

/* Whoever tries one after the other waits, and keeps nobody from coming with a valid one. */
static void
failures_slow_an_address(void **state)
{
    struct fixture f;
    struct door_limits limits = {.slow_failures = true};
    unsigned count = 0;
    char text[16];
    (void)state;
    open_door(&f, 8, &limits);
    for (unsigned i = 0; i < 2 * LOGIN_FREE_ADDRESS; i++) {
        snprintf(text, sizeof(text), "nonsense-%u", i);
        count += enter(&f, "10.0.0.1", "default", text) == OK;
        assert_int_equal(enter(&f, "10.0.0.1", "default", f.one.text), OK);
        assert_int_equal(enter(&f, "10.0.0.1", "default", ac_token), OK);
        assert_int_equal(enter(&f, "10.0.0.1", "default", ""), OK);
    }
    assert_int_equal(count, LOGIN_FREE_ADDRESS);
    assert_int_equal(enter(&f, "10.0.0.1", "default", "other"), ERR_RATE_LIMITED);
    assert_int_equal(f.retry_ms, 1000);
    assert_int_equal(enter(&f, "10.0.0.2", "default", "other"), OK);
    f.later_ms = 1001;
    assert_int_equal(enter(&f, "10.0.0.1", "default", "yet another"), OK);
    assert_int_equal(enter(&f, "10.0.0.1", "default", "and another"), ERR_RATE_LIMITED);
    assert_int_equal(f.retry_ms, 2000);
    assert_int_equal(door_login_wait_ms(&f.door, (struct instant){ac_monotonic(f.ac).ns},
                                        bytes_of_text("role"), bytes_of_text("10.0.0.1")) > 0,
                     true);
    f.later_ms = 1000 * (LOGIN_FORGET_S + 60);
    assert_int_equal(entered(&f, 5, "10.0.0.1", "default", "other"), 5);
    close_door(&f);
}

/* One that is tried from everywhere is slow everywhere. */
static void
failures_slow_what_is_tried(void **state)
{
    struct fixture f;
    struct door_limits limits = {.slow_failures = true};
    char address[32];
    unsigned count = 0;
    (void)state;
    open_door(&f, 7, &limits);
    for (unsigned i = 1; i <= 30; i++) {
        snprintf(address, sizeof(address), "10.0.1.%u", i);
        count += enter(&f, address, "default", "nonsense") == OK;
    }
    assert_int_equal(count, LOGIN_FREE_NAME);
    assert_int_equal(enter(&f, "10.0.2.1", "default", "other-nonsense"), OK);
    close_door(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_limited_unless_configured),
        cmocka_unit_test(addresses_have_their_share),
        cmocka_unit_test(identities_have_theirs),
        cmocka_unit_test(tenants_have_what_their_records_say),
        cmocka_unit_test(connections_are_counted_by_address),
        cmocka_unit_test(failures_slow_whoever_makes_them),
        cmocka_unit_test(failures_slow_an_address),
        cmocka_unit_test(failures_slow_what_is_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
