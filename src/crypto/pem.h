/* Certificates in PEM (RFC 7468). */
#ifndef OSTRAKA_CRYPTO_PEM_H
#define OSTRAKA_CRYPTO_PEM_H

#include "base/bytes.h"

/*
 * The next certificate at *at as DER, appended to `out`; *at moves behind it. False: there is none,
 * or it is not base64, or there is no memory.
 */
bool pem_next_certificate(struct bytes text, size_t *at, struct buf *out);

#endif
