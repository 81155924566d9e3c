/* From when to when a certificate in a file is valid, and what to say when that is not now. */
#ifndef OSTRAKA_RUNTIME_TLS_PERIOD_H
#define OSTRAKA_RUNTIME_TLS_PERIOD_H

#include "base/bytes.h"

struct tls_period {
    uint64_t not_before_ms, not_after_ms; /* wall clock, since 1970 */
};

/* Of the first certificate in it. Errors: ERR_MALFORMED. */
MUST_CHECK enum vault_err tls_period_read(struct bytes pem, struct tls_period *out);
/*
 * A sentence for people on a certificate that is not valid at `now_ms`. It names the clock first:
 * a certificate seldom ends, and a clock is often wrong after a machine was started.
 *
 * what   "certificate" or "CA certificate"
 */
void tls_period_tell(struct bytes pem, const char *what, const char *path, uint64_t now_ms,
                     char *why, size_t why_size);
uint64_t tls_period_now(void); /* the wall clock, milliseconds since 1970 */

#endif
