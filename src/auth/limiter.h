/*
 * Token buckets and slowed logins, in a table of fixed size. No clock: whoever calls tells the
 * time.
 *
 * A bucket fills at its rate up to its burst and is asked before any expensive work. When the table
 * is full, the entry that was used longest ago is forgotten, which is what a bucket at rest says
 * anyway; who floods the table with new addresses gains a fresh burst for each of them and no more.
 * Keys are kept as keyed hashes: the table holds no names, and nobody can aim at its chains.
 */
#ifndef OSTRAKA_AUTH_LIMITER_H
#define OSTRAKA_AUTH_LIMITER_H

#include "auth/address.h"
#include "base/instant.h"
#include "crypto/rng.h"

enum limit_kind {
    LIMIT_ADDRESS,
    LIMIT_TENANT,
    LIMIT_IDENTITY,
    LIMIT_LOGIN_ADDRESS, /* failed logins; used by limiter_login_* alone */
    LIMIT_LOGIN_NAME,
    LIMIT_CONNECTION, /* of an address */
    LIMIT_SIGNATURE,  /* of an address that waits */
};

enum {
    LIMITER_ENTRIES_MAX = 1 << 20,
    LIMIT_PER_SECOND_MAX = 1000000,
    LIMIT_BURST_MAX = 1000000,
    LOGIN_FREE_ADDRESS = 20, /* failures before an address has to wait */
    LOGIN_FREE_NAME = 5,     /* same of a name, whoever tries it */
    LOGIN_WAIT_S_MAX = 60,
    LOGIN_FORGET_S = 900, /* without a failure, all is forgotten */
};

struct limit_rate {
    uint32_t per_second; /* 0: no limit */
    uint32_t burst;      /* at once after a rest; 0: as many as in a second */
};

struct limiter;

/* Errors: ERR_RANGE entries not in 1..LIMITER_ENTRIES_MAX, ERR_NOMEM, ERR_ENTROPY. */
MUST_CHECK enum vault_err limiter_new(size_t entries, const struct rng *rng, struct limiter **out);
void limiter_free(struct limiter *limiter); /* NULL is fine */
size_t limiter_count(const struct limiter *limiter);

/*
 * Takes one from the bucket of that key, and says whether there was one. If not, *wait is how long
 * until there is, and nothing is taken. `now` is monotonic; one that goes back is taken as it is.
 */
bool limiter_take(struct limiter *limiter, enum limit_kind kind, struct bytes key,
                  struct limit_rate rate, struct instant now, struct duration *wait);

/* Key of an address: all of an IPv4 one, the first 64 bits of an IPv6 one, which one site has. */
struct bytes limiter_address_key(const struct address *address);

/*
 * How long a login with that name from that address has to wait; zero: it may be tried. Whether the
 * name exists makes no difference. `name` is in its one canonical form.
 */
struct duration limiter_login_wait(struct limiter *limiter, struct bytes name,
                                   const struct address *address, struct instant now);
/* The same for the one alone. */
struct duration limiter_name_wait(struct limiter *limiter, struct bytes name, struct instant now);
struct duration limiter_address_wait(struct limiter *limiter, const struct address *address,
                                     struct instant now);
/*
 * Notes that one failed. From the free ones on, each doubles the wait, from a second up to
 * LOGIN_WAIT_S_MAX.
 */
void limiter_login_failed(struct limiter *limiter, struct bytes name, const struct address *address,
                          struct instant now);
/* Notes that one succeeded: the name starts anew, the address does not. */
void limiter_login_succeeded(struct limiter *limiter, struct bytes name);

#endif
