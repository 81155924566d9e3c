/*
 * Property: what an answer calls shredded is gone from everywhere. This checker keeps every own share and every boxed share that was
 * ever handed to any disk, be it in a page that no longer counts, and at such an answer tries all keys that exist: those in the
 * memory of the nodes and those in their files. They must open fewer than k shares of each version that was deleted.
 */
#ifndef OSTRAKA_SIM_CHECK_SHRED_H
#define OSTRAKA_SIM_CHECK_SHRED_H

#include "proto/rows.h"
#include "store/store.h"

struct world;
struct op;
struct written_version;

enum { SHRED_LISTS = 1024 };

struct check_shred {
    struct world *world;
    struct written_version *lists[SHRED_LISTS]; /* by the beginning of the version's id */
    uint64_t answers;                           /* that said shredded */
};

void check_shred_init(struct check_shred *check, struct world *world);
void check_shred_close(struct check_shred *check);
/* A change on its way to the disk of `node`. */
void check_shred_written(struct check_shred *check, unsigned node,
                         const struct store_change *change);
/*
 * Property: own shares that are durable can be opened with what the file of bucket keys has. A row that has become durable; and a
 * file that has just been replaced.
 */
void check_shred_row(struct check_shred *check, unsigned node, struct bytes key,
                     struct bytes value);
void check_shred_file(struct check_shred *check, unsigned node);
/* An answer to a delete, or about a deletion. */
void check_shred_answer(struct check_shred *check, const struct op *op);

#endif
