/*
 * Logins: POST /v1/auth/approle:login, jwt:login and cert:login. A login makes the record of a
 * token in the name of what the client proves itself with, and every node that votes for it checks
 * that by itself (authority_of_record): the node that the client talks to is believed nothing.
 */
#include <string.h>

#include "api/auth_body.h"
#include "api/auth_flow.h"
#include "auth/identity.h"
#include "auth/login.h"
#include "auth/statement.h"

struct login_making {
    struct bytes name; /* failures are counted by it */
    struct bytes credential;
    struct bytes text; /* of the token */
};

/* ---- what is tried ---- */

static enum vault_err
take_role(struct auth_flow *flow, const struct login_body *body, struct login_making *out)
{
    struct buf text = {0};
    enum vault_err err = login_credential(body->role_id, body->secret_id, &text);

    if (err == OK)
        err = arena_copy(flow->arena, buf_bytes(&text), &out->credential);
    buf_close(&text);
    out->name = body->role_id;
    return err;
}

static enum vault_err
take_body(struct auth_flow *flow, struct login_making *out, const char **refusal)
{
    struct bytes body = flow->request->body;
    struct login_body login;
    enum vault_err err;

    if (flow->request->auth_op == AUTH_LOGIN_APPROLE) {
        err = approle_login_parse(body, flow->arena, &login, refusal);
        return err == OK ? take_role(flow, &login, out) : err;
    }
    if (flow->request->auth_op == AUTH_LOGIN_JWT) {
        err = jwt_login_parse(body, flow->arena, &login, refusal);
        out->credential = out->name = login.jwt;
        return err;
    }
    err = cert_login_parse(body, flow->arena, &login, refusal);
    out->credential = out->name = login.statement;
    return err;
}

/* A role's secret must not pass for a statement, nor one login for another. */
static bool
is_of_kind(enum auth_op op, struct bytes credential)
{
    size_t size = strlen(STATEMENT_PREFIX);
    bool statement = credential.size > size && memcmp(credential.data, STATEMENT_PREFIX, size) == 0;

    if (op == AUTH_LOGIN_CERT)
        return statement;
    return (op == AUTH_LOGIN_APPROLE) == login_looks_like(credential) && !statement;
}

/* ---- how it ends ---- */

/*
 * The refusal is a step like any other, so that it is noted and takes the way of the others. The
 * record that it names says what was tried, and is never looked at.
 */
static enum flow_turn
on_refused(struct auth_flow *flow, const struct reply *reply)
{
    return reply->err == OK ? flow_refuse(flow, ERR_INTERNAL, NULL)
           : reply->err == ERR_AUDIT_UNAVAILABLE
               ? flow_fail(flow, reply)
               : flow_refuse(flow, ERR_UNAUTHENTICATED, "the login is not valid");
}

static enum flow_turn
refuse(struct auth_flow *flow)
{
    static const enum auth_kind kinds[] = {AUTH_KIND_APPROLE, AUTH_KIND_ISSUER,
                                           AUTH_KIND_CLIENT_AUTHORITY};
    enum auth_kind kind = kinds[flow->request->auth_op - AUTH_LOGIN_APPROLE];
    const struct login_making *making = flow->state;
    uint8_t role_id[AUTH_UUID_BYTES];
    bool of_role = kind == AUTH_KIND_APPROLE && uuid_parse(making->name, role_id) == OK;
    enum flow_turn turn =
        flow_ask_record(flow, REQUEST_RECORD_PUT, flow->request->tenant, kind,
                        of_role ? making->name : bytes_of_text("login"), on_refused);

    flow->step.credential = (struct bytes){0};
    flow->step.is_login = true;
    flow->step.auth_op = flow->request->auth_op;
    flow->step.refused = ERR_UNAUTHENTICATED;
    flow->takes_errors = true;
    return turn;
}

/*
 * Whoever votes may know what this node does not know yet. Of that the client is told what it is
 * told of any login that is not good.
 */
static enum flow_turn
on_made(struct auth_flow *flow, const struct reply *reply)
{
    const struct login_making *making = flow->state;
    struct token token;

    if (reply->err == ERR_NOT_FOUND || reply->err == ERR_FORBIDDEN ||
        reply->err == ERR_UNAUTHENTICATED)
        return flow_refuse(flow, ERR_UNAUTHENTICATED, "the login is not valid");
    if (reply->err != OK)
        return flow_fail(flow, reply);
    flow->desk->succeeded(flow->desk->context, making->name);
    if (token_decode(flow->step.value, &token) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    return flow_answer(flow, 200, token_render(&token, making->text, &flow->response.body));
}

/* ---- the token ---- */

static enum vault_err
draw(struct auth_flow *flow, const struct login *login, struct login_making *making,
     struct bytes *record, char key[static 2 * ACCESSOR_BYTES + 1])
{
    struct buf encoded = {0};
    uint8_t hash[HASH_BYTES], accessor[ACCESSOR_BYTES];
    struct token token;
    enum vault_err err = flow_draw_ticket(flow, TICKET_TOKEN, &making->text, hash);

    if (err == OK)
        err = login_token(login, flow->now_ms, hash, &token);
    if (err == OK)
        err = token_encode(&token, &encoded);
    err = flow_keep(flow, err, &encoded, record);
    if (err == OK) {
        ticket_accessor(hash, accessor);
        hex_encode(bytes_of(accessor, sizeof(accessor)), key);
    }
    bytes_wipe(hash, sizeof(hash));
    return err;
}

static enum flow_turn
make(struct auth_flow *flow, const struct login *login)
{
    struct login_making *making = flow->state;
    char key[2 * ACCESSOR_BYTES + 1];
    struct bytes record;
    enum vault_err err = draw(flow, login, making, &record, key);
    enum flow_turn turn;

    if (err == ERR_UNAUTHENTICATED)
        return refuse(flow);
    if (err != OK)
        return flow_refuse(flow, err, NULL);
    turn = flow_ask_record(flow, REQUEST_RECORD_PUT, flow_system_tenant(), AUTH_KIND_TOKEN,
                           bytes_of_text(key), on_made);
    flow_put_value(flow, record, 0);
    flow->step.credential = making->credential;
    flow->step.is_login = true;
    flow->step.auth_op = flow->request->auth_op;
    flow->takes_errors = true;
    return turn;
}

enum flow_turn
login_flow(struct auth_flow *flow)
{
    struct login_making *making = arena_alloc(flow->arena, sizeof(*making));
    const char *refusal = NULL;
    struct reply later = {.err = ERR_RATE_LIMITED};
    struct login login;
    enum vault_err err = making && flow->desk ? take_body(flow, making, &refusal) : ERR_NOMEM;

    if (err != OK)
        return flow_refuse(flow, err, refusal);
    flow->state = making;
    /* What is none of that kind is tried as nothing at all. */
    if (!is_of_kind(flow->request->auth_op, making->credential))
        making->credential = bytes_of_text("..");
    err = flow->desk->enter(flow->desk->context, making->name, making->credential,
                            flow->request->tenant, flow->arena, &login, &later.retry_after_ms);
    if (err == ERR_RATE_LIMITED)
        return flow_fail(flow, &later);
    if (err == ERR_UNAUTHENTICATED)
        return refuse(flow);
    return err == OK ? make(flow, &login) : flow_refuse(flow, err, NULL);
}
