/*
 * Roles of machines: POST /v1/auth/roles, the list of them, GET and DELETE of one, and its secret
 * ids, each of which is shown once. Records of roles are found without knowing the tenant; those of
 * another tenant are as if there were none.
 */
#include <string.h>

#include "api/auth_body.h"
#include "api/auth_flow.h"
#include "api/json_out.h"

struct role_change {
    struct approle role;
    struct bytes secret_id; /* that was made */
    struct approle_secret made;
};

static enum flow_turn
ask(struct auth_flow *flow, enum request_kind kind, struct bytes key, flow_next *next)
{
    return flow_ask_record(flow, kind, flow_system_tenant(), AUTH_KIND_APPROLE, key, next);
}

/* Views of *out are in the arena. Errors: ERR_NOT_FOUND it is of another tenant. */
static enum vault_err
take_record(struct auth_flow *flow, struct bytes value, struct approle *out)
{
    struct bytes record;
    enum vault_err err = arena_copy(flow->arena, value, &record);

    *out = (struct approle){0};
    if (err != OK)
        return err;
    if (approle_decode(record, out) != OK)
        return ERR_CORRUPT;
    return bytes_equal(out->tenant, flow->request->tenant) ? OK : ERR_NOT_FOUND;
}

static enum flow_turn
put(struct auth_flow *flow, const struct approle *role, uint64_t version, flow_next *next)
{
    char key[UUID_TEXT_BYTES + 1];
    struct buf encoded = {0};
    struct bytes record;
    enum vault_err err = approle_encode(role, &encoded);
    enum flow_turn turn;

    if (err == OK)
        err = arena_copy(flow->arena, buf_bytes(&encoded), &record);
    buf_close(&encoded);
    if (err != OK)
        return flow_refuse(flow, err, NULL);
    uuid_format(role->role_id, key);
    turn = ask(flow, REQUEST_RECORD_PUT, bytes_of_text(key), next);
    flow_put_value(flow, record, version);
    return turn;
}

/* ---- making one ---- */

static enum flow_turn
on_created(struct auth_flow *flow, const struct reply *reply)
{
    const struct role_change *change = flow->state;

    (void)reply;
    return flow_answer(flow, 201, role_render(&change->role, &flow->response.body));
}

static enum flow_turn
on_identity(struct auth_flow *flow, const struct reply *reply)
{
    struct role_change *change = flow->state;
    enum vault_err err = uuid_make(flow->rng, change->role.role_id);

    (void)reply;
    return err == OK ? put(flow, &change->role, 0, on_created) : flow_refuse(flow, err, NULL);
}

static enum flow_turn
create(struct auth_flow *flow)
{
    struct role_change *change = flow->state;
    char key[UUID_TEXT_BYTES + 1];
    const char *refusal;
    enum vault_err err = role_body_parse(flow->request->body, &change->role, &refusal);

    if (err != OK)
        return flow_refuse(flow, err, refusal);
    change->role.tenant = flow->request->tenant;
    uuid_format(change->role.identity, key);
    return flow_ask_record(flow, REQUEST_RECORD_GET, flow->request->tenant, AUTH_KIND_IDENTITY,
                           bytes_of_text(key), on_identity);
}

/* ---- secret ids ---- */

static enum flow_turn change_secrets(struct auth_flow *flow, const struct reply *reply);

static void
put_secret(struct json_out *out, const struct approle_secret *secret)
{
    uint8_t accessor[ACCESSOR_BYTES];
    char text[2 * ACCESSOR_BYTES + 1];

    ticket_accessor(secret->hash, accessor);
    hex_encode(bytes_of(accessor, sizeof(accessor)), text);
    json_out_key(out, "accessor");
    json_out_text(out, text);
    json_out_key(out, "expires_at");
    if (secret->expires_ms > 0)
        json_out_time(out, secret->expires_ms);
    else
        json_out_null(out);
}

static enum flow_turn
on_secrets_changed(struct auth_flow *flow, const struct reply *reply)
{
    const struct role_change *change = flow->state;
    struct json_out out;

    if (reply->err == ERR_VERSION_MISMATCH)
        return flow_again(flow, change_secrets);
    if (reply->err != OK)
        return flow_fail(flow, reply);
    if (flow->request->auth_op == AUTH_SECRET_ID_REVOKE)
        return flow_answer(flow, 200, role_render(&change->role, &flow->response.body));
    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_key(&out, "role_id");
    json_out_string(&out, flow->request->name);
    json_out_key(&out, "secret_id");
    json_out_string(&out, change->secret_id);
    put_secret(&out, &change->made);
    json_out_close(&out, '}');
    return flow_answer(flow, 201, out.err);
}

/* Those that have ended make room. */
static void
drop_ended(struct approle *role, uint64_t now_ms)
{
    uint8_t kept = 0;

    for (uint8_t i = 0; i < role->secret_count; i++)
        if (role->secrets[i].expires_ms == 0 || now_ms < role->secrets[i].expires_ms)
            role->secrets[kept++] = role->secrets[i];
    role->secret_count = kept;
}

static enum vault_err
add_secret(struct auth_flow *flow, struct role_change *change, const char **refusal)
{
    struct buf text = {0};
    uint64_t ttl_ms;
    enum vault_err err = secret_id_body_parse(flow->request->body, &ttl_ms, refusal);

    if (err != OK)
        return err;
    drop_ended(&change->role, flow->now_ms);
    if (change->role.secret_count == APPROLE_SECRETS_MAX) {
        *refusal = "a role has at most 4 secret ids: revoke one first";
        return ERR_FORBIDDEN;
    }
    err = ticket_make(TICKET_SECRET_ID, flow->rng, &text);
    if (err == OK)
        err = ticket_hash(TICKET_SECRET_ID, buf_bytes(&text), change->made.hash);
    if (err == OK)
        err = arena_copy(flow->arena, buf_bytes(&text), &change->secret_id);
    buf_close(&text);
    change->made.expires_ms = ttl_ms > 0 ? flow->now_ms + ttl_ms : 0;
    if (err == OK)
        change->role.secrets[change->role.secret_count++] = change->made;
    return err;
}

static enum vault_err
remove_secret(struct auth_flow *flow, struct role_change *change, const char **refusal)
{
    uint8_t wanted[ACCESSOR_BYTES], accessor[ACCESSOR_BYTES];
    struct approle *role = &change->role;
    enum vault_err err = accessor_body_parse(flow->request->body, wanted, refusal);
    uint8_t kept = 0;

    if (err != OK)
        return err;
    for (uint8_t i = 0; i < role->secret_count; i++) {
        ticket_accessor(role->secrets[i].hash, accessor);
        if (memcmp(accessor, wanted, sizeof(wanted)) != 0)
            role->secrets[kept++] = role->secrets[i];
    }
    if (kept == role->secret_count)
        return ERR_NOT_FOUND;
    role->secret_count = kept;
    return OK;
}

static enum flow_turn
on_role(struct auth_flow *flow, const struct reply *reply)
{
    struct role_change *change = flow->state;
    const char *refusal = NULL;
    enum vault_err err = take_record(flow, reply->value, &change->role);
    enum flow_turn turn;

    if (err == OK)
        err = flow->request->auth_op == AUTH_SECRET_ID_CREATE
                  ? add_secret(flow, change, &refusal)
                  : remove_secret(flow, change, &refusal);
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    turn = put(flow, &change->role, reply->version, on_secrets_changed);
    flow->takes_errors = true;
    return turn;
}

/* What is no body of any role's is refused before one is looked for. */
static enum flow_turn
change_secrets(struct auth_flow *flow, const struct reply *reply)
{
    uint8_t accessor[ACCESSOR_BYTES];
    const char *refusal;
    uint64_t ttl_ms;
    enum vault_err err = flow->request->auth_op == AUTH_SECRET_ID_CREATE
                             ? secret_id_body_parse(flow->request->body, &ttl_ms, &refusal)
                             : accessor_body_parse(flow->request->body, accessor, &refusal);

    (void)reply;
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    return ask(flow, REQUEST_RECORD_GET, flow->request->name, on_role);
}

/* ---- looking and deleting ---- */

static enum flow_turn
on_deleted(struct auth_flow *flow, const struct reply *reply)
{
    (void)reply;
    return flow_answer_key(flow, "role_id");
}

/* A role is of one tenant for ever, so it need not be the same version. */
static enum flow_turn
on_get(struct auth_flow *flow, const struct reply *reply)
{
    struct role_change *change = flow->state;
    enum vault_err err = take_record(flow, reply->value, &change->role);

    if (err != OK)
        return flow_refuse(flow, err, NULL);
    if (flow->request->auth_op == AUTH_ROLE_DELETE)
        return ask(flow, REQUEST_RECORD_DELETE, flow->request->name, on_deleted);
    return flow_answer(flow, 200, role_render(&change->role, &flow->response.body));
}

/* A page of all tenants' roles: those of this one are shown. */
static enum flow_turn
on_list(struct auth_flow *flow, const struct reply *reply)
{
    struct json_out out;

    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_key(&out, "roles");
    json_out_open(&out, '[');
    for (size_t i = 0; i < reply->record_count && out.err == OK; i++) {
        struct approle role;

        if (approle_decode(reply->records[i].value, &role) != OK)
            return flow_refuse(flow, ERR_CORRUPT, NULL);
        if (bytes_equal(role.tenant, flow->request->tenant))
            out.err = role_render(&role, &flow->response.body);
    }
    json_out_close(&out, ']');
    flow_put_next(&out, reply);
    json_out_close(&out, '}');
    return flow_answer(flow, 200, out.err);
}

enum flow_turn
role_flow(struct auth_flow *flow)
{
    const struct request *request = flow->request;

    flow->state = arena_alloc(flow->arena, sizeof(struct role_change));
    if (!flow->state)
        return flow_refuse(flow, ERR_NOMEM, NULL);
    memset(flow->state, 0, sizeof(struct role_change));
    if (request->auth_op == AUTH_ROLE_CREATE)
        return create(flow);
    if (request->auth_op == AUTH_ROLE_LIST)
        return flow_ask_list(flow, flow_system_tenant(), AUTH_KIND_APPROLE, request->names_after,
                             on_list);
    if (request->auth_op == AUTH_SECRET_ID_CREATE || request->auth_op == AUTH_SECRET_ID_REVOKE)
        return change_secrets(flow, NULL);
    return ask(flow, REQUEST_RECORD_GET, request->name, on_get);
}
