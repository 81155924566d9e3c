/*
 * What a bench sends: requests of a workload in the order in which they are due, and whether an
 * answer is a success. Two APIs are spoken: the vault's own, and the JSON gateway of etcd, so that
 * both are loaded by the same program.
 */
#ifndef OSTRAKA_BENCH_WORKLOAD_H
#define OSTRAKA_BENCH_WORKLOAD_H

#include <stdbool.h>

#include "base/bytes.h"
#include "crypto/rng.h"

enum bench_api { BENCH_OSTRAKA, BENCH_ETCD };

enum bench_kind {
    BENCH_CREATE, /* a new name each time */
    BENCH_UPDATE, /* one of `names`, drawn evenly */
    BENCH_READ,   /* the latest version of one of `names`, drawn evenly */
    BENCH_MIXED,  /* of ten requests nine read and one creates */
    BENCH_ENV,    /* a .env text with BENCH_ENV_REFERENCES references to `names` is expanded */
};
enum { BENCH_ENV_REFERENCES = 10, BENCH_NAMES_MAX = 10 * 1000 * 1000 };

struct bench_plan {
    enum bench_api api;
    enum bench_kind kind;
    const char *prefix;  /* of all names */
    uint64_t names;      /* how many there are to update and read: few are hot, many are cold */
    uint64_t value_size; /* bytes */
    uint64_t hot;        /* nine draws of ten are of the first so many names; 0: all are alike */
};

struct workload {
    struct bench_plan plan;
    uint64_t run;     /* drawn at random: new names of this run differ from those of any other */
    uint64_t created; /* new names so far */
    uint64_t noise;   /* state of the generator that draws names: nothing secret */
    struct buf value; /* as it stands in a request's body */
};

/* Errors: ERR_NOMEM, ERR_ENTROPY. To be closed in any case. */
MUST_CHECK enum vault_err workload_open(const struct bench_plan *plan, struct rng *rng,
                                        struct workload *out);
void workload_close(struct workload *workload);
/* Names have to be there before the first request. */
bool workload_needs_names(const struct workload *workload);

/* Buffers are kept from one request to the next; all zero at first. */
struct bench_request {
    const char *method; /* static */
    const char *type;   /* media type of the body, static; NULL: there is none */
    struct buf target;  /* path and query, with a NUL behind it that size does not count */
    struct buf body;
    bool prepares; /* may find that the name exists */
};
void bench_request_close(struct bench_request *request);
/* Writes the next request. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err workload_next(struct workload *workload, struct bench_request *request);
/* Writes the request that puts name `index` (0..names-1) there. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err workload_prepare(struct workload *workload, uint64_t index,
                                           struct bench_request *request);
bool bench_request_succeeded(const struct bench_request *request, long status);

#endif
