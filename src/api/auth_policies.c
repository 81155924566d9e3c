/* Policies: PUT, GET, DELETE /v1/policies/{name}, the list of them, and questions to them. */
#include <stdio.h>

#include "api/auth_body.h"
#include "api/auth_flow.h"
#include "api/json_out.h"
#include "auth/policy.h"

static enum vault_err
render_row(struct bytes key, uint64_t version, struct bytes record, struct buf *buf)
{
    struct json_out out;

    (void)record;
    json_out_init(&out, buf);
    json_out_open(&out, '{');
    json_out_key(&out, "name");
    json_out_string(&out, key);
    json_out_key(&out, "version");
    json_out_u64(&out, version);
    json_out_close(&out, '}');
    return out.err;
}

static const struct record_face policies = {AUTH_KIND_POLICY, "policies", "name", policy_render,
                                            render_row};

/* ---- putting one ---- */

static enum flow_turn
on_put(struct auth_flow *flow, const struct reply *reply)
{
    return flow_answer_record(flow, 200, &policies, reply->version, flow->step.value);
}

/* The rule that is at fault is named by its number. */
static const char *
fault_text(struct auth_flow *flow, const struct policy_body *body, const char *refusal)
{
    enum { TEXT_BYTES = 256 };
    char *text = body->fault_rule > 0 ? arena_alloc(flow->arena, TEXT_BYTES) : NULL;

    if (!text || !refusal)
        return refusal;
    (void)snprintf(text, TEXT_BYTES, "rule %zu: %s", body->fault_rule, refusal);
    return text;
}

static enum flow_turn
put(struct auth_flow *flow)
{
    const struct request *request = flow->request;
    struct policy_body body;
    const char *refusal;
    enum vault_err err = policy_body_parse(request->body, flow->arena, &body, &refusal);
    enum flow_turn turn;

    if (err != OK)
        return flow_refuse(flow, err, fault_text(flow, &body, refusal));
    turn = flow_ask_record(flow, REQUEST_RECORD_PUT, request->tenant, AUTH_KIND_POLICY,
                           request->name, on_put);
    flow_put_value(flow, body.record, body.expected_version);
    flow->step.has_expected_version = body.expected_version > 0;
    return turn;
}

/* ---- questions ---- */

struct policy_test {
    struct policy_test_body body;
    struct auth_names names; /* of the policies to be asked */
    struct bytes records[AUTH_POLICIES_MAX];
    size_t fetched;
};

static enum auth_found
find_fetched(const void *context, struct bytes tenant, enum auth_kind kind, struct bytes key,
             struct bytes *record)
{
    const struct policy_test *test = context;

    (void)tenant;
    *record = (struct bytes){0};
    for (size_t i = 0; i < test->fetched && kind == AUTH_KIND_POLICY; i++) {
        if (!bytes_equal(test->names.names[i], key) || test->records[i].size == 0)
            continue;
        *record = test->records[i];
        return AUTH_FOUND;
    }
    return AUTH_ABSENT;
}

static enum flow_turn
answer_test(struct auth_flow *flow)
{
    const struct policy_test *test = flow->state;
    struct auth_records records = {.context = test, .get = find_fetched};
    struct auth_decision decision;

    auth_decide_policies(&records, flow->request->tenant, &test->names, &test->body.question,
                         &decision);
    if (decision.answer == ANSWER_UNDECIDED)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    return flow_answer(flow, 200, decision_render(&decision, &flow->response.body));
}

static enum flow_turn on_policy_of_test(struct auth_flow *flow, const struct reply *reply);

static enum flow_turn
next_policy(struct auth_flow *flow)
{
    struct policy_test *test = flow->state;
    enum flow_turn turn;

    while (test->fetched < test->names.count &&
           policy_name_reserved(test->names.names[test->fetched]))
        test->fetched++;
    if (test->fetched == test->names.count)
        return answer_test(flow);
    turn = flow_ask_record(flow, REQUEST_RECORD_GET, flow->request->tenant, AUTH_KIND_POLICY,
                           test->names.names[test->fetched], on_policy_of_test);
    flow->takes_errors = true;
    return turn;
}

/* One that an identity names, and that is not there, says nothing. */
static enum flow_turn
on_policy_of_test(struct auth_flow *flow, const struct reply *reply)
{
    struct policy_test *test = flow->state;
    bool absent = reply->err == ERR_NOT_FOUND && test->body.has_identity;

    if (reply->err != OK && !absent)
        return flow_fail(flow, reply);
    if (!absent && arena_copy(flow->arena, reply->value, &test->records[test->fetched]) != OK)
        return flow_refuse(flow, ERR_NOMEM, NULL);
    test->fetched++;
    return next_policy(flow);
}

static enum flow_turn
on_identity_of_test(struct auth_flow *flow, const struct reply *reply)
{
    struct policy_test *test = flow->state;
    struct identity identity;
    struct bytes record;

    if (arena_copy(flow->arena, reply->value, &record) != OK)
        return flow_refuse(flow, ERR_NOMEM, NULL);
    if (identity_decode(record, &identity) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    test->names = identity.policies;
    if (identity.disabled)
        test->names = (struct auth_names){0};
    return next_policy(flow);
}

static enum flow_turn
ask_test(struct auth_flow *flow)
{
    struct policy_test *test = arena_alloc(flow->arena, sizeof(*test));
    char key[UUID_TEXT_BYTES + 1];
    const char *refusal = NULL;
    enum vault_err err = ERR_NOMEM;

    if (test)
        err = policy_test_body_parse(flow->request->body, flow->arena, &test->body, &refusal);
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    flow->state = test;
    test->names = test->body.policies;
    if (!test->body.has_identity)
        return next_policy(flow);
    uuid_format(test->body.identity, key);
    return flow_ask_record(flow, REQUEST_RECORD_GET, flow->request->tenant, AUTH_KIND_IDENTITY,
                           bytes_of_text(key), on_identity_of_test);
}

/* ---- */

enum flow_turn
policy_flow(struct auth_flow *flow)
{
    const struct request *request = flow->request;

    if (request->auth_op == AUTH_POLICY_PUT)
        return put(flow);
    if (request->auth_op == AUTH_POLICY_DELETE)
        return flow_delete(flow, request->tenant, &policies);
    if (request->auth_op == AUTH_POLICY_LIST)
        return flow_list(flow, request->tenant, &policies);
    if (request->auth_op == AUTH_POLICY_TEST)
        return ask_test(flow);
    return flow_get(flow, request->tenant, &policies);
}
