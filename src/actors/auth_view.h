/*
 * Every identity record that this node keeps, in memory: what it decides by, without a look at the
 * disk. Written by the shard store as heads become durable, read by whoever must know what a caller
 * may do. Only heads that are known chosen count; that the newest are here is what the lease is
 * about (lease.h).
 *
 * For the lease it also keeps digests of which heads are accepted here, in RECORD_GROUPS groups of
 * paths: equal digests say that two nodes have the same heads of a group.
 *
 * Of what may be forgotten (sweep.h) nothing is left here but the path, until its row is gone from
 * the disk too.
 *
 * After a start it is rebuilt from the rows of table 'i' (records.h); until then it is not whole.
 * Bounded: what does not fit makes it useless rather than wrong, so that this node serves nobody.
 */
#ifndef OSTRAKA_ACTORS_AUTH_VIEW_H
#define OSTRAKA_ACTORS_AUTH_VIEW_H

#include "actors/path_map.h"
#include "auth/known_tickets.h"
#include "auth/policy_index.h"
#include "auth/verified.h"
#include "proto/msg.h"
#include "proto/record_path.h"
#include "proto/rows.h"

enum {
    AUTH_RECORDS_MAX = 100000,            /* deleted ones included: they are kept */
    AUTH_BYTES_MAX = 64 * 1024 * 1024,    /* of values */
    AUTH_RECORDS_RESERVE = 1000,          /* no new ones when only so many more would fit */
    AUTH_BYTES_RESERVE = 4 * 1024 * 1024, /* and so many bytes */
    AUTH_LOGIN_RECORDS_MAX = 80000,       /* no more logins beyond: the rest is for operators */
    GROUP_DIGESTS_KEPT = 8,               /* of a group, the last ones before the present */
    AUTH_FORGET_MAX = 4096,               /* records that are forgotten at once */
};

/* What has been said of a list of revoked certificates since it came (list_watch.h). */
enum list_told { LIST_TOLD_NOTHING, LIST_TOLD_SOON, LIST_TOLD_OVERDUE };

struct auth_record {
    struct path_link link; /* first */
    uint8_t accepted_id[ID_BYTES];
    enum accepted_state state; /* of that head */
    /* The newest head known chosen; none: all that follows is zero. */
    bool chosen;
    uint8_t chosen_id[ID_BYTES];
    uint64_t generation;
    uint64_t version;
    uint64_t changed_at_ms;
    struct buf value;           /* empty: deleted */
    struct policy_index *index; /* of a policy's value; NULL: none, or it is something else */
    /* Of the accepted head, for the sweep. */
    struct ballot ballot;
    uint64_t forget_after_ms;      /* 0: never */
    bool forgotten;                /* all of the above but these two is zero; its row is to go */
    bool dropping;                 /* and is on its way out */
    uint8_t list_told;             /* enum list_told */
    struct auth_record *list_next; /* of those that are lists of revoked certificates */
};

struct group_digest {
    uint8_t bytes[RECORD_DIGEST_BYTES];
};

struct record_group {
    uint64_t accepted[2], chosen[2];                /* sums over the paths of the group */
    struct group_digest before[GROUP_DIGESTS_KEPT]; /* of chosen heads, newest first */
    uint64_t unsettled; /* records whose accepted head is not known chosen */
};

struct auth_view {
    struct path_map records; /* struct auth_record */
    struct record_group groups[RECORD_GROUPS];
    struct auth_record *lists; /* of revoked certificates, deleted ones too */
    size_t value_bytes;
    size_t forgotten_count;
    uint64_t forgotten_ms;         /* what may be forgotten before that, is */
    bool whole;                    /* everything in the store is here */
    struct verified verified;      /* tokens of issuers that are records here */
    struct known_tickets *tickets; /* that are records here, and were presented; NULL: none */
    bool broken;                   /* something did not fit: nothing is decided by it any more */
    struct admin_seen {
        uint8_t key[SHORT_HASH_BYTES];      /* random, of this life */
        uint8_t tag[SHORT_HASH_WIDE_BYTES]; /* of the bootstrap token, once it was presented */
        bool keyed;                         /* there are keys */
        bool known;
    } admin;
};

/* Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err auth_view_init(struct auth_view *view, uint64_t seed);
void auth_view_close(struct auth_view *view);

/* The durable row of that record has become this one. */
void auth_view_set(struct auth_view *view, struct path path, const struct path_row *row);
/* It was this one when it was read: what has been set since is newer. */
void auth_view_load(struct auth_view *view, struct path path, const struct path_row *row);

/*
 * The record as it was last known chosen, or NULL: there is none, or it is deleted. Valid until the
 * next change. Decide by it only while lease_is_valid().
 */
const struct auth_record *auth_view_get(const struct auth_view *view, struct bytes tenant,
                                        struct bytes kind, struct bytes key);
/* There was one, which has been deleted. */
bool auth_view_was_deleted(const struct auth_view *view, struct bytes tenant, struct bytes kind,
                           struct bytes key);
bool auth_view_was_deleted_at(const struct auth_view *view, struct path path);
/* The same as auth_view_get, by path. */
const struct auth_record *auth_view_find(const struct auth_view *view, struct path path);
/*
 * Up to `max` records of that kind with keys above `after`, by key. How many; *more: there are
 * others.
 */
size_t auth_view_list(const struct auth_view *view, struct bytes tenant, struct bytes kind,
                      struct bytes after, const struct auth_record **out, size_t max, bool *more);
/* One more record, or value, of that size may be made. */
bool auth_view_has_room(const struct auth_view *view, size_t value_size);
/*
 * From now on everything is forgotten that may be before that time. Each record of which the
 * digests of paths knew something is told to `tell`, as it was. How many.
 */
struct auth_forget_tell {
    void *context;
    void (*forgotten)(void *context, const struct auth_record *record);
};
size_t auth_view_forget(struct auth_view *view, uint64_t before_ms,
                        const struct auth_forget_tell *tell);
/*
 * The earliest time before which `max` records, or all that there are up to `limit_ms`, may be
 * forgotten; 0: none may. `max` <= AUTH_FORGET_MAX. *count: how many.
 */
uint64_t auth_view_forgettable(const struct auth_view *view, uint64_t limit_ms, size_t max,
                               size_t *count);
/* Forgotten records whose rows are still there and not on their way out: up to `max`. */
size_t auth_view_forgotten(const struct auth_view *view, struct auth_record **out, size_t max);
/* The row of that path is gone, or could not be removed. */
void auth_view_dropped(struct auth_view *view, struct path path, bool gone);
/* Its row is on its way out. */
bool auth_view_is_dropping(const struct auth_view *view, struct path path);

/* One more token may be made by a login. */
bool auth_view_has_room_for_login(const struct auth_view *view);

/* Of what is accepted here: RECORD_GROUPS digests. */
void auth_view_digests(const struct auth_view *view, uint8_t out[static RECORD_DIGESTS_BYTES]);
/*
 * Whoever had these heads accepted in that group: all of them, or later ones, are known chosen here,
 * and nothing here is unsettled.
 */
bool auth_view_covers(const struct auth_view *view, unsigned group,
                      const uint8_t digest[static RECORD_DIGEST_BYTES]);

#endif
