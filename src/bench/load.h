/*
 * The load: connections that send the requests of a workload, one at a time each, and what they saw.
 * TLS is libcurl's (wire.h); it all runs in the calling thread.
 *
 * Closed loop: each connection sends its next request as soon as it has the answer to the last. Open
 * loop: requests are due at a fixed rate whatever the answers do, and a latency counts from when the
 * request was due, so that the time spent waiting for a free connection is part of it.
 */
#ifndef OSTRAKA_BENCH_LOAD_H
#define OSTRAKA_BENCH_LOAD_H

#include "base/bytes.h"
#include "bench/histogram.h"
#include "bench/workload.h"
#include "cli/connection.h"

enum { BENCH_CONNECTIONS_MAX = 4096 };

struct load_options {
    const struct addresses *addresses; /* connections are spread evenly over them */
    const char *ca_file;               /* NULL: the system's */
    const char *authorization;         /* header line; NULL: none */
    uint64_t connections;              /* 1..BENCH_CONNECTIONS_MAX */
    uint64_t rate;                     /* requests per second; 0: closed loop */
    uint64_t requests;                 /* so many, warm-up included, and no more; 0: any number */
    uint64_t warm_up_ms, duration_ms;  /* what is sent while it warms up is not counted */
    bool live;                         /* a line on standard error each second */
    int stop_fd;                       /* readable: end now with what there is */
};

enum { BENCH_STATUSES_MAX = 16 };

struct load_result {
    struct histogram latencies; /* microseconds, of the successes */
    uint64_t successes, failures;
    uint64_t unanswered; /* of the failures: broken connections and time-outs */
    struct {
        long status; /* HTTP status; 0: not used */
        uint64_t count;
    } refused[BENCH_STATUSES_MAX]; /* of the failures, in the order met; the last: all others */
    char problem[160];             /* the first failure in words; empty: there was none */
    uint64_t elapsed_ns;           /* that were counted */
    uint64_t client_cpu_us;        /* of this process, meanwhile */
    bool stopped;                  /* by stop_fd */
};

/*
 * Puts the workload's names there. Returns EXIT_OK, or another exit status having said why: a
 * name that cannot be made ends it.
 */
int load_prepare(const struct load_options *options, struct workload *workload);
/* Runs the workload. `out` is filled in on EXIT_OK; failed requests are results, not errors. */
int load_run(const struct load_options *options, struct workload *workload,
             struct load_result *out);

#endif
