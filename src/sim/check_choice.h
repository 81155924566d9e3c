/*
 * Property "choice": nobody decides more than majorities of the stores that are there have given. A
 * WRITE leaves only with votes of a majority, each given by the incarnation that the WRITE names;
 * what is called chosen has been accepted by a majority whose acceptances count together; what
 * votes of a lost store were used for binds the next one; and whatever is accepted at a ballot
 * above that of a chosen head is that head or built on it. So a mistake shows where it is made,
 * whether or not two clients come to see different answers of it.
 */
#ifndef OSTRAKA_SIM_CHECK_CHOICE_H
#define OSTRAKA_SIM_CHECK_CHOICE_H

#include "sim/check_chain.h"

/* A frame leaves `from`: votes are noted, WRITE and CHOSEN are held against what is known. */
void check_choice_frame(struct check_chain *check, unsigned from, const struct msg *msg);

/*
 * `node` has durably accepted that head, of whose path that many replicas are a majority. True: by
 * now it is chosen at that ballot.
 */
bool check_choice_accepted(struct world *world, struct accepted_head *head, unsigned node,
                           unsigned majority);

/* Somebody's row says that the head is chosen. */
void check_choice_claimed(const struct check_chain *check, const struct checked_path *p,
                          unsigned node, const uint8_t head_id[static ID_BYTES]);

/* A head becomes known as accepted, or as chosen at that ballot. */
void check_choice_built(const struct check_chain *check, const struct checked_path *p,
                        const struct accepted_head *accepted);
void check_choice_chosen(const struct check_chain *check, const struct checked_path *p,
                         const struct chosen_head *chosen);

#endif
