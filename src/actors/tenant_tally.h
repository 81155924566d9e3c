/*
 * How many secrets of each tenant this node holds, deleted ones and versions not counted, and which
 * of them are being created: what a limit of secrets is kept by. There is no counter that nodes
 * agree about: whoever votes on a creation goes by its own tally.
 *
 * Where every node holds every secret, the tally is the number itself, but for changes that have
 * not come here yet. Where a secret is on n of N nodes, a node holds n/N of them, more or less: it
 * refuses from so many on that a tenant below its limit is as good as never refused, so there may
 * be more than the limit says by about 3 sqrt(limit (N - n) / n) + N/n.
 *
 * The tally is kept up, and after a start rebuilt, along with the digests of all paths
 * (anti_entropy_digests.h). Until it is whole, nothing is refused by it. Bounded: one entry for each
 * tenant that has secrets here.
 */
#ifndef OSTRAKA_ACTORS_TENANT_TALLY_H
#define OSTRAKA_ACTORS_TENANT_TALLY_H

#include "actors/path_map.h"
#include "base/instant.h"
#include "crypto/hash.h"

enum {
    CREATIONS_MAX = 1024,   /* remembered as being under way; the oldest are forgotten first */
    CREATION_MS_MAX = 2000, /* from the vote to its write; what takes longer is not counted on */
};

struct tally_entry {
    struct path_link link; /* first; the tenant, without a name */
    uint64_t secrets;
};

/* A vote for a new secret, whose write has not come. */
struct creation {
    uint8_t path[16]; /* hash; all zero: none */
    uint8_t tenant[16];
    struct instant voted;
};

struct tenant_tally {
    struct path_map tenants; /* struct tally_entry */
    bool broken;             /* no memory for some of it: nothing is decided by it any more */
    unsigned next;           /* creation to be overwritten */
    unsigned remembered;     /* creations that are there, over or not */
    struct creation creations[CREATIONS_MAX];
};

/* Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err tenant_tally_init(struct tenant_tally *tally, uint64_t seed);
void tenant_tally_close(struct tenant_tally *tally);

/* There are none of any tenant. */
void tenant_tally_restart(struct tenant_tally *tally);
/* One secret of that tenant more, or one less. */
void tenant_tally_add(struct tenant_tally *tally, struct bytes tenant);
void tenant_tally_remove(struct tenant_tally *tally, struct bytes tenant);
uint64_t tenant_tally_count(const struct tenant_tally *tally, struct bytes tenant);
/* The same counts of the same tenants. */
bool tenant_tally_equal(const struct tenant_tally *a, const struct tenant_tally *b);

/* From how many on a node refuses, with a limit of that and a secret being on n of N nodes. */
uint64_t tenant_tally_bound(uint64_t limit, unsigned shares, unsigned nodes);
/*
 * One more secret fits below `bound`, with those that are under way; then it is under way itself,
 * until it is here or its time is over.
 */
bool tenant_tally_take(struct tenant_tally *tally, struct path path, uint64_t bound,
                       struct instant now);
/* It is here now. */
void tenant_tally_made(struct tenant_tally *tally, struct path path);

#endif
