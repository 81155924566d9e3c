/* Token buckets and slowed logins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/limiter.h"
#include "crypto/secret.h"

#define SECOND UINT64_C(1000000000)

static struct rng_seeded seeded;
static struct rng rng;

static int
set_up(void **state)
{
    (void)state;
    rng_seeded_init(&seeded, 3, &rng);
    return crypto_init() == OK ? 0 : -1;
}

static struct limiter *
new_limiter(size_t entries)
{
    struct limiter *limiter;

    assert_int_equal(limiter_new(entries, &rng, &limiter), OK);
    return limiter;
}

static bool
take(struct limiter *limiter, const char *key, struct limit_rate rate, uint64_t now_ns)
{
    struct duration wait;
    bool taken = limiter_take(limiter, LIMIT_IDENTITY, bytes_of_text(key), rate,
                              (struct instant){now_ns}, &wait);

    assert_int_equal(taken, wait.ns == 0);
    return taken;
}

static struct address
address_of_text(const char *text)
{
    struct address address;

    assert_int_equal(address_parse(bytes_of_text(text), &address), OK);
    return address;
}

static void
bursts_and_rates(void **state)
{
    struct limiter *limiter = new_limiter(16);
    struct limit_rate rate = {.per_second = 10, .burst = 3};
    struct duration wait;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_true(take(limiter, "a", rate, SECOND));
    assert_false(take(limiter, "a", rate, SECOND));
    assert_true(take(limiter, "b", rate, SECOND)); /* a bucket of its own */
    assert_false(limiter_take(limiter, LIMIT_IDENTITY, bytes_of_text("a"), rate,
                              (struct instant){SECOND}, &wait));
    assert_int_equal(wait.ns, SECOND / 10);
    assert_false(take(limiter, "a", rate, SECOND + wait.ns - 1));
    assert_true(take(limiter, "a", rate, SECOND + wait.ns));
    assert_false(take(limiter, "a", rate, SECOND + wait.ns));
    /* The same key of another kind is another bucket. */
    assert_true(limiter_take(limiter, LIMIT_TENANT, bytes_of_text("a"), rate,
                             (struct instant){SECOND}, &wait));
    /* A long rest fills no more than the burst. */
    for (unsigned i = 0; i < 3; i++)
        assert_true(take(limiter, "a", rate, 1000 * SECOND));
    assert_false(take(limiter, "a", rate, 1000 * SECOND));
    limiter_free(limiter);
}

/* In any time, no more than the rate allows and one burst. */
static void
over_time(void **state)
{
    struct limiter *limiter = new_limiter(16);
    struct limit_rate rate = {.per_second = 7, .burst = 5};
    unsigned taken = 0;

    (void)state;
    for (uint64_t now = SECOND; now < 101 * SECOND; now += SECOND / 50)
        taken += take(limiter, "a", rate, now);
    assert_in_range(taken, 7 * 100, 7 * 100 + 6);
    limiter_free(limiter);
}

static void
no_limit(void **state)
{
    struct limiter *limiter = new_limiter(1);
    struct limit_rate none = {0}, beyond = {UINT32_MAX, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        assert_true(take(limiter, "a", none, SECOND));
    assert_int_equal(limiter_count(limiter), 0);
    assert_true(take(limiter, "a", beyond, UINT64_MAX / 2));
    limiter_free(limiter);
}

static void
bounded(void **state)
{
    struct limiter *limiter = new_limiter(100);
    struct limit_rate rate = {.per_second = 1, .burst = 1};
    char key[16];

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        assert_true(take(limiter, key, rate, SECOND));
        assert_true(limiter_count(limiter) <= 100);
        /* What is used stays, however many others come. */
        assert_int_equal(take(limiter, "used", rate, SECOND), i == 0);
    }
    for (unsigned i = 4999; i > 4999 - 99; i--) {
        (void)snprintf(key, sizeof key, "k%u", i);
        assert_false(take(limiter, key, rate, SECOND));
    }
    assert_true(take(limiter, "k0", rate, SECOND)); /* long forgotten */
    limiter_free(limiter);
}

static void
sizes(void **state)
{
    struct limiter *limiter;

    (void)state;
    assert_int_equal(limiter_new(0, &rng, &limiter), ERR_RANGE);
    assert_null(limiter);
    assert_int_equal(limiter_new(LIMITER_ENTRIES_MAX + 1, &rng, &limiter), ERR_RANGE);
    limiter_free(NULL);
}

static void
addresses(void **state)
{
    struct address one = address_of_text("2001:db8::1"), same_site = address_of_text("2001:db8::2");
    struct address other = address_of_text("2001:db8:0:1::1"), v4 = address_of_text("192.0.2.1");

    (void)state;
    assert_true(bytes_equal(limiter_address_key(&one), limiter_address_key(&same_site)));
    assert_false(bytes_equal(limiter_address_key(&one), limiter_address_key(&other)));
    assert_int_equal(limiter_address_key(&v4).size, 4);
}

static uint64_t
wait_s(struct limiter *limiter, const char *name, const char *from, uint64_t now)
{
    struct address address = address_of_text(from);

    return limiter_login_wait(limiter, bytes_of_text(name), &address, (struct instant){now}).ns /
           SECOND;
}

static void
fail_login(struct limiter *limiter, const char *name, const char *from, uint64_t now)
{
    struct address address = address_of_text(from);

    limiter_login_failed(limiter, bytes_of_text(name), &address, (struct instant){now});
}

static void
logins_by_address(void **state)
{
    struct limiter *limiter = new_limiter(100);
    static const uint64_t waits[] = {1, 2, 4, 8, 16, 32, 60, 60};
    uint64_t now = SECOND;
    char name[16];

    (void)state;
    for (unsigned i = 1; i < LOGIN_FREE_ADDRESS; i++) {
        (void)snprintf(name, sizeof name, "first-%u", i);
        fail_login(limiter, name, "192.0.2.1", now);
        assert_int_equal(wait_s(limiter, name, "192.0.2.1", now), 0);
    }
    for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        (void)snprintf(name, sizeof name, "name-%u", i); /* one after the other is tried */
        assert_int_equal(wait_s(limiter, name, "192.0.2.1", now), 0);
        fail_login(limiter, name, "192.0.2.1", now);
        assert_int_equal(wait_s(limiter, name, "192.0.2.1", now), waits[i]);
        assert_int_equal(wait_s(limiter, name, "192.0.2.2", now), 0);
        now += waits[i] * SECOND;
    }
    now += (LOGIN_FORGET_S + 1) * SECOND;
    fail_login(limiter, "x", "192.0.2.1", now);
    assert_int_equal(wait_s(limiter, "x", "192.0.2.1", now), 0);
    limiter_free(limiter);
}

static void
logins_by_name(void **state)
{
    struct limiter *limiter = new_limiter(100);
    char from[32];

    (void)state;
    for (unsigned i = 0; i < LOGIN_FREE_NAME; i++) {
        assert_int_equal(wait_s(limiter, "anna", "198.51.100.1", SECOND), 0);
        (void)snprintf(from, sizeof from, "192.0.2.%u", i);
        fail_login(limiter, "anna", from, SECOND);
    }
    assert_int_equal(wait_s(limiter, "anna", "198.51.100.1", SECOND), 1);
    assert_int_equal(wait_s(limiter, "bert", "198.51.100.1", SECOND), 0);
    limiter_login_succeeded(limiter, bytes_of_text("anna"));
    assert_int_equal(wait_s(limiter, "anna", "198.51.100.1", SECOND), 0);
    limiter_login_succeeded(limiter, bytes_of_text("nobody"));
    limiter_free(limiter);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bursts_and_rates),
        cmocka_unit_test(over_time),
        cmocka_unit_test(no_limit),
        cmocka_unit_test(bounded),
        cmocka_unit_test(sizes),
        cmocka_unit_test(addresses),
        cmocka_unit_test(logins_by_address),
        cmocka_unit_test(logins_by_name),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
