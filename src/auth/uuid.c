#include <string.h>

#include "auth/identity.h"

static bool
dash_at(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

void
uuid_format(const uint8_t id[static AUTH_UUID_BYTES], char out[static UUID_TEXT_BYTES + 1])
{
    char hex[2 * AUTH_UUID_BYTES + 1];
    size_t used = 0;

    hex_encode(bytes_of(id, AUTH_UUID_BYTES), hex);
    for (size_t i = 0; i < UUID_TEXT_BYTES; i++)
        if (dash_at(i))
            out[i] = '-';
        else
            out[i] = hex[used++];
    out[UUID_TEXT_BYTES] = '\0';
}

enum vault_err
uuid_parse(struct bytes text, uint8_t out[static AUTH_UUID_BYTES])
{
    uint8_t hex[2 * AUTH_UUID_BYTES];
    size_t used = 0;

    memset(out, 0, AUTH_UUID_BYTES);
    if (text.size != UUID_TEXT_BYTES)
        return ERR_MALFORMED;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (dash_at(i) != (byte == '-') || (byte >= 'A' && byte <= 'F'))
            return ERR_MALFORMED;
        if (!dash_at(i))
            hex[used++] = byte;
    }
    return hex_decode(bytes_of(hex, sizeof(hex)), out, AUTH_UUID_BYTES);
}

static void
mark_version_4(uint8_t id[static AUTH_UUID_BYTES])
{
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

void
uuid_of_hash(const uint8_t hash[static HASH_BYTES], uint8_t out[static AUTH_UUID_BYTES])
{
    memcpy(out, hash, AUTH_UUID_BYTES);
    mark_version_4(out);
}

enum vault_err
uuid_make(const struct rng *rng, uint8_t out[static AUTH_UUID_BYTES])
{
    enum vault_err err = rng_fill(rng, out, AUTH_UUID_BYTES);

    mark_version_4(out);
    if (err != OK)
        memset(out, 0, AUTH_UUID_BYTES);
    return err;
}

bool
uuid_is_of_issuer(const uint8_t id[static AUTH_UUID_BYTES])
{
    return (id[6] & 0xf0) == 0x80;
}
