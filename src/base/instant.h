/*
 * Time, as the actors see it: points of the monotonic clock and spans between them, in
 * nanoseconds, as types of their own so that they cannot be mixed up with counts or with the
 * wall clock (which is `uint64_t wall_ms`, milliseconds since 1970 UTC).
 */
#ifndef OSTRAKA_BASE_INSTANT_H
#define OSTRAKA_BASE_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct instant {
    uint64_t ns;
};
struct duration {
    uint64_t ns;
};

static inline struct duration
duration_ms(uint64_t ms)
{
    return (struct duration){ms * 1000000u};
}

static inline struct duration
duration_us(uint64_t us)
{
    return (struct duration){us * 1000u};
}

static inline struct instant
instant_add(struct instant t, struct duration d)
{
    return (struct instant){t.ns + d.ns};
}

/* later - earlier, or zero when they are the other way round. */
static inline struct duration
instant_since(struct instant later, struct instant earlier)
{
    return (struct duration){later.ns > earlier.ns ? later.ns - earlier.ns : 0};
}

static inline bool
instant_before(struct instant a, struct instant b)
{
    return a.ns < b.ns;
}

enum { RFC3339_BYTES = 25 }; /* "2026-01-02T03:04:05.678Z" and its NUL */

/* Milliseconds since 1970 as RFC 3339 in UTC with milliseconds. */
void rfc3339_format(uint64_t wall_ms, char out[static RFC3339_BYTES]);

/*
 * Strict RFC 3339 date-time (offset or Z, up to nine digits of fraction, cut to milliseconds; years
 * 1970 to 9999; leap second 60 is refused). Errors: ERR_MALFORMED
 */
MUST_CHECK enum vault_err rfc3339_parse(struct bytes text, uint64_t *wall_ms);

#endif
