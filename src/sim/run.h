/* One seed from beginning to end. Ends the process when a property is broken. */
#ifndef OSTRAKA_SIM_RUN_H
#define OSTRAKA_SIM_RUN_H

#include "sim/world.h"

/* What a run tells whoever started many of them. */
struct sim_result {
    uint64_t seed;
    uint64_t hash;
    uint64_t operations, steps, frames, simulated_ms, heads, groups, shredded;
    uint64_t by_outcome[OP_OPEN + 1];
    uint64_t struck[FAULTS];
    uint64_t sites_struck[MAYBE_SITE_COUNT];
    bool window;    /* ended where a store went back and nobody that was asked remembers */
    bool undecided; /* the search for a linear order was given up */
};

void run_seed(const struct sim_options *options, struct sim_result *result);

#endif
