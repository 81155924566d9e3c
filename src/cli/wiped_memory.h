/*
 * Heap memory that is wiped when it is freed, for the libraries that values and tokens pass through
 * on their way: jansson and libcurl.
 */
#ifndef OSTRAKA_CLI_WIPED_MEMORY_H
#define OSTRAKA_CLI_WIPED_MEMORY_H

#include <stddef.h>

void *wiped_malloc(size_t size);
void *wiped_calloc(size_t count, size_t size);
void *wiped_realloc(void *memory, size_t size);
char *wiped_strdup(const char *text);
void wiped_free(void *memory);

#endif
