/*
 * The trail of one node with what is needed to judge it (audit/export.h), as the node that is asked
 * hands it out, page by page. The heads come first: what they cover must then be there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit_page.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/pages.h"
#include "cli/secret_common.h"

struct export
{
    char *node; /* whose; NULL: of whichever answers first */
    int fd;
    bool missing; /* a node gave no heads, or not all */
};

static int
make_target(void *context, const char *after, struct buf *target)
{
    const struct export *e = context;
    char separator = '?';
    int status = EXIT_OK;

    if (buf_append_text(target, "/v1/audit/export") != OK)
        return secret_out_of_memory();
    if (e->node)
        status = secret_target_parameter(target, &separator, "node", e->node);
    if (status == EXIT_OK && after)
        status = secret_target_parameter(target, &separator, "after", after);
    return status == EXIT_OK ? secret_target_end(target) : status;
}

/* Keeps the name of the node that the first page is about: another address may answer the next. */
static int
take_node(const json_t *page, char **node)
{
    const char *lines = json_string_value(json_object_get(page, "lines"));
    const char *line = lines ? strstr(lines, "\nnode ") : NULL;
    const char *name = line ? strchr(line + strlen("\nnode "), ' ') : NULL;

    if (*node)
        return EXIT_OK;
    if (!name)
        return client_bad_answer();
    *node = strndup(name + 1, strcspn(name + 1, "\n"));
    return *node ? EXIT_OK : secret_out_of_memory();
}

/* A page is of whole lines. */
static bool
tells_of_missing(const char *lines)
{
    return strncmp(lines, "missing ", strlen("missing ")) == 0 || strstr(lines, "\nmissing ");
}

static int
take_page(void *context, const json_t *page, bool *enough)
{
    struct export *e = context;
    const json_t *lines = json_object_get(page, "lines");
    int status = take_node(page, &e->node);

    (void)enough;
    if (status)
        return status;
    if (!json_is_string(lines))
        return client_bad_answer();
    e->missing = e->missing || tells_of_missing(json_string_value(lines));
    if (output_write(e->fd, bytes_of(json_string_value(lines), json_string_length(lines))) == OK)
        return EXIT_OK;
    output_error("the export cannot be written: %s", strerror(errno));
    return EXIT_FAILED;
}

int
audit_export_trail(struct client *client, const char *node, int fd)
{
    struct export e = {.node = node ? strdup(node) : NULL, .fd = fd};
    const struct page_reader reader = {&e, make_target, take_page};
    int status = node && !e.node ? secret_out_of_memory() : pages_read(client, &reader);

    free(e.node);
    if (status != EXIT_OK || !e.missing)
        return status;
    output_error("some nodes did not give the heads that they keep of this trail");
    output_hint("the trail is there, whole, and less of it is proven; see with `ostraka status` "
                "which nodes are away, and export it again when they are back");
    return EXIT_UNAVAILABLE;
}
