#include "crypto/rng_kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static enum vault_err
kernel_fill(void *context, uint8_t *out, size_t size)
{
    size_t filled = 0;

    (void)context;
    while (filled < size) {
        ssize_t got = getrandom(out + filled, size - filled, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            explicit_bzero(out, size);
            return ERR_ENTROPY;
        }
        filled += (size_t)got;
    }
    return OK;
}

struct rng
rng_kernel(void)
{
    return (struct rng){.context = NULL, .fill = kernel_fill};
}
