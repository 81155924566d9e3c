#include "api/auth_flow.h"

#include <string.h>

#include "api/target.h"

/* ---- how it ends ---- */

/* What there is none of, or one already; the caller's words for an error that secrets have too. */
static const char *
sentence(enum auth_op op, enum vault_err err)
{
    static const char *const absent[] = {
        "there is no such tenant", "there is no such policy, or tenant",
        "there is no such identity, or tenant", "there is no such token, or identity",
        "there is no such issuer, authority, role or identity"};
    static const char *const changed[] = {"the tenant has another version than expected",
                                          "the policy has another version than expected",
                                          "the identity has another version than expected",
                                          "the token has another version than expected",
                                          "it has another version than expected"};
    unsigned what = op >= AUTH_LOGIN_APPROLE     ? 4
                    : op >= AUTH_TOKEN_CREATE    ? 3
                    : op >= AUTH_IDENTITY_CREATE ? 2
                    : op >= AUTH_POLICY_PUT      ? 1
                                                 : 0;

    if (err == ERR_NOT_FOUND)
        return absent[what];
    if (err == ERR_VERSION_MISMATCH)
        return changed[what];
    return err == ERR_ALREADY_EXISTS ? "one of that name exists" : NULL;
}

static enum flow_turn
end(struct auth_flow *flow, const struct reply *reply, const char *why)
{
    api_response_close(&flow->response);
    flow->refused = (struct reply){
        .err = reply->err, .phase = reply->phase, .retry_after_ms = reply->retry_after_ms};
    flow->request->refusal = why ? why : sentence(flow->request->auth_op, reply->err);
    return FLOW_DONE;
}

enum flow_turn
flow_refuse(struct auth_flow *flow, enum vault_err err, const char *why)
{
    struct reply reply = {.err = err};

    return end(flow, &reply, why);
}

enum flow_turn
flow_fail(struct auth_flow *flow, const struct reply *reply)
{
    return end(flow, reply, NULL);
}

enum flow_turn
flow_answer(struct auth_flow *flow, unsigned status, enum vault_err rendered)
{
    if (rendered != OK)
        return flow_refuse(flow, rendered, NULL);
    flow->response.status = status;
    flow->response.content_type = "application/json";
    flow->refused = (struct reply){0};
    return FLOW_DONE;
}

enum flow_turn
flow_again(struct auth_flow *flow, flow_next *first)
{
    if (++flow->attempts == FLOW_ATTEMPTS_MAX)
        return flow_refuse(flow, ERR_CONTENDED, NULL);
    return first(flow, NULL);
}

/* ---- steps ---- */

struct bytes
flow_system_tenant(void)
{
    return bytes_of_text(SYSTEM_TENANT);
}

static void
step_begin(struct auth_flow *flow, enum request_kind kind, struct bytes tenant, flow_next *next)
{
    const struct request *whole = flow->request;

    flow->step = (struct request){.kind = kind,
                                  .routed = true,
                                  .id = whole->id,
                                  .tenant = tenant,
                                  .credential = whole->credential,
                                  .address = whole->address};
    flow->next = next;
    flow->takes_errors = false;
}

enum flow_turn
flow_ask_record(struct auth_flow *flow, enum request_kind kind, struct bytes tenant,
                enum auth_kind of, struct bytes key, flow_next *next)
{
    struct path path;

    step_begin(flow, kind, tenant, next);
    if (record_path_make(tenant, bytes_of_text(auth_kind_name(of)), key, flow->step_name, &path) !=
        OK)
        return flow_refuse(flow, ERR_BAD_NAME, NULL);
    flow->step.name = path.name;
    return FLOW_ASK;
}

enum flow_turn
flow_ask_list(struct auth_flow *flow, struct bytes tenant, enum auth_kind of, struct bytes after,
              flow_next *next)
{
    struct bytes any = bytes_of_text("0");
    enum flow_turn turn;

    if (after.size > 0 && !record_key_valid(after))
        return flow_refuse(flow, ERR_BAD_PARAMETER, "after must be the next of the page before");
    turn =
        flow_ask_record(flow, REQUEST_RECORD_LIST, tenant, of, after.size > 0 ? after : any, next);
    if (after.size == 0)
        flow->step.name.size -= any.size;
    flow->step.limit = flow->request->limit;
    return turn;
}

void
flow_ask_every_node(struct auth_flow *flow)
{
    flow->step.every_node = true;
    flow->takes_errors = true;
}

bool
flow_lacks_nodes(const struct reply *reply)
{
    return reply->err == ERR_NO_QUORUM || reply->err == ERR_NOT_READY;
}

void
flow_put_value(struct auth_flow *flow, struct bytes value, uint64_t expected_version)
{
    flow->step.value = value;
    flow->step.has_expected_version = true;
    flow->step.expected_version = expected_version;
}

/* ---- */

enum flow_turn
auth_flow_start(struct auth_flow *flow)
{
    switch (flow->request->auth_op) {
    case AUTH_TENANT_CREATE:
    case AUTH_TENANT_GET:
    case AUTH_TENANT_CHANGE:
    case AUTH_TENANT_DELETE:
    case AUTH_TENANT_LIST: return tenant_flow(flow);
    case AUTH_POLICY_PUT:
    case AUTH_POLICY_GET:
    case AUTH_POLICY_DELETE:
    case AUTH_POLICY_LIST:
    case AUTH_POLICY_TEST: return policy_flow(flow);
    case AUTH_IDENTITY_CREATE:
    case AUTH_IDENTITY_GET:
    case AUTH_IDENTITY_CHANGE:
    case AUTH_IDENTITY_DELETE:
    case AUTH_IDENTITY_LIST: return identity_flow(flow);
    case AUTH_TOKEN_CREATE:
    case AUTH_TOKEN_SELF:
    case AUTH_TOKEN_RENEW:
    case AUTH_TOKEN_REVOKE_SELF:
    case AUTH_TOKEN_REVOKE: return token_flow(flow);
    case AUTH_LOGIN_APPROLE:
    case AUTH_LOGIN_JWT:
    case AUTH_LOGIN_CERT: return login_flow(flow);
    case AUTH_ISSUER_PUT:
    case AUTH_ISSUER_GET:
    case AUTH_ISSUER_DELETE:
    case AUTH_ISSUER_LIST:
    case AUTH_CA_PUT:
    case AUTH_CA_GET:
    case AUTH_CA_DELETE: return issuer_flow(flow);
    case AUTH_ROLE_CREATE:
    case AUTH_ROLE_GET:
    case AUTH_ROLE_DELETE:
    case AUTH_ROLE_LIST:
    case AUTH_SECRET_ID_CREATE:
    case AUTH_SECRET_ID_REVOKE: return role_flow(flow);
    case AUTH_CRL_PUT:
    case AUTH_CRL_GET:
    case AUTH_CRL_DELETE: return revocations_flow(flow);
    }
    return flow_refuse(flow, ERR_INTERNAL, NULL);
}

enum flow_turn
auth_flow_continue(struct auth_flow *flow, const struct reply *reply)
{
    if (reply->err != OK && !flow->takes_errors)
        return flow_fail(flow, reply);
    return flow->next(flow, reply);
}
