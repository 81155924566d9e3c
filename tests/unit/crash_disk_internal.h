/*
 * What the two halves of the crash disk share: crash_disk.c (the parent's: what a crash leaves) and
 * crash_disk_layer.c (the child's: the engine's file system).
 */
#ifndef OSTRAKA_TESTS_CRASH_DISK_INTERNAL_H
#define OSTRAKA_TESTS_CRASH_DISK_INTERNAL_H

#include "crash_disk.h"

#define CRASH_DISK_ENTRY "ostraka_crash_disk_init"
#define CRASH_GONE       ".gone-" /* begins the name of a file that was removed */

enum crash_op_kind { OP_WRITE, OP_RESIZE, OP_CREATE, OP_RENAME };

struct crash_op {
    enum crash_op_kind kind;
    bool durable;
    unsigned file;
    uint64_t offset, size; /* WRITE; RESIZE: `size` of the saved end, which began at `offset` */
    uint64_t old_size, new_size; /* of the file, before and after */
    size_t data;                 /* WRITE: what was there (size), then what came (size) */
    char from[CRASH_NAME_BYTES], to[CRASH_NAME_BYTES]; /* RENAME; removing renames to CRASH_GONE */
};

static inline bool
crash_op_is_of_directory(const struct crash_op *op)
{
    return op->kind == OP_CREATE || op->kind == OP_RENAME;
}

void crash_path(const struct crash_disk *disk, const char *name,
                char out[static CRASH_TEXT_BYTES + CRASH_NAME_BYTES]);

#endif
