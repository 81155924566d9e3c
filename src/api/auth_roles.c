/*
 * Roles of machines: POST /v1/auth/roles, the list of them, GET and DELETE of one, and its secret
 * ids, each of which is shown once.
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

static enum vault_err
render(struct bytes key, uint64_t version, struct bytes record, struct buf *out)
{
    struct approle role;

    (void)key;
    (void)version;
    return approle_decode(record, &role) == OK ? role_render(&role, out) : ERR_CORRUPT;
}

static const struct record_face roles = {AUTH_KIND_APPROLE, "roles", "role_id", render, NULL};

static enum flow_turn
ask(struct auth_flow *flow, enum request_kind kind, struct bytes key, flow_next *next)
{
    return flow_ask_record(flow, kind, flow->request->tenant, AUTH_KIND_APPROLE, key, next);
}

/* Views of *out are in the arena. */
static enum vault_err
take_record(struct auth_flow *flow, struct bytes value, struct approle *out)
{
    struct bytes record;
    enum vault_err err = arena_copy(flow->arena, value, &record);

    *out = (struct approle){0};
    if (err != OK)
        return err;
    return approle_decode(record, out) == OK ? OK : ERR_CORRUPT;
}

static enum flow_turn
put(struct auth_flow *flow, const struct approle *role, uint64_t version, flow_next *next)
{
    char key[UUID_TEXT_BYTES + 1];
    struct buf encoded = {0};
    struct bytes record;
    enum vault_err err = flow_keep(flow, approle_encode(role, &encoded), &encoded, &record);
    enum flow_turn turn;

    if (err != OK)
        return flow_refuse(flow, err, NULL);
    uuid_format(role->role_id, key);
    turn = ask(flow, REQUEST_RECORD_PUT, bytes_of_text(key), next);
    flow_put_value(flow, record, version);
    return turn;
}

/* ---- making one ---- */

/* The record as it is now; unchanged, it must be the one that was asked for. */
static enum flow_turn
on_made(struct auth_flow *flow, const struct reply *reply)
{
    struct approle role;
    enum vault_err err;

    if (reply->err != OK)
        return flow_fail_made(flow, reply);
    if (reply->version == 1 && !bytes_equal(reply->value, flow->proposed))
        return flow_refuse(flow, ERR_KEY_REUSED, NULL);
    err = take_record(flow, reply->value, &role);
    if (err != OK)
        return flow_refuse(flow, err, NULL);
    return flow_answer(flow, 201, role_render(&role, &flow->response.body));
}

/* One that is there already was made under that key by somebody else, or more than a day ago. */
static enum flow_turn
on_created(struct auth_flow *flow, const struct reply *reply)
{
    const struct role_change *change = flow->state;
    char key[UUID_TEXT_BYTES + 1];

    if (reply->err == ERR_ALREADY_EXISTS)
        return flow_refuse(flow, ERR_KEY_REUSED, NULL);
    uuid_format(change->role.role_id, key);
    return flow_on_put_new(flow, reply, AUTH_KIND_APPROLE, bytes_of_text(key), on_made);
}

static enum flow_turn
on_identity(struct auth_flow *flow, const struct reply *reply)
{
    struct role_change *change = flow->state;
    enum vault_err err = flow_make_id(flow, change->role.role_id);

    (void)reply;
    return err == OK ? flow_put_new(flow, put(flow, &change->role, 0, on_created))
                     : flow_refuse(flow, err, NULL);
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
    uint64_t ttl_ms;
    enum vault_err err = secret_id_body_parse(flow->request->body, &ttl_ms, refusal);

    if (err != OK)
        return err;
    drop_ended(&change->role, flow->now_ms);
    if (change->role.secret_count == APPROLE_SECRETS_MAX) {
        *refusal = "a role has at most 4 secret ids: revoke one first";
        return ERR_FORBIDDEN;
    }
    err = flow_draw_ticket(flow, TICKET_SECRET_ID, &change->secret_id, change->made.hash);
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

/* ---- */

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
        return flow_list(flow, request->tenant, &roles);
    if (request->auth_op == AUTH_ROLE_DELETE)
        return flow_delete(flow, request->tenant, &roles);
    if (request->auth_op == AUTH_SECRET_ID_CREATE || request->auth_op == AUTH_SECRET_ID_REVOKE)
        return change_secrets(flow, NULL);
    return flow_get(flow, request->tenant, &roles);
}
