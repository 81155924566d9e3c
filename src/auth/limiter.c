#include "auth/limiter.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

enum { NONE = UINT32_MAX, SITE_BYTES = 8 };
#define NS_PER_S UINT64_C(1000000000)

struct entry {
    uint64_t key;        /* keyed hash of kind and key */
    uint64_t check;      /* another one, so that two keys are not one entry */
    uint64_t until_ns;   /* bucket: when it is full again; login: when the next may be tried */
    uint64_t touched_ns; /* login: the last failure */
    uint32_t failures;
    uint32_t chain; /* next of the same slot, or of the free ones */
    uint32_t newer, older;
};

struct limiter {
    uint8_t hash_key[2][SHORT_HASH_BYTES];
    size_t capacity, count, slots; /* slots: a power of two */
    uint32_t newest, oldest;
    bool any_failed; /* then the last one failed at that time */
    struct instant failed_last;
    uint32_t *heads; /* of the chains */
    struct entry *entries;
};

enum vault_err
limiter_new(size_t entries, const struct rng *rng, struct limiter **out)
{
    struct limiter *limiter;
    enum vault_err err;

    *out = NULL;
    if (entries == 0 || entries > LIMITER_ENTRIES_MAX)
        return ERR_RANGE;
    limiter = calloc(1, sizeof(*limiter));
    if (!limiter)
        return ERR_NOMEM;
    *limiter = (struct limiter){.capacity = entries, .slots = 1, .newest = NONE, .oldest = NONE};
    while (limiter->slots < entries)
        limiter->slots *= 2;
    limiter->heads = malloc(limiter->slots * sizeof(*limiter->heads));
    limiter->entries = calloc(entries, sizeof(*limiter->entries));
    err = limiter->heads && limiter->entries ? OK : ERR_NOMEM;
    if (err == OK)
        err = rng_fill(rng, limiter->hash_key[0], sizeof(limiter->hash_key));
    if (err != OK) {
        limiter_free(limiter);
        return err;
    }
    memset(limiter->heads, 0xff, limiter->slots * sizeof(*limiter->heads));
    *out = limiter;
    return OK;
}

void
limiter_free(struct limiter *limiter)
{
    if (!limiter)
        return;
    free(limiter->heads);
    free(limiter->entries);
    bytes_wipe(limiter, sizeof(*limiter));
    free(limiter);
}

size_t
limiter_count(const struct limiter *limiter)
{
    return limiter->count;
}

/* ---- table ---- */

static uint32_t *
head_of(const struct limiter *limiter, uint64_t key)
{
    return &limiter->heads[key & (limiter->slots - 1)];
}

static void
unlink_age(struct limiter *limiter, uint32_t index)
{
    struct entry *entry = &limiter->entries[index];

    *(entry->newer == NONE ? &limiter->newest : &limiter->entries[entry->newer].older) =
        entry->older;
    *(entry->older == NONE ? &limiter->oldest : &limiter->entries[entry->older].newer) =
        entry->newer;
}

static void
make_newest(struct limiter *limiter, uint32_t index)
{
    struct entry *entry = &limiter->entries[index];

    entry->newer = NONE;
    entry->older = limiter->newest;
    *(limiter->newest == NONE ? &limiter->oldest : &limiter->entries[limiter->newest].newer) =
        index;
    limiter->newest = index;
}

static void
unlink_chain(struct limiter *limiter, uint32_t index)
{
    uint32_t *at = head_of(limiter, limiter->entries[index].key);

    while (*at != index)
        at = &limiter->entries[*at].chain;
    *at = limiter->entries[index].chain;
}

/* A place for a new entry: an unused one, or that of the oldest. */
static uint32_t
make_room(struct limiter *limiter)
{
    uint32_t index = limiter->oldest;

    if (limiter->count < limiter->capacity)
        return (uint32_t)limiter->count++;
    unlink_age(limiter, index);
    unlink_chain(limiter, index);
    return index;
}

/* The entry of a key, now the newest; a new one is zero. NULL only if `create` is not set. */
static struct entry *
find(struct limiter *limiter, enum limit_kind kind, struct bytes key, bool create)
{
    uint8_t kind_byte = (uint8_t)kind, hash[HASH_BYTES];
    const struct bytes parts[] = {bytes_of(&kind_byte, 1), key};
    uint64_t short_key, check;
    uint32_t index;

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), hash);
    short_key = hash_short(limiter->hash_key[0], bytes_of(hash, sizeof(hash)));
    check = hash_short(limiter->hash_key[1], bytes_of(hash, sizeof(hash)));
    for (index = *head_of(limiter, short_key); index != NONE;
         index = limiter->entries[index].chain) {
        struct entry *entry = &limiter->entries[index];

        if (entry->key != short_key || entry->check != check)
            continue;
        unlink_age(limiter, index);
        make_newest(limiter, index);
        return entry;
    }
    if (!create)
        return NULL;
    index = make_room(limiter);
    limiter->entries[index] =
        (struct entry){.key = short_key, .check = check, .chain = *head_of(limiter, short_key)};
    *head_of(limiter, short_key) = index;
    make_newest(limiter, index);
    return &limiter->entries[index];
}

/* ---- buckets ---- */

/*
 * One number is the whole bucket: the time at which it is full again. Each one taken puts it off by
 * an interval, and it may lie ahead by as much as the burst takes to fill.
 */
bool
limiter_take(struct limiter *limiter, enum limit_kind kind, struct bytes key,
             struct limit_rate rate, struct instant now, struct duration *wait)
{
    uint64_t burst = rate.burst > 0 ? rate.burst : rate.per_second;
    uint64_t interval, full_at, ahead;
    struct entry *entry;

    *wait = (struct duration){0};
    if (rate.per_second == 0)
        return true;
    if (rate.per_second > LIMIT_PER_SECOND_MAX)
        rate.per_second = LIMIT_PER_SECOND_MAX;
    if (burst > LIMIT_BURST_MAX)
        burst = LIMIT_BURST_MAX;
    interval = NS_PER_S / rate.per_second;
    entry = find(limiter, kind, key, true);
    full_at = entry->until_ns > now.ns ? entry->until_ns : now.ns;
    ahead = full_at - now.ns;
    if (ahead > (burst - 1) * interval) {
        wait->ns = ahead - (burst - 1) * interval;
        return false;
    }
    entry->until_ns = full_at + interval;
    return true;
}

struct bytes
limiter_address_key(const struct address *address)
{
    return bytes_of(address->data, address->size > SITE_BYTES ? SITE_BYTES : address->size);
}

/* ---- logins ---- */

static struct duration
wait_of(struct limiter *limiter, enum limit_kind kind, struct bytes key, struct instant now)
{
    const struct entry *entry;

    if (!limiter->any_failed || /* as a rule nobody fails, and nothing has to be looked up */
        instant_since(now, limiter->failed_last).ns > LOGIN_FORGET_S * NS_PER_S)
        return (struct duration){0};
    entry = find(limiter, kind, key, false);
    return entry ? instant_since((struct instant){entry->until_ns}, now) : (struct duration){0};
}

struct duration
limiter_name_wait(struct limiter *limiter, struct bytes name, struct instant now)
{
    return wait_of(limiter, LIMIT_LOGIN_NAME, name, now);
}

struct duration
limiter_address_wait(struct limiter *limiter, const struct address *address, struct instant now)
{
    return wait_of(limiter, LIMIT_LOGIN_ADDRESS, limiter_address_key(address), now);
}

struct duration
limiter_login_wait(struct limiter *limiter, struct bytes name, const struct address *address,
                   struct instant now)
{
    struct duration of_name = limiter_name_wait(limiter, name, now);
    struct duration of_address = limiter_address_wait(limiter, address, now);

    return of_name.ns > of_address.ns ? of_name : of_address;
}

static void
note_failure(struct limiter *limiter, enum limit_kind kind, struct bytes key, uint32_t free_ones,
             struct instant now)
{
    struct entry *entry = find(limiter, kind, key, true);
    uint64_t wait_s = 1;

    if (instant_since(now, (struct instant){entry->touched_ns}).ns > LOGIN_FORGET_S * NS_PER_S)
        entry->failures = 0;
    entry->touched_ns = now.ns;
    if (entry->failures < UINT32_MAX)
        entry->failures++;
    if (entry->failures < free_ones)
        return;
    for (uint32_t i = free_ones; i < entry->failures && wait_s < LOGIN_WAIT_S_MAX; i++)
        wait_s *= 2;
    if (wait_s > LOGIN_WAIT_S_MAX)
        wait_s = LOGIN_WAIT_S_MAX;
    entry->until_ns = now.ns + wait_s * NS_PER_S;
}

void
limiter_login_failed(struct limiter *limiter, struct bytes name, const struct address *address,
                     struct instant now)
{
    limiter->any_failed = true;
    limiter->failed_last = now;
    note_failure(limiter, LIMIT_LOGIN_NAME, name, LOGIN_FREE_NAME, now);
    note_failure(limiter, LIMIT_LOGIN_ADDRESS, limiter_address_key(address), LOGIN_FREE_ADDRESS,
                 now);
}

void
limiter_login_succeeded(struct limiter *limiter, struct bytes name)
{
    struct entry *entry = find(limiter, LIMIT_LOGIN_NAME, name, false);

    if (!entry)
        return;
    entry->failures = 0;
    entry->until_ns = 0;
}
