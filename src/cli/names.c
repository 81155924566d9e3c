#include "cli/names.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/secret_common.h"

static int
make_target(const char *prefix, const char *after, struct buf *target)
{
    char separator = '?';
    int status = EXIT_OK;

    *target = (struct buf){0};
    if (buf_append_text(target, "/v1/secrets") != OK)
        return secret_out_of_memory();
    status = secret_target_parameter(target, &separator, "limit", "1000");
    if (status == EXIT_OK && prefix && *prefix)
        status = secret_target_parameter(target, &separator, "prefix", prefix);
    if (status == EXIT_OK && after)
        status = secret_target_parameter(target, &separator, "after", after);
    return status == EXIT_OK ? secret_target_end(target) : status;
}

/* *next is the page's `next` to be freed, or NULL. A page may be empty and lead on all the same. */
static int
visit_page(const json_t *page, names_visitor *visit, void *context, char **next)
{
    const json_t *names = json_object_get(page, "names");
    const json_t *more = json_object_get(page, "next");
    const json_t *name;
    int status = EXIT_OK;
    size_t i;

    *next = NULL;
    if (!json_is_array(names) || (more && !json_is_string(more)))
        return client_bad_answer();
    json_array_foreach(names, i, name)
    {
        if (!json_is_string(name))
            return client_bad_answer();
        status = visit(context, json_string_value(name));
        if (status)
            return status;
    }
    if (more)
        *next = strdup(json_string_value(more));
    return more && !*next ? secret_out_of_memory() : EXIT_OK;
}

int
names_visit(struct client *client, const char *prefix, names_visitor *visit, void *context)
{
    char *after = NULL;
    int status;

    do {
        struct client_answer answer = {0};
        struct buf target;
        char *next = NULL;

        status = make_target(prefix, after, &target);
        if (status == EXIT_OK)
            status = client_call(client, CLIENT_GET, (const char *)target.data, NULL, &answer);
        if (status == EXIT_OK)
            status = visit_page(answer.json, visit, context, &next);
        buf_close(&target);
        client_answer_close(&answer);
        if (status == EXIT_OK && next && after && strcmp(next, after) == 0)
            status = client_bad_answer(); /* it would lead in a circle */
        free(after);
        after = next;
    } while (status == EXIT_OK && after);
    free(after);
    return status;
}

static int
add_name(void *context, const char *name)
{
    return json_array_append_new(context, json_string(name)) == 0 ? EXIT_OK
                                                                  : secret_out_of_memory();
}

int
names_collect(struct client *client, const char *prefix, json_t **out)
{
    int status;

    *out = json_array();
    status = *out ? names_visit(client, prefix, add_name, *out) : secret_out_of_memory();
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}
