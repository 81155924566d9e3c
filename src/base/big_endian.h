/*
 * Numbers of eight bytes, the highest first: as rows, messages, keys and hashed texts have them. A
 * loop over the bytes is compiled as one; this is two instructions, and made some hundred times in
 * a request.
 */
#ifndef OSTRAKA_BASE_BIG_ENDIAN_H
#define OSTRAKA_BASE_BIG_ENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum { BIG_ENDIAN_BYTES = 8 };

static inline void
big_endian_put(uint8_t out[static BIG_ENDIAN_BYTES], uint64_t number)
{
    uint64_t swapped = htobe64(number);

    memcpy(out, &swapped, sizeof(swapped));
}

static inline uint64_t
big_endian_get(const uint8_t in[static BIG_ENDIAN_BYTES])
{
    uint64_t swapped;

    memcpy(&swapped, in, sizeof(swapped));
    return be64toh(swapped);
}

#endif
