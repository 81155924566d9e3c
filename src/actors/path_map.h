/*
 * Hash table from paths to intrusive entries. The table does not own its entries; an entry owns the
 * copy of its path. Order of iteration is order of insertion, never that of hashes, so nothing
 * depends on addresses.
 */
#ifndef OSTRAKA_ACTORS_PATH_MAP_H
#define OSTRAKA_ACTORS_PATH_MAP_H

#include "crypto/hash.h"
#include "proto/head.h"

/* First member of whatever is kept in the table. */
struct path_link {
    struct path_link *bucket_next;
    struct path_link *older, *newer; /* recency: path_map_touch makes it the newest */
    uint64_t hash;
    struct path path;
    uint8_t *memory; /* of the path's copy */
};

struct path_map {
    struct path_link **buckets;
    size_t bucket_count; /* power of two */
    size_t count;
    struct path_link *oldest, *newest;
    uint8_t key[SHORT_HASH_BYTES]; /* of the seed, so that clients cannot choose collisions */
};

/* `expected`: so many fit before the table grows. */
MUST_CHECK enum vault_err path_map_init(struct path_map *map, size_t expected, uint64_t seed);
void path_map_close(struct path_map *map); /* entries must have been removed */
/* That of the path's link. */
uint64_t path_map_hash(const struct path_map *map, struct path path);
struct path_link *path_map_find(const struct path_map *map, struct path path);
/* Copies the path into `link` and inserts it. The path must not be there. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err path_map_insert(struct path_map *map, struct path path,
                                          struct path_link *link);
void path_map_remove(struct path_map *map, struct path_link *link); /* frees the path's copy */
void path_map_touch(struct path_map *map, struct path_link *link);

#endif
