/*
 * How long the node's certificate and that of its CA are still good for, and a line a day when that
 * is not long: there is no sign of an end coming otherwise, and then no node takes another any more.
 */
#ifndef OSTRAKA_RUNTIME_CERTIFICATE_WATCH_H
#define OSTRAKA_RUNTIME_CERTIFICATE_WATCH_H

#include "base/instant.h"
#include "base/log.h"

enum { CERTIFICATE_WARNING_DAYS = 60 };

struct certificate_watch {
    uint64_t node_ends_ms, ca_ends_ms; /* wall clock, since 1970; 0: not known */
    bool told;
    struct instant told_at;
};

/* Reads when they end; what cannot be read is not known. Paths of PEM files. */
void certificate_watch_read(struct certificate_watch *watch, const char *certificate,
                            const char *ca);
/*
 * To be called now and then: warns at once and then once a day, of the one that ends first, from
 * CERTIFICATE_WARNING_DAYS before it does.
 */
void certificate_watch_look(struct certificate_watch *watch, struct instant now, uint64_t wall_ms,
                            const struct log_sink *log);
/* Seconds until then, below 0 when it is over. `ends_ms` must be known. */
int64_t certificate_seconds_left(uint64_t ends_ms, uint64_t wall_ms);

#endif
