/* Lists that the API gives a page at a time. */
#ifndef OSTRAKA_CLI_PAGES_H
#define OSTRAKA_CLI_PAGES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "cli/client.h"

/* Both functions return EXIT_OK, or another exit status having said why. */
struct page_reader {
    void *context;
    /*
     * The target of the page after that one, which is the `next` of the page before; NULL: of the
     * first. The buffer, empty at first, is closed by whoever calls.
     */
    int (*target)(void *context, const char *after, struct buf *out);
    /* Takes a page, which may be empty and lead on all the same. *enough: no other is wanted. */
    int (*take)(void *context, const json_t *page, bool *enough);
};

/* Reads them all, or until there is enough. Returns EXIT_OK, or what ended it, having said why. */
int pages_read(struct client *client, const struct page_reader *reader);

#endif
