/* Certificates and lists of revocations in PEM (RFC 7468). */
#ifndef OSTRAKA_CRYPTO_PEM_H
#define OSTRAKA_CRYPTO_PEM_H

#include "base/bytes.h"

/*
 * The next thing of that label, of 32 bytes or fewer ("X509 CRL"), at *at as DER, appended to `out`;
 * *at moves behind it. False: there is none, or it is not base64, or there is no memory.
 */
bool pem_next(struct bytes text, const char *label, size_t *at, struct buf *out);
bool pem_next_certificate(struct bytes text, size_t *at, struct buf *out);

#endif
