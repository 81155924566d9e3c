#include "crypto/base64.h"

#include <sodium.h>

size_t
base64_encoded_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

size_t
base64_decoded_size_max(size_t text_size)
{
    return text_size / 4 * 3;
}

enum vault_err
base64_encode(struct bytes input, struct buf *out)
{
    size_t size = base64_encoded_size(input.size);
    enum vault_err err = buf_reserve(out, size + 1); /* libsodium ends it with a NUL */

    if (err != OK)
        return err;
    sodium_bin2base64((char *)out->data + out->size, size + 1, input.data, input.size,
                      sodium_base64_VARIANT_ORIGINAL);
    out->size += size;
    return OK;
}

/* libsodium 1.0.18 takes some bytes from 0x80 up for letters where char is signed. */
static bool
all_ascii(struct bytes text)
{
    uint8_t seen = 0;

    for (size_t i = 0; i < text.size; i++)
        seen |= text.data[i];
    return (seen & 0x80) == 0;
}

enum vault_err
base64_decode(struct bytes text, uint8_t *out, size_t capacity, size_t *size)
{
    *size = 0;
    if (text.size == 0)
        return OK;
    if (text.size % 4 == 0 && all_ascii(text) &&
        sodium_base642bin(out, capacity, (const char *)text.data, text.size, NULL, size, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0)
        return OK;
    if (capacity > 0)
        sodium_memzero(out, capacity);
    *size = 0;
    return ERR_MALFORMED;
}

size_t
base64url_encoded_size(size_t size)
{
    return size / 3 * 4 + (size % 3 * 8 + 5) / 6;
}

size_t
base64url_decoded_size(size_t text_size)
{
    return text_size / 4 * 3 + text_size % 4 * 6 / 8;
}

enum vault_err
base64url_encode(struct bytes input, struct buf *out)
{
    size_t size = base64url_encoded_size(input.size);
    enum vault_err err = buf_reserve(out, size + 1); /* libsodium ends it with a NUL */

    if (err != OK)
        return err;
    sodium_bin2base64((char *)out->data + out->size, size + 1, input.data, input.size,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    out->size += size;
    return OK;
}

enum vault_err
base64url_decode(struct bytes text, uint8_t *out, size_t capacity, size_t *size)
{
    *size = 0;
    if (text.size == 0)
        return OK;
    if (text.size % 4 != 1 && all_ascii(text) &&
        sodium_base642bin(out, capacity, (const char *)text.data, text.size, NULL, size, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0)
        return OK;
    if (capacity > 0)
        sodium_memzero(out, capacity);
    *size = 0;
    return ERR_MALFORMED;
}
