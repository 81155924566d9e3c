/*
 * Base64 (RFC 4648, section 4: the standard alphabet, padded), in constant time for texts of one
 * length. One byte string, one text: unused bits must be zero, and no white space is skipped.
 */
#ifndef OSTRAKA_CRYPTO_BASE64_H
#define OSTRAKA_CRYPTO_BASE64_H

#include "base/bytes.h"

size_t base64_encoded_size(size_t size);
/* Appends the text of `input` to `out`. Errors: ERR_NOMEM, `out` as it was. */
MUST_CHECK enum vault_err base64_encode(struct bytes input, struct buf *out);

/*
 * Room that base64_decode needs for a text of `text_size` bytes; up to two bytes more than it
 * fills.
 */
size_t base64_decoded_size_max(size_t text_size);
/*
 * Decodes all of `text` into `out`, which has `capacity` bytes. *size is how many it filled.
 * Errors: ERR_MALFORMED (also when `capacity` does not suffice); `out` is then wiped and *size 0.
 */
MUST_CHECK enum vault_err base64_decode(struct bytes text, uint8_t *out, size_t capacity,
                                        size_t *size);

/*
 * The URL-safe alphabet without padding (RFC 4648, section 5), as JSON web signatures and tokens
 * have it. Same rules: unused bits must be zero, no padding, nothing skipped.
 */
size_t base64url_encoded_size(size_t size);
MUST_CHECK enum vault_err base64url_encode(struct bytes input, struct buf *out);
/* Room that base64url_decode needs; exactly what it fills of a text that is valid. */
size_t base64url_decoded_size(size_t text_size);
MUST_CHECK enum vault_err base64url_decode(struct bytes text, uint8_t *out, size_t capacity,
                                           size_t *size);

#endif
