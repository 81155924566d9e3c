/* The kernel's randomness (getrandom). Not part of the core library: actors get a struct rng. */
#ifndef OSTRAKA_CRYPTO_RNG_KERNEL_H
#define OSTRAKA_CRYPTO_RNG_KERNEL_H

#include "crypto/rng.h"

struct rng rng_kernel(void);

#endif
