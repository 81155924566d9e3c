#include "actors/tenant_tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Above it no memory holds so many, and what follows could overflow. */
#define LIMIT_THAT_MATTERS (UINT64_C(1) << 40)

enum { TENANTS_EXPECTED = 1024 };

enum vault_err
tenant_tally_init(struct tenant_tally *tally, uint64_t seed)
{
    *tally = (struct tenant_tally){0};
    return path_map_init(&tally->tenants, TENANTS_EXPECTED, seed);
}

static void
drop(struct tenant_tally *tally, struct tally_entry *entry)
{
    path_map_remove(&tally->tenants, &entry->link);
    free(entry);
}

void
tenant_tally_restart(struct tenant_tally *tally)
{
    while (tally->tenants.oldest)
        drop(tally, (struct tally_entry *)tally->tenants.oldest);
    tally->broken = false;
}

void
tenant_tally_close(struct tenant_tally *tally)
{
    tenant_tally_restart(tally);
    path_map_close(&tally->tenants);
}

static struct tally_entry *
find(const struct tenant_tally *tally, struct bytes tenant)
{
    return (struct tally_entry *)path_map_find(&tally->tenants, (struct path){.tenant = tenant});
}

void
tenant_tally_add(struct tenant_tally *tally, struct bytes tenant)
{
    struct tally_entry *entry = find(tally, tenant);
    if (!entry) {
        entry = calloc(1, sizeof(*entry));
        if (!entry ||
            path_map_insert(&tally->tenants, (struct path){.tenant = tenant}, &entry->link) != OK) {
            free(entry);
            tally->broken = true;
            return;
        }
    }
    entry->secrets++;
}

void
tenant_tally_remove(struct tenant_tally *tally, struct bytes tenant)
{
    struct tally_entry *entry = find(tally, tenant);
    if (!entry)
        tally->broken = true;
    else if (--entry->secrets == 0)
        drop(tally, entry);
}

uint64_t
tenant_tally_count(const struct tenant_tally *tally, struct bytes tenant)
{
    const struct tally_entry *entry = find(tally, tenant);
    return entry ? entry->secrets : 0;
}

bool
tenant_tally_equal(const struct tenant_tally *a, const struct tenant_tally *b)
{
    if (a->tenants.count != b->tenants.count)
        return false;
    for (const struct path_link *link = a->tenants.oldest; link; link = link->newer) {
        const struct tally_entry *entry = (const struct tally_entry *)link;
        if (tenant_tally_count(b, link->path.tenant) != entry->secrets)
            return false;
    }
    return true;
}

/* ---- limits ---- */

static uint64_t
square_root(uint64_t of)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1) {
        if ((root + bit) * (root + bit) <= of)
            root += bit;
    }
    return root;
}

/*
 * The number held is about binomial, each secret being here with probability n/N: its mean and three
 * times its deviation, rounded up.
 */
uint64_t
tenant_tally_bound(uint64_t limit, unsigned shares, unsigned nodes)
{
    assert(shares > 0);
    assert(shares <= nodes);
    if (shares == nodes || limit > LIMIT_THAT_MATTERS)
        return limit;
    uint64_t mean = (limit * shares + nodes - 1) / nodes;
    uint64_t variance = limit * shares / nodes * (nodes - shares) / nodes + 1;
    return mean + 3 * (square_root(variance) + 1);
}

static void
hash_of(struct bytes tenant, struct bytes name, uint8_t out[static 16])
{
    struct bytes parts[] = {tenant, name};
    uint8_t hash[HASH_BYTES];
    hash_parts(parts, 2, hash);
    memcpy(out, hash, 16);
}

static bool
is_one(const struct creation *creation)
{
    static const uint8_t none[16];
    return memcmp(creation->path, none, sizeof(none)) != 0;
}

static bool
is_under_way(const struct creation *creation, struct instant now)
{
    return is_one(creation) &&
           instant_since(now, creation->voted).ns < duration_ms(CREATION_MS_MAX).ns;
}

static void
forget(struct tenant_tally *tally, struct creation *creation)
{
    *creation = (struct creation){0};
    tally->remembered--;
}

/*
 * The creation that was remembered before `at`, which starts as `next`; NULL: that was the last of
 * `left`. Those under way are among the newest, so few places are looked at.
 */
static struct creation *
before(struct tenant_tally *tally, unsigned *at, unsigned *left)
{
    while (*left > 0) {
        *at = (*at + CREATIONS_MAX - 1) % CREATIONS_MAX;
        if (is_one(&tally->creations[*at])) {
            (*left)--;
            return &tally->creations[*at];
        }
    }
    return NULL;
}

bool
tenant_tally_take(struct tenant_tally *tally, struct path path, uint64_t bound, struct instant now)
{
    uint64_t secrets = tenant_tally_count(tally, path.tenant);
    struct creation own = {.voted = now};
    struct creation *slot = &tally->creations[tally->next], *other;
    unsigned at = tally->next, left = tally->remembered;
    hash_of(path.tenant, path.name, own.path);
    hash_of(path.tenant, (struct bytes){0}, own.tenant);
    while ((other = before(tally, &at, &left))) {
        if (memcmp(other->path, own.path, sizeof(own.path)) == 0)
            slot = other; /* the same once more */
        else if (!is_under_way(other, now))
            forget(tally, other);
        else if (memcmp(other->tenant, own.tenant, sizeof(own.tenant)) == 0)
            secrets++;
    }
    if (secrets >= bound)
        return false;
    if (slot == &tally->creations[tally->next])
        tally->next = (tally->next + 1) % CREATIONS_MAX;
    if (!is_one(slot))
        tally->remembered++;
    *slot = own;
    return true;
}

void
tenant_tally_made(struct tenant_tally *tally, struct path path)
{
    unsigned at = tally->next, left = tally->remembered;
    struct creation *other;
    uint8_t hash[16];
    if (left == 0)
        return;
    hash_of(path.tenant, path.name, hash);
    while ((other = before(tally, &at, &left))) {
        if (memcmp(other->path, hash, sizeof(hash)) == 0)
            forget(tally, other);
    }
}
