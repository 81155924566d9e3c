#include "bench/histogram.h"

/* Values below two times HISTOGRAM_STEPS have a bucket each; above, a bucket per step of a doubling. */
static size_t
bucket_of(uint64_t value)
{
    unsigned shift = 0;
    size_t bucket;

    while (value >> shift >= 2 * (uint64_t)HISTOGRAM_STEPS)
        shift++;
    bucket = (size_t)shift * HISTOGRAM_STEPS + (size_t)(value >> shift);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

uint64_t
histogram_bucket_end(size_t bucket)
{
    size_t shift = bucket < 2 * (size_t)HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;

    return ((uint64_t)(bucket - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
}

void
histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    if (histogram->count == 0 || value < histogram->least)
        histogram->least = value;
    if (value > histogram->most)
        histogram->most = value;
    histogram->count++;
    histogram->sum += value;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    if (into->count == 0 || from->least < into->least)
        into->least = from->least;
    if (from->most > into->most)
        into->most = from->most;
    into->count += from->count;
    into->sum += from->sum;
}

uint64_t
histogram_quantile(const struct histogram *histogram, uint32_t per_million)
{
    uint64_t before = 0, wanted = (histogram->count * per_million + 999999) / 1000000;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        before += histogram->buckets[i];
        if (before >= wanted && before > 0) {
            uint64_t end = histogram_bucket_end(i);
            return end < histogram->most ? end : histogram->most;
        }
    }
    return histogram->most;
}
