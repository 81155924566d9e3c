#include "runtime/timers.h"

#include <stdlib.h>

static bool
fires_before(const struct timer *a, const struct timer *b)
{
    return a->due.ns != b->due.ns ? a->due.ns < b->due.ns : a->order < b->order;
}

static void
swap(struct timer *a, struct timer *b)
{
    struct timer t = *a;
    *a = *b;
    *b = t;
}

enum vault_err
timers_arm(struct timers *timers, struct instant due, enum actor_id actor, uint64_t tag)
{
    if (timers->count == timers->capacity) {
        size_t capacity = timers->capacity ? timers->capacity * 2 : 64;
        struct timer *heap = realloc(timers->heap, capacity * sizeof(*heap));
        if (!heap)
            return ERR_NOMEM;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    size_t i = timers->count++;
    timers->heap[i] = (struct timer){due, timers->armed++, actor, tag};
    for (; i > 0 && fires_before(&timers->heap[i], &timers->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&timers->heap[i], &timers->heap[(i - 1) / 2]);
    return OK;
}

bool
timers_pop(struct timers *timers, struct instant now, struct timer *out)
{
    if (timers->count == 0 || instant_before(now, timers->heap[0].due))
        return false;
    *out = timers->heap[0];
    timers->heap[0] = timers->heap[--timers->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < timers->count; child++) {
            if (fires_before(&timers->heap[child], &timers->heap[least]))
                least = child;
        }
        if (least == i)
            return true;
        swap(&timers->heap[i], &timers->heap[least]);
        i = least;
    }
}

bool
timers_next(const struct timers *timers, struct instant *due)
{
    if (timers->count == 0)
        return false;
    *due = timers->heap[0].due;
    return true;
}

void
timers_close(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}
