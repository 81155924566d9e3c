#include "runtime/timers.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 64 };

static bool
fires_before(const struct timer *a, const struct timer *b)
{
    return a->due.ns != b->due.ns ? a->due.ns < b->due.ns : a->order < b->order;
}

/* ---- queues ---- */

static struct timer *
queue_at(const struct timer_queue *q, size_t i)
{
    return &q->ring[(q->first + i) & (q->capacity - 1)];
}

static enum vault_err
queue_grow(struct timer_queue *q)
{
    size_t capacity = q->capacity ? q->capacity * 2 : CAPACITY_FIRST;
    struct timer *ring = calloc(capacity, sizeof(*ring));
    if (!ring)
        return ERR_NOMEM;
    for (size_t i = 0; i < q->count; i++)
        ring[i] = *queue_at(q, i);
    free(q->ring);
    *q = (struct timer_queue){.ring = ring, .count = q->count, .capacity = capacity};
    return OK;
}

static enum vault_err
queue_append(struct timer_queue *q, const struct timer *timer)
{
    if (q->count == q->capacity && queue_grow(q) != OK)
        return ERR_NOMEM;
    *queue_at(q, q->count++) = *timer;
    return OK;
}

/*
 * The queue whose last timer is due latest of those that are not due after this one, so that what
 * is due much later stays where only such are; else one that is empty. NULL: none.
 */
static struct timer_queue *
queue_for(struct timers *timers, struct instant due)
{
    struct timer_queue *best = NULL, *empty = NULL;
    uint64_t best_ns = 0;
    for (size_t i = 0; i < TIMER_QUEUES; i++) {
        struct timer_queue *q = &timers->queues[i];
        if (q->count == 0) {
            empty = q;
            continue;
        }
        uint64_t last_ns = queue_at(q, q->count - 1)->due.ns;
        if (last_ns <= due.ns && (!best || last_ns > best_ns)) {
            best = q;
            best_ns = last_ns;
        }
    }
    return best ? best : empty;
}

/* ---- heap ---- */

static void
swap(struct timer *a, struct timer *b)
{
    struct timer t = *a;
    *a = *b;
    *b = t;
}

static enum vault_err
heap_put(struct timers *timers, const struct timer *timer)
{
    if (timers->count == timers->capacity) {
        size_t capacity = timers->capacity ? timers->capacity * 2 : CAPACITY_FIRST;
        struct timer *heap = realloc(timers->heap, capacity * sizeof(*heap));
        if (!heap)
            return ERR_NOMEM;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    size_t i = timers->count++;
    timers->heap[i] = *timer;
    for (; i > 0 && fires_before(&timers->heap[i], &timers->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&timers->heap[i], &timers->heap[(i - 1) / 2]);
    return OK;
}

static void
heap_drop_first(struct timers *timers)
{
    timers->heap[0] = timers->heap[--timers->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < timers->count; child++) {
            if (fires_before(&timers->heap[child], &timers->heap[least]))
                least = child;
        }
        if (least == i)
            return;
        swap(&timers->heap[i], &timers->heap[least]);
        i = least;
    }
}

/* ---- both ---- */

enum vault_err
timers_arm(struct timers *timers, struct instant due, enum actor_id actor, uint64_t tag)
{
    struct timer timer = {due, timers->armed++, actor, tag};
    struct timer_queue *q = queue_for(timers, due);
    return q ? queue_append(q, &timer) : heap_put(timers, &timer);
}

/* The next timer, and the number of its queue; TIMER_QUEUES: it is in the heap. */
static const struct timer *
next_timer(const struct timers *timers, size_t *queue)
{
    const struct timer *next = timers->count > 0 ? &timers->heap[0] : NULL;
    *queue = TIMER_QUEUES;
    for (size_t i = 0; i < TIMER_QUEUES; i++) {
        const struct timer_queue *q = &timers->queues[i];
        if (q->count > 0 && (!next || fires_before(queue_at(q, 0), next))) {
            next = queue_at(q, 0);
            *queue = i;
        }
    }
    return next;
}

bool
timers_pop(struct timers *timers, struct instant now, struct timer *out)
{
    size_t queue;
    const struct timer *next = next_timer(timers, &queue);
    if (!next || instant_before(now, next->due))
        return false;
    *out = *next;
    if (queue == TIMER_QUEUES) {
        heap_drop_first(timers);
        return true;
    }
    struct timer_queue *q = &timers->queues[queue];
    q->first = (q->first + 1) & (q->capacity - 1);
    q->count--;
    return true;
}

bool
timers_next(const struct timers *timers, struct instant *due)
{
    size_t queue;
    const struct timer *next = next_timer(timers, &queue);
    if (!next)
        return false;
    *due = next->due;
    return true;
}

void
timers_close(struct timers *timers)
{
    for (size_t i = 0; i < TIMER_QUEUES; i++)
        free(timers->queues[i].ring);
    free(timers->heap);
    *timers = (struct timers){0};
}
