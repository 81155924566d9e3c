/* Events in order of time, and the dice that decide about everything. */
#include <stdlib.h>
#include <string.h>

#include "actor_cluster_internal.h"

void
ac_require(bool condition, const char *what)
{
    if (!condition)
        checks_fail("%s", what);
}

void *
ac_need(void *memory)
{
    ac_require(memory != NULL, "out of memory");
    return memory;
}

/* ---- dice ---- */

uint64_t
ac_dice(struct actor_cluster *ac, uint64_t bound)
{
    uint64_t value = 0;
    ac_require(rng_below(&ac->dice, bound, &value) == OK, "seeded generator");
    return value;
}

uint64_t
ac_between_ns(struct actor_cluster *ac, uint64_t min_us, uint64_t max_us)
{
    return (min_us + ac_dice(ac, max_us - min_us + 1)) * 1000;
}

void
ac_trace(struct actor_cluster *ac, uint64_t a, uint64_t b)
{
    ac->trace = (ac->trace ^ a) * UINT64_C(0x9e3779b97f4a7c15);
    ac->trace = ((ac->trace ^ b) << 7 | (ac->trace ^ b) >> 57) * UINT64_C(0x100000001b3);
}

/* ---- heap of events, by time and then by order of arming ---- */

static bool
earlier(const struct ac_event *a, const struct ac_event *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

void
ac_event_push(struct actor_cluster *ac, struct ac_event *event)
{
    if (ac->heap_size == ac->heap_capacity) {
        ac->heap_capacity = ac->heap_capacity * 2 + 64;
        ac->heap = ac_need(realloc(ac->heap, ac->heap_capacity * sizeof(struct ac_event *)));
    }
    size_t i = ac->heap_size++;
    for (; i > 0 && earlier(event, ac->heap[(i - 1) / 2]); i = (i - 1) / 2)
        ac->heap[i] = ac->heap[(i - 1) / 2];
    ac->heap[i] = event;
}

struct ac_event *
ac_event_pop(struct actor_cluster *ac)
{
    struct ac_event *top = ac->heap[0];
    struct ac_event *last = ac->heap[--ac->heap_size];
    size_t i = 0;
    for (size_t child = 1; child < ac->heap_size; child = 2 * i + 1) {
        if (child + 1 < ac->heap_size && earlier(ac->heap[child + 1], ac->heap[child]))
            child++;
        if (!earlier(ac->heap[child], last))
            break;
        ac->heap[i] = ac->heap[child];
        i = child;
    }
    ac->heap[i] = last;
    return top;
}

struct ac_event *
ac_event_new(struct actor_cluster *ac, enum event_kind kind, unsigned node, uint64_t after_ns,
             size_t extra)
{
    struct ac_event *event = ac_need(calloc(1, sizeof(*event) + extra));
    event->due_ns = ac->now_ns + after_ns;
    event->order = ac->order++;
    event->kind = kind;
    event->node = node;
    event->life = ac->nodes[node].life;
    event->data = bytes_of((uint8_t *)(event + 1), extra);
    return event;
}

void
ac_event_append(struct ac_event *event, size_t at, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy((uint8_t *)(event + 1) + at, bytes.data, bytes.size);
}
