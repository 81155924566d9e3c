/* Memory of the simulator itself: zeroed, and without it nothing can go on. */
#ifndef OSTRAKA_SIM_MEMORY_H
#define OSTRAKA_SIM_MEMORY_H

#include <stdlib.h>

static inline void *
sim_resize(void *memory, size_t size)
{
    void *more = realloc(memory, size ? size : 1);
    if (!more)
        abort();
    return more;
}

static inline void *
sim_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

#endif
