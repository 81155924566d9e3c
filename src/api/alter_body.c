#include "api/alter_body.h"

#include <stdlib.h>
#include <string.h>

#include "api/json_body.h"
#include "base/instant.h"
#include "proto/alteration.h"

enum {
    VERSIONS_OPENED_MAX = 4,
    VERSIONS_COMMAS_MAX = 3 * VERSIONS_KEPT_MAX + 3,
    METADATA_OPENED_MAX = 2,
    METADATA_COMMAS_MAX = METADATA_PAIRS_MAX + 5
};

/* A hundred years: what is to live longer needs no end. */
static const json_int_t expires_in_s_max = (json_int_t)100 * 366 * 24 * 60 * 60;

static enum vault_err
refuse(struct request *request, enum vault_err err, const char *why)
{
    request->refusal = why;
    return err;
}

static enum vault_err
take_expected_version(const json_t *number, struct request *request)
{
    if (!json_is_integer(number) || json_integer_value(number) < 1)
        return refuse(request, ERR_BAD_JSON, "expected_version must be a number from 1");
    request->has_expected_version = true;
    request->expected_version = (uint64_t)json_integer_value(number);
    return OK;
}

/* ---- versions ---- */

static bool
is_listed(const struct version_list *list, uint64_t version)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->of[i] == version)
            return true;
    return false;
}

static enum vault_err
take_versions(const json_t *numbers, struct alteration *a, struct version_list *list,
              struct request *request)
{
    static const char sentence[] =
        "delete, undelete and destroy must be lists of numbers from 1, each number once";
    size_t count = json_array_size(numbers);

    if (!json_is_array(numbers) || count == 0 || count > VERSIONS_KEPT_MAX)
        return refuse(request, ERR_BAD_JSON, sentence);
    for (size_t i = 0; i < count; i++) {
        const json_t *number = json_array_get(numbers, i);
        uint64_t version = (uint64_t)json_integer_value(number);

        if (!json_is_integer(number) || json_integer_value(number) < 1 ||
            is_listed(&a->soft_delete, version) || is_listed(&a->undelete, version) ||
            is_listed(&a->destroy, version))
            return refuse(request, ERR_BAD_JSON, sentence);
        list->of[list->count++] = version;
    }
    return OK;
}

static enum vault_err
take_versions_member(const char *key, const json_t *member, struct alteration *a,
                     struct request *request)
{
    if (strcmp(key, "delete") == 0)
        return take_versions(member, a, &a->soft_delete, request);
    if (strcmp(key, "undelete") == 0)
        return take_versions(member, a, &a->undelete, request);
    if (strcmp(key, "destroy") == 0)
        return take_versions(member, a, &a->destroy, request);
    if (strcmp(key, "expected_version") == 0)
        return take_expected_version(member, request);
    return refuse(request, ERR_BAD_JSON, "the body has an unknown member");
}

static enum vault_err
versions_take(json_t *object, struct alteration *a, struct arena *arena, struct request *request)
{
    enum vault_err err = OK;
    const char *key;
    json_t *member;

    (void)arena;
    json_object_foreach(object, key, member)
    {
        if (err == OK)
            err = take_versions_member(key, member, a, request);
    }
    if (err == OK && a->soft_delete.count + a->undelete.count + a->destroy.count == 0)
        err = refuse(request, ERR_BAD_JSON, "the body names no version");
    return err;
}

/* ---- metadata ---- */

static int
by_key(const void *a, const void *b)
{
    const struct metadata_change *x = a, *y = b;
    return bytes_compare(x->key, y->key);
}

static enum vault_err
take_pair(const char *key, const json_t *value, struct arena *arena, struct request *request,
          struct metadata_change *out)
{
    size_t size = strlen(key);

    *out = (struct metadata_change){.removed = json_is_null(value)};
    if (size == 0 || size > METADATA_KEY_BYTES_MAX)
        return refuse(request, ERR_BAD_JSON, "a key of custom_metadata has 1 to 128 bytes");
    if (!json_is_string(value) && !out->removed)
        return refuse(request, ERR_BAD_JSON, "custom_metadata has strings, or null, as values");
    enum vault_err err = arena_copy(arena, bytes_of(key, size), &out->key);
    if (err == OK && !out->removed)
        err = arena_copy(arena, bytes_of(json_string_value(value), json_string_length(value)),
                         &out->value);
    return err;
}

static enum vault_err
take_custom_metadata(json_t *object, struct alteration *a, struct arena *arena,
                     struct request *request)
{
    size_t count = json_object_size(object), bytes = 0;
    struct metadata_change *pairs;
    enum vault_err err = OK;
    const char *key;
    json_t *value;

    if (!json_is_object(object) || count == 0)
        return refuse(request, ERR_BAD_JSON, "custom_metadata must be an object with members");
    if (count > METADATA_PAIRS_MAX)
        return refuse(request, ERR_TOO_LARGE, "custom_metadata has at most 64 pairs");
    pairs = arena_alloc(arena, count * sizeof(*pairs));
    if (!pairs)
        return ERR_NOMEM;
    json_object_foreach(object, key, value)
    {
        if (err == OK)
            err = take_pair(key, value, arena, request, &pairs[a->metadata_count]);
        if (err == OK)
            bytes += pairs[a->metadata_count].key.size + pairs[a->metadata_count].value.size;
        a->metadata_count++;
    }
    if (err == OK && bytes > METADATA_BYTES_MAX)
        err = refuse(request, ERR_TOO_LARGE, "custom_metadata has at most 4096 bytes");
    qsort(pairs, count, sizeof(*pairs), by_key);
    a->metadata = pairs;
    return err;
}

static enum vault_err
take_max_versions(const json_t *number, struct alteration *a, struct request *request)
{
    bool fits = json_is_integer(number) && json_integer_value(number) >= 1 &&
                json_integer_value(number) <= VERSIONS_KEPT_MAX;

    if (!fits && !json_is_null(number))
        return refuse(request, ERR_BAD_JSON, "max_versions must be a number from 1 to 64, or null");
    a->has_max_versions = true;
    a->max_versions = fits ? (uint64_t)json_integer_value(number) : 0;
    return OK;
}

static enum vault_err
take_expires_at(const json_t *text, struct alteration *a, struct request *request)
{
    a->has_expires_at = true;
    if (json_is_null(text))
        return OK;
    if (!json_is_string(text) ||
        rfc3339_parse(bytes_of(json_string_value(text), json_string_length(text)),
                      &a->expires_at_ms) != OK ||
        a->expires_at_ms == 0)
        return refuse(request, ERR_BAD_JSON,
                      "expires_at must be a date and time as RFC 3339 has it, or null");
    return OK;
}

static enum vault_err
take_expires_in(const json_t *number, struct alteration *a, struct request *request)
{
    if (!json_is_integer(number) || json_integer_value(number) < 1 ||
        json_integer_value(number) > expires_in_s_max)
        return refuse(request, ERR_BAD_JSON,
                      "expires_in must be a number of seconds, from 1 to those of a hundred years");
    a->has_expires_in = true;
    a->expires_in_ms = (uint64_t)json_integer_value(number) * 1000;
    return OK;
}

static enum vault_err
take_metadata_member(const char *key, json_t *member, struct alteration *a, struct arena *arena,
                     struct request *request)
{
    if (strcmp(key, "custom_metadata") == 0)
        return take_custom_metadata(member, a, arena, request);
    if (strcmp(key, "max_versions") == 0)
        return take_max_versions(member, a, request);
    if (strcmp(key, "expires_at") == 0)
        return take_expires_at(member, a, request);
    if (strcmp(key, "expires_in") == 0)
        return take_expires_in(member, a, request);
    if (strcmp(key, "expected_version") == 0)
        return take_expected_version(member, request);
    return refuse(request, ERR_BAD_JSON, "the body has an unknown member");
}

static enum vault_err
metadata_take(json_t *object, struct alteration *a, struct arena *arena, struct request *request)
{
    enum vault_err err = OK;
    const char *key;
    json_t *member;

    json_object_foreach(object, key, member)
    {
        if (err == OK)
            err = take_metadata_member(key, member, a, arena, request);
    }
    if (err == OK && a->has_expires_at && a->has_expires_in)
        err = refuse(request, ERR_BAD_JSON, "expires_at and expires_in exclude each other");
    if (err == OK && a->metadata_count == 0 && !a->has_max_versions && !a->has_expires_at &&
        !a->has_expires_in)
        err = refuse(request, ERR_BAD_JSON, "the body changes nothing");
    return err;
}

/* ---- both ---- */

typedef enum vault_err take_object(json_t *object, struct alteration *a, struct arena *arena,
                                   struct request *request);

static enum vault_err
parse(struct bytes body, take_object *take, struct arena *arena, struct request *request)
{
    struct alteration *a = arena_alloc(arena, sizeof(*a));
    enum vault_err err;
    json_t *object;

    if (!a)
        return ERR_NOMEM;
    *a = (struct alteration){0};
    request->alteration = a;
    object = json_load_strict(body, JSON_BODY_FLAGS, &err);
    if (err == OK)
        err = json_is_object(object) ? take(object, a, arena, request)
                                     : refuse(request, ERR_BAD_JSON, "the body must be an object");
    json_decref(object);
    return err;
}

enum vault_err
versions_body_parse(struct bytes body, struct arena *arena, struct request *request)
{
    if (!json_shape_within(body, VERSIONS_OPENED_MAX, VERSIONS_COMMAS_MAX))
        return refuse(request, ERR_BAD_JSON, "the body has too many members");
    return parse(body, versions_take, arena, request);
}

enum vault_err
metadata_body_parse(struct bytes body, struct arena *arena, struct request *request)
{
    if (!json_shape_within(body, METADATA_OPENED_MAX, METADATA_COMMAS_MAX))
        return refuse(request, ERR_BAD_JSON, "the body has too many members");
    return parse(body, metadata_take, arena, request);
}
