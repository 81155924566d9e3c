/*
 * Request lines and headers: a byte for the method, then lines: the target, and headers as
 * `name:value`. What is accepted must be within its limits, and every refusal must render.
 */
#include <string.h>

#include "api/api.h"
#include "fuzz.h"

enum { FUZZ_ARENA_BYTES = 64 * 1024 };

/* Takes a line off `rest`, without its end. */
static struct bytes
take_line(struct bytes *rest)
{
    const uint8_t *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
    struct bytes taken = bytes_of(rest->data, end ? (size_t)(end - rest->data) : rest->size);

    *rest = end ? bytes_of(end + 1, rest->size - taken.size - 1) : (struct bytes){0};
    return taken;
}

static void
take_headers(struct bytes rest, struct http_request *http)
{
    while (rest.size > 0 && http->header_count < HEADERS_MAX) {
        struct bytes header = take_line(&rest);
        const uint8_t *colon = header.size > 0 ? memchr(header.data, ':', header.size) : NULL;
        size_t name_size = colon ? (size_t)(colon - header.data) : 0;

        if (!colon)
            continue;
        http->headers[http->header_count].name = bytes_of(header.data, name_size);
        http->headers[http->header_count].value = bytes_of(colon + 1, header.size - name_size - 1);
        http->header_count++;
    }
}

static void
check_accepted(const struct request *request)
{
    require(request->routed);
    require(request->refusal == NULL);
    require(tenant_name_valid(request->tenant));
    require(request->limit >= 1 && request->limit <= PAGE_MAX);
    require(request->version <= INT64_MAX && request->before_version <= INT64_MAX);
    require(request->version == 0 || !request->has_at);
    require(request->credential.size <= CREDENTIAL_BYTES_MAX);
    if (request->kind <= REQUEST_DELETION || request->kind == REQUEST_METADATA ||
        request->kind == REQUEST_ALTER)
        require(secret_name_valid(request->name));
    else if (request->kind == REQUEST_AUTH)
        require(request->name.size <= NAME_BYTES_MAX); /* a key of its own kind */
    else
        require(request->name.size == 0);
}

static void
check_refused(const struct request *request, enum vault_err err, const char *allow)
{
    struct api_response response;
    struct buf head = {0};

    require((err == ERR_METHOD) == (allow != NULL));
    require(api_render_refusal(request, err, allow, &response) == OK);
    require(response.status >= 400 && response.status < 500);
    require(api_render_head(&response, request->id, true, &head) == OK);
    /* Nothing that came in gets into the head unless it was checked. */
    for (size_t i = 0; i < head.size; i++)
        require(head.data[i] == '\r' || head.data[i] == '\n' ||
                (head.data[i] >= 0x20 && head.data[i] < 0x7f));
    buf_close(&head);
    api_response_close(&response);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request http = {0};
    struct bytes rest;
    struct request request;
    struct arena arena;
    const char *allow;
    enum vault_err err;

    if (size == 0)
        return 0;
    http.method = (enum http_method)(data[0] % (HTTP_METHOD_OTHER + 1));
    rest = bytes_of(data + 1, size - 1);
    http.target = take_line(&rest);
    take_headers(rest, &http);
    arena_init(&arena, FUZZ_ARENA_BYTES);
    err = api_parse(&http, bytes_of_text("fuzz"), &arena, &request, &allow);
    require(request.id.size >= 1 && request.id.size <= REQUEST_ID_BYTES_MAX);
    if (err == OK)
        check_accepted(&request);
    else
        check_refused(&request, err, allow);
    arena_close(&arena);
    return 0;
}
