/* Numbers in values that clients write, behind the canary: the lowest byte first. */
#ifndef OSTRAKA_SIM_NUMBER_H
#define OSTRAKA_SIM_NUMBER_H

#include <stdint.h>

enum { NUMBER_BYTES = 8 };

static inline void
number_put(uint8_t out[static NUMBER_BYTES], uint64_t number)
{
    for (unsigned i = 0; i < NUMBER_BYTES; i++)
        out[i] = (uint8_t)(number >> (8 * i));
}

static inline uint64_t
number_get(const uint8_t in[static NUMBER_BYTES])
{
    uint64_t number = 0;
    for (unsigned i = 0; i < NUMBER_BYTES; i++)
        number |= (uint64_t)in[i] << (8 * i);
    return number;
}

#endif
