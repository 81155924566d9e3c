/* Properties of batches; see check_batch.c. */
#ifndef OSTRAKA_SIM_CHECK_BATCH_H
#define OSTRAKA_SIM_CHECK_BATCH_H

struct world;

/*
 * Finds out when a value of each batch was first read: all of its members exist then. Before
 * check_linear, which demands it.
 */
void check_batch_evidence(struct world *world);
/* Fails unless there was a moment for each batch that was read. */
void check_batch_reads(struct world *world);

#endif
