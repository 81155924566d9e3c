/*
 * Whole clusters: what clients see and what is left in the stores, with nodes that die, hang and
 * come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "crypto/storage_key.h"

/* ---- life of a secret ---- */

static void
life_of_a_secret(unsigned nodes)
{
    struct actor_cluster *ac = ac_cluster_of(nodes, nodes);
    struct ac_request *r;
    unsigned last = nodes - 1;

    assert_int_equal(ac_read(ac, 0, "app/key")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_update(ac, 0, "app/key", "x")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_delete(ac, 0, "app/key")->reply.err, ERR_NOT_FOUND);
    r = ac_create(ac, 0, "app/key", "one");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 1);
    assert_true(r->reply.valid_from_ms >= ac_wall_ms(ac, 0) - 1000);
    assert_int_equal(ac_create(ac, last, "app/key", "again")->reply.err, ERR_ALREADY_EXISTS);
    r = ac_read(ac, last, "app/key");
    assert_true(ac_value_is(r, "one"));
    assert_int_equal(r->reply.version, 1);
    r = ac_update(ac, last, "app/key", "two");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 2);
    assert_true(ac_value_is(ac_read(ac, 0, "app/key"), "two"));

    struct request ask = ac_make(REQUEST_HISTORY, "app/key", NULL);
    r = ac_wait(ac, ac_send(ac, 0, &ask));
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.row_count, 2);
    assert_int_equal(r->rows[0].version, 2);
    assert_int_equal(r->rows[0].valid_to_ms, 0);
    assert_int_equal(r->rows[1].version, 1);
    assert_int_equal(r->rows[1].valid_to_ms, r->rows[0].valid_from_ms);
    assert_true(r->rows[1].valid_from_ms < r->rows[0].valid_from_ms);

    assert_true(ac_settles(ac, AC_SETTLE_MS));
    r = ac_delete(ac, 0, "app/key");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, nodes);
    assert_int_equal(r->reply.required, cluster_erase_quorum(&ac->cluster));
    assert_int_equal(r->reply.replicas, nodes);
    for (unsigned i = 0; i < nodes; i++)
        assert_int_equal(ac_read(ac, i, "app/key")->reply.err, ERR_NOT_FOUND);
    ask = ac_make(REQUEST_DELETION, "app/key", NULL);
    r = ac_wait(ac, ac_send(ac, last, &ask));
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, nodes);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < nodes; i++) {
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 0);
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 0);
    }

    r = ac_create(ac, 0, "app/key", "new");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 1);
    assert_true(ac_value_is(ac_read(ac, last, "app/key"), "new"));
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_end(ac);
}

static void
test_life_of_a_secret(void **state)
{
    (void)state;
    life_of_a_secret(1);
    life_of_a_secret(3);
    life_of_a_secret(5);
    life_of_a_secret(7);
}

static void
test_wrong_token(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 1);
    struct request ask = ac_make(REQUEST_CREATE, "a", "x");
    ask.credential = bytes_of_text("another-token");
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_UNAUTHENTICATED);
    ask.credential = (struct bytes){0};
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_UNAUTHENTICATED);
    assert_int_equal(ac_read(ac, 1, "a")->reply.err, ERR_NOT_FOUND);
    ac_end(ac);
}

static void
test_expected_version(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 2);
    struct request ask = ac_make(REQUEST_UPDATE, "a", "two");
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ask.has_expected_version = true;
    ask.expected_version = 2;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.err, ERR_VERSION_MISMATCH);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    ask.expected_version = 1;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.version, 2);
    ask.kind = REQUEST_DELETE;
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &ask))->reply.err, ERR_VERSION_MISMATCH);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "two"));
    ac_end(ac);
}

static void
test_old_versions_and_times(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 3);
    uint64_t from[6] = {0};
    char value[16];
    for (unsigned v = 1; v <= 5; v++) {
        snprintf(value, sizeof(value), "value %u", v);
        struct ac_request *r =
            v == 1 ? ac_create(ac, 0, "a", value) : ac_update(ac, v % 3, "a", value);
        assert_int_equal(r->reply.version, v);
        from[v] = r->reply.valid_from_ms;
        ac_run_ms(ac, 700);
    }
    for (unsigned v = 1; v <= 5; v++) {
        struct request ask = ac_make(REQUEST_READ, "a", NULL);
        snprintf(value, sizeof(value), "value %u", v);
        ask.version = v;
        struct ac_request *r = ac_wait(ac, ac_send(ac, v % 3, &ask));
        assert_true(ac_value_is(r, value));
        assert_int_equal(r->reply.valid_from_ms, from[v]);
        assert_int_equal(r->reply.valid_to_ms, v < 5 ? from[v + 1] : 0);
        ask.version = 0;
        ask.has_at = true;
        ask.at_ms = from[v];
        assert_true(ac_value_is(ac_wait(ac, ac_send(ac, v % 3, &ask)), value));
        ask.at_ms = from[v] - 1;
        snprintf(value, sizeof(value), "value %u", v - 1);
        r = ac_wait(ac, ac_send(ac, v % 3, &ask));
        if (v > 1)
            assert_true(ac_value_is(r, value));
        else
            assert_int_equal(r->reply.err, ERR_NOT_FOUND);
    }
    struct request ask = ac_make(REQUEST_READ, "a", NULL);
    ask.version = 6;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_NOT_FOUND);
    ask.version = 0;
    ask.has_at = true;
    ask.at_ms = ac_wall_ms(ac, 0); /* answered when nobody's clock is there any more */
    uint64_t began = ac_ms(ac);
    assert_true(ac_value_is(ac_wait(ac, ac_send(ac, 0, &ask)), "value 5"));
    assert_true(ac_ms(ac) - began >= 500);
    ask.at_ms = ac_wall_ms(ac, 0) + 10;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_BAD_PARAMETER);
    struct request pages = ac_make(REQUEST_HISTORY, "a", NULL);
    pages.limit = 2;
    pages.before_version = 4;
    struct ac_request *r = ac_wait(ac, ac_send(ac, 2, &pages));
    assert_int_equal(r->reply.row_count, 2);
    assert_int_equal(r->rows[0].version, 3);
    assert_int_equal(r->rows[0].valid_to_ms, from[4]);
    assert_true(r->reply.has_next);
    ac_end(ac);
}

static void
test_value_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 64 * 1024, VALUE_BYTES_MAX};
    struct actor_cluster *ac = ac_cluster_of(3, 4);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char name[16];
        uint8_t *value = malloc(sizes[i] + 1);
        assert_non_null(value);
        memset(value, (int)i + 1, sizes[i]);
        snprintf(name, sizeof(name), "size/%zu", i);
        struct request ask = ac_make(REQUEST_CREATE, name, NULL);
        ask.value = bytes_of(value, sizes[i]);
        ask.encoding = VALUE_BASE64;
        assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, OK);
        struct ac_request *r = ac_read(ac, 1, name);
        assert_int_equal(r->reply.err, OK);
        assert_int_equal(r->reply.encoding, VALUE_BASE64);
        assert_true(bytes_equal(r->reply.value, ask.value));
        free(value);
    }
    ac_end(ac);
}

/* More than are kept: the oldest go, everywhere, and what is kept stays readable. */
static void
test_many_versions(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 5);
    struct request ask = ac_make(REQUEST_READ, "a", NULL);
    char value[16];
    assert_int_equal(ac_create(ac, 0, "a", "value 1")->reply.err, OK);
    for (unsigned v = 2; v <= 70; v++) {
        snprintf(value, sizeof(value), "value %u", v);
        assert_int_equal(ac_update(ac, v % 3, "a", value)->reply.version, v);
    }
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 64);
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 64);
        assert_int_equal(ac_rows(ac, i, ROW_BOXES), 0);
    }
    ask.version = 6;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.err, ERR_NOT_FOUND);
    ask.version = 7;
    assert_true(ac_value_is(ac_wait(ac, ac_send(ac, 1, &ask)), "value 7"));
    struct request history = ac_make(REQUEST_HISTORY, "a", NULL);
    struct ac_request *r = ac_wait(ac, ac_send(ac, 1, &history));
    assert_int_equal(r->reply.row_count, 64);
    assert_false(r->reply.has_next);
    ac_end(ac);
}

/* ---- many at once ---- */

static void
test_many_creates_of_one_name(void **state)
{
    (void)state;
    for (unsigned nodes = 1; nodes <= 5; nodes += 2) {
        struct actor_cluster *ac = ac_cluster_of(nodes, 60 + nodes);
        struct ac_request *r[64];
        unsigned won = 0;
        char value[16], winner[16] = "";
        for (unsigned i = 0; i < 64; i++) {
            snprintf(value, sizeof(value), "by %u", i);
            struct request ask = ac_make(REQUEST_CREATE, "a", value);
            r[i] = ac_send(ac, i % nodes, &ask);
        }
        for (unsigned i = 0; i < 64; i++) {
            (void)ac_wait(ac, r[i]);
            if (r[i]->reply.err == OK) {
                won++;
                snprintf(winner, sizeof(winner), "by %u", i);
            } else {
                assert_int_equal(r[i]->reply.err, ERR_ALREADY_EXISTS);
            }
        }
        assert_int_equal(won, 1);
        assert_true(ac_value_is(ac_read(ac, 0, "a"), winner));
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        ac_end(ac);
    }
}

static void
update_storm(unsigned nodes, unsigned away)
{
    enum { UPDATES = 60 };
    struct actor_cluster *ac = ac_cluster_of(nodes, 70 + nodes);
    struct ac_request *r[UPDATES];
    uint64_t from[UPDATES + 2] = {0};
    from[1] = ac_create(ac, 0, "a", "first")->reply.valid_from_ms;
    for (unsigned i = 0; i < away; i++)
        ac_crash(ac, nodes - 1 - i);
    ac_run_ms(ac, 200);
    for (unsigned i = 0; i < UPDATES; i++) {
        struct request ask = ac_make(REQUEST_UPDATE, "a", "next");
        r[i] = ac_send(ac, i % (nodes - away), &ask);
    }
    for (unsigned i = 0; i < UPDATES; i++) {
        (void)ac_wait(ac, r[i]);
        assert_int_equal(r[i]->reply.err, OK);
        uint64_t version = r[i]->reply.version;
        assert_in_range(version, 2, UPDATES + 1);
        assert_int_equal(from[version], 0);
        from[version] = r[i]->reply.valid_from_ms;
    }
    for (unsigned v = 2; v <= UPDATES + 1; v++)
        assert_true(from[v] > from[v - 1]);
    ac_heal(ac);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_end(ac);
}

static void
test_update_storm(void **state)
{
    (void)state;
    update_storm(3, 0);
    update_storm(5, 0);
}

/* Who is refused by one node while another is away does not wait for that one. */
static void
test_update_storm_without_a_minority(void **state)
{
    (void)state;
    update_storm(3, 1);
    update_storm(5, 1);
    update_storm(5, 2);
}

/* ---- nodes that are away ---- */

static void
test_serves_without_a_minority(void **state)
{
    (void)state;
    for (unsigned nodes = 3; nodes <= 7; nodes += 2) {
        struct actor_cluster *ac = ac_cluster_of(nodes, 80 + nodes);
        unsigned away = nodes - (nodes / 2 + 1);
        assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
        for (unsigned i = 0; i < away; i++)
            ac_crash(ac, nodes - 1 - i);
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
        assert_int_equal(ac_update(ac, 1, "a", "two")->reply.version, 2);
        assert_int_equal(ac_create(ac, 1, "b", "other")->reply.err, OK);
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "two"));
        ac_crash(ac, 1);
        struct ac_request *r = ac_update(ac, 0, "a", "three");
        assert_int_equal(r->reply.err, ERR_NO_QUORUM);
        assert_int_equal(r->reply.phase, PHASE_VOTING);
        assert_int_equal(ac_read(ac, 0, "a")->reply.err, ERR_NO_QUORUM);
        ac_heal(ac);
        ac_run_ms(ac, 2000);
        assert_true(ac_value_is(ac_read(ac, nodes - 1, "a"), "two"));
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        ac_end(ac);
    }
}

static void
test_misses_versions_and_catches_up(void **state)
{
    (void)state;
    for (unsigned nodes = 3; nodes <= 5; nodes += 2) {
        struct actor_cluster *ac = ac_cluster_of(nodes, 90 + nodes);
        unsigned last = nodes - 1;
        char value[16];
        assert_int_equal(ac_create(ac, 0, "a", "value 1")->reply.err, OK);
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        ac_crash(ac, last);
        for (unsigned v = 2; v <= 12; v++) {
            snprintf(value, sizeof(value), "value %u", v);
            assert_int_equal(ac_update(ac, v % last, "a", value)->reply.version, v);
        }
        ac_run_ms(ac, 3000);
        assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 11);
        ac_start(ac, last);
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        assert_int_equal(ac_rows(ac, last, ROW_VERSION), 12);
        assert_int_equal(ac_rows(ac, last, ROW_DEALING), 12);
        for (unsigned i = 1; i + nodes / 2 + 1 <= nodes; i++)
            ac_crash(ac, i - 1); /* its own shares are needed now */
        for (unsigned v = 1; v <= 12; v++) {
            struct request ask = ac_make(REQUEST_READ, "a", NULL);
            snprintf(value, sizeof(value), "value %u", v);
            ask.version = v;
            assert_true(ac_value_is(ac_wait(ac, ac_send(ac, last, &ask)), value));
        }
        ac_end(ac);
    }
}

/* Two nodes away at different times, each with its own boxes in escrow. */
static void
test_two_away_in_turn(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(5, 95);
    assert_int_equal(ac_create(ac, 0, "a", "value 1")->reply.err, OK);
    ac_crash(ac, 3);
    ac_crash(ac, 4);
    for (unsigned v = 2; v <= 5; v++)
        assert_int_equal(ac_update(ac, 0, "a", "value")->reply.version, v);
    ac_start(ac, 4); /* node 3, that comes first in every row, stays away */
    ac_run_ms(ac, 10000);
    assert_int_equal(ac_rows(ac, 4, ROW_VERSION), 5);
    ac_start(ac, 3);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_int_equal(ac_rows(ac, 3, ROW_VERSION), 5);
    ac_end(ac);
}

static void
test_delete_while_a_node_is_away(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 100);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_crash(ac, 2);
    struct ac_request *r = ac_delete(ac, 0, "a");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, 2);
    assert_int_equal(r->reply.required, 2);
    assert_int_equal(r->reply.replicas, 3);
    struct request ask = ac_make(REQUEST_DELETION, "a", NULL);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.erased_on, 2);
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 2);
    ac_start(ac, 2);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 0);
    assert_int_equal(ac_rows(ac, 2, ROW_DEALING), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_read(ac, i, "a")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &ask))->reply.erased_on, 3);
    ac_end(ac);
}

/* Fewer than d left: decided, and said so with the count; the rest follows when they are back. */
static void
test_delete_decided_not_erased(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 5, .threshold = 2, .seed = 101}; /* d = 4 */
    struct actor_cluster *ac = ac_new(&options);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_crash(ac, 3);
    ac_crash(ac, 4);
    struct ac_request *r = ac_delete(ac, 0, "a");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, 3);
    assert_int_equal(r->reply.required, 4);
    assert_int_equal(ac_read(ac, 1, "a")->reply.err, ERR_NOT_FOUND);
    ac_heal(ac);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 0);
    ac_end(ac);
}

static void
test_create_after_delete_while_away(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 110);
    assert_int_equal(ac_create(ac, 0, "a", "old 1")->reply.err, OK);
    assert_int_equal(ac_update(ac, 0, "a", "old 2")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_crash(ac, 2);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    assert_int_equal(ac_create(ac, 1, "a", "new 1")->reply.err, OK);
    ac_start(ac, 2);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "new 1"));
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 1);
    ac_crash(ac, 0);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "new 1"));
    ac_end(ac);
}

/* The next create races with the erasing: the deletion is answered in time all the same. */
static void
test_create_right_after_delete(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 20; seed++) {
        struct ac_options options = {
            .nodes = 3, .seed = seed, .delay_us_min = 50, .delay_us_max = 20000};
        struct actor_cluster *ac = ac_new(&options);
        assert_int_equal(ac_create(ac, 0, "a", "old")->reply.err, OK);
        struct request delete = ac_make(REQUEST_DELETE, "a", NULL);
        struct request create = ac_make(REQUEST_CREATE, "a", "new");
        struct ac_request *d = ac_send(ac, 0, &delete);
        ac_run_ms(ac, 10 + seed);
        struct ac_request *c = ac_wait(ac, ac_send(ac, 1, &create));
        uint64_t began = ac_ms(ac);
        (void)ac_wait(ac, d);
        assert_int_equal(d->reply.err, OK);
        if (c->reply.err == OK) {
            /* None is counted when the deletion is found in a head that the create was built on. */
            assert_true(d->reply.erased_on == 0 || d->reply.erased_on >= 2);
            assert_true(ac_ms(ac) - began < 2000);
            assert_true(ac_value_is(ac_read(ac, 2, "a"), "new"));
        } else {
            assert_int_equal(c->reply.err, ERR_ALREADY_EXISTS);
        }
        assert_true(ac_settles(ac, AC_SETTLE_MS));
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(ac_rows(ac, i, ROW_VERSION), c->reply.err == OK);
        ac_end(ac);
    }
}

/* ---- coordinators that die ---- */

/* Lets WRITE of one node reach only the nodes of a mask, and nothing of it afterwards. */
struct dying {
    struct actor_cluster *ac;
    unsigned node;
    uint64_t reach;
    unsigned writes;
};

static enum ac_verdict
only_some_writes(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct dying *dying = context;
    if (from != dying->node || to == from)
        return AC_PASS;
    if (msg->kind == MSG_CHOSEN)
        return AC_DROP;
    if (msg->kind != MSG_WRITE)
        return AC_PASS;
    dying->writes++;
    return dying->reach >> to & 1 ? AC_PASS : AC_DROP;
}

static void
coordinator_dies(unsigned nodes, uint64_t reach, bool losing, bool reader_next)
{
    struct actor_cluster *ac = ac_cluster_of(nodes, 120 + nodes + reach);
    struct dying dying = {ac, 0, reach, 0};
    assert_int_equal(ac_create(ac, 1, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    struct request ask = ac_make(REQUEST_UPDATE, "a", "two");
    ac->filter = only_some_writes;
    ac->filter_context = &dying;
    struct ac_request *r = ac_send(ac, 0, &ask);
    while (dying.writes == 0)
        ac_run_ms(ac, 1);
    ac_run_ms(ac, 2);
    ac_crash_losing(ac, 0, losing);
    assert_true(r->lost || r->reply.err == OK);
    bool answered = r->done;
    ac->filter = NULL;

    /* A reader may miss what a minority has accepted; once somebody has seen it, it stays. */
    uint64_t seen = 0;
    for (unsigned i = 1; reader_next && i < nodes; i++) {
        struct ac_request *read = ac_read(ac, i, "a");
        assert_true(ac_value_is(read, read->reply.version == 2 ? "two" : "one"));
        assert_in_range(read->reply.version, seen, 2);
        seen = read->reply.version;
    }
    struct ac_request *update = ac_update(ac, 2, "a", "three");
    assert_int_equal(update->reply.err, OK);
    uint64_t version = update->reply.version;
    if (answered)
        assert_int_equal(version, 3);
    else if (seen == 2)
        assert_int_equal(version, 3);
    else
        assert_in_range(version, 2, 3);
    ac_heal(ac);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < nodes; i++) {
        struct ac_request *read = ac_read(ac, i, "a");
        assert_true(ac_value_is(read, "three"));
        assert_int_equal(read->reply.version, version);
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), version);
        struct request old = ac_make(REQUEST_READ, "a", NULL);
        old.version = 2;
        assert_true(ac_value_is(ac_wait(ac, ac_send(ac, i, &old)), version == 3 ? "two" : "three"));
    }
    ac_end(ac);
}

static void
test_coordinator_dies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        coordinator_dies(3, 0, i & 1, i & 2);
        coordinator_dies(3, 1u << 1, i & 1, i & 2);
        coordinator_dies(3, 1u << 2, i & 1, i & 2);
        coordinator_dies(3, 3u << 1, i & 1, i & 2);
        coordinator_dies(5, 0, i & 1, i & 2);
        coordinator_dies(5, 1u << 2, i & 1, i & 2);
        coordinator_dies(5, 5u << 2, i & 1, i & 2);
        coordinator_dies(5, 7u << 2, i & 1, i & 2);
    }
}

/*
 * A head that one node alone has as accepted, the others as chosen: it learns so, though nobody
 * asks for the path.
 */
static enum ac_verdict
no_chosen_for_two(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    return msg->kind == MSG_CHOSEN && to == 2 ? AC_DROP : AC_PASS;
}

static void
test_missed_notice(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 130);
    struct path_row row;
    struct head head;
    ac->filter = no_chosen_for_two;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac->filter = NULL;
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_true(ac_path_row(ac, 2, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    ac_end(ac);
}

/* The same when the versions that fell out of the kept range were in the notices it missed. */
static void
test_missed_notices_of_pruned_versions(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 131);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    for (unsigned v = 2; v <= 70; v++) {
        ac->filter = v > 64 && v < 70 ? no_chosen_for_two : NULL;
        assert_int_equal(ac_update(ac, 0, "a", "next")->reply.version, v);
        ac_run_ms(ac, 30);
    }
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 64);
    ac_end(ac);
}

/*
 * A head that only node 2 has is replaced while that node is away: of the row that belongs to no
 * chain nothing is left when its number falls out.
 */
static enum ac_verdict
no_word_of_two(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    bool share = to == 2 && msg->kind == MSG_SHARE;
    return share || (from == 2 && to != 2 && msg->kind == MSG_WRITE) ? AC_DROP : AC_PASS;
}

static void
test_replaced_version_falls_out(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 132);
    struct request lost = ac_make(REQUEST_UPDATE, "a", "lost");
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac->filter = no_word_of_two;
    struct ac_request *r = ac_send(ac, 2, &lost);
    ac_run_ms(ac, 20);
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 2);
    ac_isolate(ac, 2, true);
    assert_int_equal(ac_wait(ac, r)->reply.err, ERR_NO_QUORUM);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.version, 2);
    assert_int_equal(ac_update(ac, 0, "a", "three")->reply.version, 3);
    ac_heal(ac);
    ac_run_ms(ac, 1500);
    for (unsigned v = 4; v <= 70; v++) {
        assert_int_equal(ac_update(ac, 0, "a", "next")->reply.version, v);
        ac_run_ms(ac, 60);
    }
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 64);
    ac->filter = NULL;
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 64);
    ac_end(ac);
}

/* ---- deadlines ---- */

static enum ac_verdict
no_writes(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    (void)to;
    return msg->kind == MSG_WRITE ? AC_DROP : AC_PASS;
}

static void
test_deadlines(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 140);
    ac->filter = no_writes; /* but the coordinator's own node gets it */
    struct ac_request *r = ac_create(ac, 0, "a", "one");
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_WRITING);
    assert_in_range((r->ended_ns - r->began_ns) / 1000000, 4900, 5100);
    ac->filter = NULL;
    ac_isolate(ac, 0, true);
    ac_run_ms(ac, 1500); /* while it knows no better, it may offer */
    r = ac_create(ac, 0, "b", "one");
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_VOTING);
    assert_int_equal(ac_read(ac, 0, "b")->reply.err, ERR_NO_QUORUM);
    ac_heal(ac);
    ac_run_ms(ac, 1500);
    assert_int_equal(ac_read(ac, 1, "b")->reply.err, ERR_NOT_FOUND);
    /*
     * Of unknown outcome: node 0 alone has it, and some time somebody finishes it or another change
     * wins.
     */
    r = ac_create(ac, 2, "a", "two");
    assert_true(r->reply.err == OK || r->reply.err == ERR_ALREADY_EXISTS);
    const char *stands = r->reply.err == OK ? "two" : "one";
    for (unsigned i = 0; i < 3; i++)
        assert_true(ac_value_is(ac_read(ac, i, "a"), stands));
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_end(ac);
}

/* ---- disks ---- */

static void
test_disk_full(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 150);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac->nodes[2].disk_full = true;
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    for (unsigned i = 0; i < 3; i++)
        ac->nodes[i].disk_full = true;
    for (unsigned i = 0; i < 3; i++) {
        struct ac_request *r = ac_update(ac, i, "a", "three");
        assert_int_equal(r->reply.err, ERR_DISK_FULL);
        assert_true((r->ended_ns - r->began_ns) / 1000000 < 1000);
        assert_int_equal(ac_create(ac, i, "b", "x")->reply.err, ERR_DISK_FULL);
    }
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "two"));
    ac_run_ms(ac, 60000); /* far beyond the horizon */
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "two"));
    for (unsigned i = 0; i < 3; i++)
        ac->nodes[i].disk_full = false;
    ac_run_ms(ac, 1000);
    assert_int_equal(ac_read(ac, 1, "b")->reply.err, ERR_NOT_FOUND);
    struct ac_request *r = ac_update(ac, 2, "a", "four");
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 3);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_end(ac);
}

/* A share that opens, but is not the one that was dealt. */
static void
spoil_share(struct actor_cluster *ac, unsigned node, const char *name, const struct head *head)
{
    struct row_key key;
    struct bytes value;
    struct version_row row;
    struct buf encoded = {0};
    uint8_t share[SECRET_BYTES_MAX], sealed[SECRET_BYTES_MAX + BUCKET_SEALED_OVERHEAD_BYTES];
    uint8_t version_id[ID_BYTES];
    struct ac_node *n = &ac->nodes[node];
    memcpy(version_id, head->version_id, ID_BYTES);
    row_key_version(ROW_VERSION, ac_path(name), head->version, version_id, &key);
    assert_true(ac_get(ac, node, &key, &value));
    assert_int_equal(version_row_decode(value, &row), OK);
    size_t size = row.share.size - BUCKET_SEALED_OVERHEAD_BYTES;
    struct row_key path_key;
    row_key_path(ac_path(name), &path_key);
    const struct bucket *bucket =
        &n->buckets.buckets[bucket_of(&n->buckets, row_key_bytes(&path_key))];
    secret_arena_open(n->secrets);
    assert_int_equal(bucket_open(bucket, n->wrap_key.data, row_key_bytes(&key), row.share, share),
                     OK);
    share[0] ^= 1;
    assert_int_equal(bucket_seal(bucket, n->wrap_key.data, row_key_bytes(&key),
                                 bytes_of(share, size), &n->rng, sealed),
                     OK);
    secret_arena_close(n->secrets);
    row.share = bytes_of(sealed, size + BUCKET_SEALED_OVERHEAD_BYTES);
    assert_int_equal(version_row_encode(&row, &encoded), OK);
    ac_put(ac, node, &key, buf_bytes(&encoded));
    buf_close(&encoded);
}

static void
test_bad_share_is_repaired(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 160);
    struct path_row row;
    struct head head;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    spoil_share(ac, 1, "a", &head);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "one"));
    assert_in_range(ac->nodes[1].metrics.counters[METRIC_shares_bad], 1,
                    2); /* with two, and with all */
    ac_run_ms(ac, 1000);
    assert_int_equal(ac->nodes[1].metrics.counters[METRIC_repairs_done], 1);
    ac_crash(ac, 0); /* now its share is needed */
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "one"));
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "one"));
    ac_end(ac);
}

/* The path row of one node is damaged: that node refuses, never says "nothing there". */
static void
test_corrupt_path_row(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 170);
    struct row_key key;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac_crash_losing(ac, 1, false);
    row_key_path(ac_path("a"), &key);
    ac_put(ac, 1, &key, bytes_of_text("rubbish"));
    ac_start(ac, 1);
    ac_run_ms(ac, 500);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "one"));
    assert_int_equal(ac_update(ac, 1, "a", "two")->reply.version, 2);
    ac_crash(ac, 0);
    struct ac_request *r = ac_read(ac, 2, "a"); /* one good node of two: not enough */
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(ac_create(ac, 2, "a", "again")->reply.err, ERR_NO_QUORUM);
    ac_start(ac, 0);
    ac_run_ms(ac, 500);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "two"));
    ac_end(ac);
}

/*
 * Boxes that cannot be delivered for a long time: the share key that opens them stays as long,
 * whatever has been rotated since.
 */
static void
test_share_key_is_kept_for_escrow(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 175);
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    ac->nodes[2].disk_full = true;
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac_rotate_share_key(ac, 2);
    for (unsigned i = 0; i < 60; i++) {
        ac_run_ms(ac, 1000);
        assert_int_equal(ac_destroy_share_keys(ac, 2), 2);
    }
    ac->nodes[2].disk_full = false;
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    unsigned held = 2;
    for (unsigned i = 0; i < 60 && held > 1; i++) {
        ac_run_ms(ac, 1000);
        held = ac_destroy_share_keys(ac, 2);
    }
    assert_int_equal(held, 1);
    ac_crash(ac, 0);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "two"));
    ac_end(ac);
}

/* ---- small tables ---- */

static void
test_tiny_table(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 3, .seed = 180, .paths_max = 2};
    struct actor_cluster *ac = ac_new(&options);
    char name[16];
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "p/%u", i);
        assert_int_equal(ac_create(ac, i % 3, name, name)->reply.err, OK);
    }
    ac_crash(ac, 2);
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "p/%u", i);
        assert_true(ac_value_is(ac_read(ac, i % 2, name), name));
        assert_int_equal(ac_update(ac, i % 2, name, "two")->reply.version, 2);
    }
    ac_start(ac, 2);
    /* Though an entry never stays in the table for long. */
    assert_true(ac_settles(ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "p/%u", i);
        assert_true(ac_value_is(ac_read(ac, 2, name), "two"));
    }
    assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 24);
    ac_end(ac);
}

/* The same seed gives the same run. */
static void
test_same_seed_same_run(void **state)
{
    (void)state;
    uint64_t traces[2];
    for (unsigned i = 0; i < 2; i++) {
        struct ac_options options = {.nodes = 3,
                                     .seed = 190,
                                     .loss_permille = 20,
                                     .duplicate_permille = 20,
                                     .skew_ms_max = 100};
        struct actor_cluster *ac = ac_new(&options);
        (void)ac_create(ac, 0, "a", "one");
        ac_crash(ac, 1);
        (void)ac_update(ac, 2, "a", "two");
        ac_start(ac, 1);
        ac_run_ms(ac, 3000);
        traces[i] = ac->trace;
        ac_end(ac);
    }
    assert_true(traces[0] == traces[1]);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_secret),
        cmocka_unit_test(test_wrong_token),
        cmocka_unit_test(test_expected_version),
        cmocka_unit_test(test_old_versions_and_times),
        cmocka_unit_test(test_value_sizes),
        cmocka_unit_test(test_many_versions),
        cmocka_unit_test(test_many_creates_of_one_name),
        cmocka_unit_test(test_update_storm),
        cmocka_unit_test(test_update_storm_without_a_minority),
        cmocka_unit_test(test_serves_without_a_minority),
        cmocka_unit_test(test_misses_versions_and_catches_up),
        cmocka_unit_test(test_two_away_in_turn),
        cmocka_unit_test(test_delete_while_a_node_is_away),
        cmocka_unit_test(test_delete_decided_not_erased),
        cmocka_unit_test(test_create_after_delete_while_away),
        cmocka_unit_test(test_create_right_after_delete),
        cmocka_unit_test(test_coordinator_dies),
        cmocka_unit_test(test_missed_notice),
        cmocka_unit_test(test_missed_notices_of_pruned_versions),
        cmocka_unit_test(test_replaced_version_falls_out),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_bad_share_is_repaired),
        cmocka_unit_test(test_corrupt_path_row),
        cmocka_unit_test(test_share_key_is_kept_for_escrow),
        cmocka_unit_test(test_tiny_table),
        cmocka_unit_test(test_same_seed_same_run),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
