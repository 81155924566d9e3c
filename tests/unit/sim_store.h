/*
 * The simulator's disk behind the interface of a store, so that it is held to the same contract.
 * Readers see what is committed; whatever is committed next makes what was before it durable, which
 * the contract allows.
 */
#ifndef OSTRAKA_TESTS_SIM_STORE_H
#define OSTRAKA_TESTS_SIM_STORE_H

#include "store/store.h"

struct store *sim_store_new(void);
/* As store_mem_crash. */
void sim_store_crash(struct store *store);

#endif
