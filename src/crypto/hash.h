/* BLAKE2b-256, SipHash-2-4, HKDF-SHA-256 and hex. */
#ifndef OSTRAKA_CRYPTO_HASH_H
#define OSTRAKA_CRYPTO_HASH_H

#include "base/bytes.h"

enum { HASH_BYTES = 32, KEY_BYTES = 32, SHORT_HASH_BYTES = 16, SHORT_HASH_WIDE_BYTES = 16 };

void hash_bytes(struct bytes input, uint8_t out[static HASH_BYTES]);
/*
 * Hash of several parts; each part is preceded by its length (8 bytes, big endian), so parts cannot
 * shift.
 */
void hash_parts(const struct bytes *parts, size_t count, uint8_t out[static HASH_BYTES]);
/* Keyed BLAKE2b-256 (a MAC), over parts framed as above. */
void mac_parts(const uint8_t key[static KEY_BYTES], const struct bytes *parts, size_t count,
               uint8_t out[static HASH_BYTES]);

/* SipHash-2-4: cheap and stable, for tables and placement. */
uint64_t hash_short(const uint8_t key[static SHORT_HASH_BYTES], struct bytes input);
/* Its form of 128 bits, for what has to be told from all else that anybody may try. */
void hash_short_wide(const uint8_t key[static SHORT_HASH_BYTES], struct bytes input,
                     uint8_t out[static SHORT_HASH_WIDE_BYTES]);

/* RFC 5869 with SHA-256; out_size up to 255 * 32. Errors: ERR_RANGE. */
MUST_CHECK enum vault_err hkdf_sha256(struct bytes ikm, struct bytes salt, struct bytes info,
                                      uint8_t *out, size_t out_size);
/*
 * Its two halves, for whom derives more than once from the same: the first is made once and kept, as
 * secret as what it was made of. Errors: ERR_RANGE.
 */
MUST_CHECK enum vault_err hkdf_sha256_extract(struct bytes ikm, struct bytes salt,
                                              uint8_t prk[static KEY_BYTES]);
MUST_CHECK enum vault_err hkdf_sha256_expand(const uint8_t prk[static KEY_BYTES], struct bytes info,
                                             uint8_t *out, size_t out_size);

/* Lower-case hex in constant time; `out` takes 2 * size + 1 bytes with its NUL. */
void hex_encode(struct bytes input, char *out);
/*
 * Exactly `size` bytes from 2 * size hex digits of either case. Errors: ERR_MALFORMED, `out`
 * zeroed.
 */
MUST_CHECK enum vault_err hex_decode(struct bytes text, uint8_t *out, size_t size);

#endif
