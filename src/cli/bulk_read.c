/* The values of all secrets below a prefix, and the variables that they are given as. */
#include <string.h>

#include "base/limits.h"
#include "cli/bulk.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/secret_common.h"

static int
add_answer(const json_t *json, const char *name, struct bulk *out)
{
    struct buf value;
    int status = secret_value_of(json, &value);

    if (status == EXIT_OK)
        status = bulk_add(out, bytes_of_text(name), buf_bytes(&value));
    buf_close(&value);
    return status;
}

static int
read_value(struct client *client, const char *name, struct bulk *out)
{
    struct client_answer answer = {0};
    struct buf target;
    int status = secret_target("/v1/secrets/", name, &target);

    if (status == EXIT_OK)
        status = secret_target_end(&target);
    client_set_untold(client, EXIT_NOT_FOUND);
    if (status == EXIT_OK)
        status = client_call(client, CLIENT_GET, (const char *)target.data, NULL, &answer);
    client_set_untold(client, EXIT_OK);
    if (status == EXIT_OK)
        status = add_answer(answer.json, name, out);
    buf_close(&target);
    client_answer_close(&answer);
    return status;
}

struct sight {
    const char *name;
    bool listed;
};
enum { SEEN_ENOUGH = -1 };

/* Of the names that begin with one, it is the first itself. */
static int
see(void *context, const char *name)
{
    struct sight *sight = context;

    sight->listed = strcmp(name, sight->name) == 0;
    return SEEN_ENOUGH;
}

/*
 * What has been deleted since it was listed is left out. What is still listed and has no value is
 * not: whoever wants all of them would be without it.
 */
static int
read_one(struct client *client, const char *name, struct bulk *out)
{
    struct sight sight = {.name = name};
    int status = read_value(client, name, out);

    if (status != EXIT_NOT_FOUND)
        return status;
    status = names_visit(client, name, see, &sight);
    if (status == SEEN_ENOUGH)
        status = EXIT_OK;
    /* It may have been created anew in between. */
    if (status == EXIT_OK && sight.listed)
        status = read_value(client, name, out);
    if (status != EXIT_NOT_FOUND)
        return status;
    output_error("%s has no value now: its current version is deleted", name);
    out->missing++;
    return EXIT_OK;
}

static json_t *
body_of(const json_t *names, size_t first, size_t count)
{
    json_t *list = json_array(), *body = json_pack("{s:o}", "read", list);

    for (size_t i = first; body && i < first + count; i++) {
        json_t *item = json_pack("{s:O}", "name", json_array_get(names, i));

        if (json_array_append_new(list, item)) {
            json_decref(body);
            return NULL;
        }
    }
    return body;
}

static int
read_piece(struct client *client, const json_t *names, size_t first, size_t count, struct bulk *out)
{
    struct client_answer answer = {0};
    json_t *body = body_of(names, first, count);
    const json_t *results, *one;
    int status;
    size_t i;

    client_set_quiet(client, true);
    status = body ? client_call(client, CLIENT_POST, "/v1/batch", body, &answer)
                  : secret_out_of_memory();
    client_set_quiet(client, false);
    json_decref(body);
    results = json_object_get(answer.json, "results");
    if (status == EXIT_OK && json_array_size(results) != count)
        status = client_bad_answer();
    if (status == EXIT_OK) {
        json_array_foreach(results, i, one)
        {
            status = add_answer(one, json_string_value(json_array_get(names, first + i)), out);
            if (status)
                break;
        }
        client_answer_close(&answer);
        return status;
    }
    client_answer_close(&answer);
    /* Too much together, or one of them has gone. */
    for (i = first, status = EXIT_OK; i < first + count && status == EXIT_OK; i++) {
        client_set_quiet(client, false);
        status = read_one(client, json_string_value(json_array_get(names, i)), out);
    }
    return status;
}

int
bulk_read(struct client *client, const char *prefix, struct bulk *out)
{
    struct progress progress;
    json_t *names;
    size_t all;
    int status = names_collect(client, prefix, &names);

    if (status)
        return status;
    all = json_array_size(names);
    progress_begin(&progress, "read", all);
    for (size_t first = 0; first < all && status == EXIT_OK; first += BATCH_ITEMS_MAX) {
        size_t count = all - first < BATCH_ITEMS_MAX ? all - first : BATCH_ITEMS_MAX;

        status = read_piece(client, names, first, count, out);
        for (size_t i = 0; i < count; i++)
            progress_step(&progress);
    }
    progress_end(&progress);
    json_decref(names);
    if (status != EXIT_OK || out->missing == 0)
        return status;
    output_hint(
        "`ostraka versions undelete` brings a deleted version back, `ostraka secret delete` "
        "deletes the rest");
    return EXIT_NOT_FOUND;
}

/* ---- variables ---- */

static char
variable_byte(uint8_t byte)
{
    if (byte >= 'a' && byte <= 'z')
        return (char)(byte - 'a' + 'A');
    if ((byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9'))
        return (char)byte;
    return '_';
}

static int
variable_of(const struct bulk_item *item, const char *prefix, struct buf *out)
{
    size_t skip = strlen(prefix);

    *out = (struct buf){0};
    while (skip < item->name.size && item->name.data[skip] == '/')
        skip++;
    if (skip >= item->name.size) {
        output_error("nothing of the name %.*s is left behind the prefix", (int)item->name.size,
                     (const char *)item->name.data);
        return EXIT_FAILED;
    }
    if (item->name.data[skip] >= '0' && item->name.data[skip] <= '9' &&
        buf_append_text(out, "_") != OK)
        return secret_out_of_memory();
    for (size_t i = skip; i < item->name.size; i++) {
        char byte = variable_byte(item->name.data[i]);

        if (buf_append(out, bytes_of(&byte, 1)) != OK) {
            buf_close(out);
            return secret_out_of_memory();
        }
    }
    return EXIT_OK;
}

static int
check_distinct(const struct bulk *bulk)
{
    for (size_t i = 1; i < bulk->count; i++) {
        const struct bulk_item *one = &bulk->items[i - 1], *other = &bulk->items[i];

        if (bytes_equal(buf_bytes(&one->name), buf_bytes(&other->name))) {
            output_error("%.*s and %.*s would both be the variable %.*s", (int)one->secret.size,
                         (const char *)one->secret.data, (int)other->secret.size,
                         (const char *)other->secret.data, (int)one->name.size,
                         (const char *)one->name.data);
            output_hint("take longer prefixes, or name the variables in a .env file: "
                        "VARIABLE=secret(NAME)");
            return EXIT_FAILED;
        }
    }
    return EXIT_OK;
}

int
bulk_name_variables(struct bulk *bulk, const char *prefix)
{
    for (size_t i = 0; i < bulk->count; i++) {
        struct buf variable;
        int status = variable_of(&bulk->items[i], prefix, &variable);

        if (status)
            return status;
        bulk->items[i].secret = bulk->items[i].name;
        bulk->items[i].name = variable;
    }
    bulk_sort(bulk);
    return check_distinct(bulk);
}
