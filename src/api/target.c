/*
 * Routes and names. A target is compared as it was sent: nothing is decoded before it is matched,
 * nothing is normalised, and a name has exactly one form in which it can be asked for (but for
 * the case of hex digits), so that no two readers of a request can disagree about what it names.
 */
#include "api/target.h"

#include <string.h>

#include "api/auth_target.h"

enum route_form { ROUTE_EXACT, ROUTE_WITH_NAME };

struct route {
    const char *path;
    enum route_form form;
    const char *allow;
    /* Kind for a method, or -1. */
    int (*kind)(enum http_method method);
};

static int
secrets_kind(enum http_method method)
{
    switch (method) {
    case HTTP_METHOD_POST: return REQUEST_CREATE;
    case HTTP_METHOD_PUT: return REQUEST_UPDATE;
    case HTTP_METHOD_DELETE: return REQUEST_DELETE;
    case HTTP_METHOD_GET:
    case HTTP_METHOD_HEAD: return REQUEST_READ;
    case HTTP_METHOD_PATCH:
    case HTTP_METHOD_OTHER: break;
    }
    return -1;
}

static int
kind_if_get(enum http_method method, enum request_kind kind)
{
    return method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD ? (int)kind : -1;
}

static int
names_kind(enum http_method method)
{
    return kind_if_get(method, REQUEST_NAMES);
}

static int
history_kind(enum http_method method)
{
    return kind_if_get(method, REQUEST_HISTORY);
}

static int
deletions_kind(enum http_method method)
{
    return kind_if_get(method, REQUEST_DELETION);
}

static int
batch_kind(enum http_method method)
{
    return method == HTTP_METHOD_POST ? (int)REQUEST_BATCH : -1;
}

static int
copy_kind(enum http_method method)
{
    return method == HTTP_METHOD_POST ? (int)REQUEST_COPY : -1;
}

static int
env_kind(enum http_method method)
{
    return method == HTTP_METHOD_POST ? (int)REQUEST_ENV : -1;
}

static int
health_kind(enum http_method method)
{
    return kind_if_get(method, REQUEST_HEALTH);
}

static int
status_kind(enum http_method method)
{
    return kind_if_get(method, REQUEST_STATUS);
}

static int
metrics_kind(enum http_method method)
{
    return kind_if_get(method, REQUEST_METRICS);
}

static int
versions_kind(enum http_method method)
{
    return method == HTTP_METHOD_POST ? (int)REQUEST_ALTER : -1;
}

static int
metadata_kind(enum http_method method)
{
    return method == HTTP_METHOD_PATCH ? (int)REQUEST_ALTER : kind_if_get(method, REQUEST_METADATA);
}

static int
audit_kind(enum http_method method)
{
    return kind_if_get(method, REQUEST_AUDIT);
}

static int
audit_export_kind(enum http_method method)
{
    return kind_if_get(method, REQUEST_AUDIT_EXPORT);
}

static const struct route routes[] = {
    {"/v1/secrets/", ROUTE_WITH_NAME, "DELETE, GET, HEAD, POST, PUT", secrets_kind},
    {"/v1/secrets", ROUTE_EXACT, "GET, HEAD", names_kind},
    {"/v1/history/", ROUTE_WITH_NAME, "GET, HEAD", history_kind},
    {"/v1/deletions/", ROUTE_WITH_NAME, "GET, HEAD", deletions_kind},
    {"/v1/batch", ROUTE_EXACT, "POST", batch_kind},
    {"/v1/copy", ROUTE_EXACT, "POST", copy_kind},
    {"/v1/env", ROUTE_EXACT, "POST", env_kind},
    {"/v1/health", ROUTE_EXACT, "GET, HEAD", health_kind},
    {"/v1/status", ROUTE_EXACT, "GET, HEAD", status_kind},
    {"/metrics", ROUTE_EXACT, "GET, HEAD", metrics_kind},
    {"/v1/versions/", ROUTE_WITH_NAME, "POST", versions_kind},
    {"/v1/metadata/", ROUTE_WITH_NAME, "GET, HEAD, PATCH", metadata_kind},
    {"/v1/audit/export", ROUTE_EXACT, "GET, HEAD", audit_export_kind},
    {"/v1/audit", ROUTE_EXACT, "GET, HEAD", audit_kind},
};

/* The route of `path`; *rest is what follows its prefix. */
static const struct route *
route_find(struct bytes path, struct bytes *rest)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t size = strlen(routes[i].path);

        if (path.size < size || memcmp(path.data, routes[i].path, size) != 0)
            continue;
        *rest = bytes_of(path.data + size, path.size - size);
        if (routes[i].form == ROUTE_EXACT && rest->size > 0)
            continue;
        return &routes[i];
    }
    return NULL;
}

int
hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

bool
uri_pchar(uint8_t byte)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
        return true;
    if (byte >= '0' && byte <= '9')
        return true;
    return byte != 0 && strchr("-._~!$&'()*+,;=:@", byte) != NULL;
}

/*
 * Undoes the escapes of one name. What may stand as it is must: an escape of it is refused, and
 * so is a raw byte that needs one.
 */
static enum vault_err
name_decode(struct bytes raw, struct arena *arena, struct bytes *name)
{
    uint8_t *out;
    size_t size = 0;

    if (raw.size == 0 || raw.size > 3 * NAME_BYTES_MAX)
        return ERR_BAD_NAME;
    out = arena_alloc(arena, raw.size);
    if (!out)
        return ERR_NOMEM;
    for (size_t i = 0; i < raw.size; i++) {
        uint8_t byte = raw.data[i];
        bool escaped = byte == '%';

        if (escaped) {
            int high = raw.size - i > 2 ? hex_digit(raw.data[i + 1]) : -1;
            int low = raw.size - i > 2 ? hex_digit(raw.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return ERR_BAD_NAME;
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (escaped == (uri_pchar(byte) || byte == '/'))
            return ERR_BAD_NAME;
        out[size++] = byte;
    }
    if (!secret_name_valid(bytes_of(out, size)))
        return ERR_BAD_NAME;
    *name = bytes_of(out, size);
    return OK;
}

/* Visible ASCII, beginning with '/', and without a fragment. */
static bool
target_permitted(struct bytes target)
{
    if (target.size == 0 || target.size > TARGET_BYTES_MAX || target.data[0] != '/')
        return false;
    for (size_t i = 0; i < target.size; i++) {
        uint8_t byte = target.data[i];

        if (byte <= 0x20 || byte >= 0x7f || byte == '#')
            return false;
    }
    return true;
}

enum vault_err
target_parse(const struct http_request *http, struct arena *arena, struct request *request,
             const char **allow)
{
    struct bytes path = http->target;
    struct bytes query = {0};
    struct bytes rest = {0};
    const struct route *route;
    const uint8_t *mark;
    int kind;

    if (!target_permitted(http->target)) {
        request->refusal = "the request target is not a path of visible ASCII without a fragment";
        return ERR_BAD_REQUEST;
    }
    mark = memchr(path.data, '?', path.size);
    if (mark) {
        path.size = (size_t)(mark - path.data);
        query = bytes_of(mark + 1, http->target.size - path.size - 1);
    }
    route = route_find(path, &rest);
    if (!route) {
        enum vault_err err = auth_target_parse(path, http->method, request, allow);

        return err == OK ? query_parse(query, arena, request) : err;
    }
    kind = route->kind(http->method);
    if (kind < 0) {
        *allow = route->allow;
        return ERR_METHOD;
    }
    request->kind = (enum request_kind)kind;
    request->routed = true;
    if (route->form == ROUTE_WITH_NAME) {
        enum vault_err err = name_decode(rest, arena, &request->name);

        if (err != OK)
            return err;
    }
    return query_parse(query, arena, request);
}
