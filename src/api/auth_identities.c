/* Identities: POST /v1/identities, and GET, PATCH, DELETE of one, and the list of them. */
#include <string.h>

#include "api/auth_body.h"
#include "api/auth_flow.h"

static enum flow_turn
ask(struct auth_flow *flow, enum request_kind kind, struct bytes key, flow_next *next)
{
    return flow_ask_record(flow, kind, flow->request->tenant, AUTH_KIND_IDENTITY, key, next);
}

static enum vault_err
render(struct bytes key, uint64_t version, struct bytes record, struct buf *out)
{
    struct identity identity;

    (void)key;
    (void)version;
    return identity_decode(record, &identity) == OK ? identity_render(&identity, out) : ERR_CORRUPT;
}

static const struct record_face identities = {AUTH_KIND_IDENTITY, "identities", "id", render, NULL};

static enum flow_turn
answer(struct auth_flow *flow, unsigned status, struct bytes record)
{
    return flow_answer_record(flow, status, &identities, 0, record);
}

/* The record as it is now; unchanged, it must be the one that was asked for. */
static enum flow_turn
on_made(struct auth_flow *flow, const struct reply *reply)
{
    struct identity now, proposed;
    struct buf encoded = {0};

    if (reply->err != OK)
        return flow_fail_made(flow, reply);
    if (identity_decode(reply->value, &now) != OK ||
        identity_decode(flow->proposed, &proposed) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    proposed.created_ms = now.created_ms;
    return flow_answer_made(flow, reply, &identities, identity_encode(&proposed, &encoded),
                            &encoded);
}

/* One that is there already was made under that key by somebody else, or more than a day ago. */
static enum flow_turn
on_created(struct auth_flow *flow, const struct reply *reply)
{
    char key[UUID_TEXT_BYTES + 1];
    struct identity proposed;

    if (reply->err == ERR_ALREADY_EXISTS)
        return flow_refuse(flow, ERR_KEY_REUSED, NULL);
    if (identity_decode(flow->step.value, &proposed) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    uuid_format(proposed.id, key);
    return flow_on_put_new(flow, reply, AUTH_KIND_IDENTITY, bytes_of_text(key), on_made);
}

static enum flow_turn on_changed(struct auth_flow *flow, const struct reply *reply);

/* Encodes it, and asks for it to be put in place of that version (0: there must be none). */
static enum flow_turn
put(struct auth_flow *flow, const struct identity *identity, uint64_t version)
{
    char key[UUID_TEXT_BYTES + 1];
    struct buf encoded = {0};
    struct bytes record;
    enum vault_err err = flow_keep(flow, identity_encode(identity, &encoded), &encoded, &record);
    enum flow_turn turn;

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
        err = flow_make_id(flow, identity.id);
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    identity.created_ms = flow->now_ms;
    return flow_put_new(flow, put(flow, &identity, 0));
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

enum flow_turn
identity_flow(struct auth_flow *flow)
{
    const struct request *request = flow->request;

    if (request->auth_op == AUTH_IDENTITY_CREATE)
        return create(flow);
    if (request->auth_op == AUTH_IDENTITY_CHANGE)
        return change(flow, NULL);
    if (request->auth_op == AUTH_IDENTITY_DELETE)
        return flow_delete(flow, request->tenant, &identities);
    if (request->auth_op == AUTH_IDENTITY_LIST)
        return flow_list(flow, request->tenant, &identities);
    return flow_get(flow, request->tenant, &identities);
}
