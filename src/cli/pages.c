#include "cli/pages.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/secret_common.h"

/* *next is the page's `next`, to be freed, or NULL. The same once more would lead in a circle. */
static int
take_next(const json_t *page, const char *after, char **next)
{
    const json_t *more = json_object_get(page, "next");

    if (!more || json_is_null(more))
        return EXIT_OK;
    if (!json_is_string(more) || (after && strcmp(json_string_value(more), after) == 0))
        return client_bad_answer();
    *next = strdup(json_string_value(more));
    return *next ? EXIT_OK : secret_out_of_memory();
}

static int
read_page(struct client *client, const struct page_reader *reader, const char *after, char **next)
{
    struct client_answer answer = {0};
    struct buf target = {0};
    bool enough = false;
    int status = reader->target(reader->context, after, &target);

    if (status == EXIT_OK)
        status = client_call(client, CLIENT_GET, (const char *)target.data, NULL, &answer);
    if (status == EXIT_OK)
        status = reader->take(reader->context, answer.json, &enough);
    if (status == EXIT_OK && !enough)
        status = take_next(answer.json, after, next);
    buf_close(&target);
    client_answer_close(&answer);
    return status;
}

int
pages_read(struct client *client, const struct page_reader *reader)
{
    char *after = NULL;
    int status;

    do {
        char *next = NULL;

        status = read_page(client, reader, after, &next);
        free(after);
        after = next;
    } while (status == EXIT_OK && after);
    free(after);
    return status;
}
