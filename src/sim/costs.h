/*
 * What requests cost: messages between nodes, their bytes, and storage operations, in worlds without
 * faults.
 */
#ifndef OSTRAKA_SIM_COSTS_H
#define OSTRAKA_SIM_COSTS_H

#include "proto/msg.h"
#include "proto/request.h"

struct effect;
struct world;

/*
 * Since the start. Messages that are about no path are upkeep: heartbeats, comparisons of digests,
 * heads of audit trails. So are horizons, and what is read and written by actors that work on their
 * own. Audit trails are counted by themselves: under load one block holds the records of many
 * requests.
 */
struct costs {
    uint64_t messages[NODES_MAX]; /* sent to and received from others */
    uint64_t writes[NODES_MAX];   /* batches that had to become durable */
    uint64_t reads[NODES_MAX];    /* LOAD and SCAN */
    uint64_t bytes, write_bytes;  /* of the messages; of keys and values in the batches */
    uint64_t write_rows;          /* changes in the batches */
    uint64_t upkeep_messages, upkeep_bytes;
    uint64_t audit_writes, audit_bytes;
};

/* `size` bytes: without what the link adds to each. */
void costs_message(struct costs *costs, unsigned from, unsigned to, const struct msg *msg,
                   size_t size);
void costs_storage(struct costs *costs, unsigned node, const struct effect *effect);

enum { COST_PATHS = 180, COST_LONG_PATHS = 6, COST_SETTLE_MS = 3000 };

/* Simulated time passes, without requests. */
void costs_run_ms(struct world *world, uint64_t ms);
/*
 * One request for each of the first so many paths, at one node after the other. What is done in
 * here is what tests/costs counts the instructions of, from call to return.
 */
void costs_run_kind(struct world *world, enum request_kind kind, unsigned paths);
/* Updates those paths until they have as many versions as are kept. */
void costs_lengthen(struct world *world, unsigned paths);

/* Runs worlds of 3, 6 and 9 nodes with 3 shares, and prints a table. */
void costs_print(void);
/*
 * costs_growth.c: the same for 3 to COST_NODES_MAX nodes, with 3 shares and with as many as there
 * may be, as JSON. Clusters of more nodes than the program knows are left out: ostraka-sim-wide
 * knows them all.
 */
enum { COST_NODES_MAX = 30 };
void costs_print_growth(unsigned nodes); /* 0: all of them; else clusters of so many nodes */

#endif
