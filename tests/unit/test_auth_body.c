/* JSON bodies and answers of the calls on tenants, policies, identities and tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth_body.h"
#include "crypto/secret.h"

#define ID "00000000-0000-4000-8000-000000000001"

static struct arena arena;
static const char *refusal;

static int
set_up(void **state)
{
    (void)state;
    if (crypto_init() != OK)
        return -1;
    arena_init(&arena, 256 * 1024);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

static void
assert_text(const struct buf *buf, const char *text)
{
    if (!bytes_equal(buf_bytes(buf), bytes_of_text(text)))
        fail_msg("%.*s", (int)buf->size, (const char *)buf->data);
}

static void
policies(void **state)
{
    static const char rules[] =
        "[{\"path\":\"a/"
        "**\",\"capabilities\":[\"read\",\"list\"],\"require_expected_version\":true,"
        "\"cidrs\":[\"10.0.0.0/8\",\"2001:db8::/32\"],\"not_before\":\"22:00\","
        "\"not_after\":\"06:30\"},{\"path\":\"b\",\"capabilities\":[\"deny\"]}]";
    struct policy_body body;
    struct buf text = {0}, answer = {0}, expected = {0};

    (void)state;
    assert_int_equal(buf_printf(&text, "{\"expected_version\":3,\"rules\":%s}", rules), OK);
    assert_int_equal(policy_body_parse(buf_bytes(&text), &arena, &body, &refusal), OK);
    assert_int_equal(body.expected_version, 3);
    assert_null(refusal);
    /* What comes out is what went in. */
    assert_int_equal(policy_render(bytes_of_text("p"), 4, body.record, &answer), OK);
    assert_int_equal(buf_printf(&expected, "{\"name\":\"p\",\"version\":4,\"rules\":%s}", rules),
                     OK);
    assert_true(bytes_equal(buf_bytes(&answer), buf_bytes(&expected)));
    assert_int_equal(policy_render(bytes_of_text("p"), 4, bytes_of_text("?"), &answer),
                     ERR_CORRUPT);
    buf_close(&text);
    buf_close(&answer);
    buf_close(&expected);
}

static void
policies_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"rules\":[]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"]}],\"name\":\"x\"}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"]}],\"expected_version\":0}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"]}],\"expected_version\":\"1\"}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"]}],\"rules\":[]}",
    };
    struct policy_body body;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(policy_body_parse(bytes_of_text(texts[i]), &arena, &body, &refusal),
                         ERR_BAD_JSON);
        assert_non_null(refusal);
        assert_int_equal(body.record.size, 0);
    }
    assert_int_equal(
        policy_body_parse(bytes_of_text("{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"]},"
                                        "{\"path\":\"a\"}]}"),
                          &arena, &body, &refusal),
        ERR_BAD_JSON);
    assert_int_equal(body.fault_rule, 2);
}

static void
policy_tests(void **state)
{
    static const char *const refused[] = {
        "{\"operation\":\"read\",\"name\":\"a\"}",
        "{\"identity\":\"" ID "\",\"policies\":[\"a\"],\"operation\":\"read\",\"name\":\"a\"}",
        "{\"policies\":[],\"operation\":\"read\",\"name\":\"a\"}",
        "{\"policies\":[\"a\",\"a\"],\"operation\":\"read\",\"name\":\"a\"}",
        "{\"policies\":[\"A\"],\"operation\":\"read\",\"name\":\"a\"}",
        "{\"policies\":[\"a\"],\"operation\":\"deny\",\"name\":\"a\"}",
        "{\"policies\":[\"a\"],\"name\":\"a\"}",
        "{\"policies\":[\"a\"],\"operation\":\"read\"}",
        "{\"policies\":[\"a\"],\"operation\":\"read\",\"name\":\"a\",\"time\":\"25:00\"}",
        "{\"policies\":[\"a\"],\"operation\":\"read\",\"name\":\"a\",\"address\":\"x\"}",
        "{\"policies\":[\"a\"],\"operation\":\"read\",\"name\":\"a\",\"expected_version\":1}",
        "{\"identity\":\"x\",\"operation\":\"read\",\"name\":\"a\"}",
    };
    struct policy_test_body body;

    (void)state;
    assert_int_equal(
        policy_test_body_parse(
            bytes_of_text(
                "{\"policies\":[\"a\",\"b\"],\"operation\":\"update\",\"name\":\"x/y\","
                "\"address\":\"10.0.0.1\",\"time\":\"08:30\",\"expected_version\":false}"),
            &arena, &body, &refusal),
        OK);
    assert_false(body.has_identity);
    assert_int_equal(body.policies.count, 2);
    assert_int_equal(body.question.operation, CAPABILITY_UPDATE);
    assert_true(bytes_equal(body.question.name, bytes_of_text("x/y")));
    assert_int_equal(body.question.minute, 8 * 60 + 30);
    assert_int_equal(body.question.expected_version, EXPECTATION_NONE);
    assert_int_equal(body.question.address.size, 4);
    assert_int_equal(
        policy_test_body_parse(
            bytes_of_text("{\"identity\":\"" ID "\",\"operation\":\"read\",\"name\":\"a\"}"),
            &arena, &body, &refusal),
        OK);
    assert_true(body.has_identity);
    assert_int_equal(body.identity[15], 1);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(policy_test_body_parse(bytes_of_text(refused[i]), &arena, &body, &refusal),
                         ERR_BAD_JSON);
    assert_int_equal(
        policy_test_body_parse(
            bytes_of_text("{\"policies\":[\"a\"],\"operation\":\"read\",\"name\":\"a//b\"}"),
            &arena, &body, &refusal),
        ERR_BAD_NAME);
}

static void
decisions(void **state)
{
    struct auth_decision decision = {
        .answer = ANSWER_DENIED, .policy = bytes_of_text("p"), .rule = 1};
    struct buf answer = {0};

    (void)state;
    assert_int_equal(decision_render(&decision, &answer), OK);
    assert_text(&answer, "{\"allowed\":false,\"policy\":\"p\",\"rule\":2}");
    buf_close(&answer);
    decision = (struct auth_decision){.answer = ANSWER_ALLOWED};
    assert_int_equal(decision_render(&decision, &answer), OK);
    assert_text(&answer, "{\"allowed\":true,\"policy\":null,\"rule\":null}");
    buf_close(&answer);
}

static void
tenants(void **state)
{
    static const char *const refused[] = {
        "{}",
        "{\"name\":\"A\"}",
        "{\"name\":\"a\",\"limits\":[]}",
        "{\"name\":\"a\",\"limits\":{\"secrets\":0}}",
        "{\"name\":\"a\",\"limits\":{\"secrets\":-1}}",
        "{\"name\":\"a\",\"limits\":{\"versions\":65}}",
        "{\"name\":\"a\",\"limits\":{\"value_bytes\":1048577}}",
        "{\"name\":\"a\",\"limits\":{\"other\":1}}",
        "{\"name\":\"a\",\"x\":1}",
    };
    struct tenant tenant, changed;
    struct buf answer = {0};

    (void)state;
    assert_int_equal(
        tenant_body_parse(
            bytes_of_text("{\"name\":\"team-a\",\"limits\":{\"secrets\":10,\"versions\":5,"
                          "\"expires_after\":60}}"),
            NULL, &arena, &tenant, &refusal),
        OK);
    tenant.created_ms = 1800000000000;
    assert_int_equal(tenant_body_parse(bytes_of_text("{\"limits\":{\"secrets\":null,"
                                                     "\"requests_per_second\":7}}"),
                                       &tenant, &arena, &changed, &refusal),
                     OK);
    assert_int_equal(tenant_render(&changed, &answer), OK);
    assert_text(&answer, "{\"name\":\"team-a\",\"created_at\":\"2027-01-15T08:00:00.000Z\","
                         "\"limits\":{\"secrets\":null,\"versions\":5,\"value_bytes\":null,"
                         "\"requests_per_second\":7,\"expires_after\":60}}");
    buf_close(&answer);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(
            tenant_body_parse(bytes_of_text(refused[i]), NULL, &arena, &tenant, &refusal),
            ERR_BAD_JSON);
    assert_int_equal(
        tenant_body_parse(bytes_of_text("{\"name\":\"b\"}"), &changed, &arena, &tenant, &refusal),
        ERR_BAD_JSON); /* a tenant keeps its name */
}

static void
identities(void **state)
{
    static const char *const refused[] = {
        "{\"name\":\"a\"}",
        "{\"kind\":\"user\"}",
        "{\"name\":\"a\",\"kind\":\"human\"}",
        "{\"name\":\"\",\"kind\":\"user\"}",
        "{\"name\":\"a\\n\",\"kind\":\"user\"}",
        "{\"name\":\"a\",\"kind\":\"user\",\"id\":\"" ID "\"}",
        "{\"name\":\"a\",\"kind\":\"user\",\"disabled\":true}",
        "{\"name\":\"a\",\"kind\":\"user\",\"metadata\":{\"a\":1}}",
        "{\"name\":\"a\",\"kind\":\"user\",\"metadata\":[]}",
        "{\"name\":\"a\",\"kind\":\"user\",\"policies\":\"a\"}",
        "{\"name\":\"a\",\"kind\":\"user\",\"tenants\":[\"A\"]}",
    };
    struct identity identity, changed;
    struct buf answer = {0}, record = {0};

    (void)state;
    assert_int_equal(
        identity_body_parse(
            bytes_of_text("{\"name\":\"Anna\",\"kind\":\"service\",\"policies\":[\"p\"],"
                          "\"metadata\":{\"z\":\"1\",\"a\":\"\",\"m\\\"\":\"3\"}}"),
            NULL, &arena, &identity, &refusal),
        OK);
    assert_int_equal(uuid_parse(bytes_of_text(ID), identity.id), OK);
    assert_int_equal(identity_encode(&identity, &record), OK); /* in order, whatever came */
    assert_int_equal(identity_body_parse(bytes_of_text("{\"disabled\":true,\"policies\":[]}"),
                                         &identity, &arena, &changed, &refusal),
                     OK);
    changed.created_ms = 1800000000000;
    assert_int_equal(identity_render(&changed, &answer), OK);
    assert_text(&answer, "{\"id\":\"" ID "\",\"name\":\"Anna\",\"kind\":\"service\","
                         "\"disabled\":true,\"created_at\":\"2027-01-15T08:00:00.000Z\","
                         "\"policies\":[],\"tenants\":[],"
                         "\"metadata\":{\"a\":\"\",\"m\\\"\":\"3\",\"z\":\"1\"}}");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(
            identity_body_parse(bytes_of_text(refused[i]), NULL, &arena, &identity, &refusal),
            ERR_BAD_JSON);
    assert_int_equal(identity_body_parse(bytes_of_text("{\"kind\":\"user\"}"), &changed, &arena,
                                         &identity, &refusal),
                     ERR_BAD_JSON);
    buf_close(&answer);
    buf_close(&record);
}

static void
tokens(void **state)
{
    static const char *const refused[] = {"[]",
                                          "{\"identity\":\"x\"}",
                                          "{\"ttl\":0}",
                                          "{\"ttl\":\"1h\"}",
                                          "{\"ttl\":1e3}",
                                          "{\"ttl\":2000001}",
                                          "{\"uses\":0}",
                                          "{\"renewable\":1}",
                                          "{\"x\":1}",
                                          "{\"policies\":[]}",
                                          "{\"policies\":null}",
                                          "{\"ttl\":-1}"};
    static const uint8_t hash[HASH_BYTES] = {1};
    struct token_body body;
    struct token token;
    struct buf answer = {0};
    uint8_t accessor[ACCESSOR_BYTES];

    (void)state;
    assert_int_equal(token_body_parse(bytes_of_text("{}"), &arena, &body, &refusal), OK);
    assert_false(body.has_identity);
    assert_int_equal(
        token_body_parse(bytes_of_text("{\"identity\":\"" ID "\",\"ttl\":60,\"uses\":3,"
                                       "\"renewable\":true,\"policies\":[\"p\"]}"),
                         &arena, &body, &refusal),
        OK);
    assert_int_equal(token_fill(&body.wish, bytes_of_text("t"), body.identity, NULL, 1800000000000,
                                hash, &token),
                     OK);
    assert_int_equal(token_render(&token, bytes_of_text("ost_x"), &answer), OK);
    assert_non_null(memmem(answer.data, answer.size, "{\"token\":\"ost_x\",", 17));
    assert_non_null(memmem(answer.data, answer.size,
                           "\"identity\":\"" ID "\",\"tenant\":\"t\","
                           "\"expires_at\":\"2027-01-15T08:01:00.000Z\",\"renewable\":true,"
                           "\"uses_left\":3,\"policies\":[\"p\"]}",
                           64));
    buf_close(&answer);
    assert_int_equal(token_render(&token, (struct bytes){0}, &answer), OK);
    assert_null(memmem(answer.data, answer.size, "\"token\"", 7));
    buf_close(&answer);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(token_body_parse(bytes_of_text(refused[i]), &arena, &body, &refusal),
                         ERR_BAD_JSON);
    assert_int_equal(
        accessor_body_parse(bytes_of_text("{\"accessor\":\"000102030405060708090a0b0c0d0e0f\"}"),
                            accessor, &refusal),
        OK);
    assert_int_equal(accessor[15], 15);
    assert_int_equal(
        accessor_body_parse(bytes_of_text("{\"accessor\":\"00\"}"), accessor, &refusal),
        ERR_BAD_JSON);
    assert_int_equal(accessor_body_parse(bytes_of_text("{}"), accessor, &refusal), ERR_BAD_JSON);
}

static void
logins(void **state)
{
    struct login_body body;

    (void)state;
    assert_int_equal(approle_login_parse(bytes_of_text("{\"role_id\":\"r\",\"secret_id\":\"s\"}"),
                                         &arena, &body, &refusal),
                     OK);
    assert_true(bytes_equal(body.role_id, bytes_of_text("r")));
    assert_true(bytes_equal(body.secret_id, bytes_of_text("s")));
    assert_int_equal(
        approle_login_parse(bytes_of_text("{\"role_id\":\"r\"}"), &arena, &body, &refusal),
        ERR_BAD_JSON);
    assert_int_equal(jwt_login_parse(bytes_of_text("{\"jwt\":\"a.b.c\"}"), &arena, &body, &refusal),
                     OK);
    assert_true(bytes_equal(body.jwt, bytes_of_text("a.b.c")));
    assert_int_equal(jwt_login_parse(bytes_of_text("{\"jwt\":1}"), &arena, &body, &refusal),
                     ERR_BAD_JSON);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies),     cmocka_unit_test(policies_refused),
        cmocka_unit_test(policy_tests), cmocka_unit_test(decisions),
        cmocka_unit_test(tenants),      cmocka_unit_test(identities),
        cmocka_unit_test(tokens),       cmocka_unit_test(logins),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
