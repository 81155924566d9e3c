/* Names of secrets, page by page. */
#ifndef OSTRAKA_CLI_NAMES_H
#define OSTRAKA_CLI_NAMES_H

#include "cli/client.h"

/* Called with each name in the order of their bytes; another status than EXIT_OK ends it. */
typedef int names_visitor(void *context, const char *name);

/*
 * All names that begin with `prefix` (NULL: all). Returns EXIT_OK, or another exit status having
 * said why.
 */
int names_visit(struct client *client, const char *prefix, names_visitor *visit, void *context);
/* The same as a JSON array of texts, to be freed; NULL on error. */
int names_collect(struct client *client, const char *prefix, json_t **out);

#endif
