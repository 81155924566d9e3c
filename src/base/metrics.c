#include "base/metrics.h"

enum { BUCKET_UNIT_BITS = 5 }; /* the first bucket ends at 32 us */

/* Bits needed to write `n`: 0 for 0. */
static unsigned
bit_length(uint64_t n)
{
    return n == 0 ? 0 : 64u - (unsigned)__builtin_clzll(n);
}

void
latency_record(struct latency_histogram *histogram, uint64_t microseconds)
{
    unsigned bucket = bit_length(microseconds >> BUCKET_UNIT_BITS);

    if (bucket >= METRIC_LATENCY_BUCKETS)
        bucket = METRIC_LATENCY_BUCKETS - 1;
    histogram->buckets[bucket]++;
    histogram->count++;
    histogram->sum_us += microseconds;
}
