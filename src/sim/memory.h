/* Memory of the simulator itself: zeroed, and without it nothing can go on. */
#ifndef OSTRAKA_SIM_MEMORY_H
#define OSTRAKA_SIM_MEMORY_H

#include "check/memory.h"

static inline void *
sim_resize(void *memory, size_t size)
{
    return check_resize(memory, size);
}

static inline void *
sim_alloc(size_t size)
{
    return check_alloc(size);
}

#endif
