#include "api/auth_members.h"

#include <string.h>

#include "api/auth_body.h"
#include "auth/policy_json.h"
#include "base/json_text.h"

enum vault_err
member_refuse(const char **refusal, const char *why)
{
    *refusal = why;
    return ERR_BAD_JSON;
}

struct bytes
member_text(const json_t *string)
{
    return bytes_of(json_string_value(string), json_string_length(string));
}

enum vault_err
members_take(const json_t *object, const struct json_member *members, size_t count,
             const char **refusal)
{
    const char *key;
    json_t *value;

    for (size_t i = 0; i < count; i++)
        *members[i].value = NULL;
    if (!json_is_object(object))
        return member_refuse(refusal, "an object is expected");
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;

        while (i < count && strcmp(key, members[i].name) != 0)
            i++;
        if (i == count)
            return member_refuse(refusal, "the body has an unknown member");
        *members[i].value = value;
    }
    return OK;
}

json_t *
members_load(struct bytes body, const struct json_member *members, size_t count,
             enum vault_err *err, const char **refusal)
{
    json_t *root;

    *refusal = NULL;
    *err = ERR_TOO_LARGE;
    if (!policy_text_bounded(body)) {
        *refusal = "the body is larger than 64 KiB, or has too many parts";
        return NULL;
    }
    root = json_load_strict(body, JSON_REJECT_DUPLICATES, err);
    if (*err == ERR_BAD_JSON)
        *refusal = "the body is not JSON, or has a member twice";
    if (*err == OK)
        *err = members_take(root, members, count, refusal);
    if (*err == OK)
        return root;
    json_decref(root);
    return NULL;
}

enum vault_err
member_names(const json_t *list, bool (*valid)(struct bytes), struct arena *arena,
             struct auth_names *out, const char **refusal, const char *why)
{
    size_t count = json_array_size(list);
    enum vault_err err = OK;

    *out = (struct auth_names){0};
    if (!json_is_array(list) || count > AUTH_POLICIES_MAX)
        return member_refuse(refusal, why);
    for (size_t i = 0; i < count && err == OK; i++) {
        struct bytes text = member_text(json_array_get(list, i));

        if (!json_is_string(json_array_get(list, i)) || !valid(text) ||
            auth_names_contain(out, text))
            return member_refuse(refusal, why);
        err = arena_copy(arena, text, &out->names[i]);
        out->count = i + 1;
    }
    return err;
}

bool
member_number(const json_t *value, uint64_t min, uint64_t max, uint64_t *out)
{
    *out = 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return *out >= min && *out <= max;
}
