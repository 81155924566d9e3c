/*
 * Lister: what this node keeps of the names of a tenant, a page at a time, for whoever coordinates
 * a list (messages SCAN and SCANNED; docs/protocol.md, "Listing"). The names come from the table
 * 'l', which is in their order, and what is there from the rows of the paths.
 *
 * A store that an older release wrote has no table 'l': after a start it is filled from the table
 * 'p', once, and until then no SCAN is answered.
 */
#ifndef OSTRAKA_ACTORS_LISTER_H
#define OSTRAKA_ACTORS_LISTER_H

#include "actors/actor.h"
#include "actors/membership.h"
#include "actors/shard_store.h"
#include "proto/names.h"

enum {
    LISTER_PAGES_MAX = 16, /* under way; further ones are told to come again */
    LISTER_FILL_ROWS = 128,
    LISTER_RETRY_MS = 1000,
};

/* A page under way. */
struct lister_page {
    bool used;
    uint8_t asker;
    uint64_t op;
    uint64_t turn; /* counts the uses of this place */
    struct arena memory;
    struct bytes tenant, credential, prefix;
    struct bytes begin, until; /* names behind the one, up to the other; empty: all there are */
    struct listed_name *names; /* PAGE_NAMES_MAX */
    bool *missing;             /* of each: it is not there after all */
    size_t count, loaded;
};

struct lister {
    const struct membership *membership; /* borrowed */
    struct shard_store *shard_store;     /* borrowed */
    bool whole;                          /* the table 'l' has every name */
    struct row_key filled;               /* key of the last 'p' row seen; size 0: none */
    bool filled_all;
    struct lister_page pages[LISTER_PAGES_MAX];
};

void lister_init(struct lister *l, const struct membership *membership,
                 struct shard_store *shard_store);
void lister_close(struct lister *l);
void lister_start(struct lister *l, const struct step *st, struct effects *out);
/* Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err lister_handle(struct lister *l, const struct step *st,
                                        const struct msg *in, struct effects *out);

#endif
