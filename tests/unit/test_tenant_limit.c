/* The limit of secrets of a tenant: every holder's own tally, and what it refuses by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "actors/anti_entropy.h"
#include "proto/alteration.h"
#include "token_records.h"

static void
limit(struct actor_cluster *ac, uint64_t secrets)
{
    struct tenant tenant = {.name = bytes_of_text("default"), .secrets_max = secrets};
    struct buf value = {0};
    assert_int_equal(tenant_encode(&tenant, &value), OK);
    records_put(ac, SYSTEM_TENANT, AUTH_KIND_TENANT, "default", &value);
}

static enum vault_err
create(struct actor_cluster *ac, unsigned node, unsigned number)
{
    char name[16];
    snprintf(name, sizeof(name), "s/%u", number);
    return ac_create(ac, node, name, "x")->reply.err;
}

static const struct digest_index *
digests(struct actor_cluster *ac, unsigned node)
{
    return node_anti_entropy(ac->nodes[node].node)->digests;
}

static uint64_t
tally(struct actor_cluster *ac, unsigned node)
{
    return tenant_tally_count(&digests(ac, node)->tally, bytes_of_text("default"));
}

static struct ac_request *
send_batch(struct actor_cluster *ac, unsigned node, const char *const *names, size_t count)
{
    struct request request = ac_make(REQUEST_BATCH_CREATE, "", NULL);
    struct batch_item items[8];
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++)
        items[i] =
            (struct batch_item){.name = bytes_of_text(names[i]), .value = bytes_of_text("x")};
    request.items = items;
    request.item_count = count;
    return ac_wait(ac, ac_send(ac, node, &request));
}

/*
 * A batch whose coordinator has died before it could take the marks off: what comes next brings the
 * limits of the tenant with it, whatever that is.
 */
static struct actor_cluster *
batch_left_marked(uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_of(3, seed);
    struct tenant tenant = {
        .name = bytes_of_text("default"), .versions_max = 1, .expires_after_s = 3600};
    static const char *const names[] = {"a", "b"};
    struct buf value = {0};
    ac_run_ms(ac, 1000);
    assert_int_equal(tenant_encode(&tenant, &value), OK);
    records_put(ac, SYSTEM_TENANT, AUTH_KIND_TENANT, "default", &value);
    assert_int_equal(send_batch(ac, 0, names, 2)->reply.err, OK);
    ac_crash(ac, 0);
    return ac;
}

static void
test_alteration_of_a_marked_secret(void **state)
{
    (void)state;
    struct actor_cluster *ac = batch_left_marked(30);
    struct metadata_change owner = {.key = bytes_of_text("owner"), .value = bytes_of_text("me")};
    struct alteration alteration = {.metadata = &owner, .metadata_count = 1};
    struct request alter = ac_make(REQUEST_ALTER, "a", NULL);
    struct path_row row;
    struct head head;
    alter.alteration = &alteration;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &alter))->reply.err, OK);
    ac_run_ms(ac, 1000);
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    assert_int_equal(head.max_versions, 1);
    assert_in_range(head.expires_at_ms, head.changed_at_ms + 3590000, head.changed_at_ms + 3600000);
    ac_end(ac);
}

static void
test_update_of_a_marked_secret(void **state)
{
    (void)state;
    struct actor_cluster *ac = batch_left_marked(31);
    assert_int_equal(ac_update(ac, 1, "a", "y")->reply.err, OK);
    assert_int_equal(ac_update(ac, 1, "a", "z")->reply.err, OK);
    ac_start(ac, 0);
    ac_run_ms(ac, 10000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 2); /* the last of "a", and "b" */
    assert_true(ac_reads(ac, 0, "a", "z"));
    ac_end(ac);
}

static void
test_no_more_than_the_limit(void **state)
{
    (void)state;
    for (unsigned nodes = 1; nodes <= 4; nodes++) {
        struct actor_cluster *ac = ac_cluster_of(nodes, nodes);
        limit(ac, 3);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(create(ac, i % nodes, i), OK);
        assert_int_equal(create(ac, 0, 3), ERR_TENANT_FULL);
        assert_int_equal(ac_update(ac, 0, "s/1", "new")->reply.err, OK);
        assert_int_equal(create(ac, nodes - 1, 1), ERR_ALREADY_EXISTS);
        assert_int_equal(ac_delete(ac, 0, "s/1")->reply.err, OK);
        ac_run_ms(ac, 500);
        for (unsigned node = 0; node < nodes; node++)
            assert_int_equal(tally(ac, node), 2);
        assert_int_equal(create(ac, nodes - 1, 4), OK);
        assert_int_equal(create(ac, 0, 5), ERR_TENANT_FULL);
        limit(ac, 4);
        assert_int_equal(create(ac, 0, 5), OK);
        limit(ac, 0);
        assert_int_equal(create(ac, 0, 6), OK);
        ac_end(ac);
    }
}

static void
test_deleting_makes_room_at_once(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 9);
    limit(ac, 1);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(create(ac, i % 3, i), OK);
        assert_int_equal(create(ac, i % 3, 100), ERR_TENANT_FULL);
        char name[16];
        snprintf(name, sizeof(name), "s/%u", i);
        assert_int_equal(ac_delete(ac, (i + 1) % 3, name)->reply.err, OK);
    }
    ac_end(ac);
}

/* All of a batch fit, or none is made. */
static void
test_batches_count(void **state)
{
    static const char *const three[] = {"b/1", "b/2", "b/3"};
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 20);
    limit(ac, 3);
    assert_int_equal(create(ac, 0, 1), OK);
    assert_int_equal(send_batch(ac, 1, three, 3)->reply.err, ERR_TENANT_FULL);
    ac_run_ms(ac, 3000);
    for (unsigned node = 0; node < 3; node++)
        assert_int_equal(tally(ac, node), 1);
    assert_int_equal(send_batch(ac, 2, three, 2)->reply.err, OK);
    assert_int_equal(create(ac, 0, 2), ERR_TENANT_FULL);
    ac_end(ac);
}

/* Those that are under way at the same time are seen by each other. */
static void
test_concurrent_creations(void **state)
{
    enum { MANY = 24, LIMIT = 10 };
    (void)state;
    for (uint64_t seed = 30; seed < 40; seed++) {
        struct actor_cluster *ac = ac_cluster_of(3, seed);
        struct ac_request *requests[MANY];
        unsigned made = 0;
        limit(ac, LIMIT);
        for (unsigned i = 0; i < MANY; i++) {
            char name[16];
            snprintf(name, sizeof(name), "s/%u", i);
            struct request r = ac_make(REQUEST_CREATE, name, "x");
            requests[i] = ac_send(ac, i % 3, &r);
        }
        for (unsigned i = 0; i < MANY; i++) {
            enum vault_err err = ac_wait(ac, requests[i])->reply.err;
            assert_true(err == OK || err == ERR_TENANT_FULL);
            made += err == OK;
        }
        assert_true(made <= LIMIT);
        ac_run_ms(ac, 3000);
        for (unsigned i = 0; made < LIMIT; i++) {
            assert_int_equal(create(ac, 0, 1000 + i), OK);
            made++;
        }
        assert_int_equal(create(ac, 0, 2000), ERR_TENANT_FULL);
        ac_end(ac);
    }
}

/* The tally is found again after a start, and by a node that was away. */
static void
test_after_a_start(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 50);
    limit(ac, 6);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(create(ac, 0, i), OK);
    assert_int_equal(ac_delete(ac, 0, "s/0")->reply.err, OK);
    ac_crash(ac, 2);
    for (unsigned i = 4; i < 7; i++)
        assert_int_equal(create(ac, 0, i), OK);
    assert_int_equal(create(ac, 0, 7), ERR_TENANT_FULL);
    ac_start(ac, 2);
    ac_run_ms(ac, 15000);
    for (unsigned node = 0; node < 3; node++) {
        assert_true(digests(ac, node)->whole);
        assert_int_equal(tally(ac, node), 6);
    }
    ac_crash(ac, 0);
    ac_crash(ac, 1);
    ac_start(ac, 0);
    ac_start(ac, 1);
    ac_run_ms(ac, 5000);
    assert_int_equal(create(ac, 0, 7), ERR_TENANT_FULL);
    assert_int_equal(tally(ac, 0), 6);
    ac_end(ac);
}

/* One that is asked for again is answered, though there is no room for another. */
static void
test_repeated_creations(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 60);
    limit(ac, 1);
    struct request r = ac_make(REQUEST_CREATE, "a", "x");
    r.idempotency_key = bytes_of_text("once");
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &r))->reply.err, OK);
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &r))->reply.err, OK);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    assert_int_equal(create(ac, 0, 1), OK);
    struct ac_request *again = ac_wait(ac, ac_send(ac, 2, &r));
    assert_int_equal(again->reply.err, OK);
    assert_int_equal(again->reply.version, 1);
    assert_int_equal(ac_read(ac, 0, "a")->reply.err, ERR_NOT_FOUND);
    ac_end(ac);
}

/* With more nodes than shares it is an estimate: none is refused below the limit. */
static void
test_estimate(void **state)
{
    enum { LIMIT = 60, MOST = LIMIT + 3 * 2 * 8 + 12 };
    unsigned made = 0;
    (void)state;
    struct actor_cluster *ac = ac_cluster_placed(5, 3, 70);
    limit(ac, LIMIT);
    while (made <= MOST && create(ac, made % 5, made) == OK)
        made++;
    assert_true(made >= LIMIT);
    assert_true(made <= MOST);
    ac_end(ac);
}

static void
test_bounds(void **state)
{
    (void)state;
    assert_int_equal(tenant_tally_bound(1, 3, 3), 1);
    assert_int_equal(tenant_tally_bound(1000, 3, 3), 1000);
    assert_int_equal(tenant_tally_bound(1000, 3, 5), 600 + 3 * 16);
    assert_true(tenant_tally_bound(1, 3, 7) >= 1);
    assert_int_equal(tenant_tally_bound(INT64_MAX, 3, 7), INT64_MAX);
    for (unsigned nodes = 1; nodes <= NODES_MAX; nodes++) {
        for (unsigned shares = 1; shares <= nodes && shares <= REPLICAS_MAX; shares++) {
            uint64_t most = UINT64_C(1) << 40;
            assert_true(tenant_tally_bound(most, shares, nodes) >= most * shares / nodes);
            assert_true(tenant_tally_bound(most, shares, nodes) <= most);
        }
    }
}

/* What is remembered as under way is bounded, and forgotten after a while. */
static void
test_creations_are_forgotten(void **state)
{
    struct tenant_tally *t = calloc(1, sizeof(*t));
    struct path path = {bytes_of_text("t"), bytes_of_text("a")};
    struct path other = {bytes_of_text("t"), bytes_of_text("b")};
    struct instant now = {UINT64_C(1000000000000)}, later = now;
    char name[16];

    (void)state;
    assert_non_null(t);
    assert_int_equal(tenant_tally_init(t, 7), OK);
    assert_true(tenant_tally_take(t, path, 1, now));
    assert_true(tenant_tally_take(t, path, 1, now)); /* the same */
    assert_false(tenant_tally_take(t, other, 1, now));
    later.ns += duration_ms(CREATION_MS_MAX).ns;
    assert_true(tenant_tally_take(t, other, 1, later));
    tenant_tally_made(t, other);
    tenant_tally_add(t, other.tenant);
    assert_false(tenant_tally_take(t, path, 1, later));
    assert_true(tenant_tally_take(t, path, 2, later));
    for (unsigned i = 0; i < 3 * CREATIONS_MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        struct path one = {bytes_of_text("u"), bytes_of_text(name)};
        bool fits = tenant_tally_take(t, one, CREATIONS_MAX / 2, later);
        assert_true(fits == (i < CREATIONS_MAX / 2));
    }
    assert_true(t->remembered <= CREATIONS_MAX);
    /* Those that are over are not looked at once more. */
    later.ns += duration_ms(CREATION_MS_MAX).ns;
    assert_true(tenant_tally_take(t, path, 2, later));
    assert_int_equal(t->remembered, 1);
    tenant_tally_made(t, path);
    assert_int_equal(t->remembered, 0);
    tenant_tally_remove(t, other.tenant);
    assert_int_equal(tenant_tally_count(t, other.tenant), 0);
    assert_int_equal(t->tenants.count, 0);
    tenant_tally_close(t);
    free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_than_the_limit),
        cmocka_unit_test(test_alteration_of_a_marked_secret),
        cmocka_unit_test(test_update_of_a_marked_secret),
        cmocka_unit_test(test_deleting_makes_room_at_once),
        cmocka_unit_test(test_batches_count),
        cmocka_unit_test(test_concurrent_creations),
        cmocka_unit_test(test_after_a_start),
        cmocka_unit_test(test_repeated_creations),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_creations_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
