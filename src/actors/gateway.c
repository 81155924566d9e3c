#include "actors/gateway.h"

#include <assert.h>

#include "actors/alarms.h"
#include "actors/authority.h"
#include "proto/alteration.h"

enum { BUSY_RETRY_MS = 1000, GATEWAY_SKEW_MS_MAX = 500 };

void
gateway_init(struct gateway *g, const struct membership *membership, size_t requests_max)
{
    *g = (struct gateway){.membership = membership, .requests_max = requests_max};
}

/* A clock that a majority contradicts cannot answer questions about points in time. */
static bool
clock_is_doubtful(const struct gateway *g)
{
    const struct membership *ms = g->membership;
    unsigned contradict = 0;
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        int64_t offset = ms->members[i].clock_offset_ms;
        contradict += ms->members[i].connected &&
                      (offset > GATEWAY_SKEW_MS_MAX || offset < -GATEWAY_SKEW_MS_MAX);
    }
    return contradict >= cluster_node_majority(ms->cluster);
}

/* What comes from the API names secrets alone; the others name records, and nothing else. */
static enum vault_err
check_record(const struct request *request)
{
    struct path path = {request->tenant, request->name};
    struct bytes kind, key;
    bool list = request->kind == REQUEST_RECORD_LIST;
    bool record = list ? record_list_name_split(request->name, &kind, &key) : record_path_is(path);
    if (record != request_is_of_record(request->kind) && request->name.size > 0)
        return ERR_BAD_NAME;
    if (list && (request->limit == 0 || request->limit > PAGE_MAX))
        return ERR_BAD_PARAMETER;
    if (request->kind == REQUEST_RECORD_PUT && request->value.size == 0)
        return ERR_BAD_REQUEST;
    if (request->kind == REQUEST_RECORD_PUT && request->value.size > RECORD_VALUE_BYTES_MAX)
        return ERR_TOO_LARGE;
    return OK;
}

static bool
keeps_too_many(const struct alteration *a, const struct tenant *limits)
{
    return a->has_max_versions && limits->versions_max > 0 &&
           (a->max_versions == 0 || a->max_versions > limits->versions_max);
}

/*
 * Values are checked where the client talks to a node, which knows them; other holders see
 * ciphertext.
 */
static enum vault_err
check_tenant_limits(const struct gateway *g, const struct request *request)
{
    struct tenant limits;
    if (request_is_of_record(request->kind))
        return OK;
    authority_tenant_limits(g->membership, request->tenant, &limits);
    size_t max = limits.value_bytes_max == 0 ? VALUE_BYTES_MAX : (size_t)limits.value_bytes_max;
    if (request->kind == REQUEST_ALTER && keeps_too_many(request->alteration, &limits))
        return ERR_BAD_PARAMETER;
    for (size_t i = 0; i < request->item_count; i++) {
        if (request->items[i].value.size > max)
            return ERR_TOO_LARGE;
    }
    return request->value.size > max ? ERR_TOO_LARGE : OK;
}

/*
 * What the caller may not have is told as what is not there would be: secret by secret. NULL: there
 * is nothing to be told of single ones.
 */
static const struct item_result *
refused_items(const struct gateway *g, const struct step *st, const struct request *request,
              enum vault_err err)
{
    struct item_result *items = NULL;
    if ((err == ERR_NOT_FOUND || err == ERR_FORBIDDEN) && request->item_count > 0)
        items = arena_alloc(st->arena, request->item_count * sizeof(*items));
    for (size_t i = 0; items && i < request->item_count; i++)
        items[i].err = authority_of_item(g->membership, st, request, i);
    return items;
}

static enum vault_err
admit(const struct gateway *g, const struct step *st, const struct request *request,
      struct reply *refused)
{
    if (g->membership->audit_failing)
        return ERR_AUDIT_UNAVAILABLE;
    if (request->refused != OK)
        return request->refused;
    enum vault_err err = authority_of_request(g->membership, st, request);
    if (err != OK) {
        alarms_client_refused(g->membership, st, request->credential, err);
        refused->items = refused_items(g, st, request, err);
        refused->item_count = refused->items ? request->item_count : 0;
        return err;
    }
    err = check_record(request);
    if (err == OK)
        err = check_tenant_limits(g, request);
    if (err != OK)
        return err;
    if (request->has_at && request->at_ms > st->wall_ms)
        return ERR_BAD_PARAMETER;
    if (request->has_at && clock_is_doubtful(g))
        return ERR_NOT_READY;
    if (g->in_flight >= g->requests_max || sim_maybe(st, gateway_full))
        return ERR_BUSY;
    return OK;
}

enum vault_err
gateway_handle(struct gateway *g, const struct step *st, const struct msg *in, struct effects *out)
{
    assert(out->count == 0);
    if (in->kind != MSG_REQUEST)
        return ERR_UNEXPECTED;
    const struct request *request = in->u.request.request;
    struct reply refused = {.retry_after_ms = BUSY_RETRY_MS};
    refused.err = admit(g, st, request, &refused);
    g->in_flight++;
    if (refused.err != OK) {
        effect_reply(out, in->u.request.exchange, &refused);
        return OK;
    }
    enum actor_id next =
        request_is_of_audit(request->kind) ? ACTOR_TRAIL_READER : ACTOR_COORDINATOR;
    struct msg *m = effect_local(out, next, MSG_CHANGE);
    m->request_id = request->id;
    m->u.request = in->u.request;
    return OK;
}

void
gateway_answered(struct gateway *g)
{
    assert(g->in_flight > 0);
    g->in_flight--;
}
