/* The rare branches that actors take at the seed's will (actors/maybe.h), and how often each did. */
#ifndef OSTRAKA_SIM_SITES_H
#define OSTRAKA_SIM_SITES_H

#include "actors/maybe.h"
#include "sim/prng.h"

struct sites {
    struct prng prng;
    unsigned per_mille[MAYBE_SITE_COUNT]; /* 0: this seed leaves it alone */
    uint64_t struck[MAYBE_SITE_COUNT];
};

struct world;

const char *site_name(enum maybe_site site);
const char *site_text(enum maybe_site site);
void sites_draw(struct world *world);

#endif
