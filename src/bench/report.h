/* What a bench says at its end: a few lines for people, or one JSON object for programs. */
#ifndef OSTRAKA_BENCH_REPORT_H
#define OSTRAKA_BENCH_REPORT_H

#include "bench/load.h"

const char *bench_kind_name(enum bench_kind kind);
/* Both write to standard output. Return EXIT_OK, or EXIT_FAILED having said why. */
int report_print(const struct bench_plan *plan, const struct load_options *options,
                 const struct load_result *result);
/*
 * Latencies in microseconds; "histogram" lists [greatest value of the bucket, count] where the count
 * is not zero.
 */
int report_json(const struct bench_plan *plan, const struct load_options *options,
                const struct load_result *result);

#endif
