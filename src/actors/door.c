#include "actors/door.h"

#include "actors/authority.h"
#include "auth/decide.h"
#include "auth/identity.h"
#include "auth/jwt.h"
#include "base/planted.h"

#define NS_PER_MS UINT64_C(1000000)

enum vault_err
door_init(struct door *door, const struct door_limits *limits, const struct membership *membership,
          const struct rng *rng)
{
    *door = (struct door){.limits = *limits, .membership = membership};
    return limiter_new(DOOR_ENTRIES, rng, &door->limiter);
}

void
door_close(struct door *door)
{
    limiter_free(door->limiter);
    *door = (struct door){0};
}

bool
door_may_connect(struct door *door, const struct address *address, struct instant now)
{
    struct limit_rate rate = {.per_second = door->limits.address_connections_per_s};
    struct duration wait;
    return address->size == 0 || limiter_take(door->limiter, LIMIT_CONNECTION,
                                              limiter_address_key(address), rate, now, &wait);
}

/* ---- requests ---- */

/* 0: no limit, or no such tenant. */
static uint32_t
rate_of_tenant(const struct membership *ms, struct bytes name)
{
    const struct auth_record *record =
        ms->records ? auth_view_get(ms->records, bytes_of_text(SYSTEM_TENANT),
                                    bytes_of_text(auth_kind_name(AUTH_KIND_TENANT)), name)
                    : NULL;
    struct tenant tenant;
    if (!record || tenant_decode(buf_bytes(&record->value), &tenant) != OK)
        return 0;
    return (uint32_t)tenant.requests_per_second;
}

static bool
take(struct door *door, enum limit_kind kind, struct bytes key, uint32_t per_second,
     struct instant now, struct duration *wait)
{
    struct limit_rate rate = {.per_second = per_second};
    return limiter_take(door->limiter, kind, key, rate, now, wait);
}

/* What is known of its identity counts against it alone; of a stranger there is nothing to count. */
static bool
take_of_caller(struct door *door, const struct step *st, const struct door_caller *caller,
               enum vault_err known, struct bytes tenant, struct duration *wait)
{
    char memory[CALLER_BYTES];
    struct bytes who = authority_caller(door->membership, (struct path){.tenant = caller->tenant},
                                        caller->credential, memory);
    if (known == ERR_UNAUTHENTICATED || known == ERR_NOT_READY)
        return true;
    if (!take(door, LIMIT_IDENTITY, who, door->limits.identity_requests_per_s, st->now, wait))
        return false;
    return known != OK || PLANTED(tenant_rate_ignored) ||
           take(door, LIMIT_TENANT, tenant, rate_of_tenant(door->membership, tenant), st->now,
                wait);
}

/* Many verifications would keep this node from everything else. */
static bool
may_be_looked_at(struct door *door, const struct step *st, struct bytes credential,
                 const struct address *address)
{
    struct duration until;
    return !jwt_looks_like(credential) || take(door, LIMIT_SIGNATURE, limiter_address_key(address),
                                               DOOR_SIGNATURES_PER_S, st->now, &until);
}

/* Where too many have failed, what is valid is let in: that is looked at only then. */
static bool
may_try(struct door *door, const struct step *st, const struct door_caller *caller,
        const struct address *address, struct duration *wait)
{
    *wait = limiter_name_wait(door->limiter, caller->credential, st->now);
    if (wait->ns > 0)
        return false;
    *wait = limiter_address_wait(door->limiter, address, st->now);
    if (wait->ns == 0 || (may_be_looked_at(door, st, caller->credential, address) &&
                          authority_of_caller(door->membership, st, caller->tenant,
                                              caller->credential) != ERR_UNAUTHENTICATED))
        *wait = (struct duration){0};
    return wait->ns == 0;
}

static bool
enter(struct door *door, const struct step *st, const struct door_caller *caller,
      struct duration *wait)
{
    struct address address;
    struct bytes tenant = caller->tenant.size > 0
                              ? caller->tenant
                              : authority_tenant(door->membership, caller->credential);
    uint32_t tenant_rate = rate_of_tenant(door->membership, tenant);
    *wait = (struct duration){0};
    if (address_parse(caller->address, &address) != OK)
        address = (struct address){0};
    if (address.size > 0 && !take(door, LIMIT_ADDRESS, limiter_address_key(&address),
                                  door->limits.address_requests_per_s, st->now, wait))
        return false;
    if (caller->credential.size == 0)
        return true;
    if (door->limits.slow_failures && !may_try(door, st, caller, &address, wait))
        return false;
    if (tenant_rate == 0 && door->limits.identity_requests_per_s == 0)
        return true;
    enum vault_err known = authority_of_names(door->membership, st, tenant, caller->credential);
    return take_of_caller(door, st, caller, known, tenant, wait);
}

enum vault_err
door_enter(struct door *door, const struct step *st, const struct door_caller *caller,
           unsigned *retry_after_ms)
{
    struct duration wait;
    *retry_after_ms = 0;
    if (enter(door, st, caller, &wait))
        return OK;
    *retry_after_ms = (unsigned)((wait.ns + NS_PER_MS - 1) / NS_PER_MS);
    metrics_count(st->metrics, METRIC_limits_exceeded);
    return ERR_RATE_LIMITED;
}

void
door_failed(struct door *door, struct instant now, struct bytes credential, struct bytes text)
{
    struct address address;
    if (door->limits.slow_failures && credential.size > 0 && address_parse(text, &address) == OK)
        limiter_login_failed(door->limiter, credential, &address, now);
}

/* ---- logins ---- */

unsigned
door_login_wait_ms(struct door *door, struct instant now, struct bytes name, struct bytes text)
{
    struct address address;
    if (!door->limits.slow_failures || address_parse(text, &address) != OK)
        return 0;
    struct duration wait = limiter_login_wait(door->limiter, name, &address, now);
    return (unsigned)((wait.ns + NS_PER_MS - 1) / NS_PER_MS);
}

void
door_login_failed(struct door *door, struct instant now, struct bytes name, struct bytes text)
{
    struct address address;
    if (door->limits.slow_failures && address_parse(text, &address) == OK)
        limiter_login_failed(door->limiter, name, &address, now);
}

void
door_login_succeeded(struct door *door, struct bytes name)
{
    limiter_login_succeeded(door->limiter, name);
}
