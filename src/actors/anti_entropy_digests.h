/*
 * Digests of what this node has, for each peer: of the set of (path, head id, state) of the paths
 * of which both are replicas. An element is hashed to 128 bits and the digest of a set is the sum
 * of its elements, in two lanes of 64 bits, so that it does not depend on their order and a change
 * costs one subtraction and one addition. Sums are kept for each leaf (of path_leaf()), for each
 * range of 256 leaves, and for all.
 *
 * Two different sets have the same sum with a probability of about 2^-128, unless somebody chooses
 * their elements for it: a client cannot, since ids of heads are hashes over random numbers of the
 * coordinator. Nothing here protects against a node that lies; it could as well answer nothing.
 *
 * Memory: 1.05 MB for each peer, however many paths there are, and 200 kB while the digests are
 * being rebuilt.
 *
 * After a start the digests are rebuilt from the path rows, a page at a time, while paths go on
 * changing. Whatever lies at or below `cursor` is counted, and its changes are; what lies above is
 * left to a later page. What changes while a page is on its way is noted, since the page may show
 * what was before. The same where the row of a path had rotted and was replaced.
 *
 * How many secrets each tenant has here is counted along with them (tenant_tally.h).
 */
#ifndef OSTRAKA_ACTORS_ANTI_ENTROPY_DIGESTS_H
#define OSTRAKA_ACTORS_ANTI_ENTROPY_DIGESTS_H

#include "actors/membership.h"
#include "actors/tenant_tally.h"
#include "proto/rows.h"

enum { DIGEST_PAGE_ROWS = 128, DIGEST_NOTES_MAX = 256 };

static_assert(RANGES * RANGE_LEAVES == LEAVES, "every leaf is in a range");

/* What of a path is compared. */
struct head_state {
    enum accepted_state state; /* ABSENT: nothing */
    uint8_t head_id[ID_BYTES];
    bool secret; /* it is a secret, and not deleted; follows from the head, and is not compared */
};

struct digest {
    uint64_t lanes[2];
};

struct peer_digests {
    struct digest all;
    struct digest ranges[RANGES];
    struct digest leaves[LEAVES];
};

/* A path that has changed while a page was on its way. */
struct digest_note {
    struct row_key key; /* of its path row */
    struct head_state now;
    bool met; /* in the page */
};

struct digest_index {
    const struct membership *membership;   /* borrowed */
    struct peer_digests *peers[NODES_MAX]; /* NULL: this node itself, and numbers without a node */
    bool whole;                            /* every path row is counted */
    uint64_t paths;                        /* counted */
    struct row_key cursor;                 /* all rows up to it are counted; size 0: none */
    bool page_asked;
    struct digest_note *notes; /* NULL once whole, or for want of memory */
    size_t note_count;
    bool notes_full;           /* some change was not noted: the page is of no use */
    struct tenant_tally tally; /* of the paths that are counted */
};

/*
 * What the shard store has in memory of a path, which may be newer or older than the row in a page:
 * changes are told from there. False: nothing, and nothing of it is on its way to the disk.
 */
struct digest_lookup {
    const void *context;
    bool (*known)(const void *context, struct path path, struct head_state *out);
};

/* `seed`: of the table of tenants. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err digests_init(struct digest_index *d, const struct membership *membership,
                                       uint64_t seed);
void digests_close(struct digest_index *d);

/* The durable row of a path has changed. */
void digests_change(struct digest_index *d, struct path path, const struct head_state *before,
                    const struct head_state *after);

/*
 * Not everything that was counted is what was there: a path row that had rotted was replaced, or
 * removed, and what it was counted as is not known any more. All rows are counted anew.
 */
void digests_restart(struct digest_index *d);

/* A page of path rows after `cursor` is asked for. */
void digests_page_asked(struct digest_index *d);
/*
 * It has come. False: it has to be asked for again, since too much changed meanwhile. A row that
 * does not decode is left out.
 */
bool digests_page(struct digest_index *d, const struct digest_lookup *lookup,
                  const struct loaded_row *rows, size_t count, bool more);
/* It did not come. */
void digests_page_failed(struct digest_index *d);

/*
 * The digests of a level, for COMPARE: 1 or 256 of DIGEST_BYTES each, written to `out`; how many
 * bytes. `peer` is another node of the cluster.
 */
size_t digests_write(const struct digest_index *d, uint8_t peer, enum compare_level level,
                     unsigned range, uint8_t out[static RANGES * DIGEST_BYTES]);
/*
 * Which of a peer's digests are not ours: a bit for each. False: another number of digests than the
 * level has.
 */
bool digests_differing(const struct digest_index *d, uint8_t peer, enum compare_level level,
                       unsigned range, struct bytes theirs,
                       uint8_t differing[static DIFFERING_BYTES]);

#endif
