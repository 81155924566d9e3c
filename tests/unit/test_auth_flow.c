/* Targets and flows of the calls on identity records, over records in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth_flow.h"
#include "api_fixture.h"
#include "auth/identity.h"

enum { RECORDS = 16, NAME_BYTES = 200, VALUE_BYTES = 4096, WALL_MS = 1800000, BEHIND_MS = 1000000 };

struct record {
    char tenant[NAME_BYTES], name[NAME_BYTES];
    uint8_t value[VALUE_BYTES];
    size_t size;
    uint64_t version;
    char key[NAME_BYTES]; /* of the operation that made it; stays when it is deleted */
};

struct world {
    struct record records[RECORDS];
    size_t count, steps;
    bool contend; /* somebody else changes every record just before it is put */
    struct rng_seeded seeded;
    struct rng rng;
    const char *key;            /* Idempotency-Key of the requests; NULL: none */
    uint64_t own_ms, agreed_ms; /* clocks of what is purged; 0: nothing is */
};

static struct record *
find(struct world *w, const struct request *step)
{
    for (size_t i = 0; i < w->count; i++)
        if (bytes_equal(step->tenant, bytes_of_text(w->records[i].tenant)) &&
            bytes_equal(step->name, bytes_of_text(w->records[i].name)))
            return &w->records[i];
    assert_true(w->count < RECORDS);
    struct record *fresh = &w->records[w->count++];
    snprintf(fresh->tenant, NAME_BYTES, "%.*s", (int)step->tenant.size,
             (const char *)step->tenant.data);
    snprintf(fresh->name, NAME_BYTES, "%.*s", (int)step->name.size, (const char *)step->name.data);
    return fresh;
}

static enum vault_err
put(struct world *w, const struct request *step)
{
    struct record *record = find(w, step);
    if (w->contend && record->version > 0)
        record->version++;
    if (step->idempotency_key.size > 0 &&
        bytes_equal(step->idempotency_key, bytes_of_text(record->key)))
        return OK;
    if (step->never_there && record->size > 0)
        return ERR_ALREADY_EXISTS;
    if (step->has_expected_version && step->expected_version != record->version)
        return step->expected_version == 0 ? ERR_ALREADY_EXISTS : ERR_VERSION_MISMATCH;
    assert_true(step->value.size <= VALUE_BYTES);
    memcpy(record->value, step->value.data, step->value.size);
    record->size = step->value.size;
    record->version++;
    snprintf(record->key, NAME_BYTES, "%.*s", (int)step->idempotency_key.size,
             step->idempotency_key.size > 0 ? (const char *)step->idempotency_key.data : "");
    return OK;
}

static struct reply
execute(struct world *w, const struct request *step)
{
    struct record *record = find(w, step);
    struct reply reply = {0};
    w->steps++;
    if (step->kind == REQUEST_NAMES || step->kind == REQUEST_RECORD_LIST)
        return reply;
    if (step->kind == REQUEST_RECORD_PUT) {
        reply.err = put(w, step);
    } else if (record->version == 0) {
        reply.err = ERR_NOT_FOUND;
    } else if (step->kind == REQUEST_RECORD_DELETE) {
        record->version = 0;
    }
    reply.version = record->version;
    reply.value = bytes_of(record->value, record->size);
    return reply;
}

/* Runs it to its end; the answer's body, or nothing. */
static enum vault_err
run(struct world *w, enum auth_op op, const char *name, const char *body, struct arena *arena,
    struct bytes *out)
{
    struct request request = {.kind = REQUEST_AUTH,
                              .auth_op = op,
                              .tenant = bytes_of_text("default"),
                              .name = bytes_of_text(name),
                              .credential = bytes_of_text("bootstrap"),
                              .limit = PAGE_DEFAULT,
                              .purge = w->agreed_ms > 0,
                              .body = bytes_of_text(body),
                              .idempotency_key = bytes_of_text(w->key ? w->key : "")};
    struct auth_flow flow = {.request = &request,
                             .arena = arena,
                             .rng = &w->rng,
                             .now_ms = w->own_ms > 0 ? w->own_ms : WALL_MS,
                             .agreed_ms = w->agreed_ms};
    enum flow_turn turn = auth_flow_start(&flow);
    while (turn == FLOW_ASK) {
        struct reply reply = execute(w, &flow.step);
        turn = auth_flow_continue(&flow, &reply);
    }
    assert_int_equal(arena_copy(arena, buf_bytes(&flow.response.body), out), OK);
    assert_true(flow.refused.err != OK || flow.response.status >= 200);
    api_response_close(&flow.response);
    return flow.refused.err;
}

static struct world *
world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    rng_seeded_init(&w->seeded, 1, &w->rng);
    return w;
}

/* ---- targets ---- */

static void
routes_by_method(void **state)
{
    static const char uuid[] = "/v1/identities/01234567-89ab-4cde-8f01-23456789abcd";
    static const struct {
        enum http_method method;
        const char *target;
        int op; /* or less than 0: how it is refused */
    } rows[] = {
        {HTTP_METHOD_GET, "/v1/tenants", AUTH_TENANT_LIST},
        {HTTP_METHOD_HEAD, "/v1/tenants?limit=3&after=n61", AUTH_TENANT_LIST},
        {HTTP_METHOD_GET, "/v1/tenants/a", AUTH_TENANT_GET},
        {HTTP_METHOD_DELETE, "/v1/tenants/a", AUTH_TENANT_DELETE},
        {HTTP_METHOD_GET, "/v1/policies", AUTH_POLICY_LIST},
        {HTTP_METHOD_GET, "/v1/policies/a", AUTH_POLICY_GET},
        {HTTP_METHOD_DELETE, "/v1/policies/a?expected_version=2", AUTH_POLICY_DELETE},
        {HTTP_METHOD_GET, "/v1/identities", AUTH_IDENTITY_LIST},
        {HTTP_METHOD_GET, uuid, AUTH_IDENTITY_GET},
        {HTTP_METHOD_DELETE, uuid, AUTH_IDENTITY_DELETE},
        {HTTP_METHOD_GET, "/v1/tokens/self", AUTH_TOKEN_SELF},
        {HTTP_METHOD_POST, "/v1/tokens/self:renew", AUTH_TOKEN_RENEW},
        {HTTP_METHOD_POST, "/v1/tokens/self:revoke", AUTH_TOKEN_REVOKE_SELF},
        {HTTP_METHOD_GET, "/v1/auth/issuers?limit=2", AUTH_ISSUER_LIST},
        {HTTP_METHOD_GET, "/v1/auth/issuers/0123456789abcdef0123456789abcdef", AUTH_ISSUER_GET},
        {HTTP_METHOD_DELETE, "/v1/auth/ca", AUTH_CA_DELETE},
        {HTTP_METHOD_GET, "/v1/auth/ca/crl", AUTH_CRL_GET},
        {HTTP_METHOD_GET, "/v1/auth/roles", AUTH_ROLE_LIST},
        {HTTP_METHOD_GET, "/v1/auth/roles/01234567-89ab-4cde-8f01-23456789abcd", AUTH_ROLE_GET},
        {HTTP_METHOD_GET, "/v1/auth/roles/x", -ERR_BAD_NAME},
        {HTTP_METHOD_GET, "/v1/auth/roles/x/secret-ids", -ERR_METHOD},
        {HTTP_METHOD_GET, "/v1/auth/issuers/0123", -ERR_BAD_NAME},
        {HTTP_METHOD_GET, "/v1/auth/jwt:login", -ERR_METHOD},
        {HTTP_METHOD_GET, "/v1/auth/", -ERR_NO_ROUTE},
        {HTTP_METHOD_GET, "/v1/tenants/", -ERR_BAD_NAME},
        {HTTP_METHOD_GET, "/v1/tenants/A", -ERR_BAD_NAME},
        {HTTP_METHOD_GET, "/v1/tenants/%61", -ERR_BAD_NAME},
        {HTTP_METHOD_GET, "/v1/policies/operator", -ERR_BAD_NAME},
        {HTTP_METHOD_GET, "/v1/policies/a/b", -ERR_BAD_NAME},
        {HTTP_METHOD_GET, "/v1/identities/1", -ERR_BAD_NAME},
        {HTTP_METHOD_GET, "/v1/tokens", -ERR_METHOD},
        {HTTP_METHOD_POST, "/v1/policies", -ERR_METHOD},
        {HTTP_METHOD_GET, "/v1/policies/a?limit=1", -ERR_BAD_PARAMETER},
        {HTTP_METHOD_DELETE, "/v1/tenants/a?expected_version=1", -ERR_BAD_PARAMETER},
        {HTTP_METHOD_GET, "/v1/tokens/self/", -ERR_NO_ROUTE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct api_fixture f;
        fixture_start(&f, rows[i].method, rows[i].target);
        int err = (int)fixture_parse(&f);
        if (err != (rows[i].op < 0 ? -rows[i].op : 0))
            fail_msg("%s: %d", rows[i].target, err);
        if (rows[i].op >= 0) {
            assert_int_equal(f.request.kind, REQUEST_AUTH);
            assert_int_equal(f.request.auth_op, rows[i].op);
        }
        assert_int_equal(f.allow != NULL, err == ERR_METHOD);
        fixture_end(&f);
    }
}

static void
names_of_operations_differ(void **state)
{
    (void)state;
    for (int i = 0; i <= AUTH_CRL_DELETE; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(auth_op_name((enum auth_op)i), auth_op_name((enum auth_op)j));
}

/* ---- flows ---- */

static void
an_identity_and_its_token_are_made(void **state)
{
    struct world *w = world_new();
    struct arena arena;
    struct bytes answer;
    char body[NAME_BYTES];
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_int_equal(
        run(w, AUTH_IDENTITY_CREATE, "", "{\"name\":\"x\",\"kind\":\"user\"}", &arena, &answer),
        OK);
    assert_int_equal(w->steps, 1);
    assert_memory_equal(answer.data, "{\"id\":\"", 7);
    snprintf(body, sizeof(body), "{\"identity\":\"%.36s\"}", (const char *)answer.data + 7);
    assert_int_equal(run(w, AUTH_TOKEN_CREATE, "", body, &arena, &answer), OK);
    assert_memory_equal(answer.data, "{\"token\":\"ost_", 14);
    struct token token;
    uint8_t hash[HASH_BYTES];
    const struct record *record = &w->records[w->count - 1];
    assert_string_equal(record->tenant, SYSTEM_TENANT);
    assert_int_equal(token_decode(bytes_of(record->value, record->size), &token), OK);
    assert_int_equal(ticket_hash(TICKET_TOKEN, bytes_of(answer.data + 10, TICKET_TEXT_BYTES), hash),
                     OK);
    assert_memory_equal(hash, token.hash, HASH_BYTES);
    assert_null(memmem(record->value, record->size, answer.data + 14, TICKET_TEXT_BYTES - 4));
    arena_close(&arena);
    free(w);
}

/* Under one key an identity is made once, and nothing else is. */
static void
a_key_makes_one_identity(void **state)
{
    static const char body[] = "{\"name\":\"x\",\"kind\":\"user\"}";
    struct world *w = world_new();
    struct arena arena;
    struct bytes first, again, id;
    (void)state;
    arena_init(&arena, 1 << 20);
    w->key = "k";
    assert_int_equal(run(w, AUTH_IDENTITY_CREATE, "", body, &arena, &first), OK);
    assert_int_equal(run(w, AUTH_IDENTITY_CREATE, "", body, &arena, &again), OK);
    assert_true(bytes_equal(first, again));
    assert_int_equal(w->count, 1);
    assert_int_equal(w->records[0].version, 1);
    assert_int_equal(
        run(w, AUTH_IDENTITY_CREATE, "", "{\"name\":\"y\",\"kind\":\"user\"}", &arena, &again),
        ERR_KEY_REUSED);
    assert_int_equal(w->count, 1);
    id = bytes_of(first.data + 7, UUID_TEXT_BYTES);
    char name[UUID_TEXT_BYTES + 1];
    snprintf(name, sizeof(name), "%.*s", (int)id.size, (const char *)id.data);
    assert_int_equal(run(w, AUTH_IDENTITY_CHANGE, name, "{\"name\":\"z\"}", &arena, &again), OK);
    snprintf(w->records[0].key, NAME_BYTES, "k");
    assert_int_equal(run(w, AUTH_IDENTITY_CREATE, "", body, &arena, &again), OK);
    assert_non_null(memmem(again.data, again.size, "\"name\":\"z\"", 10));
    snprintf(w->records[0].key, NAME_BYTES, "of somebody else's");
    assert_int_equal(run(w, AUTH_IDENTITY_CREATE, "", body, &arena, &again), ERR_KEY_REUSED);
    snprintf(w->records[0].key, NAME_BYTES, "k");
    w->records[0].version = 0;
    assert_int_equal(run(w, AUTH_IDENTITY_CREATE, "", body, &arena, &again), ERR_RESULT_GONE);
    snprintf(w->records[0].key, NAME_BYTES, "forgotten");
    assert_int_equal(run(w, AUTH_IDENTITY_CREATE, "", body, &arena, &again), ERR_KEY_REUSED);
    assert_int_equal(w->records[0].version, 0);
    w->key = NULL;
    assert_int_equal(run(w, AUTH_IDENTITY_CREATE, "", body, &arena, &again), OK);
    assert_int_equal(w->count, 2);
    arena_close(&arena);
    free(w);
}

/* A change of what others change at the same time is made anew, and not for ever. */
static void
contended_changes_end(void **state)
{
    struct world *w = world_new();
    struct arena arena;
    struct bytes answer;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_int_equal(run(w, AUTH_TENANT_CREATE, "", "{\"name\":\"a\"}", &arena, &answer), OK);
    assert_int_equal(
        run(w, AUTH_TENANT_CHANGE, "a", "{\"limits\":{\"secrets\":3}}", &arena, &answer), OK);
    assert_non_null(memmem(answer.data, answer.size, "\"secrets\":3", 11));
    w->contend = true;
    w->steps = 0;
    assert_int_equal(
        run(w, AUTH_TENANT_CHANGE, "a", "{\"limits\":{\"secrets\":4}}", &arena, &answer),
        ERR_CONTENDED);
    assert_int_equal(w->steps, 2 * FLOW_ATTEMPTS_MAX);
    arena_close(&arena);
    free(w);
}

static void
what_is_refused_changes_nothing(void **state)
{
    static const struct {
        enum auth_op op;
        const char *name, *body;
        enum vault_err err;
    } rows[] = {
        {AUTH_TENANT_DELETE, "default", "", ERR_FORBIDDEN},
        {AUTH_TENANT_DELETE, "none", "", ERR_NOT_FOUND},
        {AUTH_TENANT_CHANGE, "none", "{}", ERR_NOT_FOUND},
        {AUTH_TENANT_CREATE, "", "{\"name\":\"a b\"}", ERR_BAD_JSON},
        {AUTH_IDENTITY_CHANGE, "none", "{}", ERR_NOT_FOUND},
        {AUTH_POLICY_PUT, "a", "{\"rules\":[]}", ERR_BAD_JSON},
        {AUTH_POLICY_GET, "a", "", ERR_NOT_FOUND},
        {AUTH_TOKEN_CREATE, "", "{}", ERR_BAD_JSON},
        {AUTH_TOKEN_SELF, "", "", ERR_NOT_FOUND},
        {AUTH_TOKEN_RENEW, "", "", ERR_NOT_FOUND},
        {AUTH_TOKEN_REVOKE, "", "{\"accessor\":\"00\"}", ERR_BAD_JSON},
    };
    struct arena arena;
    struct bytes answer;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = world_new();
        arena_init(&arena, 1 << 20);
        enum vault_err err = run(w, rows[i].op, rows[i].name, rows[i].body, &arena, &answer);
        if (err != rows[i].err)
            fail_msg("%s: %s", auth_op_name(rows[i].op), vault_err_name(err));
        assert_int_equal(answer.size, 0);
        for (size_t j = 0; j < w->count; j++)
            assert_int_equal(w->records[j].version, 0);
        arena_close(&arena);
        free(w);
    }
}

/*
 * The node of the first call is far behind, that of the others is not. Answers are empty as long
 * as the purge is not over: no list has anything.
 */
static void
a_purge_goes_by_the_clock_of_all(void **state)
{
    static const char ended[] = "{\"name\":\"a\"}";
    struct world *w = world_new();
    struct arena arena;
    struct bytes answer;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_int_equal(run(w, AUTH_TENANT_CREATE, "", ended, &arena, &answer), OK);
    w->agreed_ms = WALL_MS;
    w->own_ms = WALL_MS - BEHIND_MS;
    assert_int_equal(run(w, AUTH_TENANT_DELETE, "a", "", &arena, &answer), OK);
    w->agreed_ms = WALL_MS + TENANT_PURGE_QUIET_MS - 1;
    w->own_ms = w->agreed_ms;
    assert_int_equal(run(w, AUTH_TENANT_DELETE, "a", "", &arena, &answer), OK);
    assert_false(bytes_equal(answer, bytes_of_text(ended)));
    w->agreed_ms++;
    w->own_ms = WALL_MS - BEHIND_MS;
    assert_int_equal(run(w, AUTH_TENANT_DELETE, "a", "", &arena, &answer), OK);
    assert_true(bytes_equal(answer, bytes_of_text(ended)));
    arena_close(&arena);
    free(w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_by_method),
        cmocka_unit_test(names_of_operations_differ),
        cmocka_unit_test(an_identity_and_its_token_are_made),
        cmocka_unit_test(a_key_makes_one_identity),
        cmocka_unit_test(contended_changes_end),
        cmocka_unit_test(what_is_refused_changes_nothing),
        cmocka_unit_test(a_purge_goes_by_the_clock_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
