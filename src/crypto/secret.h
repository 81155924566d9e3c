/*
 * Memory for keys and shares: one region per process (per node in a simulated cluster), guarded,
 * locked, excluded from core dumps, and without any access while it is closed (pages where no
 * secret ever was can be read, as zeros). It holds a fixed number of slots of SECRET_BYTES_MAX. Only
 * one place opens it: the step that runs an actor (actors/node.c); tests open it themselves.
 *
 * The region is allocated once (an allocation costs 16 us). To open and close it takes a few
 * nanoseconds where it is kept to one thread. Elsewhere it takes a change of page tables: of the
 * pages up to the last that has ever held a secret, 2.6 us for one and 0.2 to 0.5 for each more.
 */
#ifndef OSTRAKA_CRYPTO_SECRET_H
#define OSTRAKA_CRYPTO_SECRET_H

#include <stdbool.h>

#include "base/bytes.h"

/* The longest is a share of a wrapped data key: 4 + 32 + 16 bytes. */
enum { SECRET_BYTES_MAX = 64 };

struct secret_arena;

/* A slot: valid memory only while its arena is open. */
struct secret {
    uint8_t *data;
    size_t size; /* 1..SECRET_BYTES_MAX */
};

/* Errors: ERR_NOMEM (also when the system refuses to lock that much). */
MUST_CHECK enum vault_err secret_arena_new(size_t slots, struct secret_arena **out);
void secret_arena_free(struct secret_arena *arena); /* wipes; NULL is fine */

/*
 * From now on only the thread that opens the arena has access while it is open: others have none,
 * and a switch costs no change of page tables. This needs protection keys of the processor and the
 * system; returns false without them, and the arena is as before, open to the whole process. The
 * arena must be closed; the same thread opens and closes it. A thread begun while it is open has
 * access as well.
 */
bool secret_arena_keep_to_thread(struct secret_arena *arena);

void secret_arena_open(struct secret_arena *arena);  /* counted: opens may nest */
void secret_arena_close(struct secret_arena *arena); /* the last close takes all access away */
bool secret_arena_is_open(const struct secret_arena *arena);
size_t secret_arena_free_slots(const struct secret_arena *arena);

/*
 * Takes a zeroed slot. The arena must be open. Errors: ERR_RANGE size, ERR_BUSY no slot left;
 * *out is then {NULL, 0}.
 */
MUST_CHECK enum vault_err secret_new(struct secret_arena *arena, size_t size, struct secret *out);
/* Same, filled with a copy of `src`. */
MUST_CHECK enum vault_err secret_copy(struct secret_arena *arena, struct bytes src,
                                      struct secret *out);
/* Wipes the slot and gives it back; {NULL, 0} is fine. Sets *secret to {NULL, 0}. Arena open. */
void secret_free(struct secret_arena *arena, struct secret *secret);
struct bytes secret_bytes(const struct secret *secret);

/*
 * A buffer in memory of that kind, but open to the whole process until it is freed: for keys on
 * their way to a file or from one. It never grows: whoever fills it stays within `capacity`. Errors:
 * ERR_NOMEM (also when the system refuses to lock that much); *out is then empty.
 */
MUST_CHECK enum vault_err secret_buf_new(size_t capacity, struct buf *out);
void secret_buf_free(struct buf *buf); /* wipes, and leaves it empty; an empty one is fine */

/* Constant time; false when the sizes differ. */
bool secret_equal(struct bytes a, struct bytes b);

/* Call once per process before anything else here. Errors: ERR_ENTROPY. */
MUST_CHECK enum vault_err crypto_init(void);

#endif
