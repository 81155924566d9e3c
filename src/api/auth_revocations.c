/*
 * PUT, GET and DELETE /v1/auth/ca/crl: the list of revoked certificates that the tenant's authority
 * has signed. It takes the place of an older one, never of a newer one.
 */
#include <string.h>

#include "api/auth_body.h"
#include "api/auth_flow.h"
#include "auth/statement.h"

enum { AHEAD_MS_MAX = 5 * 60 * 1000 }; /* clocks of authorities */

struct list_change {
    struct bytes der;
    struct revocation_list list; /* views into der */
    struct bytes record;
    struct revocations revocations;
};

static enum flow_turn
ask(struct auth_flow *flow, enum request_kind kind, const char *key, flow_next *next)
{
    return flow_ask_record(flow, kind, flow->request->tenant, AUTH_KIND_CLIENT_AUTHORITY,
                           bytes_of_text(key), next);
}

static enum flow_turn
answer(struct auth_flow *flow, struct bytes record)
{
    return flow_answer(flow, 200, revocations_render(record, &flow->response.body));
}

/* ---- a new list ---- */

static enum flow_turn ask_before(struct auth_flow *flow, const struct reply *reply);

static enum flow_turn
on_put(struct auth_flow *flow, const struct reply *reply)
{
    const struct list_change *change = flow->state;

    if (reply->err == ERR_VERSION_MISMATCH || reply->err == ERR_ALREADY_EXISTS)
        return flow_again(flow, ask_before);
    return reply->err == OK ? answer(flow, change->record) : flow_fail(flow, reply);
}

static enum flow_turn
put(struct auth_flow *flow, uint64_t version)
{
    const struct list_change *change = flow->state;
    enum flow_turn turn = ask(flow, REQUEST_RECORD_PUT, "crl", on_put);

    flow_put_value(flow, change->record, version);
    flow->takes_errors = true;
    return turn;
}

/* The list that is there. That of another authority counts for nothing. */
static enum flow_turn
on_before(struct auth_flow *flow, const struct reply *reply)
{
    const struct list_change *change = flow->state;
    struct revocations before;
    int order;

    if (reply->err == ERR_NOT_FOUND)
        return put(flow, 0);
    if (reply->err != OK)
        return flow_fail(flow, reply);
    if (bytes_equal(reply->value, change->record))
        return answer(flow, change->record);
    if (revocations_decode(reply->value, &before) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    order = memcmp(before.authority, change->revocations.authority, HASH_BYTES) == 0
                ? revocation_number_compare(before.number, change->revocations.number)
                : -1;
    if (order >= 0)
        return flow_refuse(flow, ERR_VERSION_MISMATCH, "a list of that number or a later is there");
    return put(flow, reply->version);
}

static enum flow_turn
ask_before(struct auth_flow *flow, const struct reply *reply)
{
    enum flow_turn turn = ask(flow, REQUEST_RECORD_GET, "crl", on_before);

    (void)reply;
    flow->takes_errors = true;
    return turn;
}

/* NULL: it is good. */
static const char *
find_fault(const struct list_change *change, struct bytes authority, uint64_t now_ms)
{
    if (!revocation_list_signed_by(&change->list, authority))
        return "the list is not signed by the tenant's authority, or that must not sign lists";
    if (change->list.this_update_ms > now_ms + AHEAD_MS_MAX)
        return "the list is of the future";
    if (change->list.next_update_ms <= now_ms)
        return "the next list is due already";
    return NULL;
}

static enum vault_err
encode(struct auth_flow *flow, struct list_change *change)
{
    struct buf encoded = {0};
    enum vault_err err = revocations_encode(&change->revocations, &encoded);

    if (err == OK)
        err = arena_copy(flow->arena, buf_bytes(&encoded), &change->record);
    buf_close(&encoded);
    return err;
}

static enum flow_turn
on_authority(struct auth_flow *flow, const struct reply *reply)
{
    struct list_change *change = flow->state;
    struct client_authority *authority = arena_alloc(flow->arena, sizeof(*authority));
    uint8_t mark[HASH_BYTES];
    struct bytes subject;
    const char *fault;
    enum vault_err err = OK;

    if (!authority)
        return flow_refuse(flow, ERR_NOMEM, NULL);
    if (client_authority_decode(reply->value, authority) != OK ||
        certificate_authority_of(authority->certificate, &subject, mark) != OK)
        return flow_refuse(flow, ERR_CORRUPT, NULL);
    fault = find_fault(change, authority->certificate, flow->now_ms);
    if (fault)
        return flow_refuse(flow, ERR_BAD_JSON, fault);
    err = revocations_of(&change->list, mark, flow->arena, &change->revocations);
    if (err == OK)
        err = encode(flow, change);
    if (err == ERR_TOO_LARGE)
        return flow_refuse(flow, err, "a list has at most 960 certificates");
    return err == OK ? ask_before(flow, NULL) : flow_refuse(flow, err, NULL);
}

static enum flow_turn
change_list(struct auth_flow *flow)
{
    struct list_change *change = arena_alloc(flow->arena, sizeof(*change));
    const char *refusal = NULL;
    enum vault_err err = change ? OK : ERR_NOMEM;

    if (err == OK)
        err = crl_body_parse(flow->request->body, flow->arena, &change->der, &refusal);
    if (err == OK && revocation_list_read(change->der, &change->list) != OK) {
        err = ERR_BAD_JSON;
        refusal = "crl is not a whole list of version 2, with a number and the time of the next, "
                  "signed with SHA-256 and P-256, RSA or Ed25519";
    }
    if (err != OK)
        return flow_refuse(flow, err, refusal);
    flow->state = change;
    return ask(flow, REQUEST_RECORD_GET, "ca", on_authority);
}

/* ---- */

static enum flow_turn
on_get(struct auth_flow *flow, const struct reply *reply)
{
    return answer(flow, reply->value);
}

enum flow_turn
revocations_flow(struct auth_flow *flow)
{
    if (flow->request->auth_op == AUTH_CRL_PUT)
        return change_list(flow);
    if (flow->request->auth_op == AUTH_CRL_DELETE)
        return ask(flow, REQUEST_RECORD_DELETE, "crl", flow_answer_nothing);
    return ask(flow, REQUEST_RECORD_GET, "crl", on_get);
}
