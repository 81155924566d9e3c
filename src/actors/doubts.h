/*
 * Paths in doubt: those of which this store may have forgotten what it accepted, while it is sure
 * of all others. Either the row of the path has rotted here, or this is a new incarnation to which
 * one of the others could not hand the path over, because the row had rotted there.
 *
 *   noticed ----> durable ----> gone
 *     a row that    |  'q' row,    |  enough other replicas have handed over what they have of
 *     does not      |  in one batch|  the path, to this incarnation
 *     verify        |  with the new|
 *                   |  incarnation |
 *
 * Nothing is promised, accepted or answered about such a path. docs/protocol.md, "Paths in doubt".
 */
#ifndef OSTRAKA_ACTORS_DOUBTS_H
#define OSTRAKA_ACTORS_DOUBTS_H

#include "base/instant.h"
#include "proto/cluster.h"
#include "proto/rows.h"

enum {
    DOUBTS_MAX = 64,            /* more: the whole store counts as lost */
    DOUBT_AGAIN_MS = 2000,      /* before the same replica is asked about the same path again */
    DAMAGE_GATHER_MS = 1000,    /* for more of it, before the store becomes a new incarnation */
    DOUBTS_LOOK_AGAIN_MS = 500, /* when the table could not be read at the start */
};

struct doubt {
    bool used;
    bool durable; /* its row is on disk */
    bool damaged; /* the path's own row does not verify here */
    bool mending; /* its row is on its way to the disk, with a new incarnation */
    struct buf name;
    size_t tenant_size;
    struct instant noticed;
    uint64_t told; /* bit per replica: has handed over what it has of the path */
    struct instant asked[NODES_MAX];
};

struct doubts {
    struct doubt of[DOUBTS_MAX];
    unsigned count;
    bool known;    /* the table has been read since the start */
    bool too_many; /* some had no room */
};

void doubts_close(struct doubts *d);
/* Borrowed from the doubt. */
struct path doubt_path(const struct doubt *doubt);
/* NULL: none. */
struct doubt *doubts_find(struct doubts *d, struct path path);
/* The one that is there, or a new one. NULL: no memory, or no room; then too_many is set. */
struct doubt *doubts_add(struct doubts *d, struct path path, struct instant now);
void doubts_remove(struct doubts *d, struct doubt *doubt);
/*
 * Enough other replicas, n-m+1, have handed the path over: among them is one that took part in
 * whatever was chosen with a vote of this node.
 */
bool doubt_is_settled(const struct doubt *doubt, const struct cluster *cluster);
/* Damage that was noticed a while ago, or for which there is no room, waits to be mended. */
bool doubts_to_be_mended(const struct doubts *d, struct instant now);

#endif
