/*
 * Byte strings: a borrowed view, a growing buffer that wipes itself, and an arena.
 */
#ifndef OSTRAKA_BASE_BYTES_H
#define OSTRAKA_BASE_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

/* A borrowed view. `data` may be NULL only when `size` is 0. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

/* Here and not in bytes.c, like the short ways of buffers below: they are called for each field. */
static inline struct bytes
bytes_of(const void *data, size_t size)
{
    assert(size == 0 || data);
    return (struct bytes){.data = data, .size = size};
}

/* Without the terminating NUL. */
static inline struct bytes
bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

bool bytes_equal(struct bytes a, struct bytes b);  /* NOT for secrets: see crypto/secret.h */
int bytes_compare(struct bytes a, struct bytes b); /* lexical, the shorter first; <0, 0, >0 */
bool bytes_begin_with(struct bytes text, struct bytes prefix); /* with an empty one all do */

/*
 * Memory of one request or one step: everything taken from an arena is freed, and wiped, with it.
 * Admitted by bytes: a request that would pass `limit` fails with NULL and the arena stays usable.
 */
struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes handed out */
    size_t limit;               /* most bytes that may be handed out */
};

void arena_init(struct arena *arena, size_t limit);
void *arena_alloc(struct arena *arena,
                  size_t size); /* zeroed, aligned to 16; NULL: no memory or over the limit */
/* The same where little or nothing more will be taken: no block is made larger than that. */
void *arena_alloc_last(struct arena *arena, size_t size);
/* Copies `src`; an empty view gives an empty view. On NULL memory: ERR_NOMEM and *out empty. */
MUST_CHECK enum vault_err arena_copy(struct arena *arena, struct bytes src, struct bytes *out);
void
arena_reset(struct arena *arena); /* wipes; keeps one block of moderate size for the next use */
void arena_close(struct arena *arena); /* wipes and frees; the arena may be init'ed again */

/* Growing buffer, wiped when it is freed or moved. All zero is a valid empty buffer. */
struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/* Moves to where there is room for `extra` more bytes. */
MUST_CHECK enum vault_err buf_grow(struct buf *buf, size_t extra);

/* Room for `extra` more bytes. */
MUST_CHECK static inline enum vault_err
buf_reserve(struct buf *buf, size_t extra)
{
    assert(buf->size <= buf->capacity);
    return extra <= buf->capacity - buf->size ? OK : buf_grow(buf, extra);
}

MUST_CHECK static inline enum vault_err
buf_append(struct buf *buf, struct bytes src)
{
    enum vault_err err = buf_reserve(buf, src.size);

    if (err != OK || src.size == 0)
        return err;
    memcpy(buf->data + buf->size, src.data, src.size);
    buf->size += src.size;
    return OK;
}

MUST_CHECK static inline enum vault_err
buf_append_text(struct buf *buf, const char *text)
{
    return buf_append(buf, bytes_of_text(text));
}

MUST_CHECK enum vault_err buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *buf,
                 size_t count); /* drops the first `count` bytes, wiping what they leave */
void buf_truncate(struct buf *buf,
                  size_t size);  /* drops and wipes what is behind `size`; keeps the memory */
void buf_close(struct buf *buf); /* wipes, frees, and leaves it empty */
void buf_reset(struct buf *buf); /* the same, but keeps memory of moderate size for the next use */
struct bytes buf_bytes(const struct buf *buf);

/* Overwrite memory in a way that the compiler may not remove. */
void bytes_wipe(void *data, size_t size);

#endif
