#include "api/copy_body.h"

#include <string.h>

#include "api/json_body.h"

enum { OPENED_MAX = 1, COMMAS_MAX = 3 };

static enum vault_err
refuse(struct request *request, enum vault_err err, const char *why)
{
    request->refusal = why;
    return err;
}

static enum vault_err
take_name(const json_t *name, struct arena *arena, struct request *request, struct bytes *out)
{
    if (!json_is_string(name))
        return refuse(request, ERR_BAD_JSON, "the body must have the names \"from\" and \"to\"");
    struct bytes text = bytes_of(json_string_value(name), json_string_length(name));
    if (!secret_name_valid(text))
        return refuse(request, ERR_BAD_NAME, "\"from\" or \"to\" is not a valid name");
    return arena_copy(arena, text, out);
}

static bool
take_flag(const json_t *object, const char *key, size_t *members, bool *out)
{
    const json_t *flag = json_object_get(object, key);

    *out = json_is_true(flag);
    *members += flag != NULL;
    return !flag || json_is_boolean(flag);
}

/* `inner` is `outer`, or below it. */
static bool
is_within(struct bytes inner, struct bytes outer)
{
    return inner.size >= outer.size && memcmp(inner.data, outer.data, outer.size) == 0 &&
           (inner.size == outer.size || inner.data[outer.size] == '/');
}

static enum vault_err
take(const json_t *object, struct arena *arena, struct request *request)
{
    size_t members = 2;
    bool flags = take_flag(object, "recursive", &members, &request->copy_recursive) &&
                 take_flag(object, "move", &members, &request->copy_move);
    enum vault_err err =
        take_name(json_object_get(object, "from"), arena, request, &request->copy_from);

    if (err == OK)
        err = take_name(json_object_get(object, "to"), arena, request, &request->copy_to);
    if (err != OK)
        return err;
    if (!flags || json_object_size(object) != members)
        return refuse(request, ERR_BAD_JSON,
                      "beside the names, \"recursive\" and \"move\" may be true or false");
    if (bytes_equal(request->copy_from, request->copy_to) ||
        (request->copy_recursive && (is_within(request->copy_to, request->copy_from) ||
                                     is_within(request->copy_from, request->copy_to))))
        return refuse(request, ERR_BAD_NAME, "\"to\" must be elsewhere than \"from\"");
    return OK;
}

enum vault_err
copy_body_parse(struct bytes body, struct arena *arena, struct request *request)
{
    enum vault_err err;
    json_t *object;

    if (!json_shape_within(body, OPENED_MAX, COMMAS_MAX))
        return refuse(request, ERR_BAD_JSON, "the body has at most four members");
    object = json_load_strict(body, JSON_BODY_FLAGS, &err);
    if (err == OK)
        err = json_is_object(object) ? take(object, arena, request)
                                     : refuse(request, ERR_BAD_JSON, "the body must be an object");
    json_decref(object);
    return err;
}

static enum vault_err
join(struct bytes a, struct bytes b, struct arena *arena, struct bytes *out)
{
    uint8_t *text = arena_alloc(arena, a.size + b.size);

    *out = (struct bytes){0};
    if (!text)
        return ERR_NOMEM;
    memcpy(text, a.data, a.size);
    if (b.size > 0)
        memcpy(text + a.size, b.data, b.size);
    *out = bytes_of(text, a.size + b.size);
    return OK;
}

enum vault_err
copy_prefix(const struct request *request, struct arena *arena, struct bytes *out)
{
    return join(request->copy_from, bytes_of_text("/"), arena, out);
}

enum vault_err
copy_target(const struct request *request, struct bytes name, struct arena *arena,
            struct bytes *out)
{
    size_t skip = request->copy_from.size;
    enum vault_err err =
        join(request->copy_to, bytes_of(name.data + skip, name.size - skip), arena, out);

    return err == OK && !secret_name_valid(*out) ? ERR_BAD_NAME : err;
}
