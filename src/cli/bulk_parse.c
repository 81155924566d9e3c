/* What is imported: .env text, JSON, and what `vault kv get -format=json` prints. */
#include <string.h>

#include "base/limits.h"
#include "cli/bulk.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "env/dotenv.h"
#include "proto/request.h"

enum { DEPTH_MAX = 32 };

bool
bulk_format_of(const char *name, enum bulk_format *out)
{
    static const char *const names[] = {"dotenv", "json", "vault-kv"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum bulk_format)i;
            return true;
        }
    }
    return false;
}

/* ---- .env ---- */

static int
add_assignment(const struct dotenv_item *item, const char *prefix, struct bulk *out)
{
    struct buf name = {0}, value = {0};
    int status = EXIT_FAILED;

    if (item->fault != DOTENV_GOOD)
        output_error("line %zu: %s", item->line, dotenv_fault_text(item->fault));
    else if (item->kind != DOTENV_ASSIGNMENT || dotenv_has_reference(item->value))
        output_error(
            "line %zu: secret() and enc() are for `ostraka env`; a file to be imported has "
            "values",
            item->line);
    else if (buf_append_text(&name, prefix) != OK || buf_append(&name, item->name) != OK ||
             dotenv_decode(item, &value) != OK)
        status = secret_out_of_memory();
    else
        status = bulk_add(out, buf_bytes(&name), buf_bytes(&value));
    buf_close(&name);
    buf_close(&value);
    return status;
}

/* Whoever moves here would find out when the file is gone. */
static int
not_an_assignment(const struct dotenv_item *item)
{
    output_error("line %zu is neither NAME=value nor a comment, and would not be stored",
                 item->line);
    return EXIT_FAILED;
}

static int
parse_dotenv(struct bytes text, const char *prefix, struct bulk *out)
{
    struct dotenv_reader reader;
    struct dotenv_item item;
    int status = EXIT_OK;

    dotenv_read(&reader, text);
    while (status == EXIT_OK && dotenv_next(&reader, &item)) {
        if (dotenv_is_passed_over(&item))
            status = not_an_assignment(&item);
        else if (item.kind != DOTENV_OTHER || item.fault != DOTENV_GOOD)
            status = add_assignment(&item, prefix, out);
    }
    return status;
}

/* ---- JSON ---- */

static int
not_understood(const char *why)
{
    output_error("the file cannot be imported: %s", why);
    return EXIT_FAILED;
}

/* What was written as 0.1 cannot be told from 0.10000000000000001 any more. */
static bool
has_real(json_t *tree, unsigned depth)
{
    const char *key;
    json_t *one;
    size_t i;

    if (depth > DEPTH_MAX)
        return true;
    json_array_foreach(tree, i, one)
    {
        if (has_real(one, depth + 1))
            return true;
    }
    json_object_foreach(tree, key, one)
    {
        if (has_real(one, depth + 1))
            return true;
    }
    return json_is_real(tree);
}

/* What is no text becomes the JSON that it is. */
static int
add_leaf(json_t *leaf, struct bytes name, struct bulk *out)
{
    char *dumped;
    int status;

    if (json_is_string(leaf))
        return bulk_add(out, name, bytes_of(json_string_value(leaf), json_string_length(leaf)));
    if (json_is_null(leaf)) {
        output_error("%.*s is null, which is no value: write what it is to be, or leave it out",
                     (int)name.size, (const char *)name.data);
        return EXIT_FAILED;
    }
    if (has_real(leaf, 0)) {
        output_error("%.*s has a number with a fraction or an exponent, of which not every digit "
                     "could be kept: write it as a string",
                     (int)name.size, (const char *)name.data);
        return EXIT_FAILED;
    }
    dumped = json_dumps(leaf, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!dumped)
        return secret_out_of_memory();
    status = bulk_add(out, name, bytes_of_text(dumped));
    bytes_wipe(dumped, strlen(dumped));
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(dumped);
    return status;
}

/* Nested objects are parts of the names. */
static int
add_tree(json_t *tree, const char *path, unsigned depth, struct bulk *out)
{
    const char *key;
    json_t *value;
    int status = EXIT_OK;

    if (depth > DEPTH_MAX)
        return not_understood("it is nested too deeply");
    json_object_foreach(tree, key, value)
    {
        struct buf name = {0};

        if (buf_printf(&name, "%s%s%s", path, depth > 0 ? "/" : "", key) != OK ||
            buf_append(&name, bytes_of("", 1)) != OK)
            status = secret_out_of_memory();
        else if (json_is_object(value))
            status = add_tree(value, (const char *)name.data, depth + 1, out);
        else
            status = add_leaf(value, bytes_of(name.data, name.size - 1), out);
        buf_close(&name);
        if (status)
            break;
    }
    return status;
}

/* As `ostraka secret export` writes it: {"secrets": [{"name", "value", "encoding"}]}. */
static int
add_exported(const json_t *list, const char *prefix, struct bulk *out)
{
    const json_t *one;
    int status = EXIT_OK;
    size_t i;

    json_array_foreach(list, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        struct buf whole = {0}, value = {0};

        if (!name)
            status = not_understood("a secret has no name");
        else if (buf_printf(&whole, "%s%s", prefix, name) != OK)
            status = secret_out_of_memory();
        else
            status = secret_value_of(one, &value);
        if (status == EXIT_OK)
            status = bulk_add(out, buf_bytes(&whole), buf_bytes(&value));
        buf_close(&whole);
        buf_close(&value);
        if (status)
            break;
    }
    return status;
}

/* Version 2 of the engine has the values one level deeper, beside what it knows about them. */
static int
add_vault(const json_t *root, const char *prefix, struct bulk *out)
{
    json_t *data = json_object_get(root, "data");
    json_t *inner = json_object_get(data, "data");
    const json_t *metadata = json_object_get(data, "metadata");

    if (!json_is_object(data))
        return not_understood("it has no \"data\", as `vault kv get -format=json` prints it");
    if (!json_is_integer(json_object_get(metadata, "version")) ||
        !json_is_string(json_object_get(metadata, "created_time")))
        return add_tree(data, prefix, 0, out);
    if (!json_is_object(inner))
        return not_understood("that version is deleted and has no values");
    return add_tree(inner, prefix, 0, out);
}

/* Where, and what; not the text there, which may be a value. */
static int
not_json(const json_error_t *error)
{
    const char *near = strstr(error->text, " near ");
    int size = near ? (int)(near - error->text) : (int)strlen(error->text);

    output_error("the file cannot be imported: line %d, column %d: %.*s", error->line,
                 error->column, size, error->text);
    return EXIT_FAILED;
}

static int
parse_json(enum bulk_format format, struct bytes text, const char *prefix, struct bulk *out)
{
    json_error_t error;
    json_t *root = json_loadb((const char *)text.data, text.size,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    json_t *list = json_object_get(root, "secrets");
    int status;

    if (!root)
        status = not_json(&error);
    else if (!json_is_object(root))
        status = not_understood("it is no JSON object");
    else if (format == BULK_VAULT_KV)
        status = add_vault(root, prefix, out);
    else if (json_is_array(list) && json_object_size(root) == 1)
        status = add_exported(list, prefix, out);
    else
        status = add_tree(root, prefix, 0, out);
    json_decref(root);
    return status;
}

/* ---- */

static int
check(const struct bulk *bulk)
{
    for (size_t i = 0; i < bulk->count; i++) {
        struct bytes name = buf_bytes(&bulk->items[i].name);

        if (!secret_name_valid(name)) {
            output_error("\"%.*s\" is not a valid name of a secret", (int)name.size,
                         (const char *)name.data);
            return EXIT_FAILED;
        }
        if (i > 0 && bytes_equal(buf_bytes(&bulk->items[i - 1].name), name)) {
            output_error("%.*s comes more than once", (int)name.size, (const char *)name.data);
            return EXIT_FAILED;
        }
        if (bulk->items[i].value.size > VALUE_BYTES_MAX) {
            output_error("the value of %.*s is larger than 1 MiB", (int)name.size,
                         (const char *)name.data);
            return EXIT_FAILED;
        }
    }
    return EXIT_OK;
}

int
bulk_parse(enum bulk_format format, struct bytes text, const char *prefix, struct bulk *out)
{
    int status = format == BULK_DOTENV ? parse_dotenv(text, prefix, out)
                                       : parse_json(format, text, prefix, out);

    if (status)
        return status;
    bulk_sort(out);
    return check(out);
}
