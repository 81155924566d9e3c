/*
 * Outcomes as HTTP responses. Bodies are written straight into the response's buffer, which is
 * wiped.
 */
#include "api/api.h"
#include "api/audit_render.h"
#include "api/json_out.h"
#include "api/status_table.h"
#include "api/target.h"
#include "base/cbor.h"
#include "env/env_plan.h"
#include "proto/alteration.h"

static const char content_json[] = "application/json";

enum { REPLY_ROOM = 1024 }; /* what replies have besides name and value */
enum { HEAD_ROOM = 1024 };  /* most heads, with a short body behind them, need no more */
enum { DIGITS_MAX = 20 };   /* of 64 bits */

void
api_response_close(struct api_response *response)
{
    buf_close(&response->body);
    *response = (struct api_response){0};
}

/* Ends rendering: a body that could not be written whole is not kept. */
static enum vault_err
rendered(const struct json_out *out, struct api_response *response)
{
    if (out->err != OK)
        api_response_close(response);
    return out->err;
}

static void
header_add(struct api_response *response, const char *name, const char *value)
{
    assert(response->header_count < API_HEADERS_MAX);
    response->headers[response->header_count++] =
        (struct api_header){.name = name, .value = bytes_of_text(value)};
}

/*
 * A hint needs no precision: rounded up to one of a few texts, which live as long as the program.
 */
static const char *
retry_after_text(unsigned retry_after_ms)
{
    if (retry_after_ms <= 1000)
        return "1";
    if (retry_after_ms <= 2000)
        return "2";
    if (retry_after_ms <= 5000)
        return "5";
    return retry_after_ms <= 15000 ? "15" : "60";
}

static void
error_headers(struct api_response *response, enum vault_err shown, const char *allow,
              unsigned retry_after_ms)
{
    if (shown == ERR_UNAUTHENTICATED)
        header_add(response, "WWW-Authenticate", "Bearer realm=\"ostraka\"");
    if (shown == ERR_METHOD && allow)
        header_add(response, "Allow", allow);
    if (shown == ERR_BUSY || shown == ERR_RATE_LIMITED)
        header_add(response, "Retry-After", retry_after_text(retry_after_ms));
}

struct failure {
    struct bytes request_id;
    enum vault_err err;
    enum failed_phase phase;
    const char *allow;   /* or NULL */
    const char *message; /* instead of the error's own text, or NULL */
    unsigned retry_after_ms;
    const struct request *request; /* whose details are told; or NULL */
    const struct item_result *items;
    size_t item_count;
};

static void
put_detail(struct json_out *out, bool first, size_t line, struct bytes name, const char *code)
{
    if (first) {
        json_out_key(out, "details");
        json_out_open(out, '[');
    }
    json_out_open(out, '{');
    if (line > 0) {
        json_out_key(out, "line");
        json_out_u64(out, line);
    }
    json_out_key(out, "name");
    json_out_string(out, name);
    json_out_key(out, "code");
    json_out_text(out, code);
    json_out_close(out, '}');
}

/* What in a .env text is wrong, or which secrets of a batch made it fail, and why. */
static void
put_details(struct json_out *out, const struct failure *failure)
{
    const struct request *request = failure->request;
    const struct env_plan *plan = request && failure->err == ERR_BAD_ENV ? request->env : NULL;
    bool any = false;

    for (size_t i = 0; plan && i < plan->fault_count; i++) {
        const struct env_fault *fault = &plan->faults[i];

        put_detail(out, !any, fault->line, fault->name, dotenv_fault_name(fault->code));
        any = true;
    }
    for (size_t i = 0; i < failure->item_count; i++) {
        enum vault_err err = failure->items[i].err;
        size_t line = request->item_lines ? request->item_lines[i] : 0;

        if (err == OK)
            continue;
        put_detail(out, !any, line, request->items[i].name,
                   vault_err_name(error_face(err, PHASE_NONE).shown));
        any = true;
    }
    if (any)
        json_out_close(out, ']');
}

static enum vault_err
render_failure(const struct failure *failure, struct api_response *response)
{
    struct error_face face = error_face(failure->err, failure->phase);
    struct json_out out;

    *response = (struct api_response){.status = face.status, .content_type = content_json};
    error_headers(response, face.shown, failure->allow, failure->retry_after_ms);
    json_out_init(&out, &response->body);
    json_out_raw(&out, "{\"error\":{");
    json_out_key(&out, "code");
    json_out_text(&out, vault_err_name(face.shown));
    json_out_key(&out, "message");
    json_out_text(&out, failure->message ? failure->message : vault_err_text(face.shown));
    if (face.phase) {
        json_out_key(&out, "phase");
        json_out_text(&out, face.phase);
    }
    json_out_key(&out, "retry");
    json_out_text(&out, face.retry);
    put_details(&out, failure);
    json_out_key(&out, "request_id");
    json_out_string(&out, failure->request_id);
    json_out_raw(&out, "}}");
    return rendered(&out, response);
}

enum vault_err
api_render_error(struct bytes request_id, enum vault_err err, enum failed_phase phase,
                 const char *allow, struct api_response *response)
{
    struct failure failure = {.request_id = request_id, .err = err, .phase = phase, .allow = allow};

    assert(err != OK);
    return render_failure(&failure, response);
}

enum vault_err
api_render_later(struct bytes request_id, enum vault_err err, unsigned retry_after_ms,
                 struct api_response *response)
{
    struct failure failure = {
        .request_id = request_id, .err = err, .retry_after_ms = retry_after_ms};

    return render_failure(&failure, response);
}

enum vault_err
api_render_refusal(const struct request *request, enum vault_err err, const char *allow,
                   struct api_response *response)
{
    /* Its own sentence would not fit an error that is shown as another. */
    bool as_it_is = error_face(err, PHASE_NONE).shown == err;
    struct failure failure = {.request_id = request->id,
                              .err = err,
                              .allow = allow,
                              .message = as_it_is ? request->refusal : NULL,
                              .request = request};

    assert(err != OK);
    return render_failure(&failure, response);
}

static void
put_name(struct json_out *out, const struct request *request)
{
    json_out_open(out, '{');
    json_out_key(out, "name");
    json_out_string(out, request->name);
}

static void
put_number(struct json_out *out, const char *key, uint64_t number)
{
    json_out_key(out, key);
    json_out_u64(out, number);
}

static void
put_valid_to(struct json_out *out, uint64_t wall_ms)
{
    json_out_key(out, "valid_to");
    if (wall_ms == 0)
        json_out_null(out);
    else
        json_out_time(out, wall_ms);
}

static void
put_version_and_start(struct json_out *out, uint64_t version, uint64_t valid_from_ms)
{
    put_number(out, "version", version);
    json_out_key(out, "valid_from");
    json_out_time(out, valid_from_ms);
}

static void
render_written(const struct request *request, const struct reply *reply, struct json_out *out)
{
    put_name(out, request);
    put_version_and_start(out, reply->version, reply->valid_from_ms);
    json_out_close(out, '}');
}

static void
put_value(struct json_out *out, struct bytes value, enum value_encoding encoding)
{
    bool text = encoding == VALUE_TEXT && utf8_valid(value);

    json_out_key(out, "value");
    if (text)
        json_out_string(out, value);
    else
        json_out_base64(out, value);
    json_out_key(out, "encoding");
    json_out_text(out, text ? "text" : "base64");
}

static void
render_read(const struct request *request, const struct reply *reply, struct json_out *out)
{
    if (out->err == OK)
        out->err =
            buf_reserve(out->buf, REPLY_ROOM + request->name.size + reply->value.size / 3 * 4);
    put_name(out, request);
    put_value(out, reply->value, reply->encoding);
    put_version_and_start(out, reply->version, reply->valid_from_ms);
    put_valid_to(out, reply->valid_to_ms);
    if (reply->stale) {
        json_out_key(out, "stale");
        json_out_bool(out, true);
    }
    json_out_close(out, '}');
}

static void
render_history_row(const struct history_row *row, struct json_out *out)
{
    json_out_open(out, '{');
    put_version_and_start(out, row->version, row->valid_from_ms);
    put_valid_to(out, row->valid_to_ms);
    json_out_key(out, "author");
    json_out_string(out, row->author);
    json_out_key(out, "state");
    json_out_text(out, row->destroyed          ? "destroyed"
                       : row->deleted          ? "deleted"
                       : row->valid_to_ms == 0 ? "current"
                                               : "superseded");
    json_out_close(out, '}');
}

static void
render_history(const struct request *request, const struct reply *reply, struct json_out *out)
{
    char next[PAGE_TOKEN_BYTES];

    put_name(out, request);
    json_out_key(out, "versions");
    json_out_open(out, '[');
    for (size_t i = 0; i < reply->row_count; i++)
        render_history_row(&reply->rows[i], out);
    json_out_close(out, ']');
    if (reply->has_next && reply->row_count > 0) {
        page_token_make(reply->rows[reply->row_count - 1].version, next);
        json_out_key(out, "next");
        json_out_text(out, next);
    }
    json_out_close(out, '}');
}

static void
render_names(const struct reply *reply, struct json_out *out)
{
    uint8_t next[NAME_TOKEN_BYTES_MAX];

    json_out_open(out, '{');
    json_out_key(out, "names");
    json_out_open(out, '[');
    for (size_t i = 0; i < reply->name_count; i++)
        json_out_string(out, reply->names[i]);
    json_out_close(out, ']');
    if (reply->has_next) {
        json_out_key(out, "next");
        json_out_string(out, bytes_of(next, name_token_make(reply->names_next, next)));
    }
    json_out_close(out, '}');
}

static void
render_copied(const struct reply *reply, struct json_out *out)
{
    json_out_open(out, '{');
    put_number(out, "copied", reply->item_count);
    json_out_close(out, '}');
}

static void
render_deletion(const struct request *request, const struct reply *reply, struct json_out *out)
{
    put_name(out, request);
    put_number(out, "erased_on", reply->erased_on);
    put_number(out, "required", reply->required);
    put_number(out, "replicas", reply->replicas);
    json_out_key(out, "shredded");
    json_out_bool(out, reply->shredded);
    json_out_close(out, '}');
}

/* How far versions have been destroyed is told where some were to be. */
static void
render_altered(const struct request *request, const struct reply *reply, struct json_out *out)
{
    put_name(out, request);
    put_number(out, "version", reply->version);
    json_out_key(out, "changed_at");
    json_out_time(out, reply->valid_from_ms);
    if (reply->required > 0) {
        put_number(out, "erased_on", reply->erased_on);
        put_number(out, "required", reply->required);
        put_number(out, "replicas", reply->replicas);
    }
    json_out_close(out, '}');
}

static void
render_metadata(const struct request *request, const struct reply *reply, struct json_out *out)
{
    struct custom_pair pairs[METADATA_PAIRS_MAX];
    const struct secret_metadata *metadata = &reply->metadata;
    size_t count;

    if (out->err == OK)
        out->err = metadata_decode(metadata->custom, pairs, &count);
    if (out->err != OK)
        return;
    put_name(out, request);
    put_number(out, "version", reply->version);
    put_number(out, "oldest_version", metadata->oldest_version);
    put_number(out, "max_versions",
               metadata->max_versions == 0 ? VERSIONS_KEPT_MAX : metadata->max_versions);
    json_out_key(out, "expires_at");
    if (metadata->expires_at_ms == 0)
        json_out_null(out);
    else
        json_out_time(out, metadata->expires_at_ms);
    json_out_key(out, "changed_at");
    json_out_time(out, metadata->changed_at_ms);
    json_out_key(out, "custom_metadata");
    json_out_open(out, '{');
    for (size_t i = 0; i < count; i++) {
        json_out_key_string(out, pairs[i].key);
        json_out_string(out, pairs[i].value);
    }
    json_out_close(out, '}');
    json_out_close(out, '}');
}

static void
render_item(const struct batch_item *item, const struct item_result *result, struct json_out *out)
{
    json_out_open(out, '{');
    json_out_key(out, "name");
    json_out_string(out, item->name);
    put_value(out, result->value, result->encoding);
    put_version_and_start(out, result->version, result->valid_from_ms);
    put_valid_to(out, result->valid_to_ms);
    json_out_close(out, '}');
}

static void
render_created(const struct batch_item *item, const struct item_result *result,
               struct json_out *out)
{
    json_out_open(out, '{');
    json_out_key(out, "name");
    json_out_string(out, item->name);
    put_version_and_start(out, result->version, result->valid_from_ms);
    json_out_close(out, '}');
}

static void
render_batch(const struct request *request, const struct reply *reply, struct json_out *out)
{
    bool created = request->kind == REQUEST_BATCH_CREATE;

    json_out_open(out, '{');
    json_out_key(out, "results");
    json_out_open(out, '[');
    for (size_t i = 0; i < reply->item_count; i++)
        (created ? render_created : render_item)(&request->items[i], &reply->items[i], out);
    json_out_close(out, ']');
    json_out_close(out, '}');
}

enum vault_err
api_render(const struct request *request, const struct reply *reply, struct api_response *response)
{
    struct json_out out;

    if (reply->err != OK) {
        bool as_it_is = error_face(reply->err, reply->phase).shown == reply->err;
        struct failure failure = {.request_id = request->id,
                                  .err = reply->err,
                                  .phase = reply->phase,
                                  .message = as_it_is ? request->refusal : NULL,
                                  .retry_after_ms = reply->retry_after_ms,
                                  .request = request,
                                  .items = reply->items,
                                  .item_count = reply->item_count};

        return render_failure(&failure, response);
    }
    *response = (struct api_response){.status = 200, .content_type = content_json};
    json_out_init(&out, &response->body);
    switch (request->kind) {
    case REQUEST_CREATE:
        response->status = 201;
        render_written(request, reply, &out);
        break;
    case REQUEST_UPDATE: render_written(request, reply, &out); break;
    case REQUEST_READ: render_read(request, reply, &out); break;
    case REQUEST_HISTORY: render_history(request, reply, &out); break;
    case REQUEST_DELETE:
        response->status = reply->erased_on >= reply->required ? 200 : 202;
        render_deletion(request, reply, &out);
        break;
    case REQUEST_DELETION: render_deletion(request, reply, &out); break;
    case REQUEST_BATCH: render_batch(request, reply, &out); break;
    case REQUEST_BATCH_CREATE:
        response->status = 201;
        render_batch(request, reply, &out);
        break;
    case REQUEST_NAMES: render_names(reply, &out); break;
    case REQUEST_COPY: render_copied(reply, &out); break;
    case REQUEST_ALTER:
        response->status = reply->erased_on >= reply->required ? 200 : 202;
        render_altered(request, reply, &out);
        break;
    case REQUEST_METADATA: render_metadata(request, reply, &out); break;
    case REQUEST_AUDIT: audit_render_records(reply, &out); break;
    case REQUEST_AUDIT_EXPORT: audit_render_export(reply, &out); break;
    case REQUEST_HEALTH:
    case REQUEST_STATUS:
    case REQUEST_RECORD_PUT: /* no resource of the API is one of these as it is */
    case REQUEST_RECORD_GET:
    case REQUEST_RECORD_DELETE:
    case REQUEST_RECORD_LIST:
    case REQUEST_AUTH:
    case REQUEST_METRICS: /* api/status.h renders these */
    case REQUEST_ENV: out.err = ERR_INTERNAL; break;
    }
    return rendered(&out, response);
}

enum vault_err
api_render_env(const struct request *request, struct buf *take_text, struct api_response *response)
{
    struct json_out out;

    *response = (struct api_response){.status = 200, .content_type = content_json};
    if (!request->env_as_json) {
        response->content_type = "text/plain; charset=utf-8";
        response->body = *take_text;
        *take_text = (struct buf){0};
        return OK;
    }
    json_out_init(&out, &response->body);
    out.err = buf_reserve(&response->body, REPLY_ROOM + take_text->size);
    json_out_open(&out, '{');
    json_out_key(&out, "content");
    json_out_string(&out, buf_bytes(take_text));
    json_out_close(&out, '}');
    buf_close(take_text);
    return rendered(&out, response);
}

/* The head of an answer being made; the first error stays. */
struct head_text {
    struct buf *out;
    enum vault_err err;
};

static void
put_bytes(struct head_text *head, struct bytes bytes)
{
    if (head->err == OK)
        head->err = buf_append(head->out, bytes);
}

static void
put_text(struct head_text *head, const char *text)
{
    put_bytes(head, bytes_of_text(text));
}

static void
put_decimal(struct head_text *head, size_t number)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_bytes(head, bytes_of(digits + at, sizeof(digits) - at));
}

enum vault_err
api_render_head(const struct api_response *response, struct bytes request_id, bool keep_alive,
                struct buf *out)
{
    size_t size_before = out->size;
    struct head_text head = {.out = out, .err = buf_reserve(out, HEAD_ROOM)};

    put_text(&head, "HTTP/1.1 ");
    put_decimal(&head, response->status);
    put_text(&head, " ");
    put_text(&head, status_reason(response->status));
    put_text(&head, "\r\nContent-Type: ");
    put_text(&head, response->content_type);
    put_text(&head, "\r\nContent-Length: ");
    put_decimal(&head, response->body.size);
    put_text(&head, "\r\nCache-Control: no-store\r\nX-Request-Id: ");
    put_bytes(&head, request_id);
    put_text(&head, "\r\n");
    for (size_t i = 0; i < response->header_count; i++) {
        put_text(&head, response->headers[i].name);
        put_text(&head, ": ");
        put_bytes(&head, response->headers[i].value);
        put_text(&head, "\r\n");
    }
    put_text(&head, keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
    if (head.err != OK)
        out->size = size_before;
    return head.err;
}
