/*
 * Tenants: POST /v1/tenants, and GET, PATCH, DELETE of one, and the list of them.
 *
 * "default" is there without a record, until its limits are changed, and cannot be deleted.
 *
 * A deletion looks first whether anything is left in the tenant, at every node (auth_purge.c says
 * why), deletes the record, from when on nobody is served there, and looks for secrets again: what
 * was created in between brings the record back, and so does a node that cannot be asked any more.
 * A creation that is under way all that time may still come after it; a purge waits for that.
 */
#include <string.h>

#include "api/auth_body.h"
#include "api/auth_flow.h"

#define DEFAULT_TENANT "default"

static bool
is_default(const struct auth_flow *flow)
{
    return bytes_equal(flow->request->name, bytes_of_text(DEFAULT_TENANT));
}

static enum flow_turn
ask(struct auth_flow *flow, enum request_kind kind, struct bytes name, flow_next *next)
{
    return flow_ask_record(flow, kind, flow_system_tenant(), AUTH_KIND_TENANT, name, next);
}

static enum vault_err
render(struct bytes key, uint64_t version, struct bytes record, struct buf *out)
{
    struct tenant tenant;

    (void)key;
    (void)version;
    return tenant_decode(record, &tenant) == OK ? tenant_render(&tenant, out) : ERR_CORRUPT;
}

static const struct record_face tenants = {AUTH_KIND_TENANT, "tenants", "name", render, NULL};

static enum flow_turn
answer(struct auth_flow *flow, unsigned status, struct bytes record)
{
    return flow_answer_record(flow, status, &tenants, 0, record);
}

/* ---- making and changing one ---- */

/* The record as it is now; unchanged, it must be the one that was asked for. */
static enum flow_turn
on_made(struct auth_flow *flow, const struct reply *reply)
{
    struct tenant now, proposed;
    struct buf encoded = {0};

    if (reply->err != OK)
        return flow_fail_made(flow, reply);
    if (tenant_decode(reply->value, &now) != OK || tenant_decode(flow->proposed, &proposed) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    proposed.created_ms = now.created_ms;
    return flow_answer_made(flow, reply, &tenants, tenant_encode(&proposed, &encoded), &encoded);
}

static enum flow_turn
on_created(struct auth_flow *flow, const struct reply *reply)
{
    struct tenant proposed;

    if (tenant_decode(flow->step.value, &proposed) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    return flow_on_put_new(flow, reply, AUTH_KIND_TENANT, proposed.name, on_made);
}

static enum flow_turn
put(struct auth_flow *flow, const struct tenant *tenant, uint64_t version, flow_next *next)
{
    struct buf encoded = {0};
    struct bytes record;
    enum vault_err err = flow_keep(flow, tenant_encode(tenant, &encoded), &encoded, &record);
    enum flow_turn turn;

    if (err != OK)
        return flow_refuse(flow, err, NULL);
    turn = ask(flow, REQUEST_RECORD_PUT, tenant->name, next);
    flow_put_value(flow, record, version);
    return turn;
}

static enum flow_turn
create(struct auth_flow *flow)
{
    struct tenant tenant;
    const char *refusal;
    enum vault_err err =
        tenant_body_parse(flow->request->body, NULL, flow->arena, &tenant, &refusal);

    if (err != OK)
        return flow_refuse(flow, err, refusal);
    tenant.created_ms = flow->now_ms;
    return flow_put_new(flow, put(flow, &tenant, 0, on_created));
}

static enum flow_turn on_changed(struct auth_flow *flow, const struct reply *reply);

static enum flow_turn
on_to_change(struct auth_flow *flow, const struct reply *reply)
{
    bool first = reply->err == ERR_NOT_FOUND && is_default(flow);
    struct tenant before = {.name = bytes_of_text(DEFAULT_TENANT)}, after;
    struct bytes record = {0};
    const char *refusal = NULL;
    enum vault_err err = OK;
    enum flow_turn turn;

    if (reply->err != OK && !first)
        return flow_fail(flow, reply);
    if (!first)
        err = arena_copy(flow->arena, reply->value, &record);
    if (!first && err == OK && tenant_decode(record, &before) != OK)
        err = ERR_CORRUPT;
    if (err == OK)
        err = tenant_body_parse(flow->request->body, &before, flow->arena, &after, &refusal);
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    turn = put(flow, &after, first ? 0 : reply->version, on_changed);
    flow->takes_errors = true;
    return turn;
}

/* What is no change of any tenant is refused before one is looked for. */
static enum flow_turn
change(struct auth_flow *flow, const struct reply *reply)
{
    const struct tenant any = {0};
    struct tenant ignored;
    const char *refusal;
    enum vault_err err =
        tenant_body_parse(flow->request->body, &any, flow->arena, &ignored, &refusal);
    enum flow_turn turn;

    (void)reply;
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    turn = ask(flow, REQUEST_RECORD_GET, flow->request->name, on_to_change);
    flow->takes_errors = true;
    return turn;
}

static enum flow_turn
on_changed(struct auth_flow *flow, const struct reply *reply)
{
    if (reply->err == ERR_VERSION_MISMATCH || reply->err == ERR_ALREADY_EXISTS)
        return flow_again(flow, change);
    return reply->err == OK ? answer(flow, 200, flow->step.value) : flow_fail(flow, reply);
}

/* ---- reading ---- */

/* Who may list tenants may know that one. */
static enum flow_turn
on_default(struct auth_flow *flow, const struct reply *reply)
{
    struct tenant unlimited = {.name = bytes_of_text(DEFAULT_TENANT)};

    (void)reply;
    return flow_answer(flow, 200, tenant_render(&unlimited, &flow->response.body));
}

static enum flow_turn
on_get(struct auth_flow *flow, const struct reply *reply)
{
    if (reply->err == ERR_NOT_FOUND && is_default(flow))
        return flow_ask_list(flow, flow_system_tenant(), AUTH_KIND_TENANT, (struct bytes){0},
                             on_default);
    if (reply->err != OK)
        return flow_fail(flow, reply);
    return answer(flow, 200, reply->value);
}

static enum flow_turn
get(struct auth_flow *flow)
{
    enum flow_turn turn = ask(flow, REQUEST_RECORD_GET, flow->request->name, on_get);

    flow->takes_errors = true;
    return turn;
}

/* ---- deletion ---- */

struct tenant_deletion {
    struct bytes record;
    uint64_t version;
    size_t kinds_seen;   /* of records: there are none */
    enum vault_err left; /* why the record is brought back */
};

static enum flow_turn
ask_names(struct auth_flow *flow, flow_next *next)
{
    enum flow_turn turn = ask(flow, REQUEST_NAMES, flow->request->name, next);

    flow->step.tenant = flow->request->name;
    flow->step.name = (struct bytes){0};
    flow->step.limit = 1;
    return turn;
}

static enum flow_turn
refuse_not_empty(struct auth_flow *flow)
{
    return flow_refuse(flow, ERR_NOT_EMPTY, NULL);
}

static enum flow_turn
refuse_left(struct auth_flow *flow, const struct reply *reply)
{
    if (flow_lacks_nodes(reply))
        return flow_refuse(
            flow, reply->err,
            "a node has yet to say that it has nothing of this tenant, or to hear of "
            "a change: nothing was deleted");
    return flow_fail(flow, reply);
}

static enum flow_turn
ask_names_of_all(struct auth_flow *flow, flow_next *next)
{
    enum flow_turn turn = ask_names(flow, next);

    flow_ask_every_node(flow);
    return turn;
}

/* ---- once the record is deleted ---- */

static enum flow_turn
on_brought_back(struct auth_flow *flow, const struct reply *reply)
{
    const struct tenant_deletion *deletion = flow->state;
    const struct reply why = {.err = deletion->left};

    (void)reply;
    return deletion->left == ERR_NOT_EMPTY ? refuse_not_empty(flow) : refuse_left(flow, &why);
}

static enum flow_turn
bring_back(struct auth_flow *flow, enum vault_err left)
{
    struct tenant_deletion *deletion = flow->state;
    enum flow_turn turn = ask(flow, REQUEST_RECORD_PUT, flow->request->name, on_brought_back);

    deletion->left = left;
    flow_put_value(flow, deletion->record, 0);
    return turn;
}

static enum flow_turn
on_secrets_after(struct auth_flow *flow, const struct reply *reply)
{
    struct bytes after;
    enum flow_turn turn;

    if (reply->err != OK || reply->name_count > 0)
        return bring_back(flow, reply->err != OK ? reply->err : ERR_NOT_EMPTY);
    if (!reply->has_next)
        return flow_answer_key(flow, tenants.key);
    if (arena_copy(flow->arena, reply->names_next, &after) != OK)
        return flow_refuse(flow, ERR_NOMEM, NULL);
    turn = ask_names_of_all(flow, on_secrets_after);
    flow->step.names_after = after;
    return turn;
}

static enum flow_turn
on_deleted(struct auth_flow *flow, const struct reply *reply)
{
    (void)reply;
    return ask_names_of_all(flow, on_secrets_after);
}

/* ---- before ---- */

static enum flow_turn
on_secrets(struct auth_flow *flow, const struct reply *reply)
{
    const struct tenant_deletion *deletion = flow->state;
    struct bytes after;
    enum flow_turn turn;

    if (reply->err != OK)
        return refuse_left(flow, reply);
    if (reply->name_count > 0)
        return refuse_not_empty(flow);
    if (reply->has_next) {
        if (arena_copy(flow->arena, reply->names_next, &after) != OK)
            return flow_refuse(flow, ERR_NOMEM, NULL);
        turn = ask_names_of_all(flow, on_secrets);
        flow->step.names_after = after;
        return turn;
    }
    turn = ask(flow, REQUEST_RECORD_DELETE, flow->request->name, on_deleted);
    flow->step.has_expected_version = true;
    flow->step.expected_version = deletion->version;
    return turn;
}

static enum flow_turn
on_records(struct auth_flow *flow, const struct reply *reply)
{
    static const enum auth_kind kinds[] = {AUTH_KIND_IDENTITY, AUTH_KIND_POLICY, AUTH_KIND_APPROLE,
                                           AUTH_KIND_ISSUER, AUTH_KIND_CLIENT_AUTHORITY};
    struct tenant_deletion *deletion = flow->state;
    enum flow_turn turn;

    if (reply->err != OK)
        return refuse_left(flow, reply);
    if (reply->record_count > 0)
        return refuse_not_empty(flow);
    if (deletion->kinds_seen == sizeof(kinds) / sizeof(kinds[0]))
        return ask_names_of_all(flow, on_secrets);
    turn = flow_ask_list(flow, flow->request->name, kinds[deletion->kinds_seen++],
                         (struct bytes){0}, on_records);
    flow_ask_every_node(flow);
    return turn;
}

static enum flow_turn
on_to_delete(struct auth_flow *flow, const struct reply *reply)
{
    struct tenant_deletion *deletion = arena_alloc(flow->arena, sizeof(*deletion));

    if (!deletion || arena_copy(flow->arena, reply->value, &deletion->record) != OK)
        return flow_refuse(flow, ERR_NOMEM, NULL);
    deletion->version = reply->version;
    deletion->kinds_seen = 0;
    flow->state = deletion;
    return on_records(flow, &(struct reply){0});
}

/* ---- */

enum flow_turn
tenant_flow(struct auth_flow *flow)
{
    const struct request *request = flow->request;

    if (request->auth_op == AUTH_TENANT_CREATE)
        return create(flow);
    if (request->auth_op == AUTH_TENANT_CHANGE)
        return change(flow, NULL);
    if (request->auth_op == AUTH_TENANT_LIST)
        return flow_list(flow, flow_system_tenant(), &tenants);
    if (request->auth_op == AUTH_TENANT_DELETE && is_default(flow))
        return flow_refuse(flow, ERR_FORBIDDEN, "the tenant default cannot be deleted");
    if (request->auth_op == AUTH_TENANT_DELETE && request->purge)
        return purge_flow(flow);
    if (request->auth_op == AUTH_TENANT_DELETE)
        return ask(flow, REQUEST_RECORD_GET, request->name, on_to_delete);
    return get(flow);
}
