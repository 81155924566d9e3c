/*
 * How many lines anybody who reaches a port may have written. Whoever asks again and again for what
 * is refused, or fails, could else fill a disk with the log: a node without a majority answered
 * 20,000 times a second that it was not ready, and wrote 2.6 MB of lines about it.
 */
#ifndef OSTRAKA_BASE_LOG_RATION_H
#define OSTRAKA_BASE_LOG_RATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"

enum { LOG_RATION_PER_S = 20 };

/* All zero is a valid one. */
struct log_ration {
    struct instant since; /* of the second that is counted; 0: none yet */
    unsigned lines;
    uint64_t left_out;
};

/*
 * Whether one more line may be written at `now`, which is monotonic. *left_out: how many were not
 * since this was told last, to be written before that line; 0 where it may not.
 */
bool log_ration_take(struct log_ration *ration, struct instant now, uint64_t *left_out);

#endif
