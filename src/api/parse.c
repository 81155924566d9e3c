/*
 * From an HTTP request to one of ours. The order of the checks decides which error a request with
 * several faults gets: route, query, headers, body.
 */
#include "api/alter_body.h"
#include "api/api.h"
#include "api/auth_target.h"
#include "api/copy_body.h"
#include "api/env_body.h"
#include "api/json_body.h"
#include "api/request_headers.h"
#include "api/target.h"

/*
 * A client that forgot the body is told so. An empty body that was announced is judged as what it
 * is.
 */
static bool
body_announced(const struct http_request *http)
{
    bool repeated;

    return http->body.size > 0 || http_header_get(http, "content-length", &repeated).data ||
           http_header_get(http, "transfer-encoding", &repeated).data;
}

static enum vault_err
body_parse(const struct http_request *http, const struct request_headers *headers,
           struct arena *arena, struct request *request)
{
    bool batch = request->kind == REQUEST_BATCH;

    if (request->kind != REQUEST_CREATE && request->kind != REQUEST_UPDATE && !batch &&
        request->kind != REQUEST_ENV && request->kind != REQUEST_COPY &&
        request->kind != REQUEST_ALTER && !auth_has_body(request)) {
        if (http->body.size == 0)
            return OK;
        request->refusal = "this request has no body";
        return ERR_BAD_REQUEST;
    }
    if (!body_announced(http))
        return ERR_LENGTH_REQUIRED;
    if (headers_content_is_encoded(headers)) {
        request->refusal = "the body must come without a Content-Encoding";
        return ERR_MEDIA_TYPE;
    }
    if (request->kind == REQUEST_ENV)
        return env_body_parse(http, headers, arena, request);
    if (!headers_content_is_json(headers))
        return ERR_MEDIA_TYPE;
    if (request->kind == REQUEST_AUTH) {
        request->body = http->body; /* lives as long as the exchange */
        return OK;
    }
    if (request->kind == REQUEST_COPY)
        return copy_body_parse(http->body, arena, request);
    if (request->kind == REQUEST_ALTER)
        return http->method == HTTP_METHOD_PATCH ? metadata_body_parse(http->body, arena, request)
                                                 : versions_body_parse(http->body, arena, request);
    return batch ? batch_body_parse(http->body, arena, request)
                 : json_body_parse(http->body, arena, request);
}

enum vault_err
api_parse(const struct http_request *http, struct bytes made_id, struct arena *arena,
          struct request *request, const char **allow)
{
    struct request_headers headers;
    enum vault_err err;

    assert(made_id.size > 0);
    assert(made_id.size <= REQUEST_ID_BYTES_MAX);
    *allow = NULL;
    headers_collect(http, &headers);
    *request = (struct request){
        .kind = REQUEST_STATUS, /* of no consequence while it is not routed */
        .id = headers_request_id(&headers, made_id),
        .tenant = bytes_of_text("default"),
        .limit = PAGE_DEFAULT,
    };
    err = target_parse(http, arena, request, allow);
    if (err == OK)
        err = headers_apply(&headers, request);
    if (err == OK)
        err = body_parse(http, &headers, arena, request);
    return err;
}

struct bytes
api_credential(const struct http_request *http)
{
    struct request_headers headers;

    headers_collect(http, &headers);
    return headers_credential(&headers);
}

bool
api_is_login(const struct http_request *http)
{
    static const char *const targets[] = {"/v1/auth/approle:login", "/v1/auth/jwt:login",
                                          "/v1/auth/cert:login"};

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        if (http->method == HTTP_METHOD_POST &&
            bytes_equal(http->target, bytes_of_text(targets[i])))
            return true;
    return false;
}

enum vault_err
api_login_admits(const struct http_request *http)
{
    bool repeated;
    struct bytes length = http_header_get(http, "content-length", &repeated);
    uint64_t size = 0;

    if (length.size == 0 || repeated)
        return ERR_LENGTH_REQUIRED;
    for (size_t i = 0; i < length.size && size <= LOGIN_BODY_BYTES_MAX; i++)
        size = 10 * size + (uint64_t)(length.data[i] - '0'); /* the parser has seen to the form */
    return size <= LOGIN_BODY_BYTES_MAX ? OK : ERR_TOO_LARGE;
}

struct bytes
api_tenant(const struct http_request *http)
{
    struct request_headers headers;
    struct bytes tenant;

    headers_collect(http, &headers);
    tenant = headers.values[REQUEST_HEADER_tenant];
    return tenant_name_valid(tenant) ? tenant : (struct bytes){0};
}

struct bytes
api_request_id(const struct http_request *http, struct bytes made_id)
{
    struct request_headers headers;

    headers_collect(http, &headers);
    return headers_request_id(&headers, made_id);
}
