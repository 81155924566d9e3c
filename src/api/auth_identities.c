/* Identities: POST /v1/identities, and GET, PATCH, DELETE of one, and the list of them. */
#include <string.h>

#include "api/auth_body.h"
#include "api/auth_flow.h"
#include "api/json_out.h"

static enum flow_turn
ask(struct auth_flow *flow, enum request_kind kind, struct bytes key, flow_next *next)
{
    return flow_ask_record(flow, kind, flow->request->tenant, AUTH_KIND_IDENTITY, key, next);
}

static enum flow_turn
answer(struct auth_flow *flow, unsigned status, struct bytes record)
{
    struct identity identity;

    if (identity_decode(record, &identity) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    return flow_answer(flow, status, identity_render(&identity, &flow->response.body));
}

static enum flow_turn
on_created(struct auth_flow *flow, const struct reply *reply)
{
    (void)reply;
    return answer(flow, 201, flow->step.value);
}

static enum flow_turn on_changed(struct auth_flow *flow, const struct reply *reply);

/* Encodes it, and asks for it to be put in place of that version (0: there must be none). */
static enum flow_turn
put(struct auth_flow *flow, const struct identity *identity, uint64_t version)
{
    char key[UUID_TEXT_BYTES + 1];
    struct buf encoded = {0};
    struct bytes record;
    enum vault_err err = identity_encode(identity, &encoded);
    enum flow_turn turn;

    if (err == OK)
        err = arena_copy(flow->arena, buf_bytes(&encoded), &record);
    buf_close(&encoded);
    if (err != OK)
        return flow_refuse(flow, err, err == ERR_TOO_LARGE ? "the identity is too large" : NULL);
    uuid_format(identity->id, key);
    turn = ask(flow, REQUEST_RECORD_PUT, bytes_of_text(key), version > 0 ? on_changed : on_created);
    flow_put_value(flow, record, version);
    flow->takes_errors = version > 0;
    return turn;
}

static enum flow_turn
create(struct auth_flow *flow)
{
    struct identity identity;
    const char *refusal;
    enum vault_err err =
        identity_body_parse(flow->request->body, NULL, flow->arena, &identity, &refusal);

    if (err == OK)
        err = uuid_make(flow->rng, identity.id);
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    identity.created_ms = flow->now_ms;
    return put(flow, &identity, 0);
}

/* ---- changes ---- */

static enum flow_turn
on_read(struct auth_flow *flow, const struct reply *reply)
{
    struct identity before, after;
    struct bytes record;
    const char *refusal = NULL;
    enum vault_err err = arena_copy(flow->arena, reply->value, &record);

    if (err == OK && identity_decode(record, &before) != OK)
        err = ERR_CORRUPT;
    if (err == OK)
        err = identity_body_parse(flow->request->body, &before, flow->arena, &after, &refusal);
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    return put(flow, &after, reply->version);
}

/* What is no change of any identity is refused before one is looked for. */
static enum flow_turn
change(struct auth_flow *flow, const struct reply *reply)
{
    const struct identity any = {0};
    struct identity ignored;
    const char *refusal;
    enum vault_err err =
        identity_body_parse(flow->request->body, &any, flow->arena, &ignored, &refusal);

    (void)reply;
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    return ask(flow, REQUEST_RECORD_GET, flow->request->name, on_read);
}

static enum flow_turn
on_changed(struct auth_flow *flow, const struct reply *reply)
{
    if (reply->err == ERR_VERSION_MISMATCH)
        return flow_again(flow, change);
    return reply->err == OK ? answer(flow, 200, flow->step.value) : flow_fail(flow, reply);
}

/* ---- */

static enum flow_turn
on_get(struct auth_flow *flow, const struct reply *reply)
{
    return answer(flow, 200, reply->value);
}

static enum flow_turn
on_deleted(struct auth_flow *flow, const struct reply *reply)
{
    struct json_out out;

    (void)reply;
    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_key(&out, "id");
    json_out_string(&out, flow->request->name);
    json_out_close(&out, '}');
    return flow_answer(flow, 200, out.err);
}

static enum flow_turn
on_list(struct auth_flow *flow, const struct reply *reply)
{
    struct json_out out;

    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_key(&out, "identities");
    json_out_open(&out, '[');
    for (size_t i = 0; i < reply->record_count && out.err == OK; i++) {
        struct identity identity;

        if (identity_decode(reply->records[i].value, &identity) != OK)
            return flow_refuse(flow, ERR_CORRUPT, NULL);
        out.err = identity_render(&identity, &flow->response.body);
    }
    json_out_close(&out, ']');
    flow_put_next(&out, reply);
    json_out_close(&out, '}');
    return flow_answer(flow, 200, out.err);
}

enum flow_turn
identity_flow(struct auth_flow *flow)
{
    const struct request *request = flow->request;

    if (request->auth_op == AUTH_IDENTITY_CREATE)
        return create(flow);
    if (request->auth_op == AUTH_IDENTITY_CHANGE)
        return change(flow, NULL);
    if (request->auth_op == AUTH_IDENTITY_DELETE)
        return ask(flow, REQUEST_RECORD_DELETE, request->name, on_deleted);
    if (request->auth_op == AUTH_IDENTITY_LIST)
        return flow_ask_list(flow, request->tenant, AUTH_KIND_IDENTITY, request->names_after,
                             on_list);
    return ask(flow, REQUEST_RECORD_GET, request->name, on_get);
}
