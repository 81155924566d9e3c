/*
 * Views, arenas and buffers. Whatever held data is wiped before its memory goes back to the
 * allocator: a buffer that grows moves by copy and wipe, never by realloc, which may leave the old
 * bytes behind.
 */
#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_ALIGN = 16,
    ARENA_BLOCK_FIRST = 4096,
    ARENA_BLOCK_MODERATE =
        64 * 1024, /* the largest block that a reset keeps, and that grows on its own */
    BUF_FIRST = 256,
    BUF_MODERATE = 64 * 1024, /* the most that a reset keeps */
    PRINTF_FIRST = 128,
};

/*
 * From `used` to `zeroed` a block is all zero, so that memory taken from there needs no clearing.
 * What lies behind has not been touched: most blocks are never filled.
 */
struct arena_block {
    struct arena_block *older;
    size_t capacity;
    size_t used, zeroed;
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

bool
bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int
bytes_compare(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

bool
bytes_begin_with(struct bytes text, struct bytes prefix)
{
    return text.size >= prefix.size &&
           (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

void
bytes_wipe(void *data, size_t size)
{
    if (size > 0)
        explicit_bzero(data, size);
}

void
arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

static size_t
arena_round(size_t size)
{
    size_t at_least_one = size > 0 ? size : 1;

    return (at_least_one + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

/* Capacity of the block to add when `need` bytes do not fit: doubles up to the moderate size. */
static size_t
arena_next_capacity(const struct arena *arena, size_t need)
{
    size_t capacity = ARENA_BLOCK_FIRST;

    if (arena->blocks)
        capacity = arena->blocks->capacity * 2;
    if (capacity > ARENA_BLOCK_MODERATE)
        capacity = ARENA_BLOCK_MODERATE;
    return capacity > need ? capacity : need;
}

static struct arena_block *
arena_block_new(struct arena_block *older, size_t capacity)
{
    struct arena_block *block = malloc(sizeof(*block) + capacity);

    if (!block)
        return NULL;
    *block = (struct arena_block){.older = older, .capacity = capacity};
    return block;
}

static void
arena_block_free(struct arena_block *block)
{
    bytes_wipe(block->data, block->used);
    free(block);
}

static void *
take(struct arena *arena, size_t size, bool exact)
{
    struct arena_block *block = arena->blocks;
    size_t need;
    void *out;

    /* Rounding may carry `used` a little past the limit, never a request that fits exactly. */
    if (arena->used > arena->limit || size > arena->limit - arena->used)
        return NULL;
    if (size > SIZE_MAX - sizeof(*block) - ARENA_ALIGN)
        return NULL;

    need = arena_round(size);
    if (!block || need > block->capacity - block->used) {
        size_t capacity = exact ? need : arena_next_capacity(arena, need);
        block = arena_block_new(arena->blocks, capacity);
        if (!block)
            return NULL;
        arena->blocks = block;
    }
    out = block->data + block->used;
    block->used += need;
    arena->used += need;
    if (block->used > block->zeroed) {
        size_t left = block->used - block->zeroed;
        memset(block->data + block->zeroed, 0, left);
        block->zeroed = block->used;
    }
    return out;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    return take(arena, size, false);
}

void *
arena_alloc_last(struct arena *arena, size_t size)
{
    return take(arena, size, true);
}

enum vault_err
arena_copy(struct arena *arena, struct bytes src, struct bytes *out)
{
    uint8_t *copy;

    *out = (struct bytes){0};
    if (src.size == 0)
        return OK;
    copy = arena_alloc(arena, src.size);
    if (!copy)
        return ERR_NOMEM;
    memcpy(copy, src.data, src.size);
    *out = bytes_of(copy, src.size);
    return OK;
}

void
arena_reset(struct arena *arena)
{
    struct arena_block *kept = NULL;
    struct arena_block *block = arena->blocks;

    while (block) {
        struct arena_block *older = block->older;

        if (!kept && block->capacity <= ARENA_BLOCK_MODERATE) {
            bytes_wipe(block->data, block->used);
            block->used = 0;
            block->older = NULL;
            kept = block;
        } else {
            arena_block_free(block);
        }
        block = older;
    }
    arena->blocks = kept;
    arena->used = 0;
}

void
arena_close(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->older;
        arena_block_free(block);
    }
    arena->used = 0;
}

enum vault_err
buf_grow(struct buf *buf, size_t extra)
{
    size_t capacity = buf->capacity > 0 ? buf->capacity : BUF_FIRST;
    uint8_t *data;

    if (extra > SIZE_MAX / 4 - buf->size)
        return ERR_NOMEM;
    while (capacity < buf->size + extra)
        capacity *= 2;

    data = malloc(capacity);
    if (!data)
        return ERR_NOMEM;
    if (buf->size > 0)
        memcpy(data, buf->data, buf->size);
    bytes_wipe(buf->data, buf->size);
    free(buf->data);
    buf->data = data;
    buf->capacity = capacity;
    return OK;
}

enum vault_err
buf_printf(struct buf *buf, const char *format, ...)
{
    char text[PRINTF_FIRST]; /* most texts fit into it, and need not be formatted again */
    enum vault_err err;
    va_list args;
    int length;

    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is initialised right above */
    length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert(length >= 0);
    if ((size_t)length < sizeof(text)) {
        err = buf_append(buf, bytes_of(text, (size_t)length));
        bytes_wipe(text, (size_t)length);
        return err;
    }

    bytes_wipe(text, sizeof(text));
    /* One byte more, for the NUL that vsnprintf insists on; it is not part of the buffer. */
    err = buf_reserve(buf, (size_t)length + 1);
    if (err != OK)
        return err;
    va_start(args, format);
    (void)vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, format, args);
    va_end(args);
    buf->size += (size_t)length;
    return OK;
}

void
buf_consume(struct buf *buf, size_t count)
{
    size_t left;

    assert(count <= buf->size);
    if (count == 0)
        return;
    left = buf->size - count;
    memmove(buf->data, buf->data + count, left);
    bytes_wipe(buf->data + left, count);
    buf->size = left;
}

void
buf_truncate(struct buf *buf, size_t size)
{
    assert(size <= buf->size);
    if (size < buf->size)
        bytes_wipe(buf->data + size, buf->size - size);
    buf->size = size;
}

void
buf_close(struct buf *buf)
{
    bytes_wipe(buf->data, buf->size);
    free(buf->data);
    *buf = (struct buf){0};
}

void
buf_reset(struct buf *buf)
{
    if (buf->capacity > BUF_MODERATE)
        buf_close(buf);
    else
        buf_truncate(buf, 0);
}

struct bytes
buf_bytes(const struct buf *buf)
{
    return bytes_of(buf->data, buf->size);
}
