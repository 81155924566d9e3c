#include "base/log_ration.h"

bool
log_ration_take(struct log_ration *ration, struct instant now, uint64_t *left_out)
{
    *left_out = 0;
    if (ration->since.ns == 0 || instant_since(now, ration->since).ns >= duration_ms(1000).ns) {
        ration->since = now;
        ration->lines = 0;
    }
    if (ration->lines >= LOG_RATION_PER_S) {
        ration->left_out++;
        return false;
    }
    ration->lines++;
    *left_out = ration->left_out;
    ration->left_out = 0;
    return true;
}
