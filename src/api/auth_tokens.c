/* Tokens: POST /v1/tokens, the caller's own one, and revocation by accessor. */
#include <string.h>

#include "api/auth_body.h"
#include "api/auth_flow.h"
#include "api/json_out.h"

static enum flow_turn
ask(struct auth_flow *flow, enum request_kind kind, const uint8_t accessor[static ACCESSOR_BYTES],
    flow_next *next)
{
    char key[2 * ACCESSOR_BYTES + 1];

    hex_encode(bytes_of(accessor, ACCESSOR_BYTES), key);
    return flow_ask_record(flow, kind, flow_system_tenant(), AUTH_KIND_TOKEN, bytes_of_text(key),
                           next);
}

/*
 * The record of the token that the caller came with. Whoever has a credential of another kind has
 * none: nothing can be kept under the accessor that is asked for then, and the answer is that of
 * whoever checks the credential.
 */
static enum flow_turn
ask_own(struct auth_flow *flow, enum request_kind kind, flow_next *next)
{
    uint8_t hash[HASH_BYTES], accessor[ACCESSOR_BYTES] = {0};

    if (ticket_hash(TICKET_TOKEN, flow->request->credential, hash) == OK)
        ticket_accessor(hash, accessor);
    bytes_wipe(hash, sizeof(hash));
    return ask(flow, kind, accessor, next);
}

/* Views of *out are in the arena. */
static enum vault_err
take_record(struct auth_flow *flow, const struct reply *reply, struct token *out)
{
    struct bytes record;
    enum vault_err err = arena_copy(flow->arena, reply->value, &record);

    *out = (struct token){0};
    if (err == OK && token_decode(record, out) != OK)
        err = ERR_CORRUPT;
    return err;
}

static enum flow_turn
ask_put(struct auth_flow *flow, const struct token *token, uint64_t version, flow_next *next)
{
    uint8_t accessor[ACCESSOR_BYTES];
    struct buf encoded = {0};
    struct bytes record;
    enum vault_err err = flow_keep(flow, token_encode(token, &encoded), &encoded, &record);
    enum flow_turn turn;

    if (err != OK)
        return flow_refuse(flow, err, NULL);
    ticket_accessor(token->hash, accessor);
    turn = ask(flow, REQUEST_RECORD_PUT, accessor, next);
    flow_put_value(flow, record, version);
    return turn;
}

static enum flow_turn
answer_token(struct auth_flow *flow, unsigned status, struct bytes record, struct bytes text)
{
    struct token token;

    if (token_decode(record, &token) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    return flow_answer(flow, status, token_render(&token, text, &flow->response.body));
}

/* ---- making one ---- */

struct token_making {
    struct token_body body;
    bool has_parent;
    struct token parent;
    struct bytes tenant; /* of whom it is for */
    uint8_t identity[AUTH_UUID_BYTES];
    struct bytes text;
};

static enum flow_turn
on_made(struct auth_flow *flow, const struct reply *reply)
{
    const struct token_making *making = flow->state;

    (void)reply;
    return answer_token(flow, 201, flow->step.value, making->text);
}

static enum flow_turn
make(struct auth_flow *flow)
{
    struct token_making *making = flow->state;
    uint8_t hash[HASH_BYTES];
    struct token token;
    enum vault_err err = flow_draw_ticket(flow, TICKET_TOKEN, &making->text, hash);

    if (err == OK)
        err = token_fill(&making->body.wish, making->tenant, making->identity,
                         making->has_parent ? &making->parent : NULL, flow->now_ms, hash, &token);
    if (err == ERR_FORBIDDEN)
        return flow_refuse(flow, err,
                           "a token whose uses are counted has no children, and a chain of tokens "
                           "has at most 8");
    if (err != OK)
        return flow_refuse(flow, err, NULL);
    return ask_put(flow, &token, 0, on_made);
}

static enum flow_turn
on_identity(struct auth_flow *flow, const struct reply *reply)
{
    struct identity identity;

    if (identity_decode(reply->value, &identity) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    if (identity.disabled)
        return flow_refuse(flow, ERR_FORBIDDEN, "the identity is disabled");
    return make(flow);
}

static enum flow_turn
ask_identity(struct auth_flow *flow)
{
    struct token_making *making = flow->state;
    char key[UUID_TEXT_BYTES + 1];

    making->tenant = flow->request->tenant;
    memcpy(making->identity, making->body.identity, AUTH_UUID_BYTES);
    uuid_format(making->identity, key);
    return flow_ask_record(flow, REQUEST_RECORD_GET, making->tenant, AUTH_KIND_IDENTITY,
                           bytes_of_text(key), on_identity);
}

/* Whoever comes with a credential without a record makes tokens without a parent. */
static enum flow_turn
on_parent(struct auth_flow *flow, const struct reply *reply)
{
    struct token_making *making = flow->state;
    const struct token_body *body = &making->body;
    enum vault_err err;

    if (reply->err == ERR_NOT_FOUND && !body->has_identity)
        return flow_refuse(flow, ERR_BAD_JSON, "identity says whom the token is for");
    if (reply->err == ERR_NOT_FOUND)
        return ask_identity(flow);
    if (reply->err != OK)
        return flow_fail(flow, reply);
    err = take_record(flow, reply, &making->parent);
    if (err != OK)
        return flow_refuse(flow, err, NULL);
    making->has_parent = true;
    if (body->has_identity && memcmp(body->identity, making->parent.identity, AUTH_UUID_BYTES) != 0)
        return ask_identity(flow);
    making->tenant = making->parent.tenant;
    memcpy(making->identity, making->parent.identity, AUTH_UUID_BYTES);
    return make(flow);
}

static enum flow_turn
create(struct auth_flow *flow)
{
    struct token_making *making = arena_alloc(flow->arena, sizeof(*making));
    const char *refusal = NULL;
    enum vault_err err = ERR_NOMEM;
    enum flow_turn turn;

    if (making)
        err = token_body_parse(flow->request->body, flow->arena, &making->body, &refusal);
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    flow->state = making;
    turn = ask_own(flow, REQUEST_RECORD_GET, on_parent);
    flow->takes_errors = true;
    return turn;
}

/* ---- one's own ---- */

static enum flow_turn
on_self(struct auth_flow *flow, const struct reply *reply)
{
    return answer_token(flow, 200, reply->value, (struct bytes){0});
}

static enum flow_turn on_renewed(struct auth_flow *flow, const struct reply *reply);

static enum flow_turn
on_to_renew(struct auth_flow *flow, const struct reply *reply)
{
    struct token token;
    enum flow_turn turn;
    enum vault_err err = take_record(flow, reply, &token);

    if (err == OK)
        err = token_renew(&token, flow->now_ms);
    if (err != OK)
        return flow_refuse(flow, err, err == ERR_FORBIDDEN ? "the token is not renewable" : NULL);
    turn = ask_put(flow, &token, reply->version, on_renewed);
    flow->takes_errors = true;
    return turn;
}

static enum flow_turn
renew(struct auth_flow *flow, const struct reply *reply)
{
    (void)reply;
    return ask_own(flow, REQUEST_RECORD_GET, on_to_renew);
}

static enum flow_turn
on_renewed(struct auth_flow *flow, const struct reply *reply)
{
    if (reply->err == ERR_VERSION_MISMATCH)
        return flow_again(flow, renew);
    if (reply->err != OK)
        return flow_fail(flow, reply);
    return answer_token(flow, 200, flow->step.value, (struct bytes){0});
}

/* ---- revocation ---- */

/* The key of the record is the accessor. */
static enum flow_turn
on_revoked(struct auth_flow *flow, const struct reply *reply)
{
    struct bytes name = flow->step.name;
    size_t size = 2 * ACCESSOR_BYTES;
    struct json_out out;

    (void)reply;
    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_key(&out, "accessor");
    json_out_string(&out, bytes_of(name.data + name.size - size, size));
    json_out_close(&out, '}');
    return flow_answer(flow, 200, out.err);
}

static enum flow_turn
revoke(struct auth_flow *flow)
{
    uint8_t accessor[ACCESSOR_BYTES];
    const char *refusal;
    enum vault_err err = accessor_body_parse(flow->request->body, accessor, &refusal);

    if (err != OK)
        return flow_refuse(flow, err, refusal);
    return ask(flow, REQUEST_RECORD_DELETE, accessor, on_revoked);
}

enum flow_turn
token_flow(struct auth_flow *flow)
{
    enum auth_op op = flow->request->auth_op;

    if (op == AUTH_TOKEN_CREATE)
        return create(flow);
    if (op == AUTH_TOKEN_RENEW)
        return renew(flow, NULL);
    if (op == AUTH_TOKEN_REVOKE)
        return revoke(flow);
    if (op == AUTH_TOKEN_REVOKE_SELF)
        return ask_own(flow, REQUEST_RECORD_DELETE, on_revoked);
    return ask_own(flow, REQUEST_RECORD_GET, on_self);
}
