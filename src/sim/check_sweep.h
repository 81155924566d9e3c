/*
 * Property "sweep": the time of the sweep only goes forward; no node forgets before a time that has
 * not been chosen; what it has forgotten is not stored there again; and nothing but what may be
 * forgotten by then goes from its disk.
 */
#ifndef OSTRAKA_SIM_CHECK_SWEEP_H
#define OSTRAKA_SIM_CHECK_SWEEP_H

#include "actors/sweep.h"
#include "sim/check_chain.h"

/* The time that a head of the record of the sweep holds; 0: it is another one. */
uint64_t check_sweep_time(const struct head *head);
void check_sweep_chosen(struct check_chain *check, const struct chosen_head *head);
/*
 * A head that may be forgotten by a time that has been chosen: nothing is decided by it any more.
 */
bool check_sweep_is_over(const struct check_chain *check, const struct chosen_head *head);
/* Everything that the path ever had is forgotten at that node. */
bool check_sweep_forgotten(const struct check_chain *check, unsigned node, struct path path);
/* What has become durable at a node: a head, the node's own facts, that a row is gone. */
void check_sweep_put(struct check_chain *check, unsigned node, const struct head *head,
                     const struct chosen_head *seen);
void check_sweep_node(struct check_chain *check, unsigned node, const struct node_row *row);
void check_sweep_gone(struct check_chain *check, unsigned node, struct bytes key);

#endif
