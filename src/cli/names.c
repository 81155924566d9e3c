#include "cli/names.h"

#include "cli/cli.h"
#include "cli/pages.h"
#include "cli/secret_common.h"

struct visit {
    const char *prefix;
    names_visitor *visit;
    void *context;
};

static int
make_target(void *context, const char *after, struct buf *target)
{
    const struct visit *v = context;
    char separator = '?';
    int status;

    if (buf_append_text(target, "/v1/secrets") != OK)
        return secret_out_of_memory();
    status = secret_target_parameter(target, &separator, "limit", "1000");
    if (status == EXIT_OK && v->prefix && *v->prefix)
        status = secret_target_parameter(target, &separator, "prefix", v->prefix);
    if (status == EXIT_OK && after)
        status = secret_target_parameter(target, &separator, "after", after);
    return status == EXIT_OK ? secret_target_end(target) : status;
}

static int
visit_page(void *context, const json_t *page, bool *enough)
{
    const struct visit *v = context;
    const json_t *names = json_object_get(page, "names"), *name;
    int status = EXIT_OK;
    size_t i;

    (void)enough;
    if (!json_is_array(names))
        return client_bad_answer();
    json_array_foreach(names, i, name)
    {
        if (!json_is_string(name))
            return client_bad_answer();
        status = v->visit(v->context, json_string_value(name));
        if (status)
            return status;
    }
    return EXIT_OK;
}

int
names_visit(struct client *client, const char *prefix, names_visitor *visit, void *context)
{
    struct visit v = {prefix, visit, context};
    const struct page_reader reader = {&v, make_target, visit_page};

    return pages_read(client, &reader);
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
