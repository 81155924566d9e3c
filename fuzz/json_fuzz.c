/*
 * Bodies of POST and PUT. What is accepted must be within its limits and come back exactly when
 * it is rendered and read again. The first byte of the input chooses method and content type.
 */
#include <jansson.h>
#include <string.h>

#include "api/api.h"
#include "base/cbor.h"
#include "fuzz.h"

enum { FUZZ_ARENA_BYTES = 4 * 1024 * 1024 };

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    api_global_init();
    return 0;
}

/* The reply to a read of what was written, as a body of POST again. */
static void
comes_back(const struct request *request)
{
    struct request read = {.kind = REQUEST_READ, .name = bytes_of_text("n"), .id = request->id};
    struct reply reply = {.value = request->value, .encoding = request->encoding, .version = 1};
    struct api_response response;
    const char *value;
    size_t value_size;
    json_t *root;

    require(api_render(&read, &reply, &response) == OK);
    root = json_loadb((const char *)response.body.data, response.body.size,
                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    require(root != NULL);
    value = json_string_value(json_object_get(root, "value"));
    value_size = json_string_length(json_object_get(root, "value"));
    require(value != NULL);
    if (request->encoding == VALUE_TEXT) {
        require(utf8_valid(request->value));
        require(bytes_equal(bytes_of(value, value_size), request->value));
    }
    json_decref(root);
    api_response_close(&response);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request http = {.target = bytes_of_text("/v1/secrets/a/b"), .header_count = 1};
    struct request request;
    struct arena arena;
    const char *allow;

    if (size == 0)
        return 0;
    http.method = (data[0] & 1) != 0 ? HTTP_METHOD_PUT : HTTP_METHOD_POST;
    http.headers[0].name = bytes_of_text("content-type");
    http.headers[0].value =
        bytes_of_text((data[0] & 2) != 0 ? "application/json; charset=utf-8" : "application/json");
    http.body = bytes_of(data + 1, size - 1);
    arena_init(&arena, FUZZ_ARENA_BYTES);
    if (api_parse(&http, bytes_of_text("fuzz"), &arena, &request, &allow) == OK) {
        require(request.value.size <= VALUE_BYTES_MAX);
        require(request.has_expected_version == (request.expected_version > 0));
        comes_back(&request);
    }
    arena_close(&arena);
    return 0;
}
