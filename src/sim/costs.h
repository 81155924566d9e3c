/*
 * What requests cost: messages between nodes and storage operations, in worlds without faults, with 3
 * shares among 3, 6 and 9 nodes.
 */
#ifndef OSTRAKA_SIM_COSTS_H
#define OSTRAKA_SIM_COSTS_H

#include "proto/msg.h"

struct effect;

/* Since the start, by node. Upkeep (heartbeats, horizons, the repairer's walks) is left out. */
struct costs {
    uint64_t messages[NODES_MAX]; /* sent to and received from others */
    uint64_t writes[NODES_MAX];   /* batches that had to become durable */
    uint64_t reads[NODES_MAX];    /* LOAD and SCAN */
};

void costs_message(struct costs *costs, unsigned from, unsigned to, const struct msg *msg);
void costs_storage(struct costs *costs, unsigned node, const struct effect *effect);

/* Runs the worlds and prints a table. */
void costs_print(void);

#endif
