/*
 * Latencies counted in buckets whose width grows with the value: each is at most 1/64 wide of what
 * it holds, so a quantile is right to 1.6 %. A histogram is plain memory and can be added up.
 */
#ifndef OSTRAKA_BENCH_HISTOGRAM_H
#define OSTRAKA_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 64, /* buckets for each doubling */
    HISTOGRAM_DOUBLINGS = 32,
    HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS,
};

/* All zero is empty. Values are microseconds; what exceeds the last bucket is counted there. */
struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count, sum, least, most;
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/*
 * The least upper end of a bucket below which `per_million` of a million values are, never above the
 * greatest value seen; 0 when empty.
 */
uint64_t histogram_quantile(const struct histogram *histogram, uint32_t per_million);
/* Greatest value that is counted in a bucket. */
uint64_t histogram_bucket_end(size_t bucket);

#endif
