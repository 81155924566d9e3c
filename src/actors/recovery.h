/*
 * Recovery: how a node whose store was lost, replaced or rolled back becomes a new incarnation and
 * gets back what the others know, and how it helps others to. docs/protocol.md, "Lost and
 * rolled-back stores".
 *
 *   sure ----> behind ----> HANDOVER ----> SHARES ----> sure
 *     standing.h    |  the new     |  enough others   |  nothing handed over is unfinished,
 *     or the runtime|  incarnation |  have handed     |  every own share is here
 *                   |  is durable  |  over everything |
 *
 * The asking side walks the store of each peer page by page (RECOVER, RECOVERED) and hands every
 * version to its own shard store (HANDOVER, HANDED). The helping side holds one page for each asker
 * and no other state: a lost message or the restart of either side costs a page.
 */
#ifndef OSTRAKA_ACTORS_RECOVERY_H
#define OSTRAKA_ACTORS_RECOVERY_H

#include "actors/actor.h"
#include "actors/membership.h"
#include "actors/shard_store.h"

enum {
    RECOVERY_TICK_MS = 50,
    RECOVERY_AGAIN_MS = 400, /* a page that has not come, or was refused, is asked for again */
    RECOVERY_LOOK_MS = 2000, /* between two looks at what is still missing */
    RECOVERY_WINDOW = 8,     /* versions of a page in the hands of the shard store */
};

/* A peer's page in the hands of the asker. */
struct recovery_source {
    struct row_key cursor; /* of the page asked for */
    bool asking;
    struct instant asked;
    struct buf page; /* items and what comes next; size 0: none */
    struct bytes items[RECOVER_PAGE_ROWS];
    size_t count;
    uint32_t sent, merged; /* bit per item */
    struct instant sent_at;
    struct row_key next;
    bool last;
    bool only;            /* it is asked for one path that is in doubt, and not for everything */
    bool unknown;         /* which it cannot tell either */
    struct row_key about; /* the path's key */
};

enum help_stage { HELP_IDLE, HELP_PATH, HELP_VERSION, HELP_DEALING };

/* A page being made for an asker. */
struct recovery_help {
    enum help_stage stage;
    uint64_t turn; /* completions of an older page are void */
    uint64_t incarnation;
    uint8_t store_id[STORE_ID_BYTES];
    struct row_key cursor;        /* that was asked for */
    struct row_key path_key;      /* of the present path, or the last one */
    struct row_key version_after; /* of the present path: the last version row; size 0: none */
    bool only;                    /* nothing after this path is wanted */
    bool names_only;              /* the next path row does not verify: its key alone is read */
    bool any_version;   /* one of the present path has gone into this page or an earlier */
    struct buf row;     /* value of the present path row */
    struct buf version; /* row of the present one */
    struct buf items;   /* encoded, one after the other */
    size_t sizes[RECOVER_PAGE_ROWS];
    size_t count;
};

/* A look at what this node has: unfinished heads, own shares that are missing. */
struct recovery_look {
    bool busy, in_path;
    bool names_only; /* the next path row does not verify: only its key is wanted */
    uint64_t turn;
    struct instant next;
    struct row_key path_key;
    uint64_t version, oldest_version;
    uint64_t destroyed; /* of them the record is enough */
    bool settled;       /* the head is known chosen: nothing below oldest_version is kept */
    uint8_t version_id[ID_BYTES]; /* of the head's version */
    uint64_t unfinished, missing; /* so far in this look */
};

/* For status, metrics and logs. */
struct recovery_progress {
    enum recovery_state state;
    bool behind;          /* about to become a new incarnation */
    bool blocked;         /* more stores are lost than the others can make up for */
    uint64_t incarnation; /* 0: not known yet */
    unsigned peers_complete, peers_needed;
    uint64_t versions, bytes;     /* handed over in this life */
    uint64_t unfinished, missing; /* as the last whole look found */
    unsigned in_doubt;            /* paths: doubts.h */
};

struct recovery {
    struct membership *membership;   /* borrowed */
    struct shard_store *shard_store; /* borrowed */
    uint64_t incarnation;            /* that the sources are about */
    enum recovery_state state;       /* likewise */
    struct recovery_source sources[NODES_MAX];
    struct recovery_help helps[NODES_MAX];
    struct recovery_look look;
    uint64_t turns;
    uint64_t versions, bytes;
    uint64_t unfinished, missing;
    bool blocked_logged;
};

void recovery_init(struct recovery *r, struct membership *membership,
                   struct shard_store *shard_store);
void recovery_close(struct recovery *r);
void recovery_start(struct recovery *r, const struct step *st, struct effects *out);
/* Errors: ERR_UNEXPECTED. */
MUST_CHECK enum vault_err recovery_handle(struct recovery *r, const struct step *st,
                                          const struct msg *in, struct effects *out);
void recovery_report(const struct recovery *r, struct recovery_progress *out);

/* recovery.c */
/* What is kept here is of the present incarnation and state: of another it says nothing. */
bool recovery_is_present(const struct recovery *r);
void recovery_ask(struct recovery *r, const struct step *st, uint8_t peer, struct effects *out);
void recovery_hand_on(struct recovery *r, const struct step *st, uint8_t peer, struct effects *out);
bool recovery_is_due(struct instant now, struct instant since);
/* recovery_doubt.c: paths in doubt, one by one */
bool recovery_must_mend(const struct recovery *r, const struct step *st);
void recovery_ask_about_doubts(struct recovery *r, const struct step *st, struct effects *out);
/* The peer has handed over the path that it was asked for, or cannot tell. */
void recovery_doubt_told(struct recovery *r, const struct step *st, uint8_t peer, bool unknown,
                         const struct row_key *about, struct effects *out);
/* recovery_help.c */
void recovery_on_recover(struct recovery *r, const struct step *st, const struct msg *in,
                         struct effects *out);
void recovery_help_loaded(struct recovery *r, const struct step *st, uint8_t asker,
                          const struct msg_loaded *rows, struct effects *out);
/* recovery_look.c */
void recovery_look_on(struct recovery *r, const struct step *st, struct effects *out);
void recovery_look_loaded(struct recovery *r, const struct step *st, const struct msg_loaded *rows,
                          struct effects *out);

/* Tags of effects: what for, a turn, and which peer. */
enum recovery_tag { RECOVERY_TAG_TICK = 1, RECOVERY_TAG_HELP = 2, RECOVERY_TAG_LOOK = 3 };
static inline uint64_t
recovery_tag(enum recovery_tag what, uint64_t turn, uint8_t peer)
{
    return (uint64_t)what << 56 | (turn & 0xffffffffffff) << 8 | peer;
}

#endif
