/* What a seed decides about its world before anything happens. */
#ifndef OSTRAKA_SIM_OPTIONS_H
#define OSTRAKA_SIM_OPTIONS_H

#include <stdio.h>

struct world;

extern const char sim_token[];

void options_draw(struct world *world);
void options_print(const struct world *world, FILE *out);

#endif
