/* What flows on records of all kinds have in common. */
#include "api/auth_flow.h"
#include "api/json_out.h"
#include "api/target.h"
#include "auth/ticket.h"

/* ---- one record ---- */

enum flow_turn
flow_answer_record(struct auth_flow *flow, unsigned status, const struct record_face *face,
                   uint64_t version, struct bytes record)
{
    return flow_answer(flow, status,
                       face->render(flow->request->name, version, record, &flow->response.body));
}

static enum flow_turn
on_get(struct auth_flow *flow, const struct reply *reply)
{
    return flow_answer_record(flow, 200, flow->face, reply->version, reply->value);
}

enum flow_turn
flow_get(struct auth_flow *flow, struct bytes tenant, const struct record_face *face)
{
    flow->face = face;
    return flow_ask_record(flow, REQUEST_RECORD_GET, tenant, face->kind, flow->request->name,
                           on_get);
}

enum flow_turn
flow_answer_key(struct auth_flow *flow, const char *member)
{
    struct json_out out;

    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_key(&out, member);
    json_out_string(&out, flow->request->name);
    json_out_close(&out, '}');
    return flow_answer(flow, 200, out.err);
}

enum flow_turn
flow_answer_nothing(struct auth_flow *flow, const struct reply *reply)
{
    struct json_out out;

    (void)reply;
    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_close(&out, '}');
    return flow_answer(flow, 200, out.err);
}

static enum flow_turn
on_deleted(struct auth_flow *flow, const struct reply *reply)
{
    (void)reply;
    return flow_answer_key(flow, flow->face->key);
}

enum flow_turn
flow_delete(struct auth_flow *flow, struct bytes tenant, const struct record_face *face)
{
    const struct request *request = flow->request;
    enum flow_turn turn;

    flow->face = face;
    turn =
        flow_ask_record(flow, REQUEST_RECORD_DELETE, tenant, face->kind, request->name, on_deleted);
    flow->step.has_expected_version = request->has_expected_version;
    flow->step.expected_version = request->expected_version;
    return turn;
}

/* ---- lists ---- */

/* ,"next":"..." when there are more. */
static void
put_next(struct json_out *out, const struct reply *page)
{
    uint8_t next[NAME_TOKEN_BYTES_MAX];

    if (!page->has_next || page->record_count == 0)
        return;
    json_out_key(out, "next");
    json_out_string(
        out, bytes_of(next, name_token_make(page->records[page->record_count - 1].key, next)));
}

static enum flow_turn
on_list(struct auth_flow *flow, const struct reply *reply)
{
    const struct record_face *face = flow->face;
    struct json_out out;

    json_out_init(&out, &flow->response.body);
    json_out_open(&out, '{');
    json_out_key(&out, face->list);
    json_out_open(&out, '[');
    for (size_t i = 0; i < reply->record_count && out.err == OK; i++) {
        const struct record_row *row = &reply->records[i];

        out.err = (face->render_row ? face->render_row : face->render)(
            row->key, row->version, row->value, &flow->response.body);
    }
    json_out_close(&out, ']');
    put_next(&out, reply);
    json_out_close(&out, '}');
    return flow_answer(flow, 200, out.err);
}

enum flow_turn
flow_list(struct auth_flow *flow, struct bytes tenant, const struct record_face *face)
{
    flow->face = face;
    return flow_ask_list(flow, tenant, face->kind, flow->request->names_after, on_list);
}

/* ---- making them ---- */

enum vault_err
flow_keep(struct auth_flow *flow, enum vault_err encoded_as, struct buf *encoded, struct bytes *out)
{
    enum vault_err err = encoded_as;

    *out = (struct bytes){0};
    if (err == OK)
        err = arena_copy(flow->arena, buf_bytes(encoded), out);
    buf_close(encoded);
    return err;
}

enum vault_err
flow_draw_ticket(struct auth_flow *flow, enum ticket_kind kind, struct bytes *text,
                 uint8_t hash[static HASH_BYTES])
{
    struct buf made = {0};
    enum vault_err err = ticket_make(kind, flow->rng, &made);

    *text = (struct bytes){0};
    if (err == OK)
        err = ticket_hash(kind, buf_bytes(&made), hash);
    return flow_keep(flow, err, &made, text);
}
