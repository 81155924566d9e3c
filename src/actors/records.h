/*
 * Rebuilds the view of identity records (auth_view.h) from the store after a start: the rows of
 * table 'i' a page at a time, and the path row of each. A page that cannot be read is read again;
 * until the last one the node has no lease and serves nobody by these records.
 */
#ifndef OSTRAKA_ACTORS_RECORDS_H
#define OSTRAKA_ACTORS_RECORDS_H

#include "actors/actor.h"
#include "actors/auth_view.h"

enum { RECORDS_PAGE = LOAD_KEYS_MAX, RECORDS_RETRY_MS = 1000 };

struct records {
    struct auth_view *view; /* borrowed */
    struct row_key after;   /* last key of the page before; size 0: from the first */
    struct row_key last;    /* of the page that is being loaded */
    bool more;              /* pages after it */
};

void records_init(struct records *r, struct auth_view *view);
void records_start(struct records *r, const struct step *st, struct effects *out);
/* Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err records_handle(struct records *r, const struct step *st,
                                         const struct msg *in, struct effects *out);

#endif
