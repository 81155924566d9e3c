#include "cli/wiped_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* In front of each block, as wide as the strictest alignment that malloc promises. */
union header {
    size_t size;
    max_align_t alignment;
};

void *
wiped_malloc(size_t size)
{
    union header *header;

    if (size > SIZE_MAX - sizeof *header)
        return NULL;
    header = malloc(sizeof *header + size);
    if (!header)
        return NULL;
    header->size = size;
    return header + 1;
}

void *
wiped_calloc(size_t count, size_t size)
{
    void *memory;

    if (size && count > SIZE_MAX / size)
        return NULL;
    memory = wiped_malloc(count * size);
    if (memory)
        memset(memory, 0, count * size);
    return memory;
}

void
wiped_free(void *memory)
{
    union header *header = memory;

    if (!memory)
        return;
    header--;
    bytes_wipe(memory, header->size);
    free(header);
}

void *
wiped_realloc(void *memory, size_t size)
{
    const union header *header = memory;
    void *moved = wiped_malloc(size);

    if (!memory || !moved)
        return moved;
    header--;
    memcpy(moved, memory, header->size < size ? header->size : size);
    wiped_free(memory);
    return moved;
}

char *
wiped_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = wiped_malloc(size);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}
