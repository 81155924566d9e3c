/*
 * Published test vectors from the folder that OSTRAKA_VECTORS names. They are not part of this
 * project: where none is named a test says that it skipped them, and its built-in cases still run.
 */
#ifndef OSTRAKA_TESTS_VECTORS_H
#define OSTRAKA_TESTS_VECTORS_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

/*
 * The parsed file, or NULL with "skipped" printed. A file that is broken, or is not in the folder,
 * ends the test.
 */
static inline json_t *
vectors_load(const char *relative, size_t flags)
{
    const char *folder = getenv("OSTRAKA_VECTORS");
    char path[4096];
    json_error_t error;
    json_t *root;

    if (!folder) {
        printf("skipped: %s (OSTRAKA_VECTORS is not set)\n", relative);
        return NULL;
    }
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, relative) >= sizeof(path))
        abort();
    root = json_load_file(path, flags, &error);
    if (!root) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        abort();
    }
    return root;
}

/* Bytes of a hex string in memory of their own, never NULL. Ends the test when it is not hex. */
static inline struct bytes
unhex(const char *text)
{
    size_t size = strlen(text) / 2;
    uint8_t *data = malloc(size + 1);

    if (!data || hex_decode(bytes_of_text(text), data, size) != OK)
        abort();
    return bytes_of(data, size);
}

static inline struct bytes
unhex_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text)
        abort();
    return unhex(text);
}

static inline void
bytes_free(struct bytes data)
{
    free((void *)(uintptr_t)data.data);
}

#endif
