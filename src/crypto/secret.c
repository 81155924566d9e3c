/*
 * The region comes from sodium_malloc: guard pages on both sides, a canary in front, kept out of
 * core dumps. What says which slots are taken lies outside of it, so that it can be read while
 * the region is closed and nothing in the region is anything but a secret.
 */
#include "crypto/secret.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORD_BITS = 64 };

struct secret_arena {
    uint8_t *region; /* slots * SECRET_BYTES_MAX */
    int thread_key;  /* protection key of the region's pages; -1: none, access is the process's */
    uint8_t *pages;  /* where the region's first page begins, before the canary */
    size_t reach;    /* bytes from `pages` to the end of the last page that ever held a secret */
    size_t slots;
    size_t free_slots;
    size_t hint; /* no free slot in the words before this one */
    unsigned opens;
    uint64_t taken[]; /* one bit for each slot */
};

static size_t
words_of(size_t slots)
{
    return (slots + WORD_BITS - 1) / WORD_BITS;
}

/* sodium_malloc goes on when the system refuses to lock; keys must not, so it is asked again. */
static uint8_t *
locked_new(size_t size)
{
    uint8_t *memory = sodium_malloc(size);

    if (!memory)
        return NULL;
    if (sodium_mlock(memory, size) != 0) {
        sodium_free(memory);
        return NULL;
    }
    sodium_memzero(memory, size);
    return memory;
}

static uint8_t *
region_new(size_t slots)
{
    uint8_t *region = locked_new(slots * SECRET_BYTES_MAX);

    if (region && sodium_mprotect_noaccess(region) != 0) {
        sodium_free(region);
        return NULL;
    }
    return region;
}

/* The region ends with a page; with it go the canary, and what else sodium_malloc put before it. */
static size_t
pages_bytes(const struct secret_arena *arena)
{
    return (size_t)(arena->region - arena->pages) + arena->slots * SECRET_BYTES_MAX;
}

/*
 * The first page is the canary's, which lies before the region: it is opened and closed with the
 * others. Pages that were never used hold zeros. They may be read at all times, but not written:
 * were they like the others while those are closed, or open, the system would join them with these
 * and split them again each time, which takes longer than the change itself.
 */
static bool
leave_unused_readable(struct secret_arena *arena)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    arena->pages = arena->region - ((uintptr_t)arena->region - 1) % page - 1;
    arena->reach = page;
    return pages_bytes(arena) == page ||
           mprotect(arena->pages + page, pages_bytes(arena) - page, PROT_READ) == 0;
}

enum vault_err
secret_arena_new(size_t slots, struct secret_arena **out)
{
    struct secret_arena *arena;

    assert(slots > 0 && slots < SIZE_MAX / SECRET_BYTES_MAX / 2);
    *out = NULL;
    arena = calloc(1, sizeof(*arena) + words_of(slots) * sizeof(arena->taken[0]));
    if (!arena)
        return ERR_NOMEM;
    arena->thread_key = -1;
    arena->region = region_new(slots);
    if (!arena->region) {
        free(arena);
        return ERR_NOMEM;
    }
    arena->slots = slots;
    if (!leave_unused_readable(arena)) {
        sodium_free(arena->region);
        free(arena);
        return ERR_NOMEM;
    }
    arena->free_slots = slots;
    *out = arena;
    return OK;
}

/*
 * Without a protection key every page costs, and one that is locked most of all: the system looks
 * whether it is there. So no more are opened than have ever been in use.
 */
static void
allow(struct secret_arena *arena)
{
    int rc = arena->thread_key >= 0 ? pkey_set(arena->thread_key, 0)
                                    : mprotect(arena->pages, arena->reach, PROT_READ | PROT_WRITE);

    assert(rc == 0);
    (void)rc;
}

static void
deny(struct secret_arena *arena)
{
    int rc = arena->thread_key >= 0 ? pkey_set(arena->thread_key, PKEY_DISABLE_ACCESS)
                                    : mprotect(arena->pages, arena->reach, PROT_NONE);

    assert(rc == 0);
    (void)rc;
}

/* A slot that lies further than what is open: the pages up to its end are opened as well. */
static void
extend(struct secret_arena *arena, const uint8_t *slot)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t end = (size_t)(slot + SECRET_BYTES_MAX - arena->pages);

    if (end <= arena->reach)
        return;
    arena->reach = (end + page - 1) / page * page;
    if (arena->thread_key < 0)
        allow(arena);
}

void
secret_arena_free(struct secret_arena *arena)
{
    if (!arena)
        return;
    if (arena->thread_key >= 0)
        allow(arena);
    sodium_free(arena->region); /* makes it writable, checks the canary and wipes */
    if (arena->thread_key >= 0)
        (void)pkey_free(arena->thread_key);
    free(arena);
}

bool
secret_arena_keep_to_thread(struct secret_arena *arena)
{
    int key;

    assert(arena->opens == 0 && arena->thread_key < 0);
    key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
    if (key < 0)
        return false;
    if (pkey_mprotect(arena->pages, pages_bytes(arena), PROT_READ | PROT_WRITE, key) != 0) {
        (void)pkey_free(key);
        return false;
    }
    arena->thread_key = key;
    return true;
}

void
secret_arena_open(struct secret_arena *arena)
{
    if (arena->opens == 0)
        allow(arena);
    arena->opens++;
}

void
secret_arena_close(struct secret_arena *arena)
{
    assert(arena->opens > 0);
    arena->opens--;
    if (arena->opens == 0)
        deny(arena);
}

bool
secret_arena_is_open(const struct secret_arena *arena)
{
    return arena->opens > 0;
}

size_t
secret_arena_free_slots(const struct secret_arena *arena)
{
    return arena->free_slots;
}

static bool
slot_taken(const struct secret_arena *arena, size_t slot)
{
    return (arena->taken[slot / WORD_BITS] >> (slot % WORD_BITS) & 1) != 0;
}

/* There is a free slot. */
static size_t
slot_take(struct secret_arena *arena)
{
    size_t slot;

    assert(arena->free_slots > 0);
    while (arena->taken[arena->hint] == UINT64_MAX)
        arena->hint++;
    slot = arena->hint * WORD_BITS;
    while (slot_taken(arena, slot))
        slot++;
    assert(slot < arena->slots);
    arena->taken[slot / WORD_BITS] |= UINT64_C(1) << (slot % WORD_BITS);
    arena->free_slots--;
    return slot;
}

enum vault_err
secret_new(struct secret_arena *arena, size_t size, struct secret *out)
{
    assert(secret_arena_is_open(arena));
    *out = (struct secret){0};
    if (size == 0 || size > SECRET_BYTES_MAX)
        return ERR_RANGE;
    if (arena->free_slots == 0)
        return ERR_BUSY;
    *out = (struct secret){
        .data = arena->region + slot_take(arena) * SECRET_BYTES_MAX,
        .size = size,
    };
    extend(arena, out->data);
    return OK;
}

enum vault_err
secret_copy(struct secret_arena *arena, struct bytes src, struct secret *out)
{
    enum vault_err err = secret_new(arena, src.size, out);

    if (err == OK)
        memcpy(out->data, src.data, src.size);
    return err;
}

void
secret_free(struct secret_arena *arena, struct secret *secret)
{
    size_t offset, slot;

    if (!secret->data)
        return;
    assert(secret_arena_is_open(arena));
    assert(secret->data >= arena->region);
    offset = (size_t)(secret->data - arena->region);
    slot = offset / SECRET_BYTES_MAX;
    assert(offset % SECRET_BYTES_MAX == 0);
    assert(slot < arena->slots);
    assert(slot_taken(arena, slot)); /* freed once only */

    sodium_memzero(secret->data, SECRET_BYTES_MAX);
    arena->taken[slot / WORD_BITS] &= ~(UINT64_C(1) << (slot % WORD_BITS));
    arena->free_slots++;
    if (slot / WORD_BITS < arena->hint)
        arena->hint = slot / WORD_BITS;
    *secret = (struct secret){0};
}

struct bytes
secret_bytes(const struct secret *secret)
{
    return bytes_of(secret->data, secret->size);
}

enum vault_err
secret_buf_new(size_t capacity, struct buf *out)
{
    assert(capacity > 0);
    *out = (struct buf){0};
    uint8_t *data = locked_new(capacity);
    if (!data)
        return ERR_NOMEM;
    *out = (struct buf){.data = data, .capacity = capacity};
    return OK;
}

void
secret_buf_free(struct buf *buf)
{
    sodium_free(buf->data);
    *buf = (struct buf){0};
}

bool
secret_equal(struct bytes a, struct bytes b)
{
    if (a.size != b.size)
        return false;
    /* Hashes and keys: in constant time too, and faster. */
    if (a.size == crypto_verify_32_BYTES)
        return crypto_verify_32(a.data, b.data) == 0;
    if (a.size == crypto_verify_16_BYTES)
        return crypto_verify_16(a.data, b.data) == 0;
    return a.size == 0 || sodium_memcmp(a.data, b.data, a.size) == 0;
}

enum vault_err
crypto_init(void)
{
    return sodium_init() < 0 ? ERR_ENTROPY : OK;
}
