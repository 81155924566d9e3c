/* Tokens whose uses are counted, by an agreed change of their own record before each use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/authority.h"
#include "token_records.h"

#define READERS "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"read\",\"list\"]}]}"

enum { READER = 2, NODES = 3, LONG_SECONDS = 3600, USES = 3 };

static struct test_token token;

static struct actor_cluster *
cluster_of(uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_of(NODES, seed);
    ac_run_ms(ac, 1000);
    records_put_tenant(ac, "default");
    records_put_policy(ac, "readers", READERS);
    records_put_identity(ac, READER, "readers", false);
    test_token_make(1, &token);
    records_put_token(ac, &token, READER, USES, LONG_SECONDS);
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    return ac;
}

static struct step
step_at(struct actor_cluster *ac, unsigned node)
{
    return (struct step){.now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, node)};
}

/* Sends the change that counts a use; NULL: none is left. */
static struct ac_request *
begin_count(struct actor_cluster *ac, unsigned node)
{
    const struct membership *ms = node_membership(ac->nodes[node].node);
    struct step st = step_at(ac, node);
    struct ac_request *sent = NULL;
    struct request r;
    struct arena arena;
    arena_init(&arena, 64 * 1024);
    if (authority_count_use(ms, &st, bytes_of_text(token.text), &arena, &r) == OK)
        sent = ac_send(ac, node, &r);
    arena_close(&arena);
    return sent;
}

static enum vault_err
count(struct actor_cluster *ac, unsigned node)
{
    struct ac_request *sent = begin_count(ac, node);
    return sent ? ac_wait(ac, sent)->reply.err : ERR_UNAUTHENTICATED;
}

static enum vault_err
read_now(struct actor_cluster *ac, unsigned node, bool counted, const char *name)
{
    struct request r = ac_make(REQUEST_READ, name, NULL);
    r.credential = bytes_of_text(token.text);
    r.use_counted = counted;
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

/* What all nodes know of it. */
static struct token
record_at(struct actor_cluster *ac, unsigned node)
{
    const struct membership *ms = node_membership(ac->nodes[node].node);
    const struct auth_record *record =
        auth_view_get(ms->records, bytes_of_text(SYSTEM_TENANT), bytes_of_text("token"),
                      bytes_of_text(token.name + sizeof("_auth/token/") - 1));
    struct token decoded;
    assert_non_null(record);
    assert_int_equal(token_decode(buf_bytes(&record->value), &decoded), OK);
    return decoded;
}

static void
each_use_is_counted(void **state)
{
    struct actor_cluster *ac = cluster_of(1);
    (void)state;
    assert_true(
        authority_counts_uses(node_membership(ac->nodes[1].node), bytes_of_text(token.text)));
    for (unsigned i = 0; i < USES; i++) {
        unsigned node = i % NODES;
        assert_int_equal(read_now(ac, node, false, "app/a"), ERR_UNAUTHENTICATED);
        assert_int_equal(count(ac, node), OK);
        for (unsigned j = 0; j < NODES; j++)
            assert_int_equal(record_at(ac, j).uses_left, USES - 1 - i);
        assert_int_equal(read_now(ac, node, true, "app/a"), OK);
        assert_int_equal(read_now(ac, node, true, "b"), ERR_NOT_FOUND);
        /* Another request does not profit from it, at any node. */
        assert_int_equal(read_now(ac, (node + 1) % NODES, false, "app/a"), ERR_UNAUTHENTICATED);
    }
    assert_int_equal(count(ac, 0), ERR_UNAUTHENTICATED);
    ac_run_ms(ac, TOKEN_USE_MS);
    for (unsigned node = 0; node < NODES; node++)
        assert_int_equal(read_now(ac, node, true, "app/a"), ERR_UNAUTHENTICATED);
    ac_end(ac);
}

/* Holders take nothing as a use that was not counted lately. */
static void
holders_want_a_count(void **state)
{
    struct actor_cluster *ac = cluster_of(2);
    const struct membership *ms = node_membership(ac->nodes[1].node);
    struct path path = {bytes_of_text("default"), bytes_of_text("app/a")};
    struct bytes text = bytes_of_text(token.text);
    struct step st = step_at(ac, 1);
    struct authority_listing listing;
    (void)state;
    assert_int_equal(authority_of_value(ms, &st, path, text), ERR_UNAUTHENTICATED);
    assert_int_equal(authority_of_head(ms, &st, path, text), ERR_UNAUTHENTICATED);
    assert_int_equal(authority_listing(ms, &st, path.tenant, text, &listing), ERR_UNAUTHENTICATED);
    assert_false(authority_may_list(&listing, path.name));
    assert_int_equal(count(ac, 0), OK);
    st = step_at(ac, 1);
    assert_int_equal(authority_of_value(ms, &st, path, text), OK);
    assert_int_equal(authority_listing(ms, &st, path.tenant, text, &listing), OK);
    assert_true(authority_may_list(&listing, path.name));
    ac_run_ms(ac, TOKEN_USE_MS);
    st = step_at(ac, 1);
    assert_int_equal(authority_of_value(ms, &st, path, text), ERR_UNAUTHENTICATED);
    ac_end(ac);
}

/* Of several at once each that is told so has a use of its own. */
static void
no_use_is_had_twice(void **state)
{
    struct actor_cluster *ac = cluster_of(3);
    unsigned had = 0;
    (void)state;
    for (unsigned round = 0; round < 8; round++) {
        struct ac_request *sent[NODES];
        for (unsigned node = 0; node < NODES; node++)
            sent[node] = begin_count(ac, node);
        for (unsigned node = 0; node < NODES; node++)
            had += sent[node] && ac_wait(ac, sent[node])->reply.err == OK;
    }
    assert_int_equal(had, USES);
    assert_int_equal(record_at(ac, 0).uses_left, 0);
    ac_end(ac);
}

/* It may make nothing else of its record, nor of another, at any node. */
static void
tokens_only_count(void **state)
{
    struct actor_cluster *ac = cluster_of(4);
    struct test_token another;
    struct buf value = {0};
    (void)state;
    test_token_make(2, &another);
    records_put_token(ac, &another, READER, USES, LONG_SECONDS);
    const char *names[] = {token.name, another.name};
    test_token_record(&token, 3, USES - 1, LONG_SECONDS, &value);
    for (unsigned i = 0; i < 2; i++) {
        struct request r = ac_make(REQUEST_RECORD_PUT, names[i], NULL);
        r.tenant = bytes_of_text(SYSTEM_TENANT);
        r.credential = bytes_of_text(token.text);
        r.value = buf_bytes(&value);
        r.has_expected_version = true;
        r.expected_version = 1;
        assert_int_not_equal(ac_wait(ac, ac_send(ac, 1, &r))->reply.err, OK);
    }
    buf_close(&value);
    const struct membership *ms = node_membership(ac->nodes[0].node);
    struct step st = step_at(ac, 0);
    struct bytes text = bytes_of_text(token.text), none = {0};
    struct path own = {bytes_of_text(SYSTEM_TENANT), bytes_of_text(token.name)};
    struct path other = {bytes_of_text(SYSTEM_TENANT), bytes_of_text(another.name)};
    assert_int_not_equal(authority_of_vote(ms, &st, own, CHANGE_UPDATE, none, text), OK);
    assert_int_not_equal(authority_of_vote(ms, &st, other, CHANGE_UPDATE, none, text), OK);
    struct arena arena;
    struct request good;
    arena_init(&arena, 64 * 1024);
    assert_int_equal(authority_count_use(ms, &st, text, &arena, &good), OK);
    assert_int_equal(authority_of_record(ms, &st, own, RECORD_CHANGE, good.value, text), OK);
    assert_int_not_equal(authority_of_record(ms, &st, other, RECORD_CHANGE, good.value, text), OK);
    own.tenant = bytes_of_text("default");
    assert_int_not_equal(authority_of_record(ms, &st, own, RECORD_CHANGE, good.value, text), OK);
    arena_close(&arena);
    ac_end(ac);
}

/*
 * A broken node that has passed the gateway's check writes another record than it should: who it is
 * of, or as many uses as before. The others do not take it, and the token goes on as it was.
 */
static void
what_is_written_is_looked_at(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        struct actor_cluster *ac = cluster_of(5 + how);
        struct ac_request *sent = begin_count(ac, 1);
        struct token forged;
        struct buf value = {0};
        assert_non_null(sent);
        assert_int_equal(token_decode(sent->request.value, &forged), OK);
        if (how == 0)
            forged.identity[0] = 3;
        else
            forged.uses_left = USES;
        assert_int_equal(token_encode(&forged, &value), OK);
        assert_int_equal(value.size, sent->request.value.size);
        memcpy(sent->value, value.data, value.size); /* it has passed the gateway */
        buf_close(&value);
        assert_int_not_equal(ac_wait(ac, sent)->reply.err, OK);
        for (unsigned node = 0; node < NODES; node++) {
            assert_int_equal(record_at(ac, node).identity[0], READER);
            assert_int_equal(record_at(ac, node).spent_ms, 0);
        }
        assert_int_equal(count(ac, 0), OK);
        assert_int_equal(record_at(ac, 2).uses_left, USES - 1);
        ac_end(ac);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_use_is_counted),          cmocka_unit_test(holders_want_a_count),
        cmocka_unit_test(no_use_is_had_twice),          cmocka_unit_test(tokens_only_count),
        cmocka_unit_test(what_is_written_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
