/* Records of the audit trails of all nodes, page by page. */
#ifndef OSTRAKA_CLI_AUDIT_PAGE_H
#define OSTRAKA_CLI_AUDIT_PAGE_H

#include "cli/client.h"

/* What is looked for; NULL: any. */
struct audit_filter {
    const char *from, *to, *identity, *name, *request_id;
    uint64_t limit; /* 0: all */
};
#define AUDIT_FILTER_SPECS(filter)                                                                 \
    {.name = "--from", .text = &(filter)->from}, {.name = "--to", .text = &(filter)->to},          \
        {.name = "--identity", .text = &(filter)->identity},                                       \
        {.name = "--name", .text = &(filter)->name},                                               \
        {.name = "--request-id", .text = &(filter)->request_id},                                   \
    {                                                                                              \
        .name = "--limit", .number = &(filter)->limit                                              \
    }

/* Called with each record, an object; another status than EXIT_OK ends it. */
typedef int audit_visitor(void *context, const json_t *record);

/*
 * Records in the order of their time. Returns EXIT_OK; EXIT_UNAVAILABLE having said which nodes gave
 * none of theirs; or another exit status having said why.
 */
int audit_visit(struct client *client, const struct audit_filter *filter, audit_visitor *visit,
                void *context);
/* A text of the record, or "". */
const char *audit_text_of(const json_t *record, const char *key);

/* audit_export.c: the provable trail of a node (NULL: of the one that answers) to a file. */
int audit_export_trail(struct client *client, const char *node, int fd);

#endif
