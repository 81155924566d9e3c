/*
 * The body of a batch: {"read": [{"name": "a/b", "version": 3}, ...]} or
 * {"create": [{"name": "a/b", "value": "x", "encoding": "text"}, ...]}.
 */
#include <string.h>

#include "api/json_body.h"

enum {
    ITEM_MEMBERS = 3,
    OPENED_MAX = 2 + BATCH_ITEMS_MAX,
    COMMAS_MAX = BATCH_ITEMS_MAX * ITEM_MEMBERS,
};

static enum vault_err
refuse(struct request *request, enum vault_err err, const char *why)
{
    request->refusal = why;
    return err;
}

static enum vault_err
take_name(const json_t *name, struct arena *arena, struct request *request, struct batch_item *item)
{
    if (!json_is_string(name))
        return refuse(request, ERR_BAD_JSON, "every item must have a name");
    struct bytes text = bytes_of(json_string_value(name), json_string_length(name));
    if (!secret_name_valid(text))
        return refuse(request, ERR_BAD_NAME, "the name of an item is not valid");
    return arena_copy(arena, text, &item->name);
}

static enum vault_err
take_read(json_t *object, struct arena *arena, struct request *request, struct batch_item *item)
{
    const json_t *version = json_object_get(object, "version");

    if (!json_is_object(object) || json_object_size(object) != 1u + (version != NULL))
        return refuse(request, ERR_BAD_JSON, "an item is a name, and a version if need be");
    if (version && (!json_is_integer(version) || json_integer_value(version) < 1))
        return refuse(request, ERR_BAD_JSON, "version must be a number from 1");
    if (version)
        item->version = (uint64_t)json_integer_value(version);
    return take_name(json_object_get(object, "name"), arena, request, item);
}

static enum vault_err
take_create(json_t *object, struct arena *arena, struct request *request, struct batch_item *item)
{
    const json_t *encoding = json_object_get(object, "encoding");
    struct request one = {.kind = REQUEST_CREATE};

    if (!json_is_object(object) || json_object_size(object) != 2u + (encoding != NULL))
        return refuse(request, ERR_BAD_JSON,
                      "an item is a name, a value, and an encoding if need be");
    enum vault_err err = json_value_take(json_object_get(object, "value"), encoding, arena, &one);
    if (err != OK)
        return refuse(request, err, one.refusal);
    item->value = one.value;
    item->encoding = one.encoding;
    return take_name(json_object_get(object, "name"), arena, request, item);
}

static enum vault_err
take_items(const json_t *list, struct arena *arena, struct request *request)
{
    bool create = request->kind == REQUEST_BATCH_CREATE;
    size_t count = json_array_size(list), value_bytes = 0;
    struct batch_item *items;
    enum vault_err err = OK;

    if (!json_is_array(list) || count == 0)
        return refuse(request, ERR_BAD_JSON, "a batch is a list of items");
    if (count > BATCH_ITEMS_MAX)
        return refuse(request, ERR_TOO_LARGE, "a batch has at most 256 items");
    items = arena_alloc(arena, count * sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    for (size_t i = 0; i < count && err == OK; i++) {
        err =
            (create ? take_create : take_read)(json_array_get(list, i), arena, request, &items[i]);
        value_bytes += items[i].value.size;
        if (err == OK && value_bytes > BATCH_VALUES_BYTES_MAX)
            err = refuse(request, ERR_TOO_LARGE, "the values of a batch have at most 1 MiB");
    }
    request->items = items;
    request->item_count = count;
    return err;
}

enum vault_err
batch_body_parse(struct bytes body, struct arena *arena, struct request *request)
{
    enum vault_err err;
    json_t *object, *list;

    if (!json_shape_within(body, OPENED_MAX, COMMAS_MAX))
        return refuse(request, ERR_TOO_LARGE, "a batch has at most 256 items");
    object = json_load_strict(body, JSON_BODY_FLAGS, &err);
    if (err == OK) {
        list = json_object_get(object, "create");
        if (list)
            request->kind = REQUEST_BATCH_CREATE;
        else
            list = json_object_get(object, "read");
        err =
            list && json_object_size(object) == 1
                ? take_items(list, arena, request)
                : refuse(request, ERR_BAD_JSON, "the body must have a list \"read\" or \"create\"");
    }
    json_decref(object);
    return err;
}
