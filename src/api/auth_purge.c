/*
 * DELETE /v1/tenants/{tenant}?purge=true: a tenant with all that is in it.
 *
 * First the tenant's record is marked. From the answer to that on it is for every node as if the
 * tenant were not there, so nothing is created in it any more; but operators may delete what is
 * left. Then its secrets are deleted, as any secret is, its records, and the tokens of its
 * identities; the tenant's own record goes last.
 *
 * Whatever was voted for before the mark has been written, or never will be, when
 * TENANT_PURGE_QUIET_MS are over, by the clock that the nodes agree on: the calls come to any of
 * them, and one clock may be wrong. But what was written by one node that was cut off since is seen
 * by nobody, and would be finished when that is back: in a tenant of that name that was made anew,
 * if there were one. So only a call that began after that time, and was told by every node what it
 * has, ends the purge.
 *
 * A call deletes for PURGE_MS and answers 202 if something may be left; the next one goes on with
 * what it finds. So a purge that broke off leaves a tenant that is marked, and is begun again in
 * the same way.
 */
#include <string.h>

#include "api/auth_flow.h"
#include "api/json_out.h"
#include "auth/identity.h"
#include "base/planted.h"

enum {
    PURGE_MS = 3000,
    PURGE_STEPS_MAX = 8192,
    PURGE_NAMES = 100, /* on a page */
};

/* In this order: who may log in goes first. Tokens are records of the whole cluster. */
static const enum auth_kind kinds[] = {AUTH_KIND_APPROLE,          AUTH_KIND_ISSUER,
                                       AUTH_KIND_CLIENT_AUTHORITY, AUTH_KIND_IDENTITY,
                                       AUTH_KIND_POLICY,           AUTH_KIND_TOKEN};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct purge {
    struct tenant tenant;
    uint64_t version; /* of its record */
    uint64_t began_ms;
    uint64_t began_agreed_ms; /* which the mark is compared with: the calls come to any node */
    unsigned steps;
    bool lacks_nodes; /* some node has yet to say what it has: this call does not end it */
    bool in_secrets;  /* else in records of kinds[kind] */
    unsigned kind;
    /* The page that is being deleted. */
    struct bytes keys[PAGE_MAX];
    size_t count, next;
    bool more;                 /* there are pages after it */
    struct bytes after;        /* where the next one begins */
    uint64_t secrets, records; /* deleted by this call */
};

static enum flow_turn go_on(struct auth_flow *flow);
static enum flow_turn look(struct auth_flow *flow, const struct reply *reply);
static enum flow_turn ask_page(struct auth_flow *flow);

/* ---- how a call ends ---- */

static enum flow_turn
answer_unfinished(struct auth_flow *flow)
{
    const struct purge *purge = flow->state;
    struct json_out out;

    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_key(&out, "name");
    json_out_string(&out, flow->request->name);
    json_out_key(&out, "secrets");
    json_out_u64(&out, purge->secrets);
    json_out_key(&out, "records");
    json_out_u64(&out, purge->records);
    json_out_key(&out, "waiting_for_nodes");
    json_out_bool(&out, purge->lacks_nodes);
    json_out_close(&out, '}');
    return flow_answer(flow, 202, out.err);
}

static enum flow_turn
on_gone(struct auth_flow *flow, const struct reply *reply)
{
    if (reply->err == ERR_VERSION_MISMATCH)
        return flow_again(flow, look);
    if (reply->err != OK && reply->err != ERR_NOT_FOUND)
        return flow_fail(flow, reply);
    return flow_answer_key(flow, "name");
}

static bool
is_quiet(const struct purge *purge)
{
    return purge->began_agreed_ms >= purge->tenant.purging_ms + TENANT_PURGE_QUIET_MS ||
           PLANTED(purge_without_quiet);
}

static enum flow_turn
end(struct auth_flow *flow)
{
    const struct purge *purge = flow->state;
    enum flow_turn turn;

    if (!is_quiet(purge) || purge->lacks_nodes)
        return answer_unfinished(flow);
    turn = flow_ask_record(flow, REQUEST_RECORD_DELETE, flow_system_tenant(), AUTH_KIND_TENANT,
                           flow->request->name, on_gone);
    flow->step.has_expected_version = true;
    flow->step.expected_version = purge->version;
    flow->takes_errors = true;
    return turn;
}

/* ---- pages ---- */

static enum vault_err
keep_key(struct auth_flow *flow, struct purge *purge, struct bytes key)
{
    return purge->count == PAGE_MAX ? ERR_INTERNAL
                                    : arena_copy(flow->arena, key, &purge->keys[purge->count++]);
}

/* Of all tenants' tokens, those of this one. */
static bool
is_of_tenant(const struct purge *purge, const struct record_row *row)
{
    struct token token;

    return kinds[purge->kind] != AUTH_KIND_TOKEN ||
           (!PLANTED(token_outlives_tenant) && token_decode(row->value, &token) == OK &&
            bytes_equal(token.tenant, purge->tenant.name));
}

static enum vault_err
take_records(struct auth_flow *flow, struct purge *purge, const struct reply *reply)
{
    enum vault_err err = OK;

    for (size_t i = 0; i < reply->record_count && err == OK; i++)
        if (is_of_tenant(purge, &reply->records[i]))
            err = keep_key(flow, purge, reply->records[i].key);
    purge->more = reply->has_next && reply->record_count > 0;
    return err == OK && purge->more
               ? arena_copy(flow->arena, reply->records[reply->record_count - 1].key, &purge->after)
               : err;
}

static enum vault_err
take_names(struct auth_flow *flow, struct purge *purge, const struct reply *reply)
{
    enum vault_err err = OK;

    for (size_t i = 0; i < reply->name_count && err == OK; i++)
        err = keep_key(flow, purge, reply->names[i]);
    purge->more = reply->has_next;
    return err == OK && purge->more ? arena_copy(flow->arena, reply->names_next, &purge->after)
                                    : err;
}

/* What can be seen without some node is deleted all the same. */
static enum flow_turn
on_page(struct auth_flow *flow, const struct reply *reply)
{
    struct purge *purge = flow->state;
    enum vault_err err;

    if (flow->step.every_node && flow_lacks_nodes(reply)) {
        purge->lacks_nodes = true;
        return ask_page(flow);
    }
    if (reply->err != OK)
        return flow_fail(flow, reply);
    purge->count = purge->next = 0;
    err = purge->in_secrets ? take_names(flow, purge, reply) : take_records(flow, purge, reply);
    return err == OK ? go_on(flow) : flow_refuse(flow, err, NULL);
}

static enum flow_turn
ask_page(struct auth_flow *flow)
{
    struct purge *purge = flow->state;
    bool tokens = kinds[purge->kind] == AUTH_KIND_TOKEN;
    struct bytes after = purge->more ? purge->after : (struct bytes){0};
    enum flow_turn turn;

    if (purge->in_secrets) {
        turn = flow_ask_record(flow, REQUEST_NAMES, flow_system_tenant(), AUTH_KIND_TENANT,
                               purge->tenant.name, on_page);
        flow->step.tenant = purge->tenant.name;
        flow->step.name = (struct bytes){0};
        flow->step.names_after = after;
    } else {
        turn = flow_ask_list(flow, tokens ? flow_system_tenant() : purge->tenant.name,
                             kinds[purge->kind], after, on_page);
    }
    flow->step.limit = purge->in_secrets ? PURGE_NAMES : PAGE_MAX;
    flow->takes_errors = true;
    if (is_quiet(purge) && !purge->lacks_nodes)
        flow_ask_every_node(flow);
    return turn;
}

/* ---- deletions ---- */

static enum flow_turn
on_deleted(struct auth_flow *flow, const struct reply *reply)
{
    struct purge *purge = flow->state;

    if (reply->err != OK && reply->err != ERR_NOT_FOUND)
        return flow_fail(flow, reply);
    if (reply->err == OK && purge->in_secrets)
        purge->secrets++;
    else if (reply->err == OK)
        purge->records++;
    return go_on(flow);
}

static enum flow_turn
delete_next(struct auth_flow *flow)
{
    struct purge *purge = flow->state;
    struct bytes key = purge->keys[purge->next++];
    bool tokens = kinds[purge->kind] == AUTH_KIND_TOKEN;
    enum flow_turn turn;

    if (purge->in_secrets) {
        turn = flow_ask_record(flow, REQUEST_DELETE, flow_system_tenant(), AUTH_KIND_TENANT,
                               purge->tenant.name, on_deleted);
        flow->step.tenant = purge->tenant.name;
        flow->step.name = key;
    } else {
        turn = flow_ask_record(flow, REQUEST_RECORD_DELETE,
                               tokens ? flow_system_tenant() : purge->tenant.name,
                               kinds[purge->kind], key, on_deleted);
    }
    flow->takes_errors = true;
    return turn;
}

static enum flow_turn
go_on(struct auth_flow *flow)
{
    struct purge *purge = flow->state;

    if (++purge->steps == PURGE_STEPS_MAX)
        return answer_unfinished(flow);
    if (purge->next < purge->count)
        return flow->now_ms < purge->began_ms + PURGE_MS ? delete_next(flow)
                                                         : answer_unfinished(flow);
    if (purge->more)
        return ask_page(flow);
    if (purge->in_secrets)
        purge->in_secrets = false;
    else if (++purge->kind == KINDS)
        return end(flow);
    return ask_page(flow);
}

/* ---- the mark ---- */

static uint64_t
agreed_ms(const struct auth_flow *flow)
{
    return PLANTED(purge_by_own_clock) ? flow->now_ms : flow->agreed_ms;
}

static enum flow_turn
begin(struct auth_flow *flow)
{
    struct purge *purge = flow->state;

    purge->began_ms = flow->now_ms;
    purge->began_agreed_ms = agreed_ms(flow);
    purge->in_secrets = true;
    return ask_page(flow);
}

static enum flow_turn
on_marked(struct auth_flow *flow, const struct reply *reply)
{
    struct purge *purge = flow->state;

    if (reply->err == ERR_VERSION_MISMATCH)
        return flow_again(flow, look);
    if (reply->err != OK)
        return flow_fail(flow, reply);
    purge->version = reply->version;
    return begin(flow);
}

static enum flow_turn
mark(struct auth_flow *flow)
{
    struct purge *purge = flow->state;
    struct buf encoded = {0};
    struct bytes record;
    enum vault_err err;
    enum flow_turn turn;

    purge->tenant.purging_ms = agreed_ms(flow);
    err = flow_keep(flow, tenant_encode(&purge->tenant, &encoded), &encoded, &record);
    if (err != OK)
        return flow_refuse(flow, err, NULL);
    turn = flow_ask_record(flow, REQUEST_RECORD_PUT, flow_system_tenant(), AUTH_KIND_TENANT,
                           purge->tenant.name, on_marked);
    flow_put_value(flow, record, purge->version);
    flow->takes_errors = true;
    return turn;
}

static enum flow_turn
on_tenant(struct auth_flow *flow, const struct reply *reply)
{
    struct purge *purge = flow->state;
    struct bytes record;
    enum vault_err err = arena_copy(flow->arena, reply->value, &record);

    if (err == OK && tenant_decode(record, &purge->tenant) != OK)
        err = ERR_CORRUPT;
    if (err != OK)
        return flow_refuse(flow, err, NULL);
    purge->version = reply->version;
    return purge->tenant.purging_ms > 0 ? begin(flow) : mark(flow);
}

static enum flow_turn
look(struct auth_flow *flow, const struct reply *reply)
{
    (void)reply;
    memset(flow->state, 0, sizeof(struct purge));
    return flow_ask_record(flow, REQUEST_RECORD_GET, flow_system_tenant(), AUTH_KIND_TENANT,
                           flow->request->name, on_tenant);
}

enum flow_turn
purge_flow(struct auth_flow *flow)
{
    flow->state = arena_alloc(flow->arena, sizeof(struct purge));
    return flow->state ? look(flow, NULL) : flow_refuse(flow, ERR_NOMEM, NULL);
}
