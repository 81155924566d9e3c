/*
 * Whom a tenant believes: PUT /v1/auth/issuers, the list of them, GET and DELETE of one, and PUT,
 * GET and DELETE /v1/auth/ca, the authority of client certificates.
 */
#include "api/auth_body.h"
#include "api/auth_flow.h"

/* ---- issuers ---- */

static enum vault_err
render(struct bytes key, uint64_t version, struct bytes record, struct buf *out)
{
    (void)key;
    return issuer_render(version, record, out);
}

static const struct record_face issuers = {AUTH_KIND_ISSUER, "issuers", "id", render, NULL};

static enum flow_turn
on_put(struct auth_flow *flow, const struct reply *reply)
{
    return flow_answer_record(flow, 200, &issuers, reply->version, flow->step.value);
}

static void
put_value(struct auth_flow *flow, struct bytes record, uint64_t expected_version)
{
    flow_put_value(flow, record, expected_version);
    flow->step.has_expected_version = expected_version > 0;
}

static enum flow_turn
put(struct auth_flow *flow)
{
    const struct request *request = flow->request;
    struct issuer_body body;
    const char *refusal;
    enum vault_err err = issuer_body_parse(request->body, flow->arena, &body, &refusal);
    enum flow_turn turn;

    if (err != OK)
        return flow_refuse(flow, err, refusal);
    if (body.names_operators && !bytes_equal(request->tenant, bytes_of_text("default")))
        return flow_refuse(flow, ERR_FORBIDDEN,
                           "operator and auditor are named by issuers of the tenant default");
    turn = flow_ask_record(flow, REQUEST_RECORD_PUT, request->tenant, AUTH_KIND_ISSUER,
                           bytes_of_text(body.key), on_put);
    put_value(flow, body.record, body.expected_version);
    return turn;
}

/* ---- the authority ---- */

static enum flow_turn
ask_ca(struct auth_flow *flow, enum request_kind kind, flow_next *next)
{
    return flow_ask_record(flow, kind, flow->request->tenant, AUTH_KIND_CLIENT_AUTHORITY,
                           bytes_of_text("ca"), next);
}

static enum flow_turn
on_ca_put(struct auth_flow *flow, const struct reply *reply)
{
    return flow_answer(flow, 200,
                       ca_render(reply->version, flow->step.value, &flow->response.body));
}

static enum flow_turn
put_ca(struct auth_flow *flow)
{
    struct ca_body body;
    const char *refusal;
    enum vault_err err = ca_body_parse(flow->request->body, flow->arena, &body, &refusal);
    enum flow_turn turn;

    if (err != OK)
        return flow_refuse(flow, err, refusal);
    turn = ask_ca(flow, REQUEST_RECORD_PUT, on_ca_put);
    put_value(flow, body.record, body.expected_version);
    return turn;
}

static enum flow_turn
on_ca_get(struct auth_flow *flow, const struct reply *reply)
{
    return flow_answer(flow, 200, ca_render(reply->version, reply->value, &flow->response.body));
}

/* ---- */

enum flow_turn
issuer_flow(struct auth_flow *flow)
{
    const struct request *request = flow->request;

    if (request->auth_op == AUTH_ISSUER_PUT)
        return put(flow);
    if (request->auth_op == AUTH_ISSUER_LIST)
        return flow_list(flow, request->tenant, &issuers);
    if (request->auth_op == AUTH_ISSUER_DELETE)
        return flow_delete(flow, request->tenant, &issuers);
    if (request->auth_op == AUTH_CA_PUT)
        return put_ca(flow);
    if (request->auth_op == AUTH_CA_GET)
        return ask_ca(flow, REQUEST_RECORD_GET, on_ca_get);
    if (request->auth_op == AUTH_CA_DELETE)
        return ask_ca(flow, REQUEST_RECORD_DELETE, flow_answer_nothing);
    return flow_get(flow, request->tenant, &issuers);
}
