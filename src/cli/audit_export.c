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
#include "cli/secret_common.h"

static int
make_target(const char *node, const char *after, struct buf *target)
{
    char separator = '?';
    int status = EXIT_OK;

    *target = (struct buf){0};
    if (buf_append_text(target, "/v1/audit/export") != OK)
        return secret_out_of_memory();
    if (node)
        status = secret_target_parameter(target, &separator, "node", node);
    if (status == EXIT_OK && after)
        status = secret_target_parameter(target, &separator, "after", after);
    return status == EXIT_OK ? secret_target_end(target) : status;
}

static int
take_page(const json_t *page, int fd, char **next)
{
    const json_t *lines = json_object_get(page, "lines"), *more = json_object_get(page, "next");

    *next = NULL;
    if (!json_is_string(lines) || (more && !json_is_string(more)))
        return client_bad_answer();
    if (output_write(fd, bytes_of(json_string_value(lines), json_string_length(lines))) != OK) {
        output_error("the export cannot be written: %s", strerror(errno));
        return EXIT_FAILED;
    }
    if (more)
        *next = strdup(json_string_value(more));
    return more && !*next ? secret_out_of_memory() : EXIT_OK;
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

int
audit_export_trail(struct client *client, const char *node, int fd)
{
    char *after = NULL, *whose = node ? strdup(node) : NULL;
    int status = node && !whose ? secret_out_of_memory() : EXIT_OK;

    if (status)
        return status;
    do {
        struct client_answer answer = {0};
        struct buf target;
        char *next = NULL;

        status = make_target(whose, after, &target);
        if (status == EXIT_OK)
            status = client_call(client, CLIENT_GET, (const char *)target.data, NULL, &answer);
        if (status == EXIT_OK)
            status = take_node(answer.json, &whose);
        if (status == EXIT_OK)
            status = take_page(answer.json, fd, &next);
        buf_close(&target);
        client_answer_close(&answer);
        if (status == EXIT_OK && next && after && strcmp(next, after) == 0)
            status = client_bad_answer();
        free(after);
        after = next;
    } while (status == EXIT_OK && after);
    free(after);
    free(whose);
    return status;
}
