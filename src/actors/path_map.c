#include "actors/path_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t
at_most(size_t size, size_t max)
{
    return size < max ? size : max;
}

/*
 * A hash with a key, all bits of which depend on all bytes: names differ in their last digits,
 * buckets are chosen by the lowest bits, and clients choose names. What is longer than any path may
 * be is told apart by comparison.
 */
uint64_t
path_map_hash(const struct path_map *map, struct path path)
{
    uint8_t input[1 + TENANT_BYTES_MAX + NAME_BYTES_MAX];
    size_t tenant = at_most(path.tenant.size, TENANT_BYTES_MAX);
    size_t name = at_most(path.name.size, NAME_BYTES_MAX);

    static_assert(TENANT_BYTES_MAX <= UINT8_MAX, "its size is one byte");
    input[0] = (uint8_t)tenant;
    if (tenant > 0)
        memcpy(input + 1, path.tenant.data, tenant);
    if (name > 0)
        memcpy(input + 1 + tenant, path.name.data, name);
    return hash_short(map->key, bytes_of(input, 1 + tenant + name));
}

static struct path_link **
bucket_of(const struct path_map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->bucket_count - 1)];
}

enum vault_err
path_map_init(struct path_map *map, size_t expected, uint64_t seed)
{
    size_t buckets = 64;
    while (buckets < expected)
        buckets *= 2;
    *map = (struct path_map){.bucket_count = buckets};
    static_assert(sizeof(seed) <= sizeof(map->key), "the seed is all that is secret of the key");
    memcpy(map->key, &seed, sizeof(seed));
    map->buckets = calloc(buckets, sizeof(*map->buckets));
    return map->buckets ? OK : ERR_NOMEM;
}

void
path_map_close(struct path_map *map)
{
    assert(map->count == 0);
    free(map->buckets);
    *map = (struct path_map){0};
}

struct path_link *
path_map_find(const struct path_map *map, struct path path)
{
    uint64_t hash = path_map_hash(map, path);
    struct path_link *link = *bucket_of(map, hash);
    while (link && (link->hash != hash || !path_equal(link->path, path)))
        link = link->bucket_next;
    return link;
}

static void
append_newest(struct path_map *map, struct path_link *link)
{
    link->older = map->newest;
    link->newer = NULL;
    if (map->newest)
        map->newest->newer = link;
    else
        map->oldest = link;
    map->newest = link;
}

static void
unlink_order(struct path_map *map, struct path_link *link)
{
    if (link->older)
        link->older->newer = link->newer;
    else
        map->oldest = link->newer;
    if (link->newer)
        link->newer->older = link->older;
    else
        map->newest = link->older;
}

/*
 * Twice as many buckets, so that a search passes over no more entries however many there are.
 * Without memory for them it is only slower.
 */
static void
grow(struct path_map *map)
{
    size_t bucket_count = 2 * map->bucket_count;
    struct path_link **buckets = calloc(bucket_count, sizeof(*buckets));
    if (!buckets)
        return;
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = bucket_count;
    for (struct path_link *link = map->oldest; link; link = link->newer) {
        struct path_link **bucket = bucket_of(map, link->hash);
        link->bucket_next = *bucket;
        *bucket = link;
    }
}

enum vault_err
path_map_insert(struct path_map *map, struct path path, struct path_link *link)
{
    size_t size = path.tenant.size + path.name.size;
    link->memory = malloc(size ? size : 1);
    if (!link->memory)
        return ERR_NOMEM;
    if (path.tenant.size > 0)
        memcpy(link->memory, path.tenant.data, path.tenant.size);
    if (path.name.size > 0)
        memcpy(link->memory + path.tenant.size, path.name.data, path.name.size);
    link->path.tenant = bytes_of(link->memory, path.tenant.size);
    link->path.name = bytes_of(link->memory + path.tenant.size, path.name.size);
    link->hash = path_map_hash(map, path);

    if (map->count >= map->bucket_count)
        grow(map);
    struct path_link **bucket = bucket_of(map, link->hash);
    link->bucket_next = *bucket;
    *bucket = link;
    append_newest(map, link);
    map->count++;
    return OK;
}

void
path_map_remove(struct path_map *map, struct path_link *link)
{
    struct path_link **at = bucket_of(map, link->hash);
    while (*at != link) {
        assert(*at);
        at = &(*at)->bucket_next;
    }
    *at = link->bucket_next;
    unlink_order(map, link);
    map->count--;
    free(link->memory);
    link->memory = NULL;
}

void
path_map_touch(struct path_map *map, struct path_link *link)
{
    if (map->newest == link)
        return;
    unlink_order(map, link);
    append_newest(map, link);
}
