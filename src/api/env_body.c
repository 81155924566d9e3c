#include "api/env_body.h"

#include <string.h>

#include "api/json_body.h"
#include "base/cbor.h"
#include "env/env_plan.h"

enum {
    VALUES_MAX = BATCH_ITEMS_MAX, /* as many as there can be enc(NAME) */
    OPENED_MAX = 2,
    COMMAS_MAX = VALUES_MAX + 3,
};

static enum vault_err
refuse(struct request *request, enum vault_err err, const char *why)
{
    request->refusal = why;
    return err;
}

static enum vault_err
take_string(const json_t *string, struct arena *arena, struct bytes *out)
{
    struct bytes text = bytes_of(json_string_value(string), json_string_length(string));
    return arena_copy(arena, text, out);
}

static enum vault_err
take_mode(struct bytes text, struct env_input *input)
{
    static const char *const names[] = {
        [ENV_BOTH] = "both", [ENV_ENCRYPT] = "encrypt", [ENV_EXPAND] = "expand"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (bytes_equal(text, bytes_of_text(names[i]))) {
            input->mode = (enum env_mode)i;
            return OK;
        }
    }
    return ERR_BAD_JSON;
}

static enum vault_err
take_values(json_t *object, struct arena *arena, struct env_input *input)
{
    struct env_value *values;
    const char *key;
    json_t *member;
    enum vault_err err = OK;
    if (!json_is_object(object))
        return ERR_BAD_JSON;
    values = arena_alloc(arena, (json_object_size(object) + 1) * sizeof(*values));
    if (!values)
        return ERR_NOMEM;
    input->values = values;
    json_object_foreach(object, key, member)
    {
        struct env_value *value = &values[input->value_count++];
        if (err == OK && !json_is_string(member))
            err = ERR_BAD_JSON;
        if (err == OK)
            err = arena_copy(arena, bytes_of_text(key), &value->name);
        if (err == OK)
            err = take_string(member, arena, &value->value);
    }
    return err;
}

static enum vault_err
take_member(const char *key, json_t *member, struct arena *arena, struct request *request,
            struct env_input *input)
{
    enum vault_err err;
    if (strcmp(key, "values") == 0)
        return take_values(member, arena, input);
    if (!json_is_string(member))
        return ERR_BAD_JSON;
    if (strcmp(key, "content") == 0)
        return take_string(member, arena, &input->text);
    if (strcmp(key, "prefix") == 0) {
        err = take_string(member, arena, &input->prefix);
        if (err == OK && input->prefix.size > NAME_BYTES_MAX)
            return ERR_BAD_JSON;
        return err == OK && request->env_prefix.data ? ERR_BAD_PARAMETER : err;
    }
    if (strcmp(key, "mode") != 0)
        return ERR_BAD_JSON;
    err = take_mode(bytes_of(json_string_value(member), json_string_length(member)), input);
    return err == OK && request->env_mode.data ? ERR_BAD_PARAMETER : err;
}

static enum vault_err
take_members(json_t *object, struct arena *arena, struct request *request, struct env_input *input)
{
    const char *key;
    json_t *member;
    enum vault_err err = json_object_get(object, "content") ? OK : ERR_BAD_JSON;
    json_object_foreach(object, key, member)
    {
        if (err == OK)
            err = take_member(key, member, arena, request, input);
    }
    if (err == ERR_BAD_PARAMETER)
        return refuse(request, err, "mode and prefix are said once: in the body, or in the query");
    if (err == ERR_BAD_JSON)
        return refuse(request, err,
                      "the body must have a content; values, prefix and mode are permitted");
    return err;
}

static enum vault_err
parse_json(struct bytes body, struct arena *arena, struct request *request, struct env_input *input)
{
    enum vault_err err;
    json_t *object;
    if (!json_shape_within(body, OPENED_MAX, COMMAS_MAX))
        return refuse(request, ERR_TOO_LARGE, "there are at most 256 values");
    object = json_load_strict(body, JSON_BODY_FLAGS, &err);
    if (err == OK)
        err = json_is_object(object) ? take_members(object, arena, request, input) : ERR_BAD_JSON;
    json_decref(object);
    return err;
}

static enum vault_err
make_plan(const struct env_input *input, struct arena *arena, struct request *request)
{
    struct env_plan *plan = arena_alloc(arena, sizeof(*plan));
    if (!plan)
        return ERR_NOMEM;
    request->env = plan;
    enum vault_err err = env_plan_make(input, arena, plan);
    if (err == ERR_TOO_LARGE)
        return refuse(request, err, "the text, or all its new values together, exceed 1 MiB");
    return err == OK && plan->fault_count > 0 ? ERR_BAD_ENV : err;
}

enum vault_err
env_body_parse(const struct http_request *http, const struct request_headers *headers,
               struct arena *arena, struct request *request)
{
    bool json = headers_content_is_json(headers);
    struct env_input input = {.text = http->body, .prefix = request->env_prefix};
    enum vault_err err = OK;
    if (!json && !headers_content_is_text(headers))
        return refuse(request, ERR_MEDIA_TYPE, "the body must be text/plain or application/json");
    if (request->env_mode.data)
        err = take_mode(request->env_mode, &input);
    if (err == OK && json)
        err = parse_json(http->body, arena, request, &input);
    request->env_as_json = json;
    headers_accept(http, &request->env_as_json);
    input.utf8 = request->env_as_json;
    if (request->env_as_json && !json && !utf8_valid(http->body))
        return refuse(request, ERR_BAD_REQUEST, "a text that is not UTF-8 cannot be JSON");
    return err == OK ? make_plan(&input, arena, request) : err;
}
