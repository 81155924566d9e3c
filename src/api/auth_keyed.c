/*
 * What a POST makes under an Idempotency-Key: an identity, a role or a tenant. The record's key
 * follows from the client's, and the record itself remembers the operation as a secret does, so the
 * same request makes the same record, at whatever node and however often it is sent. The answer
 * shows the record as it is now.
 */
#include "api/auth_flow.h"
#include "auth/identity.h"

enum vault_err
flow_make_id(struct auth_flow *flow, uint8_t out[static AUTH_UUID_BYTES])
{
    const struct request *request = flow->request;
    struct bytes parts[] = {bytes_of_text("ostraka made under a key 1"),
                            bytes_of_text(auth_op_name(request->auth_op)), request->tenant,
                            request->idempotency_key};
    uint8_t hash[HASH_BYTES];

    if (request->idempotency_key.size == 0)
        return uuid_make(flow->rng, out);
    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), hash);
    uuid_of_hash(hash, out);
    return OK;
}

enum flow_turn
flow_put_new(struct auth_flow *flow, enum flow_turn turn)
{
    flow->step.idempotency_key = flow->request->idempotency_key;
    /*
     * Who was deleted does not come back under the same id: tokens that name it would be good again.
     * Tenants go by their names.
     */
    flow->step.never_there = flow->request->auth_op != AUTH_TENANT_CREATE;
    flow->takes_errors = true;
    return turn;
}

enum flow_turn
flow_on_put_new(struct auth_flow *flow, const struct reply *reply, enum auth_kind kind,
                struct bytes key, flow_next *made)
{
    struct reply own = {.version = 1, .value = flow->step.value};
    struct bytes tenant = flow->step.tenant;
    enum flow_turn turn;

    if (reply->err != OK)
        return flow_fail(flow, reply);
    flow->proposed = flow->step.value;
    if (flow->request->idempotency_key.size == 0)
        return made(flow, &own);
    turn = flow_ask_record(flow, REQUEST_RECORD_GET, tenant, kind, key, made);
    flow->takes_errors = true;
    return turn;
}

enum flow_turn
flow_answer_made(struct auth_flow *flow, const struct reply *reply, const struct record_face *face,
                 enum vault_err encoded_as, struct buf *encoded)
{
    bool same = encoded_as == OK && bytes_equal(buf_bytes(encoded), reply->value);

    buf_close(encoded);
    if (reply->version == 1 && !same)
        return flow_refuse(flow, ERR_KEY_REUSED, NULL);
    return flow_answer_record(flow, 201, face, 0, reply->value);
}

enum flow_turn
flow_fail_made(struct auth_flow *flow, const struct reply *reply)
{
    return reply->err == ERR_NOT_FOUND ? flow_refuse(flow, ERR_RESULT_GONE, NULL)
                                       : flow_fail(flow, reply);
}
