/*
 * Trail reader: audit trails, for auditors. What this node keeps goes out a page at a time to
 * whoever coordinates (TRAIL, TRAILED), and the requests of API clients are put together from the
 * pages of all nodes. Every node decides by itself whether the caller may, and notes that it was
 * asked.
 *
 * A request is one round: each node that is connected is asked once, and reads at most
 * TRAIL_SCANS_MAX * TRAIL_SCAN_ROWS blocks for it; the answer says which nodes gave nothing, and
 * where to go on. So an answer may have few records, or none, and lead on all the same.
 */
#ifndef OSTRAKA_ACTORS_TRAIL_READER_H
#define OSTRAKA_ACTORS_TRAIL_READER_H

#include "actors/actor.h"
#include "actors/membership.h"

enum {
    TRAIL_PAGES_MAX = 8,    /* under way for others; further ones are told to come again */
    TRAIL_SEARCHES_MAX = 8, /* the same for clients */
    TRAIL_SCAN_ROWS = 32,   /* blocks read at once: 16 MiB at most */
    TRAIL_SCANS_MAX = 256,
    TRAIL_WAIT_MS = 4000, /* for nodes that do not answer */
};

/* What somebody has asked this node for. */
struct trail_page {
    bool used;
    uint8_t asker;
    uint64_t op;
    uint64_t turn; /* counts the uses of this place */
    enum trail_matter matter;
    uint64_t node, limit;
    struct audit_position at; /* the next to be read */
    unsigned scans;
    size_t count;
    struct arena memory;
    struct audit_query query; /* in `memory` */
    struct buf items;
};

struct trail_answer {
    bool asked, answered;
    enum refusal refusal;
    struct bytes items; /* in the memory of the search */
    struct audit_position next;
    bool more;
};

/* What a client has asked for. */
struct trail_search {
    bool used;
    uint64_t turn;
    uint64_t exchange;
    const struct request *request; /* borrowed until its answer */
    uint8_t node;                  /* AUDIT_EXPORT: whose trail */
    struct arena memory;
    struct audit_position from[NODES_MAX];
    struct trail_answer answers[NODES_MAX];
};

struct trail_reader {
    struct membership *membership; /* borrowed */
    struct trail_page pages[TRAIL_PAGES_MAX];
    struct trail_search searches[TRAIL_SEARCHES_MAX];
};

void trail_reader_init(struct trail_reader *t, struct membership *membership);
void trail_reader_close(struct trail_reader *t);
/* Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err trail_reader_handle(struct trail_reader *t, const struct step *st,
                                              const struct msg *in, struct effects *out);

/* trail_page.c: TRAIL, and the rows for it. */
MUST_CHECK enum vault_err trail_on_asked(struct trail_reader *t, const struct step *st,
                                         const struct msg *in, struct effects *out);
void trail_on_rows(struct trail_reader *t, const struct step *st, const struct msg_loaded *loaded,
                   struct effects *out);

#endif
