#include "api/json_body.h"

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "crypto/base64.h"

enum { BODY_COMMAS_MAX = 7, BLOCK_HEADER_BYTES = 16 };

static_assert(sizeof(size_t) <= BLOCK_HEADER_BYTES, "a block's size fits its header");

/*
 * Blocks remember their size, so that all of it can be wiped. The header keeps malloc's
 * alignment.
 */
static void *
wiping_malloc(size_t size)
{
    uint8_t *block;

    if (size > SIZE_MAX - BLOCK_HEADER_BYTES)
        return NULL;
    block = malloc(BLOCK_HEADER_BYTES + size);
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    return block + BLOCK_HEADER_BYTES;
}

static void
wiping_free(void *data)
{
    uint8_t *block;
    size_t size;

    if (!data)
        return;
    block = (uint8_t *)data - BLOCK_HEADER_BYTES;
    memcpy(&size, block, sizeof size);
    bytes_wipe(block, BLOCK_HEADER_BYTES + size);
    free(block);
}

void
api_global_init(void)
{
    json_set_alloc_funcs(wiping_malloc, wiping_free);
    json_object_seed(0);
}

/* The members of a body as they came; borrowed from it. */
struct members {
    const json_t *value;
    const json_t *encoding;
    const json_t *expected_version;
};

static enum vault_err
members_collect(json_t *object, struct request *request, struct members *members)
{
    const char *key;
    json_t *member;

    *members = (struct members){0};
    json_object_foreach(object, key, member)
    {
        if (strcmp(key, "value") == 0) {
            members->value = member;
        } else if (strcmp(key, "encoding") == 0) {
            members->encoding = member;
        } else if (strcmp(key, "expected_version") == 0 && request->kind == REQUEST_UPDATE) {
            members->expected_version = member;
        } else {
            request->refusal = "the body has an unknown member";
            return ERR_BAD_JSON;
        }
    }
    return OK;
}

static struct bytes
string_bytes(const json_t *string)
{
    return bytes_of(json_string_value(string), json_string_length(string));
}

static enum vault_err
take_encoding_text(bool given, struct bytes encoding, struct request *request)
{
    request->encoding = VALUE_TEXT;
    if (!given || bytes_equal(encoding, bytes_of_text("text")))
        return OK;
    if (bytes_equal(encoding, bytes_of_text("base64"))) {
        request->encoding = VALUE_BASE64;
        return OK;
    }
    request->refusal = "encoding must be \"text\" or \"base64\"";
    return ERR_BAD_JSON;
}

static enum vault_err
take_encoding(const json_t *encoding, struct request *request)
{
    struct bytes text = {0};

    if (encoding && json_is_string(encoding))
        text = string_bytes(encoding);
    return take_encoding_text(encoding != NULL, text, request);
}

static enum vault_err
take_expected_version(const json_t *number, struct request *request)
{
    if (!number)
        return OK;
    if (!json_is_integer(number) || json_integer_value(number) < 1) {
        request->refusal = "expected_version must be a number from 1";
        return ERR_BAD_JSON;
    }
    request->has_expected_version = true;
    request->expected_version = (uint64_t)json_integer_value(number);
    return OK;
}

static enum vault_err
take_base64(struct bytes text, struct arena *arena, struct request *request)
{
    size_t room = base64_decoded_size_max(text.size);
    size_t size;
    uint8_t *out;

    if (text.size == 0)
        return OK;
    if (text.size > base64_encoded_size(VALUE_BYTES_MAX))
        return ERR_TOO_LARGE;
    out = arena_alloc(arena, room > 0 ? room : 1);
    if (!out)
        return ERR_NOMEM;
    if (base64_decode(text, out, room, &size) != OK) {
        request->refusal = "value is not base64 (standard alphabet, padded)";
        return ERR_BAD_JSON;
    }
    if (size > VALUE_BYTES_MAX)
        return ERR_TOO_LARGE;
    request->value = bytes_of(out, size);
    return OK;
}

static enum vault_err
take_value_text(struct bytes text, struct arena *arena, struct request *request)
{
    if (request->encoding == VALUE_BASE64)
        return take_base64(text, arena, request);
    if (text.size > VALUE_BYTES_MAX)
        return ERR_TOO_LARGE;
    return arena_copy(arena, text, &request->value);
}

static enum vault_err
take_value(const json_t *value, struct arena *arena, struct request *request)
{
    if (value && json_is_string(value))
        return take_value_text(string_bytes(value), arena, request);
    request->refusal = "the body must have a value, and it must be a string";
    return ERR_BAD_JSON;
}

enum vault_err
json_value_take(const json_t *value, const json_t *encoding, struct arena *arena,
                struct request *request)
{
    enum vault_err err = take_encoding(encoding, request);

    request->value = (struct bytes){0};
    return err == OK ? take_value(value, arena, request) : err;
}

static enum vault_err
take_members(json_t *object, struct arena *arena, struct request *request)
{
    struct members members;
    enum vault_err err = members_collect(object, request, &members);

    if (err == OK)
        err = take_encoding(members.encoding, request);
    if (err == OK)
        err = take_expected_version(members.expected_version, request);
    if (err == OK)
        err = take_value(members.value, arena, request);
    return err;
}

/* ---- the bodies that nearly all clients send ---- */

static void
skip_space(struct bytes *rest)
{
    while (rest->size > 0 && (*rest->data == ' ' || *rest->data == '\t' || *rest->data == '\n' ||
                              *rest->data == '\r'))
        *rest = bytes_of(rest->data + 1, rest->size - 1);
}

static bool
take_byte(struct bytes *rest, uint8_t byte)
{
    skip_space(rest);
    if (rest->size == 0 || *rest->data != byte)
        return false;
    *rest = bytes_of(rest->data + 1, rest->size - 1);
    return true;
}

/* A string of which each byte stands for itself. */
static bool
take_plain(struct bytes *rest, struct bytes *out)
{
    size_t size = 0;

    *out = (struct bytes){0};
    if (!take_byte(rest, '"'))
        return false;
    while (size < rest->size && rest->data[size] >= ' ' && rest->data[size] < 0x7f &&
           rest->data[size] != '"' && rest->data[size] != '\\')
        size++;
    if (size == rest->size || rest->data[size] != '"')
        return false;
    *out = bytes_of(rest->data, size);
    *rest = bytes_of(rest->data + size + 1, rest->size - size - 1);
    return true;
}

bool
json_body_is_plain(struct bytes body, struct bytes *value, struct bytes *encoding)
{
    struct bytes name;

    *value = *encoding = (struct bytes){0};
    if (!take_byte(&body, '{') || !take_plain(&body, &name) ||
        !bytes_equal(name, bytes_of_text("value")) || !take_byte(&body, ':') ||
        !take_plain(&body, value))
        return false;
    if (take_byte(&body, ',') &&
        (!take_plain(&body, &name) || !bytes_equal(name, bytes_of_text("encoding")) ||
         !take_byte(&body, ':') || !take_plain(&body, encoding) || encoding->size == 0))
        return false;
    if (!take_byte(&body, '}'))
        return false;
    skip_space(&body);
    return body.size == 0;
}

enum vault_err
json_body_parse(struct bytes body, struct arena *arena, struct request *request)
{
    enum vault_err err;
    json_t *object;
    struct bytes value, encoding;

    if (json_body_is_plain(body, &value, &encoding)) {
        err = take_encoding_text(encoding.size > 0, encoding, request);
        return err == OK ? take_value_text(value, arena, request) : err;
    }
    if (!json_shape_within(body, 1, BODY_COMMAS_MAX))
        return ERR_BAD_JSON;
    object = json_load_strict(body, JSON_BODY_FLAGS, &err);
    if (err == OK)
        err = json_is_object(object) ? take_members(object, arena, request) : ERR_BAD_JSON;
    json_decref(object);
    return err;
}
