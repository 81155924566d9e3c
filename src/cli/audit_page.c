#include "cli/audit_page.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/name_list.h"
#include "cli/output.h"
#include "cli/pages.h"
#include "cli/secret_common.h"

enum { MISSING_TEXT_BYTES = NODES_MAX * (NODE_NAME_BYTES_MAX + 2) };

struct visit {
    const struct audit_filter *filter;
    audit_visitor *visit;
    void *context;
    uint64_t count;
    char missing[MISSING_TEXT_BYTES + 1]; /* names of nodes */
};

const char *
audit_text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));

    return text ? text : "";
}

static int
make_target(void *context, const char *after, struct buf *target)
{
    const struct visit *v = context;
    const struct audit_filter *f = v->filter;
    const char *const pairs[][2] = {{"from", f->from},
                                    {"to", f->to},
                                    {"identity", f->identity},
                                    {"name", f->name},
                                    {"request_id", f->request_id},
                                    {"after", after}};
    uint64_t left = f->limit ? f->limit - v->count : PAGE_MAX;
    char number[24], separator = '?';
    int status;

    if (buf_append_text(target, "/v1/audit") != OK)
        return secret_out_of_memory();
    snprintf(number, sizeof number, "%" PRIu64, left < PAGE_MAX ? left : (uint64_t)PAGE_MAX);
    status = secret_target_parameter(target, &separator, "limit", number);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && status == EXIT_OK; i++) {
        if (pairs[i][1])
            status = secret_target_parameter(target, &separator, pairs[i][0], pairs[i][1]);
    }
    return status == EXIT_OK ? secret_target_end(target) : status;
}

static int
visit_page(void *context, const json_t *page, bool *enough)
{
    struct visit *v = context;
    const json_t *records = json_object_get(page, "records"), *record, *name;
    const json_t *missing = json_object_get(page, "missing");
    int status = EXIT_OK;
    size_t i;

    if (!json_is_array(records) || !json_is_array(missing))
        return client_bad_answer();
    json_array_foreach(missing, i, name)
    {
        if (json_is_string(name))
            name_list_add(v->missing, sizeof v->missing, json_string_value(name));
    }
    json_array_foreach(records, i, record)
    {
        if (!json_is_object(record))
            return client_bad_answer();
        v->count++;
        status = v->visit(v->context, record);
        if (status)
            return status;
    }
    *enough = v->filter->limit && v->count >= v->filter->limit;
    return EXIT_OK;
}

static int
report_missing(const struct visit *v)
{
    if (!v->missing[0])
        return EXIT_OK;
    output_error("these nodes did not give their records: %s", v->missing);
    output_hint("what others say of them is above; ask again when they are there");
    return EXIT_UNAVAILABLE;
}

int
audit_visit(struct client *client, const struct audit_filter *filter, audit_visitor *visit,
            void *context)
{
    struct visit v = {.filter = filter, .visit = visit, .context = context};
    const struct page_reader reader = {&v, make_target, visit_page};
    int status = pages_read(client, &reader);

    return status == EXIT_OK ? report_missing(&v) : status;
}
