/* Memory of programs that judge: zeroed, and without it nothing can go on. */
#ifndef OSTRAKA_CHECK_MEMORY_H
#define OSTRAKA_CHECK_MEMORY_H

#include <stdlib.h>

static inline void *
check_resize(void *memory, size_t size)
{
    void *more = realloc(memory, size ? size : 1);
    if (!more)
        abort();
    return more;
}

static inline void *
check_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

#endif
